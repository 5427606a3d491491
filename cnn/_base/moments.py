"""Means and standard deviations of columns, the same bits on every machine."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn._base import checks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray


# The numbers of x that are read at a time, which fit into caches: 1 MB. The last bits of a mean
# depend on it.
_BLOCK_NUMBERS = 2**17


def of_columns(
    where: str, x: NDArray[Any], names: list[str] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the means and deviations of the columns of x, as `cnn.Standardize.adapt` documents.

    `names` are those of the columns, or None.
    """
    checks.within(where, "x", x, names=names)

    def blocks() -> Iterator[NDArray[np.float64]]:
        rows = max(1, _BLOCK_NUMBERS // x.shape[1])
        for first in range(0, len(x), rows):
            yield x[first : first + rows].astype(np.float64)

    mean, scale = map(np.array, column_moments(blocks))
    large = np.flatnonzero(~np.isfinite(scale))
    if large.size:
        at = checks.column(int(large[0]), names)
        raise ValueError(f"{where}: {at} of x has numbers too large to standardize")
    return mean, scale


def check_steps(where: str, mean: NDArray[Any], scale: NDArray[Any], dtype: np.dtype[Any]) -> None:
    """Refuse columns whose deviation is below the distance of numbers of a type at their mean."""
    small = np.flatnonzero(scale < np.finfo(dtype).eps * np.abs(mean))
    if not small.size:
        return
    column = int(small[0])
    raise ValueError(
        f"{where}: column {column} of x has the mean {mean[column]:g} and the deviation "
        f"{scale[column]:g}, which {dtype}, the network's type, does not tell apart from 0; use "
        f"dtype='float64', or subtract {mean[column]:g} beforehand"
    )


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
    powers = powers_of(mean, lowest, highest)
    squares: list[list[float]] = []
    for block in blocks():
        squares.append(_sums(squares_of(block, mean, powers)))
    found = [_sum(column) for column in zip(*squares, strict=True)]
    return mean.tolist(), deviations(found, rows, mean, powers)


def powers_of(
    mean: NDArray[np.float64], lowest: NDArray[np.float64], highest: NDArray[np.float64]
) -> NDArray[np.intc]:
    """Return the powers of 2 by which differences from the mean are divided before squaring.

    Scaling by a power of two is exact. Without it, squares of 1e-170 would be 0.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows becomes infinite
        most_far = np.maximum(np.abs(lowest - mean), np.abs(highest - mean))
    found: NDArray[np.intc] = np.frexp(np.where(np.isfinite(most_far), most_far, 1.0))[1]
    return np.minimum(0, found)


def squares_of(
    block: NDArray[np.floating[Any]], mean: NDArray[np.float64], powers: NDArray[np.intc]
) -> NDArray[np.float64]:
    """Return the squares of the scaled differences from the mean; infinite if they overflow."""
    with np.errstate(over="ignore", invalid="ignore"):
        found: NDArray[np.float64] = np.ldexp(block - mean, -powers) ** 2
    return found


def deviations(
    squares: Sequence[float], rows: int, mean: NDArray[np.float64], powers: NDArray[np.intc]
) -> list[float]:
    """Return the standard deviations, given the sums of `squares_of` over all rows."""
    found = [
        math.ldexp(math.sqrt(total / rows), int(power))
        for total, power in zip(squares, powers, strict=True)
    ]
    # A constant column becomes 0: a deviation by rounding alone does not count, but 1 in 1.7e12
    # does.
    least_of = 2 * np.finfo(np.float64).eps * np.abs(mean)
    return [
        1.0 if deviation <= least < math.inf else deviation
        for deviation, least in zip(found, least_of, strict=True)
    ]


def _sums(block: NDArray[np.floating[Any]]) -> list[float]:
    """Return the sum of each column, rounded once; infinity if it overflows.

    Pairs of rows are added, and pairs of their sums, with the errors of these additions (the TwoSum
    of Knuth) beside. So the work is done by NumPy, whose own sums have another order elsewhere.
    Bounds of what the errors' sum lacks tell whether the rounded sum is certain; else `_sum` finds
    it.
    """
    total = np.asarray(block, np.float64)
    lacks, sizes, levels = np.zeros_like(total), np.zeros_like(total), 0
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is not certain
        while len(total) > 1:
            half = len(total) // 2
            a, b = total[:half], total[half : 2 * half]
            both = a + b
            of_b = both - a
            lost = (a - (both - of_b)) + (b - of_b)
            total = np.concatenate([both, total[2 * half :]])
            lacks = _halved(lacks, half, lost)
            sizes = _halved(sizes, half, np.abs(lost))
            levels += 1
        # Each level rounds two additions of numbers that are no larger than the last size.
        doubt = 4 * levels * np.finfo(np.float64).eps * sizes[0]
        low, high = total[0] + (lacks[0] - doubt), total[0] + (lacks[0] + doubt)
    certain = (low == high) & np.isfinite(low)
    return [
        value if sure else _sum(block[:, j].tolist())
        for j, (value, sure) in enumerate(zip(low.tolist(), certain.tolist(), strict=True))
    ]


def _halved(
    values: NDArray[np.float64], half: int, more: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the sums of pairs of rows plus `more`, and the row that has no partner."""
    return np.concatenate([values[:half] + values[half : 2 * half] + more, values[2 * half :]])


def _sum(values: Iterable[float]) -> float:
    """Return the sum, rounded once; infinity if it overflows."""
    try:
        return math.fsum(values)
    except (OverflowError, ValueError):  # ValueError for infinities of both signs
        return math.inf
