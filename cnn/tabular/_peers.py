"""The processes that train on the shards of one table together."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from cnn._base.texts import of_error

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

# The errors that all processes end with if one of them has it.
_SHARED = (OSError, ValueError, ArithmeticError, ImportError, MemoryError)


class Collective(Protocol):
    """What is needed of a communicator of `cnn.distributed`."""

    @property
    def rank(self) -> int:
        """The number of this process."""

    @property
    def size(self) -> int:
        """The number of processes."""

    def allgatherv(
        self, send: NDArray[np.uint8], recv: NDArray[np.uint8], counts: Sequence[int], /
    ) -> None:
        """Put the bytes that each process sends one after the other into `recv`."""


class PeerError(ValueError):
    """The error of another process."""


class Peers:
    """All processes that train together, and which of them this one is; alone without `comm`."""

    def __init__(self, comm: Collective | None) -> None:
        self._comm = comm
        self.rank = 0 if comm is None else comm.rank
        self.size = 1 if comm is None else comm.size

    def own(self, shards: int) -> range:
        """Return the shards that this process has."""
        return range(shards * self.rank // self.size, shards * (self.rank + 1) // self.size)

    def together(self, work: Callable[[], Any]) -> list[Any]:
        """Do some work in each process; return the results of all, as JSON has them, by rank.

        Raises
        ------
        Exception
            If the work failed in some process: that of the first such one, in all processes.
        """
        error: BaseException | None = None
        found: dict[str, Any] = {}
        try:
            found["result"] = work()
        except _SHARED as caught:
            error = caught
            found["error"] = of_error(caught)
        text = json.dumps(found)
        texts = [text] if self._comm is None else _texts(self._comm, text)
        results = [json.loads(each) for each in texts]
        for rank, each in enumerate(results):
            if "error" in each:
                if rank == self.rank and error is not None:
                    raise error
                raise PeerError(each["error"])
        return [each["result"] for each in results]


def _texts(comm: Collective, text: str) -> list[str]:
    """Return the texts, of ASCII, of all processes."""
    data = np.frombuffer(text.encode(), np.uint8)
    size = np.array([data.size], np.int64).view(np.uint8)
    counts = _gathered(comm, size, [size.size] * comm.size).view(np.int64).tolist()
    found = _gathered(comm, data, counts).tobytes()
    ends = np.cumsum([0, *counts]).tolist()
    return [found[first:last].decode() for first, last in itertools.pairwise(ends)]


def _gathered(comm: Collective, data: NDArray[np.uint8], counts: list[int]) -> NDArray[np.uint8]:
    found = np.empty(sum(counts), np.uint8)
    comm.allgatherv(data, found, counts)
    return found
