"""Sums of float64 numbers without any rounding, so that parts of them may be added in any order."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

ExactSum: TypeAlias = int | None
"""A sum in units of 2 ** -1126, of which each float64 is a whole multiple; None if infinite."""

# A finite number is w * 2 ** (e - 53), with w a whole number of 53 bits and e from -1073 to 1024.
_DIGITS = 53
_LEAST_EXPONENT = -1073
_UNIT = _DIGITS - _LEAST_EXPONENT
# The low part of w. Sums of 2**26 low or high parts are exact in float64.
_LOW = 26
_MOST = 1 << 26


def exact_sum(values: NDArray[np.float64]) -> ExactSum:
    """Return the sum of an array of 1 dimension; None if a number is not finite."""
    if not np.isfinite(values).all():
        return None
    total = 0
    for first in range(0, len(values), _MOST):
        fractions, exponents = np.frexp(values[first : first + _MOST])
        whole = np.ldexp(fractions, _DIGITS).astype(np.int64)
        places = exponents - _LEAST_EXPONENT
        least = int(places.min())
        for part, shift in ((whole & ((1 << _LOW) - 1), 0), (whole >> _LOW, _LOW)):
            sums = np.bincount(places - least, weights=part)
            for place in np.flatnonzero(sums).tolist():
                total += int(sums[place]) << (place + least + shift)
    return total


def added(sums: Iterable[ExactSum]) -> ExactSum:
    """Return the sum of sums, None if one of them is."""
    found = 0
    for each in sums:
        if each is None:
            return None
        found += each
    return found


def rounded(total: ExactSum) -> float:
    """Return a sum, rounded once to float64; infinite if it is None or overflows."""
    if total is None:
        return math.inf
    try:
        return total / (1 << _UNIT)
    except OverflowError:
        return math.inf
