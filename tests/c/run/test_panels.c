/*
 * Large weights change in panels alone while a network is trained. Several threads may read such a
 * network at once: they see the present numbers, though its row-major form is stale.
 */
#include <stdlib.h>
#include <string.h>

#include "callers.h"
#include "check.h"
#include "cnn/cnn.h"
#include "model/network.h"

/* A row of the first weight has more than the 4 KiB up to which weights are changed in place. */
enum { INPUTS = 6, HIDDEN = 1100, OUTPUTS = 3, ROWS = 5, WEIGHTS = INPUTS * HIDDEN, READERS = 4 };

static const cnn_network *network;
static const cnn_loss loss = {
    .struct_size = sizeof loss, .kind = CNN_SQUARED_ERROR, .target = CNN_TARGET_ROWS};
static cnn_data data;

struct reader {
    float weight[WEIGHTS], gradients[WEIGHTS + HIDDEN + HIDDEN * OUTPUTS + OUTPUTS];
    double loss;
    cnn_network *copy;
};

static void read_weight(void *argument)
{
    struct reader *reader = argument;
    CHECK(cnn_network_get_f32(network, 0, CNN_WEIGHT, reader->weight, WEIGHTS) == CNN_OK);
    CHECK(cnn_network_copy(network, &reader->copy) == CNN_OK);
    const size_t count = sizeof reader->gradients / sizeof *reader->gradients;
    CHECK(cnn_network_gradients(network, &loss, &data, -1, &reader->loss, reader->gradients,
                                count) == CNN_OK);
}

/* All readers see the same weight; returns it in `weight`. */
static void read_by_threads(struct reader *readers, float *weight)
{
    cnn_thread *threads[READERS];
    for (size_t i = 0; i < READERS; i++)
        threads[i] = caller_start(read_weight, &readers[i]);
    for (size_t i = 0; i < READERS; i++)
        caller_join(threads[i]);
    CHECK(cnn_network_get_f32(network, 0, CNN_WEIGHT, weight, WEIGHTS) == CNN_OK);
    for (size_t i = 0; i < READERS; i++) {
        CHECK(memcmp(readers[i].weight, weight, sizeof readers[i].weight) == 0);
        CHECK(cnn_network_get_f32(readers[i].copy, 0, CNN_WEIGHT, readers[i].weight, WEIGHTS) ==
              CNN_OK);
        CHECK(memcmp(readers[i].weight, weight, sizeof readers[i].weight) == 0);
        cnn_network_destroy(readers[i].copy);
        CHECK(readers[i].loss == readers[0].loss);
        CHECK(memcmp(readers[i].gradients, readers[0].gradients, sizeof readers[i].gradients) == 0);
    }
}

int main(void)
{
    const size_t size = sizeof(cnn_layer);
    const cnn_layer layers[] = {
        {.struct_size = size, .inputs = INPUTS, .outputs = HIDDEN, .activation = CNN_RELU},
        {.struct_size = size, .inputs = HIDDEN, .outputs = OUTPUTS, .l2 = 0.125}};
    const cnn_optimizer sgd = {.struct_size = sizeof sgd, .kind = CNN_SGD};
    float x[ROWS * INPUTS], t[ROWS * OUTPUTS] = {0};
    for (size_t i = 0; i < ROWS * INPUTS; i++)
        x[i] = (float)(i % 7) - 3;
    const cnn_matrix matrix = {.struct_size = sizeof matrix,
                               .data = x,
                               .dtype = CNN_FLOAT32,
                               .rows = ROWS,
                               .cols = INPUTS,
                               .row_stride = INPUTS * sizeof *x,
                               .col_stride = sizeof *x};
    data = (cnn_data){.struct_size = sizeof data,
                      .x = matrix,
                      .t = matrix,
                      .sample_weight = {.struct_size = sizeof(cnn_matrix)}};
    data.t.data = t;
    data.t.cols = OUTPUTS;
    data.t.row_stride = OUTPUTS * sizeof *t;

    cnn_network *made = NULL;
    cnn_trainer *trainer = NULL;
    CHECK(cnn_network_create(CNN_FLOAT32, 2, layers, 7, &made) == CNN_OK);
    CHECK(cnn_network_initialize(made, 0, CNN_INIT_GLOROT_UNIFORM, 0) == CNN_OK);
    CHECK(cnn_network_initialize(made, 1, CNN_INIT_GLOROT_UNIFORM, 0) == CNN_OK);
    CHECK(cnn_trainer_create(made, &sgd, &trainer) == CNN_OK);
    network = made;
    struct reader *readers = calloc(READERS, sizeof *readers);
    float *weight = calloc(2 * WEIGHTS, sizeof *weight);
    for (size_t i = 0; readers && weight && i < 50; i++) {
        cnn_result result = {.struct_size = sizeof result};
        float *now = weight + i % 2 * WEIGHTS, *before = weight + (i + 1) % 2 * WEIGHTS;
        CHECK(cnn_trainer_step(trainer, &loss, &data, 1e-3, &result) == CNN_OK);
        read_by_threads(readers, now);
        CHECK(memcmp(now, before, WEIGHTS * sizeof *now) != 0);
    }
    CHECK(readers && weight);
    free(readers);
    free(weight);
    cnn_trainer_destroy(trainer);
    cnn_network_destroy(made);
    return check_finish();
}
