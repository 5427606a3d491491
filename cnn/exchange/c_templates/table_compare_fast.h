            const double error = (double)y[j] - expected[i][j];
            wrong += !(-most[i][j] <= error && error <= most[i][j]);
