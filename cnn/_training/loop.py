"""The loop of fit: epochs, slices of an epoch, callbacks.

Loops over samples and steps run in C. Python loops over slices of an epoch, each of some hundredths
of a second. Between slices it handles Ctrl-C and shows progress.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from cnn import _core, losses, optimizers
from cnn._base import checks, warning
from cnn._base.log import LOGGER
from cnn._base.metadata import EPOCHS
from cnn._base.numbers import exact
from cnn._training import scales
from cnn._training.given import stream_of, validation_samples
from cnn._training.hooks import Hooks, checked_callbacks
from cnn._training.measures import Measure, check_targets, checked_metrics, evaluated, measured
from cnn._training.progress import Display, display, text_of, wanted
from cnn._training.samples import (
    ClassWeight,
    InputError,
    Samples,
    checked_samples,
    fault_of_input,
    loss_for,
    split_off,
)
from cnn._training.steps import logs_of
from cnn.history import History
from cnn.layers import Dense
from cnn.schedules import Schedule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from cnn._sources import Source
    from cnn._training.streams import Portions, Stream

BATCH_SIZE = 32
"""The rows of a batch by default."""
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
    """The order of an epoch's rows of arrays, slice by slice.

    A slice is a whole number of batches, and about as long as the time of a slice allows.
    """

    def __init__(self, samples: Samples, batch_size: int) -> None:
        self._samples = samples
        self._rows = samples.rows
        self._batch_size = batch_size
        self._most = samples.most_rows
        # Small at first, as the time of a step is not known yet.
        self._length = batch_size * max(1, min(1024, self._most) // batch_size)
        self._first = self._rows
        self._seed = 0
        self._epoch: int | None = None

    def begin(self, seed: int, epoch: int | None) -> None:
        """Begin an epoch, shuffled, or in the rows' own order for None."""
        self._seed, self._epoch, self._first = seed, epoch, 0

    def take(self) -> tuple[Samples, NDArray[np.uintp], int] | None:
        """Return the samples, the next rows and the size of a batch; None at the epoch's end."""
        first = self._first
        count = min(self._length, self._rows - first)
        if count == 0:
            return None
        self._first += count
        if self._epoch is None:
            index = np.arange(first, first + count, dtype=np.uintp)
        else:
            index = _core.permutation(self._seed, self._epoch, self._rows, first, count)
        return self._samples, index, self._batch_size

    def adapt(self, done: int, *, whole: bool) -> None:
        """Set the length of the next slice, given the rows that were done in the time of one."""
        length = 2 * self._length if whole else done
        batches = max(1, min(length, self._most) // self._batch_size)
        self._length = batches * self._batch_size

    def end(self, *, interrupted: bool) -> None:
        """End an epoch."""

    def fault(self, network: _core.Network) -> str:
        """Return a text on the first number of x that is not finite, or ""."""
        return fault_of_input(self._samples, network)


@dataclass
class _Fit:
    """A call of fit, with checked arguments."""

    model: Model
    network: _core.Network
    optimizer: optimizers.Optimizer
    trainer: _core.Trainer
    loss: losses.Loss
    samples: Samples | Stream
    slices: _Slices | Portions
    validation: Samples | Stream | None
    has_accuracy: bool
    epochs: int
    batch_size: int | None
    shuffle: bool
    callbacks: list[Hooks]
    show: bool
    where: str
    advice: str
    measures: list[Measure]
    dropout: Schedule | None = None
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
        if LOGGER.isEnabledFor(logging.INFO):
            LOGGER.info(
                "%s begins: %s rows, epochs %d to %d, batches of %s, %r, %r",
                *(self.where, _known(self.samples.rows), first, first + self.epochs - 1),
                *(_known(self.batch_size), self.optimizer, self.loss),
            )
        history = History()
        logs: dict[str, float] = {}
        try:
            if self.show:
                self.display = display(self.samples.rows, first, first + self.epochs - 1)
            for epoch in range(first, first + self.epochs):
                for callback in self.callbacks:
                    callback.on_epoch_begin(epoch)
                logs = self._whole_epoch(epoch, is_first=epoch == first)
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
        if LOGGER.isEnabledFor(logging.INFO):
            stopped = ", stopped by a callback" if self.model.stop_training else ""
            LOGGER.info("%s ends after epoch %d%s: %s", self.where, epoch, stopped, text_of(logs))
        for callback in self.callbacks:
            callback.on_train_end(logs)
        return history

    def _whole_epoch(self, epoch: int, *, is_first: bool) -> dict[str, float]:
        """Train for an epoch, validate, and return the metrics."""
        begin = time.perf_counter()
        before = self.network.get_metadata(EPOCHS)
        self.trainer.snapshot()
        if self.display is not None:
            self.display.begin(epoch)
        kept = f"as they were before {self.where}" if is_first else f"those after epoch {epoch - 1}"
        try:
            result, lr = self._train(epoch)
            logs = logs_of(result, has_accuracy=self.has_accuracy)
            if self.measures:
                logs |= measured(self.where, self.network, self.samples, self.measures)
            if self.validation is not None:
                where = f"{self.where}: validation_data"
                sums, others = evaluated(where, self.network, self.validation, self.measures)
                logs |= logs_of(sums, "val_", has_accuracy=self.has_accuracy)
                logs |= {f"val_{name}": value for name, value in others.items()}
        except _NotFiniteError as error:
            self.trainer.restore(EPOCHS, before)
            raise self._divergence(error, epoch, kept) from None
        except Exception as error:
            # For example a bad learning rate, or samples that were changed during the epoch. If
            # another thread is training the network by now, its weights are not restored.
            with contextlib.suppress(RuntimeError):
                self.trainer.restore(EPOCHS, before)
                error.add_note(f"{self.where} ended in epoch {epoch}; the weights are {kept}")
            raise
        finally:
            self.slices.end(interrupted=isinstance(sys.exception(), KeyboardInterrupt))
        return logs | {"lr": lr, "seconds": time.perf_counter() - begin}

    def _divergence(self, error: _NotFiniteError, epoch: int, kept: str) -> FloatingPointError:
        """Return the error for a loss or state that is not finite, with its cause in x if any."""
        what = (
            f"{self.where}: the {error.what} became NaN or infinite in epoch {epoch}, step "
            f"{error.step}; the weights are {kept}"
        )
        fault = self.slices.fault(self.network)
        if fault:
            return InputError(f"{what}. {fault}")
        return FloatingPointError(f"{what}. {self.advice}")

    def _train(self, epoch: int) -> tuple[_core.Result, float]:
        """Make the steps of an epoch; return their result and the last learning rate."""
        slices = self.slices
        slices.begin(self.network.seed, epoch - 1 if self.shuffle else None)
        index = np.empty(0, dtype=np.uintp)
        # The schedule is called once for each step, in order, however the epoch is sliced.
        lr = np.empty(0)
        last_lr = 0.0
        # Sums continue across slices, so that results do not depend on the slicing.
        result = _core.Result()
        while True:
            if index.size == 0:
                part = slices.take()
                if part is None:
                    break
                samples, index, batch_size = part
            rows = result.rows
            missing = _steps_of(samples, index, batch_size) - lr.size
            if missing > 0:
                ahead = optimizers.rates(self.where, self.optimizer, missing, ahead=lr.size)
                lr = np.concatenate((lr, ahead))
            # Batches without weight use no rate.
            unused = -(-index.size // batch_size) - lr.size
            rates = lr
            if unused > 0:
                rates = np.pad(lr, (0, unused), mode="edge" if lr.size else "constant")
            first = self.trainer.steps
            rates, decays = optimizers.tables(self.where, self.optimizer, rates, first)
            dropout = None if self.dropout is None else self.dropout.values(first, len(rates))
            result = self.trainer.epoch(
                samples.loss,
                *samples.chosen(index),
                batch_size,
                rates,
                SLICE_SECONDS,
                result,
                # An interrupted epoch is not repeated: its order of rows has been used. It is
                # counted with its first step, as a signal may come after any line here.
                EPOCHS,
                str(epoch),
                decays,
                dropout,
            )
            if not result.finite:
                raise _NotFiniteError("loss", result.steps + 1)
            rows, steps = result.rows - rows, result.updates
            if steps > 0:
                last_lr = float(lr[steps - 1])
            lr = lr[steps:]
            slices.adapt(rows, whole=rows == index.size)
            index = index[rows:]
            if self.display is not None:
                self.display.advance(rows, logs_of(result, has_accuracy=self.has_accuracy))
        if result.weight_sum == 0:
            raise ValueError(
                f"{self.where}: the weights of no batch{_of_rows(self.batch_size)} add up to "
                f"{_core.LEAST_WEIGHT_SUM:g} or more, so that no step was made"
            )
        # No loss of this epoch depends on the weights after the last step, and bad state of the
        # optimizer may not affect any loss.
        finite_weights, finite_state = self.trainer.finite()
        if not finite_weights or not finite_state:
            what = "optimizer's state" if finite_weights else "weights"
            raise _NotFiniteError(what, result.steps)
        return result, last_lr


def _steps_of(samples: Samples, index: NDArray[np.uintp], batch_size: int) -> int:
    """Return how many steps the batches of these rows make: those that have a weight."""
    weights = samples.weights(index)
    batches = -(-index.size // batch_size)
    if weights is None or weights.min() >= _core.LEAST_WEIGHT_SUM:
        return batches
    sums = np.add.reduceat(weights, np.arange(0, index.size, batch_size))
    return int(np.count_nonzero(sums >= _core.LEAST_WEIGHT_SUM))


def _known(number: int | None) -> int | str:
    return "an unknown number of" if number is None else number


def _of_rows(batch_size: int | None) -> str:
    return "" if batch_size is None else f" of {batch_size} rows"


class _NotFiniteError(Exception):
    """A loss, the weights or the optimizer's state are no longer finite."""

    def __init__(self, what: str, step: int) -> None:
        super().__init__(what, step)
        self.what = what
        self.step = step


def warn_of_step(layers: Sequence[object]) -> None:
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


def _checked_source(
    where: str,
    source: Source,
    epochs: int,
    measures: list[Measure],
    sample_weight: object,
    validation_split: object,
) -> None:
    """Refuse what does not go with samples from a source."""
    share = checks.real(where, "validation_split", validation_split, below=1.0)
    if share:
        raise ValueError(
            f"{where}: validation_split is {exact(share)}, but x is a stream, whose last rows are "
            f"not set apart; give validation_data"
        )
    if source.once and epochs > 1:
        raise ValueError(
            f"{where}: epochs is {epochs}, but x can be read only once, as it is an iterator; "
            f"should be an object that iter() begins again, such as a list of batches"
        )
    if source.once and measures:
        raise ValueError(
            f"{where}: metrics needs a second pass over x, which is an iterator and can be read "
            f"only once"
        )


def fit(
    model: Model,
    network: _core.Network,
    x: Any,
    t: Any,
    *,
    epochs: int,
    batch_size: int | None,
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
    source: Source | None = None,
    dropout: object = None,
) -> History:
    """Train a network as `Sequential.fit` documents; `where` and `advice` go into messages.

    With `warn_of_scales`, the scales of x are looked at if the network has not been trained yet.
    `network` is trained, and callbacks get `model`, which is a view of it. With a `source`, it has
    the samples, and x, t and sample_weight are not used.
    """
    epochs = checks.integer(where, "epochs", epochs, 1)
    if batch_size is not None:
        batch_size = checks.integer(where, "batch_size", batch_size, 1)
    elif source is None or not source.has_batches:
        batch_size = BATCH_SIZE
    chosen = loss_for(where, loss, network)
    measures = checked_metrics(where, metrics, chosen)
    names, is_split = None, validation_data is None
    samples: Samples | Stream
    if source is None:
        names = _core.column_names(x)
        x, t, sample_weight, validation_data = split_off(
            where, validation_split, x, t, sample_weight, validation_data
        )
        samples = checked_samples(where, network, chosen, x, t, sample_weight, class_weight, names)
    else:
        _checked_source(where, source, epochs, measures, sample_weight, validation_split)
        samples = stream_of(where, network, chosen, source, class_weight)
    validation = validation_samples(
        where, network, chosen, validation_data, names, is_split=is_split, epochs=epochs
    )
    for part in (samples, validation):
        if isinstance(part, Samples):
            check_targets(where, measures, part, network.outputs)
    shuffle = checks.flag(where, "shuffle", shuffle)
    called = checked_callbacks(where, callbacks)
    show = wanted(where, progress, verbose)
    if dropout is not None and not isinstance(dropout, Schedule):
        raise TypeError(
            f"{where}: dropout is of type {type(dropout).__name__}, should be a cnn.Schedule"
        )
    chosen_optimizer = optimizers.resolve(where, optimizer)
    warn_of_step(model.layers)
    warns = warn_of_scales and not int(network.get_metadata(EPOCHS) or 0)
    slices: _Slices | Portions
    if isinstance(samples, Samples):
        batch_size = min(batch_size or BATCH_SIZE, samples.rows)
        slices = _Slices(samples, batch_size)
        if warns:
            scales.warn(where, model.layers, samples, network.dtype)
    else:
        slices = samples.portions(where, batch_size, model.layers if warns else None)
    # Last, so that nothing changes if an argument is bad.
    trainer = optimizers.bound(where, chosen_optimizer, network)
    return _Fit(
        model=model,
        network=network,
        optimizer=chosen_optimizer,
        trainer=trainer,
        loss=chosen,
        samples=samples,
        slices=slices,
        validation=validation,
        has_accuracy=chosen.has_accuracy,
        epochs=epochs,
        batch_size=batch_size,
        shuffle=shuffle,
        callbacks=called,
        show=show,
        where=where,
        advice=advice,
        measures=measures,
        dropout=dropout,
    ).run()
