/*
 * The nonzero index of inputs: a map with a bit for each number that is not 0, and lists of the k's
 * that a product of the first layer needs. A product with 0 changes a sum of finite numbers by
 * nothing but, at most, the sign of a zero. The two functions that end in _is_exact tell if no bit
 * changes.
 */
#ifndef CNN_NONZERO_H
#define CNN_NONZERO_H

#include "model/network.h"

/* Words in a row of a map of `cols` columns. */
static inline size_t cnn_map_words(size_t cols)
{
    return (cols + CNN_MAP_BITS - 1) / CNN_MAP_BITS;
}

/* Bytes of the lists for a product (m, k) whose rows share lists by groups of `group`. */
size_t cnn_lists_bytes(size_t group, size_t m, size_t k);

/* How many bits of a word are set. */
size_t cnn_count_bits(uint64_t word);

/*
 * Map rows of inputs (rows, inputs), row stride x_row, into map (rows, cnn_map_words). Ends early
 * and returns false if groups of rows leave out too few columns for lists to pay.
 * smallest[i], unless smallest is NULL, receives the least size of a number in row i that is not 0.
 */
bool cnn_map_rows(const cnn_network *network, size_t rows, const void *x, size_t x_row,
                  uint64_t *map, double *smallest);

/*
 * Lists in memory of cnn_lists_bytes: for the product that takes `rows` rows of inputs forward,
 * whose map this is; and for that of rows [first, first + m) of the first weight's gradient.
 */
cnn_lists cnn_lists_of_rows(void *memory, const cnn_network *network, size_t rows,
                            const uint64_t *map);
cnn_lists cnn_lists_of_columns(void *memory, const cnn_network *network, size_t first, size_t m,
                               size_t rows, const uint64_t *map);

/*
 * Whether sums without products by zero give the first layer the same bits: all weights, read in
 * this form, are finite, and no bias is -0. A zero of either sign plus such a bias is the same
 * number. The answer is kept until parameters change; several threads may ask.
 */
bool cnn_nonzero_forward_is_exact(const cnn_network *network, cnn_form form);

/*
 * Whether they give the first weight's gradient the same bits, delta being (rows, outputs), row
 * stride `row`, and `smallest` that of all rows of inputs: all of delta is finite, and no sum comes
 * so close to 0 that it is rounded to -0, to which a product with 0 may then add a +0.
 */
bool cnn_nonzero_gradient_is_exact(const cnn_network *network, size_t rows, const void *delta,
                                   size_t row, const double *smallest);

#endif
