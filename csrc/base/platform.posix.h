/* Linux, macOS and other POSIX systems: the part of platform.c that is compiled there. */

void *cnn_platform_allocate(size_t size)
{
    void *memory = NULL;
    if (size >
        PTRDIFF_MAX) /* no object can be so large; sanitizers stop a program that requests it */
        return NULL;
    if (posix_memalign(&memory, ALIGNMENT, size > 0 ? size : 1) != 0)
        return NULL;
    return memory;
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

/* The calling thread's affinity mask, for CPU_FREE, and its size; NULL if it cannot be read. */
static cpu_set_t *own_affinity(size_t *size)
{
    /* The call refuses a mask smaller than the kernel's, and does not report the kernel's size. */
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

/* The number of CPUs in the affinity mask; 0 if it cannot be read. */
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

/* The thread moves when its CPU is removed from its mask, and stays when the mask is restored. */
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

/* A small text file as a string, which the caller frees; NULL if it cannot be read. */
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

/* A number from a file of a cgroup's directory; 0 if there is none or it is not positive. */
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

/* The quota of one cgroup, in whole CPUs and at least 1; SIZE_MAX if it has none. */
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
 * cgroup `root` at directory `mount`. In a container the group may lie outside of the mounted tree.
 * Then only the mount itself can be read.
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

/* Whether a comma-separated list has an entry. */
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
 * The quota from a line of /proc/self/mountinfo, "id parent device ROOT MOUNT options... - TYPE
 * source OPTIONS"; SIZE_MAX if the line is not about the unified hierarchy, or that of the cpu
 * controller.
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

/* The CPUs that threads can be started on, if that is known; 0 if not. */
static size_t affinity_cpus(void)
{
#if defined(__EMSCRIPTEN__) && !defined(__EMSCRIPTEN_PTHREADS__)
    return 1; /* WebAssembly without -pthread starts none */
#else
    return 0;
#endif
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

void cnn_platform_yield(void)
{
    (void)sched_yield();
}

uint64_t cnn_platform_process(void)
{
    if (!forks_watched) /* out of memory at load: use the system call */
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

/* Signals belong to the host's threads. A new thread inherits the signal mask of its creator. */
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
    /* cppcheck-suppress nullPointer ; it means the default attributes */
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

/* ---- Numbers as text --------------------------------------------------------------------- */

/* Switch the calling thread to the C locale's numbers. Returns the argument of leave_locale. */
static locale_t enter_locale(void)
{
    static _Atomic(locale_t) kept;
    locale_t locale = atomic_load(&kept);
    if (locale == (locale_t)0) {
        locale_t unset = (locale_t)0;
        locale = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
        if (!atomic_compare_exchange_strong(&kept, &unset, locale)) {
            freelocale(locale);
            locale = unset;
        }
    }
    return uselocale(locale);
}

double cnn_platform_read_double(const char *text)
{
    const locale_t before = enter_locale();
    const double value = strtod(text, NULL);
    (void)uselocale(before);
    return value;
}

void cnn_platform_print_double(char *text, size_t size, int digits, double value)
{
    const locale_t before = enter_locale();
    (void)snprintf(text, size, "%.*g", digits, value);
    (void)uselocale(before);
}
