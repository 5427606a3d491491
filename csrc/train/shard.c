/*
 * A step of sharded training: the gradient of each shard's rows, and, when the sums over all shards
 * are known, the update of all parameters or of a slice of them.
 */
#include <math.h>
#include <string.h>

#include "base/random.h"
#include "base/structs.h"
#include "base/threads.h"
#include "train/gradient.h"
#include "train/shard_tree.h"
#include "train/update.h"

uint64_t cnn_shard_seed(uint64_t seed, size_t shard)
{
    return cnn_random_stream(seed, CNN_RANDOM_SHARD, (uint32_t)shard, 0);
}

/* ---- The gradient of a shard ------------------------------------------------------------- */

static cnn_status check_index(const cnn_data *data, const size_t *index, size_t count)
{
    for (size_t i = 0; index && i < count; i++)
        if (index[i] >= data->x.rows)
            return cnn_fail(CNN_ERROR_ARGUMENT, "index has row %zu, but x has %zu rows", index[i],
                            data->x.rows);
    if (!index && count > data->x.rows)
        return cnn_fail(CNN_ERROR_ARGUMENT, "count is %zu, but x has %zu rows", count,
                        data->x.rows);
    return CNN_OK;
}

/* Run the rows of a job, and write their gradient and sums. */
static cnn_status run_shard(cnn_trainer *trainer, const cnn_batch_job *job, void *gradient,
                            double *sums)
{
    const cnn_network *network = trainer->network;
    cnn_batch *batch = trainer->batch;
    size_t correct = 0;
    cnn_status status =
        cnn_batch_run(batch, job, &sums[CNN_SHARD_LOSS], &sums[CNN_SHARD_WEIGHT], &correct);
    if (status == CNN_OK)
        status = cnn_targets_check(job->loss, &job->data->t, network->shape.outputs, network->dtype,
                                   job->index, 0, job->rows, &batch->targets);
    if (status == CNN_OK)
        status = cnn_batch_check_inputs(batch, job);
    if (status != CNN_OK)
        return status;
    sums[CNN_SHARD_ROWS] = (double)job->rows;
    sums[CNN_SHARD_CORRECT] = (double)correct;
    sums[CNN_SHARD_COUNTED] = (double)cnn_targets_counted(&batch->targets, job->rows);
    cnn_gradient_whole(batch, false, trainer->gradient);
    cnn_tensors_to_flat(network, CNN_ROW_MAJOR, trainer->gradient, gradient);
    return CNN_OK;
}

cnn_status cnn_shard_gradient(cnn_trainer *trainer, const cnn_loss *loss, const cnn_data *data,
                              const size_t *index, size_t count, size_t shard, cnn_shard_tree *tree)
{
    if (!trainer)
        return cnn_fail(CNN_ERROR_ARGUMENT, "trainer is NULL");
    const cnn_network *network = trainer->network;
    cnn_call_structs space;
    cnn_status status = cnn_network_check(network, &loss, &data, &space);
    if (status == CNN_OK)
        status = cnn_shard_tree_check_next(tree, shard, network->dtype, network->parameter_count);
    if (status == CNN_OK)
        status = check_index(data, index, count);
    if (status == CNN_OK)
        status = cnn_trainer_reserve(trainer, count, true);
    void *gradient = status == CNN_OK ? cnn_shard_tree_next(tree) : NULL;
    if (!gradient)
        return status == CNN_OK ? CNN_ERROR_MEMORY : status;
    double sums[CNN_SHARD_SUMS] = {0};
    const uint64_t seed = cnn_shard_seed(network->seed, shard);
    const cnn_batch_job job = {
        .loss = loss,
        .data = data,
        .index = index,
        .rows = count,
        .step = (int64_t)trainer->steps,
        .dropout = 1,
        .shard_seed = &seed,
        .training = {.batch_size = count, .gradient = true},
    };
    const uint64_t before = cnn_platform_float_enter();
    if (count > 0)
        status = run_shard(trainer, &job, gradient, sums);
    else
        memset(gradient, 0, network->parameter_count * network->real_size);
    cnn_platform_float_leave(before);
    if (status == CNN_OK)
        cnn_shard_tree_push(tree, shard, sums);
    return status;
}

/* ---- Sums -------------------------------------------------------------------------------- */

cnn_status cnn_shard_sums(const cnn_result *result, double *sums)
{
    if (!sums)
        return cnn_fail(CNN_ERROR_ARGUMENT, "sums is NULL");
    cnn_result space;
    const cnn_result *read = cnn_result_read(result, "result", &space);
    if (!read)
        return CNN_ERROR_ARGUMENT;
    cnn_lanes losses = {.count = 0};
    memcpy(losses.lane, read->loss_lanes, sizeof losses.lane);
    const uint64_t before = cnn_platform_float_enter();
    sums[CNN_SHARD_LOSS] = cnn_lanes_total(&losses);
    sums[CNN_SHARD_WEIGHT] = read->weight_sum;
    /* If the host rounds down, clang makes -0 of an unsigned 0. */
    sums[CNN_SHARD_ROWS] = (double)read->rows;
    sums[CNN_SHARD_CORRECT] = (double)read->correct;
    sums[CNN_SHARD_COUNTED] = (double)read->counted;
    cnn_platform_float_leave(before);
    return CNN_OK;
}

cnn_status cnn_shard_loss(const cnn_network *network, const double *sums, double *loss)
{
    if (!network || !sums || !loss)
        return cnn_fail(CNN_ERROR_ARGUMENT, "%s is NULL",
                        !network ? "network"
                        : sums   ? "loss"
                                 : "sums");
    const uint64_t before = cnn_platform_float_enter();
    *loss = cnn_loss_mean(network, sums[CNN_SHARD_LOSS], sums[CNN_SHARD_WEIGHT]);
    cnn_platform_float_leave(before);
    return CNN_OK;
}

/* ---- Slices ------------------------------------------------------------------------------ */

/* How many blocks of squares begin before element `at` of all parameters; *whole is whether one
 * begins or all end there. */
static size_t blocks_before(const cnn_network *network, size_t at, bool *whole)
{
    size_t blocks = 0;
    *whole = true;
    for (size_t t = 0; t < network->tensor_count && at > 0; t++) {
        const size_t count = cnn_tensor_count(&network->tensors[t]), n = cnn_min(at, count);
        blocks += cnn_pieces(n, CNN_NORM_BLOCK);
        *whole = n == count || n % CNN_NORM_BLOCK == 0;
        at -= n;
    }
    return blocks;
}

/* Where block `block` begins; after the last one, where all end. */
static size_t block_begin(const cnn_network *network, size_t block)
{
    size_t begin = 0;
    for (size_t t = 0; t < network->tensor_count; t++) {
        const size_t count = cnn_tensor_count(&network->tensors[t]);
        const size_t blocks = cnn_pieces(count, CNN_NORM_BLOCK);
        if (block < blocks)
            return begin + block * CNN_NORM_BLOCK;
        block -= blocks;
        begin += count;
    }
    return begin;
}

/* The number of the last block that begins at `at` or before. */
static size_t block_at(const cnn_network *network, size_t at)
{
    bool whole;
    const size_t blocks = blocks_before(network, at, &whole);
    return whole ? blocks : blocks - 1;
}

cnn_status cnn_shard_slice(const cnn_network *network, size_t parts, size_t part, size_t *first,
                           size_t *count)
{
    if (!network || !first || !count)
        return cnn_fail(CNN_ERROR_ARGUMENT, "%s is NULL",
                        !network ? "network"
                        : first  ? "count"
                                 : "first");
    if (part >= parts)
        return cnn_fail(CNN_ERROR_ARGUMENT, "part is %zu, should be less than parts, which is %zu",
                        part, parts);
    const size_t all = network->parameter_count, each = all / parts, more = all % parts;
    /* Where the slices would begin if they were equal, and from there back to a block's begin. */
    const size_t begin = block_begin(network, block_at(network, part * each + cnn_min(part, more)));
    const size_t next = part + 1;
    const size_t end =
        next == parts ? all
                      : block_begin(network, block_at(network, next * each + cnn_min(next, more)));
    *first = begin;
    *count = end - begin;
    return CNN_OK;
}

/* A slice of all parameters, in the order of the public functions, and what is done with it. */
struct slice {
    const cnn_network *network;
    size_t first, count;
    /* Work on numbers at, ..., at + n - 1 of a tensor, which are numbers in_slice, ... here. */
    void (*work)(const struct slice *slice, const cnn_tensor *tensor, size_t at, size_t in_slice,
                 size_t n);
    const void *gradient;
    double weight_sum;          /* find_mean */
    double *squares;            /* find_squares */
    const cnn_trainer *trainer; /* make_step */
    double clip;
    void *values;
};

/* Work on the numbers from begin to end of all parameters: on those of each tensor. */
static void run_range(const struct slice *slice, size_t begin, size_t end)
{
    size_t offset = 0; /* of the tensor among all parameters */
    for (size_t t = 0; t < slice->network->tensor_count && offset < end; t++) {
        const cnn_tensor *tensor = &slice->network->tensors[t];
        const size_t after = offset + cnn_tensor_count(tensor);
        const size_t from = cnn_max(begin, offset), to = cnn_min(end, after);
        if (from < to)
            slice->work(slice, tensor, from - offset, from - slice->first, to - from);
        offset = after;
    }
}

static void run_piece(void *context, size_t index, size_t worker)
{
    const struct slice *slice = context;
    const size_t begin = slice->first + index * CNN_SHARD_PIECE;
    (void)worker;
    run_range(slice, begin, cnn_min(begin + CNN_SHARD_PIECE, slice->first + slice->count));
}

/* `streams` is how many numbers are read and written for each parameter. */
static void run_slice(const struct slice *slice, double streams)
{
    const size_t tasks = cnn_pieces(slice->count, CNN_SHARD_PIECE);
    const cnn_machine machine = cnn_machine_now();
    const double bytes = streams * (double)slice->count * (double)slice->network->real_size;
    const uint64_t before = cnn_platform_float_enter();
    cnn_parallel(tasks, cnn_plan_copy_threads(&machine, tasks, bytes), run_piece,
                 (void *)(uintptr_t)slice);
    cnn_platform_float_leave(before);
}

static cnn_status check_slice(const cnn_network *network, const void *gradient, size_t first,
                              size_t count)
{
    if (!gradient && count > 0)
        return cnn_fail(CNN_ERROR_ARGUMENT, "gradient is NULL");
    const size_t all = network->parameter_count;
    if (first > all || count > all - first)
        return cnn_fail(CNN_ERROR_ARGUMENT,
                        "first is %zu and count is %zu, which together should be at most %zu, the "
                        "number of parameters",
                        first, count, all);
    return CNN_OK;
}

/* ---- The mean gradient ------------------------------------------------------------------- */

static void divide(cnn_dtype dtype, void *numbers, size_t n, double by)
{
    if (dtype == CNN_FLOAT32)
        for (size_t i = 0; i < n; i++)
            ((float *)numbers)[i] = (float)((double)((float *)numbers)[i] / by);
    else
        for (size_t i = 0; i < n; i++)
            ((double *)numbers)[i] /= by;
}

static void find_mean(const struct slice *slice, const cnn_tensor *tensor, size_t at,
                      size_t in_slice, size_t n)
{
    const cnn_network *network = slice->network;
    const cnn_rectangle row = {.m = 1, .n = n};
    void *gradient = cnn_at(network, slice->gradient, in_slice);
    divide(network->dtype, gradient, n, slice->weight_sum);
    /* The row-major form of a weight with a penalty is always fresh. */
    if (tensor->l2 > 0)
        cnn_gradient_add_penalty(network, tensor->l2, &row, n, cnn_at(network, tensor->values, at),
                                 gradient);
}

cnn_status cnn_shard_mean(const cnn_network *network, const double *sums, size_t first,
                          size_t count, void *gradient)
{
    if (!network || !sums)
        return cnn_fail(CNN_ERROR_ARGUMENT, "%s is NULL", network ? "sums" : "network");
    const cnn_status status = check_slice(network, gradient, first, count);
    if (status != CNN_OK)
        return status;
    const double weights = sums[CNN_SHARD_WEIGHT];
    if (!(weights >= CNN_LEAST_WEIGHT_SUM))
        return cnn_fail(CNN_ERROR_ARGUMENT, "the weights add up to %g, should be at least %g",
                        weights, CNN_LEAST_WEIGHT_SUM);
    const struct slice slice = {
        .network = network,
        .first = first,
        .count = count,
        .work = find_mean,
        .gradient = gradient,
        .weight_sum = weights,
    };
    run_slice(&slice, 2);
    return CNN_OK;
}

/* ---- The norm ---------------------------------------------------------------------------- */

size_t cnn_shard_blocks(const cnn_network *network, size_t first, size_t count)
{
    bool whole;
    if (!network || first > network->parameter_count || count > network->parameter_count - first)
        return 0;
    return blocks_before(network, first + count, &whole) - blocks_before(network, first, &whole);
}

/* The slice begins with a block. */
static void find_squares(const struct slice *slice, const cnn_tensor *tensor, size_t at,
                         size_t in_slice, size_t n)
{
    const cnn_network *network = slice->network;
    double *squares = slice->squares + cnn_shard_blocks(network, slice->first, in_slice);
    (void)tensor;
    (void)at;
    for (size_t i = 0; i < n; i += CNN_NORM_BLOCK)
        *squares++ = network->kernels->square_sum(cnn_min(CNN_NORM_BLOCK, n - i),
                                                  cnn_at(network, slice->gradient, in_slice + i));
}

cnn_status cnn_shard_squares(const cnn_network *network, const void *gradient, size_t first,
                             size_t count, double *squares)
{
    if (!network || !squares)
        return cnn_fail(CNN_ERROR_ARGUMENT, "%s is NULL", network ? "squares" : "network");
    cnn_status status = check_slice(network, gradient, first, count);
    bool begins = true, ends = true;
    if (status == CNN_OK) {
        blocks_before(network, first, &begins);
        blocks_before(network, first + count, &ends);
    }
    if (status == CNN_OK && !(begins && ends))
        status = cnn_fail(CNN_ERROR_ARGUMENT,
                          "first is %zu and count is %zu, should be of a slice of cnn_shard_slice",
                          first, count);
    if (status != CNN_OK)
        return status;
    const struct slice slice = {
        .network = network,
        .first = first,
        .count = count,
        .work = find_squares,
        .gradient = gradient,
        .squares = squares,
    };
    const uint64_t before = cnn_platform_float_enter();
    run_range(&slice, first, first + count);
    cnn_platform_float_leave(before);
    return CNN_OK;
}

cnn_status cnn_shard_clip(const cnn_trainer *trainer, const double *squares, size_t blocks,
                          double *clip)
{
    if (!trainer || !squares || !clip)
        return cnn_fail(CNN_ERROR_ARGUMENT, "%s is NULL",
                        !trainer  ? "trainer"
                        : squares ? "clip"
                                  : "squares");
    const cnn_network *network = trainer->network;
    const size_t all = cnn_shard_blocks(network, 0, network->parameter_count);
    if (blocks != all)
        return cnn_fail(CNN_ERROR_ARGUMENT, "blocks is %zu, should be %zu", blocks, all);
    *clip = 1;
    if (!(trainer->optimizer.clip_norm > 0))
        return CNN_OK;
    const uint64_t before = cnn_platform_float_enter();
    double sum = 0;
    for (size_t i = 0; i < blocks; i++)
        sum += squares[i];
    *clip = cnn_clip_factor(trainer->optimizer.clip_norm, sum, 1e-6);
    cnn_platform_float_leave(before);
    const bool usable = *clip >= cnn_clip_least(network);
    *clip = usable ? fmin(*clip, 1) : 1;
    return usable ? CNN_OK
                  : cnn_fail(CNN_ERROR_NONFINITE,
                             "the gradient's norm is %g, too large for clip_norm", sqrt(sum));
}

/* ---- The step ---------------------------------------------------------------------------- */

static void make_step(const struct slice *slice, const cnn_tensor *tensor, size_t at,
                      size_t in_slice, size_t n)
{
    const cnn_network *network = slice->network;
    void *values = cnn_at(network, slice->values, in_slice);
    memcpy(values, cnn_at(network, tensor->values, at), n * network->real_size);
    cnn_update update = *cnn_update_of(slice->trainer, tensor);
    update.clip = slice->clip;
    update.rows = 1;
    update.cols = update.g_row = update.w_row = update.slot_row = n;
    update.g = cnn_at(network, slice->gradient, in_slice);
    update.w = values;
    for (size_t s = 0; s < slice->trainer->slots.count; s++)
        update.slots[s] = cnn_at(network, slice->trainer->slots.memory[s], tensor->offset + at);
    if (tensor->kind == CNN_EMBEDDING)
        cnn_update_sparse(network, &update, slice->trainer->slots.count, n);
    else
        network->kernels->update(&update);
}

cnn_status cnn_shard_step(cnn_trainer *trainer, const void *gradient, size_t first, size_t count,
                          double clip, double lr, void *values)
{
    if (!trainer)
        return cnn_fail(CNN_ERROR_ARGUMENT, "trainer is NULL");
    cnn_status status = check_slice(trainer->network, gradient, first, count);
    if (status == CNN_OK && !values && count > 0)
        status = cnn_fail(CNN_ERROR_ARGUMENT, "values is NULL");
    if (status == CNN_OK && !(clip >= 0 && clip <= 1))
        status = cnn_fail(CNN_ERROR_ARGUMENT, "clip is %g, should be in [0, 1]", clip);
    if (status == CNN_OK)
        status = cnn_trainer_check_steps(trainer, 1);
    if (status == CNN_OK)
        status = cnn_lr_check(lr);
    if (status == CNN_OK)
        status = cnn_slots_arrange(&trainer->slots, CNN_ROW_MAJOR);
    if (status != CNN_OK)
        return status;
    const uint64_t before = cnn_platform_float_enter();
    cnn_network_refresh(trainer->network, CNN_ROW_MAJOR);
    const cnn_rates rates = {.groups = 1, .lr = &lr};
    cnn_update_begin(trainer, &rates);
    const struct slice slice = {
        .network = trainer->network,
        .first = first,
        .count = count,
        .work = make_step,
        .gradient = gradient,
        .trainer = trainer,
        .clip = clip,
        .values = values,
    };
    run_slice(&slice, 3 + 2 * (double)trainer->slots.count);
    cnn_platform_float_leave(before);
    return CNN_OK;
}

cnn_status cnn_shard_finish(cnn_trainer *trainer, const void *values, size_t count)
{
    if (!trainer || !values)
        return cnn_fail(CNN_ERROR_ARGUMENT, "%s is NULL", trainer ? "values" : "trainer");
    cnn_network *network = trainer->network;
    if (count != network->parameter_count)
        return cnn_fail(CNN_ERROR_ARGUMENT, "count is %zu, should be %zu", count,
                        network->parameter_count);
    const cnn_status status = cnn_trainer_check_steps(trainer, 1);
    if (status != CNN_OK)
        return status;
    const uint64_t before = cnn_platform_float_enter();
    cnn_tensors_from_flat(network, values, network->parameters);
    cnn_network_wrote(network, CNN_ROW_MAJOR);
    cnn_network_refresh(network, CNN_PANELS);
    cnn_update_count(trainer);
    cnn_platform_float_leave(before);
    trainer->sizes.known = false;
    return CNN_OK;
}
