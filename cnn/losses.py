"""Losses, with the output layers and the targets that they take."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from cnn import _core
from cnn._base import checks
from cnn._base.numbers import exact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from cnn.activations import Unchecked

__all__ = [
    "AbsoluteError",
    "BinaryCrossEntropy",
    "CrossEntropy",
    "Huber",
    "Loss",
    "Poisson",
    "Quantile",
    "SquaredError",
]

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
    shares_target: ClassVar[bool] = False
    """Whether all outputs of a row may have one target."""
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


@dataclass(frozen=True)
class AbsoluteError(Loss):
    """The absolute error: the loss of a row is ``sum_j |y_j - t_j|``.

    It is least if the outputs are medians of the targets, which a few outliers do not move. Every
    output activation except softmax is allowed. With one output it is the mean absolute error
    ("mae") of other libraries. See `cnn.absolute_error`.

    Notes
    -----
    The size of the derivative does not depend on that of the error, so that steps do not become
    smaller near the minimum. Use a learning rate that falls, such as `cnn.CosineDecay`.

    Examples
    --------
    >>> import cnn
    >>> cnn.AbsoluteError()
    AbsoluteError()
    """

    name: ClassVar[str] = "absolute_error"


@dataclass(frozen=True)
class Quantile(Loss):
    """The quantile loss, or pinball loss, with a level q_j for each output.

    The loss of a row is ``sum_j max(q_j (t_j - y_j), (q_j - 1) (t_j - y_j))``. Output j then learns
    the q_j-quantile of the targets: a number that a share q_j of them is below [1]_. Every output
    activation except softmax is allowed. See `cnn.quantile_loss`.

    Targets of shape (n,) or (n, 1) are those of all outputs. Targets of shape (n, outputs) are one
    for each output.

    Parameters
    ----------
    quantiles : tuple of float, default (0.1, 0.5, 0.9)
        The levels, one for each output of the network. Each is more than 0 and less than 1, and
        more than the one before it. A float stands for a tuple with one level.

    Notes
    -----
    The size of the derivative does not depend on that of the error, so that steps do not become
    smaller near the minimum. Use a learning rate that falls, such as `cnn.CosineDecay`. The outputs
    are trained independently of each other: that of a higher level may be smaller in some rows.

    References
    ----------
    .. [1] R. Koenker and G. Bassett, "Regression quantiles", Econometrica, 46 (1), 1978, 33-50.

    Examples
    --------
    >>> import cnn
    >>> import numpy as np
    >>> x, t = np.zeros((99, 1)), np.arange(1.0, 100.0)
    >>> net = cnn.Sequential([cnn.Dense(1, 3)], rng=0)
    >>> optimizer = cnn.Adam(cnn.CosineDecay(1.0, steps=1000))
    >>> history = net.fit(
    ...     x, t, epochs=1000, batch_size=99, loss=cnn.Quantile((0.25, 0.5, 0.75)),
    ...     optimizer=optimizer,
    ... )
    >>> net.predict([0.0]).round().tolist()
    [25.0, 50.0, 75.0]
    """

    name: ClassVar[str] = "quantile"
    shares_target: ClassVar[bool] = True

    quantiles: Sequence[float] | NDArray[Any] | float = (0.1, 0.5, 0.9)

    def __post_init__(self) -> None:
        object.__setattr__(self, "quantiles", checked_quantiles("Quantile", self.quantiles))

    def compiled(
        self, *, labels: bool = False, class_weight: NDArray[np.float64] | None = None
    ) -> _core.Loss:
        """Return the loss as libcnn takes it, for targets that are class numbers or rows."""
        return _core.Loss(
            self.name,
            labels=labels,
            class_weight=class_weight,
            quantiles=np.array(self.quantiles, np.float64, ndmin=1),
        )


def checked_quantiles(where: str, quantiles: object) -> tuple[float, ...]:
    """Return levels of `Quantile` as a tuple."""
    if isinstance(quantiles, np.ndarray):
        quantiles = quantiles.tolist()
    if not isinstance(quantiles, (tuple, list)):
        return (checks.between(where, "quantiles", quantiles, 0.0, 1.0),)
    if not quantiles:
        raise ValueError(f"{where}: quantiles is empty, should have a number for each output")
    levels = [
        checks.between(where, f"quantiles[{i}]", level, 0.0, 1.0)
        for i, level in enumerate(quantiles)
    ]
    for i, (level, following) in enumerate(itertools.pairwise(levels), 1):
        if following <= level:
            raise ValueError(
                f"{where}: quantiles[{i}] is {exact(following)}, should be more than "
                f"{exact(level)}, the one before it"
            )
    return tuple(levels)


LOSSES: Mapping[str, type[Loss]] = {
    loss.name: loss
    for loss in (
        *(SquaredError, CrossEntropy, BinaryCrossEntropy, Huber, Poisson),
        *(AbsoluteError, Quantile),
    )
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
    check_outputs(where, chosen, outputs)
    return chosen


def check_outputs(where: str, loss: Loss, outputs: int, holder: str = OUTPUT_LAYER) -> None:
    """Refuse a number of outputs that a loss does not take; `holder` names what has them."""
    if loss.name == CrossEntropy.name:
        check_classes(where, outputs, holder)
    if not isinstance(loss, Quantile):
        return
    levels = checked_quantiles(where, loss.quantiles)
    if len(levels) != outputs:
        raise ValueError(
            f"{where}: quantiles has {len(levels)} levels {levels}, but {holder} has {outputs} "
            f"outputs, should be a level for each"
        )


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
    shared = loss.shares_target and outputs > 1 and array.shape in ((rows,), (rows, 1))
    if array.ndim in (1, 2) and array.shape[0] != rows:
        raise ValueError(f"{where}: t has {array.shape[0]} rows, but {z or 'x'} has {rows}")
    fits = labels or shared or array.shape == (rows, outputs)
    if not fits and (outputs > 1 or array.shape != (rows,)):
        if loss.takes_labels:
            should = f"({rows},) class numbers or ({rows}, {outputs}) probabilities"
        elif loss.shares_target and outputs > 1:
            should = f"({rows},) or ({rows}, 1) for all outputs, or ({rows}, {outputs})"
        else:
            should = f"({rows}, {outputs})" + (f" or ({rows},)" if outputs == 1 else "")
        raise ValueError(f"{where}: t has shape {array.shape}, should be {should}")
    if labels:
        check_labels(where, array, outputs, z or OUTPUT_LAYER)
    else:
        checks.within(where, "t", array, *loss.target_range, dtype=dtype)
    # A view, in which all columns are the same memory.
    return np.broadcast_to(array.reshape(rows, 1), (rows, outputs)) if shared else array


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
