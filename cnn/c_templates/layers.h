/* Columns that are computed side by side. */
#define ${NAME}_COLUMNS 64

/*
 * y (count) = x (inputs) . weight + bias, for `count` columns of a weight whose rows are `outputs`
 * apart. Products are summed in order, 256 at a time, and these sums from left to right.
 */
INLINE void ${name}_columns(size_t inputs, size_t outputs, const size_t count, const real *x,
                            const real *weight, const real *bias, real *y)
{
    real total[${NAME}_COLUMNS], sum[${NAME}_COLUMNS];
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
INLINE void ${name}_dense(size_t inputs, size_t outputs, const real *x, const real *weight,
                          const real *bias, real *y)
{
    size_t j = 0;
    for (; j + ${NAME}_COLUMNS <= outputs; j += ${NAME}_COLUMNS)
        ${name}_columns(inputs, outputs, ${NAME}_COLUMNS, x, weight + j, bias + j, y + j);
    if (j < outputs)
        ${name}_columns(inputs, outputs, outputs - j, x, weight + j, bias + j, y + j);
}
