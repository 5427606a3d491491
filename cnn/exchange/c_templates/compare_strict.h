        union {
            uint${bits}_t bits;
            ${type} value;
        } found = {0};
        found.value = y[j];
        wrong += found.bits != expected[j];
