"""Arrays in memory as a source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cnn import _core
from cnn._sources.chunks import CHUNK_ROWS, Chunk, Source, plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnn._sources.chunks import Check, Order, Part


class Arrays(Source):
    """Arrays in memory, or memory maps; chunks are the whole arrays with a part of the order.

    Parameters
    ----------
    where : str
        What begins messages.
    x, t, sample_weight : array_like or None
        The samples.
    """

    shuffles_all = True
    in_memory = True

    def __init__(self, where: str, x: Any, t: Any, sample_weight: Any = None) -> None:
        self.where = where
        self.columns = _core.column_names(x)
        self._part: Part = plain(where, x, t, sample_weight)
        self.rows, self.inputs = self._part[0].shape

    def read(self, order: Order = None, check: Check | None = None) -> Iterator[Chunk]:
        """Yield all rows in chunks, as `Source.read` says."""
        part = self._part if check is None else check(self.where, *self._part)
        rows = len(part[0])
        for first in range(0, rows, CHUNK_ROWS):
            count = min(CHUNK_ROWS, rows - first)
            if order is None:
                index = np.arange(first, first + count, dtype=np.uintp)
            else:
                index = _core.permutation(*order, rows, first, count)
            yield Chunk(*part, index)
