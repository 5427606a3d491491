/* x (${inputs}) from row (${columns}). Returns 0, or 1 + the number of the column that is bad. */
static inline int ${own}_standardise(const double *row, ${type} *x)
{
    size_t at = 0;
    for (size_t i = 0; i < ${COLUMNS}; i++) {
${column}    }
    return 0;
}

