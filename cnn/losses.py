"""Losses, with the output layers and the targets that they take."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from cnn import _core
from cnn._base import checks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from cnn.activations import Unchecked

__all__ = ["BinaryCrossEntropy", "CrossEntropy", "Huber", "Loss", "Poisson", "SquaredError"]

OUTPUT_LAYER = "the output layer"


@dataclass(frozen=True)
class Loss:
    """The base of losses, which training minimises.

    The loss of a batch is the mean of the losses of its rows, weighted by sample weight times
    class weight. A network adds the L2 penalties of its layers to it. A row of weight 0 has no
    effect on loss, gradient and accuracy, even if its numbers are not finite.

    Subclasses are the losses. A name, such as "huber", stands for a loss with default settings.

    Examples
    --------
    >>> import cnn
    >>> loss = cnn.CrossEntropy()
    >>> loss.name, loss.output, loss.takes_labels
    ('cross_entropy', 'softmax', True)
    """

    name: ClassVar[str]
    """The name of the loss, which arguments may give."""
    output: ClassVar[str | None] = None
    """The activation that the output layer must have; None for any but softmax."""
    has_accuracy: ClassVar[bool] = False
    """Whether outputs and targets are classes, so that there is an accuracy."""
    takes_labels: ClassVar[bool] = False
    """Whether targets may be class numbers."""
    target_range: ClassVar[tuple[float, float]] = (-math.inf, math.inf)
    """The smallest and the largest target; infinite ones are never allowed."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        # The entry in the list in cnn.h.
        name = getattr(cls, "name", "")
        cls.output = _core.LOSS_OUTPUTS.get(name)
        cls.has_accuracy = name in _core.HAS_ACCURACY

    def compiled(
        self, *, labels: bool = False, class_weight: NDArray[np.float64] | None = None
    ) -> _core.Loss:
        """Return the loss as libcnn takes it, for targets that are class numbers or rows."""
        return _core.Loss(self.name, labels=labels, class_weight=class_weight)


@dataclass(frozen=True)
class SquaredError(Loss):
    """Half the squared error: the loss of a row is ``1/2 sum_j (y_j - t_j)^2``.

    The default if the output layer has neither softmax nor sigmoid. Every output activation except
    softmax is allowed. With one output it is half of the mean squared error ("mse") of other
    libraries, and so is its gradient. See `cnn.squared_error`, and `cnn.metrics.mse` for the other.

    Examples
    --------
    >>> import cnn
    >>> cnn.SquaredError()
    SquaredError()
    """

    name: ClassVar[str] = "squared_error"


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """Cross-entropy: the loss of a row is ``-sum_j t_j log y_j`` with y from a softmax.

    The default if the output layer has softmax, which it requires. Targets are class numbers (n,)
    or rows of probabilities (n, k). See `cnn.cross_entropy`.

    Parameters
    ----------
    label_smoothing : float, default 0.0
        s in ``t <- (1 - s) t + s / k`` for k classes, 0 <= s < 1.

    Notes
    -----
    With ``class_weight`` c, the smoothed targets are weighted by class too, as in PyTorch's
    ``CrossEntropyLoss(weight=c, label_smoothing=s)``: with u the sample weights and l_ij = -log
    y_ij, the loss of a batch is ``sum_i u_i ((1 - s) c_label(i) l_i,label(i) + s / k sum_j c_j
    l_ij) / sum_i u_i c_label(i)``.

    Examples
    --------
    >>> import cnn
    >>> cnn.CrossEntropy(label_smoothing=0.1)
    CrossEntropy(label_smoothing=0.1)
    """

    name: ClassVar[str] = "cross_entropy"
    takes_labels: ClassVar[bool] = True
    target_range: ClassVar[tuple[float, float]] = (0.0, math.inf)

    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        checks.real("CrossEntropy", "label_smoothing", self.label_smoothing, below=1.0)

    def compiled(
        self, *, labels: bool = False, class_weight: NDArray[np.float64] | None = None
    ) -> _core.Loss:
        """Return the loss as libcnn takes it, for targets that are class numbers or rows."""
        return _core.Loss(
            self.name,
            labels=labels,
            label_smoothing=self.label_smoothing,
            class_weight=class_weight,
        )


@dataclass(frozen=True)
class BinaryCrossEntropy(Loss):
    """Binary cross-entropy: that of a sigmoid for each output.

    The loss of a row is ``-sum_j t_j log y_j + (1 - t_j) log(1 - y_j)``. The default if the output
    layer has sigmoid, which it requires. Targets are from 0 to 1. A row counts as classified
    correctly if all its outputs are on the right side of 0.5. See `cnn.binary_cross_entropy`.

    Examples
    --------
    >>> import cnn
    >>> cnn.BinaryCrossEntropy()
    BinaryCrossEntropy()
    """

    name: ClassVar[str] = "binary_cross_entropy"
    target_range: ClassVar[tuple[float, float]] = (0.0, 1.0)


@dataclass(frozen=True)
class Huber(Loss):
    """Huber's loss: a squared error for small errors, a linear one for large ones.

    With r = y_j - t_j, the loss of a row is the sum over j of ``r^2 / 2`` if ``|r| <= delta``, and
    of ``delta (|r| - delta / 2)`` otherwise. Every output activation except softmax is allowed. See
    `cnn.huber`.

    Parameters
    ----------
    delta : float, default 1.0
        The ``|r|`` above which the loss is linear; more than 0.

    Examples
    --------
    >>> import cnn
    >>> cnn.Huber(delta=2.0)
    Huber(delta=2.0)
    """

    name: ClassVar[str] = "huber"

    delta: float = 1.0

    def __post_init__(self) -> None:
        checks.positive("Huber", "delta", self.delta, most=_core.LARGEST)

    def compiled(
        self, *, labels: bool = False, class_weight: NDArray[np.float64] | None = None
    ) -> _core.Loss:
        """Return the loss as libcnn takes it, for targets that are class numbers or rows."""
        return _core.Loss(self.name, labels=labels, delta=self.delta, class_weight=class_weight)


@dataclass(frozen=True)
class Poisson(Loss):
    """Negative log-likelihood of counts: the loss of a row is ``sum_j exp(y_j) - t_j y_j``.

    It requires identity in the output layer, whose outputs are the logarithms of the rates. Targets
    are 0 or more. See `cnn.poisson`.

    Examples
    --------
    >>> import cnn
    >>> cnn.Poisson()
    Poisson()
    """

    name: ClassVar[str] = "poisson"
    target_range: ClassVar[tuple[float, float]] = (0.0, math.inf)


LOSSES: Mapping[str, type[Loss]] = {
    loss.name: loss for loss in (SquaredError, CrossEntropy, BinaryCrossEntropy, Huber, Poisson)
}

# The default losses of output activations, which are computed from the logits. The default for all
# other activations is SquaredError.
_DEFAULTS: Mapping[Unchecked | None, type[Loss]] = {
    loss.output: loss for name, loss in LOSSES.items() if name in _core.TAKES_LOGITS
}


def resolve(where: str, loss: str | Loss | None, activation: Unchecked, outputs: int) -> Loss:
    """Return the given or the default loss; refuse one that the output layer does not allow."""
    if loss is None:
        chosen: Loss = _DEFAULTS.get(activation, SquaredError)()
    elif isinstance(loss, str):
        if loss not in LOSSES:
            from cnn._base.hints import SAME  # noqa: PLC0415  # for other names alone

            loss = SAME["loss"].get(loss, loss)
        chosen = LOSSES[checks.choice(where, "loss", loss, LOSSES)]()
    elif isinstance(loss, Loss):
        chosen = loss
    else:
        what = loss.__name__ if isinstance(loss, type) else f"of type {type(loss).__name__}"
        raise TypeError(f"{where}: loss is {what}, should be a name or an object like cnn.Huber()")
    if chosen.output is not None and chosen.output != activation:
        raise ValueError(
            f"{where}: loss {chosen.name} needs an output layer with activation {chosen.output}, "
            f"but it has {activation}"
        )
    if chosen.output is None and activation == "softmax":
        raise ValueError(
            f"{where}: loss {chosen.name} does not go with an output layer with activation "
            f"softmax; should be cross_entropy"
        )
    if chosen.name == CrossEntropy.name:
        check_classes(where, outputs)
    return chosen


def check_classes(where: str, outputs: int, holder: str = OUTPUT_LAYER) -> None:
    """Refuse the cross-entropy of one class; `holder` names the owner of the classes."""
    if outputs == 1:
        raise ValueError(
            f"{where}: {holder} has 1 class, whose softmax is always 1 and whose cross_entropy is "
            f"always 0; should be 1 output with sigmoid and binary_cross_entropy, or 2 classes"
        )


# ---- Targets and weights -----------------------------------------------------------------------


def checked_targets(
    where: str,
    t: ArrayLike,
    loss: Loss,
    rows: int,
    outputs: int,
    dtype: np.dtype[Any],
    z: str = "",
) -> NDArray[Any]:
    """Return targets as an array, their shape and numbers checked.

    Parameters
    ----------
    where : str
        The function that the user called.
    t : array_like
        The targets.
    loss : Loss
        The loss that they are for.
    rows, outputs : int
        The shape of the outputs.
    dtype : numpy.dtype
        Their type, in which the targets must be finite.
    z : str, optional
        The argument with the outputs; by default they are the network's outputs.
    """
    array = numeric_targets(where, t)
    labels = loss.takes_labels and array.ndim == 1
    if array.ndim in (1, 2) and array.shape[0] != rows:
        raise ValueError(f"{where}: t has {array.shape[0]} rows, but {z or 'x'} has {rows}")
    if not labels and array.shape != (rows, outputs) and (outputs > 1 or array.shape != (rows,)):
        if loss.takes_labels:
            should = f"({rows},) class numbers or ({rows}, {outputs}) probabilities"
        else:
            should = f"({rows}, {outputs})" + (f" or ({rows},)" if outputs == 1 else "")
        raise ValueError(f"{where}: t has shape {array.shape}, should be {should}")
    if labels:
        check_labels(where, array, outputs, z or OUTPUT_LAYER)
    else:
        checks.within(where, "t", array, *loss.target_range, dtype=dtype)
    return array


def numeric_targets(where: str, t: ArrayLike) -> NDArray[Any]:
    """Return targets as an array of numbers; the error for texts says how to number them."""
    try:
        return _core.numeric(where, "t", t)
    except TypeError:
        text = _first_text(t)
        if text is None:
            raise
        raise TypeError(
            f"{where}: t has dtype {np.asarray(t).dtype}, texts such as {text!r:.50}, should be "
            f"numbers; convert it with astype(float) if its texts are numbers, or number the "
            f"classes by numpy.unique(t, return_inverse=True)[1]. cnn.tabular.TableModel and "
            f"cnn.sklearn.MLPClassifier take texts"
        ) from None


def _first_text(t: object) -> str | None:
    """Return the first item of targets if it is a text; of a frame, the error has the column."""
    if _core.column_names(t) is not None:
        return None
    try:
        first = np.asarray(t, object).ravel()[:1].tolist()
    except Exception:  # foreign code, which may raise anything
        return None
    return first[0] if first and isinstance(first[0], str) else None


def check_labels(where: str, t: NDArray[Any], classes: int, holder: str = OUTPUT_LAYER) -> None:
    """Refuse labels that are not class numbers; `holder` names the owner of the classes."""
    at = _core.first_outside(t, 0, classes - 1, whole=True)
    if at < 0:
        return
    label = t[at].item()
    if not isinstance(label, float) or label.is_integer():
        label = int(label)
    raise ValueError(
        f"{where}: t has label {label}, but {holder} has {classes} classes "
        f"(labels 0 to {classes - 1}); it is in row {at}"
    )


def checked_weights(
    where: str, sample_weight: ArrayLike | None, rows: int, x: str = "x"
) -> NDArray[Any] | None:
    """Return sample weights as an array, their shape and numbers checked."""
    if sample_weight is None:
        return None
    array = _core.numeric(where, "sample_weight", sample_weight)
    if array.shape != (rows,):
        raise ValueError(
            f"{where}: sample_weight has shape {array.shape}, should be ({rows},), a number for "
            f"each row of {x}"
        )
    checks.within(where, "sample_weight", array, 0.0, most=_core.LARGEST_WEIGHT)
    return array


def checked_class_weight(
    where: str,
    class_weight: Mapping[int, float] | Sequence[float] | NDArray[Any] | str | None,
    outputs: int,
    labels: NDArray[Any] | None,
) -> NDArray[np.float64] | None:
    """Return class weights as an array with a number for each class, 1 by default.

    `labels` are the checked class numbers of the rows; None if targets are no class numbers.
    """
    if class_weight is None:
        return None
    if labels is None:
        raise ValueError(
            f"{where}: class_weight is given, but t does not hold class numbers of a softmax; "
            f"use sample_weight, such as numpy.where(t == 1, 5.0, 1.0)"
        )
    if isinstance(class_weight, str):
        if class_weight != "balanced":
            raise ValueError(
                f"{where}: class_weight is {class_weight!r}, should be 'balanced', a dict, or a "
                f"number for each class"
            )
        return balanced(labels, outputs)
    if isinstance(class_weight, Mapping):
        array = np.ones(outputs)
        for label, weight in class_weight.items():
            key = checks.integer(where, "a label in class_weight", label, 0, outputs - 1)
            name = f"class_weight[{label}]"
            array[key] = checks.real(where, name, weight, most=_core.LARGEST_WEIGHT)
        return array
    given = _core.numeric(where, "class_weight", class_weight)
    if given.shape != (outputs,):
        raise ValueError(
            f"{where}: class_weight has shape {given.shape}, should be ({outputs},), a number for "
            f"each class, or a dict"
        )
    checks.within(where, "class_weight", given, 0.0, most=_core.LARGEST_WEIGHT)
    return given.astype(np.float64)


# Rows whose weights are added up, or labels counted, at a time.
_ROWS = 65536


def balanced(labels: NDArray[Any], outputs: int) -> NDArray[np.float64]:
    """Return the weights with which each class of the labels has the same total.

    It is n / (classes count) for a class with count of the n rows, with classes the number of those
    that there are, as in scikit-learn's compute_class_weight; 1 for a class without rows.
    """
    counts = np.zeros(outputs)
    for first in range(0, len(labels), _ROWS):
        counts += np.bincount(np.asarray(labels[first : first + _ROWS], np.intp), minlength=outputs)
    return balanced_of(counts)


def balanced_of(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the weights of `balanced` for classes with these numbers of rows."""
    there = counts > 0
    each = counts.sum() / (np.count_nonzero(there) * counts[there])
    found = np.ones(counts.size)
    found[there] = each
    return found


def row_weights(
    rows: slice | NDArray[Any],
    t: NDArray[Any],
    sample_weight: NDArray[Any] | None,
    class_weight: NDArray[np.float64] | None,
) -> NDArray[np.float64] | None:
    """Return sample weight times class weight of some rows in float64; None if all are 1.

    With `class_weight`, t holds labels.
    """
    found = None if sample_weight is None else np.asarray(sample_weight[rows], np.float64)
    if class_weight is None:
        return found
    per_class: NDArray[np.float64] = class_weight[np.asarray(t[rows], np.intp)]
    return per_class if found is None else found * per_class


def check_total_weight(
    where: str,
    t: NDArray[Any],
    sample_weight: NDArray[Any] | None,
    class_weight: NDArray[np.float64] | None,
) -> None:
    """Refuse checked weights whose sum is too small for a mean.

    With `class_weight`, t holds labels.
    """
    total = 0.0
    for first in range(0, len(t), _ROWS):
        weights = row_weights(slice(first, first + _ROWS), t, sample_weight, class_weight)
        if weights is None:
            return
        total += float(weights.sum())
        if total >= _core.LEAST_WEIGHT_SUM:
            return
    given = {"sample_weight": sample_weight, "class_weight": class_weight}
    names = [name for name, value in given.items() if value is not None]
    refuse_total(where, " times ".join(names), total)


def refuse_total(where: str, name: str, total: float) -> None:
    """Refuse weights if their sum is too small for a mean."""
    if total == 0:
        raise ValueError(f"{where}: {name} is 0 in all rows, should be more in one at least")
    if total < _core.LEAST_WEIGHT_SUM:
        raise ValueError(
            f"{where}: {name} adds up to {total:g} over all rows, should be at least "
            f"{_core.LEAST_WEIGHT_SUM:g}"
        )
