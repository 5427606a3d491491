/* The matrix product: one tile, and its loop over groups of columns and chunks. */
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
    const cnn_span *soon,
        *soon_end;    /* what is read after this tile: prefetched, a line in each k */
    uintptr_t at;     /* tiles with lists, of any length, hand over to the next: */
    size_t left;      /* the next address in the span, and the steps that are left */
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
    size_t left; /* steps of k until the next span */
};

/* Prefetch some lines, at each step of k. */
INLINE void fetch(const size_t lines, const struct tile *t, struct fetching *f)
{
    if (f->left == 0) {
        f->at = (uintptr_t)f->span->start;
        f->left = f->span->bytes / (lines * LINE) + 1;
        f->span += f->span + 1 < t->soon_end;
    }
    UNROLL
    for (size_t line = 0; line < lines; line++)
        PREFETCH(f->at + line * LINE);
    f->at += lines * LINE;
    f->left--;
}

/*
 * One step of k: add a column of a times a row of b to the sums. Rows of a are addressed from one
 * pointer for four rows, because x86 addresses base + {1, 2, 3} strides without further registers.
 * Narrow columns, at most half a vector, would waste most lanes of a vector: if `width` > 0, a
 * vector has those of several rows, and their factors from a are blended from the broadcasts.
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
            sum[r][v] = v_fma(broadcast, column[v], sum[r][v]);
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
 * c (rows, vectors * V_LANES + narrow) = or += a . b for one chunk, over all k or over those of the
 * nonzero index if `listed`. All arguments but t are constants after inlining, so that all sums
 * stay in registers.
 */
INLINE void tile(const size_t rows, const size_t vectors, const size_t width, const int listed,
                 struct tile *t)
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
    const size_t a_row = t->a_row, a_k = t->a_k, b_k = t->b_k, b_panel = t->b_panel;
    const real *a[3] = {t->a, t->a + 4 * a_row, t->a + 8 * a_row};
    const real *b = t->b;
    const unsigned char *list = t->list;
    const size_t lines = listed && rows >= 8 ? 2 : 1; /* lists leave few steps to fetch as much */
    struct fetching f = {t->soon, listed ? t->at : 0, listed ? t->left : 0};
    for (size_t k = t->k; k > 0; k--) {
        if (rows >= FETCHING_ROWS)
            fetch(lines, t, &f);
        if (listed) {
            const size_t at = *list++;
            b = t->b + at * b_k;
            UNROLL
            for (size_t q = 0; q < (rows + 3) / 4; q++)
                a[q] = t->a + at * a_k + 4 * q * a_row;
        }
        add_step(rows, vectors, width, a, a_row, b, b_panel, sum, narrow_sum);
        if (listed)
            continue;
        b += b_k;
        UNROLL
        for (size_t q = 0; q < (rows + 3) / 4; q++)
            a[q] += a_k;
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
        tile(rows, vectors, width, 0, t);                                                          \
    }                                                                                              \
    static void listed_##rows##_##vectors##_##width(struct tile *t)                                \
    {                                                                                              \
        tile(rows, vectors, width, 1, t);                                                          \
    }
TILES(TILE_FUNCTION)

/* Tiles of these rows exist with a nonzero index: a group's, or at most four, the last ones. */
#define BY_LIST(rows, width) ((rows) == LIST_ROWS || ((rows) <= 4 && (width) == 0))

static void run_tile(size_t rows, size_t vectors, size_t width, struct tile *t)
{
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

/* A group of columns from column j on: whole vectors, and possibly narrow columns behind them. */
struct group {
    size_t j, vectors, narrow, width;
};

/* The number of rows of a group's tiles. */
static size_t tile_rows(const cnn_gemm *g, const struct group *group)
{
    return g->lists ? LIST_ROWS : group->width ? NARROW_TILE_ROWS(group->vectors) : TILE_ROWS;
}

/* The rows of the tile at row i. A single row behind a whole tile would wait for its own sums. */
static size_t rows_at(const cnn_gemm *g, const struct group *group, size_t i)
{
    const size_t most = tile_rows(g, group), left = g->m - i;
    if (left == most + 1 && !g->lists && !group->width)
        return (most + 2) / 2;
    if (left >= most)
        return most;
    return group->width || (g->lists && left > 4) ? 4 : left;
}

/* A chunk of k for a group of columns: a tile's operands without its rows, and its prefetches. */
struct chunk {
    struct tile tile;
    size_t each; /* spans of `soon` that a tile prefetches; if 0, it prefetches a part of *next */
    cnn_span *next; /* the next chunk of b */
};

/* Set what the tiles from number `before` on prefetch: a share of `soon`, or the next chunk. */
static void begin_fetching(const cnn_gemm *g, const struct group *group, size_t before, size_t k,
                           struct chunk *chunk)
{
    struct tile *t = &chunk->tile;
    const size_t most = tile_rows(g, group), tiles = (g->m + most - 1) / most;
    /* Tiles with lists have no shares of their own: each goes on where the last one stopped. */
    const size_t shares = g->lists ? 1 : tiles;
    /* Columns behind the whole panels mostly belong to the last group. */
    const size_t groups = g->n < PANEL ? 1 : g->n / PANEL,
                 chunks = (g->k + CNN_CHUNK - 1) / CNN_CHUNK;
    const size_t number = group->j / PANEL * chunks + k / CNN_CHUNK, all = groups * chunks;
    if (g->soon_count > 0 && number < all) {
        const size_t end = g->soon_count * (number + 1) / all;
        size_t begin = g->soon_count * number / all;
        const size_t each = (end - begin + tiles - 1) / tiles;
        if (each > 0) {
            begin += before * each;
            begin = begin < end ? begin : end - 1;
            chunk->each = each;
            t->soon = g->soon + begin;
            t->soon_end = g->soon + end;
            return;
        }
    }
    const size_t ahead = k + CNN_CHUNK < g->k ? CNN_CHUNK * g->b_k : g->b_panel - k * g->b_k;
    chunk->next->bytes = PANEL * CNN_CHUNK * sizeof(real) / shares;
    chunk->next->start = (const void *)((uintptr_t)t->b + ahead * sizeof(real) +
                                        before % shares * chunk->next->bytes);
    t->soon = chunk->next;
    t->soon_end = t->soon + 1;
}

/* Go on to the span that the next tile prefetches; after the last one, it is the last one again. */
static void go_on_fetching(struct chunk *chunk)
{
    struct tile *t = &chunk->tile;
    if (t->list || !t->soon)
        return;
    if (chunk->each == 0)
        chunk->next->start = (const void *)((uintptr_t)chunk->next->start + chunk->next->bytes);
    else if ((size_t)(t->soon_end - t->soon) > chunk->each)
        t->soon += chunk->each;
    else
        t->soon = t->soon_end - 1;
}

/* The operands of a tile for the chunk at k and the rows from i on; chunk->next is set before. */
static struct tile *begin_chunk(const cnn_gemm *g, const struct group *group, size_t i, size_t k,
                                const real *bias, real *c, size_t c_row, struct chunk *chunk)
{
    const size_t left = g->k - k;
    chunk->tile = (struct tile){
        .a = (const real *)g->a + i * g->a_row + k * g->a_k,
        .a_row = g->a_row,
        .a_k = g->a_k,
        .b = (const real *)g->b + group->j / PANEL * g->b_panel + k * g->b_k,
        .b_k = g->b_k,
        .b_panel = g->b_panel,
        .c = c,
        .c_row = c_row,
        .narrow = group->narrow,
        .first = k == 0 && !g->accumulate,
        .bias = left <= CNN_CHUNK ? bias : NULL,
    };
    chunk->each = 0;
    if (left > 0 && g->m >= FETCHING_ROWS)
        begin_fetching(g, group, i / tile_rows(g, group), k, chunk);
    return &chunk->tile;
}

/* Set the k of a tile of rows [i, i + rows) in the chunk at k: all, or those of the list of the
 * group that the rows are in. */
static void take_k(const cnn_gemm *g, size_t width, size_t i, size_t rows, size_t k, struct tile *t)
{
    t->k = g->k - k < CNN_CHUNK ? g->k - k : CNN_CHUNK;
    t->list = NULL;
    if (!g->lists || !BY_LIST(rows, width) || t->k == 0)
        return;
    const cnn_lists *lists = g->lists;
    t->k = lists->count[i / LIST_ROWS * lists->chunks + k / CNN_CHUNK];
    t->list = lists->at + i / LIST_ROWS * lists->row + k;
}

/* One chunk of k, for all rows, during which the chunk's part of b stays in the caches. */
static void run_rows(const cnn_gemm *g, const struct group *group, size_t k)
{
    const real *bias = g->bias ? (const real *)g->bias + group->j : NULL;
    cnn_span next;
    struct chunk chunk;
    chunk.next = &next;
    struct tile *t = begin_chunk(g, group, 0, k, bias, (real *)g->c + group->j, g->c_row, &chunk);
    for (size_t i = 0; i < g->m;) {
        const size_t rows = rows_at(g, group, i);
        take_k(g, group->width, i, rows, k, t);
        run_tile(rows, group->vectors, group->width, t);
        i += rows;
        if (i == g->m)
            return;
        t->a += rows * g->a_row;
        t->c += rows * g->c_row;
        go_on_fetching(&chunk);
    }
}

/* The most panels of sums, of all rows together, with panels_at_once() panels. */
#define FEW_ROWS_PANELS 6

/* The panels that few rows take at once, so that enough independent chains of multiply-adds run and
 * enough loads of b are in flight. */
static size_t panels_at_once(const cnn_gemm *g)
{
    return g->m == 1 ? 4 : g->m <= 3 ? 2 : 1;
}

static void copy_rows(size_t rows, size_t cols, const real *from, size_t from_row, real *to,
                      size_t to_row)
{
    for (size_t r = 0; r < rows; r++, from += from_row, to += to_row) {
        size_t v = 0;
        for (; v + V_LANES <= cols; v += V_LANES)
            v_store(to + v, v_load(from + v));
        if (v < cols)
            v_store_partial(to + v, v_load_partial(from + v, cols - v), cols - v);
    }
}

/*
 * The last columns, from a panel's first column j on, if the last panel is not full: computed into
 * a buffer, and copied to c.
 */
static void run_tail(const cnn_gemm *g, size_t j)
{
    const size_t columns = g->n - j;
    struct group group = {.j = j, .vectors = (columns + V_LANES - 1) / V_LANES};
    if (columns > PANEL)
        group.vectors = (columns + PANEL - 1) / PANEL * PANEL_VECTORS;
    real c[(TILE_ROWS > FEW_ROWS_PANELS ? TILE_ROWS : FEW_ROWS_PANELS) * PANEL];
    real bias[GROUP * PANEL] = {0};
    const size_t c_row = columns > PANEL ? panels_at_once(g) * PANEL : PANEL;
    if (g->bias)
        memcpy(bias, (const real *)g->bias + j, columns * sizeof(real));
    for (size_t i = 0, rows; i < g->m; i += rows) {
        rows = rows_at(g, &group, i);
        real *to = (real *)g->c + i * g->c_row + j;
        if (g->accumulate)
            copy_rows(rows, columns, to, g->c_row, c, c_row);
        size_t k = 0;
        do {
            cnn_span next;
            struct chunk chunk;
            chunk.next = &next;
            struct tile *t = begin_chunk(g, &group, i, k, g->bias ? bias : NULL, c, c_row, &chunk);
            take_k(g, group.width, i, rows, k, t);
            run_tile(rows, group.vectors, group.width, t);
            k += CNN_CHUNK;
        } while (k < g->k);
        copy_rows(rows, columns, c, c_row, to, g->c_row);
    }
}

/*
 * After the last chunk, while columns [j, j + n) are in the L1 cache: copy them to `before`, and
 * apply the activation, or multiply by its derivative.
 */
static void finish(const cnn_gemm *g, size_t j, size_t n)
{
    real *c = (real *)g->c + j;
    if (g->before)
        for (size_t i = 0; i < g->m; i++)
            memcpy((real *)g->before + i * g->c_row + j, c + i * g->c_row, n * sizeof(real));
    if (g->derivative)
        KERNEL(activation_backward)(&g->activation, g->m, n, c, g->c_row,
                                    (const real *)g->derivative + j, g->derivative_row, c, g->c_row,
                                    0);
    else if (g->activation.kind != CNN_IDENTITY)
        KERNEL(activation_forward)(&g->activation, g->m, n, c, g->c_row, c, g->c_row, 0);
}

/* The last group, if at most half a vector of columns is behind whole vectors; else none. */
static struct group narrow_group(const cnn_gemm *g)
{
    const size_t narrow = g->n % V_LANES, all = g->n / V_LANES;
    struct group group = {.j = g->n};
    size_t width = 2;
    while (width < narrow)
        width *= 2;
    if (narrow == 0 || width > V_LANES / 2 || all == 0)
        return group;
    group.vectors = all % 2 == 0 ? 2 : all >= 3 && NARROW_VECTORS(width) >= 3 ? 3 : 1;
    group.narrow = narrow;
    group.width = width;
    group.j = (all - group.vectors) * V_LANES;
    return group;
}

/* The group of whole panels from column j to at most `end`: several panels for few rows. */
static struct group next_group(const cnn_gemm *g, size_t j, size_t end)
{
    size_t panels = panels_at_once(g);
    while (panels > 1 && panels * PANEL > end - j)
        panels /= 2;
    return (struct group){.j = j, .vectors = panels * PANEL_VECTORS};
}

/* All chunks of a group of columns, then the activation. */
static void run_group(const cnn_gemm *g, const struct group *group)
{
    size_t k = 0;
    do {
        run_rows(g, group, k);
        k += CNN_CHUNK;
    } while (k < g->k);
    finish(g, group->j, group->vectors * V_LANES + group->narrow);
}

/* All of c. If there are narrow columns, the number of rows is a multiple of four. */
static void run(const cnn_gemm *g, const struct group *last)
{
    size_t whole = last->j - last->j % PANEL;
    if (!last->width && whole < g->n) { /* whole panels join the last one */
        size_t panels = panels_at_once(g);
        while ((panels - 1) * PANEL > whole)
            panels /= 2;
        whole -= (panels - 1) * PANEL;
    }
    for (size_t j = 0; j < whole;) {
        const struct group group = next_group(g, j, whole);
        run_group(g, &group);
        j += group.vectors * V_LANES;
    }
    if (last->width) {
        run_group(g, last);
    } else if (whole < g->n) {
        run_tail(g, whole);
        finish(g, whole, g->n - whole);
    }
}

void KERNEL(gemm)(const cnn_gemm *g)
{
    const struct group none = {.j = g->n}, narrow = narrow_group(g);
    const size_t fours = g->m - g->m % 4;
    if (!narrow.width || !fours) {
        run(g, &none);
        return;
    }
    cnn_gemm part = *g;
    part.m = fours;
    run(&part, &narrow);
    if (fours == g->m)
        return;
    part.m = g->m - fours;
    cnn_lists lists;
    if (g->lists) {
        lists = *g->lists;
        lists.at += fours / LIST_ROWS * lists.row;
        lists.count += fours / LIST_ROWS * lists.chunks;
        part.lists = &lists;
    }
    part.a = (const real *)g->a + fours * g->a_row;
    part.c = (real *)g->c + fours * g->c_row;
    if (g->derivative)
        part.derivative = (const real *)g->derivative + fours * g->derivative_row;
    if (g->before)
        part.before = (real *)g->before + fours * g->c_row;
    run(&part, &none);
}
