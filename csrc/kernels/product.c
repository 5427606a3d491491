#include "kernels/product.h"

#include "base/convert.h"
#include "base/error.h"
#include "base/platform.h"
#include "base/threads.h"

struct product {
    const cnn_kernels *kernels;
    size_t real_size;
    const cnn_gemm *gemm;
    const cnn_product_plan *plan;
};

static const void *advance(const void *base, size_t elements, size_t real_size)
{
    return base ? (const char *)base + elements * real_size : NULL;
}

/*
 * Copy a block's lines of a, rows or columns, side by side. Without memory for that they are read
 * where they are.
 */
static void copy_a(const struct product *p, cnn_gemm *g)
{
    const size_t size = p->real_size, row = p->plan->copy_row;
    const bool columns = g->a_row == 1;
    const size_t stride = columns ? g->a_k : g->a_row;
    const size_t count = columns ? g->k : g->m, length = columns ? g->m : g->k;
    char *copy = cnn_platform_scratch(count * row * size);
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
    const size_t i = index / p->plan->col_blocks * p->plan->block_rows;
    const size_t j = index % p->plan->col_blocks * p->plan->block_cols;
    const size_t size = p->real_size;
    cnn_gemm g = *whole;
    (void)worker;
    g.m = cnn_min(p->plan->block_rows, whole->m - i);
    g.n = cnn_min(p->plan->block_cols, whole->n - j);
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
    if (p->plan->copy_row > 0)
        copy_a(p, &g);
    p->kernels->gemm(&g);
}

void cnn_product(const cnn_kernels *kernels, size_t real_size, const cnn_gemm *gemm,
                 const cnn_product_plan *plan)
{
    struct product p = {kernels, real_size, gemm, plan};
    cnn_parallel(plan->row_blocks * plan->col_blocks, plan->threads, run_rectangle, &p);
}
