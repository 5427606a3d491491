"""The parameters of an estimator's network: initial ones, packed ones, and lists of arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cnn import _core
from cnn.layers import Dense, checked_parameter
from cnn.sequential import network_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from cnn.activations import Activation
    from cnn.sequential import Sequential


def dense_layers(net: Sequential) -> list[Dense]:
    """Return the layers that have parameters."""
    return [layer for layer in net.layers if isinstance(layer, Dense)]


def draw(
    random: np.random.RandomState, units: Sequence[int], activations: Sequence[Activation]
) -> NDArray[np.float64]:
    """Draw initial parameters, packed; from the same random state they are scikit-learn's.

    They come from U(-a, a) with a = sqrt(6 / (inputs + outputs)), or sqrt(2 / (inputs + outputs))
    if the layer's activation is the sigmoid.
    """
    parts: list[NDArray[Any]] = []
    for i, name in enumerate(activations):
        factor = 2.0 if name == "sigmoid" else 6.0
        a = np.sqrt(factor / (units[i] + units[i + 1]))
        parts.append(random.uniform(-a, a, units[i] * units[i + 1]))
        parts.append(random.uniform(-a, a, units[i + 1]))
    return np.concatenate(parts)


def unpack(net: Sequential, parameters: NDArray[Any]) -> None:
    """Set all parameters from a flat row: weight, bias, weight, bias, ..."""
    at = 0
    for layer in dense_layers(net):
        size = layer.inputs * layer.outputs
        layer.weight = parameters[at : at + size].reshape(layer.inputs, layer.outputs)
        layer.bias = parameters[at + size : at + size + layer.outputs]
        at += size + layer.outputs


def packed(net: Sequential) -> NDArray[np.float64]:
    """Return all parameters as a flat row of float64."""
    parts = [part.ravel() for layer in dense_layers(net) for part in (layer.weight, layer.bias)]
    return np.concatenate(parts).astype(np.float64)


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    array.flags.writeable = False
    return array


class Parameters(list["NDArray[Any]"]):
    """The weights or the biases of all layers: a list of read-only copies, whose items may be set.

    Setting an item sets the parameter in the network. In a plain list of copies it would have no
    effect on the network.

    Parameters
    ----------
    where, name : str
        The estimator's class, and the name of its attribute that is this list.
    net : Sequential
        The network. The arrays are of one time, and several are set at once.
    parameter : {"weight", "bias"}
        The parameter.
    """

    def __init__(self, where: str, name: str, net: Sequential, parameter: str) -> None:
        self._network = network_of(net)
        self._where = where
        self._name = name
        self._places = [
            (i, parameter) for i, layer in enumerate(net.layers) if isinstance(layer, Dense)
        ]
        super().__init__(map(_read_only, self._network.get_all(self._places)))

    def __setitem__(self, index: Any, value: Any) -> None:
        which = range(len(self))[index]
        if isinstance(which, range):
            self._set(which, list(value))
        else:
            self._set([which], [value])

    def set_all(self, values: Iterable[Any]) -> None:
        """Set all items, or none if one has a wrong type or shape."""
        self._set(range(len(self)), list(values))

    def _set(self, which: Sequence[int], values: list[Any]) -> None:
        if len(values) != len(which):
            raise ValueError(
                f"{self._where}: {self._name} is set to {len(values)} arrays, should be to "
                f"{len(which)}, one for each layer"
            )
        arrays = [
            _core.numeric(self._where, f"{self._name}[{i}]", value)
            for i, value in zip(which, values, strict=True)
        ]
        for i, array in zip(which, arrays, strict=True):
            if array.shape != self[i].shape:
                raise ValueError(
                    f"{self._where}: {self._name}[{i}] has shape {array.shape}, should be "
                    f"{self[i].shape}"
                )
        dtype = self._network.dtype
        places = [self._places[i] for i in which]
        converted = [
            checked_parameter("Dense", parameter, array, array.shape, dtype)
            for (_, parameter), array in zip(places, arrays, strict=True)
        ]
        given = [(*place, array) for place, array in zip(places, converted, strict=True)]
        self._network.set_all(given, self._name)
        for i, array in zip(which, converted, strict=True):
            super().__setitem__(i, _read_only(array))

    def __reduce__(self) -> tuple[Any, ...]:
        # A copy of the list, or one from a pickle, must not set anything in the network.
        return list, (list(self),)
