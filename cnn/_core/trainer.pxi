# Trainers. Needs base.pxi: ADOPTED, check, index_of, initialize_once, OPTIMIZER_NUMBERS,
# OPTIMIZER_SLOTS, OPTIMIZERS, path_bytes; arrays.pxi: check_shape, numeric_array, pinned, pins,
# real_array; losses.pxi: Loss; samples.pxi: begin_result, Result, Samples; network.pxi: Network,
# network_of, PARAMETERS.

from libc.stdint cimport uint64_t


@cython.final
@cython.no_gc_clear  # cnn_trainer_destroy needs the network, so it must be freed after
cdef class Trainer:
    """An optimizer and its state for one network; options have the names of cnn_optimizer."""

    cdef cnn_trainer *trainer
    cdef readonly Network network
    cdef cnn_optimizer optimizer
    cdef bint initialized

    # Not in __init__, which need not be called, so that each object has a trainer.
    def __cinit__(self, network, kind=None, *, momentum=0.0, beta1=0.0, beta2=0.0, alpha=0.0,
                  eps=0.0, weight_decay=0.0, clip_norm=0.0):
        cdef Network trained
        if network is ADOPTED:
            return
        if not isinstance(network, Network):
            raise TypeError(
                f"Trainer: network is of type {type(network).__name__}, should be a Network"
            )
        trained = network
        self.optimizer.struct_size = sizeof(cnn_optimizer)
        self.optimizer.kind = <cnn_optimizer_kind>index_of(
            OPTIMIZER_NUMBERS, kind, "optimizer")
        self.optimizer.momentum = momentum
        self.optimizer.beta1 = beta1
        self.optimizer.beta2 = beta2
        self.optimizer.alpha = alpha
        self.optimizer.eps = eps
        self.optimizer.weight_decay = weight_decay
        self.optimizer.clip_norm = clip_norm
        check(cnn_trainer_create(trained.network, &self.optimizer, &self.trainer), "optimizer")
        self.network = trained

    def __init__(self, *args, **kwargs):
        initialize_once(self, &self.initialized, "Trainer")

    def __dealloc__(self):
        cnn_trainer_destroy(self.trainer)

    def save(self, path, str key=None, str value=None):
        """Save the network and the trainer, and `value` under `key` in the file's metadata only."""
        cdef bytes encoded = path_bytes(path)
        cdef const char *c_path = encoded
        cdef bytes key_bytes = b"" if key is None else key.encode()
        cdef bytes value_bytes = b"" if value is None else value.encode()
        cdef const char *c_key = NULL if key is None else <const char *>key_bytes
        cdef const char *c_value = NULL if value is None else <const char *>value_bytes
        self.network.begin_read()
        with cython.critical_section(self.network):
            status = cnn_trainer_save_with(self.trainer, c_key, c_value, c_path)
        self.network.end_read()
        check(status, "save", path)

    @staticmethod
    def load(path):
        cdef bytes encoded = path_bytes(path)
        cdef const char *c_path = encoded
        cdef cnn_network *network = NULL
        cdef Trainer made = Trainer.__new__(Trainer, ADOPTED)
        cdef cnn_status status
        with nogil:
            status = cnn_trainer_load(c_path, &network, &made.trainer)
        check(status, "load_checkpoint", path)
        made.network = network_of(network)
        made.optimizer.struct_size = sizeof(cnn_optimizer)
        check(cnn_trainer_optimizer(made.trainer, &made.optimizer), "load_checkpoint")
        return made

    @property
    def kind(self):
        return OPTIMIZERS[<int>self.optimizer.kind]

    @property
    def options(self):
        options = dict(self.optimizer)
        del options["struct_size"], options["kind"]
        return options

    def set_group(self, layer, parameter, group):
        """Put a parameter of a layer into a group, whose rates `epoch` takes."""
        cdef size_t c_layer = layer, c_group = group
        cdef int which = index_of(PARAMETERS, parameter, "parameter")
        self.network.begin_change("groups")
        status = cnn_trainer_set_group(self.trainer, c_layer, <cnn_parameter>which, c_group)
        self.network.end_change()
        check(status, "groups")

    def group(self, layer, parameter):
        """The group of a parameter of a layer."""
        cdef size_t c_layer = layer, found = 0
        cdef int which = index_of(PARAMETERS, parameter, "parameter")
        check(cnn_trainer_group(self.trainer, c_layer, <cnn_parameter>which, &found), "groups")
        return found

    @property
    def steps(self):
        cdef uint64_t steps
        self.network.begin_read()
        steps = cnn_trainer_steps(self.trainer)
        self.network.end_read()
        return steps

    @steps.setter
    def steps(self, steps):
        cdef uint64_t c_steps = steps
        cdef cnn_status status
        self.network.begin_change("steps")
        with nogil:
            status = cnn_trainer_set_steps(self.trainer, c_steps)
        self.network.end_change()
        check(status, "steps")

    def get_state(self):
        return self.get_steps_and_state()[1]

    def get_steps_and_state(self):
        """The number of steps and the slots, both of the same time."""
        cdef cnp.ndarray values
        cdef uint64_t steps
        cdef size_t slot = 0
        cdef cnn_status status = CNN_OK
        cdef list state = [
            np.empty(self.network.parameter_count, self.network.dtype)
            for _ in range(OPTIMIZER_SLOTS[self.kind])
        ]
        self.network.begin_read()
        steps = cnn_trainer_steps(self.trainer)
        for values in state:
            status = cnn_trainer_get_state(
                self.trainer, slot, cnp.PyArray_DATA(values), values.size)
            if status != CNN_OK:
                break
            slot += 1
        self.network.end_read()
        check(status, "get_state")
        return steps, state

    def set_state(self, state):
        slots = OPTIMIZER_SLOTS[self.kind]
        hold = []
        arrays = [numeric_array(values, "set_state", "state", hold) for values in tuple(state)]
        arrays = [real_array(array, self.network.type_number) for array in arrays]
        if len(arrays) != slots:
            raise ValueError(f"set_state: state has {len(arrays)} slots, should have {slots}")
        cdef cnp.ndarray array
        cdef cnn_status status = CNN_OK
        cdef size_t slot = 0, count = self.network.parameter_count
        cdef cnp.npy_intp shape = count
        for array in arrays:
            check_shape(array, 1, &shape, "set_state", "state", "")
        before = self.get_state()
        hold.append(pinned(*arrays))
        self.network.begin_change("set_state")
        for array in arrays:
            status = cnn_trainer_set_state(self.trainer, slot, cnp.PyArray_DATA(array), count)
            if status != CNN_OK:
                break
            slot += 1
        if status != CNN_OK:
            while slot > 0:
                slot -= 1
                array = before[slot]
                cnn_trainer_set_state(self.trainer, slot, cnp.PyArray_DATA(array), count)
        self.network.end_change()
        check(status, "set_state")

    def finite(self):
        """Whether all weights, and all of the optimizer's state, are finite."""
        cdef int weights = 0, state = 0
        self.network.begin_read()
        status = cnn_trainer_finite(self.trainer, &weights, &state)
        self.network.end_read()
        check(status, "finite")
        return bool(weights), bool(state)

    def snapshot(self):
        self.network.begin_change("snapshot")
        status = cnn_trainer_snapshot(self.trainer)
        self.network.end_change()
        check(status, "snapshot")

    def restore(self, str key=None, str value=None):
        """Go back to the snapshot, and set the metadata `key`, or remove them for None."""
        cdef bytes c_key = b"" if key is None else key.encode()
        cdef bytes c_value = b"" if value is None else value.encode()
        cdef const char *k = c_key
        cdef const char *v = NULL if value is None else <const char *>c_value
        self.network.begin_change("restore")
        status = cnn_trainer_restore(self.trainer)
        if status == CNN_OK and key is not None:
            with cython.critical_section(self.network):
                status = cnn_network_set_metadata(self.network.network, k, v)
        self.network.end_change()
        check(status, "restore")

    def step(self, Loss loss not None, x, t, sample_weight, lr):
        cdef Samples samples = Samples(x, t, sample_weight, self.network.input_count, "train_step")
        loss.check_outputs(self.network.output_count, "train_step")
        cdef Result made = begin_result(None)
        cdef double c_lr = lr
        cdef cnn_status status
        self.network.begin_change("train_step")
        with nogil:
            status = cnn_trainer_step(
                self.trainer, &loss.loss, &samples.data, c_lr, &made.result)
        self.network.end_change()
        made.end(status, "train_step")
        return made

    def apply(self, gradients, penalties, lr):
        """Make a step on gradients in a flat row; return what was not finite, or None."""
        cdef int c_penalties = bool(penalties)
        cdef double c_lr = lr
        cdef list hold = pins(gradients, None)
        cdef cnp.ndarray flat = real_array(
            numeric_array(gradients, "apply_gradients", "gradients", hold),
            self.network.type_number)
        hold = pinned(flat)
        cdef cnp.npy_intp shape = self.network.parameter_count
        check_shape(flat, 1, &shape, "apply_gradients", "gradients", "")
        cdef void *p = cnp.PyArray_DATA(flat)
        cdef size_t count = flat.size
        cdef cnn_status status
        self.network.begin_change("apply_gradients")
        with nogil:
            status = cnn_trainer_apply(self.trainer, p, count, c_penalties, c_lr)
        self.network.end_change()
        if status == CNN_ERROR_NONFINITE:
            return cnn_last_error().decode()
        check(status, "apply_gradients")
        return None

    def epoch(self, Loss loss not None, x, t, sample_weight, cnp.ndarray index not None,
              batch_size, cnp.ndarray lr not None, seconds=0.0, Result so_far=None,
              str key=None, str value=None, cnp.ndarray weight_decay=None,
              cnp.ndarray dropout=None):
        """Make the steps of an epoch; if there is one, set the metadata `key`.

        lr is (steps,) or (steps, groups), weight_decay of the same shape, and dropout (steps,). No
        signal comes between the steps and the metadata.
        """
        cdef bytes c_key = b"" if key is None else key.encode()
        cdef bytes c_value = b"" if value is None else value.encode()
        cdef const char *k = c_key
        cdef const char *v = c_value
        cdef cnn_status noted = CNN_OK
        cdef double c_seconds = seconds
        cdef size_t c_batch_size = min(max(int(batch_size), 0), 2**62)
        cdef Samples samples = Samples(x, t, sample_weight, self.network.input_count, "fit")
        loss.check_outputs(self.network.output_count, "fit")
        index = np.ascontiguousarray(index, dtype=np.uintp)
        lr = np.ascontiguousarray(lr, dtype=np.float64)
        if weight_decay is not None:
            weight_decay = np.ascontiguousarray(weight_decay, dtype=np.float64)
        if dropout is not None:
            dropout = np.ascontiguousarray(dropout, dtype=np.float64)
        # No code of the caller's runs from here on, which might change these arrays.
        cdef size_t count = index.size
        c_batch_size = min(c_batch_size, max(count, 1))
        cdef size_t steps = (count + c_batch_size - 1) // c_batch_size if c_batch_size > 0 else 0
        if lr.ndim == 0 or <size_t>lr.shape[0] < steps:
            raise ValueError(f"fit: lr has {lr.size} numbers, should have one per step")
        cdef cnn_schedule schedule
        schedule.struct_size = sizeof(cnn_schedule)
        schedule.groups = 1 if lr.ndim == 1 else lr.shape[1]
        schedule.lr = <const double *>cnp.PyArray_DATA(lr)
        schedule.weight_decay = NULL
        schedule.dropout = NULL
        if weight_decay is not None:
            if (<object>weight_decay).shape != (<object>lr).shape:
                raise ValueError(
                    f"fit: weight_decay has shape {(<object>weight_decay).shape}, should be "
                    f"{(<object>lr).shape} as lr"
                )
            schedule.weight_decay = <const double *>cnp.PyArray_DATA(weight_decay)
        if dropout is not None:
            if dropout.ndim != 1 or <size_t>dropout.shape[0] < steps:
                raise ValueError(
                    f"fit: dropout has {dropout.size} numbers, should have one per step"
                )
            schedule.dropout = <const double *>cnp.PyArray_DATA(dropout)
        cdef const size_t *c_index = <const size_t *>cnp.PyArray_DATA(index)
        cdef Result made = begin_result(so_far)
        cdef cnn_status status
        cdef uint64_t before
        self.network.begin_change("fit")
        # Another thread may make steps before this call and behind it.
        before = cnn_trainer_steps(self.trainer)
        with nogil:
            status = cnn_trainer_epoch_scheduled(
                self.trainer, &loss.loss, &samples.data, c_index, count, c_batch_size, &schedule,
                c_seconds, &made.result)
        made.updates = cnn_trainer_steps(self.trainer) - before
        if key is not None and made.updates > 0:
            with cython.critical_section(self.network):
                noted = cnn_network_set_metadata(self.network.network, k, v)
        self.network.end_change()
        made.end(status if status != CNN_OK else noted, "fit")
        return made
