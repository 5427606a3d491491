"""Lines of training: metrics by epoch, norms of gradients by layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from cnn._base import checks
from cnn._base.numbers import rounded
from cnn.history import History
from cnn.plot import _arguments, _axes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

    from cnn._base.choices import LossName
    from cnn.losses import Loss
    from cnn.plot._arguments import Network

    # A History, or an estimator, whose history_ it is.
    Run: TypeAlias = "History | _arguments.Recorded"

# The labels of metrics with short names, and whether they are measured on training rows.
_METRICS = {"lr": ("learning rate", False), "seconds": ("seconds of an epoch", False)}
# With more runs there is no legend.
_MOST_RUNS = 20


def learning_curves(
    history: Run | Mapping[str, Run] | Iterable[Run],
    *,
    metric: str = "loss",
    log: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """Draw a metric of training and validation, epoch by epoch.

    The best epoch of the validation is marked.

    Parameters
    ----------
    history : History or estimator, or a dict or list of them
        What `cnn.Sequential.fit` returned, or a fitted estimator of `cnn.sklearn`. Of several, each
        has a colour: training is drawn as a solid line, validation as a dashed one. The keys of a
        dict are the names in the legend.
    metric : str, default "loss"
        The metric, such as "accuracy". If the history also has ``val_`` and this name, both are
        drawn.
    log : bool, default False
        Whether the scale of the metric is logarithmic. Values that are not above 0 are then marked
        on the x axis.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        `ax`, or the new one.

    Raises
    ------
    TypeError, ValueError
        If `history` is no History or is empty, or has no such metric.
    ImportError
        If matplotlib is missing.

    Examples
    --------
    >>> import cnn, cnn.plot
    >>> runs = {}
    >>> for lr in (0.01, 0.1):
    ...     net = cnn.mlp([1, 8, 1], "tanh", "identity", rng=0)
    ...     runs[f"lr {lr}"] = net.fit([[0.0], [1.0]], [0.0, 1.0], epochs=20, optimizer=cnn.SGD(lr))
    >>> ax = cnn.plot.learning_curves(runs, log=True)
    """
    where = "learning_curves"
    runs, named = _runs(where, history)
    known = {name.removeprefix("val_"): None for _, run in runs for name in run}
    checks.choice(where, "metric", metric, list(known))
    for name, run in runs:
        if metric not in run and f"val_{metric}" not in run:
            raise ValueError(f"{where}: history {name!r} has no metric {metric!r}")
    log = checks.flag(where, "log", log)
    few = len(runs) <= _MOST_RUNS
    beside = ax is None and named and few
    ax = _axes.one(where, ax, (7.8 if beside else 6.4, 4.0))
    if log:
        ax.set_yscale("log")
    label, is_of_rows = _METRICS.get(metric, (metric, True))
    if named:
        _draw_runs(ax, runs, metric)
    else:
        _draw_one(ax, runs[0][1], metric, has_legend=is_of_rows)
    ax.set_xlabel("epoch")
    _axes.as_text([ax.set_ylabel(_axes.shown(label))])
    ax.xaxis.set_major_locator(_axes.whole_numbers(where))
    if not log:
        # A narrow range would have ticks such as 0.2 with +3.141e-3 above the axis.
        ax.ticklabel_format(axis="y", useOffset=False)
    if (is_of_rows or named) and few:
        # Accuracies rise, losses fall.
        rises = _arguments.higher_is_better(metric)
        inside = _axes.corner(ax, "lower right" if rises else "upper right")
        _axes.legend(ax, None if beside else inside)
    _axes.tidy(ax)
    return ax


def _draw_one(ax: Axes, run: History, metric: str, *, has_legend: bool) -> None:
    """Draw training and validation of one run in two colours."""
    theme = _axes.theme(ax)
    validation = f"val_{metric}"
    if metric in run:
        _draw(ax, run.epoch, run[metric], theme.right, "-", "training" if has_legend else None)
    if validation in run:
        _draw(ax, run.epoch, run[validation], theme.wrong, "-", "validation")
        _mark_best(ax, run.epoch, run[validation], metric, theme.wrong, in_legend=True)


def _draw_runs(ax: Axes, runs: list[tuple[str, History]], metric: str) -> None:
    """Draw each run in its colour: solid lines for training, dashed ones for the validation."""
    grey = _axes.theme(ax).grey
    validation = f"val_{metric}"
    both = any(metric in run and validation in run for _, run in runs)
    for (name, run), colour in zip(runs, _axes.colours_of_classes(ax, len(runs)), strict=True):
        if metric in run:
            _draw(ax, run.epoch, run[metric], colour, "-", name)
        if validation in run:
            # Without training, the validation is a run's only line.
            label = None if metric in run else name
            _draw(ax, run.epoch, run[validation], colour, "--" if both else "-", label)
            _mark_best(ax, run.epoch, run[validation], metric, colour, in_legend=False)
    if both:
        for label, dashes in (("training", "-"), ("validation", "--")):
            ax.plot([], [], dashes, color=grey, label=label)


def _runs(where: str, history: Any) -> tuple[list[tuple[str, History]], bool]:
    """Return the names and histories of runs, and whether there may be several."""
    one = isinstance(history, (History, str, bytes)) or not hasattr(history, "__iter__")
    if one:
        given = [("history", history)]
    elif isinstance(history, Mapping):
        given = [(str(name), run) for name, run in history.items()]
    else:
        given = [(f"run {i}", run) for i, run in enumerate(list(history), 1)]
    found = []
    for name, fitted in given:
        run = getattr(fitted, "history_", fitted)
        what = "history" if one else f"history {name!r}"
        if not isinstance(run, History):
            raise TypeError(
                f"{where}: {what} is of type {type(run).__name__}, should be the cnn.History that "
                f"fit returned, or a fitted estimator of cnn.sklearn"
            )
        if not run.epoch:
            raise ValueError(f"{where}: {what} has no epochs, should have at least 1")
        found.append((name, run))
    if not found:
        raise ValueError(f"{where}: history is empty, should have at least one History")
    return found, not one


def _draw(
    ax: Axes, epochs: list[int], values: list[float], colour: Any, dashes: str, label: str | None
) -> None:
    """Draw a metric, and mark what a logarithmic scale does not have."""
    # A line through one point would not be visible.
    marker = "o" if len(epochs) == 1 else ""
    numbers: NDArray[Any] = np.asarray(values, np.float64)
    off = numbers <= 0 if ax.get_yscale() == "log" else np.zeros(len(numbers), bool)
    shown = np.where(off, np.nan, numbers)
    ax.plot(epochs, shown, dashes, color=colour, marker=marker, label=label)
    if off.any():
        _axes.on_axis(ax, np.asarray(epochs)[off], colour)


def _mark_best(
    ax: Axes, epochs: list[int], values: list[float], metric: str, colour: Any, *, in_legend: bool
) -> None:
    """Mark the epoch with the best validation."""
    numbers = np.asarray(values, np.float64)
    if np.isnan(numbers).all():
        return
    best = int(
        np.nanargmax(numbers) if _arguments.higher_is_better(metric) else np.nanargmin(numbers)
    )
    if ax.get_yscale() == "log" and numbers[best] <= 0:
        return
    text = f"best validation: {rounded(values[best], 4)} in epoch {epochs[best]}"
    ax.plot(
        epochs[best],
        values[best],
        "o",
        color=colour,
        markeredgecolor=_axes.theme(ax).paper,
        markersize=8,
        label=text if in_legend else None,
    )


def gradient_norms(
    net: Network,
    x: ArrayLike,
    t: ArrayLike,
    *,
    loss: LossName | Loss | None = None,
    label: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the norm of the gradient of each layer's weights.

    If the norms fall from the output to the input by orders of magnitude, the first layers
    hardly learn. Call it again with the same `ax` to compare networks.

    Parameters
    ----------
    net : Sequential or estimator
        The network, or an estimator of `cnn.sklearn` that has one; then t is as the network takes
        it: class numbers.
    x, t, loss
        As for `cnn.Sequential.gradients`.
    label : str, optional
        The line's name in the legend. Without it, no legend is drawn.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        `ax`, or the new one. Its x axis has the places of the Dense layers in the network, its y
        axis is logarithmic; a norm of 0 is marked on the x axis.

    Raises
    ------
    TypeError, ValueError
        If an argument is of a wrong type or shape, or out of range.
    ImportError
        If matplotlib is missing.

    Examples
    --------
    >>> import cnn, cnn.plot
    >>> x, t = cnn.datasets.load_digits()
    >>> deep = [64, *[50] * 8, 10]
    >>> ax = None
    >>> for name in ("sigmoid", "relu"):
    ...     net = cnn.mlp(deep, name, "softmax", rng=0)
    ...     ax = cnn.plot.gradient_norms(net, x, t, label=name, ax=ax)
    """
    where = "gradient_norms"
    _, gradients = _arguments.network(where, net).gradients(x, t, loss=loss)
    layers = [i for i, gradient in enumerate(gradients) if gradient is not None]
    norms = np.array(
        [
            np.linalg.norm(gradient.weight.astype(np.float64))
            for gradient in gradients
            if gradient is not None
        ]
    )
    ax = _axes.one(where, ax, (6.4, 4.0))
    # Each call draws one line with this mark.
    count = sum(line.get_marker() == "o" for line in ax.lines)
    colour, dashes = _axes.style(ax, count)
    ax.set_yscale("log")
    shown = np.where(norms > 0, norms, np.nan)
    ax.plot(layers, shown, marker="o", color=colour, linestyle=dashes, label=label)
    if (norms == 0).any():
        none = [layer for layer, norm in zip(layers, norms, strict=True) if norm == 0]
        _axes.on_axis(ax, none, colour, f"{label}: 0" if label else None)
    ax.set_xlabel("layer, from input to output")
    ax.set_ylabel("norm of the gradient of the weights")
    ax.xaxis.set_major_locator(_axes.whole_numbers(where))
    if label is not None:
        _axes.legend(ax, "lower right")
    _axes.tidy(ax)
    # If all norms are in one decade, only minor ticks have grid lines.
    ax.grid(visible=True, which="minor", axis="y", color=_axes.theme(ax).grid, linewidth=0.3)
    return ax
