/*
 * The standardize stage: y = (x - mean) / scale for each column, with fixed mean and scale. It is
 * the first stage or none, and a dense one reads it.
 */
#include <math.h>

#include "model/network.h"

static cnn_status check(size_t count, const cnn_layer *layers, size_t index)
{
    const cnn_layer *layer = &layers[index];
    if (index > 0)
        return cnn_fail(CNN_ERROR_ARGUMENT,
                        "layer %zu is a standardize layer, which belongs before the first dense "
                        "layer",
                        index);
    if (layer->inputs == 0)
        return cnn_fail(CNN_ERROR_ARGUMENT, "layer %zu has 0 inputs, needs at least 1", index);
    if (layer->outputs != 0 && layer->outputs != layer->inputs)
        return cnn_fail(CNN_ERROR_ARGUMENT,
                        "layer %zu has %zu outputs, should have as many as its %zu inputs, or 0",
                        index, layer->outputs, layer->inputs);
    return cnn_layer_check_next(count, layers, index, "standardize");
}

static size_t tensors(const cnn_layer *layer, cnn_tensor list[CNN_STAGE_TENSORS])
{
    list[0] = (cnn_tensor){.kind = CNN_MEAN, .rows = 1, .cols = layer->inputs, .fixed = true};
    list[1] = (cnn_tensor){.kind = CNN_SCALE, .rows = 1, .cols = layer->inputs, .fixed = true};
    return 2;
}

cnn_status cnn_fixed_check(const cnn_network *network, const cnn_tensor *tensor, const void *values)
{
    const bool scale = tensor->kind == CNN_SCALE;
    for (size_t i = 0; i < cnn_tensor_count(tensor); i++) {
        const double value = network->dtype == CNN_FLOAT32 ? ((const float *)values)[i]
                                                           : ((const double *)values)[i];
        if (!isfinite(value) || (scale && !(value > 0)))
            return cnn_fail(CNN_ERROR_ARGUMENT, "%s has %g at [%zu], should be finite%s",
                            cnn_parameter_name((int)tensor->kind), value, i,
                            scale ? " and more than 0" : "");
    }
    return CNN_OK;
}

/* A subtraction and a division, each rounded once; a product with 1 / scale has other bits. */
static void forward(const cnn_stage *stage, const cnn_forward *f)
{
    stage->kernels->standardize(f->rows, stage->inputs, f->in, f->in_row, stage->tensors[CNN_MEAN],
                                stage->tensors[CNN_SCALE], f->out, f->out_row);
}

/* dL/dx = dL/dy / scale. No stage is below: there is no derivative to multiply by. */
static void backward(const cnn_stage *stage, const cnn_backward *b)
{
    if (b->to)
        stage->kernels->standardize(b->rows, stage->inputs, b->delta, b->delta_row, NULL,
                                    stage->tensors[CNN_SCALE], b->to, b->to_row);
}

const cnn_stage_kind cnn_stage_standardize = {
    .check = check, .tensors = tensors, .forward = forward, .backward = backward};
