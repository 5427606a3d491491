/* Loops that ask a network about one row: through libcnn, and through headers made of it. */
#include <stdlib.h>

#include "cnn/cnn.h"
#include "fast.h"
#include "strict.h"

/* The compiler must not see that the row is the same each time. */
static const float *volatile row;

int through_libcnn(const cnn_network *network, size_t count, const float *x, float *y);
int through_header(const cnn_network *network, size_t count, const float *x, float *y);
int through_fast_header(const cnn_network *network, size_t count, const float *x, float *y);

int through_libcnn(const cnn_network *network, size_t count, const float *x, float *y)
{
    const size_t size = cnn_network_workspace_size(network, 1);
    void *workspace = malloc(size);
    int wrong = workspace == NULL;
    row = x;
    for (size_t i = 0; i < count && !wrong; i++)
        wrong = cnn_network_predict_f32(network, 1, row, STRICT_INPUTS, y, STRICT_OUTPUTS,
                                        workspace, size) != CNN_OK;
    free(workspace);
    return wrong;
}

int through_header(const cnn_network *network, size_t count, const float *x, float *y)
{
    (void)network;
    row = x;
    for (size_t i = 0; i < count; i++)
        strict_predict(row, y);
    return 0;
}

int through_fast_header(const cnn_network *network, size_t count, const float *x, float *y)
{
    (void)network;
    row = x;
    for (size_t i = 0; i < count; i++)
        fast_predict(row, y);
    return 0;
}
