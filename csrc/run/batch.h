/*
 * One batch through a network and back: outputs, loss, and the gradient of the loss with respect
 * to each layer's sums (its delta), from which the gradients of weights and biases follow.
 */
#ifndef CNN_BATCH_H
#define CNN_BATCH_H

#include "model/samples.h"
#include "run/inputs.h"

/* Rows of a weight that one task takes: whole tiles and whole panels of every ISA. */
#define CNN_TASK_ROWS ((size_t)96)

/* A part of a weight: rows [i, i + m) and columns [j, j + n) of layer l's. */
typedef struct cnn_rectangle {
    size_t l, i, m, j, n;
} cnn_rectangle;

/* What one dense layer keeps of a batch. Buffers are (capacity, width) with row stride row. */
typedef struct cnn_batch_layer {
    size_t row;
    void *output;     /* h(z), before dropout */
    void *before;     /* z, where the derivative needs it; else NULL */
    void *dropped;    /* output after dropout; else NULL */
    void *delta;      /* gradient with respect to z */
    void *packed;     /* delta in panels for the product with the layer's inputs */
    void *transposed; /* the weight's transpose in panels, for the delta of the layer below */
} cnn_batch_layer;

typedef struct cnn_batch {
    const cnn_network *network;
    size_t capacity, workers;
    uint64_t version; /* of the network's parameters when the layers' `transposed` were packed */
    void *memory;
    cnn_inputs inputs;
    cnn_batch_layer *layers;
    cnn_targets targets;
    double *loss_rows, *scale;
    size_t *correct;        /* counts of rows, a cache line for each worker */
    double *largest;        /* for each worker: of what each layer read, and of its delta */
    size_t rows;            /* of the present batch */
    int64_t step;           /* of the present batch */
    size_t threads;         /* for all work on the present batch, forward, back and update */
    bool in_place;          /* weights are read and changed row-major; else in panels */
    bool keeps_transposed;  /* whether `transposed` of the layers is in use: where a thread takes
                               several blocks of rows, for each of which it would be packed anew */
    void *transposed_parts; /* otherwise some of a weight's transpose, for each worker */
} cnn_batch;

/* Room for batches of up to `capacity` rows on up to `workers` threads. */
cnn_status cnn_batch_create(const cnn_network *network, size_t capacity, size_t workers,
                            cnn_batch **batch);
void cnn_batch_destroy(cnn_batch *batch);

/*
 * Make room in *batch, which may be NULL, for `rows` rows and the present number of threads.
 */
cnn_status cnn_batch_reserve(const cnn_network *network, size_t rows, cnn_batch **batch);

/*
 * What to run: rows index[0], ... or first, first + 1, ... of data; step keys dropout, -1: none.
 * With an index, `soon` rows behind these are going to be the next batch, which then `follows`: by
 * then cnn_inputs_gather_next has been called for all of its rows.
 */
typedef struct cnn_batch_job {
    const cnn_loss *loss;
    const cnn_data *data;
    const size_t *index;
    size_t first, rows, soon;
    int64_t step;
    bool follows;
    bool in_place; /* as cnn_batch_in_place says; the same for all steps of a call */
    bool measure;  /* whether cnn_batch_largest_gradient will be asked for */
} cnn_batch_job;

/*
 * Forward, loss and deltas. *loss is the mean loss with penalties, *weight the sum of weights;
 * *correct is increased.
 */
cnn_status cnn_batch_run(cnn_batch *batch, const cnn_batch_job *job, double *loss, double *weight,
                         size_t *correct);

/* CNN_ERROR_NONFINITE for the first input of the batch just run that is not finite. */
cnn_status cnn_batch_check_inputs(const cnn_batch *batch, const cnn_batch_job *job);

/*
 * The product that gives a part of a weight's gradient, without the L2 term, into c. r.j is a
 * multiple of the panel. Meanwhile the spans in `soon` are fetched into the cache. With `lists`,
 * which are those of cnn_inputs_gradient_lists for its rows, products with 0 are left out.
 */
void cnn_batch_weight_gradient(const cnn_batch *batch, const cnn_rectangle *r, void *c,
                               size_t c_row, const cnn_lists *lists, const cnn_span *soon,
                               size_t soon_count);

/*
 * Whether batches of at most `rows` rows should read the weights in place: where they are one block
 * of rows on one thread, packed forms would be read once for each time they are renewed.
 */
bool cnn_batch_in_place(const cnn_batch *batch, size_t rows);

/*
 * After a batch was run and measured: no number of the loss's gradient with respect to a layer's
 * weight and bias is larger than this, nor any sum on the way to it. Infinite if that is not known.
 */
double cnn_batch_largest_gradient(const cnn_batch *batch, size_t l);

/* What layer l read: (rows, inputs), of the first layer with inputs.row, of others with row. */
const void *cnn_batch_input(const cnn_batch *batch, size_t l);

/* The gradient of layer l's bias. */
void cnn_batch_bias_gradient(const cnn_batch *batch, size_t l, void *out);

/* Bring `transposed` up to date for a part of a weight, which lies on panels. */
void cnn_batch_pack_transposed(const cnn_batch *batch, const cnn_rectangle *r);

#endif
