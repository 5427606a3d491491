"""Activations of which each unit learns how much it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cnn import _core, activations
from cnn._base import checks
from cnn._base.hinted import hinted
from cnn.layers._layer import WIDEST
from cnn.layers._parameters import ParameterLayer

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


class ParametricActivation(ParameterLayer):
    """An activation of which each unit learns how much it takes: ``y = x + mix (h(x) - x)``.

    With a mix of 1, which it is initially, y is h(x), and with 0 it is x. The layer stands behind a
    Dense without an activation (Holzmüller, Grinsztajn and Steinwart, "Better by Default", 2024).

    Parameters
    ----------
    inputs : int
        The number of units.
    activation : str or cnn.activations.LeakyReLU or ELU, default "relu"
        h: any activation of a `Dense` but softmax.

    Raises
    ------
    TypeError, ValueError
        If an argument is of a wrong type or out of range.

    Examples
    --------
    >>> import cnn
    >>> layers = [cnn.Dense(2, 3), cnn.ParametricActivation(3, "mish"), cnn.Dense(3, 1)]
    >>> cnn.Sequential(layers, rng=0).layers[1].mix
    array([1., 1., 1.], dtype=float32)
    """

    @hinted("ParametricActivation")
    def __init__(self, inputs: int, activation: activations.Activation = "relu") -> None:
        where = "ParametricActivation"
        self._inputs = checks.integer(where, "inputs", inputs, 1, WIDEST)
        self._activation = activations.checked(where, "activation", activation)
        if self._activation[0] == "softmax":
            raise ValueError(f"{where}: activation is softmax, which only a last Dense can have")

    @property
    def inputs(self) -> int:
        """The number of units."""
        return self._inputs

    @property
    def outputs(self) -> int:
        """The number of units."""
        return self._inputs

    @property
    def activation(self) -> activations.Activation:
        """h: its name, or an object of `cnn.activations` with its parameter."""
        return activations.spelled(*self._activation)

    @property
    def mix(self) -> NDArray[Any]:
        """How much of h each unit takes, shape (inputs,), as a read-only copy; assign to set it."""
        return self._get("mix")

    @mix.setter
    def mix(self, values: ArrayLike) -> None:
        self._set("mix", values)

    def _describe(self) -> _core.LayerSpec:
        name, alpha = self._activation
        return _core.LayerSpec(
            "parametric_activation", self._inputs, self._inputs, name, alpha=alpha
        )

    _PARAMETERS = ("mix",)

    def _outputs_of(self, x: NDArray[Any], *parameters: NDArray[Any]) -> NDArray[Any]:
        return self._through(x, self._describe())

    def __repr__(self) -> str:
        return f"ParametricActivation({self._inputs}, {self.activation!r})"
