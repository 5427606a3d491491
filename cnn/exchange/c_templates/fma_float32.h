/*
 * a b + c, rounded once. Without an instruction for it: the product is exact in double; the sum is
 * rounded to odd, so that rounding it once more, to float, gives the same (Boldo and Melquiond,
 * IEEE Transactions on Computers 57, 2008).
 */
static inline float ${name}_fma(float a, float b, float c)
{
#if defined(__GNUC__) && (defined(__FP_FAST_FMAF) || defined(__FMA__) || defined(__aarch64__))
    return __builtin_fmaf(a, b, c);
#else
    const double product = (double)a * (double)b;
    union {
        double value;
        uint64_t bits;
    } sum = {product + (double)c};
    const double part = sum.value - product;
    const double lost = (product - (sum.value - part)) + ((double)c - part);
    if ((lost < 0 || lost > 0) && (sum.bits & 1) == 0)
        sum.bits += (lost > 0) == (sum.value > 0) ? 1 : (uint64_t)-1;
    return (float)sum.value;
#endif
}
