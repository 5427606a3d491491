/* A run of reproduce: a network is made, trained and asked, and all numbers are hashed. */
#ifndef CNN_REPRODUCE_RUN_H
#define CNN_REPRODUCE_RUN_H

#include "cnn/cnn.h"

/* What must change no bit. */
typedef struct variation {
    const char *isa; /* NULL: the best one */
    size_t threads;
    size_t split; /* calls take so many rows, slices or batches; 0: all at once */
    int rounding; /* the host's mode, such as FE_UPWARD */
    int flushes;  /* the host flushes denormals to 0 */
} variation;

/* The hashes of the weights with the predictions, and of all else that the run computed. */
typedef struct run_hashes {
    char weights[65], others[65];
} run_hashes;

/* Make a run; calls that fail, and those that leave the host in another state, are reported. */
void run_settings(const char *settings, cnn_dtype dtype, const variation *by, run_hashes *hashes);

#endif
