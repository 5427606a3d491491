/* What is measured of one function and type, and by whom. Programs of both types share this. */
#ifndef CNN_ACCURACY_MEASURE_H
#define CNN_ACCURACY_MEASURE_H

#include <stdint.h>
#include <stdio.h>

#include "accuracy/functions.h"
#include "kernels/kernels.h"

/* An instruction set, in one type: its kernels, and the functions of vmath.h. */
typedef struct accuracy_set {
    const cnn_kernels *kernels;
    void (*vmath)(int function, size_t n, const void *x, void *y);
} accuracy_set;

#define CNN_X(isa)                                                                                 \
    void cnn_accuracy_vmath_##isa##_32(int function, size_t n, const void *x, void *y);            \
    void cnn_accuracy_vmath_##isa##_64(int function, size_t n, const void *x, void *y);
CNN_ISAS(CNN_X)
#undef CNN_X

enum { ACCURACY_SETS = 8, ACCURACY_BLOCK = 4096, ACCURACY_WORST = 32 };

/*
 * A run. Block b of float32 has the patterns of ACCURACY_BLOCK numbers from b ACCURACY_BLOCK on,
 * times the stride; of float64, samples of those indices. Block `blocks` has the special inputs.
 * Errors are those of the last set; each of the others must have the same bits in the blocks that
 * `every` of the set divides. With `peer`, a file of float32 for every pattern in order, results
 * come from there instead.
 */
typedef struct accuracy_run {
    int function, bits;
    uint64_t stride, blocks;
    size_t set_count;
    accuracy_set sets[ACCURACY_SETS];
    uint64_t every[ACCURACY_SETS];
    FILE *peer;
} accuracy_run;

typedef struct accuracy_point {
    double error; /* ULP */
    double x, y;
} accuracy_point;

/*
 * What was found. Points are those with the largest errors, in descending order; kind 1 has those
 * where the factor of x is a denormal number, kind 0 all others.
 */
typedef struct accuracy_tally {
    uint64_t measured;
    size_t points[2];
    accuracy_point worst[2][ACCURACY_WORST];
    uint64_t beyond; /* results whose error is larger than the limit */
    accuracy_point first_beyond;
    uint64_t compared[ACCURACY_SETS], different[ACCURACY_SETS];
    double different_at[ACCURACY_SETS];
    int failed; /* `peer` ended early */
} accuracy_tally;

/* Measure a block, and add to a tally. */
void accuracy_block_32(const accuracy_run *run, uint64_t block, accuracy_tally *tally);
void accuracy_block_64(const accuracy_run *run, uint64_t block, accuracy_tally *tally);

/* The reference that these use, as they see it; a sample of the function's inputs. */
long double accuracy_reference_32(int function, double x);
long double accuracy_reference_64(int function, double x);
double accuracy_sample_32(int function, uint64_t i);
double accuracy_sample_64(int function, uint64_t i);

/* How much larger than the limit of the list an error at x may be, in ULP. */
double accuracy_addition_32(int function, double x);
double accuracy_addition_64(int function, double x);

void accuracy_note(accuracy_tally *tally, int kind, accuracy_point point);

#ifdef CNN_ACCURACY_MPFR
/* |value - f(x)| in ULP of f(x) in the type of so many bits, f computed to 200 bits by MPFR. */
double accuracy_mpfr_error(int function, int bits, double x, long double value);

/*
 * |value - loss| of a row with targets t, the cross entropy's smoothed; the delta of huber is 1,
 * and level j of quantile (j + 1) / (cols + 1).
 */
double accuracy_mpfr_loss_error(int loss, double smoothing, size_t cols, const double *z,
                                const double *t, long double value);
#endif

#endif
