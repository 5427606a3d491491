/*
 * Random numbers as functions of (seed, what, where, step), with no state: Philox4x32-10 of
 * Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC11.
 * Some functions are static, so that the dropout kernel compiles them for its instruction set.
 */
#ifndef CNN_RANDOM_H
#define CNN_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* The use of a stream. Values are part of the numerics contract and are never reused. */
enum cnn_random_what {
    CNN_RANDOM_INIT = 1,
    CNN_RANDOM_SHUFFLE = 2,
    CNN_RANDOM_DROPOUT = 3,
    CNN_RANDOM_SHARD = 4
};

static inline void cnn_philox(uint32_t c[4], uint32_t k0, uint32_t k1)
{
    for (int round = 0; round < 10; round++) {
        const uint64_t p0 = (uint64_t)0xD2511F53u * c[0];
        const uint64_t p1 = (uint64_t)0xCD9E8D57u * c[2];
        const uint32_t x0 = (uint32_t)(p1 >> 32) ^ c[1] ^ k0;
        const uint32_t x2 = (uint32_t)(p0 >> 32) ^ c[3] ^ k1;
        c[1] = (uint32_t)p1;
        c[3] = (uint32_t)p0;
        c[0] = x0;
        c[2] = x2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
}

/* The key of the stream for (seed, what, where, step). */
static inline uint64_t cnn_random_stream(uint64_t seed, enum cnn_random_what what, uint32_t where,
                                         uint64_t step)
{
    uint32_t c[4] = {(uint32_t)what, where, (uint32_t)step, (uint32_t)(step >> 32)};
    cnn_philox(c, (uint32_t)seed, (uint32_t)(seed >> 32));
    return c[0] | (uint64_t)c[1] << 32;
}

/* Block `index` of a stream: four 32-bit words. */
static inline void cnn_random_block(uint64_t stream, uint64_t index, uint32_t out[4])
{
    out[0] = (uint32_t)index;
    out[1] = (uint32_t)(index >> 32);
    out[2] = 0;
    out[3] = 0;
    cnn_philox(out, (uint32_t)stream, (uint32_t)(stream >> 32));
}

/* Fill n numbers with U(-bound, bound) from a stream, in float64 with 53 random bits each. */
void cnn_random_uniform(uint64_t stream, size_t n, double bound, double *out);

#endif
