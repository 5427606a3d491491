
/* y (inputs) = (x - mean) / scale. */
INLINE void ${own}_standardize(size_t inputs, const real *x, const real *mean, const real *scale,
                               real *y)
{
    for (size_t j = 0; j < inputs; j++)
        y[j] = (x[j] - mean[j]) / scale[j];
}
