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

/* Columns whose sums stay in the L1 cache: rows are read along, since few prefetchers follow
 * columns down a large matrix. */
#define STRIP ((size_t)512)
/* Rows that are added at a time, if they are of one matrix or of few columns, whose sums would wait
 * for their own stores. Of several matrices too many rows would be read side by side. */
#define TOGETHER ((size_t)4)
#define FEW_VECTORS ((size_t)4)

/* Matrices whose products are summed down the columns: of a and (b - c), or of a alone. */
struct terms {
    const real *a, *b, *c; /* b and c may be NULL */
    size_t a_row, b_row, c_row;
};

/* sum plus the terms of row r, column j and those behind it in a vector, of which `left` count. */
INLINE v_real add_terms(const struct terms *of, size_t r, size_t j, size_t left, v_real sum)
{
    const v_real a = row_load(of->a + r * of->a_row + j, left);
    if (!of->b)
        return v_add(sum, a);
    v_real with = row_load(of->b + r * of->b_row + j, left);
    if (of->c)
        with = v_sub(with, row_load(of->c + r * of->c_row + j, left));
    return v_fma(a, with, sum);
}

/* Add rows [r, r + rows) to the sums of columns [j, j + cols), or begin these. */
INLINE void add_rows(const struct terms *of, size_t r, const size_t rows, size_t j, size_t cols,
                     int begin, real *sums)
{
    for (size_t at = 0; at < cols; at += V_LANES) {
        const size_t left = cols - at < V_LANES ? cols - at : V_LANES;
        v_real sum = begin ? v_zero() : v_load(sums + at);
        UNROLL
        for (size_t i = 0; i < rows; i++)
            sum = add_terms(of, r + i, j + at, left, sum);
        v_store(sums + at, sum);
    }
}

/* The sums of columns [j, j + cols), at most a strip. */
INLINE void sum_strip(const struct terms *of, size_t rows, size_t j, size_t cols, real *out)
{
    const int together = !of->b || cols <= FEW_VECTORS * V_LANES;
    real sums[STRIP];
    for (size_t i = 0; i < rows; i += CNN_CHUNK) {
        const size_t end = rows - i < CNN_CHUNK ? rows : i + CNN_CHUNK;
        size_t r = i;
        for (; together && r + TOGETHER <= end; r += TOGETHER)
            add_rows(of, r, TOGETHER, j, cols, r == i, sums);
        for (; r < end; r++)
            add_rows(of, r, 1, j, cols, r == i, sums);
        for (size_t at = 0; at < cols; at += V_LANES) {
            const size_t left = cols - at < V_LANES ? cols - at : V_LANES;
            const v_real sum = v_load(sums + at);
            row_store(out + at, i == 0 ? sum : v_add(row_load(out + at, left), sum), left);
        }
    }
}

/* Not inlined: the copies would be large and no faster. */
NOINLINE void sum_all_down(const struct terms *of, size_t rows, size_t cols, real *out)
{
    for (size_t j = 0; rows == 0 && j < cols; j++)
        out[j] = 0;
    for (size_t j = 0; j < cols; j += STRIP)
        sum_strip(of, rows, j, cols - j < STRIP ? cols - j : STRIP, out + j);
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
