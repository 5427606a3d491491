/*
 * The number of threads, and the pool.
 *
 * A job is an index range. Its caller opens a gate. Workers that arrive in time enter, claim tasks
 * from a counter that they share with the caller, and leave. The first thread that finds no task
 * left closes the gate, and the caller waits only for the workers inside. So a worker that is not
 * scheduled costs nothing if it has not entered. A late worker finds the gate closed, or open for
 * the next job, and never reads a job that is finished.
 *
 * The gate is one word, so that entering and closing exclude each other:
 *   bits 0 to 15    how many workers are inside
 *   bits 16 to 30   the job's limit of threads: worker w (1, 2, ...) may enter if w < limit;
 *                   0 if the gate is closed
 *   bit 31          the caller sleeps, and the last worker to leave must wake it
 * A worker enters by compare-and-exchange. No generation count is needed: if the word has the same
 * value, then a gate is open, be it that of a later job, and the job's fields are read after
 * entering.
 *
 * Atomics without an explicit order are sequentially consistent, and sleeping depends on this: a
 * worker stores that it sleeps and then reads the gate; a caller opens the gate and then reads
 * which workers sleep. So at least one of them sees the other.
 *
 * Workers are never stopped. At the exit of the process they sleep or spin, and use no memory that
 * is freed, since the pool never is. Their code must stay mapped, so libcnn is linked with -z
 * nodelete (dlclose then leaves it mapped). macOS never unmaps a library with thread-local
 * variables, and on Windows the first thread pins the library.
 */
#include "base/threads.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/error.h"
#include "base/platform.h"
#include "cnn/cnn.h"

enum { MAXIMUM_THREADS = 1024 };

/* ---- The number of threads --------------------------------------------------------------- */

/* The origin of the number of threads, with its name: X(CONSTANT, name). */
#define CNN_ORIGINS(X)                                                                             \
    X(ORIGIN_SET, "cnn_threads_set")                                                               \
    X(ORIGIN_CNN, "CNN_NUM_THREADS")                                                               \
    X(ORIGIN_OMP, "OMP_NUM_THREADS")                                                               \
    X(ORIGIN_AFFINITY, "CPU affinity")                                                             \
    X(ORIGIN_QUOTA, "cgroup quota")

#define CNN_X(constant, name) constant,
enum { CNN_ORIGINS(CNN_X) };
#undef CNN_X

#define CNN_X(constant, name) name,
static const char *const origin_names[] = {CNN_ORIGINS(CNN_X)};
#undef CNN_X

/* The number of threads times 16 plus its origin, so that both change at once; 0 if not yet set. */
static atomic_size_t setting;

static size_t setting_of(size_t threads, size_t origin)
{
    return cnn_min(threads, MAXIMUM_THREADS) * 16 + origin;
}

/* A decimal number from 1 to MAXIMUM_THREADS that ends at '\0' or at `end`; 0 for other texts. */
static size_t parse_count(const char *text, char end)
{
    size_t value = 0;
    if (text == NULL)
        return 0;
    for (; *text >= '0' && *text <= '9' && value <= MAXIMUM_THREADS; text++)
        value = 10 * value + (size_t)(*text - '0');
    return (*text == '\0' || *text == end) && value <= MAXIMUM_THREADS ? value : 0;
}

static size_t default_setting(void)
{
    size_t threads = parse_count(cnn_platform_environment("CNN_NUM_THREADS"), '\0');
    if (threads > 0)
        return setting_of(threads, ORIGIN_CNN);
    /* A list in OMP_NUM_THREADS has a number for each level of nesting; the first one applies. */
    threads = parse_count(cnn_platform_environment("OMP_NUM_THREADS"), ',');
    if (threads > 0)
        return setting_of(threads, ORIGIN_OMP);
    const size_t cpus = cnn_platform_cpus(), quota = cnn_platform_quota();
    return quota > 0 && quota < cpus ? setting_of(quota, ORIGIN_QUOTA)
                                     : setting_of(cpus, ORIGIN_AFFINITY);
}

static size_t current_setting(void)
{
    size_t now = atomic_load_explicit(&setting, memory_order_relaxed);
    if (now == 0) {
        /* If another thread has set it in between, its value stays and `now` receives it. */
        const size_t found = default_setting();
        if (atomic_compare_exchange_strong(&setting, &now, found))
            now = found;
    }
    return now;
}

size_t cnn_threads_get(void)
{
    return current_setting() / 16;
}

const char *cnn_threads_origin(void)
{
    return origin_names[current_setting() % 16];
}

cnn_status cnn_threads_set(size_t threads)
{
    if (threads > MAXIMUM_THREADS)
        return cnn_fail(CNN_ERROR_ARGUMENT,
                        "cnn_threads_set: threads is %zu; it should be at most %d", threads,
                        (int)MAXIMUM_THREADS);
    atomic_store(&setting, threads > 0 ? setting_of(threads, ORIGIN_SET) : default_setting());
    return CNN_OK;
}

/* ---- The pool ---------------------------------------------------------------------------- */

#define GATE_INSIDE UINT32_C(0x0000FFFF)
#define GATE_LIMIT UINT32_C(0x7FFF0000)
#define GATE_CALLER_SLEEPS UINT32_C(0x80000000)
enum { GATE_LIMIT_SHIFT = 16 };

/* How long a waiting thread spins before it sleeps. */
static const double SPIN_SECONDS = 50e-6;

/* After a thread could not be started, none is tried for this time. */
static const double RETRY_SECONDS = 1.0;

/* Exponential backoff: after k failures in a row, 2^k - 1 occasions are skipped. */
typedef struct patience {
    unsigned failures, skip;
} patience;

enum { MOST_FAILURES = 5 };

static bool worth_trying(patience *t)
{
    if (t->skip == 0)
        return true;
    t->skip--;
    return false;
}

static void note_outcome(patience *t, bool success)
{
    t->failures = success ? 0 : t->failures + (t->failures < MOST_FAILURES);
    t->skip = (1u << t->failures) - 1;
}

struct pool;

typedef struct worker {
    struct pool *pool;
    size_t id; /* 1, 2, ...: also the `worker` of its tasks */
    cnn_thread *thread;
    atomic_bool asleep;
    patience spinning, moving; /* the worker's own */
    cnn_mutex mutex;
    cnn_condition condition;
} worker;

/* Members that different threads write lie on cache lines of their own. */
typedef struct pool {
    uint64_t process;
    struct pool *inherited; /* if the process is the child of a fork: never used nor freed */
    /* 1 if a call uses the pool; guards all fields below. Some systems exchange no single bytes. */
    atomic_uint busy;

    _Alignas(64) atomic_uint_least32_t gate;
    atomic_size_t sleeping; /* workers that sleep or are about to */
    atomic_int caller_cpu;  /* where the job was opened */

    _Alignas(64) atomic_size_t next_task;
    _Alignas(64) atomic_size_t next_wake; /* the next worker to check for sleep, from 1 */

    /* The job. Read by workers inside the gate. */
    _Alignas(64) cnn_task *task;
    void *context;
    size_t tasks;
    size_t worker_count;
    worker *workers[MAXIMUM_THREADS]; /* [1] to [worker_count]; 0 is the caller */

    double retry_time;
    cnn_mutex mutex; /* for the caller's sleep */
    cnn_condition condition;
} pool;

/* The spinning phase of a wait. */
typedef struct spin {
    unsigned turns;
    double end;
} spin;

/* Pause once; false when the time for spinning is over. The clock is read every 64 turns. */
static bool keep_spinning(spin *s)
{
    cnn_platform_relax();
    if (++s->turns % 64 != 0)
        return true;
    const double now = cnn_platform_seconds();
    if (s->turns == 64)
        s->end = now + SPIN_SECONDS;
    return now < s->end;
}

static size_t limit_of(uint32_t gate)
{
    return (gate & GATE_LIMIT) >> GATE_LIMIT_SHIFT;
}

static void wake(worker *w)
{
    /* Once the lock was held, the worker either waits already or will read the gate again. */
    cnn_mutex_lock(&w->mutex);
    cnn_mutex_unlock(&w->mutex);
    cnn_condition_wake_all(&w->condition);
}

/*
 * Wake the job's sleeping workers. Each takes a system call, so all threads that are awake share
 * this work: each sleeping worker is claimed like a task.
 */
static void wake_sleepers(pool *p, size_t limit)
{
    while (atomic_load(&p->sleeping) > 0 &&
           atomic_load_explicit(&p->next_wake, memory_order_relaxed) < limit) {
        const size_t i = atomic_fetch_add_explicit(&p->next_wake, 1, memory_order_relaxed);
        if (i < limit && atomic_load(&p->workers[i]->asleep))
            wake(p->workers[i]);
    }
}

/* Do tasks until none is left. */
static void work(pool *p, size_t id)
{
    cnn_task *const task = p->task;
    void *const context = p->context;
    const size_t tasks = p->tasks;
    for (;;) {
        const size_t i = atomic_fetch_add_explicit(&p->next_task, 1, memory_order_relaxed);
        if (i >= tasks)
            return;
        task(context, i, id);
    }
}

static bool gate_is_open(const worker *w, uint32_t *gate)
{
    *gate = atomic_load_explicit(&w->pool->gate, memory_order_relaxed);
    return w->id < limit_of(*gate);
}

/*
 * Spin until the gate is open for this worker; false when the time for spinning is over. If
 * spinning mostly fails, the worker backs off: calls may be far apart, or, on a busy machine, the
 * caller may need this core to go on.
 */
static bool spin_for_gate(worker *w, uint32_t *gate)
{
    spin s = {0, 0};
    if (gate_is_open(w, gate))
        return true;
    if (!worth_trying(&w->spinning))
        return false;
    bool open;
    do
        open = gate_is_open(w, gate);
    while (!open && keep_spinning(&s));
    note_outcome(&w->spinning, open);
    return open;
}

/*
 * Move a worker away from the caller's core. Schedulers may wake a worker on that core although
 * another core is idle, above all in virtual machines; the worker then takes the caller's place
 * instead of helping it. Moving takes some 30 microseconds, and gains nothing if the other core is
 * busy.
 */
static void leave_core_of_caller(worker *w)
{
    const int cpu = cnn_platform_cpu();
    uint32_t gate;
    if (cpu >= 0 && cpu == atomic_load_explicit(&w->pool->caller_cpu, memory_order_relaxed) &&
        gate_is_open(w, &gate) && worth_trying(&w->moving)) {
        cnn_platform_leave_cpu(cpu);
        note_outcome(&w->moving, gate_is_open(w, &gate));
    }
}

/* Sleep until another thread wakes this worker, perhaps too late for the job it was woken for. */
static void sleep_at_gate(worker *w)
{
    pool *p = w->pool;
    cnn_mutex_lock(&w->mutex);
    atomic_store(&w->asleep, true);
    atomic_fetch_add(&p->sleeping, 1);
    if (w->id >= limit_of(atomic_load(&p->gate)))
        cnn_condition_wait(&w->condition, &w->mutex);
    atomic_fetch_sub(&p->sleeping, 1);
    atomic_store(&w->asleep, false);
    cnn_mutex_unlock(&w->mutex);
    leave_core_of_caller(w);
}

/* Leave a job that has no task left: close its gate, and wake the caller if it sleeps. */
static void leave(pool *p)
{
    uint32_t gate = atomic_load(&p->gate);
    while (!atomic_compare_exchange_weak(&p->gate, &gate, (gate & ~GATE_LIMIT) - 1))
        ;
    if ((gate & GATE_CALLER_SLEEPS) != 0 && (gate & GATE_INSIDE) == 1) {
        cnn_mutex_lock(&p->mutex);
        cnn_mutex_unlock(&p->mutex);
        cnn_condition_wake_all(&p->condition);
    }
}

static void run_worker(void *argument)
{
    worker *w = argument;
    pool *p = w->pool;
    for (;;) {
        uint32_t gate;
        while (!spin_for_gate(w, &gate))
            sleep_at_gate(w);
        if (!atomic_compare_exchange_strong(&p->gate, &gate, gate + 1))
            continue;
        wake_sleepers(p, limit_of(gate));
        const uint64_t before = cnn_platform_float_enter();
        work(p, w->id);
        cnn_platform_float_leave(before);
        leave(p);
    }
}

/* ---- The caller's side ------------------------------------------------------------------- */

static pool *new_pool(uint64_t process)
{
    pool *p = cnn_platform_allocate(sizeof *p);
    if (p == NULL)
        return NULL;
    memset(p, 0, sizeof *p);
    p->process = process;
    atomic_init(&p->busy, 0);
    atomic_init(&p->gate, 0);
    atomic_init(&p->sleeping, 0);
    atomic_init(&p->caller_cpu, -1);
    atomic_init(&p->next_task, 0);
    atomic_init(&p->next_wake, 0);
    cnn_mutex_init(&p->mutex);
    cnn_condition_init(&p->condition);
    return p;
}

/*
 * The process's pool, or NULL if memory is short. The child of a fork has none of the threads of
 * the pool that it inherits, and these may hold its locks. So the child makes a new pool and never
 * uses the inherited one. (A task must not fork: the child's copy of the call would wait for
 * workers that it does not have.)
 */
static pool *current_pool(void)
{
    static _Atomic(pool *) current;
    const uint64_t process = cnn_platform_process();
    pool *p = atomic_load_explicit(&current, memory_order_acquire);
    while (p == NULL || p->process != process) {
        pool *made = new_pool(process);
        if (made == NULL)
            return NULL;
        made->inherited = p;
        if (atomic_compare_exchange_strong(&current, &p, made))
            return made;
        cnn_condition_destroy(&made->condition);
        cnn_mutex_destroy(&made->mutex);
        cnn_platform_free(made);
    }
    return p;
}

static bool start_worker(pool *p)
{
    worker *w = cnn_platform_allocate(sizeof *w);
    if (w == NULL)
        return false;
    w->pool = p;
    w->id = p->worker_count + 1;
    atomic_init(&w->asleep, false);
    w->spinning = w->moving = (patience){0, 0};
    cnn_mutex_init(&w->mutex);
    cnn_condition_init(&w->condition);
    /* Listed before it starts, since it reads the list. No thread joins it. */
    p->workers[w->id] = w;
    w->thread = cnn_platform_thread_start(run_worker, w);
    if (w->thread == NULL) {
        cnn_condition_destroy(&w->condition);
        cnn_mutex_destroy(&w->mutex);
        cnn_platform_free(w);
        return false;
    }
    p->worker_count++;
    return true;
}

/* Start the workers that `threads` threads need; returns the number of threads that exist. */
static size_t ensure_workers(pool *p, size_t threads)
{
    if (p->worker_count + 1 < threads && cnn_platform_seconds() >= p->retry_time) {
        while (p->worker_count + 1 < threads) {
            if (!start_worker(p)) {
                p->retry_time = cnn_platform_seconds() + RETRY_SECONDS;
                break;
            }
        }
    }
    return cnn_min(threads, p->worker_count + 1);
}

/* Close the gate and wait for the workers inside. */
static void wait_for_workers(pool *p)
{
    spin s = {0, 0};
    uint32_t gate = atomic_fetch_and(&p->gate, ~GATE_LIMIT);
    while ((gate & GATE_INSIDE) != 0) {
        if (!keep_spinning(&s)) {
            /* A worker may wait for this very core: sleeping frees it. */
            cnn_mutex_lock(&p->mutex);
            atomic_fetch_or(&p->gate, GATE_CALLER_SLEEPS);
            while ((atomic_load(&p->gate) & GATE_INSIDE) != 0)
                cnn_condition_wait(&p->condition, &p->mutex);
            cnn_mutex_unlock(&p->mutex);
            return;
        }
        gate = atomic_load_explicit(&p->gate, memory_order_acquire);
    }
}

static void run_job(pool *p, size_t tasks, size_t threads, cnn_task *task, void *context)
{
    const size_t limit = ensure_workers(p, threads);
    p->task = task;
    p->context = context;
    p->tasks = tasks;
    atomic_store_explicit(&p->next_task, 0, memory_order_relaxed);
    atomic_store_explicit(&p->next_wake, 1, memory_order_relaxed);
    atomic_store_explicit(&p->caller_cpu, cnn_platform_cpu(), memory_order_relaxed);
    atomic_store(&p->gate, (uint32_t)limit << GATE_LIMIT_SHIFT);
    wake_sleepers(p, limit);
    work(p, 0);
    wait_for_workers(p);
}

void cnn_parallel(size_t tasks, size_t threads, cnn_task *task, void *context)
{
    threads = cnn_min(cnn_min(threads, tasks), cnn_threads_get());
    pool *p = threads > 1 ? current_pool() : NULL;
    /* Read before it is written, which would take the cache line from the threads of that call. */
    if (p != NULL && atomic_load(&p->busy) == 0 && atomic_exchange(&p->busy, 1) == 0) {
        run_job(p, tasks, threads, task, context);
        atomic_store_explicit(&p->busy, 0, memory_order_release);
        return;
    }
    for (size_t i = 0; i < tasks; i++)
        task(context, i, 0);
}
