/* The kernels of the instruction set and type being compiled, so that one may call another. */
#ifndef CNN_LOCAL_H
#define CNN_LOCAL_H

#include "kernels/kernels.h"
#include "kernels/simd/simd.h"

#define CNN_X(type, name, arguments) type KERNEL(name) arguments;
CNN_KERNELS(CNN_X)
#undef CNN_X

#endif
