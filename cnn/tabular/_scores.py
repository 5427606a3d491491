"""The scores of a table's model: what `TableModel.evaluate` and ``cnn evaluate`` return."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn import metrics
from cnn._tables.table import Category

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cnn._tables.preprocessing import Preprocessing


def scores(plan: Preprocessing, y: NDArray[Any], goal: NDArray[np.float64]) -> dict[str, Any]:
    """Return the scores of predictions.

    `y` has the probabilities (n, classes) or numbers (n, 1) that `Preprocessing.outputs` returns;
    `goal` has the indices of the classes, or the numbers.
    """
    target = plan.target
    if isinstance(target, Category):
        return _of_classes(target.categories, y, goal.astype(np.intp))
    return _of_numbers(y[:, 0], goal)


def _of_classes(
    names: tuple[str, ...], y: NDArray[Any], labels: NDArray[np.intp]
) -> dict[str, Any]:
    each = metrics.class_scores(labels, y)
    columns = (each.precision, each.recall, each.f1, each.support)
    return {
        "rows": len(labels),
        "accuracy": metrics.accuracy(labels, y),
        "log_loss": metrics.log_loss(labels, y),
        # Not defined if all rows are of one class.
        "auc": metrics.auc(labels, y) if len(np.unique(labels)) > 1 else None,
        "classes": {
            name: {
                "precision": precision,
                "recall": recall,
                "f1": f1,
                "support": int(support),
            }
            for name, precision, recall, f1, support in zip(
                names, *(column.tolist() for column in columns), strict=True
            )
        },
    }


def _of_numbers(y: NDArray[np.float64], t: NDArray[np.float64]) -> dict[str, Any]:
    # Squares of large numbers overflow. Scaling by a power of two is exact.
    power = math.frexp(float(max(np.abs(y).max(), np.abs(t).max())))[1]
    small_y, small_t = np.ldexp(y, -power), np.ldexp(t, -power)
    return {
        "rows": len(t),
        "rmse": math.ldexp(metrics.rmse(small_t, small_y), power),
        "mae": math.ldexp(metrics.mae(small_t, small_y), power),
        # Not defined if all numbers are equal.
        "r2": metrics.r2(small_t, small_y) if np.ptp(small_t) > 0 else None,
    }
