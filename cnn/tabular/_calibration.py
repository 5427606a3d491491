"""Probabilities that are calibrated by a temperature."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# The temperatures that are tried, and steps of the search, each of which leaves 0.618 of the range.
_LEAST, _MOST = 1 / 32, 32.0
_STEPS = 60
_GOLDEN = (math.sqrt(5.0) - 1) / 2


def tempered(probabilities: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Return softmax(log p / temperature) of each row."""
    with np.errstate(divide="ignore"):  # log(0) is -inf, whose probability stays 0
        logits = np.log(probabilities) / temperature
    logits -= logits.max(axis=1, keepdims=True)
    terms = np.exp(logits)
    found: NDArray[np.float64] = terms / terms.sum(axis=1, keepdims=True)
    return found


def temperature_of(
    probabilities: NDArray[np.float64], classes: NDArray[Any], weights: NDArray[Any] | None
) -> float:
    """Return the temperature whose probabilities give the classes the least cross-entropy.

    C. Guo, G. Pleiss, Y. Sun and K. Q. Weinberger, "On calibration of modern neural networks", ICML
    2017. By golden-section search over its logarithm, of which the cross-entropy of softmax(z / T)
    is a function with one minimum.
    """
    rows = np.arange(len(classes))
    shares = np.ones(len(classes)) if weights is None else np.asarray(weights, dtype=np.float64)

    def cross_entropy(logarithm: float) -> float:
        chosen = tempered(probabilities, math.exp(logarithm))[rows, classes]
        return -math.fsum(shares * np.log(np.maximum(chosen, np.finfo(np.float64).tiny)))

    low, high = math.log(_LEAST), math.log(_MOST)
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    of_left, of_right = cross_entropy(left), cross_entropy(right)
    for _ in range(_STEPS):
        if of_left < of_right:
            high, right, of_right = right, left, of_left
            left = high - _GOLDEN * (high - low)
            of_left = cross_entropy(left)
        else:
            low, left, of_left = left, right, of_right
            right = low + _GOLDEN * (high - low)
            of_right = cross_entropy(right)
    return math.exp((low + high) / 2)
