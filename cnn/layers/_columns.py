"""Columns of a table: scaled, one-hot, embedded, periodic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cnn import _core
from cnn._base import checks
from cnn._base.hinted import hinted
from cnn._base.numbers import exact
from cnn.columns import Column, of_spec, to_spec
from cnn.layers._parameters import ParameterLayer

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self

    from numpy.typing import ArrayLike, NDArray

_MOST_FREQUENCIES, _MOST_PERIODIC, _MOST_EMBEDDING = 256, 16, 1024


class Columns(ParameterLayer):
    """The first layer of a network for tables: it turns the columns of a row into features.

    A number x becomes ``u = clip((x - mean) / scale)`` with
    ``clip(v) = v / sqrt(1 + (v / bound)^2)``, and 0 if it is missing. A periodic column has u and
    ``periodic_size - 1`` features ``offset_h + sum_k factor_hk cos(2 pi frequency_k u + phase_k)``
    beside it, whose numbers are learned: the PBLD embeddings of Holzmüller, Grinsztajn and
    Steinwart, "Better by Default" (2024). `cnn.columns` has what becomes of categories.

    Parameters
    ----------
    columns : iterable of cnn.columns.Column
        The kind of each column, such as ``cnn.columns.Number()`` or ``cnn.columns.OneHot(3)``.
    clip : float, default 3.0
        The bound of numbers; 0 for none.
    frequencies : int, default 16
        The frequencies of each periodic column, 1 to 256.
    periodic_size : int, default 4
        The features of each periodic column, 2 to 16.
    embedding_size : int, default 8
        The features of each embedded column, 1 to 1024.
    sigma : float, default 0.1
        The standard deviation of initial frequencies, which are normal. Initial embeddings have 1.

    Raises
    ------
    TypeError, ValueError
        If an argument is of a wrong type or out of range, or there are no features.

    See Also
    --------
    cnn.tabular.TabularClassifier : A network for tables with all that belongs to it.

    Notes
    -----
    In a step, numbers of an embedding whose gradient is 0 stay as they are, and so does the
    optimizer's state of them: those of categories that no row of the batch has.

    Examples
    --------
    >>> import cnn
    >>> from cnn.columns import Embedding, Number, OneHot
    >>> first = cnn.Columns([Number(missing=True), OneHot(3), Embedding(1000)], embedding_size=2)
    >>> net = cnn.Sequential([first, cnn.Dense(first.outputs, 1)], rng=0)
    >>> first.outputs, first.embedding.shape
    (7, (1000, 2))
    >>> net.predict([[float("nan"), 2, 17]]).shape
    (1, 1)
    """

    @hinted("Columns")
    def __init__(
        self,
        columns: Iterable[Column],
        *,
        clip: float = 3.0,
        frequencies: int = 16,
        periodic_size: int = 4,
        embedding_size: int = 8,
        sigma: float = 0.1,
    ) -> None:
        where = "Columns"
        if isinstance(columns, (str, bytes)) or not hasattr(columns, "__iter__"):
            raise TypeError(
                f"{where}: columns is of type {type(columns).__name__}, should be a list of "
                f"objects of cnn.columns"
            )
        self._columns = tuple(columns)
        specs = tuple(to_spec(where, i, column) for i, column in enumerate(self._columns))
        kinds = {spec.kind for spec in specs}
        self._clip = checks.real(where, "clip", clip, most=_core.LARGEST)
        count = checks.integer(where, "frequencies", frequencies, 1, _MOST_FREQUENCIES)
        size = checks.integer(where, "periodic_size", periodic_size, 2, _MOST_PERIODIC)
        length = checks.integer(where, "embedding_size", embedding_size, 1, _MOST_EMBEDDING)
        self._sigma = checks.real(where, "sigma", sigma, most=_core.LARGEST)
        self._sizes = (count, size, length)
        self._spec = _core.LayerSpec(
            "columns",
            columns=specs,
            inputs=len(specs),
            clip=self._clip,
            frequencies=count if "periodic" in kinds else 0,
            periodic_size=size if "periodic" in kinds else 0,
            embedding_size=length if "embedding" in kinds else 0,
        )
        if self.outputs == 0:
            raise ValueError(
                f"{where}: columns has {len(specs)} columns, none of which has features; should "
                f"have at least one that has"
            )
        self._fixed = {"mean": np.zeros(len(specs)), "scale": np.ones(len(specs))}

    @property
    def columns(self) -> tuple[Column, ...]:
        """What becomes of each column."""
        return self._columns

    @property
    def inputs(self) -> int:
        """The number of columns."""
        return len(self._columns)

    @property
    def outputs(self) -> int:
        """The number of features."""
        return _core.outputs_of(self._spec)

    @property
    def clip(self) -> float:
        """The bound of numbers; 0 for none."""
        return self._clip

    @property
    def embedding(self) -> NDArray[Any]:
        """The embeddings, shape (categories of all embedded columns, embedding_size)."""
        return self._get("embedding")

    @embedding.setter
    def embedding(self, values: ArrayLike) -> None:
        self._set("embedding", values)

    @property
    def periodic(self) -> NDArray[Any]:
        """The numbers of periodic columns, a row for each.

        A row has the frequencies, the phases, the factors of each periodic feature, and the
        offsets.
        """
        return self._get("periodic")

    @periodic.setter
    def periodic(self, values: ArrayLike) -> None:
        self._set("periodic", values)

    @property
    def mean(self) -> NDArray[Any]:
        """What is subtracted from numbers, shape (inputs,); assign to set it."""
        return self._get("mean")

    @mean.setter
    def mean(self, values: ArrayLike) -> None:
        self._set("mean", values)

    @property
    def scale(self) -> NDArray[Any]:
        """What numbers are divided by, shape (inputs,), more than 0; assign to set it."""
        return self._get("scale")

    @scale.setter
    def scale(self, values: ArrayLike) -> None:
        self._set("scale", values)

    def adapt(self, x: ArrayLike) -> Self:
        """Set mean to the median and scale to the quartiles' distance of each column of numbers.

        If the quartiles are equal, the scale is half the distance of the least and the largest
        number, and 1 for a constant column. Missing numbers are left out, and other columns too.

        Parameters
        ----------
        x : array_like of shape (n, inputs)
            Rows such as those that the network is to be trained on.

        Returns
        -------
        Columns
            The layer itself.

        Raises
        ------
        TypeError, ValueError
            If x does not hold numbers, has another shape, or has an infinite number.

        Examples
        --------
        >>> import cnn
        >>> layer = cnn.Columns([cnn.columns.Number()])
        >>> layer.adapt([[1.0], [2.0], [3.0], [4.0], [100.0]]).mean, layer.scale
        (array([3.]), array([2.]))
        """
        where = "Columns.adapt"
        array = _core.numeric(where, "x", x)
        if array.ndim != 2 or array.shape[1] != self.inputs or array.shape[0] == 0:
            raise ValueError(f"{where}: x has shape {array.shape}, should be (n, {self.inputs})")
        mean, scale = np.zeros(self.inputs), np.ones(self.inputs)
        for j, spec in enumerate(self._spec.columns):
            if spec.kind in ("number", "periodic"):
                mean[j], scale[j] = center_and_scale(where, f"column {j} of x", array[:, j])
        self.mean, self.scale = mean, scale
        return self

    def _shape(self, parameter: str) -> tuple[int, ...]:
        shapes = _core.shapes_of(self._spec)
        if parameter not in shapes:
            raise AttributeError(
                f"Columns: there is no {parameter}, as no column is "
                f"{'embedded' if parameter == 'embedding' else 'periodic'}",
                name=parameter,
                obj=self,
            )
        return shapes[parameter]

    def _describe(self) -> _core.LayerSpec:
        return self._spec

    _PARAMETERS = ("mean", "scale")

    def _outputs_of(self, x: NDArray[Any], *parameters: NDArray[Any]) -> NDArray[Any]:
        return self._through(x, self._spec)

    def _initialize(self, network: _core.Network, index: int) -> None:
        network.initialize(index, "normal", self._sigma)

    def __repr__(self) -> str:
        text = f"Columns([{', '.join(map(repr, self._columns))}], clip={exact(self._clip)}"
        names = ("frequencies", "periodic_size", "embedding_size")
        for name, size, default in zip(names, self._sizes, (16, 4, 8), strict=True):
            if size != default:
                text += f", {name}={size}"
        if self._sigma != 0.1:  # the default
            text += f", sigma={exact(self._sigma)}"
        return text + ")"


def center_and_scale(where: str, what: str, values: NDArray[Any]) -> tuple[float, float]:
    """Return the median of numbers and the distance of their quartiles, as `adapt` has them."""
    numbers = np.asarray(values, dtype=np.float64)
    numbers = numbers[~np.isnan(numbers)]
    if not np.isfinite(numbers).all():
        raise ValueError(f"{where}: {what} has an infinite number, should be finite or NaN")
    if numbers.size == 0:
        return 0.0, 1.0
    low, median, high = np.quantile(numbers, (0.25, 0.5, 0.75))
    scale = high - low
    if scale == 0:
        scale = (numbers.max() - numbers.min()) / 2
    return float(median), float(scale) if scale > 0 else 1.0


def of_layer(spec: _core.LayerSpec) -> Columns:
    """Return a new layer like that of a network."""
    sizes = {
        name: getattr(spec, name)
        for name in ("frequencies", "periodic_size", "embedding_size")
        if getattr(spec, name)
    }
    return Columns([of_spec(column) for column in spec.columns], clip=spec.clip, **sizes)
