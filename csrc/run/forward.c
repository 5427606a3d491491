/* Running a network: blocks of rows through all layers, predict and evaluate. */
#include <string.h>

#include "base/convert.h"
#include "base/error.h"
#include "base/platform.h"
#include "base/threads.h"
#include "kernels/product.h"
#include "model/network.h"
#include "model/samples.h"
#include "run/sparse.h"

/* Bytes of activations that a block may take: a part of the L2 cache, which holds weights too. */
#define BLOCK_BYTES ((size_t)256 * 1024)

/* Columns of a layer that threads share as evenly as rows. */
#define MANY_COLUMNS 512

/* Rows whose losses are summed at a time; a multiple of the 16 lanes. */
#define SEGMENT_ROWS ((size_t)4096)

void cnn_forward_prepare(cnn_network *network)
{
    const size_t inputs = cnn_network_inputs(network), tile = network->kernels->tile_rows;
    size_t widest = 0;
    for (size_t i = 0; i < network->dense_count; i++)
        widest = cnn_max(widest, network->dense[i].outputs);
    const size_t row_bytes = cnn_max(inputs, widest) * network->real_size;
    const size_t rows = cnn_min(CNN_BLOCK_ROWS, BLOCK_BYTES / row_bytes / tile * tile);
    /* Fewer rows would read the weights too often, whatever the cache holds. */
    network->block_rows = cnn_max(rows, 4 * tile);
    network->input_row = cnn_row_span(network, inputs);
    network->hidden_row = cnn_row_span(network, widest);
}

size_t cnn_even_block(size_t rows, size_t most, size_t threads)
{
    const size_t rounds = (rows + most * threads - 1) / (most * threads);
    const size_t blocks = cnn_max(rounds, 1) * threads;
    return cnn_min(most, cnn_round_up((rows + blocks - 1) / blocks, 4));
}

/* Bytes of a block's activations: inputs, and outputs of two layers. */
static size_t activation_bytes(const cnn_network *network, size_t rows)
{
    return rows * (network->input_row + 2 * network->hidden_row) * network->real_size;
}

size_t cnn_forward_scratch(const cnn_network *network, size_t rows)
{
    const size_t bytes = activation_bytes(network, rows);
    if (!cnn_sparse_is_worth_a_look(network, rows))
        return bytes;
    return bytes + rows * cnn_map_words(network) * sizeof(uint64_t) +
           cnn_lists_bytes(network, rows, cnn_network_inputs(network));
}

/* The lists for a block's first layer, in scratch behind the activations; NULL for none. */
static const cnn_lists *find_lists(const cnn_network *network, size_t rows, const void *in,
                                   size_t in_row, void *scratch, cnn_lists *lists)
{
    uint64_t *const map = (uint64_t *)(void *)((char *)scratch + activation_bytes(network, rows));
    if (!cnn_sparse_is_worth_a_look(network, rows) ||
        !cnn_map_rows(network, rows, in, in_row, map, NULL) ||
        !cnn_sparse_forward_is_exact(network, false))
        return NULL;
    *lists = cnn_lists_of_rows(map + rows * cnn_map_words(network), network, rows, map);
    return lists;
}

double cnn_forward_work(const cnn_network *network)
{
    return (double)network->parameter_count;
}

bool cnn_forward_is_wide(const cnn_network *network)
{
    double wide = 0;
    for (size_t l = 0; l < network->dense_count; l++) {
        const cnn_dense *dense = &network->dense[l];
        if (dense->outputs >= MANY_COLUMNS)
            wide += (double)dense->inputs * (double)dense->outputs;
    }
    return wide >= 0.9 * cnn_forward_work(network);
}

/* Whether the product can read x where it is: right type, whole elements, no cache conflicts. */
static bool readable_in_place(const cnn_network *network, const cnn_matrix *x, size_t first,
                              size_t rows)
{
    const ptrdiff_t size = (ptrdiff_t)network->real_size;
    if (x->dtype != network->dtype || (x->col_stride != size && x->cols > 1))
        return false;
    const char *start = (const char *)x->data + (ptrdiff_t)first * x->row_stride;
    if ((uintptr_t)start % (uintptr_t)size != 0)
        return false;
    if (rows == 1)
        return true;
    return x->row_stride >= size && x->row_stride % size == 0 && x->row_stride % 2048 != 0;
}

void cnn_dense_forward(const cnn_network *network, const cnn_dense *dense, size_t rows,
                       const void *in, size_t in_row, unsigned how, const cnn_lists *lists,
                       void *out, size_t out_row, void *before)
{
    const cnn_kernels *kernels = network->kernels;
    const bool softmax = dense->activation.kind == CNN_SOFTMAX, linear = how & CNN_LOGITS;
    const bool in_place = how & CNN_IN_PLACE;
    const cnn_gemm gemm = {
        .m = rows,
        .n = dense->outputs,
        .k = dense->inputs,
        .a = in,
        .a_row = in_row,
        .a_k = 1,
        .b = in_place ? dense->weight : dense->packed,
        .b_k = in_place ? dense->outputs : kernels->panel,
        .b_panel = in_place ? kernels->panel : dense->inputs * kernels->panel,
        .bias = dense->bias,
        .c = out,
        .c_row = out_row,
        .activation =
            softmax || linear ? (cnn_activation_spec){.kind = CNN_IDENTITY} : dense->activation,
        .before = before,
        .lists = lists,
    };
    if (how & CNN_SHARED)
        cnn_product(kernels, network->real_size, &gemm, CNN_THREADS_AWAKE);
    else
        kernels->gemm(&gemm);
    if (softmax && !linear)
        kernels->softmax_forward(rows, dense->outputs, out, out_row, out, out_row, 0);
}

/* Rows of x in the network's type, *in_row elements apart: where they are, or in scratch. */
static const void *find_inputs(const cnn_network *network, const cnn_matrix *x, size_t first,
                               size_t rows, size_t *in_row, void *scratch)
{
    if (readable_in_place(network, x, first, rows)) {
        *in_row = (size_t)x->row_stride / network->real_size;
        return (const char *)x->data + (ptrdiff_t)first * x->row_stride;
    }
    *in_row = network->input_row;
    cnn_convert_rows(x, NULL, first, rows, network->dtype, scratch, *in_row);
    return scratch;
}

size_t cnn_count_nonfinite(const cnn_network *network, size_t rows, const void *x, size_t x_row,
                           const double *factor)
{
    const size_t cols = cnn_network_inputs(network);
    size_t count = 0;
    if (network->kernels->finite(rows, cols, x, x_row))
        return 0;
    for (size_t i = 0; i < rows; i++)
        count += factor[i] != 0 &&
                 !network->kernels->finite(1, cols, cnn_at(network, x, i * x_row), cols);
    return count;
}

/* The outputs of rows that find_inputs has found. */
static void forward_inputs(const cnn_network *network, const void *in, size_t in_row, size_t rows,
                           unsigned how, void *y, size_t y_row, void *scratch)
{
    const size_t input_row = network->input_row, hidden_row = network->hidden_row;
    void *const buffers[2] = {cnn_at(network, scratch, rows * input_row),
                              cnn_at(network, scratch, rows * (input_row + hidden_row))};
    cnn_lists memory;
    const cnn_lists *lists = find_lists(network, rows, in, in_row, scratch, &memory);
    for (size_t l = 0; l < network->dense_count; l++) {
        const bool last = l + 1 == network->dense_count;
        void *const out = last ? y : buffers[l % 2];
        const size_t out_row = last ? y_row : hidden_row;
        cnn_dense_forward(network, &network->dense[l], rows, in, in_row,
                          last ? how : how & ~(unsigned)CNN_LOGITS, l == 0 ? lists : NULL, out,
                          out_row, NULL);
        in = out;
        in_row = out_row;
    }
}

void cnn_forward_block(const cnn_network *network, const cnn_matrix *x, size_t first, size_t rows,
                       unsigned how, void *y, size_t y_row, void *scratch)
{
    size_t in_row;
    const void *in = find_inputs(network, x, first, rows, &in_row, scratch);
    forward_inputs(network, in, in_row, rows, how, y, y_row, scratch);
}

/* ---- Predict ----------------------------------------------------------------------------- */

/*
 * How a call is cut: blocks of rows, each with scratch of its worker. Rows that are too few for
 * that, or would be cut unevenly, share the columns of their layers, where there is work enough.
 */
struct plan {
    size_t rows, block, tasks, threads, worker_bytes;
    unsigned how;
};

static struct plan plan_for(const cnn_network *network, size_t rows, size_t most_threads)
{
    const size_t tile = network->kernels->tile_rows;
    struct plan p = {.rows = rows, .block = cnn_min(network->block_rows, rows)};
    const double work = cnn_forward_work(network) * (double)rows;
    p.threads = cnn_min(cnn_parallel_threads((rows + tile - 1) / tile, work), most_threads);
    const size_t block = cnn_even_block(rows, p.block, p.threads);
    const bool uneven = 20 * rows < 19 * p.threads * block && cnn_forward_is_wide(network);
    if ((p.threads == 1 || uneven) && rows <= p.block && most_threads > 1 &&
        cnn_parallel_threads(SIZE_MAX, work) > 1) {
        p.how = CNN_SHARED;
        p.threads = 1;
    } else {
        p.block = block;
    }
    p.tasks = (rows + p.block - 1) / p.block;
    p.threads = cnn_min(p.threads, p.tasks);
    p.worker_bytes = cnn_round_up(cnn_forward_scratch(network, p.block), 64);
    return p;
}

struct predict {
    const cnn_network *network;
    const cnn_matrix *x;
    void *y;
    size_t y_row;
    struct plan plan;
    char *scratch;
};

static void predict_block(void *context, size_t index, size_t worker)
{
    const struct predict *p = context;
    const size_t first = index * p->plan.block;
    const size_t rows = cnn_min(p->plan.block, p->plan.rows - first);
    cnn_forward_block(p->network, p->x, first, rows, p->plan.how,
                      cnn_at(p->network, p->y, first * p->y_row), p->y_row,
                      p->scratch + worker * p->plan.worker_bytes);
}

size_t cnn_network_workspace_size(const cnn_network *network, size_t rows)
{
    if (!network || rows == 0)
        return 0;
    /* More rows than memory has bytes need no more scratch than many. */
    const struct plan p = plan_for(network, cnn_min(rows, SIZE_MAX / 64), SIZE_MAX);
    return p.threads * p.worker_bytes + 64;
}

/* Fit the plan to a workspace of the caller: fewer threads, or else smaller blocks. */
static cnn_status fit_workspace(const cnn_network *network, struct predict *p, void *workspace,
                                size_t size)
{
    const size_t skip = (64 - (uintptr_t)workspace % 64) % 64;
    const size_t usable = size > skip ? size - skip : 0;
    p->scratch = (char *)workspace + skip;
    if (p->plan.threads * p->plan.worker_bytes <= usable)
        return CNN_OK;
    const size_t row_bytes = cnn_forward_scratch(network, 1);
    if (usable < row_bytes)
        return cnn_fail(CNN_ERROR_ARGUMENT, "workspace has %zu bytes, needs at least %zu", size,
                        row_bytes + 63);
    p->plan = plan_for(network, p->plan.rows, 1);
    if (p->plan.worker_bytes > usable) {
        for (p->plan.block = usable / row_bytes;
             cnn_forward_scratch(network, p->plan.block) > usable;)
            p->plan.block--;
        p->plan.tasks = (p->plan.rows + p->plan.block - 1) / p->plan.block;
    }
    return CNN_OK;
}

static cnn_status predict(const cnn_network *network, const cnn_matrix *x, void *y, size_t y_row,
                          void *workspace, size_t workspace_size)
{
    struct predict p = {.network = network, .x = x, .y = y, .y_row = y_row};
    if (x->rows == 0)
        return CNN_OK;
    p.plan = plan_for(network, x->rows, SIZE_MAX);
    if (workspace) {
        const cnn_status status = fit_workspace(network, &p, workspace, workspace_size);
        if (status != CNN_OK)
            return status;
    } else {
        p.scratch = cnn_platform_scratch(p.plan.threads * p.plan.worker_bytes);
        if (!p.scratch)
            return cnn_fail(CNN_ERROR_MEMORY, "out of memory for %zu bytes of scratch",
                            p.plan.threads * p.plan.worker_bytes);
    }
    const uint64_t before = cnn_platform_float_enter();
    if (p.plan.tasks == 1)
        predict_block(&p, 0, 0);
    else
        cnn_parallel(p.plan.tasks, p.plan.threads, predict_block, &p);
    cnn_platform_float_leave(before);
    return CNN_OK;
}

static cnn_status predict_typed(const cnn_network *network, cnn_dtype dtype, size_t rows,
                                const void *x, size_t x_stride, void *y, size_t y_stride,
                                void *workspace, size_t workspace_size)
{
    if (!network)
        return cnn_fail(CNN_ERROR_ARGUMENT, "network is NULL");
    if (dtype != network->dtype)
        return cnn_fail(CNN_ERROR_TYPE, "x is float%d, the network is float%d",
                        dtype == CNN_FLOAT32 ? 32 : 64, network->dtype == CNN_FLOAT32 ? 32 : 64);
    const size_t inputs = cnn_network_inputs(network);
    cnn_status status = cnn_check_layout("x", x, rows, inputs, x_stride);
    if (status == CNN_OK)
        status = cnn_check_layout("y", y, rows, cnn_network_outputs(network), y_stride);
    if (status != CNN_OK)
        return status;
    const cnn_matrix matrix = {
        .struct_size = sizeof matrix,
        .data = x,
        .dtype = dtype,
        .rows = rows,
        .cols = inputs,
        .row_stride = (ptrdiff_t)(x_stride * network->real_size),
        .col_stride = (ptrdiff_t)network->real_size,
    };
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

/* ---- Evaluate ---------------------------------------------------------------------------- */

bool cnn_loss_takes_logits(const cnn_loss *loss)
{
    return loss->kind == CNN_CROSS_ENTROPY || loss->kind == CNN_BINARY_CROSS_ENTROPY;
}

/* The output activation that a loss needs, or -1 where several do. */
static int needed_output(cnn_loss_kind kind)
{
    switch (kind) {
    case CNN_CROSS_ENTROPY:
        return CNN_SOFTMAX;
    case CNN_BINARY_CROSS_ENTROPY:
        return CNN_SIGMOID;
    case CNN_POISSON:
        return CNN_IDENTITY;
    default:
        return -1;
    }
}

cnn_status cnn_network_check(const cnn_network *network, const cnn_loss *loss, const cnn_data *data)
{
    if (!network || !data)
        return cnn_fail(CNN_ERROR_ARGUMENT, "%s is NULL", network ? "data" : "network");
    if (data->struct_size != sizeof *data)
        return cnn_fail(CNN_ERROR_ARGUMENT, "data has struct_size %zu, should be %zu",
                        data->struct_size, sizeof *data);
    const size_t outputs = cnn_network_outputs(network);
    cnn_status status = cnn_loss_check(loss, outputs);
    if (status == CNN_OK)
        status = cnn_matrix_check(&data->x, "x", data->x.rows, cnn_network_inputs(network));
    if (status == CNN_OK)
        status = cnn_samples_check(loss, &data->t, &data->sample_weight, data->x.rows, outputs);
    if (status != CNN_OK)
        return status;
    const int has = (int)network->dense[network->dense_count - 1].activation.kind;
    const int needs = needed_output(loss->kind);
    if (needs >= 0 ? has != needs : has == CNN_SOFTMAX)
        return cnn_fail(CNN_ERROR_ARGUMENT, "%s does not go with the output layer's %s%s%s",
                        cnn_loss_name((int)loss->kind), cnn_activation_name(has),
                        needs >= 0 ? "; it needs " : "",
                        needs >= 0 ? cnn_activation_name(needs) : "");
    if (loss->kind == CNN_CROSS_ENTROPY && outputs == 1)
        return cnn_fail(CNN_ERROR_ARGUMENT,
                        "cross_entropy of one output is 0, whatever the weights; should be sigmoid "
                        "with binary_cross_entropy, or 2 outputs");
    return CNN_OK;
}

/* Buffers of one segment, shared by the workers; each has scratch and a count of its own. */
struct evaluation {
    const cnn_network *network;
    const cnn_loss *loss;
    const cnn_data *data;
    struct plan plan;
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
    const cnn_network *network = e->network;
    const size_t first = index * e->plan.block;
    const size_t rows = cnn_min(e->plan.block, e->rows - first);
    void *z = cnn_at(network, e->outputs, worker * e->plan.block * e->output_row);
    size_t in_row;
    char *scratch = e->scratch + worker * e->plan.worker_bytes;
    const void *in = find_inputs(network, &e->data->x, e->first + first, rows, &in_row, scratch);
    forward_inputs(network, in, in_row, rows, cnn_loss_takes_logits(e->loss) ? CNN_LOGITS : 0, z,
                   e->output_row, scratch);
    if (cnn_dtype_has_infinity(e->data->x.dtype))
        e->nonfinite[worker] +=
            cnn_count_nonfinite(network, rows, in, in_row, e->targets.factor + first);
    cnn_loss_rows l = cnn_targets_loss(e->loss, &e->targets, network->dtype, first);
    l.rows = rows;
    l.cols = cnn_network_outputs(network);
    l.z = z;
    l.z_row = e->output_row;
    l.loss_rows = e->loss_rows + first;
    l.correct = cnn_loss_takes_logits(e->loss) ? &e->correct[worker] : NULL;
    network->kernels->loss(&l);
}

/* One allocation for all buffers of an evaluation; *memory is freed by the caller. */
static cnn_status prepare_evaluation(struct evaluation *e, void **memory)
{
    const cnn_network *network = e->network;
    const size_t outputs = cnn_network_outputs(network), size = network->real_size;
    const size_t segment = cnn_round_up(cnn_min(SEGMENT_ROWS, e->data->x.rows), 16);
    e->output_row = cnn_row_span(network, outputs);
    e->targets.t_row = outputs;
    const size_t output_bytes = cnn_round_up(e->plan.block * e->output_row * size, 64);
    const size_t parts[] = {
        segment * sizeof(double),
        segment * sizeof(double),
        segment * sizeof(double),
        segment * sizeof(int64_t),
        cnn_round_up(segment * outputs * size, 64),
        e->plan.threads * e->plan.worker_bytes,
        e->plan.threads * output_bytes,
        cnn_round_up(2 * e->plan.threads * sizeof(size_t), 64),
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
    e->nonfinite = e->correct + e->plan.threads;
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
    for (e->first = 0; e->first < data->x.rows; e->first += e->rows) {
        e->rows = cnn_min(SEGMENT_ROWS, data->x.rows - e->first);
        const size_t outputs = cnn_network_outputs(e->network);
        cnn_status status =
            cnn_samples_read(e->loss, &data->t, &data->sample_weight, outputs, e->network->dtype,
                             NULL, e->first, e->rows, &e->targets);
        if (status == CNN_OK)
            status = cnn_targets_check(e->loss, &data->t, outputs, e->network->dtype, NULL,
                                       e->first, e->rows, &e->targets);
        if (status != CNN_OK)
            return status;
        cnn_parallel((e->rows + e->plan.block - 1) / e->plan.block, e->plan.threads, evaluate_block,
                     e);
        cnn_lanes_add_products(&losses, e->rows, e->targets.factor, e->loss_rows);
        cnn_lanes_add(&weights, e->rows, e->targets.weight);
        made->counted += cnn_targets_counted(&e->targets, e->rows);
    }
    memcpy(made->loss_lanes, losses.lane, sizeof losses.lane);
    memcpy(made->weight_lanes, weights.lane, sizeof weights.lane);
    made->weight_sum = cnn_lanes_total(&weights);
    made->loss_sum = cnn_lanes_total(&losses) + cnn_network_penalty(e->network) * made->weight_sum;
    made->rows += data->x.rows;
    if (made->accumulate)
        return CNN_OK;
    return cnn_weights_check(e->loss, &data->sample_weight, made->weight_sum);
}

double cnn_network_penalty(const cnn_network *network)
{
    double penalty = 0;
    for (size_t l = 0; l < network->dense_count; l++) {
        const cnn_dense *dense = &network->dense[l];
        if (dense->l2 > 0)
            penalty += dense->l2 / 2 *
                       network->kernels->square_sum(dense->inputs * dense->outputs, dense->weight);
    }
    return penalty;
}

cnn_status cnn_network_evaluate(const cnn_network *network, const cnn_loss *loss,
                                const cnn_data *data, cnn_result *result)
{
    cnn_status status = cnn_network_check(network, loss, data);
    if (status != CNN_OK)
        return status;
    cnn_result made;
    status = cnn_result_begin(result, &made);
    if (status != CNN_OK)
        return status;
    if (data->x.rows == 0)
        return cnn_fail(CNN_ERROR_ARGUMENT, "x has 0 rows, needs at least 1");
    struct evaluation e = {.network = network, .loss = loss, .data = data};
    e.plan = plan_for(network, cnn_min(SEGMENT_ROWS, data->x.rows), SIZE_MAX);
    void *memory = NULL;
    status = prepare_evaluation(&e, &memory);
    if (status != CNN_OK)
        return status;
    const uint64_t before = cnn_platform_float_enter();
    status = evaluate_segments(&e, &made);
    cnn_platform_float_leave(before);
    for (size_t i = 0; i < e.plan.threads; i++) {
        made.correct += e.correct[i];
        made.nonfinite_rows += e.nonfinite[i];
    }
    cnn_platform_free(memory);
    if (status == CNN_OK)
        cnn_result_end(result, &made);
    return status;
}
