/*
 * Tests with many inputs or turns take each of them, or one of so many if CNN_TEST_EVERY says so:
 * valgrind makes them 30 to 100 times as slow, and ThreadSanitizer is for other tests.
 */
#ifndef CNN_EVERY_H
#define CNN_EVERY_H

#include <stdlib.h>

static inline size_t every(void)
{
    const char *text = getenv("CNN_TEST_EVERY");
    const unsigned long number = text ? strtoul(text, NULL, 10) : 1;
    return number > 0 ? number : 1;
}

#endif
