/* Tests of convert.c: every input type and layout against plain C conversions. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/convert.h"
#include "check.h"

enum { ROWS = 9, COLS = 21, DTYPES = 12 };

static const size_t element_sizes[DTYPES] = {4, 8, 2, 1, 1, 2, 4, 8, 1, 2, 4, 8};

/* A deterministic stream of bits, of which only variety is asked. */
static uint64_t next_bits(void)
{
    static uint64_t state = 1;
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (state ^ state >> 29) * UINT64_C(0x9E3779B97F4A7C15) >> 3 ^ state << 61;
}

/* The value of a float16 by its definition. */
static double half_value(uint16_t bits)
{
    const int exponent = bits >> 10 & 31;
    const double fraction = (bits & 1023) / 1024.0, sign = bits >> 15 ? -1.0 : 1.0;
    if (exponent == 31)
        return fraction > 0 ? (double)NAN : sign * (double)INFINITY;
    return sign * (exponent == 0 ? ldexp(fraction, -14) : ldexp(1 + fraction, exponent - 15));
}

#define READ(type)                                                                                 \
    type value;                                                                                    \
    memcpy(&value, at, sizeof value)

/* What one element is in float64 and, rounded once, in float32. */
static void expected_value(cnn_dtype dtype, const unsigned char *at, double *wide, float *narrow)
{
#define CNN_CASE(constant, type)                                                                   \
    case constant: {                                                                               \
        READ(type);                                                                                \
        *wide = (double)value;                                                                     \
        *narrow = (float)value;                                                                    \
        return;                                                                                    \
    }
    switch (dtype) {
        CNN_CASE(CNN_FLOAT32, float)
        CNN_CASE(CNN_FLOAT64, double)
        CNN_CASE(CNN_INT8, int8_t)
        CNN_CASE(CNN_INT16, int16_t)
        CNN_CASE(CNN_INT32, int32_t)
        CNN_CASE(CNN_INT64, int64_t)
        CNN_CASE(CNN_UINT8, uint8_t)
        CNN_CASE(CNN_UINT16, uint16_t)
        CNN_CASE(CNN_UINT32, uint32_t)
        CNN_CASE(CNN_UINT64, uint64_t)
    case CNN_FLOAT16: {
        READ(uint16_t);
        *wide = half_value(value);
        *narrow = (float)*wide;
        return;
    }
    case CNN_BOOL:
        *wide = *narrow = *at != 0;
        return;
    }
#undef CNN_CASE
}

static int same_double(double a, double b)
{
    return (isnan(a) && isnan(b)) || (a == b && !signbit(a) == !signbit(b));
}

/* Convert a matrix and compare each element; gaps of `out` must stay untouched. */
static void check_rows(const cnn_matrix *m, const size_t *index, size_t first, size_t count)
{
    enum { SPAN = COLS + 3 };
    static float narrow[ROWS * SPAN];
    static double wide[ROWS * SPAN];
    for (size_t i = 0; i < ROWS * SPAN; i++) {
        narrow[i] = -77;
        wide[i] = -77;
    }
    cnn_convert_rows(m, index, first, count, CNN_FLOAT32, narrow, SPAN);
    cnn_convert_rows(m, index, first, count, CNN_FLOAT64, wide, SPAN);
    size_t wrong = 0;
    for (size_t i = 0; i < ROWS; i++) {
        for (size_t j = 0; j < SPAN; j++) {
            double in_double = -77;
            float in_float = -77;
            if (i < count && j < m->cols) {
                const size_t row = index != NULL ? index[i] : first + i;
                expected_value(m->dtype,
                               (const unsigned char *)m->data + (ptrdiff_t)row * m->row_stride +
                                   (ptrdiff_t)j * m->col_stride,
                               &in_double, &in_float);
            }
            wrong += !same_double(wide[i * SPAN + j], in_double);
            wrong += !same_double((double)narrow[i * SPAN + j], (double)in_float);
        }
    }
    if (!CHECK(wrong == 0))
        printf("  dtype %d, strides %td %td\n", (int)m->dtype, m->row_stride, m->col_stride);
}

static void test_rows(cnn_dtype dtype)
{
    const ptrdiff_t size = (ptrdiff_t)element_sizes[dtype];
    static unsigned char memory[2 * ROWS * 3 * COLS * 8 + 1];
    static const size_t index[ROWS] = {3, 0, 8, 8, 1, 7, 2, 5, 4};
    for (size_t i = 0; i < sizeof memory; i++)
        memory[i] = (unsigned char)next_bits();
    CHECK(cnn_dtype_size(dtype) == element_sizes[dtype]);
    const ptrdiff_t strides[][2] = {{COLS * size, size},           /* without gaps */
                                    {COLS * size + 1, size},       /* unaligned rows */
                                    {COLS * (size + 3), size + 3}, /* unaligned elements */
                                    {size, ROWS * size},           /* column-major */
                                    {-COLS * size, size},          /* backwards */
                                    {COLS * size, -size},
                                    {-2 * COLS * size, -2 * size},
                                    {0, size}, /* broadcast */
                                    {COLS * size, 0}};
    unsigned char *middle = memory + sizeof memory / 2;
    for (size_t k = 0; k < sizeof strides / sizeof strides[0]; k++) {
        const ptrdiff_t row = strides[k][0], col = strides[k][1];
        unsigned char *base = memory;
        if (row < 0 || col < 0)
            base = middle;
        const cnn_matrix m = {sizeof m, base, dtype, ROWS, COLS, row, col};
        if (row < 0 && -row * (ROWS - 1) > middle - memory)
            continue;
        check_rows(&m, NULL, 0, ROWS);
        check_rows(&m, NULL, 2, 5);
        check_rows(&m, index, 0, ROWS);
        check_rows(&m, index, 0, 3);
        check_rows(&m, NULL, 4, 0);
        for (size_t cols = 0; cols < COLS; cols++) {
            const cnn_matrix part = {sizeof m, base + 1, dtype, ROWS, cols, row, col};
            check_rows(&part, index, 0, ROWS);
        }
    }
}

/* Every float16 exactly. */
static void test_halves(void)
{
    static uint16_t bits[65536];
    static float narrow[65536];
    static double wide[65536];
    for (size_t i = 0; i < 65536; i++)
        bits[i] = (uint16_t)i;
    const cnn_matrix m = {sizeof m, bits, CNN_FLOAT16, 1, 65536, 0, 2};
    cnn_convert_rows(&m, NULL, 0, 1, CNN_FLOAT32, narrow, 65536);
    cnn_convert_rows(&m, NULL, 0, 1, CNN_FLOAT64, wide, 65536);
    size_t wrong = 0;
    for (size_t i = 0; i < 65536; i++) {
        const double value = half_value((uint16_t)i);
        wrong += !same_double(wide[i], value) || !same_double((double)narrow[i], value);
    }
    CHECK(wrong == 0);
}

/* Integers beyond a float's precision are rounded once, to even in a tie. */
static void test_rounding(void)
{
    static const int64_t integers[4] = {16777217, 16777219, INT64_MAX, INT64_MIN};
    static const uint64_t naturals[3] = {UINT64_MAX, (UINT64_C(1) << 63) + 1,
                                         (UINT64_C(1) << 63) + (UINT64_C(1) << 39) + 1};
    static const double reals[3] = {1e300, 1.0 + 0x1p-24, 0x1p-149};
    float out[4];
    const cnn_matrix i = {sizeof i, integers, CNN_INT64, 1, 4, 0, 8};
    cnn_convert_rows(&i, NULL, 0, 1, CNN_FLOAT32, out, 4);
    CHECK(out[0] == 16777216.0f && out[1] == 16777220.0f && out[2] == 0x1p63f &&
          out[3] == -0x1p63f);
    const cnn_matrix n = {sizeof n, naturals, CNN_UINT64, 1, 3, 0, 8};
    cnn_convert_rows(&n, NULL, 0, 1, CNN_FLOAT32, out, 4);
    CHECK(out[0] == 0x1p64f && out[1] == 0x1p63f && out[2] == 0x1.000002p63f);
    const cnn_matrix r = {sizeof r, reals, CNN_FLOAT64, 1, 3, 0, 8};
    cnn_convert_rows(&r, NULL, 0, 1, CNN_FLOAT32, out, 4);
    CHECK(isinf(out[0]) && out[1] == 1.0f && out[2] == 0x1p-149f);
}

/* Many rows, so that the prefetches run their course, for rows of all lengths. */
static void test_gather(void)
{
    enum { MANY = 300, WIDE = 5000 };
    float *x = malloc((size_t)MANY * WIDE * sizeof *x),
          *y = malloc((size_t)MANY * WIDE * sizeof *y);
    size_t index[MANY];
    if (!CHECK(x != NULL && y != NULL))
        exit(check_finish());
    for (size_t i = 0; i < (size_t)MANY * WIDE; i++)
        x[i] = (float)i;
    for (size_t i = 0; i < MANY; i++)
        index[i] = next_bits() % MANY;
    const size_t widths[] = {1, 2, 15, 16, 17, 64, 1023, 1025, WIDE};
    for (size_t k = 0; k < sizeof widths / sizeof widths[0]; k++) {
        const size_t cols = widths[k];
        const cnn_matrix m = {sizeof m, x, CNN_FLOAT32, MANY, cols, (ptrdiff_t)(cols * 4), 4};
        cnn_convert_rows(&m, index, 0, MANY, CNN_FLOAT32, y, cols);
        size_t wrong = 0;
        for (size_t i = 0; i < MANY; i++)
            wrong += memcmp(y + i * cols, x + index[i] * cols, cols * 4) != 0;
        CHECK(wrong == 0);
    }
    free(x);
    free(y);
}

#define CHECK_LABELS(constant, type, ...)                                                          \
    do {                                                                                           \
        static const type values[] = {__VA_ARGS__};                                                \
        check_labels(constant, values, sizeof values / sizeof values[0], sizeof values[0],         \
                     wanted);                                                                      \
    } while (0)

static void check_labels(cnn_dtype dtype, const void *values, size_t count, size_t size,
                         const int64_t *wanted)
{
    int64_t out[8];
    size_t backwards[8];
    const cnn_matrix m = {sizeof m, values, dtype, count, 1, (ptrdiff_t)size, (ptrdiff_t)size};
    cnn_convert_labels(&m, NULL, 0, count, out);
    CHECK(memcmp(out, wanted, count * sizeof *out) == 0);
    for (size_t i = 0; i < count; i++)
        backwards[i] = count - 1 - i;
    cnn_convert_labels(&m, backwards, 0, count, out);
    for (size_t i = 0; i < count; i++)
        CHECK(out[i] == wanted[count - 1 - i]);
    cnn_convert_labels(&m, NULL, 1, count - 1, out);
    CHECK(memcmp(out, wanted + 1, (count - 1) * sizeof *out) == 0);
}

static void test_labels(void)
{
    {
        const int64_t wanted[] = {0, 9, -5, INT64_MAX, INT64_MIN};
        CHECK_LABELS(CNN_INT64, int64_t, 0, 9, -5, INT64_MAX, INT64_MIN);
    }
    {
        const int64_t wanted[] = {0, 9, -5};
        CHECK_LABELS(CNN_INT8, int8_t, 0, 9, -5);
        CHECK_LABELS(CNN_INT16, int16_t, 0, 9, -5);
        CHECK_LABELS(CNN_INT32, int32_t, 0, 9, -5);
    }
    {
        const int64_t wanted[] = {0, 9, 255};
        CHECK_LABELS(CNN_UINT8, uint8_t, 0, 9, 255);
        CHECK_LABELS(CNN_UINT16, uint16_t, 0, 9, 255);
        CHECK_LABELS(CNN_UINT32, uint32_t, 0, 9, 255);
    }
    {
        const int64_t wanted[] = {0, 1, 1};
        CHECK_LABELS(CNN_BOOL, uint8_t, 0, 1, 2);
    }
    {
        const int64_t wanted[] = {0, INT64_MAX, -1, -1};
        CHECK_LABELS(CNN_UINT64, uint64_t, 0, INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX);
    }
    {
        const int64_t wanted[] = {3, 0, -1, -1, -1, -1, -2, INT64_MIN};
        CHECK_LABELS(CNN_FLOAT64, double, 3, -0.0, 0.5, (double)NAN, (double)INFINITY, 0x1p63, -2,
                     -0x1p63);
        CHECK_LABELS(CNN_FLOAT32, float, 3, -0.0f, 0.5f, NAN, INFINITY, 0x1p63f, -2, -0x1p63f);
    }
    {
        const int64_t wanted[] = {1, 2048, -1, -1, -1, 0};
        CHECK_LABELS(CNN_FLOAT16, uint16_t, 0x3C00, 0x6800, 0x3800, 0x7C00, 0x7E00, 0x8000);
    }
}

int main(void)
{
    for (int dtype = 0; dtype < DTYPES; dtype++)
        test_rows((cnn_dtype)dtype);
    CHECK(cnn_dtype_size((cnn_dtype)DTYPES) == 0);
    CHECK(cnn_dtype_size((cnn_dtype)-1) == 0);
    test_halves();
    test_rounding();
    test_gather();
    test_labels();
    return check_finish();
}
