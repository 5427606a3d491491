/* a b + c, rounded once, by an instruction if compilers are told that the CPU has it. */
static inline ${type} ${fma}(${type} a, ${type} b, ${type} c)
{
#if defined(__GNUC__) && (defined(__FP_FAST_FMA${SUFFIX}) || defined(__FMA__) || defined(__aarch64__))
    return __builtin_fma${suffix}(a, b, c);
#else
    return ${own}_soft_fma(a, b, c);
#endif
}
