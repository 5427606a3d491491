"""Dense layers of arrays, and their gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cnn import _core, activations

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


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
