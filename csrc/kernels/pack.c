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

/* Pack row-major b: a row of a panel is several vectors, with zeros behind the last column. */
static void pack_rows(const cnn_pack *p)
{
    const size_t row = row_of(p);
    for (size_t j = 0; j < p->n; j += SIDE_BY_SIDE) {
        const size_t n = p->n - j < SIDE_BY_SIDE ? p->n - j : SIDE_BY_SIDE;
        const real *from = (const real *)p->b + j;
        real *to = (real *)p->packed + j / PANEL * p->b_panel;
        for (size_t k = 0; k < p->k; k++, from += p->b_row, to += row)
            for (size_t c = 0; c < n; c += V_LANES)
                v_store(to + c / PANEL * p->b_panel + c % PANEL,
                        row_load(from + c, n - c < V_LANES ? n - c : V_LANES));
    }
}

/* Transpose a square of V_LANES rows in place; each round of zips halves the distance of
 * neighbours. */
INLINE void transpose(v_real *rows)
{
    v_real zipped[V_LANES];
    UNROLL
    for (size_t stride = 1; stride < V_LANES; stride *= 2) {
        UNROLL
        for (size_t i = 0; i + V_LANES / 2 < V_LANES; i++) {
            zipped[2 * i] = v_zip_low(rows[i], rows[i + V_LANES / 2]);
            /* cppcheck-suppress arrayIndexOutOfBounds ; the loop is empty if there is one lane */
            zipped[2 * i + 1] = v_zip_high(rows[i], rows[i + V_LANES / 2]);
        }
        UNROLL
        for (size_t i = 0; i < V_LANES; i++)
            rows[i] = zipped[i];
    }
}

/* Pack b with contiguous columns, in squares of V_LANES rows and columns. */
static void pack_columns(const cnn_pack *p)
{
    const size_t row = row_of(p);
    for (size_t j = 0; j < p->n; j += V_LANES) {
        const size_t n = p->n - j < V_LANES ? p->n - j : V_LANES;
        const real *from = (const real *)p->b + j * p->b_col;
        real *to = (real *)p->packed + j / PANEL * p->b_panel + j % PANEL;
        for (size_t k = 0; k < p->k; k += V_LANES, from += V_LANES) {
            const size_t left = p->k - k < V_LANES ? p->k - k : V_LANES;
            const uintptr_t soon = (uintptr_t)from + p->ahead * sizeof(real);
            v_real square[V_LANES];
            for (size_t c = 0; c < V_LANES; c++) {
                PREFETCH(soon + c * p->b_col * sizeof(real));
                square[c] = c < n ? row_load(from + c * p->b_col, left) : v_zero();
            }
            transpose(square);
            for (size_t r = 0; r < left; r++, to += row)
                v_store(to, square[r]);
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
