"""Images: samples with the predictions of a network, and the weights of its first layer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn import _core, losses
from cnn._base import checks
from cnn.layers import Dense
from cnn.plot import _arguments, _axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

    from cnn.plot._arguments import Network


# The images of a row.
_MOST_COLUMNS = 10
# The most letters of a name that are shown.
_LONGEST = 18


# ---- Samples -----------------------------------------------------------------------------------


def predictions(
    net: Network,
    x: ArrayLike,
    t: ArrayLike,
    shape: tuple[int, ...] = (28, 28),
    *,
    count: int = 8,
    class_names: Sequence[str] | None = None,
    ax: NDArray[Any] | Sequence[Axes] | None = None,
) -> NDArray[Any]:
    """Draw samples as images, and below each the predicted probabilities of the classes.

    The bar of the predicted class is blue if the prediction is right, and vermilion if it is wrong.
    If it is wrong, the bar of the true class is green, with a mark.

    Parameters
    ----------
    net : Sequential or estimator
        The network, or an estimator of `cnn.sklearn` that has one; its outputs are the
        probabilities of classes, by softmax, or that of class 1 of two, by sigmoid.
    x : array_like of shape (n, inputs)
        The samples, of which the first are drawn.
    t : array_like of shape (n,)
        Their class numbers; the labels, if an estimator is given.
    shape : tuple of int, default (28, 28)
        The height and the width of an image; 3 after them for one in colour.
    count : int, default 8
        How many samples to draw at most.
    class_names : sequence of str, optional
        The names of the classes; their numbers by default.
    ax : array of matplotlib.axes.Axes of shape (2, m), optional
        Where to draw at most m images and, below them, bars; a new figure by default.

    Returns
    -------
    ndarray of matplotlib.axes.Axes, shape (2, m)
        `ax`, or the new ones.

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
    >>> net = cnn.mlp([64, 50, 10], "relu", "softmax", rng=0)
    >>> history = net.fit(x, t, epochs=5)
    >>> axes = cnn.plot.predictions(net, x, t, (8, 8))
    """
    where = "predictions"
    source = net
    net = _arguments.network(where, net)
    shape = _arguments.image_shape(where, shape, net)
    binary = net.activation == "sigmoid" and net.outputs == 1
    if net.activation != "softmax" and not binary:
        raise ValueError(
            f"{where}: the output layer has activation {net.activation} and {net.outputs} outputs, "
            f"should have softmax, or sigmoid and one output"
        )
    count = checks.integer(where, "count", count, 1)
    samples = _core.numeric(where, "x", x)
    if samples.ndim != 2 or len(samples) == 0:
        raise ValueError(
            f"{where}: x has shape {samples.shape}, should be (n, {net.inputs}) with n at least 1"
        )
    classes = 2 if binary else net.outputs
    labels = _arguments.class_numbers(where, t, len(samples), source)[:count]
    losses.check_labels(where, labels, classes)
    names = _arguments.class_names(where, class_names, classes, source)
    samples = samples[:count]
    p = _arguments.probabilities(where, net.predict(samples))
    axes, firsts = _pairs(where, ax, len(samples), shape, names)
    for axis in axes[:, len(samples) :].flat:
        axis.set_axis_off()
    pictures = _pictures(samples, shape)
    for image, bars, picture, label, row in zip(*axes, pictures, labels, p, strict=False):
        _draw_prediction(image, bars, picture, int(label), row, names)
    for bars in axes[1, firsts]:
        bars.set_ylabel("class")
        bars.tick_params(labelleft=True)
    return axes


def _pairs(
    where: str, ax: object, count: int, shape: tuple[int, ...], names: list[str]
) -> tuple[NDArray[Any], list[int]]:
    """Return Axes in pairs, images above bars, and the numbers of the pairs that begin a row."""
    columns = min(count, _MOST_COLUMNS)
    rows = math.ceil(count / columns)
    image = 1.5 * min(max(shape[0] / shape[1], 0.3), 2.0)
    # Names of classes need room, unless there are too many to be shown.
    bars = max(1.4, 0.13 * len(names)) if len(names) <= _arguments.MOST_NAMED else 1.8
    longest = max(map(len, names)) if len(names) <= _arguments.MOST_NAMED else 3
    size = (1.5 * columns + 0.5 + 0.07 * min(longest, _LONGEST), rows * (image + bars + 0.8))
    axes = _axes.several(
        where, ax, 2 * rows * columns, size, columns=columns, heights=[image, bars] * rows
    )
    if axes.size % 2:
        raise ValueError(f"{where}: ax has {axes.size} Axes, should have two for each sample")
    if ax is not None:
        return axes.reshape(2, -1), [0]
    # A new figure has pairs of rows below each other.
    pairs = axes.reshape(rows, 2, columns).swapaxes(0, 1).reshape(2, -1)
    return pairs, list(range(0, count, columns))


def _pictures(samples: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Return samples as images; colours are to be from 0 to 1."""
    found = samples.reshape(-1, *shape)
    if len(shape) == 3 and (found.min() < 0 or found.max() > 1):
        found = (found - found.min()) / (found.max() - found.min())
    return found


def _draw_prediction(
    image: Axes, bars: Axes, picture: NDArray[Any], label: int, p: NDArray[Any], names: list[str]
) -> None:
    """Draw one sample and its probabilities."""
    guess = int(p.argmax())
    theme = _axes.theme(image)
    image.imshow(picture, cmap="gray" if theme.is_dark else "gray_r")
    _axes.no_ticks(image)
    right = guess == label
    text = f"{_axes.shown(names[guess], _LONGEST - 6)} ({p[guess]:.0%})"
    if not right:
        text += f"\ntruth: {_axes.shown(names[label], _LONGEST - 6)}"
    colour = theme.right if right else theme.wrong
    _axes.as_text([image.set_title(text, color=colour, fontsize=10)])
    colours = [theme.grid] * len(p)
    colours[label] = theme.truth
    colours[guess] = colour
    few = len(p) <= _arguments.MOST_NAMED
    # With many classes there is no gap between bars, since thinner ones would not be visible.
    bars.barh(range(len(p)), p, height=0.8 if few else 1.0, color=colours)
    if not right:
        # A bar for a probability near 0 would not be visible.
        x = p[label] + 0.06
        bars.plot(x, label, marker="<", markersize=5, color=theme.truth, clip_on=False)
    bars.set_xlim(0, 1)
    bars.set_xticks([0, 1])
    bars.set_xlabel("probability", fontsize=8)
    bars.set_ylim(len(p) - 0.5, -0.5)
    bars.tick_params(length=0, labelsize=8, labelleft=False)
    if few:
        bars.set_yticks(range(len(p)), [_axes.shown(name, _LONGEST) for name in names])
        _axes.as_text_ticks(bars.yaxis)
    bars.spines[["top", "right"]].set_visible(False)
    bars.spines[:].set_color(theme.grid)


# ---- Weights -----------------------------------------------------------------------------------


def first_layer_weights(
    net: Network,
    shape: tuple[int, ...] = (28, 28),
    *,
    count: int = 50,
    ax: NDArray[Any] | Sequence[Axes] | None = None,
) -> NDArray[Any]:
    """Draw the weights of each neuron of the first layer as an image.

    Red weights are above 0 and blue ones below; white is 0, or black on a dark background. All
    neurons have the same scale. Those of images in colour are drawn in their colours: grey is 0,
    lighter is above.

    Parameters
    ----------
    net : Sequential or estimator
        The network, or an estimator of `cnn.sklearn` that has one.
    shape : tuple of int, default (28, 28)
        The height and the width of the images that the network takes; 3 after them for colours.
    count : int, default 50
        How many neurons to draw at most.
    ax : array of matplotlib.axes.Axes, optional
        Where to draw, an Axes for each neuron; a new figure by default.

    Returns
    -------
    ndarray of matplotlib.axes.Axes, shape (m,)
        Those of `ax`, or the new ones, row by row.

    Raises
    ------
    TypeError, ValueError
        If an argument is of a wrong type or shape, or out of range.
    ImportError
        If matplotlib is missing.

    Examples
    --------
    >>> import cnn, cnn.plot
    >>> net = cnn.mlp([64, 20, 10], "relu", "softmax", rng=0)
    >>> axes = cnn.plot.first_layer_weights(net, (8, 8))
    """
    where = "first_layer_weights"
    net = _arguments.network(where, net)
    shape = _arguments.image_shape(where, shape, net)
    count = checks.integer(where, "count", count, 1)
    first = next(layer for layer in net.layers if isinstance(layer, Dense))
    weight = first.weight[:, :count]
    neurons = weight.shape[1]
    columns = min(neurons, _MOST_COLUMNS)
    rows = math.ceil(neurons / columns)
    tall = shape[0] / shape[1]
    height, width = 0.95 * min(max(tall, 0.2), 1.0), 0.95 * min(max(1 / tall, 0.3), 1.0)
    size = (width * columns + 1.1, max((height + 0.25) * rows + 0.1, 1.5))
    axes = _axes.several(where, ax, neurons, size, columns=columns)
    # A few large weights would otherwise make all others pale.
    limit = float(np.quantile(np.abs(weight), 0.995)) or 1.0
    drawn = None
    for axis in axes[neurons:]:
        axis.set_axis_off()
    for i, (axis, column) in enumerate(zip(axes, weight.T, strict=False)):
        picture = column.reshape(shape)
        if len(shape) == 3:
            axis.imshow(np.clip(0.5 + picture / (2 * limit), 0, 1))
        else:
            drawn = axis.imshow(picture, cmap=_axes.two_sided(axis), vmin=-limit, vmax=limit)
        axis.set_title(f"{i}", fontsize=7, pad=2)
        _axes.no_ticks(axis)
    if ax is None and drawn is not None:
        axes[0].figure.colorbar(drawn, ax=list(axes), label="weight", extend="both")
    return axes
