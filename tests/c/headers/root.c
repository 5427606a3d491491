/*
 * How often the square roots of headers that Sequential.to_c wrote differ from the C library's, for
 * numbers from 1 to 2: all of float, n of double and those beside their squares' roots; compiled by
 * tests/test_tabular_exports.py, which wrote single.h and twice.h.
 */
#include <math.h>

#include "single.h"
#include "twice.h"

size_t wrong_float(void);
size_t wrong_double(size_t n);

size_t wrong_float(void)
{
    size_t wrong = 0;
    for (float w = 1; w <= 2; w = nextafterf(w, 3))
        wrong += single_cnn_root(w) != sqrtf(w);
    return wrong;
}

static int differs(double w)
{
    return w >= 1 && w <= 2 && twice_cnn_root(w) != sqrt(w);
}

size_t wrong_double(size_t n)
{
    const double unit = 0x1p-52;
    uint64_t state = 1;
    size_t wrong = (size_t)(differs(1) + differs(2));
    for (size_t i = 0; i < n; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        const double part = (double)(state >> 12) * unit, root = 1 + part * 0.41421356;
        wrong += (size_t)differs(1 + part);
        /* Roots close to a number, and to the middle of two. */
        for (int k = -1; k <= 1; k++)
            wrong += (size_t)(differs(root * root + k * unit) +
                              differs(root * root + root * unit + k * unit));
    }
    return wrong;
}
