"""Metrics of regressions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from cnn._base.regression import BLOCK, Regression
from cnn.metrics import _arguments

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def mse(t: ArrayLike, y: ArrayLike, *, sample_weight: ArrayLike | None = None) -> float:
    """Return the mean squared error: the mean of ``(y - t)^2`` over the rows and the outputs.

    The loss squared_error is the mean over the rows of ``1/2 sum_j (y_j - t_j)^2``: for one output
    half of this number, L2 penalties aside.

    Parameters
    ----------
    t, y : array_like of shape (n,) or (n, outputs)
        Targets and outputs.
    sample_weight : array_like of shape (n,), optional
        The weight of each row.

    Returns
    -------
    float
        The mean, 0 or more.

    Examples
    --------
    >>> import cnn
    >>> cnn.metrics.mse([1.0, 3.0], [0.0, 1.0])
    2.5
    """
    return _regression("mse", t, y, sample_weight).mse


def rmse(t: ArrayLike, y: ArrayLike, *, sample_weight: ArrayLike | None = None) -> float:
    """Return the root of the mean squared error, which is in the units of the targets.

    With several outputs, it is the root of the mean over all of them.

    Parameters
    ----------
    t, y, sample_weight
        As for `mse`.

    Returns
    -------
    float
        The root, 0 or more.

    Examples
    --------
    >>> import cnn
    >>> cnn.metrics.rmse([1.0, 3.0], [0.0, 4.0])
    1.0
    """
    return math.sqrt(_regression("rmse", t, y, sample_weight).mse)


def mae(t: ArrayLike, y: ArrayLike, *, sample_weight: ArrayLike | None = None) -> float:
    """Return the mean absolute error: the mean of ``|y - t|`` over the rows and the outputs.

    Parameters
    ----------
    t, y, sample_weight
        As for `mse`.

    Returns
    -------
    float
        The mean, 0 or more.

    Examples
    --------
    >>> import cnn
    >>> cnn.metrics.mae([1.0, 3.0], [0.0, 1.0])
    1.5
    """
    return _regression("mae", t, y, sample_weight).mae


def r2(t: ArrayLike, y: ArrayLike, *, sample_weight: ArrayLike | None = None) -> float:
    """Return R², the coefficient of determination: 1 - sum (t - y)^2 / sum (t - mean t)^2.

    1 is perfect, and 0 is what the mean of the targets would get. With several outputs it is the
    mean of their R². An output whose targets are all equal, so that the divisor is 0, counts as 1
    if it is perfect and else as 0, as in scikit-learn.

    Parameters
    ----------
    t, y, sample_weight
        As for `mse`.

    Returns
    -------
    float
        The number, 1 or less.

    Examples
    --------
    >>> import cnn
    >>> cnn.metrics.r2([1.0, 2.0, 3.0], [1.0, 2.0, 4.0])
    0.5
    """
    return _regression("r2", t, y, sample_weight).r2


def _regression(
    where: str, t: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None
) -> Regression:
    """Return the sums of errors of outputs; `where` is for messages."""
    targets, outputs = _arguments.values(where, t, y)
    found = Regression(targets, _arguments.weights(where, sample_weight, len(targets)))
    for first in range(0, len(outputs), BLOCK):
        found.add(first, outputs[first : first + BLOCK])
    return found
