 *     int ${name}_predict(const double *row, double *y);
 *
 * row (${columns}) has the values of a row of the table, in the order of ${name}_column_names:
 * numbers as the table has them, durations in seconds, and of categories the place among those of
 * the column, as
 *
 *     int ${name}_category(size_t column, const char *text);
 *
 * finds it. It returns -1 for a category that training did not have, which
 * ${unseen}.
 * Columns are counted from 0. Truth values are the categories "False", 0, and "True", 1.
${kinds} * A missing value of any column is NaN.
${meaning}${mean_of} *
 * Returns 0; or 1 + the number of the first column whose value cannot be used, since it is infinite,
 * out of range, or no place of a category; or -1 if an output is not a number. y is NaN then.
 *
 *     void ${forward}(const ${type} *x, ${type} *y);
 *
 * is ${alone}, from inputs x (${inputs}), numbers that are scaled, (value - center) / scale in
 * double, and rounded to ${type}, and places of categories, to outputs y (${outputs}).
 * row, x and y must not overlap. A call takes about ${stack} bytes of stack for numbers, and what the
 * compiler needs besides; there is no other memory, no C library, no other file. Any number of threads may
 * call them at once. Include it in one source file, since each that includes it holds the
 * parameters.
