#include "run/nonzero.h"

#include <float.h>
#include <math.h>

/* By pairs, fours and eights. */
size_t cnn_count_bits(uint64_t word)
{
    word -= word >> 1 & 0x5555555555555555u;
    word = (word & 0x3333333333333333u) + (word >> 2 & 0x3333333333333333u);
    word = (word + (word >> 4)) & 0x0f0f0f0f0f0f0f0fu;
    return (size_t)(word * 0x0101010101010101u >> 56);
}

/* Inputs have zeros enough if groups of rows leave out one column in so many. */
#define LEAST_ZEROS 4

/* Whether rows leave out enough columns that are 0 in all of them. */
static bool have_zeros(const cnn_network *network, size_t rows, const uint64_t *map)
{
    const size_t cols = network->shape.inputs, words = cnn_map_words(cols);
    size_t used = 0;
    for (size_t w = 0; w < words; w++) {
        uint64_t any = 0;
        for (size_t i = 0; i < rows; i++)
            any |= map[i * words + w];
        used += cnn_count_bits(any);
    }
    return used <= cols - cols / LEAST_ZEROS;
}

/* The first row, the first group, then all: most inputs without zeros show it at once. */
bool cnn_map_rows(const cnn_network *network, size_t rows, const void *x, size_t x_row,
                  uint64_t *map, double *smallest)
{
    const size_t cols = network->shape.inputs, words = cnn_map_words(cols);
    const size_t ends[] = {cnn_min(1, rows), cnn_min(network->kernels->group, rows), rows};
    for (size_t e = 0, i = 0; e < 3 && i < rows; i = ends[e++]) {
        network->kernels->nonzero(ends[e] - i, cols, cnn_at(network, x, i * x_row), x_row,
                                  map + i * words, words, smallest ? smallest + i : NULL);
        if (e < 2 && !have_zeros(network, ends[e], map))
            return false;
    }
    return true;
}

/* Lists are stored by four bytes at a time. */
static size_t list_row(size_t k)
{
    return cnn_round_up(k, 4);
}

size_t cnn_lists_bytes(size_t group, size_t m, size_t k)
{
    return cnn_pieces(m, group) * (list_row(k) + cnn_pieces(k, CNN_CHUNK) * sizeof(uint16_t));
}

/* Lay out lists for a product (m, k). */
static cnn_lists lists_in(void *memory, const cnn_network *network, size_t m, size_t k)
{
    uint16_t *const count = memory;
    const size_t chunks = cnn_pieces(k, CNN_CHUNK);
    return (cnn_lists){
        .row = list_row(k),
        .chunks = chunks,
        .at = (unsigned char *)(count + cnn_pieces(m, network->kernels->group) * chunks),
        .count = count,
    };
}

cnn_lists cnn_lists_of_rows(void *memory, const cnn_network *network, size_t rows,
                            const uint64_t *map)
{
    const size_t k = network->shape.inputs;
    cnn_lists lists = lists_in(memory, network, rows, k);
    network->kernels->list_rows(rows, k, map, cnn_map_words(network->shape.inputs), &lists);
    return lists;
}

cnn_lists cnn_lists_of_columns(void *memory, const cnn_network *network, size_t first, size_t m,
                               size_t rows, const uint64_t *map)
{
    cnn_lists lists = lists_in(memory, network, m, rows);
    network->kernels->list_columns(m, rows, map, cnn_map_words(network->shape.inputs), first,
                                   &lists);
    return lists;
}

static double number(const cnn_network *network, const void *x, size_t i)
{
    return network->dtype == CNN_FLOAT32 ? ((const float *)x)[i] : ((const double *)x)[i];
}

static cnn_known can_leave_out(const cnn_network *network, cnn_form form)
{
    const cnn_stage *first = network->first_dense;
    for (size_t j = 0; j < first->outputs; j++) {
        const double bias = number(network, first->tensors[CNN_BIAS], j);
        if (bias == 0 && signbit(bias))
            return CNN_NO;
    }
    return cnn_weight_is_finite(&first->weight, form) ? CNN_YES : CNN_NO;
}

bool cnn_nonzero_forward_is_exact(const cnn_network *network, cnn_form form)
{
    int found = atomic_load_explicit(network->leaves_out, memory_order_relaxed);
    if (found == CNN_UNKNOWN) {
        found = (int)can_leave_out(network, form);
        atomic_store_explicit(network->leaves_out, found, memory_order_relaxed);
    }
    return found == CNN_YES;
}

bool cnn_nonzero_gradient_is_exact(const cnn_network *network, size_t rows, const void *delta,
                                   size_t row, const double *smallest)
{
    /* Sums of products that are multiples of the least denormal number are such multiples, too, and
     * round to 0 only if they are 0; such a sum is +0. A product has twice the digits. */
    const bool single = network->dtype == CNN_FLOAT32;
    const int digits = single ? FLT_MANT_DIG : DBL_MANT_DIG;
    const int least = single ? FLT_MIN_EXP - FLT_MANT_DIG : DBL_MIN_EXP - DBL_MANT_DIG;
    const size_t outputs = network->first_dense->outputs;
    double x = INFINITY, d = INFINITY;
    for (size_t i = 0; i < rows; i++) {
        const void *delta_row = cnn_at(network, delta, i * row);
        double of_row;
        if (!network->kernels->finite(1, outputs, delta_row, outputs))
            return false;
        network->kernels->nonzero(1, outputs, delta_row, row, NULL, cnn_map_words(outputs),
                                  &of_row);
        x = fmin(x, smallest[i]);
        d = fmin(d, of_row);
    }
    return isinf(x) || isinf(d) || ilogb(x) + ilogb(d) - 2 * (digits - 1) >= least;
}
