/* Predict: blocks of rows, each on its way through all stages. */
#include "base/threads.h"
#include "run/forward.h"
#include "run/samples.h"

struct predict {
    cnn_forward_call call;
    const cnn_matrix *x;
    void *y;
    size_t y_row;
    char *scratch;
};

static void predict_block(void *context, size_t index, size_t worker)
{
    const struct predict *p = context;
    const cnn_network *network = p->call.network;
    const cnn_plan *plan = &p->call.plan;
    const cnn_block block = cnn_plan_block(plan, index);
    void *scratch = p->scratch + worker * plan->worker_bytes;
    size_t in_row;
    const void *in = cnn_forward_inputs(network, p->x, block.first, block.rows, &in_row, scratch);
    cnn_forward_outputs(&p->call, in, in_row, block.rows,
                        cnn_at(network, p->y, block.first * p->y_row), p->y_row, scratch);
}

size_t cnn_network_workspace_size(const cnn_network *network, size_t rows)
{
    if (!network || rows == 0)
        return 0;
    const cnn_machine machine = cnn_machine_now();
    /* More rows than memory has bytes need no more scratch than many. */
    cnn_plan p;
    cnn_plan_predict(&machine, &network->shape, cnn_min(rows, SIZE_MAX / 64), SIZE_MAX, &p);
    return p.workers * p.worker_bytes + CNN_LINE;
}

/* Make the plan, and find scratch for it. */
static cnn_status prepare(struct predict *p, void *workspace, size_t workspace_size)
{
    const cnn_shape *shape = &p->call.network->shape;
    p->call.machine = cnn_machine_now();
    cnn_plan_predict(&p->call.machine, shape, p->x->rows,
                     cnn_workspace_usable(workspace, workspace_size), &p->call.plan);
    return cnn_workspace_scratch(&p->call.plan, cnn_plan_scratch(shape, 1), workspace,
                                 workspace_size, &p->scratch);
}

static cnn_status predict(const cnn_network *network, const cnn_matrix *x, void *y, size_t y_row,
                          void *workspace, size_t workspace_size)
{
    struct predict p; /* its plan is large, and prepare() sets it */
    if (x->rows == 0)
        return CNN_OK;
    p.call.network = network;
    p.call.logits = false;
    p.x = x;
    p.y = y;
    p.y_row = y_row;
    const cnn_status status = prepare(&p, workspace, workspace_size);
    if (status != CNN_OK)
        return status;
    const uint64_t before = cnn_platform_float_enter();
    if (p.call.plan.blocks == 1)
        predict_block(&p, 0, 0);
    else
        cnn_parallel(p.call.plan.blocks, p.call.plan.workers, predict_block, &p);
    cnn_platform_float_leave(before);
    return CNN_OK;
}

static cnn_status predict_typed(const cnn_network *network, cnn_dtype dtype, size_t rows,
                                const void *x, size_t x_stride, void *y, size_t y_stride,
                                void *workspace, size_t workspace_size)
{
    cnn_matrix matrix;
    cnn_status status = cnn_typed_matrix(network, dtype, "x", x, rows, cnn_network_inputs(network),
                                         x_stride, &matrix);
    if (status == CNN_OK)
        status = cnn_check_layout("y", y, rows, cnn_network_outputs(network), y_stride);
    if (status != CNN_OK)
        return status;
    return predict(network, &matrix, y, y_stride, workspace, workspace_size);
}

cnn_status cnn_network_predict_f32(const cnn_network *network, size_t rows, const float *x,
                                   size_t x_stride, float *y, size_t y_stride, void *workspace,
                                   size_t workspace_size)
{
    return predict_typed(network, CNN_FLOAT32, rows, x, x_stride, y, y_stride, workspace,
                         workspace_size);
}

cnn_status cnn_network_predict_f64(const cnn_network *network, size_t rows, const double *x,
                                   size_t x_stride, double *y, size_t y_stride, void *workspace,
                                   size_t workspace_size)
{
    return predict_typed(network, CNN_FLOAT64, rows, x, x_stride, y, y_stride, workspace,
                         workspace_size);
}

cnn_status cnn_network_predict(const cnn_network *network, const cnn_matrix *x, void *y,
                               size_t y_stride, void *workspace, size_t workspace_size)
{
    if (!network || !x || !y)
        return cnn_fail(CNN_ERROR_ARGUMENT, "%s is NULL", !network ? "network" : !x ? "x" : "y");
    cnn_status status = cnn_matrix_check(x, "x", x->rows, cnn_network_inputs(network));
    if (status == CNN_OK)
        status = cnn_check_layout("y", y, x->rows, cnn_network_outputs(network), y_stride);
    if (status != CNN_OK)
        return status;
    return predict(network, x, y, y_stride, workspace, workspace_size);
}
