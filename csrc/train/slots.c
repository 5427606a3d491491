#include "train/slots.h"

#include <string.h>

#include "base/error.h"
#include "base/platform.h"
#include "train/gradient.h"

size_t cnn_slots_offset(const cnn_trainer *trainer, const cnn_dense *dense, size_t i, size_t j,
                        size_t *row)
{
    size_t at = i * dense->outputs + j;
    *row = dense->outputs;
    if (trainer->slots_in_panels) {
        *row = cnn_min(trainer->network->kernels->panel, dense->outputs - j);
        at = j * dense->inputs + i * *row;
    }
    return dense->weight_offset + at;
}

/* Copy numbers (inputs, outputs) of a layer out of rows into panels, or back. */
static void copy_weight(const cnn_network *network, const cnn_dense *dense, const void *from,
                        void *to, bool into_panels)
{
    const size_t panel = network->kernels->panel;
    for (size_t j = 0; j < dense->outputs; j += panel) {
        const size_t cols = cnn_min(panel, dense->outputs - j);
        for (size_t i = 0; i < dense->inputs; i++) {
            const size_t in_rows = i * dense->outputs + j, in_panels = j * dense->inputs + i * cols;
            memcpy(cnn_at(network, to, into_panels ? in_panels : in_rows),
                   cnn_at(network, from, into_panels ? in_rows : in_panels),
                   cols * network->real_size);
        }
    }
}

cnn_status cnn_slots_arrange(cnn_trainer *trainer, bool in_panels)
{
    const cnn_network *network = trainer->network;
    if (trainer->slot_count == 0 || trainer->slots_in_panels == in_panels)
        return CNN_OK;
    size_t most = 0;
    for (size_t l = 0; l < network->dense_count; l++)
        most = cnn_max(most, network->dense[l].inputs * network->dense[l].outputs);
    void *before = cnn_platform_allocate(most * network->real_size);
    if (!before)
        return cnn_fail(CNN_ERROR_MEMORY, "out of memory for the optimizer's state");
    for (size_t s = 0; s < trainer->slot_count; s++)
        for (size_t l = 0; l < network->dense_count; l++) {
            const cnn_dense *dense = &network->dense[l];
            void *now = cnn_at(network, trainer->slots[s], dense->weight_offset);
            memcpy(before, now, dense->inputs * dense->outputs * network->real_size);
            copy_weight(network, dense, before, now, in_panels);
        }
    cnn_platform_free(before);
    trainer->slots_in_panels = in_panels;
    return CNN_OK;
}

void cnn_slots_to_flat(const cnn_trainer *trainer, size_t slot, void *flat)
{
    const cnn_network *network = trainer->network;
    const void *slots = trainer->slots[slot];
    cnn_parameters_to_flat(network, slots, flat);
    if (!trainer->slots_in_panels)
        return;
    size_t at = 0;
    for (size_t l = 0; l < network->dense_count; l++) {
        const cnn_dense *dense = &network->dense[l];
        copy_weight(network, dense, cnn_at(network, slots, dense->weight_offset),
                    cnn_at(network, flat, at), false);
        at += dense->inputs * dense->outputs + dense->outputs;
    }
}
