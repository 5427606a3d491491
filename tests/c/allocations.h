/*
 * Measures the bytes that are allocated. If the C library lets a program put its own functions in
 * the place of malloc and its kin, these do; clang's AddressSanitizer has hooks. Elsewhere
 * MEASURING is 0.
 */
#ifndef CNN_ALLOCATIONS_H
#define CNN_ALLOCATIONS_H

#include <stdatomic.h>
#include <stddef.h>

#if defined(__has_feature)
#define ALLOCATIONS_HAS(feature) __has_feature(feature)
#else
#define ALLOCATIONS_HAS(feature) 0
#endif

#if ALLOCATIONS_HAS(address_sanitizer)
#define INTERPOSES 0
#define MEASURING 1
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) ||                             \
    ALLOCATIONS_HAS(thread_sanitizer) || ALLOCATIONS_HAS(memory_sanitizer)
#define INTERPOSES 0
#define MEASURING 0
#elif defined(__GLIBC__)
#define INTERPOSES 1
#define MEASURING 1
#else
#define INTERPOSES 0
#define MEASURING 0
#endif

#if MEASURING
/* Bytes that are allocated now, and the most since measure_begin(). */
static atomic_size_t allocated, most_allocated;

static inline void measure_more(size_t bytes)
{
    const size_t now = atomic_fetch_add(&allocated, bytes) + bytes;
    size_t most = atomic_load(&most_allocated);
    while (now > most && !atomic_compare_exchange_weak(&most_allocated, &most, now)) {
    }
}

static inline void measure_less(size_t bytes)
{
    atomic_fetch_sub(&allocated, bytes);
}
#endif

#if INTERPOSES
#include <malloc.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *memory);

static inline void *measured(void *memory)
{
    measure_more(malloc_usable_size(memory));
    return memory;
}

void *malloc(size_t size)
{
    return measured(__libc_malloc(size));
}
void *calloc(size_t count, size_t size)
{
    return measured(__libc_calloc(count, size));
}
/* Old and new memory count both while one is copied to the other, as they do in the worst case. */
void *realloc(void *memory, size_t size)
{
    const size_t before = malloc_usable_size(memory);
    void *moved = __libc_realloc(memory, size);
    if (!moved)
        return NULL;
    (void)measured(moved);
    measure_less(before);
    return moved;
}
void *aligned_alloc(size_t alignment, size_t size)
{
    return measured(__libc_memalign(alignment, size));
}
int posix_memalign(void **memory, size_t alignment, size_t size)
{
    *memory = aligned_alloc(alignment, size);
    return *memory ? 0 : 12;
}
void free(void *memory)
{
    measure_less(malloc_usable_size(memory));
    __libc_free(memory);
}
#elif MEASURING
int __sanitizer_install_malloc_and_free_hooks(void (*allocate)(const volatile void *, size_t),
                                              void (*release)(const volatile void *));
size_t __sanitizer_get_allocated_size(const volatile void *memory);

static void measure_allocation(const volatile void *memory, size_t size)
{
    (void)memory;
    measure_more(size);
}
static void measure_release(const volatile void *memory)
{
    measure_less(__sanitizer_get_allocated_size(memory));
}
#endif

#if MEASURING
/* Begin to measure; returns what is allocated now. */
static inline size_t measure_begin(void)
{
#if !INTERPOSES
    static int installed;
    if (!installed)
        (void)__sanitizer_install_malloc_and_free_hooks(measure_allocation, measure_release);
    installed = 1;
#endif
    const size_t now = atomic_load(&allocated);
    atomic_store(&most_allocated, now);
    return now;
}

/* The most bytes beyond those of measure_begin() that were allocated at once. */
static inline size_t measure_end(size_t before)
{
    return atomic_load(&most_allocated) - before;
}
#else
static inline size_t measure_begin(void)
{
    return 0;
}
static inline size_t measure_end(size_t before)
{
    return before;
}
#endif

#endif
