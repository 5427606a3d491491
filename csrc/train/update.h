/* The optimizer's step on the gradients of a batch. */
#ifndef CNN_UPDATE_H
#define CNN_UPDATE_H

#include <float.h>
#include <math.h>

#include "train/trainer.h"

/* The learning rates of a step and its weight decays, for each group; one of them serves all. */
typedef struct cnn_rates {
    size_t groups;
    const double *lr;
    const double *weight_decay; /* NULL for the optimizer's */
} cnn_rates;

/* Write in trainer->updates what the next step has in common for the parameters of each variant,
 * but for the factor that clips. */
void cnn_update_begin(cnn_trainer *trainer, const cnn_rates *rates);

/*
 * What brings a gradient whose squares add up to square_sum down to the norm clip_norm, as PyTorch
 * computes it with small = 1e-6; 1 or more if it need not be.
 */
static inline double cnn_clip_factor(double clip_norm, double square_sum, double small)
{
    return clip_norm / (sqrt(square_sum) + small);
}

/* The least factor that a gradient of the network's type is multiplied by as it is. */
static inline double cnn_clip_least(const cnn_network *network)
{
    return network->dtype == CNN_FLOAT32 ? (double)FLT_MIN : DBL_MIN;
}

/*
 * Make a step from the batch that was run: weights change in the form of its plan, slots are in
 * that form too. Gathers the next batch's inputs meanwhile.
 */
void cnn_update_apply(cnn_trainer *trainer, const cnn_rates *rates);

/* The same, but a whole gradient is in trainer->gradient already, penalties included. */
void cnn_update_run(cnn_trainer *trainer, const cnn_rates *rates);

/* What cnn_update_begin found for a tensor. */
static inline const cnn_update *cnn_update_of(const cnn_trainer *trainer, const cnn_tensor *tensor)
{
    return &trainer->updates[trainer->variant_of[tensor - trainer->network->tensors]];
}

/* Update numbers in one piece, of which those whose gradient is 0 stay as they are: `count` numbers
 * from update->w, update->slots and update->g on. */
void cnn_update_sparse(const cnn_network *network, const cnn_update *update, size_t slots,
                       size_t count);

/* Count a step that was made: the number of steps, and the powers of beta. */
void cnn_update_count(cnn_trainer *trainer);

#endif
