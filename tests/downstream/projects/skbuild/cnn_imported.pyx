# cython: language_level=3
from libc.stdint cimport uintptr_t

from cnn cimport network_predict_f64


def predict(size_t address, const double[::1] x, double[::1] y):
    cdef const void *network = <const void *><uintptr_t>address
    cdef int status
    with nogil:
        status = network_predict_f64(
            network, 1, &x[0], x.shape[0], &y[0], y.shape[0], NULL, 0)
    return status
