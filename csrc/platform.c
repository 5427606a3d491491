/* The operating system and the CPU. First what depends on the CPU, then Windows, then POSIX. */
#include "platform.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
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
#include <pthread.h>
#include <signal.h>
#include <unistd.h>
#endif
#if defined(__linux__)
#include <sched.h>
#endif

#if defined(__x86_64__)
#include <cpuid.h> /* after windows.h, some versions of which declare the same names */
#elif !defined(__aarch64__)
#include <fenv.h>
#endif

#include "random.h"

/* Declared in threads.c, the only user. */
int cnn_platform_cpu(void);
void cnn_platform_leave_cpu(int cpu);

enum { ALIGNMENT = 64 };

/* The most that one read or write is asked for: some systems refuse more than INT_MAX. */
enum { TRANSFER = 1 << 30 };

/* ---- CPU features ------------------------------------------------------------------------ */

enum { FEATURES_KNOWN = 1, FEATURE_AVX2 = 2, FEATURE_AVX512 = 4, FEATURE_NEON = 8 };

#if defined(__x86_64__)

typedef struct cpuid_registers {
    unsigned a, b, c, d;
} cpuid_registers;

/* One leaf of cpuid; all zero where the CPU does not have it. */
static cpuid_registers cpuid(unsigned leaf)
{
    cpuid_registers r = {0, 0, 0, 0};
    (void)__get_cpuid_count(leaf, 0, &r.a, &r.b, &r.c, &r.d);
    return r;
}

/* XCR0: the register sets that the OS saves. Only where cpuid says OSXSAVE. */
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
    /* x86-64-v3 with all of v2 below it, since compilers use the whole level. */
    const unsigned v3_leaf1 = 1u << 0 | 1u << 9 | 1u << 13 | 1u << 19 | 1u << 20 | /* SSE, CX16 */
                              1u << 12 | 1u << 22 | 1u << 23 | /* FMA, MOVBE, POPCNT */
                              1u << 27 | 1u << 28 | 1u << 29;  /* OSXSAVE, AVX, F16C */
    const unsigned v3_leaf7 = 1u << 3 | 1u << 5 | 1u << 8;     /* BMI1, AVX2, BMI2 */
    const unsigned v3_extended = 1u << 0 | 1u << 5;            /* LAHF, LZCNT */
    const unsigned v4_leaf7 = 1u << 16 | 1u << 17 | 1u << 28 | /* AVX512F, DQ, CD */
                              1u << 30 | 1u << 31;             /* BW, VL */
    const uint64_t ymm_state = 0x06;                           /* SSE and AVX */
#if defined(__APPLE__)
    const uint64_t zmm_state = ymm_state; /* macOS adds the rest at a thread's first use of it */
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
    /* Kept, since cpuid traps in a virtual machine; threads that race here find the same. */
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
    __asm__ volatile("isb"); /* waits some cycles, as pause does; yield is a no-op on most cores */
#endif
}

/* ---- Floating-point state ---------------------------------------------------------------- */

/* The bits of the control register that change results; all 0 is what the contract wants. */
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

/* Only these bits go back: the exception flags that were raised meanwhile stay raised. */
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

/* Open a regular file for reading and tell its size. Returns 0 or an errno. */
static int open_file(const char *path, system_file *file, uint64_t *size);
/* Read up to `size` bytes; *got is 0 at the end of the file. Returns 0 or an errno. */
static int read_some(system_file file, void *to, size_t size, size_t *got);
static void close_file(system_file file);

/*
 * Free this memory when the thread ends, in place of what was to be freed before. False where the
 * system cannot promise that.
 */
static bool free_at_thread_end(void *memory);

static _Thread_local struct {
    void *memory;
    size_t size;
} scratch;

/* At the end of a thread; later destructors of that thread may ask for scratch once more. */
static void free_scratch(void *memory)
{
    scratch.memory = NULL;
    scratch.size = 0;
    cnn_platform_free(memory);
}

/* A name for a temporary file that is not in use, as far as chance goes. */
static void temporary_name(char name[32], uint64_t process)
{
    static atomic_uint_fast64_t calls;
    uint32_t words[4];
    cnn_random_block((uint64_t)(cnn_platform_seconds() * 1e9),
                     process << 32 ^ atomic_fetch_add(&calls, 1), words);
    (void)snprintf(name, 32, ".cnn-%08x%08x.tmp", (unsigned)words[0], (unsigned)words[1]);
}

/* The length of a path's directory, with its last separator; 0 where it has none. */
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

/* A new string: the first `length` bytes of `directory`, then `name`. NULL without memory. */
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

/* ---- Windows ----------------------------------------------------------------------------- */

#if defined(_WIN32)

void *cnn_platform_allocate(size_t size)
{
    return size <= PTRDIFF_MAX ? _aligned_malloc(size > 0 ? size : 1, ALIGNMENT) : NULL;
}

void cnn_platform_free(void *memory)
{
    _aligned_free(memory);
}

static DWORD thread_slot = FLS_OUT_OF_INDEXES;

static void CALLBACK free_thread_slot(void *memory)
{
    if (memory != NULL)
        free_scratch(memory);
}

static BOOL CALLBACK make_thread_slot(INIT_ONCE *once, void *argument, void **context)
{
    (void)once;
    (void)argument;
    (void)context;
    thread_slot = FlsAlloc(free_thread_slot);
    return TRUE;
}

static bool free_at_thread_end(void *memory)
{
    static INIT_ONCE once = INIT_ONCE_STATIC_INIT;
    (void)InitOnceExecuteOnce(&once, make_thread_slot, NULL, NULL);
    return thread_slot != FLS_OUT_OF_INDEXES && FlsSetValue(thread_slot, memory);
}

double cnn_platform_seconds(void)
{
    LARGE_INTEGER count, frequency;
    (void)QueryPerformanceCounter(&count);
    (void)QueryPerformanceFrequency(&frequency);
    return (double)count.QuadPart / (double)frequency.QuadPart;
}

size_t cnn_platform_cpus(void)
{
    DWORD_PTR process = 0, machine = 0;
    size_t cpus = 0;
    /* A process on several processor groups has the mask 0; then all CPUs count. */
    if (GetProcessAffinityMask(GetCurrentProcess(), &process, &machine)) {
        for (; process != 0; process &= process - 1)
            cpus++;
    }
    if (cpus == 0)
        cpus = GetActiveProcessorCount(ALL_PROCESSOR_GROUPS);
    return cpus > 0 ? cpus : 1;
}

size_t cnn_platform_quota(void)
{
    return 0;
}

int cnn_platform_cpu(void)
{
    return -1;
}

void cnn_platform_leave_cpu(int cpu)
{
    (void)cpu;
}

uint64_t cnn_platform_process(void)
{
    return 0; /* there is no fork */
}

struct cnn_thread {
    HANDLE handle;
    void (*run)(void *);
    void *argument;
};

static DWORD WINAPI thread_main(void *argument)
{
    cnn_thread *thread = argument;
    thread->run(thread->argument);
    return 0;
}

cnn_thread *cnn_platform_thread_start(void (*run)(void *), void *argument)
{
    /* The library must stay loaded while a thread of its own may run. */
    HMODULE module;
    (void)GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_PIN,
                             (const wchar_t *)(uintptr_t)&thread_main, &module);
    cnn_thread *thread = malloc(sizeof *thread);
    if (thread == NULL)
        return NULL;
    thread->run = run;
    thread->argument = argument;
    thread->handle = CreateThread(NULL, 0, thread_main, thread, 0, NULL);
    if (thread->handle == NULL) {
        free(thread);
        return NULL;
    }
    return thread;
}

void cnn_platform_thread_join(cnn_thread *thread)
{
    (void)WaitForSingleObject(thread->handle, INFINITE);
    (void)CloseHandle(thread->handle);
    free(thread);
}

_Static_assert(sizeof(SRWLOCK) <= sizeof(cnn_mutex), "a mutex fits");
_Static_assert(sizeof(CONDITION_VARIABLE) <= sizeof(cnn_condition), "a condition fits");

void cnn_mutex_init(cnn_mutex *mutex)
{
    InitializeSRWLock((SRWLOCK *)mutex->opaque);
}

void cnn_mutex_destroy(cnn_mutex *mutex)
{
    (void)mutex;
}

void cnn_mutex_lock(cnn_mutex *mutex)
{
    AcquireSRWLockExclusive((SRWLOCK *)mutex->opaque);
}

void cnn_mutex_unlock(cnn_mutex *mutex)
{
    ReleaseSRWLockExclusive((SRWLOCK *)mutex->opaque);
}

void cnn_condition_init(cnn_condition *condition)
{
    InitializeConditionVariable((CONDITION_VARIABLE *)condition->opaque);
}

void cnn_condition_destroy(cnn_condition *condition)
{
    (void)condition;
}

void cnn_condition_wait(cnn_condition *condition, cnn_mutex *mutex)
{
    (void)SleepConditionVariableSRW((CONDITION_VARIABLE *)condition->opaque,
                                    (SRWLOCK *)mutex->opaque, INFINITE, 0);
}

void cnn_condition_wake_all(cnn_condition *condition)
{
    WakeAllConditionVariable((CONDITION_VARIABLE *)condition->opaque);
}

/* The errno that tells best what a call to Windows said. */
static int system_errno(void)
{
    switch (GetLastError()) {
    case ERROR_FILE_NOT_FOUND:
    case ERROR_PATH_NOT_FOUND:
    case ERROR_INVALID_NAME:
    case ERROR_BAD_PATHNAME:
        return ENOENT;
    case ERROR_ACCESS_DENIED:
    case ERROR_SHARING_VIOLATION:
    case ERROR_LOCK_VIOLATION:
    case ERROR_WRITE_PROTECT:
        return EACCES;
    case ERROR_FILE_EXISTS:
    case ERROR_ALREADY_EXISTS:
        return EEXIST;
    case ERROR_DISK_FULL:
    case ERROR_HANDLE_DISK_FULL:
        return ENOSPC;
    case ERROR_NOT_ENOUGH_MEMORY:
    case ERROR_OUTOFMEMORY:
        return ENOMEM;
    case ERROR_TOO_MANY_OPEN_FILES:
        return EMFILE;
    case ERROR_FILENAME_EXCED_RANGE:
        return ENAMETOOLONG;
    default:
        return EIO;
    }
}

/* UTF-8 as UTF-16, to be freed; NULL with errno where it is not UTF-8 or memory is out. */
static wchar_t *wide(const char *text)
{
    const int length = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, NULL, 0);
    if (length <= 0) {
        errno = EILSEQ;
        return NULL;
    }
    wchar_t *converted = malloc((size_t)length * sizeof *converted);
    if (converted == NULL)
        errno = ENOMEM;
    else
        (void)MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, converted, length);
    return converted;
}

static int open_file(const char *path, system_file *file, uint64_t *size)
{
    wchar_t *name = wide(path);
    if (name == NULL)
        return errno;
    const DWORD attributes = GetFileAttributesW(name);
    int error = 0;
    LARGE_INTEGER length = {0};
    if (attributes != INVALID_FILE_ATTRIBUTES && (attributes & FILE_ATTRIBUTE_DIRECTORY) != 0) {
        free(name);
        return EISDIR;
    }
    *file = CreateFileW(name, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                        NULL, OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, NULL);
    if (*file == INVALID_HANDLE_VALUE)
        error = system_errno();
    free(name);
    if (error != 0)
        return error;
    if (GetFileType(*file) != FILE_TYPE_DISK)
        error = EINVAL;
    else if (!GetFileSizeEx(*file, &length))
        error = system_errno();
    if (error != 0)
        close_file(*file);
    *size = (uint64_t)length.QuadPart;
    return error;
}

static int read_some(system_file file, void *to, size_t size, size_t *got)
{
    DWORD count = 0;
    const BOOL read = ReadFile(file, to, (DWORD)(size < TRANSFER ? size : TRANSFER), &count, NULL);
    *got = count;
    return read ? 0 : system_errno();
}

static void close_file(system_file file)
{
    (void)CloseHandle(file);
}

static int write_all(HANDLE file, const unsigned char *bytes, size_t size)
{
    while (size > 0) {
        DWORD count = 0;
        if (!WriteFile(file, bytes, (DWORD)(size < TRANSFER ? size : TRANSFER), &count, NULL))
            return system_errno();
        bytes += count;
        size -= count;
    }
    return FlushFileBuffers(file) ? 0 : system_errno();
}

/* Write a new file and move it over the target. */
static int replace_with(const wchar_t *temporary, const wchar_t *target, const void *bytes,
                        size_t size)
{
    const HANDLE file =
        CreateFileW(temporary, GENERIC_WRITE, 0, NULL, CREATE_NEW, FILE_ATTRIBUTE_NORMAL, NULL);
    if (file == INVALID_HANDLE_VALUE)
        return system_errno();
    int error = write_all(file, bytes, size);
    if (!CloseHandle(file) && error == 0)
        error = system_errno();
    if (error == 0 &&
        !MoveFileExW(temporary, target, MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH))
        error = system_errno();
    if (error != 0)
        (void)DeleteFileW(temporary);
    return error;
}

int cnn_platform_file_replace(const char *path, const void *bytes, size_t size)
{
    wchar_t *target = wide(path);
    if (target == NULL)
        return errno;
    const DWORD attributes = GetFileAttributesW(target);
    int error = EEXIST;
    if (attributes != INVALID_FILE_ATTRIBUTES && (attributes & FILE_ATTRIBUTE_DIRECTORY) != 0)
        error = EISDIR;
    for (int attempt = 0; attempt < 100 && error == EEXIST; attempt++) {
        char name[32];
        temporary_name(name, GetCurrentProcessId());
        char *beside = path_in(path, directory_length(path), name);
        wchar_t *temporary = beside != NULL ? wide(beside) : NULL;
        error = temporary != NULL ? replace_with(temporary, target, bytes, size) : ENOMEM;
        free(temporary);
        free(beside);
    }
    free(target);
    return error;
}

/* ---- POSIX ------------------------------------------------------------------------------- */

#else

void *cnn_platform_allocate(size_t size)
{
    void *memory = NULL;
    if (size > PTRDIFF_MAX) /* no object can be so large; sanitizers do not even let one ask */
        return NULL;
    return posix_memalign(&memory, ALIGNMENT, size > 0 ? size : 1) == 0 ? memory : NULL;
}

void cnn_platform_free(void *memory)
{
    free(memory);
}

static pthread_key_t thread_key;
static bool thread_key_made;

static void make_thread_key(void)
{
    thread_key_made = pthread_key_create(&thread_key, free_scratch) == 0;
}

static bool free_at_thread_end(void *memory)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, make_thread_key);
    return thread_key_made && pthread_setspecific(thread_key, memory) == 0;
}

double cnn_platform_seconds(void)
{
    struct timespec now = {0, 0};
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* ---- POSIX: processors ------------------------------------------------------------------- */

#if defined(__linux__)

/* The calling thread's affinity mask, for CPU_FREE, and its size; NULL where it cannot be read. */
static cpu_set_t *own_affinity(size_t *size)
{
    /* The call refuses a mask that is smaller than the kernel's, whose size it does not tell. */
    for (size_t cpus = 1024; cpus <= (size_t)1 << 20; cpus *= 2) {
        cpu_set_t *mask = CPU_ALLOC(cpus);
        if (mask == NULL)
            return NULL;
        *size = CPU_ALLOC_SIZE(cpus);
        if (sched_getaffinity(0, *size, mask) == 0)
            return mask;
        const int error = errno;
        CPU_FREE(mask);
        if (error != EINVAL)
            return NULL;
    }
    return NULL;
}

/* The CPUs in the affinity mask; 0 where it cannot be read. */
static size_t affinity_cpus(void)
{
    size_t size;
    cpu_set_t *mask = own_affinity(&size);
    if (mask == NULL)
        return 0;
    const int count = CPU_COUNT_S(size, mask);
    CPU_FREE(mask);
    return (size_t)count;
}

int cnn_platform_cpu(void)
{
    return sched_getcpu();
}

/* The thread moves when its CPU is taken from its mask, and stays when it is given back. */
void cnn_platform_leave_cpu(int cpu)
{
    size_t size;
    cpu_set_t *mask = own_affinity(&size);
    if (mask == NULL)
        return;
    if (CPU_ISSET_S((size_t)cpu, size, mask) && CPU_COUNT_S(size, mask) > 1) {
        CPU_CLR_S((size_t)cpu, size, mask);
        const bool moved = sched_setaffinity(0, size, mask) == 0;
        CPU_SET_S((size_t)cpu, size, mask);
        if (moved)
            (void)sched_setaffinity(0, size, mask);
    }
    CPU_FREE(mask);
}

/* The whole of a small text file, ended by '\0' and to be freed; NULL where there is none. */
static char *read_text(const char *path)
{
    void *bytes;
    size_t size;
    if (cnn_platform_file_read(path, (size_t)1 << 22, &bytes, &size) != 0)
        return NULL;
    char *text = malloc(size + 1);
    if (text != NULL) {
        memcpy(text, bytes, size);
        text[size] = '\0';
    }
    cnn_platform_free(bytes);
    return text;
}

/* A number from a file of a cgroup's directory; 0 where there is none or it is not positive. */
static long long read_number(const char *directory, const char *name, long long *second)
{
    char path[PATH_MAX];
    const int length = snprintf(path, sizeof path, "%s/%s", directory, name);
    char *text = length > 0 && (size_t)length < sizeof path ? read_text(path) : NULL;
    long long number = 0;
    if (text != NULL) {
        char *end;
        number = strtoll(text, &end, 10); /* 0 for cpu.max's "max" */
        if (second != NULL)
            *second = strtoll(end, NULL, 10);
    }
    free(text);
    return number > 0 ? number : 0;
}

/* The quota that one cgroup sets, in whole CPUs and at least 1; SIZE_MAX where it sets none. */
static size_t quota_of_group(const char *directory, bool unified)
{
    long long period = 0;
    const long long quota = unified ? read_number(directory, "cpu.max", &period)
                                    : read_number(directory, "cpu.cfs_quota_us", NULL);
    if (!unified && quota > 0)
        period = read_number(directory, "cpu.cfs_period_us", NULL);
    if (quota <= 0 || period <= 0)
        return SIZE_MAX;
    return quota > period ? (size_t)(quota / period) : 1;
}

/*
 * The smallest quota from the process's own cgroup up to the root of the mounted tree, which is
 * cgroup `root` at directory `mount`. In a container the group may lie outside what is mounted;
 * then the mount itself is all that can be looked at.
 */
static size_t quota_of_tree(const char *mount, const char *root, const char *group, bool unified)
{
    const size_t root_length = strcmp(root, "/") == 0 ? 0 : strlen(root);
    const char *below = group + root_length;
    if (strncmp(group, root, root_length) != 0 || *below != '/')
        below = "";
    char directory[PATH_MAX];
    const int length = snprintf(directory, sizeof directory, "%s%s", mount, below);
    if (length < 0 || (size_t)length >= sizeof directory)
        return SIZE_MAX;
    size_t smallest = SIZE_MAX;
    for (;;) {
        const size_t quota = quota_of_group(directory, unified);
        if (quota < smallest)
            smallest = quota;
        if (strlen(directory) <= strlen(mount))
            return smallest;
        *strrchr(directory, '/') = '\0';
    }
}

/* Whether a comma list has an entry. */
static bool lists(const char *list, const char *entry)
{
    const size_t length = strlen(entry);
    for (const char *at = list; at != NULL; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, entry, length) == 0 && (at[length] == ',' || at[length] == '\0'))
            return true;
    }
    return false;
}

/* The process's cgroup in the unified hierarchy or in that of the cpu controller, or NULL. */
static char *own_group(bool unified)
{
    char *text = read_text("/proc/self/cgroup"), *group = NULL, *rest = NULL;
    for (char *line = text != NULL ? strtok_r(text, "\n", &rest) : NULL;
         line != NULL && group == NULL; line = strtok_r(NULL, "\n", &rest)) {
        char *controllers = strchr(line, ':');
        char *path = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
        if (path == NULL)
            continue;
        *path = '\0';
        if (unified ? controllers[1] == '\0' : lists(controllers + 1, "cpu"))
            group = path_in("", 0, path + 1);
    }
    free(text);
    return group;
}

/*
 * A line of /proc/self/mountinfo, "id parent device ROOT MOUNT options... - TYPE source OPTIONS":
 * the quota where this is the hierarchy that was asked for, else SIZE_MAX.
 */
static size_t quota_of_mount(char *line, const char *group, bool unified)
{
    char *fields[5], *rest = NULL;
    char *tail = strstr(line, " - ");
    if (tail == NULL)
        return SIZE_MAX;
    *tail = '\0';
    for (size_t i = 0; i < 5; i++) {
        fields[i] = strtok_r(i == 0 ? line : NULL, " ", &rest);
        if (fields[i] == NULL)
            return SIZE_MAX;
    }
    const char *type = strtok_r(tail + 3, " ", &rest);
    const char *source = strtok_r(NULL, " ", &rest);
    const char *options = strtok_r(NULL, " ", &rest);
    if (type == NULL || source == NULL || strcmp(type, unified ? "cgroup2" : "cgroup") != 0)
        return SIZE_MAX;
    if (!unified && (options == NULL || !lists(options, "cpu")))
        return SIZE_MAX;
    return quota_of_tree(fields[4], fields[3], group, unified);
}

size_t cnn_platform_quota(void)
{
    size_t smallest = SIZE_MAX;
    for (int unified = 0; unified < 2; unified++) {
        char *group = own_group(unified), *rest = NULL;
        char *text = group != NULL ? read_text("/proc/self/mountinfo") : NULL;
        for (char *line = text != NULL ? strtok_r(text, "\n", &rest) : NULL; line != NULL;
             line = strtok_r(NULL, "\n", &rest)) {
            const size_t quota = quota_of_mount(line, group, unified);
            if (quota < smallest)
                smallest = quota;
        }
        free(text);
        free(group);
    }
    return smallest == SIZE_MAX ? 0 : smallest;
}

#else

static size_t affinity_cpus(void)
{
    return 0;
}

int cnn_platform_cpu(void)
{
    return -1;
}

void cnn_platform_leave_cpu(int cpu)
{
    (void)cpu;
}

size_t cnn_platform_quota(void)
{
    return 0;
}

#endif

size_t cnn_platform_cpus(void)
{
    const size_t cpus = affinity_cpus();
    if (cpus > 0)
        return cpus;
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (size_t)online : 1;
}

/* ---- POSIX: processes and threads -------------------------------------------------------- */

static atomic_uint_fast64_t forks;
static bool forks_watched;

static void count_fork(void)
{
    atomic_fetch_add_explicit(&forks, 1, memory_order_relaxed);
}

__attribute__((constructor)) static void watch_forks(void)
{
    forks_watched = pthread_atfork(NULL, NULL, count_fork) == 0;
}

uint64_t cnn_platform_process(void)
{
    if (!forks_watched) /* out of memory at load; a system call tells as well */
        return (uint64_t)getpid();
    return atomic_load_explicit(&forks, memory_order_relaxed);
}

struct cnn_thread {
    pthread_t id;
    void (*run)(void *);
    void *argument;
};

static void *thread_main(void *argument)
{
    cnn_thread *thread = argument;
    thread->run(thread->argument);
    return NULL;
}

/* Signals are for the host's threads: a new thread inherits the mask of its creator. */
cnn_thread *cnn_platform_thread_start(void (*run)(void *), void *argument)
{
    cnn_thread *thread = malloc(sizeof *thread);
    if (thread == NULL)
        return NULL;
    thread->run = run;
    thread->argument = argument;
    sigset_t all, before;
    (void)sigfillset(&all);
    if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0) {
        free(thread);
        return NULL;
    }
    const int error = pthread_create(&thread->id, NULL, thread_main, thread);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) {
        free(thread);
        return NULL;
    }
    return thread;
}

void cnn_platform_thread_join(cnn_thread *thread)
{
    (void)pthread_join(thread->id, NULL);
    free(thread);
}

_Static_assert(sizeof(pthread_mutex_t) <= sizeof(cnn_mutex), "a mutex fits");
_Static_assert(sizeof(pthread_cond_t) <= sizeof(cnn_condition), "a condition fits");

void cnn_mutex_init(cnn_mutex *mutex)
{
    (void)pthread_mutex_init((pthread_mutex_t *)mutex->opaque, NULL);
}

void cnn_mutex_destroy(cnn_mutex *mutex)
{
    (void)pthread_mutex_destroy((pthread_mutex_t *)mutex->opaque);
}

void cnn_mutex_lock(cnn_mutex *mutex)
{
    (void)pthread_mutex_lock((pthread_mutex_t *)mutex->opaque);
}

void cnn_mutex_unlock(cnn_mutex *mutex)
{
    (void)pthread_mutex_unlock((pthread_mutex_t *)mutex->opaque);
}

void cnn_condition_init(cnn_condition *condition)
{
    (void)pthread_cond_init((pthread_cond_t *)condition->opaque, NULL);
}

void cnn_condition_destroy(cnn_condition *condition)
{
    (void)pthread_cond_destroy((pthread_cond_t *)condition->opaque);
}

void cnn_condition_wait(cnn_condition *condition, cnn_mutex *mutex)
{
    (void)pthread_cond_wait((pthread_cond_t *)condition->opaque, (pthread_mutex_t *)mutex->opaque);
}

void cnn_condition_wake_all(cnn_condition *condition)
{
    (void)pthread_cond_broadcast((pthread_cond_t *)condition->opaque);
}

/* ---- POSIX: files ------------------------------------------------------------------------ */

static int open_file(const char *path, system_file *file, uint64_t *size)
{
    /* O_NONBLOCK, so that opening a pipe returns and can be refused. */
    const int opened = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (opened < 0)
        return errno;
    struct stat status;
    int error = 0;
    if (fstat(opened, &status) != 0)
        error = errno;
    else if (S_ISDIR(status.st_mode))
        error = EISDIR;
    else if (!S_ISREG(status.st_mode))
        error = EINVAL;
    if (error != 0) {
        close_file(opened);
        return error;
    }
    *file = opened;
    *size = status.st_size > 0 ? (uint64_t)status.st_size : 0;
    return 0;
}

static int read_some(system_file file, void *to, size_t size, size_t *got)
{
    ssize_t count;
    do
        count = read(file, to, size < TRANSFER ? size : TRANSFER);
    while (count < 0 && errno == EINTR);
    *got = count > 0 ? (size_t)count : 0;
    return count < 0 ? errno : 0;
}

static void close_file(system_file file)
{
    (void)close(file);
}

static int write_all(int file, const unsigned char *bytes, size_t size)
{
    while (size > 0) {
        const ssize_t count = write(file, bytes, size < TRANSFER ? size : TRANSFER);
        if (count > 0) {
            bytes += count;
            size -= (size_t)count;
        } else if (count == 0) {
            return EIO;
        } else if (errno != EINTR) {
            return errno;
        }
    }
    return 0;
}

static int sync_file(int file)
{
#if defined(__APPLE__)
    if (fcntl(file, F_FULLFSYNC) == 0) /* fsync alone leaves the data in the drive's cache */
        return 0;
#endif
    int result;
    do
        result = fsync(file);
    while (result != 0 && errno == EINTR);
    /* Some file systems cannot sync, and say so. */
    return result == 0 || errno == EINVAL || errno == ENOSYS || errno == ENOTSUP ? 0 : errno;
}

/*
 * The file that a path stands for once symbolic links in its last place are followed; it need
 * not exist, and then status->st_mode is 0. The string in *target is to be freed.
 */
static int follow_links(const char *path, char **target, struct stat *status)
{
    char link[PATH_MAX];
    if (path[0] == '\0')
        return ENOENT;
    char *at = path_in("", 0, path);
    int error = at != NULL ? 0 : ENOMEM;
    for (int depth = 0; error == 0; depth++) {
        if (lstat(at, status) != 0) {
            status->st_mode = 0;
            error = errno == ENOENT ? 0 : errno;
            break;
        }
        if (!S_ISLNK(status->st_mode))
            break;
        const ssize_t length = readlink(at, link, sizeof link - 1);
        if (length < 0 || depth == 40) {
            error = length < 0 ? errno : ELOOP;
            break;
        }
        link[length] = '\0';
        char *next = path_in(at, link[0] == '/' ? 0 : directory_length(at), link);
        error = next != NULL ? 0 : ENOMEM;
        free(at);
        at = next;
    }
    if (error != 0)
        free(at);
    else
        *target = at;
    return error;
}

/* Create a new file beside `target`, with no more than the permissions in `mode`. */
static int create_beside(const char *target, mode_t mode, char **name, int *file)
{
    for (int attempt = 0; attempt < 100; attempt++) {
        char last[32];
        temporary_name(last, (uint64_t)getpid());
        *name = path_in(target, directory_length(target), last);
        if (*name == NULL)
            return ENOMEM;
        *file = open(*name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
        if (*file >= 0)
            return 0;
        const int error = errno;
        free(*name);
        if (error != EEXIST)
            return error;
    }
    return EEXIST;
}

/* Fill a new file and close it. `mode` is that of the file it will replace, or 0. */
static int fill_file(int file, mode_t mode, const void *bytes, size_t size)
{
    struct stat status;
    int error = write_all(file, bytes, size);
    /* Set where it differs only: file systems without modes refuse to set any. */
    if (error == 0 && mode != 0 && fstat(file, &status) == 0 && (status.st_mode & 0777) != mode)
        error = fchmod(file, mode) == 0 ? 0 : errno;
    if (error == 0)
        error = sync_file(file);
    /* Network file systems may report a failed write only now. */
    if (close(file) != 0 && error == 0 && errno != EINTR)
        error = errno;
    return error;
}

/* Make a rename last. The new file is in place whatever comes of it, so there is no error. */
static void sync_directory(const char *path)
{
    const size_t length = directory_length(path);
    char *directory = length > 0 ? path_in(path, length, "") : path_in("", 0, ".");
    const int file = directory != NULL ? open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (file >= 0) {
        (void)sync_file(file);
        close_file(file);
    }
    free(directory);
}

int cnn_platform_file_replace(const char *path, const void *bytes, size_t size)
{
    struct stat status;
    char *target, *temporary;
    int file, error = follow_links(path, &target, &status);
    if (error != 0)
        return error;
    const bool exists = status.st_mode != 0;
    const mode_t mode = exists ? status.st_mode & 0777 : 0;
    /* Renaming would get round a device, a pipe and a file that its owner has protected. */
    if (exists && S_ISDIR(status.st_mode))
        error = EISDIR;
    else if (exists && !S_ISREG(status.st_mode))
        error = EINVAL;
    else if (exists && access(target, W_OK) != 0)
        error = errno;
    if (error == 0)
        error = create_beside(target, exists ? mode : 0666, &temporary, &file);
    if (error == 0) {
        error = fill_file(file, mode, bytes, size);
        if (error == 0 && rename(temporary, target) != 0)
            error = errno;
        if (error == 0)
            sync_directory(target);
        else
            (void)unlink(temporary);
        free(temporary);
    }
    free(target);
    return error;
}

#endif

/* ---- Every system ------------------------------------------------------------------------ */

void *cnn_platform_scratch(size_t size)
{
    if (size <= scratch.size && scratch.memory != NULL)
        return scratch.memory;
    /* Half as much again as before, so that slowly growing requests allocate seldom. */
    const size_t grown = scratch.size + scratch.size / 2;
    const size_t wanted = size > grown ? size : grown;
    void *memory = cnn_platform_allocate(wanted);
    if (memory == NULL)
        return NULL;
    /* Where the system has no room for the promise, memory that outlives its thread is better
       than none; the old buffer may then still be one that the thread's end frees. */
    if (free_at_thread_end(memory))
        cnn_platform_free(scratch.memory);
    scratch.memory = memory;
    scratch.size = wanted;
    return memory;
}

/*
 * The size that the system tells is only a hint: files of /proc have size 0, and a file may change
 * while it is read. One byte more than expected shows the end without a second buffer.
 */
int cnn_platform_file_read(const char *path, size_t limit, void **bytes, size_t *size)
{
    system_file file = (system_file)0;
    uint64_t expected = 0;
    int error = open_file(path, &file, &expected);
    if (error != 0)
        return error;
    if (expected > limit || expected >= SIZE_MAX / 2) {
        close_file(file);
        return EFBIG;
    }
    size_t capacity = expected > 0 ? (size_t)expected + 1 : 4096, used = 0, got = 1;
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
            error = read_some(file, buffer + used, capacity - used, &got);
            used += got;
        }
    }
    close_file(file);
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
