/*
 * Maps of where a matrix is not 0, the lists of k's made of them, and products that go by lists:
 * these have the bits of the product of all k's but for the sign of a zero.
 */
#include "kernels/local.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "check.h"
#include "kernels/variant.h"

enum { MOST_M = 150, MOST_K = 600, MOST_N = 130, WORDS = (MOST_K + 63) / 64 };

static uint64_t drawn;

static double uniform(void)
{
    uint32_t random[4];
    cnn_random_block(2, drawn++, random);
    return (double)random[0] * 0x1p-32;
}

static size_t below(size_t n)
{
    return (size_t)(uniform() * (double)n);
}

/* Some columns are 0 for most rows, as an image's border, and numbers are where they are not. */
static void draw(real *x, size_t rows, size_t cols, size_t row, double density)
{
    for (size_t j = 0; j < cols; j++) {
        const double share = uniform() < 0.5 ? density : density / 20;
        for (size_t i = 0; i < rows; i++) {
            const double value = uniform() * 2 - 1;
            x[i * row + j] = uniform() < share ? (real)value : (real)(value < 0 ? -0.0 : 0);
        }
    }
}

static int is_set(const uint64_t *map, size_t words, size_t i, size_t j)
{
    return map[i * words + j / 64] >> j % 64 & 1;
}

static void test_map(const real *x, size_t rows, size_t cols, size_t row, uint64_t *map,
                     size_t words)
{
    double smallest[MOST_K];
    int right = 1;
    KERNEL(nonzero)(rows, cols, x, row, map, words, smallest);
    for (size_t i = 0; i < rows; i++) {
        double least = INFINITY;
        for (size_t j = 0; j < words * 64; j++) {
            const real value = j < cols ? x[i * row + j] : 0;
            right = right && is_set(map, words, i, j) == (value != 0);
            if (value != 0 && fabs((double)value) < least)
                least = fabs((double)value);
        }
        right = right && smallest[i] == least;
    }
    CHECK(right);
}

/* The lists say of each group and k whether one of the group's rows of a is not 0 there. */
static void test_lists(const cnn_lists *lists, size_t m, size_t k, const uint64_t *map,
                       size_t words, int columns, size_t first)
{
    int right = 1;
    for (size_t i = 0, g = 0; i < m; i += LIST_ROWS, g++)
        for (size_t begin = 0, c = 0; begin < k; begin += CNN_CHUNK, c++) {
            size_t found = 0;
            const unsigned char *list = lists->at + g * lists->row + begin;
            for (size_t at = begin; at < k && at < begin + CNN_CHUNK; at++) {
                int any = 0;
                for (size_t r = i; r < i + LIST_ROWS; r++) {
                    if (columns) /* those behind the last row of a may belong to the group */
                        any = any || (first + r < words * 64 && is_set(map, words, at, first + r));
                    else if (r < m)
                        any = any || is_set(map, words, r, at);
                }
                if (any)
                    right = right && found < lists->count[g * lists->chunks + c] &&
                            list[found++] == at - begin;
            }
            right = right && found == lists->count[g * lists->chunks + c];
        }
    CHECK(right);
}

static int same_but_for_zeros(const real *x, const real *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (memcmp(&x[i], &y[i], sizeof *x) != 0 && !(x[i] == 0 && y[i] == 0))
            return 0;
    return 1;
}

/* a . b by lists and without, a as it lies or transposed. */
static void test_product(size_t m, size_t k, size_t n, double density, int columns)
{
    static real a[MOST_K * (MOST_K + 16)], b[MOST_K * 256], bias[MOST_N];
    static real all[MOST_M * MOST_N], some[MOST_M * MOST_N];
    static uint64_t map[MOST_K * WORDS];
    static unsigned char at[MOST_M * MOST_K];
    static uint16_t count[MOST_M * (MOST_K / CNN_CHUNK + 1)];
    static cnn_span soon[3];
    const size_t first = columns ? LIST_ROWS * below(5) : 0;
    const size_t rows = columns ? k : m, cols = columns ? first + m : k, row = cols + below(16);
    const size_t words = (cols + 63) / 64, panels = (n + PANEL - 1) / PANEL;
    cnn_lists lists = {.row = (k + 3) / 4 * 4,
                       .chunks = (k + CNN_CHUNK - 1) / CNN_CHUNK,
                       .at = at,
                       .count = count};
    draw(a, rows, cols, row, density);
    for (size_t i = 0; i < panels * PANEL * k; i++)
        b[i] = (real)(uniform() - 0.5);
    for (size_t j = 0; j < n; j++)
        bias[j] = (real)(uniform() - 0.5);
    test_map(a, rows, cols, row, map, words);
    if (columns)
        KERNEL(list_columns)(m, k, map, words, first, &lists);
    else
        KERNEL(list_rows)(m, k, map, words, &lists);
    test_lists(&lists, m, k, map, words, columns, first);
    for (size_t s = 0; s < 3; s++)
        soon[s] = (cnn_span){b + 100 * s, 100};
    cnn_gemm gemm = {.m = m,
                     .n = n,
                     .k = k,
                     .a = a + first,
                     .a_row = columns ? 1 : row,
                     .a_k = columns ? row : 1,
                     .b = b,
                     .b_k = PANEL,
                     .b_panel = PANEL * k,
                     .bias = columns ? NULL : bias,
                     .c = all,
                     .c_row = n,
                     .soon = columns ? soon : NULL,
                     .soon_count = columns ? 3 : 0,
                     .activation = {.kind = columns ? CNN_IDENTITY : CNN_RELU}};
    KERNEL(gemm)(&gemm);
    gemm.c = some;
    gemm.lists = &lists;
    KERNEL(gemm)(&gemm);
    CHECK(same_but_for_zeros(all, some, m * n));
}

static void test_finite(void)
{
    static const double bad[] = {INFINITY, -INFINITY, NAN};
    real x[100];
    for (size_t n = 1; n <= 100; n++) {
        for (size_t i = 0; i < 100; i++)
            x[i] = i < n ? (real)(uniform() * 1e30) : (real)NAN;
        CHECK(KERNEL(finite)(1, n, x, n));
        x[below(n)] = (real)bad[n % 3];
        CHECK(!KERNEL(finite)(1, n, x, n));
    }
    CHECK(KERNEL(finite)(1, 0, x, 0));
}

int test_variant(void)
{
    static const double densities[] = {0, 0.05, 0.3, 1};
    for (size_t i = 0; i < 400; i++) {
        const size_t m = 1 + below(i % 8 < 3 ? 12 : MOST_M), k = 1 + below(i % 4 ? 100 : MOST_K);
        test_product(m, k, 1 + below(MOST_N), densities[i % 4], i % 2 != 0);
    }
    test_finite();
    return check_finish();
}
