        const ${own}_column *column = &${own}_table[i];
        const int missing = row[i] != row[i];
        const double value = missing ? column->fill : row[i];
        if (column->categories == NULL) {
            x[at] = (${type})((value - column->mean) / column->scale);
            if (!(x[at] - x[at] == 0))
                return (int)i + 1;
            at++;
            if (column->indicator)
                x[at++] = missing ? 1 : 0;
        } else {
            if (!missing && (!(value >= 0 && value < column->count) || value > (int)value))
                return (int)i + 1;
            for (int j = 0; j < column->count + column->indicator; j++)
                x[at++] = j == (int)value ? 1 : 0;
        }
