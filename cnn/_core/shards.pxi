# Training in shards. Needs base.pxi: check, initialize_once; arrays.pxi: shape_of; losses.pxi:
# Loss; samples.pxi: Result, Samples; network.pxi: Network; trainer.pxi: Trainer.

from libc.stdint cimport uint64_t

SHARD_SUMS = CNN_SHARD_SUMS
# More processes than any machine has, and few enough for a list.
cdef size_t MOST_SLICES = 1000000


def shard_seed(seed, shard):
    """The seed of a shard's order of rows and of its dropout."""
    cdef uint64_t c_seed = seed
    cdef size_t c_shard = shard
    return cnn_shard_seed(c_seed, c_shard)


def shard_sums(Result result not None):
    """The sums of a shard that was evaluated."""
    cdef cnp.ndarray sums = np.empty(CNN_SHARD_SUMS)
    check(cnn_shard_sums(&result.result, <double *>cnp.PyArray_DATA(sums)), "shard_sums")
    return sums


cdef void *vector_data(cnp.ndarray vector, int type_number, str where, str name) except? NULL:
    """The memory of a plain, writable vector of a type."""
    if vector is None:
        raise TypeError(f"{where}: {name} is None, should be an array")
    if (cnp.PyArray_NDIM(vector) != 1 or cnp.PyArray_TYPE(vector) != type_number
            or not cnp.PyArray_CHKFLAGS(vector, cnp.NPY_ARRAY_CARRAY)
            or not cnp.PyArray_ISNOTSWAPPED(vector)):
        raise ValueError(
            f"{where}: {name} is of type {vector.dtype} and shape {shape_of(vector)}, should be a "
            f"contiguous, writable vector of the network's type"
        )
    return cnp.PyArray_DATA(vector)


cdef double *sums_data(cnp.ndarray sums, str where) except NULL:
    cdef double *data = <double *>vector_data(sums, cnp.NPY_FLOAT64, where, "sums")
    if sums.size != CNN_SHARD_SUMS:
        raise ValueError(f"{where}: sums has {sums.size} numbers, should have {CNN_SHARD_SUMS}")
    return data


@cython.final
cdef class ShardTree:
    """Vectors of `count` numbers of float32 or float64, and sums, added over shards in order."""

    cdef cnn_shard_tree *tree
    cdef readonly size_t count
    cdef int type_number
    cdef bint busy, initialized

    # Not in __init__, which need not be called, so that each object has a tree.
    def __cinit__(self, dtype, count, shards):
        cdef size_t c_count = count, c_shards = shards
        self.type_number = np.dtype(dtype).num
        self.count = c_count
        if self.type_number not in (cnp.NPY_FLOAT32, cnp.NPY_FLOAT64):
            raise TypeError(f"ShardTree: dtype is {dtype!r}, should be float32 or float64")
        kind = CNN_FLOAT32 if self.type_number == cnp.NPY_FLOAT32 else CNN_FLOAT64
        check(cnn_shard_tree_create(kind, c_count, c_shards, &self.tree), "ShardTree")

    def __init__(self, *args, **kwargs):
        initialize_once(self, &self.initialized, "ShardTree")

    def __dealloc__(self):
        cnn_shard_tree_destroy(self.tree)

    cdef int begin(self, str where) except -1:
        """Mark the tree as in use; no Python code may run until it is marked as free."""
        cdef bint busy
        with cython.critical_section(self):
            busy = self.busy
            self.busy = True
        if busy:
            raise RuntimeError(f"{where}: the tree is in use by another thread")
        return 0

    cdef void end(self) noexcept:
        with cython.critical_section(self):
            self.busy = False

    def reset(self):
        """Make the tree empty."""
        self.begin("reset")
        status = cnn_shard_tree_reset(self.tree)
        self.end()
        check(status, "reset")

    def add(self, first, last, cnp.ndarray vector, cnp.ndarray sums not None):
        """Add the node of shards first, ..., last - 1."""
        cdef size_t c_first = first, c_last = last
        cdef const void *p = vector_data(vector, self.type_number, "add", "vector")
        cdef const double *c_sums = sums_data(sums, "add")
        cdef cnn_status status
        if <size_t>vector.size != self.count:
            raise ValueError(f"add: vector has {vector.size} numbers, should have {self.count}")
        self.begin("add")
        with nogil:
            status = cnn_shard_tree_add(self.tree, c_first, c_last, p, c_sums)
        self.end()
        check(status, "add")

    def nodes(self):
        """The nodes so far: (first, last, vector, sums) of each.

        The vectors are views, whose numbers are those of the nodes until the tree changes.
        """
        cdef size_t first, last, i
        cdef void *vector
        cdef const double *sums
        cdef cnp.npy_intp length = self.count
        cdef cnp.ndarray view, copy
        found = []
        self.begin("nodes")
        try:
            for i in range(cnn_shard_tree_nodes(self.tree)):
                check(cnn_shard_tree_node(self.tree, i, &first, &last, &vector, &sums), "nodes")
                view = cnp.PyArray_SimpleNewFromData(1, &length, self.type_number, vector)
                cnp.set_array_base(view, self)
                copy = np.array([sums[k] for k in range(<int>CNN_SHARD_SUMS)])
                found.append((first, last, view, copy))
        finally:
            self.end()
        return found


def shard_gradient(Trainer trainer not None, Loss loss not None, x, t, sample_weight, index,
                   shard, ShardTree tree not None):
    """Add the gradient and the sums of a shard's rows, x[index], ..., to a tree; None: all of x."""
    cdef Network network = trainer.network
    cdef Samples samples = Samples(x, t, sample_weight, network.input_count, "fit")
    loss.check_outputs(network.output_count, "fit")
    cdef cnp.ndarray rows
    cdef const size_t *c_index = NULL
    cdef size_t count = samples.data.x.rows, c_shard = shard
    if index is not None:
        rows = np.ascontiguousarray(index, dtype=np.uintp)
        c_index = <const size_t *>cnp.PyArray_DATA(rows)
        count = rows.size
    cdef cnn_status status
    tree.begin("fit")
    try:
        network.begin_change("fit")
    except (RuntimeError, MemoryError):
        tree.end()
        raise
    with nogil:
        status = cnn_shard_gradient(
            trainer.trainer, &loss.loss, &samples.data, c_index, count, c_shard, tree.tree)
    network.end_change()
    tree.end()
    if status == CNN_ERROR_NONFINITE:
        raise FloatingPointError(f"fit: {cnn_last_error().decode()}")
    check(status, "fit")


def shard_loss(Network network not None, cnp.ndarray sums not None):
    """The mean loss of the sums over all shards, with penalties."""
    cdef double loss
    cdef const double *c_sums = sums_data(sums, "fit")
    network.begin_read()
    status = cnn_shard_loss(network.network, c_sums, &loss)
    network.end_read()
    check(status, "fit")
    return loss


def shard_slices(Network network not None, parts):
    """Where the slices of the parameters begin that so many processes update, and the end."""
    cdef size_t first = 0, count = 0, c_parts = parts, part
    if c_parts == 0 or c_parts > MOST_SLICES:
        raise ValueError(f"fit: parts is {parts}, should be 1 to {MOST_SLICES}")
    begins = []
    for part in range(c_parts):
        check(cnn_shard_slice(network.network, c_parts, part, &first, &count), "fit")
        begins.append(first)
    return [*begins, first + count]


def shard_blocks(Network network not None, first, count):
    """How many blocks of squares a slice of the parameters has."""
    cdef size_t c_first = first, c_count = count
    return cnn_shard_blocks(network.network, c_first, c_count)


def shard_mean(Network network not None, cnp.ndarray gradient not None, first,
               cnp.ndarray sums not None):
    """Turn a slice of the summed gradient into that of the mean loss with penalties, in place."""
    cdef void *p = vector_data(gradient, network.type_number, "fit", "gradient")
    cdef size_t c_first = first, count = gradient.size
    cdef const double *c_sums = sums_data(sums, "fit")
    cdef cnn_status status
    network.begin_read()
    with nogil:
        status = cnn_shard_mean(network.network, c_sums, c_first, count, p)
    network.end_read()
    check(status, "fit")


def shard_squares(Network network not None, cnp.ndarray gradient not None, first):
    """The sum of squares of each block of a slice of the gradient."""
    cdef const void *p = vector_data(gradient, network.type_number, "fit", "gradient")
    cdef size_t c_first = first, count = gradient.size
    cdef cnp.ndarray squares = np.empty(cnn_shard_blocks(network.network, c_first, count))
    cdef double *to = <double *>cnp.PyArray_DATA(squares)
    cdef cnn_status status
    with nogil:
        status = cnn_shard_squares(network.network, p, c_first, count, to)
    check(status, "fit")
    return squares


def shard_clip(Trainer trainer not None, cnp.ndarray squares not None):
    """What clip_norm multiplies the gradient by, given the squares of all blocks, or None."""
    cdef double clip
    cdef const double *p = <const double *>vector_data(
        squares, cnp.NPY_FLOAT64, "fit", "squares")
    cdef cnn_status status = cnn_shard_clip(trainer.trainer, p, squares.size, &clip)
    if status == CNN_ERROR_NONFINITE:
        return None
    check(status, "fit")
    return clip


def shard_step(Trainer trainer not None, cnp.ndarray gradient not None, first, clip, lr,
               cnp.ndarray values not None):
    """Write the new parameters of a slice to `values`; the network keeps its own."""
    cdef Network network = trainer.network
    cdef const void *p = vector_data(gradient, network.type_number, "fit", "gradient")
    cdef void *to = vector_data(values, network.type_number, "fit", "values")
    cdef size_t c_first = first, count = gradient.size
    cdef double c_clip = clip, c_lr = lr
    cdef cnn_status status
    if <size_t>values.size != count:
        raise ValueError(f"fit: values has {values.size} numbers, should have {count}")
    network.begin_change("fit")
    with nogil:
        status = cnn_shard_step(trainer.trainer, p, c_first, count, c_clip, c_lr, to)
    network.end_change()
    check(status, "fit")


def shard_finish(Trainer trainer not None, cnp.ndarray values not None, str key=None,
                 str value=None):
    """Give the network its new parameters, count the step, and set the metadata `key`.

    No signal comes between the step and the metadata.
    """
    cdef bytes c_key = b"" if key is None else key.encode()
    cdef bytes c_value = b"" if value is None else value.encode()
    cdef const char *k = c_key
    cdef const char *v = c_value
    cdef Network network = trainer.network
    cdef const void *p = vector_data(values, network.type_number, "fit", "values")
    cdef size_t count = values.size
    cdef cnn_status status
    network.begin_change("fit")
    with nogil:
        status = cnn_shard_finish(trainer.trainer, p, count)
    if status == CNN_OK and key is not None:
        with cython.critical_section(network):
            status = cnn_network_set_metadata(network.network, k, v)
    network.end_change()
    check(status, "fit")
