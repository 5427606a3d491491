/*
 * The functions of the list by MPFR, to 200 bits: what the references of reference.h are measured
 * against. The formulas are those of textbooks, so that a mistake is not made twice.
 */
#include "accuracy/measure.h"

#include <float.h>
#include <math.h>
#include <mpfr.h>

enum { PRECISION = 200 };

/* 1 / (1 + exp(-x)) */
static void sigmoid(mpfr_t y, const mpfr_t x)
{
    mpfr_neg(y, x, MPFR_RNDN);
    mpfr_exp(y, y, MPFR_RNDN);
    mpfr_add_ui(y, y, 1, MPFR_RNDN);
    mpfr_ui_div(y, 1, y, MPFR_RNDN);
}

/* log(1 + exp(x)) */
static void softplus(mpfr_t y, const mpfr_t x)
{
    if (mpfr_cmp_d(x, 1e5) > 0) { /* where exp(-x) is less than the last bit */
        mpfr_set(y, x, MPFR_RNDN);
        return;
    }
    mpfr_exp(y, x, MPFR_RNDN);
    mpfr_log1p(y, y, MPFR_RNDN);
}

/* (erfc(-x / sqrt(2))) / 2; 0 far out, where erfc would take long to say so. */
static void normal_cdf(mpfr_t y, const mpfr_t x)
{
    if (mpfr_cmp_d(x, -1e4) < 0) {
        mpfr_set_zero(y, 1);
        return;
    }
    mpfr_sqrt_ui(y, 2, MPFR_RNDN);
    mpfr_div(y, x, y, MPFR_RNDN);
    mpfr_neg(y, y, MPFR_RNDN);
    mpfr_erfc(y, y, MPFR_RNDN);
    mpfr_div_2ui(y, y, 1, MPFR_RNDN);
}

/* exp(-x^2 / 2) / sqrt(2 pi) */
static void normal_pdf(mpfr_t y, const mpfr_t x)
{
    mpfr_t root;
    mpfr_init2(root, PRECISION);
    mpfr_const_pi(root, MPFR_RNDN);
    mpfr_mul_2ui(root, root, 1, MPFR_RNDN);
    mpfr_sqrt(root, root, MPFR_RNDN);
    mpfr_sqr(y, x, MPFR_RNDN);
    mpfr_div_2ui(y, y, 1, MPFR_RNDN);
    mpfr_neg(y, y, MPFR_RNDN);
    mpfr_exp(y, y, MPFR_RNDN);
    mpfr_div(y, y, root, MPFR_RNDN);
    mpfr_clear(root);
}

/* x without its whole turns; see without_turns() in reference.h. */
static void part_of_turn(mpfr_t y, const mpfr_t x, int bits)
{
    const long whole = bits == 32 ? FLT_MANT_DIG - 2 : DBL_MANT_DIG - 2;
    if (mpfr_regular_p(x) && mpfr_get_exp(x) > whole) {
        mpfr_set_zero(y, 1);
        return;
    }
    mpfr_rint_round(y, x, MPFR_RNDN);
    mpfr_sub(y, x, y, MPFR_RNDN);
}

/* sin(2 pi y) for 0 <= y <= 1/4, in place. */
static void sin_of_turn(mpfr_t y)
{
    mpfr_t pi;
    mpfr_init2(pi, PRECISION);
    mpfr_const_pi(pi, MPFR_RNDN);
    mpfr_mul(y, y, pi, MPFR_RNDN);
    mpfr_mul_2ui(y, y, 1, MPFR_RNDN);
    mpfr_sin(y, y, MPFR_RNDN);
    mpfr_clear(pi);
}

/* cos(2 pi x), from the sine of what is left to a quarter of a turn, so that zeros are exact. */
static void cos_turns(mpfr_t y, const mpfr_t x, int bits)
{
    part_of_turn(y, x, bits);
    mpfr_abs(y, y, MPFR_RNDN);
    mpfr_d_sub(y, 0.25, y, MPFR_RNDN);
    sin_of_turn(y);
}

/* sin(2 pi x); of more than a quarter of a turn that of what is left to half a turn. */
static void sin_turns(mpfr_t y, const mpfr_t x, int bits)
{
    part_of_turn(y, x, bits);
    const int negative = mpfr_signbit(y);
    mpfr_abs(y, y, MPFR_RNDN);
    if (mpfr_cmp_d(y, 0.25) > 0)
        mpfr_d_sub(y, 0.5, y, MPFR_RNDN);
    sin_of_turn(y);
    mpfr_setsign(y, y, negative, MPFR_RNDN);
}

/* scale alpha (exp(x) - 1) or scale x, with the published constants. */
static void selu(mpfr_t y, const mpfr_t x)
{
    mpfr_t scale;
    mpfr_init2(scale, PRECISION);
    mpfr_set_str(scale, "1.0507009873554804934193349852946", 10, MPFR_RNDN);
    if (mpfr_sgn(x) > 0) {
        mpfr_mul(y, x, scale, MPFR_RNDN);
    } else {
        mpfr_expm1(y, x, MPFR_RNDN);
        mpfr_mul(y, y, scale, MPFR_RNDN);
        mpfr_set_str(scale, "1.6732632423543772848170429916717", 10, MPFR_RNDN);
        mpfr_mul(y, y, scale, MPFR_RNDN);
    }
    mpfr_clear(scale);
}

/* x (1 + tanh(a / 2)) / 2 = x / (1 + exp(-a)) with a / 2 = sqrt(2 / pi) (x + 0.044715 x^3) */
static void gelu_tanh(mpfr_t y, const mpfr_t x)
{
    mpfr_t a;
    mpfr_init2(a, PRECISION);
    mpfr_set_str(a, "0.044715", 10, MPFR_RNDN);
    mpfr_pow_ui(y, x, 3, MPFR_RNDN);
    mpfr_mul(a, a, y, MPFR_RNDN);
    mpfr_add(a, a, x, MPFR_RNDN);
    mpfr_const_pi(y, MPFR_RNDN);
    mpfr_ui_div(y, 8, y, MPFR_RNDN);
    mpfr_sqrt(y, y, MPFR_RNDN);
    mpfr_mul(a, a, y, MPFR_RNDN);
    sigmoid(y, a);
    mpfr_mul(y, y, x, MPFR_RNDN);
    mpfr_clear(a);
}

/* (x + 3) / 6 between 0 and 1 */
static void hard_sigmoid(mpfr_t y, const mpfr_t x)
{
    mpfr_add_ui(y, x, 3, MPFR_RNDN);
    mpfr_div_ui(y, y, 6, MPFR_RNDN);
    if (mpfr_sgn(y) < 0)
        mpfr_set_zero(y, 1);
    else if (mpfr_cmp_ui(y, 1) > 0)
        mpfr_set_ui(y, 1, MPFR_RNDN);
}

static void times_x(mpfr_t y, const mpfr_t x, void (*factor)(mpfr_t y, const mpfr_t x))
{
    factor(y, x);
    mpfr_mul(y, y, x, MPFR_RNDN);
}

static void mish_factor(mpfr_t y, const mpfr_t x)
{
    softplus(y, x);
    mpfr_tanh(y, y, MPFR_RNDN);
}

static void of_small_kinds(int function, int bits, mpfr_t y, const mpfr_t x)
{
    const int above = mpfr_sgn(x) > 0;
    switch (function) {
    case ACCURACY_leaky_relu:
        mpfr_mul_d(y, x, above ? 1 : bits == 32 ? (double)0.01F : 0.01, MPFR_RNDN);
        break;
    case ACCURACY_relu:
        mpfr_mul_ui(y, x, above ? 1 : 0, MPFR_RNDN);
        break;
    case ACCURACY_relu6:
        mpfr_mul_ui(y, x, above ? 1 : 0, MPFR_RNDN);
        if (mpfr_cmp_ui(y, 6) > 0)
            mpfr_set_ui(y, 6, MPFR_RNDN);
        break;
    case ACCURACY_step:
        mpfr_set_ui(y, above ? 1 : 0, MPFR_RNDN);
        break;
    case ACCURACY_softsign:
        mpfr_abs(y, x, MPFR_RNDN);
        mpfr_add_ui(y, y, 1, MPFR_RNDN);
        mpfr_div(y, x, y, MPFR_RNDN);
        break;
    default: /* identity */
        mpfr_set(y, x, MPFR_RNDN);
    }
}

/* y = f(x) for finite x. */
static void exact_by_mpfr(int function, int bits, mpfr_t y, const mpfr_t x)
{
    switch (function) {
    case ACCURACY_exp:
        mpfr_exp(y, x, MPFR_RNDN);
        break;
    case ACCURACY_expm1:
        mpfr_expm1(y, x, MPFR_RNDN);
        break;
    case ACCURACY_log:
        mpfr_log(y, x, MPFR_RNDN);
        break;
    case ACCURACY_log1p:
        mpfr_log1p(y, x, MPFR_RNDN);
        break;
    case ACCURACY_tanh:
        mpfr_tanh(y, x, MPFR_RNDN);
        break;
    case ACCURACY_erf:
        mpfr_erf(y, x, MPFR_RNDN);
        break;
    case ACCURACY_sigmoid:
        sigmoid(y, x);
        break;
    case ACCURACY_softplus:
        softplus(y, x);
        break;
    case ACCURACY_normal_cdf:
        normal_cdf(y, x);
        break;
    case ACCURACY_normal_pdf:
        normal_pdf(y, x);
        break;
    case ACCURACY_cos_turns:
        cos_turns(y, x, bits);
        break;
    case ACCURACY_sin_turns:
        sin_turns(y, x, bits);
        break;
    case ACCURACY_elu:
        (mpfr_sgn(x) > 0 ? mpfr_set : mpfr_expm1)(y, x, MPFR_RNDN);
        break;
    case ACCURACY_selu:
        selu(y, x);
        break;
    case ACCURACY_silu:
        times_x(y, x, sigmoid);
        break;
    case ACCURACY_gelu:
        times_x(y, x, normal_cdf);
        break;
    case ACCURACY_gelu_tanh:
        gelu_tanh(y, x);
        break;
    case ACCURACY_mish:
        times_x(y, x, mish_factor);
        break;
    case ACCURACY_hard_sigmoid:
        hard_sigmoid(y, x);
        break;
    case ACCURACY_hard_swish:
        times_x(y, x, hard_sigmoid);
        break;
    default:
        of_small_kinds(function, bits, y, x);
    }
}

/* |value - exact| in ULP of exact; overflow counts as the next power of 2. */
static double distance_in_ulp(int bits, const mpfr_t exact, long double value)
{
    const long most = bits == 32 ? FLT_MAX_EXP : DBL_MAX_EXP;
    const long least = bits == 32 ? FLT_MIN_EXP : DBL_MIN_EXP;
    const long mantissa = bits == 32 ? FLT_MANT_DIG : DBL_MANT_DIG;
    mpfr_t e, v;
    mpfr_inits2(PRECISION, e, v, (mpfr_ptr)0);
    mpfr_set(e, exact, MPFR_RNDN);
    const long double overflow = ldexpl(1, (int)most);
    mpfr_set_ld(v, fabsl(value) < overflow ? value : copysignl(overflow, value), MPFR_RNDN);
    if (mpfr_inf_p(e) || (mpfr_regular_p(e) && mpfr_get_exp(e) > most)) {
        const int negative = mpfr_signbit(e);
        mpfr_set_ui_2exp(e, 1, most, MPFR_RNDN);
        mpfr_setsign(e, e, negative, MPFR_RNDN);
    }
    long exponent = least;
    if (mpfr_regular_p(e) && mpfr_get_exp(e) > least)
        exponent = mpfr_get_exp(e);
    mpfr_sub(v, v, e, MPFR_RNDN);
    mpfr_mul_2si(v, v, mantissa - exponent, MPFR_RNDN);
    const double distance = fabs(mpfr_get_d(v, MPFR_RNDN));
    const int both = mpfr_nan_p(exact) && isnan(value), either = mpfr_nan_p(exact) || isnan(value);
    mpfr_clears(e, v, (mpfr_ptr)0);
    return both ? 0 : either ? INFINITY : distance;
}

double accuracy_mpfr_error(int function, int bits, double x, long double value)
{
    mpfr_t from, exact;
    mpfr_inits2(PRECISION, from, exact, (mpfr_ptr)0);
    mpfr_set_d(from, x, MPFR_RNDN);
    exact_by_mpfr(function, bits, exact, from);
    const double error = distance_in_ulp(bits, exact, value);
    mpfr_clears(from, exact, (mpfr_ptr)0);
    return error;
}

/* ---- Losses ---------------------------------------------------------------------------------- */

/* log(sum_j exp(z_j)) */
static void log_sum(mpfr_t y, size_t cols, const double *z)
{
    mpfr_t e;
    mpfr_init2(e, mpfr_get_prec(y));
    double most = z[0];
    for (size_t j = 1; j < cols; j++)
        most = z[j] > most ? z[j] : most;
    /* exp has a huge range, but takes long for numbers like 1e300. */
    mpfr_set_zero(y, 1);
    for (size_t j = 0; j < cols; j++) {
        mpfr_set_d(e, z[j], MPFR_RNDN);
        mpfr_sub_d(e, e, most, MPFR_RNDN);
        mpfr_exp(e, e, MPFR_RNDN);
        mpfr_add(y, y, e, MPFR_RNDN);
    }
    mpfr_log(y, y, MPFR_RNDN);
    mpfr_add_d(y, y, most, MPFR_RNDN);
    mpfr_clear(e);
}

/* An element's loss, for one that is not a cross entropy of classes; `quantile` is its level. */
static void element_loss(mpfr_t y, int loss, double quantile, const mpfr_t z, const mpfr_t t)
{
    mpfr_t r;
    mpfr_init2(r, PRECISION);
    mpfr_sub(r, z, t, MPFR_RNDN);
    switch (loss) {
    case CNN_BINARY_CROSS_ENTROPY: /* log(1 + exp(z)) - t z */
        softplus(y, z);
        mpfr_mul(r, t, z, MPFR_RNDN);
        mpfr_sub(y, y, r, MPFR_RNDN);
        break;
    case CNN_POISSON:
        mpfr_exp(y, z, MPFR_RNDN);
        mpfr_mul(r, t, z, MPFR_RNDN);
        mpfr_sub(y, y, r, MPFR_RNDN);
        break;
    case CNN_ABSOLUTE_ERROR:
        mpfr_abs(y, r, MPFR_RNDN);
        break;
    case CNN_QUANTILE: /* (1 - q) r, or -q r; 1 - q is exact with so many bits */
        mpfr_set_d(y, quantile, MPFR_RNDN);
        if (mpfr_sgn(r) > 0)
            mpfr_ui_sub(y, 1, y, MPFR_RNDN);
        else
            mpfr_neg(y, y, MPFR_RNDN);
        mpfr_mul(y, y, r, MPFR_RNDN);
        break;
    default: /* r^2 / 2, or |r| - 1/2 */
        if (loss == CNN_HUBER && mpfr_cmpabs_ui(r, 1) > 0) {
            mpfr_abs(y, r, MPFR_RNDN);
            mpfr_sub_d(y, y, 0.5, MPFR_RNDN);
        } else {
            mpfr_sqr(y, r, MPFR_RNDN);
            mpfr_div_2ui(y, y, 1, MPFR_RNDN);
        }
    }
    mpfr_clear(r);
}

double accuracy_mpfr_loss_error(int loss, double smoothing, size_t cols, const double *z,
                                const double *t, long double value)
{
    mpfr_t all, sum, target, term, at;
    /* A small loss is what is left of log_sum - z. */
    mpfr_inits2(12 * PRECISION, all, sum, target, term, at, (mpfr_ptr)0);
    mpfr_set_zero(sum, 1);
    if (loss == CNN_CROSS_ENTROPY)
        log_sum(all, cols, z);
    for (size_t j = 0; j < cols; j++) {
        mpfr_set_d(at, z[j], MPFR_RNDN);
        mpfr_set_d(target, t[j], MPFR_RNDN);
        if (loss == CNN_CROSS_ENTROPY) { /* ((1 - s) t + s / k) (all - z) */
            mpfr_mul_d(target, target, 1 - smoothing, MPFR_RNDN);
            mpfr_set_d(term, smoothing, MPFR_RNDN);
            mpfr_div_ui(term, term, cols, MPFR_RNDN);
            mpfr_add(target, target, term, MPFR_RNDN);
            mpfr_sub(term, all, at, MPFR_RNDN);
            mpfr_mul(term, term, target, MPFR_RNDN);
        } else {
            element_loss(term, loss, (double)(j + 1) / (double)(cols + 1), at, target);
        }
        mpfr_add(sum, sum, term, MPFR_RNDN);
    }
    mpfr_set_ld(term, value, MPFR_RNDN);
    mpfr_sub(sum, sum, term, MPFR_RNDN);
    const double error = fabs(mpfr_get_d(sum, MPFR_RNDN));
    mpfr_clears(all, sum, target, term, at, (mpfr_ptr)0);
    return error;
}
