/* The activations that act on each element: all formulas, and the loop that applies them. */
#include "kernels/local.h"
#include "kernels/rows.h"

/* The published constants of selu (Klambauer et al., 2017): scale and scale alpha. */
#define SELU_SCALE R(1.0507009873554804934193349852946)
#define SELU_PRODUCT R(1.7580993408473768599402175208123)

/* gelu_tanh: sqrt(8 / pi), that times 0.044715, and that times 3. */
#define GELU_TANH_LINEAR R(1.5957691216057307117597842397375)
#define GELU_TANH_CUBIC R(0.0713548162726002487763387522799)
#define GELU_TANH_SLOPE R(0.2140644488178007463290162568396)

#define SIXTH (R(1.0) / R(6.0))
/* The largest |x| of softsign: 1 / (1 + |x|) of more makes no difference, but for infinity. */
#define SOFTSIGN_MOST R(1e30)

/* min(max(x, 0), 6). A NaN stays a NaN. */
INLINE v_real from_0_to_6(v_real x)
{
    return v_min(v_set1(6), v_max(v_zero(), x));
}

/*
 * tanh(softplus(x)) = n / d with n = p^2 + 2 p q and d = n + 2 q^2, where p / q = exp(x), the
 * larger of the two is 1, and the other w: all terms are positive. Its derivative is 4 p q^2 (p +
 * q) / d^2. Returns d and the others.
 */
INLINE v_real mish_terms(v_real x, v_real *n, v_real *p, v_real *q)
{
    const v_real one = v_set1(1);
    const v_real w = v_exp_nonpositive(v_minus_abs(x));
    const v_mask below = v_lt(x, v_zero());
    *p = v_select(below, w, one);
    *q = v_select(below, one, w);
    *n = v_fma(*p, *p, v_add(w, w));
    return v_fma(v_add(*q, *q), *q, *n);
}

/* x between the numbers from which on exp(-|x|) is 0, so that its product with x is not a NaN. */
INLINE v_real exp_factor(v_real x)
{
    return v_min(v_set1(-VM_EXP_LEAST), v_max(v_set1(VM_EXP_LEAST), x));
}

/*
 * gelu_tanh is x (1 + tanh(a / 2)) / 2 with a = sqrt(8 / pi) (x + 0.044715 x^3). This is also
 * x sigmoid(a), which does not cancel for x < 0 as 1 + tanh does. Returns a, which overflows to an
 * infinity of its sign.
 */
INLINE v_real gelu_tanh_exponent(v_real x)
{
    return v_mul(x, v_fma(v_set1(GELU_TANH_CUBIC), v_mul(x, x), v_set1(GELU_TANH_LINEAR)));
}

/* h(x). `activation` is a constant where this is inlined; alpha is its number. */
INLINE v_real forward(const cnn_activation activation, v_real x, v_real alpha)
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
        return v_select(v_lt(zero, x), x, v_mul(alpha, x));
    case CNN_ELU:
        return v_select(v_lt(zero, x), x, v_mul(alpha, v_expm1(x)));
    case CNN_SOFTPLUS:
        return v_softplus(x);
    case CNN_SILU:
        return v_mul(x, v_sigmoid(x));
    case CNN_GELU:
        return vm_gelu(x);
    case CNN_GELU_TANH: {
        const v_real above = v_max(v_set1(VM_EXP_LEAST), x); /* where -inf would be times 0 */
        return v_mul(above, v_sigmoid(gelu_tanh_exponent(above)));
    }
    case CNN_MISH: {
        v_real n, p, q;
        const v_real d = mish_terms(x, &n, &p, &q);
        return v_mul(v_max(v_set1(VM_EXP_LEAST), x), v_div(n, d));
    }
    case CNN_SELU:
        return v_select(v_lt(zero, x), v_mul(v_set1(SELU_SCALE), x),
                        v_mul(v_set1(SELU_PRODUCT), v_expm1(x)));
    case CNN_HARD_SIGMOID:
        return v_mul(from_0_to_6(v_add(x, v_set1(3))), v_set1(SIXTH));
    case CNN_HARD_SWISH: {
        const v_real above = v_max(v_set1(-3), x); /* where -inf would be times 0 */
        return v_mul(above, v_mul(v_min(v_set1(6), v_add(above, v_set1(3))), v_set1(SIXTH)));
    }
    case CNN_RELU6:
        return from_0_to_6(x);
    case CNN_SOFTSIGN: {
        const v_real a = v_min(v_set1(SOFTSIGN_MOST), v_abs(x));
        return v_copysign(v_div(a, v_add(a, v_set1(1))), x);
    }
    case CNN_EXPONENTIAL:
        return v_exp(x);
    default:
        return x;
    }
}

/* h'(x) from y = h(x), or from x itself where the list in cnn.h says so. */
INLINE v_real derivative(const cnn_activation activation, v_real from, v_real alpha)
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
        return v_select(v_lt(zero, from), one, alpha);
    case CNN_ELU:
        return v_select(v_lt(zero, from), one, v_add(from, alpha));
    case CNN_SOFTPLUS: /* sigmoid(x) = 1 - exp(-y), without cancellation for small y. */
        return v_sub(zero, v_expm1(v_sub(zero, from)));
    case CNN_SILU: {
        const v_real s = v_sigmoid(from);
        return v_mul(s, v_fma(from, v_sub(one, s), one));
    }
    case CNN_GELU:
        return v_fma(from, v_normal_pdf(from), v_normal_cdf(from));
    case CNN_GELU_TANH: { /* s + x s (1 - s) a'(x), s = p / (1 + w), s (1 - s) = w / (1 + w)^2 */
        const v_real x = exp_factor(from);
        const v_real a = gelu_tanh_exponent(x);
        const v_real w = v_exp_nonpositive(v_minus_abs(a));
        const v_real p = v_select(v_lt(a, zero), w, one);
        const v_real d = v_add(one, w);
        const v_real slope = v_fma(v_set1(GELU_TANH_SLOPE), v_mul(x, x), v_set1(GELU_TANH_LINEAR));
        return v_div(v_fma(v_mul(x, slope), v_div(w, d), p), d);
    }
    case CNN_MISH: {
        v_real n, p, q;
        const v_real d = mish_terms(from, &n, &p, &q);
        const v_real slope = v_mul(v_mul(v_mul(v_set1(4), p), v_mul(q, q)), v_add(p, q));
        return v_div(v_fma(exp_factor(from), v_div(slope, d), n), d);
    }
    case CNN_SELU:
        return v_select(v_lt(zero, from), v_set1(SELU_SCALE), v_add(from, v_set1(SELU_PRODUCT)));
    case CNN_HARD_SIGMOID:
        return v_select(v_mask_and(v_lt(zero, from), v_lt(from, one)), v_set1(SIXTH), zero);
    case CNN_HARD_SWISH: {
        const v_real inside = v_mul(v_fma(v_set1(2), from, v_set1(3)), v_set1(SIXTH));
        const v_real below_3 = v_select(v_le(v_set1(3), from), one, inside);
        return v_select(v_le(from, v_set1(-3)), zero, below_3);
    }
    case CNN_RELU6:
        return v_select(v_mask_and(v_lt(zero, from), v_lt(from, v_set1(6))), one, zero);
    case CNN_SOFTSIGN: {
        const v_real root = v_div(one, v_add(v_abs(from), one));
        return v_mul(root, root);
    }
    case CNN_EXPONENTIAL:
        return from;
    default:
        return one;
    }
}

INLINE void forward_rows(const cnn_activation activation, double number, size_t rows, size_t cols,
                         const real *x, size_t x_row, real *y, size_t y_row, int stream)
{
    const v_real alpha = v_set1((real)number);
    for (size_t i = 0; i < rows; i++, x += x_row, y += y_row) {
        size_t j = stream ? row_head(y, cols) : 0;
        if (j > 0)
            v_store_partial(y, forward(activation, v_load_partial(x, j), alpha), j);
        for (; j + V_STREAMS * V_LANES <= cols; j += V_STREAMS * V_LANES) {
            v_real h[V_STREAMS];
            UNROLL
            for (size_t v = 0; v < V_STREAMS; v++)
                h[v] = forward(activation, v_load(x + j + v * V_LANES), alpha);
            UNROLL
            for (size_t v = 0; v < V_STREAMS; v++)
                row_put(y + j + v * V_LANES, h[v], stream);
        }
        for (; j + V_LANES <= cols; j += V_LANES)
            v_store(y + j, forward(activation, v_load(x + j), alpha));
        if (j < cols)
            v_store_partial(y + j, forward(activation, v_load_partial(x + j, cols - j), alpha),
                            cols - j);
    }
    if (stream)
        v_stream_end();
}

void KERNEL(activation_forward)(const cnn_activation_spec *h, size_t rows, size_t cols,
                                const void *x, size_t x_row, void *y, size_t y_row, int stream)
{
    if (x_row == cols && y_row == cols) {
        cols *= rows;
        rows = 1;
    }
    switch (h->kind) {
#define CNN_X(constant, value, name, input, bound, number, standard)                               \
    case CNN_##constant:                                                                           \
        forward_rows(CNN_##constant, h->alpha, rows, cols, x, x_row, y, y_row, stream);            \
        break;
        CNN_ACTIVATIONS(CNN_X)
#undef CNN_X
    default:
        break;
    }
}

INLINE void backward_rows(const cnn_activation activation, double number, size_t rows, size_t cols,
                          const real *dy, size_t dy_row, const real *from, size_t from_row,
                          real *dx, size_t dx_row, int stream)
{
    const v_real alpha = v_set1((real)number);
    for (size_t i = 0; i < rows; i++, dy += dy_row, from += from_row, dx += dx_row) {
        size_t j = stream ? row_head(dx, cols) : 0;
        if (j > 0)
            v_store_partial(dx,
                            v_mul(v_load_partial(dy, j),
                                  derivative(activation, v_load_partial(from, j), alpha)),
                            j);
        for (; j + V_STREAMS * V_LANES <= cols; j += V_STREAMS * V_LANES) {
            v_real h[V_STREAMS];
            UNROLL
            for (size_t v = 0; v < V_STREAMS; v++)
                h[v] = v_mul(v_load(dy + j + v * V_LANES),
                             derivative(activation, v_load(from + j + v * V_LANES), alpha));
            UNROLL
            for (size_t v = 0; v < V_STREAMS; v++)
                row_put(dx + j + v * V_LANES, h[v], stream);
        }
        for (; j < cols; j += V_LANES) {
            const size_t left = cols - j < V_LANES ? cols - j : V_LANES;
            const v_real h = derivative(activation, row_load(from + j, left), alpha);
            row_store(dx + j, v_mul(row_load(dy + j, left), h), left);
        }
    }
    if (stream)
        v_stream_end();
}

void KERNEL(activation_backward)(const cnn_activation_spec *h, size_t rows, size_t cols,
                                 const void *dy, size_t dy_row, const void *from, size_t from_row,
                                 void *dx, size_t dx_row, int stream)
{
    if (dy_row == cols && from_row == cols && dx_row == cols) {
        cols *= rows;
        rows = 1;
    }
    switch (h->kind) {
#define CNN_X(constant, value, name, input, bound, number, standard)                               \
    case CNN_##constant:                                                                           \
        backward_rows(CNN_##constant, h->alpha, rows, cols, dy, dy_row, from, from_row, dx,        \
                      dx_row, stream);                                                             \
        break;
        CNN_ACTIVATIONS(CNN_X)
#undef CNN_X
    default:
        break;
    }
}
