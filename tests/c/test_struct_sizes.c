/*
 * Every function that takes a public struct, with one that is shorter, longer or absurd: what a
 * caller that was compiled with another cnn.h may pass.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "cnn/cnn.h"

/* A struct with room behind it for the fields of a later version. */
typedef union given {
    size_t struct_size;
    cnn_loss loss;
    cnn_matrix matrix;
    cnn_data data;
    cnn_result result;
    cnn_layer layer;
    cnn_column column;
    cnn_optimizer optimizer;
    cnn_schedule schedule;
    unsigned char bytes[2048];
} given;

static const float x[8] = {0, 0, 0, 1, 1, 0, 1, 1}, t[4] = {0, 1, 1, 0};
static cnn_network *network;
static cnn_trainer *trainer;

/* Constants, whose bytes between the fields are 0 too: valgrind looks when structs are compared. */
#define MATRIX(numbers, columns)                                                                   \
    {.struct_size = sizeof(cnn_matrix),                                                            \
     .data = (numbers),                                                                            \
     .dtype = CNN_FLOAT32,                                                                         \
     .rows = 4,                                                                                    \
     .cols = (columns),                                                                            \
     .row_stride = (columns) * sizeof(float),                                                      \
     .col_stride = sizeof(float)}
static const cnn_matrix inputs = MATRIX(x, 2);
static const cnn_data all = {.struct_size = sizeof all, .x = MATRIX(x, 2), .t = MATRIX(t, 1)};
static const cnn_result nothing = {.struct_size = sizeof nothing};
static const cnn_loss squared_error = {.struct_size = sizeof(cnn_loss)};
static const cnn_layer dense = {.struct_size = sizeof dense, .inputs = 2, .outputs = 1};
static const cnn_column number = {.struct_size = sizeof number};
static const cnn_optimizer sgd = {.struct_size = sizeof sgd};
static const double rates[2] = {0.01, 0.01};
static const cnn_schedule same_rates = {.struct_size = sizeof same_rates, .groups = 1, .lr = rates};

static cnn_data samples(void)
{
    return all;
}

/* ---- The calls: each uses the struct, and the rest of its arguments is right ------------- */

static cnn_status evaluate(const cnn_loss *loss, const cnn_data *data, cnn_result *result)
{
    return cnn_network_evaluate(network, loss, data, result);
}

static cnn_status gradients(const cnn_loss *loss, const cnn_data *data)
{
    double value;
    float gradient[3];
    return cnn_network_gradients(network, loss, data, -1, &value, gradient, 3);
}

static cnn_status step(const cnn_loss *loss, const cnn_data *data, cnn_result *result)
{
    return cnn_trainer_step(trainer, loss, data, 0.01, result);
}

static cnn_status epoch(const cnn_loss *loss, const cnn_data *data, cnn_result *result)
{
    const size_t index[4] = {3, 1, 0, 2};
    const double lr[2] = {0.01, 0.01};
    return cnn_trainer_epoch(trainer, loss, data, index, 4, 2, lr, 0, result);
}

static cnn_status loss_evaluate(given *g)
{
    const cnn_data data = samples();
    return evaluate(&g->loss, &data, &(cnn_result){.struct_size = sizeof(cnn_result)});
}

static cnn_status loss_gradients(given *g)
{
    const cnn_data data = samples();
    return gradients(&g->loss, &data);
}

static cnn_status loss_step(given *g)
{
    const cnn_data data = samples();
    return step(&g->loss, &data, &(cnn_result){.struct_size = sizeof(cnn_result)});
}

static cnn_status loss_epoch(given *g)
{
    const cnn_data data = samples();
    return epoch(&g->loss, &data, &(cnn_result){.struct_size = sizeof(cnn_result)});
}

static cnn_status loss_gradient(given *g)
{
    const double z[4] = {0};
    const cnn_matrix targets = MATRIX(t, 1);
    double value, gradient[4];
    return cnn_loss_gradient_f64(&g->loss, 4, 1, z, 1, &targets, NULL, &value, gradient);
}

static cnn_status data_evaluate(given *g)
{
    return evaluate(&squared_error, &g->data, &(cnn_result){.struct_size = sizeof(cnn_result)});
}

static cnn_status data_gradients(given *g)
{
    return gradients(&squared_error, &g->data);
}

static cnn_status data_step(given *g)
{
    return step(&squared_error, &g->data, &(cnn_result){.struct_size = sizeof(cnn_result)});
}

static cnn_status data_epoch(given *g)
{
    return epoch(&squared_error, &g->data, &(cnn_result){.struct_size = sizeof(cnn_result)});
}

static cnn_status result_evaluate(given *g)
{
    const cnn_data data = samples();
    return evaluate(&squared_error, &data, &g->result);
}

static cnn_status result_step(given *g)
{
    const cnn_data data = samples();
    return step(&squared_error, &data, &g->result);
}

static cnn_status result_epoch(given *g)
{
    const cnn_data data = samples();
    return epoch(&squared_error, &data, &g->result);
}

static cnn_status layer_create(given *g)
{
    cnn_network *made = NULL;
    const cnn_status status = cnn_network_create(CNN_FLOAT32, 1, &g->layer, 0, &made);
    CHECK((status == CNN_OK) == (made != NULL));
    cnn_network_destroy(made);
    return status;
}

static cnn_status column_create(given *g)
{
    cnn_layer layers[2] = {{.struct_size = sizeof *layers, .kind = CNN_LAYER_COLUMNS, .inputs = 1},
                           {.struct_size = sizeof *layers, .inputs = 1, .outputs = 1}};
    layers[0].columns = &g->column;
    cnn_network *made = NULL;
    const cnn_status status = cnn_network_create(CNN_FLOAT32, 2, layers, 0, &made);
    CHECK((status == CNN_OK) == (made != NULL));
    cnn_network_destroy(made);
    return status;
}

static cnn_status layer_read(given *g)
{
    return cnn_network_layer(network, 0, &g->layer);
}

static cnn_status optimizer_create(given *g)
{
    cnn_trainer *made = NULL;
    const cnn_status status = cnn_trainer_create(network, &g->optimizer, &made);
    cnn_trainer_destroy(made);
    return status;
}

static cnn_status optimizer_read(given *g)
{
    return cnn_trainer_optimizer(trainer, &g->optimizer);
}

static cnn_status schedule_epoch(given *g)
{
    const cnn_data data = samples();
    const size_t index[4] = {3, 1, 0, 2};
    cnn_result result = {.struct_size = sizeof result};
    return cnn_trainer_epoch_scheduled(trainer, &squared_error, &data, index, 4, 2, &g->schedule, 0,
                                       &result);
}

static cnn_status matrix_predict(given *g)
{
    float y[4];
    return cnn_network_predict(network, &g->matrix, y, 1, NULL, 0);
}

static cnn_status matrix_in_data(given *g)
{
    cnn_data data = samples();
    data.x = g->matrix;
    return gradients(&squared_error, &data);
}

static cnn_status matrix_of_targets(given *g)
{
    cnn_data data = samples();
    data.t = g->matrix;
    data.t.cols = 1;
    return gradients(&squared_error, &data);
}

static cnn_status matrix_of_weights(given *g)
{
    cnn_data data = samples();
    data.sample_weight = g->matrix;
    data.sample_weight.cols = 1;
    data.sample_weight.row_stride = 0;
    data.sample_weight.data = x + 3;
    return gradients(&squared_error, &data);
}

/* ---- Sizes ------------------------------------------------------------------------------- */

enum direction { IN, OUT, BOTH, FIXED };

/* A function with a struct, whose present form `whole` has `size` bytes. */
struct subject {
    const char *name; /* in messages */
    cnn_status (*call)(given *);
    const void *whole;
    size_t size;
    enum direction direction;
};

static given make(const struct subject *s, size_t struct_size)
{
    given g;
    memset(&g, 0, sizeof g);
    memcpy(&g, s->whole, s->size);
    g.struct_size = struct_size;
    return g;
}

static void check_refused(const struct subject *s, size_t struct_size)
{
    char text[100];
    given g = make(s, struct_size);
    const given before = g;
    CHECK(s->call(&g) == CNN_ERROR_ARGUMENT);
    snprintf(text, sizeof text, "%s has struct_size %zu, should be %zu", s->name, struct_size,
             s->size);
    if (!CHECK(strncmp(cnn_last_error(), text, strlen(text)) == 0))
        printf("    should begin: %s\n    the message is: %s\n", text, cnn_last_error());
    CHECK(memcmp(&g, &before, sizeof g) == 0);
}

/* Fields that this version does not know must be 0 if they are read, and become 0 if written. */
static void check_longer(const struct subject *s, size_t struct_size)
{
    given g = make(s, struct_size), same = make(s, s->size);
    CHECK(s->call(&g) == CNN_OK && s->call(&same) == CNN_OK);
    CHECK(g.struct_size == struct_size);
    for (size_t i = s->size; i < sizeof g; i++)
        CHECK(g.bytes[i] == 0);
    g = make(s, struct_size);
    g.bytes[struct_size] = 0x55;
    CHECK(s->call(&g) == CNN_OK && g.bytes[struct_size] == 0x55);
    const size_t last = struct_size - 1;
    g.bytes[last] = 1;
    if (s->direction == OUT) {
        CHECK(s->call(&g) == CNN_OK && g.bytes[last] == 0 && g.bytes[struct_size] == 0x55);
        return;
    }
    char text[100];
    CHECK(s->call(&g) == CNN_ERROR_ARGUMENT && g.bytes[last] == 1);
    snprintf(text, sizeof text, "%s has struct_size %zu and sets a field at byte %zu;", s->name,
             struct_size, last);
    if (!CHECK(strncmp(cnn_last_error(), text, strlen(text)) == 0))
        printf("    should begin: %s\n    the message is: %s\n", text, cnn_last_error());
}

static void check_subject(const struct subject *s)
{
    given g = make(s, s->size);
    CHECK(s->call(&g) == CNN_OK && g.struct_size == s->size);
    const size_t wrong[] = {0,           1,           8,    16,      s->size - 4,
                            s->size - 1, s->size + 1, 1025, 1 << 30, (size_t)-1};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        check_refused(s, wrong[i]);
    const size_t longer[] = {s->size + 8, 1024};
    for (size_t i = 0; i < sizeof longer / sizeof *longer; i++)
        if (s->direction == FIXED)
            check_refused(s, longer[i]);
        else
            check_longer(s, longer[i]);
}

static void test_sizes(void)
{
    const struct subject subjects[] = {
        {"loss", loss_evaluate, &squared_error, sizeof squared_error, IN},
        {"loss", loss_gradients, &squared_error, sizeof squared_error, IN},
        {"loss", loss_step, &squared_error, sizeof squared_error, IN},
        {"loss", loss_epoch, &squared_error, sizeof squared_error, IN},
        {"loss", loss_gradient, &squared_error, sizeof squared_error, IN},
        {"data", data_evaluate, &all, sizeof all, IN},
        {"data", data_gradients, &all, sizeof all, IN},
        {"data", data_step, &all, sizeof all, IN},
        {"data", data_epoch, &all, sizeof all, IN},
        {"result", result_evaluate, &nothing, sizeof nothing, BOTH},
        {"result", result_step, &nothing, sizeof nothing, BOTH},
        {"result", result_epoch, &nothing, sizeof nothing, BOTH},
        {"layer 0", layer_create, &dense, sizeof dense, IN},
        {"layer", layer_read, &dense, sizeof dense, OUT},
        {"column 0", column_create, &number, sizeof number, IN},
        {"schedule", schedule_epoch, &same_rates, sizeof same_rates, IN},
        {"optimizer", optimizer_create, &sgd, sizeof sgd, IN},
        {"optimizer", optimizer_read, &sgd, sizeof sgd, OUT},
        {"x", matrix_predict, &inputs, sizeof inputs, FIXED},
        {"x", matrix_in_data, &inputs, sizeof inputs, FIXED},
        {"t", matrix_of_targets, &inputs, sizeof inputs, FIXED},
        {"sample_weight", matrix_of_weights, &inputs, sizeof inputs, FIXED},
    };
    for (size_t i = 0; i < sizeof subjects / sizeof *subjects; i++)
        check_subject(&subjects[i]);
}

/* A loss without its last field, and with bytes behind it that belong to the caller. */
static void test_older_loss(void)
{
    const cnn_data data = samples();
    struct older {
        size_t struct_size;
        cnn_loss_kind kind;
        cnn_target_kind target;
        double delta, label_smoothing;
        const double *class_weight;
    };
    const struct older older = {.struct_size = sizeof older, .kind = CNN_QUANTILE};
    if (sizeof older == sizeof(cnn_loss))
        return; /* the field lies in padding where pointers have 4 bytes */
    given g;
    memset(&g, 0xff, sizeof g);
    memcpy(&g, &older, sizeof older);
    const double half = 0.5;
    const cnn_loss loss = {.struct_size = sizeof loss, .kind = CNN_QUANTILE, .quantiles = &half};
    cnn_result of_older = nothing, of_present = nothing;
    CHECK(evaluate(&g.loss, &data, &of_older) == CNN_OK);
    CHECK(evaluate(&loss, &data, &of_present) == CNN_OK);
    CHECK(of_older.loss_sum > 0 && memcmp(&of_older, &of_present, sizeof of_older) == 0);
}

/* Layers lie as far apart as the first one's struct_size tells. */
static void test_layers_of_a_later_version(void)
{
    struct later {
        cnn_layer layer;
        double unknown;
    } layers[2];
    memset(layers, 0, sizeof layers);
    for (size_t i = 0; i < 2; i++) {
        layers[i].layer = dense;
        layers[i].layer.struct_size = sizeof layers[i];
    }
    layers[0].layer.outputs = 2;
    cnn_network *made = NULL, *copy = NULL;
    CHECK(cnn_network_create(CNN_FLOAT32, 2, &layers[0].layer, 0, &made) == CNN_OK);
    CHECK(cnn_network_parameter_count(made) == 9);
    CHECK(cnn_network_copy(made, &copy) == CNN_OK);
    CHECK(cnn_network_parameter_count(copy) == 9);
    cnn_network_destroy(copy);
    cnn_network_destroy(made);
    made = NULL;
    layers[1].layer.struct_size = sizeof(cnn_layer);
    CHECK(cnn_network_create(CNN_FLOAT32, 2, &layers[0].layer, 0, &made) == CNN_ERROR_ARGUMENT);
    CHECK(strstr(cnn_last_error(), "layer 1 has struct_size ") && !made);
    CHECK(strstr(cnn_last_error(), "as in the first"));
    layers[1].layer.struct_size = sizeof layers[1];
    layers[1].unknown = 1;
    CHECK(cnn_network_create(CNN_FLOAT32, 2, &layers[0].layer, 0, &made) == CNN_ERROR_ARGUMENT);
    CHECK(strstr(cnn_last_error(), "layer 1 has struct_size ") && !made);
    CHECK(strstr(cnn_last_error(), "sets a field at byte"));
}

/* A caller whose cnn_layer ends before the columns: the layers that it knows are as ever. */
static void test_layers_of_an_earlier_version(void)
{
    const size_t sizes[] = {offsetof(cnn_layer, alpha), offsetof(cnn_layer, parametrization)};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        /* Exactly so many bytes, so that a sanitizer sees what reaches beyond. */
        cnn_layer *const layer = check_memory(sizes[i]);
        memcpy(layer, &dense, sizes[i]);
        layer->struct_size = sizes[i];
        cnn_network *made = NULL;
        CHECK(cnn_network_create(CNN_FLOAT32, 1, layer, 0, &made) == CNN_OK);
        cnn_layer whole = {.struct_size = sizeof whole};
        CHECK(cnn_network_layer(made, 0, &whole) == CNN_OK);
        CHECK(whole.parametrization == CNN_PARAMETRIZATION_STANDARD && !whole.columns);
        memset(layer, 0x55, sizes[i]);
        layer->struct_size = sizes[i];
        CHECK(cnn_network_layer(made, 0, layer) == CNN_OK);
        CHECK(layer->struct_size == sizes[i] && layer->inputs == 2 && layer->outputs == 1);
        layer->kind = CNN_LAYER_COLUMNS;
        cnn_network *none = NULL;
        CHECK(cnn_network_create(CNN_FLOAT32, 1, layer, 0, &none) == CNN_ERROR_ARGUMENT && !none);
        CHECK(strstr(cnn_last_error(), "no columns"));
        cnn_network_destroy(made);
        free(layer);
    }
}

/* A pass in pieces goes on through results of a later version. */
static void test_accumulate(void)
{
    const cnn_data data = samples();
    struct later {
        cnn_result result;
        double unknown;
    } later = {.result = {.struct_size = sizeof later, .accumulate = 1}};
    cnn_result present = {.struct_size = sizeof present, .accumulate = 1};
    for (size_t i = 1; i <= 3; i++) {
        CHECK(evaluate(&squared_error, &data, &later.result) == CNN_OK);
        CHECK(evaluate(&squared_error, &data, &present) == CNN_OK);
        CHECK(later.result.rows == 4 * i && later.result.accumulate == 1 && later.unknown == 0);
        present.struct_size = sizeof later;
        CHECK(memcmp(&later.result, &present, sizeof present) == 0);
        present.struct_size = sizeof present;
    }
}

int main(void)
{
    CHECK(cnn_network_create(CNN_FLOAT32, 1, &dense, 0, &network) == CNN_OK);
    CHECK(cnn_trainer_create(network, &sgd, &trainer) == CNN_OK);
    test_sizes();
    test_older_loss();
    test_layers_of_a_later_version();
    test_layers_of_an_earlier_version();
    test_accumulate();
    cnn_trainer_destroy(trainer);
    cnn_network_destroy(network);
    return check_finish();
}
