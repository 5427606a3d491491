/* The dense stage: out = h(in . weight + bias). */
#include <stdio.h>

#include "base/threads.h"
#include "model/stage.h"

/*
 * The part of a transposed weight that the way back packs at a time: this many panels of columns of
 * the result, and as many rows of them as a chunk of the product's sums has. It stays in the L1
 * cache, or with a part of delta in the L2 cache.
 */
#define STRIP_PANELS 4
#define STRIP_ROWS CNN_CHUNK

/* ---- Building ---------------------------------------------------------------------------- */

static cnn_status check(size_t count, const cnn_layer *layers, size_t index)
{
    const cnn_layer *layer = &layers[index];
    if (layer->inputs == 0 || layer->outputs == 0)
        return cnn_fail(CNN_ERROR_ARGUMENT, "layer %zu has %zu inputs and %zu outputs, needs both",
                        index, layer->inputs, layer->outputs);
    const size_t expected = index > 0 ? cnn_layer_outputs(layers, index - 1) : layer->inputs;
    if (layer->inputs != expected)
        return cnn_fail(CNN_ERROR_ARGUMENT,
                        "layer %zu has %zu inputs, but the layer before it has %zu outputs", index,
                        layer->inputs, expected);
    if (!cnn_activation_name((int)layer->activation))
        return cnn_fail(CNN_ERROR_ARGUMENT, "layer %zu has activation %d, should be 0 to %d", index,
                        (int)layer->activation, CNN_ACTIVATION_COUNT - 1);
    if (layer->activation == CNN_SOFTMAX && index + 1 != count)
        return cnn_fail(CNN_ERROR_ARGUMENT,
                        "layer %zu has activation softmax, which belongs in the last layer", index);
    char where[40];
    (void)snprintf(where, sizeof where, "layer %zu", index);
    cnn_activation_spec activation = {layer->activation, layer->alpha};
    const cnn_status status = cnn_activation_complete(where, &activation);
    if (status != CNN_OK)
        return status;
    if (!(layer->l2 >= 0 && layer->l2 <= CNN_LARGEST))
        return cnn_fail(CNN_ERROR_ARGUMENT,
                        "layer %zu has l2 %g, should be finite, 0 or more, at most %g", index,
                        layer->l2, CNN_LARGEST);
    if ((size_t)layer->parametrization >= CNN_PARAMETRIZATION_COUNT)
        return cnn_fail(CNN_ERROR_ARGUMENT, "layer %zu has parametrization %d, should be 0 to %d",
                        index, (int)layer->parametrization, CNN_PARAMETRIZATION_COUNT - 1);
    return CNN_OK;
}

static size_t tensors(const cnn_layer *layer, cnn_tensor list[CNN_STAGE_TENSORS])
{
    list[0] = (cnn_tensor){
        .kind = CNN_WEIGHT, .rows = layer->inputs, .cols = layer->outputs, .l2 = layer->l2};
    list[1] = (cnn_tensor){.kind = CNN_BIAS, .rows = 1, .cols = layer->outputs};
    return 2;
}

/* ---- Forward ----------------------------------------------------------------------------- */

static void forward(const cnn_stage *stage, const cnn_forward *f)
{
    const cnn_weight *weight = &stage->weight;
    const bool softmax = stage->activation.kind == CNN_SOFTMAX && !f->logits;
    const cnn_gemm gemm = {
        .m = f->rows,
        .n = stage->outputs,
        .k = stage->inputs,
        .a = f->in,
        .a_row = f->in_row,
        .a_k = 1,
        .b = weight->memory[f->form],
        .b_k = weight->b_k[f->form],
        .b_panel = weight->b_panel[f->form],
        .bias = stage->tensors[CNN_BIAS],
        .c = f->out,
        .c_row = f->out_row,
        .activation =
            softmax || f->logits ? (cnn_activation_spec){.kind = CNN_IDENTITY} : stage->activation,
        .before = f->before,
        .lists = f->lists,
    };
    if (f->cut)
        cnn_product(stage->kernels, stage->real_size, &gemm, f->cut);
    else
        stage->kernels->gemm(&gemm);
    if (softmax)
        stage->kernels->softmax_forward(f->rows, stage->outputs, f->out, f->out_row, f->out,
                                        f->out_row, 0);
}

/* ---- Backward ---------------------------------------------------------------------------- */

static size_t strip_columns(const cnn_kernels *kernels)
{
    return STRIP_PANELS * kernels->panel;
}

size_t cnn_stage_scratch(const cnn_kernels *kernels)
{
    return strip_columns(kernels) * STRIP_ROWS;
}

/* Pack a rectangle of the weight, transposed, into panels of r->m columns. */
static void pack_transposed(const cnn_stage *stage, cnn_form form, const cnn_rectangle *r,
                            void *packed)
{
    const size_t panel = stage->kernels->panel;
    /* Each panel of the weight is some rows of the transpose; row-major, all of them are one. */
    const size_t most = form == CNN_PANELS ? panel : r->n;
    for (size_t done = 0; done < r->n; done += most) {
        size_t row;
        const void *from = cnn_weight_at(&stage->weight, form, r->i, r->j + done, &row);
        const cnn_pack pack = {
            .k = cnn_min(most, r->n - done),
            .n = r->m,
            .b = from,
            .b_row = 1,
            .b_col = row,
            .packed = (char *)packed + done * panel * stage->real_size,
            .b_panel = r->n * panel,
            .ahead = form == CNN_PANELS ? stage->inputs * panel : 0,
        };
        stage->kernels->pack(&pack);
    }
}

/*
 * Columns [r.i, r.i + r.m) of the result, as far as columns [r.j, r.j + r.n) of delta go; `packed`
 * holds that part of the weight, transposed. Parts go in order of r.j.
 */
static void add_part(const cnn_stage *stage, const cnn_backward *b, const cnn_rectangle *r,
                     const void *packed)
{
    const size_t size = stage->real_size, panel = stage->kernels->panel;
    cnn_gemm gemm = {
        .m = b->rows,
        .n = r->m,
        .k = r->n,
        .a = (const char *)b->delta + r->j * size,
        .a_row = b->delta_row,
        .a_k = 1,
        .b = packed,
        .b_k = panel,
        .b_panel = r->n * panel,
        .c = (char *)b->to + r->i * size,
        .c_row = b->to_row,
        .accumulate = r->j > 0,
    };
    if (b->derivative && r->j + r->n == stage->outputs) {
        gemm.activation = b->activation;
        gemm.derivative = (const char *)b->derivative + r->i * size;
        gemm.derivative_row = b->derivative_row;
    }
    stage->kernels->gemm(&gemm);
}

struct strips {
    const cnn_stage *stage;
    const cnn_backward *backward;
};

/* A strip of columns of the result. */
static void run_strip(void *context, size_t index, size_t worker)
{
    const struct strips *s = context;
    const cnn_stage *stage = s->stage;
    const size_t columns = strip_columns(stage->kernels);
    void *packed = (char *)s->backward->scratch +
                   worker * cnn_stage_scratch(stage->kernels) * stage->real_size;
    cnn_rectangle r = {.i = index * columns};
    r.m = cnn_min(columns, stage->inputs - r.i);
    for (; r.j < stage->outputs; r.j += r.n) {
        r.n = cnn_min(STRIP_ROWS, stage->outputs - r.j);
        pack_transposed(stage, s->backward->form, &r, packed);
        add_part(stage, s->backward, &r, packed);
    }
}

static void backward(const cnn_stage *stage, const cnn_backward *b)
{
    if (b->packed) {
        const cnn_pack delta = {
            .k = b->rows,
            .n = stage->outputs,
            .b = b->delta,
            .b_row = b->delta_row,
            .b_col = 1,
            .packed = b->packed,
            .b_panel = b->packed_panel,
        };
        stage->kernels->pack(&delta);
    }
    if (!b->to)
        return;
    struct strips strips = {stage, b};
    const size_t columns = strip_columns(stage->kernels);
    const size_t count = (stage->inputs + columns - 1) / columns;
    if (b->threads > 1) {
        cnn_parallel(count, b->threads, run_strip, &strips);
        return;
    }
    for (size_t index = 0; index < count; index++)
        run_strip(&strips, index, b->worker);
}

/* The gradient of the bias. */
static void gradient(const cnn_stage *stage, const cnn_passed *passed, const cnn_tensor *tensor,
                     size_t first, size_t rows, void *out)
{
    (void)first;
    (void)rows;
    stage->kernels->column_sum(passed->rows, tensor->cols, passed->delta, passed->delta_row, out);
}

const cnn_stage_kind cnn_stage_dense = {.check = check,
                                        .tensors = tensors,
                                        .forward = forward,
                                        .backward = backward,
                                        .gradient = gradient};
