/*
 * Predict as services use it: eight threads ask one const network at once, and with a workspace of
 * the caller nothing is allocated, where that can be counted.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "callers.h"
#include "check.h"
#include "faults/faults.h"
#include "models.h"

#define INPUTS 37
#define HIDDEN 50
#define OUTPUTS 10
#define ROWS 3000
#define THREADS 8
#define REPEATS 20

static float x[ROWS * INPUTS], expected[ROWS * OUTPUTS];

static cnn_network *make_network(void)
{
    const cnn_layer layers[] = {{DENSE(INPUTS, HIDDEN, CNN_GELU)},
                                {DENSE(HIDDEN, OUTPUTS, CNN_SOFTMAX)}};
    cnn_network *network = model_network(CNN_FLOAT32, 2, layers);
    CHECK(network);
    return network;
}

/* ---- Threads ----------------------------------------------------------------------------- */

struct asker {
    const cnn_network *network;
    size_t number;
    float y[ROWS * OUTPUTS];
};

/* Each thread asks about a row, some rows and all rows, with a workspace and without. */
static void ask(void *argument)
{
    struct asker *asker = argument;
    const size_t parts[] = {1, 7, 100, ROWS};
    for (size_t repeat = 0; repeat < REPEATS; repeat++) {
        const size_t rows = parts[(repeat + asker->number) % 4];
        const size_t first = (97 * repeat + 31 * asker->number) % (ROWS - rows + 1);
        const size_t size = cnn_network_workspace_size(asker->network, rows);
        void *workspace = repeat % 2 ? malloc(size) : NULL;
        memset(asker->y, 0, sizeof asker->y);
        CHECK(cnn_network_predict_f32(asker->network, rows, x + first * INPUTS, INPUTS, asker->y,
                                      OUTPUTS, workspace, workspace ? size : 0) == CNN_OK);
        CHECK(memcmp(asker->y, expected + first * OUTPUTS, rows * OUTPUTS * sizeof(float)) == 0);
        free(workspace);
    }
}

static void test_threads(const cnn_network *network)
{
    static struct asker askers[THREADS];
    cnn_thread *threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        askers[i].network = network;
        askers[i].number = i;
        threads[i] = caller_start(ask, &askers[i]);
    }
    for (size_t i = 0; i < THREADS; i++)
        caller_join(threads[i]);
}

/* ---- Allocations ------------------------------------------------------------------------- */

#if defined(CNN_FAULTS)
/* The number of allocations during some predictions of `rows` rows with a workspace. */
static size_t count_allocations(const cnn_network *network, size_t rows)
{
    static float y[ROWS * OUTPUTS];
    const size_t size = cnn_network_workspace_size(network, rows);
    void *workspace = malloc(size);
    const size_t before = faults_total(FAULT_MEMORY);
    for (size_t repeat = 0; repeat < REPEATS; repeat++)
        CHECK(cnn_network_predict_f32(network, rows, x, INPUTS, y, OUTPUTS, workspace, size) ==
              CNN_OK);
    const size_t found = faults_total(FAULT_MEMORY) - before;
    free(workspace);
    return found;
}

static void test_allocations(const cnn_network *network)
{
    const size_t before = faults_total(FAULT_MEMORY);
    void *volatile one = check_memory(1); /* or the compiler leaves it out */
    free(one);
    CHECK(faults_total(FAULT_MEMORY) == before + 1); /* the counter counts */
    for (size_t threads = 1; threads <= 2; threads++) {
        CHECK(cnn_threads_set(threads) == CNN_OK);
        count_allocations(network, ROWS); /* the pool is made at its first use */
        const size_t rows[] = {1, 2, 100, ROWS};
        for (size_t i = 0; i < 4; i++)
            CHECK(count_allocations(network, rows[i]) == 0);
    }
    CHECK(cnn_threads_set(0) == CNN_OK);
}
#endif

int main(void)
{
    for (size_t i = 0; i < ROWS * INPUTS; i++)
        x[i] = (float)(i * 7919 % 2001) / 1000 - 1;
    cnn_network *network = make_network();
    for (size_t i = 0; i < ROWS; i++)
        CHECK(cnn_network_predict_f32(network, 1, x + i * INPUTS, INPUTS, expected + i * OUTPUTS,
                                      OUTPUTS, NULL, 0) == CNN_OK);
#if defined(CNN_FAULTS)
    test_allocations(network);
#endif
    test_threads(network);
    cnn_network_destroy(network);
    return check_finish();
}
