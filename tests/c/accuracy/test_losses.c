/*
 * Losses and their gradients with respect to the logits or outputs, for the type of CNN_BITS: the
 * largest errors over logits of every size, up to where the loss itself overflows.
 *
 *   test_losses_32         30,000 numbers for each loss and number of columns
 *   test_losses_32 --all   300 times as many
 *
 * The loss of a row is measured in ULP, since no terms cancel, but for poisson: in units of
 * u (exp(z) + |t z|), u being the unit roundoff. A derivative p - t is the difference of what the
 * output is and what it should be. It is measured in units of u (p + t): if p is nearly t, only
 * those digits of it are right that the rounding of p leaves.
 *
 * Limits are derived (limits()): a rounding is u, a sum of k numbers has ceil(k / 16) + 3 of them.
 * exp of a difference d that is rounded is off by |d| u more.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "accuracy/inputs.h"
#include "accuracy/measure.h"
#include "base/platform.h"
#include "check.h"

enum { MOST_COLS = 1000, PER_RUN = 30000, TIMES_ALL = 300 };
/* The gradient of a single row may be exactly right. */
enum { LEAST_ROWS = 8 };
/* Of so many numbers of a run the reference is measured by MPFR. */
enum { REFERENCES = 2000 };

#define HUBER_DELTA 1.0
#define SMOOTHING 0.125 /* a power of 2, so that 1 - s is exact */
static const double unit_roundoff = CNN_BITS == 32 ? 0x1p-24 : 0x1p-53;

typedef enum target_kind { LABELS, ROWS, ZERO_OR_ONE, FRACTIONS, NUMBERS } target_kind;

/* A row and what is expected of it. */
typedef struct row {
    cnn_loss_kind kind;
    double smoothing;
    size_t cols;
    int64_t label; /* -1: target rows */
    real z[MOST_COLS], t[MOST_COLS];
    wide loss, loss_unit;
    wide derivative[MOST_COLS], derivative_unit[MOST_COLS];
    double loss_limit, derivative_limit[MOST_COLS]; /* in these units */
} row;

/* ---- Exact values ---------------------------------------------------------------------------- */

/* Neumaier's sum: as if it were added with twice the precision. */
typedef struct sum {
    wide high, low;
} sum;

static void add(sum *s, wide x)
{
    const wide high = s->high + x;
    s->low += fabs(s->high) >= fabs(x) ? (s->high - high) + x : (x - high) + s->high;
    s->high = high;
}

static wide total(const sum *s)
{
    return s->high + s->low;
}

static size_t largest(const row *r)
{
    size_t at = 0;
    for (size_t j = 1; j < r->cols; j++)
        at = r->z[j] > r->z[at] ? j : at;
    return at;
}

/* (1 - s) t + s / k */
static wide target_of(const row *r, size_t j)
{
    const wide s = r->smoothing;
    const wide t = r->label < 0 ? (wide)r->t[j] : (wide)(r->label == (int64_t)j);
    return (1 - s) * t + s / (wide)r->cols;
}

static double roundings(const row *r)
{
    return ceil((double)r->cols / 16) + 3;
}

/* log(1 + rest) - d_j for each j, rest being the sum of exp(d_j) without that of the largest. */
static void expect_cross_entropy(row *r)
{
    const size_t at = largest(r);
    sum rest = {0, 0}, distance = {0, 0}, loss = {0, 0}, sum_of_t = {0, 0};
    for (size_t j = 0; j < r->cols; j++)
        if (j != at) {
            const wide d = (wide)r->z[j] - r->z[at], e = exp(d);
            add(&rest, e);
            add(&distance, e > 0 ? e * -d : 0);
        }
    const wide all = 1 + total(&rest), log_all = log1p(total(&rest));
    for (size_t j = 0; j < r->cols; j++) {
        const wide t = target_of(r, j);
        add(&sum_of_t, t);
        if (t != 0)
            add(&loss, t * (log_all - ((wide)r->z[j] - r->z[at])));
    }
    /* How far the others are below the largest, on average, and if it counts too. */
    const wide mean = total(&rest) > 0 ? total(&distance) / total(&rest) : 0;
    const wide mean_of_all = total(&distance) / all;
    r->loss = total(&loss);
    r->loss_limit = 3 + roundings(r) + (r->smoothing > 0 ? 3 : 0) + (double)mean;
    for (size_t j = 0; j < r->cols; j++) {
        const wide d = (wide)r->z[j] - r->z[at];
        const wide p = exp(d) / all * total(&sum_of_t), t = target_of(r, j);
        r->derivative[j] = p - t;
        r->derivative_unit[j] = unit_roundoff * (p + t);
        /* exp 2, its argument |d|, the sum and its arguments, the quotient, T, the product, t, and
         * the difference. */
        const double of_p = p > 0 ? (double)(p * (mean_of_all - d) / (p + t)) : 0;
        r->derivative_limit[j] = 2 * roundings(r) + 7 + of_p;
    }
}

static wide sign_of(wide x)
{
    return (wide)((x > 0) - (x < 0));
}

static void expect_element(const row *r, size_t j, wide *value, wide *derivative, wide *size)
{
    const wide z = r->z[j], t = r->t[j], difference = z - t;
    switch (r->kind) {
    case CNN_BINARY_CROSS_ENTROPY:
        *value = fabs(z) * (z > 0 ? 1 - t : t) + log1p(exp(-fabs(z)));
        *derivative = exact_sigmoid(z) - t;
        *size = exact_sigmoid(z) + t;
        break;
    case CNN_HUBER:
        *value = fabs(difference) <= HUBER_DELTA
                     ? difference * difference / 2
                     : HUBER_DELTA * (fabs(difference) - HUBER_DELTA / 2);
        *derivative = fmin(fmax(difference, -HUBER_DELTA), HUBER_DELTA);
        *size = fabs(*derivative);
        break;
    case CNN_POISSON:
        *value = exp(z) - t * z;
        *derivative = exp(z) - t;
        *size = exp(z) + t;
        break;
    case CNN_ABSOLUTE_ERROR:
        *value = fabs(difference);
        *derivative = sign_of(difference);
        *size = fabs(*derivative);
        break;
    case CNN_QUANTILE: {
        /* The level is the double that the loss has without quantiles. */
        const wide q = (double)(j + 1) / (double)(r->cols + 1);
        const wide slope = difference > 0 ? 1 - q : q;
        *value = slope * fabs(difference);
        *derivative = slope * sign_of(difference);
        *size = fabs(*derivative);
        break;
    }
    default:
        *value = difference * difference / 2;
        *derivative = difference;
        *size = fabs(difference);
    }
}

static void expect_elements(row *r)
{
    sum loss = {0, 0}, size_of_loss = {0, 0};
    int zero_or_one = 1;
    for (size_t j = 0; j < r->cols; j++) {
        wide value, size;
        expect_element(r, j, &value, &r->derivative[j], &size);
        add(&loss, value);
        const wide z = r->z[j], t = r->t[j];
        add(&size_of_loss, r->kind == CNN_POISSON ? exp(z) + fabs(t * z) : value);
        zero_or_one = zero_or_one && (t == 0 || t == 1);
        r->derivative_unit[j] = unit_roundoff * size;
        /* 3 ULP of sigmoid or 1 of exp, each at most 2 u, and the difference. */
        r->derivative_limit[j] = r->kind == CNN_BINARY_CROSS_ENTROPY ? 7 : 3;
    }
    r->loss = total(&loss);
    r->loss_unit = r->kind == CNN_POISSON ? unit_roundoff * total(&size_of_loss) : 0;
    if (r->kind == CNN_BINARY_CROSS_ENTROPY && r->cols == 1)
        r->loss_limit = zero_or_one ? 2 : 2.5;
    else
        r->loss_limit = (r->cols > 1 ? roundings(r) : 0) + 5;
}

static void expect(row *r)
{
    r->loss_unit = 0;
    if (r->kind == CNN_CROSS_ENTROPY)
        expect_cross_entropy(r);
    else
        expect_elements(r);
}

/* ---- Rows ------------------------------------------------------------------------------------ */

static uint64_t drawn;

static double uniform(double low, double high)
{
    const uint64_t random = random_bits(drawn++);
    return low + (high - low) * ((double)(random >> 11) * 0x1p-53);
}

/* How far logits reach: from 2^-20 to where exp overflows, and to where sums of losses would. */
static double reach(const row *r)
{
    /* exp of 88.7 or 709.7 is the largest number, and poisson sums them. */
    const double more = r->kind == CNN_POISSON ? log((double)r->cols) : 0;
    const double overflow = (CNN_BITS == 32 ? 88.7 : 709.7) - more;
    const double most = CNN_BITS == 32 ? 125 : 1021;
    switch (random_bits(drawn++) % 4) {
    case 0:
        return exp2(uniform(-20, 4));
    case 1:
        return uniform(1, overflow);
    case 2:
        return overflow + (r->kind == CNN_POISSON ? 0 : uniform(-2, 2));
    default:
        if (r->kind == CNN_POISSON)
            return uniform(0, overflow);
        /* Squares of these, or their sum. */
        return exp2(uniform(0, (most - log2((double)r->cols)) /
                                   (r->kind == CNN_SQUARED_ERROR ? 2.0 : 1.0)));
    }
}

static void draw(row *r, target_kind kind)
{
    const double size = reach(r), shift = random_bits(drawn++) % 2 ? 0 : uniform(-size, size);
    double sum_of_t = 0;
    for (size_t j = 0; j < r->cols; j++) {
        r->z[j] = (real)((uniform(-size, size) + shift) / 2);
        const double t = uniform(0, 1);
        r->t[j] = (real)(kind == ZERO_OR_ONE ? floor(2 * t) : kind == NUMBERS ? t * size : t);
        sum_of_t += (double)r->t[j];
    }
    if (r->kind == CNN_POISSON)
        for (size_t j = 0; j < r->cols; j++)
            r->t[j] = (real)uniform(0, 20);
    r->label = kind == LABELS ? (int64_t)(random_bits(drawn++) % r->cols) : -1;
    /* Half of the rows are classified correctly, with a large distance to the other classes. */
    if (kind == LABELS && random_bits(drawn++) % 2)
        r->label = (int64_t)largest(r);
    if (kind == ROWS)
        for (size_t j = 0; j < r->cols; j++)
            r->t[j] = (real)((double)r->t[j] / sum_of_t);
    expect(r);
}

/* ---- Measuring ------------------------------------------------------------------------------- */

typedef struct worst {
    double error, of_limit;
    row at;
} worst;

static const cnn_kernels *sets[ACCURACY_SETS];
static size_t set_count;

static void compute(const cnn_kernels *kernels, const row *r, double *loss, real *gradient)
{
    static const double one = 1;
    const cnn_loss_rows l = {
        .kind = r->kind,
        .rows = 1,
        .cols = r->cols,
        .z = r->z,
        .z_row = r->cols,
        .t = r->label < 0 ? r->t : NULL,
        .t_row = r->cols,
        .labels = r->label < 0 ? NULL : &r->label,
        .weight = &one,
        .delta = HUBER_DELTA,
        .label_smoothing = r->smoothing,
        .loss_rows = loss,
        .gradient = gradient,
        .gradient_row = r->cols,
    };
    kernels->loss(&l);
}

static double loss_error(const row *r, wide loss)
{
    if (r->loss_unit == 0)
        return error_in_ulp(loss, r->loss);
    return loss == r->loss ? 0 : (double)(fabs(loss - r->loss) / r->loss_unit);
}

static void note(worst *w, const row *r, double error, double limit)
{
    const double of_limit = error / limit;
    if (of_limit > w->of_limit)
        w->of_limit = of_limit;
    if (error > w->error || !(error == error)) {
        w->error = error;
        w->at = *r;
    }
}

static void measure(const row *r, worst *of_loss, worst *of_gradient)
{
    const double least = CNN_BITS == 32 ? 0x1p-149 : 0x1p-1074;
    double loss, other_loss, alone;
    real gradient[MOST_COLS], other[MOST_COLS];
    compute(sets[set_count - 1], r, &loss, gradient);
    compute(sets[set_count - 1], r, &alone, NULL);
    CHECK(memcmp(&alone, &loss, sizeof loss) == 0);
    for (size_t set = 0; set + 1 < set_count; set++) {
        compute(sets[set], r, &other_loss, other);
        CHECK(memcmp(&other_loss, &loss, sizeof loss) == 0);
        CHECK(memcmp(other, gradient, r->cols * sizeof *other) == 0);
    }
    note(of_loss, r, loss_error(r, (wide)loss), r->loss_limit);
    for (size_t j = 0; j < r->cols; j++) {
        /* A denormal factor or result may be off by its last bit. */
        const wide unit = r->derivative_unit[j] + (wide)least;
        const double error = (double)(fabs((wide)gradient[j] - r->derivative[j]) / unit);
        note(of_gradient, r, error, r->derivative_limit[j]);
    }
}

#ifdef CNN_ACCURACY_MPFR
/* The loss that was expected is that of MPFR, to a small part of an ULP or of its unit. */
static double reference_error(const row *r)
{
    double z[MOST_COLS], t[MOST_COLS];
    for (size_t j = 0; j < r->cols; j++) {
        z[j] = (double)r->z[j];
        t[j] = r->kind == CNN_CROSS_ENTROPY && r->label >= 0 ? (double)(r->label == (int64_t)j)
                                                             : (double)r->t[j];
    }
    const double unit = (double)(r->loss_unit == 0 ? ulp_at(r->loss) : r->loss_unit);
    return accuracy_mpfr_loss_error((int)r->kind, r->smoothing, r->cols, z, t, r->loss) / unit;
}
#endif

static void run(cnn_loss_kind kind, target_kind targets, double smoothing, size_t cols,
                uint64_t numbers)
{
    static const char *const names[] = {
#define CNN_X(constant, value, name, output, logits, accuracy) #name,
        CNN_LOSSES(CNN_X)
#undef CNN_X
    };
    static const char *const of[] = {"class numbers", "rows", "t 0 or 1", "t from 0 to 1",
                                     "numbers"};
    static row r;
    static worst loss, gradient;
    memset(&loss, 0, sizeof loss);
    memset(&gradient, 0, sizeof gradient);
    double off = 0;
    const uint64_t rows = numbers / cols > LEAST_ROWS ? numbers / cols : LEAST_ROWS;
    for (uint64_t i = 0; i < rows; i++) {
        r.kind = kind;
        r.smoothing = smoothing;
        r.cols = cols;
        draw(&r, targets);
        measure(&r, &loss, &gradient);
#ifdef CNN_ACCURACY_MPFR
        if (i % (rows / (REFERENCES / cols + 1) + 1) == 0) {
            const double error = reference_error(&r);
            off = error > off ? error : off;
        }
    }
    if (loss.error > 0)
        off = fmax(off, reference_error(&loss.at));
    CHECK(off < 0.02);
#else
    }
#endif
    const char *const unit = kind == CNN_POISSON ? "u" : "ULP";
    printf("%-20s float%d, %-13s%s %4zu columns: loss %.2f %s, %2.0f%% of the limit; derivatives "
           "%.2f u, %2.0f%% of the limit; reference within %.0e; %" PRIu64 " rows\n",
           names[kind], CNN_BITS, of[targets], smoothing > 0 ? ", smoothed" : ",", cols, loss.error,
           unit, 100 * loss.of_limit, gradient.error, 100 * gradient.of_limit, off, rows);
    fflush(stdout);
    /* A reference in the type of the results may equal all of them. */
    const bool may_be_equal = library_ulp() > 0;
    /* -1, 0 and 1, or with one output the halves of them. */
    const bool is_exact = kind == CNN_ABSOLUTE_ERROR || (kind == CNN_QUANTILE && cols == 1);
    CHECK((loss.of_limit > 0 || may_be_equal) && loss.of_limit <= 1);
    CHECK((gradient.of_limit > 0 || may_be_equal || is_exact) && gradient.of_limit <= 1);
}

int main(int argc, char **argv)
{
    const int all = argc > 1 && strcmp(argv[1], "--all") == 0;
    if (argc > 2 || (argc == 2 && !all)) {
        printf("usage: %s [--all]\n", argv[0]);
        return 2;
    }
#if CNN_BITS == 32
#define TABLE(isa) &cnn_kernels_##isa##_32
#else
#define TABLE(isa) &cnn_kernels_##isa##_64
#endif
#define CNN_X(isa)                                                                                 \
    if (cnn_platform_has_isa(#isa))                                                                \
        sets[set_count++] = TABLE(isa);
    CNN_ISAS(CNN_X)
#undef CNN_X
    const uint64_t numbers = all ? (uint64_t)PER_RUN * TIMES_ALL : PER_RUN / check_every();
    static const size_t cols[] = {2, 3, 10, 17, 100, MOST_COLS};
    for (size_t k = 0; k < sizeof cols / sizeof *cols; k++) {
        run(CNN_CROSS_ENTROPY, LABELS, 0, cols[k], numbers);
        run(CNN_CROSS_ENTROPY, LABELS, SMOOTHING, cols[k], numbers);
        run(CNN_CROSS_ENTROPY, ROWS, 0, cols[k], numbers);
    }
    static const size_t widths[] = {1, 10, MOST_COLS};
    for (size_t k = 0; k < sizeof widths / sizeof *widths; k++) {
        run(CNN_BINARY_CROSS_ENTROPY, ZERO_OR_ONE, 0, widths[k], numbers);
        run(CNN_BINARY_CROSS_ENTROPY, FRACTIONS, 0, widths[k], numbers);
        run(CNN_SQUARED_ERROR, NUMBERS, 0, widths[k], numbers);
        run(CNN_HUBER, NUMBERS, 0, widths[k], numbers);
        run(CNN_POISSON, NUMBERS, 0, widths[k], numbers);
        run(CNN_ABSOLUTE_ERROR, NUMBERS, 0, widths[k], numbers);
        run(CNN_QUANTILE, NUMBERS, 0, widths[k], numbers);
    }
    return check_finish();
}
