# The arguments `out` and results. Needs arrays.pxi: has_shape, is_plain, refuse_masked, shape_of,
# shape_text.
#
# A function computes into `out` itself if it is plain, else into a new array that is then copied.

from libc.stddef cimport ptrdiff_t


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
    """Refuse an `out` that cannot take a result of this shape and type."""
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
    """An array to compute into: `out` if it is plain, else a new one."""
    if out is not None:
        check_out(out, ndim, shape, type_number, where)
        if is_plain(out):
            return out
    return cnp.PyArray_EMPTY(ndim, shape, type_number, 0)


cdef cnp.ndarray row_target(
    cnp.ndarray out, int ndim, cnp.npy_intp *shape, int type_number, str where, size_t *row_stride
):
    """As target_array, but `out` may have gaps between rows; sets *row_stride, in elements."""
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
    """The address of the first byte of an array and that after the last; equal if it is empty."""
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
    """Whether two native arrays have the same memory, type, shape and strides."""
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
    """Refuse an `out` that shares memory with an array, unless `in_place` and it is that array."""
    cdef size_t first, end, array_first, array_end
    if out is None:
        return 0
    find_extent(out, &first, &end)
    find_extent(array, &array_first, &array_end)
    if first == end or array_first == array_end or first >= array_end or array_first >= end:
        return 0
    if in_place and same_memory(out, array):
        return 0
    # Interleaved arrays, such as a[::2] and a[1::2], have the same extent but share no memory.
    if np.shares_memory(out, array):
        also = f" or be {name} itself" if in_place else ""
        raise ValueError(f"{where}: out overlaps {name}, should not share memory with it{also}")
    return 0


cdef object handed_back(cnp.ndarray made, cnp.ndarray into, object out):
    """The result for the user: `out`, filled, or the new array, as a scalar if it is 0-D.

    `made` is what was computed, and `into` the output_array of `out`.
    """
    if out is None:
        return made if cnp.PyArray_NDIM(made) > 0 else made[()]
    if made is not into:
        into[...] = made
    return out
