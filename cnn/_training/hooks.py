"""The methods that fit calls during training: the base of `cnn.Callback`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

Logs: TypeAlias = "Mapping[str, float]"


class Hooks:
    """The methods that fit calls, which do nothing, and the attributes that it sets."""

    model: Any
    optimizer: Any
    metrics: tuple[str, ...]

    def on_train_begin(self) -> None:
        """Act before the first epoch; the network is as it was given."""

    def on_train_end(self, logs: Logs) -> None:
        """Act after the last epoch, unless training ended by an exception."""

    def on_epoch_begin(self, epoch: int) -> None:
        """Act before an epoch."""

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Act after an epoch and its validation; `logs` has the metrics."""


def checked_callbacks(where: str, callbacks: object) -> list[Hooks]:
    """Return fit's callbacks as a list."""
    if isinstance(callbacks, Hooks):
        return [callbacks]
    if not isinstance(callbacks, Iterable):
        raise TypeError(
            f"{where}: callbacks is of type {type(callbacks).__name__}, should be a list of "
            f"callbacks"
        )
    found = list(callbacks)
    for i, callback in enumerate(found):
        if not isinstance(callback, Hooks):
            raise TypeError(
                f"{where}: callbacks[{i}] is of type {type(callback).__name__}, should be a "
                f"cnn.Callback"
            )
    return found
