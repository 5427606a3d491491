"""Targets of fuzzing in Python: each takes bytes and raises if cnn does not do what it should.

A target allows the errors that the documentation names, and no others. `make fuzz` runs them under
atheris, which changes the bytes of the corpus; `tests/test_fuzz.py` runs them on the corpus and on
simple changes of it.
"""

import contextlib
import os
import pickle
import tempfile
import warnings
from pathlib import Path

import numpy as np

import cnn
from cnn import _sources
from cnn._tables import arrow, csv_file, pieces
from cnn._tables.content import read
from cnn.datasets import load_mnist

# Errors for bad data: of cnn (ModelFileError is a ValueError), and of the system.
REFUSED = (ValueError, TypeError, OSError)


@contextlib.contextmanager
def written(data, name):
    """Write the bytes to a file with this name, in memory if the system has such files."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        yield str(path)


def use(net):
    """Use a network that was read: it predicts, and its copy has the same bytes."""
    if net.inputs * net.outputs <= 1 << 16:
        net.predict(np.zeros((2, net.inputs)))
    state = pickle.dumps(net)
    again = pickle.loads(state)  # just made
    assert pickle.dumps(again) == state
    repr(net)
    net.summary()


def model(data):
    """Read a model file of a network or of a TableModel."""
    with written(data, "net") as path:
        try:
            found = cnn.load(path)
        except REFUSED:
            return
    use(getattr(found, "net", found))


def checkpoint(data):
    """Read a model file with an optimizer, and make a step."""
    with written(data, "net") as path:
        try:
            net, optimizer = cnn.load_checkpoint(path)
        except REFUSED:
            return
    use(net)
    repr(optimizer)
    with contextlib.suppress(*REFUSED, FloatingPointError):
        net.train_step(np.ones((2, net.inputs)), np.ones((2, net.outputs)), optimizer=optimizer)


def onnx(data):
    """Import an ONNX file."""
    with written(data, "net.onnx") as path, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            net = cnn.from_onnx(path)
        except REFUSED:
            return
    use(net)


def idx(data):
    """Read MNIST's files; the first byte says which of them is not a good one."""
    images = [b"\0\0\x08\x03" + n.to_bytes(4) + b"\0\0\0\x1c\0\0\0\x1c" for n in (2, 1)]
    labels = [b"\0\0\x08\x01" + n.to_bytes(4) for n in (2, 1)]
    files = {}
    for part, count, image, label in zip(("train", "t10k"), (2, 1), images, labels, strict=True):
        files[f"{part}-images-idx3-ubyte"] = image + bytes(784 * count)
        files[f"{part}-labels-idx1-ubyte"] = label + bytes(count)
    which = data[0] if data else 0
    name = sorted(files)[which % 4]
    del files[name]
    files[name + (".gz" if which & 4 else "")] = data[1:]
    with written(b"", "empty") as path:
        folder = Path(path).parent
        for name, content in files.items():
            (folder / name).write_bytes(content)
        try:
            found = load_mnist(folder)
        except REFUSED:
            return
    assert len(found) == 4


def _found(path):
    try:
        content = read(path, target="t")
    except REFUSED as error:
        return str(error)
    columns = [
        (c.column, c.values.dtype, c.values.tobytes(), c.missing, c.first_missing, c.inexact)
        for c in content.columns.values()
    ]
    return content.rows, content.hint, columns


def table(data):
    """Read a table: pyarrow's blocks and the csv module must find the same."""
    fast = (arrow.WORTHWHILE, arrow._BLOCK, arrow._SHARE, pieces.FIRST_ROWS)
    sniffed, installed = csv_file._SNIFFED_LINES, arrow.is_installed
    block = 64 + 16 * (len(data) % 7)
    gzipped = data[:2] == b"\x1f\x8b"
    parquet = data[:4] == b"PAR1"
    with written(data, "t.parquet" if parquet else "t.csv.gz" if gzipped else "t.csv") as path:
        try:
            arrow.WORTHWHILE, arrow._BLOCK, arrow._SHARE = 1, block, max(64, block // 3)
            pieces.FIRST_ROWS, csv_file._SNIFFED_LINES = 1, 2
            first = _found(path)
            if not parquet:
                arrow.is_installed = lambda: False
                assert _found(path) == first
        finally:
            arrow.WORTHWHILE, arrow._BLOCK, arrow._SHARE, pieces.FIRST_ROWS = fast
            csv_file._SNIFFED_LINES, arrow.is_installed = sniffed, installed


def arrays(data):
    """Read samples from a .npy or .npz file, in pieces."""
    packed = data[:2] == b"PK"
    with written(data, "x.npz" if packed else "x.npy") as path:
        try:
            source = _sources.opened("fit", path, None if packed else np.zeros(4))
            for chunk in source.read(None):
                assert chunk is not None
        except REFUSED:
            return


def _states():
    """Return makers of objects, and good states of theirs, in an order that does not change."""
    net = cnn.Sequential([cnn.Dense(2, 3, "relu"), cnn.Dropout(0.5), cnn.Dense(3, 1)], rng=0)
    found = [(cnn.Sequential, net.__getstate__())]
    optimizers = (cnn.SGD(momentum=0.9), cnn.Adam(), cnn.AdamW(), cnn.RMSprop(), cnn.Adagrad())
    for optimizer in optimizers:
        twin = cnn.Sequential([cnn.Dense(2, 1)], rng=0)
        twin.train_step(np.ones((1, 2)), np.ones((1, 1)), optimizer=optimizer)
        found.append((type(optimizer), optimizer.__getstate__()))
    return found


def _value(data):
    """Return a value that a state of a hostile pickle may have."""
    if not data:
        return None
    kind, rest = data[0] % 8, data[1:]
    if kind < 2:
        return rest
    if kind == 2:
        return int.from_bytes(rest[:9], signed=True)
    if kind == 3:
        return float(np.frombuffer(rest[:8].ljust(8, b"\0"))[0])
    if kind == 4:
        return rest.decode("latin-1")
    if kind == 5:
        return [_value(rest)]
    if kind == 6:
        return np.frombuffer(rest[: len(rest) // 4 * 4], np.float32)
    return {"x": _value(rest)}


def state(data):
    """Restore an object from a good state with one value changed, and use it."""
    if len(data) < 3:
        return
    states = _states()
    kind, good = states[data[0] % len(states)]
    names = sorted(good)
    name = names[data[1] % len(names)]
    old = good[name]
    if isinstance(old, bytes) and data[2] & 128:
        # Changes of the network's file, at two places.
        new = bytearray(old)
        for place in range(3, len(data) - 2, 3):
            new[int.from_bytes(data[place : place + 2]) % len(new)] ^= data[place + 2]
        changed = bytes(new)
    else:
        changed = _value(data[2:])
    made = kind.__new__(kind)
    try:
        made.__setstate__(good | {name: changed})
    except REFUSED:
        return
    net = made if kind is cnn.Sequential else cnn.Sequential([cnn.Dense(2, 1)], rng=0)
    before = net._network.to_bytes()
    try:
        repr(made)
        net.predict(np.ones((1, net.inputs)))
        if net is not made:
            net.train_step(np.ones((1, 2)), np.ones((1, 1)), optimizer=made)
    except (*REFUSED, FloatingPointError):
        assert net._network.to_bytes() == before
    net.predict(np.ones((1, net.inputs)))


TARGETS = {
    "model": model,
    "checkpoint": checkpoint,
    "onnx": onnx,
    "idx": idx,
    "table": table,
    "arrays": arrays,
    "state": state,
}
"""The targets by name; the corpus has a folder for each."""
