/*
 * Fuzzing of calls: the bytes of an input are a sequence of valid and invalid calls on a network, a
 * trainer, a tape and a tree of shards. Sizes and values may be anything; pointers and the lengths
 * that belong to them are right, as cnn.h asks for, and memory has exactly those lengths. A call
 * that fails changes nothing, and a call that takes a const network changes nothing either; at the
 * end the network predicts as its copy does.
 */
#include "models.h"
#include "train/fuzz_inputs.h"

enum { MOST_CALLS = 64, INPUT_MAX = 1024 };

/* ---- What the calls work on -------------------------------------------------------------- */

/*
 * A number for all that must not change: the network's file, the optimizer's slots, its groups and
 * steps.
 */
static uint64_t state_of(const struct world *w)
{
    uint64_t state = HASH_BEGIN;
    if (!hash_network(&state, w->network))
        fuzz_fail("a network cannot be written");
    if (!w->trainer)
        return state;
    const uint64_t steps = cnn_trainer_steps(w->trainer);
    state = hash_bytes(state, &steps, sizeof steps);
    void *values = memory(w->parameters * w->real);
    for (size_t slot = 0; cnn_trainer_get_state(w->trainer, slot, values, w->parameters) == CNN_OK;
         slot++)
        state = hash_bytes(state, values, w->parameters * w->real);
    free(values);
    for (size_t layer = 0; layer < cnn_network_layer_count(w->network); layer++)
        for (int parameter = 0; parameter < CNN_PARAMETER_COUNT; parameter++) {
            size_t group = SIZE_MAX;
            (void)cnn_trainer_group(w->trainer, layer, (cnn_parameter)parameter, &group);
            state = hash_bytes(state, &group, sizeof group);
        }
    return state;
}

static void forget(struct world *w)
{
    cnn_shard_tree_destroy(w->tree);
    cnn_tape_destroy(w->tape);
    cnn_trainer_destroy(w->trainer);
    cnn_network_destroy(w->network);
    w->tree = NULL;
    w->tape = NULL;
    w->trainer = NULL;
    w->network = NULL;
}

/* Work on another network. */
static void use(struct world *w, cnn_network *network)
{
    forget(w);
    w->network = network;
    w->inputs = cnn_network_inputs(network);
    w->outputs = cnn_network_outputs(network);
    w->parameters = cnn_network_parameter_count(network);
    w->real = cnn_network_dtype(network) == CNN_FLOAT64 ? 8 : 4;
}

/* Make a network; a failure leaves the pointer as it was. */
static cnn_status make_network(struct world *w)
{
    struct input *in = &w->in;
    cnn_layer layers[MOST_LAYERS] = {{0}};
    cnn_network *made = (cnn_network *)w, *const untouched = made;
    const unsigned how = take(in);
    const size_t count = how % (MOST_LAYERS + 1);
    size_t before = 1 + below(in, 20);
    for (size_t i = 0; i < count; i++)
        take_layer(in, i, count, &before, layers);
    const cnn_dtype dtype = how >= 250 ? (cnn_dtype)(how - 250) : (cnn_dtype)(how / 8 % 2);
    const cnn_status status = cnn_network_create(dtype, count, layers, how, &made);
    for (size_t i = 0; i < count; i++)
        free((void *)(uintptr_t)layers[i].columns);
    if (status == CNN_OK)
        use(w, made);
    else if (made != untouched)
        fuzz_fail("a network that was not made was given out");
    return status;
}

/* ---- The calls --------------------------------------------------------------------------- */

/*
 * What a call may change: only one that did not fail may, or one of several steps, which numbers
 * that are not finite may stop, and targets that are refused if those are looked at step by step.
 */
typedef enum cnn_effect { KEEPS, CHANGES, MAY_STOP_HALFWAY, MAY_REFUSE_HALFWAY } cnn_effect;

static cnn_status set_or_get(struct world *w, unsigned what)
{
    struct input *in = &w->in;
    const size_t layer = take_size(in, MOST_LAYERS);
    const cnn_parameter parameter = (cnn_parameter)((int)below(in, CNN_PARAMETER_COUNT + 3) - 1);
    cnn_layer shape = {.struct_size = sizeof shape};
    size_t count = take(in) % 64;
    if (cnn_network_layer(w->network, layer, &shape) == CNN_OK && count >= 8)
        count = parameter_size(&shape, parameter);
    void *values = what & 1 ? take_reals(w, count * 2) : memory(count * 8);
    cnn_status status = CNN_OK;
    if (what == 0)
        status = cnn_network_get_f32(w->network, layer, parameter, values, count);
    else if (what == 1)
        status = cnn_network_set_f32(w->network, layer, parameter, values, count);
    else if (what == 2)
        status = cnn_network_get_f64(w->network, layer, parameter, values, count);
    else if (w->real == 8 || count == 0)
        status = cnn_network_set_f64(w->network, layer, parameter, values, count);
    free(values);
    return status;
}

/* Predict in one of several ways, or the derivatives of it. */
static cnn_status predict(struct world *w, unsigned what)
{
    struct input *in = &w->in;
    const size_t rows = below(in, MOST_ROWS + 1);
    const size_t wanted = what == 0   ? cnn_network_workspace_size(w->network, rows)
                          : what == 1 ? cnn_network_vjp_workspace_size(w->network, rows)
                                      : cnn_network_jacobian_workspace_size(w->network, rows);
    const unsigned how = take(in);
    const size_t size = how < 128 ? 0 : how < 192 ? wanted : wanted / 64 * (how % 64);
    void *workspace = size ? memory(size) : NULL;
    const cnn_matrix x = take_matrix(w, rows, how % 32 == 7 ? w->inputs + 1 : w->inputs);
    const size_t each = what == 2 ? w->outputs * w->inputs : w->inputs;
    void *y = memory(rows * w->outputs * w->real), *dx = memory(rows * each * w->real);
    cnn_status status = CNN_OK;
    if (what == 0) {
        status = cnn_network_predict(w->network, &x, y, w->outputs, workspace, size);
    } else if (what == 1) {
        const cnn_matrix dy = take_matrix(w, rows, w->outputs);
        status = cnn_network_vjp(w->network, &x, &dy, how & 1 ? y : NULL, w->outputs,
                                 how & 2 ? dx : NULL, w->inputs, workspace, size);
        free((void *)(uintptr_t)dy.data);
    } else {
        status = cnn_network_jacobian(w->network, &x, y, w->outputs, dx, workspace, size);
    }
    free((void *)(uintptr_t)x.data);
    free(y);
    free(dx);
    free(workspace);
    return status;
}

static cnn_status measure(struct world *w, unsigned what)
{
    struct task task;
    double value = 0;
    void *gradients = memory(w->parameters * w->real);
    take_task(w, &task);
    const int64_t step = (int64_t)below(&w->in, 5) - 2;
    const cnn_status status =
        what ? cnn_network_gradients(w->network, &task.loss, &task.data, step, &value, gradients,
                                     w->parameters + (take(&w->in) == 77))
             : cnn_network_evaluate(w->network, &task.loss, &task.data, &task.result);
    free_task(&task);
    free(gradients);
    return status;
}

static cnn_status make_trainer(struct world *w)
{
    struct input *in = &w->in;
    const unsigned how = take(in);
    cnn_optimizer optimizer =
        model_optimizer((cnn_optimizer_kind)(how % (CNN_OPTIMIZER_COUNT + 1)));
    optimizer.momentum = how & 64 ? 0.9 : 0;
    double *const fields[] = {&optimizer.momentum, &optimizer.beta1, &optimizer.beta2,
                              &optimizer.alpha,    &optimizer.eps,   &optimizer.weight_decay,
                              &optimizer.clip_norm};
    if (how & 128)
        *fields[below(in, COUNT(fields))] = take_double(in);
    cnn_trainer *made = NULL;
    const cnn_status status = cnn_trainer_create(w->network, &optimizer, &made);
    if (status == CNN_OK) {
        cnn_trainer_destroy(w->trainer);
        w->trainer = made;
    } else if (made) {
        fuzz_fail("a trainer that was not made was given out");
    }
    return status;
}

/* Row numbers for an epoch, most of them of the task; returns how many. */
static size_t take_index(struct input *in, const struct task *task, size_t *index, size_t most)
{
    const size_t count = below(in, (unsigned)most + 1);
    for (size_t i = 0; i < count; i++)
        index[i] = task->rows > 0 ? take(in) % task->rows : 0;
    if (count > 0 && take(in) % 8 == 0)
        index[count - 1] = take_size(in, MOST_ROWS);
    return count;
}

static cnn_status train(struct world *w, unsigned what, cnn_effect *effect)
{
    struct input *in = &w->in;
    struct task task;
    size_t index[2 * MOST_ROWS];
    double lr[2 * MOST_ROWS];
    take_task(w, &task);
    const size_t count = take_index(in, &task, index, COUNT(index));
    for (size_t i = 0; i < count; i++)
        lr[i] = 0.01;
    lr[0] = take_double(in);
    cnn_status status = CNN_OK;
    if (what == 0) {
        status = cnn_trainer_step(w->trainer, &task.loss, &task.data, lr[0], &task.result);
    } else {
        const size_t batch = 1 + below(in, 5) - (take(in) == 99);
        status = cnn_trainer_epoch(w->trainer, &task.loss, &task.data, index, count, batch, lr,
                                   take(in) == 5 ? 1e-9 : 0, &task.result);
    }
    *effect = what == 0 ? CHANGES : task.result.accumulate ? MAY_REFUSE_HALFWAY : MAY_STOP_HALFWAY;
    free_task(&task);
    return status;
}

/* Numbers for a schedule, or NULL: most are `usual`. */
static double *take_schedule(struct input *in, size_t count, double usual)
{
    const unsigned how = take(in);
    double *values = memory(count * sizeof *values);
    for (size_t i = 0; i < count; i++)
        values[i] = usual / (double)(1 + i % 3);
    if (count > 0 && how % 4 == 1)
        values[how / 4 % count] = take_double(in);
    if (how % 4 == 2) {
        free(values);
        values = NULL;
    }
    return values;
}

static cnn_status train_scheduled(struct world *w, cnn_effect *effect)
{
    struct input *in = &w->in;
    struct task task;
    size_t index[2 * MOST_ROWS];
    take_task(w, &task);
    const size_t count = take_index(in, &task, index, COUNT(index));
    const size_t batch = 1 + below(in, 5) - (take(in) == 99);
    const size_t steps = batch ? (count + batch - 1) / batch : count;
    const size_t groups = take(in) % 16 ? 1 + below(in, 4) : below(in, 70);
    double *lr = take_schedule(in, steps * groups, 0.01);
    double *weight_decay = take_schedule(in, steps * groups, 0.1);
    double *dropout = take_schedule(in, steps, 1);
    struct {
        cnn_schedule known;
        uint64_t behind; /* which a larger struct has */
    } schedule = {{sizeof(cnn_schedule), groups, lr, weight_decay, dropout}, 0};
    if (take(in) % 16 == 3)
        schedule.known.struct_size = take_size(in, sizeof(cnn_schedule) + 8);
    const cnn_status status =
        cnn_trainer_epoch_scheduled(w->trainer, &task.loss, &task.data, index, count, batch,
                                    &schedule.known, take(in) == 5 ? 1e-9 : 0, &task.result);
    *effect = task.result.accumulate ? MAY_REFUSE_HALFWAY : MAY_STOP_HALFWAY;
    free_task(&task);
    free(lr);
    free(weight_decay);
    free(dropout);
    return status;
}

static cnn_status set_group(struct world *w)
{
    struct input *in = &w->in;
    const size_t layer = take_size(in, MOST_LAYERS);
    const cnn_parameter parameter = (cnn_parameter)((int)below(in, CNN_PARAMETER_COUNT + 2) - 1);
    const size_t group = take(in) % 4 ? below(in, 4) : take_size(in, 70);
    const cnn_status status = cnn_trainer_set_group(w->trainer, layer, parameter, group);
    size_t found = SIZE_MAX;
    if (status == CNN_OK &&
        (cnn_trainer_group(w->trainer, layer, parameter, &found) != CNN_OK || found != group))
        fuzz_fail("a parameter is not in its group");
    return status;
}

static cnn_status set_trainer(struct world *w, unsigned what)
{
    struct input *in = &w->in;
    const size_t count = w->parameters - (take(in) == 9);
    void *values = take_reals(w, w->parameters);
    cnn_status status = CNN_OK;
    int weights = 0, state = 0;
    if (what == 0)
        status = cnn_trainer_apply(w->trainer, values, count, (int)below(in, 2), take_double(in));
    else if (what == 1)
        status = cnn_trainer_set_state(w->trainer, below(in, 3), values, count);
    else if (what == 2)
        status = cnn_trainer_set_steps(w->trainer, take_size(in, 200));
    else if (what == 3)
        status = cnn_trainer_snapshot(w->trainer);
    else if (what == 4)
        status = cnn_trainer_restore(w->trainer);
    else
        status = cnn_trainer_finite(w->trainer, &weights, &state);
    free(values);
    return status;
}

static cnn_status use_tape(struct world *w, unsigned what)
{
    struct input *in = &w->in;
    if (!w->tape)
        return cnn_tape_create(w->network, &w->tape);
    const size_t rows = below(in, MOST_ROWS + 1);
    cnn_matrix m = take_matrix(w, rows, what ? w->outputs : w->inputs);
    void *y = memory(rows * w->outputs * w->real), *dx = memory(rows * w->inputs * w->real);
    void *gradients = memory(w->parameters * w->real);
    const cnn_status status =
        what ? cnn_tape_backward(w->tape, &m, take(in) & 1 ? gradients : NULL, w->parameters,
                                 take(in) & 1 ? dx : NULL, w->inputs)
             : cnn_tape_forward(w->tape, &m, (int64_t)below(in, 4) - 1, y, w->outputs);
    free((void *)(uintptr_t)m.data);
    free(y);
    free(dx);
    free(gradients);
    return status;
}

/* Add the gradient of a shard to the tree, and if the tree is whole, make the step. */
static cnn_status use_shards(struct world *w)
{
    struct input *in = &w->in;
    const unsigned how = take(in);
    if (!w->tree || how == 250) {
        cnn_shard_tree *made = NULL;
        const cnn_status status =
            cnn_shard_tree_create(cnn_network_dtype(w->network), w->parameters - (how == 251),
                                  how % 4 ? how % 4 : take_size(in, 9), &made);
        if (status != CNN_OK)
            return status;
        cnn_shard_tree_destroy(w->tree);
        w->tree = made;
    }
    struct task task;
    take_task(w, &task);
    cnn_status status = cnn_shard_gradient(w->trainer, &task.loss, &task.data, NULL,
                                           how % 16 == 5 ? take_size(in, MOST_ROWS) : task.rows,
                                           how < 200 ? 0 : take_size(in, 4), w->tree);
    free_task(&task);
    size_t first = 0, last = 0;
    void *vector = NULL;
    const double *sums = NULL;
    if (status != CNN_OK || cnn_shard_tree_nodes(w->tree) != 1 || how % 4 != 1)
        return status;
    status = cnn_shard_tree_node(w->tree, 0, &first, &last, &vector, &sums);
    if (status != CNN_OK)
        return status;
    double loss = 0;
    status = cnn_shard_loss(w->network, sums, &loss);
    if (status == CNN_OK)
        status = cnn_shard_mean(w->network, sums, 0, w->parameters, vector);
    return status == CNN_OK ? cnn_shard_tree_reset(w->tree) : status;
}

/* Add a node of any numbers to the tree. */
static cnn_status add_node(struct world *w)
{
    struct input *in = &w->in;
    if (!w->tree)
        return CNN_OK;
    double sums[CNN_SHARD_SUMS];
    for (size_t i = 0; i < COUNT(sums); i++)
        sums[i] = take_double(in);
    const size_t nodes = cnn_shard_tree_nodes(w->tree);
    const size_t first = take_size(in, 4), last = take_size(in, 5);
    void *vector = take_reals(w, w->parameters);
    const cnn_status status = cnn_shard_tree_add(w->tree, first, last, vector, sums);
    if (status != CNN_OK && cnn_shard_tree_nodes(w->tree) != nodes)
        fuzz_fail("a node that was refused is in the tree");
    free(vector);
    return status;
}

/* Update a slice of the parameters, which leaves the network as it is. */
static cnn_status step_shard(struct world *w)
{
    struct input *in = &w->in;
    size_t first = 0, count = 0;
    double clip = 1;
    const size_t parts = 1 + below(in, 3);
    cnn_status status = cnn_shard_slice(w->network, parts, take_size(in, 3), &first, &count);
    if (status != CNN_OK)
        return status;
    const size_t blocks = cnn_shard_blocks(w->network, first, count);
    void *gradient = take_reals(w, count), *values = memory(count * w->real);
    double *squares = memory(blocks * sizeof *squares);
    if (cnn_shard_squares(w->network, gradient, first, count, squares) != CNN_OK)
        fuzz_fail("a slice has no squares");
    if (cnn_shard_clip(w->trainer, squares, blocks, &clip) != CNN_OK)
        clip = 1;
    const unsigned how = take(in);
    if (how % 8 == 1)
        clip = take_double(in);
    if (how % 16 == 2)
        first = take_size(in, 9);
    const uint64_t before = state_of(&(struct world){.network = w->network});
    status = cnn_shard_step(w->trainer, gradient, first, count, clip, take_double(in), values);
    if (state_of(&(struct world){.network = w->network}) != before)
        fuzz_fail("a step on a slice changed the network");
    free(gradient);
    free(values);
    free(squares);
    return status;
}

/* Give the network new parameters, and count a step. */
static cnn_status finish_step(struct world *w)
{
    const size_t count = w->parameters - (take(&w->in) % 16 == 9);
    const uint64_t steps = cnn_trainer_steps(w->trainer);
    void *values = take_reals(w, w->parameters);
    const cnn_status status = cnn_shard_finish(w->trainer, values, count);
    if (status == CNN_OK && cnn_trainer_steps(w->trainer) != steps + 1)
        fuzz_fail("a step was not counted");
    free(values);
    return status;
}

/* Save and load, or copy; the network that comes of it takes the place of the old one. */
static cnn_status make_again(struct world *w, unsigned what)
{
    const uint64_t before = state_of(&(struct world){.network = w->network});
    cnn_network *again = NULL;
    void *bytes = NULL;
    size_t size = 0;
    cnn_status status = CNN_OK;
    if (what) {
        status = cnn_network_copy(w->network, &again);
    } else {
        status = cnn_network_to_bytes(w->network, &bytes, &size);
        if (status == CNN_OK)
            status = cnn_network_from_bytes(bytes, size, &again);
        cnn_bytes_free(bytes);
    }
    if (status != CNN_OK)
        fuzz_fail("a network cannot be made again");
    use(w, again);
    if (state_of(w) != before)
        fuzz_fail("a network that was made again differs");
    return CNN_OK;
}

static cnn_status change(struct world *w)
{
    static const char *const texts[] = {"a", "", "\xFF", "user.x", "\xC3\xA9", NULL};
    struct input *in = &w->in;
    const unsigned how = take(in);
    const size_t layer = take_size(in, MOST_LAYERS);
    if (how < 100)
        return cnn_network_initialize(w->network, layer, (cnn_initializer)(how % 8),
                                      how > 50 ? take_double(in) : 1);
    if (how < 200)
        return cnn_network_set_l2(w->network, layer, take_double(in));
    return cnn_network_set_metadata(w->network, texts[how % COUNT(texts)],
                                    texts[how / 8 % COUNT(texts)]);
}

/* Make a call; what it may change goes to *effect. */
static cnn_status make_call(struct world *w, cnn_effect *effect)
{
    const unsigned call = below(&w->in, 41);
    *effect = KEEPS;
    if (call < 4)
        return predict(w, call % 3);
    if (call < 6)
        return measure(w, call % 2);
    if (call < 8)
        return use_tape(w, call % 2);
    if (call < 10)
        return set_or_get(w, call % 2 * 2);
    *effect = CHANGES;
    if (call < 12)
        return set_or_get(w, call % 2 * 2 + 1);
    if (call < 15)
        return change(w);
    if (call == 15)
        return make_network(w);
    if (call < 18)
        return make_again(w, call % 2);
    if (call < 20 || !w->trainer)
        return make_trainer(w);
    if (call < 26)
        return set_trainer(w, call - 20);
    if (call == 26)
        return use_shards(w);
    if (call == 32)
        return add_node(w);
    if (call >= 39)
        return train_scheduled(w, effect);
    if (call >= 36)
        return set_group(w);
    if (call >= 33)
        return call == 33 ? finish_step(w) : step_shard(w);
    return train(w, call >= 29, effect);
}

/* The network predicts, and a copy of it predicts the same bits. */
static void check_usable(struct world *w)
{
    cnn_network *copy = NULL;
    const cnn_matrix x = take_matrix(w, MOST_ROWS, w->inputs);
    const size_t size = MOST_ROWS * w->outputs * w->real;
    void *y = memory(size), *again = memory(size);
    if (cnn_network_copy(w->network, &copy) != CNN_OK)
        fuzz_fail("a network cannot be copied");
    const cnn_status status = cnn_network_predict(w->network, &x, y, w->outputs, NULL, 0);
    if (cnn_network_predict(copy, &x, again, w->outputs, NULL, 0) != status)
        fuzz_fail("a copy does not predict as the network does");
    for (size_t i = 0; status == CNN_OK && i < size; i += w->real) {
        const char *a = (char *)y + i, *b = (char *)again + i;
        const int nan = w->real == 8 ? isnan(*(const double *)(const void *)a)
                                     : isnan(*(const float *)(const void *)a);
        if (memcmp(a, b, w->real) != 0 && !nan)
            fuzz_fail("a copy predicts other numbers");
    }
    free((void *)(uintptr_t)x.data);
    free(y);
    free(again);
    cnn_network_destroy(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world w = {.in = {data, size, 0}};
    if (cnn_threads_set(1 + below(&w.in, 2)) != CNN_OK)
        fuzz_fail("threads cannot be set");
    (void)make_network(&w);
    for (size_t calls = 0; w.network && calls < MOST_CALLS && w.in.at < w.in.size; calls++) {
        cnn_effect effect = KEEPS;
        const uint64_t before = state_of(&w);
        const cnn_status status = make_call(&w, &effect);
        if (status != CNN_OK && cnn_last_error()[0] == '\0')
            fuzz_fail("a failure without a message");
        const int stopped =
            ((effect == MAY_STOP_HALFWAY || effect == MAY_REFUSE_HALFWAY) &&
             status == CNN_ERROR_NONFINITE) ||
            (effect == MAY_REFUSE_HALFWAY && strncmp(cnn_last_error(), "t has ", 6) == 0);
        if ((effect == KEEPS || status != CNN_OK) && !stopped && state_of(&w) != before)
            fuzz_fail("a call that failed, or keeps all, changed something");
    }
    if (w.network)
        check_usable(&w);
    forget(&w);
    return 0;
}

#ifndef CNN_LIBFUZZER

int main(int count, char **arguments)
{
    static uint8_t calls[INPUT_MAX];
    const size_t rounds = 20000 / check_every();
    if (fuzz_try_files(count, arguments))
        return 0;
    for (size_t i = 0; i < rounds; i++) {
        const size_t size = fuzz_below(INPUT_MAX + 1);
        for (size_t j = 0; j < size; j++)
            calls[j] = (uint8_t)fuzz_below(256);
        calls[1] = (uint8_t)(16 + fuzz_below(200)); /* mostly a network is made */
        fuzz_try(calls, size);
    }
    printf("%zu sequences of calls were tried\n", rounds);
    return 0;
}

#endif
