#include "train/update.h"

#include <string.h>

#include "base/threads.h"
#include "model/columns.h"
#include "train/gradient.h"

/* ---- What is read soon ------------------------------------------------------------------- */

/* Spans that the products of a task fetch, each of at most SPAN_BYTES. */
#define SPAN_BYTES ((size_t)1024)
#define MOST_SPANS ((size_t)512)

struct fetch {
    cnn_span spans[MOST_SPANS];
    size_t count;
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
static void update_part(const cnn_trainer *trainer, const cnn_gradient_task *part,
                        const struct gradient *gradient)
{
    const cnn_network *network = trainer->network;
    const cnn_tensor *tensor = part->tensor;
    const cnn_rectangle *r = &part->r;
    cnn_update update = *cnn_update_of(trainer, tensor);
    update.rows = r->m;
    update.cols = r->n;
    update.factor = gradient->factor;
    update.g = gradient->g;
    update.g_row = gradient->g_row;
    update.w = cnn_at(network, tensor->values, r->i * tensor->cols + r->j);
    update.w_row = tensor->cols;
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

/* Update a task of a tensor that is no weight. */
static void update_other(const cnn_trainer *trainer, const cnn_gradient_task *task, char *scratch)
{
    const cnn_network *network = trainer->network;
    struct gradient gradient = {.g = scratch, .g_row = task->r.n};
    if (trainer->batch->plan.gradient == CNN_GRADIENT_WHOLE)
        gradient.g = cnn_at(network, trainer->gradient,
                            task->tensor->offset + task->r.i * task->tensor->cols);
    else
        cnn_gradient_of_other(trainer->batch, task, scratch);
    update_part(trainer, task, &gradient);
}

/* Find or compute the gradient of a part of a weight; `soon` is fetched if it is computed. */
static struct gradient gradient_of(const cnn_trainer *trainer, const cnn_gradient_task *part,
                                   const cnn_lists *lists, const cnn_span *soon, size_t soon_count,
                                   char *scratch)
{
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
static void update_columns(const cnn_trainer *trainer, const cnn_gradient_task *part,
                           const cnn_lists *lists, const cnn_span *soon, size_t soon_count,
                           char *scratch)
{
    const cnn_batch *batch = trainer->batch;
    const cnn_network *network = batch->network;
    const struct gradient gradient = gradient_of(trainer, part, lists, soon, soon_count, scratch);
    const cnn_rectangle *r = &part->r;
    const cnn_layout *layout = &part->tensor->weight->layout[batch->plan.form];
    cnn_gradient_task one = *part;
    for (size_t done = 0; done < r->n; done += one.r.n) {
        one.r.j = r->j + done;
        one.r.n = cnn_min(cnn_layout_width(layout, one.r.j), r->n - done);
        struct gradient own = gradient;
        own.g = cnn_at(network, gradient.g, done);
        update_part(trainer, &one, &own);
    }
    if (batch->plan.form == CNN_PANELS && cnn_tensor_keeps_rows(part->tensor))
        cnn_weight_unpack(part->tensor->weight, r);
}

/* ---- Tables of embeddings ---------------------------------------------------------------- */

/* Store numbers that changed: those whose gradient is not 0, NaN included. */
static void store_changed(const cnn_network *network, size_t count, const void *g, const void *from,
                          void *to)
{
    for (size_t i = 0; i < count; i++)
        if (network->dtype == CNN_FLOAT32) {
            if (((const float *)g)[i] != 0)
                ((float *)to)[i] = ((const float *)from)[i];
        } else if (((const double *)g)[i] != 0) {
            ((double *)to)[i] = ((const double *)from)[i];
        }
}

void cnn_update_sparse(const cnn_network *network, const cnn_update *update, size_t slots,
                       size_t count)
{
    enum { PIECE = 256 };
    const size_t size = network->real_size;
    double space[1 + CNN_MAX_SLOTS][PIECE]; /* what a step makes of w and slots */
    for (size_t first = 0; first < count; first += PIECE) {
        const size_t n = cnn_min(PIECE, count - first);
        cnn_update part = *update;
        part.rows = 1;
        part.cols = n;
        part.g = cnn_at(network, update->g, first);
        if (network->kernels->largest(1, n, part.g, n) == 0)
            continue;
        void *const from[] = {update->w, update->slots[0], update->slots[1]};
        for (size_t s = 0; s <= slots; s++)
            memcpy(space[s], cnn_at(network, from[s], first), n * size);
        part.w = space[0];
        for (size_t s = 0; s < slots; s++)
            part.slots[s] = space[1 + s];
        network->kernels->update(&part);
        for (size_t s = 0; s <= slots; s++)
            store_changed(network, n, part.g, space[s], cnn_at(network, from[s], first));
    }
}

/* Rows of a table whose gradients, numbers and slots lie side by side. */
struct piece {
    const cnn_trainer *trainer;
    const cnn_tensor *tensor;
    size_t rows, most, row[128];
    char *g, *copies[1 + CNN_MAX_SLOTS]; /* (most, cols) each; copies of numbers and slots */
};

static struct piece make_piece(const cnn_trainer *trainer, const cnn_tensor *tensor, char *scratch)
{
    struct piece piece = {.trainer = trainer, .tensor = tensor, .g = scratch};
    const size_t numbers = cnn_tensor_piece(tensor), all = sizeof piece.row / sizeof *piece.row;
    piece.most = cnn_min(numbers / tensor->cols, all);
    for (size_t s = 0; s <= CNN_MAX_SLOTS; s++)
        piece.copies[s] = scratch + (1 + s) * numbers * trainer->network->real_size;
    return piece;
}

/* Where a row of the piece is in the table, or in a slot of it. */
static void *home_of(const struct piece *piece, size_t copy, size_t row)
{
    const cnn_trainer *trainer = piece->trainer;
    const size_t at = row * piece->tensor->cols;
    return copy == 0 ? cnn_at(trainer->network, piece->tensor->values, at)
                     : cnn_at(trainer->network, trainer->slots.memory[copy - 1],
                              piece->tensor->offset + at);
}

/* Update the rows that were collected, and begin anew. */
static void update_piece(struct piece *piece)
{
    const cnn_trainer *trainer = piece->trainer;
    const cnn_network *network = trainer->network;
    const size_t cols = piece->tensor->cols, bytes = cols * network->real_size;
    for (size_t s = 0; s <= trainer->slots.count; s++)
        for (size_t r = 0; r < piece->rows; r++)
            memcpy(piece->copies[s] + r * bytes, home_of(piece, s, piece->row[r]), bytes);
    cnn_update update = *cnn_update_of(trainer, piece->tensor);
    update.rows = 1;
    update.cols = piece->rows * cols;
    update.g = piece->g;
    update.w = piece->copies[0];
    for (size_t s = 0; s < trainer->slots.count; s++)
        update.slots[s] = piece->copies[1 + s];
    if (piece->rows > 0)
        network->kernels->update(&update);
    for (size_t s = 0; s <= trainer->slots.count; s++)
        for (size_t r = 0; r < piece->rows; r++)
            store_changed(network, cols, piece->g + r * bytes, piece->copies[s] + r * bytes,
                          home_of(piece, s, piece->row[r]));
    piece->rows = 0;
}

/* Update a table: of the rows that the batch did not use, the gradient is 0. */
static void update_table(const cnn_trainer *trainer, const cnn_gradient_task *task, char *scratch)
{
    const cnn_network *network = trainer->network;
    const cnn_tensor *tensor = task->tensor;
    if (trainer->batch->plan.gradient == CNN_GRADIENT_WHOLE) {
        cnn_update update = *cnn_update_of(trainer, tensor);
        update.g = cnn_at(network, trainer->gradient, tensor->offset);
        update.w = tensor->values;
        for (size_t s = 0; s < trainer->slots.count; s++)
            update.slots[s] = cnn_at(network, trainer->slots.memory[s], tensor->offset);
        cnn_update_sparse(network, &update, trainer->slots.count, cnn_tensor_count(tensor));
        return;
    }
    const cnn_stage *stage = cnn_tensor_stage(network, tensor);
    const cnn_passed passed = cnn_batch_passed(trainer->batch, stage);
    const size_t count = cnn_columns_sort(stage, &passed);
    struct piece piece = make_piece(trainer, tensor, scratch);
    cnn_table_use use;
    for (size_t at = 0; cnn_columns_next_use(stage, &passed, count, &at, &use);) {
        cnn_columns_sum_use(stage, &passed, &use,
                            piece.g + piece.rows * tensor->cols * network->real_size);
        piece.row[piece.rows++] = use.row;
        if (piece.rows == piece.most)
            update_piece(&piece);
    }
    update_piece(&piece);
}

/* ---- A step ------------------------------------------------------------------------------ */

static void run_task(void *context, size_t index, size_t worker)
{
    const cnn_trainer *trainer = context;
    cnn_batch *batch = trainer->batch;
    const cnn_gradient_task task = cnn_gradient_find_task(batch, index);
    char *scratch = trainer->scratch + worker * cnn_plan_update_scratch(&trainer->network->shape);
    if (task.tensor->kind == CNN_EMBEDDING) {
        update_table(trainer, &task, scratch);
        return;
    }
    if (!task.tensor->weight) {
        update_other(trainer, &task, scratch);
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
        update_columns(trainer, &part, lists, fetch.spans + soon, soon_end - soon, scratch);
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

/* What a step does to a variant of parameters. */
static cnn_update update_of_variant(const cnn_trainer *trainer, const cnn_variant *variant,
                                    const cnn_rates *rates)
{
    const cnn_optimizer *o = &trainer->optimizer;
    const size_t group = rates->groups == 1 ? 0 : variant->group;
    const double decay = rates->weight_decay ? rates->weight_decay[group] : o->weight_decay;
    const bool has_root = cnn_optimizer_has_root(o->kind);
    /* sqrt of 1, and quotients by 1, change nothing. */
    const double root = sqrt(variant->inputs);
    const double lr = rates->lr[group] / (has_root ? root : variant->inputs);
    return (cnn_update){
        .kind = o->kind,
        .clip = 1,
        .lr = lr,
        .momentum = o->momentum,
        .alpha = o->alpha,
        .beta1 = o->beta1,
        .beta2 = o->beta2,
        .eps = o->eps * root,
        .decay = 1 - rates->lr[group] * decay,
        .step_size = lr / (1 - trainer->beta1_power * o->beta1),
        .root_correction = sqrt(1 - trainer->beta2_power * o->beta2),
    };
}

void cnn_update_begin(cnn_trainer *trainer, const cnn_rates *rates)
{
    for (size_t v = 0; v < trainer->variant_count; v++)
        trainer->updates[v] = update_of_variant(trainer, &trainer->variants[v], rates);
}

void cnn_update_count(cnn_trainer *trainer)
{
    trainer->steps++;
    trainer->beta1_power *= trainer->optimizer.beta1;
    trainer->beta2_power *= trainer->optimizer.beta2;
}

void cnn_update_run(cnn_trainer *trainer, const cnn_rates *rates)
{
    cnn_batch *batch = trainer->batch;
    cnn_update_begin(trainer, rates);
    cnn_update_count(trainer);
    if (trainer->optimizer.clip_norm > 0) {
        const double clip = clip_factor(trainer);
        for (size_t v = 0; v < trainer->variant_count; v++)
            trainer->updates[v].clip = clip;
    }
    cnn_parallel(cnn_gradient_tasks(batch), batch->plan.threads, run_task, trainer);
    cnn_network_wrote(trainer->network, batch->plan.form);
}

void cnn_update_apply(cnn_trainer *trainer, const cnn_rates *rates)
{
    if (trainer->batch->plan.gradient == CNN_GRADIENT_WHOLE)
        cnn_gradient_whole(trainer->batch, true, trainer->gradient);
    cnn_update_run(trainer, rates);
}
