/* The kernels of the instruction set in use. */
#ifndef CNN_DISPATCH_H
#define CNN_DISPATCH_H

#include "kernels/kernels.h"

/* The table for CNN_FLOAT32 or CNN_FLOAT64. */
const cnn_kernels *cnn_dispatch(cnn_dtype dtype);

#endif
