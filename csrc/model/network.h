/* What a network is: its stages, tensors and parameters. */
#ifndef CNN_NETWORK_H
#define CNN_NETWORK_H

#include <stdatomic.h>

#include "model/shape.h"
#include "model/stage.h"

typedef struct cnn_metadata {
    char *key, *value;
    bool foreign; /* another program wrote it into the file: its key there is `key` itself */
} cnn_metadata;

struct cnn_network {
    cnn_dtype dtype;
    size_t real_size; /* bytes per element */
    const cnn_kernels *kernels;
    uint64_t seed;
    uint64_t version; /* counts the changes of parameters; see cnn_network_changed */
    size_t stage_count;
    cnn_layer *layers; /* (stage_count), as the user gave them; their columns are the network's */
    cnn_stage *stages;
    const cnn_stage *first_dense; /* the first dense stage; the last stage is the last one */
    size_t tensor_count;          /* that are trained; */
    size_t tensor_total;          /* and with the fixed ones, which come behind */
    cnn_tensor *tensors;
    size_t parameter_count; /* elements of the trained tensors, */
    size_t parameter_span;  /* with the gaps that align each, */
    size_t total_span;      /* and with the fixed tensors */
    void *parameters;       /* all tensors, row-major */
    void *panels;           /* all weights in panels */
    cnn_dense_shape *dense_shapes;
    cnn_shape shape;
    atomic_int *leaves_out; /* a cnn_known, which readers find: see nonzero.h */
    size_t metadata_count, metadata_capacity;
    cnn_metadata **metadata;        /* in the order in which the keys came */
    cnn_metadata **sorted_metadata; /* the same, sorted by key */
};

/*
 * cnn_network_create from layers that are whole, at least one, of CNN_FLOAT32 or CNN_FLOAT64. The
 * layers and their columns were allocated by malloc; they belong to the network, and are freed if
 * the call fails.
 */
cnn_status cnn_network_adopt(cnn_dtype dtype, size_t count, cnn_layer *layers, uint64_t seed,
                             cnn_network **network);

/* Check layers, at least one, and write the sizes that they may leave out; dropout has none. */
cnn_status cnn_layers_check(size_t count, cnn_layer *layers);

/* Free such layers. */
void cnn_layers_free(size_t count, cnn_layer *layers);

/* Free the metadata of a network, which is not used any more. */
void cnn_metadata_destroy(cnn_network *network);

/* cnn_network_set_metadata of a key that the network does not have, from a file or a network. */
cnn_status cnn_metadata_add(cnn_network *network, const char *key, const char *value, bool foreign);

/* Address of element i of an array of the network's type. */
static inline void *cnn_at(const cnn_network *network, const void *base, size_t i)
{
    return (char *)(uintptr_t)base + i * network->real_size;
}

static inline const cnn_stage *cnn_network_last(const cnn_network *network)
{
    return &network->stages[network->stage_count - 1];
}

/* The stage of a public layer index, or NULL with the error set if it is not dense. */
cnn_stage *cnn_network_dense(const cnn_network *network, size_t index);

/* The stage that a tensor belongs to. */
static inline const cnn_stage *cnn_tensor_stage(const cnn_network *network,
                                                const cnn_tensor *tensor)
{
    return &network->stages[tensor->layer];
}

/* Whether a tensor is the weight of the first dense stage. */
static inline bool cnn_tensor_is_first(const cnn_network *network, const cnn_tensor *tensor)
{
    return tensor->weight == &network->first_dense->weight;
}

/* The tensor of a layer that has this kind; NULL if it has none. */
cnn_tensor *cnn_network_tensor(const cnn_network *network, size_t layer, cnn_parameter kind);

/* Check the numbers of a fixed tensor: a mean is finite, and a scale finite and more than 0. */
cnn_status cnn_fixed_check(const cnn_network *network, const cnn_tensor *tensor,
                           const void *values);

/*
 * Note that parameters were changed, after the freshness of their forms was set: what was derived
 * from the numbers before is not valid any more.
 */
void cnn_network_changed(cnn_network *network);

/* Bring a form of all weights up to date. Between public calls, panels are always fresh. */
void cnn_network_refresh(cnn_network *network, cnn_form form);

/*
 * Note that a form of all weights was written. Weights with an L2 penalty, which is summed in
 * row-major order, are expected to have that form written as well.
 */
void cnn_network_wrote(cnn_network *network, cnn_form form);

/* Copy the present numbers of all trained tensors, row-major, laid out as `parameters`. Changes
 * nothing. */
void cnn_network_copy_parameters(const cnn_network *network, void *to);

/* The L2 penalties of all layers: sum of l2 / 2 times the squares of the weights. */
double cnn_network_penalty(const cnn_network *network);

/* Whether all weights, read in a form that is fresh, and all biases are finite. */
bool cnn_network_is_finite(const cnn_network *network, cnn_form form);

#endif
