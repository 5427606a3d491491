/* Numbers for each column: factors, and shares of two matrices; and sums down the columns. */
#include "kernels/local.h"
#include "kernels/rows.h"

void KERNEL(scale)(size_t rows, size_t cols, const void *x, size_t x_row, const void *factor,
                   void *y, size_t y_row)
{
    for (size_t i = 0; i < rows; i++) {
        const real *in = (const real *)x + i * x_row;
        real *out = (real *)y + i * y_row;
        for (size_t j = 0; j < cols; j += V_LANES) {
            const size_t left = cols - j < V_LANES ? cols - j : V_LANES;
            const v_real f = row_load((const real *)factor + j, left);
            row_store(out + j, v_mul(row_load(in + j, left), f), left);
        }
    }
}

void KERNEL(blend)(size_t rows, size_t cols, const void *x, size_t x_row, const void *h,
                   size_t h_row, const void *mix, void *y, size_t y_row)
{
    for (size_t i = 0; i < rows; i++) {
        const real *in = (const real *)x + i * x_row, *other = (const real *)h + i * h_row;
        real *out = (real *)y + i * y_row;
        for (size_t j = 0; j < cols; j += V_LANES) {
            const size_t left = cols - j < V_LANES ? cols - j : V_LANES;
            const v_real v = row_load(in + j, left);
            const v_real change = v_sub(row_load(other + j, left), v);
            row_store(out + j, v_fma(row_load((const real *)mix + j, left), change, v), left);
        }
    }
}

/* A chunk's sum goes behind those of the chunks before, of which the first is assigned. */
INLINE v_real add_chunk(int first, v_real total, v_real sum)
{
    return first ? sum : v_add(total, sum);
}

/* How many vectors of columns are summed side by side: in one, additions wait for each other. */
#define COLUMN_BLOCK ((size_t)4)

/* Matrices whose products are summed down the columns: of a and (b - c), or of a alone. */
struct terms {
    const real *a, *b, *c; /* b and c may be NULL */
    size_t a_row, b_row, c_row;
};

/* The sums of columns [j, j + vectors V_LANES), of which the last vector has `left`. */
INLINE void sum_down(const struct terms *of, size_t rows, size_t j, const size_t vectors,
                     size_t left, real *out)
{
    v_real total[COLUMN_BLOCK], sum[COLUMN_BLOCK];
    UNROLL
    for (size_t v = 0; v < vectors; v++)
        total[v] = v_zero();
    for (size_t i = 0; i < rows; i += CNN_CHUNK) {
        const size_t end = rows - i < CNN_CHUNK ? rows : i + CNN_CHUNK;
        UNROLL
        for (size_t v = 0; v < vectors; v++)
            sum[v] = v_zero();
        for (size_t r = i; r < end; r++) {
            UNROLL
            for (size_t v = 0; v < vectors; v++) {
                const size_t at = j + v * V_LANES, n = v + 1 < vectors ? V_LANES : left;
                const v_real a = row_load(of->a + r * of->a_row + at, n);
                if (!of->b) {
                    sum[v] = v_add(sum[v], a);
                    continue;
                }
                v_real with = row_load(of->b + r * of->b_row + at, n);
                if (of->c)
                    with = v_sub(with, row_load(of->c + r * of->c_row + at, n));
                sum[v] = v_fma(a, with, sum[v]);
            }
        }
        UNROLL
        for (size_t v = 0; v < vectors; v++)
            total[v] = add_chunk(i == 0, total[v], sum[v]);
    }
    UNROLL
    for (size_t v = 0; v < vectors; v++)
        row_store(out + j + v * V_LANES, total[v], v + 1 < vectors ? V_LANES : left);
}

INLINE void sum_all_down(const struct terms *of, size_t rows, size_t cols, real *out)
{
    size_t j = 0;
    for (; j + COLUMN_BLOCK * V_LANES <= cols; j += COLUMN_BLOCK * V_LANES)
        sum_down(of, rows, j, COLUMN_BLOCK, V_LANES, out);
    KEEP_LOOP
    for (; j < cols; j += V_LANES)
        sum_down(of, rows, j, 1, cols - j < V_LANES ? cols - j : V_LANES, out);
}

/* A product with ones, in the chunks of gemm: x + 1 * y rounds like x + y. */
void KERNEL(column_sum)(size_t rows, size_t cols, const void *x, size_t x_row, void *out)
{
    const struct terms of = {.a = x, .a_row = x_row};
    sum_all_down(&of, rows, cols, out);
}

void KERNEL(column_dot)(size_t rows, size_t cols, const void *a, size_t a_row, const void *b,
                        size_t b_row, const void *c, size_t c_row, void *out)
{
    const struct terms of = {
        .a = a, .b = b, .c = c, .a_row = a_row, .b_row = b_row, .c_row = c_row};
    sum_all_down(&of, rows, cols, out);
}

void KERNEL(chosen_sum)(size_t count, const uint32_t *index, size_t cols, const void *x,
                        size_t x_row, void *out)
{
    for (size_t j = 0; j < cols; j += V_LANES) {
        const size_t left = cols - j < V_LANES ? cols - j : V_LANES;
        v_real total = v_zero();
        /* Chunks without a chosen row would add +0 to a sum that is never -0. */
        for (size_t r = 0; r < count;) {
            const size_t chunk = index[r] / CNN_CHUNK;
            const int first = r == 0;
            v_real sum = v_zero();
            for (; r < count && index[r] / CNN_CHUNK == chunk; r++)
                sum = v_add(sum, row_load((const real *)x + index[r] * x_row + j, left));
            total = add_chunk(first, total, sum);
        }
        row_store((real *)out + j, total, left);
    }
}
