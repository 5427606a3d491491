/*
 * Train 64-50-100-10 on handwritten digits and save it:
 *
 *     train digits.csv digits.safetensors
 */
#include <cnn/cnn.h>
#include <stdio.h>
#include <stdlib.h>

#include "digits.h"

#define EPOCHS 30
#define BATCH_SIZE 100
#define LEARNING_RATE 3e-3

/* Return whether a call failed; if it did, print its error. */
static int failed(cnn_status status, const char *what)
{
    if (status != CNN_OK)
        fprintf(stderr, "%s: %s\n", what, cnn_last_error());
    return status != CNN_OK;
}

/* Describe the arrays to libcnn, which reads them without a copy. */
static cnn_data data_of(const digits *all)
{
    const cnn_data data = {
        .struct_size = sizeof data,
        .x = {.struct_size = sizeof data.x,
              .data = all->pixels,
              .dtype = CNN_FLOAT32,
              .rows = all->rows,
              .cols = DIGITS_PIXELS,
              .row_stride = DIGITS_PIXELS * sizeof *all->pixels,
              .col_stride = sizeof *all->pixels},
        .t = {.struct_size = sizeof data.t,
              .data = all->labels,
              .dtype = CNN_INT64,
              .rows = all->rows,
              .cols = 1,
              .row_stride = sizeof *all->labels,
              .col_stride = sizeof *all->labels},
        .sample_weight = {.struct_size = sizeof data.sample_weight},
    };
    return data;
}

static cnn_status make_network(cnn_network **network)
{
    const size_t sizes[] = {DIGITS_PIXELS, 50, 100, 10};
    cnn_layer layers[3];
    for (size_t i = 0; i < 3; i++)
        layers[i] = (cnn_layer){.struct_size = sizeof(cnn_layer),
                                .kind = CNN_LAYER_DENSE,
                                .inputs = sizes[i],
                                .outputs = sizes[i + 1],
                                .activation = i < 2 ? CNN_SIGMOID : CNN_SOFTMAX};
    cnn_status status = cnn_network_create(CNN_FLOAT32, 3, layers, 0, network);
    for (size_t i = 0; i < 3 && status == CNN_OK; i++)
        status = cnn_network_initialize(*network, i, CNN_INIT_GLOROT_UNIFORM, 0);
    return status;
}

/* Train on all rows, shuffled in each epoch. */
static cnn_status train(cnn_trainer *trainer, const digits *all)
{
    const cnn_loss loss = {
        .struct_size = sizeof loss, .kind = CNN_CROSS_ENTROPY, .target = CNN_TARGET_LABELS};
    const cnn_data data = data_of(all);
    const size_t steps = (all->rows + BATCH_SIZE - 1) / BATCH_SIZE;
    size_t *index = malloc(all->rows * sizeof *index);
    double *lr = malloc(steps * sizeof *lr);
    cnn_status status = index && lr ? CNN_OK : CNN_ERROR_MEMORY;
    for (size_t i = 0; status == CNN_OK && i < steps; i++)
        lr[i] = LEARNING_RATE;
    for (uint64_t epoch = 0; status == CNN_OK && epoch < EPOCHS; epoch++) {
        cnn_result result = {.struct_size = sizeof result};
        status = cnn_random_permutation(0, epoch, all->rows, 0, all->rows, index);
        if (status == CNN_OK)
            status = cnn_trainer_epoch(trainer, &loss, &data, index, all->rows, BATCH_SIZE, lr, 0,
                                       &result);
        if (status == CNN_OK && epoch % 5 == 4)
            printf("epoch %2d  loss %.4f  accuracy %.4f\n", (int)epoch + 1,
                   result.loss_sum / result.weight_sum,
                   (double)result.correct / (double)result.rows);
    }
    free(index);
    free(lr);
    return status;
}

int main(int count, char **arguments)
{
    if (count != 3) {
        fprintf(stderr, "usage: train digits.csv digits.safetensors\n");
        return 2;
    }
    digits all;
    if (digits_read(arguments[1], &all))
        return 1;
    const cnn_optimizer adam = {
        .struct_size = sizeof adam, .kind = CNN_ADAM, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
    cnn_network *network = NULL;
    cnn_trainer *trainer = NULL;
    const int wrong = failed(make_network(&network), "network") ||
                      failed(cnn_trainer_create(network, &adam, &trainer), "trainer") ||
                      failed(train(trainer, &all), "train") ||
                      failed(cnn_network_save(network, arguments[2]), arguments[2]);
    cnn_trainer_destroy(trainer);
    cnn_network_destroy(network);
    digits_free(&all);
    return wrong;
}
