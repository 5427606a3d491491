"""What users of other libraries try: net(x), net[0], the outputs of all layers, hints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from cnn import layers
from cnn._base import hints

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from cnn.layers import Layer


@hints.hinted_attributes("Sequential")
class Habits:
    """The part of `Sequential` that has names of other libraries."""

    _layers: tuple[Layer, ...]

    if TYPE_CHECKING:

        @property
        def dtype(self) -> np.dtype[Any]:
            """The type of the outputs."""

        def predict(self, x: ArrayLike, *, out: NDArray[Any] | None = None) -> NDArray[Any]:
            """Return the outputs."""

    def __call__(self, x: ArrayLike) -> NDArray[Any]:
        """Return the outputs of the network: the same as ``predict(x)``.

        Parameters
        ----------
        x : array_like of shape (n, inputs) or (inputs,)
            As for `predict`.

        Returns
        -------
        ndarray of shape (n, outputs) or (outputs,)
            The outputs.

        Examples
        --------
        >>> import cnn
        >>> net = cnn.Sequential([cnn.Dense(2, 1, init="zeros")], rng=0)
        >>> net([1.0, 2.0])
        array([0.], dtype=float32)
        """
        return self.predict(x)

    @overload
    def __getitem__(self, index: int) -> Layer: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Layer, ...]: ...

    def __getitem__(self, index: int | slice) -> Layer | tuple[Layer, ...]:
        """Return a layer, or a tuple of layers for a slice: the same as ``layers[index]``.

        Parameters
        ----------
        index : int or slice
            The place of a layer, or of several.

        Returns
        -------
        Layer or tuple of Layer
            The layer, or the layers.

        Examples
        --------
        >>> import cnn
        >>> net = cnn.mlp([4, 8, 3], "relu", "softmax", rng=0)
        >>> net[-1]
        Dense(8, 3, 'softmax')
        """
        return self._layers[index]

    def activations(self, x: ArrayLike) -> list[NDArray[Any]]:
        """Return the outputs of all layers.

        Parameters
        ----------
        x : array_like of shape (n, inputs) or (inputs,)
            Samples, or one, as for `predict`.

        Returns
        -------
        list of ndarray of shape (n, outputs of the layer) or (outputs of the layer,)
            The outputs of each layer, in the network's dtype. A Dropout does nothing here: its
            outputs are those of the layer before it. The last array has the bits of `predict`.

        Raises
        ------
        TypeError, ValueError
            If x does not hold numbers, or its shape is wrong.

        Examples
        --------
        >>> import cnn
        >>> net = cnn.mlp([4, 3, 2], "relu", "softmax", rng=0)
        >>> [outputs.shape for outputs in net.activations([[1.0, 2.0, 3.0, 4.0]])]
        [(1, 3), (1, 2)]
        """
        return layers.outputs("activations", self._layers, x, self.dtype)

    def __dir__(self) -> list[str]:
        """Return the names of attributes, without those that only have a hint."""
        absent = hints.ATTRIBUTES["Sequential"]
        return [name for name in super().__dir__() if name not in absent or hasattr(self, name)]
