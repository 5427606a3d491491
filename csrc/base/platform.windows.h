/* Windows: the part of platform.c that is compiled there. */

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

/* Of the first core that has each cache; an L3 cache is shared by the cores in its mask. */
static void find_caches(cnn_caches *caches)
{
    SYSTEM_LOGICAL_PROCESSOR_INFORMATION list[256];
    DWORD size = sizeof list;
    if (!GetLogicalProcessorInformation(list, &size))
        return;
    for (size_t i = 0; i < size / sizeof *list; i++) {
        const CACHE_DESCRIPTOR *cache = &list[i].Cache;
        if (list[i].Relationship != RelationCache || cache->Type == CacheInstruction)
            continue;
        size_t cores = 0;
        for (ULONG_PTR mask = list[i].ProcessorMask; mask != 0; mask &= mask - 1)
            cores++;
        if (cache->Level == 1 && caches->l1d == 0)
            caches->l1d = cache->Size;
        else if (cache->Level == 2 && caches->l2 == 0)
            caches->l2 = cache->Size;
        else if (cache->Level == 3 && caches->l3_share == 0)
            caches->l3_share = cache->Size / cnn_max(cores, 1);
    }
}

size_t cnn_platform_cpus(void)
{
    DWORD_PTR process = 0, machine = 0;
    size_t cpus = 0;
    /* A process in several processor groups has the mask 0; then all CPUs count. */
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

void cnn_platform_yield(void)
{
    (void)SwitchToThread();
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
    /* The library must stay loaded as long as one of its threads may run. */
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

/* The errno that is nearest to GetLastError(). */
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

/* UTF-8 as UTF-16, which the caller frees; NULL with errno for bad UTF-8 or if memory is short. */
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

static int read_some(system_file file, uint64_t offset, void *to, size_t size, size_t *got)
{
    DWORD count = 0;
    OVERLAPPED from = {.Offset = (DWORD)offset, .OffsetHigh = (DWORD)(offset >> 32)};
    const BOOL read = ReadFile(file, to, (DWORD)(size < TRANSFER ? size : TRANSFER), &count, &from);
    *got = count;
    return read || GetLastError() == ERROR_HANDLE_EOF ? 0 : system_errno();
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

/*
 * Remove the stale temporary files of a target, which killed processes have left. Files that are
 * being written are open without sharing, so they cannot be deleted.
 */
static void remove_stale(const char *path)
{
    char prefix[TEMPORARY_PREFIX + 1];
    const size_t length = directory_length(path);
    char *pattern = path_in(path, length, ".cnn-*.tmp");
    wchar_t *wide_pattern = pattern != NULL ? wide(pattern) : NULL;
    WIN32_FIND_DATAW found;
    const HANDLE search =
        wide_pattern != NULL ? FindFirstFileW(wide_pattern, &found) : INVALID_HANDLE_VALUE;
    temporary_prefix(prefix, path);
    for (BOOL more = search != INVALID_HANDLE_VALUE; more; more = FindNextFileW(search, &found)) {
        char name[MAX_PATH * 4];
        const int size =
            WideCharToMultiByte(CP_UTF8, 0, found.cFileName, -1, name, sizeof name, NULL, NULL);
        if (size <= 0 || !is_temporary(name, prefix))
            continue;
        char *beside = path_in(path, length, name);
        wchar_t *stale = beside != NULL ? wide(beside) : NULL;
        if (stale != NULL)
            (void)DeleteFileW(stale);
        free(stale);
        free(beside);
    }
    if (search != INVALID_HANDLE_VALUE)
        (void)FindClose(search);
    free(wide_pattern);
    free(pattern);
}

/*
 * Write a new file and move it over the target. Returns 0 or an errno: EAGAIN if another process
 * that saves has removed the new file as stale before it was moved.
 */
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
        error = GetLastError() == ERROR_FILE_NOT_FOUND ? EAGAIN : system_errno();
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
    else
        remove_stale(path);
    for (int attempt = 0; attempt < 100 && (error == EEXIST || error == EAGAIN); attempt++) {
        char name[TEMPORARY_NAME + 1];
        temporary_name(name, path, GetCurrentProcessId());
        char *beside = path_in(path, directory_length(path), name);
        wchar_t *temporary = beside != NULL ? wide(beside) : NULL;
        error = temporary != NULL ? replace_with(temporary, target, bytes, size) : ENOMEM;
        free(temporary);
        free(beside);
    }
    free(target);
    return error;
}

/* ---- Numbers as text --------------------------------------------------------------------- */

static _locale_t plain_locale(void)
{
    static _Atomic(_locale_t) kept;
    _locale_t locale = atomic_load(&kept);
    if (locale == NULL) {
        locale = _create_locale(LC_NUMERIC, "C");
        atomic_store(&kept, locale);
    }
    return locale;
}

double cnn_platform_read_double(const char *text)
{
    return _strtod_l(text, NULL, plain_locale());
}

void cnn_platform_print_double(char *text, size_t size, int digits, double value)
{
    (void)_snprintf_l(text, size, "%.*g", plain_locale(), digits, value);
}
