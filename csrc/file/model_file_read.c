/*
 * Model files: loading. The header is read first (model_file_header.c). Then its tensors are
 * checked against its architecture and the file's size. Only after that is the network made and are
 * the data read, so that the network is no larger than the data of the file call for.
 *
 * Memory, for any bytes, is at most six times the file and 1 MiB. While the header is read it is
 * the header, its strings, and its lists of tensors or layers, which are counted before they are
 * made. The text is freed before its architecture is read, and the strings before the network is
 * made, which takes the list of layers as its own. A network also keeps its weights in panels,
 * which are padded to less than twice their size (weight.h). So a file of large weights takes less
 * than 3 times its size. The largest factor is that of layers of one number with a dropout between
 * each two of them: 5.2, for a line of 34 bytes and one of 238 with its tensors.
 */
#include "file/model_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "file/sort.h"
#include "model/network.h"
#include "train/trainer.h"

/* The source of a model: bytes in memory, or a file. */
typedef struct model_source {
    const unsigned char *bytes; /* NULL for a file */
    cnn_file file;
    const char *path;
    size_t size;
} model_source;

/* A model while it is loaded. */
typedef struct loaded_model {
    const model_source *source;
    cnn_model_header header;
    size_t data_offset, data_size;
    size_t groups;       /* 1 and the optimizer's slots */
    const void **sorted; /* the tensors of the header by (group, layer, parameter) */
} loaded_model;

#define REFUSE(...) cnn_fail(CNN_ERROR_MODEL_FILE, __VA_ARGS__)

/* Turn a refusal by a network or trainer into CNN_ERROR_MODEL_FILE: the file has a bad value. */
static cnn_status blame_file(cnn_status status, const char *what)
{
    if (status != CNN_ERROR_ARGUMENT)
        return status;
    return REFUSE("%s: %s", what, cnn_last_error());
}

/* By group, then layer, then parameter: within a group the order of a network's tensors. */
static int compare_places(const void *a, const void *b)
{
    const cnn_model_tensor *left = a, *right = b;
    if (left->group != right->group)
        return left->group < right->group ? -1 : 1;
    if (left->layer != right->layer)
        return left->layer < right->layer ? -1 : 1;
    return (left->parameter > right->parameter) - (left->parameter < right->parameter);
}

/* The tensor of a place, and if `place` is not NULL where it is, or would be; NULL if it is
 * missing. */
static const cnn_model_tensor *find_tensor(const loaded_model *model, size_t group, size_t layer,
                                           cnn_parameter parameter, size_t *place)
{
    const cnn_model_tensor wanted = {.group = group, .layer = layer, .parameter = parameter};
    size_t low = 0, high = model->header.tensor_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (compare_places(model->sorted[middle], &wanted) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (place)
        *place = low;
    const bool there =
        low < model->header.tensor_count && compare_places(model->sorted[low], &wanted) == 0;
    return there ? model->sorted[low] : NULL;
}

/* List the tensors of a layer; how many there are. */
static size_t tensors_of(const cnn_layer *layer, cnn_tensor list[CNN_STAGE_TENSORS])
{
    return cnn_stage_find(layer->kind)->tensors(layer, list);
}

/* ---- The source -------------------------------------------------------------------------- */

/* Copy a part of the source, which must lie within its size. */
static cnn_status read_part(const model_source *source, size_t offset, size_t size, void *to)
{
    size_t got = 0;
    if (source->bytes) {
        memcpy(to, source->bytes + offset, size);
        return CNN_OK;
    }
    const int error = cnn_platform_file_read_at(&source->file, offset, to, size, &got);
    if (error != 0)
        return cnn_fail_system(error, "cannot read the model file", source->path);
    if (got < size)
        return REFUSE("the file became shorter while it was read");
    return CNN_OK;
}

/* Read the header: the first bytes, which suffice to refuse most other files, then the rest. */
static cnn_status read_header(loaded_model *model)
{
    const model_source *source = model->source;
    unsigned char start[CNN_MODEL_START];
    size_t size = 0;
    cnn_status status = read_part(source, 0, cnn_min(sizeof start, source->size), start);
    if (status == CNN_OK)
        status = cnn_model_header_size(start, source->size, &size);
    if (status != CNN_OK)
        return status;
    char *text = malloc(size);
    if (!text)
        return cnn_fail(CNN_ERROR_MEMORY, "out of memory");
    status = read_part(source, 8, size, text);
    if (status == CNN_OK)
        status = cnn_model_header_read(text, size, &model->header);
    free(text);
    if (status == CNN_OK)
        status = cnn_model_header_read_network(&model->header);
    model->data_offset = 8 + size;
    model->data_size = source->size - model->data_offset;
    return status;
}

/* ---- Checks ------------------------------------------------------------------------------ */

/* "[3, 4]" */
static const char *show_shape(const uint64_t *shape, size_t dimensions, char text[48])
{
    if (dimensions == 2)
        (void)snprintf(text, 48, "[%" PRIu64 ", %" PRIu64 "]", shape[0], shape[1]);
    else if (dimensions == 1)
        (void)snprintf(text, 48, "[%" PRIu64 "]", shape[0]);
    else
        (void)snprintf(text, 48, "[]");
    return text;
}

/* Check that the architecture or the optimizer has a tensor of this name: *expected. */
static cnn_status check_place(const loaded_model *model, const cnn_model_tensor *tensor,
                              const char *name, cnn_tensor *expected)
{
    const cnn_model_header *header = &model->header;
    if (tensor->group > 0 && !header->has_optimizer)
        return REFUSE("%s: the file has no optimizer", name);
    if (tensor->group >= model->groups)
        return REFUSE("%s: the optimizer has %zu slots", name, model->groups - 1);
    if (tensor->layer >= header->layer_count)
        return REFUSE("%s: the architecture has %zu layers", name, header->layer_count);
    cnn_tensor list[CNN_STAGE_TENSORS];
    const size_t count = tensors_of(&header->layers[tensor->layer], list);
    size_t t = 0;
    while (t < count && list[t].kind != tensor->parameter)
        t++;
    if (count == 0)
        return REFUSE("%s: layer %zu has no parameters", name, tensor->layer);
    if (t == count)
        return REFUSE("%s: layer %zu has no %s", name, tensor->layer,
                      cnn_parameter_name((int)tensor->parameter));
    if (tensor->group > 0 && list[t].fixed)
        return REFUSE("%s: the optimizer does not train it", name);
    *expected = list[t];
    return CNN_OK;
}

/* Check that dtype, shape and size are those of the architecture. */
static cnn_status check_tensor(const loaded_model *model, const cnn_model_tensor *tensor,
                               const char *name, const cnn_tensor *expected)
{
    const cnn_model_header *header = &model->header;
    const char *dtype = cnn_model_tensor_dtype(header->dtype);
    const uint64_t matrix[2] = {expected->rows, expected->cols};
    const size_t dimensions = cnn_parameter_is_matrix(tensor->parameter) ? 2 : 1;
    const uint64_t *shape = matrix + 2 - dimensions;
    char shown[CNN_JSON_SHOWN], have[48], want[48];
    size_t bytes = 0;
    if (strcmp(tensor->dtype, dtype) != 0)
        return REFUSE("%s: dtype is %s, the architecture says %s", name,
                      cnn_json_show(tensor->dtype, shown), dtype);
    if (tensor->dimensions != dimensions ||
        memcmp(tensor->shape, shape, dimensions * sizeof *shape) != 0)
        return REFUSE("%s: shape is %s, the architecture says %s", name,
                      show_shape(tensor->shape, tensor->dimensions, have),
                      show_shape(shape, dimensions, want));
    if (tensor->begin > tensor->end)
        return REFUSE("%s: data_offsets [%" PRIu64 ", %" PRIu64 "] are the wrong way round", name,
                      tensor->begin, tensor->end);
    if (tensor->end > model->data_size)
        return REFUSE("%s: data end at byte %" PRIu64 ", but the file has %zu bytes of data", name,
                      tensor->end, model->data_size);
    if (!cnn_multiply(expected->rows, expected->cols, &bytes) ||
        !cnn_multiply(bytes, cnn_model_real_size(header->dtype), &bytes) ||
        bytes != tensor->end - tensor->begin)
        return REFUSE("%s: data_offsets span %" PRIu64 " bytes, which is not the size of %s %s",
                      name, tensor->end - tensor->begin, show_shape(shape, dimensions, want),
                      dtype);
    return CNN_OK;
}

/* Check that each tensor of the header is expected and fits. */
static cnn_status check_tensors(const loaded_model *model)
{
    char name[CNN_MODEL_NAME_SIZE];
    for (size_t i = 0; i < model->header.tensor_count; i++) {
        const cnn_model_tensor *tensor = &model->header.tensors[i];
        cnn_model_tensor_name(tensor, name);
        cnn_tensor expected = {.rows = 0};
        cnn_status status = check_place(model, tensor, name, &expected);
        if (status == CNN_OK)
            status = check_tensor(model, tensor, name, &expected);
        if (status != CNN_OK)
            return status;
    }
    return CNN_OK;
}

static cnn_status check_nothing_missing(const loaded_model *model)
{
    char name[CNN_MODEL_NAME_SIZE];
    for (size_t group = 0; group < model->groups; group++) {
        for (size_t layer = 0; layer < model->header.layer_count; layer++) {
            cnn_tensor list[CNN_STAGE_TENSORS];
            const size_t count = tensors_of(&model->header.layers[layer], list);
            for (size_t t = 0; t < count; t++) {
                const cnn_model_tensor tensor = {
                    .group = group, .layer = layer, .parameter = list[t].kind};
                if (!(group > 0 && list[t].fixed) &&
                    !find_tensor(model, group, layer, list[t].kind, NULL))
                    return REFUSE("%s is missing", cnn_model_tensor_name(&tensor, name));
            }
        }
    }
    return CNN_OK;
}

static int compare_begins(const void *a, const void *b)
{
    const cnn_model_tensor *left = a, *right = b;
    return (left->begin > right->begin) - (left->begin < right->begin);
}

/* The tensors of a header in an order; NULL without memory. */
static const void **list_tensors(const cnn_model_header *header,
                                 int (*compare)(const void *, const void *))
{
    const void **list = calloc(cnn_max(header->tensor_count, 1), sizeof *list);
    for (size_t i = 0; list && i < header->tensor_count; i++)
        list[i] = &header->tensors[i];
    if (list)
        cnn_sort(list, header->tensor_count, compare);
    return list;
}

/* Check that the tensors' data follow one another without gaps and fill the file. */
static cnn_status check_cover(const loaded_model *model)
{
    const size_t count = model->header.tensor_count;
    const void **order = list_tensors(&model->header, compare_begins);
    char name[CNN_MODEL_NAME_SIZE];
    uint64_t position = 0;
    cnn_status status = CNN_OK;
    if (!order)
        return cnn_fail(CNN_ERROR_MEMORY, "out of memory");
    for (size_t i = 0; i < count && status == CNN_OK; i++) {
        const cnn_model_tensor *tensor = order[i];
        cnn_model_tensor_name(tensor, name);
        if (tensor->begin < position)
            status = REFUSE("%s: data overlap those of another tensor", name);
        else if (tensor->begin > position)
            status = REFUSE("%s: %" PRIu64 " bytes before the data belong to no tensor", name,
                            tensor->begin - position);
        position = tensor->end;
    }
    free(order);
    if (status == CNN_OK && position != model->data_size)
        status =
            REFUSE("%zu bytes at the end belong to no tensor", model->data_size - (size_t)position);
    return status;
}

/* Check that header and data fit together, and sort the tensors. */
static cnn_status check_model(loaded_model *model)
{
    cnn_model_header *header = &model->header;
    const int slots = header->has_optimizer ? cnn_optimizer_slots((int)header->optimizer.kind) : 0;
    model->groups = 1 + (size_t)slots;
    if (header->layer_count == 0)
        return REFUSE("architecture: there are no layers");
    cnn_status status =
        blame_file(cnn_layers_check(header->layer_count, header->layers), "architecture");
    if (status == CNN_OK)
        status = check_tensors(model);
    if (status != CNN_OK)
        return status;
    model->sorted = list_tensors(header, compare_places);
    if (!model->sorted)
        return cnn_fail(CNN_ERROR_MEMORY, "out of memory");
    status = check_nothing_missing(model);
    return status == CNN_OK ? check_cover(model) : status;
}

/* ---- Building ---------------------------------------------------------------------------- */

/* Read a tensor's data to `values`, and add its number of elements to *count. */
static cnn_status read_tensor(const loaded_model *model, const cnn_model_tensor *tensor,
                              void *values, size_t *count)
{
    const size_t size = (size_t)(tensor->end - tensor->begin);
    const size_t real_size = cnn_model_real_size(model->header.dtype);
    const cnn_status status =
        read_part(model->source, model->data_offset + (size_t)tensor->begin, size, values);
    cnn_convert_order(values, size / real_size, real_size);
    *count += size / real_size;
    return status;
}

/* Read the parameters into the network. */
static cnn_status set_parameters(const loaded_model *model, cnn_network *network)
{
    cnn_status status = CNN_OK;
    size_t count = 0;
    for (size_t i = 0; i < model->header.tensor_count && status == CNN_OK; i++) {
        const cnn_model_tensor *tensor = &model->header.tensors[i];
        if (tensor->group != 0)
            continue;
        const cnn_tensor *target = cnn_network_tensor(network, tensor->layer, tensor->parameter);
        status = read_tensor(model, tensor, target->values, &count);
    }
    for (size_t t = network->tensor_count; t < network->tensor_total && status == CNN_OK; t++) {
        const cnn_tensor *fixed = &network->tensors[t];
        const cnn_model_tensor named = {.layer = fixed->layer, .parameter = fixed->kind};
        char name[CNN_MODEL_NAME_SIZE];
        status = blame_file(cnn_fixed_check(network, fixed, fixed->values),
                            cnn_model_tensor_name(&named, name));
    }
    cnn_network_wrote(network, CNN_ROW_MAJOR);
    cnn_network_refresh(network, CNN_PANELS);
    return status;
}

/* Read a slot: the numbers of each trained tensor, one after the other. */
static cnn_status set_slot(const loaded_model *model, cnn_trainer *trainer, size_t slot,
                           void *values)
{
    cnn_status status = CNN_OK;
    size_t count = 0, place = 0;
    (void)find_tensor(model, 1 + slot, 0, (cnn_parameter)0, &place);
    for (; place < model->header.tensor_count && status == CNN_OK; place++) {
        const cnn_model_tensor *tensor = model->sorted[place];
        if (tensor->group != 1 + slot)
            break;
        void *next = (char *)values + count * cnn_model_real_size(model->header.dtype);
        status = read_tensor(model, tensor, next, &count);
    }
    if (status == CNN_OK)
        status = blame_file(cnn_trainer_set_state(trainer, slot, values, count), "optimizer");
    return status;
}

static cnn_status set_slots(const loaded_model *model, cnn_trainer *trainer)
{
    cnn_status status = CNN_OK;
    if (model->groups == 1)
        return CNN_OK;
    void *values = malloc(cnn_max(model->data_size / model->groups, 1));
    if (!values)
        return cnn_fail(CNN_ERROR_MEMORY, "out of memory");
    for (size_t slot = 0; slot + 1 < model->groups && status == CNN_OK; slot++)
        status = set_slot(model, trainer, slot, values);
    free(values);
    return status;
}

static cnn_status add_user(cnn_network *network, const cnn_model_user *user)
{
    char shown[CNN_JSON_SHOWN];
    if (cnn_network_metadata(network, user->key))
        return REFUSE("__metadata__: \"%s\" is there twice, with and without \"%s\"",
                      cnn_json_show(user->key, shown), CNN_MODEL_USER);
    return blame_file(cnn_metadata_add(network, user->key, user->value, user->foreign),
                      "__metadata__");
}

static cnn_status build_network(loaded_model *model, cnn_network **network)
{
    cnn_model_header *header = &model->header;
    cnn_layer *layers = header->layers;
    header->layers = NULL;
    cnn_status status =
        cnn_network_adopt(header->dtype, header->layer_count, layers, header->seed, network);
    if (status != CNN_OK)
        return blame_file(status, "architecture");
    status = set_parameters(model, *network);
    for (size_t i = 0; i < header->user_count && status == CNN_OK; i++)
        status = add_user(*network, &header->user[i]);
    if (status != CNN_OK)
        cnn_network_destroy(*network);
    return status;
}

static cnn_status set_groups(const cnn_model_header *header, cnn_trainer *trainer)
{
    const size_t count = trainer->network->tensor_count;
    if (header->group_count != count)
        return REFUSE("optimizer: %zu groups, should be %zu", header->group_count, count);
    for (size_t t = 0; t < count; t++)
        trainer->groups[t] = header->groups[t];
    cnn_trainer_find_variants(trainer);
    return CNN_OK;
}

/* Make the trainer of a file that has an optimizer. */
static cnn_status build_trainer(const loaded_model *model, cnn_network *network,
                                cnn_trainer **trainer)
{
    const cnn_model_header *header = &model->header;
    const double *powers = header->has_powers ? header->powers : NULL;
    cnn_trainer *made = NULL;
    cnn_status status =
        blame_file(cnn_trainer_create(network, &header->optimizer, &made), "optimizer");
    if (status == CNN_OK)
        status = blame_file(cnn_trainer_resume(made, header->steps, powers), "optimizer");
    if (status == CNN_OK && header->groups)
        status = set_groups(header, made);
    if (status == CNN_OK)
        status = set_slots(model, made);
    if (status == CNN_OK)
        *trainer = made;
    else
        cnn_trainer_destroy(made);
    return status;
}

/* Make the network, and the trainer if `trainer` is not NULL. */
static cnn_status build_model(loaded_model *model, cnn_network **network, cnn_trainer **trainer)
{
    const cnn_model_header *header = &model->header;
    cnn_network *made = NULL;
    if (trainer && !header->has_optimizer)
        return REFUSE("the file holds a network without an optimizer, so training cannot go on");
    cnn_status status = CNN_OK;
    if (header->has_optimizer && !trainer)
        status = blame_file(cnn_optimizer_check(&header->optimizer), "optimizer");
    if (status == CNN_OK)
        status = build_network(model, &made);
    if (status == CNN_OK && trainer) {
        status = build_trainer(model, made, trainer);
        if (status != CNN_OK)
            cnn_network_destroy(made);
    }
    if (status == CNN_OK)
        *network = made;
    return status;
}

/* ---- Files ------------------------------------------------------------------------------- */

static cnn_status read_model(const model_source *source, cnn_network **network,
                             cnn_trainer **trainer)
{
    loaded_model model = {.source = source};
    cnn_status status = read_header(&model);
    if (status == CNN_OK)
        status = check_model(&model);
    if (status == CNN_OK)
        status = cnn_model_header_shrink(&model.header);
    if (!trainer) { /* the order is for slots alone from here on */
        free(model.sorted);
        model.sorted = NULL;
    }
    if (status == CNN_OK)
        status = build_model(&model, network, trainer);
    free(model.sorted);
    cnn_model_header_free(&model.header);
    return status;
}

/* Load a file whose size the system does not report, after reading it whole. */
static cnn_status load_whole(const char *path, cnn_network **network, cnn_trainer **trainer)
{
    void *bytes = NULL;
    model_source source = {.size = 0};
    const int error = cnn_platform_file_read(path, SIZE_MAX / 2, &bytes, &source.size);
    if (error != 0)
        return cnn_fail_system(error, "cannot read the model file", path);
    source.bytes = bytes;
    const cnn_status status = read_model(&source, network, trainer);
    cnn_platform_free(bytes);
    return status;
}

static cnn_status load_model(const char *path, cnn_network **network, cnn_trainer **trainer)
{
    model_source source = {.path = path};
    cnn_status status = CNN_OK;
    const int error = cnn_platform_file_open(path, &source.file);
    if (error != 0)
        return cnn_fail_system(error, "cannot read the model file", path);
    source.size = (size_t)source.file.size;
    if (source.file.size > SIZE_MAX / 2)
        status = cnn_fail_system(EFBIG, "cannot read the model file", path);
    else if (source.size == 0)
        status = load_whole(path, network, trainer);
    else
        status = read_model(&source, network, trainer);
    cnn_platform_file_close(&source.file);
    return status;
}

cnn_status cnn_network_from_bytes(const void *bytes, size_t size, cnn_network **network)
{
    if (!bytes || !network)
        return cnn_fail(CNN_ERROR_ARGUMENT, "bytes and network must not be NULL");
    const model_source source = {.bytes = bytes, .size = size};
    return read_model(&source, network, NULL);
}

cnn_status cnn_network_load(const char *path, cnn_network **network)
{
    if (!path || !network)
        return cnn_fail(CNN_ERROR_ARGUMENT, "path and network must not be NULL");
    return load_model(path, network, NULL);
}

cnn_status cnn_trainer_load(const char *path, cnn_network **network, cnn_trainer **trainer)
{
    if (!path || !network || !trainer)
        return cnn_fail(CNN_ERROR_ARGUMENT, "path, network and trainer must not be NULL");
    return load_model(path, network, trainer);
}
