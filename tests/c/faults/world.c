/* The functions of world.h. */
#include "faults/world.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"

/* ---- Samples, whose last columns are mostly 0 -------------------------------------------- */

float x32[ROWS * INPUTS], dy32[ROWS * OUTPUTS];
double x64[ROWS * INPUTS], dy64[ROWS * OUTPUTS];
size_t order[ROWS];
static double labels[ROWS], weights[ROWS];

void make_samples(void)
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
    return model_matrix(data, dtype, ROWS, cols, dtype == CNN_FLOAT64 ? 8 : 4);
}

/* ---- What a call may change -------------------------------------------------------------- */

const cnn_loss cross_entropy = {
    .struct_size = sizeof(cnn_loss), .kind = CNN_CROSS_ENTROPY, .target = CNN_TARGET_LABELS};

const cnn_layer network_layers[LAYERS] = {{STANDARDIZE(INPUTS)},
                                          {DENSE(INPUTS, HIDDEN, CNN_GELU), .l2 = 0.001},
                                          {DROPOUT(0.25)},
                                          {DENSE(HIDDEN, OUTPUTS, CNN_SOFTMAX)}};

#define COLUMN(which) .struct_size = sizeof(cnn_column), .kind = CNN_COLUMN_##which
static const cnn_column table_columns[TABLE_INPUTS] = {
    {COLUMN(NUMBER), .missing = 1},
    {COLUMN(PERIODIC)},
    {COLUMN(NUMBER)},
    {COLUMN(ONE_HOT), .categories = 3},
    {COLUMN(EMBEDDING), .categories = 5},
    {COLUMN(IGNORED)},
};
const cnn_layer table_layers[TABLE_LAYERS] = {
    {.struct_size = sizeof(cnn_layer),
     .kind = CNN_LAYER_COLUMNS,
     .inputs = TABLE_INPUTS,
     .columns = table_columns,
     .clip = 3,
     .frequencies = 4,
     .periodic_size = 3,
     .embedding_size = 2},
    {.struct_size = sizeof(cnn_layer), .kind = CNN_LAYER_SCALE},
    {DENSE(TABLE_FEATURES, TABLE_HIDDEN, CNN_IDENTITY), .parametrization = CNN_PARAMETRIZATION_NTK},
    {.struct_size = sizeof(cnn_layer),
     .kind = CNN_LAYER_PARAMETRIC_ACTIVATION,
     .activation = CNN_MISH},
    {DROPOUT(0.25)},
    {DENSE(TABLE_HIDDEN, OUTPUTS, CNN_SOFTMAX)},
};

size_t real_size(const world *w)
{
    return w->dtype == CNN_FLOAT64 ? 8 : 4;
}

/* Float64 networks read float32 samples and the other way round in epochs, so that both are read
 * as they are, too. */
cnn_matrix samples(const world *w, int other)
{
    const int wide = (w->dtype == CNN_FLOAT64) != other;
    return wide ? matrix(x64, CNN_FLOAT64, INPUTS) : matrix(x32, CNN_FLOAT32, INPUTS);
}

/* Three columns of numbers, then three that are mostly 0, a code. */
cnn_matrix table_samples(const world *w)
{
    cnn_matrix x = samples(w, 0);
    x.data = (const char *)x.data + 18 * x.col_stride;
    x.cols = TABLE_INPUTS;
    return x;
}

cnn_matrix changes(const world *w)
{
    return w->dtype == CNN_FLOAT64 ? matrix(dy64, CNN_FLOAT64, OUTPUTS)
                                   : matrix(dy32, CNN_FLOAT32, OUTPUTS);
}

const void *numbers(const world *w)
{
    return w->dtype == CNN_FLOAT64 ? (const void *)x64 : (const void *)x32;
}

cnn_optimizer settings(const world *w)
{
    cnn_optimizer optimizer = model_optimizer(w->optimizer);
    optimizer.weight_decay = 0.01;
    optimizer.clip_norm = w->optimizer == CNN_SGD ? 0 : 0.5;
    return optimizer;
}

world *make_world(cnn_dtype dtype, int optimizer, size_t threads)
{
    world *w = check_memory(sizeof *w);
    memset(w, 0, sizeof *w);
    w->dtype = dtype;
    w->optimizer = (cnn_optimizer_kind)optimizer;
    w->threads = threads;
    CHECK(cnn_threads_set(threads) == CNN_OK);
    w->network = model_network(dtype, LAYERS, network_layers);
    CHECK(w->network);
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
    w->table = model_network(dtype, TABLE_LAYERS, table_layers);
    CHECK(w->table && cnn_network_initialize(w->table, 0, CNN_INIT_NORMAL, 0.5) == CNN_OK);
    CHECK(cnn_trainer_create(w->table, &made, &w->table_trainer) == CNN_OK);
    CHECK(cnn_trainer_set_group(w->table_trainer, 0, CNN_EMBEDDING, 2) == CNN_OK);
    w->table_data = w->data;
    w->table_data.x = table_samples(w);
    w->result = (cnn_result){.struct_size = sizeof w->result};
    return w;
}

void forget_made(world *w)
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

void destroy_world(world *w)
{
    forget_made(w);
    cnn_tape_destroy(w->tape);
    cnn_shard_tree_destroy(w->tree);
    cnn_trainer_destroy(w->trainer);
    cnn_network_destroy(w->network);
    cnn_trainer_destroy(w->table_trainer);
    cnn_network_destroy(w->table);
    cnn_bytes_free(w->bytes);
    free(w);
}

static uint64_t hash_on(uint64_t hash, const cnn_network *network)
{
    CHECK(hash_network(&hash, network));
    return hash;
}

static uint64_t hash_trainer(uint64_t hash, const world *w, const cnn_trainer *trainer)
{
    const cnn_network *network = cnn_trainer_network(trainer);
    const size_t count = cnn_network_parameter_count(network);
    void *state = check_memory(count * 8);
    for (int slot = 0; slot < cnn_optimizer_slots((int)w->optimizer); slot++) {
        CHECK(cnn_trainer_get_state(trainer, (size_t)slot, state, count) == CNN_OK);
        hash = hash_bytes(hash, state, count * real_size(w));
    }
    free(state);
    const size_t last = cnn_network_layer_count(network) - 1;
    size_t groups[2] = {0};
    CHECK(cnn_trainer_group(trainer, last, CNN_BIAS, &groups[0]) == CNN_OK);
    (void)cnn_trainer_group(trainer, 0, CNN_EMBEDDING, &groups[1]);
    hash = hash_bytes(hash, groups, sizeof groups);
    const uint64_t steps = cnn_trainer_steps(trainer);
    return hash_bytes(hash, &steps, sizeof steps);
}

uint64_t hash_before(const world *w)
{
    uint64_t hash = hash_on(HASH_BEGIN, w->network);
    hash = hash_trainer(hash, w, w->trainer);
    hash = hash_trainer(hash_on(hash, w->table), w, w->table_trainer);
    for (size_t i = 0; i < cnn_shard_tree_nodes(w->tree); i++) {
        size_t range[2];
        void *vector;
        const double *sums;
        CHECK(cnn_shard_tree_node(w->tree, i, &range[0], &range[1], &vector, &sums) == CNN_OK);
        hash = hash_bytes(hash, range, sizeof range);
        hash = hash_bytes(hash, vector, PARAMETERS * real_size(w));
        hash = hash_bytes(hash, sums, CNN_SHARD_SUMS * sizeof *sums);
    }
    return hash;
}

uint64_t hash_after(const world *w)
{
    uint64_t hash = hash_bytes(hash_before(w), &w->y, w->y_bytes);
    hash = hash_bytes(hash, &w->result.loss_sum, sizeof w->result.loss_sum);
    hash = hash_bytes(hash, &w->result.correct, sizeof w->result.correct);
    hash = hash_bytes(hash, &w->value, sizeof w->value);
    if (w->made)
        hash = hash_on(hash, w->made);
    if (w->made_trainer)
        hash = hash_trainer(hash, w, w->made_trainer);
    return hash_bytes(hash, w->made_bytes, w->made_bytes ? w->made_size : 0);
}

int leaves_no_handle(const world *w)
{
    return !w->made && !w->made_trainer && !w->made_tape && !w->made_tree && !w->made_bytes;
}
