"""Bits of the kernels' faster paths: narrow columns, copied operands, streamed results."""

import numpy as np
import pytest

import cnn
from cnn import _core

# Widths of which some vector width of each instruction set leaves narrow columns behind.
WIDTHS = [5, 9, 10, 17, 18, 20, 24, 33, 34, 36, 40, 50, 52, 56, 82, 100, 114]

# More than the 16 MiB from which results are streamed, in rows that no vector divides.
STREAMED = (1031, 4099)


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


@pytest.mark.parametrize("inputs", [256, 512, 1024])
@pytest.mark.parametrize("rows", [7, 8, 300])
def test_operands_on_few_cache_sets(rows, inputs, dtype, isa, bits, threads):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((rows, inputs)).astype(dtype)
    dy = rng.standard_normal((rows, 70)).astype(dtype)
    weight = np.zeros((inputs, 70), dtype)
    gapped = np.zeros((rows, inputs + 3), dtype)
    gapped[:, :inputs] = x
    # With three inputs more, rows of x lie apart and are read in place.
    wide = cnn.dense_backward(dy, gapped, np.zeros((inputs + 3, 70), dtype))
    assert bits(cnn.dense_backward(dy, x, weight)[1]) == bits(wide[1][:inputs])


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


@pytest.mark.parametrize("offset", [0, 1])
@pytest.mark.parametrize("name", ["softmax", "sigmoid", "relu"])
def test_streamed_results(name, offset, isa, bits):
    if isa == "scalar":
        pytest.skip("the scalar kernels have no streaming stores")
    rng = np.random.default_rng(0)
    x = rng.standard_normal(STREAMED, dtype=np.float32)
    dy = rng.standard_normal(STREAMED, dtype=np.float32)
    y = unaligned(STREAMED, np.float32, offset)
    assert y.nbytes > 16 * 2**20

    def forward(x, out=None):
        return _core.activation(name, x, out)

    forward(x, y)
    assert bits(y) == bits(by_parts(forward, x))

    def backward(dy, y, out=None):
        return _core.activation_backward(name, dy, y, out)

    dx = unaligned(STREAMED, np.float32, offset)
    backward(dy, y, dx)
    assert bits(dx) == bits(by_parts(backward, dy, y))


def test_streamed_results_in_place(isa, bits):
    x = np.random.default_rng(0).standard_normal(STREAMED, dtype=np.float32)
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
        # The last batch of four rows is read in place either way.
        net.fit(x, t, epochs=2, batch_size=98, optimizer=cnn.Adam(), progress=False)
        dense = [layer for layer in net.layers if isinstance(layer, cnn.Dense)]
        found.append(bits(net.predict(x), *(layer.weight for layer in dense)))
    assert found[0] == found[1]


def test_few_rows_share_columns(dtype, isa, bits, threads):
    """Few rows of wide layers are cut along their columns; one row's bits do not change."""
    net = cnn.mlp([300, 3000, 1900, 7], "tanh", "softmax", rng=0, dtype=dtype)
    x = np.random.default_rng(0).standard_normal((12, 300)).astype(dtype)
    cnn.set_num_threads(1)
    alone = np.concatenate([net.predict(row[None]) for row in x])
    cnn.set_num_threads(threads)
    for rows in (1, 2, 3, 7, 12):
        assert bits(net.predict(x[:rows])) == bits(alone[:rows])
