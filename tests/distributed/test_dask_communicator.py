"""The collective calls between workers of a Dask cluster, without training."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from typing import Any

import cloudpickle
import numpy as np
import pytest
from marks import slow

pytest.importorskip("dask", reason="these tests run in `make test-distributed`")

from dask_clusters import every_size, local_cluster
from distributed import Client, Future

from cnn.distributed import _dask_communicator as communicators
from cnn.distributed._dask_launch import launch

# Workers do not have the folder of the tests.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

pytestmark = pytest.mark.distributed

# What an error may take until all ranks and the client have it.
SECONDS = 10.0


def addresses(client: Client) -> list[str]:
    return sorted(client.nthreads())


def run(client: Client, function: Any, *arguments: Any, timeout: float = 30.0) -> Any:
    workers = addresses(client)
    parts = [arguments] * len(workers)
    return launch("fit", client, _spread, [function], parts=parts, workers=workers, timeout=timeout)


def _spread(comm: Any, part: Any, function: Any) -> Any:
    return function(comm, *part)


def gathered(comm: Any, *texts: str) -> list[bytes]:
    """Return one text of each rank, by allgatherv."""
    counts = [len(text) for text in texts]
    recv = np.empty(sum(counts), np.uint8)
    comm.allgatherv(np.frombuffer(texts[comm.rank].encode(), np.uint8), recv, counts)
    ends = np.cumsum(counts)
    return [recv[end - count : end].tobytes() for end, count in zip(ends, counts, strict=True)]


@every_size
def test_allgatherv_of_unequal_and_empty_parts(client: Client) -> None:
    texts = ["zero", "", "two, longer", "3"][: len(addresses(client))]
    assert run(client, gathered, *texts) == [text.encode() for text in texts]


def exchanged(comm: Any, seed: int, calls: int, most: int) -> int:
    """Make calls with random counts; return the number of bytes that this rank has checked."""
    checked = 0
    for call in range(calls):
        rng = np.random.default_rng([seed, call])
        counts = rng.integers(0, most, (comm.size, comm.size)) * rng.integers(0, 2, (1, comm.size))
        # What rank i sends to rank j is a function of both and of the call.
        parts = [
            [
                np.random.default_rng([seed, call, i, j]).bytes(counts[i, j])
                for j in range(comm.size)
            ]
            for i in range(comm.size)
        ]
        send = np.frombuffer(b"".join(parts[comm.rank]), np.uint8).copy()
        wanted = b"".join(parts[i][comm.rank] for i in range(comm.size))
        recv = np.zeros(len(wanted), np.uint8)
        comm.alltoallv(send, counts[comm.rank].tolist(), recv, counts[:, comm.rank].tolist())
        # The buffer is the caller's again, whatever the connections still have to send.
        send[:] = 255
        assert recv.tobytes() == wanted
        checked += len(wanted)
    return checked


@every_size
@pytest.mark.parametrize(("calls", "most"), [(100, 50), (10, 1_000_000)])
def test_alltoallv_of_random_counts(client: Client, calls: int, most: int) -> None:
    assert run(client, exchanged, 1, calls, most) > 0


def large(comm: Any, count: int) -> list[list[float]]:
    """Send each rank the own number, twice; return what came of the first two ranks."""
    for _ in range(2):
        send = np.full(count * comm.size, comm.rank, np.uint8)
        recv = np.full(count * comm.size, 255, np.uint8)
        comm.alltoallv(send, [count] * comm.size, recv, [count] * comm.size)
        send[:] = 254
    parts = recv.reshape(comm.size, count)[:2]
    return [[float(part.min()), float(part.mean()), float(part.max())] for part in parts]


@pytest.mark.slow
def test_parts_above_the_size_that_dask_serializes_on_a_thread(client: Client) -> None:
    assert run(client, large, 11_000_000) == [[0.0] * 3, [1.0] * 3]


def test_one_rank() -> None:
    with local_cluster(1) as cluster, Client(cluster) as client:
        assert run(client, exchanged, 1, 5, 1000) > 0
        assert run(client, gathered, "alone") == [b"alone"]


def test_workers_that_are_threads_of_one_process() -> None:
    with local_cluster(3, processes=False, host=None) as cluster, Client(cluster) as client:
        assert run(client, exchanged, 1, 20, 100_000) > 0


def sums(comm: Any, calls: int, fails: int | None = None, at: int = 0) -> int:
    """Add 1 from each rank in each call."""
    total = 0
    recv = np.empty(comm.size, np.uint8)
    for call in range(calls):
        if comm.rank == fails and call == at:
            raise ValueError(f"no good in call {call}")
        comm.allgatherv(np.ones(1, np.uint8), recv, [1] * comm.size)
        total += int(recv.sum())
    return total


def test_nothing_is_left_after_a_run(client: Client) -> None:
    for _ in range(3):
        assert run(client, sums, 5) == 5 * len(addresses(client))

    def left() -> tuple[int, int]:
        return len(communicators._ranks), len(communicators._early)

    assert set(client.run(left).values()) == {(0, 0)}


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("at", [7, *slow(0, 19)])
def test_rank_that_raises(client: Client, rank: int, at: int) -> None:
    begun = time.monotonic()
    with pytest.raises(ValueError, match=f"no good in call {at}") as caught:
        run(client, sums, 20, rank, at)
    assert time.monotonic() - begun < SECONDS
    assert caught.value.__notes__ == [
        f"fit: raised by rank {rank} (worker {addresses(client)[rank]})"
    ]
    # The workers are free again.
    assert run(client, sums, 2) == 2 * len(addresses(client))


def failed(comm: Any, path: str) -> None:
    """Write what each rank gets if rank 1 raises."""
    try:
        sums(comm, 5, fails=1, at=3)
    except Exception as error:
        with open(f"{path}/{comm.rank}", "w") as file:
            file.write(f"{type(error).__name__}: {error}")
        raise


def test_each_rank_is_told_who_raised_what(client: Client, tmp_path: Any) -> None:
    with pytest.raises(ValueError, match="no good"):
        run(client, failed, str(tmp_path))
    worker = addresses(client)[1]
    for rank in range(len(addresses(client))):
        text = (tmp_path / str(rank)).read_text()
        if rank == 1:
            assert text == "ValueError: no good in call 3"
        else:
            said = f"rank 1 (worker {worker}) raised ValueError: no good in call 3"
            assert text == f"PeerError: {said}"


def killed(comm: Any, path: str, rank: int, after: float) -> None:
    """Make calls for ever; kill the process of one rank after a while."""
    if comm.rank == rank:
        threading.Timer(after, os.kill, (os.getpid(), signal.SIGKILL)).start()
    try:
        sums(comm, 10**9)
    except Exception as error:
        with open(f"{path}/{comm.rank}", "w") as file:
            file.write(f"{time.time()} {type(error).__name__}: {error}")
        raise


@pytest.mark.parametrize("rank", [2, *slow(0)])
def test_killed_worker(mortal: Client, tmp_path: Any, rank: int) -> None:
    workers = addresses(mortal)
    after = random.uniform(0.1, 1.0)
    begun = time.time()
    with pytest.raises(
        ConnectionError, match=rf"^fit: rank {rank} \(worker {workers[rank]}\) has ended"
    ):
        run(mortal, killed, str(tmp_path), rank, after)
    assert time.time() - begun < after + SECONDS
    for other in {0, 1, 2} - {rank}:
        when, text = (tmp_path / str(other)).read_text().split(" ", 1)
        assert float(when) - begun - after < SECONDS
        assert (
            text
            == f"LostError: rank {rank} (worker {workers[rank]}) has ended or cannot be reached"
        )


def late(comm: Any, rank: int, seconds: float) -> None:
    sums(comm, 3)
    if comm.rank == rank:
        time.sleep(seconds)
    sums(comm, 1)


@pytest.mark.slow
def test_timeout_names_the_ranks_that_are_missing(client: Client) -> None:
    worker = addresses(client)[1]
    said = (
        rf"fit: rank 1 \(worker {worker}\) did not come to call 4 \(allgatherv\) within 1 seconds"
    )
    begun = time.monotonic()
    with pytest.raises(TimeoutError, match=said):
        run(client, late, 1, 3.0, timeout=1.0)
    assert time.monotonic() - begun < SECONDS


@pytest.mark.slow
def test_worker_that_is_busy(client: Client) -> None:
    worker = addresses(client)[-1]
    busy = client.submit(time.sleep, 4, workers=[worker], pure=False)
    time.sleep(0.3)
    said = rf"rank {len(addresses(client)) - 1} \(worker {worker}\) did not start within 1 seconds"
    with pytest.raises(TimeoutError, match=said):
        run(client, sums, 3, timeout=1.0)
    busy.result()
    assert run(client, sums, 2) == 2 * len(addresses(client))


@pytest.mark.slow
def test_task_that_is_cancelled(client: Client) -> None:
    workers = addresses(client)
    caught: list[BaseException] = []

    def start() -> None:
        try:
            run(client, sums, 10**9)
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    time.sleep(1.0)
    keys = [key for key in client.processing()[workers[1]] if str(key).startswith("cnn-rank-")]
    begun = time.monotonic()
    client.cancel(Future(keys[0], client), force=True)
    thread.join(SECONDS + 2)
    assert not thread.is_alive()
    assert time.monotonic() - begun < SECONDS
    assert isinstance(caught[0], RuntimeError)
    assert f"the task of rank 1 (worker {workers[1]}) was cancelled" in str(caught[0])
    assert run(client, sums, 2) == 2 * len(workers)


@pytest.mark.slow
def test_two_runs_at_a_time_come_one_after_the_other(client: Client) -> None:
    results: list[int] = []
    threads = [
        threading.Thread(target=lambda: results.append(run(client, sums, 200))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert results == [200 * len(addresses(client))] * 3


@pytest.mark.slow
def test_restarted_task_is_refused(client: Client) -> None:
    """Dask may start a task again; it must not enter the run."""

    def again(comm: Any) -> str:
        sums(comm, 2)
        comm.close()
        try:
            communicators.DaskCommunicator(comm._worker, comm._run, comm.rank, comm._addresses, 5.0)
        except RuntimeError as error:
            return str(error)
        return ""

    worker = addresses(client)[0]
    said = f"rank 0 (worker {worker}) has been in this run before: Dask restarted it"
    assert run(client, again) == said
