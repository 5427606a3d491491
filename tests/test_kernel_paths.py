"""Bits of the faster paths: narrow columns, copied operands, single rows, streamed results."""

from itertools import pairwise

import numpy as np
import pytest
from marks import quick, slow

import cnn
from cnn import _core

# Widths of which some vector width of each instruction set leaves narrow columns behind.
WIDTHS = [5, 9, 10, 17, 18, 20, 24, 33, 34, 36, 40, 50, 52, 56, 82, 100, 114]

# More than the 10 MiB from which results are streamed, in rows that no vector divides: rows whose
# exponentials softmax keeps aside, and longer ones.
STREAMED = [(1301, 2051), (1031, 4099)]


def gradients(width, activation, dtype):
    """Return the gradients of a network with a narrow layer for several sizes of a batch."""
    layers = [
        cnn.Dense(37, width, activation),
        cnn.Dropout(0.25),
        cnn.Dense(width, width + 1, activation),
        cnn.Dense(width + 1, 3, "softmax"),
    ]
    net = cnn.Sequential(layers, dtype=dtype, rng=0)
    rng = np.random.default_rng(0)
    found = []
    for rows in (1, 3, 4, 5, 7, 8, 11, 13, 97, 134):
        x, t = rng.standard_normal((rows, 37)), rng.integers(0, 3, rows)
        for layer in net.gradients(x, t)[1]:
            if layer is not None:
                found += [layer.weight, layer.bias]
    return found


@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("width", WIDTHS)
def test_narrow_columns(width, activation, dtype, bits):
    found = {}
    for name in _core.isas():
        _core.select_isa(name)
        found[name] = bits(*gradients(width, activation, dtype))
    assert found == dict.fromkeys(found, found["scalar"])


@pytest.mark.parametrize("inputs", [*slow(256), 512])
@pytest.mark.parametrize("rows", quick({7, 301}, [7, 8, 301]))
def test_operands_on_few_cache_sets(rows, inputs, dtype, isa, bits, threads):
    """Rows whole multiples of 2 KiB apart are copied where there are columns enough; bits stay."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((rows, inputs)).astype(dtype)
    dy = rng.standard_normal((rows, 512)).astype(dtype)
    weight = rng.standard_normal((inputs, 512)).astype(dtype)
    bias = np.zeros(512, dtype)
    y, (dx, dweight, _) = cnn.dense(x, weight, bias), cnn.dense_backward(dy, x, weight)
    # A few columns of a result are computed from operands where they are.
    for j in range(0, 512, 160):
        some = np.ascontiguousarray(weight[:, j : j + 6])
        assert bits(cnn.dense(x, some, bias[j : j + 6])) == bits(y[:, j : j + 6])
        part = cnn.dense_backward(np.ascontiguousarray(dy[:, j : j + 6]), x, some)
        assert bits(part[1]) == bits(dweight[:, j : j + 6])
    for i in range(0, inputs, 160):
        some = np.ascontiguousarray(weight[i : i + 6])
        part = cnn.dense_backward(dy, np.ascontiguousarray(x[:, i : i + 6]), some)
        assert bits(part[0]) == bits(dx[:, i : i + 6])


@pytest.mark.parametrize("l2", [0.0, 0.125])
@pytest.mark.parametrize(
    "optimizer",
    [
        lambda **clip: cnn.SGD(lr=0.05, **clip),
        lambda **clip: cnn.SGD(lr=0.05, momentum=0.9, **clip),
        lambda **clip: cnn.SGD(lr=0.05, momentum=0.9, nesterov=True, **clip),
        cnn.Adam,
        cnn.AdamW,
        cnn.RMSprop,
        cnn.Adagrad,
    ],
    ids=["sgd", "momentum", "nesterov", "adam", "adamw", "rmsprop", "adagrad"],
)
def test_batches_of_one_row(optimizer, l2, dtype, isa, bits):
    """The optimizer multiplies a gradient of one row out itself, but not where it is clipped."""
    rng = np.random.default_rng(0)
    x, t = rng.standard_normal((4, 100)).astype(dtype), rng.integers(0, 3, 4)
    # Weights of wide layers are not read in place.
    for widths in ([100, 50, 1, 16, 64, 3], [100, 3, 4100, 3]):
        found = []
        for clip in ({}, {"clip_norm": 1e30}):
            layers = [cnn.Dense(a, b, "tanh", l2=l2) for a, b in pairwise(widths[:-1])]
            layers.insert(1, cnn.Dropout(0.25))
            layers.append(cnn.Dense(widths[-2], widths[-1], "softmax"))
            net = cnn.Sequential(layers, dtype=dtype, rng=0)
            net.fit(x, t, epochs=1, batch_size=1, optimizer=optimizer(**clip), progress=False)
            dense = [layer for layer in net.layers if isinstance(layer, cnn.Dense)]
            found.append(bits(*(a for layer in dense for a in (layer.weight, layer.bias))))
        assert found[0] == found[1]


@pytest.mark.parametrize("batch_size", quick({3, 150}, [1, 3, 40, 150]))
def test_batches_gathered_ahead(batch_size, dtype, bits, threads):
    """The next batch is gathered during a step, in an epoch, but not for a step by itself."""
    rng = np.random.default_rng(0)
    x, t = rng.integers(0, 256, (301, 200)), rng.integers(0, 3, 301)
    wide = np.zeros((301, 400), dtype)
    wide[:, ::2] = x
    found = []
    for given in (x.astype(dtype), x.astype(np.uint8), wide[:, ::2]):
        net = cnn.mlp([200, 300, 3], "relu", "softmax", dtype=dtype, rng=0)
        how = {"batch_size": batch_size, "optimizer": cnn.Adam(), "shuffle": False}
        net.fit(given, t, epochs=2, progress=False, **how)
        found.append(bits(*(layer.weight for layer in net.layers)))
    net = cnn.mlp([200, 300, 3], "relu", "softmax", dtype=dtype, rng=0)
    optimizer = cnn.Adam()
    for _ in range(2):
        for first in range(0, 301, batch_size):
            rows = slice(first, first + batch_size)
            how = {"batch_size": 301, "optimizer": optimizer, "shuffle": False}
            net.fit(x[rows].astype(dtype), t[rows], epochs=1, progress=False, **how)
    found.append(bits(*(layer.weight for layer in net.layers)))
    assert found == [found[0]] * 4


def unaligned(shape, dtype, offset):
    """Return an array that begins `offset` elements behind a multiple of 64 bytes."""
    size = shape[0] * shape[1]
    memory = np.empty(size + 128, dtype)
    start = -memory.ctypes.data % 64 // memory.itemsize + offset
    return memory[start : start + size].reshape(shape)


def by_parts(function, *arrays):
    """Return a function of rows computed in parts that are too small to be streamed."""
    return np.concatenate(
        [
            function(*(array[first : first + 100] for array in arrays))
            for first in range(0, len(arrays[0]), 100)
        ]
    )


@pytest.mark.parametrize("shape", STREAMED)
@pytest.mark.parametrize("offset", [0, 1])
@pytest.mark.parametrize("name", ["softmax", "sigmoid", "relu"])
def test_streamed_results(name, offset, shape, isa, bits):
    if isa == "scalar":
        pytest.skip("the scalar kernels have no streaming stores")
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape, dtype=np.float32)
    dy = rng.standard_normal(shape, dtype=np.float32)
    y = unaligned(shape, np.float32, offset)
    assert y.nbytes > 10 * 2**20

    def forward(x, out=None):
        return _core.activation(name, x, out)

    forward(x, y)
    assert bits(y) == bits(by_parts(forward, x))

    def backward(dy, y, out=None):
        return _core.activation_backward(name, dy, y, out)

    dx = unaligned(shape, np.float32, offset)
    backward(dy, y, dx)
    assert bits(dx) == bits(by_parts(backward, dy, y))


@pytest.mark.parametrize("shape", STREAMED)
def test_streamed_results_in_place(shape, isa, bits):
    x = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    expected = _core.activation("softmax", x)
    assert _core.activation("softmax", x, x) is x
    assert bits(x) == bits(expected)


def test_weights_in_place_and_packed(dtype, isa, bits):
    """A step on one thread reads weights in place, one on two threads packed weights."""
    rng = np.random.default_rng(0)
    x, t = rng.standard_normal((200, 150)).astype(dtype), rng.integers(0, 10, 200)
    found = []
    for threads in (1, 2):
        layers = [cnn.Dense(150, 170, "gelu"), cnn.Dropout(0.25), cnn.Dense(170, 130, "relu")]
        net = cnn.Sequential([*layers, cnn.Dense(130, 10, "softmax")], dtype=dtype, rng=0)
        cnn.set_num_threads(threads)
        net.fit(x, t, epochs=2, batch_size=45, optimizer=cnn.Adam(), progress=False)
        dense = [layer for layer in net.layers if isinstance(layer, cnn.Dense)]
        found.append(bits(net.predict(x), *(layer.weight for layer in dense)))
    assert found[0] == found[1]


def test_few_rows_share_columns(dtype, isa, bits, threads):
    """Few rows of wide layers, or rows that cannot be halved, are cut along their columns.

    One row's bits do not change.
    """
    net = cnn.mlp([300, 3000, 1900, 7], "tanh", "softmax", rng=0, dtype=dtype)
    # Scalar code is slow, and plans are the same for each instruction set.
    counts = (1, 2, 7) if isa == "scalar" else (1, 2, 3, 7, 12, 18, 29)
    x = np.random.default_rng(0).standard_normal((counts[-1], 300)).astype(dtype)
    cnn.set_num_threads(1)
    alone = np.concatenate([net.predict(row[None]) for row in x])
    cnn.set_num_threads(threads)
    for rows in counts:
        assert bits(net.predict(x[:rows])) == bits(alone[:rows])
