"""How good predictions are: ROC, precision and recall, calibration, errors of a regression."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from cnn import _core, losses, metrics
from cnn._base import checks
from cnn.plot import _arguments, _axes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

# Legends of more lines are beside the Axes; with still more, classes have no line of their own.
_INSIDE, _MOST_LINES = 6, 16
# The most letters of a name that are shown.
_LONGEST = 20


class _Problem(NamedTuple):
    """A class against all others."""

    name: str
    member: NDArray[np.bool_]
    score: NDArray[Any]


# ---- Classes -----------------------------------------------------------------------------------


def roc_curve(
    t: ArrayLike,
    p: ArrayLike,
    *,
    class_names: Sequence[str] | None = None,
    label: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the ROC curve: the true positive rate by the false positive rate, for each threshold.

    The legend has the area under each curve, AUC, which is 0.5 by chance and 1 at best. Call it
    again with the same `ax` to compare networks. The numbers are those of `cnn.metrics.roc_curve`.

    Parameters
    ----------
    t : array_like of shape (n,)
        The class number of each sample.
    p : array_like of shape (n,), (n, 1) or (n, classes)
        The scores or probabilities that ``net.predict(x)`` returned; a single column is that of
        class 1 of two. With more than two classes, each one has a curve, against all others.
    class_names : sequence of str, optional
        The names of the classes; their numbers by default.
    label : str, optional
        The name in the legend.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        `ax`, or the new one. More than 16 classes have thin lines of one colour, and the title has
        the smallest, the largest and the mean area. Classes without samples have no curve.

    Raises
    ------
    TypeError, ValueError
        If an argument is of a wrong type or shape, a class number is out of range, or all samples
        are of one class.
    ImportError
        If matplotlib is missing.

    Examples
    --------
    >>> import cnn, cnn.plot
    >>> x, t, x_test, t_test = cnn.datasets.load_digits(split=True)
    >>> net = cnn.mlp([64, 50, 10], "relu", "softmax", rng=0)
    >>> history = net.fit(x, t, epochs=5)
    >>> ax = cnn.plot.roc_curve(t_test, net.predict(x_test))
    """
    where = "roc_curve"
    problems = _problems(where, t, p, class_names)

    def curve(member: NDArray[Any], score: NDArray[Any]) -> tuple[Any, Any, float]:
        false, true, _ = metrics.roc_curve(member, score)
        return false, true, metrics.auc(member, score)

    ax = _draw_classes(where, problems, curve, "AUC", label, ax, "lower right")
    ax.plot([0, 1], [0, 1], color=_axes.theme(ax).grey, linewidth=0.8, linestyle=":", zorder=1)
    ax.set_xlabel("false positive rate")
    ax.set_ylabel("true positive rate")
    return ax


def precision_recall_curve(
    t: ArrayLike,
    p: ArrayLike,
    *,
    class_names: Sequence[str] | None = None,
    label: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw precision by recall, for each threshold.

    The legend has the average precision AP: the mean of the precision, weighted by the increase of
    the recall, ``sum_i (R_i - R_(i-1)) P_i``. A dotted line is the share of the class, which is the
    precision by chance. The numbers are those of `cnn.metrics.precision_recall_curve`.

    Parameters
    ----------
    t, p, class_names, label, ax
        As for `roc_curve`.

    Returns
    -------
    matplotlib.axes.Axes
        `ax`, or the new one, as of `roc_curve`. If there is one curve, a dotted line is the share
        of class 1.

    Raises
    ------
    TypeError, ValueError
        As from `roc_curve`.
    ImportError
        If matplotlib is missing.

    Examples
    --------
    >>> import cnn.plot
    >>> t, p = [0, 1, 0, 1], [0.1, 0.4, 0.35, 0.8]
    >>> ax = cnn.plot.precision_recall_curve(t, p, label="a network")
    """
    where = "precision_recall_curve"
    problems = _problems(where, t, p, class_names)

    def curve(member: NDArray[Any], score: NDArray[Any]) -> tuple[Any, Any, float]:
        precision, recall, _ = metrics.precision_recall_curve(member, score)
        return recall, precision, float(-(np.diff(recall) * precision[:-1]).sum())

    ax = _draw_classes(where, problems, curve, "AP", label, ax, "lower left", steps="steps-post")
    if len(problems) == 1:
        share = float(problems[0].member.mean())
        ax.axhline(share, color=_axes.theme(ax).grey, linewidth=0.8, linestyle=":", zorder=1)
    ax.set_xlabel("recall")
    ax.set_ylabel("precision")
    return ax


def _problems(
    where: str, t: ArrayLike, p: ArrayLike, class_names: Sequence[str] | None
) -> list[_Problem]:
    """Return class 1 of two classes, or each of more."""
    labels, scores = _labels_and_scores(where, t, p)
    classes = 2 if scores.ndim == 1 else scores.shape[1]
    names = _arguments.class_names(where, class_names, classes)
    if classes == 2:
        score = scores if scores.ndim == 1 else scores[:, 1]
        found = [_Problem(names[1] if class_names is not None else "", labels == 1, score)]
    else:
        found = [_Problem(names[c], labels == c, scores[:, c]) for c in range(classes)]
    # A class that no sample or every sample has makes no curve.
    found = [one for one in found if 0 < one.member.sum() < len(labels)]
    if not found:
        raise ValueError(
            f"{where}: t has class {labels[0]} alone, should have at least two classes"
        )
    return found


def _labels_and_scores(
    where: str, t: ArrayLike, p: ArrayLike
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Return class numbers, and scores: (n,) if class 1 alone has them, or (n, classes)."""
    scores = _core.numeric(where, "p", p)
    if scores.ndim not in (1, 2) or scores.size == 0:
        raise ValueError(
            f"{where}: p has shape {scores.shape}, should be (n,) or (n, classes) with n at least 1"
        )
    checks.within(where, "p", scores)
    labels = _arguments.labels(where, "t", t, len(scores))
    scores = scores.reshape(-1) if scores.size == len(scores) else scores
    losses.check_labels(where, labels, 2 if scores.ndim == 1 else scores.shape[1], "p")
    return labels, scores


def _draw_classes(
    where: str,
    problems: list[_Problem],
    curve: Callable[[NDArray[Any], NDArray[Any]], tuple[Any, Any, float]],
    what: str,
    label: str | None,
    ax: Axes | None,
    place: Literal["lower right", "lower left"],
    *,
    steps: Literal["default", "steps-post"] = "default",
) -> Axes:
    """Draw the curve of each class, with a number in the legend, in a square from 0 to 1."""
    made = ax is None
    each = len(problems) <= _MOST_LINES
    beside = made and each and len(problems) > _INSIDE
    ax = _axes.one(where, ax, (6.6 if beside else 5.0, 5.0))
    # Each call continues with the next colour.
    first = sum(line.get_gid() == "curve" for line in ax.lines)
    values = []
    for i, (name, member, score) in enumerate(problems):
        x, y, value = curve(member, score)
        values.append(value)
        colour, dashes = _axes.style(ax, first + (i if each else 0))
        words = [word for word in (label, _axes.shown(name, _LONGEST)) if word]
        (line,) = ax.plot(
            x,
            y,
            color=colour,
            linestyle=dashes if each else "-",
            linewidth=1.6 if each else 0.7,
            alpha=1.0 if each else 0.6,
            drawstyle=steps,
            clip_on=False,
            label=f"{', '.join(words)}{': ' if words else ''}{what} {value:.3f}" if each else None,
        )
        line.set_gid("curve")
    if not each:
        # A legend would be among the lines.
        named = f"{_axes.shown(label, _LONGEST)}, " if label else ""
        title = f"{named}{len(values)} classes: {what} {min(values):.3f} to {max(values):.3f}"
        _axes.as_text([ax.set_title(f"{title}, mean {np.mean(values):.3f}", fontsize=10)])
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1)
    ax.set_aspect("equal")
    _axes.tidy(ax)
    if each:
        _axes.legend(ax, None if beside else _axes.corner(ax, place))
    return ax


def calibration_curve(
    t: ArrayLike,
    p: ArrayLike,
    *,
    bins: int = 10,
    strategy: Literal["uniform", "quantile"] = "uniform",
    label: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw how often predictions come true, by the probability that was predicted.

    The points of a calibrated network are near the diagonal; those of one that is too sure of
    itself are below it. With more than two classes the probability is that of the predicted class,
    the largest, and what comes true is that this class is the right one (C. Guo et al., On
    Calibration of Modern Neural Networks, 2017). The numbers are those of
    `cnn.metrics.calibration_curve`.

    Parameters
    ----------
    t : array_like of shape (n,)
        The class number of each sample.
    p : array_like of shape (n,), (n, 1) or (n, classes)
        The probabilities that ``net.predict(x)`` returned, from 0 to 1; a single column is that of
        class 1 of two.
    bins : int, default 10
        Into how many ranges of probability the samples are divided.
    strategy : {"uniform", "quantile"}, default "uniform"
        Whether the ranges have equal widths, or about equal numbers of samples.
    label : str, optional
        The name in the legend.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        `ax`, or the new one. Bars at its foot show how many samples have which probability, those
        of the first call.

    Raises
    ------
    TypeError, ValueError
        If an argument is of a wrong type or shape, or out of range.
    ImportError
        If matplotlib is missing.

    Examples
    --------
    >>> import cnn.plot
    >>> t, p = [0, 1, 0, 1], [0.1, 0.4, 0.35, 0.8]
    >>> ax = cnn.plot.calibration_curve(t, p, bins=2)
    """
    where = "calibration_curve"
    labels, scores = _labels_and_scores(where, t, p)
    checks.within(where, "p", scores, 0, 1)
    several = scores.ndim == 2 and scores.shape[1] > 2
    if several:
        came_true, score = labels == scores.argmax(axis=1), scores.max(axis=1)
    else:
        came_true, score = labels == 1, scores if scores.ndim == 1 else scores[:, 1]
    bins = checks.integer(where, "bins", bins, 1, 1000)
    checks.choice(where, "strategy", strategy, ("uniform", "quantile"))
    share, mean = metrics.calibration_curve(came_true, score, bins=bins, strategy=strategy)
    ax = _axes.one(where, ax, (5.0, 5.0))
    theme = _axes.theme(ax)
    first = sum(line.get_gid() == "curve" for line in ax.lines)
    if first == 0:
        ax.plot([0, 1], [0, 1], color=theme.grey, linewidth=0.8, linestyle=":", zorder=1)
        counts, edges = np.histogram(score, 20, (0.0, 1.0))
        ax.bar(
            edges[:-1],
            0.15 * counts / counts.max(),
            0.05,
            align="edge",
            color=theme.grid,
        )
        what = "probability of the predicted class" if several else "predicted probability"
        most = f"{counts.max() / len(score):.0%}"
        ax.set_xlabel(f"{what}\n(bars: samples, the highest {most})")
    colour, dashes = _axes.style(ax, first)
    (line,) = ax.plot(mean, share, dashes, marker="o", color=colour, label=label, clip_on=False)
    line.set_gid("curve")
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1)
    ax.set_aspect("equal")
    ax.set_ylabel("share of right predictions" if several else "share of class 1")
    _axes.tidy(ax)
    if label is not None:
        _axes.legend(ax, _axes.corner(ax, "upper left"))
    return ax


# ---- Regression --------------------------------------------------------------------------------


def predicted_vs_true(
    t: ArrayLike,
    y: ArrayLike,
    *,
    names: Sequence[str] | None = None,
    ax: Sequence[Axes] | NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Draw the predictions of a regression against the targets, and beside them the residuals.

    Residuals are y - t: those above 0 are predictions that are too large. A pattern in them, such
    as a curve or a funnel, is something that the network has not learnt.

    Parameters
    ----------
    t : array_like of shape (n,) or (n, outputs)
        The targets.
    y : array_like of the same shape, or (n, 1) for (n,)
        The predictions, such as ``net.predict(x)``.
    names : sequence of str, optional
        The names of the outputs, if there are several.
    ax : sequence of two matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    ndarray of matplotlib.axes.Axes, shape (2,)
        `ax`, or the new ones: predictions against targets, with a line for perfect ones, and
        residuals against predictions, with lines at their root mean square. The titles have R²,
        the root mean square RMSE, the mean absolute error MAE, and the mean of the residuals.

    Raises
    ------
    TypeError, ValueError
        If an argument is of a wrong type or shape, or has numbers that are not finite.
    ImportError
        If matplotlib is missing.

    Examples
    --------
    >>> import cnn.plot
    >>> axes = cnn.plot.predicted_vs_true([1.0, 2.0, 3.0], [1.1, 1.9, 3.2])
    """
    where = "predicted_vs_true"
    targets, outputs = _core.numeric(where, "t", t), _core.numeric(where, "y", y)
    if targets.ndim not in (1, 2) or targets.size == 0:
        raise ValueError(
            f"{where}: t has shape {targets.shape}, should be (n,) or (n, outputs) with n at least "
            f"1"
        )
    shape = (len(targets), targets.size // len(targets))
    if (
        outputs.shape not in (targets.shape, shape)
        and outputs.shape != shape[: 2 - (shape[1] == 1)]
    ):
        raise ValueError(
            f"{where}: y has shape {outputs.shape}, should be {targets.shape}, as t has"
        )
    for name, values in (("t", targets), ("y", outputs)):
        checks.within(where, name, values)
    targets = targets.reshape(shape).astype(np.float64)
    outputs = outputs.reshape(shape).astype(np.float64)
    named = _arguments.class_names(where, names, shape[1], what="names", of="outputs")
    axes = _axes.several(where, ax, 2, (9.0, 4.4), columns=2)
    if axes.size < 2:
        raise ValueError(f"{where}: ax has {axes.size} Axes, should have 2")
    left, right = axes[:2]
    many = shape[1] > _INSIDE
    for i, name in enumerate(named):
        colour = _axes.theme(left).lines[0 if many else i]
        # Points that lie on one another are to be seen as many.
        look: dict[str, Any] = {
            "s": 16 if targets.size < 2000 else 6,
            "alpha": 0.7 if targets.size < 300 else 0.35 if targets.size < 5000 else 0.15,
            "color": colour,
            "linewidths": 0,
            "rasterized": targets.size > 5000,
            "label": name if shape[1] > 1 and not many else None,
        }
        left.scatter(targets[:, i], outputs[:, i], **look)
        right.scatter(outputs[:, i], outputs[:, i] - targets[:, i], **look)
    _finish_regression(left, right, targets, outputs)
    if 1 < shape[1] <= _INSIDE:
        _axes.legend(left, "upper left")
    return axes


def _finish_regression(
    left: Axes, right: Axes, targets: NDArray[np.float64], outputs: NDArray[np.float64]
) -> None:
    """Draw what points are compared with, and write what the errors are."""
    grey = _axes.theme(left).grey
    low = float(min(targets.min(), outputs.min()))
    high = float(max(targets.max(), outputs.max()))
    margin = 0.04 * (high - low) or 0.05 * abs(high) or 1.0
    limits = (low - margin, high + margin)
    left.plot(limits, limits, color=grey, linewidth=0.9, zorder=1)
    left.set_xlim(limits)
    left.set_ylim(limits)
    left.set_aspect("equal")
    left.set_xlabel("true value")
    left.set_ylabel("predicted value")
    rmse, mae = metrics.rmse(targets, outputs), metrics.mae(targets, outputs)
    left.set_title(f"R² {metrics.r2(targets, outputs):.3f}", fontsize=10)
    right.axhline(0, color=grey, linewidth=0.9, zorder=1)
    for sign in (-1, 1):
        right.axhline(sign * rmse, color=grey, linewidth=0.9, linestyle=":", zorder=1)
    largest = max(float(np.abs(outputs - targets).max()), rmse)
    right.set_ylim(-1.12 * largest or -1.0, 1.12 * largest or 1.0)
    right.set_xlabel("predicted value")
    right.set_ylabel("residual: predicted - true")
    mean = float((outputs - targets).mean())
    right.set_title(f"RMSE {rmse:.3g}, MAE {mae:.3g}\nmean {mean:.3g}", fontsize=10)
    for axis in (left, right):
        _axes.tidy(axis)
