
INLINE real ${own}_${activation}_element(real x)
{
${statements}}

/* In place, for each of n numbers. */
INLINE void ${own}_${activation}(size_t n, real *y)
{
    for (size_t j = 0; j < n; j++)
        y[j] = ${own}_${activation}_element(y[j]);
}
