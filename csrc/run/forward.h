/* Blocks of rows through all stages, without training: what predict and evaluate share. */
#ifndef CNN_FORWARD_H
#define CNN_FORWARD_H

#include "model/network.h"
#include "run/plan.h"

/* A call, as long as it runs. */
typedef struct cnn_forward_call {
    const cnn_network *network;
    cnn_machine machine;
    cnn_plan plan;
    bool logits; /* leave the last activation out */
} cnn_forward_call;

/*
 * Rows [first, first + rows) of x in the network's type, *in_row elements apart: in place, or
 * converted into scratch.
 */
const void *cnn_forward_inputs(const cnn_network *network, const cnn_matrix *x, size_t first,
                               size_t rows, size_t *in_row, void *scratch);

/*
 * Outputs of such rows into y (rows, outputs), row stride y_row. `scratch` has plan.worker_bytes,
 * aligned to 64; the inputs may lie at its beginning, and are then overwritten if the first stage
 * is in place.
 */
void cnn_forward_outputs(const cnn_forward_call *call, const void *in, size_t in_row, size_t rows,
                         void *y, size_t y_row, void *scratch);

/* Run one stage; its threads share columns if the plan says so. f->form is the plan's. */
void cnn_forward_stage(const cnn_machine *machine, const cnn_plan *plan, const cnn_stage *stage,
                       cnn_forward *f);

/* Usable bytes of a caller's workspace: from the first cache line that begins in it on. Without a
 * workspace there is no limit: SIZE_MAX. */
size_t cnn_workspace_usable(const void *workspace, size_t workspace_size);

/*
 * Scratch for a plan: the caller's workspace, or without one memory that the thread keeps. Fails if
 * the plan has no block, of which the least takes `least` bytes.
 */
cnn_status cnn_workspace_scratch(const cnn_plan *plan, size_t least, void *workspace,
                                 size_t workspace_size, char **scratch);

/* Check rows of a typed function and describe them; `type` is that of the function. */
cnn_status cnn_typed_matrix(const cnn_network *network, cnn_dtype type, const char *name,
                            const void *data, size_t rows, size_t cols, size_t stride,
                            cnn_matrix *matrix);

/* Whether a network takes these inputs: finite numbers, and NaN if that is a missing one. */
bool cnn_inputs_are_good(const cnn_network *network, const void *x, size_t count);

/* How many of these rows of inputs have a number that it does not take, but for rows of factor 0.
 */
size_t cnn_count_nonfinite(const cnn_network *network, size_t rows, const void *x, size_t x_row,
                           const double *factor);

#endif
