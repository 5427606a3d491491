 *     void ${name}_predict(const ${type} *x, ${type} *y);
 *
 * x (${inputs}) and y (${outputs}) must not overlap. Values between layers take ${stack} bytes of stack; there is
 * no other memory, no C library, no other file. Any number of threads may call it at once. Include
 * it in one source file, since each that includes it holds the parameters.
