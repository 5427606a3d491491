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

/* A batch that is being run. */
struct pass {
    cnn_batch *batch;
    const cnn_batch_job *job;
};

static size_t *counters_of(const cnn_batch *batch, size_t worker)
{
    return batch->counters + worker * (CNN_LINE / sizeof *batch->counters);
}

/* Row `first` of one of the buffers of a stage; NULL stays NULL. */
static void *row_of(const cnn_batch *batch, const cnn_stage *stage, void *buffer, size_t first)
{
    const size_t row = batch->stages[stage->index].row;
    return buffer ? cnn_at(batch->network, buffer, first * row) : NULL;
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
        const cnn_batch_stage *memory = &batch->stages[s];
        void *const buffers[] = {memory->output, memory->before};
        for (size_t b = 0; b < sizeof buffers / sizeof *buffers; b++)
            if (buffers[b])
                memset(row_of(batch, stage, buffers[b], i), 0, stage->outputs * network->real_size);
    }
}

static void forward_rows(const struct pass *p, size_t first, size_t rows, size_t worker)
{
    cnn_batch *batch = p->batch;
    const cnn_network *network = batch->network;
    const cnn_batch_job *job = p->job;
    cnn_inputs *inputs = &batch->inputs;
    cnn_lists lists;
    cnn_inputs_gather(inputs, &job->data->x, job->index, first, rows);
    cnn_forward f = {
        .first = first,
        .rows = rows,
        .seed = network->seed,
        .step = job->step,
        .in = cnn_at(network, cnn_inputs_present(inputs)->x, first * inputs->row),
        .in_row = inputs->row,
        .lists = cnn_inputs_forward_lists(inputs, first, rows, worker, &lists),
    };
    for (size_t s = 0; s < network->stage_count; s++) {
        const cnn_stage *stage = &network->stages[s];
        const cnn_batch_stage *memory = &batch->stages[s];
        if (cnn_stage_is_idle(stage, job->step))
            continue;
        f.out = row_of(batch, stage, memory->output, first);
        f.out_row = memory->row;
        f.before = row_of(batch, stage, memory->before, first);
        f.logits = s + 1 == network->stage_count && cnn_loss_takes_logits((int)job->loss->kind);
        cnn_forward_stage(&batch->machine, &batch->plan, stage, &f);
        f.in = f.out;
        f.in_row = f.out_row;
        f.lists = NULL;
    }
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
    while (network->kernels->finite(1, cols, cnn_at(network, x, i * row), cols))
        i++;
    while (network->kernels->finite(1, 1, cnn_at(network, x, i * row + j), 1))
        j++;
    return cnn_fail_number(CNN_ERROR_NONFINITE, "x", &job->data->x, network->dtype,
                           job->index ? job->index[i] : i, j, "finite");
}

/* ---- Backward ---------------------------------------------------------------------------- */

/* From which numbers of a dense stage its derivative is taken. */
static const void *derivative_of(const cnn_batch *batch, const cnn_stage *stage, size_t first)
{
    const cnn_batch_stage *memory = &batch->stages[stage->index];
    return row_of(batch, stage, memory->before ? memory->before : memory->output, first);
}

/* The losses of rows, and the delta of the last stage. */
static void loss_rows(const struct pass *p, size_t first, size_t rows, size_t worker)
{
    const cnn_batch *batch = p->batch;
    const cnn_network *network = batch->network;
    const cnn_loss *loss = p->job->loss;
    const cnn_stage *stage = cnn_network_last(network);
    const cnn_batch_stage *memory = &batch->stages[stage->index];
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
    if (!cnn_loss_takes_logits((int)loss->kind) && stage->activation.kind != CNN_IDENTITY)
        network->kernels->activation_backward(&stage->activation, rows, stage->outputs, delta,
                                              memory->row, derivative_of(batch, stage, first),
                                              memory->row, delta, memory->row, 0);
}

/* The delta of what a stage reads from that of the stage. */
static void backward_stage(const struct pass *p, const cnn_stage *stage, size_t first, size_t rows,
                           size_t worker)
{
    const cnn_batch *batch = p->batch;
    const cnn_network *network = batch->network;
    const cnn_batch_stage *memory = &batch->stages[stage->index];
    const cnn_stage *source = cnn_batch_source(network, stage, p->job->step);
    const size_t panel = network->kernels->panel;
    cnn_backward b = {
        .first = first,
        .rows = rows,
        .seed = network->seed,
        .step = p->job->step,
        .delta = row_of(batch, stage, memory->delta, first),
        .delta_row = memory->row,
        .packed = memory->packed ? cnn_at(network, memory->packed, first * panel) : NULL,
        .packed_panel = batch->capacity * panel,
        .form = batch->plan.form,
        .threads = batch->plan.split == CNN_SPLIT_COLUMNS ? batch->plan.threads : 1,
        .worker = worker,
        .scratch = batch->scratch,
    };
    if (source) {
        b.to = row_of(batch, source, batch->stages[source->index].delta, first);
        b.to_row = batch->stages[source->index].row;
        if (source->activation.kind != CNN_IDENTITY) {
            b.activation = source->activation;
            b.derivative = derivative_of(batch, source, first);
        }
    }
    stage->kind->backward(stage, &b);
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
    cnn_batch *batch = p->batch;
    const cnn_network *network = batch->network;
    const size_t first = index * batch->plan.block;
    const size_t rows = cnn_min(batch->plan.block, batch->plan.rows - first);
    forward_rows(p, first, rows, worker);
    check_rows(p, first, rows, worker);
    loss_rows(p, first, rows, worker);
    for (size_t s = network->stage_count; s-- > 0;)
        if (!cnn_stage_is_idle(&network->stages[s], p->job->step))
            backward_stage(p, &network->stages[s], first, rows, worker);
    if (p->job->measure)
        measure_rows(batch, first, rows, worker);
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
    batch->plan = cnn_plan_step(&batch->machine, &network->shape, &job->training, job->rows);
    batch->step = job->step;
    cnn_inputs_begin(&batch->inputs, &batch->plan, job->follows);
    cnn_inputs_find_next(&batch->inputs, &job->data->x, job->index ? job->index + job->rows : NULL,
                         job->soon);
    const double total = cnn_weights_scale(job->rows, &batch->targets, batch->scale);
    memset(batch->counters, 0, batch->workers * CNN_LINE);
    if (job->measure)
        memset(batch->largest, 0,
               batch->workers * cnn_batch_largest_span(network) * sizeof *batch->largest);
    struct pass pass = {batch, job};
    cnn_parallel(batch->plan.blocks, batch->plan.threads, run_block, &pass);
    const cnn_batch_stage *stage = &batch->stages[cnn_network_first(network)->index];
    cnn_inputs_check_delta(&batch->inputs, job->rows, stage->delta, stage->row);
    for (size_t w = 0; w < batch->workers; w++)
        *correct += counters_of(batch, w)[CORRECT];
    cnn_lanes losses = {.count = 0};
    cnn_lanes_add_products(&losses, job->rows, batch->targets.factor, batch->loss_rows);
    *loss = (total > 0 ? cnn_lanes_total(&losses) / total : 0) + cnn_network_penalty(network);
    *weight = total;
    return CNN_OK;
}
