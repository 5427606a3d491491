"""Statistics of columns that are computed shard by shard, and are those of all rows together.

Counts, least and greatest numbers, and exact sums may be merged in any order without a change of
any bit. So means, deviations, medians and most frequent categories are those that
`preprocessing.standardised` and `preprocessing.filling` find for the same rows in one table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn._base.exact_sums import added, exact_sum, rounded
from cnn._base.moments import deviations, powers_of, squares_of
from cnn._tables import preprocessing
from cnn._tables.table import Number

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from cnn._base.exact_sums import ExactSum
    from cnn._tables.preprocessing import Filling
    from cnn._tables.table import Column

    Blocks = Iterable[NDArray[np.float64]]

# The bits of a number that a pass of the search for medians finds, and those of a number.
_DIGIT, _BITS = 8, 64
_SIGN = np.uint64(1 << (_BITS - 1))


@dataclass
class Facts:
    """What the values of a column are, in some rows; all of it can be written as JSON."""

    there: int = 0
    gone: int = 0
    """How many values are there, and how many are missing."""
    lowest: float = 0.0
    highest: float = 0.0
    """Those of a column of numbers; 0 if none is there."""
    total: ExactSum = 0
    """The sum of the numbers."""
    counts: tuple[int, ...] = ()
    """How often each category occurs."""

    def __add__(self, other: Facts) -> Facts:
        """Return the facts of the rows of both."""
        ranges = [each for each in (self, other) if each.there]
        counts = [each.counts for each in (self, other) if each.counts]
        return Facts(
            self.there + other.there,
            self.gone + other.gone,
            min((each.lowest for each in ranges), default=0.0),
            max((each.highest for each in ranges), default=0.0),
            added((self.total, other.total)),
            tuple(map(sum, zip(*counts, strict=True))),
        )


def facts_of(column: Column, values: NDArray[np.float64]) -> Facts:
    """Return the facts of a column's values: numbers, NaN if missing; or indices, -1 if missing."""
    if isinstance(column, Number):
        found = values[~np.isnan(values)]
        gone = len(values) - len(found)
        if not len(found):
            return Facts(gone=gone)
        ends = float(found.min()), float(found.max())
        return Facts(len(found), gone, *ends, exact_sum(found))
    codes = values.astype(np.intp)
    codes = codes[codes >= 0]
    counts = np.bincount(codes, minlength=column.width).tolist()
    return Facts(len(codes), len(values) - len(codes), counts=tuple(counts))


def facts(columns: Sequence[Column], blocks: Blocks) -> list[Facts]:
    """Return the facts of each column of blocks, arrays (rows, columns)."""
    found = [Facts()] * len(columns)
    for block in blocks:
        found = [
            each + facts_of(column, values)
            for each, column, values in zip(found, columns, block.T, strict=True)
        ]
    return found


@dataclass
class Means:
    """The means of columns, and the powers of 2 by which differences from them are divided.

    They are 0 for columns of categories, and for those without a number.
    """

    mean: NDArray[np.float64]
    power: NDArray[np.intc]


def means(found: Sequence[Facts]) -> Means:
    """Return the means of the columns whose facts are given."""
    mean = np.array([rounded(each.total) / each.there if each.there else 0.0 for each in found])
    lowest = np.array([each.lowest for each in found])
    highest = np.array([each.highest for each in found])
    return Means(mean, powers_of(mean, lowest, highest))


def squares(columns: Sequence[Column], at: Means, blocks: Blocks) -> list[ExactSum]:
    """Return the sum of squares of scaled differences from the mean, of each column of blocks."""
    found: list[ExactSum] = [0] * len(columns)
    for block in blocks:
        far = squares_of(block, at.mean, at.power)
        for i, column in enumerate(columns):
            if isinstance(column, Number):
                found[i] = added((found[i], exact_sum(far[~np.isnan(block[:, i]), i])))
    return found


def standardised(
    columns: Sequence[Column],
    found: Sequence[Facts],
    at: Means,
    sums: Sequence[ExactSum],
    source: str,
) -> tuple[Column, ...]:
    """Return the columns, those of numbers with their means and standard deviations."""
    made: list[Column] = []
    for i, (column, each) in enumerate(zip(columns, found, strict=True)):
        if isinstance(column, Number) and each.there:
            place = slice(i, i + 1)
            (scale,) = deviations([rounded(sums[i])], each.there, at.mean[place], at.power[place])
            column = preprocessing.number_of(column.name, float(at.mean[i]), scale, source)  # noqa: PLW2901
        made.append(column)
    return tuple(made)


def fillings(
    policy: str,
    columns: Sequence[Column],
    found: Sequence[Facts],
    medians: Sequence[float],
    source: str,
) -> tuple[Filling, ...]:
    """Return what missing values become; `columns` have means, and `medians` may be empty."""

    def filling(i: int, column: Column, each: Facts) -> Filling:
        mean = column.mean if isinstance(column, Number) else 0.0
        return preprocessing.filling_of(
            policy,
            column,
            each.there,
            each.gone,
            source,
            number=lambda: medians[i] if policy == "median" else mean,
            counts=lambda: np.array(each.counts),
        )

    return tuple(filling(i, *pair) for i, pair in enumerate(zip(columns, found, strict=True)))


# ---- Medians -----------------------------------------------------------------------------------


class Medians:
    """The search for the medians of columns: eight passes over all rows, each for eight bits.

    In each pass every shard counts, by `digits`, how many of its numbers continue what is known of
    a median with each next digit. `narrow` takes the sums of all shards.

    Parameters
    ----------
    columns : sequence of Column
        The columns; those of categories have no median.
    found : sequence of Facts
        Their facts in all rows.
    """

    def __init__(self, columns: Sequence[Column], found: Sequence[Facts]) -> None:
        # A median is the mean of two numbers, which are the same one if their count is odd.
        self._columns = [
            i
            for i, (column, each) in enumerate(zip(columns, found, strict=True))
            if isinstance(column, Number) and each.there
            for _ in range(2)
        ]
        self._ranks = [(found[i].there - 1 + k % 2) // 2 for k, i in enumerate(self._columns)]
        self._known = [0] * len(self._columns)
        self._bits = 0

    @property
    def done(self) -> bool:
        """Whether the medians are found."""
        return self._bits == _BITS or not self._columns

    def digits(self, blocks: Blocks) -> NDArray[np.int64]:
        """Return the counts (searches, digits) in the rows of blocks."""
        counts = np.zeros((len(self._columns), 1 << _DIGIT), np.int64)
        shift = np.uint64(_BITS - _DIGIT - self._bits)
        for block in blocks:
            for k, (i, known) in enumerate(zip(self._columns, self._known, strict=True)):
                keys = _keys(block[~np.isnan(block[:, i]), i]) >> shift
                same = keys >> np.uint64(_DIGIT) == np.uint64(known)
                digits = (keys[same] & np.uint64((1 << _DIGIT) - 1)).astype(np.intp)
                counts[k] += np.bincount(digits, minlength=1 << _DIGIT)
        return counts

    def narrow(self, counts: NDArray[np.int64]) -> None:
        """Take the counts of all shards together."""
        for k, row in enumerate(np.cumsum(counts, axis=1)):
            digit = int(np.searchsorted(row, self._ranks[k], side="right"))
            self._ranks[k] -= int(row[digit - 1]) if digit else 0
            self._known[k] = self._known[k] << _DIGIT | digit
        self._bits += _DIGIT

    def values(self, columns: int) -> list[float]:
        """Return the medians of all columns; 0 for those that have none."""
        found = [0.0] * columns
        numbers = _numbers(np.array(self._known, np.uint64))
        for k in range(0, len(self._columns), 2):
            found[self._columns[k]] = float(np.mean(numbers[k : k + 2]))
        return found


def _keys(values: NDArray[np.float64]) -> NDArray[np.uint64]:
    """Return whole numbers in the order of numbers that are not NaN."""
    bits = (values + 0.0).view(np.uint64)  # -0 becomes 0
    return np.where(bits & _SIGN, ~bits, bits | _SIGN)


def _numbers(keys: NDArray[np.uint64]) -> NDArray[Any]:
    """Return the numbers of `_keys`."""
    return np.where(keys & _SIGN, keys ^ _SIGN, ~keys).view(np.float64)
