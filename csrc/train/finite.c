#include "train/finite.h"

#include <float.h>
#include <math.h>

#include "run/pass.h"

/* What rounding may add in a step, relative to a bound: some operations of the type, generously. */
#define ROUNDING (1 + 0x1p-18)

/* The largest numbers, found by looking at all of them. */
static cnn_sizes measure(const cnn_trainer *trainer)
{
    const cnn_network *network = trainer->network;
    const cnn_kernels *kernels = network->kernels;
    const size_t span = network->parameter_span;
    cnn_sizes sizes = {.known = true, .version = network->version};
    for (size_t t = 0; t < network->tensor_count; t++) {
        const cnn_tensor *tensor = &network->tensors[t];
        const size_t count = cnn_tensor_count(tensor);
        const double largest = tensor->weight
                                   ? cnn_weight_largest(tensor->weight, trainer->batch->plan.form)
                                   : kernels->largest(1, count, tensor->values, count);
        sizes.weight = fmax(sizes.weight, largest);
    }
    for (size_t s = 0; s < trainer->slots.count; s++)
        sizes.slots[s] = kernels->largest(1, span, trainer->slots.memory[s], span);
    return sizes;
}

/* Bound the gradient, penalties included. Clipping makes it no larger. */
static double largest_gradient(const cnn_trainer *trainer, const cnn_sizes *sizes, bool whole)
{
    const cnn_network *network = trainer->network;
    double largest = 0;
    for (size_t t = 0; t < network->tensor_count; t++) {
        const cnn_tensor *tensor = &network->tensors[t];
        if (whole) {
            const size_t count = cnn_tensor_count(tensor);
            const void *g = cnn_at(network, trainer->gradient, tensor->offset);
            largest = fmax(largest, network->kernels->largest(1, count, g, count));
            continue;
        }
        const double g =
            cnn_batch_largest_gradient(trainer->batch, cnn_tensor_stage(network, tensor));
        const double with_penalty = g + tensor->l2 * sizes->weight;
        /* A NaN stays: infinite inputs with a delta of 0 give one. */
        largest = with_penalty <= largest ? largest : with_penalty;
        if (isnan(largest))
            break;
    }
    return largest;
}

/* Whether so many numbers are at most `limit`, none being NaN. */
static bool are_within(const double *values, size_t count, double limit)
{
    for (size_t i = 0; i < count; i++)
        if (!(values[i] <= limit))
            return false;
    return true;
}

/* A setting as the kernels have it: a small eps is 0 in float32. */
static double rounded(double setting, cnn_dtype dtype)
{
    return dtype == CNN_FLOAT32 ? (double)(float)setting : setting;
}

_Static_assert(CNN_MAX_SLOTS == 2, "update_sizes() has two slots");

/*
 * Bounds after an update, from bounds before it: the formulas of kernels/optimizer.c with sizes
 * instead of numbers. False if one of the operations might overflow.
 */
static bool update_sizes(const cnn_update *u, cnn_dtype dtype, double g, double limit,
                         cnn_sizes *sizes)
{
    const double w = sizes->weight, a = sizes->slots[0], b = sizes->slots[1];
    double rate = u->lr, step = g, decay = 1, eps = rounded(u->eps, dtype), first = 0, second = 0;
    switch (u->kind) {
    case CNN_MOMENTUM:
    case CNN_NESTEROV:
        step = first = u->momentum * a + g;
        if (u->kind == CNN_NESTEROV)
            step = u->momentum * first + g;
        break;
    case CNN_ADAM:
    case CNN_ADAMW:
        rate = u->step_size * u->root_correction;
        eps = rounded(u->eps * u->root_correction, dtype);
        first = fmax(a, g);
        second = fmax(b, g * g);
        step = first / eps;
        decay = u->kind == CNN_ADAMW ? fabs(u->decay) : 1;
        break;
    case CNN_RMSPROP:
        first = fmax(a, g * g);
        step = g / eps;
        break;
    case CNN_ADAGRAD:
        first = a + g * g;
        step = g / eps;
        break;
    default:
        break;
    }
    const cnn_sizes after = {
        .known = true,
        .version = sizes->version,
        .weight = (decay * w + rate * step) * ROUNDING,
        .slots = {first * ROUNDING, second * ROUNDING},
    };
    const double values[] = {
        g, g + a, rate, decay, step, after.weight, after.slots[0], after.slots[1],
    };
    if (!are_within(values, sizeof values / sizeof *values, limit))
        return false;
    *sizes = after;
    return true;
}

/* The same for the updates of all variants. */
static bool update_all_sizes(cnn_trainer *trainer, double g, double limit)
{
    const cnn_sizes before = trainer->sizes;
    cnn_sizes largest = before;
    for (size_t v = 0; v < trainer->variant_count; v++) {
        cnn_sizes after = before;
        if (!update_sizes(&trainer->updates[v], trainer->network->dtype, g, limit, &after))
            return false;
        if (v == 0)
            largest = after;
        largest.weight = fmax(largest.weight, after.weight);
        for (size_t s = 0; s < CNN_MAX_SLOTS; s++)
            largest.slots[s] = fmax(largest.slots[s], after.slots[s]);
    }
    trainer->sizes = largest;
    return true;
}

bool cnn_step_is_safe(cnn_trainer *trainer, bool whole)
{
    const cnn_network *network = trainer->network;
    /* A part of what the type holds, for what the bounds leave out: sums of two numbers. */
    const double limit = (network->dtype == CNN_FLOAT32 ? (double)FLT_MAX : DBL_MAX) / 16;
    const bool known = trainer->sizes.known && trainer->sizes.version == network->version;
    for (int attempt = known ? 0 : 1; attempt < 2; attempt++) {
        if (attempt == 1)
            trainer->sizes = measure(trainer);
        const double g = largest_gradient(trainer, &trainer->sizes, whole);
        if (update_all_sizes(trainer, g, limit))
            return true;
    }
    return false;
}

cnn_status cnn_trainer_finite(const cnn_trainer *trainer, int *weights, int *state)
{
    if (!trainer || !weights || !state)
        return cnn_fail(CNN_ERROR_ARGUMENT, "%s is NULL",
                        !trainer   ? "trainer"
                        : !weights ? "weights"
                                   : "state");
    *weights = cnn_network_is_finite(trainer->network, CNN_PANELS);
    *state = cnn_slots_are_finite(&trainer->slots);
    return CNN_OK;
}
