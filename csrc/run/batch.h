/*
 * One batch through a network and back: outputs, loss, and the gradient of the loss with respect to
 * each dense stage's sums (its delta), from which the gradients of the parameters follow.
 */
#ifndef CNN_BATCH_H
#define CNN_BATCH_H

#include "run/inputs.h"
#include "run/samples.h"
#include "run/walk.h"

typedef struct cnn_batch {
    const cnn_network *network;
    size_t capacity, workers;
    void *memory;
    cnn_inputs inputs;
    cnn_stage_memory *stages;
    cnn_targets targets;
    double *loss_rows, *scale;
    size_t *counters; /* of each worker, on a cache line: rows that are correct, not finite */
    double *largest;  /* of each worker: for each stage, of what it read, and of its delta */
    void *scratch;    /* of each worker: cnn_stage_scratch elements */
    cnn_machine machine;
    cnn_plan plan; /* of the present batch */
    uint64_t seed;
    int64_t step;
    double dropout; /* what rates are multiplied by */
} cnn_batch;

/* Numbers of `largest` for each worker: whole cache lines. */
static inline size_t cnn_batch_largest_span(const cnn_network *network)
{
    return cnn_round_up(2 * network->stage_count, CNN_LINE / sizeof(double));
}

/* Room for batches of up to `capacity` rows on up to machine->threads threads. */
cnn_status cnn_batch_create(const cnn_network *network, const cnn_machine *machine, size_t capacity,
                            cnn_batch **batch);
void cnn_batch_destroy(cnn_batch *batch);

/* Make room in *batch, which may be NULL, for `rows` rows and the present number of threads. */
cnn_status cnn_batch_reserve(const cnn_network *network, size_t rows, cnn_batch **batch);

/* What a stage read in the present batch: (rows, inputs), *row elements apart. */
const void *cnn_batch_input(const cnn_batch *batch, const cnn_stage *stage, size_t *row);

/* How the present batch passed a stage. */
cnn_passed cnn_batch_passed(const cnn_batch *batch, const cnn_stage *stage);

#endif
