/*
 * A program that uses every public struct, compiled once with old/cnn.h and once with the present
 * header: PROGRAM is the name of its one function.
 */
#include "program.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include CNN_HEADER

enum { ROWS = 20, INPUTS = 6, HIDDEN = 8, OUTPUTS = 3 };

static cnn_matrix matrix(const void *data, cnn_dtype dtype, size_t cols, size_t item)
{
    const cnn_matrix m = {.struct_size = sizeof m,
                          .data = data,
                          .dtype = dtype,
                          .rows = ROWS,
                          .cols = cols,
                          .row_stride = (ptrdiff_t)(cols * item),
                          .col_stride = (ptrdiff_t)item};
    return m;
}

static int build(cnn_network **network)
{
    const cnn_layer layers[] = {
        {.struct_size = sizeof *layers,
         .inputs = INPUTS,
         .outputs = HIDDEN,
         .activation = CNN_LEAKY_RELU,
         .l2 = 1e-3},
        {.struct_size = sizeof *layers, .kind = CNN_LAYER_DROPOUT, .rate = 0.25},
        {.struct_size = sizeof *layers,
         .inputs = HIDDEN,
         .outputs = OUTPUTS,
         .activation = CNN_SOFTMAX},
    };
    return cnn_network_create(CNN_FLOAT32, 3, layers, 11, network) ||
           cnn_network_initialize(*network, 0, CNN_INIT_HE_UNIFORM, 0) ||
           cnn_network_initialize(*network, 2, CNN_INIT_GLOROT_UNIFORM, 0);
}

static int train(cnn_trainer *trainer, const cnn_loss *loss, const cnn_data *data, outcome *out)
{
    static const double lr[4] = {0.01, 0.02, 0.01, 0.005};
    size_t index[ROWS];
    cnn_result result = {.struct_size = sizeof result};
    for (size_t epoch = 0; epoch < 10; epoch++) {
        if (cnn_random_permutation(11, epoch, ROWS, 0, ROWS, index) ||
            cnn_trainer_epoch(trainer, loss, data, index, ROWS, 6, lr, 0, &result))
            return 1;
        out->loss_sums[epoch] = result.loss_sum;
    }
    out->steps = result.steps;
    if (cnn_trainer_step(trainer, loss, data, 0.01, &result))
        return 1;
    out->loss_sums[10] = result.loss_sum;
    return 0;
}

static int ask(cnn_network *network, const cnn_loss *loss, const cnn_data *data, outcome *out)
{
    cnn_layer layer = {.struct_size = sizeof layer};
    cnn_result result = {.struct_size = sizeof result};
    if (cnn_network_layer(network, 0, &layer))
        return 1;
    out->l2 = layer.l2;
    if (cnn_network_layer(network, 1, &layer))
        return 1;
    out->rate = layer.rate;
    if (cnn_network_evaluate(network, loss, data, &result))
        return 1;
    out->loss_sums[11] = result.loss_sum;
    out->weight_sum = result.weight_sum;
    out->rows = result.rows;
    out->correct = result.correct;
    static float gradients[128];
    const size_t count = cnn_network_parameter_count(network);
    if (cnn_network_gradients(network, loss, data, -1, &out->value, gradients, count))
        return 1;
    for (size_t i = 0; i < count; i++)
        out->gradients[i] = gradients[i];
    return cnn_network_get_f32(network, 0, CNN_WEIGHT, out->weights[0], INPUTS * HIDDEN) ||
           cnn_network_get_f32(network, 2, CNN_WEIGHT, out->weights[1], HIDDEN * OUTPUTS) ||
           cnn_network_predict(network, &data->x, out->y, OUTPUTS, NULL, 0);
}

/* huber by cnn_loss_gradient, whose delta of 0 means 1. */
static int loss_of_arrays(outcome *out)
{
    const double z[6] = {0.5, -2, 3, 0, 1, -1}, t[6] = {0};
    cnn_loss huber = {.struct_size = sizeof huber, .kind = CNN_HUBER};
    cnn_matrix targets = matrix(t, CNN_FLOAT64, 3, sizeof *t);
    targets.rows = 2;
    return cnn_loss_gradient_f64(&huber, 2, 3, z, 3, &targets, NULL, &out->loss_value,
                                 out->loss_gradient) != CNN_OK;
}

static int save(cnn_trainer *trainer, const char *path, outcome *out)
{
    cnn_network *network;
    cnn_trainer *again;
    cnn_optimizer optimizer = {.struct_size = sizeof optimizer};
    if (cnn_trainer_save(trainer, path) || cnn_trainer_load(path, &network, &again))
        return 1;
    const int failed = cnn_trainer_optimizer(again, &optimizer) != CNN_OK;
    out->beta2 = optimizer.beta2;
    cnn_trainer_destroy(again);
    cnn_network_destroy(network);
    FILE *const file = fopen(path, "rb");
    if (!file)
        return 1;
    out->file_size = fread(out->file, 1, sizeof out->file, file);
    fclose(file);
    remove(path);
    return failed;
}

int PROGRAM(const char *path, outcome *out)
{
    static float x[ROWS][INPUTS], weights[ROWS];
    static uint8_t labels[ROWS];
    static const double class_weight[OUTPUTS] = {1, 2, 0.5};
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < ROWS; i++) {
        for (size_t j = 0; j < INPUTS; j++)
            x[i][j] = (float)((i * 7 + j * 5) % 13) / 13 - 0.25f;
        labels[i] = (uint8_t)(i % OUTPUTS);
        weights[i] = 1 + (float)(i % 4) / 4;
    }
    const cnn_data data = {.struct_size = sizeof data,
                           .x = matrix(x, CNN_FLOAT32, INPUTS, sizeof(float)),
                           .t = matrix(labels, CNN_UINT8, 1, 1),
                           .sample_weight = matrix(weights, CNN_FLOAT32, 1, sizeof(float))};
    const cnn_loss loss = {.struct_size = sizeof loss,
                           .kind = CNN_CROSS_ENTROPY,
                           .target = CNN_TARGET_LABELS,
                           .label_smoothing = 0.1,
                           .class_weight = class_weight};
    const cnn_optimizer adamw = {.struct_size = sizeof adamw,
                                 .kind = CNN_ADAMW,
                                 .beta1 = 0.9,
                                 .beta2 = 0.999,
                                 .eps = 1e-8,
                                 .weight_decay = 0.01,
                                 .clip_norm = 1};
    cnn_network *network = NULL;
    cnn_trainer *trainer = NULL;
    const int failed = build(&network) || cnn_trainer_create(network, &adamw, &trainer) ||
                       train(trainer, &loss, &data, out) || ask(network, &loss, &data, out) ||
                       loss_of_arrays(out) || save(trainer, path, out);
    if (failed)
        printf("%s\n", cnn_last_error());
    cnn_trainer_destroy(trainer);
    cnn_network_destroy(network);
    return failed;
}
