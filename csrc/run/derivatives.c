/*
 * Derivatives of a network's outputs with respect to its inputs: products of a row vector and the
 * Jacobian (vjp), and whole Jacobians. Blocks of rows go forward through all stages and back.
 */
#include <string.h>

#include "base/convert.h"
#include "base/threads.h"
#include "run/forward.h"
#include "run/samples.h"
#include "run/walk.h"

struct derivatives {
    const cnn_network *network;
    cnn_machine machine;
    cnn_plan plan;
    const cnn_matrix *x, *dy; /* dy is NULL for Jacobians */
    void *y;                  /* (rows, outputs) or NULL */
    size_t y_row;
    void *dx; /* (rows, inputs) or NULL; the Jacobians (rows, outputs, inputs) without gaps */
    size_t dx_row;
    char *scratch;
};

/* ---- Memory ------------------------------------------------------------------------------ */

/* What lay_out() takes. */
static cnn_walk_bytes bytes_of(const cnn_network *network)
{
    cnn_arena row = {.memory = NULL}, delta = {.memory = NULL};
    cnn_stage_memory memory[2] = {{.row = 0}};
    for (size_t s = 0; s < network->stage_count; s++) {
        cnn_walk_lay_out(network, &network->stages[s], &memory[1], 1, 0, false, &row);
        cnn_walk_lay_out(network, &network->stages[s], &memory[1], 0, 1, false, &delta);
    }
    const size_t size = network->real_size;
    return (cnn_walk_bytes){
        .worker = cnn_round_up(network->stage_count * sizeof *memory, CNN_LINE),
        .thread = cnn_round_up(cnn_stage_scratch(network->kernels) * size, CNN_LINE),
        .row = row.used + network->shape.input_row * size,
        .delta = delta.used,
    };
}

/* The walk of a block in a worker's memory. *inputs has room for inputs that are converted. */
static cnn_walk lay_out(const struct derivatives *d, const cnn_block *block, size_t worker,
                        void **inputs)
{
    const cnn_network *network = d->network;
    const cnn_plan *plan = &d->plan;
    const size_t size = network->real_size;
    const size_t sharing = plan->split == CNN_SPLIT_COLUMNS ? plan->threads : 1;
    cnn_arena arena = {.memory = d->scratch + worker * plan->worker_bytes};
    cnn_stage_memory *stages = cnn_arena_take(&arena, network->stage_count, sizeof *stages);
    void *strips = cnn_arena_take(&arena, sharing, cnn_stage_scratch(network->kernels) * size);
    *inputs = cnn_arena_take(&arena, block->rows, network->shape.input_row * size);
    for (size_t s = 0; s < network->stage_count; s++)
        cnn_walk_lay_out(network, &network->stages[s], &stages[s], block->rows, plan->deltas, false,
                         &arena);
    return (cnn_walk){
        .network = network,
        .machine = &d->machine,
        .plan = plan,
        .stages = stages,
        .step = -1,
        .dropout = 1,
        .rows = block->rows,
        .scratch = strips,
    };
}

/* ---- Blocks ------------------------------------------------------------------------------ */

static const cnn_stage_memory *last_of(const cnn_walk *walk)
{
    return &walk->stages[walk->network->stage_count - 1];
}

/* Begin the way back with row i's derivative of output i * step + output alone. */
static void set_units(const cnn_walk *walk, size_t output, size_t step)
{
    const cnn_network *network = walk->network;
    const cnn_stage_memory *last = last_of(walk);
    for (size_t i = 0; i < walk->rows; i++, output += step) {
        void *row = cnn_walk_row(network, last, last->delta, i);
        memset(row, 0, network->shape.outputs * network->real_size);
        if (network->dtype == CNN_FLOAT32)
            ((float *)row)[output] = 1;
        else
            ((double *)row)[output] = 1;
    }
}

/* The Jacobians of a block, output by output: all rows go back together. */
static void back_by_outputs(const struct derivatives *d, const cnn_walk *walk, size_t first)
{
    const cnn_network *network = d->network;
    const size_t inputs = network->shape.inputs, outputs = network->shape.outputs;
    for (size_t o = 0; o < outputs; o++) {
        set_units(walk, o, 0);
        cnn_walk_through_output(walk);
        cnn_walk_back(walk, cnn_at(network, d->dx, (first * outputs + o) * inputs),
                      outputs * inputs);
    }
}

/* The same row by row: many outputs of a row go back together. */
static void back_by_rows(const struct derivatives *d, const cnn_walk *walk, size_t first)
{
    const cnn_network *network = d->network;
    const size_t inputs = network->shape.inputs, outputs = network->shape.outputs;
    cnn_walk one = *walk;
    one.fans_out = true;
    for (one.first = 0; one.first < walk->rows; one.first++) {
        for (size_t o = 0; o < outputs; o += one.rows) {
            one.rows = cnn_min(d->plan.deltas, outputs - o);
            set_units(&one, o, 1);
            cnn_walk_through_output(&one);
            cnn_walk_back(
                &one, cnn_at(network, d->dx, ((first + one.first) * outputs + o) * inputs), inputs);
        }
    }
}

static void run_block(void *context, size_t index, size_t worker)
{
    const struct derivatives *d = context;
    const cnn_network *network = d->network;
    const cnn_block block = cnn_plan_block(&d->plan, index);
    void *inputs;
    cnn_walk walk = lay_out(d, &block, worker, &inputs);
    walk.in = cnn_forward_inputs(network, d->x, block.first, block.rows, &walk.in_row, inputs);
    cnn_walk_forward(&walk, NULL, false);
    if (d->y)
        cnn_walk_store_outputs(network, walk.stages, block.rows,
                               cnn_at(network, d->y, block.first * d->y_row), d->y_row);
    if (!d->dx)
        return;
    if (d->dy) {
        const cnn_stage_memory *last = last_of(&walk);
        cnn_convert_rows(d->dy, NULL, block.first, block.rows, network->dtype, last->delta,
                         last->row);
        cnn_walk_through_output(&walk);
        cnn_walk_back(&walk, cnn_at(network, d->dx, block.first * d->dx_row), d->dx_row);
    } else if (block.rows < network->shape.outputs) {
        back_by_rows(d, &walk, block.first);
    } else {
        back_by_outputs(d, &walk, block.first);
    }
}

/* ---- Calls ------------------------------------------------------------------------------- */

static size_t size_for(const cnn_network *network, size_t rows, bool jacobian)
{
    if (!network || rows == 0)
        return 0;
    const cnn_machine machine = cnn_machine_now();
    const cnn_walk_bytes bytes = bytes_of(network);
    cnn_plan p;
    cnn_plan_derivatives(&machine, &network->shape, &bytes, jacobian, cnn_min(rows, SIZE_MAX / 64),
                         SIZE_MAX, &p);
    return p.workers * p.worker_bytes + CNN_LINE;
}

size_t cnn_network_vjp_workspace_size(const cnn_network *network, size_t rows)
{
    return size_for(network, rows, false);
}

size_t cnn_network_jacobian_workspace_size(const cnn_network *network, size_t rows)
{
    return size_for(network, rows, true);
}

static cnn_status run(struct derivatives *d, void *workspace, size_t workspace_bytes)
{
    const cnn_walk_bytes bytes = bytes_of(d->network);
    if (d->x->rows == 0)
        return CNN_OK;
    const cnn_machine machine = d->machine = cnn_machine_now();
    cnn_plan_derivatives(&machine, &d->network->shape, &bytes, !d->dy, d->x->rows,
                         cnn_workspace_usable(workspace, workspace_bytes), &d->plan);
    size_t least = 0;
    if (d->plan.block == 0) { /* for the message */
        const cnn_machine single = {.threads = 1, .caches = machine.caches};
        cnn_plan one;
        cnn_plan_derivatives(&single, &d->network->shape, &bytes, !d->dy, 1, SIZE_MAX, &one);
        least = one.worker_bytes;
    }
    const cnn_status status =
        cnn_workspace_scratch(&d->plan, least, workspace, workspace_bytes, &d->scratch);
    if (status != CNN_OK)
        return status;
    const uint64_t before = cnn_platform_float_enter();
    if (d->plan.blocks == 1)
        run_block(d, 0, 0);
    else
        cnn_parallel(d->plan.blocks, d->plan.workers, run_block, d);
    cnn_platform_float_leave(before);
    return CNN_OK;
}

/* Check the results: one of the two may be NULL. */
static cnn_status check_results(const struct derivatives *d)
{
    const cnn_shape *shape = &d->network->shape;
    const size_t rows = d->x->rows;
    cnn_status status = CNN_OK;
    size_t each;
    if (!d->y && !d->dx)
        return cnn_fail(CNN_ERROR_ARGUMENT, "y and dx are NULL, should be at least one");
    if (d->y)
        status = cnn_check_layout("y", d->y, rows, shape->outputs, d->y_row);
    if (status != CNN_OK || !d->dx)
        return status;
    if (d->dy)
        return cnn_check_layout("dx", d->dx, rows, shape->inputs, d->dx_row);
    if (!cnn_multiply(shape->outputs, shape->inputs, &each))
        return cnn_fail(CNN_ERROR_MEMORY, "the Jacobian is too large");
    return cnn_check_layout("jacobian", d->dx, rows, each, each);
}

static cnn_status vjp(const cnn_network *network, const cnn_matrix *x, const cnn_matrix *dy,
                      void *y, size_t y_stride, void *dx, size_t dx_stride, void *workspace,
                      size_t workspace_bytes)
{
    struct derivatives d; /* its plan is large, and run() sets it */
    d.network = network;
    d.x = x;
    d.dy = dy;
    d.y = y;
    d.y_row = y_stride;
    d.dx = dx;
    d.dx_row = dx_stride;
    const cnn_status status = check_results(&d);
    return status == CNN_OK ? run(&d, workspace, workspace_bytes) : status;
}

static cnn_status vjp_typed(const cnn_network *network, cnn_dtype dtype, size_t rows, const void *x,
                            size_t x_stride, const void *dy, size_t dy_stride, void *y,
                            size_t y_stride, void *dx, size_t dx_stride, void *workspace,
                            size_t workspace_bytes)
{
    cnn_matrix inputs, gradient;
    cnn_status status = cnn_typed_matrix(network, dtype, "x", x, rows, cnn_network_inputs(network),
                                         x_stride, &inputs);
    if (status == CNN_OK)
        status = cnn_typed_matrix(network, dtype, "dy", dy, rows, cnn_network_outputs(network),
                                  dy_stride, &gradient);
    if (status != CNN_OK)
        return status;
    return vjp(network, &inputs, &gradient, y, y_stride, dx, dx_stride, workspace, workspace_bytes);
}

cnn_status cnn_network_vjp_f32(const cnn_network *network, size_t rows, const float *x,
                               size_t x_stride, const float *dy, size_t dy_stride, float *y,
                               size_t y_stride, float *dx, size_t dx_stride, void *workspace,
                               size_t workspace_size)
{
    return vjp_typed(network, CNN_FLOAT32, rows, x, x_stride, dy, dy_stride, y, y_stride, dx,
                     dx_stride, workspace, workspace_size);
}

cnn_status cnn_network_vjp_f64(const cnn_network *network, size_t rows, const double *x,
                               size_t x_stride, const double *dy, size_t dy_stride, double *y,
                               size_t y_stride, double *dx, size_t dx_stride, void *workspace,
                               size_t workspace_size)
{
    return vjp_typed(network, CNN_FLOAT64, rows, x, x_stride, dy, dy_stride, y, y_stride, dx,
                     dx_stride, workspace, workspace_size);
}

cnn_status cnn_network_vjp(const cnn_network *network, const cnn_matrix *x, const cnn_matrix *dy,
                           void *y, size_t y_stride, void *dx, size_t dx_stride, void *workspace,
                           size_t workspace_size)
{
    if (!network || !x || !dy)
        return cnn_fail(CNN_ERROR_ARGUMENT, "%s is NULL", !network ? "network" : !x ? "x" : "dy");
    cnn_status status = cnn_matrix_check(x, "x", x->rows, network->shape.inputs);
    if (status == CNN_OK)
        status = cnn_matrix_check(dy, "dy", x->rows, network->shape.outputs);
    if (status != CNN_OK)
        return status;
    return vjp(network, x, dy, y, y_stride, dx, dx_stride, workspace, workspace_size);
}

static cnn_status jacobian(const cnn_network *network, const cnn_matrix *x, void *y,
                           size_t y_stride, void *out, void *workspace, size_t workspace_bytes)
{
    if (!out)
        return cnn_fail(CNN_ERROR_ARGUMENT, "jacobian is NULL");
    return vjp(network, x, NULL, y, y_stride, out, 0, workspace, workspace_bytes);
}

static cnn_status jacobian_typed(const cnn_network *network, cnn_dtype dtype, size_t rows,
                                 const void *x, size_t x_stride, void *y, size_t y_stride,
                                 void *out, void *workspace, size_t workspace_bytes)
{
    cnn_matrix inputs;
    const cnn_status status = cnn_typed_matrix(network, dtype, "x", x, rows,
                                               cnn_network_inputs(network), x_stride, &inputs);
    if (status != CNN_OK)
        return status;
    return jacobian(network, &inputs, y, y_stride, out, workspace, workspace_bytes);
}

cnn_status cnn_network_jacobian_f32(const cnn_network *network, size_t rows, const float *x,
                                    size_t x_stride, float *y, size_t y_stride, float *out,
                                    void *workspace, size_t workspace_size)
{
    return jacobian_typed(network, CNN_FLOAT32, rows, x, x_stride, y, y_stride, out, workspace,
                          workspace_size);
}

cnn_status cnn_network_jacobian_f64(const cnn_network *network, size_t rows, const double *x,
                                    size_t x_stride, double *y, size_t y_stride, double *out,
                                    void *workspace, size_t workspace_size)
{
    return jacobian_typed(network, CNN_FLOAT64, rows, x, x_stride, y, y_stride, out, workspace,
                          workspace_size);
}

cnn_status cnn_network_jacobian(const cnn_network *network, const cnn_matrix *x, void *y,
                                size_t y_stride, void *out, void *workspace, size_t workspace_size)
{
    if (!network || !x)
        return cnn_fail(CNN_ERROR_ARGUMENT, "%s is NULL", network ? "x" : "network");
    const cnn_status status = cnn_matrix_check(x, "x", x->rows, network->shape.inputs);
    if (status != CNN_OK)
        return status;
    return jacobian(network, x, y, y_stride, out, workspace, workspace_size);
}
