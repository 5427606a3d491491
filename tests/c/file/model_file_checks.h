/*
 * What must hold for any bytes that are read as a model file: they are refused with a message, or
 * load a network that predicts, and that is saved and loaded again as the same bytes; and reading
 * takes no more memory than SECURITY.md says.
 */
#ifndef CNN_MODEL_FILE_CHECKS_H
#define CNN_MODEL_FILE_CHECKS_H

#include <time.h>

#include "fuzz.h"

enum { CHECKED_ROWS = 3 };

/* Whether a file was refused as it should be. A file may describe a network larger than memory. */
static inline int check_refusal(cnn_status status, const cnn_network *network)
{
    if (status == CNN_OK)
        return 0;
    if (status != CNN_ERROR_MODEL_FILE && status != CNN_ERROR_MEMORY)
        fuzz_fail("a failure of the wrong kind");
    if (network || cnn_last_error()[0] == '\0')
        fuzz_fail("a failure with a network or without a message");
    return 1;
}

/* Predict some rows; the outputs are the caller's to free. */
static inline void *check_predict(const cnn_network *network, size_t *bytes)
{
    const size_t inputs = cnn_network_inputs(network), outputs = cnn_network_outputs(network);
    const size_t real = cnn_network_dtype(network) == CNN_FLOAT64 ? 8 : 4;
    int8_t *x = malloc(CHECKED_ROWS * inputs);
    *bytes = CHECKED_ROWS * outputs * real;
    void *y = malloc(*bytes);
    if (!x || !y)
        fuzz_fail("out of memory");
    for (size_t i = 0; i < CHECKED_ROWS * inputs; i++)
        x[i] = (int8_t)(i % 7) - 3;
    const cnn_matrix rows = {sizeof rows,       x,           CNN_INT8, CHECKED_ROWS, inputs,
                             (ptrdiff_t)inputs, (ptrdiff_t)1};
    if (cnn_network_predict(network, &rows, y, outputs, NULL, 0) != CNN_OK)
        fuzz_fail("predicting with what was loaded");
    free(x);
    return y;
}

/* That two networks predict the same bits, but for those of NaNs. */
static inline void check_same_predictions(const cnn_network *network, const cnn_network *again)
{
    size_t size = 0, same = 0;
    unsigned char *y = check_predict(network, &size), *z = check_predict(again, &same);
    const size_t real = cnn_network_dtype(network) == CNN_FLOAT64 ? 8 : 4;
    if (size != same)
        fuzz_fail("a copy has other outputs");
    for (size_t i = 0; i < size; i += real) {
        double a = 0, b = 0;
        float c = 0, d = 0;
        memcpy(real == 8 ? (void *)&a : (void *)&c, y + i, real);
        memcpy(real == 8 ? (void *)&b : (void *)&d, z + i, real);
        if (memcmp(y + i, z + i, real) != 0 && (a == a || b == b) && (c == c || d == d))
            fuzz_fail("a copy predicts other numbers");
    }
    free(y);
    free(z);
}

/* What was loaded is saved, loaded, and saved as the same bytes. */
static inline void check_round_trip(const cnn_network *network)
{
    cnn_network *again = NULL;
    void *bytes = NULL, *same = NULL;
    size_t size = 0, same_size = 0;
    if (cnn_network_to_bytes(network, &bytes, &size) != CNN_OK)
        fuzz_fail("saving what was loaded");
    if (cnn_network_from_bytes(bytes, size, &again) != CNN_OK)
        fuzz_fail("loading what was saved");
    if (cnn_network_to_bytes(again, &same, &same_size) != CNN_OK || same_size != size ||
        memcmp(bytes, same, size) != 0)
        fuzz_fail("the bytes of a copy differ");
    check_same_predictions(network, again);
    cnn_bytes_free(bytes);
    cnn_bytes_free(same);
    cnn_network_destroy(again);
}

/* Check some bytes as a network; whether they were loaded. */
static inline int check_network_bytes(const uint8_t *data, size_t size)
{
    cnn_network *network = NULL;
    fuzz_measure();
    const cnn_status status =
        cnn_network_from_bytes(data ? data : (const uint8_t *)"", size, &network);
    fuzz_check_memory(fuzz_most_bytes(), size);
    if (check_refusal(status, network))
        return 0;
    check_round_trip(network);
    cnn_network_destroy(network);
    return 1;
}

/* A file of this process's, in memory if the system has such files: saving waits for the disk. */
static inline const char *checks_path(void)
{
    static char path[80];
    if (path[0])
        return path;
    const unsigned long long now = (unsigned long long)time(NULL);
    FILE *file = NULL;
    /* x: programs that start in the same second have files of their own. */
    for (int i = 0; i < 100 && !file; i++) {
        snprintf(path, sizeof path, "/dev/shm/cnn-checks-%llx-%d.tmp", now, i);
        file = fopen(path, "wbx");
    }
    if (file)
        fclose(file);
    else
        snprintf(path, sizeof path, "cnn-checks-%llx-%p.tmp", now, (const void *)&now);
    return path;
}

static inline void write_file(const char *path, const void *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(data, 1, size, file) != size || fclose(file) != 0)
        fuzz_fail("cannot write a file");
}

/* A trainer that was loaded makes a step or refuses it, leaving all as it was. */
static inline void check_step(cnn_trainer *trainer)
{
    const size_t count = cnn_network_parameter_count(cnn_trainer_network(trainer));
    void *zeros = calloc(count, 8), *before = NULL, *after = NULL;
    size_t size = 0, same_size = 0;
    if (!zeros || cnn_network_to_bytes(cnn_trainer_network(trainer), &before, &size) != CNN_OK)
        fuzz_fail("out of memory");
    const uint64_t steps = cnn_trainer_steps(trainer);
    const cnn_status status = cnn_trainer_apply(trainer, zeros, count, 0, 0.1);
    if (status == CNN_OK && cnn_trainer_steps(trainer) != steps + 1)
        fuzz_fail("a step was not counted");
    if (status != CNN_OK) {
        if (status != CNN_ERROR_NONFINITE && status != CNN_ERROR_ARGUMENT)
            fuzz_fail("a step failed in the wrong way");
        if (cnn_trainer_steps(trainer) != steps ||
            cnn_network_to_bytes(cnn_trainer_network(trainer), &after, &same_size) != CNN_OK ||
            same_size != size || memcmp(before, after, size) != 0)
            fuzz_fail("a step that failed left something");
    }
    cnn_bytes_free(before);
    cnn_bytes_free(after);
    free(zeros);
}

/* Check some bytes as a checkpoint; whether they were loaded. */
static inline int check_checkpoint_bytes(const uint8_t *data, size_t size)
{
    const char *path = checks_path();
    cnn_network *network = NULL, *again = NULL;
    cnn_trainer *trainer = NULL, *same = NULL;
    size_t first_size = 0, second_size = 0;
    write_file(path, data, size);
    fuzz_measure();
    const cnn_status status = cnn_trainer_load(path, &network, &trainer);
    fuzz_check_memory(fuzz_most_bytes(), size);
    if (check_refusal(status, network))
        return 0;
    if (cnn_trainer_save(trainer, path) != CNN_OK)
        fuzz_fail("saving a trainer that was loaded");
    void *first = read_file(path, &first_size);
    if (cnn_trainer_load(path, &again, &same) != CNN_OK || cnn_trainer_save(same, path) != CNN_OK)
        fuzz_fail("loading a trainer that was saved");
    void *second = read_file(path, &second_size);
    if (first_size != second_size || memcmp(first, second, first_size) != 0)
        fuzz_fail("the bytes of a trainer's copy differ");
    check_same_predictions(network, again);
    check_step(trainer);
    free(first);
    free(second);
    cnn_trainer_destroy(trainer);
    cnn_trainer_destroy(same);
    cnn_network_destroy(network);
    cnn_network_destroy(again);
    return 1;
}

#endif
