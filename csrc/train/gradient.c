#include "train/gradient.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/platform.h"
#include "base/threads.h"

/* Panels of columns that one task takes. */
#define TASK_PANELS ((size_t)8)
/* Elements whose squares are summed at a time; the order of sums follows from it. */
#define NORM_BLOCK ((size_t)4096)

/* ---- Tasks over the parameters ----------------------------------------------------------- */

/*
 * Rows and columns of a layer's tasks. Products want few panels and few rows at a time. The
 * gradient of a batch of one row needs no product: parameters then pass through in streams as long
 * as can be.
 */
static cnn_rectangle largest_task(const cnn_batch *batch, size_t l)
{
    const cnn_dense *dense = &batch->network->dense[l];
    const size_t panel = batch->network->kernels->panel;
    cnn_rectangle r = {.l = l, .m = CNN_TASK_ROWS, .n = TASK_PANELS * panel};
    if (batch->rows == 1 && batch->in_place)
        r.n = dense->outputs;
    else if (batch->rows == 1)
        r = (cnn_rectangle){.l = l, .m = dense->inputs, .n = panel};
    return r;
}

static size_t count_of(size_t all, size_t each)
{
    return (all + each - 1) / each;
}

size_t cnn_gradient_tasks(const cnn_batch *batch)
{
    size_t tasks = 0;
    for (size_t l = 0; l < batch->network->dense_count; l++) {
        const cnn_dense *dense = &batch->network->dense[l];
        const cnn_rectangle r = largest_task(batch, l);
        tasks += count_of(dense->inputs, r.m) * count_of(dense->outputs, r.n) + 1;
    }
    return tasks;
}

cnn_rectangle cnn_gradient_task(const cnn_batch *batch, size_t index)
{
    for (size_t l = 0;; l++) {
        const cnn_dense *dense = &batch->network->dense[l];
        cnn_rectangle r = largest_task(batch, l);
        const size_t cols = count_of(dense->outputs, r.n);
        const size_t rectangles = count_of(dense->inputs, r.m) * cols;
        if (index < rectangles) {
            r.i = index / cols * r.m;
            r.m = cnn_min(r.m, dense->inputs - r.i);
            r.j = index % cols * r.n;
            r.n = cnn_min(r.n, dense->outputs - r.j);
            return r;
        }
        if (index == rectangles)
            return (cnn_rectangle){.l = l, .n = dense->outputs};
        index -= rectangles + 1;
    }
}

const cnn_lists *cnn_gradient_lists(const cnn_batch *batch, const cnn_rectangle *r, size_t worker,
                                    cnn_lists *lists)
{
    if (r->l > 0)
        return NULL;
    return cnn_inputs_gradient_lists(&batch->inputs, r->i, r->m, batch->rows, worker, lists);
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
        .w_row = dense->outputs,
        .clip = 1,
        .lr = -dense->l2,
    };
    network->kernels->update(&update);
}

static void gradient_task(void *context, size_t index, size_t worker)
{
    const struct whole *whole = context;
    const cnn_network *network = whole->batch->network;
    const cnn_rectangle r = cnn_gradient_task(whole->batch, index);
    const cnn_dense *dense = &network->dense[r.l];
    if (r.m == 0) {
        cnn_batch_bias_gradient(whole->batch, r.l,
                                cnn_at(network, whole->gradient, dense->bias_offset));
        return;
    }
    cnn_lists lists;
    cnn_batch_weight_gradient(
        whole->batch, &r,
        cnn_at(network, whole->gradient, dense->weight_offset + r.i * dense->outputs + r.j),
        dense->outputs, cnn_gradient_lists(whole->batch, &r, worker, &lists), NULL, 0);
    if (dense->l2 > 0)
        add_penalty(network, dense, r.i, r.m, r.j, r.n, whole->gradient);
}

void cnn_gradient_whole(const cnn_batch *batch, void *gradient)
{
    struct whole whole = {.batch = batch, .gradient = gradient};
    const size_t tasks = cnn_gradient_tasks(batch);
    cnn_parallel(tasks, batch->threads, gradient_task, &whole);
}

/* The first element and the length of tensor 2 l (weight) or 2 l + 1 (bias). */
static size_t find_tensor(const cnn_network *network, size_t tensor, size_t *count)
{
    const cnn_dense *dense = &network->dense[tensor / 2];
    *count = tensor % 2 == 0 ? dense->inputs * dense->outputs : dense->outputs;
    return tensor % 2 == 0 ? dense->weight_offset : dense->bias_offset;
}

double cnn_gradient_square_sum(const cnn_network *network, const void *gradient)
{
    double sum = 0;
    for (size_t t = 0; t < 2 * network->dense_count; t++) {
        size_t count;
        const size_t offset = find_tensor(network, t, &count);
        for (size_t i = 0; i < count; i += NORM_BLOCK)
            sum += network->kernels->square_sum(cnn_min(NORM_BLOCK, count - i),
                                                cnn_at(network, gradient, offset + i));
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
    size_t count;
    for (size_t t = 0; t < 2 * network->dense_count; t++) {
        const void *numbers = cnn_at(network, gradient, find_tensor(network, t, &count));
        largest = fmax(largest, network->kernels->largest(1, count, numbers, count));
    }
    int exponent = 0;
    if (isinf(largest) || frexp(largest, &exponent) == 0 || --exponent <= 0)
        return 0;
    for (size_t t = 0; t < 2 * network->dense_count; t++) {
        void *numbers = cnn_at(network, gradient, find_tensor(network, t, &count));
        /* In two powers, since one of 2^-1024 is not normal, and in float32 none below 2^-126. */
        scale_numbers(network, numbers, count, ldexp(1, -(exponent / 2)));
        scale_numbers(network, numbers, count, ldexp(1, -(exponent - exponent / 2)));
    }
    return exponent;
}

void cnn_parameters_to_flat(const cnn_network *network, const void *padded, void *flat)
{
    char *to = flat;
    for (size_t t = 0; t < 2 * network->dense_count; t++) {
        size_t count;
        const void *from = cnn_at(network, padded, find_tensor(network, t, &count));
        memcpy(to, from, count * network->real_size);
        to += count * network->real_size;
    }
}

void cnn_parameters_from_flat(const cnn_network *network, const void *flat, void *padded)
{
    const char *from = flat;
    for (size_t t = 0; t < 2 * network->dense_count; t++) {
        size_t count;
        void *to = cnn_at(network, padded, find_tensor(network, t, &count));
        memcpy(to, from, count * network->real_size);
        from += count * network->real_size;
    }
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
    if (!padded)
        status = cnn_fail(CNN_ERROR_MEMORY, "out of memory for gradients");
    const cnn_batch_job job = {.loss = loss, .data = data, .rows = data->x.rows, .step = step};
    double loss_value = 0, weight = 0;
    size_t correct = 0;
    const uint64_t before = cnn_platform_float_enter();
    if (status == CNN_OK)
        status = cnn_batch_run(batch, &job, &loss_value, &weight, &correct);
    if (status == CNN_OK)
        status = cnn_targets_check(loss, &data->t, cnn_network_outputs(network), network->dtype,
                                   NULL, 0, data->x.rows, &batch->targets);
    if (status == CNN_OK)
        status = cnn_weights_check(loss, &data->sample_weight, weight);
    if (status == CNN_OK) {
        *value = loss_value;
        cnn_gradient_whole(batch, padded);
        cnn_parameters_to_flat(network, padded, gradients);
    }
    cnn_platform_float_leave(before);
    cnn_platform_free(padded);
    cnn_batch_destroy(batch);
    return status;
}
