#include "run/pass.h"

#include <math.h>
#include <string.h>

#include "base/convert.h"
#include "base/threads.h"
#include "run/forward.h"

/* What a worker counts, on a cache line of its own. */
enum { CORRECT, NONFINITE };

/* The most by which a gradient's sum may exceed its bound in exact numbers, of any number of rows
 * that fits into memory: each rounding adds a part in 2^24 at most. */
#define ROUNDING 2.0

/* A batch that is being run; the last three are of a way back that begins with dy. */
struct pass {
    cnn_batch *batch;
    const cnn_batch_job *job;
    const cnn_matrix *dy;
    void *dx;
    size_t dx_row;
};

static size_t *counters_of(const cnn_batch *batch, size_t worker)
{
    return batch->counters + worker * (CNN_LINE / sizeof *batch->counters);
}

/* Row `first` of one of the buffers of a stage; NULL stays NULL. */
static void *row_of(const cnn_batch *batch, const cnn_stage *stage, void *buffer, size_t first)
{
    return cnn_walk_row(batch->network, &batch->stages[stage->index], buffer, first);
}

static cnn_walk walk_of(const cnn_batch *batch, size_t first, size_t rows, size_t worker)
{
    return (cnn_walk){
        .network = batch->network,
        .machine = &batch->machine,
        .plan = &batch->plan,
        .stages = batch->stages,
        .capacity = batch->capacity,
        .seed = batch->seed,
        .step = batch->step,
        .dropout = batch->dropout,
        .in = batch->inputs.buffers[batch->inputs.present].x,
        .in_row = batch->inputs.row,
        .first = first,
        .rows = rows,
        .worker = worker,
        .scratch = batch->scratch,
    };
}

/* ---- Forward ----------------------------------------------------------------------------- */

/*
 * A row without weight counts as a row of zeros from its inputs to its outputs, so that nothing it
 * has, infinite or NaN as it may be, reaches a product with the other rows.
 */
static void forget_row(cnn_batch *batch, size_t i)
{
    const cnn_network *network = batch->network;
    cnn_inputs *inputs = &batch->inputs;
    memset(cnn_at(network, cnn_inputs_present(inputs)->x, i * inputs->row), 0,
           network->shape.inputs * network->real_size);
    for (size_t s = 0; s < network->stage_count; s++) {
        const cnn_stage *stage = &network->stages[s];
        const cnn_stage_memory *memory = &batch->stages[s];
        void *const buffers[] = {memory->output, memory->before};
        for (size_t b = 0; b < sizeof buffers / sizeof *buffers; b++)
            if (buffers[b])
                memset(row_of(batch, stage, buffers[b], i), 0, stage->outputs * network->real_size);
    }
}

static void forward_rows(const struct pass *p, size_t first, size_t rows, size_t worker)
{
    cnn_batch *batch = p->batch;
    const cnn_batch_job *job = p->job;
    cnn_inputs *inputs = &batch->inputs;
    cnn_lists lists;
    cnn_inputs_gather(inputs, &job->data->x, job->index, first, rows);
    const cnn_walk walk = walk_of(batch, first, rows, worker);
    cnn_walk_forward(&walk, cnn_inputs_forward_lists(inputs, first, rows, worker, &lists),
                     job->loss && cnn_loss_takes_logits((int)job->loss->kind));
    for (size_t i = first; i < first + rows; i++)
        if (batch->targets.factor[i] == 0)
            forget_row(batch, i);
}

/* Note whether inputs, which are in the cache now, are finite in the network's type. */
static void check_rows(const struct pass *p, size_t first, size_t rows, size_t worker)
{
    cnn_batch *batch = p->batch;
    if (!cnn_dtype_has_infinity(p->job->data->x.dtype))
        return;
    const size_t row = batch->inputs.row;
    const void *x = cnn_at(batch->network, cnn_inputs_present(&batch->inputs)->x, first * row);
    counters_of(batch, worker)[NONFINITE] +=
        cnn_count_nonfinite(batch->network, rows, x, row, batch->targets.factor + first);
}

cnn_status cnn_batch_check_inputs(cnn_batch *batch, const cnn_batch_job *job)
{
    const cnn_network *network = batch->network;
    const size_t cols = network->shape.inputs, row = batch->inputs.row;
    const void *x = cnn_inputs_present(&batch->inputs)->x;
    size_t bad = 0, i = 0, j = 0;
    for (size_t w = 0; w < batch->workers; w++)
        bad += counters_of(batch, w)[NONFINITE];
    if (bad == 0)
        return CNN_OK;
    while (cnn_inputs_are_good(network, cnn_at(network, x, i * row), cols))
        i++;
    while (cnn_inputs_are_good(network, cnn_at(network, x, i * row + j), 1))
        j++;
    return cnn_fail_number(CNN_ERROR_NONFINITE, "x", &job->data->x, network->dtype,
                           job->index ? job->index[i] : i, j,
                           network->shape.missing ? "finite, or NaN" : "finite");
}

/* ---- Backward ---------------------------------------------------------------------------- */

/* The losses of rows, and the deltas of all stages. */
static void loss_rows(const struct pass *p, size_t first, size_t rows, size_t worker)
{
    const cnn_batch *batch = p->batch;
    const cnn_network *network = batch->network;
    const cnn_loss *loss = p->job->loss;
    const cnn_stage *stage = cnn_network_last(network);
    const cnn_stage_memory *memory = &batch->stages[stage->index];
    void *delta = row_of(batch, stage, memory->delta, first);
    cnn_loss_rows l = cnn_targets_loss(loss, &batch->targets, network->dtype, first);
    l.rows = rows;
    l.cols = stage->outputs;
    l.z = row_of(batch, stage, memory->output, first);
    l.z_row = memory->row;
    l.scale = batch->scale + first;
    l.loss_rows = batch->loss_rows + first;
    l.gradient = delta;
    l.gradient_row = memory->row;
    l.correct =
        cnn_loss_has_accuracy((int)loss->kind) ? &counters_of(batch, worker)[CORRECT] : NULL;
    network->kernels->loss(&l);
    const cnn_walk walk = walk_of(batch, first, rows, worker);
    if (!cnn_loss_takes_logits((int)loss->kind))
        cnn_walk_through_output(&walk);
    cnn_walk_back(&walk, NULL, 0);
}

/* ---- Bounds of gradients ----------------------------------------------------------------- */

/* A stage's two numbers: the largest of what it read, and of its delta. */
static double *largest_of(const cnn_batch *batch, size_t worker, const cnn_stage *stage)
{
    return batch->largest + worker * cnn_batch_largest_span(batch->network) + 2 * stage->index;
}

/* The largest number that a stage may read, by the activation below and the dropout between;
 * infinite if the network's inputs decide, standardized or not. */
static double largest_input(const cnn_network *network, const cnn_stage *stage)
{
    double scale = 1;
    while (stage > network->stages) {
        stage--;
        if (cnn_stage_is_dense(stage)) {
            const double bound = cnn_activation_bound((int)stage->activation.kind);
            return bound > 0 ? scale * bound : INFINITY;
        }
        if (stage->kind != &cnn_stage_dropout)
            return INFINITY;
        scale /= 1 - stage->rate;
    }
    return INFINITY;
}

/* Look at what each dense stage read, and at its delta, while these are in the cache. */
static void measure_rows(const cnn_batch *batch, size_t first, size_t rows, size_t worker)
{
    const cnn_network *network = batch->network;
    const cnn_kernels *kernels = network->kernels;
    for (size_t s = 0; s < network->stage_count; s++) {
        const cnn_stage *stage = &network->stages[s];
        if (!cnn_stage_is_dense(stage))
            continue;
        double *largest = largest_of(batch, worker, stage);
        const size_t row = batch->stages[s].row;
        const void *delta = row_of(batch, stage, batch->stages[s].delta, first);
        largest[1] = fmax(largest[1], kernels->largest(rows, stage->outputs, delta, row));
        double most = largest_input(network, stage);
        if (isinf(most)) {
            size_t in_row;
            const void *in = cnn_batch_input(batch, stage, &in_row);
            most =
                kernels->largest(rows, stage->inputs, cnn_at(network, in, first * in_row), in_row);
        }
        largest[0] = fmax(largest[0], most);
    }
}

double cnn_batch_largest_gradient(const cnn_batch *batch, const cnn_stage *stage)
{
    double in = 1, delta = 0; /* a bias reads ones */
    if (!cnn_stage_is_dense(stage))
        return INFINITY;
    for (size_t w = 0; w < batch->workers; w++) {
        const double *largest = largest_of(batch, w, stage);
        in = fmax(in, largest[0]);
        delta = fmax(delta, largest[1]);
    }
    return ROUNDING * (double)batch->plan.rows * in * delta;
}

/* ---- A batch ----------------------------------------------------------------------------- */

static void run_block(void *context, size_t index, size_t worker)
{
    const struct pass *p = context;
    const cnn_block block = cnn_plan_block(&p->batch->plan, index);
    forward_rows(p, block.first, block.rows, worker);
    check_rows(p, block.first, block.rows, worker);
    loss_rows(p, block.first, block.rows, worker);
    if (p->job->measure)
        measure_rows(p->batch, block.first, block.rows, worker);
}

/* What comes before the first block: plan, inputs, counters. */
static void begin(cnn_batch *batch, const cnn_batch_job *job)
{
    batch->plan = cnn_plan_step(&batch->machine, &batch->network->shape, &job->training, job->rows);
    batch->seed = job->shard_seed ? *job->shard_seed : batch->network->seed;
    batch->step = job->step;
    batch->dropout = job->dropout;
    cnn_inputs_begin(&batch->inputs, &batch->plan, job->follows);
    cnn_inputs_find_next(&batch->inputs, &job->data->x, job->index ? job->index + job->rows : NULL,
                         job->soon);
    memset(batch->counters, 0, batch->workers * CNN_LINE);
    if (job->measure)
        memset(batch->largest, 0,
               batch->workers * cnn_batch_largest_span(batch->network) * sizeof *batch->largest);
}

/* What the first weight's gradient leaves out depends on all deltas. */
static void end_back(cnn_batch *batch)
{
    const cnn_stage_memory *first = &batch->stages[batch->network->first_dense->index];
    cnn_inputs_check_delta(&batch->inputs, batch->plan.rows, first->delta, first->row);
}

cnn_status cnn_batch_run(cnn_batch *batch, const cnn_batch_job *job, double *loss, double *weight,
                         size_t *correct)
{
    const cnn_network *network = batch->network;
    const cnn_status status = cnn_samples_read(job->loss, &job->data->t, &job->data->sample_weight,
                                               network->shape.outputs, network->dtype, job->index,
                                               0, job->rows, &batch->targets);
    if (status != CNN_OK)
        return status;
    begin(batch, job);
    const double total =
        cnn_weights_scale(job->rows, &batch->targets, !job->shard_seed, batch->scale);
    struct pass pass = {.batch = batch, .job = job};
    cnn_parallel(batch->plan.blocks, batch->plan.threads, run_block, &pass);
    end_back(batch);
    for (size_t w = 0; w < batch->workers; w++)
        *correct += counters_of(batch, w)[CORRECT];
    cnn_lanes losses = {.count = 0};
    cnn_lanes_add_products(&losses, job->rows, batch->targets.factor, batch->loss_rows);
    *loss = cnn_lanes_total(&losses);
    if (!job->shard_seed)
        *loss = cnn_loss_mean(network, *loss, total);
    *weight = total;
    return CNN_OK;
}

static void forward_block(void *context, size_t index, size_t worker)
{
    const struct pass *p = context;
    const cnn_block block = cnn_plan_block(&p->batch->plan, index);
    forward_rows(p, block.first, block.rows, worker);
    check_rows(p, block.first, block.rows, worker);
}

void cnn_batch_forward(cnn_batch *batch, const cnn_batch_job *job)
{
    begin(batch, job);
    for (size_t i = 0; i < job->rows; i++)
        batch->targets.factor[i] = 1;
    struct pass pass = {.batch = batch, .job = job};
    cnn_parallel(batch->plan.blocks, batch->plan.threads, forward_block, &pass);
}

static void back_block(void *context, size_t index, size_t worker)
{
    const struct pass *p = context;
    const cnn_batch *batch = p->batch;
    const cnn_network *network = batch->network;
    const cnn_block block = cnn_plan_block(&batch->plan, index);
    const cnn_stage *last = cnn_network_last(network);
    const cnn_stage_memory *memory = &batch->stages[last->index];
    const cnn_walk walk = walk_of(batch, block.first, block.rows, worker);
    cnn_convert_rows(p->dy, NULL, block.first, block.rows, network->dtype,
                     row_of(batch, last, memory->delta, block.first), memory->row);
    cnn_walk_through_output(&walk);
    cnn_walk_back(&walk, p->dx ? cnn_at(network, p->dx, block.first * p->dx_row) : NULL, p->dx_row);
}

void cnn_batch_back(cnn_batch *batch, const cnn_matrix *dy, void *dx, size_t dx_row)
{
    struct pass pass = {.batch = batch, .dy = dy, .dx = dx, .dx_row = dx_row};
    cnn_parallel(batch->plan.blocks, batch->plan.threads, back_block, &pass);
    end_back(batch);
}
