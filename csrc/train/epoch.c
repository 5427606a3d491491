/* Training: single steps and epochs. */
#include <math.h>

#include "base/structs.h"
#include "train/finite.h"
#include "train/gradient.h"
#include "train/snapshot.h"
#include "train/update.h"

/* cnn_update_apply or cnn_update_run. */
typedef void update_function(cnn_trainer *trainer, const cnn_rates *rates);

/*
 * Make a single step, unless weights or state would not be finite. The batch was measured; or
 * `make` is cnn_update_run, and trainer->gradient is there.
 */
static cnn_status apply_checked(cnn_trainer *trainer, const cnn_rates *rates, update_function *make)
{
    cnn_update_begin(trainer, rates);
    if (cnn_step_is_safe(trainer, make == cnn_update_run)) {
        make(trainer, rates);
        trainer->sizes.version = trainer->network->version;
        return CNN_OK;
    }
    const cnn_status status = cnn_trainer_keep(trainer, &trainer->before_step);
    if (status != CNN_OK)
        return status;
    make(trainer, rates);
    const bool weights = cnn_network_is_finite(trainer->network, trainer->batch->plan.form);
    if (weights && cnn_slots_are_finite(&trainer->slots))
        return CNN_OK;
    cnn_trainer_bring_back(trainer, &trainer->before_step);
    return cnn_fail(CNN_ERROR_NONFINITE, "%s became NaN or infinite in step %llu",
                    weights ? "the optimizer's state" : "the weights",
                    (unsigned long long)trainer->steps + 1);
}

/* A call that trains: what all its steps have in common. */
struct call {
    cnn_trainer *trainer;
    cnn_training training;
    uint64_t float_state;
};

/* Whether the optimizer needs the gradient as a whole. */
static bool clips(const cnn_trainer *trainer)
{
    return trainer->optimizer.clip_norm > 0;
}

/* Bring weights and slots into the form in which the steps of a call change them. */
static cnn_status begin(cnn_trainer *trainer, size_t batch_size, bool whole, struct call *call)
{
    cnn_network *network = trainer->network;
    *call = (struct call){
        .trainer = trainer,
        .training = {.batch_size = batch_size, .slots = trainer->slots.count, .clips = whole},
    };
    const cnn_form form = cnn_plan_form(&trainer->batch->machine, &network->shape, &call->training);
    const cnn_status status = cnn_slots_arrange(&trainer->slots, form);
    if (status != CNN_OK)
        return status;
    call->float_state = cnn_platform_float_enter();
    cnn_network_refresh(network, form);
    return CNN_OK;
}

/* Between calls, panels are always fresh: predict reads them. */
static void end(const struct call *call)
{
    cnn_network_refresh(call->trainer->network, CNN_PANELS);
    cnn_platform_float_leave(call->float_state);
}

/*
 * One batch. *stepped is whether it has a weight; if not, there is no step, and neither the
 * optimizer nor its learning rate take notice. A batch without an index is a call of its own,
 * whose targets and weights have not been looked at; nor have the targets of a pass in pieces.
 */
static cnn_status step(cnn_trainer *trainer, const cnn_batch_job *job, const cnn_rates *rates,
                       cnn_result *result, bool *stepped)
{
    const cnn_network *network = trainer->network;
    const cnn_data *data = job->data;
    double loss, weight;
    size_t correct = 0;
    cnn_status status = cnn_batch_run(trainer->batch, job, &loss, &weight, &correct);
    if (status == CNN_OK && (!job->index || result->accumulate))
        status = cnn_targets_check(job->loss, &data->t, network->shape.outputs, network->dtype,
                                   NULL, 0, job->rows, &trainer->batch->targets);
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
        status = apply_checked(trainer, rates, cnn_update_apply);
    else if (*stepped)
        cnn_update_apply(trainer, rates);
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

cnn_status cnn_trainer_step(cnn_trainer *trainer, const cnn_loss *loss, const cnn_data *data,
                            double lr, cnn_result *result)
{
    cnn_result made;
    cnn_call_structs space;
    cnn_status status = check_call(trainer, &loss, &data, &space, result, &made);
    if (status == CNN_OK)
        status = cnn_trainer_check_steps(trainer, 1);
    if (status == CNN_OK)
        status = cnn_lr_check(lr);
    if (status == CNN_OK && data->x.rows == 0)
        status = cnn_fail(CNN_ERROR_ARGUMENT, "x has 0 rows, needs at least 1");
    if (status == CNN_OK)
        status = cnn_trainer_reserve(trainer, data->x.rows, clips(trainer));
    struct call call;
    if (status == CNN_OK)
        status = begin(trainer, data->x.rows, clips(trainer), &call);
    if (status != CNN_OK)
        return status;
    const cnn_batch_job job = {
        .loss = loss,
        .data = data,
        .rows = data->x.rows,
        .step = (int64_t)trainer->steps,
        .dropout = 1,
        .measure = true,
        .training = call.training,
    };
    const cnn_rates rates = {.groups = 1, .lr = &lr};
    bool stepped;
    status = step(trainer, &job, &rates, &made, &stepped);
    end(&call);
    if (status == CNN_OK || status == CNN_ERROR_NONFINITE)
        cnn_result_end(result, &made);
    return status;
}

/* A step on given gradients is cut as one on a batch of so many rows. */
#define APPLY_ROWS ((size_t)2)

static cnn_status check_gradients(const cnn_trainer *trainer, const void *gradients, size_t count)
{
    if (!trainer || !gradients)
        return cnn_fail(CNN_ERROR_ARGUMENT, "%s is NULL", trainer ? "gradients" : "trainer");
    const cnn_network *network = trainer->network;
    if (count != network->parameter_count)
        return cnn_fail(CNN_ERROR_ARGUMENT, "count is %zu, should be %zu", count,
                        network->parameter_count);
    if (!network->kernels->finite(1, count, gradients, count))
        return cnn_fail(CNN_ERROR_NONFINITE, "gradients have a NaN or an infinity");
    return CNN_OK;
}

cnn_status cnn_trainer_apply(cnn_trainer *trainer, const void *gradients, size_t count,
                             int penalties, double lr)
{
    cnn_status status = check_gradients(trainer, gradients, count);
    if (status == CNN_OK)
        status = cnn_trainer_check_steps(trainer, 1);
    if (status == CNN_OK)
        status = cnn_lr_check(lr);
    if (status == CNN_OK)
        status = cnn_trainer_reserve(trainer, APPLY_ROWS, true);
    struct call call;
    if (status == CNN_OK)
        status = begin(trainer, APPLY_ROWS, true, &call);
    if (status != CNN_OK)
        return status;
    cnn_batch *batch = trainer->batch;
    batch->plan =
        cnn_plan_step(&batch->machine, &trainer->network->shape, &call.training, APPLY_ROWS);
    cnn_inputs_find_next(&batch->inputs, NULL, NULL, 0); /* no inputs to gather */
    cnn_tensors_from_flat(trainer->network, gradients, trainer->gradient);
    if (penalties)
        cnn_gradient_add_penalties(trainer->network, trainer->gradient);
    const cnn_rates rates = {.groups = 1, .lr = &lr};
    status = apply_checked(trainer, &rates, cnn_update_run);
    end(&call);
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
    const size_t outputs = trainer->network->shape.outputs;
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

/* The rates of step `step` of a schedule. */
static cnn_rates rates_of(const cnn_schedule *schedule, size_t step)
{
    const size_t first = step * schedule->groups;
    return (cnn_rates){
        .groups = schedule->groups,
        .lr = schedule->lr + first,
        .weight_decay = schedule->weight_decay ? schedule->weight_decay + first : NULL,
    };
}

/* All batches of an epoch, or those that `seconds` are enough for (0: all). */
static cnn_status run_epoch(const struct call *call, const cnn_loss *loss, const cnn_data *data,
                            const size_t *index, size_t count, const cnn_schedule *schedule,
                            double seconds, cnn_result *made)
{
    cnn_trainer *trainer = call->trainer;
    const size_t batch_size = call->training.batch_size;
    const double deadline = seconds > 0 ? cnn_platform_seconds() + seconds : 0;
    size_t done = 0, steps = 0;
    bool stepped = false; /* The update gathers the next batch, if there is an update. */
    cnn_status status = CNN_OK;
    while (done < count && status == CNN_OK) {
        const cnn_batch_job job = {
            .loss = loss,
            .data = data,
            .index = index + done,
            .rows = cnn_min(batch_size, count - done),
            .soon = cnn_min(batch_size, count - cnn_min(count, done + batch_size)),
            .step = (int64_t)trainer->steps,
            .dropout = schedule->dropout ? schedule->dropout[steps] : 1,
            .follows = stepped,
            .training = call->training,
        };
        const cnn_rates rates = rates_of(schedule, steps);
        status = step(trainer, &job, &rates, made, &stepped);
        done += job.rows;
        steps += stepped;
        if (seconds > 0 && cnn_platform_seconds() >= deadline)
            break;
    }
    return status;
}

/* Check that so many numbers are from 0 to `most`. */
static cnn_status check_numbers(const char *name, const double *numbers, size_t count, double most)
{
    for (size_t i = 0; numbers && i < count; i++)
        if (!(numbers[i] >= 0 && numbers[i] <= most))
            return cnn_fail(CNN_ERROR_ARGUMENT, "%s is %g at %zu, should be from 0 to %g", name,
                            numbers[i], i, most);
    return CNN_OK;
}

static cnn_status check_schedule(const cnn_trainer *trainer, const cnn_schedule *schedule,
                                 size_t steps)
{
    size_t most = 0, numbers;
    for (size_t t = 0; t < trainer->network->tensor_count; t++)
        most = cnn_max(most, trainer->groups[t]);
    if (!schedule->lr)
        return cnn_fail(CNN_ERROR_ARGUMENT, "lr is NULL");
    if (schedule->groups != 1 && (schedule->groups <= most || schedule->groups > CNN_MOST_GROUPS))
        return cnn_fail(CNN_ERROR_ARGUMENT,
                        "schedule has %zu groups, should be 1, or %zu to %d: a parameter is in "
                        "group %zu",
                        schedule->groups, most + 1, CNN_MOST_GROUPS, most);
    if (!cnn_multiply(steps, schedule->groups, &numbers))
        return cnn_fail(CNN_ERROR_MEMORY, "the schedule is too large");
    cnn_status status = cnn_trainer_check_steps(trainer, steps);
    for (size_t i = 0; i < numbers && status == CNN_OK; i++)
        status = cnn_lr_check(schedule->lr[i]);
    if (status == CNN_OK)
        status = check_numbers("weight_decay", schedule->weight_decay, numbers, CNN_LARGEST);
    return status == CNN_OK ? check_numbers("dropout", schedule->dropout, steps, 1) : status;
}

cnn_status cnn_trainer_epoch_scheduled(cnn_trainer *trainer, const cnn_loss *loss,
                                       const cnn_data *data, const size_t *index, size_t count,
                                       size_t batch_size, const cnn_schedule *schedule,
                                       double seconds, cnn_result *result)
{
    cnn_result made;
    cnn_call_structs space;
    cnn_schedule whole;
    cnn_status status = check_call(trainer, &loss, &data, &space, result, &made);
    if (status != CNN_OK)
        return status;
    schedule = cnn_schedule_read(schedule, "schedule", &whole);
    if (!schedule)
        return CNN_ERROR_ARGUMENT;
    if (!index)
        return cnn_fail(CNN_ERROR_ARGUMENT, "index is NULL");
    if (count == 0 || batch_size == 0)
        return cnn_fail(CNN_ERROR_ARGUMENT, "%s is 0, should be at least 1",
                        count ? "batch_size" : "count");
    batch_size = cnn_min(batch_size, count);
    status = check_schedule(trainer, schedule, (count - 1) / batch_size + 1);
    if (status == CNN_OK)
        status = cnn_trainer_reserve(trainer, batch_size, clips(trainer));
    if (status == CNN_OK)
        status = check_rows(trainer, loss, data, index, count, batch_size, &made);
    struct call call;
    if (status == CNN_OK)
        status = begin(trainer, batch_size, clips(trainer), &call);
    if (status != CNN_OK)
        return status;
    status = run_epoch(&call, loss, data, index, count, schedule, seconds, &made);
    end(&call);
    cnn_result_end(result, &made);
    return status;
}

cnn_status cnn_trainer_epoch(cnn_trainer *trainer, const cnn_loss *loss, const cnn_data *data,
                             const size_t *index, size_t count, size_t batch_size, const double *lr,
                             double seconds, cnn_result *result)
{
    const cnn_schedule schedule = {.struct_size = sizeof schedule, .groups = 1, .lr = lr};
    return cnn_trainer_epoch_scheduled(trainer, loss, data, index, count, batch_size, &schedule,
                                       seconds, result);
}
