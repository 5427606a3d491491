/*
 * The loop of each elementwise function alone, as the kernels have it (V_STREAMS vectors side by
 * side), for llvm-mca. Compiled for each instruction set with the options of activation.c.
 */
#include "kernels/local.h"
#include "kernels/vmath.h"

#define LOOP(name, result)                                                                         \
    void loop_##name(size_t n, const real *x, real *y);                                            \
    void loop_##name(size_t n, const real *x, real *y)                                             \
    {                                                                                              \
        for (size_t j = 0; j + V_STREAMS * V_LANES <= n; j += V_STREAMS * V_LANES) {               \
            v_real h[V_STREAMS];                                                                   \
            UNROLL                                                                                 \
            for (size_t v = 0; v < V_STREAMS; v++) {                                               \
                const v_real in = v_load(x + j + v * V_LANES);                                     \
                h[v] = result;                                                                     \
            }                                                                                      \
            UNROLL                                                                                 \
            for (size_t v = 0; v < V_STREAMS; v++)                                                 \
                v_store(y + j + v * V_LANES, h[v]);                                                \
        }                                                                                          \
    }

LOOP(relu, v_max(v_zero(), in))
LOOP(exp, v_exp(in))
LOOP(log, v_log(in))
LOOP(sigmoid, v_sigmoid(in))
LOOP(tanh, v_tanh(in))
LOOP(softplus, v_softplus(in))
LOOP(gelu, vm_gelu(in))
LOOP(erf, v_erf(in))
