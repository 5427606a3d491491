#include "run/walk.h"

#include <string.h>

#include "model/columns.h"
#include "run/forward.h"

void cnn_walk_lay_out(const cnn_network *network, const cnn_stage *stage, cnn_stage_memory *memory,
                      size_t rows, size_t deltas, bool packs, cnn_arena *arena)
{
    const size_t size = network->real_size;
    *memory = (cnn_stage_memory){.row = cnn_stride_span(stage->outputs, size)};
    const size_t row_bytes = memory->row * size;
    if (!cnn_stage_is_idle(stage, 0))
        memory->output = cnn_arena_take(arena, rows, row_bytes);
    if (stage->kind == &cnn_stage_dropout) {
        memory->delta = memory[-1].delta;
        memory->keep = cnn_arena_take(arena, rows, memory->row);
    } else if (stage->kind != &cnn_stage_standardize)
        memory->delta = cnn_arena_take(arena, deltas, row_bytes);
    if (stage->kind == &cnn_stage_columns && packs)
        memory->order =
            cnn_arena_take(arena, cnn_columns_order_span(&stage->columns, rows), sizeof(uint64_t));
    const bool dense = cnn_stage_is_dense(stage);
    if (dense && packs)
        memory->packed = cnn_arena_take(
            arena, deltas, cnn_round_up(stage->outputs, network->kernels->panel) * size);
    if (stage->kind == &cnn_stage_parametric_activation ||
        (dense && cnn_activation_needs_input((int)stage->activation.kind)))
        memory->before = cnn_arena_take(arena, rows, row_bytes);
}

void *cnn_walk_row(const cnn_network *network, const cnn_stage_memory *memory, void *buffer,
                   size_t first)
{
    return buffer ? cnn_at(network, buffer, first * memory->row) : NULL;
}

const cnn_stage *cnn_walk_source(const cnn_network *network, const cnn_stage *stage, int64_t step)
{
    while (stage > network->stages)
        if (!cnn_stage_is_idle(--stage, step))
            return stage;
    return NULL;
}

/* ---- Forward ----------------------------------------------------------------------------- */

void cnn_walk_forward(const cnn_walk *walk, const cnn_lists *lists, bool logits)
{
    const cnn_network *network = walk->network;
    const void *in = cnn_at(network, walk->in, walk->first * walk->in_row);
    cnn_forward f = {
        .first = walk->first,
        .rows = walk->rows,
        .seed = walk->seed,
        .step = walk->step,
        .dropout = walk->dropout,
        .in = in,
        .in_row = walk->in_row,
        .lists = lists,
    };
    for (size_t s = 0; s < network->stage_count; s++) {
        const cnn_stage *stage = &network->stages[s];
        const cnn_stage_memory *memory = &walk->stages[s];
        if (cnn_stage_is_idle(stage, walk->step))
            continue;
        f.out = cnn_walk_row(network, memory, memory->output, walk->first);
        f.out_row = memory->row;
        f.before = cnn_walk_row(network, memory, memory->before, walk->first);
        f.keep = memory->keep ? memory->keep + walk->first * memory->row : NULL;
        f.logits = logits && s + 1 == network->stage_count;
        cnn_forward_stage(walk->machine, walk->plan, stage, &f);
        f.in = f.out;
        f.in_row = f.out_row;
        f.lists = NULL;
    }
}

void cnn_walk_store_outputs(const cnn_network *network, const cnn_stage_memory *stages, size_t rows,
                            void *y, size_t y_row)
{
    const cnn_stage_memory *last = &stages[network->stage_count - 1];
    for (size_t i = 0; i < rows; i++)
        memcpy(cnn_at(network, y, i * y_row), cnn_walk_row(network, last, last->output, i),
               network->shape.outputs * network->real_size);
}

/* ---- Backward ---------------------------------------------------------------------------- */

/* The rows of a stage's delta. */
static void *delta_of(const cnn_walk *walk, const cnn_stage *stage)
{
    const cnn_stage_memory *memory = &walk->stages[stage->index];
    return cnn_walk_row(walk->network, memory, memory->delta, walk->fans_out ? 0 : walk->first);
}

/* From which numbers of a dense stage its derivative is taken, *row elements apart. */
static const void *derivative_of(const cnn_walk *walk, const cnn_stage *stage, size_t *row)
{
    const cnn_stage_memory *memory = &walk->stages[stage->index];
    *row = walk->fans_out ? 0 : memory->row;
    return cnn_walk_row(walk->network, memory, memory->before ? memory->before : memory->output,
                        walk->first);
}

void cnn_walk_through_output(const cnn_walk *walk)
{
    const cnn_stage *stage = cnn_network_last(walk->network);
    const cnn_kernels *kernels = walk->network->kernels;
    const size_t row = walk->stages[stage->index].row;
    void *delta = delta_of(walk, stage);
    size_t from_row;
    const void *from = derivative_of(walk, stage, &from_row);
    if (stage->activation.kind == CNN_SOFTMAX)
        kernels->softmax_backward(walk->rows, stage->outputs, delta, row, from, from_row, delta,
                                  row, 0);
    else if (stage->activation.kind != CNN_IDENTITY)
        kernels->activation_backward(&stage->activation, walk->rows, stage->outputs, delta, row,
                                     from, from_row, delta, row, 0);
}

/* The delta of what a stage reads from that of the stage; dx is that of the inputs, and of the
 * outputs of a first stage that is not dense. */
static void back_through(const cnn_walk *walk, const cnn_stage *stage, void *dx, size_t dx_row)
{
    const cnn_network *network = walk->network;
    const cnn_plan *plan = walk->plan;
    const cnn_stage_memory *memory = &walk->stages[stage->index];
    const cnn_stage *source = cnn_walk_source(network, stage, walk->step);
    const cnn_stage_memory *read = source ? &walk->stages[source->index] : NULL;
    const size_t panel = network->kernels->panel;
    cnn_backward b = {
        .rows = walk->rows,
        .dropout = walk->dropout,
        .delta = delta_of(walk, stage),
        .delta_row = memory->row,
        .in = read ? cnn_walk_row(network, read, read->output, walk->first)
                   : cnn_at(network, walk->in, walk->first * walk->in_row),
        .in_row = walk->fans_out ? 0
                  : read         ? read->row
                                 : walk->in_row,
        .before = cnn_walk_row(network, memory, memory->before, walk->first),
        .before_row = walk->fans_out ? 0 : memory->row,
        .keep = memory->keep ? memory->keep + walk->first * memory->row : NULL,
        .keep_row = walk->fans_out ? 0 : memory->row,
        .packed = memory->packed ? cnn_at(network, memory->packed, walk->first * panel) : NULL,
        .packed_panel = walk->capacity * panel,
        .to = dx,
        .to_row = dx_row,
        .form = plan->form,
        .threads = plan->split == CNN_SPLIT_COLUMNS ? plan->threads : 1,
        .worker = walk->worker,
        .scratch = walk->scratch,
    };
    if (!memory->delta) {
        b.delta = dx;
        b.delta_row = dx_row;
    }
    if (read && read->delta) {
        b.to = delta_of(walk, source);
        b.to_row = read->row;
        if (cnn_stage_is_dense(source) && source->activation.kind != CNN_IDENTITY) {
            b.activation = source->activation;
            b.derivative = derivative_of(walk, source, &b.derivative_row);
        }
    }
    stage->kind->backward(stage, &b);
}

void cnn_walk_back(const cnn_walk *walk, void *dx, size_t dx_row)
{
    const cnn_network *network = walk->network;
    for (size_t s = network->stage_count; s-- > 0;) {
        const bool ends = !walk->stages[s].delta && !dx;
        if (!ends && !cnn_stage_is_idle(&network->stages[s], walk->step))
            back_through(walk, &network->stages[s], dx, dx_row);
    }
}
