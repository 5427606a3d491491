/* The place of the greatest of the probabilities y (${outputs}), the first of equals; -1 if they are NaN. */
static inline int ${name}_class(const ${result} *y)
{
    int best = 0;
    for (int j = 1; j < ${OUTPUTS}; j++)
        if (y[j] > y[best])
            best = j;
    return y[best] - y[best] == 0 ? best : -1;
}

