/* The calling thread's last error, and arithmetic of sizes with checks for overflow. */
#ifndef CNN_ERROR_H
#define CNN_ERROR_H

#include <stdbool.h>
#include <stdio.h>

#include "cnn/cnn.h"

#if defined(__MINGW_PRINTF_FORMAT) /* the formats of its own printf, and not of msvcrt's */
#define CNN_PRINTF(string, first)                                                                  \
    __attribute__((format(__MINGW_PRINTF_FORMAT, string, first), cold))
#elif defined(__GNUC__)
#define CNN_PRINTF(string, first) __attribute__((format(printf, string, first), cold))
#else
#define CNN_PRINTF(string, first)
#endif

/* Store a message of at most 511 bytes for cnn_last_error, and return `status`. */
cnn_status cnn_fail(cnn_status status, const char *format, ...) CNN_PRINTF(2, 3);
#if defined(__clang_analyzer__)
/* Analyzers look at one file at a time, and would not know that this is not CNN_OK. */
#define cnn_fail(status, ...) ((void)cnn_fail(status, __VA_ARGS__), (status))
#endif

/*
 * The same for an errno of the system. The message is `what`, the path unless it is NULL, and the
 * text of `error`. Returns CNN_ERROR_SYSTEM, or CNN_ERROR_MEMORY for ENOMEM.
 */
cnn_status cnn_fail_system(int error, const char *what, const char *path);

/*
 * Check that rows of `cols` elements, `stride` elements apart, can be addressed: data is not NULL,
 * rows do not overlap, and the size in bytes does not overflow. `name` is the array's, for the
 * message.
 */
cnn_status cnn_check_layout(const char *name, const void *data, size_t rows, size_t cols,
                            size_t stride);

/* *product = a * b. Returns false if that overflows. */
static inline bool cnn_multiply(size_t a, size_t b, size_t *product)
{
    if (b != 0 && a > (size_t)-1 / b)
        return false;
    *product = a * b;
    return true;
}

/* *sum = a + b. Returns false if that overflows. */
static inline bool cnn_add(size_t a, size_t b, size_t *sum)
{
    *sum = a + b;
    return *sum >= a;
}

static inline size_t cnn_round_up(size_t n, size_t multiple)
{
    return (n + multiple - 1) / multiple * multiple;
}

/* How many pieces of `each` make up `all`; the last one may be smaller. */
static inline size_t cnn_pieces(size_t all, size_t each)
{
    return all / each + (all % each > 0);
}

static inline size_t cnn_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t cnn_max(size_t a, size_t b)
{
    return a > b ? a : b;
}

#endif
