"""The confusion matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cnn import _core, losses
from cnn._base import checks, extras
from cnn.plot import _arguments, _axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray


_SMALLEST_FONT = 5.0
# There is no room for the names of more classes, even in small letters.
_MOST_NAMED = 100
# The most letters of a name that are shown.
_LONGEST = 30
# What shares are of, and the axis along which they add up to 1.
_SHARES: dict[str | None, tuple[str, Any]] = {
    None: ("share of the true class", 1),
    "true": ("share of the true class", 1),
    "pred": ("share of the predicted class", 0),
    "all": ("share of all samples", None),
}


def confusion_matrix(
    t: ArrayLike,
    p: ArrayLike,
    *,
    class_names: Sequence[str] | None = None,
    normalize: Literal["true", "pred", "all"] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the confusion matrix: how often samples of each class are predicted as each class.

    Parameters
    ----------
    t : array_like of shape (n,)
        The class number of each sample.
    p : array_like of shape (n, classes), (n, 1) or (n,)
        The probabilities that ``net.predict(x)`` returned: the largest of a row is the prediction,
        and a single column is that of class 1 of two. Or class numbers. If t and p hold strings,
        as the labels of an estimator may be, the classes are these, sorted, or `class_names`.
    class_names : sequence of str, optional
        The names of the classes; their numbers by default. Names are text, no markup.
    normalize : {"true", "pred", "all"}, optional
        Show percentages in place of samples: of the true class (each row adds up to 100), of the
        predicted class (each column), or of all samples.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        `ax`, or the new one. Colours are shares of the true class or as `normalize` says, on a
        scale of their cube roots up to the largest, so that small shares are visible too. Numbers
        are samples or percentages. If there is no room for numbers, a new figure has a colour bar.

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
    >>> ax = cnn.plot.confusion_matrix(t_test, net.predict(x_test))
    """
    where = "confusion_matrix"
    if normalize is not None:
        checks.choice(where, "normalize", normalize, ("true", "pred", "all"))
    labels, guesses, names, named = _classes_of(where, t, p, class_names)
    classes = len(names)
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (labels, guesses), 1)
    what, axis = _SHARES[normalize]
    # A class that no sample has keeps a row of 0.
    shares = counts / np.maximum(counts.sum(axis=axis, keepdims=True), 1)
    few = classes <= _arguments.MOST_NAMED
    side = min(3.0 + 0.4 * classes, 11.0 + 0.05 * max(classes - 20, 0), 15.0)
    made = ax is None
    ax = _axes.one(where, ax, (side if few else 1.15 * side, side))
    # By the cube root of a share: with many classes most shares are small, and must be visible.
    scale = extras.require(where, "matplotlib.colors", "plot").PowerNorm(
        1 / 3, vmin=0, vmax=shares.max()
    )
    drawn = ax.imshow(shares, cmap=_axes.shades(ax), norm=scale, interpolation="nearest")
    cell = _cell(ax, classes)
    shown = counts if normalize is None else 100 * shares
    if not (few and _write_numbers(ax, drawn.to_rgba(shares), counts, shown, cell)) and made:
        ax.figure.colorbar(drawn, ax=ax, label=what, shrink=0.8)
    if few:
        # Between neighbours of one colour there is a line.
        ax.set_xticks(np.arange(1, classes) - 0.5, minor=True)
        ax.set_yticks(np.arange(1, classes) - 0.5, minor=True)
        ax.grid(visible=True, which="minor", color=_axes.theme(ax).paper, linewidth=1.0)
        ax.tick_params(which="minor", length=0)
    if few or (named and classes <= _MOST_NAMED):
        _name_classes(ax, names, cell)
    ax.set_xlabel("predicted class")
    ax.set_ylabel("true class")
    many = "sample is" if counts.sum() == 1 else "samples are"
    title = f"{np.trace(counts) / counts.sum():.1%} of {counts.sum():,} {many} right"
    # Beside a matrix of few classes there is no room for a long line.
    title = title if classes > 2 else title.replace(" sample", "\nsample")
    ax.set_title(title if normalize is None else f"{title}\n% of {what.removeprefix('share of ')}")
    ax.tick_params(length=0)
    ax.spines[:].set_color(_axes.theme(ax).grid)
    return ax


def _classes_of(
    where: str, t: ArrayLike, p: ArrayLike, class_names: Sequence[str] | None
) -> tuple[NDArray[np.int64], NDArray[Any], list[str], bool]:
    """Return the class and the predicted class of each sample, the names, and whether there are."""
    if _are_strings(t) and _are_strings(p):
        known = np.unique(np.concatenate([np.ravel(t), np.ravel(p)])).tolist()
        count = len(known) if class_names is None else len(list(class_names))
        names = _arguments.class_names(where, class_names or known, count)
        t, p = (_numbered(where, name, v, names) for name, v in (("t", t), ("p", p)))
        labels = _arguments.labels(where, "t", t, len(p))
        return labels, p, names, True
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
    return labels, guesses, names, class_names is not None


def _are_strings(values: object) -> bool:
    array = np.asarray(values)
    return (
        array.dtype.kind in "OTU"
        and array.size > 0
        and all(isinstance(value, str) for value in array.ravel().tolist())
    )


def _numbered(where: str, name: str, values: ArrayLike, names: list[str]) -> NDArray[np.int64]:
    """Return the places of labels among names."""
    place = {label: i for i, label in enumerate(names)}
    given = np.ravel(values).tolist()
    for row, label in enumerate(given):
        if label not in place:
            raise ValueError(
                f"{where}: {name} has {label!r} in row {row}, which is none of class_names"
            )
    return np.array([place[label] for label in given], np.int64)


def _write_numbers(
    ax: Axes, colours: NDArray[Any], counts: NDArray[Any], shown: NDArray[Any], cell: float
) -> bool:
    """Write the number of each pair of classes that occurs; return whether there was room."""
    texts = {
        place: f"{shown[place]}" if shown is counts else _percentage(float(shown[place]))
        for place, count in np.ndenumerate(counts)
        if count
    }
    # The width of a digit is about 0.64 of the font size; the rest of the cell is margin.
    size = min(9.0, 0.85 * cell / (0.64 * max(map(len, texts.values()))))
    if size < _SMALLEST_FONT:
        return False
    for (row, column), text in texts.items():
        colour = "white" if _axes.is_dark(colours[row, column]) else "black"
        ax.text(column, row, text, ha="center", va="center", color=colour, fontsize=size)
    return True


def _percentage(value: float) -> str:
    """Return a percentage with two digits, which is never 0."""
    return f"{value:.0f}" if value >= 9.95 else f"{value:.1f}" if value >= 0.05 else "<.1"


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
