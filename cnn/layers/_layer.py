"""The base of layers."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np

from cnn import _core, activations
from cnn._base.numbers import exact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

# libcnn counts in 64 bits; no machine has memory for a layer of this width.
WIDEST = 2**31 - 1


class Layer:
    """The base of all layers; use one of the subclasses.

    A layer belongs to the first network that it is given to. Another network refuses it.

    Notes
    -----
    The attributes of each kind of layer are declared here, so that ``net.layers[0].weight`` has a
    type in editors and for type checkers, which cannot know the kind. For a kind that does not have
    one, an AttributeError says so, and ``hasattr`` returns False.

    Examples
    --------
    >>> import cnn
    >>> net = cnn.Sequential([cnn.Dense(4, 8, "relu"), cnn.Dropout(0.5), cnn.Dense(8, 3)], rng=0)
    >>> [layer.parameter_count for layer in net.layers]
    [40, 0, 27]
    >>> [hasattr(layer, "weight") for layer in net.layers]
    [True, False, True]
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
        """What a Standardize or Columns layer subtracts, as a read-only copy; assign to set it."""
        raise self._without("mean")

    @mean.setter
    def mean(self, values: ArrayLike) -> None:
        raise self._without("mean")

    @property
    def scale(self) -> NDArray[Any]:
        """What a Standardize or Columns layer divides by, as a read-only copy; assign to set it."""
        raise self._without("scale")

    @scale.setter
    def scale(self, values: ArrayLike) -> None:
        raise self._without("scale")

    @property
    def embedding(self) -> NDArray[Any]:
        """The embeddings of a Columns layer, as a read-only copy; assign to set them."""
        raise self._without("embedding")

    @embedding.setter
    def embedding(self, values: ArrayLike) -> None:
        raise self._without("embedding")

    @property
    def periodic(self) -> NDArray[Any]:
        """The numbers of a Columns layer's periodic columns, as a read-only copy."""
        raise self._without("periodic")

    @periodic.setter
    def periodic(self, values: ArrayLike) -> None:
        raise self._without("periodic")

    @property
    def factor(self) -> NDArray[Any]:
        """The factors of a Scale, as a read-only copy; assign to set them."""
        raise self._without("factor")

    @factor.setter
    def factor(self, values: ArrayLike) -> None:
        raise self._without("factor")

    @property
    def mix(self) -> NDArray[Any]:
        """How much of h each unit of a ParametricActivation takes, as a read-only copy."""
        raise self._without("mix")

    @mix.setter
    def mix(self, values: ArrayLike) -> None:
        raise self._without("mix")

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
            If x does not hold numbers, its shape is wrong, or the layer is not in a network. A
            Standardize needs none: it then computes in float64.

        Examples
        --------
        >>> import cnn
        >>> net = cnn.Sequential([cnn.Dense(2, 1, init="zeros")])
        >>> net.layers[0]([[1.0, 2.0]])
        array([[0.]], dtype=float32)
        """
        return outputs(type(self).__name__, [self], x, self._dtype())[0]

    def _dtype(self) -> np.dtype[Any]:
        """Return the type of the network, in which the layer computes."""
        if self._network is None:
            raise ValueError(
                f"{self!r} is called, but is not in a network; make a network of it first: "
                f"cnn.Sequential([...]), whose predict takes x"
            )
        return self._network.dtype

    def _trained(self) -> tuple[str, ...]:
        """Return the names of the parameters that are trained, in libcnn's order."""
        return tuple(n for n in _core.shapes_of(self._describe()) if n not in _core.FIXED)

    _PARAMETERS: tuple[str, ...] = ()
    """The names of what `_outputs_of` takes."""

    def _outputs_of(self, x: NDArray[Any], *parameters: NDArray[Any]) -> NDArray[Any]:
        """Return the outputs for rows (n, inputs) of the network's type."""
        raise NotImplementedError

    # Type checkers would take any attribute for one that exists.
    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Raise the error for an attribute that does not exist, with a hint."""
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


def outputs(
    where: str, layers: Sequence[Layer], x: ArrayLike, dtype: np.dtype[Any]
) -> list[NDArray[Any]]:
    """Return the outputs of each of some consecutive layers, in a type, for the inputs x.

    They are those of the parameters of one time, even if another thread trains the network.
    """
    array = _core.numeric(where, "x", x)
    if array.ndim not in (1, 2):
        raise ValueError(f"{where}: x has shape {array.shape}, should be (n, inputs) or (inputs,)")
    with np.errstate(over="ignore"):  # as predict, which does not check numbers
        rows = np.atleast_2d(array).astype(dtype)
    found = []
    network = layers[0]._network
    wanted = [(layer._index, name) for layer in layers for name in layer._PARAMETERS]
    if network is not None:
        parameters = iter(network.get_all(wanted))
    else:  # a Standardize without a network
        parameters = (getattr(layers[0], name) for _, name in wanted)
    for layer in layers:
        rows = layer._outputs_of(rows, *itertools.islice(parameters, len(layer._PARAMETERS)))
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
