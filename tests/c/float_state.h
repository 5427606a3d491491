/* The floating-point state of a host that has changed it. */
#ifndef CNN_FLOAT_STATE_H
#define CNN_FLOAT_STATE_H

#include <fenv.h>
#include <stdint.h>

/* Whether set_flush_to_zero does anything here. */
#if defined(__x86_64__) || defined(__aarch64__)
#define CAN_FLUSH_TO_ZERO 1
#else
#define CAN_FLUSH_TO_ZERO 0
#endif

/* WebAssembly always rounds to nearest and has no flags of exceptions. */
#if defined(__wasm__)
#define CAN_CHANGE_ROUNDING 0
#else
#define CAN_CHANGE_ROUNDING 1
#endif

/* Flush denormal results to 0, and read denormals as 0 (FTZ and DAZ, or FZ), or keep them. */
static inline void set_flush_to_zero(int on)
{
#if defined(__x86_64__)
    uint32_t state;
    __asm__ volatile("stmxcsr %0" : "=m"(state));
    state = on ? state | 0x8040u : state & ~0x8040u;
    __asm__ volatile("ldmxcsr %0" : : "m"(state));
#elif defined(__aarch64__)
    uint64_t state;
    __asm__ volatile("mrs %0, fpcr" : "=r"(state));
    state = on ? state | 1u << 24 : state & ~(UINT64_C(1) << 24);
    __asm__ volatile("msr fpcr, %0" : : "r"(state));
#else
    (void)on;
#endif
}

static inline int flushes_to_zero(void)
{
#if defined(__x86_64__)
    uint32_t state;
    __asm__ volatile("stmxcsr %0" : "=m"(state));
    return (state & 0x8040u) == 0x8040u;
#elif defined(__aarch64__)
    uint64_t state;
    __asm__ volatile("mrs %0, fpcr" : "=r"(state));
    return (state & 1u << 24) != 0;
#else
    return 0;
#endif
}

#endif
