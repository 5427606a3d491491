/*
 * The binary interface, version 1, as programs that are already compiled know it. Numbers of
 * constants never change, and new ones come behind them; structs grow at their ends alone, and
 * begin with struct_size. tests/test_abi.py compares the exported functions.
 */
#include <stddef.h>

#include "check.h"
#include "cnn/cnn.h"

#define SAME(constant, value) CHECK((int)(constant) == (value))

static void test_constants(void)
{
    SAME(CNN_OK, 0);
    SAME(CNN_ERROR_ARGUMENT, 1);
    SAME(CNN_ERROR_TYPE, 2);
    SAME(CNN_ERROR_MEMORY, 3);
    SAME(CNN_ERROR_SYSTEM, 4);
    SAME(CNN_ERROR_MODEL_FILE, 5);
    SAME(CNN_ERROR_NONFINITE, 6);
    const cnn_dtype types[] = {CNN_FLOAT32, CNN_FLOAT64, CNN_FLOAT16, CNN_BOOL,
                               CNN_INT8,    CNN_INT16,   CNN_INT32,   CNN_INT64,
                               CNN_UINT8,   CNN_UINT16,  CNN_UINT32,  CNN_UINT64};
    for (int i = 0; i < 12; i++)
        SAME(types[i], i);
    const cnn_activation activations[] = {
        CNN_IDENTITY,   CNN_STEP,     CNN_SIGMOID,     CNN_TANH,         CNN_RELU,
        CNN_LEAKY_RELU, CNN_ELU,      CNN_SOFTPLUS,    CNN_SILU,         CNN_GELU,
        CNN_SOFTMAX,    CNN_MISH,     CNN_SELU,        CNN_HARD_SIGMOID, CNN_HARD_SWISH,
        CNN_RELU6,      CNN_SOFTSIGN, CNN_EXPONENTIAL, CNN_GELU_TANH};
    for (int i = 0; i < 19; i++)
        SAME(activations[i], i);
    const cnn_loss_kind losses[] = {CNN_SQUARED_ERROR, CNN_CROSS_ENTROPY, CNN_BINARY_CROSS_ENTROPY,
                                    CNN_HUBER,         CNN_POISSON,       CNN_ABSOLUTE_ERROR,
                                    CNN_QUANTILE};
    for (int i = 0; i < 7; i++)
        SAME(losses[i], i);
    const cnn_optimizer_kind optimizers[] = {CNN_SGD,   CNN_MOMENTUM, CNN_NESTEROV, CNN_ADAM,
                                             CNN_ADAMW, CNN_RMSPROP,  CNN_ADAGRAD};
    for (int i = 0; i < 7; i++)
        SAME(optimizers[i], i);
    const cnn_initializer initializers[] = {
        CNN_INIT_GLOROT_UNIFORM, CNN_INIT_HE_UNIFORM, CNN_INIT_LECUN_UNIFORM, CNN_INIT_ZEROS,
        CNN_INIT_UNIFORM,        CNN_INIT_TORCH,      CNN_INIT_NORMAL};
    for (int i = 0; i < 7; i++)
        SAME(initializers[i], i);
    SAME(CNN_TARGET_ROWS, 0);
    SAME(CNN_TARGET_LABELS, 1);
    SAME(CNN_LAYER_DENSE, 0);
    SAME(CNN_LAYER_DROPOUT, 1);
    SAME(CNN_LAYER_STANDARDIZE, 2);
    SAME(CNN_LAYER_COLUMNS, 3);
    SAME(CNN_LAYER_SCALE, 4);
    SAME(CNN_LAYER_PARAMETRIC_ACTIVATION, 5);
    SAME(CNN_COLUMN_NUMBER, 0);
    SAME(CNN_COLUMN_PERIODIC, 1);
    SAME(CNN_COLUMN_ONE_HOT, 2);
    SAME(CNN_COLUMN_EMBEDDING, 3);
    SAME(CNN_COLUMN_IGNORED, 4);
    SAME(CNN_PARAMETRIZATION_STANDARD, 0);
    SAME(CNN_PARAMETRIZATION_NTK, 1);
    SAME(CNN_MOST_CATEGORIES, 16777216);
    SAME(CNN_MOST_GROUPS, 64);
    SAME(CNN_WEIGHT, 0);
    SAME(CNN_BIAS, 1);
    SAME(CNN_MEAN, 2);
    SAME(CNN_SCALE, 3);
    SAME(CNN_EMBEDDING, 4);
    SAME(CNN_PERIODIC, 5);
    SAME(CNN_FACTOR, 6);
    SAME(CNN_MIX, 7);
    SAME(CNN_SHARD_LOSS, 0);
    SAME(CNN_SHARD_WEIGHT, 1);
    SAME(CNN_SHARD_ROWS, 2);
    SAME(CNN_SHARD_CORRECT, 3);
    SAME(CNN_SHARD_COUNTED, 4);
    SAME(CNN_SHARD_SUMS, 5);
}

#define AT(type, member, offset) CHECK(offsetof(type, member) == (offset))

/* Offsets where pointers and size_t have 8 bytes, which all present targets share. */
static void test_structs(void)
{
    AT(cnn_loss, struct_size, 0);
    AT(cnn_matrix, struct_size, 0);
    AT(cnn_data, struct_size, 0);
    AT(cnn_result, struct_size, 0);
    AT(cnn_layer, struct_size, 0);
    AT(cnn_column, struct_size, 0);
    AT(cnn_optimizer, struct_size, 0);
    AT(cnn_schedule, struct_size, 0);
    if (sizeof(void *) != 8 || sizeof(size_t) != 8)
        return;
    AT(cnn_loss, kind, 8);
    AT(cnn_loss, target, 12);
    AT(cnn_loss, delta, 16);
    AT(cnn_loss, label_smoothing, 24);
    AT(cnn_loss, class_weight, 32);
    AT(cnn_loss, quantiles, 40);
    AT(cnn_matrix, data, 8);
    AT(cnn_matrix, dtype, 16);
    AT(cnn_matrix, rows, 24);
    AT(cnn_matrix, cols, 32);
    AT(cnn_matrix, row_stride, 40);
    AT(cnn_matrix, col_stride, 48);
    AT(cnn_data, x, 8);
    AT(cnn_data, t, 64);
    AT(cnn_data, sample_weight, 120);
    AT(cnn_result, loss_sum, 8);
    AT(cnn_result, weight_sum, 16);
    AT(cnn_result, rows, 24);
    AT(cnn_result, correct, 32);
    AT(cnn_result, steps, 40);
    AT(cnn_result, accumulate, 48);
    AT(cnn_result, nonfinite_rows, 56);
    AT(cnn_result, counted, 64);
    AT(cnn_result, loss_lanes, 72);
    AT(cnn_result, weight_lanes, 200);
    AT(cnn_layer, kind, 8);
    AT(cnn_layer, inputs, 16);
    AT(cnn_layer, outputs, 24);
    AT(cnn_layer, activation, 32);
    AT(cnn_layer, l2, 40);
    AT(cnn_layer, rate, 48);
    AT(cnn_layer, alpha, 56);
    AT(cnn_layer, parametrization, 64);
    AT(cnn_layer, columns, 72);
    AT(cnn_layer, clip, 80);
    AT(cnn_layer, frequencies, 88);
    AT(cnn_layer, periodic_size, 96);
    AT(cnn_layer, embedding_size, 104);
    AT(cnn_column, kind, 8);
    AT(cnn_column, missing, 12);
    AT(cnn_column, categories, 16);
    AT(cnn_optimizer, kind, 8);
    AT(cnn_optimizer, momentum, 16);
    AT(cnn_optimizer, beta1, 24);
    AT(cnn_optimizer, beta2, 32);
    AT(cnn_optimizer, alpha, 40);
    AT(cnn_optimizer, eps, 48);
    AT(cnn_optimizer, weight_decay, 56);
    AT(cnn_optimizer, clip_norm, 64);
    AT(cnn_schedule, groups, 8);
    AT(cnn_schedule, lr, 16);
    AT(cnn_schedule, weight_decay, 24);
    AT(cnn_schedule, dropout, 32);
}

int main(void)
{
    test_constants();
    test_structs();
    CHECK(cnn_abi_version() == CNN_ABI_VERSION && CNN_ABI_VERSION == 1);
    return check_finish();
}
