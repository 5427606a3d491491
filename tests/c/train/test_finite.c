/* Steps that would make weights or state infinite, bad state, and results of an older header. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "check.h"
#include "cnn/cnn.h"

static const cnn_loss squared_error = {.struct_size = sizeof(cnn_loss)};
static const cnn_optimizer adam = {.struct_size = sizeof(cnn_optimizer),
                                   .kind = CNN_ADAM,
                                   .beta1 = 0.9,
                                   .beta2 = 0.999,
                                   .eps = 1e-8};

static cnn_matrix column(const float *numbers, size_t rows)
{
    return (cnn_matrix){.struct_size = sizeof(cnn_matrix),
                        .data = numbers,
                        .dtype = CNN_FLOAT32,
                        .rows = rows,
                        .cols = 1,
                        .row_stride = sizeof(float),
                        .col_stride = sizeof(float)};
}

static cnn_trainer *make_trainer(cnn_network **network)
{
    const cnn_layer layer = {.struct_size = sizeof layer, .inputs = 1, .outputs = 1};
    cnn_trainer *trainer = NULL;
    const float one = 1;
    CHECK(cnn_network_create(CNN_FLOAT32, 1, &layer, 1, network) == CNN_OK);
    CHECK(cnn_network_set_f32(*network, 0, CNN_WEIGHT, &one, 1) == CNN_OK);
    CHECK(cnn_trainer_create(*network, &adam, &trainer) == CNN_OK);
    return trainer;
}

static void check_finite(const cnn_trainer *trainer, int weights, int state)
{
    int found_weights = -1, found_state = -1;
    CHECK(cnn_trainer_finite(trainer, &found_weights, &found_state) == CNN_OK);
    CHECK(found_weights == weights && found_state == state);
}

static void test_step_is_not_made(void)
{
    cnn_network *network = NULL;
    cnn_trainer *trainer = make_trainer(&network);
    const float small = 1, large = 1e12f, zero = 0;
    cnn_data data = {.struct_size = sizeof data,
                     .x = column(&small, 1),
                     .t = column(&zero, 1),
                     .sample_weight = {.struct_size = sizeof(cnn_matrix)}};
    cnn_result result = {.struct_size = sizeof result};
    CHECK(cnn_trainer_step(trainer, &squared_error, &data, 0.01, &result) == CNN_OK);
    CHECK(result.counted == 1 && result.steps == 1);
    float before[2][2], after[2][2], weight, same;
    CHECK(cnn_network_get_f32(network, 0, CNN_WEIGHT, &weight, 1) == CNN_OK);
    for (size_t s = 0; s < 2; s++)
        CHECK(cnn_trainer_get_state(trainer, s, before[s], 2) == CNN_OK);
    data.x = column(&large, 1);
    REFUSED(cnn_trainer_step(trainer, &squared_error, &data, 0.01, &result), CNN_ERROR_NONFINITE,
            "the optimizer's state became NaN or infinite in step 2");
    CHECK(cnn_network_get_f32(network, 0, CNN_WEIGHT, &same, 1) == CNN_OK && same == weight);
    for (size_t s = 0; s < 2; s++)
        CHECK(cnn_trainer_get_state(trainer, s, after[s], 2) == CNN_OK);
    CHECK(memcmp(before, after, sizeof before) == 0);
    CHECK(cnn_trainer_steps(trainer) == 1);
    check_finite(trainer, 1, 1);

    /* An epoch does not look; its caller does, and goes back. */
    CHECK(cnn_trainer_snapshot(trainer) == CNN_OK);
    const size_t index = 0;
    const double lr = 0.01;
    CHECK(cnn_trainer_epoch(trainer, &squared_error, &data, &index, 1, 1, &lr, 0, &result) ==
          CNN_OK);
    check_finite(trainer, 1, 0);
    CHECK(cnn_trainer_restore(trainer) == CNN_OK);
    check_finite(trainer, 1, 1);
    const float bad = NAN;
    CHECK(cnn_network_set_f32(network, 0, CNN_BIAS, &bad, 1) == CNN_OK);
    check_finite(trainer, 0, 1);
    REFUSED(cnn_trainer_finite(trainer, NULL, NULL), CNN_ERROR_ARGUMENT, "weights is NULL");
    REFUSED(cnn_trainer_finite(NULL, NULL, NULL), CNN_ERROR_ARGUMENT, "trainer is NULL");
    cnn_trainer_destroy(trainer);
    cnn_network_destroy(network);
}

static void test_bad_state(void)
{
    cnn_network *network = NULL;
    cnn_trainer *trainer = make_trainer(&network);
    const float infinite[2] = {0, INFINITY}, negative[2] = {-1, 0};
    REFUSED(cnn_trainer_set_state(trainer, 0, infinite, 2), CNN_ERROR_ARGUMENT,
            "the optimizer's state has inf at 1 of slot 0, should be finite");
    REFUSED(cnn_trainer_set_state(trainer, 1, negative, 2), CNN_ERROR_ARGUMENT,
            "the optimizer's state has -1 at 0 of slot 1, should be finite, 0 or more");
    CHECK(cnn_trainer_set_state(trainer, 0, negative, 2) == CNN_OK);
    cnn_trainer_destroy(trainer);
    cnn_network_destroy(network);
}

/* A program built with the header before `counted` passes a shorter struct. */
static void test_older_result(void)
{
    cnn_network *network = NULL;
    cnn_trainer *trainer = make_trainer(&network);
    const float x[2] = {1, 2}, t[2] = {0, 1};
    const cnn_data data = {.struct_size = sizeof data,
                           .x = column(x, 2),
                           .t = column(t, 2),
                           .sample_weight = {.struct_size = sizeof(cnn_matrix)}};
    cnn_result result = {.struct_size = offsetof(cnn_result, accumulate), .counted = 77};
    CHECK(cnn_network_evaluate(network, &squared_error, &data, &result) == CNN_OK);
    CHECK(result.rows == 2 && result.counted == 77);
    CHECK(result.struct_size == offsetof(cnn_result, accumulate));
    CHECK(cnn_trainer_step(trainer, &squared_error, &data, 0.1, &result) == CNN_OK);
    CHECK(result.steps == 1 && result.counted == 77);
    result.struct_size = sizeof result;
    CHECK(cnn_network_evaluate(network, &squared_error, &data, &result) == CNN_OK);
    CHECK(result.counted == 2);
    result.struct_size = 8;
    REFUSED(cnn_network_evaluate(network, &squared_error, &data, &result), CNN_ERROR_ARGUMENT,
            "result has struct_size 8, should be");
    cnn_trainer_destroy(trainer);
    cnn_network_destroy(network);
}

int main(void)
{
    test_step_is_not_made();
    test_bad_state();
    test_older_result();
    return check_finish();
}
