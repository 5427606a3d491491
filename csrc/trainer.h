/* What a trainer is, for train.c, trainer.c and slots.c alone. */
#ifndef CNN_TRAINER_H
#define CNN_TRAINER_H

#include "batch.h"

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
    void *snapshot; /* parameters, then slots */
    bool snapshot_in_panels;
    uint64_t snapshot_steps;
    double snapshot_beta1_power, snapshot_beta2_power;
};

/* Check an optimizer's kind and settings. */
cnn_status cnn_optimizer_check(const cnn_optimizer *optimizer);

/*
 * Multiplications that reading a file makes at most to bring back the powers of beta, in less than
 * half a second. A file of more steps whose powers still count has them (cnn_trainer_needs_powers).
 */
#define CNN_QUICK_POWERS ((uint64_t)1 << 25)
bool cnn_trainer_needs_powers(const cnn_trainer *trainer);

/* Set the number of steps, at most 2^63 - 1, and the powers of beta1 and beta2, or NULL. */
cnn_status cnn_trainer_resume(cnn_trainer *trainer, uint64_t steps, const double *powers);

#endif
