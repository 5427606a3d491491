/* The CPU, and what all operating systems share; each system has a header of its own. */
#include "base/platform.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <locale.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#if defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#else
#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <unistd.h>
#if defined(__APPLE__)
#include <sys/sysctl.h>
#endif
#endif

#if defined(__x86_64__)
#include <cpuid.h> /* after windows.h: some versions of it declare the same names */
#elif !defined(__aarch64__)
#include <fenv.h>
#endif

#include "base/error.h"
#include "base/random.h"

#if defined(CNN_GLIBC_2_28)
#include "base/platform_glibc.posix.h"
#endif

enum { ALIGNMENT = 64 };

/* The most bytes of one read or write: some systems refuse more than INT_MAX. */
enum { TRANSFER = 1 << 30 };

/* ---- CPU features ------------------------------------------------------------------------ */

enum { FEATURES_KNOWN = 1, FEATURE_AVX2 = 2, FEATURE_AVX512 = 4, FEATURE_NEON = 8 };

#if defined(__x86_64__)

typedef struct cpuid_registers {
    unsigned a, b, c, d;
} cpuid_registers;

/* One leaf of cpuid; all zeros if the CPU does not have it. */
static cpuid_registers cpuid(unsigned leaf)
{
    cpuid_registers r = {0, 0, 0, 0};
    (void)__get_cpuid_count(leaf, 0, &r.a, &r.b, &r.c, &r.d);
    return r;
}

/* XCR0: the register sets that the OS saves. May be called only if cpuid reports OSXSAVE. */
static uint64_t saved_state(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low | (uint64_t)high << 32;
}

static bool has_all(uint64_t value, uint64_t bits)
{
    return (value & bits) == bits;
}

static unsigned find_features(void)
{
    /* x86-64-v3 and all of v2, since compilers use every instruction of the level. */
    const unsigned v3_leaf1 = 1u << 0 | 1u << 9 | 1u << 13 | 1u << 19 | 1u << 20 | /* SSE, CX16 */
                              1u << 12 | 1u << 22 | 1u << 23 | /* FMA, MOVBE, POPCNT */
                              1u << 27 | 1u << 28 | 1u << 29;  /* OSXSAVE, AVX, F16C */
    const unsigned v3_leaf7 = 1u << 3 | 1u << 5 | 1u << 8;     /* BMI1, AVX2, BMI2 */
    const unsigned v3_extended = 1u << 0 | 1u << 5;            /* LAHF, LZCNT */
    const unsigned v4_leaf7 = 1u << 16 | 1u << 17 | 1u << 28 | /* AVX512F, DQ, CD */
                              1u << 30 | 1u << 31;             /* BW, VL */
    const uint64_t ymm_state = 0x06;                           /* SSE and AVX */
#if defined(__APPLE__)
    const uint64_t zmm_state =
        ymm_state; /* macOS enables the others when a thread first uses them */
#else
    const uint64_t zmm_state = 0xE6; /* and masks, upper halves, upper registers */
#endif
    const unsigned leaf7 = cpuid(7).b;
    if (!has_all(cpuid(1).c, v3_leaf1) || !has_all(leaf7, v3_leaf7) ||
        !has_all(cpuid(0x80000001u).c, v3_extended) || !has_all(saved_state(), ymm_state))
        return 0;
    const bool v4 = has_all(leaf7, v4_leaf7) && has_all(saved_state(), zmm_state);
    return FEATURE_AVX2 | (v4 ? (unsigned)FEATURE_AVX512 : 0u);
}

#elif defined(__aarch64__)

static unsigned find_features(void)
{
    return FEATURE_NEON; /* part of the base architecture */
}

#else

static unsigned find_features(void)
{
    return 0;
}

#endif

bool cnn_platform_has_isa(const char *isa)
{
    /* Cached, since cpuid traps in a virtual machine. Threads that race here find the same. */
    static atomic_uint known;
    unsigned features = atomic_load_explicit(&known, memory_order_relaxed);
    if (features == 0) {
        features = find_features() | FEATURES_KNOWN;
        atomic_store_explicit(&known, features, memory_order_relaxed);
    }
    if (strcmp(isa, "avx2") == 0)
        return (features & FEATURE_AVX2) != 0;
    if (strcmp(isa, "avx512") == 0)
        return (features & FEATURE_AVX512) != 0;
    if (strcmp(isa, "neon") == 0)
        return (features & FEATURE_NEON) != 0;
    return strcmp(isa, "scalar") == 0;
}

void cnn_platform_relax(void)
{
#if defined(__x86_64__)
    __asm__ volatile("pause");
#elif defined(__aarch64__)
    __asm__ volatile("isb"); /* waits some cycles, like pause; yield is a no-op on most cores */
#endif
}

/* ---- Floating-point state ---------------------------------------------------------------- */

/* The bits of the control register that change results; the contract requires all to be 0. */
#if defined(__x86_64__)
static const uint64_t FLOAT_BITS = 3u << 13 | 1u << 15 | 1u << 6; /* RC, FTZ, DAZ */
#elif defined(__aarch64__)
static const uint64_t FLOAT_BITS = 3u << 22 | 1u << 24 | 1u << 19 | 7u; /* RMode, FZ, FZ16, AFP */
#else
static const uint64_t FLOAT_BITS = UINT64_MAX;
#endif

static inline uint64_t float_state(void)
{
#if defined(__x86_64__)
    uint32_t mxcsr;
    __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
    return mxcsr;
#elif defined(__aarch64__)
    uint64_t fpcr;
    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    return fpcr;
#else
    return fegetround() == FE_TONEAREST ? 0 : (uint64_t)fegetround();
#endif
}

static inline void set_float_state(uint64_t state)
{
#if defined(__x86_64__)
    const uint32_t mxcsr = (uint32_t)state;
    __asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
#elif defined(__aarch64__)
    __asm__ volatile("msr fpcr, %0" : : "r"(state));
#else
    fesetround(state == 0 ? FE_TONEAREST : (int)state);
#endif
}

uint64_t cnn_platform_float_enter(void)
{
    const uint64_t before = float_state();
    if ((before & FLOAT_BITS) != 0)
        set_float_state(before & ~FLOAT_BITS);
    return before;
}

/* Only these bits are restored: exception flags that were raised in between stay raised. */
void cnn_platform_float_leave(uint64_t before)
{
    if ((before & FLOAT_BITS) != 0)
        set_float_state((float_state() & ~FLOAT_BITS) | (before & FLOAT_BITS));
}

/* ---- What the two systems below provide to the rest of this file ------------------------- */

#if defined(_WIN32)
typedef HANDLE system_file;
#else
typedef int system_file;
#endif

/* Open a regular file for reading, and store its size. Returns 0 or an errno. */
static int open_file(const char *path, system_file *file, uint64_t *size);
/* Read up to `size` bytes at an offset; *got is 0 at the end of the file. Returns 0 or an errno. */
static int read_some(system_file file, uint64_t offset, void *to, size_t size, size_t *got);
static void close_file(system_file file);

/*
 * Have this memory freed when the calling thread ends, in place of the memory of an earlier call.
 * Returns false if the system has no room to register it.
 */
static bool free_at_thread_end(void *memory);

static _Thread_local struct {
    void *memory;
    size_t size;
} scratch;

/* Runs when a thread ends. Later destructors of that thread may still request scratch memory. */
static void free_scratch(void *memory)
{
    scratch.memory = NULL;
    scratch.size = 0;
    cnn_platform_free(memory);
}

/* The length of a path's directory with its last separator; 0 if it has none. */
static size_t directory_length(const char *path)
{
    size_t length = strlen(path);
#if defined(_WIN32)
    while (length > 0 && strchr("/\\:", path[length - 1]) == NULL)
#else
    while (length > 0 && path[length - 1] != '/')
#endif
        length--;
    return length;
}

/*
 * Temporary files are named .cnn-TARGET-RANDOM.tmp. Both words have 16 hexadecimal digits, and the
 * first is the FNV-1a hash of the target's name. cnn/_files.py uses the same names.
 */
enum { TEMPORARY_PREFIX = 22, TEMPORARY_NAME = 42 };

/* The prefix of the names of a target's temporary files, which ends with the second dash. */
static void temporary_prefix(char prefix[TEMPORARY_PREFIX + 1], const char *target)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (const char *byte = target + directory_length(target); *byte != '\0'; byte++)
        hash = (hash ^ (unsigned char)*byte) * UINT64_C(0x100000001b3);
    (void)snprintf(prefix, TEMPORARY_PREFIX + 1, ".cnn-%08x%08x-", (unsigned)(hash >> 32),
                   (unsigned)hash);
}

/* A random name for a temporary file of a target, which is most likely not in use. */
static void temporary_name(char name[TEMPORARY_NAME + 1], const char *target, uint64_t process)
{
    static atomic_uint_fast64_t calls;
    uint32_t words[4];
    cnn_random_block((uint64_t)(cnn_platform_seconds() * 1e9),
                     process << 32 ^ atomic_fetch_add(&calls, 1), words);
    temporary_prefix(name, target);
    (void)snprintf(name + TEMPORARY_PREFIX, TEMPORARY_NAME + 1 - TEMPORARY_PREFIX, "%08x%08x.tmp",
                   (unsigned)words[0], (unsigned)words[1]);
}

/* Whether a file's name is one that temporary_name makes with this prefix. */
static bool is_temporary(const char *name, const char *prefix)
{
    return strncmp(name, prefix, TEMPORARY_PREFIX) == 0 && strlen(name) == TEMPORARY_NAME &&
           strspn(name + TEMPORARY_PREFIX, "0123456789abcdef") == 16 &&
           strcmp(name + TEMPORARY_PREFIX + 16, ".tmp") == 0;
}

/* A new string: the first `length` bytes of `directory`, then `name`. NULL if memory is short. */
static char *path_in(const char *directory, size_t length, const char *name)
{
    const size_t name_size = strlen(name) + 1;
    char *path = malloc(length + name_size);
    if (path != NULL) {
        memcpy(path, directory, length);
        memcpy(path + length, name, name_size);
    }
    return path;
}

#if defined(_WIN32)
#include "base/platform.windows.h"
#else
#include "base/platform.posix.h"
#include "base/platform_files.posix.h"
/* which the following uses */
#include "base/platform_caches.posix.h"
#endif

/* ---- Every system ------------------------------------------------------------------------ */

void *cnn_platform_scratch(size_t size)
{
    if (size <= scratch.size && scratch.memory != NULL)
        return scratch.memory;
    /* Grow by half, so that slowly growing requests seldom allocate. */
    const size_t grown = scratch.size + scratch.size / 2;
    const size_t wanted = size > grown ? size : grown;
    void *memory = cnn_platform_allocate(wanted);
    if (memory == NULL)
        return NULL;
    /* If the system cannot register it, memory that outlives its thread is better than none. The
       end of the thread may then still free the old buffer, so it is kept. */
    if (free_at_thread_end(memory))
        cnn_platform_free(scratch.memory);
    scratch.memory = memory;
    scratch.size = wanted;
    return memory;
}

int cnn_platform_file_open(const char *path, cnn_file *file)
{
    system_file opened = (system_file)0;
    const int error = open_file(path, &opened, &file->size);
    file->handle = (intptr_t)opened;
    return error;
}

int cnn_platform_file_read_at(const cnn_file *file, uint64_t offset, void *to, size_t size,
                              size_t *got)
{
    size_t more = 1;
    int error = 0;
    *got = 0;
    while (error == 0 && more > 0 && *got < size) {
        error = read_some((system_file)file->handle, offset + *got, (char *)to + *got, size - *got,
                          &more);
        *got += more;
    }
    return error;
}

void cnn_platform_file_close(const cnn_file *file)
{
    close_file((system_file)file->handle);
}

/*
 * The size that the system reports is only a hint: files of /proc have size 0, and a file may
 * change while it is read. A buffer of one byte more finds the end without a second allocation.
 */
int cnn_platform_file_read(const char *path, size_t limit, void **bytes, size_t *size)
{
    cnn_file file = {0, 0};
    int error = cnn_platform_file_open(path, &file);
    if (error != 0)
        return error;
    if (file.size > limit || file.size >= SIZE_MAX / 2) {
        cnn_platform_file_close(&file);
        return EFBIG;
    }
    size_t capacity = file.size > 0 ? (size_t)file.size + 1 : 4096, used = 0, got = 1;
    unsigned char *buffer = cnn_platform_allocate(capacity);
    error = buffer != NULL ? 0 : ENOMEM;
    while (error == 0 && got > 0) {
        if (used > limit) {
            error = EFBIG;
        } else if (used == capacity) {
            unsigned char *larger = cnn_platform_allocate(2 * capacity);
            error = larger != NULL ? 0 : ENOMEM;
            if (larger != NULL) {
                memcpy(larger, buffer, used);
                cnn_platform_free(buffer);
                buffer = larger;
                capacity *= 2;
            }
        } else {
            error = cnn_platform_file_read_at(&file, used, buffer + used, capacity - used, &got);
            used += got;
        }
    }
    cnn_platform_file_close(&file);
    if (error != 0) {
        cnn_platform_free(buffer);
        return error;
    }
    *bytes = buffer;
    *size = used;
    return 0;
}

const char *cnn_platform_environment(const char *name)
{
    return getenv(name);
}

/* ---- Caches ------------------------------------------------------------------------------ */

/* Of a machine that does not tell. */
#define USUAL_L1D ((size_t)32 * 1024)
#define USUAL_L2 ((size_t)512 * 1024)

/* What is in use; l1d is 0 until it is known. Threads that look at the same time find the same. */
static struct {
    atomic_size_t l1d, l2, l3_share;
} in_use;

void cnn_platform_set_caches(const cnn_caches *caches)
{
    cnn_caches found = {0, 0, 0};
    if (caches)
        found = *caches;
    else
        find_caches(&found);
    const size_t l1d = found.l1d > 0 ? found.l1d : USUAL_L1D;
    const size_t l2 = found.l2 > 0 ? found.l2 : USUAL_L2;
    atomic_store_explicit(&in_use.l2, l2, memory_order_relaxed);
    atomic_store_explicit(&in_use.l3_share, found.l3_share, memory_order_relaxed);
    atomic_store_explicit(&in_use.l1d, l1d, memory_order_release);
}

cnn_caches cnn_platform_caches(void)
{
    size_t l1d = atomic_load_explicit(&in_use.l1d, memory_order_acquire);
    if (l1d == 0) {
        cnn_platform_set_caches(NULL);
        l1d = atomic_load_explicit(&in_use.l1d, memory_order_acquire);
    }
    return (cnn_caches){
        .l1d = l1d,
        .l2 = atomic_load_explicit(&in_use.l2, memory_order_relaxed),
        .l3_share = atomic_load_explicit(&in_use.l3_share, memory_order_relaxed),
    };
}
