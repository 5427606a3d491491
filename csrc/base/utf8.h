/* Texts that are UTF-8. */
#ifndef CNN_UTF8_H
#define CNN_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/*
 * The number of bytes of the character at text[0], or 0 if it is not UTF-8: shortest form only, no
 * surrogates, at most U+10FFFF.
 */
static inline size_t cnn_utf8_length(const char *text, size_t size)
{
    const unsigned char *byte = (const unsigned char *)text;
    unsigned char low = 0x80, high = 0xBF; /* the range of the second byte */
    size_t length = 0;
    if (size == 0)
        return 0;
    if (byte[0] < 0x80)
        return 1;
    if (byte[0] >= 0xC2 && byte[0] <= 0xDF)
        length = 2;
    else if (byte[0] >= 0xE0 && byte[0] <= 0xEF)
        length = 3;
    else if (byte[0] >= 0xF0 && byte[0] <= 0xF4)
        length = 4;
    if (length == 0 || length > size)
        return 0;
    if (byte[0] == 0xE0)
        low = 0xA0;
    else if (byte[0] == 0xED)
        high = 0x9F;
    else if (byte[0] == 0xF0)
        low = 0x90;
    else if (byte[0] == 0xF4)
        high = 0x8F;
    if (byte[1] < low || byte[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++) {
        if ((byte[i] & 0xC0) != 0x80)
            return 0;
    }
    return length;
}

/* Whether a whole text is UTF-8. */
static inline bool cnn_is_utf8(const char *text)
{
    size_t rest = strlen(text);
    while (rest > 0) {
        const size_t length = cnn_utf8_length(text, rest);
        if (length == 0)
            return false;
        text += length;
        rest -= length;
    }
    return true;
}

#endif
