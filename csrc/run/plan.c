#include "run/plan.h"

#include "run/nonzero.h"

/* ---- Threads ----------------------------------------------------------------------------- */

/*
 * Each thread should have at least 33 microseconds of work, at 60 multiply-adds a nanosecond. A
 * worker that spins starts within a fraction of one, and two threads then halve the time of a call.
 * One that sleeps starts after some 30, and waking it takes the caller 5: at twice 33, that is
 * neither gain nor loss.
 */
#define WORK_PER_THREAD (33e-6 * 60e9)

/* How many times less work threads share that are awake. */
#define AWAKE 4

/* The work of an element of an array, and of a byte that is copied, in multiply-adds. */
#define ELEMENT_WORK 15.0
#define BYTE_WORK 3.0

/* Columns of a layer that threads share as evenly as rows. */
#define MANY_COLUMNS 512

/* What an update costs for each parameter, in multiply-adds. */
#define UPDATE_WORK 16

/* Tasks of row work for a thread, at most: a kernel works on a row while it reads the next. */
#define TASKS_PER_THREAD ((size_t)16)

/* ---- Caches ------------------------------------------------------------------------------ */

/*
 * The activations of one layer for a block of rows take at most half of the L2 cache, which holds
 * those of other layers and weights too.
 * More than this is no faster: measured on caches of 512 KiB to 2 MiB.
 */
#define MOST_BLOCK_BYTES ((size_t)256 * 1024)

/* With fewer rows, a block would read the weights too often. If not even so many rows fit into the
 * L2 cache, and into the bytes above, a block is as large as any. */
#define LEAST_BLOCK_ROWS ((size_t)48)

/* A batch that is gathered ahead, and the rest of the step, should stay in the L2 cache. */
#define MOST_AHEAD_BYTES ((size_t)1024 * 1024)

/* Parameters and slots of twice the L2 cache, or of this size, are fetched before they are read. */
#define LEAST_PREFETCH_BYTES ((size_t)2 * 1024 * 1024)

/* Results of this size would push everything else out of the caches, and themselves as well. */
#define STREAM_BYTES ((size_t)10 * 1024 * 1024)

/* Rows of one rectangle of a product, in tiles: its rows of a should stay in the L2 cache. */
#define RECTANGLE_TILES 8

/* Rectangles for each thread, if there are so many panels: they even out a thread that is late. */
#define RECTANGLES_PER_THREAD 4

/* Panels of b from which on a block of a is read often enough to be worth a copy, the least lines
 * of it, and the least stride at which they are on other pages. */
#define LEAST_COPY_PANELS 4
#define LEAST_COPY_LINES 8
#define LEAST_COPY_STRIDE 1024

/* Bytes of a block of a, at most: more of a larger L2 cache is no faster, as b and c pass too. */
#define MOST_BLOCK_OF_A_BYTES ((size_t)512 * 1024)

/* Bytes of b that a thread packs at a time, within half of its share of the L3 cache: at least, and
 * at most. Each strip of columns reads all of its rows of a anew, and copies them. */
#define LEAST_PACKED_BYTES ((size_t)4 * 1024 * 1024)
#define MOST_PACKED_BYTES ((size_t)16 * 1024 * 1024)

/* Panels of a strip, unless threads would have none; and strips for each thread. */
#define LEAST_STRIP_PANELS 4
#define STRIPS_PER_THREAD 2

/* Rows that read b where it is: as few as take several panels at once, or two tiles, if the pages
 * of b, which each panel visits, are so few that processors have their addresses. */
#define IN_PLACE_ROWS 3
#define IN_PLACE_TILES 2
#define IN_PLACE_BYTES ((size_t)4 * 1024 * 1024)

/*
 * Weights are read and changed row-major if their rows are at most this long: in a batch of one
 * row, and in a batch of more. All tiles of the batch, each of which reads the weight anew, read at
 * most the third in a row. Longer rows, each on a page of its own, are too slow.
 */
#define ROW_MAJOR_BYTES_ONE ((size_t)4096)
#define ROW_MAJOR_BYTES ((size_t)512)
#define ROW_MAJOR_BYTES_TILES ((size_t)8192)

/* Panels of columns that a task of an update with products takes, and columns of which the gradient
 * is computed and used at a time, or up to twice as many if these are the last: whole panels of
 * every instruction set, and in float32 few enough for the L1 cache. */
#define TASK_PANELS ((size_t)8)
#define PART_COLUMNS ((size_t)32)

/* Numbers of the first weight from which on lists of nonzeros may pay for fewer rows than a group.
 */
#define LEAST_LISTED_WEIGHT ((size_t)8192)

/* ---- Shared decisions -------------------------------------------------------------------- */

/* How many threads should share so many tasks with so much work in all, in multiply-adds. */
static size_t threads_for(const cnn_machine *machine, size_t tasks, double work)
{
    if (tasks < 2 || !(work >= 2 * WORK_PER_THREAD))
        return 1;
    const size_t threads = cnn_min(tasks, machine->threads);
    const double useful = work / WORK_PER_THREAD;
    return useful < (double)threads ? (size_t)useful : threads;
}

/* Whether nearly all work is in layers of many columns. */
static bool is_wide(const cnn_shape *shape)
{
    double wide = 0;
    for (size_t l = 0; l < shape->count; l++)
        if (shape->dense[l].outputs >= MANY_COLUMNS)
            wide += (double)shape->dense[l].inputs * (double)shape->dense[l].outputs;
    return wide >= 0.9 * (double)shape->parameters;
}

/*
 * Rows of a block if `rows` rows are cut into blocks of at most `most` and each of `threads`
 * threads gets as many. Fours of rows are what tiles are made of.
 */
static size_t even_block(size_t rows, size_t most, size_t threads)
{
    if (threads == 1 && rows <= most)
        return rows;
    const size_t rounds = (rows + most * threads - 1) / (most * threads);
    const size_t blocks = cnn_max(rounds, 1) * threads;
    return cnn_min(most, cnn_round_up((rows + blocks - 1) / blocks, 4));
}

/*
 * Whether so many rows are searched for zeros: a group, or fewer if that may pay. Zeros are no
 * zeros any more once they are standardized.
 */
static bool looks_for_zeros(const cnn_shape *shape, size_t rows)
{
    if (shape->transformed)
        return false;
    return rows >= shape->group ||
           shape->dense[0].inputs * shape->dense[0].outputs >= LEAST_LISTED_WEIGHT;
}

/* ---- Predict and evaluate ---------------------------------------------------------------- */

/* The most rows of a block on their way forward. */
static size_t most_block(const cnn_machine *machine, const cnn_shape *shape)
{
    const size_t bytes = cnn_min(MOST_BLOCK_BYTES, machine->caches.l2 / 2);
    const size_t row_bytes = cnn_max(shape->inputs, shape->widest) * shape->real_size;
    if (row_bytes > cnn_min(MOST_BLOCK_BYTES, machine->caches.l2) / LEAST_BLOCK_ROWS)
        return CNN_BLOCK_ROWS;
    const size_t rows = bytes / row_bytes / shape->tile_rows * shape->tile_rows;
    return cnn_max(cnn_min(CNN_BLOCK_ROWS, rows), LEAST_BLOCK_ROWS);
}

size_t cnn_plan_scratch(const cnn_shape *shape, size_t rows)
{
    const size_t bytes = cnn_plan_activation_bytes(shape, rows);
    if (!looks_for_zeros(shape, rows))
        return bytes;
    return bytes + rows * cnn_map_words(shape->inputs) * sizeof(uint64_t) +
           cnn_lists_bytes(shape->group, rows, shape->inputs);
}

/* What a call without training does with its rows. */
struct use {
    const cnn_shape *shape;
    const cnn_walk_bytes *bytes; /* NULL for forward alone */
    bool jacobian;
    double passes; /* through the network, for each row */
};

/* Cut rows among `threads` threads at most. */
static void cut_rows(const cnn_machine *machine, const struct use *use, size_t threads, cnn_plan *p)
{
    const cnn_shape *shape = use->shape;
    const size_t rows = p->rows;
    const double work = use->passes * (double)shape->parameters * (double)rows;
    p->split = CNN_SPLIT_ROWS;
    p->block = cnn_min(most_block(machine, shape), rows);
    p->threads = 1;
    const size_t most = threads > 1 ? threads_for(machine, SIZE_MAX, work) : 1;
    if (most > 1)
        p->threads = cnn_min(most, cnn_pieces(rows, shape->tile_rows));
    const size_t block = even_block(rows, p->block, p->threads);
    /* Rows that are too few for all threads, or would be cut unevenly, share columns. */
    if (most > 1 && rows <= p->block &&
        (p->threads == 1 || (20 * rows < 19 * p->threads * block && is_wide(shape)))) {
        p->split = CNN_SPLIT_COLUMNS;
        p->threads = most;
    } else {
        p->block = cnn_min(block, rows);
    }
}

/* Rows that go back together: a block's of one output, or one row's of many outputs. */
static size_t deltas_of(const struct use *use, size_t block)
{
    return use->jacobian ? cnn_max(block, cnn_min(use->shape->outputs, CNN_BLOCK_ROWS)) : block;
}

/* Bytes of scratch for each worker, if a block has so many rows. */
static size_t scratch_of(const struct use *use, const cnn_plan *p, size_t block)
{
    const cnn_walk_bytes *bytes = use->bytes;
    if (!bytes)
        return cnn_plan_scratch(use->shape, block);
    const size_t sharing = p->split == CNN_SPLIT_COLUMNS ? p->threads : 1;
    return bytes->worker + sharing * bytes->thread + block * bytes->row +
           deltas_of(use, block) * bytes->delta;
}

/* What follows from the blocks. */
static void finish_plan(const struct use *use, cnn_plan *p)
{
    p->blocks = p->block > 0 ? cnn_pieces(p->rows, p->block) : 0;
    p->workers = p->split == CNN_SPLIT_COLUMNS ? 1 : cnn_min(p->threads, p->blocks);
    if (p->split == CNN_SPLIT_ROWS)
        p->threads = p->workers;
    p->zeros = !use->bytes && looks_for_zeros(use->shape, p->block);
    p->deltas = use->bytes ? deltas_of(use, p->block) : 0;
    p->worker_bytes = cnn_round_up(scratch_of(use, p, p->block), CNN_LINE);
}

/* The plan of a call without training. */
static void plan_use(const cnn_machine *machine, const struct use *use, size_t rows,
                     size_t workspace, cnn_plan *p)
{
    p->rows = rows;
    p->form = CNN_PANELS;
    cut_rows(machine, use, machine->threads, p);
    finish_plan(use, p);
    if (p->workers * p->worker_bytes <= workspace)
        return;
    cut_rows(machine, use, 1, p);
    finish_plan(use, p);
    if (p->worker_bytes <= workspace)
        return;
    if (!use->bytes)
        p->block = workspace / cnn_plan_scratch(use->shape, 1);
    while (p->block > 0 && scratch_of(use, p, p->block) > workspace)
        p->block--;
    finish_plan(use, p);
}

void cnn_plan_predict(const cnn_machine *machine, const cnn_shape *shape, size_t rows,
                      size_t workspace, cnn_plan *p)
{
    const struct use use = {.shape = shape, .passes = 1};
    plan_use(machine, &use, rows, workspace, p);
}

void cnn_plan_derivatives(const cnn_machine *machine, const cnn_shape *shape,
                          const cnn_walk_bytes *bytes, bool jacobian, size_t rows, size_t workspace,
                          cnn_plan *p)
{
    const struct use use = {
        .shape = shape,
        .bytes = bytes,
        .jacobian = jacobian,
        .passes = jacobian ? 1 + (double)shape->outputs : 2,
    };
    plan_use(machine, &use, rows, workspace, p);
}

/* ---- Training ---------------------------------------------------------------------------- */

/*
 * Threads for all work on a batch: three products, and the update. One row reads each weight once
 * and changes it; unless the threads share columns, which they read again in the next step, a
 * second one would have to fetch the weights from the first.
 */
static size_t step_threads(const cnn_machine *machine, const cnn_shape *shape, size_t rows)
{
    if (rows == 1 && !is_wide(shape))
        return 1;
    return threads_for(machine, SIZE_MAX,
                       (double)shape->parameters * (3 * (double)rows + UPDATE_WORK));
}

/* Whether all weights are narrow enough to be read row-major by so many rows. */
static bool is_narrow(const cnn_shape *shape, size_t rows)
{
    const size_t tiles = cnn_pieces(rows, shape->tile_rows);
    const size_t most =
        rows == 1 ? ROW_MAJOR_BYTES_ONE : cnn_min(ROW_MAJOR_BYTES, ROW_MAJOR_BYTES_TILES / tiles);
    return shape->widest * shape->real_size <= most;
}

/*
 * Panels would be read once for each time they are renewed, if a batch is one block of rows on one
 * thread.
 */
cnn_form cnn_plan_form(const cnn_machine *machine, const cnn_shape *shape,
                       const cnn_training *training)
{
    const size_t rows = training->batch_size;
    const bool alone =
        rows <= CNN_BLOCK_ROWS && is_narrow(shape, rows) && step_threads(machine, shape, rows) == 1;
    return alone && !training->gradient ? CNN_ROW_MAJOR : CNN_PANELS;
}

/*
 * Products want few panels and few rows at a time. The gradient of one row needs no product:
 * parameters then pass through the update in the longest streams.
 */
static void plan_tasks(const cnn_shape *shape, const cnn_training *training, cnn_plan *p)
{
    p->gradient = training->clips || training->gradient ? CNN_GRADIENT_WHOLE
                  : p->rows == 1                        ? CNN_GRADIENT_OUTER
                                                        : CNN_GRADIENT_FUSED;
    p->task_rows = CNN_TASK_ROWS;
    p->task_cols = TASK_PANELS * shape->panel;
    if (p->rows == 1) {
        p->task_rows = p->form == CNN_ROW_MAJOR ? CNN_TASK_ROWS : SIZE_MAX;
        p->task_cols = p->form == CNN_ROW_MAJOR ? SIZE_MAX : shape->panel;
    }
    p->part_cols = p->gradient == CNN_GRADIENT_FUSED ? PART_COLUMNS : SIZE_MAX / 2;
}

bool cnn_plan_indexes(const cnn_shape *shape, size_t rows)
{
    return rows >= shape->group && !shape->transformed;
}

cnn_plan cnn_plan_step(const cnn_machine *machine, const cnn_shape *shape,
                       const cnn_training *training, size_t rows)
{
    cnn_plan p = {.rows = rows, .form = cnn_plan_form(machine, shape, training), .threads = 1};
    if (p.form == CNN_PANELS)
        p.threads = step_threads(machine, shape, rows);
    const bool one_block = rows <= CNN_BLOCK_ROWS && is_wide(shape);
    p.block = cnn_min(rows, even_block(rows, CNN_BLOCK_ROWS, one_block ? 1 : p.threads));
    p.blocks = cnn_pieces(rows, p.block);
    p.split = p.blocks == 1 ? CNN_SPLIT_COLUMNS : CNN_SPLIT_ROWS;
    p.zeros = cnn_plan_indexes(shape, rows);
    plan_tasks(shape, training, &p);
    const size_t bytes = shape->parameters * shape->real_size * (1 + training->slots);
    p.prefetch = p.gradient == CNN_GRADIENT_FUSED &&
                 bytes >= cnn_min(LEAST_PREFETCH_BYTES, 2 * machine->caches.l2);
    return p;
}

size_t cnn_plan_update_scratch(const cnn_shape *shape)
{
    const size_t part = 2 * CNN_TASK_ROWS * PART_COLUMNS;
    /* Of a table of embeddings, numbers, slots and gradient. */
    const size_t most = cnn_max(part, cnn_max(shape->longest, shape->table));
    return cnn_round_up(most * shape->real_size, CNN_LINE);
}

bool cnn_plan_gathers_ahead(const cnn_machine *machine, const cnn_shape *shape, size_t batch_size)
{
    size_t bytes;
    return cnn_multiply(batch_size, shape->input_row * shape->real_size, &bytes) &&
           bytes <= cnn_min(MOST_AHEAD_BYTES, machine->caches.l2);
}

size_t cnn_plan_copy_threads(const cnn_machine *machine, size_t tasks, double bytes)
{
    return threads_for(machine, tasks, BYTE_WORK * bytes);
}

/* ---- Array functions --------------------------------------------------------------------- */

cnn_product_plan cnn_plan_product(const cnn_machine *machine, const cnn_kernels *kernels,
                                  const cnn_gemm *g)
{
    const size_t panels = cnn_pieces(g->n, kernels->panel);
    cnn_product_plan p = {.block_rows = cnn_min(g->m, RECTANGLE_TILES * kernels->tile_rows)};
    if (g->m == 0 || g->n == 0)
        return p;
    const double work = (double)g->m * (double)g->n * (double)g->k;
    p.row_blocks = cnn_pieces(g->m, p.block_rows);
    p.threads = threads_for(machine, p.row_blocks * panels, AWAKE * work);
    size_t cuts = 1;
    if (p.threads > 1 && p.row_blocks < RECTANGLES_PER_THREAD * p.threads)
        cuts = cnn_min(panels, cnn_pieces(RECTANGLES_PER_THREAD * p.threads, p.row_blocks));
    const size_t panels_each = cnn_pieces(panels, cuts);
    p.block_cols = panels_each * kernels->panel;
    p.col_blocks = cnn_pieces(panels, panels_each);
    return p;
}

/*
 * The distance between rows of a copy of a block of a; 0 for no copy. The block is read again for
 * each panel of b. Lines with a large stride are each on a page of its own, and those that compete
 * for cache sets push each other out. Columns are transposed by the kernel that packs, which fills
 * whole panels.
 */
static size_t copy_row(const cnn_kernels *kernels, size_t real_size, const cnn_gemm *g,
                       const cnn_packing_plan *p)
{
    const bool columns = g->a_row == 1;
    const size_t stride = (columns ? g->a_k : g->a_row) * real_size;
    const size_t count = columns ? p->block_k : p->block_rows;
    if (stride < LEAST_COPY_STRIDE || (!columns && g->a_k != 1) || count < LEAST_COPY_LINES ||
        p->strip_cols < LEAST_COPY_PANELS * kernels->panel)
        return 0;
    return cnn_stride_span(cnn_round_up(p->block_k, kernels->panel), real_size);
}

/* Cut k into even pieces of whole chunks, such that a block of a takes at most half of the L2
 * cache: the panels of b and the results stream past it. */
static size_t block_k(const cnn_machine *machine, size_t real_size, const cnn_gemm *g, size_t rows)
{
    const size_t most = cnn_max(cnn_min(machine->caches.l2 / 2, MOST_BLOCK_OF_A_BYTES), CNN_LINE);
    const size_t pieces = cnn_max(cnn_pieces(rows * real_size * g->k, most), 1);
    const size_t each = cnn_round_up(cnn_pieces(g->k, pieces), CNN_CHUNK);
    return cnn_max(cnn_min(each, g->k), 1);
}

/* Whether whole panels of b are read where they are: to pack them for few rows takes longer. */
static bool reads_in_place(const cnn_kernels *kernels, size_t real_size, const cnn_gemm *g,
                           const cnn_pack *b)
{
    if (b->b_col != 1)
        return false;
    return g->m <= IN_PLACE_ROWS || (g->m <= IN_PLACE_TILES * kernels->tile_rows &&
                                     g->k * b->b_row * real_size <= IN_PLACE_BYTES);
}

/*
 * Cut the columns into strips for which there is memory, and some more than threads, which even out
 * a thread that is late; then the rows, if there are too few columns. Strips that share columns
 * pack them twice.
 */
static void cut_strips(const cnn_machine *machine, const cnn_kernels *kernels, size_t real_size,
                       const cnn_gemm *g, cnn_packing_plan *p)
{
    const size_t bytes =
        cnn_max(cnn_min(machine->caches.l3_share / 2, MOST_PACKED_BYTES), LEAST_PACKED_BYTES);
    const size_t panels = cnn_pieces(g->n, kernels->panel);
    const size_t row_blocks = cnn_pieces(g->m, p->block_rows);
    const size_t most = p->in_place ? panels : bytes / (p->block_k * kernels->panel * real_size);
    const size_t wanted = p->threads > 1 ? STRIPS_PER_THREAD * p->threads : 1;
    const size_t useful =
        cnn_max(cnn_pieces(panels, LEAST_STRIP_PANELS), cnn_min(panels, p->threads));
    const size_t cuts = cnn_max(cnn_pieces(panels, cnn_max(most, 1)), cnn_min(wanted, useful));
    const size_t panels_each = cnn_pieces(panels, cuts);
    p->strip_cols = panels_each * kernels->panel;
    p->col_strips = cnn_pieces(panels, panels_each);
    const size_t row_cuts =
        p->threads > 1 && p->col_strips < 2 * p->threads ? cnn_pieces(wanted, p->col_strips) : 1;
    const size_t blocks_each = cnn_pieces(row_blocks, cnn_min(row_cuts, row_blocks));
    p->strip_rows = cnn_min(g->m, blocks_each * p->block_rows);
    p->row_strips = cnn_pieces(g->m, p->strip_rows);
    p->threads = cnn_min(p->threads, p->row_strips * p->col_strips);
}

cnn_packing_plan cnn_plan_packing(const cnn_machine *machine, const cnn_kernels *kernels,
                                  size_t real_size, const cnn_gemm *g, const cnn_pack *b)
{
    cnn_packing_plan p = {.block_rows = cnn_min(g->m, RECTANGLE_TILES * kernels->tile_rows)};
    if (g->m == 0 || g->n == 0)
        return p;
    const size_t tasks = cnn_pieces(g->m, p.block_rows) * cnn_pieces(g->n, kernels->panel);
    p.threads = threads_for(machine, tasks, (double)g->m * (double)g->n * (double)g->k);
    p.block_k = block_k(machine, real_size, g, p.block_rows);
    p.in_place = reads_in_place(kernels, real_size, g, b);
    cut_strips(machine, kernels, real_size, g, &p);
    p.copy_row = copy_row(kernels, real_size, g, &p);
    const size_t packed = p.in_place ? kernels->panel : p.strip_cols;
    p.packed_bytes = cnn_round_up(p.block_k * packed * real_size, CNN_LINE);
    p.worker_bytes = p.packed_bytes + cnn_round_up(p.block_rows * p.copy_row * real_size, CNN_LINE);
    return p;
}

cnn_rows_plan cnn_plan_rows(const cnn_machine *machine, size_t rows, size_t cols)
{
    const size_t least = cnn_max(1, CNN_TASK_ELEMENTS / cols);
    const double work = ELEMENT_WORK * (double)rows * (double)cols;
    cnn_rows_plan p = {.threads = threads_for(machine, cnn_pieces(rows, least), work)};
    const size_t most = p.threads == 1 ? 1 : p.threads * TASKS_PER_THREAD;
    p.block = cnn_max(least, cnn_pieces(rows, most));
    return p;
}

bool cnn_plan_streams(size_t rows, size_t cols, size_t real_size)
{
    return rows * cols * real_size >= STREAM_BYTES;
}
