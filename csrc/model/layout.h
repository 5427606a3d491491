/*
 * How a matrix (rows, cols) lies in memory: row-major, or in panels. A panel is `panel`
 * neighbouring columns, row after row:
 *
 *     row-major                  panels of 4 columns
 *     00 01 02 03 04 05          00 01 02 03  10 11 12 13  20 21 22 23
 *     10 11 12 13 14 15          04 05  -  -  14 15  -  -  24 25  -  -
 *     20 21 22 23 24 25
 *
 * The last panel of a padded matrix has rows as long as those of the others; without padding its
 * rows are as long as it has columns.
 */
#ifndef CNN_LAYOUT_H
#define CNN_LAYOUT_H

#include <stdbool.h>

#include "base/error.h"

typedef enum cnn_form { CNN_ROW_MAJOR, CNN_PANELS, CNN_FORM_COUNT } cnn_form;

typedef struct cnn_layout {
    cnn_form form;
    bool padded;
    size_t rows, cols;
    size_t panel;
} cnn_layout;

/* Rows [i, i + m) and columns [j, j + n) of a matrix; in panels, j is a multiple of the panel. */
typedef struct cnn_rectangle {
    size_t i, m, j, n;
} cnn_rectangle;

/* Elements that the matrix takes. */
static inline size_t cnn_layout_span(const cnn_layout *layout)
{
    const bool padded = layout->form == CNN_PANELS && layout->padded;
    return layout->rows * (padded ? cnn_round_up(layout->cols, layout->panel) : layout->cols);
}

/* How many columns from j on lie side by side. */
static inline size_t cnn_layout_width(const cnn_layout *layout, size_t j)
{
    const size_t left = layout->cols - j;
    return layout->form == CNN_ROW_MAJOR ? left : cnn_min(left, layout->panel);
}

/*
 * Where element (i, j) is, in elements from the beginning. *row receives the distance to element
 * (i + 1, j), which holds for the cnn_layout_width(layout, j) columns from j on.
 */
static inline size_t cnn_layout_offset(const cnn_layout *layout, size_t i, size_t j, size_t *row)
{
    if (layout->form == CNN_ROW_MAJOR) {
        *row = layout->cols;
        return i * layout->cols + j;
    }
    *row = layout->padded ? layout->panel : cnn_layout_width(layout, j);
    return j * layout->rows + i * *row;
}

/*
 * Copy a rectangle between two layouts of the same matrix, whose panels are equally wide; padding
 * is not written. The two must not overlap.
 */
void cnn_layout_copy(const cnn_layout *from, const void *source, const cnn_layout *to, void *target,
                     size_t real_size, const cnn_rectangle *r);

#endif
