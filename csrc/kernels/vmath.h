/*
 * exp, log, tanh, erf and their kin, written once over simd/: the same sequence of IEEE operations
 * on every instruction set, so the same bits. No libm, no tables, no branches; special values come
 * out of the arithmetic or of compare-and-select. Denormals are exact citizens; NaN gives NaN.
 *
 * The coefficients come from tools/minimax.py. In the comments u is half a unit in the last place
 * of 1: 2^-24 or 2^-53; errors of fits are relative to the result.
 */
#ifndef CNN_VMATH_H
#define CNN_VMATH_H

#include "kernels/simd/simd.h"

#if CNN_BITS == 32
#define VM_MANTISSA 23
#define VM_BIAS 127
#define VM_SHIFTER R(0x1.8p+23)
#define VM_EXP_LOWEST R(-104.0)  /* exp of less is 0 */
#define VM_EXP_HIGHEST R(89.0)   /* exp of more is inf */
#define VM_EXPM1_LOWEST R(-18.0) /* expm1 of less is -1 */
#define VM_TANH_HIGHEST R(10.0)  /* tanh of more is 1 */
#define VM_ERF_HIGHEST R(4.0)    /* erf of more is 1 */
#define VM_NORMAL_HIGHEST R(14.6) /* the density and the tail beyond are 0 */
#define VM_LN2 R(0x1.62e430p-1)
#define VM_LN2_LOW R(-0x1.05c610p-29)
#define VM_LN2_SHORT R(0x1.62e4p-1)
#define VM_LN2_REST R(0x1.7f7d1cp-20)
#define VM_LOG2E R(0x1.715476p+0)
#define VM_SQRT2 R(0x1.6a09e6p+0)
#define VM_SQRT_HALF R(0x1.6a09e6p-1)
#define VM_DENSITY_OF_0 R(0x1.988454p-2)
#define VM_ROOT_2PI R(0x1.40d9320000000p+1)
#define VM_ROOT_2PI_LOW R(-0x1.3b1f4e0000000p-32)
#else
#define VM_MANTISSA 52
#define VM_BIAS 1023
#define VM_SHIFTER R(0x1.8p+52)
#define VM_EXP_LOWEST R(-746.0)
#define VM_EXP_HIGHEST R(710.0)
#define VM_EXPM1_LOWEST R(-38.0)
#define VM_TANH_HIGHEST R(20.0)
#define VM_ERF_HIGHEST R(6.0)
#define VM_NORMAL_HIGHEST R(38.7)
#define VM_LN2 R(0x1.62e42fefa39efp-1)
#define VM_LN2_LOW R(0x1.abc9e3b39803fp-56)
#define VM_LN2_SHORT R(0x1.62e42fefa38p-1)
#define VM_LN2_REST R(0x1.ef35793c76730p-45)
#define VM_LOG2E R(0x1.71547652b82fep+0)
#define VM_SQRT2 R(0x1.6a09e667f3bcdp+0)
#define VM_SQRT_HALF R(0x1.6a09e667f3bcdp-1)
#define VM_DENSITY_OF_0 R(0x1.9884533d43651p-2)
#define VM_ROOT_2PI R(0x1.40d931ff62706p+1)
#define VM_ROOT_2PI_LOW R(-0x1.a6a0d6f814637p-53)
#endif

/* The magic number whose sum with n has n + 2 bias in its low bits, for scaled(). */
#define VM_SCALER (VM_SHIFTER + 2 * VM_BIAS)
/* The same with n + bias, for power_of_2(). */
#define VM_POWER (VM_SHIFTER + VM_BIAS)

/*
 * c[0] + c[1] x + ... + c[n-1] x^(n-1), even and odd powers apart: two chains of half the length
 * let a loop over vectors overlap more of them.
 */
INLINE v_real polynomial(v_real x, v_real square, const real *c, const int n)
{
    v_real last = v_set1(c[n - 1]), other = v_set1(c[n - 2]);
    UNROLL
    for (int k = n - 3; k >= 0; k--) {
        const v_real sum = v_fma(last, square, v_set1(c[k]));
        last = other;
        other = sum;
    }
    return v_fma(last, x, other);
}

/*
 * Numbers n are rounded by adding a shifter, which leaves n + 2 bias in the low bits of the sum t
 * (or n + bias, with the other shifter), ready to become exponents.
 */

/* (a s + a) 2^n, the scaling rounded once: by two powers of 2, since one may be out of range. */
INLINE v_real scaled(v_real s, v_real a, v_real t)
{
#ifdef SCALEF
    return SCALEF(v_fma(s, a, a), v_sub(t, v_set1(VM_SCALER)));
#else
    const v_int twice = v_as_int(t);
    const v_int exponents = vi_set1((integer)(((bits)2 * VM_BIAS + 1) << VM_MANTISSA));
    const v_int half = vi_and(vi_shift_left(twice, VM_MANTISSA - 1), exponents);
    const v_int rest = vi_sub(vi_shift_left(twice, VM_MANTISSA), half);
    a = v_mul(a, v_as_real(half));
    return v_mul(v_fma(s, a, a), v_as_real(rest));
#endif
}

/* p 2^n */
INLINE v_real v_scale(v_real p, v_real t)
{
#ifdef SCALEF
    return SCALEF(p, v_sub(t, v_set1(VM_SCALER)));
#else
    const v_int twice = v_as_int(t);
    const v_int exponents = vi_set1((integer)(((bits)2 * VM_BIAS + 1) << VM_MANTISSA));
    const v_int half = vi_and(vi_shift_left(twice, VM_MANTISSA - 1), exponents);
    const v_int rest = vi_sub(vi_shift_left(twice, VM_MANTISSA), half);
    return v_mul(v_mul(p, v_as_real(half)), v_as_real(rest));
#endif
}

/* 2^n from t = VM_POWER + n. */
INLINE v_real power_of_2(v_real t)
{
    return v_as_real(vi_shift_left(v_as_int(t), VM_MANTISSA));
}

/* x = n ln 2 + r with |r| <= ln 2 / 2 (and a little): returns r, and t = n + shifter. */
INLINE v_real reduced(v_real x, v_real low, const real shifter, v_real *t)
{
    *t = v_fma(v_sub(x, v_set1(R(0.0588915178))), v_set1(VM_LOG2E), v_set1(shifter));
    const v_real n = v_sub(*t, v_set1(shifter));
    return v_fnma(n, v_set1(VM_LN2_LOW), v_fnma(n, v_set1(VM_LN2), x));
}

#if CNN_BITS == 32
static const real exp_tail[] = {R(0x1.0000020000000p-1), R(0x1.5554780000000p-3), R(0x1.554d2c0000000p-5), R(0x1.124eee0000000p-7), R(0x1.7531940000000p-10)};
#else
static const real exp_tail[] = {R(0x1.0000000000007p-1), R(0x1.55555555556aap-3), R(0x1.5555555550e43p-5), R(0x1.11111110a496dp-7), R(0x1.6c16c183bd4c0p-10), R(0x1.a01a044a7e207p-13), R(0x1.a0199a5a03501p-16), R(0x1.71d79f413cc55p-19), R(0x1.28ad44479671ep-22), R(0x1.b9fa7b4f38766p-26)};
#endif
#define EXP_TAIL exp_tail, sizeof exp_tail / sizeof *exp_tail

INLINE v_real horner(v_real x, const real *c, const int n)
{
    v_real sum = v_set1(c[n - 1]);
    UNROLL
    for (int k = n - 2; k >= 0; k--)
        sum = v_fma(sum, x, v_set1(c[k]));
    return sum;
}

INLINE v_real exp_reduced(v_real r)
{
    const v_real one = v_set1(1);
#if CNN_BITS == 32
    const v_real tail = horner(r, EXP_TAIL);
#else
    const v_real tail = polynomial(r, v_mul(r, r), EXP_TAIL);
#endif
    return v_fma(v_fma(tail, r, one), r, one);
}

/* e^r - 1 for reduced r. */
INLINE v_real expm1_reduced(v_real r)
{
    const v_real square = v_mul(r, r);
    return v_fma(square, polynomial(r, square, EXP_TAIL), r);
}

/* exp(x) for x <= 0 or NaN. */
INLINE v_real v_exp_nonpositive(v_real x)
{
    x = v_max(v_set1(VM_EXP_LOWEST), x);
    const v_real t = v_fma(x, v_set1(VM_LOG2E), v_set1(VM_SCALER));
    const v_real n = v_sub(t, v_set1(VM_SCALER));
    const v_real r = v_fnma(n, v_set1(VM_LN2_LOW), v_fnma(n, v_set1(VM_LN2), x));
    return v_scale(exp_reduced(r), t);
}

INLINE v_real v_exp(v_real x)
{
    return v_exp_nonpositive(v_min(v_set1(VM_EXP_HIGHEST), x));
}

INLINE v_real v_expm1(v_real x)
{
    v_real t;
    const v_real in = v_min(v_set1(VM_EXP_HIGHEST), v_max(v_set1(VM_EXPM1_LOWEST), x));
    const v_real r = reduced(in, v_zero(), VM_POWER - 1, &t);
    const v_real p = expm1_reduced(r);
    const v_real half = power_of_2(t); /* 2^(n-1), since 2^n may be out of range */
    const v_real y = v_fma(half, p, v_sub(half, v_set1(R(0.5))));
    const v_mask no_power = v_eq(t, v_set1(VM_POWER - 1));
    return v_copysign(v_select(no_power, p, v_add(y, y)), x);
}

/* log(u) + tail for normal u > 0. */
INLINE v_real log_normal(v_real u, v_real exponent_offset, v_real tail)
{
    const integer one = (integer)((bits)VM_BIAS << VM_MANTISSA);
    const v_real origin = v_set1(VM_SQRT_HALF);
    const v_int i = vi_add(vi_sub(v_as_int(u), v_as_int(origin)), vi_set1(one));
    const integer big = (integer)((bits)(VM_BIAS + VM_MANTISSA) << VM_MANTISSA);
    const v_real biased = v_as_real(vi_add(vi_shift_right(i, VM_MANTISSA), vi_set1(big)));
    const real bias = (real)((integer)1 << VM_MANTISSA) + VM_BIAS;
    const v_real e = v_sub(v_sub(biased, v_set1(bias)), exponent_offset);
    const v_int fraction = vi_and(i, vi_set1((integer)(((bits)1 << VM_MANTISSA) - 1)));
    const v_real f = v_sub(v_as_real(vi_add(fraction, v_as_int(origin))), v_set1(1));
    const v_real whole = v_mul(e, v_set1(VM_LN2_SHORT));
    const v_real sum = v_add(whole, f);
    const v_real lost = v_sub(f, v_sub(sum, whole));
    const v_real low = v_fma(e, v_set1(VM_LN2_REST), tail);
#if CNN_BITS == 32
    static const real c[] = {
R(0x1.5555540000000p-2), R(-0x1.0002280000000p-2), R(0x1.99a00a0000000p-3), R(-0x1.5472440000000p-3), R(0x1.22da040000000p-3), R(-0x1.0d852e0000000p-3), R(0x1.055c0c0000000p-3), R(-0x1.38b7680000000p-4)};
    const v_real square = v_mul(f, f);
    const v_real rest = v_fma(square, v_fma(f, polynomial(f, square, c, sizeof c / sizeof *c), v_set1(R(-0.5))), low);
#else
    static const real c[] = {R(0x1.5555555555557p-1), R(0x1.999999998bd00p-2),
                             R(0x1.2492493b9c29bp-2), R(0x1.c71c54ca683dcp-3),
                             R(0x1.74660bfb2fe10p-3), R(0x1.399f79093a302p-3),
                             R(0x1.2f5848100790fp-3)};
    const v_real s = v_div(f, v_add(f, v_set1(2)));
    const v_real z = v_mul(s, s);
    const v_real half_square = v_mul(v_mul(v_set1(R(0.5)), f), f);
    const v_real q = v_fma(z, polynomial(z, v_mul(z, z), c, sizeof c / sizeof *c), half_square);
    const v_real rest = v_sub(v_fma(s, q, low), half_square);
#endif
    return v_add(sum, v_add(lost, rest));
}

/* The logarithm of x where it is defined, from y, right where 0 < x < inf. */
INLINE v_real log_special(v_real x, v_real y)
{
    const v_real inf = v_set1((real)INFINITY);
    const v_real finite = v_select(v_lt(x, inf), y, x);
    const v_real outside = v_select(v_lt(x, v_zero()), v_set1((real)NAN), v_sub(v_zero(), inf));
    return v_select(v_le(x, v_zero()), outside, finite);
}

INLINE v_real v_log(v_real x)
{
    const v_mask tiny = v_lt(x, v_as_real(vi_set1((integer)((bits)1 << VM_MANTISSA))));
    const real power = (real)((integer)2 << VM_MANTISSA);
    const v_real u = v_select(tiny, v_mul(x, v_set1(power)), x);
    const v_real offset = v_select(tiny, v_set1(VM_MANTISSA + 1), v_zero());
    return log_special(x, log_normal(u, offset, v_zero()));
}

INLINE v_real v_log1p(v_real x)
{
    const v_real one = v_set1(1);
    const v_real u = v_add(x, one);
    const v_real x_part = v_sub(u, one);
    const v_real lost = v_add(v_sub(one, v_sub(u, x_part)), v_sub(x, x_part));
    const v_real y = log_special(u, log_normal(u, v_zero(), v_div(lost, u)));
    return v_copysign(y, x);
}

INLINE v_real v_softplus(v_real x)
{
#if CNN_BITS == 32
    static const real c[] = {R(0x1.5555580000000p-1), R(0x1.99966c0000000p-2),
                             R(0x1.25109e0000000p-2), R(0x1.b62bf80000000p-3),
                             R(0x1.f463180000000p-3)};
#else
    static const real c[] = {R(0x1.5555555555535p-1), R(0x1.99999999a0842p-2),
                             R(0x1.249249208564fp-2), R(0x1.c71c741f941e9p-3),
                             R(0x1.745cb39a74eedp-3), R(0x1.3b1de336b2c00p-3),
                             R(0x1.106767ba5e456p-3), R(0x1.efdd8ffb268c7p-4),
                             R(0x1.559c1b818c4c9p-4), R(0x1.5c8a852bc656fp-3)};
#endif
    const v_real w = v_exp_nonpositive(v_copysign(x, v_set1(-1)));
    const v_real s = v_div(w, v_add(w, v_set1(2)));
    const v_real z = v_mul(s, s);
    const v_real q = v_fnma(z, polynomial(z, v_mul(z, z), c, sizeof c / sizeof *c), w);
    return v_add(v_max(x, v_zero()), v_fnma(s, q, w));
}

INLINE v_real v_sigmoid(v_real x)
{
    const v_real one = v_set1(1);
    const v_real w = v_exp_nonpositive(v_copysign(x, v_set1(-1)));
    return v_div(v_select(v_lt(x, v_zero()), w, one), v_add(w, one));
}

INLINE v_real v_tanh(v_real x)
{
    v_real t;
    const v_real a = v_min(v_set1(VM_TANH_HIGHEST), v_abs(x));
    const v_real p = expm1_reduced(reduced(v_mul(a, v_set1(-2)), v_zero(), VM_POWER, &t));
    const v_real power = power_of_2(t);
    const v_real over = v_fma(power, p, v_sub(power, v_set1(1)));
    const v_real under = v_fma(power, p, v_add(power, v_set1(1)));
    const v_real h = v_mul(v_set1(R(-0.5)), over);
    return v_copysign(v_fnma(h, v_div(over, under), h), x);
}

/*
 * Phi(-y) = (1 + s) 2^n density(0) tail_over / tail_under: one over Mills' ratio is y + D(y), where D(y) = P / Q.
 * Hence Phi(-y) / pdf = Q / (y Q + P), where the errors of Q nearly cancel for large y and those of P fade.
 */
INLINE v_real tail_ratio(v_real y, v_real *s)
{
#if CNN_BITS == 32
    static const real p[] = {R(0x1.8000000000000p+1), R(0x1.e48b4c0000000p+0), R(0x1.4052720000000p-1), R(0x1.ccafac0000000p-4), R(0x1.3485820000000p-7)};
    static const real q[] = {R(0x1.8000000000000p+0), R(0x1.a128340000000p+0), R(0x1.b335320000000p-1), R(0x1.06dc520000000p-2), R(0x1.6fb9700000000p-5), R(0x1.ec48180000000p-9)};
#else
    static const real p[] = {R(0x1.8000000000000p+1), R(0x1.db9caacb02739p+1), R(0x1.2d3b2cce2476ap+1), R(0x1.ef6a03eda06a5p-1), R(0x1.1f3a5a5bf5e6fp-2), R(0x1.e36c9b3cf7270p-5), R(0x1.2673ac5bedb04p-7), R(0x1.f550085a20a18p-11), R(0x1.10156be7e7af7p-14), R(0x1.225d97b641affp-19)};
    static const real q[] = {R(0x1.8000000000000p+0), R(0x1.453f9bae11c80p+1), R(0x1.10832988f4e24p+1), R(0x1.2468be6ac40aep+0), R(0x1.b9313ee91effdp-2), R(0x1.e714a0978b0e9p-4), R(0x1.8e21b0f2d389bp-6), R(0x1.dca948b2acf9cp-9), R(0x1.91ccb21ec66dap-12), R(0x1.b22ec779963eep-16), R(0x1.cf5b4077277f3p-21)};
#endif
    const v_real square = v_mul(y, y);
    const v_real over = v_fma(y, polynomial(y, square, q + 1, sizeof q / sizeof *q - 1), v_set1(q[0]));
    const v_real rest = v_fma(y, polynomial(y, square, p + 1, sizeof p / sizeof *p - 1), v_set1(p[0]));
    const v_real yc = v_mul(y, v_set1(VM_ROOT_2PI));
    const v_real lost = v_fnma(y, v_set1(VM_ROOT_2PI_LOW), v_fnma(y, v_set1(VM_ROOT_2PI), yc));
    const v_real ratio = v_div(over, v_fma(yc, over, rest));
    *s = v_fma(lost, ratio, *s);
    return ratio;
}

/* p exp(-y^2 / 2) = scaled(p times what it returns, t), y^2 being taken to twice the precision. */
INLINE v_real exp_half_square(v_real y, v_real *t)
{
    const v_real half = v_mul(y, v_set1(R(-0.5)));
    const v_real x = v_mul(y, half);
    const v_real lost = v_fnma(y, half, x); /* x - exact */
    *t = v_fma(v_sub(x, v_set1(R(0.0588915178))), v_set1(VM_LOG2E), v_set1(VM_SCALER));
    const v_real n = v_sub(*t, v_set1(VM_SCALER));
    return expm1_reduced(v_sub(v_fnma(n, v_set1(VM_LN2), x), v_fma(n, v_set1(VM_LN2_LOW), lost)));
}

INLINE v_real v_normal_pdf(v_real x)
{
    v_real t;
    const v_real y = v_min(v_set1(VM_NORMAL_HIGHEST), v_abs(x));
    const v_real p = exp_half_square(y, &t);
    return scaled(p, v_set1(VM_DENSITY_OF_0), t);
}

INLINE v_real v_normal_cdf(v_real x)
{
    v_real t;
    const v_real y = v_min(v_set1(VM_NORMAL_HIGHEST), v_abs(x));
    v_real s = exp_half_square(y, &t);
    const v_real ratio = tail_ratio(y, &s);
    const v_real tail = v_scale(v_fma(s, ratio, ratio), t);
    return v_select(v_lt(v_zero(), x), v_sub(v_set1(1), tail), tail);
}

INLINE v_real v_erf(v_real x)
{
    /* erf(x) / x - 1 in x^2. */
#if CNN_BITS == 32
    static const real c[] = {R(0x1.06eba60000000p-3),  R(-0x1.8126fe0000000p-2),
                             R(0x1.ce1e9c0000000p-4),  R(-0x1.b6cb2e0000000p-6),
                             R(0x1.48c44e0000000p-8), R(-0x1.40a2380000000p-11)};
#else
    static const real c[] = {
        R(0x1.06eba8214db69p-3),   R(-0x1.812746b0379e3p-2),  R(0x1.ce2f21a042856p-4),
        R(-0x1.b82ce31274346p-6),  R(0x1.565bcd0a9449cp-8),   R(-0x1.c02db326e6d57p-11),
        R(0x1.f9a30865feee6p-14),  R(-0x1.f4cf84f5dd533p-17), R(0x1.b9b981460a824p-20),
        R(-0x1.5d93ebf8f818ap-23), R(0x1.e32eec6190152p-27),  R(-0x1.d46c10b2bb312p-31)};
#endif
    v_real t;
    const v_real y = v_min(v_set1(VM_ERF_HIGHEST), v_abs(x));
    const v_real square = v_mul(y, y);
    const v_real near = v_fma(polynomial(square, v_mul(square, square), c, sizeof c / sizeof *c), y, y);
    v_real s = expm1_reduced(reduced(v_sub(v_zero(), square), v_zero(), VM_POWER, &t));
    const v_real ratio = v_mul(v_mul(v_set1(2), power_of_2(t)), tail_ratio(v_mul(v_set1(VM_SQRT2), y), &s));
    const v_real far = v_sub(v_set1(1), v_fma(s, ratio, ratio));
    return v_copysign(v_select(v_lt(square, v_set1(R(0.79))), near, far), x);
}

#endif
