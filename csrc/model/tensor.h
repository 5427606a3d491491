/*
 * Parameters as a list of tensors, in the order of the public functions: layer by layer, as
 * CNN_PARAMETERS lists them. Gradients, slots of the optimizer, files and checks walk this list.
 * Behind these come *fixed* tensors, which training leaves as they are: the mean and the scale of a
 * standardize or columns layer. Files and copies of networks walk on over them; all else ends
 * before them.
 */
#ifndef CNN_TENSOR_H
#define CNN_TENSOR_H

#include <string.h>

#include "model/weight.h"

typedef struct cnn_tensor {
    size_t layer; /* index among all layers */
    cnn_parameter kind;
    bool fixed;         /* not trained: no gradient, no slots, not counted as parameters */
    size_t rows, cols;  /* one row if it is no matrix */
    size_t offset;      /* of the first element in memory that is laid out as the parameters */
    double l2;          /* adds l2/2 times the sum of squares to the loss */
    void *values;       /* row-major, in the parameters' memory; of a weight it may be stale */
    cnn_weight *weight; /* the forms of a weight; NULL for other tensors */
} cnn_tensor;

static inline size_t cnn_tensor_count(const cnn_tensor *tensor)
{
    return tensor->rows * tensor->cols;
}

/* Rows of a periodic tensor, each of many formulas, that are a task of training. */
#define CNN_PERIODIC_ROWS ((size_t)4)
/* Numbers of a table of embeddings that change at a time, or a row of it if that is longer. */
#define CNN_TABLE_NUMBERS ((size_t)1024)

/* Numbers of a tensor that is no weight whose gradient is found at a time. */
static inline size_t cnn_tensor_piece(const cnn_tensor *tensor)
{
    if (tensor->kind == CNN_EMBEDDING)
        return cnn_max(CNN_TABLE_NUMBERS, tensor->cols);
    return tensor->kind == CNN_WEIGHT ? 0 : cnn_min(tensor->rows, CNN_PERIODIC_ROWS) * tensor->cols;
}

/*
 * Whether the row-major form of a weight is kept fresh by every step: an L2 penalty is summed in
 * that order.
 */
static inline bool cnn_tensor_keeps_rows(const cnn_tensor *tensor)
{
    return tensor->weight && tensor->l2 > 0;
}

/* Copy the present numbers to `values`, row-major without gaps. Changes nothing. */
static inline void cnn_tensor_read(const cnn_tensor *tensor, size_t real_size, void *values)
{
    if (tensor->weight)
        cnn_weight_read(tensor->weight, values);
    else
        memcpy(values, tensor->values, cnn_tensor_count(tensor) * real_size);
}

#endif
