/* Model files: saving networks and trainers, in the format that model_file.h describes. */
#include "file/model_file.h"

#include <stdlib.h>
#include <string.h>

#include "base/platform.h"
#include "train/trainer.h"

/* A model while it is saved; the trainer is NULL for a network alone. */
typedef struct saved_model {
    const cnn_network *network;
    const cnn_trainer *trainer;
    cnn_optimizer optimizer;
    size_t groups;   /* 1 and the optimizer's slots */
    const char *key; /* metadata of the file alone, or NULL; not written if value is NULL */
    const char *value;
} saved_model;

/* Layer `index` of a network, which must be less than its number of layers. */
static cnn_layer layer_of(const cnn_network *network, size_t index)
{
    cnn_layer layer = {.struct_size = sizeof layer};
    (void)cnn_network_layer(network, index, &layer);
    return layer;
}

/* ---- The header -------------------------------------------------------------------------- */

static void write_number(cnn_json_writer *json, const char *field, double value)
{
    cnn_json_write_key(json, field);
    cnn_json_write_double(json, value);
}

static void write_size(cnn_json_writer *json, const char *field, size_t value)
{
    cnn_json_write_key(json, field);
    cnn_json_write_uint64(json, value);
}

static void write_columns(cnn_json_writer *json, const cnn_layer *layer)
{
    cnn_json_write_key(json, "columns");
    cnn_json_write_array(json);
    for (size_t j = 0; j < layer->inputs; j++) {
        const cnn_column *column = &layer->columns[j];
        cnn_json_write_object(json);
        cnn_json_write_key(json, "kind");
        cnn_json_write_string(json, cnn_column_kind_name((int)column->kind));
        if (column->missing != 0)
            write_size(json, "missing", 1);
        if (column->categories > 0)
            write_size(json, "categories", column->categories);
        cnn_json_write_object_end(json);
    }
    cnn_json_write_array_end(json);
    write_number(json, "clip", layer->clip);
    write_size(json, "frequencies", layer->frequencies);
    write_size(json, "periodic_size", layer->periodic_size);
    write_size(json, "embedding_size", layer->embedding_size);
}

/* An activation, and what belongs to a dense layer alone. Without defaults, files of networks that
 * have no other number are as they always were. */
static void write_activation(cnn_json_writer *json, const cnn_layer *layer)
{
    cnn_json_write_key(json, "activation");
    cnn_json_write_string(json, cnn_activation_name((int)layer->activation));
    const int dense = layer->kind == CNN_LAYER_DENSE;
    if (dense)
        write_number(json, "l2", layer->l2);
    if (layer->alpha != cnn_activation_alpha_default((int)layer->activation))
        write_number(json, "alpha", layer->alpha);
    if (dense && layer->parametrization != CNN_PARAMETRIZATION_STANDARD) {
        cnn_json_write_key(json, "parametrization");
        cnn_json_write_string(json, cnn_parametrization_name((int)layer->parametrization));
    }
}

static void write_layer(cnn_json_writer *json, const cnn_layer *layer)
{
    cnn_json_write_object(json);
    cnn_json_write_key(json, "kind");
    cnn_json_write_string(json, cnn_layer_kind_name((int)layer->kind));
    switch (layer->kind) {
    case CNN_LAYER_DROPOUT:
        write_number(json, "rate", layer->rate);
        break;
    case CNN_LAYER_COLUMNS:
        write_columns(json, layer);
        break;
    case CNN_LAYER_DENSE:
        write_size(json, "inputs", layer->inputs);
        write_size(json, "outputs", layer->outputs);
        write_activation(json, layer);
        break;
    case CNN_LAYER_PARAMETRIC_ACTIVATION:
        write_size(json, "inputs", layer->inputs);
        write_activation(json, layer);
        break;
    default:
        write_size(json, "inputs", layer->inputs);
        break;
    }
    cnn_json_write_object_end(json);
}

/* An integer as a string of digits. */
static void write_digits(cnn_json_writer *json, uint64_t value)
{
    char digits[24];
    (void)snprintf(digits, sizeof digits, "%" PRIu64, value);
    cnn_json_write_string(json, digits);
}

static void write_architecture(cnn_json_writer *json, const cnn_network *network)
{
    cnn_json_write_object(json);
    cnn_json_write_key(json, "dtype");
    cnn_json_write_string(json, cnn_model_dtype_name(cnn_network_dtype(network)));
    cnn_json_write_key(json, "seed");
    write_digits(json, cnn_network_seed(network));
    cnn_json_write_key(json, "layers");
    cnn_json_write_array(json);
    for (size_t i = 0; i < cnn_network_layer_count(network); i++) {
        cnn_layer layer = layer_of(network, i);
        write_layer(json, &layer);
    }
    cnn_json_write_array_end(json);
    cnn_json_write_object_end(json);
}

/* The groups of all trained tensors, if one is not in the first. */
static void write_groups(cnn_json_writer *json, const cnn_trainer *trainer)
{
    size_t most = 0;
    for (size_t t = 0; t < trainer->network->tensor_count; t++)
        most = cnn_max(most, trainer->groups[t]);
    if (most == 0)
        return;
    cnn_json_write_key(json, "groups");
    cnn_json_write_array(json);
    for (size_t t = 0; t < trainer->network->tensor_count; t++)
        cnn_json_write_uint64(json, trainer->groups[t]);
    cnn_json_write_array_end(json);
}

static void write_optimizer(cnn_json_writer *json, const saved_model *model)
{
    cnn_json_write_object(json);
    cnn_json_write_key(json, "kind");
    cnn_json_write_string(json, cnn_optimizer_name((int)model->optimizer.kind));
    cnn_json_write_key(json, "steps");
    write_digits(json, cnn_trainer_steps(model->trainer));
#define CNN_X(field) write_number(json, #field, model->optimizer.field);
    CNN_MODEL_OPTIMIZER_NUMBERS(CNN_X)
#undef CNN_X
    if (cnn_trainer_needs_powers(model->trainer)) {
        write_number(json, "beta1_power", model->trainer->beta1_power);
        write_number(json, "beta2_power", model->trainer->beta2_power);
    }
    write_groups(json, model->trainer);
    cnn_json_write_object_end(json);
}

/* Finish an inner JSON text and write it as a string. */
static void write_inner(cnn_json_writer *json, cnn_json_writer *inner)
{
    if (json->status == CNN_OK)
        json->status = inner->status;
    if (json->status == CNN_OK)
        cnn_json_write_string(json, inner->text);
    cnn_json_write_free(inner);
}

/* Write one entry of the user's metadata, with or without the prefix before its key. */
static void write_entry(cnn_json_writer *json, const char *prefix, const char *key,
                        const char *value)
{
    char shown[CNN_JSON_SHOWN];
    /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): a value without a key is refused */
    size_t size = strlen(prefix) + strlen(key) + 1;
    char *prefixed = malloc(size);
    if (!prefixed) {
        json->status = cnn_fail(CNN_ERROR_MEMORY, "out of memory");
        return;
    }
    (void)snprintf(prefixed, size, "%s%s", prefix, key);
    cnn_json_write_key(json, prefixed);
    cnn_json_write_string(json, value);
    if (json->status == CNN_ERROR_ARGUMENT)
        (void)cnn_fail(CNN_ERROR_ARGUMENT, "metadata \"%s\": key and value must be UTF-8",
                       cnn_json_show(key, shown));
    free(prefixed);
}

static void write_user(cnn_json_writer *json, const saved_model *model)
{
    const cnn_network *network = model->network;
    for (size_t i = 0; i < network->metadata_count && json->status == CNN_OK; i++) {
        const cnn_metadata *entry = network->metadata[i];
        if (!model->key || strcmp(entry->key, model->key) != 0)
            write_entry(json, entry->foreign ? "" : CNN_MODEL_USER, entry->key, entry->value);
    }
    if (model->value && json->status == CNN_OK)
        write_entry(json, CNN_MODEL_USER, model->key, model->value);
}

static void write_metadata(cnn_json_writer *json, const saved_model *model)
{
    cnn_json_writer architecture = {0}, optimizer = {0};
    cnn_json_write_object(json);
    cnn_json_write_key(json, "format");
    cnn_json_write_string(json, CNN_MODEL_FORMAT);
    cnn_json_write_key(json, "format_version");
    cnn_json_write_string(json, CNN_MODEL_FORMAT_VERSION);
    cnn_json_write_key(json, "architecture");
    write_architecture(&architecture, model->network);
    write_inner(json, &architecture);
    if (model->trainer) {
        cnn_json_write_key(json, "optimizer");
        write_optimizer(&optimizer, model);
        write_inner(json, &optimizer);
    }
    write_user(json, model);
    cnn_json_write_object_end(json);
}

/*
 * Write the entry of a tensor, or of one of its slots, whose data begin at *offset, and move
 * *offset to their end. Group 0 is the tensor itself, group 1 + S slot S.
 */
static void write_tensor(cnn_json_writer *json, size_t group, const cnn_tensor *tensor,
                         cnn_dtype dtype, size_t *offset)
{
    char name[CNN_MODEL_NAME_SIZE];
    size_t bytes = 0, end = 0;
    const bool fits = cnn_multiply(cnn_tensor_count(tensor), cnn_model_real_size(dtype), &bytes) &&
                      cnn_add(*offset, bytes, &end);
    if (!fits && json->status == CNN_OK)
        json->status = cnn_fail(CNN_ERROR_MEMORY, "the model is too large for one file");
    const cnn_model_tensor named = {
        .group = group, .layer = tensor->layer, .parameter = tensor->kind};
    cnn_json_write_key(json, cnn_model_tensor_name(&named, name));
    cnn_json_write_object(json);
    cnn_json_write_key(json, "dtype");
    cnn_json_write_string(json, cnn_model_tensor_dtype(dtype));
    cnn_json_write_key(json, "shape");
    cnn_json_write_array(json);
    if (cnn_parameter_is_matrix(tensor->kind))
        cnn_json_write_uint64(json, tensor->rows);
    cnn_json_write_uint64(json, tensor->cols);
    cnn_json_write_array_end(json);
    cnn_json_write_key(json, "data_offsets");
    cnn_json_write_array(json);
    cnn_json_write_uint64(json, *offset);
    cnn_json_write_uint64(json, end);
    cnn_json_write_array_end(json);
    cnn_json_write_object_end(json);
    *offset = end;
}

/* Write the padded header, and determine the size of the data. */
static cnn_status write_header(cnn_json_writer *json, const saved_model *model, size_t *data_size)
{
    const cnn_network *network = model->network;
    *data_size = 0;
    cnn_json_write_object(json);
    cnn_json_write_key(json, "__metadata__");
    write_metadata(json, model);
    for (size_t group = 0; group < model->groups; group++)
        for (size_t t = 0; t < (group == 0 ? network->tensor_total : network->tensor_count); t++)
            write_tensor(json, group, &network->tensors[t], network->dtype, data_size);
    cnn_json_write_object_end(json);
    if (json->status == CNN_OK && json->size <= CNN_MODEL_HEADER_MAX)
        cnn_json_write_spaces(json, cnn_round_up(json->size + 8, CNN_MODEL_ALIGNMENT) - 8);
    if (json->status == CNN_OK && json->size > CNN_MODEL_HEADER_MAX)
        json->status = cnn_fail(CNN_ERROR_ARGUMENT,
                                "the metadata and layers need more than the %d bytes that the "
                                "header of a model file may have",
                                CNN_MODEL_HEADER_MAX);
    return json->status;
}

/* ---- The data ---------------------------------------------------------------------------- */

/* Write all tensors in the header's order; `data` is aligned for the network's type. */
static cnn_status write_data(const saved_model *model, unsigned char *data)
{
    const cnn_network *network = model->network;
    cnn_status status = CNN_OK;
    for (size_t t = 0; t < network->tensor_total; t++) {
        const cnn_tensor *tensor = &network->tensors[t];
        cnn_tensor_read(tensor, network->real_size, data);
        data += cnn_tensor_count(tensor) * network->real_size;
    }
    /* A slot has its numbers in the order of the file. */
    for (size_t slot = 0; slot + 1 < model->groups && status == CNN_OK; slot++) {
        status = cnn_trainer_get_state(model->trainer, slot, data, network->parameter_count);
        data += network->parameter_count * network->real_size;
    }
    return status;
}

/* ---- Files ------------------------------------------------------------------------------- */

static cnn_status check_model(const saved_model *model)
{
    const bool adds = model->value && !cnn_network_metadata(model->network, model->key);
    const size_t count = cnn_network_metadata_count(model->network) + (adds ? 1 : 0);
    if (count > CNN_MODEL_USER_MAX)
        return cnn_fail(CNN_ERROR_ARGUMENT,
                        "the network has %zu metadata; a model file has room for %d", count,
                        CNN_MODEL_USER_MAX);
    return CNN_OK;
}

/* Make the bytes of a file, which the caller frees by cnn_bytes_free. */
static cnn_status write_model(const saved_model *model, void **bytes, size_t *size)
{
    cnn_json_writer json = {0};
    size_t data_size = 0, total = 0;
    unsigned char *file = NULL;
    cnn_status status = check_model(model);
    if (status == CNN_OK)
        status = write_header(&json, model, &data_size);
    if (status == CNN_OK) {
        if (cnn_add(json.size + 8, data_size, &total))
            file = malloc(total);
        if (!file)
            status = cnn_fail(CNN_ERROR_MEMORY, "out of memory");
    }
    if (status == CNN_OK) {
        for (int i = 0; i < 8; i++)
            file[i] = (unsigned char)((uint64_t)json.size >> (8 * i));
        memcpy(file + 8, json.text, json.size);
        status = write_data(model, file + 8 + json.size);
        cnn_convert_order(file + 8 + json.size, data_size / model->network->real_size,
                          model->network->real_size);
    }
    cnn_json_write_free(&json);
    if (status != CNN_OK) {
        free(file);
        return status;
    }
    *bytes = file;
    *size = total;
    return CNN_OK;
}

static cnn_status save_model(const saved_model *model, const char *path)
{
    void *bytes = NULL;
    size_t size = 0;
    cnn_status status = write_model(model, &bytes, &size);
    if (status == CNN_OK) {
        int error = cnn_platform_file_replace(path, bytes, size);
        if (error != 0)
            status = cnn_fail_system(error, "cannot write the model file", path);
    }
    free(bytes);
    return status;
}

cnn_status cnn_network_to_bytes(const cnn_network *network, void **bytes, size_t *size)
{
    saved_model model = {.network = network, .groups = 1};
    if (!network || !bytes || !size)
        return cnn_fail(CNN_ERROR_ARGUMENT, "network, bytes and size must not be NULL");
    return write_model(&model, bytes, size);
}

void cnn_bytes_free(void *bytes)
{
    free(bytes);
}

cnn_status cnn_network_save(const cnn_network *network, const char *path)
{
    saved_model model = {.network = network, .groups = 1};
    if (!network || !path)
        return cnn_fail(CNN_ERROR_ARGUMENT, "network and path must not be NULL");
    return save_model(&model, path);
}

cnn_status cnn_trainer_save(const cnn_trainer *trainer, const char *path)
{
    return cnn_trainer_save_with(trainer, NULL, NULL, path);
}

cnn_status cnn_trainer_save_with(const cnn_trainer *trainer, const char *key, const char *value,
                                 const char *path)
{
    saved_model model = {.trainer = trainer,
                         .optimizer = {.struct_size = sizeof model.optimizer},
                         .key = key,
                         .value = value};
    if (!trainer || !path)
        return cnn_fail(CNN_ERROR_ARGUMENT, "trainer and path must not be NULL");
    if (value && !key)
        return cnn_fail(CNN_ERROR_ARGUMENT, "key is NULL, but there is a value");
    cnn_status status = cnn_trainer_optimizer(trainer, &model.optimizer);
    if (status != CNN_OK)
        return status;
    model.network = cnn_trainer_network(trainer);
    model.groups = 1 + (size_t)cnn_optimizer_slots((int)model.optimizer.kind);
    return save_model(&model, path);
}
