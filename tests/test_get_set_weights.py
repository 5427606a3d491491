"""All weights of a network at once: `Sequential.get_weights` and `set_weights`."""

import numpy as np
import pytest
from refused import refused

import cnn

SHAPES = [(3, 4), (4,), (4, 2), (2,)]


def network(dtype="float32", seed=0):
    layers = [cnn.Dense(3, 4, "tanh"), cnn.Dropout(0.5), cnn.Dense(4, 2, "softmax")]
    return cnn.Sequential(layers, rng=seed, dtype=dtype)


def same(first, second):
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weights_and_biases_in_the_order_of_layers(dtype):
    net = network(dtype)
    found = net.get_weights()
    assert [array.shape for array in found] == SHAPES
    assert {array.dtype for array in found} == {np.dtype(dtype)}
    first, _, last = net.layers
    assert same(found, [first.weight, first.bias, last.weight, last.bias])


def test_what_is_returned_is_a_copy():
    net = network()
    before = net.get_weights()
    for array in net.get_weights():
        array[...] += 1
    assert same(net.get_weights(), before)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_set_is_used(dtype):
    source, net = network(dtype, 1), network(dtype, 2)
    x = np.random.default_rng(0).random((5, 3))
    assert not np.array_equal(net.predict(x), source.predict(x))
    net.set_weights(source.get_weights())
    assert np.array_equal(net.predict(x), source.predict(x))
    net.set_weights(iter(network(dtype, 2).get_weights()))
    assert same(net.get_weights(), network(dtype, 2).get_weights())


def test_what_is_set_is_a_copy():
    net, arrays = network(), network(seed=1).get_weights()
    net.set_weights(arrays)
    for array in arrays:
        array[...] = 7
    assert same(net.get_weights(), network(seed=1).get_weights())


def test_other_types_and_layouts_become_the_networks():
    net = network()
    wide = np.arange(24.0).reshape(6, 4)[::2]
    net.set_weights([wide, [1, 2, 3, 4], np.asfortranarray(np.ones((4, 2))), np.float16([0.5, 1])])
    assert same(net.get_weights(), [wide, [1, 2, 3, 4], np.ones((4, 2)), [0.5, 1.0]])
    net.set_weights([np.full((3, 4), np.nan), *net.get_weights()[1:]])
    assert np.isnan(net.layers[0].weight).all()


def test_training_goes_on_from_what_is_set():
    """The same weights, optimizer state and epoch give the same weights again."""
    x, t = np.random.default_rng(0).random((20, 3)), np.arange(20) % 2
    ends = []
    for _ in range(2):
        net = network(seed=3)
        net.set_weights(network(seed=4).get_weights())
        net.fit(x, t, epochs=3, optimizer=cnn.Adam(0.01))
        ends.append(net.get_weights())
    assert same(*ends)


def arrays(*, without=None, more=(), at=0, value=None):
    found = [np.ones(shape) for shape in SHAPES]
    if without is not None:
        del found[without]
    if value is not None:
        found[at] = value
    return [*found, *more]


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        (None, TypeError, "weights is of type NoneType, should be a list of arrays"),
        ("weights", TypeError, "weights is of type str, should be a list of arrays"),
        ({0: np.ones((3, 4))}, TypeError, "weights is of type dict, should be a list of arrays"),
        (
            [],
            ValueError,
            "weights has 0 arrays, should have 4: the weight and the bias of each Dense layer",
        ),
        (arrays(without=1), ValueError, "weights has 3 arrays, should have 4"),
        (arrays(more=[np.ones(2)]), ValueError, "weights has 5 arrays, should have 4"),
        (
            arrays(at=2, value=np.ones((2, 4))),
            ValueError,
            "weights[2], the weight of layer 2, has shape (2, 4), should be (4, 2)",
        ),
        (
            arrays(at=3, value=np.ones((1, 2))),
            ValueError,
            "weights[3], the bias of layer 2, has shape (1, 2), should be (2,)",
        ),
        (arrays(at=1, value=1.0), ValueError, "weights[1], the bias of layer 0, has shape ()"),
        (arrays(at=3, value=["a", "b"]), TypeError, "weights[3], the bias of layer 2,"),
        (arrays(at=3, value=np.array([1j, 1])), TypeError, "weights[3], the bias of layer 2,"),
        (
            arrays(at=3, value=[0.0, 1e39]),
            ValueError,
            "weights[3], the bias of layer 2, has 1e+39 at [1], which overflows float32",
        ),
    ],
)
def test_bad_weights_change_nothing(weights, error, message):
    net = network()
    before = net.get_weights()
    with refused(error, f"set_weights: {message}"):
        net.set_weights(weights)
    assert same(net.get_weights(), before)


def test_early_stopping_restores_by_them():
    """A callback needs no more of a network than a user has."""
    taken = []

    class Network(cnn.Sequential):
        def set_weights(self, weights):
            taken.append(weights)
            super().set_weights(weights)

    net = Network([cnn.Dense(1, 1, init="zeros")], rng=0)
    stop = cnn.EarlyStopping("loss", patience=2, min_delta=10.0, restore_best_weights=True)
    net.fit([[1.0]], [1.0], epochs=5, optimizer=cnn.SGD(0.1), callbacks=[stop])
    assert len(taken) == 1
    assert same(net.get_weights(), taken[0])
    assert stop.best_epoch == 1
