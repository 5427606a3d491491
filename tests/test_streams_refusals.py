"""What streams refuse: each message names what was bad, and where."""

import numpy as np
import pytest
from refused import refused
from stream_samples import INPUTS, ROWS, WEIGHT, Rows, T, X, batches, network

from cnn import _core

pytestmark = pytest.mark.usefixtures("no_thread_stays")


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


def test_files_that_are_not_as_they_should_be(numpy_files):
    net = network()
    data = (numpy_files / "x.npy").read_bytes()
    (numpy_files / "short.npy").write_bytes(data[:-100])
    with refused(ValueError, "it is not a whole file"):
        net.fit(numpy_files / "short.npy", T)
    (numpy_files / "text.npy").write_text("1, 2, 3")
    with refused(ValueError, "is not a file of NumPy"):
        net.fit(numpy_files / "text.npy", T)
    np.save(numpy_files / "fortran.npy", np.asfortranarray(X))
    with refused(ValueError, "is in Fortran order"):
        net.fit(numpy_files / "fortran.npy", T)
    np.savez_compressed(numpy_files / "packed.npz", x=X, t=T)
    with refused(ValueError, "is compressed, so that its rows cannot be read one by one"):
        net.fit(numpy_files / "packed.npz")
    with refused(ValueError, "label.npy is not in the file"):
        net.fit(numpy_files / "both.npz", "label")
    with refused(ValueError, "fit: t has shape (2999,), but x has 3000 rows"):
        net.fit(numpy_files / "x.npy", T[1:])
    with refused(TypeError, "fit: t is None, should be an array or the path"):
        net.fit(numpy_files / "x.npy")
    np.save(numpy_files / "objects.npy", np.array([None]), allow_pickle=True)
    with refused(TypeError, "should be rows of numbers"):
        net.fit(numpy_files / "objects.npy", T)
    with pytest.raises(FileNotFoundError):
        net.fit(numpy_files / "none.npy", T)


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


def npy(header):
    """Return a file of NumPy with this header and some numbers."""
    text = header.encode("latin-1") + b"\n"
    return b"\x93NUMPY\x01\0" + len(text).to_bytes(2, "little") + text + bytes(800)


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 12",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3, '''",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-3, 12)}",
        "  1\n 2",
        "{\0}",
        "(" * 500,
    ],
)
def test_headers_of_npy_files(tmp_path, header):
    """Errors of Python's parser, which NumPy reads headers with, came through."""
    (tmp_path / "x.npy").write_bytes(npy(header))
    with pytest.raises(ValueError, match="is not a file of NumPy"):
        network().fit(tmp_path / "x.npy", T)
