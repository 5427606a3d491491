"""Array functions: their table, `out`, axes, types of input and refusals.

Their numbers are compared with tests/reference.py elsewhere.
"""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refused import refused

import cnn
from cnn import _core
from cnn._base import activations

ELEMENTWISE = [name for name in _core.ACTIVATIONS if name != "softmax"]
FUNCTIONS = [*_core.ACTIVATIONS, "log_softmax"]


def function(name):
    return getattr(cnn, name)


# ---- The table ---------------------------------------------------------------------------------


def test_table_covers_the_activations_of_libcnn():
    assert set(activations.TABLE) == set(_core.ACTIVATIONS)


@pytest.mark.parametrize("name", _core.ACTIVATIONS)
def test_every_activation_is_a_documented_function(name):
    made = function(name)
    entry = activations.TABLE[name]
    assert name in cnn.__all__
    assert made.__name__ == name
    assert made.__module__ == "cnn.functional"
    assert entry.init in _core.INITIALIZERS
    assert entry.formula.split(" = ")[-1] in made.__doc__
    assert "Examples" in made.__doc__


# ---- Results -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(
    ("given_type", "made_type"),
    [
        ("float32", "float32"),
        ("float16", "float32"),
        ("float64", "float64"),
        ("int8", "float64"),
        ("uint64", "float64"),
        ("bool", "float64"),
    ],
)
def test_types(name, given_type, made_type):
    x = np.array([[0, 1, 1], [1, 0, 1]], dtype=given_type)
    y = function(name)(x)
    assert y.dtype == made_type
    assert y.shape == x.shape
    np.testing.assert_array_equal(y, function(name)(x.astype(made_type)))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_lists_do_as_well(name):
    np.testing.assert_array_equal(function(name)([[1, 2]]), function(name)(np.array([[1.0, 2.0]])))


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_scalars_give_scalars(name):
    y = function(name)(0.5)
    assert isinstance(y, np.float64)
    assert y == function(name)([0.5])[0]


@pytest.mark.parametrize("name", FUNCTIONS)
@given(data=st.data())
def test_any_layout_gives_the_same_bits(name, data):
    shape = data.draw(st.tuples(*[st.integers(1, 4)] * data.draw(st.integers(1, 3))))
    x = np.random.default_rng(0).normal(size=shape) * 3
    for dtype in ("float32", "float64"):
        straight = np.ascontiguousarray(x, dtype=dtype)
        expected = function(name)(straight)
        assert expected.shape == shape
        spaced = np.zeros([2 * n for n in shape], dtype)
        spaced[tuple(slice(1, None, 2) for _ in shape)] = straight
        views = {
            "Fortran": np.asfortranarray(straight),
            "strided": spaced[tuple(slice(1, None, 2) for _ in shape)],
            "reversed": np.ascontiguousarray(straight[::-1])[::-1],
            "unaligned": np.frombuffer(b"\0" + straight.tobytes(), dtype, offset=1).reshape(shape),
        }
        for layout, view in views.items():
            np.testing.assert_array_equal(function(name)(view), expected, err_msg=layout)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_empty_arrays(name):
    assert function(name)(np.zeros((0, 3))).shape == (0, 3)
    assert function(name)(np.zeros((3, 0))).shape == (3, 0)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_out(name, dtype):
    x = np.linspace(-2, 2, 12, dtype=dtype).reshape(3, 4)
    expected = function(name)(x)
    out = np.full_like(x, np.nan)
    assert function(name)(x, out=out) is out
    np.testing.assert_array_equal(out, expected)
    spaced = np.full((6, 8), np.nan, dtype)
    function(name)(x, out=spaced[::2, ::2])
    np.testing.assert_array_equal(spaced[::2, ::2], expected)
    assert np.isnan(spaced[1::2]).all()
    in_place = x.copy()
    assert function(name)(in_place, out=in_place) is in_place
    np.testing.assert_array_equal(in_place, expected)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("axis", [-3, -2, -1, 0, 1, 2])
def test_axes(name, axis):
    x = np.random.default_rng(0).normal(size=(2, 3, 4))
    y = function(name)(x, axis=axis)
    assert y.shape == x.shape
    e = np.exp(x)
    expected = e / e.sum(axis=axis, keepdims=True)
    np.testing.assert_allclose(np.exp(y) if "log" in name else y, expected, rtol=1e-14)
    out = np.empty_like(x)
    assert function(name)(x, axis=axis, out=out) is out
    np.testing.assert_array_equal(out, y)
    np.testing.assert_array_equal(function(name)(x, axis=np.int64(axis)), y)
    np.testing.assert_array_equal(function(name)(x.tolist(), axis=axis), y)
    assert function(name)(x, axis=axis, out=x) is x
    np.testing.assert_array_equal(x, y)


# ---- Refusals ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (None, TypeError, "x is None"),
        ("text", TypeError, "x has dtype <U4, should be float32"),
        ([object()], TypeError, "x has dtype object, should be float32"),
        ([1j], TypeError, "x has dtype complex128"),
        ([[1.0], [1.0, 2.0]], ValueError, "x is not a rectangular array of numbers"),
        (np.array([1.0], dtype=">f8"), TypeError, "foreign byte order"),
        (np.array(["2020-01-01"], "datetime64[D]"), TypeError, "x has dtype datetime64"),
    ],
)
def test_bad_x(name, x, error, message):
    with refused(error, message):
        function(name)(x)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_bad_out(name):
    x = np.zeros((2, 3), dtype="float32")
    bad = np.zeros((2, 3), dtype="float32")
    bad.flags.writeable = False
    memory = np.zeros(12, dtype="float32")
    call = function(name)
    with refused(TypeError, f"{name}: out is of type list, should be a NumPy array"):
        call(x, out=[0.0])
    with refused(ValueError, f"{name}: out has shape (3, 2), should be (2, 3)"):
        call(x, out=np.zeros((3, 2), dtype="float32"))
    with refused(TypeError, f"{name}: out has dtype float64, should be float32"):
        call(x, out=np.zeros((2, 3)))
    with refused(ValueError, f"{name}: out is read-only, should be writeable"):
        call(x, out=bad)
    with refused(ValueError, f"{name}: out overlaps x"):
        call(memory[:6].reshape(2, 3), out=memory[1:7].reshape(2, 3))


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_bad_axis(name):
    with refused(ValueError, f"{name}: axis is 2, but x has 2 dimensions"):
        function(name)(np.zeros((2, 3)), axis=2)
    with refused(ValueError, f"{name}: axis is -1, but x has 0 dimensions"):
        function(name)(1.0)
    for axis in (1.0, -1.0, True, None):
        with refused(TypeError, f"{name}: axis is of type {type(axis).__name__}, should be an int"):
            function(name)(np.zeros((2, 3)), axis=axis)


# ---- Activations backward ----------------------------------------------------------------------


@pytest.mark.parametrize("name", _core.ACTIVATIONS)
def test_backward_is_a_derivative(name):
    x = np.array([[-1.5, -0.3, 0.4, 2.0]])
    dy = np.array([[1.0, -2.0, 0.5, 3.0]])
    y = function(name)(x)
    dx = cnn.activation_backward(name, dy, y, x=x)
    h = 1e-6
    for j in range(4):
        step = h * (np.arange(4) == j)
        slope = (function(name)(x + step) - function(name)(x - step)) / (2 * h)
        assert math.isclose(dx[0, j], (dy * slope).sum(), rel_tol=1e-6, abs_tol=1e-8)


@pytest.mark.parametrize("name", _core.ACTIVATIONS)
def test_backward_takes_x_alone(name):
    x = np.array([[-1.5, -0.3, 0.4, 2.0]])
    dy = np.ones_like(x)
    expected = cnn.activation_backward(name, dy, function(name)(x), x=x)
    np.testing.assert_array_equal(cnn.activation_backward(name, dy, x=x), expected)
    out = np.empty_like(x)
    assert cnn.activation_backward(name, dy, x=x, out=out) is out
    np.testing.assert_array_equal(out, expected)


def test_backward_refuses():
    dy = np.zeros(3)
    for name in ("silu", "gelu"):
        with refused(TypeError, f"activation_backward: {name} needs x="):
            cnn.activation_backward(name, dy, dy)
    with refused(TypeError, "activation_backward: y is missing"):
        cnn.activation_backward("relu", dy)
    with refused(ValueError, "name is 'rulu', should be one of identity, step"):
        cnn.activation_backward("rulu", dy, dy)
    with refused(TypeError, "name is of type int, should be a string"):
        cnn.activation_backward(3, dy, dy)
    with refused(ValueError, "activation_backward: y has shape (2,), should be that of dy, (3,)"):
        cnn.activation_backward("relu", dy, np.zeros(2))
    with refused(TypeError, "activation_backward: dy has dtype object"):
        cnn.activation_backward("relu", [None], [1.0])


# ---- Dense layers ------------------------------------------------------------------------------


def test_dense():
    x, weight, bias = [[1.0, 2.0], [3.0, -4.0]], [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], [1.0, 0.0, 2.0]
    expected = np.array(x) @ np.array(weight)
    np.testing.assert_array_equal(cnn.dense(x, weight), expected)
    np.testing.assert_array_equal(cnn.dense(x, weight, bias), expected + bias)
    activated = cnn.dense(x, weight, bias, "relu")
    np.testing.assert_array_equal(activated, np.maximum(expected + bias, 0))
    np.testing.assert_array_equal(cnn.dense(x[1], weight, bias, "relu"), activated[1])
    out = np.empty((2, 3))
    assert cnn.dense(x, weight, bias, "relu", out=out) is out
    np.testing.assert_array_equal(out, activated)


def test_dense_follows_the_type_of_x():
    x = np.ones((2, 3), dtype="float32")
    weight, bias = np.ones((3, 2)), np.ones(2)
    assert cnn.dense(x, weight, bias).dtype == np.float32
    assert cnn.dense(x.astype("float64"), weight.astype("float32")).dtype == np.float64
    assert cnn.dense_backward(x, x, np.ones((3, 3)))[1].dtype == np.float32


def test_dense_refuses():
    x, weight = np.zeros((2, 3)), np.zeros((3, 4))
    with refused(ValueError, "dense: x has 2 columns, but weight has 3 rows"):
        cnn.dense(np.zeros((5, 2)), weight)
    with refused(ValueError, "dense: weight has 1 dimensions (3,), should have 2"):
        cnn.dense(x, np.zeros(3))
    with refused(ValueError, "dense: bias has shape (3,), should be (4,)"):
        cnn.dense(x, weight, np.zeros(3))
    with refused(ValueError, "activation is 'sigmoids'"):
        cnn.dense(x, weight, None, "sigmoids")
    with refused(TypeError, "dense: x has dtype object"):
        cnn.dense([[None]], weight)
    with refused(TypeError, "dense: weight is None"):
        cnn.dense(x, None)
    with refused(ValueError, "dense: out has shape (2, 3), should be (2, 4)"):
        cnn.dense(x, weight, out=np.zeros((2, 3)))
    with refused(ValueError, "dense: out overlaps x"):
        square = np.zeros((3, 3))
        cnn.dense(square, np.zeros((3, 3)), out=square)


def test_dense_backward():
    rng = np.random.default_rng(0)
    dy, x, weight = rng.normal(size=(5, 2)), rng.normal(size=(5, 3)), rng.normal(size=(3, 2))
    dx, dweight, dbias = cnn.dense_backward(dy, x, weight)
    np.testing.assert_allclose(dx, dy @ weight.T, rtol=1e-14)
    np.testing.assert_allclose(dweight, x.T @ dy, rtol=1e-13)
    np.testing.assert_allclose(dbias, dy.sum(axis=0), rtol=1e-14)


def test_dense_backward_refuses():
    dy, x, weight = np.zeros((5, 2)), np.zeros((5, 3)), np.zeros((3, 2))
    with refused(ValueError, "dense_backward: dy has 1 dimensions (2,), should have 2"):
        cnn.dense_backward(np.zeros(2), x, weight)
    with refused(ValueError, "dense_backward: dy has shape (5, 4), should be (5, 2)"):
        cnn.dense_backward(np.zeros((5, 4)), x, weight)
    with refused(ValueError, "dense_backward: x has shape (4, 3), should be (5, 3)"):
        cnn.dense_backward(dy, np.zeros((4, 3)), weight)
    with refused(TypeError, "dense_backward: weight has dtype <U1"):
        cnn.dense_backward(dy, x, [["a"]])


# ---- Losses ------------------------------------------------------------------------------------


def quantile_loss(y, t, **options):
    """The quantile loss of as many levels as y has columns."""
    columns = np.shape(y)[-1] if np.ndim(y) > 1 else 1
    return cnn.quantile_loss(y, t, np.arange(1, columns + 1) / (columns + 1), **options)


LOSSES = {
    "squared_error": (cnn.squared_error, "y"),
    "cross_entropy": (cnn.cross_entropy, "logits"),
    "binary_cross_entropy": (cnn.binary_cross_entropy, "logits"),
    "huber": (cnn.huber, "y"),
    "poisson": (cnn.poisson, "log_rate"),
    "absolute_error": (cnn.absolute_error, "y"),
    "quantile": (quantile_loss, "y"),
}


def test_every_loss_of_libcnn_is_a_function():
    assert set(LOSSES) == set(_core.LOSSES)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_loss_types(name, dtype):
    loss, gradient = LOSSES[name][0](np.zeros((2, 3), dtype), np.full((2, 3), 0.5))
    assert isinstance(loss, float)
    assert gradient.dtype == dtype
    assert gradient.shape == (2, 3)


@pytest.mark.parametrize("name", [name for name in LOSSES if name != "cross_entropy"])
def test_one_dimension_is_one_column(name):
    z, t = np.array([0.5, -2.0, 3.0]), np.array([0.0, 1.0, 1.0])
    expected, gradient = LOSSES[name][0](z[:, None], t[:, None])
    for shape in [(3,), (3, 1)]:
        loss, made = LOSSES[name][0](z, t.reshape(shape))
        assert loss == expected
        np.testing.assert_array_equal(made, gradient[:, 0])


def test_labels_are_one_hot_rows():
    logits = np.random.default_rng(0).normal(size=(4, 3))
    labels = np.array([2, 0, 1, 1])
    expected, gradient = cnn.cross_entropy(logits, np.eye(3)[labels], label_smoothing=0.1)
    for dtype in ("int64", "uint8", "float32", "float64"):
        loss, made = cnn.cross_entropy(logits, labels.astype(dtype), label_smoothing=0.1)
        assert math.isclose(loss, expected, rel_tol=1e-14)
        np.testing.assert_allclose(made, gradient, rtol=1e-13, atol=1e-16)


@pytest.mark.parametrize("name", LOSSES)
def test_weights_count_rows(name):
    rng = np.random.default_rng(0)
    z, t = rng.normal(size=(3, 2)), rng.uniform(size=(3, 2))
    rows = [0, 0, 2]
    expected, gradient = LOSSES[name][0](z[rows], t[rows])
    loss, made = LOSSES[name][0](z, t, sample_weight=[2, 0, 1])
    assert math.isclose(loss, expected, rel_tol=1e-14)
    assert not made[1].any()
    np.testing.assert_allclose(made[0], 2 * gradient[0], rtol=1e-14)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_refuse(name):
    loss, z = LOSSES[name]
    name = loss.__name__
    good = np.full((2, 3), 0.5)
    with refused(TypeError, f"{name}: {z} has dtype object"):
        loss([[None]], good)
    with refused(ValueError, f"{name}: {z} has 3 dimensions (1, 2, 3), should have "):
        loss(good[None], good)
    with refused(ValueError, f"{name}: {z} has shape (0, 3), should not be empty"):
        loss(good[:0], good[:0])
    with refused(TypeError, f"{name}: t is None"):
        loss(good, None)
    with refused(TypeError, f"{name}: t has dtype <U1"):
        loss(good, [["a", "b", "c"]] * 2)
    with refused(ValueError, f"{name}: t has 3 rows, but {z} has 2"):
        loss(good, np.zeros((3, 3)))
    with refused(ValueError, f"{name}: t has shape (2, 2), should be "):
        loss(good, np.zeros((2, 2)))
    with refused(ValueError, f"{name}: t has nan in row 1"):
        loss(good, [[0.5, 0.5, 0.5], [0.5, np.nan, 0.5]])
    with refused(ValueError, f"{name}: t has inf in row 0"):
        loss(good, [[0.5, np.inf, 0.5], [0.5, 0.5, 0.5]])
    with refused(ValueError, f"{name}: sample_weight has shape (3,), should be (2,)"):
        loss(good, good, sample_weight=[1, 1, 1])
    with refused(ValueError, f"{name}: sample_weight has -1 in row 1"):
        loss(good, good, sample_weight=[1, -1])
    with refused(ValueError, f"{name}: sample_weight has nan in row 0"):
        loss(good, good, sample_weight=[np.nan, 1])


@pytest.mark.parametrize(
    ("name", "bad", "should"),
    [
        ("cross_entropy", -0.5, "finite and at least 0"),
        ("poisson", -0.5, "finite and at least 0"),
        ("binary_cross_entropy", -0.5, "from 0 to 1"),
        ("binary_cross_entropy", 2, "from 0 to 1"),
    ],
)
def test_targets_out_of_range(name, bad, should):
    with refused(ValueError, f"{name}: t has {bad} in row 1, but its numbers should be {should}"):
        LOSSES[name][0](np.zeros((2, 2)), [[0.5, 0.5], [0.5, bad]])


@pytest.mark.parametrize(
    ("label", "shown"), [(3, "3"), (-1, "-1"), (0.5, "0.5"), (math.nan, "nan"), (math.inf, "inf")]
)
def test_bad_labels(label, shown):
    message = f"cross_entropy: t has label {shown}, but logits has 3 classes (labels 0 to 2)"
    with refused(ValueError, message):
        cnn.cross_entropy(np.zeros((3, 3)), [0, label, 2])


def test_loss_settings_refused():
    z = np.zeros((1, 2))
    with refused(ValueError, "cross_entropy: label_smoothing is 1, should be at least 0 and less"):
        cnn.cross_entropy(z, [0], label_smoothing=1.0)
    with refused(ValueError, "huber: delta is 0, should be finite and more than 0"):
        cnn.huber(z, z, 0.0)
    with refused(TypeError, "huber: delta is of type str, should be a number"):
        cnn.huber(z, z, "1")
    three = np.zeros((2, 3))
    for levels, error, message in (
        ((0.1, 0.9), ValueError, "quantiles has 2 levels (0.1, 0.9), but y has 3 outputs"),
        ((), ValueError, "quantiles is empty, should have a number for each output"),
        (0.5, ValueError, "quantiles has 1 levels (0.5,), but y has 3 outputs, should be a level"),
        ((0.1, 0.5, 1.0), ValueError, "quantiles[2] is 1, should be more than 0 and less than 1"),
        ((0.0, 0.5, 0.9), ValueError, "quantiles[0] is 0, should be more than 0 and less than 1"),
        ((np.nan, 0.5, 0.9), ValueError, "quantiles[0] is nan, should be more than 0 and less"),
        ((0.5, 0.5, 0.9), ValueError, "quantiles[1] is 0.5, should be more than 0.5, the one"),
        ((0.1, 0.9, 0.5), ValueError, "quantiles[2] is 0.5, should be more than 0.9, the one"),
        (("a", 0.5, 0.9), TypeError, "quantiles[0] is of type str, should be a number"),
        ("abc", TypeError, "quantiles is of type str, should be a number"),
        (None, TypeError, "quantiles is of type NoneType, should be a number"),
        (True, TypeError, "quantiles is of type bool, should be a number"),
        (np.full((3, 1), 0.5), TypeError, "quantiles[0] is of type list, should be a number"),
    ):
        with refused(error, f"quantile_loss: {message}"):
            cnn.quantile_loss(three, three, levels)
    with refused(ValueError, "t has shape (2, 2), should be (2,) or (2, 1) for all outputs, or (2"):
        cnn.quantile_loss(three, np.zeros((2, 2)))
    with refused(ValueError, "quantile_loss: t has nan in row 1"):
        cnn.quantile_loss(three, [0, np.nan])
    with refused(ValueError, "cross_entropy: logits has 1 dimensions (3,), should have 2"):
        cnn.cross_entropy(np.zeros(3), [0])
    with refused(ValueError, "(2,) class numbers or (2, 3) probabilities"):
        cnn.cross_entropy(np.zeros((2, 3)), [[0], [1]])
