"""The methods that fit calls during training: the base of `cnn.Callback`."""

from __future__ import annotations

import inspect
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
        """Act after the last epoch, unless training ended by an exception.

        Parameters
        ----------
        logs : dict of str to float
            The metrics of the last epoch.
        """

    def on_epoch_begin(self, epoch: int) -> None:
        """Act before an epoch.

        Parameters
        ----------
        epoch : int
            Its number, counted from 1 over the life of the network.
        """

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Act after an epoch and its validation.

        Parameters
        ----------
        epoch : int
            Its number.
        logs : dict of str to float
            Its metrics.
        """

    def get_state(self) -> dict[str, Any]:
        """Return what must be kept for training to go on in another process.

        `cnn.distributed.fit` saves it in its checkpoints, after `on_epoch_end`.

        Returns
        -------
        dict of str
            Values that JSON has: numbers, texts, True, False, None, and lists and dicts of such;
            or lists of arrays. By default nothing.

        Examples
        --------
        >>> import cnn
        >>> cnn.Callback().get_state()
        {}
        """
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """Take the state that `get_state` has returned in another process.

        It is called after `on_train_begin`.

        Parameters
        ----------
        state : dict of str
            The state.

        Examples
        --------
        >>> import cnn
        >>> callback = cnn.Callback()
        >>> callback.set_state(callback.get_state())
        """

    def __repr__(self) -> str:
        """Return the call that makes it, as far as attributes have the names of parameters.

        Parameters by keyword only are left out if they have their defaults.
        """
        has, words = vars(self), []
        for name, parameter in inspect.signature(type(self)).parameters.items():
            if name not in has:
                continue
            by_keyword = parameter.kind is parameter.KEYWORD_ONLY
            text, default = _word(has[name]), _word(parameter.default)
            if not by_keyword:
                words.append(text)
            elif text != default:
                words.append(f"{name}={text}")
        return f"{type(self).__name__}({', '.join(words)})"


def _word(value: object) -> str:
    """Return the name of a function or a class, and the repr of all else."""
    name = getattr(value, "__qualname__", None) if callable(value) else None
    return repr(value) if name is None else str(name)


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
        if isinstance(callback, type) and issubclass(callback, Hooks):
            name = callback.__name__
            raise TypeError(
                f"{where}: callbacks[{i}] is the class {name}, should be an object: {name}(...)"
            )
        if not isinstance(callback, Hooks):
            raise TypeError(
                f"{where}: callbacks[{i}] is of type {type(callback).__name__}, should be a "
                f"cnn.Callback"
            )
    return found
