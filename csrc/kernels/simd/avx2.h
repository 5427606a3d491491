/* AVX2 with FMA (x86-64-v3). Operations as listed in simd.h. */
#include "kernels/simd/x86.h"

#if CNN_BITS == 32
#define V_LANES 8
typedef __m256 v_real;
#define P(operation) _mm256_##operation##_ps
#define I(operation) _mm256_##operation##_epi32
#define SET1 _mm256_set1_epi32
#define CAST_TO_INT _mm256_castps_si256
#define CAST_TO_REAL _mm256_castsi256_ps
#else
#define V_LANES 4
typedef __m256d v_real;
#define P(operation) _mm256_##operation##_pd
#define I(operation) _mm256_##operation##_epi64
#define SET1 _mm256_set1_epi64x
#define CAST_TO_INT _mm256_castpd_si256
#define CAST_TO_REAL _mm256_castsi256_pd
#endif
typedef v_real v_mask;
typedef __m256i v_int;
#define TILE_ROWS 6
#define TILE_STEPS 4
#define LIST_ROWS 4
#define PANEL_VECTORS 2
#define V_STREAMS 4
#define NARROW_TILE_ROWS(vectors) ((vectors) == 1 ? 8 : 4)
#define NARROW_VECTORS(width) 2
#define NARROW_TILES_OF(X, width) X(4, 1, width) X(8, 1, width) X(4, 2, width)
#if CNN_BITS == 32
#define NARROW_TILES(X) NARROW_TILES_OF(X, 2) NARROW_TILES_OF(X, 4)
#else
#define NARROW_TILES(X) NARROW_TILES_OF(X, 2)
#endif

INLINE __m256i first_lanes(size_t n)
{
    static const integer lanes[2 * V_LANES] = {
        -1, -1, -1, -1,
#if V_LANES == 8
        -1, -1, -1, -1,
#endif
    };
    return _mm256_loadu_si256((const __m256i *)(const void *)(lanes + V_LANES - n));
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
    return P(maskload)(p, first_lanes(n));
}
INLINE void v_store_partial(real *p, v_real v, size_t n)
{
    if (n == V_LANES)
        v_store(p, v);
    else
        store_part_of_256(p, v, n);
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
/* GCC takes the other two forms of the instruction as well, and then copies sums or spills them. */
#if defined(__GNUC__) && !defined(__clang__)
#define V_HAS_ADD_PRODUCT
INLINE v_real v_add_product(v_real sum, v_real a, v_real b)
{
#if CNN_BITS == 32
    __asm__("vfmadd231ps\t%2, %1, %0" : "+x"(sum) : "x"(a), "x"(b));
#else
    __asm__("vfmadd231pd\t%2, %1, %0" : "+x"(sum) : "x"(a), "x"(b));
#endif
    return sum;
}
#endif
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
    return P(andnot)(v_set1(R(-0.0)), a);
}
#define V_HAS_MINUS_ABS
INLINE v_real v_minus_abs(v_real a)
{
    return P(or)(v_set1(R(-0.0)), a);
}
INLINE v_real v_copysign(v_real a, v_real sign)
{
    const v_real minus = v_set1(R(-0.0));
    return P(or)(P(andnot)(minus, a), P(and)(minus, sign));
}
INLINE v_mask v_lt(v_real a, v_real b)
{
    return P(cmp)(a, b, _CMP_LT_OQ);
}
INLINE v_mask v_le(v_real a, v_real b)
{
    return P(cmp)(a, b, _CMP_LE_OQ);
}
INLINE v_mask v_eq(v_real a, v_real b)
{
    return P(cmp)(a, b, _CMP_EQ_OQ);
}
INLINE v_mask v_mask_and(v_mask a, v_mask b)
{
    return P(and)(a, b);
}
INLINE v_mask v_mask_or(v_mask a, v_mask b)
{
    return P(or)(a, b);
}
INLINE int v_all(v_mask mask)
{
    return P(movemask)(mask) == (1 << V_LANES) - 1;
}
INLINE unsigned v_bits(v_mask mask)
{
    return (unsigned)P(movemask)(mask);
}
INLINE v_real v_select(v_mask mask, v_real a, v_real b)
{
    return P(blendv)(b, a, mask);
}
INLINE v_real v_first(v_real a, size_t n, v_real b)
{
    /* If the compiler knows the number, no mask has to be loaded. */
    if (__builtin_constant_p(n) && n == 2)
        return P(blend)(b, a, 3);
#if CNN_BITS == 32
    if (__builtin_constant_p(n) && n == 4)
        return P(blend)(b, a, 15);
    if (__builtin_constant_p(n) && n == 6)
        return P(blend)(b, a, 63);
#endif
    return P(blendv)(b, a, CAST_TO_REAL(first_lanes(n)));
}
/* unpack works within 128-bit halves, each of which is transposed; quarters change places before.
 */
#define V_HAS_TRANSPOSE
INLINE void v_transpose(v_real *rows)
{
    v_real half[V_LANES];
    UNROLL
    for (size_t i = 0; i < V_LANES / 2; i++) {
        half[i] = P(permute2f128)(rows[i], rows[i + V_LANES / 2], 0x20);
        half[i + V_LANES / 2] = P(permute2f128)(rows[i], rows[i + V_LANES / 2], 0x31);
    }
#if CNN_BITS == 32
    UNROLL
    for (size_t i = 0; i < V_LANES; i += 4) {
        const __m256d low[2] = {
            _mm256_castps_pd(_mm256_unpacklo_ps(half[i], half[i + 1])),
            _mm256_castps_pd(_mm256_unpacklo_ps(half[i + 2], half[i + 3])),
        };
        const __m256d high[2] = {
            _mm256_castps_pd(_mm256_unpackhi_ps(half[i], half[i + 1])),
            _mm256_castps_pd(_mm256_unpackhi_ps(half[i + 2], half[i + 3])),
        };
        rows[i] = _mm256_castpd_ps(_mm256_unpacklo_pd(low[0], low[1]));
        rows[i + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(low[0], low[1]));
        rows[i + 2] = _mm256_castpd_ps(_mm256_unpacklo_pd(high[0], high[1]));
        rows[i + 3] = _mm256_castpd_ps(_mm256_unpackhi_pd(high[0], high[1]));
    }
#else
    UNROLL
    for (size_t i = 0; i < V_LANES; i += 2) {
        rows[i] = _mm256_unpacklo_pd(half[i], half[i + 1]);
        rows[i + 1] = _mm256_unpackhi_pd(half[i], half[i + 1]);
    }
#endif
}
INLINE v_int v_as_int(v_real a)
{
    return CAST_TO_INT(a);
}
INLINE v_real v_as_real(v_int i)
{
    return CAST_TO_REAL(i);
}
INLINE v_real v_load_repeated(const real *p, const size_t n)
{
    double two;
    __m128 four;
    switch (n * sizeof(real)) {
    case sizeof two:
        memcpy(&two, p, sizeof two);
        return CAST_TO_REAL(_mm256_castpd_si256(_mm256_set1_pd(two)));
    default:
        memcpy(&four, p, sizeof four);
        return CAST_TO_REAL(_mm256_castps_si256(_mm256_set_m128(four, four)));
    }
}
#if CNN_BITS == 32
#define V_FOLDED(l) ((l) % 4 * 2 + (l) / 4)
INLINE v_real v_lookup(v_real a, v_int lanes)
{
    return _mm256_permutevar8x32_ps(a, lanes);
}
INLINE v_real v_even(v_real a, v_real b, const size_t n)
{
    switch (n) {
    case 4:
        return _mm256_permute2f128_ps(a, b, 0x20);
    case 2:
        return _mm256_castpd_ps(_mm256_unpacklo_pd(_mm256_castps_pd(a), _mm256_castps_pd(b)));
    default:
        return _mm256_shuffle_ps(a, b, 0x88);
    }
}
INLINE v_real v_odd(v_real a, v_real b, const size_t n)
{
    switch (n) {
    case 4:
        return _mm256_permute2f128_ps(a, b, 0x31);
    case 2:
        return _mm256_castpd_ps(_mm256_unpackhi_pd(_mm256_castps_pd(a), _mm256_castps_pd(b)));
    default:
        return _mm256_shuffle_ps(a, b, 0xdd);
    }
}
#endif
INLINE v_int vi_set1(integer x)
{
    return SET1(x);
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
    return _mm256_and_si256(a, b);
}
INLINE v_int vi_shift_left(v_int a, const unsigned n)
{
    return I(slli)(a, (int)n);
}
INLINE v_int vi_shift_right(v_int a, const unsigned n)
{
    return I(srli)(a, (int)n);
}
#if CNN_BITS == 32
INLINE real v_fold_add(const v_real *acc)
{
    const __m256 a = _mm256_add_ps(acc[0], acc[1]);
    const __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    const __m128 c = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
}
INLINE real v_fold_max(v_real a)
{
    const __m128 b = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    const __m128 c = _mm_max_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_max_ss(c, _mm_movehdup_ps(c)));
}
#else
INLINE real v_fold_add(const v_real *acc)
{
    const __m256d a = _mm256_add_pd(_mm256_add_pd(acc[0], acc[2]), _mm256_add_pd(acc[1], acc[3]));
    const __m128d b = _mm_add_pd(_mm256_castpd256_pd128(a), _mm256_extractf128_pd(a, 1));
    return _mm_cvtsd_f64(_mm_add_sd(b, _mm_unpackhi_pd(b, b)));
}
INLINE real v_fold_max(v_real a)
{
    const __m128d b = _mm_max_pd(_mm256_castpd256_pd128(a), _mm256_extractf128_pd(a, 1));
    return _mm_cvtsd_f64(_mm_max_sd(b, _mm_unpackhi_pd(b, b)));
}
#endif

#undef P
#undef I
#undef SET1
#undef CAST_TO_INT
#undef CAST_TO_REAL
