    for (size_t i = 1; i < ${OUTPUTS}; i++) {
        for (size_t j = i; j > 0 && y[j] < y[j - 1]; j--) {
            const double less = y[j];
            y[j] = y[j - 1];
            y[j - 1] = less;
        }
    }
