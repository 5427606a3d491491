/* The inputs at which functions are measured, and numbers where formulas change. */
#ifndef CNN_ACCURACY_INPUTS_H
#define CNN_ACCURACY_INPUTS_H

#include "accuracy/reference.h"
#include "kernels/simd/simd.h"

static inline real from_bits(uint64_t pattern)
{
    const bits b = (bits)pattern;
    real x;
    memcpy(&x, &b, sizeof x);
    return x;
}

/* splitmix64: the i-th of a stream of random bits. */
static inline uint64_t random_bits(uint64_t i)
{
    uint64_t z = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static inline real between(double low, double high, uint64_t random)
{
    const double u = (double)(random >> 11) * 0x1p-53;
    return (real)(low + (high - low) * u);
}

/* All exponents, each function's own range, where it is hard, and around powers of 2. */
static inline real sample(double from, double to, double hard_from, double hard_to, uint64_t i)
{
    const uint64_t random = random_bits(i);
    switch (i % 4) {
    case 0:
        return from_bits(random);
    case 1:
        return between(from, to, random);
    case 2:
        return between(hard_from, hard_to, random);
    default: {
        const double x = between(0.5, 1, random) * ldexp(1.0, (int)(random % 47) - 40);
        return (real)(random & 64 ? x : -x);
    }
    }
}

/* Where a function is 0, 1, infinite or denormal, where its formula changes, or a sum rounds. */
static const double near_these[] = {0,           1,          0x1p-24,     0x1p-53,    0.34657359028,
                                    0.693147181, 1.03972077, 0.707106781, 1.41421356, 16.6355324,
                                    17.3286795,  18.0218267, 36.7368006,  88.3762626, 88.7228391,
                                    87.3365448,  103.278929, 103.972076,  708.396419, 709.782713,
                                    709.436139,  744.440072, 745.133219,  9.01091385, 19.0615475,
                                    3.83250594,  5.86358475, 0.888819442, 14.1697,    38.4674,
                                    13.3,        37.5,       89,          104,        710,
                                    746,         1e4,        1e30};
enum { NEAR_THESE = sizeof near_these / sizeof *near_these };

/* Zeros, denormals, infinities, NaNs, and the neighbours of the numbers above: how many. */
enum { SPECIAL_MOST = 16 * 256 };
static inline size_t special_inputs(real x[SPECIAL_MOST])
{
    size_t n = 0;
    const uint64_t mantissa = ((uint64_t)1 << (MANTISSA - 1)) - 1;
    const uint64_t inf = ((uint64_t)1 << (CNN_BITS - 1)) - mantissa - 1;
    const uint64_t quiet = inf + mantissa / 2 + 1;
    const uint64_t patterns[] = {
        0,       1,   2,       3,     mantissa,  mantissa / 2,  mantissa + 1,
        inf - 1, inf, inf + 1, quiet, quiet + 1, inf + mantissa};
    for (size_t k = 0; k < sizeof patterns / sizeof *patterns; k++) {
        x[n++] = from_bits(patterns[k]);
        x[n++] = from_bits(patterns[k] | (uint64_t)1 << (CNN_BITS - 1));
    }
    for (size_t k = 0; k < NEAR_THESE; k++) {
        const real middle = (real)near_these[k];
        bits b;
        memcpy(&b, &middle, sizeof b);
        for (uint64_t step = 0; step < 8; step++) {
            x[n++] = from_bits(b + step);
            x[n++] = -from_bits(b + step);
            x[n++] = from_bits(b - step);
            x[n++] = -from_bits(b - step);
        }
    }
    return n;
}

#endif
