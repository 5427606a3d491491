"""Communicators: what sharded training needs of the means that moves bytes between processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from cnn._base import extras

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]


class Communicator(Protocol):
    """What `fit` needs of a communicator: a protocol for classes of your own.

    Each process has an object with these two numbers and two calls. All processes make the same
    calls in the same order, and a call returns when the process has received what it is due. A
    communicator of mpi4py need not be wrapped. A class need not inherit from this one.

    Attributes
    ----------
    rank : int
        The number of this process, from 0 on.
    size : int
        The number of processes.

    Notes
    -----
    Nothing is added by a communicator: `fit` adds numbers itself, in an order that does not depend
    on the number of processes. If a process dies, the calls of the others should raise an error.

    Examples
    --------
    A single process:

    >>> class Alone:
    ...     rank, size = 0, 1
    ...
    ...     def alltoallv(self, send, send_counts, recv, recv_counts):
    ...         recv[: recv_counts[0]] = send[: send_counts[0]]
    ...
    ...     def allgatherv(self, send, recv, counts):
    ...         recv[: counts[0]] = send
    """

    @property
    def rank(self) -> int:
        """The number of this process, from 0 on."""

    @property
    def size(self) -> int:
        """The number of processes."""

    def alltoallv(
        self, send: Bytes, send_counts: Sequence[int], recv: Bytes, recv_counts: Sequence[int]
    ) -> None:
        """Send each process a part of `send`, and receive one of each in `recv`.

        Parameters
        ----------
        send : contiguous ndarray of uint8
            The parts for each process, in the order of their numbers, without gaps.
        send_counts : sequence of int
            The bytes of each part, which may be 0: `size` numbers.
        recv : contiguous ndarray of uint8
            Where the parts of each process go, in the order of their numbers, without gaps. It does
            not overlap `send`. Both may be longer than the parts together.
        recv_counts : sequence of int
            The bytes of each part of `recv`.
        """

    def allgatherv(self, send: Bytes, recv: Bytes, counts: Sequence[int]) -> None:
        """Send `send` to all processes, and receive that of each in `recv`.

        Parameters
        ----------
        send, recv : contiguous ndarray of uint8
            The bytes of this process, ``counts[rank]`` of them, and those of all, in the order of
            their numbers, without gaps. The two do not overlap. `recv` may be longer.
        counts : sequence of int
            The bytes of each process, which may be 0: `size` numbers.
        """


class Alone:
    """The communicator of a single process."""

    rank = 0
    size = 1

    def alltoallv(
        self, send: Bytes, send_counts: Sequence[int], recv: Bytes, recv_counts: Sequence[int]
    ) -> None:
        """Copy the bytes."""
        recv[: recv_counts[0]] = send[: send_counts[0]]

    def allgatherv(self, send: Bytes, recv: Bytes, counts: Sequence[int]) -> None:
        """Copy the bytes."""
        recv[: counts[0]] = send[: counts[0]]


class MPICommunicator:
    """A communicator of mpi4py.

    Parameters
    ----------
    comm : mpi4py.MPI.Intracomm
        The communicator.
    byte : mpi4py.MPI.Datatype
        MPI's type of bytes.
    """

    def __init__(self, comm: Any, byte: Any) -> None:
        self._comm = comm
        self._byte = byte
        self.rank = int(comm.Get_rank())
        self.size = int(comm.Get_size())

    def alltoallv(
        self, send: Bytes, send_counts: Sequence[int], recv: Bytes, recv_counts: Sequence[int]
    ) -> None:
        """Send each process a part, and receive one of each."""
        self._comm.Alltoallv(
            [send, (list(send_counts), None), self._byte],
            [recv, (list(recv_counts), None), self._byte],
        )

    def allgatherv(self, send: Bytes, recv: Bytes, counts: Sequence[int]) -> None:
        """Send the same bytes to all processes, and receive those of each."""
        self._comm.Allgatherv(
            [send, counts[self.rank], self._byte], [recv, (list(counts), None), self._byte]
        )


_CALLS = ("alltoallv", "allgatherv")


def checked(where: str, comm: object) -> Communicator:
    """Return fit's communicator: the one given, one around that of mpi4py, or that of one process.

    Raises
    ------
    TypeError
        If the object is none of these.
    """
    if comm is None:
        return Alone()
    has: Any = comm
    if all(callable(getattr(has, name, None)) for name in _CALLS):
        for name in ("rank", "size"):
            if not isinstance(getattr(has, name, None), int):
                raise TypeError(
                    f"{where}: comm is of type {type(comm).__name__}, whose {name} is "
                    f"{getattr(has, name, None)!r}, should be a whole number"
                )
        if not 0 <= has.rank < has.size:
            raise ValueError(
                f"{where}: comm has rank {has.rank} and size {has.size}, should have a rank from 0 "
                f"to size - 1"
            )
        found: Communicator = has
        return found
    if type(comm).__module__.partition(".")[0] == "mpi4py" and hasattr(has, "Alltoallv"):
        mpi = extras.require(where, "mpi4py.MPI", "mpi")
        return MPICommunicator(comm, mpi.BYTE)
    raise TypeError(
        f"{where}: comm is of type {type(comm).__name__}, should be a communicator of mpi4py, such "
        f"as MPI.COMM_WORLD, or an object with rank, size, alltoallv and allgatherv"
    )
