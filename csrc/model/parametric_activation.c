/*
 * The parametric activation: y = x + mix (h(x) - x), with a mix for each unit that is trained. With
 * 1 it is h, with 0 the identity.
 */
#include <stdio.h>

#include "model/stage.h"

static cnn_status check(size_t count, const cnn_layer *layers, size_t index)
{
    const cnn_layer *layer = &layers[index];
    if (index == 0 || index + 1 == count || layers[index - 1].kind != CNN_LAYER_DENSE ||
        layers[index - 1].activation != CNN_IDENTITY)
        return cnn_fail(CNN_ERROR_ARGUMENT,
                        "layer %zu is a parametric_activation layer, which belongs behind a dense "
                        "layer without an activation and is not the last one",
                        index);
    if (!cnn_activation_name((int)layer->activation) || layer->activation == CNN_SOFTMAX)
        return cnn_fail(CNN_ERROR_ARGUMENT,
                        "layer %zu has activation %d, should be 0 to %d, and not %d (softmax)",
                        index, (int)layer->activation, CNN_ACTIVATION_COUNT - 1, CNN_SOFTMAX);
    const size_t width = cnn_layer_outputs(layers, index - 1);
    if ((layer->inputs != 0 && layer->inputs != width) ||
        (layer->outputs != 0 && layer->outputs != width))
        return cnn_fail(CNN_ERROR_ARGUMENT,
                        "layer %zu has %zu inputs and %zu outputs, should have %zu of both, or 0",
                        index, layer->inputs, layer->outputs, width);
    char where[40];
    (void)snprintf(where, sizeof where, "layer %zu", index);
    cnn_activation_spec activation = {layer->activation, layer->alpha};
    return cnn_activation_complete(where, &activation);
}

static size_t tensors(const cnn_layer *layer, cnn_tensor list[CNN_STAGE_TENSORS])
{
    list[0] = (cnn_tensor){.kind = CNN_MIX, .rows = 1, .cols = layer->inputs};
    return 1;
}

static void forward(const cnn_stage *stage, const cnn_forward *f)
{
    const cnn_kernels *kernels = stage->kernels;
    kernels->activation_forward(&stage->activation, f->rows, stage->outputs, f->in, f->in_row,
                                f->before, f->out_row, 0);
    kernels->blend(f->rows, stage->outputs, f->in, f->in_row, f->before, f->out_row,
                   stage->tensors[CNN_MIX], f->out, f->out_row);
}

/* dL/dx = delta + mix (delta h'(x) - delta). */
static void backward(const cnn_stage *stage, const cnn_backward *b)
{
    const cnn_kernels *kernels = stage->kernels;
    const bool needs_input = cnn_activation_needs_input((int)stage->activation.kind);
    if (!b->to)
        return;
    kernels->activation_backward(&stage->activation, b->rows, stage->outputs, b->delta,
                                 b->delta_row, needs_input ? b->in : b->before,
                                 needs_input ? b->in_row : b->before_row, b->to, b->to_row, 0);
    kernels->blend(b->rows, stage->outputs, b->delta, b->delta_row, b->to, b->to_row,
                   stage->tensors[CNN_MIX], b->to, b->to_row);
}

/* The sum over rows of delta (h(x) - x). */
static void gradient(const cnn_stage *stage, const cnn_passed *passed, const cnn_tensor *tensor,
                     size_t first, size_t rows, void *out)
{
    (void)first;
    (void)rows;
    stage->kernels->column_dot(passed->rows, tensor->cols, passed->delta, passed->delta_row,
                               passed->before, passed->before_row, passed->in, passed->in_row, out);
}

const cnn_stage_kind cnn_stage_parametric_activation = {.check = check,
                                                        .tensors = tensors,
                                                        .forward = forward,
                                                        .backward = backward,
                                                        .gradient = gradient};
