/* Networks and training through cnn.h: they work, and bad arguments are refused with a message. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "models.h"

static cnn_layer dense(size_t inputs, size_t outputs, cnn_activation activation)
{
    const cnn_layer layer = {.struct_size = sizeof layer,
                             .kind = CNN_LAYER_DENSE,
                             .inputs = inputs,
                             .outputs = outputs,
                             .activation = activation};
    return layer;
}

static cnn_network *make_network(size_t inputs, size_t hidden, size_t outputs)
{
    const cnn_layer layers[] = {dense(inputs, hidden, CNN_TANH),
                                dense(hidden, outputs, CNN_SOFTMAX)};
    cnn_network *network = NULL;
    CHECK(cnn_network_create(CNN_FLOAT32, 2, layers, 7, &network) == CNN_OK);
    CHECK(cnn_network_initialize(network, 0, CNN_INIT_GLOROT_UNIFORM, 0) == CNN_OK);
    CHECK(cnn_network_initialize(network, 1, CNN_INIT_GLOROT_UNIFORM, 0) == CNN_OK);
    return network;
}

static const float xor_x[8] = {0, 0, 0, 1, 1, 0, 1, 1};
static const uint8_t xor_t[4] = {0, 1, 1, 0};

static cnn_data xor_data(void)
{
    const cnn_data data = {.struct_size = sizeof data,
                           .x = model_matrix(xor_x, CNN_FLOAT32, 4, 2, sizeof(float)),
                           .t = model_matrix(xor_t, CNN_UINT8, 4, 1, 1),
                           .sample_weight = {.struct_size = sizeof(cnn_matrix)}};
    return data;
}

static const cnn_loss cross_entropy = {
    .struct_size = sizeof(cnn_loss), .kind = CNN_CROSS_ENTROPY, .target = CNN_TARGET_LABELS};
static const cnn_optimizer adam = {.struct_size = sizeof(cnn_optimizer),
                                   .kind = CNN_ADAM,
                                   .beta1 = 0.9,
                                   .beta2 = 0.999,
                                   .eps = 1e-8};

/* No single layer can learn exclusive or; one hidden layer must. */
static void test_xor(void)
{
    cnn_network *network = make_network(2, 8, 2);
    cnn_trainer *trainer = NULL;
    CHECK(cnn_trainer_create(network, &adam, &trainer) == CNN_OK);
    const cnn_data data = xor_data();
    cnn_result result = {.struct_size = sizeof result};
    for (int i = 0; i < 300; i++)
        CHECK(cnn_trainer_step(trainer, &cross_entropy, &data, 0.05, &result) == CNN_OK);
    CHECK(cnn_trainer_steps(trainer) == 300);
    CHECK(cnn_network_evaluate(network, &cross_entropy, &data, &result) == CNN_OK);
    CHECK(result.correct == 4 && result.rows == 4);
    CHECK(result.loss_sum / result.weight_sum < 0.01);
    float y[8];
    CHECK(cnn_network_predict_f32(network, 4, xor_x, 2, y, 2, NULL, 0) == CNN_OK);
    for (size_t i = 0; i < 4; i++)
        CHECK(y[2 * i + xor_t[i]] > 0.9f);
    cnn_trainer_destroy(trainer);
    cnn_network_destroy(network);
}

/* A workspace of the stated size, of one row's, and one that is too small. */
static void test_workspace(void)
{
    cnn_network *network = make_network(30, 70, 5);
    float *x = calloc(1000 * 30, sizeof *x);
    float *y = calloc(1000 * 5, sizeof *y), *z = calloc(1000 * 5, sizeof *z);
    for (size_t i = 0; i < 1000 * 30; i++)
        x[i] = (float)(i % 17) / 17;
    CHECK(cnn_network_predict_f32(network, 1000, x, 30, y, 5, NULL, 0) == CNN_OK);
    const size_t sizes[] = {cnn_network_workspace_size(network, 1000),
                            cnn_network_workspace_size(network, 1)};
    for (size_t i = 0; i < 2; i++) {
        char *workspace = malloc(sizes[i] + 1);
        memset(z, 0, 1000 * 5 * sizeof *z);
        CHECK(cnn_network_predict_f32(network, 1000, x, 30, z, 5, workspace + 1, sizes[i]) ==
              CNN_OK);
        CHECK(memcmp(y, z, 1000 * 5 * sizeof *y) == 0);
        free(workspace);
    }
    char small[64];
    REFUSED(cnn_network_predict_f32(network, 1000, x, 30, z, 5, small, sizeof small),
            CNN_ERROR_ARGUMENT, "workspace has 64 bytes");
    free(x);
    free(y);
    free(z);
    cnn_network_destroy(network);
}

static void test_bad_networks(void)
{
    cnn_network *network = NULL;
    cnn_layer layers[2] = {dense(3, 4, CNN_RELU), dense(5, 2, CNN_SOFTMAX)};
    REFUSED(cnn_network_create(CNN_FLOAT32, 2, layers, 0, &network), CNN_ERROR_ARGUMENT,
            "layer 1 has 5 inputs, but the layer before it has 4 outputs");
    layers[1].inputs = 4;
    layers[0].activation = CNN_SOFTMAX;
    REFUSED(cnn_network_create(CNN_FLOAT32, 2, layers, 0, &network), CNN_ERROR_ARGUMENT,
            "belongs in the last layer");
    layers[0].activation = (cnn_activation)99;
    REFUSED(cnn_network_create(CNN_FLOAT32, 2, layers, 0, &network), CNN_ERROR_ARGUMENT,
            "activation 99");
    layers[0] = dense(SIZE_MAX / 2, 4, CNN_RELU);
    REFUSED(cnn_network_create(CNN_FLOAT32, 2, layers, 0, &network), CNN_ERROR_MEMORY, "too large");
    layers[0] = dense(0, 4, CNN_RELU);
    REFUSED(cnn_network_create(CNN_FLOAT32, 2, layers, 0, &network), CNN_ERROR_ARGUMENT,
            "0 inputs");
    layers[0] = dense(3, 4, CNN_RELU);
    layers[0].struct_size = 1;
    REFUSED(cnn_network_create(CNN_FLOAT32, 2, layers, 0, &network), CNN_ERROR_ARGUMENT,
            "struct_size 1");
    layers[0] = dense(3, 4, CNN_RELU);
    layers[0].l2 = NAN;
    REFUSED(cnn_network_create(CNN_FLOAT32, 2, layers, 0, &network), CNN_ERROR_ARGUMENT, "l2");
    REFUSED(cnn_network_create(CNN_INT8, 2, layers, 0, &network), CNN_ERROR_TYPE, "dtype is 4");
    REFUSED(cnn_network_create(CNN_FLOAT32, 0, layers, 0, &network), CNN_ERROR_ARGUMENT,
            "at least one layer");
    REFUSED(cnn_network_create(CNN_FLOAT32, 2, NULL, 0, &network), CNN_ERROR_ARGUMENT, "NULL");
    CHECK(network == NULL);
}

/* A layer's alpha is the number of its activation: 0 is the default, which comes back as itself. */
static void test_alpha(void)
{
    cnn_network *network = NULL;
    cnn_layer layer = dense(2, 2, CNN_LEAKY_RELU), told = {.struct_size = sizeof told};
    const double good[] = {0, 0.2, CNN_LEAST_ALPHA, CNN_LARGEST};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        layer.alpha = good[i];
        CHECK(cnn_network_create(CNN_FLOAT32, 1, &layer, 0, &network) == CNN_OK);
        CHECK(cnn_network_layer(network, 0, &told) == CNN_OK);
        CHECK(told.alpha == (good[i] == 0 ? 0.01 : good[i]));
        cnn_network_destroy(network);
    }
    network = NULL;
    const double bad[] = {-1, NAN, INFINITY, -INFINITY, 1e-31, 1e31};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        layer.alpha = bad[i];
        REFUSED(cnn_network_create(CNN_FLOAT32, 1, &layer, 0, &network), CNN_ERROR_ARGUMENT,
                "the slope of leaky_relu, should be from 1e-30 to 1e+30, or 0 for 0.01");
    }
    layer = dense(2, 2, CNN_RELU);
    layer.alpha = 0.01;
    REFUSED(cnn_network_create(CNN_FLOAT32, 1, &layer, 0, &network), CNN_ERROR_ARGUMENT,
            "layer 0 has alpha 0.01, but relu has no number: should be 0");
    CHECK(network == NULL);

    const float x[2] = {-1, 2}, one[2] = {1, 1};
    float y[2], dx[2];
    CHECK(cnn_activation_forward_alpha_f32(CNN_LEAKY_RELU, 0.25, 1, 2, x, 2, y, 2) == CNN_OK);
    CHECK(y[0] == -0.25f && y[1] == 2);
    CHECK(cnn_activation_backward_alpha_f32(CNN_LEAKY_RELU, 0.25, 1, 2, one, y, dx) == CNN_OK);
    CHECK(dx[0] == 0.25f && dx[1] == 1);
    CHECK(cnn_dense_forward_alpha_f32(1, 1, 2, one, 1, x, NULL, CNN_LEAKY_RELU, 0, y, 2) == CNN_OK);
    CHECK(y[0] == -0.01f && y[1] == 2);
    REFUSED(cnn_activation_forward_alpha_f32(CNN_ELU, -1, 1, 2, x, 2, y, 2), CNN_ERROR_ARGUMENT,
            "activation has alpha -1, the alpha of elu");
    REFUSED(cnn_dense_forward_alpha_f32(1, 1, 2, one, 1, x, NULL, CNN_TANH, 1, y, 2),
            CNN_ERROR_ARGUMENT, "tanh has no number");
}

static void test_bad_calls(void)
{
    cnn_network *network = make_network(2, 4, 2);
    float y[8];
    double values[16];
    REFUSED(cnn_network_predict_f32(network, 4, NULL, 2, y, 2, NULL, 0), CNN_ERROR_ARGUMENT,
            "x is NULL");
    REFUSED(cnn_network_predict_f32(network, 4, xor_x, 1, y, 2, NULL, 0), CNN_ERROR_ARGUMENT,
            "x_stride is 1");
    REFUSED(cnn_network_predict_f32(network, 2, xor_x, 2, y, SIZE_MAX, NULL, 0), CNN_ERROR_MEMORY,
            "y of 2 rows with stride");
    REFUSED(cnn_network_predict_f32(network, SIZE_MAX, xor_x, 2, y, 2, NULL, 0), CNN_ERROR_MEMORY,
            "too large");
    REFUSED(cnn_network_predict_f64(network, 2, values, 2, values + 8, 2, NULL, 0), CNN_ERROR_TYPE,
            "x is float64, the network is float32");
    REFUSED(cnn_network_set_f32(network, 0, CNN_WEIGHT, xor_x, 3), CNN_ERROR_ARGUMENT,
            "count is 3, should be 8");
    REFUSED(cnn_network_set_f32(network, 9, CNN_WEIGHT, xor_x, 8), CNN_ERROR_ARGUMENT, "layer 9");
    cnn_data data = xor_data();
    cnn_result result = {.struct_size = sizeof result};
    cnn_loss loss = cross_entropy;
    loss.kind = CNN_SQUARED_ERROR;
    loss.target = CNN_TARGET_ROWS;
    data.t = model_matrix(xor_x, CNN_FLOAT32, 4, 2, sizeof(float));
    REFUSED(cnn_network_evaluate(network, &loss, &data, &result), CNN_ERROR_ARGUMENT,
            "squared_error does not go with the output layer's softmax");
    const uint8_t labels[4] = {0, 1, 2, 0};
    data.t = model_matrix(labels, CNN_UINT8, 4, 1, 1);
    REFUSED(cnn_network_evaluate(network, &cross_entropy, &data, &result), CNN_ERROR_ARGUMENT,
            "t has label 2 in row 2, but the output layer has 2 classes (labels 0 to 1)");
    cnn_optimizer optimizer = adam;
    optimizer.beta2 = 1;
    cnn_trainer *trainer = NULL;
    REFUSED(cnn_trainer_create(network, &optimizer, &trainer), CNN_ERROR_ARGUMENT, "beta2 is 1");
    CHECK(trainer == NULL);
    cnn_network_destroy(network);
}

/* A failed epoch leaves weights as they were, even where only its last row is bad. */
static void test_epoch_is_checked_first(void)
{
    cnn_network *network = make_network(2, 4, 2), *before = NULL;
    cnn_trainer *trainer = NULL;
    CHECK(cnn_trainer_create(network, &adam, &trainer) == CNN_OK);
    CHECK(cnn_network_copy(network, &before) == CNN_OK);
    const uint8_t labels[4] = {0, 1, 1, 7};
    cnn_data data = xor_data();
    data.t = model_matrix(labels, CNN_UINT8, 4, 1, 1);
    const size_t index[4] = {0, 1, 2, 3}, far[1] = {4};
    const double lr[4] = {0.1, 0.1, 0.1, 0.1};
    cnn_result result = {.struct_size = sizeof result};
    REFUSED(cnn_trainer_epoch(trainer, &cross_entropy, &data, index, 4, 1, lr, 0, &result),
            CNN_ERROR_ARGUMENT, "label 7 in row 3");
    data = xor_data();
    REFUSED(cnn_trainer_epoch(trainer, &cross_entropy, &data, far, 1, 1, lr, 0, &result),
            CNN_ERROR_ARGUMENT, "index has row 4, but x has 4 rows");
    float a[8], b[8];
    CHECK(cnn_network_get_f32(network, 0, CNN_WEIGHT, a, 8) == CNN_OK);
    CHECK(cnn_network_get_f32(before, 0, CNN_WEIGHT, b, 8) == CNN_OK);
    CHECK(memcmp(a, b, sizeof a) == 0);
    CHECK(cnn_trainer_steps(trainer) == 0);
    cnn_trainer_destroy(trainer);
    cnn_network_destroy(network);
    cnn_network_destroy(before);
}

/* A loss that is not finite stops before its update, and a snapshot brings the past back. */
static void test_nonfinite(void)
{
    cnn_network *network = make_network(2, 4, 2);
    cnn_trainer *trainer = NULL;
    CHECK(cnn_trainer_create(network, &adam, &trainer) == CNN_OK);
    cnn_data data = xor_data();
    cnn_result result = {.struct_size = sizeof result};
    REFUSED(cnn_trainer_restore(trainer), CNN_ERROR_ARGUMENT, "no snapshot");
    CHECK(cnn_trainer_step(trainer, &cross_entropy, &data, 0.01, &result) == CNN_OK);
    CHECK(cnn_trainer_snapshot(trainer) == CNN_OK);
    float a[8], b[8];
    CHECK(cnn_network_get_f32(network, 0, CNN_WEIGHT, a, 8) == CNN_OK);
    CHECK(cnn_trainer_step(trainer, &cross_entropy, &data, 0.01, &result) == CNN_OK);
    const float bad[8] = {0, 0, 0, NAN, 1, 0, 1, 1};
    data.x.data = bad;
    REFUSED(cnn_trainer_step(trainer, &cross_entropy, &data, 0.01, &result), CNN_ERROR_NONFINITE,
            "the loss is");
    CHECK(cnn_trainer_steps(trainer) == 2);
    CHECK(cnn_trainer_restore(trainer) == CNN_OK);
    CHECK(cnn_trainer_steps(trainer) == 1);
    CHECK(cnn_network_get_f32(network, 0, CNN_WEIGHT, b, 8) == CNN_OK);
    CHECK(memcmp(a, b, sizeof a) == 0);
    cnn_trainer_destroy(trainer);
    cnn_network_destroy(network);
}

/* An empty sum is 0, and is written: no inputs, no outputs, or no rows. */
static void test_empty_dense(void)
{
    const float ones[4] = {1, 1, 1, 1};
    float dx[4] = {9, 9, 9, 9}, dw[4] = {9, 9, 9, 9}, db[2] = {9, 9};
    CHECK(cnn_dense_backward_f32(2, 2, 0, ones, ones, ones, dx, NULL, NULL) == CNN_OK);
    CHECK(dx[0] == 0 && dx[1] == 0 && dx[2] == 0 && dx[3] == 0);
    CHECK(cnn_dense_backward_f32(2, 0, 2, ones, ones, ones, NULL, NULL, db) == CNN_OK);
    CHECK(db[0] == 2 && db[1] == 2);
    CHECK(cnn_dense_backward_f32(0, 2, 2, ones, ones, ones, NULL, dw, db) == CNN_OK);
    CHECK(dw[0] == 0 && dw[3] == 0 && db[0] == 0 && db[1] == 0);
}

/* Rows that begin at odd addresses are converted, block by block, whatever the block's size. */
static void test_unaligned_rows(void)
{
    cnn_network *network = make_network(3, 4, 2);
    char bytes[5 * 13 + 12];
    float x[15], y[10], z[10];
    for (size_t i = 0; i < 15; i++)
        x[i] = (float)i / 15;
    for (size_t i = 0; i < 5; i++)
        memcpy(bytes + 13 * i, x + 3 * i, 12);
    cnn_matrix m = model_matrix(bytes, CNN_FLOAT32, 5, 3, 4);
    m.row_stride = 13;
    char workspace[512];
    CHECK(cnn_network_predict_f32(network, 5, x, 3, y, 2, NULL, 0) == CNN_OK);
    CHECK(cnn_network_predict(network, &m, z, 2, workspace, sizeof workspace) == CNN_OK);
    CHECK(memcmp(y, z, sizeof y) == 0);
    cnn_network_destroy(network);
}

/* A row of NaN is no class's, not even that of class 0. */
static void test_nan_is_not_correct(void)
{
    cnn_network *network = make_network(2, 4, 2);
    const float bad[8] = {NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN};
    cnn_data data = xor_data();
    data.x.data = bad;
    cnn_result result = {.struct_size = sizeof result};
    CHECK(cnn_network_evaluate(network, &cross_entropy, &data, &result) == CNN_OK);
    CHECK(result.rows == 4 && result.correct == 0);
    cnn_network_destroy(network);
}

/* Going back brings the step counter along with weights and slots, and training goes on. */
static void test_restore_is_whole(void)
{
    cnn_network *network = make_network(2, 4, 2);
    cnn_optimizer optimizer = adam;
    optimizer.beta2 = 1 - 1e-12;
    cnn_trainer *trainer = NULL;
    CHECK(cnn_trainer_create(network, &optimizer, &trainer) == CNN_OK);
    const cnn_data data = xor_data();
    cnn_result result = {.struct_size = sizeof result};
    CHECK(cnn_trainer_snapshot(trainer) == CNN_OK);
    CHECK(cnn_trainer_step(trainer, &cross_entropy, &data, 0.01, &result) == CNN_OK);
    CHECK(cnn_trainer_restore(trainer) == CNN_OK);
    CHECK(cnn_trainer_steps(trainer) == 0);
    CHECK(cnn_trainer_step(trainer, &cross_entropy, &data, 0.01, &result) == CNN_OK);
    CHECK(cnn_trainer_steps(trainer) == 1);
    cnn_trainer_destroy(trainer);
    cnn_network_destroy(network);
}

static void test_no_handle(void)
{
    CHECK(cnn_network_inputs(NULL) == 0 && cnn_network_outputs(NULL) == 0);
    CHECK(cnn_network_metadata(NULL, "a") == NULL && cnn_network_metadata_key(NULL, 0) == NULL);
    CHECK(cnn_network_workspace_size(NULL, 1) == 0 && cnn_trainer_steps(NULL) == 0);
    cnn_network_destroy(NULL);
    cnn_trainer_destroy(NULL);
}

static void test_metadata(void)
{
    cnn_network *network = make_network(2, 4, 2);
    CHECK(cnn_network_metadata(network, "a") == NULL);
    CHECK(cnn_network_set_metadata(network, "a", "1") == CNN_OK);
    CHECK(cnn_network_set_metadata(network, "b", "2") == CNN_OK);
    CHECK(cnn_network_set_metadata(network, "a", "3") == CNN_OK);
    CHECK(cnn_network_metadata_count(network) == 2);
    CHECK(strcmp(cnn_network_metadata(network, "a"), "3") == 0);
    CHECK(cnn_network_set_metadata(network, "a", NULL) == CNN_OK);
    CHECK(cnn_network_metadata_count(network) == 1);
    CHECK(strcmp(cnn_network_metadata_key(network, 0), "b") == 0);
    CHECK(cnn_network_metadata_key(network, 1) == NULL);
    cnn_network_destroy(network);
}

/* What a dropout layer has in fields that are for dense layers makes no difference. */
static void test_fields_of_dropout(void)
{
    enum { INPUTS = 3, HIDDEN = 5, PARAMETERS = INPUTS * HIDDEN + HIDDEN + HIDDEN + 1 };
    const float x[2 * INPUTS] = {1, -2, 3, -4, 5, -6}, t[2] = {1, 2};
    const size_t size = sizeof(cnn_layer), struct_size = sizeof(cnn_matrix);
    const cnn_data data = {
        .struct_size = sizeof data,
        .x = {struct_size, x, CNN_FLOAT32, 2, INPUTS, INPUTS * sizeof *x, sizeof *x},
        .t = {struct_size, t, CNN_FLOAT32, 2, 1, sizeof *t, sizeof *t},
        .sample_weight = {.struct_size = struct_size},
    };
    const cnn_loss loss = {.struct_size = sizeof loss};
    float gradients[2][PARAMETERS];
    for (int i = 0; i < 2; i++) {
        const cnn_layer dropout = i == 0 ? (cnn_layer){.kind = CNN_LAYER_DROPOUT, .rate = 0.5}
                                         : (cnn_layer){.kind = CNN_LAYER_DROPOUT,
                                                       .inputs = 7,
                                                       .outputs = 9,
                                                       .l2 = 0.5,
                                                       .rate = 0.5,
                                                       .alpha = 3};
        cnn_layer layers[] = {
            {.struct_size = size, .inputs = INPUTS, .outputs = HIDDEN, .activation = CNN_TANH},
            dropout,
            {.struct_size = size, .inputs = HIDDEN, .outputs = 1},
        };
        layers[1].struct_size = size;
        if (i == 1)
            layers[1].activation = (cnn_activation)1000;
        cnn_network *network = NULL;
        CHECK(cnn_network_create(CNN_FLOAT32, 3, layers, 1, &network) == CNN_OK);
        CHECK(cnn_network_initialize(network, 0, CNN_INIT_GLOROT_UNIFORM, 0) == CNN_OK);
        CHECK(cnn_network_initialize(network, 2, CNN_INIT_GLOROT_UNIFORM, 0) == CNN_OK);
        double value;
        CHECK(cnn_network_gradients(network, &loss, &data, 4, &value, gradients[i], PARAMETERS) ==
              CNN_OK);
        cnn_network_destroy(network);
    }
    CHECK(memcmp(gradients[0], gradients[1], sizeof gradients[0]) == 0);
}

int main(void)
{
    test_xor();
    test_workspace();
    test_bad_networks();
    test_alpha();
    test_bad_calls();
    test_epoch_is_checked_first();
    test_nonfinite();
    test_empty_dense();
    test_unaligned_rows();
    test_nan_is_not_correct();
    test_restore_is_whole();
    test_no_handle();
    test_metadata();
    test_fields_of_dropout();
    return check_finish();
}
