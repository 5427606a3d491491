# cython: language_level=3, boundscheck=False, wraparound=False, embedsignature=False
"""The compiled floor: libcnn through Cython. Private; the public API is in the modules beside.

This is the one file that holds C pointers. It turns NumPy arrays into pointers and strides, codes
into exceptions, and lets go of the GIL where a call takes long enough to be worth it.
"""

import os

import numpy as np

cimport numpy as cnp
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t, uint32_t, uint64_t, uintptr_t

cnp.import_array()


# ---- Names and errors --------------------------------------------------------------------------

ctypedef const char *(*name_function)(int) noexcept nogil


cdef tuple names(name_function name):
    found = []
    while name(<int>len(found)) != NULL:
        found.append(name(<int>len(found)).decode())
    return tuple(found)


ACTIVATIONS = names(<name_function>cnn_activation_name)
LOSSES = names(<name_function>cnn_loss_name)
OPTIMIZERS = names(<name_function>cnn_optimizer_name)
INITIALIZERS = names(<name_function>cnn_initializer_name)
NEEDS_INPUT = frozenset(
    name for i, name in enumerate(ACTIVATIONS) if cnn_activation_needs_input(<int>i)
)
OPTIMIZER_SLOTS = {name: cnn_optimizer_slots(<int>i) for i, name in enumerate(OPTIMIZERS)}


class ModelFileError(ValueError):
    """A file that is not a well-formed model."""


cdef int index_of(tuple known, object name, str argument) except -1:
    """The number of a name in one of the lists above."""
    if not isinstance(name, str):
        raise TypeError(f"{argument} is of type {type(name).__name__}, should be a string")
    try:
        return <int>known.index(name)
    except ValueError:
        raise ValueError(f"{argument} is {name!r}, should be one of {', '.join(known)}") from None


cdef int check(cnn_status status, str where, object path=None) except -1:
    """Turn a failure into the exception that belongs to it."""
    if status == CNN_OK:
        return 0
    message = f"{where}: {cnn_last_error().decode('utf-8', 'replace')}"
    if status == CNN_ERROR_SYSTEM:
        error = cnn_last_errno()
        raise OSError(error, os.strerror(error), path)
    if status == CNN_ERROR_MEMORY:
        raise MemoryError(message)
    if status == CNN_ERROR_TYPE:
        raise TypeError(message)
    if status == CNN_ERROR_MODEL_FILE:
        raise ModelFileError(message)
    raise ValueError(message)


def version():
    return cnn_version().decode()


def abi_version():
    return cnn_abi_version()


def numerics_version():
    return cnn_numerics_version()


def isa():
    return cnn_isa().decode()


def isas():
    found = []
    while cnn_isa_available(len(found)) != NULL:
        found.append(cnn_isa_available(len(found)).decode())
    return tuple(found)


def select_isa(name):
    if not isinstance(name, str):
        raise TypeError(f"select_isa: name is of type {type(name).__name__}, should be a string")
    encoded = name.encode()
    check(cnn_isa_select(encoded), "select_isa")


def get_num_threads():
    return cnn_threads_get()


def set_num_threads(n):
    if n is None:
        n = 0
    elif isinstance(n, (bool, np.bool_)) or not isinstance(n, (int, np.integer)):
        raise TypeError(
            f"set_num_threads: n is of type {type(n).__name__}, should be an int or None"
        )
    elif not 1 <= n <= 1024:
        raise ValueError(f"set_num_threads: n is {n}, should be from 1 to 1024, or None")
    check(cnn_threads_set(n), "set_num_threads")


def threads_origin():
    return cnn_threads_origin().decode()


# ---- Arrays ------------------------------------------------------------------------------------

cdef int dtype_code(int type_number) noexcept:
    """The cnn_dtype of a NumPy type number, or -1."""
    if type_number == cnp.NPY_FLOAT32:
        return CNN_FLOAT32
    if type_number == cnp.NPY_FLOAT64:
        return CNN_FLOAT64
    if type_number == cnp.NPY_FLOAT16:
        return CNN_FLOAT16
    if type_number == cnp.NPY_BOOL:
        return CNN_BOOL
    # C's integer types overlap in size, so that two NumPy numbers may mean the same.
    cdef bint signed = type_number in (
        cnp.NPY_BYTE, cnp.NPY_SHORT, cnp.NPY_INT, cnp.NPY_LONG, cnp.NPY_LONGLONG
    )
    cdef bint unsigned = type_number in (
        cnp.NPY_UBYTE, cnp.NPY_USHORT, cnp.NPY_UINT, cnp.NPY_ULONG, cnp.NPY_ULONGLONG
    )
    if not (signed or unsigned):
        return -1
    size = cnp.PyArray_DescrFromType(type_number).itemsize
    return {1: CNN_INT8, 2: CNN_INT16, 4: CNN_INT32, 8: CNN_INT64}[size] + (4 if unsigned else 0)


cdef cnp.ndarray numeric_array(object value, str where, str name):
    """`value` as an array of a type that libcnn reads; arrays are not copied."""
    cdef cnp.ndarray array
    if value is None:
        raise TypeError(f"{where}: {name} is None, should be an array of numbers")
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{where}: {name} is not a rectangular array of numbers") from error
    if dtype_code(cnp.PyArray_TYPE(array)) < 0:
        raise TypeError(
            f"{where}: {name} has dtype {array.dtype}, should be float32, float64, float16, bool "
            f"or an integer type"
        )
    if not cnp.PyArray_ISNOTSWAPPED(array):
        raise TypeError(
            f"{where}: {name} has dtype {array.dtype} in foreign byte order, should be native; "
            f"convert it with astype"
        )
    return array


cdef cnn_matrix matrix_of(cnp.ndarray array, str where, str name, bint column) except *:
    """Describe a 2-D array, or a 1-D one as a column or a row."""
    cdef cnn_matrix m
    m.struct_size = sizeof(cnn_matrix)
    m.data = cnp.PyArray_DATA(array)
    m.dtype = <cnn_dtype>dtype_code(cnp.PyArray_TYPE(array))
    cdef int ndim = cnp.PyArray_NDIM(array)
    if ndim == 2:
        m.rows = array.shape[0]
        m.cols = array.shape[1]
        m.row_stride = array.strides[0]
        m.col_stride = array.strides[1]
    elif ndim == 1 and column:
        m.rows = array.shape[0]
        m.cols = 1
        m.row_stride = array.strides[0]
        m.col_stride = cnp.PyArray_ITEMSIZE(array)
    elif ndim == 1:
        m.rows = 1
        m.cols = array.shape[0]
        m.row_stride = cnp.PyArray_NBYTES(array)
        m.col_stride = array.strides[0]
    else:
        raise ValueError(
            f"{where}: {name} has {ndim} dimensions {shape_of(array)}, should have 1 or 2"
        )
    return m


cdef str shape_of(cnp.ndarray array):
    return str(tuple([array.shape[i] for i in range(array.ndim)]))


cdef cnp.ndarray real_array(object value, str where, str name, int type_number=-1):
    """`value` as a C-contiguous float array: float32 stays, float16 becomes it, others float64."""
    cdef cnp.ndarray array = numeric_array(value, where, name)
    cdef int wanted = type_number
    if wanted < 0:
        small = cnp.PyArray_TYPE(array) in (cnp.NPY_FLOAT32, cnp.NPY_FLOAT16)
        wanted = cnp.NPY_FLOAT32 if small else cnp.NPY_FLOAT64
    return cnp.PyArray_FROMANY(
        array, wanted, 0, 0, cnp.NPY_ARRAY_C_CONTIGUOUS | cnp.NPY_ARRAY_ALIGNED
    )


cdef bint same_memory(cnp.ndarray a, cnp.ndarray b):
    return (
        cnp.PyArray_DATA(a) == cnp.PyArray_DATA(b)
        and a.dtype == b.dtype
        and (<object>a).shape == (<object>b).shape
        and (<object>a).strides == (<object>b).strides
    )


cdef int check_out(object out, tuple shape, object dtype, str where) except -1:
    """Whether `out` can take a result of this shape and type."""
    if not isinstance(out, np.ndarray):
        raise TypeError(f"{where}: out is of type {type(out).__name__}, should be a NumPy array")
    if out.shape != shape:
        raise ValueError(f"{where}: out has shape {out.shape}, should be {shape}")
    if out.dtype != dtype:
        raise TypeError(f"{where}: out has dtype {out.dtype}, should be {dtype}")
    if not out.flags.writeable:
        raise ValueError(f"{where}: out is read-only, should be writeable")
    return 0


cdef int check_overlap(object out, object array, str where, str name, bint in_place) except -1:
    """Refuse memory that is shared but for exactly the same array where that is allowed."""
    if not np.may_share_memory(out, array) or (in_place and same_memory(out, array)):
        return 0
    if np.shares_memory(out, array):
        also = f" or be {name} itself" if in_place else ""
        raise ValueError(f"{where}: out overlaps {name}, should not share memory with it{also}")
    return 0


cdef object target_array(object out, cnp.ndarray like, tuple shape, str where):
    """An array to compute into: `out` where its layout allows, else a new one."""
    if out is None:
        return np.empty(shape, like.dtype)
    check_out(out, shape, like.dtype, where)
    if out.flags.c_contiguous and out.flags.aligned:
        return out
    return np.empty(shape, like.dtype)


cdef object handed_back(object made, object out):
    """The result: `out` filled, or the new array; a scalar for an array of no dimensions."""
    if out is None:
        return made if made.ndim else made[()]
    if made is not out:
        out[...] = made
    return out


cdef bint is_single(cnp.ndarray array) noexcept:
    return cnp.PyArray_TYPE(array) == cnp.NPY_FLOAT32


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

cdef class Loss:
    """A loss and its settings: class numbers as targets where `labels`, else rows."""

    cdef cnn_loss loss
    cdef readonly str kind
    cdef object class_weight

    def __init__(self, kind, *, labels=False, delta=1.0, label_smoothing=0.0, class_weight=None):
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
    for i in range(4):
        c[i] = counter[i]
    for i in range(2):
        k[i] = key[i]
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


# ---- Networks ----------------------------------------------------------------------------------

# Work (multiply-adds) from which letting go of the GIL costs little beside the call.
cdef double RELEASE_WORK = 200000.0


cdef bytes path_bytes(object path):
    return os.fsencode(path)


cdef class Network:
    """A network; layers as (kind, inputs, outputs, activation, l2, rate) tuples."""

    cdef cnn_network *network
    cdef size_t input_count, output_count
    cdef int type_number
    cdef double work
    # Whether a call that changes the network is running without the GIL.
    cdef bint busy

    def __init__(self, layers, *, dtype="float32", seed=0):
        if self.network != NULL:
            raise RuntimeError("Network: __init__ is called twice")
        cdef list given = list(layers)
        cdef cnn_layer[64] few
        cdef cnn_layer *c_layers = few
        cdef bytearray many
        if len(given) > 64:
            many = bytearray(len(given) * sizeof(cnn_layer))
            c_layers = <cnn_layer *><char *>many
        for i, (kind, inputs, outputs, activation, l2, rate) in enumerate(given):
            c_layers[i].struct_size = sizeof(cnn_layer)
            c_layers[i].kind = CNN_LAYER_DENSE if kind == "dense" else CNN_LAYER_DROPOUT
            c_layers[i].inputs = inputs
            c_layers[i].outputs = outputs
            c_layers[i].activation = <cnn_activation>index_of(ACTIVATIONS, activation, "activation")
            c_layers[i].l2 = l2
            c_layers[i].rate = rate
        dtype = np.dtype(dtype)
        if dtype not in (np.dtype(np.float32), np.dtype(np.float64)):
            raise ValueError(f"Sequential: dtype is {dtype}, should be float32 or float64")
        cdef cnn_dtype code = CNN_FLOAT32 if dtype.itemsize == 4 else CNN_FLOAT64
        cdef uint64_t c_seed = seed
        cdef cnn_network *made = NULL
        check(cnn_network_create(code, len(given), c_layers, c_seed, &made), "Sequential")
        self.adopt(made)

    cdef int adopt(self, cnn_network *network) except -1:
        self.network = network
        self.input_count = cnn_network_inputs(network)
        self.output_count = cnn_network_outputs(network)
        single = cnn_network_dtype(network) == CNN_FLOAT32
        self.type_number = cnp.NPY_FLOAT32 if single else cnp.NPY_FLOAT64
        self.work = <double>cnn_network_parameter_count(network)
        self.busy = False
        return 0

    def __dealloc__(self):
        cnn_network_destroy(self.network)

    cdef int begin_change(self, str where) except -1:
        if self.busy:
            raise RuntimeError(f"{where}: the network is being trained by another thread")
        return 0

    @property
    def dtype(self):
        return np.dtype(np.float32 if self.type_number == cnp.NPY_FLOAT32 else np.float64)

    @property
    def seed(self):
        return cnn_network_seed(self.network)

    @property
    def inputs(self):
        return self.input_count

    @property
    def outputs(self):
        return self.output_count

    @property
    def parameter_count(self):
        return cnn_network_parameter_count(self.network)

    @property
    def layers(self):
        found = []
        cdef cnn_layer layer
        for i in range(cnn_network_layer_count(self.network)):
            layer.struct_size = sizeof(cnn_layer)
            check(cnn_network_layer(self.network, i, &layer), "layers")
            kind = "dense" if layer.kind == CNN_LAYER_DENSE else "dropout"
            found.append((kind, layer.inputs, layer.outputs, ACTIVATIONS[<int>layer.activation],
                          layer.l2, layer.rate))
        return found

    def copy(self):
        cdef cnn_network *made = NULL
        check(cnn_network_copy(self.network, &made), "copy")
        return network_of(made)

    def initialize(self, layer, initializer, a=0.0):
        self.begin_change("initialize")
        cdef int kind = index_of(INITIALIZERS, initializer, "init")
        check(cnn_network_initialize(self.network, layer, <cnn_initializer>kind, a), "init")

    cdef tuple parameter_shape(self, size_t layer, str parameter):
        cdef cnn_layer found
        found.struct_size = sizeof(cnn_layer)
        check(cnn_network_layer(self.network, layer, &found), parameter)
        if parameter == "weight":
            return (found.inputs, found.outputs)
        return (found.outputs,)

    def get(self, layer, parameter):
        cdef cnp.ndarray values = np.empty(self.parameter_shape(layer, parameter), self.dtype)
        cdef cnn_parameter which = CNN_WEIGHT if parameter == "weight" else CNN_BIAS
        cdef void *to = cnp.PyArray_DATA(values)
        if self.type_number == cnp.NPY_FLOAT32:
            check(cnn_network_get_f32(self.network, layer, which, <float *>to, values.size),
                  parameter)
        else:
            check(cnn_network_get_f64(self.network, layer, which, <double *>to, values.size),
                  parameter)
        return values

    def set(self, layer, parameter, values):
        self.begin_change(parameter)
        cdef cnp.ndarray array = real_array(values, "set", parameter, self.type_number)
        check_shape(array, self.parameter_shape(layer, parameter), "set", parameter, "")
        cdef cnn_parameter which = CNN_WEIGHT if parameter == "weight" else CNN_BIAS
        cdef void *p = cnp.PyArray_DATA(array)
        if self.type_number == cnp.NPY_FLOAT32:
            check(cnn_network_set_f32(self.network, layer, which, <const float *>p, array.size),
                  parameter)
        else:
            check(cnn_network_set_f64(self.network, layer, which, <const double *>p, array.size),
                  parameter)

    def set_l2(self, layer, l2):
        self.begin_change("l2")
        check(cnn_network_set_l2(self.network, layer, l2), "l2")

    def predict(self, x, out=None):
        cdef cnp.ndarray array
        if cnp.PyArray_CheckExact(x) and cnp.PyArray_TYPE(x) == self.type_number and (
            cnp.PyArray_ISNOTSWAPPED(x)
        ):
            array = x
        else:
            array = numeric_array(x, "predict", "x")
        cdef cnn_matrix m = matrix_of(array, "predict", "x", False)
        if m.cols != self.input_count:
            raise ValueError(
                f"predict: x has {m.cols} columns, but the first layer has {self.input_count} "
                f"inputs"
            )
        cdef cnp.npy_intp[2] shape
        shape[0] = <cnp.npy_intp>m.rows
        shape[1] = <cnp.npy_intp>self.output_count
        cdef int ndim = cnp.PyArray_NDIM(array)
        cdef cnp.ndarray y
        cdef size_t y_stride = self.output_count
        if out is None:
            y = cnp.PyArray_EMPTY(ndim, &shape[0] if ndim == 2 else &shape[1], self.type_number, 0)
        else:
            y = self.usable_out(out, array, &y_stride)
        cdef void *to = cnp.PyArray_DATA(y)
        cdef cnn_status status
        if self.work * <double>m.rows < RELEASE_WORK:
            status = cnn_network_predict(self.network, &m, to, y_stride, NULL, 0)
        else:
            with nogil:
                status = cnn_network_predict(self.network, &m, to, y_stride, NULL, 0)
        if status != CNN_OK:
            check(status, "predict")
        return y if out is None else handed_back(y, out)

    cdef cnp.ndarray usable_out(self, object out, cnp.ndarray x, size_t *y_stride):
        """`out` if rows of it can be written in place, else an array to copy from."""
        cdef tuple shape = (x.shape[0], self.output_count)
        if x.ndim == 1:
            shape = (self.output_count,)
        check_out(out, shape, self.dtype, "predict")
        check_overlap(out, x, "predict", "x", False)
        cdef cnp.ndarray y = out
        cdef ptrdiff_t size = cnp.PyArray_ITEMSIZE(y)
        if cnp.PyArray_IS_C_CONTIGUOUS(y) and cnp.PyArray_ISALIGNED(y):
            return y
        if y.ndim == 2 and cnp.PyArray_ISALIGNED(y) and y.strides[1] == size and (
            y.strides[0] >= size * <ptrdiff_t>self.output_count and y.strides[0] % size == 0
        ):
            y_stride[0] = y.strides[0] // size
            return y
        return np.empty(shape, self.dtype)

    def evaluate(self, Loss loss not None, x, t, sample_weight=None, where="evaluate"):
        cdef Samples samples = Samples(x, t, sample_weight, self.input_count, where)
        loss.check_outputs(self.output_count, where)
        cdef cnn_result result
        result.struct_size = sizeof(cnn_result)
        cdef cnn_status status
        with nogil:
            status = cnn_network_evaluate(self.network, &loss.loss, &samples.data, &result)
        check(status, where)
        return result_of(&result, True)

    def gradients(self, Loss loss not None, x, t, sample_weight=None, step=-1):
        cdef Samples samples = Samples(x, t, sample_weight, self.input_count, "gradients")
        loss.check_outputs(self.output_count, "gradients")
        cdef cnp.ndarray flat = np.empty(self.parameter_count, self.dtype)
        cdef void *to = cnp.PyArray_DATA(flat)
        cdef size_t count = flat.size
        cdef double value = 0
        cdef int64_t c_step = step
        cdef cnn_status status
        with nogil:
            status = cnn_network_gradients(
                self.network, &loss.loss, &samples.data, c_step, &value, to, count)
        check(status, "gradients")
        return value, self.split(flat)

    cdef list split(self, cnp.ndarray flat):
        """Views of a flat row of parameters: weight, bias, weight, bias, ..."""
        parts = []
        at = 0
        for kind, inputs, outputs, _, _, _ in self.layers:
            if kind == "dense":
                parts.append(flat[at:at + inputs * outputs].reshape(inputs, outputs))
                at += inputs * outputs
                parts.append(flat[at:at + outputs])
                at += outputs
        return parts

    def save(self, path, Trainer trainer=None):
        cdef bytes encoded = path_bytes(path)
        cdef const char *c_path = encoded
        cdef cnn_status status
        if trainer is None:
            status = cnn_network_save(self.network, c_path)
        else:
            status = cnn_trainer_save(trainer.trainer, c_path)
        check(status, "save", path)

    @staticmethod
    def load(path):
        cdef bytes encoded = path_bytes(path)
        cdef cnn_network *made = NULL
        check(cnn_network_load(encoded, &made), "load", path)
        return network_of(made)

    def to_bytes(self):
        cdef void *data = NULL
        cdef size_t size = 0
        check(cnn_network_to_bytes(self.network, &data, &size), "to_bytes")
        try:
            return (<char *>data)[:size]
        finally:
            cnn_bytes_free(data)

    @staticmethod
    def from_bytes(data):
        if not isinstance(data, bytes):
            raise TypeError(f"from_bytes: data is of type {type(data).__name__}, should be bytes")
        cdef const char *p = data
        cdef cnn_network *made = NULL
        check(cnn_network_from_bytes(p, len(data), &made), "from_bytes")
        return network_of(made)

    @property
    def metadata(self):
        found = {}
        for i in range(cnn_network_metadata_count(self.network)):
            key = cnn_network_metadata_key(self.network, i)
            found[key.decode()] = cnn_network_metadata(self.network, key).decode()
        return found

    def set_metadata(self, str key not None, str value):
        for text, name in ((key, "key"), (value or "", "value")):
            if "\0" in text:
                raise ValueError(f"set_metadata: {name} contains a NUL character")
        cdef bytes c_key = key.encode()
        cdef bytes c_value = b"" if value is None else value.encode()
        cdef const char *v = NULL if value is None else <const char *>c_value
        check(cnn_network_set_metadata(self.network, c_key, v), "set_metadata")


cdef Network network_of(cnn_network *made):
    """Wrap a handle, which the object then owns."""
    cdef Network network = Network.__new__(Network)
    network.adopt(made)
    return network


# ---- Training ----------------------------------------------------------------------------------

cdef class Trainer:
    """An optimizer with its state for one network. Options are named as in cnn_optimizer."""

    cdef cnn_trainer *trainer
    cdef readonly Network network
    cdef cnn_optimizer optimizer

    def __init__(self, Network network not None, kind, *, momentum=0.0, beta1=0.0, beta2=0.0,
                 alpha=0.0, eps=0.0, weight_decay=0.0, clip_norm=0.0):
        if self.trainer != NULL:
            raise RuntimeError("Trainer: __init__ is called twice")
        self.optimizer.struct_size = sizeof(cnn_optimizer)
        self.optimizer.kind = <cnn_optimizer_kind>index_of(OPTIMIZERS, kind, "optimizer")
        self.optimizer.momentum = momentum
        self.optimizer.beta1 = beta1
        self.optimizer.beta2 = beta2
        self.optimizer.alpha = alpha
        self.optimizer.eps = eps
        self.optimizer.weight_decay = weight_decay
        self.optimizer.clip_norm = clip_norm
        check(cnn_trainer_create(network.network, &self.optimizer, &self.trainer), "optimizer")
        self.network = network

    def __dealloc__(self):
        cnn_trainer_destroy(self.trainer)

    @staticmethod
    def load(path):
        cdef bytes encoded = path_bytes(path)
        cdef cnn_network *network = NULL
        cdef Trainer made = Trainer.__new__(Trainer)
        check(cnn_trainer_load(encoded, &network, &made.trainer), "load_checkpoint", path)
        made.network = network_of(network)
        made.optimizer.struct_size = sizeof(cnn_optimizer)
        check(cnn_trainer_optimizer(made.trainer, &made.optimizer), "load_checkpoint")
        return made

    @property
    def kind(self):
        return OPTIMIZERS[<int>self.optimizer.kind]

    @property
    def options(self):
        options = dict(self.optimizer)
        del options["struct_size"], options["kind"]
        return options

    @property
    def steps(self):
        return cnn_trainer_steps(self.trainer)

    @steps.setter
    def steps(self, steps):
        self.network.begin_change("steps")
        check(cnn_trainer_set_steps(self.trainer, steps), "steps")

    def get_state(self):
        cdef cnp.ndarray values
        state = []
        for slot in range(OPTIMIZER_SLOTS[self.kind]):
            values = np.empty(self.network.parameter_count, self.network.dtype)
            check(cnn_trainer_get_state(
                self.trainer, slot, cnp.PyArray_DATA(values), values.size), "get_state")
            state.append(values)
        return state

    def set_state(self, state):
        self.network.begin_change("set_state")
        slots = OPTIMIZER_SLOTS[self.kind]
        arrays = [real_array(values, "set_state", "state", self.network.type_number)
                  for values in state]
        if len(arrays) != slots:
            raise ValueError(f"set_state: state has {len(arrays)} slots, should have {slots}")
        cdef cnp.ndarray array
        for array in arrays:
            check_shape(array, (self.network.parameter_count,), "set_state", "state", "")
        for slot, array in enumerate(arrays):
            check(cnn_trainer_set_state(
                self.trainer, slot, cnp.PyArray_DATA(array), array.size), "set_state")

    def snapshot(self):
        check(cnn_trainer_snapshot(self.trainer), "snapshot")

    def restore(self):
        self.network.begin_change("restore")
        check(cnn_trainer_restore(self.trainer), "restore")

    def step(self, Loss loss not None, x, t, sample_weight, lr):
        cdef Samples samples = Samples(x, t, sample_weight, self.network.input_count, "train_step")
        loss.check_outputs(self.network.output_count, "train_step")
        self.network.begin_change("train_step")
        cdef cnn_result result
        result.struct_size = sizeof(cnn_result)
        cdef double c_lr = lr
        cdef cnn_status status
        self.network.busy = True
        with nogil:
            status = cnn_trainer_step(self.trainer, &loss.loss, &samples.data, c_lr, &result)
        self.network.busy = False
        if status != CNN_ERROR_NONFINITE:
            check(status, "train_step")
        return result_of(&result, status == CNN_OK)

    def epoch(self, Loss loss not None, x, t, sample_weight, cnp.ndarray index not None,
              batch_size, cnp.ndarray lr not None, seconds=0.0):
        cdef Samples samples = Samples(x, t, sample_weight, self.network.input_count, "fit")
        loss.check_outputs(self.network.output_count, "fit")
        self.network.begin_change("fit")
        index = np.ascontiguousarray(index, dtype=np.uintp)
        lr = np.ascontiguousarray(lr, dtype=np.float64)
        cdef size_t count = index.size, c_batch_size = batch_size
        if c_batch_size > 0 and <size_t>lr.size < (count + c_batch_size - 1) // c_batch_size:
            raise ValueError(f"fit: lr has {lr.size} numbers, should have one per step")
        cdef const size_t *c_index = <const size_t *>cnp.PyArray_DATA(index)
        cdef const double *c_lr = <const double *>cnp.PyArray_DATA(lr)
        cdef double c_seconds = seconds
        cdef cnn_result result
        result.struct_size = sizeof(cnn_result)
        cdef cnn_status status
        self.network.busy = True
        with nogil:
            status = cnn_trainer_epoch(
                self.trainer, &loss.loss, &samples.data, c_index, count, c_batch_size, c_lr,
                c_seconds, &result)
        self.network.busy = False
        if status != CNN_ERROR_NONFINITE:
            check(status, "fit")
        return result_of(&result, status == CNN_OK)
