/*
 * Gradients of all parameters, and how work on the parameters is cut into tasks: each dense layer's
 * weight in rectangles of whole tiles and panels, then its bias.
 */
#ifndef CNN_GRADIENT_H
#define CNN_GRADIENT_H

#include "run/batch.h"

size_t cnn_gradient_tasks(const cnn_batch *batch);

/* A task: a part of layer l's weight, or its bias, where m is 0. */
cnn_rectangle cnn_gradient_task(const cnn_batch *batch, size_t index);

/* The lists for a task's product, where it is one of the first layer and inputs have many zeros. */
const cnn_lists *cnn_gradient_lists(const cnn_batch *batch, const cnn_rectangle *r, size_t worker,
                                    cnn_lists *lists);

/*
 * The gradient of all parameters, L2 terms included, laid out as network->parameters.
 */
void cnn_gradient_whole(const cnn_batch *batch, void *gradient);

/* The sum of squares of such a gradient in float64, in an order that does not depend on threads. */
double cnn_gradient_square_sum(const cnn_network *network, const void *gradient);

/*
 * Divide such a gradient by a power of 2 so that its largest number is from 1 to 2, and return
 * the exponent; 0 where it is no larger, or not finite.
 */
int cnn_gradient_scale_down(const cnn_network *network, void *gradient);

/* Copy between the layout of network->parameters and the same tensors without gaps. */
void cnn_parameters_to_flat(const cnn_network *network, const void *padded, void *flat);
void cnn_parameters_from_flat(const cnn_network *network, const void *flat, void *padded);

#endif
