/* AArch64 Advanced SIMD. Operations as listed in simd.h. */
#include <arm_neon.h>

#if CNN_BITS == 32
#define V_LANES 4
typedef float32x4_t v_real;
typedef int32x4_t v_int;
typedef uint32x4_t v_mask;
#define F(operation) operation##_f32
#define S(operation) operation##_s32
#define U(operation) operation##_u32
#define CAST_TO_INT vreinterpretq_s32_f32
#define CAST_TO_REAL vreinterpretq_f32_s32
#define CAST_TO_BITS vreinterpretq_u32_s32
#define CAST_FROM_BITS vreinterpretq_s32_u32
#define CAST_TO_WORDS(mask) (mask)
#else
#define V_LANES 2
typedef float64x2_t v_real;
typedef int64x2_t v_int;
typedef uint64x2_t v_mask;
#define F(operation) operation##_f64
#define S(operation) operation##_s64
#define U(operation) operation##_u64
#define CAST_TO_INT vreinterpretq_s64_f64
#define CAST_TO_REAL vreinterpretq_f64_s64
#define CAST_TO_BITS vreinterpretq_u64_s64
#define CAST_FROM_BITS vreinterpretq_s64_u64
#define CAST_TO_WORDS vreinterpretq_u32_u64
#endif
#define TILE_ROWS 12
#define TILE_STEPS 1
#define LIST_ROWS 8
#define PANEL_VECTORS 2
#define V_STREAMS 4
#define NARROW_TILE_ROWS(vectors) 8
#define NARROW_VECTORS(width) 2
#if CNN_BITS == 32
#define NARROW_TILES(X) X(4, 1, 2) X(8, 1, 2) X(4, 2, 2) X(8, 2, 2)
#else
#define NARROW_TILES(X)
#endif

INLINE v_real v_zero(void)
{
    return F(vdupq_n)(0);
}
INLINE v_real v_set1(real x)
{
    return F(vdupq_n)(x);
}
/*
 * The number stays in lane 0, from which multiply-adds by an element take it. A load into all
 * lanes, which compilers would choose, takes a turn of the multiply-adds' pipes too.
 */
INLINE v_real v_load_set1(const real *p)
{
    real x = *p;
    __asm__("" : "+w"(x));
    return F(vdupq_n)(x);
}
INLINE v_real v_load(const real *p)
{
    return F(vld1q)(p);
}
INLINE void v_store(real *p, v_real v)
{
    F(vst1q)(p, v);
}
INLINE void v_stream(real *p, v_real v)
{
    v_store(p, v);
}
INLINE void v_stream_end(void)
{
}
INLINE v_real v_load_partial(const real *p, size_t n)
{
    real lanes[V_LANES] = {0};
    for (size_t i = 0; i < n; i++)
        lanes[i] = p[i];
    return v_load(lanes);
}
INLINE v_real v_load_repeated(const real *p, const size_t n)
{
    real lanes[V_LANES];
    for (size_t i = 0; i < V_LANES; i++)
        lanes[i] = p[i % n];
    return v_load(lanes);
}
INLINE void v_store_partial(real *p, v_real v, size_t n)
{
    real lanes[V_LANES];
    v_store(lanes, v);
    KEEP_LOOP
    for (size_t i = 0; i < n; i++)
        p[i] = lanes[i];
}
INLINE v_real v_add(v_real a, v_real b)
{
    return F(vaddq)(a, b);
}
INLINE v_real v_sub(v_real a, v_real b)
{
    return F(vsubq)(a, b);
}
INLINE v_real v_mul(v_real a, v_real b)
{
    return F(vmulq)(a, b);
}
INLINE v_real v_div(v_real a, v_real b)
{
    return F(vdivq)(a, b);
}
INLINE v_real v_sqrt(v_real a)
{
    return F(vsqrtq)(a);
}
INLINE v_real v_fma(v_real a, v_real b, v_real c)
{
    return F(vfmaq)(c, a, b);
}
INLINE v_real v_fnma(v_real a, v_real b, v_real c)
{
    return F(vfmsq)(c, a, b);
}
INLINE v_real v_max(v_real a, v_real b)
{
    /* The instruction fmax treats NaN and signed zeros differently. */
    return F(vbslq)(F(vcgtq)(a, b), a, b);
}
INLINE v_real v_min(v_real a, v_real b)
{
    return F(vbslq)(F(vcltq)(a, b), a, b);
}
INLINE v_real v_abs(v_real a)
{
    return F(vabsq)(a);
}
INLINE v_real v_copysign(v_real a, v_real sign)
{
    return F(vbslq)(U(vdupq_n)((bits)1 << (CNN_BITS - 1)), sign, a);
}
INLINE v_mask v_lt(v_real a, v_real b)
{
    return F(vcltq)(a, b);
}
INLINE v_mask v_le(v_real a, v_real b)
{
    return F(vcleq)(a, b);
}
INLINE v_mask v_eq(v_real a, v_real b)
{
    return F(vceqq)(a, b);
}
INLINE v_mask v_mask_and(v_mask a, v_mask b)
{
    return U(vandq)(a, b);
}
INLINE v_mask v_mask_or(v_mask a, v_mask b)
{
    return U(vorrq)(a, b);
}
INLINE int v_all(v_mask mask)
{
    return vminvq_u32(CAST_TO_WORDS(mask)) == UINT32_MAX;
}
INLINE unsigned v_bits(v_mask mask)
{
    unsigned result = 0;
    integer lanes[V_LANES];
    memcpy(lanes, &mask, sizeof lanes);
    for (unsigned l = 0; l < V_LANES; l++)
        result |= (unsigned)(lanes[l] & 1) << l;
    return result;
}
INLINE v_real v_select(v_mask mask, v_real a, v_real b)
{
    return F(vbslq)(mask, a, b);
}
INLINE v_real v_first(v_real a, size_t n, v_real b)
{
#if CNN_BITS == 32
    if (n == 2)
        return vcombine_f32(vget_low_f32(a), vget_high_f32(b));
#endif
    real lanes[V_LANES];
    v_store(lanes, b);
    v_store_partial(lanes, a, n);
    return v_load(lanes);
}
INLINE v_real v_zip_low(v_real a, v_real b)
{
    return F(vzip1q)(a, b);
}
INLINE v_real v_zip_high(v_real a, v_real b)
{
    return F(vzip2q)(a, b);
}
INLINE v_int v_as_int(v_real a)
{
    return CAST_TO_INT(a);
}
INLINE v_real v_as_real(v_int i)
{
    return CAST_TO_REAL(i);
}
INLINE v_int vi_set1(integer x)
{
    return S(vdupq_n)(x);
}
INLINE v_int vi_add(v_int a, v_int b)
{
    return S(vaddq)(a, b);
}
INLINE v_int vi_sub(v_int a, v_int b)
{
    return S(vsubq)(a, b);
}
INLINE v_int vi_and(v_int a, v_int b)
{
    return S(vandq)(a, b);
}
INLINE v_int vi_shift_left(v_int a, const unsigned n)
{
    return S(vshlq)(a, S(vdupq_n)((integer)n));
}
INLINE v_int vi_shift_right(v_int a, const unsigned n)
{
    return CAST_FROM_BITS(U(vshlq)(CAST_TO_BITS(a), S(vdupq_n)(-(integer)n)));
}
#if CNN_BITS == 32
INLINE real v_fold_add(const v_real *acc)
{
    const v_real a = v_add(v_add(acc[0], acc[2]), v_add(acc[1], acc[3]));
    const float32x2_t b = vadd_f32(vget_low_f32(a), vget_high_f32(a));
    return vget_lane_f32(b, 0) + vget_lane_f32(b, 1);
}
#else
INLINE real v_fold_add(const v_real *acc)
{
    v_real half[4];
    for (size_t i = 0; i < 4; i++)
        half[i] = v_add(acc[i], acc[i + 4]);
    const v_real a = v_add(v_add(half[0], half[2]), v_add(half[1], half[3]));
    return vgetq_lane_f64(a, 0) + vgetq_lane_f64(a, 1);
}
#endif
INLINE real v_fold_max(v_real a)
{
    real lanes[V_LANES];
    v_store(lanes, a);
    real largest = lanes[0];
    for (size_t i = 1; i < V_LANES; i++)
        largest = largest > lanes[i] ? largest : lanes[i];
    return largest;
}

#undef F
#undef S
#undef U
#undef CAST_TO_INT
#undef CAST_TO_REAL
#undef CAST_TO_BITS
#undef CAST_FROM_BITS
