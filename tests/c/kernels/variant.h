/* The tests of an instruction set and type: kernels/variant.c calls them if the machine has it. */
#ifndef CNN_TEST_VARIANT_H
#define CNN_TEST_VARIANT_H

/* Run the tests of this program and return what check_finish() returns. */
int test_variant(void);

#endif
