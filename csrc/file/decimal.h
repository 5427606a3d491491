/* Doubles as decimal text, exact in both directions whatever the locale and rounding mode. */
#ifndef CNN_DECIMAL_H
#define CNN_DECIMAL_H

#include <stdbool.h>
#include <stddef.h>

/* The longest number that cnn_decimal_read takes, and the room that cnn_decimal_write needs. */
enum { CNN_DECIMAL_MAX = 64, CNN_DECIMAL_SIZE = 40 };

/*
 * *value = the double nearest to a number in JSON's grammar (-12.5e-3), ties to even. Returns false
 * if the text is longer than CNN_DECIMAL_MAX or the number is beyond the largest double.
 */
bool cnn_decimal_read(const char *text, size_t size, double *value);

/*
 * Write a finite number in JSON's grammar, with the fewest digits from 15 on with which
 * cnn_decimal_read gives the same bits. The text ends with a zero byte.
 */
void cnn_decimal_write(double value, char text[CNN_DECIMAL_SIZE]);

#endif
