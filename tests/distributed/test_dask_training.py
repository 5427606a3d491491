"""cnn.distributed.dask.fit: the bits of one process on any number of workers, and failures."""

from __future__ import annotations

import doctest
import hashlib
import importlib
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest
from marks import slow

pytest.importorskip("dask", reason="these tests run in `make test-distributed`")

import dask
import dask.array as da
import dask.dataframe as dd
import pandas as pd
from dask_clusters import every_size
from distributed import Client, wait

import cnn
import cnn.distributed
from cnn.distributed import dask as cnn_dask

# Workers do not have the folder of the tests.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

pytestmark = pytest.mark.distributed

SHARDS = 5
ROWS = 37
# What an error may take until the client has it.
SECONDS = 10.0


def data(rows: int = SHARDS * ROWS) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(rows, 6))
    t = (x[:, 0] > 0).astype(np.int64) + (x[:, 1] > 0)
    return x, t, rng.uniform(0.5, 2.0, rows)


def in_shards(*arrays: Any) -> list[tuple[Any, ...]]:
    return list(zip(*(np.split(array, SHARDS) for array in arrays), strict=True))


def network(dtype: str = "float32") -> cnn.Sequential:
    return cnn.Sequential(
        [cnn.Dense(6, 32, "relu"), cnn.Dropout(0.2), cnn.Dense(32, 3, "softmax", l2=1e-4)],
        rng=7,
        dtype=dtype,
    )


def digest(net: cnn.Sequential) -> str:
    found = hashlib.sha256()
    for array in net.get_weights():
        found.update(array.tobytes())
    return found.hexdigest()


def options() -> dict[str, Any]:
    return {
        "epochs": 3,
        "batch_size": 32,
        "optimizer": cnn.Adam(lr=1e-2, clip_norm=0.5),
        "class_weight": {0: 1.0, 1: 2.0, 2: 1.5},
        "progress": False,
    }


def locally(dtype: str = "float32", **others: Any) -> tuple[str, Any]:
    """Train in one process; return the digest of the weights, and the history."""
    net = network(dtype)
    history = cnn.distributed.fit(net, in_shards(*data()), **(options() | others))
    return digest(net), history


# ---- The same bits -------------------------------------------------------------------------------


@every_size
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bits_and_history_of_one_process(client: Client, dtype: str) -> None:
    wanted, history = locally(dtype)
    net = network(dtype)
    x, t, weight = data()
    found = cnn_dask.fit(
        client,
        net,
        da.from_array(x, chunks=(ROWS, 6)),
        da.from_array(t, chunks=ROWS),
        sample_weight=da.from_array(weight, chunks=ROWS),
        **options(),
    )
    assert digest(net) == wanted
    assert list(found.epoch) == list(history.epoch)
    assert list(found["loss"]) == list(history["loss"])
    assert list(found["accuracy"]) == list(history["accuracy"])


def sources(kind: str, client: Client, folder: Path) -> tuple[Any, dict[str, Any]]:
    """Return shards of a kind, and the arguments that belong to them."""
    x, t, weight = data()
    shards = in_shards(x, t, weight)
    frame = pd.DataFrame(x, columns=list("abcdef")).assign(t=t, weight=weight)
    collection = dd.from_map(lambda i: frame.iloc[i * ROWS : (i + 1) * ROWS], range(SHARDS))
    if kind == "list":
        return shards, {}
    if kind == "callable":
        return shards.__getitem__, {"n_shards": SHARDS}
    if kind == "dataframe":
        return collection, {"t": "t", "sample_weight": "weight"}
    if kind == "series":
        names = list("abcdef")
        kept = collection.persist()
        return kept[names], {"t": kept["t"], "sample_weight": kept["weight"]}
    if kind == "columns":
        # Partitions of columns are joined.
        return da.from_array(x, chunks=(ROWS, 4)), {
            "t": da.from_array(t, chunks=ROWS),
            "sample_weight": da.from_array(weight, chunks=ROWS),
        }
    if kind == "delayed":
        return [dask.delayed(lambda i: shards[i])(i) for i in range(SHARDS)], {}
    if kind == "futures":
        return client.map(lambda i: shards[i], range(SHARDS), pure=False), {}
    if kind == "placed":
        # All on one worker, the last shard first.
        worker = sorted(client.nthreads())[-1]
        futures = [
            client.submit(lambda i: shards[i], i, workers=[worker], pure=False)
            for i in reversed(range(SHARDS))
        ]
        wait(futures)
        return futures[::-1], {}
    for i, shard in enumerate(shards):
        np.savez(folder / f"{i}.npz", x=shard[0], t=shard[1], sample_weight=shard[2])
    return [(str(folder / f"{i}.npz"), "t", "sample_weight") for i in range(SHARDS)], {}


@pytest.mark.parametrize(
    "kind",
    [
        *("dataframe", "delayed", "futures", "placed", "files"),
        *slow("list", "callable", "series", "columns"),
    ],
)
def test_every_kind_of_shards(client: Client, tmp_path: Path, kind: str) -> None:
    net = network()
    shards, others = sources(kind, client, tmp_path)
    cnn_dask.fit(client, net, shards, **others, **options())
    assert digest(net) == locally()[0]


@pytest.mark.slow
@pytest.mark.parametrize("which", [[0], [2, 0], None])
def test_chosen_workers(client: Client, which: list[int] | None) -> None:
    there = sorted(client.nthreads())
    workers = None if which is None else [there[i] for i in which]
    net = network()
    cnn_dask.fit(client, net, in_shards(*data()), workers=workers, **options())
    assert digest(net) == locally()[0]


def test_more_workers_than_shards(client: Client) -> None:
    x, t, _ = data()
    shards = [(x[:90], t[:90]), (x[90:], t[90:])]
    nets = network(), network()
    cnn_dask.fit(client, nets[0], shards, **options())
    cnn.distributed.fit(nets[1], shards, **options())
    assert digest(nets[0]) == digest(nets[1])


def test_validation_in_shards(client: Client) -> None:
    x, t, _ = data()
    shards = in_shards(x, t)
    nets = network(), network()
    arrays = da.from_array(x, chunks=(ROWS, 6)), da.from_array(t, chunks=ROWS)
    wanted = cnn.distributed.fit(nets[0], shards, validation_data=shards, **options())
    found = cnn_dask.fit(client, nets[1], *arrays, validation_data=arrays, **options())
    assert list(found["val_loss"]) == list(wanted["val_loss"])
    assert digest(nets[0]) == digest(nets[1])


def test_optimizer_and_epochs_go_on(client: Client) -> None:
    """A second call, here or there, goes on where the first has ended."""
    shards = in_shards(*data())
    nets = network(), network()
    given = options(), options()
    for there in (True, False, True):
        if there:
            cnn_dask.fit(client, nets[0], shards, **given[0])
        else:
            cnn.distributed.fit(nets[0], shards, **given[0])
        cnn.distributed.fit(nets[1], shards, **given[1])
    assert given[0]["optimizer"].steps == given[1]["optimizer"].steps
    assert digest(nets[0]) == digest(nets[1])


class Slower(cnn.Callback):
    """Halves the learning rate, and stops after the second epoch."""

    def on_epoch_end(self, epoch: int, logs: Any) -> None:
        self.optimizer.lr = self.optimizer.lr / 2
        self.model.stop_training = epoch == 2


def test_callbacks_run_in_the_process_of_rank_0(client: Client) -> None:
    given = options()
    net = network()
    history = cnn_dask.fit(client, net, in_shards(*data()), callbacks=[Slower()], **given)
    assert len(history.epoch) == 2
    assert given["optimizer"].lr == 1e-2 / 4
    assert net.stop_training
    assert digest(net) == locally(callbacks=[Slower()])[0]


# ---- Failures ------------------------------------------------------------------------------------


class Failing:
    """Rows of a shard, one of which fails after some reads of it: a `cnn.Rows`."""

    def __init__(self, shard: tuple[Any, ...], fault: str, after: int) -> None:
        self.shard, self.fault, self.left = shard, fault, after

    def __len__(self) -> int:
        return len(self.shard[0])

    def __getitem__(self, index: Any) -> tuple[Any, ...]:
        self.left -= 1
        if self.left == 0 and self.fault == "raise":
            raise OSError(5, "the disk is broken", "rows.bin")
        if self.left == 0 and self.fault == "hang":
            time.sleep(6)
        return tuple(column[index] for column in self.shard)


def failing(fault: str, number: int, after: int = 4) -> list[Any]:
    shards: list[Any] = [Failing(shard, "", 0) for shard in in_shards(*data())]
    shards[number] = Failing(in_shards(*data())[number], fault, after)
    return shards


def worker_of(client: Client, number: int) -> tuple[int, str]:
    """Return the rank and the worker of a shard."""
    there = sorted(client.nthreads())
    bounds = importlib.import_module("cnn.distributed._ranges").ranges(SHARDS, len(there))
    rank = max(r for r in range(len(there)) if bounds[r] <= number)
    return rank, there[rank]


@pytest.mark.parametrize("number", [0, 4])
def test_source_that_raises_on_one_rank(client: Client, number: int) -> None:
    net = network()
    before = digest(net)
    rank, worker = worker_of(client, number)
    begun = time.monotonic()
    with pytest.raises(OSError, match="the disk is broken") as caught:
        cnn_dask.fit(client, net, failing("raise", number), **options())
    assert time.monotonic() - begun < SECONDS
    text = f"{caught.value} {caught.value.__notes__}"
    assert f"rank {rank}: shard {number}" in text
    assert f"raised by rank {rank} (worker {worker})" in text
    assert digest(net) == before
    # The workers are free again.
    cnn_dask.fit(client, net, in_shards(*data()), **options())
    assert digest(net) == locally()[0]


@pytest.mark.parametrize("number", [1, 3])
def test_label_out_of_range_on_one_rank(client: Client, number: int) -> None:
    x, t, _ = data()
    shards = in_shards(x, t.copy())
    shards[number][1][5] = 3
    net = network()
    before = digest(net)
    rank, worker = worker_of(client, number)
    with pytest.raises(ValueError, match=rf"rank {rank}: shard {number}: t has label 3") as caught:
        cnn_dask.fit(client, net, shards, **options())
    assert any(f"raised by rank {rank} (worker {worker})" in n for n in caught.value.__notes__)
    assert digest(net) == before


@pytest.mark.slow
def test_timeout_of_a_source_that_hangs(client: Client) -> None:
    rank, worker = worker_of(client, 2)
    said = rf"rank {rank} \(worker {worker}\) did not come to call \d+ \(\w+\) within 1.5 seconds"
    with pytest.raises(TimeoutError, match=said):
        cnn_dask.fit(client, network(), failing("hang", 2), timeout=1.5, **options())


@pytest.mark.slow
@pytest.mark.parametrize("attempt", range(3))
def test_worker_killed_at_a_random_moment(mortal: Client, tmp_path: Path, attempt: int) -> None:
    """The others end within seconds; from the last checkpoint, the run ends in the same bits."""
    there = sorted(mortal.nthreads())
    processes = mortal.run(os.getpid)
    rank = random.randrange(3)
    checkpoint = str(tmp_path / "run.safetensors")
    given = {"checkpoint": checkpoint, "every": 10}
    net = network()
    before = digest(net)
    killed: list[float] = []

    def kill() -> None:
        # Not before the run has begun, and not after its end.
        while not os.path.exists(checkpoint):
            time.sleep(0.01)
        time.sleep(random.uniform(0.0, 0.5))
        killed.append(time.monotonic())
        os.kill(processes[there[rank]], signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    long = options() | {"epochs": 400}
    with pytest.raises(ConnectionError, match=rf"rank {rank} \(worker {there[rank]}\) has ended"):
        cnn_dask.fit(mortal, net, in_shards(*data()), **long, **given)
    assert time.monotonic() - killed[0] < SECONDS
    thread.join()
    assert digest(net) == before
    # Here in one process, which is another number of ranks.
    cnn.distributed.fit(net, in_shards(*data()), **(options() | {"epochs": 400}), **given)
    assert digest(net) == locally(epochs=400)[0]


@pytest.mark.slow
def test_refusals(client: Client) -> None:
    x, t, weight = data()
    arrays = da.from_array(x, chunks=(ROWS, 6)), da.from_array(t, chunks=ROWS)
    where = "distributed.dask.fit: "
    cases: list[tuple[type[Exception], str, tuple[Any, ...], dict[str, Any]]] = [
        (TypeError, "client is of type str, should be a distributed.Client", ("me", *arrays), {}),
        (TypeError, "comm is given, but the workers", (client, *arrays), {"comm": None}),
        (ValueError, "timeout is 0, should be", (client, *arrays), {"timeout": 0}),
        (
            ValueError,
            "workers has 'tcp://1.2.3.4:5', should have addresses of workers of the "
            "cluster: tcp://",
            (client, *arrays),
            {"workers": ["tcp://1.2.3.4:5"]},
        ),
        (
            TypeError,
            "workers is 'tcp://a:1', should be a sequence of addresses",
            (client, *arrays),
            {"workers": "tcp://a:1"},
        ),
        (
            ValueError,
            "t has 1 partitions, but shards has 5",
            (client, arrays[0], da.from_array(t, chunks=-1)),
            {},
        ),
        (TypeError, "t is of type ndarray, should be a dask.array", (client, arrays[0], t), {}),
        (TypeError, "t is 'label', but shards is of type Array", (client, arrays[0], "label"), {}),
        (
            TypeError,
            "sample_weight is given, but shards is no collection of Dask",
            (client, in_shards(x, t)),
            {"sample_weight": weight},
        ),
    ]
    for kind, text, arguments, others in cases:
        with pytest.raises(kind) as caught:
            cnn_dask.fit(arguments[0], network(), *arguments[1:], **others)
        assert str(caught.value).startswith(where + text), str(caught.value)
    frame = dd.from_pandas(pd.DataFrame({"a": [1.0, 2.0], "y": [0, 1]}), npartitions=2)
    with pytest.raises(ValueError, match="t is 'z', should be a column of shards: a, y"):
        cnn_dask.fit(client, network(), frame, "z")


def test_optimizer_of_another_network(client: Client) -> None:
    given = options()
    cnn.distributed.fit(network(), in_shards(*data()), **given)
    with pytest.raises(ValueError, match="optimizer belongs to another network"):
        cnn_dask.fit(client, network(), in_shards(*data()), **given)


def test_partition_that_raises(client: Client) -> None:
    def part(i: int) -> Any:
        return in_shards(*data())[i] if i != 3 else 1 / 0

    with pytest.raises(ZeroDivisionError) as caught:
        cnn_dask.fit(client, network(), [dask.delayed(part)(i) for i in range(SHARDS)])
    assert caught.value.__notes__ == ["distributed.dask.fit: raised by the partition of shard 3"]


@pytest.mark.slow
def test_example_of_the_docstring() -> None:
    assert doctest.testmod(cnn_dask, raise_on_error=True).attempted > 5
