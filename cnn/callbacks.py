"""Callbacks, which fit calls at the beginning and the end of training and of each epoch.

They have the names that they have in Keras, and are called at the same times. None is called for
each step, as the steps run in C. For a training loop of your own, use `cnn.Sequential.train_step`.
"""

from __future__ import annotations

import errno
import math
import os
from typing import TYPE_CHECKING, Any, get_args

from cnn._base import checks, formats, texts
from cnn._base.choices import Mode
from cnn._base.hinted import hinted
from cnn._training.hooks import Hooks

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from cnn._training.hooks import Logs
    from cnn.optimizers import Optimizer
    from cnn.sequential import Sequential

__all__ = ["Callback", "EarlyStopping", "LambdaCallback", "ModelCheckpoint"]


class Callback(Hooks):
    """The base of callbacks, whose methods do nothing.

    Before training begins, fit sets these attributes:

    Attributes
    ----------
    model : Sequential
        The network; set ``model.stop_training = True`` to end training after the epoch.
    optimizer : Optimizer
        The optimizer; its `lr` may be set.
    metrics : tuple of str
        The names in `logs` at the end of each epoch.

    Notes
    -----
    Epochs are counted from 1 over the life of the network. An exception that a method raises ends
    fit and reaches its caller; the network stays as it is at that time.

    Examples
    --------
    >>> import cnn
    >>> class Print(cnn.Callback):
    ...     def on_epoch_end(self, epoch, logs):
    ...         print(f"epoch {epoch}: loss {logs['loss']:.3f}")
    >>> net = cnn.Sequential([cnn.Dense(1, 1, init="zeros")], rng=0)
    >>> history = net.fit([[1.0]], [1.0], epochs=2, optimizer=cnn.SGD(0.1), callbacks=[Print()])
    epoch 1: loss 0.500
    epoch 2: loss 0.320
    """

    model: Sequential
    optimizer: Optimizer
    metrics: tuple[str, ...]


# Beside those of cnn.metrics.
_LOWER_IS_BETTER = frozenset({"loss", "lr", "seconds"})


def is_higher_better(monitor: str) -> bool | None:
    """Whether more of a metric is better; None if it is a function of the user's."""
    from cnn import metrics  # noqa: PLC0415  # `import cnn` need not wait for it

    name = monitor.removeprefix("val_")
    if name.endswith("accuracy") or name in metrics.HIGHER_IS_BETTER:
        return True
    return False if name in _LOWER_IS_BETTER or name in metrics.BY_NAME else None


class _Monitor(Callback):
    """The base of callbacks that watch whether a metric improves."""

    def __init__(self, monitor: str, mode: Mode, min_delta: float) -> None:
        where = type(self).__name__
        if not isinstance(monitor, str):
            raise TypeError(
                f"{where}: monitor is of type {type(monitor).__name__}, should be a string"
            )
        checks.choice(where, "mode", mode, get_args(Mode))
        self.monitor: str = monitor
        self.min_delta: float = checks.real(where, "min_delta", min_delta)
        self.mode: Mode = mode
        higher = is_higher_better(monitor) if mode == "auto" else mode == "max"
        self._sign: float = -1.0 if higher else 1.0
        self.best: float = math.inf * self._sign
        self.best_epoch: int = 0

    def _begin(self) -> None:
        """Reset the state, and refuse a metric that fit does not measure."""
        self.best = math.inf * self._sign
        self.best_epoch = 0
        if self.monitor not in self.metrics:
            raise ValueError(
                f"fit: {type(self).__name__} has monitor {self.monitor!r}, should be one of "
                f"{', '.join(self.metrics)}{self._cure()}"
            )
        if self.mode == "auto" and is_higher_better(self.monitor) is None:
            raise ValueError(
                f"fit: {type(self).__name__} has monitor {self.monitor!r} and mode 'auto', should "
                f"have mode 'max' or 'min', since cnn does not know which is better"
            )

    def _cure(self) -> str:
        """Return what to write so that fit measures the metric, or one that is meant."""
        from cnn import metrics  # noqa: PLC0415  # as above

        name = self.monitor.removeprefix("val_")
        if name != self.monitor and name in self.metrics:
            return "; give fit validation_data or validation_split"
        if name in metrics.BY_NAME and name not in (*self.metrics, "accuracy"):
            return f"; give fit metrics=[{name!r}]"
        return texts.did_you_mean(self.monitor, self.metrics)

    def _improved(self, epoch: int, logs: Logs) -> bool:
        """Return whether the metric is better than the best so far, and keep it if it is."""
        value = logs[self.monitor]
        if not self._sign * value < self._sign * self.best - self.min_delta:
            return False
        self.best, self.best_epoch = value, epoch
        return True

    def get_state(self) -> dict[str, Any]:
        """Return the best metric and its epoch."""
        return {"best": self.best, "best_epoch": self.best_epoch}

    def set_state(self, state: dict[str, Any]) -> None:
        """Take the best metric and its epoch."""
        self.best, self.best_epoch = float(state["best"]), int(state["best_epoch"])


class EarlyStopping(_Monitor):
    """End training if a metric has not improved for some epochs.

    Parameters
    ----------
    monitor : str, default "val_loss"
        The metric.
    patience : int, default 0
        After how many epochs in a row without improvement training ends; 0 is the same as 1.
    min_delta : float, default 0.0
        The least change that counts as an improvement; 0 or more.
    mode : {"auto", "min", "max"}, default "auto"
        Whether smaller or larger is better; "auto" knows it of loss, accuracy and the metrics of
        `cnn.metrics`.
    restore_best_weights : bool, default False
        Whether the network ends with the weights of the epoch with the best metric, rather than
        those of the last. This also holds if all epochs have run. The state of the optimizer stays
        that of the last epoch.

    Attributes
    ----------
    best : float
        The best metric so far.
    best_epoch : int
        Its epoch.
    wait : int
        For how many epochs there has been no improvement.
    stopped_epoch : int
        The epoch after which training was ended, or 0.

    Raises
    ------
    TypeError, ValueError
        If an argument is of a wrong type or out of range; from fit, before training begins, if it
        does not measure the metric, or mode is "auto" and the metric a function of your own.

    Examples
    --------
    >>> import cnn
    >>> net = cnn.Sequential([cnn.Dense(1, 1, init="zeros")], rng=0)
    >>> stop = cnn.EarlyStopping("loss", patience=2, min_delta=0.01)
    >>> stop
    EarlyStopping('loss', patience=2, min_delta=0.01)
    >>> history = net.fit([[1.0]], [1.0], epochs=100, optimizer=cnn.SGD(0.5), callbacks=[stop])
    >>> stop.stopped_epoch, stop.best_epoch
    (4, 2)
    """

    @hinted("EarlyStopping")
    def __init__(
        self,
        monitor: str = "val_loss",
        *,
        patience: int = 0,
        min_delta: float = 0.0,
        mode: Mode = "auto",
        restore_best_weights: bool = False,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.patience: int = checks.integer("EarlyStopping", "patience", patience, 0)
        self.restore_best_weights: bool = checks.flag(
            "EarlyStopping", "restore_best_weights", restore_best_weights
        )
        self.wait: int = 0
        self.stopped_epoch: int = 0
        self._best_weights: list[NDArray[Any]] | None = None

    def on_train_begin(self) -> None:
        """Reset the state."""
        self._begin()
        self.wait = 0
        self.stopped_epoch = 0
        self._best_weights = None

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Compare the metric with the best so far."""
        if self._improved(epoch, logs):
            self.wait = 0
            if self.restore_best_weights:
                self._best_weights = self.model.get_weights()
            return
        self.wait += 1
        if self.wait >= self.patience:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs) -> None:
        """Restore the best weights, if `restore_best_weights` is set."""
        if self._best_weights is not None:
            self.model.set_weights(self._best_weights)
            self._best_weights = None

    def get_state(self) -> dict[str, Any]:
        """Return the attributes that change, and the best weights."""
        return super().get_state() | {
            "wait": self.wait,
            "stopped_epoch": self.stopped_epoch,
            "best_weights": self._best_weights,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Take the state that `get_state` has returned."""
        super().set_state(state)
        self.wait, self.stopped_epoch = int(state["wait"]), int(state["stopped_epoch"])
        self._best_weights = state["best_weights"]

    def __getstate__(self) -> dict[str, Any]:
        # The best weights belong to a fit that is running or was interrupted.
        return self.__dict__ | {"_best_weights": None}


class ModelCheckpoint(_Monitor):
    """Save the network and its optimizer after each epoch, or after the best ones.

    The files can be read by `cnn.load` and, with the optimizer, by `cnn.load_checkpoint`.

    Parameters
    ----------
    path : str or os.PathLike
        The file. It may have fields of `str.format`, such as "model-{epoch:03d}.safetensors" or
        "{val_loss:.4f}.safetensors"; braces in names are written twice. A file that exists is
        replaced.
    monitor : str, default "val_loss"
        The metric that `save_best_only` compares.
    save_best_only : bool, default False
        Whether only an epoch that is better than all before it is saved.
    mode : {"auto", "min", "max"}, default "auto"
        Whether smaller or larger is better; "auto" knows it of loss, accuracy and the metrics of
        `cnn.metrics`.

    Attributes
    ----------
    best : float
        The best metric so far.
    best_epoch : int
        Its epoch.

    Raises
    ------
    TypeError, ValueError
        If an argument is of a wrong type or out of range; from fit, before training begins, if it
        does not measure the metric or one that is in the path.
    OSError
        From fit, if a file cannot be written; before training begins, if its folder does not exist.

    Examples
    --------
    >>> import cnn, os, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> net = cnn.Sequential([cnn.Dense(1, 1)], rng=0)
    >>> checkpoint = cnn.ModelCheckpoint(os.path.join(folder.name, "{epoch:02d}.safetensors"))
    >>> history = net.fit([[1.0]], [1.0], epochs=2, callbacks=[checkpoint])
    >>> sorted(os.listdir(folder.name))
    ['01.safetensors', '02.safetensors']
    >>> folder.cleanup()
    """

    @hinted("ModelCheckpoint")
    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        monitor: str = "val_loss",
        save_best_only: bool = False,
        mode: Mode = "auto",
    ) -> None:
        super().__init__(monitor, mode, 0.0)
        checks.path("ModelCheckpoint", path)
        self.path: str = os.fspath(
            formats.destination("ModelCheckpoint", path, "a safetensors file")
        )
        self.save_best_only: bool = checks.flag("ModelCheckpoint", "save_best_only", save_best_only)

    def _path(self, epoch: int, logs: Logs) -> str:
        try:
            return self.path.format(epoch=epoch, **logs)
        except (KeyError, IndexError, ValueError, AttributeError) as error:
            raise ValueError(
                f"fit: ModelCheckpoint has path {self.path!r}, whose fields should be epoch or one "
                f"of {', '.join(self.metrics)}"
            ) from error

    def on_train_begin(self) -> None:
        """Reset the state, and refuse a path with unknown fields or a missing folder."""
        if self.save_best_only:
            self._begin()
        folder = os.path.dirname(self._path(1, dict.fromkeys(self.metrics, 0.5)))
        if folder and not os.path.isdir(folder):
            raise FileNotFoundError(
                errno.ENOENT,
                f"fit: ModelCheckpoint has path {self.path!r}, whose folder does not exist",
                folder,
            )

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Save the network and the optimizer."""
        if not self.save_best_only or self._improved(epoch, logs):
            self.model.save(self._path(epoch, logs), optimizer=self.optimizer)


class LambdaCallback(Callback):
    """A callback made of functions.

    Parameters
    ----------
    on_train_begin : callable, optional
        Called as ``on_train_begin()``.
    on_train_end : callable, optional
        Called as ``on_train_end(logs)``.
    on_epoch_begin : callable, optional
        Called as ``on_epoch_begin(epoch)``.
    on_epoch_end : callable, optional
        Called as ``on_epoch_end(epoch, logs)``.

    Raises
    ------
    TypeError
        If an argument cannot be called.

    Examples
    --------
    >>> import cnn
    >>> net = cnn.Sequential([cnn.Dense(1, 1)], rng=0)
    >>> show = cnn.LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, sorted(logs)))
    >>> history = net.fit([[1.0]], [1.0], callbacks=[show])
    1 ['loss', 'lr', 'seconds']
    """

    def __init__(
        self,
        *,
        on_train_begin: Callable[[], Any] | None = None,
        on_train_end: Callable[[Logs], Any] | None = None,
        on_epoch_begin: Callable[[int], Any] | None = None,
        on_epoch_end: Callable[[int, Logs], Any] | None = None,
    ) -> None:
        given = {
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
        }
        for name, function in given.items():
            if function is None:
                continue
            if not callable(function):
                raise TypeError(
                    f"LambdaCallback: {name} is of type {type(function).__name__}, should be a "
                    f"function"
                )
            setattr(self, name, function)
