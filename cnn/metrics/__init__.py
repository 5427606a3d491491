"""Metrics of predictions, in float64, with the definitions and defaults of scikit-learn.

Each function takes the targets ``t`` and the outputs ``y``, as `cnn.Sequential.predict` returns
them, one row for each sample. Classes are numbers from 0 on. The outputs of two classes are either
two columns of a softmax, or one number for each row: the probability of class 1 from a sigmoid.
``sample_weight`` has the weight of each row, 0 or more; by default all are 1.

Each function raises TypeError if an argument does not hold numbers, and ValueError if a shape is
wrong, or a number is not finite or not in range.

>>> import cnn
>>> t, y = [0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]
>>> cnn.metrics.accuracy(t, y), cnn.metrics.auc(t, y)
(0.75, 0.75)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnn.metrics._classes import (
    ClassScores,
    accuracy,
    class_scores,
    confusion_matrix,
    f1,
    log_loss,
    precision,
    recall,
    top5,
    top_k,
)
from cnn.metrics._curves import auc, calibration_curve, precision_recall_curve, roc_curve
from cnn.metrics._values import mae, mse, r2, rmse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "ClassScores",
    "accuracy",
    "auc",
    "calibration_curve",
    "class_scores",
    "confusion_matrix",
    "f1",
    "log_loss",
    "mae",
    "mse",
    "precision",
    "precision_recall_curve",
    "r2",
    "recall",
    "rmse",
    "roc_curve",
    "top5",
    "top_k",
]

BY_NAME: Mapping[str, Callable[..., float]] = {
    function.__name__: function
    for function in (
        accuracy,
        auc,
        f1,
        log_loss,
        mae,
        mse,
        precision,
        r2,
        recall,
        rmse,
        top5,
    )
}
"""The metrics that arguments may give by name."""

HIGHER_IS_BETTER = frozenset({"accuracy", "auc", "f1", "precision", "r2", "recall", "top5"})
"""The names of metrics of which more is better."""
