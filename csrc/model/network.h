/* What a network is, for the files of floor 3 alone. */
#ifndef CNN_NETWORK_H
#define CNN_NETWORK_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/platform.h"
#include "kernels/kernels.h"

/* The most rows that go through all layers together: their activations stay in the L2 cache. */
#define CNN_BLOCK_ROWS ((size_t)132)

/* A dense layer with the dropout that follows it. Pointers point into the network's memory. */
typedef struct cnn_dense {
    size_t inputs, outputs;
    cnn_activation_spec activation;
    double l2;
    double rate;                       /* dropout of its output; 0 for none */
    size_t index;                      /* among all layers: layer `index` of the public list */
    size_t dropout;                    /* index of the dropout layer; valid where rate > 0 */
    size_t weight_offset, bias_offset; /* in elements, within `parameters` and slots */
    void *weight;                      /* (inputs, outputs) row-major; see cnn_network_unpack */
    void *bias;                        /* (outputs) */
    void *packed;                      /* the weight in padded panels of kernels->panel columns */
} cnn_dense;

typedef struct cnn_metadata {
    char *key, *value;
} cnn_metadata;

struct cnn_network {
    cnn_dtype dtype;
    size_t real_size; /* bytes per element */
    const cnn_kernels *kernels;
    uint64_t seed;
    uint64_t version;   /* counts the changes of parameters, so that copies know they are old */
    size_t layer_count; /* as the user listed them, dropout included */
    cnn_layer *layers;
    size_t dense_count;
    cnn_dense *dense;
    size_t parameter_count;
    size_t parameter_span;     /* elements of `parameters` with the gaps that align each tensor */
    void *parameters;          /* all weights and biases; owns what dense[].weight points to */
    void *packed;              /* owns what dense[].packed points to */
    atomic_size_t left_behind; /* counts what cnn_network_unpack is for */
    atomic_size_t unpacked;    /* left_behind when it was last done */
    /* 2 (version + 1) + what cnn_sparse_forward_is_exact has found then. */
    atomic_uint_least64_t sparse;
    atomic_uint_least64_t unpacking; /* 1 + the process whose thread is at it, or 0 */
    size_t block_rows;               /* rows that cnn_forward_block takes, at most */
    size_t input_row;                /* elements between rows of converted inputs in its scratch */
    size_t hidden_row;               /* and between rows of activations */
    size_t metadata_count, metadata_capacity;
    cnn_metadata **metadata;        /* in the order in which the keys came */
    cnn_metadata **sorted_metadata; /* the same, sorted by key */
};

/* Free the metadata of a network, which is not used any more. */
void cnn_metadata_destroy(cnn_network *network);

/*
 * Rows of a block where `rows` rows are cut into blocks of at most `most` and each of `threads`
 * threads gets as many. Fours of rows are what tiles are made of.
 */
size_t cnn_even_block(size_t rows, size_t most, size_t threads);

/* Address of element i of an array of the network's type. */
static inline void *cnn_at(const cnn_network *network, const void *base, size_t i)
{
    return (char *)(uintptr_t)base + i * network->real_size;
}

/* Elements of a layer's packed weight. */
size_t cnn_dense_packed_span(const cnn_network *network, const cnn_dense *dense);

/* Bring a layer's packed weight up to date. */
void cnn_dense_repack(const cnn_network *network, const cnn_dense *dense);

/*
 * Copy rows [i, i + m) and columns [j, j + n) of a layer's packed weight into the row-major one; j
 * is a multiple of the panel.
 */
void cnn_dense_unpack(const cnn_network *network, const cnn_dense *dense, size_t i, size_t m,
                      size_t j, size_t n);

/*
 * A step that does not read weights in place changes their packed form alone, since writing two
 * forms would be slow. The row-major form of layers without an L2 penalty is then left behind, and
 * a reader brings it up to date first, by this; any threads may do so at once.
 */
void cnn_network_unpack(const cnn_network *network);
void cnn_network_leave_behind(cnn_network *network);

/* Copy all parameters as `parameters` has them, but current, whether or not that is left behind. */
void cnn_network_copy_parameters(const cnn_network *network, void *to);

/* Bring all packed weights up to date. */
void cnn_network_repack(const cnn_network *network);

/* The layer of a public layer index, or NULL with the error set where it is not dense. */
cnn_dense *cnn_network_dense(const cnn_network *network, size_t index);

/*
 * The distance between rows of `cols` numbers in our own buffers: whole vectors, and never near
 * a multiple of 4 KiB, at which rows would compete for the same cache sets.
 */
size_t cnn_row_span(const cnn_network *network, size_t cols);

/* Where row i and column j of a layer's packed weight are; j is a multiple of the panel. */
static inline void *cnn_dense_panel(const cnn_network *network, const cnn_dense *dense, size_t i,
                                    size_t j)
{
    return cnn_at(network, dense->packed, j * dense->inputs + i * network->kernels->panel);
}

/* How layers are run: any of these together. */
typedef enum cnn_forward_how {
    CNN_LOGITS = 1,   /* the last activation is left out */
    CNN_IN_PLACE = 2, /* weights are read where they are, and their packed forms may be old */
    CNN_SHARED = 4    /* a layer's columns may be shared among threads */
} cnn_forward_how;

/*
 * One layer for `rows` rows: out (rows, outputs) = h(in . weight + bias), h left out with
 * CNN_LOGITS. `before`, where not NULL, receives the values before h, with out's row stride. With
 * `lists`, where not NULL, products with 0 are left out.
 */
void cnn_dense_forward(const cnn_network *network, const cnn_dense *dense, size_t rows,
                       const void *in, size_t in_row, unsigned how, const cnn_lists *lists,
                       void *out, size_t out_row, void *before);

/*
 * Find how blocks of rows lie in memory: as many rows as keep the activations of a layer in the L2
 * cache. Once, when the layers are laid out, so that a call on one row need not.
 */
void cnn_forward_prepare(cnn_network *network);

/* Bytes of scratch that cnn_forward_block needs for blocks of `rows` rows. */
size_t cnn_forward_scratch(const cnn_network *network, size_t rows);

/*
 * Outputs of rows [first, first + rows) of x into y (rows, outputs), row stride y_row. `scratch` is
 * aligned to 64 bytes. Threads take part with CNN_SHARED alone.
 */
void cnn_forward_block(const cnn_network *network, const cnn_matrix *x, size_t first, size_t rows,
                       unsigned how, void *y, size_t y_row, void *scratch);

/* How many of these rows of inputs have a number that is not finite, but for rows of factor 0. */
size_t cnn_count_nonfinite(const cnn_network *network, size_t rows, const void *x, size_t x_row,
                           const double *factor);

/* Multiply-adds of one row through all layers, for the decision how many threads to use. */
double cnn_forward_work(const cnn_network *network);

/* Whether nearly all of it is in layers of many columns, which threads share as evenly as rows. */
bool cnn_forward_is_wide(const cnn_network *network);

/* The L2 penalties of all layers: sum of l2 / 2 times the squares of the weights. */
double cnn_network_penalty(const cnn_network *network);

/* Whether the loss is computed from logits, so that the last activation is left out. */
bool cnn_loss_takes_logits(const cnn_loss *loss);

/* Check samples and a loss against a network: structs, shapes, and that loss and output suit. */
cnn_status cnn_network_check(const cnn_network *network, const cnn_loss *loss,
                             const cnn_data *data);

#endif
