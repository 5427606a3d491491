"""The History of a call of fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cnn._base.numbers import rounded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["History"]


class History:
    """The metrics of a call of fit, epoch by epoch.

    Each metric is a list with a number for each epoch, available as an attribute or by its name in
    brackets:

    - ``loss``: the weighted mean over the rows of the losses of the batches, each before its step,
      L2 penalties included;
    - ``accuracy``: the share of rows that were classified correctly; only with a cross-entropy;
    - ``val_loss`` and ``val_accuracy``: the same of the validation data after the epoch;
    - ``lr``: the learning rate of the epoch's last step;
    - ``seconds``: how long the epoch took, validation included.

    Attributes
    ----------
    epoch : list of int
        The numbers of the epochs, counted from 1 over the life of the network.
    history : dict of str to list of float
        The metrics by name.

    Examples
    --------
    >>> import cnn
    >>> net = cnn.Sequential([cnn.Dense(1, 1, init="zeros")], rng=0)
    >>> history = net.fit([[0.0], [1.0]], [0.0, 1.0], epochs=2, optimizer=cnn.SGD(0.5))
    >>> history.epoch
    [1, 2]
    >>> history.loss == history["loss"]
    True
    >>> len(history), list(history)
    (2, ['loss', 'lr', 'seconds'])
    """

    def __init__(self) -> None:
        self.epoch: list[int] = []
        self.history: dict[str, list[float]] = {}

    def append(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Add the metrics of an epoch; fit calls it.

        Parameters
        ----------
        epoch : int
            Its number.
        logs : dict of str to float
            Its metrics.

        Examples
        --------
        >>> import cnn
        >>> history = cnn.History()
        >>> history.append(1, {"loss": 0.5})
        >>> history.loss
        [0.5]
        """
        self.epoch.append(epoch)
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)

    def __getattr__(self, name: str) -> list[float]:
        # Only called if there is no such attribute. Copying calls it before __init__ has run.
        history: dict[str, list[float]] = self.__dict__.get("history", {})
        if name in history:
            return history[name]
        there = ", ".join(history) or "nothing yet"
        raise AttributeError(f"History has no {name!r}; it has {there}")

    def __getitem__(self, name: str) -> list[float]:
        if name not in self.history:
            raise KeyError(f"{name}; there is {', '.join(self.history) or 'nothing yet'}")
        return self.history[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.history)

    def __contains__(self, name: object) -> bool:
        return name in self.history

    def __len__(self) -> int:
        return len(self.epoch)

    def keys(self) -> list[str]:
        """Return the names of the metrics."""
        return list(self.history)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as a dict of lists of plain numbers, ready for JSON or a data frame.

        Examples
        --------
        >>> import cnn
        >>> net = cnn.Sequential([cnn.Dense(1, 1, init="zeros")], rng=0)
        >>> sorted(net.fit([[0.0]], [0.0]).to_dict())
        ['epoch', 'loss', 'lr', 'seconds']
        """
        return {"epoch": list(self.epoch)} | {name: list(v) for name, v in self.history.items()}

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.history]

    def __repr__(self) -> str:
        if not self.epoch:
            return "History(no epochs)"
        last = ", ".join(
            f"{name} {rounded(values[-1], 4)}" for name, values in self.history.items()
        )
        count = f"{len(self)} epoch" + ("s" if len(self) != 1 else "")
        return f"History({count}; in the last, {last})"
