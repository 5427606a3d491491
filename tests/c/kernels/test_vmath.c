/*
 * The functions of vmath.h against the C library in a wider type, for one (CNN_ISA, CNN_BITS).
 *
 *   test_vmath                  about a million inputs and all special ones for each function; the
 *                               hash of all outputs proves the same bits on every instruction set
 *   test_vmath --all [NAME]...  float32: every input; float64: 10^8 of them
 *
 * An error in ULP is |y - exact| / ulp(exact), where ulp is the distance of floats around the
 * exact value, that of denormals at least, and overflow is taken as the next power of 2.
 */
#include "kernels/vmath.h"

#include <float.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <tgmath.h>

#include "base/platform.h"
#include "check.h"

#if CNN_BITS == 32
typedef double wide;
#define EXPECTED_HASH UINT64_C(0x1d6a3cc8887c5bd5)
#define MANTISSA FLT_MANT_DIG
#define LEAST_EXPONENT FLT_MIN_EXP
#define MOST_EXPONENT FLT_MAX_EXP
#define MOST FLT_MAX
#define EXP_LEAST -105.0 /* exp of this is 0 */
#else
typedef long double wide;
#define EXPECTED_HASH UINT64_C(0x7dcffd155ceeba85)
#define MANTISSA DBL_MANT_DIG
#define LEAST_EXPONENT DBL_MIN_EXP
#define MOST_EXPONENT DBL_MAX_EXP
#define MOST DBL_MAX
#define EXP_LEAST -750.0
#endif

/* Where long double is soft (AArch64), only some outputs are measured; the hash covers them all. */
#define MEASURE_EVERY (CNN_BITS == 64 && LDBL_MANT_DIG > 64 ? 61 : 1)
/* Where it is no wider than double (Windows, macOS), the library's own error is let pass. */
#define LIBRARY_ULP (CNN_BITS == 64 && LDBL_MANT_DIG == DBL_MANT_DIG ? 4.0 : 0.0)

/* ---- The exact values, with an error of some 2^-60 or 2^-50 ---------------------------------- */

static wide exact_exp(wide x)
{
    return exp(x);
}
static wide exact_expm1(wide x)
{
    return expm1(x);
}
static wide exact_log(wide x)
{
    return log(x);
}
static wide exact_log1p(wide x)
{
    return log1p(x);
}
static wide exact_tanh(wide x)
{
    return tanh(x);
}
static wide exact_erf(wide x)
{
    return erf(x);
}
static wide exact_sigmoid(wide x)
{
    return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x));
}
static wide exact_softplus(wide x)
{
    return (x > 0 ? x : 0) + log1p(exp(-fabs(x)));
}
static wide exact_normal_pdf(wide x)
{
    /* exp(x^2) needs the part of x^2 that is rounded away. */
    const wide density_of_0 = (wide)0.398942280401432677939946059934381868L;
    const wide square = x * x;
    if (square > 1e5)
        return x == x ? 0 : x;
    return exp(-square / 2) * (1 - fma(x, x, -square) / 2) * density_of_0;
}
static wide exact_normal_cdf(wide x)
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

/* ---- The functions --------------------------------------------------------------------------- */

#define BLOCK 256 /* inputs at a time: a multiple of V_LANES */

#define APPLY(name)                                                                                \
    static void apply_##name(const real *x, real *y)                                               \
    {                                                                                              \
        for (size_t i = 0; i < BLOCK; i += V_LANES)                                                \
            v_store(y + i, v_##name(v_load(x + i)));                                               \
    }
APPLY(exp)
APPLY(expm1)
APPLY(log)
APPLY(log1p)
APPLY(tanh)
APPLY(sigmoid)
APPLY(erf)
APPLY(normal_cdf)
APPLY(normal_pdf)
APPLY(softplus)

typedef struct function {
    const char *name;
    void (*apply)(const real *x, real *y);
    wide (*exact)(wide x);
    double bound[2]; /* ULP in float32 and float64 */
    double from, to; /* where the value is neither 0, constant, x nor inf (roughly) */
    double hard_from, hard_to;
    double least, most; /* of the value */
} function;

#define F(name) #name, apply_##name, exact_##name
static const function functions[] = {
    {F(exp), {1, 1}, -750, 715, -0.4, 0.4, 0, INFINITY},
    {F(expm1), {3, 3}, -40, 715, -0.8, 0.8, -1, INFINITY},
    {F(log), {1, 1}, 0, 1e6, 0.6, 1.6, -INFINITY, INFINITY},
    {F(log1p), {3, 3}, -1, 1e6, -0.6, 0.6, -INFINITY, INFINITY},
    {F(tanh), {2, 3}, -20, 20, -0.8, 0.8, -1, 1},
    {F(sigmoid), {4, 3}, -750, 40, -1, 1, 0, 1},
    {F(erf), {2, 3}, -6, 6, -1.2, 1.2, -1, 1},
    {F(normal_cdf), {3, 3}, -39, 9, -1.2, 1.2, 0, 1},
    {F(normal_pdf), {3, 3}, -39, 39, -1.2, 1.2, 0, 0.4},
    {F(softplus), {3, 3}, -750, 40, -1, 1, 0, INFINITY},
};
#undef F
#define FUNCTIONS (sizeof functions / sizeof *functions)

/* ---- Errors ---------------------------------------------------------------------------------- */

static double error_in_ulp(real y, wide exact)
{
    const wide overflow = ldexp((wide)1, MOST_EXPONENT);
    if (isnan(exact))
        return isnan(y) ? 0 : INFINITY;
    wide value = y;
    if (isinf(value))
        value = copysign(overflow, value);
    if (!(fabs(exact) < overflow))
        exact = copysign(overflow, exact);
    if (value == exact)
        return 0;
#if CNN_BITS == 32
    /* The power of 2 by its bits, because this is called 2^32 times. */
    uint64_t power;
    memcpy(&power, &exact, sizeof power);
    power = (power >> 52 & 0x7ff) - (MANTISSA - 1);
    const uint64_t least = 1022 + LEAST_EXPONENT - (MANTISSA - 1);
    power = (power > least && power < 0x7ff ? power : least) << 52;
    double ulp;
    memcpy(&ulp, &power, sizeof ulp);
#else
    int exponent;
    frexp(exact, &exponent);
    if (exponent < LEAST_EXPONENT || exact == 0)
        exponent = LEAST_EXPONENT;
    const wide ulp = ldexp((wide)1, exponent - MANTISSA);
#endif
    return (double)(fabs(value - exact) / ulp);
}

typedef struct tally {
    double worst;
    real worst_at;
    uint64_t outside; /* values that are not within [least, most] */
    uint64_t hash;
    uint64_t seen;
} tally;

static void count(tally *t, const function *f, const real *x, const real *y, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        /* A NaN is a NaN: its payload and sign are outside the contract. */
        bits pattern = (bits)-1;
        if (!isnan(y[i]))
            memcpy(&pattern, &y[i], sizeof pattern);
        t->hash = (t->hash ^ pattern) * UINT64_C(0x9e3779b97f4a7c15);
        t->hash ^= t->hash >> 29;
        if (!isnan(y[i]) && !((double)y[i] >= f->least && (double)y[i] <= f->most))
            t->outside++;
        if (t->seen++ % MEASURE_EVERY)
            continue;
        const double error = error_in_ulp(y[i], f->exact(x[i]));
        if (!(error <= t->worst)) {
            t->worst = error;
            t->worst_at = x[i];
        }
    }
}

/* ---- Inputs ---------------------------------------------------------------------------------- */

static real from_bits(uint64_t pattern)
{
    const bits b = (bits)pattern;
    real x;
    memcpy(&x, &b, sizeof x);
    return x;
}

/* splitmix64: the i-th of a stream of random bits. */
static uint64_t random_bits(uint64_t i)
{
    uint64_t z = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static real between(double low, double high, uint64_t random)
{
    const double u = (double)(random >> 11) * 0x1p-53;
    return (real)(low + (high - low) * u);
}

/* All exponents, each function's own range, where it is hard, and around powers of 2. */
static real sample(const function *f, uint64_t i)
{
    const uint64_t random = random_bits(i);
    switch (i % 4) {
    case 0:
        return from_bits(random);
    case 1:
        return between(f->from, f->to, random);
    case 2:
        return between(f->hard_from, f->hard_to, random);
    default: {
        const double x = between(0.5, 1, random) * ldexp(1.0, (int)(random % 47) - 40);
        return (real)(random & 64 ? x : -x);
    }
    }
}

static const double near_these[] = {0,           1,          0x1p-24,     0x1p-53,    0.34657359028,
                                    0.693147181, 1.03972077, 0.707106781, 1.41421356, 16.6355324,
                                    17.3286795,  18.0218267, 36.7368006,  88.3762626, 88.7228391,
                                    87.3365448,  103.278929, 103.972076,  708.396419, 709.782713,
                                    709.436139,  744.440072, 745.133219,  9.01091385, 19.0615475,
                                    3.83250594,  5.86358475, 0.888819442, 14.1697,    38.4674,
                                    13.3,        37.5,       89,          104,        710,
                                    746,         1e4,        1e30};

/* Zeros, denormals, infinities, NaNs, and the neighbours of the numbers above: how many. */
enum { SPECIAL_MOST = 16 * BLOCK };
static size_t special_inputs(real x[SPECIAL_MOST])
{
    size_t n = 0;
    const uint64_t mantissa = ((uint64_t)1 << (MANTISSA - 1)) - 1;
    const uint64_t inf = ((uint64_t)1 << (CNN_BITS - 1)) - mantissa - 1;
    const uint64_t quiet = inf + mantissa / 2 + 1;
    const uint64_t patterns[] = {
        0,       1,   2,       3,     mantissa,  mantissa / 2,  mantissa + 1,
        inf - 1, inf, inf + 1, quiet, quiet + 1, inf + mantissa};
    for (size_t k = 0; k < sizeof patterns / sizeof *patterns; k++) {
        x[n++] = from_bits(patterns[k]);
        x[n++] = from_bits(patterns[k] | (uint64_t)1 << (CNN_BITS - 1));
    }
    for (size_t k = 0; k < sizeof near_these / sizeof *near_these; k++) {
        const real middle = (real)near_these[k];
        bits b;
        memcpy(&b, &middle, sizeof b);
        for (uint64_t step = 0; step < 8; step++) {
            x[n++] = from_bits(b + step);
            x[n++] = -from_bits(b + step);
            x[n++] = from_bits(b - step);
            x[n++] = -from_bits(b - step);
        }
    }
    return n;
}

/* ---- Special values -------------------------------------------------------------------------- */

static real value(size_t which, double x)
{
    real in[BLOCK] = {0}, out[BLOCK];
    in[0] = (real)x;
    functions[which].apply(in, out);
    return out[0];
}

static void test_special_values(void)
{
    enum { EXP, EXPM1, LOG, LOG1P, TANH, SIGMOID, ERF, CDF, PDF, SOFTPLUS };
    const double inf = INFINITY;
    const double tiny = (double)from_bits(1);
    for (size_t k = 0; k < FUNCTIONS; k++)
        CHECK(isnan(value(k, NAN)));

    CHECK(value(EXP, 0) == 1 && value(EXP, -0.0) == 1 && value(EXP, tiny) == 1);
    CHECK(value(EXP, -inf) == 0 && value(EXP, inf) == inf);
    CHECK(value(EXP, -(double)MOST) == 0 && value(EXP, (double)MOST) == inf);

    for (size_t i = 0; i < BLOCK; i += V_LANES) {
        real x[V_LANES], y[2][V_LANES];
        for (size_t l = 0; l < V_LANES; l++)
            x[l] = (real)((double)(i + l) * (EXP_LEAST / (BLOCK - 2)));
        v_store(y[0], v_exp(v_load(x)));
        v_store(y[1], v_exp_nonpositive(v_load(x)));
        CHECK(memcmp(y[0], y[1], sizeof y[0]) == 0);
    }

    CHECK(value(EXPM1, inf) == inf && value(EXPM1, -inf) == -1 && value(EXPM1, -1e9) == -1);
    CHECK(value(LOG, 1) == 0 && value(LOG, 0) == -inf && value(LOG, -0.0) == -inf);
    CHECK(value(LOG, inf) == inf && isnan(value(LOG, -inf)) && isnan(value(LOG, -tiny)));
    CHECK(value(LOG1P, -1) == -inf && value(LOG1P, inf) == inf && isnan(value(LOG1P, -inf)));
    CHECK(isnan(value(LOG1P, -1.5)));

    CHECK(value(TANH, inf) == 1 && value(TANH, -inf) == -1);
    CHECK(value(ERF, inf) == 1 && value(ERF, -inf) == -1);
    const size_t odd[] = {EXPM1, LOG1P, TANH, ERF};
    for (size_t k = 0; k < sizeof odd / sizeof *odd; k++) {
        CHECK(value(odd[k], 0) == 0 && !signbit(value(odd[k], 0)));
        CHECK(value(odd[k], -0.0) == 0 && signbit(value(odd[k], -0.0)));
        CHECK(value(odd[k], tiny) == (real)tiny && value(odd[k], -tiny) == -(real)tiny);
    }

    CHECK(value(SIGMOID, 0) == (real)0.5 && value(SIGMOID, -inf) == 0 && value(SIGMOID, inf) == 1);
    CHECK(value(CDF, 0) == (real)0.5 && value(CDF, -inf) == 0 && value(CDF, inf) == 1);
    CHECK(value(PDF, inf) == 0 && value(PDF, -inf) == 0);
    CHECK(value(SOFTPLUS, -inf) == 0 && value(SOFTPLUS, inf) == inf);
    CHECK(value(SOFTPLUS, (double)MOST) == MOST);
}

/* ---- The sweeps ------------------------------------------------------------------------------ */

static void run(tally *t, const function *f, const real *x, size_t n)
{
    real y[BLOCK];
    f->apply(x, y);
    count(t, f, x, y, n);
}

static void sweep(tally *t, const function *f, uint64_t inputs, int every_float)
{
    real x[BLOCK];
    for (uint64_t i = 0; i < inputs; i += BLOCK) {
        for (uint64_t k = 0; k < BLOCK; k++)
            x[k] = every_float ? from_bits(i + k) : sample(f, i + k);
        run(t, f, x, BLOCK);
    }
    real special[SPECIAL_MOST] = {0};
    const size_t n = special_inputs(special);
    for (size_t i = 0; i < n; i += BLOCK)
        run(t, f, special + i, n - i < BLOCK ? n - i : BLOCK);
}

static int wanted(const char *name, int argc, char **argv)
{
    for (int k = 2; k < argc; k++)
        if (strcmp(argv[k], name) == 0)
            return 1;
    return argc <= 2;
}

int main(int argc, char **argv)
{
    if (!cnn_platform_has_isa(CNN_STRING(CNN_ISA))) {
        puts("this machine does not have the instruction set");
        return 77;
    }
    const int all = argc > 1 && strcmp(argv[1], "--all") == 0;
    const uint64_t inputs = !all             ? 1000000 / BLOCK * BLOCK
                            : CNN_BITS == 32 ? (uint64_t)1 << 32
                                             : 100000000 / BLOCK * BLOCK;
    test_special_values();
    uint64_t hash = 0;
    for (size_t k = 0; k < FUNCTIONS; k++) {
        const function *f = &functions[k];
        if (!wanted(f->name, argc, argv))
            continue;
        tally t = {0};
        sweep(&t, f, inputs, all && CNN_BITS == 32);
        printf("%-10s float%d  max %.4f ULP at %.17g (%a)\n", f->name, CNN_BITS, t.worst,
               (double)t.worst_at, (double)t.worst_at);
        fflush(stdout);
        CHECK(t.worst <= f->bound[CNN_BITS == 64] + LIBRARY_ULP);
        CHECK(t.outside == 0);
        hash = (hash ^ t.hash) * UINT64_C(0x9e3779b97f4a7c15);
    }
    printf("hash 0x%016" PRIx64 "\n", hash);
    if (!all)
        CHECK(hash == EXPECTED_HASH);
    return check_finish();
}
