/* Model files: what is saved comes back bit for bit, and failures leave things as they were. */
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "cnn/cnn.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define FILE_NAME "test_model_file.safetensors"

/* ---- Help -------------------------------------------------------------------------------- */

/* Whether the last error's message contains a text; prints it where not. */
static int message_has(const char *text)
{
    if (strstr(cnn_last_error(), text))
        return 1;
    printf("expected \"%s\" in \"%s\"\n", text, cnn_last_error());
    return 0;
}

static cnn_layer dense(size_t inputs, size_t outputs, cnn_activation activation, double l2)
{
    return (cnn_layer){.struct_size = sizeof(cnn_layer),
                       .kind = CNN_LAYER_DENSE,
                       .inputs = inputs,
                       .outputs = outputs,
                       .activation = activation,
                       .l2 = l2};
}

static cnn_layer dropout(double rate)
{
    return (cnn_layer){.struct_size = sizeof(cnn_layer), .kind = CNN_LAYER_DROPOUT, .rate = rate};
}

/* Numbers that differ from one another, with the special ones among them. */
static double number(size_t i)
{
    static const double special[] = {0.0, -0.0, INFINITY, -INFINITY, NAN, 1e-45, 1e-320, 1e308};
    return i % 11 == 0 ? special[i / 11 % COUNT(special)] : sin((double)i) * 3;
}

static void set_numbers(cnn_network *network, size_t layer, cnn_parameter parameter, size_t count)
{
    float *singles = malloc(count * sizeof *singles);
    double *doubles = malloc(count * sizeof *doubles);
    for (size_t i = 0; i < count; i++) {
        doubles[i] = number(i + 7 * layer + (size_t)parameter);
        singles[i] = (float)doubles[i];
    }
    if (cnn_network_dtype(network) == CNN_FLOAT64)
        CHECK(cnn_network_set_f64(network, layer, parameter, doubles, count) == CNN_OK);
    else
        CHECK(cnn_network_set_f32(network, layer, parameter, singles, count) == CNN_OK);
    free(singles);
    free(doubles);
}

/* A network of five layers, with metadata. */
static cnn_network *make_network(cnn_dtype dtype)
{
    const cnn_layer layers[] = {dense(5, 40, CNN_RELU, 0.1), dropout(0.25),
                                dense(40, 7, CNN_GELU, 1e-300), dropout(1.0 / 3),
                                dense(7, 3, CNN_SOFTMAX, 0)};
    cnn_network *network = NULL;
    CHECK(cnn_network_create(dtype, COUNT(layers), layers, UINT64_MAX, &network) == CNN_OK);
    for (size_t i = 0; i < COUNT(layers); i++) {
        if (layers[i].kind != CNN_LAYER_DENSE)
            continue;
        set_numbers(network, i, CNN_WEIGHT, layers[i].inputs * layers[i].outputs);
        set_numbers(network, i, CNN_BIAS, layers[i].outputs);
    }
    CHECK(cnn_network_set_metadata(network, "author", "Ada \"\\\t\x01 \xC3\xA9 \xF0\x9F\x98\x80") ==
          CNN_OK);
    CHECK(cnn_network_set_metadata(network, "user.format", "") == CNN_OK);
    return network;
}

static int same_bytes(const cnn_network *a, const cnn_network *b)
{
    void *left = NULL, *right = NULL;
    size_t left_size = 0, right_size = 0;
    CHECK(cnn_network_to_bytes(a, &left, &left_size) == CNN_OK);
    CHECK(cnn_network_to_bytes(b, &right, &right_size) == CNN_OK);
    const int same = left_size == right_size && memcmp(left, right, left_size) == 0;
    cnn_bytes_free(left);
    cnn_bytes_free(right);
    return same;
}

/* Compare what the public functions tell, since equal bytes only show that both saved the same. */
static void check_same(const cnn_network *a, const cnn_network *b)
{
    CHECK(cnn_network_dtype(a) == cnn_network_dtype(b));
    CHECK(cnn_network_seed(a) == cnn_network_seed(b));
    CHECK(cnn_network_layer_count(a) == cnn_network_layer_count(b));
    for (size_t i = 0; i < cnn_network_layer_count(a); i++) {
        cnn_layer left = {.struct_size = sizeof left}, right = {.struct_size = sizeof right};
        CHECK(cnn_network_layer(a, i, &left) == CNN_OK);
        CHECK(cnn_network_layer(b, i, &right) == CNN_OK);
        CHECK(left.kind == right.kind);
        CHECK(left.kind == CNN_LAYER_DROPOUT || left.inputs == right.inputs);
        CHECK(left.kind == CNN_LAYER_DROPOUT || left.outputs == right.outputs);
        CHECK(left.activation == right.activation);
        CHECK(left.l2 == right.l2 && left.rate == right.rate && left.alpha == right.alpha);
    }
    CHECK(cnn_network_metadata_count(a) == cnn_network_metadata_count(b));
    for (size_t i = 0; i < cnn_network_metadata_count(a); i++) {
        const char *key = cnn_network_metadata_key(a, i);
        const char *value = cnn_network_metadata(b, key);
        CHECK(value && strcmp(value, cnn_network_metadata(a, key)) == 0);
    }
    CHECK(same_bytes(a, b));
}

/* ---- Round trips ------------------------------------------------------------------------- */

static void test_round_trip(cnn_dtype dtype)
{
    cnn_network *network = make_network(dtype), *loaded = NULL;
    void *bytes = NULL;
    size_t size = 0;
    CHECK(cnn_network_to_bytes(network, &bytes, &size) == CNN_OK);
    CHECK(cnn_network_from_bytes(bytes, size, &loaded) == CNN_OK);
    check_same(network, loaded);
    cnn_network_destroy(loaded);

    /* At an odd address, numbers are not aligned. */
    unsigned char *shifted = malloc(size + 1);
    memcpy(shifted + 1, bytes, size);
    CHECK(cnn_network_from_bytes(shifted + 1, size, &loaded) == CNN_OK);
    check_same(network, loaded);
    cnn_network_destroy(loaded);
    free(shifted);
    cnn_bytes_free(bytes);

    CHECK(cnn_network_save(network, FILE_NAME) == CNN_OK);
    CHECK(cnn_network_load(FILE_NAME, &loaded) == CNN_OK);
    check_same(network, loaded);
    cnn_network_destroy(loaded);
    cnn_network_destroy(network);
    remove(FILE_NAME);
}

/* The number of an activation is in the file if it is not the default, and comes back exactly. */
static void test_alpha(void)
{
    const double alphas[] = {0, 0.01, 1.0 / 3, 1e-30, 1e30};
    for (size_t i = 0; i < COUNT(alphas); i++) {
        cnn_layer layer = dense(2, 3, CNN_LEAKY_RELU, 0), told = {.struct_size = sizeof told};
        layer.alpha = alphas[i];
        cnn_network *network = NULL, *loaded = NULL;
        void *bytes = NULL;
        size_t size = 0, at = 0;
        CHECK(cnn_network_create(CNN_FLOAT32, 1, &layer, 0, &network) == CNN_OK);
        CHECK(cnn_network_to_bytes(network, &bytes, &size) == CNN_OK);
        while (at + 5 < size && memcmp((const char *)bytes + at, "alpha", 5) != 0)
            at++;
        CHECK((at + 5 < size) == (i >= 2));
        CHECK(cnn_network_from_bytes(bytes, size, &loaded) == CNN_OK);
        CHECK(cnn_network_layer(loaded, 0, &told) == CNN_OK);
        CHECK(told.alpha == (i == 0 ? 0.01 : alphas[i]));
        check_same(network, loaded);
        cnn_bytes_free(bytes);
        cnn_network_destroy(loaded);
        cnn_network_destroy(network);
    }
}

/* What a layer has in fields of other kinds is in no file. */
static void test_fields_of_other_kinds(void)
{
    void *files[3] = {NULL};
    size_t sizes[COUNT(files)] = {0};
    for (size_t i = 0; i < COUNT(files); i++) {
        const cnn_layer layers[] = {
            dense(3, 2, CNN_IDENTITY, 0),
            {.struct_size = sizeof(cnn_layer),
             .kind = CNN_LAYER_PARAMETRIC_ACTIVATION,
             .activation = CNN_TANH,
             .l2 = i ? NAN : 0,
             .rate = i ? 7 : 0,
             .parametrization = (cnn_parametrization)i},
            dense(2, 1, CNN_IDENTITY, 0),
        };
        cnn_network *network = NULL, *loaded = NULL;
        CHECK(cnn_network_create(CNN_FLOAT32, COUNT(layers), layers, 1, &network) == CNN_OK);
        CHECK(cnn_network_to_bytes(network, &files[i], &sizes[i]) == CNN_OK);
        CHECK(cnn_network_from_bytes(files[i], sizes[i], &loaded) == CNN_OK);
        CHECK(sizes[i] == sizes[0] && memcmp(files[i], files[0], sizes[0]) == 0);
        cnn_network_destroy(network);
        cnn_network_destroy(loaded);
    }
    for (size_t i = 0; i < COUNT(files); i++)
        cnn_bytes_free(files[i]);
}

/* The first bytes of a file are those that safetensors wants. */
static void test_layout(void)
{
    cnn_network *network = make_network(CNN_FLOAT32);
    unsigned char *bytes = NULL;
    void *made = NULL;
    size_t size = 0, header = 0;
    CHECK(cnn_network_to_bytes(network, &made, &size) == CNN_OK);
    bytes = made;
    for (size_t i = 8; i-- > 0;)
        header = header << 8 | bytes[i];
    CHECK(bytes[8] == '{');
    CHECK((8 + header) % 64 == 0);
    CHECK(size == 8 + header + 4 * cnn_network_parameter_count(network));
    const unsigned char *second = bytes + 8 + header + 4; /* the least byte first */
    const uint32_t pattern = second[0] | (uint32_t)second[1] << 8 | (uint32_t)second[2] << 16 |
                             (uint32_t)second[3] << 24;
    float first = 0;
    float weights[200];
    memcpy(&first, &pattern, sizeof first);
    CHECK(cnn_network_get_f32(network, 0, CNN_WEIGHT, weights, COUNT(weights)) == CNN_OK);
    CHECK(first == weights[1]);
    cnn_bytes_free(made);
    cnn_network_destroy(network);
}

/* Save and load a trainer of this kind whose state is not 0. */
static void test_trainer(cnn_dtype dtype, int kind)
{
    cnn_network *network = make_network(dtype), *loaded = NULL;
    cnn_trainer *trainer = NULL, *again = NULL;
    const cnn_optimizer optimizer = {.struct_size = sizeof optimizer,
                                     .kind = (cnn_optimizer_kind)kind,
                                     .momentum = 0.9,
                                     .beta1 = 0.1 + 0.2,
                                     .beta2 = 0.999,
                                     .alpha = 0.99,
                                     .eps = 1e-8,
                                     .weight_decay = 0.01,
                                     .clip_norm = 5};
    const size_t count = cnn_network_parameter_count(network);
    const size_t slots = (size_t)cnn_optimizer_slots(kind);
    const size_t bytes = count * (dtype == CNN_FLOAT64 ? sizeof(double) : sizeof(float));
    unsigned char *state = malloc(bytes), *back = malloc(bytes);
    CHECK(cnn_trainer_create(network, &optimizer, &trainer) == CNN_OK);
    for (size_t slot = 0; slot < slots; slot++) {
        for (size_t i = 0; i < bytes; i++)
            state[i] = (unsigned char)(i * 7 % 64 + slot);
        CHECK(cnn_trainer_set_state(trainer, slot, state, count) == CNN_OK);
    }
    CHECK(cnn_trainer_set_steps(trainer, 12345) == CNN_OK);
    CHECK(cnn_trainer_save(trainer, FILE_NAME) == CNN_OK);

    CHECK(cnn_trainer_load(FILE_NAME, &loaded, &again) == CNN_OK);
    check_same(network, loaded);
    CHECK(cnn_trainer_steps(again) == 12345);
    cnn_optimizer read = {.struct_size = sizeof read};
    CHECK(cnn_trainer_optimizer(again, &read) == CNN_OK);
    CHECK(read.kind == optimizer.kind && read.momentum == optimizer.momentum);
    CHECK(read.beta1 == optimizer.beta1 && read.beta2 == optimizer.beta2);
    CHECK(read.alpha == optimizer.alpha && read.eps == optimizer.eps);
    CHECK(read.weight_decay == optimizer.weight_decay && read.clip_norm == optimizer.clip_norm);
    for (size_t slot = 0; slot < slots; slot++) {
        CHECK(cnn_trainer_get_state(trainer, slot, state, count) == CNN_OK);
        CHECK(cnn_trainer_get_state(again, slot, back, count) == CNN_OK);
        CHECK(memcmp(state, back, bytes) == 0);
    }
    cnn_trainer_destroy(again);
    cnn_network_destroy(loaded);

    /* The same file is a network for those who only predict. */
    CHECK(cnn_network_load(FILE_NAME, &loaded) == CNN_OK);
    check_same(network, loaded);
    cnn_network_destroy(loaded);
    cnn_trainer_destroy(trainer);
    cnn_network_destroy(network);
    free(state);
    free(back);
    remove(FILE_NAME);
}

/* ---- Failures that are not the file's ---------------------------------------------------- */

static void test_system(void)
{
    cnn_network *network = make_network(CNN_FLOAT32), *loaded = NULL;
    cnn_trainer *trainer = NULL;
    CHECK(cnn_network_load("no/such/file", &loaded) == CNN_ERROR_SYSTEM);
    CHECK(cnn_last_errno() == ENOENT);
    CHECK(message_has("no/such/file"));
    CHECK(cnn_trainer_load("no/such/file", &loaded, &trainer) == CNN_ERROR_SYSTEM);
    CHECK(cnn_network_save(network, "no/such/file") == CNN_ERROR_SYSTEM);
    CHECK(cnn_last_errno() == ENOENT);
    CHECK(!loaded && !trainer);

    CHECK(cnn_network_save(network, FILE_NAME) == CNN_OK);
    CHECK(cnn_trainer_load(FILE_NAME, &loaded, &trainer) == CNN_ERROR_MODEL_FILE);
    CHECK(message_has("without an optimizer"));
    CHECK(!loaded && !trainer);
    cnn_network_destroy(network);
    remove(FILE_NAME);
}

/* A save that fails leaves the file that was there. */
static void test_atomic(void)
{
    cnn_network *network = make_network(CNN_FLOAT64), *loaded = NULL;
    CHECK(cnn_network_save(network, FILE_NAME) == CNN_OK);
    cnn_network *other = NULL;
    CHECK(cnn_network_copy(network, &other) == CNN_OK);
    CHECK(cnn_network_set_metadata(other, "bad", "\xFF") == CNN_ERROR_ARGUMENT);
    CHECK(message_has("key and value of metadata must be UTF-8"));
    CHECK(cnn_network_set_metadata(other, "\xED\xA0\x80", "bad") == CNN_ERROR_ARGUMENT);
    CHECK(cnn_network_metadata_count(other) == cnn_network_metadata_count(network));
    const cnn_optimizer sgd = {.struct_size = sizeof sgd, .kind = CNN_SGD};
    cnn_trainer *trainer = NULL;
    CHECK(cnn_trainer_create(other, &sgd, &trainer) == CNN_OK);
    CHECK(cnn_trainer_save_with(trainer, "bad", "\xFF", FILE_NAME) == CNN_ERROR_ARGUMENT);
    CHECK(message_has("metadata \"bad\": key and value must be UTF-8"));
    cnn_trainer_destroy(trainer);
    CHECK(cnn_network_load(FILE_NAME, &loaded) == CNN_OK);
    check_same(network, loaded);
    cnn_network_destroy(loaded);

    CHECK(cnn_network_set_metadata(other, "bad", "better") == CNN_OK);
    CHECK(cnn_network_save(other, FILE_NAME) == CNN_OK);
    CHECK(cnn_network_load(FILE_NAME, &loaded) == CNN_OK);
    check_same(other, loaded);
    cnn_network_destroy(loaded);
    cnn_network_destroy(other);
    cnn_network_destroy(network);
    remove(FILE_NAME);
}

static void test_arguments(void)
{
    cnn_network *network = make_network(CNN_FLOAT32);
    cnn_trainer *trainer = NULL;
    void *bytes = NULL;
    size_t size = 0;
    CHECK(cnn_network_save(NULL, FILE_NAME) == CNN_ERROR_ARGUMENT);
    CHECK(cnn_network_save(network, NULL) == CNN_ERROR_ARGUMENT);
    CHECK(cnn_network_load(NULL, &network) == CNN_ERROR_ARGUMENT);
    CHECK(cnn_network_load(FILE_NAME, NULL) == CNN_ERROR_ARGUMENT);
    CHECK(cnn_trainer_save(NULL, FILE_NAME) == CNN_ERROR_ARGUMENT);
    CHECK(cnn_trainer_load(NULL, &network, &trainer) == CNN_ERROR_ARGUMENT);
    CHECK(cnn_trainer_load(FILE_NAME, &network, NULL) == CNN_ERROR_ARGUMENT);
    CHECK(cnn_network_to_bytes(NULL, &bytes, &size) == CNN_ERROR_ARGUMENT);
    CHECK(cnn_network_to_bytes(network, NULL, &size) == CNN_ERROR_ARGUMENT);
    CHECK(cnn_network_from_bytes(NULL, 0, &network) == CNN_ERROR_ARGUMENT);
    CHECK(message_has("bytes and network must not be NULL"));
    cnn_bytes_free(NULL);
    for (size_t i = 0; i < 10001; i++) {
        char key[24];
        snprintf(key, sizeof key, "%zu", i);
        CHECK(cnn_network_set_metadata(network, key, "") == CNN_OK);
    }
    CHECK(cnn_network_to_bytes(network, &bytes, &size) == CNN_ERROR_ARGUMENT);
    CHECK(message_has("a model file has room for 10000"));
    cnn_network_destroy(network);
}

int main(void)
{
    test_round_trip(CNN_FLOAT32);
    test_round_trip(CNN_FLOAT64);
    test_alpha();
    test_fields_of_other_kinds();
    test_layout();
    for (int kind = 0; kind < CNN_OPTIMIZER_COUNT; kind++) {
        test_trainer(CNN_FLOAT32, kind);
        test_trainer(CNN_FLOAT64, kind);
    }
    test_system();
    test_atomic();
    test_arguments();
    return check_finish();
}
