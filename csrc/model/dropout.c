/* The dropout stage: in training it sets a share of its inputs to 0 and enlarges the others. */
#include "base/random.h"
#include "model/stage.h"

static bool has_units(cnn_layer_kind kind)
{
    return kind == CNN_LAYER_DENSE || kind == CNN_LAYER_PARAMETRIC_ACTIVATION;
}

static cnn_status check(size_t count, const cnn_layer *layers, size_t index)
{
    const cnn_layer *layer = &layers[index];
    if (index == 0 || index + 1 == count || !has_units(layers[index - 1].kind))
        return cnn_fail(CNN_ERROR_ARGUMENT,
                        "layer %zu is a dropout layer, which belongs between two dense layers",
                        index);
    if (!(layer->rate >= 0 && layer->rate < 1))
        return cnn_fail(CNN_ERROR_ARGUMENT, "layer %zu has rate %g, should be in [0, 1)", index,
                        layer->rate);
    return CNN_OK;
}

static size_t tensors(const cnn_layer *layer, cnn_tensor list[CNN_STAGE_TENSORS])
{
    (void)layer;
    (void)list;
    return 0;
}

/* The mask is a function of the network's seed, the step, and the values' places. */
static void forward(const cnn_stage *stage, const cnn_forward *f)
{
    const uint64_t key =
        cnn_random_stream(f->seed, CNN_RANDOM_DROPOUT, (uint32_t)stage->index, (uint64_t)f->step);
    stage->kernels->dropout(key, f->dropout * stage->rate, f->first, f->rows, stage->outputs, f->in,
                            f->in_row, f->keep, f->out_row, f->out, f->out_row);
}

/* The mask multiplies the gradient as it did the output. */
static void backward(const cnn_stage *stage, const cnn_backward *b)
{
    stage->kernels->dropout_again(b->dropout * stage->rate, b->rows, stage->outputs, b->delta,
                                  b->delta_row, b->keep, b->keep_row, b->to, b->to_row);
    cnn_stage_through_activation(stage, b);
}

const cnn_stage_kind cnn_stage_dropout = {
    .check = check, .tensors = tensors, .forward = forward, .backward = backward};
