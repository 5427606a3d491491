"""The hashes of tests/c/reproduce, computed again through the Python API and by other interfaces.

A network is trained by fit. Predictions are those of predict, of a Cython module, of a loop of
Numba, or of the exported header.
"""

import ctypes
import functools
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest

import cnn

COMPILER = shlex.split(os.environ.get("CC", "cc"))
REPRODUCE = Path(__file__).parent / "c" / "reproduce"
SEED = 20260101
OPTIMIZERS = {
    "sgd": lambda **kw: cnn.SGD(0.01, **kw),
    "momentum": lambda **kw: cnn.SGD(0.01, momentum=0.9, **kw),
    "nesterov": lambda **kw: cnn.SGD(0.01, momentum=0.9, nesterov=True, **kw),
    "adam": lambda **kw: cnn.Adam(0.01, eps=1e-8, **kw),
    "adamw": lambda **kw: cnn.AdamW(0.01, eps=1e-8, weight_decay=0.01, **kw),
    "rmsprop": lambda **kw: cnn.RMSprop(0.01, alpha=0.99, eps=1e-8, **kw),
    "adagrad": lambda **kw: cnn.Adagrad(0.01, eps=1e-8, **kw),
}
LOSSES = {
    "squared_error": cnn.SquaredError,
    "cross_entropy": cnn.CrossEntropy,
    "binary_cross_entropy": cnn.BinaryCrossEntropy,
    "huber": cnn.Huber,
    "poisson": cnn.Poisson,
    "absolute_error": cnn.AbsoluteError,
    "quantile": cnn.Quantile,
}
DEFAULTS = {"inputs": "31", "rows": "60", "batch": "25", "epochs": "2"}


def read_list(name):
    """Return the arguments of each line of a list of macros."""
    text = (REPRODUCE / name).read_text()
    return [re.findall(r'"([^"]*)"', line) for line in re.findall(r"^[A-Z]+\(.*\)$", text, re.M)]


RUNS = dict(read_list("runs.inc"))
EXPECTED = {(name, dtype): weights for name, dtype, weights, _ in read_list("expected.inc")}
# cnn.distributed trains in shards, with communicators: test_distributed.py.
WITHOUT_SHARDS = [name for name, text in RUNS.items() if "shards=" not in text]
# Headers have no columns.
IN_HEADERS = [name for name in WITHOUT_SHARDS if "columns" not in RUNS[name]]


def mixed(h):
    """Return MurmurHash3's last step of whole numbers below 2**32."""
    h = np.asarray(h, np.uint64)
    h = ((h ^ h >> 16) * 0x85EBCA6B) & 0xFFFFFFFF
    h = ((h ^ h >> 13) * 0xC2B2AE35) & 0xFFFFFFFF
    return h ^ h >> 16


def sample_numbers(stream, count):
    """Return multiples of 2**-23 from 0 to 1."""
    places = (np.arange(count, dtype=np.uint64) + stream * 0x9E3779B9) & 0xFFFFFFFF
    return ((mixed(places) >> 9) / 2**23).astype(np.float32)


def split(text):
    """Return the first word of a value with parts, and the others by their names."""
    first, *parts = text.split(":")
    return first, dict(part.split("=") if "=" in part else (part, True) for part in parts)


KINDS = cnn.columns
COLUMNS = [
    *(KINDS.Periodic(), KINDS.Number(missing=True), KINDS.OneHot(3), KINDS.Embedding(4)),
    KINDS.OneHot(2),
]


def columns_of(width):
    """Return a layer of columns, five kinds in turn."""
    kinds = [COLUMNS[j % 5] for j in range(width)]
    layer = cnn.Columns(kinds, frequencies=5, periodic_size=4, embedding_size=3, sigma=0.5)
    layer.mean = sample_numbers(6, width) - np.float32(0.5)
    layer.scale = sample_numbers(7, width) + np.float32(0.25)
    return layer


def inputs_of(settings):
    """Return the inputs of a run."""
    rows, inputs = int(settings["rows"]), int(settings["inputs"])
    x = sample_numbers(1, rows * inputs) - np.float32(0.5)
    random = mixed(np.arange(rows * inputs))
    if "zeros" in settings:
        x[random % 6 > 0] = 0
    if settings["layers"].startswith("columns"):
        x = np.where(random % 11 == 0, np.float32(np.nan), 4 * x)
        categories = np.tile([hasattr(COLUMNS[j % 5], "categories") for j in range(inputs)], rows)
        x = np.where(categories, (random % 5).astype(np.float32), x)
    return x.reshape(rows, inputs)


def made(settings, dtype):
    """Return the network of a run."""
    layers, width = [], int(settings["inputs"])
    init = settings.get("init", "torch")
    for text in settings["layers"].split(","):
        kind, *parts = text.split(":")
        if kind == "dropout":
            layers.append(cnn.Dropout(float(parts[0])))
        elif kind == "standardize":
            mean = sample_numbers(6, width) - np.float32(0.5)
            scale = sample_numbers(7, width) + np.float32(0.25)
            layers.append(cnn.Standardize(mean=mean, scale=scale))
        elif kind == "columns":
            layers.append(columns_of(width))
            width = layers[-1].outputs
        elif kind == "scale":
            layers.append(cnn.Scale(width))
        elif kind == "parametric":
            layers.append(cnn.ParametricActivation(width, parts[0]))
        else:
            outputs, activation, *rest = parts
            parametrization = "ntk" if "ntk" in rest else "standard"
            rest = dict(part.split("=") for part in rest if part != "ntk")
            if "alpha" in rest:
                number = float(rest["alpha"])
                activation = {"leaky_relu": cnn.activations.LeakyReLU, "elu": cnn.activations.ELU}[
                    activation
                ](number)
            number = {"uniform": cnn.uniform(0.1), "normal": cnn.normal(0.1)}
            options = {"init": number.get(init, init), "l2": float(rest.get("l2", 0))}
            options["parametrization"] = parametrization
            layers.append(cnn.Dense(width, int(outputs), activation, **options))
            width = int(outputs)
    return cnn.Sequential(layers, rng=SEED, dtype=dtype)


def trained(settings, dtype):
    """Return the network of a run after it was trained, and its samples."""
    rows = int(settings["rows"])
    net = made(settings, dtype)
    x = inputs_of(settings)
    kind, loss = split(settings["loss"])
    labels = loss.pop("labels", False)
    classes = loss.pop("classes", False)
    options = {"delta": "delta", "smoothing": "label_smoothing", "quantiles": "quantiles"}
    values = {name: [float(v) for v in value.split(",")] for name, value in loss.items()}
    made_loss = LOSSES[kind](
        **{options[name]: v if name == "quantiles" else v[0] for name, v in values.items()}
    )
    t = (
        (mixed(np.arange(rows)) % net.outputs).astype(np.int64)
        if labels
        else sample_numbers(2, rows * net.outputs).reshape(rows, net.outputs)
    )
    kind, optimizer = split(settings.get("optimizer", "adam"))
    clip = {"clip_norm": float(optimizer["clip"])} if optimizer else {}
    weight = 2 * sample_numbers(3, rows)
    weight[np.arange(rows) % 7 == 3] = 0
    net.fit(
        x,
        t,
        epochs=int(settings["epochs"]),
        batch_size=int(settings["batch"]),
        optimizer=OPTIMIZERS[kind](**clip),
        loss=made_loss,
        sample_weight=weight if "weights" in settings else None,
        class_weight=dict(enumerate([1, 0.5, 2, 0, 1.5][: net.outputs])) if classes else None,
        progress=False,
    )
    return net, x


@functools.cache
def finished(name, dtype):
    """Return the network of a named run after it was trained, and its samples."""
    settings = DEFAULTS | dict(word.split("=", 1) for word in RUNS[name].split())
    return trained(settings, dtype)


def hash_of(net, y):
    """Return the hash of the weights of a network and of its predictions."""
    found = hashlib.sha256()
    for values in net.get_weights():
        found.update(values.astype(net.dtype.newbyteorder("<")).tobytes())
    found.update(y.astype(net.dtype.newbyteorder("<")).tobytes())
    return found.hexdigest()


def check_all(dtype, predict, names=WITHOUT_SHARDS):
    """Compare the hashes of all runs with the expected ones; predict(name, net, x, y) fills y."""
    wrong = []
    for name in names:
        net, x = finished(name, dtype)
        y = np.full((len(x), net.outputs), np.nan, net.dtype)
        predict(name, net, x.astype(net.dtype), y)
        if hash_of(net, y) != EXPECTED[name, dtype]:
            wrong.append(name)
    assert wrong == []


pytestmark = pytest.mark.filterwarnings("ignore:fit. the derivative of step:UserWarning")
both_dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


@both_dtypes
@pytest.mark.parametrize("name", WITHOUT_SHARDS)
def test_python(name, dtype):
    net, x = finished(name, dtype)
    assert hash_of(net, net.predict(x)) == EXPECTED[name, dtype]


# ---- Cython --------------------------------------------------------------------------------------

CYTHON = """# cython: language_level=3
from cython cimport floating
from libc.stdint cimport uintptr_t
cimport cnn

def predict(size_t address, floating[:, ::1] x, floating[:, ::1] y):
    cdef const void *network = <const void *><uintptr_t>address
    cdef size_t rows = x.shape[0], inputs = x.shape[1], outputs = y.shape[1]
    cdef int status
    with nogil:
        if floating is float:
            status = cnn.network_predict_f32(
                network, rows, &x[0, 0], inputs, &y[0, 0], outputs, NULL, 0)
        else:
            status = cnn.network_predict_f64(
                network, rows, &x[0, 0], inputs, &y[0, 0], outputs, NULL, 0)
    return status
"""


@pytest.fixture(scope="module")
def cython_module(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cython")
    (folder / "predicts.pyx").write_text(CYTHON)
    command = [sys.executable, "-P", "-m", "Cython.Build.Cythonize", "-i", "predicts.pyx"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (path,) = (file for file in folder.iterdir() if file.name.endswith(EXTENSION_SUFFIXES[0]))
    spec = spec_from_file_location("predicts", path)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.downstream
@both_dtypes
def test_cython(cython_module, dtype):
    def predict(name, net, x, y):
        with net.handle as handle:
            assert cython_module.predict(handle.address, x, y) == 0, name

    check_all(dtype, predict)


# ---- Numba ---------------------------------------------------------------------------------------


@pytest.mark.downstream
@both_dtypes
def test_numba(dtype):
    """Row by row, in compiled code."""
    import numba

    function = finished(WITHOUT_SHARDS[0], dtype)[0].c_function

    @numba.njit
    def loop(network, x, y):
        for i in range(len(x)):
            row, out = x[i], y[i]
            if function(network, 1, row.ctypes, row.size, out.ctypes, out.size, 0, 0) != 0:
                return False
        return True

    def predict(name, net, x, y):
        with net.handle as handle:
            assert loop(handle.address, x, y), name

    check_all(dtype, predict)


# ---- The exported header -------------------------------------------------------------------------


# Each takes seconds of a compiler's time.
@pytest.mark.slow  # test_c_export.py compares headers with Python, too
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.skipif(
    sys.platform == "win32" or shutil.which(COMPILER[0]) is None, reason="there is no C compiler"
)
def test_header(tmp_path, dtype):
    """A header does not train. Its predictions and the network's weights have the hash."""
    c_type = {"float32": "float", "float64": "double"}[dtype]
    lines = []
    for i, name in enumerate(IN_HEADERS):
        net, _ = finished(name, dtype)
        net.to_c(tmp_path / f"net_{i}.h")
        lines += [
            f'#include "net_{i}.h"',
            f"void rows_{i}(size_t rows, const {c_type} *x, {c_type} *y);",
            f"void rows_{i}(size_t rows, const {c_type} *x, {c_type} *y)",
            "{",
            "    for (size_t i = 0; i < rows; i++)",
            f"        net_{i}_predict(x + i * {net.inputs}, y + i * {net.outputs});",
            "}",
        ]
    source, library = tmp_path / "all.c", tmp_path / "all.so"
    source.write_text("\n".join(lines) + "\n")
    command = [*COMPILER, "-std=c99", "-O1", "-shared", "-fPIC", str(source), "-o", str(library)]
    done = subprocess.run([*command, "-lm"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    loaded = ctypes.CDLL(str(library))

    def predict(name, net, x, y):
        function = loaded[f"rows_{IN_HEADERS.index(name)}"]
        function.argtypes = [ctypes.c_size_t, ctypes.c_void_p, ctypes.c_void_p]
        function.restype = None
        function(len(x), x.ctypes.data, y.ctypes.data)

    check_all(dtype, predict, IN_HEADERS)


def test_all_runs_are_expected():
    assert list(EXPECTED) == [(name, dtype) for name in RUNS for dtype in ("float32", "float64")]
