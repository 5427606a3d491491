/*
 * Standardize layers. A network that begins with one gives the same bits as the network without it
 * on rows that were standardized beforehand: in predict, evaluate, gradients, training and
 * derivatives.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "check.h"
#include "models.h"

enum { ROWS = 300, INPUTS = 21, HIDDEN = 37, OUTPUTS = 3 };
enum { PARAMETERS = (INPUTS + 1) * HIDDEN + (HIDDEN + 1) * OUTPUTS };

static const cnn_layer standardize = {
    .struct_size = sizeof(cnn_layer), .kind = CNN_LAYER_STANDARDIZE, .inputs = INPUTS};
static const cnn_layer dense[] = {
    {.struct_size = sizeof(cnn_layer),
     .inputs = INPUTS,
     .outputs = HIDDEN,
     .activation = CNN_TANH,
     .l2 = 1e-3},
    {.struct_size = sizeof(cnn_layer),
     .inputs = HIDDEN,
     .outputs = OUTPUTS,
     .activation = CNN_SOFTMAX},
};

static float mean[INPUTS], scale[INPUTS];
static float raw[ROWS][INPUTS];   /* with many zeros, as a nonzero index wants them */
static float ready[ROWS][INPUTS]; /* (raw - mean) / scale */
static uint8_t labels[ROWS];
static float weights[ROWS]; /* of samples; some are 0, and the first such row has a NaN */

static void fill(void)
{
    for (size_t j = 0; j < INPUTS; j++) {
        mean[j] = j % 3 == 0 ? 0 : (float)(j * j) - 40;
        scale[j] = j == 0 ? 1 : (float)exp(2.5 * sin((double)j));
    }
    for (size_t i = 0; i < ROWS; i++) {
        for (size_t j = 0; j < INPUTS; j++) {
            const double x = mean[j] + scale[j] * 2 * sin((double)(i * INPUTS + 3 * j));
            raw[i][j] = (i + j) % 7 < 4 ? 0 : (float)x;
        }
        labels[i] = (uint8_t)(i % OUTPUTS);
        weights[i] = i % 5 == 3 ? 0 : 1 + (float)(i % 4);
    }
    raw[3][5] = NAN;
    for (size_t i = 0; i < ROWS; i++)
        for (size_t j = 0; j < INPUTS; j++) {
            const float centred = raw[i][j] - mean[j];
            ready[i][j] = centred / scale[j];
        }
}

static cnn_matrix matrix(const void *data, cnn_dtype dtype, size_t cols, size_t size)
{
    return model_matrix(data, dtype, ROWS, cols, size);
}

static cnn_data data_of(float x[ROWS][INPUTS])
{
    return (cnn_data){
        .struct_size = sizeof(cnn_data),
        .x = matrix(x, CNN_FLOAT32, INPUTS, sizeof(float)),
        .t = matrix(labels, CNN_UINT8, 1, 1),
        .sample_weight = matrix(weights, CNN_FLOAT32, 1, sizeof(float)),
    };
}

static const cnn_loss loss = {
    .struct_size = sizeof loss, .kind = CNN_CROSS_ENTROPY, .target = CNN_TARGET_LABELS};

/* With a standardize layer or without; the same weights in both. */
static cnn_network *make(int with)
{
    const cnn_layer layers[] = {standardize, dense[0], dense[1]};
    cnn_network *network = NULL;
    float values[INPUTS * HIDDEN];
    CHECK(cnn_network_create(CNN_FLOAT32, with ? 3 : 2, with ? layers : dense, 7, &network) ==
          CNN_OK);
    for (size_t l = 0; l < 2; l++) {
        const size_t count = dense[l].inputs * dense[l].outputs;
        for (size_t i = 0; i < count; i++)
            values[i] = (float)(sin((double)(i + 5 * l)) / 4);
        CHECK(cnn_network_set_f32(network, l + (size_t)with, CNN_WEIGHT, values, count) == CNN_OK);
        CHECK(cnn_network_set_f32(network, l + (size_t)with, CNN_BIAS, values, dense[l].outputs) ==
              CNN_OK);
    }
    if (with) {
        CHECK(cnn_network_set_f32(network, 0, CNN_MEAN, mean, INPUTS) == CNN_OK);
        CHECK(cnn_network_set_f32(network, 0, CNN_SCALE, scale, INPUTS) == CNN_OK);
    }
    return network;
}

static int same_weights(const cnn_network *with, const cnn_network *without)
{
    float left[INPUTS * HIDDEN], right[INPUTS * HIDDEN];
    int same = 1;
    for (size_t l = 0; l < 2; l++)
        for (int parameter = CNN_WEIGHT; parameter <= CNN_BIAS; parameter++) {
            const size_t inputs = parameter == CNN_WEIGHT ? dense[l].inputs : 1;
            const size_t count = inputs * dense[l].outputs;
            CHECK(cnn_network_get_f32(with, l + 1, (cnn_parameter)parameter, left, count) ==
                  CNN_OK);
            CHECK(cnn_network_get_f32(without, l, (cnn_parameter)parameter, right, count) ==
                  CNN_OK);
            same &= memcmp(left, right, count * sizeof *left) == 0;
        }
    return same;
}

static int fixed_is_unchanged(const cnn_network *network)
{
    float found[INPUTS];
    CHECK(cnn_network_get_f32(network, 0, CNN_MEAN, found, INPUTS) == CNN_OK);
    int same = memcmp(found, mean, sizeof mean) == 0;
    CHECK(cnn_network_get_f32(network, 0, CNN_SCALE, found, INPUTS) == CNN_OK);
    return same & (memcmp(found, scale, sizeof scale) == 0);
}

/* ---- The same bits ----------------------------------------------------------------------- */

static void test_predict(void)
{
    cnn_network *with = make(1), *without = make(0);
    CHECK(cnn_network_inputs(with) == INPUTS);
    CHECK(cnn_network_parameter_count(with) == PARAMETERS);
    float y[ROWS][OUTPUTS], expected[ROWS][OUTPUTS];
    CHECK(cnn_network_predict_f32(without, ROWS, ready[0], INPUTS, expected[0], OUTPUTS, NULL, 0) ==
          CNN_OK);
    const size_t batches[] = {1, 7, ROWS};
    for (size_t b = 0; b < 3; b++) {
        const size_t size = cnn_network_workspace_size(with, batches[b]);
        void *workspace = check_memory(size);
        memset(y, 0, sizeof y);
        for (size_t i = 0; i < ROWS; i += batches[b]) {
            const size_t rows = ROWS - i < batches[b] ? ROWS - i : batches[b];
            CHECK(cnn_network_predict_f32(with, rows, raw[i], INPUTS, y[i], OUTPUTS, workspace,
                                          size) == CNN_OK);
        }
        CHECK(memcmp(y[4], expected[4], sizeof y - 4 * sizeof y[0]) == 0); /* row 3 has a NaN */
        free(workspace);
    }
    /* Rows of another type are converted into scratch, and standardized there. */
    double wide[ROWS][INPUTS];
    for (size_t i = 0; i < ROWS; i++)
        for (size_t j = 0; j < INPUTS; j++)
            wide[i][j] = raw[i][j];
    const cnn_matrix x = matrix(wide, CNN_FLOAT64, INPUTS, sizeof(double));
    CHECK(cnn_network_predict(with, &x, y, OUTPUTS, NULL, 0) == CNN_OK);
    CHECK(memcmp(y[4], expected[4], sizeof y - 4 * sizeof y[0]) == 0);
    cnn_network_destroy(with);
    cnn_network_destroy(without);
}

static void test_evaluate(void)
{
    cnn_network *with = make(1), *without = make(0);
    const cnn_data own = data_of(raw), expected = data_of(ready);
    cnn_result found = {.struct_size = sizeof found}, wanted = {.struct_size = sizeof wanted};
    CHECK(cnn_network_evaluate(with, &loss, &own, &found) == CNN_OK);
    CHECK(cnn_network_evaluate(without, &loss, &expected, &wanted) == CNN_OK);
    CHECK(memcmp(&found, &wanted, sizeof found) == 0);
    CHECK(found.nonfinite_rows == 0);
    /* A number that standardizing makes infinite is finite in x. */
    const float tiny = 1e-30f, large = 1e30f;
    cnn_network *steep = make(1);
    float scales[INPUTS];
    memcpy(scales, scale, sizeof scales);
    scales[2] = tiny;
    CHECK(cnn_network_set_f32(steep, 0, CNN_SCALE, scales, INPUTS) == CNN_OK);
    const float before = raw[0][2];
    raw[0][2] = large;
    CHECK(cnn_network_evaluate(steep, &loss, &own, &found) == CNN_OK);
    CHECK(found.nonfinite_rows == 0);
    raw[0][2] = INFINITY;
    CHECK(cnn_network_evaluate(steep, &loss, &own, &found) == CNN_OK);
    CHECK(found.nonfinite_rows == 1);
    raw[0][2] = before;
    cnn_network_destroy(steep);
    cnn_network_destroy(with);
    cnn_network_destroy(without);
}

static void test_gradients(void)
{
    cnn_network *with = make(1), *without = make(0);
    const cnn_data own = data_of(raw), expected = data_of(ready);
    float found[PARAMETERS], wanted[PARAMETERS];
    double value, wanted_value;
    CHECK(cnn_network_gradients(with, &loss, &own, -1, &value, found, PARAMETERS) == CNN_OK);
    CHECK(cnn_network_gradients(without, &loss, &expected, -1, &wanted_value, wanted, PARAMETERS) ==
          CNN_OK);
    CHECK(value == wanted_value);
    CHECK(memcmp(found, wanted, sizeof found) == 0);
    cnn_network_destroy(with);
    cnn_network_destroy(without);
}

static const cnn_optimizer optimizers[] = {
    {.struct_size = sizeof(cnn_optimizer), .kind = CNN_SGD},
    {.struct_size = sizeof(cnn_optimizer), .kind = CNN_MOMENTUM, .momentum = 0.9, .clip_norm = 0.5},
    {.struct_size = sizeof(cnn_optimizer),
     .kind = CNN_ADAMW,
     .beta1 = 0.9,
     .beta2 = 0.999,
     .eps = 1e-8,
     .weight_decay = 0.1},
};

/* Two epochs in another order of rows, then a step. */
static void train(cnn_network *network, const cnn_optimizer *optimizer, const cnn_data *data,
                  size_t batch_size)
{
    cnn_trainer *trainer = NULL;
    size_t index[ROWS];
    double lr[ROWS];
    for (size_t i = 0; i < ROWS; i++) {
        index[i] = i * 7 % ROWS;
        lr[i] = 0.01;
    }
    CHECK(cnn_trainer_create(network, optimizer, &trainer) == CNN_OK);
    CHECK(cnn_trainer_snapshot(trainer) == CNN_OK);
    for (int epoch = 0; epoch < 2; epoch++) {
        cnn_result result = {.struct_size = sizeof result};
        CHECK(cnn_trainer_epoch(trainer, &loss, data, index, ROWS, batch_size, lr, 0, &result) ==
              CNN_OK);
        if (epoch == 0)
            CHECK(cnn_trainer_restore(trainer) == CNN_OK);
    }
    cnn_result result = {.struct_size = sizeof result};
    CHECK(cnn_trainer_step(trainer, &loss, data, 0.01, &result) == CNN_OK);
    int finite_weights, finite_state;
    CHECK(cnn_trainer_finite(trainer, &finite_weights, &finite_state) == CNN_OK);
    CHECK(finite_weights && finite_state);
    cnn_trainer_destroy(trainer);
}

static void test_training(void)
{
    const cnn_data own = data_of(raw), expected = data_of(ready);
    const size_t batch_sizes[] = {1, 16, ROWS};
    for (size_t o = 0; o < 3; o++)
        for (size_t b = 0; b < 3; b++) {
            cnn_network *with = make(1), *without = make(0);
            train(with, &optimizers[o], &own, batch_sizes[b]);
            train(without, &optimizers[o], &expected, batch_sizes[b]);
            CHECK(same_weights(with, without));
            CHECK(fixed_is_unchanged(with));
            cnn_network_destroy(with);
            cnn_network_destroy(without);
        }
}

/* ---- Derivatives ------------------------------------------------------------------------- */

enum { FIRST = 4, FINITE = ROWS - FIRST }; /* the rows behind the NaN */

static float change[FINITE][OUTPUTS];

/* Whether dx (rows, INPUTS), dx_row elements apart, is `wanted` without gaps over the scales. */
static int is_divided(const float *dx, size_t dx_row, const float *wanted, size_t rows)
{
    int same = 1;
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < INPUTS; j++) {
            const float expected = wanted[i * INPUTS + j] / scale[j];
            same &= memcmp(&dx[i * dx_row + j], &expected, sizeof expected) == 0;
        }
    return same;
}

/* By calls without a tape, in the workspace for some rows, or in none for 0. */
static void check_alone(const cnn_network *with, const cnn_network *without, size_t rows,
                        size_t workspace_rows)
{
    enum { DX_ROW = INPUTS + 2 };
    const size_t results = rows * OUTPUTS * sizeof(float), jacobians = results * INPUTS;
    const size_t size = cnn_network_vjp_workspace_size(with, workspace_rows);
    const size_t more = cnn_network_jacobian_workspace_size(with, workspace_rows);
    float *y = check_memory(results), *wanted_y = check_memory(results);
    float *dx = check_memory(rows * DX_ROW * sizeof *dx), *jacobian = check_memory(jacobians);
    float *wanted = check_memory(jacobians);
    char *workspace = workspace_rows > 0 ? check_memory(size > more ? size : more) : NULL;
    CHECK(cnn_network_vjp_f32(without, rows, ready[FIRST], INPUTS, change[0], OUTPUTS, wanted_y,
                              OUTPUTS, wanted, INPUTS, NULL, 0) == CNN_OK);
    CHECK(cnn_network_vjp_f32(with, rows, raw[FIRST], INPUTS, change[0], OUTPUTS, y, OUTPUTS, dx,
                              DX_ROW, workspace, size) == CNN_OK);
    CHECK(memcmp(y, wanted_y, results) == 0);
    CHECK(is_divided(dx, DX_ROW, wanted, rows));
    memset(y, 0, results);
    CHECK(cnn_network_vjp_f32(with, rows, raw[FIRST], INPUTS, change[0], OUTPUTS, y, OUTPUTS, NULL,
                              0, workspace, size) == CNN_OK);
    CHECK(memcmp(y, wanted_y, results) == 0);
    CHECK(cnn_network_jacobian_f32(without, rows, ready[FIRST], INPUTS, NULL, 0, wanted, NULL, 0) ==
          CNN_OK);
    CHECK(cnn_network_jacobian_f32(with, rows, raw[FIRST], INPUTS, NULL, 0, jacobian, workspace,
                                   more) == CNN_OK);
    CHECK(is_divided(jacobian, INPUTS, wanted, rows * OUTPUTS));
    free(workspace);
    free(wanted);
    free(jacobian);
    free(dx);
    free(wanted_y);
    free(y);
}

static void check_tapes(const cnn_network *with, const cnn_network *without, size_t rows)
{
    float gradients[PARAMETERS], wanted[PARAMETERS];
    float *dx = check_memory(rows * INPUTS * sizeof *dx),
          *wanted_dx = check_memory(rows * sizeof raw[0]);
    cnn_matrix own = matrix(raw[FIRST], CNN_FLOAT32, INPUTS, sizeof(float));
    cnn_matrix expected = matrix(ready[FIRST], CNN_FLOAT32, INPUTS, sizeof(float));
    cnn_matrix dy = matrix(change, CNN_FLOAT32, OUTPUTS, sizeof(float));
    own.rows = expected.rows = dy.rows = rows;
    cnn_tape *tape = NULL, *other = NULL;
    CHECK(cnn_tape_create(with, &tape) == CNN_OK && cnn_tape_create(without, &other) == CNN_OK);
    CHECK(cnn_tape_forward(tape, &own, -1, NULL, 0) == CNN_OK);
    CHECK(cnn_tape_forward(other, &expected, -1, NULL, 0) == CNN_OK);
    CHECK(cnn_tape_backward(other, &dy, wanted, PARAMETERS, wanted_dx, INPUTS) == CNN_OK);
    CHECK(cnn_tape_backward(tape, &dy, gradients, PARAMETERS, NULL, 0) == CNN_OK);
    CHECK(memcmp(gradients, wanted, sizeof wanted) == 0);
    CHECK(cnn_tape_backward(tape, &dy, NULL, 0, dx, INPUTS) == CNN_OK);
    CHECK(is_divided(dx, INPUTS, wanted_dx, rows));
    memset(gradients, 0, sizeof gradients);
    memset(dx, 0, rows * INPUTS * sizeof *dx);
    CHECK(cnn_tape_backward(tape, &dy, gradients, PARAMETERS, dx, INPUTS) == CNN_OK);
    CHECK(memcmp(gradients, wanted, sizeof wanted) == 0);
    CHECK(is_divided(dx, INPUTS, wanted_dx, rows));
    cnn_tape_destroy(other);
    cnn_tape_destroy(tape);
    free(wanted_dx);
    free(dx);
}

/* The gradient with respect to x is that with respect to the standardized rows over the scales. */
static void test_derivatives(void)
{
    cnn_network *with = make(1), *without = make(0);
    for (size_t i = 0; i < FINITE; i++)
        for (size_t j = 0; j < OUTPUTS; j++)
            change[i][j] = (float)sin((double)(i * 7 + j));
    const size_t parts[] = {1, 2, OUTPUTS, 40, FINITE};
    for (size_t threads = 1; threads <= 3; threads++) {
        CHECK(cnn_threads_set(threads) == CNN_OK);
        for (size_t p = 0; p < sizeof parts / sizeof *parts; p++) {
            check_alone(with, without, parts[p], 0);
            check_alone(with, without, parts[p], 1);
            check_alone(with, without, parts[p], parts[p]);
            check_tapes(with, without, parts[p]);
        }
    }
    CHECK(cnn_threads_set(0) == CNN_OK);
    cnn_network_destroy(with);
    cnn_network_destroy(without);
}

/* ---- Building, reading and setting ------------------------------------------------------- */

static void test_defaults(void)
{
    const cnn_layer layers[] = {standardize, dense[0], dense[1]};
    cnn_network *network = NULL;
    double values[INPUTS];
    CHECK(cnn_network_create(CNN_FLOAT64, 3, layers, 7, &network) == CNN_OK);
    CHECK(cnn_network_get_f64(network, 0, CNN_MEAN, values, INPUTS) == CNN_OK);
    for (size_t j = 0; j < INPUTS; j++)
        CHECK(values[j] == 0);
    CHECK(cnn_network_get_f64(network, 0, CNN_SCALE, values, INPUTS) == CNN_OK);
    for (size_t j = 0; j < INPUTS; j++)
        CHECK(values[j] == 1);
    cnn_layer layer = {.struct_size = sizeof layer};
    CHECK(cnn_network_layer(network, 0, &layer) == CNN_OK);
    CHECK(layer.kind == CNN_LAYER_STANDARDIZE && layer.inputs == INPUTS && layer.outputs == INPUTS);
    cnn_network_destroy(network);
}

static void test_refusals(void)
{
    const cnn_layer dropout = {
        .struct_size = sizeof dropout, .kind = CNN_LAYER_DROPOUT, .rate = 0.5};
    cnn_layer none = standardize, narrow = standardize, uneven = standardize;
    none.inputs = 0;
    narrow.inputs = 2;
    uneven.outputs = 2;
    const struct {
        cnn_layer layers[3];
        size_t count;
        const char *text;
    } bad[] = {
        {{standardize}, 1, "layer 0 is a standardize layer, which belongs before"},
        {{dense[0], standardize, dense[1]}, 3, "layer 1 is a standardize layer"},
        {{standardize, standardize, dense[0]}, 3, "layer 0 is a standardize layer"},
        {{standardize, dropout, dense[0]}, 3, "layer 0 is a standardize layer"},
        {{none, dense[0], dense[1]}, 3, "layer 0 has 0 inputs"},
        {{uneven, dense[0], dense[1]}, 3, "layer 0 has 2 outputs, should have as many as its 21"},
        {{narrow, dense[0], dense[1]}, 3, "layer 1 has 21 inputs, but the layer before it has 2"},
    };
    cnn_network *network = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        REFUSED(cnn_network_create(CNN_FLOAT32, bad[i].count, bad[i].layers, 7, &network),
                CNN_ERROR_ARGUMENT, bad[i].text);
    CHECK(network == NULL);

    network = make(1);
    const float values[] = {NAN, INFINITY, 0, -1};
    float all[INPUTS];
    memcpy(all, scale, sizeof all);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        all[4] = values[i];
        REFUSED(cnn_network_set_f32(network, 0, CNN_SCALE, all, INPUTS), CNN_ERROR_ARGUMENT,
                "at [4], should be finite and more than 0");
        if (i < 2)
            REFUSED(cnn_network_set_f32(network, 0, CNN_MEAN, all, INPUTS), CNN_ERROR_ARGUMENT,
                    "at [4], should be finite");
    }
    REFUSED(cnn_network_set_f32(network, 0, CNN_MEAN, mean, INPUTS - 1), CNN_ERROR_ARGUMENT,
            "count is 20, should be 21");
    REFUSED(cnn_network_set_f32(network, 0, CNN_WEIGHT, mean, INPUTS), CNN_ERROR_ARGUMENT,
            "parameter is 0, should be 2 (mean) or 3 (scale)");
    REFUSED(cnn_network_set_f32(network, 1, CNN_MEAN, mean, INPUTS), CNN_ERROR_ARGUMENT,
            "parameter is 2, should be 0 (weight) or 1 (bias)");
    REFUSED(cnn_network_initialize(network, 0, CNN_INIT_ZEROS, 0), CNN_ERROR_ARGUMENT,
            "layer 0 is not a dense layer");
    CHECK(fixed_is_unchanged(network));
    cnn_network_destroy(network);
}

/* ---- Files ------------------------------------------------------------------------------- */

static void test_copies_and_files(void)
{
    cnn_network *network = make(1), *copy = NULL, *read = NULL;
    CHECK(cnn_network_copy(network, &copy) == CNN_OK);
    CHECK(fixed_is_unchanged(copy));
    void *bytes = NULL;
    size_t size = 0;
    CHECK(cnn_network_to_bytes(network, &bytes, &size) == CNN_OK);
    CHECK(cnn_network_from_bytes(bytes, size, &read) == CNN_OK);
    CHECK(fixed_is_unchanged(read));
    float y[2][OUTPUTS];
    CHECK(cnn_network_predict_f32(network, 1, raw[0], INPUTS, y[0], OUTPUTS, NULL, 0) == CNN_OK);
    CHECK(cnn_network_predict_f32(read, 1, raw[0], INPUTS, y[1], OUTPUTS, NULL, 0) == CNN_OK);
    CHECK(memcmp(y[0], y[1], sizeof y[0]) == 0);
    /* The scales are the last tensor of the file. */
    cnn_network *refused = NULL;
    memset((char *)bytes + size - sizeof(float), 0, sizeof(float));
    REFUSED(cnn_network_from_bytes(bytes, size, &refused), CNN_ERROR_MODEL_FILE,
            "layers.0.scale: scale has 0 at [20], should be finite and more than 0");
    CHECK(refused == NULL);
    cnn_bytes_free(bytes);
    cnn_network_destroy(read);
    cnn_network_destroy(copy);
    cnn_network_destroy(network);
}

int main(void)
{
    fill();
    for (size_t i = 0; cnn_isa_available(i); i++) {
        CHECK(cnn_isa_select(cnn_isa_available(i)) == CNN_OK);
        test_predict();
        test_evaluate();
        test_gradients();
        test_training();
        test_derivatives();
    }
    test_defaults();
    test_refusals();
    test_copies_and_files();
    return check_finish();
}
