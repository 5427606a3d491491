/* Model files: reading the header, in the format that model_file.h describes. */
#include "file/model_file.h"

#include <stdlib.h>
#include <string.h>

/* ---- Fields ------------------------------------------------------------------------------ */

/* An object with fields from a list, and the set of fields that were read. */
typedef struct field_list {
    const char *where; /* which object it is, for messages */
    const char *const *names;
    int count;
    unsigned seen; /* a bit for each */
} field_list;

#define FIELDS(object, list)                                                                       \
    {.where = (object), .names = (list), .count = (int)(sizeof(list) / sizeof *(list))}

/* Go to the object's next field. Returns its index in the list, or -1 at the end or on failure. */
static int next_field(cnn_json *json, field_list *fields)
{
    const char *key = NULL;
    char shown[CNN_JSON_SHOWN];
    if (!cnn_json_member(json, &key))
        return -1;
    for (int i = 0; i < fields->count; i++) {
        if (strcmp(key, fields->names[i]) == 0) {
            fields->seen |= 1u << i;
            return i;
        }
    }
    cnn_json_refuse(json, "%s: unknown field \"%s\"", fields->where, cnn_json_show(key, shown));
    return -1;
}

/* Check that exactly the fields of a set, with a bit for each, were read. */
static void check_fields(cnn_json *json, const field_list *fields, unsigned wanted)
{
    for (int i = 0; i < fields->count; i++) {
        unsigned bit = 1u << i;
        if ((wanted & bit) != 0 && (fields->seen & bit) == 0)
            cnn_json_refuse(json, "%s: \"%s\" is missing", fields->where, fields->names[i]);
        if ((wanted & bit) == 0 && (fields->seen & bit) != 0)
            cnn_json_refuse(json, "%s: \"%s\" does not belong to a layer of this kind",
                            fields->where, fields->names[i]);
    }
}

static unsigned all_of(const field_list *fields)
{
    return (1u << fields->count) - 1;
}

/* Read a string that must be a name from a list of cnn.h, and return its value. */
static int read_name(cnn_json *json, const char *where, const char *field,
                     const char *(*name_of)(int))
{
    const char *text = cnn_json_string(json);
    char shown[CNN_JSON_SHOWN];
    for (int value = 0; name_of(value) != NULL; value++) {
        if (strcmp(text, name_of(value)) == 0)
            return value;
    }
    cnn_json_refuse(json, "%s: unknown %s \"%s\"", where, field, cnn_json_show(text, shown));
    return 0;
}

static const char *dtype_name(int dtype)
{
    return dtype <= CNN_FLOAT64 ? cnn_model_dtype_name((cnn_dtype)dtype) : NULL;
}

/* Read an integer from 0 to `most` that is written as a string. */
static uint64_t read_digits(cnn_json *json, const char *where, const char *field, uint64_t most)
{
    const char *text = cnn_json_string(json);
    char shown[CNN_JSON_SHOWN];
    uint64_t value = 0;
    if (!cnn_json_digits(text, strlen(text), &value) || value > most)
        cnn_json_refuse(json, "%s: %s is \"%s\", not a whole number from 0 to %" PRIu64, where,
                        field, cnn_json_show(text, shown), most);
    return value;
}

/* Read a size, which may be 0. */
static size_t read_size(cnn_json *json, const char *where, const char *field)
{
    const uint64_t value = cnn_json_uint64(json);
    if (value > SIZE_MAX)
        cnn_json_refuse(json, "%s: %s is %" PRIu64 "; it must fit in memory", where, field, value);
    return (size_t)value;
}

/* Read a dimension of a layer. */
static size_t read_dimension(cnn_json *json, const char *where, const char *field)
{
    uint64_t value = cnn_json_uint64(json);
    if (value == 0 || value > SIZE_MAX)
        cnn_json_refuse(json, "%s: %s is %" PRIu64 "; it must be at least 1 and fit in memory",
                        where, field, value);
    return (size_t)value;
}

/* ---- Architecture and optimizer ---------------------------------------------------------- */

/* The fields of a layer, in the order of their names in read_layer(). */
enum {
    KIND,
    RATE,
    INPUTS,
    OUTPUTS,
    ACTIVATION,
    L2,
    ALPHA,
    PARAMETRIZATION,
    COLUMNS,
    CLIP,
    FREQUENCIES,
    PERIODIC_SIZE,
    EMBEDDING_SIZE
};

static void read_column(cnn_json *json, const char *where, cnn_column *column)
{
    static const char *const names[] = {"kind", "missing", "categories"};
    enum { COLUMN_KIND, MISSING, CATEGORIES };
    field_list fields = FIELDS(where, names);
    *column = (cnn_column){.struct_size = sizeof *column};
    cnn_json_object(json);
    for (int i = next_field(json, &fields); i >= 0; i = next_field(json, &fields)) {
        if (i == COLUMN_KIND)
            column->kind = (cnn_column_kind)read_name(json, where, "kind", cnn_column_kind_name);
        else if (i == CATEGORIES)
            column->categories = read_dimension(json, where, "categories");
        else if (cnn_json_uint64(json) == 1)
            column->missing = 1;
        else
            cnn_json_refuse(json, "%s: missing must be 1", where);
    }
    const unsigned optional = 1u << MISSING | 1u << CATEGORIES;
    check_fields(json, &fields, (all_of(&fields) & ~optional) | (fields.seen & optional));
}

/* Read the columns of the first layer, or count them; another layer has none. */
static void read_columns(cnn_json *json, const char *where, cnn_layer *layer,
                         cnn_model_header *header)
{
    cnn_column *columns = NULL;
    const size_t most = header->column_count;
    size_t count = 0;
    if (header->layer_count > 0)
        cnn_json_refuse(json, "%s: a columns layer belongs in the first place", where);
    if (header->layers && json->status == CNN_OK) {
        layer->columns = columns = calloc(most, sizeof *columns);
        if (!columns)
            json->status = cnn_fail(CNN_ERROR_MEMORY, "out of memory for %zu columns", most);
    }
    cnn_json_array(json);
    while (cnn_json_element(json)) {
        cnn_column counted;
        read_column(json, where, columns && count < most ? &columns[count] : &counted);
        count++;
    }
    if (count == 0)
        cnn_json_refuse(json, "%s: there are no columns", where);
    header->column_count = count;
    layer->inputs = count;
}

/* The fields that a layer must have. */
static unsigned fields_of(const cnn_layer *layer, unsigned seen)
{
    /* alpha and parametrization are there only if they are not the default. */
    const unsigned optional = seen & (1u << ALPHA | 1u << PARAMETRIZATION);
    const unsigned of_kind[] = {
        [CNN_LAYER_DENSE] = 1u << INPUTS | 1u << OUTPUTS | 1u << ACTIVATION | 1u << L2 | optional,
        [CNN_LAYER_DROPOUT] = 1u << RATE,
        [CNN_LAYER_STANDARDIZE] = 1u << INPUTS,
        [CNN_LAYER_COLUMNS] = 1u << COLUMNS | 1u << CLIP | 1u << FREQUENCIES | 1u << PERIODIC_SIZE |
                              1u << EMBEDDING_SIZE,
        [CNN_LAYER_SCALE] = 1u << INPUTS,
        [CNN_LAYER_PARAMETRIC_ACTIVATION] =
            1u << INPUTS | 1u << ACTIVATION | (optional & 1u << ALPHA),
    };
    return 1u << KIND | of_kind[layer->kind];
}

static void read_layer(cnn_json *json, const char *where, cnn_layer *layer,
                       cnn_model_header *header)
{
    static const char *const names[] = {
        [KIND] = "kind",
        [RATE] = "rate",
        [INPUTS] = "inputs",
        [OUTPUTS] = "outputs",
        [ACTIVATION] = "activation",
        [L2] = "l2",
        [ALPHA] = "alpha",
        [PARAMETRIZATION] = "parametrization",
        [COLUMNS] = "columns",
        [CLIP] = "clip",
        [FREQUENCIES] = "frequencies",
        [PERIODIC_SIZE] = "periodic_size",
        [EMBEDDING_SIZE] = "embedding_size",
    };
    field_list fields = FIELDS(where, names);
    *layer = (cnn_layer){.struct_size = sizeof *layer};
    cnn_json_object(json);
    for (int i = next_field(json, &fields); i >= 0; i = next_field(json, &fields)) {
        switch (i) {
        case KIND:
            layer->kind = (cnn_layer_kind)read_name(json, where, "kind", cnn_layer_kind_name);
            break;
        case RATE:
            layer->rate = cnn_json_double(json);
            break;
        case INPUTS:
            layer->inputs = read_dimension(json, where, "inputs");
            break;
        case OUTPUTS:
            layer->outputs = read_dimension(json, where, "outputs");
            break;
        case ACTIVATION:
            layer->activation =
                (cnn_activation)read_name(json, where, "activation", cnn_activation_name);
            break;
        case L2:
            layer->l2 = cnn_json_double(json);
            break;
        case ALPHA:
            layer->alpha = cnn_json_double(json);
            if (layer->alpha == 0)
                cnn_json_refuse(json, "%s: alpha is 0, should be more", where);
            break;
        case PARAMETRIZATION:
            layer->parametrization = (cnn_parametrization)read_name(json, where, "parametrization",
                                                                    cnn_parametrization_name);
            break;
        case COLUMNS:
            read_columns(json, where, layer, header);
            break;
        case CLIP:
            layer->clip = cnn_json_double(json);
            break;
        case FREQUENCIES:
            layer->frequencies = read_size(json, where, "frequencies");
            break;
        case PERIODIC_SIZE:
            layer->periodic_size = read_size(json, where, "periodic_size");
            break;
        default:
            layer->embedding_size = read_size(json, where, "embedding_size");
            break;
        }
    }
    check_fields(json, &fields, fields_of(layer, fields.seen));
}

/*
 * Read or count the layers. Each one takes at least as many characters as a dropout layer, so the
 * memory for the layers is at most a few times the size of the header.
 */
static void read_layers(cnn_json *json, cnn_model_header *header)
{
    cnn_json_array(json);
    while (cnn_json_element(json)) {
        char where[40];
        cnn_layer counted;
        cnn_layer *layer = header->layers ? &header->layers[header->layer_count] : &counted;
        (void)snprintf(where, sizeof where, "layers[%zu]", header->layer_count);
        read_layer(json, where, layer, header);
        header->layer_count++;
    }
}

static cnn_status parse_architecture(cnn_model_header *header)
{
    const char *text = header->architecture;
    static const char *const names[] = {"dtype", "seed", "layers"};
    field_list fields = FIELDS("the network", names);
    cnn_json json;
    cnn_json_open(&json, "architecture", text, strlen(text));
    cnn_json_object(&json);
    for (int i = next_field(&json, &fields); i >= 0; i = next_field(&json, &fields)) {
        if (i == 0)
            header->dtype = (cnn_dtype)read_name(&json, fields.where, "dtype", dtype_name);
        else if (i == 1)
            header->seed = read_digits(&json, fields.where, "seed", UINT64_MAX);
        else
            read_layers(&json, header);
    }
    cnn_json_end(&json);
    check_fields(&json, &fields, all_of(&fields));
    cnn_json_close(&json);
    return json.status;
}

/* *array = room for `count` items; also for none, which is not NULL. */
static cnn_status make_array(void **array, size_t count, size_t item_size)
{
    *array = calloc(cnn_max(count, 1), item_size);
    return *array ? CNN_OK : cnn_fail(CNN_ERROR_MEMORY, "out of memory");
}

static cnn_status read_architecture(cnn_model_header *header)
{
    void *layers = NULL;
    cnn_status status = parse_architecture(header);
    if (status == CNN_OK)
        status = make_array(&layers, header->layer_count, sizeof *header->layers);
    if (status != CNN_OK)
        return status;
    header->layers = layers;
    header->layer_count = 0;
    return parse_architecture(header);
}

/* Read the groups of tensors, of which there are no more than tensors in the file. */
static void read_groups(cnn_json *json, cnn_model_header *header)
{
    header->groups = calloc(cnn_max(header->tensor_count, 1), sizeof *header->groups);
    if (!header->groups && json->status == CNN_OK)
        json->status = cnn_fail(CNN_ERROR_MEMORY, "out of memory");
    cnn_json_array(json);
    while (cnn_json_element(json)) {
        const uint64_t group = cnn_json_uint64(json);
        if (group >= CNN_MOST_GROUPS)
            cnn_json_refuse(json, "the optimizer: group %" PRIu64 ", should be less than %d", group,
                            CNN_MOST_GROUPS);
        else if (header->group_count == header->tensor_count)
            cnn_json_refuse(json, "the optimizer: more groups than tensors");
        else
            header->groups[header->group_count++] = (unsigned char)group;
    }
}

static cnn_status read_optimizer(const char *text, cnn_model_header *header)
{
#define CNN_X(field) #field,
    static const char *const names[] = {CNN_MODEL_OPTIMIZER_NUMBERS(CNN_X) "beta1_power",
                                        "beta2_power", "kind", "steps", "groups"};
#undef CNN_X
#define CNN_X(field) &header->optimizer.field,
    double *const numbers[] = {CNN_MODEL_OPTIMIZER_NUMBERS(CNN_X) & header->powers[0],
                               &header->powers[1]};
#undef CNN_X
    const int number_count = (int)(sizeof numbers / sizeof *numbers);
    const unsigned powers = 3u << (number_count - 2), groups = 4u << number_count;
    field_list fields = FIELDS("the optimizer", names);
    cnn_json json;
    header->optimizer.struct_size = sizeof header->optimizer;
    cnn_json_open(&json, "optimizer", text, strlen(text));
    cnn_json_object(&json);
    for (int i = next_field(&json, &fields); i >= 0; i = next_field(&json, &fields)) {
        if (i < number_count)
            *numbers[i] = cnn_json_double(&json);
        else if (i == number_count)
            header->optimizer.kind =
                (cnn_optimizer_kind)read_name(&json, fields.where, "kind", cnn_optimizer_name);
        else if (i == number_count + 1)
            header->steps = read_digits(&json, fields.where, "steps", INT64_MAX);
        else
            read_groups(&json, header);
    }
    cnn_json_end(&json);
    header->has_powers = (fields.seen & powers) != 0;
    check_fields(&json, &fields,
                 (all_of(&fields) & ~groups & (header->has_powers ? ~0u : ~powers)) |
                     (fields.seen & groups));
    cnn_json_close(&json);
    header->has_optimizer = true;
    return json.status;
}

/* ---- Metadata ---------------------------------------------------------------------------- */

static void read_user(cnn_model_header *header, const char *key, bool foreign)
{
    cnn_json *json = &header->json;
    if (header->user_count == CNN_MODEL_USER_MAX)
        cnn_json_refuse(json, "__metadata__: more than %d keys of users", CNN_MODEL_USER_MAX);
    const cnn_model_user user = {.key = key, .value = cnn_json_string(json), .foreign = foreign};
    if (header->user)
        header->user[header->user_count] = user;
    header->user_count++;
}

/* Check a value of __metadata__ for which only one is allowed. */
static void check_value(cnn_json *json, const char *key, const char *value, const char *wanted)
{
    char shown[CNN_JSON_SHOWN];
    if (!value)
        cnn_json_refuse(json, "__metadata__: \"%s\" is missing: not a cnn model", key);
    else if (strcmp(value, wanted) != 0)
        cnn_json_refuse(json, "__metadata__: \"%s\" is \"%s\", not \"%s\"", key,
                        cnn_json_show(value, shown), wanted);
}

/* Read __metadata__. The JSON texts of architecture and optimizer in it are parsed later. */
static void read_metadata(cnn_model_header *header)
{
    cnn_json *json = &header->json;
    const char *key = NULL, *format = NULL, *version = NULL;
    cnn_json_object(json);
    while (cnn_json_member(json, &key)) {
        if (strcmp(key, "format") == 0) {
            format = cnn_json_string(json);
            if (format && strcmp(format, CNN_MODEL_FORMAT_SEVERAL) == 0)
                cnn_json_refuse(json, "the file has several networks, which cnn.load of Python "
                                      "reads; libcnn reads files of one");
            check_value(json, key, format, CNN_MODEL_FORMAT);
        } else if (strcmp(key, "format_version") == 0) {
            version = cnn_json_string(json);
            check_value(json, key, version, CNN_MODEL_FORMAT_VERSION);
        } else if (strcmp(key, "architecture") == 0) {
            header->architecture = cnn_json_string(json);
        } else if (strcmp(key, "optimizer") == 0) {
            header->optimizer_text = cnn_json_string(json);
        } else if (strncmp(key, CNN_MODEL_USER, strlen(CNN_MODEL_USER)) == 0) {
            read_user(header, key + strlen(CNN_MODEL_USER), false);
        } else {
            read_user(header, key, true);
        }
    }
    check_value(json, "format", format, CNN_MODEL_FORMAT);
    check_value(json, "format_version", version, CNN_MODEL_FORMAT_VERSION);
    if (!header->architecture)
        cnn_json_refuse(json, "__metadata__: \"architecture\" is missing");
}

/* ---- Tensors ----------------------------------------------------------------------------- */

/* Skip a word of a tensor's name; false if another text is there. */
static bool skip_word(const char **name, const char *word)
{
    size_t size = strlen(word);
    if (strncmp(*name, word, size) != 0)
        return false;
    *name += size;
    return true;
}

/* Read a number without leading zeros in a tensor's name, and skip it. */
static bool skip_number(const char **name, size_t *number)
{
    size_t digits = strspn(*name, "0123456789");
    uint64_t value = 0;
    if (!cnn_json_digits(*name, digits, &value) || value >= SIZE_MAX)
        return false;
    *number = (size_t)value;
    *name += digits;
    return true;
}

/* Split a tensor's name, "layers.0.weight" or "optimizer.0.layers.0.weight". */
static bool split_name(const char *name, cnn_model_tensor *tensor)
{
    if (skip_word(&name, "optimizer.")) {
        if (!skip_number(&name, &tensor->group) || !skip_word(&name, "."))
            return false;
        tensor->group++;
    }
    if (!skip_word(&name, "layers.") || !skip_number(&name, &tensor->layer))
        return false;
    int parameter = 0;
    while (parameter < CNN_PARAMETER_COUNT &&
           (name[0] != '.' || strcmp(name + 1, cnn_parameter_name(parameter)) != 0))
        parameter++;
    tensor->parameter = (cnn_parameter)parameter;
    return parameter < CNN_PARAMETER_COUNT;
}

/* Read at most two integers. */
static size_t read_pair(cnn_json *json, const char *where, const char *field, uint64_t pair[2])
{
    size_t count = 0;
    cnn_json_array(json);
    while (cnn_json_element(json)) {
        if (count == 2)
            cnn_json_refuse(json, "%s: %s has more than 2 numbers", where, field);
        else
            pair[count++] = cnn_json_uint64(json);
    }
    return count;
}

static void read_tensor(cnn_model_header *header, const char *name)
{
    static const char *const names[] = {"dtype", "shape", "data_offsets"};
    cnn_json *json = &header->json;
    char shown[CNN_JSON_SHOWN];
    field_list fields = FIELDS(cnn_json_show(name, shown), names);
    cnn_model_tensor tensor = {0};
    uint64_t offsets[2] = {0, 0};
    if (!split_name(name, &tensor))
        cnn_json_refuse(json, "unknown tensor \"%s\"", shown);
    cnn_json_object(json);
    for (int i = next_field(json, &fields); i >= 0; i = next_field(json, &fields)) {
        if (i == 0)
            tensor.dtype = cnn_json_string(json);
        else if (i == 1)
            tensor.dimensions = (unsigned)read_pair(json, shown, "shape", tensor.shape);
        else if (read_pair(json, shown, "data_offsets", offsets) != 2)
            cnn_json_refuse(json, "%s: data_offsets must be two numbers", shown);
    }
    check_fields(json, &fields, all_of(&fields));
    tensor.begin = offsets[0];
    tensor.end = offsets[1];
    if (header->tensors)
        header->tensors[header->tensor_count] = tensor;
    header->tensor_count++;
}

/* ---- The file ---------------------------------------------------------------------------- */

cnn_status cnn_model_header_size(const unsigned char *bytes, size_t size, size_t *header_size)
{
    uint64_t header = 0;
    if (size < 8)
        return cnn_fail(CNN_ERROR_MODEL_FILE, "the file has %zu bytes; a model file has at least 8",
                        size);
    for (int i = 8; i-- > 0;)
        header = header << 8 | bytes[i];
    if (header > CNN_MODEL_HEADER_MAX || header > size - 8)
        return cnn_fail(CNN_ERROR_MODEL_FILE,
                        "the header should have %" PRIu64 " bytes, but %zu bytes follow its size "
                        "and at most %d are allowed",
                        header, size - 8, CNN_MODEL_HEADER_MAX);
    if (header == 0 || bytes[8] != '{')
        return cnn_fail(CNN_ERROR_MODEL_FILE, "the header does not begin with '{'");
    *header_size = (size_t)header;
    return CNN_OK;
}

/* Read or count tensors and metadata. */
static cnn_status parse_header(const void *text, size_t size, cnn_model_header *header)
{
    const char *key = NULL;
    cnn_json *json = &header->json;
    header->architecture = header->optimizer_text = NULL;
    header->tensor_count = header->user_count = 0;
    cnn_json_open(json, "header", text, size);
    cnn_json_object(json);
    while (cnn_json_member(json, &key)) {
        if (strcmp(key, "__metadata__") == 0)
            read_metadata(header);
        else
            read_tensor(header, key);
    }
    cnn_json_end(json);
    if (!header->architecture)
        cnn_json_refuse(json, "\"__metadata__\" is missing: not a cnn model");
    return json->status;
}

cnn_status cnn_model_header_read(const void *text, size_t size, cnn_model_header *header)
{
    void *tensors = NULL, *user = NULL;
    memset(header, 0, sizeof *header);
    cnn_status status = parse_header(text, size, header);
    if (status != CNN_OK)
        return status;
    cnn_json_close(&header->json);
    status = make_array(&tensors, header->tensor_count, sizeof *header->tensors);
    header->tensors = tensors;
    if (status == CNN_OK)
        status = make_array(&user, header->user_count, sizeof *header->user);
    header->user = user;
    if (status == CNN_OK)
        status = parse_header(text, size, header);
    cnn_json_forget_keys(&header->json);
    return status;
}

cnn_status cnn_model_header_read_network(cnn_model_header *header)
{
    cnn_status status = read_architecture(header);
    if (status == CNN_OK && header->optimizer_text != NULL)
        status = read_optimizer(header->optimizer_text, header);
    return status;
}

/* Copy a string to *end, and move *end behind it. */
static const char *move_text(const char *text, char **end)
{
    const size_t size = strlen(text) + 1;
    char *copy = memcpy(*end, text, size);
    *end += size;
    return copy;
}

cnn_status cnn_model_header_shrink(cnn_model_header *header)
{
    size_t size = 0;
    void *texts = NULL;
    for (size_t i = 0; i < header->user_count; i++)
        size += strlen(header->user[i].key) + strlen(header->user[i].value) + 2;
    const cnn_status status = make_array(&texts, size, 1);
    if (status != CNN_OK)
        return status;
    char *end = header->texts = texts;
    for (size_t i = 0; i < header->user_count; i++) {
        cnn_model_user *user = &header->user[i];
        user->key = move_text(user->key, &end);
        user->value = move_text(user->value, &end);
    }
    cnn_json_close(&header->json);
    return CNN_OK;
}

void cnn_model_header_free(cnn_model_header *header)
{
    cnn_json_close(&header->json);
    if (header->layers)
        cnn_layers_free(header->layer_count, header->layers);
    free(header->tensors);
    free(header->groups);
    free(header->user);
    free(header->texts);
}
