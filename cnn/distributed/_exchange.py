"""The exchange of a step: sums over all shards, slice by slice, and the new parameters."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn import _core
from cnn._base.metadata import EPOCHS
from cnn.distributed import _traffic
from cnn.distributed._ranges import nodes_of, ranges

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from cnn.distributed._team import Team

    Sums = NDArray[np.float64]
    Nodes = Sequence[tuple[int, int, NDArray[Any], Sums]]


class NormError(Exception):
    """The gradient's norm is too large for clip_norm."""


class Exchange:
    """The sums over the shards of all processes, and the update of a slice by each.

    Parameters
    ----------
    team : Team
        The processes.
    trainer : Trainer
        The optimizer, bound to the network.
    shards : int
        The number of shards.
    clips : bool
        Whether the optimizer has a clip_norm.
    """

    def __init__(self, team: Team, trainer: _core.Trainer, shards: int, *, clips: bool) -> None:
        network = trainer.network
        self.bounds = ranges(shards, team.size)
        self._nodes = [nodes_of(first, last, shards) for first, last in pairwise(self.bounds)]
        self._begins = _core.shard_slices(network, team.size)
        self._slices = [b - a for a, b in pairwise(self._begins)]
        self._team, self.trainer, self._network = team, trainer, network
        self._dtype, self._clips = network.dtype, clips
        self.tree = _core.ShardTree(self._dtype, network.parameter_count, shards)
        """The gradients of this process's shards."""
        own = self._slices[team.rank]
        self._sums = self.tree if team.size == 1 else _core.ShardTree(self._dtype, own, shards)
        self._values = np.empty(network.parameter_count, self._dtype)
        self._blocks = [
            _core.shard_blocks(network, first, count)
            for first, count in zip(self._begins[:-1], self._slices, strict=True)
        ]
        self._send_counts, self._recv_counts = self._counts()
        if team.size > 1:
            self._reserve()

    def _counts(self) -> tuple[list[int], list[int]]:
        """Return the bytes of gradients that are sent to and received of each process in a step."""
        itemsize, own = self._dtype.itemsize, self._team.rank
        sent = [
            _traffic.part_bytes(len(self._nodes[own]), count, itemsize) for count in self._slices
        ]
        received = [
            _traffic.part_bytes(len(nodes), self._slices[own], itemsize) for nodes in self._nodes
        ]
        sent[own] = received[own] = 0
        return sent, received

    def _reserve(self) -> None:
        """Take the memory of a step: a process that lacks it within one could tell nobody."""
        # Rank 0 may tell all weights, and each slice of the optimizer's state is told to all.
        copies = max(1, _core.OPTIMIZER_SLOTS[self.trainer.kind])
        states = [_traffic.slice_bytes(copies * n, self._dtype.itemsize) for n in self._slices]
        weights = _traffic.slice_bytes(self._values.size, self._dtype.itemsize)
        self._team.reserve(
            max(sum(self._send_counts), weights, *states),
            max(sum(self._recv_counts), sum(states)),
        )
        zeros, sums = np.zeros(self._sums.count, self._dtype), np.zeros(_core.SHARD_SUMS)
        for nodes in self._nodes:
            for first, last in nodes:
                self._sums.add(first, last, zeros, sums)
        self._sums.reset()

    @property
    def traffic(self) -> list[_traffic.Traffic]:
        """What each process sends in a step, by the formula."""
        counts = [len(nodes) for nodes in self._nodes]
        blocks = self._blocks if self._clips else None
        if len(counts) == 1:
            return [_traffic.Traffic(0, 0)]
        return [
            _traffic.of_step(rank, counts, self._slices, self._dtype.itemsize, blocks)
            for rank in range(len(counts))
        ]

    # ---- The step --------------------------------------------------------------------------------

    def total(self) -> tuple[Sums, NDArray[Any]]:
        """Return the sums over all shards, and those of the gradient of the own slice."""
        team = self._team
        team.check()
        if team.size > 1:
            nodes = team.attempt(self.tree.nodes)
            parts = team.alltoall(self._pieces(nodes), self._send_counts, self._recv_counts)
            self._add(parts, nodes)
        ((_, _, gradient, sums),) = self._sums.nodes()
        return sums, gradient

    def _pieces(self, nodes: Nodes | None) -> Callable[[int], list[NDArray[Any]]]:
        """Return a function that returns what a process is sent: sums, then its slices."""

        def pieces(rank: int) -> list[NDArray[Any]]:
            first, last = self._begins[rank], self._begins[rank + 1]
            found = nodes or ()
            return [*(sums for *_, sums in found), *(node[2][first:last] for node in found)]

        return pieces

    def _add(self, parts: list[NDArray[np.uint8]], own: Nodes) -> None:
        """Add the nodes of all processes, in the order of shards."""
        rank, size = self._team.rank, self._dtype.itemsize * self._slices[self._team.rank]
        begin, end = self._begins[rank], self._begins[rank + 1]
        self._sums.reset()
        for other, (part, nodes) in enumerate(zip(parts, self._nodes, strict=True)):
            if other == rank:
                for first, last, vector, sums in own:
                    self._sums.add(first, last, vector[begin:end], sums)
                continue
            at = _traffic.SUMS * len(nodes)
            rows = part[:at].view(np.float64).reshape(len(nodes), _core.SHARD_SUMS)
            for (first, last), sums in zip(nodes, rows, strict=True):
                self._sums.add(first, last, part[at : at + size].view(self._dtype), sums)
                at += size

    def update(self, sums: Sums, gradient: NDArray[Any], lr: float, epoch: int) -> None:
        """Make a step on the sums of `total`, and count its epoch."""
        team, first = self._team, self._begins[self._team.rank]
        team.attempt(_core.shard_mean, self._network, gradient, first, sums)
        clip = 1.0
        if self._clips:
            clip = self._clip(team.attempt(_core.shard_squares, self._network, gradient, first))
        values = self._values[first : self._begins[team.rank + 1]]
        team.attempt(_core.shard_step, self.trainer, gradient, first, clip, lr, values)
        parts = team.allgather(values, self._slices, self._dtype)
        if team.size > 1:
            np.concatenate(parts, out=self._values)
        team.attempt(_core.shard_finish, self.trainer, self._values, EPOCHS, str(epoch))

    def _clip(self, squares: Sums | None) -> float:
        parts = self._team.allgather(squares, self._blocks)
        clip = _core.shard_clip(self.trainer, np.concatenate(parts))
        if clip is None:
            raise NormError
        return clip

    # ---- Outside of steps ------------------------------------------------------------------------

    def evaluated(self, nodes: Nodes | None, bounds: Sequence[int]) -> Sums:
        """Return sums over all shards of the nodes that each process has, without vectors."""
        shards = bounds[-1]
        ranks = [nodes_of(first, last, shards) for first, last in pairwise(bounds)]
        own = None
        if nodes is not None:
            own = np.concatenate([np.empty(0), *(sums for *_, sums in nodes)])
        parts = self._team.allgather(own, [_core.SHARD_SUMS * len(found) for found in ranks])
        tree = _core.ShardTree(self._dtype, 0, shards)
        nothing = np.empty(0, self._dtype)
        for part, found in zip(parts, ranks, strict=True):
            rows = part.reshape(len(found), _core.SHARD_SUMS)
            for (first, last), sums in zip(found, rows, strict=True):
                tree.add(first, last, nothing, np.ascontiguousarray(sums))
        ((_, _, _, total),) = tree.nodes()
        return total

    def gather_state(self) -> None:
        """Give each process the optimizer's state of all slices."""
        team = self._team
        if team.size == 1:
            team.check()
            return
        slots = _core.OPTIMIZER_SLOTS[self.trainer.kind]
        if not slots:
            return
        own = team.attempt(self._own_state)
        parts = team.allgather(own, [slots * count for count in self._slices], self._dtype)
        team.attempt(self._take_state, [part.reshape(slots, -1) for part in parts])

    def _own_state(self) -> NDArray[Any]:
        """Return the optimizer's state of the own slice, one slot after the other."""
        first, last = self._begins[self._team.rank], self._begins[self._team.rank + 1]
        return np.concatenate([values[first:last] for values in self.trainer.get_state()])

    def _take_state(self, parts: list[NDArray[Any]]) -> None:
        """Set the optimizer's state to that of all slices."""
        self.trainer.set_state([np.concatenate(slot) for slot in zip(*parts, strict=True)])

    def tell_values(self, values: NDArray[Any] | None) -> NDArray[Any]:
        """Return numbers as many as parameters, which rank 0 gives."""
        return self._team.tell(values, self._network.parameter_count, self._dtype)

    def finite(self) -> tuple[bool, bool]:
        """Return whether all weights, and the state of all slices, are finite."""
        found = self._team.attempt(self.trainer.finite)
        own = None if found is None else np.array(found, np.float64)
        parts = self._team.allgather(own, [2] * self._team.size)
        weights, state = (all(part[i] for part in parts) for i in (0, 1))
        return weights, state

    def loss(self, sums: Sums) -> float:
        """Return the mean loss of sums over all shards, with penalties; infinite if it is bad."""
        loss = _core.shard_loss(self._network, sums)
        return loss if math.isfinite(loss) else math.inf
