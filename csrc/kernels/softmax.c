/* Softmax and log-softmax of rows, and the gradient of softmax. */
#include "kernels/local.h"
#include "kernels/rows.h"

/*
 * exp(x - max) into y, and its sum. A row with NaN or +inf, or all -inf, has the sum NaN, which
 * then reaches every output.
 */
INLINE real exp_row(size_t cols, const real *x, real *y)
{
    const v_real max = v_set1(row_max(x, cols));
    real sum;
    ROW_SUM(sum, cols, j, left,
            row_keep(y + j, v_exp_nonpositive(v_sub(row_load(x + j, left), max)), left));
    return sum;
}

void KERNEL(softmax_forward)(size_t rows, size_t cols, const void *x, size_t x_row, void *y,
                             size_t y_row)
{
    for (size_t i = 0; i < rows; i++) {
        real *out = (real *)y + i * y_row;
        const v_real sum = v_set1(exp_row(cols, (const real *)x + i * x_row, out));
        size_t j = 0;
        for (; j + V_LANES <= cols; j += V_LANES)
            v_store(out + j, v_div(v_load(out + j), sum));
        if (j < cols)
            v_store_partial(out + j, v_div(v_load_partial(out + j, cols - j), sum), cols - j);
    }
}

void KERNEL(softmax_backward)(size_t rows, size_t cols, const void *dy, size_t dy_row,
                              const void *y, size_t y_row, void *dx, size_t dx_row)
{
    for (size_t i = 0; i < rows; i++) {
        const real *d = (const real *)dy + i * dy_row;
        const real *out = (const real *)y + i * y_row;
        real *to = (real *)dx + i * dx_row;
        real product;
        ROW_SUM(product, cols, j, left, v_mul(row_load(d + j, left), row_load(out + j, left)));
        const v_real p = v_set1(product);
        for (size_t j = 0; j < cols; j += V_LANES) {
            const size_t left = cols - j < V_LANES ? cols - j : V_LANES;
            const v_real difference = v_sub(row_load(d + j, left), p);
            row_store(to + j, v_mul(row_load(out + j, left), difference), left);
        }
    }
}

void KERNEL(log_softmax_forward)(size_t rows, size_t cols, const void *x, size_t x_row, void *y,
                                 size_t y_row)
{
    for (size_t i = 0; i < rows; i++) {
        const real *in = (const real *)x + i * x_row;
        real *out = (real *)y + i * y_row;
        const v_real max = v_set1(row_max(in, cols));
        real sum;
        ROW_SUM(sum, cols, j, left, v_exp_nonpositive(v_sub(row_load(in + j, left), max)));
        const v_real log_sum = v_log(v_set1(sum));
        for (size_t j = 0; j < cols; j += V_LANES) {
            const size_t left = cols - j < V_LANES ? cols - j : V_LANES;
            row_store(out + j, v_sub(v_sub(row_load(in + j, left), max), log_sum), left);
        }
    }
}
