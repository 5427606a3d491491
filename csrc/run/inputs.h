/*
 * The inputs of a batch: gathered, in part while the batch before it is still at work, and mapped
 * where they have many zeros.
 */
#ifndef CNN_INPUTS_H
#define CNN_INPUTS_H

#include "base/arena.h"
#include "run/sparse.h"

/* Rows of inputs, row stride cnn_inputs.row, and what is known about their zeros. */
typedef struct cnn_input_rows {
    void *x;
    uint64_t *map;      /* where they are not 0, */
    double *smallest;   /* and the least size of such a number in each row, */
    atomic_bool *dense; /* unless they have few zeros, or are too few rows */
} cnn_input_rows;

typedef struct cnn_inputs {
    const cnn_network *network;
    size_t row, capacity;
    cnn_input_rows present;
    bool gathered;       /* whether all its rows were there before the step began */
    cnn_input_rows next; /* as far as they are gathered; x is NULL if they are too large for that */
    const cnn_matrix *source; /* where they are: rows index[0], index[1], ... */
    const size_t *index;
    size_t next_rows;  /* 0 for none */
    const void **soon; /* their addresses, */
    size_t soon_bytes; /* and length, or 0 if they are not in one piece */
    char *lists;       /* memory for lists, for each worker */
    size_t lists_bytes;
    size_t *work; /* work[w]: about how many numbers in the columns of words before w are not 0 */
} cnn_inputs;

/*
 * Lay out memory for batches of up to `capacity` rows on up to `workers` threads, whose products
 * take up to block_rows rows forward and up to task_rows rows of the weight's gradient.
 */
void cnn_inputs_lay_out(cnn_inputs *inputs, const cnn_network *network, size_t capacity,
                        size_t workers, size_t block_rows, size_t task_rows, cnn_arena *arena);

/*
 * Begin a batch of `rows` rows, which `follows` the one before it if that has gathered it. Weights
 * are read as `in_place` says.
 */
void cnn_inputs_begin(cnn_inputs *inputs, size_t rows, bool follows, bool in_place);

/* Note where the batch behind this one is: rows index[0], ... of source; none if rows is 0. */
void cnn_inputs_find_next(cnn_inputs *inputs, const cnn_matrix *source, const size_t *index,
                          size_t rows);

/*
 * Bring rows [first, first + rows) of the present batch in; they are rows index[first], ... or
 * start + first, ... of source.
 */
void cnn_inputs_gather(const cnn_inputs *inputs, const cnn_matrix *source, const size_t *index,
                       size_t start, size_t first, size_t rows);

/* Gather rows [begin, end) of the next batch, if there is room; several threads may take some. */
void cnn_inputs_gather_next(const cnn_inputs *inputs, size_t begin, size_t end);

/*
 * Lists for the product that takes rows [first, first + m) of the present batch forward, and for
 * that of rows [first, first + m) of the first weight's gradient, in a worker's memory. Return NULL
 * where the product is to leave nothing out.
 */
const cnn_lists *cnn_inputs_forward_lists(const cnn_inputs *inputs, size_t first, size_t m,
                                          size_t worker, cnn_lists *lists);
const cnn_lists *cnn_inputs_gradient_lists(const cnn_inputs *inputs, size_t first, size_t m,
                                           size_t rows, size_t worker, cnn_lists *lists);

/* The part of the work on the first weight's gradient that its rows before row i make, as a
 * fraction with the denominator cnn_inputs_work(inputs, all rows). */
size_t cnn_inputs_work(const cnn_inputs *inputs, size_t i);

/* Look at the delta of the first layer, (rows, outputs), before the gradient's products. */
void cnn_inputs_check_delta(const cnn_inputs *inputs, size_t rows, const void *delta, size_t row);

#endif
