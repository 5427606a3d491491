"""Targets of fuzzing in Python: each takes bytes and raises if cnn does not do what it should.

A target allows the errors that the documentation names, and no others. `make fuzz` runs them under
atheris, which changes the bytes of the corpus; `tests/test_fuzz.py` runs them on the corpus and on
simple changes of it.
"""

import contextlib
import copy
import functools
import itertools
import os
import pickle
import shlex
import shutil
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np

import cnn
from cnn import _sources
from cnn._base.metadata import COLUMNS
from cnn._tables import arrow, csv_file, pieces
from cnn._tables.preprocessing import Filling, Preprocessing
from cnn._tables.table import Category, Number
from cnn.datasets import load_mnist
from cnn.tabular import TableModel

sys.path.append(str(Path(__file__).parents[1]))  # for the helpers of other tests

from table_facts import facts

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
    """Read a model file of a network, of a TableModel or of an estimator."""
    with written(data, "net") as path:
        try:
            found = cnn.load(path)
        except REFUSED:
            return
    use(getattr(found, "net", getattr(found, "net_", found)))


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
            first = facts(path, REFUSED)
            if not parquet:
                arrow.is_installed = lambda: False
                assert facts(path, REFUSED) == first
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


def _network(value):
    """Return the network of some bytes; any other value as it is."""
    if not isinstance(value, bytes):
        return value
    made = cnn.Sequential.__new__(cnn.Sequential)
    made.__setstate__({"_network": value})
    return made


def _restored(kind, state):
    """Return an object of a state, as pickle makes it; a network within is one of bytes."""
    made = kind.__new__(kind)
    state = {name: _network(v) if name in ("net", "net_") else v for name, v in state.items()}
    if hasattr(kind, "__setstate__"):
        made.__setstate__(state)
    else:
        made.__dict__.update(state)
    return made


def _use_network(net):
    net.predict(np.ones((1, net.inputs)))


def _use_optimizer(optimizer):
    net = cnn.Sequential([cnn.Dense(2, 1)], rng=0)
    before = net._network.to_bytes()
    try:
        net.train_step(np.ones((1, 2)), np.ones((1, 1)), optimizer=optimizer)
    except (*REFUSED, FloatingPointError):
        assert net._network.to_bytes() == before
    _use_network(net)


def _use_history(history):
    history._repr_html_()
    history.to_dict()
    repr((history[-1], history[1:], list(history)))
    history.append(9, {"loss": 0.5})


def _use_table_model(model):
    model.predict(_TABLE)
    model.evaluate(_TABLE)


def _use_predictor(predictor):
    repr((predictor.dtypes, predictor.schema))
    predictor(np.ones((2, 2)))


def _use_estimator(estimator):
    x, t = np.arange(8.0).reshape(4, 2), [0, 1, 0, 1]
    estimator.predict(x)
    estimator.score(x, t)
    estimator.partial_fit(x, t)


_TABLE = {"v": [1.0, 2.0, 3.0, 4.0], "k": ["a", "b", "a", "b"], "t": ["u", "w", "u", "w"]}


@functools.cache
def _states():
    """Return kinds, good states of theirs and uses, in an order that does not change."""
    from cnn.sklearn import MLPClassifier, MLPRegressor  # an extra, which only this needs

    net = cnn.Sequential([cnn.Dense(2, 3, "relu"), cnn.Dropout(0.5), cnn.Dense(3, 1)], rng=0)
    found = [(cnn.Sequential, net.__getstate__(), _use_network)]
    optimizers = (cnn.SGD(momentum=0.9), cnn.Adam(), cnn.AdamW(), cnn.RMSprop(), cnn.Adagrad())
    for optimizer in optimizers:
        twin = cnn.Sequential([cnn.Dense(2, 1)], rng=0)
        twin.train_step(np.ones((1, 2)), np.ones((1, 1)), optimizer=optimizer)
        found.append((type(optimizer), optimizer.__getstate__(), _use_optimizer))
    history = cnn.History()
    for epoch in (1, 2):
        history.append(epoch, {"loss": 1 / epoch, "lr": 0.1})
    found.append((cnn.History, dict(history.__dict__), _use_history))
    options = {"hidden": [3], "epochs": 1, "rng": 0, "progress": False}
    table = TableModel.fit(_TABLE, target="t", hold_out=0, **options)
    found.append((TableModel, {"net": table.net._network.to_bytes()}, _use_table_model))
    found.append((cnn.Predictor, dict(cnn.Predictor(net).__dict__), _use_predictor))
    for kind in (MLPClassifier, MLPRegressor):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # few epochs
            estimator = kind(hidden_layer_sizes=[3], max_iter=2, random_state=0)
            estimator.fit(np.arange(8.0).reshape(4, 2), [0, 1, 0, 1])
        good = estimator.__getstate__()
        good["net_"] = good["net_"]._network.to_bytes()
        found.append((kind, good, _use_estimator))
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


# What Python raises for values of a wrong type, or nested too deeply, in objects that do not check
# their state.
_UNCHECKED = (AttributeError, LookupError, ArithmeticError, RecursionError)


def state(data):
    """Restore an object from a good state with one value changed, and use it."""
    if len(data) < 3:
        return
    states = _states()
    kind, good, use_it = states[data[0] % len(states)]
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
    allowed = (*REFUSED, FloatingPointError)
    if kind is not cnn.Sequential and kind not in vars(cnn.optimizers).values():
        allowed += _UNCHECKED
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            made = _restored(kind, copy.deepcopy(good) | {name: changed})
        except REFUSED:
            return
        with contextlib.suppress(allowed):
            repr(made)
        with contextlib.suppress(allowed):
            use_it(made)


_COMPILER = shlex.split(os.environ.get("CC", "cc"))
_IN_C = ["-x", "c", "-std=c11", "-trigraphs"]
_IN_CPP = ["-x", "c++", "-std=c++17"]


def _hostile_model(flags, texts):
    """Return a network, or a model of a table, that has the texts wherever it takes some."""
    dtype = "float64" if flags & 1 else "float32"
    column, target, *others = texts
    if not flags & 4:
        net = cnn.mlp([2, 3, 2], "tanh", "softmax", rng=0, dtype=dtype)
        with contextlib.suppress(*REFUSED):
            net.feature_names, net.class_names = (column, target), others[:2]
        for key, value in itertools.pairwise(texts):
            with contextlib.suppress(*REFUSED):
                net._network.set_metadata(key, value)
        return net
    categories = tuple(others)
    goal = Category(target, categories) if flags & 8 else Number(target, -1.5, 2.0)
    columns = (Number(column, 0.25, 3.0), Category(target, categories))
    fillings = (Filling(0.5, True), Filling(None, True)) if flags & 16 else None
    plan = Preprocessing(columns, goal, fillings=fillings)
    output = "softmax" if flags & 8 else "identity"
    net = cnn.mlp([plan.inputs, 3, goal.width], "tanh", output, rng=0, dtype=dtype)
    net._network.set_metadata(COLUMNS, plan.to_json())
    return TableModel(net)


def header(data):
    """Write a C header of hostile names: it is refused, or compiles and has them."""
    if not data:
        return
    flags = data[0]
    # No byte of UTF-8 is 255; what is not UTF-8 becomes text that has no UTF-8.
    texts = [part.decode(errors="surrogateescape") for part in data[1:].split(b"\xff")]
    name, *texts = texts + [""] * (5 - len(texts))
    stem = "net"
    if flags & 64 and name.isprintable() and "/" not in name and 0 < len(name) < 60:
        stem, name = name, None
    with written(b"", "empty") as folder:
        path = Path(folder).parent / f"{stem}.h"
        try:
            made = _hostile_model(flags, texts)
            made.to_c(path, name=name, fast=bool(flags & 2))
        except REFUSED:
            assert not path.exists()
            return
        source = path.read_bytes()
        assert source.isascii()
        name = stem if name is None else name
        if flags & 4:
            size = len(made.target.encode()) + 1
            check = "static_assert" if flags & 32 else "_Static_assert"
            source += f'\n{check}(sizeof {name}_target_name == {size}, "target");\n'.encode()
        if shutil.which(_COMPILER[0]) is None:
            return
        warns = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"]
        language = _IN_CPP if flags & 32 else _IN_C
        done = subprocess.run(
            [*_COMPILER, *language, *warns, "-"], input=source, capture_output=True, check=False
        )
        assert done.returncode == 0, (name, texts, done.stderr.decode(errors="replace"))


TARGETS = {
    "model": model,
    "checkpoint": checkpoint,
    "onnx": onnx,
    "idx": idx,
    "table": table,
    "arrays": arrays,
    "state": state,
    "header": header,
}
"""The targets by name; the corpus has a folder for each."""
