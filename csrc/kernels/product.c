#include "kernels/product.h"

#include "base/convert.h"
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
    p->kernels->gemm(&g);
}

void cnn_product(const cnn_kernels *kernels, size_t real_size, const cnn_gemm *gemm,
                 const cnn_product_plan *plan)
{
    struct product p = {kernels, real_size, gemm, plan};
    cnn_parallel(plan->row_blocks * plan->col_blocks, plan->threads, run_rectangle, &p);
}

/* ---- With b packed on the way ------------------------------------------------------------ */

struct packing {
    const cnn_kernels *kernels;
    size_t real_size;
    const cnn_gemm *gemm;
    const cnn_pack *pack;
    const cnn_packing_plan *plan;
    char *memory; /* worker_bytes for each thread */
};

/* Copy the rows of a block of a side by side. Columns are transposed, as b's for panels are: a tile
 * that reads only some rows of each column would pull whole cache lines. */
static void copy_a(const struct packing *p, char *copy, cnn_gemm *g)
{
    const size_t size = p->real_size, row = p->plan->copy_row;
    if (g->a_row == 1) {
        p->kernels->pack(&(cnn_pack){
            .k = g->m,
            .n = g->k,
            .b = g->a,
            .b_row = 1,
            .b_col = g->a_k,
            .packed = copy,
            .packed_row = row,
            .b_panel = p->kernels->panel,
        });
    } else {
        const cnn_matrix rows = {
            .data = g->a,
            .dtype = size == sizeof(float) ? CNN_FLOAT32 : CNN_FLOAT64,
            .rows = g->m,
            .cols = g->k,
            .row_stride = (ptrdiff_t)(g->a_row * size),
            .col_stride = (ptrdiff_t)size,
        };
        cnn_convert_rows(&rows, NULL, 0, rows.rows, rows.dtype, copy, row);
    }
    g->a = copy;
    g->a_row = row;
    g->a_k = 1;
}

/* The blocks of rows of a strip, for one block of k whose part of b is packed. */
static void run_blocks(const struct packing *p, const cnn_gemm *strip, char *copy)
{
    const size_t size = p->real_size, most = p->plan->block_rows;
    cnn_gemm g = *strip;
    for (size_t i = 0; i < strip->m; i += most) {
        g.m = cnn_min(most, strip->m - i);
        g.a = advance(strip->a, i * strip->a_row, size);
        g.a_row = strip->a_row;
        g.a_k = strip->a_k;
        g.c = (char *)strip->c + i * strip->c_row * size;
        if (p->plan->copy_row > 0)
            copy_a(p, copy, &g);
        p->kernels->gemm(&g);
    }
}

/*
 * Columns [j, j + n) of c, for the rows and the block of k at `k` that g has, with b packed into
 * `memory` or read where it is.
 */
static void run_columns(const struct packing *p, cnn_gemm g, size_t k, size_t j, size_t n,
                        bool in_place, char *memory)
{
    const cnn_gemm *whole = p->gemm;
    const size_t size = p->real_size, panel = p->kernels->panel;
    cnn_pack b = *p->pack;
    b.k = g.k;
    b.n = g.n = n;
    b.b = advance(b.b, k * b.b_row + j * b.b_col, size);
    b.packed = memory;
    b.b_panel = g.k * panel;
    g.b = in_place ? b.b : memory;
    g.b_k = in_place ? b.b_row : panel;
    g.b_panel = in_place ? panel : b.b_panel;
    g.c = (char *)g.c + j * size;
    const bool is_last = whole->k - k <= p->plan->block_k;
    g.accumulate = whole->accumulate || k > 0;
    g.bias = is_last ? advance(whole->bias, j, size) : NULL;
    g.activation = is_last ? whole->activation : (cnn_activation_spec){.kind = CNN_IDENTITY};
    if (!in_place)
        p->kernels->pack(&b);
    run_blocks(p, &g, memory + p->plan->packed_bytes);
}

static void run_strip(void *context, size_t index, size_t worker)
{
    const struct packing *p = context;
    const cnn_packing_plan *plan = p->plan;
    const cnn_gemm *whole = p->gemm;
    const size_t i = index / plan->col_strips * plan->strip_rows;
    const size_t j = index % plan->col_strips * plan->strip_cols;
    const size_t size = p->real_size, n = cnn_min(plan->strip_cols, whole->n - j);
    const size_t unpacked = plan->in_place ? n - n % p->kernels->panel : 0;
    char *const memory = p->memory + worker * plan->worker_bytes;
    cnn_gemm g = *whole;
    g.m = cnn_min(plan->strip_rows, whole->m - i);
    g.c = (char *)whole->c + i * whole->c_row * size;
    for (size_t k = 0; k == 0 || k < whole->k; k += plan->block_k) {
        g.k = cnn_min(plan->block_k, whole->k - k);
        g.a = advance(whole->a, i * whole->a_row + k * whole->a_k, size);
        if (unpacked > 0)
            run_columns(p, g, k, j, unpacked, true, memory);
        if (unpacked < n)
            run_columns(p, g, k, j + unpacked, n - unpacked, false, memory);
    }
}

cnn_status cnn_product_packing(const cnn_kernels *kernels, size_t real_size, const cnn_gemm *gemm,
                               const cnn_pack *b, const cnn_packing_plan *plan)
{
    const size_t strips = plan->row_strips * plan->col_strips;
    size_t bytes;
    struct packing p = {kernels, real_size, gemm, b, plan, NULL};
    if (strips == 0)
        return CNN_OK;
    if (cnn_multiply(plan->threads, plan->worker_bytes, &bytes))
        p.memory = cnn_platform_scratch(bytes);
    if (!p.memory)
        return cnn_fail(CNN_ERROR_MEMORY, "out of memory for packed parts of a matrix of %zu x %zu",
                        b->k, b->n);
    cnn_parallel(strips, plan->threads, run_strip, &p);
    return CNN_OK;
}
