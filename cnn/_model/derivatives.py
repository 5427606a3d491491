"""Losses of the user's: forward, backward and steps on gradients; derivatives by the inputs."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cnn import _core
from cnn._base import checks
from cnn._model.stack import Stack
from cnn._training import steps
from cnn.layers import Dense, checked_parameter

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from cnn.layers import Layer
    from cnn.optimizers import Optimizer


class Gradient(NamedTuple):
    """The gradient of a loss with respect to the parameters of a dense layer.

    Examples
    --------
    >>> import cnn
    >>> net = cnn.Sequential([cnn.Dense(2, 1, init="zeros")], rng=0)
    >>> loss, (gradient,) = net.gradients([[1.0, 2.0]], [-1.0])
    >>> gradient.bias
    array([1.], dtype=float32)
    """

    weight: NDArray[Any]
    """That with respect to the weights, of shape (inputs, outputs)."""
    bias: NDArray[Any]
    """That with respect to the biases, of shape (outputs,)."""


class Backward(NamedTuple):
    """The gradients of a loss that `Sequential.backward` returns.

    Examples
    --------
    >>> import cnn
    >>> net = cnn.mlp([2, 3, 1], "relu", "identity", rng=0)
    >>> y = net.forward([[1.0, 2.0]])
    >>> gradients, dx = net.backward([[1.0]])
    >>> len(gradients), dx.shape
    (2, (1, 2))
    """

    gradients: list[Gradient | Any]
    """For each Dense layer that of its parameters, for others a dict by name; None without any."""
    dx: NDArray[Any]
    """That with respect to x, of x's shape."""


def by_layer(layers: Sequence[Layer], flat: Sequence[NDArray[Any]]) -> list[Gradient | Any]:
    """Return gradients in a list (weight, bias, weight, ...) as one for each layer."""
    parts = iter(flat)
    return [_gradient_of(layer, parts) for layer in layers]


def _gradient_of(layer: Layer, parts: Iterator[NDArray[Any]]) -> Gradient | Any:
    """Return the gradient of a layer, whose arrays come next."""
    if isinstance(layer, Dense):
        return Gradient(next(parts), next(parts))
    names = layer._trained()
    return {name: next(parts) for name in names} if names else None


def _check_gradient(where: str, i: int, layer: Layer, gradient: object) -> None:
    """Refuse what is no gradient of a layer."""
    names = layer._trained()
    kind = type(gradient).__name__
    if not names and gradient is not None:
        raise ValueError(
            f"{where}: gradients[{i}] is of type {kind}, should be None, as layer {i} has no "
            f"parameters"
        )
    if isinstance(layer, Dense):
        if not (isinstance(gradient, (list, tuple)) and len(gradient) == 2):
            raise TypeError(
                f"{where}: gradients[{i}] is of type {kind}, should be a Gradient or a tuple "
                f"(weight, bias), as layer {i} is a Dense"
            )
    elif names and not (isinstance(gradient, dict) and sorted(gradient) == sorted(names)):
        raise TypeError(
            f"{where}: gradients[{i}] is of type {kind}, should be a dict with "
            f"{', '.join(names)}, as layer {i} is a {type(layer).__name__}"
        )


class Derivatives(Stack):
    """The part of `Sequential` for losses that cnn does not have."""

    # ---- With respect to the parameters --------------------------------------------------------

    def forward(self, x: ArrayLike, *, dropout_step: int | None = None) -> NDArray[Any]:
        """Return the outputs of the network, and keep what `backward` needs.

        Parameters
        ----------
        x : array_like of shape (n, inputs) or (inputs,)
            Samples, or one. They must be finite in the network's dtype.
        dropout_step : int, optional
            Apply the dropout masks of this step of an optimizer, counted from 0: in training,
            ``optimizer.steps``. By default there is no dropout.

        Returns
        -------
        ndarray of shape (n, outputs) or (outputs,)
            A new array; without dropout, the bits of `predict`.

        Raises
        ------
        TypeError, ValueError
            If an argument is of a wrong type or shape, out of range or not finite.

        See Also
        --------
        backward : Go back from the gradient of a loss.

        Notes
        -----
        What is kept is that of the last call of each thread. It takes about three times the memory
        of the outputs of all layers, until the thread ends or the network is freed. `x` is copied,
        so it may change before `backward`. Copies and pickles of the network are without it.

        Examples
        --------
        A loss that cnn does not have, the mean distance of y and t:

        >>> import cnn, numpy as np
        >>> x, t = np.array([[0.0], [1.0], [2.0]]), np.array([[1.0], [3.0], [5.0]])
        >>> net = cnn.Sequential([cnn.Dense(1, 1, init="zeros")], rng=0, dtype="float64")
        >>> optimizer = cnn.Adam(lr=0.1)
        >>> for _ in range(300):
        ...     y = net.forward(x)
        ...     dy = np.sign(y - t) / len(x)
        ...     net.apply_gradients(net.backward(dy).gradients, optimizer)
        >>> bool(np.abs(net.predict(x) - t).max() < 0.2)
        True
        """
        step = -1
        if dropout_step is not None:
            step = checks.integer("forward", "dropout_step", dropout_step, 0, 2**63 - 1)
        array = _core.numeric("forward", "x", x)
        y = self._tape().forward(array, step)
        if y is None:
            checks.within("forward", "x", array, dtype=self.dtype)
            raise ValueError("forward: x changed while it was read")
        return y

    def _tape(self) -> _core.Tape:
        """Return the tape of this thread."""
        tapes = self.__dict__.get("_tapes")
        if tapes is None:
            tapes = self.__dict__.setdefault("_tapes", threading.local())
        tape: _core.Tape | None = getattr(tapes, "tape", None)
        if tape is None or tape.network is not self._network:
            tape = tapes.tape = _core.Tape(self._network)
        return tape

    def backward(self, dy: ArrayLike) -> Backward:
        """Return the gradients of a loss from that with respect to the outputs.

        Parameters
        ----------
        dy : array_like of shape (n, outputs) or (outputs,)
            The gradient of the loss with respect to what `forward` returned last in this thread, of
            the same shape. All of it must be finite.

        Returns
        -------
        Backward
            ``gradients``: for each Dense layer its ``weight`` (inputs, outputs) and ``bias``
            (outputs,), summed over the rows; None for a Dropout or a Standardize. ``dx``: the
            gradient with respect to x, of its shape. L2 penalties are not in them:
            `apply_gradients` adds these.

        Raises
        ------
        TypeError
            If dy does not hold numbers.
        ValueError
            If dy has a wrong shape or is not finite, nothing went forward in this thread, or the
            weights have changed since.

        See Also
        --------
        forward : Has an example.
        apply_gradients : Make a step of an optimizer.
        gradients : Those of a loss of cnn.

        Notes
        -----
        May be called several times after one `forward`. The derivative goes through the activation
        of the output layer, so that the gradient of `cnn.CrossEntropy` differs from that of
        `gradients` by rounding: there it is taken with respect to the logits. The bits depend on
        dy, x, weights and the dropout step alone, not on threads or machine.

        Examples
        --------
        >>> import cnn
        >>> net = cnn.Sequential([cnn.Dense(2, 1, init="zeros")], rng=0)
        >>> net.layers[0].weight = [[3.0], [4.0]]
        >>> y = net.forward([[1.0, 2.0]])
        >>> gradients, dx = net.backward([[10.0]])
        >>> gradients[0].weight, dx
        (array([[10.],
               [20.]], dtype=float32), array([[30., 40.]], dtype=float32))
        """
        gradient = _core.numeric("backward", "dy", dy)
        flat, dx = self._tape().backward(gradient)
        checks.within("backward", "dy", gradient, dtype=self.dtype)
        return Backward(by_layer(self._layers, flat), dx)

    def apply_gradients(
        self,
        gradients: Sequence[
            Gradient | tuple[ArrayLike, ArrayLike] | Mapping[str, ArrayLike] | None
        ],
        optimizer: Optimizer,
        *,
        l2: bool = True,
    ) -> None:
        """Make one step of an optimizer on given gradients.

        Parameters
        ----------
        gradients : list of Gradient, tuple (weight, bias), dict or None
            The gradient for each layer, as `backward` returns it: for a Dense its weight (inputs,
            outputs) and bias (outputs,), for a Columns, Scale or ParametricActivation a dict of
            arrays by name, None for other layers. All numbers must be finite.
        optimizer : Optimizer
            The optimizer; use the same object for the next step.
        l2 : bool, default True
            Whether the gradients of the layers' L2 penalties are added first, as `fit` does. The
            gradients that `gradients` returns have them already.

        Raises
        ------
        TypeError, ValueError
            If an argument is of a wrong type or shape, or a gradient is not finite; network and
            optimizer are then unchanged.
        FloatingPointError
            If a weight or the optimizer's state would become NaN or infinite; the step is then not
            made.

        See Also
        --------
        backward : Has the gradients of a loss of yours.

        Notes
        -----
        The step is that of `train_step`: learning rate and schedule, the optimizer's step number
        and its clip_norm work in the same way, and the same gradients give the same bits.

        Examples
        --------
        >>> import cnn
        >>> net = cnn.Sequential([cnn.Dense(2, 1, init="zeros")], rng=0)
        >>> net.apply_gradients([([[1.0], [2.0]], [3.0])], cnn.SGD(lr=0.5))
        >>> net.layers[0].weight.tolist(), net.layers[0].bias.tolist()
        ([[-0.5], [-1.0]], [-1.5])
        """
        where = "apply_gradients"
        flag = checks.flag(where, "l2", l2)
        steps.check_optimizer(where, optimizer)
        if isinstance(gradients, Backward):
            raise TypeError(f"{where}: gradients is a Backward, should be its .gradients")
        flat = self._flat(where, gradients)
        steps.apply_gradients(where, self._network, flat, optimizer, l2=flag)

    def _flat(self, where: str, gradients: object) -> NDArray[Any]:
        """Return checked gradients of all parameters in one row."""
        if not isinstance(gradients, (list, tuple)):
            raise TypeError(
                f"{where}: gradients is of type {type(gradients).__name__}, should be a list with "
                f"a Gradient for each Dense layer, as backward returns it"
            )
        if len(gradients) != len(self._layers):
            raise ValueError(
                f"{where}: gradients has {len(gradients)} items, should have one for each of the "
                f"{len(self._layers)} layers"
            )
        for i, (gradient, layer) in enumerate(zip(gradients, self._layers, strict=True)):
            _check_gradient(where, i, layer, gradient)
        flat = np.empty(self.parameter_count, self.dtype)
        at = 0
        for i, name, shape in self._parameters():
            what = f"gradients[{i}], the gradient of the {name},"
            own = gradients[i]
            given = own[name] if isinstance(own, dict) else own[0 if name == "weight" else 1]
            array = checked_parameter(where, what, given, shape, self.dtype)
            checks.within(where, what, array, dtype=self.dtype)
            flat[at : at + array.size] = array.ravel()
            at += array.size
        return flat

    # ---- With respect to the inputs ------------------------------------------------------------

    def vjp(self, x: ArrayLike, dy: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the outputs, and the gradient with respect to x (vector-Jacobian product).

        Parameters
        ----------
        x : array_like of shape (n, inputs) or (inputs,)
            Samples, or one. To save time, they are not checked, as in `predict`.
        dy : array_like of shape (n, outputs) or (outputs,)
            The gradient of a loss with respect to the outputs; not checked either.

        Returns
        -------
        y : ndarray of shape (n, outputs) or (outputs,)
            The outputs: the bits of `predict`.
        dx : ndarray of shape (n, inputs) or (inputs,)
            The gradient with respect to x: in each row the product of dy, a row vector, and the
            Jacobian. The bits of a row do not depend on the others.

        Raises
        ------
        TypeError
            If x or dy does not hold numbers.
        ValueError
            If a shape is wrong.

        See Also
        --------
        jacobian : The whole Jacobian.
        backward : The gradients of the parameters too.

        Notes
        -----
        It takes two to three times as long as `predict`, and up to four times for a single row of a
        network whose first layer has most of the parameters. Any number of threads may call it at
        once. There is no dropout. The derivative of step is 0.

        Examples
        --------
        >>> import cnn
        >>> net = cnn.Sequential([cnn.Dense(2, 1, init="zeros")], rng=0)
        >>> net.layers[0].weight = [[3.0], [4.0]]
        >>> net.vjp([1.0, 2.0], [10.0])
        (array([11.], dtype=float32), array([30., 40.], dtype=float32))
        """
        return self._network.vjp(x, dy)

    def jacobian(self, x: ArrayLike) -> NDArray[Any]:
        """Return the derivatives of all outputs with respect to all inputs.

        Parameters
        ----------
        x : array_like of shape (n, inputs) or (inputs,)
            Samples, or one. To save time, they are not checked, as in `predict`.

        Returns
        -------
        ndarray of shape (n, outputs, inputs) or (outputs, inputs)
            At [row, j, i] the derivative of output j with respect to input i: the bits of `vjp`
            with a dy that is 1 at j and 0 elsewhere.

        Raises
        ------
        TypeError
            If x does not hold numbers.
        ValueError
            If a shape is wrong.

        See Also
        --------
        vjp : A product with the Jacobian, in the time of one output.

        Notes
        -----
        Each row goes forward once and back once for each output.

        Examples
        --------
        >>> import cnn
        >>> net = cnn.Sequential([cnn.Dense(3, 2, init="zeros")], rng=0)
        >>> net.layers[0].weight = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
        >>> net.jacobian([0.0, 0.0, 0.0])
        array([[1., 3., 5.],
               [2., 4., 6.]], dtype=float32)
        """
        return self._network.jacobian(x)
