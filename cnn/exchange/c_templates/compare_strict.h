            union {
                uint${bits}_t bits;
                ${result} value;
            } found = {0};
            found.value = y[j];
            wrong += found.bits != expected[i][j];
