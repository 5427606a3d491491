#include "train/slots.h"

#include <string.h>

#include "base/platform.h"

cnn_status cnn_slots_create(const cnn_network *network, size_t count, cnn_slots *slots)
{
    /* Zeros are the same in both forms; steps on large weights use panels. */
    *slots = (cnn_slots){.network = network, .count = count, .form = CNN_PANELS};
    for (size_t s = 0; s < count; s++) {
        slots->memory[s] = cnn_platform_allocate(cnn_slots_bytes(slots));
        if (!slots->memory[s])
            return cnn_fail(CNN_ERROR_MEMORY, "out of memory for the optimizer's state");
        memset(slots->memory[s], 0, cnn_slots_bytes(slots));
    }
    return CNN_OK;
}

void cnn_slots_destroy(cnn_slots *slots)
{
    for (size_t s = 0; s < slots->count; s++)
        cnn_platform_free(slots->memory[s]);
}

/* How a tensor without padding lies in a form. */
static cnn_layout layout_of(const cnn_network *network, const cnn_tensor *tensor, cnn_form form)
{
    return (cnn_layout){
        .form = tensor->weight ? form : CNN_ROW_MAJOR,
        .rows = tensor->rows,
        .cols = tensor->cols,
        .panel = network->kernels->panel,
    };
}

cnn_layout cnn_slots_layout(const cnn_slots *slots, const cnn_tensor *tensor)
{
    return layout_of(slots->network, tensor, slots->form);
}

/* Copy a tensor's numbers from one form to the other. */
static void copy_form(const cnn_network *network, const cnn_tensor *tensor, cnn_form from_form,
                      const void *source, cnn_form to_form, void *target)
{
    const cnn_layout from = layout_of(network, tensor, from_form);
    const cnn_layout to = layout_of(network, tensor, to_form);
    const cnn_rectangle all = {.m = tensor->rows, .n = tensor->cols};
    cnn_layout_copy(&from, source, &to, target, network->real_size, &all);
}

cnn_status cnn_slots_arrange(cnn_slots *slots, cnn_form form)
{
    const cnn_network *network = slots->network;
    if (slots->count == 0 || slots->form == form)
        return CNN_OK;
    size_t most = 0;
    for (size_t t = 0; t < network->tensor_count; t++)
        most = cnn_max(most, cnn_tensor_count(&network->tensors[t]));
    void *before = cnn_platform_allocate(most * network->real_size);
    if (!before)
        return cnn_fail(CNN_ERROR_MEMORY, "out of memory for the optimizer's state");
    for (size_t s = 0; s < slots->count; s++)
        for (size_t t = 0; t < network->tensor_count; t++) {
            const cnn_tensor *tensor = &network->tensors[t];
            if (!tensor->weight)
                continue;
            void *now = cnn_at(network, slots->memory[s], tensor->offset);
            memcpy(before, now, cnn_tensor_count(tensor) * network->real_size);
            copy_form(network, tensor, slots->form, before, form, now);
        }
    cnn_platform_free(before);
    slots->form = form;
    return CNN_OK;
}

void cnn_slots_read(const cnn_slots *slots, size_t slot, void *flat)
{
    cnn_tensors_to_flat(slots->network, slots->form, slots->memory[slot], flat);
}

bool cnn_slots_are_finite(const cnn_slots *slots)
{
    const size_t span = slots->network->parameter_span;
    for (size_t s = 0; s < slots->count; s++)
        if (!slots->network->kernels->finite(1, span, slots->memory[s], span))
            return false;
    return true;
}

void cnn_tensors_to_flat(const cnn_network *network, cnn_form form, const void *padded, void *flat)
{
    size_t at = 0;
    for (size_t t = 0; t < network->tensor_count; t++) {
        const cnn_tensor *tensor = &network->tensors[t];
        copy_form(network, tensor, form, cnn_at(network, padded, tensor->offset), CNN_ROW_MAJOR,
                  cnn_at(network, flat, at));
        at += cnn_tensor_count(tensor);
    }
}

void cnn_tensors_from_flat(const cnn_network *network, const void *flat, void *padded)
{
    size_t at = 0;
    for (size_t t = 0; t < network->tensor_count; t++) {
        const cnn_tensor *tensor = &network->tensors[t];
        const size_t count = cnn_tensor_count(tensor);
        memcpy(cnn_at(network, padded, tensor->offset), cnn_at(network, flat, at),
               count * network->real_size);
        at += count;
    }
}
