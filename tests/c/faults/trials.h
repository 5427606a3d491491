/*
 * Each allocation that a call makes fails in turn, alone and with all after it. The call then tells
 * CNN_ERROR_MEMORY and leaves all as it was, or does without and has the same bits. Called again it
 * succeeds, with the bits of a call that nothing disturbed, and in the end no memory is left.
 *
 * A trial runs in a thread of its own, which begins without scratch memory; with two threads in a
 * process of its own, which begins without a pool.
 */
#ifndef CNN_FAULTS_TRIALS_H
#define CNN_FAULTS_TRIALS_H

#include "faults/world.h"

/* A call, what is called before it undisturbed, and whether the kind of optimizer matters. */
typedef struct scenario {
    const char *name;
    cnn_status (*call)(world *);
    cnn_status (*before)(world *);
    int trains;
} scenario;

/* Try all calls of a list, with both types, one thread and two; what it returns is for main. */
int run_trials(size_t count, const scenario *scenarios);

#endif
