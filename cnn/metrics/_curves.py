"""Curves of the scores of two classes, and the area under one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from cnn._base import checks
from cnn._base.numbers import exact
from cnn.metrics import _arguments

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from cnn.metrics._arguments import Numbers


def _steps(
    positive: NDArray[np.bool_], score: Numbers, weights: Numbers
) -> tuple[Numbers, Numbers, Numbers]:
    """Return the weights of positive and of negative rows from each score on, and the scores.

    The scores fall, and each one stands once.
    """
    used = weights > 0
    order = np.argsort(-score[used], kind="stable")
    positive, score, weights = positive[used][order], score[used][order], weights[used][order]
    ends = np.flatnonzero(np.append(np.diff(score) != 0, True))
    found = np.cumsum(weights * positive)[ends]
    false = np.cumsum(weights * ~positive)[ends]
    return found, false, score[ends]


def roc_curve(
    t: ArrayLike, y: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the points of the receiver operating characteristic of two classes.

    For class c of several, give ``t == c`` and ``y[:, c]``.

    Parameters
    ----------
    t : array_like of shape (n,)
        0 or 1 for each row.
    y : array_like of shape (n,), (n, 1) or (n, 2)
        The score of class 1; of two columns, the second.
    sample_weight : array_like of shape (n,), optional
        The weight of each row.

    Returns
    -------
    false_positive_rate : ndarray of shape (m,)
        The share of rows of class 0 with at least this score; it rises from 0 to 1.
    true_positive_rate : ndarray of shape (m,)
        The share of rows of class 1 with at least this score; it rises from 0 to 1.
    thresholds : ndarray of shape (m,)
        The scores, which fall: infinity first, then each score of a row once.

    Raises
    ------
    ValueError
        If a class has no row, too.

    Examples
    --------
    >>> import cnn
    >>> cnn.metrics.roc_curve([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])[:2]
    (array([0. , 0. , 0.5, 0.5, 1. ]), array([0. , 0.5, 0.5, 1. , 1. ]))
    """
    where = "roc_curve"
    positive, score = _arguments.scored(where, t, y)
    found, false, thresholds = _steps(
        positive, score, _arguments.weights(where, sample_weight, len(score))
    )
    for label, total in enumerate((false[-1], found[-1])):
        if total == 0:
            raise ValueError(f"{where}: t has no row of class {label}, should have rows of both")
    return (
        np.append(0.0, false / false[-1]),
        np.append(0.0, found / found[-1]),
        np.append(np.inf, thresholds),
    )


def precision_recall_curve(
    t: ArrayLike, y: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return precision and recall of class 1 for each threshold.

    Parameters
    ----------
    t, y, sample_weight
        As for `roc_curve`.

    Returns
    -------
    precision : ndarray of shape (m + 1,)
        Of the rows with at least this score, the share of class 1; the last is 1.
    recall : ndarray of shape (m + 1,)
        Of the rows of class 1, the share with at least this score; it falls from 1 to 0.
    thresholds : ndarray of shape (m,)
        The scores, which rise; each score of a row once.

    Raises
    ------
    ValueError
        If class 1 has no row, too.

    Examples
    --------
    >>> import cnn
    >>> precision, recall, _ = cnn.metrics.precision_recall_curve([0, 1, 1], [0.1, 0.4, 0.8])
    >>> precision.round(3), recall
    (array([0.667, 1.   , 1.   , 1.   ]), array([1. , 1. , 0.5, 0. ]))
    """
    where = "precision_recall_curve"
    positive, score = _arguments.scored(where, t, y)
    found, false, thresholds = _steps(
        positive, score, _arguments.weights(where, sample_weight, len(score))
    )
    if found[-1] == 0:
        raise ValueError(f"{where}: t has no row of class 1, should have one at least")
    return (
        np.append((found / (found + false))[::-1], 1.0),
        np.append((found / found[-1])[::-1], 0.0),
        thresholds[::-1],
    )


def auc(t: ArrayLike, y: ArrayLike, *, sample_weight: ArrayLike | None = None) -> float:
    """Return the area under the ROC curve: the share of pairs of rows that are in the right order.

    A pair is a row of the class and one of another class; it is in the right order if the first has
    the higher score, and counts half if the scores are equal. With more than two classes it is the
    mean over the classes, each against all others ("one versus rest", "macro"). Classes without
    rows in t, for which the area is not defined, are left out.

    Parameters
    ----------
    t : array_like of shape (n,) or (n, k)
        Class numbers; or for each column of y whether a row belongs to it, 0 or 1, so that a row
        may belong to several.
    y : array_like of shape (n, k), (n,) or (n, 1)
        The scores of the classes; one column has those of class 1.
    sample_weight : array_like of shape (n,), optional
        The weight of each row.

    Returns
    -------
    float
        The area, from 0 to 1; 0.5 is chance.

    Raises
    ------
    ValueError
        If the area is not defined for any class, too.

    Examples
    --------
    >>> import cnn
    >>> cnn.metrics.auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
    """
    where = "auc"
    targets = _arguments.numbers(where, "t", t)
    if targets.ndim == 2 and targets.shape[1] > 1:
        members, outputs = _arguments.values(where, t, y)
        strange = np.argwhere((members != 0) & (members != 1))
        if strange.size:
            row, column = strange[0]
            raise ValueError(
                f"{where}: t has {exact(members[row, column])} in row {row}, column {column}, "
                f"should be 0 or 1"
            )
        pairs = [(members[:, j] == 1, outputs[:, j]) for j in range(members.shape[1])]
    else:
        labels, scores = _arguments.classes(where, t, y)
        if scores.ndim == 1 or scores.shape[1] == 2:
            pairs = [_arguments.scored(where, t, y)]
        else:
            scores = np.asarray(scores, np.float64)
            pairs = [(labels == j, scores[:, j]) for j in range(scores.shape[1])]
    weights = _arguments.weights(where, sample_weight, len(targets))
    areas = [area for pair in pairs if (area := _area(*pair, weights)) is not None]
    if not areas:
        raise ValueError(
            f"{where}: t has rows of one class alone, should have rows of two at least"
        )
    return float(np.mean(areas))


def _area(positive: NDArray[np.bool_], score: Numbers, weights: Numbers) -> float | None:
    """Return the area under a ROC curve, or None if all rows with weight are of one class."""
    found, false, _ = _steps(positive, score, weights)
    if found[-1] == 0 or false[-1] == 0:
        return None
    # A trapezium for each score: rows of equal score count half.
    height = np.append(0.0, found)
    width = np.diff(false, prepend=0.0)
    return float((width * (height[1:] + height[:-1])).sum() / (2.0 * found[-1] * false[-1]))


def calibration_curve(
    t: ArrayLike,
    y: ArrayLike,
    *,
    bins: int = 10,
    strategy: Literal["uniform", "quantile"] = "uniform",
    sample_weight: ArrayLike | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how often class 1 comes true, by the probability that is predicted for it.

    Parameters
    ----------
    t : array_like of shape (n,)
        0 or 1 for each row.
    y : array_like of shape (n,), (n, 1) or (n, 2)
        The probability of class 1; of two columns, the second.
    bins : int, default 10
        Into how many ranges of probability the rows are divided.
    strategy : {"uniform", "quantile"}, default "uniform"
        Whether the ranges have equal widths, or about equal numbers of rows.
    sample_weight : array_like of shape (n,), optional
        The weight of each row.

    Returns
    -------
    share : ndarray of shape (m,)
        The share of class 1 in each range that has rows.
    mean : ndarray of shape (m,)
        The mean of y in the range. A calibrated network has about the same numbers in both.

    Examples
    --------
    >>> import cnn
    >>> cnn.metrics.calibration_curve([0, 1, 1, 1], [0.1, 0.3, 0.6, 0.8], bins=2)
    (array([0.5, 1. ]), array([0.2, 0.7]))
    """
    where = "calibration_curve"
    positive, p = _arguments.scored(where, t, y)
    checks.within(where, "y", p, 0.0, 1.0)
    bins = checks.integer(where, "bins", bins, 1)
    weights = _arguments.weights(where, sample_weight, len(p))
    edges = np.linspace(0.0, 1.0, bins + 1)
    if checks.choice(where, "strategy", strategy, ("uniform", "quantile")) == "quantile":
        edges = np.percentile(p, edges * 100)
    at = np.searchsorted(edges[1:-1], p)
    total = np.bincount(at, weights, bins)
    used = total > 0
    sums = np.bincount(at, weights * positive, bins), np.bincount(at, weights * p, bins)
    return sums[0][used] / total[used], sums[1][used] / total[used]
