"""Every instruction set against the model of the numerics contract, and the model itself."""

from fractions import Fraction

import exact_bits
import numpy as np
import pytest
from exact_runs import numbers

from cnn import _core

# ---- The model itself --------------------------------------------------------------------------


def is_nearest(result, exact):
    """Whether a number is the one nearest to an exact value, ties going to the even one."""
    off = abs(Fraction(float(result)) - exact)
    for toward in (-np.inf, np.inf):
        other = np.nextafter(result, result.dtype.type(toward))
        further = abs(Fraction(float(other)) - exact)
        odd = int(result.view(f"i{result.itemsize}")) % 2
        if further < off or (further == off and odd):
            return False
    return True


def test_model_of_fma(dtype):
    """Few bits and near exponents, so that ties and double roundings are common."""
    rng = np.random.default_rng(0)
    n = 4000
    spread = 60 if dtype.itemsize == 8 else 30
    a, b, c = (
        np.ldexp(rng.integers(1, 2 ** (spread // 2), n), -rng.integers(0, spread, n)).astype(dtype)
        for _ in range(3)
    )
    c *= rng.choice([-1, 1], n).astype(dtype)
    c[::3] = (-a[::3] * b[::3]).astype(dtype)
    a[1::2] = rng.standard_normal(a[1::2].size).astype(dtype)
    for x, y, z, result in zip(a, b, c, exact_bits.exact_fma(a, b, c), strict=True):
        exact = Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z))
        assert is_nearest(result, exact), (x, y, z, result)


def test_model_of_philox():
    for counter, key in (
        ((0, 0, 0, 0), (0, 0)),
        ((1, 2, 3, 4), (5, 6)),
        ((2**32 - 1,) * 4, (7, 8)),
    ):
        found = exact_bits.philox([[word] for word in counter], key)[:, 0]
        assert found.tolist() == list(_core.philox(counter, key))


# ---- Every instruction set against the model ---------------------------------------------------


@pytest.mark.parametrize("k", [0, 1, 2, 7, 17, 40, 255, 256, 257, 511, 512, 513, 784, 1025])
def test_dense_is_the_model(k, dtype, isa):
    """Chunks of 256, each a chain of fused multiply-adds from +0, added left to right."""
    x, w, b = numbers(k, (5, k), dtype), numbers(k + 1, (k, 9), dtype), numbers(2, 9, dtype)
    y = _core.dense(x, w, b, "identity")
    assert np.array_equal(y, exact_bits.exact_dense(x, w, b) if k else np.tile(b, (5, 1)))


@pytest.mark.parametrize("rows", [1, 3, 97, 255, 256, 257, 520])
def test_dense_backward_is_the_model(rows, dtype, isa):
    x, w = numbers(1, (rows, 6), dtype), numbers(2, (6, 11), dtype)
    dy = numbers(3, (rows, 11), dtype)
    for actual, model in zip(
        _core.dense_backward(dy, x, w), exact_bits.exact_dense_backward(dy, x, w), strict=True
    ):
        assert np.array_equal(actual, model)


@pytest.mark.parametrize("outputs", [257, 600])
def test_sums_over_outputs_are_the_model(outputs, dtype, isa):
    x, w = numbers(1, (3, 4), dtype), numbers(2, (4, outputs), dtype)
    dy = numbers(3, (3, outputs), dtype)
    assert np.array_equal(
        _core.dense_backward(dy, x, w)[0], exact_bits.exact_dense_backward(dy, x, w)[0]
    )


@pytest.mark.parametrize("n", [*range(1, 41), 255, 256, 257, 1000])
def test_row_sums_are_the_model(n, dtype, isa):
    """16 lanes, folded +8 +4 +2 +1: squared_error, and softmax around the library's exp."""
    z = numbers(n, (1, n), dtype)
    value, _ = _core.loss_gradient(_core.Loss("squared_error"), z, np.zeros((1, n)), None)
    assert value == float(exact_bits.exact_row_sum(dtype.type(0.5) * z * z)[0])
    shifted = z - z.max()
    _, e = _core.loss_gradient(_core.Loss("poisson"), shifted, np.zeros((1, n)), None)
    total = exact_bits.exact_row_sum(e)[0]
    assert np.array_equal(_core.activation("softmax", z), e / total)
    dy, y = numbers(n + 1, (1, n), dtype), e / total
    dx = y * (dy - exact_bits.exact_row_sum(dy * y)[0])
    assert np.array_equal(_core.activation_backward("softmax", dy, y), dx)


@pytest.mark.parametrize("rows", [1, 15, 16, 17, 100, 257])
def test_batch_loss_is_the_model(rows, dtype, isa):
    """Losses of rows, summed in float64 in 16 lanes and divided by the sum of weights."""
    z = numbers(rows, (rows, 1), dtype)
    values = dtype.type(0.5) * z * z
    weights = np.random.default_rng(rows).uniform(0, 2, rows)
    loss = _core.Loss("squared_error")
    value, gradient = _core.loss_gradient(loss, z, np.zeros((rows, 1)), weights)
    assert value == exact_bits.exact_mean(values[:, 0], weights)
    scale = (weights / exact_bits.exact_row_sum(weights)).astype(dtype)
    assert np.array_equal(gradient[:, 0], z[:, 0] * scale)


def test_evaluate_is_the_model_over_segments(isa, network_of):
    """More rows than are read at a time: lanes go on from segment to segment."""
    network = network_of([3, 1], output="identity", dtype="float64")
    rows = 4096 * 2 + 37
    for seed in range(4):
        x, t = numbers(seed, (rows, 3), "float64"), numbers(seed + 9, (rows, 1), "float64")
        weights = np.random.default_rng(seed).uniform(0, 2, rows)
        r = network.predict(x) - t
        result = network.evaluate(_core.Loss("squared_error"), x, t, weights)
        assert result.weight_sum == exact_bits.exact_row_sum(weights)
        assert result.loss_sum == exact_bits.exact_row_sum(weights * (0.5 * r * r)[:, 0])


@pytest.mark.parametrize("step", [0, 2**32 + 5])
@pytest.mark.parametrize("width", [1, 63, 64, 65, 200])
def test_dropout_is_the_model(width, step, isa):
    """The bias gradient of the layer below a dropout layer shows its mask."""
    layers = [
        _core.LayerSpec("dense", 1, width),
        _core.LayerSpec("dropout", rate=0.375),
        _core.LayerSpec("dense", width, 1),
    ]
    network = _core.Network(layers, dtype="float64", seed=2**63 + 11)
    network.set(2, "weight", np.ones((width, 1)))
    for rows in 1, 2:
        x, t = np.zeros((rows, 1)), np.full((rows, 1), -1.0)
        weights = np.zeros(rows)
        weights[-1] = 1  # only the last row's mask shows
        _, gradients = network.gradients(_core.Loss("squared_error"), x, t, weights, step)
        mask = exact_bits.dropout_mask(network.seed, 1, step, rows, width, 0.375)[-1]
        assert np.array_equal(gradients[1], mask / 0.625)
