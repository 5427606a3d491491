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

void KERNEL(column_dot)(size_t rows, size_t cols, const void *a, size_t a_row, const void *b,
                        size_t b_row, const void *c, size_t c_row, void *out)
{
    for (size_t j = 0; j < cols; j += V_LANES) {
        const size_t left = cols - j < V_LANES ? cols - j : V_LANES;
        v_real total = v_zero();
        for (size_t i = 0; i < rows; i += CNN_CHUNK) {
            const size_t end = rows - i < CNN_CHUNK ? rows : i + CNN_CHUNK;
            v_real sum = v_zero();
            for (size_t r = i; r < end; r++) {
                v_real with = row_load((const real *)b + r * b_row + j, left);
                if (c)
                    with = v_sub(with, row_load((const real *)c + r * c_row + j, left));
                sum = v_fma(row_load((const real *)a + r * a_row + j, left), with, sum);
            }
            total = add_chunk(i == 0, total, sum);
        }
        row_store((real *)out + j, total, left);
    }
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
