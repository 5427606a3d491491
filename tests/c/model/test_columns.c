/*
 * Columns, scale and parametric_activation layers: what is refused, files, and training on any
 * number of threads, in blocks and by shards. tests/test_columns.py has their numbers.
 */
#include <math.h>
#include <string.h>

#include "check.h"
#include "models.h"

enum { ROWS = 500, INPUTS = 5, FEATURES = 4 + 1 + 3 + 2 + 3, HIDDEN = 17, OUTPUTS = 2 };

#define COLUMN(which) .struct_size = sizeof(cnn_column), .kind = CNN_COLUMN_##which

static const cnn_column table[INPUTS] = {
    {COLUMN(PERIODIC)},
    {COLUMN(ONE_HOT), .categories = 2},
    {COLUMN(EMBEDDING), .categories = 90},
    {COLUMN(NUMBER), .missing = 1},
    {COLUMN(ONE_HOT), .categories = 3},
};

static const cnn_layer columns = {
    .struct_size = sizeof(cnn_layer),
    .kind = CNN_LAYER_COLUMNS,
    .inputs = INPUTS,
    .columns = table,
    .clip = 3,
    .frequencies = 5,
    .periodic_size = 4,
    .embedding_size = 3,
};
static const cnn_layer scale = {.struct_size = sizeof(cnn_layer), .kind = CNN_LAYER_SCALE};
static const cnn_layer parametric = {
    .struct_size = sizeof(cnn_layer),
    .kind = CNN_LAYER_PARAMETRIC_ACTIVATION,
    .activation = CNN_MISH,
};

static const cnn_loss loss = {.struct_size = sizeof loss, .kind = CNN_SQUARED_ERROR};
static const cnn_optimizer adamw = {
    .struct_size = sizeof adamw,
    .kind = CNN_ADAMW,
    .beta1 = 0.9,
    .beta2 = 0.95,
    .eps = 1e-8,
    .weight_decay = 0.02,
};

static double x[ROWS][INPUTS], t[ROWS][OUTPUTS];

static void fill(void)
{
    for (size_t i = 0; i < ROWS; i++) {
        x[i][0] = 2 * sin((double)(3 * i));
        x[i][1] = (double)(i % 3) - (i % 7 == 0); /* -1 and 2 are no codes */
        x[i][2] = i % 50 == 0 ? 1e9 : (double)(i * i % 97);
        x[i][3] = i % 4 == 0 ? NAN : cos((double)i);
        x[i][4] = i % 11 == 0 ? NAN : (double)(i % 3);
        t[i][0] = x[i][0] * x[i][0];
        t[i][1] = sin((double)(i * i % 97));
    }
}

static cnn_data data_of(size_t rows)
{
    return (cnn_data){
        .struct_size = sizeof(cnn_data),
        .x = model_matrix(x, CNN_FLOAT64, rows, INPUTS, sizeof(double)),
        .t = model_matrix(t, CNN_FLOAT64, rows, OUTPUTS, sizeof(double)),
    };
}

static cnn_network *make(cnn_dtype dtype)
{
    cnn_network *network = NULL;
    const cnn_layer layers[] = {
        columns,
        scale,
        {DENSE(FEATURES, HIDDEN, CNN_IDENTITY), .parametrization = CNN_PARAMETRIZATION_NTK},
        parametric,
        {DROPOUT(0.25)},
        {DENSE(HIDDEN, OUTPUTS, CNN_IDENTITY)},
    };
    CHECK(cnn_network_create(dtype, 6, layers, 3, &network) == CNN_OK);
    CHECK(cnn_network_initialize(network, 0, CNN_INIT_NORMAL, 0.5) == CNN_OK);
    CHECK(cnn_network_initialize(network, 2, CNN_INIT_NORMAL, 0.3) == CNN_OK);
    CHECK(cnn_network_initialize(network, 5, CNN_INIT_TORCH, 0) == CNN_OK);
    return network;
}

/* ---- What is refused --------------------------------------------------------------------- */

/* A network that begins with a layer and has a dense one of FEATURES inputs is refused. */
static void refuse(cnn_layer first, const char *message)
{
    cnn_network *network = NULL;
    const cnn_layer layers[] = {first, {DENSE(FEATURES, 1, CNN_IDENTITY)}};
    REFUSED(cnn_network_create(CNN_FLOAT32, 2, layers, 0, &network), CNN_ERROR_ARGUMENT, message);
    CHECK(network == NULL);
}

/* The same for a column in the place of the first one. */
static void refuse_column(cnn_column column, const char *message)
{
    cnn_column changed[INPUTS];
    cnn_layer layer = columns;
    memcpy(changed, table, sizeof changed);
    changed[0] = column;
    layer.columns = changed;
    refuse(layer, message);
}

static void test_refused_columns(void)
{
    refuse_column((cnn_column){COLUMN(PERIODIC), .categories = 1},
                  "column 0, a periodic one, has 1 categories, should be 0");
    refuse_column((cnn_column){COLUMN(ONE_HOT)}, "has 0 categories, should be 1 to 16777216");
    refuse_column((cnn_column){COLUMN(EMBEDDING), .categories = CNN_MOST_CATEGORIES + 1},
                  "has 16777217 categories, should be 1 to 16777216");
    refuse_column((cnn_column){COLUMN(IGNORED), .missing = 1}, "has missing 1, should be 0");
    refuse_column((cnn_column){.struct_size = sizeof(cnn_column), .kind = CNN_COLUMN_KIND_COUNT},
                  "column 0 has kind 5");
    refuse_column((cnn_column){.struct_size = 3}, "struct_size 3");
    cnn_layer layer = columns;
    layer.columns = NULL;
    refuse(layer, "layer 0 has 5 inputs and no columns, needs both");
    layer = columns;
    layer.inputs = 0;
    refuse(layer, "layer 0 has 0 inputs");
    layer = columns;
    layer.clip = NAN;
    refuse(layer, "layer 0 has clip nan, should be from 0 to 1e+30");
    layer = columns;
    layer.frequencies = 257;
    refuse(layer, "layer 0 has frequencies 257, should be 1 to 256");
    layer = columns;
    layer.periodic_size = 1;
    refuse(layer, "layer 0 has periodic_size 1, should be 2 to 16");
    layer = columns;
    layer.embedding_size = 0;
    refuse(layer, "layer 0 has embedding_size 0, should be 1 to 1024");
    layer = columns;
    layer.outputs = FEATURES + 1;
    refuse(layer, "layer 0 has 14 outputs, should be 13, or 0");
    const cnn_column ignored = {COLUMN(IGNORED)};
    layer = (cnn_layer){.struct_size = sizeof layer, .kind = CNN_LAYER_COLUMNS, .inputs = 1};
    layer.columns = &ignored;
    refuse(layer, "layer 0 makes no features of its columns");
    layer.frequencies = 3;
    refuse(layer, "layer 0 has frequencies 3, but no periodic column: should be 0");
}

/* Layers in a wrong order. */
static void test_refused_orders(void)
{
    cnn_network *network = NULL;
    const cnn_layer dense = {DENSE(4, 4, CNN_IDENTITY)}, relu = {DENSE(4, 4, CNN_RELU)};
    cnn_layer wide = scale, softmax = parametric, first = scale;
    wide.inputs = 5;
    first.inputs = 4;
    softmax.activation = CNN_SOFTMAX;
    const struct {
        cnn_layer layers[3];
        const char *message;
    } cases[] = {
        {{dense, columns, dense}, "layer 1 is a columns layer, which belongs in the first place"},
        {{scale, dense, dense}, "layer 0 has 0 inputs"},
        {{dense, wide, dense}, "layer 1 has 5 inputs and 0 outputs, should have 4 of both, or 0"},
        {{dense, dense, scale}, "layer 2 is a scale layer, which belongs before a dense layer"},
        {{first, first, dense}, "layer 0 is a scale layer, which belongs before a dense layer"},
        {{parametric, dense, dense}, "layer 0 is a parametric_activation layer, which belongs"},
        {{relu, parametric, dense}, "layer 1 is a parametric_activation layer, which belongs"},
        {{dense, dense, parametric}, "layer 2 is a parametric_activation layer, which belongs"},
        {{dense, softmax, dense}, "layer 1 has activation 10, should be 0 to 18, and not 10"},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++)
        REFUSED(cnn_network_create(CNN_FLOAT32, 3, cases[c].layers, 0, &network),
                CNN_ERROR_ARGUMENT, cases[c].message);
    cnn_layer odd = dense;
    odd.parametrization = (cnn_parametrization)7;
    REFUSED(cnn_network_create(CNN_FLOAT32, 1, &odd, 0, &network), CNN_ERROR_ARGUMENT,
            "layer 0 has parametrization 7, should be 0 to 1");
}

static void test_refused_parameters(void)
{
    cnn_network *network = make(CNN_FLOAT32);
    float values[400] = {0};
    REFUSED(cnn_network_get_f32(network, 0, CNN_WEIGHT, values, 1), CNN_ERROR_ARGUMENT,
            "parameter is 0, should be 2 (mean) or 3 (scale) or 4 (embedding) or 5 (periodic)");
    REFUSED(cnn_network_set_f32(network, 1, CNN_FACTOR, values, 1), CNN_ERROR_ARGUMENT,
            "count is 1, should be 13");
    REFUSED(cnn_network_set_f32(network, 0, CNN_SCALE, values, INPUTS), CNN_ERROR_ARGUMENT,
            "scale has 0 at [0], should be finite and more than 0");
    REFUSED(cnn_network_get_f32(network, 4, CNN_MIX, values, 1), CNN_ERROR_ARGUMENT,
            "layer 4 is not a dense layer");
    REFUSED(cnn_network_initialize(network, 0, CNN_INIT_HE_UNIFORM, 0), CNN_ERROR_ARGUMENT,
            "initializer is 1 (he_uniform), should be 6 (normal) for a columns layer");
    REFUSED(cnn_network_initialize(network, 1, CNN_INIT_NORMAL, 1), CNN_ERROR_ARGUMENT,
            "layer 1 is not a dense layer");
    REFUSED(cnn_network_initialize(network, 2, CNN_INIT_NORMAL, -1), CNN_ERROR_ARGUMENT,
            "a is -1, should be finite");
    /* Parts of a table: 270 numbers. */
    CHECK(cnn_network_get_f32(network, 0, CNN_EMBEDDING, values, 270) == CNN_OK);
    CHECK(cnn_network_get_f32(network, 0, CNN_PERIODIC, values, 6 * 5 + 3) == CNN_ERROR_ARGUMENT);
    CHECK(cnn_network_get_f32(network, 0, CNN_PERIODIC, values, 5 * 5 + 3) == CNN_OK);
    cnn_network_destroy(network);
}

static void test_refused_schedules(void)
{
    cnn_network *network = make(CNN_FLOAT32);
    cnn_trainer *trainer = NULL;
    CHECK(cnn_trainer_create(network, &adamw, &trainer) == CNN_OK);
    REFUSED(cnn_trainer_set_group(trainer, 0, CNN_MEAN, 1), CNN_ERROR_ARGUMENT,
            "layer 0 has no mean that is trained");
    REFUSED(cnn_trainer_set_group(trainer, 9, CNN_WEIGHT, 1), CNN_ERROR_ARGUMENT,
            "layer 9 has no weight that is trained");
    REFUSED(cnn_trainer_set_group(trainer, 1, CNN_FACTOR, CNN_MOST_GROUPS), CNN_ERROR_ARGUMENT,
            "group is 64, should be less than 64");
    size_t group = 7;
    CHECK(cnn_trainer_set_group(trainer, 1, CNN_FACTOR, 2) == CNN_OK);
    CHECK(cnn_trainer_group(trainer, 1, CNN_FACTOR, &group) == CNN_OK && group == 2);
    CHECK(cnn_trainer_group(trainer, 2, CNN_WEIGHT, &group) == CNN_OK && group == 0);
    REFUSED(cnn_trainer_group(trainer, 1, CNN_MIX, &group), CNN_ERROR_ARGUMENT, "has no mix");
    const cnn_data data = data_of(4);
    const size_t index[] = {0, 1, 2, 3};
    const double lr[] = {0.1, 0.1, 0.1, -1}, large[] = {0.5, 1.5};
    cnn_result result = {.struct_size = sizeof result};
    cnn_schedule schedule = {.struct_size = sizeof schedule, .groups = 2, .lr = lr};
    REFUSED(cnn_trainer_epoch_scheduled(trainer, &loss, &data, index, 4, 4, &schedule, 0, &result),
            CNN_ERROR_ARGUMENT, "schedule has 2 groups, should be 1, or 3 to 64: a parameter is");
    schedule.groups = 4;
    REFUSED(cnn_trainer_epoch_scheduled(trainer, &loss, &data, index, 4, 4, &schedule, 0, &result),
            CNN_ERROR_ARGUMENT, "lr is -1");
    schedule.groups = 1;
    schedule.dropout = large;
    REFUSED(cnn_trainer_epoch_scheduled(trainer, &loss, &data, index, 4, 2, &schedule, 0, &result),
            CNN_ERROR_ARGUMENT, "dropout is 1.5 at 1, should be from 0 to 1");
    schedule.dropout = NULL;
    schedule.weight_decay = lr + 3;
    REFUSED(cnn_trainer_epoch_scheduled(trainer, &loss, &data, index, 4, 4, &schedule, 0, &result),
            CNN_ERROR_ARGUMENT, "weight_decay is -1 at 0, should be from 0 to 1e+30");
    schedule.lr = NULL;
    REFUSED(cnn_trainer_epoch_scheduled(trainer, &loss, &data, index, 4, 4, &schedule, 0, &result),
            CNN_ERROR_ARGUMENT, "lr is NULL");
    REFUSED(cnn_trainer_epoch_scheduled(trainer, &loss, &data, index, 4, 4, NULL, 0, &result),
            CNN_ERROR_ARGUMENT, "schedule is NULL");
    CHECK(cnn_trainer_steps(trainer) == 0);
    cnn_trainer_destroy(trainer);
    cnn_network_destroy(network);
}

/* ---- Bits -------------------------------------------------------------------------------- */

/* The hash of what an epoch makes of a network and of the optimizer's state. */
static uint64_t trained(cnn_dtype dtype, size_t threads, size_t batch_size, double clip_norm)
{
    cnn_network *network = make(dtype);
    cnn_optimizer optimizer = adamw;
    cnn_trainer *trainer = NULL;
    size_t index[ROWS];
    static double lr[ROWS][2], decay[ROWS][2], dropout[ROWS];
    for (size_t i = 0; i < ROWS; i++) {
        index[i] = i * 7 % ROWS;
        lr[i][0] = 0.01;
        lr[i][1] = 0.002 + 1e-5 * (double)i;
        decay[i][0] = 0.1;
        decay[i][1] = i % 3 == 0;
        dropout[i] = 1 - (double)i / ROWS;
    }
    const cnn_schedule schedule = {
        .struct_size = sizeof schedule,
        .groups = 2,
        .lr = lr[0],
        .weight_decay = decay[0],
        .dropout = dropout,
    };
    const cnn_data data = data_of(ROWS);
    cnn_result result = {.struct_size = sizeof result};
    optimizer.clip_norm = clip_norm;
    CHECK(cnn_threads_set(threads) == CNN_OK);
    CHECK(cnn_trainer_create(network, &optimizer, &trainer) == CNN_OK);
    CHECK(cnn_trainer_set_group(trainer, 1, CNN_FACTOR, 1) == CNN_OK);
    CHECK(cnn_trainer_set_group(trainer, 0, CNN_EMBEDDING, 1) == CNN_OK);
    const size_t rows = batch_size == 1 ? 60 : ROWS;
    CHECK(cnn_trainer_epoch_scheduled(trainer, &loss, &data, index, rows, batch_size, &schedule, 0,
                                      &result) == CNN_OK);
    CHECK(result.rows == rows && isfinite(result.loss_sum));
    uint64_t hash = HASH_BEGIN;
    CHECK(hash_network(&hash, network));
    const size_t count = cnn_network_parameter_count(network);
    void *state = check_memory(count * sizeof(double));
    memset(state, 0, count * sizeof(double));
    for (size_t slot = 0; slot < 2; slot++) {
        CHECK(cnn_trainer_get_state(trainer, slot, state, count) == CNN_OK);
        hash = hash_bytes(hash, state, count * (dtype == CNN_FLOAT32 ? 4 : 8));
    }
    free(state);
    cnn_trainer_destroy(trainer);
    cnn_network_destroy(network);
    CHECK(cnn_threads_set(0) == CNN_OK);
    return hash;
}

static void test_training_bits(void)
{
    const size_t batch_sizes[] = {1, 30, 300, ROWS};
    for (int dtype = CNN_FLOAT32; dtype <= CNN_FLOAT64; dtype++)
        for (size_t b = 0; b < 4; b++) {
            CHECK(cnn_isa_select("scalar") == CNN_OK);
            const uint64_t expected = trained((cnn_dtype)dtype, 1, batch_sizes[b], 0);
            for (size_t i = 0; cnn_isa_available(i); i++) {
                CHECK(cnn_isa_select(cnn_isa_available(i)) == CNN_OK);
                CHECK(trained((cnn_dtype)dtype, 1, batch_sizes[b], 0) == expected);
                CHECK(trained((cnn_dtype)dtype, 3, batch_sizes[b], 0) == expected);
                /* The gradient as a whole, which clipping does not change. */
                CHECK(trained((cnn_dtype)dtype, 2, batch_sizes[b], 1e9) == expected);
            }
        }
}

static void test_predict_bits(void)
{
    cnn_network *network = make(CNN_FLOAT64);
    static double y[ROWS][OUTPUTS], z[ROWS][OUTPUTS];
    CHECK(cnn_network_predict_f64(network, ROWS, x[0], INPUTS, y[0], OUTPUTS, NULL, 0) == CNN_OK);
    for (size_t rows = 1; rows <= 64; rows *= 4) {
        const size_t size = cnn_network_workspace_size(network, rows);
        void *workspace = check_memory(size);
        memset(z, 0, sizeof z);
        for (size_t i = 0; i < ROWS; i += rows) {
            const size_t n = ROWS - i < rows ? ROWS - i : rows;
            CHECK(cnn_network_predict_f64(network, n, x[i], INPUTS, z[i], OUTPUTS, workspace,
                                          size) == CNN_OK);
        }
        CHECK(memcmp(y, z, sizeof y) == 0);
        free(workspace);
    }
    /* Bits of evaluate, which has missing numbers and no infinite ones. */
    cnn_data data = data_of(ROWS);
    cnn_result result = {.struct_size = sizeof result};
    CHECK(cnn_network_evaluate(network, &loss, &data, &result) == CNN_OK);
    CHECK(result.nonfinite_rows == 0);
    x[5][0] = INFINITY;
    CHECK(cnn_network_evaluate(network, &loss, &data, &result) == CNN_OK);
    CHECK(result.nonfinite_rows == 1);
    fill();
    cnn_network_destroy(network);
}

/* ---- Files ------------------------------------------------------------------------------- */

static void test_files(void)
{
    cnn_network *network = make(CNN_FLOAT32), *loaded = NULL;
    void *bytes = NULL, *again = NULL;
    size_t size = 0, again_size = 0;
    CHECK(cnn_network_to_bytes(network, &bytes, &size) == CNN_OK);
    CHECK(cnn_network_from_bytes(bytes, size, &loaded) == CNN_OK);
    CHECK(cnn_network_to_bytes(loaded, &again, &again_size) == CNN_OK);
    CHECK(size == again_size && memcmp(bytes, again, size) == 0);
    cnn_layer layer = {.struct_size = sizeof layer};
    CHECK(cnn_network_layer(loaded, 0, &layer) == CNN_OK);
    CHECK(layer.outputs == FEATURES && layer.frequencies == 5 && layer.columns[2].categories == 90);
    /* Files whose columns are others. */
    const struct {
        const char *find, *replace, *message;
    } cases[] = {
        {"periodic_size", "periodic_size_", "unknown field"},
        {"\\\"categories\\\":90", "\\\"categories\\\":91", "layers.0.embedding: shape is [90, 3]"},
        {"\\\"missing\\\":1", "\\\"missing\\\":2", "missing must be 1"},
        {"\\\"one_hot\\\"", "\\\"one_hop\\\"", "unknown kind \"one_hop\""},
        {"\\\"clip\\\":3", "\\\"clap\\\":3", "unknown field \"clap\""},
        {"\\\"frequencies\\\":5", "\\\"frequencies\\\":6", "layers.0.periodic: shape is [1, 28]"},
        {"\\\"frequencies\\\":5", "\\\"frequencies\\\":0",
         "architecture: layer 0 has frequencies 0"},
        {"\"layers.1.factor\"", "\"layers.1.fictor\"", "unknown tensor"},
        {"\"layers.1.factor\"", "\"layers.3.factor\"", "layer 3 has no factor"},
        {"\\\"ntk\\\"", "\\\"ntl\\\"", "unknown parametrization"},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        char *changed = check_memory(size + 1);
        cnn_network *made = NULL;
        const size_t length = strlen(cases[c].find), new_length = strlen(cases[c].replace);
        memcpy(changed, bytes, size);
        changed[size] = 0;
        /* Texts begin behind the size of the header; a longer name takes a space from the end. */
        char *at = changed + 8;
        while (at < changed + size && memcmp(at, cases[c].find, length) != 0)
            at++;
        CHECK(at < changed + size);
        if (new_length > length) {
            char *space = at;
            while (memcmp(space, " ", 1) != 0)
                space++;
            memmove(at + new_length, at + length, (size_t)(space - at) - length);
        }
        memcpy(at, cases[c].replace, new_length);
        REFUSED(cnn_network_from_bytes(changed, size, &made), CNN_ERROR_MODEL_FILE,
                cases[c].message);
        free(changed);
    }
    cnn_bytes_free(bytes);
    cnn_bytes_free(again);
    cnn_network_destroy(loaded);
    cnn_network_destroy(network);
}

int main(void)
{
    fill();
    test_refused_columns();
    test_refused_orders();
    test_refused_parameters();
    test_refused_schedules();
    test_predict_bits();
    test_training_bits();
    test_files();
    return check_finish();
}
