/* One tile of the matrix product: some rows and columns of c, for a chunk of k. */
#ifndef CNN_TILE_H
#define CNN_TILE_H

#include "kernels/local.h"

/* The panels of the widest group that one tile covers. */
#define GROUP 4

/* The most rows of any tile. */
#define MOST_ROWS 12

/* The offset of column vector v in a row of panels. */
#define COLUMN(v, b_panel) ((v) / PANEL_VECTORS * (b_panel) + (v) % PANEL_VECTORS * V_LANES)

/* Tiles of fewer rows do not prefetch: they only stream b, which the hardware prefetches. */
#define FETCHING_ROWS 4

/* Bytes of a cache line. */
#define LINE 64

/* One tile's operands. b is in panels as in cnn_gemm; bias and c hold whole vectors. */
struct tile {
    size_t k;                  /* how many k; consecutive if list is NULL, */
    const unsigned char *list; /* else these */
    const real *a;
    size_t a_row, a_k;
    const real *b;
    size_t b_k, b_panel;
    real *c;
    size_t c_row;
    const cnn_span *soon;     /* what is read after this tile is prefetched: */
    const cnn_span *soon_end; /* spans up to this one, */
    int hurry;                /* a line in each step of k, or in some steps */
    uintptr_t at;             /* tiles with lists, of any length, hand over to the next: */
    ptrdiff_t left;           /* the next address in the span, and the lines that are left */
    size_t narrow;    /* columns behind the vectors, at most the tile's `width`; 0 for none */
    int first;        /* whether this is the first chunk, so that c holds no sum yet */
    const real *bias; /* added after the last chunk, NULL before it */
};

/* A vector of sums of narrow columns has `width` columns for each of this many rows. */
#define NARROW_ROWS(width) (V_LANES / (width))
#define NARROW_SUMS 4

/* Load narrow columns of several rows, such as those of c, into the lanes of their sums. */
INLINE void narrow_load(const size_t rows, const size_t width, const struct tile *t,
                        const real *from, size_t from_row, real *lanes)
{
    KEEP_LOOP
    for (size_t r = 0; r < rows; r++) {
        KEEP_LOOP
        for (size_t j = 0; j < t->narrow; j++)
            lanes[r * width + j] = from[r * from_row + j];
    }
}

/* Add the sums of earlier chunks and the bias to the sums of narrow columns, and store them. */
INLINE void narrow_finish(const size_t rows, const size_t vectors, const size_t width,
                          const struct tile *t, v_real *sum)
{
    const size_t count = (rows + NARROW_ROWS(width) - 1) / NARROW_ROWS(width);
    real *c = t->c + vectors * V_LANES;
    real lanes[NARROW_SUMS * V_LANES] = {0};
    if (!t->first) {
        narrow_load(rows, width, t, c, t->c_row, lanes);
        UNROLL
        for (size_t q = 0; q < count; q++)
            sum[q] = v_add(v_load(lanes + q * V_LANES), sum[q]);
    }
    if (t->bias) {
        narrow_load(NARROW_ROWS(width), width, t, t->bias + vectors * V_LANES, 0, lanes);
        const v_real bias = v_load(lanes);
        UNROLL
        for (size_t q = 0; q < count; q++)
            sum[q] = v_add(sum[q], bias);
    }
    UNROLL
    for (size_t q = 0; q < count; q++)
        v_store(lanes + q * V_LANES, sum[q]);
    KEEP_LOOP
    for (size_t r = 0; r < rows; r++) {
        KEEP_LOOP
        for (size_t j = 0; j < t->narrow; j++)
            c[r * t->c_row + j] = lanes[r * width + j];
    }
}

/* Where a tile is in the spans that it prefetches. */
struct fetching {
    const cnn_span *span;
    uintptr_t at;
    ptrdiff_t left; /* lines */
};

/* Prefetch some lines. After the last span, do nothing or take it again: loops of one step have no
 * instructions to spare for jumps around a prefetch. */
INLINE void fetch(const size_t lines, const int again, const struct tile *t, struct fetching *f)
{
    if (f->left <= 0) {
        if (again)
            f->span -= f->span == t->soon_end;
        else if (f->span == t->soon_end)
            return;
        f->at = (uintptr_t)f->span->start;
        f->left = (ptrdiff_t)(f->span->bytes / LINE) + 1;
        f->span++;
    }
    UNROLL
    for (size_t line = 0; line < lines; line++)
        PREFETCH(f->at + line * LINE);
    f->at += lines * LINE;
    f->left -= (ptrdiff_t)lines;
}

/*
 * One step of k: add a column of a times a row of b to the sums. Rows of a are addressed from one
 * pointer for four rows, because x86 addresses base + {1, 2, 3} strides without further registers.
 * Narrow columns, at most half a vector, would waste most lanes of a vector: if `width` > 0, a
 * vector has those of several rows, and their factors from a are blended from the broadcasts. A
 * single row reads each vector of b once, which v_fma can do within its instruction.
 */
INLINE void add_step(const size_t rows, const size_t vectors, const size_t width,
                     const real *const *a, const size_t a_row, const real *b, const size_t b_panel,
                     v_real (*sum)[GROUP * PANEL_VECTORS], v_real *narrow_sum)
{
    v_real column[GROUP * PANEL_VECTORS + 1], blend[NARROW_SUMS];
    UNROLL
    for (size_t v = 0; v < vectors; v++)
        column[v] = v_load(b + COLUMN(v, b_panel));
    if (width)
        column[vectors] = v_load_repeated(b + COLUMN(vectors, b_panel), width);
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        const v_real broadcast = v_load_set1(a[r / 4] + r % 4 * a_row);
        UNROLL
        for (size_t v = 0; v < vectors; v++)
            sum[r][v] = rows > 1 ? v_add_product(sum[r][v], broadcast, column[v])
                                 : v_fma(broadcast, column[v], sum[r][v]);
        if (width) {
            const size_t place = r % NARROW_ROWS(width), q = r / NARROW_ROWS(width);
            blend[q] = place ? v_first(blend[q], place * width, broadcast) : broadcast;
        }
    }
    if (width) {
        const size_t sums = (rows + NARROW_ROWS(width) - 1) / NARROW_ROWS(width);
        UNROLL
        for (size_t q = 0; q < sums; q++)
            /* Some row set blend[q]: NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage) */
            narrow_sum[q] = v_fma(blend[q], column[vectors], narrow_sum[q]);
    }
}

/* After the last k: add the sums of earlier chunks and the bias, and store the sums. */
INLINE void store_sums(const size_t rows, const size_t vectors, const struct tile *t,
                       v_real (*sum)[GROUP * PANEL_VECTORS])
{
    real *c = t->c;
    const size_t c_row = t->c_row;
    if (!t->first) {
        UNROLL
        for (size_t r = 0; r < rows; r++) {
            UNROLL
            for (size_t v = 0; v < vectors; v++)
                sum[r][v] = v_add(v_load(c + r * c_row + v * V_LANES), sum[r][v]);
        }
    }
    if (t->bias) {
        UNROLL
        for (size_t v = 0; v < vectors; v++) {
            const v_real bias = v_load(t->bias + v * V_LANES);
            UNROLL
            for (size_t r = 0; r < rows; r++)
                sum[r][v] = v_add(sum[r][v], bias);
        }
    }
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        UNROLL
        for (size_t v = 0; v < vectors; v++)
            v_store(c + r * c_row + v * V_LANES, sum[r][v]);
    }
}

/*
 * What the compiler knows of a tile's strides: nothing; or that the k of a, or its rows, lie side
 * by side, and, without a list, that b is in panels. Then TILE_STEPS steps of k share the
 * instructions that count and prefetch. A core whose other hardware thread is busy, the usual case
 * in a cloud, takes half as many instructions at a time, and is bound by them.
 */
enum strides { ANY, K_ADJACENT, ROWS_ADJACENT };

/* What the next step of k reads: the columns of a, by a pointer for each four rows, and a row of b.
 */
struct step {
    const unsigned char *list;
    const real *a[3], *b;
};

/* One step, with k from the list if `listed`. */
INLINE void make_step(const size_t rows, const size_t vectors, const size_t width, const int listed,
                      const size_t a_row, const size_t a_k, const size_t b_k, const struct tile *t,
                      struct step *s, v_real (*sum)[GROUP * PANEL_VECTORS], v_real *narrow_sum)
{
    if (listed) {
        const size_t at = *s->list++;
        s->b = t->b + at * b_k;
        UNROLL
        for (size_t q = 0; q < (rows + 3) / 4; q++)
            s->a[q] = t->a + at * a_k + 4 * q * a_row;
    }
    add_step(rows, vectors, width, s->a, a_row, s->b, t->b_panel, sum, narrow_sum);
    if (listed)
        return;
    s->b += b_k;
    UNROLL
    for (size_t q = 0; q < (rows + 3) / 4; q++)
        s->a[q] += a_k;
}

/*
 * c (rows, vectors * V_LANES + narrow) = or += a . b for one chunk, over all k or over those of the
 * nonzero index if `listed`. All arguments but t are constants after inlining, so that all sums
 * stay in registers.
 */
INLINE void tile(const size_t rows, const size_t vectors, const size_t width, const int listed,
                 const enum strides strides, struct tile *t)
{
    v_real sum[MOST_ROWS][GROUP * PANEL_VECTORS], narrow_sum[NARROW_SUMS];
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        UNROLL
        for (size_t v = 0; v < vectors; v++)
            sum[r][v] = v_zero();
    }
    UNROLL
    for (size_t q = 0; q < NARROW_SUMS; q++)
        narrow_sum[q] = v_zero();
    const size_t a_row = strides == ROWS_ADJACENT ? 1 : t->a_row;
    const size_t a_k = strides == K_ADJACENT ? 1 : t->a_k;
    const size_t b_k = strides == ANY || listed ? t->b_k : PANEL;
    struct step s = {t->list, {t->a, t->a + 4 * a_row, t->a + 8 * a_row}, t->b};
    const size_t lines = listed && rows >= 8 ? 2 : 1; /* lists leave few steps to fetch as much */
    struct fetching f = {t->soon, listed ? t->at : 0, listed ? t->left : 0};
    const int hurry = t->hurry;
    size_t k = t->k;
    for (; strides != ANY && k >= TILE_STEPS; k -= TILE_STEPS) {
        UNROLL
        for (size_t step = 0; step < TILE_STEPS; step++) {
            if (step == 0 || (!listed && hurry))
                fetch(listed ? TILE_STEPS * lines : 1, 0, t, &f);
            make_step(rows, vectors, width, listed, a_row, a_k, b_k, t, &s, sum, narrow_sum);
        }
    }
    KEEP_LOOP
    for (; k > 0; k--) {
        if (rows >= FETCHING_ROWS && strides == ANY)
            fetch(lines, 1, t, &f);
        make_step(rows, vectors, width, listed, a_row, a_k, b_k, t, &s, sum, narrow_sum);
    }
    if (listed) {
        t->soon = f.span;
        t->at = f.at;
        t->left = f.left;
    }
    store_sums(rows, vectors, t, sum);
    if (width)
        narrow_finish(rows, vectors, width, t, narrow_sum);
}

/* The formatter does not know that these lists expand to whole functions and cases. */
/* clang-format off */
/* The tiles: X(rows, vectors, width). Few rows take several panels, for enough independent sums. */
#define TILES_4(X)                                                                                 \
    X(1, 1, 0) X(1, 2, 0) X(1, 4, 0) X(1, 8, 0) X(2, 1, 0) X(2, 2, 0) X(2, 4, 0)                   \
    X(3, 1, 0) X(3, 2, 0) X(3, 4, 0) X(4, 1, 0) X(4, 2, 0)
#define TILES_6(X) TILES_4(X) X(5, 1, 0) X(5, 2, 0) X(6, 1, 0) X(6, 2, 0)
#define TILES_8(X) TILES_6(X) X(7, 1, 0) X(7, 2, 0) X(8, 1, 0) X(8, 2, 0)
#define TILES_12(X)                                                                                \
    TILES_8(X) X(9, 1, 0) X(9, 2, 0) X(10, 1, 0) X(10, 2, 0) X(11, 1, 0) X(11, 2, 0)               \
    X(12, 1, 0) X(12, 2, 0)
#define TILES_OF(rows) TILES_##rows
#define TILES_FOR(rows) TILES_OF(rows)
#define TILES(X) TILES_FOR(TILE_ROWS)(X) NARROW_TILES(X)

/* Each tile is a function, so that the compiler allocates registers for it alone. */
#define TILE_FUNCTION(rows, vectors, width)                                                        \
    static void tile_##rows##_##vectors##_##width(struct tile *t)                                  \
    {                                                                                              \
        tile(rows, vectors, width, 0, ANY, t);                                                     \
    }                                                                                              \
    static void listed_##rows##_##vectors##_##width(struct tile *t)                                \
    {                                                                                              \
        tile(rows, vectors, width, 1, ANY, t);                                                     \
    }
TILES(TILE_FUNCTION)

#if TILE_STEPS > 1
/* Those that do most of the work. */
static void whole_by_k(struct tile *t)
{
    tile(TILE_ROWS, PANEL_VECTORS, 0, 0, K_ADJACENT, t);
}
static void whole_by_rows(struct tile *t)
{
    tile(TILE_ROWS, PANEL_VECTORS, 0, 0, ROWS_ADJACENT, t);
}
static void listed_by_k(struct tile *t)
{
    tile(LIST_ROWS, PANEL_VECTORS, 0, 1, K_ADJACENT, t);
}
static void listed_by_rows(struct tile *t)
{
    tile(LIST_ROWS, PANEL_VECTORS, 0, 1, ROWS_ADJACENT, t);
}
#endif

/* Tiles of these rows exist with a nonzero index: a group's, or at most four, the last ones. */
#define BY_LIST(rows, width) ((rows) == LIST_ROWS || ((rows) <= 4 && (width) == 0))

static void run_tile(size_t rows, size_t vectors, size_t width, struct tile *t)
{
#if TILE_STEPS > 1
    if (vectors == PANEL_VECTORS && width == 0 && (t->a_k == 1 || t->a_row == 1)) {
        if (rows == LIST_ROWS && t->list) {
            (t->a_k == 1 ? listed_by_k : listed_by_rows)(t);
            return;
        }
        if (rows == TILE_ROWS && !t->list && t->b_k == PANEL) {
            (t->a_k == 1 ? whole_by_k : whole_by_rows)(t);
            return;
        }
    }
#endif
#define TILE_CASE(r, v, w)                                                                         \
    case (r * 16 + v) * 16 + w:                                                                    \
        if (BY_LIST(r, w) && t->list)                                                                 \
            listed_##r##_##v##_##w(t);                                                             \
        else                                                                                       \
            tile_##r##_##v##_##w(t);                                                               \
        break;
    switch ((rows * 16 + vectors) * 16 + width) {
        TILES(TILE_CASE)
    default:
        break;
    }
}
/* clang-format on */

#endif
