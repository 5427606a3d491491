# Tapes: rows that went forward, and their ways back. Needs base.pxi: check, initialize_once;
# arrays.pxi: numeric_array, pinned, pins; network.pxi: Network.

from libc.stdint cimport int64_t


@cython.final
@cython.no_gc_clear  # the tape reads the network until it is freed
cdef class Tape:
    """What rows left in a network on their way forward."""

    cdef cnn_tape *tape
    cdef readonly Network network
    cdef size_t rows
    cdef int ndim
    cdef bint busy, initialized

    # Not in __init__, which need not be called, so that each object has a tape.
    def __cinit__(self, Network network not None):
        self.network = network
        check(cnn_tape_create(network.network, &self.tape), "forward")

    def __init__(self, *args, **kwargs):
        initialize_once(self, &self.initialized, "Tape")

    def __dealloc__(self):
        cnn_tape_destroy(self.tape)

    cdef int begin(self, str where) except -1:
        """Keep others from the tape, and its network from changing; no Python code may run."""
        cdef bint busy
        with cython.critical_section(self):
            busy = self.busy
            self.busy = True
        if busy:
            raise RuntimeError(f"{where}: the tape is in use by another thread")
        try:
            self.network.begin_read()
        except MemoryError:
            self.free()
            raise
        return 0

    cdef void free(self) noexcept:
        with cython.critical_section(self):
            self.busy = False

    cdef void end(self) noexcept:
        self.network.end_read()
        self.free()

    def forward(self, x, step=-1):
        """The outputs, with the dropout masks of a step of the optimizer, or without for -1.

        For a number of x that is not finite the result is None.
        """
        cdef int64_t c_step = step
        cdef list hold = pins(x, None)
        cdef cnp.ndarray array = numeric_array(x, "forward", "x", hold)
        cdef cnn_matrix m = self.network.inputs_of(array, "forward")
        cdef size_t y_stride = self.network.output_count
        cdef int ndim = cnp.PyArray_NDIM(array)
        cdef cnp.ndarray y = self.network.empty_rows(ndim, m.rows, y_stride)
        cdef void *to = cnp.PyArray_DATA(y)
        cdef cnn_status status
        hold = pinned(array)
        self.begin("forward")
        with nogil:
            status = cnn_tape_forward(self.tape, &m, c_step, to, y_stride)
        if status == CNN_OK:
            self.rows = m.rows
            self.ndim = ndim
        self.end()
        if status == CNN_ERROR_NONFINITE:
            return None
        check(status, "forward")
        return y

    def backward(self, dy):
        """The gradients of the parameters, as Network.gradients has them, and that of x."""
        cdef list hold = pins(dy, None)
        cdef Network network = self.network
        cdef cnp.ndarray gradient = numeric_array(dy, "backward", "dy", hold)
        # Read once: while arrays are made, another thread may run rows forward. C compares with its
        # own number.
        cdef size_t rows = self.rows
        cdef int ndim = self.ndim
        if rows == 0:
            raise ValueError("backward: nothing went forward, should be called after forward")
        cdef cnn_matrix g = network.outputs_of(gradient, ndim, rows, "backward")
        cdef cnp.ndarray flat = np.empty(network.parameter_count, network.dtype)
        cdef cnp.ndarray dx = network.empty_rows(ndim, rows, network.input_count)
        cdef void *flat_data = cnp.PyArray_DATA(flat)
        cdef void *dx_data = cnp.PyArray_DATA(dx)
        cdef size_t count = flat.size, dx_stride = network.input_count
        cdef cnn_status status
        hold = pinned(gradient)
        self.begin("backward")
        with nogil:
            status = cnn_tape_backward(self.tape, &g, flat_data, count, dx_data, dx_stride)
        self.end()
        check(status, "backward")
        return network.split(flat), dx
