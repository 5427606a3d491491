/*
 * Derivatives by the inputs: each row's bits do not depend on the others, on threads or on the
 * workspace; several threads may ask one const network at once; with a workspace nothing is
 * allocated; and what bad arguments are told.
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
#define ROWS 300
#define THREADS 4

static float x[ROWS * INPUTS], dy[ROWS * OUTPUTS];
static float y_of[ROWS * OUTPUTS], dx_of[ROWS * INPUTS];
static float jacobian_of[ROWS * OUTPUTS * INPUTS];

static cnn_network *make_network(cnn_dtype dtype)
{
    const cnn_layer layers[] = {
        {DENSE(INPUTS, HIDDEN, CNN_GELU)}, {DROPOUT(0.5)}, {DENSE(HIDDEN, OUTPUTS, CNN_SOFTMAX)}};
    cnn_network *network = model_network(dtype, 3, layers);
    CHECK(network);
    return network;
}

/* ---- Bits -------------------------------------------------------------------------------- */

/* Rows one by one, each with the least workspace, are what all others are compared with. */
static void find_expected(const cnn_network *network)
{
    const size_t size = cnn_network_vjp_workspace_size(network, 1);
    void *workspace = check_memory(size);
    for (size_t i = 0; i < ROWS; i++) {
        float y[OUTPUTS];
        CHECK(cnn_network_vjp_f32(network, 1, x + i * INPUTS, INPUTS, dy + i * OUTPUTS, OUTPUTS,
                                  y_of + i * OUTPUTS, OUTPUTS, dx_of + i * INPUTS, INPUTS,
                                  workspace, size) == CNN_OK);
        CHECK(cnn_network_predict_f32(network, 1, x + i * INPUTS, INPUTS, y, OUTPUTS, NULL, 0) ==
              CNN_OK);
        CHECK(memcmp(y, y_of + i * OUTPUTS, sizeof y) == 0);
        for (size_t j = 0; j < OUTPUTS; j++) {
            float unit[OUTPUTS] = {0};
            unit[j] = 1;
            CHECK(cnn_network_vjp_f32(network, 1, x + i * INPUTS, INPUTS, unit, OUTPUTS, NULL, 0,
                                      jacobian_of + (i * OUTPUTS + j) * INPUTS, INPUTS, workspace,
                                      size) == CNN_OK);
        }
    }
    free(workspace);
}

/* Ask about some rows, with room behind each row of the results, and a workspace of `size` bytes at
 * an odd address, or 0 for none. */
static void check_rows(const cnn_network *network, size_t first, size_t rows, size_t size,
                       size_t jacobian_size)
{
    const size_t y_row = OUTPUTS + 3, dx_row = INPUTS + 5;
    float *y = check_memory(rows * y_row * sizeof *y),
          *dx = check_memory(rows * dx_row * sizeof *dx);
    float *jacobian = check_memory(rows * OUTPUTS * INPUTS * sizeof *jacobian);
    char *workspace = size > 0 ? check_memory(size + 1) : NULL;
    char *other = jacobian_size > 0 ? check_memory(jacobian_size + 1) : NULL;
    CHECK(cnn_network_vjp_f32(network, rows, x + first * INPUTS, INPUTS, dy + first * OUTPUTS,
                              OUTPUTS, y, y_row, dx, dx_row, workspace ? workspace + 1 : NULL,
                              size) == CNN_OK);
    CHECK(cnn_network_jacobian_f32(network, rows, x + first * INPUTS, INPUTS, NULL, 0, jacobian,
                                   other ? other + 1 : NULL, jacobian_size) == CNN_OK);
    for (size_t i = 0; i < rows; i++) {
        CHECK(memcmp(y + i * y_row, y_of + (first + i) * OUTPUTS, OUTPUTS * sizeof *y) == 0);
        CHECK(memcmp(dx + i * dx_row, dx_of + (first + i) * INPUTS, INPUTS * sizeof *dx) == 0);
    }
    CHECK(memcmp(jacobian, jacobian_of + first * OUTPUTS * INPUTS,
                 rows * OUTPUTS * INPUTS * sizeof *jacobian) == 0);
    free(other);
    free(workspace);
    free(jacobian);
    free(dx);
    free(y);
}

static void test_rows(const cnn_network *network)
{
    const size_t parts[] = {1, 3, 9, 10, 11, 100, ROWS};
    for (size_t threads = 1; threads <= 3; threads++) {
        CHECK(cnn_threads_set(threads) == CNN_OK);
        for (size_t p = 0; p < sizeof parts / sizeof *parts; p++) {
            const size_t rows = parts[p];
            check_rows(network, ROWS - rows, rows, 0, 0);
            check_rows(network, ROWS - rows, rows, cnn_network_vjp_workspace_size(network, rows),
                       cnn_network_jacobian_workspace_size(network, rows));
            check_rows(network, 0, rows, cnn_network_vjp_workspace_size(network, 1) + 20000,
                       cnn_network_jacobian_workspace_size(network, 1));
        }
    }
    CHECK(cnn_threads_set(0) == CNN_OK);
}

static void ask(void *network)
{
    const size_t parts[] = {1, 7, 100, ROWS};
    for (size_t i = 0; i < 8; i++)
        check_rows(network, 0, parts[i % 4], 0, 0);
}

static void test_threads(cnn_network *network)
{
    cnn_thread *threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        threads[i] = caller_start(ask, network);
    for (size_t i = 0; i < THREADS; i++)
        caller_join(threads[i]);
}

/* ---- Allocations ------------------------------------------------------------------------- */

#if defined(CNN_FAULTS)
static void ask_with(const cnn_network *network, size_t rows, void *workspace, size_t size)
{
    static float dx[ROWS * INPUTS], jacobian[ROWS * OUTPUTS * INPUTS];
    CHECK(cnn_network_vjp_f32(network, rows, x, INPUTS, dy, OUTPUTS, NULL, 0, dx, INPUTS, workspace,
                              size) == CNN_OK);
    CHECK(cnn_network_jacobian_f32(network, rows, x, INPUTS, NULL, 0, jacobian, workspace, size) ==
          CNN_OK);
}

static void test_allocations(const cnn_network *network)
{
    for (size_t threads = 1; threads <= 2; threads++) {
        CHECK(cnn_threads_set(threads) == CNN_OK);
        const size_t rows[] = {ROWS, 1, 2, 100};
        for (size_t i = 0; i < 4; i++) {
            const size_t size = cnn_network_jacobian_workspace_size(network, rows[i]);
            CHECK(size >= cnn_network_vjp_workspace_size(network, rows[i]));
            void *workspace = check_memory(size);
            ask_with(network, rows[i], workspace, size); /* the pool is made at its first use */
            const size_t before = faults_total(FAULT_MEMORY);
            ask_with(network, rows[i], workspace, size);
            CHECK(faults_total(FAULT_MEMORY) == before);
            free(workspace);
        }
    }
    CHECK(cnn_threads_set(0) == CNN_OK);
}
#endif

/* ---- Bad arguments ----------------------------------------------------------------------- */

static void test_bad_vjp(const cnn_network *network)
{
    float y[2 * OUTPUTS], dx[2 * INPUTS];
    char small[8];
    const cnn_status bad = CNN_ERROR_ARGUMENT;
#define VJP(n, x, x_row, dy, dy_row, y, y_row, dx, dx_row)                                         \
    cnn_network_vjp_f32(n, 2, x, x_row, dy, dy_row, y, y_row, dx, dx_row, NULL, 0)
    REFUSED(VJP(NULL, x, INPUTS, dy, OUTPUTS, y, OUTPUTS, dx, INPUTS), bad, "network is NULL");
    REFUSED(VJP(network, NULL, INPUTS, dy, OUTPUTS, y, OUTPUTS, dx, INPUTS), bad, "x is NULL");
    REFUSED(VJP(network, x, INPUTS, NULL, OUTPUTS, y, OUTPUTS, dx, INPUTS), bad, "dy is NULL");
    REFUSED(VJP(network, x, 36, dy, OUTPUTS, y, OUTPUTS, dx, INPUTS), bad,
            "x_stride is 36, should be at least 37");
    REFUSED(VJP(network, x, INPUTS, dy, 9, y, OUTPUTS, dx, INPUTS), bad,
            "dy_stride is 9, should be at least 10");
    REFUSED(VJP(network, x, INPUTS, dy, OUTPUTS, y, 9, dx, INPUTS), bad, "y_stride is 9");
    REFUSED(VJP(network, x, INPUTS, dy, OUTPUTS, y, OUTPUTS, dx, 36), bad, "dx_stride is 36");
    REFUSED(VJP(network, x, INPUTS, dy, OUTPUTS, NULL, 0, NULL, 0), bad, "y and dx are NULL");
    REFUSED(VJP(network, x, SIZE_MAX / 2, dy, OUTPUTS, NULL, 0, dx, INPUTS), CNN_ERROR_MEMORY,
            "too large");
    REFUSED(cnn_network_vjp_f64(network, 1, (const double[INPUTS]){0}, INPUTS,
                                (const double[OUTPUTS]){0}, OUTPUTS, NULL, 0, (double[INPUTS]){0},
                                INPUTS, NULL, 0),
            CNN_ERROR_TYPE, "x is float64, the network is float32");
    REFUSED(cnn_network_vjp_f32(network, 1, x, INPUTS, dy, OUTPUTS, y, OUTPUTS, dx, INPUTS, small,
                                sizeof small),
            bad, "workspace has 8 bytes, needs at least");
    CHECK(cnn_network_vjp_f32(network, 0, x, INPUTS, dy, OUTPUTS, y, OUTPUTS, dx, INPUTS, NULL,
                              0) == CNN_OK);
    CHECK(cnn_network_vjp_workspace_size(NULL, 1) == 0);
    CHECK(cnn_network_vjp_workspace_size(network, 0) == 0);
}

static void test_bad_jacobian(const cnn_network *network)
{
    float y[2 * OUTPUTS], jacobian[2 * OUTPUTS * INPUTS];
    char small[8];
    const cnn_status bad = CNN_ERROR_ARGUMENT;
#define JACOBIAN(n, x, x_row, y, y_row, jacobian)                                                  \
    cnn_network_jacobian_f32(n, 2, x, x_row, y, y_row, jacobian, NULL, 0)
    REFUSED(JACOBIAN(NULL, x, INPUTS, y, OUTPUTS, jacobian), bad, "network is NULL");
    REFUSED(JACOBIAN(network, NULL, INPUTS, y, OUTPUTS, jacobian), bad, "x is NULL");
    REFUSED(JACOBIAN(network, x, INPUTS, y, OUTPUTS, NULL), bad, "jacobian is NULL");
    REFUSED(JACOBIAN(network, x, 36, y, OUTPUTS, jacobian), bad, "x_stride is 36");
    REFUSED(JACOBIAN(network, x, INPUTS, y, 9, jacobian), bad, "y_stride is 9");
    REFUSED(cnn_network_jacobian_f32(network, 1, x, INPUTS, NULL, 0, jacobian, small, sizeof small),
            bad, "workspace has 8 bytes, needs at least");
    REFUSED(cnn_network_jacobian_f64(network, 1, (const double[INPUTS]){0}, INPUTS, NULL, 0,
                                     (double[OUTPUTS * INPUTS]){0}, NULL, 0),
            CNN_ERROR_TYPE, "x is float64, the network is float32");
    CHECK(cnn_network_jacobian_workspace_size(NULL, 1) == 0);
}

static void test_bad_matrices(const cnn_network *network)
{
    float dx[INPUTS], jacobian[OUTPUTS * INPUTS];
    const cnn_matrix one = {sizeof one, x, CNN_FLOAT32, 1, INPUTS, 4 * INPUTS, 4};
    const cnn_matrix change = {sizeof change, dy, CNN_FLOAT32, 1, OUTPUTS, 4 * OUTPUTS, 4};
    cnn_matrix wrong = one;
    wrong.cols = INPUTS - 1;
    const cnn_status bad = CNN_ERROR_ARGUMENT;
    REFUSED(cnn_network_vjp(network, NULL, &change, NULL, 0, dx, INPUTS, NULL, 0), bad,
            "x is NULL");
    REFUSED(cnn_network_vjp(network, &one, NULL, NULL, 0, dx, INPUTS, NULL, 0), bad, "dy is NULL");
    REFUSED(cnn_network_vjp(network, &wrong, &change, NULL, 0, dx, INPUTS, NULL, 0), bad,
            "x has shape (1, 36), should be (1, 37)");
    REFUSED(cnn_network_vjp(network, &one, &one, NULL, 0, dx, INPUTS, NULL, 0), bad,
            "dy has shape (1, 37), should be (1, 10)");
    REFUSED(cnn_network_jacobian(network, &wrong, NULL, 0, jacobian, NULL, 0), bad,
            "x has shape (1, 36), should be (1, 37)");
    REFUSED(cnn_network_jacobian(NULL, &one, NULL, 0, jacobian, NULL, 0), bad, "network is NULL");
    CHECK(cnn_network_vjp(network, &one, &change, NULL, 0, dx, INPUTS, NULL, 0) == CNN_OK);
    CHECK(memcmp(dx, dx_of, sizeof dx) == 0);
    CHECK(cnn_network_jacobian(network, &one, NULL, 0, jacobian, NULL, 0) == CNN_OK);
    CHECK(memcmp(jacobian, jacobian_of, sizeof jacobian) == 0);
}

int main(void)
{
    for (size_t i = 0; i < ROWS * INPUTS; i++)
        x[i] = (float)(i * 7919 % 2001) / 1000 - 1;
    for (size_t i = 0; i < ROWS * OUTPUTS; i++)
        dy[i] = (float)(i * 104729 % 1999) / 1000 - 1;
    cnn_network *network = make_network(CNN_FLOAT32);
    find_expected(network);
#if defined(CNN_FAULTS)
    test_allocations(network);
#endif
    test_rows(network);
    test_threads(network);
    test_bad_vjp(network);
    test_bad_jacobian(network);
    test_bad_matrices(network);
    cnn_network_destroy(network);
    return check_finish();
}
