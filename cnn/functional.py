"""Functions of arrays: activations, dense layers and losses, forward and backward.

They are the operations of networks, with the same bits. The results are float32 for float32 and
float16 input, and float64 for all other types of numbers. `out` is an array for the result, of the
right shape and type; it may have any strides and must not overlap an input, unless it is that
input.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cnn import _core, activations, losses
from cnn._base import checks
from cnn._base.activations import Elementwise, documented, elementwise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "absolute_error",
    "activation_backward",
    "binary_cross_entropy",
    "cross_entropy",
    "dense",
    "dense_backward",
    "elu",
    "exponential",
    "gelu",
    "gelu_tanh",
    "hard_sigmoid",
    "hard_swish",
    "huber",
    "identity",
    "leaky_relu",
    "log_softmax",
    "mish",
    "poisson",
    "quantile_loss",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "softsign",
    "squared_error",
    "step",
    "tanh",
]

# ---- Activations -------------------------------------------------------------------------------

identity: Elementwise = elementwise("identity")
step: Elementwise = elementwise("step")
sigmoid: Elementwise = elementwise("sigmoid")
tanh: Elementwise = elementwise("tanh")
relu: Elementwise = elementwise("relu")
softplus: Elementwise = elementwise("softplus")
silu: Elementwise = elementwise("silu")
gelu: Elementwise = elementwise("gelu")
gelu_tanh: Elementwise = elementwise("gelu_tanh")
mish: Elementwise = elementwise("mish")
selu: Elementwise = elementwise("selu")
hard_sigmoid: Elementwise = elementwise("hard_sigmoid")
hard_swish: Elementwise = elementwise("hard_swish")
relu6: Elementwise = elementwise("relu6")
softsign: Elementwise = elementwise("softsign")
exponential: Elementwise = elementwise("exponential")


@documented
def leaky_relu(x: ArrayLike, slope: float = 0.01, *, out: NDArray[Any] | None = None) -> Any:
    """Compute leaky_relu(x). The docstring is set from the table of activations."""
    return _core.activation("leaky_relu", x, out, activations.number("leaky_relu", slope))


@documented
def elu(x: ArrayLike, alpha: float = 1.0, *, out: NDArray[Any] | None = None) -> Any:
    """Compute elu(x). The docstring is set from the table of activations."""
    return _core.activation("elu", x, out, activations.number("elu", alpha))


def softmax(x: ArrayLike, *, axis: int = -1, out: NDArray[Any] | None = None) -> NDArray[Any]:
    """Compute ``softmax(x)_j = exp(x_j) / sum_k exp(x_k)`` along an axis.

    The maximum is subtracted first, so that the result is finite for all finite inputs. The results
    lie between 0 and 1, have the sum 1 and the order of the inputs. If a row has a NaN or +inf, or
    if all its numbers are -inf, the whole row becomes NaN. In other rows -inf gives 0.

    Parameters
    ----------
    x : array_like
        Numbers, in any shape but that of a scalar.
    axis : int, default -1
        The axis along which the sum is 1.
    out : ndarray, optional
        Where to put the result; x itself is allowed.

    Returns
    -------
    ndarray
        `out`, or a new array of the shape of x.

    Raises
    ------
    TypeError
        If x does not hold numbers, or `out` is no array of the result's type.
    ValueError
        If x has no such axis, or `out` has another shape, is read-only or overlaps x.

    Examples
    --------
    >>> import cnn
    >>> cnn.softmax([1010.0, 1000.0, 990.0]).round(6)
    array([9.99955e-01, 4.50000e-05, 0.00000e+00])
    >>> cnn.softmax([[0.0, 0.0], [0.0, 0.0]], axis=0)
    array([[0.5, 0.5],
           [0.5, 0.5]])
    """
    return _core.softmax(x, out, axis)


def log_softmax(x: ArrayLike, *, axis: int = -1, out: NDArray[Any] | None = None) -> NDArray[Any]:
    """Compute the logarithm of softmax along an axis.

    ``y_j = x_j - m - log(sum_k exp(x_k - m))`` with m the maximum. It is finite even if softmax
    underflows to 0.

    Parameters
    ----------
    x : array_like
        Numbers, in any shape but that of a scalar.
    axis : int, default -1
        The axis along which the softmax is taken.
    out : ndarray, optional
        Where to put the result; x itself is allowed.

    Returns
    -------
    ndarray
        `out`, or a new array of the shape of x.

    Raises
    ------
    TypeError
        If x does not hold numbers, or `out` is no array of the result's type.
    ValueError
        If x has no such axis, or `out` has another shape, is read-only or overlaps x.

    Examples
    --------
    >>> import cnn
    >>> cnn.log_softmax([0.0, 1000.0])
    array([-1000.,     0.])
    """
    return _core.log_softmax(x, out, axis)


def activation_backward(
    name: activations.Activation,
    dy: ArrayLike,
    y: ArrayLike | None = None,
    *,
    x: ArrayLike | None = None,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Compute the gradient with respect to the input of an activation: ``dx = dy h'(x)``.

    The derivative is taken from the output y of the activation; only those of silu, gelu,
    gelu_tanh, mish, hard_swish and softsign need its input x. The functions' docstrings have the
    formulas; softmax, whose outputs depend on all inputs of the row, has
    ``dx_j = y_j (dy_j - sum_k dy_k y_k)``.

    Parameters
    ----------
    name : str or cnn.activations.LeakyReLU or ELU
        The activation, such as "relu".
    dy : array_like
        The gradient with respect to the output, in any shape; softmax takes rows along the last
        axis.
    y : array_like, optional
        The output, of the shape of dy. By default it is computed from x.
    x : array_like, optional
        The input, of the shape of dy; for activations that need it, or instead of y.
    out : ndarray, optional
        Where to put the result; dy itself is allowed.

    Returns
    -------
    ndarray
        The gradient dx, in the shape and floating type of dy.

    Raises
    ------
    TypeError
        If an argument does not hold numbers, or y or x is missing.
    ValueError
        If the name is not that of an activation, or shapes differ.

    Examples
    --------
    >>> import cnn
    >>> y = cnn.sigmoid([0.0, 2.0])
    >>> cnn.activation_backward("sigmoid", [1.0, 1.0], y).round(3)
    array([0.25 , 0.105])
    >>> cnn.activation_backward("gelu", [1.0, 1.0], x=[0.0, 2.0]).round(3)
    array([0.5  , 1.085])
    """
    where = "activation_backward"
    kind, alpha = activations.resolved(name)
    if kind in _core.NEEDS_INPUT:
        if x is None:
            raise TypeError(
                f"{where}: {kind} needs x=, the activation's input; its derivative cannot be "
                f"computed from the output y"
            )
        return _core.activation_backward(kind, dy, x, out)
    if y is None:
        if x is None:
            raise TypeError(f"{where}: y is missing, should be the output of {kind}")
        y = _core.activation(kind, x, None, alpha)
    return _core.activation_backward(kind, dy, y, out, alpha)


# ---- Dense layers ------------------------------------------------------------------------------


def dense(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    activation: activations.Activation = "identity",
    *,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Compute a dense layer: ``y = h(x @ weight + bias)``.

    Parameters
    ----------
    x : array_like of shape (n, inputs) or (inputs,)
        Rows of inputs, or one row. Their floating type is that of the computation.
    weight : array_like of shape (inputs, outputs)
        The weights.
    bias : array_like of shape (outputs,), optional
        The biases; 0 by default.
    activation : str or cnn.activations.LeakyReLU or ELU, default "identity"
        h, such as "relu" or "softmax".
    out : ndarray, optional
        Where to put the result; it must not overlap the inputs.

    Returns
    -------
    ndarray of shape (n, outputs) or (outputs,)
        `out`, or a new array. Each row has the same bits whatever the other rows are.

    Raises
    ------
    TypeError
        If an argument does not hold numbers, or `out` is no array of the result's type.
    ValueError
        If shapes do not fit, or the activation is not known.

    Examples
    --------
    >>> import cnn
    >>> cnn.dense([[1.0, 2.0]], [[1.0, 0.0, -1.0], [0.0, 1.0, -1.0]], [0.0, 1.0, 2.0], "relu")
    array([[1., 3., 0.]])
    """
    name, alpha = activations.resolved(activation)
    return _core.dense(x, weight, bias, name, out, alpha)


def dense_backward(
    dy: ArrayLike, x: ArrayLike, weight: ArrayLike
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Compute the gradients of ``y = x @ weight + bias`` from that of y.

    ``dx = dy @ weight.T``, ``dweight = x.T @ dy``, and ``dbias`` is the sum of the rows of dy. For
    a layer with an activation, dy is the result of `activation_backward`.

    Parameters
    ----------
    dy : array_like of shape (n, outputs)
        The gradient with respect to y. Its floating type is that of the computation.
    x : array_like of shape (n, inputs)
        The inputs of the layer.
    weight : array_like of shape (inputs, outputs)
        The weights of the layer.

    Returns
    -------
    dx : ndarray of shape (n, inputs)
        The gradient with respect to x.
    dweight : ndarray of shape (inputs, outputs)
        The gradient with respect to the weights.
    dbias : ndarray of shape (outputs,)
        The gradient with respect to the biases.

    Raises
    ------
    TypeError
        If an argument does not hold numbers.
    ValueError
        If shapes do not fit.

    Examples
    --------
    >>> import cnn
    >>> dx, dweight, dbias = cnn.dense_backward([[1.0, 10.0]], [[2.0]], [[3.0, 4.0]])
    >>> dx, dweight, dbias
    (array([[43.]]), array([[ 2., 20.]]), array([ 1., 10.]))
    """
    return _core.dense_backward(dy, x, weight)


# ---- Losses ------------------------------------------------------------------------------------


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
