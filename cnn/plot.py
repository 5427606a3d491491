"""Pictures of training and networks, by matplotlib: ``pip install "cnn[plot]"``.

Each function draws into the Axes that ``ax=`` gives, or into those of a new figure, and returns
them: one, or an array where there is a picture for each neuron or sample. Nothing global is
changed, styles included. Colours are those of Okabe and Ito, which the colour-blind can tell apart.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn import _activations, _axes, _checks, _core, functional
from cnn.history import History
from cnn.layers import Dense
from cnn.sequential import Sequential

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

    from cnn.losses import Loss

__all__ = [
    "activations",
    "confusion_matrix",
    "first_layer_weights",
    "gradient_norms",
    "learning_curves",
    "predictions",
]

# No picture shows more classes; a matrix of more than a few has no room for numbers.
_MOST_CLASSES = 1000
_MOST_NUMBERED = 30


# ---- Training ----------------------------------------------------------------------------------


def learning_curves(history: History, *, metric: str = "loss", ax: Axes | None = None) -> Axes:
    """Draw a metric of training and validation, epoch by epoch.

    The best epoch of the validation is marked.

    Parameters
    ----------
    history : History
        What `cnn.Sequential.fit` returned.
    metric : str, default "loss"
        The metric, such as "accuracy"; "val_" and its name are drawn with it where there is one.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure where it is left out.

    Returns
    -------
    matplotlib.axes.Axes
        `ax`, or the new one.

    Raises
    ------
    TypeError, ValueError
        Where the history is none or empty, or has no such metric.
    ImportError
        Where matplotlib is missing.

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
    _checks.choice(where, "metric", metric, [name for name in history if name[:4] != "val_"])
    ax = _axes.one(where, ax, (6.4, 4.0))
    # A line through one point would not be seen.
    marker = "o" if len(history) == 1 else ""
    values = history[metric]
    ax.plot(history.epoch, values, color=_axes.BLUE, marker=marker, label="training")
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
            label=f"best validation: {value:.4g} in epoch {epoch}",
        )
    ax.set_xlabel("epoch")
    ax.set_ylabel(metric)
    ax.xaxis.set_major_locator(_axes.whole_numbers(where))
    ax.legend(frameon=False)
    _axes.tidy(ax)
    return ax


def gradient_norms(
    net: Sequential,
    x: ArrayLike,
    t: ArrayLike,
    *,
    loss: str | Loss | None = None,
    label: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the norm of the gradient of each layer's weights.

    Where the norms fall from the output to the input by orders of magnitude, the first layers
    hardly learn. Call it again with the same `ax` to compare networks.

    Parameters
    ----------
    net : Sequential
        The network.
    x, t, loss
        As for `cnn.Sequential.gradients`.
    label : str, optional
        The line's name in the legend, which is drawn where there is one.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure where it is left out.

    Returns
    -------
    matplotlib.axes.Axes
        `ax`, or the new one. Its x axis has the places of the Dense layers in the network, its y
        axis is logarithmic; a norm of 0 is marked on the x axis.

    Raises
    ------
    TypeError, ValueError
        Where an argument is of a wrong type or shape, or out of range.
    ImportError
        Where matplotlib is missing.

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
    _check_network(where, net)
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
        ax.legend(frameon=False)
    _axes.tidy(ax)
    # Norms of the same decade have no other lines.
    ax.grid(visible=True, which="minor", axis="y", color=_axes.PALE, linewidth=0.3)
    return ax


# ---- Functions ---------------------------------------------------------------------------------


def activations(
    names: Sequence[str] = ("step", "sigmoid", "relu"),
    *,
    limits: tuple[float, float] = (-4.0, 4.0),
    ax: Sequence[Axes] | NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Draw activation functions, and beside them their derivatives.

    Parameters
    ----------
    names : sequence of str, default ("step", "sigmoid", "relu")
        The activations; all but softmax, which is no function of one number.
    limits : tuple of float, default (-4, 4)
        From where to where.
    ax : sequence of two matplotlib.axes.Axes, optional
        Where to draw functions and derivatives; a new figure where it is left out.

    Returns
    -------
    ndarray of matplotlib.axes.Axes, shape (2,)
        `ax`, or the new ones.

    Raises
    ------
    TypeError, ValueError
        Where an argument is of a wrong type or out of range.
    ImportError
        Where matplotlib is missing.

    Examples
    --------
    >>> import cnn.plot
    >>> axes = cnn.plot.activations(["tanh", "relu", "gelu"])  # doctest: +SKIP
    """
    where = "activations"
    if isinstance(names, str) or not hasattr(names, "__iter__"):
        raise TypeError(f"{where}: names is of type {type(names).__name__}, should be a list")
    options = [name for name in _activations.TABLE if name != "softmax"]
    found = [_checks.choice(where, f"names[{i}]", name, options) for i, name in enumerate(names)]
    if not found:
        raise ValueError(f"{where}: names is empty, should have at least one activation")
    low, high = (
        _checks.real(where, f"limits[{i}]", limit, low=-1e6) for i, limit in enumerate(limits)
    )
    if low >= high:
        raise ValueError(f"{where}: limits is {limits}, should be a smaller and a larger number")
    axes = _axes.several(where, ax, 2, (9.0, 3.8), columns=2)
    if axes.size < 2:
        raise ValueError(f"{where}: ax has {axes.size} Axes, should have 2")
    x = np.linspace(low, high, 1001)
    for i, name in enumerate(found):
        slope = functional.activation_backward(name, np.ones_like(x), x=x)
        colour, dashes = _axes.style(i)
        for axis, y in zip(axes, (_core.activation(name, x), slope), strict=False):
            axis.plot(x, y, color=colour, linestyle=dashes, linewidth=2, label=name)
    for axis, title in zip(axes, ("activation h(x)", "derivative h'(x)"), strict=False):
        axis.set_title(title)
        axis.set_xlabel("x")
        axis.axhline(0, color=_axes.GREY, linewidth=0.8, zorder=1)
        axis.axvline(0, color=_axes.GREY, linewidth=0.8, zorder=1)
        _axes.tidy(axis)
    axes[0].legend(frameon=False)
    return axes


# ---- Classification ----------------------------------------------------------------------------


def confusion_matrix(
    t: ArrayLike,
    p: ArrayLike,
    *,
    class_names: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw how often samples of each class are taken for each class.

    Parameters
    ----------
    t : array_like of shape (n,)
        The class number of each sample.
    p : array_like of shape (n, classes) or (n,)
        The probabilities that ``net.predict(x)`` returned, of which the largest counts, or class
        numbers.
    class_names : sequence of str, optional
        The names of the classes; their numbers where they are left out.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure where it is left out.

    Returns
    -------
    matplotlib.axes.Axes
        `ax`, or the new one. Colours are shares of the true class, numbers are samples.

    Raises
    ------
    TypeError, ValueError
        Where an argument is of a wrong type or shape, or a class number is out of range.
    ImportError
        Where matplotlib is missing.

    Examples
    --------
    >>> import cnn, cnn.plot
    >>> x, t, x_test, t_test = cnn.datasets.load_digits(split=True)
    >>> net = cnn.mlp([64, 50, 10], "relu", "softmax", rng=0)
    >>> history = net.fit(x, t, epochs=5)
    >>> ax = cnn.plot.confusion_matrix(t_test, net.predict(x_test))  # doctest: +SKIP
    """
    where = "confusion_matrix"
    outputs = _core.numeric(where, "p", p)
    if outputs.ndim not in (1, 2):
        raise ValueError(f"{where}: p has shape {outputs.shape}, should be (n, classes) or (n,)")
    labels = _labels(where, "t", t, len(outputs))
    if outputs.ndim == 2:
        classes = outputs.shape[1]
        guesses = outputs.argmax(axis=1)
    else:
        guesses = _labels(where, "p", p, len(labels))
        classes = int(max(labels.max(), guesses.max())) + 1
    if labels.max() >= classes:
        raise ValueError(
            f"{where}: t has label {labels.max()}, but p has {classes} classes (labels 0 to "
            f"{classes - 1})"
        )
    names = _class_names(where, class_names, classes)
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (labels, guesses), 1)
    # A class that no sample has keeps a row of 0.
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = min(3.0 + 0.4 * classes, 11.0)
    ax = _axes.one(where, ax, (side, side))
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if classes <= _MOST_NUMBERED:
        for (row, column), count in np.ndenumerate(counts):
            if count:
                dark = shares[row, column] > 0.5
                ax.text(
                    column,
                    row,
                    f"{count}",
                    ha="center",
                    va="center",
                    color="white" if dark else "black",
                    fontsize=9 if classes <= 15 else 6,
                )
        ax.set_xticks(range(classes), names)
        if max(map(len, names)) > 3:
            ax.tick_params(axis="x", rotation=45)
            for tick in ax.get_xticklabels():
                tick.set(horizontalalignment="right", rotation_mode="anchor")
        ax.set_yticks(range(classes), names)
    ax.set_xlabel("predicted class")
    ax.set_ylabel("true class")
    ax.set_title(f"{np.trace(counts) / counts.sum():.1%} of {counts.sum():,} samples are right")
    ax.tick_params(length=0)
    ax.spines[:].set_color(_axes.PALE)
    return ax


def predictions(
    net: Sequential,
    x: ArrayLike,
    t: ArrayLike,
    shape: tuple[int, int] = (28, 28),
    *,
    count: int = 8,
    class_names: Sequence[str] | None = None,
    ax: NDArray[Any] | Sequence[Axes] | None = None,
) -> NDArray[Any]:
    """Draw samples that are images, and below each the probabilities of the classes.

    The bar of the predicted class is blue where it is right, vermilion where it is wrong; then the
    bar of the true class is green, with a mark.

    Parameters
    ----------
    net : Sequential
        The network; its outputs are the classes.
    x : array_like of shape (n, inputs)
        The samples, of which the first are drawn.
    t : array_like of shape (n,)
        Their class numbers.
    shape : tuple of int, default (28, 28)
        The height and the width of an image.
    count : int, default 8
        How many samples to draw at most.
    class_names : sequence of str, optional
        The names of the classes; their numbers where they are left out.
    ax : array of matplotlib.axes.Axes of shape (2, m), optional
        Where to draw at most m images and, below them, bars; a new figure where it is left out.

    Returns
    -------
    ndarray of matplotlib.axes.Axes, shape (2, m)
        `ax`, or the new ones.

    Raises
    ------
    TypeError, ValueError
        Where an argument is of a wrong type or shape, or out of range.
    ImportError
        Where matplotlib is missing.

    Examples
    --------
    >>> import cnn, cnn.plot
    >>> x, t = cnn.datasets.load_digits()
    >>> net = cnn.mlp([64, 50, 10], "relu", "softmax", rng=0)
    >>> history = net.fit(x, t, epochs=5)
    >>> axes = cnn.plot.predictions(net, x, t, (8, 8))  # doctest: +SKIP
    """
    where = "predictions"
    _check_network(where, net)
    shape = _image_shape(where, shape, net)
    if net.activation != "softmax":
        raise ValueError(
            f"{where}: the output layer has activation {net.activation}, should have softmax"
        )
    count = _checks.integer(where, "count", count, 1)
    samples = _core.numeric(where, "x", x)
    if samples.ndim != 2 or len(samples) == 0:
        raise ValueError(
            f"{where}: x has shape {samples.shape}, should be (n, {net.inputs}) with n at least 1"
        )
    labels = _labels(where, "t", t, len(samples))[:count]
    if labels.max() >= net.outputs:
        raise ValueError(
            f"{where}: t has label {labels.max()}, but the output layer has {net.outputs} classes "
            f"(labels 0 to {net.outputs - 1})"
        )
    names = _class_names(where, class_names, net.outputs)
    samples = samples[:count]
    p = net.predict(samples)
    columns = len(samples)
    axes = _axes.several(where, ax, 2 * columns, (1.5 * columns + 0.5, 3.6), columns=columns)
    if axes.size % 2:
        raise ValueError(f"{where}: ax has {axes.size} Axes, should have two for each sample")
    axes = axes.reshape(2, -1)
    for axis in axes[:, columns:].flat:
        axis.set_axis_off()
    for image, bars, pixels, label, row in zip(*axes, samples, labels, p, strict=False):
        _draw_prediction(image, bars, pixels.reshape(shape), int(label), row, names)
    axes[1, 0].set_ylabel("class")
    axes[1, 0].tick_params(labelleft=True)
    return axes


def _draw_prediction(
    image: Axes, bars: Axes, pixels: NDArray[Any], label: int, p: NDArray[Any], names: list[str]
) -> None:
    """Draw one sample and its probabilities."""
    guess = int(p.argmax())
    image.imshow(pixels, cmap="gray_r")
    _axes.no_ticks(image)
    right = guess == label
    text = f"{names[guess]} ({p[guess]:.0%})" + ("" if right else f"\ntruth: {names[label]}")
    image.set_title(text, color=_axes.BLUE if right else _axes.VERMILION, fontsize=10)
    colours = [_axes.PALE] * len(p)
    colours[label] = _axes.GREEN
    colours[guess] = _axes.BLUE if right else _axes.VERMILION
    bars.barh(range(len(p)), p, color=colours)
    if not right:
        # A bar for a probability near 0 would not be seen.
        bars.plot(0, label, marker=">", color=_axes.GREEN, clip_on=False)
    bars.set_xlim(0, 1)
    bars.set_xticks([0, 1])
    bars.set_xlabel("probability", fontsize=8)
    bars.invert_yaxis()
    bars.tick_params(length=0, labelsize=8, labelleft=False)
    if len(p) <= _MOST_NUMBERED:
        bars.set_yticks(range(len(p)), names)
    bars.spines[["top", "right"]].set_visible(False)
    bars.spines[:].set_color(_axes.PALE)


# ---- Weights -----------------------------------------------------------------------------------


def first_layer_weights(
    net: Sequential,
    shape: tuple[int, int] = (28, 28),
    *,
    count: int = 50,
    ax: NDArray[Any] | Sequence[Axes] | None = None,
) -> NDArray[Any]:
    """Draw the weights of each neuron of the first layer as an image.

    Red weights are above 0 and blue ones below; white is 0. All neurons have the same scale.

    Parameters
    ----------
    net : Sequential
        The network.
    shape : tuple of int, default (28, 28)
        The height and the width of the images that the network takes.
    count : int, default 50
        How many neurons to draw at most.
    ax : array of matplotlib.axes.Axes, optional
        Where to draw, an Axes for each neuron; a new figure where it is left out.

    Returns
    -------
    ndarray of matplotlib.axes.Axes, shape (m,)
        Those of `ax`, or the new ones, row by row.

    Raises
    ------
    TypeError, ValueError
        Where an argument is of a wrong type or shape, or out of range.
    ImportError
        Where matplotlib is missing.

    Examples
    --------
    >>> import cnn, cnn.plot
    >>> net = cnn.mlp([64, 20, 10], "relu", "softmax", rng=0)
    >>> axes = cnn.plot.first_layer_weights(net, (8, 8))  # doctest: +SKIP
    """
    where = "first_layer_weights"
    _check_network(where, net)
    shape = _image_shape(where, shape, net)
    count = _checks.integer(where, "count", count, 1)
    first = next(layer for layer in net.layers if isinstance(layer, Dense))
    weight = first.weight[:, :count]
    neurons = weight.shape[1]
    columns = min(neurons, 10)
    rows = math.ceil(neurons / columns)
    axes = _axes.several(
        where, ax, neurons, (0.95 * columns + 1.1, 1.1 * rows + 0.1), columns=columns
    )
    # A few large weights would make all others pale.
    limit = float(np.quantile(np.abs(weight), 0.995)) or 1.0
    drawn = None
    for axis in axes[neurons:]:
        axis.set_axis_off()
    for i, (axis, column) in enumerate(zip(axes, weight.T, strict=False)):
        drawn = axis.imshow(column.reshape(shape), cmap="RdBu_r", vmin=-limit, vmax=limit)
        axis.set_title(f"{i}", fontsize=7, pad=2)
        _axes.no_ticks(axis)
    if ax is None:
        axes[0].figure.colorbar(drawn, ax=list(axes), label="weight", extend="both")
    return axes


# ---- What they share ---------------------------------------------------------------------------


def _check_network(where: str, net: object) -> None:
    if not isinstance(net, Sequential):
        raise TypeError(f"{where}: net is of type {type(net).__name__}, should be a cnn.Sequential")


def _image_shape(where: str, shape: object, net: Sequential) -> tuple[int, int]:
    if not isinstance(shape, (tuple, list)) or len(shape) != 2:
        raise TypeError(f"{where}: shape is {shape!r}, should be a tuple (height, width)")
    height, width = (_checks.integer(where, f"shape[{i}]", n, 1) for i, n in enumerate(shape))
    if height * width != net.inputs:
        raise ValueError(
            f"{where}: shape is {shape!r}, which makes {height * width} pixels, but the first "
            f"layer has {net.inputs} inputs"
        )
    return height, width


def _labels(where: str, name: str, value: ArrayLike, rows: int) -> NDArray[np.int64]:
    """Return class numbers, each of which is one."""
    found = _core.numeric(where, name, value)
    if found.shape != (rows,) or rows == 0:
        raise ValueError(
            f"{where}: {name} has shape {found.shape}, should be (n,) with n at least 1, and as "
            f"many as there are samples"
        )
    at = _core.first_outside(found, 0, _MOST_CLASSES - 1, whole=True)
    if at >= 0:
        raise ValueError(
            f"{where}: {name} has {found[at]:g} in row {at}, should have class numbers from 0 to "
            f"{_MOST_CLASSES - 1}"
        )
    return found.astype(np.int64)


def _class_names(where: str, names: Sequence[str] | None, classes: int) -> list[str]:
    if names is None:
        return [str(i) for i in range(classes)]
    found = [str(name) for name in names]
    if len(found) != classes:
        raise ValueError(
            f"{where}: class_names has {len(found)} names, but there are {classes} classes"
        )
    return found
