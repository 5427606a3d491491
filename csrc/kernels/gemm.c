/* The matrix product: a loop of tiles over groups of columns and chunks. */
#include "kernels/tile.h"

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
    size_t each; /* spans that a tile prefetches, until these end; if 0, a part of *next */
    const cnn_span *end;
    cnn_span *next; /* the next chunk of b */
};

static const cnn_span *span_behind(const struct chunk *chunk, const cnn_span *soon)
{
    return (size_t)(chunk->end - soon) > chunk->each ? soon + chunk->each : chunk->end;
}

/* Set what the tiles from number `before` on prefetch: a share of `soon`, or the next chunk.
 * Returns the bytes for each tile. */
static size_t begin_fetching(const cnn_gemm *g, const struct group *group, size_t before, size_t k,
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
            chunk->each = each;
            chunk->end = g->soon + end;
            t->soon = g->soon + (begin < end ? begin : end);
            t->soon_end = g->lists ? chunk->end : span_behind(chunk, t->soon);
            return begin < end ? each * t->soon->bytes : 0;
        }
    }
    const size_t ahead = k + CNN_CHUNK < g->k ? CNN_CHUNK * g->b_k : g->b_panel - k * g->b_k;
    chunk->next->bytes = PANEL * CNN_CHUNK * sizeof(real) / shares;
    chunk->next->start = (const void *)((uintptr_t)t->b + ahead * sizeof(real) +
                                        before % shares * chunk->next->bytes);
    t->soon = chunk->next;
    t->soon_end = t->soon + 1;
    return chunk->next->bytes;
}

/* Go on to the spans that the next tile prefetches. */
static void go_on_fetching(struct chunk *chunk)
{
    struct tile *t = &chunk->tile;
    if (t->list || !t->soon)
        return;
    if (chunk->each > 0) {
        t->soon = t->soon_end;
        t->soon_end = span_behind(chunk, t->soon);
    } else {
        chunk->next->start = (const void *)((uintptr_t)chunk->next->start + chunk->next->bytes);
    }
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
    if (left > 0 && g->m >= FETCHING_ROWS) {
        const size_t bytes = begin_fetching(g, group, i / tile_rows(g, group), k, chunk);
        chunk->tile.hurry = bytes / LINE * TILE_STEPS > (left < CNN_CHUNK ? left : CNN_CHUNK);
    }
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
