/* The life of a trainer and its state: created, read, set, remembered and restored. */
#include "train/trainer.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/platform.h"
#include "base/structs.h"
#include "base/threads.h"
#include "train/finite.h"
#include "train/gradient.h"
#include "train/slots.h"

/* Bytes of a slot that a task copies: so many that memcpy stores them past the caches. */
#define PIECE_BYTES ((size_t)32 * 1024 * 1024)

/* Multiplications that a program may ask for to bring back the powers of beta: a few seconds. */
#define MOST_POWERS ((uint64_t)1000000000)

/* Below this, 1 - beta^k is exactly 1, so that later bits of the power change nothing. */
#define ALL_GONE 0x1p-54

cnn_status cnn_optimizer_check(const cnn_optimizer *o)
{
    if (!cnn_optimizer_name((int)o->kind))
        return cnn_fail(CNN_ERROR_ARGUMENT, "optimizer has kind %d, should be 0 to %d",
                        (int)o->kind, CNN_OPTIMIZER_COUNT - 1);
    const struct {
        const char *name;
        double value, end;
    } fields[] = {
        {"momentum", o->momentum, 1},
        {"beta1", o->beta1, 1},
        {"beta2", o->beta2, 1},
        {"alpha", o->alpha, 1},
        {"eps", o->eps, CNN_LARGEST},
        {"weight_decay", o->weight_decay, CNN_LARGEST},
        {"clip_norm", o->clip_norm, INFINITY},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        const double value = fields[i].value, end = fields[i].end;
        const bool closed = end == CNN_LARGEST;
        if (!(value >= 0 && (value < end || (closed && value == end))))
            return cnn_fail(CNN_ERROR_ARGUMENT, "%s is %g, should be in [0, %g%c", fields[i].name,
                            value, end, closed ? ']' : ')');
    }
    return CNN_OK;
}

static size_t slot_bytes(const cnn_trainer *trainer)
{
    return trainer->network->parameter_span * trainer->network->real_size;
}

cnn_status cnn_trainer_create(cnn_network *network, const cnn_optimizer *optimizer,
                              cnn_trainer **trainer)
{
    if (!network || !trainer)
        return cnn_fail(CNN_ERROR_ARGUMENT, "%s is NULL", network ? "trainer" : "network");
    cnn_optimizer space;
    optimizer = cnn_optimizer_read(optimizer, "optimizer", &space);
    const cnn_status status = optimizer ? cnn_optimizer_check(optimizer) : CNN_ERROR_ARGUMENT;
    if (status != CNN_OK)
        return status;
    cnn_trainer *made = calloc(1, sizeof *made);
    if (!made)
        return cnn_fail(CNN_ERROR_MEMORY, "out of memory for a trainer");
    made->network = network;
    made->optimizer = *optimizer;
    made->optimizer.struct_size = sizeof made->optimizer;
    made->slot_count = (size_t)cnn_optimizer_slots((int)optimizer->kind);
    made->beta1_power = made->beta2_power = 1;
    made->slots_in_panels = true; /* zeros lie both ways; this is where large weights want them */
    const size_t bytes = slot_bytes(made);
    for (size_t i = 0; i < made->slot_count; i++) {
        made->slots[i] = cnn_platform_allocate(bytes);
        if (!made->slots[i]) {
            cnn_trainer_destroy(made);
            return cnn_fail(CNN_ERROR_MEMORY, "out of memory for the optimizer's state");
        }
        memset(made->slots[i], 0, bytes);
    }
    *trainer = made;
    return CNN_OK;
}

void cnn_trainer_destroy(cnn_trainer *trainer)
{
    if (!trainer)
        return;
    for (size_t i = 0; i < trainer->slot_count; i++)
        cnn_platform_free(trainer->slots[i]);
    cnn_batch_destroy(trainer->batch);
    cnn_platform_free(trainer->gradient);
    cnn_platform_free(trainer->scratch);
    cnn_platform_free(trainer->snapshot.memory);
    cnn_platform_free(trainer->before_step.memory);
    free(trainer);
}

const cnn_network *cnn_trainer_network(const cnn_trainer *trainer)
{
    return trainer ? trainer->network : NULL;
}

uint64_t cnn_trainer_steps(const cnn_trainer *trainer)
{
    return trainer ? trainer->steps : 0;
}

cnn_status cnn_trainer_optimizer(const cnn_trainer *trainer, cnn_optimizer *optimizer)
{
    if (!trainer || !optimizer)
        return cnn_fail(CNN_ERROR_ARGUMENT, "%s is NULL", trainer ? "optimizer" : "trainer");
    return cnn_optimizer_write(&trainer->optimizer, "optimizer", optimizer);
}

static cnn_status check_state(const cnn_trainer *trainer, size_t slot, const void *values,
                              size_t count)
{
    if (!trainer || !values)
        return cnn_fail(CNN_ERROR_ARGUMENT, "%s is NULL", trainer ? "values" : "trainer");
    if (slot >= trainer->slot_count)
        return cnn_fail(CNN_ERROR_ARGUMENT, "slot is %zu, the optimizer has %zu", slot,
                        trainer->slot_count);
    if (count != trainer->network->parameter_count)
        return cnn_fail(CNN_ERROR_ARGUMENT, "count is %zu, should be %zu", count,
                        trainer->network->parameter_count);
    return CNN_OK;
}

cnn_status cnn_trainer_get_state(const cnn_trainer *trainer, size_t slot, void *values,
                                 size_t count)
{
    const cnn_status status = check_state(trainer, slot, values, count);
    if (status == CNN_OK)
        cnn_slots_to_flat(trainer, slot, values);
    return status;
}

/* Whether a slot holds means or sums of squares, whose roots are taken. */
static bool has_squares(const cnn_trainer *trainer, size_t slot)
{
    switch (trainer->optimizer.kind) {
    case CNN_ADAM:
    case CNN_ADAMW:
        return slot == 1;
    case CNN_RMSPROP:
    case CNN_ADAGRAD:
        return true;
    default:
        return false;
    }
}

/* Refuse numbers that no training leaves behind, and that would make weights NaN. */
static cnn_status check_values(const cnn_trainer *trainer, size_t slot, const void *values,
                               size_t count)
{
    const bool squares = has_squares(trainer, slot), single = trainer->network->real_size == 4;
    if (!squares && trainer->network->kernels->finite(1, count, values, count))
        return CNN_OK;
    for (size_t i = 0; i < count; i++) {
        const double value = single ? ((const float *)values)[i] : ((const double *)values)[i];
        if (!isfinite(value) || (squares && value < 0))
            return cnn_fail(CNN_ERROR_ARGUMENT,
                            "the optimizer's state has %g at %zu of slot %zu, should be finite%s",
                            value, i, slot, squares ? ", 0 or more" : "");
    }
    return CNN_OK;
}

cnn_status cnn_trainer_set_state(cnn_trainer *trainer, size_t slot, const void *values,
                                 size_t count)
{
    cnn_status status = check_state(trainer, slot, values, count);
    if (status == CNN_OK)
        status = check_values(trainer, slot, values, count);
    if (status == CNN_OK)
        status = cnn_slots_arrange(trainer, false);
    if (status != CNN_OK)
        return status;
    cnn_parameters_from_flat(trainer->network, values, trainer->slots[slot]);
    trainer->sizes.known = false;
    return CNN_OK;
}

/*
 * beta^steps by at most `most` multiplications; false if it takes more. It ends where the power is
 * gone, before products of denormal numbers, each of which takes as long as many others.
 */
static bool find_power(double beta, uint64_t steps, uint64_t most, double *power)
{
    uint64_t i = 0;
    const uint64_t before = cnn_platform_float_enter();
    double found = 1;
    for (; i < cnn_min(steps, most) && found > ALL_GONE; i++)
        found *= beta;
    cnn_platform_float_leave(before);
    *power = found;
    return i == steps || found <= ALL_GONE;
}

static bool find_powers(const cnn_optimizer *o, uint64_t steps, uint64_t most, double powers[2])
{
    return find_power(o->beta1, steps, most, &powers[0]) &&
           find_power(o->beta2, steps, most, &powers[1]);
}

bool cnn_trainer_needs_powers(const cnn_trainer *trainer)
{
    return trainer->steps > CNN_QUICK_POWERS &&
           (trainer->beta1_power > ALL_GONE || trainer->beta2_power > ALL_GONE);
}

static void set_steps(cnn_trainer *trainer, uint64_t steps, const double powers[2])
{
    trainer->steps = steps;
    trainer->beta1_power = powers[0];
    trainer->beta2_power = powers[1];
}

cnn_status cnn_trainer_resume(cnn_trainer *trainer, uint64_t steps, const double *powers)
{
    double found[2];
    if (!powers && !find_powers(&trainer->optimizer, steps, CNN_QUICK_POWERS, found))
        return cnn_fail(CNN_ERROR_ARGUMENT,
                        "steps is %" PRIu64 ", should come with beta1_power and beta2_power for "
                        "betas this close to 1",
                        steps);
    /* A power of 1 would be divided by 0 at the next step, if beta rounds to no change. */
    for (int i = 0; powers && i < 2; i++)
        if (!(powers[i] >= 0 && powers[i] < 1))
            return cnn_fail(CNN_ERROR_ARGUMENT, "beta%d_power is %g, should be in [0, 1)", i + 1,
                            powers[i]);
    set_steps(trainer, steps, powers ? powers : found);
    return CNN_OK;
}

cnn_status cnn_trainer_set_steps(cnn_trainer *trainer, uint64_t steps)
{
    double powers[2];
    if (!trainer)
        return cnn_fail(CNN_ERROR_ARGUMENT, "trainer is NULL");
    if (steps > INT64_MAX)
        return cnn_fail(CNN_ERROR_ARGUMENT,
                        "steps is too large: it is %" PRIu64 ", should be at most 2^63 - 1", steps);
    if (!find_powers(&trainer->optimizer, steps, MOST_POWERS, powers))
        return cnn_fail(CNN_ERROR_ARGUMENT,
                        "steps is too large for betas this close to 1: it is %" PRIu64
                        ", should be at most %" PRIu64,
                        steps, MOST_POWERS);
    set_steps(trainer, steps, powers);
    return CNN_OK;
}

static size_t slot_pieces(const cnn_trainer *trainer)
{
    return (slot_bytes(trainer) + PIECE_BYTES - 1) / PIECE_BYTES;
}

/* Where one of the slots is kept; the parameters are before them. */
static char *kept_slot(const cnn_trainer *trainer, const cnn_kept *kept, size_t slot)
{
    return (char *)kept->memory + (1 + slot) * slot_bytes(trainer);
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
    const size_t bytes = slot_bytes(trainer), pieces = slot_pieces(trainer);
    const size_t slot = (index - 1) / pieces, at = (index - 1) % pieces * PIECE_BYTES;
    memcpy(kept_slot(trainer, k->kept, slot) + at, (const char *)trainer->slots[slot] + at,
           cnn_min(PIECE_BYTES, bytes - at));
}

cnn_status cnn_trainer_keep(cnn_trainer *trainer, cnn_kept *kept)
{
    const size_t bytes = slot_bytes(trainer);
    if (!kept->memory)
        kept->memory = cnn_platform_allocate(bytes * (trainer->slot_count + 1));
    if (!kept->memory)
        return cnn_fail(CNN_ERROR_MEMORY, "out of memory for a snapshot");
    /* A byte takes as long as some three multiply-adds. */
    const double work = 3 * (double)bytes * (double)(1 + trainer->slot_count);
    const size_t tasks = 1 + trainer->slot_count * slot_pieces(trainer);
    struct keeping keeping = {trainer, kept};
    cnn_parallel(tasks, cnn_parallel_threads(tasks, work), keep, &keeping);
    kept->in_panels = trainer->slots_in_panels;
    kept->steps = trainer->steps;
    kept->beta1_power = trainer->beta1_power;
    kept->beta2_power = trainer->beta2_power;
    return CNN_OK;
}

void cnn_trainer_bring_back(cnn_trainer *trainer, const cnn_kept *kept)
{
    memcpy(trainer->network->parameters, kept->memory, slot_bytes(trainer));
    for (size_t i = 0; i < trainer->slot_count; i++)
        memcpy(trainer->slots[i], kept_slot(trainer, kept, i), slot_bytes(trainer));
    cnn_network_repack(trainer->network);
    trainer->network->version++;
    trainer->slots_in_panels = kept->in_panels;
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

cnn_status cnn_trainer_finite(const cnn_trainer *trainer, int *weights, int *state)
{
    if (!trainer || !weights || !state)
        return cnn_fail(CNN_ERROR_ARGUMENT, "%s is NULL",
                        !trainer   ? "trainer"
                        : !weights ? "weights"
                                   : "state");
    *weights = cnn_weights_are_finite(trainer->network, false);
    *state = cnn_slots_are_finite(trainer);
    return CNN_OK;
}
