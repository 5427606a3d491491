# The lists of libcnn by name, errors, and constants of all parts. Needs no other part.

# ---- The lists of libcnn -----------------------------------------------------------------------

ctypedef const char *(*name_function)(int) noexcept nogil


cdef tuple names(name_function name):
    """All names that a function of libcnn returns for 0, 1, 2, ..."""
    found = []
    while name(<int>len(found)) != NULL:
        found.append(name(<int>len(found)).decode())
    return tuple(found)


ACTIVATIONS = names(<name_function>cnn_activation_name)
LOSSES = names(<name_function>cnn_loss_name)
OPTIMIZERS = names(<name_function>cnn_optimizer_name)
INITIALIZERS = names(<name_function>cnn_initializer_name)
NEEDS_INPUT = frozenset(
    name for i, name in enumerate(ACTIVATIONS) if cnn_activation_needs_input(<int>i)
)
# The default of each activation's number, by name, and the number's name.
ALPHAS = {
    name: cnn_activation_alpha_default(<int>i)
    for i, name in enumerate(ACTIVATIONS) if cnn_activation_alpha_name(<int>i) != NULL
}
ALPHA_NAMES = {name: cnn_activation_alpha_name(ACTIVATIONS.index(name)).decode() for name in ALPHAS}
LEAST_ALPHA = CNN_LEAST_ALPHA


cdef object output_of(int loss):
    """The activation that the output layer must have for a loss; None for any but softmax."""
    cdef int output = cnn_loss_output(loss)
    return None if output == CNN_ANY_OUTPUT else ACTIVATIONS[output]


LOSS_OUTPUTS = {name: output_of(<int>i) for i, name in enumerate(LOSSES)}
TAKES_LOGITS = frozenset(name for i, name in enumerate(LOSSES) if cnn_loss_takes_logits(<int>i))
HAS_ACCURACY = frozenset(name for i, name in enumerate(LOSSES) if cnn_loss_has_accuracy(<int>i))
LARGEST = CNN_LARGEST
LARGEST_WEIGHT = CNN_LARGEST_WEIGHT
LEAST_WEIGHT_SUM = CNN_LEAST_WEIGHT_SUM
OPTIMIZER_SLOTS = {name: cnn_optimizer_slots(<int>i) for i, name in enumerate(OPTIMIZERS)}


cdef dict numbered(tuple known):
    """The number of each name in a list."""
    return {name: number for number, name in enumerate(known)}


cdef dict ACTIVATION_NUMBERS = numbered(ACTIVATIONS)
cdef dict LOSS_NUMBERS = numbered(LOSSES)
cdef dict OPTIMIZER_NUMBERS = numbered(OPTIMIZERS)
cdef dict INITIALIZER_NUMBERS = numbered(INITIALIZERS)


# ---- Errors ------------------------------------------------------------------------------------
#
# `where` is the function that the user called; every message begins with it.

class ModelFileError(ValueError):
    """A file that is not a well-formed model."""


cdef int index_of(dict numbers, object name, str argument) except -1:
    """The number of a name in one of the lists above."""
    if not isinstance(name, str):
        raise TypeError(f"{argument} is of type {type(name).__name__}, should be a string")
    number = numbers.get(name)
    if number is None:
        raise ValueError(f"{argument} is {name!r}, should be one of {', '.join(numbers)}")
    return <int>number


cdef int check(cnn_status status, str where, object path=None) except -1:
    """Raise the exception that belongs to a status, if it is not CNN_OK."""
    if status == CNN_OK:
        return 0
    message = f"{where}: {cnn_last_error().decode('utf-8', 'replace')}"
    if status == CNN_ERROR_SYSTEM:
        error = cnn_last_errno()
        raise OSError(error, os.strerror(error), path)
    if status == CNN_ERROR_MEMORY:
        raise MemoryError(message)
    if status == CNN_ERROR_TYPE:
        raise TypeError(message)
    if status == CNN_ERROR_MODEL_FILE:
        raise ModelFileError(message)
    raise ValueError(message)


cdef int initialize_once(object made, bint *initialized, str name) except -1:
    """Refuse a second __init__ of an object. __cinit__ has already made it complete."""
    cdef bint again
    with cython.critical_section(made):
        again = initialized[0]
        initialized[0] = True
    if again:
        raise RuntimeError(f"{name}: __init__ is called twice")
    return 0


# ---- The GIL -----------------------------------------------------------------------------------

# The work of a call, in multiply-adds, from which it releases the GIL. For less work, pinning the
# arrays and releasing the GIL would take a noticeable share of the call
# (docs/performance/python.md).
cdef double RELEASE_WORK = 200000.0

# The work of an activation for one element, in the same unit.
cdef double ELEMENT_WORK = 30.0


# ---- What Network and Trainer share ------------------------------------------------------------

# The first argument of Network.__new__ and Trainer.__new__ if C has already made what they hold.
cdef object ADOPTED = object()


cdef bytes path_bytes(object path):
    """A path as C takes it."""
    encoded = os.fsencode(path)
    if b"\0" in encoded:
        raise ValueError(f"path is {path!r}, should not contain a NUL character")
    return encoded
