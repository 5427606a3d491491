/*
 * The largest error of each activation and each function of vmath.h, in ULP, and where it is.
 *
 *   test_accuracy                      a strided walk through all exponents of float32 and samples
 *                                      of float64, on every instruction set of the machine
 *   test_accuracy --all [NAME]...      every float32, and 10^8 float64
 *   test_accuracy --all32 [NAME]...    the same of one type
 *   test_accuracy --all64 [NAME]...
 *   test_accuracy --peer NAME          another library's: reads its results for all 2^32 patterns
 *                                      in order from stdin (tools/accuracy_peers.py)
 *
 * Errors are measured against the C library in a wider type (reference.h). Built with MPFR, the
 * points with the largest errors are computed again by it, and the reference is measured at random
 * inputs of every kind. Then "the largest error" is that of MPFR, and no other input can have one
 * that is larger by more than the error of the reference.
 */
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "accuracy/measure.h"
#include "base/platform.h"
#include "check.h"

/* A prime, so that all low bits of mantissas come by: 2052 numbers of each exponent. */
#define STRIDE 4091 /* times check_every() */
#define SAMPLES ((uint64_t)400000)
#define ALL_SAMPLES ((uint64_t)100000000)
/* In the full walk one of so many blocks, a prime, is compared with the other instruction sets. */
#define COMPARED_EVERY 61
#define THREADS_MOST 64
/* Inputs at which the reference is measured by MPFR. */
#define RANDOM_INPUTS 2000
#define ALL_RANDOM_INPUTS 100000

/* ---- Threads --------------------------------------------------------------------------------- */

void accuracy_note(accuracy_tally *t, int kind, accuracy_point point)
{
    accuracy_point *worst = t->worst[kind];
    size_t at = t->points[kind];
    if (at < ACCURACY_WORST)
        t->points[kind]++;
    else if (point.error > worst[--at].error)
        ;
    else
        return;
    for (; at > 0 && point.error > worst[at - 1].error; at--)
        worst[at] = worst[at - 1];
    worst[at] = point;
}

static void merge(accuracy_tally *to, const accuracy_tally *from)
{
    to->measured += from->measured;
    if (to->beyond == 0)
        to->first_beyond = from->first_beyond;
    to->beyond += from->beyond;
    to->failed = to->failed || from->failed;
    for (int kind = 0; kind < 2; kind++)
        for (size_t k = 0; k < from->points[kind]; k++)
            accuracy_note(to, kind, from->worst[kind][k]);
    for (size_t set = 0; set < ACCURACY_SETS; set++) {
        to->compared[set] += from->compared[set];
        if (to->different[set] == 0)
            to->different_at[set] = from->different_at[set];
        to->different[set] += from->different[set];
    }
}

typedef struct worker {
    const accuracy_run *run;
    atomic_uint_fast64_t *next;
    accuracy_tally tally;
} worker;

static void work(void *argument)
{
    worker *w = argument;
    const int narrow = w->run->bits == 32;
    for (;;) {
        const uint64_t block = atomic_fetch_add(w->next, 1);
        if (block > w->run->blocks || (w->run->peer && block == w->run->blocks))
            return;
        (narrow ? accuracy_block_32 : accuracy_block_64)(w->run, block, &w->tally);
    }
}

/* Measure all blocks of a run by some threads, this one among them. */
static void measure_all(const accuracy_run *run, size_t threads, accuracy_tally *found)
{
    atomic_uint_fast64_t next = 0;
    worker *workers = calloc(threads, sizeof *workers);
    cnn_thread *started[THREADS_MOST] = {NULL};
    if (!workers)
        exit(2);
    for (size_t k = 0; k < threads; k++) {
        workers[k].run = run;
        workers[k].next = &next;
        if (k > 0)
            started[k] = cnn_platform_thread_start(work, &workers[k]);
    }
    work(&workers[0]);
    for (size_t k = 0; k < threads; k++) {
        if (started[k])
            cnn_platform_thread_join(started[k]);
        merge(found, &workers[k].tally);
    }
    free(workers);
}

/* ---- The exact errors, by MPFR --------------------------------------------------------------- */

#ifdef CNN_ACCURACY_MPFR

static long double reference(const accuracy_run *run, double x)
{
    return (run->bits == 32 ? accuracy_reference_32 : accuracy_reference_64)(run->function, x);
}

/*
 * The error that the reference may have in ULP of the type. float32: 2^-29 for each of some units
 * of double. float64: the same with 2^-11 and long double. And as much for each unit of |a|, of
 * which gelu_tanh takes exp.
 */
static double reference_bound(const accuracy_run *run, double x)
{
    const double unit = run->bits == 32 ? 0x1p-29 : ldexp(1, DBL_MANT_DIG - LDBL_MANT_DIG);
    const double a = run->function == ACCURACY_gelu_tanh ? 1.6 * fabs(x + 0.044715 * x * x * x) : 0;
    return 8 * unit * (1 + (a < 800 ? a : 0));
}

/* The largest error of the reference at random inputs, which must be within its bound. */
static double measure_reference(const accuracy_run *run, uint64_t inputs)
{
    double most = 0;
    uint64_t outside = 0;
    for (uint64_t i = 0; i < inputs; i++) {
        const double x =
            (run->bits == 32 ? accuracy_sample_32 : accuracy_sample_64)(run->function, ~i);
        if (!isfinite(x))
            continue;
        const double error = accuracy_mpfr_error(run->function, run->bits, x, reference(run, x));
        if (!(error <= reference_bound(run, x)) && outside++ == 0)
            printf("  the reference is off by %.3g ULP at %a\n", error, x);
        most = error > most ? error : most;
    }
    CHECK(outside == 0);
    return most;
}

/* Replace the errors of the worst points by those that MPFR finds, and sort them. */
static void measure_again(const accuracy_run *run, accuracy_tally *t)
{
    accuracy_tally again = {0};
    for (int kind = 0; kind < 2; kind++)
        for (size_t k = 0; k < t->points[kind]; k++) {
            accuracy_point p = t->worst[kind][k];
            if (isfinite(p.x)) {
                const double error =
                    accuracy_mpfr_error(run->function, run->bits, p.x, (long double)p.y);
                CHECK(fabs(error - p.error) <= reference_bound(run, p.x));
                p.error = error;
            }
            accuracy_note(&again, kind, p);
        }
    memcpy(t->points, again.points, sizeof t->points);
    memcpy(t->worst, again.worst, sizeof t->worst);
}

#endif

/* ---- Runs ------------------------------------------------------------------------------------ */

static void find_sets(accuracy_run *run, int all)
{
#define CNN_X(isa)                                                                                 \
    if (cnn_platform_has_isa(#isa)) {                                                              \
        const accuracy_set sets[] = {{&cnn_kernels_##isa##_32, cnn_accuracy_vmath_##isa##_32},     \
                                     {&cnn_kernels_##isa##_64, cnn_accuracy_vmath_##isa##_64}};    \
        run->every[run->set_count] = all ? COMPARED_EVERY : 1;                                     \
        run->sets[run->set_count++] = sets[run->bits == 64];                                       \
    }
    CNN_ISAS(CNN_X)
#undef CNN_X
}

static void print_point(const char *what, const accuracy_tally *t, int kind)
{
    if (t->points[kind] > 0)
        printf(", %s%.4f ULP at %.9g (%a)", what, t->worst[kind][0].error, t->worst[kind][0].x,
               t->worst[kind][0].x);
}

static void print_sets(const accuracy_run *run, const accuracy_tally *t)
{
    printf(" [%s", run->peer ? "peer" : run->sets[run->set_count - 1].kernels->isa);
    for (size_t set = 0; set + 1 < run->set_count && !run->peer; set++)
        printf(", %s: the same bits at %" PRIu64, run->sets[set].kernels->isa,
               t->compared[set] - t->different[set]);
    printf("]\n");
}

static void check_sets(const accuracy_run *run, const accuracy_tally *t)
{
    for (size_t set = 0; set + 1 < run->set_count && !run->peer; set++) {
        CHECK(t->compared[set] >= t->measured / (2 * run->every[set]));
        if (!CHECK(t->different[set] == 0))
            printf("  %s differs at %" PRIu64 " inputs, %a the first\n",
                   run->sets[set].kernels->isa, t->different[set], t->different_at[set]);
    }
}

/* Whether the reference is in the type of the results, all of which it may then equal. */
static bool reference_is_no_wider(int bits)
{
    return (bits == 64 ? accuracy_addition_64 : accuracy_addition_32)(ACCURACY_exp, 1) > 0;
}

/* One function in one type. */
static void run_one(int function, int bits, int all, FILE *peer)
{
    accuracy_run run = {.function = function, .bits = bits, .peer = peer};
    const uint64_t every = (uint64_t)1 << 32, stride = all || peer ? 1 : STRIDE * check_every();
    const uint64_t inputs = bits == 32 ? (every + stride - 1) / stride
                            : all      ? ALL_SAMPLES
                                       : SAMPLES / check_every();
    run.stride = stride;
    run.blocks = (inputs + ACCURACY_BLOCK - 1) / ACCURACY_BLOCK;
    find_sets(&run, all);
    const size_t cpus = cnn_platform_cpus();
    const size_t threads = peer ? 1 : cpus < THREADS_MOST ? cpus : THREADS_MOST;
    accuracy_tally found = {0};
    const double start = cnn_platform_seconds();
    measure_all(&run, threads, &found);
    const double seconds = cnn_platform_seconds() - start;
    const double limit = accuracy_functions[function].limits[bits == 64];
    printf("%-12s float%d", accuracy_functions[function].name, bits);
#ifdef CNN_ACCURACY_MPFR
    measure_again(&run, &found);
    const double off = measure_reference(&run, all ? ALL_RANDOM_INPUTS : RANDOM_INPUTS);
#endif
    print_point("max ", &found, 0);
    print_point("with a denormal factor ", &found, 1);
#ifdef CNN_ACCURACY_MPFR
    printf(", reference within %.1e", off);
#endif
    printf(", limit %g, %" PRIu64 " inputs, %.0f s", limit, found.measured, seconds);
    print_sets(&run, &found);
    fflush(stdout);
    check_sets(&run, &found);
    CHECK(!found.failed);
    CHECK(found.measured > 0);
    const size_t inexact = found.points[0] + found.points[1];
    CHECK((inexact > 0) == (limit > 0) || (inexact == 0 && reference_is_no_wider(bits)));
    if (!peer && !CHECK(found.beyond == 0))
        printf("  beyond the limit at %" PRIu64 " inputs: %.4f ULP at %a\n", found.beyond,
               found.first_beyond.error, found.first_beyond.x);
}

/* ---- The program ----------------------------------------------------------------------------- */

/* Every activation that the kernel of activations computes is in the list. */
static void test_list_is_complete(void)
{
    for (int activation = 0; activation < CNN_ACTIVATION_COUNT; activation++) {
        int found = activation == CNN_SOFTMAX;
        for (int k = 0; k < ACCURACY_COUNT; k++)
            found += accuracy_functions[k].activation == activation;
        CHECK(found == 1);
    }
}

static int is_function(const char *name)
{
    for (int k = 0; k < ACCURACY_COUNT; k++)
        if (strcmp(accuracy_functions[k].name, name) == 0)
            return 1;
    return 0;
}

static int wanted(int function, int argc, char **argv)
{
    for (int k = 2; k < argc; k++)
        if (strcmp(argv[k], accuracy_functions[function].name) == 0)
            return 1;
    return argc <= 2;
}

int main(int argc, char **argv)
{
    static const char *const modes[] = {"--all", "--all32", "--all64", "--peer"};
    size_t mode = 0;
    while (argc > 1 && mode < 4 && strcmp(argv[1], modes[mode]) != 0)
        mode++;
    int right = mode < 3 || (mode == 3 && argc == 3);
    for (int k = 2; k < argc; k++)
        right = right && is_function(argv[k]);
    if (!right) {
        printf("usage: test_accuracy [--all [NAME]... | --all32 ... | --all64 ... | --peer NAME]\n"
               "functions:");
        for (int k = 0; k < ACCURACY_COUNT; k++)
            printf(" %s", accuracy_functions[k].name);
        printf("\n");
        return 2;
    }
    const int all = argc > 1, peer = mode == 3;
    test_list_is_complete();
    for (int k = 0; k < ACCURACY_COUNT; k++) {
        if (!wanted(k, argc, argv))
            continue;
        if (mode != 2)
            run_one(k, 32, all && !peer, peer ? stdin : NULL);
        if (mode != 1 && !peer)
            run_one(k, 64, all, NULL);
    }
    return check_finish();
}
