"""One task per worker of a Dask cluster, which together are the ranks of one run."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import cloudpickle
import distributed

from cnn import runtime
from cnn.distributed import _dask_communicator as communicators

# Seconds between two looks at whether the workers are still there.
_LOOK = 1.0
# Seconds that the other ranks have to end after one has failed.
_GRACE = 10.0


class _Ranks:
    """How many ranks run in this process."""

    lock = threading.Lock()
    count = 0


def chosen(where: str, client: Any, workers: Sequence[str] | None) -> list[str]:
    """Return the addresses of the workers to use.

    Raises
    ------
    TypeError
        If the client is none, or an asynchronous one.
    ValueError
        If there are no workers, or a given one is not in the cluster.
    """
    if not isinstance(client, distributed.Client):
        raise TypeError(
            f"{where}: client is of type {type(client).__name__}, should be a distributed.Client"
        )
    if client.asynchronous:
        raise TypeError(f"{where}: client is asynchronous, should be one with asynchronous=False")
    there = sorted(client.nthreads())
    if workers is not None:
        if isinstance(workers, str):
            raise TypeError(f"{where}: workers is {workers!r}, should be a sequence of addresses")
        given = list(dict.fromkeys(workers))
        for address in given:
            if address not in there:
                raise ValueError(
                    f"{where}: workers has {address!r}, should have addresses of workers of the "
                    f"cluster: {', '.join(there)}"
                )
        there = given
    if not there:
        raise ValueError(f"{where}: the cluster has no workers, should have one or more")
    return there


def launch(
    where: str,
    client: Any,
    function: Callable[..., Any],
    arguments: Sequence[Any],
    *,
    parts: Sequence[Any],
    workers: Sequence[str],
    timeout: float,
) -> Any:
    """Run function(communicator, parts[rank], *arguments) for each rank; return rank 0's result.

    Parameters
    ----------
    where : str
        The function that the user called.
    client : distributed.Client
        The client of the cluster.
    function : callable
        What each rank runs.
    arguments : sequence
        What all ranks get. It is unpickled in the task: an error there is one of the rank, where an
        object of Dask's own messages that cannot be unpickled ends the worker.
    parts : sequence
        What each rank gets beside; futures of the client in lists become their results.
    workers : sequence of str
        The address of each rank's worker.
    timeout : float
        Seconds that ranks wait for one another.

    Raises
    ------
    Exception
        The error that a rank has raised, with a note that names the rank.
    ConnectionError
        If a worker ended.
    TimeoutError
        If ranks do not start, or do not come to a call of the communicator, in time.
    """
    run = uuid.uuid4().hex
    workers = list(workers)
    pickled = cloudpickle.dumps((function, tuple(arguments)))
    with _reserved(where, client, workers, timeout):
        client.run(communicators.install, workers=workers)
        # Not a part of the tasks, which pass through the scheduler.
        [sent] = client.scatter([pickled], workers=workers, broadcast=True, hash=False)
        futures = [
            client.submit(
                _rank,
                sent,
                parts[rank],
                run,
                rank,
                workers,
                timeout,
                key=f"cnn-rank-{run}-{rank}",
                workers=[address],
                allow_other_workers=False,
                retries=0,
                pure=False,
            )
            for rank, address in enumerate(workers)
        ]
        try:
            errors = _watched(client, run, futures, workers, timeout)
            if not errors:
                return futures[0].result()
        except BaseException as error:
            _stop(client, run, futures, workers, f"the client ended the run: {error!r}")
            raise
        _stop(client, run, futures, workers, "the run has failed on another rank")
        raise _cause(where, errors, workers)


def _rank(
    pickled: bytes,
    part: Any,
    run: str,
    rank: int,
    workers: list[str],
    timeout: float,
) -> Any:
    """Be one rank of a run: the task that each worker gets."""
    worker = distributed.get_worker()
    communicator = communicators.DaskCommunicator(
        worker, run, rank, workers, timeout, worker.get_current_task()
    )
    try:
        function, arguments = cloudpickle.loads(pickled)
        with _threads(worker.state.nthreads):
            result = function(communicator, part, *arguments)
    except BaseException as error:
        communicator.fail(error)
        raise
    communicator.close()
    return result if rank == 0 else None


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Let libcnn use as many threads as the worker has: Dask sets OMP_NUM_THREADS to 1.

    The number is that of the process. If several ranks run in one process, the last one restores
    the number from the environment.
    """
    with _Ranks.lock:
        _Ranks.count += 1
        runtime.set_num_threads(count)
    try:
        yield
    finally:
        with _Ranks.lock:
            _Ranks.count -= 1
            if _Ranks.count == 0:
                runtime.set_num_threads(None)


@contextmanager
def _reserved(where: str, client: Any, workers: list[str], timeout: float) -> Iterator[None]:
    """Keep other runs off the workers: two that each have a part of them would wait for ever.

    All runs take workers in the same order. The leases of a client that dies run out.
    """
    held: list[Any] = []
    try:
        for address in sorted(workers):
            semaphore = distributed.Semaphore(
                1, f"cnn-rank-{address}", scheduler_rpc=client.scheduler, loop=client.loop
            )
            held.append(semaphore)
            if not semaphore.acquire(timeout=timeout):
                held.pop()
                client.loop.add_callback(semaphore.refresh_callback.stop)
                raise TimeoutError(
                    f"{where}: worker {address} was still in another run after {timeout:g} seconds"
                )
        yield
    finally:
        for semaphore in held:
            semaphore.release()
            client.loop.add_callback(semaphore.refresh_callback.stop)


def _watched(
    client: Any, run: str, futures: list[Any], workers: list[str], timeout: float
) -> dict[int, BaseException]:
    """Wait until all ranks have ended, or a while after one has failed; return errors by rank."""
    errors: dict[int, BaseException] = {}
    left = dict(enumerate(futures))
    begun = time.monotonic()
    until = float("inf")
    started = False
    changed = threading.Event()
    for future in futures:
        future.add_done_callback(lambda _: changed.set())
    while left and time.monotonic() < until:
        if not changed.wait(_LOOK):
            there = client.nthreads()
            for rank in [r for r in left if workers[r] not in there]:
                name = communicators.named(rank, workers)
                errors[rank] = communicators.LostError(f"{name} has ended")
                del left[rank]
            if not started and time.monotonic() - begun > timeout:
                errors |= _not_started(client, run, workers, timeout, left)
                started = True
        changed.clear()
        for rank, future in list(left.items()):
            if future.status == "pending":
                continue
            del left[rank]
            if future.status == "error":
                errors[rank] = future.exception().with_traceback(future.traceback())
            elif future.status != "finished":
                name = communicators.named(rank, workers)
                errors[rank] = communicators.PeerError(f"the task of {name} was {future.status}")
        if errors and until == float("inf"):
            until = time.monotonic() + _GRACE
    return errors


def _not_started(
    client: Any, run: str, workers: list[str], timeout: float, left: dict[int, Any]
) -> dict[int, BaseException]:
    """Return errors for the ranks whose tasks the workers have not begun."""
    began: dict[str, list[int]] = client.run(
        communicators.begun, run, workers=[workers[r] for r in left], on_error="ignore"
    )
    return {
        r: communicators.LateError(
            f"{communicators.named(r, workers)} did not start within {timeout:g} seconds: is "
            f"another task running there?"
        )
        for r in left
        if r not in began.get(workers[r], [])
    }


def _stop(client: Any, run: str, futures: list[Any], workers: list[str], text: str) -> None:
    """End all ranks of a run that are still there."""
    there = [address for address in workers if address in client.nthreads()]
    for rank, address in enumerate(workers):
        if address in there:
            client.run(communicators.end, run, rank, text, workers=[address], on_error="ignore")
    client.cancel(futures)


def _cause(where: str, errors: dict[int, BaseException], workers: list[str]) -> BaseException:
    """Return the error that the others follow from, which names its rank."""
    own = {r: e for r, e in errors.items() if not isinstance(e, communicators.FAILURES)}
    if own:
        # Ranks that have told one another of an error raise the same, which names its rank.
        named = {r: e for r, e in own.items() if f"rank {r}:" in str(e)}
        rank, error = min((named or own).items())
        error.add_note(f"{where}: raised by {communicators.named(rank, workers)}")
        return error
    # A rank that was lost, or late, is the cause of what the others say.
    kinds: list[type[BaseException]] = list(communicators.FAILURES)
    _, error = min(errors.items(), key=lambda item: (kinds.index(type(item[1])), item[0]))
    return type(error)(f"{where}: {error}")
