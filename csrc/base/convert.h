/* Reading matrices of any input type and layout into rows of the network's type. */
#ifndef CNN_CONVERT_H
#define CNN_CONVERT_H

#include <stdbool.h>

#include "cnn/cnn.h"

/* Bytes of one element; 0 for a value outside the list. */
size_t cnn_dtype_size(cnn_dtype dtype);

/* Whether numbers of an input type may be NaN or infinite in the network's: not those of integers.
 */
static inline bool cnn_dtype_has_infinity(cnn_dtype dtype)
{
    return dtype == CNN_FLOAT32 || dtype == CNN_FLOAT64 || dtype == CNN_FLOAT16;
}

/*
 * out (count, cols) of type `dtype` (float32 or float64), row stride out_row, receives rows
 * index[0], index[1], ... of `matrix`; or rows first, first + 1, ... where index is NULL.
 */
void cnn_convert_rows(const cnn_matrix *matrix, const size_t *index, size_t first, size_t count,
                      cnn_dtype dtype, void *out, size_t out_row);

/*
 * Where rows index[0], index[1], ... begin, into out (count). Returns their length in bytes, or 0
 * where a row is not in one piece.
 */
size_t cnn_convert_addresses(const cnn_matrix *matrix, const size_t *index, size_t count,
                             const void **out);

/* The first column of the same rows as int64; a number that is not whole becomes -1. */
void cnn_convert_labels(const cnn_matrix *matrix, const size_t *index, size_t first, size_t count,
                        int64_t *out);

#endif
