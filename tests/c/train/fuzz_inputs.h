/* What fuzz_calls.c takes out of the bytes of an input: numbers, matrices, layers, samples. */
#ifndef CNN_FUZZ_INPUTS_H
#define CNN_FUZZ_INPUTS_H

#include <math.h>

#include "fuzz.h"

enum { MOST_LAYERS = 6, MOST_ROWS = 9 };

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

/* A matrix of any type and layout, whose memory ends with its last element; or one of no use. */
static inline cnn_matrix take_matrix(struct world *w, size_t rows, size_t cols)
{
    static const size_t sizes[] = {4, 8, 2, 1, 1, 2, 4, 8, 1, 2, 4, 8};
    struct input *in = &w->in;
    const unsigned how = take(in);
    cnn_matrix m = {.struct_size = sizeof m, .rows = rows, .cols = cols};
    const unsigned type = how % 16;
    m.dtype = type < COUNT(sizes) ? (cnn_dtype)type : cnn_network_dtype(w->network);
    const size_t size = sizes[m.dtype];
    const size_t gap = how / 16 % 2;
    m.col_stride = how & 32 ? (ptrdiff_t)(rows + gap) : 1;
    m.row_stride = how & 32 ? 1 : (ptrdiff_t)(cols + gap);
    const size_t count = rows == 0 || cols == 0 ? 0
                                                : (rows - 1) * (size_t)m.row_stride +
                                                      (cols - 1) * (size_t)m.col_stride + 1;
    uint8_t *data = memory(count * size);
    for (size_t i = 0; i < count; i++) {
        const double value = take_double(in);
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

static inline cnn_layer take_layer(struct input *in, size_t before)
{
    cnn_layer layer = {.struct_size = sizeof layer};
    const unsigned how = take(in);
    layer.kind = (cnn_layer_kind)(how < 160 ? 0 : how < 200 ? 1 : how < 250 ? 2 : how - 251);
    layer.inputs = how % 16 ? before : take_size(in, 40);
    layer.outputs = layer.kind == CNN_LAYER_DENSE ? take_size(in, 40) : 0;
    layer.activation = (cnn_activation)((int)below(in, CNN_ACTIVATION_COUNT + 3) - 1);
    if (layer.kind != CNN_LAYER_DENSE)
        layer.activation = (cnn_activation)0;
    if (how % 7 == 0)
        layer.l2 = take_double(in);
    if (how % 11 == 0)
        layer.alpha = take_double(in);
    if (layer.kind == CNN_LAYER_DROPOUT)
        layer.rate = take_double(in);
    if (how % 32 == 3)
        layer.struct_size = take_size(in, sizeof layer + 8);
    return layer;
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

/* Samples and a loss for them. */
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
    task->loss = take_loss(w, task->class_weight, task->quantiles);
    task->data.struct_size = sizeof task->data;
    task->data.x = take_matrix(w, task->rows, w->inputs);
    task->data.t = take_matrix(w, task->rows, task->loss.target ? 1 : w->outputs);
    if (take(in) & 1)
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
