/* Sums over shards: what libcnn itself needs of a tree beside the public functions. */
#ifndef CNN_SHARD_TREE_H
#define CNN_SHARD_TREE_H

#include "base/error.h"

/* Numbers of a vector that a task works on. */
#define CNN_SHARD_PIECE ((size_t)1 << 15)

/* Check that shard `shard` alone can be the next node of a tree with vectors of `count` numbers. */
cnn_status cnn_shard_tree_check_next(const cnn_shard_tree *tree, size_t shard, cnn_dtype dtype,
                                     size_t count);

/* Where the vector of the next node goes; NULL with the error set if memory is short. */
void *cnn_shard_tree_next(cnn_shard_tree *tree);

/* Add the node of shard `shard`, whose vector has been written there. */
void cnn_shard_tree_push(cnn_shard_tree *tree, size_t shard, const double *sums);

#endif
