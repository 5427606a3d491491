/* y (${outputs}) = y / the sum of y. */
static inline void ${own}_finish(double *y)
{
    double sum = y[0];
    for (size_t j = 1; j < ${OUTPUTS}; j++)
        sum += y[j];
    for (size_t j = 0; j < ${OUTPUTS}; j++)
        y[j] /= sum;
}

