/* The parameters of a network: they are read, written, and drawn. */
#include "model/network.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/platform.h"
#include "base/random.h"

/* The stage of a public layer index, or NULL with the error set if it has no tensors. */
static const cnn_stage *find_stage(const cnn_network *network, size_t index)
{
    if (network && index < network->stage_count && network->stages[index].tensor_count > 0)
        return &network->stages[index];
    return cnn_network_dense(network, index);
}

/* Find a parameter's tensor and check the caller's type and count. */
static cnn_status find_tensor(const cnn_network *network, size_t layer, cnn_parameter parameter,
                              cnn_dtype dtype, const void *values, size_t count,
                              const cnn_tensor **tensor)
{
    const cnn_stage *stage = find_stage(network, layer);
    if (!stage)
        return CNN_ERROR_ARGUMENT;
    if (!values)
        return cnn_fail(CNN_ERROR_ARGUMENT, "values is NULL");
    if (dtype != network->dtype)
        return cnn_fail(CNN_ERROR_TYPE, "values are float%d, the network is float%d",
                        dtype == CNN_FLOAT32 ? 32 : 64, network->dtype == CNN_FLOAT32 ? 32 : 64);
    const cnn_tensor *const first = &network->tensors[stage->first_tensor];
    if (parameter != first[0].kind && parameter != first[1].kind)
        return cnn_fail(CNN_ERROR_ARGUMENT, "parameter is %d, should be %s", (int)parameter,
                        cnn_stage_is_dense(stage) ? "CNN_WEIGHT or CNN_BIAS"
                                                  : "CNN_MEAN or CNN_SCALE");
    *tensor = parameter == first[0].kind ? first : first + 1;
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
    network->tensors[stage->first_tensor].l2 = l2;
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
    const uint64_t key =
        cnn_random_stream(network->seed, CNN_RANDOM_INIT, (uint32_t)tensor->layer, number);
    cnn_random_uniform(key, count, bound, values);
    for (size_t i = 0; i < count; i++) {
        if (network->dtype == CNN_FLOAT32)
            ((float *)tensor->values)[i] = (float)values[i];
        else
            ((double *)tensor->values)[i] = values[i];
    }
}

cnn_status cnn_network_initialize(cnn_network *network, size_t layer, cnn_initializer initializer,
                                  double a)
{
    cnn_stage *stage = cnn_network_dense(network, layer);
    if (!stage)
        return CNN_ERROR_ARGUMENT;
    if (!cnn_initializer_name((int)initializer))
        return cnn_fail(CNN_ERROR_ARGUMENT, "initializer is %d, should be 0 to %d",
                        (int)initializer, CNN_INITIALIZER_COUNT - 1);
    if (initializer == CNN_INIT_UNIFORM && !(a >= 0 && a <= CNN_LARGEST))
        return cnn_fail(CNN_ERROR_ARGUMENT, "a is %g, should be finite, 0 or more, at most %g", a,
                        CNN_LARGEST);
    const cnn_tensor *tensors = &network->tensors[stage->first_tensor];
    size_t most = 1;
    for (size_t t = 0; t < stage->tensor_count; t++)
        most = cnn_max(most, cnn_tensor_count(&tensors[t]));
    double *values = malloc(most * sizeof *values);
    if (!values)
        return cnn_fail(CNN_ERROR_MEMORY, "out of memory for %zu initial weights", most);
    const uint64_t before = cnn_platform_float_enter();
    const double bound = initial_bound(stage, initializer, a);
    for (size_t t = 0; t < stage->tensor_count; t++) {
        const bool random = tensors[t].weight || initializer == CNN_INIT_TORCH;
        fill_uniform(network, &tensors[t], t, random ? bound : 0, values);
        wrote_values(network, &tensors[t]);
    }
    cnn_platform_float_leave(before);
    free(values);
    return CNN_OK;
}
