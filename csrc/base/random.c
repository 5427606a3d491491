/* Streams of random numbers, and permutations whose elements are computed one by one. */
#include "base/random.h"

#include "base/error.h"
#include "cnn/cnn.h"

void cnn_random_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    const uint32_t k0 = key[0], k1 = key[1]; /* read first: out may overlap the inputs */
    uint32_t c[4] = {counter[0], counter[1], counter[2], counter[3]};
    cnn_philox(c, k0, k1);
    for (int i = 0; i < 4; i++)
        out[i] = c[i];
}

/*
 * Number i is made of words w0, w1 = 2 (i mod 2), 2 (i mod 2) + 1 of block i / 2:
 *   u = ((w0 >> 5) 2^26 + (w1 >> 6)) 2^-53     in [0, 1)
 *   out[i] = (2 u - 1) bound
 * All but the last multiplication is exact in float64, so each number is rounded once.
 */
static inline double uniform(uint32_t w0, uint32_t w1, double bound)
{
    const uint64_t bits = (uint64_t)(w0 >> 5) << 26 | w1 >> 6;
    const double u = (double)bits * 0x1p-53;
    return (2.0 * u - 1.0) * bound;
}

void cnn_random_uniform(uint64_t stream, size_t n, double bound, double *out)
{
    uint32_t w[4];
    for (size_t i = 0; i < n; i += 2) {
        cnn_random_block(stream, i / 2, w);
        out[i] = uniform(w[0], w[1], bound);
        if (i + 1 < n)
            out[i + 1] = uniform(w[2], w[3], bound);
    }
}

/*
 * The permutation: a keyed bijection that is walked into [0, n), after J. Black and P. Rogaway,
 * "Ciphers with arbitrary finite domains", CT-RSA 2002 (their methods 2 and 3 together).
 *
 * With side a = max(8, ceil(sqrt(n))), x = l a + r with l, r < a, and 12 rounds of a generalised
 * Feistel network, (l, r) <- (r, (l + f_k(r)) mod a), permute [0, a^2) for any f. If the result is
 * not below n, the rounds are applied again until it is ("cycle walking"). This is seldom, since
 * a^2 is little more than n. For small n the side of 8 keeps the walk random: on a domain of a few
 * elements, the rounds alone would prefer some permutations.
 *
 * f_k(r) = floor(a h / 2^32), where h is the upper half of the 64-bit product chain below. The
 * twelve 64-bit keys are the words of blocks 0 to 5 of stream (seed, SHUFFLE, 0, epoch), two keys
 * a block, lower word first.
 */
enum { ROUNDS = 12, SMALLEST_SIDE = 8, PAIRS = 8 };

typedef struct cipher {
    uint64_t side;
    uint64_t keys[ROUNDS];
} cipher;

/* The smallest whole number whose square is at least n. */
static uint64_t root_above(uint64_t n)
{
    uint64_t root = 0; /* the largest one whose square is below n, found bit by bit */
    for (uint64_t bit = (uint64_t)1 << 31; bit > 0; bit >>= 1) {
        if ((root | bit) * (root | bit) < n)
            root |= bit;
    }
    return n > 0 ? root + 1 : 0;
}

static void cipher_init(cipher *c, uint64_t seed, uint64_t epoch, uint64_t n)
{
    const uint64_t stream = cnn_random_stream(seed, CNN_RANDOM_SHUFFLE, 0, epoch);
    const uint64_t root = root_above(n);
    c->side = root > SMALLEST_SIDE ? root : SMALLEST_SIDE;
    for (size_t i = 0; i < ROUNDS; i += 2) {
        uint32_t w[4];
        cnn_random_block(stream, i / 2, w);
        c->keys[i] = w[0] | (uint64_t)w[1] << 32;
        c->keys[i + 1] = w[2] | (uint64_t)w[3] << 32;
    }
}

/*
 * Apply the network once to `count` pairs (left, right); `count` is a constant after inlining. A
 * round depends on the one before it, so several pairs side by side take little longer than one.
 */
static inline void encipher(const cipher *c, const size_t count, uint64_t *left, uint64_t *right)
{
    for (size_t i = 0; i < ROUNDS; i++) {
        for (size_t p = 0; p < count; p++) {
            uint64_t h =
                (right[p] ^ c->keys[i]) * 0xBF58476D1CE4E5B9u; /* splitmix64's multipliers */
            h ^= h >> 32;
            h = (h * 0x94D049BB133111EBu) >> 32;
            const uint64_t sum = left[p] + (h * c->side >> 32);
            left[p] = right[p];
            right[p] = sum >= c->side ? sum - c->side : sum;
        }
    }
}

cnn_status cnn_random_permutation(uint64_t seed, uint64_t epoch, size_t n, size_t first,
                                  size_t count, size_t *out)
{
    if (first > n || count > n - first)
        return cnn_fail(CNN_ERROR_ARGUMENT,
                        "cnn_random_permutation: first is %zu and count is %zu; together they "
                        "should be at most n, which is %zu",
                        first, count, n);
    if (count == 0)
        return CNN_OK;
    if (out == NULL)
        return cnn_fail(CNN_ERROR_ARGUMENT, "cnn_random_permutation: out is NULL");
    cipher c;
    cipher_init(&c, seed, epoch, n);
    uint64_t row = first / c.side, column = first % c.side;
    for (size_t i = 0; i < count; i += PAIRS) {
        uint64_t left[PAIRS], right[PAIRS];
        for (size_t p = 0; p < PAIRS; p++) {
            left[p] = row;
            right[p] = column;
            if (++column == c.side) {
                column = 0;
                row++;
            }
        }
        encipher(&c, PAIRS, left, right);
        for (size_t p = 0; p < PAIRS && i + p < count; p++) {
            while (left[p] * c.side + right[p] >= n)
                encipher(&c, 1, &left[p], &right[p]);
            out[i + p] = (size_t)(left[p] * c.side + right[p]);
        }
    }
    return CNN_OK;
}
