/* The optimizers' steps and the sum of squares for the norm of gradients. */
#include <float.h>

#include "kernels/local.h"
#include "kernels/rows.h"

/* The largest finite number. */
#if CNN_BITS == 32
#define LARGEST FLT_MAX
#else
#define LARGEST DBL_MAX
#endif

/* The numbers of a cnn_update, rounded to the type and spread over vectors. */
struct setting {
    v_real l2, clip, rate, momentum, alpha, rest_alpha, rest_beta1, beta2, rest_beta2, eps, decay;
    v_real least; /* see least_step */
};

/*
 * w - rate a / (sqrt(square) + eps). Lanes in which a is too small to change w (least_step) divide
 * zeros instead: roots and quotients take twice as long if a lane has a denormal number, and
 * gradients that have been zero for long leave such numbers in the slots. If no lane can change,
 * the division is skipped (docs/performance/training.md).
 */
INLINE v_real step_by_root(const struct setting *s, v_real a, v_real square, v_real w)
{
    const v_real size = v_min(v_abs(w), v_set1(LARGEST));
    const v_mask small = v_mask_and(v_lt(v_abs(a), v_mul(s->least, size)), v_le(v_zero(), square));
    if (v_all(small))
        return w;
    a = v_select(small, v_zero(), a);
    square = v_select(small, v_zero(), square);
    return v_fnma(s->rate, v_div(a, v_add(v_sqrt(square), s->eps)), w);
}

/* The new w of one vector; the slots are changed in place. `kind` is a constant after inlining. */
INLINE v_real step(const cnn_optimizer_kind kind, const struct setting *s, v_real g, v_real w,
                   v_real *slot0, v_real *slot1)
{
    switch (kind) {
    case CNN_MOMENTUM:
        *slot0 = v_fma(s->momentum, *slot0, g);
        return v_fnma(s->rate, *slot0, w);
    case CNN_NESTEROV:
        *slot0 = v_fma(s->momentum, *slot0, g);
        return v_fnma(s->rate, v_fma(s->momentum, *slot0, g), w);
    case CNN_ADAM:
    case CNN_ADAMW:
        *slot0 = v_fma(s->rest_beta1, v_sub(g, *slot0), *slot0);
        *slot1 = v_fma(v_mul(s->rest_beta2, g), g, v_mul(s->beta2, *slot1));
        if (kind == CNN_ADAMW)
            w = v_mul(w, s->decay);
        return step_by_root(s, *slot0, *slot1, w);
    case CNN_RMSPROP:
        *slot0 = v_fma(v_mul(s->rest_alpha, g), g, v_mul(s->alpha, *slot0));
        return step_by_root(s, g, *slot0, w);
    case CNN_ADAGRAD:
        *slot0 = v_fma(g, g, *slot0);
        return step_by_root(s, g, *slot0, w);
    default:
        return v_fnma(s->rate, g, w);
    }
}

/* Whether a step of this kind takes roots and quotients. */
static int has_root(cnn_optimizer_kind kind)
{
    return kind == CNN_ADAM || kind == CNN_ADAMW || kind == CNN_RMSPROP || kind == CNN_ADAGRAD;
}

_Static_assert(CNN_MAX_SLOTS == 2, "step() and update_vector() have two slots");

/* One row of w, slots and gradient, and the operations on the gradient before the step. */
struct update_row {
    real *w, *slot0, *slot1;
    const real *g;
    v_real factor;
    int with_factor, with_l2, with_clip;
};

/* Store `left` lanes of a vector; the next row may follow without a gap. */
INLINE void store(real *p, v_real v, const size_t left)
{
    if (left == V_LANES)
        v_store(p, v);
    else
        v_store_parts(p, v, left);
}

/* Update the vector from column j on, of which `left` numbers count. */
INLINE void update_vector(const cnn_optimizer_kind kind, const size_t slots,
                          const struct setting *s, const struct update_row *row, size_t j,
                          const size_t left)
{
    v_real g = row_load(row->g + j, left);
    const v_real w = row_load(row->w + j, left);
    v_real a = slots > 0 ? row_load(row->slot0 + j, left) : v_zero();
    v_real b = slots > 1 ? row_load(row->slot1 + j, left) : v_zero();
    if (row->with_factor) /* as a product with one k */
        g = v_fma(row->factor, g, v_zero());
    if (row->with_l2)
        g = v_fma(s->l2, w, g);
    if (row->with_clip)
        g = v_mul(g, s->clip);
    store(row->w + j, step(kind, s, g, w, &a, &b), left);
    if (slots > 0)
        store(row->slot0 + j, a, left);
    if (slots > 1)
        store(row->slot1 + j, b, left);
}

INLINE void update_row(const cnn_optimizer_kind kind, const size_t slots, const struct setting *s,
                       const struct update_row *row, size_t cols)
{
    size_t j = 0;
    for (; j + V_LANES <= cols; j += V_LANES)
        update_vector(kind, slots, s, row, j, V_LANES);
    if (j < cols)
        update_vector(kind, slots, s, row, j, cols - j);
}

/* Whether SGD does not change rows of w for which the factor of a plain gradient is 0. */
static int zeros_change_nothing(const cnn_update *u)
{
    const real lr = (real)u->lr;
    return KERNEL(finite)(1, 1, &lr, 1) && KERNEL(finite)(1, u->cols, u->g, u->cols);
}

/* The bits of those of V_LANES rows, of which `left` are there, whose factor is not 0. */
INLINE unsigned with_factors(const real *factor, size_t left)
{
    return v_bits(v_eq(row_load(factor, left), v_zero())) ^ V_ALL_BITS;
}

/* SGD on the rows whose factor is not 0. Pixels and one-hot columns have many that are. */
INLINE void update_rows_with_factors(const cnn_update *u, const struct setting *s)
{
    const real *const factors = u->factor;
    struct update_row row = {.g = u->g, .with_factor = 1};
    for (size_t first = 0; first < u->rows; first += V_LANES) {
        const size_t left = u->rows - first < V_LANES ? u->rows - first : V_LANES;
        for (unsigned todo = with_factors(factors + first, left); todo; todo &= todo - 1) {
            const size_t i = first + (size_t)__builtin_ctz(todo);
            row.w = (real *)u->w + i * u->w_row;
            row.factor = v_set1(factors[i]);
            update_row(CNN_SGD, 0, s, &row, u->cols);
        }
    }
}

/*
 * Update rows of w and slots by rows of g. All arguments but u and s are constants after inlining;
 * if `plain`, the gradient is used without L2 and clipping.
 */
INLINE void update_rows(const cnn_optimizer_kind kind, const size_t slots, const int with_factor,
                        const int plain, const cnn_update *u, const struct setting *s)
{
    if (kind == CNN_SGD && with_factor && zeros_change_nothing(u)) {
        update_rows_with_factors(u, s);
        return;
    }
    /* Rows without gaps are one long row, which has fewer ends. */
    const int gaps = u->w_row != u->cols || (slots > 0 && u->slot_row != u->cols) ||
                     u->g_row != u->cols || with_factor;
    const size_t rows = gaps ? u->rows : 1, cols = gaps ? u->cols : u->rows * u->cols;
    for (size_t i = 0; i < rows; i++) {
        const struct update_row row = {
            .w = (real *)u->w + i * u->w_row,
            .slot0 = slots > 0 ? (real *)u->slots[0] + i * u->slot_row : NULL,
            .slot1 = slots > 1 ? (real *)u->slots[1] + i * u->slot_row : NULL,
            .g = (const real *)u->g + (with_factor ? 0 : i * u->g_row),
            .factor = v_set1(with_factor ? ((const real *)u->factor)[i] : 1),
            .with_factor = with_factor,
            .with_l2 = !plain && u->l2 != 0,
            .with_clip = !plain && u->clip != 1,
        };
        update_row(kind, slots, s, &row, cols);
    }
}

/*
 * The largest `least` such that |a| < least |w| implies that w - rate a / (root + eps) rounds to w
 * for every root >= 0. The quotient is at most |a| / eps, so it does not overflow, since least <=
 * eps. Rate times the quotient is less than 2^-30 |w|, and 2^-26 |w| would still round to w: each
 * of the roundings in between, also of denormal numbers, at most doubles it. In float64 the bounds
 * are 2^-59 and 2^-55.
 */
static real least_step(double rate, double eps)
{
    const double part = CNN_BITS == 32 ? 0x1p-30 : 0x1p-59;
    return (real)(eps * (part < rate ? part / rate : 1));
}

/* Whether the gradient is used without L2 and clipping; a factor is allowed. */
static int is_plain(const cnn_update *u)
{
    return u->l2 == 0 && u->clip == 1;
}

/* Only plain gradients have a factor. Not inlined: the copies would be large and no faster. */
NOINLINE void update(const cnn_update *u)
{
    const int adam = u->kind == CNN_ADAM || u->kind == CNN_ADAMW;
    /* m / (sqrt(v) / r + eps) = r m / (sqrt(v) + r eps) saves Adam a division. */
    const real eps = (real)(adam ? u->eps * u->root_correction : u->eps);
    const real rate = (real)(adam ? u->step_size * u->root_correction : u->lr);
    const struct setting s = {
        .l2 = v_set1((real)u->l2),
        .clip = v_set1((real)u->clip),
        .rate = v_set1(rate),
        .momentum = v_set1((real)u->momentum),
        .alpha = v_set1((real)u->alpha),
        .rest_alpha = v_set1((real)(1 - u->alpha)),
        .rest_beta1 = v_set1((real)(1 - u->beta1)),
        .beta2 = v_set1((real)u->beta2),
        .rest_beta2 = v_set1((real)(1 - u->beta2)),
        .eps = v_set1(eps),
        .decay = v_set1((real)u->decay),
        .least = v_set1(least_step(rate, eps)),
    };
    switch (u->kind) {
#define CNN_X(constant, value, name, slots, squares)                                               \
    case CNN_##constant:                                                                           \
        if (u->factor)                                                                             \
            update_rows(CNN_##constant, slots, 1, 1, u, &s);                                       \
        else if (is_plain(u))                                                                      \
            update_rows(CNN_##constant, slots, 0, 1, u, &s);                                       \
        else                                                                                       \
            update_rows(CNN_##constant, slots, 0, 0, u, &s);                                       \
        break;
        CNN_OPTIMIZERS(CNN_X)
#undef CNN_X
    default:
        break;
    }
}

/* Numbers of a gradient that are multiplied out at a time: they stay in the L1 cache. */
#define PRODUCT_NUMBERS ((size_t)4096)

/* The part of an update that has rows [i, i + m) and columns [j, j + n). */
static cnn_update part_of(const cnn_update *u, size_t i, size_t m, size_t j, size_t n)
{
    cnn_update part = *u;
    part.rows = m;
    part.cols = n;
    part.w = (real *)u->w + i * u->w_row + j;
    for (size_t s = 0; s < CNN_MAX_SLOTS; s++)
        part.slots[s] = u->slots[s] ? (real *)u->slots[s] + i * u->slot_row + j : NULL;
    return part;
}

/*
 * A column by a row is multiplied out into rows without gaps, as many rows and columns at a time as
 * there is room for: each vector that is stored reaches into the next row, which is stored later.
 */
static void update_product(const cnn_update *u)
{
    real g[PRODUCT_NUMBERS + V_LANES];
    const size_t most_cols = u->cols < PRODUCT_NUMBERS ? u->cols : PRODUCT_NUMBERS;
    const size_t most_rows = PRODUCT_NUMBERS / most_cols;
    for (size_t i = 0; i < u->rows; i += most_rows) {
        const size_t rows = u->rows - i < most_rows ? u->rows - i : most_rows;
        for (size_t j = 0; j < u->cols; j += most_cols) {
            const size_t cols = u->cols - j < most_cols ? u->cols - j : most_cols;
            cnn_update part = part_of(u, i, rows, j, cols);
            for (size_t r = 0; r < rows; r++) {
                const v_real factor = v_set1(((const real *)u->factor)[i + r]);
                for (size_t c = 0; c < cols; c += V_LANES) {
                    const size_t left = cols - c < V_LANES ? cols - c : V_LANES;
                    const v_real row = row_load((const real *)u->g + j + c, left);
                    v_store(g + r * cols + c, v_fma(factor, row, v_zero()));
                }
            }
            part.g = g;
            part.g_row = cols;
            part.factor = NULL;
            update(&part);
        }
    }
}

/*
 * Whether multiplying out is faster, because rows end in a part of a vector: only if the optimizer
 * takes roots and quotients, which cost more than multiplying out.
 */
static int is_worth_a_product(const cnn_update *u)
{
    const int gaps = u->w_row != u->cols || u->slot_row != u->cols;
    return has_root(u->kind) && !gaps && u->cols % V_LANES != 0;
}

void KERNEL(update)(const cnn_update *u)
{
    if (u->factor && (!is_plain(u) || is_worth_a_product(u)))
        update_product(u);
    else
        update(u);
}

double KERNEL(square_sum)(size_t n, const void *x)
{
    const real *p = x;
    double lane[16] = {0};
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        for (size_t l = 0; l < 16; l++)
            lane[l] += (double)p[i + l] * (double)p[i + l];
    for (size_t l = 0; i + l < n; l++)
        lane[l] += (double)p[i + l] * (double)p[i + l];
    for (size_t half = 8; half > 0; half /= 2)
        for (size_t l = 0; l < half; l++)
            lane[l] += lane[l + half];
    return lane[0];
}
