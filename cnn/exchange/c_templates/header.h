/*
 * ${name}.h: the dense network ${shape} in ${dtype}, made by cnn ${version}.
 *
${usage} *
 * ${promise}
 *
 * If ${NAME}_SELF_TEST is defined, int ${name}_self_test(void) runs samples and returns how many
 * results differ from those that cnn computed: 0.
 */
#ifdef ${guard}
#if ${guard} != ${identity}
#error "two different headers have the name ${name}; give one of them another by to_c(name=...)"
#endif
#else
#define ${guard} ${identity}

#include <float.h>
#include <stddef.h>
#include <stdint.h>

#define ${INPUTS} ${inputs}
#define ${OUTPUTS} ${outputs}

/* 16 is for _Float16 alone: float and double are computed as they are. */
#if defined(__FAST_MATH__) || (FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 16)
#error "${name}.h needs IEEE arithmetic: no -ffast-math, no excess precision"
#endif

/* ---- Arithmetic -------------------------------------------------------------------------- */

${arithmetic}

/* ---- Layers ------------------------------------------------------------------------------ */

${layers}

/* ---- Parameters -------------------------------------------------------------------------- */

${parameters}

/* ---- The network ------------------------------------------------------------------------- */

${networks}${table}#ifdef ${NAME}_SELF_TEST
${tests}static inline int ${name}_self_test(void)
{
    return ${wrong};
}
#endif

#endif
