/* Parameters and state of a trainer, remembered and restored. */
#ifndef CNN_SNAPSHOT_H
#define CNN_SNAPSHOT_H

#include "train/trainer.h"

/* Keep parameters and state; the first call allocates. */
cnn_status cnn_trainer_keep(cnn_trainer *trainer, cnn_kept *kept);

/* Bring back what was kept. */
void cnn_trainer_bring_back(cnn_trainer *trainer, const cnn_kept *kept);

#endif
