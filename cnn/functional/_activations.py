"""Activations of arrays, and their gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cnn import _core, activations
from cnn._base.activations import Elementwise, documented, elementwise

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

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
