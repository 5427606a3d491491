/* The columns stage: what it makes of a layer, and which rows of its table a batch used. */
#ifndef CNN_COLUMNS_H
#define CNN_COLUMNS_H

#include "model/stage.h"

/*
 * Describe a columns layer to kernels, without its numbers. Its places are allocated by malloc, for
 * the caller to free: NULL if memory is short.
 */
cnn_columns cnn_columns_make(const cnn_layer *layer);

/* Elements of cnn_passed.order for a batch of so many rows. */
static inline size_t cnn_columns_order_span(const cnn_columns *columns, size_t rows)
{
    return 2 * rows * columns->embedded;
}

/* A row of the table, and the rows of the batch that used it, in order. */
typedef struct cnn_table_use {
    size_t row, count;
    const uint32_t *index;
} cnn_table_use;

/* Sort the codes of a batch in passed->order, by rows of the table; how many there are. */
size_t cnn_columns_sort(const cnn_stage *stage, const cnn_passed *passed);

/* The use that begins at code *at of `count` sorted ones; *at moves behind it. False at the end. */
bool cnn_columns_next_use(const cnn_stage *stage, const cnn_passed *passed, size_t count,
                          size_t *at, cnn_table_use *use);

/* The gradient of that row of the table, embedding_size numbers. */
void cnn_columns_sum_use(const cnn_stage *stage, const cnn_passed *passed, const cnn_table_use *use,
                         void *out);

#endif
