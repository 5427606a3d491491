"""G1: a row's result is the same whatever the ISA, threads, batch and interface."""

import copy
import pickle

import numpy as np
import pytest
from exact_runs import FAST_ISAS, FEW, HIDDEN, LABELS, SIZES, numbers, on_scalar
from marks import quick

import cnn
from cnn import _core

# ---- G1: instruction sets ----------------------------------------------------------------------


def check_dense_sizes(name, dtype, sizes_of_k, wanted):
    """Compare dense on an instruction set with the scalar one.

    A row's and a column's bits do not depend on the others, so one product of the scalar set has
    the results of all smaller numbers of rows and columns.
    """
    for k in sizes_of_k:
        pairs = wanted(k)
        m, n = (max(sizes) for sizes in zip(*pairs, strict=True))
        x, w, b = numbers(1, (m, k), dtype), numbers(2, (k, n), dtype), numbers(3, n, dtype)
        _core.select_isa("scalar")
        oracle = _core.dense(x, w, b, "identity")
        _core.select_isa(name)
        for m, n in pairs:
            y = _core.dense(x[:m], w[:, :n], b[:n], "identity")
            assert np.array_equal(y, oracle[:m, :n]), (m, n, k)


def few_pairs(k):
    """Return all m and n with a few of the other, and a few of both for an unusual k."""
    few = [(m, n) for m in FEW for n in FEW]
    if k not in FEW:
        return few
    return few + [(m, n) for m in SIZES for n in FEW] + [(m, n) for m in FEW for n in SIZES]


@pytest.mark.parametrize("name", _core.isas())
def test_dense_of_many_sizes(name, dtype):
    """All m, n and k of SIZES, with the other two from FEW."""
    if name == "scalar" and dtype == "float64":
        pytest.skip("the scalar set takes seconds, and its code is the same for both types")
    _core.set_num_threads(1)
    check_dense_sizes(name, dtype, SIZES, few_pairs)


@pytest.mark.slow
@pytest.mark.parametrize("k", SIZES)
@pytest.mark.parametrize("name", FAST_ISAS)
def test_dense_of_all_sizes(name, k, dtype):
    """The whole cube of SIZES."""
    _core.set_num_threads(1)
    check_dense_sizes(name, dtype, [k], lambda _: [(m, n) for m in SIZES for n in SIZES])


def special_numbers(dtype):
    """Return ordinary, huge, tiny, denormal and special numbers, enough for threads to share."""
    info = np.finfo(dtype)
    rng = np.random.default_rng(0)
    exponents = rng.integers(info.minexp - info.nmant, info.maxexp, 20000)
    wide = np.ldexp(rng.uniform(-1, 1, 20000).astype(dtype), exponents)
    special = [np.nan, np.inf, -np.inf, 0.0, -0.0, info.max, -info.max, info.tiny, -info.tiny]
    return np.concatenate([wide, rng.uniform(-100, 100, 140011), special]).astype(dtype)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("name", HIDDEN)
def test_activations(name, threads, dtype, isa, bits):
    name, alpha = (name, 0.0) if isinstance(name, str) else name
    x = special_numbers(dtype)
    dy = numbers(1, x.shape, dtype)

    def run():
        y = _core.activation(name, x, None, alpha)
        source = x if name in _core.NEEDS_INPUT else y
        return y, _core.activation_backward(name, dy, source, None, alpha)

    expected = on_scalar(run, threads=1)
    _core.set_num_threads(threads)
    assert bits(*run()) == bits(*expected)


@pytest.mark.parametrize("name", ["tanh", "gelu"])
def test_activations_of_all_lengths(name, dtype, isa, bits):
    """Elements have the same bits wherever they are in a vector or its tail."""
    x = numbers(1, 600, dtype)
    y = _core.activation(name, x)
    assert bits(y) == bits(on_scalar(lambda: _core.activation(name, x)))
    for n in SIZES[:-5]:
        assert bits(_core.activation(name, x[:n])) == bits(y[:n])
        assert bits(_core.activation(name, x[-n:])) == bits(y[-n:])


def rows_with_specials(n, dtype):
    z = 5 * numbers(n, (9, n), dtype)
    z[1, n // 2] = np.nan
    z[2, n // 3] = np.inf
    z[3] = -np.inf
    z[4, ::2] = -np.inf
    z[5] *= 1e-30
    z[6] = 0
    z[6, ::2] = -0.0
    return z


def test_softmax_of_all_sizes(dtype, isa, bits):
    def run():
        y = [_core.activation("softmax", z) for z in rows]
        logs = [_core.log_softmax(z) for z in rows]
        back = [
            _core.activation_backward("softmax", numbers(1, z.shape, dtype), p)
            for z, p in zip(rows, y, strict=True)
        ]
        return y + logs + back

    rows = [rows_with_specials(n, dtype) for n in SIZES]
    assert bits(*run()) == bits(*on_scalar(run))


@pytest.mark.parametrize("threads", [2, 3])
@pytest.mark.parametrize(("rows", "n"), [(2000, 100), (12000, 10), (3, 60000)])
def test_softmax_with_threads(rows, n, threads, dtype, isa, bits):
    z = numbers(n, (rows, n), dtype)

    def run():
        y = _core.activation("softmax", z)
        return y, _core.log_softmax(z), _core.activation_backward("softmax", z, y)

    expected = on_scalar(run)
    _core.set_num_threads(threads)
    assert bits(*run()) == bits(*expected)


LOSSES = {
    "squared_error": {},
    "huber": {"delta": 0.7},
    "poisson": {},
    "absolute_error": {},
    "quantile": {},
    "binary_cross_entropy": {},
    "cross_entropy": {"label_smoothing": 0.1},
}


@pytest.mark.parametrize("kind", LOSSES)
def test_losses_of_all_sizes(kind, dtype, isa, bits):
    loss = _core.Loss(kind, **LOSSES[kind])
    labelled = _core.Loss(kind, labels=True, **LOSSES[kind]) if kind == "cross_entropy" else None

    def run():
        found = []
        for n in SIZES:
            z = rows_with_specials(n, dtype)[[0, 4, 5, 6, 7]]
            t = np.abs(numbers(n, z.shape, dtype))
            weights = np.arange(5) / 4
            found += _core.loss_gradient(loss, z, t, weights)
            if labelled is not None:
                found += _core.loss_gradient(labelled, z, np.arange(5) % n, weights)
        return found

    assert bits(*run()) == bits(*on_scalar(run))


@pytest.mark.parametrize("size", [1, 2, 7, 16, 17, 31, 33, 257])
def test_dense_backward_of_many_sizes(size, dtype, isa, bits):
    def run():
        found = []
        for other in (1, 5, 40, 256, 300):
            for rows, k, n in ((size, 6, other), (other, size, 9), (13, other, size)):
                x, w = numbers(1, (rows, k), dtype), numbers(2, (k, n), dtype)
                found += _core.dense_backward(numbers(3, (rows, n), dtype), x, w)
        return found

    assert bits(*run()) == bits(*on_scalar(run))


# ---- G1: threads, batches, places, interfaces --------------------------------------------------


@pytest.mark.parametrize("threads", quick({3}, [2, 3, 4]))
@pytest.mark.parametrize(("m", "n", "k"), [(300, 257, 300), (1, 4000, 900), (5000, 10, 64)])
def test_dense_with_threads(m, n, k, threads, dtype, isa, bits):
    x, w, b = numbers(1, (m, k), dtype), numbers(2, (k, n), dtype), numbers(3, n, dtype)
    dy = numbers(4, (m, n), dtype)

    def run():
        back = _core.dense_backward(dy, x, w) if m > 1 else ()
        return _core.dense(x, w, b, "tanh"), _core.dense(x, w, b, "softmax"), *back

    _core.set_num_threads(1)
    alone = bits(*run())
    _core.set_num_threads(threads)
    assert bits(*run()) == alone


def chain_of_dense(network, x):
    """Return what array functions make of x, layer by layer."""
    for i, layer in enumerate(network.layers):
        if layer.kind == "dense":
            weight, bias = network.get(i, "weight"), network.get(i, "bias")
            x = _core.dense(x, weight, bias, layer.activation, None, layer.alpha)
    return x


def deep_network(network_of, dtype):
    """Return a network with every activation, wide enough that threads have work."""
    widths = [37, 120, 33, 64, 16, 17, 48, 31, 70, 33, 129]
    widths += [19 + 7 * i % 40 for i in range(1 + len(HIDDEN) - len(widths))]
    return network_of([*widths, 5], HIDDEN, "softmax", dtype=dtype, init="uniform")


def with_weights(network):
    """Give a network weights that let signals through many layers."""
    for i, layer in enumerate(network.layers):
        shape, scale = (layer.inputs, layer.outputs), (3 / layer.inputs) ** 0.5
        weight = np.random.default_rng(i).uniform(-1, 1, shape) * scale
        network.set(i, "weight", weight.astype(network.dtype))
    return network


@pytest.fixture(scope="module")
def predictions(network_of):
    """Return, by dtype, inputs and their outputs by the scalar set on one thread."""

    def run(dtype):
        x = numbers(1, (300, 37), dtype)
        return x, with_weights(deep_network(network_of, dtype)).predict(x)

    return {name: on_scalar(lambda name=name: run(name)) for name in ("float32", "float64")}


@pytest.mark.parametrize("threads", quick({1, 3}, [1, 2, 3, 4]))
def test_predict(threads, dtype, isa, network_of, predictions, bits):
    """Any batch, place in it, layout, instruction set, number of threads, and interface."""
    _core.set_num_threads(threads)
    network = with_weights(deep_network(network_of, dtype))
    x, expected = predictions[dtype.name]
    assert bits(network.predict(x)) == bits(expected)
    assert bits(chain_of_dense(network, x)) == bits(expected)
    for size in (1, 2, 3, 4, 5, 7, 13, 97, 250):
        parts = [network.predict(x[i : i + size]) for i in range(0, 300, size)]
        assert bits(*parts) == bits(expected), size
    for i in (0, 1, 150, 299):
        assert bits(network.predict(x[i])) == bits(expected[i])
    assert bits(network.predict(x[::-1])) == bits(expected[::-1])
    assert bits(network.predict(np.repeat(x[:1], 40, 0))) == bits(np.repeat(expected[:1], 40, 0))
    wide = np.empty((300, 3 * 37 + 1), dtype)
    wide[:, 1::3] = x
    assert bits(network.predict(wide[:, 1::3])) == bits(expected)
    assert bits(network.predict(np.asfortranarray(x))) == bits(expected)
    out = np.empty((300, 9), dtype)
    network.predict(x, out[:, 2:7])
    assert bits(out[:, 2:7]) == bits(expected)


def test_predict_of_wide_layers(dtype, isa, network_of, bits):
    """Few rows take several panels at a time, and what is left of them one by one."""

    def run():
        network = network_of([300, 700, 530, 257], "sigmoid", dtype=dtype)
        return [network.predict(x[:rows]) for rows in (1, 2, 3, 4, 5, 12, 13, 40)]

    x = numbers(1, (40, 300), dtype)
    found = run()
    assert bits(*found) == bits(*on_scalar(run))
    assert all(bits(y) == bits(found[-1][: len(y)]) for y in found)


def test_predict_through_sequential(dtype, network_of, predictions, bits):
    x, expected = predictions[dtype.name]
    layers = [
        cnn.Dense(
            layer.inputs, layer.outputs, cnn.activations.spelled(layer.activation, layer.alpha)
        )
        for layer in deep_network(network_of, dtype).layers
    ]
    net = cnn.Sequential(layers, dtype=dtype, rng=0)
    source = with_weights(deep_network(network_of, dtype))
    for i, layer in enumerate(net.layers):
        layer.weight, layer.bias = source.get(i, "weight"), source.get(i, "bias")
    assert bits(net.predict(x)) == bits(expected)
    assert bits(copy.deepcopy(net).predict(x)) == bits(expected)
    assert bits(pickle.loads(pickle.dumps(net)).predict(x)) == bits(expected)
    y = x
    for layer in net.layers:
        y = cnn.dense(y, layer.weight, layer.bias, layer.activation)
    assert bits(y) == bits(expected)


def test_evaluate(threads, dtype, isa, network_of):
    x, t = numbers(1, (6000, 20), dtype), np.random.default_rng(2).integers(0, 5, 6000)
    weights = np.random.default_rng(3).uniform(0, 1, 6000)

    def run():
        result = network_of([20, 60, 5], dtype=dtype, l2=0.1).evaluate(LABELS, x, t, weights)
        return result.loss_sum, result.weight_sum, result.correct, result.rows

    assert run() == on_scalar(run)
