"""Dense layers, and the initialisers of their weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from cnn import _core, activations
from cnn._base import checks
from cnn._base.activations import TABLE
from cnn._base.choices import Parametrization
from cnn._base.hinted import hinted
from cnn._base.numbers import exact
from cnn.layers._layer import WIDEST
from cnn.layers._parameters import ParameterLayer

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from cnn._base.choices import InitializerName

# Initialisers by name; `uniform` and `normal` are objects, since they have a parameter.
_INITIALIZERS = tuple(name for name in _core.INITIALIZERS if name not in ("uniform", "normal"))


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


@dataclass(frozen=True)
class normal:  # as uniform
    """Initial weights drawn from N(0, a^2); biases 0.

    Parameters
    ----------
    a : float
        The standard deviation, 0 or more.

    Examples
    --------
    >>> import cnn
    >>> layer = cnn.Dense(300, 200, init=cnn.normal(0.05))
    >>> net = cnn.Sequential([layer], rng=0)
    >>> round(float(layer.weight.std()), 3)
    0.05
    """

    a: float

    def __post_init__(self) -> None:
        checks.real("normal", "a", self.a, most=_core.LARGEST)


class Dense(ParameterLayer):
    """A dense layer: ``y = h(x @ weight + bias)``.

    Parameters
    ----------
    inputs : int
        The number of inputs of a row.
    outputs : int
        The number of outputs of a row: of neurons.
    activation : str or cnn.activations.LeakyReLU or ELU, default "identity"
        h: one of "identity", "step", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "softplus",
        "silu", "gelu", "gelu_tanh", "mish", "selu", "hard_sigmoid", "hard_swish", "relu6",
        "softsign", "exponential", and "softmax" in the last layer.
        ``cnn.activations.LeakyReLU(0.2)`` is leaky_relu with a slope other than 0.01, and
        ``cnn.activations.ELU(0.5)`` is elu with an alpha other than 1.
    init : str, uniform or normal, optional
        The initial weights, drawn from U(-a, a) with the network's seed. Biases are initially 0.

        - "glorot_uniform": a = sqrt(6 / (inputs + outputs)) (Glorot and Bengio, 2010), the default
          for identity, step, sigmoid, tanh, hard_sigmoid, softsign, exponential and softmax;
        - "he_uniform": a = sqrt(6 / inputs) (He et al., 2015), the default for relu, leaky_relu,
          elu, softplus, silu, gelu, gelu_tanh, mish, hard_swish and relu6;
        - "lecun_uniform": a = sqrt(3 / inputs) (LeCun et al., 1998), the default for selu;
        - "torch": a = 1 / sqrt(inputs), for the biases too, as PyTorch's Linear;
        - "zeros": all 0;
        - ``cnn.uniform(a)``, or ``cnn.normal(a)`` for N(0, a^2).
    l2 : float, default 0.0
        Adds ``l2 / 2 sum(weight^2)`` to the loss; 0 or more.
    parametrization : {"standard", "ntk"}, default "standard"
        With "ntk", an optimizer sees the weight as V / sqrt(inputs) and changes V (Jacot, Gabriel
        and Hongler, "Neural Tangent Kernel", 2018): the learning rate of the weight is divided by
        sqrt(inputs) for Adam, AdamW, RMSprop and Adagrad, and by inputs for SGD.

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
        init: InitializerName | uniform | normal | None = None,
        l2: float = 0.0,
        parametrization: Parametrization = "standard",
    ) -> None:
        self._inputs = checks.integer("Dense", "inputs", inputs, 1, WIDEST)
        self._outputs = checks.integer("Dense", "outputs", outputs, 1, WIDEST)
        self._activation = activations.checked("Dense", "activation", activation)
        if init is not None and not isinstance(init, (uniform, normal)):
            if not isinstance(init, str):
                what = type(init).__name__
                raise TypeError(
                    f"Dense: init is of type {what}, should be a string, cnn.uniform(a) or "
                    f"cnn.normal(a)"
                )
            known = (*_INITIALIZERS, "cnn.uniform(a)", "cnn.normal(a)")
            checks.choice("Dense", "init", init, known)
        self._init = init
        self._l2 = checks.real("Dense", "l2", l2, most=_core.LARGEST)
        checks.choice("Dense", "parametrization", parametrization, get_args(Parametrization))
        self._parametrization: Parametrization = parametrization

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
    def init(self) -> InitializerName | uniform | normal | None:
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
    def parametrization(self) -> Parametrization:
        """How an optimizer sees the weight: "standard" or "ntk"."""
        return self._parametrization

    @property
    def weight(self) -> NDArray[Any]:
        """The weights, shape (inputs, outputs), as a read-only copy; assign to set them."""
        return self._get("weight")

    @weight.setter
    def weight(self, values: ArrayLike) -> None:
        self._set("weight", values)

    @property
    def bias(self) -> NDArray[Any]:
        """The biases, shape (outputs,), as a read-only copy; assign to set them."""
        return self._get("bias")

    @bias.setter
    def bias(self, values: ArrayLike) -> None:
        self._set("bias", values)

    def _describe(self) -> _core.LayerSpec:
        name, alpha = self._activation
        return _core.LayerSpec(
            "dense",
            self._inputs,
            self._outputs,
            name,
            l2=self._l2,
            alpha=alpha,
            parametrization=self._parametrization,
        )

    _PARAMETERS = ("weight", "bias")

    def _outputs_of(self, x: NDArray[Any], *parameters: NDArray[Any]) -> NDArray[Any]:
        if x.shape[1] != self._inputs:
            raise ValueError(
                f"Dense: x has {x.shape[1]} columns, but the layer has {self._inputs} inputs"
            )
        name, alpha = self._activation
        weight, bias = parameters
        return _core.dense(x, weight, bias, name, None, alpha)

    def _initialize(self, network: _core.Network, index: int) -> None:
        """Draw the initial weights of layer `index` of a network."""
        if isinstance(self._init, uniform):
            network.initialize(index, "uniform", self._init.a)
        elif isinstance(self._init, normal):
            network.initialize(index, "normal", self._init.a)
        else:
            network.initialize(index, self._init or TABLE[self._activation[0]].init)

    def __repr__(self) -> str:
        text = f"Dense({self._inputs}, {self._outputs}, {self.activation!r}"
        if self._init is not None:
            text += f", init={self._init!r}"
        if self._l2 > 0:
            text += f", l2={exact(self._l2)}"
        if self._parametrization != "standard":
            text += f", parametrization={self._parametrization!r}"
        return text + ")"
