
/* y (n) = factor x, which may be y. */
INLINE void ${own}_scale(size_t n, const real *x, const real *factor, real *y)
{
    for (size_t j = 0; j < n; j++)
        y[j] = v_mul(x[j], factor[j]);
}
