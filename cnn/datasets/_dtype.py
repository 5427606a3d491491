"""The check of `dtype` that the loaders share."""

from __future__ import annotations

from typing import Any

import numpy as np


def real_dtype(caller: str, dtype: Any) -> np.dtype[np.floating[Any]]:
    """Return `dtype` as a NumPy type, refusing all but float32 and float64."""
    expected = "should be 'float32' or 'float64'"
    try:
        result: np.dtype[Any] = np.dtype(dtype)
    except TypeError as error:
        raise TypeError(f"{caller}: dtype is {dtype!r}, but {expected}") from error
    # None means float64 to np.dtype; here it is more likely a mistake.
    if dtype is None or result not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise ValueError(f"{caller}: dtype is {dtype!r}, but {expected}")
    return result
