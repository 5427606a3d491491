/*
 * Normal numbers (Box and Muller, "A note on the generation of random normal deviates", 1958): with
 * u and v from (0, 1), sqrt(-2 log u) cos(2 pi v) and sqrt(-2 log u) sin(2 pi v) are two of them.
 */
#include "base/random.h"
#include "kernels/local.h"
#include "kernels/vmath.h"

/* Pairs that are made at a time: two of each Philox block. */
#define PAIRS ((size_t)16)

/* u and v of pairs from block `block` on, of a word each: 32 random bits are enough for weights. */
static void uniform_pairs(uint64_t key, uint64_t block, real *u, real *v)
{
    for (size_t p = 0; p < PAIRS; p += 2) {
        uint32_t words[4];
        cnn_random_block(key, block + p / 2, words);
        for (size_t w = 0; w < 2; w++) {
            u[p + w] = (real)(((double)words[2 * w] + 0.5) * 0x1p-32);
            v[p + w] = (real)((double)words[2 * w + 1] * 0x1p-32);
        }
    }
}

void KERNEL(normal)(uint64_t key, size_t n, double deviation, void *out)
{
    real u[PAIRS], v[PAIRS], cosines[PAIRS], sines[PAIRS];
    for (size_t i = 0; i < n; i += 2 * PAIRS) {
        uniform_pairs(key, i / 4, u, v);
        for (size_t p = 0; p < PAIRS; p += V_LANES) {
            const v_real squares = v_mul(v_set1(-2), v_log(v_load(u + p)));
            const v_real radius = v_mul(v_set1((real)deviation), v_sqrt(squares));
            v_store(cosines + p, v_mul(radius, v_cos_turns(v_load(v + p))));
            v_store(sines + p, v_mul(radius, v_sin_turns(v_load(v + p))));
        }
        for (size_t j = 0; j < 2 * PAIRS && i + j < n; j++)
            ((real *)out)[i + j] = j % 2 == 0 ? cosines[j / 2] : sines[j / 2];
    }
}
