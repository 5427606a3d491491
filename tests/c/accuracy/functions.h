/*
 * The functions whose accuracy is measured: X(name, activation, single, twice, from, to, hard_from,
 * hard_to).
 *
 * - activation: its constant in cnn.h, if the kernel of activations computes it; VMATH if it is a
 *   function of vmath.h alone.
 * - single, twice: the limits in ULP in float32 and in float64. This list is the only place that
 *   states them. It keeps what cnn.h promises of activations.
 * - from, to: outside of this range the value is 0, constant, x or infinite, roughly, or the
 *   function is periodic.
 * - hard_from, hard_to: a range that deserves more points.
 *
 * Two additions are those of cnn.h. The factor of x in silu, gelu, gelu_tanh and mish may be a
 * denormal number, whose rounding x multiplies: |x| times the smallest denormal number more. And
 * gelu_tanh has GELU_TANH_ULP |a| ULP more for x < 0, with a = sqrt(8 / pi) (x + 0.044715 x^3).
 */
#ifndef CNN_ACCURACY_FUNCTIONS_H
#define CNN_ACCURACY_FUNCTIONS_H

#include "cnn/cnn.h"

#define VMATH CNN_ACTIVATION_COUNT
#define GELU_TANH_ULP 4

/* clang-format off */
#define ACCURACY_FUNCTIONS(X)                                                                      \
    X(exp, CNN_EXPONENTIAL, 1, 1, -750, 715, -0.4, 0.4)                                            \
    X(expm1, VMATH, 3, 3, -40, 715, -0.8, 0.8)                                                     \
    X(log, VMATH, 1, 1, 0, 1e6, 0.6, 1.6)                                                          \
    X(log1p, VMATH, 1, 1, -1, 1e6, -0.6, 0.6)                                                      \
    X(tanh, CNN_TANH, 2, 3, -20, 20, -0.8, 0.8)                                                    \
    X(sigmoid, CNN_SIGMOID, 3, 3, -750, 40, -1, 1)                                                 \
    X(softplus, CNN_SOFTPLUS, 3, 3, -750, 40, -1, 1)                                               \
    X(erf, VMATH, 2, 3, -6, 6, -1.2, 1.2)                                                          \
    X(normal_cdf, VMATH, 3, 3, -39, 9, -1.2, 1.2)                                                  \
    X(normal_pdf, VMATH, 3, 3, -39, 39, -1.2, 1.2)                                                 \
    X(cos_turns, VMATH, 4, 4, -1000, 1000, -0.6, 0.6)                                              \
    X(sin_turns, VMATH, 4, 4, -1000, 1000, -0.6, 0.6)                                              \
    X(elu, CNN_ELU, 3, 3, -40, 1, -0.8, 0)                                                         \
    X(selu, CNN_SELU, 3, 3, -40, 1, -0.8, 0.8)                                                     \
    X(silu, CNN_SILU, 4, 4, -750, 40, -4, 4)                                                       \
    X(gelu, CNN_GELU, 4, 4, -39, 9, -1.2, 1.2)                                                     \
    X(gelu_tanh, CNN_GELU_TANH, 4, 4, -22, 8, -1.2, 1.2)                                           \
    X(mish, CNN_MISH, 4, 4, -750, 40, -4, 4)                                                       \
    X(softsign, CNN_SOFTSIGN, 3, 3, -1e6, 1e6, -2, 2)                                              \
    X(hard_sigmoid, CNN_HARD_SIGMOID, 3, 3, -4, 4, -3.0625, -2.9375)                               \
    X(hard_swish, CNN_HARD_SWISH, 3, 3, -4, 4, -3.0625, -2.9375)                                   \
    X(leaky_relu, CNN_LEAKY_RELU, 1, 1, -8, 8, -1, 1)                                              \
    X(relu, CNN_RELU, 0, 0, -8, 8, -1, 1)                                                          \
    X(relu6, CNN_RELU6, 0, 0, -8, 8, 5, 7)                                                         \
    X(step, CNN_STEP, 0, 0, -8, 8, -1, 1)                                                          \
    X(identity, CNN_IDENTITY, 0, 0, -8, 8, -1, 1)
/* clang-format on */

enum {
#define CNN_X(name, activation, single, twice, from, to, hard_from, hard_to) ACCURACY_##name,
    ACCURACY_FUNCTIONS(CNN_X)
#undef CNN_X
        ACCURACY_COUNT
};

typedef struct accuracy_function {
    const char *name;
    int activation;
    double limits[2]; /* float32, float64 */
    double from, to, hard_from, hard_to;
} accuracy_function;

static const accuracy_function accuracy_functions[] = {
#define CNN_X(name, activation, single, twice, from, to, hard_from, hard_to)                       \
    {#name, activation, {single, twice}, from, to, hard_from, hard_to},
    ACCURACY_FUNCTIONS(CNN_X)
#undef CNN_X
};

#endif
