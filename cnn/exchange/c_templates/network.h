/* y (${outputs}) = network(x (${inputs})). */
static inline void ${name}_${network}(const ${type} *x, ${type} *y)
{
${statements}
}

