"""Iterables of batches as a source: generators, lists, PyTorch's DataLoader."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cnn import _core
from cnn._base import extras, streams
from cnn._sources.chunks import Chunk, Source, in_order, plain
from cnn._sources.indexed import unpacked
from cnn._sources.windows import shuffled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnn._sources.chunks import Check, Order, Part


FRAME_ROWS = 2048
"""The rows of a batch of a lazy frame."""


class Batches(Source):
    """An iterable of batches (x, t) or (x, t, weight).

    Parameters
    ----------
    where : str
        What begins messages.
    batches : iterable
        The batches. An iterator can be read once.
    buffer : int or None
        The rows of a window, in which rows are shuffled.
    inputs_only : bool
        Whether t is not read; a batch may then be x alone.
    """

    has_batches = True

    def __init__(self, where: str, batches: Any, buffer: int | None, *, inputs_only: bool) -> None:
        self.where = where
        self._batches = batches
        self._buffer = buffer
        self._inputs_only = inputs_only
        self.once = hasattr(type(batches), "__next__")
        self.kind = type(batches).__name__

    def read(self, order: Order = None, check: Check | None = None) -> Iterator[Chunk]:
        """Yield all rows in chunks, as `Source.read` says."""
        pieces = self._pieces(check or plain)
        return pieces if order is None else shuffled(pieces, self._buffer, order)

    def _pieces(self, check: Check) -> Iterator[Chunk]:
        """Yield the batches, checked and copied: the iterable may use their memory again."""
        number = rows = 0
        first: Part | None = None
        iterator = self._started()
        while True:
            number += 1
            try:
                batch = next(iterator)
            except StopIteration:
                break
            except Exception as error:
                error.add_note(f"{self.where}: x raised it in batch {number}")
                raise
            part = self._part(f"{self.where}: batch {number}", batch, check)
            first = self._alike(number, part, first)
            if len(part[0]):
                yield in_order(part, rows)
            rows += len(part[0])
        if rows == 0:
            lacks = "batches" if first is None else "rows"
            again = "" if self.once else "; an iterator inside it may have been used up"
            raise ValueError(
                f"{self.where}: x, of type {self.kind}, has no {lacks}, should have at least "
                f"one{again}"
            )

    def _started(self) -> Iterator[Any]:
        try:
            return iter(self._batches)
        except Exception as error:
            error.add_note(f"{self.where}: x, of type {self.kind}, raised it when it was begun")
            raise

    def _part(self, where: str, batch: Any, check: Check) -> Part:
        if self._inputs_only:
            x = batch[0] if isinstance(batch, (tuple, list)) and len(batch) in (1, 2, 3) else batch
            found = check(where, x, None, None)
        else:
            found = check(where, *unpacked(where, "it", batch))
        x, t, weight = (None if part is None else np.array(part, order="C") for part in found)
        if x is None:
            raise TypeError(f"{where}: x is None, should be an array of numbers")
        return x, t, weight

    def _alike(self, number: int, part: Part, first: Part | None) -> Part:
        """Refuse a batch that has not the parts or the widths of the first one."""
        if first is None:
            return part
        for name, here, there in zip(("x", "t", "weight"), part, first, strict=True):
            shapes = [None if a is None else a.shape[1:] for a in (here, there)]
            if shapes[0] == shapes[1]:
                continue
            has = [
                f"{self.where}: batch {n}" if i == 0 else f"batch {n}"
                for i, n in enumerate((number, 1))
            ]
            texts = [
                f"no {name}" if a is None else f"{name} of shape {a.shape}" for a in (here, there)
            ]
            raise ValueError(f"{has[0]} has {texts[0]}, but {has[1]} has {texts[1]}")
        return first


class FrameBatches(Batches):
    """An iterable of frames or tables, such as a reader of record batches or a lazy frame.

    Parameters
    ----------
    where : str
        What begins messages.
    frames : iterable or polars.LazyFrame
        The frames.
    t, sample_weight : str or None
        The columns of targets and weights.
    buffer : int or None
        The rows of a window, in which rows are shuffled.
    inputs_only : bool
        Whether t is not read.
    """

    has_batches = False

    def __init__(
        self,
        where: str,
        frames: Any,
        t: Any,
        sample_weight: Any,
        buffer: int | None,
        *,
        inputs_only: bool,
    ) -> None:
        super().__init__(where, frames, buffer, inputs_only=inputs_only)
        self._t, self._weight = t, sample_weight
        self._is_lazy = streams.is_lazy_frame(frames)

    def _started(self) -> Iterator[Any]:
        if not self._is_lazy:
            return super()._started()
        polars = extras.require(self.where, "polars")
        if not hasattr(polars.LazyFrame, "collect_batches"):
            raise ImportError(
                f"{self.where}: polars is too old to read a lazy frame in batches; pip install -U "
                f"polars installs a newer one"
            )
        found: Iterator[Any] = iter(
            self._batches.collect_batches(chunk_size=FRAME_ROWS, maintain_order=True)
        )
        return found

    def _part(self, where: str, batch: Any, check: Check) -> Part:
        names = _core.column_names(batch)
        if names is None:
            raise TypeError(
                f"{where} is of type {type(batch).__name__}, should be a frame or a table, since t "
                f"is the name of a column"
            )
        weight = None
        if self._weight is not None:
            batch, weight = streams.with_targets(where, batch, self._weight, "sample_weight")
        t = None
        if self._t is not None:
            batch, t = streams.with_targets(where, batch, self._t)
        self.columns = [name for name in names if name not in (self._t, self._weight)]
        x, t, weight = check(where, batch, None if self._inputs_only else t, weight)
        return np.array(x, order="C"), t, weight
