/* Tapes: a batch forward that is kept, and any number of ways back for losses of the caller's. */
#include <stdlib.h>

#include "base/platform.h"
#include "train/gradient.h"
#include "train/slots.h"

struct cnn_tape {
    const cnn_network *network;
    cnn_batch *batch;
    void *gradient;   /* parameter_span elements */
    size_t rows;      /* that went forward; 0: none */
    uint64_t version; /* of the network's parameters at that time */
};

cnn_status cnn_tape_create(const cnn_network *network, cnn_tape **tape)
{
    if (!network || !tape)
        return cnn_fail(CNN_ERROR_ARGUMENT, "%s is NULL", network ? "tape" : "network");
    cnn_tape *made = calloc(1, sizeof *made);
    if (!made)
        return cnn_fail(CNN_ERROR_MEMORY, "out of memory for a tape");
    made->network = network;
    *tape = made;
    return CNN_OK;
}

void cnn_tape_destroy(cnn_tape *tape)
{
    if (!tape)
        return;
    cnn_batch_destroy(tape->batch);
    cnn_platform_free(tape->gradient);
    free(tape);
}

cnn_status cnn_tape_forward(cnn_tape *tape, const cnn_matrix *x, int64_t step, void *y,
                            size_t y_stride)
{
    if (!tape || !x)
        return cnn_fail(CNN_ERROR_ARGUMENT, "%s is NULL", tape ? "x" : "tape");
    const cnn_network *network = tape->network;
    cnn_status status = cnn_matrix_check(x, "x", x->rows, network->shape.inputs);
    if (status == CNN_OK && x->rows == 0)
        status = cnn_fail(CNN_ERROR_ARGUMENT, "x has 0 rows, needs at least 1");
    if (status == CNN_OK && y)
        status = cnn_check_layout("y", y, x->rows, network->shape.outputs, y_stride);
    if (status == CNN_OK && step < -1)
        status =
            cnn_fail(CNN_ERROR_ARGUMENT, "step is %lld, should be at least -1", (long long)step);
    if (status == CNN_OK)
        status = cnn_batch_reserve(network, x->rows, &tape->batch);
    if (status != CNN_OK)
        return status;
    const cnn_data data = {.struct_size = sizeof data, .x = *x};
    const cnn_batch_job job = {
        .data = &data,
        .rows = x->rows,
        .step = step,
        .dropout = 1,
        .training = {.batch_size = x->rows, .gradient = true},
    };
    tape->rows = 0;
    const uint64_t before = cnn_platform_float_enter();
    cnn_batch_forward(tape->batch, &job);
    status = cnn_batch_check_inputs(tape->batch, &job);
    cnn_platform_float_leave(before);
    if (status != CNN_OK)
        return status;
    tape->rows = x->rows;
    tape->version = network->version;
    if (y)
        cnn_walk_store_outputs(network, tape->batch->stages, tape->rows, y, y_stride);
    return CNN_OK;
}

static cnn_status check_back(const cnn_tape *tape, const cnn_matrix *dy, const void *gradients,
                             size_t count, const void *dx, size_t dx_stride)
{
    if (!tape || !dy)
        return cnn_fail(CNN_ERROR_ARGUMENT, "%s is NULL", tape ? "dy" : "tape");
    const cnn_network *network = tape->network;
    if (tape->rows == 0)
        return cnn_fail(CNN_ERROR_ARGUMENT, "tape has no rows, needs a forward before");
    if (tape->version != network->version)
        return cnn_fail(CNN_ERROR_ARGUMENT, "the weights have changed since the forward, which "
                                            "should be repeated");
    if (!gradients && !dx)
        return cnn_fail(CNN_ERROR_ARGUMENT, "gradients and dx are NULL, should be at least one");
    if (gradients && count != network->parameter_count)
        return cnn_fail(CNN_ERROR_ARGUMENT, "count is %zu, should be %zu", count,
                        network->parameter_count);
    if (dx) {
        const cnn_status status =
            cnn_check_layout("dx", dx, tape->rows, network->shape.inputs, dx_stride);
        if (status != CNN_OK)
            return status;
    }
    return cnn_matrix_check(dy, "dy", tape->rows, network->shape.outputs);
}

cnn_status cnn_tape_backward(cnn_tape *tape, const cnn_matrix *dy, void *gradients, size_t count,
                             void *dx, size_t dx_stride)
{
    const cnn_status status = check_back(tape, dy, gradients, count, dx, dx_stride);
    if (status != CNN_OK)
        return status;
    const cnn_network *network = tape->network;
    if (gradients && !tape->gradient) {
        tape->gradient = cnn_platform_allocate(network->parameter_span * network->real_size);
        if (!tape->gradient)
            return cnn_fail(CNN_ERROR_MEMORY, "out of memory for gradients");
    }
    const uint64_t before = cnn_platform_float_enter();
    cnn_batch_back(tape->batch, dy, dx, dx_stride);
    if (gradients) {
        cnn_gradient_whole(tape->batch, false, tape->gradient);
        cnn_tensors_to_flat(network, CNN_ROW_MAJOR, tape->gradient, gradients);
    }
    cnn_platform_float_leave(before);
    return CNN_OK;
}
