"""Metrics of classifications."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cnn._base import checks
from cnn.metrics import _arguments

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from cnn.metrics._arguments import Numbers


def accuracy(t: ArrayLike, y: ArrayLike, *, sample_weight: ArrayLike | None = None) -> float:
    """Return the share of rows that are classified correctly.

    Parameters
    ----------
    t : array_like of shape (n,) or (n, k)
        Class numbers, or rows of probabilities, whose largest one is the class.
    y : array_like of shape (n, k), (n,) or (n, 1)
        The outputs. The class of a row is its largest output, the first one of equal ones; of a
        single output, class 1 if it is above 0.5.
    sample_weight : array_like of shape (n,), optional
        The weight of each row.

    Returns
    -------
    float
        The share, from 0 to 1.

    Examples
    --------
    >>> import cnn
    >>> cnn.metrics.accuracy([0, 1, 2], [[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.2, 0.3, 0.5]])
    1.0
    """
    labels, outputs = _arguments.classes("accuracy", t, y)
    weights = _arguments.weights("accuracy", sample_weight, len(labels))
    return float(weights[_arguments.guesses(outputs) == labels].sum() / weights.sum())


def top_k(
    t: ArrayLike, y: ArrayLike, *, k: int = 5, sample_weight: ArrayLike | None = None
) -> float:
    """Return the share of rows whose class is among the `k` largest outputs.

    Parameters
    ----------
    t
        As for `accuracy`.
    y : array_like of shape (n, classes)
        The outputs. Of equal ones the first counts as the largest, as in `accuracy`.
    k : int, default 5
        How many outputs; fewer than there are.
    sample_weight
        As for `accuracy`.

    Returns
    -------
    float
        The share, from 0 to 1.

    Examples
    --------
    >>> import cnn
    >>> cnn.metrics.top_k([0, 1], [[0.2, 0.5, 0.3], [0.1, 0.3, 0.6]], k=2)
    0.5
    """
    return _top("top_k", t, y, k, sample_weight)


def top5(t: ArrayLike, y: ArrayLike, *, sample_weight: ArrayLike | None = None) -> float:
    """Return the share of rows whose class is among the 5 largest outputs: `top_k` with k = 5.

    Parameters
    ----------
    t, y, sample_weight
        As for `top_k`.

    Returns
    -------
    float
        The share, from 0 to 1.

    Examples
    --------
    >>> import cnn
    >>> cnn.metrics.top5([0, 5], [[0.1, 0.1, 0.1, 0.2, 0.2, 0.3], [0.2, 0.2, 0.2, 0.2, 0.2, 0.0]])
    0.5
    """
    return _top("top5", t, y, 5, sample_weight)


def _top(where: str, t: ArrayLike, y: ArrayLike, k: int, sample_weight: ArrayLike | None) -> float:
    labels, outputs = _arguments.classes(where, t, y)
    if outputs.ndim == 1 or outputs.shape[1] <= k:
        classes = 2 if outputs.ndim == 1 else outputs.shape[1]
        raise ValueError(
            f"{where}: y has {classes} classes, should have more than {k}: with fewer, every row "
            f"counts"
        )
    k = checks.integer(where, "k", k, 1)
    weights = _arguments.weights(where, sample_weight, len(labels))
    own = outputs[np.arange(len(labels)), labels][:, None]
    before = np.arange(outputs.shape[1]) < labels[:, None]
    rank = ((outputs > own) | ((outputs == own) & before)).sum(axis=1)
    return float(weights[rank < k].sum() / weights.sum())


def log_loss(t: ArrayLike, y: ArrayLike, *, sample_weight: ArrayLike | None = None) -> float:
    """Return the mean of -log p over the rows, with p the probability of the row's class.

    With rows of probabilities in t it is the mean of ``-sum_j t_j log y_j``. So it is the loss
    cross_entropy without penalties, or binary_cross_entropy if there is one output. Outputs nearer
    to 0 or 1 than the precision eps of their type count as eps or 1 - eps, as in scikit-learn, so
    that the result is finite.

    Parameters
    ----------
    t : array_like of shape (n,) or (n, k)
        Class numbers, or rows of probabilities.
    y : array_like of shape (n, k), (n,) or (n, 1)
        Probabilities.
    sample_weight : array_like of shape (n,), optional
        The weight of each row.

    Returns
    -------
    float
        The mean, 0 or more.

    Examples
    --------
    >>> import cnn
    >>> cnn.metrics.log_loss([0, 1], [[0.5, 0.5], [0.75, 0.25]])
    1.0397207708399179
    """
    where = "log_loss"
    given = _arguments.numbers(where, "t", t)
    labels, outputs = _arguments.classes(where, given, y)
    weights = _arguments.weights(where, sample_weight, len(labels))
    checks.within(where, "y", outputs, 0.0, 1.0)
    narrow = outputs.dtype.kind == "f" and outputs.dtype.itemsize < 8
    eps = float(np.finfo(outputs.dtype if narrow else np.float64).eps)
    p = np.asarray(outputs, np.float64)
    p = np.clip(np.stack([1.0 - p, p], axis=1) if p.ndim == 1 else p, eps, 1.0 - eps)
    targets = np.asarray(given, np.float64)
    if targets.size == len(labels):
        losses = -np.log(p[np.arange(len(labels)), labels])
    else:
        checks.within(where, "t", targets, 0.0, 1.0)
        losses = -(targets * np.log(p)).sum(axis=1)
    return float((weights * losses).sum() / weights.sum())


def confusion_matrix(
    t: ArrayLike, y: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> Numbers:
    """Return how many rows of each class are taken for each class.

    Parameters
    ----------
    t, y, sample_weight
        As for `accuracy`.

    Returns
    -------
    ndarray of shape (classes, classes)
        The number of rows, or the sum of their weights, of class i that are taken for class j.

    Examples
    --------
    >>> import cnn
    >>> cnn.metrics.confusion_matrix([0, 0, 1], [0.1, 0.7, 0.9])
    array([[1., 1.],
           [0., 1.]])
    """
    return _confusion("confusion_matrix", t, y, sample_weight)


def _confusion(where: str, t: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None) -> Numbers:
    labels, outputs = _arguments.classes(where, t, y)
    weights = _arguments.weights(where, sample_weight, len(labels))
    classes = 2 if outputs.ndim == 1 else outputs.shape[1]
    pairs = labels * classes + _arguments.guesses(outputs)
    counts = np.asarray(np.bincount(pairs, weights, classes * classes), np.float64)
    return counts.reshape(classes, classes)


class ClassScores(NamedTuple):
    """Scores of each class, as `class_scores` returns them; each has shape (classes,).

    Examples
    --------
    >>> import cnn
    >>> scores = cnn.metrics.class_scores([0, 0, 1], [0.1, 0.7, 0.9])
    >>> scores._fields
    ('precision', 'recall', 'f1', 'support')
    >>> scores.support
    array([2., 1.])
    """

    precision: NDArray[np.float64]
    """Of the rows that are taken for the class, the share that are of it."""
    recall: NDArray[np.float64]
    """Of the rows of the class, the share that are taken for it."""
    f1: NDArray[np.float64]
    """The harmonic mean of precision and recall."""
    support: NDArray[np.float64]
    """How many rows are of the class, or the sum of their weights."""


def class_scores(
    t: ArrayLike, y: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> ClassScores:
    """Return precision, recall, F1 and support of each class.

    A score that would divide by 0 is 0: the precision of a class that no row is taken for, and the
    recall of one that no row is of.

    Parameters
    ----------
    t, y, sample_weight
        As for `accuracy`.

    Returns
    -------
    ClassScores
        Four arrays, with a number for each class.

    Examples
    --------
    >>> import cnn
    >>> scores = cnn.metrics.class_scores([0, 0, 1], [0.1, 0.7, 0.9])
    >>> scores.precision, scores.recall
    (array([1. , 0.5]), array([0.5, 1. ]))
    """
    return _class_scores("class_scores", t, y, sample_weight)


def _class_scores(
    where: str, t: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None
) -> ClassScores:
    counts = _confusion(where, t, y, sample_weight)
    right, support, taken = counts.diagonal(), counts.sum(axis=1), counts.sum(axis=0)
    return ClassScores(
        _quotient(right, taken),
        _quotient(right, support),
        _quotient(2.0 * right, support + taken),
        support,
    )


def _quotient(a: Numbers, b: Numbers) -> Numbers:
    """Return a / b, or 0 if b is 0."""
    return np.divide(a, b, out=np.zeros_like(b), where=b > 0)


def _mean_score(scores: Numbers) -> float:
    """Return the score of class 1 if there are two classes, else the mean over the classes."""
    return float(scores[1] if len(scores) == 2 else scores.mean())


def precision(t: ArrayLike, y: ArrayLike, *, sample_weight: ArrayLike | None = None) -> float:
    """Return the precision of class 1 of two classes, or the mean over more classes.

    `class_scores` gives the precision of each class.

    Parameters
    ----------
    t, y, sample_weight
        As for `class_scores`.

    Returns
    -------
    float
        The precision, from 0 to 1.

    Examples
    --------
    >>> import cnn
    >>> cnn.metrics.precision([0, 0, 1], [0.1, 0.7, 0.9])
    0.5
    """
    return _mean_score(_class_scores("precision", t, y, sample_weight).precision)


def recall(t: ArrayLike, y: ArrayLike, *, sample_weight: ArrayLike | None = None) -> float:
    """Return the recall of class 1 of two classes, or the mean over more classes.

    `class_scores` gives the recall of each class.

    Parameters
    ----------
    t, y, sample_weight
        As for `class_scores`.

    Returns
    -------
    float
        The recall, from 0 to 1.

    Examples
    --------
    >>> import cnn
    >>> cnn.metrics.recall([0, 0, 1], [0.1, 0.7, 0.9])
    1.0
    """
    return _mean_score(_class_scores("recall", t, y, sample_weight).recall)


def f1(t: ArrayLike, y: ArrayLike, *, sample_weight: ArrayLike | None = None) -> float:
    """Return the F1 score of class 1 of two classes, or the mean over more classes.

    `class_scores` gives the score of each class.

    Parameters
    ----------
    t, y, sample_weight
        As for `class_scores`.

    Returns
    -------
    float
        The score, from 0 to 1.

    Examples
    --------
    >>> import cnn
    >>> cnn.metrics.f1([0, 1, 1, 0], [0.1, 0.7, 0.2, 0.9])
    0.5
    """
    return _mean_score(_class_scores("f1", t, y, sample_weight).f1)
