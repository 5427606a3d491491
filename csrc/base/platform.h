/* The operating system and the CPU. platform.c has all code that differs between them. */
#ifndef CNN_PLATFORM_H
#define CNN_PLATFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether the CPU has the instructions of an ISA ("avx2", ...) and the OS saves its registers. */
bool cnn_platform_has_isa(const char *isa);

/* Sizes in bytes of the caches that a core has: its L1 data and L2 cache, and its share of L3. */
typedef struct cnn_caches {
    size_t l1d, l2, l3_share;
} cnn_caches;

/*
 * The caches of this machine, read once; 32 KiB, 512 KiB and none, for each that the system does
 * not tell. Allocates nothing.
 */
cnn_caches cnn_platform_caches(void);

/* Pretend other caches from now on, for tests and measurements; NULL: those of the machine. */
void cnn_platform_set_caches(const cnn_caches *caches);

/* Tell the CPU that this thread spins (pause, isb). */
void cnn_platform_relax(void);

/*
 * Set rounding to nearest with denormals kept, as the numerics contract requires. Returns the state
 * before, for cnn_platform_float_leave. Compilers do not know of the state and move arithmetic on
 * locals across the calls. So what is computed in between must be read through pointers after the
 * first call and stored through them before the second.
 */
uint64_t cnn_platform_float_enter(void);
void cnn_platform_float_leave(uint64_t before);

/* Defined if the C library's fma may be tried: those of others were wrong (kernels/simd/fma.c). */
#if defined(__GLIBC__) || defined(__APPLE__)
#define CNN_PLATFORM_FMA_MAY_BE_RIGHT
#endif

/* Memory aligned to 64 bytes, not initialised; NULL on failure. Freed by cnn_platform_free. */
void *cnn_platform_allocate(size_t size);
void cnn_platform_free(void *memory);

/*
 * The calling thread's scratch buffer, with at least `size` bytes, aligned to 64. It keeps its
 * address until the thread requests a larger one, and is freed when the thread ends. NULL on
 * failure.
 */
void *cnn_platform_scratch(size_t size);

/* Seconds on a monotonic clock. */
double cnn_platform_seconds(void);

/* The CPUs that this process may run on, at least 1. */
size_t cnn_platform_cpus(void);

/* The CPU quota of the cgroup rounded down, at least 1; 0 if there is none. */
size_t cnn_platform_quota(void);

/* The CPU on which the calling thread runs, or -1 if the system does not report it. */
int cnn_platform_cpu(void);

/* Move the calling thread from this CPU to another one of its affinity mask, without pinning it. */
void cnn_platform_leave_cpu(int cpu);

/* Yield the CPU to another thread. */
void cnn_platform_yield(void);

/* A value that changes in the child of a fork. */
uint64_t cnn_platform_process(void);

/* Threads. Mutexes and condition variables are initialised by their _init and must not be moved. */
typedef struct cnn_thread cnn_thread;
typedef struct cnn_mutex {
    _Alignas(16) unsigned char opaque[64];
} cnn_mutex;
typedef struct cnn_condition {
    _Alignas(16) unsigned char opaque[64];
} cnn_condition;

/* Start a thread, with all signals blocked; NULL on failure. */
cnn_thread *cnn_platform_thread_start(void (*run)(void *), void *argument);
/* Wait for the end of a thread and free it. */
void cnn_platform_thread_join(cnn_thread *thread);

void cnn_mutex_init(cnn_mutex *mutex);
void cnn_mutex_destroy(cnn_mutex *mutex);
void cnn_mutex_lock(cnn_mutex *mutex);
void cnn_mutex_unlock(cnn_mutex *mutex);
void cnn_condition_init(cnn_condition *condition);
void cnn_condition_destroy(cnn_condition *condition);
void cnn_condition_wait(cnn_condition *condition, cnn_mutex *mutex);
void cnn_condition_wake_all(cnn_condition *condition);

/*
 * Read a whole file of at most `limit` bytes into memory from cnn_platform_allocate, which the
 * caller frees. Returns 0 or an errno (EFBIG if the file is larger).
 */
int cnn_platform_file_read(const char *path, size_t limit, void **bytes, size_t *size);

/* A regular file that is open for reading, and the size that the system reports: 0 in /proc. */
typedef struct cnn_file {
    intptr_t handle;
    uint64_t size;
} cnn_file;

/*
 * Reading a file in parts, so that a large one can be refused by its first bytes. Both return 0 or
 * an errno. *got is less than `size` only at the end of the file.
 */
int cnn_platform_file_open(const char *path, cnn_file *file);
int cnn_platform_file_read_at(const cnn_file *file, uint64_t offset, void *to, size_t size,
                              size_t *got);
void cnn_platform_file_close(const cnn_file *file);

/*
 * Replace a file by `size` bytes atomically: a temporary file beside it, fsync, rename. Stale
 * temporary files of the same target, which killed processes have left, are removed.
 * Returns 0 or an errno; after an error the old file is as before.
 */
int cnn_platform_file_replace(const char *path, const void *bytes, size_t size);

/* Doubles from and to decimal text with a point in every locale, by the rules of strtod and %g. */
double cnn_platform_read_double(const char *text);
void cnn_platform_print_double(char *text, size_t size, int digits, double value);

/* The value of an environment variable, or NULL. */
const char *cnn_platform_environment(const char *name);

#endif
