/*
 * What the calls of test_memory_faults_*.c work on: samples, a network, a trainer, a tape, a tree
 * of shards, a network for tables with its trainer, and what calls have made; and hashes of it all.
 */
#ifndef CNN_FAULTS_WORLD_H
#define CNN_FAULTS_WORLD_H

#include <stdint.h>

#include "models.h"

#define INPUTS 150
#define HIDDEN 70
#define OUTPUTS 10
#define ROWS 300
#define BATCH 60
#define SHARDS 4
#define PARAMETERS ((INPUTS + 1) * HIDDEN + (HIDDEN + 1) * OUTPUTS)
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* Samples, whose last columns are mostly 0. */
extern float x32[ROWS * INPUTS], dy32[ROWS * OUTPUTS];
extern double x64[ROWS * INPUTS], dy64[ROWS * OUTPUTS];
extern size_t order[ROWS];

typedef struct world {
    cnn_dtype dtype;
    cnn_optimizer_kind optimizer;
    size_t threads;
    cnn_network *network, *made;
    cnn_trainer *trainer, *made_trainer;
    cnn_network *table; /* reads `table_data` */
    cnn_trainer *table_trainer;
    cnn_tape *tape, *made_tape;
    cnn_shard_tree *tree, *made_tree;
    void *bytes, *made_bytes;
    size_t size, made_size;
    cnn_data data, table_data;
    cnn_result result;
    double value;
    union {
        float f32[ROWS * OUTPUTS * INPUTS];
        double f64[ROWS * OUTPUTS * INPUTS];
    } y;
    size_t y_bytes; /* what of y is a result */
} world;

extern const cnn_loss cross_entropy;
enum { LAYERS = 4 };
extern const cnn_layer network_layers[LAYERS];
/* Columns of all kinds, of which an embedding has its own path in training. */
enum { TABLE_LAYERS = 6, TABLE_INPUTS = 6, TABLE_FEATURES = 2 + 3 + 1 + 3 + 2, TABLE_HIDDEN = 8 };
extern const cnn_layer table_layers[TABLE_LAYERS];

void make_samples(void);
world *make_world(cnn_dtype dtype, int optimizer, size_t threads);
void destroy_world(world *w);
/* Destroy what a call has made. */
void forget_made(world *w);
/* What a call would have made is not there after its failure. */
int leaves_no_handle(const world *w);

/* The state of all handles that a call was given. */
uint64_t hash_before(const world *w);
/* All that a call that succeeded has made or changed. */
uint64_t hash_after(const world *w);

size_t real_size(const world *w);
/* The inputs, or with `other` those of the other type. */
cnn_matrix samples(const world *w, int other);
/* The inputs of the network for tables. */
cnn_matrix table_samples(const world *w);
/* Gradients of the outputs. */
cnn_matrix changes(const world *w);
/* Numbers of the network's type. */
const void *numbers(const world *w);
cnn_optimizer settings(const world *w);

#endif
