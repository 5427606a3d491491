"""The layers of a Sequential, and the initialisers of their weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, SupportsIndex

import numpy as np

from cnn import _core, activations
from cnn._base import checks, moments
from cnn._base.activations import TABLE
from cnn._base.hinted import hinted
from cnn._base.numbers import exact

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from numpy.typing import ArrayLike, NDArray

    from cnn._base.choices import InitializerName

__all__ = ["Dense", "Dropout", "Layer", "Standardize", "uniform"]

# libcnn counts in 64 bits; no machine has memory for a layer of this width.
_WIDEST = 2**31 - 1

# Initialisers by name; `uniform` is an object, since it has a parameter.
_INITIALIZERS = tuple(name for name in _core.INITIALIZERS if name != "uniform")


@dataclass(frozen=True)
class uniform:  # an initialiser beside "he_uniform" and the like
    """Initial weights drawn from U(-a, a); biases 0.

    Parameters
    ----------
    a : float
        The bound, 0 or more.

    Examples
    --------
    >>> import cnn
    >>> layer = cnn.Dense(3, 2, init=cnn.uniform(0.05))
    >>> net = cnn.Sequential([layer], rng=0)
    >>> bool((abs(layer.weight) <= 0.05).all())
    True
    """

    a: float

    def __post_init__(self) -> None:
        checks.real("uniform", "a", self.a, most=_core.LARGEST)


class Layer:
    """The base of all layers; use one of the subclasses.

    A layer belongs to the first network that it is given to. Another network refuses it.

    Notes
    -----
    The attributes of each kind of layer are declared here, so that ``net.layers[0].weight`` has a
    type in editors and for type checkers, which cannot know the kind. For a kind that does not have
    one, an AttributeError says so, and ``hasattr`` returns False.
    """

    _network: _core.Network | None = None
    _index: int = -1

    @property
    def inputs(self) -> int:
        """The number of inputs of a row."""
        raise self._without("inputs")

    @property
    def outputs(self) -> int:
        """The number of outputs of a row."""
        raise self._without("outputs")

    @property
    def activation(self) -> activations.Activation:
        """The activation."""
        raise self._without("activation")

    @property
    def l2(self) -> float:
        """The strength of the L2 penalty."""
        raise self._without("l2")

    @l2.setter
    def l2(self, l2: float) -> None:
        raise self._without("l2")

    @property
    def weight(self) -> NDArray[Any]:
        """The weights, as a read-only copy; assign to set them."""
        raise self._without("weight")

    @weight.setter
    def weight(self, values: ArrayLike) -> None:
        raise self._without("weight")

    @property
    def bias(self) -> NDArray[Any]:
        """The biases, as a read-only copy; assign to set them."""
        raise self._without("bias")

    @bias.setter
    def bias(self, values: ArrayLike) -> None:
        raise self._without("bias")

    @property
    def rate(self) -> float:
        """The share of values that a dropout sets to 0."""
        raise self._without("rate")

    @property
    def mean(self) -> NDArray[Any]:
        """What a standardize layer subtracts, as a read-only copy; assign to set it."""
        raise self._without("mean")

    @mean.setter
    def mean(self, values: ArrayLike) -> None:
        raise self._without("mean")

    @property
    def scale(self) -> NDArray[Any]:
        """What a standardize layer divides by, as a read-only copy; assign to set it."""
        raise self._without("scale")

    @scale.setter
    def scale(self, values: ArrayLike) -> None:
        raise self._without("scale")

    @property
    def parameter_count(self) -> int:
        """The number of weights and biases."""
        raise NotImplementedError

    def _without(self, name: str) -> AttributeError:
        kind = type(self).__name__
        return AttributeError(f"{kind}: a {kind} layer has no {name}", name=name, obj=self)

    def _describe(self) -> _core.LayerSpec:
        """Return the layer as `_core.Network` takes it."""
        raise NotImplementedError

    def _attach(self, network: _core.Network, index: int) -> None:
        """Make the layer a view of layer `index` of a network."""
        self._network = network
        self._index = index

    def __call__(self, x: ArrayLike) -> NDArray[Any]:
        """Return the outputs of the layer for its inputs x, as a part of its network.

        Parameters
        ----------
        x : array_like of shape (n, inputs) or (inputs,)
            Inputs, or those of one row. They are converted to the network's dtype.

        Returns
        -------
        ndarray of shape (n, outputs) or (outputs,)
            The outputs, in the network's dtype. A Dropout returns its inputs.

        Raises
        ------
        TypeError, ValueError
            If x does not hold numbers, its shape is wrong, or the layer is not in a network, and
            has no weights yet.

        Examples
        --------
        >>> import cnn
        >>> net = cnn.Sequential([cnn.Dense(2, 1, init="zeros")])
        >>> net.layers[0]([[1.0, 2.0]])
        array([[0.]], dtype=float32)
        """
        if self._network is None:
            raise ValueError(
                f"{self!r} is called, but is not in a network and has no weights; make a network "
                f"of it first: cnn.Sequential([...]), whose predict takes x"
            )
        return outputs(type(self).__name__, [self], x)[0]

    def _outputs_of(self, x: NDArray[Any]) -> NDArray[Any]:
        """Return the outputs for rows (n, inputs) of the network's type."""
        raise NotImplementedError

    # Type checkers would take any attribute for one that exists.
    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Raise the error for an attribute that does not exist, with a hint."""
            if hasattr(type(self), name):
                object.__getattribute__(self, name)  # a property, which raises its own error
            from cnn._base import hints  # noqa: PLC0415  # for errors alone

            raise hints.missing_attribute("layer", name, self)

    def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[Any, ...]:
        if self._network is not None:
            name = type(self).__name__
            raise TypeError(
                f"{name}: a layer of a network cannot be copied or pickled by itself, as its "
                f"weights are the network's; copy the network"
            )
        return super().__reduce_ex__(protocol)


class Dense(Layer):
    """A dense layer: y = h(x . weight + bias).

    Parameters
    ----------
    inputs : int
        The number of inputs of a row.
    outputs : int
        The number of outputs of a row: of neurons.
    activation : str or cnn.activations.LeakyReLU or ELU, default "identity"
        h: one of "identity", "step", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "softplus",
        "silu", "gelu", "mish", "selu", "hard_sigmoid", "hard_swish", "relu6", "softsign",
        "exponential", and "softmax" in the last layer. ``cnn.activations.LeakyReLU(0.2)`` is
        leaky_relu with a slope other than 0.01, and ``cnn.activations.ELU(0.5)`` is elu with an
        alpha other than 1.
    init : str or uniform, optional
        The initial weights, drawn from U(-a, a) with the network's seed. Biases are initially 0.

        - "glorot_uniform": a = sqrt(6 / (inputs + outputs)) (Glorot and Bengio, 2010), the default
          for identity, step, sigmoid, tanh, hard_sigmoid, softsign, exponential and softmax;
        - "he_uniform": a = sqrt(6 / inputs) (He et al., 2015), the default for relu, leaky_relu,
          elu, softplus, silu, gelu, mish, hard_swish and relu6;
        - "lecun_uniform": a = sqrt(3 / inputs) (LeCun et al., 1998), the default for selu;
        - "torch": a = 1 / sqrt(inputs), for the biases too, as PyTorch's Linear;
        - "zeros": all 0;
        - ``cnn.uniform(a)``.
    l2 : float, default 0.0
        Adds ``l2 / 2 sum(weight^2)`` to the loss; 0 or more.

    Raises
    ------
    TypeError, ValueError
        If an argument is of a wrong type or out of range.

    Examples
    --------
    >>> import cnn
    >>> net = cnn.Sequential([cnn.Dense(2, 3, "relu"), cnn.Dense(3, 1)], rng=0)
    >>> net.layers[0].weight.shape
    (2, 3)
    >>> net.layers[0].bias = [0.0, 0.1, 0.2]
    >>> net.layers[0].bias
    array([0. , 0.1, 0.2], dtype=float32)
    """

    @hinted("Dense")
    def __init__(
        self,
        inputs: int,
        outputs: int,
        activation: activations.Activation = "identity",
        *,
        init: InitializerName | uniform | None = None,
        l2: float = 0.0,
    ) -> None:
        self._inputs = checks.integer("Dense", "inputs", inputs, 1, _WIDEST)
        self._outputs = checks.integer("Dense", "outputs", outputs, 1, _WIDEST)
        self._activation = activations.checked("Dense", "activation", activation)
        if init is not None and not isinstance(init, uniform):
            if not isinstance(init, str):
                what = type(init).__name__
                raise TypeError(
                    f"Dense: init is of type {what}, should be a string or cnn.uniform(a)"
                )
            checks.choice("Dense", "init", init, (*_INITIALIZERS, "cnn.uniform(a)"))
        self._init = init
        self._l2 = checks.real("Dense", "l2", l2, most=_core.LARGEST)

    @property
    def inputs(self) -> int:
        """The number of inputs of a row."""
        return self._inputs

    @property
    def outputs(self) -> int:
        """The number of outputs of a row."""
        return self._outputs

    @property
    def activation(self) -> activations.Activation:
        """The activation: its name, or an object of `cnn.activations` with its parameter."""
        return activations.spelled(*self._activation)

    @property
    def init(self) -> InitializerName | uniform | None:
        """The initialiser; None for the activation's default, and in copies and loaded networks."""
        return self._init

    @property
    def l2(self) -> float:
        """The strength of the L2 penalty; it may be set at any time."""
        return self._l2

    @l2.setter
    def l2(self, l2: float) -> None:
        value = checks.real("Dense", "l2", l2, most=_core.LARGEST)
        if self._network is not None:
            self._network.set_l2(self._index, value)
        self._l2 = value

    @property
    def weight(self) -> NDArray[Any]:
        """The weights, shape (inputs, outputs), as a read-only copy; assign to set them."""
        return self._get("weight")

    @weight.setter
    def weight(self, values: ArrayLike) -> None:
        self._set("weight", values, (self._inputs, self._outputs))

    @property
    def bias(self) -> NDArray[Any]:
        """The biases, shape (outputs,), as a read-only copy; assign to set them."""
        return self._get("bias")

    @bias.setter
    def bias(self, values: ArrayLike) -> None:
        self._set("bias", values, (self._outputs,))

    @property
    def parameter_count(self) -> int:
        """The number of weights and biases."""
        return (self._inputs + 1) * self._outputs

    def _get(self, parameter: str) -> NDArray[Any]:
        if self._network is None:
            self._refuse(parameter)
        values = self._network.get(self._index, parameter)
        # Read-only, since a write into a copy would silently have no effect.
        values.flags.writeable = False
        return values

    def _set(self, parameter: str, values: ArrayLike, shape: tuple[int, ...]) -> None:
        if self._network is None:
            self._refuse(parameter)
        converted = checked_parameter("Dense", parameter, values, shape, self._network.dtype)
        self._network.set(self._index, parameter, converted)

    def _refuse(self, parameter: str) -> NoReturn:
        raise AttributeError(
            f"Dense: {parameter} does not exist yet, as the layer is not in a network; make a "
            f"Sequential of it first"
        )

    def _describe(self) -> _core.LayerSpec:
        name, alpha = self._activation
        return _core.LayerSpec("dense", self._inputs, self._outputs, name, l2=self._l2, alpha=alpha)

    def _outputs_of(self, x: NDArray[Any]) -> NDArray[Any]:
        if x.shape[1] != self._inputs:
            raise ValueError(
                f"Dense: x has {x.shape[1]} columns, but the layer has {self._inputs} inputs"
            )
        name, alpha = self._activation
        return _core.dense(x, self.weight, self.bias, name, None, alpha)

    def _initialize(self, network: _core.Network, index: int) -> None:
        """Draw the initial weights of layer `index` of a network."""
        if isinstance(self._init, uniform):
            network.initialize(index, "uniform", self._init.a)
        else:
            network.initialize(index, self._init or TABLE[self._activation[0]].init)

    def __repr__(self) -> str:
        text = f"Dense({self._inputs}, {self._outputs}, {self.activation!r}"
        if self._init is not None:
            text += f", init={self._init!r}"
        if self._l2 > 0:
            text += f", l2={exact(self._l2)}"
        return text + ")"


class Dropout(Layer):
    """A layer that sets values to 0 at random while the network is trained.

    Each output of the dense layer before it is set to 0 with probability `rate`, and the others are
    multiplied by 1 / (1 - rate), so that the mean stays the same (Srivastava et al., 2014). predict
    and evaluate do not change them. The masks are functions of the network's seed and the number of
    the optimizer's step. A dropout layer must be between two dense layers.

    Parameters
    ----------
    rate : float
        The share of values set to 0; at least 0 and less than 1.

    Raises
    ------
    TypeError, ValueError
        If the rate is of a wrong type or out of range.

    Examples
    --------
    >>> import cnn
    >>> cnn.Sequential([cnn.Dense(4, 8, "relu"), cnn.Dropout(0.5), cnn.Dense(8, 1)], rng=0)
    Sequential([
        Dense(4, 8, 'relu'),
        Dropout(0.5),
        Dense(8, 1, 'identity'),
    ], rng=0, dtype='float32')
    """

    @hinted("Dropout")
    def __init__(self, rate: float) -> None:
        self._rate = checks.real("Dropout", "rate", rate, below=1.0)

    @property
    def rate(self) -> float:
        """The share of values set to 0."""
        return self._rate

    @property
    def parameter_count(self) -> int:
        """The number of weights and biases: 0."""
        return 0

    def _describe(self) -> _core.LayerSpec:
        return _core.LayerSpec("dropout", rate=self._rate)

    def _outputs_of(self, x: NDArray[Any]) -> NDArray[Any]:
        return x

    def __repr__(self) -> str:
        return f"Dropout({exact(self._rate)})"


class Standardize(Layer):
    """A first layer with fixed numbers: y = (x - mean) / scale for each column.

    Networks learn slowly, or not at all, from columns whose numbers are large or of different
    scales. This layer brings each column to mean 0 and standard deviation 1. It is saved with the
    network and is a part of exports, so that all of them take the numbers as they are.

    Parameters
    ----------
    inputs : int, optional
        The number of columns. By default that of `mean` or `scale`, or that which `adapt` finds.
    mean : float or array_like of shape (inputs,), default 0.0
        What is subtracted from each column.
    scale : float or array_like of shape (inputs,), default 1.0
        What each column is then divided by; more than 0.

    Raises
    ------
    TypeError, ValueError
        If an argument is of a wrong type, shape or out of range.

    See Also
    --------
    adapt : Set mean and scale to those of data.

    Notes
    -----
    Training, optimizers and gradients leave mean and scale as they are. They are not counted as
    parameters, and not among `Sequential.get_weights`.

    Rows are first converted to the network's dtype. There each of the two operations is rounded
    once. float32 has no steps below 128 near 1.7e9: for time stamps and the like use a network of
    dtype float64, or subtract a date beforehand.

    Examples
    --------
    >>> import cnn
    >>> x = [[1.0, 5000.0], [2.0, 7000.0], [3.0, 9000.0]]
    >>> layer = cnn.Standardize().adapt(x)
    >>> net = cnn.Sequential([layer, cnn.Dense(2, 4, "relu"), cnn.Dense(4, 1)], rng=0)
    >>> net.layers[0].mean.tolist()
    [2.0, 7000.0]
    >>> cnn.Standardize(784, scale=255.0)
    Standardize(784)
    """

    def __init__(
        self,
        inputs: int | None = None,
        *,
        mean: ArrayLike | None = None,
        scale: ArrayLike | None = None,
    ) -> None:
        self._inputs = None
        if inputs is not None:
            self._inputs = checks.integer("Standardize", "inputs", inputs, 1, _WIDEST)
        self._fixed: dict[str, ArrayLike] = {
            "mean": 0.0 if mean is None else mean,
            "scale": 1.0 if scale is None else scale,
        }
        for name, values in self._fixed.items():
            shape = np.shape(_core.numeric("Standardize", name, values))
            if self._inputs is None and len(shape) == 1 and shape[0] > 0:
                self._inputs = shape[0]
        for name, values in self._fixed.items():
            self._fixed[name] = self._checked("Standardize", name, values, checks.FLOAT64)
        self._adapted = False

    @property
    def inputs(self) -> int:
        """The number of columns; there is none before the layer knows it."""
        if self._inputs is None:
            raise self._unknown("inputs")
        return self._inputs

    @property
    def outputs(self) -> int:
        """The number of outputs of a row: that of the inputs."""
        return self.inputs

    @property
    def mean(self) -> NDArray[Any]:
        """The means, shape (inputs,), as a read-only copy; assign numbers or one to set them."""
        return self._get("mean")

    @mean.setter
    def mean(self, values: ArrayLike) -> None:
        self._set(mean=values)

    @property
    def scale(self) -> NDArray[Any]:
        """The divisors, shape (inputs,), as a read-only copy; assign numbers or one to set them."""
        return self._get("scale")

    @scale.setter
    def scale(self, values: ArrayLike) -> None:
        self._set(scale=values)

    @property
    def parameter_count(self) -> int:
        """The number of weights and biases: 0."""
        return 0

    def adapt(self, x: ArrayLike) -> Self:
        """Set mean and scale to the mean and the standard deviation of each column.

        The deviation is the root of the mean square of the differences from the mean, as
        ``numpy.std(x, axis=0)`` has it. A constant column gets the scale 1. Sums are in float64.
        Their bits do not depend on the machine, nor on how x lies in memory. A block of rows is
        read at a time, so that x may be a large `numpy.memmap`.

        Parameters
        ----------
        x : array_like of shape (n, inputs)
            Rows such as those that the network is to be trained on; they must be finite.

        Returns
        -------
        Standardize
            The layer itself.

        Raises
        ------
        TypeError
            If x does not hold numbers.
        ValueError
            If x has no rows, another number of columns than the layer, or a number that is not
            finite; or if the network's type, such as float32, does not tell the numbers of a
            column apart. The layer is then unchanged.

        Examples
        --------
        >>> import cnn
        >>> cnn.Standardize(2).adapt([[1.0, 7.0], [3.0, 7.0]]).scale
        array([1., 1.])
        """
        where = "Standardize.adapt"
        array = _core.numeric(where, "x", x)
        if array.ndim != 2 or 0 in array.shape:
            raise ValueError(f"{where}: x has shape {array.shape}, should be (n, inputs)")
        if self._inputs is not None and array.shape[1] != self._inputs:
            raise ValueError(
                f"{where}: x has {array.shape[1]} columns, but the layer has {self._inputs} inputs"
            )
        names = _core.column_names(x)
        mean, scale = moments.of_columns(where, array, names)
        if self._network is not None:
            moments.check_steps(where, mean, scale, self._network.dtype)
        self._inputs = array.shape[1]
        self._set(mean=mean, scale=scale)
        self._adapted = True
        return self

    def _checked(
        self, where: str, name: str, values: ArrayLike, dtype: np.dtype[Any]
    ) -> NDArray[Any]:
        """Return a mean or a scale in a type, as a scalar or of shape (inputs,)."""
        array = _core.numeric(where, name, values)
        shape = () if self._inputs is None or array.ndim == 0 else (self._inputs,)
        converted = checked_parameter(where, name, array, shape, dtype)
        bad = ~np.isfinite(converted)
        if name == "scale":
            bad |= converted <= 0
        if bad.any():
            at = "" if array.ndim == 0 else f" at {[int(np.flatnonzero(bad)[0])]}"
            should = "finite and more than 0" if name == "scale" else "finite"
            value = exact(float(array[bad][0]))
            raise ValueError(f"{where}: {name} is {value}{at}, should be {should} in {dtype}")
        return converted

    def _get(self, parameter: str) -> NDArray[Any]:
        if self._network is not None:
            values = self._network.get(self._index, parameter)
        elif self._inputs is not None:
            values = np.full(self._inputs, self._fixed[parameter])
        else:
            raise self._unknown(parameter)
        # Read-only, since a write into a copy would silently have no effect.
        values.flags.writeable = False
        return values

    def _unknown(self, name: str) -> AttributeError:
        return AttributeError(
            f"Standardize: {name} does not exist yet, as the number of columns is not known; call "
            f"adapt(x), or give Standardize(inputs)",
            name=name,
            obj=self,
        )

    def _set(self, **values: ArrayLike) -> None:
        """Set a mean, a scale or both, after both are checked."""
        network = self._network
        dtype = checks.FLOAT64 if network is None else network.dtype
        found = {n: self._checked("Standardize", n, v, dtype) for n, v in values.items()}
        for name, array in found.items():
            if network is None:
                self._fixed[name] = array
            else:
                network.set(self._index, name, np.full(network.inputs, array))

    def _describe(self) -> _core.LayerSpec:
        return _core.LayerSpec("standardize", self._inputs or 0, self._inputs or 0)

    def _fill(self, network: _core.Network) -> None:
        """Give mean and scale to the first layer of a new network."""
        found = {
            n: self._checked("Standardize", n, v, network.dtype) for n, v in self._fixed.items()
        }
        if self._adapted:
            moments.check_steps("Standardize", self.mean, self.scale, network.dtype)
        for name, values in found.items():
            network.set(0, name, np.full(network.inputs, values))

    def _outputs_of(self, x: NDArray[Any]) -> NDArray[Any]:
        if x.shape[1] != self._inputs:
            raise ValueError(
                f"Standardize: x has {x.shape[1]} columns, but the layer has {self._inputs} inputs"
            )
        with np.errstate(all="ignore"):  # as predict
            return (x - self.mean) / self.scale

    def __repr__(self) -> str:
        return f"Standardize({'' if self._inputs is None else self._inputs})"


def outputs(where: str, layers: Sequence[Layer], x: ArrayLike) -> list[NDArray[Any]]:
    """Return the outputs of each of some consecutive layers of a network for the inputs x."""
    network = layers[0]._network
    assert network is not None
    array = _core.numeric(where, "x", x)
    if array.ndim not in (1, 2):
        raise ValueError(f"{where}: x has shape {array.shape}, should be (n, inputs) or (inputs,)")
    with np.errstate(over="ignore"):  # as predict, which does not check numbers
        rows = np.atleast_2d(array).astype(network.dtype)
    found = []
    for layer in layers:
        rows = layer._outputs_of(rows)
        found.append(rows)
    return [rows[0] for rows in found] if array.ndim == 1 else found


def checked_parameter(
    where: str, name: str, values: ArrayLike, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> NDArray[Any]:
    """Return values as an array of a parameter's shape, in the network's type."""
    array = _core.numeric(where, name, values)
    if array.shape != shape:
        raise ValueError(f"{where}: {name} has shape {array.shape}, should be {shape}")
    with np.errstate(over="ignore"):  # what overflows is refused
        converted = array.astype(dtype)
    overflows = np.isinf(converted) & np.isfinite(array)
    if overflows.any():
        at = tuple(map(int, np.argwhere(overflows)[0]))
        raise ValueError(
            f"{where}: {name} has {exact(array[at])} at {list(at)}, which overflows {dtype}, the "
            f"network's type"
        )
    return converted


def compiled(layers: Sequence[Layer], dtype: str, seed: int = 0) -> _core.Network:
    """Return a network of libcnn with these layers; all weights and biases are 0."""
    made = _core.Network([layer._describe() for layer in layers], dtype=dtype, seed=seed)
    first = layers[0]
    if isinstance(first, Standardize):
        first._fill(made)
    return made


def initialize(layers: Sequence[Layer], network: _core.Network) -> None:
    """Draw the initial weights of a network, by the initialisers of its layers."""
    for i, layer in enumerate(layers):
        if isinstance(layer, Dense):
            layer._initialize(network, i)


def attach(layers: Sequence[Layer], network: _core.Network) -> None:
    """Bind layers to the layers of a network, so that they get and set its parameters."""
    for i, layer in enumerate(layers):
        layer._attach(network, i)


def of_description(spec: _core.LayerSpec) -> Layer:
    """Return a new layer like that of a `_core.Network`."""
    if spec.kind == "dropout":
        return Dropout(spec.rate)
    if spec.kind == "standardize":
        return Standardize(spec.inputs)
    activation = activations.spelled(spec.activation, spec.alpha)
    return Dense(spec.inputs, spec.outputs, activation, l2=spec.l2)


def stacked(
    widths: Sequence[int],
    hidden_activation: activations.Activation,
    output_activation: activations.Activation,
    dropout: float,
    l2: float,
) -> list[Layer]:
    """Return the layers of a multilayer perceptron, with a Dropout after each hidden one if any."""
    found: list[Layer] = []
    for i in range(len(widths) - 1):
        if i > 0 and dropout > 0:
            found.append(Dropout(dropout))
        activation = hidden_activation if i < len(widths) - 2 else output_activation
        found.append(Dense(widths[i], widths[i + 1], activation, l2=l2))
    return found


def checked(where: str, layers: object) -> list[Layer]:
    """Return layers as a list, after a check that they fit one another."""
    if isinstance(layers, (str, bytes, Layer)) or not hasattr(layers, "__iter__"):
        raise TypeError(
            f"{where}: layers is of type {type(layers).__name__}, should be a list of layers"
        )
    found = list(layers)
    if not found:
        raise ValueError(f"{where}: layers is empty, should have at least one Dense layer")
    seen: set[int] = set()
    for i, layer in enumerate(found):
        if not isinstance(layer, Layer):
            what = layer.__name__ if isinstance(layer, type) else f"of type {type(layer).__name__}"
            raise TypeError(f"{where}: layer {i} is {what}, should be a layer such as cnn.Dense")
        if layer._network is not None:
            raise ValueError(
                f"{where}: layer {i}, {layer!r}, belongs to another network; should be a new one"
            )
        if id(layer) in seen:
            raise ValueError(f"{where}: layer {i}, {layer!r}, is in the list twice")
        seen.add(id(layer))
    _check_neighbours(where, found)
    return found


def _check_neighbours(where: str, layers: list[Layer]) -> None:
    """Refuse layers if one does not fit the one before it."""
    width: int | None = None
    at = 0
    last = len(layers) - 1
    for i, layer in enumerate(layers):
        if isinstance(layer, Standardize):
            _check_standardize(where, layers, i)
            width = layer.inputs
            continue
        if not isinstance(layer, Dense):
            if i in (0, last) or not isinstance(layers[i - 1], Dense):
                raise ValueError(
                    f"{where}: layer {i}, {layer!r}, should be between two Dense layers"
                )
            continue
        if width is not None and layer.inputs != width:
            raise ValueError(
                f"{where}: layer {i}, {layer!r}, has {layer.inputs} inputs, but layer {at}, "
                f"{layers[at]!r}, has {width} outputs"
            )
        if layer.activation == "softmax" and i != last:
            raise ValueError(
                f"{where}: layer {i}, {layer!r}, has activation softmax, which only the last layer "
                f"can have"
            )
        width, at = layer.outputs, i


def _check_standardize(where: str, layers: list[Layer], i: int) -> None:
    """Refuse a Standardize that is not the first of layers, or does not know its inputs."""
    layer = layers[i]
    if i > 0 or len(layers) == 1 or not isinstance(layers[1], Dense):
        raise ValueError(
            f"{where}: layer {i}, {layer!r}, should be the first layer, before a Dense layer"
        )
    if not hasattr(layer, "inputs"):
        raise ValueError(
            f"{where}: layer {i}, {layer!r}, does not know its number of columns; call adapt(x), "
            f"or give Standardize(inputs)"
        )


# The columns of `rows` that have numbers.
NUMBERS = (0, 4)


def rows(layers: Sequence[Layer]) -> list[tuple[str, ...]]:
    """Return the header and the rows of a table of layers."""
    found: list[tuple[str, ...]] = [("Layer", "Kind", "Shape", "Activation", "Parameters")]
    for i, layer in enumerate(layers):
        if isinstance(layer, Dense):
            shape = f"{layer.inputs} x {layer.outputs}"
            count = f"{layer.parameter_count:,}"
            found.append((str(i), "Dense", shape, str(layer.activation), count))
        elif isinstance(layer, Dropout):
            found.append((str(i), "Dropout", f"rate {exact(layer.rate)}", "", ""))
        elif isinstance(layer, Standardize):
            found.append((str(i), "Standardize", f"{layer.inputs}", "", ""))
    return found


def table(layers: Sequence[Layer]) -> list[str]:
    """Return the lines of a table of layers, as `cnn.Sequential.summary` shows it."""
    found = rows(layers)
    widths = [max(len(row[column]) for row in found) for column in range(len(found[0]))]
    lines = [
        "  ".join(
            cell.rjust(width) if column in NUMBERS else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in found
    ]
    rule = "  ".join("-" * width for width in widths)
    return [lines[0], rule, *lines[1:], rule]
