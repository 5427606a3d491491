"""The layers of a Sequential, and the initialisers of their weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, SupportsIndex

import numpy as np

from cnn import _core, activations
from cnn._base import checks
from cnn._base.activations import TABLE
from cnn._base.numbers import exact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from cnn._base.choices import InitializerName

__all__ = ["Dense", "Dropout", "Layer", "uniform"]

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

    def __repr__(self) -> str:
        return f"Dropout({exact(self._rate)})"


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
    """Return a network of libcnn with these layers; all parameters are 0."""
    return _core.Network([layer._describe() for layer in layers], dtype=dtype, seed=seed)


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
    activation = activations.spelled(spec.activation, spec.alpha)
    return Dense(spec.inputs, spec.outputs, activation, l2=spec.l2)


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
    before: Dense | None = None
    at = 0
    last = len(layers) - 1
    for i, layer in enumerate(layers):
        if not isinstance(layer, Dense):
            if i in (0, last) or not isinstance(layers[i - 1], Dense):
                raise ValueError(
                    f"{where}: layer {i}, {layer!r}, should be between two Dense layers"
                )
            continue
        if before is not None and layer.inputs != before.outputs:
            raise ValueError(
                f"{where}: layer {i}, {layer!r}, has {layer.inputs} inputs, but layer {at}, "
                f"{before!r}, has {before.outputs} outputs"
            )
        if layer.activation == "softmax" and i != last:
            raise ValueError(
                f"{where}: layer {i}, {layer!r}, has activation softmax, which only the last layer "
                f"can have"
            )
        before, at = layer, i


def table(layers: Sequence[Layer]) -> list[str]:
    """Return the lines of a table of layers, as `cnn.Sequential.summary` shows it."""
    rows = [("Layer", "Kind", "Shape", "Activation", "Parameters")]
    for i, layer in enumerate(layers):
        if isinstance(layer, Dense):
            shape = f"{layer.inputs} x {layer.outputs}"
            count = f"{layer.parameter_count:,}"
            rows.append((str(i), "Dense", shape, str(layer.activation), count))
        elif isinstance(layer, Dropout):
            rows.append((str(i), "Dropout", f"rate {exact(layer.rate)}", "", ""))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = [
        "  ".join(
            cell.rjust(width) if column in (0, 4) else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    rule = "  ".join("-" * width for width in widths)
    return [lines[0], rule, *lines[1:], rule]
