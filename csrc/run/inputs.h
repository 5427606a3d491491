/*
 * The inputs of batches: gathered by index and converted, in part while the batch before is still
 * at work, with a nonzero index if they have many zeros.
 */
#ifndef CNN_INPUTS_H
#define CNN_INPUTS_H

#include <stdatomic.h>

#include "base/arena.h"
#include "run/nonzero.h"
#include "run/plan.h"

/* Rows of inputs, row stride cnn_inputs.row, and their nonzero index. */
typedef struct cnn_input_rows {
    void *x;             /* (capacity, inputs); NULL for the next batch if none is gathered ahead */
    uint64_t *map;       /* (capacity, cnn_map_words): where x is not 0 */
    double *smallest;    /* (capacity): the least size of such a number in each row */
    atomic_bool indexed; /* whether map and smallest are made and used */
} cnn_input_rows;

typedef struct cnn_inputs {
    const cnn_network *network;
    size_t row, capacity;
    cnn_input_rows buffers[2];
    unsigned present;         /* the buffer of the present batch; the other is the next one's */
    bool gathered;            /* whether all rows of the present batch were there before it began */
    const cnn_matrix *source; /* of the next batch: its rows index[0], index[1], ... */
    const size_t *index;
    size_t next_rows;  /* 0 for none */
    const void **soon; /* (capacity): the addresses of its rows in source, */
    size_t soon_bytes; /* and their length, or 0 if they are not in one piece */
    char *lists;       /* memory for the lists of each worker */
    size_t lists_bytes;
    size_t *work; /* work[w]: about how many nonzeros are in the columns of words before w */
} cnn_inputs;

static inline cnn_input_rows *cnn_inputs_present(cnn_inputs *inputs)
{
    return &inputs->buffers[inputs->present];
}

/*
 * Lay out memory for batches of up to `capacity` rows on up to `workers` threads; for two batches
 * if inputs are gathered ahead.
 */
void cnn_inputs_lay_out(cnn_inputs *inputs, const cnn_network *network, size_t capacity,
                        size_t workers, bool ahead, cnn_arena *arena);

/*
 * Begin a batch with this plan. `follows` if it is the one that cnn_inputs_find_next named before
 * and cnn_inputs_gather_next was called for all of its rows.
 */
void cnn_inputs_begin(cnn_inputs *inputs, const cnn_plan *plan, bool follows);

/* Note where the next batch is: rows index[0], ... of source; none if rows is 0. */
void cnn_inputs_find_next(cnn_inputs *inputs, const cnn_matrix *source, const size_t *index,
                          size_t rows);

/*
 * Bring rows [first, first + rows) of the present batch in; they are rows index[first], ... of
 * source, or first, ... without an index. Several threads may each bring in other rows.
 */
void cnn_inputs_gather(cnn_inputs *inputs, const cnn_matrix *source, const size_t *index,
                       size_t first, size_t rows);

/* Gather rows [begin, end) of the next batch, if there is room; several threads may take some. */
void cnn_inputs_gather_next(cnn_inputs *inputs, size_t begin, size_t end);

/*
 * Lists for the product that takes rows [first, first + m) of the present batch forward, and for
 * that of rows [first, first + m) of the first weight's gradient, in a worker's memory. Return NULL
 * if the product is to leave nothing out.
 */
const cnn_lists *cnn_inputs_forward_lists(cnn_inputs *inputs, size_t first, size_t m, size_t worker,
                                          cnn_lists *lists);
const cnn_lists *cnn_inputs_gradient_lists(cnn_inputs *inputs, size_t first, size_t m, size_t rows,
                                           size_t worker, cnn_lists *lists);

/* The part of the work on the first weight's gradient that its rows before row i make, as a
 * fraction with the denominator cnn_inputs_work(inputs, all rows). */
size_t cnn_inputs_work(cnn_inputs *inputs, size_t i);

/* Decide by the delta of the first layer, (rows, outputs), if the gradient leaves products out. */
void cnn_inputs_check_delta(cnn_inputs *inputs, size_t rows, const void *delta, size_t row);

#endif
