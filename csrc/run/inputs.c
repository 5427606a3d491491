#include "run/inputs.h"

#include "base/convert.h"

/* Larger batches are not gathered ahead: they would push the rest out of the L2 cache meanwhile. */
#define AHEAD_BYTES ((size_t)1024 * 1024)

/* One row in so many is counted to find where the work is. */
#define WORK_ROWS 8

static void lay_out_rows(cnn_input_rows *rows, const cnn_inputs *inputs, cnn_arena *arena)
{
    const cnn_network *network = inputs->network;
    rows->x = cnn_arena_take(arena, inputs->capacity, inputs->row * network->real_size);
    rows->map = cnn_arena_take(arena, inputs->capacity, cnn_map_words(network) * sizeof *rows->map);
    rows->smallest = cnn_arena_take(arena, inputs->capacity, sizeof *rows->smallest);
    rows->dense = cnn_arena_take(arena, 1, sizeof *rows->dense);
}

void cnn_inputs_lay_out(cnn_inputs *inputs, const cnn_network *network, size_t capacity,
                        size_t workers, size_t block_rows, size_t task_rows, cnn_arena *arena)
{
    const size_t cols = cnn_network_inputs(network);
    inputs->network = network;
    inputs->capacity = capacity;
    inputs->row = cnn_row_span(network, cols);
    lay_out_rows(&inputs->present, inputs, arena);
    inputs->soon = cnn_arena_take(arena, capacity, sizeof *inputs->soon);
    size_t bytes;
    if (cnn_multiply(capacity, inputs->row * network->real_size, &bytes) && bytes <= AHEAD_BYTES)
        lay_out_rows(&inputs->next, inputs, arena);
    inputs->lists_bytes =
        cnn_round_up(cnn_max(cnn_lists_bytes(network, cnn_min(block_rows, capacity), cols),
                             cnn_lists_bytes(network, cnn_min(task_rows, cols), capacity)),
                     64);
    inputs->lists = cnn_arena_take(arena, workers, inputs->lists_bytes);
    inputs->work = cnn_arena_take(arena, cnn_map_words(network) + 1, sizeof *inputs->work);
}

/* Map rows [first, first + count), unless others have shown that it does not pay. */
static void map_rows(const cnn_inputs *inputs, const cnn_input_rows *rows, size_t first,
                     size_t count)
{
    const cnn_network *network = inputs->network;
    if (atomic_load_explicit(rows->dense, memory_order_relaxed))
        return;
    if (!cnn_map_rows(network, count, cnn_at(network, rows->x, first * inputs->row), inputs->row,
                      rows->map + first * cnn_map_words(network), rows->smallest + first))
        atomic_store_explicit(rows->dense, true, memory_order_relaxed);
}

/* ---- The next batch ---------------------------------------------------------------------- */

void cnn_inputs_find_next(cnn_inputs *inputs, const cnn_matrix *source, const size_t *index,
                          size_t rows)
{
    inputs->source = source;
    inputs->index = index;
    inputs->next_rows = rows;
    inputs->soon_bytes = rows > 0 ? cnn_convert_addresses(source, index, rows, inputs->soon) : 0;
    if (inputs->next.x)
        atomic_init(inputs->next.dense, rows < inputs->network->kernels->group);
}

void cnn_inputs_gather_next(const cnn_inputs *inputs, size_t begin, size_t end)
{
    const cnn_network *network = inputs->network;
    if (!inputs->next.x || begin == end)
        return;
    cnn_convert_rows(inputs->source, inputs->index + begin, 0, end - begin, network->dtype,
                     cnn_at(network, inputs->next.x, begin * inputs->row), inputs->row);
    map_rows(inputs, &inputs->next, begin, end - begin);
}

/* ---- The present batch ------------------------------------------------------------------- */

void cnn_inputs_begin(cnn_inputs *inputs, size_t rows, bool follows, bool in_place)
{
    const cnn_network *network = inputs->network;
    inputs->gathered = follows && inputs->next.x;
    if (inputs->gathered) {
        const cnn_input_rows present = inputs->next;
        inputs->next = inputs->present;
        inputs->present = present;
    } else {
        atomic_init(inputs->present.dense, rows < network->kernels->group);
    }
    atomic_bool *const dense = inputs->present.dense;
    if (!atomic_load_explicit(dense, memory_order_relaxed) &&
        !cnn_sparse_forward_is_exact(network, in_place))
        atomic_store_explicit(dense, true, memory_order_relaxed);
}

void cnn_inputs_gather(const cnn_inputs *inputs, const cnn_matrix *source, const size_t *index,
                       size_t start, size_t first, size_t rows)
{
    const cnn_network *network = inputs->network;
    if (inputs->gathered)
        return;
    cnn_convert_rows(source, index ? index + first : NULL, start + first, rows, network->dtype,
                     cnn_at(network, inputs->present.x, first * inputs->row), inputs->row);
    map_rows(inputs, &inputs->present, first, rows);
}

static bool is_dense(const cnn_inputs *inputs)
{
    return atomic_load_explicit(inputs->present.dense, memory_order_relaxed);
}

/* A worker's memory for lists. */
static void *memory_of(const cnn_inputs *inputs, size_t worker)
{
    return inputs->lists + worker * inputs->lists_bytes;
}

const cnn_lists *cnn_inputs_forward_lists(const cnn_inputs *inputs, size_t first, size_t m,
                                          size_t worker, cnn_lists *lists)
{
    const cnn_network *network = inputs->network;
    if (is_dense(inputs))
        return NULL;
    *lists = cnn_lists_of_rows(memory_of(inputs, worker), network, m,
                               inputs->present.map + first * cnn_map_words(network));
    return lists;
}

const cnn_lists *cnn_inputs_gradient_lists(const cnn_inputs *inputs, size_t first, size_t m,
                                           size_t rows, size_t worker, cnn_lists *lists)
{
    if (is_dense(inputs))
        return NULL;
    *lists = cnn_lists_of_columns(memory_of(inputs, worker), inputs->network, first, m, rows,
                                  inputs->present.map);
    return lists;
}

/* Count what some of the rows have in each word of the map. */
static void find_work(const cnn_inputs *inputs, size_t rows)
{
    const size_t words = cnn_map_words(inputs->network);
    inputs->work[0] = 0;
    for (size_t w = 0; w < words; w++) {
        size_t count = 1;
        for (size_t i = 0; i < rows; i += WORK_ROWS)
            count += cnn_count_bits(inputs->present.map[i * words + w]);
        inputs->work[w + 1] = inputs->work[w] + count;
    }
}

size_t cnn_inputs_work(const cnn_inputs *inputs, size_t i)
{
    if (is_dense(inputs))
        return i;
    const size_t *work = &inputs->work[i / CNN_MAP_BITS], part = i % CNN_MAP_BITS;
    return work[0] * CNN_MAP_BITS + (part > 0 ? (work[1] - work[0]) * part : 0);
}

void cnn_inputs_check_delta(const cnn_inputs *inputs, size_t rows, const void *delta, size_t row)
{
    if (is_dense(inputs))
        return;
    if (cnn_sparse_gradient_is_exact(inputs->network, rows, delta, row, inputs->present.smallest))
        find_work(inputs, rows);
    else
        atomic_store_explicit(inputs->present.dense, true, memory_order_relaxed);
}
