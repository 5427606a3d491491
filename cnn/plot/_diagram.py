"""The layers of a network as a diagram."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cnn._base import checks, extras
from cnn.layers import Columns, Dense, Dropout, ParametricActivation, Scale, Standardize
from cnn.plot import _arguments, _axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from cnn.plot._arguments import Network, Tabular
    from cnn.sequential import Sequential

# The distance of layers and that of neurons, in units of the Axes.
_ACROSS = 3.0
# The most letters of a name that are shown.
_LONGEST = 16


class _Column(NamedTuple):
    """The neurons of a layer, or the inputs."""

    units: int
    title: str
    between: str
    """What is between it and the column before it."""


def network_diagram(
    net: Network | Tabular,
    *,
    most: int = 16,
    texts: Sequence[Sequence[object]] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the layers of a network, from the inputs on the left to the outputs on the right.

    If no layer has more than `most` neurons, each neuron is a circle and each weight a line: red if
    it is above 0 and blue if below, the wider the larger. Otherwise layers are boxes, whose heights
    are by the logarithms of their numbers of neurons. A Standardize or a Dropout is named at the
    dense layer that comes after it.

    Parameters
    ----------
    net : Sequential, estimator or cnn.tabular.TableModel
        The network, or an estimator of `cnn.sklearn` or a model of a table that has one.
    most : int, default 16
        Up to how many neurons of a layer are drawn one by one; 0 for boxes.
    texts : sequence of sequences, optional
        What to write beside each neuron, such as its output: first a sequence for the inputs, then
        one for each dense layer, with an object for each neuron. Their str() is shown. Only if
        neurons are drawn one by one.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        `ax`, or the new one.

    Raises
    ------
    TypeError, ValueError
        If an argument is of a wrong type or out of range.
    ImportError
        If matplotlib is missing.

    Examples
    --------
    >>> import cnn, cnn.plot
    >>> net = cnn.mlp([4, 5, 3], "relu", "softmax", rng=0)
    >>> ax = cnn.plot.network_diagram(net)

    With the outputs of a sample:

    >>> x = [1.0, 0.0, 0.5, 2.0]
    >>> outputs = [x, *net.activations(x)]
    >>> texts = [[f"{value:.2f}" for value in layer] for layer in outputs]
    >>> ax = cnn.plot.network_diagram(net, texts=texts)
    """
    where = "network_diagram"
    # A copy, so that all weights are of one time, even if another thread trains the network.
    source, net = net, (_arguments.network_of_table(net) or _arguments.network(where, net))
    net = net.__copy__()
    most = checks.integer(where, "most", most, 0, 100)
    columns = _columns(net)
    small = max(column.units for column in columns) <= most
    tallest = max(column.units for column in columns)
    written = None if texts is None else _checked_texts(where, texts, columns)
    if written is not None and not small:
        raise ValueError(
            f"{where}: texts is given, but a layer has {tallest} neurons, more than most, which is "
            f"{most}"
        )
    lines = 0 if written is None else max(text.count("\n") + 1 for row in written for text in row)
    size = (
        min(1.2 + (1.6 if small else 1.9) * len(columns), 16.0),
        min(max(3.0, 1.2 + (0.36 + 0.25 * lines) * tallest), 8.0) if small else 3.6,
    )
    ax = _axes.one(where, ax, size)
    if small:
        heights = [_heights(column.units, 1 + 0.7 * lines) for column in columns]
        _draw_neurons(where, ax, net, columns, heights, 0.7 * lines, source)
        _write(ax, heights, written or [])
    else:
        _draw_boxes(ax, columns)
    ax.set_axis_off()
    return ax


def _checked_texts(where: str, texts: object, columns: list[_Column]) -> list[list[str]]:
    """Return the texts of all neurons, after a check that there is one for each."""
    if isinstance(texts, (str, bytes)) or not hasattr(texts, "__iter__"):
        raise TypeError(
            f"{where}: texts is of type {type(texts).__name__}, should be a list with a list for "
            f"the inputs and one for each dense layer"
        )
    given: list[Any] = list(texts)
    if len(given) != len(columns):
        raise ValueError(
            f"{where}: texts has {len(given)} items, should have {len(columns)}: one for the "
            f"inputs and one for each dense layer"
        )
    found = []
    for i, (row, column) in enumerate(zip(given, columns, strict=True)):
        if isinstance(row, (str, bytes)) or not hasattr(row, "__iter__"):
            raise TypeError(
                f"{where}: texts[{i}] is of type {type(row).__name__}, should be a list with an "
                f"item for each neuron"
            )
        found.append([str(text) for text in row])
        if len(found[i]) != column.units:
            raise ValueError(
                f"{where}: texts[{i}] has {len(found[i])} items, should have {column.units}, one "
                f"for each neuron"
            )
    return found


def _write(ax: Axes, heights: list[list[float]], texts: list[list[str]]) -> None:
    """Write texts above the upper neurons and below the others, where there are fewer lines."""
    theme = _axes.theme(ax)
    box = {"facecolor": theme.paper, "edgecolor": "none", "alpha": 0.85, "pad": 1.0}
    longest = max(
        (len(line) for row in texts for text in row for line in text.split("\n")), default=1
    )
    font = _font(ax, len(heights), longest)
    for i, row in enumerate(texts):
        for y, text in zip(heights[i], row, strict=True):
            made = ax.annotate(
                text,
                (i * _ACROSS, y),
                (0, 9 if y > 0 else -9),
                textcoords="offset points",
                ha="center",
                va="bottom" if y > 0 else "top",
                fontsize=font,
                bbox=box,
            )
            _axes.as_text([made])


def _columns(net: Sequential) -> list[_Column]:
    """Return the inputs and the dense layers."""
    found = [_Column(net.inputs, "inputs", "")]
    between = ""
    for layer in net.layers:
        if isinstance(layer, Standardize):
            between = "standardize"
        elif isinstance(layer, Columns):
            found[0] = _Column(layer.outputs, f"features of {layer.inputs} columns", "")
        elif isinstance(layer, Scale):
            between = "scale"
        elif isinstance(layer, ParametricActivation):
            found[-1] = found[-1]._replace(title=f"parametric {layer.activation}")
        elif isinstance(layer, Dropout):
            between = f"dropout {layer.rate:.3g}"
        elif isinstance(layer, Dense):
            found.append(_Column(layer.outputs, str(layer.activation), between))
            between = ""
    return found


def _font(ax: Axes, columns: int, letters: int) -> float:
    """Return a size of letters with which titles of neighbours do not touch."""
    room = ax.get_window_extent().width * 72 / ax.figure.dpi / columns
    return min(10.0, max(5.0, 0.95 * room / (0.6 * max(letters, 1))))


def _draw_neurons(
    where: str,
    ax: Axes,
    net: Sequential,
    columns: list[_Column],
    heights: list[list[float]],
    room: float,
    source: object,
) -> None:
    """Draw each neuron, at its height, and each weight; leave room for texts."""
    lines = extras.require(where, "matplotlib.collections", "plot").LineCollection
    theme = _axes.theme(ax)
    positive, negative = theme.wrong, theme.right
    dense = [layer for layer in net.layers if isinstance(layer, Dense)]
    for i, layer in enumerate(dense):
        weight: NDArray[Any] = layer.weight
        largest = float(np.abs(weight).max()) or 1.0
        ends = [
            [(i * _ACROSS, left), ((i + 1) * _ACROSS, right)]
            for left in heights[i]
            for right in heights[i + 1]
        ]
        share = np.abs(weight).ravel() / largest
        colours = [positive if value > 0 else negative for value in weight.ravel()]
        ax.add_collection(
            lines(
                ends,
                colors=colours,
                linewidths=0.15 + 2.2 * share,
                alpha=0.25 + 0.7 * share,
                zorder=1,
            )
        )
    for i, ys in enumerate(heights):
        ax.scatter(
            [i * _ACROSS] * len(ys),
            ys,
            s=110,
            color=[theme.paper],
            edgecolors=[theme.text],
            linewidths=1.2,
            zorder=2,
        )
    tallest = max(map(max, heights))
    longest = max(len(line) for column in columns for line in column.title.splitlines())
    font = _font(ax, len(columns), max(longest, 9))
    for i, column in enumerate(columns):
        x = i * _ACROSS
        ax.text(x, tallest + room + 0.9, f"{column.units}", ha="center", va="bottom", fontsize=font)
        text = column.title if not column.between else f"{column.between}\n{column.title}"
        ax.text(x, -tallest - room - 0.9, text, ha="center", va="top", fontsize=font)
    has_names = _name_ends(ax, net, heights, source, font)
    ax.set_xlim(-2.2 if has_names else -0.8, (len(columns) - 1) * _ACROSS + 2.2)
    ax.set_ylim(-tallest - room - 2.4, tallest + room + 1.8)


def _name_ends(
    ax: Axes, net: Sequential, heights: list[list[float]], source: object, font: float
) -> bool:
    """Write the names of features and classes that there are; return whether there are features."""
    features = getattr(source, "feature_names_in_", net.feature_names)
    classes = _arguments.class_names("network_diagram", None, net.outputs, source)
    has_classes = classes != [str(i) for i in range(net.outputs)]
    sides = [
        (features, 0, -0.45, "right"),
        (classes if has_classes else None, len(heights) - 1, 0.45, "left"),
    ]
    for names, column, offset, side in sides:
        if names is None or len(names) != len(heights[column]):
            continue
        for name, y in zip(names, heights[column], strict=True):
            text = _axes.shown(str(name), _LONGEST)
            x = column * _ACROSS + offset
            _axes.as_text([ax.text(x, y, text, ha=side, va="center", fontsize=font)])
    return features is not None


def _heights(units: int, distance: float) -> list[float]:
    """Return the places of a layer's neurons, around 0."""
    return [distance * ((units - 1) / 2 - i) for i in range(units)]


def _draw_boxes(ax: Axes, columns: list[_Column]) -> None:
    """Draw layers as boxes, and how many parameters are between them."""
    theme = _axes.theme(ax)
    highest = max(math.log1p(column.units) for column in columns)
    font = _font(ax, len(columns), 13)
    for i, column in enumerate(columns):
        x, height = i * _ACROSS, 0.5 + 1.5 * math.log1p(column.units) / highest
        ax.bar(
            x,
            2 * height,
            0.9,
            bottom=-height,
            color=theme.right if i else theme.grid,
            alpha=0.85,
            edgecolor=theme.text,
            linewidth=0.8,
        )
        ink = "white" if _axes.is_dark(theme.right if i else theme.grid) else "black"
        ax.text(x, 0, f"{column.units:,}", ha="center", va="center", fontsize=font, color=ink)
        ax.text(x, -2.25, column.title, ha="center", va="top", fontsize=font)
        if i == 0:
            continue
        middle = x - _ACROSS / 2
        before = columns[i - 1].units
        ax.annotate(
            "",
            (x - 0.55, 0),
            (x - _ACROSS + 0.55, 0),
            arrowprops={"arrowstyle": "->", "color": theme.grey},
        )
        parameters = f"{before * column.units + column.units:,}"
        ax.text(middle, 0.12, parameters, ha="center", va="bottom", fontsize=0.85 * font)
        if column.between:
            ax.text(middle, -0.12, column.between, ha="center", va="top", fontsize=0.85 * font)
    total = sum((a.units + 1) * b.units for a, b in itertools.pairwise(columns))
    ax.set_title(f"{total:,} parameters", fontsize=11)
    ax.set_xlim(-1.2, (len(columns) - 1) * _ACROSS + 1.2)
    ax.set_ylim(-3.0, 2.3)
