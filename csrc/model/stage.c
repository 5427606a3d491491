#include "model/stage.h"

const cnn_stage_kind *cnn_stage_find(cnn_layer_kind kind)
{
    switch (kind) {
#define CNN_X(constant, value, name)                                                               \
    case CNN_LAYER_##constant:                                                                     \
        return &cnn_stage_##name;
        CNN_LAYER_KINDS(CNN_X)
#undef CNN_X
    default:
        return NULL;
    }
}

void cnn_stage_through_activation(const cnn_stage *stage, const cnn_backward *b)
{
    if (b->derivative)
        stage->kernels->activation_backward(&b->activation, b->rows, stage->inputs, b->to,
                                            b->to_row, b->derivative, b->derivative_row, b->to,
                                            b->to_row, 0);
}

size_t cnn_layer_outputs(const cnn_layer *layers, size_t index)
{
    for (;; index--) {
        const cnn_layer *layer = &layers[index];
        if (layer->kind == CNN_LAYER_DENSE)
            return layer->outputs;
        if (layer->kind == CNN_LAYER_COLUMNS)
            return cnn_columns_features(layer);
        if (index == 0)
            return layer->inputs;
    }
}

cnn_status cnn_layer_check_next(size_t count, const cnn_layer *layers, size_t index,
                                const char *what)
{
    const bool last = index + 1 == count;
    if (!last &&
        (layers[index + 1].kind == CNN_LAYER_DENSE ||
         (layers[index + 1].kind == CNN_LAYER_SCALE && layers[index].kind != CNN_LAYER_SCALE)))
        return CNN_OK;
    return cnn_fail(CNN_ERROR_ARGUMENT,
                    "layer %zu is a %s layer, which belongs before a dense layer", index, what);
}
