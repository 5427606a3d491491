    double gaps[${COLUMNS}];
    for (size_t j = 0; j < ${COLUMNS}; j++)
        gaps[j] = ${own}_nan();
    wrong += ${name}_predict(gaps, y) != 0;
    for (size_t i = ${count}, j = 0; j < ${results}; j++) {
${compare}
    }
