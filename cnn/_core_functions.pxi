# Array functions, losses and random numbers; included by _core.pyx.

# ---- Array functions ---------------------------------------------------------------------------

cdef int split_rows(cnp.ndarray array, bint along_rows, size_t *rows, size_t *cols) except -1:
    """An array as rows of its last axis, or as one row where only elements matter."""
    rows[0] = 1
    cols[0] = array.size
    if along_rows and array.ndim > 0 and array.size > 0:
        cols[0] = array.shape[array.ndim - 1]
        rows[0] = array.size // cols[0]
    return 0


def activation(name, x, out=None):
    cdef int kind = index_of(ACTIVATIONS, name, "activation: name")
    cdef cnp.ndarray array = real_array(x, name, "x")
    if out is not None:
        check_overlap(out, x, name, "x", True)
    cdef cnp.ndarray y = target_array(out, array, (<object>array).shape, name)
    cdef size_t rows, cols
    split_rows(array, kind == CNN_SOFTMAX, &rows, &cols)
    cdef const void *source = cnp.PyArray_DATA(array)
    cdef void *to = cnp.PyArray_DATA(y)
    cdef bint single = is_single(array)
    cdef cnn_status status
    if cols > 0:
        with nogil:
            if single:
                status = cnn_activation_forward_f32(
                    <cnn_activation>kind, rows, cols, <const float *>source, cols, <float *>to,
                    cols)
            else:
                status = cnn_activation_forward_f64(
                    <cnn_activation>kind, rows, cols, <const double *>source, cols, <double *>to,
                    cols)
        check(status, name)
    return handed_back(y, out)


def log_softmax(x, out=None):
    cdef cnp.ndarray array = real_array(x, "log_softmax", "x")
    if out is not None:
        check_overlap(out, x, "log_softmax", "x", True)
    cdef cnp.ndarray y = target_array(out, array, (<object>array).shape, "log_softmax")
    cdef size_t rows, cols
    split_rows(array, True, &rows, &cols)
    cdef const void *source = cnp.PyArray_DATA(array)
    cdef void *to = cnp.PyArray_DATA(y)
    cdef bint single = is_single(array)
    cdef cnn_status status
    if cols > 0:
        with nogil:
            if single:
                status = cnn_log_softmax_forward_f32(
                    rows, cols, <const float *>source, cols, <float *>to, cols)
            else:
                status = cnn_log_softmax_forward_f64(
                    rows, cols, <const double *>source, cols, <double *>to, cols)
        check(status, "log_softmax")
    return handed_back(y, out)


def activation_backward(name, dy, source, out=None):
    cdef str where = "activation_backward"
    cdef int kind = index_of(ACTIVATIONS, name, f"{where}: name")
    cdef str given = "x" if name in NEEDS_INPUT else "y"
    cdef cnp.ndarray gradient = real_array(dy, where, "dy")
    cdef cnp.ndarray values = real_array(source, where, given, cnp.PyArray_TYPE(gradient))
    if (<object>values).shape != (<object>gradient).shape:
        raise ValueError(
            f"{where}: {given} has shape {shape_of(values)}, should be that of dy, "
            f"{shape_of(gradient)}"
        )
    if out is not None:
        check_overlap(out, dy, where, "dy", True)
        check_overlap(out, source, where, given, False)
    cdef cnp.ndarray dx = target_array(out, gradient, (<object>gradient).shape, where)
    cdef size_t rows, cols
    split_rows(gradient, kind == CNN_SOFTMAX, &rows, &cols)
    cdef const void *p = cnp.PyArray_DATA(gradient)
    cdef const void *q = cnp.PyArray_DATA(values)
    cdef void *to = cnp.PyArray_DATA(dx)
    cdef bint single = is_single(gradient)
    cdef cnn_status status
    if cols > 0:
        with nogil:
            if single:
                status = cnn_activation_backward_f32(
                    <cnn_activation>kind, rows, cols, <const float *>p, <const float *>q,
                    <float *>to)
            else:
                status = cnn_activation_backward_f64(
                    <cnn_activation>kind, rows, cols, <const double *>p, <const double *>q,
                    <double *>to)
        check(status, where)
    return handed_back(dx, out)


cdef int check_shape(cnp.ndarray array, tuple shape, str where, str name, str why) except -1:
    if (<object>array).shape != shape:
        raise ValueError(
            f"{where}: {name} has shape {shape_of(array)}, should be {shape}{why}"
        )
    return 0


cdef int check_rank(cnp.ndarray array, int rank, str where, str name) except -1:
    if array.ndim != rank:
        raise ValueError(
            f"{where}: {name} has {array.ndim} dimensions {shape_of(array)}, should have {rank}"
        )
    return 0


def dense(x, weight, bias, activation, out=None):
    cdef str where = "dense"
    cdef int kind = index_of(ACTIVATIONS, activation, "dense: activation")
    cdef cnp.ndarray given = numeric_array(x, where, "x")
    cdef cnp.ndarray array = real_array(given, where, "x")
    cdef int type_number = cnp.PyArray_TYPE(array)
    cdef cnp.ndarray w = real_array(weight, where, "weight", type_number)
    check_rank(w, 2, where, "weight")
    cdef size_t inputs = w.shape[0], outputs = w.shape[1]
    if array.ndim not in (1, 2):
        check_rank(array, 2, where, "x")
    if <size_t>array.shape[array.ndim - 1] != inputs:
        raise ValueError(
            f"{where}: x has {array.shape[array.ndim - 1]} columns, but weight has {inputs} rows"
        )
    cdef cnp.ndarray b = None
    if bias is not None:
        b = real_array(bias, where, "bias", type_number)
        check_shape(b, (outputs,), where, "bias", " as weight has so many columns")
    cdef size_t rows = array.shape[0] if array.ndim == 2 else 1
    cdef tuple shape = (rows, outputs)
    if array.ndim == 1:
        shape = (outputs,)
    if out is not None:
        for other, name in ((x, "x"), (weight, "weight"), (bias, "bias")):
            if other is not None:
                check_overlap(out, other, where, name, False)
    cdef cnp.ndarray y = target_array(out, array, shape, where)
    cdef const void *p = cnp.PyArray_DATA(array)
    cdef const void *q = cnp.PyArray_DATA(w)
    cdef const void *r = NULL if b is None else cnp.PyArray_DATA(b)
    cdef void *to = cnp.PyArray_DATA(y)
    cdef bint single = type_number == cnp.NPY_FLOAT32
    cdef cnn_status status
    with nogil:
        if single:
            status = cnn_dense_forward_f32(
                rows, inputs, outputs, <const float *>p, inputs, <const float *>q,
                <const float *>r, <cnn_activation>kind, <float *>to, outputs)
        else:
            status = cnn_dense_forward_f64(
                rows, inputs, outputs, <const double *>p, inputs, <const double *>q,
                <const double *>r, <cnn_activation>kind, <double *>to, outputs)
    check(status, where)
    return handed_back(y, out)


def dense_backward(dy, x, weight):
    cdef str where = "dense_backward"
    cdef cnp.ndarray d = real_array(dy, where, "dy")
    cdef int type_number = cnp.PyArray_TYPE(d)
    cdef cnp.ndarray a = real_array(x, where, "x", type_number)
    cdef cnp.ndarray w = real_array(weight, where, "weight", type_number)
    for array, name in ((d, "dy"), (a, "x"), (w, "weight")):
        check_rank(array, 2, where, name)
    cdef size_t rows = d.shape[0], inputs = w.shape[0], outputs = w.shape[1]
    check_shape(d, (rows, outputs), where, "dy", " as weight has so many columns")
    check_shape(a, (rows, inputs), where, "x", " after dy and weight")
    cdef cnp.ndarray dx = np.empty((rows, inputs), d.dtype)
    cdef cnp.ndarray dw = np.empty((inputs, outputs), d.dtype)
    cdef cnp.ndarray db = np.empty(outputs, d.dtype)
    cdef bint single = type_number == cnp.NPY_FLOAT32
    cdef void *p = cnp.PyArray_DATA(d)
    cdef void *q = cnp.PyArray_DATA(a)
    cdef void *r = cnp.PyArray_DATA(w)
    cdef void *to_x = cnp.PyArray_DATA(dx)
    cdef void *to_w = cnp.PyArray_DATA(dw)
    cdef void *to_b = cnp.PyArray_DATA(db)
    cdef cnn_status status
    with nogil:
        if single:
            status = cnn_dense_backward_f32(
                rows, inputs, outputs, <const float *>p, <const float *>q, <const float *>r,
                <float *>to_x, <float *>to_w, <float *>to_b)
        else:
            status = cnn_dense_backward_f64(
                rows, inputs, outputs, <const double *>p, <const double *>q, <const double *>r,
                <double *>to_x, <double *>to_w, <double *>to_b)
    check(status, where)
    return dx, dw, db


# ---- Losses ------------------------------------------------------------------------------------

@cython.final
cdef class Loss:
    """A loss and its settings: class numbers as targets where `labels`, else rows."""

    cdef cnn_loss loss
    cdef readonly str kind
    cdef object class_weight

    def __init__(self, kind, *, labels=False, delta=1.0, label_smoothing=0.0, class_weight=None):
        if self.loss.struct_size != 0:
            raise RuntimeError("Loss: __init__ is called twice")
        self.loss.struct_size = sizeof(cnn_loss)
        self.loss.kind = <cnn_loss_kind>index_of(LOSSES, kind, "loss: kind")
        self.loss.target = CNN_TARGET_LABELS if labels else CNN_TARGET_ROWS
        self.loss.delta = delta
        self.loss.label_smoothing = label_smoothing
        self.kind = kind
        self.class_weight = None
        self.loss.class_weight = NULL
        if class_weight is not None:
            self.class_weight = np.array(class_weight, dtype=np.float64, order="C", ndmin=1)
            self.loss.class_weight = <const double *>cnp.PyArray_DATA(self.class_weight)

    cdef int check_outputs(self, size_t outputs, str where) except -1:
        """The number of class weights, which C cannot see."""
        if self.class_weight is not None and self.class_weight.shape != (outputs,):
            raise ValueError(
                f"{where}: class_weight has shape {self.class_weight.shape}, should be "
                f"({outputs},) for {outputs} classes"
            )
        return 0


@cython.final
cdef class Result:
    """What a pass over samples measured."""

    cdef readonly double loss_sum, weight_sum
    cdef readonly size_t rows, correct, steps
    cdef readonly bint finite

    @property
    def loss(self):
        return self.loss_sum / self.weight_sum if self.weight_sum > 0 else 0.0

    @property
    def accuracy(self):
        return self.correct / self.rows if self.rows else float("nan")


cdef Result result_of(cnn_result *r, bint finite):
    cdef Result result = Result.__new__(Result)
    result.loss_sum = r.loss_sum
    result.weight_sum = r.weight_sum
    result.rows = r.rows
    result.correct = r.correct
    result.steps = r.steps
    result.finite = finite
    return result


def loss_gradient(Loss loss not None, z, t, sample_weight):
    cdef str where = loss.kind
    cdef str name = {"squared_error": "y", "huber": "y", "poisson": "log_rate"}.get(where, "logits")
    cdef cnp.ndarray given = real_array(z, where, name)
    cdef cnp.ndarray array = given.reshape(-1, 1) if given.ndim == 1 else given
    check_rank(array, 2, where, name)
    cdef cnp.ndarray targets = numeric_array(t, where, "t")
    cdef cnn_matrix mt = matrix_of(targets, where, "t", True)
    cdef cnn_matrix mw = no_matrix()
    cdef cnp.ndarray weights
    if sample_weight is not None:
        weights = numeric_array(sample_weight, where, "sample_weight")
        check_rank(weights, 1, where, "sample_weight")
        mw = matrix_of(weights, where, "sample_weight", True)
    cdef size_t rows = array.shape[0], cols = array.shape[1]
    loss.check_outputs(cols, where)
    cdef cnp.ndarray gradient = np.empty((rows, cols), array.dtype)
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
    return value, gradient.reshape((<object>given).shape)


cdef cnn_matrix no_matrix() noexcept:
    """The matrix that stands for an argument left out."""
    cdef cnn_matrix m
    m.struct_size = sizeof(cnn_matrix)
    m.data = NULL
    m.dtype = CNN_FLOAT64
    m.rows = 0
    m.cols = 0
    m.row_stride = 0
    m.col_stride = 0
    return m


@cython.final
cdef class Samples:
    """Inputs, targets and weights as C sees them; keeps the arrays alive."""

    cdef cnn_data data
    cdef object x, t, sample_weight

    def __init__(self, x, t, sample_weight, size_t inputs, str where):
        cdef cnp.ndarray array = numeric_array(x, where, "x")
        check_rank(array, 2, where, "x")
        if <size_t>array.shape[1] != inputs:
            raise ValueError(
                f"{where}: x has {array.shape[1]} columns, but the first layer has {inputs} inputs"
            )
        cdef cnp.ndarray targets = numeric_array(t, where, "t")
        if targets.ndim not in (1, 2):
            check_rank(targets, 2, where, "t")
        if targets.shape[0] != array.shape[0]:
            raise ValueError(
                f"{where}: t has {targets.shape[0]} rows, but x has {array.shape[0]}"
            )
        self.x = array
        self.t = targets
        self.data.struct_size = sizeof(cnn_data)
        self.data.x = matrix_of(array, where, "x", False)
        self.data.t = matrix_of(targets, where, "t", True)
        self.data.sample_weight = no_matrix()
        cdef cnp.ndarray weights
        if sample_weight is not None:
            weights = numeric_array(sample_weight, where, "sample_weight")
            check_shape(weights, (array.shape[0],), where, "sample_weight", ", one number per row")
            self.sample_weight = weights
            self.data.sample_weight = matrix_of(weights, where, "sample_weight", True)


# ---- Random numbers ----------------------------------------------------------------------------

def philox(counter, key):
    cdef uint32_t c[4]
    cdef uint32_t k[2]
    cdef uint32_t out[4]
    c[0], c[1], c[2], c[3] = counter
    k[0], k[1] = key
    cnn_random_philox(c, k, out)
    return out[0], out[1], out[2], out[3]


def permutation(seed, epoch, n, first, count):
    cdef uint64_t c_seed = seed, c_epoch = epoch
    cdef size_t c_n = n, c_first = first, c_count = count
    # An index beyond n is refused in C, but the memory for it must not be asked for first.
    cdef cnp.ndarray out = np.empty(min(c_count, c_n), dtype=np.uintp)
    cdef size_t *to = <size_t *>cnp.PyArray_DATA(out)
    cdef cnn_status status
    with nogil:
        status = cnn_random_permutation(c_seed, c_epoch, c_n, c_first, c_count, to)
    check(status, "permutation")
    return out
