/* The functions of vmath.h as functions of arrays, for one (CNN_ISA, CNN_BITS). */
#include "kernels/vmath.h"

#include "accuracy/functions.h"
#include "accuracy/measure.h"

#define APPLY(name)                                                                                \
    for (size_t i = 0; i < n; i += V_LANES)                                                        \
    v_store(y + i, v_##name(v_load(x + i)))

/* y = f(x) for n numbers, a multiple of 16. */
void KERNEL(accuracy_vmath)(int function, size_t n, const void *from, void *to)
{
    const real *x = from;
    real *y = to;
    switch (function) {
    case ACCURACY_expm1:
        APPLY(expm1);
        break;
    case ACCURACY_log:
        APPLY(log);
        break;
    case ACCURACY_log1p:
        APPLY(log1p);
        break;
    case ACCURACY_erf:
        APPLY(erf);
        break;
    case ACCURACY_normal_cdf:
        APPLY(normal_cdf);
        break;
    case ACCURACY_normal_pdf:
        APPLY(normal_pdf);
        break;
    case ACCURACY_cos_turns:
        APPLY(cos_turns);
        break;
    case ACCURACY_sin_turns:
        APPLY(sin_turns);
        break;
    default:
        memset(y, 0xff, n * sizeof *y); /* NaN: nobody takes it for a result */
    }
}
