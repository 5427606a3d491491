"""Arguments of metrics: targets, outputs and weights, checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from cnn import _core, losses
from cnn._base import checks

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Numbers: TypeAlias = NDArray[np.float64]


def numbers(where: str, name: str, values: ArrayLike) -> NDArray[Any]:
    """Return numbers of 1 or 2 dimensions, in their own type, with a row at least."""
    if name == "t":
        array = losses.numeric_targets(where, values)
    else:
        array = _core.numeric(where, name, values)
    if array.ndim not in (1, 2):
        raise ValueError(f"{where}: {name} has shape {array.shape}, should be (n,) or (n, outputs)")
    if array.size == 0:
        raise ValueError(f"{where}: {name} has shape {array.shape}, should have at least 1 row")
    return array


def _finite(where: str, name: str, array: NDArray[Any]) -> NDArray[Any]:
    """Return a copy of numbers that are checked to be finite.

    The copy comes first: an array of few bytes may have more numbers than can ever be checked.
    """
    found = np.array(array)
    checks.within(where, name, found)
    return found


def _check_rows(where: str, t: NDArray[Any], y: NDArray[Any]) -> None:
    if len(t) != len(y):
        raise ValueError(f"{where}: t has {len(t)} rows, but y has {len(y)}")


def weights(where: str, sample_weight: ArrayLike | None, rows: int) -> Numbers:
    """Return the weights of rows; their sum is large enough for a mean."""
    if sample_weight is None:
        return np.ones(rows)
    given = losses.checked_weights(where, sample_weight, rows, "t")
    found = np.asarray(given, np.float64)
    losses.refuse_total(where, "sample_weight", float(found.sum()))
    return found


def values(where: str, t: ArrayLike, y: ArrayLike) -> tuple[Numbers, Numbers]:
    """Return targets and outputs of one shape (n, outputs)."""
    targets, outputs = numbers(where, "t", t), numbers(where, "y", y)
    _check_rows(where, targets, outputs)
    shape = len(outputs), outputs.size // len(outputs)
    if targets.size != outputs.size:
        raise ValueError(f"{where}: t has shape {targets.shape}, but y has {outputs.shape}")
    targets, outputs = _finite(where, "t", targets), _finite(where, "y", outputs)
    return (
        np.asarray(targets, np.float64).reshape(shape),
        np.asarray(outputs, np.float64).reshape(shape),
    )


def labels(where: str, t: NDArray[Any], classes: int) -> NDArray[np.intp]:
    """Return class numbers, checked."""
    losses.check_labels(where, t, classes, "y")
    return np.asarray(t, np.intp).ravel()


def classes(where: str, t: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.intp], NDArray[Any]]:
    """Return class numbers (n,) and outputs (n, classes), or (n,) if class 1 alone has an output.

    Rows of probabilities in t stand for the class with the largest one.
    """
    targets, outputs = numbers(where, "t", t), numbers(where, "y", y)
    _check_rows(where, targets, outputs)
    if outputs.size == len(outputs):
        outputs = outputs.ravel()
    count = 2 if outputs.ndim == 1 else outputs.shape[1]
    if targets.size == len(targets):
        return labels(where, targets, count), _finite(where, "y", outputs)
    if targets.shape != outputs.shape:
        raise ValueError(
            f"{where}: t has shape {targets.shape}, should be ({len(outputs)},) class numbers"
            + ("" if outputs.ndim == 1 else f" or {outputs.shape} probabilities")
        )
    outputs = _finite(where, "y", outputs)
    return _finite(where, "t", targets).argmax(axis=1), outputs


def guesses(y: NDArray[Any]) -> NDArray[np.intp]:
    """Return the class of each row: the largest output, or whether the only one is above 1/2."""
    if y.ndim == 1:
        return np.asarray(y > 0.5, np.intp)
    found: NDArray[np.intp] = y.argmax(axis=1)
    return found


def scored(where: str, t: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.bool_], Numbers]:
    """Return, of two classes, whether each row is of class 1, and its score."""
    labels, outputs = classes(where, t, y)
    if outputs.ndim == 2:
        if outputs.shape[1] != 2:
            raise ValueError(
                f"{where}: y has {outputs.shape[1]} columns, should have the scores of one class; "
                f"for class c, give t == c and y[:, c]"
            )
        outputs = outputs[:, 1]
    return labels == 1, np.asarray(outputs, np.float64)
