"""Losses of arrays, and their gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cnn import _core, losses
from cnn._base import checks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray


def _loss_gradient(
    loss: losses.Loss,
    name: str,
    z: ArrayLike,
    t: ArrayLike,
    sample_weight: ArrayLike | None,
    where: str = "",
) -> tuple[float, NDArray[Any]]:
    """Return the loss and gradient of checked arguments.

    `name` is the argument's name for z, `where` the function if it has not the name of the loss.
    """
    where = where or loss.name
    array = _core.numeric(where, name, z)
    # Reading t and the weights may run code of the caller, such as __array__.
    pins = _core.pinned(array)
    if array.ndim != 2 and (array.ndim != 1 or loss.takes_labels):
        should = "2" if loss.takes_labels else "1 or 2"
        raise ValueError(
            f"{where}: {name} has {array.ndim} dimensions {array.shape}, should have {should}"
        )
    if array.size == 0:
        raise ValueError(f"{where}: {name} has shape {array.shape}, should not be empty")
    rows, outputs = array.shape[0], array.shape[1] if array.ndim == 2 else 1
    losses.check_outputs(where, loss, outputs, name)
    # The type of the computation: float32 for float32 and float16, otherwise float64.
    dtype = checks.FLOAT32 if array.dtype.char in "ef" else checks.FLOAT64
    targets = losses.checked_targets(where, t, loss, rows, outputs, dtype, name)
    pins += _core.pinned(targets)
    weights = losses.checked_weights(where, sample_weight, rows, name)
    compiled = loss.compiled(labels=loss.takes_labels and targets.ndim == 1)
    return _core.loss_gradient(compiled, array, targets, weights)


def squared_error(
    y: ArrayLike, t: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> tuple[float, NDArray[Any]]:
    """Compute the squared error of outputs, and its gradient.

    The loss of a row is ``1/2 sum_j (y_j - t_j)^2``; because of the 1/2, its gradient is y - t. The
    result is the mean over the rows, weighted by `sample_weight`.

    Parameters
    ----------
    y : array_like of shape (n, m) or (n,)
        Outputs.
    t : array_like of the shape of y
        Targets. (n,) is the same as (n, 1).
    sample_weight : array_like of shape (n,), optional
        The weight of each row, from 0 to 1e100 and not 0 in all; 1 for each row by default.

    Returns
    -------
    loss : float
        The loss.
    gradient : ndarray of the shape of y
        The gradient of the loss with respect to y: ``(y - t) weight / sum(weight)``.

    Raises
    ------
    TypeError
        If an argument does not hold numbers.
    ValueError
        If shapes do not fit, or targets or weights are not finite.

    Examples
    --------
    >>> import cnn
    >>> cnn.squared_error([[1.0, 2.0]], [[0.0, 4.0]])
    (2.5, array([[ 1., -2.]]))
    """
    return _loss_gradient(losses.SquaredError(), "y", y, t, sample_weight)


def cross_entropy(
    logits: ArrayLike,
    t: ArrayLike,
    *,
    label_smoothing: float = 0.0,
    sample_weight: ArrayLike | None = None,
) -> tuple[float, NDArray[Any]]:
    """Compute the cross-entropy of a softmax, and its gradient.

    The loss of a row is ``-sum_j t_j log softmax(z)_j``. If t is a class number, this is the
    negative log-likelihood ``-log softmax(z)_t``. The result is the mean over the rows, weighted by
    `sample_weight`.

    Parameters
    ----------
    logits : array_like of shape (n, k)
        z, the inputs of softmax for each of k classes.
    t : array_like of shape (n,) or (n, k)
        Class numbers from 0 to k - 1, or rows of probabilities.
    label_smoothing : float, default 0.0
        s in ``t <- (1 - s) t + s / k`` (Szegedy et al., 2016), 0 <= s < 1.
    sample_weight : array_like of shape (n,), optional
        The weight of each row, from 0 to 1e100 and not 0 in all; 1 for each row by default.

    Returns
    -------
    loss : float
        The loss.
    gradient : ndarray of shape (n, k)
        The gradient of the loss with respect to the logits. For rows of t with the sum 1 it is
        ``(softmax(z) - t) weight / sum(weight)``.

    Raises
    ------
    TypeError
        If an argument does not hold numbers.
    ValueError
        If shapes do not fit, a label is not a class number, or a probability is negative or
        not finite.

    Examples
    --------
    >>> import cnn
    >>> loss, gradient = cnn.cross_entropy([[0.0, 0.0]], [1])
    >>> round(loss, 6), gradient
    (0.693147, array([[ 0.5, -0.5]]))
    """
    smoothing = checks.real("cross_entropy", "label_smoothing", label_smoothing, below=1.0)
    loss = losses.CrossEntropy(label_smoothing=smoothing)
    return _loss_gradient(loss, "logits", logits, t, sample_weight)


def binary_cross_entropy(
    logits: ArrayLike, t: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> tuple[float, NDArray[Any]]:
    """Compute the cross-entropy of sigmoids, and its gradient.

    The loss of a row is ``sum_j softplus(z_j) - t_j z_j``, which equals
    ``-sum_j t_j log s_j + (1 - t_j) log(1 - s_j)`` with s = sigmoid(z). The result is the mean over
    the rows, weighted by `sample_weight`.

    Parameters
    ----------
    logits : array_like of shape (n, m) or (n,)
        z, the inputs of the sigmoids.
    t : array_like of the shape of the logits
        Targets from 0 to 1. (n,) is the same as (n, 1).
    sample_weight : array_like of shape (n,), optional
        The weight of each row, from 0 to 1e100 and not 0 in all; 1 for each row by default.

    Returns
    -------
    loss : float
        The loss.
    gradient : ndarray of the shape of the logits
        The gradient of the loss with respect to the logits:
        ``(sigmoid(z) - t) weight / sum(weight)``.

    Raises
    ------
    TypeError
        If an argument does not hold numbers.
    ValueError
        If shapes do not fit, or targets are not from 0 to 1.

    Examples
    --------
    >>> import cnn
    >>> loss, gradient = cnn.binary_cross_entropy([0.0, 0.0], [0, 1])
    >>> round(loss, 6), gradient
    (0.693147, array([ 0.25, -0.25]))
    """
    return _loss_gradient(losses.BinaryCrossEntropy(), "logits", logits, t, sample_weight)


def huber(
    y: ArrayLike, t: ArrayLike, delta: float = 1.0, *, sample_weight: ArrayLike | None = None
) -> tuple[float, NDArray[Any]]:
    """Compute Huber's loss of outputs, and its gradient.

    With r = y_j - t_j, the loss of a row is the sum over j of ``r^2 / 2`` if ``|r| <= delta``, and
    of ``delta (|r| - delta / 2)`` otherwise (Huber, 1964), so that the gradient of an outlier is at
    most delta. The result is the mean over the rows, weighted by `sample_weight`.

    Parameters
    ----------
    y : array_like of shape (n, m) or (n,)
        Outputs.
    t : array_like of the shape of y
        Targets. (n,) is the same as (n, 1).
    delta : float, default 1.0
        The ``|r|`` above which the loss is linear; more than 0.
    sample_weight : array_like of shape (n,), optional
        The weight of each row, from 0 to 1e100 and not 0 in all; 1 for each row by default.

    Returns
    -------
    loss : float
        The loss.
    gradient : ndarray of the shape of y
        The gradient of the loss with respect to y: r limited to [-delta, delta], times
        ``weight / sum(weight)``.

    Raises
    ------
    TypeError
        If an argument does not hold numbers.
    ValueError
        If shapes do not fit, targets or weights are not finite, or delta is not positive.

    Examples
    --------
    >>> import cnn
    >>> cnn.huber([0.5, 3.0], [0.0, 0.0])
    (1.3125, array([0.25, 0.5 ]))
    """
    loss = losses.Huber(delta=checks.positive("huber", "delta", delta))
    return _loss_gradient(loss, "y", y, t, sample_weight)


def poisson(
    log_rate: ArrayLike, t: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> tuple[float, NDArray[Any]]:
    """Compute the negative log-likelihood of counts from a Poisson distribution, and its gradient.

    The loss of a row is ``sum_j exp(z_j) - t_j z_j`` with z the logarithm of the rate; log(t_j!),
    which does not depend on z, is left out. The result is the mean over the rows, weighted by
    `sample_weight`.

    Parameters
    ----------
    log_rate : array_like of shape (n, m) or (n,)
        z, the logarithms of the rates.
    t : array_like of the shape of log_rate
        Counts, 0 or more. (n,) is the same as (n, 1).
    sample_weight : array_like of shape (n,), optional
        The weight of each row, from 0 to 1e100 and not 0 in all; 1 for each row by default.

    Returns
    -------
    loss : float
        The loss.
    gradient : ndarray of the shape of log_rate
        The gradient of the loss with respect to log_rate:
        ``(exp(z) - t) weight / sum(weight)``.

    Raises
    ------
    TypeError
        If an argument does not hold numbers.
    ValueError
        If shapes do not fit, or targets are negative or not finite.

    Examples
    --------
    >>> import cnn
    >>> cnn.poisson([0.0, 0.0], [1, 3])
    (1.0, array([ 0., -1.]))
    """
    return _loss_gradient(losses.Poisson(), "log_rate", log_rate, t, sample_weight)


def absolute_error(
    y: ArrayLike, t: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> tuple[float, NDArray[Any]]:
    """Compute the absolute error of outputs, and its gradient.

    The loss of a row is ``sum_j |y_j - t_j|``. The result is the mean over the rows, weighted by
    `sample_weight`.

    Parameters
    ----------
    y : array_like of shape (n, m) or (n,)
        Outputs.
    t : array_like of the shape of y
        Targets. (n,) is the same as (n, 1).
    sample_weight : array_like of shape (n,), optional
        The weight of each row, from 0 to 1e100 and not 0 in all; 1 for each row by default.

    Returns
    -------
    loss : float
        The loss.
    gradient : ndarray of the shape of y
        The gradient of the loss with respect to y: ``sign(y - t) weight / sum(weight)``, and 0 for
        y = t.

    Raises
    ------
    TypeError
        If an argument does not hold numbers.
    ValueError
        If shapes do not fit, or targets or weights are not finite.

    Examples
    --------
    >>> import cnn
    >>> cnn.absolute_error([0.5, 3.0], [0.5, 4.0])
    (0.5, array([ 0. , -0.5]))
    """
    return _loss_gradient(losses.AbsoluteError(), "y", y, t, sample_weight)


def quantile_loss(
    y: ArrayLike,
    t: ArrayLike,
    quantiles: Sequence[float] | NDArray[Any] | float = (0.1, 0.5, 0.9),
    *,
    sample_weight: ArrayLike | None = None,
) -> tuple[float, NDArray[Any]]:
    """Compute the quantile loss, or pinball loss, of outputs, and its gradient.

    With a level q_j for each output, the loss of a row is
    ``sum_j max(q_j (t_j - y_j), (q_j - 1) (t_j - y_j))``. The mean over many rows is least if y_j
    is the q_j-quantile of the targets [1]_. The result is the mean over the rows, weighted by
    `sample_weight`.

    Parameters
    ----------
    y : array_like of shape (n, m) or (n,)
        Outputs.
    t : array_like of shape (n,), (n, 1) or (n, m)
        Targets. (n,) and (n, 1) are the targets of all m outputs.
    quantiles : tuple of float, default (0.1, 0.5, 0.9)
        The m levels. Each is more than 0 and less than 1, and more than the one before it. A float
        stands for a tuple with one level.
    sample_weight : array_like of shape (n,), optional
        The weight of each row, from 0 to 1e100 and not 0 in all; 1 for each row by default.

    Returns
    -------
    loss : float
        The loss.
    gradient : ndarray of the shape of y
        The gradient of the loss with respect to y: -q_j for y_j < t_j, 1 - q_j for y_j > t_j and 0
        for y_j = t_j, times ``weight / sum(weight)``.

    Raises
    ------
    TypeError
        If an argument does not hold numbers.
    ValueError
        If shapes do not fit, targets or weights are not finite, or quantiles do not rise from more
        than 0 to less than 1.

    References
    ----------
    .. [1] R. Koenker and G. Bassett, "Regression quantiles", Econometrica, 46 (1), 1978, 33-50.

    Examples
    --------
    >>> import cnn
    >>> cnn.quantile_loss([[1.0, 2.0, 3.0]], [2.5], (0.25, 0.5, 0.75))
    (0.75, array([[-0.25, -0.5 ,  0.25]]))
    """
    where = "quantile_loss"
    loss = losses.Quantile(losses.checked_quantiles(where, quantiles))
    return _loss_gradient(loss, "y", y, t, sample_weight, where)
