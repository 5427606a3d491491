"""A learned factor for each feature."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cnn import _core
from cnn._base import checks
from cnn._base.hinted import hinted
from cnn.layers._layer import WIDEST
from cnn.layers._parameters import ParameterLayer

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


class Scale(ParameterLayer):
    """A layer that multiplies each feature by a factor of its own, which is learned: ``y = s x``.

    Before a first Dense it lets training choose among features. Factors are initially 1.

    Parameters
    ----------
    inputs : int
        The number of features.

    Raises
    ------
    TypeError, ValueError
        If it is no integer, or out of range.

    Examples
    --------
    >>> import cnn
    >>> net = cnn.Sequential([cnn.Scale(3), cnn.Dense(3, 1)], rng=0)
    >>> net.layers[0].factor
    array([1., 1., 1.], dtype=float32)
    """

    @hinted("Scale")
    def __init__(self, inputs: int) -> None:
        self._inputs = checks.integer("Scale", "inputs", inputs, 1, WIDEST)

    @property
    def inputs(self) -> int:
        """The number of features."""
        return self._inputs

    @property
    def outputs(self) -> int:
        """The number of features."""
        return self._inputs

    @property
    def factor(self) -> NDArray[Any]:
        """The factors, shape (inputs,), as a read-only copy; assign to set them."""
        return self._get("factor")

    @factor.setter
    def factor(self, values: ArrayLike) -> None:
        self._set("factor", values)

    def _describe(self) -> _core.LayerSpec:
        return _core.LayerSpec("scale", self._inputs, self._inputs)

    _PARAMETERS = ("factor",)

    def _outputs_of(self, x: NDArray[Any], *parameters: NDArray[Any]) -> NDArray[Any]:
        if x.shape[1] != self._inputs:
            raise ValueError(
                f"Scale: x has {x.shape[1]} columns, but the layer has {self._inputs} inputs"
            )
        found: NDArray[Any] = x * parameters[0]
        return found

    def __repr__(self) -> str:
        return f"Scale({self._inputs})"
