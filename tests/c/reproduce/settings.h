/*
 * The settings of a run: words KEY=VALUE, separated by spaces; a value's parts by colons.
 *
 *   inputs rows batch epochs       31, 60, 25 and 2 if they are not given
 *   layers                         separated by commas: dense:OUTPUTS:ACTIVATION[:l2=X][:alpha=X]
 *                                  [:ntk], dropout:RATE, standardize, columns, scale,
 *                                  parametric:ACTIVATION
 *   init                           torch if not given
 *   loss                           NAME[:labels][:delta=X][:smoothing=X][:quantiles=X,X...]
 *                                  [:classes]; the last for the class weights 1, 0.5, 2, 0, 1.5,
 *                                  1, ...
 *   optimizer                      NAME[:clip=X]; adam if not given
 *   weights=1                      with sample weights
 *   zeros=1                        five of six inputs are 0
 *   shards                         train in so many shards
 */
#ifndef CNN_REPRODUCE_SETTINGS_H
#define CNN_REPRODUCE_SETTINGS_H

#include <stdbool.h>

#include "cnn/cnn.h"

enum { MOST_LAYERS = 8, MOST_CLASSES = 8, MOST_COLUMNS = 64 };

typedef struct settings {
    size_t inputs, outputs, rows, batch, epochs, shards, count;
    cnn_layer layers[MOST_LAYERS];
    cnn_column columns[MOST_COLUMNS]; /* of a first layer `columns`: five kinds in turn */
    cnn_initializer init;
    cnn_loss loss;
    double class_weight[MOST_CLASSES], quantiles[MOST_CLASSES];
    cnn_optimizer optimizer;
    bool weights, zeros;
} settings;

/* Read settings; a word that is not known ends the program. */
void settings_read(const char *text, settings *to);

/*
 * Samples made of integers alone: x (rows, inputs), and t of labels or of rows. Freed by free(). Of
 * columns with categories x has codes, some of which are not known, and of others some are missing.
 */
typedef struct samples {
    float *x, *t, *weight;
    uint8_t *labels;
    cnn_data data;
} samples;

void samples_make(const settings *of, samples *to);
void samples_free(samples *made);

/* Number i of stream `stream`: a multiple of 2^-23 from 0 to 1, without 1. */
float sample_number(uint32_t stream, size_t i);

#endif
