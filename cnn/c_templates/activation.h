
INLINE real ${name}_element_${activation}(real x)
{
${statements}}

/* In place, for each of n numbers. */
INLINE void ${name}_${activation}(size_t n, real *y)
{
    for (size_t j = 0; j < n; j++)
        y[j] = ${name}_element_${activation}(y[j]);
}
