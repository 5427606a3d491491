/*
 * Doubles as decimal text. strtod and printf follow the locale's decimal point, and a host may
 * change its locale at any time; so reading is done here, in integers of fixed width, and
 * writing mends what printf wrote.
 */
#include "decimal.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/*
 * Natural numbers below 2^1408. The largest in use is 10^394: the smallest double is above
 * 10^-330, and the digits of a text of 64 characters add another factor of 10^-64.
 */
enum { WORDS = 44 };

typedef struct natural {
    uint32_t word[WORDS]; /* least significant first */
} natural;

static void multiply_add(natural *number, uint32_t factor, uint32_t term)
{
    uint64_t carry = term;
    for (size_t i = 0; i < WORDS; i++) {
        carry += (uint64_t)number->word[i] * factor;
        number->word[i] = (uint32_t)carry;
        carry >>= 32;
    }
}

static void multiply_power_of_ten(natural *number, int power)
{
    for (; power >= 9; power -= 9)
        multiply_add(number, 1000000000, 0);
    for (; power > 0; power--)
        multiply_add(number, 10, 0);
}

/* The number of bits up to the highest one that is set. */
static int bit_length(const natural *number)
{
    for (int i = WORDS; i-- > 0;) {
        uint32_t word = number->word[i];
        int bits = 0;
        for (; word != 0; word >>= 1)
            bits++;
        if (bits > 0)
            return 32 * i + bits;
    }
    return 0;
}

static void shift_left(natural *number, int bits)
{
    int words = bits / 32;
    bits %= 32;
    for (int i = WORDS; i-- > 0;) {
        uint32_t high = i >= words ? number->word[i - words] : 0;
        uint32_t low = i > words ? number->word[i - words - 1] : 0;
        number->word[i] = (uint32_t)((((uint64_t)high << 32 | low) << bits) >> 32);
    }
}

static int compare(const natural *a, const natural *b)
{
    for (int i = WORDS; i-- > 0;) {
        if (a->word[i] != b->word[i])
            return a->word[i] < b->word[i] ? -1 : 1;
    }
    return 0;
}

/* a -= b, for a >= b. */
static void subtract(natural *a, const natural *b)
{
    uint64_t borrow = 0;
    for (size_t i = 0; i < WORDS; i++) {
        uint64_t difference = (uint64_t)a->word[i] - b->word[i] - borrow;
        a->word[i] = (uint32_t)difference;
        borrow = difference >> 63;
    }
}

/* The bits of the double nearest to a / b, both above 0, by long division. */
static uint64_t nearest_quotient(natural *a, natural *b)
{
    int exponent = bit_length(a) - bit_length(b);
    int wanted = 53;
    uint64_t quotient = 0;
    if (exponent > 0)
        shift_left(b, exponent);
    else
        shift_left(a, -exponent);
    if (compare(a, b) < 0) {
        shift_left(a, 1);
        exponent--;
    }
    /* Now 1 <= a / b < 2. Below 2^-1022, doubles have fewer bits. */
    if (exponent < -1022)
        wanted += exponent + 1022;
    if (wanted < 0)
        return 0;
    for (int i = 0; i < wanted; i++) {
        quotient <<= 1;
        if (compare(a, b) >= 0) {
            subtract(a, b);
            quotient |= 1;
        }
        shift_left(a, 1);
    }
    /* What is left, a / 2b, decides on rounding. */
    int half = compare(a, b);
    if (half > 0 || (half == 0 && (quotient & 1) != 0))
        quotient++;
    /* The leading bit, or the carry of the rounding, adds 1 to the exponent's field. */
    return ((uint64_t)(exponent < -1022 ? 0 : exponent + 1022) << 52) + quotient;
}

/* The value of the text after 'e', held within +-100000, which no finite number reaches. */
static int read_exponent(const char *text, const char *end)
{
    int sign = 1, value = 0;
    if (text < end && (*text == '-' || *text == '+'))
        sign = *text++ == '-' ? -1 : 1;
    for (; text < end; text++) {
        if (value < 10000)
            value = 10 * value + (*text - '0');
    }
    return sign * value;
}

bool cnn_decimal_read(const char *text, size_t size, double *value)
{
    const char *end = text + size;
    natural a = {{0}}, b = {{1}};
    int digits = 0; /* from the first that is not 0 */
    int exponent = 0;
    bool negative = size > 0 && *text == '-', fraction = false;
    uint64_t bits = 0;
    for (text += negative; text < end && *text != 'e' && *text != 'E'; text++) {
        if (*text == '.') {
            fraction = true;
            continue;
        }
        multiply_add(&a, 10, (uint32_t)(*text - '0'));
        exponent -= fraction;
        digits += digits > 0 || *text != '0';
    }
    if (text < end)
        exponent += read_exponent(text + 1, end);

    if (digits > 0 && digits + exponent > 310)
        return false;
    if (digits > 0 && digits + exponent > -330) {
        multiply_power_of_ten(&a, exponent);
        multiply_power_of_ten(&b, -exponent);
        bits = nearest_quotient(&a, &b);
        if (bits >= UINT64_C(0x7ff) << 52)
            return false;
    }
    bits |= (uint64_t)negative << 63;
    memcpy(value, &bits, sizeof bits);
    return true;
}

/* Put a point in the place of the locale's decimal mark, which may have several bytes. */
static void mend_decimal_mark(char *text)
{
    char *out = text;
    for (char *in = text; *in != '\0'; in++) {
        if ((*in >= '0' && *in <= '9') || *in == '-' || *in == '+' || *in == 'e')
            *out++ = *in;
        else if (out == text || out[-1] != '.')
            *out++ = '.';
    }
    *out = '\0';
}

void cnn_decimal_write(double value, char text[CNN_DECIMAL_SIZE])
{
    double back = 0;
    /* 17 digits suffice where printf rounds to nearest, and 19 where the host made it not to. */
    for (int digits = 15; digits <= 19; digits++) {
        snprintf(text, CNN_DECIMAL_SIZE, "%.*g", digits, value);
        mend_decimal_mark(text);
        if (cnn_decimal_read(text, strlen(text), &back) && memcmp(&back, &value, sizeof value) == 0)
            return;
    }
}
