static inline int ${own}_test_${network}(void)
{
    static const uint${bits}_t inputs[${samples}][${INPUTS}] = {
${inputs_bits}};
    static const uint${bits}_t expected[${samples}][${OUTPUTS}] = {
${expected}};
    ${type} x[${INPUTS}], y[${OUTPUTS}];
    int wrong = 0;
    for (size_t i = 0; i < ${samples}; i++) {
        for (size_t j = 0; j < ${INPUTS}; j++) {
            const union {
                uint${bits}_t bits;
                ${type} value;
            } sample = {inputs[i][j]};
            x[j] = sample.value;
        }
        ${name}_${network}(x, y);
        for (size_t j = 0; j < ${OUTPUTS}; j++) {
${compare}
        }
    }
    return wrong;
}

