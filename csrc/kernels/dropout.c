/* Dropout. A mask is a function of the stream's key and of the element's row and column. */
#include "base/random.h"
#include "kernels/local.h"

/*
 * Random words of 64 columns: column j of the group takes word j / 16 of block j % 16, so that
 * sixteen counters run side by side in vectors.
 */
static void group_words(uint64_t key, uint64_t group, uint32_t words[64])
{
    for (size_t l = 0; l < 16; l++) {
        uint32_t block[4];
        cnn_random_block(key, group * 16 + l, block);
        for (size_t w = 0; w < 4; w++)
            words[w * 16 + l] = block[w];
    }
}

/* One row; in place allowed. Not inlined, as it is long with all of its rests. */
NOINLINE void apply(size_t count, const uint8_t *restrict keep, real scale, const real *x, real *y)
{
    for (size_t j = 0; j < count; j++)
        y[j] = keep[j] ? x[j] * scale : 0;
}

void KERNEL(dropout)(uint64_t key, double rate, size_t row, size_t rows, size_t cols, const void *x,
                     size_t x_row, uint8_t *keep, size_t keep_row, void *y, size_t y_row)
{
    const uint32_t threshold = (uint32_t)(rate * 4294967296.0);
    const real scale = (real)(1 / (1 - rate));
    const size_t groups = (cols + 63) / 64;
    for (size_t i = 0; i < rows; i++) {
        for (size_t g = 0; g < groups; g++) {
            uint8_t *kept = keep + i * keep_row + g * 64;
            uint32_t words[64];
            group_words(key, (uint64_t)(row + i) * groups + g, words);
            const size_t n = cols - g * 64 < 64 ? cols - g * 64 : 64;
            for (size_t j = 0; j < n; j++)
                kept[j] = words[j] >= threshold;
        }
        apply(cols, keep + i * keep_row, scale, (const real *)x + i * x_row, (real *)y + i * y_row);
    }
}

void KERNEL(dropout_again)(double rate, size_t rows, size_t cols, const void *x, size_t x_row,
                           const uint8_t *keep, size_t keep_row, void *y, size_t y_row)
{
    const real scale = (real)(1 / (1 - rate));
    for (size_t i = 0; i < rows; i++)
        apply(cols, keep + i * keep_row, scale, (const real *)x + i * x_row, (real *)y + i * y_row);
}
