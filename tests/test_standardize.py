"""Standardize: the same bits as on rows standardized beforehand, adapting, files, refusals."""

import copy
import itertools
import math
import pickle

import differences
import exact_bits
import numpy as np
import pytest
import reference as ref
from bounded import assert_within
from refused import refused

import cnn
from cnn import _core
from cnn._base import moments

RNG = np.random.default_rng(0)
ROWS, COLUMNS = 300, 19
# With many zeros, which a network without the layer would leave out of products.
X = RNG.normal(size=(ROWS, COLUMNS)) * np.logspace(-3, 4, COLUMNS) + np.logspace(2, -2, COLUMNS)
X[RNG.random(X.shape) < 0.6] = 0
T = RNG.integers(0, 3, ROWS)
MEAN, SCALE = X.mean(axis=0), X.std(axis=0)


def pair(dtype, seed=1):
    """Return a network with a Standardize, one without, and the rows for the second."""
    layer = cnn.Standardize(mean=MEAN, scale=SCALE)
    with_it = cnn.Sequential(
        [layer, cnn.Dense(COLUMNS, 40, "tanh", l2=1e-3), cnn.Dense(40, 3, "softmax")],
        rng=seed,
        dtype=dtype,
    )
    without = cnn.mlp([COLUMNS, 40, 3], "tanh", "softmax", rng=seed, dtype=dtype)
    without.layers[0].l2 = 1e-3
    without.set_weights(with_it.get_weights())
    return with_it, without, (X.astype(dtype) - layer.mean) / layer.scale


def trained(net, x, optimizer, **options):
    net.fit(x, T, optimizer=optimizer, **options)
    return net.get_weights()


# ---- Numbers -------------------------------------------------------------------------------------


def test_values(dtype):
    """A subtraction and a division, each rounded once: 1.5 eps of the result and eps of x."""
    layer = cnn.Standardize(mean=MEAN, scale=SCALE)
    net = cnn.Sequential([layer, cnn.Dense(COLUMNS, COLUMNS)], rng=0, dtype=dtype)
    net.layers[1].weight = np.eye(COLUMNS)
    x = X.astype(dtype)
    found = net.predict(x)
    assert (found == (x - layer.mean) / layer.scale).all()
    mean, scale = layer.mean.astype(float), layer.scale.astype(float)
    expected = (x.astype(float) - mean) / scale
    assert (abs(found - expected) <= 1.5 * np.finfo(dtype).eps * abs(expected)).all()


def test_defaults_change_nothing(bits):
    net = cnn.Sequential([cnn.Standardize(COLUMNS), cnn.Dense(COLUMNS, 3)], rng=0)
    other = cnn.Sequential([cnn.Dense(COLUMNS, 3)], rng=0)
    other.set_weights(net.get_weights())
    assert (net.layers[0].mean == 0).all()
    assert (net.layers[0].scale == 1).all()
    assert bits(net.predict(X)) == bits(other.predict(X))


def test_predict_and_evaluate(isa, threads, dtype, bits):
    net, other, ready = pair(dtype)
    expected = other.predict(ready)
    for x in (X.astype(dtype), np.asfortranarray(X), X[::-1][::-1]):
        assert bits(net.predict(x)) == bits(expected)
    assert bits(net.predict(X[7])) == bits(expected[7])
    assert bits(*(net.predict(X[i : i + 7]) for i in range(0, ROWS, 7))) == bits(expected)
    assert net.evaluate(X, T) == other.evaluate(ready, T)


def test_nan_and_infinity(bits):
    """Rows with them give what IEEE arithmetic gives; others are as they were."""
    net, _, _ = pair("float32")
    x = X.copy()
    x[2, 3], x[5, 0] = np.nan, np.inf
    found, expected = net.predict(x), net.predict(X)
    assert np.isnan(found[2]).all()
    good = np.setdiff1d(np.arange(ROWS), [2, 5])
    assert bits(found[good]) == bits(expected[good])
    with refused(ValueError, "evaluate: x has nan in row 2, column 3"):
        net.evaluate(x, T)
    with refused(FloatingPointError, "x has nan in row 2, column 3"):
        net.fit(x, T)


# ---- Training ------------------------------------------------------------------------------------

OPTIMIZERS = {
    "sgd": lambda: cnn.SGD(lr=0.1, momentum=0.9, clip_norm=0.3),
    "adamw": lambda: cnn.AdamW(lr=0.01, weight_decay=0.1),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("batch_size", [1, 20, ROWS])
def test_training(optimizer, batch_size, isa, dtype, bits):
    """The weights are those of a network on standardized rows; mean and scale stay."""
    net, other, ready = pair(dtype)
    fixed = bits(net.layers[0].mean, net.layers[0].scale)
    make, options = OPTIMIZERS[optimizer], {"epochs": 2, "batch_size": batch_size}
    found = trained(net, X, make(), **options)
    assert bits(*found) == bits(*trained(other, ready, make(), **options))
    assert bits(net.layers[0].mean, net.layers[0].scale) == fixed
    step = net.train_step(X, T, optimizer=make())
    assert step == other.train_step(ready, T, optimizer=make())


def test_threads_and_large_batches(threads, bits):
    """Of a size at which threads share rows of the forward pass, and tasks of the update."""
    x, t = np.tile(X, (5, 1)), np.tile(T, 5)
    weights = []
    for standardized in (True, False):
        layer = cnn.Standardize(mean=MEAN, scale=SCALE)
        dense = [cnn.Dense(COLUMNS, 600, "relu"), cnn.Dense(600, 3, "softmax")]
        net = cnn.Sequential([layer, *dense] if standardized else dense, rng=0)
        for i, own in enumerate(dense):
            own.weight = np.random.default_rng(i).normal(size=own.weight.shape) / 20
        rows = x if standardized else (x.astype("f4") - MEAN.astype("f4")) / SCALE.astype("f4")
        net.fit(rows, t, batch_size=500)
        weights.append(bits(*net.get_weights(), net.predict(rows)))
    assert weights[0] == weights[1]


def test_gradients(dtype, bits):
    net, other, ready = pair(dtype)
    loss, gradients = net.gradients(X, T)
    expected_loss, expected = other.gradients(ready, T)
    assert gradients[0] is None
    assert loss == expected_loss
    for own, theirs in zip(gradients[1:], expected, strict=True):
        assert bits(*own) == bits(*theirs)


def test_dropout_and_weights_of_0(bits):
    """A row of weight 0 may hold anything, whatever the layers."""
    x, weight = X.copy(), np.ones(ROWS)
    x[::7], weight[::7] = np.inf, 0

    def run(rows):
        layers = [cnn.Standardize(mean=MEAN, scale=SCALE), cnn.Dense(COLUMNS, 8, "relu")]
        net = cnn.Sequential([*layers, cnn.Dropout(0.5), cnn.Dense(8, 3, "softmax")], rng=0)
        net.fit(rows, T, sample_weight=weight, epochs=2)
        return bits(*net.get_weights())

    assert run(x) == run(X)


def test_resuming(tmp_path, bits):
    path = tmp_path / "net.safetensors"
    net, _, _ = pair("float32")
    optimizer = cnn.Adam(lr=0.01)
    net.fit(X, T, epochs=2, optimizer=optimizer)
    net.save(path, optimizer=optimizer)
    net.fit(X, T, epochs=2, optimizer=optimizer)
    other, optimizer = cnn.load_checkpoint(path)
    other.fit(X, T, epochs=2, optimizer=optimizer)
    assert bits(*net.get_weights()) == bits(*other.get_weights())
    assert bits(net.predict(X)) == bits(other.predict(X))


# ---- Derivatives ---------------------------------------------------------------------------------

DERIVATIVES = {
    "by rows": ([COLUMNS, 16, 150], 3),
    "by outputs": ([COLUMNS, 40, 3], 290),
    "one output": ([COLUMNS, 20, 1], 150),
    "columns shared": ([COLUMNS, 530, 515, 5], 2),
    "one layer": ([COLUMNS, 4], 30),
}


def stack(sizes, rate=0.0):
    """Return dense layers, with dropout between them if there is a rate."""
    layers = []
    for inputs, outputs in itertools.pairwise(sizes[:-1]):
        layers += [cnn.Dense(inputs, outputs, "gelu"), *([cnn.Dropout(rate)] if rate > 0 else [])]
    return [*layers, cnn.Dense(*sizes[-2:], "softmax" if sizes[-1] > 1 else "tanh")]


def change_of(net, rows):
    return np.random.default_rng(3).uniform(-1, 1, (rows, net._network.outputs))


@pytest.mark.parametrize("name", DERIVATIVES)
def test_derivatives(name, isa, threads, bits):
    """Those with respect to x are those with respect to the standardized rows over the scale."""
    sizes, rows = DERIVATIVES[name]
    layer = cnn.Standardize(mean=MEAN, scale=SCALE)
    net = cnn.Sequential([layer, *stack(sizes)], rng=1)
    other = cnn.Sequential(stack(sizes), rng=1)
    other.set_weights(net.get_weights())
    x = X[:rows].astype("float32")
    dy, scale = change_of(net, rows), layer.scale
    ready = (x - layer.mean) / scale
    y, dx = other.vjp(ready, dy)
    assert bits(*net.vjp(x, dy)) == bits(y, dx / scale)
    assert bits(*net.vjp(x[1], dy[1])) == bits(y[1], dx[1] / scale)
    jacobian = other.jacobian(ready) / scale
    assert bits(net.jacobian(x)) == bits(jacobian)
    assert bits(net.jacobian(x[1])) == bits(jacobian[1])
    assert bits(net.forward(x)) == bits(other.forward(ready)) == bits(y)
    for _ in range(2):
        found, expected = net.backward(dy), other.backward(dy)
        assert found.gradients[0] is None
        assert bits(found.dx) == bits(dx / scale)
        for own, theirs in zip(found.gradients[1:], expected.gradients, strict=True):
            assert bits(*own) == bits(*theirs)


def test_derivatives_with_dropout(dtype):
    layer = cnn.Standardize(mean=MEAN, scale=SCALE)
    net = cnn.Sequential([layer, *stack([COLUMNS, 40, 30, 4], 0.4)], rng=1, dtype=dtype)
    x = X[:150].astype(dtype)
    mean, scale = layer.mean, layer.scale
    dy = change_of(net, 150).astype(dtype)
    masks = exact_bits.dropout_masks(net._network, 2, 150)
    y, gradients, dx = ref.Network(net._network, masks).derivatives((x - mean) / scale, dy)
    assert_within(net.forward(x, dropout_step=2), y)
    found = net.backward(dy)
    flat = [part for g in found.gradients if g is not None for part in g]
    for actual, bound in zip(flat, gradients, strict=True):
        assert_within(actual, bound)
    # What is divided is within the bound, and the quotient is rounded once.
    assert_within(found.dx, dx.like(dx.value / scale, dx.error / scale).rounded())


def test_central_differences():
    """With numbers by which standardizing is exact, the error is that of the dense layers."""
    mean, scale = np.array([1.5, -2.0, 0.0]), np.array([4.0, 0.25, 1.0])
    layer = cnn.Standardize(mean=mean, scale=scale)
    net = cnn.Sequential([layer, *stack([3, 6, 4])], rng=1, dtype="float64")
    ready = np.round(np.random.default_rng(0).uniform(-1, 1, (5, 3)) * 2**30) / 2**30
    x, dy = ready * scale + mean, change_of(net, 5)
    y, _, own = ref.Network(net._network).derivatives(ready, dy)
    size = (abs(dy) * abs(y.value.astype(float))).sum(axis=1)
    off = (abs(dy) * y.error).sum(axis=1) + (dy.shape[1] + 1) * 2.0**-53 * size
    net.forward(x)
    ways = [net.vjp(x, dy)[1], net.backward(dy).dx, np.einsum("ij,ijk->ik", dy, net.jacobian(x))]
    for j in range(3):
        h, unit = differences.H[True] * scale[j], np.eye(3)[j]

        def value(change, unit=unit):
            return (dy * net.predict(x + change * unit)).sum(axis=1)

        estimate, truncation = differences.extrapolated(value, h)
        # The sum over the outputs adds 4 roundings to the way by the Jacobian.
        tolerance = truncation + differences.rounding(off, h) + 5 * own.error[:, j] / scale[j]
        assert (tolerance < 1e-6 + 1e-4 * abs(estimate)).all(), "the bound should mean something"
        for dx in ways:
            assert (abs(dx[:, j] - estimate) <= tolerance).all()


# ---- Adapting ------------------------------------------------------------------------------------


def test_adapt():
    """Within the rounding of two sums in float64."""
    layer = cnn.Standardize().adapt(X)
    eps = np.finfo(float).eps
    assert layer.inputs == COLUMNS
    np.testing.assert_allclose(layer.mean, MEAN, rtol=0, atol=ROWS * eps * abs(X).max())
    np.testing.assert_allclose(layer.scale, SCALE, rtol=ROWS * eps)
    z = (X - layer.mean) / layer.scale
    np.testing.assert_allclose(z.std(axis=0), 1, rtol=1e-12)


def test_adapt_does_not_depend_on_layout(tmp_path, bits):
    whole = X.round().astype(np.float32)
    expected = cnn.Standardize().adapt(whole)
    mapped = np.memmap(tmp_path / "x", np.float32, "w+", shape=whole.shape)
    mapped[:] = whole
    for x in (np.asfortranarray(whole), whole[:, ::-1][:, ::-1], mapped, whole.astype("f8")):
        layer = cnn.Standardize().adapt(x)
        assert bits(layer.mean, layer.scale) == bits(expected.mean, expected.scale)
    assert cnn.Standardize().adapt(whole.astype(int).tolist()).mean.tolist() == list(expected.mean)


def test_adapt_by_blocks(monkeypatch):
    monkeypatch.setattr(moments, "_BLOCK_NUMBERS", 64 * COLUMNS)
    layer = cnn.Standardize().adapt(X)
    np.testing.assert_allclose(layer.mean, MEAN, rtol=0, atol=1e-12 * abs(X).max())
    np.testing.assert_allclose(layer.scale, SCALE, rtol=1e-12)


@pytest.mark.parametrize("unit", [1e-170, 1e-300, 1.0, 1e150])
def test_adapt_to_any_unit(unit):
    """Squares of small numbers do not vanish, and those of large ones do not overflow."""
    layer = cnn.Standardize().adapt(np.array([[1.0], [3.0], [8.0]]) * unit)
    np.testing.assert_allclose(layer.scale / unit, np.std([1.0, 3.0, 8.0]), rtol=1e-14)


def test_sums_are_rounded_once():
    """As those of math.fsum, also if terms cancel, or if the sum is near the middle of two."""
    rng = np.random.default_rng(1)
    for n in (1, 2, 3, 64, 1000):
        large = rng.normal(size=(n, 5)) * 2.0 ** rng.integers(-60, 60, (n, 5))
        cancels = np.concatenate([large, -large[:, ::-1][rng.permutation(n)], large[:1] * 1e-9])
        middle = np.concatenate([np.full((n, 5), 2.0**-53), np.ones((1, 5)), large[:1] * 2.0**-170])
        for block in (large, cancels, middle, np.full((n, 2), -0.0)):
            expected = [math.fsum(column) for column in block.T.tolist()]
            assert moments._sums(block) == expected
            assert np.signbit(moments._sums(block)).tolist() == np.signbit(expected).tolist()
    assert moments._sums(np.full((4, 1), 1e308)) == [math.inf]


def test_adapt_before_and_after(bits):
    before = cnn.Standardize().adapt(X)
    cnn.Sequential([before, cnn.Dense(COLUMNS, 1)], rng=0)
    after = cnn.Standardize(COLUMNS)
    net = cnn.Sequential([after, cnn.Dense(COLUMNS, 1)], rng=0)
    assert after.adapt(X) is after
    assert after is net.layers[0]
    assert before.mean.dtype == np.float32
    assert bits(before.mean, before.scale) == bits(after.mean, after.scale)


def test_constant_columns():
    x = np.array([[3.0, 0.1, 0.0]] * 7)
    layer = cnn.Standardize().adapt(x)
    assert layer.scale.tolist() == [1, 1, 1]
    assert layer.mean.tolist() == [3, 0.1, 0]


def test_steps_of_float32():
    """1e9 and 1e9 + 10 are the same number there, and the quotient would be 0 or large."""
    x = 1e9 + 10 * np.arange(6.0)[:, np.newaxis]
    message = "column 0 of x has the mean 1e+09 and the deviation 17.0783, which float32"
    with refused(ValueError, message):
        cnn.Sequential([cnn.Standardize().adapt(x), cnn.Dense(1, 1)], rng=0)
    net = cnn.Sequential([cnn.Standardize(1), cnn.Dense(1, 1)], rng=0)
    with refused(ValueError, message):
        net.layers[0].adapt(x)
    assert net.layers[0].mean == 0
    cnn.Sequential([cnn.Standardize().adapt(x), cnn.Dense(1, 1)], rng=0, dtype="float64")


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (np.ones((0, 2)), ValueError, "x has shape (0, 2), should be (n, inputs)"),
        (np.ones(2), ValueError, "x has shape (2,), should be (n, inputs)"),
        (np.ones((3, 3)), ValueError, "x has 3 columns, but the layer has 2 inputs"),
        ([[1.0, 2.0], [3.0, np.nan]], ValueError, "x has nan in row 1, but its numbers should be"),
        ([[1.0, np.inf]], ValueError, "x has inf in row 0"),
        ([[1e308, 0.0], [-1e308, 0.0]], ValueError, "column 0 of x has numbers too large"),
        ([["a", "b"]], TypeError, "x has dtype <U1"),
        (None, TypeError, "x is None"),
    ],
)
def test_adapt_refuses(x, error, message):
    layer = cnn.Standardize(2, mean=5)
    with refused(error, f"Standardize.adapt: {message}"):
        layer.adapt(x)
    assert layer.mean.tolist() == [5, 5]


# ---- Mean and scale ------------------------------------------------------------------------------


def test_setting(bits):
    for in_network in (False, True):
        layer = cnn.Standardize(2, scale=[2, 4])
        if in_network:
            cnn.Sequential([layer, cnn.Dense(2, 1)], rng=0)
        layer.mean = [1, 2]
        assert layer.scale.tolist() == [2, 4]
        layer.scale = 0.5
        assert (layer.mean.tolist(), layer.scale.tolist()) == ([1, 2], [0.5, 0.5])
        with pytest.raises(ValueError, match="read-only"):
            layer.mean[0] = 1
    assert cnn.Standardize(mean=[1, 2, 3]).inputs == 3


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"scale": [1, 0]}, ValueError, "scale is 0 at [1], should be finite and more than 0"),
        ({"scale": -1.0}, ValueError, "scale is -1, should be finite and more than 0"),
        ({"scale": [np.inf, 1]}, ValueError, "scale is inf at [0]"),
        ({"scale": [np.nan, 1]}, ValueError, "scale is nan at [0]"),
        ({"mean": [0, np.nan]}, ValueError, "mean is nan at [1], should be finite in"),
        ({"mean": [0, 1, 2]}, ValueError, "mean has shape (3,), should be (2,)"),
        ({"mean": "a"}, TypeError, "mean has dtype <U1"),
    ],
)
def test_numbers_refused(values, error, message):
    ((name, value),) = values.items()
    with refused(error, f"Standardize: {message}"):
        cnn.Standardize(2, **values)
    for in_network in (False, True):
        layer = cnn.Standardize(2)
        if in_network:
            cnn.Sequential([layer, cnn.Dense(2, 1)], rng=0)
        with refused(error, f"Standardize: {message}"):
            setattr(layer, name, value)
        assert (layer.mean.tolist(), layer.scale.tolist()) == ([0, 0], [1, 1])


def test_numbers_that_float32_does_not_have():
    for values, message in (
        ({"scale": 1e-60}, "scale is 1e-60, should be finite and more than 0 in float32"),
        ({"mean": 1e60}, "mean has 1e+60 at [], which overflows float32"),
    ):
        layer = cnn.Standardize(2, **values)
        with refused(ValueError, message):
            cnn.Sequential([layer, cnn.Dense(2, 1)], rng=0)
        assert layer.inputs == 2


def test_inputs_refused():
    with refused(TypeError, "Standardize: inputs is of type ndarray, should be the number of col"):
        cnn.Standardize(X)
    for inputs, error in ((0, ValueError), (-1, ValueError), (1.5, TypeError), ("a", TypeError)):
        with refused(error, "Standardize: inputs is"):
            cnn.Standardize(inputs)
    with refused(ValueError, "Standardize: mean has shape (2,), should be (3,)"):
        cnn.Standardize(3, mean=[1, 2])
    with refused(AttributeError, "Standardize: mean does not exist yet, as the number of columns"):
        _ = cnn.Standardize().mean


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([cnn.Standardize(2)], "layer 0, Standardize(2), should be the first layer, before"),
        ([cnn.Dense(2, 2), cnn.Standardize(2), cnn.Dense(2, 1)], "layer 1, Standardize(2), should"),
        ([cnn.Standardize(2), cnn.Standardize(2), cnn.Dense(2, 1)], "layer 0, Standardize(2), sh"),
        ([cnn.Standardize(2), cnn.Dropout(0.5), cnn.Dense(2, 1)], "layer 0, Standardize(2), shou"),
        ([cnn.Standardize(3), cnn.Dense(2, 1)], "has 2 inputs, but layer 0, Standardize(3), has 3"),
        ([cnn.Standardize(), cnn.Dense(2, 1)], "layer 0, Standardize(), does not know its number"),
    ],
)
def test_places_refused(layers, message):
    with refused(ValueError, f"Sequential: {message}" if message[0] == "l" else message):
        cnn.Sequential(layers)


# ---- Structure, files and copies -----------------------------------------------------------------


def test_structure():
    net, _, _ = pair("float32")
    assert repr(net.layers[0]) == "Standardize(19)"
    assert net.parameter_count == 20 * 40 + 41 * 3
    assert net.layers[0].parameter_count == 0
    assert [array.shape for array in net.get_weights()] == [(19, 40), (40,), (40, 3), (3,)]
    assert "    0  Standardize  19\n" in net.summary()
    assert net.inputs == 19


def test_copies(tmp_path, dtype, bits):
    net, _, _ = pair(dtype)
    path = tmp_path / "net.safetensors"
    net.save(path)
    others = [cnn.load(path), pickle.loads(pickle.dumps(net)), copy.copy(net), copy.deepcopy(net)]
    for other in others:
        own, first = other.layers[0], net.layers[0]
        assert bits(own.mean, own.scale) == bits(first.mean, first.scale)
        assert bits(other.predict(X)) == bits(net.predict(X))
    net.layers[0].mean = 0
    for other in others:
        assert (other.layers[0].mean == MEAN.astype(dtype)).all()
    layer = copy.deepcopy(cnn.Standardize().adapt(X))
    assert (layer.mean == cnn.Standardize().adapt(X).mean).all()
    with refused(TypeError, "Standardize: a layer of a network cannot be copied"):
        copy.copy(net.layers[0])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"layers.0.mean", b"layers.0.bias", "layers.0.bias: layer 0 has no bias"),
        (b"layers.1.bias", b"layers.1.mean", "layers.1.mean: layer 1 has no mean"),
        (b"layers.0.mean", b"layers.1.mean", "layers.1.mean: layer 1 has no mean"),
        (b'"layers.0.mean":{"dtype":"F32","shape":[19]', b"", "layers.0.mean: shape is [9]"),
        (b'"standardize', b'"standardise', 'unknown kind \\"standardise\\"'),
    ],
)
def test_files_refused(old, new, message):
    data = pair("float32")[0]._network.to_bytes()
    if not new:
        new = old.replace(b"[19]", b"[9] ")
    assert data.count(old) >= 1
    with refused(cnn.ModelFileError, message.replace("\\", "")):
        _core.Network.from_bytes(data.replace(old, new))


def test_core():
    """What the Python layer never asks for."""
    spec = _core.LayerSpec("standardize", 2)
    network = _core.Network([spec, _core.LayerSpec("dense", 2, 1)])
    assert network.layers[0] == _core.LayerSpec("standardize", 2, 2)
    assert network.get(0, "scale").tolist() == [1, 1]
    with refused(ValueError, "should be finite and more than 0"):
        network.set(0, "scale", [0.0, 1.0])
    for call in (
        lambda: network.get(1, "mean"),
        lambda: network.get(0, "weight"),
        lambda: network.initialize(0, "zeros"),
        lambda: network.set_l2(0, 1.0),
        lambda: network.get(0, "median"),
        lambda: _core.Network([_core.LayerSpec("normalize", 2)]),
    ):
        with pytest.raises(ValueError, match=r"layer 0|parameter is|kind is"):
            call()


def test_a_call_without_a_network(bits):
    layer = cnn.Standardize(2, mean=[1.0, 2.0], scale=[2.0, 0.3])
    found = layer([[3, 4], [5, 6]])
    bits(found, (np.array([[3.0, 4.0], [5.0, 6.0]]) - [1.0, 2.0]) / [2.0, 0.3])
    bits(layer([3, 4]), found[0])
    with refused(ValueError, "Standardize: x has 3 columns, but the layer has 2 inputs"):
        layer([[1, 2, 3]])
    with refused(AttributeError, "Standardize: mean does not exist yet"):
        cnn.Standardize()([[1, 2]])
