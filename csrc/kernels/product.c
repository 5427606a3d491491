#include "kernels/product.h"

#include <stdbool.h>

#include "base/convert.h"
#include "base/error.h"
#include "base/platform.h"
#include "base/threads.h"

/* Rows of one rectangle, in tiles: its rows of a should stay in the L2 cache. */
#define BLOCK_TILES 8

/* The fewest panels of b for which a block of a is copied. */
#define WORTH_PANELS 4

/* The most bytes of such a copy, whose buffer the thread keeps for later calls. */
#define MOST_COPIED ((size_t)4 * 1024 * 1024)

/* If the threads are awake, the work from which they share a product is divided by this. */
#define AWAKE 4

struct product {
    const cnn_kernels *kernels;
    size_t real_size;
    const cnn_gemm *gemm;
    unsigned how;
    size_t block_rows, block_cols, col_blocks;
};

static const void *advance(const void *base, size_t elements, size_t real_size)
{
    return base ? (const char *)base + elements * real_size : NULL;
}

/*
 * Copy a block of a side by side if that is faster. A block is read again for each panel of b. Rows
 * or columns whose distance is a multiple of 2 KiB fall on few sets of the caches and evict each
 * other; if a is read along its columns, each step of k is on another page. The copy has neither
 * problem. If memory is short or the block is too large for the caches, a is read in place
 * (docs/performance/product.md).
 */
static void gather_a(const struct product *p, cnn_gemm *g)
{
    const size_t size = p->real_size, per_line = 64 / size;
    const bool columns = g->a_row == 1;
    const size_t stride = columns ? g->a_k : g->a_row;
    const size_t count = columns ? g->k : g->m, length = columns ? g->m : g->k;
    size_t row = cnn_round_up(length, per_line), bytes;
    if (row * size % 2048 == 0)
        row += per_line;
    if ((!columns && g->a_k != 1) || count < 8 || g->n < WORTH_PANELS * p->kernels->panel ||
        (stride * size % 2048 != 0 && !(columns && stride * size >= 1024)) ||
        !cnn_multiply(count, row * size, &bytes) || bytes > MOST_COPIED)
        return;
    char *copy = cnn_platform_scratch(bytes);
    if (!copy)
        return;
    const cnn_matrix lines = {
        .data = g->a,
        .dtype = size == sizeof(float) ? CNN_FLOAT32 : CNN_FLOAT64,
        .rows = count,
        .cols = length,
        .row_stride = (ptrdiff_t)(stride * size),
        .col_stride = (ptrdiff_t)size,
    };
    cnn_convert_rows(&lines, NULL, 0, count, lines.dtype, copy, row);
    g->a = copy;
    *(columns ? &g->a_k : &g->a_row) = row;
}

static void run_rectangle(void *context, size_t index, size_t worker)
{
    const struct product *p = context;
    const cnn_gemm *whole = p->gemm;
    const size_t i = index / p->col_blocks * p->block_rows;
    const size_t j = index % p->col_blocks * p->block_cols;
    const size_t size = p->real_size;
    cnn_gemm g = *whole;
    (void)worker;
    g.m = cnn_min(p->block_rows, whole->m - i);
    g.n = cnn_min(p->block_cols, whole->n - j);
    g.a = advance(whole->a, i * whole->a_row, size);
    g.b = advance(whole->b, j / p->kernels->panel * whole->b_panel, size);
    g.bias = advance(whole->bias, j, size);
    g.before = whole->before ? (char *)whole->before + (i * whole->c_row + j) * size : NULL;
    g.c = (char *)whole->c + (i * whole->c_row + j) * size;
    cnn_lists lists;
    if (whole->lists) {
        const size_t group = i / p->kernels->group;
        lists = *whole->lists;
        lists.at += group * lists.row;
        lists.count += group * lists.chunks;
        g.lists = &lists;
    }
    g.derivative = advance(whole->derivative, i * whole->derivative_row + j, size);
    if (p->how & CNN_WITH_SCRATCH)
        gather_a(p, &g);
    p->kernels->gemm(&g);
}

void cnn_product(const cnn_kernels *kernels, size_t real_size, const cnn_gemm *gemm, unsigned how)
{
    const size_t panels = (gemm->n + kernels->panel - 1) / kernels->panel;
    struct product p = {
        .kernels = kernels,
        .real_size = real_size,
        .gemm = gemm,
        .how = how,
        .block_rows = cnn_min(gemm->m, BLOCK_TILES * kernels->tile_rows),
        .block_cols = gemm->n,
    };
    if (gemm->m == 0 || gemm->n == 0)
        return;
    double work = (double)gemm->m * (double)gemm->n * (double)gemm->k;
    if (how & CNN_THREADS_AWAKE)
        work *= AWAKE;
    const size_t row_blocks = (gemm->m + p.block_rows - 1) / p.block_rows;
    const size_t threads = cnn_parallel_threads(row_blocks * panels, work);
    /* More rectangles than threads balance the load if a thread is late. */
    size_t col_blocks = 1;
    if (threads > 1 && row_blocks < 4 * threads)
        col_blocks = cnn_min(panels, (4 * threads + row_blocks - 1) / row_blocks);
    const size_t panels_each = (panels + col_blocks - 1) / col_blocks;
    p.block_cols = panels_each * kernels->panel;
    p.col_blocks = (panels + panels_each - 1) / panels_each;
    cnn_parallel(row_blocks * p.col_blocks, threads, run_rectangle, &p);
}

size_t cnn_packed_span(const cnn_kernels *kernels, size_t k, size_t n)
{
    return k * cnn_round_up(n, kernels->panel);
}
