"""Readers: rows of a source in portions of any size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cnn._sources.ahead import Ahead
from cnn._sources.chunks import Chunk, joined

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import TracebackType

    from cnn._sources.chunks import Check, Order, Source


class Reader:
    """The rows of a source in an order, from the first to the last.

    It is a context manager, which ends the thread that reads ahead.

    Parameters
    ----------
    source : Source
        The source.
    order : tuple of int or None
        Seed and epoch of a shuffle, as `Source.read` takes them.
    check : function, optional
        As `Source.read` takes it.
    ahead : bool, default True
        Whether a thread reads ahead. If the source is in memory, none does.
    """

    def __init__(
        self,
        source: Source,
        order: Order = None,
        *,
        check: Check | None = None,
        ahead: bool = True,
    ) -> None:
        chunks = _generated(source, order, check)
        self._ahead = Ahead(chunks, source.share) if ahead and not source.in_memory else None
        self._chunks = chunks if self._ahead is None else self._ahead
        self._rest: Chunk | None = None
        self._last = _NOTHING

    def chunk(self) -> Chunk | None:
        """Return the next rows, as many as the source has made a chunk of; None at the end."""
        rest, self._rest = self._rest, None
        while rest is None or rest.rows == 0:
            rest = next(self._chunks, None)
            if rest is None:
                return None
        return rest

    def take(self, count: int) -> Chunk:
        """Return the next `count` rows; fewer, possibly none, if there are no more."""
        parts: list[Chunk] = []
        missing = count
        while (chunk := self.chunk()) is not None:
            self._last = chunk.part(0, 0)
            parts.append(chunk.part(0, missing))
            if chunk.rows > missing:
                self._rest = chunk.part(missing)
            missing -= parts[-1].rows
            if missing == 0:
                break
        return joined(parts) if parts else self._last

    def batches(self, size: int) -> Chunk | None:
        """Return the next rows, a whole number of batches of this size; None at the end.

        Only the last batch of all may be smaller. Rows are copied only if a batch is in several
        chunks.
        """
        chunk = self.chunk()
        if chunk is None:
            return None
        whole = chunk.rows // size * size
        if whole == 0:
            self._rest = chunk
            return self.take(size)
        if whole < chunk.rows:
            self._rest = chunk.part(whole)
        return chunk.part(0, whole)

    def close(self, *, interrupted: bool = False) -> None:
        """End the reading, and the thread that reads ahead."""
        if self._ahead is not None:
            self._ahead.close(interrupted=interrupted)

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close(interrupted=kind is not None and not issubclass(kind, Exception))


# What take returns of a source without rows.
_NOTHING = Chunk(np.empty((0, 0)), None, None, np.empty(0, np.uintp))


def _generated(source: Source, order: Order, check: Check | None) -> Generator[Chunk, None, None]:
    yield from source.read(order, check)
