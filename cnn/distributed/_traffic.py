"""How many messages and bytes a step of sharded training sends."""

from __future__ import annotations

from dataclasses import dataclass

HEADER = 8
"""The bytes before each message, which tell whether its sender has failed."""
SUMS = 40
"""The bytes of a node's sums of loss, weights and rows."""
_ALIGNED = 8


def padded(count: int) -> int:
    """Return a number of bytes rounded up, so that the next message is aligned."""
    return -(-count // _ALIGNED) * _ALIGNED


def part_bytes(nodes: int, parameters: int, itemsize: int) -> int:
    """Return the bytes that a process with some nodes sends to one that updates parameters."""
    return padded(HEADER + nodes * (SUMS + parameters * itemsize))


def slice_bytes(parameters: int, itemsize: int) -> int:
    """Return the bytes of new parameters that a process sends to each other one."""
    return padded(HEADER + parameters * itemsize)


@dataclass(frozen=True)
class Traffic:
    """What one process sends to others in a step.

    Parameters
    ----------
    messages : int
        The number of messages.
    bytes : int
        The bytes of all of them.
    """

    messages: int
    bytes: int


def of_step(
    rank: int, nodes: list[int], slices: list[int], itemsize: int, blocks: list[int] | None = None
) -> Traffic:
    """Return what a process sends in a step.

    Parameters
    ----------
    rank : int
        The process.
    nodes : list of int
        The number of nodes of each process.
    slices : list of int
        The number of parameters that each process updates.
    itemsize : int
        The bytes of a parameter.
    blocks : list of int, optional
        With clip_norm: the number of sums of squares of each process.
    """
    others = [other for other in range(len(slices)) if other != rank]
    sent = sum(part_bytes(nodes[rank], slices[other], itemsize) for other in others)
    sent += len(others) * slice_bytes(slices[rank], itemsize)
    rounds = 2
    if blocks is not None:
        sent += len(others) * slice_bytes(blocks[rank], 8)
        rounds = 3
    return Traffic(rounds * len(others), sent)
