# Losses. Needs base.pxi: check, index_of, initialize_once, LOSS_NUMBERS; arrays.pxi: check_rank,
# has_shape, is_single, matrix_of, no_matrix, numeric_array, pinned, pins, real_array, shape_of.

@cython.final
cdef class Loss:
    """A loss and its settings; targets are class numbers if `labels`, else rows."""

    cdef cnn_loss loss
    cdef readonly str kind
    cdef cnp.ndarray class_weight, quantiles
    cdef bint initialized

    def __cinit__(self, kind, *, labels=False, delta=1.0, label_smoothing=0.0, class_weight=None,
                  quantiles=None):
        self.loss.struct_size = sizeof(cnn_loss)
        self.loss.kind = <cnn_loss_kind>index_of(LOSS_NUMBERS, kind, "loss: kind")
        self.loss.target = CNN_TARGET_LABELS if labels else CNN_TARGET_ROWS
        self.loss.delta = delta
        self.loss.label_smoothing = label_smoothing
        self.kind = kind
        self.class_weight = self.quantiles = None
        self.loss.class_weight = self.loss.quantiles = NULL
        if class_weight is not None:
            self.class_weight = own_doubles(class_weight, "class_weight")
            self.loss.class_weight = <const double *>cnp.PyArray_DATA(self.class_weight)
        if quantiles is not None:
            self.quantiles = own_doubles(quantiles, "quantiles")
            self.loss.quantiles = <const double *>cnp.PyArray_DATA(self.quantiles)

    def __init__(self, *args, **kwargs):
        initialize_once(self, &self.initialized, "Loss")

    cdef int check_outputs(self, size_t outputs, str where) except -1:
        """Refuse a wrong number of class weights or quantiles, which C cannot know."""
        cdef cnp.npy_intp shape = outputs
        if self.class_weight is not None and not has_shape(self.class_weight, 1, &shape):
            raise ValueError(
                f"{where}: class_weight has shape {shape_of(self.class_weight)}, should be "
                f"({outputs},) for {outputs} classes"
            )
        if self.quantiles is not None and not has_shape(self.quantiles, 1, &shape):
            raise ValueError(
                f"{where}: quantiles has shape {shape_of(self.quantiles)}, should be "
                f"({outputs},) for {outputs} outputs"
            )
        return 0


cdef cnp.ndarray own_doubles(value, str name):
    """A copy, because others could resize or change an array that they also refer to."""
    cdef cnp.ndarray given = numeric_array(value, "loss", name)
    return np.array(real_array(given, cnp.NPY_FLOAT64), order="C", ndmin=1)


# The name of the function of a loss, if it is not the loss's.
cdef dict FUNCTION_NAMES = {"quantile": "quantile_loss"}
# The name of its first argument, if it is not `logits`.
cdef dict OUTPUT_NAMES = {
    "squared_error": "y",
    "huber": "y",
    "poisson": "log_rate",
    "absolute_error": "y",
    "quantile": "y",
}


def loss_gradient(Loss loss not None, z, t, sample_weight):
    cdef str where = FUNCTION_NAMES.get(loss.kind, loss.kind)
    cdef str name = OUTPUT_NAMES.get(loss.kind, "logits")
    cdef list hold = pins(z, t, sample_weight)
    cdef cnp.ndarray given = numeric_array(z, where, name, hold)
    cdef cnp.ndarray targets = numeric_array(t, where, "t", hold)
    cdef cnp.ndarray weights = None
    if sample_weight is not None:
        weights = numeric_array(sample_weight, where, "sample_weight", hold)
    cdef cnp.ndarray array = real_array(given)
    hold = pinned(array, targets, weights)
    cdef int ndim = cnp.PyArray_NDIM(array), type_number = cnp.PyArray_TYPE(array)
    if ndim != 1:
        check_rank(array, 2, where, name)
    cdef cnn_matrix mt = matrix_of(targets, where, "t", True)
    cdef cnn_matrix mw = no_matrix()
    if weights is not None:
        check_rank(weights, 1, where, "sample_weight")
        mw = matrix_of(weights, where, "sample_weight", True)
    cdef size_t rows = array.shape[0], cols = array.shape[1] if ndim == 2 else 1
    loss.check_outputs(cols, where)
    cdef cnp.ndarray gradient = cnp.PyArray_EMPTY(ndim, array.shape, type_number, 0)
    cdef double value = 0
    cdef bint single = is_single(array)
    cdef void *p = cnp.PyArray_DATA(array)
    cdef void *to = cnp.PyArray_DATA(gradient)
    cdef cnn_status status
    with nogil:
        if single:
            status = cnn_loss_gradient_f32(
                &loss.loss, rows, cols, <const float *>p, cols, &mt, &mw, &value, <float *>to)
        else:
            status = cnn_loss_gradient_f64(
                &loss.loss, rows, cols, <const double *>p, cols, &mt, &mw, &value, <double *>to)
    check(status, where)
    return value, gradient
