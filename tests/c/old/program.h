/* What test_old_header.c has a program do that was compiled with the header of old/cnn.h. */
#ifndef CNN_TEST_PROGRAM_H
#define CNN_TEST_PROGRAM_H

#include <stddef.h>

/* Numbers that a program computed with libcnn. */
typedef struct outcome {
    float weights[2][64]; /* of both dense layers, after training */
    float y[20][3];
    double gradients[128], value;
    double loss_sums[12], weight_sum;
    size_t rows, correct, steps;
    double loss_value, loss_gradient[6];
    double l2, rate, beta2; /* read back from the network and the trainer */
    size_t file_size;
    unsigned char file[8192]; /* the saved trainer */
} outcome;

/* Train, evaluate, predict, save to `path` and load again; 0 if every call succeeded. */
int old_program(const char *path, outcome *out);
int new_program(const char *path, outcome *out);

#endif
