/* Losses: their settings, and which output layer they need. */
#ifndef CNN_LOSS_H
#define CNN_LOSS_H

#include "base/error.h"

/* Check a whole loss (cnn_loss_read): its kind, settings and class weights for the outputs. */
cnn_status cnn_loss_check(const cnn_loss *loss, size_t outputs);

/* Check that a loss suits an output layer. */
cnn_status cnn_loss_check_output(const cnn_loss *loss, cnn_activation activation, size_t outputs);

/* Huber's threshold with its default. */
static inline double cnn_loss_delta(const cnn_loss *loss)
{
    return loss->delta > 0 ? loss->delta : 1;
}

#endif
