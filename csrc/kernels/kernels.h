/*
 * The list of kernels: what each instruction set provides, in float32 and float64.
 *
 * Every kernel is written once over simd/ and compiled for each (instruction set, type). Kernels
 * allocate nothing, spawn nothing and check nothing; the floor above does. Pointers to numbers
 * are void here because one table type serves both types; `real` below means float or double.
 * Strides are in elements.
 */
#ifndef CNN_KERNELS_H
#define CNN_KERNELS_H

#include "base/names.h"

typedef struct cnn_span {
    const void *start;
    size_t bytes;
} cnn_span;

/* Sums over k are cut into chunks of so many (numerics contract, rule 3). */
#define CNN_CHUNK ((size_t)256)

/* Columns whose bits share a word of a map of where a matrix is not 0: the lowest is the first. */
#define CNN_MAP_BITS ((size_t)64)

/*
 * Which k's a product needs: for each group of kernels->group rows of a and each chunk of k,
 * those at which not all of these rows are 0, in order. Those of group g and the chunk at k are
 * at[g * row + k], and so on: how far each is behind k, in a byte. There are count[g * chunks + k /
 * CNN_CHUNK] of them.
 */
typedef struct cnn_lists {
    size_t row, chunks;
    unsigned char *at;
    uint16_t *count;
} cnn_lists;

/*
 * c (m, n) = a . b, then bias is added, then the activation applied:
 *   a     element (i, k) at a[i * a_row + k * a_k]
 *   b     in panels of `panel` columns: element (k, j) at b[(j / panel) * b_panel + k * b_k +
 *         j % panel]; whole panels are read, so there is memory behind the last one
 *   bias  (n) or NULL
 *   c     row stride c_row; must not overlap a or b. With `accumulate` it holds the sums of
 *         earlier chunks of k, to which those of a . b are added.
 * `derivative`, where not NULL, is (m, n) with row stride derivative_row: the result is then
 * multiplied by the derivative of `activation`, taken from these outputs or inputs, and
 * `activation` itself is not applied. softmax is not among the activations here.
 * With `before`, (m, n) with c's stride, the value before the activation is stored there as well.
 * While it computes, the product prefetches the soon_count spans of memory in `soon`, which the
 * caller is going to read. A small product may not reach the last of them.
 * k is summed as rule 3 of the numerics contract says: chunks of 256, one FMA chain each. With
 * `lists`, where not NULL, products with zeros may be left out of the chains. Then all of b must be
 * finite; and where a sum is 0, its sign may be another.
 */
typedef struct cnn_gemm {
    size_t m, n, k;
    const void *a;
    size_t a_row, a_k;
    const void *b;
    size_t b_k, b_panel;
    const void *bias;
    void *c;
    size_t c_row;
    int accumulate;
    cnn_activation_spec activation;
    const void *derivative;
    size_t derivative_row;
    void *before;
    const cnn_span *soon;
    size_t soon_count;
    const cnn_lists *lists;
} cnn_gemm;

/*
 * Copy b (k, n), element (k, j) at b[k * b_row + j * b_col], into panels, padded with zeros. One of
 * the two strides is 1.
 */
typedef struct cnn_pack {
    size_t k, n;
    const void *b;
    size_t b_row, b_col;
    void *packed;      /* where element (0, 0) goes */
    size_t packed_row; /* distance between rows of a panel there, or 0 if they lie side by side */
    size_t b_panel;    /* and between panels */
    size_t ahead;      /* what lies so far behind each element is fetched, where b_row is 1; or 0 */
} cnn_pack;

/*
 * One loss over rows. z (rows, cols) logits or outputs; t (rows, cols) target rows, which only
 * cross entropy with labels does without; labels (rows) or NULL, which with t say what is correct;
 * loss_rows (rows) receives each row's loss, not yet weighted. gradient (rows, cols), NULL where
 * not wanted, receives scale[i] times the row's gradient. correct, where not NULL, is increased by
 * the rows whose largest z is the target's. A row whose weight[i] is 0 has the loss 0 and the
 * gradient 0 and is not correct, whatever its z. quantiles (cols) or NULL as in cnn_loss; a level q
 * and 1 - q are each rounded once to the type.
 */
typedef struct cnn_loss_rows {
    cnn_loss_kind kind;
    size_t rows, cols;
    const void *z;
    size_t z_row;
    const void *t;
    size_t t_row;
    const int64_t *labels;
    const double *weight;
    const double *scale;
    double delta, label_smoothing;
    const double *quantiles;
    double *loss_rows;
    void *gradient;
    size_t gradient_row;
    size_t *correct;
} cnn_loss_rows;

/*
 * One optimizer step on w (rows, cols). w, the slots and the gradient g have row strides of their
 * own. Where `factor` (rows) is not NULL, the gradient is the product of this column and the row g.
 * Before the step g <- (g + l2 w) * clip. Numbers are float64 here and rounded to the type once.
 */
typedef struct cnn_update {
    cnn_optimizer_kind kind;
    size_t rows, cols;
    const void *g;
    size_t g_row;
    const void *factor;
    void *w;
    size_t w_row;
    void *slots[CNN_MAX_SLOTS];
    size_t slot_row;
    double l2, clip;
    double lr, momentum, alpha, beta1, beta2, eps, decay; /* decay = 1 - lr weight_decay */
    double step_size, root_correction; /* adam: lr/(1 - beta1^k), sqrt(1 - beta2^k) */
} cnn_update;

/*
 * A column of rows as they come to a columns stage, and where it puts features: `feature` is its
 * first one, `first` its first row of the table of embeddings, or its row of periodic numbers.
 */
typedef struct cnn_column_place {
    cnn_column_kind kind;
    int missing;
    size_t categories, feature, first;
} cnn_column_place;

/* A columns stage, as cnn_layer and CNN_PARAMETERS describe it. */
typedef struct cnn_columns {
    size_t inputs, features, embedded; /* columns, features, and embedded columns */
    const cnn_column_place *places;    /* (inputs) */
    double clip;
    size_t frequencies, size; /* of each periodic column */
    size_t embedding_size;
    const void *mean, *scale; /* (inputs) */
    const void *periodic;     /* (periodic columns, cnn_periodic_span) */
    const void *embedding;    /* (categories of all embedded columns, embedding_size) */
} cnn_columns;

/*
 * The numbers of a periodic column: frequencies, phases, for each of its size - 1 periodic features
 * a factor of each frequency's cosine, and for each such feature an offset.
 */
static inline size_t cnn_periodic_span(size_t frequencies, size_t size)
{
    return (size + 1) * frequencies + size - 1;
}

/* The most frequencies of a periodic column, and the most features. */
#define CNN_MOST_FREQUENCIES ((size_t)256)
#define CNN_MOST_PERIODIC ((size_t)16)

/*
 * Every kernel: X(return type, name, arguments). With `stream` the result is stored past the
 * caches, for results that are larger than these; x and y must then not be the same.
 */
#define CNN_KERNELS(X)                                                                             \
    X(void, gemm, (const cnn_gemm *g))                                                             \
    X(void, pack, (const cnn_pack *p))                                                             \
    /* y = h(x) for (rows, cols); in place allowed; any activation but softmax. */                 \
    X(void, activation_forward,                                                                    \
      (const cnn_activation_spec *h, size_t rows, size_t cols, const void *x, size_t x_row,        \
       void *y, size_t y_row, int stream))                                                         \
    /* dx = dy . h'(from); dx == dy allowed; any activation but softmax. */                        \
    X(void, activation_backward,                                                                   \
      (const cnn_activation_spec *h, size_t rows, size_t cols, const void *dy, size_t dy_row,      \
       const void *from, size_t from_row, void *dx, size_t dx_row, int stream))                    \
    /* Softmax of each row; in place allowed. */                                                   \
    X(void, softmax_forward,                                                                       \
      (size_t rows, size_t cols, const void *x, size_t x_row, void *y, size_t y_row, int stream))  \
    /* dx = y . (dy - sum_j dy_j y_j) for each row; dx == dy allowed. */                           \
    X(void, softmax_backward,                                                                      \
      (size_t rows, size_t cols, const void *dy, size_t dy_row, const void *y, size_t y_row,       \
       void *dx, size_t dx_row, int stream))                                                       \
    X(void, log_softmax_forward,                                                                   \
      (size_t rows, size_t cols, const void *x, size_t x_row, void *y, size_t y_row))              \
    X(void, loss, (const cnn_loss_rows *l))                                                        \
    X(void, update, (const cnn_update *u))                                                         \
    /* out[j] = sum over the rows of x (rows, cols), in chunks of 256 rows as in gemm. */          \
    X(void, column_sum, (size_t rows, size_t cols, const void *x, size_t x_row, void *out))        \
    /* A bit of map (rows, words) for each x[i][j]: whether it is not 0. Those behind the last     \
     * column are 0. smallest[i] is the least |x[i][j]| that is not 0, or infinity. Either of the  \
     * two may be NULL. */                                                                         \
    X(void, nonzero,                                                                               \
      (size_t rows, size_t cols, const void *x, size_t x_row, uint64_t *map, size_t words,         \
       double *smallest))                                                                          \
    /* The lists for a product whose a (m, k) has such a map: as its rows, or as its columns, of   \
     * which those of a begin at `first`, a multiple of `group`. */                                \
    X(void, list_rows, (size_t m, size_t k, const uint64_t *map, size_t words, cnn_lists *lists))  \
    X(void, list_columns,                                                                          \
      (size_t m, size_t k, const uint64_t *map, size_t words, size_t first, cnn_lists *lists))     \
    /* Whether x (rows, cols) is finite. */                                                        \
    X(int, finite, (size_t rows, size_t cols, const void *x, size_t x_row))                        \
    /* The largest |x| in x (rows, cols); infinity if there is a NaN. */                           \
    X(double, largest, (size_t rows, size_t cols, const void *x, size_t x_row))                    \
    /* The sum of squares of n numbers in float64, 16 virtual lanes. */                            \
    X(double, square_sum, (size_t n, const void *x))                                               \
    /* y = x * keep / (1 - rate); keep, bytes of 0 or 1, is drawn from the Philox stream `key`,    \
     * row r being `row` + r. */                                                                   \
    X(void, dropout,                                                                               \
      (uint64_t key, double rate, size_t row, size_t rows, size_t cols, const void *x,             \
       size_t x_row, uint8_t *keep, size_t keep_row, void *y, size_t y_row))                       \
    /* The same with a keep that was drawn. */                                                     \
    X(void, dropout_again,                                                                         \
      (double rate, size_t rows, size_t cols, const void *x, size_t x_row, const uint8_t *keep,    \
       size_t keep_row, void *y, size_t y_row))                                                    \
    /* y = (x - mean) / scale for (rows, cols); mean (cols) or NULL for 0; in place allowed. */    \
    X(void, standardize,                                                                           \
      (size_t rows, size_t cols, const void *x, size_t x_row, const void *mean, const void *scale, \
       void *y, size_t y_row))                                                                     \
    /* y = factor x for (rows, cols); factor (cols); in place allowed. */                          \
    X(void, scale,                                                                                 \
      (size_t rows, size_t cols, const void *x, size_t x_row, const void *factor, void *y,         \
       size_t y_row))                                                                              \
    /* y = x + mix (h - x) for (rows, cols); mix (cols); y may be x or h. */                       \
    X(void, blend,                                                                                 \
      (size_t rows, size_t cols, const void *x, size_t x_row, const void *h, size_t h_row,         \
       const void *mix, void *y, size_t y_row))                                                    \
    /* out[j] = sum over the rows of a (b - c), in chunks of 256 rows as in gemm; c may be NULL    \
     * for 0. All (rows, cols). */                                                                 \
    X(void, column_dot,                                                                            \
      (size_t rows, size_t cols, const void *a, size_t a_row, const void *b, size_t b_row,         \
       const void *c, size_t c_row, void *out))                                                    \
    /* out[j] = sum of x[index[r]][j] over `count` rows, whose numbers rise, added as if           \
     * column_sum had all rows and the others were 0. */                                           \
    X(void, chosen_sum,                                                                            \
      (size_t count, const uint32_t *index, size_t cols, const void *x, size_t x_row, void *out))  \
    /* The features y (rows, features) of x (rows, inputs). */                                     \
    X(void, columns_forward,                                                                       \
      (const cnn_columns *c, size_t rows, const void *x, size_t x_row, void *y, size_t y_row))     \
    /* dx from dy and the rows x that went forward; 0 for categories and missing numbers. */       \
    X(void, columns_backward,                                                                      \
      (const cnn_columns *c, size_t rows, const void *x, size_t x_row, const void *dy,             \
       size_t dy_row, void *dx, size_t dx_row))                                                    \
    /* The gradient of one periodic column's numbers, cnn_periodic_span of them. */                \
    X(void, periodic_gradient,                                                                     \
      (const cnn_columns *c, size_t column, size_t rows, const void *x, size_t x_row,              \
       const void *dy, size_t dy_row, void *out))

typedef struct cnn_kernels {
    const char *isa;
    size_t tile_rows; /* rows of the gemm tile: a good multiple for blocks of rows */
    size_t panel;     /* columns of a panel of b */
    size_t group;     /* rows of a that share a list of k's */
#define CNN_X(type, name, arguments) type(*name) arguments;
    CNN_KERNELS(CNN_X)
#undef CNN_X
} cnn_kernels;

/* n normal numbers of mean 0 and this standard deviation from the Philox stream `key`. They are for
 * initial weights alone, so that the portable code is enough. */
void cnn_normal_scalar_32(uint64_t key, size_t n, double deviation, void *out);
void cnn_normal_scalar_64(uint64_t key, size_t n, double deviation, void *out);

/* The tables: X(isa). A build holds those of its architecture. */
#if defined(CNN_HAVE_AVX512)
#define CNN_ISAS(X) X(scalar) X(avx2) X(avx512)
#elif defined(CNN_HAVE_NEON)
#define CNN_ISAS(X) X(scalar) X(neon)
#else
#define CNN_ISAS(X) X(scalar)
#endif

#define CNN_X(isa)                                                                                 \
    extern const cnn_kernels cnn_kernels_##isa##_32;                                               \
    extern const cnn_kernels cnn_kernels_##isa##_64;
CNN_ISAS(CNN_X)
#undef CNN_X

#endif
