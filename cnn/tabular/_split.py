"""Which rows of a table are held out: functions of the seed, stratified by class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cnn import _core

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Rows = NDArray[np.intp]


def shuffled(seed: int, rows: int) -> Rows:
    """Return the numbers of all rows in the order of a seed."""
    return _core.permutation(seed, 0, rows, 0, rows).astype(np.intp)


def split(
    order: Rows, goal: NDArray[Any], share: float, *, stratified: bool, source: str
) -> tuple[Rows, Rows]:
    """Return the held-out rows and the training rows of `order`, both in that order.

    With `stratified`, `goal` has the classes of all rows, and classes have the same shares in both,
    as nearly as whole rows allow.
    """
    rows = len(order)
    held = max(1, round(rows * share)) if share > 0 else 0
    if held >= rows:
        raise ValueError(
            f"{source}: of {rows:,} row{'s' * (rows != 1)}, {held} would be held out and none be "
            f"left to learn from"
        )
    if not stratified:
        return order[:held], order[held:]
    classes = goal[order].astype(np.intp)
    counts = np.bincount(classes)
    is_held = _places(classes, counts) < _held_of_each(counts, held)[classes]
    return order[is_held], order[~is_held]


def folds(
    order: Rows, goal: NDArray[Any], count: int, *, stratified: bool
) -> Iterator[tuple[Rows, Rows]]:
    """Yield the test rows and the other rows of each of `count` folds, in the order of `order`."""
    places = np.arange(len(order))
    if stratified:
        # Consecutive rows of a class, and of the next one, go to different folds.
        places[np.argsort(goal[order], kind="stable")] = np.arange(len(order))
    fold_of = places % count
    for fold in range(count):
        yield order[fold_of == fold], order[fold_of != fold]


def _places(classes: Rows, counts: Rows) -> Rows:
    """Return the position of each row among the rows of its class."""
    by_class = np.argsort(classes, kind="stable")
    places = np.empty(len(classes), np.intp)
    places[by_class] = np.arange(len(classes)) - np.repeat(np.cumsum(counts) - counts, counts)
    return places


def _held_of_each(counts: NDArray[np.intp], held: int) -> NDArray[np.intp]:
    """Return how many rows of each class are held out, by the method of largest remainders.

    At least one row of each class is kept for training, even if fewer than `held` rows are then
    held out.
    """
    shares, remainders = np.divmod(counts * held, counts.sum())
    most = np.maximum(counts - 1, 0)
    found: NDArray[np.intp] = np.minimum(shares, most)
    by_remainder = np.argsort(-remainders, kind="stable")
    while (rest := held - found.sum()) > 0:
        able = by_remainder[found[by_remainder] < most[by_remainder]]
        if not len(able):
            break
        found[able[:rest]] += 1
    return found
