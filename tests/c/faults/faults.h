/*
 * Calls of the system that fail when a test wants it: each call in FAULT_CALLS goes through a
 * function of faults.c, which counts it and lets it fail if it is the one that was chosen. Memory
 * is measured, too.
 *
 * In the C tests the linker puts these functions between libcnn and the system (--wrap), so that
 * only calls of libcnn and of the test itself go through them, and sanitizers and valgrind see the
 * rest as ever. CNN_FAULTS is 1 if the linker can do that. As a library of its own (FAULTS_PRELOAD)
 * they lie between a whole process and the C library; then only the memory of one library counts.
 */
#ifndef CNN_FAULTS_H
#define CNN_FAULTS_H

#include <stddef.h>

/* What fails alone: X(CONSTANT, name). "memory" is each way to get some, a thread included. */
#define FAULT_CALLS(X)                                                                             \
    X(MEMORY, memory)                                                                              \
    X(OPEN, open)                                                                                  \
    X(READ, read)                                                                                  \
    X(WRITE, write)                                                                                \
    X(SYNC, sync)                                                                                  \
    X(CLOSE, close)                                                                                \
    X(RENAME, rename)                                                                              \
    X(MODE, mode)                                                                                  \
    X(STATUS, status)                                                                              \
    X(LINK, link)                                                                                  \
    X(ACCESS, access)                                                                              \
    X(LOCK, lock)                                                                                  \
    X(HANDLE, handle)                                                                              \
    X(FOLDER, folder)                                                                              \
    X(UNLINK, unlink)

typedef enum fault_call {
#define FAULT_X(constant, name) FAULT_##constant,
    FAULT_CALLS(FAULT_X)
#undef FAULT_X
        FAULT_CALL_COUNT
} fault_call;

/* In place of an errno: a write that writes half of the bytes, or one byte, and succeeds. */
#define FAULT_SHORT (-1)

/*
 * From now on the calls of one kind are counted from 0, and number `first` fails with this errno,
 * or, if `last` is larger, all from `first` to `last`. Of any thread.
 */
void faults_arm(int call, size_t first, size_t last, int error);
/* No call fails any longer. Returns how many have failed since faults_arm. */
size_t faults_disarm(void);

/* How many calls of a kind there were: since faults_arm, and altogether. */
size_t faults_seen(int call);
size_t faults_total(int call);

/* Begin to measure memory. */
void faults_measure(void);
/* The most bytes that were allocated at once since then, beyond those of that time. */
size_t faults_most_bytes(void);

/* The blocks of memory, and the folders that are open, which were not given back yet. */
long faults_live(void);

/* FAULTS_PRELOAD: count memory of the library alone whose file name has this in it; 1 if found. */
int faults_watch(const char *name);

#endif
