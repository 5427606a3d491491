/* An activation with its number, as the floors hand it down. */
#ifndef CNN_NAMES_H
#define CNN_NAMES_H

#include <stdbool.h>

#include "cnn/cnn.h"

/* h. Zeros are the identity. */
typedef struct cnn_activation_spec {
    cnn_activation kind;
    double alpha; /* 0 if the activation has no number */
} cnn_activation_spec;

/* The name of a constant of one of the lists in cnn.h; NULL for a value outside the list. */
const char *cnn_layer_kind_name(int kind);
const char *cnn_column_kind_name(int kind);
const char *cnn_parametrization_name(int parametrization);
const char *cnn_parameter_name(int parameter);

/* Whether a parameter of the list has two dimensions. */
bool cnn_parameter_is_matrix(cnn_parameter parameter);

/*
 * Check the number of an activation, whose kind is in the list, and give it the default in place of
 * 0. `where` begins the message.
 */
cnn_status cnn_activation_complete(const char *where, cnn_activation_spec *activation);

#endif
