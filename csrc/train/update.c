#include "train/update.h"

#include "base/threads.h"
#include "train/gradient.h"

/* ---- What is read soon ------------------------------------------------------------------- */

/* Spans that the products of a task fetch, each of at most SPAN_BYTES. */
#define SPAN_BYTES ((size_t)1024)
#define MOST_SPANS ((size_t)512)

struct fetch {
    cnn_span spans[MOST_SPANS];
    size_t count;
};

/* A step that is being made. */
struct stepping {
    cnn_trainer *trainer;
    cnn_update update; /* what is the same for all parameters */
};

static void add_spans(struct fetch *fetch, const void *start, size_t bytes)
{
    for (size_t at = 0; at < bytes && fetch->count < MOST_SPANS; at += SPAN_BYTES)
        fetch->spans[fetch->count++] =
            (cnn_span){(const char *)start + at, cnn_min(SPAN_BYTES, bytes - at)};
}

/* Rows of the next batch. */
struct rows {
    size_t begin, end;
};

/*
 * Each task of the first weight takes care of some rows of the next batch: as large a share as it
 * has of the work on the weight.
 */
static struct rows rows_of_task(cnn_batch *batch, const cnn_gradient_task *task)
{
    cnn_inputs *inputs = &batch->inputs;
    const cnn_tensor *tensor = task->tensor;
    const cnn_rectangle *r = &task->r;
    if (!cnn_tensor_is_first(batch->network, tensor) || inputs->next_rows == 0)
        return (struct rows){0, 0};
    const uint64_t before = cnn_inputs_work(inputs, r->i);
    const uint64_t own = cnn_inputs_work(inputs, r->i + r->m) - before;
    const uint64_t all = (uint64_t)cnn_inputs_work(inputs, tensor->rows) * tensor->cols;
    const uint64_t done = before * tensor->cols + own * r->j;
    const uint64_t rows = inputs->next_rows;
    return (struct rows){(size_t)(rows * done / all), (size_t)(rows * (done + own * r->n) / all)};
}

/* The parameters and slots of a part of a weight, which are read in one piece, or row by row. */
static void add_parameters(struct fetch *fetch, const cnn_trainer *trainer,
                           const cnn_gradient_task *task)
{
    const cnn_network *network = trainer->network;
    const cnn_weight *weight = task->tensor->weight;
    const cnn_form form = trainer->batch->plan.form;
    const cnn_layout slots = cnn_slots_layout(&trainer->slots, task->tensor);
    const cnn_rectangle *r = &task->r;
    const size_t panel = network->kernels->panel;
    const bool panels = form == CNN_PANELS;
    const size_t pieces = panels ? (r->n + panel - 1) / panel : r->m;
    for (size_t p = 0; p < pieces; p++) {
        const size_t i = r->i + (panels ? 0 : p), j = r->j + (panels ? p * panel : 0);
        size_t row;
        const void *w = cnn_weight_at(weight, form, i, j, &row);
        const size_t at = task->tensor->offset + cnn_layout_offset(&slots, i, j, &row);
        const size_t bytes = (panels ? r->m * row : r->n) * network->real_size;
        add_spans(fetch, w, bytes);
        for (size_t s = 0; s < trainer->slots.count; s++)
            add_spans(fetch, cnn_at(network, trainer->slots.memory[s], at), bytes);
    }
}

/* What is read after task `index`: its rows of the next batch, if these are in one piece, and what
 * the same thread's next task updates. */
static void find_soon(struct fetch *fetch, const cnn_trainer *trainer, const struct rows *rows,
                      size_t index)
{
    const cnn_batch *batch = trainer->batch;
    const cnn_inputs *inputs = &batch->inputs;
    fetch->count = 0;
    if (batch->plan.gradient != CNN_GRADIENT_FUSED)
        return;
    for (size_t i = rows->begin; inputs->soon_bytes > 0 && i < rows->end; i++)
        add_spans(fetch, inputs->soon[i], inputs->soon_bytes);
    const size_t next = index + batch->plan.threads;
    if (!batch->plan.prefetch || next >= cnn_gradient_tasks(batch))
        return;
    const cnn_gradient_task after = cnn_gradient_find_task(batch, next);
    if (after.tensor->weight)
        add_parameters(fetch, trainer, &after);
}

/* ---- The update -------------------------------------------------------------------------- */

/* The gradient of a part of a tensor: the factor, a column, times g; or g alone. */
struct gradient {
    const void *factor, *g;
    size_t g_row;
};

/*
 * Update a part of a tensor. In panels its columns are those of one panel; g and factor are where
 * the part begins.
 */
static void update_part(const struct stepping *s, const cnn_gradient_task *part,
                        const struct gradient *gradient)
{
    const cnn_trainer *trainer = s->trainer;
    const cnn_network *network = trainer->network;
    const cnn_tensor *tensor = part->tensor;
    const cnn_rectangle *r = &part->r;
    cnn_update update = s->update;
    update.rows = r->m;
    update.cols = r->n;
    update.factor = gradient->factor;
    update.g = gradient->g;
    update.g_row = gradient->g_row;
    update.w = tensor->values;
    update.w_row = r->n;
    if (tensor->weight)
        update.w =
            cnn_weight_at(tensor->weight, trainer->batch->plan.form, r->i, r->j, &update.w_row);
    const cnn_layout slots = cnn_slots_layout(&trainer->slots, tensor);
    const size_t at = tensor->offset + cnn_layout_offset(&slots, r->i, r->j, &update.slot_row);
    for (size_t i = 0; i < trainer->slots.count; i++)
        update.slots[i] = cnn_at(network, trainer->slots.memory[i], at);
    /* A whole gradient has the penalty already. */
    update.l2 = trainer->batch->plan.gradient == CNN_GRADIENT_WHOLE ? 0 : tensor->l2;
    network->kernels->update(&update);
}

static void update_bias(const struct stepping *s, const cnn_gradient_task *task, char *scratch)
{
    const cnn_trainer *trainer = s->trainer;
    struct gradient gradient = {.g = scratch, .g_row = task->r.n};
    if (trainer->batch->plan.gradient == CNN_GRADIENT_WHOLE)
        gradient.g = cnn_at(trainer->network, trainer->gradient, task->tensor->offset);
    else
        cnn_gradient_of_bias(trainer->batch, task->tensor, scratch);
    update_part(s, task, &gradient);
}

/* Find or compute the gradient of a part of a weight; `soon` is fetched if it is computed. */
static struct gradient gradient_of(const struct stepping *s, const cnn_gradient_task *part,
                                   const cnn_lists *lists, const cnn_span *soon, size_t soon_count,
                                   char *scratch)
{
    const cnn_trainer *trainer = s->trainer;
    const cnn_batch *batch = trainer->batch;
    const cnn_network *network = batch->network;
    const cnn_tensor *tensor = part->tensor;
    const cnn_rectangle *r = &part->r;
    size_t row;
    switch (batch->plan.gradient) {
    case CNN_GRADIENT_WHOLE:
        row = tensor->offset + r->i * tensor->cols + r->j;
        return (struct gradient){.g = cnn_at(network, trainer->gradient, row),
                                 .g_row = tensor->cols};
    case CNN_GRADIENT_OUTER: {
        const void *in = cnn_batch_input(batch, cnn_tensor_stage(network, tensor), &row);
        const void *delta = batch->stages[tensor->layer].delta;
        return (struct gradient){.factor = cnn_at(network, in, r->i),
                                 .g = cnn_at(network, delta, r->j)};
    }
    default:
        cnn_gradient_of_weight(batch, part, scratch, r->n, lists, soon, soon_count);
        return (struct gradient){.g = scratch, .g_row = r->n};
    }
}

/* Update some columns of a task: their gradient goes from the tile into the optimizer through L1.
 */
static void update_columns(const struct stepping *s, const cnn_gradient_task *part,
                           const cnn_lists *lists, const cnn_span *soon, size_t soon_count,
                           char *scratch)
{
    const cnn_batch *batch = s->trainer->batch;
    const cnn_network *network = batch->network;
    const struct gradient gradient = gradient_of(s, part, lists, soon, soon_count, scratch);
    const cnn_rectangle *r = &part->r;
    const cnn_layout *layout = &part->tensor->weight->layout[batch->plan.form];
    cnn_gradient_task one = *part;
    for (size_t done = 0; done < r->n; done += one.r.n) {
        one.r.j = r->j + done;
        one.r.n = cnn_min(cnn_layout_width(layout, one.r.j), r->n - done);
        struct gradient own = gradient;
        own.g = cnn_at(network, gradient.g, done);
        update_part(s, &one, &own);
    }
    if (batch->plan.form == CNN_PANELS && cnn_tensor_keeps_rows(part->tensor))
        cnn_weight_unpack(part->tensor->weight, r);
}

static void run_task(void *context, size_t index, size_t worker)
{
    const struct stepping *s = context;
    const cnn_trainer *trainer = s->trainer;
    cnn_batch *batch = trainer->batch;
    const cnn_gradient_task task = cnn_gradient_find_task(batch, index);
    char *scratch = trainer->scratch + worker * cnn_plan_update_scratch(&trainer->network->shape);
    if (!task.tensor->weight) {
        update_bias(s, &task, scratch);
        return;
    }
    const struct rows rows = rows_of_task(batch, &task);
    struct fetch fetch;
    find_soon(&fetch, trainer, &rows, index);
    cnn_lists memory;
    const cnn_lists *lists = batch->plan.gradient == CNN_GRADIENT_FUSED
                                 ? cnn_gradient_lists(batch, &task, worker, &memory)
                                 : NULL;
    const size_t n = task.r.n, part_cols = batch->plan.part_cols;
    cnn_gradient_task part = task;
    for (size_t done = 0; done < n; done += part.r.n) {
        const size_t left = n - done;
        part.r.j = task.r.j + done;
        part.r.n = left > 2 * part_cols ? part_cols : left;
        const size_t soon = fetch.count * done / n;
        const size_t soon_end = fetch.count * (done + part.r.n) / n;
        update_columns(s, &part, lists, fetch.spans + soon, soon_end - soon, scratch);
    }
    /* The task's rows are gathered before the caches are full of other things. */
    cnn_inputs_gather_next(&batch->inputs, rows.begin, rows.end);
}

/*
 * The factor that brings the gradient's norm down to clip_norm, as PyTorch computes it. If the
 * squares overflow, or the factor is smaller than the type's normal numbers, the gradient is first
 * brought down to numbers below 2. Squares that underflow are nothing beside 1e-6.
 */
static double clip_factor(const cnn_trainer *trainer)
{
    const cnn_network *network = trainer->network;
    const double clip_norm = trainer->optimizer.clip_norm, small = 1e-6;
    double squares = cnn_gradient_square_sum(network, trainer->gradient);
    const double factor = cnn_clip_factor(clip_norm, squares, small);
    if (factor >= cnn_clip_least(network))
        return fmin(factor, 1);
    const int exponent = cnn_gradient_scale_down(network, trainer->gradient);
    squares = cnn_gradient_square_sum(network, trainer->gradient);
    return fmin(cnn_clip_factor(clip_norm, squares, ldexp(small, -exponent)), ldexp(1, exponent));
}

cnn_update cnn_update_of_step(const cnn_trainer *trainer, double lr)
{
    const cnn_optimizer *o = &trainer->optimizer;
    return (cnn_update){
        .kind = o->kind,
        .clip = 1,
        .lr = lr,
        .momentum = o->momentum,
        .alpha = o->alpha,
        .beta1 = o->beta1,
        .beta2 = o->beta2,
        .eps = o->eps,
        .decay = 1 - lr * o->weight_decay,
        .step_size = lr / (1 - trainer->beta1_power * o->beta1),
        .root_correction = sqrt(1 - trainer->beta2_power * o->beta2),
    };
}

void cnn_update_count(cnn_trainer *trainer)
{
    trainer->steps++;
    trainer->beta1_power *= trainer->optimizer.beta1;
    trainer->beta2_power *= trainer->optimizer.beta2;
}

void cnn_update_run(cnn_trainer *trainer, double lr)
{
    cnn_batch *batch = trainer->batch;
    struct stepping s = {.trainer = trainer, .update = cnn_update_of_step(trainer, lr)};
    cnn_update_count(trainer);
    if (trainer->optimizer.clip_norm > 0)
        s.update.clip = clip_factor(trainer);
    cnn_parallel(cnn_gradient_tasks(batch), batch->plan.threads, run_task, &s);
    cnn_network_wrote(trainer->network, batch->plan.form);
}

void cnn_update_apply(cnn_trainer *trainer, double lr)
{
    if (trainer->batch->plan.gradient == CNN_GRADIENT_WHOLE)
        cnn_gradient_whole(trainer->batch, true, trainer->gradient);
    cnn_update_run(trainer, lr);
}
