static inline int ${name}_predict(const double *row, double *y)
{
    ${type} x[${INPUTS}], output[${OUTPUTS}];
    int bad = ${own}_encode(row, x);
    for (size_t j = 0; j < ${OUTPUTS}; j++)
        y[j] = bad == 0 ? 0 : ${own}_nan();
    if (bad != 0)
        return bad;
${members}    for (size_t j = 0; j < ${OUTPUTS}; j++)
        y[j] /= ${count_of_networks};
    ${own}_finish(y);
    for (size_t j = 0; j < ${OUTPUTS}; j++)
        if (!(y[j] - y[j] == 0))
            bad = -1;
    for (size_t j = 0; bad != 0 && j < ${OUTPUTS}; j++)
        y[j] = ${own}_nan();
    return bad;
}

