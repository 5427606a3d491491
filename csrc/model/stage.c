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
