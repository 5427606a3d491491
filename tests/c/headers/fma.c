/*
 * How often the multiply-add of headers that Sequential.to_c wrote differs from the C library's,
 * for n random triples; compiled by tests/test_c_export.py, which wrote single.h and twice.h.
 */
#include <math.h>
#include <string.h>

#include "single.h"
#include "twice.h"

size_t wrong_float(size_t n);
size_t wrong_double(size_t n);

/* SplitMix64 (Steele, Lea and Flood, OOPSLA 2014). */
static uint64_t next(void)
{
    static uint64_t state = 1;
    state += 0x9e3779b97f4a7c15;
    uint64_t z = state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

/*
 * Any number at all; or, `near`, one whose exponent lets sums cancel. Some have only few bits.
 * Every eighth sum is one that cancels but for what the product lost.
 */
#define DEFINE(type, unsigned_type, mantissa, first_exponent, fma_name, tested)                    \
    static type random_##type(int near)                                                            \
    {                                                                                              \
        unsigned_type b = (unsigned_type)next();                                                   \
        const unsigned_type exponents = ((unsigned_type) - 1 << 1 >> 1) >> mantissa << mantissa;   \
        type x;                                                                                    \
        if (near)                                                                                  \
            b = (b & ~exponents) | (unsigned_type)(first_exponent + next() % 60) << mantissa;      \
        if (next() % 4 == 0)                                                                       \
            b &= (unsigned_type) - 1 << (mantissa - 3);                                            \
        memcpy(&x, &b, sizeof x);                                                                  \
        return x;                                                                                  \
    }                                                                                              \
    size_t wrong_##type(size_t n)                                                                  \
    {                                                                                              \
        size_t wrong = 0;                                                                          \
        for (size_t i = 0; i < n; i++) {                                                           \
            const type a = random_##type(i % 2), b = random_##type(i % 2);                         \
            const type c = i % 8 == 3 ? -(a * b) : random_##type(i % 4 == 1);                      \
            const type found = tested(a, b, c), right = fma_name(a, b, c);                         \
            const int both_nan = found != found && right != right;                                 \
            wrong += !both_nan && memcmp(&found, &right, sizeof found) != 0;                       \
        }                                                                                          \
        return wrong;                                                                              \
    }

DEFINE(float, uint32_t, 23, 100, fmaf, single_fma)
DEFINE(double, uint64_t, 52, 1000, fma, twice_fma)
