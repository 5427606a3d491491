# What other compiled modules call, declared in _core.pxd; included by _core.pyx.

from cpython.pycapsule cimport (
    PyCapsule_GetContext, PyCapsule_New, PyCapsule_SetContext, PyCapsule_SetName,
)
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.math cimport NAN
from libc.stdint cimport uintptr_t
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
    # A network of the other type is refused, and leaves y as it is.
    cnn_network_predict_f64(called, 1, x, <size_t>n, &y, 1, NULL, 0)
    return y


# ---- Handles -----------------------------------------------------------------------------------

cdef const char *HANDLE_NAME = "cnn_network"
cdef const char *CLOSED_NAME = "cnn_network (closed)"


cdef void release_capsule(object capsule) noexcept:
    """Let go of the network that a capsule keeps alive, once."""
    cdef void *network = PyCapsule_GetContext(capsule)
    if network != NULL:
        PyCapsule_SetContext(capsule, NULL)
        Py_DECREF(<object>network)


@cython.final
cdef class Handle:
    """A network as other compiled code sees it; keeps it alive until it is closed."""

    cdef Network network
    cdef object held

    def __cinit__(self, Network network not None):
        self.network = network
        self.held = PyCapsule_New(network.network, HANDLE_NAME, release_capsule)
        Py_INCREF(network)
        PyCapsule_SetContext(self.held, <void *>network)

    cdef int check_open(self) except -1:
        if self.network is None:
            raise ValueError("handle: it is closed, get another from the network")
        return 0

    @property
    def address(self):
        self.check_open()
        return <uintptr_t>self.network.network

    @property
    def capsule(self):
        self.check_open()
        return self.held

    @property
    def closed(self):
        return self.network is None

    def close(self):
        if self.network is None:
            return
        PyCapsule_SetName(self.held, CLOSED_NAME)
        release_capsule(self.held)
        self.held = None
        self.network = None

    def __enter__(self):
        self.check_open()
        return self

    def __exit__(self, *_):
        self.close()

    def __repr__(self):
        if self.network is None:
            return "<cnn handle, closed>"
        return f"<cnn handle of a {self.network.dtype} network at {self.address:#x}>"


def predict_address(dtype):
    """The address of libcnn's predict for a type."""
    if np.dtype(dtype).itemsize == 4:
        return <uintptr_t>&cnn_network_predict_f32
    return <uintptr_t>&cnn_network_predict_f64
