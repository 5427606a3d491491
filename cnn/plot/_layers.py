"""The outputs of each layer on samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cnn import _core
from cnn._base import checks
from cnn.layers import Dense
from cnn.plot import _arguments, _axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

    from cnn.plot._arguments import Network

# The plots of a row.
_MOST_COLUMNS = 4
# About how wide a letter of a title is, in points, less the room between two plots.
_LETTER = 4.0
# Below the first output and above the second, the derivative of the activation is nearly 0, so that
# little is learnt.
_SATURATED = {"sigmoid": (0.01, 0.99), "tanh": (-0.99, 0.99), "hard_sigmoid": (0.0, 1.0)}


def activation_histograms(
    net: Network,
    x: ArrayLike,
    *,
    bins: int = 50,
    limits: tuple[float, float] | None = None,
    ax: NDArray[Any] | Sequence[Axes] | None = None,
) -> NDArray[Any]:
    """Draw how the outputs of each layer are distributed on samples.

    Outputs that are exactly 0, as half of those of ReLU may be, are left out of the histogram; the
    title has their share, and how many neurons are 0 for all samples and so learn nothing. Of
    sigmoid and tanh it has the share of outputs that are saturated, within 0.01 of a limit.

    Parameters
    ----------
    net : Sequential or estimator
        The network, or an estimator of `cnn.sklearn` that has one.
    x : array_like of shape (n, inputs)
        The samples.
    bins : int, default 50
        The number of bars of a histogram.
    limits : tuple of float, optional
        The smallest and the largest output that is drawn, the same for all layers, so that they can
        be compared. By default each layer has its own.
    ax : array of matplotlib.axes.Axes, optional
        Where to draw, an Axes for each dense layer; a new figure by default.

    Returns
    -------
    ndarray of matplotlib.axes.Axes, shape (m,)
        Those of `ax`, or the new ones, one for each dense layer; those that remain are empty.

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
    >>> net = cnn.mlp([64, 50, 50, 10], "relu", "softmax", rng=0)
    >>> axes = cnn.plot.activation_histograms(net, x)
    """
    where = "activation_histograms"
    net = _arguments.network(where, net)
    bins = checks.integer(where, "bins", bins, 1, 1000)
    span = None if limits is None else _arguments.limits(where, limits, -1e30, 1e30)
    samples = _core.numeric(where, "x", x)
    if samples.ndim != 2 or len(samples) == 0 or samples.shape[1] != net.inputs:
        raise ValueError(
            f"{where}: x has shape {samples.shape}, should be (n, {net.inputs}) with n at least 1"
        )
    checks.within(where, "x", samples, dtype=net.dtype)
    outputs = zip(net.layers, net.activations(samples), strict=True)
    layers = [(i, layer, y) for i, (layer, y) in enumerate(outputs) if isinstance(layer, Dense)]
    columns = min(len(layers), _MOST_COLUMNS)
    rows = -(-len(layers) // columns)
    axes = _axes.several(where, ax, len(layers), (2.9 * columns + 0.4, 2.6 * rows), columns=columns)
    if axes.size < len(layers):
        raise ValueError(
            f"{where}: ax has {axes.size} Axes, should have {len(layers)}, one for each layer"
        )
    for axis, (i, layer, values) in zip(axes, layers, strict=False):
        _draw_layer(axis, i, layer, values.astype(np.float64), bins, span)
    for axis in axes[len(layers) :]:
        axis.set_axis_off()
    for axis in axes[: len(layers)]:
        place = axis.get_subplotspec()
        if place is None or place.is_first_col():
            axis.set_ylabel("share of outputs")
    return axes


def _draw_layer(
    ax: Axes,
    place: int,
    layer: Dense,
    y: NDArray[np.float64],
    bins: int,
    span: tuple[float, float] | None,
) -> None:
    """Draw the histogram of a layer's outputs (n, outputs)."""
    zero = y == 0
    words = [f"{zero.mean():.0%} are 0"] if zero.any() else []
    dead = int(zero.all(axis=0).sum())
    if dead:
        words.append(f"{dead} of {layer.outputs} neurons always")
    limits = _SATURATED.get(str(layer.activation))
    if limits is not None:
        share = ((y <= limits[0]) | (y >= limits[1])).mean()
        words += [f"{share:.0%} are saturated"] if share else []
    shown = y[~zero]
    low, high = (float(shown.min()), float(shown.max())) if shown.size else (-0.5, 0.5)
    if span is not None:
        low, high = span
        ax.set_xlim(low, high)
    elif high - low < 1e-6 * max(abs(low), abs(high)):
        margin = 0.05 * abs(low) or 0.5
        low, high = low - margin, high + margin
    counts, edges = np.histogram(shown, bins, (low, high))
    theme = _axes.theme(ax)
    ax.stairs(counts / y.size, edges, fill=True, color=theme.right, alpha=0.85)
    said = ", ".join(words)
    if _LETTER * len(said) > ax.get_window_extent().width * 72 / ax.figure.dpi:
        said = ",\n".join(words)
    ax.set_title(f"layer {place}: {layer.activation}\n{said}", fontsize=9)
    ax.set_xlabel("output", fontsize=9)
    ax.tick_params(labelsize=8)
    if not shown.size:
        ax.set_ylim(0, 1)
    _axes.tidy(ax)
