"""What tests share: instruction sets, thread counts, data, and networks made in a line."""

import gc
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from marks import quick

from cnn import _core

# The same examples in each run: a test that fails once must fail again.
settings.register_profile("cnn", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("cnn")

# The examples of cnn.plot draw, and need no window.
os.environ.setdefault("MPLBACKEND", "agg")

# A shell starts its background jobs with SIGINT ignored. Tests of Ctrl-C would then wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish():
    """Leave the tests themselves, thousands of objects, out of each garbage collection."""
    gc.freeze()


@pytest.fixture(autouse=True)
def machine():
    """Put the instruction set and the number of threads back after each test."""
    before = _core.isa()
    yield
    _core.select_isa(before)
    _core.set_num_threads(None)


@pytest.fixture(params=_core.isas())
def isa(request):
    """Run the test with each instruction set that this machine has; the value is its name."""
    _core.select_isa(request.param)
    return request.param


@pytest.fixture(params=quick({1, 3}, [1, 2, 3]))
def threads(request):
    """Run the test with each of these numbers of threads."""
    _core.set_num_threads(request.param)
    return request.param


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    """Run the test with both types."""
    return np.dtype(request.param)


@pytest.fixture(scope="session")
def mnist_folder():
    """Return the folder with MNIST's four files, or skip the test."""
    folder = os.environ.get("CNN_DATA")
    if not folder:
        pytest.skip("CNN_DATA is not set: it should be the folder with MNIST's four IDX files")
    if not Path(folder).is_dir():
        pytest.skip(f"CNN_DATA is {folder}, which is not a folder")
    return Path(folder)


@pytest.fixture
def file(tmp_path):
    """Return a function that writes text or bytes into a file and returns its path."""

    def write(content, name="data.csv", encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(content.encode(encoding) if isinstance(content, str) else content)
        return str(path)

    return write


def make_network(
    sizes,
    hidden="tanh",
    output="softmax",
    *,
    dtype="float32",
    dropout=0.0,
    l2=0.0,
    seed=1,
    init="glorot_uniform",
):
    """Return a _core.Network of dense layers, with biases that are not 0.

    A number or a list of them for `dropout`, `l2` and `hidden`: one for each hidden layer (each
    layer, for `l2`). An activation may be a tuple of its name and its number.
    """
    count = len(sizes) - 1

    def spread(value, n):
        return list(value) if isinstance(value, list) else [value] * n

    hidden, rates, penalties = (
        spread(hidden, count - 1),
        spread(dropout, count - 1),
        spread(l2, count),
    )
    layers = []
    for i in range(count):
        name = output if i == count - 1 else hidden[i]
        name, alpha = (name, 0.0) if isinstance(name, str) else name
        layers.append(
            _core.LayerSpec("dense", sizes[i], sizes[i + 1], name, penalties[i], alpha=alpha)
        )
        if i < count - 1 and rates[i] > 0:
            layers.append(_core.LayerSpec("dropout", rate=rates[i]))
    network = _core.Network(layers, dtype=dtype, seed=seed)
    rng = np.random.default_rng(seed)
    for i, layer in enumerate(layers):
        if layer.kind == "dense":
            network.initialize(i, init)
            network.set(i, "bias", rng.uniform(-0.3, 0.3, layer.outputs).astype(dtype))
    return network


@pytest.fixture(scope="session")
def network_of():
    """Return `make_network`, which makes a network from its sizes."""
    return make_network


def parameters_of(network):
    """Return all parameters of a _core.Network: weight, bias, weight, ..."""
    return [
        network.get(i, name)
        for i, layer in enumerate(network.layers)
        if layer.kind == "dense"
        for name in ("weight", "bias")
    ]


@pytest.fixture(scope="session")
def parameters():
    """Return `parameters_of`."""
    return parameters_of


def bits_of(*arrays):
    """Return the bytes of arrays, every NaN being the same one."""

    def canonical(array):
        if array.dtype.kind == "f":
            array = np.where(np.isnan(array), array.dtype.type(np.nan), array)
        return np.ascontiguousarray(array).tobytes()

    return b"".join(canonical(np.asarray(array)) for array in arrays)


@pytest.fixture(scope="session")
def bits():
    """Return `bits_of`, by which results are compared bit for bit."""
    return bits_of


# ---- Plots -------------------------------------------------------------------------------------


@pytest.fixture
def figures():
    """Close figures, and see that nothing global has changed."""
    matplotlib = pytest.importorskip("matplotlib")
    pyplot = pytest.importorskip("matplotlib.pyplot")
    before = dict(matplotlib.rcParams)
    yield
    pyplot.close("all")
    assert dict(matplotlib.rcParams) == before


@pytest.fixture
def ax():
    return pytest.importorskip("matplotlib.pyplot").figure().subplots()


@pytest.fixture
def no_thread_stays():
    """Check that no thread that reads ahead is left after the test."""
    yield
    from stream_samples import threads_end

    assert threads_end()


@pytest.fixture
def small_chunks(monkeypatch):
    """Make chunks of streams of some dozen rows, so that an epoch has many."""
    from stream_samples import INPUTS

    from cnn._sources import chunks

    monkeypatch.setattr(chunks, "CHUNK_BYTES", 37 * INPUTS * 4)


@pytest.fixture
def numpy_files(tmp_path):
    """Return a folder with the samples of streams as files of NumPy."""
    from stream_samples import WEIGHT, T, X

    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "t.npy", T)
    np.savez(tmp_path / "both.npz", x=X, t=T)
    np.savez(tmp_path / "weighted.npz", x=X, t=T, sample_weight=WEIGHT)
    return tmp_path
