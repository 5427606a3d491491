"""Which process has which shards, and which nodes of the tree of sums it sends."""

from __future__ import annotations

import numpy as np

from cnn import _core


def ranges(shards: int, size: int) -> list[int]:
    """Return where the shards of each process begin, and their number at the end.

    Each process has shards that follow one another: `shards` / `size` of them, rounded down or up.
    Of the two, the one is taken after which a larger subtree begins, so that processes have few
    nodes to send.
    """
    bounds = [0]
    least = shards // size
    for rank in range(size):
        begin = bounds[-1]
        # How many processes still get one shard more.
        more = (shards - begin) - least * (size - rank)
        ends = []
        if more < size - rank:
            ends.append(begin + least)
        if more > 0:
            ends.append(begin + least + 1)
        # Without a shard for each process, the first ones have one.
        bounds.append(max(ends, key=lambda end: (end & -end if end > begin else -1, end)))
    return bounds


def nodes_of(first: int, last: int, shards: int) -> list[tuple[int, int]]:
    """Return the nodes to which shards first, ..., last - 1 of the tree add up, each as a range."""
    tree = _core.ShardTree(np.float32, 0, shards)
    none, zeros = np.empty(0, np.float32), np.zeros(_core.SHARD_SUMS)
    for shard in range(first, last):
        tree.add(shard, shard + 1, none, zeros)
    return [node[:2] for node in tree.nodes()]


def rows_of_step(rows: int, step: int, steps: int) -> tuple[int, int]:
    """Return which rows of a shard's order an epoch's step takes: from the first to the last."""
    return rows * step // steps, rows * (step + 1) // steps
