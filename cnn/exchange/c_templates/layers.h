/* Columns that are computed side by side. */
#define ${own}_TILE ${tile}

/*
 * y (count) = x (inputs) . weight + bias, for `count` columns of a weight whose rows are `outputs`
 * apart. Products are summed in order, 256 at a time, and these sums from left to right.
 */
INLINE void ${own}_columns(size_t inputs, size_t outputs, const size_t count, const real *x,
                            const real *weight, const real *bias, real *y)
{
    real total[${own}_TILE], sum[${own}_TILE];
    for (size_t j = 0; j < count; j++)
        total[j] = 0;
    for (size_t k = 0; k < inputs;) {
        const size_t first = k, end = inputs - k < 256 ? inputs : k + 256;
        for (size_t j = 0; j < count; j++)
            sum[j] = 0;
        for (; k < end; k++) {
            for (size_t j = 0; j < count; j++)
                sum[j] = ${multiply_add};
        }
        for (size_t j = 0; j < count; j++)
            total[j] = first == 0 ? sum[j] : total[j] + sum[j];
    }
    for (size_t j = 0; j < count; j++)
        y[j] = total[j] + bias[j];
}

/* y (outputs) = x (inputs) . weight + bias; weight (inputs, outputs). */
INLINE void ${own}_dense(size_t inputs, size_t outputs, const real *x, const real *weight,
                          const real *bias, real *y)
{
    size_t j = 0;
    for (; j + ${own}_TILE <= outputs; j += ${own}_TILE)
        ${own}_columns(inputs, outputs, ${own}_TILE, x, weight + j, bias + j, y + j);
    if (j < outputs)
        ${own}_columns(inputs, outputs, outputs - j, x, weight + j, bias + j, y + j);
}
