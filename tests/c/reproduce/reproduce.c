/*
 * The numerics contract in one number: small networks are trained in every way, and the bits of
 * their weights, predictions and all else are hashed. Every instruction set, thread count, split of
 * batches, state of the host, compiler and system must give the same. Numbers are hashed by their
 * values, so that the order of bytes does not matter, and samples are made of integers.
 *
 *   reproduce                   compare with expected.inc: each instruction set, some threads,
 * splits and states of the host reproduce --all             each of them with each reproduce
 * --print [OPTION]... print the hashes of one variation, and that of all, as expected.inc has them.
 * --isa NAME, --threads N, --split N, --rounding MODE (nearest, up, down or zero) and --flush
 * choose it.
 */
#include <fenv.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "every.h"
#include "float_state.h"
#include "reproduce/run.h"
#include "reproduce/sha256.h"

typedef struct named_run {
    const char *name, *settings;
} named_run;

#define RUN(name, settings) {name, settings},
static const named_run runs[] = {
#include "reproduce/runs.inc"
};
#undef RUN

enum { RUNS = sizeof runs / sizeof *runs };

/* What version 1 of the contract gives, in the order of runs, float32 and float64 of each. */
typedef struct expected_run {
    const char *name, *dtype;
    run_hashes hashes;
} expected_run;

#define EXPECTED(name, dtype, weights, others) {name, dtype, {weights, others}},
static const expected_run expected[] = {
#include "reproduce/expected.inc"
    {"", "", {"", ""}},
};
#undef EXPECTED

static const struct {
    const char *name;
    int mode;
} roundings[] = {
    {"nearest", FE_TONEAREST},
#if defined(FE_UPWARD)
    {"up", FE_UPWARD},
#endif
#if defined(FE_DOWNWARD)
    {"down", FE_DOWNWARD},
#endif
#if defined(FE_TOWARDZERO)
    {"zero", FE_TOWARDZERO},
#endif
};

enum { ROUNDINGS = sizeof roundings / sizeof *roundings };

static const char *const dtypes[] = {"float32", "float64"};

/* The hash over the lines of all runs. */
static void add_line(sha256 *total, const char *name, const char *dtype, const run_hashes *hashes)
{
    const char *parts[] = {name, " ", dtype, " ", hashes->weights, " ", hashes->others, "\n"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        sha256_bytes(total, parts[i], strlen(parts[i]));
}

static void print(const variation *by)
{
    sha256 total;
    char text[65];
    sha256_begin(&total);
    for (size_t i = 0; i < 2 * RUNS; i++) {
        run_hashes found;
        run_settings(runs[i / 2].settings, (cnn_dtype)(i % 2), by, &found);
        printf("EXPECTED(\"%s\", \"%s\", \"%s\", \"%s\")\n", runs[i / 2].name, dtypes[i % 2],
               found.weights, found.others);
        add_line(&total, runs[i / 2].name, dtypes[i % 2], &found);
    }
    sha256_end(&total, text);
    printf("/* all: %s */\n", text);
}

static const char *rounding_name(int mode)
{
    size_t i = 0;
    while (i + 1 < ROUNDINGS && roundings[i].mode != mode)
        i++;
    return roundings[i].name;
}

/* Make all runs in one variation, or one of every(), and compare them. */
static void compare(const variation *by)
{
    static size_t turn;
    size_t different = 0;
    for (size_t i = turn++ % every(); i < 2 * RUNS; i += every()) {
        run_hashes found;
        if (!CHECK(strcmp(expected[i].name, runs[i / 2].name) == 0 &&
                   strcmp(expected[i].dtype, dtypes[i % 2]) == 0))
            return;
        run_settings(runs[i / 2].settings, (cnn_dtype)(i % 2), by, &found);
        const int weights = CHECK(strcmp(found.weights, expected[i].hashes.weights) == 0);
        const int others = CHECK(strcmp(found.others, expected[i].hashes.others) == 0);
        different += !weights || !others;
        if (!weights || !others)
            printf("    %s, %s:%s%s\n", expected[i].name, expected[i].dtype,
                   weights ? "" : " weights or predictions", others ? "" : " other numbers");
    }
    printf("%s, %zu threads, split %zu, rounding %s%s: %s\n", cnn_isa(), by->threads, by->split,
           rounding_name(by->rounding), by->flushes ? ", denormals flushed" : "",
           different > 0 ? "NOT EQUAL" : "equal");
    (void)fflush(stdout);
}

static void compare_all(void)
{
    const size_t threads[] = {1, 2, 3, 7}, splits[] = {0, 1, 7};
    for (size_t i = 0; cnn_isa_available(i) != NULL; i++)
        for (size_t t = 0; t < 4; t++)
            for (size_t s = 0; s < 3; s++)
                for (size_t m = 0; m < ROUNDINGS * (1 + CAN_FLUSH_TO_ZERO); m++)
                    compare(&(variation){cnn_isa_available(i), threads[t], splits[s],
                                         roundings[m % ROUNDINGS].mode, m >= ROUNDINGS});
}

/* Each instruction set, number of threads, split and mode once at least. */
static void compare_some(void)
{
    const size_t splits[] = {0, 7, 1, 4}, threads[] = {1, 3, 2, 7};
    for (size_t i = 0; cnn_isa_available(i) != NULL; i++) {
        /* The scalar kernels are slow, and have one turn of each. */
        const size_t turns = i == 0 ? 2 : 4;
        for (size_t k = 0; k < turns; k++) {
            const size_t mode = (i + k) % 4 % ROUNDINGS;
            compare(&(variation){cnn_isa_available(i), threads[k], splits[k],
                                 roundings[k == 0 ? 0 : mode].mode,
                                 k % 2 == 1 && CAN_FLUSH_TO_ZERO});
        }
    }
}

/* The value of an option, for print. */
static int read_option(const char *option, const char *value, variation *by)
{
    if (strcmp(option, "--isa") == 0)
        by->isa = value;
    else if (strcmp(option, "--threads") == 0)
        by->threads = strtoul(value, NULL, 10);
    else if (strcmp(option, "--split") == 0)
        by->split = strtoul(value, NULL, 10);
    else if (strcmp(option, "--rounding") == 0) {
        for (size_t i = 0; i < ROUNDINGS; i++) {
            if (strcmp(roundings[i].name, value) == 0) {
                by->rounding = roundings[i].mode;
                return 1;
            }
        }
        return 0;
    } else
        return 0;
    return 1;
}

int main(int count, char **arguments)
{
    if (count == 1) {
        compare_some();
        return check_finish();
    }
    if (count == 2 && strcmp(arguments[1], "--all") == 0) {
        compare_all();
        return check_finish();
    }
    variation by = {NULL, 1, 0, FE_TONEAREST, 0};
    int good = strcmp(arguments[1], "--print") == 0;
    for (int i = 2; i < count && good; i++) {
        if (strcmp(arguments[i], "--flush") == 0) {
            by.flushes = CAN_FLUSH_TO_ZERO;
        } else {
            good = i + 1 < count && read_option(arguments[i], arguments[i + 1], &by);
            i++;
        }
    }
    if (!good) {
        puts("usage: reproduce [--all | --print [--isa NAME] [--threads N] [--split N] "
             "[--rounding MODE] [--flush]]");
        return 2;
    }
    print(&by);
    return atomic_load(&check_failed) > 0;
}
