/* What a trainer is, for train.c, trainer.c, slots.c and finite.c alone. */
#ifndef CNN_TRAINER_H
#define CNN_TRAINER_H

#include "run/batch.h"

/* Parameters and state as they were at some time. */
typedef struct cnn_kept {
    void *memory; /* parameters, then slots; NULL before the first time */
    bool in_panels;
    uint64_t steps;
    double beta1_power, beta2_power;
} cnn_kept;

/* Bounds of the largest numbers, for the parameters of network->version `version`; see finite.h. */
typedef struct cnn_sizes {
    bool known;
    uint64_t version;
    double weight, slots[2];
} cnn_sizes;

struct cnn_trainer {
    cnn_network *network;
    cnn_optimizer optimizer;
    size_t slot_count;
    void *slots[2];       /* parameter_span elements each, laid out as network->parameters, but: */
    bool slots_in_panels; /* each weight's are in panels; see slots.h */
    uint64_t steps;
    double beta1_power, beta2_power; /* beta^steps by repeated multiplication */
    cnn_batch *batch;
    void *gradient; /* parameter_span elements, only where it is needed as a whole */
    char *scratch;  /* some columns of a gradient, or a bias, for each worker */
    size_t scratch_workers;
    cnn_kept snapshot;    /* what cnn_trainer_restore goes back to */
    cnn_kept before_step; /* what a refused step goes back to */
    cnn_sizes sizes;
};

/* Check the kind and settings of a whole optimizer (cnn_optimizer_read). */
cnn_status cnn_optimizer_check(const cnn_optimizer *optimizer);

/*
 * Multiplications that reading a file makes at most to bring back the powers of beta, in less than
 * half a second. A file of more steps whose powers still count has them (cnn_trainer_needs_powers).
 */
#define CNN_QUICK_POWERS ((uint64_t)1 << 25)
bool cnn_trainer_needs_powers(const cnn_trainer *trainer);

/* Set the number of steps, at most 2^63 - 1, and the powers of beta1 and beta2, or NULL. */
cnn_status cnn_trainer_resume(cnn_trainer *trainer, uint64_t steps, const double *powers);
/* Keep parameters and state, or bring back what was kept. */
cnn_status cnn_trainer_keep(cnn_trainer *trainer, cnn_kept *kept);
void cnn_trainer_bring_back(cnn_trainer *trainer, const cnn_kept *kept);

#endif
