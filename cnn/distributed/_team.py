"""The processes of a run: what they send one another, and how all learn that one has failed.

Each collective call is a round, and each message of a round begins with a number that tells whether
its sender has failed. A process that fails takes part in the next round all the same. So all
processes learn of it in the same round; they then exchange the texts and raise an error each.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import threading
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from cnn import _core
from cnn._base import checks
from cnn._training.samples import InputError
from cnn.distributed._traffic import HEADER, padded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from cnn.distributed._communicator import Communicator

T = TypeVar("T")

# The families of errors that keep their type on other processes; the first one that fits.
_FAMILIES: dict[str, type[Exception]] = {
    "InputError": InputError,
    "FloatingPointError": FloatingPointError,
    "ModelFileError": _core.ModelFileError,
    "ValueError": ValueError,
    "TypeError": TypeError,
    "MemoryError": MemoryError,
    "OSError": OSError,
    "ImportError": ImportError,
}


class Team:
    """The processes of a run, seen from one of them.

    Parameters
    ----------
    where : str
        What begins messages.
    comm : Communicator
        The communicator.
    """

    def __init__(self, where: str, comm: Communicator) -> None:
        self.where = where
        self.rank: int = comm.rank
        self.size: int = comm.size
        self.messages: int = 0
        """The number of messages sent to others."""
        self.sent = 0
        """The bytes sent to others."""
        self.agrees: bool = False
        """Whether all processes have ended by the same error, and none waits for another."""
        self._comm = comm
        self._fault: BaseException | None = None
        self._shard: int | None = None
        self._attempts = self._interrupted = False
        self._buffers = [np.empty(0, np.uint8), np.empty(0, np.uint8)]

    @property
    def others(self) -> list[int]:
        """The numbers of the other processes."""
        return [rank for rank in range(self.size) if rank != self.rank]

    def attempt(
        self, function: Callable[..., T], *arguments: Any, shard: int | None = None
    ) -> T | Any:
        """Call a function; if it raises, the next round tells all. None after a failure."""
        if self._fault is not None:
            return None
        try:
            self._attempts = True
            if self._interrupted:
                self._interrupted = False
                raise KeyboardInterrupt
            result = function(*arguments)
            self._attempts = False
            return result
        except BaseException as error:  # an interrupt too: others would wait for this process
            self._attempts = False
            self._fault, self._shard = error, shard
            return None

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """Let Ctrl-C wait for the end of a round: this process must not leave one half-done.

        Within `attempt` it interrupts at once. Nothing changes if the program has a handler of its
        own, in other threads than the main one, and for a single process.
        """
        if (
            self.size == 1
            or threading.current_thread() is not threading.main_thread()
            or signal.getsignal(signal.SIGINT) is not signal.default_int_handler
        ):
            yield
            return
        signal.signal(signal.SIGINT, self._interrupt)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if self._interrupted:
            raise KeyboardInterrupt

    def _interrupt(self, number: int, frame: object) -> None:
        if self._attempts:
            raise KeyboardInterrupt
        self._interrupted = True

    def check(self) -> None:
        """Raise the error of a failure if this process is the only one."""
        if self.size == 1 and self._fault is not None:
            self.agrees = True
            error, shard = self._fault, self._shard
            if shard is not None and f"shard {shard}" not in str(error):
                error.add_note(f"{self.where}: shard {shard}")
            raise error

    def recover(self) -> None:
        """Forget a failure that all processes know of, so that they can exchange numbers again."""
        self.agrees = False
        self._fault = self._shard = None

    # ---- Rounds ----------------------------------------------------------------------------------

    def allgather(
        self,
        array: NDArray[Any] | None,
        counts: Sequence[int],
        dtype: np.dtype[Any] = checks.FLOAT64,
    ) -> list[NDArray[Any]]:
        """Send an array to all, and return those of all, which are views until the next round.

        Parameters
        ----------
        array : ndarray
            Numbers of the type; None after a failure.
        counts : sequence of int
            How many each process sends.
        dtype : numpy.dtype
            Their type, of 4 or 8 bytes.
        """
        if self.size == 1:
            self.check()
            return [_given(array)]
        lengths = [HEADER + count * dtype.itemsize for count in counts]
        flags, parts = self._allgather(
            int(self._fault is not None), _bytes_of(array), [padded(length) for length in lengths]
        )
        self._refuse(flags)
        return [
            part[: length - HEADER].view(dtype) for part, length in zip(parts, lengths, strict=True)
        ]

    def alltoall(
        self,
        pieces: Callable[[int], Sequence[NDArray[Any]]],
        send_counts: Sequence[int],
        recv_counts: Sequence[int],
    ) -> list[NDArray[np.uint8]]:
        """Send each other process arrays, and return what they have sent: views as in allgather.

        Parameters
        ----------
        pieces : function
            Returns the arrays for a process, of 4 or 8 bytes a number.
        send_counts, recv_counts : sequence of int
            The bytes of the whole message to and of each process, 0 for this one.
        """
        begins = np.cumsum([0, *send_counts])
        send = self._buffer(0, int(begins[-1]))
        failed = np.array([int(self._fault is not None)], np.int64).view(np.uint8)
        for rank in self.others:
            at = int(begins[rank])
            send[at : at + HEADER] = failed
            at += HEADER
            if self._fault is None:
                for piece in pieces(rank):
                    data = _bytes_of(piece)
                    send[at : at + data.size] = data
                    at += data.size
        recv = self._buffer(1, sum(recv_counts))
        self._comm.alltoallv(send[: int(begins[-1])], send_counts, recv, recv_counts)
        self._count(sum(send_counts))
        flags, parts = self._split(recv, recv_counts)
        flags[self.rank] = int(self._fault is not None)
        self._refuse(flags)
        return parts

    def texts(self, text: str | None) -> list[str]:
        """Send a text to all, and return those of all. None after a failure, or for no text."""
        data = np.frombuffer((text or "").encode(), np.uint8)
        sizes = self.allgather(np.array([float(data.size)]), [1] * self.size)
        lengths = [int(part[0]) for part in sizes]
        if self.size == 1:
            return [text or ""]
        flags, parts = self._allgather(0, data, [padded(HEADER + length) for length in lengths])
        self._refuse(flags)
        return [
            part[:length].tobytes().decode() for part, length in zip(parts, lengths, strict=True)
        ]

    def sync(self) -> None:
        """Exchange nothing, so that all learn of a failure."""
        self.allgather(np.empty(0), [0] * self.size)

    def tell(
        self, array: NDArray[Any] | None, count: int, dtype: np.dtype[Any] = checks.FLOAT64
    ) -> NDArray[Any]:
        """Return an array of `count` numbers that rank 0 gives: a view as in allgather."""
        return self.allgather(array, [count] + [0] * (self.size - 1), dtype)[0]

    def _allgather(
        self, flag: int, data: NDArray[np.uint8], counts: Sequence[int]
    ) -> tuple[list[int], list[NDArray[np.uint8]]]:
        send = self._buffer(0, counts[self.rank])
        send[:HEADER] = np.array([flag], np.int64).view(np.uint8)
        length = min(data.size, counts[self.rank] - HEADER)
        send[HEADER : HEADER + length] = data[:length]
        recv = self._buffer(1, sum(counts))
        self._comm.allgatherv(send[: counts[self.rank]], recv, counts)
        self._count(counts[self.rank] * (self.size - 1))
        return self._split(recv, counts)

    def _count(self, sent: int) -> None:
        self.messages += self.size - 1
        self.sent += sent

    def reserve(self, send: int, recv: int) -> None:
        """Take the memory of messages of so many bytes."""
        self._buffer(0, send)
        self._buffer(1, recv)

    def _buffer(self, which: int, size: int) -> NDArray[np.uint8]:
        """Return the buffer of what is sent (0) or received (1), at least so long."""
        if self._buffers[which].size < size:
            self._buffers[which] = np.empty(size, np.uint8)
        return self._buffers[which]

    def _split(
        self, recv: NDArray[np.uint8], counts: Sequence[int]
    ) -> tuple[list[int], list[NDArray[np.uint8]]]:
        """Return the flags and the rest of the messages of all."""
        begins = np.cumsum([0, *counts])
        parts = [recv[begins[rank] : begins[rank + 1]] for rank in range(self.size)]
        flags = [int(part[:HEADER].view(np.int64)[0]) if part.size else 0 for part in parts]
        return flags, [part[HEADER:] for part in parts]

    # ---- Failures --------------------------------------------------------------------------------

    def _refuse(self, flags: Sequence[int]) -> None:
        """If a process has failed, exchange the texts and raise."""
        failed = [rank for rank, flag in enumerate(flags) if flag]
        if not failed:
            return
        told = json.dumps(self._told()).encode() if self._fault is not None else b""
        data = np.frombuffer(told, np.uint8)
        one = padded(HEADER + 8)
        _, sizes = self._allgather(0, np.array([data.size]).view(np.uint8), [one] * self.size)
        lengths = [int(size[:8].view(np.int64)[0]) for size in sizes]
        _, parts = self._allgather(0, data, [padded(HEADER + length) for length in lengths])
        texts = [
            part[:length].tobytes().decode() for part, length in zip(parts, lengths, strict=True)
        ]
        self.agrees = True
        own = self._fault
        if own is not None and not isinstance(own, Exception):
            raise own
        raise self._error(json.loads(texts[failed[0]]), failed[0]) from own

    def _told(self) -> dict[str, Any]:
        """Return what others are told of the error of this process."""
        error = self._fault
        text = str(error).removeprefix(f"{self.where}: ")
        family = next((name for name, kind in _FAMILIES.items() if isinstance(error, kind)), "")
        number = None
        if isinstance(error, OSError):
            number, text = error.errno, error.strerror or text
            text += "" if error.filename is None else f": {os.fsdecode(error.filename)!r}"
        if not family:
            text = f"{type(error).__name__}: {text}" if text else type(error).__name__
        if self._shard is not None and f"shard {self._shard}" not in text:
            text = f"shard {self._shard}: {text}"
        notes = [*getattr(error, "__notes__", ())]
        host = f"process {os.getpid()} on {socket.gethostname()}"
        return {"family": family, "text": text, "errno": number, "notes": notes, "host": host}

    def _error(self, told: dict[str, Any], rank: int) -> Exception:
        """Return the error of a process, for all."""
        text = f"{self.where}: rank {rank}: {told['text']}"
        kind = _FAMILIES.get(told["family"], RuntimeError)
        error = OSError(told["errno"], text) if told["errno"] is not None else kind(text)
        for note in (*told["notes"], f"rank {rank} is {told['host']}"):
            error.add_note(note)
        return error


def _given(array: NDArray[Any] | None) -> NDArray[Any]:
    if array is None:
        raise ValueError("a process that has not failed has nothing to send")
    return array


def _bytes_of(array: NDArray[Any] | None) -> NDArray[np.uint8]:
    if array is None:
        return np.empty(0, np.uint8)
    found: NDArray[np.uint8] = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    return found
