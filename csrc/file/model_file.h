/*
 * Model files, for model_file_*.c alone. A file is
 *
 *     8 bytes    N, the size of the header, little-endian
 *     N bytes    the header: JSON, padded with spaces so that the data begin at a multiple of 64
 *     the rest   the data of all tensors, one after the other without gaps, little-endian
 *
 * which is the format of safetensors. The header is an object with an entry for each tensor,
 *
 *     "layers.0.weight": {"dtype": "F32", "shape": [784, 50], "data_offsets": [0, 156800]}
 *
 * and "__metadata__", an object whose values are strings:
 *
 *     "format"          "cnn"
 *     "format_version"  "1"
 *     "architecture"    JSON: {"dtype": "float32", "seed": "7", "layers": [
 *                           {"kind": "dense", "inputs": 784, "outputs": 50,
 *                            "activation": "relu", "l2": 0},
 *                           {"kind": "dense", "inputs": 50, "outputs": 10,
 *                            "activation": "elu", "l2": 0, "alpha": 0.5},
 *                           {"kind": "dropout", "rate": 0.5}]}; the first may be
 *                           {"kind": "standardize", "inputs": 784} or
 *                           {"kind": "columns", "columns": [{"kind": "periodic", "missing": 1},
 *                            {"kind": "one_hot", "categories": 3}, ...], "clip": 3,
 *                            "frequencies": 16, "periodic_size": 4, "embedding_size": 0};
 *                           {"kind": "scale", "inputs": 7} and
 *                           {"kind": "parametric_activation", "inputs": 50, "activation": "mish"}
 *                           are others; a dense layer may have "parametrization": "ntk"
 *     "optimizer"       only with a trainer; JSON: {"kind": "adam", "steps": "600",
 *                           "momentum": 0, "beta1": 0.9, ...}, and "beta1_power" and
 *                           "beta2_power" if cnn_trainer_needs_powers, and "groups": [0, 1, ...]
 *                           for each trained tensor if one of them is in another group than 0
 *     "user.KEY"        the value of the network's metadata KEY
 *     any other         the same, from another program; written again as it was
 *
 * Tensors are layers.I.weight (inputs, outputs) and layers.I.bias (outputs), and so on as
 * CNN_PARAMETERS in cnn.h says, where I counts all layers of "layers", and for those that are
 * trained optimizer.S.layers.I.weight and so on for each slot S of the optimizer. Keys and the
 * tensors' data may be in any order. Integers that may exceed 2^53 are strings, since many
 * readers of JSON keep numbers as doubles.
 */
#ifndef CNN_MODEL_FILE_H
#define CNN_MODEL_FILE_H

#include <inttypes.h>
#include <stdio.h>

#include "base/convert.h"
#include "base/names.h"
#include "file/json.h"
#include "model/network.h"

#define CNN_MODEL_FORMAT "cnn"
#define CNN_MODEL_FORMAT_VERSION "1"
/* That of files with several networks, which the Python package writes and reads (cnn/_model/
 * several.py). */
#define CNN_MODEL_FORMAT_SEVERAL "cnn_networks"

/* The prefix of keys of the user's metadata. */
#define CNN_MODEL_USER "user."

/* The numbers of an optimizer that a file keeps: X(field of cnn_optimizer). */
#define CNN_MODEL_OPTIMIZER_NUMBERS(X)                                                             \
    X(momentum)                                                                                    \
    X(beta1)                                                                                       \
    X(beta2)                                                                                       \
    X(alpha)                                                                                       \
    X(eps)                                                                                         \
    X(weight_decay)                                                                                \
    X(clip_norm)

enum {
    CNN_MODEL_HEADER_MAX = 100000000, /* the limit of safetensors */
    CNN_MODEL_ALIGNMENT = 64,
    CNN_MODEL_USER_MAX = 10000, /* keys of metadata */
    CNN_MODEL_NAME_SIZE = 80    /* room for a tensor's name */
};

/* A tensor. Only the reader uses the fields from `dtype` on. */
typedef struct cnn_model_tensor {
    size_t group; /* 0 for the network's own parameters, 1 + S for slot S of the optimizer */
    size_t layer; /* among all layers */
    cnn_parameter parameter;
    unsigned dimensions;
    uint64_t shape[2];
    uint64_t begin, end; /* in the data section */
    const char *dtype;
} cnn_model_tensor;

/* An entry of metadata; foreign if its key in the file has no prefix. */
typedef struct cnn_model_user {
    const char *key, *value;
    bool foreign;
} cnn_model_user;

/*
 * The contents of a file's header. The arrays are as long as they need to be: a text is read twice,
 * first to count what it has.
 */
typedef struct cnn_model_header {
    cnn_json json; /* owns the strings */
    const char *architecture, *optimizer_text;
    cnn_dtype dtype;
    uint64_t seed;
    size_t layer_count;
    cnn_layer *layers;   /* NULL while they are counted; so are the other arrays */
    size_t column_count; /* of the first layer */
    bool has_optimizer;
    cnn_optimizer optimizer;
    uint64_t steps;
    double powers[2]; /* of beta1 and beta2; 0 if the file has none */
    bool has_powers;
    size_t group_count;
    unsigned char *groups; /* of tensors that are trained; NULL if the file has none */
    size_t tensor_count;
    cnn_model_tensor *tensors;
    size_t user_count;
    cnn_model_user *user;
    char *texts; /* of `user`, after cnn_model_header_shrink */
} cnn_model_header;

/* The number of first bytes of a file that cnn_model_header_size reads. */
enum { CNN_MODEL_START = 9 };

/*
 * Read the size of the header from the first CNN_MODEL_START bytes of a file of `size` bytes, or
 * from all bytes of a smaller one. It is at most CNN_MODEL_HEADER_MAX and lies within the file,
 * else the call fails.
 */
cnn_status cnn_model_header_size(const unsigned char *bytes, size_t size, size_t *header_size);

/*
 * Read a header of `size` bytes: first its tensors and metadata, then what the metadata say of
 * layers and optimizer, for which the text is not needed any more. The form of the header is
 * checked, but not whether its parts fit together. O(size log size) time, O(size) memory. The
 * caller always calls cnn_model_header_free.
 */
cnn_status cnn_model_header_read(const void *text, size_t size, cnn_model_header *header);
cnn_status cnn_model_header_read_network(cnn_model_header *header);
/* Free all strings but those of `user`: cnn_model_tensor.dtype is not valid any more. */
cnn_status cnn_model_header_shrink(cnn_model_header *header);
void cnn_model_header_free(cnn_model_header *header);

static inline const char *cnn_model_tensor_name(const cnn_model_tensor *tensor,
                                                char name[CNN_MODEL_NAME_SIZE])
{
    const char *parameter = cnn_parameter_name((int)tensor->parameter);
    if (tensor->group == 0)
        (void)snprintf(name, CNN_MODEL_NAME_SIZE, "layers.%zu.%s", tensor->layer, parameter);
    else
        (void)snprintf(name, CNN_MODEL_NAME_SIZE, "optimizer.%zu.layers.%zu.%s", tensor->group - 1,
                       tensor->layer, parameter);
    return name;
}

/* Bytes of an element, and the names of the type in the architecture and in the tensors. */
static inline size_t cnn_model_real_size(cnn_dtype dtype)
{
    return dtype == CNN_FLOAT64 ? sizeof(double) : sizeof(float);
}

static inline const char *cnn_model_dtype_name(cnn_dtype dtype)
{
    return dtype == CNN_FLOAT64 ? "float64" : "float32";
}

static inline const char *cnn_model_tensor_dtype(cnn_dtype dtype)
{
    return dtype == CNN_FLOAT64 ? "F64" : "F32";
}

#endif
