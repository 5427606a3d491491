/*
 * Softmax of rows, with and without gaps and in place, against the numerics contract (rule 4) row
 * by row. The memory ends with the last number, so that a sanitizer sees what reaches beyond.
 */
#include "kernels/local.h"
#include "kernels/vmath.h"

#include <stdio.h>

#include "base/random.h"
#include "check.h"
#include "kernels/variant.h"

enum { MOST_COLS = 40, GAP = 3 };

static real *memory(size_t n)
{
    return check_memory(n * sizeof(real));
}

/* Numbers of very different sizes, and rows of every kind that is special. */
static void draw(real *x, size_t rows, size_t cols, size_t row)
{
    static uint64_t drawn;
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < cols; j++) {
            uint32_t random[4];
            cnn_random_block(3, drawn++, random);
            const double value = ((double)random[0] * 0x1p-31 - 1) * (random[1] % 8 ? 5 : 300);
            x[i * row + j] = (real)(random[2] % 8 ? value : -0.0);
            if (i % 7 == 4 && random[3] % 4)
                x[i * row + j] = -(real)INFINITY;
        }
        if (i % 19 == 3)
            x[i * row + cols / 2] = (real)NAN;
        if (i % 19 == 8)
            x[i * row + cols / 3] = (real)INFINITY;
    }
}

static real exp_of(real x)
{
    real lanes[V_LANES];
    v_store(lanes, v_exp_nonpositive(v_set1(x)));
    return lanes[0];
}

/* One row as the contract has it: 16 lanes, folded +8 +4 +2 +1. */
static void expected_row(size_t cols, const real *x, real *y)
{
    real max = -(real)INFINITY, lanes[16] = {0};
    for (size_t j = 0; j < cols; j++)
        max = x[j] > max ? x[j] : max;
    for (size_t j = 0; j < cols; j++) {
        y[j] = exp_of(x[j] - (max + 0));
        lanes[j % 16] += y[j];
    }
    for (size_t n = 8; n >= 1; n /= 2)
        for (size_t l = 0; l < n; l++)
            lanes[l] += lanes[l + n];
    for (size_t j = 0; j < cols; j++)
        y[j] /= lanes[0];
}

static int same(const real *a, const real *b, size_t n)
{
    for (size_t j = 0; j < n; j++)
        if (memcmp(a + j, b + j, sizeof *a) != 0 && (a[j] == a[j] || b[j] == b[j]))
            return 0;
    return 1;
}

static void test_rows(size_t rows, size_t cols, size_t x_gap, size_t y_gap, int in_place)
{
    const size_t x_row = cols + x_gap, y_row = cols + y_gap;
    const size_t x_size = (rows - 1) * x_row + cols, y_size = (rows - 1) * y_row + cols;
    real *x = memory(x_size), *y = in_place ? x : memory(y_size), *expected = memory(rows * cols);
    for (size_t k = 0; k < x_size; k++)
        x[k] = 7;
    for (size_t k = 0; k < y_size; k++)
        y[k] = 7;
    draw(x, rows, cols, x_row);
    for (size_t i = 0; i < rows; i++)
        expected_row(cols, x + i * x_row, expected + i * cols);
    KERNEL(softmax_forward)(rows, cols, x, x_row, y, y_row, 0);
    int right = 1, untouched = 1;
    for (size_t i = 0; i < rows; i++) {
        right = right && same(y + i * y_row, expected + i * cols, cols);
        for (size_t j = cols; j < y_row && i + 1 < rows; j++)
            untouched = untouched && y[i * y_row + j] == 7;
    }
    if (!CHECK(right) || !CHECK(untouched))
        printf("%zu rows, %zu columns, gaps %zu and %zu, in place %d\n", rows, cols, x_gap, y_gap,
               in_place);
    free(x);
    if (!in_place)
        free(y);
    free(expected);
}

int test_variant(void)
{
    for (size_t cols = 1; cols <= MOST_COLS; cols++)
        for (size_t rows = 1; rows <= 100; rows += rows < 20 ? 1 : 7)
            for (size_t k = 0; k < 4; k++) {
                test_rows(rows, cols, k / 2 * GAP, k % 2 * GAP, 0);
                if (k / 2 == k % 2)
                    test_rows(rows, cols, k / 2 * GAP, k % 2 * GAP, 1);
            }
    return check_finish();
}
