"""The samples of estimators: arrays, data frames and sparse matrices, and their checks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from sklearn.exceptions import DataConversionWarning
from sklearn.utils.validation import _check_sample_weight, validate_data

from cnn import _core, losses
from cnn._base import checks, warning
from cnn._training import sparse
from cnn._training.sparse import SparseRows
from cnn._training.unchanged import steady
from cnn.sequential import network_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cnn.sequential import Sequential

Rows: TypeAlias = Any
"""A sample in each row: array_like, a sparse matrix, or a frame of pandas or polars."""


@dataclass(frozen=True)
class Data:
    """Checked samples: x and t as cnn takes them, and weights."""

    x: NDArray[Any] | SparseRows
    t: NDArray[Any]
    sample_weight: NDArray[Any] | None = None

    @property
    def rows(self) -> int:
        """The number of samples."""
        return int(self.x.shape[0])

    @property
    def mean_weight(self) -> float:
        """The mean of the weights."""
        return 1.0 if self.sample_weight is None else float(np.mean(self.sample_weight))

    def only(self, rows: NDArray[Any]) -> Data:
        """Return the samples with the given indices."""
        x = self.x.only(rows) if isinstance(self.x, SparseRows) else self.x[rows]
        weight = self.sample_weight
        return Data(x, self.t[rows], None if weight is None else weight[rows])

    def with_weights(self, weights: NDArray[Any]) -> Data:
        """Return the samples whose new weights are not 0, with these weights."""
        found = self.only(np.flatnonzero(weights))
        weights = weights[weights != 0]
        return Data(found.x, found.t, None if (weights == 1).all() else weights)

    def weighted(self, factor: NDArray[Any] | None) -> Data:
        """Return the samples with weights multiplied by a factor for each."""
        if factor is None:
            return self
        weight = self.sample_weight
        return Data(self.x, self.t, factor if weight is None else weight * factor)

    def for_fit(self) -> tuple[Any, ...]:
        """Return the samples as `cnn.Sequential.fit` takes its validation_data."""
        pair = (self.x, self.t)
        return pair if self.sample_weight is None else (*pair, self.sample_weight)


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the user's line; for filters by module, as if scikit-learn had warned."""
    warning.warn(message, category, module="sklearn.neural_network._multilayer_perceptron")


def one_column(y: NDArray[Any]) -> NDArray[Any]:
    """Return a column as an array of one dimension, with scikit-learn's warning."""
    warn(
        "A column-vector y was passed when a 1d array was expected. Please change the shape of y "
        "to (n_samples, ), for example using ravel().",
        DataConversionWarning,
    )
    return y.reshape(-1)


def readable(array: Any) -> Any:
    """Return a validated array or CSR matrix in a type of numbers that libcnn reads.

    Types that libcnn reads are kept, because it converts block by block.
    """
    dtype = array.dtype
    if dtype.kind not in "biuf" or dtype.itemsize > 8 or not dtype.isnative:
        try:
            with np.errstate(over="raise"):
                array = array.astype(np.float64)
        except FloatingPointError:
            raise ValueError(
                f"an array of dtype {dtype} has numbers that are too large for float64"
            ) from None
    return SparseRows(array) if hasattr(array, "toarray") else array


def refuse_unsafe(where: str, name: str, value: Any) -> None:
    """Refuse values of which scikit-learn would ignore the mask, or with which SciPy may crash."""
    _core.no_mask(where, name, value)
    if getattr(value, "format", None) in ("coo", "csc", "csr") and not sparse.is_sound(value):
        raise ValueError(
            f"{where}: {name} is a sparse matrix whose indices do not lie in its shape "
            f"{value.shape}"
        )


def checked_pair(estimator: Any, x: Rows, y: Any, *, reset: bool, numeric: bool) -> tuple[Any, Any]:
    """Return x, in a type that libcnn reads, and y as an array or a sparse matrix."""
    where = type(estimator).__name__
    refuse_unsafe(where, "X", x)
    refuse_unsafe(where, "y", y)
    x, y = validate_data(
        estimator,
        x,
        y,
        reset=reset,
        accept_sparse="csr",
        dtype="numeric",
        multi_output=True,
        y_numeric=numeric,
    )
    return readable(x), y


def checked_weights(where: str, sample_weight: Any, x: Any) -> NDArray[Any] | None:
    """Return the weights of samples as an array, after checks; or None."""
    if sample_weight is None:
        return None
    refuse_unsafe(where, "sample_weight", sample_weight)
    weights: NDArray[Any] = _check_sample_weight(sample_weight, np.empty((x.shape[0], 0)))
    checks.within(where, "sample_weight", weights, 0.0, most=_core.LARGEST_WEIGHT)
    refuse_no_weight(where, "sample_weight is 0 in all rows", weights)
    return weights


def refuse_no_weight(where: str, what: str, weights: NDArray[Any] | None) -> None:
    """Refuse weights whose sum is 0, or too small to divide by."""
    if weights is None:
        return
    if not weights.any():
        raise ValueError(f"{where}: {what}, should be more in one at least")
    losses.refuse_total(where, "sample_weight", float(weights.sum(dtype=np.float64)))


def outputs(net: Sequential, x: NDArray[Any] | SparseRows) -> NDArray[Any]:
    """Return a network's outputs; sparse rows are made dense block by block."""
    if not isinstance(x, SparseRows):
        return net.predict(x)
    rows = x.shape[0]
    out = np.empty((rows, net.outputs), net.dtype)

    def found_of(network: _core.Network) -> NDArray[Any]:
        for first in range(0, rows, x.block_rows):
            last = min(first + x.block_rows, rows)
            network.predict(x[first:last], out[first:last])
        return out

    return steady(network_of(net), found_of)


def is_plain(x: Any, columns: int) -> bool:
    """Whether x is an array that a network can take without more checks.

    A service that predicts one row at a time needs this: scikit-learn's checks take many times as
    long as such a prediction.
    """
    return (
        type(x) is np.ndarray
        and x.dtype.char in "fd"
        and x.dtype.isnative
        and x.ndim == 2
        and x.shape[0] > 0
        and x.shape[1] == columns
        and _core.first_outside(x, -math.inf, math.inf) < 0
    )
