/* Networks: their stages and tensors. */
#include "model/network.h"

#include <stdlib.h>
#include <string.h>

#include "base/platform.h"
#include "base/structs.h"
#include "kernels/dispatch.h"
#include "model/columns.h"

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

void cnn_layers_free(size_t count, cnn_layer *layers)
{
    for (size_t i = 0; i < count; i++)
        free((void *)(uintptr_t)layers[i].columns);
    free(layers);
}

cnn_status cnn_layers_check(size_t count, cnn_layer *layers)
{
    for (size_t i = 0; i < count; i++) {
        cnn_layer *layer = &layers[i];
        const cnn_stage_kind *kind = cnn_stage_find(layer->kind);
        if (!kind)
            return cnn_fail(CNN_ERROR_ARGUMENT, "layer %zu has kind %d, should be 0 to %d", i,
                            (int)layer->kind, CNN_LAYER_KIND_COUNT - 1);
        const cnn_status status = kind->check(count, layers, i);
        if (status != CNN_OK)
            return status;
        if (layer->kind == CNN_LAYER_DROPOUT)
            continue;
        layer->outputs = cnn_layer_outputs(layers, i);
        if (layer->kind == CNN_LAYER_SCALE || layer->kind == CNN_LAYER_PARAMETRIC_ACTIVATION)
            layer->inputs = layer->outputs;
    }
    if (layers[count - 1].kind != CNN_LAYER_DENSE)
        return cnn_fail(CNN_ERROR_ARGUMENT, "layer %zu is the last one, should be dense",
                        count - 1);
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

/* List the tensors of a stage behind those that are listed: the fixed ones, or the others. */
static cnn_status add_tensors(cnn_network *network, const cnn_stage *stage, bool fixed)
{
    cnn_tensor own[CNN_STAGE_TENSORS];
    const size_t count = stage->kind->tensors(&network->layers[stage->index], own);
    for (size_t t = 0; t < count; t++) {
        if (own[t].fixed != fixed)
            continue;
        cnn_tensor *tensor = &network->tensors[network->tensor_total++];
        *tensor = own[t];
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
    const size_t outputs = cnn_layer_outputs(network->layers, index);
    *stage = (cnn_stage){
        .kind = cnn_stage_find(layer->kind),
        .kernels = network->kernels,
        .real_size = network->real_size,
        .index = index,
        .inputs = index > 0 ? stage[-1].outputs : layer->inputs,
        .outputs = outputs,
        .rate = layer->rate,
    };
    if (cnn_stage_is_dense(stage) && !network->first_dense)
        network->first_dense = stage;
    if (layer->kind == CNN_LAYER_COLUMNS)
        stage->columns = cnn_columns_make(layer);
    if (layer->kind != CNN_LAYER_DENSE && layer->kind != CNN_LAYER_PARAMETRIC_ACTIVATION)
        return;
    stage->activation = (cnn_activation_spec){layer->activation, layer->alpha};
    (void)cnn_activation_complete("", &stage->activation); /* cnn_layers_check found it good */
    layer->alpha = stage->activation.alpha;
}

/* What the other stages add to the shape of the dense ones. */
static void widen_shape(cnn_network *network)
{
    cnn_shape *shape = &network->shape;
    const cnn_stage *first = network->stages;
    shape->transformed = first != network->first_dense;
    shape->inputs = first->inputs;
    shape->input_row = cnn_stride_span(shape->inputs, network->real_size);
    if (first->kind == &cnn_stage_columns) {
        shape->missing = true;
        shape->widest = cnn_max(shape->widest, first->outputs);
        shape->hidden_row = cnn_stride_span(shape->widest, network->real_size);
    }
    for (size_t t = 0; t < network->tensor_count; t++) {
        const size_t piece = cnn_tensor_piece(&network->tensors[t]);
        shape->longest = cnn_max(shape->longest, piece);
        if (network->tensors[t].kind == CNN_EMBEDDING)
            shape->table = (2 + CNN_MAX_SLOTS) * piece;
    }
}

/* Lay out the stages; *panels is the elements that all weights take in panels. */
static cnn_status lay_out(cnn_network *network, size_t *panels)
{
    size_t dense_count = 0;
    for (size_t i = 0; i < network->stage_count; i++) {
        make_stage(network, i);
        if (network->layers[i].kind == CNN_LAYER_COLUMNS && !network->stages[i].columns.places)
            return cnn_fail(CNN_ERROR_MEMORY, "out of memory for %zu columns",
                            network->layers[i].inputs);
    }
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
    widen_shape(network);
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

/* Whether a parameter is 1 until it is set. */
static bool begins_with_ones(cnn_parameter kind)
{
    return kind == CNN_SCALE || kind == CNN_FACTOR || kind == CNN_MIX;
}

/* Give the tensors their memory, which is 0, and factors ones. */
static void place_tensors(cnn_network *network)
{
    size_t panels = 0;
    for (size_t t = 0; t < network->tensor_total; t++) {
        cnn_tensor *tensor = &network->tensors[t];
        cnn_stage *stage = &network->stages[tensor->layer];
        tensor->values = cnn_at(network, network->parameters, tensor->offset);
        stage->tensors[tensor->kind] = tensor->values;
        if (begins_with_ones(tensor->kind))
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
        cnn_layers_free(count, layers);
        return cnn_fail(CNN_ERROR_MEMORY, "out of memory for a network");
    }
    memset(made, 0, sizeof *made);
    made->dtype = dtype;
    made->real_size = dtype == CNN_FLOAT32 ? 4 : 8;
    made->kernels = cnn_dispatch(dtype);
    made->seed = seed;
    made->stage_count = count;
    made->layers = layers;
    cnn_status status = cnn_layers_check(count, layers);
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

/* Give a layer a copy of its columns, as they stand in a present cnn_column. */
static cnn_status read_columns(cnn_layer *layer, const void *given)
{
    cnn_column *read = layer->inputs <= SIZE_MAX / 64 ? calloc(layer->inputs, sizeof *read) : NULL;
    if (!read)
        return cnn_fail(CNN_ERROR_MEMORY, "out of memory for %zu columns", layer->inputs);
    layer->columns = read;
    return cnn_struct_read_array(&cnn_struct_column, "column", layer->inputs, given, read);
}

/* Copy the columns of the caller's; if it fails, there are no copies. */
static cnn_status own_columns(size_t count, cnn_layer *layers)
{
    cnn_status status = CNN_OK;
    size_t i = 0;
    for (; i < count && status == CNN_OK; i++) {
        const void *given = layers[i].columns;
        layers[i].columns = NULL;
        if (layers[i].kind == CNN_LAYER_COLUMNS && given && layers[i].inputs > 0)
            status = read_columns(&layers[i], given);
    }
    for (; status != CNN_OK && i < count; i++)
        layers[i].columns = NULL;
    for (i = 0; status != CNN_OK && i < count; i++) {
        free((void *)(uintptr_t)layers[i].columns);
        layers[i].columns = NULL;
    }
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
    cnn_status status = cnn_struct_read_array(&cnn_struct_layer, "layer", count, layers, read);
    if (status == CNN_OK)
        status = own_columns(count, read);
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
    for (size_t i = 0; network->stages && i < network->stage_count; i++)
        free((void *)(uintptr_t)network->stages[i].columns.places);
    if (network->layers)
        cnn_layers_free(network->stage_count, network->layers);
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

cnn_tensor *cnn_network_tensor(const cnn_network *network, size_t layer, cnn_parameter kind)
{
    /* Trained tensors are in the order of layers, and fixed ones, behind them, of one layer. */
    size_t low = 0, high = network->tensor_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (network->tensors[middle].layer < layer)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < network->tensor_count && network->tensors[low].layer == layer; low++)
        if (network->tensors[low].kind == kind)
            return &network->tensors[low];
    for (size_t t = network->tensor_count; t < network->tensor_total; t++)
        if (network->tensors[t].layer == layer && network->tensors[t].kind == kind)
            return &network->tensors[t];
    return NULL;
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
