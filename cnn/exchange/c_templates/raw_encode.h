static const double ${own}_centers[${INPUTS}] = {
${centers}};

static const double ${own}_scales[${INPUTS}] = {
${scales}};

/* x (${inputs}) from row (${columns}). Returns 0, or 1 + the number of the column that is bad. */
static inline int ${own}_encode(const double *row, ${type} *x)
{
    const int refuses_unseen = ${refuses_unseen};
    size_t at = 0;
    for (size_t i = 0; i < ${COLUMNS}; i++) {
        const ${own}_column *column = &${own}_table[i];
        double numbers[4] = {row[i]};
        int count = 1;
        if (column->kind == 1) {
            const int unseen = !(row[i] < -1) && !(row[i] > -1) && row[i] == row[i];
            const int known = row[i] >= 0 && row[i] < column->count && !(row[i] > (int)row[i]);
            if (row[i] == row[i] && !known && (!unseen || refuses_unseen))
                return (int)i + 1;
            if (unseen && column->codes == column->count)
                numbers[0] = ${own}_nan();
            else if (unseen || row[i] >= column->codes)
                numbers[0] = column->codes;
        } else if (row[i] == row[i] && !(row[i] - row[i] == 0)) {
            return (int)i + 1;
        }
${dates}        for (int k = 0; k < count; k++, at++) {
            const double scaled = (numbers[k] - ${own}_centers[at]) / ${own}_scales[at];
            x[at] = (${type})(scaled < -1e30 ? -1e30 : scaled > 1e30 ? 1e30 : scaled);
        }
    }
    return 0;
}

