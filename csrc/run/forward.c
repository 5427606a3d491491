#include "run/forward.h"

#include <math.h>

#include "base/convert.h"
#include "base/platform.h"
#include "run/nonzero.h"

/* Whether the product can read x in place: right type, whole elements, no conflicts. */
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
    return x->row_stride >= size && x->row_stride % size == 0 &&
           !cnn_stride_conflicts((size_t)x->row_stride);
}

const void *cnn_forward_inputs(const cnn_network *network, const cnn_matrix *x, size_t first,
                               size_t rows, size_t *in_row, void *scratch)
{
    if (readable_in_place(network, x, first, rows)) {
        *in_row = (size_t)x->row_stride / network->real_size;
        return (const char *)x->data + (ptrdiff_t)first * x->row_stride;
    }
    *in_row = network->shape.input_row;
    cnn_convert_rows(x, NULL, first, rows, network->dtype, scratch, *in_row);
    return scratch;
}

/* The lists of a block's nonzeros, in scratch behind the activations; NULL for none. */
static const cnn_lists *find_lists(const cnn_forward_call *call, size_t rows, const void *in,
                                   size_t in_row, void *scratch, cnn_lists *lists)
{
    const cnn_network *network = call->network;
    const size_t words = cnn_map_words(network->shape.inputs);
    if (!call->plan.zeros)
        return NULL;
    uint64_t *const map =
        (uint64_t *)(void *)((char *)scratch + cnn_plan_activation_bytes(&network->shape, rows));
    if (!cnn_map_rows(network, rows, in, in_row, map, NULL) ||
        !cnn_nonzero_forward_is_exact(network, call->plan.form))
        return NULL;
    *lists = cnn_lists_of_rows(map + rows * words, network, rows, map);
    return lists;
}

void cnn_forward_stage(const cnn_machine *machine, const cnn_plan *plan, const cnn_stage *stage,
                       cnn_forward *f)
{
    cnn_product_plan cut;
    f->form = plan->form;
    f->cut = NULL;
    if (plan->split == CNN_SPLIT_COLUMNS && plan->threads > 1) {
        const cnn_gemm shape = {.m = f->rows, .n = stage->outputs, .k = stage->inputs};
        cut = cnn_plan_product(machine, stage->kernels, &shape);
        f->cut = &cut;
    }
    stage->kind->forward(stage, f);
    f->cut = NULL;
}

void cnn_forward_outputs(const cnn_forward_call *call, const void *in, size_t in_row, size_t rows,
                         void *y, size_t y_row, void *scratch)
{
    const cnn_network *network = call->network;
    void *out = cnn_at(network, scratch, rows * network->shape.input_row);
    void *other = cnn_at(network, out, rows * network->shape.hidden_row);
    cnn_lists memory;
    cnn_forward f = {.rows = rows, .step = -1, .dropout = 1, .in = in, .in_row = in_row};
    f.lists = find_lists(call, rows, in, in_row, scratch, &memory);
    const cnn_stage *stage = network->stages, *last = cnn_network_last(network);
    if (cnn_stage_is_in_place(stage)) { /* in place, if the inputs lie in scratch */
        f.out = scratch;
        f.out_row = network->shape.input_row;
        cnn_forward_stage(&call->machine, &call->plan, stage++, &f);
        f.in = f.out;
        f.in_row = f.out_row;
    }
    for (; stage < last; stage++) {
        if (cnn_stage_is_idle(stage, f.step))
            continue;
        if (cnn_stage_is_in_place(stage)) { /* what it reads is in scratch */
            f.before = out;
            f.out = (void *)(uintptr_t)f.in;
            f.out_row = f.in_row;
            cnn_forward_stage(&call->machine, &call->plan, stage, &f);
            f.before = NULL;
            continue;
        }
        f.out = out;
        f.out_row = network->shape.hidden_row;
        cnn_forward_stage(&call->machine, &call->plan, stage, &f);
        out = other;
        other = f.out;
        f.in = f.out;
        f.in_row = f.out_row;
        f.lists = NULL;
    }
    f.out = y;
    f.out_row = y_row;
    f.logits = call->logits;
    cnn_forward_stage(&call->machine, &call->plan, last, &f);
}

bool cnn_inputs_are_good(const cnn_network *network, const void *x, size_t count)
{
    if (network->kernels->finite(1, count, x, count))
        return true;
    for (size_t j = 0; j < count; j++) {
        const double value =
            network->dtype == CNN_FLOAT32 ? ((const float *)x)[j] : ((const double *)x)[j];
        if (!isfinite(value) && !(network->shape.missing && isnan(value)))
            return false;
    }
    return true;
}

size_t cnn_count_nonfinite(const cnn_network *network, size_t rows, const void *x, size_t x_row,
                           const double *factor)
{
    const size_t cols = network->shape.inputs;
    size_t count = 0;
    if (network->kernels->finite(rows, cols, x, x_row))
        return 0;
    for (size_t i = 0; i < rows; i++)
        count +=
            factor[i] != 0 && !cnn_inputs_are_good(network, cnn_at(network, x, i * x_row), cols);
    return count;
}

/* ---- Arguments --------------------------------------------------------------------------- */

/* Bytes from a workspace to the first cache line that begins in it. */
static size_t skip_of(const void *workspace)
{
    return (CNN_LINE - (uintptr_t)workspace % CNN_LINE) % CNN_LINE;
}

size_t cnn_workspace_usable(const void *workspace, size_t workspace_size)
{
    const size_t skip = skip_of(workspace);
    if (!workspace)
        return SIZE_MAX;
    return workspace_size > skip ? workspace_size - skip : 0;
}

cnn_status cnn_workspace_scratch(const cnn_plan *plan, size_t least, void *workspace,
                                 size_t workspace_size, char **scratch)
{
    if (plan->block == 0)
        return cnn_fail(CNN_ERROR_ARGUMENT, "workspace has %zu bytes, needs at least %zu",
                        workspace_size, least + CNN_LINE - 1);
    *scratch = workspace ? (char *)workspace + skip_of(workspace)
                         : cnn_platform_scratch(plan->workers * plan->worker_bytes);
    if (!*scratch)
        return cnn_fail(CNN_ERROR_MEMORY, "out of memory for %zu bytes of scratch",
                        plan->workers * plan->worker_bytes);
    return CNN_OK;
}

cnn_status cnn_typed_matrix(const cnn_network *network, cnn_dtype type, const char *name,
                            const void *data, size_t rows, size_t cols, size_t stride,
                            cnn_matrix *matrix)
{
    if (!network)
        return cnn_fail(CNN_ERROR_ARGUMENT, "network is NULL");
    if (type != network->dtype)
        return cnn_fail(CNN_ERROR_TYPE, "%s is float%d, the network is float%d", name,
                        type == CNN_FLOAT32 ? 32 : 64, network->dtype == CNN_FLOAT32 ? 32 : 64);
    const cnn_status status = cnn_check_layout(name, data, rows, cols, stride);
    if (status != CNN_OK)
        return status;
    *matrix = (cnn_matrix){
        .struct_size = sizeof *matrix,
        .data = data,
        .dtype = type,
        .rows = rows,
        .cols = cols,
        .row_stride = (ptrdiff_t)(stride * network->real_size),
        .col_stride = (ptrdiff_t)network->real_size,
    };
    return CNN_OK;
}
