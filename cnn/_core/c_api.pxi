# The functions for other compiled modules, which __init__.pxd declares. Needs no other part.

from libc.math cimport NAN
from libc.string cimport strcmp


cdef const char *last_error() noexcept nogil:
    return cnn_last_error()


cdef int activation_number(const char *name) noexcept nogil:
    cdef int number = 0
    if name == NULL:
        return -1
    while cnn_activation_name(number) != NULL:
        if strcmp(name, cnn_activation_name(number)) == 0:
            return number
        number += 1
    return -1


cdef int dense_forward_f32(
    size_t rows, size_t inputs, size_t outputs, const float *x, size_t x_stride,
    const float *weight, const float *bias, int activation, float *y, size_t y_stride
) noexcept nogil:
    return cnn_dense_forward_f32(
        rows, inputs, outputs, x, x_stride, weight, bias, <cnn_activation>activation, y, y_stride)


cdef int dense_forward_f64(
    size_t rows, size_t inputs, size_t outputs, const double *x, size_t x_stride,
    const double *weight, const double *bias, int activation, double *y, size_t y_stride
) noexcept nogil:
    return cnn_dense_forward_f64(
        rows, inputs, outputs, x, x_stride, weight, bias, <cnn_activation>activation, y, y_stride)


cdef int dense_backward_f32(
    size_t rows, size_t inputs, size_t outputs, const float *dy, const float *x,
    const float *weight, float *dx, float *dweight, float *dbias
) noexcept nogil:
    return cnn_dense_backward_f32(rows, inputs, outputs, dy, x, weight, dx, dweight, dbias)


cdef int dense_backward_f64(
    size_t rows, size_t inputs, size_t outputs, const double *dy, const double *x,
    const double *weight, double *dx, double *dweight, double *dbias
) noexcept nogil:
    return cnn_dense_backward_f64(rows, inputs, outputs, dy, x, weight, dx, dweight, dbias)


cdef int activation_forward_f32(
    int activation, size_t rows, size_t cols, const float *x, size_t x_stride, float *y,
    size_t y_stride
) noexcept nogil:
    return cnn_activation_forward_f32(
        <cnn_activation>activation, rows, cols, x, x_stride, y, y_stride)


cdef int activation_forward_f64(
    int activation, size_t rows, size_t cols, const double *x, size_t x_stride, double *y,
    size_t y_stride
) noexcept nogil:
    return cnn_activation_forward_f64(
        <cnn_activation>activation, rows, cols, x, x_stride, y, y_stride)


cdef int activation_backward_f32(
    int activation, size_t rows, size_t cols, const float *dy, const float *source, float *dx
) noexcept nogil:
    return cnn_activation_backward_f32(<cnn_activation>activation, rows, cols, dy, source, dx)


cdef int activation_backward_f64(
    int activation, size_t rows, size_t cols, const double *dy, const double *source, double *dx
) noexcept nogil:
    return cnn_activation_backward_f64(<cnn_activation>activation, rows, cols, dy, source, dx)


cdef int log_softmax_forward_f32(
    size_t rows, size_t cols, const float *x, size_t x_stride, float *y, size_t y_stride
) noexcept nogil:
    return cnn_log_softmax_forward_f32(rows, cols, x, x_stride, y, y_stride)


cdef int log_softmax_forward_f64(
    size_t rows, size_t cols, const double *x, size_t x_stride, double *y, size_t y_stride
) noexcept nogil:
    return cnn_log_softmax_forward_f64(rows, cols, x, x_stride, y, y_stride)


cdef size_t network_inputs(const void *network) noexcept nogil:
    return cnn_network_inputs(<const cnn_network *>network)


cdef size_t network_outputs(const void *network) noexcept nogil:
    return cnn_network_outputs(<const cnn_network *>network)


cdef size_t network_workspace_size(const void *network, size_t rows) noexcept nogil:
    return cnn_network_workspace_size(<const cnn_network *>network, rows)


cdef int network_predict_f32(
    const void *network, size_t rows, const float *x, size_t x_stride, float *y, size_t y_stride,
    void *workspace, size_t workspace_size
) noexcept nogil:
    return cnn_network_predict_f32(
        <const cnn_network *>network, rows, x, x_stride, y, y_stride, workspace, workspace_size)


cdef int network_predict_f64(
    const void *network, size_t rows, const double *x, size_t x_stride, double *y,
    size_t y_stride, void *workspace, size_t workspace_size
) noexcept nogil:
    return cnn_network_predict_f64(
        <const cnn_network *>network, rows, x, x_stride, y, y_stride, workspace, workspace_size)


cdef double network_value_f64(int n, double *x, void *network) noexcept nogil:
    cdef const cnn_network *called = <const cnn_network *>network
    cdef double y = NAN
    if n < 0 or cnn_network_inputs(called) != <size_t>n or cnn_network_outputs(called) != 1:
        return NAN
    # libcnn refuses a float32 network and does not write y.
    cnn_network_predict_f64(called, 1, x, <size_t>n, &y, 1, NULL, 0)
    return y
