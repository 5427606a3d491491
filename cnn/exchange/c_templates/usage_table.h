 *     int ${name}_predict(const double *row, ${result} *y);
 *
 * row (${columns}) has the values of a row of the table, in the order of ${name}_column_names:
 * numbers as the table has them, and of categories the place among those of the column, as
 *
 *     int ${name}_category(size_t column, const char *text);
 *
 * finds it, or -1 if the column does not have the category. Columns are counted from 0. Numbers are
 * standardised, (value - mean) / scale, in double, and then rounded once to ${type}.
${of_missing}${meaning} *
 * Returns 0; or 1 + the number of the first column whose value cannot be used, since it is${unusable}infinite, too far from what the network was trained on, or no place of a category; or -1 if an
 * output is not finite. y is NaN then.
 *
 *     void ${name}_forward(const ${type} *x, ${type} *y);
 *
 * is the network alone, from inputs x (${inputs}) that are standardised to outputs y (${outputs}).
 * row, x and y must not overlap. A call takes about ${stack} bytes of stack for numbers, and what the
 * compiler needs besides; there is no other memory, no C library, no other file. Any number of threads may
 * call them at once. Include it in one source file, since each that includes it holds the
 * parameters.
