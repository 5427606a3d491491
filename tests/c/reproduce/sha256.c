#include "reproduce/sha256.h"

#include <stdio.h>
#include <string.h>

static const uint32_t first[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                  0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

static const uint32_t constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t rotated(uint32_t x, unsigned n)
{
    return x >> n | x << (32 - n);
}

static void mix_block(uint32_t state[8], const unsigned char block[64])
{
    uint32_t w[64], s[8];
    for (size_t i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
               (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    for (size_t i = 16; i < 64; i++) {
        const uint32_t a = w[i - 15], b = w[i - 2];
        w[i] = w[i - 16] + (rotated(a, 7) ^ rotated(a, 18) ^ a >> 3) + w[i - 7] +
               (rotated(b, 17) ^ rotated(b, 19) ^ b >> 10);
    }
    memcpy(s, state, sizeof s);
    for (size_t i = 0; i < 64; i++) {
        const uint32_t a = s[0], e = s[4];
        const uint32_t one = s[7] + (rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25)) +
                             ((e & s[5]) ^ (~e & s[6])) + constants[i] + w[i];
        const uint32_t two = (rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22)) +
                             ((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));
        memmove(s + 1, s, 7 * sizeof *s);
        s[4] += one;
        s[0] = one + two;
    }
    for (size_t i = 0; i < 8; i++)
        state[i] += s[i];
}

void sha256_begin(sha256 *hash)
{
    memcpy(hash->state, first, sizeof first);
    hash->length = 0;
}

void sha256_bytes(sha256 *hash, const void *bytes, size_t count)
{
    const unsigned char *from = bytes;
    for (size_t i = 0; i < count; i++) {
        hash->block[hash->length++ % 64] = from[i];
        if (hash->length % 64 == 0)
            mix_block(hash->state, hash->block);
    }
}

void sha256_numbers(sha256 *hash, const void *numbers, size_t count, size_t size)
{
    const unsigned char *from = numbers;
    for (size_t i = 0; i < count; i++) {
        uint64_t pattern;
        unsigned char bytes[8];
        if (size == 4) {
            uint32_t single;
            memcpy(&single, from + 4 * i, 4);
            pattern = (single & 0x7fffffff) > 0x7f800000 ? 0x7fc00000 : single;
        } else {
            memcpy(&pattern, from + 8 * i, 8);
            if ((pattern & UINT64_MAX >> 1) > UINT64_C(0x7ff) << 52)
                pattern = UINT64_C(0x7ff8) << 48;
        }
        for (size_t b = 0; b < size; b++)
            bytes[b] = (unsigned char)(pattern >> 8 * b);
        sha256_bytes(hash, bytes, size);
    }
}

void sha256_end(sha256 *hash, char text[65])
{
    const uint64_t bits = 8 * hash->length;
    unsigned char byte = 0x80;
    do {
        sha256_bytes(hash, &byte, 1);
        byte = 0;
    } while (hash->length % 64 != 56);
    for (unsigned i = 0; i < 8; i++) {
        byte = (unsigned char)(bits >> (56 - 8 * i));
        sha256_bytes(hash, &byte, 1);
    }
    for (size_t i = 0; i < 8; i++)
        (void)snprintf(text + 8 * i, 9, "%08x", (unsigned)hash->state[i]);
}
