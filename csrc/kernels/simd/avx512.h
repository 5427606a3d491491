/* AVX-512 with F, BW, DQ and VL (x86-64-v4). Operations as listed in simd.h. */
#include "kernels/simd/x86.h"

#if CNN_BITS == 32
#define V_LANES 16
typedef __m512 v_real;
typedef __mmask16 v_mask;
#define P(operation) _mm512_##operation##_ps
#define I(operation) _mm512_##operation##_epi32
#define COMPARE _mm512_cmp_ps_mask
#else
#define V_LANES 8
typedef __m512d v_real;
typedef __mmask8 v_mask;
#define P(operation) _mm512_##operation##_pd
#define I(operation) _mm512_##operation##_epi64
#define COMPARE _mm512_cmp_pd_mask
#endif
typedef __m512i v_int;
#define TILE_ROWS 12
#define TILE_STEPS 1
#define LIST_ROWS 8
#define PANEL_VECTORS 2
#define V_STREAMS 4
#define NARROW_TILE_ROWS(vectors) 8
#define NARROW_VECTORS(width) ((width) <= V_LANES / 4 ? 3 : 2)
#define NARROW_TILES_OF(X, width) X(4, 1, width) X(8, 1, width) X(4, 2, width) X(8, 2, width)
#if CNN_BITS == 32
#define NARROW_TILES(X)                                                                            \
    NARROW_TILES_OF(X, 2)                                                                          \
    NARROW_TILES_OF(X, 4)                                                                          \
    NARROW_TILES_OF(X, 8) X(4, 3, 2) X(8, 3, 2) X(4, 3, 4) X(8, 3, 4)
#else
#define NARROW_TILES(X) NARROW_TILES_OF(X, 2) NARROW_TILES_OF(X, 4) X(4, 3, 2) X(8, 3, 2)
#endif

INLINE v_mask first_lanes(size_t n)
{
    return (v_mask)_bzhi_u32(0xffffffffu, (unsigned)n);
}

INLINE v_real v_zero(void)
{
    return P(setzero)();
}
INLINE v_real v_set1(real x)
{
    return P(set1)(x);
}
INLINE v_real v_load_set1(const real *p)
{
    return v_set1(*p);
}
INLINE v_real v_load(const real *p)
{
    return P(loadu)(p);
}
INLINE void v_store(real *p, v_real v)
{
    P(storeu)(p, v);
}
INLINE void v_stream(real *p, v_real v)
{
    P(stream)(p, v);
}
INLINE void v_stream_end(void)
{
    _mm_sfence();
}
INLINE v_real v_load_partial(const real *p, size_t n)
{
    return P(maskz_loadu)(first_lanes(n), p);
}
INLINE void v_store_partial(real *p, v_real v, size_t n)
{
    P(mask_storeu)(p, first_lanes(n), v);
}
#define V_HAS_STORE_PARTS
INLINE void v_store_parts(real *p, v_real v, size_t n)
{
#if CNN_BITS == 32
    const __m256 low = _mm512_castps512_ps256(v), high = _mm512_extractf32x8_ps(v, 1);
#else
    const __m256d low = _mm512_castpd512_pd256(v), high = _mm512_extractf64x4_pd(v, 1);
#endif
    const size_t half = V_LANES / 2;
    if (n < half) {
        store_part_of_256(p, low, n);
    } else {
#if CNN_BITS == 32
        _mm256_storeu_ps(p, low);
#else
        _mm256_storeu_pd(p, low);
#endif
        store_part_of_256(p + half, high, n - half);
    }
}
INLINE v_real v_add(v_real a, v_real b)
{
    return P(add)(a, b);
}
INLINE v_real v_sub(v_real a, v_real b)
{
    return P(sub)(a, b);
}
INLINE v_real v_mul(v_real a, v_real b)
{
    return P(mul)(a, b);
}
INLINE v_real v_div(v_real a, v_real b)
{
    return P(div)(a, b);
}
INLINE v_real v_sqrt(v_real a)
{
    return P(sqrt)(a);
}
INLINE v_real v_fma(v_real a, v_real b, v_real c)
{
    return P(fmadd)(a, b, c);
}
INLINE v_real v_fnma(v_real a, v_real b, v_real c)
{
    return P(fnmadd)(a, b, c);
}
INLINE v_real v_max(v_real a, v_real b)
{
    return P(max)(a, b);
}
INLINE v_real v_min(v_real a, v_real b)
{
    return P(min)(a, b);
}
INLINE v_real v_abs(v_real a)
{
    return P(abs)(a);
}
INLINE v_real v_copysign(v_real a, v_real sign)
{
    const v_real minus = v_set1(R(-0.0));
    return P(or)(P(andnot)(minus, a), P(and)(minus, sign));
}
INLINE v_mask v_lt(v_real a, v_real b)
{
    return COMPARE(a, b, _CMP_LT_OQ);
}
INLINE v_mask v_le(v_real a, v_real b)
{
    return COMPARE(a, b, _CMP_LE_OQ);
}
INLINE v_mask v_eq(v_real a, v_real b)
{
    return COMPARE(a, b, _CMP_EQ_OQ);
}
INLINE v_mask v_mask_and(v_mask a, v_mask b)
{
    return (v_mask)(a & b);
}
INLINE v_mask v_mask_or(v_mask a, v_mask b)
{
    return (v_mask)(a | b);
}
INLINE int v_all(v_mask mask)
{
    return mask == first_lanes(V_LANES);
}
INLINE unsigned v_bits(v_mask mask)
{
    return mask;
}
INLINE v_real v_select(v_mask mask, v_real a, v_real b)
{
    return P(mask_blend)(mask, b, a);
}
INLINE v_real v_first(v_real a, size_t n, v_real b)
{
    return P(mask_blend)(first_lanes(n), b, a);
}
INLINE v_int v_as_int(v_real a)
{
    v_int i;
    memcpy(&i, &a, sizeof i);
    return i;
}
INLINE v_real v_as_real(v_int i)
{
    v_real a;
    memcpy(&a, &i, sizeof a);
    return a;
}
INLINE v_real v_load_repeated(const real *p, const size_t n)
{
    long long two;
    __m128i four;
    __m256i eight;
    switch (n * sizeof(real)) {
    case sizeof two:
        memcpy(&two, p, sizeof two);
        return v_as_real(_mm512_set1_epi64(two));
    case sizeof four:
        memcpy(&four, p, sizeof four);
        return v_as_real(_mm512_broadcast_i32x4(four));
    default:
        memcpy(&eight, p, sizeof eight);
        return v_as_real(_mm512_broadcast_i64x4(eight));
    }
}
INLINE v_real v_zip_low(v_real a, v_real b)
{
#if CNN_BITS == 32
    const v_int order = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
#else
    const v_int order = _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11);
#endif
    return P(permutex2var)(a, order, b);
}
INLINE v_real v_zip_high(v_real a, v_real b)
{
#if CNN_BITS == 32
    const v_int order =
        _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
#else
    const v_int order = _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15);
#endif
    return P(permutex2var)(a, order, b);
}
#if CNN_BITS == 32
#define V_FOLDED(l) ((l) % 4 * 4 + (l) / 4)
INLINE v_real v_lookup(v_real a, v_int lanes)
{
    return _mm512_permutexvar_ps(lanes, a);
}
INLINE v_real v_even(v_real a, v_real b, const size_t n)
{
    switch (n) {
    case 8:
        return _mm512_shuffle_f32x4(a, b, 0x44);
    case 4:
        return _mm512_shuffle_f32x4(a, b, 0x88);
    case 2:
        return _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)));
    default:
        return _mm512_shuffle_ps(a, b, 0x88);
    }
}
INLINE v_real v_odd(v_real a, v_real b, const size_t n)
{
    switch (n) {
    case 8:
        return _mm512_shuffle_f32x4(a, b, 0xee);
    case 4:
        return _mm512_shuffle_f32x4(a, b, 0xdd);
    case 2:
        return _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)));
    default:
        return _mm512_shuffle_ps(a, b, 0xdd);
    }
}
#else
#define V_FOLDED(l) ((l) % 2 * 4 + (l) / 2)
INLINE v_real v_lookup(v_real a, v_int lanes)
{
    return _mm512_permutexvar_pd(lanes, a);
}
INLINE v_real v_even(v_real a, v_real b, const size_t n)
{
    switch (n) {
    case 4:
        return _mm512_shuffle_f64x2(a, b, 0x44);
    case 2:
        return _mm512_shuffle_f64x2(a, b, 0x88);
    default:
        return _mm512_unpacklo_pd(a, b);
    }
}
INLINE v_real v_odd(v_real a, v_real b, const size_t n)
{
    switch (n) {
    case 4:
        return _mm512_shuffle_f64x2(a, b, 0xee);
    case 2:
        return _mm512_shuffle_f64x2(a, b, 0xdd);
    default:
        return _mm512_unpackhi_pd(a, b);
    }
}
#endif
INLINE v_int vi_set1(integer x)
{
    return I(set1)(x);
}
INLINE v_int vi_add(v_int a, v_int b)
{
    return I(add)(a, b);
}
INLINE v_int vi_sub(v_int a, v_int b)
{
    return I(sub)(a, b);
}
INLINE v_int vi_and(v_int a, v_int b)
{
    return _mm512_and_si512(a, b);
}
INLINE v_int vi_shift_left(v_int a, const unsigned n)
{
    return I(slli)(a, n);
}
INLINE v_int vi_shift_right(v_int a, const unsigned n)
{
    return I(srli)(a, n);
}
#define V_HAS_SCALE
INLINE v_real v_scale(v_real a, v_real t)
{
    return P(scalef)(a, v_sub(t, v_set1(V_SCALER)));
}
INLINE v_real v_scale_down(v_real a, v_real t, v_real r)
{
    (void)r;
    return P(scalef)(a, v_sub(t, v_set1(V_SCALER_DOWN)));
}
#if CNN_BITS == 32
INLINE real v_fold_add(const v_real *acc)
{
    const __m256 a =
        _mm256_add_ps(_mm512_castps512_ps256(acc[0]), _mm512_extractf32x8_ps(acc[0], 1));
    const __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    const __m128 c = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
}
#else
INLINE real v_fold_add(const v_real *acc)
{
    const v_real s = v_add(acc[0], acc[1]);
    const __m256d a = _mm256_add_pd(_mm512_castpd512_pd256(s), _mm512_extractf64x4_pd(s, 1));
    const __m128d b = _mm_add_pd(_mm256_castpd256_pd128(a), _mm256_extractf128_pd(a, 1));
    return _mm_cvtsd_f64(_mm_add_sd(b, _mm_unpackhi_pd(b, b)));
}
#endif
INLINE real v_fold_max(v_real a)
{
    return P(reduce_max)(a);
}

#undef P
#undef I
#undef COMPARE
