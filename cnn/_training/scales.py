"""A warning of inputs whose scales keep a network from learning."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cnn._base import warning
from cnn._base.numbers import rounded
from cnn._training.sparse import SparseRows
from cnn.layers import Standardize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cnn._training.samples import Samples

# The most rows and numbers that are looked at, evenly spread.
_ROWS = 1000
_NUMBERS = 1_000_000
# Numbers beyond this are large, and so is the ratio of two columns.
_LARGE = 1e3
# A column with a larger share of zeros is not taken as small: a few rows may show no more of it.
_ZEROS = 0.75
# Columns that a message names, and digits of its numbers.
_NAMED = 3
_DIGITS = 3


def warn(where: str, layers: Sequence[object], samples: Samples) -> None:
    """Warn of columns with large numbers, or of much smaller numbers than those of others.

    Sparse samples are left aside. If the first layer standardizes, what it makes of x counts.
    """
    if isinstance(samples.x, SparseRows):
        return
    rows = min(_ROWS, max(1, _NUMBERS // samples.x.shape[1]))
    x = samples.x[:: -(-samples.rows // rows)].astype(np.float64)
    first = layers[0]
    with np.errstate(all="ignore"):  # training refuses what is not finite
        if isinstance(first, Standardize):
            x = (x - first.mean) / first.scale
        sizes = np.abs(np.where(np.isfinite(x), x, 0.0)).max(axis=0)
    large = np.flatnonzero(sizes > _LARGE)
    usual = sizes[(sizes > 0) & ((x == 0).mean(axis=0) <= _ZEROS)]
    if large.size:
        most = rounded(float(sizes.max()), _DIGITS)
        what = f"numbers beyond {_LARGE:g}, up to {most}, in {_listed(samples, large)}"
    elif usual.size and sizes.max() > _LARGE * usual.min():
        parts = [
            f"{rounded(float(size), _DIGITS)} in "
            f"{samples.column(int(np.flatnonzero(sizes == size)[0]))}"
            for size in (usual.min(), sizes.max())
        ]
        what = f"columns of different scales: numbers up to {parts[0]}, but up to {parts[1]}"
    else:
        return
    cure = "Begin the network with cnn.Standardize().adapt(x)"
    if isinstance(first, Standardize):
        what += ", after its first layer"
        cure = "Call adapt(x) of the first layer"
    warning.warn(
        f"{where}: x has {what}; networks learn from such inputs slowly or not at all. {cure}, or "
        f"scale x beforehand, as by scikit-learn's StandardScaler"
    )


def _listed(samples: Samples, columns: NDArray[np.intp]) -> str:
    text = ", ".join(samples.column(int(number)) for number in columns[:_NAMED])
    more = columns.size - _NAMED
    return text if more <= 0 else f"{text} and {more} more"
