/*
 * Training in shards as a program does it that has any means to send bytes: here the "processes"
 * are parts of one, and sending is copying. The result has the same bits for any number of them.
 */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "models.h"

#define INPUTS 40
#define HIDDEN 150
#define OUTPUTS 3
#define ROWS 60
#define SHARDS 7
#define STEPS 3
#define COUNT ((INPUTS + 1) * HIDDEN + (HIDDEN + 1) * OUTPUTS)

static float x[ROWS * INPUTS], t[ROWS * OUTPUTS];

static const cnn_data data = {
    .struct_size = sizeof data,
    .x = {sizeof(cnn_matrix), x, CNN_FLOAT32, ROWS, INPUTS, 4 * INPUTS, 4},
    .t = {sizeof(cnn_matrix), t, CNN_FLOAT32, ROWS, OUTPUTS, 4 * OUTPUTS, 4},
    .sample_weight = {.struct_size = sizeof(cnn_matrix)},
};
static const cnn_loss loss = {.struct_size = sizeof loss, .kind = CNN_SQUARED_ERROR};

struct process {
    cnn_network *network;
    cnn_trainer *trainer;
    cnn_shard_tree *tree, *slice_tree;
    size_t first_shard, last_shard, first, count;
    float *slice; /* of the sum over all shards */
    double sums[CNN_SHARD_SUMS];
};

static void make(struct process *p, size_t processes, size_t number)
{
    const cnn_layer layers[] = {{DENSE(INPUTS, HIDDEN, CNN_TANH), .l2 = 0.01},
                                {DROPOUT(0.25)},
                                {DENSE(HIDDEN, OUTPUTS, CNN_IDENTITY)}};
    cnn_optimizer optimizer = model_optimizer(CNN_ADAM);
    optimizer.clip_norm = 0.5;
    p->network = model_network(CNN_FLOAT32, 3, layers);
    CHECK(p->network);
    CHECK(cnn_trainer_create(p->network, &optimizer, &p->trainer) == CNN_OK);
    CHECK(cnn_shard_slice(p->network, processes, number, &p->first, &p->count) == CNN_OK);
    CHECK(cnn_shard_tree_create(CNN_FLOAT32, COUNT, SHARDS, &p->tree) == CNN_OK);
    CHECK(cnn_shard_tree_create(CNN_FLOAT32, p->count, SHARDS, &p->slice_tree) == CNN_OK);
    p->first_shard = SHARDS * number / processes;
    p->last_shard = SHARDS * (number + 1) / processes;
}

static void destroy(struct process *p)
{
    cnn_shard_tree_destroy(p->tree);
    cnn_shard_tree_destroy(p->slice_tree);
    cnn_trainer_destroy(p->trainer);
    cnn_network_destroy(p->network);
}

/* The gradients of the process's shards, each of which has every seventh row; one has none. */
static void find_gradients(struct process *p)
{
    CHECK(cnn_shard_tree_reset(p->tree) == CNN_OK);
    for (size_t shard = p->first_shard; shard < p->last_shard; shard++) {
        size_t index[ROWS], count = 0;
        for (size_t i = shard; i < ROWS && shard != 2; i += SHARDS)
            index[count++] = i;
        CHECK(cnn_shard_gradient(p->trainer, &loss, &data, index, count, shard, p->tree) == CNN_OK);
    }
}

/* Add the slices of all nodes of all processes. */
static void receive(struct process *to, struct process *all, size_t processes)
{
    CHECK(cnn_shard_tree_reset(to->slice_tree) == CNN_OK);
    for (size_t r = 0; r < processes; r++)
        for (size_t i = 0; i < cnn_shard_tree_nodes(all[r].tree); i++) {
            size_t first, last;
            void *vector;
            const double *sums;
            CHECK(cnn_shard_tree_node(all[r].tree, i, &first, &last, &vector, &sums) == CNN_OK);
            CHECK(cnn_shard_tree_add(to->slice_tree, first, last, (float *)vector + to->first,
                                     sums) == CNN_OK);
        }
    CHECK(cnn_shard_tree_nodes(to->slice_tree) == 1);
    void *slice;
    const double *sums;
    CHECK(cnn_shard_tree_node(to->slice_tree, 0, NULL, NULL, &slice, &sums) == CNN_OK);
    to->slice = slice;
    memcpy(to->sums, sums, sizeof to->sums);
    CHECK(cnn_shard_mean(to->network, sums, to->first, to->count, slice) == CNN_OK);
}

static void train(size_t processes, float weights[COUNT], double *last_loss)
{
    struct process *all = calloc(processes, sizeof *all);
    float *values = malloc(COUNT * sizeof *values);
    double squares[COUNT];
    CHECK(all && values);
    for (size_t r = 0; r < processes; r++)
        make(&all[r], processes, r);
    for (size_t step = 0; step < STEPS; step++) {
        size_t blocks = 0;
        for (size_t r = 0; r < processes; r++)
            find_gradients(&all[r]);
        for (size_t r = 0; r < processes; r++) {
            receive(&all[r], all, processes);
            CHECK(cnn_shard_squares(all[r].network, all[r].slice, all[r].first, all[r].count,
                                    squares + blocks) == CNN_OK);
            blocks += cnn_shard_blocks(all[r].network, all[r].first, all[r].count);
        }
        for (size_t r = 0; r < processes; r++) {
            double clip = 0;
            CHECK(cnn_shard_clip(all[r].trainer, squares, blocks, &clip) == CNN_OK);
            CHECK(clip > 0 && clip < 1);
            CHECK(cnn_shard_loss(all[r].network, all[r].sums, last_loss) == CNN_OK);
            CHECK(cnn_shard_step(all[r].trainer, all[r].slice, all[r].first, all[r].count, clip,
                                 0.01, values + all[r].first) == CNN_OK);
        }
        for (size_t r = 0; r < processes; r++)
            CHECK(cnn_shard_finish(all[r].trainer, values, COUNT) == CNN_OK);
    }
    CHECK(all[0].sums[CNN_SHARD_ROWS] == ROWS - 9);
    CHECK(cnn_trainer_steps(all[processes - 1].trainer) == STEPS);
    memcpy(weights, values, COUNT * sizeof *values);
    for (size_t r = 0; r < processes; r++)
        destroy(&all[r]);
    free(values);
    free(all);
}

static void test_same_bits(void)
{
    static float one[COUNT], more[COUNT];
    double loss_of_one = 0, loss_of_more = 0;
    train(1, one, &loss_of_one);
    CHECK(loss_of_one > 0);
    for (size_t processes = 2; processes <= SHARDS + 1; processes++) {
        train(processes, more, &loss_of_more);
        CHECK(memcmp(one, more, sizeof one) == 0);
        CHECK(loss_of_one == loss_of_more);
    }
}

static void test_refusals(void)
{
    struct process p;
    make(&p, 1, 0);
    double sums[CNN_SHARD_SUMS] = {0}, loss_value;
    float values[COUNT] = {0};
    cnn_shard_tree *tree = NULL;
    size_t first, count;
    CHECK(cnn_shard_tree_create(CNN_INT8, 1, 1, &tree) == CNN_ERROR_TYPE);
    CHECK(cnn_shard_tree_create(CNN_FLOAT32, 1, 0, &tree) == CNN_ERROR_ARGUMENT);
    CHECK(cnn_shard_tree_create(CNN_FLOAT32, 1, (size_t)CNN_MOST_SHARDS + 1, &tree) ==
          CNN_ERROR_ARGUMENT);
    CHECK(cnn_shard_tree_create(CNN_FLOAT32, SIZE_MAX / 2, 1, &tree) == CNN_ERROR_MEMORY);
    CHECK(cnn_shard_tree_create(CNN_FLOAT32, 1, 1, NULL) == CNN_ERROR_ARGUMENT);
    CHECK(tree == NULL && cnn_shard_tree_nodes(NULL) == 0);
    CHECK(cnn_shard_tree_reset(NULL) == CNN_ERROR_ARGUMENT);
    CHECK(cnn_shard_tree_add(p.tree, 0, 1, NULL, sums) == CNN_ERROR_ARGUMENT);
    CHECK(cnn_shard_tree_add(p.tree, 0, 1, values, NULL) == CNN_ERROR_ARGUMENT);
    CHECK(cnn_shard_tree_add(p.tree, 0, 3, values, sums) == CNN_ERROR_ARGUMENT);
    CHECK(cnn_shard_tree_node(p.tree, 0, NULL, NULL, NULL, NULL) == CNN_ERROR_ARGUMENT);
    CHECK(cnn_shard_gradient(NULL, &loss, &data, NULL, 1, 0, p.tree) == CNN_ERROR_ARGUMENT);
    CHECK(cnn_shard_gradient(p.trainer, &loss, &data, NULL, 1, 0, NULL) == CNN_ERROR_ARGUMENT);
    CHECK(cnn_shard_gradient(p.trainer, &loss, &data, NULL, ROWS + 1, 0, p.tree) ==
          CNN_ERROR_ARGUMENT);
    CHECK(cnn_shard_gradient(p.trainer, &loss, &data, NULL, 1, SHARDS, p.tree) ==
          CNN_ERROR_ARGUMENT);
    CHECK(cnn_shard_tree_nodes(p.tree) == 0);
    CHECK(cnn_shard_sums(NULL, sums) == CNN_ERROR_ARGUMENT);
    CHECK(cnn_shard_loss(p.network, NULL, &loss_value) == CNN_ERROR_ARGUMENT);
    CHECK(cnn_shard_slice(p.network, 2, 2, &first, &count) == CNN_ERROR_ARGUMENT);
    CHECK(cnn_shard_slice(p.network, 2, 1, NULL, &count) == CNN_ERROR_ARGUMENT);
    CHECK(cnn_shard_mean(p.network, sums, 0, COUNT, values) == CNN_ERROR_ARGUMENT);
    sums[CNN_SHARD_WEIGHT] = 1;
    CHECK(cnn_shard_mean(p.network, sums, 1, COUNT, values) == CNN_ERROR_ARGUMENT);
    CHECK(cnn_shard_mean(p.network, sums, 0, COUNT, NULL) == CNN_ERROR_ARGUMENT);
    CHECK(cnn_shard_blocks(NULL, 0, 1) == 0 && cnn_shard_blocks(p.network, 1, COUNT) == 0);
    CHECK(cnn_shard_squares(p.network, values, 1, 2, sums) == CNN_ERROR_ARGUMENT);
    CHECK(cnn_shard_clip(p.trainer, sums, 1, &loss_value) == CNN_ERROR_ARGUMENT);
    CHECK(cnn_shard_step(p.trainer, values, 0, COUNT, 2, 0.1, values) == CNN_ERROR_ARGUMENT);
    CHECK(cnn_shard_step(p.trainer, values, 0, COUNT, 1, -1, values) == CNN_ERROR_ARGUMENT);
    CHECK(cnn_shard_step(p.trainer, values, 0, COUNT, 1, 1, NULL) == CNN_ERROR_ARGUMENT);
    CHECK(cnn_shard_finish(p.trainer, values, 1) == CNN_ERROR_ARGUMENT);
    CHECK(cnn_shard_finish(NULL, values, COUNT) == CNN_ERROR_ARGUMENT);
    CHECK(cnn_trainer_steps(p.trainer) == 0);
    destroy(&p);
}

int main(void)
{
    unsigned number = 1;
    for (size_t i = 0; i < ROWS * (INPUTS + OUTPUTS); i++) {
        number = number * 1664525u + 1013904223u;
        const float value = (float)(number >> 8) / (float)(1 << 23) - 1;
        *(i < ROWS * INPUTS ? &x[i] : &t[i - ROWS * INPUTS]) = value;
    }
    test_same_bits();
    test_refusals();
    return check_finish();
}
