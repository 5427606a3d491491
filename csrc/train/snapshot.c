#include "train/snapshot.h"

#include <string.h>

#include "base/platform.h"
#include "base/threads.h"

/* Bytes of a slot that a task copies: so many that memcpy stores them past the caches. */
#define PIECE_BYTES ((size_t)32 * 1024 * 1024)

static size_t slot_pieces(const cnn_trainer *trainer)
{
    return (cnn_slots_bytes(&trainer->slots) + PIECE_BYTES - 1) / PIECE_BYTES;
}

/* Where one of the slots is kept; the parameters are before them. */
static char *kept_slot(const cnn_trainer *trainer, const cnn_kept *kept, size_t slot)
{
    return (char *)kept->memory + (1 + slot) * cnn_slots_bytes(&trainer->slots);
}

struct keeping {
    const cnn_trainer *trainer;
    const cnn_kept *kept;
};

/* Copy the parameters, which is task 0, or a piece of a slot. */
static void keep(void *context, size_t index, size_t worker)
{
    const struct keeping *k = context;
    const cnn_trainer *trainer = k->trainer;
    (void)worker;
    if (index == 0) {
        cnn_network_copy_parameters(trainer->network, k->kept->memory);
        return;
    }
    const size_t bytes = cnn_slots_bytes(&trainer->slots), pieces = slot_pieces(trainer);
    const size_t slot = (index - 1) / pieces, at = (index - 1) % pieces * PIECE_BYTES;
    memcpy(kept_slot(trainer, k->kept, slot) + at, (const char *)trainer->slots.memory[slot] + at,
           cnn_min(PIECE_BYTES, bytes - at));
}

cnn_status cnn_trainer_keep(cnn_trainer *trainer, cnn_kept *kept)
{
    const size_t bytes = cnn_slots_bytes(&trainer->slots);
    if (!kept->memory)
        kept->memory = cnn_platform_allocate(bytes * (trainer->slots.count + 1));
    if (!kept->memory)
        return cnn_fail(CNN_ERROR_MEMORY, "out of memory for a snapshot");
    const size_t tasks = 1 + trainer->slots.count * slot_pieces(trainer);
    struct keeping keeping = {trainer, kept};
    const cnn_machine machine = cnn_machine_now();
    const double all = (double)bytes * (double)(1 + trainer->slots.count);
    cnn_parallel(tasks, cnn_plan_copy_threads(&machine, tasks, all), keep, &keeping);
    kept->form = trainer->slots.form;
    kept->steps = trainer->steps;
    kept->beta1_power = trainer->beta1_power;
    kept->beta2_power = trainer->beta2_power;
    return CNN_OK;
}

void cnn_trainer_bring_back(cnn_trainer *trainer, const cnn_kept *kept)
{
    memcpy(trainer->network->parameters, kept->memory, cnn_slots_bytes(&trainer->slots));
    for (size_t i = 0; i < trainer->slots.count; i++)
        memcpy(trainer->slots.memory[i], kept_slot(trainer, kept, i),
               cnn_slots_bytes(&trainer->slots));
    cnn_network_wrote(trainer->network, CNN_ROW_MAJOR);
    cnn_network_refresh(trainer->network, CNN_PANELS);
    trainer->slots.form = kept->form;
    trainer->steps = kept->steps;
    trainer->beta1_power = kept->beta1_power;
    trainer->beta2_power = kept->beta2_power;
}

cnn_status cnn_trainer_snapshot(cnn_trainer *trainer)
{
    if (!trainer)
        return cnn_fail(CNN_ERROR_ARGUMENT, "trainer is NULL");
    return cnn_trainer_keep(trainer, &trainer->snapshot);
}

cnn_status cnn_trainer_restore(cnn_trainer *trainer)
{
    if (!trainer)
        return cnn_fail(CNN_ERROR_ARGUMENT, "trainer is NULL");
    if (!trainer->snapshot.memory)
        return cnn_fail(CNN_ERROR_ARGUMENT, "there is no snapshot to go back to");
    cnn_trainer_bring_back(trainer, &trainer->snapshot);
    return CNN_OK;
}
