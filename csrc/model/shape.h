/* The shape of a network, as far as plans depend on it. */
#ifndef CNN_SHAPE_H
#define CNN_SHAPE_H

#include "base/stride.h"
#include "kernels/kernels.h"

/* The size of a dense layer. */
typedef struct cnn_dense_shape {
    size_t inputs, outputs;
} cnn_dense_shape;

typedef struct cnn_shape {
    size_t real_size;               /* bytes of an element */
    size_t tile_rows, panel, group; /* of the kernels */
    size_t inputs, outputs;         /* of the network */
    size_t widest;                  /* the most outputs of a dense layer */
    size_t parameters;              /* all weights and biases: multiply-adds of one row */
    size_t input_row, hidden_row;   /* elements between rows of inputs, and of outputs */
    size_t longest;                 /* of the pieces in which other tensors than weights change */
    size_t table;                   /* of what such a piece of a table of embeddings takes */
    bool transformed; /* whether the first dense layer reads other numbers than inputs */
    bool missing;     /* whether NaN is an input like another */
    size_t count;     /* dense layers */
    const cnn_dense_shape *dense; /* (count), owned by the network */
} cnn_shape;

static inline cnn_shape cnn_shape_make(const cnn_kernels *kernels, size_t real_size, size_t count,
                                       const cnn_dense_shape *dense)
{
    cnn_shape shape = {
        .real_size = real_size,
        .tile_rows = kernels->tile_rows,
        .panel = kernels->panel,
        .group = kernels->group,
        .inputs = dense[0].inputs,
        .outputs = dense[count - 1].outputs,
        .count = count,
        .dense = dense,
    };
    for (size_t l = 0; l < count; l++) {
        shape.widest = cnn_max(shape.widest, dense[l].outputs);
        shape.parameters += (dense[l].inputs + 1) * dense[l].outputs;
    }
    shape.input_row = cnn_stride_span(shape.inputs, real_size);
    shape.hidden_row = cnn_stride_span(shape.widest, real_size);
    return shape;
}

#endif
