static inline int ${name}_predict(const double *row, double *y)
{
    ${type} x[${INPUTS}], output[${OUTPUTS}];
    const int bad = ${own}_standardise(row, x);
    *y = ${own}_nan();
    if (bad != 0)
        return bad;
    ${name}_forward(x, output);
    /* volatile, so that no compiler makes one rounding of the two. */
    const volatile double product = (double)output[0] * ${scale};
    const double number = product + ${mean};
    if (!(number - number == 0))
        return -1;
    *y = number;
    return 0;
}

