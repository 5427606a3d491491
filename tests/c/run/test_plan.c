/*
 * Plans for known shapes on machines with known caches, printed and compared with those listed
 * here. A change of a threshold shows what it changes.
 */
#include "run/plan.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "check.h"

typedef struct machine {
    const char *name;
    cnn_caches caches;
} machine;

enum { KIB = 1024 };

static const machine machines[] = {
    {"zen3", {32 * KIB, 512 * KIB, 4096 * KIB}},    {"zen4", {32 * KIB, 1024 * KIB, 4096 * KIB}},
    {"laptop", {48 * KIB, 2048 * KIB, 3072 * KIB}}, {"old", {32 * KIB, 256 * KIB, 2048 * KIB}},
    {"m1", {128 * KIB, 3072 * KIB, 8192 * KIB}},
};

/* Kernels of AVX-512 in float32, as far as plans depend on them. */
static const cnn_kernels kernels = {.isa = "avx512", .tile_rows = 12, .panel = 32, .group = 8};

static const cnn_dense_shape digits[] = {{784, 50}, {50, 100}, {100, 10}};
static const cnn_dense_shape policy[] = {{8, 64}, {64, 64}, {64, 4}};
static const cnn_dense_shape wide[] = {{512, 4096}, {4096, 4096}, {4096, 512}};
static const cnn_dense_shape middle[] = {{784, 256}, {256, 10}};

typedef struct network {
    const char *name;
    size_t count;
    const cnn_dense_shape *dense;
} network;

static const network networks[] = {
    {"784-50-100-10", 3, digits},
    {"8-64-64-4", 3, policy},
    {"784-256-10", 2, middle},
    {"512-4096-4096-512", 3, wide},
};

/* What the plans should be: those of zen4, then only those of other machines that differ, and the
 * cuts of products on all. After a change of plan.c, read what this program prints; if it is meant,
 * it becomes the file's text. */
static const char *const expected[] = {
#include "run/plans.txt"
};

static size_t printed, differing;

static void show(const char *format, ...)
{
    char line[200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    printf("    \"%s\",\n", line);
    const size_t count = sizeof expected / sizeof *expected;
    if (printed >= count || strcmp(expected[printed], line) != 0)
        differing++;
    printed++;
}

static cnn_plan predict_plan(const cnn_machine *now, const cnn_shape *shape, size_t rows,
                             size_t workspace)
{
    cnn_plan plan;
    cnn_plan_predict(now, shape, rows, workspace, &plan);
    return plan;
}

static void describe(char *text, size_t size, const cnn_plan *p)
{
    static const char *const splits[] = {"rows", "columns"};
    static const char *const forms[] = {"row-major", "panels"};
    snprintf(text, size, "%zu x %zu rows, %zu threads, %s, %s%s", p->blocks, p->block, p->threads,
             splits[p->split], forms[p->form], p->zeros ? ", zeros" : "");
}

static void describe_step(char *text, size_t size, const cnn_plan *p)
{
    static const char *const gradients[] = {"fused", "outer", "whole"};
    describe(text, size, p);
    const size_t used = strlen(text);
    snprintf(text + used, size - used, ", %s%s", gradients[p->gradient],
             p->prefetch ? ", prefetch" : "");
}

/* Print the plans of one network with so many threads on a machine; only those that differ from
 * the plans on `usual`, unless that is NULL. */
static void show_network(const machine *where, const machine *usual, const network *n,
                         size_t threads)
{
    static const size_t rows[] = {1, 2, 100, 1000, 100000};
    static const size_t batches[] = {1, 32, 100, 1000};
    const cnn_shape shape = cnn_shape_make(&kernels, sizeof(float), n->count, n->dense);
    const cnn_machine now = {threads, where->caches};
    const cnn_machine other = {threads, usual ? usual->caches : where->caches};
    char text[160], before[160];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cnn_plan p = predict_plan(&now, &shape, rows[i], SIZE_MAX);
        describe(text, sizeof text, &p);
        p = predict_plan(&other, &shape, rows[i], SIZE_MAX);
        describe(before, sizeof before, &p);
        if (!usual || strcmp(text, before) != 0)
            show("%s %s predict %zu of %zu: %s", where->name, n->name, rows[i], threads, text);
    }
    for (size_t i = 0; i < sizeof batches / sizeof *batches; i++)
        for (size_t slots = 0; slots <= 2; slots += 2) {
            const cnn_training training = {.batch_size = batches[i], .slots = slots};
            cnn_plan p = cnn_plan_step(&now, &shape, &training, batches[i]);
            describe_step(text, sizeof text, &p);
            p = cnn_plan_step(&other, &shape, &training, batches[i]);
            describe_step(before, sizeof before, &p);
            if (!usual || strcmp(text, before) != 0)
                show("%s %s %s %zu of %zu: %s", where->name, n->name, slots ? "adam" : "sgd",
                     batches[i], threads, text);
        }
}

/* Print how products with b packed on the way are cut: forward and the gradient of the weight. */
static void show_products(const machine *where, size_t threads)
{
    static const size_t sizes[][3] = {{1, 1000, 1000},    {100, 50, 784},     {128, 1024, 1024},
                                      {1000, 1000, 1000}, {2048, 2048, 2048}, {1000, 512, 10000}};
    const cnn_machine now = {threads, where->caches};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int columns = 0; columns < 2; columns++) {
            cnn_gemm g = {.m = sizes[i][0], .n = sizes[i][1], .k = sizes[i][2]};
            g.a_row = columns ? 1 : g.k;
            g.a_k = columns ? g.m : 1;
            const cnn_pack b = {.b_row = g.n, .b_col = 1};
            const cnn_packing_plan p = cnn_plan_packing(&now, &kernels, sizeof(float), &g, &b);
            show("%s product %s%zu x %zu x %zu of %zu: %zu x %zu strips of %zu x %zu, %zu threads, "
                 "blocks of %zu x %zu, %s%s",
                 where->name, columns ? "by columns " : "", g.m, g.n, g.k, threads, p.row_strips,
                 p.col_strips, p.strip_rows, p.strip_cols, p.threads, p.block_rows, p.block_k,
                 p.copy_row ? "copied" : "not copied", p.in_place ? ", b in place" : "");
        }
}

static void test_printed(void)
{
    const machine *usual = &machines[1];
    for (size_t threads = 1; threads <= 2; threads++)
        for (size_t n = 0; n < sizeof networks / sizeof *networks; n++)
            show_network(usual, NULL, &networks[n], threads);
    for (size_t m = 0; m < sizeof machines / sizeof *machines; m++)
        for (size_t n = 0; n < sizeof networks / sizeof *networks && &machines[m] != usual; n++)
            show_network(&machines[m], usual, &networks[n], 1);
    for (size_t m = 0; m < sizeof machines / sizeof *machines; m++)
        for (size_t threads = 1; threads <= (&machines[m] == usual ? 2 : 1); threads++)
            show_products(&machines[m], threads);
    CHECK(differing == 0);
    CHECK(printed == sizeof expected / sizeof *expected);
}

/* ---- What must hold for every plan ------------------------------------------------------- */

static void check_step(const cnn_plan *p, const cnn_machine *now, const cnn_shape *shape,
                       const cnn_training *training)
{
    CHECK(p->block > 0 && p->block <= CNN_BLOCK_ROWS);
    CHECK(p->blocks == (p->rows + p->block - 1) / p->block);
    CHECK(p->threads >= 1 && p->threads <= now->threads);
    /* A row-major weight is changed by one thread, in a batch of one block. */
    CHECK(p->form == CNN_PANELS || (p->threads == 1 && p->blocks == 1));
    /* A call for the gradient alone may have a const network, whose row-major form may be stale. */
    CHECK(!training->gradient || p->form == CNN_PANELS);
    CHECK(p->form == cnn_plan_form(now, shape, training));
    const bool whole = training->clips || training->gradient;
    CHECK((p->split == CNN_SPLIT_COLUMNS) == (p->blocks == 1));
    CHECK((p->gradient == CNN_GRADIENT_WHOLE) == whole);
    CHECK((p->gradient == CNN_GRADIENT_OUTER) == (p->rows == 1 && !whole));
    /* In panels a task's columns begin at a panel, and a part of it fits its scratch. */
    CHECK(p->form == CNN_ROW_MAJOR || p->task_cols % kernels.panel == 0);
    if (p->gradient == CNN_GRADIENT_FUSED) {
        CHECK(p->part_cols % kernels.panel == 0);
        CHECK(2 * p->part_cols * p->task_rows * shape->real_size <= cnn_plan_update_scratch(shape));
    }
}

/* The plans of all batches of a call, the last of which may have fewer rows. */
static void check_call(const cnn_machine *now, const cnn_shape *shape, size_t batch_size)
{
    for (int kind = 0; kind < 3; kind++) {
        const cnn_training training = {
            .batch_size = batch_size, .clips = kind == 1, .gradient = kind == 2};
        for (size_t rows = 1; rows <= batch_size; rows += 1 + rows / 2) {
            const cnn_plan p = cnn_plan_step(now, shape, &training, rows);
            CHECK(p.rows == rows);
            check_step(&p, now, shape, &training);
        }
    }
}

static void test_rules(void)
{
    for (size_t m = 0; m < sizeof machines / sizeof *machines; m++)
        for (size_t n = 0; n < sizeof networks / sizeof *networks; n++)
            for (size_t threads = 1; threads <= 16; threads *= 2)
                for (size_t rows = 1; rows < 3000; rows += 1 + rows / 8) {
                    const cnn_shape shape = cnn_shape_make(&kernels, sizeof(float),
                                                           networks[n].count, networks[n].dense);
                    const cnn_machine now = {threads, machines[m].caches};
                    const cnn_plan predict = predict_plan(&now, &shape, rows, SIZE_MAX);
                    CHECK(predict.block * predict.blocks >= rows);
                    CHECK(predict.workers <= predict.threads && predict.threads <= threads);
                    CHECK(predict.workers <= predict.blocks);
                    check_call(&now, &shape, rows);
                }
}

/* A workspace takes threads first, then rows of a block, and is never exceeded. */
static void test_workspace(void)
{
    const cnn_shape shape = cnn_shape_make(&kernels, sizeof(float), 3, digits);
    const cnn_machine now = {4, machines[1].caches};
    const cnn_plan free = predict_plan(&now, &shape, 10000, SIZE_MAX);
    CHECK(free.workers == 4);
    const size_t enough = free.workers * free.worker_bytes;
    CHECK(predict_plan(&now, &shape, 10000, enough).workers == 4);
    CHECK(predict_plan(&now, &shape, 10000, enough - 1).workers == 1);
    const size_t least = cnn_plan_scratch(&shape, 1);
    CHECK(predict_plan(&now, &shape, 10000, least - 1).block == 0);
    CHECK(predict_plan(&now, &shape, 10000, least).block == 1);
    for (size_t bytes = least; bytes < enough; bytes += bytes / 7 + 1) {
        const cnn_plan p = predict_plan(&now, &shape, 10000, bytes);
        const size_t each = p.workers > 1 ? p.worker_bytes : cnn_plan_scratch(&shape, p.block);
        CHECK(p.block > 0 && p.workers * each <= bytes);
        CHECK(p.block * p.blocks >= 10000);
    }
}

/* Derivatives: the same for their workspace, of which threads that share columns take more. */
static void test_derivatives(void)
{
    const cnn_walk_bytes bytes = {.worker = 256, .thread = 128 * KIB, .row = 4096, .delta = 1024};
    for (size_t n = 0; n < sizeof networks / sizeof *networks; n++)
        for (int jacobian = 0; jacobian < 2; jacobian++)
            for (size_t rows = 1; rows < 3000; rows += 1 + rows / 2) {
                const cnn_shape shape =
                    cnn_shape_make(&kernels, sizeof(float), networks[n].count, networks[n].dense);
                const cnn_machine now = {4, machines[1].caches}, one = {1, machines[1].caches};
                cnn_plan p;
                cnn_plan_derivatives(&one, &shape, &bytes, jacobian, 1, SIZE_MAX, &p);
                const size_t least = p.worker_bytes;
                const size_t outputs = cnn_min(shape.outputs, CNN_BLOCK_ROWS);
                for (size_t space = least; space < 64 * least; space += space / 2) {
                    cnn_plan_derivatives(&now, &shape, &bytes, jacobian, rows, space, &p);
                    const size_t sharing = p.split == CNN_SPLIT_COLUMNS ? p.threads : 1;
                    CHECK(p.form == CNN_PANELS && !p.zeros);
                    CHECK(p.block > 0 && p.block * p.blocks >= rows);
                    CHECK(p.workers <= p.blocks && p.threads <= now.threads);
                    CHECK(p.deltas == (jacobian ? cnn_max(p.block, outputs) : p.block));
                    CHECK(p.workers * p.worker_bytes <= space);
                    CHECK(p.worker_bytes >= bytes.worker + sharing * bytes.thread +
                                                p.block * bytes.row + p.deltas * bytes.delta);
                }
                cnn_plan_derivatives(&now, &shape, &bytes, jacobian, rows, least - 64, &p);
                CHECK(p.block == 0);
            }
}

/* Threads grow with the work, never beyond the tasks or the machine's. */
static void test_threads(void)
{
    const cnn_machine now = {4, machines[0].caches};
    CHECK(cnn_plan_copy_threads(&now, 100, 0) == 1);
    CHECK(cnn_plan_copy_threads(&now, 100, 1e4) == 1);
    CHECK(cnn_plan_copy_threads(&now, 100, 1e9) == 4);
    CHECK(cnn_plan_copy_threads(&now, 100, 1e300) == 4);
    CHECK(cnn_plan_copy_threads(&now, 3, 1e9) == 3);
    CHECK(cnn_plan_copy_threads(&now, 1, 1e9) == 1);
    CHECK(cnn_plan_copy_threads(&now, 0, 1e9) == 1);
    CHECK(cnn_plan_copy_threads(&now, 100, (double)NAN) == 1);
    size_t last = 1;
    for (double bytes = 1e5; bytes < 1e8; bytes *= 1.01) {
        const size_t threads = cnn_plan_copy_threads(&now, 100, bytes);
        CHECK(threads >= last && threads <= 4);
        last = threads;
    }
}

/* A product's rectangles cover it, each with something in it. */
static void test_products(void)
{
    for (size_t threads = 1; threads <= 8; threads *= 2)
        for (size_t n = 8; n < 3000; n += n / 3 + 1) {
            const cnn_machine now = {threads, machines[0].caches};
            const cnn_gemm g = {.m = n, .n = n, .k = 300};
            const cnn_product_plan p = cnn_plan_product(&now, &kernels, &g);
            CHECK(p.threads >= 1 && p.threads <= now.threads);
            CHECK(p.row_blocks * p.block_rows >= n && (p.row_blocks - 1) * p.block_rows < n);
            CHECK(p.col_blocks * p.block_cols >= n && (p.col_blocks - 1) * p.block_cols < n);
            CHECK(p.block_cols % kernels.panel == 0);
        }
}

/*
 * The same for strips, which have memory for their part of b and their copy of a. A block of a
 * takes at most half of the L2 cache, or is one chunk of k. Lines of a that are far apart are
 * copied if enough panels of b read them. Few rows read the rows of b in place, but for the last
 * panel.
 */
static void check_strips_of(const cnn_machine *now, const cnn_gemm *g, const cnn_pack *b)
{
    const cnn_packing_plan p = cnn_plan_packing(now, &kernels, sizeof(float), g, b);
    CHECK(p.threads >= 1 && p.threads <= now->threads);
    CHECK(p.row_strips * p.col_strips >= p.threads);
    /* Every thread that is worth it gets a strip, unless rows and panels are too few. */
    CHECK(now->threads == 1 || p.threads > 1 || g->n <= kernels.panel ||
          (double)g->n * (double)g->m * (double)g->k < 4e6);
    CHECK(p.row_strips * p.strip_rows >= g->m && (p.row_strips - 1) * p.strip_rows < g->m);
    CHECK(p.col_strips * p.strip_cols >= g->n && (p.col_strips - 1) * p.strip_cols < g->n);
    CHECK(p.strip_cols % kernels.panel == 0);
    CHECK(p.strip_rows == g->m || p.strip_rows % p.block_rows == 0);
    CHECK(p.block_k > 0 && (p.block_k == cnn_max(g->k, 1) || p.block_k % CNN_CHUNK == 0));
    CHECK(p.block_k <= CNN_CHUNK ||
          p.block_rows * (p.block_k - CNN_CHUNK) * sizeof(float) < now->caches.l2 / 2);
    const bool few = g->m <= 2 * kernels.tile_rows && g->k * b->b_row * sizeof(float) <= 4096 * KIB;
    CHECK(p.in_place == (b->b_col == 1 && (g->m <= 3 || few)));
    const size_t packed_cols = p.in_place ? kernels.panel : p.strip_cols;
    const size_t packed = p.block_k * packed_cols * sizeof(float);
    CHECK(p.packed_bytes >= packed && p.packed_bytes % 64 == 0);
    CHECK(packed <= (size_t)4096 * KIB || packed_cols == kernels.panel);
    const bool columns = g->a_row == 1;
    const size_t lines = columns ? p.block_k : p.block_rows;
    const size_t stride = sizeof(float) * (columns ? g->a_k : g->a_row);
    const bool copies = stride >= 1024 && lines >= 8 && p.strip_cols >= 4 * kernels.panel;
    CHECK((p.copy_row > 0) == copies);
    CHECK(!copies || (p.copy_row >= cnn_round_up(p.block_k, kernels.panel) &&
                      p.copy_row * sizeof(float) % 2048 > 0));
    CHECK(p.worker_bytes >= p.packed_bytes + p.block_rows * p.copy_row * sizeof(float));
}

static void check_strips(const cnn_machine *now, const cnn_gemm *g)
{
    check_strips_of(now, g, &(const cnn_pack){.b_row = g->n, .b_col = 1});
    check_strips_of(now, g, &(const cnn_pack){.b_row = 1, .b_col = g->k});
}

static void test_packing(void)
{
    static const size_t ks[] = {0, 1, 255, 256, 300, 1000, 2048, 5000, 1 << 20};
    for (size_t m = 0; m < sizeof machines / sizeof *machines; m++)
        for (size_t threads = 1; threads <= 8; threads *= 2)
            for (size_t n = 1; n < 3000; n += n / 3 + 1)
                for (size_t i = 0; i < sizeof ks / sizeof *ks; i++) {
                    const cnn_machine now = {threads, machines[m].caches};
                    cnn_gemm g = {.m = n, .n = n, .k = ks[i], .a_row = ks[i], .a_k = 1};
                    check_strips(&now, &g);
                    g.m = 3;
                    check_strips(&now, &g);
                    g.m = 2 * kernels.tile_rows;
                    check_strips(&now, &g);
                    g.m = 100;
                    check_strips(&now, &g);
                    g.a_row = 1;
                    g.a_k = 100;
                    check_strips(&now, &g);
                }
    const cnn_machine now = {2, machines[0].caches};
    const cnn_gemm nothing = {.m = 0, .n = 10, .k = 10};
    const cnn_pack b = {.b_row = 10, .b_col = 1};
    CHECK(cnn_plan_packing(&now, &kernels, sizeof(float), &nothing, &b).col_strips == 0);
}

/* The caches of this machine are read, can be replaced, and come back. */
static void test_caches(void)
{
    const cnn_caches own = cnn_platform_caches();
    CHECK(own.l1d >= 8 * KIB && own.l1d <= 1024 * KIB);
    CHECK(own.l2 >= own.l1d);
    const cnn_caches others = {16 * KIB, 64 * KIB, 128 * KIB};
    cnn_platform_set_caches(&others);
    const cnn_caches used = cnn_machine_now().caches;
    CHECK(used.l1d == 16 * KIB && used.l2 == 64 * KIB && used.l3_share == 128 * KIB);
    cnn_platform_set_caches(NULL);
    const cnn_caches again = cnn_platform_caches();
    CHECK(memcmp(&again, &own, sizeof own) == 0);
}

int main(void)
{
    test_printed();
    test_rules();
    test_workspace();
    test_derivatives();
    test_threads();
    test_products();
    test_packing();
    test_caches();
    return check_finish();
}
