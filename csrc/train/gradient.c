#include "train/gradient.h"

#include <math.h>

#include "base/threads.h"
#include "train/slots.h"

/* ---- Tasks over the parameters ----------------------------------------------------------- */

/* The most rows of a task; 0 if a tensor is one task. */
static size_t most_rows(const cnn_batch *batch, const cnn_tensor *tensor)
{
    if (tensor->weight)
        return batch->plan.task_rows;
    return tensor->kind == CNN_PERIODIC ? CNN_PERIODIC_ROWS : 0;
}

/* How many columns of tasks a tensor has; *rows receives how many rows of them. */
static size_t cut(const cnn_batch *batch, const cnn_tensor *tensor, size_t *rows)
{
    const size_t most = most_rows(batch, tensor);
    *rows = most > 0 ? cnn_pieces(tensor->rows, most) : 1;
    return tensor->weight ? cnn_pieces(tensor->cols, batch->plan.task_cols) : 1;
}

size_t cnn_gradient_tasks(const cnn_batch *batch)
{
    size_t tasks = 0;
    for (size_t t = 0; t < batch->network->tensor_count; t++) {
        size_t rows;
        const size_t cols = cut(batch, &batch->network->tensors[t], &rows);
        tasks += rows * cols;
    }
    return tasks;
}

cnn_gradient_task cnn_gradient_find_task(const cnn_batch *batch, size_t index)
{
    const cnn_tensor *tensor = batch->network->tensors;
    size_t rows, cols;
    while (cols = cut(batch, tensor, &rows), index >= rows * cols) {
        index -= rows * cols;
        tensor++;
    }
    cnn_gradient_task task = {tensor, {.m = tensor->rows, .n = tensor->cols}};
    if (rows > 1) {
        task.r.i = index / cols * most_rows(batch, tensor);
        task.r.m = cnn_min(most_rows(batch, tensor), tensor->rows - task.r.i);
    }
    if (cols > 1) {
        task.r.j = index % cols * batch->plan.task_cols;
        task.r.n = cnn_min(batch->plan.task_cols, tensor->cols - task.r.j);
    }
    return task;
}

const cnn_lists *cnn_gradient_lists(cnn_batch *batch, const cnn_gradient_task *task, size_t worker,
                                    cnn_lists *lists)
{
    if (!cnn_tensor_is_first(batch->network, task->tensor))
        return NULL;
    return cnn_inputs_gradient_lists(&batch->inputs, task->r.i, task->r.m, batch->plan.rows, worker,
                                     lists);
}

/* ---- Parts of the gradient --------------------------------------------------------------- */

void cnn_gradient_of_weight(const cnn_batch *batch, const cnn_gradient_task *part, void *c,
                            size_t c_row, const cnn_lists *lists, const cnn_span *soon,
                            size_t soon_count)
{
    const cnn_network *network = batch->network;
    const cnn_stage *stage = cnn_tensor_stage(network, part->tensor);
    const size_t panel = network->kernels->panel;
    size_t in_row;
    const void *in = cnn_batch_input(batch, stage, &in_row);
    const cnn_gemm gemm = {
        .m = part->r.m,
        .n = part->r.n,
        .k = batch->plan.rows,
        .a = cnn_at(network, in, part->r.i),
        .a_row = 1,
        .a_k = in_row,
        .b = cnn_at(network, batch->stages[stage->index].packed, part->r.j * batch->capacity),
        .b_k = panel,
        .b_panel = batch->capacity * panel,
        .c = c,
        .c_row = c_row,
        .soon = soon,
        .soon_count = soon_count,
        .lists = lists,
    };
    network->kernels->gemm(&gemm);
}

void cnn_gradient_of_other(const cnn_batch *batch, const cnn_gradient_task *task, void *out)
{
    const cnn_stage *stage = cnn_tensor_stage(batch->network, task->tensor);
    const cnn_passed passed = cnn_batch_passed(batch, stage);
    stage->kind->gradient(stage, &passed, task->tensor, task->r.i, task->r.m, out);
}

/* ---- The gradient as a whole ------------------------------------------------------------- */

struct whole {
    cnn_batch *batch;
    bool penalties;
    void *gradient;
};

/* The step of SGD on the gradient with the rate -l2 does it. */
void cnn_gradient_add_penalty(const cnn_network *network, double l2, const cnn_rectangle *r,
                              size_t row, const void *w, void *gradient)
{
    const cnn_update update = {
        .kind = CNN_SGD,
        .rows = r->m,
        .cols = r->n,
        .g = w,
        .g_row = row,
        .w = gradient,
        .w_row = row,
        .clip = 1,
        .lr = -l2,
    };
    network->kernels->update(&update);
}

static void add_penalty(const cnn_network *network, const cnn_gradient_task *task, void *gradient)
{
    const cnn_tensor *tensor = task->tensor;
    size_t row;
    const void *w = cnn_weight_at(tensor->weight, CNN_ROW_MAJOR, task->r.i, task->r.j, &row);
    cnn_gradient_add_penalty(network, tensor->l2, &task->r, tensor->cols, w, gradient);
}

static void run_task(void *context, size_t index, size_t worker)
{
    const struct whole *whole = context;
    cnn_batch *batch = whole->batch;
    const cnn_gradient_task task = cnn_gradient_find_task(batch, index);
    const cnn_tensor *tensor = task.tensor;
    const size_t at = tensor->offset + task.r.i * tensor->cols + task.r.j;
    void *c = cnn_at(batch->network, whole->gradient, at);
    if (!tensor->weight) {
        cnn_gradient_of_other(batch, &task, c);
        return;
    }
    cnn_lists lists;
    cnn_gradient_of_weight(batch, &task, c, tensor->cols,
                           cnn_gradient_lists(batch, &task, worker, &lists), NULL, 0);
    if (whole->penalties && tensor->l2 > 0)
        add_penalty(batch->network, &task, c);
}

void cnn_gradient_add_penalties(const cnn_network *network, void *gradient)
{
    for (size_t t = 0; t < network->tensor_count; t++) {
        const cnn_tensor *tensor = &network->tensors[t];
        const cnn_gradient_task all = {tensor, {.m = tensor->rows, .n = tensor->cols}};
        if (tensor->l2 > 0)
            add_penalty(network, &all, cnn_at(network, gradient, tensor->offset));
    }
}

void cnn_gradient_whole(cnn_batch *batch, bool penalties, void *gradient)
{
    struct whole whole = {.batch = batch, .penalties = penalties, .gradient = gradient};
    cnn_parallel(cnn_gradient_tasks(batch), batch->plan.threads, run_task, &whole);
}

double cnn_gradient_square_sum(const cnn_network *network, const void *gradient)
{
    double sum = 0;
    for (size_t t = 0; t < network->tensor_count; t++) {
        const cnn_tensor *tensor = &network->tensors[t];
        const size_t count = cnn_tensor_count(tensor);
        for (size_t i = 0; i < count; i += CNN_NORM_BLOCK)
            sum += network->kernels->square_sum(cnn_min(CNN_NORM_BLOCK, count - i),
                                                cnn_at(network, gradient, tensor->offset + i));
    }
    return sum;
}

static void scale_numbers(const cnn_network *network, void *numbers, size_t count, double scale)
{
    for (size_t i = 0; i < count; i++)
        if (network->dtype == CNN_FLOAT32)
            ((float *)numbers)[i] *= (float)scale;
        else
            ((double *)numbers)[i] *= scale;
}

int cnn_gradient_scale_down(const cnn_network *network, void *gradient)
{
    double largest = 0;
    for (size_t t = 0; t < network->tensor_count; t++) {
        const cnn_tensor *tensor = &network->tensors[t];
        const size_t count = cnn_tensor_count(tensor);
        largest = fmax(largest, network->kernels->largest(
                                    1, count, cnn_at(network, gradient, tensor->offset), count));
    }
    int exponent = 0;
    if (isinf(largest) || frexp(largest, &exponent) == 0)
        return 0;
    exponent--;
    if (exponent <= 0)
        return 0;
    for (size_t t = 0; t < network->tensor_count; t++) {
        const cnn_tensor *tensor = &network->tensors[t];
        void *numbers = cnn_at(network, gradient, tensor->offset);
        /* In two powers, since one of 2^-1024 is not normal, and in float32 none below 2^-126. */
        scale_numbers(network, numbers, cnn_tensor_count(tensor), ldexp(1, -(exponent / 2)));
        scale_numbers(network, numbers, cnn_tensor_count(tensor),
                      ldexp(1, -(exponent - exponent / 2)));
    }
    return exponent;
}

/* ---- The public function ----------------------------------------------------------------- */

/* Run the batch of a job and write its loss and gradient. */
static cnn_status find_gradients(cnn_batch *batch, const cnn_batch_job *job, double *value,
                                 void *padded, void *gradients)
{
    const cnn_network *network = batch->network;
    const cnn_data *data = job->data;
    double loss = 0, weight = 0;
    size_t correct = 0;
    cnn_status status = cnn_batch_run(batch, job, &loss, &weight, &correct);
    if (status == CNN_OK)
        status = cnn_targets_check(job->loss, &data->t, network->shape.outputs, network->dtype,
                                   NULL, 0, data->x.rows, &batch->targets);
    if (status == CNN_OK)
        status = cnn_weights_check(job->loss, &data->sample_weight, weight);
    if (status != CNN_OK)
        return status;
    *value = loss;
    cnn_gradient_whole(batch, true, padded);
    cnn_tensors_to_flat(network, CNN_ROW_MAJOR, padded, gradients);
    return CNN_OK;
}

cnn_status cnn_network_gradients(const cnn_network *network, const cnn_loss *loss,
                                 const cnn_data *data, int64_t step, double *value, void *gradients,
                                 size_t count)
{
    cnn_call_structs space;
    cnn_status status = cnn_network_check(network, &loss, &data, &space);
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
    const cnn_batch_job job = {
        .loss = loss,
        .data = data,
        .rows = data->x.rows,
        .step = step,
        .dropout = 1,
        .training = {.batch_size = data->x.rows, .gradient = true},
    };
    const uint64_t before = cnn_platform_float_enter();
    status = padded ? find_gradients(batch, &job, value, padded, gradients)
                    : cnn_fail(CNN_ERROR_MEMORY, "out of memory for gradients");
    cnn_platform_float_leave(before);
    cnn_platform_free(padded);
    cnn_batch_destroy(batch);
    return status;
}
