/* The functions of faults.h, and those that stand in the place of the system's. */
#include "faults.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- What fails -------------------------------------------------------------------------- */

static atomic_int armed = -1;
static atomic_size_t first_failing, last_failing, failures;
static atomic_int failing_error;
static atomic_size_t seen[FAULT_CALL_COUNT], total[FAULT_CALL_COUNT];
static atomic_long live;
/* Bytes that are allocated now, those of faults_measure, and the most since. */
static atomic_size_t allocated, allocated_before, most_allocated;

void faults_arm(int call, size_t first, size_t last, int error)
{
    for (int i = 0; i < FAULT_CALL_COUNT; i++)
        atomic_store(&seen[i], 0);
    atomic_store(&failures, 0);
    atomic_store(&first_failing, first);
    atomic_store(&last_failing, last);
    atomic_store(&failing_error, error);
    atomic_store(&armed, call);
}

size_t faults_disarm(void)
{
    atomic_store(&armed, -1);
    return atomic_load(&failures);
}

size_t faults_seen(int call)
{
    return atomic_load(&seen[call]);
}

size_t faults_total(int call)
{
    return atomic_load(&total[call]);
}

void faults_measure(void)
{
    atomic_store(&allocated_before, atomic_load(&allocated));
    atomic_store(&most_allocated, atomic_load(&allocated));
}

size_t faults_most_bytes(void)
{
    return atomic_load(&most_allocated) - atomic_load(&allocated_before);
}

long faults_live(void)
{
    return atomic_load(&live);
}

/* Count a call. Returns 0, or the errno that it fails with, or FAULT_SHORT. */
static int fault(fault_call call)
{
    const size_t number = atomic_fetch_add(&seen[call], 1);
    atomic_fetch_add(&total[call], 1);
    if (atomic_load(&armed) != (int)call || number < atomic_load(&first_failing) ||
        number > atomic_load(&last_failing))
        return 0;
    atomic_fetch_add(&failures, 1);
    return atomic_load(&failing_error);
}

/* Whether a call fails; errno is then set. */
static int fails(fault_call call)
{
    const int error = fault(call);
    if (error > 0)
        errno = error;
    return error > 0;
}

/* ---- How calls come here ----------------------------------------------------------------- */

#if defined(FAULTS_PRELOAD)

#include <dlfcn.h>
#include <link.h>

/* The code of the library whose memory counts; none at first. */
static atomic_uintptr_t code_first, code_last;

static int find_code(struct dl_phdr_info *info, size_t size, void *name)
{
    (void)size;
    if (strstr(info->dlpi_name, name) == NULL)
        return 0;
    for (size_t i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_LOAD && (info->dlpi_phdr[i].p_flags & PF_X) != 0) {
            const uintptr_t first = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
            atomic_store(&code_first, first);
            atomic_store(&code_last, first + info->dlpi_phdr[i].p_memsz);
            return 1;
        }
    return 0;
}

int faults_watch(const char *name)
{
    return dl_iterate_phdr(find_code, (void *)(uintptr_t)name);
}

static int from_library(const void *caller)
{
    const uintptr_t at = (uintptr_t)caller;
    return at >= atomic_load(&code_first) && at < atomic_load(&code_last);
}

/*
 * The blocks of the library. Who frees one is not always seen: a tail call of free returns to the
 * caller's caller, which may be the C library at the end of a thread.
 */
enum { PLACES = 1 << 16, TRIES = 16 };
static atomic_uintptr_t blocks[PLACES];

/* Replace one number by another in the places of a block; 1 if it was there. */
static int replace_block(const void *memory, uintptr_t from, uintptr_t to)
{
    const size_t first = (uintptr_t)memory / 16 * 2654435761U;
    for (size_t i = 0; i < TRIES; i++) {
        uintptr_t expected = from;
        if (atomic_compare_exchange_strong(&blocks[(first + i) % PLACES], &expected, to))
            return 1;
    }
    return 0;
}

#define NOTE(memory) ((void)replace_block(memory, 0, (uintptr_t)(memory)))
#define NOTED(memory) replace_block(memory, (uintptr_t)(memory), 0)
#define COUNTS from_library(__builtin_return_address(0))
#define HOOK(name) name
/* The system's own function. dlsym itself allocates nothing if it finds the name. */
#define REAL(name) ((__typeof__(&name))(uintptr_t)real(#name, &real_##name))
#define DECLARE(name) static atomic_uintptr_t real_##name

static uintptr_t real(const char *name, atomic_uintptr_t *known)
{
    uintptr_t found = atomic_load_explicit(known, memory_order_relaxed);
    if (found == 0) {
        found = (uintptr_t)dlsym(RTLD_NEXT, name);
        atomic_store_explicit(known, found, memory_order_relaxed);
    }
    return found;
}

#else

int faults_watch(const char *name)
{
    (void)name;
    return 0;
}

#define NOTE(memory) ((void)(memory))
#define NOTED(memory) 1
#define COUNTS 1
#define HOOK(name) __wrap_##name
#define REAL(name) __real_##name
#define DECLARE(name)                                                                              \
    extern __typeof__(name) __real_##name;                                                         \
    extern __typeof__(name) __wrap_##name

#endif

/* ---- Memory ------------------------------------------------------------------------------ */

DECLARE(malloc);
DECLARE(calloc);
DECLARE(realloc);
DECLARE(free);
DECLARE(posix_memalign);
DECLARE(pthread_create);

static void *counted(void *memory)
{
    if (memory == NULL)
        return NULL;
    NOTE(memory);
    atomic_fetch_add(&live, 1);
    const size_t size = malloc_usable_size(memory);
    const size_t now = atomic_fetch_add(&allocated, size) + size;
    size_t most = atomic_load(&most_allocated);
    while (now > most && !atomic_compare_exchange_weak(&most_allocated, &most, now)) {
    }
    return memory;
}

/* Forget a block that is about to be freed, if it counts. Returns its size, or 0. */
static size_t forgotten(void *memory)
{
    if (memory == NULL || !NOTED(memory))
        return 0;
    const size_t size = malloc_usable_size(memory);
    atomic_fetch_sub(&live, 1);
    atomic_fetch_sub(&allocated, size);
    return size;
}

void *HOOK(malloc)(size_t size)
{
    if (!COUNTS)
        return REAL(malloc)(size);
    return fails(FAULT_MEMORY) ? NULL : counted(REAL(malloc)(size));
}

void *HOOK(calloc)(size_t count, size_t size)
{
    if (!COUNTS)
        return REAL(calloc)(count, size);
    return fails(FAULT_MEMORY) ? NULL : counted(REAL(calloc)(count, size));
}

/*
 * A realloc that the system refuses ends the program: the old block is then no longer counted. Old
 * and new memory count both while one is copied to the other, as they do in the worst case.
 */
void *HOOK(realloc)(void *memory, size_t size)
{
    if (!COUNTS)
        return REAL(realloc)(memory, size);
    if (fails(FAULT_MEMORY))
        return NULL;
    const size_t before = forgotten(memory);
    void *moved = REAL(realloc)(memory, size);
    if (moved == NULL)
        abort();
    atomic_fetch_add(&allocated, before);
    (void)counted(moved);
    atomic_fetch_sub(&allocated, before);
    return moved;
}

int HOOK(posix_memalign)(void **memory, size_t alignment, size_t size)
{
    if (!COUNTS)
        return REAL(posix_memalign)(memory, alignment, size);
    const int failed = fault(FAULT_MEMORY);
    const int error = failed != 0 ? failed : REAL(posix_memalign)(memory, alignment, size);
    if (error == 0)
        (void)counted(*memory);
    return error;
}

void HOOK(free)(void *memory)
{
    (void)forgotten(memory);
    REAL(free)(memory);
}

int HOOK(pthread_create)(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                         void *argument)
{
    if (COUNTS && fault(FAULT_MEMORY) != 0)
        return EAGAIN;
    return REAL(pthread_create)(thread, attributes, run, argument);
}

/* ---- Files ------------------------------------------------------------------------------- */

DECLARE(open);
DECLARE(openat);
DECLARE(pread);
DECLARE(write);
DECLARE(fsync);
DECLARE(close);
DECLARE(rename);
DECLARE(fchmod);
DECLARE(fstat);
DECLARE(lstat);
DECLARE(readlink);
DECLARE(access);
DECLARE(flock);
DECLARE(fcntl);
DECLARE(opendir);
DECLARE(closedir);
DECLARE(unlink);
DECLARE(unlinkat);

/* The mode that stands behind the flags of a call that may create a file. */
#define MODE_AFTER(flags, mode)                                                                    \
    do {                                                                                           \
        va_list more;                                                                              \
        va_start(more, flags);                                                                     \
        (mode) = ((flags) & O_CREAT) != 0 ? (mode_t)va_arg(more, unsigned) : 0;                    \
        va_end(more);                                                                              \
    } while (0)

int HOOK(open)(const char *path, int flags, ...)
{
    mode_t mode;
    MODE_AFTER(flags, mode);
    return fails(FAULT_OPEN) ? -1 : REAL(open)(path, flags, mode);
}

int HOOK(openat)(int folder, const char *path, int flags, ...)
{
    mode_t mode;
    MODE_AFTER(flags, mode);
    return fails(FAULT_OPEN) ? -1 : REAL(openat)(folder, path, flags, mode);
}

ssize_t HOOK(pread)(int file, void *to, size_t size, off_t offset)
{
    const int error = fault(FAULT_READ);
    if (error > 0)
        errno = error;
    return error > 0 ? -1 : REAL(pread)(file, to, error == 0 ? size : (size + 1) / 2, offset);
}

ssize_t HOOK(write)(int file, const void *bytes, size_t size)
{
    const int error = fault(FAULT_WRITE);
    if (error > 0)
        errno = error;
    return error > 0 ? -1 : REAL(write)(file, bytes, error == 0 ? size : (size + 1) / 2);
}

int HOOK(fsync)(int file)
{
    return fails(FAULT_SYNC) ? -1 : REAL(fsync)(file);
}

/* As Linux does, a close that fails has closed the file. */
int HOOK(close)(int file)
{
    const int failed = fails(FAULT_CLOSE), error = errno;
    const int result = REAL(close)(file);
    if (failed)
        errno = error;
    return failed ? -1 : result;
}

int HOOK(rename)(const char *from, const char *to)
{
    return fails(FAULT_RENAME) ? -1 : REAL(rename)(from, to);
}

int HOOK(fchmod)(int file, mode_t mode)
{
    return fails(FAULT_MODE) ? -1 : REAL(fchmod)(file, mode);
}

int HOOK(fstat)(int file, struct stat *status)
{
    return fails(FAULT_STATUS) ? -1 : REAL(fstat)(file, status);
}

int HOOK(lstat)(const char *path, struct stat *status)
{
    return fails(FAULT_STATUS) ? -1 : REAL(lstat)(path, status);
}

ssize_t HOOK(readlink)(const char *path, char *to, size_t size)
{
    return fails(FAULT_LINK) ? -1 : REAL(readlink)(path, to, size);
}

int HOOK(access)(const char *path, int mode)
{
    return fails(FAULT_ACCESS) ? -1 : REAL(access)(path, mode);
}

int HOOK(flock)(int file, int operation)
{
    return fails(FAULT_LOCK) ? -1 : REAL(flock)(file, operation);
}

/* All that is called with one has a number as its argument, or none. */
int HOOK(fcntl)(int file, int command, ...)
{
    va_list more;
    va_start(more, command);
    void *argument = va_arg(more, void *);
    va_end(more);
    return fails(FAULT_HANDLE) ? -1 : REAL(fcntl)(file, command, argument);
}

DIR *HOOK(opendir)(const char *path)
{
    DIR *folder = fails(FAULT_FOLDER) ? NULL : REAL(opendir)(path);
    if (folder != NULL && COUNTS)
        atomic_fetch_add(&live, 1);
    return folder;
}

int HOOK(closedir)(DIR *folder)
{
    if (COUNTS)
        atomic_fetch_sub(&live, 1);
    return REAL(closedir)(folder);
}

int HOOK(unlink)(const char *path)
{
    return fails(FAULT_UNLINK) ? -1 : REAL(unlink)(path);
}

int HOOK(unlinkat)(int folder, const char *path, int flags)
{
    return fails(FAULT_UNLINK) ? -1 : REAL(unlinkat)(folder, path, flags);
}

#if defined(FAULTS_PRELOAD) && defined(__linux__) && defined(__GLIBC__)

/* What Python calls: names for 64-bit offsets, and a path where libcnn has a handle. */
DECLARE(chmod);
DECLARE(open64);
DECLARE(openat64);
DECLARE(fstat64);
DECLARE(lstat64);

int HOOK(chmod)(const char *path, mode_t mode)
{
    return fails(FAULT_MODE) ? -1 : REAL(chmod)(path, mode);
}

int HOOK(open64)(const char *path, int flags, ...)
{
    mode_t mode;
    MODE_AFTER(flags, mode);
    return fails(FAULT_OPEN) ? -1 : REAL(open64)(path, flags, mode);
}

int HOOK(openat64)(int folder, const char *path, int flags, ...)
{
    mode_t mode;
    MODE_AFTER(flags, mode);
    return fails(FAULT_OPEN) ? -1 : REAL(openat64)(folder, path, flags, mode);
}

int HOOK(fstat64)(int file, struct stat64 *status)
{
    return fails(FAULT_STATUS) ? -1 : REAL(fstat64)(file, status);
}

int HOOK(lstat64)(const char *path, struct stat64 *status)
{
    return fails(FAULT_STATUS) ? -1 : REAL(lstat64)(path, status);
}

#endif
