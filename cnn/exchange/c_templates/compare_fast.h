            const union {
                uint${bits}_t bits;
                ${type} value;
            } right = {expected[i][j]};
            const ${type} most = ${tolerance} * (1 + right.value * right.value);
            const ${type} error = y[j] - right.value;
            wrong += !(-most <= error && error <= most);
