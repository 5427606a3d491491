"""The structure of a network: its layers and weights, and how it is copied and pickled."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn import _core, activations, layers
from cnn._base import checks, html, texts
from cnn._base.hinted import hinted
from cnn._base.metadata import EPOCHS
from cnn._model.names import described
from cnn.layers import Layer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Self

    from numpy.typing import ArrayLike, NDArray

    from cnn._base.choices import NetworkDType
    from cnn.activations import Activation


# Attributes of one object alone. The tapes, of derivatives.py, hold what the last rows left in it.
OWN = ("_network", "_layers", "_tapes")


class Stack:
    """A stack of layers with one compiled network, of which the layers are views."""

    @hinted("Sequential")
    def __init__(
        self,
        layers: Sequence[Layer],
        *,
        rng: int | np.random.Generator | None = None,
        dtype: NetworkDType = "float32",
    ) -> None:
        self._build("Sequential", layers, rng, dtype)

    def _build(self, where: str, given: object, rng: object, dtype: object) -> None:
        """Make the layers and the network; `where` is for messages."""
        found = layers.checked(where, given)
        network = layers.compiled(
            found, checks.network_dtype(where, dtype), checks.seed(where, rng)
        )
        layers.initialize(found, network)
        self._adopt(network, found)

    def _adopt(self, network: _core.Network, found: list[Layer]) -> None:
        self._network = network
        self._layers = tuple(found)
        self.stop_training = False
        layers.attach(found, network)

    # ---- Structure -----------------------------------------------------------------------------

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers, in a tuple."""
        return self._layers

    @property
    def inputs(self) -> int:
        """The number of inputs of a row."""
        return self._network.inputs

    @property
    def outputs(self) -> int:
        """The number of outputs of a row."""
        return self._network.outputs

    @property
    def activation(self) -> Activation:
        """The activation of the output layer, as `cnn.Dense.activation` gives it."""
        last = self._network.layers[-1]
        return activations.spelled(last.activation, last.alpha)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of weights and outputs, float32 or float64."""
        return self._network.dtype

    @property
    def seed(self) -> int:
        """The seed of initial weights, shuffles and dropout."""
        return self._network.seed

    @property
    def parameter_count(self) -> int:
        """The number of weights and biases."""
        return self._network.parameter_count

    @property
    def epochs(self) -> int:
        """For how many epochs `fit` has trained the network over its life, files included."""
        return int(self._network.get_metadata(EPOCHS) or 0)

    def __len__(self) -> int:
        return len(self._layers)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self._layers)

    def __repr__(self) -> str:
        lines = "".join(f"    {layer!r},\n" for layer in self._layers)
        return f"Sequential([\n{lines}], rng={self.seed}, dtype={self.dtype.name!r})"

    def summary(self) -> str:
        """Return a table of the layers as text, with the names and metadata that have been set.

        Returns
        -------
        str
            The lines of the table, then those of names and metadata. An interpreter or a notebook
            shows them without quotes.

        Examples
        --------
        >>> import cnn
        >>> print(cnn.mlp([64, 50, 10], "relu", "softmax", rng=0, dropout=0.2).summary())
        Layer  Kind     Shape     Activation  Parameters
        -----  -------  --------  ----------  ----------
            0  Dense    64 x 50   relu             3,250
            1  Dropout  rate 0.2
            2  Dense    50 x 10   softmax            510
        -----  -------  --------  ----------  ----------
        3,760 parameters, float32, 15.0 kB
        """
        lines = [*layers.table(self._layers), self._total(), *described(self._network)]
        return texts.Lines("\n".join(lines))

    def _total(self) -> str:
        """Return how many parameters there are, of which type, and their size."""
        size = self.parameter_count * self.dtype.itemsize
        unit, scale = ("MB", 1e6) if size >= 1e6 else ("kB", 1e3)
        total = f"{self.parameter_count:,} parameters, {self.dtype.name}"
        return f"{total}, {size / scale:,.1f} {unit}"

    def _repr_html_(self) -> str:
        header, *rows = layers.rows(self._layers)
        table = html.table(header, rows, right=layers.NUMBERS)
        return html.block(type(self).__name__, table, self._total(), *described(self._network))

    # ---- Weights -------------------------------------------------------------------------------

    def _parameters(self) -> Iterator[tuple[int, str, tuple[int, ...]]]:
        """Yield the layer, the name and the shape of each array of weights."""
        yield from self._network.trained

    def get_weights(self) -> list[NDArray[Any]]:
        """Return copies of all weights and biases, as Keras does.

        Returns
        -------
        list of ndarray
            For each Dense layer in order the weight, shape (inputs, outputs), and the bias, shape
            (outputs,), in the network's dtype; the embedding and the periodic numbers of a Columns,
            the factor of a Scale and the mix of a ParametricActivation. A Dropout has none, and
            means and scales, which are not trained, are left out. The arrays are new: to change
            them does not change the network.

        See Also
        --------
        set_weights : Set them.

        Examples
        --------
        >>> import cnn
        >>> net = cnn.mlp([4, 3, 2], "relu", "softmax", rng=0)
        >>> [array.shape for array in net.get_weights()]
        [(4, 3), (3,), (3, 2), (2,)]
        """
        return self._network.get_all((i, name) for i, name, _ in self._parameters())

    def set_weights(self, weights: Iterable[ArrayLike]) -> None:
        """Set all weights and biases, as Keras does.

        Parameters
        ----------
        weights : iterable of array_like
            For each layer in order its arrays, as `get_weights` returns them. Numbers of other
            types are rounded to the network's dtype.

        Raises
        ------
        TypeError
            If it is no iterable of arrays, or an array does not hold numbers.
        ValueError
            If there are more or fewer arrays than the network has, one has another shape, or a
            number overflows the network's dtype. The network is then unchanged.

        See Also
        --------
        get_weights : Return them.

        Notes
        -----
        The state of an optimizer, such as its moments, is not changed.

        Examples
        --------
        >>> import cnn
        >>> net = cnn.Sequential([cnn.Dense(2, 1)], rng=0)
        >>> net.set_weights([[[1.0], [2.0]], [0.5]])
        >>> net.predict([10.0, 1.0])
        array([12.5], dtype=float32)
        """
        where = "set_weights"
        if isinstance(weights, (str, bytes, dict)) or not hasattr(weights, "__iter__"):
            raise TypeError(
                f"{where}: weights is of type {type(weights).__name__}, should be a list of arrays"
            )
        given, parameters = list(weights), list(self._parameters())
        if len(given) != len(parameters):
            raise ValueError(
                f"{where}: weights has {len(given)} arrays, should have {len(parameters)}: the "
                f"weight and the bias of each Dense layer, and what else is trained"
            )
        # All are checked before one is set.
        arrays = [
            layers.checked_parameter(
                where, f"weights[{place}], the {name} of layer {i},", values, shape, self.dtype
            )
            for place, (values, (i, name, shape)) in enumerate(zip(given, parameters, strict=True))
        ]
        self._network.set_all(
            [(i, name, array) for array, (i, name, _) in zip(arrays, parameters, strict=True)],
            where,
        )

    # ---- Copies and pickles --------------------------------------------------------------------

    # Pickles, joblib and skops restore an object by __setstate__: skops runs no function that a
    # file names. Attributes that users or subclasses have added travel with the network.

    def __getstate__(self) -> dict[str, Any]:
        return self._attributes() | {"_network": self._network.to_bytes()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        data = state.get("_network") if isinstance(state, dict) else None
        if not isinstance(data, bytes):
            raise TypeError("Sequential: the state of a pickle should hold a network as bytes")
        self._restore(_core.Network.from_bytes(data), state)

    def __copy__(self) -> Self:
        # Two objects with the same weights would train each other.
        made = type(self).__new__(type(self))
        made._restore(self._network.copy(), self._attributes())
        return made

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        made = type(self).__new__(type(self))
        memo[id(self)] = made
        made._restore(self._network.copy(), copy.deepcopy(self._attributes(), memo))
        return made

    def _attributes(self) -> dict[str, Any]:
        """Return all attributes that travel with the network."""
        return {k: v for k, v in self.__dict__.items() if k not in OWN}

    def _restore(self, network: _core.Network, attributes: dict[str, Any]) -> None:
        """Make a new object, whose __init__ has not run, of a network and attributes."""
        self._adopt(network, [layers.of_description(layer) for layer in network.layers])
        self.__dict__ |= {k: v for k, v in attributes.items() if k not in OWN}
