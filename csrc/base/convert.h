/* Reading matrices of any input type and layout into rows of the network's type. */
#ifndef CNN_CONVERT_H
#define CNN_CONVERT_H

#include <stdbool.h>

#include "cnn/cnn.h"

/* Bytes of one element; 0 for a value outside the list. */
size_t cnn_dtype_size(cnn_dtype dtype);

/* Whether numbers of an input type may be NaN or infinite in the network's type: no integer is. */
static inline bool cnn_dtype_has_infinity(cnn_dtype dtype)
{
    return dtype == CNN_FLOAT32 || dtype == CNN_FLOAT64 || dtype == CNN_FLOAT16;
}

/*
 * Convert rows index[0], index[1], ... of `matrix`, or rows first, first + 1, ... if index is NULL,
 * to `out` (count, cols) of type `dtype` (float32 or float64) with row stride out_row in elements.
 * `out` must not overlap the matrix. Each number is rounded once. The caller has checked matrix and
 * index.
 */
void cnn_convert_rows(const cnn_matrix *matrix, const size_t *index, size_t first, size_t count,
                      cnn_dtype dtype, void *out, size_t out_row);

/*
 * Store the addresses of rows index[0], index[1], ... in `out` (count). Returns the length of a row
 * in bytes, or 0 if the elements of a row are not contiguous.
 */
size_t cnn_convert_addresses(const cnn_matrix *matrix, const size_t *index, size_t count,
                             const void **out);

/* Convert the first column of the same rows to int64. A number that is not whole becomes -1. */
void cnn_convert_labels(const cnn_matrix *matrix, const size_t *index, size_t first, size_t count,
                        int64_t *out);

/*
 * Turn `count` numbers of `size` bytes each from the machine's order of bytes into that of model
 * files, the least byte first, or back; `numbers` may have any alignment.
 */
static inline void cnn_convert_order(void *numbers, size_t count, size_t size)
{
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
    unsigned char *at = numbers;
    for (size_t i = 0; i < count; i++, at += size)
        for (size_t b = 0; b < size / 2; b++) {
            const unsigned char byte = at[b];
            at[b] = at[size - 1 - b];
            at[size - 1 - b] = byte;
        }
#else
    (void)numbers;
    (void)count;
    (void)size;
#endif
}

#endif
