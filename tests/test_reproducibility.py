"""The numerics contract, bit by bit: against a model of it, and the guarantees G1, G2 and G3."""

import copy
import hashlib
import pickle
from fractions import Fraction

import numpy as np
import pytest
import reference as ref
from hypothesis import given, settings
from hypothesis import strategies as st

import cnn
from cnn import _core

FAST_ISAS = [name for name in _core.isas() if name != "scalar"]
SIZES = [*range(1, 41), 255, 256, 257, 511, 512, 513, 784]
FEW = [1, 5, 16, 33, 257]
LABELS = _core.Loss("cross_entropy", labels=True)


def numbers(seed, shape, dtype):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


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
    for x, y, z, result in zip(a, b, c, ref.exact_fma(a, b, c), strict=True):
        exact = Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z))
        assert is_nearest(result, exact), (x, y, z, result)


def test_model_of_philox():
    for counter, key in (
        ((0, 0, 0, 0), (0, 0)),
        ((1, 2, 3, 4), (5, 6)),
        ((2**32 - 1,) * 4, (7, 8)),
    ):
        found = ref.philox([[word] for word in counter], key)[:, 0]
        assert found.tolist() == list(_core.philox(counter, key))


# ---- Every instruction set against the model ---------------------------------------------------


@pytest.mark.parametrize("k", [0, 1, 2, 7, 17, 40, 255, 256, 257, 511, 512, 513, 784, 1025])
def test_dense_is_the_model(k, dtype, isa):
    """Chunks of 256, each a chain of fused multiply-adds from +0, added left to right."""
    x, w, b = numbers(k, (5, k), dtype), numbers(k + 1, (k, 9), dtype), numbers(2, 9, dtype)
    y = _core.dense(x, w, b, "identity")
    assert np.array_equal(y, ref.exact_dense(x, w, b) if k else np.tile(b, (5, 1)))


@pytest.mark.parametrize("rows", [1, 3, 97, 255, 256, 257, 520])
def test_dense_backward_is_the_model(rows, dtype, isa):
    x, w = numbers(1, (rows, 6), dtype), numbers(2, (6, 11), dtype)
    dy = numbers(3, (rows, 11), dtype)
    for actual, model in zip(
        _core.dense_backward(dy, x, w), ref.exact_dense_backward(dy, x, w), strict=True
    ):
        assert np.array_equal(actual, model)


@pytest.mark.parametrize("outputs", [257, 600])
def test_sums_over_outputs_are_the_model(outputs, dtype, isa):
    x, w = numbers(1, (3, 4), dtype), numbers(2, (4, outputs), dtype)
    dy = numbers(3, (3, outputs), dtype)
    assert np.array_equal(_core.dense_backward(dy, x, w)[0], ref.exact_dense_backward(dy, x, w)[0])


@pytest.mark.parametrize("n", [*range(1, 41), 255, 256, 257, 1000])
def test_row_sums_are_the_model(n, dtype, isa):
    """16 lanes, folded +8 +4 +2 +1: squared_error, and softmax around the library's exp."""
    z = numbers(n, (1, n), dtype)
    value, _ = _core.loss_gradient(_core.Loss("squared_error"), z, np.zeros((1, n)), None)
    assert value == float(ref.exact_row_sum(dtype.type(0.5) * z * z)[0])
    shifted = z - z.max()
    _, e = _core.loss_gradient(_core.Loss("poisson"), shifted, np.zeros((1, n)), None)
    total = ref.exact_row_sum(e)[0]
    assert np.array_equal(_core.activation("softmax", z), e / total)
    dy, y = numbers(n + 1, (1, n), dtype), e / total
    dx = y * (dy - ref.exact_row_sum(dy * y)[0])
    assert np.array_equal(_core.activation_backward("softmax", dy, y), dx)


@pytest.mark.parametrize("rows", [1, 15, 16, 17, 100, 257])
def test_batch_loss_is_the_model(rows, dtype, isa):
    """Losses of rows, summed in float64 in 16 lanes and divided by the sum of weights."""
    z = numbers(rows, (rows, 1), dtype)
    values = dtype.type(0.5) * z * z
    weights = np.random.default_rng(rows).uniform(0, 2, rows)
    loss = _core.Loss("squared_error")
    value, gradient = _core.loss_gradient(loss, z, np.zeros((rows, 1)), weights)
    assert value == ref.exact_mean(values[:, 0], weights)
    scale = (weights / ref.exact_row_sum(weights)).astype(dtype)
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
        assert result.weight_sum == ref.exact_row_sum(weights)
        assert result.loss_sum == ref.exact_row_sum(weights * (0.5 * r * r)[:, 0])


@pytest.mark.parametrize("step", [0, 2**32 + 5])
@pytest.mark.parametrize("width", [1, 63, 64, 65, 200])
def test_dropout_is_the_model(width, step, isa):
    """The bias gradient of the layer below a dropout layer shows its mask."""
    layers = [
        ("dense", 1, width, "identity", 0.0, 0.0),
        ("dropout", 0, 0, "identity", 0.0, 0.375),
        ("dense", width, 1, "identity", 0.0, 0.0),
    ]
    network = _core.Network(layers, dtype="float64", seed=2**63 + 11)
    network.set(2, "weight", np.ones((width, 1)))
    for rows in 1, 2:
        x, t = np.zeros((rows, 1)), np.full((rows, 1), -1.0)
        weights = np.zeros(rows)
        weights[-1] = 1  # only the last row's mask shows
        _, gradients = network.gradients(_core.Loss("squared_error"), x, t, weights, step)
        mask = ref.dropout_mask(network.seed, 1, step, rows, width, 0.375)[-1]
        assert np.array_equal(gradients[1], mask / 0.625)


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
    _core.set_num_threads(1)
    check_dense_sizes(name, dtype, SIZES, few_pairs)


@pytest.mark.slow
@pytest.mark.parametrize("k", SIZES)
@pytest.mark.parametrize("name", FAST_ISAS)
def test_dense_of_all_sizes(name, k, dtype):
    """The whole cube of SIZES."""
    _core.set_num_threads(1)
    check_dense_sizes(name, dtype, [k], lambda _: [(m, n) for m in SIZES for n in SIZES])


def on_scalar(f, threads=1):
    """Return f() as the scalar instruction set computes it, and go back to the present one."""
    now = _core.isa()
    _core.select_isa("scalar")
    _core.set_num_threads(threads)
    try:
        return f()
    finally:
        _core.select_isa(now)


# All but softmax; a tuple is an activation with its number.
HIDDEN = [
    *(n for n in _core.ACTIVATIONS if n != "softmax"),
    *((n, alpha) for n in _core.ALPHAS for alpha in (0.3, 2.5)),
]


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


# ---- G1: threads, batches, places, doors -------------------------------------------------------


@pytest.mark.parametrize("threads", [2, 3, 4])
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
    for i, (kind, _, _, name, _, _, alpha) in enumerate(network.layers):
        if kind == "dense":
            x = _core.dense(x, network.get(i, "weight"), network.get(i, "bias"), name, None, alpha)
    return x


def deep_network(network_of, dtype):
    """Return a network with every activation, wide enough that threads have work."""
    widths = [37, 120, 33, 64, 16, 17, 48, 31, 70, 33, 129]
    widths += [19 + 7 * i % 40 for i in range(1 + len(HIDDEN) - len(widths))]
    return network_of([*widths, 5], HIDDEN, "softmax", dtype=dtype, init="uniform")


def with_weights(network):
    """Give a network weights that let signals through many layers."""
    for i, (_, inputs, outputs, *_) in enumerate(network.layers):
        weight = np.random.default_rng(i).uniform(-1, 1, (inputs, outputs)) * (3 / inputs) ** 0.5
        network.set(i, "weight", weight.astype(network.dtype))
    return network


@pytest.fixture(scope="module")
def predictions(network_of):
    """Return, by dtype, inputs and their outputs by the scalar set on one thread."""

    def run(dtype):
        x = numbers(1, (300, 37), dtype)
        return x, with_weights(deep_network(network_of, dtype)).predict(x)

    return {name: on_scalar(lambda name=name: run(name)) for name in ("float32", "float64")}


@pytest.mark.parametrize("threads", [1, 2, 3, 4])
def test_predict(threads, dtype, isa, network_of, predictions, bits):
    """Any batch, place in it, layout, instruction set, number of threads, and door."""
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
        cnn.Dense(inputs, outputs, cnn.activations.spelled(name, alpha))
        for _, inputs, outputs, name, _, _, alpha in deep_network(network_of, dtype).layers
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


# ---- G2: training ------------------------------------------------------------------------------

SETTINGS = {
    "plain": {},
    "dropout": {"dropout": 0.3},
    "l2": {"l2": [0.01, 0.1, 0]},
    "clip_norm": {"clip_norm": 0.1},
    "weights": {"weighted": True},
    "all": {"dropout": [0.2, 0.5], "l2": 0.01, "clip_norm": 0.5, "weighted": True},
}
# Each optimizer plain and with everything; each other setting with one of them.
RUNS = [
    *((kind, "plain", 7) for kind in _core.OPTIMIZERS),
    *((kind, "all", 100) for kind in _core.OPTIMIZERS),
    *(("adam", settings, 7) for settings in ("dropout", "l2", "clip_norm", "weights")),
    *(("adam", "all", size) for size in (1, 7, 300)),
    *(("momentum", "plain", size) for size in (1, 300)),
]
INPUTS, CLASSES = 40, 5


def training_data(rows, dtype):
    rng = np.random.default_rng(9)
    x = rng.standard_normal((rows, INPUTS)).astype(dtype)
    return x, rng.integers(0, CLASSES, rows), rng.uniform(0, 2, rows)


def loss_for(weighted):
    weights = np.array([1, 0.5, 2, 0, 1.5]) if weighted else None
    smoothing = 0.1 if weighted else 0.0
    return _core.Loss("cross_entropy", labels=True, class_weight=weights, label_smoothing=smoothing)


def trainer_for(network_of, kind, settings, dtype):
    chosen = SETTINGS[settings]
    built = {k: chosen[k] for k in ("dropout", "l2") if k in chosen}
    sizes = [INPUTS, 230, 70, CLASSES]  # so wide that threads share the updates too
    network = network_of(sizes, ["relu", "tanh"], dtype=dtype, **built)
    clip_norm = chosen.get("clip_norm", 0.0)
    return _core.Trainer(network, kind, **ref.OPTIMIZERS[kind], clip_norm=clip_norm)


def train(trainer, data, settings, batch_size, epochs):
    """Train for epochs (a range), in the order that fit would take."""
    x, t, weights = data
    weighted = SETTINGS[settings].get("weighted", False)
    steps = -(-len(x) // batch_size)
    for epoch in epochs:
        index = _core.permutation(trainer.network.seed, epoch, len(x), 0, len(x))
        rates = np.full(steps, 0.01)
        result = trainer.epoch(
            loss_for(weighted), x, t, weights if weighted else None, index, batch_size, rates
        )
        assert result.finite
        assert result.steps == steps


@pytest.fixture(scope="module")
def trained_weights(network_of, parameters):
    """Return a function that gives the bits of a run on the scalar set and one thread, once."""
    known = {}

    def run(kind, settings, batch_size, dtype):
        trainer = trainer_for(network_of, kind, settings, dtype)
        train(trainer, training_data(rows_for(batch_size), dtype), settings, batch_size, range(2))
        return parameters(trainer.network) + trainer.get_state()

    def find(*case):
        if case not in known:
            known[case] = on_scalar(lambda: run(*case))
        return known[case]

    find.run = run
    return find


def rows_for(batch_size):
    """Return how many rows: a few steps, the last of them smaller."""
    return {1: 5, 7: 24, 100: 220, 300: 310}[batch_size]


@pytest.mark.parametrize(("kind", "settings", "batch_size"), RUNS)
def test_training(kind, settings, batch_size, threads, dtype, isa, trained_weights, bits):
    """The weights and the optimizer's state are the same on any instruction set and threads."""
    case = kind, settings, batch_size, dtype
    expected = trained_weights(*case)
    _core.set_num_threads(threads)
    assert bits(*trained_weights.run(*case)) == bits(*expected)


@pytest.fixture(scope="module")
def wide_weights(network_of, parameters):
    """Return a function that trains a network with more rows and columns than a task has."""

    def run(kind, dtype):
        sizes = [300, 700, 530, CLASSES]
        network = network_of(sizes, ["relu", "tanh"], dtype=dtype, l2=0.01, dropout=0.1)
        clip_norm = 0.1 if kind == "adamw" else 0.0
        trainer = _core.Trainer(network, kind, **ref.OPTIMIZERS[kind], clip_norm=clip_norm)
        x = numbers(1, (20, 300), dtype)
        for _ in range(2):
            trainer.step(LABELS, x, np.arange(20) % CLASSES, None, 0.01)
        return parameters(network)

    return run


@pytest.fixture(scope="module")
def wide_weights_on_scalar(wide_weights):
    known = {
        (kind, name): on_scalar(lambda kind=kind, name=name: wide_weights(kind, np.dtype(name)))
        for kind in ("nesterov", "adamw")
        for name in ("float32", "float64")
    }
    _core.set_num_threads(None)
    return known


@pytest.mark.parametrize("kind", ["nesterov", "adamw"])
def test_training_of_wide_layers(
    kind, dtype, wide_weights, wide_weights_on_scalar, isa, threads, bits
):
    expected = wide_weights_on_scalar[kind, dtype.name]
    assert bits(*wide_weights(kind, dtype)) == bits(*expected)


SWITCHES = {
    "batches": {},
    "trainers": {"trainers": [0, 1, 1, 0, 0, 1]},
    "weights": {"set": True},
    "all": {"trainers": [0, 0, 1, 1, 0, 0], "set": True, "machine": True},
}


@pytest.mark.parametrize("switches", SWITCHES)
def test_changes_between_steps(switches, dtype, network_of, parameters, bits):
    """Batches shrink and grow, weights are set, other trainers and instruction sets step in.

    A trainer keeps packed copies of the weights, which must not be out of date. SGD has no state,
    so that a new trainer can go on at each step.
    """

    def run(change):
        network = network_of([INPUTS, 230, 70, CLASSES], "tanh", dtype=dtype)
        trainers = [_core.Trainer(network, "sgd") for _ in range(2)]
        for i, rows in enumerate((300, 7, 1, 120, 301, 50)):
            if change and "machine" in chosen:
                _core.set_num_threads(3 - i % 3)
                _core.select_isa(_core.isas()[i % len(_core.isas())])
            if "set" in chosen:
                layer = i % 3
                network.set(layer, "weight", network.get(layer, "weight") * dtype.type(0.5))
                if i == 3:
                    network.initialize(2, "torch")
            which = chosen.get("trainers", [0] * 6)[i]
            trainer = trainers[which] if change else _core.Trainer(network, "sgd")
            trainer.step(LABELS, x[:rows], t[:rows], None, 0.1)
        return bits(*parameters(network))

    chosen = SWITCHES[switches]
    x, t, _ = training_data(301, dtype)
    _core.set_num_threads(1)
    assert run(False) == run(True)


def test_single_steps_are_those_of_an_epoch(dtype, network_of, parameters, bits):
    """train_step, one call a batch, and epoch, one call for all of them."""
    x, t, _ = training_data(50, dtype)
    runs = []
    for whole in (True, False):
        trainer = trainer_for(network_of, "adam", "dropout", dtype)
        if whole:
            index = np.arange(50, dtype=np.uintp)
            trainer.epoch(LABELS, x, t, None, index, 20, np.array([0.1, 0.2, 0.3]))
        else:
            for i, lr in ((0, 0.1), (20, 0.2), (40, 0.3)):
                trainer.step(LABELS, x[i : i + 20], t[i : i + 20], None, lr)
        runs.append(bits(*parameters(trainer.network), *trainer.get_state()))
    assert runs[0] == runs[1]


def test_epoch_may_stop_and_go_on(network_of, parameters, bits):
    """An epoch whose time is up ends with a whole step, and goes on from there."""
    x, t, _ = training_data(300, "float32")
    index = _core.permutation(1, 0, 300, 0, 300)
    trainers = [trainer_for(network_of, "adam", "dropout", "float32") for _ in range(2)]
    trainers[0].epoch(LABELS, x, t, None, index, 7, np.full(43, 0.01))
    done = calls = 0
    while done < 300:
        left = index[done:]
        rates = np.full(-(-left.size // 7), 0.01)
        done += trainers[1].epoch(LABELS, x, t, None, left, 7, rates, 1e-9).rows
        calls += 1
    assert calls == 43
    assert bits(*parameters(trainers[0].network)) == bits(*parameters(trainers[1].network))


def test_sequential_trains_to_the_same_bits(threads, isa, bits):
    """Through the public door: slices of an epoch are cut by time, which must not matter."""

    def run():
        net = cnn.mlp([64, 30, 10], "silu", "softmax", rng=4, dropout=0.1, l2=1e-4)
        history = net.fit(x, t, epochs=2, batch_size=33, optimizer=cnn.Adam(), progress=False)
        weights = [p for layer in net.layers[::2] for p in (layer.weight, layer.bias)]
        return bits(*weights, history["loss"], history["accuracy"])

    x, t = (a[:500] for a in cnn.datasets.load_digits())
    expected = on_scalar(run)
    _core.set_num_threads(threads)
    assert run() == expected


OUTPUTS = {
    "softmax": ["cross_entropy"],
    "sigmoid": ["binary_cross_entropy", "squared_error", "huber"],
    "identity": ["squared_error", "huber", "poisson"],
    "gelu": ["squared_error"],
    "elu": ["huber"],
}
any_network = st.fixed_dictionaries(
    {
        "sizes": st.lists(st.integers(1, 70), min_size=2, max_size=5),
        "hidden": st.lists(st.sampled_from(HIDDEN), min_size=4, max_size=4),
        "output": st.sampled_from(sorted(OUTPUTS)),
        "dropout": st.lists(st.sampled_from([0.0, 0.25, 0.9]), min_size=4, max_size=4),
        "l2": st.lists(st.sampled_from([0.0, 0.01]), min_size=4, max_size=4),
        "dtype": st.sampled_from(["float32", "float64"]),
        "seed": st.integers(0, 2**64 - 1),
    }
)


@given(
    any_network,
    st.sampled_from(_core.OPTIMIZERS),
    st.sampled_from([0.0, 0.1]),
    st.integers(1, 310),
    st.integers(1, 310),
    st.integers(1, 4),
    st.data(),
)
@settings(max_examples=30)
def test_any_network(
    network_of, parameters, bits, options, kind, clip_norm, rows, batch_size, threads, data
):
    """Whatever the network, its training, evaluation and outputs are those of the scalar set."""
    layers = len(options["sizes"]) - 1
    options = options | {
        "hidden": options["hidden"][: layers - 1],
        "dropout": options["dropout"][: layers - 1],
        "l2": options["l2"][:layers],
    }
    loss = _core.Loss(data.draw(st.sampled_from(OUTPUTS[options["output"]])))
    rng = np.random.default_rng(rows)
    x = rng.standard_normal((rows, options["sizes"][0]))
    t = rng.uniform(0, 1, (rows, options["sizes"][-1]))
    weights = rng.uniform(0, 1, rows) if rows % 2 else None

    def run():
        network = network_of(**options)
        trainer = _core.Trainer(network, kind, **ref.OPTIMIZERS[kind], clip_norm=clip_norm)
        index = _core.permutation(network.seed, 1, rows, 0, rows)
        rates = np.full(-(-rows // batch_size), 0.01)
        trainer.epoch(loss, x, t, weights, index, batch_size, rates)
        result = network.evaluate(loss, x, t, weights)
        found = [*parameters(network), *trainer.get_state(), network.predict(x)]
        return bits(*found, result.loss_sum, result.correct)

    expected = on_scalar(run)
    for name in FAST_ISAS:
        _core.select_isa(name)
        _core.set_num_threads(threads)
        assert run() == expected, name


# ---- G3: resuming ------------------------------------------------------------------------------


def resume_by_state(trainer, path):
    """Carry the optimizer over by hand."""
    trainer.network.save(path)
    network = _core.Network.load(path)
    made = _core.Trainer(network, trainer.kind, **trainer.options)
    made.set_state(trainer.get_state())
    made.steps = trainer.steps
    return made


def resume_by_file(trainer, path):
    """Have the file carry all of it."""
    trainer.network.save(path, trainer)
    return _core.Trainer.load(path)


def resume_by_snapshot(trainer, path):
    """Go astray and come back."""
    trainer.snapshot()
    train(trainer, training_data(30, trainer.network.dtype), "all", 10, range(50, 51))
    trainer.restore()
    return trainer


@pytest.mark.parametrize("resume", [resume_by_state, resume_by_file, resume_by_snapshot])
@pytest.mark.parametrize("kind", _core.OPTIMIZERS)
def test_resuming(kind, resume, dtype, tmp_path, network_of, parameters, bits):
    data = training_data(120, dtype)
    straight = trainer_for(network_of, kind, "all", dtype)
    train(straight, data, "all", 50, range(6))
    resumed = trainer_for(network_of, kind, "all", dtype)
    train(resumed, data, "all", 50, range(3))
    resumed = resume(resumed, tmp_path / "model.safetensors")
    train(resumed, data, "all", 50, range(3, 6))
    assert resumed.steps == straight.steps
    assert bits(*parameters(resumed.network)) == bits(*parameters(straight.network))
    assert bits(*resumed.get_state()) == bits(*straight.get_state())


PUBLIC_OPTIMIZERS = {
    "sgd": lambda: cnn.SGD(0.05),
    "momentum": lambda: cnn.SGD(0.05, momentum=0.9),
    "nesterov": lambda: cnn.SGD(cnn.StepDecay(0.05, 7), momentum=0.9, nesterov=True),
    "adam": lambda: cnn.Adam(cnn.Warmup(0.01, 12)),
    "adamw": lambda: cnn.AdamW(cnn.CosineDecay(0.01, 25), clip_norm=0.5),
    "rmsprop": lambda: cnn.RMSprop(0.003),
    "adagrad": lambda: cnn.Adagrad(cnn.ExponentialDecay(0.05, 0.99)),
}


def resume_checkpoint(net, optimizer, path):
    net.save(path, optimizer=optimizer)
    return cnn.load_checkpoint(path)


def resume_pickle(net, optimizer, path):
    path.write_bytes(pickle.dumps((net, optimizer)))
    return pickle.loads(path.read_bytes())


def resume_copy(net, optimizer, path):
    return copy.deepcopy((net, optimizer))


@pytest.mark.parametrize("resume", [resume_checkpoint, resume_pickle, resume_copy])
@pytest.mark.parametrize("kind", PUBLIC_OPTIMIZERS)
def test_resuming_fit(kind, resume, tmp_path, bits):
    x, t = (a[:200] for a in cnn.datasets.load_digits())

    def made():
        net = cnn.mlp([64, 20, 15, 10], "elu", "softmax", rng=5, dropout=0.2, l2=1e-3)
        return net, PUBLIC_OPTIMIZERS[kind]()

    def fit(net, optimizer, epochs):
        weight = {0: 2.0, 7: 0.5}
        options = {"batch_size": 64, "class_weight": weight, "progress": False}
        return net.fit(x, t, epochs=epochs, optimizer=optimizer, **options)

    net, optimizer = made()
    straight = fit(net, optimizer, 6)["loss"]
    other, other_optimizer = made()
    halves = list(fit(other, other_optimizer, 3)["loss"])
    other, other_optimizer = resume(other, other_optimizer, tmp_path / "model.safetensors")
    halves += fit(other, other_optimizer, 3)["loss"]
    assert bits(*weights_of(other)) == bits(*weights_of(net))
    assert bits(straight) == bits(halves)
    assert other_optimizer.steps == optimizer.steps == 24
    assert other.epochs == 6


def weights_of(net):
    dense = [layer for layer in net.layers if isinstance(layer, cnn.Dense)]
    return [p for layer in dense for p in (layer.weight, layer.bias)]


# ---- The same bits on other machines -----------------------------------------------------------

# Change these only with CNN_NUMERICS_VERSION, once there is a release. A test that fails shows what
# it found.
GOLDEN = {
    ("sgd", "float32"): "bf7b87365010684d",
    ("momentum", "float32"): "e74bbd76689c3f41",
    ("nesterov", "float32"): "0801f1eccff470ed",
    ("adam", "float32"): "0251bf9db3c83a22",
    ("adamw", "float32"): "df8fb8d802c02ef9",
    ("rmsprop", "float32"): "1444ca5b42820e8a",
    ("adagrad", "float32"): "603eaa481b87b352",
    ("sgd", "float64"): "f06c7d591ad8b314",
    ("momentum", "float64"): "68982176b8fca4d1",
    ("nesterov", "float64"): "ebf772502ba89f3b",
    ("adam", "float64"): "3312b0afdb38f6fd",
    ("adamw", "float64"): "ccae249158f7c679",
    ("rmsprop", "float64"): "6213c5f9cf659f6f",
    ("adagrad", "float64"): "dfba1ad0ff495fb5",
}


# The hidden layers of the network that these hashes are of.
GOLDEN_LAYERS = [
    *("identity", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "softplus", "silu", "gelu"),
]


def golden_run(kind, dtype):
    """Train a network with many activations; data are exact in any type.

    One layer is wider than a chunk of k and has more weights than are squared at a time for the
    norm.
    """
    widths = [5, 17, 300, 16, 9, 33, 7, 10, 12, 19]
    layers = [
        ("dense", widths[i], widths[i + 1], name, 0.0078125 * (i % 2), 0.0)
        for i, name in enumerate(GOLDEN_LAYERS)
    ]
    layers.insert(3, ("dropout", 0, 0, "identity", 0.0, 0.25))
    layers.append(("dense", widths[-1], 3, "softmax", 0.0, 0.0))
    network = _core.Network(layers, dtype=dtype, seed=2024)
    for i, layer in enumerate(layers):
        if layer[0] == "dense":
            network.initialize(i, "he_uniform")
    i, j = np.arange(600)[:, None], np.arange(5)
    x, t = (i * 37 + j * 11 + i * i * (j + 1)) % 64 / 32 - 1, np.arange(600) * 7 % 13 % 3
    loss = _core.Loss("cross_entropy", labels=True, label_smoothing=0.125)
    trainer = _core.Trainer(network, kind, **ref.OPTIMIZERS[kind], clip_norm=0.125)
    index = _core.permutation(network.seed, 0, 600, 0, 600)
    for size in (300, 64):
        result = trainer.epoch(loss, x, t, None, index, size, np.full(10, 0.015625))
        assert result.finite
    return network


@pytest.mark.parametrize("kind", _core.OPTIMIZERS)
def test_golden(kind, dtype, isa, parameters, bits):
    found = hashlib.sha256(bits(*parameters(golden_run(kind, dtype)))).hexdigest()[:16]
    assert GOLDEN.get((kind, dtype.name)) == found
