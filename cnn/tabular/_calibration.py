"""The temperature by which the probabilities of networks are calibrated."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn import _core

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# The least and the largest temperature, and steps of the search, each of which halves the range of
# its logarithm.
_LEAST, _MOST = 1 / 32, 32.0
_STEPS = 50


def mean(values: NDArray[np.float64], weight: NDArray[np.float64] | None = None) -> float:
    """Return the mean of values, of which each may have a weight.

    It has the same bits on every machine; the order of NumPy's sums depends on the machine.
    """
    ones = np.ones((1, len(values)))
    columns = np.stack((values, np.ones(len(values))), axis=1)
    if weight is not None:
        columns *= weight[:, np.newaxis]
    total, count = _core.dense(ones, columns, None, "identity")[0].tolist()
    return float(total / count)


def row_sums(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sum of each row, added from left to right.

    NumPy's own sum has another order along rows, and for a single row too.
    """
    columns = np.ascontiguousarray(values.T)
    sums: NDArray[np.float64] = columns[0].copy()
    for column in columns[1:]:
        sums += column
    return sums


def temperature_of(
    logits: Sequence[NDArray[Any]], classes: NDArray[Any], weights: NDArray[Any] | None
) -> float:
    """Return the temperature whose probabilities give the classes the least cross-entropy.

    `logits` has the logits z of each network. One of the weights at least is more than 0. The
    probabilities of a row are the mean of softmax(z / T) over the networks (C. Guo, G. Pleiss, Y.
    Sun and K. Q. Weinberger, "On calibration of modern neural networks", ICML 2017). The derivative
    of the cross-entropy by 1 / T has one root for one network, and is found by bisection. It needs
    no logarithm, so that the result has the same bits on every machine.
    """
    shares = np.ones(len(classes)) if weights is None else weights.astype(np.float64)
    parts = [z.astype(np.float64) for z in logits]
    low, high = 1 / _MOST, 1 / _LEAST
    for _ in range(_STEPS):
        middle = math.sqrt(low * high)
        if math.fsum(shares * _slopes(middle, parts, classes)) > 0:
            low = middle
        else:
            high = middle
    return 1 / math.sqrt(low * high)


def _slopes(
    factor: float, logits: Sequence[NDArray[np.float64]], classes: NDArray[Any]
) -> NDArray[np.float64]:
    """Return the derivative of log(mean of softmax(factor z))[class] by the factor, for each row.

    That of one network is z[class] minus the mean of z under its probabilities p; those of several
    count by their shares of p[class].
    """
    total, sums = np.zeros(len(classes)), np.zeros(len(classes))
    places = np.arange(len(classes)), classes
    for z in logits:
        p = _core.softmax(factor * z)
        # The least number stands in for 0, so that a class of which no network thinks counts too.
        share = np.maximum(p[places], np.finfo(np.float64).tiny)
        total += share
        sums += share * (z[places] - row_sums(p * z))
    slopes: NDArray[np.float64] = sums / total
    return slopes
