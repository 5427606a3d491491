        const ${own}_column *column = &${own}_table[i];
        if (column->categories == NULL) {
            x[at] = (${type})((row[i] - column->mean) / column->scale);
            if (!(x[at] - x[at] == 0))
                return (int)i + 1;
            at++;
        } else {
            if (!(row[i] >= 0 && row[i] < column->count) || row[i] > (int)row[i])
                return (int)i + 1;
            for (int j = 0; j < column->count; j++)
                x[at++] = j == (int)row[i] ? 1 : 0;
        }
