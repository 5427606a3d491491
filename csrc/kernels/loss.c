/* The losses: each row's value, and its gradient with respect to the logits or outputs. */
#include "kernels/local.h"
#include "kernels/rows.h"

/* One row's operands. gradient is NULL if only the value is computed. */
struct row {
    size_t cols;
    const real *z;
    const real *t;
    int64_t label;
    real scale;
    real *gradient;
};

/* The first lane of a vector: the result of a vector function for one number. */
INLINE real first_lane(v_real v)
{
    real lanes[V_LANES];
    v_store(lanes, v);
    return lanes[0];
}

/*
 * t log p = t (z - max - log_sum) with 0 log 0 = 0, for terms of cross entropy.
 */
INLINE v_real weighted_log(v_real t, v_real z, v_real max, v_real log_sum)
{
    const v_real log_p = v_sub(v_sub(z, max), log_sum);
    return v_select(v_eq(t, v_zero()), v_zero(), v_mul(t, log_p));
}

/* v, with 0 in the lanes in which it equals `left_out`. */
INLINE v_real without(v_real v, v_real left_out)
{
    return v_select(v_eq(v, left_out), v_zero(), v);
}

/* The sum of exp(z - max) over the row; the terms are stored in the gradient if there is one. */
static real exp_sum(const struct row *r, v_real max)
{
    real sum;
    if (r->gradient)
        ROW_SUM_THEN(sum, r->cols, j, left, v_exp_nonpositive(v_sub(row_load(r->z + j, left), max)),
                     e, row_store(r->gradient + j, e, left));
    else
        ROW_SUM(sum, r->cols, j, left, v_exp_nonpositive(v_sub(row_load(r->z + j, left), max)));
    return sum;
}

/*
 * The logarithm of the sum of a row's exp(z - max), of which at least one is 1. If the others are
 * small, rounding of the sum loses them, so they are summed again without the 1.
 */
static real log_of_sum(const struct row *r, real max, real sum)
{
    if (!(sum < 2)) /* so it has another 1, or NaN */
        return first_lane(v_log(v_set1(sum)));
    const v_real v_max_z = v_set1(max), one = v_set1(1);
    real rest;
    if (r->gradient)
        ROW_SUM(rest, r->cols, j, left, without(row_load(r->gradient + j, left), one));
    else
        ROW_SUM(rest, r->cols, j, left,
                without(v_exp_nonpositive(v_sub(row_load(r->z + j, left), v_max_z)), one));
    return first_lane(v_log1p(v_set1(rest)));
}

/* Cross entropy with a class number; a share of `smoothing` is spread over all classes. */
static real cross_entropy_label(const struct row *r, real smoothing)
{
    const real max = row_max(r->z, r->cols);
    const v_real v_max_z = v_set1(max);
    const real sum = exp_sum(r, v_max_z);
    const real log_sum = log_of_sum(r, max, sum);
    const real share = smoothing / (real)r->cols, rest = 1 - smoothing;
    const size_t label = (size_t)r->label;
    const real log_p = r->z[label] - max - log_sum;
    real value = -log_p;
    if (smoothing > 0) {
        real all;
        const v_real v_log_sum = v_set1(log_sum);
        ROW_SUM(all, r->cols, j, left, v_sub(v_sub(row_load(r->z + j, left), v_max_z), v_log_sum));
        value = -(rest * log_p) - share * all;
    }
    if (r->gradient) {
        const real e = r->gradient[label];
        const v_real v_sum = v_set1(sum), v_share = v_set1(share), scale = v_set1(r->scale);
        for (size_t j = 0; j < r->cols; j += V_LANES) {
            const size_t left = r->cols - j < V_LANES ? r->cols - j : V_LANES;
            const v_real p = v_div(row_load(r->gradient + j, left), v_sum);
            row_store(r->gradient + j, v_mul(v_sub(p, v_share), scale), left);
        }
        r->gradient[label] = (e / sum - (rest + share)) * r->scale;
    }
    return value;
}

/* Cross entropy with a row of probabilities t, whose sum T may differ from 1: p T - t. */
static real cross_entropy_row(const struct row *r, real smoothing)
{
    const real max_z = row_max(r->z, r->cols);
    const v_real max = v_set1(max_z);
    const real sum_e = exp_sum(r, max);
    const v_real sum = v_set1(sum_e), log_sum = v_set1(log_of_sum(r, max_z, sum_e));
    const v_real rest = v_set1(1 - smoothing), share = v_set1(smoothing / (real)r->cols);
    real value, total;
    ROW_SUM(value, r->cols, j, left,
            weighted_log(v_fma(rest, row_load(r->t + j, left), share), row_load(r->z + j, left),
                         max, log_sum));
    if (r->gradient) {
        ROW_SUM(total, r->cols, j, left, v_fma(rest, row_load(r->t + j, left), share));
        const v_real v_total = v_set1(total), scale = v_set1(r->scale);
        for (size_t j = 0; j < r->cols; j += V_LANES) {
            const size_t left = r->cols - j < V_LANES ? r->cols - j : V_LANES;
            const v_real p = v_div(row_load(r->gradient + j, left), sum);
            const v_real t = v_fma(rest, row_load(r->t + j, left), share);
            row_store(r->gradient + j, v_mul(v_sub(v_mul(p, v_total), t), scale), left);
        }
    }
    return -value;
}

/* The value of one element of the other losses; its derivative goes to *derivative. */
INLINE v_real element(const cnn_loss_kind kind, v_real z, v_real t, v_real delta,
                      v_real *derivative)
{
    const v_real half = v_set1(R(0.5));
    switch (kind) {
    case CNN_BINARY_CROSS_ENTROPY: {
        /* softplus(z) - t z = |z| (1 - t) + log(1 + exp(-|z|)) for z > 0, and with t instead of
         * 1 - t for z <= 0. For t from 0 to 1 there is no cancellation. */
        const v_real other = v_select(v_lt(v_zero(), z), v_sub(v_set1(1), t), t);
        *derivative = v_sub(v_sigmoid(z), t);
        return v_fma(v_abs(z), other, vm_log1p_exp(z));
    }
    case CNN_HUBER: {
        const v_real r = v_sub(z, t), size = v_abs(r);
        /* In this order a NaN residual gives a NaN. */
        *derivative = v_copysign(v_min(delta, size), r);
        return v_select(v_le(size, delta), v_mul(v_mul(half, r), r),
                        v_mul(delta, v_fnma(half, delta, size)));
    }
    case CNN_POISSON: {
        const v_real rate = v_exp(z);
        *derivative = v_sub(rate, t);
        return v_fnma(t, z, rate);
    }
    default: {
        const v_real r = v_sub(z, t);
        *derivative = r;
        return v_mul(v_mul(half, r), r);
    }
    }
}

/* The element's value; its derivative times the row's scale is stored in the gradient. */
INLINE v_real element_term(const cnn_loss_kind kind, const struct row *r, size_t j, size_t left,
                           v_real delta)
{
    v_real derivative;
    const v_real value =
        element(kind, row_load(r->z + j, left), row_load(r->t + j, left), delta, &derivative);
    if (r->gradient)
        row_store(r->gradient + j, v_mul(derivative, v_set1(r->scale)), left);
    return value;
}

INLINE real element_row(const cnn_loss_kind kind, const struct row *r, real delta)
{
    real sum;
    ROW_SUM(sum, r->cols, j, left, element_term(kind, r, j, left, v_set1(delta)));
    return sum;
}

static real row_value(const cnn_loss_rows *l, const struct row *r)
{
    switch (l->kind) {
    case CNN_CROSS_ENTROPY:
        return r->t ? cross_entropy_row(r, (real)l->label_smoothing)
                    : cross_entropy_label(r, (real)l->label_smoothing);
    case CNN_BINARY_CROSS_ENTROPY:
        return element_row(CNN_BINARY_CROSS_ENTROPY, r, 0);
    case CNN_HUBER:
        return element_row(CNN_HUBER, r, (real)l->delta);
    case CNN_POISSON:
        return element_row(CNN_POISSON, r, 0);
    default:
        return element_row(CNN_SQUARED_ERROR, r, 0);
    }
}

/* The first column with the largest number; n if all are NaN. */
static size_t largest_column(const real *x, size_t n)
{
    size_t at = n;
    for (size_t j = 0; j < n; j++)
        if (at == n ? x[j] == x[j] : x[j] > x[at])
            at = j;
    return at;
}

/* Whether the row is classified correctly: the target's class, or each binary label for itself. */
static int is_correct(const cnn_loss_rows *l, const struct row *r)
{
    if (l->kind == CNN_CROSS_ENTROPY) {
        const size_t target = l->labels ? (size_t)r->label : largest_column(r->t, r->cols);
        return largest_column(r->z, r->cols) == target;
    }
    for (size_t j = 0; j < r->cols; j++)
        if ((r->z[j] > 0) != (r->t[j] > R(0.5)))
            return 0;
    return 1;
}

/* The loss and the gradient of a row of weight 0: zeros. */
static void weigh_nothing(const cnn_loss_rows *l, size_t i)
{
    l->loss_rows[i] = 0;
    if (l->gradient)
        memset((real *)l->gradient + i * l->gradient_row, 0, l->cols * sizeof(real));
}

void KERNEL(loss)(const cnn_loss_rows *l)
{
    for (size_t i = 0; i < l->rows; i++) {
        if (l->weight[i] == 0) {
            weigh_nothing(l, i);
            continue;
        }
        const struct row r = {
            .cols = l->cols,
            .z = (const real *)l->z + i * l->z_row,
            /* Only cross entropy does without. */
            .t = l->kind == CNN_CROSS_ENTROPY && !l->t ? NULL : (const real *)l->t + i * l->t_row,
            .label = l->labels ? l->labels[i] : 0,
            .scale = l->scale ? (real)l->scale[i] : 1,
            .gradient = l->gradient ? (real *)l->gradient + i * l->gradient_row : NULL,
        };
        l->loss_rows[i] = (double)row_value(l, &r);
        if (l->correct)
            *l->correct += (size_t)is_correct(l, &r);
    }
}
