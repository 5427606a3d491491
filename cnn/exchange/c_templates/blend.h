
/* y (n) = y + mix (h - y). */
INLINE void ${own}_blend(size_t n, real *h, const real *mix, real *y)
{
    ${own}_settle(n, h);
    for (size_t j = 0; j < n; j++)
        y[j] = v_fma(mix[j], v_sub(h[j], y[j]), y[j]);
}

INLINE void ${own}_copy(size_t n, const real *x, real *y)
{
    for (size_t j = 0; j < n; j++)
        y[j] = x[j];
}
