#include "run/batch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/convert.h"
#include "base/error.h"
#include "base/platform.h"
#include "base/random.h"
#include "base/threads.h"

/* Rows of a weight longer than this, each on a page of its own, are too slow to read in place. */
#define IN_PLACE_ROW_BYTES ((size_t)4096)

/* The same in a batch of more than one row; and for all tiles of the batch, each of which reads the
 * weight anew, in all. */
#define IN_PLACE_ROWS_BYTES ((size_t)512)
#define IN_PLACE_TILES_BYTES ((size_t)8192)

/* The part of a transposed weight that is packed at a time where the whole is not kept: panels, and
 * rows of them, which are whole chunks of the product's sums. */
#define SOME_PANELS 4
#define SOME_ROWS CNN_CHUNK

/* Workers count on cache lines of their own: rows that are correct, and rows of inputs that are not
 * finite. */
#define COUNTER_STRIDE 8

/* The most by which a gradient's sum may exceed its bound in exact numbers, of any number of rows
 * that fits into memory: each rounding adds a part in 2^24 at most. */
#define ROUNDING 2.0

/* ---- Memory ------------------------------------------------------------------------------ */

static void lay_out_layer(cnn_batch *batch, cnn_arena *arena, size_t l)
{
    const cnn_network *network = batch->network;
    const cnn_dense *dense = &network->dense[l];
    cnn_batch_layer *layer = &batch->layers[l];
    const size_t rows = batch->capacity, size = network->real_size;
    const size_t panel = network->kernels->panel;
    layer->row = cnn_row_span(network, dense->outputs);
    const size_t row_bytes = layer->row * size;
    layer->output = cnn_arena_take(arena, rows, row_bytes);
    layer->delta = cnn_arena_take(arena, rows, row_bytes);
    layer->packed = cnn_arena_take(arena, rows, cnn_round_up(dense->outputs, panel) * size);
    if (cnn_activation_needs_input((int)dense->activation.kind))
        layer->before = cnn_arena_take(arena, rows, row_bytes);
    if (dense->rate > 0)
        layer->dropped = cnn_arena_take(arena, rows, row_bytes);
    if (l > 0 && rows > CNN_BLOCK_ROWS)
        layer->transposed =
            cnn_arena_take(arena, dense->outputs, cnn_round_up(dense->inputs, panel) * size);
}

static void lay_out(cnn_batch *batch, cnn_arena *arena)
{
    const cnn_network *network = batch->network;
    const size_t rows = batch->capacity, size = network->real_size;
    const size_t outputs = cnn_network_outputs(network);
    cnn_inputs_lay_out(&batch->inputs, network, rows, batch->workers, CNN_BLOCK_ROWS, CNN_TASK_ROWS,
                       arena);
    batch->targets.t_row = cnn_row_span(network, outputs);
    batch->targets.t = cnn_arena_take(arena, rows, batch->targets.t_row * size);
    batch->targets.labels = cnn_arena_take(arena, rows, sizeof *batch->targets.labels);
    batch->targets.weight = cnn_arena_take(arena, rows, sizeof *batch->targets.weight);
    batch->targets.factor = cnn_arena_take(arena, rows, sizeof *batch->targets.factor);
    batch->loss_rows = cnn_arena_take(arena, rows, sizeof *batch->loss_rows);
    batch->scale = cnn_arena_take(arena, rows, sizeof *batch->scale);
    batch->correct = cnn_arena_take(arena, batch->workers * COUNTER_STRIDE, sizeof *batch->correct);
    batch->largest = cnn_arena_take(arena, batch->workers,
                                    cnn_round_up(2 * network->dense_count * sizeof(double), 64));
    batch->transposed_parts = cnn_arena_take(
        arena, batch->workers * SOME_PANELS * network->kernels->panel * SOME_ROWS, size);
    for (size_t l = 0; l < network->dense_count; l++)
        lay_out_layer(batch, arena, l);
}

cnn_status cnn_batch_create(const cnn_network *network, size_t capacity, size_t workers,
                            cnn_batch **batch)
{
    cnn_batch *made = calloc(1, sizeof *made);
    if (made)
        made->layers = calloc(network->dense_count, sizeof *made->layers);
    if (!made || !made->layers) {
        cnn_batch_destroy(made);
        return cnn_fail(CNN_ERROR_MEMORY, "out of memory for a batch");
    }
    made->network = network;
    made->capacity = capacity;
    made->workers = workers;
    made->version = network->version - 1;
    cnn_arena arena = {.memory = NULL};
    lay_out(made, &arena);
    if (!arena.overflow)
        made->memory = cnn_platform_allocate(arena.used);
    if (!made->memory) {
        cnn_batch_destroy(made);
        return cnn_fail(CNN_ERROR_MEMORY, "out of memory for a batch of %zu rows", capacity);
    }
    arena = (cnn_arena){.memory = made->memory};
    lay_out(made, &arena);
    *batch = made;
    return CNN_OK;
}

void cnn_batch_destroy(cnn_batch *batch)
{
    if (!batch)
        return;
    cnn_platform_free(batch->memory);
    free(batch->layers);
    free(batch);
}

cnn_status cnn_batch_reserve(const cnn_network *network, size_t rows, cnn_batch **batch)
{
    const size_t workers = cnn_threads_get();
    if (*batch && (*batch)->capacity >= rows && (*batch)->workers >= workers)
        return CNN_OK;
    size_t capacity = cnn_max(rows, 1);
    if (*batch)
        capacity = cnn_max(capacity, (*batch)->capacity);
    cnn_batch *made = NULL;
    const cnn_status status = cnn_batch_create(network, capacity, workers, &made);
    if (status != CNN_OK)
        return status;
    cnn_batch_destroy(*batch);
    *batch = made;
    return CNN_OK;
}

/* ---- Forward and back -------------------------------------------------------------------- */

struct pass {
    cnn_batch *batch;
    const cnn_batch_job *job;
    size_t block;
    bool shared; /* the batch is one block, and the threads share the columns of its layers */
};

/* The stream of a dropout layer's masks at a step. */
static uint64_t dropout_key(const cnn_network *network, const cnn_dense *dense, int64_t step)
{
    return cnn_random_stream(network->seed, CNN_RANDOM_DROPOUT, (uint32_t)dense->dropout,
                             (uint64_t)step);
}

/* What layer l + 1 reads: the output of layer l, after dropout if there is any. */
static void *handed_on(const cnn_batch *batch, size_t l, int64_t step)
{
    const bool dropped = batch->layers[l].dropped && step >= 0;
    return dropped ? batch->layers[l].dropped : batch->layers[l].output;
}

/*
 * A row without weight counts as a row of zeros from its inputs to its outputs, so that nothing it
 * has, infinite or NaN as it may be, reaches a product with the other rows.
 */
static void forget_row(const cnn_batch *batch, size_t i)
{
    const cnn_network *network = batch->network;
    const cnn_inputs *inputs = &batch->inputs;
    memset(cnn_at(network, inputs->present.x, i * inputs->row), 0,
           network->dense[0].inputs * network->real_size);
    for (size_t l = 0; l < network->dense_count; l++) {
        const cnn_batch_layer *layer = &batch->layers[l];
        void *const buffers[] = {layer->output, layer->before, layer->dropped};
        for (size_t b = 0; b < sizeof buffers / sizeof *buffers; b++)
            if (buffers[b])
                memset(cnn_at(network, buffers[b], i * layer->row), 0,
                       network->dense[l].outputs * network->real_size);
    }
}

static void forward_rows(const struct pass *p, size_t first, size_t rows, size_t worker)
{
    const cnn_batch *batch = p->batch;
    const cnn_network *network = batch->network;
    const cnn_batch_job *job = p->job;
    const cnn_inputs *inputs = &batch->inputs;
    cnn_lists lists;
    const void *in = cnn_at(network, inputs->present.x, first * inputs->row);
    size_t in_row = inputs->row;
    cnn_inputs_gather(inputs, &job->data->x, job->index, job->first, first, rows);
    const cnn_lists *some = cnn_inputs_forward_lists(inputs, first, rows, worker, &lists);
    for (size_t l = 0; l < network->dense_count; l++) {
        const cnn_dense *dense = &network->dense[l];
        const cnn_batch_layer *layer = &batch->layers[l];
        const size_t at = first * layer->row;
        unsigned how = batch->in_place ? CNN_IN_PLACE : p->shared ? CNN_SHARED : 0;
        if (l + 1 == network->dense_count && cnn_loss_takes_logits(job->loss))
            how |= CNN_LOGITS;
        cnn_dense_forward(network, dense, rows, in, in_row, how, l == 0 ? some : NULL,
                          cnn_at(network, layer->output, at), layer->row,
                          layer->before ? cnn_at(network, layer->before, at) : NULL);
        if (layer->dropped && job->step >= 0)
            network->kernels->dropout(dropout_key(network, dense, job->step), dense->rate, first,
                                      rows, dense->outputs, cnn_at(network, layer->output, at),
                                      layer->row, cnn_at(network, layer->dropped, at), layer->row);
        in = cnn_at(network, handed_on(batch, l, job->step), at);
        in_row = layer->row;
    }
    for (size_t i = first; i < first + rows; i++)
        if (batch->targets.factor[i] == 0)
            forget_row(batch, i);
}

/* Note whether inputs, which are in the cache now, are finite in the network's type. */
static void look_at_inputs(const struct pass *p, size_t first, size_t rows, size_t worker)
{
    const cnn_batch *batch = p->batch;
    const cnn_network *network = batch->network;
    if (!cnn_dtype_has_infinity(p->job->data->x.dtype))
        return;
    const cnn_inputs *inputs = &batch->inputs;
    const void *x = cnn_at(network, inputs->present.x, first * inputs->row);
    batch->correct[worker * COUNTER_STRIDE + 1] +=
        cnn_count_nonfinite(network, rows, x, inputs->row, batch->targets.factor + first);
}

cnn_status cnn_batch_check_inputs(const cnn_batch *batch, const cnn_batch_job *job)
{
    const cnn_network *network = batch->network;
    const cnn_inputs *inputs = &batch->inputs;
    const size_t cols = cnn_network_inputs(network);
    size_t bad = 0, i = 0, j = 0;
    for (size_t w = 0; w < batch->workers; w++)
        bad += batch->correct[w * COUNTER_STRIDE + 1];
    if (bad == 0)
        return CNN_OK;
    while (network->kernels->finite(1, cols, cnn_at(network, inputs->present.x, i * inputs->row),
                                    cols))
        i++;
    while (
        network->kernels->finite(1, 1, cnn_at(network, inputs->present.x, i * inputs->row + j), 1))
        j++;
    return cnn_fail_number(CNN_ERROR_NONFINITE, "x", &job->data->x, network->dtype,
                           job->index ? job->index[i] : job->first + i, j, "finite");
}

/* The losses of rows, and the delta of the last layer. */
static void loss_rows(const struct pass *p, size_t first, size_t rows, size_t worker)
{
    const cnn_batch *batch = p->batch;
    const cnn_network *network = batch->network;
    const cnn_loss *loss = p->job->loss;
    const cnn_dense *dense = &network->dense[network->dense_count - 1];
    const cnn_batch_layer *layer = &batch->layers[network->dense_count - 1];
    const bool logits = cnn_loss_takes_logits(loss);
    void *delta = cnn_at(network, layer->delta, first * layer->row);
    const void *output = cnn_at(network, layer->output, first * layer->row);
    cnn_loss_rows l = cnn_targets_loss(loss, &batch->targets, network->dtype, first);
    l.rows = rows;
    l.cols = dense->outputs;
    l.z = output;
    l.z_row = layer->row;
    l.scale = batch->scale + first;
    l.loss_rows = batch->loss_rows + first;
    l.gradient = delta;
    l.gradient_row = layer->row;
    l.correct = logits ? &batch->correct[worker * COUNTER_STRIDE] : NULL;
    network->kernels->loss(&l);
    if (!logits && dense->activation.kind != CNN_IDENTITY)
        network->kernels->activation_backward(
            dense->activation, rows, dense->outputs, delta, layer->row,
            layer->before ? cnn_at(network, layer->before, first * layer->row) : output, layer->row,
            delta, layer->row, 0);
}

/* Pack a part of a weight, transposed. It is read where this batch's training keeps it current. */
static void pack_transposed(const cnn_batch *batch, const cnn_rectangle *r, void *packed,
                            size_t packed_panel)
{
    const cnn_network *network = batch->network;
    const cnn_dense *dense = &network->dense[r->l];
    const size_t panel = network->kernels->panel;
    const size_t most = batch->in_place ? r->n : panel;
    for (size_t done = 0; done < r->n; done += most) {
        const size_t j = r->j + done;
        const cnn_pack pack = {
            .k = cnn_min(most, r->n - done),
            .n = r->m,
            .b = batch->in_place ? cnn_at(network, dense->weight, r->i * dense->outputs + j)
                                 : cnn_dense_panel(network, dense, r->i, j),
            .b_row = 1,
            .b_col = batch->in_place ? dense->outputs : panel,
            .packed = cnn_at(network, packed, done * panel),
            .b_panel = packed_panel,
            .ahead = batch->in_place ? 0 : dense->inputs * panel,
        };
        network->kernels->pack(&pack);
    }
}

/*
 * Columns [r.i, r.i + r.m) of the delta of layer r.l - 1 from that of layer r.l, as far as columns
 * [r.j, r.j + r.n) of the latter go; b holds that part of the weight, transposed. Parts go in order
 * of r.j. Dropout of layer r.l - 1 and what lies below it are not in it.
 */
static void backward_part(const struct pass *p, const cnn_rectangle *r, size_t first, size_t rows,
                          const void *b, bool dropped)
{
    const cnn_batch *batch = p->batch;
    const cnn_network *network = batch->network;
    const cnn_dense *below = &network->dense[r->l - 1];
    const cnn_batch_layer *from = &batch->layers[r->l], *to = &batch->layers[r->l - 1];
    const bool finish = r->j + r->n == network->dense[r->l].outputs && !dropped;
    const size_t at = first * to->row + r->i;
    const cnn_gemm gemm = {
        .m = rows,
        .n = r->m,
        .k = r->n,
        .a = cnn_at(network, from->delta, first * from->row + r->j),
        .a_row = from->row,
        .a_k = 1,
        .b = b,
        .b_k = network->kernels->panel,
        .b_panel = r->n * network->kernels->panel,
        .c = cnn_at(network, to->delta, at),
        .c_row = to->row,
        .accumulate = r->j > 0,
        .activation = finish ? below->activation : (cnn_activation_spec){.kind = CNN_IDENTITY},
        .derivative = finish ? cnn_at(network, to->before ? to->before : to->output, at) : NULL,
        .derivative_row = to->row,
    };
    network->kernels->gemm(&gemm);
}

/* Strips of columns of the delta of layer l - 1: the weight is packed by parts for each. */
struct strips {
    const struct pass *pass;
    size_t l, first, rows;
    bool dropped;
};

static size_t strip_columns(const cnn_network *network)
{
    return SOME_PANELS * network->kernels->panel;
}

static void backward_strip(void *context, size_t index, size_t worker)
{
    const struct strips *s = context;
    const cnn_batch *batch = s->pass->batch;
    const cnn_network *network = batch->network;
    const cnn_dense *dense = &network->dense[s->l];
    const size_t columns = strip_columns(network);
    void *part = cnn_at(network, batch->transposed_parts, worker * columns * SOME_ROWS);
    cnn_rectangle r = {.l = s->l, .i = index * columns};
    r.m = cnn_min(columns, dense->inputs - r.i);
    for (; r.j < dense->outputs; r.j += r.n) {
        r.n = cnn_min(SOME_ROWS, dense->outputs - r.j);
        pack_transposed(batch, &r, part, r.n * network->kernels->panel);
        backward_part(s->pass, &r, s->first, s->rows, part, s->dropped);
    }
}

/* The delta of layer l - 1 from that of layer l. */
static void backward_rows(const struct pass *p, size_t l, size_t first, size_t rows, size_t worker)
{
    const cnn_batch *batch = p->batch;
    const cnn_network *network = batch->network;
    const cnn_dense *dense = &network->dense[l], *below = &network->dense[l - 1];
    const cnn_batch_layer *to = &batch->layers[l - 1];
    const bool dropped = to->dropped && p->job->step >= 0;
    struct strips strips = {.pass = p, .l = l, .first = first, .rows = rows, .dropped = dropped};
    const size_t columns = strip_columns(network);
    const size_t count = (dense->inputs + columns - 1) / columns;
    if (batch->keeps_transposed) {
        const cnn_rectangle all = {.l = l, .m = dense->inputs, .n = dense->outputs};
        backward_part(p, &all, first, rows, batch->layers[l].transposed, dropped);
    } else if (p->shared) {
        cnn_parallel(count, batch->threads, backward_strip, &strips);
    } else {
        for (size_t index = 0; index < count; index++)
            backward_strip(&strips, index, worker);
    }
    if (!dropped)
        return;
    /* A mask multiplies the gradient as it did the output: the same stream, the same function. */
    void *delta = cnn_at(network, to->delta, first * to->row);
    const void *source = cnn_at(network, to->before ? to->before : to->output, first * to->row);
    network->kernels->dropout(dropout_key(network, below, p->job->step), below->rate, first, rows,
                              below->outputs, delta, to->row, delta, to->row);
    network->kernels->activation_backward(below->activation, rows, below->outputs, delta, to->row,
                                          source, to->row, delta, to->row, 0);
}

static void pack_delta(const struct pass *p, size_t l, size_t first, size_t rows)
{
    const cnn_batch *batch = p->batch;
    const cnn_network *network = batch->network;
    const cnn_batch_layer *layer = &batch->layers[l];
    const size_t panel = network->kernels->panel;
    const cnn_pack pack = {
        .k = rows,
        .n = network->dense[l].outputs,
        .b = cnn_at(network, layer->delta, first * layer->row),
        .b_row = layer->row,
        .b_col = 1,
        .packed = cnn_at(network, layer->packed, first * panel),
        .b_panel = batch->capacity * panel,
    };
    network->kernels->pack(&pack);
}

static double *largest_of(const cnn_batch *batch, size_t worker)
{
    return batch->largest + cnn_round_up(2 * batch->network->dense_count, 8) * worker;
}

/* The largest number that a layer may hand on, with its dropout; infinite if its inputs decide. */
static double largest_output(const cnn_dense *dense)
{
    const double bound = cnn_activation_bound((int)dense->activation.kind);
    return bound > 0 ? bound / (1 - dense->rate) : INFINITY;
}

/* Look at what each layer read, and at its delta, while these are in the cache. */
static void measure_rows(const cnn_batch *batch, size_t first, size_t rows, size_t worker)
{
    const cnn_network *network = batch->network;
    const cnn_kernels *kernels = network->kernels;
    double *largest = largest_of(batch, worker);
    for (size_t l = 0; l < network->dense_count; l++, largest += 2) {
        const cnn_dense *dense = &network->dense[l];
        const size_t row = batch->layers[l].row;
        const void *delta = cnn_at(network, batch->layers[l].delta, first * row);
        largest[1] = fmax(largest[1], kernels->largest(rows, dense->outputs, delta, row));
        double most = l == 0 ? INFINITY : largest_output(dense - 1);
        if (isinf(most)) {
            const size_t in_row = l == 0 ? batch->inputs.row : batch->layers[l - 1].row;
            const void *in = cnn_at(network, cnn_batch_input(batch, l), first * in_row);
            most = kernels->largest(rows, dense->inputs, in, in_row);
        }
        largest[0] = fmax(largest[0], most);
    }
}

static void run_block(void *context, size_t index, size_t worker)
{
    const struct pass *p = context;
    const size_t first = index * p->block;
    const size_t rows = cnn_min(p->block, p->batch->rows - first);
    forward_rows(p, first, rows, worker);
    look_at_inputs(p, first, rows, worker);
    loss_rows(p, first, rows, worker);
    for (size_t l = p->batch->network->dense_count; l-- > 0;) {
        pack_delta(p, l, first, rows);
        if (l > 0)
            backward_rows(p, l, first, rows, worker);
    }
    if (p->job->measure)
        measure_rows(p->batch, first, rows, worker);
}

/* Whether all weights are narrow enough to be read in place by so many rows. */
static bool weights_are_narrow(const cnn_network *network, size_t rows)
{
    const size_t tiles = (rows + network->kernels->tile_rows - 1) / network->kernels->tile_rows;
    const size_t most =
        rows == 1 ? IN_PLACE_ROW_BYTES : cnn_min(IN_PLACE_ROWS_BYTES, IN_PLACE_TILES_BYTES / tiles);
    for (size_t l = 0; l < network->dense_count; l++)
        if (network->dense[l].outputs * network->real_size > most)
            return false;
    return true;
}

/*
 * Threads for all work on a batch: three products, and an update worth 16 multiply-adds. One row
 * reads each weight once and changes it; unless the threads share columns, which they read again in
 * the next step, a second one would have to fetch the weights from the first.
 */
static size_t threads_for(const cnn_batch *batch, size_t rows)
{
    if (rows == 1 && !cnn_forward_is_wide(batch->network))
        return 1;
    const double work = cnn_forward_work(batch->network) * (3 * (double)rows + 16);
    return cnn_min(cnn_parallel_threads(SIZE_MAX, work), batch->workers);
}

bool cnn_batch_in_place(const cnn_batch *batch, size_t rows)
{
    return rows <= CNN_BLOCK_ROWS && weights_are_narrow(batch->network, rows) &&
           threads_for(batch, rows) == 1;
}

static void repack_if_changed(cnn_batch *batch)
{
    const cnn_network *network = batch->network;
    if (batch->version == network->version)
        return;
    for (size_t l = 1; l < network->dense_count; l++) {
        const cnn_dense *dense = &network->dense[l];
        const cnn_rectangle all = {.l = l, .m = dense->inputs, .n = dense->outputs};
        cnn_batch_pack_transposed(batch, &all);
    }
    batch->version = network->version;
}

cnn_status cnn_batch_run(cnn_batch *batch, const cnn_batch_job *job, double *loss, double *weight,
                         size_t *correct)
{
    const cnn_network *network = batch->network;
    batch->rows = job->rows;
    batch->step = job->step;
    const cnn_status status = cnn_samples_read(job->loss, &job->data->t, &job->data->sample_weight,
                                               cnn_network_outputs(network), network->dtype,
                                               job->index, job->first, job->rows, &batch->targets);
    if (status != CNN_OK)
        return status;
    batch->in_place = job->in_place;
    batch->threads = batch->in_place ? 1 : threads_for(batch, job->rows);
    struct pass pass = {.batch = batch, .job = job};
    const bool share = job->rows <= CNN_BLOCK_ROWS && cnn_forward_is_wide(network);
    pass.block = cnn_even_block(job->rows, CNN_BLOCK_ROWS, share ? 1 : batch->threads);
    const size_t blocks = (job->rows + pass.block - 1) / pass.block;
    batch->keeps_transposed = blocks > batch->threads;
    pass.shared = blocks == 1 && batch->threads > 1;
    if (batch->keeps_transposed)
        repack_if_changed(batch);
    cnn_inputs_begin(&batch->inputs, job->rows, job->follows, batch->in_place);
    cnn_inputs_find_next(&batch->inputs, &job->data->x, job->index ? job->index + job->rows : NULL,
                         job->soon);
    const double total = cnn_weights_scale(job->rows, &batch->targets, batch->scale);
    cnn_lanes losses = {.count = 0};
    memset(batch->correct, 0, batch->workers * COUNTER_STRIDE * sizeof *batch->correct);
    if (job->measure)
        memset(batch->largest, 0,
               (size_t)((char *)largest_of(batch, batch->workers) - (char *)batch->largest));
    cnn_parallel(blocks, batch->threads, run_block, &pass);
    cnn_inputs_check_delta(&batch->inputs, job->rows, batch->layers[0].delta, batch->layers[0].row);
    for (size_t w = 0; w < batch->workers; w++)
        *correct += batch->correct[w * COUNTER_STRIDE];
    cnn_lanes_add_products(&losses, job->rows, batch->targets.factor, batch->loss_rows);
    *loss = (total > 0 ? cnn_lanes_total(&losses) / total : 0) + cnn_network_penalty(network);
    *weight = total;
    return CNN_OK;
}

/* ---- Gradients of parameters ------------------------------------------------------------- */

const void *cnn_batch_input(const cnn_batch *batch, size_t l)
{
    return l == 0 ? batch->inputs.present.x : handed_on(batch, l - 1, batch->step);
}

double cnn_batch_largest_gradient(const cnn_batch *batch, size_t l)
{
    double in = 1, delta = 0; /* a bias reads ones */
    for (size_t w = 0; w < batch->workers; w++) {
        const double *largest = largest_of(batch, w) + 2 * l;
        in = fmax(in, largest[0]);
        delta = fmax(delta, largest[1]);
    }
    return ROUNDING * (double)batch->rows * in * delta;
}

void cnn_batch_weight_gradient(const cnn_batch *batch, const cnn_rectangle *r, void *c,
                               size_t c_row, const cnn_lists *lists, const cnn_span *soon,
                               size_t soon_count)
{
    const cnn_network *network = batch->network;
    const size_t panel = network->kernels->panel;
    const cnn_gemm gemm = {
        .m = r->m,
        .n = r->n,
        .k = batch->rows,
        .a = cnn_at(network, cnn_batch_input(batch, r->l), r->i),
        .a_row = 1,
        .a_k = r->l == 0 ? batch->inputs.row : batch->layers[r->l - 1].row,
        .b = cnn_at(network, batch->layers[r->l].packed, r->j * batch->capacity),
        .b_k = panel,
        .b_panel = batch->capacity * panel,
        .c = c,
        .c_row = c_row,
        .soon = soon,
        .soon_count = soon_count,
        .lists = lists,
    };
    network->kernels->gemm(&gemm);
}

void cnn_batch_bias_gradient(const cnn_batch *batch, size_t l, void *out)
{
    const cnn_network *network = batch->network;
    const cnn_batch_layer *layer = &batch->layers[l];
    network->kernels->column_sum(batch->rows, network->dense[l].outputs, layer->delta, layer->row,
                                 out);
}

void cnn_batch_pack_transposed(const cnn_batch *batch, const cnn_rectangle *r)
{
    const cnn_network *network = batch->network;
    const size_t panel = network->kernels->panel, outputs = network->dense[r->l].outputs;
    pack_transposed(batch, r,
                    cnn_at(network, batch->layers[r->l].transposed, r->i * outputs + r->j * panel),
                    outputs * panel);
}
