/*
 * Whether weights and the optimizer's state are finite, and whether a step can change that. A step
 * that is refused must not have been made, and to keep all it changes costs more than the step. So
 * bounds of the largest numbers tell beforehand, for nearly all steps, that nothing can overflow.
 */
#ifndef CNN_FINITE_H
#define CNN_FINITE_H

#include "train/trainer.h"

/*
 * Whether an update from the gradient of trainer->batch, which was run and measured, or with
 * `whole` from that in trainer->gradient, leaves all numbers finite for certain. cnn_update_begin
 * was called for it. If so, the bounds in trainer->sizes are then those after the update.
 */
bool cnn_step_is_safe(cnn_trainer *trainer, bool whole);

#endif
