"""What layers with parameters of their own have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from cnn import _core
from cnn.layers._layer import Layer, checked_parameter

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


class ParameterLayer(Layer):
    """The base of layers whose parameters are the network's once they are in one."""

    _fixed: dict[str, NDArray[Any]]
    """Fixed parameters, which have numbers before the layer is in a network."""

    def _shape(self, parameter: str) -> tuple[int, ...]:
        """Return the shape of a parameter."""
        return _core.shapes_of(self._describe())[parameter]

    @property
    def parameter_count(self) -> int:
        """The number of parameters that are trained."""
        shapes = _core.shapes_of(self._describe())
        return sum(int(np.prod(s)) for name, s in shapes.items() if name not in _core.FIXED)

    def _get(self, parameter: str) -> NDArray[Any]:
        self._shape(parameter)
        fixed = self.__dict__.get("_fixed", {})
        if self._network is not None:
            values = self._network.get(self._index, parameter)
        elif parameter in fixed:
            values = fixed[parameter].copy()
        else:
            self._refuse(parameter)
        # Read-only, since a write into a copy would silently have no effect.
        values.flags.writeable = False
        return values

    def _set(self, parameter: str, values: ArrayLike) -> None:
        where = type(self).__name__
        shape = self._shape(parameter)
        fixed = self.__dict__.get("_fixed", {})
        if self._network is not None:
            dtype = self._network.dtype
            converted = checked_parameter(where, parameter, values, shape, dtype)
            self._network.set(self._index, parameter, converted)
        elif parameter in fixed:
            dtype = np.dtype(np.float64)
            converted = checked_parameter(where, parameter, values, shape, dtype)
            bad = ~np.isfinite(converted)
            if parameter == "scale":
                bad |= converted <= 0
            if bad.any():
                at = int(np.flatnonzero(bad)[0])
                should = "finite and more than 0" if parameter == "scale" else "finite"
                raise ValueError(
                    f"{where}: {parameter} is {converted[at]} at [{at}], should be {should}"
                )
            fixed[parameter] = converted
        else:
            self._refuse(parameter)

    def _refuse(self, parameter: str) -> NoReturn:
        raise AttributeError(
            f"{type(self).__name__}: {parameter} does not exist yet, as the layer is not in a "
            f"network; make a Sequential of it first"
        )

    def _fill(self, network: _core.Network, index: int) -> None:
        """Give fixed parameters to layer `index` of a new network."""
        for name, values in self.__dict__.get("_fixed", {}).items():
            network.set(index, name, values)

    def _through(self, x: NDArray[Any], spec: _core.LayerSpec) -> NDArray[Any]:
        """Return the outputs of the layer, computed by a network of it and identities."""
        width = _core.outputs_of(spec)
        specs = [spec, _core.LayerSpec("dense", width, width)]
        if spec.kind != "columns":
            specs.insert(0, _core.LayerSpec("dense", width, width))
        if x.shape[1] != spec.inputs:
            raise ValueError(
                f"{type(self).__name__}: x has {x.shape[1]} columns, but the layer has "
                f"{spec.inputs} inputs"
            )
        network = _core.Network(specs, dtype=x.dtype.name)
        for i, one in enumerate(specs):
            if one.kind == "dense":
                network.set(i, "weight", np.eye(width))
            elif self._network is not None:
                for name in _core.shapes_of(spec):
                    network.set(i, name, self._network.get(self._index, name))
        return network.predict(x)
