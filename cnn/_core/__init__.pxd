# The functions that `cimport cnn` gives (cnn/__init__.pxd); Cython finds them in the table of the
# compiled module, __pyx_capi__.
#
# They are functions of cnn.h, which documents them, without the prefix cnn_, and with int for
# enums. A network is the address of a Sequential's handle, valid while the handle is open. A
# function returns a status: 0, or an error, which last_error() describes.

cdef const char *last_error() noexcept nogil

# The number of an activation, such as "relu"; -1 if no activation has the name.
cdef int activation_number(const char *name) noexcept nogil

cdef int dense_forward_f32(
    size_t rows, size_t inputs, size_t outputs, const float *x, size_t x_stride,
    const float *weight, const float *bias, int activation, float *y,
    size_t y_stride) noexcept nogil
cdef int dense_forward_f64(
    size_t rows, size_t inputs, size_t outputs, const double *x, size_t x_stride,
    const double *weight, const double *bias, int activation, double *y,
    size_t y_stride) noexcept nogil
cdef int dense_backward_f32(
    size_t rows, size_t inputs, size_t outputs, const float *dy, const float *x,
    const float *weight, float *dx, float *dweight, float *dbias) noexcept nogil
cdef int dense_backward_f64(
    size_t rows, size_t inputs, size_t outputs, const double *dy, const double *x,
    const double *weight, double *dx, double *dweight, double *dbias) noexcept nogil
cdef int activation_forward_f32(
    int activation, size_t rows, size_t cols, const float *x, size_t x_stride, float *y,
    size_t y_stride) noexcept nogil
cdef int activation_forward_f64(
    int activation, size_t rows, size_t cols, const double *x, size_t x_stride, double *y,
    size_t y_stride) noexcept nogil
cdef int activation_backward_f32(
    int activation, size_t rows, size_t cols, const float *dy, const float *source,
    float *dx) noexcept nogil
cdef int activation_backward_f64(
    int activation, size_t rows, size_t cols, const double *dy, const double *source,
    double *dx) noexcept nogil
cdef int log_softmax_forward_f32(
    size_t rows, size_t cols, const float *x, size_t x_stride, float *y,
    size_t y_stride) noexcept nogil
cdef int log_softmax_forward_f64(
    size_t rows, size_t cols, const double *x, size_t x_stride, double *y,
    size_t y_stride) noexcept nogil

cdef size_t network_inputs(const void *network) noexcept nogil
cdef size_t network_outputs(const void *network) noexcept nogil
cdef size_t network_workspace_size(const void *network, size_t rows) noexcept nogil
cdef int network_predict_f32(
    const void *network, size_t rows, const float *x, size_t x_stride, float *y, size_t y_stride,
    void *workspace, size_t workspace_size) noexcept nogil
cdef int network_predict_f64(
    const void *network, size_t rows, const double *x, size_t x_stride, double *y,
    size_t y_stride, void *workspace, size_t workspace_size) noexcept nogil

# The output of a float64 network with n inputs and one output, in the form that SciPy expects of an
# integrand (scipy.LowLevelCallable); NaN for any other network.
cdef double network_value_f64(int n, double *x, void *network) noexcept nogil
