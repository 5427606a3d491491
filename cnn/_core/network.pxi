# Networks. Needs base.pxi: ACTIVATION_NUMBERS, ACTIVATIONS, ADOPTED, check, index_of,
# INITIALIZER_NUMBERS, initialize_once, path_bytes, RELEASE_WORK; arrays.pxi: check_shape,
# matrix_of, numeric_array, pinned, pins, real_array; outputs.pxi: check_overlap, handed_back,
# output_array, row_target; losses.pxi: Loss; samples.pxi: begin_result, Result, Samples;
# access.pxi: enter_change, enter_read, is_changing, leave_change, leave_read, network_access,
# waiting_reader.

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memset


# ---- Layers ------------------------------------------------------------------------------------

# A layer as Network takes and returns it; documented in the stub.
LayerSpec = namedtuple(
    "LayerSpec",
    (
        "kind", "inputs", "outputs", "activation", "l2", "rate", "alpha", "parametrization",
        "columns", "clip", "frequencies", "periodic_size", "embedding_size",
    ),
    defaults=(0, 0, "identity", 0.0, 0.0, 0.0, "standard", (), 0.0, 0, 0, 0),
    module=__name__,
)

# A column of a columns layer; documented in the stub.
ColumnSpec = namedtuple(
    "ColumnSpec", ("kind", "missing", "categories"), defaults=(False, 0), module=__name__)

cdef dict LAYER_KINDS = {
    "dense": CNN_LAYER_DENSE, "dropout": CNN_LAYER_DROPOUT, "standardize": CNN_LAYER_STANDARDIZE,
    "columns": CNN_LAYER_COLUMNS, "scale": CNN_LAYER_SCALE,
    "parametric_activation": CNN_LAYER_PARAMETRIC_ACTIVATION,
}
cdef dict LAYER_NAMES = {number: name for name, number in LAYER_KINDS.items()}
cdef dict COLUMN_KINDS = {
    "number": CNN_COLUMN_NUMBER, "periodic": CNN_COLUMN_PERIODIC, "one_hot": CNN_COLUMN_ONE_HOT,
    "embedding": CNN_COLUMN_EMBEDDING, "ignored": CNN_COLUMN_IGNORED,
}
cdef dict COLUMN_NAMES = {number: name for name, number in COLUMN_KINDS.items()}
cdef dict PARAMETRIZATION_KINDS = {
    "standard": CNN_PARAMETRIZATION_STANDARD, "ntk": CNN_PARAMETRIZATION_NTK,
}
cdef dict PARAMETRIZATION_NAMES = {
    number: name for name, number in PARAMETRIZATION_KINDS.items()}
PARAMETRIZATIONS = tuple(PARAMETRIZATION_KINDS)
MOST_CATEGORIES = CNN_MOST_CATEGORIES
MOST_GROUPS = CNN_MOST_GROUPS
cdef dict PARAMETERS = {
    "weight": CNN_WEIGHT, "bias": CNN_BIAS, "mean": CNN_MEAN, "scale": CNN_SCALE,
    "embedding": CNN_EMBEDDING, "periodic": CNN_PERIODIC, "factor": CNN_FACTOR, "mix": CNN_MIX,
}


def shapes_of(spec):
    """The shapes of a LayerSpec's parameters by name, in the order of libcnn, fixed ones last."""
    if spec.kind == "dense":
        return {"weight": (spec.inputs, spec.outputs), "bias": (spec.outputs,)}
    if spec.kind == "standardize":
        return {"mean": (spec.inputs,), "scale": (spec.inputs,)}
    if spec.kind == "scale":
        return {"factor": (spec.outputs,)}
    if spec.kind == "parametric_activation":
        return {"mix": (spec.outputs,)}
    found = {}
    if spec.kind == "columns":
        rows = sum(column.categories for column in spec.columns if column.kind == "embedding")
        periodic = sum(column.kind == "periodic" for column in spec.columns)
        size = spec.periodic_size
        if rows:
            found["embedding"] = (rows, spec.embedding_size)
        if periodic:
            found["periodic"] = (periodic, (size + 1) * spec.frequencies + size - 1)
        found["mean"] = found["scale"] = (len(spec.columns),)
    return found


# The parameters that training leaves as they are.
FIXED = frozenset(("mean", "scale"))


def outputs_of(spec):
    """The outputs of a LayerSpec; of one that has what comes, its inputs."""
    cdef size_t features = 0
    if spec.kind != "columns":
        return spec.outputs or spec.inputs
    for column in spec.columns:
        if column.kind == "number":
            features += 1 + column.missing
        elif column.kind == "periodic":
            features += spec.periodic_size + column.missing
        elif column.kind == "one_hot":
            features += 1 if column.categories == 2 else column.categories
        elif column.kind == "embedding":
            features += spec.embedding_size
    return features


cdef object read_columns(tuple columns, cnn_layer *layer):
    """Write ColumnSpecs as C takes them; returns the owner of their memory."""
    cdef bytearray memory = bytearray(max(len(columns), 1) * sizeof(cnn_column))
    cdef cnn_column *c_columns = <cnn_column *><char *>memory
    cdef Py_ssize_t i
    for i in range(len(columns)):
        c_columns[i].struct_size = sizeof(cnn_column)
        c_columns[i].kind = <cnn_column_kind>index_of(COLUMN_KINDS, columns[i].kind, "kind")
        c_columns[i].missing = bool(columns[i].missing)
        c_columns[i].categories = columns[i].categories
    layer.columns = c_columns
    return memory


cdef int read_layer(object spec, Py_ssize_t index, cnn_layer *layer, list hold) except -1:
    """Write a LayerSpec, layer `index` of a network, as C takes it; `hold` gets what it points to.
    """
    if not isinstance(spec, LayerSpec):
        raise TypeError(
            f"Sequential: layer {index} is of type {type(spec).__name__}, should be a LayerSpec"
        )
    memset(layer, 0, sizeof(cnn_layer))  # 0 is the default of each field
    layer.struct_size = sizeof(cnn_layer)
    layer.kind = <cnn_layer_kind>index_of(LAYER_KINDS, spec.kind, "kind")
    layer.inputs = spec.inputs
    layer.outputs = spec.outputs
    layer.activation = <cnn_activation>index_of(ACTIVATION_NUMBERS, spec.activation, "activation")
    layer.l2 = spec.l2
    layer.rate = spec.rate
    layer.alpha = spec.alpha
    layer.parametrization = <cnn_parametrization>index_of(
        PARAMETRIZATION_KINDS, spec.parametrization, "parametrization")
    columns = spec.columns
    if not isinstance(columns, tuple):
        raise TypeError(
            f"Sequential: layer {index} has columns of type {type(columns).__name__}, should be a "
            f"tuple of ColumnSpec"
        )
    if columns:
        # libcnn reads as many columns as there are inputs.
        if layer.inputs != <size_t>len(columns):
            raise ValueError(
                f"Sequential: layer {index} has {layer.inputs} inputs and {len(columns)} columns, "
                f"should have as many of both"
            )
        hold.append(read_columns(columns, layer))
    layer.clip = spec.clip
    layer.frequencies = spec.frequencies
    layer.periodic_size = spec.periodic_size
    layer.embedding_size = spec.embedding_size
    return 0


@cython.final
cdef class ParameterArray:
    """A parameter, with the numbers that are read or set, and those from before."""

    cdef size_t layer
    cdef str name
    cdef cnn_parameter which
    cdef cnp.ndarray values, before


# ---- Networks ----------------------------------------------------------------------------------

cdef object FLOAT32 = np.dtype(np.float32), FLOAT64 = np.dtype(np.float64)


@cython.final
cdef class Network:
    """A network; its layers are LayerSpecs."""

    cdef cnn_network *network
    cdef size_t input_count, output_count
    cdef int type_number
    cdef double work
    cdef network_access access
    cdef bint initialized

    # Not in __init__, which need not be called, so that each object has a network.
    def __cinit__(self, layers, *, dtype="float32", seed=0):
        if layers is ADOPTED:
            return
        cdef tuple given = tuple(layers)
        cdef cnn_layer[64] few
        cdef cnn_layer *c_layers = few
        cdef bytearray many
        if len(given) > 64:
            many = bytearray(len(given) * sizeof(cnn_layer))
            c_layers = <cnn_layer *><char *>many
        cdef Py_ssize_t i
        cdef list hold = []
        for i in range(len(given)):
            read_layer(given[i], i, &c_layers[i], hold)
        dtype = np.dtype(dtype)
        if dtype not in (FLOAT32, FLOAT64):
            raise ValueError(f"Sequential: dtype is {dtype}, should be float32 or float64")
        cdef cnn_dtype code = CNN_FLOAT32 if dtype.itemsize == 4 else CNN_FLOAT64
        cdef uint64_t c_seed = seed
        cdef cnn_network *made = NULL
        check(cnn_network_create(code, len(given), c_layers, c_seed, &made), "Sequential")
        self.adopt(made)

    def __init__(self, *args, **kwargs):
        initialize_once(self, &self.initialized, "Network")

    cdef int adopt(self, cnn_network *network) except -1:
        """Take ownership of a network of C."""
        self.network = network
        self.input_count = cnn_network_inputs(network)
        self.output_count = cnn_network_outputs(network)
        single = cnn_network_dtype(network) == CNN_FLOAT32
        self.type_number = cnp.NPY_FLOAT32 if single else cnp.NPY_FLOAT64
        self.work = <double>cnn_network_parameter_count(network)
        return 0

    def __dealloc__(self):
        cnn_network_destroy(self.network)

    cdef int begin_change(self, str where) except -1:
        """Keep all others from the network until end_change; no Python code may run until then.

        Waits for readers. If another thread changes the network, this is a RuntimeError.
        """
        cdef PyThread_type_lock lock
        with cython.critical_section(self):
            lock = enter_change(&self.access, where)
        if lock != NULL:
            self.wait_for(lock)
        return 0

    cdef void end_change(self) noexcept:
        with cython.critical_section(self):
            leave_change(&self.access)

    # A reader that waits lets other threads run. So arrays are pinned before begin_read if pointers
    # to them were taken before, and what is allocated for results is allocated before, too.
    # Metadata and l2 may be read and set beside a training, in critical sections alone. What reads
    # them with the weights has such a section within begin_read.

    cdef inline int begin_read(self) except -1:
        """Keep the network from changing until end_read; no Python code may run until then.

        Waits until the change that is running has ended.
        """
        cdef waiting_reader own
        cdef bint waits
        with cython.critical_section(self):
            waits = enter_read(&self.access, &own)
        if waits:
            self.wait_for(own.lock)
        return 0

    cdef inline void end_read(self) noexcept:
        with cython.critical_section(self):
            leave_read(&self.access)

    cdef void wait_for(self, PyThread_type_lock lock) noexcept:
        """Wait until another thread releases a lock, and free it."""
        with nogil:
            PyThread_acquire_lock(lock, WAIT_LOCK)
        # The other thread has left the lock when it has left its section.
        with cython.critical_section(self):
            PyThread_free_lock(lock)

    @property
    def changes(self):
        """How often the network was changed; two equal numbers mean the same weights."""
        return self.access.changes

    @property
    def dtype(self):
        return FLOAT32 if self.type_number == cnp.NPY_FLOAT32 else FLOAT64

    @property
    def seed(self):
        return cnn_network_seed(self.network)

    @property
    def inputs(self):
        return self.input_count

    @property
    def outputs(self):
        return self.output_count

    @property
    def parameter_count(self):
        return cnn_network_parameter_count(self.network)

    @property
    def activation(self):
        return self.layer(cnn_network_layer_count(self.network) - 1).activation

    @property
    def layers(self):
        cdef size_t i
        return [self.layer(i) for i in range(cnn_network_layer_count(self.network))]

    cdef object layer(self, size_t index):
        """The LayerSpec of a layer."""
        cdef cnn_layer found
        found.struct_size = sizeof(cnn_layer)
        with cython.critical_section(self):
            check(cnn_network_layer(self.network, index, &found), "layers")
        kind = LAYER_NAMES[<int>found.kind]
        cdef size_t j
        columns = ()
        if found.columns != NULL:
            columns = tuple([
                ColumnSpec(
                    COLUMN_NAMES[<int>found.columns[j].kind], found.columns[j].missing != 0,
                    found.columns[j].categories)
                for j in range(found.inputs)
            ])
        # LayerSpec(...) would run Python code, and take four times as long.
        return tuple.__new__(LayerSpec, (
            kind, found.inputs, found.outputs, ACTIVATIONS[<int>found.activation], found.l2,
            found.rate, found.alpha, PARAMETRIZATION_NAMES[<int>found.parametrization], columns,
            found.clip, found.frequencies, found.periodic_size, found.embedding_size))

    @property
    def trained(self):
        """The layer, the name and the shape of each parameter that is trained, in their order."""
        return [
            (i, name, shape)
            for i, spec in enumerate(self.layers)
            for name, shape in shapes_of(spec).items()
            if name not in FIXED
        ]

    def copy(self):
        cdef cnn_network *made = NULL
        self.begin_read()
        with cython.critical_section(self):
            status = cnn_network_copy(self.network, &made)
        self.end_read()
        check(status, "copy")
        return network_of(made)

    def initialize(self, layer, initializer, a=0.0):
        cdef int kind = index_of(INITIALIZER_NUMBERS, initializer, "init")
        cdef size_t c_layer = layer
        cdef double c_a = a
        self.begin_change("initialize")
        status = cnn_network_initialize(self.network, c_layer, <cnn_initializer>kind, c_a)
        self.end_change()
        check(status, "init")

    cdef int find_shape(self, size_t layer, str parameter, cnp.npy_intp *shape) except -1:
        """Write the shape of a parameter and return its number of dimensions."""
        cdef cnn_layer found
        found.struct_size = sizeof(cnn_layer)
        check(cnn_network_layer(self.network, layer, &found), parameter)
        if parameter == "weight":
            shape[0], shape[1] = found.inputs, found.outputs
            return 2
        if parameter in ("embedding", "periodic"):
            wanted = shapes_of(self.layer(layer)).get(parameter)
            if wanted is None:
                raise ValueError(f"{parameter}: layer {layer} has none")
            shape[0], shape[1] = wanted
            return 2
        shape[0] = found.inputs if parameter in FIXED else found.outputs
        return 1

    cdef cnp.ndarray empty_parameter(self, size_t layer, str parameter):
        """A new array of the shape of a parameter."""
        cdef cnp.npy_intp[2] shape
        cdef int ndim = self.find_shape(layer, parameter, shape)
        return cnp.PyArray_EMPTY(ndim, shape, self.type_number, 0)

    cdef cnn_status read_parameter(self, size_t layer, cnn_parameter which, cnp.ndarray to):
        cdef void *p = cnp.PyArray_DATA(to)
        if self.type_number == cnp.NPY_FLOAT32:
            return cnn_network_get_f32(self.network, layer, which, <float *>p, to.size)
        return cnn_network_get_f64(self.network, layer, which, <double *>p, to.size)

    cdef cnn_status write_parameter(self, size_t layer, cnn_parameter which, cnp.ndarray values):
        cdef const void *p = cnp.PyArray_DATA(values)
        if self.type_number == cnp.NPY_FLOAT32:
            return cnn_network_set_f32(self.network, layer, which, <const float *>p, values.size)
        return cnn_network_set_f64(self.network, layer, which, <const double *>p, values.size)

    def get(self, layer, parameter):
        return self.get_all([(layer, parameter)])[0]

    def get_all(self, parameters):
        """Arrays of some parameters, each a layer's index and a name, all of the same time."""
        cdef list found = [self.chosen(layer, name) for layer, name in parameters]
        cdef ParameterArray one
        cdef cnn_status status = CNN_OK
        for one in found:
            one.values = self.empty_parameter(one.layer, one.name)
        self.begin_read()
        for one in found:
            status = self.read_parameter(one.layer, one.which, one.values)
            if status != CNN_OK:
                break
        self.end_read()
        if status != CNN_OK:
            check(status, one.name)
        return [(<ParameterArray>each).values for each in found]

    def set(self, layer, parameter, values):
        self.set_all([(layer, parameter, values)], parameter)

    def set_all(self, parameters, str where not None="set"):
        """Set some parameters, each a layer's index, a name and values, all at once or none."""
        cdef list given = [], hold = []
        cdef ParameterArray one
        cdef cnp.npy_intp[2] shape
        cdef int ndim
        cdef cnn_status status = CNN_OK
        cdef bint refusable = False
        for layer, name, values in parameters:
            one = self.chosen(layer, name)
            one.values = real_array(numeric_array(values, "set", name, hold), self.type_number)
            hold.append(pinned(one.values))
            ndim = self.find_shape(one.layer, one.name, shape)
            check_shape(one.values, ndim, shape, "set", name, "")
            # Nothing but a mean or a scale of such a shape can be refused.
            refusable = refusable or one.which == CNN_MEAN or one.which == CNN_SCALE
            given.append(one)
        if refusable:
            for one in given:
                one.before = self.empty_parameter(one.layer, one.name)
        self.begin_change(where)
        status = self.write_all(given)
        self.end_change()
        check(status, where)

    cdef cnn_status write_all(self, list given):
        """Write all arrays, or none."""
        cdef ParameterArray one
        cdef cnn_status status = CNN_OK
        cdef Py_ssize_t done = 0
        for one in given:
            if one.before is not None:
                status = self.read_parameter(one.layer, one.which, one.before)
            if status == CNN_OK:
                status = self.write_parameter(one.layer, one.which, one.values)
            if status != CNN_OK:
                break
            done += 1
        while status != CNN_OK and done > 0:
            done -= 1
            one = given[done]
            self.write_parameter(one.layer, one.which, one.before)
        return status

    cdef ParameterArray chosen(self, layer, name):
        cdef ParameterArray made = ParameterArray.__new__(ParameterArray)
        made.layer = layer
        made.name = name
        made.which = <cnn_parameter>index_of(PARAMETERS, name, "parameter")
        return made

    def set_l2(self, layer, l2):
        cdef size_t c_layer = layer
        cdef double c_l2 = l2
        self.begin_change("l2")
        with cython.critical_section(self):
            status = cnn_network_set_l2(self.network, c_layer, c_l2)
        self.end_change()
        check(status, "l2")

    cdef cnn_matrix inputs_of(self, cnp.ndarray array, str where) except *:
        """The matrix of x, rows or one row, with the network's inputs as columns."""
        cdef cnn_matrix m = matrix_of(array, where, "x", False)
        if m.cols != self.input_count:
            raise ValueError(
                f"{where}: x has {m.cols} columns, but the first layer has {self.input_count} "
                f"inputs"
            )
        return m

    cdef cnn_matrix outputs_of(self, cnp.ndarray array, int ndim, size_t rows, str where) except *:
        """The matrix of dy, which has the shape of the outputs."""
        cdef cnp.npy_intp[2] shape = [rows, self.output_count]
        check_shape(array, ndim, &shape[2 - ndim], where, "dy", ", that of the outputs")
        return matrix_of(array, where, "dy", False)

    cdef cnp.ndarray empty_rows(self, int ndim, size_t rows, size_t cols):
        """A new array (rows, cols) of the network's type, or (cols,) for one row."""
        cdef cnp.npy_intp[2] shape = [rows, cols]
        return cnp.PyArray_EMPTY(ndim, &shape[2 - ndim], self.type_number, 0)

    def predict(self, x, out=None):
        cdef list hold = pins(x, out)
        cdef cnp.ndarray array = numeric_array(x, "predict", "x", hold)
        cdef cnp.ndarray into = output_array(out, "predict")
        check_overlap(into, array, "predict", "x", False)
        cdef cnn_matrix m = self.inputs_of(array, "predict")
        cdef int ndim = cnp.PyArray_NDIM(array)
        cdef cnp.npy_intp[2] shape = [m.rows, self.output_count]
        cdef size_t y_stride = self.output_count
        # The shape of a 1-D result is the second number only.
        cdef cnp.ndarray y = row_target(
            into, ndim, &shape[2 - ndim], self.type_number, "predict", &y_stride)
        cdef void *to = cnp.PyArray_DATA(y)
        cdef cnn_status status
        cdef bint small = self.work * <double>m.rows < RELEASE_WORK
        if not small or is_changing(&self.access):
            hold = pinned(array, y)
        self.begin_read()
        if small:
            status = cnn_network_predict(self.network, &m, to, y_stride, NULL, 0)
        else:
            with nogil:
                status = cnn_network_predict(self.network, &m, to, y_stride, NULL, 0)
        self.end_read()
        check(status, "predict")
        return handed_back(y, into, out)

    def vjp(self, x, dy):
        """The outputs, and the gradient with respect to x for that with respect to the outputs."""
        cdef list hold = pins(x, dy)
        cdef cnp.ndarray array = numeric_array(x, "vjp", "x", hold)
        cdef cnp.ndarray gradient = numeric_array(dy, "vjp", "dy", hold)
        cdef cnn_matrix m = self.inputs_of(array, "vjp")
        cdef int ndim = cnp.PyArray_NDIM(array)
        cdef cnn_matrix g = self.outputs_of(gradient, ndim, m.rows, "vjp")
        cdef cnp.ndarray y = self.empty_rows(ndim, m.rows, self.output_count)
        cdef cnp.ndarray dx = self.empty_rows(ndim, m.rows, self.input_count)
        cdef void *y_data = cnp.PyArray_DATA(y)
        cdef void *dx_data = cnp.PyArray_DATA(dx)
        cdef cnn_status status
        cdef bint small = 2 * self.work * <double>m.rows < RELEASE_WORK
        if not small or is_changing(&self.access):
            hold = pinned(array, gradient)
        self.begin_read()
        if small:
            status = cnn_network_vjp(
                self.network, &m, &g, y_data, self.output_count, dx_data, self.input_count, NULL, 0)
        else:
            with nogil:
                status = cnn_network_vjp(
                    self.network, &m, &g, y_data, self.output_count, dx_data, self.input_count,
                    NULL, 0)
        self.end_read()
        check(status, "vjp")
        return y, dx

    def jacobian(self, x):
        """The derivatives of the outputs with respect to the inputs, of each row."""
        cdef list hold = pins(x, None)
        cdef cnp.ndarray array = numeric_array(x, "jacobian", "x", hold)
        cdef cnn_matrix m = self.inputs_of(array, "jacobian")
        cdef int ndim = cnp.PyArray_NDIM(array)
        cdef cnp.npy_intp[3] shape = [m.rows, self.output_count, self.input_count]
        # The shape of one row's Jacobian is the last two numbers.
        cdef cnp.ndarray made = cnp.PyArray_EMPTY(
            ndim + 1, &shape[2 - ndim], self.type_number, 0)
        cdef void *to = cnp.PyArray_DATA(made)
        cdef cnn_status status
        cdef bint small = self.work * <double>m.rows * (1 + self.output_count) < RELEASE_WORK
        if not small or is_changing(&self.access):
            hold = pinned(array)
        self.begin_read()
        if small:
            status = cnn_network_jacobian(self.network, &m, NULL, 0, to, NULL, 0)
        else:
            with nogil:
                status = cnn_network_jacobian(self.network, &m, NULL, 0, to, NULL, 0)
        self.end_read()
        check(status, "jacobian")
        return made

    def evaluate(self, Loss loss not None, x, t, sample_weight=None, where="evaluate",
                 Result so_far=None):
        cdef Samples samples = Samples(x, t, sample_weight, self.input_count, where)
        loss.check_outputs(self.output_count, where)
        cdef Result made = begin_result(so_far)
        cdef cnn_status status
        self.begin_read()
        with nogil:
            status = cnn_network_evaluate(self.network, &loss.loss, &samples.data, &made.result)
        self.end_read()
        check(status, where)
        return made

    def gradients(self, Loss loss not None, x, t, sample_weight=None, step=-1):
        cdef Samples samples = Samples(x, t, sample_weight, self.input_count, "gradients")
        loss.check_outputs(self.output_count, "gradients")
        cdef cnp.ndarray flat = np.empty(self.parameter_count, self.dtype)
        cdef void *to = cnp.PyArray_DATA(flat)
        cdef size_t count = flat.size
        cdef double value = 0
        cdef int64_t c_step = step
        cdef cnn_status status
        self.begin_read()
        with nogil:
            status = cnn_network_gradients(
                self.network, &loss.loss, &samples.data, c_step, &value, to, count)
        self.end_read()
        check(status, "gradients")
        return value, self.split(flat)

    cdef list split(self, cnp.ndarray flat):
        """Views of a flat row of parameters: weight, bias, weight, bias, ..."""
        parts = []
        at = 0
        for _, _, shape in self.trained:
            size = shape[0] if len(shape) == 1 else shape[0] * shape[1]
            parts.append(flat[at:at + size].reshape(shape))
            at += size
        return parts

    def save(self, path):
        cdef bytes encoded = path_bytes(path)
        cdef const char *c_path = encoded
        self.begin_read()
        with cython.critical_section(self):
            status = cnn_network_save(self.network, c_path)
        self.end_read()
        check(status, "save", path)

    @staticmethod
    def load(path):
        cdef bytes encoded = path_bytes(path)
        cdef const char *c_path = encoded
        cdef cnn_network *made = NULL
        cdef cnn_status status
        with nogil:
            status = cnn_network_load(c_path, &made)
        check(status, "load", path)
        return network_of(made)

    def to_bytes(self):
        cdef void *data = NULL
        cdef size_t size = 0
        self.begin_read()
        with cython.critical_section(self):
            status = cnn_network_to_bytes(self.network, &data, &size)
        self.end_read()
        check(status, "to_bytes")
        try:
            return (<char *>data)[:size]
        finally:
            cnn_bytes_free(data)

    @staticmethod
    def from_bytes(data):
        if not isinstance(data, bytes):
            raise TypeError(f"from_bytes: data is of type {type(data).__name__}, should be bytes")
        # A subclass of bytes may override __len__.
        cdef const char *p = PyBytes_AS_STRING(data)
        cdef size_t size = PyBytes_GET_SIZE(data)
        cdef cnn_network *made = NULL
        cdef cnn_status status
        with nogil:
            status = cnn_network_from_bytes(p, size, &made)
        check(status, "from_bytes")
        return network_of(made)

    @property
    def metadata(self):
        cdef const char *key
        cdef size_t i
        cdef list keys = [], values = []
        # Bytes and items of lists alone are made here: objects that the collector knows may start
        # it, which runs other code, and that may let another thread change the metadata.
        with cython.critical_section(self):
            for i in range(cnn_network_metadata_count(self.network)):
                key = cnn_network_metadata_key(self.network, i)
                keys.append(<bytes>key)
                values.append(<bytes>cnn_network_metadata(self.network, key))
        return {
            name.decode(): value.decode() for name, value in zip(keys, values, strict=True)}

    def get_metadata(self, str key not None):
        """The value of a key, or None."""
        cdef bytes c_key = key.encode()
        cdef const char *k = c_key
        cdef const char *value
        if b"\0" in c_key:
            return None
        with cython.critical_section(self):
            value = cnn_network_metadata(self.network, k)
            found = None if value == NULL else <bytes>value
        return None if found is None else found.decode()

    def set_metadata(self, str key not None, str value):
        for text, name in ((key, "key"), (value or "", "value")):
            if "\0" in text:
                raise ValueError(f"set_metadata: {name} contains a NUL character")
        cdef bytes c_key = key.encode()
        cdef bytes c_value = b"" if value is None else value.encode()
        cdef const char *v = NULL if value is None else <const char *>c_value
        cdef const char *k = c_key
        with cython.critical_section(self):
            status = cnn_network_set_metadata(self.network, k, v)
        check(status, "set_metadata")


cdef Network network_of(cnn_network *made):
    """A Network that owns a network of C."""
    cdef Network network = Network.__new__(Network, ADOPTED)
    network.adopt(made)
    return network
