/*
 * What this machine can do: multiply-adds per second, and bytes per second out of each cache.
 *
 *   roofline fma THREADS              prints GFLOP/s in float32
 *   roofline read BYTES THREADS       prints GB/s of reading that many bytes again and again
 *   roofline copy BYTES THREADS       the same of copying one half to the other, read + written
 *
 * Compiled with -DVECTOR_BYTES=N for the width of a register. Vectors are the compiler's own, so
 * the program needs no intrinsics, but for stores that go past the cache.
 */
#ifdef __linux__
#define _GNU_SOURCE
#include <sched.h>
#endif
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#ifdef __AVX__
#include <immintrin.h>
#endif

#ifndef VECTOR_BYTES
#define VECTOR_BYTES 16
#endif
/* Enough independent sums to cover latency, and few enough to stay in registers. */
#define SUMS (VECTOR_BYTES == 64 ? 24 : 12)
#define REPEATS 15
#define SECONDS 0.02
#define MAX_THREADS 256

typedef float vector __attribute__((vector_size(VECTOR_BYTES)));

typedef struct task {
    void (*run)(const struct task *task, size_t count);
    char *from, *to;
    size_t bytes; /* of `from` */
    size_t count; /* how many times */
    double begin, end;
    pthread_barrier_t *barrier;
} task;

static volatile float sink;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void use(vector v)
{
    sink = v[0];
}

/* 16 multiply-adds of each sum. */
static void fma_run(const task *unused, size_t count)
{
    vector sum[SUMS], a = {0}, b = {0};
    (void)unused;
    a += 0.999f;
    b += 1e-3f;
    for (int i = 0; i < SUMS; i++)
        sum[i] = a + (float)i;
    /* The compiler must not know that the factors are constants. */
    __asm__ volatile("" : "+m"(a), "+m"(b));
    for (size_t n = 0; n < count; n++)
        for (int k = 0; k < 16; k++)
#pragma GCC unroll 24
            for (int i = 0; i < SUMS; i++)
                sum[i] = sum[i] * a + b;
    for (int i = 1; i < SUMS; i++)
        sum[0] += sum[i];
    use(sum[0]);
}

static void read_run(const task *task, size_t count)
{
    vector sum[8] = {0};
    for (size_t n = 0; n < count; n++) {
        const vector *from = (const vector *)task->from;
        for (size_t i = 0; i < task->bytes / sizeof(vector); i += 8)
#pragma GCC unroll 8
            for (int j = 0; j < 8; j++)
                sum[j] += from[i + (size_t)j];
        __asm__ volatile("" ::: "memory");
    }
    for (int j = 1; j < 8; j++)
        sum[0] += sum[j];
    use(sum[0]);
}

static void copy_run(const task *task, size_t count)
{
    for (size_t n = 0; n < count; n++) {
        const vector *from = (const vector *)task->from;
        vector *to = (vector *)task->to;
        for (size_t i = 0; i < task->bytes / sizeof(vector); i += 4)
#pragma GCC unroll 4
            for (size_t j = 0; j < 4; j++)
                to[i + j] = from[i + j];
        __asm__ volatile("" ::: "memory");
    }
}

static void stream_run(const task *task, size_t count)
{
    for (size_t n = 0; n < count; n++) {
#ifdef __AVX__
        for (size_t i = 0; i < task->bytes; i += 32)
            _mm256_stream_ps((float *)(task->to + i),
                             _mm256_load_ps((const float *)(task->from + i)));
        _mm_sfence();
#else
        memcpy(task->to, task->from, task->bytes);
#endif
        __asm__ volatile("" ::: "memory");
    }
}

static void *thread_main(void *argument)
{
    task *t = argument;
    pthread_barrier_wait(t->barrier);
    t->begin = now();
    t->run(t, t->count);
    t->end = now();
    return NULL;
}

/* Start a thread on a core of its own, if the system allows it: a scheduler may leave all threads
 * of so short a run on the core that made them. */
static int start(pthread_t *handle, task *task, size_t number)
{
    pthread_attr_t attributes;
    int failed;
    pthread_attr_init(&attributes);
#ifdef __linux__
    cpu_set_t allowed, own;
    CPU_ZERO(&own);
    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) {
        for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&own) == 0; cpu++)
            if (CPU_ISSET(cpu, &allowed) && number-- == 0)
                CPU_SET(cpu, &own);
        if (CPU_COUNT(&own) > 0)
            pthread_attr_setaffinity_np(&attributes, sizeof own, &own);
    }
#else
    (void)number;
#endif
    failed = pthread_create(handle, &attributes, thread_main, task);
    pthread_attr_destroy(&attributes);
    return failed;
}

/* Seconds from the first thread's begin to the last one's end. */
static double together(task *tasks, size_t threads)
{
    pthread_t handles[MAX_THREADS];
    pthread_barrier_t barrier;
    double begin, end;
    pthread_barrier_init(&barrier, NULL, (unsigned)threads);
    for (size_t i = 0; i < threads; i++) {
        tasks[i].barrier = &barrier;
        if (start(&handles[i], &tasks[i], i) != 0) {
            fprintf(stderr, "roofline: cannot start a thread\n");
            exit(1);
        }
    }
    for (size_t i = 0; i < threads; i++)
        pthread_join(handles[i], NULL);
    pthread_barrier_destroy(&barrier);
    begin = tasks[0].begin;
    end = tasks[0].end;
    for (size_t i = 1; i < threads; i++) {
        begin = tasks[i].begin < begin ? tasks[i].begin : begin;
        end = tasks[i].end > end ? tasks[i].end : end;
    }
    return end - begin;
}

/* The shortest seconds of one count, of several tries of about SECONDS each. */
static double shortest(task *tasks, size_t threads)
{
    size_t count = 1;
    double seconds, best = 1e30;
    for (;;) {
        for (size_t i = 0; i < threads; i++)
            tasks[i].count = count;
        seconds = together(tasks, threads);
        if (seconds > SECONDS / 2)
            break;
        count *= 2;
    }
    for (int i = 0; i < REPEATS; i++) {
        seconds = together(tasks, threads) / (double)count;
        best = seconds < best ? seconds : best;
    }
    return best;
}

static char *touched(size_t bytes)
{
    char *memory = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
    if (memory == NULL) {
        fprintf(stderr, "roofline: no memory\n");
        exit(1);
    }
    memset(memory, 0, bytes);
    return memory;
}

static double bandwidth(int copies, size_t bytes, size_t threads)
{
    task tasks[MAX_THREADS];
    double best;
    bytes = bytes / threads / (copies ? 2 : 1) / 1024 * 1024;
    bytes = bytes < 1024 ? 1024 : bytes;
    for (size_t i = 0; i < threads; i++) {
        tasks[i].run = copies ? copy_run : read_run;
        tasks[i].bytes = bytes;
        tasks[i].from = touched(bytes);
        tasks[i].to = copies ? touched(bytes) : NULL;
    }
    best = shortest(tasks, threads);
    if (copies) {
        double streamed;
        for (size_t i = 0; i < threads; i++)
            tasks[i].run = stream_run;
        streamed = shortest(tasks, threads);
        best = streamed < best ? streamed : best;
    }
    for (size_t i = 0; i < threads; i++) {
        free(tasks[i].from);
        free(tasks[i].to);
    }
    return (double)(bytes * threads) * (copies ? 2 : 1) / best;
}

static double multiply_adds(size_t threads)
{
    task tasks[MAX_THREADS];
    double lanes = VECTOR_BYTES / sizeof(float);
    for (size_t i = 0; i < threads; i++)
        tasks[i].run = fma_run;
    return (double)threads * 2.0 * 16.0 * SUMS * lanes / shortest(tasks, threads);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    int is_fma = strcmp(what, "fma") == 0;
    size_t threads = argc > 2 ? strtoul(argv[argc - 1], NULL, 10) : 0;
    if (threads < 1 || threads > MAX_THREADS || argc != (is_fma ? 3 : 4)) {
        fprintf(stderr, "usage: roofline fma THREADS | read|copy BYTES THREADS\n");
        return 2;
    }
    printf("%.3f\n", 1e-9 * (is_fma ? multiply_adds(threads)
                                    : bandwidth(strcmp(what, "copy") == 0,
                                                strtoul(argv[2], NULL, 10), threads)));
    return 0;
}
