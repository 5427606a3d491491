"""Standardization of inputs, as a first layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cnn import _core
from cnn._base import checks, moments
from cnn._base.hinted import hinted
from cnn._base.numbers import exact
from cnn.layers._layer import WIDEST, Layer, checked_parameter

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import ArrayLike, NDArray


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
    >>> net.layers[0]([[2.0, 7000.0]])
    array([[0., 0.]], dtype=float32)
    >>> cnn.Standardize(784, scale=255.0)
    Standardize(784)
    """

    @hinted("Standardize")
    def __init__(
        self,
        inputs: int | None = None,
        *,
        mean: ArrayLike | None = None,
        scale: ArrayLike | None = None,
    ) -> None:
        self._inputs = None
        if hasattr(inputs, "__iter__") and not isinstance(inputs, str):
            raise TypeError(
                f"Standardize: inputs is of type {type(inputs).__name__}, should be the number of "
                f"columns; means and deviations of rows are found by cnn.Standardize().adapt(x)"
            )
        if inputs is not None:
            self._inputs = checks.integer("Standardize", "inputs", inputs, 1, WIDEST)
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
        if network is None:
            self._fixed |= found
            return
        network.set_all(
            [(self._index, name, np.full(network.inputs, v)) for name, v in found.items()],
            "Standardize",
        )

    def _describe(self) -> _core.LayerSpec:
        return _core.LayerSpec("standardize", self._inputs or 0, self._inputs or 0)

    def _fill(self, network: _core.Network) -> None:
        """Give mean and scale to the first layer of a new network."""
        found = {
            n: self._checked("Standardize", n, v, network.dtype) for n, v in self._fixed.items()
        }
        if self._adapted:
            moments.check_steps("Standardize", self.mean, self.scale, network.dtype)
        network.set_all([(0, name, np.full(network.inputs, v)) for name, v in found.items()])

    def _dtype(self) -> np.dtype[Any]:
        return checks.FLOAT64 if self._network is None else self._network.dtype

    _PARAMETERS = ("mean", "scale")

    def _outputs_of(self, x: NDArray[Any], *parameters: NDArray[Any]) -> NDArray[Any]:
        if x.shape[1] != self.inputs:
            raise ValueError(
                f"Standardize: x has {x.shape[1]} columns, but the layer has {self._inputs} inputs"
            )
        with np.errstate(all="ignore"):  # as predict
            found: NDArray[Any] = (x - parameters[0]) / parameters[1]
        return found

    def __repr__(self) -> str:
        return f"Standardize({'' if self._inputs is None else self._inputs})"
