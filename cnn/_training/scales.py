"""A warning of inputs whose scales keep a network from learning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cnn._base import warning
from cnn._base.numbers import rounded
from cnn._training.sparse import SparseRows
from cnn.layers import Columns, Standardize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cnn._training.samples import Samples

# The most rows and numbers that are looked at, evenly spread.
_ROWS = 250
_NUMBERS = 1_000_000
# A column of a larger size is large, and so is a ratio of the sizes of two.
_LARGE = 1e3
# Columns that a message names, and digits of its numbers.
_NAMED = 3
_DIGITS = 3


def warn(where: str, layers: Sequence[object], samples: Samples, dtype: np.dtype[Any]) -> None:
    """Warn of columns of large numbers, or of much smaller numbers than those of others.

    The size of a column is the median magnitude of its numbers that are not 0, which neither
    single outliers nor the share of zeros changes. Sparse samples are left aside, and those of a
    Columns, which scales each column. If the first layer standardizes, what it makes of x counts.
    """
    if isinstance(samples.x, SparseRows) or isinstance(layers[0], Columns):
        return
    rows = min(_ROWS, max(1, _NUMBERS // samples.x.shape[1]))
    first = layers[0]
    with np.errstate(all="ignore"):  # training refuses what is not finite
        x = samples.x[:: -(-samples.rows // rows)].astype(dtype).astype(np.float64)
        if isinstance(first, Standardize):
            x = (x - first.mean) / first.scale
    sizes = _sizes(x)
    large = np.flatnonzero(sizes > _LARGE)
    least = sizes.min(where=sizes > 0, initial=np.inf)
    if large.size:
        most = rounded(float(sizes.max()), _DIGITS)
        what = f"typical magnitudes above {_LARGE:g}, up to {most}, in {_listed(samples, large)}"
    elif sizes.max() > _LARGE * least:
        parts = [
            f"{rounded(float(size), _DIGITS)} in "
            f"{samples.column(int(np.flatnonzero(sizes == size)[0]))}"
            for size in (least, sizes.max())
        ]
        what = f"columns of different scales: typical magnitudes are {parts[0]}, but {parts[1]}"
    else:
        return
    cure = "begin the network with cnn.Standardize().adapt(x)"
    if isinstance(first, Standardize):
        what += ", after its first layer"
        cure = "call adapt(x) of the first layer"
    warning.warn(
        f"{where}: x has {what}; networks learn from such inputs slowly or not at all: {cure}, or "
        f"scale x beforehand, as by scikit-learn's StandardScaler"
    )


def _sizes(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the median magnitude of each column's finite numbers but zeros; 0 if there is none."""
    magnitudes = np.sort(np.abs(np.where(np.isfinite(x), x, 0.0)).T)
    zeros = np.count_nonzero(magnitudes == 0, axis=1)
    middle = np.minimum((zeros + magnitudes.shape[1]) // 2, magnitudes.shape[1] - 1)
    found: NDArray[np.float64] = np.take_along_axis(magnitudes, middle[:, np.newaxis], axis=1)
    return found[:, 0]


def _listed(samples: Samples, columns: NDArray[np.intp]) -> str:
    text = ", ".join(samples.column(int(number)) for number in columns[:_NAMED])
    more = columns.size - _NAMED
    return text if more <= 0 else f"{text} and {more} more"
