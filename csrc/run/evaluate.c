/* Evaluate: the loss of samples, in segments of rows whose targets are read together. */
#include <string.h>

#include "base/convert.h"
#include "base/platform.h"
#include "base/threads.h"
#include "run/forward.h"
#include "run/samples.h"

/* Rows whose losses are summed at a time; a multiple of the 16 lanes. */
#define SEGMENT_ROWS ((size_t)4096)

/* Buffers of one segment, shared by the workers; each has scratch and a count of its own. */
struct evaluation {
    cnn_forward_call call;
    const cnn_loss *loss;
    const cnn_data *data;
    size_t first, rows; /* of the segment */
    cnn_targets targets;
    double *loss_rows;
    char *scratch;
    char *outputs; /* (block, outputs) for each worker */
    size_t output_row;
    size_t *correct, *nonfinite; /* counts of rows, of each worker */
};

static void evaluate_block(void *context, size_t index, size_t worker)
{
    struct evaluation *e = context;
    const cnn_network *network = e->call.network;
    const cnn_plan *plan = &e->call.plan;
    const size_t first = index * plan->block;
    const size_t rows = cnn_min(plan->block, e->rows - first);
    void *z = cnn_at(network, e->outputs, worker * plan->block * e->output_row);
    size_t in_row;
    char *scratch = e->scratch + worker * plan->worker_bytes;
    const void *in =
        cnn_forward_inputs(network, &e->data->x, e->first + first, rows, &in_row, scratch);
    /* Before the inputs are overwritten. */
    if (cnn_dtype_has_infinity(e->data->x.dtype))
        e->nonfinite[worker] +=
            cnn_count_nonfinite(network, rows, in, in_row, e->targets.factor + first);
    cnn_forward_outputs(&e->call, in, in_row, rows, z, e->output_row, scratch);
    cnn_loss_rows l = cnn_targets_loss(e->loss, &e->targets, network->dtype, first);
    l.rows = rows;
    l.cols = network->shape.outputs;
    l.z = z;
    l.z_row = e->output_row;
    l.loss_rows = e->loss_rows + first;
    l.correct = cnn_loss_has_accuracy((int)e->loss->kind) ? &e->correct[worker] : NULL;
    network->kernels->loss(&l);
}

/* One allocation for all buffers of an evaluation; *memory is freed by the caller. */
static cnn_status prepare_evaluation(struct evaluation *e, void **memory)
{
    const cnn_network *network = e->call.network;
    const cnn_plan *plan = &e->call.plan;
    const size_t outputs = network->shape.outputs, size = network->real_size;
    const size_t segment = cnn_round_up(cnn_min(SEGMENT_ROWS, e->data->x.rows), 16);
    e->output_row = cnn_stride_span(outputs, size);
    e->targets.t_row = outputs;
    const size_t output_bytes = cnn_round_up(plan->block * e->output_row * size, 64);
    const size_t parts[] = {
        segment * sizeof(double),
        segment * sizeof(double),
        segment * sizeof(double),
        segment * sizeof(int64_t),
        cnn_round_up(segment * outputs * size, 64),
        plan->workers * plan->worker_bytes,
        plan->workers * output_bytes,
        cnn_round_up(2 * plan->workers * sizeof(size_t), 64),
    };
    size_t total = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        total += parts[i];
    char *at = *memory = cnn_platform_allocate(total);
    if (!at)
        return cnn_fail(CNN_ERROR_MEMORY, "out of memory for %zu bytes of scratch", total);
    e->loss_rows = (double *)(void *)at;
    e->targets.weight = (double *)(void *)(at += parts[0]);
    e->targets.factor = (double *)(void *)(at += parts[1]);
    e->targets.labels = (int64_t *)(void *)(at += parts[2]);
    e->targets.t = at += parts[3];
    e->scratch = at += parts[4];
    e->outputs = at += parts[5];
    e->correct = (size_t *)(void *)(at + parts[6]);
    e->nonfinite = e->correct + plan->workers;
    memset(e->correct, 0, parts[7]);
    return CNN_OK;
}

/* All rows, in order; their sums go on in the lanes of `made`. */
static cnn_status evaluate_segments(struct evaluation *e, cnn_result *made)
{
    cnn_lanes losses = {.count = made->rows}, weights = {.count = made->rows};
    memcpy(losses.lane, made->loss_lanes, sizeof losses.lane);
    memcpy(weights.lane, made->weight_lanes, sizeof weights.lane);
    const cnn_data *data = e->data;
    const cnn_plan *plan = &e->call.plan;
    for (e->first = 0; e->first < data->x.rows; e->first += e->rows) {
        e->rows = cnn_min(SEGMENT_ROWS, data->x.rows - e->first);
        const size_t outputs = e->call.network->shape.outputs;
        cnn_status status =
            cnn_samples_read(e->loss, &data->t, &data->sample_weight, outputs,
                             e->call.network->dtype, NULL, e->first, e->rows, &e->targets);
        if (status == CNN_OK)
            status = cnn_targets_check(e->loss, &data->t, outputs, e->call.network->dtype, NULL,
                                       e->first, e->rows, &e->targets);
        if (status != CNN_OK)
            return status;
        cnn_parallel((e->rows + plan->block - 1) / plan->block, plan->workers, evaluate_block, e);
        cnn_lanes_add_products(&losses, e->rows, e->targets.factor, e->loss_rows);
        cnn_lanes_add(&weights, e->rows, e->targets.weight);
        made->counted += cnn_targets_counted(&e->targets, e->rows);
    }
    memcpy(made->loss_lanes, losses.lane, sizeof losses.lane);
    memcpy(made->weight_lanes, weights.lane, sizeof weights.lane);
    made->weight_sum = cnn_lanes_total(&weights);
    made->loss_sum =
        cnn_lanes_total(&losses) + cnn_network_penalty(e->call.network) * made->weight_sum;
    made->rows += data->x.rows;
    if (made->accumulate)
        return CNN_OK;
    return cnn_weights_check(e->loss, &data->sample_weight, made->weight_sum);
}

cnn_status cnn_network_evaluate(const cnn_network *network, const cnn_loss *loss,
                                const cnn_data *data, cnn_result *result)
{
    cnn_call_structs space;
    cnn_status status = cnn_network_check(network, &loss, &data, &space);
    if (status != CNN_OK)
        return status;
    cnn_result made;
    status = cnn_result_begin(result, &made);
    if (status != CNN_OK)
        return status;
    if (data->x.rows == 0)
        return cnn_fail(CNN_ERROR_ARGUMENT, "x has 0 rows, needs at least 1");
    struct evaluation e = {
        .call = {.network = network, .machine = cnn_machine_now()}, .loss = loss, .data = data};
    e.call.logits = cnn_loss_takes_logits((int)loss->kind);
    cnn_plan_predict(&e.call.machine, &network->shape, cnn_min(SEGMENT_ROWS, data->x.rows),
                     SIZE_MAX, &e.call.plan);
    void *memory = NULL;
    status = prepare_evaluation(&e, &memory);
    if (status != CNN_OK)
        return status;
    const uint64_t before = cnn_platform_float_enter();
    status = evaluate_segments(&e, &made);
    cnn_platform_float_leave(before);
    for (size_t i = 0; i < e.call.plan.workers; i++) {
        made.correct += e.correct[i];
        made.nonfinite_rows += e.nonfinite[i];
    }
    cnn_platform_free(memory);
    if (status == CNN_OK)
        cnn_result_end(result, &made);
    return status;
}
