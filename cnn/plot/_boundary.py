"""What a network answers in a plane of two of its inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

from cnn import _core
from cnn._base import checks, extras
from cnn.plot import _arguments, _axes
from cnn.sequential import Sequential

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray


class Predictor(Protocol):
    """An estimator of cnn or scikit-learn after fit, a pipeline included."""

    def predict(self, X: Any, /) -> Any:
        """Return predictions."""


AnyNetwork: TypeAlias = "Sequential | Predictor"

# With more classes there is no legend, and colours are those of a colour map.
_MOST_NAMED = 12
# The most letters of a name that are shown.
_LONGEST = 20


def decision_boundary(
    net: AnyNetwork,
    x: ArrayLike,
    t: ArrayLike | None = None,
    *,
    columns: tuple[int, int] | tuple[str, str] | None = None,
    resolution: int = 200,
    class_names: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw which class a network predicts in a plane of two inputs, or the value of a regression.

    The colour of a place is the mean of the classes' colours, weighted by their probabilities.
    Lines are where the predicted class changes.

    Parameters
    ----------
    net : Sequential, or an estimator
        The network: softmax, sigmoid or step with one output, or a regression with one output.
        Or an estimator with ``predict_proba`` or ``predict``, a pipeline of scikit-learn included.
    x : array_like of shape (n, inputs)
        Samples, whose range the plane has. A data frame gives the names of the axes.
    t : array_like of shape (n,), optional
        Their classes, or their targets, by which they are coloured.
    columns : tuple of two int or str, optional
        The inputs of the axes, as numbers or as names of a frame's columns; needed if there are
        more than two. All others stay at their medians.
    resolution : int, default 200
        The number of points along each axis.
    class_names : sequence of str, optional
        The names of the classes; by default those of the network or the estimator.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        `ax`, or the new one. A regression has a colour bar beside a new one.

    Raises
    ------
    TypeError, ValueError
        If an argument is of a wrong type or shape, or out of range.
    ImportError
        If matplotlib is missing.

    Examples
    --------
    >>> import cnn, cnn.plot
    >>> x, t = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [0, 1, 1, 0]
    >>> net = cnn.mlp([2, 8, 1], "tanh", "sigmoid", rng=0)
    >>> history = net.fit(x, t, epochs=500, optimizer=cnn.Adam(lr=0.05))
    >>> ax = cnn.plot.decision_boundary(net, x, t)  # doctest: +SKIP
    """
    where = "decision_boundary"
    predict, is_classes = _predictor(where, net)
    labels_of_axes = _core.column_names(x) or []
    samples = _core.numeric(where, "x", x)
    inputs = getattr(net, "inputs", getattr(net, "n_features_in_", None))
    if samples.ndim != 2 or len(samples) == 0 or samples.shape[1] != (inputs or samples.shape[1]):
        raise ValueError(
            f"{where}: x has shape {samples.shape}, should be (n, {inputs or 'inputs'}) with n at "
            f"least 1"
        )
    checks.within(where, "x", samples)
    chosen = _columns(where, columns, samples.shape[1], labels_of_axes)
    resolution = checks.integer(where, "resolution", resolution, 2, 5000)
    extent, rows = _plane(samples.astype(np.float64), chosen, resolution)
    # scikit-learn compares names of columns.
    grid = _frame(rows, x) if hasattr(x, "iloc") and not isinstance(net, Sequential) else rows
    found = np.asarray(predict(grid))
    found = found.reshape(resolution, resolution, -1)
    ax = _axes.one(where, ax, (6.0, 5.0))
    points = samples[:, chosen].astype(np.float64)
    if is_classes:
        _draw_classes(where, ax, net, found, extent, points, t, class_names)
    else:
        _draw_values(where, ax, found[..., 0], extent, points, t)
    for axis, column in zip((ax.xaxis, ax.yaxis), chosen, strict=True):
        known = labels_of_axes or [str(n) for n in getattr(net, "feature_names", None) or ()]
        axis.set_label_text(_axes.shown(known[column] if known else f"input {column}", 40))
    _axes.as_text([ax.xaxis.label, ax.yaxis.label])
    ax.set_xlim(extent[0], extent[1])
    ax.set_ylim(extent[2], extent[3])
    if samples.shape[1] > 2:
        ax.set_title("other inputs at their medians", fontsize=10)
    return ax


def _predictor(where: str, net: Any) -> tuple[Callable[[Any], Any], bool]:
    """Return the function that predicts, and whether it returns probabilities of classes."""
    _arguments.refuse_table(where, net)
    if isinstance(net, Sequential):
        if net.activation == "softmax":
            return net.predict, True
        if net.outputs > 1:
            raise ValueError(
                f"{where}: the output layer has activation {net.activation} and {net.outputs} "
                f"outputs, should have softmax or one output"
            )
        if net.activation in ("sigmoid", "step"):
            return lambda rows: _arguments.probabilities(where, net.predict(rows)), True
        return net.predict, False
    if hasattr(net, "predict_proba"):
        return net.predict_proba, True
    if hasattr(net, "predict"):
        return net.predict, False
    raise TypeError(
        f"{where}: net is of type {type(net).__name__}, should be a cnn.Sequential or a fitted "
        f"estimator"
    )


def _columns(where: str, columns: Any, inputs: int, names: list[str]) -> list[int]:
    """Return the numbers of two columns."""
    if columns is None:
        if inputs != 2:
            raise ValueError(
                f"{where}: columns is None, should be two of the {inputs} inputs of the network"
            )
        return [0, 1]
    if not isinstance(columns, (tuple, list)) or len(columns) != 2:
        raise TypeError(f"{where}: columns is {columns!r}, should be a tuple of two columns")
    found = []
    for i, column in enumerate(columns):
        if isinstance(column, str):
            checks.choice(where, f"columns[{i}]", column, names or ["numbers, as x has no names"])
            found.append(names.index(column))
        else:
            found.append(checks.integer(where, f"columns[{i}]", column, 0, inputs - 1))
    if found[0] == found[1]:
        raise ValueError(f"{where}: columns is {columns!r}, should be two different ones")
    return found


def _plane(
    x: NDArray[np.float64], chosen: list[int], resolution: int
) -> tuple[tuple[float, ...], NDArray[np.float64]]:
    """Return the limits of the plane, and its points as rows of inputs."""
    limits = []
    for column in chosen:
        low, high = float(x[:, column].min()), float(x[:, column].max())
        margin = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
        limits.append((low - margin, high + margin))
    rows = np.tile(np.median(x, axis=0), (resolution * resolution, 1))
    across, up = np.meshgrid(*(np.linspace(*limit, resolution) for limit in limits))
    rows[:, chosen[0]], rows[:, chosen[1]] = across.ravel(), up.ravel()
    return (*limits[0], *limits[1]), rows


def _frame(rows: NDArray[np.float64], x: Any) -> Any:
    pandas = extras.require("decision_boundary", "pandas")
    return pandas.DataFrame(rows, columns=x.columns)


def _draw_classes(
    where: str,
    ax: Axes,
    net: object,
    p: NDArray[Any],
    extent: tuple[float, ...],
    points: NDArray[np.float64],
    t: ArrayLike | None,
    class_names: Sequence[str] | None,
) -> None:
    """Draw the classes of the plane, and those of samples."""
    classes = p.shape[2]
    names = _arguments.class_names(where, class_names, classes, net)
    theme = _axes.theme(ax)
    to_rgb = extras.require(where, "matplotlib.colors", "plot").to_rgb
    colours = _axes.colours_of_classes(ax, classes)
    rgb = np.array([to_rgb(colour) for colour in colours])
    paper = np.array(to_rgb(theme.paper))
    picture = np.clip(0.4 * (p @ rgb) + 0.6 * paper, 0, 1)
    look: dict[str, Any] = {"origin": "lower", "extent": extent, "aspect": "auto"}
    ax.imshow(picture, interpolation="bilinear", **look)
    resolution = len(p)
    xs = np.linspace(extent[0], extent[1], resolution)
    ys = np.linspace(extent[2], extent[3], resolution)
    for c in range(1 if classes == 2 else 0, classes):
        lead = p[..., c] - np.delete(p, c, axis=2).max(axis=2)
        if lead.min() < 0 < lead.max():
            ax.contour(xs, ys, lead, [0.0], colors=[theme.text], linewidths=0.8)
    if t is None:
        return
    numbers = _arguments.class_numbers(where, t, len(points), net)
    if numbers.max() >= classes:
        raise ValueError(
            f"{where}: t has class {numbers.max()}, but net has {classes} classes (0 to "
            f"{classes - 1})"
        )
    for c in np.unique(numbers):
        ax.scatter(
            points[numbers == c, 0],
            points[numbers == c, 1],
            color=colours[c],
            label=_axes.shown(names[c], _LONGEST) if classes <= _MOST_NAMED else None,
            **_dots(theme, len(points)),
        )
    if classes <= _MOST_NAMED:
        _axes.legend(ax, None)


def _draw_values(
    where: str,
    ax: Axes,
    y: NDArray[Any],
    extent: tuple[float, ...],
    points: NDArray[np.float64],
    t: ArrayLike | None,
) -> None:
    """Draw the values of the plane, and the targets of samples in the same colours."""
    targets = None if t is None else _core.numeric(where, "t", t).reshape(-1)
    if targets is not None and targets.shape != (len(points),):
        raise ValueError(
            f"{where}: t has shape {targets.shape}, should be ({len(points)},), a target for each "
            f"sample"
        )
    both = y.ravel() if targets is None else np.append(y.ravel(), targets)
    scale: dict[str, Any] = {"vmin": both.min(), "vmax": both.max(), "cmap": "viridis"}
    look: dict[str, Any] = {"origin": "lower", "extent": extent, "aspect": "auto"}
    drawn = ax.imshow(y, interpolation="bilinear", **look, **scale)
    if targets is not None:
        theme = _axes.theme(ax)
        ax.scatter(points[:, 0], points[:, 1], c=targets, **scale, **_dots(theme, len(points)))
    ax.figure.colorbar(drawn, ax=ax, label="predicted value")


def _dots(theme: _axes.Theme, count: int) -> dict[str, Any]:
    """Return the look of samples: larger ones if there are few, smaller ones if there are many."""
    return {
        "s": 90 if count <= 20 else 28 if count < 500 else 12 if count < 5000 else 4,
        "edgecolors": [theme.paper],
        "linewidths": 0.6 if count < 5000 else 0.0,
        "zorder": 3,
    }
