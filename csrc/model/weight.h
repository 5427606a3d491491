/*
 * A weight matrix (inputs, outputs) in the forms in which it lives, and which of them hold its
 * present numbers. All parts of libcnn reach a weight through this file.
 */
#ifndef CNN_WEIGHT_H
#define CNN_WEIGHT_H

#include "kernels/kernels.h"
#include "model/layout.h"

/* The forms that hold the present numbers: a bit for each cnn_form. Other forms are stale. */
typedef enum cnn_fresh {
    CNN_FRESH_ROW_MAJOR = 1 << CNN_ROW_MAJOR,
    CNN_FRESH_PANELS = 1 << CNN_PANELS,
    CNN_FRESH_ALL = CNN_FRESH_ROW_MAJOR | CNN_FRESH_PANELS
} cnn_fresh;

typedef struct cnn_weight {
    const cnn_kernels *kernels;
    size_t real_size;
    cnn_layout layout[CNN_FORM_COUNT];
    void *memory[CNN_FORM_COUNT];
    /* How a product reads a form as its b; rows without padding are read beyond their end. */
    size_t b_k[CNN_FORM_COUNT], b_panel[CNN_FORM_COUNT];
    cnn_fresh fresh;
} cnn_weight;

/*
 * A weight (inputs, outputs) without memory. Panels are padded, since the tile reads whole ones;
 * but not if the padding were half of them or more, so that a weight of one column takes no more
 * memory than its numbers do. Those rows are read beyond their end, up to a panel behind the last.
 */
cnn_weight cnn_weight_make(const cnn_kernels *kernels, size_t real_size, size_t inputs,
                           size_t outputs);

/* Elements that one form takes. */
static inline size_t cnn_weight_span(const cnn_weight *weight, cnn_form form)
{
    return cnn_layout_span(&weight->layout[form]);
}

/* Where element (i, j) of a form is; see cnn_layout_offset. */
static inline void *cnn_weight_at(const cnn_weight *weight, cnn_form form, size_t i, size_t j,
                                  size_t *row)
{
    const size_t at = cnn_layout_offset(&weight->layout[form], i, j, row);
    return (char *)weight->memory[form] + at * weight->real_size;
}

/* Bring a form up to date. */
void cnn_weight_refresh(cnn_weight *weight, cnn_form form);

/*
 * Copy a rectangle of the panels to the row-major form; which forms are fresh is for the caller to
 * note, when all rectangles are copied.
 */
void cnn_weight_unpack(const cnn_weight *weight, const cnn_rectangle *r);

/* Copy the present numbers to `values`, row-major without gaps. Changes nothing. */
void cnn_weight_read(const cnn_weight *weight, void *values);

/* Whether all numbers of a form, which is fresh, are finite; and the largest size of one. */
bool cnn_weight_is_finite(const cnn_weight *weight, cnn_form form);
double cnn_weight_largest(const cnn_weight *weight, cnn_form form);

#endif
