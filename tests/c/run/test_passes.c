/*
 * Passes over samples through cnn.h: one made by several calls, rows without weight, numbers that
 * are refused before the first step, and workspaces from the least one on.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "models.h"

enum { ROWS = 237, INPUTS = 5, CLASSES = 3, BATCH = 8 };

static float x[ROWS * INPUTS], targets[ROWS * CLASSES];
static uint8_t labels[ROWS];
static double weights[ROWS];
static size_t order[ROWS];
static double rates[ROWS];

static const cnn_loss cross_entropy = {
    .struct_size = sizeof(cnn_loss), .kind = CNN_CROSS_ENTROPY, .target = CNN_TARGET_LABELS};
static const cnn_loss squared_error = {.struct_size = sizeof(cnn_loss), .kind = CNN_SQUARED_ERROR};

static void fill(void)
{
    for (size_t i = 0; i < ROWS; i++) {
        for (size_t j = 0; j < INPUTS; j++)
            x[i * INPUTS + j] = (float)((i * 31 + j * 17) % 101) / 101 - 0.5f;
        for (size_t j = 0; j < CLASSES; j++)
            targets[i * CLASSES + j] = (float)((i + j) % 7) / 7;
        labels[i] = (uint8_t)(i * i % CLASSES);
        weights[i] = 0.1 + (double)(i % 13) / 7;
        order[i] = i * 100 % ROWS;
        rates[i] = 0.01;
    }
}

static cnn_network *make_network(size_t outputs, cnn_activation activation)
{
    const size_t size = sizeof(cnn_layer);
    const cnn_layer layers[] = {
        {.struct_size = size, .inputs = INPUTS, .outputs = 20, .activation = CNN_TANH, .l2 = 1e-3},
        {.struct_size = size, .inputs = 20, .outputs = outputs, .activation = activation}};
    cnn_network *network = NULL;
    CHECK(cnn_network_create(CNN_FLOAT32, 2, layers, 7, &network) == CNN_OK);
    for (size_t l = 0; l < 2; l++)
        CHECK(cnn_network_initialize(network, l, CNN_INIT_GLOROT_UNIFORM, 0) == CNN_OK);
    return network;
}

static cnn_trainer *make_trainer(cnn_network *network)
{
    const cnn_optimizer adam = {
        .struct_size = sizeof adam, .kind = CNN_ADAM, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
    cnn_trainer *trainer = NULL;
    CHECK(cnn_trainer_create(network, &adam, &trainer) == CNN_OK);
    return trainer;
}

/* Rows [first, end) with labels. */
static cnn_data samples(size_t first, size_t end)
{
    const size_t rows = end - first;
    const cnn_data data = {
        .struct_size = sizeof data,
        .x = model_matrix(x + first * INPUTS, CNN_FLOAT32, rows, INPUTS, sizeof *x),
        .t = model_matrix(labels + first, CNN_UINT8, rows, 1, 1),
        .sample_weight = model_matrix(weights + first, CNN_FLOAT64, rows, 1, sizeof *weights)};
    return data;
}

static void check_same(const cnn_result *a, const cnn_result *b)
{
    CHECK(a->loss_sum == b->loss_sum);
    CHECK(a->weight_sum == b->weight_sum);
    CHECK(a->rows == b->rows && a->correct == b->correct && a->steps == b->steps);
}

/* An evaluation cut anywhere, at numbers of rows that are no multiples of the lanes. */
static void test_evaluate_in_pieces(void)
{
    cnn_network *network = make_network(CLASSES, CNN_SOFTMAX);
    const cnn_data all = samples(0, ROWS);
    cnn_result whole = {.struct_size = sizeof whole};
    CHECK(cnn_network_evaluate(network, &cross_entropy, &all, &whole) == CNN_OK);
    for (size_t piece = 1; piece <= ROWS; piece += 6) {
        cnn_result result = {.struct_size = sizeof result, .accumulate = 1};
        for (size_t first = 0; first < ROWS; first += piece) {
            const size_t end = first + piece < ROWS ? first + piece : ROWS;
            const cnn_data some = samples(first, end);
            CHECK(cnn_network_evaluate(network, &cross_entropy, &some, &result) == CNN_OK);
        }
        check_same(&result, &whole);
    }
    cnn_network_destroy(network);
}

/* An epoch in calls of some rows, each ended by its time as well. */
static void test_epoch_in_pieces(void)
{
    const cnn_data all = samples(0, ROWS);
    cnn_result whole = {.struct_size = sizeof whole};
    for (size_t batches = 0; batches < 5; batches++) {
        cnn_network *network = make_network(CLASSES, CNN_SOFTMAX);
        cnn_trainer *trainer = make_trainer(network);
        cnn_result result = {.struct_size = sizeof result, .accumulate = 1};
        while (result.rows < ROWS) {
            size_t count = ROWS - result.rows;
            if (batches > 0 && count > batches * BATCH)
                count = batches * BATCH;
            CHECK(cnn_trainer_epoch(trainer, &cross_entropy, &all, order + result.rows, count,
                                    BATCH, rates, batches % 2 ? 1e-9 : 0, &result) == CNN_OK);
        }
        if (batches == 0)
            whole = result;
        check_same(&result, &whole);
        CHECK(result.steps == (ROWS + BATCH - 1) / BATCH);
        cnn_trainer_destroy(trainer);
        cnn_network_destroy(network);
    }
}

/* Without `accumulate`, and in the struct before there was such a field, a call is a whole pass. */
static void test_results_of_one_call(void)
{
    cnn_network *network = make_network(CLASSES, CNN_SOFTMAX);
    const cnn_data all = samples(0, ROWS);
    cnn_result whole = {.struct_size = sizeof whole}, again;
    CHECK(cnn_network_evaluate(network, &cross_entropy, &all, &whole) == CNN_OK);
    again = whole;
    CHECK(cnn_network_evaluate(network, &cross_entropy, &all, &again) == CNN_OK);
    check_same(&again, &whole);
    CHECK(again.struct_size == sizeof again);
    memset(&again, 0x55, sizeof again);
    again.struct_size = offsetof(cnn_result, accumulate);
    CHECK(cnn_network_evaluate(network, &cross_entropy, &all, &again) == CNN_OK);
    check_same(&again, &whole);
    CHECK(again.struct_size == offsetof(cnn_result, accumulate));
    const unsigned char *behind = (const unsigned char *)&again.accumulate;
    for (size_t i = 0; i < sizeof again - offsetof(cnn_result, accumulate); i++)
        CHECK(behind[i] == 0x55);
    again.struct_size = sizeof again - 8;
    REFUSED(cnn_network_evaluate(network, &cross_entropy, &all, &again), CNN_ERROR_ARGUMENT,
            "struct_size");
    cnn_network_destroy(network);
}

static void test_no_weight(void)
{
    cnn_network *network = make_network(CLASSES, CNN_SOFTMAX);
    cnn_trainer *trainer = make_trainer(network);
    double zeros[ROWS] = {0}, value = 5;
    static float gradients[1024];
    cnn_data data = samples(0, ROWS);
    data.sample_weight.data = zeros;
    cnn_result result = {.struct_size = sizeof result, .rows = 3};
    const char *const text = "sample_weight is 0 in all rows, should be more in one at least";
    REFUSED(cnn_network_evaluate(network, &cross_entropy, &data, &result), CNN_ERROR_ARGUMENT,
            text);
    REFUSED(cnn_trainer_step(trainer, &cross_entropy, &data, 0.1, &result), CNN_ERROR_ARGUMENT,
            text);
    REFUSED(
        cnn_trainer_epoch(trainer, &cross_entropy, &data, order, ROWS, BATCH, rates, 0, &result),
        CNN_ERROR_ARGUMENT, text);
    REFUSED(cnn_network_gradients(network, &cross_entropy, &data, -1, &value, gradients,
                                  cnn_network_parameter_count(network)),
            CNN_ERROR_ARGUMENT, text);
    REFUSED(cnn_loss_gradient_f32(&squared_error, ROWS, CLASSES, targets, CLASSES,
                                  &(cnn_matrix){.struct_size = sizeof(cnn_matrix),
                                                .data = targets,
                                                .rows = ROWS,
                                                .cols = CLASSES,
                                                .row_stride = CLASSES * sizeof *targets,
                                                .col_stride = sizeof *targets},
                                  &data.sample_weight, &value, gradients),
            CNN_ERROR_ARGUMENT, text);
    CHECK(value == 5 && result.rows == 3 && cnn_trainer_steps(trainer) == 0);
    cnn_loss loss = cross_entropy;
    loss.class_weight = zeros;
    data.sample_weight.data = NULL;
    REFUSED(cnn_network_evaluate(network, &loss, &data, &result), CNN_ERROR_ARGUMENT,
            "class_weight is 0 in all rows");
    data.sample_weight.data = weights;
    REFUSED(cnn_network_evaluate(network, &loss, &data, &result), CNN_ERROR_ARGUMENT,
            "sample_weight times class_weight is 0 in all rows");
    cnn_trainer_destroy(trainer);
    cnn_network_destroy(network);
}

/* Batches of weight 0 between others: no step, and no rate is taken. */
static void test_batches_without_weight(void)
{
    double some[ROWS], lr[ROWS];
    for (size_t i = 0; i < ROWS; i++) {
        some[i] = i / BATCH % 3 == 1 ? 0 : weights[i];
        lr[i] = 0.1 / (double)(i + 1);
    }
    float found[2][INPUTS * 20];
    for (size_t k = 0; k < 2; k++) {
        cnn_network *network = make_network(CLASSES, CNN_SOFTMAX);
        cnn_trainer *trainer = make_trainer(network);
        cnn_data data = samples(0, ROWS);
        data.sample_weight.data = some;
        size_t index[ROWS], count = 0;
        for (size_t i = 0; i < ROWS; i++)
            if (k == 0 || some[i] > 0)
                index[count++] = i;
        cnn_result result = {.struct_size = sizeof result};
        CHECK(cnn_trainer_epoch(trainer, &cross_entropy, &data, index, count, BATCH, lr, 0,
                                &result) == CNN_OK);
        CHECK(result.rows == count && result.steps == (count + BATCH - 1) / BATCH);
        CHECK(cnn_trainer_steps(trainer) == 20);
        CHECK(cnn_network_get_f32(network, 0, CNN_WEIGHT, found[k], INPUTS * 20) == CNN_OK);
        cnn_trainer_destroy(trainer);
        cnn_network_destroy(network);
    }
    CHECK(memcmp(found[0], found[1], sizeof found[0]) == 0);
}

/* A target that is not finite in the network's type, in the last row that is used. */
static void test_targets(void)
{
    cnn_network *network = make_network(CLASSES, CNN_IDENTITY);
    cnn_trainer *trainer = make_trainer(network);
    double wide[ROWS * CLASSES];
    for (size_t i = 0; i < ROWS * CLASSES; i++)
        wide[i] = targets[i];
    wide[order[ROWS - 1] * CLASSES + 2] = 1e39;
    cnn_data data = samples(0, ROWS);
    data.t = model_matrix(wide, CNN_FLOAT64, ROWS, CLASSES, sizeof *wide);
    cnn_result result = {.struct_size = sizeof result};
    REFUSED(
        cnn_trainer_epoch(trainer, &squared_error, &data, order, ROWS, BATCH, rates, 0, &result),
        CNN_ERROR_ARGUMENT, "column 2, which overflows float32, should be finite");
    CHECK(strstr(cnn_last_error(), "t has 1e+39 in row ") != NULL);
    cnn_loss poisson = squared_error;
    poisson.kind = CNN_POISSON;
    wide[order[ROWS - 1] * CLASSES + 2] = -1;
    REFUSED(cnn_trainer_epoch(trainer, &poisson, &data, order, ROWS, BATCH, rates, 0, &result),
            CNN_ERROR_ARGUMENT, "should be finite and at least 0");
    CHECK(cnn_trainer_steps(trainer) == 0);
    CHECK(cnn_trainer_epoch(trainer, &squared_error, &data, order, ROWS, BATCH, rates, 0,
                            &result) == CNN_OK);
    cnn_trainer_destroy(trainer);
    cnn_network_destroy(network);
}

/* Levels of the quantile loss, and one target for all outputs by a distance of 0. */
static void test_quantiles(void)
{
    cnn_network *network = make_network(CLASSES, CNN_IDENTITY);
    double levels[CLASSES] = {0.25, 0.5, 0.75}; /* what NULL means */
    float repeated[ROWS * CLASSES];
    for (size_t i = 0; i < ROWS * CLASSES; i++)
        repeated[i] = targets[i / CLASSES * CLASSES];
    cnn_loss loss = squared_error;
    loss.kind = CNN_QUANTILE;
    cnn_data data = samples(0, ROWS);
    cnn_result result[4];
    for (size_t k = 0; k < 4; k++) {
        result[k] = (cnn_result){.struct_size = sizeof result[k]};
        loss.quantiles = k % 2 ? levels : NULL;
        data.t =
            model_matrix(k / 2 ? repeated : targets, CNN_FLOAT32, ROWS, CLASSES, sizeof *targets);
        if (k < 2)
            data.t.col_stride = 0;
        CHECK(cnn_network_evaluate(network, &loss, &data, &result[k]) == CNN_OK);
        CHECK(result[k].loss_sum > 0 && result[k].loss_sum == result[0].loss_sum);
    }
    cnn_loss huber = loss;
    huber.kind = CNN_HUBER;
    REFUSED(cnn_network_evaluate(network, &huber, &data, &result[0]), CNN_ERROR_ARGUMENT,
            "quantiles belong to quantile, not to huber");
    levels[1] = 0.25;
    REFUSED(cnn_network_evaluate(network, &loss, &data, &result[0]), CNN_ERROR_ARGUMENT,
            "quantiles has 0.25 at index 1, should be more than 0.25, the one before");
    const double bad[] = {0, 1, -0.5, NAN, INFINITY};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        levels[2] = bad[i];
        levels[1] = 0.5;
        REFUSED(cnn_network_evaluate(network, &loss, &data, &result[0]), CNN_ERROR_ARGUMENT,
                "at index 2, should be more than 0 and less than 1");
    }
    cnn_network_destroy(network);
}

/* An input that is not finite stops before its step, even if tanh makes a finite loss of it. */
static void test_inputs(void)
{
    cnn_network *network = make_network(CLASSES, CNN_IDENTITY);
    cnn_trainer *trainer = make_trainer(network);
    double wide[ROWS * INPUTS];
    for (size_t i = 0; i < ROWS * INPUTS; i++)
        wide[i] = x[i];
    wide[100 * INPUTS + 3] = 1e39;
    cnn_data data = samples(0, ROWS);
    data.x = model_matrix(wide, CNN_FLOAT64, ROWS, INPUTS, sizeof *wide);
    data.t = model_matrix(targets, CNN_FLOAT32, ROWS, CLASSES, sizeof *targets);
    cnn_result result = {.struct_size = sizeof result};
    size_t index[ROWS];
    for (size_t i = 0; i < ROWS; i++)
        index[i] = i;
    REFUSED(
        cnn_trainer_epoch(trainer, &squared_error, &data, index, ROWS, BATCH, rates, 0, &result),
        CNN_ERROR_NONFINITE, "x has 1e+39 in row 100, column 3, which overflows float32");
    CHECK(result.steps == 12 && cnn_trainer_steps(trainer) == 12);
    CHECK(cnn_network_evaluate(network, &squared_error, &data, &result) == CNN_OK);
    CHECK(result.nonfinite_rows == 1 && isfinite(result.loss_sum));
    data.x = samples(0, ROWS).x;
    CHECK(cnn_network_evaluate(network, &squared_error, &data, &result) == CNN_OK);
    CHECK(result.nonfinite_rows == 0);
    cnn_trainer_destroy(trainer);
    cnn_network_destroy(network);
}

static void test_one_class(void)
{
    cnn_network *network = make_network(1, CNN_SOFTMAX);
    cnn_data data = samples(0, 1);
    cnn_result result = {.struct_size = sizeof result};
    REFUSED(cnn_network_evaluate(network, &cross_entropy, &data, &result), CNN_ERROR_ARGUMENT,
            "sigmoid with binary_cross_entropy, or 2 outputs");
    float y;
    CHECK(cnn_network_predict_f32(network, 1, x, INPUTS, &y, 1, NULL, 0) == CNN_OK && y == 1);
    cnn_network_destroy(network);
}

/* The workspace for one row does for any number, at any address; a refusal names the least size. */
static void test_least_workspace(size_t inputs, size_t hidden, size_t outputs)
{
    const size_t size = sizeof(cnn_layer);
    const cnn_layer layers[] = {
        {.struct_size = size, .inputs = inputs, .outputs = hidden, .activation = CNN_RELU},
        {.struct_size = size, .inputs = hidden, .outputs = outputs}};
    const size_t rows[] = {1, 2, 3, 17, 100, 1000};
    cnn_network *network = NULL;
    CHECK(cnn_network_create(CNN_FLOAT32, 2, layers, 7, &network) == CNN_OK);
    for (size_t l = 0; l < 2; l++)
        CHECK(cnn_network_initialize(network, l, CNN_INIT_GLOROT_UNIFORM, 0) == CNN_OK);
    float *in = calloc(1000 * inputs, sizeof *in);
    float *y = calloc(1000 * outputs, sizeof *y), *z = calloc(1000 * outputs, sizeof *z);
    for (size_t i = 0; i < 1000 * inputs; i += 3) /* with zeros, which are left out */
        in[i] = (float)(i % 17) / 17;
    const size_t least = cnn_network_workspace_size(network, 1);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CHECK(cnn_network_workspace_size(network, rows[i]) >= least);
        CHECK(cnn_network_predict_f32(network, rows[i], in, inputs, y, outputs, NULL, 0) == CNN_OK);
        for (size_t at = 0; at < 64; at += 9) {
            char *memory = malloc(at + least);
            memset(z, 0, 1000 * outputs * sizeof *z);
            CHECK(cnn_network_predict_f32(network, rows[i], in, inputs, z, outputs, memory + at,
                                          least) == CNN_OK);
            CHECK(memcmp(y, z, rows[i] * outputs * sizeof *y) == 0);
            free(memory);
        }
        char *memory = malloc(least);
        memset(z, 0x55, 1000 * outputs * sizeof *z);
        const float before = z[0];
        size_t stated = 0;
        REFUSED(cnn_network_predict_f32(network, rows[i], in, inputs, z, outputs, memory, 1),
                CNN_ERROR_ARGUMENT, "workspace has 1 bytes, needs at least");
        CHECK(memcmp(z, &before, sizeof before) == 0);
        const char *number = strstr(cnn_last_error(), "at least ");
        stated = number ? (size_t)strtoull(number + strlen("at least "), NULL, 10) : 0;
        CHECK(stated > 1 && stated <= least);
        CHECK(cnn_network_predict_f32(network, rows[i], in, inputs, z, outputs, memory, stated) ==
              CNN_OK);
        CHECK(memcmp(y, z, rows[i] * outputs * sizeof *y) == 0);
        free(memory);
    }
    free(in);
    free(y);
    free(z);
    cnn_network_destroy(network);
}

int main(void)
{
    fill();
    test_evaluate_in_pieces();
    test_epoch_in_pieces();
    test_results_of_one_call();
    test_no_weight();
    test_batches_without_weight();
    test_targets();
    test_quantiles();
    test_inputs();
    test_one_class();
    test_least_workspace(30, 70, 5);
    test_least_workspace(784, 50, 10);
    test_least_workspace(3, 2000, 1);
    test_least_workspace(3000, 8, 4);
    return check_finish();
}
