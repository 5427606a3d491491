"""Dropout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cnn import _core
from cnn._base import checks
from cnn._base.hinted import hinted
from cnn._base.numbers import exact
from cnn.layers._layer import Layer

if TYPE_CHECKING:
    from numpy.typing import NDArray


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

    def _outputs_of(self, x: NDArray[Any], *parameters: NDArray[Any]) -> NDArray[Any]:
        return x

    def __repr__(self) -> str:
        return f"Dropout({exact(self._rate)})"
