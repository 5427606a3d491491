"""Chunks of rows, and the sources that read them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from cnn import _core

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

Part: TypeAlias = "tuple[NDArray[Any], NDArray[Any] | None, NDArray[Any] | None]"
"""Arrays of x, t and weights; None if there are none."""
Check: TypeAlias = "Callable[[str, Any, Any, Any], Part]"
"""A function that takes the beginning of a message, x, t and weights, and returns arrays."""

Order: TypeAlias = "tuple[int, int] | None"
"""(seed, epoch) of a shuffle, as `_core.permutation` takes them; None for no shuffle."""

CHUNK_BYTES = 8 << 20
"""The size of a chunk, unless a row is larger."""
CHUNK_ROWS = 65536
"""The most rows of a chunk."""
# Smaller chunks would take more time than memory is worth.
_MOST_SHARE = 128


class Columns:
    """Columns of one type of numbers, which are copied into rows when these are needed.

    Parameters
    ----------
    arrays : list of ndarray
        The columns, plain arrays.
    """

    def __init__(self, arrays: list[NDArray[Any]]) -> None:
        self._arrays = arrays
        self.dtype = arrays[0].dtype
        self.shape = len(arrays[0]), len(arrays)

    def placeholder(self) -> NDArray[Any]:
        """Return an array of this type and shape, which takes no memory."""
        return np.broadcast_to(np.zeros((), self.dtype), self.shape)

    def copy_to(self, out: NDArray[Any], first: int, last: int) -> None:
        """Copy some rows into a plain array."""
        _core.rows_of_columns([column[first:last] for column in self._arrays], out)

    def matrix(self) -> NDArray[Any]:
        """Return all rows."""
        out = np.empty(self.shape, self.dtype)
        self.copy_to(out, 0, len(out))
        return out


@dataclass(frozen=True)
class Chunk:
    """Some rows of a source, in the order of an epoch: x[index], t[index], sample_weight[index]."""

    x: Any
    """An array; in pieces that are shuffled later, also `Columns`."""
    t: NDArray[Any] | None
    sample_weight: NDArray[Any] | None
    index: NDArray[np.uintp]
    numbers: NDArray[Any] | int = 0
    """The number in the source of each row of x, or that of the first one."""

    @property
    def rows(self) -> int:
        """The number of rows."""
        return int(self.index.size)

    @property
    def nbytes(self) -> int:
        """The bytes of the arrays."""
        return sum(0 if a is None else a.nbytes for a in (self.x, self.t, self.sample_weight))

    @property
    def row_bytes(self) -> int:
        """The bytes of the inputs of a row."""
        return int(self.x.shape[1] * self.x.dtype.itemsize)

    def number(self, row: int) -> int:
        """Return the number in the source of a row of x."""
        if isinstance(self.numbers, int):
            return self.numbers + row
        return int(self.numbers[row])

    def part(self, first: int, last: int | None = None) -> Chunk:
        """Return some of the rows, on the same arrays."""
        return replace(self, index=self.index[first:last])


def in_order(part: Part, numbers: NDArray[Any] | int) -> Chunk:
    """Return a chunk of all rows of arrays, in their order."""
    return Chunk(*part, np.arange(len(part[0]), dtype=np.uintp), numbers)


def joined(chunks: Sequence[Chunk], *, copy: bool = False) -> Chunk:
    """Return the rows of chunks, one after the other, as one; one chunk is copied if `copy`."""
    if len(chunks) == 1 and not copy:
        return chunks[0]
    first = chunks[0]
    numbers = [
        chunk.index + chunk.numbers
        if isinstance(chunk.numbers, int)
        else chunk.numbers[chunk.index]
        for chunk in chunks
    ]
    part = (
        np.concatenate([chunk.x[chunk.index] for chunk in chunks]),
        None if first.t is None else np.concatenate([_of(c.t, c) for c in chunks]),
        None
        if first.sample_weight is None
        else np.concatenate([_of(c.sample_weight, c) for c in chunks]),
    )
    return in_order(part, np.concatenate(numbers).astype(np.int64))


def _of(array: NDArray[Any] | None, chunk: Chunk) -> NDArray[Any]:
    if array is None:
        raise ValueError("a chunk has no targets or no weights, but another one has")
    found: NDArray[Any] = array[chunk.index]
    return found


class Source(ABC):
    """Rows of samples, which are read in chunks.

    Attributes
    ----------
    where : str
        What begins messages: the function that the user called.
    rows : int or None
        The number of rows; None if it is known only after all of them were read.
    inputs : int or None
        The number of columns of x; None if it is known only after some rows were read.
    columns : list of str or None
        Their names, if they have names.
    shuffles_all : bool
        Whether an order is a permutation of all rows, rather than of those near one another.
    in_memory : bool
        Whether chunks are parts of arrays in memory, so that reading ahead gains nothing.
    has_batches : bool
        Whether the chunks of the source's own order are the batches of an iterable.
    once : bool
        Whether it can be read once only.
    share : int
        How many sources are read at the same time, whose chunks have together the size of one.
    """

    where: str
    rows: int | None = None
    inputs: int | None = None
    columns: list[str] | None = None
    shuffles_all = False
    in_memory = False
    has_batches = False
    once = False
    share = 1

    @abstractmethod
    def read(self, order: Order = None, check: Check | None = None) -> Iterator[Chunk]:
        """Yield all rows in chunks.

        Parameters
        ----------
        order : tuple of int or None
            The seed and the epoch of a shuffle.
        check : function, optional
            Takes the beginning of a message, x, t and weights as the source has them, t and weights
            None if there are none, and returns them as arrays; by default `plain`.
        """

    def count(self) -> int:
        """Return the number of rows; if it is not known, all rows are read."""
        if self.rows is None:
            self.rows = sum(chunk.rows for chunk in self.read())
        return self.rows


def plain(where: str, x: Any, t: Any, sample_weight: Any) -> Part:
    """Return x, t and weights as arrays of numbers with a row for each sample."""
    array = _core.numeric(where, "x", x)
    if array.ndim != 2:
        raise ValueError(
            f"{where}: x has {array.ndim} dimensions {array.shape}, should have 2: (n, inputs)"
        )
    others: list[NDArray[Any] | None] = []
    for name, value in (("t", t), ("sample_weight", sample_weight)):
        if value is None:
            others.append(None)
            continue
        other = _core.numeric(where, name, value)
        if other.ndim not in (1, 2) or len(other) != len(array):
            raise ValueError(
                f"{where}: {name} has shape {other.shape}, but x has {len(array)} rows"
            )
        others.append(other)
    return array, others[0], others[1]


def rows_of_chunk(row_bytes: int, share: int) -> int:
    """Return how many rows of a size make a chunk; `share` as for `Source`."""
    return max(1, min(CHUNK_ROWS, bytes_of_chunk(share) // max(1, row_bytes)))


def bytes_of_chunk(share: int) -> int:
    """Return the size of a chunk, of one of so many sources."""
    return CHUNK_BYTES // min(share, _MOST_SHARE)
