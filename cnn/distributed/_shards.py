"""The shards of a process: the sources of their rows, checked, and read step by step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn import _core, losses
from cnn._base import checks
from cnn._sources import Reader, opened
from cnn._training.samples import InputError
from cnn._training.streams import Stream
from cnn.distributed._ranges import rows_of_step

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

# Rows that are passed over at a time.
_ROWS = 65536


class Given:
    """The shards that a user gave, by their number.

    Parameters
    ----------
    where, name : str
        What begins messages, and the argument.
    shards : sequence or callable
        The row sources, or a function of the shard's number that returns one.
    t : sequence or callable or str or None
        The targets of each, or the name that they have in each.
    count : int or None
        The number of shards, if `shards` is a function.
    """

    def __init__(self, where: str, name: str, shards: Any, t: Any, count: int | None) -> None:
        self._where, self._name, self._shards, self._t = where, name, shards, t
        kind = type(shards).__name__
        if callable(shards) and not hasattr(shards, "__getitem__"):
            if count is None:
                raise TypeError(f"{where}: {name} is a function, so n_shards should be given")
            self.count = checks.integer(where, "n_shards", count, 1, 2**31 - 1)
            return
        is_array = hasattr(type(shards), "__array__") and np.ndim(shards) < 3
        if isinstance(shards, str) or is_array or not hasattr(type(shards), "__getitem__"):
            raise TypeError(
                f"{where}: {name} is of type {kind}, should be a sequence with a row source for "
                f"each shard, such as numpy.array_split(x, 8), or a function of the shard's number"
            )
        self.count = len(shards)
        if self.count == 0:
            raise ValueError(f"{where}: {name} has no shards, should have at least 1")
        if name == "shards" and count is not None and count != self.count:
            raise ValueError(f"{where}: n_shards is {count}, but shards has {self.count}")
        of_targets = t is not None and not isinstance(t, str) and hasattr(type(t), "__len__")
        if of_targets and len(t) != self.count:
            raise ValueError(f"{where}: t has {len(t)} shards, but {name} has {self.count}")

    def parts(self, shard: int) -> tuple[Any, Any, Any]:
        """Return x, t and weights of a shard; t and weights may be None."""
        found = _of(self._shards, shard)
        if isinstance(self._t, str):
            return found, self._t, None
        if self._t is not None:
            return found, _of(self._t, shard), None
        if isinstance(found, tuple) and len(found) in (2, 3):
            x, t, *rest = found
            return x, t, rest[0] if rest else None
        if isinstance(found, np.ndarray):
            raise TypeError(
                f"{self._where}: shard {shard} of {self._name} is an array without targets, should "
                f"be a tuple (x, t) or (x, t, weight)"
            )
        return found, None, None


def _of(given: Any, shard: int) -> Any:
    return given[shard] if hasattr(given, "__getitem__") else given(shard)


class Shard:
    """A shard: its samples, and the place in the order of an epoch.

    Parameters
    ----------
    where : str
        What begins messages.
    number : int
        Its number.
    parts : tuple
        x, t and weights.
    network : Network
        The network.
    loss : Loss
        The loss.
    """

    def __init__(
        self,
        where: str,
        number: int,
        parts: tuple[Any, Any, Any],
        network: _core.Network,
        loss: losses.Loss,
    ) -> None:
        self.where = f"{where}: shard {number}"
        self.number = number
        self.rows = 0
        self._network = network
        self._loss = loss
        x, t, weight = parts
        source = opened(self.where, x, t, sample_weight=weight)
        if source.once:
            raise TypeError(
                f"{self.where}: x is of type {type(x).__name__}, which can be read only once; "
                f"should be an object that iter() begins again, such as a list of batches"
            )
        self._source = source
        self.stream = Stream(self.where, network, loss, source)
        self._reader: Reader | None = None
        self._epoch = 0

    def count(self, *, classes: bool) -> NDArray[np.float64]:
        """Return the number of rows, and with `classes` the number of those of each class.

        Rows in memory are checked.
        """
        outputs = self._network.outputs
        found = np.zeros(1 + (outputs if classes else 0))
        rows = self._source.rows
        if rows is not None and not classes and not self._source.in_memory:
            found[0] = rows
        else:
            with self.stream.reader() as reader:
                while (chunk := reader.chunk()) is not None:
                    found[0] += chunk.rows
                    if not classes:
                        continue
                    t = self.stream.samples(chunk).t
                    if t.ndim != 1 or not self._loss.takes_labels:
                        losses.checked_class_weight(self.where, "balanced", outputs, None)
                    labels = np.asarray(t[chunk.index], np.intp)
                    found[1:] += np.bincount(labels, minlength=outputs)
        self.rows = int(found[0])
        if self.rows == 0:
            raise ValueError(f"{self.where}: x has 0 rows, should have at least 1")
        return found

    def weigh(self, class_weight: Any) -> None:
        """Use weights of classes."""
        self.stream = Stream(self.where, self._network, self._loss, self._source, class_weight)

    # ---- The steps of an epoch -------------------------------------------------------------------

    def begin(self, epoch: int, first: int, *, shuffle: bool) -> None:
        """Begin an epoch at row `first` of its order."""
        order = None
        if shuffle:
            order = (_core.shard_seed(self._network.seed, self.number), epoch - 1)
        self._epoch = epoch
        self._reader = self.stream.reader(order)
        while first > 0:
            first -= self._reader.take(min(first, _ROWS)).rows or first

    def gradient(
        self, trainer: _core.Trainer, tree: _core.ShardTree, step: int, steps: int
    ) -> None:
        """Add the gradient of a step's rows to a tree."""
        if self._reader is None:
            raise ValueError("no epoch has begun")
        first, last = rows_of_step(self.rows, step, steps)
        chunk = self._reader.take(last - first)
        if chunk.rows < last - first:
            raise ValueError(
                f"{self.where}: x has {first + chunk.rows} rows in epoch {self._epoch}, but had "
                f"{self.rows} when they were counted"
            )
        samples = self.stream.samples(chunk)
        try:
            _core.shard_gradient(
                trainer,
                samples.loss,
                chunk.x,
                samples.t,
                samples.sample_weight,
                chunk.index,
                self.number,
                tree,
            )
        except FloatingPointError:
            fault = self.stream.fault(chunk, samples)
            if fault:
                raise InputError(
                    f"{self.where}: {fault}; it was found in epoch {self._epoch}, step {step + 1}"
                ) from None
            raise

    def end(self, *, interrupted: bool = False) -> None:
        """End an epoch."""
        if self._reader is not None:
            self._reader.close(interrupted=interrupted)
            self._reader = None

    def evaluate(self) -> NDArray[np.float64]:
        """Return the sums of all rows."""
        result = _core.Result()
        for chunk, samples in self.stream.chunks():
            for x, t, weight in samples.slices(self._network):
                result = self._network.evaluate(samples.loss, x, t, weight, self.where, result)
            if result.nonfinite_rows:
                raise InputError(f"{self.where}: {self.stream.fault(chunk, samples)}")
        return _core.shard_sums(result)


def opened_shards(
    where: str,
    given: Given,
    numbers: Sequence[int],
    network: _core.Network,
    loss: losses.Loss,
    attempt: Callable[..., Any],
) -> list[Shard]:
    """Return the shards of a process; `attempt` is that of a team."""

    def opened_one(number: int) -> Shard:
        return Shard(where, number, given.parts(number), network, loss)

    found = [attempt(opened_one, number, shard=number) for number in numbers]
    return [shard for shard in found if shard is not None]
