/* A matrix product on several threads: the output is cut into rectangles, never the sum over k. */
#ifndef CNN_PRODUCT_H
#define CNN_PRODUCT_H

#include <stdbool.h>

#include "kernels/kernels.h"

/*
 * Run a product whose operands are ready; real_size is the bytes of one element. With `scratch`,
 * the scratch of each thread that takes part may be used, so none of the operands may lie there.
 */
void cnn_product(const cnn_kernels *kernels, size_t real_size, const cnn_gemm *gemm, bool scratch);

/* Elements that a (k, n) matrix takes when packed. */
size_t cnn_packed_span(const cnn_kernels *kernels, size_t k, size_t n);

#endif
