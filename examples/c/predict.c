/*
 * Load a network and predict handwritten digits from several threads at once:
 *
 *     predict digits.safetensors digits.csv [threads]
 */
#include <cnn/cnn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "digits.h"

#define CLASSES 10
#define MOST_THREADS 64

/* The work of one thread. The network is const, so all threads may use it at once. */
struct job {
    const cnn_network *network;
    const digits *all;
    size_t first, step; /* rows first, first + step, ... */
    size_t correct;
    cnn_status status;
    char error[256];
};

static void *predict(void *argument)
{
    struct job *job = argument;
    /* With a workspace for each thread, a prediction allocates nothing. */
    const size_t size = cnn_network_workspace_size(job->network, 1);
    void *workspace = malloc(size);
    job->status = workspace ? CNN_OK : CNN_ERROR_MEMORY;
    for (size_t i = job->first; i < job->all->rows && job->status == CNN_OK; i += job->step) {
        float y[CLASSES];
        job->status = cnn_network_predict_f32(job->network, 1, job->all->pixels + i * DIGITS_PIXELS,
                                              DIGITS_PIXELS, y, CLASSES, workspace, size);
        size_t best = 0;
        for (size_t j = 1; j < CLASSES; j++)
            if (y[j] > y[best])
                best = j;
        job->correct += (int64_t)best == job->all->labels[i];
    }
    if (job->status != CNN_OK) /* each thread has its own last error */
        snprintf(job->error, sizeof job->error, "%s", cnn_last_error());
    free(workspace);
    return NULL;
}

static int run(const cnn_network *network, const digits *all, size_t threads)
{
    pthread_t thread[MOST_THREADS];
    struct job jobs[MOST_THREADS];
    size_t started = 0, correct = 0;
    int wrong = 0;
    for (; started < threads; started++) {
        jobs[started] =
            (struct job){.network = network, .all = all, .first = started, .step = threads};
        if (pthread_create(&thread[started], NULL, predict, &jobs[started]) != 0)
            break;
    }
    for (size_t i = 0; i < started; i++) {
        pthread_join(thread[i], NULL);
        correct += jobs[i].correct;
        if (jobs[i].status != CNN_OK) {
            fprintf(stderr, "predict: %s\n", jobs[i].error);
            wrong = 1;
        }
    }
    if (started < threads) {
        fprintf(stderr, "predict: only %zu threads could be started\n", started);
        return 1;
    }
    if (!wrong)
        printf("%zu of %zu digits are right (%zu threads, %s)\n", correct, all->rows, threads,
               cnn_isa());
    return wrong;
}

int main(int count, char **arguments)
{
    const long threads = count == 4 ? strtol(arguments[3], NULL, 10) : 4;
    if (count < 3 || count > 4 || threads < 1 || threads > MOST_THREADS) {
        fprintf(stderr, "usage: predict digits.safetensors digits.csv [threads, 1 to %d]\n",
                MOST_THREADS);
        return 2;
    }
    digits all;
    if (digits_read(arguments[2], &all))
        return 1;
    cnn_network *network = NULL;
    int wrong = 1;
    if (cnn_network_load(arguments[1], &network) != CNN_OK)
        fprintf(stderr, "%s: %s\n", arguments[1], cnn_last_error());
    else if (cnn_network_dtype(network) != CNN_FLOAT32 ||
             cnn_network_inputs(network) != DIGITS_PIXELS ||
             cnn_network_outputs(network) != CLASSES)
        fprintf(stderr, "%s: not a float32 network from %d pixels to %d classes\n", arguments[1],
                DIGITS_PIXELS, CLASSES);
    else
        wrong = run(network, &all, (size_t)threads);
    cnn_network_destroy(network);
    digits_free(&all);
    return wrong;
}
