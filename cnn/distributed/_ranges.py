"""Which process has which shards, and which nodes of the tree of sums it sends."""

from __future__ import annotations


def ranges(shards: int, size: int) -> list[int]:
    """Return where the shards of each process begin, and their number at the end.

    Each process has shards that follow one another: `shards` / `size` of them, rounded down or up.
    Of the two, the one is taken after which a larger subtree begins, so that processes have few
    nodes to send.
    """
    bounds = [0]
    least, more = divmod(shards, size)
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
    """Return the nodes to which shards first, ..., last - 1 of the tree add up, each as a range.

    On level k of the tree a node begins at a multiple of 2^k and has 2^k shards, or as many as
    there are.
    """
    found = []
    while first < last:
        size = 1
        while first % (2 * size) == 0 and size < shards and min(first + 2 * size, shards) <= last:
            size *= 2
        found.append((first, min(first + size, shards)))
        first = found[-1][1]
    return found


def rows_of_step(rows: int, step: int, steps: int) -> tuple[int, int]:
    """Return which rows of a shard's order an epoch's step takes: from the first to the last."""
    return rows * step // steps, rows * (step + 1) // steps
