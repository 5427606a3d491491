"""Scores on the held-out rows of shards, from sums that are exact and so of all rows together."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn._base.exact_sums import added, exact_sum, rounded
from cnn._tables.table import Category, Number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from cnn._base.exact_sums import ExactSum
    from cnn._tables.preprocessing import Preprocessing
    from cnn.sequential import Sequential
    from cnn.tabular._peers import Peers
    from cnn.tabular._shards import Encoded

    Pairs = Iterator[tuple[NDArray[np.float64], NDArray[Any]]]

# Rows that are predicted at a time.
_BLOCK = 4096


def held_out(
    net: Sequential,
    plan: Preprocessing,
    shards: Sequence[Encoded],
    kept_counts: NDArray[np.int64],
    peers: Peers,
    source: str,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the scores of a network, and of the best guess without one; by all processes.

    They are those of `tabular.fit` that ``cnn train`` prints: the accuracy, or RMSE and R2.

    Parameters
    ----------
    net, plan
        The trained network, the same in all processes, and its preprocessing.
    shards : sequence of Encoded
        The shards of this process.
    kept_counts : ndarray of shape (classes,)
        The training rows of each class; empty in regression.
    peers, source
        The processes, and what begins messages.
    """

    def pairs() -> Pairs:
        """Yield the targets and outputs of held-out rows."""
        for shard in shards:
            for first in range(0, len(shard.goal), _BLOCK):
                with np.errstate(over="ignore", invalid="ignore"):  # refused below
                    y = plan.outputs(net.predict(shard.held_x[first : first + _BLOCK]))
                if not np.isfinite(y).all():
                    raise ValueError(
                        f"{source}: the predictions of held-out rows are NaN or infinite; a "
                        f"smaller learning rate may help"
                    )
                yield np.asarray(shard.goal[first : first + _BLOCK]), y

    if isinstance(plan.target, Category):
        return _of_classes(plan.target, pairs, kept_counts, peers)
    return _of_numbers(plan.target, pairs, [shard.goal for shard in shards], peers)


def _of_classes(
    target: Category, pairs: Callable[[], Pairs], kept_counts: NDArray[np.int64], peers: Peers
) -> tuple[dict[str, Any], dict[str, Any]]:
    most = int(kept_counts.argmax())

    def count() -> list[int]:
        found = np.zeros(3, np.int64)
        for goal, y in pairs():
            found += len(goal), np.sum(y.argmax(axis=1) == goal), np.sum(goal == most)
        return [int(each) for each in found]

    rows, right, guessed = np.sum(peers.together(count), axis=0).tolist()
    return (
        {"rows": rows, "accuracy": right / rows},
        {"guess": target.categories[most], "accuracy": guessed / rows},
    )


def _of_numbers(
    target: Number,
    pairs: Callable[[], Pairs],
    goals: Sequence[NDArray[np.float64]],
    peers: Peers,
) -> tuple[dict[str, Any], dict[str, Any]]:
    def largest() -> float:
        return max((float(np.abs([t, y[:, 0]]).max()) for t, y in pairs()), default=0.0)

    # Squares of large numbers overflow. Scaling by a power of two is exact.
    power = math.frexp(max(*peers.together(largest), abs(target.mean)))[1]

    def sums() -> list[Any]:
        rows = 0
        found: list[ExactSum] = [0, 0, 0]
        ends: list[float] = []
        for goal, y in pairs():
            t, z = np.ldexp(goal, -power), np.ldexp(y[:, 0], -power)
            guess = math.ldexp(target.mean, -power)
            rows += len(t)
            found = [
                added((total, exact_sum(each)))
                for total, each in zip(found, ((z - t) ** 2, (guess - t) ** 2, t), strict=True)
            ]
            ends += [float(t.min()), float(t.max())]
        return [rows, found, ends]

    told = peers.together(sums)
    rows = sum(each[0] for each in told)
    errors, guesses, total = (
        rounded(added(each)) for each in zip(*(found for _, found, _ in told), strict=True)
    )
    mean = total / rows

    def spread() -> ExactSum:
        return added(exact_sum((np.ldexp(goal, -power) - mean) ** 2) for goal in goals)

    squares = rounded(added(peers.together(spread)))
    ends = [each for _, _, found in told for each in found]
    return (
        {
            "rows": rows,
            "rmse": math.ldexp(math.sqrt(errors / rows), power),
            # Not defined if all numbers are equal.
            "r2": 1.0 - errors / squares if max(ends) > min(ends) else None,
        },
        {"guess": "the mean", "rmse": math.ldexp(math.sqrt(guesses / rows), power)},
    )
