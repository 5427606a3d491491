#include "reproduce/settings.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "models.h"

static _Noreturn void refuse(const char *what, const char *text)
{
    printf("reproduce: %s is not known: '%s'\n", what, text);
    exit(2);
}

/* Copy the text up to `stop` or the end, and move behind it; false at the end. */
static bool next_part(const char **at, char stop, char part[256])
{
    if (**at == '\0')
        return false;
    size_t length = 0;
    for (; **at != '\0' && **at != stop && length < 255; (*at)++)
        part[length++] = **at;
    part[length] = '\0';
    if (**at == stop)
        (*at)++;
    return true;
}

/* The value of a part NAME=VALUE, or NULL. */
static const char *value_of(const char *part, const char *name)
{
    const size_t length = strlen(name);
    return strncmp(part, name, length) == 0 && part[length] == '=' ? part + length + 1 : NULL;
}

static int constant(const char *name, const char *(*name_of)(int))
{
    for (int i = 0; name_of(i) != NULL; i++) {
        if (strcmp(name_of(i), name) == 0)
            return i;
    }
    refuse("a name", name);
}

static void read_layer(const char *text, cnn_layer *layer)
{
    char part[256];
    const char *value;
    *layer = (cnn_layer){.struct_size = sizeof *layer};
    (void)next_part(&text, ':', part);
    if (strcmp(part, "standardize") == 0) {
        layer->kind = CNN_LAYER_STANDARDIZE;
        return;
    }
    if (strcmp(part, "dropout") == 0) {
        layer->kind = CNN_LAYER_DROPOUT;
        layer->rate = strtod(text, NULL);
        return;
    }
    if (strcmp(part, "columns") == 0 || strcmp(part, "scale") == 0) {
        layer->kind = strcmp(part, "scale") == 0 ? CNN_LAYER_SCALE : CNN_LAYER_COLUMNS;
        return;
    }
    if (strcmp(part, "parametric") == 0) {
        layer->kind = CNN_LAYER_PARAMETRIC_ACTIVATION;
        layer->activation = (cnn_activation)constant(text, cnn_activation_name);
        return;
    }
    if (strcmp(part, "dense") != 0)
        refuse("a layer", part);
    (void)next_part(&text, ':', part);
    layer->outputs = strtoul(part, NULL, 10);
    (void)next_part(&text, ':', part);
    layer->activation = (cnn_activation)constant(part, cnn_activation_name);
    while (next_part(&text, ':', part)) {
        if ((value = value_of(part, "l2")) != NULL)
            layer->l2 = strtod(value, NULL);
        else if ((value = value_of(part, "alpha")) != NULL)
            layer->alpha = strtod(value, NULL);
        else if (strcmp(part, "ntk") == 0)
            layer->parametrization = CNN_PARAMETRIZATION_NTK;
        else
            refuse("part of a layer", part);
    }
}

static void read_layers(const char *text, settings *to)
{
    char part[256];
    to->count = 0;
    while (next_part(&text, ',', part) && to->count < MOST_LAYERS)
        read_layer(part, &to->layers[to->count++]);
}

static void read_quantiles(const char *text, settings *to)
{
    char part[256];
    for (size_t i = 0; i < MOST_CLASSES && next_part(&text, ',', part); i++)
        to->quantiles[i] = strtod(part, NULL);
    to->loss.quantiles = to->quantiles;
}

static void read_loss(const char *text, settings *to)
{
    static const double weights[] = {1, 0.5, 2, 0, 1.5};
    char part[256];
    const char *value;
    (void)next_part(&text, ':', part);
    to->loss.kind = (cnn_loss_kind)constant(part, cnn_loss_name);
    for (size_t i = 0; i < MOST_CLASSES; i++)
        to->class_weight[i] = weights[i % 5];
    while (next_part(&text, ':', part)) {
        if (strcmp(part, "labels") == 0)
            to->loss.target = CNN_TARGET_LABELS;
        else if (strcmp(part, "classes") == 0)
            to->loss.class_weight = to->class_weight;
        else if ((value = value_of(part, "delta")) != NULL)
            to->loss.delta = strtod(value, NULL);
        else if ((value = value_of(part, "smoothing")) != NULL)
            to->loss.label_smoothing = strtod(value, NULL);
        else if ((value = value_of(part, "quantiles")) != NULL)
            read_quantiles(value, to);
        else
            refuse("part of a loss", part);
    }
}

static void read_optimizer(const char *text, settings *to)
{
    char part[256];
    const char *value;
    (void)next_part(&text, ':', part);
    to->optimizer.kind = (cnn_optimizer_kind)constant(part, cnn_optimizer_name);
    to->optimizer.clip_norm = 0;
    while (next_part(&text, ':', part)) {
        if ((value = value_of(part, "clip")) == NULL)
            refuse("part of an optimizer", part);
        to->optimizer.clip_norm = strtod(value, NULL);
    }
}

static void read_word(const char *word, settings *to)
{
    const struct {
        const char *name;
        size_t *to;
    } sizes[] = {{"inputs", &to->inputs},
                 {"rows", &to->rows},
                 {"batch", &to->batch},
                 {"epochs", &to->epochs},
                 {"shards", &to->shards}};
    const char *value;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        if ((value = value_of(word, sizes[i].name)) != NULL) {
            *sizes[i].to = strtoul(value, NULL, 10);
            return;
        }
    }
    if ((value = value_of(word, "layers")) != NULL)
        read_layers(value, to);
    else if ((value = value_of(word, "loss")) != NULL)
        read_loss(value, to);
    else if ((value = value_of(word, "optimizer")) != NULL)
        read_optimizer(value, to);
    else if ((value = value_of(word, "init")) != NULL)
        to->init = (cnn_initializer)constant(value, cnn_initializer_name);
    else if (value_of(word, "weights") != NULL)
        to->weights = true;
    else if (value_of(word, "zeros") != NULL)
        to->zeros = true;
    else
        refuse("a word", word);
}

/* Fill the first layer, of columns; returns its features. */
static size_t make_columns(settings *to)
{
    static const cnn_column turn[] = {
        {.struct_size = sizeof *turn, .kind = CNN_COLUMN_PERIODIC},
        {.struct_size = sizeof *turn, .kind = CNN_COLUMN_NUMBER, .missing = 1},
        {.struct_size = sizeof *turn, .kind = CNN_COLUMN_ONE_HOT, .categories = 3},
        {.struct_size = sizeof *turn, .kind = CNN_COLUMN_EMBEDDING, .categories = 4},
        {.struct_size = sizeof *turn, .kind = CNN_COLUMN_ONE_HOT, .categories = 2}};
    static const size_t features[] = {4, 2, 3, 3, 1};
    size_t sum = 0;
    if (to->inputs > MOST_COLUMNS)
        refuse("columns", "inputs");
    for (size_t j = 0; j < to->inputs; j++) {
        to->columns[j] = turn[j % 5];
        sum += features[j % 5];
    }
    to->layers[0].columns = to->columns;
    to->layers[0].clip = 3;
    to->layers[0].frequencies = 5;
    to->layers[0].periodic_size = 4;
    to->layers[0].embedding_size = 3;
    return sum;
}

void settings_read(const char *text, settings *to)
{
    *to = (settings){.inputs = 31,
                     .rows = 60,
                     .batch = 25,
                     .epochs = 2,
                     .init = CNN_INIT_TORCH,
                     .loss = {.struct_size = sizeof to->loss},
                     .optimizer = model_optimizer(CNN_ADAM)};
    to->optimizer.weight_decay = 0.01;
    char word[256];
    while (next_part(&text, ' ', word))
        read_word(word, to);
    to->outputs = to->inputs;
    for (size_t i = 0; i < to->count; i++) {
        to->layers[i].inputs = to->outputs;
        if (to->layers[i].kind == CNN_LAYER_DENSE)
            to->outputs = to->layers[i].outputs;
        else if (to->layers[i].kind == CNN_LAYER_COLUMNS)
            to->outputs = make_columns(to);
    }
}

/* ---- Samples ----------------------------------------------------------------------------- */

/* MurmurHash3's last step (Appleby), by which neighbouring numbers have nothing in common. */
static uint32_t mixed(uint32_t h)
{
    h = (h ^ h >> 16) * 0x85ebca6bu;
    h = (h ^ h >> 13) * 0xc2b2ae35u;
    return h ^ h >> 16;
}

float sample_number(uint32_t stream, size_t i)
{
    return (float)(mixed((uint32_t)i + stream * 0x9e3779b9u) >> 9) / 8388608.0f;
}

/* Number i of inputs that are columns: five codes, of which some are none, or a number or NaN. */
static float column_number(const settings *of, size_t i)
{
    const uint32_t random = mixed((uint32_t)i);
    if (of->columns[i % of->inputs].categories > 0)
        return (float)(random % 5);
    return random % 11 == 0 ? NAN : 4 * (sample_number(1, i) - 0.5f);
}

void samples_make(const settings *of, samples *to)
{
    const size_t rows = of->rows, inputs = of->inputs, outputs = of->outputs;
    *to = (samples){check_memory(sizeof(float) * rows * inputs),
                    check_memory(sizeof(float) * rows * outputs),
                    check_memory(sizeof(float) * rows),
                    check_memory(rows),
                    {0}};
    for (size_t i = 0; i < rows * inputs; i++)
        to->x[i] = of->zeros && mixed((uint32_t)i) % 6 > 0 ? 0 : sample_number(1, i) - 0.5f;
    for (size_t i = 0; of->layers[0].columns && i < rows * inputs; i++)
        to->x[i] = column_number(of, i);
    for (size_t i = 0; i < rows * outputs; i++)
        to->t[i] = sample_number(2, i);
    for (size_t i = 0; i < rows; i++) {
        to->weight[i] = i % 7 == 3 ? 0 : 2 * sample_number(3, i);
        to->labels[i] = (uint8_t)(mixed((uint32_t)i) % outputs);
    }
    const ptrdiff_t size = sizeof(float);
    to->data = (cnn_data){
        .struct_size = sizeof to->data,
        .x = {sizeof(cnn_matrix), to->x, CNN_FLOAT32, rows, inputs, size * (ptrdiff_t)inputs, size},
        .t = {sizeof(cnn_matrix), to->t, CNN_FLOAT32, rows, outputs, size * (ptrdiff_t)outputs,
              size},
        .sample_weight = {.struct_size = sizeof(cnn_matrix)}};
    if (of->loss.target == CNN_TARGET_LABELS)
        to->data.t = (cnn_matrix){sizeof(cnn_matrix), to->labels, CNN_UINT8, rows, 1, 1, 1};
    if (of->weights)
        to->data.sample_weight =
            (cnn_matrix){sizeof(cnn_matrix), to->weight, CNN_FLOAT32, rows, 1, size, size};
}

void samples_free(samples *made)
{
    free(made->x);
    free(made->t);
    free(made->weight);
    free(made->labels);
}
