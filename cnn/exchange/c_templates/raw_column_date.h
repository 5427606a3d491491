        if (column->kind == 2) {
            count = 4;
            if (!${own}_date(row[i], numbers))
                return (int)i + 1;
        }
