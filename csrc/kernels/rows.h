/* Sums and maxima along a row, in the order of the numerics contract (rule 4). */
#ifndef CNN_ROWS_H
#define CNN_ROWS_H

#include "kernels/vmath.h"

/* Load or store the first `left` lanes of a vector. */
INLINE v_real row_load(const real *p, size_t left)
{
    return left == V_LANES ? v_load(p) : v_load_partial(p, left);
}
INLINE void row_store(real *p, v_real v, size_t left)
{
    if (left == V_LANES)
        v_store(p, v);
    else
        v_store_partial(p, v, left);
}

/* `largest`, or the vector's number in each lane in which it is larger; `left` lanes count. */
INLINE v_real row_larger(const real *p, size_t left, v_real largest)
{
    if (left == V_LANES)
        return v_max(v_load(p), largest);
    return v_max(v_first(v_load_partial(p, left), left, largest), largest);
}

/* v, with 0 in the lanes in which it equals `left_out`. */
INLINE v_real without(v_real v, v_real left_out)
{
    return v_select(v_eq(v, left_out), v_zero(), v);
}

/* The largest of n > 0 numbers, with -0 as +0, so that its sign does not depend on the order. */
INLINE real row_max(const real *x, size_t n)
{
    const v_real lowest = v_set1(-(real)INFINITY);
    v_real largest[2] = {lowest, lowest};
    size_t j = 0;
    for (; j + 2 * V_LANES <= n; j += 2 * V_LANES) {
        largest[0] = row_larger(x + j, V_LANES, largest[0]);
        largest[1] = row_larger(x + j + V_LANES, V_LANES, largest[1]);
    }
    for (; j < n; j += V_LANES)
        largest[0] = row_larger(x + j, n - j < V_LANES ? n - j : V_LANES, largest[0]);
    return v_fold_max(v_max(largest[0], largest[1])) + 0;
}

/* How many vectors of a row are computed side by side: in one, operations wait for each other. */
#define ROW_BLOCK (V_SUMS > 4 ? V_SUMS : 4)

/* The loop is unrolled to keep them in registers, except the 16 of the scalar kernels. */
#if V_LANES == 1
#define ROW_UNROLL KEEP_LOOP
#else
#define ROW_UNROLL UNROLL
#endif

/*
 * The sum over a row of body(j, left), the terms from column j on, of which `left` count; `left`
 * is V_LANES except in the last vector. Lane l of 16 sums terms l, l + 16, ... in order. Zeros
 * behind the end change nothing, since a sum that starts from +0 is never -0. The statement
 * then(j, left, term) runs for each term, after the terms that are computed side by side with it.
 */
#define ROW_SUM_THEN(total, n, j, left, body, term, then)                                          \
    do {                                                                                           \
        v_real row_sum_lanes[V_SUMS];                                                              \
        for (size_t row_sum_v = 0; row_sum_v < V_SUMS; row_sum_v++)                                \
            row_sum_lanes[row_sum_v] = v_zero();                                                   \
        size_t row_sum_j = 0;                                                                      \
        for (; row_sum_j + ROW_BLOCK * V_LANES <= (n); row_sum_j += ROW_BLOCK * V_LANES) {         \
            v_real row_sum_terms[ROW_BLOCK];                                                       \
            ROW_UNROLL                                                                             \
            for (size_t row_sum_v = 0; row_sum_v < ROW_BLOCK; row_sum_v++) {                       \
                const size_t j = row_sum_j + row_sum_v * V_LANES, left = V_LANES;                  \
                row_sum_terms[row_sum_v] = (body);                                                 \
            }                                                                                      \
            ROW_UNROLL                                                                             \
            for (size_t row_sum_v = 0; row_sum_v < ROW_BLOCK; row_sum_v++) {                       \
                const size_t j = row_sum_j + row_sum_v * V_LANES, left = V_LANES;                  \
                const v_real term = row_sum_terms[row_sum_v];                                      \
                (void)j, (void)left;                                                               \
                row_sum_lanes[row_sum_v % V_SUMS] =                                                \
                    v_add(row_sum_lanes[row_sum_v % V_SUMS], term);                                \
                then;                                                                              \
            }                                                                                      \
        }                                                                                          \
        KEEP_LOOP                                                                                  \
        for (size_t row_sum_v = 0; row_sum_j < (n); row_sum_v++, row_sum_j += V_LANES) {           \
            const size_t j = row_sum_j, left = (n) - j < V_LANES ? (n) - j : V_LANES;              \
            const v_real term = (body);                                                            \
            row_sum_lanes[row_sum_v % V_SUMS] =                                                    \
                v_add(row_sum_lanes[row_sum_v % V_SUMS], v_first(term, left, v_zero()));           \
            then;                                                                                  \
        }                                                                                          \
        (total) = v_fold_add(row_sum_lanes);                                                       \
    } while (0)
#define ROW_SUM(total, n, j, left, body)                                                           \
    ROW_SUM_THEN(total, n, j, left, body, row_sum_term, (void)row_sum_term)

/* The bytes of rows that are looked at again while they are in the L1 cache. */
#define ROWS_BYTES ((size_t)8 * 1024)

/* How many rows are taken together: the logarithms of their sums are those of one vector. */
INLINE size_t rows_together(size_t cols)
{
    const size_t rows = ROWS_BYTES / sizeof(real) / cols;
    return rows < 1 ? 1 : rows < V_LANES ? rows : V_LANES;
}

/* Rows of at most this many columns stay in registers, several at once: a single row mostly waits
 * for its own maximum and sum. */
#define FEW_COLUMNS ((size_t)16)
#define FEW_ROWS ((size_t)4)

#if V_SUMS <= 2
/* The last vector of a row, of which `left` numbers count; the others are -inf for the maximum. */
INLINE v_real last_vector(const real *x, size_t left)
{
    return v_first(v_load_partial(x, left), left, v_set1(-(real)INFINITY));
}

/*
 * e = exp(x - max) for rows of at most 16 columns, with zeros behind them, and their largest
 * numbers, with -0 as +0. The last of a row's `vectors` may be partial.
 */
INLINE void exp_few(const size_t rows, const size_t vectors, size_t cols, const real *const *x,
                    v_real e[][V_SUMS], real *max)
{
    const size_t last = vectors - 1, left = cols - last * V_LANES;
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        v_real largest = v_set1(-(real)INFINITY);
        UNROLL
        for (size_t v = 0; v < vectors; v++) {
            const real *at = x[r] + v * V_LANES;
            e[r][v] = v < last ? v_load(at) : last_vector(at, left);
            largest = v_max(e[r][v], largest);
        }
        max[r] = v_fold_max(largest) + 0;
        UNROLL
        for (size_t v = 0; v < V_SUMS; v++)
            e[r][v] = v < vectors ? v_sub(e[r][v], v_set1(max[r])) : v_zero();
    }
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        UNROLL
        for (size_t v = 0; v < vectors; v++)
            e[r][v] = v_exp_nonpositive(e[r][v]);
        e[r][last] = v_first(e[r][last], left, v_zero());
    }
}

/* Where rows of at most 16 columns put what is known of them: `rest` and `kept` may be NULL. */
struct few_sums {
    real *max;
    real *sum;  /* of exp(x - max) */
    real *rest; /* of those of these terms that are not 1 */
    real *kept; /* (rows, 16), the terms, with zeros behind them */
};

/* Fill them in for rows of at most 16 columns (softmax.c). */
void KERNEL(sum_narrow)(size_t rows, size_t cols, const real *const *x, const struct few_sums *to);
#endif

/* The number of elements of a row before the first address that is aligned for v_stream. */
INLINE size_t row_head(const real *p, size_t n)
{
    const size_t bytes = V_LANES * sizeof(real);
    const size_t head = (bytes - (uintptr_t)p % bytes) % bytes / sizeof(real);
    return head < n ? head : n;
}

/* Store a whole vector. If `stream`, it bypasses the caches, and p must be aligned. */
INLINE void row_put(real *p, v_real v, int stream)
{
    if (stream)
        v_stream(p, v);
    else
        v_store(p, v);
}

#endif
