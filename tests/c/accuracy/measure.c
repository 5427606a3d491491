/* Errors of functions at blocks of inputs, for one type, CNN_BITS. */
#include "accuracy/measure.h"

#include "accuracy/inputs.h"

#if CNN_BITS == 32
#define TYPED(name) name##_32
#else
#define TYPED(name) name##_64
#endif

/* ---- Inputs ---------------------------------------------------------------------------------- */

/* A number near those where formulas change, by some ULP or by up to 2^-4 of it. */
static real near_special(uint64_t random)
{
    const real middle = (real)near_these[random % NEAR_THESE];
    const uint64_t more = random_bits(random);
    bits b;
    memcpy(&b, &middle, sizeof b);
    b += (bits)(more >> (CNN_BITS == 64 ? 16 + more % 44 : 45 + more % 15));
    return from_bits(b | (random & 64 ? (bits)1 << (CNN_BITS - 1) : 0));
}

/* Around (n + 1/2) ln 2 and n ln 2, where the reductions of exp change, and 2^n sqrt(2) of log. */
static real near_reduction(uint64_t random)
{
    const double half = 0.34657359027997265, root = 1.4142135623730951;
    const int n = (int)(random % 2160);
    double x = random & 1 << 20 ? n * half : ldexp(root, n % 2100 - 1050);
    /* The exponent of gauss is x^2 / 2. */
    x = random & 1 << 21 ? sqrt(2 * fabs(x)) : x;
    const uint64_t more = random_bits(random);
    real y = (real)x;
    bits b;
    memcpy(&b, &y, sizeof b);
    b += (bits)(more % 4096) - 2048;
    return from_bits(b | (random & 1 << 22 ? (bits)1 << (CNN_BITS - 1) : 0));
}

/* Numbers with few bits: products and sums with them are exact or ties. */
static real few_bits(uint64_t random)
{
    const double mantissa = (double)(random_bits(random) >> (50 + random % 14));
    const double x = ldexp(mantissa, (int)(random >> 8 & 127) - 90);
    return (real)(random & 1 ? x : -x);
}

static real some_input(int function, uint64_t i)
{
    const accuracy_function *f = &accuracy_functions[function];
    const uint64_t random = random_bits(~i);
    switch (i % 8) {
    case 1:
        return near_special(random);
    case 3:
        return near_reduction(random);
    case 5:
        return few_bits(random);
    default:
        return sample(f->from, f->to, f->hard_from, f->hard_to, i / 2);
    }
}

double TYPED(accuracy_sample)(int function, uint64_t i)
{
    return (double)some_input(function, i);
}

/* Fill x and return how many numbers count; the rest are zeros. */
static size_t fill(const accuracy_run *run, uint64_t block, real x[ACCURACY_BLOCK])
{
    _Static_assert((int)SPECIAL_MOST <= (int)ACCURACY_BLOCK, "special inputs are one block");
    memset(x, 0, ACCURACY_BLOCK * sizeof *x);
    if (block == run->blocks)
        return special_inputs(x);
    const uint64_t first = block * ACCURACY_BLOCK;
    size_t n = ACCURACY_BLOCK;
    if (CNN_BITS == 64) {
        for (size_t i = 0; i < n; i++)
            x[i] = some_input(run->function, first + i);
    } else {
        const uint64_t all = (((uint64_t)1 << 32) + run->stride - 1) / run->stride;
        n = all - first < n ? (size_t)(all - first) : n;
        const bits start = (bits)(first * run->stride), stride = (bits)run->stride;
        for (size_t i = 0; i < n; i++)
            x[i] = from_bits(start + (bits)i * stride);
    }
    return n;
}

/* ---- Results --------------------------------------------------------------------------------- */

static void apply(const accuracy_run *run, size_t set, const real *x, real *y)
{
    const accuracy_function *f = &accuracy_functions[run->function];
    const accuracy_set *s = &run->sets[set];
    cnn_activation_spec h = {(cnn_activation)f->activation, 0};
    if (f->activation == VMATH) {
        s->vmath(run->function, ACCURACY_BLOCK, x, y);
        return;
    }
    if (h.kind == CNN_LEAKY_RELU || h.kind == CNN_ELU)
        h.alpha = h.kind == CNN_ELU ? 1 : 0.01;
    s->kernels->activation_forward(&h, 1, ACCURACY_BLOCK, x, ACCURACY_BLOCK, y, ACCURACY_BLOCK, 0);
}

/* Compare the bits of another set's results. A NaN is a NaN: its payload is outside the contract.
 */
static void compare(const accuracy_run *run, size_t set, const real *x, const real *y, size_t n,
                    accuracy_tally *t)
{
    static _Thread_local real other[ACCURACY_BLOCK];
    apply(run, set, x, other);
    t->compared[set] += n;
    if (memcmp(y, other, n * sizeof *y) == 0)
        return;
    for (size_t i = 0; i < n; i++)
        if (memcmp(&y[i], &other[i], sizeof *y) != 0 && !(isnan(y[i]) && isnan(other[i]))) {
            if (t->different[set]++ == 0)
                t->different_at[set] = (double)x[i];
        }
}

/* ---- Errors ---------------------------------------------------------------------------------- */

/* Whether the function is a product of x and a factor that tends to 0. */
static int multiplies(int function)
{
    return function == ACCURACY_silu || function == ACCURACY_gelu ||
           function == ACCURACY_gelu_tanh || function == ACCURACY_mish;
}

/* Whether x is multiplied by a denormal number. */
static int factor_is_denormal(int function, wide x, wide exact)
{
    return multiplies(function) && fabs(exact) < fabs(x) * ldexp((wide)1, LEAST_EXPONENT - 1);
}

double TYPED(accuracy_addition)(int function, double at)
{
    const wide x = at, exact = exact_value(function, x);
    const wide least = ldexp((wide)1, LEAST_EXPONENT - MANTISSA);
    double more = library_ulp();
    if (function == ACCURACY_gelu_tanh && x < 0)
        more += GELU_TANH_ULP * (double)fabs(exact_gelu_tanh_exponent(x));
    if (factor_is_denormal(function, x, exact))
        more += (double)(fabs(x) * least / ulp_at(exact));
    return more;
}

long double TYPED(accuracy_reference)(int function, double x)
{
    return exact_value(function, (wide)x);
}

/* exact[i] = f(x[i]) for finite x, without a switch at each number. */
static void fill_exact(int function, const real *x, wide *exact, size_t n)
{
    switch (function) {
#define CNN_X(name, activation, single, twice, from, to, hard_from, hard_to)                       \
    case ACCURACY_##name:                                                                          \
        for (size_t i = 0; i < n; i++)                                                             \
            exact[i] = exact_##name((wide)x[i]);                                                   \
        break;
        ACCURACY_FUNCTIONS(CNN_X)
#undef CNN_X
    default:
        break;
    }
}

/*
 * Whether all results of a block whose inputs ascend or descend are the same number, and none has
 * an error above `most`. Every function of the list is monotonic for x >= 0 and for x <= -4, so its
 * values lie between those at both ends, and no error is larger than there.
 */
static int is_saturated(int function, const real *x, const real *y, size_t n, double most)
{
    const real a = x[0], b = x[n - 1];
    if (CNN_BITS == 64 || n < 2 || memcmp(y, y + 1, (n - 1) * sizeof *y) != 0)
        return 0;
    if (!isfinite(a) || !isfinite(b) || signbit(a) != signbit(b) ||
        (signbit(a) && fmin(fabs(a), fabs(b)) < 4))
        return 0;
    const wide at_a = exact_value(function, a), at_b = exact_value(function, b);
    const double error = fmax(error_in_ulp(y[0], at_a), error_in_ulp(y[0], at_b));
    return error == 0 || (error <= most && ulp_at(at_a) == ulp_at(at_b));
}

/* How many errors are at most `most`; an infinity or a NaN is not. A loop that compilers vectorise.
 */
static size_t count_small(const real *y, const wide *exact, size_t n, double most)
{
    size_t small = 0;
    for (size_t i = 0; i < n; i++)
        small += fabs((wide)y[i] - exact[i]) <= most * ulp_at(exact[i]);
    return small;
}

static void measure_one(const accuracy_run *run, real x, real y, accuracy_tally *t)
{
    const double limit = accuracy_functions[run->function].limits[CNN_BITS == 64];
    const wide exact = exact_value(run->function, x);
    const accuracy_point point = {error_in_ulp(y, exact), (double)x, (double)y};
    if (!(point.error <= limit) &&
        !(point.error <= limit + TYPED(accuracy_addition)(run->function, (double)x))) {
        if (t->beyond++ == 0)
            t->first_beyond = point;
    }
    if (point.error > 0)
        accuracy_note(t, factor_is_denormal(run->function, x, exact), point);
}

/* The error above which a number of a block matters: the least of those kept, or the limit. */
static double least_error(const accuracy_run *run, int below_0, const accuracy_tally *t)
{
    double least = accuracy_functions[run->function].limits[CNN_BITS == 64];
    /* The factor of a number that is not negative is no denormal number. */
    for (int kind = 0; kind <= below_0; kind++) {
        const double kept =
            t->points[kind] < ACCURACY_WORST ? 0 : t->worst[kind][ACCURACY_WORST - 1].error;
        if (kind == 0 || multiplies(run->function))
            least = fmin(least, kept);
    }
    return least;
}

static void measure(const accuracy_run *run, const real *x, const real *y, size_t n,
                    accuracy_tally *t)
{
    static const size_t part = 256;
    static _Thread_local wide exact[ACCURACY_BLOCK];
    t->measured += (n + MEASURE_EVERY - 1) / MEASURE_EVERY;
    int below_0 = CNN_BITS == 64 || run->peer;
    for (size_t i = 0; i < n; i += n - 1 ? n - 1 : 1)
        below_0 = below_0 || x[i] < -4 || !isfinite(x[i]);
    if (is_saturated(run->function, x, y, n, least_error(run, below_0, t)))
        return;
    if (MEASURE_EVERY == 1)
        fill_exact(run->function, x, exact, n);
    for (size_t first = 0; first < n; first += part) {
        const size_t count = n - first < part ? n - first : part;
        const double most = least_error(run, below_0, t);
        if (MEASURE_EVERY == 1 && count_small(y + first, exact + first, count, most) == count)
            continue;
        for (size_t i = first; i < first + count; i += MEASURE_EVERY)
            measure_one(run, x[i], y[i], t);
    }
}

void TYPED(accuracy_block)(const accuracy_run *run, uint64_t block, accuracy_tally *t)
{
    /* Not on the stack: that of a thread has 128 KiB in musl. */
    static _Thread_local real x[ACCURACY_BLOCK], y[ACCURACY_BLOCK];
    const size_t n = fill(run, block, x);
    begin_wide();
    if (run->peer) {
        t->failed = t->failed || fread(y, sizeof *y, n, run->peer) != n;
    } else {
        apply(run, run->set_count - 1, x, y);
        for (size_t set = 0; set + 1 < run->set_count; set++)
            if (block % run->every[set] == 0 || block == run->blocks)
                compare(run, set, x, y, n, t);
    }
    if (!t->failed)
        measure(run, x, y, n, t);
}
