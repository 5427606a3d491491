# Array functions, losses and random numbers; included by _core.pyx.

# ---- Array functions ---------------------------------------------------------------------------

# The kind of a call of log_softmax, which is no activation.
cdef int LOG_SOFTMAX = -1


cdef struct rows_call:
    # An activation, log_softmax, or the derivative of an activation where `source` is not NULL.
    int kind
    # The activation's number; 0 for its default.
    double alpha
    bint single
    size_t rows, cols
    const void *x
    const void *source
    void *y


cdef cnn_status forward(const rows_call *c) noexcept nogil:
    if c.kind == LOG_SOFTMAX:
        if c.single:
            return cnn_log_softmax_forward_f32(
                c.rows, c.cols, <const float *>c.x, c.cols, <float *>c.y, c.cols)
        return cnn_log_softmax_forward_f64(
            c.rows, c.cols, <const double *>c.x, c.cols, <double *>c.y, c.cols)
    cdef cnn_activation kind = <cnn_activation>c.kind
    if c.single:
        return cnn_activation_forward_alpha_f32(
            kind, c.alpha, c.rows, c.cols, <const float *>c.x, c.cols, <float *>c.y, c.cols)
    return cnn_activation_forward_alpha_f64(
        kind, c.alpha, c.rows, c.cols, <const double *>c.x, c.cols, <double *>c.y, c.cols)


cdef cnn_status backward(const rows_call *c) noexcept nogil:
    cdef cnn_activation kind = <cnn_activation>c.kind
    if c.single:
        return cnn_activation_backward_alpha_f32(
            kind, c.alpha, c.rows, c.cols, <const float *>c.x, <const float *>c.source,
            <float *>c.y)
    return cnn_activation_backward_alpha_f64(
        kind, c.alpha, c.rows, c.cols, <const double *>c.x, <const double *>c.source, <double *>c.y)


cdef cnn_status run(const rows_call *c) noexcept nogil:
    return forward(c) if c.source == NULL else backward(c)


cdef int run_rows(
    int kind, double alpha, cnp.ndarray x, cnp.ndarray source, cnp.ndarray y, str where
) except -1:
    """Call C with arrays as rows of their last axis, or as one row where only elements matter."""
    cdef rows_call c
    cdef int last = cnp.PyArray_NDIM(x) - 1
    cdef cnp.npy_intp size = cnp.PyArray_SIZE(x)
    if size == 0:
        return 0
    c.kind = kind
    c.alpha = alpha
    c.single = is_single(x)
    c.cols = size
    if last >= 0 and (kind == CNN_SOFTMAX or kind == LOG_SOFTMAX):
        c.cols = cnp.PyArray_DIM(x, last)
    c.rows = <size_t>size // c.cols
    c.x = cnp.PyArray_DATA(x)
    c.source = NULL if source is None else cnp.PyArray_DATA(source)
    c.y = cnp.PyArray_DATA(y)
    cdef list hold
    cdef cnn_status status
    if ELEMENT_WORK * <double>size < RELEASE_WORK:
        status = run(&c)
    else:
        hold = pinned(x, source, y)
        with nogil:
            status = run(&c)
    return check(status, where)


cdef object run_forward(int kind, double alpha, object x, object out, str where):
    cdef list hold = pins(x, out)
    cdef cnp.ndarray given = numeric_array(x, where, "x", hold)
    cdef cnp.ndarray into = output_array(out, where)
    cdef cnp.ndarray array = real_array(given)
    check_overlap(into, given, where, "x", True)
    cdef cnp.ndarray y = target_array(
        into, cnp.PyArray_NDIM(array), cnp.PyArray_DIMS(array), cnp.PyArray_TYPE(array), where)
    run_rows(kind, alpha, array, None, y, where)
    return handed_back(y, into, out)


def activation(name, x, out=None, alpha=0.0):
    cdef int kind = index_of(ACTIVATION_NUMBERS, name, "activation: name")
    return run_forward(kind, alpha, x, out, name)


cdef object run_along_axis(int kind, object x, object out, object axis, str where):
    """Softmax or log-softmax along an axis, which C wants to be the last one."""
    if type(axis) is int and axis == -1 and cnp.PyArray_CheckExact(x) and cnp.PyArray_NDIM(x) > 0:
        return run_forward(kind, 0, x, out, where)
    if isinstance(axis, bool) or not isinstance(axis, (int, np.integer)):
        raise TypeError(f"{where}: axis is of type {type(axis).__name__}, should be an int")
    number = int(axis)
    cdef list hold = pins(x, out)
    cdef cnp.ndarray array = numeric_array(x, where, "x", hold)
    cdef cnp.ndarray into = output_array(out, where)
    cdef int ndim = cnp.PyArray_NDIM(array)
    if not -ndim <= number < ndim:
        dimensions = f"{ndim} dimension" + ("s" if ndim != 1 else "")
        raise ValueError(f"{where}: axis is {number}, but x has {dimensions}")
    target = into
    if into is not None and cnp.PyArray_NDIM(into) == ndim:  # others are refused further down
        target = np.moveaxis(into, number, -1)
    y = run_forward(kind, 0, np.moveaxis(array, number, -1), target, where)
    return np.moveaxis(y, -1, number) if out is None else out


def softmax(x, out=None, axis=-1):
    return run_along_axis(CNN_SOFTMAX, x, out, axis, "softmax")


def log_softmax(x, out=None, axis=-1):
    return run_along_axis(LOG_SOFTMAX, x, out, axis, "log_softmax")


def activation_backward(name, dy, source, out=None, double alpha=0.0):
    cdef str where = "activation_backward"
    cdef int kind = index_of(ACTIVATION_NUMBERS, name, "activation_backward: name")
    cdef str source_name = "x" if cnn_activation_needs_input(kind) else "y"
    cdef list hold = pins(dy, source, out)
    cdef cnp.ndarray given_dy = numeric_array(dy, where, "dy", hold)
    cdef cnp.ndarray given_source = numeric_array(source, where, source_name, hold)
    cdef cnp.ndarray into = output_array(out, where)
    cdef cnp.ndarray gradient = real_array(given_dy)
    cdef cnp.ndarray values = real_array(given_source, cnp.PyArray_TYPE(gradient))
    check_overlap(into, given_dy, where, "dy", True)
    check_overlap(into, given_source, where, source_name, False)
    cdef int ndim = cnp.PyArray_NDIM(gradient)
    cdef cnp.npy_intp *shape = cnp.PyArray_DIMS(gradient)
    if not has_shape(values, ndim, shape):
        raise ValueError(
            f"{where}: {source_name} has shape {shape_of(values)}, should be that of dy, "
            f"{shape_of(gradient)}"
        )
    cdef cnp.ndarray dx = target_array(into, ndim, shape, cnp.PyArray_TYPE(gradient), where)
    run_rows(kind, alpha, gradient, values, dx, where)
    return handed_back(dx, into, out)


cdef struct dense_call:
    cnn_activation activation
    double alpha
    bint single
    size_t rows, inputs, outputs
    const void *x
    const void *weight
    const void *bias
    void *y


cdef cnn_status run_dense(const dense_call *c) noexcept nogil:
    if c.single:
        return cnn_dense_forward_alpha_f32(
            c.rows, c.inputs, c.outputs, <const float *>c.x, c.inputs, <const float *>c.weight,
            <const float *>c.bias, c.activation, c.alpha, <float *>c.y, c.outputs)
    return cnn_dense_forward_alpha_f64(
        c.rows, c.inputs, c.outputs, <const double *>c.x, c.inputs, <const double *>c.weight,
        <const double *>c.bias, c.activation, c.alpha, <double *>c.y, c.outputs)


def dense(x, weight, bias, activation, out=None, double alpha=0.0):
    cdef str where = "dense"
    cdef dense_call c
    c.alpha = alpha
    c.activation = <cnn_activation>index_of(
        ACTIVATION_NUMBERS, activation, "dense: activation")
    cdef list hold = pins(x, weight, bias, out)
    cdef cnp.ndarray given_x = numeric_array(x, where, "x", hold)
    cdef cnp.ndarray given_weight = numeric_array(weight, where, "weight", hold)
    cdef cnp.ndarray given_bias = None
    if bias is not None:
        given_bias = numeric_array(bias, where, "bias", hold)
    cdef cnp.ndarray into = output_array(out, where)
    cdef cnp.ndarray array = real_array(given_x)
    cdef int type_number = cnp.PyArray_TYPE(array)
    cdef cnp.ndarray w = real_array(given_weight, type_number)
    cdef cnp.ndarray b = None if given_bias is None else real_array(given_bias, type_number)
    check_overlap(into, given_x, where, "x", False)
    check_overlap(into, given_weight, where, "weight", False)
    if given_bias is not None:
        check_overlap(into, given_bias, where, "bias", False)
    cdef int ndim = cnp.PyArray_NDIM(array)
    check_rank(w, 2, where, "weight")
    if ndim != 1:
        check_rank(array, 2, where, "x")
    if array.shape[ndim - 1] != w.shape[0]:
        raise ValueError(
            f"{where}: x has {array.shape[ndim - 1]} columns, but weight has {w.shape[0]} rows"
        )
    if b is not None:
        check_shape(b, 1, &w.shape[1], where, "bias", " as weight has so many columns")
    cdef cnp.npy_intp[2] shape = [array.shape[0], w.shape[1]]
    # A row is the last of the two numbers alone.
    cdef cnp.ndarray y = target_array(into, ndim, &shape[2 - ndim], type_number, where)
    c.single = is_single(array)
    c.rows = array.shape[0] if ndim == 2 else 1
    c.inputs = w.shape[0]
    c.outputs = w.shape[1]
    c.x = cnp.PyArray_DATA(array)
    c.weight = cnp.PyArray_DATA(w)
    c.bias = NULL if b is None else cnp.PyArray_DATA(b)
    c.y = cnp.PyArray_DATA(y)
    cdef cnn_status status
    # Packing the weight takes as long as some rows.
    if (<double>c.rows + 8) * <double>c.inputs * <double>c.outputs < RELEASE_WORK:
        status = run_dense(&c)
    else:
        hold = pinned(array, w, b, y)
        with nogil:
            status = run_dense(&c)
    check(status, where)
    return handed_back(y, into, out)


def dense_backward(dy, x, weight):
    cdef str where = "dense_backward"
    cdef list hold = pins(dy, x, weight)
    cdef cnp.ndarray given_dy = numeric_array(dy, where, "dy", hold)
    cdef cnp.ndarray given_x = numeric_array(x, where, "x", hold)
    cdef cnp.ndarray given_weight = numeric_array(weight, where, "weight", hold)
    cdef cnp.ndarray d = real_array(given_dy)
    cdef int type_number = cnp.PyArray_TYPE(d)
    cdef cnp.ndarray a = real_array(given_x, type_number)
    cdef cnp.ndarray w = real_array(given_weight, type_number)
    hold = pinned(d, a, w)
    check_rank(d, 2, where, "dy")
    check_rank(a, 2, where, "x")
    check_rank(w, 2, where, "weight")
    cdef cnp.npy_intp[2] of_dy = [d.shape[0], w.shape[1]], of_x = [d.shape[0], w.shape[0]]
    check_shape(d, 2, of_dy, where, "dy", " as weight has so many columns")
    check_shape(a, 2, of_x, where, "x", " after dy and weight")
    cdef cnp.ndarray dx = cnp.PyArray_EMPTY(2, of_x, type_number, 0)
    cdef cnp.ndarray dw = cnp.PyArray_EMPTY(2, w.shape, type_number, 0)
    cdef cnp.ndarray db = cnp.PyArray_EMPTY(1, &of_dy[1], type_number, 0)
    cdef size_t rows = d.shape[0], inputs = w.shape[0], outputs = w.shape[1]
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
    cdef cnp.ndarray class_weight
    cdef bint initialized

    def __cinit__(self, kind, *, labels=False, delta=1.0, label_smoothing=0.0, class_weight=None):
        cdef cnp.ndarray weights
        self.loss.struct_size = sizeof(cnn_loss)
        self.loss.kind = <cnn_loss_kind>index_of(LOSS_NUMBERS, kind, "loss: kind")
        self.loss.target = CNN_TARGET_LABELS if labels else CNN_TARGET_ROWS
        self.loss.delta = delta
        self.loss.label_smoothing = label_smoothing
        self.kind = kind
        self.class_weight = None
        self.loss.class_weight = NULL
        if class_weight is not None:
            weights = numeric_array(class_weight, "loss", "class_weight")
            # A copy of its own, to which there is no other reference.
            self.class_weight = np.array(real_array(weights, cnp.NPY_FLOAT64), order="C", ndmin=1)
            self.loss.class_weight = <const double *>cnp.PyArray_DATA(self.class_weight)

    def __init__(self, *args, **kwargs):
        initialize_once(&self.initialized, "Loss")

    cdef int check_outputs(self, size_t outputs, str where) except -1:
        """The number of class weights, which C cannot see."""
        cdef cnp.npy_intp shape = outputs
        if self.class_weight is not None and not has_shape(self.class_weight, 1, &shape):
            raise ValueError(
                f"{where}: class_weight has shape {shape_of(self.class_weight)}, should be "
                f"({outputs},) for {outputs} classes"
            )
        return 0


@cython.final
cdef class Result:
    """What a pass over samples has measured so far; a new one, nothing."""

    cdef cnn_result result
    cdef readonly bint finite
    cdef readonly str blame

    def __cinit__(self):
        self.result.struct_size = sizeof(cnn_result)
        self.finite = True

    @property
    def loss_sum(self):
        return self.result.loss_sum

    @property
    def weight_sum(self):
        return self.result.weight_sum

    @property
    def rows(self):
        return self.result.rows

    @property
    def correct(self):
        return self.result.correct

    @property
    def steps(self):
        return self.result.steps

    @property
    def nonfinite_rows(self):
        return self.result.nonfinite_rows

    @property
    def counted(self):
        return self.result.counted

    @property
    def loss(self):
        found = self.result.loss_sum, self.result.weight_sum
        return found[0] / found[1] if found[1] > 0 else float("nan")

    @property
    def accuracy(self):
        counted = self.result.counted
        return self.result.correct / counted if counted else float("nan")

    cdef int end(self, cnn_status status, str where) except -1:
        """Take note of how a call ended that has written to it."""
        self.finite = status == CNN_OK
        if status != CNN_ERROR_NONFINITE:
            return check(status, where)
        message = cnn_last_error().decode()
        self.blame = next(name for name in BLAMES if message.startswith(name))
        return 0


cdef Result begin_result(Result so_far):
    """A result for a call to write to: the whole of a pass, or what goes on with one."""
    cdef Result made = Result.__new__(Result)
    if so_far is not None:
        made.result = so_far.result
        made.result.accumulate = 1
    return made


# What the message of CNN_ERROR_NONFINITE begins with.
cdef tuple BLAMES = ("the loss", "the weights", "the optimizer's state")


# What the argument is called that is no logits.
cdef dict OUTPUT_NAMES = {"squared_error": "y", "huber": "y", "poisson": "log_rate"}


def loss_gradient(Loss loss not None, z, t, sample_weight):
    cdef str where = loss.kind
    cdef str name = OUTPUT_NAMES.get(where, "logits")
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


@cython.final
cdef class Samples:
    """Inputs, targets and weights as C sees them; keeps the arrays alive, and at their places.

    So what C sees stays good, whatever happens to the arrays until the call.
    """

    cdef cnn_data data
    cdef cnp.ndarray x, t, sample_weight
    cdef list hold

    def __cinit__(self, x, t, sample_weight, size_t inputs, str where not None):
        cdef list hold = pins(x, t, sample_weight)
        self.x = numeric_array(x, where, "x", hold)
        self.t = numeric_array(t, where, "t", hold)
        self.sample_weight = None
        if sample_weight is not None:
            self.sample_weight = numeric_array(sample_weight, where, "sample_weight", hold)
        self.hold = pinned(self.x, self.t, self.sample_weight)
        check_rank(self.x, 2, where, "x")
        if <size_t>self.x.shape[1] != inputs:
            raise ValueError(
                f"{where}: x has {self.x.shape[1]} columns, but the first layer has {inputs} inputs"
            )
        if cnp.PyArray_NDIM(self.t) not in (1, 2):
            check_rank(self.t, 2, where, "t")
        if self.t.shape[0] != self.x.shape[0]:
            raise ValueError(
                f"{where}: t has {self.t.shape[0]} rows, but x has {self.x.shape[0]}"
            )
        self.data.struct_size = sizeof(cnn_data)
        self.data.x = matrix_of(self.x, where, "x", False)
        self.data.t = matrix_of(self.t, where, "t", True)
        self.data.sample_weight = no_matrix()
        if self.sample_weight is not None:
            check_shape(
                self.sample_weight, 1, self.x.shape, where, "sample_weight", ", one number per row")
            self.data.sample_weight = matrix_of(self.sample_weight, where, "sample_weight", True)


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
