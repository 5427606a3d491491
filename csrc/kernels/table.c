/* The table of one instruction set and type. */
#include "kernels/local.h"

/* kernels.h declares this table; KERNEL makes its name, e.g. cnn_kernels_avx2_32. */
const cnn_kernels KERNEL(kernels) = {
    .isa = CNN_STRING(CNN_ISA),
    .tile_rows = TILE_ROWS,
    .panel = PANEL,
    .group = LIST_ROWS,
/* clang-format off */
#define CNN_X(type, name, arguments) .name = KERNEL(name),
    CNN_KERNELS(CNN_X)
#undef CNN_X
    /* clang-format on */
};
