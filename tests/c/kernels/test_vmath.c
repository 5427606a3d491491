/*
 * The functions of vmath.h for one (CNN_ISA, CNN_BITS): special values, and about a million inputs
 * of each against the C library in a wider type. The hash of all outputs proves the same bits on
 * every instruction set. accuracy/test_accuracy.c measures every float32.
 */
#include "kernels/vmath.h"

#include <inttypes.h>
#include <stdio.h>

#include "accuracy/inputs.h"
#include "check.h"
#include "kernels/variant.h"

#if CNN_BITS == 32
#define EXPECTED_HASH UINT64_C(0x5e6ce3bf7dcda57a)
#define EXP_LEAST -105.0 /* exp of this is 0 */
#else
#define EXPECTED_HASH UINT64_C(0x0c439c25b14b87fd)
#define EXP_LEAST -750.0
#endif

/* ---- The functions --------------------------------------------------------------------------- */

#define BLOCK 256 /* inputs at a time: a multiple of V_LANES */
#define INPUTS ((uint64_t)1000000 / BLOCK * BLOCK)

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
APPLY(cos_turns)
APPLY(sin_turns)

typedef struct function {
    const char *name;
    void (*apply)(const real *x, real *y);
    wide (*exact)(wide x);
    const accuracy_function *measured; /* its limit and inputs */
    double least, most;                /* of the value */
} function;

/* Sines near 1 may be rounded up once more. */
#define LEAST_ABOVE_1 (CNN_BITS == 32 ? 1 + 0x1p-23 : 1 + 0x1p-52)

#define F(name) #name, apply_##name, exact_##name, &accuracy_functions[ACCURACY_##name]
static const function functions[] = {
    {F(exp), 0, INFINITY},
    {F(expm1), -1, INFINITY},
    {F(log), -INFINITY, INFINITY},
    {F(log1p), -INFINITY, INFINITY},
    {F(tanh), -1, 1},
    {F(sigmoid), 0, 1},
    {F(erf), -1, 1},
    {F(normal_cdf), 0, 1},
    {F(normal_pdf), 0, 0.4},
    {F(softplus), 0, INFINITY},
    {F(cos_turns), -LEAST_ABOVE_1, LEAST_ABOVE_1},
    {F(sin_turns), -LEAST_ABOVE_1, LEAST_ABOVE_1},
};
#undef F
#define FUNCTIONS (sizeof functions / sizeof *functions)

/* ---- Errors ---------------------------------------------------------------------------------- */

typedef struct tally {
    double worst;
    real worst_at;
    uint64_t outside; /* values that are not within [least, most] */
    uint64_t hash;
    uint64_t seen;
} tally;

static size_t every = 1; /* so manyth outputs are measured; all are hashed */

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
        if (t->seen++ % every)
            continue;
        const double error = error_in_ulp(y[i], f->exact(x[i]));
        if (!(error <= t->worst)) {
            t->worst = error;
            t->worst_at = x[i];
        }
    }
}

/* ---- Special values -------------------------------------------------------------------------- */

static real value(size_t which, double x)
{
    real in[BLOCK] = {0}, out[BLOCK];
    in[0] = (real)x;
    functions[which].apply(in, out);
    return out[0];
}

/* Quarters of turns are exact, near numbers are not 0, and huge ones are whole turns. */
static void test_turns(void)
{
    const size_t cosine = FUNCTIONS - 2, sine = FUNCTIONS - 1;
    for (int turns = -3; turns <= 3; turns++) {
        const double x = turns;
        CHECK(value(cosine, x) == 1 && value(cosine, x + 0.5) == -1);
        CHECK(value(cosine, x + 0.25) == 0 && value(cosine, x - 0.25) == 0);
        CHECK(value(sine, x) == 0 && value(sine, x + 0.5) == 0);
        CHECK(value(sine, x + 0.25) == 1 && value(sine, x - 0.25) == -1);
    }
    const double least = ldexp(1, -MANTISSA - 1);
    CHECK(value(cosine, 0.25 - least) > 0 && value(cosine, 0.25 + 2 * least) < 0);
    CHECK(value(sine, 0.5 - 2 * least) > 0 && value(sine, 0.5 + 4 * least) < 0);
    CHECK(!signbit(value(sine, 0)) && signbit(value(sine, -0.0)));
    const double huge[] = {ldexp(1, MANTISSA - 2), ldexp(1, MANTISSA + 3), (double)MOST};
    for (size_t k = 0; k < sizeof huge / sizeof *huge; k++)
        for (int sign = -1; sign <= 1; sign += 2)
            CHECK(value(cosine, sign * huge[k]) == 1 && value(sine, sign * huge[k]) == 0);
    CHECK(value(cosine, huge[0] - 0.5) == -1 && value(sine, huge[0] - 0.5) == 0);
    const double inf = INFINITY;
    CHECK(isnan(value(cosine, inf)) && isnan(value(cosine, -inf)));
    CHECK(isnan(value(sine, inf)) && isnan(value(sine, -inf)));
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
    test_turns();
}

/* ---- The sweeps ------------------------------------------------------------------------------ */

static void run(tally *t, const function *f, const real *x, size_t n)
{
    real y[BLOCK];
    f->apply(x, y);
    count(t, f, x, y, n);
}

static void sweep(tally *t, const function *f)
{
    const accuracy_function *m = f->measured;
    real x[BLOCK];
    for (uint64_t i = 0; i < INPUTS; i += BLOCK) {
        for (uint64_t k = 0; k < BLOCK; k++)
            x[k] = sample(m->from, m->to, m->hard_from, m->hard_to, i + k);
        run(t, f, x, BLOCK);
    }
    real special[SPECIAL_MOST] = {0};
    const size_t n = special_inputs(special);
    for (size_t i = 0; i < n; i += BLOCK)
        run(t, f, special + i, n - i < BLOCK ? n - i : BLOCK);
}

int test_variant(void)
{
    every = MEASURE_EVERY * check_every();
    test_special_values();
    uint64_t hash = 0;
    for (size_t k = 0; k < FUNCTIONS; k++) {
        const function *f = &functions[k];
        tally t = {0};
        sweep(&t, f);
        printf("%-10s float%d  max %.4f ULP at %.17g (%a)\n", f->name, CNN_BITS, t.worst,
               (double)t.worst_at, (double)t.worst_at);
        fflush(stdout);
        CHECK(t.worst <= f->measured->limits[CNN_BITS == 64] + library_ulp());
        CHECK(t.outside == 0);
        hash = (hash ^ t.hash) * UINT64_C(0x9e3779b97f4a7c15);
    }
    printf("hash 0x%016" PRIx64 "\n", hash);
    CHECK(hash == EXPECTED_HASH);
    return check_finish();
}
