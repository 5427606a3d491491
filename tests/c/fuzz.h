/*
 * What the programs fuzz_*.c share. Each has LLVMFuzzerTestOneInput, which aborts if libcnn does
 * not do with some bytes what it should. Built with CNN_FUZZERS (clang), libFuzzer finds the bytes;
 * with any compiler the program tries the files that it is given, or else some of its own, the same
 * ones every time.
 */
#ifndef CNN_FUZZ_H
#define CNN_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "cnn/cnn.h"
#if defined(CNN_FAULTS)
#include "faults/faults.h"
#endif

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

static inline void fuzz_fail(const char *what)
{
    fprintf(stderr, "fuzz: %s: %s\n", what, cnn_last_error());
    abort();
}

/* Begin to measure memory, and the most bytes since; 0 if the linker cannot help (faults.h). */
static inline void fuzz_measure(void)
{
#if defined(CNN_FAULTS)
    faults_measure();
#endif
}
static inline size_t fuzz_most_bytes(void)
{
#if defined(CNN_FAULTS)
    return faults_most_bytes();
#else
    return 0;
#endif
}

/* The bound of SECURITY.md for what reading a file of `size` bytes allocates. */
static inline void fuzz_check_memory(size_t taken, size_t size)
{
    if (taken <= 6 * size + (1 << 20))
        return;
    fprintf(stderr, "fuzz: %zu bytes were allocated for %zu\n", taken, size);
    abort();
}

/* The content of a file, for free. */
static inline void *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0)
        fuzz_fail("cannot read a file");
    *size = (size_t)ftell(file);
    rewind(file);
    void *bytes = malloc(*size ? *size : 1);
    if (!bytes || fread(bytes, 1, *size, file) != *size)
        fuzz_fail("cannot read a file");
    fclose(file);
    return bytes;
}

/* A copy of an input in a block of its own, so that a sanitizer sees every read beyond it. */
static inline void fuzz_try(const uint8_t *data, size_t size)
{
    uint8_t *exact = malloc(size ? size : 1);
    if (!exact)
        fuzz_fail("out of memory");
    if (size > 0)
        memcpy(exact, data, size);
    (void)LLVMFuzzerTestOneInput(exact, size);
    free(exact);
}

#ifndef CNN_LIBFUZZER

static uint64_t fuzz_random_state = 1;

/* A number below `bound`, from a multiplicative generator. */
static inline size_t fuzz_below(size_t bound)
{
    fuzz_random_state =
        fuzz_random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (size_t)(fuzz_random_state >> 33) % bound;
}

/* Try the files that the program is given; false if there is none. */
static inline int fuzz_try_files(int count, char **paths)
{
    for (int i = 1; i < count; i++) {
        size_t size = 0;
        uint8_t *content = read_file(paths[i], &size);
        fuzz_try(content, size);
        free(content);
    }
    if (count > 1)
        printf("%d files were tried\n", count - 1);
    return count > 1;
}

#endif

#endif
