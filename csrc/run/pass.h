/* A batch forward and back: what is run, and what is known afterwards. */
#ifndef CNN_PASS_H
#define CNN_PASS_H

#include "run/batch.h"

/*
 * What to run: rows index[0], ..., or without an index the first rows, of data; step keys dropout,
 * -1: none. With an index, the `soon` rows after these are the next batch, which then `follows`: by
 * then cnn_inputs_gather_next has been called for all of its rows.
 *
 * With shard_seed, the rows are those of a shard, whose loss and deltas will be added to those of
 * others: they are sums over the rows, not means, without penalties, and this seed keys dropout.
 */
typedef struct cnn_batch_job {
    const cnn_loss *loss; /* NULL for forward alone */
    const cnn_data *data;
    const size_t *index;
    size_t rows, soon;
    int64_t step;
    double dropout;             /* what rates of dropout are multiplied by */
    const uint64_t *shard_seed; /* NULL: the rows are a whole batch */
    bool follows;
    bool measure;          /* whether cnn_batch_largest_gradient will be asked for */
    cnn_training training; /* the same for all steps of a call */
} cnn_batch_job;

/*
 * Forward, loss and deltas. *loss is the mean loss with penalties, of a shard the sum of losses;
 * *weight is the sum of weights; *correct is increased. Weights are read in the form of
 * batch->plan, which must be fresh.
 */
cnn_status cnn_batch_run(cnn_batch *batch, const cnn_batch_job *job, double *loss, double *weight,
                         size_t *correct);

/*
 * The two halves without a loss. Forward takes of the job's data x alone, and rows from 0 on; the
 * outputs stay in the batch. Then any number of ways back, each of which begins with the gradient
 * dy with respect to the outputs (rows, outputs) and makes deltas, and, unless dx is NULL, the
 * gradient with respect to the inputs (rows, inputs).
 */
void cnn_batch_forward(cnn_batch *batch, const cnn_batch_job *job);
void cnn_batch_back(cnn_batch *batch, const cnn_matrix *dy, void *dx, size_t dx_row);

/* CNN_ERROR_NONFINITE for the first input of the batch just run that is not finite. */
cnn_status cnn_batch_check_inputs(cnn_batch *batch, const cnn_batch_job *job);

/*
 * After a batch was run and measured: no number of the loss's gradient with respect to the tensors
 * of a stage is larger than this, nor any sum on the way to it. Infinite if not known, as of a
 * stage that is not dense.
 */
double cnn_batch_largest_gradient(const cnn_batch *batch, const cnn_stage *stage);

#endif
