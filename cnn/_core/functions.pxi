# The functions of arrays: activations, softmax, dense layers. Needs base.pxi: ACTIVATION_NUMBERS,
# check, ELEMENT_WORK, index_of, RELEASE_WORK; arrays.pxi: check_rank, check_shape, has_shape,
# is_single, numeric_array, pinned, pins, real_array, shape_of; outputs.pxi: check_overlap,
# handed_back, output_array, target_array.

# ---- Activations -------------------------------------------------------------------------------

# The kind of log_softmax in a rows_call, beside the activations.
cdef int LOG_SOFTMAX = -1


cdef struct rows_call:
    # An activation or LOG_SOFTMAX; the derivative of an activation if `source` is not NULL.
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
    """Call C: softmax on rows, which are the last axis, and other activations on one row."""
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
    """Softmax or log-softmax along an axis; C computes along the last one only."""
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
    if into is not None and cnp.PyArray_NDIM(into) == ndim:  # target_array refuses others
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


# ---- Dense layers ------------------------------------------------------------------------------

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
    # The shape of a 1-D result is the second number only.
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
    # Packing the weight takes about as long as 8 rows.
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
