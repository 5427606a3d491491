/*
 * The optimizers that divide by a root leave out quotients that are too small to change a weight.
 * Here every number they give has the bits of the whole formula: for gradients, slots and weights
 * of any size, and most of all where a step is about as large as what rounds away.
 */
#include "kernels/local.h"
#include "kernels/simd/fma.h" /* which the above includes for scalar alone */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <tgmath.h>

#include "base/random.h"
#include "check.h"
#include "kernels/variant.h"

enum { NUMBERS = 1024, ROUNDS = 40 };

static uint64_t seen, kept;

static double uniform(uint64_t *drawn)
{
    uint32_t random[4];
    cnn_random_block(1, (*drawn)++, random);
    return (double)random[0] * 0x1p-32;
}

/* 2^exponent times a number in [1, 2), of any sign. */
static real near(double exponent, uint64_t *drawn)
{
    const double x = exp2(floor(exponent)) * (1 + uniform(drawn));
    return (real)(uniform(drawn) < 0.5 ? x : -x);
}

static real any_number(uint64_t *drawn)
{
    static const double special[] = {0, -0.0, INFINITY, -INFINITY, NAN, -1e-30};
    const double range = CNN_BITS == 32 ? 149 : 1074;
    const size_t pick = (size_t)(uniform(drawn) * 60);
    if (pick < sizeof special / sizeof *special)
        return (real)special[pick];
    return near((2 * uniform(drawn) - 1) * range, drawn);
}

struct numbers {
    real w[NUMBERS], a[NUMBERS], square[NUMBERS], g[NUMBERS];
};

/*
 * Half of the gradients are such that with a square of 0 the step rounds away or just does not; the
 * squares are 0, anything, or the square of the gradient.
 */
static void draw(struct numbers *n, double rate, double eps, uint64_t *drawn)
{
    for (size_t i = 0; i < NUMBERS; i++) {
        const double lost = CNN_BITS == 32 ? -25 : -54;
        n->w[i] = any_number(drawn);
        n->a[i] = 0;
        n->g[i] = any_number(drawn);
        n->square[i] = any_number(drawn);
        const double step = log2(fabs((double)n->w[i])) + log2(eps / rate) + lost;
        if (uniform(drawn) < 0.5 && isfinite(step))
            n->g[i] = near(step + 12 * uniform(drawn) - 8, drawn);
        if (uniform(drawn) < 0.5)
            n->square[i] = uniform(drawn) < 0.5 ? 0 : n->g[i] * n->g[i];
        if (uniform(drawn) < 0.5) { /* what is left of a gradient that was there before */
            n->a[i] = n->g[i];
            n->g[i] = 0;
        }
    }
}

static int same(real x, real y)
{
    return (isnan(x) && isnan(y)) || memcmp(&x, &y, sizeof x) == 0;
}

/* Steps from the same numbers, by the kernel and by the formula as it stands. */
static void compare(const cnn_update *u, const struct numbers *n)
{
    const int adam = u->kind == CNN_ADAM;
    struct numbers now = *n;
    cnn_update update = *u;
    update.rows = 1;
    update.cols = update.g_row = update.w_row = update.slot_row = NUMBERS;
    update.w = now.w;
    update.g = now.g;
    update.slots[0] = adam ? now.a : now.square;
    update.slots[1] = adam ? now.square : NULL;
    KERNEL(update)(&update);
    const real eps = (real)(adam ? u->eps * u->root_correction : u->eps);
    const real rate = (real)(adam ? u->step_size * u->root_correction : u->lr);
    int right = 1;
    for (size_t i = 0; i < NUMBERS; i++) {
        const real g = n->g[i];
        real a = g, square = n->square[i];
        if (adam) {
            a = soft_fma((real)(1 - u->beta1), g - n->a[i], n->a[i]);
            square = soft_fma((real)(1 - u->beta2) * g, g, (real)u->beta2 * square);
        } else if (u->kind == CNN_RMSPROP) {
            square = soft_fma((real)(1 - u->alpha) * g, g, (real)u->alpha * square);
        } else {
            square = soft_fma(g, g, square);
        }
        const real w = soft_fma(-rate, a / (sqrt(square) + eps), n->w[i]);
        right = right && same(w, now.w[i]) && same(square, now.square[i]);
        right = right && (!adam || same(a, now.a[i]));
        seen++;
        kept += same(w, n->w[i]) != 0;
    }
    CHECK(right);
    if (!right)
        printf("kind %d, rate %g, eps %g\n", (int)u->kind, (double)rate, (double)eps);
}

enum { ROWS = 100, MOST_COLS = 50 };

static real *memory(size_t n)
{
    return check_memory(n * sizeof(real));
}

/*
 * SGD, with momentum or without, from a column by a row, where the column has zeros in long and
 * short spans. The memory ends with the last number, and rows may have gaps.
 */
static void compare_product(cnn_optimizer_kind kind, size_t cols, size_t gap, double lr,
                            int with_nan, uint64_t *drawn)
{
    const size_t row = cols + gap, size = (ROWS - 1) * row + cols;
    real *w = memory(size), *now = memory(size), *b = memory(size), *b_now = memory(size);
    real factor[ROWS], g[MOST_COLS];
    int zero = 1;
    for (size_t i = 0; i < ROWS; i++) {
        zero = uniform(drawn) < 0.1 ? !zero : zero;
        factor[i] = zero ? (real)(i % 2 ? 0 : -0.0) : near(uniform(drawn) * 8 - 4, drawn);
    }
    for (size_t j = 0; j < cols; j++)
        g[j] = near(uniform(drawn) * 8 - 4, drawn);
    if (with_nan)
        g[(size_t)(uniform(drawn) * (double)cols)] = (real)(uniform(drawn) < 0.5 ? INFINITY : NAN);
    for (size_t i = 0; i < size; i++) {
        w[i] = now[i] = any_number(drawn);
        b[i] = b_now[i] = any_number(drawn);
    }
    const real momentum = (real)0.9, rate = (real)lr;
    const cnn_update u = {.kind = kind,
                          .rows = ROWS,
                          .cols = cols,
                          .g = g,
                          .factor = factor,
                          .w = now,
                          .w_row = row,
                          .slots = {kind == CNN_SGD ? NULL : b_now},
                          .slot_row = row,
                          .clip = 1,
                          .momentum = momentum,
                          .lr = lr};
    KERNEL(update)(&u);
    int right = 1;
    for (size_t i = 0; i < size; i++) {
        if (i % row < cols) {
            const real gradient = soft_fma(factor[i / row], g[i % row], (real)0);
            const real mean = soft_fma(momentum, b[i], gradient);
            b[i] = kind == CNN_SGD ? b[i] : mean;
            const real step = kind == CNN_SGD        ? gradient
                              : kind == CNN_MOMENTUM ? mean
                                                     : soft_fma(momentum, mean, gradient);
            w[i] = soft_fma(-rate, step, w[i]);
        }
        right = right && same(w[i], now[i]) && same(b[i], b_now[i]);
    }
    if (!CHECK(right))
        printf("kind %d, %zu columns, gap %zu\n", (int)kind, cols, gap);
    free(w);
    free(now);
    free(b);
    free(b_now);
}

/* The number of rows that a column is multiplied out for at a time depends on the columns: few,
 * one, or not even one whole row of them. */
enum { WIDE_ROWS = 3, WIDE_COLS = 9001 };

/* A column by a row gives the bits of their product as a matrix. */
static void compare_wide(cnn_optimizer_kind kind, size_t cols, double l2, uint64_t *drawn)
{
    const size_t size = WIDE_ROWS * cols;
    real *arrays[2][3], *product = memory(size), *g = memory(cols), factor[WIDE_ROWS];
    for (size_t a = 0; a < 6; a++)
        arrays[a / 3][a % 3] = memory(size);
    for (size_t i = 0; i < WIDE_ROWS; i++)
        factor[i] = (real)(uniform(drawn) * 8 - 4);
    for (size_t j = 0; j < cols; j++)
        g[j] = (real)(uniform(drawn) * 8 - 4);
    for (size_t i = 0; i < size; i++) {
        product[i] = soft_fma(factor[i / cols], g[i % cols], (real)0);
        for (size_t a = 0; a < 3; a++)
            arrays[0][a][i] = arrays[1][a][i] = (real)uniform(drawn);
    }
    for (size_t way = 0; way < 2; way++) {
        const cnn_update u = {.kind = kind,
                              .rows = WIDE_ROWS,
                              .cols = cols,
                              .g = way == 0 ? g : product,
                              .g_row = way == 0 ? 0 : cols,
                              .factor = way == 0 ? factor : NULL,
                              .w = arrays[way][0],
                              .w_row = cols,
                              .slots = {arrays[way][1], arrays[way][2]},
                              .slot_row = cols,
                              .l2 = l2,
                              .clip = 1,
                              .lr = 0.1,
                              .beta1 = 0.9,
                              .beta2 = 0.999,
                              .eps = 1e-8,
                              .decay = 1,
                              .step_size = 0.1,
                              .root_correction = 1};
        KERNEL(update)(&u);
    }
    int right = 1;
    for (size_t a = 0; a < 3; a++)
        for (size_t i = 0; i < size; i++)
            right = right && same(arrays[0][a][i], arrays[1][a][i]);
    if (!CHECK(right))
        printf("kind %d, %zu columns, l2 %g\n", (int)kind, cols, l2);
    for (size_t a = 0; a < 6; a++)
        free(arrays[a / 3][a % 3]);
    free(product);
    free(g);
}

int test_variant(void)
{
    static const double rates[] = {1e-3, 0.1, 0, 1e-30, 1e30, 1e-300};
    static const double epsilons[] = {1e-8, 1e-3, 0, 1e-40, 10, 1e30};
    static const cnn_optimizer_kind kinds[] = {CNN_ADAM, CNN_RMSPROP, CNN_ADAGRAD};
    static struct numbers numbers;
    const size_t every = check_every();
    uint64_t drawn = 0;
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++)
        for (size_t j = 0; j < sizeof epsilons / sizeof *epsilons; j++)
            for (size_t k = 0; k < sizeof kinds / sizeof *kinds * ROUNDS; k += every) {
                const cnn_update u = {.kind = kinds[k / ROUNDS],
                                      .clip = 1,
                                      .lr = rates[i],
                                      .alpha = 0.99,
                                      .beta1 = k % 2 ? 0.9 : 0,
                                      .beta2 = 0.999,
                                      .eps = epsilons[j],
                                      .decay = 1,
                                      .step_size = rates[i],
                                      .root_correction = k % 3 ? 1 : 0.25};
                draw(&numbers, rates[i], epsilons[j], &drawn);
                compare(&u, &numbers);
            }
    static const cnn_optimizer_kind products[] = {CNN_SGD, CNN_MOMENTUM, CNN_NESTEROV};
    static const double product_rates[] = {0, 0.1, 1e300, 0.1};
    for (size_t k = 0; k < 12 * MOST_COLS; k += every)
        compare_product(products[k % 3], k / 12 + 1, k / 3 % 2 * 3, product_rates[(k + k / 12) % 4],
                        k / 6 % 2, &drawn);
    static const size_t widths[] = {1, 1365, 2049, 4095, 4096, 4097, 5000, WIDE_COLS};
    for (size_t k = 0; k < sizeof widths / sizeof *widths; k++) {
        compare_wide(CNN_ADAM, widths[k], 0, &drawn);
        compare_wide(CNN_SGD, widths[k], 0.25, &drawn);
    }
    printf("%" PRIu64 " of %" PRIu64 " weights kept\n", kept, seen);
    CHECK(kept > seen / 4 && kept < seen / 4 * 3);
    return check_finish();
}
