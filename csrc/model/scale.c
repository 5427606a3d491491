/* The scale stage: y = factor x, with a factor for each column that is trained. */
#include "model/stage.h"

static cnn_status check(size_t count, const cnn_layer *layers, size_t index)
{
    const cnn_layer *layer = &layers[index];
    if (index == 0 && layer->inputs == 0)
        return cnn_fail(CNN_ERROR_ARGUMENT, "layer 0 has 0 inputs, needs at least 1");
    const size_t width = index > 0 ? cnn_layer_outputs(layers, index - 1) : layer->inputs;
    if ((layer->inputs != 0 && layer->inputs != width) ||
        (layer->outputs != 0 && layer->outputs != width))
        return cnn_fail(CNN_ERROR_ARGUMENT,
                        "layer %zu has %zu inputs and %zu outputs, should have %zu of both, or 0",
                        index, layer->inputs, layer->outputs, width);
    return cnn_layer_check_next(count, layers, index, "scale");
}

static size_t tensors(const cnn_layer *layer, cnn_tensor list[CNN_STAGE_TENSORS])
{
    list[0] = (cnn_tensor){.kind = CNN_FACTOR, .rows = 1, .cols = layer->inputs};
    return 1;
}

static void forward(const cnn_stage *stage, const cnn_forward *f)
{
    stage->kernels->scale(f->rows, stage->outputs, f->in, f->in_row, stage->tensors[CNN_FACTOR],
                          f->out, f->out_row);
}

static void backward(const cnn_stage *stage, const cnn_backward *b)
{
    if (!b->to)
        return;
    stage->kernels->scale(b->rows, stage->outputs, b->delta, b->delta_row,
                          stage->tensors[CNN_FACTOR], b->to, b->to_row);
    cnn_stage_through_activation(stage, b);
}

static void gradient(const cnn_stage *stage, const cnn_passed *passed, const cnn_tensor *tensor,
                     size_t first, size_t rows, void *out)
{
    (void)first;
    (void)rows;
    stage->kernels->column_dot(passed->rows, tensor->cols, passed->delta, passed->delta_row,
                               passed->in, passed->in_row, NULL, 0, out);
}

const cnn_stage_kind cnn_stage_scale = {.check = check,
                                        .tensors = tensors,
                                        .forward = forward,
                                        .backward = backward,
                                        .gradient = gradient};
