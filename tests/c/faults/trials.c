/* The functions of trials.h. */
#include "faults/trials.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "faults/faults.h"

typedef struct trial {
    const scenario *scenario;
    cnn_dtype dtype;
    int optimizer;
    size_t threads, first, last; /* allocations first to last fail */
    uint64_t expected;           /* the bits of an undisturbed call; 0: find them */
    uint64_t bits;               /* what the call, or the one after it, gave */
    size_t failed;               /* how many allocations failed */
    cnn_status status;
} trial;

static atomic_size_t trials, refusals;

static int tell(const trial *t, int holds, const char *what)
{
    if (!holds)
        printf("%s, %s, %s, %zu threads, allocations %zu to %zu: %s; the last message: %s\n",
               t->scenario->name, t->dtype == CNN_FLOAT64 ? "float64" : "float32",
               cnn_optimizer_name(t->optimizer), t->threads, t->first, t->last, what,
               cnn_last_error());
    return CHECK(holds);
}

/* The call with its allocations failing; if it fails, once more without. */
static void run_in_world(trial *t, world *w)
{
    if (t->scenario->before)
        CHECK(t->scenario->before(w) == CNN_OK);
    w->result = (cnn_result){.struct_size = sizeof w->result};
    const uint64_t before = hash_before(w);
    faults_arm(FAULT_MEMORY, t->first, t->last, ENOMEM);
    t->status = t->scenario->call(w);
    t->failed = faults_disarm();
    if (t->status != CNN_OK) {
        tell(t, t->status == CNN_ERROR_MEMORY, "another error than CNN_ERROR_MEMORY");
        tell(t, strstr(cnn_last_error(), "memory") != NULL, "the message is not about memory");
        tell(t, t->failed > 0, "refused although nothing failed");
        tell(t, leaves_no_handle(w), "a handle after a failure");
        tell(t, hash_before(w) == before, "not as it was before");
        w->result = (cnn_result){.struct_size = sizeof w->result};
        tell(t, t->scenario->call(w) == CNN_OK, "still fails if nothing does");
    }
    t->bits = hash_after(w);
    tell(t, t->expected == 0 || t->bits == t->expected, "other bits");
}

static void *run_trial(void *argument)
{
    trial *t = argument;
    world *w = make_world(t->dtype, t->optimizer, t->threads);
    run_in_world(t, w);
    if (t->threads > 1) {
        forget_made(w);
        const long live = faults_live();
        for (int i = 0; i < 8; i++) {
            (void)t->scenario->call(w);
            forget_made(w);
        }
        /* The pool stays. A worker has two blocks if it starts only now, and scratch memory from
         * its first task on. */
        tell(t, faults_live() <= live + 3 * ((long)t->threads - 1),
             "memory grows from call to call");
    }
    destroy_world(w);
    return NULL;
}

/* In a thread whose scratch memory ends with it. */
static void run_in_thread(trial *t)
{
    pthread_t thread;
    const long live = faults_live();
    if (!CHECK(pthread_create(&thread, NULL, run_trial, t) == 0))
        return;
    CHECK(pthread_join(thread, NULL) == 0);
    tell(t, faults_live() == live, "memory is left");
}

/* In a process whose pool is not made yet; what it found goes through a pipe. */
static void run_in_process(trial *t)
{
    int ends[2];
    trial found = *t;
    fflush(stdout);
    if (!CHECK(pipe(ends) == 0))
        return;
    const pid_t child = fork();
    if (child == 0) {
        const int before = atomic_load(&check_failed);
        run_trial(&found);
        const int good = write(ends[1], &found, sizeof found) == (ssize_t)sizeof found;
        fflush(stdout);
        _exit(good && atomic_load(&check_failed) == before ? 0 : 1);
    }
    int how = -1;
    close(ends[1]);
    tell(t, child > 0 && read(ends[0], &found, sizeof found) == (ssize_t)sizeof found,
         "the process ended early");
    close(ends[0]);
    CHECK(waitpid(child, &how, 0) == child);
    tell(t, WIFEXITED(how) && WEXITSTATUS(how) == 0, "a check failed in the process, or it died");
    *t = found;
}

static void run(trial *t)
{
    if (t->threads == 1)
        run_in_thread(t);
    else
        run_in_process(t);
    atomic_fetch_add(&trials, 1);
    atomic_fetch_add(&refusals, t->status != CNN_OK);
}

/* Each allocation of a call in turn, then each with all after it. */
static void run_scenario(const scenario *called, cnn_dtype dtype, int optimizer, size_t threads)
{
    if (threads > 1 && getenv("CNN_TEST_NO_FORKS"))
        return; /* as test_threads */
    trial t = {.scenario = called,
               .dtype = dtype,
               .optimizer = optimizer,
               .threads = threads,
               .first = SIZE_MAX,
               .last = SIZE_MAX};
    run(&t);
    const uint64_t expected = t.bits;
    for (int all_after = 0; all_after < 2; all_after++)
        for (size_t first = 0; first == 0 || t.failed > 0; first += check_every()) {
            t.first = first;
            t.last = all_after ? SIZE_MAX : first;
            t.expected = expected;
            run(&t);
            if (!CHECK(first < 1000))
                break;
        }
}

int run_trials(size_t count, const scenario *scenarios)
{
    /* With 0, 1 and 2 slots, without and with clipping: other kinds allocate what these do. */
    const int optimizers[] = {CNN_SGD, CNN_MOMENTUM, CNN_ADAM};
    make_samples();
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < (scenarios[i].trains ? COUNT(optimizers) : 1); k++)
            for (size_t threads = 1; threads <= 2; threads++) {
                /* With two threads one type is enough: the other takes the same way. */
                run_scenario(&scenarios[i], CNN_FLOAT32, optimizers[k], threads);
                if (threads == 1)
                    run_scenario(&scenarios[i], CNN_FLOAT64, optimizers[k], threads);
            }
    printf("%zu trials, %zu refused\n", atomic_load(&trials), atomic_load(&refusals));
    return check_finish();
}
