/*
 * Each allocation that a call makes fails in turn, alone and with all after it. The call then tells
 * CNN_ERROR_MEMORY and leaves all as it was, or does without and has the same bits. Called again it
 * succeeds, with the bits of a call that nothing disturbed, and in the end no memory is left.
 *
 * A trial runs in a thread of its own, which begins without scratch memory; with two threads in a
 * process of its own, which begins without a pool.
 */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "cnn/cnn.h"
#include "faults/faults.h"

#define INPUTS 150
#define HIDDEN 70
#define OUTPUTS 10
#define ROWS 300
#define BATCH 60
#define SHARDS 4
#define PARAMETERS ((INPUTS + 1) * HIDDEN + (HIDDEN + 1) * OUTPUTS)
#define FILE_NAME "test_memory_faults.safetensors"
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* ---- Samples, whose last columns are mostly 0 -------------------------------------------- */

static float x32[ROWS * INPUTS], dy32[ROWS * OUTPUTS];
static double x64[ROWS * INPUTS], dy64[ROWS * OUTPUTS], labels[ROWS], weights[ROWS];
static size_t order[ROWS];

static void make_samples(void)
{
    for (size_t i = 0; i < ROWS * INPUTS; i++) {
        const int is_zero = i % INPUTS > 20 && i * 31 % 17 != 0;
        x64[i] = x32[i] = is_zero ? 0 : (float)(i * 7919 % 2001) / 1000 - 1;
    }
    for (size_t i = 0; i < ROWS * OUTPUTS; i++)
        dy64[i] = dy32[i] = (float)(i * 104729 % 101) / 50 - 1;
    for (size_t i = 0; i < ROWS; i++) {
        labels[i] = (double)(i * 13 % OUTPUTS);
        weights[i] = 0.5 + (double)(i % 3);
        order[i] = i * 7 % ROWS;
    }
}

static cnn_matrix matrix(const void *data, cnn_dtype dtype, size_t cols)
{
    const ptrdiff_t size = dtype == CNN_FLOAT64 ? 8 : 4;
    return (cnn_matrix){sizeof(cnn_matrix), data, dtype, ROWS, cols, size * (ptrdiff_t)cols, size};
}

/* ---- What a call may change -------------------------------------------------------------- */

typedef struct world {
    cnn_dtype dtype;
    cnn_optimizer_kind optimizer;
    size_t threads;
    cnn_network *network, *made;
    cnn_trainer *trainer, *made_trainer;
    cnn_tape *tape, *made_tape;
    cnn_shard_tree *tree, *made_tree;
    void *bytes, *made_bytes;
    size_t size, made_size;
    cnn_data data;
    cnn_result result;
    double value;
    union {
        float f32[ROWS * OUTPUTS * INPUTS];
        double f64[ROWS * OUTPUTS * INPUTS];
    } y;
    size_t y_bytes; /* what of y is a result */
} world;

static const cnn_loss cross_entropy = {
    .struct_size = sizeof(cnn_loss), .kind = CNN_CROSS_ENTROPY, .target = CNN_TARGET_LABELS};

static const cnn_layer network_layers[] = {
    {.struct_size = sizeof(cnn_layer), .kind = CNN_LAYER_STANDARDIZE, .inputs = INPUTS},
    {.struct_size = sizeof(cnn_layer),
     .kind = CNN_LAYER_DENSE,
     .inputs = INPUTS,
     .outputs = HIDDEN,
     .activation = CNN_GELU,
     .l2 = 0.001},
    {.struct_size = sizeof(cnn_layer), .kind = CNN_LAYER_DROPOUT, .rate = 0.25},
    {.struct_size = sizeof(cnn_layer),
     .kind = CNN_LAYER_DENSE,
     .inputs = HIDDEN,
     .outputs = OUTPUTS,
     .activation = CNN_SOFTMAX}};

static size_t real_size(const world *w)
{
    return w->dtype == CNN_FLOAT64 ? 8 : 4;
}

/* Float64 networks read float32 samples and the other way round in epochs, so that both are read
 * as they are, too. */
static cnn_matrix samples(const world *w, int other)
{
    const int wide = (w->dtype == CNN_FLOAT64) != other;
    return wide ? matrix(x64, CNN_FLOAT64, INPUTS) : matrix(x32, CNN_FLOAT32, INPUTS);
}

static cnn_matrix changes(const world *w)
{
    return w->dtype == CNN_FLOAT64 ? matrix(dy64, CNN_FLOAT64, OUTPUTS)
                                   : matrix(dy32, CNN_FLOAT32, OUTPUTS);
}

static cnn_optimizer settings(const world *w)
{
    return (cnn_optimizer){.struct_size = sizeof(cnn_optimizer),
                           .kind = w->optimizer,
                           .momentum = 0.9,
                           .beta1 = 0.9,
                           .beta2 = 0.999,
                           .alpha = 0.9,
                           .eps = 1e-8,
                           .weight_decay = 0.01,
                           .clip_norm = w->optimizer == CNN_SGD ? 0 : 0.5};
}

static world *make_world(cnn_dtype dtype, int optimizer, size_t threads)
{
    world *w = check_memory(sizeof *w);
    memset(w, 0, sizeof *w);
    w->dtype = dtype;
    w->optimizer = (cnn_optimizer_kind)optimizer;
    w->threads = threads;
    CHECK(cnn_threads_set(threads) == CNN_OK);
    CHECK(cnn_network_create(dtype, COUNT(network_layers), network_layers, 5, &w->network) ==
          CNN_OK);
    for (size_t l = 1; l < COUNT(network_layers); l += 2)
        CHECK(cnn_network_initialize(w->network, l, CNN_INIT_GLOROT_UNIFORM, 0) == CNN_OK);
    CHECK(cnn_network_set_metadata(w->network, "author", "Ada") == CNN_OK);
    CHECK(cnn_network_set_metadata(w->network, "place", "Zürich") == CNN_OK);
    const cnn_optimizer made = settings(w);
    CHECK(cnn_trainer_create(w->network, &made, &w->trainer) == CNN_OK);
    CHECK(cnn_tape_create(w->network, &w->tape) == CNN_OK);
    CHECK(cnn_shard_tree_create(dtype, PARAMETERS, SHARDS, &w->tree) == CNN_OK);
    w->data = (cnn_data){.struct_size = sizeof w->data,
                         .x = samples(w, 0),
                         .t = matrix(labels, CNN_FLOAT64, 1),
                         .sample_weight = matrix(weights, CNN_FLOAT64, 1)};
    w->result = (cnn_result){.struct_size = sizeof w->result};
    return w;
}

static void forget_made(world *w)
{
    cnn_trainer_destroy(w->made_trainer);
    cnn_tape_destroy(w->made_tape);
    cnn_shard_tree_destroy(w->made_tree);
    cnn_network_destroy(w->made);
    cnn_bytes_free(w->made_bytes);
    w->made_trainer = NULL;
    w->made_tape = NULL;
    w->made_tree = NULL;
    w->made = NULL;
    w->made_bytes = NULL;
}

static void destroy_world(world *w)
{
    forget_made(w);
    cnn_tape_destroy(w->tape);
    cnn_shard_tree_destroy(w->tree);
    cnn_trainer_destroy(w->trainer);
    cnn_network_destroy(w->network);
    cnn_bytes_free(w->bytes);
    free(w);
}

/* FNV-1a, going on from a hash. */
static uint64_t hash_of(uint64_t hash, const void *bytes, size_t size)
{
    const unsigned char *at = bytes;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static uint64_t hash_network(uint64_t hash, const cnn_network *network)
{
    void *bytes = NULL;
    size_t size = 0;
    CHECK(cnn_network_to_bytes(network, &bytes, &size) == CNN_OK);
    hash = hash_of(hash, bytes, size);
    cnn_bytes_free(bytes);
    return hash;
}

static uint64_t hash_trainer(uint64_t hash, const world *w, const cnn_trainer *trainer)
{
    void *state = check_memory(PARAMETERS * 8);
    for (int slot = 0; slot < cnn_optimizer_slots((int)w->optimizer); slot++) {
        CHECK(cnn_trainer_get_state(trainer, (size_t)slot, state, PARAMETERS) == CNN_OK);
        hash = hash_of(hash, state, PARAMETERS * real_size(w));
    }
    free(state);
    const uint64_t steps = cnn_trainer_steps(trainer);
    return hash_of(hash, &steps, sizeof steps);
}

/* The state of all handles that a call was given. */
static uint64_t hash_before(const world *w)
{
    uint64_t hash = hash_network(UINT64_C(0xcbf29ce484222325), w->network);
    hash = hash_trainer(hash, w, w->trainer);
    for (size_t i = 0; i < cnn_shard_tree_nodes(w->tree); i++) {
        size_t range[2];
        void *vector;
        const double *sums;
        CHECK(cnn_shard_tree_node(w->tree, i, &range[0], &range[1], &vector, &sums) == CNN_OK);
        hash = hash_of(hash, range, sizeof range);
        hash = hash_of(hash, vector, PARAMETERS * real_size(w));
        hash = hash_of(hash, sums, CNN_SHARD_SUMS * sizeof *sums);
    }
    return hash;
}

/* All that a call that succeeded has made or changed. */
static uint64_t hash_after(const world *w)
{
    uint64_t hash = hash_of(hash_before(w), &w->y, w->y_bytes);
    hash = hash_of(hash, &w->result.loss_sum, sizeof w->result.loss_sum);
    hash = hash_of(hash, &w->result.correct, sizeof w->result.correct);
    hash = hash_of(hash, &w->value, sizeof w->value);
    if (w->made)
        hash = hash_network(hash, w->made);
    if (w->made_trainer)
        hash = hash_trainer(hash, w, w->made_trainer);
    return hash_of(hash, w->made_bytes, w->made_bytes ? w->made_size : 0);
}

/* ---- The calls --------------------------------------------------------------------------- */

static cnn_status create(world *w)
{
    return cnn_network_create(w->dtype, COUNT(network_layers), network_layers, 9, &w->made);
}

static cnn_status copy(world *w)
{
    return cnn_network_copy(w->network, &w->made);
}

static cnn_status initialize(world *w)
{
    return cnn_network_initialize(w->network, 1, CNN_INIT_HE_UNIFORM, 0);
}

static cnn_status set_weight(world *w)
{
    return w->dtype == CNN_FLOAT64
               ? cnn_network_set_f64(w->network, 1, CNN_WEIGHT, x64, INPUTS * HIDDEN)
               : cnn_network_set_f32(w->network, 1, CNN_WEIGHT, x32, INPUTS * HIDDEN);
}

static cnn_status get_weight(world *w)
{
    w->y_bytes = INPUTS * HIDDEN * real_size(w);
    return w->dtype == CNN_FLOAT64
               ? cnn_network_get_f64(w->network, 1, CNN_WEIGHT, w->y.f64, INPUTS * HIDDEN)
               : cnn_network_get_f32(w->network, 1, CNN_WEIGHT, w->y.f32, INPUTS * HIDDEN);
}

static cnn_status add_metadata(world *w)
{
    return cnn_network_set_metadata(w->network, "more", "some text");
}

static cnn_status change_metadata(world *w)
{
    return cnn_network_set_metadata(w->network, "author", "Grace, with a longer name than before");
}

static cnn_status remove_metadata(world *w)
{
    return cnn_network_set_metadata(w->network, "author", NULL);
}

static cnn_status predict(world *w)
{
    w->y_bytes = ROWS * OUTPUTS * real_size(w);
    return w->dtype == CNN_FLOAT64
               ? cnn_network_predict_f64(w->network, ROWS, x64, INPUTS, w->y.f64, OUTPUTS, NULL, 0)
               : cnn_network_predict_f32(w->network, ROWS, x32, INPUTS, w->y.f32, OUTPUTS, NULL, 0);
}

static cnn_status predict_matrix(world *w)
{
    const cnn_matrix x = samples(w, 1);
    w->y_bytes = ROWS * OUTPUTS * real_size(w);
    return cnn_network_predict(w->network, &x, &w->y, OUTPUTS, NULL, 0);
}

static cnn_status vjp(world *w)
{
    const cnn_matrix x = samples(w, 1), dy = changes(w);
    w->y_bytes = ROWS * INPUTS * real_size(w);
    return cnn_network_vjp(w->network, &x, &dy, NULL, 0, &w->y, INPUTS, NULL, 0);
}

static cnn_status jacobian(world *w)
{
    const cnn_matrix x = samples(w, 0);
    w->y_bytes = ROWS * OUTPUTS * INPUTS * real_size(w);
    return cnn_network_jacobian(w->network, &x, NULL, 0, &w->y, NULL, 0);
}

static cnn_status evaluate(world *w)
{
    return cnn_network_evaluate(w->network, &cross_entropy, &w->data, &w->result);
}

static cnn_status gradients(world *w)
{
    w->y_bytes = PARAMETERS * real_size(w);
    return cnn_network_gradients(w->network, &cross_entropy, &w->data, 3, &w->value, &w->y,
                                 PARAMETERS);
}

static cnn_status create_tape(world *w)
{
    return cnn_tape_create(w->network, &w->made_tape);
}

static cnn_status forward(world *w)
{
    const cnn_matrix x = samples(w, 1);
    w->y_bytes = ROWS * OUTPUTS * real_size(w);
    return cnn_tape_forward(w->tape, &x, 2, &w->y, OUTPUTS);
}

static cnn_status backward(world *w)
{
    const cnn_matrix dy = changes(w);
    w->y_bytes = PARAMETERS * real_size(w);
    return cnn_tape_backward(w->tape, &dy, &w->y, PARAMETERS, NULL, 0);
}

static cnn_status create_trainer(world *w)
{
    const cnn_optimizer optimizer = settings(w);
    return cnn_trainer_create(w->network, &optimizer, &w->made_trainer);
}

static cnn_status step(world *w)
{
    return cnn_trainer_step(w->trainer, &cross_entropy, &w->data, 0.01, &w->result);
}

static cnn_status apply(world *w)
{
    return cnn_trainer_apply(w->trainer, w->dtype == CNN_FLOAT64 ? (void *)x64 : (void *)x32,
                             PARAMETERS, 1, 0.001);
}

static cnn_status epoch(world *w)
{
    double lr[ROWS / BATCH];
    for (size_t i = 0; i < COUNT(lr); i++)
        lr[i] = 0.01;
    w->data.x = samples(w, w->optimizer == CNN_SGD);
    return cnn_trainer_epoch(w->trainer, &cross_entropy, &w->data, order, ROWS, BATCH, lr, 0,
                             &w->result);
}

static cnn_status finite(world *w)
{
    int of_weights = 0, of_state = 0;
    const cnn_status status = cnn_trainer_finite(w->trainer, &of_weights, &of_state);
    w->value = 2 * of_weights + of_state;
    return status;
}

static cnn_status snapshot(world *w)
{
    return cnn_trainer_snapshot(w->trainer);
}

static cnn_status restore(world *w)
{
    return cnn_trainer_restore(w->trainer);
}

static cnn_status get_state(world *w)
{
    if (cnn_optimizer_slots((int)w->optimizer) == 0)
        return CNN_OK;
    w->y_bytes = PARAMETERS * real_size(w);
    return cnn_trainer_get_state(w->trainer, 0, &w->y, PARAMETERS);
}

static cnn_status set_state(world *w)
{
    static float ones32[PARAMETERS];
    static double ones64[PARAMETERS];
    for (size_t i = 0; i < PARAMETERS; i++)
        ones64[i] = ones32[i] = 1;
    if (cnn_optimizer_slots((int)w->optimizer) == 0)
        return CNN_OK;
    return cnn_trainer_set_state(
        w->trainer, 0, w->dtype == CNN_FLOAT64 ? (void *)ones64 : (void *)ones32, PARAMETERS);
}

static cnn_status create_tree(world *w)
{
    return cnn_shard_tree_create(w->dtype, PARAMETERS, SHARDS, &w->made_tree);
}

static cnn_status shard_gradient(world *w)
{
    return cnn_shard_gradient(w->trainer, &cross_entropy, &w->data, order, 70, 0, w->tree);
}

/* The second of two siblings, which are added at once. */
static cnn_status next_shard_gradient(world *w)
{
    return cnn_shard_gradient(w->trainer, &cross_entropy, &w->data, order + 70, 70, 1, w->tree);
}

static cnn_status add_to_tree(world *w)
{
    const double sums[CNN_SHARD_SUMS] = {1, 2, 3, 4, 5};
    return cnn_shard_tree_add(w->tree, 0, 2, w->dtype == CNN_FLOAT64 ? (void *)x64 : (void *)x32,
                              sums);
}

static cnn_status shard_step(world *w)
{
    w->y_bytes = PARAMETERS * real_size(w);
    return cnn_shard_step(w->trainer, w->dtype == CNN_FLOAT64 ? (void *)x64 : (void *)x32, 0,
                          PARAMETERS, 1, 0.001, &w->y);
}

static cnn_status shard_finish(world *w)
{
    return cnn_shard_finish(w->trainer, w->dtype == CNN_FLOAT64 ? (void *)x64 : (void *)x32,
                            PARAMETERS);
}

static cnn_status to_bytes(world *w)
{
    return cnn_network_to_bytes(w->network, &w->made_bytes, &w->made_size);
}

static cnn_status from_bytes(world *w)
{
    return cnn_network_from_bytes(w->bytes, w->size, &w->made);
}

static cnn_status save(world *w)
{
    return cnn_network_save(w->network, FILE_NAME);
}

static cnn_status load(world *w)
{
    return cnn_network_load(FILE_NAME, &w->made);
}

static cnn_status save_trainer(world *w)
{
    return cnn_trainer_save_with(w->trainer, "lr", "0.5", FILE_NAME);
}

static cnn_status load_trainer(world *w)
{
    return cnn_trainer_load(FILE_NAME, &w->made, &w->made_trainer);
}

#define WIDE (OUTPUTS * 5)

static cnn_status dense_forward(world *w)
{
    w->y_bytes = ROWS * WIDE * real_size(w);
    return w->dtype == CNN_FLOAT64 ? cnn_dense_forward_f64(ROWS, INPUTS, WIDE, x64, INPUTS, x64,
                                                           x64, CNN_SOFTMAX, w->y.f64, WIDE)
                                   : cnn_dense_forward_f32(ROWS, INPUTS, WIDE, x32, INPUTS, x32,
                                                           x32, CNN_SOFTMAX, w->y.f32, WIDE);
}

/* dx behind dweight in one buffer. */
static cnn_status dense_backward(world *w)
{
    const size_t behind = INPUTS * OUTPUTS;
    w->y_bytes = (behind + ROWS * INPUTS) * real_size(w);
    return w->dtype == CNN_FLOAT64 ? cnn_dense_backward_f64(ROWS, INPUTS, OUTPUTS, dy64, x64, x64,
                                                            w->y.f64 + behind, w->y.f64, NULL)
                                   : cnn_dense_backward_f32(ROWS, INPUTS, OUTPUTS, dy32, x32, x32,
                                                            w->y.f32 + behind, w->y.f32, NULL);
}

static cnn_status loss_gradient(world *w)
{
    w->y_bytes = ROWS * OUTPUTS * real_size(w);
    return w->dtype == CNN_FLOAT64
               ? cnn_loss_gradient_f64(&cross_entropy, ROWS, OUTPUTS, dy64, OUTPUTS, &w->data.t,
                                       &w->data.sample_weight, &w->value, w->y.f64)
               : cnn_loss_gradient_f32(&cross_entropy, ROWS, OUTPUTS, dy32, OUTPUTS, &w->data.t,
                                       &w->data.sample_weight, &w->value, w->y.f32);
}

/* A call, what is called before it undisturbed, and whether the kind of optimizer matters. */
static const struct scenario {
    const char *name;
    cnn_status (*call)(world *);
    cnn_status (*before)(world *);
    int trains;
} scenarios[] = {
    {"network_create", create, NULL, 0},
    {"network_copy", copy, NULL, 0},
    {"network_initialize", initialize, NULL, 0},
    {"network_set", set_weight, NULL, 0},
    {"network_get", get_weight, NULL, 0},
    {"network_set_metadata, a new key", add_metadata, NULL, 0},
    {"network_set_metadata, a new value", change_metadata, NULL, 0},
    {"network_set_metadata, NULL", remove_metadata, NULL, 0},
    {"network_predict_f32 and _f64", predict, NULL, 0},
    {"network_predict", predict_matrix, NULL, 0},
    {"network_vjp", vjp, NULL, 0},
    {"network_jacobian", jacobian, NULL, 0},
    {"network_evaluate", evaluate, NULL, 0},
    {"network_gradients", gradients, NULL, 0},
    {"tape_create", create_tape, NULL, 0},
    {"tape_forward", forward, NULL, 0},
    {"tape_forward, again", forward, forward, 0},
    {"tape_backward", backward, forward, 0},
    {"trainer_create", create_trainer, NULL, 1},
    {"trainer_step", step, NULL, 1},
    {"trainer_step, again", step, step, 1},
    {"trainer_step after an epoch", step, epoch, 1},
    {"trainer_apply", apply, NULL, 1},
    {"trainer_epoch", epoch, NULL, 1},
    {"trainer_epoch, again", epoch, epoch, 1},
    {"trainer_epoch after a step", epoch, step, 1},
    {"trainer_finite", finite, epoch, 1},
    {"trainer_snapshot", snapshot, epoch, 1},
    {"trainer_restore", restore, snapshot, 1},
    {"trainer_get_state", get_state, epoch, 1},
    {"trainer_set_state", set_state, epoch, 1},
    {"shard_tree_create", create_tree, NULL, 0},
    {"shard_gradient", shard_gradient, NULL, 0},
    {"shard_gradient, the second", next_shard_gradient, shard_gradient, 0},
    {"shard_tree_add", add_to_tree, NULL, 0},
    {"shard_step", shard_step, NULL, 1},
    {"shard_finish", shard_finish, epoch, 1},
    {"network_to_bytes", to_bytes, epoch, 0},
    {"network_from_bytes", from_bytes, NULL, 0},
    {"network_save", save, NULL, 0},
    {"network_load", load, save, 0},
    {"trainer_save_with", save_trainer, epoch, 1},
    {"trainer_load", load_trainer, save_trainer, 1},
    {"dense_forward", dense_forward, NULL, 0},
    {"dense_backward", dense_backward, NULL, 0},
    {"loss_gradient", loss_gradient, NULL, 0},
};

/* ---- Trials ------------------------------------------------------------------------------ */

typedef struct trial {
    const struct scenario *scenario;
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

/* What a call would have made is not there after its failure. */
static int leaves_no_handle(const world *w)
{
    return !w->made && !w->made_trainer && !w->made_tape && !w->made_tree && !w->made_bytes;
}

/* The call with its allocations failing; if it fails, once more without. */
static void run_in_world(trial *t, world *w)
{
    if (t->scenario->call == from_bytes)
        CHECK(cnn_network_to_bytes(w->network, &w->bytes, &w->size) == CNN_OK);
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
static void run_scenario(const struct scenario *scenario, cnn_dtype dtype, int optimizer,
                         size_t threads)
{
    trial t = {.scenario = scenario,
               .dtype = dtype,
               .optimizer = optimizer,
               .threads = threads,
               .first = SIZE_MAX,
               .last = SIZE_MAX};
    run(&t);
    const uint64_t expected = t.bits;
    for (int all_after = 0; all_after < 2; all_after++)
        for (size_t first = 0; first == 0 || t.failed > 0; first++) {
            t.first = first;
            t.last = all_after ? SIZE_MAX : first;
            t.expected = expected;
            run(&t);
            if (!CHECK(first < 1000))
                break;
        }
}

int main(void)
{
    /* With 0, 1 and 2 slots, without and with clipping: other kinds allocate what these do. */
    const int optimizers[] = {CNN_SGD, CNN_MOMENTUM, CNN_ADAM};
    make_samples();
    for (size_t i = 0; i < COUNT(scenarios); i++)
        for (size_t k = 0; k < (scenarios[i].trains ? COUNT(optimizers) : 1); k++)
            for (size_t threads = 1; threads <= 2; threads++) {
                /* With two threads one type is enough: the other takes the same way. */
                run_scenario(&scenarios[i], CNN_FLOAT32, optimizers[k], threads);
                if (threads == 1)
                    run_scenario(&scenarios[i], CNN_FLOAT64, optimizers[k], threads);
            }
    remove(FILE_NAME);
    printf("%zu trials, %zu refused\n", atomic_load(&trials), atomic_load(&refusals));
    return check_finish();
}
