/* Targets and weights of samples: checked, and read for a batch of rows. */
#ifndef CNN_SAMPLES_H
#define CNN_SAMPLES_H

#include "model/loss.h"
#include "model/network.h"

/*
 * Where cnn_samples_read puts a batch: labels or t, as loss->target says. Class weights with label
 * smoothing weigh each class of a row by itself: t then has (1 - s) w_label at the label, and
 * s / outputs times the class weight added everywhere, both divided by a power of 2 that is in the
 * factor, and the loss is that of a row of targets.
 */
typedef struct cnn_targets {
    int64_t *labels; /* (rows) */
    void *t;         /* (rows, outputs) of the network's type, row stride t_row */
    size_t t_row;
    double *weight; /* (rows): sample weight times class weight, by whose sum a batch is divided */
    double *factor; /* (rows): what a row's loss is multiplied by: the weight, or if t has the
                       class weights, the sample weight */
} cnn_targets;

/* Check a public matrix: struct_size, type, data and shape. `name` is for the message. */
cnn_status cnn_matrix_check(const cnn_matrix *matrix, const char *name, size_t rows, size_t cols);

/* Check targets and weights against `rows` rows and `outputs` outputs; shapes, not values. */
cnn_status cnn_samples_check(const cnn_loss *loss, const cnn_matrix *t,
                             const cnn_matrix *sample_weight, size_t rows, size_t outputs);

/* Space for a call's structs if the caller's are older. */
typedef struct cnn_call_structs {
    cnn_loss loss;
    cnn_data data;
} cnn_call_structs;

/*
 * Check a caller's samples and loss against a network: structs, shapes, and that loss and output
 * suit. *loss and *data are then whole structs, the caller's or those of `space`.
 */
cnn_status cnn_network_check(const cnn_network *network, const cnn_loss **loss,
                             const cnn_data **data, cnn_call_structs *space);

/*
 * Read rows index[0], index[1], ... (first, first + 1, ... if index is NULL). Fails on a label
 * outside 0 to outputs - 1 and on a weight that is not from 0 to CNN_LARGEST_WEIGHT.
 */
cnn_status cnn_samples_read(const cnn_loss *loss, const cnn_matrix *t,
                            const cnn_matrix *sample_weight, size_t outputs, cnn_dtype dtype,
                            const size_t *index, size_t first, size_t count,
                            const cnn_targets *targets);

/* The sample weights of these rows alone, as cnn_samples_read reads them first. */
cnn_status cnn_sample_weight_read(const cnn_matrix *sample_weight, const size_t *index,
                                  size_t first, size_t count, const cnn_targets *targets);

/* How many of the first n rows count: those that a factor of 0 does not leave out. */
size_t cnn_targets_counted(const cnn_targets *targets, size_t n);

/*
 * Check rows of targets as cnn_samples_read has read them, with the same arguments: finite in the
 * network's type, and in the range of the loss. Labels are checked as they are read.
 */
cnn_status cnn_targets_check(const cnn_loss *loss, const cnn_matrix *t, size_t outputs,
                             cnn_dtype dtype, const size_t *index, size_t first, size_t count,
                             const cnn_targets *targets);

/* Fail for the number of a matrix that should be finite in type `dtype` and is not. */
cnn_status cnn_fail_number(cnn_status status, const char *name, const cnn_matrix *matrix,
                           cnn_dtype dtype, size_t row, size_t col, const char *should);

/* Refuse weights with this sum, of which no mean can be made; they are those of all rows. */
cnn_status cnn_weights_check(const cnn_loss *loss, const cnn_matrix *sample_weight, double total);

/*
 * Check the caller's `result`, and begin *made with what it holds if the call goes on with a pass,
 * else with zeros; at the end of the call write what it made to `result`.
 */
cnn_status cnn_result_begin(const cnn_result *result, cnn_result *made);
void cnn_result_end(cnn_result *result, const cnn_result *made);

/*
 * What the kernel takes of the loss and of the targets of rows `first`, ...; the caller adds z,
 * where results go, and scale if a gradient is wanted.
 */
cnn_loss_rows cnn_targets_loss(const cnn_loss *loss, const cnn_targets *targets, cnn_dtype dtype,
                               size_t first);

/*
 * The sum of the weights, and what each row's gradient is scaled by: its factor, or if the gradient
 * is to be a mean, its share of the sum. If all weights are 0, so are the shares: the batch has the
 * loss and gradient of the penalties alone.
 */
double cnn_weights_scale(size_t n, const cnn_targets *targets, bool mean, double *scale);

/* The loss of a batch: the mean of rows whose losses and weights add up to these, and penalties. */
double cnn_loss_mean(const cnn_network *network, double losses, double weights);

/*
 * Sums in float64 with 16 lanes (numerics contract, rules 4 and 5), which may come in pieces.
 */
typedef struct cnn_lanes {
    double lane[16];
    size_t count; /* of the numbers so far */
} cnn_lanes;
void cnn_lanes_add(cnn_lanes *lanes, size_t n, const double *x);
/* The same for products x[i] * y[i]. */
void cnn_lanes_add_products(cnn_lanes *lanes, size_t n, const double *x, const double *y);
double cnn_lanes_total(const cnn_lanes *lanes);

#endif
