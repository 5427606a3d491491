/* Networks: their stages and tensors. */
#include "model/network.h"

#include <stdlib.h>
#include <string.h>

#include "base/platform.h"
#include "base/structs.h"
#include "kernels/dispatch.h"

/* Tensors begin at multiples of so many bytes. */
#define ALIGNMENT 64

/* ---- Forms of the weights ---------------------------------------------------------------- */

void cnn_network_changed(cnn_network *network)
{
    network->version++;
    atomic_store_explicit(network->leaves_out, CNN_UNKNOWN, memory_order_relaxed);
}

void cnn_network_refresh(cnn_network *network, cnn_form form)
{
    for (size_t i = 0; i < network->stage_count; i++)
        if (cnn_stage_is_dense(&network->stages[i]))
            cnn_weight_refresh(&network->stages[i].weight, form);
}

void cnn_network_wrote(cnn_network *network, cnn_form form)
{
    for (size_t t = 0; t < network->tensor_count; t++) {
        const cnn_tensor *tensor = &network->tensors[t];
        if (!tensor->weight)
            continue;
        tensor->weight->fresh = (cnn_fresh)(1 << form);
        if (cnn_tensor_keeps_rows(tensor))
            tensor->weight->fresh |= CNN_FRESH_ROW_MAJOR;
    }
    cnn_network_changed(network);
}

void cnn_network_copy_parameters(const cnn_network *network, void *to)
{
    for (size_t t = 0; t < network->tensor_count; t++) {
        const cnn_tensor *tensor = &network->tensors[t];
        cnn_tensor_read(tensor, network->real_size, cnn_at(network, to, tensor->offset));
    }
}

double cnn_network_penalty(const cnn_network *network)
{
    double penalty = 0;
    for (size_t t = 0; t < network->tensor_count; t++) {
        const cnn_tensor *tensor = &network->tensors[t];
        if (tensor->l2 > 0)
            penalty += tensor->l2 / 2 *
                       network->kernels->square_sum(cnn_tensor_count(tensor), tensor->values);
    }
    return penalty;
}

bool cnn_network_is_finite(const cnn_network *network, cnn_form form)
{
    for (size_t t = 0; t < network->tensor_count; t++) {
        const cnn_tensor *tensor = &network->tensors[t];
        const size_t count = cnn_tensor_count(tensor);
        const bool finite = tensor->weight
                                ? cnn_weight_is_finite(tensor->weight, form)
                                : network->kernels->finite(1, count, tensor->values, count);
        if (!finite)
            return false;
    }
    return true;
}

/* ---- Building ---------------------------------------------------------------------------- */

static cnn_status check_layers(size_t count, const cnn_layer *layers)
{
    for (size_t i = 0; i < count; i++) {
        const cnn_layer *layer = &layers[i];
        const cnn_stage_kind *kind = cnn_stage_find(layer->kind);
        if (!kind)
            return cnn_fail(CNN_ERROR_ARGUMENT, "layer %zu has kind %d, should be 0 to %d", i,
                            (int)layer->kind, CNN_LAYER_KIND_COUNT - 1);
        const cnn_status status = kind->check(count, layers, i);
        if (status != CNN_OK)
            return status;
    }
    return CNN_OK;
}

/* Whether a matrix (rows, cols) is so large that padding or offsets could overflow. */
static bool is_too_large(size_t rows, size_t cols, size_t panel)
{
    size_t padded;
    /* Widths below a quarter of the address space leave room for rounding up. */
    return rows > SIZE_MAX / 64 || cols > SIZE_MAX / 64 ||
           !cnn_multiply(rows, cnn_round_up(cols, panel), &padded) || padded > SIZE_MAX / 256;
}

/* The elements that `count` elements take, so that the next ones are aligned. */
static size_t aligned(const cnn_network *network, size_t count)
{
    return cnn_round_up(count, ALIGNMENT / network->real_size);
}

/* Move *end behind `count` more elements; false on overflow. */
static bool extend(const cnn_network *network, size_t *end, size_t count)
{
    return cnn_add(*end, aligned(network, count), end) && *end <= SIZE_MAX / 256;
}

/* List the tensors of a stage behind those that are listed, if its tensors are fixed or not, as
 * asked for. */
static cnn_status add_tensors(cnn_network *network, cnn_stage *stage, bool fixed)
{
    cnn_tensor own[CNN_STAGE_TENSORS], *list = &network->tensors[network->tensor_total];
    const size_t count = stage->kind->tensors(&network->layers[stage->index], own);
    if (count == 0 || own[0].fixed != fixed)
        return CNN_OK;
    memcpy(list, own, count * sizeof *own);
    stage->first_tensor = network->tensor_total;
    stage->tensor_count = count;
    network->tensor_total += count;
    for (size_t t = 0; t < count; t++) {
        cnn_tensor *tensor = &list[t];
        if (is_too_large(tensor->rows, tensor->cols, network->kernels->panel))
            return cnn_fail(CNN_ERROR_MEMORY, "layer %zu of %zu x %zu is too large", stage->index,
                            stage->inputs, stage->outputs);
        tensor->layer = stage->index;
        tensor->offset = network->total_span;
        if (!extend(network, &network->total_span, cnn_tensor_count(tensor)))
            return cnn_fail(CNN_ERROR_MEMORY, "the network is too large");
        if (!fixed)
            network->parameter_count += cnn_tensor_count(tensor);
    }
    return CNN_OK;
}

/* List the tensors of all stages, fixed ones last. */
static cnn_status add_all_tensors(cnn_network *network)
{
    for (int fixed = 0; fixed < 2; fixed++) {
        for (size_t i = 0; i < network->stage_count; i++) {
            const cnn_status status = add_tensors(network, &network->stages[i], fixed);
            if (status != CNN_OK)
                return status;
        }
        if (!fixed) {
            network->tensor_count = network->tensor_total;
            network->parameter_span = network->total_span;
        }
    }
    return CNN_OK;
}

/* Make stage `index` of its layer; those before it are made. */
static void make_stage(cnn_network *network, size_t index)
{
    cnn_layer *layer = &network->layers[index];
    cnn_stage *stage = &network->stages[index];
    *stage = (cnn_stage){
        .kind = cnn_stage_find(layer->kind),
        .kernels = network->kernels,
        .real_size = network->real_size,
        .index = index,
        .inputs = layer->inputs,
        .outputs = layer->outputs,
        .rate = layer->rate,
    };
    if (cnn_stage_is_dense(stage)) {
        stage->activation = (cnn_activation_spec){layer->activation, layer->alpha};
        (void)cnn_activation_complete("", &stage->activation); /* check_layers found it good */
        layer->alpha = stage->activation.alpha;
    } else if (index > 0) {
        stage->inputs = stage->outputs = stage[-1].outputs;
    } else {
        stage->outputs = layer->outputs = layer->inputs;
    }
}

/* Lay out the stages; *panels is the elements that all weights take in panels. */
static cnn_status lay_out(cnn_network *network, size_t *panels)
{
    size_t dense_count = 0;
    for (size_t i = 0; i < network->stage_count; i++)
        make_stage(network, i);
    const cnn_status status = add_all_tensors(network);
    if (status != CNN_OK)
        return status;
    for (size_t i = 0; i < network->stage_count; i++) {
        cnn_stage *stage = &network->stages[i];
        if (!cnn_stage_is_dense(stage))
            continue;
        network->dense_shapes[dense_count++] = (cnn_dense_shape){stage->inputs, stage->outputs};
        stage->weight =
            cnn_weight_make(network->kernels, network->real_size, stage->inputs, stage->outputs);
        if (!extend(network, panels, cnn_weight_span(&stage->weight, CNN_PANELS)))
            return cnn_fail(CNN_ERROR_MEMORY, "the network is too large");
    }
    network->shape =
        cnn_shape_make(network->kernels, network->real_size, dense_count, network->dense_shapes);
    network->shape.standardized = !cnn_stage_is_dense(&network->stages[0]);
    return CNN_OK;
}

static void fill_with_ones(const cnn_network *network, const cnn_tensor *tensor)
{
    for (size_t i = 0; i < cnn_tensor_count(tensor); i++)
        if (network->dtype == CNN_FLOAT32)
            ((float *)tensor->values)[i] = 1;
        else
            ((double *)tensor->values)[i] = 1;
}

/* Give the tensors their memory, which is 0; scales become 1. */
static void place_tensors(cnn_network *network)
{
    size_t panels = 0;
    for (size_t t = 0; t < network->tensor_total; t++) {
        cnn_tensor *tensor = &network->tensors[t];
        cnn_stage *stage = &network->stages[tensor->layer];
        tensor->values = cnn_at(network, network->parameters, tensor->offset);
        if (tensor->kind == CNN_BIAS)
            stage->bias = tensor->values;
        else if (tensor->kind == CNN_MEAN)
            stage->mean = tensor->values;
        else if (tensor->kind == CNN_SCALE)
            stage->scale = tensor->values;
        if (tensor->kind == CNN_SCALE)
            fill_with_ones(network, tensor);
        if (tensor->kind != CNN_WEIGHT)
            continue;
        tensor->weight = &stage->weight;
        stage->weight.memory[CNN_ROW_MAJOR] = tensor->values;
        stage->weight.memory[CNN_PANELS] = cnn_at(network, network->panels, panels);
        panels += aligned(network, cnn_weight_span(&stage->weight, CNN_PANELS));
    }
}

static cnn_status allocate(cnn_network *network, size_t panels)
{
    /* A product that reads rows without padding reads whole panels, beyond the end of the last row.
     */
    const size_t span = network->total_span + network->kernels->panel;
    panels += network->kernels->panel;
    network->parameters = cnn_platform_allocate(span * network->real_size);
    network->panels = cnn_platform_allocate(panels * network->real_size);
    if (!network->parameters || !network->panels)
        return cnn_fail(CNN_ERROR_MEMORY, "out of memory for %zu parameters",
                        network->parameter_count);
    memset(network->parameters, 0, span * network->real_size);
    memset(network->panels, 0, panels * network->real_size);
    place_tensors(network);
    return CNN_OK;
}

/* Make room for as many stages and tensors as the layers have; false if memory is short. */
static bool make_lists(cnn_network *network)
{
    const size_t count = network->stage_count;
    size_t dense_count = 0, tensor_count = 0;
    for (size_t i = 0; i < count; i++) {
        const cnn_layer *layer = &network->layers[i];
        cnn_tensor own[CNN_STAGE_TENSORS];
        tensor_count += cnn_stage_find(layer->kind)->tensors(layer, own);
        dense_count += layer->kind == CNN_LAYER_DENSE;
    }
    network->leaves_out = malloc(sizeof *network->leaves_out);
    if (network->leaves_out)
        atomic_init(network->leaves_out, CNN_UNKNOWN);
    network->stages = calloc(count, sizeof *network->stages);
    network->tensors = calloc(cnn_max(1, tensor_count), sizeof *network->tensors);
    network->dense_shapes = calloc(cnn_max(1, dense_count), sizeof *network->dense_shapes);
    return network->leaves_out && network->stages && network->tensors && network->dense_shapes;
}

cnn_status cnn_network_adopt(cnn_dtype dtype, size_t count, cnn_layer *layers, uint64_t seed,
                             cnn_network **network)
{
    size_t panels = 0;
    cnn_network *made = cnn_platform_allocate(sizeof *made);
    if (!made) {
        free(layers);
        return cnn_fail(CNN_ERROR_MEMORY, "out of memory for a network");
    }
    memset(made, 0, sizeof *made);
    made->dtype = dtype;
    made->real_size = dtype == CNN_FLOAT32 ? 4 : 8;
    made->kernels = cnn_dispatch(dtype);
    made->seed = seed;
    made->stage_count = count;
    made->layers = layers;
    cnn_status status = check_layers(count, layers);
    if (status == CNN_OK && !make_lists(made))
        status = cnn_fail(CNN_ERROR_MEMORY, "out of memory for %zu layers", count);
    if (status == CNN_OK)
        status = lay_out(made, &panels);
    if (status == CNN_OK)
        status = allocate(made, panels);
    if (status == CNN_OK)
        *network = made;
    else
        cnn_network_destroy(made);
    return status;
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
    cnn_layer *read = calloc(count, sizeof *read);
    if (!read)
        return cnn_fail(CNN_ERROR_MEMORY, "out of memory for %zu layers", count);
    const cnn_status status =
        cnn_struct_read_array(&cnn_struct_layer, "layer", count, layers, read);
    if (status == CNN_OK)
        return cnn_network_adopt(dtype, count, read, seed, network);
    free(read);
    return status;
}

cnn_status cnn_network_copy(const cnn_network *network, cnn_network **copy)
{
    if (!network || !copy)
        return cnn_fail(CNN_ERROR_ARGUMENT, "%s is NULL", network ? "copy" : "network");
    cnn_network *made;
    cnn_status status = cnn_network_create(network->dtype, network->stage_count, network->layers,
                                           network->seed, &made);
    if (status != CNN_OK)
        return status;
    cnn_network_copy_parameters(network, made->parameters);
    memcpy(cnn_at(made, made->parameters, made->parameter_span),
           cnn_at(network, network->parameters, network->parameter_span),
           (network->total_span - network->parameter_span) * network->real_size);
    cnn_network_wrote(made, CNN_ROW_MAJOR);
    cnn_network_refresh(made, CNN_PANELS);
    for (size_t i = 0; i < network->metadata_count && status == CNN_OK; i++) {
        const cnn_metadata *entry = network->metadata[i];
        status = cnn_metadata_add(made, entry->key, entry->value, entry->foreign);
    }
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
    free(network->leaves_out);
    free(network->layers);
    free(network->stages);
    free(network->tensors);
    free(network->dense_shapes);
    cnn_platform_free(network->parameters);
    cnn_platform_free(network->panels);
    cnn_platform_free(network);
}

/* ---- Reading ----------------------------------------------------------------------------- */

cnn_dtype cnn_network_dtype(const cnn_network *network)
{
    return network ? network->dtype : CNN_FLOAT32;
}

size_t cnn_network_inputs(const cnn_network *network)
{
    return network ? network->shape.inputs : 0;
}

size_t cnn_network_outputs(const cnn_network *network)
{
    return network ? network->shape.outputs : 0;
}

uint64_t cnn_network_seed(const cnn_network *network)
{
    return network ? network->seed : 0;
}

size_t cnn_network_layer_count(const cnn_network *network)
{
    return network ? network->stage_count : 0;
}

size_t cnn_network_parameter_count(const cnn_network *network)
{
    return network ? network->parameter_count : 0;
}

cnn_status cnn_network_layer(const cnn_network *network, size_t index, cnn_layer *layer)
{
    if (!network || !layer)
        return cnn_fail(CNN_ERROR_ARGUMENT, "%s is NULL", network ? "layer" : "network");
    if (index >= network->stage_count)
        return cnn_fail(CNN_ERROR_ARGUMENT, "layer %zu is asked for, the network has %zu", index,
                        network->stage_count);
    return cnn_layer_write(&network->layers[index], "layer", layer);
}

cnn_stage *cnn_network_dense(const cnn_network *network, size_t index)
{
    if (!network) {
        cnn_fail(CNN_ERROR_ARGUMENT, "network is NULL");
        return NULL;
    }
    if (index < network->stage_count && cnn_stage_is_dense(&network->stages[index]))
        return &network->stages[index];
    cnn_fail(CNN_ERROR_ARGUMENT, "layer %zu is not a dense layer of this network", index);
    return NULL;
}
