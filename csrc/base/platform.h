/* The operating system and the CPU: everything that differs between them is in platform.c. */
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

/* Tell the CPU that a spinning thread waits. */
void cnn_platform_relax(void);

/*
 * Set rounding to nearest with denormals kept, as the numerics contract wants, and return what
 * was set before, for cnn_platform_float_leave.
 */
uint64_t cnn_platform_float_enter(void);
void cnn_platform_float_leave(uint64_t before);

/* Memory aligned to 64 bytes, not initialised; NULL on failure. Freed by the second only. */
void *cnn_platform_allocate(size_t size);
void cnn_platform_free(void *memory);

/*
 * A buffer of the calling thread, of at least `size` bytes, aligned to 64: it keeps its address
 * until the thread asks for more, and is freed when the thread ends. NULL on failure.
 */
void *cnn_platform_scratch(size_t size);

/* Seconds on a clock that only goes forward. */
double cnn_platform_seconds(void);

/* The CPUs that this process may run on, at least 1. */
size_t cnn_platform_cpus(void);

/* The CPU quota of the cgroup rounded down, at least 1; 0 where there is none. */
size_t cnn_platform_quota(void);

/* The CPU that the calling thread is on, or -1 where the system does not tell. */
int cnn_platform_cpu(void);

/* Move the calling thread from this CPU to another of those it may use, without tying it there. */
void cnn_platform_leave_cpu(int cpu);

/* Let another thread have the calling thread's CPU. */
void cnn_platform_yield(void);

/* A value that changes in the child of a fork. */
uint64_t cnn_platform_process(void);

/* Threads. Mutexes and conditions are initialised by their _init and never move. */
typedef struct cnn_thread cnn_thread;
typedef struct cnn_mutex {
    _Alignas(16) unsigned char opaque[64];
} cnn_mutex;
typedef struct cnn_condition {
    _Alignas(16) unsigned char opaque[64];
} cnn_condition;

/* Start a thread, with all signals blocked; NULL on failure. */
cnn_thread *cnn_platform_thread_start(void (*run)(void *), void *argument);
/* Wait for its end and free it. */
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
 * Read a whole file of at most `limit` bytes into memory from cnn_platform_allocate. Returns 0
 * or an errno (EFBIG past the limit).
 */
int cnn_platform_file_read(const char *path, size_t limit, void **bytes, size_t *size);

/* A regular file open for reading, and the size that the system tells: 0 for files of /proc. */
typedef struct cnn_file {
    intptr_t handle;
    uint64_t size;
} cnn_file;

/*
 * A file in parts, so that a large one can be refused by its first bytes. Both return 0 or an
 * errno; *got is less than `size` at the end of the file alone.
 */
int cnn_platform_file_open(const char *path, cnn_file *file);
int cnn_platform_file_read_at(const cnn_file *file, uint64_t offset, void *to, size_t size,
                              size_t *got);
void cnn_platform_file_close(const cnn_file *file);

/*
 * Replace a file by `size` bytes atomically: a temporary file beside it, fsync, rename. Temporary
 * files that killed processes have left of the same target are removed.
 */
int cnn_platform_file_replace(const char *path, const void *bytes, size_t size);

/* Doubles from and to decimal text with a point, whatever the host's locale; as strtod and %g. */
double cnn_platform_read_double(const char *text);
void cnn_platform_print_double(char *text, size_t size, int digits, double value);

/* The value of an environment variable, or NULL. */
const char *cnn_platform_environment(const char *name);

#endif
