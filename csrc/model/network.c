/* Networks: their layers, parameters and initial weights. */
#include "model/network.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/platform.h"
#include "base/random.h"
#include "kernels/dispatch.h"
#include "kernels/product.h"

/* Panels that are copied to rows side by side: a row often is on a page of its own. */
#define SIDE_BY_SIDE 4

/* Tensors begin at multiples of 64 bytes, which is 16 elements in float32. */
#define ALIGNMENT 16

size_t cnn_row_span(const cnn_network *network, size_t cols)
{
    const size_t line = 64 / network->real_size;
    const size_t span = cnn_round_up(cols, line);
    return span * network->real_size % 2048 == 0 ? span + line : span;
}

size_t cnn_dense_packed_span(const cnn_network *network, const cnn_dense *dense)
{
    return cnn_packed_span(network->kernels, dense->inputs, dense->outputs);
}

void cnn_dense_repack(const cnn_network *network, const cnn_dense *dense)
{
    const cnn_pack pack = {
        .k = dense->inputs,
        .n = dense->outputs,
        .b = dense->weight,
        .b_row = dense->outputs,
        .b_col = 1,
        .packed = dense->packed,
        .b_panel = dense->inputs * network->kernels->panel,
    };
    network->kernels->pack(&pack);
}

void cnn_network_repack(const cnn_network *network)
{
    for (size_t l = 0; l < network->dense_count; l++)
        cnn_dense_repack(network, &network->dense[l]);
}

/* Rows [i, i + m) and columns [j, j + n) of a packed weight, into a row-major one. */
static void unpack_into(const cnn_network *network, const cnn_dense *dense, size_t i, size_t m,
                        size_t j, size_t n, void *weight)
{
    const size_t panel = network->kernels->panel;
    for (size_t some; n > 0; j += some, n -= some) {
        some = cnn_min(n, SIDE_BY_SIDE * panel);
        for (size_t r = i; r < i + m; r++)
            for (size_t c = 0; c < some; c += panel)
                memcpy(cnn_at(network, weight, r * dense->outputs + j + c),
                       cnn_dense_panel(network, dense, r, j + c),
                       cnn_min(panel, some - c) * network->real_size);
    }
}

void cnn_dense_unpack(const cnn_network *network, const cnn_dense *dense, size_t i, size_t m,
                      size_t j, size_t n)
{
    unpack_into(network, dense, i, m, j, n, dense->weight);
}

void cnn_network_leave_behind(cnn_network *network)
{
    atomic_fetch_add_explicit(&network->left_behind, 1, memory_order_relaxed);
}

/* Wait for a turn at unpacking, but not for a thread that a fork has not taken along. */
static void begin_unpacking(cnn_network *network)
{
    const uint64_t own = 1 + cnn_platform_process();
    uint64_t found = 0;
    while (!atomic_compare_exchange_weak_explicit(&network->unpacking, &found, own,
                                                  memory_order_acquire, memory_order_relaxed))
        if (found == own) {
            cnn_platform_yield();
            found = 0;
        }
}

void cnn_network_unpack(const cnn_network *network)
{
    /* Whoever reads a const network cannot tell whether this has been done. */
    cnn_network *changed = (cnn_network *)(uintptr_t)network;
    size_t now = atomic_load_explicit(&changed->left_behind, memory_order_acquire);
    if (atomic_load_explicit(&changed->unpacked, memory_order_acquire) == now)
        return;
    begin_unpacking(changed);
    now = atomic_load_explicit(&changed->left_behind, memory_order_acquire);
    if (atomic_load_explicit(&changed->unpacked, memory_order_relaxed) != now) {
        for (size_t l = 0; l < network->dense_count; l++) {
            const cnn_dense *dense = &network->dense[l];
            if (dense->l2 == 0)
                cnn_dense_unpack(network, dense, 0, dense->inputs, 0, dense->outputs);
        }
        atomic_store_explicit(&changed->unpacked, now, memory_order_release);
    }
    atomic_store_explicit(&changed->unpacking, 0, memory_order_release);
}

void cnn_network_copy_parameters(const cnn_network *network, void *to)
{
    for (size_t l = 0; l < network->dense_count; l++) {
        const cnn_dense *dense = &network->dense[l];
        void *weight = cnn_at(network, to, dense->weight_offset);
        if (dense->l2 == 0)
            unpack_into(network, dense, 0, dense->inputs, 0, dense->outputs, weight);
        else
            memcpy(weight, dense->weight, dense->inputs * dense->outputs * network->real_size);
        memcpy(cnn_at(network, to, dense->bias_offset), dense->bias,
               dense->outputs * network->real_size);
    }
}

/* ---- Building ---------------------------------------------------------------------------- */

static cnn_status check_dense(const cnn_layer *layer, size_t index, size_t count, size_t inputs)
{
    if (layer->inputs == 0 || layer->outputs == 0)
        return cnn_fail(CNN_ERROR_ARGUMENT, "layer %zu has %zu inputs and %zu outputs, needs both",
                        index, layer->inputs, layer->outputs);
    if (index > 0 && layer->inputs != inputs)
        return cnn_fail(CNN_ERROR_ARGUMENT,
                        "layer %zu has %zu inputs, but the layer before it has %zu outputs", index,
                        layer->inputs, inputs);
    if (!cnn_activation_name((int)layer->activation))
        return cnn_fail(CNN_ERROR_ARGUMENT, "layer %zu has activation %d, should be 0 to %d", index,
                        (int)layer->activation, CNN_ACTIVATION_COUNT - 1);
    if (layer->activation == CNN_SOFTMAX && index + 1 != count)
        return cnn_fail(CNN_ERROR_ARGUMENT,
                        "layer %zu has activation softmax, which belongs in the last layer", index);
    char where[40];
    snprintf(where, sizeof where, "layer %zu", index);
    const cnn_status status = cnn_activation_check_alpha(where, layer->activation, layer->alpha);
    if (status != CNN_OK)
        return status;
    if (!(layer->l2 >= 0 && layer->l2 <= CNN_LARGEST))
        return cnn_fail(CNN_ERROR_ARGUMENT,
                        "layer %zu has l2 %g, should be finite, 0 or more, at most %g", index,
                        layer->l2, CNN_LARGEST);
    return CNN_OK;
}

static cnn_status check_layers(size_t count, const cnn_layer *layers)
{
    size_t inputs = 0;
    for (size_t i = 0; i < count; i++) {
        const cnn_layer *layer = &layers[i];
        if (layer->struct_size != sizeof *layer)
            return cnn_fail(CNN_ERROR_ARGUMENT, "layer %zu has struct_size %zu, should be %zu", i,
                            layer->struct_size, sizeof *layer);
        if (layer->kind == CNN_LAYER_DENSE) {
            const cnn_status status = check_dense(layer, i, count, inputs);
            if (status != CNN_OK)
                return status;
            inputs = layer->outputs;
        } else if (layer->kind != CNN_LAYER_DROPOUT) {
            return cnn_fail(CNN_ERROR_ARGUMENT, "layer %zu has kind %d, should be 0 or 1", i,
                            (int)layer->kind);
        } else if (i == 0 || i + 1 == count || layers[i - 1].kind != CNN_LAYER_DENSE) {
            return cnn_fail(CNN_ERROR_ARGUMENT,
                            "layer %zu is a dropout layer, which belongs between two dense layers",
                            i);
        } else if (!(layer->rate >= 0 && layer->rate < 1)) {
            return cnn_fail(CNN_ERROR_ARGUMENT, "layer %zu has rate %g, should be in [0, 1)", i,
                            layer->rate);
        }
    }
    return CNN_OK;
}

/* Lay out the dense layers; *packed is the elements that all packed weights take. */
static cnn_status lay_out(cnn_network *network, size_t *packed)
{
    size_t span = 0, panels = 0, dense_count = 0;
    for (size_t i = 0; i < network->layer_count; i++) {
        const cnn_layer *layer = &network->layers[i];
        if (layer->kind == CNN_LAYER_DROPOUT) {
            network->dense[dense_count - 1].rate = layer->rate;
            network->dense[dense_count - 1].dropout = i;
            continue;
        }
        cnn_dense *dense = &network->dense[dense_count++];
        dense->inputs = layer->inputs;
        dense->outputs = layer->outputs;
        dense->activation = cnn_activation_with(layer->activation, layer->alpha);
        network->layers[i].alpha = dense->activation.alpha;
        dense->l2 = layer->l2;
        dense->index = i;
        size_t weights, padded;
        /* Widths below a quarter of the address space leave room for rounding up. */
        if (layer->outputs > SIZE_MAX / 64 || layer->inputs > SIZE_MAX / 64 ||
            !cnn_multiply(layer->inputs, cnn_round_up(layer->outputs, network->kernels->panel),
                          &padded) ||
            padded > SIZE_MAX / 256)
            return cnn_fail(CNN_ERROR_MEMORY, "layer %zu of %zu x %zu is too large", i,
                            layer->inputs, layer->outputs);
        weights = layer->inputs * layer->outputs;
        dense->weight_offset = span;
        if (!cnn_add(span, cnn_round_up(weights, ALIGNMENT), &span))
            return cnn_fail(CNN_ERROR_MEMORY, "the network is too large");
        dense->bias_offset = span;
        if (!cnn_add(span, cnn_round_up(layer->outputs, ALIGNMENT), &span) ||
            !cnn_add(panels, cnn_round_up(padded, ALIGNMENT), &panels) || panels > SIZE_MAX / 256 ||
            span > SIZE_MAX / 256)
            return cnn_fail(CNN_ERROR_MEMORY, "the network is too large");
        network->parameter_count += weights + layer->outputs;
    }
    network->dense_count = dense_count;
    network->parameter_span = span;
    *packed = panels;
    return CNN_OK;
}

static cnn_status allocate(cnn_network *network, size_t packed)
{
    /* A product that reads a weight in place reads whole panels, beyond the end of the last row. */
    const size_t span = network->parameter_span + network->kernels->panel;
    network->parameters = cnn_platform_allocate(span * network->real_size);
    network->packed = cnn_platform_allocate(packed * network->real_size);
    if (!network->parameters || !network->packed)
        return cnn_fail(CNN_ERROR_MEMORY, "out of memory for %zu parameters",
                        network->parameter_count);
    memset(network->parameters, 0, span * network->real_size);
    memset(network->packed, 0, packed * network->real_size);
    size_t offset = 0;
    for (size_t i = 0; i < network->dense_count; i++) {
        cnn_dense *dense = &network->dense[i];
        dense->weight = cnn_at(network, network->parameters, dense->weight_offset);
        dense->bias = cnn_at(network, network->parameters, dense->bias_offset);
        dense->packed = cnn_at(network, network->packed, offset);
        offset += cnn_round_up(cnn_dense_packed_span(network, dense), ALIGNMENT);
    }
    return CNN_OK;
}

cnn_status cnn_network_create(cnn_dtype dtype, size_t count, const cnn_layer *layers, uint64_t seed,
                              cnn_network **network)
{
    if (!network || !layers)
        return cnn_fail(CNN_ERROR_ARGUMENT, "%s is NULL", network ? "layers" : "network");
    if (dtype != CNN_FLOAT32 && dtype != CNN_FLOAT64)
        return cnn_fail(CNN_ERROR_TYPE, "dtype is %d, should be CNN_FLOAT32 or CNN_FLOAT64",
                        (int)dtype);
    if (count == 0)
        return cnn_fail(CNN_ERROR_ARGUMENT, "a network needs at least one layer");
    cnn_status status = check_layers(count, layers);
    if (status != CNN_OK)
        return status;
    cnn_network *made = cnn_platform_allocate(sizeof *made);
    if (made) {
        memset(made, 0, sizeof *made);
        atomic_init(&made->unpacking, 0);
        made->layers = calloc(count, sizeof *layers);
        made->dense = calloc(count, sizeof *made->dense);
    }
    if (!made || !made->layers || !made->dense) {
        cnn_network_destroy(made);
        return cnn_fail(CNN_ERROR_MEMORY, "out of memory for %zu layers", count);
    }
    made->dtype = dtype;
    made->real_size = dtype == CNN_FLOAT32 ? 4 : 8;
    made->kernels = cnn_dispatch(dtype);
    made->seed = seed;
    made->layer_count = count;
    memcpy(made->layers, layers, count * sizeof *layers);
    size_t packed = 0;
    status = lay_out(made, &packed);
    if (status == CNN_OK)
        status = allocate(made, packed);
    if (status != CNN_OK) {
        cnn_network_destroy(made);
        return status;
    }
    cnn_forward_prepare(made);
    *network = made;
    return CNN_OK;
}

cnn_status cnn_network_copy(const cnn_network *network, cnn_network **copy)
{
    if (!network || !copy)
        return cnn_fail(CNN_ERROR_ARGUMENT, "%s is NULL", network ? "copy" : "network");
    cnn_network *made;
    cnn_status status = cnn_network_create(network->dtype, network->layer_count, network->layers,
                                           network->seed, &made);
    if (status != CNN_OK)
        return status;
    cnn_network_copy_parameters(network, made->parameters);
    cnn_network_repack(made);
    for (size_t i = 0; i < network->metadata_count && status == CNN_OK; i++)
        status =
            cnn_network_set_metadata(made, network->metadata[i]->key, network->metadata[i]->value);
    if (status != CNN_OK) {
        cnn_network_destroy(made);
        return status;
    }
    *copy = made;
    return CNN_OK;
}

void cnn_network_destroy(cnn_network *network)
{
    if (!network)
        return;
    cnn_metadata_destroy(network);
    free(network->layers);
    free(network->dense);
    cnn_platform_free(network->parameters);
    cnn_platform_free(network->packed);
    cnn_platform_free(network);
}

/* ---- Reading ----------------------------------------------------------------------------- */

cnn_dtype cnn_network_dtype(const cnn_network *network)
{
    return network ? network->dtype : CNN_FLOAT32;
}

size_t cnn_network_inputs(const cnn_network *network)
{
    return network ? network->dense[0].inputs : 0;
}

size_t cnn_network_outputs(const cnn_network *network)
{
    return network ? network->dense[network->dense_count - 1].outputs : 0;
}

uint64_t cnn_network_seed(const cnn_network *network)
{
    return network ? network->seed : 0;
}

size_t cnn_network_layer_count(const cnn_network *network)
{
    return network ? network->layer_count : 0;
}

size_t cnn_network_parameter_count(const cnn_network *network)
{
    return network ? network->parameter_count : 0;
}

cnn_status cnn_network_layer(const cnn_network *network, size_t index, cnn_layer *layer)
{
    if (!network || !layer)
        return cnn_fail(CNN_ERROR_ARGUMENT, "%s is NULL", network ? "layer" : "network");
    if (layer->struct_size != sizeof *layer)
        return cnn_fail(CNN_ERROR_ARGUMENT, "layer has struct_size %zu, should be %zu",
                        layer->struct_size, sizeof *layer);
    if (index >= network->layer_count)
        return cnn_fail(CNN_ERROR_ARGUMENT, "layer %zu is asked for, the network has %zu", index,
                        network->layer_count);
    *layer = network->layers[index];
    return CNN_OK;
}

cnn_dense *cnn_network_dense(const cnn_network *network, size_t index)
{
    if (!network) {
        cnn_fail(CNN_ERROR_ARGUMENT, "network is NULL");
        return NULL;
    }
    /* By bisection, so that a file of many small layers loads in a time that grows like it. */
    size_t low = 0, high = network->dense_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (network->dense[middle].index < index)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < network->dense_count && network->dense[low].index == index)
        return &network->dense[low];
    cnn_fail(CNN_ERROR_ARGUMENT, "layer %zu is not a dense layer of this network", index);
    return NULL;
}

/* ---- Parameters -------------------------------------------------------------------------- */

/* Find the memory of a parameter and check the caller's type and count. */
static cnn_status find_parameter(const cnn_network *network, size_t layer, cnn_parameter parameter,
                                 cnn_dtype dtype, const void *values, size_t count,
                                 cnn_dense **dense, void **memory)
{
    *dense = cnn_network_dense(network, layer);
    if (!*dense)
        return CNN_ERROR_ARGUMENT;
    if (!values)
        return cnn_fail(CNN_ERROR_ARGUMENT, "values is NULL");
    if (dtype != network->dtype)
        return cnn_fail(CNN_ERROR_TYPE, "values are float%d, the network is float%d",
                        dtype == CNN_FLOAT32 ? 32 : 64, network->dtype == CNN_FLOAT32 ? 32 : 64);
    if (parameter != CNN_WEIGHT && parameter != CNN_BIAS)
        return cnn_fail(CNN_ERROR_ARGUMENT, "parameter is %d, should be CNN_WEIGHT or CNN_BIAS",
                        (int)parameter);
    const size_t outputs = (*dense)->outputs;
    const size_t right = parameter == CNN_WEIGHT ? (*dense)->inputs * outputs : outputs;
    if (count != right)
        return cnn_fail(CNN_ERROR_ARGUMENT, "count is %zu, should be %zu", count, right);
    *memory = parameter == CNN_WEIGHT ? (*dense)->weight : (*dense)->bias;
    return CNN_OK;
}

static cnn_status get(const cnn_network *network, size_t layer, cnn_parameter parameter,
                      cnn_dtype dtype, void *values, size_t count)
{
    cnn_dense *dense;
    void *memory = NULL;
    const cnn_status status =
        find_parameter(network, layer, parameter, dtype, values, count, &dense, &memory);
    if (status != CNN_OK)
        return status;
    if (parameter == CNN_WEIGHT)
        cnn_network_unpack(network);
    memcpy(values, memory, count * network->real_size);
    return CNN_OK;
}

static cnn_status set(cnn_network *network, size_t layer, cnn_parameter parameter, cnn_dtype dtype,
                      const void *values, size_t count)
{
    cnn_dense *dense;
    void *memory = NULL;
    const cnn_status status =
        find_parameter(network, layer, parameter, dtype, values, count, &dense, &memory);
    if (status != CNN_OK)
        return status;
    memcpy(memory, values, count * network->real_size);
    if (parameter == CNN_WEIGHT)
        cnn_dense_repack(network, dense);
    network->version++;
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
    cnn_dense *dense = cnn_network_dense(network, layer);
    if (!dense)
        return CNN_ERROR_ARGUMENT;
    if (!(l2 >= 0 && l2 <= CNN_LARGEST))
        return cnn_fail(CNN_ERROR_ARGUMENT, "l2 is %g, should be finite, 0 or more, at most %g", l2,
                        CNN_LARGEST);
    cnn_network_unpack(network); /* with a penalty the row-major weight is never behind */
    dense->l2 = l2;
    network->layers[layer].l2 = l2;
    return CNN_OK;
}

/* Fill a layer's weight (tensor 0) or bias (tensor 1) with U(-bound, bound); with +0 for 0. */
static void fill_uniform(const cnn_network *network, size_t layer, uint64_t tensor, size_t n,
                         double bound, double *values)
{
    if (bound > 0)
        cnn_random_uniform(
            cnn_random_stream(network->seed, CNN_RANDOM_INIT, (uint32_t)layer, tensor), n, bound,
            values);
    else
        memset(values, 0, n * sizeof *values);
}

/* Round float64 numbers to the network's type, in place of its parameter. */
static void store_rounded(const cnn_network *network, size_t n, const double *from, void *to)
{
    for (size_t i = 0; i < n; i++) {
        if (network->dtype == CNN_FLOAT32)
            ((float *)to)[i] = (float)from[i];
        else
            ((double *)to)[i] = from[i];
    }
}

/* The bound a of U(-a, a). */
static double initial_bound(const cnn_dense *dense, cnn_initializer initializer, double a)
{
    const double inputs = (double)dense->inputs, outputs = (double)dense->outputs;
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

cnn_status cnn_network_initialize(cnn_network *network, size_t layer, cnn_initializer initializer,
                                  double a)
{
    cnn_dense *dense = cnn_network_dense(network, layer);
    if (!dense)
        return CNN_ERROR_ARGUMENT;
    if (!cnn_initializer_name((int)initializer))
        return cnn_fail(CNN_ERROR_ARGUMENT, "initializer is %d, should be 0 to %d",
                        (int)initializer, CNN_INITIALIZER_COUNT - 1);
    if (initializer == CNN_INIT_UNIFORM && !(a >= 0 && a <= CNN_LARGEST))
        return cnn_fail(CNN_ERROR_ARGUMENT, "a is %g, should be finite, 0 or more, at most %g", a,
                        CNN_LARGEST);
    const size_t weights = dense->inputs * dense->outputs;
    double *values = malloc((weights + dense->outputs) * sizeof *values);
    if (!values)
        return cnn_fail(CNN_ERROR_MEMORY, "out of memory for %zu initial weights", weights);
    const uint64_t before = cnn_platform_float_enter();
    const double bound = initial_bound(dense, initializer, a);
    double *bias = values + weights;
    fill_uniform(network, layer, 0, weights, bound, values);
    fill_uniform(network, layer, 1, dense->outputs, initializer == CNN_INIT_TORCH ? bound : 0,
                 bias);
    store_rounded(network, weights, values, dense->weight);
    store_rounded(network, dense->outputs, bias, dense->bias);
    cnn_platform_float_leave(before);
    free(values);
    cnn_dense_repack(network, dense);
    network->version++;
    return CNN_OK;
}
