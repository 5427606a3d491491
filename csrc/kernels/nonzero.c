/* The nonzero index of a matrix: bits of its numbers, and lists of the k that a product needs. */
#include "kernels/local.h"
#include "kernels/rows.h"

/* The bits of a vector's nonzero numbers, and their least magnitude; unused lanes are 0. */
INLINE uint64_t nonzero_bits(v_real value, v_real *smallest)
{
    const v_mask zero = v_eq(value, v_zero());
    *smallest = v_min(v_select(zero, v_set1((real)INFINITY), v_abs(value)), *smallest);
    return (uint64_t)(v_bits(zero) ^ V_ALL_BITS);
}

/* One row's bits, unless map is NULL; returns the least magnitude of its nonzero numbers. */
static double nonzero_row(size_t cols, const real *x, uint64_t *map, size_t words)
{
    v_real smallest = v_set1((real)INFINITY);
    for (size_t w = 0; w < words; w++, x += CNN_MAP_BITS) {
        const size_t left = cols - w * CNN_MAP_BITS;
        uint64_t word = 0;
        if (left >= CNN_MAP_BITS) {
            ROW_UNROLL
            for (size_t j = 0; j < CNN_MAP_BITS; j += V_LANES)
                word |= nonzero_bits(v_load(x + j), &smallest) << j;
        } else {
            for (size_t j = 0; j < left; j += V_LANES)
                word |= nonzero_bits(row_load(x + j, left - j < V_LANES ? left - j : V_LANES),
                                     &smallest)
                        << j;
        }
        if (map)
            map[w] = word;
    }
    return -(double)v_fold_max(v_sub(v_zero(), smallest));
}

void KERNEL(nonzero)(size_t rows, size_t cols, const void *x, size_t x_row, uint64_t *map,
                     size_t words, double *smallest)
{
    for (size_t i = 0; i < rows; i++) {
        const double least =
            nonzero_row(cols, (const real *)x + i * x_row, map ? map + i * words : NULL, words);
        if (smallest)
            smallest[i] = least;
    }
}

/* For each value of four bits: the positions of the set bits, and how many there are. */
static const unsigned char set_bits[16][5] = {
    {0, 0, 0, 0, 0}, {0, 0, 0, 0, 1}, {1, 0, 0, 0, 1}, {0, 1, 0, 0, 2},
    {2, 0, 0, 0, 1}, {0, 2, 0, 0, 2}, {1, 2, 0, 0, 2}, {0, 1, 2, 0, 3},
    {3, 0, 0, 0, 1}, {0, 3, 0, 0, 2}, {1, 3, 0, 0, 2}, {0, 1, 3, 0, 3},
    {2, 3, 0, 0, 2}, {0, 2, 3, 0, 3}, {1, 2, 3, 0, 3}, {0, 1, 2, 3, 4},
};

/* Append the positions of a word's set bits plus `first`; four bytes are stored at a time. */
static unsigned char *append(uint64_t word, uint32_t first, unsigned char *at)
{
    for (; word; word >>= 4, first += 4) {
        uint32_t places;
        memcpy(&places, set_bits[word & 15], sizeof places);
        places += first * 0x01010101u;
        memcpy(at, &places, sizeof places);
        at += set_bits[word & 15][4];
    }
    return at;
}

void KERNEL(list_rows)(size_t m, size_t k, const uint64_t *map, size_t words, cnn_lists *lists)
{
    for (size_t i = 0, g = 0; i < m; i += LIST_ROWS, g++) {
        const size_t rows = m - i < LIST_ROWS ? m - i : LIST_ROWS;
        for (size_t begin = 0, c = 0; begin < k; begin += CNN_CHUNK, c++) {
            unsigned char *const start = lists->at + g * lists->row + begin, *at = start;
            for (size_t w = 0; w < CNN_CHUNK / CNN_MAP_BITS && begin / CNN_MAP_BITS + w < words;
                 w++) {
                uint64_t word = 0;
                for (size_t r = 0; r < rows; r++)
                    word |= map[(i + r) * words + begin / CNN_MAP_BITS + w];
                at = append(word, (uint32_t)(w * CNN_MAP_BITS), at);
            }
            lists->count[g * lists->chunks + c] = (uint16_t)(at - start);
        }
    }
}

void KERNEL(list_columns)(size_t m, size_t k, const uint64_t *map, size_t words, size_t first,
                          cnn_lists *lists)
{
    for (size_t i = first, g = 0; i < first + m; i += LIST_ROWS, g++) {
        const uint64_t mask = (((uint64_t)1 << LIST_ROWS) - 1) << i % CNN_MAP_BITS;
        for (size_t begin = 0, c = 0; begin < k; begin += CNN_CHUNK, c++) {
            unsigned char *const at = lists->at + g * lists->row + begin;
            const size_t length = k - begin < CNN_CHUNK ? k - begin : CNN_CHUNK;
            const uint64_t *word = map + begin * words + i / CNN_MAP_BITS;
            size_t count = 0;
            for (size_t n = 0; n < length; n++, word += words) {
                at[count] = (unsigned char)n;
                count += (*word & mask) != 0;
            }
            lists->count[g * lists->chunks + c] = (uint16_t)count;
        }
    }
}

/* Add x - x, which is 0 if x is finite and NaN otherwise, for n numbers to four sums: an addition
 * waits for the one before it in the same sum. */
INLINE void add_differences(size_t n, const real *p, v_real zeros[4])
{
    size_t j = 0;
    for (; j + 4 * V_LANES <= n; j += 4 * V_LANES) {
        UNROLL
        for (size_t q = 0; q < 4; q++) {
            const v_real part = v_load(p + j + q * V_LANES);
            zeros[q] = v_add(zeros[q], v_sub(part, part));
        }
    }
    for (; j < n; j += V_LANES) {
        const v_real part = row_load(p + j, n - j < V_LANES ? n - j : V_LANES);
        zeros[0] = v_add(zeros[0], v_sub(part, part));
    }
}

int KERNEL(finite)(size_t rows, size_t cols, const void *x, size_t x_row)
{
    v_real zeros[4] = {v_zero(), v_zero(), v_zero(), v_zero()};
    for (size_t i = 0; i < rows; i++)
        add_differences(cols, (const real *)x + i * x_row, zeros);
    const v_real sum = v_add(v_add(zeros[0], zeros[1]), v_add(zeros[2], zeros[3]));
    return v_all(v_eq(sum, v_zero()));
}

/* Vectors of largest numbers, and of sums of 0 x, side by side, since each operation waits for the
 * one before it. 0 x is 0 if x is finite, and NaN otherwise. */
#define SIZES ((size_t)4)

/* Include a vector of which `left` numbers count. */
INLINE void add_sizes(const real *p, size_t left, v_real *most, v_real *zeros)
{
    const v_real part = row_load(p, left);
    *most = v_max(v_abs(part), *most);
    *zeros = v_fma(v_zero(), part, *zeros);
}

double KERNEL(largest)(size_t rows, size_t cols, const void *x, size_t x_row)
{
    const real *p = x;
    v_real most[SIZES], zeros[SIZES];
    for (size_t q = 0; q < SIZES; q++)
        most[q] = zeros[q] = v_zero();
    for (size_t i = 0; i < rows; i++, p += x_row) {
        size_t j = 0;
        for (; j + SIZES * V_LANES <= cols; j += SIZES * V_LANES) {
            UNROLL
            for (size_t q = 0; q < SIZES; q++)
                add_sizes(p + j + q * V_LANES, V_LANES, &most[q], &zeros[q]);
        }
        for (; j + V_LANES <= cols; j += V_LANES)
            add_sizes(p + j, V_LANES, &most[0], &zeros[0]);
        if (j < cols)
            add_sizes(p + j, cols - j, &most[1], &zeros[1]);
    }
    const v_real zero = v_add(v_add(zeros[0], zeros[1]), v_add(zeros[2], zeros[3]));
    if (!v_all(v_eq(zero, v_zero())))
        return (double)INFINITY;
    return (double)v_fold_max(v_max(v_max(most[0], most[1]), v_max(most[2], most[3])));
}
