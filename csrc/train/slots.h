/*
 * The optimizer's slots: one number for each parameter and slot. Those of a weight lie in the form
 * in which a step changes the weight, so that one stream of each passes through the update. In
 * panels they have no padding.
 */
#ifndef CNN_SLOTS_H
#define CNN_SLOTS_H

#include "model/network.h"

typedef struct cnn_slots {
    const cnn_network *network;
    size_t count;
    void *memory[CNN_MAX_SLOTS]; /* parameter_span elements each, tensors at their offsets */
    cnn_form form;               /* of the slots of weights */
} cnn_slots;

/* Make `count` slots, all 0. After a failure they can be destroyed. */
cnn_status cnn_slots_create(const cnn_network *network, size_t count, cnn_slots *slots);
void cnn_slots_destroy(cnn_slots *slots);

/* Bytes of one slot of all parameters. */
static inline size_t cnn_slots_bytes(const cnn_slots *slots)
{
    return slots->network->parameter_span * slots->network->real_size;
}

/* How one slot of a tensor lies, from the tensor's offset on. */
cnn_layout cnn_slots_layout(const cnn_slots *slots, const cnn_tensor *tensor);

/* Bring the slots of all weights into a form. Fails with no change. */
cnn_status cnn_slots_arrange(cnn_slots *slots, cnn_form form);

/* Copy one slot of all parameters, each row-major, without gaps. */
void cnn_slots_read(const cnn_slots *slots, size_t slot, void *flat);

/* Whether all numbers are finite. */
bool cnn_slots_are_finite(const cnn_slots *slots);

/*
 * Copy between memory with the tensors at their offsets, weights in a form without padding, and the
 * same tensors row-major without gaps.
 */
void cnn_tensors_to_flat(const cnn_network *network, cnn_form form, const void *padded, void *flat);
void cnn_tensors_from_flat(const cnn_network *network, const void *flat, void *padded);

#endif
