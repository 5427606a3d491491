# Rows of files. Needs arrays.pxi: dtype_code.

from cpython.exc cimport PyErr_SetFromErrno
from libc.errno cimport EINTR, errno

cdef extern from *:
    """
    #include <errno.h>
    #include <stddef.h>
    #ifdef _WIN32
    #include <io.h>
    #include <stdio.h>
    static long long read_at(int fd, void *to, size_t count, long long at)
    {
        if (_lseeki64(fd, at, SEEK_SET) < 0)
            return -1;
        return _read(fd, to, count > 1u << 30 ? 1u << 30 : (unsigned)count);
    }
    #else
    #include <unistd.h>
    static long long read_at(int fd, void *to, size_t count, long long at)
    {
        return (long long)pread(fd, to, count, (off_t)at);
    }
    #endif
    """
    long long read_at(int fd, void *to, size_t count, long long at) noexcept nogil


cdef long long read_whole(int fd, char *to, size_t count, long long at) noexcept nogil:
    """Read bytes at a position; return how many, fewer at the end of the file, or -1 with errno."""
    cdef size_t done = 0
    cdef long long found
    while done < count:
        found = read_at(fd, to + done, count - done, at + <long long>done)
        if found < 0 and errno == EINTR:
            continue
        if found < 0:
            return -1
        if found == 0:
            break
        done += <size_t>found
    return <long long>done


def read_rows(int fd, long long offset, cnp.ndarray index not None, cnp.ndarray out not None):
    """Read rows of a file into those of a C-contiguous array; rows are as long as the array's.

    Row 0 begins at `offset`. Rows with numbers that follow one another are read at once. No page of
    the file is mapped, so that the memory of the process does not grow. On Windows the position of
    the file moves, so that a descriptor is for one thread.
    """
    index = np.ascontiguousarray(index, dtype=np.uintp)
    cdef bint fits = cnp.PyArray_NDIM(index) == 1 and cnp.PyArray_NDIM(out) > 0
    if not fits or index.shape[0] != out.shape[0] or not cnp.PyArray_IS_C_CONTIGUOUS(out):
        raise ValueError("read_rows: out is not a C-contiguous array with a row for each of index")
    if not cnp.PyArray_ISWRITEABLE(out) or dtype_code(out) < 0:
        raise ValueError("read_rows: out is not an array of numbers that may be written to")
    cdef size_t count = index.size, first = 0, last
    cdef size_t row_bytes = 0 if count == 0 else cnp.PyArray_NBYTES(out) // count
    if count == 0 or row_bytes == 0:
        return
    cdef size_t most = (<size_t>2**62 - <size_t>max(offset, 0)) // row_bytes
    if not 0 <= offset < 2**62 or index.max() >= most:
        raise ValueError("read_rows: offset or index is out of range")
    cdef const size_t *rows = <const size_t *>cnp.PyArray_DATA(index)
    cdef char *to = <char *>cnp.PyArray_DATA(out)
    cdef size_t wanted = 0
    cdef long long found = 0
    with nogil:
        while first < count:
            last = first + 1
            while last < count and rows[last] == rows[last - 1] + 1:
                last += 1
            wanted = (last - first) * row_bytes
            found = read_whole(
                fd, to + first * row_bytes, wanted, offset + <long long>(rows[first] * row_bytes))
            if found < <long long>wanted:
                break
            first = last
    if found < 0:
        PyErr_SetFromErrno(OSError)
    if found < <long long>wanted:
        raise EOFError(f"read_rows: the file ends within row {rows[first]} or later")
