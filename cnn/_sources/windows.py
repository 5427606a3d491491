"""Shuffling within windows of rows, for sources that cannot be shuffled as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cnn import _core
from cnn._sources.chunks import Chunk, Columns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

# The first number of the counter from which Philox makes the seed of a window, so that no other
# random numbers of a network are the same.
_WINDOWS = 0x57494E44

WINDOW_ROWS = 10_000
"""The rows of a window by default, if they are not large."""
WINDOW_BYTES = 16 << 20
"""The most bytes of the inputs of a window by default."""


def window_seed(seed: int, number: int) -> int:
    """Return the seed of the shuffle of a window."""
    low, high, _, _ = _core.philox(
        (_WINDOWS, number & 0xFFFFFFFF, number >> 32, 0), (seed & 0xFFFFFFFF, seed >> 32)
    )
    return high << 32 | low


def shuffled(pieces: Iterator[Chunk], size: int | None, order: tuple[int, int]) -> Iterator[Chunk]:
    """Yield the rows of pieces in windows of `size` rows, each one shuffled.

    The order is a function of seed, epoch, `size` and the sequence of the rows, and not of how they
    are cut into pieces. Pieces are in the order of their arrays. By default a window has
    `WINDOW_ROWS` rows, or fewer if they take more than `WINDOW_BYTES`.
    """
    seed, epoch = order
    window = None
    number = 0
    for piece in pieces:
        if size is None:
            size = max(1, min(WINDOW_ROWS, WINDOW_BYTES // max(1, piece.row_bytes)))
        at = 0
        while at < piece.rows:
            window = window or _Window(size)
            at = window.fill(piece, at)
            if window.rows == size:
                yield window.shuffled(window_seed(seed, number), epoch)
                number += 1
                window = None
    if window is not None:
        yield window.shuffled(window_seed(seed, number), epoch)


class _Window:
    """The arrays of a window, which rows are copied into."""

    def __init__(self, size: int) -> None:
        self._size = size
        self.rows = 0
        self._numbers = np.empty(size, np.int64)
        self._arrays: list[NDArray[Any] | None] = [None, None, None]

    def fill(self, piece: Chunk, at: int) -> int:
        """Copy rows of a piece from `at` on, as many as fit; return where they end."""
        count = min(self._size - self.rows, piece.rows - at)
        to = slice(self.rows, self.rows + count)
        for i, part in enumerate((piece.x, piece.t, piece.sample_weight)):
            if part is None:
                continue
            array = self._array(i, part)
            if not isinstance(part, Columns):
                array[to] = part[at : at + count]
            elif array.dtype == part.dtype:
                part.copy_to(array[to], at, at + count)
            else:
                array[to] = part.matrix()[at : at + count]
        if isinstance(piece.numbers, int):
            self._numbers[to] = np.arange(piece.numbers + at, piece.numbers + at + count)
        else:
            self._numbers[to] = piece.numbers[at : at + count]
        self.rows += count
        return at + count

    def _array(self, i: int, part: NDArray[Any] | Columns) -> NDArray[Any]:
        """Return an array of the window that holds the numbers of a part without a loss."""
        array = self._arrays[i]
        if array is None:
            array = np.empty((self._size, *part.shape[1:]), part.dtype)
        elif array.dtype != part.dtype:
            array = array.astype(np.result_type(array.dtype, part.dtype), copy=False)
        self._arrays[i] = array
        return array

    def shuffled(self, seed: int, epoch: int) -> Chunk:
        """Return the rows in a random order."""
        x, t, weight = (None if a is None else a[: self.rows] for a in self._arrays)
        if x is None:
            raise ValueError("a window without rows has no order")
        index = _core.permutation(seed, epoch, self.rows, 0, self.rows)
        return Chunk(x, t, weight, index, self._numbers[: self.rows])
