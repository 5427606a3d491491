/*
 * a b + c, rounded once, where the CPU is not known to have an instruction for it. soft_fma is
 * right everywhere: it needs nothing but IEEE arithmetic. Those of C libraries are faster, but some
 * of them round twice, so that they are tried before they are used (fma.c). Sequential.to_c writes
 * soft_fma into headers.
 */
#ifndef CNN_FMA_H
#define CNN_FMA_H

#if CNN_BITS == 32
/*
 * The product is exact in double; the sum is rounded to odd, so that rounding it once more, to
 * float, gives the same (Boldo and Melquiond, IEEE Transactions on Computers 57, 2008).
 */
INLINE real soft_fma(real a, real b, real c)
{
    const double product = (double)a * (double)b;
    union {
        double value;
        uint64_t pattern;
    } sum = {product + (double)c};
    const double part = sum.value - product;
    const double lost = (product - (sum.value - part)) + ((double)c - part);
    const int away = (lost > 0) == (sum.value > 0);
    if ((lost < 0 || lost > 0) && (sum.pattern & 1) == 0)
        sum.pattern += away ? 1 : (uint64_t)-1;
    return (real)sum.value;
}
#else
/* A number (-1)^negative (high 2^64 + low) 2^exponent. */
typedef struct fma_wide {
    uint64_t high, low;
    int exponent, negative;
} fma_wide;

/* Shift right by n > 0; the lowest bit tells whether anything was lost. */
INLINE void fma_shift_right(fma_wide *x, int n)
{
    uint64_t lost;
    x->exponent += n;
    if (n >= 128) {
        lost = x->high | x->low;
        x->high = x->low = 0;
    } else if (n >= 64) {
        lost = x->low | (n > 64 ? x->high << (128 - n) : 0);
        x->low = x->high >> (n - 64);
        x->high = 0;
    } else {
        lost = x->low << (64 - n);
        x->low = (x->low >> n) | (x->high << (64 - n));
        x->high >>= n;
    }
    x->low |= lost != 0;
}

/* A finite number but 0, with the highest bit of its 53 at bit 52 of `low`. */
INLINE fma_wide fma_widen(real value)
{
    union {
        real value;
        uint64_t pattern;
    } same = {value};
    fma_wide x = {0, same.pattern & (((uint64_t)1 << 52) - 1), -1074, (int)(same.pattern >> 63)};
    const int exponent = (int)((same.pattern >> 52) & 2047);
    if (exponent > 0) {
        x.low |= (uint64_t)1 << 52;
        x.exponent = exponent - 1075;
    }
    for (; x.low >> 52 == 0; x.exponent--)
        x.low <<= 1;
    return x;
}

/* Round to the nearest real, ties to even. */
INLINE real fma_narrow(fma_wide x)
{
    union {
        uint64_t pattern;
        real value;
    } same = {0};
    for (; x.high >> 63 == 0; x.exponent--) {
        x.high = (x.high << 1) | (x.low >> 63);
        x.low <<= 1;
    }
    if (x.exponent > 1023 - 127)
        same.pattern = (uint64_t)2047 << 52;
    else {
        const uint64_t half = 1024;
        int biased = x.exponent + 127 + 1023;
        if (biased < 1) { /* a denormal */
            fma_shift_right(&x, 1 - biased);
            biased = 1;
        }
        /* The highest bit adds 1 to the exponent, and so may rounding up. */
        same.pattern = ((uint64_t)(biased - 1) << 52) + (x.high >> 11);
        const uint64_t rest = (x.high & 2047) | (x.low != 0);
        if ((x.high & half) && ((rest & (half - 1)) || (same.pattern & 1)))
            same.pattern++;
    }
    same.pattern |= (uint64_t)x.negative << 63;
    return same.value;
}

/* The product of two such numbers, with its highest bit at bit 60 or 61 of `high`. */
INLINE fma_wide fma_product(fma_wide a, fma_wide b)
{
    const uint64_t mask = 0xffffffff;
    const uint64_t x = a.low << 10, y = b.low << 10;
    const uint64_t low = (x & mask) * (y & mask), cross = (x >> 32) * (y & mask) + (low >> 32);
    const uint64_t middle = (x & mask) * (y >> 32) + (cross & mask);
    fma_wide product = {(x >> 32) * (y >> 32) + (cross >> 32) + (middle >> 32),
                        (middle << 32) | (low & mask), a.exponent + b.exponent - 20,
                        a.negative ^ b.negative};
    return product;
}

/* a b + c, rounded once. */
INLINE real soft_fma(real a, real b, real c)
{
    if (!(a - a == 0) || !(b - b == 0) || a == 0 || b == 0)
        return a * b + c;
    if (!(c - c == 0)) /* the product may overflow, but is finite */
        return c;
    if (c == 0)
        return a * b;
    fma_wide p = fma_product(fma_widen(a), fma_widen(b)), q = fma_widen(c);
    q.high = q.low << 8;
    q.low = 0;
    q.exponent -= 72;
    if (p.exponent > q.exponent)
        fma_shift_right(&q, p.exponent - q.exponent);
    else if (q.exponent > p.exponent)
        fma_shift_right(&p, q.exponent - p.exponent);
    if (p.negative == q.negative) {
        p.low += q.low;
        p.high += q.high + (p.low < q.low);
    } else {
        if (p.high < q.high || (p.high == q.high && p.low < q.low)) {
            const fma_wide larger = q;
            q = p;
            p = larger;
        }
        const uint64_t borrow = p.low < q.low;
        p.low -= q.low;
        p.high -= q.high + borrow;
    }
    if ((p.high | p.low) == 0)
        return 0;
    return fma_narrow(p);
}
#endif

/* Whether the scalar kernels have the instruction: some CPUs have it for float alone. */
#if CNN_BITS == 32
#if defined(__FP_FAST_FMAF) || defined(__FMA__) || defined(__aarch64__)
#define BUILT_IN_FMA __builtin_fmaf
#endif
#elif defined(__FP_FAST_FMA) || defined(__FMA__) || defined(__aarch64__)
#define BUILT_IN_FMA __builtin_fma
#endif

#if defined(BUILT_IN_FMA)
INLINE real fused(real a, real b, real c)
{
    return BUILT_IN_FMA(a, b, c);
}
#elif defined(CNN_BUILD)
/* What fma.c chose: the C library's, or soft_fma. */
#define FMA_IS_CALLED
typedef real (*fma_function)(real a, real b, real c);
extern _Atomic(fma_function) KERNEL(fma);

INLINE real fused(real a, real b, real c)
{
    return atomic_load_explicit(&KERNEL(fma), memory_order_relaxed)(a, b, c);
}
#endif

#endif
