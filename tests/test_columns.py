"""Columns, Scale and ParametricActivation: numbers, gradients, bits, refusals."""

import math

import numpy as np
import pytest
from bounded import U, assert_within
from column_networks import NUMBERS, ROWS, T, X, columns, features, network
from refused import refused

import cnn
from cnn import _core
from cnn.columns import Embedding, Ignored, Number, OneHot, Periodic
from cnn.optimizers import Group

RNG = np.random.default_rng(1)


def identity_behind(layer, dtype):
    """Return a network whose outputs are the features of a layer."""
    net = cnn.Sequential([layer, cnn.Dense(layer.outputs, layer.outputs)], rng=0, dtype=dtype)
    net.layers[1].weight = np.eye(layer.outputs)
    return net


# ---- Numbers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("clip", "frequencies"), [(0.0, 21), (3.0, 21), (3.0, 16)])
def test_features(dtype, isa, clip, frequencies):
    layer = columns(clip=clip, frequencies=frequencies)
    net = identity_behind(layer, dtype)
    x = X.copy()
    x[1, 1] = 50.0
    found = net.predict(x)
    assert found.shape == (ROWS, layer.outputs) == (ROWS, 2 + 4 + 3 + 1 + 3 + 5 + 1 + 3 + 9 * 4)
    assert_within(found, features(layer, x), "features")


def test_layers_by_themselves(dtype, bits):
    """A layer that is called gives what the network has at its place."""
    net = network(dtype)
    x = X
    for layer in net.layers:
        x = layer(x)
    assert bits(x) == bits(net.predict(X))


def test_clip_of_large_numbers(dtype):
    layer = cnn.Columns([Number()], clip=3.0)
    net = identity_behind(layer, dtype)
    large = np.finfo(dtype).max
    found = net.predict([[large], [-large], [np.inf], [0.0], [1e-30]]).ravel()
    assert found.tolist() == [3.0, -3.0, 3.0, 0.0, np.dtype(dtype).type(1e-30)]


def test_adapt():
    x = np.array([[1.0, 5, 7, 1], [2, 5, 7, np.nan], [3, 5, 7, 3], [4, 6, 7, np.inf]])
    kinds = [Number(), Number(), Periodic(), Ignored()]
    layer = cnn.Columns(kinds).adapt(x)
    assert layer.mean.tolist() == [2.5, 5.0, 7.0, 0.0]
    assert layer.scale.tolist() == [1.5, 0.25, 1.0, 1.0]
    assert cnn.Columns([Number()]).adapt([[1.0], [1.0], [1.0], [1.0], [9.0]]).scale[0] == 4.0
    assert cnn.Columns([Number()]).adapt([[np.nan]]).mean[0] == 0.0
    with refused(
        ValueError, "Columns.adapt: column 0 of x has an infinite number, should be finite or NaN"
    ):
        cnn.Columns([Number()]).adapt([[np.inf]])
    with refused(ValueError, "Columns.adapt: x has shape (1, 1), should be"):
        layer.adapt([[1.0]])


def test_initial_numbers():
    """Normal and uniform, each column the same whatever columns are beside it."""
    layer = cnn.Columns([Periodic()] * 50 + [Embedding(3000)], frequencies=64, sigma=0.3)
    cnn.Sequential([layer, cnn.Dense(layer.outputs, 1)], rng=5)
    numbers = layer.periodic
    frequency, phase, rest = numbers[:, :64], numbers[:, 64:128], numbers[:, 128:]
    assert abs(frequency.std() / 0.3 - 1) < 0.05
    assert abs(layer.embedding.std() - 1) < 0.02
    assert abs(layer.embedding.mean()) < 0.02
    for values, bound in ((phase, math.pi), (rest, 1 / 8)):
        assert abs(values).max() <= bound * (1 + 1e-6)
        assert abs(values.std() / (bound / math.sqrt(3)) - 1) < 0.05
    # Normal to the fourth moment.
    z = layer.embedding.astype(float).ravel()
    assert abs((z**4).mean() / 3 - 1) < 0.1
    one = cnn.Columns([Periodic()], frequencies=64, sigma=0.3)
    cnn.Sequential([one, cnn.Dense(4, 1)], rng=5)
    assert (one.periodic[0] == numbers[0]).all()


def test_normal_weights(isa, dtype, bits):
    layer = cnn.Dense(100, 77, init=cnn.normal(0.5))
    cnn.Sequential([layer], rng=1, dtype=dtype)
    assert abs(layer.weight.std() / 0.5 - 1) < 0.02
    assert (layer.bias == 0).all()
    _core.select_isa("scalar")
    other = cnn.Dense(100, 77, init=cnn.normal(0.5))
    cnn.Sequential([other], rng=1, dtype=dtype)
    assert bits(layer.weight) == bits(other.weight)


# ---- Gradients -----------------------------------------------------------------------------------


def _loss_and_gradients(net, x, t, step=-1):
    loss = _core.Loss("squared_error")
    return net._network.gradients(loss, x, t, None, step)


@pytest.mark.parametrize(
    ("step", "sizes"), [(-1, {}), (4, {}), (-1, {"frequencies": 16, "periodic_size": 6})]
)
def test_gradients_by_differences(step, sizes):
    """Central differences of step h are off by h^2 times a third derivative, and by rounding."""
    net, rng = network("float64", **sizes), np.random.default_rng(1)
    x = X[:40].copy()
    x[1, 1] = 2.0
    t = T[:40]
    _, found = _loss_and_gradients(net, x, t, step)
    weights = net.get_weights()
    h = 1e-5
    for k, weight in enumerate(weights):
        places = list(np.ndindex(weight.shape))
        for place in [places[i] for i in rng.choice(len(places), min(len(places), 25), False)]:
            losses = []
            for sign in (1, -1):
                moved = [w.copy() for w in weights]
                moved[k][place] += sign * h
                net.set_weights(moved)
                losses.append(_loss_and_gradients(net, x, t, step)[0])
            wanted = (losses[0] - losses[1]) / (2 * h)
            assert abs(wanted - found[k][place]) < 1e-8 + 1e-7 * abs(wanted), (k, place)
    net.set_weights(weights)


def test_derivatives_by_inputs():
    net = network("float64")
    x = X[:30].copy()
    x[1, 1] = 2.0
    dy = RNG.normal(size=(30, 2))
    _, dx = net.vjp(x, dy)
    h = 1e-5
    for j in range(x.shape[1]):
        if j not in NUMBERS:
            assert (dx[:, j] == 0).all()
            continue
        up, down = x.copy(), x.copy()
        up[:, j] += h
        down[:, j] -= h
        wanted = ((net.predict(up) - net.predict(down)) * dy).sum(1) / (2 * h)
        gone = np.isnan(x[:, j])
        assert (dx[gone, j] == 0).all()
        assert np.abs(dx - np.where(gone, 0, wanted)[:, None])[~gone, j].max() < 1e-7


def test_jacobian_is_that_of_vjp(bits, dtype):
    net = network(dtype)
    found = net.jacobian(X[:9])
    for o in range(2):
        _, dx = net.vjp(X[:9], np.tile(np.eye(2)[o], (9, 1)))
        assert bits(found[:, o]) == bits(dx)


def test_embedding_is_a_product_with_one_hot_columns(bits, dtype):
    """An embedding has the gradient that a weight has whose inputs are one-hot."""
    n, categories, size = 700, 13, 5
    codes = RNG.integers(0, categories, n)
    rng = np.random.default_rng(2)
    first = cnn.Columns([Embedding(categories)], embedding_size=size)
    embedded = cnn.Sequential([first, cnn.Dense(size, 1)], rng=0, dtype=dtype)
    dense = cnn.Sequential([cnn.Dense(categories, size), cnn.Dense(size, 1)], rng=0, dtype=dtype)
    table, weight = rng.normal(size=(categories, size)), rng.normal(size=(size, 1))
    embedded.set_weights([table, weight, [0.5]])
    dense.set_weights([table, np.zeros(size), weight, [0.5]])
    t = RNG.normal(size=(n, 1))
    _, found = _loss_and_gradients(embedded, codes[:, None], t)
    _, wanted = _loss_and_gradients(dense, np.eye(categories)[codes], t)
    assert bits(found[0]) == bits(wanted[0])
    assert bits(embedded.predict(codes[:, None])) == bits(dense.predict(np.eye(categories)[codes]))


# ---- Bits ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("frequencies", "size"), [(32, 4), (16, 5), (32, 5)])
def test_zeros_beside_the_default_sizes_change_no_bit(isa, dtype, bits, frequencies, size):
    """Kernels have code of its own for 16 frequencies and 3 features."""

    def results(frequencies, size):
        layer = cnn.Columns([Periodic()] * 3, frequencies=frequencies, periodic_size=size)
        net = cnn.Sequential([layer, cnn.Dense(layer.outputs, 2)], rng=0, dtype=dtype)
        spread = np.zeros((3, size + 1, frequencies))
        spread[:, :2, :16] = periodic[:, :2]
        spread[:, 2:5, :16] = periodic[:, 2:]
        offset = np.zeros((3, size - 1))
        offset[:, :3] = offsets
        layer.periodic = np.hstack([spread.reshape(3, -1), offset])
        weight = np.zeros((3, size, 2))
        weight[:, :4] = weights
        net.layers[1].weight = weight.reshape(-1, 2)
        y, dx = net.vjp(x, dy)
        _, found = _loss_and_gradients(net, x, dy)
        numbers = found[0][:, : (size + 1) * frequencies].reshape(3, size + 1, frequencies)
        return bits(y, dx, numbers[:, :5, :16], found[0][:, -(size - 1) :][:, :3])

    rng = np.random.default_rng(4)
    periodic, offsets = rng.normal(size=(3, 5, 16)), rng.normal(size=(3, 3))
    weights, x, dy = (
        rng.normal(size=(3, 4, 2)),
        rng.normal(size=(600, 3)),
        rng.normal(size=(600, 2)),
    )
    assert results(frequencies, size) == results(16, 4)


@pytest.mark.parametrize(("width", "place"), [(31, 9), (100, 80), (600, 570), (1030, 800)])
def test_gradients_of_factors_do_not_depend_on_the_width(isa, dtype, bits, width, place):
    """Kernels add several rows at a time to few columns, and take many columns in strips."""

    def gradient(width, place):
        def spread(values, axis):
            wide = np.zeros([width if i == axis else n for i, n in enumerate(values.shape)])
            wide[(slice(None),) * axis + (slice(place, place + 3),)] = values
            return wide

        layers = [cnn.Scale(width), cnn.Dense(width, 2)]
        net = cnn.Sequential(layers, rng=0, dtype=dtype)
        layers[0].factor, layers[1].weight = spread(factor, 0), spread(weight, 0)
        _, found = _loss_and_gradients(net, spread(x, 1), t)
        return found[0].ravel()[place : place + 3]

    rng = np.random.default_rng(5)
    factor, weight = rng.normal(size=3), rng.normal(size=(3, 2))
    x, t = rng.normal(size=(523, 3)), rng.normal(size=(523, 2))
    assert bits(gradient(width, place)) == bits(gradient(3, 0))


def test_predict_bits(isa, threads, dtype, bits):
    _core.select_isa("scalar")
    expected = network(dtype).predict(X)
    _core.select_isa(isa)
    net = network(dtype)
    assert bits(net.predict(X)) == bits(expected)
    assert bits(*(net.predict(X[i : i + 7]) for i in range(0, ROWS, 7))) == bits(expected)
    assert bits(np.stack([net.predict(row) for row in X])) == bits(expected)
    assert bits(net.predict(np.asfortranarray(X))) == bits(expected)


@pytest.mark.parametrize("clip_norm", [None, 0.5])
@pytest.mark.parametrize("batch_size", [1, 37, 300])
def test_training_bits(isa, threads, dtype, bits, batch_size, clip_norm):
    """The same weights on all instruction sets and threads."""

    def trained():
        net = network(dtype)
        rows = slice(60 if batch_size == 1 else None)
        optimizer = cnn.AdamW(0.01, clip_norm=clip_norm, groups=[Group("bias", lr=0.1)])
        net.fit(X[rows], T[rows], epochs=2, batch_size=batch_size, optimizer=optimizer)
        return net.get_weights()

    found = trained()
    _core.select_isa("scalar")
    cnn.set_num_threads(1)
    assert bits(*found) == bits(*trained())


def test_gradient_is_whole_or_not(bits, dtype):
    """A step through the gradient as a whole changes the same numbers of embeddings."""
    steps = {}
    for clip_norm in (None, 1e6):
        net = network(dtype)
        before = net.layers[0].embedding
        net.fit(X, T, batch_size=50, optimizer=cnn.Adam(0.01, clip_norm=clip_norm), shuffle=False)
        steps[clip_norm] = net.get_weights()
        codes = X[:, 8][np.isin(X[:, 8], range(400))].astype(int)
        used = np.isin(np.arange(400), codes)
        same = (net.layers[0].embedding == before).all(1)[7:]
        assert same[~used].all()
        assert not same[used].any()
    assert bits(*steps[None]) == bits(*steps[1e6])


@pytest.mark.parametrize("clip_norm", [None, 1e6])
def test_a_step_is_the_gradient(dtype, threads, clip_norm):
    """A step of SGD moves each number by its own gradient, in one piece or in tasks."""
    net = network(dtype)
    before = net.get_weights()
    _, gradients = _loss_and_gradients(net, X.astype(dtype), T.astype(dtype))
    optimizer = cnn.SGD(0.5, clip_norm=clip_norm)
    net.fit(X, T, batch_size=ROWS, optimizer=optimizer, dropout=cnn.Constant(0.0), shuffle=False)
    trained = net._network.trained
    assert [name for _, name, _ in trained[:3]] == ["embedding", "periodic", "factor"]
    for (layer, name, _), old, g, new in zip(
        trained, before, gradients, net.get_weights(), strict=True
    ):
        # A weight v of the NTK parametrization is v / sqrt(inputs) in the gradient of the network.
        inputs = net.layers[layer].inputs if (layer, name) == (2, "weight") else 1
        step = 0.5 / inputs * g.astype(float)
        bound = 4 * U[np.dtype(dtype)] * (np.abs(old) + np.abs(step))
        assert (np.abs(old - step - new) <= bound).all(), (layer, name)
        assert (new != old).any(), (layer, name)


def test_tape(bits, dtype):
    """The caller's own gradient of the loss gives the gradients of the loss, but for rounding."""
    net = network(dtype)
    _, wanted = _loss_and_gradients(net, X, T)
    tape = _core.Tape(net._network)
    outputs = tape.forward(X)
    assert bits(outputs) == bits(net.predict(X))
    found, dx = tape.backward((outputs - T.astype(dtype)) / ROWS)
    _, expected = net.vjp(X, (outputs - T.astype(dtype)) / ROWS)
    assert bits(dx) == bits(expected)
    for mine, other in zip(found, wanted, strict=True):
        assert np.abs(mine - other).max() <= 100 * U[np.dtype(dtype)] * max(1, np.abs(other).max())


# ---- Refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: cnn.Columns("number"), TypeError, "Columns: columns is of type str, should be a"),
        (lambda: cnn.Columns(["number"]), TypeError, "Columns: column 0 is 'number', should be an"),
        (lambda: cnn.Columns([]), ValueError, "Columns: columns has 0 columns, none of which"),
        (lambda: cnn.Columns([Ignored()]), ValueError, "none of which has features"),
        (lambda: cnn.Columns([Number()], clip=-1), ValueError, "Columns: clip is -1, should be"),
        (lambda: cnn.Columns([Number()], frequencies=0), ValueError, "frequencies is 0, should"),
        (lambda: cnn.Columns([Number()], periodic_size=17), ValueError, "periodic_size is 17"),
        (lambda: cnn.Columns([Number()], embedding_size=1025), ValueError, "embedding_size is"),
        (lambda: cnn.Columns([Number()], sigma=math.nan), ValueError, "Columns: sigma is nan"),
        (lambda: OneHot(0), ValueError, "OneHot: categories is 0, should be at least 1"),
        (lambda: Embedding(2**24 + 1), ValueError, "Embedding: categories is 16777217"),
        (
            lambda: Number(missing=2),
            TypeError,
            "Number: missing is of type int, should be True or False",
        ),
        (lambda: cnn.Scale(0), ValueError, "Scale: inputs is 0, should be at least 1"),
        (
            lambda: cnn.ParametricActivation(3, "softmax"),
            ValueError,
            "ParametricActivation: activation is softmax",
        ),
        (
            lambda: cnn.Dense(1, 1, parametrization="mup"),
            ValueError,
            "Dense: parametrization is 'mup', should be one of standard, ntk",
        ),
        (lambda: cnn.normal(-1), ValueError, "normal: a is -1, should be finite and at least 0"),
        (
            lambda: Group("bias", lr=-1),
            ValueError,
            "Group: lr is -1, should be finite and at least 0",
        ),
        (lambda: Group(3), TypeError, "Group: parameters is 3, should be a name such as 'bias'"),
        (lambda: cnn.Adam(groups=["bias"]), TypeError, "Adam: groups is ['bias'], should be a"),
    ],
)
def test_refused_layers(make, error, message):
    with refused(error, message):
        make()


def test_refused_stacks():
    first = cnn.Columns([Number()])
    message = "layer 1, Columns([Number(missing=False)], clip=3), should be the first layer"
    with refused(ValueError, message):
        cnn.Sequential([cnn.Dense(1, 1), first, cnn.Dense(1, 1)])
    with refused(ValueError, "should be before a Dense"):
        cnn.Sequential([cnn.Columns([Number()])])
    with refused(ValueError, "layer 1, Dense(2, 1, 'identity'), has 2 inputs, but layer 0"):
        cnn.Sequential([cnn.Columns([Number()]), cnn.Dense(2, 1)])
    with refused(
        ValueError, "should be behind a Dense layer without an activation, and not the last one"
    ):
        cnn.Sequential([cnn.Dense(2, 3, "relu"), cnn.ParametricActivation(3)])
    with refused(ValueError, "layer 0, Scale(2), should be before a Dense layer"):
        cnn.Sequential([cnn.Scale(2), cnn.Scale(2), cnn.Dense(2, 1)])


def test_infinite_inputs_are_refused_and_missing_ones_are_not():
    net = network()
    bad = X.copy()
    bad[17, 7] = np.inf
    with refused(FloatingPointError, "row 17"):
        net.fit(bad, T)
    with refused(FloatingPointError, "row 17"):
        net.evaluate(bad, T)
    assert math.isfinite(net.evaluate(X, T)["loss"])


def test_groups_that_the_network_lacks():
    net = cnn.Sequential([cnn.Dense(2, 1)], rng=0)
    with refused(
        ValueError,
        "fit: optimizer has a group of 'mix', of which the network has none; it has bias, weight",
    ):
        net.fit([[1.0, 2]], [1.0], optimizer=cnn.Adam(groups=[Group("mix")]))
    with refused(ValueError, "train_step: optimizer has groups or a weight_decay that changes"):
        net.train_step([[1.0, 2]], [1.0], optimizer=cnn.Adam(groups=[Group("bias")]))
    with refused(TypeError, "fit: dropout is of type float, should be a cnn.Schedule"):
        net.fit([[1.0, 2]], [1.0], dropout=0.5)


def test_parameters_before_a_network():
    layer = cnn.Columns([Number(), Embedding(3)])
    with refused(AttributeError, "Columns: embedding does not exist yet"):
        _ = layer.embedding
    with refused(AttributeError, "Columns: there is no periodic, as no column"):
        _ = layer.periodic
    layer.mean = [1.0, 0.0]
    assert layer.mean.tolist() == [1.0, 0.0]

    def set_scale():
        layer.scale = [0.0, 1.0]

    with refused(ValueError, "Columns: scale is 0.0 at [0], should be finite and more than 0"):
        set_scale()
    assert not hasattr(cnn.Scale(3), "mean")
