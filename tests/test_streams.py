"""Samples in pieces: files of NumPy, objects with rows, iterables of batches, reading ahead."""

import os
import signal
import threading
import time

import numpy as np
import pytest
from refused import refused

import cnn
from cnn import _core, _sources

ROWS, INPUTS, CLASSES = 3000, 12, 4
RNG = np.random.default_rng(0)
X = RNG.normal(size=(ROWS, INPUTS)).astype(np.float32)
T = RNG.integers(0, CLASSES, ROWS)
WEIGHT = RNG.random(ROWS)


class Rows:
    """The rows in memory, as an object with rows."""

    def __init__(self, *arrays):
        self.arrays = arrays or (X, T)
        self.calls = []

    def __len__(self):
        return len(self.arrays[0])

    def __getitem__(self, index):
        self.calls.append(index)
        return tuple(array[index] for array in self.arrays)


def batches(size=70, *arrays):
    arrays = arrays or (X, T)
    return [tuple(array[i : i + size] for array in arrays) for i in range(0, len(arrays[0]), size)]


class Endless:
    """An iterable that can be begun again, of a generator."""

    def __init__(self, make):
        self.make = make

    def __iter__(self):
        return self.make()


def network(outputs=CLASSES, **options):
    hidden = cnn.Dense(INPUTS, 20, "relu")
    last = cnn.Dense(20, outputs, "softmax" if outputs == CLASSES else "identity")
    return cnn.Sequential([hidden, cnn.Dropout(0.2), last], rng=3, **options)


def trained(*samples, epochs=2, batch_size=100, **options):
    net = network()
    net.fit(*samples, epochs=epochs, batch_size=batch_size, **options)
    return b"".join(array.tobytes() for array in net.get_weights())


def threads_end():
    """Whether the threads that read ahead end."""
    limit = time.monotonic() + 5
    while time.monotonic() < limit:
        if not any(thread.name == "cnn reads ahead" for thread in threading.enumerate()):
            return True
        time.sleep(0.01)
    return False


@pytest.fixture(autouse=True)
def no_thread_stays():
    yield
    assert threads_end()


@pytest.fixture
def small_chunks(monkeypatch):
    """Make chunks of some dozen rows, so that an epoch has many."""
    from cnn._sources import chunks

    monkeypatch.setattr(chunks, "CHUNK_BYTES", 37 * INPUTS * 4)


@pytest.fixture
def files(tmp_path):
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "t.npy", T)
    np.savez(tmp_path / "both.npz", x=X, t=T)
    np.savez(tmp_path / "weighted.npz", x=X, t=T, sample_weight=WEIGHT)
    return tmp_path


# ---- The same bits -------------------------------------------------------------------------------


@pytest.mark.parametrize("shuffle", [True, False])
def test_random_access_gives_the_bits_of_arrays(files, small_chunks, shuffle):
    bits = trained(X, T, shuffle=shuffle)
    x = str(files / "x.npy")
    for samples in (
        (x, T),
        (files / "x.npy", files / "t.npy"),
        (files / "both.npz",),
        (files / "both.npz", "t"),
        (files / "both.npz", T),
        (Rows(),),
    ):
        assert trained(*samples, shuffle=shuffle) == bits


def test_weights_of_samples(files, small_chunks):
    bits = trained(X, T, sample_weight=WEIGHT)
    assert trained(files / "x.npy", T, sample_weight=WEIGHT) == bits
    assert trained(files / "weighted.npz") == bits
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


def test_evaluate(files, small_chunks):
    net = network()
    wanted = net.evaluate(X, T, metrics=["f1"])
    for samples in ((files / "x.npy", T), (Rows(),), (batches(),), (iter(batches()),)):
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


def test_predict(files, small_chunks):
    net = network()
    y = net.predict(X)
    pairs = batches()
    only = [x for x, _ in pairs]
    for x in (files / "x.npy", files / "both.npz", Rows(), iter(pairs), (x for x in only)):
        assert (net.predict(x) == y).all()
    out = np.lib.format.open_memmap(files / "y.npy", mode="w+", dtype=y.dtype, shape=y.shape)
    assert net.predict(files / "x.npy", out=out) is out
    assert (out == y).all()
    assert (net.predict(iter(only), out=np.zeros_like(y)) == y).all()
    with refused(ValueError, "predict: out has 2999 rows, but x has 3000"):
        net.predict(iter(only), out=np.zeros_like(y[1:]))
    with refused(ValueError, "predict: out is of type ndarray and shape (2999, 4), should be"):
        net.predict(files / "x.npy", out=np.zeros_like(y[1:]))


def test_validation(files):
    wanted = network().fit(X, T, epochs=2, validation_data=(X, T), metrics=["f1"])
    for data in (
        Rows(),
        (files / "x.npy", T),
        files / "both.npz",
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


# ---- Refusals ------------------------------------------------------------------------------------


def after_batch(number, x, t):
    """Return good batches with a bad one behind them."""
    return [*batches(100)[: number - 1], (x, t)]


REFUSED = {
    "generator, epochs": (
        lambda: {"x": iter(batches()), "epochs": 2},
        "fit: epochs is 2, but x can be read only once, as it is an iterator; should be an object",
        ValueError,
    ),
    "generator, metrics": (
        lambda: {"x": iter(batches()), "metrics": ["f1"]},
        "fit: metrics needs a second pass over x, which is an iterator",
        ValueError,
    ),
    "validation by a generator": (
        lambda: {"x": batches(), "epochs": 2, "validation_data": iter(batches())},
        "fit: validation_data can be read only once, as it is an iterator, but epochs is 2",
        ValueError,
    ),
    "other width": (
        lambda: {"x": after_batch(3, X[:5, :7], T[:5])},
        "fit: batch 3: x has 7 columns, but the first layer has 12 inputs",
        ValueError,
    ),
    "label": (
        lambda: {"x": after_batch(17, X[:5], [0, 1, 2, 9, 0])},
        "fit: batch 17: t has label 9, but the output layer has 4 classes (labels 0 to 3); it is "
        "in row 3",
        ValueError,
    ),
    "label of Rows": (
        lambda: {"x": Rows(X, np.where(np.arange(ROWS) == 2345, 9, T))},
        "fit: x[2345:2346]: t has label 9, but the output layer has 4 classes",
        ValueError,
    ),
    "missing weights": (
        lambda: {"x": [(X, T, WEIGHT), (X, T)]},
        "fit: batch 2 has no weight, but batch 1 has weight of shape (3000,)",
        ValueError,
    ),
    "no batches": (lambda: {"x": []}, "fit: x, of type list, has no batches", ValueError),
    "no rows": (
        lambda: {"x": [(X[:0], T[:0])]},
        "fit: x, of type list, has no rows, should have at least one",
        ValueError,
    ),
    "NaN": (
        lambda: {"x": after_batch(3, np.full((5, INPUTS), np.nan), T[:5])},
        "fit: the loss became NaN or infinite in epoch 1, step 3; the weights are as they were "
        "before fit. x has nan in row 200, column 0, but its numbers should be finite",
        ValueError,
    ),
    "t beside pairs": (
        lambda: {"x": iter(batches()), "t": T},
        "fit: t is given, but x is of type list_iterator, whose batches have it",
        TypeError,
    ),
    "t beside a list of pairs": (
        lambda: {"x": batches(), "t": T},
        "fit: t is given, but x is of type list, whose batches have it",
        TypeError,
    ),
    "t beside Rows": (
        lambda: {"x": Rows(), "t": T},
        "fit: t is given, but x is of type Rows, whose batches have it",
        TypeError,
    ),
    "weights beside Rows": (
        lambda: {"x": Rows(), "sample_weight": WEIGHT},
        "fit: sample_weight is given, but x is of type Rows, whose batches have it",
        TypeError,
    ),
    "validation_split": (
        lambda: {"x": batches(), "validation_split": 0.1},
        "fit: validation_split is 0.1, but x is a stream",
        ValueError,
    ),
    "balanced": (
        lambda: {"x": batches(), "class_weight": "balanced"},
        "fit: class_weight is 'balanced', but the classes of a stream are not known",
        ValueError,
    ),
    "no pairs": (
        lambda: {"x": [X, X]},
        "fit: batch 1: it is of type ndarray, should be a tuple (x, t) or (x, t, weight)",
        TypeError,
    ),
    "a number": (lambda: {"x": 5}, "fit: x has 0 dimensions (), should have 2", ValueError),
    "arrays without t": (lambda: {"x": X}, "fit: t is None, should be an array", TypeError),
    "a path without t": (
        lambda: {"x": "x.csv"},
        "fit: x is the path 'x.csv', should end in .npy, .npz or .parquet",
        ValueError,
    ),
    "shuffle_buffer": (
        lambda: {"x": batches(), "shuffle_buffer": 0},
        "fit: shuffle_buffer is 0, should be at least 1",
        ValueError,
    ),
    "batches as they come": (
        lambda: {"x": batches(), "shuffle_buffer": 100},
        "fit: shuffle_buffer is 100, but the batches of x are used as they come; give batch_size",
        ValueError,
    ),
    "Rows of other length": (
        lambda: {"x": type("Short", (Rows,), {"__getitem__": lambda s, i: (X[:3], T[:3])})()},
        "fit: x has 3 rows for an index of",
        ValueError,
    ),
    "Rows of none": (
        lambda: {"x": Rows(X[:0], T[:0])},
        "fit: x has 0 rows, should have at least 1",
        ValueError,
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name, small_chunks):
    make, message, kind = REFUSED[name]
    net = network()
    before = [array.copy() for array in net.get_weights()]
    with refused(kind, message):
        net.fit(**make())
    for a, b in zip(net.get_weights(), before, strict=True):
        assert a.tobytes() == b.tobytes()


def test_nan_in_a_row_of_a_file(tmp_path, small_chunks):
    x = X.copy()
    x[2345, 6] = np.inf
    np.save(tmp_path / "x.npy", x)
    with refused(ValueError, "x has inf in row 2345, column 6"):
        network().fit(tmp_path / "x.npy", T)
    with refused(ValueError, "evaluate: x has inf in row 2345, column 6"):
        network().evaluate(tmp_path / "x.npy", T)


def test_sparse_batches():
    sparse = pytest.importorskip("scipy.sparse")
    with refused(TypeError, "fit: batch 1: x has dtype object"):
        network().fit([(sparse.csr_array(X), T)])


def test_files_that_are_not_as_they_should_be(files):
    net = network()
    data = (files / "x.npy").read_bytes()
    (files / "short.npy").write_bytes(data[:-100])
    with refused(ValueError, "it is not a whole file"):
        net.fit(files / "short.npy", T)
    (files / "text.npy").write_text("1, 2, 3")
    with refused(ValueError, "is not a file of NumPy"):
        net.fit(files / "text.npy", T)
    np.save(files / "fortran.npy", np.asfortranarray(X))
    with refused(ValueError, "is in Fortran order"):
        net.fit(files / "fortran.npy", T)
    np.savez_compressed(files / "packed.npz", x=X, t=T)
    with refused(ValueError, "is compressed, so that its rows cannot be read one by one"):
        net.fit(files / "packed.npz")
    with refused(ValueError, "label.npy is not in the file"):
        net.fit(files / "both.npz", "label")
    with refused(ValueError, "fit: t has shape (2999,), but x has 3000 rows"):
        net.fit(files / "x.npy", T[1:])
    with refused(TypeError, "fit: t is None, should be an array or the path"):
        net.fit(files / "x.npy")
    np.save(files / "objects.npy", np.array([None]), allow_pickle=True)
    with refused(TypeError, "should be rows of numbers"):
        net.fit(files / "objects.npy", T)
    with pytest.raises(FileNotFoundError):
        net.fit(files / "none.npy", T)


def test_read_rows_refuses(tmp_path):
    path = tmp_path / "bytes"
    path.write_bytes(bytes(range(40)))
    out = np.empty((2, 4), np.uint8)
    with open(path, "rb") as file:
        _core.read_rows(file.fileno(), 4, np.uintp([3, 1]), out)
        assert out.tolist() == [[16, 17, 18, 19], [8, 9, 10, 11]]
        with pytest.raises(EOFError):
            _core.read_rows(file.fileno(), 4, np.uintp([3, 9]), out)
        for offset, index in ((-1, [0, 1]), (0, [0, 2**63]), (0, [0])):
            with pytest.raises(ValueError, match="read_rows"):
                _core.read_rows(file.fileno(), offset, np.uintp(index), out)
    with pytest.raises(OSError, match="descriptor"):
        _core.read_rows(2**20, 0, np.uintp([0, 1]), out)


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
