/*
 * The columns stage: features of numbers, categories and what is missing.
 *
 * A number x becomes u = clip((x - mean) / scale), where clip(v) = v / sqrt(1 + (v / bound)^2). A
 * periodic column has further features offset_h + sum_k factor_hk cos(2 pi (u frequency_k +
 * phase_k / (2 pi))), summed by rule 4 of the numerics contract. Gradients of parameters are sums
 * over rows by rule 3. Sequential.to_c writes what it needs of the formulas into headers.
 */
#include "kernels/local.h"
#include "kernels/rows.h"

#define TURN R(6.28318530717958647692528676655900577)
#define OF_TURN R(0.159154943091895335768883763372514362)

/* Columns whose numbers are made at a time. */
#define BUFFER ((size_t)64)

/* What a periodic column has by default. */
#define USUAL_FREQUENCIES ((size_t)16)
#define USUAL_FEATURES ((size_t)3)

/* ---- Numbers ----------------------------------------------------------------------------- */

/* v / sqrt(1 + (v / bound)^2), without overflow: with the smaller of the two over the larger. */
INLINE v_real clip(v_real v, v_real bound)
{
    const v_real a = v_abs(v), one = v_set1(1);
    const v_mask large = v_lt(bound, a);
    const v_real least = v_select(large, bound, a);
    const v_real q = v_div(least, v_select(large, a, bound));
    return v_copysign(v_div(least, v_sqrt(v_fma(q, q, one))), v);
}

/* u of a vector of x, and 0 if x is missing. */
INLINE v_real number_of(v_real x, v_real mean, v_real scale, double bound)
{
    v_real u = v_div(v_sub(x, mean), scale);
    if (bound > 0)
        u = clip(u, v_set1((real)bound));
    return v_select(v_eq(x, x), u, v_zero());
}

/* The numbers of a row from column j on, at most BUFFER of them. */
INLINE void row_numbers(const cnn_columns *c, const real *x, size_t first, size_t count, real *out)
{
    for (size_t j = 0; j < count; j += V_LANES) {
        const size_t left = count - j < V_LANES ? count - j : V_LANES, at = first + j;
        v_real scale = row_load((const real *)c->scale + at, left);
        if (left < V_LANES) /* 0 / 0 is slow on some processors */
            scale = v_first(scale, left, v_set1(1));
        v_store(out + j, number_of(row_load(x + at, left),
                                   row_load((const real *)c->mean + at, left), scale, c->clip));
    }
}

/* The row of the table that belongs to a code; false if it is none. */
INLINE int find_code(size_t categories, real code, size_t *row)
{
    if (!(code >= 0 && code < (real)categories))
        return 0;
    *row = (size_t)code;
    return (real)*row == code;
}

/* ---- Periodic features ------------------------------------------------------------------- */

/* A periodic column's numbers, by their places in its row. */
struct periodic {
    const real *frequency, *phase, *factor, *offset;
};

INLINE struct periodic periodic_of(const cnn_columns *c, const cnn_column_place *place)
{
    const size_t n = c->frequencies;
    const real *at = (const real *)c->periodic + place->first * cnn_periodic_span(n, c->size);
    return (struct periodic){at, at + n, at + 2 * n, at + (c->size + 1) * n};
}

/* Turns of frequencies at u. */
INLINE v_real turns_of(v_real u, v_real frequency, v_real phase)
{
    return v_fma(u, frequency, v_mul(phase, v_set1(OF_TURN)));
}

/* Turns of frequencies k, k + 1, ... at u. */
INLINE v_real column_turns(const struct periodic *p, size_t k, size_t left, v_real u)
{
    return turns_of(u, row_load(p->frequency + k, left), row_load(p->phase + k, left));
}

/* The features of 16 frequencies, the default, whose terms are one for each lane of a sum. */
static void usual_features(const cnn_columns *c, const struct periodic *p, real u, real *y)
{
    v_real cosines[V_SUMS], terms[V_SUMS];
    for (size_t v = 0; v < V_SUMS; v++)
        cosines[v] = v_cos_turns(column_turns(p, v * V_LANES, V_LANES, v_set1(u)));
    for (size_t h = 0; h + 1 < c->size; h++) {
        const real *factor = p->factor + h * USUAL_FREQUENCIES;
        for (size_t v = 0; v < V_SUMS; v++)
            terms[v] = v_add(v_zero(), v_mul(cosines[v], v_load(factor + v * V_LANES)));
        y[h] = v_fold_add(terms) + p->offset[h];
    }
}

static void periodic_features(const cnn_columns *c, const cnn_column_place *place, real u, real *y)
{
    const struct periodic p = periodic_of(c, place);
    const size_t n = c->frequencies;
    real cosines[CNN_MOST_FREQUENCIES + V_LANES];
    if (n == USUAL_FREQUENCIES) {
        usual_features(c, &p, u, y);
        return;
    }
    for (size_t k = 0; k < n; k += V_LANES) {
        const size_t left = n - k < V_LANES ? n - k : V_LANES;
        v_store(cosines + k, v_cos_turns(column_turns(&p, k, left, v_set1(u))));
    }
    for (size_t h = 0; h + 1 < c->size; h++) {
        const real *factor = p.factor + h * n;
        real sum;
        ROW_SUM(sum, n, k, left, v_mul(row_load(cosines + k, left), row_load(factor + k, left)));
        y[h] = sum + p.offset[h];
    }
}

/* What goes back to frequencies k, k + 1, ... from a row's dy of so many features: the derivative
 * by their phases. */
INLINE v_real back_to_phase(const cnn_columns *c, const struct periodic *p, const size_t features,
                            const real *dy, size_t k, size_t left, v_real sine)
{
    v_real g = v_zero();
    UNROLL
    for (size_t h = 0; h < features; h++)
        g = v_fma(row_load(p->factor + h * c->frequencies + k, left), v_set1(dy[h]), g);
    return v_sub(v_zero(), v_mul(sine, g));
}

/* ---- Forward ----------------------------------------------------------------------------- */

/* The features of one column of a row, whose number u is made. */
INLINE void column_features(const cnn_columns *c, const cnn_column_place *place, real x, real u,
                            real *row)
{
    real *y = row + place->feature;
    size_t code = 0;
    switch (place->kind) {
    case CNN_COLUMN_PERIODIC:
        periodic_features(c, place, u, y + 1);
        y[0] = u;
        if (place->missing)
            y[c->size] = x != x;
        break;
    case CNN_COLUMN_NUMBER:
        y[0] = u;
        if (place->missing)
            y[1] = x != x;
        break;
    case CNN_COLUMN_ONE_HOT: {
        const int known = find_code(place->categories, x, &code);
        if (place->categories == 2) {
            y[0] = known ? (code == 0 ? (real)1 : (real)-1) : 0;
            break;
        }
        for (size_t j = 0; j < place->categories; j++)
            y[j] = known && j == code;
        break;
    }
    case CNN_COLUMN_EMBEDDING: {
        const int known = find_code(place->categories, x, &code);
        const real *from = (const real *)c->embedding + (place->first + code) * c->embedding_size;
        for (size_t j = 0; j < c->embedding_size; j++)
            y[j] = known ? from[j] : 0;
        break;
    }
    default:
        break;
    }
}

void KERNEL(columns_forward)(const cnn_columns *c, size_t rows, const void *x, size_t x_row,
                             void *y, size_t y_row)
{
    real u[BUFFER];
    for (size_t i = 0; i < rows; i++) {
        const real *in = (const real *)x + i * x_row;
        real *out = (real *)y + i * y_row;
        for (size_t first = 0; first < c->inputs; first += BUFFER) {
            const size_t count = c->inputs - first < BUFFER ? c->inputs - first : BUFFER;
            row_numbers(c, in, first, count, u);
            for (size_t j = 0; j < count; j++)
                column_features(c, &c->places[first + j], in[first + j], u[j], out);
        }
    }
}

/* ---- Backward ---------------------------------------------------------------------------- */

/* The derivative of a loss by a column's number u. */
static real back_to_number(const cnn_columns *c, const cnn_column_place *place, real u,
                           const real *dy)
{
    if (place->kind != CNN_COLUMN_NUMBER && place->kind != CNN_COLUMN_PERIODIC)
        return 0;
    const real plain = dy[place->feature];
    if (place->kind == CNN_COLUMN_NUMBER)
        return plain;
    const struct periodic p = periodic_of(c, place);
    const size_t n = c->frequencies;
    real terms[CNN_MOST_FREQUENCIES + V_LANES], sum;
    for (size_t k = 0; k < n; k += V_LANES) {
        const size_t left = n - k < V_LANES ? n - k : V_LANES;
        const v_real sine = v_sin_turns(column_turns(&p, k, left, v_set1(u)));
        const v_real d = back_to_phase(c, &p, c->size - 1, dy + place->feature + 1, k, left, sine);
        v_store(terms + k, v_mul(v_mul(d, v_set1(TURN)), row_load(p.frequency + k, left)));
    }
    ROW_SUM(sum, n, k, left, row_load(terms + k, left));
    return plain + sum;
}

/* dy/dx of numbers u = clip((x - mean) / scale) times du, from u: clip'(v) is w sqrt(w) with
 * w = 1 - (u / bound)^2. */
INLINE void row_derivatives(const cnn_columns *c, const real *x, const real *u, const real *du,
                            size_t first, size_t count, real *dx)
{
    for (size_t j = 0; j < count; j += V_LANES) {
        const size_t left = count - j < V_LANES ? count - j : V_LANES, at = first + j;
        const v_real in = row_load(x + at, left);
        v_real scale = row_load((const real *)c->scale + at, left);
        if (left < V_LANES)
            scale = v_first(scale, left, v_set1(1));
        v_real d = v_load(du + j);
        if (c->clip > 0) {
            const v_real q = v_div(v_load(u + j), v_set1((real)c->clip));
            const v_real w = v_max(v_fnma(q, q, v_set1(1)), v_zero());
            d = v_mul(d, v_mul(w, v_sqrt(w)));
        }
        row_store(dx + at, v_select(v_eq(in, in), v_div(d, scale), v_zero()), left);
    }
}

void KERNEL(columns_backward)(const cnn_columns *c, size_t rows, const void *x, size_t x_row,
                              const void *dy, size_t dy_row, void *dx, size_t dx_row)
{
    real u[BUFFER], du[BUFFER] = {0};
    for (size_t i = 0; i < rows; i++) {
        const real *in = (const real *)x + i * x_row, *back = (const real *)dy + i * dy_row;
        for (size_t first = 0; first < c->inputs; first += BUFFER) {
            const size_t count = c->inputs - first < BUFFER ? c->inputs - first : BUFFER;
            row_numbers(c, in, first, count, u);
            for (size_t j = 0; j < count; j++)
                du[j] = back_to_number(c, &c->places[first + j], u[j], back);
            row_derivatives(c, in, u, du, first, count, (real *)dx + i * dx_row);
        }
    }
}

/* ---- Gradients --------------------------------------------------------------------------- */

/* The numbers u of a column for `rows` rows, at most a chunk. */
INLINE void column_numbers(const cnn_columns *c, size_t column, size_t rows, const real *x,
                           size_t x_row, real *out)
{
    const v_real mean = v_set1(((const real *)c->mean)[column]);
    const v_real scale = v_set1(((const real *)c->scale)[column]);
    for (size_t i = 0; i < rows; i++)
        out[i] = x[i * x_row + column];
    for (size_t i = 0; i < rows; i += V_LANES) {
        const size_t left = rows - i < V_LANES ? rows - i : V_LANES;
        v_store(out + i, number_of(row_load(out + i, left), mean, scale, c->clip));
    }
}

/* Add a chunk of rows to the gradients of frequencies k, k + 1, ...; `first` assigns them. */
INLINE void add_frequencies(const cnn_columns *c, const struct periodic *p, const size_t features,
                            size_t k, size_t rows, const real *u, const real *dy, size_t dy_row,
                            int first, real *out)
{
    const size_t n = c->frequencies, left = n - k < V_LANES ? n - k : V_LANES;
    v_real sums[CNN_MOST_PERIODIC + 2];
    UNROLL
    for (size_t s = 0; s < features + 2; s++)
        sums[s] = v_zero();
    for (size_t i = 0; i < rows; i++, dy += dy_row) {
        const v_real number = v_set1(u[i]);
        const v_real turns = column_turns(p, k, left, number);
        const v_real cosine = v_cos_turns(turns);
        const v_real d = back_to_phase(c, p, features, dy, k, left, v_sin_turns(turns));
        sums[0] = v_fma(v_mul(d, v_set1(TURN)), number, sums[0]);
        sums[1] = v_add(sums[1], d);
        UNROLL
        for (size_t h = 0; h < features; h++)
            sums[2 + h] = v_fma(cosine, v_set1(dy[h]), sums[2 + h]);
    }
    for (size_t s = 0; s < features + 2; s++) {
        real *at = out + s * n + k;
        row_store(at, first ? sums[s] : v_add(row_load(at, left), sums[s]), left);
    }
}

void KERNEL(periodic_gradient)(const cnn_columns *c, size_t column, size_t rows, const void *x,
                               size_t x_row, const void *dy, size_t dy_row, void *out)
{
    const cnn_column_place *place = &c->places[column];
    const struct periodic p = periodic_of(c, place);
    const real *back = (const real *)dy + place->feature + 1;
    const size_t n = c->frequencies, features = c->size - 1;
    real u[CNN_CHUNK + V_LANES];
    for (size_t first = 0; first < rows; first += CNN_CHUNK) {
        const size_t count = rows - first < CNN_CHUNK ? rows - first : CNN_CHUNK;
        column_numbers(c, column, count, (const real *)x + first * x_row, x_row, u);
        const real *chunk = back + first * dy_row;
        for (size_t k = 0; k < n; k += V_LANES) {
            if (V_LANES > 1 && features == USUAL_FEATURES) /* whose sums stay in registers */
                add_frequencies(c, &p, USUAL_FEATURES, k, count, u, chunk, dy_row, !first, out);
            else
                add_frequencies(c, &p, features, k, count, u, chunk, dy_row, !first, out);
        }
    }
    KERNEL(column_sum)(rows, features, back, dy_row, (real *)out + (c->size + 1) * n);
}
