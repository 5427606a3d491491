/* The little that the C tests share: counted checks, usable from any thread. */
#ifndef CNN_CHECK_H
#define CNN_CHECK_H

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static atomic_int check_passed, check_failed;

/* Count a condition, and report it where it is false. */
#define CHECK(condition) check_that((condition) ? 1 : 0, #condition, __FILE__, __LINE__)

/* That a call failed with this status and that the message holds this text. */
#define REFUSED(call, status, text)                                                                \
    do {                                                                                           \
        CHECK((call) == (status));                                                                 \
        if (!CHECK(strstr(cnn_last_error(), text) != NULL))                                        \
            printf("    the message is: %s\n", cnn_last_error());                                  \
    } while (0)

static inline int check_that(int holds, const char *text, const char *file, int line)
{
    atomic_fetch_add(holds ? &check_passed : &check_failed, 1);
    if (!holds)
        printf("%s:%d: failed: %s\n", file, line, text);
    return holds;
}

/* Memory of exactly so many bytes, so that a sanitizer sees what reaches beyond; for free. */
static inline void *check_memory(size_t bytes)
{
    void *p = malloc(bytes);
    if (!p) {
        puts("out of memory");
        exit(2);
    }
    return p;
}

/*
 * The longest tests try each so manyth of their cases: the environment's CNN_TEST_EVERY, as for
 * emulators, or 1. An odd number takes turns with the parities of cases.
 */
static inline size_t check_every(void)
{
    const char *text = getenv("CNN_TEST_EVERY");
    const size_t every = text != NULL ? (size_t)strtoul(text, NULL, 10) : 1;
    return every > 0 ? every : 1;
}

/*
 * Print the last line; what it returns is for main to return. With CNN_TEST_MEMORY_ONLY=1 checks
 * that failed do not count: valgrind has no modes of rounding, no flags of exceptions and no flush
 * of denormals, and its own exit code tells of errors in memory.
 */
static inline int check_finish(void)
{
    printf("%d passed, %d failed\n", atomic_load(&check_passed), atomic_load(&check_failed));
    return atomic_load(&check_failed) > 0 && !getenv("CNN_TEST_MEMORY_ONLY");
}

#endif
