# Random numbers. Needs base.pxi: check.

from libc.stdint cimport uint32_t, uint64_t


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
    # C refuses more than n numbers; the memory for them must not be allocated before.
    cdef cnp.ndarray out = np.empty(min(c_count, c_n), dtype=np.uintp)
    cdef size_t *to = <size_t *>cnp.PyArray_DATA(out)
    cdef cnn_status status
    with nogil:
        status = cnn_random_permutation(c_seed, c_epoch, c_n, c_first, c_count, to)
    check(status, "permutation")
    return out
