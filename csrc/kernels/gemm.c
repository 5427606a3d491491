/* The matrix product: one tile, its loop over panels and chunks, and the packing of b. */
#include "kernels/local.h"

/* The columns of a panel, and the widest group of panels that one tile covers. */
#define PANEL (PANEL_VECTORS * V_LANES)
#define GROUP 4

/* Sums over k are cut here (numerics contract, 4.3). */
#define CHUNK 256

/* One tile's operands. b is in panels as in cnn_gemm; bias and c are readable for whole panels. */
struct tile {
    size_t k;
    const real *a;
    size_t a_row, a_k;
    const real *b;
    size_t b_k, b_panel;
    real *c;
    size_t c_row;
    int first;        /* whether this is the first chunk, so that c holds no sum yet */
    const real *bias; /* added after the last chunk, NULL before it */
};

/*
 * c (rows, vectors * V_LANES) = or += a . b for one chunk. rows and vectors are constants where
 * this is inlined, so that all sums stay in registers. Rows of a are reached from one pointer per
 * four rows, because x86 addresses base + {1, 2, 3} strides without further registers.
 */
INLINE void tile(const size_t rows, const size_t vectors, const struct tile *t)
{
    v_real sum[TILE_ROWS][GROUP * PANEL_VECTORS];
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        UNROLL
        for (size_t v = 0; v < vectors; v++)
            sum[r][v] = v_zero();
    }
    const size_t a_row = t->a_row, a_k = t->a_k, b_k = t->b_k, b_panel = t->b_panel;
    const real *a[3] = {t->a, t->a + 4 * a_row, t->a + 8 * a_row};
    const real *b = t->b;
    for (size_t k = t->k; k > 0; k--) {
        v_real column[GROUP * PANEL_VECTORS];
        UNROLL
        for (size_t v = 0; v < vectors; v++)
            column[v] = v_load(b + v / PANEL_VECTORS * b_panel + v % PANEL_VECTORS * V_LANES);
        UNROLL
        for (size_t r = 0; r < rows; r++) {
            const v_real broadcast = v_set1(a[r / 4][r % 4 * a_row]);
            UNROLL
            for (size_t v = 0; v < vectors; v++)
                sum[r][v] = v_fma(broadcast, column[v], sum[r][v]);
        }
        b += b_k;
        UNROLL
        for (size_t q = 0; q < (rows + 3) / 4; q++)
            a[q] += a_k;
    }
    real *c = t->c;
    const size_t c_row = t->c_row;
    if (!t->first) {
        UNROLL
        for (size_t r = 0; r < rows; r++) {
            UNROLL
            for (size_t v = 0; v < vectors; v++)
                sum[r][v] = v_add(v_load(c + r * c_row + v * V_LANES), sum[r][v]);
        }
    }
    if (t->bias) {
        UNROLL
        for (size_t v = 0; v < vectors; v++) {
            const v_real bias = v_load(t->bias + v * V_LANES);
            UNROLL
            for (size_t r = 0; r < rows; r++)
                sum[r][v] = v_add(sum[r][v], bias);
        }
    }
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        UNROLL
        for (size_t v = 0; v < vectors; v++)
            v_store(c + r * c_row + v * V_LANES, sum[r][v]);
    }
}

/* The tiles: X(rows, vectors). Few rows take several panels, so that enough chains run at once. */
#define TILES_4(X)                                                                                 \
    X(1, 1) X(1, 2) X(1, 4) X(1, 8) X(2, 1) X(2, 2) X(2, 4) X(3, 1) X(3, 2) X(4, 1) X(4, 2)
#define TILES_6(X) TILES_4(X) X(5, 1) X(5, 2) X(6, 1) X(6, 2)
#define TILES_8(X) TILES_6(X) X(7, 1) X(7, 2) X(8, 1) X(8, 2)
#define TILES_12(X) TILES_8(X) X(9, 1) X(9, 2) X(10, 1) X(10, 2) X(11, 1) X(11, 2) X(12, 1) X(12, 2)
#define TILES_OF(rows) TILES_##rows
#define TILES_FOR(rows) TILES_OF(rows)

/* The formatter does not see that these lists are whole functions and cases. */
/* clang-format off */
/* Each tile is a function of its own, so that its registers are allocated by themselves. */
#define TILE_FUNCTION(rows, vectors)                                                               \
    static void tile_##rows##_##vectors(const struct tile *t)                                      \
    {                                                                                              \
        tile(rows, vectors, t);                                                                    \
    }
TILES_FOR(TILE_ROWS)(TILE_FUNCTION)

static void run_tile(size_t rows, size_t vectors, const struct tile *t)
{
#define TILE_CASE(r, v)                                                                            \
    case r * 16 + v:                                                                               \
        tile_##r##_##v(t);                                                                         \
        break;
    switch (rows * 16 + vectors) {
        TILES_FOR(TILE_ROWS)(TILE_CASE)
    default:
        break;
    }
}
/* clang-format on */

/* One chunk of k, for `rows` rows from row i and `vectors` vectors of columns from column j. */
static void run_chunk(const cnn_gemm *g, size_t i, size_t rows, size_t j, size_t vectors, size_t k,
                      const real *bias, real *c, size_t c_row)
{
    const size_t left = g->k - k;
    const struct tile t = {
        .k = left < CHUNK ? left : CHUNK,
        .a = (const real *)g->a + i * g->a_row + k * g->a_k,
        .a_row = g->a_row,
        .a_k = g->a_k,
        .b = (const real *)g->b + j / PANEL * g->b_panel + k * g->b_k,
        .b_k = g->b_k,
        .b_panel = g->b_panel,
        .c = c,
        .c_row = c_row,
        .first = k == 0,
        .bias = left <= CHUNK ? bias : NULL,
    };
    run_tile(rows, vectors, &t);
}

/* Whole panels: a chunk of b stays in the L1 cache while all rows pass over it. */
static void run_panels(const cnn_gemm *g, size_t j, size_t vectors)
{
    real *c = (real *)g->c + j;
    const real *bias = g->bias ? (const real *)g->bias + j : NULL;
    size_t k = 0;
    do {
        for (size_t i = 0; i < g->m; i += TILE_ROWS) {
            const size_t rows = g->m - i < TILE_ROWS ? g->m - i : TILE_ROWS;
            run_chunk(g, i, rows, j, vectors, k, bias, c + i * g->c_row, g->c_row);
        }
        k += CHUNK;
    } while (k < g->k);
}

/* The last panel where it is not whole: computed beside c, and its columns copied. */
static void run_tail(const cnn_gemm *g, size_t j)
{
    const size_t columns = g->n - j;
    const size_t vectors = (columns + V_LANES - 1) / V_LANES;
    real c[TILE_ROWS * PANEL];
    real bias[PANEL] = {0};
    if (g->bias)
        memcpy(bias, (const real *)g->bias + j, columns * sizeof(real));
    for (size_t i = 0; i < g->m; i += TILE_ROWS) {
        const size_t rows = g->m - i < TILE_ROWS ? g->m - i : TILE_ROWS;
        size_t k = 0;
        do {
            run_chunk(g, i, rows, j, vectors, k, g->bias ? bias : NULL, c, PANEL);
            k += CHUNK;
        } while (k < g->k);
        for (size_t r = 0; r < rows; r++) {
            real *to = (real *)g->c + (i + r) * g->c_row + j;
            size_t v = 0;
            for (; v + V_LANES <= columns; v += V_LANES)
                v_store(to + v, v_load(c + r * PANEL + v));
            if (v < columns)
                v_store_partial(to + v, v_load(c + r * PANEL + v), columns - v);
        }
    }
}

/* What follows the last chunk, for columns [j, j + n), which are still in the L1 cache. */
static void finish(const cnn_gemm *g, size_t j, size_t n)
{
    real *c = (real *)g->c + j;
    if (g->before)
        for (size_t i = 0; i < g->m; i++)
            memcpy((real *)g->before + i * g->c_row + j, c + i * g->c_row, n * sizeof(real));
    if (g->derivative)
        KERNEL(activation_backward)(g->activation, g->m, n, c, g->c_row,
                                    (const real *)g->derivative + j, g->derivative_row, c,
                                    g->c_row);
    else if (g->activation != CNN_IDENTITY)
        KERNEL(activation_forward)(g->activation, g->m, n, c, g->c_row, c, g->c_row);
}

void KERNEL(gemm)(const cnn_gemm *g)
{
    const size_t group = g->m == 1 ? 4 : g->m == 2 ? 2 : 1;
    size_t j = 0;
    while (j < g->n) {
        size_t panels = group;
        while (panels > 1 && panels * PANEL > g->n - j)
            panels /= 2;
        const size_t n = panels * PANEL < g->n - j ? panels * PANEL : g->n - j;
        if (n < PANEL)
            run_tail(g, j);
        else
            run_panels(g, j, panels * PANEL_VECTORS);
        finish(g, j, n);
        j += n;
    }
}

void KERNEL(pack)(const cnn_pack *p)
{
    const real *b = p->b;
    for (size_t j = 0; j < p->n; j += PANEL) {
        const size_t n = p->n - j < PANEL ? p->n - j : PANEL;
        real *restrict to = (real *)p->packed + j / PANEL * p->b_panel;
        if (p->b_col == 1) {
            for (size_t k = 0; k < p->k; k++, to += PANEL) {
                memcpy(to, b + k * p->b_row + j, n * sizeof(real));
                memset(to + n, 0, (PANEL - n) * sizeof(real));
            }
            continue;
        }
        /* Down the columns in blocks of k, so that what is read and written stays in L1. */
        for (size_t k0 = 0; k0 < p->k; k0 += 16) {
            const size_t k1 = p->k - k0 < 16 ? p->k : k0 + 16;
            for (size_t c = 0; c < n; c++)
                for (size_t k = k0; k < k1; k++)
                    to[k * PANEL + c] = b[k * p->b_row + (j + c) * p->b_col];
            for (size_t k = k0; k < k1; k++)
                memset(to + k * PANEL + n, 0, (PANEL - n) * sizeof(real));
        }
    }
}

/* A product with ones: the same chunks as in gemm, and x + 1 * y rounds like x + y. */
void KERNEL(column_sum)(size_t rows, size_t cols, const void *x, size_t x_row, void *out)
{
    for (size_t j = 0; j < cols; j += V_LANES) {
        const size_t n = cols - j < V_LANES ? cols - j : V_LANES;
        v_real total = v_zero();
        size_t i = 0;
        do {
            v_real sum = v_zero();
            const size_t end = rows - i < CHUNK ? rows : i + CHUNK;
            for (size_t r = i; r < end; r++) {
                const real *row = (const real *)x + r * x_row + j;
                sum = v_add(sum, n == V_LANES ? v_load(row) : v_load_partial(row, n));
            }
            total = i == 0 ? sum : v_add(total, sum);
            i = end;
        } while (i < rows);
        v_store_partial((real *)out + j, total, n);
    }
}
