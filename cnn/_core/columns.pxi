# Columns of a table as the rows of a matrix. Needs arrays.pxi: dtype_code, is_plain.

from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

# What is copied at a time: rows of a matrix that stay in the cache, and a line of it in each row.
cdef enum:
    BLOCK_ROWS = 256
    BLOCK_COLUMNS = 16

ctypedef fused word:
    uint8_t
    uint16_t
    uint32_t
    uint64_t


cdef void copy_columns(
    const void **columns, word *to, size_t rows, size_t count, size_t row_stride
) noexcept nogil:
    """Copy columns into a row-major matrix, whose rows are row_stride numbers apart."""
    cdef size_t first, last, left, right, row, column
    cdef word *out
    first = 0
    while first < rows:
        last = min(first + BLOCK_ROWS, rows)
        left = 0
        while left < count:
            right = min(left + BLOCK_COLUMNS, count)
            for row in range(first, last):
                out = to + row * row_stride
                for column in range(left, right):
                    out[column] = (<const word *>columns[column])[row]
            left = right
        first = last


def rows_of_columns(list columns not None, cnp.ndarray out not None):
    """Copy columns, plain arrays of one type, into a plain array (rows, columns) of this type."""
    # Another thread may change the list.
    cdef tuple hold = tuple(columns)
    cdef size_t count = len(hold), i
    cdef cnp.ndarray column
    if cnp.PyArray_NDIM(out) != 2 or <size_t>out.shape[1] != count or dtype_code(out) < 0 or (
            not is_plain(out) or not cnp.PyArray_ISWRITEABLE(out)):
        raise ValueError("rows_of_columns: out is not a plain array with a column for each of them")
    cdef size_t rows = out.shape[0]
    cdef int size = cnp.PyArray_ITEMSIZE(out)
    cdef void *to = cnp.PyArray_DATA(out)
    for item in hold:
        if not cnp.PyArray_CheckExact(item):
            raise TypeError("rows_of_columns: a column is no array")
        column = item
        if cnp.PyArray_NDIM(column) != 1 or <size_t>column.shape[0] != rows or (
                not is_plain(column) or cnp.PyArray_TYPE(column) != cnp.PyArray_TYPE(out)):
            raise ValueError("rows_of_columns: a column is not a plain array of the type of out")
    cdef const void **from_ = <const void **>PyMem_Malloc(max(count, 1) * sizeof(void *))
    if from_ == NULL:
        raise MemoryError
    for i in range(count):
        column = hold[i]
        from_[i] = cnp.PyArray_DATA(column)
    with nogil:
        if size == 1:
            copy_columns[uint8_t](from_, <uint8_t *>to, rows, count, count)
        elif size == 2:
            copy_columns[uint16_t](from_, <uint16_t *>to, rows, count, count)
        elif size == 4:
            copy_columns[uint32_t](from_, <uint32_t *>to, rows, count, count)
        else:
            copy_columns[uint64_t](from_, <uint64_t *>to, rows, count, count)
    PyMem_Free(from_)
