"""The confusion matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cnn import _core, losses
from cnn._base import extras
from cnn.plot import _arguments, _axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike


_SMALLEST_FONT = 5.0
# There is no room for the names of more classes, even in small letters.
_MOST_NAMED = 100
# The most letters of a name that are shown.
_LONGEST = 30
# On darker colours, white is easier to read.
_DARK = 0.5
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])


def confusion_matrix(
    t: ArrayLike,
    p: ArrayLike,
    *,
    class_names: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the confusion matrix: how often samples of each class are predicted as each class.

    Parameters
    ----------
    t : array_like of shape (n,)
        The class number of each sample.
    p : array_like of shape (n, classes), (n, 1) or (n,)
        The probabilities that ``net.predict(x)`` returned: the largest of a row is the prediction,
        and a single column is that of class 1 of two. Or class numbers.
    class_names : sequence of str, optional
        The names of the classes; their numbers by default. Names are text, no markup.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        `ax`, or the new one. Colours are shares of the true class, on a scale of their cube
        roots up to the largest, so that small shares are visible too. Numbers are samples. If there
        is no room for numbers, a new figure has a colour bar.

    Raises
    ------
    TypeError, ValueError
        If an argument is of a wrong type or shape, or a class number is out of range.
    ImportError
        If matplotlib is missing.

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
    labels = _arguments.labels(where, "t", t, len(outputs))
    if outputs.ndim == 2:
        outputs = _arguments.probabilities(where, outputs)
        classes = outputs.shape[1]
        guesses = outputs.argmax(axis=1)
    else:
        guesses = _arguments.labels(where, "p", p, len(labels))
        classes = int(max(labels.max(), guesses.max())) + 1
    losses.check_labels(where, labels, classes, "p")
    names = _arguments.class_names(where, class_names, classes)
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (labels, guesses), 1)
    # A class that no sample has keeps a row of 0.
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    few = classes <= _arguments.MOST_NAMED
    side = min(3.0 + 0.4 * classes, 11.0 + 0.05 * max(classes - 20, 0), 15.0)
    made = ax is None
    ax = _axes.one(where, ax, (side if few else 1.15 * side, side))
    # By the cube root of a share: with many classes most shares are small, and must be visible.
    scale = extras.require(where, "matplotlib.colors", "plot").PowerNorm(
        1 / 3, vmin=0, vmax=shares.max()
    )
    drawn = ax.imshow(shares, cmap="Blues", norm=scale, interpolation="nearest")
    cell = _cell(ax, classes)
    # The width of a digit is about 0.64 of the font size; the rest of the cell is margin.
    size = min(9.0, 0.85 * cell / (0.64 * len(str(counts.max()))))
    if size >= _SMALLEST_FONT and few:
        colours = drawn.to_rgba(shares)[..., :3] @ _LUMINANCE
        for (row, column), count in np.ndenumerate(counts):
            if count:
                colour = "white" if colours[row, column] < _DARK else "black"
                ax.text(
                    column, row, f"{count}", ha="center", va="center", color=colour, fontsize=size
                )
    elif made:
        ax.figure.colorbar(drawn, ax=ax, label="share of the true class", shrink=0.8)
    if few or (class_names is not None and classes <= _MOST_NAMED):
        _name_classes(ax, names, cell)
    ax.set_xlabel("predicted class")
    ax.set_ylabel("true class")
    ax.set_title(f"{np.trace(counts) / counts.sum():.1%} of {counts.sum():,} samples are right")
    ax.tick_params(length=0)
    ax.spines[:].set_color(_axes.PALE)
    return ax


def _name_classes(ax: Axes, names: list[str], cell: float) -> None:
    """Label both axes with the classes, in a font whose lines fit into a cell."""
    places = range(len(names))
    names = [_axes.shown(name, _LONGEST) for name in names]
    size = min(10.0, max(0.75 * cell, 4.0))
    ax.set_xticks(places, names, fontsize=size)
    ax.set_yticks(places, names, fontsize=size)
    # Letters are narrower than high.
    if 0.7 * size * max(map(len, names)) > cell:
        steep = size < 10.0  # names that are near each other would overlap at 45 degrees
        ax.tick_params(axis="x", rotation=90 if steep else 45)
        if not steep:
            for tick in ax.get_xticklabels():
                tick.set(horizontalalignment="right", rotation_mode="anchor")
    _axes.as_text_ticks(ax.xaxis, ax.yaxis)


def _cell(ax: Axes, classes: int) -> float:
    """Return about how many points a class has in each direction."""
    box = ax.get_window_extent()
    return float(min(box.width, box.height) / classes * 72 / ax.figure.dpi)
