# cython: language_level=3, binding=False, embedsignature=False, nonecheck=True, auto_pickle=False
"""The compiled floor: libcnn through Cython. Private; the public API is in the modules beside.

This module alone holds C pointers. It turns NumPy arrays into pointers and strides, codes into
exceptions, and lets go of the GIL where a call takes long enough to be worth it. Its parts are
the included files, in the order in which they build on each other.

No argument may crash the process. So Cython's checks of indices and of None stay on; binding=False
makes methods that refuse a `self` of another type, and auto_pickle=False leaves out __setstate__,
which would take any state.
"""

import os
import sys

import numpy as np

cimport cython
cimport numpy as cnp
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.exc cimport PyErr_CheckSignals
from cpython.list cimport PyList_AsTuple
from cpython.ref cimport PyObject
from cpython.weakref cimport PyWeakref_NewRef
from libc.float cimport DBL_MAX
from libc.math cimport floor
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t, uint32_t, uint64_t

from cnn.libcnn cimport *

cnp.import_array()


# ---- Names and errors --------------------------------------------------------------------------

ctypedef const char *(*name_function)(int) noexcept nogil


cdef tuple names(name_function name):
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
# The default of each activation's number, by name, and what it is called.
ALPHAS = {
    name: cnn_activation_alpha_default(<int>i)
    for i, name in enumerate(ACTIVATIONS) if cnn_activation_alpha_name(<int>i) != NULL
}
ALPHA_NAMES = {name: cnn_activation_alpha_name(ACTIVATIONS.index(name)).decode() for name in ALPHAS}
LEAST_ALPHA = CNN_LEAST_ALPHA
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
    """Turn a failure into the exception that belongs to it."""
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


cdef int initialize_once(bint *initialized, str name) except -1:
    """Refuse a second __init__; what __new__ gives is whole, so there is nothing else to do."""
    if initialized[0]:
        raise RuntimeError(f"{name}: __init__ is called twice")
    initialized[0] = True
    return 0


# ---- The GIL -----------------------------------------------------------------------------------

# The work, in multiply-adds, from which letting go of the GIL costs little beside the call.
cdef double RELEASE_WORK = 200000.0

# What an element of an activation or a loss costs in the same unit.
cdef double ELEMENT_WORK = 30.0


# ---- The library -------------------------------------------------------------------------------

def version():
    return cnn_version().decode()


def abi_version():
    return cnn_abi_version()


def numerics_version():
    return cnn_numerics_version()


def isa():
    return cnn_isa().decode()


def isas():
    found = []
    while cnn_isa_available(len(found)) != NULL:
        found.append(cnn_isa_available(len(found)).decode())
    return tuple(found)


def select_isa(name):
    if not isinstance(name, str):
        raise TypeError(f"select_isa: name is of type {type(name).__name__}, should be a string")
    cdef bytes encoded = str.encode(name)
    check(cnn_isa_select(encoded), "select_isa")


def get_num_threads():
    return cnn_threads_get()


def set_num_threads(n):
    if n is None:
        n = 0
    elif isinstance(n, (bool, np.bool_)) or not isinstance(n, (int, np.integer)):
        raise TypeError(
            f"set_num_threads: n is of type {type(n).__name__}, should be an int or None"
        )
    elif not 1 <= n <= 1024:
        raise ValueError(f"set_num_threads: n is {n}, should be from 1 to 1024, or None")
    check(cnn_threads_set(n), "set_num_threads")


def threads_origin():
    return cnn_threads_origin().decode()


include "_core_arrays.pxi"
include "_core_functions.pxi"
include "_core_network.pxi"
include "_core_training.pxi"
include "_core_c_api.pxi"
