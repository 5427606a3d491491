"""Networks called from compiled code: `Sequential.c_function`."""

from __future__ import annotations

import ctypes
import functools
from typing import Any

import numpy as np

from cnn import _core


def _pointer(c_type: Any) -> Any:
    """Return the pointer type of a C type, for arguments of a `ctypes` function.

    Numba treats it as a pointer to this type, and refuses to compile a call with an array of
    another dtype. Calls from Python may also pass an address, as a pointer or an int, or an array,
    whose dtype is checked here.
    """
    dtype = np.dtype(c_type)

    class Pointer(ctypes.POINTER(c_type)):  # type: ignore[misc]
        _type_ = c_type

        @classmethod
        def from_param(cls, value: Any) -> Any:
            # `_arr` is the array of array.ctypes.
            array = value if isinstance(value, np.ndarray) else getattr(value, "_arr", None)
            if isinstance(array, np.ndarray):
                if array.dtype != dtype:
                    raise TypeError(f"an array of dtype {array.dtype}, should be {dtype}")
                if array.size > 0 and array.strides[-1:] not in ((), (dtype.itemsize,)):
                    raise TypeError("an array with gaps in its rows, should have none")
                return array.ctypes.data_as(ctypes.c_void_p)
            pointed: Any = type(value)
            while issubclass(pointed, (ctypes.Array, ctypes.POINTER(c_type).__base__)):
                pointed = pointed._type_
            if pointed not in (c_type, type(value)):
                raise TypeError(f"a pointer to {pointed.__name__}, should be to {c_type.__name__}")
            return ctypes.c_void_p.from_param(value)

    return Pointer


@functools.cache
def _prototype(dtype: str) -> Any:
    """Return the type of libcnn's predict for a dtype: see cnn.h.

    The network and the workspace are integers, since jitted code cannot hold an address otherwise.
    """
    size = ctypes.c_size_t
    pointer = _pointer({"float32": ctypes.c_float, "float64": ctypes.c_double}[dtype])
    return ctypes.CFUNCTYPE(ctypes.c_int, size, size, pointer, size, pointer, size, size, size)


def c_function(network: _core.Network) -> Any:
    """Return libcnn's predict for a network's dtype; `Sequential.c_function` documents it."""
    return _prototype(network.dtype.name)(_core.predict_address(network.dtype))
