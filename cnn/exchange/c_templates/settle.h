
/*
 * Have n numbers in memory, so that no compiler makes one rounding of the products that they are
 * and of sums with them.
 */
INLINE void ${own}_settle(size_t n, real *y)
{
#ifdef __GNUC__
    (void)n;
    __asm__ volatile("" : : "r"(y) : "memory");
#else
    for (size_t j = 0; j < n; j++) {
        const volatile real number = y[j];
        y[j] = number;
    }
#endif
}
