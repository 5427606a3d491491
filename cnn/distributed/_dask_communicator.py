"""Collective calls between the workers of a Dask cluster, over Dask's own connections.

Each pair of ranks has one connection, made from worker to worker by `distributed.comm.connect`; no
message passes through the scheduler. The rank with the higher number connects. The other side is a
handler that `install` adds to the server of the worker, in the way of Dask's own shuffle, so that
a run needs no port of its own and has the cluster's TLS.

A collective call sends one message to each other rank, also if it has no bytes, and waits for one
of each. So a rank is never more than one call ahead of another, which has two uses: messages are
matched by the number of the call, and a buffer that was sent in call n may be written again in call
n + 2, because then each other rank has read all of it.

The connections live on the event loop of the worker, the calls are made on the thread of the task.
Attributes are used on one of the two only, apart from `_failure`, which is set once, and `_done`.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import Any

import numpy as np
from distributed import Status
from distributed.comm import CommClosedError, connect
from distributed.protocol import to_serialize
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

OPERATION = "cnn-collective"
# Bytes from which data are sent apart from the rest of a message, which costs two copies less and
# 80 microseconds more: a round trip of 46 KB takes 0.44 ms within and 0.96 ms apart, of 1 MB 5.2
# and 2.2 ms (Xeon of model 207, loopback, distributed 2026.8).
_APART = 1 << 18
# Seconds between two looks at the state of the task on its worker: cancelled or not.
_WATCH = 0.5
# Seconds that a rank which ends waits for its last messages to leave.
_FLUSH = 5.0

# The first entry of a message that is no part of a call; those of calls have numbers from 1 on.
_BYE = 0
_FAILED = -1
# Why a rank is gone that has done its part.
_DONE = ("done", "")

# The ranks of runs in this process; several, if workers are threads of one process.
_ranks: dict[tuple[str, int], DaskCommunicator] = {}
# The last ranks that have ended, so that one which Dask starts again is refused, and what a rank
# that comes late is told: the kind and text of the failure.
_ended: dict[tuple[str, int], tuple[str, str]] = {}
_REMEMBERED = 1000
# Connections that came before the task of their rank has started.
_early: dict[tuple[str, int], list[asyncio.Future[DaskCommunicator]]] = {}


class PeerError(RuntimeError):
    """A run has failed on another rank, whose error the text has."""


class LostError(ConnectionError):
    """A rank has ended without a word: its process died or the network did."""


class LateError(TimeoutError):
    """Ranks have not come to a call in time."""


# What may end a run from outside of a rank, by the name that messages have for it.
_KINDS: dict[str, type[Exception]] = {"lost": LostError, "late": LateError, "peer": PeerError}
FAILURES = tuple(_KINDS.values())


def install(dask_worker: Any) -> None:
    """Let a worker take connections of other ranks. The argument is the distributed.Worker."""
    dask_worker.handlers[OPERATION] = _connected


async def _connected(comm: Any, run: str, rank: int, source: int, timeout: float) -> Any:
    """Serve the connection that another rank has made, until it ends.

    Dask's server calls this on the event loop of the worker for a message with `OPERATION`.
    """
    key = (run, rank)
    communicator = _ranks.get(key)
    if communicator is None and key not in _ended:
        waiting: asyncio.Future[DaskCommunicator] = asyncio.get_running_loop().create_future()
        _early.setdefault(key, []).append(waiting)
        try:
            communicator = await asyncio.wait_for(waiting, timeout)
        except TimeoutError:
            pass
        finally:
            left = _early.get(key, [])
            if waiting in left:
                left.remove(waiting)
            if not left:
                _early.pop(key, None)
    if communicator is None:
        late = ("late", f"rank {rank} did not start within {timeout:g} seconds")
        await comm.write([_FAILED, *_ended.get(key, late)])
        await comm.close()
    else:
        await communicator._serve(source, comm)
    return Status.dont_reply


def end(run: str, rank: int, text: str) -> None:
    """End a rank of this process from outside, whether it has started or not.

    Other ranks are told the text. To be called on the event loop of the worker.
    """
    communicator = _ranks.get((run, rank))
    if communicator is not None:
        communicator._fail("peer", text)
    elif (run, rank) not in _ended:
        _remember((run, rank), ("peer", text))


def _remember(key: tuple[str, int], failure: tuple[str, str]) -> None:
    _ended[key] = failure
    while len(_ended) > _REMEMBERED:
        del _ended[next(iter(_ended))]


def begun(run: str) -> list[int]:
    """Return the ranks of a run that this process has begun."""
    return [r for name, r in [*_ranks, *_ended] if name == run]


def named(rank: int, addresses: list[str]) -> str:
    """Return how messages call a rank."""
    return f"rank {rank} (worker {addresses[rank]})"


class DaskCommunicator:
    """Collective calls of one rank with the others, to be used on one thread.

    Parameters
    ----------
    worker : distributed.Worker
        The worker that runs the task of this rank; `install` has been called for all workers.
    run : str
        A name that no other run has.
    rank : int
        The number of this rank.
    addresses : list of str
        The addresses of the workers, by rank.
    timeout : float
        Seconds that a call, or the start, waits for other ranks.
    key : str, optional
        The task of this rank: if it is cancelled, the run fails.

    Raises
    ------
    LateError
        If ranks do not start in time.
    """

    def __init__(
        self,
        worker: Any,
        run: str,
        rank: int,
        addresses: list[str],
        timeout: float,
        key: str | None = None,
    ) -> None:
        self.rank = rank
        self.size = len(addresses)
        self._peers = [r for r in range(self.size) if r != rank]
        self._worker = worker
        self._run = run
        self._addresses = addresses
        self._timeout = timeout
        self._key = key
        self._loop: asyncio.AbstractEventLoop = worker.loop.asyncio_loop
        self._failure: tuple[str, str] | None = None
        self._done = threading.Event()
        # On the thread of the task.
        self._call = 0
        self._buffers = [np.empty(0, np.uint8), np.empty(0, np.uint8)]
        # On the event loop.
        self._comms: dict[int, Any] = {}
        self._inbox: dict[int, deque[list[Any]]] = {r: deque() for r in self._peers}
        self._awaited = 0
        # The ranks that send nothing more, and why: the kind and text of a failure, or _DONE.
        self._gone: dict[int, tuple[str, str]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._sending: set[asyncio.Task[None]] = set()
        self._open = False
        self._on_loop(self._start(), timeout)

    # ---- The calls, on the thread of the task ---------------------------------------------------

    def alltoallv(
        self, send: Bytes, send_counts: list[int], recv: Bytes, recv_counts: list[int]
    ) -> None:
        """Send a slice to each rank and receive one of each, in the order of ranks.

        Parameters
        ----------
        send, recv : contiguous arrays of uint8
            What is sent, and where to put what is received. They do not overlap.
        send_counts, recv_counts : sequences of int
            The bytes for each rank and of each rank.

        Raises
        ------
        RuntimeError, ConnectionError, TimeoutError
            If another rank has raised, died, or has not come to the same call in time.
        """
        starts = _starts(send_counts)
        buffer = self._next_buffer(starts[-1])
        buffer[: starts[-1]] = send[: starts[-1]]
        pieces = {r: buffer[starts[r] : starts[r + 1]] for r in self._peers}
        own = send[starts[self.rank] : starts[self.rank + 1]]
        self._exchange("alltoallv", pieces, own, recv, recv_counts)

    def allgatherv(self, send: Bytes, recv: Bytes, counts: list[int]) -> None:
        """Send one array to all ranks and receive that of each, in the order of ranks.

        Parameters
        ----------
        send, recv : contiguous arrays of uint8
            What is sent, and where to put what is received. They do not overlap.
        counts : sequence of int
            The bytes of each rank.

        Raises
        ------
        RuntimeError, ConnectionError, TimeoutError
            If another rank has raised, died, or has not come to the same call in time.
        """
        count = counts[self.rank]
        buffer = self._next_buffer(count)
        buffer[:count] = send[:count]
        piece = buffer[:count]
        self._exchange("allgatherv", dict.fromkeys(self._peers, piece), send[:count], recv, counts)

    def fail(self, error: BaseException) -> None:
        """Tell the other ranks that this one has raised an error, and end."""
        kind, text = self._failure or (
            "peer",
            f"{self._name(self.rank)} raised {type(error).__name__}: {error}",
        )
        self._on_loop(self._finish(lambda: self._fail(kind, text)))

    def close(self) -> None:
        """End this rank's part of the run; the other ranks may still be in their last call."""
        self._on_loop(self._finish(lambda: None))

    def _next_buffer(self, count: int) -> Bytes:
        """Return the buffer of the next call, with at least count bytes."""
        self._call += 1
        place = self._call % 2
        if len(self._buffers[place]) < count:
            self._buffers[place] = np.empty(count, np.uint8)
        return self._buffers[place]

    def _exchange(
        self, name: str, pieces: dict[int, Bytes], own: Bytes, recv: Bytes, counts: list[int]
    ) -> None:
        """Send a piece to each other rank, wait for one of each, and put all into recv."""
        self._done.clear()
        if self._failure is None:
            self._loop.call_soon_threadsafe(self._begin, self._call, name, pieces)
            if not self._done.wait(self._timeout):
                self._on_loop(self._late(name))
        if self._failure is not None:
            kind, text = self._failure
            raise _KINDS[kind](text)
        starts = _starts(counts)
        recv[starts[self.rank] : starts[self.rank + 1]] = own
        for r in self._peers:
            number, theirs, data = self._inbox[r].popleft()
            if (number, theirs, len(data)) != (self._call, name, counts[r]):
                raise RuntimeError(
                    f"call {self._call} of {self._name(self.rank)} is {name} for {counts[r]} bytes "
                    f"of {self._name(r)}, whose call {number} is {theirs} with {len(data)} bytes"
                )
            recv[starts[r] : starts[r + 1]] = np.frombuffer(data, np.uint8)

    def _on_loop(self, coroutine: Any, limit: float = _FLUSH) -> None:
        """Run a coroutine, which takes limit seconds, on the worker's event loop; wait for it."""
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(limit + 2 * _FLUSH)

    def _name(self, rank: int) -> str:
        return named(rank, self._addresses)

    # ---- On the event loop -----------------------------------------------------------------------

    async def _start(self) -> None:
        """Connect to the ranks before this one, and wait until those after it have connected."""
        key = (self._run, self.rank)
        if key in _ended or key in _ranks:
            raise PeerError(
                f"{self._name(self.rank)} has been in this run before: Dask restarted it"
            )
        self._open = True
        self._ready = asyncio.Event()
        _ranks[key] = self
        for waiting in _early.pop(key, []):
            if not waiting.done():
                waiting.set_result(self)
        self._spawn(self._watch())
        for r in range(self.rank):
            self._spawn(self._connect(r))
        if len(self._comms) == len(self._peers):
            self._ready.set()
        try:
            await asyncio.wait_for(self._ready.wait(), self._timeout)
        except TimeoutError:
            missing = [r for r in self._peers if r not in self._comms]
            self._fail(
                "late",
                f"{_listed([self._name(r) for r in missing])} did not start within "
                f"{self._timeout:g} seconds: is another task running there?",
            )
        if self._failure is not None:
            kind, text = self._failure
            await self._finish(lambda: None)
            raise _KINDS[kind](text)

    async def _connect(self, rank: int) -> None:
        """Connect to another rank, and serve the connection."""
        try:
            comm = await connect(
                self._addresses[rank], timeout=self._timeout, **self._worker.connection_args
            )
            await comm.write(
                {
                    "op": OPERATION,
                    "reply": False,
                    "run": self._run,
                    "rank": rank,
                    "source": self.rank,
                    "timeout": self._timeout,
                }
            )
        except OSError:
            self._lost(rank)
            return
        await self._serve(rank, comm)

    async def _serve(self, source: int, comm: Any) -> None:
        """Take the messages of another rank until its connection ends."""
        if not self._open:
            comm.abort()
            return
        self._comms[source] = comm
        if len(self._comms) == len(self._peers):
            self._ready.set()
        try:
            while True:
                message = await comm.read()
                if message[0] == _FAILED:
                    self._leave(source, message[1], message[2])
                elif message[0] == _BYE:
                    self._leave(source, *_DONE)
                    break
                else:
                    self._inbox[source].append(message)
                    self._look()
        except CommClosedError:
            self._lost(source)
        except asyncio.CancelledError:
            # The worker is closing.
            if self._open:
                self._fail("lost", f"{self._name(self.rank)} is closing")
            raise

    def _begin(self, call: int, name: str, pieces: dict[int, Bytes]) -> None:
        """Send the messages of a call."""
        self._awaited = call
        # Each rank begins with the one after it, so that not all send to the same.
        order = sorted(pieces, key=lambda r: (r - self.rank) % self.size)
        self._send([(r, [call, name, _payload(pieces[r])]) for r in order])
        self._look()

    def _send(self, messages: list[tuple[int, list[Any]]]) -> None:
        """Begin to send messages to ranks, in this order."""

        async def sent() -> None:
            for rank, message in messages:
                try:
                    await self._comms[rank].write(message)
                except CommClosedError:
                    self._lost(rank)

        task = self._spawn(sent())
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    def _look(self) -> None:
        """Wake the thread of the task, once for each call, if all its messages are there.

        What a rank has sent counts, also if it is gone: ranks may raise after the same call, and
        some of them end before others have read the messages of that call. So a call fails only if
        a message is missing that will not come.
        """
        if self._awaited and all(self._inbox[r] for r in self._peers):
            self._awaited = 0
            self._done.set()
            return
        for r, reason in self._gone.items():
            if reason != _DONE:
                if not self._ready.is_set() or (self._awaited and not self._inbox[r]):
                    self._fail(*reason)
            elif self._awaited and not self._inbox[r]:
                self._fail("lost", f"{self._name(r)} ended before call {self._awaited}")

    def _leave(self, rank: int, kind: str, text: str) -> None:
        """Note that a rank sends nothing more; the first reason counts."""
        self._gone.setdefault(rank, (kind, text))
        self._look()

    def _lost(self, rank: int) -> None:
        if self._open:
            self._leave(rank, "lost", f"{self._name(rank)} has ended or cannot be reached")

    def _fail(self, kind: str, text: str) -> None:
        """Note why the run has failed, wake the thread of the task, and tell all others."""
        if self._failure is None:
            self._failure = (kind, text)
            self._send([(r, [_FAILED, kind, text]) for r in self._comms])
        self._done.set()
        self._ready.set()

    async def _late(self, name: str) -> None:
        missing = [self._name(r) for r in self._peers if not self._inbox[r]]
        if missing:
            self._fail(
                "late",
                f"{_listed(missing)} did not come to call {self._call} ({name}) within "
                f"{self._timeout:g} seconds",
            )

    async def _watch(self) -> None:
        """Fail if the task of this rank is cancelled."""
        while self._open and self._key is not None:
            task = self._worker.state.tasks.get(self._key)
            if task is None or task.state in ("cancelled", "resumed"):
                self._fail("peer", f"the task of {self._name(self.rank)} was cancelled")
                return
            await asyncio.sleep(_WATCH)

    async def _finish(self, last: Any) -> None:
        """Send what is left, say goodbye, and close all connections."""
        if not self._open:
            return
        last()
        self._open = False
        _ranks.pop((self._run, self.rank), None)
        over = ("peer", f"{self._name(self.rank)} has ended its part of the run")
        _remember((self._run, self.rank), self._failure or over)

        async def leave(comm: Any) -> None:
            try:
                await comm.write([_BYE])
                await asyncio.wait_for(comm.close(), _FLUSH)
            except (OSError, TimeoutError):
                comm.abort()

        if self._sending:
            await asyncio.wait(self._sending, timeout=_FLUSH)
        await asyncio.gather(*(leave(comm) for comm in self._comms.values()))
        for task in self._tasks:
            task.cancel()

    def _spawn(self, coroutine: Any) -> asyncio.Task[None]:
        # The loop itself has weak references to tasks only.
        task: asyncio.Task[None] = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _payload(piece: Bytes) -> Any:
    """Return bytes in the form in which a message has them at the least cost."""
    return piece.data if len(piece) < _APART else to_serialize(piece)


def _starts(counts: Any) -> list[int]:
    """Return where the slices of these sizes begin, and where the last ends."""
    starts = [0]
    for count in counts:
        starts.append(starts[-1] + int(count))
    return starts


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
