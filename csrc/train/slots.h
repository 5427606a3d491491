/*
 * Where the optimizer's slots are. Those of a weight lie as the weight does where a step changes
 * it: row-major, or in panels, so that one stream of each passes through the update. A panel's
 * slots are not padded: rows of the last panel are as long as it has columns.
 */
#ifndef CNN_SLOTS_H
#define CNN_SLOTS_H

#include "train/trainer.h"

/*
 * Where row i and column j of a layer's weight have their slots, in elements from the beginning of
 * each of trainer->slots, and the distance to the next row. In panels, j is a multiple of the panel
 * and the distance holds for the columns of that panel.
 */
size_t cnn_slots_offset(const cnn_trainer *trainer, const cnn_dense *dense, size_t i, size_t j,
                        size_t *row);

/* Bring the slots of all weights into panels, or back into rows. Fails with no change. */
cnn_status cnn_slots_arrange(cnn_trainer *trainer, bool in_panels);

/* Copy one of the slots of all parameters without gaps, each row-major. */
void cnn_slots_to_flat(const cnn_trainer *trainer, size_t slot, void *flat);

#endif
