# Arguments as arrays, and arrays as pointers and strides. Needs
# frames.pxi: CURES, FOREIGN_ERRORS, frame_array.
#
# Reading an argument that is not exactly a NumPy array runs foreign Python code (__array__,
# __float__, __index__, ...), which may change the arrays of the other arguments. So each function
# that calls C has two phases. The first converts all arguments and pins the arrays. The second
# runs no foreign code: it checks shapes and layouts, and takes pointers just before the call of C.

from cpython.exc cimport PyErr_CheckSignals
from cpython.list cimport PyList_AsTuple
from cpython.ref cimport PyObject
from cpython.weakref cimport PyWeakref_NewRef
from libc.float cimport DBL_MAX
from libc.math cimport floor


cdef extern from "numpy/arrayobject.h":
    # NumPy's own declaration of PyArray_BASE has no NULL.
    PyObject *base_of "PyArray_BASE"(cnp.ndarray array)


cdef extern from "Python.h":
    bint PyMemoryView_Check(object value)
    PyObject *PyMemoryView_GET_BASE(object view)


# The cnn_dtype of each NumPy type number, or -1. NumPy's own numbers are below 32. Several of C's
# integer types have the same size, so two numbers may have the same cnn_dtype.
cdef int[32] dtype_codes


cdef int fill_dtype_codes() except -1:
    codes = {
        "b1": CNN_BOOL, "f2": CNN_FLOAT16, "f4": CNN_FLOAT32, "f8": CNN_FLOAT64,
        "i1": CNN_INT8, "i2": CNN_INT16, "i4": CNN_INT32, "i8": CNN_INT64,
        "u1": CNN_UINT8, "u2": CNN_UINT16, "u4": CNN_UINT32, "u8": CNN_UINT64,
    }
    for number in range(32):
        dtype_codes[number] = -1
    for character in "?efdbhilqBHILQ":
        dtype = np.dtype(character)
        dtype_codes[dtype.num] = codes[f"{dtype.kind}{dtype.itemsize}"]
    return 0


fill_dtype_codes()


cdef inline int dtype_code(cnp.ndarray array) noexcept:
    """The cnn_dtype of an array, or -1."""
    cdef int number = cnp.PyArray_TYPE(array)
    return dtype_codes[number] if 0 <= number < 32 else -1


# ---- Pinning arrays ----------------------------------------------------------------------------

cdef object pin(object value):
    """An object that keeps the memory of an array in place while it lives; None for other values.

    ndarray.resize, even with refcheck=False, refuses to move the memory of an array that has a weak
    reference, and nothing else moves the memory of a NumPy array.
    """
    cdef PyObject *base
    if not cnp.PyArray_Check(value):
        return None
    owner = below = value
    while cnp.PyArray_Check(below) or PyMemoryView_Check(below):
        if PyMemoryView_Check(below):
            base = PyMemoryView_GET_BASE(below)
        else:
            owner = below
            base = base_of(<cnp.ndarray>below)
        if base == NULL:
            break
        below = <object>base
    return PyWeakref_NewRef(owner, None)


cdef inline bint is_harmless(object value) noexcept:
    """Whether reading a value as an array runs no foreign code."""
    return value is None or cnp.PyArray_CheckExact(value)


cdef inline list pins(object a, object b, object c=None, object d=None):
    """A list with the pin of each argument, if reading one of them may run foreign code; else None.

    numeric_array then appends the pins of the arrays that it makes. If all arguments are exactly
    arrays, no code runs that could move their memory, and pins would only cost time.
    """
    if is_harmless(a) and is_harmless(b) and is_harmless(c) and is_harmless(d):
        return None
    return [pin(a), pin(b), pin(c), pin(d)]


def pinned(*arrays):
    """Return an object that keeps the memory of arrays in place while it lives."""
    return [pin(array) for array in arrays]


# ---- Reading arrays ----------------------------------------------------------------------------

# DLPack numbers of devices whose memory the CPU can read, and names of others for messages.
cdef frozenset DLPACK_HOST = frozenset((1, 3, 11, 13))
cdef dict DLPACK_DEVICES = {
    2: "CUDA", 4: "OpenCL", 7: "Vulkan", 8: "Metal", 10: "ROCm", 14: "oneAPI",
}


cdef inline bint is_number(object value) noexcept:
    """Whether a value is exactly a Python number, as most items of long lists are."""
    return type(value) is float or type(value) is int or type(value) is bool


cdef object find_masked(object value, object masked_arrays, int depth):
    """The value, or an item of its nested lists, that is an array with masked elements; or None."""
    cdef tuple items
    if cnp.PyArray_Check(value):
        # numeric_array refuses records.
        if isinstance(value, masked_arrays.MaskedArray) and value.dtype.names is None:
            return value if np.any(masked_arrays.getmask(value)) else None
        return None
    if isinstance(value, list):
        items = PyList_AsTuple(value)
    elif isinstance(value, tuple):
        items = <tuple>value
    else:
        return None
    if depth == 0:
        return None
    for item in items:
        if is_number(item):
            continue
        found = find_masked(item, masked_arrays, depth - 1)
        if found is not None:
            return found
    return None


cdef int refuse_masked(object value, str where, str name) except -1:
    """Refuse masked elements, which NumPy would read as if they were not masked."""
    masked_arrays = sys.modules.get("numpy.ma")
    if masked_arrays is None:  # no masked array exists
        return 0
    masked = find_masked(value, masked_arrays, 64)  # as many dimensions as NumPy's arrays can have
    if masked is None:
        return 0
    count = int(np.count_nonzero(masked_arrays.getmask(masked)))
    elements = "element" if count == 1 else "elements"
    holder = "is a masked array" if masked is value else "holds a masked array"
    raise TypeError(
        f"{where}: {name} {holder} with {count} masked {elements}, and cnn does not leave elements "
        f"out; leave out their rows, or give numbers for them with filled()"
    )


def no_mask(str where not None, str name not None, value):
    """Return `value`; refuse a masked array with masked elements, or a list of such."""
    refuse_masked(value, where, name)
    return value


cdef object array_of_other(object value, str where, str name):
    """A value that is not exactly a NumPy array as one, on the same memory if it is a tensor."""
    cdef bint needs_gradients
    refuse_masked(value, where, name)
    frame = None
    if not isinstance(value, (list, tuple)) and not cnp.PyArray_Check(value):
        frame = frame_array(value, where, name)
    if frame is not None:
        return frame
    try:
        if cnp.PyArray_Check(value) or not hasattr(value, "__dlpack_device__"):
            return np.asarray(value)
        device = int(value.__dlpack_device__()[0])
        needs_gradients = getattr(value, "requires_grad", False) is True
        if device in DLPACK_HOST and not needs_gradients:
            # Older versions of NumPy read read-only arrays by __array__ only.
            return np.asarray(value) if hasattr(value, "__array__") else np.from_dlpack(value)
    except FOREIGN_ERRORS as error:
        if isinstance(error, ValueError) and isinstance(value, (list, tuple)):
            raise ValueError(f"{where}: {name} is not a rectangular array of numbers") from error
        raise TypeError(
            f"{where}: {name} of type {type(value).__name__} cannot be read as an array: {error}"
        ) from error
    if device not in DLPACK_HOST:
        kind = DLPACK_DEVICES.get(device, f"DLPack number {device}")
        raise TypeError(
            f"{where}: {name} is of type {type(value).__name__} on a device of kind {kind}, "
            f"should be in the memory of the CPU; move it there first"
        )
    raise TypeError(
        f"{where}: {name} is of type {type(value).__name__} and requires gradients, which cnn does "
        f"not pass on; give {name}.detach()"
    )


cdef str cure_of(object value, cnp.ndarray array):
    if cnp.PyArray_NDIM(array) == 0 and hasattr(value, "toarray"):
        return "; give its toarray(), as it is a sparse matrix"
    if cnp.PyArray_NDIM(array) == 0 and hasattr(value, "collect"):
        return "; give its collect(), which makes a frame of it"
    if isinstance(value, dict):
        return "; make a data frame of it, as by pandas.DataFrame"
    return CURES.get(array.dtype.kind, "")


cdef cnp.ndarray numeric_array(object value, str where, str name, list pins=None):
    """`value` as exactly an ndarray of a type that libcnn reads; arrays are not copied.

    If a list of pins is given, the pin of a new array is appended to it.
    """
    cdef cnp.ndarray array
    if value is None:
        raise TypeError(f"{where}: {name} is None, should be an array of numbers")
    if cnp.PyArray_CheckExact(value):
        array = value
    else:
        array = array_of_other(value, where, name)
        if pins is not None:
            pins.append(pin(array))
    if dtype_code(array) < 0:
        raise TypeError(
            f"{where}: {name} has dtype {array.dtype}, should be float32, float64, float16, bool "
            f"or an integer type{cure_of(value, array)}"
        )
    if not cnp.PyArray_ISNOTSWAPPED(array):
        raise TypeError(
            f"{where}: {name} has dtype {array.dtype} in foreign byte order, should be native; "
            f"convert it with astype"
        )
    return array


def numeric(str where not None, str name not None, value):
    """Return `value` as an array of numbers that libcnn reads; arrays are not copied."""
    return numeric_array(value, where, name)


# ---- Shapes and layouts ------------------------------------------------------------------------

cdef str shape_text(int ndim, cnp.npy_intp *shape):
    return str(tuple([shape[i] for i in range(ndim)]))


cdef str shape_of(cnp.ndarray array):
    return shape_text(cnp.PyArray_NDIM(array), cnp.PyArray_DIMS(array))


cdef cnn_matrix matrix_of(cnp.ndarray array, str where, str name, bint column) except *:
    """A 2-D array as libcnn sees it; a 1-D array is a column if `column`, else a row."""
    cdef cnn_matrix m
    m.struct_size = sizeof(cnn_matrix)
    m.data = cnp.PyArray_DATA(array)
    m.dtype = <cnn_dtype>dtype_code(array)
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


cdef cnn_matrix no_matrix() noexcept:
    """The matrix of an optional argument that is not given."""
    cdef cnn_matrix m
    m.struct_size = sizeof(cnn_matrix)
    m.data = NULL
    m.dtype = CNN_FLOAT64
    m.rows = 0
    m.cols = 0
    m.row_stride = 0
    m.col_stride = 0
    return m


cdef inline bint is_plain(cnp.ndarray array) noexcept:
    """Whether an array is C-contiguous and aligned."""
    return cnp.PyArray_CHKFLAGS(array, cnp.NPY_ARRAY_C_CONTIGUOUS | cnp.NPY_ARRAY_ALIGNED)


cdef cnp.ndarray real_array(cnp.ndarray array, int type_number=-1):
    """A numeric array as a plain array of a type, or of the type that array functions compute in.

    That is float32 for float32 and float16, and float64 for all other types. NumPy warns of numbers
    that are too large for float32, which may run foreign code.
    """
    cdef int given = cnp.PyArray_TYPE(array)
    if type_number < 0:
        small = given == cnp.NPY_FLOAT32 or given == cnp.NPY_FLOAT16
        type_number = cnp.NPY_FLOAT32 if small else cnp.NPY_FLOAT64
    if given == type_number and is_plain(array):
        return array
    return cnp.PyArray_FROMANY(
        array, type_number, 0, 0,
        cnp.NPY_ARRAY_C_CONTIGUOUS | cnp.NPY_ARRAY_ALIGNED | cnp.NPY_ARRAY_FORCECAST
    )


cdef inline bint is_single(cnp.ndarray array) noexcept:
    return cnp.PyArray_TYPE(array) == cnp.NPY_FLOAT32


cdef inline bint has_shape(cnp.ndarray array, int ndim, cnp.npy_intp *shape) noexcept:
    cdef int i
    if cnp.PyArray_NDIM(array) != ndim:
        return False
    for i in range(ndim):
        if cnp.PyArray_DIM(array, i) != shape[i]:
            return False
    return True


cdef int check_rank(cnp.ndarray array, int rank, str where, str name) except -1:
    if cnp.PyArray_NDIM(array) != rank:
        raise ValueError(
            f"{where}: {name} has {array.ndim} dimensions {shape_of(array)}, should have {rank}"
        )
    return 0


cdef int check_shape(
    cnp.ndarray array, int ndim, cnp.npy_intp *shape, str where, str name, str why
) except -1:
    if not has_shape(array, ndim, shape):
        raise ValueError(
            f"{where}: {name} has shape {shape_of(array)}, should be {shape_text(ndim, shape)}{why}"
        )
    return 0


# ---- Numbers -----------------------------------------------------------------------------------

# The rows of a block of first_outside, so that a large or mapped array needs little memory.
cdef cnp.npy_intp CHECKED_ROWS = 65536

ctypedef fused real:
    float
    double


cdef size_t inside(const real *x, size_t count, double low, double high, bint whole) noexcept nogil:
    """The index of the first number that is not in [low, high], or not whole; `count` if none."""
    cdef size_t i
    for i in range(count):
        # `x < low or x > high` would accept a NaN.
        if not (low <= x[i] <= high) or (whole and x[i] != floor(x[i])):
            return i
    return count


def first_outside(cnp.ndarray x not None, double low, double high, *, whole=False):
    """The index, in C order, of the first number that is not finite or not in [low, high]; or -1.

    If `whole`, also of one that is not whole. x has 1 or 2 dimensions.
    """
    cdef cnp.ndarray array = numeric_array(x, "first_outside", "x"), block
    cdef bint single, c_whole = whole and array.dtype.kind == "f"
    cdef int ndim = cnp.PyArray_NDIM(array)
    if ndim not in (1, 2):
        raise ValueError(
            f"first_outside: x has {ndim} dimensions {shape_of(array)}, should have 1 or 2"
        )
    cdef cnp.npy_intp start = 0, rows = array.shape[0]
    cdef cnp.npy_intp row_size = array.shape[1] if ndim == 2 else 1
    cdef const void *p
    cdef size_t count, good
    cdef object hold = pin(array) if rows > CHECKED_ROWS else None
    low, high = max(low, -DBL_MAX), min(high, DBL_MAX)
    while start < rows:
        block = real_array(
            array if rows <= CHECKED_ROWS else array[start:start + CHECKED_ROWS])
        p = cnp.PyArray_DATA(block)
        count = block.size
        single = is_single(block)
        with nogil:
            if single:
                good = inside(<const float *>p, count, low, high, c_whole)
            else:
                good = inside(<const double *>p, count, low, high, c_whole)
        if good < count:
            return start * row_size + <cnp.npy_intp>good
        start += CHECKED_ROWS
        if start < rows:
            PyErr_CheckSignals()
    return -1
