/* The life of a trainer and its state: created, read and set. */
#include "train/trainer.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "base/platform.h"
#include "base/structs.h"

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

/* ---- Groups ------------------------------------------------------------------------------ */

static cnn_variant variant_of(const cnn_trainer *trainer, size_t t)
{
    const cnn_tensor *tensor = &trainer->network->tensors[t];
    const cnn_layer *layer = &trainer->network->layers[tensor->layer];
    const bool ntk = tensor->weight && layer->parametrization == CNN_PARAMETRIZATION_NTK;
    return (cnn_variant){trainer->groups[t], ntk ? (double)layer->inputs : 1};
}

void cnn_trainer_find_variants(cnn_trainer *trainer)
{
    trainer->variant_count = 0;
    for (size_t t = 0; t < trainer->network->tensor_count; t++) {
        const cnn_variant wanted = variant_of(trainer, t);
        size_t v = 0;
        while (v < trainer->variant_count && (trainer->variants[v].group != wanted.group ||
                                              trainer->variants[v].inputs != wanted.inputs))
            v++;
        trainer->variant_of[t] = v;
        if (v == trainer->variant_count)
            trainer->variants[trainer->variant_count++] = wanted;
    }
}

static cnn_status make_variants(cnn_trainer *trainer)
{
    const size_t count = trainer->network->tensor_count;
    trainer->groups = calloc(count, sizeof *trainer->groups);
    trainer->variant_of = calloc(count, sizeof *trainer->variant_of);
    trainer->variants = calloc(count, sizeof *trainer->variants);
    if (!trainer->groups || !trainer->variant_of || !trainer->variants)
        return cnn_fail(CNN_ERROR_MEMORY, "out of memory for a trainer");
    cnn_trainer_find_variants(trainer);
    trainer->updates = calloc(count, sizeof *trainer->updates);
    return trainer->updates ? CNN_OK : cnn_fail(CNN_ERROR_MEMORY, "out of memory for a trainer");
}

/* The number of the tensor of a layer's parameter that is trained. */
static cnn_status find_trained(const cnn_trainer *trainer, size_t layer, cnn_parameter parameter,
                               size_t *number)
{
    if (!trainer)
        return cnn_fail(CNN_ERROR_ARGUMENT, "trainer is NULL");
    const cnn_tensor *tensor = cnn_network_tensor(trainer->network, layer, parameter);
    if (!tensor || tensor->fixed) {
        const char *name = cnn_parameter_name((int)parameter);
        return cnn_fail(CNN_ERROR_ARGUMENT, "layer %zu has no %s that is trained", layer,
                        name ? name : "such parameter");
    }
    *number = (size_t)(tensor - trainer->network->tensors);
    return CNN_OK;
}

cnn_status cnn_trainer_set_group(cnn_trainer *trainer, size_t layer, cnn_parameter parameter,
                                 size_t group)
{
    size_t number = 0;
    const cnn_status status = find_trained(trainer, layer, parameter, &number);
    if (status != CNN_OK)
        return status;
    if (group >= CNN_MOST_GROUPS)
        return cnn_fail(CNN_ERROR_ARGUMENT, "group is %zu, should be less than %d", group,
                        CNN_MOST_GROUPS);
    trainer->groups[number] = group;
    cnn_trainer_find_variants(trainer);
    return CNN_OK;
}

cnn_status cnn_trainer_group(const cnn_trainer *trainer, size_t layer, cnn_parameter parameter,
                             size_t *group)
{
    size_t number = 0;
    if (!group)
        return cnn_fail(CNN_ERROR_ARGUMENT, "group is NULL");
    const cnn_status status = find_trained(trainer, layer, parameter, &number);
    if (status == CNN_OK)
        *group = trainer->groups[number];
    return status;
}

/* ---- Life -------------------------------------------------------------------------------- */

cnn_status cnn_trainer_create(cnn_network *network, const cnn_optimizer *optimizer,
                              cnn_trainer **trainer)
{
    if (!network || !trainer)
        return cnn_fail(CNN_ERROR_ARGUMENT, "%s is NULL", network ? "trainer" : "network");
    cnn_optimizer space;
    optimizer = cnn_optimizer_read(optimizer, "optimizer", &space);
    cnn_status status = optimizer ? cnn_optimizer_check(optimizer) : CNN_ERROR_ARGUMENT;
    if (status != CNN_OK)
        return status;
    cnn_trainer *made = calloc(1, sizeof *made);
    if (!made)
        return cnn_fail(CNN_ERROR_MEMORY, "out of memory for a trainer");
    made->network = network;
    made->optimizer = *optimizer;
    made->optimizer.struct_size = sizeof made->optimizer;
    made->beta1_power = made->beta2_power = 1;
    const size_t slots = (size_t)cnn_optimizer_slots((int)optimizer->kind);
    status = make_variants(made);
    if (status == CNN_OK)
        status = cnn_slots_create(network, slots, &made->slots);
    if (status != CNN_OK) {
        cnn_trainer_destroy(made);
        return status;
    }
    *trainer = made;
    return CNN_OK;
}

void cnn_trainer_destroy(cnn_trainer *trainer)
{
    if (!trainer)
        return;
    cnn_slots_destroy(&trainer->slots);
    free(trainer->groups);
    free(trainer->variant_of);
    free(trainer->variants);
    free(trainer->updates);
    cnn_batch_destroy(trainer->batch);
    cnn_platform_free(trainer->gradient);
    cnn_platform_free(trainer->scratch);
    cnn_platform_free(trainer->snapshot.memory);
    cnn_platform_free(trainer->before_step.memory);
    free(trainer);
}

cnn_status cnn_trainer_reserve(cnn_trainer *trainer, size_t rows, bool whole)
{
    const cnn_network *network = trainer->network;
    const cnn_status status = cnn_batch_reserve(network, rows, &trainer->batch);
    if (status != CNN_OK)
        return status;
    const size_t workers = trainer->batch->workers;
    if (workers > trainer->scratch_workers) {
        char *scratch = cnn_platform_allocate(workers * cnn_plan_update_scratch(&network->shape));
        if (!scratch)
            return cnn_fail(CNN_ERROR_MEMORY, "out of memory for %zu threads", workers);
        cnn_platform_free(trainer->scratch);
        trainer->scratch = scratch;
        trainer->scratch_workers = workers;
    }
    if (whole && !trainer->gradient) {
        trainer->gradient = cnn_platform_allocate(network->parameter_span * network->real_size);
        if (!trainer->gradient)
            return cnn_fail(CNN_ERROR_MEMORY, "out of memory for gradients");
    }
    return CNN_OK;
}

/* Steps key the dropout masks, and files have them, as numbers of 64 bits with a sign. */
cnn_status cnn_trainer_check_steps(const cnn_trainer *trainer, size_t more)
{
    if (more <= (uint64_t)INT64_MAX - trainer->steps)
        return CNN_OK;
    return cnn_fail(CNN_ERROR_ARGUMENT,
                    "trainer has made %" PRIu64 " steps, should make at most "
                    "2^63 - 1 in all",
                    trainer->steps);
}

cnn_status cnn_lr_check(double lr)
{
    if (lr >= 0 && isfinite(lr))
        return CNN_OK;
    return cnn_fail(CNN_ERROR_ARGUMENT, "lr is %g, should be finite, 0 or more", lr);
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
    if (slot >= trainer->slots.count)
        return cnn_fail(CNN_ERROR_ARGUMENT, "slot is %zu, the optimizer has %zu", slot,
                        trainer->slots.count);
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
        cnn_slots_read(&trainer->slots, slot, values);
    return status;
}

/* Whether a slot holds means or sums of squares, whose roots are taken. */
static bool has_squares(const cnn_trainer *trainer, size_t slot)
{
    switch (trainer->optimizer.kind) {
#define CNN_X(constant, value, name, count, squares)                                               \
    case CNN_##constant:                                                                           \
        return (unsigned)squares >> slot & 1u;
        CNN_OPTIMIZERS(CNN_X)
#undef CNN_X
    default:
        return false;
    }
}

/* Refuse numbers that training cannot make, and that would make weights NaN. */
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
        status = cnn_slots_arrange(&trainer->slots, CNN_ROW_MAJOR);
    if (status != CNN_OK)
        return status;
    cnn_tensors_from_flat(trainer->network, values, trainer->slots.memory[slot]);
    trainer->sizes.known = false;
    return CNN_OK;
}

/*
 * beta^steps by at most `most` multiplications; false if it takes more. It ends when the power is
 * gone, before products of denormal numbers, each of which takes as long as many others.
 */
static bool find_power(const double *beta, uint64_t steps, uint64_t most, double *power)
{
    uint64_t i = 0;
    const uint64_t before = cnn_platform_float_enter();
    const double factor = *beta;
    double found = 1;
    const uint64_t last = steps < most ? steps : most; /* cnn_min is for size_t: maybe 32 bits */
    for (; i < last && found > ALL_GONE; i++)
        found *= factor;
    *power = found;
    cnn_platform_float_leave(before);
    return i == steps || found <= ALL_GONE;
}

static bool find_powers(const cnn_optimizer *o, uint64_t steps, uint64_t most, double powers[2])
{
    return find_power(&o->beta1, steps, most, &powers[0]) &&
           find_power(&o->beta2, steps, most, &powers[1]);
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
