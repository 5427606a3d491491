/* Standardization of columns. */
#include "kernels/rows.h"

void KERNEL(standardize)(size_t rows, size_t cols, const void *x, size_t x_row, const void *mean,
                         const void *scale, void *y, size_t y_row)
{
    const v_real one = v_set1(1);
    for (size_t i = 0; i < rows; i++) {
        const real *in = (const real *)x + i * x_row;
        real *out = (real *)y + i * y_row;
        for (size_t j = 0; j < cols; j += V_LANES) {
            const size_t left = cols - j < V_LANES ? cols - j : V_LANES;
            v_real v = row_load(in + j, left);
            if (mean)
                v = v_sub(v, row_load((const real *)mean + j, left));
            /* Ones behind the last column: 0 / 0 is slow on some processors. */
            v_real s = row_load((const real *)scale + j, left);
            if (left < V_LANES)
                s = v_first(s, left, one);
            row_store(out + j, v_div(v, s), left);
        }
    }
}
