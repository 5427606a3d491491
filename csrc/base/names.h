/* An activation with its number, as the floors hand it down. */
#ifndef CNN_NAMES_H
#define CNN_NAMES_H

#include "cnn/cnn.h"

/* h. Zeros are the identity. */
typedef struct cnn_activation_spec {
    cnn_activation kind;
    double alpha; /* 0 if the activation has no number */
} cnn_activation_spec;

/* The activation with this number, or with its default for 0. */
cnn_activation_spec cnn_activation_with(cnn_activation kind, double alpha);

/* Whether an activation of the list may have this number; `where` begins the message. */
cnn_status cnn_activation_check_alpha(const char *where, cnn_activation kind, double alpha);

#endif
