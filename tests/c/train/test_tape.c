/*
 * Tapes, and steps on given gradients: the same bits as the step on a loss that cnn has, what is
 * refused, and that nothing has then changed.
 */
#include <math.h>
#include <string.h>

#include "check.h"
#include "models.h"

#define INPUTS 5
#define HIDDEN 7
#define OUTPUTS 3
#define ROWS 8 /* a power of 2, so that a division by it is exact */
#define COUNT ((INPUTS + 1) * HIDDEN + (HIDDEN + 1) * OUTPUTS)

static double x[ROWS * INPUTS], t[ROWS * OUTPUTS];

static const cnn_matrix inputs = {sizeof inputs, x, CNN_FLOAT64, ROWS, INPUTS, 8 * INPUTS, 8};
static const cnn_matrix targets = {sizeof targets, t, CNN_FLOAT64, ROWS, OUTPUTS, 8 * OUTPUTS, 8};

static cnn_network *make_network(double l2)
{
    const cnn_layer layers[] = {{DENSE(INPUTS, HIDDEN, CNN_TANH), .l2 = l2},
                                {DROPOUT(0.25)},
                                {DENSE(HIDDEN, OUTPUTS, CNN_SIGMOID)}};
    cnn_network *network = model_network(CNN_FLOAT64, 3, layers);
    CHECK(network);
    return network;
}

static void read_weights(const cnn_network *network, double weights[HIDDEN * INPUTS])
{
    CHECK(cnn_network_get_f64(network, 0, CNN_WEIGHT, weights, INPUTS * HIDDEN) == CNN_OK);
}

/* Steps on a loss, and the same through a tape, with clipping and L2 penalties or without. */
static void test_steps(double l2, double clip_norm)
{
    cnn_network *network = make_network(l2), *other = make_network(l2);
    cnn_optimizer optimizer = model_optimizer(CNN_ADAM);
    optimizer.clip_norm = clip_norm;
    cnn_trainer *trainer = NULL, *other_trainer = NULL;
    cnn_tape *tape = NULL;
    CHECK(cnn_trainer_create(network, &optimizer, &trainer) == CNN_OK);
    CHECK(cnn_trainer_create(other, &optimizer, &other_trainer) == CNN_OK);
    CHECK(cnn_tape_create(other, &tape) == CNN_OK);
    const cnn_loss loss = {.struct_size = sizeof loss, .kind = CNN_SQUARED_ERROR};
    const cnn_data data = {.struct_size = sizeof data,
                           .x = inputs,
                           .t = targets,
                           .sample_weight = {.struct_size = sizeof(cnn_matrix)}};
    double y[ROWS * OUTPUTS], dy[ROWS * OUTPUTS], gradients[COUNT];
    double a[INPUTS * HIDDEN], b[INPUTS * HIDDEN];
    const cnn_matrix change = {sizeof change, dy, CNN_FLOAT64, ROWS, OUTPUTS, 8 * OUTPUTS, 8};
    for (int64_t step = 0; step < 3; step++) {
        cnn_result result = {.struct_size = sizeof result};
        CHECK(cnn_trainer_step(trainer, &loss, &data, 0.01, &result) == CNN_OK);
        CHECK(cnn_tape_forward(tape, &inputs, step, y, OUTPUTS) == CNN_OK);
        for (size_t i = 0; i < ROWS * OUTPUTS; i++)
            dy[i] = (y[i] - t[i]) / ROWS;
        CHECK(cnn_tape_backward(tape, &change, gradients, COUNT, NULL, 0) == CNN_OK);
        CHECK(cnn_trainer_apply(other_trainer, gradients, COUNT, 1, 0.01) == CNN_OK);
        CHECK(cnn_trainer_steps(other_trainer) == (uint64_t)step + 1);
        read_weights(network, a);
        read_weights(other, b);
        CHECK(memcmp(a, b, sizeof a) == 0);
    }
    cnn_tape_destroy(tape);
    cnn_trainer_destroy(trainer);
    cnn_trainer_destroy(other_trainer);
    cnn_network_destroy(network);
    cnn_network_destroy(other);
}

static void test_refused_tapes(cnn_network *network)
{
    const cnn_status bad = CNN_ERROR_ARGUMENT;
    double y[ROWS * OUTPUTS], gradients[COUNT], dx[ROWS * INPUTS];
    cnn_tape *tape = NULL;
    cnn_matrix wrong = inputs, empty = inputs;
    wrong.cols = 4;
    empty.rows = 0;
    REFUSED(cnn_tape_create(NULL, &tape), bad, "network is NULL");
    REFUSED(cnn_tape_create(network, NULL), bad, "tape is NULL");
    CHECK(cnn_tape_create(network, &tape) == CNN_OK);
    REFUSED(cnn_tape_backward(tape, &targets, gradients, COUNT, NULL, 0), bad,
            "tape has no rows, needs a forward before");
    REFUSED(cnn_tape_forward(NULL, &inputs, -1, y, OUTPUTS), bad, "tape is NULL");
    REFUSED(cnn_tape_forward(tape, NULL, -1, y, OUTPUTS), bad, "x is NULL");
    REFUSED(cnn_tape_forward(tape, &wrong, -1, y, OUTPUTS), bad, "x has shape (8, 4)");
    REFUSED(cnn_tape_forward(tape, &empty, -1, y, OUTPUTS), bad, "x has 0 rows");
    REFUSED(cnn_tape_forward(tape, &inputs, -2, y, OUTPUTS), bad, "step is -2");
    REFUSED(cnn_tape_forward(tape, &inputs, -1, y, OUTPUTS - 1), bad, "y_stride is 2");
    CHECK(cnn_tape_forward(tape, &inputs, -1, NULL, 0) == CNN_OK);
    REFUSED(cnn_tape_backward(NULL, &targets, gradients, COUNT, NULL, 0), bad, "tape is NULL");
    REFUSED(cnn_tape_backward(tape, NULL, gradients, COUNT, NULL, 0), bad, "dy is NULL");
    REFUSED(cnn_tape_backward(tape, &inputs, gradients, COUNT, NULL, 0), bad,
            "dy has shape (8, 5), should be (8, 3)");
    REFUSED(cnn_tape_backward(tape, &targets, gradients, COUNT - 1, NULL, 0), bad, "count is 65");
    REFUSED(cnn_tape_backward(tape, &targets, NULL, 0, NULL, 0), bad, "gradients and dx are NULL");
    REFUSED(cnn_tape_backward(tape, &targets, NULL, 0, dx, 4), bad, "dx_stride is 4");
    CHECK(cnn_tape_backward(tape, &targets, gradients, COUNT, dx, INPUTS) == CNN_OK);
    double alone[ROWS * INPUTS];
    CHECK(cnn_network_vjp_f64(network, ROWS, x, INPUTS, t, OUTPUTS, NULL, 0, alone, INPUTS, NULL,
                              0) == CNN_OK);
    CHECK(memcmp(alone, dx, sizeof dx) == 0);
    CHECK(cnn_network_initialize(network, 0, CNN_INIT_HE_UNIFORM, 0) == CNN_OK);
    REFUSED(cnn_tape_backward(tape, &targets, gradients, COUNT, NULL, 0), bad,
            "the weights have changed since the forward");
    x[3] = NAN;
    REFUSED(cnn_tape_forward(tape, &inputs, -1, y, OUTPUTS), CNN_ERROR_NONFINITE, "x has nan");
    REFUSED(cnn_tape_backward(tape, &targets, gradients, COUNT, NULL, 0), bad, "no rows");
    x[3] = 0;
    cnn_tape_destroy(tape);
    cnn_tape_destroy(NULL);
}

static void test_refused_steps(cnn_network *network)
{
    const cnn_optimizer optimizer = {.struct_size = sizeof optimizer, .kind = CNN_SGD};
    double gradients[COUNT] = {0}, before[INPUTS * HIDDEN], after[INPUTS * HIDDEN];
    cnn_trainer *trainer = NULL;
    const cnn_status bad = CNN_ERROR_ARGUMENT;
    CHECK(cnn_trainer_create(network, &optimizer, &trainer) == CNN_OK);
    read_weights(network, before);
    REFUSED(cnn_trainer_apply(NULL, gradients, COUNT, 1, 0.1), bad, "trainer is NULL");
    REFUSED(cnn_trainer_apply(trainer, NULL, COUNT, 1, 0.1), bad, "gradients is NULL");
    REFUSED(cnn_trainer_apply(trainer, gradients, COUNT + 1, 1, 0.1), bad, "should be 66");
    REFUSED(cnn_trainer_apply(trainer, gradients, COUNT, 1, -1), bad, "lr is -1");
    gradients[0] = 1e300;
    REFUSED(cnn_trainer_apply(trainer, gradients, COUNT, 1, 1e300), CNN_ERROR_NONFINITE,
            "the weights became NaN or infinite in step 1");
    gradients[COUNT - 1] = INFINITY;
    REFUSED(cnn_trainer_apply(trainer, gradients, COUNT, 1, 0.1), CNN_ERROR_NONFINITE,
            "gradients have a NaN or an infinity");
    read_weights(network, after);
    CHECK(memcmp(before, after, sizeof after) == 0);
    CHECK(cnn_trainer_steps(trainer) == 0);
    cnn_trainer_destroy(trainer);
}

int main(void)
{
    for (size_t i = 0; i < ROWS * INPUTS; i++)
        x[i] = (double)(i * 7919 % 2001) / 1000 - 1;
    for (size_t i = 0; i < ROWS * OUTPUTS; i++)
        t[i] = (double)(i * 104729 % 1999) / 2000;
    test_steps(0, 0);
    test_steps(0.1, 0);
    test_steps(0, 0.01);
    test_steps(0.1, 0.01);
    cnn_network *network = make_network(0);
    test_refused_tapes(network);
    test_refused_steps(network);
    cnn_network_destroy(network);
    return check_finish();
}
