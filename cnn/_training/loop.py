"""Samples and their checks, the loop of fit, single steps and evaluation.

Loops over samples and steps run in C. What is left to Python is a loop over slices of an epoch,
each of some hundredths of a second: between them Ctrl-C is served and progress is shown.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn import _core, losses, optimizers
from cnn._base import checks, warning
from cnn._base.numbers import exact
from cnn._training.progress import Display, display, wanted
from cnn._training.sparse import SparseRows
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
# A slice's indices take memory, and each slice looks at its labels and weights first.
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
    class_weight: NDArray[np.float64] | None
    pins: object
    """What keeps the arrays' memory at its place, whatever callbacks do to the arrays."""

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

    def weights(self, rows: NDArray[Any]) -> NDArray[np.float64] | None:
        """Return the weights of some rows, sample weight times class weight; None if all are 1."""
        return losses.row_weights(rows, self.t, self.sample_weight, self.class_weight)

    def slices(self, network: _core.Network) -> Iterator[tuple[NDArray[Any], NDArray[Any], Any]]:
        """Go through the rows in slices that take a network some hundredths of a second."""
        rows = min(max(SLICE_WORK // network.parameter_count, 256), self.most_rows)
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
    # To read t and the weights may run code of theirs.
    pins = _core.pinned(array)
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
    targets = losses.checked_targets(where, t, loss, rows, network.outputs, network.dtype)
    pins += _core.pinned(targets)
    weights = losses.checked_weights(where, sample_weight, rows)
    pins += _core.pinned(weights)
    labels = loss.takes_labels and targets.ndim == 1
    per_class = losses.checked_class_weight(where, class_weight, network.outputs, labels=labels)
    losses.check_total_weight(where, targets, weights, per_class)
    compiled = loss.compiled(labels=labels, class_weight=per_class)
    return Samples(array, targets, weights, compiled, per_class, pins)


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
    where = f"{where}: validation_data"
    samples = checked_samples(where, network, loss, x, t, rest[0] if rest else None)
    # Here rather than after an epoch, which would be lost.
    fault = _fault_of_input(samples, network)
    if fault:
        raise _InputError(f"{where}: {fault}")
    return samples


# ---- Evaluation --------------------------------------------------------------------------------


def logs_of(result: _core.Result, prefix: str = "", *, has_accuracy: bool) -> dict[str, float]:
    """Return the mean loss of a pass so far and, of a classification, the accuracy."""
    found = {f"{prefix}loss": result.loss}
    if has_accuracy:
        found[f"{prefix}accuracy"] = result.accuracy
    return found


def evaluate(where: str, network: _core.Network, samples: Samples) -> _core.Result:
    """Measure a network, a slice of rows at a time, so that Ctrl-C is served in between."""
    result = _core.Result()
    for x, t, sample_weight in samples.slices(network):
        result = network.evaluate(samples.loss, x, t, sample_weight, where, result)
    if result.nonfinite_rows:
        raise _InputError(f"{where}: {_fault_of_input(samples, network)}")
    return result


# ---- Inputs that are not finite ----------------------------------------------------------------


class _InputError(FloatingPointError, ValueError):
    """x has a number that is not finite in the network's type."""


def _fault_of_input(samples: Samples, network: _core.Network) -> str:
    """Tell of the first number of x that is not finite in the network's type; "" for none.

    Rows of weight 0 are left out, as they are from all else. Training makes no pass over all of x
    before the first step: what such a number does shows in the loss, or in weights.
    """
    x, dtype = samples.x, network.dtype
    rows = x.block_rows if isinstance(x, SparseRows) else samples.rows
    for first in range(0, samples.rows, rows):
        block = x[first : first + rows]
        at = 0
        while at < len(block):
            found = checks.first_bad(block[at:], dtype)
            if found is None:
                break
            at += found.row
            weight = samples.weights(np.array([first + at]))
            if weight is not None and weight[0] == 0:
                at += 1
                continue
            where = f"x has {exact(found.value)} in row {first + at}, column {found.column}"
            if found.overflows(dtype):
                return f"{where}, which overflows {dtype}, the network's type"
            return f"{where}, but its numbers should be finite"
    return ""


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
    chosen = losses.resolve(where, loss, net.activation, net.outputs)
    samples = checked_samples(where, network, chosen, x, t, sample_weight, class_weight)
    lr = float(optimizer._rates(where, 1)[0])
    trainer = optimizer._bind(where, network)
    result = trainer.step(samples.loss, *samples.slice(0, samples.rows), lr)
    if not result.finite:
        what = (
            f"{where}: {result.blame} became NaN or infinite in step {trainer.steps + 1}; the step "
            f"was not made"
        )
        fault = _fault_of_input(samples, network)
        raise _InputError(f"{what}. {fault}") if fault else FloatingPointError(what)
    return logs_of(result, has_accuracy=chosen.has_accuracy)


def gradients(
    net: Sequential,
    x: ArrayLike,
    t: ArrayLike,
    *,
    loss: str | losses.Loss | None,
    sample_weight: ArrayLike | None,
    dropout_step: int | None,
) -> tuple[float, list[NDArray[Any]]]:
    """Do what `Sequential.gradients` says, but for the names of the gradients."""
    where = "gradients"
    network = net._network
    step = -1
    if dropout_step is not None:
        step = checks.integer(where, "dropout_step", dropout_step, 0, 2**63 - 1)
    chosen = losses.resolve(where, loss, net.activation, net.outputs)
    samples = checked_samples(where, network, chosen, x, t, sample_weight)
    value, flat = network.gradients(samples.loss, *samples.slice(0, samples.rows), step)
    # x is a factor of the first weight's gradient, even where an activation has saturated.
    if not (np.isfinite(value) and np.isfinite(flat[0]).all()):
        fault = _fault_of_input(samples, network)
        if fault:
            raise _InputError(f"{where}: {fault}")
    return value, flat


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
    where: str
    advice: str
    display: Display | None = None

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
                self.display = display(self.samples.rows, first, first + self.epochs - 1)
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
        kept = f"as they were before {self.where}" if is_first else f"those after epoch {epoch - 1}"
        try:
            result, lr = self._train(epoch, slices)
            logs = logs_of(result, has_accuracy=self.has_accuracy)
            if self.validation is not None:
                where = f"{self.where}: validation_data"
                measured = evaluate(where, self.net._network, self.validation)
                logs |= logs_of(measured, "val_", has_accuracy=self.has_accuracy)
        except _NotFiniteError as error:
            self.trainer.restore()
            raise self._divergence(error, epoch, kept) from None
        except Exception as error:
            # A learning rate that cannot be used, say, or samples that were changed meanwhile.
            # If another thread trains the network by now, what it does is left alone.
            with contextlib.suppress(RuntimeError):
                self.trainer.restore()
                error.add_note(f"{self.where} ended in epoch {epoch}; the weights are {kept}")
            raise
        finally:
            # An epoch that was broken off is not begun again: its order of rows has been used.
            if self.trainer.steps > steps:
                self.net._set_epochs(epoch)
        return logs | {"lr": lr, "seconds": time.perf_counter() - begin}

    def _divergence(self, error: _NotFiniteError, epoch: int, kept: str) -> FloatingPointError:
        """Return the error that tells what became infinite, and whether x was so before."""
        what = (
            f"{self.where}: the {error.what} became NaN or infinite in epoch {epoch}, step "
            f"{error.step}; the weights are {kept}"
        )
        fault = _fault_of_input(self.samples, self.net._network)
        if fault:
            return _InputError(f"{what}. {fault}")
        return FloatingPointError(f"{what}. {self.advice}")

    def _train(self, epoch: int, slices: _Slices) -> tuple[_core.Result, float]:
        """Make the steps of an epoch; return what they measured and the last learning rate."""
        samples, network = self.samples, self.net._network
        order = epoch - 1 if self.shuffle else None
        index = np.empty(0, dtype=np.uintp)
        # Each rate is asked for once, in the order of steps, wherever time cuts the slices.
        lr = np.empty(0)
        last_lr = 0.0
        # Sums go on from slice to slice, so that it does not show where time has cut them.
        result = _core.Result()
        while result.rows < samples.rows:
            if index.size == 0:
                index = slices.rows(network.seed, order, result.rows)
            rows, steps = result.rows, self.trainer.steps
            missing = self._steps_of(index) - lr.size
            if missing > 0:
                ahead = self.optimizer._rates(self.where, missing, ahead=lr.size)
                lr = np.append(lr, ahead)
            batches = -(-index.size // self.batch_size)
            result = self.trainer.epoch(
                samples.loss,
                *samples.chosen(index),
                self.batch_size,
                # Batches without weight take no rate.
                np.pad(lr, (0, max(0, batches - lr.size)), mode="edge" if lr.size else "constant"),
                SLICE_SECONDS,
                result,
            )
            if not result.finite:
                raise _NotFiniteError("loss", result.steps + 1)
            rows, steps = result.rows - rows, self.trainer.steps - steps
            if steps > 0:
                last_lr = float(lr[steps - 1])
            lr = lr[steps:]
            slices.adapt(rows, whole=rows == index.size)
            index = index[rows:]
            if self.display is not None:
                self.display.advance(rows, logs_of(result, has_accuracy=self.has_accuracy))
        if result.weight_sum == 0:
            raise ValueError(
                f"{self.where}: the weights of no batch of {self.batch_size} rows add up to "
                f"{_core.LEAST_WEIGHT_SUM:g} or more, so that no step was made"
            )
        # The last step's own result shows in no loss of this epoch, and what the optimizer's state
        # makes of the weights may show in none at all.
        finite_weights, finite_state = self.trainer.finite()
        if not finite_weights or not finite_state:
            what = "optimizer's state" if finite_weights else "weights"
            raise _NotFiniteError(what, result.steps)
        return result, last_lr

    def _steps_of(self, index: NDArray[np.uintp]) -> int:
        """Return how many steps the batches of these rows make: those that have a weight."""
        weights = self.samples.weights(index)
        batches = -(-index.size // self.batch_size)
        if weights is None or weights.min() >= _core.LEAST_WEIGHT_SUM:
            return batches
        sums = np.add.reduceat(weights, np.arange(0, index.size, self.batch_size))
        return int(np.count_nonzero(sums >= _core.LEAST_WEIGHT_SUM))


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
    warning.warn(
        f"fit: the derivative of step, the activation of layer {with_step[-1]}, is 0, so that "
        f"{', '.join(stuck)} will not learn"
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
    where: str = "fit",
    advice: str = "A smaller lr or clip_norm may help",
) -> History:
    """Do what `Sequential.fit` says; `where` and `advice` are for messages of estimators."""
    network = net._network
    epochs = checks.integer(where, "epochs", epochs, 1)
    batch_size = checks.integer(where, "batch_size", batch_size, 1)
    chosen = losses.resolve(where, loss, net.activation, net.outputs)
    samples = checked_samples(where, network, chosen, x, t, sample_weight, class_weight)
    validation = _validation_samples(where, network, chosen, validation_data)
    shuffle = checks.flag(where, "shuffle", shuffle)
    called = checked_callbacks(where, callbacks)
    show = wanted(where, progress)
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
        where=where,
        advice=advice,
    ).run()
