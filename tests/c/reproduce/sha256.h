/* SHA-256 (FIPS 180-4) of numbers: their patterns as little-endian bytes, whatever the machine's.
 */
#ifndef CNN_REPRODUCE_SHA256_H
#define CNN_REPRODUCE_SHA256_H

#include <stddef.h>
#include <stdint.h>

typedef struct sha256 {
    uint32_t state[8];
    uint64_t length;
    unsigned char block[64];
} sha256;

void sha256_begin(sha256 *hash);
void sha256_bytes(sha256 *hash, const void *bytes, size_t count);
/* float (size 4) or double (size 8); all NaN count as one. */
void sha256_numbers(sha256 *hash, const void *numbers, size_t count, size_t size);
/* 64 digits and a zero. */
void sha256_end(sha256 *hash, char text[65]);

#endif
