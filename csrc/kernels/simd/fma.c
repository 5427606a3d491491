/*
 * Which multiply-add the scalar kernels call if the CPU is not known to have one: that of glibc or
 * of Apple's library, if it passes a trial at the first call, else soft_fma. The others are not
 * called, since a trial does not see all errors: MinGW's rounds twice; musl's (1.2.3) has the wrong
 * sign if a product underflows and c is 0; Zig's for Windows (0.16), which is an old one of
 * FreeBSD, is wrong for one in 100,000 random numbers, below powers of 2 and for ties of denormals.
 */
#include "kernels/simd/simd.h"

#include "base/platform.h"

int KERNEL(fma_is_right)(real (*tried)(real, real, real));

#if CNN_BITS == 32
#define LIBRARY_FMA fmaf
#define FIRST_BIAS 127
#else
#define LIBRARY_FMA fma
#define FIRST_BIAS 1023
#endif

enum { MANTISSA = CNN_BITS == 32 ? 23 : 52, TRIALS = 2000 };

/* SplitMix64 (Steele, Lea and Flood, OOPSLA 2014). */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* A number with few or many bits; every other one so near 1 that sums cancel in part. */
static real random_real(uint64_t *state)
{
    const bits exponents = ((bits)-1 << 1 >> 1) >> MANTISSA << MANTISSA;
    const uint64_t choice = next_random(state);
    bits pattern = (bits)next_random(state);
    if (choice % 2 == 0)
        pattern = (pattern & ~exponents) | (bits)(FIRST_BIAS - 40 + choice / 8 % 80) << MANTISSA;
    if (choice % 8 < 4)
        pattern &= (bits)-1 << (MANTISSA - (int)(choice / 1024 % 8));
    return v_as_real((v_int)pattern);
}

static int is_right_for(real (*tried)(real, real, real), real a, real b, real c)
{
    const real found = tried(a, b, c), right = soft_fma(a, b, c);
    return v_as_int(found) == v_as_int(right) || (found != found && right != right);
}

/*
 * What has been wrong in C libraries: a product that is rounded; a sum that is rounded to more bits
 * first and so hits the middle of two numbers, also of two denormals; a sum just below a power of
 * 2, where numbers are closer; a product that overflows or underflows by itself; the sign of 0.
 */
int KERNEL(fma_is_right)(real (*tried)(real, real, real))
{
    const real unit = CNN_BITS == 32 ? R(0x1p-23) : (real)0x1p-52;
    const real least = CNN_BITS == 32 ? R(0x1p-149) : (real)0x1p-1074;
    const real most = CNN_BITS == 32 ? R(0x1p+127) : (real)0x1p+1023;
    const real tiny = unit * unit * unit, one = 1, middle = one + unit, normal = least / unit;
    const real cases[][3] = {
        {middle, middle, -1 - 2 * unit},
        {middle, 1 - unit, -1},
        {middle, unit / 2, one},
        {one, unit / 2, middle},
        {unit / 2 * middle, one - unit, 1},
        {tiny, -tiny, 1 + unit},
        {unit / 2 + tiny, 1, one},
        {unit / 2 - tiny, 1, one},
        {R(1.9375), unit * R(-0.2421875), one},
        {most, 2, -most},
        {most, most, -INFINITY},
        {least, R(0.5), least},
        {least, R(0.5), 0},
        {-least, R(0.5), 0},
        {least, R(-0.25), 0},
        {least * 3, R(0.5), least},
        {middle, least * 3, -least},
        {middle * normal, unit / 2, normal / 2},
        {normal * R(1.5), middle, -normal * (R(1.5) + unit)},
        {one, -1, 1},
        {-1, 0, 0},
        {-1, 0, R(-0.0)},
        {least, -least, 0},
        {INFINITY, 0, 1},
        {INFINITY, 1, -INFINITY},
    };
    int right = 1;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        right &= is_right_for(tried, cases[i][0], cases[i][1], cases[i][2]);
    uint64_t state = 1;
    for (int i = 0; i < TRIALS && right; i++) {
        const real a = random_real(&state), b = random_real(&state), c = random_real(&state);
        /* A product, and half a unit of a number beside it: a tie but for what the product lost. */
        const real tie = soft_fma(a, b, 0) / unit * (i % 4 < 2 ? R(2.0) : R(-2.0));
        right &= is_right_for(tried, a, b, c) && is_right_for(tried, a, b, -(a * b)) &&
                 is_right_for(tried, a, b, tie * middle);
    }
    return right;
}

#if defined(FMA_IS_CALLED)

static real software(real a, real b, real c)
{
    return soft_fma(a, b, c);
}

/* Threads that choose at the same time choose the same. */
static real choose(real a, real b, real c)
{
    fma_function chosen = software;
#if defined(CNN_PLATFORM_FMA_MAY_BE_RIGHT) && !defined(CNN_SOFTWARE_FMA)
    if (KERNEL(fma_is_right)(LIBRARY_FMA))
        chosen = LIBRARY_FMA;
#endif
    atomic_store_explicit(&KERNEL(fma), chosen, memory_order_relaxed);
    return chosen(a, b, c);
}

_Atomic(fma_function) KERNEL(fma) = choose;

#endif
