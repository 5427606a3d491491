"""Checks of arguments that the modules of the Python floor share.

Each takes `where`, the name of the function that the user called, and `name`, that of the
argument, so that a message tells the call, the argument, what it was and what it should be.
"""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn import _core
from cnn._numbers import exact

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray


def integer(where: str, name: str, value: object, low: int, high: int | None = None) -> int:
    """Return `value` as an int that lies in [low, high]."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{where}: {name} is of type {type(value).__name__}, should be an int")
    number = int(value)
    if number < low:
        raise ValueError(f"{where}: {name} is {number}, should be at least {low}")
    if high is not None and number > high:
        raise ValueError(f"{where}: {name} is {number}, should be at most {high}")
    return number


def real(
    where: str, name: str, value: object, *, low: float = 0.0, below: float = math.inf
) -> float:
    """Return `value` as a finite float in [low, below)."""
    number = value if type(value) is float else _as_float(where, name, value)
    if not low <= number < below:
        if below < math.inf:
            should = f"at least {exact(low)} and less than {exact(below)}"
        else:
            should = f"finite and at least {exact(low)}"
        raise ValueError(f"{where}: {name} is {exact(number)}, should be {should}")
    return number


def positive(where: str, name: str, value: object) -> float:
    """Return `value` as a finite float above 0."""
    number = _as_float(where, name, value)
    if not 0 < number < math.inf:
        raise ValueError(f"{where}: {name} is {exact(number)}, should be finite and more than 0")
    return number


def _as_float(where: str, name: str, value: object) -> float:
    if isinstance(value, (bool, np.bool_)) or not isinstance(
        value, (int, float, np.integer, np.floating)
    ):
        raise TypeError(f"{where}: {name} is of type {type(value).__name__}, should be a number")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{where}: {name} is too large for a float") from None


def flag(where: str, name: str, value: object) -> bool:
    """Return `value` as a bool."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(
            f"{where}: {name} is of type {type(value).__name__}, should be True or False"
        )
    return bool(value)


def path(where: str, value: object) -> str | os.PathLike[str]:
    """Return `value`, a path."""
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError(
            f"{where}: path is of type {type(value).__name__}, should be a string or a path"
        )
    if "\0" in os.fsdecode(value):
        raise ValueError(f"{where}: path is {value!r}, should not contain a NUL character")
    return value


def network_dtype(where: str, value: Any) -> str:
    """Return the name of a type that networks can have."""
    should = "should be 'float32' or 'float64'"
    try:
        found = np.dtype(value)
    except TypeError:
        raise TypeError(f"{where}: dtype is {value!r}, {should}") from None
    # None means float64 to NumPy; here it is more likely a mistake.
    if value is None or found not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise ValueError(f"{where}: dtype is {value!r}, {should}")
    return str(found.name)


def choice(where: str, name: str, value: object, options: Collection[str]) -> str:
    """Return `value`, one of the names in `options`."""
    if not isinstance(value, str):
        raise TypeError(f"{where}: {name} is of type {type(value).__name__}, should be a string")
    if value not in options:
        raise ValueError(f"{where}: {name} is {value!r}, should be one of {', '.join(options)}")
    return value


def within(
    where: str, name: str, array: NDArray[Any], low: float = -math.inf, high: float = math.inf
) -> None:
    """Refuse an array of 1 or 2 dimensions with a number that is not finite or not in range."""
    if array.dtype.kind in "biu" and low == -math.inf and high == math.inf:
        return
    at = _core.first_outside(array, low, high)
    if at < 0:
        return
    should = "finite"
    if high < math.inf:
        should = f"from {exact(low)} to {exact(high)}"
    elif low > -math.inf:
        should = f"finite and at least {exact(low)}"
    raise ValueError(
        f"{where}: {name} has {exact(array.flat[at])} in row {at * len(array) // array.size}, "
        f"but its numbers should be {should}"
    )
