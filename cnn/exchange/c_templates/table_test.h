static inline int ${own}_table_test(void)
{
    static const double rows[${count}][${COLUMNS}] = {
${rows}};
    static const ${expected_type} expected[${expected_count}][${results}] = {
${expected}};
${most}    ${result} y[${results}];
    int wrong = 0;
    for (size_t i = 0; i < ${count}; i++) {
        wrong += ${name}_predict(rows[i], y) != 0;
        for (size_t j = 0; j < ${results}; j++) {
${compare}
        }
    }
    for (size_t i = 0; i < ${COLUMNS}; i++) {
        double row[${COLUMNS}];
        for (size_t j = 0; j < ${COLUMNS}; j++)
            row[j] = i == j ? ${own}_nan() : rows[0][j];
        wrong += ${name}_predict(row, y) != ${refused} || y[0] - y[0] ${compared} 0;
        for (int j = 0; j < ${own}_table[i].count; j++)
            wrong += ${name}_category(i, ${own}_table[i].categories[j]) != j;
    }
${missing}    return wrong;
}

