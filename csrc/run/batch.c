#include "run/batch.h"

#include <stdlib.h>

static void lay_out(cnn_batch *batch, bool ahead, cnn_arena *arena)
{
    const cnn_network *network = batch->network;
    const size_t rows = batch->capacity, size = network->real_size, workers = batch->workers;
    cnn_inputs_lay_out(&batch->inputs, network, rows, workers, ahead, arena);
    batch->targets.t_row = cnn_stride_span(network->shape.outputs, size);
    batch->targets.t = cnn_arena_take(arena, rows, batch->targets.t_row * size);
    batch->targets.labels = cnn_arena_take(arena, rows, sizeof *batch->targets.labels);
    batch->targets.weight = cnn_arena_take(arena, rows, sizeof *batch->targets.weight);
    batch->targets.factor = cnn_arena_take(arena, rows, sizeof *batch->targets.factor);
    batch->loss_rows = cnn_arena_take(arena, rows, sizeof *batch->loss_rows);
    batch->scale = cnn_arena_take(arena, rows, sizeof *batch->scale);
    batch->counters = cnn_arena_take(arena, workers, CNN_LINE);
    batch->largest =
        cnn_arena_take(arena, workers, cnn_batch_largest_span(network) * sizeof(double));
    batch->scratch = cnn_arena_take(arena, workers, cnn_stage_scratch(network->kernels) * size);
    for (size_t s = 0; s < network->stage_count; s++)
        cnn_walk_lay_out(network, &network->stages[s], &batch->stages[s], rows, rows, true, arena);
}

cnn_status cnn_batch_create(const cnn_network *network, const cnn_machine *machine, size_t capacity,
                            cnn_batch **batch)
{
    cnn_batch *made = calloc(1, sizeof *made);
    if (made)
        made->stages = calloc(network->stage_count, sizeof *made->stages);
    if (!made || !made->stages) {
        cnn_batch_destroy(made);
        return cnn_fail(CNN_ERROR_MEMORY, "out of memory for a batch");
    }
    made->network = network;
    made->machine = *machine;
    made->capacity = capacity;
    made->workers = machine->threads;
    const bool ahead = cnn_plan_gathers_ahead(machine, &network->shape, capacity);
    cnn_arena arena = {.memory = NULL};
    lay_out(made, ahead, &arena);
    if (!arena.overflow)
        made->memory = cnn_platform_allocate(arena.used);
    if (!made->memory) {
        cnn_batch_destroy(made);
        return cnn_fail(CNN_ERROR_MEMORY, "out of memory for a batch of %zu rows", capacity);
    }
    arena = (cnn_arena){.memory = made->memory};
    lay_out(made, ahead, &arena);
    *batch = made;
    return CNN_OK;
}

void cnn_batch_destroy(cnn_batch *batch)
{
    if (!batch)
        return;
    cnn_platform_free(batch->memory);
    free(batch->stages);
    free(batch);
}

cnn_status cnn_batch_reserve(const cnn_network *network, size_t rows, cnn_batch **batch)
{
    const cnn_machine machine = cnn_machine_now();
    if (*batch && (*batch)->capacity >= rows && (*batch)->workers >= machine.threads) {
        (*batch)->machine = machine;
        return CNN_OK;
    }
    size_t capacity = cnn_max(rows, 1);
    if (*batch)
        capacity = cnn_max(capacity, (*batch)->capacity);
    cnn_batch *made = NULL;
    const cnn_status status = cnn_batch_create(network, &machine, capacity, &made);
    if (status != CNN_OK)
        return status;
    cnn_batch_destroy(*batch);
    *batch = made;
    return CNN_OK;
}

const void *cnn_batch_input(const cnn_batch *batch, const cnn_stage *stage, size_t *row)
{
    const cnn_stage *source = cnn_walk_source(batch->network, stage, batch->step);
    if (!source) {
        *row = batch->inputs.row;
        return batch->inputs.buffers[batch->inputs.present].x;
    }
    *row = batch->stages[source->index].row;
    return batch->stages[source->index].output;
}

cnn_passed cnn_batch_passed(const cnn_batch *batch, const cnn_stage *stage)
{
    const cnn_stage_memory *memory = &batch->stages[stage->index];
    cnn_passed passed = {
        .rows = batch->plan.rows,
        .before = memory->before,
        .before_row = memory->row,
        .delta = memory->delta,
        .delta_row = memory->row,
        .order = memory->order,
    };
    passed.in = cnn_batch_input(batch, stage, &passed.in_row);
    return passed;
}
