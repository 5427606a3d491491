#include "model/layout.h"

#include <string.h>

/* Panels that are copied side by side: a row-major row often is on a page of its own. */
#define SIDE_BY_SIDE 4

void cnn_layout_copy(const cnn_layout *from, const void *source, const cnn_layout *to, void *target,
                     size_t real_size, const cnn_rectangle *r)
{
    if (from->form == CNN_ROW_MAJOR && to->form == CNN_ROW_MAJOR && r->n == from->cols) {
        const size_t at = r->i * from->cols * real_size;
        memcpy((char *)target + at, (const char *)source + at, r->m * r->n * real_size);
        return;
    }
    const size_t group = SIDE_BY_SIDE * from->panel, end = r->j + r->n;
    for (size_t first = r->j; first < end; first += group) {
        const size_t last = cnn_min(end, first + group);
        for (size_t i = r->i; i < r->i + r->m; i++)
            for (size_t j = first; j < last; j += from->panel) {
                size_t row;
                const size_t out = cnn_layout_offset(to, i, j, &row);
                const size_t in = cnn_layout_offset(from, i, j, &row);
                memcpy((char *)target + out * real_size, (const char *)source + in * real_size,
                       cnn_min(from->panel, last - j) * real_size);
            }
    }
}
