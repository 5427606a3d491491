 *     void ${name}_predict(const ${type} *x, ${type} *y);
 *
 * x (${inputs}) and y (${outputs}) must not overlap. A call takes about ${stack} bytes of stack for numbers, and
 * what the compiler needs besides; there is no other memory, no C library, no other file. Any
 * number of threads may call it at once. Include it in one source file, since each that includes it
 * holds the parameters.
