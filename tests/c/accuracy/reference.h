/*
 * The exact values of all functions, for CNN_BITS, computed by the C library in a wider type:
 * double for float32, long double for float64. No terms cancel in these formulas, so that the
 * relative error is some units of the wider type, but for gelu_tanh, whose exponent a is rounded:
 * |a| times as much. And the error of a result in ULP of the narrow type.
 */
#ifndef CNN_ACCURACY_REFERENCE_H
#define CNN_ACCURACY_REFERENCE_H

#include <float.h>
#include <stdint.h>
#include <string.h>
#include <tgmath.h>

#include "accuracy/functions.h"

#if CNN_BITS == 32
typedef double wide;
#define MANTISSA FLT_MANT_DIG
#define LEAST_EXPONENT FLT_MIN_EXP
#define MOST_EXPONENT FLT_MAX_EXP
#define MOST FLT_MAX
#else
#if defined(__wasm__) /* musl's expl rounds its argument to double: see library_ulp */
typedef double wide;
#else
typedef long double wide;
#endif
#define MANTISSA DBL_MANT_DIG
#define LEAST_EXPONENT DBL_MIN_EXP
#define MOST_EXPONENT DBL_MAX_EXP
#define MOST DBL_MAX
#endif

/* Let this thread compute in the wide type: one of Windows begins with the x87 set to double. */
static inline void begin_wide(void)
{
#if defined(_WIN32) && defined(__x86_64__)
    __asm__ volatile("fninit");
#endif
}

/* If long double is soft (AArch64), only some outputs are measured. */
#define MEASURE_EVERY (CNN_BITS == 64 && LDBL_MANT_DIG > 64 ? 61 : 1)

/*
 * The library's own error in ULP of the narrow type, where functions of the wide type give no more
 * than those of double: long double is the same type (Windows, macOS), or has 113 bits in musl,
 * which calls exp for expl (WebAssembly). One function tells, since there it is so for all.
 */
static inline double library_ulp(void)
{
    volatile wide x = 0.75; /* the compiler would compute it in full */
    const wide y = exp(x);
    return CNN_BITS == 64 && (wide)(double)y == y ? 4 : 0;
}

/* ---- Elementary functions -------------------------------------------------------------------- */

static inline wide exact_exp(wide x)
{
    return exp(x);
}
static inline wide exact_expm1(wide x)
{
    return expm1(x);
}
static inline wide exact_log(wide x)
{
    return log(x);
}
static inline wide exact_log1p(wide x)
{
    return log1p(x);
}
static inline wide exact_tanh(wide x)
{
    return tanh(x);
}
static inline wide exact_erf(wide x)
{
    return erf(x);
}
static inline wide exact_sigmoid(wide x)
{
    const wide w = exp(-fabs(x));
    return (x < 0 ? w : 1) / (1 + w);
}
static inline wide exact_softplus(wide x)
{
    return (x > 0 ? x : 0) + log1p(exp(-fabs(x)));
}
static inline wide exact_normal_pdf(wide x)
{
    /* exp(x^2) needs the part of x^2 that is rounded away. */
    const wide density_of_0 = (wide)0.398942280401432677939946059934381868L;
    const wide square = x * x;
    if (square > 1e5)
        return x == x ? 0 : x;
    return exp(-square / 2) * (1 - fma(x, x, -square) / 2) * density_of_0;
}
static inline wide exact_normal_cdf(wide x)
{
    /* Phi(x + d) = Phi(x) + d pdf(x), where d is what the rounding of x / sqrt(2) leaves. */
    const wide root = (wide)1.41421356237309504880168872420969808L;
    const wide root_rest = (2 - root * root + -fma(root, root, -(root * root))) / (2 * root);
    const wide z = x / root;
    if (!(fabs(z) < 1e4))
        return x < 0 ? 0 : x > 0 ? 1 : x;
    const wide d = -(fma(z, root, -x) + z * root_rest);
    return erfc(-z) / 2 + d * exact_normal_pdf(x);
}
/* sin(2 pi s) for |s| <= 1/4, where the rounding of 2 pi s costs at most as much as it has. */
static inline wide exact_part_of_turn(wide s)
{
    return sin(s * (wide)6.28318530717958647692528676655900577L);
}
/* x without its whole turns. From 2^(MANTISSA - 2) on x counts as whole turns, as vmath.h has it.
 */
static inline wide without_turns(wide x)
{
    return fabs(x) < ldexp((wide)1, MANTISSA - 2) ? x - rint(x) : x - x;
}
static inline wide exact_cos_turns(wide x)
{
    return exact_part_of_turn((wide)0.25 - fabs(without_turns(x)));
}
static inline wide exact_sin_turns(wide x)
{
    const wide r = without_turns(x), half = 0.5;
    return copysign(exact_part_of_turn(fabs(r) > half / 2 ? half - fabs(r) : fabs(r)), r);
}

/* ---- Activations ----------------------------------------------------------------------------- */

#define EXACT_SELU_SCALE ((wide)1.0507009873554804934193349852946L)
#define EXACT_SELU_PRODUCT ((wide)1.7580993408473768599402175208123L)
#define EXACT_GELU_TANH_LINEAR ((wide)1.5957691216057307117597842397375L)

static inline wide exact_elu(wide x)
{
    return x > 0 ? x : expm1(x);
}
static inline wide exact_selu(wide x)
{
    return x > 0 ? EXACT_SELU_SCALE * x : EXACT_SELU_PRODUCT * expm1(x);
}
static inline wide exact_silu(wide x)
{
    return x * exact_sigmoid(x);
}
static inline wide exact_gelu(wide x)
{
    return x * exact_normal_cdf(x);
}
/* a in gelu_tanh(x) = x sigmoid(a). */
static inline wide exact_gelu_tanh_exponent(wide x)
{
    return EXACT_GELU_TANH_LINEAR * (x + (wide)0.044715L * x * x * x);
}
static inline wide exact_gelu_tanh(wide x)
{
    return x * exact_sigmoid(exact_gelu_tanh_exponent(x));
}
/* x tanh(log(1 + exp(x))) = x n / (n + 2 q^2), n = p^2 + 2 p q, p / q = exp(x), the larger being 1.
 */
static inline wide exact_mish(wide x)
{
    const wide w = exp(-fabs(x));
    const wide p = x < 0 ? w : 1, q = x < 0 ? 1 : w;
    const wide n = p * p + 2 * w;
    return x * (n / (n + 2 * q * q));
}
static inline wide exact_softsign(wide x)
{
    return x / (1 + fabs(x));
}
static inline wide exact_hard_sigmoid(wide x)
{
    return x <= -3 ? 0 : x >= 3 ? 1 : (x + 3) / 6;
}
static inline wide exact_hard_swish(wide x)
{
    return x <= -3 ? 0 : x >= 3 ? x : x * ((x + 3) / 6);
}
/* The slope is rounded to the type, as it is part of what the user asks for. */
static inline wide exact_leaky_relu(wide x)
{
    return x > 0 ? x : x * (wide)(CNN_BITS == 32 ? (double)0.01F : 0.01);
}
static inline wide exact_relu(wide x)
{
    return x <= 0 ? 0 : x;
}
static inline wide exact_relu6(wide x)
{
    return x <= 0 ? 0 : x >= 6 ? 6 : x;
}
static inline wide exact_step(wide x)
{
    return x <= 0 ? 0 : x > 0 ? 1 : x;
}
static inline wide exact_identity(wide x)
{
    return x;
}

/* The value of a function of the list. */
static inline wide exact_value(int function, wide x)
{
    /* The limits at infinities that the formulas miss. silu is x times 0 at -infinity, a NaN as in
     * other libraries. */
    if (isinf(x) && x < 0 &&
        (function == ACCURACY_gelu || function == ACCURACY_gelu_tanh || function == ACCURACY_mish))
        return 0;
    if (isinf(x) && function == ACCURACY_softsign)
        return copysign((wide)1, x);
    switch (function) {
#define CNN_X(name, activation, single, twice, from, to, hard_from, hard_to)                       \
    case ACCURACY_##name:                                                                          \
        return exact_##name(x);
        ACCURACY_FUNCTIONS(CNN_X)
#undef CNN_X
    default:
        return (wide)NAN;
    }
}

/* ---- Errors ---------------------------------------------------------------------------------- */

/* The distance of neighbouring numbers around an exact value, at least that of denormals. */
static inline wide ulp_at(wide exact)
{
#if CNN_BITS == 32
    /* The power of 2 by its bits, because this is called 2^32 times. */
    uint64_t power;
    memcpy(&power, &exact, sizeof power);
    power = (power >> 52 & 0x7ff) - (MANTISSA - 1);
    const uint64_t least = 1022 + LEAST_EXPONENT - (MANTISSA - 1);
    power = (power > least && power < 0x7ff ? power : least) << 52;
    double ulp;
    memcpy(&ulp, &power, sizeof ulp);
    return ulp;
#else
    int exponent;
    frexp(exact, &exponent);
    if (exponent < LEAST_EXPONENT || exact == 0)
        exponent = LEAST_EXPONENT;
    return ldexp((wide)1, exponent - MANTISSA);
#endif
}

/* |y - exact| in ULP of the exact value. Overflow counts as the next power of 2. */
static inline double error_in_ulp(wide value, wide exact)
{
    const wide overflow = ldexp((wide)1, MOST_EXPONENT);
    if (isnan(exact))
        return isnan(value) ? 0 : INFINITY;
    if (isnan(value))
        return INFINITY;
    if (isinf(value))
        value = copysign(overflow, value);
    if (!(fabs(exact) < overflow))
        exact = copysign(overflow, exact);
    if (value == exact)
        return 0;
    return (double)(fabs(value - exact) / ulp_at(exact));
}

#endif
