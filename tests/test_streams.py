"""Samples in pieces: files of NumPy, objects with rows, iterables of batches, reading ahead."""

import os
import signal
import threading
import time

import numpy as np
import pytest
from refused import refused
from stream_samples import (
    INPUTS,
    RNG,
    ROWS,
    WEIGHT,
    Endless,
    Rows,
    T,
    X,
    batches,
    network,
    trained,
)

import cnn
from cnn import _core, _sources

pytestmark = pytest.mark.usefixtures("no_thread_stays")


# ---- The same bits -------------------------------------------------------------------------------


@pytest.mark.parametrize("shuffle", [True, False])
def test_random_access_gives_the_bits_of_arrays(numpy_files, small_chunks, shuffle):
    bits = trained(X, T, shuffle=shuffle)
    x = str(numpy_files / "x.npy")
    for samples in (
        (x, T),
        (numpy_files / "x.npy", numpy_files / "t.npy"),
        (numpy_files / "both.npz",),
        (numpy_files / "both.npz", "t"),
        (numpy_files / "both.npz", T),
        (Rows(),),
    ):
        assert trained(*samples, shuffle=shuffle) == bits


def test_weights_of_samples(numpy_files, small_chunks):
    bits = trained(X, T, sample_weight=WEIGHT)
    assert trained(numpy_files / "x.npy", T, sample_weight=WEIGHT) == bits
    assert trained(numpy_files / "weighted.npz") == bits
    assert trained(Rows(X, T, WEIGHT)) == bits
    in_order = trained(X, T, sample_weight=WEIGHT, shuffle=False)
    assert trained(batches(70, X, T, WEIGHT), shuffle=False) == in_order


def test_weights_of_classes(small_chunks):
    weights = {0: 2.0, 3: 0.5}
    assert trained(Rows(), class_weight=weights) == trained(X, T, class_weight=weights)


@pytest.mark.parametrize("size", [1, 70, 100, 2999, 4000])
def test_batches_are_regrouped(size):
    assert trained(batches(size), shuffle=False) == trained(X, T, shuffle=False)


def test_batches_are_used_as_they_come():
    net, by_hand, optimizer = network(), network(), cnn.SGD(lr=0.1)
    sizes = [1, 5, 200, 3]
    ends = np.cumsum(sizes)
    parts = [(X[e - n : e], T[e - n : e]) for n, e in zip(sizes, ends, strict=True)]
    history = net.fit(iter(parts), optimizer=cnn.SGD(lr=0.1))
    assert len(history.loss) == 1
    trainer = optimizer
    for x, t in parts:
        by_hand.fit(x, t, batch_size=len(x), shuffle=False, optimizer=trainer)
    for a, b in zip(net.get_weights(), by_hand.get_weights(), strict=True):
        assert a.tobytes() == b.tobytes()


def test_dtypes_and_reused_memory():
    """A generator may yield the same buffer again and again."""

    def reused():
        buffer = np.empty((50, INPUTS), np.float64)
        for i in range(0, ROWS, 50):
            buffer[:] = X[i : i + 50]
            yield buffer, T[i : i + 50]
            buffer[:] = np.nan

    assert trained(Endless(reused), shuffle=False) == trained(X, T, shuffle=False)


def test_rows_may_use_their_memory_again(small_chunks):
    class Reused(Rows):
        buffer = np.empty((ROWS, INPUTS), np.float32)

        def __getitem__(self, index):
            self.buffer[:] = np.nan
            x = self.buffer[: len(T[index])]
            x[:] = X[index]
            return x, T[index]

    assert trained(Reused()) == trained(X, T)


def test_integers_of_other_types(small_chunks, tmp_path):
    x = RNG.integers(0, 255, (ROWS, INPUTS), dtype=np.uint8)
    np.save(tmp_path / "x.npy", x)
    bits = trained(x, T)
    assert trained(tmp_path / "x.npy", T) == bits
    mixed = [(x[:100], T[:100]), (x[100:].astype(np.float32), T[100:])]
    assert trained(mixed, shuffle=False) == trained(x, T, shuffle=False)


# ---- Shuffles ------------------------------------------------------------------------------------


def order_of(source, order):
    with _sources.Reader(source, order) as reader:
        found = []
        while (chunk := reader.batches(64)) is not None:
            found += [chunk.number(int(row)) for row in chunk.index]
            assert (chunk.x[chunk.index] == X[found[-chunk.rows :]]).all()
            assert (chunk.t[chunk.index] == T[found[-chunk.rows :]]).all()
    return found


def test_order_of_random_access(small_chunks):
    for source in (_sources.opened("f", Rows()), _sources.opened("f", X, T)):
        assert order_of(source, None) == list(range(ROWS))
        with _sources.Reader(source, (5, 2)) as reader:
            wanted = _core.permutation(5, 2, ROWS, 0, ROWS)
            taken = [reader.take(n) for n in (0, 1, 99, 500, 3000)]
        assert [chunk.rows for chunk in taken] == [0, 1, 99, 500, 2400]
        found = np.concatenate([chunk.x[chunk.index] for chunk in taken])
        assert (found == X[wanted]).all()


def test_windows_do_not_depend_on_batches():
    orders = {
        tuple(order_of(_sources.opened("f", batches(size), buffer=400), (5, 2)))
        for size in (1, 33, 400, 1000, 5000)
    }
    assert len(orders) == 1
    (order,) = orders
    for first in range(0, ROWS, 400):
        assert sorted(order[first : first + 400]) == list(range(first, min(first + 400, ROWS)))
        assert order[first : first + 400] != tuple(range(first, first + 400))
    # Another epoch, seed and window have another order.
    other = _sources.opened("f", batches(), buffer=400)
    assert len({tuple(order_of(other, o)) for o in ((5, 2), (5, 3), (6, 2))}) == 3
    assert len({tuple(n % 400 for n in order[i : i + 400]) for i in (0, 400, 800)}) == 3


def test_sources_that_are_read_together_share_the_memory_of_one(tmp_path):
    rows = 5000
    np.save(tmp_path / "x.npy", np.zeros((rows, 1000), np.float32))
    sizes = []
    for share in (1, 4, 1000):
        source = _sources.opened("f", str(tmp_path / "x.npy"), np.zeros(rows))
        source.share = share
        chunks = list(source.read((1, 0)))
        assert sum(chunk.rows for chunk in chunks) == rows
        sizes.append(max(chunk.x.nbytes for chunk in chunks))
    assert sizes == [2097 * 4000, 524 * 4000, 16 * 4000]


def test_shuffle_buffer():
    bits = trained(batches(70), shuffle_buffer=500)
    assert trained(batches(33), shuffle_buffer=500) == bits
    assert trained(batches(33), shuffle_buffer=501) != bits
    assert trained(batches(70), shuffle=False) != bits


def test_shuffle_buffer_is_checked_for_arrays_too():
    net = network()
    with refused(ValueError, "fit: shuffle_buffer is 0, should be at least 1"):
        net.fit(X, T, shuffle_buffer=0)


def test_loaders_of_torch():
    torch = pytest.importorskip("torch")
    data = torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(T))
    loader = torch.utils.data.DataLoader(data, batch_size=100)
    bits = trained(X, T, shuffle=False)
    assert trained(loader, shuffle=False) == bits
    assert trained(loader, batch_size=None) == bits
    assert trained(data) == trained(X, T)  # it has the methods of Rows
    net = network()
    assert net.evaluate(loader) == net.evaluate(X, T)
    assert (net.predict(loader) == net.predict(X)).all()
    shuffled = torch.utils.data.DataLoader(data, batch_size=100, shuffle=True, num_workers=2)
    net.fit(shuffled, epochs=2)


def test_default_buffer():
    """It has 10,000 rows, or fewer of large rows."""
    for columns, rows in ((2, 10_000), (3000, 2**24 // 12_000)):
        x = np.broadcast_to(np.float32(0), (11_000 if columns == 2 else 3000, columns))
        source = _sources.opened("f", [(x, np.zeros(len(x), int))])
        with _sources.Reader(source, (0, 0)) as reader:
            assert reader.chunk().rows == rows


# ---- Evaluation and prediction -------------------------------------------------------------------


def test_evaluate(numpy_files, small_chunks):
    net = network()
    wanted = net.evaluate(X, T, metrics=["f1"])
    for samples in ((numpy_files / "x.npy", T), (Rows(),), (batches(),), (iter(batches()),)):
        assert net.evaluate(*samples, metrics=["f1"]) == wanted
    weighted = net.evaluate(X, T, sample_weight=WEIGHT)
    assert net.evaluate(Rows(X, T, WEIGHT)) == weighted


def test_evaluate_a_regression():
    net, t = network(2), RNG.normal(3.0, 1.0, (ROWS, 2)) * [1.0, 100.0]
    for weight in (None, np.where(RNG.random(ROWS) < 0.3, 0.0, WEIGHT)):
        arrays = (X, t) if weight is None else (X, t, weight)
        wanted = net.evaluate(X, t, sample_weight=weight)
        found = net.evaluate(batches(70, *arrays))
        assert list(found) == list(wanted) == ["loss", "mse", "mae", "r2"]
        assert found == pytest.approx(wanted, rel=1e-12)


def test_predict(numpy_files, small_chunks):
    net = network()
    y = net.predict(X)
    pairs = batches()
    only = [x for x, _ in pairs]
    for x in (
        numpy_files / "x.npy",
        numpy_files / "both.npz",
        Rows(),
        iter(pairs),
        (x for x in only),
    ):
        assert (net.predict(x) == y).all()
    out = np.lib.format.open_memmap(numpy_files / "y.npy", mode="w+", dtype=y.dtype, shape=y.shape)
    assert net.predict(numpy_files / "x.npy", out=out) is out
    assert (out == y).all()
    assert (net.predict(iter(only), out=np.zeros_like(y)) == y).all()
    with refused(ValueError, "predict: out has 2999 rows, but x has 3000"):
        net.predict(iter(only), out=np.zeros_like(y[1:]))
    with refused(ValueError, "predict: out is of type ndarray and shape (2999, 4), should be"):
        net.predict(numpy_files / "x.npy", out=np.zeros_like(y[1:]))


def test_validation(numpy_files):
    wanted = network().fit(X, T, epochs=2, validation_data=(X, T), metrics=["f1"])
    for data in (
        Rows(),
        (numpy_files / "x.npy", T),
        numpy_files / "both.npz",
        Endless(lambda: iter(batches())),
    ):
        found = network().fit(Rows(), epochs=2, batch_size=32, validation_data=data, metrics=["f1"])
        for name in ("loss", "val_loss", "val_accuracy", "f1", "val_f1"):
            assert found[name] == wanted[name]


def test_names_of_features():
    rows = Rows()
    rows.columns = [f"c{i}" for i in range(INPUTS)]
    net = network()
    net.fit(rows)
    assert net.feature_names == tuple(rows.columns)


def test_rows_get_slices_or_increasing_numbers(small_chunks):
    rows = Rows()
    trained(rows)
    net = network()
    net.evaluate(rows)
    for index in rows.calls:
        if isinstance(index, slice):
            assert index.step is None
            assert 0 <= index.start < index.stop <= ROWS
        else:
            assert index.dtype == np.intp
            assert (np.diff(index) > 0).all()


# ---- Reading ahead -------------------------------------------------------------------------------


def test_reads_on_one_thread_and_not_far_ahead():
    names, ahead = set(), []
    taken = 0

    def endless():
        for number in range(40):
            names.add(threading.current_thread().name)
            ahead.append(number - taken)
            yield np.zeros((20, 200_000 // 20)), np.zeros(20, int)

    net = cnn.mlp([10_000, 4], "relu", "softmax", rng=0)
    source = _sources.opened("f", Endless(endless))
    with _sources.Reader(source) as reader:
        while reader.chunk() is not None:
            taken += 1
            time.sleep(0.001)
    assert names == {"cnn reads ahead"}
    assert max(ahead) <= 1 + 8  # 8 MiB wait
    del net


def test_settings_of_the_caller_hold():
    def batch():
        yield np.float32([[1.0]]) / np.float32(0.0), [0.0]

    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        cnn.mlp([1, 1], "relu", "identity").evaluate(batch())


@pytest.mark.parametrize("error", [ValueError, OSError, ZeroDivisionError])
def test_an_exception_goes_through(error):
    def broken():
        yield from batches(500)[:3]
        raise error("the disk is gone")

    net = network()
    before = [array.copy() for array in net.get_weights()]
    with pytest.raises(error, match="the disk is gone") as caught:
        net.fit(broken())
    notes = " ".join(caught.value.__notes__)
    assert "fit: x raised it in batch 4" in notes
    assert "fit ended in epoch 1; the weights are as they were before fit" in notes
    for a, b in zip(net.get_weights(), before, strict=True):
        assert a.tobytes() == b.tobytes()


def test_an_exception_in_a_later_epoch_keeps_the_last_one():
    epochs = 0

    def broken():
        nonlocal epochs
        epochs += 1
        yield from batches(500)[:3]
        if epochs == 3:
            raise RuntimeError("too many")

    net, two = network(), network()
    with pytest.raises(RuntimeError) as caught:
        net.fit(Endless(broken), epochs=5)
    assert any("the weights are those after epoch 2" in note for note in caught.value.__notes__)
    two.fit(batches(500)[:3], epochs=2)
    for a, b in zip(net.get_weights(), two.get_weights(), strict=True):
        assert a.tobytes() == b.tobytes()


@pytest.mark.skipif(os.name == "nt", reason="signals are sent in another way on Windows")
@pytest.mark.parametrize("where", ["reading", "training"])
def test_ctrl_c_ends_soon(where):
    sent = []

    def slow():
        for i in range(10_000):
            if i == 5:
                sent.append(time.monotonic() + 0.05)
                threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
            if where == "reading" and i > 5:
                time.sleep(0.6)
            yield X[:500], T[:500]

    with pytest.raises(KeyboardInterrupt):
        network().fit(slow())
    assert time.monotonic() - sent[0] < 0.3  # 0.1 on a machine that is not busy


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_fork_in_between():
    source = _sources.opened("f", batches(10))
    with _sources.Reader(source) as reader:
        reader.chunk()
        child = os.fork()
        if child == 0:
            try:
                reader.chunk()
            except RuntimeError as error:
                reader.close()
                os._exit(0 if "was forked" in str(error) else 2)
            os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        assert reader.chunk().rows == 10


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs /proc")
def test_memory_is_that_of_some_chunks(tmp_path):
    """The resident set does not grow with the file, in a process of its own."""
    import subprocess
    import sys

    code = """
import sys, numpy as np, cnn
def resident():
    lines = dict(line.split(":", 1) for line in open("/proc/self/status"))
    return int(lines["VmHWM"].split()[0]) // 1024
path = sys.argv[1]
x = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(2000, 1000)); del x
net = cnn.mlp([1000, 4, 2], "relu", "softmax", rng=0)
net.fit(path, np.zeros(2000, int))
before = resident()
# A file with a hole, which takes no space on the disk.
x = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(60000, 1000)); del x
net.fit(path, np.zeros(60000, int), batch_size=500)
print(resident() - before)
"""
    command = [sys.executable, "-P", "-c", code, str(tmp_path / "x.npy")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 60  # of 240 MB
