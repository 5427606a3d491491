"""The validation split of early stopping, in which a weight of 2 is a row given twice."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.model_selection import train_test_split

from cnn import _core
from cnn._training.sparse import BLOCK_NUMBERS, SparseRows
from cnn.sklearn._data import Data

if TYPE_CHECKING:
    from numpy.typing import NDArray

# The number of rows from which the scale of each column is estimated.
_SOME_ROWS = 256
_CURE = "have more, or early_stopping be False, or validation_data be given"


def hold_out(
    where: str,
    data: Data,
    strata: NDArray[Any] | None,
    fraction: float,
    random: np.random.RandomState,
) -> tuple[Data, Data]:
    """Split samples into those to train with and those to validate with.

    If no two rows are equal and all weights are 1, the rows are those that scikit-learn sets aside.
    Else shares of the weights are set aside, sample by sample: equal rows are one sample, whose
    weight is the sum of theirs. So a row of weight 2 is the same as two rows, and a row of weight 0
    is no row, in any order of the rows.

    Parameters
    ----------
    where : str
        The function that the user called, for messages.
    data : Data
        The samples.
    strata : ndarray of shape (n,) or None
        Labels of which each part has the same share.
    fraction : float
        The share of the weights that is set aside.
    random : numpy.random.RandomState
        The source of the choice of samples.

    Returns
    -------
    kept, aside : Data
        The samples to train with and to validate with. A sample of large weight may be in both,
        with a part of its weight in each.

    Raises
    ------
    ValueError
        If there are too few samples.
    """
    weights = data.sample_weight
    if weights is not None:
        weighty = np.flatnonzero(weights)
        if weighty.size < data.rows:
            strata = None if strata is None else strata[weighty]
            data = data.only(weighty)
        weights = data.sample_weight
    plain = weights is None or bool((weights == 1).all())
    if plain and _all_differ(_keys(data.x, _largest(data.x, _SOME_ROWS))):
        return _rows_apart(where, data, strata, fraction, random)
    keys = _keys(data.x, _largest(data.x, data.rows))
    # An odd factor keeps different keys different, as products and sums are modulo 2**64.
    keys = keys * np.uint64(0x9E3779B97F4A7C15) + _target_keys(data.t)
    if plain and _all_differ(keys):
        return _rows_apart(where, data, strata, fraction, random)
    return _weights_apart(where, data, keys, strata, fraction, random)


# ---- Equal rows --------------------------------------------------------------------------------


def _all_differ(keys: NDArray[np.uint64]) -> bool:
    return bool(np.unique(keys).size == keys.size)


def _largest(x: NDArray[Any] | SparseRows, rows: int) -> NDArray[np.float64]:
    """Return the largest magnitude of each column in the first rows; 1 for a column of zeros."""
    if isinstance(x, SparseRows):
        found = x.largest(rows)
    else:
        some = x[:rows]
        found = np.maximum(some.max(axis=0).astype(float), -some.min(axis=0).astype(float))
    return np.where(found > 0, np.maximum(found, np.finfo(np.float32).tiny), 1.0)


def _keys(x: NDArray[Any] | SparseRows, scale: NDArray[np.float64]) -> NDArray[np.uint64]:
    """Return a hash of each row: equal rows have equal hashes, others almost surely do not.

    It is the bits of the row's product with random numbers, which do not depend on the place of the
    row (guarantee G1). Columns are divided by their scale, so that each has bits in the sum.
    """
    random = np.random.default_rng(0).uniform(0.5, 1.0, (scale.size, 2))
    # Two products in float32, or one in float64, are the 64 bits of a hash.
    real = np.float32 if x.dtype == np.float32 else np.float64
    products = 8 // np.dtype(real).itemsize
    factors = (random / (scale[:, None] * scale.size)).astype(real)[:, :products]
    # Arrays of the type are read as a whole; others are converted block by block.
    whole = x.dtype == real and not isinstance(x, SparseRows)
    step = x.shape[0] if whole else max(1, BLOCK_NUMBERS // scale.size)
    parts = [
        _core.dense(np.asarray(x[first : first + step], real), factors, None, "identity")
        for first in range(0, x.shape[0], step)
    ]
    return np.concatenate(parts).view(np.uint64).reshape(-1)


def _target_keys(t: NDArray[Any]) -> NDArray[np.uint64]:
    if t.ndim == 2 and t.shape[1] > 1:
        values = t.astype(np.float64)
        return _keys(values, _largest(values, len(values)))
    # Adding 0.0 makes -0.0 equal to 0.0.
    return (t.reshape(-1).astype(np.float64) + 0.0).view(np.uint64)


# ---- Splits ------------------------------------------------------------------------------------


def _rows_apart(
    where: str,
    data: Data,
    strata: NDArray[Any] | None,
    fraction: float,
    random: np.random.RandomState,
) -> tuple[Data, Data]:
    """Set aside the rows that scikit-learn sets aside."""
    _check_sizes(
        where,
        "rows",
        data.rows,
        math.ceil(fraction * data.rows),
        1 if strata is None else np.unique(strata).size,
        fraction,
    )
    for label, count in _counts(strata, np.ones(data.rows)):
        _check_class(where, label, count < 2, "1 row only")
    kept, aside = train_test_split(
        np.arange(data.rows), random_state=random, test_size=fraction, stratify=strata
    )
    return data.only(kept), data.only(aside)


def _weights_apart(
    where: str,
    data: Data,
    keys: NDArray[np.uint64],
    strata: NDArray[Any] | None,
    fraction: float,
    random: np.random.RandomState,
) -> tuple[Data, Data]:
    """Set aside a share of the weights of each stratum."""
    weights = np.ones(data.rows) if data.sample_weight is None else data.sample_weight
    whole = bool((weights == np.floor(weights)).all())
    _, first, sample = np.unique(keys, return_index=True, return_inverse=True)
    sample = sample.reshape(-1)
    total = np.bincount(sample, weights)
    stratum = None if strata is None else strata[first]
    strata_count = 1 if stratum is None else np.unique(stratum).size
    if whole:
        all_of_it = total.sum()
        aside = math.ceil(fraction * all_of_it)
        _check_sizes(where, "rows, by weight", all_of_it, aside, strata_count, fraction)
    else:
        _check_sizes(where, "rows", data.rows, 2, strata_count, fraction)
    order = random.permutation(total.size)
    share = np.zeros(total.size)
    for label, weight in _counts(stratum, total):
        target = math.ceil(fraction * weight) if whole else fraction * weight
        _check_class(where, label, target >= weight, f"a weight of {weight:g} only")
        of_it = order if stratum is None else order[stratum[order] == label]
        # No sample is more than half of what is set aside. So the validation set has two samples
        # at least, and a sample of large weight is in the training set too.
        most = max(target // 2, 1.0) if whole else target / 2
        offered = np.minimum(total[of_it], most)
        share[of_it] = np.clip(target - (np.cumsum(offered) - offered), 0.0, offered)
    # Of equal rows, the first ones are set aside.
    rows = np.argsort(sample, kind="stable")
    ordered = weights[rows]
    before = np.cumsum(ordered) - ordered
    begins = np.searchsorted(sample[rows], np.arange(total.size))
    before -= before[begins][sample[rows]]
    taken = np.empty(data.rows)
    taken[rows] = np.clip(share[sample[rows]] - before, 0.0, ordered)
    return data.with_weights(weights - taken), data.with_weights(taken)


def _counts(strata: NDArray[Any] | None, weights: NDArray[Any]) -> list[tuple[Any, float]]:
    """Return each stratum and its weight; without strata, None and the weight of all rows."""
    if strata is None:
        return [(None, float(weights.sum()))]
    labels, number = np.unique(strata, return_inverse=True)
    sums = np.bincount(number.reshape(-1), weights)
    return list(zip(labels.tolist(), sums.tolist(), strict=True))


def _check_sizes(
    where: str, what: str, count: float, aside: float, strata: int, fraction: float
) -> None:
    """Refuse a split of `count` rows, or of that weight, with a part that is too small."""
    if count < 3:
        raise ValueError(
            f"{where}: X has {count:g} sample{'s' if count > 1 else ''}, too few for "
            f"early_stopping, which sets some of them aside; should {_CURE}"
        )
    if fraction == 0 or aside < 2 or count - aside < strata:
        raise ValueError(
            f"{where}: validation_fraction is {fraction}, which makes a validation set of "
            f"{aside:g} of {count:g} {what}; should make one of at least 2, and leave some of each "
            f"class to train with"
        )


def _check_class(where: str, label: Any, is_too_small: bool, what: str) -> None:
    if is_too_small and label is not None:
        raise ValueError(
            f"{where}: y has the label {label!r} in {what}, but early_stopping sets some samples "
            f"of each class aside and trains with others; should {_CURE}"
        )
