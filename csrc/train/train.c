/* Training: the optimizer's step on the gradients of a batch, single steps and epochs. */
#include <float.h>
#include <inttypes.h>
#include <math.h>

#include "base/error.h"
#include "base/platform.h"
#include "base/threads.h"
#include "train/finite.h"
#include "train/gradient.h"
#include "train/slots.h"
#include "train/trainer.h"

/* ---- One step ---------------------------------------------------------------------------- */

/* Columns of a gradient that are computed and used at a time, or up to twice as many where these
 * are the last: whole panels of every ISA, and in float32 few enough to stay in the L1 cache until
 * they are used. */
#define COLUMNS ((size_t)32)

/* Scratch of one worker: a rectangle of such columns, or the longest bias. */
static size_t scratch_bytes(const cnn_network *network)
{
    size_t elements = 2 * CNN_TASK_ROWS * COLUMNS;
    for (size_t l = 0; l < network->dense_count; l++)
        elements = cnn_max(elements, network->dense[l].outputs);
    return cnn_round_up(elements * network->real_size, 64);
}

struct stepping {
    cnn_trainer *trainer;
    cnn_update update; /* what is the same for all parameters */
    bool whole;        /* whether trainer->gradient holds the gradient already */
};

/* A part of a tensor: where it is, its rows, columns, and elements between rows; and where its
 * slots are, among those of all parameters. */
struct part {
    void *w;
    size_t rows, cols, w_row, slot, slot_row;
    double l2;
};

/* Update a part of a tensor from factor . g. */
static void update_part(const struct stepping *s, const struct part *part, const void *factor,
                        const void *g, size_t g_row)
{
    const cnn_trainer *trainer = s->trainer;
    const cnn_network *network = trainer->network;
    cnn_update update = s->update;
    update.rows = part->rows;
    update.cols = part->cols;
    update.factor = factor;
    update.g = g;
    update.g_row = g_row;
    update.w = part->w;
    update.w_row = part->w_row;
    update.slot_row = part->slot_row;
    update.l2 = part->l2;
    for (size_t i = 0; i < trainer->slot_count; i++)
        update.slots[i] = cnn_at(network, trainer->slots[i], part->slot);
    network->kernels->update(&update);
}

/* Where a step changes row i and column j of a weight; in panels, j is on the panel. */
static void *weight_at(const cnn_trainer *trainer, const cnn_dense *dense, size_t i, size_t j)
{
    return trainer->batch->in_place
               ? cnn_at(trainer->network, dense->weight, i * dense->outputs + j)
               : cnn_dense_panel(trainer->network, dense, i, j);
}

static void update_bias(const struct stepping *s, size_t l, char *scratch)
{
    const cnn_trainer *trainer = s->trainer;
    const cnn_dense *dense = &trainer->network->dense[l];
    const size_t n = dense->outputs;
    void *g = scratch;
    if (s->whole)
        g = cnn_at(trainer->network, trainer->gradient, dense->bias_offset);
    else
        cnn_batch_bias_gradient(trainer->batch, l, g);
    const struct part bias = {.w = dense->bias,
                              .rows = 1,
                              .cols = n,
                              .w_row = n,
                              .slot = dense->bias_offset,
                              .slot_row = n};
    update_part(s, &bias, NULL, g, n);
}

/* ---- What is read soon ------------------------------------------------------------------- */

/* Spans that the products of a task fetch, each of at most SPAN_BYTES. */
#define SPAN_BYTES ((size_t)1024)
#define MOST_SPANS ((size_t)512)

/* Parameters and slots of this size do not stay in the L2 cache beside all else. */
#define LARGE_PARAMETERS ((size_t)2 * 1024 * 1024)

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

/*
 * Each task of the first layer takes care of some rows of the next batch: as large a share as it
 * has of the work on the weight. These are the rows before its own; with `including`, its own too.
 */
static size_t rows_taken(const cnn_batch *batch, const cnn_rectangle *r, bool including)
{
    const cnn_dense *dense = &batch->network->dense[0];
    const cnn_inputs *inputs = &batch->inputs;
    const uint64_t before = cnn_inputs_work(inputs, r->i);
    const uint64_t own = cnn_inputs_work(inputs, r->i + r->m) - before;
    const uint64_t all = (uint64_t)cnn_inputs_work(inputs, dense->inputs) * dense->outputs;
    const uint64_t done = before * dense->outputs + own * (r->j + (including ? r->n : 0));
    return (size_t)(inputs->next_rows * done / all);
}

/* The task's rows, where these are in one piece, are fetched while its products run. */
static void add_next_rows(struct fetch *fetch, const cnn_batch *batch, const cnn_rectangle *r)
{
    const cnn_inputs *inputs = &batch->inputs;
    if (inputs->soon_bytes == 0)
        return;
    const size_t end = rows_taken(batch, r, true);
    for (size_t i = rows_taken(batch, r, false); i < end; i++)
        add_spans(fetch, inputs->soon[i], inputs->soon_bytes);
}

/* The weights and slots of a rectangle: its rows where it is in place, otherwise its panels. */
static void add_parameters(struct fetch *fetch, const cnn_trainer *trainer, const cnn_rectangle *r)
{
    const cnn_network *network = trainer->network;
    const cnn_dense *dense = &network->dense[r->l];
    const bool in_place = trainer->batch->in_place;
    const size_t panel = network->kernels->panel;
    const size_t pieces = in_place ? r->m : (r->n + panel - 1) / panel;
    for (size_t p = 0; p < pieces; p++) {
        const size_t i = r->i + (in_place ? p : 0), j = r->j + (in_place ? 0 : p * panel);
        size_t row;
        const size_t at = cnn_slots_offset(trainer, dense, i, j, &row);
        const size_t bytes = (in_place ? r->n : r->m * row) * network->real_size;
        add_spans(fetch, weight_at(trainer, dense, i, j), bytes);
        for (size_t s = 0; s < trainer->slot_count; s++)
            add_spans(fetch, cnn_at(network, trainer->slots[s], at), bytes);
    }
}

/* What is read after task `index`: the next batch, and what the same thread's next task updates. */
static void find_soon(struct fetch *fetch, const cnn_trainer *trainer, const cnn_rectangle *r,
                      size_t index)
{
    const cnn_network *network = trainer->network;
    if (r->l == 0)
        add_next_rows(fetch, trainer->batch, r);
    const size_t next = index + trainer->batch->threads;
    const size_t bytes = network->parameter_span * network->real_size;
    if (bytes * (1 + trainer->slot_count) < LARGE_PARAMETERS ||
        next >= cnn_gradient_tasks(trainer->batch))
        return;
    const cnn_rectangle after = cnn_gradient_task(trainer->batch, next);
    add_parameters(fetch, trainer, &after);
}

/* ---- The update -------------------------------------------------------------------------- */

/* Columns [j, j + n) of task r, which in panels are those of one panel. */
static struct part weight_part(const struct stepping *s, const cnn_rectangle *r, size_t j, size_t n)
{
    const cnn_trainer *trainer = s->trainer;
    const cnn_dense *dense = &trainer->network->dense[r->l];
    struct part part = {
        .w = weight_at(trainer, dense, r->i, j),
        .rows = r->m,
        .cols = n,
        .w_row = trainer->batch->in_place ? dense->outputs : trainer->network->kernels->panel,
        .l2 = s->whole ? 0 : dense->l2, /* the whole gradient has it already */
    };
    part.slot = cnn_slots_offset(trainer, dense, r->i, j, &part.slot_row);
    return part;
}

/*
 * Columns r.j to r.j + r.n of a task: their gradient goes from the tile into the optimizer through
 * L1, while the spans in `soon` are fetched. That of a batch of one row is a column by a row, which
 * the optimizer multiplies itself.
 */
static void update_columns(const struct stepping *s, const cnn_rectangle *r, const cnn_lists *lists,
                           const cnn_span *soon, size_t soon_count, char *scratch)
{
    const cnn_batch *batch = s->trainer->batch;
    const cnn_network *network = batch->network;
    const cnn_dense *dense = &network->dense[r->l];
    const void *factor = NULL, *g = scratch;
    size_t g_row = r->n;
    if (s->whole) {
        g = cnn_at(network, s->trainer->gradient,
                   dense->weight_offset + r->i * dense->outputs + r->j);
        g_row = dense->outputs;
    } else if (batch->rows == 1) {
        factor = cnn_at(network, cnn_batch_input(batch, r->l), r->i);
        g = cnn_at(network, batch->layers[r->l].delta, r->j);
        g_row = 0;
    } else {
        cnn_batch_weight_gradient(batch, r, scratch, r->n, lists, soon, soon_count);
    }
    const size_t most = batch->in_place ? r->n : network->kernels->panel;
    for (size_t done = 0; done < r->n; done += most) {
        const struct part part = weight_part(s, r, r->j + done, cnn_min(most, r->n - done));
        update_part(s, &part, factor, cnn_at(network, g, done), g_row);
    }
    if (batch->in_place)
        return;
    if (dense->l2 > 0)
        cnn_dense_unpack(network, dense, r->i, r->m, r->j, r->n);
    if (r->l > 0 && batch->keeps_transposed)
        cnn_batch_pack_transposed(batch, r);
}

static void update_task(void *context, size_t index, size_t worker)
{
    const struct stepping *s = context;
    const cnn_trainer *trainer = s->trainer;
    const cnn_network *network = trainer->network;
    const cnn_rectangle r = cnn_gradient_task(trainer->batch, index);
    char *scratch = trainer->scratch + worker * scratch_bytes(network);
    if (r.m == 0) {
        update_bias(s, r.l, scratch);
        return;
    }
    const bool products = !s->whole && trainer->batch->rows > 1;
    struct fetch fetch;
    fetch.count = 0;
    if (products)
        find_soon(&fetch, trainer, &r, index);
    cnn_lists memory;
    const cnn_lists *lists =
        products ? cnn_gradient_lists(trainer->batch, &r, worker, &memory) : NULL;
    cnn_rectangle some = r;
    for (size_t done = 0; done < r.n; done += some.n) {
        some.j = r.j + done;
        some.n = r.n - done;
        if (some.n > 2 * COLUMNS && products)
            some.n = COLUMNS;
        const size_t soon = fetch.count * done / r.n;
        const size_t soon_end = fetch.count * (done + some.n) / r.n;
        update_columns(s, &some, lists, fetch.spans + soon, soon_end - soon, scratch);
    }
    /* The task's rows are gathered before the caches are full of other things. */
    if (r.l == 0)
        cnn_inputs_gather_next(&trainer->batch->inputs, rows_taken(trainer->batch, &r, false),
                               rows_taken(trainer->batch, &r, true));
}

/*
 * The factor that brings the gradient's norm down to clip_norm, as PyTorch computes it. Where the
 * squares overflow, or the factor is smaller than the type's normal numbers, the gradient is first
 * brought down to numbers below 2. Squares that underflow are nothing beside 1e-6.
 */
static double clip_factor(const cnn_trainer *trainer)
{
    const cnn_network *network = trainer->network;
    const double least = network->dtype == CNN_FLOAT32 ? (double)FLT_MIN : DBL_MIN;
    double norm = sqrt(cnn_gradient_square_sum(network, trainer->gradient)), small = 1e-6;
    double factor = trainer->optimizer.clip_norm / (norm + small);
    if (factor >= 1)
        return 1;
    if (!(factor >= least)) {
        const int exponent = cnn_gradient_scale_down(network, trainer->gradient);
        small = ldexp(small, -exponent);
        norm = sqrt(cnn_gradient_square_sum(network, trainer->gradient));
        factor = fmin(trainer->optimizer.clip_norm / (norm + small), ldexp(1, exponent));
    }
    return factor;
}

/* What the next step has in common for all parameters, but for the factor that clips. */
static cnn_update next_update(const cnn_trainer *trainer, double lr)
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

static void apply(cnn_trainer *trainer, double lr)
{
    const cnn_optimizer *o = &trainer->optimizer;
    struct stepping s = {
        .trainer = trainer, .update = next_update(trainer, lr), .whole = o->clip_norm > 0};
    trainer->steps++;
    trainer->beta1_power *= o->beta1;
    trainer->beta2_power *= o->beta2;
    if (s.whole) {
        cnn_gradient_whole(trainer->batch, trainer->gradient);
        s.update.clip = clip_factor(trainer);
    }
    const size_t tasks = cnn_gradient_tasks(trainer->batch);
    const size_t threads = cnn_min(trainer->batch->threads, trainer->scratch_workers);
    cnn_parallel(tasks, threads, update_task, &s);
    trainer->network->version++;
    if (!trainer->batch->in_place)
        cnn_network_leave_behind(trainer->network);
    /* Where the transposed weights were brought along, they are still current. */
    if (trainer->batch->keeps_transposed)
        trainer->batch->version = trainer->network->version;
}

/*
 * The same for a single step, which is not made if weights or state would not be finite. The batch
 * was measured.
 */
static cnn_status apply_checked(cnn_trainer *trainer, double lr)
{
    const cnn_update update = next_update(trainer, lr);
    if (cnn_step_is_safe(trainer, &update)) {
        apply(trainer, lr);
        trainer->sizes.version = trainer->network->version;
        return CNN_OK;
    }
    const cnn_status status = cnn_trainer_keep(trainer, &trainer->before_step);
    if (status != CNN_OK)
        return status;
    apply(trainer, lr);
    const bool weights = cnn_weights_are_finite(trainer->network, trainer->batch->in_place);
    if (weights && cnn_slots_are_finite(trainer))
        return CNN_OK;
    cnn_trainer_bring_back(trainer, &trainer->before_step);
    return cnn_fail(CNN_ERROR_NONFINITE, "%s became NaN or infinite in step %llu",
                    weights ? "the optimizer's state" : "the weights",
                    (unsigned long long)trainer->steps + 1);
}

/* ---- Calls ------------------------------------------------------------------------------- */

/* Buffers for batches of `rows` rows on the present number of threads. */
static cnn_status reserve(cnn_trainer *trainer, size_t rows)
{
    const cnn_network *network = trainer->network;
    const cnn_status status = cnn_batch_reserve(network, rows, &trainer->batch);
    if (status != CNN_OK)
        return status;
    const size_t workers = trainer->batch->workers;
    if (workers > trainer->scratch_workers) {
        char *scratch = cnn_platform_allocate(workers * scratch_bytes(network));
        if (!scratch)
            return cnn_fail(CNN_ERROR_MEMORY, "out of memory for %zu threads", workers);
        cnn_platform_free(trainer->scratch);
        trainer->scratch = scratch;
        trainer->scratch_workers = workers;
    }
    if (trainer->optimizer.clip_norm > 0 && !trainer->gradient) {
        trainer->gradient = cnn_platform_allocate(network->parameter_span * network->real_size);
        if (!trainer->gradient)
            return cnn_fail(CNN_ERROR_MEMORY, "out of memory for gradients");
    }
    return CNN_OK;
}

/*
 * One batch. *stepped is whether it has a weight; if not, there is no step, and neither the
 * optimizer nor its learning rate take notice. A batch without an index is a call of its own,
 * whose targets and weights have not been looked at; nor have the targets of a pass in pieces.
 */
static cnn_status step(cnn_trainer *trainer, const cnn_batch_job *job, double lr,
                       cnn_result *result, bool *stepped)
{
    const cnn_network *network = trainer->network;
    const cnn_data *data = job->data;
    double loss, weight;
    size_t correct = 0;
    cnn_status status = cnn_batch_run(trainer->batch, job, &loss, &weight, &correct);
    if (status == CNN_OK && (!job->index || result->accumulate))
        status = cnn_targets_check(job->loss, &data->t, cnn_network_outputs(network),
                                   network->dtype, NULL, 0, job->rows, &trainer->batch->targets);
    if (status == CNN_OK && !job->index && !result->accumulate)
        status = cnn_weights_check(job->loss, &data->sample_weight, weight);
    if (status != CNN_OK)
        return status;
    status = cnn_batch_check_inputs(trainer->batch, job);
    if (status != CNN_OK)
        return cnn_fail(status, "the loss is %g in batch %zu; %s", loss, result->steps + 1,
                        cnn_last_error());
    *stepped = weight >= CNN_LEAST_WEIGHT_SUM;
    if (*stepped && !isfinite(loss))
        return cnn_fail(CNN_ERROR_NONFINITE, "the loss is %g in batch %zu", loss,
                        result->steps + 1);
    if (*stepped && job->measure)
        status = apply_checked(trainer, lr);
    else if (*stepped)
        apply(trainer, lr);
    if (status != CNN_OK)
        return status;
    if (*stepped) {
        result->loss_sum += loss * weight;
        result->weight_sum += weight;
    }
    result->steps++;
    result->rows += job->rows;
    result->correct += correct;
    result->counted += cnn_targets_counted(&trainer->batch->targets, job->rows);
    return CNN_OK;
}

static cnn_status check_call(const cnn_trainer *trainer, const cnn_loss **loss,
                             const cnn_data **data, cnn_call_structs *space,
                             const cnn_result *result, cnn_result *made)
{
    if (!trainer)
        return cnn_fail(CNN_ERROR_ARGUMENT, "trainer is NULL");
    const cnn_status status = cnn_result_begin(result, made);
    return status == CNN_OK ? cnn_network_check(trainer->network, loss, data, space) : status;
}

/* Steps key the dropout masks, and files have them, as numbers of 64 bits with a sign. */
static cnn_status check_steps(const cnn_trainer *trainer, size_t more)
{
    if (more <= (uint64_t)INT64_MAX - trainer->steps)
        return CNN_OK;
    return cnn_fail(CNN_ERROR_ARGUMENT,
                    "trainer has made %" PRIu64 " steps, should make at most "
                    "2^63 - 1 in all",
                    trainer->steps);
}

static cnn_status check_lr(double lr)
{
    if (lr >= 0 && isfinite(lr))
        return CNN_OK;
    return cnn_fail(CNN_ERROR_ARGUMENT, "lr is %g, should be finite, 0 or more", lr);
}

cnn_status cnn_trainer_step(cnn_trainer *trainer, const cnn_loss *loss, const cnn_data *data,
                            double lr, cnn_result *result)
{
    cnn_result made;
    cnn_call_structs space;
    cnn_status status = check_call(trainer, &loss, &data, &space, result, &made);
    if (status == CNN_OK)
        status = check_steps(trainer, 1);
    if (status == CNN_OK)
        status = check_lr(lr);
    if (status == CNN_OK && data->x.rows == 0)
        status = cnn_fail(CNN_ERROR_ARGUMENT, "x has 0 rows, needs at least 1");
    if (status == CNN_OK)
        status = reserve(trainer, data->x.rows);
    if (status != CNN_OK)
        return status;
    const cnn_batch_job job = {.loss = loss,
                               .data = data,
                               .rows = data->x.rows,
                               .step = (int64_t)trainer->steps,
                               .in_place = cnn_batch_in_place(trainer->batch, data->x.rows),
                               .measure = true};
    status = cnn_slots_arrange(trainer, !job.in_place);
    if (status != CNN_OK)
        return status;
    bool stepped;
    const uint64_t before = cnn_platform_float_enter();
    if (job.in_place)
        cnn_network_unpack(trainer->network);
    status = step(trainer, &job, lr, &made, &stepped);
    if (job.in_place)
        cnn_network_repack(trainer->network);
    cnn_platform_float_leave(before);
    if (status == CNN_OK || status == CNN_ERROR_NONFINITE)
        cnn_result_end(result, &made);
    return status;
}

/*
 * Look at every row that the call will use, before the first step changes anything. Rows of targets
 * of a pass in pieces are left to the steps: the caller, who alone can look at all of them before
 * the first piece, would have them read from memory once more in each epoch.
 */
static cnn_status check_rows(const cnn_trainer *trainer, const cnn_loss *loss, const cnn_data *data,
                             const size_t *index, size_t count, size_t batch_size,
                             const cnn_result *result)
{
    const size_t outputs = cnn_network_outputs(trainer->network);
    const cnn_dtype dtype = trainer->network->dtype;
    const cnn_targets *targets = &trainer->batch->targets;
    for (size_t i = 0; i < count; i++)
        if (index[i] >= data->x.rows)
            return cnn_fail(CNN_ERROR_ARGUMENT, "index has row %zu, but x has %zu rows", index[i],
                            data->x.rows);
    const bool weights_alone = loss->target == CNN_TARGET_ROWS && result->accumulate;
    if (weights_alone && !data->sample_weight.data)
        return CNN_OK;
    double most = 0; /* the largest weight of a batch */
    for (size_t i = 0; i < count; i += batch_size) {
        const size_t rows = cnn_min(batch_size, count - i);
        cnn_status status =
            weights_alone
                ? cnn_sample_weight_read(&data->sample_weight, index + i, 0, rows, targets)
                : cnn_samples_read(loss, &data->t, &data->sample_weight, outputs, dtype, index + i,
                                   0, rows, targets);
        if (status == CNN_OK && !result->accumulate)
            status = cnn_targets_check(loss, &data->t, outputs, dtype, index + i, 0, rows, targets);
        if (status != CNN_OK)
            return status;
        cnn_lanes weights = {.count = 0};
        cnn_lanes_add(&weights, rows, targets->weight);
        most = fmax(most, cnn_lanes_total(&weights));
    }
    return result->accumulate ? CNN_OK : cnn_weights_check(loss, &data->sample_weight, most);
}

cnn_status cnn_trainer_epoch(cnn_trainer *trainer, const cnn_loss *loss, const cnn_data *data,
                             const size_t *index, size_t count, size_t batch_size, const double *lr,
                             double seconds, cnn_result *result)
{
    cnn_result made;
    cnn_call_structs space;
    cnn_status status = check_call(trainer, &loss, &data, &space, result, &made);
    if (status != CNN_OK)
        return status;
    if (!index || !lr)
        return cnn_fail(CNN_ERROR_ARGUMENT, "%s is NULL", index ? "lr" : "index");
    if (count == 0 || batch_size == 0)
        return cnn_fail(CNN_ERROR_ARGUMENT, "%s is 0, should be at least 1",
                        count ? "batch_size" : "count");
    batch_size = cnn_min(batch_size, count);
    const size_t batches = (count - 1) / batch_size + 1;
    status = check_steps(trainer, batches);
    for (size_t i = 0; i < batches && status == CNN_OK; i++)
        status = check_lr(lr[i]);
    if (status == CNN_OK)
        status = reserve(trainer, batch_size);
    if (status == CNN_OK)
        status = check_rows(trainer, loss, data, index, count, batch_size, &made);
    if (status != CNN_OK)
        return status;
    const bool in_place = cnn_batch_in_place(trainer->batch, batch_size);
    status = cnn_slots_arrange(trainer, !in_place);
    if (status != CNN_OK)
        return status;
    const double end = seconds > 0 ? cnn_platform_seconds() + seconds : 0;
    const uint64_t before = cnn_platform_float_enter();
    if (in_place)
        cnn_network_unpack(trainer->network);
    size_t done = 0, steps = 0;
    bool stepped = false; /* The update gathers the next batch, if there is an update. */
    while (done < count && status == CNN_OK) {
        const cnn_batch_job job = {
            .loss = loss,
            .data = data,
            .index = index + done,
            .rows = cnn_min(batch_size, count - done),
            .soon = cnn_min(batch_size, count - cnn_min(count, done + batch_size)),
            .step = (int64_t)trainer->steps,
            .follows = stepped,
            .in_place = in_place,
        };
        status = step(trainer, &job, lr[steps], &made, &stepped);
        done += job.rows;
        steps += stepped;
        if (seconds > 0 && cnn_platform_seconds() >= end)
            break;
    }
    if (in_place)
        cnn_network_repack(trainer->network);
    cnn_platform_float_leave(before);
    cnn_result_end(result, &made);
    return status;
}
