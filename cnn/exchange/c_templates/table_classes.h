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

