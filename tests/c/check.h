/* The little that the C tests share: counted checks, usable from any thread. */
#ifndef CNN_CHECK_H
#define CNN_CHECK_H

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static atomic_int check_passed, check_failed;

/* Count a condition, and report it where it is false. */
#define CHECK(condition) check_that((condition) ? 1 : 0, #condition, __FILE__, __LINE__)

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
