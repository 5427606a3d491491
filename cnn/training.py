"""Samples and their checks, the loop of fit, single steps and evaluation.

Loops over samples and steps run in C. What is left to Python is a loop over slices of an epoch,
each of some hundredths of a second: between them Ctrl-C is served and progress is shown.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn import _checks, _core, _progress, losses, optimizers
from cnn._sparse import SparseRows
from cnn.callbacks import Callback
from cnn.history import History
from cnn.layers import Dense

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import TypeAlias

    from numpy.typing import ArrayLike, NDArray

    from cnn.sequential import Sequential

    ClassWeight: TypeAlias = Mapping[int, float] | Sequence[float] | NDArray[Any]

# After so long, a slice of an epoch ends with the step that is being made.
SLICE_SECONDS = 0.03
# A slice's indices take memory, and each slice looks at all its targets before its first step.
SLICE_ROWS = 65536
# Multiply-adds of a slice of an evaluation: some hundredths of a second on one slow core.
SLICE_WORK = 1_000_000_000


# ---- Samples -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Samples:
    """Checked inputs, targets and weights, with the loss that suits them."""

    x: NDArray[Any] | SparseRows
    t: NDArray[Any]
    sample_weight: NDArray[Any] | None
    loss: _core.Loss

    @property
    def rows(self) -> int:
        """The number of samples."""
        return int(self.x.shape[0])

    @property
    def most_rows(self) -> int:
        """How many rows a slice should have at most."""
        if isinstance(self.x, SparseRows):
            return min(self.x.block_rows, SLICE_ROWS)
        return SLICE_ROWS

    def slice(self, first: int, last: int) -> tuple[NDArray[Any], NDArray[Any], Any]:
        """Return x, t and the weights of some rows: views, but for a sparse x."""
        weight = self.sample_weight
        return (
            self.x[first:last],
            self.t[first:last],
            None if weight is None else weight[first:last],
        )

    def chosen(
        self, index: NDArray[np.uintp]
    ) -> tuple[NDArray[Any], NDArray[Any], Any, NDArray[np.uintp]]:
        """Return x, t and the weights with the rows of an index, and their index therein."""
        weight = self.sample_weight
        if not isinstance(self.x, SparseRows):
            return self.x, self.t, weight, index
        return (
            self.x[index],
            self.t[index],
            None if weight is None else weight[index],
            np.arange(index.size, dtype=np.uintp),
        )

    def slices(self, network: _core.Network) -> Iterator[tuple[NDArray[Any], NDArray[Any], Any]]:
        """Go through the rows in slices that take a network some hundredths of a second."""
        # The slices depend on the network and x alone, and with them the order of the sums.
        rows = max(SLICE_WORK // network.parameter_count // 16 * 16, 256)
        rows = min(rows, self.most_rows)
        for first in range(0, self.rows, rows):
            yield self.slice(first, first + rows)


def checked_samples(
    where: str,
    network: _core.Network,
    loss: losses.Loss,
    x: ArrayLike | SparseRows,
    t: ArrayLike,
    sample_weight: ArrayLike | None,
    class_weight: ClassWeight | None = None,
) -> Samples:
    """Return samples for a network and a loss, or tell what is wrong with them.

    Arrays are not copied, and their numbers are looked at block by block.
    """
    array = x if isinstance(x, SparseRows) else _core.numeric(where, "x", x)
    if array.ndim != 2:
        raise ValueError(
            f"{where}: x has {array.ndim} dimensions {array.shape}, should have 2: "
            f"(n, {network.inputs})"
        )
    rows, columns = array.shape
    if columns != network.inputs:
        raise ValueError(
            f"{where}: x has {columns} columns, but the first layer has {network.inputs} inputs"
        )
    if rows == 0:
        raise ValueError(f"{where}: x has 0 rows, should have at least 1")
    targets = losses.checked_targets(where, t, loss, rows, network.outputs)
    weights = losses.checked_weights(where, sample_weight, rows)
    labels = loss.takes_labels and targets.ndim == 1
    per_class = losses.checked_class_weight(where, class_weight, network.outputs, labels=labels)
    return Samples(array, targets, weights, loss.compiled(labels=labels, class_weight=per_class))


def _validation_samples(
    where: str, network: _core.Network, loss: losses.Loss, validation_data: object
) -> Samples | None:
    """Return the samples of fit's validation_data."""
    if validation_data is None:
        return None
    if not isinstance(validation_data, (tuple, list)) or len(validation_data) not in (2, 3):
        raise TypeError(
            f"{where}: validation_data is of type {type(validation_data).__name__}, should be a "
            f"tuple (x, t) or (x, t, sample_weight)"
        )
    x, t, *rest = validation_data
    return checked_samples(
        f"{where}: validation_data", network, loss, x, t, rest[0] if rest else None
    )


# ---- Evaluation --------------------------------------------------------------------------------


class Totals:
    """Sums over the passes of an epoch or an evaluation."""

    def __init__(self, *, has_accuracy: bool) -> None:
        self.has_accuracy = has_accuracy
        self.loss_sum = self.weight_sum = 0.0
        self.rows = self.correct = self.steps = self.counted = 0

    def add(self, result: _core.Result) -> None:
        """Add what a pass measured."""
        self.loss_sum += result.loss_sum
        self.weight_sum += result.weight_sum
        self.rows += result.rows
        self.correct += result.correct
        self.steps += result.steps
        self.counted += result.counted

    def logs(self, prefix: str = "") -> dict[str, float]:
        """Return the mean loss and, of a classification, the accuracy."""
        found = {f"{prefix}loss": self.loss_sum / self.weight_sum if self.weight_sum > 0 else 0.0}
        if self.has_accuracy:
            found[f"{prefix}accuracy"] = self.correct / self.counted if self.counted else 0.0
        return found


def evaluate(where: str, network: _core.Network, samples: Samples, *, has_accuracy: bool) -> Totals:
    """Measure a network, a slice of rows at a time, so that Ctrl-C is served in between."""
    totals = Totals(has_accuracy=has_accuracy)
    for x, t, sample_weight in samples.slices(network):
        totals.add(network.evaluate(samples.loss, x, t, sample_weight, where))
    return totals


# ---- Single steps ------------------------------------------------------------------------------


def train_step(
    net: Sequential,
    x: ArrayLike,
    t: ArrayLike,
    *,
    optimizer: optimizers.Optimizer,
    loss: str | losses.Loss | None,
    sample_weight: ArrayLike | None,
    class_weight: ClassWeight | None,
) -> dict[str, float]:
    """Do what `Sequential.train_step` says."""
    where = "train_step"
    network = net._network
    if not isinstance(optimizer, optimizers.Optimizer):
        raise TypeError(
            f"{where}: optimizer is {optimizer!r}, should be an object like cnn.Adam() that is "
            f"kept from step to step"
        )
    chosen = losses.resolve(where, loss, net.activation)
    samples = checked_samples(where, network, chosen, x, t, sample_weight, class_weight)
    lr = float(optimizer._rates(where, 1)[0])
    trainer = optimizer._bind(where, network)
    result = trainer.step(samples.loss, *samples.slice(0, samples.rows), lr)
    if not result.finite:
        raise FloatingPointError(
            f"{where}: {result.blame} became NaN or infinite in step {trainer.steps + 1}; the step "
            f"was not made"
        )
    totals = Totals(has_accuracy=chosen.has_accuracy)
    totals.add(result)
    return totals.logs()


# ---- Epochs ------------------------------------------------------------------------------------


class _Slices:
    """The order of an epoch's rows, slice by slice.

    A slice is a whole number of batches, and about as long as the time of a slice allows.
    """

    def __init__(self, rows: int, batch_size: int, most: int) -> None:
        self._rows = rows
        self._batch_size = batch_size
        self._most = most
        # Small at first, as it is not known yet how long a step takes.
        self._length = batch_size * max(1, min(1024, most) // batch_size)

    def rows(self, seed: int, epoch: int | None, first: int) -> NDArray[np.uintp]:
        """Return the next rows from `first` on, shuffled for an epoch or in their order."""
        count = min(self._length, self._rows - first)
        if epoch is None:
            return np.arange(first, first + count, dtype=np.uintp)
        return _core.permutation(seed, epoch, self._rows, first, count)

    def adapt(self, done: int, *, whole: bool) -> None:
        """Learn from a slice of which so many rows were done in its time."""
        length = 2 * self._length if whole else done
        batches = max(1, min(length, self._most) // self._batch_size)
        self._length = batches * self._batch_size


@dataclass
class _Fit:
    """A call of fit, its arguments checked."""

    net: Sequential
    optimizer: optimizers.Optimizer
    trainer: _core.Trainer
    samples: Samples
    validation: Samples | None
    has_accuracy: bool
    epochs: int
    batch_size: int
    shuffle: bool
    callbacks: list[Callback]
    show: bool
    display: _progress.Display | None = None

    def metrics(self) -> tuple[str, ...]:
        """Return the names of the metrics of an epoch."""
        names = ["loss", "accuracy"] if self.has_accuracy else ["loss"]
        if self.validation is not None:
            names += [f"val_{name}" for name in names]
        return (*names, "lr", "seconds")

    def run(self) -> History:
        """Train."""
        net, first = self.net, self.net.epochs + 1
        net.stop_training = False
        for callback in self.callbacks:
            callback.model = net
            callback.optimizer = self.optimizer
            callback.metrics = self.metrics()
        for callback in self.callbacks:
            callback.on_train_begin()
        history = History()
        slices = _Slices(self.samples.rows, self.batch_size, self.samples.most_rows)
        logs: dict[str, float] = {}
        try:
            if self.show:
                self.display = _progress.display(self.samples.rows, first, first + self.epochs - 1)
            for epoch in range(first, first + self.epochs):
                for callback in self.callbacks:
                    callback.on_epoch_begin(epoch)
                logs = self._whole_epoch(epoch, slices, is_first=epoch == first)
                history._append(epoch, logs)
                if self.display is not None:
                    self.display.finish(epoch, logs)
                for callback in self.callbacks:
                    callback.on_epoch_end(epoch, logs)
                if net.stop_training:
                    break
        finally:
            if self.display is not None:
                self.display.close()
        for callback in self.callbacks:
            callback.on_train_end(logs)
        return history

    def _whole_epoch(self, epoch: int, slices: _Slices, *, is_first: bool) -> dict[str, float]:
        """Train for an epoch, validate, and return the metrics."""
        begin = time.perf_counter()
        steps = self.trainer.steps
        self.trainer.snapshot()
        if self.display is not None:
            self.display.begin(epoch)
        try:
            totals, lr = self._train(epoch, slices)
        except _NotFiniteError as error:
            self.trainer.restore()
            kept = "as they were before fit" if is_first else f"those after epoch {epoch - 1}"
            raise FloatingPointError(
                f"fit: the {error.what} became NaN or infinite in epoch {epoch}, step "
                f"{error.step}; the weights are {kept}. A smaller lr or clip_norm may help; NaN "
                f"in x would do it too"
            ) from None
        finally:
            # An epoch that was broken off is not begun again: its order of rows has been used.
            if self.trainer.steps > steps:
                self.net._set_epochs(epoch)
        logs = totals.logs()
        if self.validation is not None:
            measured = evaluate(
                "fit: validation_data",
                self.net._network,
                self.validation,
                has_accuracy=self.has_accuracy,
            )
            logs |= measured.logs("val_")
        return logs | {"lr": lr, "seconds": time.perf_counter() - begin}

    def _train(self, epoch: int, slices: _Slices) -> tuple[Totals, float]:
        """Make the steps of an epoch; return what they measured and the last learning rate."""
        samples, network = self.samples, self.net._network
        totals = Totals(has_accuracy=self.has_accuracy)
        order = epoch - 1 if self.shuffle else None
        index = np.empty(0, dtype=np.uintp)
        lr = np.empty(0)
        result: _core.Result | None = None
        while totals.rows < samples.rows:
            if index.size == 0:
                index = slices.rows(network.seed, order, totals.rows)
            steps = -(-index.size // self.batch_size)
            lr = self.optimizer._rates("fit", steps)
            result = self.trainer.epoch(
                samples.loss,
                *samples.chosen(index),
                self.batch_size,
                lr,
                SLICE_SECONDS,
            )
            totals.add(result)
            if not result.finite:
                raise _NotFiniteError("loss", totals.steps + 1)
            slices.adapt(result.rows, whole=result.rows == index.size)
            index = index[result.rows :]
            if self.display is not None:
                self.display.advance(result.rows, totals.logs())
        # The last step's own result shows in no loss of this epoch, and what the optimizer's state
        # makes of the weights may show in none at all.
        finite_weights, finite_state = self.trainer.finite()
        if not finite_weights or not finite_state:
            what = "optimizer's state" if finite_weights else "weights"
            raise _NotFiniteError(what, totals.steps)
        return totals, float(lr[result.steps - 1]) if result is not None else 0.0


class _NotFiniteError(Exception):
    """A loss, the weights or the optimizer's state are no longer finite."""

    def __init__(self, what: str, step: int) -> None:
        super().__init__(what, step)
        self.what = what
        self.step = step


def checked_callbacks(where: str, callbacks: object) -> list[Callback]:
    """Return fit's callbacks as a list."""
    if isinstance(callbacks, Callback):
        return [callbacks]
    if not isinstance(callbacks, Iterable):
        raise TypeError(
            f"{where}: callbacks is of type {type(callbacks).__name__}, should be a list of "
            f"callbacks"
        )
    found = list(callbacks)
    for i, callback in enumerate(found):
        if not isinstance(callback, Callback):
            raise TypeError(
                f"{where}: callbacks[{i}] is of type {type(callback).__name__}, should be a "
                f"cnn.Callback"
            )
    return found


def _warn_of_step(net: Sequential) -> None:
    """Warn of layers that cannot learn because of a step activation."""
    with_step = [
        i
        for i, layer in enumerate(net.layers)
        if isinstance(layer, Dense) and layer.activation == "step"
    ]
    if not with_step:
        return
    stuck = [
        f"layer {i} ({layer!r})"
        for i, layer in enumerate(net.layers[: with_step[-1] + 1])
        if isinstance(layer, Dense)
    ]
    warnings.warn(
        f"fit: the derivative of step, the activation of layer {with_step[-1]}, is 0, so that "
        f"{', '.join(stuck)} will not learn",
        UserWarning,
        stacklevel=4,  # at the call of Sequential.fit
    )


def fit(
    net: Sequential,
    x: ArrayLike | SparseRows,
    t: ArrayLike,
    *,
    epochs: int,
    batch_size: int,
    optimizer: str | optimizers.Optimizer | None,
    loss: str | losses.Loss | None,
    validation_data: object,
    sample_weight: ArrayLike | None,
    class_weight: ClassWeight | None,
    shuffle: bool,
    callbacks: object,
    progress: object,
) -> History:
    """Do what `Sequential.fit` says."""
    where = "fit"
    network = net._network
    epochs = _checks.integer(where, "epochs", epochs, 1)
    batch_size = _checks.integer(where, "batch_size", batch_size, 1)
    chosen = losses.resolve(where, loss, net.activation)
    samples = checked_samples(where, network, chosen, x, t, sample_weight, class_weight)
    validation = _validation_samples(where, network, chosen, validation_data)
    shuffle = _checks.flag(where, "shuffle", shuffle)
    called = checked_callbacks(where, callbacks)
    show = _progress.wanted(where, progress)
    chosen_optimizer = optimizers.resolve(where, optimizer)
    _warn_of_step(net)
    # Last, since nothing is to change where an argument is bad.
    trainer = chosen_optimizer._bind(where, network)
    return _Fit(
        net=net,
        optimizer=chosen_optimizer,
        trainer=trainer,
        samples=samples,
        validation=validation,
        has_accuracy=chosen.has_accuracy,
        epochs=epochs,
        batch_size=min(batch_size, samples.rows),
        shuffle=shuffle,
        callbacks=called,
        show=show,
    ).run()
