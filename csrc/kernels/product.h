/* A matrix product on several threads: the output is cut into rectangles, never the sum over k. */
#ifndef CNN_PRODUCT_H
#define CNN_PRODUCT_H

#include "kernels/kernels.h"

/* What is known about a product: any of these together. */
typedef enum cnn_product_how {
    CNN_WITH_SCRATCH = 1, /* the threads' scratch may be used: none of the operands lies there */
    CNN_THREADS_AWAKE = 2 /* the threads share others too, and are awake: less work is worth it */
} cnn_product_how;

/* Run a product whose operands are ready; real_size is the bytes of one element. */
void cnn_product(const cnn_kernels *kernels, size_t real_size, const cnn_gemm *gemm, unsigned how);

/* Elements that a (k, n) matrix takes when packed. */
size_t cnn_packed_span(const cnn_kernels *kernels, size_t k, size_t n);

#endif
