"""Many threads on shared objects: nothing that the GIL protects elsewhere breaks without one.

The tests run with every Python. With a free-threaded one they also check that its GIL stays off.
"""

import copy
import gc
import itertools
import math
import pickle
import subprocess
import sys
import sysconfig
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import cnn
from cnn import _core

FREE = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
LABELS = _core.Loss("cross_entropy", labels=True)
THREADS = 8
BUSY_TAPE = "the tape is in use by another thread"
BUSY_TREE = "the tree is in use by another thread"
BUSY_NETWORK = "the network is being trained by another thread"


@pytest.fixture(autouse=True)
def no_gil():
    """Check that no import has enabled the GIL of a free-threaded Python."""
    assert not FREE or not sys._is_gil_enabled()
    yield
    assert not FREE or not sys._is_gil_enabled()


@pytest.fixture(autouse=True)
def frequent_switches():
    """Let a Python with a GIL switch between threads often."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.fixture(scope="module")
def samples():
    rng = np.random.default_rng(0)
    return rng.standard_normal((600, 20)).astype(np.float32), rng.integers(0, 5, 600)


def together(*calls):
    """Run functions at once, each on a thread of its own; return what they return."""
    start = threading.Barrier(len(calls))

    def run(call):
        start.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(run, call) for call in calls]]


def made(call, *reasons):
    """Return whether a call was made, not refused for one of these reasons."""
    try:
        call()
    except (RuntimeError, ValueError) as error:
        if not any(reason in str(error) for reason in reasons):
            raise
        return False
    return True


def mlp(seed=0, **options):
    return cnn.mlp([20, 40, 5], "tanh", "softmax", rng=seed, **options)


# ---- Importing ---------------------------------------------------------------------------------

IMPORTS = """
import sys, threading
import cnn
names = sorted(set(cnn.__all__) - {"plot", "sklearn", "onnx"})
start, found, errors = threading.Barrier(8), [], []

def run():
    start.wait()
    try:
        found.append([getattr(cnn, name) for name in names])
    except ImportError as error:  # of an optional package
        errors.append(str(error))
    except BaseException as error:
        errors.append(f"unexpected: {error!r}")

threads = [threading.Thread(target=run) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert not any("unexpected" in error for error in errors), errors
assert len({str([id(value) for value in values]) for values in found}) <= 1
assert len(found) in (0, 8), (found, errors)
print(len(found), getattr(sys, "_is_gil_enabled", lambda: True)())
"""


def test_names_are_imported_by_many_threads():
    """Lazy names are the same objects for all threads, and no warning says that the GIL is on."""
    command = [sys.executable, "-P", "-W", "error", "-c", IMPORTS]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["8", str(not FREE)]


# ---- A shared network --------------------------------------------------------------------------


def test_readers_of_one_network(samples, tmp_path, bits):
    """Whatever reads a network gives the same bits on each of many threads."""
    x, t = samples
    net = mlp()
    net.fit(x, t, epochs=1, progress=False)
    expected = net.predict(x)
    loss, gradients = net.gradients(x, t)

    def read(i):
        for turn in range(8):
            path = tmp_path / f"{i}.safetensors"
            net.save(path)
            for other in (net, copy.deepcopy(net), cnn.load(path), pickle.loads(pickle.dumps(net))):
                assert bits(other.predict(x)) == bits(expected)
                assert bits(other.predict(x[turn])) == bits(expected[turn])
            again, found = net.gradients(x, t)
            assert again == loss
            assert bits(found[0].weight) == bits(gradients[0].weight)
            y = net.forward(x)
            assert bits(y) == bits(expected)
            net.backward(np.ones_like(y))
            assert net.evaluate(x, t)["loss"] == pytest.approx(loss)

    together(*[lambda i=i: read(i) for i in range(THREADS)])


class Cycle:
    """What only the collector frees, and then other threads run."""

    def __init__(self):
        self.self = self

    def __del__(self):
        time.sleep(0)


def test_metadata_while_garbage_is_collected():
    """Texts are read whole, if the collector runs at any moment and lets others set them."""
    network = mlp()._network
    keys = [f"key {i}" for i in range(300)]
    for key in keys:
        network.set_metadata(key, key * 3)
    done = threading.Event()

    def write():
        for turn in itertools.count():
            if done.is_set():
                return
            network.set_metadata(keys[turn % len(keys)], None)
            network.set_metadata(keys[turn % len(keys)], keys[turn % len(keys)] * 3)

    def read():
        before = gc.get_threshold()
        gc.set_threshold(50, 2, 2)
        try:
            for _ in range(100):
                for _ in range(3):
                    Cycle()
                assert all(value == key * 3 for key, value in network.metadata.items())
        finally:
            gc.set_threshold(*before)
            done.set()

    together(write, write, read)


def test_metadata_of_one_network(tmp_path):
    """Texts are set, removed and read at once; each is read whole."""
    network = mlp()._network
    trainer = _core.Trainer(network, "sgd")
    # So many that calls on several threads overlap.
    keys = [f"key {i}" for i in range(2000)]
    for key in keys:
        network.set_metadata(key, key * 3)

    def write(i):
        for turn in range(4000):
            key = keys[(7 * turn + i) % len(keys)]
            network.set_metadata(key, None)
            network.set_metadata(key, key * (1 + turn % 9))

    def whole(found):
        assert all(set(value.split(key)) == {""} for key, value in found.items())

    def read(i):
        path = tmp_path / f"{i}.safetensors"
        for turn in range(20):
            whole(network.metadata)
            whole(network.copy().metadata)
            whole(_core.Network.from_bytes(network.to_bytes()).metadata)
            for key in keys:
                whole({key: network.get_metadata(key) or key})
            if turn % 10 == 0:
                trainer.save(path)
                whole(_core.Network.load(path).metadata)

    calls = [lambda i=i: write(i) for i in range(3)] + [lambda i=i: read(i) for i in range(3)]
    together(*calls)
    whole(network.metadata)
    assert set(network.metadata) == set(keys)


def test_steps_are_read_between_trainings(samples):
    """The count of steps beside a training is that before a call or after it."""
    x, t = samples
    net = mlp()
    trainer = _core.Trainer(net._network, "sgd")
    order, rates = np.arange(len(x)), np.full(60, 1e-3)
    ended, read = threading.Event(), []

    def train():
        try:
            for _ in range(40):
                trainer.epoch(LABELS, x, t, None, order, 10, rates)
        finally:
            ended.set()

    def look():
        while not ended.is_set():
            read.append(trainer.steps)

    together(train, look, look)
    assert trainer.steps == 2400
    assert {steps % 60 for steps in read} == {0}


def test_steps_on_one_network_are_counted():
    """A step is made whole or refused: the weights are those of as many steps as were made."""
    x, t = np.ones((1, 3), np.float32), np.ones(1, np.float32)
    squared = _core.Loss("squared_error")
    network = cnn.mlp([3, 2, 1], "tanh", "identity", rng=0)._network
    alone = network.copy()
    rates = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
    trainer, single = _core.Trainer(network, "adam", **rates), _core.Trainer(alone, "adam", **rates)

    def train():
        count = 0
        while count < 1000:
            count += made(lambda: trainer.step(squared, x, t, None, 1e-4), BUSY_NETWORK)
        return count

    count = sum(together(*[train] * 4))
    assert trainer.steps == count == 4000
    for _ in range(count):
        single.step(squared, x, t, None, 1e-4)
    assert (network.predict(x) == alone.predict(x)).all()


def test_changes_beside_readers(samples, tmp_path):
    """A network is trained and set while others read it: all finite, all files whole."""
    x, t = samples
    net = mlp()
    network, optimizer = net._network, cnn.Adam()
    weight = net.layers[0].weight.copy()
    done = threading.Event()

    def train():
        try:
            for _ in range(12):
                made(
                    lambda: net.fit(x, t, optimizer=optimizer, epochs=2, progress=False),
                    BUSY_NETWORK,
                )
        finally:
            done.set()

    def change():
        while not done.is_set():
            for call in (
                lambda: network.set(0, "weight", weight),
                lambda: network.set_l2(0, 0.01),
                lambda: network.initialize(1, "torch"),
                lambda: net.train_step(x, t, optimizer=optimizer),
            ):
                made(call, BUSY_NETWORK)

    def read(i):
        path = tmp_path / f"{i}.safetensors"
        while not done.is_set():
            assert np.isfinite(net.predict(x)).all()
            assert np.isfinite(network.get(0, "weight")).all()
            assert np.isfinite(copy.deepcopy(net).predict(x[:3])).all()
            network.save(path)
            assert np.isfinite(cnn.load(path).predict(x[:3])).all()
            assert optimizer.steps >= 0
            assert [layer.kind for layer in network.layers] == ["dense", "dense"]
            assert math.isfinite(net.evaluate(x, t)["loss"])

    together(train, change, *[lambda i=i: read(i) for i in range(4)])
    assert np.isfinite(net.fit(x, t, progress=False).loss).all()


# ---- Networks of their own ---------------------------------------------------------------------


def test_each_thread_trains_its_own_network(samples, bits):
    """Training, saving and resuming give the bits that they give alone."""
    x, t = samples

    def run(seed):
        net, optimizer = mlp(seed), cnn.AdamW(lr=0.01)
        history = net.fit(x, t, optimizer=optimizer, epochs=3, progress=False)
        resumed = copy.deepcopy(net)
        resumed.fit(x, t, optimizer=copy.deepcopy(optimizer), progress=False)
        return bits(net.predict(x), resumed.predict(x), np.array(history.loss))

    alone = [run(seed) for seed in range(THREADS)]
    assert together(*[lambda s=seed: run(s) for seed in range(THREADS)]) == alone


# ---- Small objects -----------------------------------------------------------------------------


def test_optimizer_belongs_to_one_network():
    """Of networks that use a new optimizer at once one has it, and all threads of it share it."""
    x, t = np.ones((4, 20), np.float32), np.zeros(4, np.int64)
    for _ in range(50):
        optimizer = cnn.SGD(lr=0.1)
        nets = [mlp(), mlp()]

        def step(net, optimizer=optimizer):
            return made(
                lambda: net.train_step(x, t, optimizer=optimizer),
                "optimizer belongs to another network",
                BUSY_NETWORK,
            )

        count = sum(together(*[lambda net=net: step(net) for net in nets * 2]))
        assert count >= 1
        assert optimizer.steps == count


def test_handles_are_closed_once():
    """Closing drops one reference to the network, however many threads close the handle."""
    networks = [mlp()._network for _ in range(300)]
    counts = [sys.getrefcount(network) for network in networks]
    handles = [_core.Handle(network) for network in networks]
    capsules = [handle.capsule for handle in handles]

    def close():
        for handle in handles:
            handle.close()

    def use():
        for handle in handles:
            made(lambda handle=handle: handle.address, "it is closed")
            made(lambda handle=handle: handle.capsule, "it is closed")
            assert "cnn handle" in repr(handle)

    together(close, use, close, use, close)
    assert all(handle.closed for handle in handles)
    assert all("closed" in repr(capsule) for capsule in capsules)
    assert [sys.getrefcount(network) for network in networks] == counts


def test_objects_are_initialised_once():
    losses = [_core.Loss.__new__(_core.Loss, "huber") for _ in range(5000)]

    def initialise():
        return sum(
            made(lambda loss=loss: loss.__init__("huber"), "__init__ is called twice")
            for loss in losses
        )

    assert sum(together(*[initialise] * 4)) == len(losses)


def test_tape_and_tree_are_for_one_thread_at_a_time(samples):
    x, _ = samples
    network = mlp()._network
    tape, tree = _core.Tape(network), _core.ShardTree("float32", 1000, 64)
    vector, sums = np.ones(1000, np.float32), np.ones(_core.SHARD_SUMS)
    expected = network.predict(x)

    def use_tape():
        for rows in (600, 300, 600, 100) * 10:
            made(lambda rows=rows: forward(rows), BUSY_TAPE)
            # Other rows may have gone forward in between.
            dy = np.ones((rows, 5), np.float32)
            made(lambda dy=dy: tape.backward(dy), BUSY_TAPE, "dy has shape", "nothing went")

    def forward(rows):
        assert (tape.forward(x[:rows]) == expected[:rows]).all()

    def use_tree():
        for shard in range(64):
            # The tree refuses shards that come out of order.
            made(lambda shard=shard: tree.add(shard, shard + 1, vector, sums), BUSY_TREE, "add: ")
            made(look, BUSY_TREE)

    def look():
        assert all(node[2].size == 1000 and node[3].size == sums.size for node in tree.nodes())

    together(*[use_tape] * 4)
    together(*[use_tree] * 4)
    assert (tape.forward(x) == expected).all()
    tree.reset()
    assert tree.nodes() == []


def test_a_list_that_changes_is_read_whole():
    """A list of columns that another thread makes longer and shorter is read as it was once."""
    columns = [np.arange(1000.0)] * 3
    out = np.empty((1000, 3))
    done = threading.Event()

    def change():
        while not done.is_set():
            columns.append(columns[0])
            columns.pop()

    def read():
        try:
            for _ in range(2000):
                made(lambda: _core.rows_of_columns(columns, out), "a column for each of them")
        finally:
            done.set()

    together(read, change)
    _core.rows_of_columns(columns, out)
    assert (out == np.arange(1000.0)[:, None]).all()
