/* Training: gradients of a batch, the optimizer's step, epochs, and the trainer's state. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "batch.h"
#include "error.h"
#include "platform.h"
#include "threads.h"

/* Rows of a weight that one task updates: whole tiles and whole panels of every ISA. */
#define TASK_ROWS ((size_t)96)
/* Panels of columns that one task updates. */
#define TASK_PANELS ((size_t)8)
/* Elements whose squares are summed at a time; the order of sums follows from it. */
#define NORM_BLOCK ((size_t)4096)

struct cnn_trainer {
    cnn_network *network;
    cnn_optimizer optimizer;
    size_t slot_count;
    void *slots[2]; /* parameter_span elements each, laid out as network->parameters */
    uint64_t steps;
    double beta1_power, beta2_power; /* beta^steps by repeated multiplication */
    cnn_batch *batch;
    void *gradient; /* parameter_span elements, only where it is needed as a whole */
    char *scratch;  /* a tile of gradient for each worker */
    size_t scratch_workers;
    void *snapshot; /* parameters, then slots */
    uint64_t snapshot_steps;
};

/* ---- Tasks over the parameters ----------------------------------------------------------- */

/* All parameters are cut into tasks: each dense layer's weight in rectangles, then its bias. */

static size_t row_blocks(const cnn_dense *dense)
{
    return (dense->inputs + TASK_ROWS - 1) / TASK_ROWS;
}

static size_t col_blocks(const cnn_network *network, const cnn_dense *dense)
{
    const size_t cols = TASK_PANELS * network->kernels->panel;
    return (dense->outputs + cols - 1) / cols;
}

static size_t task_count(const cnn_network *network)
{
    size_t tasks = 0;
    for (size_t l = 0; l < network->dense_count; l++)
        tasks += row_blocks(&network->dense[l]) * col_blocks(network, &network->dense[l]) + 1;
    return tasks;
}

/* One task: rows [i, i + m) and columns [j, j + n) of layer l's weight, or its bias if m is 0. */
struct rectangle {
    size_t l, i, m, j, n;
};

static struct rectangle find_task(const cnn_network *network, size_t index)
{
    size_t l = 0;
    for (;; l++) {
        const cnn_dense *dense = &network->dense[l];
        const size_t cols = col_blocks(network, dense);
        const size_t rectangles = row_blocks(dense) * cols;
        if (index < rectangles) {
            struct rectangle r = {.l = l};
            r.i = index / cols * TASK_ROWS;
            r.m = cnn_min(TASK_ROWS, dense->inputs - r.i);
            r.j = index % cols * TASK_PANELS * network->kernels->panel;
            r.n = cnn_min(TASK_PANELS * network->kernels->panel, dense->outputs - r.j);
            return r;
        }
        if (index == rectangles)
            return (struct rectangle){.l = l, .n = dense->outputs};
        index -= rectangles + 1;
    }
}

/* ---- The gradient as a whole ------------------------------------------------------------- */

struct whole {
    const cnn_batch *batch;
    void *gradient;
};

/* Bring l2 w into a gradient: the step of SGD on the gradient with the rate -l2 does it. */
static void add_penalty(const cnn_network *network, const cnn_dense *dense, size_t i, size_t m,
                        size_t j, size_t n, void *gradient)
{
    const size_t at = dense->weight_offset + i * dense->outputs + j;
    const cnn_update update = {
        .kind = CNN_SGD,
        .rows = m,
        .cols = n,
        .g = cnn_at(network, network->parameters, at),
        .g_row = dense->outputs,
        .w = cnn_at(network, gradient, at),
        .stride = dense->outputs,
        .clip = 1,
        .lr = -dense->l2,
    };
    network->kernels->update(&update);
}

static void gradient_task(void *context, size_t index, size_t worker)
{
    const struct whole *whole = context;
    const cnn_network *network = whole->batch->network;
    const struct rectangle r = find_task(network, index);
    const cnn_dense *dense = &network->dense[r.l];
    (void)worker;
    if (r.m == 0) {
        cnn_batch_bias_gradient(whole->batch, r.l,
                                cnn_at(network, whole->gradient, dense->bias_offset));
        return;
    }
    cnn_batch_weight_gradient(
        whole->batch, r.l, r.i, r.m, r.j, r.n,
        cnn_at(network, whole->gradient, dense->weight_offset + r.i * dense->outputs + r.j),
        dense->outputs);
    if (dense->l2 > 0)
        add_penalty(network, dense, r.i, r.m, r.j, r.n, whole->gradient);
}

/* The work of the weights' gradients and updates, for the choice of threads. */
static double update_work(const cnn_batch *batch)
{
    return (double)batch->network->parameter_count * ((double)batch->rows + 16);
}

static void whole_gradient(const cnn_batch *batch, void *gradient)
{
    struct whole whole = {.batch = batch, .gradient = gradient};
    const size_t tasks = task_count(batch->network);
    cnn_parallel(tasks, cnn_parallel_threads(tasks, update_work(batch)), gradient_task, &whole);
}

/* The sum of squares of a gradient: blocks of NORM_BLOCK elements, tensor by tensor, in order. */
static double gradient_square_sum(const cnn_network *network, const void *gradient)
{
    double sum = 0;
    for (size_t l = 0; l < network->dense_count; l++) {
        const cnn_dense *dense = &network->dense[l];
        const size_t offsets[2] = {dense->weight_offset, dense->bias_offset};
        const size_t counts[2] = {dense->inputs * dense->outputs, dense->outputs};
        for (size_t t = 0; t < 2; t++)
            for (size_t i = 0; i < counts[t]; i += NORM_BLOCK)
                sum += network->kernels->square_sum(cnn_min(NORM_BLOCK, counts[t] - i),
                                                    cnn_at(network, gradient, offsets[t] + i));
    }
    return sum;
}

/* Copy between the padded layout of parameters and rows without gaps. */
static void copy_flat(const cnn_network *network, void *padded, void *flat, bool to_flat)
{
    char *at = flat;
    for (size_t l = 0; l < network->dense_count; l++) {
        const cnn_dense *dense = &network->dense[l];
        const size_t offsets[2] = {dense->weight_offset, dense->bias_offset};
        const size_t counts[2] = {dense->inputs * dense->outputs, dense->outputs};
        for (size_t t = 0; t < 2; t++) {
            const size_t bytes = counts[t] * network->real_size;
            void *inside = cnn_at(network, padded, offsets[t]);
            memcpy(to_flat ? at : inside, to_flat ? inside : at, bytes);
            at += bytes;
        }
    }
}

cnn_status cnn_network_gradients(const cnn_network *network, const cnn_loss *loss,
                                 const cnn_data *data, int64_t step, double *value, void *gradients,
                                 size_t count)
{
    cnn_status status = cnn_network_check(network, loss, data);
    if (status != CNN_OK)
        return status;
    if (!value || !gradients)
        return cnn_fail(CNN_ERROR_ARGUMENT, "%s is NULL", value ? "gradients" : "value");
    if (count != network->parameter_count)
        return cnn_fail(CNN_ERROR_ARGUMENT, "count is %zu, should be %zu", count,
                        network->parameter_count);
    if (data->x.rows == 0)
        return cnn_fail(CNN_ERROR_ARGUMENT, "x has 0 rows, needs at least 1");
    cnn_batch *batch = NULL;
    status = cnn_batch_reserve(network, data->x.rows, &batch);
    if (status != CNN_OK)
        return status;
    void *padded = cnn_platform_allocate(network->parameter_span * network->real_size);
    if (!padded)
        status = cnn_fail(CNN_ERROR_MEMORY, "out of memory for gradients");
    const cnn_batch_job job = {.loss = loss, .data = data, .rows = data->x.rows, .step = step};
    double weight;
    size_t correct = 0;
    const uint64_t before = cnn_platform_float_enter();
    if (status == CNN_OK)
        status = cnn_batch_run(batch, &job, value, &weight, &correct);
    if (status == CNN_OK) {
        whole_gradient(batch, padded);
        copy_flat(network, padded, gradients, true);
    }
    cnn_platform_float_leave(before);
    cnn_platform_free(padded);
    cnn_batch_destroy(batch);
    return status;
}

/* ---- One step ---------------------------------------------------------------------------- */

/* Scratch of one worker: a rectangle of one panel, or the longest bias. */
static size_t scratch_bytes(const cnn_network *network)
{
    size_t elements = TASK_ROWS * network->kernels->panel;
    for (size_t l = 0; l < network->dense_count; l++)
        elements = cnn_max(elements, network->dense[l].outputs);
    return cnn_round_up(elements * network->real_size, 64);
}

struct stepping {
    cnn_trainer *trainer;
    cnn_update update; /* what is the same for all parameters */
    bool whole;        /* whether trainer->gradient holds the gradient already */
};

/* Update rows i.. and columns j.. of a tensor at `offset`, row length `stride`, from g. */
static void update_tensor(const struct stepping *s, size_t offset, size_t stride, size_t rows,
                          size_t cols, double l2, const void *g, size_t g_row)
{
    const cnn_trainer *trainer = s->trainer;
    const cnn_network *network = trainer->network;
    cnn_update update = s->update;
    update.rows = rows;
    update.cols = cols;
    update.g = g;
    update.g_row = g_row;
    update.stride = stride;
    update.l2 = l2;
    update.w = cnn_at(network, network->parameters, offset);
    for (size_t i = 0; i < trainer->slot_count; i++)
        update.slots[i] = cnn_at(network, trainer->slots[i], offset);
    network->kernels->update(&update);
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
    update_tensor(s, dense->bias_offset, n, 1, n, 0, g, n);
}

/* Bring both packed forms of a rectangle of a weight up to date while it is in the cache. */
static void repack(const cnn_trainer *trainer, const struct rectangle *r, size_t j, size_t n)
{
    const cnn_network *network = trainer->network;
    const cnn_dense *dense = &network->dense[r->l];
    const size_t panel = network->kernels->panel;
    const cnn_pack pack = {
        .k = r->m,
        .n = n,
        .b = cnn_at(network, dense->weight, r->i * dense->outputs + j),
        .b_row = dense->outputs,
        .b_col = 1,
        .packed = cnn_at(network, dense->packed, j * dense->inputs + r->i * panel),
        .b_panel = dense->inputs * panel,
    };
    network->kernels->pack(&pack);
    if (r->l > 0)
        cnn_batch_pack_transposed(trainer->batch, r->l, r->i, r->m, j, n);
}

/* A panel at a time, so that its gradient goes from the tile into the optimizer through L1. */
static void update_task(void *context, size_t index, size_t worker)
{
    const struct stepping *s = context;
    const cnn_trainer *trainer = s->trainer;
    const cnn_network *network = trainer->network;
    const size_t panel = network->kernels->panel;
    const struct rectangle r = find_task(network, index);
    const cnn_dense *dense = &network->dense[r.l];
    char *scratch = trainer->scratch + worker * scratch_bytes(network);
    if (r.m == 0) {
        update_bias(s, r.l, scratch);
        return;
    }
    for (size_t j = r.j; j < r.j + r.n; j += panel) {
        const size_t n = cnn_min(panel, r.j + r.n - j);
        const size_t offset = dense->weight_offset + r.i * dense->outputs + j;
        if (s->whole) {
            update_tensor(s, offset, dense->outputs, r.m, n, 0,
                          cnn_at(network, trainer->gradient, offset), dense->outputs);
        } else {
            cnn_batch_weight_gradient(trainer->batch, r.l, r.i, r.m, j, n, scratch, panel);
            update_tensor(s, offset, dense->outputs, r.m, n, dense->l2, scratch, panel);
        }
        repack(trainer, &r, j, n);
    }
}

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

/* The factor that brings the gradient's norm down to clip_norm, as PyTorch computes it. */
static double clip_factor(const cnn_trainer *trainer)
{
    const double norm = sqrt(gradient_square_sum(trainer->network, trainer->gradient));
    const double factor = trainer->optimizer.clip_norm / (norm + 1e-6);
    return factor < 1 ? factor : 1;
}

static void apply(cnn_trainer *trainer, double lr)
{
    const cnn_optimizer *o = &trainer->optimizer;
    struct stepping s = {.trainer = trainer, .whole = o->clip_norm > 0};
    trainer->steps++;
    trainer->beta1_power *= o->beta1;
    trainer->beta2_power *= o->beta2;
    s.update = (cnn_update){
        .kind = o->kind,
        .clip = 1,
        .lr = lr,
        .momentum = o->momentum,
        .alpha = o->alpha,
        .beta1 = o->beta1,
        .beta2 = o->beta2,
        .eps = o->eps,
        .decay = 1 - lr * o->weight_decay,
        .step_size = lr / (1 - trainer->beta1_power),
        .root_correction = sqrt(1 - trainer->beta2_power),
    };
    if (s.whole) {
        whole_gradient(trainer->batch, trainer->gradient);
        s.update.clip = clip_factor(trainer);
    }
    const size_t tasks = task_count(trainer->network);
    size_t threads = cnn_parallel_threads(tasks, update_work(trainer->batch));
    threads = cnn_min(threads, trainer->scratch_workers);
    cnn_parallel(tasks, threads, update_task, &s);
    /* The packed forms were brought along, so the batch's copy is still current. */
    trainer->batch->version = ++trainer->network->version;
}

static cnn_status step(cnn_trainer *trainer, const cnn_batch_job *job, double lr,
                       cnn_result *result)
{
    double loss, weight;
    size_t correct = 0;
    const cnn_status status = cnn_batch_run(trainer->batch, job, &loss, &weight, &correct);
    if (status != CNN_OK)
        return status;
    if (!isfinite(loss))
        return cnn_fail(CNN_ERROR_NONFINITE, "the loss is %g in step %zu", loss, result->steps);
    apply(trainer, lr);
    result->loss_sum += loss * weight;
    result->weight_sum += weight;
    result->rows += job->rows;
    result->correct += correct;
    result->steps++;
    return CNN_OK;
}

static cnn_status check_call(const cnn_trainer *trainer, const cnn_loss *loss, const cnn_data *data,
                             const cnn_result *result)
{
    if (!trainer)
        return cnn_fail(CNN_ERROR_ARGUMENT, "trainer is NULL");
    if (!result || result->struct_size != sizeof *result)
        return cnn_fail(CNN_ERROR_ARGUMENT, "result is NULL or has a wrong struct_size");
    return cnn_network_check(trainer->network, loss, data);
}

static cnn_status check_lr(double lr)
{
    if (lr >= 0 && lr <= 1e300)
        return CNN_OK;
    return cnn_fail(CNN_ERROR_ARGUMENT, "lr is %g, should be finite, 0 or more", lr);
}

cnn_status cnn_trainer_step(cnn_trainer *trainer, const cnn_loss *loss, const cnn_data *data,
                            double lr, cnn_result *result)
{
    cnn_status status = check_call(trainer, loss, data, result);
    if (status == CNN_OK)
        status = check_lr(lr);
    if (status == CNN_OK && data->x.rows == 0)
        status = cnn_fail(CNN_ERROR_ARGUMENT, "x has 0 rows, needs at least 1");
    if (status == CNN_OK)
        status = reserve(trainer, data->x.rows);
    if (status != CNN_OK)
        return status;
    const cnn_batch_job job = {
        .loss = loss, .data = data, .rows = data->x.rows, .step = (int64_t)trainer->steps};
    cnn_result made = {.struct_size = sizeof made};
    const uint64_t before = cnn_platform_float_enter();
    status = step(trainer, &job, lr, &made);
    cnn_platform_float_leave(before);
    if (status == CNN_OK || status == CNN_ERROR_NONFINITE)
        *result = made;
    return status;
}

/* Look at every row that the call will use, before the first step changes anything. */
static cnn_status check_rows(const cnn_trainer *trainer, const cnn_loss *loss, const cnn_data *data,
                             const size_t *index, size_t count, size_t batch_size)
{
    for (size_t i = 0; i < count; i++)
        if (index[i] >= data->x.rows)
            return cnn_fail(CNN_ERROR_ARGUMENT, "index has row %zu, but x has %zu rows", index[i],
                            data->x.rows);
    if (loss->target == CNN_TARGET_ROWS && !data->sample_weight.data)
        return CNN_OK;
    for (size_t i = 0; i < count; i += batch_size) {
        const cnn_status status = cnn_samples_read(
            loss, &data->t, &data->sample_weight, cnn_network_outputs(trainer->network),
            trainer->network->dtype, index + i, 0, cnn_min(batch_size, count - i),
            &trainer->batch->targets);
        if (status != CNN_OK)
            return status;
    }
    return CNN_OK;
}

cnn_status cnn_trainer_epoch(cnn_trainer *trainer, const cnn_loss *loss, const cnn_data *data,
                             const size_t *index, size_t count, size_t batch_size, const double *lr,
                             double seconds, cnn_result *result)
{
    cnn_status status = check_call(trainer, loss, data, result);
    if (status != CNN_OK)
        return status;
    if (!index || !lr)
        return cnn_fail(CNN_ERROR_ARGUMENT, "%s is NULL", index ? "lr" : "index");
    if (count == 0 || batch_size == 0)
        return cnn_fail(CNN_ERROR_ARGUMENT, "%s is 0, should be at least 1",
                        count ? "batch_size" : "count");
    batch_size = cnn_min(batch_size, count);
    for (size_t i = 0; i < (count + batch_size - 1) / batch_size && status == CNN_OK; i++)
        status = check_lr(lr[i]);
    if (status == CNN_OK)
        status = reserve(trainer, batch_size);
    if (status == CNN_OK)
        status = check_rows(trainer, loss, data, index, count, batch_size);
    if (status != CNN_OK)
        return status;
    cnn_result made = {.struct_size = sizeof made};
    const double end = seconds > 0 ? cnn_platform_seconds() + seconds : 0;
    const uint64_t before = cnn_platform_float_enter();
    while (made.rows < count && status == CNN_OK) {
        const cnn_batch_job job = {
            .loss = loss,
            .data = data,
            .index = index + made.rows,
            .rows = cnn_min(batch_size, count - made.rows),
            .step = (int64_t)trainer->steps,
        };
        status = step(trainer, &job, lr[made.steps], &made);
        if (seconds > 0 && cnn_platform_seconds() >= end)
            break;
    }
    cnn_platform_float_leave(before);
    *result = made;
    return status;
}

/* ---- Life and state ---------------------------------------------------------------------- */

static cnn_status check_optimizer(const cnn_optimizer *o)
{
    if (!o)
        return cnn_fail(CNN_ERROR_ARGUMENT, "optimizer is NULL");
    if (o->struct_size != sizeof *o)
        return cnn_fail(CNN_ERROR_ARGUMENT, "optimizer has struct_size %zu, should be %zu",
                        o->struct_size, sizeof *o);
    if (!cnn_optimizer_name((int)o->kind))
        return cnn_fail(CNN_ERROR_ARGUMENT, "optimizer has kind %d, should be 0 to %d",
                        (int)o->kind, CNN_OPTIMIZER_COUNT - 1);
    const struct {
        const char *name;
        double value, end;
    } fields[] = {
        {"momentum", o->momentum, 1}, {"beta1", o->beta1, 1},
        {"beta2", o->beta2, 1},       {"alpha", o->alpha, 1},
        {"eps", o->eps, 1e30},        {"weight_decay", o->weight_decay, 1e30},
        {"clip_norm", o->clip_norm, INFINITY},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (!(fields[i].value >= 0 && fields[i].value < fields[i].end))
            return cnn_fail(CNN_ERROR_ARGUMENT, "%s is %g, should be in [0, %g)", fields[i].name,
                            fields[i].value, fields[i].end);
    return CNN_OK;
}

cnn_status cnn_trainer_create(cnn_network *network, const cnn_optimizer *optimizer,
                              cnn_trainer **trainer)
{
    if (!network || !trainer)
        return cnn_fail(CNN_ERROR_ARGUMENT, "%s is NULL", network ? "trainer" : "network");
    const cnn_status status = check_optimizer(optimizer);
    if (status != CNN_OK)
        return status;
    cnn_trainer *made = calloc(1, sizeof *made);
    if (!made)
        return cnn_fail(CNN_ERROR_MEMORY, "out of memory for a trainer");
    made->network = network;
    made->optimizer = *optimizer;
    made->slot_count = (size_t)cnn_optimizer_slots((int)optimizer->kind);
    made->beta1_power = made->beta2_power = 1;
    const size_t bytes = network->parameter_span * network->real_size;
    for (size_t i = 0; i < made->slot_count; i++) {
        made->slots[i] = cnn_platform_allocate(bytes);
        if (!made->slots[i]) {
            cnn_trainer_destroy(made);
            return cnn_fail(CNN_ERROR_MEMORY, "out of memory for the optimizer's state");
        }
        memset(made->slots[i], 0, bytes);
    }
    *trainer = made;
    return CNN_OK;
}

void cnn_trainer_destroy(cnn_trainer *trainer)
{
    if (!trainer)
        return;
    for (size_t i = 0; i < trainer->slot_count; i++)
        cnn_platform_free(trainer->slots[i]);
    cnn_batch_destroy(trainer->batch);
    cnn_platform_free(trainer->gradient);
    cnn_platform_free(trainer->scratch);
    cnn_platform_free(trainer->snapshot);
    free(trainer);
}

const cnn_network *cnn_trainer_network(const cnn_trainer *trainer)
{
    return trainer->network;
}

uint64_t cnn_trainer_steps(const cnn_trainer *trainer)
{
    return trainer->steps;
}

cnn_status cnn_trainer_optimizer(const cnn_trainer *trainer, cnn_optimizer *optimizer)
{
    if (!trainer || !optimizer)
        return cnn_fail(CNN_ERROR_ARGUMENT, "%s is NULL", trainer ? "optimizer" : "trainer");
    if (optimizer->struct_size != sizeof *optimizer)
        return cnn_fail(CNN_ERROR_ARGUMENT, "optimizer has struct_size %zu, should be %zu",
                        optimizer->struct_size, sizeof *optimizer);
    *optimizer = trainer->optimizer;
    return CNN_OK;
}

static cnn_status check_state(const cnn_trainer *trainer, size_t slot, const void *values,
                              size_t count)
{
    if (!trainer || !values)
        return cnn_fail(CNN_ERROR_ARGUMENT, "%s is NULL", trainer ? "values" : "trainer");
    if (slot >= trainer->slot_count)
        return cnn_fail(CNN_ERROR_ARGUMENT, "slot is %zu, the optimizer has %zu", slot,
                        trainer->slot_count);
    if (count != trainer->network->parameter_count)
        return cnn_fail(CNN_ERROR_ARGUMENT, "count is %zu, should be %zu", count,
                        trainer->network->parameter_count);
    return CNN_OK;
}

cnn_status cnn_trainer_get_state(const cnn_trainer *trainer, size_t slot, void *values,
                                 size_t count)
{
    const cnn_status status = check_state(trainer, slot, values, count);
    if (status == CNN_OK)
        copy_flat(trainer->network, trainer->slots[slot], values, true);
    return status;
}

cnn_status cnn_trainer_set_state(cnn_trainer *trainer, size_t slot, const void *values,
                                 size_t count)
{
    const cnn_status status = check_state(trainer, slot, values, count);
    if (status == CNN_OK)
        copy_flat(trainer->network, trainer->slots[slot], (void *)(uintptr_t)values, false);
    return status;
}

cnn_status cnn_trainer_set_steps(cnn_trainer *trainer, uint64_t steps)
{
    if (!trainer)
        return cnn_fail(CNN_ERROR_ARGUMENT, "trainer is NULL");
    if (steps > INT64_MAX)
        return cnn_fail(CNN_ERROR_ARGUMENT, "steps is too large");
    const cnn_optimizer *o = &trainer->optimizer;
    trainer->steps = steps;
    trainer->beta1_power = trainer->beta2_power = 1;
    /* The powers reach 0 or their last denormal long before a large number of steps is counted. */
    for (uint64_t i = 0; i < steps; i++) {
        const double beta1 = trainer->beta1_power, beta2 = trainer->beta2_power;
        trainer->beta1_power *= o->beta1;
        trainer->beta2_power *= o->beta2;
        if (trainer->beta1_power == beta1 && trainer->beta2_power == beta2)
            break;
    }
    return CNN_OK;
}

/* Copy parameters and slots out of the network or back into it. */
static void copy_snapshot(cnn_trainer *trainer, bool restore)
{
    const size_t bytes = trainer->network->parameter_span * trainer->network->real_size;
    for (size_t i = 0; i <= trainer->slot_count; i++) {
        void *live = i == 0 ? trainer->network->parameters : trainer->slots[i - 1];
        void *kept = (char *)trainer->snapshot + i * bytes;
        memcpy(restore ? live : kept, restore ? kept : live, bytes);
    }
}

cnn_status cnn_trainer_snapshot(cnn_trainer *trainer)
{
    if (!trainer)
        return cnn_fail(CNN_ERROR_ARGUMENT, "trainer is NULL");
    const size_t bytes = trainer->network->parameter_span * trainer->network->real_size;
    if (!trainer->snapshot)
        trainer->snapshot = cnn_platform_allocate(bytes * (trainer->slot_count + 1));
    if (!trainer->snapshot)
        return cnn_fail(CNN_ERROR_MEMORY, "out of memory for a snapshot");
    copy_snapshot(trainer, false);
    trainer->snapshot_steps = trainer->steps;
    return CNN_OK;
}

cnn_status cnn_trainer_restore(cnn_trainer *trainer)
{
    if (!trainer)
        return cnn_fail(CNN_ERROR_ARGUMENT, "trainer is NULL");
    if (!trainer->snapshot)
        return cnn_fail(CNN_ERROR_ARGUMENT, "there is no snapshot to go back to");
    copy_snapshot(trainer, true);
    for (size_t l = 0; l < trainer->network->dense_count; l++)
        cnn_dense_repack(trainer->network, &trainer->network->dense[l]);
    trainer->network->version++;
    return cnn_trainer_set_steps(trainer, trainer->snapshot_steps);
}
