/* What AVX2 and AVX-512 share. */
#include <immintrin.h>

/*
 * Store the first n numbers of a vector of 256 bits, fewer than all, by halves, quarters and
 * eighths. A masked store is slow on some CPUs, and loads from the addresses right behind it wait
 * for it.
 */
#if CNN_BITS == 32
INLINE void store_part_of_256(real *p, __m256 v, size_t n)
{
    __m128 part = _mm256_castps256_ps128(v);
    if (n & 4) {
        _mm_storeu_ps(p, part);
        part = _mm256_extractf128_ps(v, 1);
        p += 4;
    }
    if (n & 2) {
        const double two = _mm_cvtsd_f64(_mm_castps_pd(part));
        memcpy(p, &two, sizeof two);
        part = _mm_movehl_ps(part, part);
        p += 2;
    }
    if (n & 1)
        _mm_store_ss(p, part);
}
#else
INLINE void store_part_of_256(real *p, __m256d v, size_t n)
{
    __m128d part = _mm256_castpd256_pd128(v);
    if (n & 2) {
        _mm_storeu_pd(p, part);
        part = _mm256_extractf128_pd(v, 1);
        p += 2;
    }
    if (n & 1)
        _mm_store_sd(p, part);
}
#endif
