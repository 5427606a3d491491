# Samples, and what a pass over them measures. Needs base.pxi: check; arrays.pxi: check_rank,
# check_shape, matrix_of, no_matrix, numeric_array, pinned, pins.

from libc.stdint cimport uint64_t


@cython.final
cdef class Samples:
    """Inputs, targets and weights as C sees them.

    Holds references to the arrays and their pins, so that the pointers stay valid until the call of
    C, even if foreign code runs before it.
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


# The possible beginnings of libcnn's message of CNN_ERROR_NONFINITE.
cdef tuple BLAMES = ("the loss", "the weights", "the optimizer's state")


@cython.final
cdef class Result:
    """The sums of a pass over samples. A new object is the result of no samples.

    `finite` is whether the last call ended without a NaN or an infinity; if not, `blame` says what
    became one. `updates` is the steps of the optimizer that the last call made.
    """

    cdef cnn_result result
    cdef readonly bint finite
    cdef readonly str blame
    cdef readonly uint64_t updates

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
        """Set `finite` and `blame` after a call of C that wrote to this; raise other errors."""
        self.finite = status == CNN_OK
        if status != CNN_ERROR_NONFINITE:
            return check(status, where)
        message = cnn_last_error().decode()
        self.blame = next(name for name in BLAMES if message.startswith(name))
        return 0


cdef Result begin_result(Result so_far):
    """A result for a call to write to: a new one, or a copy of that of the rows so far."""
    cdef Result made = Result.__new__(Result)
    if so_far is not None:
        made.result = so_far.result
        made.result.accumulate = 1
    return made
