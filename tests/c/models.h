/* Layers, networks, matrices and optimizers that several C tests use, and a hash. */
#ifndef CNN_MODELS_H
#define CNN_MODELS_H

#include "cnn/cnn.h"

/* The fields of a cnn_layer: {DENSE(3, 2, CNN_TANH), .l2 = 0.1}. */
#define DENSE(in, out, h)                                                                          \
    .struct_size = sizeof(cnn_layer), .kind = CNN_LAYER_DENSE, .inputs = (in), .outputs = (out),   \
    .activation = (h)
#define DROPOUT(share) .struct_size = sizeof(cnn_layer), .kind = CNN_LAYER_DROPOUT, .rate = (share)
#define STANDARDIZE(in)                                                                            \
    .struct_size = sizeof(cnn_layer), .kind = CNN_LAYER_STANDARDIZE, .inputs = (in)

/* A network with initial weights of the seed 5; NULL if it cannot be made. */
static inline cnn_network *model_network(cnn_dtype dtype, size_t count, const cnn_layer *layers)
{
    cnn_network *network = NULL;
    cnn_status status = cnn_network_create(dtype, count, layers, 5, &network);
    for (size_t l = 0; l < count && status == CNN_OK; l++)
        if (layers[l].kind == CNN_LAYER_DENSE)
            status = cnn_network_initialize(network, l, CNN_INIT_GLOROT_UNIFORM, 0);
    if (status == CNN_OK)
        return network;
    cnn_network_destroy(network);
    return NULL;
}

/* A matrix without gaps, of numbers of `size` bytes. */
static inline cnn_matrix model_matrix(const void *data, cnn_dtype dtype, size_t rows, size_t cols,
                                      size_t size)
{
    return (cnn_matrix){.struct_size = sizeof(cnn_matrix),
                        .data = data,
                        .dtype = dtype,
                        .rows = rows,
                        .cols = cols,
                        .row_stride = (ptrdiff_t)(cols * size),
                        .col_stride = (ptrdiff_t)size};
}

/* An optimizer of any kind with usual numbers, without weight decay and clipping. */
static inline cnn_optimizer model_optimizer(cnn_optimizer_kind kind)
{
    return (cnn_optimizer){.struct_size = sizeof(cnn_optimizer),
                           .kind = kind,
                           .momentum = 0.9,
                           .beta1 = 0.9,
                           .beta2 = 0.999,
                           .alpha = 0.99,
                           .eps = 1e-8};
}

/* FNV-1a, going on from a hash, which begins with HASH_BEGIN. */
#define HASH_BEGIN UINT64_C(0xcbf29ce484222325)
static inline uint64_t hash_bytes(uint64_t hash, const void *data, size_t size)
{
    const unsigned char *byte = (const unsigned char *)data;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ byte[i]) * UINT64_C(0x100000001b3);
    return hash;
}

/* The hash of a network's file; false if it cannot be written. */
static inline int hash_network(uint64_t *hash, const cnn_network *network)
{
    void *bytes = NULL;
    size_t size = 0;
    if (cnn_network_to_bytes(network, &bytes, &size) != CNN_OK)
        return 0;
    *hash = hash_bytes(*hash, bytes, size);
    cnn_bytes_free(bytes);
    return 1;
}

#endif
