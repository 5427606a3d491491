/*
 * Portable C11: vectors of one lane. The reference that every other instruction set must equal bit
 * for bit. Sequential.to_c writes what it needs of this file into headers that know no C library,
 * so nothing here but sqrt is from one.
 */
#include "kernels/simd/fma.h"

#define V_LANES 1
typedef real v_real;
typedef integer v_int;
typedef int v_mask;
#define TILE_ROWS 4
#define TILE_STEPS 1
#define LIST_ROWS 4
#define PANEL_VECTORS 2
#define V_STREAMS 1
#define NARROW_TILE_ROWS(vectors) 4
#define NARROW_VECTORS(width) 0
#define NARROW_TILES(X)

INLINE v_real v_zero(void)
{
    return 0;
}
INLINE v_real v_set1(real x)
{
    return x;
}
INLINE v_real v_load_set1(const real *p)
{
    return v_set1(*p);
}
INLINE v_real v_load(const real *p)
{
    return *p;
}
INLINE void v_store(real *p, v_real v)
{
    *p = v;
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
    return n ? *p : 0;
}
INLINE void v_store_partial(real *p, v_real v, size_t n)
{
    if (n)
        *p = v;
}
INLINE v_real v_load_repeated(const real *p, const size_t n)
{
    (void)n;
    return *p;
}
INLINE v_real v_add(v_real a, v_real b)
{
    return a + b;
}
INLINE v_real v_sub(v_real a, v_real b)
{
    return a - b;
}
INLINE v_real v_mul(v_real a, v_real b)
{
    return a * b;
}
INLINE v_real v_div(v_real a, v_real b)
{
    return a / b;
}
#if CNN_BITS == 32
INLINE v_real v_sqrt(v_real a)
{
    return sqrtf(a);
}
#else
INLINE v_real v_sqrt(v_real a)
{
    return sqrt(a);
}
#endif
INLINE v_real v_fma(v_real a, v_real b, v_real c)
{
    return fused(a, b, c);
}
INLINE v_real v_fnma(v_real a, v_real b, v_real c)
{
    return fused(-a, b, c);
}
INLINE v_real v_max(v_real a, v_real b)
{
    return a > b ? a : b;
}
INLINE v_real v_min(v_real a, v_real b)
{
    return a < b ? a : b;
}
INLINE v_real v_first(v_real a, size_t n, v_real b)
{
    return n ? a : b;
}
INLINE v_real v_zip_low(v_real a, v_real b)
{
    (void)b;
    return a;
}
INLINE v_real v_zip_high(v_real a, v_real b)
{
    (void)a;
    return b;
}
INLINE v_int v_as_int(v_real a)
{
    const union {
        v_real from;
        v_int to;
    } same = {a};
    return same.to;
}
INLINE v_real v_as_real(v_int i)
{
    const union {
        v_int from;
        v_real to;
    } same = {i};
    return same.to;
}
INLINE v_real v_abs(v_real a)
{
    return v_as_real((v_int)((bits)v_as_int(a) & ~((bits)1 << (CNN_BITS - 1))));
}
INLINE v_real v_copysign(v_real a, v_real sign)
{
    const bits minus = (bits)1 << (CNN_BITS - 1);
    return v_as_real((v_int)(((bits)v_as_int(a) & ~minus) | ((bits)v_as_int(sign) & minus)));
}
INLINE v_mask v_lt(v_real a, v_real b)
{
    return a < b;
}
INLINE v_mask v_le(v_real a, v_real b)
{
    return a <= b;
}
INLINE v_mask v_eq(v_real a, v_real b)
{
    return a == b;
}
INLINE v_mask v_mask_and(v_mask a, v_mask b)
{
    return a & b;
}
INLINE v_mask v_mask_or(v_mask a, v_mask b)
{
    return a | b;
}
INLINE int v_all(v_mask mask)
{
    return mask;
}
INLINE unsigned v_bits(v_mask mask)
{
    return (unsigned)mask;
}
INLINE v_real v_select(v_mask mask, v_real a, v_real b)
{
    return mask ? a : b;
}
INLINE v_int vi_set1(integer x)
{
    return x;
}
INLINE v_int vi_add(v_int a, v_int b)
{
    return (v_int)((bits)a + (bits)b);
}
INLINE v_int vi_sub(v_int a, v_int b)
{
    return (v_int)((bits)a - (bits)b);
}
INLINE v_int vi_and(v_int a, v_int b)
{
    return a & b;
}
INLINE v_int vi_shift_left(v_int a, const unsigned n)
{
    return (v_int)((bits)a << n);
}
INLINE v_int vi_shift_right(v_int a, const unsigned n)
{
    return (v_int)((bits)a >> n);
}
INLINE real v_fold_add(const v_real *acc)
{
    real lane[16];
    for (size_t l = 0; l < 16; l++)
        lane[l] = acc[l];
    for (size_t half = 8; half > 0; half /= 2)
        for (size_t l = 0; l < half; l++)
            lane[l] += lane[l + half];
    return lane[0];
}
INLINE real v_fold_max(v_real a)
{
    return a;
}
