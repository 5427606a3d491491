"""Lines: metrics by epoch, norms of gradients by layer, activation functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cnn import _core, functional
from cnn import activations as activations_
from cnn._base import checks
from cnn._base.activations import TABLE
from cnn._base.numbers import rounded
from cnn.history import History
from cnn.plot import _arguments, _axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

    from cnn._base.choices import LossName
    from cnn.activations import Activation
    from cnn.losses import Loss
    from cnn.sequential import Sequential


# The labels of metrics with short names, and whether they are measured on training rows.
_METRICS = {"lr": ("learning rate", False), "seconds": ("seconds of an epoch", False)}
# With more lines, there is no room for a legend among them.
_MOST_NAMES = 4


def learning_curves(history: History, *, metric: str = "loss", ax: Axes | None = None) -> Axes:
    """Draw a metric of training and validation, epoch by epoch.

    The best epoch of the validation is marked.

    Parameters
    ----------
    history : History
        What `cnn.Sequential.fit` returned.
    metric : str, default "loss"
        The metric, such as "accuracy". If the history also has "val_" and this name, both are
        drawn.
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
    >>> net = cnn.mlp([1, 8, 1], "tanh", "identity", rng=0)
    >>> history = net.fit([[0.0], [1.0]], [0.0, 1.0], epochs=20)
    >>> cnn.plot.learning_curves(history).figure.savefig("loss.png")  # doctest: +SKIP
    """
    where = "learning_curves"
    if not isinstance(history, History):
        raise TypeError(
            f"{where}: history is of type {type(history).__name__}, should be the cnn.History that "
            f"fit returned"
        )
    if not history.epoch:
        raise ValueError(f"{where}: history has no epochs, should have at least 1")
    checks.choice(where, "metric", metric, [name for name in history if name[:4] != "val_"])
    ax = _axes.one(where, ax, (6.4, 4.0))
    # A line through one point would not be visible.
    marker = "o" if len(history) == 1 else ""
    values = history[metric]
    label, is_of_rows = _METRICS.get(metric, (metric, True))
    ax.plot(
        history.epoch,
        values,
        color=_axes.BLUE,
        marker=marker,
        label="training" if is_of_rows else None,
    )
    validation = f"val_{metric}"
    if validation in history:
        values = history[validation]
        ax.plot(history.epoch, values, color=_axes.VERMILION, marker=marker, label="validation")
        best = int(np.argmax(values) if metric.endswith("accuracy") else np.argmin(values))
        epoch, value = history.epoch[best], values[best]
        ax.plot(
            epoch,
            value,
            "o",
            color=_axes.VERMILION,
            markeredgecolor="white",
            markersize=8,
            label=f"best validation: {rounded(value, 4)} in epoch {epoch}",
        )
    ax.set_xlabel("epoch")
    _axes.as_text([ax.set_ylabel(_axes.shown(label))])
    ax.xaxis.set_major_locator(_axes.whole_numbers(where))
    if is_of_rows:
        # Accuracies rise, losses fall.
        _axes.legend(ax, "lower right" if metric.endswith("accuracy") else "upper right")
    _axes.tidy(ax)
    return ax


def gradient_norms(
    net: Sequential,
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
    net : Sequential
        The network.
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
    >>> for name in ("sigmoid", "relu"):  # doctest: +SKIP
    ...     net = cnn.mlp(deep, name, "softmax", rng=0)
    ...     ax = cnn.plot.gradient_norms(net, x, t, label=name, ax=ax)
    """
    where = "gradient_norms"
    _arguments.network(where, net)
    _, gradients = net.gradients(x, t, loss=loss)
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
    colour, dashes = _axes.style(count)
    ax.set_yscale("log")
    shown = np.where(norms > 0, norms, np.nan)
    ax.plot(layers, shown, marker="o", color=colour, linestyle=dashes, label=label)
    if (norms == 0).any():
        none = [layer for layer, norm in zip(layers, norms, strict=True) if norm == 0]
        ax.plot(
            none,
            np.zeros(len(none)),
            marker="x",
            linestyle="",
            color=colour,
            clip_on=False,
            transform=ax.get_xaxis_transform(),
            label=f"{label}: 0" if label else None,
        )
    ax.set_xlabel("layer, from input to output")
    ax.set_ylabel("norm of the gradient of the weights")
    ax.xaxis.set_major_locator(_axes.whole_numbers(where))
    if label is not None:
        _axes.legend(ax, "lower right")
    _axes.tidy(ax)
    # If all norms are in one decade, only minor ticks have grid lines.
    ax.grid(visible=True, which="minor", axis="y", color=_axes.PALE, linewidth=0.3)
    return ax


def activations(
    names: Sequence[Activation] = ("step", "sigmoid", "relu"),
    *,
    limits: tuple[float, float] = (-4.0, 4.0),
    ax: Sequence[Axes] | NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Draw activation functions, and beside them their derivatives.

    Parameters
    ----------
    names : sequence, default ("step", "sigmoid", "relu")
        The activations, as names or as objects of `cnn.activations`; all but softmax, which is no
        function of one number.
    limits : tuple of float, default (-4, 4)
        The smallest and the largest x.
    ax : sequence of two matplotlib.axes.Axes, optional
        Where to draw functions and derivatives; a new figure by default.

    Returns
    -------
    ndarray of matplotlib.axes.Axes, shape (2,)
        `ax`, or the new ones.

    Raises
    ------
    TypeError, ValueError
        If an argument is of a wrong type or out of range.
    ImportError
        If matplotlib is missing.

    Examples
    --------
    >>> import cnn.plot
    >>> axes = cnn.plot.activations(["tanh", "relu", "gelu"])  # doctest: +SKIP
    """
    where = "activations"
    if isinstance(names, str) or not hasattr(names, "__iter__"):
        raise TypeError(f"{where}: names is of type {type(names).__name__}, should be a list")
    options = [name for name in TABLE if name != "softmax"]
    found = [
        activations_.checked(where, f"names[{i}]", name, options) for i, name in enumerate(names)
    ]
    if not found:
        raise ValueError(f"{where}: names is empty, should have at least one activation")
    if not isinstance(limits, (tuple, list)) or len(limits) != 2:
        raise TypeError(f"{where}: limits is {limits!r}, should be a tuple of two numbers")
    low, high = (
        checks.real(where, f"limits[{i}]", limit, low=-1e6) for i, limit in enumerate(limits)
    )
    if low >= high:
        raise ValueError(f"{where}: limits is {limits}, should be a smaller and a larger number")
    width = 9.0 if len(found) <= _MOST_NAMES else 10.5
    axes = _axes.several(where, ax, 2, (width, 3.8), columns=2)
    if axes.size < 2:
        raise ValueError(f"{where}: ax has {axes.size} Axes, should have 2")
    x = np.linspace(low, high, 1001)
    for i, (name, alpha) in enumerate(found):
        activation = activations_.spelled(name, alpha)
        slope = functional.activation_backward(activation, np.ones_like(x), x=x)
        colour, dashes = _axes.style(i)
        y = _core.activation(name, x, None, alpha)
        for axis, values in zip(axes, (y, slope), strict=False):
            axis.plot(x, values, color=colour, linestyle=dashes, linewidth=2, label=str(activation))
    for axis, title in zip(axes, ("activation h(x)", "derivative h'(x)"), strict=False):
        axis.set_title(title)
        axis.set_xlabel("x")
        axis.axhline(0, color=_axes.GREY, linewidth=0.8, zorder=1)
        axis.axvline(0, color=_axes.GREY, linewidth=0.8, zorder=1)
        _axes.tidy(axis)
    if ax is None and len(found) > _MOST_NAMES:
        axes[1].legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    else:
        _axes.legend(axes[0], "upper left")
    return axes
