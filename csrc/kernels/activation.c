/* The activations that act on each element: all formulas, and the loop that applies them. */
#include "kernels/local.h"
#include "kernels/rows.h"

/* Slope of leaky_relu for x <= 0. */
#define LEAKY_SLOPE R(0.01)

/* h(x). `activation` is a constant where this is inlined. */
INLINE v_real forward(const cnn_activation activation, v_real x)
{
    const v_real zero = v_zero();
    switch (activation) {
    case CNN_STEP: /* A NaN stays a NaN. */
        return v_select(v_lt(zero, x), v_set1(1), v_select(v_le(x, zero), zero, x));
    case CNN_SIGMOID:
        return v_sigmoid(x);
    case CNN_TANH:
        return v_tanh(x);
    case CNN_RELU:
        return v_max(zero, x);
    case CNN_LEAKY_RELU:
        return v_select(v_lt(zero, x), x, v_mul(v_set1(LEAKY_SLOPE), x));
    case CNN_ELU:
        return v_select(v_lt(zero, x), x, v_expm1(x));
    case CNN_SOFTPLUS:
        return v_softplus(x);
    case CNN_SILU:
        return v_mul(x, v_sigmoid(x));
    case CNN_GELU:
        return v_mul(x, v_normal_cdf(x));
    default:
        return x;
    }
}

/* h'(x) from y = h(x), or from x itself where the list in cnn.h says so. */
INLINE v_real derivative(const cnn_activation activation, v_real from)
{
    const v_real zero = v_zero(), one = v_set1(1);
    switch (activation) {
    case CNN_STEP:
        return zero;
    case CNN_SIGMOID:
        return v_mul(from, v_sub(one, from));
    case CNN_TANH:
        return v_fnma(from, from, one);
    case CNN_RELU:
        return v_select(v_lt(zero, from), one, zero);
    case CNN_LEAKY_RELU:
        return v_select(v_lt(zero, from), one, v_set1(LEAKY_SLOPE));
    case CNN_ELU:
        return v_select(v_lt(zero, from), one, v_add(from, one));
    case CNN_SOFTPLUS: /* sigmoid(x) = 1 - exp(-y), without cancellation for small y. */
        return v_sub(zero, v_expm1(v_sub(zero, from)));
    case CNN_SILU: {
        const v_real s = v_sigmoid(from);
        return v_mul(s, v_fma(from, v_sub(one, s), one));
    }
    case CNN_GELU:
        return v_fma(from, v_normal_pdf(from), v_normal_cdf(from));
    default:
        return one;
    }
}

INLINE void forward_rows(const cnn_activation activation, size_t rows, size_t cols, const real *x,
                         size_t x_row, real *y, size_t y_row, int stream)
{
    for (size_t i = 0; i < rows; i++, x += x_row, y += y_row) {
        size_t j = stream ? row_head(y, cols) : 0;
        if (j > 0)
            v_store_partial(y, forward(activation, v_load_partial(x, j)), j);
        for (; j + V_STREAMS * V_LANES <= cols; j += V_STREAMS * V_LANES) {
            v_real h[V_STREAMS];
            UNROLL
            for (size_t v = 0; v < V_STREAMS; v++)
                h[v] = forward(activation, v_load(x + j + v * V_LANES));
            UNROLL
            for (size_t v = 0; v < V_STREAMS; v++)
                row_put(y + j + v * V_LANES, h[v], stream);
        }
        for (; j + V_LANES <= cols; j += V_LANES)
            v_store(y + j, forward(activation, v_load(x + j)));
        if (j < cols)
            v_store_partial(y + j, forward(activation, v_load_partial(x + j, cols - j)), cols - j);
    }
    if (stream)
        v_stream_end();
}

void KERNEL(activation_forward)(cnn_activation activation, size_t rows, size_t cols, const void *x,
                                size_t x_row, void *y, size_t y_row, int stream)
{
    if (x_row == cols && y_row == cols) {
        cols *= rows;
        rows = 1;
    }
    switch (activation) {
#define CNN_X(constant, value, name, input)                                                        \
    case CNN_##constant:                                                                           \
        forward_rows(CNN_##constant, rows, cols, x, x_row, y, y_row, stream);                      \
        break;
        CNN_ACTIVATIONS(CNN_X)
#undef CNN_X
    default:
        break;
    }
}

INLINE void backward_rows(const cnn_activation activation, size_t rows, size_t cols, const real *dy,
                          size_t dy_row, const real *from, size_t from_row, real *dx, size_t dx_row,
                          int stream)
{
    for (size_t i = 0; i < rows; i++, dy += dy_row, from += from_row, dx += dx_row) {
        size_t j = stream ? row_head(dx, cols) : 0;
        if (j > 0)
            v_store_partial(
                dx, v_mul(v_load_partial(dy, j), derivative(activation, v_load_partial(from, j))),
                j);
        for (; j + V_STREAMS * V_LANES <= cols; j += V_STREAMS * V_LANES) {
            v_real h[V_STREAMS];
            UNROLL
            for (size_t v = 0; v < V_STREAMS; v++)
                h[v] = v_mul(v_load(dy + j + v * V_LANES),
                             derivative(activation, v_load(from + j + v * V_LANES)));
            UNROLL
            for (size_t v = 0; v < V_STREAMS; v++)
                row_put(dx + j + v * V_LANES, h[v], stream);
        }
        for (; j < cols; j += V_LANES) {
            const size_t left = cols - j < V_LANES ? cols - j : V_LANES;
            const v_real h = derivative(activation, row_load(from + j, left));
            row_store(dx + j, v_mul(row_load(dy + j, left), h), left);
        }
    }
    if (stream)
        v_stream_end();
}

void KERNEL(activation_backward)(cnn_activation activation, size_t rows, size_t cols,
                                 const void *dy, size_t dy_row, const void *from, size_t from_row,
                                 void *dx, size_t dx_row, int stream)
{
    if (dy_row == cols && from_row == cols && dx_row == cols) {
        cols *= rows;
        rows = 1;
    }
    switch (activation) {
#define CNN_X(constant, value, name, input)                                                        \
    case CNN_##constant:                                                                           \
        backward_rows(CNN_##constant, rows, cols, dy, dy_row, from, from_row, dx, dx_row, stream); \
        break;
        CNN_ACTIVATIONS(CNN_X)
#undef CNN_X
    default:
        break;
    }
}
