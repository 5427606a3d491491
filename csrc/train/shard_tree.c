/*
 * Sums over shards in the order of a fixed binary tree (numerics contract, rule 9). On level 0 the
 * nodes are the shards. On each next level they are the sums of pairs of neighbours, and an odd one
 * at the end is carried. So a node covers the shards from i 2^k to (i + 1) 2^k - 1, as far as there
 * are so many, and what it sums to depends on these alone.
 *
 * A tree keeps a stack of nodes that lie side by side. The upper two are added as soon as they are
 * siblings, so that the stack holds at most two nodes of each level.
 */
#include "train/shard_tree.h"

#include <stdlib.h>
#include <string.h>

#include "base/convert.h"
#include "base/platform.h"
#include "base/threads.h"
#include "kernels/dispatch.h"
#include "run/plan.h"

/* The most nodes: on each level one at the left end and one at the right end; and the next one. */
#define MOST_NODES (2 * 8 * sizeof(size_t) + 1)

struct node {
    size_t first, last; /* shards first, ..., last - 1 */
    double sums[CNN_SHARD_SUMS];
};

struct cnn_shard_tree {
    cnn_dtype dtype;
    size_t count, shards, nodes;
    struct node node[MOST_NODES];
    void *vector[MOST_NODES]; /* of each node; allocated when first needed */
};

cnn_status cnn_shard_tree_create(cnn_dtype dtype, size_t count, size_t shards,
                                 cnn_shard_tree **tree)
{
    if (!tree)
        return cnn_fail(CNN_ERROR_ARGUMENT, "tree is NULL");
    if (dtype != CNN_FLOAT32 && dtype != CNN_FLOAT64)
        return cnn_fail(CNN_ERROR_TYPE, "dtype is %d, should be CNN_FLOAT32 or CNN_FLOAT64",
                        (int)dtype);
    if (shards == 0 || shards > CNN_MOST_SHARDS)
        return cnn_fail(CNN_ERROR_ARGUMENT, "shards is %zu, should be 1 to %d", shards,
                        CNN_MOST_SHARDS);
    if (count > SIZE_MAX / sizeof(double))
        return cnn_fail(CNN_ERROR_MEMORY, "count is %zu, which overflows", count);
    cnn_shard_tree *made = calloc(1, sizeof *made);
    if (!made)
        return cnn_fail(CNN_ERROR_MEMORY, "out of memory for sums over shards");
    made->dtype = dtype;
    made->count = count;
    made->shards = shards;
    *tree = made;
    return CNN_OK;
}

void cnn_shard_tree_destroy(cnn_shard_tree *tree)
{
    if (!tree)
        return;
    for (size_t i = 0; i < MOST_NODES; i++)
        cnn_platform_free(tree->vector[i]);
    free(tree);
}

cnn_status cnn_shard_tree_reset(cnn_shard_tree *tree)
{
    if (!tree)
        return cnn_fail(CNN_ERROR_ARGUMENT, "tree is NULL");
    tree->nodes = 0;
    return CNN_OK;
}

/* ---- Vectors ----------------------------------------------------------------------------- */

struct addition {
    const cnn_kernels *kernels;
    size_t count, size;
    char *sum;
    const char *other;
};

/* sum += other: the step of SGD with the rate -1 does it, and rounds once. */
static void add_piece(void *context, size_t index, size_t worker)
{
    const struct addition *a = context;
    const size_t first = index * CNN_SHARD_PIECE;
    const size_t n = cnn_min(CNN_SHARD_PIECE, a->count - first);
    (void)worker;
    const cnn_update update = {
        .kind = CNN_SGD,
        .rows = 1,
        .cols = n,
        .g = a->other + first * a->size,
        .g_row = n,
        .w = a->sum + first * a->size,
        .w_row = n,
        .clip = 1,
        .lr = -1,
    };
    a->kernels->update(&update);
}

static void add_vector(const cnn_shard_tree *tree, void *sum, const void *other)
{
    struct addition a = {cnn_dispatch(tree->dtype), tree->count, cnn_dtype_size(tree->dtype), sum,
                         other};
    const size_t tasks = cnn_pieces(tree->count, CNN_SHARD_PIECE);
    const cnn_machine machine = cnn_machine_now();
    const double bytes = 3.0 * (double)tree->count * (double)a.size;
    cnn_parallel(tasks, cnn_plan_copy_threads(&machine, tasks, bytes), add_piece, &a);
}

void *cnn_shard_tree_next(cnn_shard_tree *tree)
{
    void **vector = &tree->vector[tree->nodes];
    if (!*vector)
        *vector = cnn_platform_allocate(cnn_max(tree->count, 1) * cnn_dtype_size(tree->dtype));
    if (!*vector)
        cnn_fail(CNN_ERROR_MEMORY, "out of memory for %zu sums over shards", tree->count);
    return *vector;
}

/* ---- Nodes ------------------------------------------------------------------------------- */

/* Whether nodes `left` and the one after it have the same parent. */
static bool are_siblings(const cnn_shard_tree *tree, const struct node *left)
{
    const struct node *right = left + 1;
    const size_t size = left->last - left->first;
    const bool whole = (size & (size - 1)) == 0;
    return whole && left->first % (2 * size) == 0 &&
           right->last == cnn_min(left->first + 2 * size, tree->shards);
}

/* Whether a level of the tree has a node of shards first, ..., last - 1. */
static bool is_node(const cnn_shard_tree *tree, size_t first, size_t last)
{
    size_t size = 1;
    while (size < last - first)
        size *= 2;
    return first % size == 0 && last == cnn_min(first + size, tree->shards);
}

static void add_sums(double *sums, const double *other)
{
    for (int i = 0; i < CNN_SHARD_SUMS; i++)
        sums[i] += other[i];
}

/*
 * Add a node. Its vector is `vector`, or if that is NULL, it has been written where
 * cnn_shard_tree_next says.
 */
static void push(cnn_shard_tree *tree, const struct node *added, const void *vector)
{
    struct node *node = &tree->node[tree->nodes];
    *node = *added;
    const void *right = tree->vector[tree->nodes];
    /* A vector that is added at once need not be copied. */
    if (vector && tree->nodes > 0 && are_siblings(tree, node - 1))
        right = vector;
    else if (vector)
        memcpy(tree->vector[tree->nodes], vector, tree->count * cnn_dtype_size(tree->dtype));
    tree->nodes++;
    const uint64_t before = cnn_platform_float_enter();
    while (tree->nodes > 1 && are_siblings(tree, &tree->node[tree->nodes - 2])) {
        const size_t left = tree->nodes - 2;
        add_vector(tree, tree->vector[left], right);
        right = tree->vector[left];
        add_sums(tree->node[left].sums, tree->node[left + 1].sums);
        tree->node[left].last = tree->node[left + 1].last;
        tree->nodes--;
    }
    cnn_platform_float_leave(before);
}

void cnn_shard_tree_push(cnn_shard_tree *tree, size_t shard, const double *sums)
{
    struct node node = {.first = shard, .last = shard + 1};
    memcpy(node.sums, sums, sizeof node.sums);
    push(tree, &node, NULL);
}

static cnn_status check_node(const cnn_shard_tree *tree, size_t first, size_t last)
{
    if (last > tree->shards || first >= last)
        return cnn_fail(CNN_ERROR_ARGUMENT,
                        "a node has shards %zu to %zu - 1, should have at least one of %zu", first,
                        last, tree->shards);
    if (!is_node(tree, first, last))
        return cnn_fail(CNN_ERROR_ARGUMENT, "shards %zu to %zu of %zu are no node of the tree",
                        first, last - 1, tree->shards);
    if (tree->nodes > 0 && tree->node[tree->nodes - 1].last != first)
        return cnn_fail(CNN_ERROR_ARGUMENT, "the node begins with shard %zu, should with %zu",
                        first, tree->node[tree->nodes - 1].last);
    return CNN_OK;
}

cnn_status cnn_shard_tree_check_next(const cnn_shard_tree *tree, size_t shard, cnn_dtype dtype,
                                     size_t count)
{
    if (!tree)
        return cnn_fail(CNN_ERROR_ARGUMENT, "tree is NULL");
    if (tree->dtype != dtype || tree->count != count)
        return cnn_fail(CNN_ERROR_ARGUMENT,
                        "tree has vectors of %zu numbers of %zu bytes, should have %zu of %zu",
                        tree->count, cnn_dtype_size(tree->dtype), count, cnn_dtype_size(dtype));
    if (shard >= tree->shards)
        return cnn_fail(CNN_ERROR_ARGUMENT, "shard is %zu, should be less than %zu", shard,
                        tree->shards);
    return check_node(tree, shard, shard + 1);
}

cnn_status cnn_shard_tree_add(cnn_shard_tree *tree, size_t first, size_t last, const void *vector,
                              const double *sums)
{
    if (!tree || !sums)
        return cnn_fail(CNN_ERROR_ARGUMENT, "%s is NULL", tree ? "sums" : "tree");
    if (!vector && tree->count > 0)
        return cnn_fail(CNN_ERROR_ARGUMENT, "vector is NULL");
    const cnn_status status = check_node(tree, first, last);
    if (status != CNN_OK)
        return status;
    if (!cnn_shard_tree_next(tree))
        return CNN_ERROR_MEMORY;
    struct node node = {.first = first, .last = last};
    memcpy(node.sums, sums, sizeof node.sums);
    /* A tree of sums alone has nothing to copy. */
    push(tree, &node, tree->count > 0 ? vector : NULL);
    return CNN_OK;
}

size_t cnn_shard_tree_nodes(const cnn_shard_tree *tree)
{
    return tree ? tree->nodes : 0;
}

cnn_status cnn_shard_tree_node(cnn_shard_tree *tree, size_t node, size_t *first, size_t *last,
                               void **vector, const double **sums)
{
    if (!tree)
        return cnn_fail(CNN_ERROR_ARGUMENT, "tree is NULL");
    if (node >= tree->nodes)
        return cnn_fail(CNN_ERROR_ARGUMENT, "node is %zu, the tree has %zu", node, tree->nodes);
    if (first)
        *first = tree->node[node].first;
    if (last)
        *last = tree->node[node].last;
    if (vector)
        *vector = tree->vector[node];
    if (sums)
        *sums = tree->node[node].sums;
    return CNN_OK;
}
