/* Exits with 0 if the multiply-add of the C library is right for CNN_BITS bits. */
#include "kernels/simd/fma.c"

int main(void)
{
    return !KERNEL(fma_is_right)(LIBRARY_FMA);
}
