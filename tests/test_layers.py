"""Layers and networks: making, reading and setting them."""

import copy
import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refused import refused

import cnn
from cnn import _core

ACTIVATIONS = _core.ACTIVATIONS
HE = (
    "relu",
    "leaky_relu",
    "elu",
    "softplus",
    "silu",
    "gelu",
    "gelu_tanh",
    "mish",
    "hard_swish",
    "relu6",
)


def two_layers(**options):
    return cnn.Sequential([cnn.Dense(3, 4, "tanh"), cnn.Dense(4, 2)], rng=0, **options)


# ---- Layers ------------------------------------------------------------------------------------


def test_docstrings_have_every_activation():
    for name in ACTIVATIONS:
        assert cnn.Dense.__doc__.count(name) >= 2, "in the lists of activations and initialisers"


def test_dense_tells_its_settings():
    layer = cnn.Dense(3, 4, "relu", init="lecun_uniform", l2=0.5)
    assert (layer.inputs, layer.outputs, layer.activation) == (3, 4, "relu")
    assert (layer.init, layer.l2, layer.parameter_count) == ("lecun_uniform", 0.5, 16)
    assert repr(layer) == "Dense(3, 4, 'relu', init='lecun_uniform', l2=0.5)"
    assert repr(cnn.Dense(3, 4, init=cnn.uniform(0.1))).endswith("init=uniform(a=0.1))")
    assert repr(cnn.Dropout(0.25)) == "Dropout(0.25)"
    assert cnn.Dropout(0.25).rate == 0.25


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((0, 2), ValueError, "Dense: inputs is 0, should be at least 1"),
        ((2, -1), ValueError, "Dense: outputs is -1, should be at least 1"),
        ((2.0, 2), TypeError, "Dense: inputs is of type float, should be an int"),
        ((True, 2), TypeError, "Dense: inputs is of type bool, should be an int"),
        ((10**30, 2), ValueError, "Dense: inputs is 1000000000000000000000000000000"),
        (("3", 2), TypeError, "Dense: inputs is of type str"),
        ((2, None), TypeError, "Dense: outputs is of type NoneType"),
        ((2, 2, "rulu"), ValueError, "Dense: activation is 'rulu', should be one of identity"),
        ((2, 2, np.tanh), TypeError, "Dense: activation is of type ufunc, should be a string or"),
        (
            (2, 2, cnn.activations.ELU),
            TypeError,
            "Dense: activation is the class ELU, should be a string or an object such as cnn.activ",
        ),
    ],
)
def test_bad_dense(arguments, error, message):
    with refused(error, message):
        cnn.Dense(*arguments)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"init": "glorot"}, ValueError, "Dense: init is 'glorot', should be one of glorot_unif"),
        ({"init": "uniform"}, ValueError, "torch, cnn.uniform(a)"),
        ({"init": 0.1}, TypeError, "Dense: init is of type float, should be a string, cnn.unif"),
        ({"l2": -1}, ValueError, "Dense: l2 is -1, should be finite and at least 0"),
        ({"l2": math.nan}, ValueError, "Dense: l2 is nan, should be finite and at least 0"),
        ({"l2": "much"}, TypeError, "Dense: l2 is of type str, should be a number"),
    ],
)
def test_bad_dense_options(options, error, message):
    with refused(error, message):
        cnn.Dense(2, 2, **options)


@pytest.mark.parametrize(
    ("rate", "error", "message"),
    [
        (1, ValueError, "Dropout: rate is 1, should be at least 0 and less than 1"),
        (-0.1, ValueError, "Dropout: rate is -0.1"),
        (math.nan, ValueError, "Dropout: rate is nan"),
        (None, TypeError, "Dropout: rate is of type NoneType, should be a number"),
    ],
)
def test_bad_dropout(rate, error, message):
    with refused(error, message):
        cnn.Dropout(rate)


@pytest.mark.parametrize(
    ("a", "error"), [(-1, ValueError), (math.inf, ValueError), ("1", TypeError)]
)
def test_bad_uniform(a, error):
    with refused(error, "uniform: a is"):
        cnn.uniform(a)


# ---- Parameters --------------------------------------------------------------------------------


def test_parameters_do_not_exist_before_the_network():
    layer = cnn.Dense(3, 4)
    for name in ("weight", "bias"):
        message = f"Dense: {name} does not exist yet, as the layer is not in a network"
        with refused(AttributeError, message):
            getattr(layer, name)
        with refused(AttributeError, message):
            setattr(layer, name, 0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@given(data=st.data())
def test_what_is_set_is_read(dtype, data):
    net = two_layers(dtype=dtype)
    before = [(layer.weight, layer.bias) for layer in net]
    i = data.draw(st.integers(0, 1))
    layer = net.layers[i]
    given_type = data.draw(st.sampled_from(["float16", "float32", "float64", "int8"]))
    rng = np.random.default_rng(data.draw(st.integers(0, 9)))
    weight = (rng.normal(size=layer.weight.shape) * 9).astype(given_type)
    layer.weight = np.asfortranarray(weight) if data.draw(st.booleans()) else weight
    np.testing.assert_array_equal(layer.weight, weight.astype(dtype))
    np.testing.assert_array_equal(layer.bias, before[i][1])
    np.testing.assert_array_equal(net.layers[1 - i].weight, before[1 - i][0])
    layer.bias = list(range(layer.outputs))
    np.testing.assert_array_equal(layer.bias, np.arange(layer.outputs, dtype=dtype))


def test_setting_parameters_changes_predictions():
    net = two_layers()
    net.layers[0].weight = np.zeros((3, 4))
    net.layers[0].bias = np.zeros(4)
    net.layers[1].bias = [1.5, -2.0]
    np.testing.assert_array_equal(net.predict([1.0, 2.0, 3.0]), [1.5, -2.0])


def test_what_is_read_gives_no_way_to_write():
    layer = two_layers().layers[0]
    before = layer.weight
    with refused(ValueError, "read-only"):
        layer.weight[0, 0] = 1
    with refused(ValueError, "read-only"):
        layer.bias += 1
    np.testing.assert_array_equal(layer.weight, before)


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (np.zeros((4, 3)), ValueError, "Dense: weight has shape (4, 3), should be (3, 4)"),
        (0.0, ValueError, "Dense: weight has shape (), should be (3, 4)"),
        (None, TypeError, "Dense: weight is None, should be an array of numbers"),
        ("text", TypeError, "Dense: weight has dtype <U4"),
        (np.zeros((3, 4), complex), TypeError, "Dense: weight has dtype complex128"),
        ([[1], [1, 2]], ValueError, "Dense: weight is not a rectangular array"),
    ],
)
def test_bad_weight(value, error, message):
    layer = two_layers().layers[0]
    before = layer.weight
    with refused(error, message):
        layer.weight = value
    np.testing.assert_array_equal(layer.weight, before)


def test_l2_can_be_set():
    net = two_layers()
    x, t = np.ones((1, 3)), np.zeros((1, 2))
    plain = net.evaluate(x, t)["loss"]
    net.layers[1].l2 = 0.5
    penalty = 0.25 * float((net.layers[1].weight.astype(float) ** 2).sum())
    assert math.isclose(net.evaluate(x, t)["loss"], plain + penalty, rel_tol=1e-6)
    with refused(ValueError, "Dense: l2 is -1"):
        net.layers[1].l2 = -1
    assert net.layers[1].l2 == 0.5


# ---- Initial weights ---------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_default_initialiser(activation):
    bound = math.sqrt(6 / 40) if activation in HE else math.sqrt(6 / 100)
    bound = math.sqrt(3 / 40) if activation == "selu" else bound
    net = cnn.Sequential([cnn.Dense(40, 60, activation)], rng=1, dtype="float64")
    largest = abs(net.layers[0].weight).max()
    assert 0.99 * bound < largest <= bound
    assert not net.layers[0].bias.any()


@pytest.mark.parametrize(
    ("init", "bound", "bias_bound"),
    [
        ("glorot_uniform", math.sqrt(6 / 100), 0),
        ("he_uniform", math.sqrt(6 / 40), 0),
        ("lecun_uniform", math.sqrt(3 / 40), 0),
        ("torch", 1 / math.sqrt(40), 1 / math.sqrt(40)),
        ("zeros", 0, 0),
        (cnn.uniform(0.3), 0.3, 0),
    ],
)
def test_initialisers(init, bound, bias_bound):
    net = cnn.Sequential([cnn.Dense(40, 60, "relu", init=init)], rng=1, dtype="float64")
    weight, bias = net.layers[0].weight, net.layers[0].bias
    assert 0.99 * bound <= abs(weight).max() <= bound
    assert 0.8 * bias_bound <= abs(bias).max() <= bias_bound
    # The mean and variance of U(-a, a) are 0 and a^2 / 3; 2400 draws come as near as this.
    assert abs(weight.mean()) <= 0.06 * bound
    assert abs(weight.var() - bound**2 / 3) <= 0.05 * bound**2


def test_seeds_make_the_weights():
    def weights(rng):
        net = cnn.Sequential([cnn.Dense(3, 4), cnn.Dense(4, 3)], rng=rng)
        return net.layers[0].weight.tobytes() + net.layers[1].weight.tobytes()

    assert weights(7) == weights(7) == weights(np.uint8(7))
    assert weights(7) != weights(8)
    assert weights(2**64 - 1) != weights(2**63 - 1)
    assert weights(np.random.default_rng(1)) == weights(np.random.default_rng(1))
    generator = np.random.default_rng(1)
    assert weights(generator) != weights(generator)
    assert weights(None) != weights(None)
    net = two_layers()
    assert net.seed == 0
    same = cnn.Sequential([cnn.Dense(3, 4, "tanh"), cnn.Dense(4, 2)], rng=net.seed)
    np.testing.assert_array_equal(net.layers[1].weight, same.layers[1].weight)


@pytest.mark.parametrize(
    ("rng", "error", "message"),
    [
        (-1, ValueError, "Sequential: rng is -1, should be at least 0"),
        (2**64, ValueError, "Sequential: rng is 18446744073709551616, should be at most"),
        (1.0, TypeError, "Sequential: rng is of type float, should be an int, a numpy.random.Gen"),
        (True, TypeError, "Sequential: rng is of type bool"),
        (np.random.RandomState(0), TypeError, "Sequential: rng is of type RandomState"),
    ],
)
def test_bad_rng(rng, error, message):
    with refused(error, message):
        cnn.Sequential([cnn.Dense(1, 1)], rng=rng)


# ---- Sequential --------------------------------------------------------------------------------


def test_properties():
    net = cnn.Sequential(
        [cnn.Dense(3, 5, "relu", l2=0.1), cnn.Dropout(0.5), cnn.Dense(5, 2, "softmax")],
        rng=3,
        dtype=np.float64,
    )
    assert (net.inputs, net.outputs, net.parameter_count) == (3, 2, 32)
    assert (net.activation, net.seed, net.epochs) == ("softmax", 3, 0)
    assert net.dtype == np.float64
    assert len(net) == 3
    assert list(net) == list(net.layers)
    assert repr(net) == (
        "Sequential([\n    Dense(3, 5, 'relu', l2=0.1),\n    Dropout(0.5),\n"
        "    Dense(5, 2, 'softmax'),\n], rng=3, dtype='float64')"
    )


def test_repr_can_be_read_back():
    names = {name: getattr(cnn, name) for name in ("Sequential", "Dense", "Dropout", "uniform")}
    net = cnn.Sequential(
        [cnn.Dense(3, 5, init=cnn.uniform(0.5)), cnn.Dropout(0.5), cnn.Dense(5, 2)], rng=3
    )
    again = eval(repr(net), names)
    assert repr(again) == repr(net)
    np.testing.assert_array_equal(again.layers[0].weight, net.layers[0].weight)


def test_summary():
    net = cnn.mlp([784, 1000, 10], "relu", "softmax", rng=0, dropout=0.5)
    assert net.summary() == (
        "Layer  Kind     Shape       Activation  Parameters\n"
        "-----  -------  ----------  ----------  ----------\n"
        "    0  Dense    784 x 1000  relu           785,000\n"
        "    1  Dropout  rate 0.5\n"
        "    2  Dense    1000 x 10   softmax         10,010\n"
        "-----  -------  ----------  ----------  ----------\n"
        "795,010 parameters, float32, 3.2 MB"
    )


dense = cnn.Dense
TAKEN = cnn.Sequential([cnn.Dense(2, 2)]).layers[0]
TWICE = cnn.Dense(2, 2)


@pytest.mark.parametrize(
    ("layers", "error", "message"),
    [
        ([], ValueError, "Sequential: layers is empty, should have at least one Dense layer"),
        (3, TypeError, "Sequential: layers is of type int, should be a list of layers"),
        (dense(2, 2), TypeError, "Sequential: layers is of type Dense, should be a list"),
        ([3], TypeError, "Sequential: layer 0 is of type int, should be a layer"),
        ([cnn.Dense], TypeError, "Sequential: layer 0 is Dense, should be a layer"),
        (
            [dense(2, 3), dense(4, 2)],
            ValueError,
            "Sequential: layer 1, Dense(4, 2, 'identity'), has 4 inputs, but layer 0, "
            "Dense(2, 3, 'identity'), has 3 outputs",
        ),
        (
            [dense(2, 3), cnn.Dropout(0.5), dense(4, 2)],
            ValueError,
            "Sequential: layer 2, Dense(4, 2, 'identity'), has 4 inputs, but layer 0",
        ),
        (
            [cnn.Dropout(0.5), dense(2, 2)],
            ValueError,
            "layer 0, Dropout(0.5), should be between two Dense layers",
        ),
        ([dense(2, 2), cnn.Dropout(0.5)], ValueError, "layer 1, Dropout(0.5), should be between"),
        (
            [dense(2, 2), cnn.Dropout(0.5), cnn.Dropout(0.5), dense(2, 2)],
            ValueError,
            "layer 2, Dropout(0.5), should be between",
        ),
        (
            [dense(2, 2, "softmax"), dense(2, 2)],
            ValueError,
            "layer 0, Dense(2, 2, 'softmax'), has activation softmax, which only the last layer",
        ),
        ([TAKEN], ValueError, "layer 0, Dense(2, 2, 'identity'), belongs to another network"),
        ([TWICE, TWICE], ValueError, "layer 1, Dense(2, 2, 'identity'), is in the list twice"),
    ],
)
def test_bad_layers(layers, error, message):
    with refused(error, message):
        cnn.Sequential(layers)


def test_layers_of_a_refused_network_stay_free():
    layer = cnn.Dense(2, 3)
    with refused(ValueError, "has 4 inputs"):
        cnn.Sequential([layer, cnn.Dense(4, 2)])
    cnn.Sequential([layer, cnn.Dense(3, 2)])


@pytest.mark.parametrize(
    ("dtype", "error"),
    [
        ("float16", ValueError),
        ("int32", ValueError),
        (None, ValueError),
        ("f", TypeError),
        (3, TypeError),
    ],
)
def test_bad_dtype(dtype, error):
    if dtype == "f":
        assert cnn.Sequential([cnn.Dense(1, 1)], dtype=dtype).dtype == np.float32
        return
    with refused(error, "Sequential: dtype is"):
        cnn.Sequential([cnn.Dense(1, 1)], dtype=dtype)


def test_layers_of_a_network_do_not_travel_alone():
    layer = two_layers().layers[0]
    for travel in (copy.copy, copy.deepcopy, pickle.dumps):
        with refused(TypeError, "Dense: a layer of a network cannot be copied or pickled"):
            travel(layer)
    free = copy.deepcopy(cnn.Dense(2, 3, "relu"))
    assert repr(cnn.Sequential([free]).layers[0]) == "Dense(2, 3, 'relu')"


# ---- mlp ---------------------------------------------------------------------------------------


def test_mlp_is_a_sequential():
    made = cnn.mlp([4, 3, 5, 2], "relu", "softmax", rng=1, dropout=0.1, l2=0.01, dtype="float64")
    by_hand = cnn.Sequential(
        [
            cnn.Dense(4, 3, "relu", l2=0.01),
            cnn.Dropout(0.1),
            cnn.Dense(3, 5, "relu", l2=0.01),
            cnn.Dropout(0.1),
            cnn.Dense(5, 2, "softmax", l2=0.01),
        ],
        rng=1,
        dtype="float64",
    )
    assert repr(made) == repr(by_hand)
    np.testing.assert_array_equal(made.layers[4].weight, by_hand.layers[4].weight)
    assert len(cnn.mlp((4, 2), "relu", "identity")) == 1


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        (([4], "relu", "identity"), {}, ValueError, "mlp: sizes has 1 numbers, should have at"),
        (([4, 0], "relu", "identity"), {}, ValueError, "mlp: sizes[1] is 0, should be at least 1"),
        ((["4", 2], "relu", "identity"), {}, TypeError, "mlp: sizes[0] is of type str"),
        ((4, "relu", "identity"), {}, TypeError, "mlp: sizes is of type int, should be a list"),
        (([4, 2], "r", "identity"), {}, ValueError, "mlp: hidden_activation is 'r'"),
        (([4, 2], "relu", "i"), {}, ValueError, "mlp: output_activation is 'i'"),
        (([4, 3, 2], "softmax", "identity"), {}, ValueError, "mlp: layer 0"),
        (([4, 2], "relu", "identity"), {"dropout": 1.0}, ValueError, "mlp: dropout is 1"),
        (([4, 2], "relu", "identity"), {"l2": -1}, ValueError, "mlp: l2 is -1"),
        (([4, 2], "relu", "identity"), {"rng": -1}, ValueError, "mlp: rng is -1"),
        (([4, 2], "relu", "identity"), {"dtype": "int8"}, ValueError, "mlp: dtype is 'int8'"),
    ],
)
def test_bad_mlp(arguments, options, error, message):
    with refused(error, message):
        cnn.mlp(*arguments, **options)
