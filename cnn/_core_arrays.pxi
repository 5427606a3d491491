# Turning arrays into pointers and strides, and checking them; included by _core.pyx.
#
# Arguments that are no plain arrays are read by code of others (__array__, __float__, __index__
# ...), which may change the arrays given beside them. So a function has two parts. In the first
# all arguments are converted, and arrays are pinned. In the second, which runs no code of others,
# shapes and layouts are checked, and pointers are taken just before the call of C.

# The cnn_dtype of each NumPy type number, or -1; NumPy's own numbers are below 32. C's integer
# types overlap in size, so that two numbers may mean the same.
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


# ---- Taking hold of arrays ---------------------------------------------------------------------

cdef object pin(object value):
    """Keep the memory of an array at its place for as long as the result lives.

    ndarray.resize moves no memory of an array that has a weak reference, not even with
    refcheck=False, and nothing else moves the memory of a NumPy array. None for what is no array.
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
            base = base_of(below)
        if base == NULL:
            break
        below = <object>base
    return PyWeakref_NewRef(owner, None)


cdef extern from "numpy/arrayobject.h":
    # NumPy's own declaration cannot tell of NULL.
    PyObject *base_of "PyArray_BASE"(object array)


cdef extern from "Python.h":
    bint PyMemoryView_Check(object value)
    PyObject *PyMemoryView_GET_BASE(object view)


cdef inline bint is_harmless(object value) noexcept:
    """Whether reading a value as an array runs no code of others."""
    return value is None or cnp.PyArray_CheckExact(value)


cdef inline list pins(object a, object b, object c=None, object d=None):
    """If reading one of the arguments may run code of others, a list with a pin for each array.

    The pins of arrays that are made of the arguments are then put into it. None if all of them are
    plain arrays, since nothing happens to these between two lines of C.
    """
    if is_harmless(a) and is_harmless(b) and is_harmless(c) and is_harmless(d):
        return None
    return [pin(a), pin(b), pin(c), pin(d)]


def pinned(*arrays):
    """Return what keeps the memory of arrays at its place for as long as it lives."""
    return [pin(array) for array in arrays]


# ---- Reading arrays ----------------------------------------------------------------------------

# DLPack's numbers of devices whose memory the CPU reads, and names of others for messages.
cdef frozenset DLPACK_HOST = frozenset((1, 3, 11, 13))
cdef dict DLPACK_DEVICES = {
    2: "CUDA", 4: "OpenCL", 7: "Vulkan", 8: "Metal", 10: "ROCm", 14: "oneAPI",
}


cdef inline bint is_number(object value) noexcept:
    """Whether a value is one of Python's own numbers, of which lists have many."""
    return type(value) is float or type(value) is int or type(value) is bool


cdef object find_masked(object value, object masked_arrays, int depth):
    """A masked array with masked elements: the value, or one in its nested lists; or None."""
    cdef tuple items
    if cnp.PyArray_Check(value):
        # Records are refused later on.
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
    """Refuse what NumPy would read as if it had no mask."""
    masked_arrays = sys.modules.get("numpy.ma")
    if masked_arrays is None:  # so there are none
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
    """What is not exactly a NumPy array as one: of a library (PyTorch, JAX ...), on its memory."""
    cdef bint needs_gradients
    refuse_masked(value, where, name)
    try:
        if cnp.PyArray_Check(value) or not hasattr(value, "__dlpack_device__"):
            return np.asarray(value)
        device = int(value.__dlpack_device__()[0])
        needs_gradients = getattr(value, "requires_grad", False) is True
        if device in DLPACK_HOST and not needs_gradients:
            # Read-only arrays come by __array__ alone in older versions of NumPy.
            return np.asarray(value) if hasattr(value, "__array__") else np.from_dlpack(value)
    except (
        AttributeError, BufferError, LookupError, OverflowError, RuntimeError, TypeError, ValueError
    ) as error:
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


# What to do with arrays that hold no numbers, by the kind of their dtype.
cdef dict CURES = {
    "O": "; fill in or leave out what is missing in it, and convert it with astype(float)",
    "S": "; convert it with astype(float) if its texts are numbers",
    "U": "; convert it with astype(float) if its texts are numbers",
    "T": "; convert it with astype(float) if its texts are numbers",
    "M": "; convert it into numbers, such as days since a date",
    "m": "; convert it into numbers by dividing it by a unit, such as numpy.timedelta64(1, 's')",
    "V": "; give its fields as columns, as by numpy.lib.recfunctions.structured_to_unstructured",
    "c": "; give its real and imaginary parts as columns of their own",
    "f": "; convert it with astype(numpy.float64)",
}


cdef str cure_of(object value, cnp.ndarray array):
    if cnp.PyArray_NDIM(array) == 0 and hasattr(value, "toarray"):
        return "; give its toarray(), as it is a sparse matrix"
    return CURES.get(array.dtype.kind, "")


cdef cnp.ndarray numeric_array(object value, str where, str name, list pins=None):
    """`value` as an array of a type that libcnn reads; arrays are not copied.

    The result is exactly an ndarray. Its pin is put into the list, where one is given.
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


cdef cnn_matrix matrix_of(cnp.ndarray array, str where, str name, bint column) except *:
    """Describe a 2-D array, or a 1-D one as a column or a row."""
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


cdef str shape_text(int ndim, cnp.npy_intp *shape):
    return str(tuple([shape[i] for i in range(ndim)]))


cdef str shape_of(cnp.ndarray array):
    return shape_text(cnp.PyArray_NDIM(array), cnp.PyArray_DIMS(array))


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


cdef inline bint is_plain(cnp.ndarray array) noexcept:
    """Whether elements lie one after the other, where the CPU likes them."""
    return cnp.PyArray_CHKFLAGS(array, cnp.NPY_ARRAY_C_CONTIGUOUS | cnp.NPY_ARRAY_ALIGNED)


cdef cnp.ndarray real_array(cnp.ndarray array, int type_number=-1):
    """A numeric array as a C-contiguous one of floats: float32 stays, float16 becomes it, others
    become float64.

    A number too large for float32 makes NumPy warn, which may run code of others.
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

# Rows looked at in one go, so that a check of a large or mapped array needs little memory.
cdef cnp.npy_intp CHECKED_ROWS = 65536

ctypedef fused real:
    float
    double


cdef size_t inside(const real *x, size_t count, double low, double high, bint whole) noexcept nogil:
    """How many numbers come before the first that is not in [low, high], or not whole."""
    cdef size_t i
    for i in range(count):
        # The other way round, a NaN would pass.
        if not (low <= x[i] <= high) or (whole and x[i] != floor(x[i])):
            return i
    return count


def first_outside(cnp.ndarray x not None, double low, double high, *, whole=False):
    """The index, in C order, of the first number that is not finite, in [low, high] and, if asked,
    whole; -1 where there is none. x has 1 or 2 dimensions.
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


# ---- Results -----------------------------------------------------------------------------------

cdef cnp.ndarray output_array(object out, str where):
    """`out` as exactly an ndarray on the same memory, so that a subclass runs no code; or None."""
    if out is None or cnp.PyArray_CheckExact(out):
        return out
    if not cnp.PyArray_Check(out):
        raise TypeError(f"{where}: out is of type {type(out).__name__}, should be a NumPy array")
    refuse_masked(out, where, "out")
    return np.asarray(out)


cdef int check_out(
    cnp.ndarray out, int ndim, cnp.npy_intp *shape, int type_number, str where
) except -1:
    """Whether `out` can take a result of this shape and type."""
    if not has_shape(out, ndim, shape):
        should = shape_text(ndim, shape)
        raise ValueError(f"{where}: out has shape {shape_of(out)}, should be {should}")
    if cnp.PyArray_TYPE(out) != type_number or not cnp.PyArray_ISNOTSWAPPED(out):
        should = "float32" if type_number == cnp.NPY_FLOAT32 else "float64"
        raise TypeError(f"{where}: out has dtype {out.dtype}, should be {should}")
    if not cnp.PyArray_ISWRITEABLE(out):
        raise ValueError(f"{where}: out is read-only, should be writeable")
    return 0


cdef cnp.ndarray target_array(
    cnp.ndarray out, int ndim, cnp.npy_intp *shape, int type_number, str where
):
    """An array to compute into: `out` where its layout allows, else a new one."""
    if out is not None:
        check_out(out, ndim, shape, type_number, where)
        if is_plain(out):
            return out
    return cnp.PyArray_EMPTY(ndim, shape, type_number, 0)


cdef cnp.ndarray row_target(
    cnp.ndarray out, int ndim, cnp.npy_intp *shape, int type_number, str where, size_t *row_stride
):
    """The same where rows may have gaps between them; *row_stride, in elements, tells of them."""
    cdef ptrdiff_t size, stride
    if out is not None and ndim == 2:
        check_out(out, ndim, shape, type_number, where)
        size, stride = out.itemsize, out.strides[0]
        if cnp.PyArray_ISALIGNED(out) and out.strides[1] == size and (
            stride % size == 0 and stride >= size * shape[1]
        ):
            row_stride[0] = stride // size
            return out
    return target_array(out, ndim, shape, type_number, where)


cdef void find_extent(cnp.ndarray array, size_t *first, size_t *end) noexcept:
    """The addresses between which an array lies; the same one twice where it is empty."""
    cdef size_t step
    cdef int i
    first[0] = end[0] = <size_t>cnp.PyArray_DATA(array)
    if cnp.PyArray_SIZE(array) == 0:
        return
    for i in range(cnp.PyArray_NDIM(array)):
        step = <size_t>((cnp.PyArray_DIM(array, i) - 1) * cnp.PyArray_STRIDE(array, i))
        if cnp.PyArray_STRIDE(array, i) < 0:
            first[0] += step
        else:
            end[0] += step
    end[0] += <size_t>cnp.PyArray_ITEMSIZE(array)


cdef bint same_memory(cnp.ndarray a, cnp.ndarray b) noexcept:
    """Whether two native arrays are the same: the same numbers in the same places."""
    cdef int i, ndim = cnp.PyArray_NDIM(a)
    if (
        cnp.PyArray_DATA(a) != cnp.PyArray_DATA(b)
        or cnp.PyArray_TYPE(a) != cnp.PyArray_TYPE(b)
        or not has_shape(a, cnp.PyArray_NDIM(b), cnp.PyArray_DIMS(b))
    ):
        return False
    for i in range(ndim):
        if cnp.PyArray_STRIDE(a, i) != cnp.PyArray_STRIDE(b, i):
            return False
    return True


cdef int check_overlap(
    cnp.ndarray out, cnp.ndarray array, str where, str name, bint in_place
) except -1:
    """Refuse an `out` that shares memory, but for exactly the same array where that is allowed."""
    cdef size_t first, end, array_first, array_end
    if out is None:
        return 0
    find_extent(out, &first, &end)
    find_extent(array, &array_first, &array_end)
    if first == end or array_first == array_end or first >= array_end or array_first >= end:
        return 0
    if in_place and same_memory(out, array):
        return 0
    # Interleaved arrays, such as a[::2] and a[1::2], lie between the same addresses but share none.
    if np.shares_memory(out, array):
        also = f" or be {name} itself" if in_place else ""
        raise ValueError(f"{where}: out overlaps {name}, should not share memory with it{also}")
    return 0


cdef object handed_back(cnp.ndarray made, cnp.ndarray into, object out):
    """The result: `out` filled, or the new array; a scalar for an array of no dimensions.

    `into` is the output_array of `out`.
    """
    if out is None:
        return made if cnp.PyArray_NDIM(made) > 0 else made[()]
    if made is not into:
        into[...] = made
    return out
