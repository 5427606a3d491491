/*
 * Cross entropy of rows against the numerics contract (rule 4) row by row, in every bit: rows of
 * any length, of weight 0, with numbers that are not finite, with and without a gradient. The
 * memory ends with the last number, so that a sanitizer sees what reaches beyond.
 */
#include "kernels/local.h"
#include "kernels/vmath.h"

#include <stdio.h>

#include "base/random.h"
#include "check.h"
#include "kernels/variant.h"

enum { MOST_COLS = 40, MOST_ROWS = 37, GAP = 3, WIDE = 700 };

/* A call, and what it should give. */
struct trial {
    cnn_loss_rows l;
    double expected[MOST_ROWS], value[MOST_ROWS], weight[MOST_ROWS], scale[MOST_ROWS];
    int64_t labels[MOST_ROWS];
    real *z, *t, *gradient, *expected_gradient;
    size_t correct, expected_correct;
};

static uint32_t drawn(void)
{
    static uint64_t count;
    uint32_t random[4];
    cnn_random_block(5, count++, random);
    return random[0];
}

static real unit(void)
{
    return (real)(drawn() >> 8) * R(0x1p-24);
}

/* Logits of very different sizes, with ties for the largest, and rows of every special kind. */
static void draw_logits(real *z, size_t i, size_t cols)
{
    const real size = drawn() % 3 ? 4 : 200;
    for (size_t j = 0; j < cols; j++) {
        z[j] = drawn() % 8 ? size * (2 * unit() - 1) : R(-0.0);
        if (i % 7 == 4 && drawn() % 4)
            z[j] = -(real)INFINITY;
        if (i % 5 == 2)
            z[j] = (real)(drawn() % 3);
    }
    if (i % 11 == 9)
        z[drawn() % cols] = 50; /* the other terms are small */
    if (i % 19 == 3)
        z[cols / 2] = (real)NAN;
    if (i % 19 == 8)
        z[cols / 3] = (real)INFINITY;
    if (i % 19 == 12)
        for (size_t j = 0; j < cols; j++)
            z[j] = -(real)INFINITY;
}

static real lane(v_real v)
{
    real lanes[V_LANES];
    v_store(lanes, v);
    return lanes[0];
}

/* The sum of n terms in 16 lanes, folded +8 +4 +2 +1. */
static real sum_of(const real *terms, size_t n)
{
    real lanes[16] = {0};
    for (size_t j = 0; j < n; j++)
        lanes[j % 16] += terms[j];
    for (size_t k = 8; k >= 1; k /= 2)
        for (size_t l = 0; l < k; l++)
            lanes[l] += lanes[l + k];
    return lanes[0];
}

static size_t first_largest(const real *x, size_t n)
{
    size_t at = n;
    for (size_t j = 0; j < n; j++)
        if (x[j] == x[j] && (at == n || x[j] > x[at]))
            at = j;
    return at;
}

static real fma_of(real a, real b, real c)
{
    return lane(v_fma(v_set1(a), v_set1(b), v_set1(c)));
}

/* A row's value, as cnn.h defines it, and its gradient. */
static double expect_row(const struct trial *trial, size_t i, real *gradient)
{
    const cnn_loss_rows *l = &trial->l;
    const size_t n = l->cols, label = (size_t)trial->labels[i];
    const real *z = trial->z + i * l->z_row, *t = l->t ? trial->t + i * l->t_row : NULL;
    const real smoothing = (real)l->label_smoothing, share = smoothing / (real)n;
    real e[WIDE], terms[WIDE], max = -(real)INFINITY;
    for (size_t j = 0; j < n; j++)
        max = z[j] > max ? z[j] : max;
    max += 0;
    for (size_t j = 0; j < n; j++) {
        e[j] = lane(v_exp_nonpositive(v_set1(z[j] - max)));
        terms[j] = e[j] == 1 ? 0 : e[j];
    }
    const real sum = sum_of(e, n), scale = (real)trial->scale[i];
    const real log_sum = lane(sum < 2 ? v_log1p(v_set1(sum_of(terms, n))) : v_log(v_set1(sum)));
    real total = 1;
    if (t) {
        for (size_t j = 0; j < n; j++)
            terms[j] = fma_of(1 - smoothing, t[j], share);
        total = sum_of(terms, n);
    }
    for (size_t j = 0; j < n; j++) {
        const real target = t            ? fma_of(1 - smoothing, t[j], share)
                            : j == label ? 1 - smoothing + share
                                         : share;
        gradient[j] = (t ? e[j] / sum * total - target : e[j] / sum - target) * scale;
        if (t)
            terms[j] = target == 0 ? 0 : target * (z[j] - max - log_sum);
        else
            terms[j] = z[j] - max - log_sum;
    }
    if (t)
        return (double)-sum_of(terms, n);
    const real log_p = z[label] - max - log_sum;
    return (double)(smoothing > 0 ? -((1 - smoothing) * log_p) - share * sum_of(terms, n) : -log_p);
}

/* Draw the operands of a trial and compute what it should give. */
static void prepare(struct trial *trial, size_t rows, size_t cols, int with_rows, int gradient,
                    real smoothing)
{
    const size_t row = cols + GAP, size = (rows - 1) * row + cols;
    trial->z = check_memory(size * sizeof(real));
    trial->t = check_memory(size * sizeof(real));
    trial->gradient = check_memory(size * sizeof(real));
    trial->expected_gradient = check_memory(size * sizeof(real));
    trial->correct = trial->expected_correct = 0;
    trial->l = (cnn_loss_rows){.kind = CNN_CROSS_ENTROPY,
                               .rows = rows,
                               .cols = cols,
                               .z = trial->z,
                               .z_row = row,
                               .t = with_rows ? trial->t : NULL,
                               .t_row = row,
                               .labels = with_rows ? NULL : trial->labels,
                               .weight = trial->weight,
                               .scale = trial->scale,
                               .label_smoothing = (double)smoothing,
                               .loss_rows = trial->value,
                               .gradient = gradient ? trial->gradient : NULL,
                               .gradient_row = row,
                               .correct = &trial->correct};
    for (size_t k = 0; k < size; k++)
        trial->z[k] = trial->gradient[k] = trial->expected_gradient[k] = 7;
    for (size_t k = 0; k < size; k++)
        trial->t[k] = drawn() % 2 ? unit() : 0;
    for (size_t i = 0; i < rows; i++) {
        real *z = trial->z + i * row, *expected = trial->expected_gradient + i * row;
        draw_logits(z, i, cols);
        trial->labels[i] = (int64_t)(drawn() % cols);
        trial->weight[i] = drawn() % 4 ? 0.5 : 0;
        trial->scale[i] = (double)unit();
        trial->expected[i] = expect_row(trial, i, expected);
        const size_t target =
            with_rows ? first_largest(trial->t + i * row, cols) : (size_t)trial->labels[i];
        if (trial->weight[i] > 0)
            trial->expected_correct += first_largest(z, cols) == target;
        else
            trial->expected[i] = 0;
        for (size_t j = 0; j < cols && trial->weight[i] == 0; j++)
            expected[j] = 0;
    }
}

static int same(real a, real b)
{
    return (a != a && b != b) || memcmp(&a, &b, sizeof a) == 0;
}

static void test_rows(size_t rows, size_t cols, int with_rows, int gradient, real smoothing)
{
    static struct trial trial;
    prepare(&trial, rows, cols, with_rows, gradient, smoothing);
    KERNEL(loss)(&trial.l);
    int values = 1, gradients = 1;
    for (size_t i = 0; i < rows; i++)
        values = values && same((real)trial.value[i], (real)trial.expected[i]);
    const size_t size = (rows - 1) * trial.l.z_row + cols;
    for (size_t k = 0; k < size && gradient; k++)
        gradients = gradients && same(trial.gradient[k], trial.expected_gradient[k]);
    if (!CHECK(values) || !CHECK(gradients) || !CHECK(trial.correct == trial.expected_correct))
        printf("%zu rows, %zu columns, targets in rows %d, gradient %d, smoothing %g\n", rows, cols,
               with_rows, gradient, (double)smoothing);
    free(trial.z);
    free(trial.t);
    free(trial.gradient);
    free(trial.expected_gradient);
}

int test_variant(void)
{
    const size_t every = check_every();
    size_t trials = 0;
    for (size_t cols = 1; cols <= WIDE; cols += cols < MOST_COLS ? 1 : WIDE - MOST_COLS)
        for (size_t rows = 1; rows <= MOST_ROWS; rows += rows < 9 ? 1 : 7)
            for (int k = 0; k < 8; k++)
                if (trials++ % every == 0)
                    test_rows(rows, cols, k / 4, k / 2 % 2, k % 2 ? R(0.1) : 0);
    return check_finish();
}
