/* Tests of base/random.c: known answers, ranges, and the statistics of permutations. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "check.h"
#include "cnn/cnn.h"

/* Known answers of the Random123 distribution (kat_vectors). */
static void test_philox(void)
{
    static const uint32_t vectors[3][10] = {
        {0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
        {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x408f276d,
         0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
        {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0xd16cfe09,
         0x94fdcceb, 0x5001e420, 0x24126ea1}};
    for (int v = 0; v < 3; v++) {
        uint32_t words[4];
        cnn_random_philox(vectors[v], vectors[v] + 4, words);
        CHECK(memcmp(words, vectors[v] + 6, sizeof words) == 0);
        memcpy(words, vectors[v], sizeof words);
        cnn_random_philox(words, vectors[v] + 4, words); /* in place */
        CHECK(memcmp(words, vectors[v] + 6, sizeof words) == 0);
    }
}

static void test_uniform(void)
{
    enum { N = 100001 };
    static double x[N], part[7];
    const double count = N;
    const uint64_t stream = cnn_random_stream(3, CNN_RANDOM_INIT, 1, 0);
    cnn_random_uniform(stream, N, 2.5, x);
    double mean = 0, square = 0, serial = 0, least = 0, most = 0;
    for (size_t i = 0; i < N; i++) {
        mean += x[i] / count;
        square += x[i] * x[i] / count;
        serial += i > 0 ? x[i] * x[i - 1] / count : 0;
        least = fmin(least, x[i]);
        most = fmax(most, x[i]);
    }
    CHECK(least >= -2.5 && least < -2.499 && most < 2.5 && most > 2.499);
    const double variance = 2.5 * 2.5 / 3; /* each bound below is 5 standard errors */
    CHECK(fabs(mean) < 5 * sqrt(variance / count));
    CHECK(fabs(square - variance) < 5 * variance * sqrt(0.8 / count));
    CHECK(fabs(serial) < 5 * variance / sqrt(count));

    /* The definition, and that a shorter request gives the same numbers. */
    cnn_random_uniform(stream, 7, 2.5, part);
    CHECK(memcmp(part, x, sizeof part) == 0);
    for (size_t i = 0; i < 7; i++) {
        uint32_t w[4];
        cnn_random_block(stream, i / 2, w);
        const uint64_t bits = ((uint64_t)(w[2 * (i % 2)] >> 5) << 26) + (w[2 * (i % 2) + 1] >> 6);
        const double u = ldexp((double)bits, -53);
        CHECK(x[i] == (2 * u - 1) * 2.5);
    }
    cnn_random_uniform(stream, 0, 2.5, part);
    cnn_random_uniform(stream, 1, 0.0, part);
    CHECK(part[0] == 0);
}

static void test_streams_differ(void)
{
    const uint64_t base = cnn_random_stream(1, CNN_RANDOM_INIT, 2, 3);
    CHECK(base != cnn_random_stream(2, CNN_RANDOM_INIT, 2, 3));
    CHECK(base != cnn_random_stream(1, CNN_RANDOM_DROPOUT, 2, 3));
    CHECK(base != cnn_random_stream(1, CNN_RANDOM_INIT, 3, 3));
    CHECK(base != cnn_random_stream(1, CNN_RANDOM_INIT, 2, 4));
    CHECK(base != cnn_random_stream(1, CNN_RANDOM_INIT, 2, 3 + (UINT64_C(1) << 32)));
    CHECK(base != cnn_random_stream(1 + (UINT64_C(1) << 32), CNN_RANDOM_INIT, 2, 3));
}

/* ---- Permutations ------------------------------------------------------------------------ */

/* Numbers that belong to version 1 of the numerics contract; they must never change. */
static void test_known_permutations(void)
{
    static const size_t ten[10] = {8, 0, 2, 4, 5, 3, 7, 9, 1, 6};
    static const size_t many[4] = {31232, 48829, 26416, 21232};
    size_t out[10];
    CHECK(cnn_random_permutation(42, 7, 10, 0, 10, out) == CNN_OK);
    CHECK(memcmp(out, ten, sizeof ten) == 0);
    CHECK(cnn_random_permutation(42, 7, 60000, 30000, 4, out) == CNN_OK);
    CHECK(memcmp(out, many, sizeof many) == 0);
}

static void test_bijection(void)
{
    static size_t out[5000], slice[5000];
    static unsigned char seen[5000];
    for (size_t n = 1; n <= 5000; n += n < 300 ? 1 : 470) {
        CHECK(cnn_random_permutation(n, 5, n, 0, n, out) == CNN_OK);
        memset(seen, 0, sizeof seen);
        size_t distinct = 0;
        for (size_t i = 0; i < n; i++) {
            if (out[i] < n && !seen[out[i]]) {
                seen[out[i]] = 1;
                distinct++;
            }
        }
        CHECK(distinct == n);
        /* Slice by slice gives the same. */
        for (size_t first = 0; first < n; first += 77) {
            const size_t count = n - first < 77 ? n - first : 77;
            CHECK(cnn_random_permutation(n, 5, n, first, count, slice + first) == CNN_OK);
        }
        CHECK(memcmp(out, slice, n * sizeof *out) == 0);
    }
    /* The largest sizes: elements stay below n, and the sum in the cipher does not overflow. */
    const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX / 2 + 1, ((size_t)1 << 16) + 1};
    for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
        CHECK(cnn_random_permutation(1, 1, sizes[k], sizes[k] - 50, 50, out) == CNN_OK);
        for (size_t i = 0; i < 50; i++) {
            CHECK(out[i] < sizes[k]);
            for (size_t j = 0; j < i; j++)
                CHECK(out[i] != out[j]);
        }
    }
}

static void test_permutation_arguments(void)
{
    size_t out[4] = {9, 9, 9, 9};
    CHECK(cnn_random_permutation(1, 1, 4, 0, 0, NULL) == CNN_OK);
    CHECK(cnn_random_permutation(1, 1, 0, 0, 0, out) == CNN_OK);
    CHECK(cnn_random_permutation(1, 1, 4, 4, 0, out) == CNN_OK);
    CHECK(cnn_random_permutation(1, 1, 4, 1, 4, out) == CNN_ERROR_ARGUMENT);
    CHECK(strstr(cnn_last_error(), "cnn_random_permutation: first is 1 and count is 4") != NULL);
    CHECK(cnn_random_permutation(1, 1, 4, 5, 0, out) == CNN_ERROR_ARGUMENT);
    CHECK(cnn_random_permutation(1, 1, 4, 2, SIZE_MAX, out) == CNN_ERROR_ARGUMENT);
    CHECK(cnn_random_permutation(1, 1, 4, 0, 4, NULL) == CNN_ERROR_ARGUMENT);
    CHECK(out[0] == 9);
    CHECK(cnn_random_permutation(1, 1, 1, 0, 1, out) == CNN_OK && out[0] == 0);
}

/* How far a chi-square sum lies from its mean, in standard deviations. */
static double deviation(double chi_square, double freedom)
{
    return (chi_square - freedom) / sqrt(2 * freedom);
}

static double chi_square(const size_t *counts, size_t cells, double expected)
{
    double sum = 0;
    for (size_t i = 0; i < cells; i++)
        sum += ((double)counts[i] - expected) * ((double)counts[i] - expected) / expected;
    return sum;
}

/*
 * Over many epochs, each element should come to each place equally often, the first two places
 * should hold each pair equally often, the first places of successive epochs should not depend
 * on each other, and neighbours within an epoch should correlate as in a random permutation.
 * Seeds are fixed, so a bound of 5 standard deviations does not fail by chance later.
 */
static void test_statistics(size_t n, size_t epochs)
{
    size_t *out = malloc(n * sizeof *out);
    size_t *places = calloc(n * n, sizeof *places), *pairs = calloc(n * n, sizeof *pairs);
    size_t *successive = calloc(n * n, sizeof *successive), before = 0;
    if (!CHECK(out != NULL && places != NULL && pairs != NULL && successive != NULL))
        exit(check_finish());
    const double cells = (double)n, middle = (cells - 1) / 2, count = (double)epochs;
    double serial = 0;
    for (size_t epoch = 0; epoch < epochs; epoch++) {
        CHECK(cnn_random_permutation(11, epoch, n, 0, n, out) == CNN_OK);
        for (size_t i = 0; i < n; i++) {
            places[i * n + out[i]]++;
            serial += i > 0 ? ((double)out[i] - middle) * ((double)out[i - 1] - middle) : 0;
        }
        pairs[out[0] * n + out[1]]++;
        successive[before * n + out[0]] += epoch > 0;
        before = out[0];
    }
    const double place = chi_square(places, n * n, count / cells) * (cells - 1) / cells;
    CHECK(fabs(deviation(place, (cells - 1) * (cells - 1))) < 5);
    /* The n cells of equal elements are empty and would each add the expected count. */
    const double pair_expected = count / (cells * (cells - 1));
    const double pair = chi_square(pairs, n * n, pair_expected) - cells * pair_expected;
    CHECK(fabs(deviation(pair, cells * (cells - 1) - 1)) < 5);
    const double next = chi_square(successive, n * n, (count - 1) / (cells * cells));
    CHECK(fabs(deviation(next, cells * cells - 1)) < 5);
    const double correlation = serial / count / ((cells - 1) * (cells * cells - 1) / 12);
    CHECK(n == 2 || fabs(correlation + 1 / (cells - 1)) < 5 / sqrt(count * (cells - 1)));
    free(out);
    free(places);
    free(pairs);
    free(successive);
}

/* All permutations of five elements equally often. */
static void test_all_permutations(void)
{
    static size_t counts[5 * 5 * 5 * 5];
    const double expected = 60000.0 / 120;
    double sum = 0;
    for (size_t epoch = 0; epoch < 60000; epoch++) {
        size_t out[5];
        (void)cnn_random_permutation(5, epoch, 5, 0, 5, out);
        counts[((out[0] * 5 + out[1]) * 5 + out[2]) * 5 + out[3]]++;
    }
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        sum += counts[i] > 0 ? ((double)counts[i] - expected) * ((double)counts[i] - expected) : 0;
    CHECK(fabs(deviation(sum / expected, 119)) < 5);
}

int main(void)
{
    test_philox();
    test_uniform();
    test_streams_differ();
    test_known_permutations();
    test_bijection();
    test_permutation_arguments();
    test_all_permutations();
    test_statistics(2, 20000);
    test_statistics(3, 20000);
    test_statistics(5, 20000);
    test_statistics(10, 20000);
    test_statistics(100, 10000);
    test_statistics(1000, 1000);
    return check_finish();
}
