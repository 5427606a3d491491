/*
 * Reading matrices of any input type and layout. One loop over a row is compiled for each pair of
 * types. Elements are read with memcpy, since strides may leave them unaligned.
 */
#include "base/convert.h"

#include <stdbool.h>
#include <string.h>

#include "base/error.h"

/* Every input type: X(CONSTANT, C type, how its value is read, how it becomes a label). */
#define CNN_INPUTS(X)                                                                              \
    X(FLOAT32, float, same, label_of_real)                                                         \
    X(FLOAT64, double, same, label_of_real)                                                        \
    X(FLOAT16, uint16_t, half, label_of_real)                                                      \
    X(BOOL, uint8_t, truth, label_of_unsigned)                                                     \
    X(INT8, int8_t, same, label_of_signed)                                                         \
    X(INT16, int16_t, same, label_of_signed)                                                       \
    X(INT32, int32_t, same, label_of_signed)                                                       \
    X(INT64, int64_t, same, label_of_signed)                                                       \
    X(UINT8, uint8_t, same, label_of_unsigned)                                                     \
    X(UINT16, uint16_t, same, label_of_unsigned)                                                   \
    X(UINT32, uint32_t, same, label_of_unsigned)                                                   \
    X(UINT64, uint64_t, same, label_of_unsigned)

#define same(bits) (bits)

/* A bool as 0 or 1. A view of other memory may have another byte than 0 and 1, which is true. */
static inline uint8_t truth(uint8_t byte)
{
    return byte != 0;
}

/*
 * IEEE binary16 as float32, exactly; a NaN keeps its payload. All three cases are computed and one
 * is selected, so that the loop can be vectorised.
 */
static inline float half(uint16_t bits)
{
    const uint32_t bias = (uint32_t)(127 - 15) << 23; /* between the exponents' biases */
    const uint32_t magnitude = bits & 0x7FFFu;
    const uint32_t normal = (magnitude << 13) + bias;
    const uint32_t infinite = normal + bias; /* infinities and NaNs */
    const float denormal = (float)(int32_t)magnitude * 0x1p-24f;
    uint32_t word;
    memcpy(&word, &denormal, sizeof word);
    word = magnitude >= 0x0400u ? normal : word;
    word = magnitude >= 0x7C00u ? infinite : word;
    word |= (uint32_t)(bits & 0x8000u) << 16;
    float value;
    memcpy(&value, &word, sizeof value);
    return value;
}

/* ---- Rows -------------------------------------------------------------------------------- */

typedef void convert_row(const char *restrict row, ptrdiff_t stride, size_t cols,
                         void *restrict out);

/* Two copies of the loop: the compiler can vectorise the one with a constant stride. */
#define CNN_CONVERT_ROW(constant, type, read, real)                                                \
    static void constant##_to_##real(const char *restrict row, ptrdiff_t stride, size_t cols,      \
                                     void *restrict out)                                           \
    {                                                                                              \
        real *restrict y = out;                                                                    \
        type element;                                                                              \
        if (stride == (ptrdiff_t)sizeof element) {                                                 \
            for (size_t j = 0; j < cols; j++) {                                                    \
                memcpy(&element, row + j * sizeof element, sizeof element);                        \
                y[j] = (real)read(element);                                                        \
            }                                                                                      \
        } else {                                                                                   \
            for (size_t j = 0; j < cols; j++) {                                                    \
                memcpy(&element, row + (ptrdiff_t)j * stride, sizeof element);                     \
                y[j] = (real)read(element);                                                        \
            }                                                                                      \
        }                                                                                          \
    }
#define CNN_X(constant, type, read, label)                                                         \
    CNN_CONVERT_ROW(constant, type, read, float)                                                   \
    CNN_CONVERT_ROW(constant, type, read, double)
CNN_INPUTS(CNN_X)
#undef CNN_X
#undef CNN_CONVERT_ROW

#define CNN_X(constant, type, read, label)                                                         \
    [CNN_##constant] = {constant##_to_float, constant##_to_double},
static convert_row *const row_converters[][2] = {CNN_INPUTS(CNN_X)};
#undef CNN_X

#define CNN_X(constant, type, read, label) [CNN_##constant] = sizeof(type),
static const unsigned char element_sizes[] = {CNN_INPUTS(CNN_X)};
#undef CNN_X

size_t cnn_dtype_size(cnn_dtype dtype)
{
    return (size_t)dtype < sizeof element_sizes ? element_sizes[dtype] : 0;
}

/* The address of row i of the request. */
static inline const char *row_at(const cnn_matrix *matrix, const size_t *index, size_t first,
                                 size_t i)
{
    const size_t row = index != NULL ? index[i] : first + i;
    return (const char *)matrix->data + (ptrdiff_t)row * matrix->row_stride;
}

enum { LINE = 64, PREFETCH_LINES = 64, PREFETCH_BYTES = 8192, PREFETCH_ROWS = 16 };

/* Prefetch the first PREFETCH_LINES lines of a row; the hardware prefetches the others. */
static inline void prefetch(const char *row, size_t bytes)
{
#if defined(__GNUC__)
    const size_t lines = (bytes + LINE - 1) / LINE;
    for (size_t k = 0; k < lines && k < PREFETCH_LINES; k++)
        __builtin_prefetch(row + k * LINE);
#else
    (void)row;
    (void)bytes;
#endif
}

/*
 * How many rows ahead to prefetch. The hardware cannot predict the addresses of indexed rows, and
 * it does not follow parts of long rows from page to page. So each row is prefetched by software,
 * and about PREFETCH_BYTES of rows are in flight at once.
 */
static size_t rows_ahead(size_t row_bytes)
{
    const size_t rows = PREFETCH_BYTES / cnn_max(row_bytes, 1);
    return rows < 1 ? 1 : rows > PREFETCH_ROWS ? PREFETCH_ROWS : rows;
}

void cnn_convert_rows(const cnn_matrix *matrix, const size_t *index, size_t first, size_t count,
                      cnn_dtype dtype, void *out, size_t out_row)
{
    if (matrix->cols == 0)
        return;
    const size_t size = cnn_dtype_size(matrix->dtype), row_bytes = matrix->cols * size;
    const bool dense = matrix->col_stride == (ptrdiff_t)size || matrix->cols <= 1;
    const bool copy = dense && matrix->dtype == dtype;
    const bool apart = index != NULL || matrix->row_stride >= 2 * (ptrdiff_t)row_bytes;
    const size_t ahead = apart && dense ? rows_ahead(row_bytes) : count;
    /* The matrix was checked: NOLINTNEXTLINE(clang-analyzer-security.ArrayBound) */
    convert_row *const convert = row_converters[matrix->dtype][dtype == CNN_FLOAT64];
    char *to = out;
    for (size_t i = 0; i < ahead && ahead < count; i++)
        prefetch(row_at(matrix, index, first, i), row_bytes);
    for (size_t i = 0; i < count; i++) {
        if (ahead < count - i)
            prefetch(row_at(matrix, index, first, i + ahead), row_bytes);
        const char *row = row_at(matrix, index, first, i);
        if (copy)
            memcpy(to, row, row_bytes);
        else
            convert(row, matrix->col_stride, matrix->cols, to);
        to += out_row * cnn_dtype_size(dtype);
    }
}

size_t cnn_convert_addresses(const cnn_matrix *matrix, const size_t *index, size_t count,
                             const void **out)
{
    const size_t size = cnn_dtype_size(matrix->dtype);
    if (matrix->col_stride != (ptrdiff_t)size && matrix->cols > 1)
        return 0;
    for (size_t i = 0; i < count; i++)
        out[i] = row_at(matrix, index, 0, i);
    return matrix->cols * size;
}

/* ---- Labels ------------------------------------------------------------------------------ */

static inline int64_t label_of_signed(int64_t value)
{
    return value;
}

static inline int64_t label_of_unsigned(uint64_t value)
{
    return value <= INT64_MAX ? (int64_t)value : -1;
}

static inline int64_t label_of_real(double value)
{
    if (!(value >= (double)INT64_MIN && value < -(double)INT64_MIN)) /* also if it is NaN */
        return -1;
    const int64_t whole = (int64_t)value;
    return (double)whole == value ? whole : -1;
}

#define CNN_X(constant, type, read, label)                                                         \
    static int64_t constant##_label(const char *at)                                                \
    {                                                                                              \
        type element;                                                                              \
        memcpy(&element, at, sizeof element);                                                      \
        return label(read(element));                                                               \
    }
CNN_INPUTS(CNN_X)
#undef CNN_X

#define CNN_X(constant, type, read, label) [CNN_##constant] = constant##_label,
static int64_t (*const label_readers[])(const char *) = {CNN_INPUTS(CNN_X)};
#undef CNN_X

void cnn_convert_labels(const cnn_matrix *matrix, const size_t *index, size_t first, size_t count,
                        int64_t *out)
{
    int64_t (*const label_at)(const char *) = label_readers[matrix->dtype];
    for (size_t i = 0; i < count; i++)
        out[i] = label_at(row_at(matrix, index, first, i));
}
