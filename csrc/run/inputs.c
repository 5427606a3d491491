#include "run/inputs.h"

#include "base/convert.h"

/* One row in so many is counted to find where the work is. */
#define WORK_ROWS 8

static cnn_input_rows *next(cnn_inputs *inputs)
{
    return &inputs->buffers[1 - inputs->present];
}

static bool is_indexed(const cnn_input_rows *rows)
{
    return atomic_load_explicit(&rows->indexed, memory_order_relaxed);
}

static void set_indexed(cnn_input_rows *rows, bool indexed)
{
    atomic_store_explicit(&rows->indexed, indexed, memory_order_relaxed);
}

static size_t words_of(const cnn_inputs *inputs)
{
    return cnn_map_words(inputs->network->shape.inputs);
}

static void lay_out_rows(cnn_input_rows *rows, const cnn_inputs *inputs, cnn_arena *arena)
{
    rows->x = cnn_arena_take(arena, inputs->capacity, inputs->row * inputs->network->real_size);
    rows->map = cnn_arena_take(arena, inputs->capacity, words_of(inputs) * sizeof *rows->map);
    rows->smallest = cnn_arena_take(arena, inputs->capacity, sizeof *rows->smallest);
}

void cnn_inputs_lay_out(cnn_inputs *inputs, const cnn_network *network, size_t capacity,
                        size_t workers, bool ahead, cnn_arena *arena)
{
    const size_t cols = network->shape.inputs, group = network->shape.group;
    inputs->network = network;
    inputs->capacity = capacity;
    inputs->row = network->shape.input_row;
    for (int i = 0; i < (ahead ? 2 : 1); i++)
        lay_out_rows(&inputs->buffers[i], inputs, arena);
    inputs->soon = cnn_arena_take(arena, capacity, sizeof *inputs->soon);
    const size_t forward = cnn_lists_bytes(group, cnn_min(CNN_BLOCK_ROWS, capacity), cols);
    const size_t gradient = cnn_lists_bytes(group, cnn_min(CNN_TASK_ROWS, cols), capacity);
    inputs->lists_bytes = cnn_round_up(cnn_max(forward, gradient), CNN_LINE);
    inputs->lists = cnn_arena_take(arena, workers, inputs->lists_bytes);
    inputs->work = cnn_arena_take(arena, words_of(inputs) + 1, sizeof *inputs->work);
}

/* Map rows [first, first + count), unless rows before have shown that it does not pay. */
static void map_rows(const cnn_inputs *inputs, cnn_input_rows *rows, size_t first, size_t count)
{
    const cnn_network *network = inputs->network;
    if (is_indexed(rows) &&
        !cnn_map_rows(network, count, cnn_at(network, rows->x, first * inputs->row), inputs->row,
                      rows->map + first * words_of(inputs), rows->smallest + first))
        set_indexed(rows, false);
}

/* ---- The next batch ---------------------------------------------------------------------- */

void cnn_inputs_find_next(cnn_inputs *inputs, const cnn_matrix *source, const size_t *index,
                          size_t rows)
{
    inputs->source = source;
    inputs->index = index;
    inputs->next_rows = rows;
    inputs->soon_bytes = rows > 0 ? cnn_convert_addresses(source, index, rows, inputs->soon) : 0;
    set_indexed(next(inputs), cnn_plan_indexes(&inputs->network->shape, rows));
}

void cnn_inputs_gather_next(cnn_inputs *inputs, size_t begin, size_t end)
{
    const cnn_network *network = inputs->network;
    cnn_input_rows *rows = next(inputs);
    if (!rows->x || begin == end)
        return;
    cnn_convert_rows(inputs->source, inputs->index + begin, 0, end - begin, network->dtype,
                     cnn_at(network, rows->x, begin * inputs->row), inputs->row);
    map_rows(inputs, rows, begin, end - begin);
}

/* ---- The present batch ------------------------------------------------------------------- */

void cnn_inputs_begin(cnn_inputs *inputs, const cnn_plan *plan, bool follows)
{
    inputs->gathered = follows && next(inputs)->x;
    if (inputs->gathered)
        inputs->present = 1 - inputs->present;
    cnn_input_rows *rows = cnn_inputs_present(inputs);
    if (!inputs->gathered)
        set_indexed(rows, plan->zeros);
    if (is_indexed(rows) && !cnn_nonzero_forward_is_exact(inputs->network, plan->form))
        set_indexed(rows, false);
}

void cnn_inputs_gather(cnn_inputs *inputs, const cnn_matrix *source, const size_t *index,
                       size_t first, size_t rows)
{
    const cnn_network *network = inputs->network;
    cnn_input_rows *present = cnn_inputs_present(inputs);
    if (inputs->gathered)
        return;
    cnn_convert_rows(source, index ? index + first : NULL, first, rows, network->dtype,
                     cnn_at(network, present->x, first * inputs->row), inputs->row);
    map_rows(inputs, present, first, rows);
}

/* A worker's memory for lists. */
static void *memory_of(const cnn_inputs *inputs, size_t worker)
{
    return inputs->lists + worker * inputs->lists_bytes;
}

const cnn_lists *cnn_inputs_forward_lists(cnn_inputs *inputs, size_t first, size_t m, size_t worker,
                                          cnn_lists *lists)
{
    const cnn_input_rows *present = cnn_inputs_present(inputs);
    if (!is_indexed(present))
        return NULL;
    *lists = cnn_lists_of_rows(memory_of(inputs, worker), inputs->network, m,
                               present->map + first * words_of(inputs));
    return lists;
}

const cnn_lists *cnn_inputs_gradient_lists(cnn_inputs *inputs, size_t first, size_t m, size_t rows,
                                           size_t worker, cnn_lists *lists)
{
    const cnn_input_rows *present = cnn_inputs_present(inputs);
    if (!is_indexed(present))
        return NULL;
    *lists = cnn_lists_of_columns(memory_of(inputs, worker), inputs->network, first, m, rows,
                                  present->map);
    return lists;
}

/* Count what some of the rows have in each word of the map. */
static void find_work(cnn_inputs *inputs, size_t rows)
{
    const uint64_t *map = cnn_inputs_present(inputs)->map;
    const size_t words = words_of(inputs);
    inputs->work[0] = 0;
    for (size_t w = 0; w < words; w++) {
        size_t count = 1;
        for (size_t i = 0; i < rows; i += WORK_ROWS)
            count += cnn_count_bits(map[i * words + w]);
        inputs->work[w + 1] = inputs->work[w] + count;
    }
}

size_t cnn_inputs_work(cnn_inputs *inputs, size_t i)
{
    if (!is_indexed(cnn_inputs_present(inputs)))
        return i;
    const size_t *work = &inputs->work[i / CNN_MAP_BITS], part = i % CNN_MAP_BITS;
    return work[0] * CNN_MAP_BITS + (part > 0 ? (work[1] - work[0]) * part : 0);
}

void cnn_inputs_check_delta(cnn_inputs *inputs, size_t rows, const void *delta, size_t row)
{
    cnn_input_rows *present = cnn_inputs_present(inputs);
    if (!is_indexed(present))
        return;
    if (cnn_nonzero_gradient_is_exact(inputs->network, rows, delta, row, present->smallest))
        find_work(inputs, rows);
    else
        set_indexed(present, false);
}
