/* The parameters of a network: they are read, written, and drawn. */
#include "model/network.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/platform.h"
#include "base/random.h"

/* The names of a layer's parameters, such as "CNN_WEIGHT (0) or CNN_BIAS (1)". */
static const char *list_parameters(const cnn_network *network, size_t layer, char text[160])
{
    size_t length = 0;
    text[0] = 0;
    for (int p = 0; p < CNN_PARAMETER_COUNT; p++)
        if (cnn_network_tensor(network, layer, (cnn_parameter)p))
            length += (size_t)snprintf(text + length, 160 - length, "%s%d (%s)",
                                       length > 0 ? " or " : "", p, cnn_parameter_name(p));
    return text;
}

/* Find a parameter's tensor and check the caller's type and count. */
static cnn_status find_tensor(const cnn_network *network, size_t layer, cnn_parameter parameter,
                              cnn_dtype dtype, const void *values, size_t count,
                              const cnn_tensor **tensor)
{
    char names[160];
    if (!network || layer >= network->stage_count ||
        network->layers[layer].kind == CNN_LAYER_DROPOUT) {
        (void)cnn_network_dense(network, layer);
        return CNN_ERROR_ARGUMENT;
    }
    if (!values)
        return cnn_fail(CNN_ERROR_ARGUMENT, "values is NULL");
    if (dtype != network->dtype)
        return cnn_fail(CNN_ERROR_TYPE, "values are float%d, the network is float%d",
                        dtype == CNN_FLOAT32 ? 32 : 64, network->dtype == CNN_FLOAT32 ? 32 : 64);
    *tensor = cnn_network_tensor(network, layer, parameter);
    if (!*tensor)
        return cnn_fail(CNN_ERROR_ARGUMENT, "parameter is %d, should be %s", (int)parameter,
                        list_parameters(network, layer, names));
    if (count != cnn_tensor_count(*tensor))
        return cnn_fail(CNN_ERROR_ARGUMENT, "count is %zu, should be %zu", count,
                        cnn_tensor_count(*tensor));
    return CNN_OK;
}

static cnn_status get(const cnn_network *network, size_t layer, cnn_parameter parameter,
                      cnn_dtype dtype, void *values, size_t count)
{
    const cnn_tensor *tensor = NULL;
    const cnn_status status = find_tensor(network, layer, parameter, dtype, values, count, &tensor);
    if (status != CNN_OK)
        return status;
    cnn_tensor_read(tensor, network->real_size, values);
    return CNN_OK;
}

/* The row-major numbers of a tensor were written: bring its other form along. */
static void wrote_values(cnn_network *network, const cnn_tensor *tensor)
{
    if (tensor->weight) {
        tensor->weight->fresh = CNN_FRESH_ROW_MAJOR;
        cnn_weight_refresh(tensor->weight, CNN_PANELS);
    }
    cnn_network_changed(network);
}

static cnn_status set(cnn_network *network, size_t layer, cnn_parameter parameter, cnn_dtype dtype,
                      const void *values, size_t count)
{
    const cnn_tensor *tensor = NULL;
    cnn_status status = find_tensor(network, layer, parameter, dtype, values, count, &tensor);
    if (status == CNN_OK && tensor->fixed)
        status = cnn_fixed_check(network, tensor, values);
    if (status != CNN_OK)
        return status;
    memcpy(tensor->values, values, count * network->real_size);
    wrote_values(network, tensor);
    return CNN_OK;
}

cnn_status cnn_network_get_f32(const cnn_network *network, size_t layer, cnn_parameter parameter,
                               float *values, size_t count)
{
    return get(network, layer, parameter, CNN_FLOAT32, values, count);
}

cnn_status cnn_network_get_f64(const cnn_network *network, size_t layer, cnn_parameter parameter,
                               double *values, size_t count)
{
    return get(network, layer, parameter, CNN_FLOAT64, values, count);
}

cnn_status cnn_network_set_f32(cnn_network *network, size_t layer, cnn_parameter parameter,
                               const float *values, size_t count)
{
    return set(network, layer, parameter, CNN_FLOAT32, values, count);
}

cnn_status cnn_network_set_f64(cnn_network *network, size_t layer, cnn_parameter parameter,
                               const double *values, size_t count)
{
    return set(network, layer, parameter, CNN_FLOAT64, values, count);
}

cnn_status cnn_network_set_l2(cnn_network *network, size_t layer, double l2)
{
    cnn_stage *stage = cnn_network_dense(network, layer);
    if (!stage)
        return CNN_ERROR_ARGUMENT;
    if (!(l2 >= 0 && l2 <= CNN_LARGEST))
        return cnn_fail(CNN_ERROR_ARGUMENT, "l2 is %g, should be finite, 0 or more, at most %g", l2,
                        CNN_LARGEST);
    /* A weight with a penalty always has a fresh row-major form. */
    cnn_weight_refresh(&stage->weight, CNN_ROW_MAJOR);
    cnn_network_tensor(network, layer, CNN_WEIGHT)->l2 = l2;
    network->layers[layer].l2 = l2;
    return CNN_OK;
}

/* The bound a of U(-a, a). */
static double initial_bound(const cnn_stage *stage, cnn_initializer initializer, double a)
{
    const double inputs = (double)stage->inputs, outputs = (double)stage->outputs;
    switch (initializer) {
    case CNN_INIT_GLOROT_UNIFORM:
        return sqrt(6 / (inputs + outputs));
    case CNN_INIT_HE_UNIFORM:
        return sqrt(6 / inputs);
    case CNN_INIT_LECUN_UNIFORM:
        return sqrt(3 / inputs);
    case CNN_INIT_TORCH:
        return 1 / sqrt(inputs);
    case CNN_INIT_UNIFORM:
        return a;
    default:
        return 0;
    }
}

/* The stream of random numbers for tensor number `number` of a layer. */
static uint64_t stream_of(const cnn_network *network, size_t layer, uint64_t number)
{
    return cnn_random_stream(network->seed, CNN_RANDOM_INIT, (uint32_t)layer, number);
}

/* Round float64 numbers to the network's type. */
static void store(const cnn_network *network, const double *values, size_t count, void *to)
{
    for (size_t i = 0; i < count; i++) {
        if (network->dtype == CNN_FLOAT32)
            ((float *)to)[i] = (float)values[i];
        else
            ((double *)to)[i] = values[i];
    }
}

/*
 * Fill tensor number `number` of a stage with numbers from U(-bound, bound), rounded to the
 * network's type; with +0 if the bound is 0. `values` has room for them in float64.
 */
static void fill_uniform(const cnn_network *network, const cnn_tensor *tensor, uint64_t number,
                         double bound, double *values)
{
    const size_t count = cnn_tensor_count(tensor);
    if (!(bound > 0)) {
        memset(tensor->values, 0, count * network->real_size);
        return;
    }
    cnn_random_uniform(stream_of(network, tensor->layer, number), count, bound, values);
    store(network, values, count, tensor->values);
}

static void fill_normal(const cnn_network *network, uint64_t key, size_t count, double deviation,
                        void *values)
{
    (network->dtype == CNN_FLOAT32 ? cnn_normal_scalar_32
                                   : cnn_normal_scalar_64)(key, count, deviation, values);
}

/* The weight of a dense stage and its bias; `values` has room for the weight. */
static void initialize_dense(cnn_network *network, const cnn_stage *stage,
                             cnn_initializer initializer, double a, double *values)
{
    const cnn_parameter kinds[] = {CNN_WEIGHT, CNN_BIAS};
    const double bound = initial_bound(stage, initializer, a);
    for (size_t t = 0; t < 2; t++) {
        const cnn_tensor *tensor = cnn_network_tensor(network, stage->index, kinds[t]);
        const bool random = tensor->weight || initializer == CNN_INIT_TORCH;
        if (tensor->weight && initializer == CNN_INIT_NORMAL)
            fill_normal(network, stream_of(network, stage->index, t), cnn_tensor_count(tensor), a,
                        tensor->values);
        else
            fill_uniform(network, tensor, t, random ? bound : 0, values);
        wrote_values(network, tensor);
    }
}

/* Each row of the periodic numbers has streams of its own, so that no number of it depends on how
 * many columns there are. `values` has room for a row. */
static void initialize_periodic(cnn_network *network, const cnn_tensor *tensor, double a,
                                double *values)
{
    const size_t n = network->layers[tensor->layer].frequencies;
    const double pi = 3.14159265358979323846, bound = 1 / sqrt((double)n);
    for (size_t r = 0; r < tensor->rows; r++) {
        void *row = cnn_at(network, tensor->values, r * tensor->cols);
        fill_normal(network, stream_of(network, tensor->layer, 1 + 3 * r), n, a, row);
        cnn_random_uniform(stream_of(network, tensor->layer, 2 + 3 * r), n, pi, values);
        store(network, values, n, cnn_at(network, row, n));
        const size_t rest = tensor->cols - 2 * n;
        cnn_random_uniform(stream_of(network, tensor->layer, 3 + 3 * r), rest, bound, values);
        store(network, values, rest, cnn_at(network, row, 2 * n));
    }
    wrote_values(network, tensor);
}

static void initialize_columns(cnn_network *network, size_t layer, double a, double *values)
{
    const cnn_tensor *embedding = cnn_network_tensor(network, layer, CNN_EMBEDDING);
    const cnn_tensor *periodic = cnn_network_tensor(network, layer, CNN_PERIODIC);
    if (embedding) {
        fill_normal(network, stream_of(network, layer, 0), cnn_tensor_count(embedding), 1,
                    embedding->values);
        wrote_values(network, embedding);
    }
    if (periodic)
        initialize_periodic(network, periodic, a, values);
}

static cnn_status check_initializer(const cnn_network *network, size_t layer,
                                    cnn_initializer initializer, double a)
{
    const bool columns =
        network && layer < network->stage_count && network->layers[layer].kind == CNN_LAYER_COLUMNS;
    if (!columns && !cnn_network_dense(network, layer))
        return CNN_ERROR_ARGUMENT;
    if (!cnn_initializer_name((int)initializer))
        return cnn_fail(CNN_ERROR_ARGUMENT, "initializer is %d, should be 0 to %d",
                        (int)initializer, CNN_INITIALIZER_COUNT - 1);
    if (columns && initializer != CNN_INIT_NORMAL)
        return cnn_fail(CNN_ERROR_ARGUMENT,
                        "initializer is %d (%s), should be %d (normal) for a columns layer",
                        (int)initializer, cnn_initializer_name((int)initializer), CNN_INIT_NORMAL);
    const bool takes_a = initializer == CNN_INIT_UNIFORM || initializer == CNN_INIT_NORMAL;
    if (takes_a && !(a >= 0 && a <= CNN_LARGEST))
        return cnn_fail(CNN_ERROR_ARGUMENT, "a is %g, should be finite, 0 or more, at most %g", a,
                        CNN_LARGEST);
    return CNN_OK;
}

cnn_status cnn_network_initialize(cnn_network *network, size_t layer, cnn_initializer initializer,
                                  double a)
{
    const cnn_status status = check_initializer(network, layer, initializer, a);
    if (status != CNN_OK)
        return status;
    size_t most = 1;
    for (size_t t = 0; t < network->tensor_count; t++)
        if (network->tensors[t].layer == layer && network->tensors[t].kind != CNN_EMBEDDING)
            most = cnn_max(most, cnn_tensor_count(&network->tensors[t]));
    double *values = malloc(most * sizeof *values);
    if (!values)
        return cnn_fail(CNN_ERROR_MEMORY, "out of memory for %zu initial weights", most);
    const uint64_t before = cnn_platform_float_enter();
    if (network->layers[layer].kind == CNN_LAYER_DENSE)
        initialize_dense(network, &network->stages[layer], initializer, a, values);
    else
        initialize_columns(network, layer, a, values);
    cnn_platform_float_leave(before);
    free(values);
    return CNN_OK;
}
