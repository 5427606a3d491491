/*
 * The numerics contract in one number: a hash over the bits of trained weights and predictions,
 * which every instruction set, thread count and system must give. Numbers are made by integer
 * arithmetic here, so that nothing depends on the C library.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "cnn/cnn.h"

enum { INPUTS = 300, HIDDEN = 37, MIDDLE = 20, OUTPUTS = 5, ROWS = 600, BATCH = 270, EPOCHS = 2 };

/* What version 1 of the numerics contract gives for float32 and float64. */
static const uint64_t expected[2] = {UINT64_C(0xb2ddc836fee048e3), UINT64_C(0xb152ab10043aad60)};

/* FNV-1a over bytes. */
static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t size)
{
    const unsigned char *at = bytes;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
    return hash;
}

/* The samples, in float32; every value is exact in it. */
static float *make_x(void)
{
    float *x = malloc(sizeof *x * ROWS * INPUTS);
    uint32_t state = 1;
    for (size_t i = 0; x && i < (size_t)ROWS * INPUTS; i++) {
        state = state * 1664525u + 1013904223u;
        x[i] = (float)(int32_t)(state >> 8) / 16777216.0f - 0.5f;
    }
    return x;
}

static cnn_network *make_network(cnn_dtype dtype)
{
    const size_t size = sizeof(cnn_layer);
    const cnn_layer layers[] = {
        {.struct_size = size, .inputs = INPUTS, .outputs = HIDDEN, .activation = CNN_GELU},
        {.struct_size = size, .kind = CNN_LAYER_DROPOUT, .rate = 0.25},
        {.struct_size = size,
         .inputs = HIDDEN,
         .outputs = MIDDLE,
         .activation = CNN_TANH,
         .l2 = 0.001},
        {.struct_size = size, .inputs = MIDDLE, .outputs = OUTPUTS, .activation = CNN_SOFTMAX},
    };
    cnn_network *network = NULL;
    CHECK(cnn_network_create(dtype, 4, layers, 20260101, &network) == CNN_OK);
    const size_t dense[] = {0, 2, 3};
    for (size_t i = 0; i < 3; i++)
        CHECK(cnn_network_initialize(network, dense[i], CNN_INIT_TORCH, 0) == CNN_OK);
    return network;
}

static void train(cnn_network *network, cnn_optimizer_kind kind, const cnn_data *data)
{
    const cnn_loss loss = {.struct_size = sizeof loss,
                           .kind = CNN_CROSS_ENTROPY,
                           .target = CNN_TARGET_LABELS,
                           .label_smoothing = 0.1};
    const cnn_optimizer optimizer = {.struct_size = sizeof optimizer,
                                     .kind = kind,
                                     .momentum = 0.9,
                                     .beta1 = 0.9,
                                     .beta2 = 0.999,
                                     .alpha = 0.99,
                                     .eps = 1e-8,
                                     .weight_decay = 0.01,
                                     .clip_norm = kind == CNN_SGD ? 0.5 : 0};
    cnn_trainer *trainer = NULL;
    CHECK(cnn_trainer_create(network, &optimizer, &trainer) == CNN_OK);
    const double lr[] = {0.01, 0.01, 0.005};
    size_t index[ROWS];
    for (uint64_t epoch = 0; epoch < EPOCHS; epoch++) {
        cnn_result result = {.struct_size = sizeof result};
        CHECK(cnn_random_permutation(cnn_network_seed(network), epoch, ROWS, 0, ROWS, index) ==
              CNN_OK);
        CHECK(cnn_trainer_epoch(trainer, &loss, data, index, ROWS, BATCH, lr, 0, &result) ==
              CNN_OK);
        CHECK(result.rows == ROWS && result.steps == 3);
    }
    cnn_trainer_destroy(trainer);
}

static uint64_t hash_network(uint64_t hash, const cnn_network *network, const cnn_matrix *x)
{
    static unsigned char values[ROWS * INPUTS * sizeof(double)];
    const size_t size = cnn_network_dtype(network) == CNN_FLOAT32 ? 4 : 8;
    const size_t layers[] = {0, 2, 3}, inputs[] = {INPUTS, HIDDEN, MIDDLE};
    const size_t outputs[] = {HIDDEN, MIDDLE, OUTPUTS};
    for (size_t i = 0; i < 3; i++) {
        const size_t count = inputs[i] * outputs[i];
        void *to = values;
        CHECK((size == 4
                   ? cnn_network_get_f32(network, layers[i], CNN_WEIGHT, to, count)
                   : cnn_network_get_f64(network, layers[i], CNN_WEIGHT, to, count)) == CNN_OK);
        hash = hash_bytes(hash, values, count * size);
    }
    CHECK(cnn_network_predict(network, x, values, OUTPUTS, NULL, 0) == CNN_OK);
    return hash_bytes(hash, values, (size_t)ROWS * OUTPUTS * size);
}

static uint64_t run(cnn_dtype dtype, const cnn_data *data)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (int kind = 0; kind < CNN_OPTIMIZER_COUNT; kind++) {
        cnn_network *network = make_network(dtype);
        train(network, (cnn_optimizer_kind)kind, data);
        hash = hash_network(hash, network, &data->x);
        cnn_network_destroy(network);
    }
    return hash;
}

int main(void)
{
    float *x = make_x();
    uint8_t t[ROWS];
    for (size_t i = 0; i < ROWS; i++)
        t[i] = (uint8_t)(i * i % OUTPUTS);
    const cnn_data data = {
        .struct_size = sizeof data,
        .x = {sizeof(cnn_matrix), x, CNN_FLOAT32, ROWS, INPUTS, INPUTS * 4, 4},
        .t = {sizeof(cnn_matrix), t, CNN_UINT8, ROWS, 1, 1, 1},
        .sample_weight = {.struct_size = sizeof(cnn_matrix)},
    };
    for (size_t i = 0; cnn_isa_available(i); i++)
        for (size_t threads = 1; threads <= 3; threads++) {
            CHECK(cnn_isa_select(cnn_isa_available(i)) == CNN_OK);
            CHECK(cnn_threads_set(threads) == CNN_OK);
            for (int dtype = CNN_FLOAT32; dtype <= CNN_FLOAT64; dtype++) {
                const uint64_t hash = run((cnn_dtype)dtype, &data);
                if (!CHECK(hash == expected[dtype]))
                    printf("    %s, %zu threads, float%d: %016llx\n", cnn_isa(), threads,
                           dtype == CNN_FLOAT32 ? 32 : 64, (unsigned long long)hash);
            }
        }
    free(x);
    return check_finish();
}
