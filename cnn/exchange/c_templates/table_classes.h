/* The place of the greatest of the probabilities y (${outputs}), the first of equals; -1 if they are NaN. */
static inline int ${name}_class(const ${type} *y)
{
    int best = 0;
    for (int j = 1; j < ${OUTPUTS}; j++)
        if (y[j] > y[best])
            best = j;
    return y[best] - y[best] == 0 ? best : -1;
}

static inline int ${name}_predict(const double *row, ${type} *y)
{
    ${type} x[${INPUTS}];
    int bad = ${own}_standardise(row, x);
    if (bad == 0) {
        ${name}_forward(x, y);
        for (size_t j = 0; j < ${OUTPUTS}; j++)
            if (!(y[j] - y[j] == 0))
                bad = -1;
    }
    for (size_t j = 0; bad != 0 && j < ${OUTPUTS}; j++)
        y[j] = (${type})${own}_nan();
    return bad;
}

