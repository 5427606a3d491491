"""Samples of a source, which are read and checked chunk by chunk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from cnn import _core, losses
from cnn._base.regression import RunningRegression
from cnn._sources import Reader, joined
from cnn._training import scales
from cnn._training.samples import (
    SLICE_WORK,
    InputError,
    Samples,
    check_width,
    checked_parts,
    fault_of_input,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from cnn._sources import Chunk, Order, Source
    from cnn._training.samples import ClassWeight


class Metric(Protocol):
    """A metric with the name that it has in results."""

    @property
    def name(self) -> str:
        """The name."""

    def value(self, where: str, samples: Samples, y: NDArray[Any]) -> float:
        """Return the metric of the outputs of samples."""


class Stream:
    """Samples of a source, with the loss that suits them; the counterpart of `Samples`.

    Parameters
    ----------
    where : str
        The function that the user called.
    network : Network
        The network that they are for.
    loss : Loss
        The loss.
    source : Source
        The source.
    class_weight : dict or array_like or None
        The weights of classes.
    """

    def __init__(
        self,
        where: str,
        network: _core.Network,
        loss: losses.Loss,
        source: Source,
        class_weight: ClassWeight | None = None,
    ) -> None:
        if isinstance(class_weight, str) and class_weight == "balanced":
            raise ValueError(
                f"{where}: class_weight is 'balanced', but the classes of a stream are not known "
                f"before all of it is read; should be a dict, or a number for each class"
            )
        if source.inputs is not None and source.inputs != network.inputs:
            raise ValueError(
                f"{where}: x has {source.inputs} columns, but the first layer has "
                f"{network.inputs} inputs"
            )
        if source.rows == 0:
            raise ValueError(f"{where}: x has 0 rows, should have at least 1")
        labels = np.empty(0, np.intp) if loss.takes_labels else None
        self.source = source
        self._network = network
        self._loss = loss
        self._per_class = losses.checked_class_weight(where, class_weight, network.outputs, labels)
        self._compiled = {
            labels: loss.compiled(labels=labels, class_weight=self._per_class if labels else None)
            for labels in ((True, False) if loss.takes_labels else (False,))
        }

    @property
    def rows(self) -> int | None:
        """The number of samples, if it is known."""
        return self.source.rows

    def check(
        self, where: str, x: Any, t: Any, sample_weight: Any
    ) -> tuple[NDArray[Any], NDArray[Any] | None, NDArray[Any] | None]:
        """Return checked arrays of a chunk."""
        array = _core.numeric(where, "x", x)
        check_width(where, self._network, array)
        targets, weights = checked_parts(
            where, self._network, self._loss, len(array), t, sample_weight
        )
        if self._per_class is not None and targets.ndim != 1:
            losses.checked_class_weight(where, self._per_class, self._network.outputs, None)
        return array, targets, weights

    def samples(self, chunk: Chunk) -> Samples:
        """Return the arrays of a chunk as samples."""
        if chunk.t is None:
            raise ValueError("a chunk for training has no targets")
        labels = self._loss.takes_labels and chunk.t.ndim == 1
        return Samples(
            chunk.x,
            chunk.t,
            chunk.sample_weight,
            self._compiled[labels],
            self._per_class if labels else None,
            None,
            self.source.columns,
        )

    def reader(self, order: Order = None) -> Reader:
        """Return a reader of all rows."""
        return Reader(self.source, order, check=self.check)

    def portions(
        self, where: str, batch_size: int | None, layers: Sequence[object] | None
    ) -> Portions:
        """Return the samples in portions for training.

        If `layers` are given, the scales of the first portion are looked at.
        """
        warn = None
        if layers is not None:

            def warn(samples: Samples) -> None:
                scales.warn(where, layers, samples, self._network.dtype)

        return Portions(self, batch_size, warn)

    def chunks(self) -> Iterator[tuple[Chunk, Samples]]:
        """Yield all rows in their own order, in chunks and as samples."""
        with self.reader() as reader:
            while (chunk := reader.chunk()) is not None:
                yield chunk, self.samples(chunk)

    def fault(self, chunk: Chunk, samples: Samples) -> str:
        """Return a text on the first number of a chunk's x that is not finite, or ""."""
        return fault_of_input(samples, self._network, chunk.number)

    def evaluate(
        self,
        where: str,
        measures: Sequence[Metric] = (),
        *,
        errors: bool = False,
        loss: bool = True,
    ) -> tuple[_core.Result, dict[str, float]]:
        """Read all rows once; return the sums of the loss, and metrics by their names.

        Parameters
        ----------
        where : str
            What begins messages.
        measures : sequence of Metric
            Metrics, for which outputs and targets of all rows are kept.
        errors : bool
            Whether the errors of a regression are among the metrics.
        loss : bool
            Whether the loss is computed.
        """
        network = self._network
        result = _core.Result()
        sums = RunningRegression(network.outputs) if errors else None
        kept: list[tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None]] = []
        for chunk, samples in self.chunks():
            for x, t, weight in samples.slices(network):
                if loss:
                    result = network.evaluate(samples.loss, x, t, weight, where, result)
                    if result.nonfinite_rows:
                        raise InputError(f"{where}: {self.fault(chunk, samples)}")
                if sums is None and not measures:
                    continue
                y = network.predict(x)
                if sums is not None:
                    sums.add_rows(t.reshape(len(x), -1), weight, y)
                if measures:
                    kept.append((y, t, weight))
        if loss:
            losses.refuse_total(where, "sample_weight", result.weight_sum)
        found: dict[str, float] = {}
        if sums is not None:
            found = {"mse": sums.mse, "mae": sums.mae, "r2": sums.r2}
        if measures:
            y, t, weight = _together(kept)
            whole = Samples(y, t, weight, samples.loss, None, None)
            others = [measure for measure in measures if measure.name not in found]
            found |= {measure.name: measure.value(where, whole, y) for measure in others}
        return result, found


class Portions:
    """The samples of an epoch of a stream, in portions of whole batches.

    Parameters
    ----------
    stream : Stream
        The samples.
    batch_size : int or None
        The rows of a batch; None for the batches of the source.
    warn : function, optional
        Called with the first samples of all.
    """

    def __init__(
        self,
        stream: Stream,
        batch_size: int | None,
        warn: Callable[[Samples], None] | None,
    ) -> None:
        self._stream = stream
        self._batch_size = batch_size
        self._warn = warn
        self._reader: Reader | None = None
        self._recent: list[tuple[Chunk, Samples]] = []

    def begin(self, seed: int, epoch: int | None) -> None:
        """Begin an epoch, in whose order rows are shuffled unless it is None."""
        shuffles = epoch is not None and self._batch_size is not None
        self._reader = self._stream.reader(
            (seed, epoch) if shuffles and epoch is not None else None
        )

    def take(self) -> tuple[Samples, NDArray[np.uintp], int] | None:
        """Return samples, an index of rows and the size of its batches; None at the end."""
        if self._reader is None:
            raise ValueError("no epoch has begun")
        size = self._batch_size
        chunk = self._reader.chunk() if size is None else self._reader.batches(size)
        if chunk is None:
            return None
        samples = self._stream.samples(chunk)
        # Of the rows before, the last batch is kept: a bad number in it may show only in the next.
        self._recent = [*(self._last_batch(*recent) for recent in self._recent[-1:])]
        self._recent.append((chunk, samples))
        if self._warn is not None:
            self._warn(samples)
            self._warn = None
        return samples, chunk.index, size or chunk.rows

    def _last_batch(self, chunk: Chunk, samples: Samples) -> tuple[Chunk, Samples]:
        """Return the last batch of a portion, without the memory of the others."""
        size = self._batch_size
        if size is None or chunk.rows <= size:
            return chunk, samples
        last = joined([chunk.part(chunk.rows - size)], copy=True)
        return last, self._stream.samples(last)

    def adapt(self, done: int, *, whole: bool) -> None:
        """Do nothing: the size of a portion does not depend on the time that it takes."""

    def end(self, *, interrupted: bool) -> None:
        """End the epoch, and the thread that reads ahead."""
        if self._reader is not None:
            self._reader.close(interrupted=interrupted)

    def fault(self, network: _core.Network) -> str:
        """Return a text on a number of x that is not finite, in what was taken last, or ""."""
        faults = (self._stream.fault(*recent) for recent in self._recent)
        return next((fault for fault in faults if fault), "")


def _together(
    kept: list[tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None]],
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None]:
    """Return outputs, targets and weights of all rows."""
    y, t, weights = zip(*kept, strict=True)
    weighted = any(weight is not None for weight in weights)
    return np.concatenate(y), np.concatenate(t), np.concatenate(weights) if weighted else None


def predict(
    where: str, network: _core.Network, source: Source, out: NDArray[Any] | None
) -> NDArray[Any]:
    """Return the outputs of all rows of a source, as `Sequential.predict` documents."""
    if out is not None and (
        not isinstance(out, np.ndarray)
        or out.ndim != 2
        or (source.rows is not None and len(out) != source.rows)
    ):
        rows = "n" if source.rows is None else source.rows
        raise ValueError(
            f"{where}: out is of type {type(out).__name__} and shape {np.shape(out)}, should be "
            f"an array of shape ({rows}, {network.outputs})"
        )

    def check(where: str, x: Any, t: Any, sample_weight: Any) -> tuple[NDArray[Any], None, None]:
        array = _core.numeric(where, "x", x)
        check_width(where, network, array)
        return array, None, None

    if out is None and source.rows is not None:
        out = np.empty((source.rows, network.outputs), network.dtype)
    parts: list[NDArray[Any]] = []
    size = max(SLICE_WORK // network.parameter_count, 256)
    done = 0
    with Reader(source, check=check) as reader:
        while (chunk := reader.chunk()) is not None:
            for first in range(0, chunk.rows, size):
                x = chunk.x[first : first + size]
                if out is None:
                    parts.append(network.predict(x))
                elif done + len(x) <= len(out):
                    network.predict(x, out[done : done + len(x)])
                done += len(x)
    if out is None:
        return np.concatenate(parts) if parts else np.empty((0, network.outputs), network.dtype)
    if done != len(out):
        raise ValueError(f"{where}: out has {len(out)} rows, but x has {done}")
    return out
