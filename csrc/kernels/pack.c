/* Packing b into panels, row-major or transposed. */
#include "kernels/local.h"
#include "kernels/rows.h"

/* Columns whose panels are filled side by side, so that each visit to a row of b, which is often on
 * a page of its own, reads several cache lines. */
#define SIDE_BY_SIDE (4 * PANEL)

/* The distance between rows of a panel. */
static size_t row_of(const cnn_pack *p)
{
    return p->packed_row ? p->packed_row : PANEL;
}

/* Pack n columns of row-major b: a row of a panel is several vectors, with zeros behind the last
 * column. */
INLINE void pack_strip(const cnn_pack *p, const real *from, real *to, const size_t n)
{
    const size_t row = row_of(p), from_row = p->b_row, panel = p->b_panel, rows = p->k;
    for (size_t k = 0; k < rows; k++, from += from_row, to += row)
        for (size_t c = 0; c < n; c += V_LANES)
            v_store(to + c / PANEL * panel + c % PANEL,
                    row_load(from + c, n - c < V_LANES ? n - c : V_LANES));
}

static void pack_rows(const cnn_pack *p)
{
    for (size_t j = 0; j < p->n; j += SIDE_BY_SIDE) {
        const real *from = (const real *)p->b + j;
        real *to = (real *)p->packed + j / PANEL * p->b_panel;
        if (p->n - j >= SIDE_BY_SIDE)
            pack_strip(p, from, to, SIDE_BY_SIDE);
        else
            pack_strip(p, from, to, p->n - j);
    }
}

/*
 * Pack a square of n columns and `left` rows. The square stays in registers if both are constants,
 * which is twice as fast.
 */
INLINE void pack_square(const cnn_pack *p, const real *from, real *to, const size_t n,
                        const size_t left)
{
    const size_t row = row_of(p);
    v_real square[V_LANES];
    UNROLL
    for (size_t c = 0; c < V_LANES; c++)
        square[c] = c < n ? row_load(from + c * p->b_col, left) : v_zero();
    v_transpose(square);
    UNROLL
    for (size_t r = 0; r < V_LANES; r++)
        if (r < left)
            v_store(to + r * row, square[r]);
}

static void prefetch_square(const cnn_pack *p, const real *from)
{
    const uintptr_t soon = (uintptr_t)from + p->ahead * sizeof(real);
    for (size_t c = 0; c < V_LANES; c++)
        PREFETCH(soon + c * p->b_col * sizeof(real));
}

/* Pack b with contiguous columns, in squares of V_LANES rows and columns. */
static void pack_columns(const cnn_pack *p)
{
    const size_t row = row_of(p);
    for (size_t j = 0; j < p->n; j += V_LANES) {
        const size_t n = p->n - j < V_LANES ? p->n - j : V_LANES;
        const real *from = (const real *)p->b + j * p->b_col;
        real *to = (real *)p->packed + j / PANEL * p->b_panel + j % PANEL;
        for (size_t k = 0; k < p->k; k += V_LANES, from += V_LANES, to += V_LANES * row) {
            const size_t left = p->k - k < V_LANES ? p->k - k : V_LANES;
            if (p->ahead)
                prefetch_square(p, from);
            if (n == V_LANES && left == V_LANES)
                pack_square(p, from, to, V_LANES, V_LANES);
            else
                pack_square(p, from, to, n, left);
        }
    }
}

/* Zeros in the last vectors of the last panel, behind the last column. */
static void pack_padding(const cnn_pack *p)
{
    const size_t used = (p->n + V_LANES - 1) / V_LANES * V_LANES;
    if (used % PANEL == 0)
        return;
    real *to = (real *)p->packed + used / PANEL * p->b_panel;
    for (size_t k = 0; k < p->k; k++, to += row_of(p))
        for (size_t j = used % PANEL; j < PANEL; j += V_LANES)
            v_store(to + j, v_zero());
}

void KERNEL(pack)(const cnn_pack *p)
{
    if (p->b_col == 1)
        pack_rows(p);
    else
        pack_columns(p);
    pack_padding(p);
}
