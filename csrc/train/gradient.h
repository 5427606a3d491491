/*
 * Gradients of all parameters, and how work on the parameters is cut into tasks: weights into
 * rectangles of whole tiles and panels, periodic numbers into rows, other tensors in one piece.
 */
#ifndef CNN_GRADIENT_H
#define CNN_GRADIENT_H

#include "run/pass.h"

/* Elements of a tensor whose squares are summed at a time; the order of sums follows from it. */
#define CNN_NORM_BLOCK ((size_t)4096)

/* A part of a tensor; in panels, its columns begin at a panel. */
typedef struct cnn_gradient_task {
    const cnn_tensor *tensor;
    cnn_rectangle r;
} cnn_gradient_task;

/* How many tasks the present batch's plan makes, and one of them. */
size_t cnn_gradient_tasks(const cnn_batch *batch);
cnn_gradient_task cnn_gradient_find_task(const cnn_batch *batch, size_t index);

/* The lists of nonzeros for a task's product; NULL if it leaves nothing out. */
const cnn_lists *cnn_gradient_lists(cnn_batch *batch, const cnn_gradient_task *task, size_t worker,
                                    cnn_lists *lists);

/*
 * The gradient of a part of a weight, without the L2 term, into c with row stride c_row. Meanwhile
 * the spans in `soon` are fetched into the cache. `lists` are those of cnn_gradient_lists for the
 * part's rows.
 */
void cnn_gradient_of_weight(const cnn_batch *batch, const cnn_gradient_task *part, void *c,
                            size_t c_row, const cnn_lists *lists, const cnn_span *soon,
                            size_t soon_count);

/* The gradient of a task of a tensor that is no weight, without gaps. */
void cnn_gradient_of_other(const cnn_batch *batch, const cnn_gradient_task *task, void *out);

/* The gradient of all parameters, laid out as network->parameters; `penalties` adds L2 terms. */
void cnn_gradient_whole(cnn_batch *batch, bool penalties, void *gradient);

/* Add l2 w to a part of a gradient. It and the row-major w have a row stride of `row`. */
void cnn_gradient_add_penalty(const cnn_network *network, double l2, const cnn_rectangle *r,
                              size_t row, const void *w, void *gradient);

/* Add the L2 terms to such a gradient. */
void cnn_gradient_add_penalties(const cnn_network *network, void *gradient);

/* The sum of squares of such a gradient in float64, in an order that does not depend on threads. */
double cnn_gradient_square_sum(const cnn_network *network, const void *gradient);

/*
 * Divide such a gradient by a power of 2 so that its largest number is from 1 to 2, and return
 * the exponent; 0 if it is no larger, or not finite.
 */
int cnn_gradient_scale_down(const cnn_network *network, void *gradient);

#endif
