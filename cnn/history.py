"""The History of a call of fit."""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any, SupportsIndex, overload

from cnn._base import extras, html
from cnn._base.numbers import rounded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Self

    from pandas import DataFrame

__all__ = ["History"]

# The width and the height of a curve in a notebook, and the most points of it.
_WIDTH, _HEIGHT, _POINTS = 120, 24, 240


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

    A whole number in brackets is the place of an epoch: ``history[-1]`` is a dict of the metrics of
    the last one, and ``history[-5:]`` a History of the last five.

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
    >>> history[-1]["loss"] == history.loss[-1]
    True
    >>> history[1:].epoch
    [2]
    """

    def __init__(self) -> None:
        self.epoch: list[int] = []
        self.history: dict[str, list[float]] = {}

    def append(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Add the metrics of an epoch; fit calls it.

        A metric that some epochs do not have is NaN in them.

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
        for name in logs:
            if name not in self.history:
                self.history[name] = [math.nan] * len(self.epoch)
        for name, values in self.history.items():
            values.append(logs.get(name, math.nan))
        self.epoch.append(epoch)

    def __getattr__(self, name: str) -> list[float]:
        # Only called if there is no such attribute. Copying calls it before __init__ has run.
        history: dict[str, list[float]] = self.__dict__.get("history", {})
        if name in history:
            return history[name]
        there = ", ".join(history) or "nothing yet"
        raise AttributeError(f"History has no {name!r}; it has {there}", name=name, obj=self)

    @overload
    def __getitem__(self, key: str) -> list[float]: ...
    @overload
    def __getitem__(self, key: SupportsIndex) -> dict[str, float]: ...
    @overload
    def __getitem__(self, key: slice) -> Self: ...
    def __getitem__(self, key: str | SupportsIndex | slice) -> Any:
        if isinstance(key, str):
            if key not in self.history:
                raise KeyError(f"{key}; there is {', '.join(self.history) or 'nothing yet'}")
            return self.history[key]
        if isinstance(key, slice):
            found = type(self)()
            found.epoch = self.epoch[key]
            found.history = {name: values[key] for name, values in self.history.items()}
            return found
        try:
            place = operator.index(key)
        except TypeError:
            raise TypeError(
                f"History: the key is of type {type(key).__name__}, should be the name of a "
                f"metric, the place of an epoch, or a slice of places"
            ) from None
        if not -len(self) <= place < len(self):
            raise IndexError(f"History: there is no place {place}, it has {_epochs(len(self))}")
        return {name: values[place] for name, values in self.history.items()}

    def __iter__(self) -> Iterator[str]:
        return iter(self.history)

    def __contains__(self, name: object) -> bool:
        return name in self.history

    def __len__(self) -> int:
        return len(self.epoch)

    def keys(self) -> list[str]:
        """Return the names of the metrics.

        Returns
        -------
        list of str
            The names, as attributes and in brackets.

        Examples
        --------
        >>> import cnn
        >>> net = cnn.Sequential([cnn.Dense(1, 1, init="zeros")], rng=0)
        >>> net.fit([[0.0]], [0.0]).keys()
        ['loss', 'lr', 'seconds']
        """
        return list(self.history)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as a dict of lists of plain numbers, ready for JSON or a data frame.

        Returns
        -------
        dict of str to list
            The numbers of the epochs as "epoch", and each metric by its name.

        Examples
        --------
        >>> import cnn
        >>> net = cnn.Sequential([cnn.Dense(1, 1, init="zeros")], rng=0)
        >>> sorted(net.fit([[0.0]], [0.0]).to_dict())
        ['epoch', 'loss', 'lr', 'seconds']
        """
        return {"epoch": list(self.epoch)} | {name: list(v) for name, v in self.history.items()}

    def to_frame(self) -> DataFrame:
        """Return a data frame of pandas: a row for each epoch, a column for each metric.

        Returns
        -------
        pandas.DataFrame
            Its index, named "epoch", has the numbers of the epochs.

        Raises
        ------
        ImportError
            If pandas is missing.

        Examples
        --------
        >>> import cnn
        >>> net = cnn.Sequential([cnn.Dense(1, 1, init="zeros")], rng=0)
        >>> history = net.fit([[1.0]], [1.0], epochs=2, optimizer=cnn.SGD(0.1))
        >>> frame = history.to_frame()
        >>> list(frame.columns), list(frame.index)
        (['loss', 'lr', 'seconds'], [1, 2])
        """
        pandas = extras.require("History.to_frame", "pandas")
        return pandas.DataFrame(self.history, index=pandas.Index(self.epoch, name="epoch"))

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.history]

    def __repr__(self) -> str:
        if not self.epoch:
            return "History(no epochs)"
        last = ", ".join(f"{name} {rounded(value, 4)}" for name, value in self[-1].items())
        return f"History({_epochs(len(self))}; in the last, {last})"

    def _repr_html_(self) -> str:
        if not self.epoch:
            return html.block("History", "no epochs")
        first, last = self.epoch[0], self.epoch[-1]
        numbers = f"epoch {first}" if first == last else f"epochs {first} to {last}"
        rows = [
            (name, rounded(values[-1], 4), *_range(values), _curve(values))
            for name, values in self.history.items()
        ]
        table = html.table(["metric", "last", "lowest", "highest", ""], rows, right=[1, 2, 3])
        return html.block(f"History: {_epochs(len(self))}", numbers, table)


def _epochs(count: int) -> str:
    return f"{count} epoch" + ("s" if count != 1 else "")


def _range(values: Sequence[float]) -> tuple[str, str]:
    """Return the smallest and the largest number as text, NaN only if there is no other."""
    known = [value for value in values if not math.isnan(value)] or [math.nan]
    return rounded(min(known), 4), rounded(max(known), 4)


def _curve(values: Sequence[float]) -> html.Markup:
    """Return a small curve of a metric, as SVG; nothing if it has less than two finite numbers."""
    count = len(values)
    step = max(1, -(-count // _POINTS))
    places = sorted({*range(0, count, step), count - 1})
    points = [(place, values[place]) for place in places if math.isfinite(values[place])]
    if len(points) < 2:
        return html.Markup()
    # Halves: the difference of two finite numbers may not be finite.
    halves = [value / 2 for _, value in points]
    low, span = min(halves), (max(halves) - min(halves)) or 1.0
    line = " ".join(
        f"{2 + (_WIDTH - 4) * place / (count - 1):.1f},"
        f"{_HEIGHT - 2 - (_HEIGHT - 4) * ((half - low) / span):.1f}"
        for (place, _), half in zip(points, halves, strict=True)
    )
    return html.Markup(
        f'<svg width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="curve"><polyline points="{line}" fill="none" stroke="currentColor" '
        f'stroke-width="1.5"/></svg>'
    )
