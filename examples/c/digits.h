/* Handwritten digits from a CSV file: 64 pixels from 0 to 16 and the digit in each line. */
#ifndef DIGITS_H
#define DIGITS_H

#include <stddef.h>
#include <stdint.h>

#define DIGITS_PIXELS 64

typedef struct digits {
    size_t rows;
    float *pixels;   /* (rows, DIGITS_PIXELS), scaled to 0 ... 1 */
    int64_t *labels; /* (rows) */
} digits;

/* Read a file into memory that digits_free releases. Return 0, or print an error and return 1. */
int digits_read(const char *path, digits *made);
void digits_free(digits *made);

#endif
