/*
 * exp, log, tanh, erf and their kin, written once over simd/: the same sequence of IEEE operations
 * on every instruction set, so the same bits. No libm, no look-ups, no branches; special values
 * come out of the arithmetic or of compare-and-select. Denormals are right, and NaN gives NaN.
 *
 *   v_exp(x) v_exp_nonpositive(x)   the second for x <= 0 alone, a little faster, the same bits
 *   v_expm1(x) v_log(x) v_log1p(x)
 *   v_tanh(x)
 *   v_sigmoid(x)                    1 / (1 + exp(-x))
 *   v_softplus(x)                   log(1 + exp(x))
 *   v_erf(x)
 *   v_normal_cdf(x)                 (1 + erf(x / sqrt 2)) / 2, with a small relative error for
 *   v_normal_pdf(x)                 x << 0 too; exp(-x^2 / 2) / sqrt(2 pi)
 *   v_cos_turns(x) v_sin_turns(x)   cos(2 pi x) and sin(2 pi x)
 *
 * The coefficients come from tools/minimax.py. In the comments u is half a unit in the last place
 * of 1 (2^-24 or 2^-53), and the errors of fits are relative to the function. "ULP a and b" is the
 * largest error that `make accuracy` measures: a over all float32, b over 10^8 float64.
 */
#ifndef CNN_VMATH_H
#define CNN_VMATH_H

#include "kernels/simd/simd.h"

#if CNN_BITS == 32
#define VM_MANTISSA 23
#define VM_BIAS 127
#define VM_SHIFTER R(0x1.8p+23)
#define VM_EXP_LEAST R(-104.0)  /* exp of less is 0 */
#define VM_EXP_MOST R(89.0)     /* exp of more is inf */
#define VM_EXPM1_LEAST R(-18.0) /* expm1 of less is -1 */
#define VM_TANH_MOST R(20.0)    /* tanh of half of more is 1 */
#define VM_ERF_MOST R(4.0)      /* erf of more is 1 */
#define VM_NORMAL_MOST R(14.6)  /* the density and the tail from here on are 0 */
#define VM_LOG2E R(0x1.715476p+0)
#define VM_LN2 R(0x1.62e430p-1)
#define VM_LN2_REST R(-0x1.05c610p-29)
#define VM_LN2_SHORT R(0x1.62e400p-1) /* 16 bits, so that n times it is exact */
#define VM_LN2_SHORT_REST R(0x1.7f7d1cp-20)
#define VM_SQRT2 R(0x1.6a09e6p+0)
#define VM_SQRT_HALF_BITS 0x3f3504f3
#define VM_ROOT_2PI R(0x1.40d932p+1)
#define VM_DENSITY_AT_0 R(0x1.988454p-2)
#else
#define VM_MANTISSA 52
#define VM_BIAS 1023
#define VM_SHIFTER R(0x1.8p+52)
#define VM_EXP_LEAST R(-746.0)
#define VM_EXP_MOST R(710.0)
#define VM_EXPM1_LEAST R(-38.0)
#define VM_TANH_MOST R(40.0)
#define VM_ERF_MOST R(6.0)
#define VM_NORMAL_MOST R(38.7)
#define VM_LOG2E R(0x1.71547652b82fep+0)
#define VM_LN2 R(0x1.62e42fefa39efp-1)
#define VM_LN2_REST R(0x1.abc9e3b39803fp-56)
#define VM_LN2_SHORT R(0x1.62e42fefa3800p-1) /* 42 bits */
#define VM_LN2_SHORT_REST R(0x1.ef35793c76730p-45)
#define VM_SQRT2 R(0x1.6a09e667f3bcdp+0)
#define VM_SQRT_HALF_BITS 0x3fe6a09e667f3bcd
#define VM_ROOT_2PI R(0x1.40d931ff62706p+1)
#define VM_ROOT_2PI_REST R(-0x1.a6a0d6f814637p-53)
#define VM_DENSITY_AT_0 R(0x1.9884533d43651p-2)
#endif

/* An array of coefficients and its size. */
#define VM_COEFFICIENTS(c) c, sizeof c / sizeof *c

/* c[0] + c[1] x + ... + c[n-1] x^(n-1) in one chain: the fewest operations. */
INLINE v_real vm_chain(v_real x, const real *c, const int n)
{
    v_real sum = v_set1(c[n - 1]);
    UNROLL
    for (int k = n - 2; k >= 0; k--)
        sum = v_fma(sum, x, v_set1(c[k]));
    return sum;
}

/* The same in two chains, of even and odd powers: one operation more, for the square, but a CPU
 * that must wait for results waits half as long. */
INLINE v_real vm_two_chains(v_real x, v_real square, const real *c, const int n)
{
    v_real chain = v_set1(c[n - 1]), other = v_set1(c[n - 2]);
    UNROLL
    for (int k = n - 3; k >= 0; k--) {
        const v_real next = v_fma(chain, square, v_set1(c[k]));
        chain = other;
        other = next;
    }
    return v_fma(chain, x, other);
}

/* ---- exp ------------------------------------------------------------------------------------- */

/*
 * x = n ln 2 + r with |r| <= ln 2 / 2 and a little: returns r, and t = n + shifter. Adding the
 * shifter rounds to a whole number, which stands in the low bits of the sum. x - n VM_LN2 is exact.
 */
INLINE v_real vm_reduce(v_real x, const real shifter, v_real *t)
{
    *t = v_fma(x, v_set1(VM_LOG2E), v_set1(shifter));
    const v_real n = v_sub(*t, v_set1(shifter));
    return v_fnma(n, v_set1(VM_LN2_REST), v_fnma(n, v_set1(VM_LN2), x));
}

/* With this shifter, and n in the range of exponents, 2^n is t shifted left. */
#define VM_POWER (VM_SHIFTER + VM_BIAS)

INLINE v_real vm_power_of_2(v_real t)
{
    return v_as_real(vi_shift_left(v_as_int(t), VM_MANTISSA));
}

/* T in e^r = 1 + r + r^2 T(r) for |r| <= ln 2 / 2. Error 0.29 u in float32 and 0.31 u in float64
 * relative to e^r - 1, so less than half of that relative to e^r. */
#if CNN_BITS == 32
static const real vm_exp_tail[] = {R(0x1.fffffep-2), R(0x1.5554b0p-3), R(0x1.555674p-5),
                                   R(0x1.122792p-7), R(0x1.6bebeep-10)};
#else
static const real vm_exp_tail[] = {R(0x1.0000000000005p-1),  R(0x1.5555555555539p-3),
                                   R(0x1.55555555522a3p-5),  R(0x1.1111111119027p-7),
                                   R(0x1.6c16c17ee1751p-10), R(0x1.a01a0174f229fp-13),
                                   R(0x1.a019a75cc0100p-16), R(0x1.71de884082173p-19),
                                   R(0x1.28a1f358fbfbep-22), R(0x1.ae6b6ecae70dfp-26)};
#endif

INLINE v_real vm_exp(v_real r)
{
    const v_real one = v_set1(1);
#if CNN_BITS == 32
    const v_real tail = vm_chain(r, VM_COEFFICIENTS(vm_exp_tail));
#else
    const v_real tail = vm_two_chains(r, v_mul(r, r), VM_COEFFICIENTS(vm_exp_tail));
#endif
    return v_fma(v_fma(tail, r, one), r, one);
}

INLINE v_real vm_expm1(v_real r)
{
    const v_real square = v_mul(r, r);
    return v_fma(square, vm_two_chains(r, square, VM_COEFFICIENTS(vm_exp_tail)), r);
}

/* exp(x) for x <= 0 or NaN. */
INLINE v_real v_exp_nonpositive(v_real x)
{
    v_real t;
    const v_real r = vm_reduce(v_max(v_set1(VM_EXP_LEAST), x), V_SCALER_DOWN, &t);
    return v_scale_down(vm_exp(r), t, r);
}

/* 2^n e^r: ULP 0.92 and 0.98. exp(x) <= 1 for x <= 0, and exp(0) = 1. */
INLINE v_real v_exp(v_real x)
{
    v_real t;
    const v_real inside = v_min(v_set1(VM_EXP_MOST), v_max(v_set1(VM_EXP_LEAST), x));
    const v_real r = vm_reduce(inside, V_SCALER, &t);
    return v_scale(vm_exp(r), t);
}

/*
 * 2^n (e^r - 1) + (2^n - 1), halved meanwhile because 2^n may be out of range; where n = 0 the
 * first term alone, since halves of denormals are not exact. ULP 1.76 and 2.35.
 */
INLINE v_real v_expm1(v_real x)
{
    v_real t;
    const v_real inside = v_min(v_set1(VM_EXP_MOST), v_max(v_set1(VM_EXPM1_LEAST), x));
    const v_real p = vm_expm1(vm_reduce(inside, VM_POWER - 1, &t));
    const v_real half_power = vm_power_of_2(t);
    const v_real half = v_fma(half_power, p, v_sub(half_power, v_set1(R(0.5))));
    const v_mask no_power = v_eq(t, v_set1(VM_POWER - 1));
    return v_copysign(v_select(no_power, p, v_add(half, half)), x);
}

/*
 * w = exp(-|x|) never overflows: 1 / (1 + w) for x >= 0 and w / (1 + w) for x < 0, which keeps its
 * relative error however small it is. ULP 2.41 and 2.33.
 */
INLINE v_real v_sigmoid(v_real x)
{
    const v_real one = v_set1(1);
    const v_real w = v_exp_nonpositive(v_minus_abs(x));
    return v_div(v_select(v_lt(x, v_zero()), w, one), v_add(one, w));
}

/* -T(-s): the roundings are those of T. */
#if CNN_BITS == 32
static const real vm_tanh_tail[] = {R(-0x1.fffffep-2), R(0x1.5554b0p-3), R(-0x1.555674p-5),
                                    R(0x1.122792p-7), R(-0x1.6bebeep-10)};
#else
static const real vm_tanh_tail[] = {R(-0x1.0000000000005p-1),  R(0x1.5555555555539p-3),
                                    R(-0x1.55555555522a3p-5),  R(0x1.1111111119027p-7),
                                    R(-0x1.6c16c17ee1751p-10), R(0x1.a01a0174f229fp-13),
                                    R(-0x1.a019a75cc0100p-16), R(0x1.71de884082173p-19),
                                    R(-0x1.28a1f358fbfbep-22), R(0x1.ae6b6ecae70dfp-26)};
#endif

/*
 * With a = |2x|, -a = n ln 2 - s, q = 1 - e^(-s) and h = 2^n / 2, N = (1 - exp(-a)) / 2 =
 * (1/2 - h) + h q and D = (1 + exp(-a)) / 2 = (1/2 + h) - h q, each rounded twice.
 * tanh(|x|) = N / D = N + N N/D, which for small a hides the error of the quotient. What ln 2
 * lacks does not matter: the larger -n, the less does exp(-a). ULP 1.97 and 2.12.
 */
INLINE v_real v_tanh(v_real x)
{
    const v_real half = v_set1(R(0.5));
    const v_real a = v_min(v_set1(VM_TANH_MOST), v_abs(v_add(x, x)));
    const v_real t = v_fma(a, v_set1(-VM_LOG2E), v_set1(VM_POWER - 1));
    const v_real s = v_fma(v_sub(t, v_set1(VM_POWER - 1)), v_set1(VM_LN2), a);
    const v_real square = v_mul(s, s), h = vm_power_of_2(t);
    const v_real q = v_fma(square, vm_two_chains(s, square, VM_COEFFICIENTS(vm_tanh_tail)), s);
    const v_real n = v_fma(h, q, v_sub(half, h)), d = v_fnma(h, q, v_add(half, h));
    return v_copysign(v_fma(n, v_div(n, d), n), x);
}

/* ---- log ------------------------------------------------------------------------------------- */

/*
 * log(x) + correction for normal x > 0: x = 2^(e + extra) (1 + f), sqrt(1/2) <= 1 + f < sqrt(2).
 * e ln 2 + f is summed exactly, in two parts, because for x just below sqrt(1/2) or above sqrt(2)
 * the sum is as small as f and an error in f would show in full.
 */
INLINE v_real vm_log(v_real x, v_real extra_and_bias, v_real correction)
{
    const integer one = (integer)VM_BIAS << VM_MANTISSA;
    const integer magic = (integer)(VM_BIAS + VM_MANTISSA) << VM_MANTISSA; /* 2^mantissa */
    const integer fraction = ((integer)1 << VM_MANTISSA) - 1;
    const v_int i = vi_add(v_as_int(x), vi_set1(one - VM_SQRT_HALF_BITS));
    const v_real biased = v_as_real(vi_add(vi_shift_right(i, VM_MANTISSA), vi_set1(magic)));
    const v_real e = v_sub(biased, extra_and_bias);
    const v_int m = vi_add(vi_and(i, vi_set1(fraction)), vi_set1(VM_SQRT_HALF_BITS));
    const v_real f = v_sub(v_as_real(m), v_set1(1));

    const v_real whole = v_mul(e, v_set1(VM_LN2_SHORT));
    const v_real sum = v_add(whole, f);
    const v_real lost = v_sub(f, v_sub(sum, whole));
    const v_real low = v_fma(e, v_set1(VM_LN2_SHORT_REST), correction);
#if CNN_BITS == 32
    /* log(1 + f) = f + f^2 (-1/2 + f T(f)), error 0.13 u. */
    static const real log_tail[] = {R(0x1.555554p-2),  R(-0x1.000228p-2), R(0x1.99a00ap-3),
                                    R(-0x1.547244p-3), R(0x1.22da04p-3),  R(-0x1.0d852ep-3),
                                    R(0x1.055c0cp-3),  R(-0x1.38b768p-4)};
    const v_real square = v_mul(f, f);
    const v_real tail = vm_two_chains(f, square, VM_COEFFICIENTS(log_tail));
    const v_real rest = v_fma(square, v_fma(f, tail, v_set1(R(-0.5))), low);
#else
    /* log(1 + f) = 2 s + s^3 T(s^2) with s = f / (2 + f), where 2 s = f - s f and then
     * s f = f^2/2 - s f^2/2, so that the error of the quotient is hidden. Error 0.02 u. */
    static const real log_tail[] = {R(0x1.5555555555597p-1), R(0x1.999999997e5c8p-2),
                                    R(0x1.249249435c943p-2), R(0x1.c71c50cf55ee4p-3),
                                    R(0x1.746682f11031ep-3), R(0x1.399a874695752p-3),
                                    R(0x1.2f513bfca25dfp-3)};
    const v_real s = v_div(f, v_add(v_set1(2), f));
    const v_real z = v_mul(s, s);
    const v_real tail = vm_two_chains(z, v_mul(z, z), VM_COEFFICIENTS(log_tail));
    const v_real half_square = v_mul(v_mul(v_set1(R(0.5)), f), f);
    const v_real rest = v_sub(v_fma(s, v_fma(z, tail, half_square), low), half_square);
#endif
    return v_add(sum, v_add(lost, rest));
}

/* What vm_log() expects where no power was taken out of x beforehand. */
#define VM_LOG_BIAS ((real)((integer)1 << VM_MANTISSA) + VM_BIAS)

/* y, right for 0 < x < inf, or else the logarithm of x. */
INLINE v_real vm_log_special(v_real x, v_real y)
{
    const v_real zero = v_zero(), inf = v_set1((real)INFINITY);
    const v_real outside = v_select(v_lt(x, zero), v_set1((real)NAN), v_sub(zero, inf));
    return v_select(v_le(x, zero), outside, v_select(v_lt(x, inf), y, x));
}

/* Denormals are multiplied by a power of 2 first. ULP 0.88 and 0.86. */
INLINE v_real v_log(v_real x)
{
    const v_mask denormal = v_lt(x, v_as_real(vi_set1((integer)1 << VM_MANTISSA)));
    const v_real power = v_set1((real)((integer)1 << VM_MANTISSA));
    const v_real normal = v_select(denormal, v_mul(x, power), x);
    const v_real bias = v_select(denormal, v_set1(VM_LOG_BIAS + VM_MANTISSA), v_set1(VM_LOG_BIAS));
    return vm_log_special(x, vm_log(normal, bias, v_zero()));
}

/* With u = 1 + x rounded and d what it lost, log(u + d) = log(u) + d / u. ULP 0.89 and 0.84. */
INLINE v_real v_log1p(v_real x)
{
    const v_real one = v_set1(1);
    const v_real u = v_add(one, x);
    const v_real of_x = v_sub(u, one);
    const v_real d = v_add(v_sub(one, v_sub(u, of_x)), v_sub(x, of_x));
    const v_real y = vm_log(u, v_set1(VM_LOG_BIAS), v_div(d, u));
    return v_copysign(vm_log_special(u, y), x);
}

/*
 * log(1 + w) with w = exp(-|x|) <= 1, which is 2 s + s^3 T(s^2) with s = w / (2 + w), where
 * 2 s = w - s w hides the error of the quotient. Error 0.02 u in float32 and 0.03 u in float64.
 */
INLINE v_real vm_log1p_exp(v_real x)
{
#if CNN_BITS == 32
    static const real softplus_tail[] = {R(0x1.555558p-1), R(0x1.99967ep-2), R(0x1.250e86p-2),
                                         R(0x1.b65d82p-3), R(0x1.f39b60p-3)};
#else
    static const real softplus_tail[] = {R(0x1.5555555555535p-1), R(0x1.99999999a0842p-2),
                                         R(0x1.249249208564fp-2), R(0x1.c71c741f941e9p-3),
                                         R(0x1.745cb39a74eedp-3), R(0x1.3b1de336b2c00p-3),
                                         R(0x1.106767ba5e456p-3), R(0x1.efdd8ffb268c7p-4),
                                         R(0x1.559c1b818c4c9p-4), R(0x1.5c8a852bc656fp-3)};
#endif
    const v_real w = v_exp_nonpositive(v_minus_abs(x));
    const v_real s = v_div(w, v_add(v_set1(2), w));
    const v_real z = v_mul(s, s);
    const v_real tail = vm_two_chains(z, v_mul(z, z), VM_COEFFICIENTS(softplus_tail));
    return v_fnma(s, v_fnma(z, tail, w), w);
}

/* max(x, 0) + log(1 + exp(-|x|)). ULP 1.75 and 1.78. */
INLINE v_real v_softplus(v_real x)
{
    return v_add(v_max(x, v_zero()), vm_log1p_exp(x));
}

/* ---- The normal distribution ----------------------------------------------------------------- */

/* T(-z/2) / 4. */
#if CNN_BITS == 32
static const real vm_gauss_tail[] = {R(0x1.fffffep-4), R(-0x1.5554b0p-6), R(0x1.555674p-9),
                                     R(-0x1.122792p-12), R(0x1.6bebeep-16)};
#else
static const real vm_gauss_tail[] = {R(0x1.0000000000005p-3),  R(-0x1.5555555555539p-6),
                                     R(0x1.55555555522a3p-9),  R(-0x1.1111111119027p-12),
                                     R(0x1.6c16c17ee1751p-16), R(-0x1.a01a0174f229fp-20),
                                     R(0x1.a019a75cc0100p-24), R(-0x1.71de884082173p-28),
                                     R(0x1.28a1f358fbfbep-32), R(-0x1.ae6b6ecae70dfp-37)};
#endif

/*
 * exp(-y^2 / 2) = 2^n (1 + s), given y^2: returns s = e^(-z/2) - 1 with z = y^2 + 2 n ln 2, and t
 * for v_scale_down(). y^2 has twice the precision, since the error of the exponent is the relative
 * error of the result.
 */
INLINE v_real vm_gauss(v_real y, v_real square, v_real *t)
{
    const v_real lost = v_fnma(y, y, square); /* the square less the exact one */
    *t = v_fma(square, v_set1(R(-0.5) * VM_LOG2E), v_set1(V_SCALER_DOWN));
    const v_real n = v_sub(*t, v_set1(V_SCALER_DOWN));
    const v_real low = v_fnma(n, v_set1(2 * VM_LN2_REST), lost);
    const v_real z = v_sub(v_fma(n, v_set1(2 * VM_LN2), square), low);
    const v_real z_square = v_mul(z, z);
    const v_real tail = vm_two_chains(z, z_square, VM_COEFFICIENTS(vm_gauss_tail));
    return v_fma(z_square, tail, v_mul(v_set1(R(-0.5)), z));
}

/*
 * Phi(-y) exp(y^2 / 2) for 0 <= y <= VM_NORMAL_MOST, given y^2. Its inverse is sqrt(2 pi) y +
 * (2 Q(0) + y P(y)) / Q(y), so it is Q / (2 Q(0) + y (sqrt(2 pi) Q + P)): for large y, where sums
 * of many powers have the largest errors, those of Q cancel and P no longer matters. What the
 * rounded sum lost is added. Exactly 1/2 for y = 0. Q(0) is free, and was chosen for the smallest
 * errors of Phi and gelu. Error 0.12 u in float32 and 0.10 u in float64.
 */
INLINE v_real vm_normal_ratio(v_real y, v_real square)
{
#if CNN_BITS == 32
    static const real normal_over[] = {R(0x1.0eb1fap+1), R(0x1.65e6e4p-1), R(0x1.015dd6p-3),
                                       R(0x1.58b780p-7)};
    static const real normal_under[] = {R(0x1.ad0d06p+0), R(0x1.d21904p+0), R(0x1.e6441ap-1),
                                        R(0x1.25b2fap-2), R(0x1.9add80p-5), R(0x1.130482p-8)};
#else
    static const real normal_over[] = {
        R(0x1.2b6e16764dbcap+2),  R(0x1.7b4aa07897818p+1),  R(0x1.37e5d41a959e8p+0),
        R(0x1.69a91d65c01eap-2),  R(0x1.3059a7aeaddf5p-4),  R(0x1.72c1f84bfdb6ep-7),
        R(0x1.3b9d01bdf3f08p-10), R(0x1.56981dc5dd0b1p-14), R(0x1.6d9d5f29e71c3p-19)};
    static const real normal_under[] = {
        R(0x1.e381d7dbf4880p+0),  R(0x1.99882212b23dbp+1), R(0x1.57215c46ecc86p+1),
        R(0x1.702efed3a9d4ep+0),  R(0x1.15c2efaa45d3fp-1), R(0x1.32a6d775b97f2p-3),
        R(0x1.f54e08ede13ddp-6),  R(0x1.2c17cadef6edbp-8), R(0x1.f9ecce3fca296p-12),
        R(0x1.1159c2a1aac00p-15), R(0x1.23b7e5d913dd6p-20)};
#endif
    const v_real root = v_set1(VM_ROOT_2PI);
    const v_real least = v_set1(normal_under[0]), twice_least = v_set1(2 * normal_under[0]);
    const v_real p = vm_two_chains(y, square, VM_COEFFICIENTS(normal_over));
    const v_real rise =
        vm_two_chains(y, square, normal_under + 1, sizeof normal_under / sizeof *normal_under - 1);
    const v_real q = v_fma(y, rise, least);
    const v_real sum = v_fma(root, q, p);
    v_real lost = v_sub(p, v_fnma(root, q, sum));
#if CNN_BITS == 64 /* In float32 what the root lacks is 2^-33 of it. */
    lost = v_fma(v_set1(VM_ROOT_2PI_REST), q, lost);
#endif
    return v_div(q, v_fma(y, sum, v_fma(y, lost, twice_least)));
}

/* ULP 1.29 and 1.43. */
INLINE v_real v_normal_pdf(v_real x)
{
    v_real t;
    const v_real y = v_min(v_set1(VM_NORMAL_MOST), v_abs(x));
    const v_real s = vm_gauss(y, v_mul(y, y), &t);
    const v_real density = v_set1(VM_DENSITY_AT_0);
    return v_scale_down(v_fma(s, density, density), t, s);
}

/* Phi(-y) for 0 <= y <= VM_NORMAL_MOST. */
INLINE v_real vm_normal_tail(v_real y)
{
    v_real t;
    const v_real square = v_mul(y, y);
    const v_real s = vm_gauss(y, square, &t);
    const v_real ratio = vm_normal_ratio(y, square);
    return v_scale_down(v_fma(s, ratio, ratio), t, s);
}

/* Phi(x) = 1 - Phi(-x) for x > 0. ULP 2.61 and 2.83. */
INLINE v_real v_normal_cdf(v_real x)
{
    const v_real tail = vm_normal_tail(v_min(v_set1(VM_NORMAL_MOST), v_abs(x)));
    return v_select(v_lt(v_zero(), x), v_sub(v_set1(1), tail), tail);
}

/* x Phi(x) = max(x, 0) - |x| Phi(-|x|): for x > 0 rounded once less. 0 keeps its sign. */
INLINE v_real vm_gelu(v_real x)
{
    const v_real y = v_min(v_set1(VM_NORMAL_MOST), v_abs(x));
    return v_fnma(y, vm_normal_tail(y), v_max(v_set1(R(-0.0)), x));
}

/*
 * x + x T(x^2) for x^2 < 0.79, error 0.33 u and 0.13 u, else 1 - 2 Phi(-sqrt(2) x), where the
 * errors of Phi no longer matter much. ULP 1.13 and 1.17.
 */
INLINE v_real v_erf(v_real x)
{
#if CNN_BITS == 32
    static const real erf_near[] = {R(0x1.06eba6p-3),  R(-0x1.8126fep-2), R(0x1.ce1e9cp-4),
                                    R(-0x1.b6cb2ep-6), R(0x1.48c44ep-8),  R(-0x1.40a238p-11)};
#else
    static const real erf_near[] = {
        R(0x1.06eba8214db69p-3),   R(-0x1.812746b0379e3p-2),  R(0x1.ce2f21a042856p-4),
        R(-0x1.b82ce31274347p-6),  R(0x1.565bcd0a944a2p-8),   R(-0x1.c02db326e6a3bp-11),
        R(0x1.f9a30865f50fap-14),  R(-0x1.f4cf84f4f3ad2p-17), R(0x1.b9b9813982e7dp-20),
        R(-0x1.5d93eb932d17dp-23), R(0x1.e32ee8d4439abp-27),  R(-0x1.d46c033cc1af9p-31)};
#endif
    const v_real a = v_min(v_set1(VM_ERF_MOST), v_abs(x));
    const v_real square = v_mul(a, a);
    const v_real tail = vm_two_chains(square, v_mul(square, square), VM_COEFFICIENTS(erf_near));
    const v_real inside = v_fma(tail, a, a);
    v_real t;
    const v_real s = vm_expm1(vm_reduce(v_sub(v_zero(), square), VM_POWER + 1, &t));
    const v_real y = v_mul(v_set1(VM_SQRT2), a);
    const v_real ratio = vm_normal_ratio(y, v_mul(y, y));
    const v_real twice = v_mul(vm_power_of_2(t), ratio); /* 2^(n+1) ratio */
    const v_real outside = v_sub(v_set1(1), v_fma(s, twice, twice));
    return v_copysign(v_select(v_lt(square, v_set1(R(0.79))), inside, outside), x);
}

/* ---- Turns ----------------------------------------------------------------------------------- */

/* sin(2 pi s) for |s| <= 1/4. Error 0.70 u in float32 and 0.75 u in float64. */
INLINE v_real vm_sin_turns(v_real s)
{
#if CNN_BITS == 32
    static const real turn_sine[] = {R(0x1.921fb6p+2), R(-0x1.4abbc2p+5), R(0x1.4668b0p+6),
                                     R(-0x1.324cccp+6), R(0x1.3db000p+5)};
#else
    static const real turn_sine[] = {R(0x1.921fb54442d18p+2), R(-0x1.4abbce625be53p+5),
                                     R(0x1.466bc6775aae2p+6), R(-0x1.32d2cce62bd51p+6),
                                     R(0x1.50783487ebdfbp+5), R(-0x1.e3074fdc289a9p+3),
                                     R(0x1.e8f4337c8e3d3p+1), R(-0x1.6fad443e33170p-1),
                                     R(0x1.aabac048e1ffep-4), R(-0x1.7eb49a11ef1e7p-7)};
#endif
    const v_real square = v_mul(s, s);
    return v_mul(s, vm_two_chains(square, v_mul(square, square), VM_COEFFICIENTS(turn_sine)));
}

/*
 * x without its whole turns, from -1/2 to 1/2, which is exact. Numbers of 2^(mantissa - 1) or more
 * count as whole turns, though the least of them may have half a turn more; NaN and infinity give
 * NaN.
 */
INLINE v_real vm_part_of_turn(v_real x)
{
    const v_real shifter = v_set1(VM_SHIFTER);
    const v_real most = v_set1((real)((integer)1 << (VM_MANTISSA - 1)));
    const v_real part = v_sub(x, v_sub(v_add(x, shifter), shifter));
    return v_select(v_lt(v_abs(x), most), part, v_sub(x, x));
}

/* sin(2 pi (1/4 - |r|)), a difference that is exact if the result is small. ULP 3.69 and 3.95. */
INLINE v_real v_cos_turns(v_real x)
{
    return vm_sin_turns(v_sub(v_set1(R(0.25)), v_abs(vm_part_of_turn(x))));
}

/* sin(2 pi r), and for |r| > 1/4 that of what is left to half a turn. ULP 3.69 and 3.79. */
INLINE v_real v_sin_turns(v_real x)
{
    const v_real r = vm_part_of_turn(x), quarter = v_set1(R(0.25));
    const v_real a = v_abs(r);
    const v_real near = v_select(v_lt(quarter, a), v_sub(v_set1(R(0.5)), a), a);
    return v_copysign(vm_sin_turns(near), r);
}

#endif
