/* A matrix product on several threads, which share the output, never the sum over k. */
#ifndef CNN_PRODUCT_H
#define CNN_PRODUCT_H

#include "base/error.h"
#include "kernels/kernels.h"

/* How a product is cut; decided by cnn_plan_product. */
typedef struct cnn_product_plan {
    size_t threads;
    size_t block_rows, block_cols; /* of a rectangle; block_cols is a multiple of the panel */
    size_t row_blocks, col_blocks;
} cnn_product_plan;

/* Run a product whose operands are ready; real_size is the bytes of one element. */
void cnn_product(const cnn_kernels *kernels, size_t real_size, const cnn_gemm *gemm,
                 const cnn_product_plan *plan);

/*
 * How a product is cut whose b is not packed; decided by cnn_plan_packing. A strip is a rectangle
 * of c that one thread computes: for each block of k it packs its columns of b, unless they are
 * read where they are, and then takes its rows block by block.
 */
typedef struct cnn_packing_plan {
    size_t threads;
    size_t strip_rows, strip_cols; /* strip_cols is a multiple of the panel */
    size_t row_strips, col_strips;
    size_t block_rows, block_k; /* block_k is a multiple of CNN_CHUNK, or all */
    bool in_place;              /* whole panels of row-major b are not packed */
    size_t copy_row; /* elements between rows of a block of a copied side by side; 0: no copy */
    size_t packed_bytes, worker_bytes; /* of memory for b, and for all, of each thread */
} cnn_packing_plan;

/*
 * The same with b (k, n) as cnn_pack describes it, whose `packed`, b_panel and ahead are not used,
 * as are those of gemm that describe b. Packs and copies in the scratch of the calling thread,
 * where no operand may lie. Fails without memory for that, with c as it was.
 */
cnn_status cnn_product_packing(const cnn_kernels *kernels, size_t real_size, const cnn_gemm *gemm,
                               const cnn_pack *b, const cnn_packing_plan *plan);

#endif
