/* Array functions: checked, given their kernels, split over threads, and run. */
#include "base/error.h"
#include "base/platform.h"
#include "base/structs.h"
#include "base/threads.h"
#include "kernels/dispatch.h"
#include "run/plan.h"
#include "run/samples.h"

static size_t size_of(cnn_dtype dtype)
{
    return dtype == CNN_FLOAT32 ? 4 : 8;
}

/* Check an activation whose alpha is as the caller gave it, and give it its default. */
static cnn_status complete_activation(cnn_activation_spec *activation)
{
    if ((unsigned)activation->kind >= CNN_ACTIVATION_COUNT)
        return cnn_fail(CNN_ERROR_ARGUMENT, "activation is %d, should be 0 to %d",
                        (int)activation->kind, CNN_ACTIVATION_COUNT - 1);
    return cnn_activation_complete("activation", activation);
}

/* ---- Work on rows ------------------------------------------------------------------------ */

/* One call on rows, split into tasks of whole rows. */
struct rows_call {
    const cnn_kernels *kernels;
    size_t real_size, rows, cols, block;
    cnn_activation_spec activation;
    const char *x, *from;
    size_t x_row, y_row;
    char *y;
    int stream; /* whether the result goes past the caches */
    void (*run)(const struct rows_call *call, size_t first, size_t rows);
};

static void run_rows(void *context, size_t index, size_t worker)
{
    const struct rows_call *call = context;
    const size_t first = index * call->block;
    (void)worker;
    call->run(call, first, cnn_min(call->block, call->rows - first));
}

static void split_rows(struct rows_call *call)
{
    if (call->rows == 0 || call->cols == 0)
        return;
    const cnn_machine machine = cnn_machine_now();
    const cnn_rows_plan plan = cnn_plan_rows(&machine, call->rows, call->cols);
    call->block = plan.block;
    const uint64_t before = cnn_platform_float_enter();
    cnn_parallel((call->rows + plan.block - 1) / plan.block, plan.threads, run_rows, call);
    cnn_platform_float_leave(before);
}

/* Elementwise work without gaps has no rows of its own: cut it into rows of the least task. */
static void forget_rows(struct rows_call *call)
{
    const size_t elements = call->rows * call->cols;
    if (call->x_row != call->cols || call->y_row != call->cols || elements <= CNN_TASK_ELEMENTS)
        return;
    const size_t whole = elements / CNN_TASK_ELEMENTS * CNN_TASK_ELEMENTS;
    if (whole < elements) {
        struct rows_call rest = *call;
        rest.rows = 1;
        rest.cols = rest.x_row = rest.y_row = elements - whole;
        rest.x += whole * call->real_size;
        rest.y += whole * call->real_size;
        if (rest.from)
            rest.from += whole * call->real_size;
        split_rows(&rest);
    }
    call->cols = call->x_row = call->y_row = CNN_TASK_ELEMENTS;
    call->rows = whole / CNN_TASK_ELEMENTS;
}

static const char *row_of(const struct rows_call *call, const char *base, size_t row, size_t i)
{
    return base + i * row * call->real_size;
}

static void run_forward(const struct rows_call *call, size_t first, size_t rows)
{
    const void *x = row_of(call, call->x, call->x_row, first);
    void *y = call->y + first * call->y_row * call->real_size;
    if (call->activation.kind == CNN_SOFTMAX)
        call->kernels->softmax_forward(rows, call->cols, x, call->x_row, y, call->y_row,
                                       call->stream);
    else
        call->kernels->activation_forward(&call->activation, rows, call->cols, x, call->x_row, y,
                                          call->y_row, call->stream);
}

static void run_backward(const struct rows_call *call, size_t first, size_t rows)
{
    const void *dy = row_of(call, call->x, call->x_row, first);
    const void *from = row_of(call, call->from, call->x_row, first);
    void *dx = call->y + first * call->y_row * call->real_size;
    const size_t cols = call->cols;
    if (call->activation.kind == CNN_SOFTMAX)
        call->kernels->softmax_backward(rows, cols, dy, call->x_row, from, call->x_row, dx,
                                        call->y_row, call->stream);
    else
        call->kernels->activation_backward(&call->activation, rows, cols, dy, call->x_row, from,
                                           call->x_row, dx, call->y_row, call->stream);
}

static void run_log_softmax(const struct rows_call *call, size_t first, size_t rows)
{
    call->kernels->log_softmax_forward(rows, call->cols, row_of(call, call->x, call->x_row, first),
                                       call->x_row, call->y + first * call->y_row * call->real_size,
                                       call->y_row);
}

/* The names of a call's arrays, for messages. */
struct names {
    const char *x, *from, *y;
};

/* Check a call that is filled in but for kernels, size and block, and run it. */
static cnn_status start(struct rows_call *call, cnn_dtype dtype, const struct names *names)
{
    const size_t rows = call->rows, cols = call->cols;
    cnn_status status = complete_activation(&call->activation);
    if (status == CNN_OK)
        status = cnn_check_layout(names->x, call->x, rows, cols, call->x_row);
    if (status == CNN_OK && names->from)
        status = cnn_check_layout(names->from, call->from, rows, cols, call->x_row);
    if (status == CNN_OK)
        status = cnn_check_layout(names->y, call->y, rows, cols, call->y_row);
    if (status != CNN_OK)
        return status;
    call->kernels = cnn_dispatch(dtype);
    call->real_size = size_of(dtype);
    call->stream = cnn_plan_streams(rows, cols, call->real_size) && call->x != call->y;
    if (call->activation.kind != CNN_SOFTMAX)
        forget_rows(call);
    split_rows(call);
    return CNN_OK;
}

static cnn_status activation_forward(cnn_dtype dtype, cnn_activation_spec activation, size_t rows,
                                     size_t cols, const void *x, size_t x_stride, void *y,
                                     size_t y_stride)
{
    struct rows_call call = {
        .rows = rows,
        .cols = cols,
        .activation = activation,
        .x = x,
        .x_row = x_stride,
        .y = y,
        .y_row = y_stride,
        .run = run_forward,
    };
    return start(&call, dtype, &(const struct names){.x = "x", .y = "y"});
}

static cnn_status activation_backward(cnn_dtype dtype, cnn_activation_spec activation, size_t rows,
                                      size_t cols, const void *dy, const void *from, void *dx)
{
    struct rows_call call = {
        .rows = rows,
        .cols = cols,
        .activation = activation,
        .x = dy,
        .x_row = cols,
        .from = from,
        .y = dx,
        .y_row = cols,
        .run = run_backward,
    };
    return start(&call, dtype, &(const struct names){.x = "dy", .from = "from", .y = "dx"});
}

static cnn_status log_softmax_forward(cnn_dtype dtype, size_t rows, size_t cols, const void *x,
                                      size_t x_stride, void *y, size_t y_stride)
{
    struct rows_call call = {
        .rows = rows,
        .cols = cols,
        .activation = {.kind = CNN_SOFTMAX}, /* rows belong together as in softmax */
        .x = x,
        .x_row = x_stride,
        .y = y,
        .y_row = y_stride,
        .run = run_log_softmax,
    };
    return start(&call, dtype, &(const struct names){.x = "x", .y = "y"});
}

/* ---- Dense ------------------------------------------------------------------------------- */

/* c (m, n) = a . b on as many threads as it is worth, with b packed on the way or in place. */
static cnn_status product(cnn_dtype dtype, const cnn_pack *b, const cnn_gemm *gemm)
{
    const cnn_kernels *kernels = cnn_dispatch(dtype);
    const cnn_machine machine = cnn_machine_now();
    const cnn_packing_plan plan = cnn_plan_packing(&machine, kernels, size_of(dtype), gemm, b);
    return cnn_product_packing(kernels, size_of(dtype), gemm, b, &plan);
}

static cnn_status check_dense(size_t rows, size_t inputs, size_t outputs)
{
    size_t product;
    if (cnn_multiply(rows, inputs, &product) && product < SIZE_MAX / 64 &&
        cnn_multiply(rows, outputs, &product) && product < SIZE_MAX / 64 &&
        cnn_multiply(inputs, outputs, &product) && product < SIZE_MAX / 64)
        return CNN_OK;
    return cnn_fail(CNN_ERROR_MEMORY, "dense of %zu rows, %zu inputs and %zu outputs is too large",
                    rows, inputs, outputs);
}

static cnn_status dense_forward(cnn_dtype dtype, size_t rows, size_t inputs, size_t outputs,
                                const void *x, size_t x_stride, const void *weight,
                                const void *bias, cnn_activation_spec activation, void *y,
                                size_t y_stride)
{
    cnn_status status = check_dense(rows, inputs, outputs);
    if (status == CNN_OK)
        status = complete_activation(&activation);
    if (status == CNN_OK)
        status = cnn_check_layout("x", x, rows, inputs, x_stride);
    if (status == CNN_OK)
        status = cnn_check_layout("weight", weight, inputs, outputs, outputs);
    if (status == CNN_OK)
        status = cnn_check_layout("y", y, rows, outputs, y_stride);
    if (status != CNN_OK || rows == 0 || outputs == 0)
        return status;
    const bool softmax = activation.kind == CNN_SOFTMAX;
    const cnn_pack pack = {.k = inputs, .n = outputs, .b = weight, .b_row = outputs, .b_col = 1};
    const cnn_gemm gemm = {
        .m = rows,
        .n = outputs,
        .k = inputs,
        .a = x,
        .a_row = x_stride,
        .a_k = 1,
        .bias = bias,
        .c = y,
        .c_row = y_stride,
        .activation = {softmax ? CNN_IDENTITY : activation.kind, activation.alpha},
    };
    const uint64_t before = cnn_platform_float_enter();
    status = product(dtype, &pack, &gemm);
    cnn_platform_float_leave(before);
    if (softmax && status == CNN_OK)
        return activation_forward(dtype, activation, rows, outputs, y, y_stride, y, y_stride);
    return status;
}

static cnn_status dense_backward(cnn_dtype dtype, size_t rows, size_t inputs, size_t outputs,
                                 const void *dy, const void *x, const void *weight, void *dx,
                                 void *dweight, void *dbias)
{
    cnn_status status = check_dense(rows, inputs, outputs);
    const char *missing = !dy ? "dy" : dx && !weight ? "weight" : dweight && !x ? "x" : NULL;
    if (status == CNN_OK && missing)
        status = cnn_fail(CNN_ERROR_ARGUMENT, "%s is NULL", missing);
    if (status != CNN_OK)
        return status;
    const uint64_t before = cnn_platform_float_enter();
    if (dx && rows > 0) {
        const cnn_pack b = {.k = outputs, .n = inputs, .b = weight, .b_row = 1, .b_col = outputs};
        const cnn_gemm gemm = {.m = rows,
                               .n = inputs,
                               .k = outputs,
                               .a = dy,
                               .a_row = outputs,
                               .a_k = 1,
                               .c = dx,
                               .c_row = inputs};
        status = product(dtype, &b, &gemm);
    }
    if (dweight && status == CNN_OK) {
        const cnn_pack b = {.k = rows, .n = outputs, .b = dy, .b_row = outputs, .b_col = 1};
        const cnn_gemm gemm = {.m = inputs,
                               .n = outputs,
                               .k = rows,
                               .a = x,
                               .a_row = 1,
                               .a_k = inputs,
                               .c = dweight,
                               .c_row = outputs};
        status = product(dtype, &b, &gemm);
    }
    if (dbias && outputs > 0 && status == CNN_OK)
        cnn_dispatch(dtype)->column_sum(rows, outputs, dy, outputs, dbias);
    cnn_platform_float_leave(before);
    return status;
}

/* ---- Losses ------------------------------------------------------------------------------ */

/* Buffers for the targets of one loss call, in one allocation. */
static void *target_buffers(cnn_dtype dtype, size_t rows, size_t cols, cnn_targets *targets,
                            double **loss_rows, double **scale)
{
    size_t bytes;
    if (!cnn_multiply(rows, cols, &bytes) || bytes > SIZE_MAX / 64 || rows > SIZE_MAX / 256)
        return NULL;
    const size_t t_bytes = cnn_round_up(bytes * size_of(dtype), 64);
    char *memory = cnn_platform_allocate(t_bytes + cnn_max(rows, 1) * 5 * sizeof(double));
    if (!memory)
        return NULL;
    targets->t = memory;
    targets->t_row = cols;
    targets->weight = (double *)(void *)(memory + t_bytes);
    targets->factor = targets->weight + rows;
    targets->labels = (int64_t *)(void *)(targets->factor + rows);
    *loss_rows = (double *)(void *)(targets->labels + rows);
    *scale = *loss_rows + rows;
    return memory;
}

static cnn_status loss_gradient(cnn_dtype dtype, const cnn_loss *loss, size_t rows, size_t cols,
                                const void *z, size_t z_stride, const cnn_matrix *t,
                                const cnn_matrix *sample_weight, double *value, void *gradient)
{
    cnn_loss space;
    loss = cnn_loss_read(loss, "loss", &space);
    cnn_status status = loss ? cnn_loss_check(loss, cols) : CNN_ERROR_ARGUMENT;
    if (status == CNN_OK)
        status = cnn_check_layout("z", z, rows, cols, z_stride);
    if (status == CNN_OK && !value)
        status = cnn_fail(CNN_ERROR_ARGUMENT, "value is NULL");
    if (status == CNN_OK && (rows == 0 || cols == 0))
        status = cnn_fail(CNN_ERROR_ARGUMENT, "z has shape (%zu, %zu), needs at least one element",
                          rows, cols);
    if (status == CNN_OK)
        status = cnn_samples_check(loss, t, sample_weight, rows, cols);
    if (status != CNN_OK)
        return status;
    cnn_targets targets;
    double *loss_rows, *scale;
    void *memory = target_buffers(dtype, rows, cols, &targets, &loss_rows, &scale);
    if (!memory)
        return cnn_fail(CNN_ERROR_MEMORY, "out of memory for %zu rows of targets", rows);
    const uint64_t before = cnn_platform_float_enter();
    status = cnn_samples_read(loss, t, sample_weight, cols, dtype, NULL, 0, rows, &targets);
    double total = 0;
    if (status == CNN_OK) {
        total = cnn_weights_scale(rows, &targets, true, scale);
        status = cnn_weights_check(loss, sample_weight, total);
    }
    if (status != CNN_OK) {
        cnn_platform_float_leave(before);
        cnn_platform_free(memory);
        return status;
    }
    cnn_lanes losses = {.count = 0};
    cnn_loss_rows l = cnn_targets_loss(loss, &targets, dtype, 0);
    l.rows = rows;
    l.cols = cols;
    l.z = z;
    l.z_row = z_stride;
    l.scale = scale;
    l.loss_rows = loss_rows;
    l.gradient = gradient;
    l.gradient_row = cols;
    cnn_dispatch(dtype)->loss(&l);
    cnn_lanes_add_products(&losses, rows, targets.factor, loss_rows);
    *value = cnn_lanes_total(&losses) / total;
    cnn_platform_float_leave(before);
    cnn_platform_free(memory);
    return CNN_OK;
}

/* ---- The typed functions of cnn.h -------------------------------------------------------- */

#define REAL float
#define TYPED(name) cnn_##name##_f32
#define DTYPE CNN_FLOAT32
#include "ops_typed.h"
#undef REAL
#undef TYPED
#undef DTYPE

#define REAL double
#define TYPED(name) cnn_##name##_f64
#define DTYPE CNN_FLOAT64
#include "ops_typed.h"
