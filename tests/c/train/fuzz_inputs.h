/* What fuzz_calls.c takes out of the bytes of an input: numbers, matrices, layers, samples. */
#ifndef CNN_FUZZ_INPUTS_H
#define CNN_FUZZ_INPUTS_H

#include <math.h>

#include "fuzz.h"

enum { MOST_LAYERS = 7, MOST_ROWS = 9, MOST_COLUMNS = 12 };

/* ---- Numbers out of the input ------------------------------------------------------------ */

struct input {
    const uint8_t *data;
    size_t size, at;
};

static inline unsigned take(struct input *in)
{
    return in->at < in->size ? in->data[in->at++] : 0;
}

static inline unsigned below(struct input *in, unsigned bound)
{
    return take(in) % bound;
}

/*
 * A small size, or sometimes one that cannot be: none of them fits an address space, since systems
 * that promise more memory than they have give any that does, and end the process that uses it.
 */
static inline size_t take_size(struct input *in, unsigned most)
{
    static const size_t odd[] = {0, SIZE_MAX, SIZE_MAX / 2, SIZE_MAX / 8 + 1,
                                 (size_t)((uint64_t)1 << 57 & SIZE_MAX)};
    const unsigned byte = take(in);
    return byte >= 248 ? odd[byte % COUNT(odd)] : byte % (most + 1);
}

static inline double take_double(struct input *in)
{
    static const double odd[] = {0,        -0.0,      1,     -1,     0.5,    1e-3,  1e30,
                                 1e31,     1e38,      1e300, NAN,    1e-310, 1e-45, 0.999,
                                 INFINITY, -INFINITY, 0.1,   -1e-20, 1e100,  2};
    const unsigned byte = take(in);
    return byte < 4 * COUNT(odd) ? odd[byte % COUNT(odd)] : ((double)byte - 168) / 64;
}

/* ---- What the calls work on -------------------------------------------------------------- */

struct world {
    struct input in;
    cnn_network *network;
    cnn_trainer *trainer;
    cnn_tape *tape;
    cnn_shard_tree *tree;
    size_t inputs, outputs, parameters, real;
};

static inline void *memory(size_t bytes)
{
    void *p = malloc(bytes ? bytes : 1);
    if (!p)
        fuzz_fail("out of memory");
    return p;
}

/* Numbers of the network's type. */
static inline void *take_reals(struct world *w, size_t count)
{
    void *values = memory(count * w->real);
    for (size_t i = 0; i < count; i++) {
        const double value = i < 16 ? take_double(&w->in) : (double)(i % 13) / 8 - 0.75;
        if (w->real == 8)
            ((double *)values)[i] = value;
        else
            ((float *)values)[i] = (float)value;
    }
    return values;
}

/*
 * A matrix of any type and layout, whose memory ends with its last element; or one of no use. A
 * plain one has small numbers of the network's type.
 */
static inline cnn_matrix take_any_matrix(struct world *w, size_t rows, size_t cols, int plain)
{
    static const size_t sizes[] = {4, 8, 2, 1, 1, 2, 4, 8, 1, 2, 4, 8};
    struct input *in = &w->in;
    const unsigned how = plain ? (take(in) % 64) | 15 : take(in);
    cnn_matrix m = {.struct_size = sizeof m, .rows = rows, .cols = cols};
    const unsigned type = how % 16;
    m.dtype = type < COUNT(sizes) ? (cnn_dtype)type : cnn_network_dtype(w->network);
    const size_t size = sizes[m.dtype];
    const size_t gap = how / 16 % 2;
    const size_t down = how & 32 ? 1 : cols + gap, across = how & 32 ? rows + gap : 1;
    const size_t count = rows == 0 || cols == 0 ? 0 : (rows - 1) * down + (cols - 1) * across + 1;
    m.row_stride = (ptrdiff_t)(down * size);
    m.col_stride = (ptrdiff_t)(across * size);
    uint8_t *data = memory(count * size);
    for (size_t i = 0; i < count; i++) {
        const double value = plain ? (double)(take(in) % 5) / 4 : take_double(in);
        const float narrow = (float)value;
        const uint64_t bits = m.dtype == CNN_BOOL ? i % 2 : take(in) % 5;
        if (m.dtype == CNN_FLOAT64)
            memcpy(data + i * size, &value, size);
        else if (m.dtype == CNN_FLOAT32)
            memcpy(data + i * size, &narrow, size);
        else
            memcpy(data + i * size, &bits, size); /* little-endian */
    }
    m.data = data;
    if ((how & 64) && take(in) % 8 == 0) {
        static const cnn_dtype odd[] = {(cnn_dtype)99, (cnn_dtype)-1};
        m.dtype = odd[how % 2];
    }
    if ((how & 128) && take(in) % 8 == 0)
        m.struct_size = take_size(in, sizeof m + 8);
    return m;
}

static inline cnn_matrix take_matrix(struct world *w, size_t rows, size_t cols)
{
    return take_any_matrix(w, rows, cols, 0);
}

/* Columns for a layer that has `count` of them, at least one; free them. */
static inline cnn_column *take_columns(struct input *in, size_t count)
{
    const size_t odd = take(in) % 32 == 7 ? take_size(in, sizeof(cnn_column) + 8) : 0;
    const size_t behind = odd ? 8 : 0; /* which a larger struct has */
    cnn_column *columns = memory(count * sizeof *columns + behind);
    memset((char *)columns + count * sizeof *columns, 0, behind);
    for (size_t j = 0; j < count; j++) {
        const unsigned how = take(in);
        const cnn_column_kind kind =
            (cnn_column_kind)(how < 250 ? how % CNN_COLUMN_KIND_COUNT : how - 251);
        const int codes = kind == CNN_COLUMN_ONE_HOT || kind == CNN_COLUMN_EMBEDDING;
        columns[j] = (cnn_column){.struct_size = sizeof *columns, .kind = kind};
        if (kind == CNN_COLUMN_NUMBER || kind == CNN_COLUMN_PERIODIC || how % 32 == 5)
            columns[j].missing = (int)(how / 8 % 2);
        if (codes || how % 32 == 6)
            columns[j].categories = how % 16 ? 1 + how / 16 : take_size(in, 30);
    }
    if (odd)
        columns[odd % count].struct_size = odd;
    return columns;
}

/* How many columns of a kind a layer has, and their categories. */
static inline size_t count_columns(const cnn_layer *layer, cnn_column_kind kind, size_t *categories)
{
    size_t count = 0;
    *categories = 0;
    for (size_t j = 0; j < layer->inputs; j++)
        if (layer->columns[j].kind == kind) {
            count++;
            *categories += layer->columns[j].categories;
        }
    return count;
}

/* How many numbers a parameter of a network's layer has; any number if the layer lacks it. */
static inline size_t parameter_size(const cnn_layer *layer, cnn_parameter parameter)
{
    size_t categories = 0;
    if (layer->kind == CNN_LAYER_DENSE)
        return parameter == CNN_WEIGHT ? layer->inputs * layer->outputs : layer->outputs;
    if (layer->kind != CNN_LAYER_COLUMNS ||
        (parameter != CNN_EMBEDDING && parameter != CNN_PERIODIC))
        return layer->inputs;
    if (parameter == CNN_EMBEDDING) {
        (void)count_columns(layer, CNN_COLUMN_EMBEDDING, &categories);
        return categories * layer->embedding_size;
    }
    return count_columns(layer, CNN_COLUMN_PERIODIC, &categories) *
           ((layer->periodic_size + 1) * layer->frequencies + layer->periodic_size - 1);
}

/* A layer of columns, which get memory; *before becomes the number of its features. */
static inline void take_columns_layer(struct input *in, unsigned how, size_t *before,
                                      cnn_layer *layer)
{
    layer->inputs = *before % MOST_COLUMNS + 1;
    layer->columns = take_columns(in, layer->inputs);
    layer->clip = how % 4 ? 3 : take_double(in);
    size_t embedded = 0, categories = 0;
    const size_t tables = count_columns(layer, CNN_COLUMN_EMBEDDING, &embedded);
    const size_t periodic = count_columns(layer, CNN_COLUMN_PERIODIC, &categories);
    if (periodic > 0 || how % 32 == 1) {
        layer->frequencies = take_size(in, 5);
        layer->periodic_size = 2 + below(in, 5);
    }
    if (tables > 0 || how % 32 == 2)
        layer->embedding_size = take_size(in, 5);
    *before = tables * layer->embedding_size + periodic * layer->periodic_size;
    for (size_t j = 0; j < layer->inputs; j++) {
        const cnn_column *column = &layer->columns[j];
        *before += column->kind == CNN_COLUMN_NUMBER;
        *before += column->missing != 0;
        if (column->kind == CNN_COLUMN_ONE_HOT)
            *before += column->categories == 2 ? 1 : column->categories;
    }
    if (how % 32 == 3)
        layer->outputs = *before;
}

/* The kind of a layer: mostly one that may be there. */
static inline cnn_layer_kind take_kind(unsigned how, int is_first, int is_last)
{
    if (how >= 250)
        return (cnn_layer_kind)((int)how - (how == 254 ? 255 : 247));
    if (is_last && how < 240)
        return CNN_LAYER_DENSE;
    if (is_first)
        return how < 90    ? CNN_LAYER_DENSE
               : how < 110 ? CNN_LAYER_DROPOUT
               : how < 150 ? CNN_LAYER_STANDARDIZE
               : how < 220 ? CNN_LAYER_COLUMNS
                           : CNN_LAYER_SCALE;
    return how < 150   ? CNN_LAYER_DENSE
           : how < 175 ? CNN_LAYER_DROPOUT
           : how < 180 ? CNN_LAYER_STANDARDIZE
           : how < 200 ? CNN_LAYER_SCALE
                       : CNN_LAYER_PARAMETRIC_ACTIVATION;
}

/* What is wrong in a layer: `odd` says what, and is 200 or more. */
static inline void spoil_layer(struct input *in, unsigned odd, cnn_layer *layer)
{
    if (odd < 208 && layer->kind != CNN_LAYER_COLUMNS) /* whose columns are as many */
        layer->inputs = take_size(in, 40);
    else if (odd < 216)
        layer->activation = (cnn_activation)((int)below(in, CNN_ACTIVATION_COUNT + 3) - 1);
    else if (odd < 224)
        layer->l2 = take_double(in);
    else if (odd < 232)
        layer->alpha = take_double(in);
    else if (odd < 240)
        layer->struct_size = take_size(in, sizeof *layer + 8);
    else if (odd < 248)
        layer->parametrization = (cnn_parametrization)((int)below(in, 4) - 1);
    else
        layer->outputs = take_size(in, 40);
}

/* Layer i of `count`; *before has the outputs of the layer before it, and then of this one. */
static inline void take_layer(struct input *in, size_t i, size_t count, size_t *before,
                              cnn_layer *layers)
{
    const unsigned how = take(in), odd = take(in);
    const int is_last = i + 1 == count;
    cnn_layer *layer = &layers[i];
    *layer = (cnn_layer){.struct_size = sizeof *layer, .kind = take_kind(how, i == 0, is_last)};
    layer->inputs = *before;
    if (layer->kind == CNN_LAYER_DENSE || layer->kind == CNN_LAYER_PARAMETRIC_ACTIVATION)
        layer->activation = (cnn_activation)below(in, CNN_ACTIVATION_COUNT);
    if (layer->activation == CNN_SOFTMAX && !is_last)
        layer->activation = CNN_RELU;
    if (layer->kind == CNN_LAYER_DENSE) {
        layer->outputs = *before = 1 + below(in, 20);
        layer->parametrization = how % 4 == 1 ? CNN_PARAMETRIZATION_NTK : 0;
        layer->l2 = how % 4 == 2 ? 0.125 : 0;
    }
    if (layer->kind == CNN_LAYER_COLUMNS)
        take_columns_layer(in, how, before, layer);
    if (layer->kind == CNN_LAYER_PARAMETRIC_ACTIVATION && i > 0)
        layers[i - 1].activation = CNN_IDENTITY; /* behind another one it is refused */
    if (layer->kind == CNN_LAYER_DROPOUT)
        layer->rate = how % 4 ? 0.25 : take_double(in);
    if (odd >= 200)
        spoil_layer(in, odd, layer);
}

static inline cnn_loss take_loss(struct world *w, double *class_weight, double *quantiles)
{
    struct input *in = &w->in;
    const unsigned how = take(in);
    cnn_loss loss = {.struct_size = sizeof loss,
                     .kind = (cnn_loss_kind)((int)(how % (CNN_LOSS_COUNT + 2)) - (how == 255)),
                     .target = (cnn_target_kind)(how / 8 % 3 % 2)};
    if (how & 64)
        loss.delta = take_double(in);
    if (how & 32)
        loss.label_smoothing = take_double(in);
    if (how & 128) {
        for (size_t i = 0; i < w->outputs; i++)
            class_weight[i] = take_double(in);
        loss.class_weight = class_weight;
    }
    if (how % 3 == 0) {
        for (size_t i = 0; i < w->outputs; i++)
            quantiles[i] = how % 2 ? take_double(in) : ((double)i + 0.5) / (double)w->outputs;
        loss.quantiles = quantiles;
    }
    return loss;
}

/* Samples and a loss for them; half of them are such that training goes on. */
struct task {
    size_t rows;
    cnn_loss loss;
    cnn_data data;
    double *class_weight, *quantiles;
    cnn_result result;
};

static inline void take_task(struct world *w, struct task *task)
{
    struct input *in = &w->in;
    memset(task, 0, sizeof *task);
    task->rows = below(in, MOST_ROWS + 1);
    task->class_weight = memory(w->outputs * sizeof(double));
    task->quantiles = memory(w->outputs * sizeof(double));
    const int plain = (int)below(in, 2);
    task->loss = take_loss(w, task->class_weight, task->quantiles);
    if (plain)
        task->loss = (cnn_loss){.struct_size = sizeof task->loss, .kind = CNN_SQUARED_ERROR};
    task->data.struct_size = sizeof task->data;
    task->data.x = take_any_matrix(w, task->rows, w->inputs, plain);
    task->data.t = take_any_matrix(w, task->rows, task->loss.target ? 1 : w->outputs, plain);
    if (!plain && (take(in) & 1))
        task->data.sample_weight = take_matrix(w, task->rows, 1);
    task->result.struct_size = sizeof task->result;
    task->result.accumulate = below(in, 2);
}

static inline void free_task(struct task *task)
{
    free(task->class_weight);
    free(task->quantiles);
    free((void *)(uintptr_t)task->data.x.data);
    free((void *)(uintptr_t)task->data.t.data);
    free((void *)(uintptr_t)task->data.sample_weight.data);
}

#endif
