/* The optimizer's step on the gradients of a batch. */
#ifndef CNN_UPDATE_H
#define CNN_UPDATE_H

#include "train/trainer.h"

/* What a step at learning rate lr has in common for all parameters, but for the factor that clips.
 */
cnn_update cnn_update_of_step(const cnn_trainer *trainer, double lr);

/*
 * Make a step from the batch that was run: weights change in the form of its plan, slots are in
 * that form too. Gathers the next batch's inputs meanwhile.
 */
void cnn_update_apply(cnn_trainer *trainer, double lr);

/* The same, but a whole gradient is in trainer->gradient already, penalties included. */
void cnn_update_run(cnn_trainer *trainer, double lr);

#endif
