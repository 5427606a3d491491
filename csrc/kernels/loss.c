/* The losses: each row's value, and its gradient with respect to the logits or outputs. */
#include "kernels/local.h"
#include "kernels/rows.h"

/*
 * The slopes of quantile for z below and above the target, q and 1 - q, by column. Those of so few
 * columns are made once for all rows of a call, others as they are needed: so there is no buffer
 * that depends on the number of columns.
 */
enum { FEW_SLOPES = 64 };
struct few_slopes {
    real below[FEW_SLOPES], above[FEW_SLOPES];
};

/* One row's operands. gradient is NULL if only the value is computed. */
struct row {
    size_t cols;
    const real *z;
    const real *t;
    int64_t label;
    real scale;
    const double *quantiles;
    const struct few_slopes *few;
    real *gradient;
};

/*
 * Rows whose cross entropies are computed together. The exponentials exp(z - max) of a row are kept
 * where e says, NULL if nowhere.
 */
struct group {
    size_t count;
    struct row row[V_LANES];
    double *value[V_LANES];
    const real *e[V_LANES];
    real max[V_LANES], sum[V_LANES], rest[V_LANES], log_sum[V_LANES];
};

/*
 * t log p = t (z - max - log_sum) with 0 log 0 = 0, for terms of cross entropy.
 */
INLINE v_real weighted_log(v_real t, v_real z, v_real max, v_real log_sum)
{
    const v_real log_p = v_sub(v_sub(z, max), log_sum);
    return v_select(v_eq(t, v_zero()), v_zero(), v_mul(t, log_p));
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

/* The same sum without the terms that are 1. */
static real exp_rest(const struct row *r, v_real max)
{
    const v_real one = v_set1(1);
    real rest;
    if (r->gradient)
        ROW_SUM(rest, r->cols, j, left, without(row_load(r->gradient + j, left), one));
    else
        ROW_SUM(rest, r->cols, j, left,
                without(v_exp_nonpositive(v_sub(row_load(r->z + j, left), max)), one));
    return rest;
}

/* The sums of rows of any length. The rest is needed if the sum is small. */
static void sum_wide(struct group *g)
{
    for (size_t i = 0; i < g->count; i++) {
        const struct row *r = &g->row[i];
        g->max[i] = row_max(r->z, r->cols);
        const v_real max = v_set1(g->max[i]);
        g->sum[i] = exp_sum(r, max);
        g->rest[i] = g->sum[i] < 2 ? exp_rest(r, max) : 0;
        g->e[i] = r->gradient;
    }
}

/*
 * The logarithms of the sums, of whose terms at least one is 1. If the others are small, rounding
 * of the sum loses them, so that they count without the 1. A sum of 2 or more has another 1, or is
 * NaN.
 */
static void take_logarithms(struct group *g)
{
    const v_real sum = v_load(g->sum), of_rest = v_log1p(v_load(g->rest));
    const v_mask is_small = v_lt(sum, v_set1(2));
    v_store(g->log_sum, v_all(is_small) ? of_rest : v_select(is_small, of_rest, v_log(sum)));
}

/* Cross entropy with a class number; a share of `smoothing` is spread over all classes. */
static real cross_entropy_label(const struct group *g, size_t i, real smoothing)
{
    const struct row *r = &g->row[i];
    const real share = smoothing / (real)r->cols, rest = 1 - smoothing;
    const size_t label = (size_t)r->label;
    const real log_p = r->z[label] - g->max[i] - g->log_sum[i];
    real value = -log_p;
    if (smoothing > 0) {
        real all;
        const v_real max = v_set1(g->max[i]), log_sum = v_set1(g->log_sum[i]);
        ROW_SUM(all, r->cols, j, left, v_sub(v_sub(row_load(r->z + j, left), max), log_sum));
        value = -(rest * log_p) - share * all;
    }
    if (r->gradient) {
        const real *e = g->e[i];
        const real of_label = (e[label] / g->sum[i] - (rest + share)) * r->scale;
        const v_real sum = v_set1(g->sum[i]), v_share = v_set1(share), scale = v_set1(r->scale);
        for (size_t j = 0; j < r->cols; j += V_LANES) {
            const size_t left = r->cols - j < V_LANES ? r->cols - j : V_LANES;
            const v_real p = v_div(row_load(e + j, left), sum);
            row_store(r->gradient + j, v_mul(v_sub(p, v_share), scale), left);
        }
        r->gradient[label] = of_label;
    }
    return value;
}

/* Cross entropy with a row of probabilities t, whose sum T may differ from 1: p T - t. */
static real cross_entropy_row(const struct group *g, size_t i, real smoothing)
{
    const struct row *r = &g->row[i];
    const v_real max = v_set1(g->max[i]), sum = v_set1(g->sum[i]), log_sum = v_set1(g->log_sum[i]);
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
            const v_real p = v_div(row_load(g->e[i] + j, left), sum);
            const v_real t = v_fma(rest, row_load(r->t + j, left), share);
            row_store(r->gradient + j, v_mul(v_sub(v_mul(p, v_total), t), scale), left);
        }
    }
    return -value;
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

/* Whether the target's class is the first with the largest logit. */
static int is_classified(const cnn_loss_rows *l, const struct group *g, size_t i)
{
    const struct row *r = &g->row[i];
    const size_t target = l->labels ? (size_t)r->label : largest_column(r->t, r->cols);
    if (g->sum[i] != g->sum[i]) /* of a row with NaN or infinity, whose max may be another's */
        return largest_column(r->z, r->cols) == target;
    if (target == r->cols || r->z[target] != g->max[i])
        return 0;
    size_t first = 0;
    while (r->z[first] != g->max[i])
        first++;
    return first == target;
}

/* The sums of the rows of a group; `kept` has room for the exponentials of narrow rows. */
static void sum_group(size_t cols, struct group *g, real *kept)
{
#if V_SUMS <= 2
    if (cols <= FEW_COLUMNS) {
        const struct few_sums to = {.max = g->max, .sum = g->sum, .rest = g->rest, .kept = kept};
        const real *z[V_LANES];
        for (size_t i = 0; i < g->count; i++) {
            z[i] = g->row[i].z;
            g->e[i] = kept + i * FEW_COLUMNS;
        }
        KERNEL(sum_narrow)(g->count, cols, z, &to);
        return;
    }
#endif
    (void)cols, (void)kept;
    sum_wide(g);
}

/* The cross entropies of the rows of a group, which is then empty. */
static void cross_entropy_group(const cnn_loss_rows *l, struct group *g)
{
    const real smoothing = (real)l->label_smoothing;
    real kept[V_LANES * FEW_COLUMNS];
    sum_group(l->cols, g, kept);
    take_logarithms(g);
    for (size_t i = 0; i < g->count; i++) {
        *g->value[i] = (double)(g->row[i].t ? cross_entropy_row(g, i, smoothing)
                                            : cross_entropy_label(g, i, smoothing));
        if (l->correct)
            *l->correct += (size_t)is_classified(l, g, i);
    }
    g->count = 0;
}

/* Slopes of losses that are linear far from the target: for z below it, and for z above it. */
struct slopes {
    v_real below, above;
};

/* The slopes of quantile for `count` columns from j on, each rounded once to the type. */
INLINE void make_slopes(const double *quantiles, size_t cols, size_t j, size_t count, real *below,
                        real *above)
{
    for (size_t i = 0; i < count; i++) {
        const double q = quantiles ? quantiles[j + i] : (double)(j + i + 1) / (double)(cols + 1);
        below[i] = (real)q;
        above[i] = (real)(1 - q);
    }
}

/* The same as vectors, for `left` columns of a row. */
INLINE struct slopes quantile_slopes(const struct row *r, size_t j, size_t left)
{
    if (r->cols <= FEW_SLOPES)
        return (struct slopes){row_load(r->few->below + j, left),
                               row_load(r->few->above + j, left)};
    real below[V_LANES] = {0}, above[V_LANES] = {0};
    make_slopes(r->quantiles, r->cols, j, left, below, above);
    return (struct slopes){v_load(below), v_load(above)};
}

/* The value of one element of the other losses; its derivative goes to *derivative. */
INLINE v_real element(const cnn_loss_kind kind, v_real z, v_real t, struct slopes slope,
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
        const v_real r = v_sub(z, t), size = v_abs(r), delta = slope.above;
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
    case CNN_ABSOLUTE_ERROR:
    case CNN_QUANTILE: {
        const v_real r = v_sub(z, t), size = v_abs(r);
        const v_real side = v_select(v_lt(v_zero(), r), slope.above, slope.below);
        /* r itself is the derivative if it is 0 or NaN. */
        *derivative = v_select(v_lt(v_zero(), size), v_copysign(side, r), r);
        return v_mul(side, size);
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
                           v_real slope)
{
    v_real derivative;
    const struct slopes slopes =
        kind == CNN_QUANTILE ? quantile_slopes(r, j, left) : (struct slopes){slope, slope};
    const v_real value =
        element(kind, row_load(r->z + j, left), row_load(r->t + j, left), slopes, &derivative);
    if (r->gradient)
        row_store(r->gradient + j, v_mul(derivative, v_set1(r->scale)), left);
    return value;
}

/* The value of a row; `slope` is that of both sides. */
INLINE real element_row(const cnn_loss_kind kind, const struct row *r, real slope)
{
    real sum;
    ROW_SUM(sum, r->cols, j, left, element_term(kind, r, j, left, v_set1(slope)));
    return sum;
}

/* The value of a row of a loss whose elements are independent. */
static real row_value(const cnn_loss_rows *l, const struct row *r)
{
    switch (l->kind) {
    case CNN_BINARY_CROSS_ENTROPY:
        return element_row(CNN_BINARY_CROSS_ENTROPY, r, 0);
    case CNN_HUBER:
        return element_row(CNN_HUBER, r, (real)l->delta);
    case CNN_POISSON:
        return element_row(CNN_POISSON, r, 0);
    case CNN_ABSOLUTE_ERROR:
        return element_row(CNN_ABSOLUTE_ERROR, r, 1);
    case CNN_QUANTILE:
        return element_row(CNN_QUANTILE, r, 0);
    default:
        return element_row(CNN_SQUARED_ERROR, r, 0);
    }
}

/* Whether each binary label is right. */
static int all_labels_are_right(const struct row *r)
{
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

/* The operands of row i. */
INLINE struct row row_of(const cnn_loss_rows *l, const struct few_slopes *few, size_t i)
{
    return (struct row){
        .cols = l->cols,
        .z = (const real *)l->z + i * l->z_row,
        /* Only cross entropy does without. */
        .t = l->kind == CNN_CROSS_ENTROPY && !l->t ? NULL : (const real *)l->t + i * l->t_row,
        .label = l->labels ? l->labels[i] : 0,
        .scale = l->scale ? (real)l->scale[i] : 1,
        .quantiles = l->quantiles,
        .few = few,
        .gradient = l->gradient ? (real *)l->gradient + i * l->gradient_row : NULL,
    };
}

void KERNEL(loss)(const cnn_loss_rows *l)
{
    const size_t together = rows_together(l->cols);
    struct group group = {.count = 0};
    struct few_slopes few;
    if (l->kind == CNN_QUANTILE && l->cols <= FEW_SLOPES)
        make_slopes(l->quantiles, l->cols, 0, l->cols, few.below, few.above);
    for (size_t i = 0; i < l->rows; i++) {
        if (l->weight[i] == 0) {
            weigh_nothing(l, i);
            continue;
        }
        const struct row r = row_of(l, &few, i);
        if (l->kind != CNN_CROSS_ENTROPY) {
            l->loss_rows[i] = (double)row_value(l, &r);
            if (l->correct)
                *l->correct += (size_t)all_labels_are_right(&r);
            continue;
        }
        group.row[group.count] = r;
        group.value[group.count++] = &l->loss_rows[i];
        if (group.count == together)
            cross_entropy_group(l, &group);
    }
    if (group.count > 0)
        cross_entropy_group(l, &group);
}
