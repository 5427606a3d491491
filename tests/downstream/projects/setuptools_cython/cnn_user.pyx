# cython: language_level=3
"""Calls cnn without the GIL, through its table of functions."""

from libc.stdint cimport uintptr_t
from libc.stdlib cimport free, malloc

cimport cnn


def predict(size_t address, const float[:, ::1] x, float[:, ::1] y):
    """Ask row by row, with a workspace, and return the last status."""
    cdef const void *network = <const void *><uintptr_t>address
    cdef size_t i, size = cnn.network_workspace_size(network, 1)
    cdef int status = 0
    cdef void *workspace = malloc(size)
    with nogil:
        for i in range(<size_t>x.shape[0]):
            status = cnn.network_predict_f32(
                network, 1, &x[i, 0], x.shape[1], &y[i, 0], y.shape[1], workspace, size)
            if status != 0:
                break
    free(workspace)
    return status


def shape(size_t address):
    cdef const void *network = <const void *><uintptr_t>address
    return cnn.network_inputs(network), cnn.network_outputs(network)


def activation(str name, const double[:, ::1] x, double[:, ::1] y):
    encoded = name.encode()
    cdef int number = cnn.activation_number(encoded)
    if number < 0:
        raise ValueError(name)
    cdef int status
    with nogil:
        status = cnn.activation_forward_f64(
            number, x.shape[0], x.shape[1], &x[0, 0], x.shape[1], &y[0, 0], y.shape[1])
    return status


def dense(const float[:, ::1] x, const float[:, ::1] weight, const float[::1] bias,
          float[:, ::1] y):
    cdef int status, relu = cnn.activation_number(b"relu")
    with nogil:
        status = cnn.dense_forward_f32(
            x.shape[0], x.shape[1], weight.shape[1], &x[0, 0], x.shape[1], &weight[0, 0], &bias[0],
            relu, &y[0, 0], y.shape[1])
    return status


def dense_backward(const double[:, ::1] dy, const double[:, ::1] x, const double[:, ::1] weight,
                   double[:, ::1] dx, double[:, ::1] dweight, double[::1] dbias):
    cdef int status
    with nogil:
        status = cnn.dense_backward_f64(
            x.shape[0], x.shape[1], weight.shape[1], &dy[0, 0], &x[0, 0], &weight[0, 0], &dx[0, 0],
            &dweight[0, 0], &dbias[0])
    return status


def last_error():
    return cnn.last_error().decode()
