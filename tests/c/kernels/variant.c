/*
 * main of the programs that test an instruction set, compiled without it: in a function that is
 * compiled for it the compiler may put instructions of it before the question whether the machine
 * has them.
 */
#include "kernels/variant.h"

#include <stdio.h>

#include "base/platform.h"

int main(void)
{
    if (!cnn_platform_has_isa(CNN_VARIANT_ISA)) {
        puts("this machine does not have the instruction set");
        return 77;
    }
    return test_variant();
}
