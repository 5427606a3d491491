/* A matrix product on several threads: the output is cut into rectangles, never the sum over k. */
#ifndef CNN_PRODUCT_H
#define CNN_PRODUCT_H

#include "kernels/kernels.h"

/* Flags of a product. */
typedef enum cnn_product_how {
    CNN_WITH_SCRATCH = 1, /* the threads' scratch may be used: none of the operands lies there */
    CNN_THREADS_AWAKE = 2 /* the threads are awake: they share less work too */
} cnn_product_how;

/* Run a product on as many threads as it has work for; real_size is the size of an element. */
void cnn_product(const cnn_kernels *kernels, size_t real_size, const cnn_gemm *gemm, unsigned how);

/* The number of elements of a packed (k, n) matrix, with its padding. */
size_t cnn_packed_span(const cnn_kernels *kernels, size_t k, size_t n);

#endif
