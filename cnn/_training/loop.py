"""The loop of fit: epochs, slices of an epoch, callbacks.

Loops over samples and steps run in C. Python loops over slices of an epoch, each of some hundredths
of a second. Between slices it handles Ctrl-C and shows progress.
"""

from __future__ import annotations

import contextlib
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from cnn import _core, losses, optimizers
from cnn._base import checks, warning
from cnn._base.log import LOGGER
from cnn._base.metadata import EPOCHS
from cnn._training import scales
from cnn._training.hooks import Hooks, checked_callbacks
from cnn._training.measures import Measure, check_targets, checked_metrics, measured
from cnn._training.progress import Display, display, text_of, wanted
from cnn._training.samples import (
    ClassWeight,
    InputError,
    Samples,
    checked_samples,
    fault_of_input,
    loss_for,
    split_off,
    validation_samples,
)
from cnn._training.sparse import SparseRows
from cnn._training.steps import evaluate, logs_of
from cnn.history import History
from cnn.layers import Dense

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

# After this time, a slice of an epoch ends with the current step.
SLICE_SECONDS = 0.03


class Model(Protocol):
    """The attributes that fit needs of the object that it trains, beside its network."""

    stop_training: bool
    """A callback sets it to True to end fit after the epoch."""

    @property
    def layers(self) -> Sequence[object]:
        """The layers, for warnings."""


class _Slices:
    """The order of an epoch's rows, slice by slice.

    A slice is a whole number of batches, and about as long as the time of a slice allows.
    """

    def __init__(self, rows: int, batch_size: int, most: int) -> None:
        self._rows = rows
        self._batch_size = batch_size
        self._most = most
        # Small at first, as the time of a step is not known yet.
        self._length = batch_size * max(1, min(1024, most) // batch_size)

    def rows(self, seed: int, epoch: int | None, first: int) -> NDArray[np.uintp]:
        """Return the next rows from `first` on, shuffled for an epoch or in their order."""
        count = min(self._length, self._rows - first)
        if epoch is None:
            return np.arange(first, first + count, dtype=np.uintp)
        return _core.permutation(seed, epoch, self._rows, first, count)

    def adapt(self, done: int, *, whole: bool) -> None:
        """Set the length of the next slice, given the rows that were done in the time of one."""
        length = 2 * self._length if whole else done
        batches = max(1, min(length, self._most) // self._batch_size)
        self._length = batches * self._batch_size


@dataclass
class _Fit:
    """A call of fit, with checked arguments."""

    model: Model
    network: _core.Network
    optimizer: optimizers.Optimizer
    trainer: _core.Trainer
    loss: losses.Loss
    samples: Samples
    validation: Samples | None
    has_accuracy: bool
    epochs: int
    batch_size: int
    shuffle: bool
    callbacks: list[Hooks]
    show: bool
    where: str
    advice: str
    measures: list[Measure]
    display: Display | None = None

    def metrics(self) -> tuple[str, ...]:
        """Return the names of the metrics of an epoch."""
        names = ["loss", "accuracy"] if self.has_accuracy else ["loss"]
        names += [measure.name for measure in self.measures]
        if self.validation is not None:
            names += [f"val_{name}" for name in names]
        return (*names, "lr", "seconds")

    def run(self) -> History:
        """Train."""
        first = int(self.network.get_metadata(EPOCHS) or 0) + 1
        self.model.stop_training = False
        for callback in self.callbacks:
            callback.model = self.model
            callback.optimizer = self.optimizer
            callback.metrics = self.metrics()
        for callback in self.callbacks:
            callback.on_train_begin()
        LOGGER.info(
            "%s begins: %d rows, epochs %d to %d, batches of %d, %r, %r",
            *(self.where, self.samples.rows, first, first + self.epochs - 1, self.batch_size),
            *(self.optimizer, self.loss),
        )
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
                history.append(epoch, logs)
                if LOGGER.isEnabledFor(logging.DEBUG):
                    LOGGER.debug("%s: epoch %d, %s", self.where, epoch, text_of(logs))
                if self.display is not None:
                    self.display.finish(epoch, logs)
                for callback in self.callbacks:
                    callback.on_epoch_end(epoch, logs)
                if self.model.stop_training:
                    break
        finally:
            if self.display is not None:
                self.display.close()
        stopped = ", stopped by a callback" if self.model.stop_training else ""
        LOGGER.info("%s ends after epoch %d%s: %s", self.where, epoch, stopped, text_of(logs))
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
            logs |= measured(self.where, self.network, self.samples, self.measures)
            if self.validation is not None:
                where = f"{self.where}: validation_data"
                found = evaluate(where, self.network, self.validation)
                logs |= logs_of(found, "val_", has_accuracy=self.has_accuracy)
                logs |= measured(where, self.network, self.validation, self.measures, "val_")
        except _NotFiniteError as error:
            self.trainer.restore()
            raise self._divergence(error, epoch, kept) from None
        except Exception as error:
            # For example a bad learning rate, or samples that were changed during the epoch. If
            # another thread is training the network by now, its weights are not restored.
            with contextlib.suppress(RuntimeError):
                self.trainer.restore()
                error.add_note(f"{self.where} ended in epoch {epoch}; the weights are {kept}")
            raise
        finally:
            # An interrupted epoch is not repeated: its order of rows has been used.
            if self.trainer.steps > steps:
                self.network.set_metadata(EPOCHS, str(epoch))
        return logs | {"lr": lr, "seconds": time.perf_counter() - begin}

    def _divergence(self, error: _NotFiniteError, epoch: int, kept: str) -> FloatingPointError:
        """Return the error for a loss or state that is not finite, with its cause in x if any."""
        what = (
            f"{self.where}: the {error.what} became NaN or infinite in epoch {epoch}, step "
            f"{error.step}; the weights are {kept}"
        )
        fault = fault_of_input(self.samples, self.network)
        if fault:
            return InputError(f"{what}. {fault}")
        return FloatingPointError(f"{what}. {self.advice}")

    def _train(self, epoch: int, slices: _Slices) -> tuple[_core.Result, float]:
        """Make the steps of an epoch; return their result and the last learning rate."""
        samples, network = self.samples, self.network
        order = epoch - 1 if self.shuffle else None
        index = np.empty(0, dtype=np.uintp)
        # The schedule is called once for each step, in order, however the epoch is sliced.
        lr = np.empty(0)
        last_lr = 0.0
        # Sums continue across slices, so that results do not depend on the slicing.
        result = _core.Result()
        while result.rows < samples.rows:
            if index.size == 0:
                index = slices.rows(network.seed, order, result.rows)
            rows, steps = result.rows, self.trainer.steps
            missing = self._steps_of(index) - lr.size
            if missing > 0:
                ahead = optimizers.rates(self.where, self.optimizer, missing, ahead=lr.size)
                lr = np.concatenate((lr, ahead))
            # Batches without weight use no rate.
            unused = -(-index.size // self.batch_size) - lr.size
            rates = lr
            if unused > 0:
                rates = np.pad(lr, (0, unused), mode="edge" if lr.size else "constant")
            result = self.trainer.epoch(
                samples.loss,
                *samples.chosen(index),
                self.batch_size,
                rates,
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
        # No loss of this epoch depends on the weights after the last step, and bad state of the
        # optimizer may not affect any loss.
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


def _warn_of_step(layers: Sequence[object]) -> None:
    """Warn of layers that cannot learn because of a step activation."""
    with_step = [
        i
        for i, layer in enumerate(layers)
        if isinstance(layer, Dense) and layer.activation == "step"
    ]
    if not with_step:
        return
    stuck = [
        f"layer {i} ({layer!r})"
        for i, layer in enumerate(layers[: with_step[-1] + 1])
        if isinstance(layer, Dense)
    ]
    warning.warn(
        f"fit: the derivative of step, the activation of layer {with_step[-1]}, is 0, so that "
        f"{', '.join(stuck)} will not learn"
    )


def fit(
    model: Model,
    network: _core.Network,
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
    validation_split: object = 0.0,
    metrics: object = None,
    verbose: object = None,
    where: str = "fit",
    advice: str = "A smaller lr or clip_norm may help",
    warn_of_scales: bool = True,
) -> History:
    """Train a network as `Sequential.fit` documents; `where` and `advice` go into messages.

    With `warn_of_scales`, the scales of x are looked at if the network has not been trained yet.
    `network` is trained, and callbacks get `model`, which is a view of it.
    """
    epochs = checks.integer(where, "epochs", epochs, 1)
    batch_size = checks.integer(where, "batch_size", batch_size, 1)
    chosen = loss_for(where, loss, network)
    measures = checked_metrics(where, metrics, chosen)
    names, is_split = _core.column_names(x), validation_data is None
    x, t, sample_weight, validation_data = split_off(
        where, validation_split, x, t, sample_weight, validation_data
    )
    samples = checked_samples(where, network, chosen, x, t, sample_weight, class_weight, names)
    validation = validation_samples(
        where, network, chosen, validation_data, names, is_split=is_split
    )
    for part in (samples, validation):
        if part is not None:
            check_targets(where, measures, part, network.outputs)
    shuffle = checks.flag(where, "shuffle", shuffle)
    called = checked_callbacks(where, callbacks)
    show = wanted(where, progress, verbose)
    chosen_optimizer = optimizers.resolve(where, optimizer)
    _warn_of_step(model.layers)
    if warn_of_scales and not int(network.get_metadata(EPOCHS) or 0):
        scales.warn(where, model.layers, samples, network.dtype)
    # Last, so that nothing changes if an argument is bad.
    trainer = optimizers.bound(where, chosen_optimizer, network)
    return _Fit(
        model=model,
        network=network,
        optimizer=chosen_optimizer,
        trainer=trainer,
        loss=chosen,
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
        measures=measures,
    ).run()
