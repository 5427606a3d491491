"""The values of Arrow arrays in NumPy, without pandas.

pyarrow's own conversions import pandas if it is installed, which takes half a second, and lose a
Ctrl-C that comes meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def floats_of(array: Any) -> NDArray[np.float64]:
    """Return the values of an array of the type float64, NaN if they are null."""
    values, is_null = _of(array, np.float64)
    return values if is_null is None else np.where(is_null, np.nan, values)


def indices_of(array: Any) -> NDArray[np.int32]:
    """Return the values of an array of the type int32, -1 if they are null."""
    values, is_null = _of(array, np.int32)
    return values if is_null is None else np.where(is_null, np.int32(-1), values)


def _of(array: Any, dtype: type[np.generic]) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Return the values, which are arbitrary if they are null, and which are null; None if none.

    Values are a view of the array's memory.
    """
    rows, first = len(array), array.offset
    if not rows:
        return np.zeros(0, dtype), None
    validity, data = array.buffers()
    values = np.frombuffer(data, dtype, first + rows)[first:]
    if not array.null_count:
        return values, None
    bits = np.frombuffer(validity, np.uint8)
    return values, np.unpackbits(bits, count=first + rows, bitorder="little")[first:] == 0
