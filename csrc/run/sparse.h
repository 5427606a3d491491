/*
 * Inputs that have many zeros: which products the first layer leaves out. A product with 0 changes
 * a sum of finite numbers by nothing but, at most, the sign of a zero, so that every bit stays; see
 * cnn_sparse_forward_is_exact and cnn_sparse_gradient_is_exact.
 */
#ifndef CNN_SPARSE_H
#define CNN_SPARSE_H

#include "model/network.h"

/* Words in a row of a map of the network's inputs, as kernels->nonzero makes it. */
size_t cnn_map_words(const cnn_network *network);

/* Whether so many rows are looked at before they go forward: a group, or one row if that may pay.
 */
bool cnn_sparse_is_worth_a_look(const cnn_network *network, size_t rows);

/* How many bits of a word are set. */
size_t cnn_count_bits(uint64_t word);

/*
 * Map some rows of inputs, row stride x_row, unless they have too few zeros for lists to pay;
 * return whether they have enough. smallest[i], unless smallest is NULL, becomes the least size of
 * a number in row i that is not 0.
 */
bool cnn_map_rows(const cnn_network *network, size_t rows, const void *x, size_t x_row,
                  uint64_t *map, double *smallest);

/* Bytes of the lists for a product (m, k). */
size_t cnn_lists_bytes(const cnn_network *network, size_t m, size_t k);

/*
 * Lists in such memory: for the product that takes `rows` rows of inputs forward, whose map this
 * is; and for that of rows [first, first + m) of the first weight's gradient.
 */
cnn_lists cnn_lists_of_rows(void *memory, const cnn_network *network, size_t rows,
                            const uint64_t *map);
cnn_lists cnn_lists_of_columns(void *memory, const cnn_network *network, size_t first, size_t m,
                               size_t rows, const uint64_t *map);

/*
 * Whether sums without products by zero give the first layer the same bits: all weights, row-major
 * if `in_place` or else packed, are finite. A zero of either sign plus a bias that is not -0 is the
 * same number. The answer is kept until parameters change; several threads may ask.
 */
bool cnn_sparse_forward_is_exact(const cnn_network *network, bool in_place);

/*
 * Whether they give the first weight's gradient the same bits, delta being (rows, outputs), row
 * stride `row`, and `smallest` that of all rows of inputs: all of delta is finite, and no sum comes
 * so close to 0 that it is rounded to -0, to which a product with 0 may then add a +0.
 */
bool cnn_sparse_gradient_is_exact(const cnn_network *network, size_t rows, const void *delta,
                                  size_t row, const double *smallest);

#endif
