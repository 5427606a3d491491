/* Softmax and log-softmax of rows, and the gradient of softmax. */
#include "kernels/local.h"
#include "kernels/rows.h"

/* The longest row whose exponentials are kept in a buffer until they are divided. */
#define LONGEST ((size_t)16 * 1024 / sizeof(real))

/* y = e / sum for a row of exponentials e; the whole vectors of [done, end) are not yet divided. */
struct division {
    size_t done, end;
    const real *e;
    real *y, sum;
    int stream;
};

/* Divide `n` numbers, at most a vector, from column j on. */
INLINE void divide_some(const struct division *d, size_t j, size_t n)
{
    if (n > 0)
        v_store_partial(d->y + j, v_div(v_load_partial(d->e + j, n), v_set1(d->sum)), n);
}

/* Divide the ends of a row: partial vectors, and numbers before y is aligned for streams. */
INLINE struct division begin_division(size_t cols, const real *e, real sum, real *y, int stream)
{
    const size_t head = stream ? row_head(y, cols) : 0, tail = (cols - head) % V_LANES;
    const struct division d = {head, cols - tail, e, y, sum, stream};
    divide_some(&d, 0, head);
    divide_some(&d, d.end, tail);
    return d;
}

/* Divide one more vector, if one is left. */
INLINE void divide_vector(struct division *d)
{
    if (d->done == d->end)
        return;
    row_put(d->y + d->done, v_div(v_load(d->e + d->done), v_set1(d->sum)), d->stream);
    d->done += V_LANES;
}

/*
 * Store exp(x - max) in e and return the sum. A row with NaN or +inf, or all -inf, has the sum NaN,
 * which then reaches every output. In the same loop the row before is divided, the largest number
 * of the row at `next` is found, and the row at `soon` is prefetched, so that the divider, the
 * adders and the memory are busy. The division stays some vectors ahead of the stores to e, so that
 * e may be the array that it reads, even if vectors of e and of the row before begin at different
 * offsets.
 */
INLINE real exp_row(size_t cols, const real *x, real max, const real *next, real *next_max,
                    uintptr_t soon, real *e, struct division *before)
{
    const v_real maximum = v_set1(max);
    v_real largest = v_set1(-(real)INFINITY);
    real sum;
    for (size_t v = 0; v < ROW_BLOCK; v++)
        divide_vector(before);
    ROW_SUM_THEN(sum, cols, j, left, v_exp_nonpositive(v_sub(row_load(x + j, left), maximum)), term,
                 {
                     divide_vector(before);
                     row_store(e + j, term, left);
                     largest = row_larger(next + j, left, largest);
                     PREFETCH(soon + j * sizeof(real));
                 });
    *next_max = v_fold_max(largest) + 0;
    return sum;
}

#if V_SUMS <= 2
/* softmax of `rows` rows of at most 16 columns, with gaps between them or too few for a block. */
INLINE void softmax_few(const size_t rows, const size_t vectors, size_t cols, const real *x,
                        size_t x_row, real *y, size_t y_row)
{
    const size_t last = vectors - 1, left = cols - last * V_LANES;
    const real *in[FEW_ROWS];
    real max[FEW_ROWS];
    v_real e[FEW_ROWS][V_SUMS], sum[FEW_ROWS];
    UNROLL
    for (size_t r = 0; r < rows; r++)
        in[r] = x + r * x_row;
    exp_few(rows, vectors, cols, in, e, max);
    UNROLL
    for (size_t r = 0; r < rows; r++)
        sum[r] = v_set1(v_fold_add(e[r]));
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        real *at = y + r * y_row;
        UNROLL
        for (size_t v = 0; v < last; v++)
            v_store(at + v * V_LANES, v_div(e[r][v], sum[r]));
        v_store_partial(at + last * V_LANES, v_div(e[r][last], sum[r]), left);
    }
}

/*
 * A block is V_LANES rows of at most 16 columns without gaps. It has as many whole vectors as a row
 * has columns, so that exp and the division waste no lanes. Folding a block gives a vector whose
 * lane r belongs to row r (docs/performance/activations.md).
 */

/* The operation of folding: the sum if `add`, else the larger number, b if a is a NaN. */
INLINE v_real fold(const int add, v_real a, v_real b)
{
    return add ? v_add(a, b) : v_max(a, b);
}

/*
 * The sums or maxima of a block's rows, one in each lane: lanes l and l + n of V_LANES vectors are
 * folded until n is 1. A NaN may hide other numbers of its row from the maximum, but the results of
 * that row are NaN anyway.
 */
INLINE v_real block_fold(const int add, const size_t vectors, size_t cols, const real *x)
{
    const size_t last = vectors - 1, left = cols - last * V_LANES;
    v_real a[V_LANES];
    UNROLL
    for (size_t r = 0; r < V_LANES; r++, x += cols) {
        v_real *const to = &a[V_FOLDED(r)];
        if (add)
            *to = v_load_partial(x + last * V_LANES, left);
        else
            *to = last_vector(x + last * V_LANES, left);
        if (last > 0)
            *to = fold(add, v_load(x), *to);
    }
    UNROLL
    for (size_t n = V_LANES / 2; n >= 1; n /= 2) {
        UNROLL
        for (size_t i = 0; i < n; i++) {
            const v_real even = v_even(a[2 * i], a[2 * i + 1], n);
            const v_real odd = v_odd(a[2 * i], a[2 * i + 1], n);
            a[i] = fold(add, even, odd);
        }
    }
    return a[0];
}

/* The maxima of a block's rows, with -0 as +0. */
INLINE v_real block_max(const size_t vectors, size_t cols, const real *x)
{
    return v_add(block_fold(0, vectors, cols, x), v_zero());
}

/* The row of each number of a block, for v_lookup: number p is in row floor(p / cols). */
INLINE void find_rows(size_t cols, v_int *row_of)
{
    static const real lanes[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    const v_real half = v_set1(R(0.5)), each = v_set1(1 / (real)cols);
    v_real middle = v_add(v_load(lanes), half);
    for (size_t v = 0; v < cols; v++) {
        /* (p + 1/2) / cols - 1/2 rounds to the row, and is far from a tie. */
        const v_real row = v_sub(v_mul(middle, each), half);
        row_of[v] = v_as_int(v_add(row, v_set1(VM_SHIFTER)));
        middle = v_add(middle, v_set1(V_LANES));
    }
}

/* exp(x - max) for `n` vectors of a block, side by side. */
INLINE void block_exp(const size_t n, const real *x, v_real max, const v_int *row_of, real *e)
{
    v_real terms[V_STREAMS];
    UNROLL
    for (size_t v = 0; v < n; v++)
        terms[v] = v_exp_nonpositive(v_sub(v_load(x + v * V_LANES), v_lookup(max, row_of[v])));
    UNROLL
    for (size_t v = 0; v < n; v++)
        v_store(e + v * V_LANES, terms[v]);
}

/*
 * softmax of blocks, as a pipeline: in one step, a block's exponentials are computed, the maxima of
 * the next block are found, the block before is summed, and the block before that is divided. No
 * stage waits for another one, or for stores of rows to be loaded as vectors.
 */
INLINE void softmax_blocks(size_t blocks, const size_t vectors, size_t cols, const real *x, real *y)
{
    const size_t block = V_LANES * cols;
    v_int row_of[16];
    find_rows(cols, row_of);
    v_real max = block_max(vectors, cols, x), sum = v_zero();
    for (size_t i = 0; i < blocks + 2; i++) {
        if (i < blocks) {
            const real *in = x + i * block;
            real *e = y + i * block;
            size_t v = 0;
            KEEP_LOOP
            for (; v + V_STREAMS <= cols; v += V_STREAMS)
                block_exp(V_STREAMS, in + v * V_LANES, max, row_of + v, e + v * V_LANES);
            KEEP_LOOP
            for (; v < cols; v++)
                block_exp(1, in + v * V_LANES, max, row_of + v, e + v * V_LANES);
            if (i + 1 < blocks)
                max = block_max(vectors, cols, in + block);
        }
        if (i >= 2) {
            real *e = y + (i - 2) * block;
            KEEP_LOOP
            for (size_t v = 0; v < cols; v++) {
                real *at = e + v * V_LANES;
                v_store(at, v_div(v_load(at), v_lookup(sum, row_of[v])));
            }
        }
        if (i >= 1 && i <= blocks)
            sum = block_fold(1, vectors, cols, y + (i - 1) * block);
    }
}

/* softmax of all rows, if they have at most 16 columns. */
INLINE void softmax_narrow(size_t rows, const size_t vectors, size_t cols, const real *x,
                           size_t x_row, real *y, size_t y_row)
{
    size_t i = 0;
    if (rows >= V_LANES && x_row == cols && y_row == cols) {
        i = rows / V_LANES * V_LANES;
        softmax_blocks(rows / V_LANES, vectors, cols, x, y);
    }
    for (; i + FEW_ROWS <= rows; i += FEW_ROWS)
        softmax_few(FEW_ROWS, vectors, cols, x + i * x_row, x_row, y + i * y_row, y_row);
    for (; i < rows; i++)
        softmax_few(1, vectors, cols, x + i * x_row, x_row, y + i * y_row, y_row);
}
#endif

void KERNEL(softmax_forward)(size_t rows, size_t cols, const void *x, size_t x_row, void *y,
                             size_t y_row, int stream)
{
    const real *in = x;
    real *out = y, kept[LONGEST];
#if V_SUMS <= 2
    if (cols <= V_LANES) {
        softmax_narrow(rows, 1, cols, in, x_row, out, y_row);
        return;
    }
    if (cols <= V_SUMS * V_LANES) {
        softmax_narrow(rows, V_SUMS, cols, in, x_row, out, y_row);
        return;
    }
#endif
    const int keep = cols <= LONGEST;
    struct division before = {.done = 0};
    real max = rows > 0 ? row_max(in, cols) : 0;
    for (size_t i = 0; i < rows; i++, in += x_row, out += y_row) {
        real *e = keep ? kept : out;
        const real *next = i + 1 < rows ? in + x_row : in;
        const uintptr_t soon = (uintptr_t)next + x_row * sizeof(real);
        const real sum = exp_row(cols, in, max, next, &max, soon, e, &before);
        before = begin_division(cols, e, sum, out, stream && keep);
    }
    while (before.done < before.end)
        divide_vector(&before);
    if (stream)
        v_stream_end();
}

/* y (dy - p) for a vector from column j on, of which `left` numbers count. */
INLINE v_real softmax_gradient(const real *dy, const real *y, size_t j, size_t left, v_real p)
{
    return v_mul(row_load(y + j, left), v_sub(row_load(dy + j, left), p));
}

void KERNEL(softmax_backward)(size_t rows, size_t cols, const void *dy, size_t dy_row,
                              const void *y, size_t y_row, void *dx, size_t dx_row, int stream)
{
    for (size_t i = 0; i < rows; i++) {
        const real *d = (const real *)dy + i * dy_row;
        const real *out = (const real *)y + i * y_row;
        real *to = (real *)dx + i * dx_row;
        real product;
        ROW_SUM(product, cols, j, left, v_mul(row_load(d + j, left), row_load(out + j, left)));
        const v_real p = v_set1(product);
        size_t j = stream ? row_head(to, cols) : 0;
        if (j > 0)
            v_store_partial(to, softmax_gradient(d, out, 0, j, p), j);
        for (; j + V_LANES <= cols; j += V_LANES)
            row_put(to + j, softmax_gradient(d, out, j, V_LANES, p), stream);
        if (j < cols)
            v_store_partial(to + j, softmax_gradient(d, out, j, cols - j, p), cols - j);
    }
    if (stream)
        v_stream_end();
}

#if V_SUMS <= 2
INLINE void sum_few(const size_t rows, const size_t vectors, size_t cols, const real *const *x,
                    const struct few_sums *to)
{
    v_real e[FEW_ROWS][V_SUMS];
    exp_few(rows, vectors, cols, x, e, to->max);
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        to->sum[r] = v_fold_add(e[r]);
        UNROLL
        for (size_t v = 0; v < vectors; v++) {
            if (to->kept)
                v_store(to->kept + r * FEW_COLUMNS + v * V_LANES, e[r][v]);
            e[r][v] = without(e[r][v], v_set1(1));
        }
        if (to->rest)
            to->rest[r] = v_fold_add(e[r]);
    }
}

/* The sums of any number of rows of at most 16 columns. */
INLINE void sum_rows_of(size_t rows, const size_t vectors, size_t cols, const real *const *x,
                        struct few_sums to)
{
    size_t step;
    for (size_t i = 0; i < rows; i += step) {
        step = rows - i < FEW_ROWS ? 1 : FEW_ROWS;
        if (step == 1)
            sum_few(1, vectors, cols, x + i, &to);
        else
            sum_few(FEW_ROWS, vectors, cols, x + i, &to);
        to.max += step;
        to.sum += step;
        if (to.rest)
            to.rest += step;
        if (to.kept)
            to.kept += step * FEW_COLUMNS;
    }
}
void KERNEL(sum_narrow)(size_t rows, size_t cols, const real *const *x, const struct few_sums *to)
{
    if (cols <= V_LANES)
        sum_rows_of(rows, 1, cols, x, *to);
    else
        sum_rows_of(rows, V_SUMS, cols, x, *to);
}
#endif

/* The largest number of each row, and the sum of its exp(x - max). */
INLINE void sum_exponentials(size_t rows, size_t cols, const real *const *x, real *max, real *sum)
{
#if V_SUMS <= 2
    if (cols <= FEW_COLUMNS) {
        KERNEL(sum_narrow)(rows, cols, x, &(struct few_sums){.max = max, .sum = sum});
        return;
    }
#endif
    for (size_t i = 0; i < rows; i++) {
        max[i] = row_max(x[i], cols);
        const v_real maximum = v_set1(max[i]);
        ROW_SUM(sum[i], cols, j, left, v_exp_nonpositive(v_sub(row_load(x[i] + j, left), maximum)));
    }
}

/* y = x - max - log(sum of exp(x - max)) for `rows` rows at most a vector has lanes. */
INLINE void log_softmax_rows(size_t rows, size_t cols, const real *x, size_t x_row, real *y,
                             size_t y_row)
{
    real max[V_LANES], sum[V_LANES] = {0};
    const real *in[V_LANES];
    for (size_t i = 0; i < rows; i++)
        in[i] = x + i * x_row;
    sum_exponentials(rows, cols, in, max, sum);
    v_store(sum, v_log(v_load(sum)));
    for (size_t i = 0; i < rows; i++) {
        const v_real maximum = v_set1(max[i]), log_sum = v_set1(sum[i]);
        for (size_t j = 0; j < cols; j += V_LANES) {
            const size_t left = cols - j < V_LANES ? cols - j : V_LANES;
            const v_real shifted = v_sub(row_load(in[i] + j, left), maximum);
            row_store(y + i * y_row + j, v_sub(shifted, log_sum), left);
        }
    }
}

void KERNEL(log_softmax_forward)(size_t rows, size_t cols, const void *x, size_t x_row, void *y,
                                 size_t y_row)
{
    const size_t together = rows_together(cols);
    for (size_t i = 0; i < rows; i += together)
        log_softmax_rows(rows - i < together ? rows - i : together, cols,
                         (const real *)x + i * x_row, x_row, (real *)y + i * y_row, y_row);
}
