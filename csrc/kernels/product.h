/* A matrix product on several threads: the output is cut into rectangles, never the sum over k. */
#ifndef CNN_PRODUCT_H
#define CNN_PRODUCT_H

#include "kernels/kernels.h"

/* How a product is cut; decided by cnn_plan_product. */
typedef struct cnn_product_plan {
    size_t threads;
    size_t block_rows, block_cols; /* of a rectangle; block_cols is a multiple of the panel */
    size_t row_blocks, col_blocks;
    size_t copy_row; /* elements between lines of a block of a copied side by side; 0: no copy */
} cnn_product_plan;

/*
 * Run a product whose operands are ready; real_size is the bytes of one element. A copy of a block
 * of a lies in the scratch of the thread that works on it, so no operand may lie there.
 */
void cnn_product(const cnn_kernels *kernels, size_t real_size, const cnn_gemm *gemm,
                 const cnn_product_plan *plan);

#endif
