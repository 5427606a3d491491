#if defined(__GNUC__) && (defined(__FP_FAST_FMA) || defined(__FMA__) || defined(__aarch64__))
static inline double ${name}_fma(double a, double b, double c)
{
    return __builtin_fma(a, b, c);
}
#else
/* A number (-1)^negative (high 2^64 + low) 2^exponent. */
typedef struct ${own}_wide {
    uint64_t high, low;
    int exponent, negative;
} ${own}_wide;

/* Shift right by n > 0; the lowest bit tells whether anything was lost. */
static inline void ${own}_shift_right(${own}_wide *x, int n)
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
static inline ${own}_wide ${own}_widen(double value)
{
    union {
        double value;
        uint64_t bits;
    } same = {value};
    ${own}_wide x = {0, same.bits & (((uint64_t)1 << 52) - 1), -1074, (int)(same.bits >> 63)};
    const int exponent = (int)((same.bits >> 52) & 2047);
    if (exponent > 0) {
        x.low |= (uint64_t)1 << 52;
        x.exponent = exponent - 1075;
    }
    for (; x.low >> 52 == 0; x.exponent--)
        x.low <<= 1;
    return x;
}

/* Round to the nearest double, ties to even. */
static inline double ${own}_narrow(${own}_wide x)
{
    union {
        uint64_t bits;
        double value;
    } same = {0};
    for (; x.high >> 63 == 0; x.exponent--) {
        x.high = (x.high << 1) | (x.low >> 63);
        x.low <<= 1;
    }
    if (x.exponent > 1023 - 127)
        same.bits = (uint64_t)2047 << 52;
    else {
        const uint64_t half = 1024;
        int biased = x.exponent + 127 + 1023;
        if (biased < 1) { /* a denormal */
            ${own}_shift_right(&x, 1 - biased);
            biased = 1;
        }
        /* The highest bit adds 1 to the exponent, and so may rounding up. */
        same.bits = ((uint64_t)(biased - 1) << 52) + (x.high >> 11);
        const uint64_t rest = (x.high & 2047) | (x.low != 0);
        if ((x.high & half) && ((rest & (half - 1)) || (same.bits & 1)))
            same.bits++;
    }
    same.bits |= (uint64_t)x.negative << 63;
    return same.value;
}

/* The product of two such numbers, with its highest bit at bit 60 or 61 of `high`. */
static inline ${own}_wide ${own}_product(${own}_wide a, ${own}_wide b)
{
    const uint64_t mask = 0xffffffff;
    const uint64_t x = a.low << 10, y = b.low << 10;
    const uint64_t low = (x & mask) * (y & mask), cross = (x >> 32) * (y & mask) + (low >> 32);
    const uint64_t middle = (x & mask) * (y >> 32) + (cross & mask);
    ${own}_wide product = {(x >> 32) * (y >> 32) + (cross >> 32) + (middle >> 32),
                            (middle << 32) | (low & mask), a.exponent + b.exponent - 20,
                            a.negative ^ b.negative};
    return product;
}

/* a b + c, rounded once. */
static inline double ${name}_fma(double a, double b, double c)
{
    if (!(a - a == 0) || !(b - b == 0) || a == 0 || b == 0)
        return a * b + c;
    if (!(c - c == 0)) /* the product may overflow, but is finite */
        return c;
    if (c == 0)
        return a * b;
    ${own}_wide p = ${own}_product(${own}_widen(a), ${own}_widen(b)), q = ${own}_widen(c);
    q.high = q.low << 8;
    q.low = 0;
    q.exponent -= 72;
    if (p.exponent > q.exponent)
        ${own}_shift_right(&q, p.exponent - q.exponent);
    else if (q.exponent > p.exponent)
        ${own}_shift_right(&p, q.exponent - p.exponent);
    if (p.negative == q.negative) {
        p.low += q.low;
        p.high += q.high + (p.low < q.low);
    } else {
        if (p.high < q.high || (p.high == q.high && p.low < q.low)) {
            const ${own}_wide larger = q;
            q = p;
            p = larger;
        }
        const uint64_t borrow = p.low < q.low;
        p.low -= q.low;
        p.high -= q.high + borrow;
    }
    if ((p.high | p.low) == 0)
        return 0;
    return ${own}_narrow(p);
}
#endif
