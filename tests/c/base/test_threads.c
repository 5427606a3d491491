/*
 * Tests of threads.c. With the argument "measure" it prints latencies instead. If the environment
 * has CNN_TEST_NO_FORKS, as for emulators that do not let the child of a fork start threads, those
 * of forks are left out.
 */
#include <fenv.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if !defined(_WIN32)
#include <sys/wait.h>
#endif

#include "base/platform.h"
#include "base/threads.h"
#include "callers.h"
#include "check.h"
#include "cnn/cnn.h"

/* ThreadSanitizer lets the child of a fork start no threads. */
#if defined(__SANITIZE_THREAD__) || !HAS_THREADS
#define CHILDREN_HAVE_THREADS 0
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CHILDREN_HAVE_THREADS 0
#endif
#endif
#if !defined(CHILDREN_HAVE_THREADS)
#define CHILDREN_HAVE_THREADS 1
#endif

enum { MANY = 1000 };

/* ---- The number of threads --------------------------------------------------------------- */

static void set_variable(const char *name, const char *value)
{
#if defined(_WIN32)
    (void)_putenv_s(name, value != NULL ? value : ""); /* "" removes it */
#else
    if (value != NULL)
        (void)setenv(name, value, 1);
    else
        (void)unsetenv(name);
#endif
}

static size_t threads_with(const char *cnn, const char *omp, const char *origin)
{
    set_variable("CNN_NUM_THREADS", cnn);
    set_variable("OMP_NUM_THREADS", omp);
    CHECK(cnn_threads_set(0) == CNN_OK);
    if (!CHECK(strcmp(cnn_threads_origin(), origin) == 0))
        printf("  '%s', '%s': %s\n", cnn, omp, cnn_threads_origin());
    return cnn_threads_get();
}

static void test_count(void)
{
    const size_t cpus = cnn_platform_cpus(), quota = cnn_platform_quota();
    const size_t machine = quota > 0 && quota < cpus ? quota : cpus < 1024 ? cpus : 1024;
    const char *from = quota > 0 && quota < cpus ? "cgroup quota" : "CPU affinity";
    CHECK(threads_with(NULL, NULL, from) == machine);
    CHECK(HAS_THREADS || machine == 1);
    CHECK(threads_with("3", "5", "CNN_NUM_THREADS") == 3);
    CHECK(threads_with("1024", NULL, "CNN_NUM_THREADS") == 1024);
    CHECK(threads_with(NULL, "5", "OMP_NUM_THREADS") == 5);
    CHECK(threads_with(NULL, "7,3,2", "OMP_NUM_THREADS") == 7);
    CHECK(threads_with("3,2", "5", "OMP_NUM_THREADS") == 5);
    const char *bad[] = {"",     "0",   "-1",   "+2",  " 2",  "2 ",
                         "1025", "two", "0x10", "2.0", "1e1", "99999999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK(threads_with(bad[i], "6", "OMP_NUM_THREADS") == 6);
        CHECK(threads_with("4", bad[i], "CNN_NUM_THREADS") == 4);
        CHECK(threads_with(bad[i], bad[i], from) == machine);
    }
    CHECK(threads_with(NULL, ",3", from) == machine);

    CHECK(cnn_threads_set(2) == CNN_OK && cnn_threads_get() == 2);
    CHECK(strcmp(cnn_threads_origin(), "cnn_threads_set") == 0);
    CHECK(cnn_threads_set(1025) == CNN_ERROR_ARGUMENT && cnn_threads_get() == 2);
    CHECK(strstr(cnn_last_error(), "cnn_threads_set: threads is 1025") != NULL);
    CHECK(cnn_threads_set(SIZE_MAX) == CNN_ERROR_ARGUMENT);
}

/* ---- Jobs -------------------------------------------------------------------------------- */

/* A job that notices every kind of misuse: it is scribbled over once it is over. */
typedef struct job {
    uint64_t magic;
    size_t tasks, threads;
    atomic_int done[MANY];
    atomic_int occupied[16];
    atomic_size_t total, wrong, workers;
    size_t spin;
} job;

static const uint64_t MAGIC = UINT64_C(0x600DF00D600DF00D);

static void do_task(void *context, size_t index, size_t worker)
{
    job *j = context;
    if (j->magic != MAGIC || index >= j->tasks || worker >= j->threads) {
        atomic_fetch_add(&j->wrong, 1);
        return;
    }
    if (atomic_exchange(&j->occupied[worker], 1) != 0)
        atomic_fetch_add(&j->wrong, 1);
    for (size_t i = 0; i < j->spin; i++)
        cnn_platform_relax();
    atomic_fetch_add(&j->done[index], 1);
    atomic_fetch_add(&j->total, 1);
    if (worker > 0)
        atomic_fetch_add(&j->workers, 1);
    atomic_store(&j->occupied[worker], 0);
}

/* Run a job and tell whether each task was done once; counts those that workers did. */
static int run(size_t tasks, size_t threads, size_t spin, size_t *by_workers)
{
    job j;
    memset(&j, 0, sizeof j);
    j.magic = MAGIC;
    j.tasks = tasks;
    j.threads = threads > 0 ? threads : 1;
    j.spin = spin;
    cnn_parallel(tasks, threads, do_task, &j);
    int good = atomic_load(&j.total) == tasks && atomic_load(&j.wrong) == 0;
    for (size_t i = 0; i < tasks; i++)
        good &= atomic_load(&j.done[i]) == 1;
    if (by_workers != NULL)
        *by_workers += atomic_load(&j.workers);
    memset((void *)&j, 0xEE, sizeof j);
    return good;
}

static void test_jobs(void)
{
    size_t by_workers = 0;
    CHECK(cnn_threads_set(4) == CNN_OK);
    for (size_t tasks = 0; tasks < 40; tasks++) {
        for (size_t threads = 0; threads < 8; threads++)
            CHECK(run(tasks, threads, 0, &by_workers));
    }
    /* With work to do, the workers come in the end, however busy the machine. */
    for (int i = 0; i < (HAS_THREADS ? 2000 : 20) && by_workers == 0; i++)
        CHECK(run(MANY, 4, 100, &by_workers));
    CHECK((by_workers > 0) == HAS_THREADS);
    by_workers = 0;
    CHECK(cnn_threads_set(1) == CNN_OK);
    CHECK(run(MANY, 4, 100, &by_workers) && by_workers == 0);
}

/* Tiny jobs one after the other, with pauses at times that send the workers to sleep. */
static void test_stress(size_t jobs)
{
    size_t good = 0;
    CHECK(cnn_threads_set(3) == CNN_OK);
    for (size_t i = 0; i < jobs; i++) {
        good += (size_t)run(2 + i % 5, 2 + i % 3, i % 7, NULL);
        if (i % 1000 == 0)
            (void)usleep(200);
    }
    CHECK(good == jobs);
}

static void test_set_meanwhile(void)
{
    size_t good = 0;
    for (size_t i = 0; i < 3000; i++) {
        CHECK(cnn_threads_set(1 + i % 5) == CNN_OK);
        good += (size_t)run(20, 8, 5, NULL);
    }
    CHECK(good == 3000);
}

/* ---- Nested and concurrent calls --------------------------------------------------------- */

static void outer_task(void *context, size_t index, size_t worker)
{
    (void)index;
    (void)worker;
    if (run(10, 4, 3, NULL))
        atomic_fetch_add((atomic_size_t *)context, 1);
}

static void test_nested(void)
{
    atomic_size_t good = 0;
    CHECK(cnn_threads_set(4) == CNN_OK);
    for (int i = 0; i < 200; i++)
        cnn_parallel(10, 4, outer_task, &good);
    CHECK(atomic_load(&good) == 2000);
}

static void call_often(void *argument)
{
    size_t *good = argument;
    for (size_t i = 0; i < 3000; i++)
        *good += (size_t)run(8, 3, i % 10, NULL);
}

static void change_often(void *argument)
{
    atomic_int *stop = argument;
    for (size_t i = 0; !atomic_load(stop); i++) {
        (void)cnn_threads_set(i % 6);
        (void)cnn_threads_get();
        (void)cnn_threads_origin();
        (void)usleep(100);
    }
}

static void test_concurrent(void)
{
    enum { CALLERS = 5 };
    cnn_thread *callers[CALLERS];
    size_t good[CALLERS] = {0};
    atomic_int stop = !HAS_THREADS;
    cnn_thread *changer = caller_start(change_often, &stop);
    for (int i = 0; i < CALLERS; i++)
        callers[i] = caller_start(call_often, &good[i]);
    for (int i = 0; i < CALLERS; i++) {
        caller_join(callers[i]);
        CHECK(good[i] == 3000);
    }
    atomic_store(&stop, 1);
    caller_join(changer);
}

#if !defined(_WIN32)

/* ---- Fork -------------------------------------------------------------------------------- */

/* Fork, use the pool in the child and in its child, and tell whether both found it working. */
static int fork_and_run(int depth)
{
    (void)fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        size_t by_workers = 0;
        int good = cnn_threads_set(3) == CNN_OK;
        for (int i = 0; i < 2000 && (i < 20 || by_workers == 0); i++)
            good &= run(MANY, 3, 20, &by_workers);
        good &= by_workers > 0;
        if (depth > 0)
            good &= fork_and_run(depth - 1);
        _exit(good ? 0 : 1);
    }
    int status = 1;
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

static void test_fork(void)
{
    CHECK(cnn_threads_set(3) == CNN_OK);
    CHECK(run(MANY, 3, 10, NULL));
    CHECK(fork_and_run(1));
    CHECK(run(MANY, 3, 10, NULL));

    /* While other threads are inside the pool. */
    enum { CALLERS = 2 };
    cnn_thread *callers[CALLERS];
    size_t good[CALLERS] = {0};
    for (int i = 0; i < CALLERS; i++)
        callers[i] = caller_start(call_often, &good[i]);
    for (int i = 0; i < 10; i++)
        CHECK(fork_and_run(0));
    for (int i = 0; i < CALLERS; i++) {
        caller_join(callers[i]);
        CHECK(good[i] == 3000);
    }
}

/* ---- Floating-point state ---------------------------------------------------------------- */

static void check_rounding(void *context, size_t index, size_t worker)
{
    volatile double one = 1, three = 3;
    for (int i = 0; i < 200; i++)
        cnn_platform_relax();
    (void)index;
    if (worker > 0 && (one / three != 0x1.5555555555555p-2))
        atomic_fetch_add((atomic_size_t *)context, 1);
}

/* Workers that are started by a thread with another rounding mode inherit it. */
static int rounding_in_child(void)
{
    (void)fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        atomic_size_t wrong = 0;
        (void)cnn_threads_set(3);
        (void)fesetround(FE_UPWARD);
        for (int i = 0; i < 50; i++)
            cnn_parallel(100, 3, check_rounding, &wrong);
        _exit(atomic_load(&wrong) == 0 && fegetround() == FE_UPWARD ? 0 : 1);
    }
    int status = 1;
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

static void test_forks(void)
{
    if (!CHILDREN_HAVE_THREADS || cnn_platform_environment("CNN_TEST_NO_FORKS") != NULL)
        return;
    test_fork();
    CHECK(rounding_in_child());
}

#else

static void test_forks(void) /* there are none */
{
}

#endif

/* ---- Moving to another CPU --------------------------------------------------------------- */

/* The thread may go back at once, so all that can be seen is that its mask is what it was. */
static void test_leave_cpu(void)
{
    const size_t cpus = cnn_platform_cpus();
    for (int i = 0; i < 20; i++) {
        const int cpu = cnn_platform_cpu();
        CHECK(cpu >= -1);
        cnn_platform_leave_cpu(cpu >= 0 ? cpu : 0);
        CHECK(cnn_platform_cpus() == cpus);
    }
    cnn_platform_leave_cpu(1 << 19); /* not in the mask */
    CHECK(cnn_platform_cpus() == cpus);
}

/* ---- Measurements ------------------------------------------------------------------------ */

typedef struct race {
    double start;
    _Atomic double entered; /* when the first worker began its first task */
    size_t spin;
} race;

static void note_entry(void *context, size_t index, size_t worker)
{
    race *r = context;
    (void)index;
    if (worker > 0) {
        double none = 0;
        (void)atomic_compare_exchange_strong(&r->entered, &none, cnn_platform_seconds());
    }
    for (size_t i = 0; i < r->spin; i++)
        cnn_platform_relax();
}

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_quantiles(const char *what, double *seconds, size_t count)
{
    qsort(seconds, count, sizeof *seconds, compare_doubles);
    printf("%-44s %8.2f us median %8.2f 90%% %8.2f worst\n", what, 1e6 * seconds[count / 2],
           1e6 * seconds[count * 9 / 10], 1e6 * seconds[count - 1]);
}

/* The time of calls of two tasks of `spin` turns each, after pauses that let workers sleep or not.
 */
static void measure_calls(const char *what, size_t threads, size_t spin, unsigned pause,
                          size_t count)
{
    static double calls[20000], entries[20000];
    char line[64];
    size_t entered = 0;
    (void)cnn_threads_set(threads);
    for (size_t i = 0; i < count; i++) {
        race r = {.spin = spin};
        if (pause > 0)
            (void)usleep(pause);
        r.start = cnn_platform_seconds();
        cnn_parallel(2, threads, note_entry, &r);
        calls[i] = cnn_platform_seconds() - r.start;
        if (atomic_load(&r.entered) > 0)
            entries[entered++] = atomic_load(&r.entered) - r.start;
    }
    print_quantiles(what, calls, count);
    (void)snprintf(line, sizeof line, "  until a worker began (%.0f%% of calls)",
                   100.0 * (double)entered / (double)count);
    if (entered > 0)
        print_quantiles(line, entries, entered);
}

static void measure(void)
{
    double start = cnn_platform_seconds();
    for (int i = 0; i < 1000000; i++)
        cnn_platform_float_leave(cnn_platform_float_enter());
    printf("float enter and leave: %.1f ns\n", 1e3 * (cnn_platform_seconds() - start));
    start = cnn_platform_seconds();
    for (int i = 0; i < 1000000; i++)
        (void)cnn_platform_process();
    printf("process: %.1f ns\n", 1e3 * (cnn_platform_seconds() - start));
    start = cnn_platform_seconds();
    for (int i = 0; i < 1000000; i++)
        (void)cnn_platform_scratch(1000);
    printf("scratch: %.1f ns\n", 1e3 * (cnn_platform_seconds() - start));
    start = cnn_platform_seconds();
    for (int i = 0; i < 1000000; i++)
        cnn_platform_relax();
    const double relax = (cnn_platform_seconds() - start) / 1e6;
    printf("relax: %.1f ns\n", 1e9 * relax);
    const size_t microseconds[] = {0, 5, 25, 50, 100, 500};
    for (size_t k = 0; k < sizeof microseconds / sizeof microseconds[0]; k++) {
        const size_t spin = (size_t)((double)microseconds[k] * 1e-6 / relax);
        printf("two tasks of %zu us each\n", microseconds[k]);
        measure_calls("one thread", 1, spin, 0, 500);
        measure_calls("two threads, one call after the other", 2, spin, 0, 2000);
        measure_calls("two threads, asleep", 2, spin, 1000, 300);
    }
}

int main(int count, char **arguments)
{
    if (count > 1 && strcmp(arguments[1], "measure") == 0) {
        measure();
        return 0;
    }
    const size_t jobs = count > 1 ? strtoul(arguments[1], NULL, 10) : 100000;
    test_count();
    test_jobs();
    test_stress(jobs);
    test_set_meanwhile();
    test_nested();
    test_concurrent();
    test_leave_cpu();
    test_forks();
    return check_finish();
}
