/* Distances between rows of our own buffers, so that rows do not compete for cache sets. */
#ifndef CNN_STRIDE_H
#define CNN_STRIDE_H

#include <stdbool.h>

#include "base/error.h"

/* Bytes of a cache line. */
#define CNN_LINE ((size_t)64)

/*
 * Whether rows this many bytes apart compete for the same cache sets: an L1 cache has 64 sets of
 * lines, so that rows a multiple of 4 KiB apart share one set, and those 2 KiB apart share two.
 */
static inline bool cnn_stride_conflicts(size_t bytes)
{
    return bytes % 2048 == 0;
}

/* The distance in elements between rows of `cols` elements: whole cache lines, no conflicts. */
static inline size_t cnn_stride_span(size_t cols, size_t element_size)
{
    const size_t line = CNN_LINE / element_size, span = cnn_round_up(cols, line);
    return cnn_stride_conflicts(span * element_size) ? span + line : span;
}

#endif
