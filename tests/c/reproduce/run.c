#include "reproduce/run.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "float_state.h"
#include "reproduce/settings.h"
#include "reproduce/sha256.h"

static const uint64_t SEED = 20260101;
static const double RATE = 0.01;

enum { ASKED_ROWS = 9 };

typedef struct run {
    settings set;
    samples samples;
    const variation *by;
    size_t size; /* of a number */
    cnn_network *network;
    cnn_trainer *trainer;
    void *values; /* room for whatever is hashed */
    sha256 weights, others;
} run;

/* Check that a call succeeds and leaves the host's floating-point state as it was. */
#define TRY(call) try_call(r, (call) == CNN_OK, #call)

static void try_call(const run *r, int ok, const char *text)
{
    const int kept = fegetround() == r->by->rounding &&
                     (!CAN_FLUSH_TO_ZERO || flushes_to_zero() == r->by->flushes);
    if (!CHECK(ok && kept))
        printf("    %s: %s\n", text,
               ok ? "changed the host's floating-point state" : cnn_last_error());
}

static size_t pieces(const run *r, size_t count)
{
    return r->by->split > 0 && r->by->split < count ? r->by->split : count;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* `count` rows of a matrix from row `first` on. */
static cnn_matrix rows_of(cnn_matrix m, size_t first, size_t count)
{
    if (m.data != NULL)
        m.data = (const char *)m.data + (ptrdiff_t)first * m.row_stride;
    m.rows = m.data != NULL ? count : 0;
    return m;
}

/* ---- Networks ---------------------------------------------------------------------------- */

static void set_numbers(run *r, size_t layer, cnn_parameter parameter, size_t count)
{
    float singles[64];
    double doubles[64];
    for (size_t i = 0; i < count; i++) {
        const float number = sample_number(4 + (uint32_t)parameter, i);
        singles[i] = parameter == CNN_SCALE ? number + 0.25f : number - 0.5f;
        doubles[i] = singles[i];
    }
    if (r->size == 4)
        TRY(cnn_network_set_f32(r->network, layer, parameter, singles, count));
    else
        TRY(cnn_network_set_f64(r->network, layer, parameter, doubles, count));
}

static void make_network(run *r, cnn_dtype dtype)
{
    TRY(cnn_network_create(dtype, r->set.count, r->set.layers, SEED, &r->network));
    for (size_t i = 0; i < r->set.count; i++) {
        if (r->set.layers[i].kind == CNN_LAYER_DENSE)
            TRY(cnn_network_initialize(r->network, i, r->set.init, 0.1));
        if (r->set.layers[i].kind == CNN_LAYER_COLUMNS)
            TRY(cnn_network_initialize(r->network, i, CNN_INIT_NORMAL, 0.5));
        if (r->set.layers[i].kind == CNN_LAYER_STANDARDIZE ||
            r->set.layers[i].kind == CNN_LAYER_COLUMNS) {
            set_numbers(r, i, CNN_MEAN, r->set.inputs);
            set_numbers(r, i, CNN_SCALE, r->set.inputs);
        }
    }
    TRY(cnn_trainer_create(r->network, &r->set.optimizer, &r->trainer));
}

/* Go on with a copy of the network and a new trainer, as one that was loaded. */
static void resume(run *r)
{
    cnn_network *copy = NULL;
    cnn_trainer *trainer = NULL;
    const size_t count = cnn_network_parameter_count(r->network);
    TRY(cnn_network_copy(r->network, &copy));
    TRY(cnn_trainer_create(copy, &r->set.optimizer, &trainer));
    for (int slot = 0; slot < cnn_optimizer_slots((int)r->set.optimizer.kind); slot++) {
        TRY(cnn_trainer_get_state(r->trainer, (size_t)slot, r->values, count));
        TRY(cnn_trainer_set_state(trainer, (size_t)slot, r->values, count));
    }
    TRY(cnn_trainer_set_steps(trainer, cnn_trainer_steps(r->trainer)));
    cnn_trainer_destroy(r->trainer);
    cnn_network_destroy(r->network);
    r->network = copy;
    r->trainer = trainer;
}

/* ---- Training ---------------------------------------------------------------------------- */

static void train_epoch(run *r, size_t epoch)
{
    const size_t rows = r->set.rows;
    const size_t part = r->by->split > 0 ? r->set.batch : rows; /* one batch a call, or all */
    size_t *index = check_memory(sizeof *index * rows);
    double *rates = check_memory(sizeof *rates * rows);
    cnn_result result = {.struct_size = sizeof result};
    TRY(cnn_random_permutation(SEED, epoch, rows, 0, rows, index));
    for (size_t i = 0; i < rows; i++)
        rates[i] = RATE;
    for (size_t at = 0; at < rows; at += part) {
        result.accumulate = at > 0;
        TRY(cnn_trainer_epoch(r->trainer, &r->set.loss, &r->samples.data, index + at,
                              least(part, rows - at), r->set.batch, rates, 0, &result));
    }
    sha256_numbers(&r->others, &result.loss_sum, 1, 8);
    sha256_numbers(&r->others, &result.weight_sum, 1, 8);
    free(rates);
    free(index);
}

/* The update of a step in shards, in one slice or in three. */
static void update_slices(run *r, void *gradient, const double *sums)
{
    const size_t parts = r->by->split > 0 ? 3 : 1;
    const size_t count = cnn_network_parameter_count(r->network);
    const size_t blocks = cnn_shard_blocks(r->network, 0, count);
    double *squares = check_memory(sizeof *squares * blocks), clip = 1;
    size_t first, length, block = 0;
    for (size_t part = 0; part < parts; part++) {
        TRY(cnn_shard_slice(r->network, parts, part, &first, &length));
        if (length == 0)
            continue;
        char *slice = (char *)gradient + first * r->size;
        TRY(cnn_shard_mean(r->network, sums, first, length, slice));
        TRY(cnn_shard_squares(r->network, slice, first, length, squares + block));
        block += cnn_shard_blocks(r->network, first, length);
    }
    TRY(cnn_shard_clip(r->trainer, squares, blocks, &clip));
    sha256_numbers(&r->others, squares, blocks, 8);
    for (size_t part = 0; part < parts; part++) {
        TRY(cnn_shard_slice(r->network, parts, part, &first, &length));
        if (length > 0)
            TRY(cnn_shard_step(r->trainer, (char *)gradient + first * r->size, first, length, clip,
                               RATE, (char *)r->values + first * r->size));
    }
    TRY(cnn_shard_finish(r->trainer, r->values, count));
    free(squares);
}

/* An epoch as rule 9 of the numerics contract says. */
static void train_shards(run *r, size_t epoch, cnn_shard_tree *tree)
{
    const size_t rows = r->set.rows, shards = r->set.shards;
    const size_t steps = (rows + r->set.batch - 1) / r->set.batch;
    size_t *index = check_memory(sizeof *index * rows);
    for (size_t step = 0; step < steps; step++) {
        void *gradient;
        const double *sums;
        TRY(cnn_shard_tree_reset(tree));
        for (size_t s = 0; s < shards; s++) {
            const size_t from = rows * s / shards, n = rows * (s + 1) / shards - from;
            const size_t first = n * step / steps, last = n * (step + 1) / steps;
            TRY(cnn_random_permutation(cnn_shard_seed(SEED, s), epoch, n, first, last - first,
                                       index));
            for (size_t i = 0; i < last - first; i++)
                index[i] += from;
            TRY(cnn_shard_gradient(r->trainer, &r->set.loss, &r->samples.data, index, last - first,
                                   s, tree));
        }
        CHECK(cnn_shard_tree_nodes(tree) == 1);
        TRY(cnn_shard_tree_node(tree, 0, NULL, NULL, &gradient, &sums));
        sha256_numbers(&r->others, sums, CNN_SHARD_SUMS, 8);
        update_slices(r, gradient, sums);
    }
    free(index);
}

static void train(run *r)
{
    cnn_shard_tree *tree = NULL;
    if (r->set.shards > 0)
        TRY(cnn_shard_tree_create(cnn_network_dtype(r->network),
                                  cnn_network_parameter_count(r->network), r->set.shards, &tree));
    for (size_t epoch = 0; epoch < r->set.epochs; epoch++) {
        if (r->set.shards > 0)
            train_shards(r, epoch, tree);
        else
            train_epoch(r, epoch);
        if (r->by->split > 0)
            resume(r);
    }
    cnn_shard_tree_destroy(tree);
}

/* ---- What is hashed ---------------------------------------------------------------------- */

static void hash_parameter(run *r, size_t layer, cnn_parameter parameter, size_t count)
{
    void *to = r->values;
    if (r->size == 4)
        TRY(cnn_network_get_f32(r->network, layer, parameter, to, count));
    else
        TRY(cnn_network_get_f64(r->network, layer, parameter, to, count));
    sha256_numbers(&r->weights, to, count, r->size);
}

static void hash_columns(run *r, size_t index)
{
    const cnn_layer *layer = &r->set.layers[index];
    const size_t row = (layer->periodic_size + 1) * layer->frequencies + layer->periodic_size - 1;
    size_t categories = 0, periodic = 0;
    for (size_t j = 0; j < layer->inputs; j++) {
        const cnn_column *column = &layer->columns[j];
        categories += column->kind == CNN_COLUMN_EMBEDDING ? column->categories : 0;
        periodic += column->kind == CNN_COLUMN_PERIODIC;
    }
    hash_parameter(r, index, CNN_EMBEDDING, categories * layer->embedding_size);
    hash_parameter(r, index, CNN_PERIODIC, periodic * row);
}

static void hash_weights(run *r)
{
    for (size_t i = 0; i < r->set.count; i++) {
        const cnn_layer *layer = &r->set.layers[i];
        if (layer->kind == CNN_LAYER_DENSE) {
            hash_parameter(r, i, CNN_WEIGHT, layer->inputs * layer->outputs);
            hash_parameter(r, i, CNN_BIAS, layer->outputs);
        } else if (layer->kind == CNN_LAYER_COLUMNS) {
            hash_columns(r, i);
        } else if (layer->kind == CNN_LAYER_SCALE) {
            hash_parameter(r, i, CNN_FACTOR, layer->inputs);
        } else if (layer->kind == CNN_LAYER_PARAMETRIC_ACTIVATION) {
            hash_parameter(r, i, CNN_MIX, layer->inputs);
        }
    }
}

static void hash_predictions(run *r)
{
    const size_t rows = r->set.rows, part = pieces(r, rows), width = r->set.outputs;
    for (size_t at = 0; at < rows; at += part) {
        const cnn_matrix x = rows_of(r->samples.data.x, at, least(part, rows - at));
        TRY(cnn_network_predict(r->network, &x, (char *)r->values + at * width * r->size, width,
                                NULL, 0));
    }
    sha256_numbers(&r->weights, r->values, rows * width, r->size);
}

static void hash_evaluation(run *r)
{
    const size_t rows = r->set.rows, part = pieces(r, rows);
    cnn_result result = {.struct_size = sizeof result};
    for (size_t at = 0; at < rows; at += part) {
        const size_t count = least(part, rows - at);
        cnn_data data = r->samples.data;
        data.x = rows_of(data.x, at, count);
        data.t = rows_of(data.t, at, count);
        data.sample_weight = rows_of(data.sample_weight, at, count);
        result.accumulate = at > 0;
        TRY(cnn_network_evaluate(r->network, &r->set.loss, &data, &result));
    }
    sha256_numbers(&r->others, &result.loss_sum, 1, 8);
    sha256_numbers(&r->others, &result.weight_sum, 1, 8);
    /* Of unsigned numbers clang makes -0 of 0 if this program rounds down. */
    const double correct = (double)(int64_t)result.correct;
    sha256_numbers(&r->others, &correct, 1, 8);
}

/* Derivatives by the inputs, and by the parameters: of the loss, and through a tape. */
static void hash_derivatives(run *r)
{
    const size_t rows = least(ASKED_ROWS, r->set.rows), part = pieces(r, rows);
    const size_t inputs = r->set.inputs, outputs = r->set.outputs;
    const size_t count = cnn_network_parameter_count(r->network);
    const ptrdiff_t size = sizeof(float);
    float dy[ASKED_ROWS * MOST_CLASSES];
    for (size_t i = 0; i < rows * outputs; i++)
        dy[i] = sample_number(9, i) - 0.5f;
    const cnn_matrix all = {sizeof all, dy, CNN_FLOAT32, rows, outputs, size * (ptrdiff_t)outputs,
                            size};
    const cnn_matrix asked = rows_of(r->samples.data.x, 0, rows);
    double loss = 0;
    for (size_t at = 0; at < rows; at += part) {
        const cnn_matrix x = rows_of(asked, at, least(part, rows - at)),
                         d = rows_of(all, at, x.rows);
        TRY(cnn_network_vjp(r->network, &x, &d, NULL, outputs,
                            (char *)r->values + at * inputs * r->size, inputs, NULL, 0));
    }
    sha256_numbers(&r->others, r->values, rows * inputs, r->size);
    for (size_t at = 0; at < rows; at += part) {
        const cnn_matrix x = rows_of(asked, at, least(part, rows - at));
        TRY(cnn_network_jacobian(r->network, &x, NULL, outputs,
                                 (char *)r->values + at * outputs * inputs * r->size, NULL, 0));
    }
    sha256_numbers(&r->others, r->values, rows * outputs * inputs, r->size);
    TRY(cnn_network_gradients(r->network, &r->set.loss, &r->samples.data, 3, &loss, r->values,
                              count));
    sha256_numbers(&r->others, &loss, 1, 8);
    sha256_numbers(&r->others, r->values, count, r->size);
    cnn_tape *tape = NULL;
    TRY(cnn_tape_create(r->network, &tape));
    TRY(cnn_tape_forward(tape, &asked, 4, NULL, outputs));
    TRY(cnn_tape_backward(tape, &all, r->values, count, NULL, inputs));
    sha256_numbers(&r->others, r->values, count, r->size);
    TRY(cnn_trainer_apply(r->trainer, r->values, count, 1, RATE));
    cnn_tape_destroy(tape);
}

static void hash_slots(run *r)
{
    const size_t count = cnn_network_parameter_count(r->network);
    for (int slot = 0; slot < cnn_optimizer_slots((int)r->set.optimizer.kind); slot++) {
        TRY(cnn_trainer_get_state(r->trainer, (size_t)slot, r->values, count));
        sha256_numbers(&r->others, r->values, count, r->size);
    }
}

static size_t most(size_t a, size_t b)
{
    return a > b ? a : b;
}

void run_settings(const char *text, cnn_dtype dtype, const variation *by, run_hashes *hashes)
{
    run *r = check_memory(sizeof *r);
    *r = (run){.by = by, .size = dtype == CNN_FLOAT32 ? 4 : 8};
    settings_read(text, &r->set);
    samples_make(&r->set, &r->samples);
    sha256_begin(&r->weights);
    sha256_begin(&r->others);
    if (by->isa != NULL)
        CHECK(cnn_isa_select(by->isa) == CNN_OK);
    CHECK(cnn_threads_set(by->threads) == CNN_OK);
    CHECK(fesetround(by->rounding) == 0);
    set_flush_to_zero(by->flushes);
    make_network(r, dtype);
    const size_t asked = ASKED_ROWS * r->set.inputs * r->set.outputs;
    r->values = check_memory(8 * most(cnn_network_parameter_count(r->network),
                                      most(asked, r->set.rows * r->set.outputs)));
    train(r);
    hash_weights(r);
    hash_predictions(r);
    hash_evaluation(r);
    hash_derivatives(r);
    hash_slots(r);
    CHECK(fesetround(FE_TONEAREST) == 0);
    set_flush_to_zero(0);
    sha256_end(&r->weights, hashes->weights);
    sha256_end(&r->others, hashes->others);
    cnn_trainer_destroy(r->trainer);
    cnn_network_destroy(r->network);
    samples_free(&r->samples);
    free(r->values);
    free(r);
}
