"""Checks of arguments that the modules of the Python floor share.

Each takes `where`, the name of the function that the user called, and `name`, that of the
argument, so that a message names the call, the argument, its value and what it should be.
"""

from __future__ import annotations

import math
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn import _core
from cnn._base.numbers import exact

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray


def integer(where: str, name: str, value: object, low: int, high: int | None = None) -> int:
    """Return `value` as an int that lies in [low, high]."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        hint = _hint(name, value, ()) if isinstance(value, str) else ""
        raise TypeError(
            f"{where}: {name} is of type {type(value).__name__}, should be an int{hint}"
        )
    number = int(value)
    if number < low:
        raise ValueError(f"{where}: {name} is {number}, should be at least {low}")
    if high is not None and number > high:
        raise ValueError(f"{where}: {name} is {number}, should be at most {high}")
    return number


def real(
    where: str,
    name: str,
    value: object,
    *,
    low: float = 0.0,
    below: float = math.inf,
    most: float | None = None,
) -> float:
    """Return `value` as a finite float in [low, below), and not above `most`."""
    number = value if type(value) is float else _as_float(where, name, value)
    if not low <= number < below or (most is not None and number > most):
        if below < math.inf:
            should = f"at least {exact(low)} and less than {exact(below)}"
        else:
            should = f"finite and at least {exact(low)}{_at_most(most)}"
        raise ValueError(f"{where}: {name} is {exact(number)}, should be {should}")
    return number


def positive(where: str, name: str, value: object, *, most: float | None = None) -> float:
    """Return `value` as a finite float above 0, and not above `most`."""
    number = _as_float(where, name, value)
    if not 0 < number < math.inf or (most is not None and number > most):
        raise ValueError(
            f"{where}: {name} is {exact(number)}, should be finite and more than 0{_at_most(most)}"
        )
    return number


def between(where: str, name: str, value: object, low: float, high: float) -> float:
    """Return `value` as a float that is more than `low` and less than `high`."""
    number = _as_float(where, name, value)
    if not low < number < high:
        raise ValueError(
            f"{where}: {name} is {exact(number)}, should be more than {exact(low)} and less than "
            f"{exact(high)}"
        )
    return number


def _at_most(most: float | None) -> str:
    return "" if most is None else f", at most {exact(most)}"


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
    """Return `value`, checked to be a path."""
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
        hint = _hint(name, value, options)
        raise ValueError(
            f"{where}: {name} is {value!r}, should be one of {', '.join(options)}{hint}"
        )
    return value


def _hint(name: str, value: str, options: Collection[str]) -> str:
    """Return what follows a message on a bad value, or ""."""
    from cnn._base import hints  # noqa: PLC0415  # for errors alone

    return hints.value(name, value, options)


def seed(where: str, rng: object) -> int:
    """Return the seed that `rng` stands for: an int, a generator to draw it from, or None."""
    if rng is None:
        return int.from_bytes(os.urandom(8), "little")
    if isinstance(rng, np.random.Generator):
        return int(rng.integers(0, 2**64, dtype=np.uint64))
    if isinstance(rng, (bool, np.bool_)) or not isinstance(rng, (int, np.integer)):
        raise TypeError(
            f"{where}: rng is of type {type(rng).__name__}, should be an int, a "
            f"numpy.random.Generator or None"
        )
    return integer(where, "rng", rng, 0, 2**64 - 1)


FLOAT32: np.dtype[Any] = np.dtype(np.float32)
FLOAT64: np.dtype[Any] = np.dtype(np.float64)

# The largest number that rounds to a finite one, by the size of the type in bytes.
_LARGEST = {4: math.nextafter(2.0**128 - 2.0**103, 0.0), 8: sys.float_info.max}


@dataclass(frozen=True)
class BadNumber:
    """An invalid number in an array of 1 or 2 dimensions."""

    value: float
    row: int
    column: int

    def overflows(self, dtype: np.dtype[Any]) -> bool:
        """Whether the number is finite, but not in this type."""
        return _LARGEST[dtype.itemsize] < abs(self.value) < math.inf


def first_bad(
    array: NDArray[Any], dtype: np.dtype[Any], low: float = -math.inf, high: float = math.inf
) -> BadNumber | None:
    """Return the first number that is not in range, or not finite in a type of networks."""
    limit = _LARGEST[dtype.itemsize]
    if low < -limit and high > limit and array.dtype.kind in "biu":
        return None
    low, high = max(low, -limit), min(high, limit)
    at = _core.first_outside(array, low, high)
    if at < 0:
        return None
    columns = array.size // len(array)
    return BadNumber(float(array.flat[at]), at // columns, at % columns)


def column(number: int, names: list[str] | None) -> str:
    """Return the number of a column, and its name if it has one, for messages."""
    return f"column {number}" if names is None else f"column {number} ({names[number]!r})"


def within(
    where: str,
    name: str,
    array: NDArray[Any],
    low: float = -math.inf,
    high: float = math.inf,
    *,
    most: float | None = None,
    dtype: np.dtype[Any] = FLOAT64,
    names: list[str] | None = None,
) -> None:
    """Refuse an array of 1 or 2 dimensions with a number that is not finite or not in range.

    With `most`, numbers above it are refused too; with `dtype`, those that overflow it. `names` are
    those of the columns.
    """
    found = first_bad(array, dtype, low, high if most is None else min(high, most))
    if found is None:
        return
    has = f"{where}: {name} has {exact(found.value)} in row {found.row}"
    if low <= found.value <= high and found.overflows(dtype):
        at = f", {column(found.column, names)}" if array.ndim == 2 else ""
        raise ValueError(f"{has}{at}, which overflows {dtype}, the type it is used in")
    should = "finite"
    if high < math.inf:
        should = f"from {exact(low)} to {exact(high)}"
    elif low > -math.inf:
        should = f"finite and at least {exact(low)}{_at_most(most)}"
    at = f"; it is in {column(found.column, names)}" if array.ndim == 2 else ""
    raise ValueError(f"{has}, but its numbers should be {should}{at}")
