# Turning arrays into pointers and strides, and checking them; included by _core.pyx.

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
        array, wanted, 0, 0,
        cnp.NPY_ARRAY_C_CONTIGUOUS | cnp.NPY_ARRAY_ALIGNED | cnp.NPY_ARRAY_FORCECAST
    )


cdef bint same_memory(object a, object b):
    """Whether two objects are the same array: the same numbers in the same places."""
    first, second = np.asarray(a), np.asarray(b)
    return (
        cnp.PyArray_DATA(first) == cnp.PyArray_DATA(second)
        and first.dtype == second.dtype
        and first.shape == second.shape
        and first.strides == second.strides
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
