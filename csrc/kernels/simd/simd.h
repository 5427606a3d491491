/*
 * The vector operations that kernels are written over, for the instruction set CNN_ISA and the
 * type of CNN_BITS bits. Each header here, but x86.h, gives the same operations in the
 * same order:
 *
 *   V_LANES, TILE_ROWS, PANEL_VECTORS      lanes of a vector; shape of the gemm tile
 *   TILE_STEPS                             steps of k that a whole tile makes at a time
 *   LIST_ROWS                              rows of a tile with a nonzero index
 *   V_STREAMS                              vectors that are computed side by side
 *   NARROW_TILES(X) NARROW_TILE_ROWS(vectors) NARROW_VECTORS(width)
 *                                          tiles X(rows, vectors, width) that end in narrow columns
 *   v_real, v_int, v_mask                  vectors of reals, of integers as wide, of truth
 *   v_zero() v_set1(x)
 *   v_load_set1(p)                         the same of the number at p, a factor of v_fma()
 *   v_load(p) v_store(p, v)                no alignment needed
 *   v_stream(p, v) v_stream_end()          aligned, bypasses the caches; the end makes all visible
 *   v_load_partial(p, n)                   lanes 0 to n - 1, zeros behind; 0 < n <= V_LANES
 *   v_store_partial(p, v, n)
 *   v_store_parts(p, v, n)                 the same, fast if the next load begins right behind it;
 *                                          n < V_LANES
 *   v_load_repeated(p, n)                  n numbers repeated; n a power of 2 < V_LANES
 *   v_add v_sub v_mul v_div v_sqrt         IEEE operations, rounded once
 *   v_fma(a, b, c)                         a b + c, rounded once
 *   v_fnma(a, b, c)                        c - a b, rounded once
 *   v_add_product(sum, a, b)               the same as v_fma(a, b, sum), in the register of sum
 *   v_max(a, b) v_min(a, b)                a > b ? a : b and a < b ? a : b, so b if unordered
 *   v_abs(a) v_minus_abs(a) v_copysign(a, sign)
 *   v_lt v_le v_eq (a, b)                  ordered compares: false if one is a NaN
 *   v_mask_and v_mask_or v_all(mask)
 *   v_bits(mask)                           bit l is lane l
 *   v_select(mask, a, b)                   mask ? a : b
 *   v_first(a, n, b)                       lanes 0 to n - 1 of a, of b behind; 0 < n <= V_LANES
 *   v_transpose(rows)                      a square of V_LANES vectors, in place
 *   v_lookup(a, lanes)                     lane l is lane lanes_l of a, by the low bits. It and the
 *                                          next three exist if V_SUMS <= 2
 *   v_even(a, b, n) v_odd(a, b, n)         the even and the odd blocks of n lanes of a and of b, n
 *                                          constant, in an order such that
 *   V_FOLDED(l)                            the vector of this index ends in lane l if V_LANES
 *                                          are folded into one: neighbours, by n = V_LANES / 2,
 *                                          their results by half of that, ... the last by n = 1
 *   v_as_int(a) v_as_real(i)               the same bits
 *   vi_set1 vi_add vi_sub vi_and
 *   vi_shift_left(a, n) vi_shift_right(a, n)   n constant; right brings zeros in
 *   v_scale(a, t)                          a 2^n rounded once, t = V_SCALER + n, |n| < 2 bias
 *   v_scale_down(a, t, r)                  the same for -1.4 bias <= n <= 0, t = V_SCALER_DOWN + n
 *                                          and 2^-9 <= a <= 2; NaN if r is NaN, else finite
 *   v_fold_add(acc)                        acc holds 16 lanes in V_SUMS vectors, folded +8 +4 +2 +1
 *   v_fold_max(a)                          the largest lane
 */
#ifndef CNN_SIMD_H
#define CNN_SIMD_H

#include <float.h>
#include <math.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Excess precision rounds twice. 16 is for _Float16 alone. */
#if FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 16
#error "the numerics contract needs float and double computed as they are (FLT_EVAL_METHOD)"
#endif

#if CNN_BITS == 32
typedef float real;
typedef int32_t integer;
typedef uint32_t bits;
#define R(x) x##f
/* Adding it rounds n to a whole number and leaves n + 2 bias in the low bits. */
#define V_SCALER (0x1.8p+23f + 254)
/* Or n + half the bias. */
#define V_SCALER_DOWN (0x1.8p+23f + 63)
#else
typedef double real;
typedef int64_t integer;
typedef uint64_t bits;
#define R(x) x
#define V_SCALER (0x1.8p+52 + 2046)
#define V_SCALER_DOWN (0x1.8p+52 + 511)
#endif

#if defined(__clang__)
#define INLINE static inline __attribute__((always_inline, unused))
#define NOINLINE static __attribute__((noinline))
#define UNROLL _Pragma("unroll") /* GCC's own does nothing here */
#define KEEP_LOOP _Pragma("nounroll")
#elif defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline, unused))
#define NOINLINE static __attribute__((noinline, noclone))
#define UNROLL _Pragma("GCC unroll 16")
#define KEEP_LOOP _Pragma("GCC unroll 1")
#else
#define INLINE static inline
#define NOINLINE static
#define UNROLL
#define KEEP_LOOP
#endif

#if defined(__GNUC__)
/* Prefetch the cache line at an address, which need not be valid, into the L2 cache. */
#define PREFETCH(address) __builtin_prefetch((const void *)(address), 0, 2)
#else
#define PREFETCH(address) ((void)(address))
#endif

#define CNN_STRING_OF(x) #x
#define CNN_STRING(x) CNN_STRING_OF(x)
#define CNN_PASTE_OF(a, b, c, d) a##b##_##c##_##d
#define CNN_PASTE(a, b, c, d) CNN_PASTE_OF(a, b, c, d)
/* The name of a kernel of this instruction set and type, e.g. cnn_gemm_avx2_32. */
#define KERNEL(name) CNN_PASTE(cnn_, name, CNN_ISA, CNN_BITS)

#include CNN_STRING(CNN_ISA.h)

#ifndef V_HAS_SCALE /* by two powers of 2, since one may be out of range: 2^(n/2) and the rest */
INLINE v_real v_scale(v_real a, v_real t)
{
    const unsigned mantissa = CNN_BITS == 32 ? 23 : 52;
    const v_int n = v_as_int(t);
    const v_int exponents = vi_set1((integer)(((bits)-1) << mantissa));
    const v_int half = vi_and(vi_shift_left(n, mantissa - 1), exponents);
    const v_int rest = vi_sub(vi_shift_left(n, mantissa), half);
    return v_mul(v_mul(a, v_as_real(half)), v_as_real(rest));
}
/* n and half the bias go to the exponent of a, which stays normal; half the bias goes off again. */
INLINE v_real v_scale_down(v_real a, v_real t, v_real r)
{
    const real power = CNN_BITS == 32 ? R(0x1p-63) : (real)0x1p-511;
    const v_int n = vi_shift_left(v_as_int(t), CNN_BITS == 32 ? 23 : 52);
    const v_real larger = v_as_real(vi_add(v_as_int(a), n));
    return v_fma(larger, v_set1(power), v_sub(r, r));
}
#endif

#ifndef V_HAS_ADD_PRODUCT
INLINE v_real v_add_product(v_real sum, v_real a, v_real b)
{
    return v_fma(a, b, sum);
}
#endif

#ifndef V_HAS_TRANSPOSE /* each round of zips halves the distance of neighbours */
INLINE void v_transpose(v_real *rows)
{
    v_real zipped[V_LANES];
    UNROLL
    for (size_t stride = 1; stride < V_LANES; stride *= 2) {
        UNROLL
        for (size_t i = 0; i + V_LANES / 2 < V_LANES; i++) {
            zipped[2 * i] = v_zip_low(rows[i], rows[i + V_LANES / 2]);
            /* cppcheck-suppress arrayIndexOutOfBounds ; the loop is empty if there is one lane */
            zipped[2 * i + 1] = v_zip_high(rows[i], rows[i + V_LANES / 2]);
        }
        UNROLL
        for (size_t i = 0; i < V_LANES; i++)
            rows[i] = zipped[i];
    }
}
#endif

#ifndef V_HAS_MINUS_ABS
INLINE v_real v_minus_abs(v_real a)
{
    return v_copysign(a, v_set1(-1));
}
#endif

#ifndef V_HAS_STORE_PARTS
INLINE void v_store_parts(real *p, v_real v, size_t n)
{
    v_store_partial(p, v, n);
}
#endif

/* v_bits of a mask that is true in all lanes. */
#define V_ALL_BITS ((1u << (V_LANES - 1)) * 2 - 1)

/* The columns of a panel of b. */
#define PANEL ((size_t)PANEL_VECTORS * V_LANES)

/* Row sums have 16 virtual lanes whatever the width of a vector (numerics contract, rule 4). */
#define V_SUMS (16 / V_LANES)

#endif
