"""Means and standard deviations of columns, the same bits on every machine."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray


def column_moments(
    blocks: Callable[[], Iterable[NDArray[np.floating[Any]]]],
) -> tuple[list[float], list[float]]:
    """Return the mean and the standard deviation of each column of finite numbers.

    A constant column has the deviation 1. A deviation that overflows is infinite.

    Parameters
    ----------
    blocks : callable
        It returns the blocks of rows, each a float64 array of shape (n, columns), from the first
        one on. It is called twice.

    Notes
    -----
    The sums within a block are rounded once, and so is the sum of these: the bits depend on where
    the blocks are cut, but on neither the machine nor how an array lies in memory.
    """
    rows = 0
    sums: list[list[float]] = []
    lowest = highest = np.empty(0)
    for block in blocks():
        sums.append(_sums(block))
        least, most = block.min(axis=0), block.max(axis=0)
        lowest = least if rows == 0 else np.minimum(lowest, least)
        highest = most if rows == 0 else np.maximum(highest, most)
        rows += len(block)
    mean = np.array([_sum(column) for column in zip(*sums, strict=True)]) / rows
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows becomes infinite
        most_far = np.maximum(np.abs(lowest - mean), np.abs(highest - mean))
    # Scaling by a power of two is exact. Without it, squares of 1e-170 would be 0.
    powers = np.minimum(0, np.frexp(np.where(np.isfinite(most_far), most_far, 1.0))[1])
    squares: list[list[float]] = []
    for block in blocks():
        with np.errstate(over="ignore", invalid="ignore"):
            squares.append(_sums(np.ldexp(block - mean, -powers) ** 2))
    found = [
        math.ldexp(math.sqrt(_sum(column) / rows), int(power))
        for column, power in zip(zip(*squares, strict=True), powers, strict=True)
    ]
    # A constant column becomes 0: a deviation by rounding alone does not count, but 1 in 1.7e12
    # does.
    least_of = 2 * np.finfo(np.float64).eps * np.abs(mean)
    return mean.tolist(), [
        1.0 if deviation <= least < math.inf else deviation
        for deviation, least in zip(found, least_of, strict=True)
    ]


def _sums(block: NDArray[np.floating[Any]]) -> list[float]:
    return [_sum(column) for column in block.T.tolist()]


def _sum(values: Iterable[float]) -> float:
    """Return the sum, rounded once; infinity if it overflows."""
    try:
        # NumPy may add in another order elsewhere; the bits of a model depend on these sums.
        return math.fsum(values)
    except (OverflowError, ValueError):  # ValueError for infinities of both signs
        return math.inf
