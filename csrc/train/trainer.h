/* What a trainer is: the state of training that is kept from call to call. */
#ifndef CNN_TRAINER_H
#define CNN_TRAINER_H

#include "run/batch.h"
#include "train/slots.h"

/* Parameters and state as they were at some time; see snapshot.h. */
typedef struct cnn_kept {
    void *memory; /* parameters, then slots; NULL before the first time */
    cnn_form form;
    uint64_t steps;
    double beta1_power, beta2_power;
} cnn_kept;

/* Bounds of the largest numbers, for the parameters of network->version `version`; see finite.h. */
typedef struct cnn_sizes {
    bool known;
    uint64_t version;
    double weight, slots[CNN_MAX_SLOTS];
} cnn_sizes;

/*
 * What tensors have in common in a step: their group, and how their layer is parametrized. Most
 * networks have one variant.
 */
typedef struct cnn_variant {
    size_t group;
    double inputs; /* of an NTK weight; 1 of other tensors */
} cnn_variant;

struct cnn_trainer {
    cnn_network *network;
    cnn_optimizer optimizer;
    size_t *groups;        /* of each tensor */
    size_t *variant_of;    /* of each tensor: its number in */
    cnn_variant *variants; /* (variant_count), in a space for one of each tensor */
    cnn_update *updates;   /* what the present step does to each variant */
    size_t variant_count;
    cnn_slots slots;
    uint64_t steps;
    double beta1_power, beta2_power; /* beta^steps by repeated multiplication */
    cnn_batch *batch;
    void *gradient; /* parameter_span elements, only if it is needed as a whole */
    char *scratch;  /* cnn_plan_update_scratch bytes for each worker */
    size_t scratch_workers;
    cnn_kept snapshot;    /* what cnn_trainer_restore goes back to */
    cnn_kept before_step; /* what a refused step goes back to */
    cnn_sizes sizes;
};

/* Check the kind and settings of a whole optimizer (cnn_optimizer_read). */
cnn_status cnn_optimizer_check(const cnn_optimizer *optimizer);

/* Buffers for batches of `rows` rows on the present number of threads; `whole` if the gradient is
 * needed as a whole. */
cnn_status cnn_trainer_reserve(cnn_trainer *trainer, size_t rows, bool whole);

/* The groups were set: find the variants. */
void cnn_trainer_find_variants(cnn_trainer *trainer);

/* Whether the step of an optimizer divides by the root of squares of gradients. */
static inline bool cnn_optimizer_has_root(cnn_optimizer_kind kind)
{
    return kind == CNN_ADAM || kind == CNN_ADAMW || kind == CNN_RMSPROP || kind == CNN_ADAGRAD;
}

/* Whether so many more steps can be counted, and whether a learning rate can be used. */
cnn_status cnn_trainer_check_steps(const cnn_trainer *trainer, size_t more);
cnn_status cnn_lr_check(double lr);

/*
 * Multiplications that reading a file makes at most to bring back the powers of beta, in less than
 * half a second. A file of more steps whose powers still count has them (cnn_trainer_needs_powers).
 */
#define CNN_QUICK_POWERS ((uint64_t)1 << 25)
bool cnn_trainer_needs_powers(const cnn_trainer *trainer);

/* Set the number of steps, at most 2^63 - 1, and the powers of beta1 and beta2, or NULL. */
cnn_status cnn_trainer_resume(cnn_trainer *trainer, uint64_t steps, const double *powers);

#endif
