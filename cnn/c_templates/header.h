/*
 * ${name}.h: the dense network ${shape} in ${dtype}, made by cnn ${version}.
 *
 *     void ${name}_predict(const ${type} *x, ${type} *y);
 *
 * x (${inputs}) and y (${outputs}) must not overlap. Values between layers take ${stack} bytes of stack; there is
 * no other memory, no C library, no other file. Any number of threads may call it at once. Include
 * it in one source file, since each that includes it holds the parameters.
 *
 * ${promise}
 *
 * Where ${NAME}_SELF_TEST is defined, int ${name}_self_test(void) runs a sample and returns how many
 * outputs differ from those that cnn computed: 0.
 */
#ifndef ${NAME}_H
#define ${NAME}_H

#include <float.h>
#include <stddef.h>
#include <stdint.h>

#define ${NAME}_INPUTS ${inputs}
#define ${NAME}_OUTPUTS ${outputs}

#if defined(__FAST_MATH__) || FLT_EVAL_METHOD != 0
#error "${name}.h needs IEEE arithmetic: no -ffast-math, no excess precision"
#endif

/* ---- Arithmetic -------------------------------------------------------------------------- */

${arithmetic}

/* ---- Layers ------------------------------------------------------------------------------ */

${layers}

/* ---- Parameters -------------------------------------------------------------------------- */

${parameters}

/* ---- The network ------------------------------------------------------------------------- */

/* y (${outputs}) = network(x (${inputs})). */
static inline void ${name}_predict(const ${type} *x, ${type} *y)
{
${predict}
}

#ifdef ${NAME}_SELF_TEST
static inline int ${name}_self_test(void)
{
    static const ${type} x[] = {
${sample}};
    static const uint${bits}_t expected[] = {
${expected}};
    ${type} y[${NAME}_OUTPUTS];
    int wrong = 0;
    ${name}_predict(x, y);
    for (size_t j = 0; j < ${NAME}_OUTPUTS; j++) {
${compare}
    }
    return wrong;
}
#endif

#endif
