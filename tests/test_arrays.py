"""Arrays as they come: every dtype and layout gives the bits of a plain copy, and bad ones errors.

After a call that fails, network, optimizer and `out` are as they were before.
"""

import re
import subprocess
import sys
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import cnn
from cnn import _core

DTYPES = [
    *(np.dtype(f"{sign}int{size}") for sign in ("", "u") for size in (8, 16, 32, 64)),
    *(np.dtype(name) for name in ("bool", "float16", "float32", "float64")),
]
LABELS = _core.Loss("cross_entropy", labels=True)
ROWS = _core.Loss("cross_entropy")
INPUTS, CLASSES = 6, 3

# ---- Layouts -----------------------------------------------------------------------------------


def c_order(a):
    return np.array(a, order="C")


def fortran(a):
    return np.array(a, order="F")


def backwards(a):
    """Negative strides along all axes."""
    everything = (slice(None, None, -1),) * a.ndim
    return np.ascontiguousarray(a[everything])[everything]


def spread_rows(a):
    """Every third row of a larger array."""
    large = np.zeros((3 * len(a) + 1, *a.shape[1:]), a.dtype)
    large[1::3] = a
    return large[1::3]


def spread_columns(a):
    """Every other element along the last axis."""
    large = np.ones((*a.shape[:-1], 2 * a.shape[-1] + 1), a.dtype)
    large[..., 1::2] = a
    return large[..., 1::2]


def padded(a):
    """Rows with a gap behind them."""
    large = np.ones((*a.shape[:-1], a.shape[-1] + 3), a.dtype)
    large[..., : a.shape[-1]] = a
    return large[..., : a.shape[-1]]


def page_rows(a):
    """Rows that are 4096 bytes apart, for which caches have no room."""
    large = np.ones((len(a), 4096), a.dtype)
    if a.ndim == 1:
        large[:, 0] = a
        return large[:, 0]
    large[:, : a.shape[1]] = a
    return large[:, : a.shape[1]]


def unaligned(a):
    """At an odd address."""
    buffer = bytearray(a.nbytes + 1)
    made = np.frombuffer(buffer, a.dtype, offset=1, count=a.size).reshape(a.shape)
    made[...] = a
    return made


def record(a):
    """A field of records, whose rows are an odd number of bytes apart."""
    row = np.dtype((a.dtype, a.shape[1:]))
    records = np.zeros(len(a), np.dtype([("gap", np.uint8), ("value", row)]))
    records["value"] = a
    return records["value"]


def read_only(a):
    made = a.copy()
    made.flags.writeable = False
    return made


def one_row(a):
    """The first row over and over, by a stride of zero."""
    return np.broadcast_to(a[:1], a.shape)


def one_column(a):
    """The first column over and over."""
    return np.broadcast_to(a[..., :1], a.shape)


LAYOUTS = [
    c_order,
    fortran,
    backwards,
    spread_rows,
    spread_columns,
    padded,
    page_rows,
    unaligned,
    record,
    read_only,
    one_row,
    one_column,
]


def values(dtype, shape, seed):
    """Return numbers of a dtype, its extremes among the integers."""
    rng = np.random.default_rng(seed)
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        made = rng.integers(max(info.min, -9), 9, shape).astype(dtype)
        made.flat[:: 7 + seed % 5] = [info.min, info.max][seed % 2]
        return made
    return rng.standard_normal(shape).astype(dtype)


def labels(dtype, n, seed):
    high = 2 if dtype.kind == "b" else CLASSES
    return np.random.default_rng(seed).integers(0, high, n).astype(dtype)


any_dtype = st.sampled_from(DTYPES)
any_layout = st.sampled_from(LAYOUTS)
network_dtypes = st.sampled_from(["float32", "float64"])


@pytest.fixture(scope="module")
def networks(network_of):
    """Return a network of each type, with weights small enough for extremes of int64."""
    return {
        name: network_of([INPUTS, 9, CLASSES], "tanh", dtype=name, dropout=0.2)
        for name in ("float32", "float64")
    }


# ---- Any array is as good as its plain copy ----------------------------------------------------


@given(any_dtype, any_layout, network_dtypes, st.integers(0, 40), st.integers(0, 99))
def test_predict(networks, bits, dtype, layout, network_dtype, rows, seed):
    network = networks[network_dtype]
    x = values(dtype, (rows, INPUTS), seed)
    given_x = layout(x) if rows else x
    plain = np.array(given_x).astype(network_dtype)
    assert bits(network.predict(given_x)) == bits(network.predict(plain))
    if rows:
        assert bits(network.predict(given_x[0])) == bits(network.predict(plain[0]))


@given(
    st.tuples(any_dtype, any_layout),
    st.tuples(any_dtype, any_layout),
    st.none() | st.tuples(any_dtype, any_layout),
    network_dtypes,
    st.integers(1, 40),
    st.integers(0, 99),
)
def test_samples(networks, parameters, bits, of_x, of_t, of_weight, network_dtype, rows, seed):
    """evaluate, gradients, step and epoch read x, t and sample_weight the same way."""
    x = of_x[1](values(of_x[0], (rows, INPUTS), seed))
    t = of_t[1](labels(of_t[0], rows, seed + 1))
    weight = None
    if of_weight is not None:
        weight = of_weight[1](np.abs(values(of_weight[0], rows, seed + 2) % 5))
        assume(np.array(weight).any())
    index = np.random.default_rng(seed).permutation(rows).astype(np.uintp)

    def run(*data):
        network = networks[network_dtype].copy()
        trainer = _core.Trainer(network, "momentum", momentum=0.9, clip_norm=1.0)
        result = network.evaluate(LABELS, *data)
        found = [result.loss_sum, result.weight_sum, result.correct]
        found += network.gradients(LABELS, *data, 3)[1]
        trainer.step(LABELS, *data, 0.1)
        trainer.epoch(LABELS, *data, index, 7, np.full(6, 0.1))
        return bits(*found, *parameters(network))

    plain = [np.array(x).astype(network_dtype), np.array(t).astype(np.int64), None]
    if weight is not None:
        plain[2] = np.array(weight).astype(np.float64)
    assert run(x, t, weight) == run(*plain)


@given(any_dtype, any_layout, network_dtypes, st.integers(1, 40), st.integers(0, 99))
def test_rows_of_targets(networks, bits, dtype, layout, network_dtype, rows, seed):
    x = values(np.dtype(network_dtype), (rows, INPUTS), seed)
    t = layout(np.abs(values(dtype, (rows, CLASSES), seed) % 3))
    plain = np.array(t).astype(network_dtype)
    network = networks[network_dtype]
    found, expected = (network.gradients(ROWS, x, targets) for targets in (t, plain))
    assert bits(found[0], *found[1]) == bits(expected[0], *expected[1])


@given(any_dtype, any_layout, st.integers(1, 20), st.integers(1, 70), st.integers(0, 99))
def test_array_functions(bits, dtype, layout, rows, cols, seed):
    """float32 and float16 compute in float32, all others in float64."""
    x = layout(values(dtype, (rows, cols), seed))
    plain = np.array(x).astype("float32" if dtype in (np.float32, np.float16) else "float64")
    w, b = values(plain.dtype, (cols, 5), 1), values(plain.dtype, (5,), 2)
    calls = [
        lambda a: _core.activation("gelu", a),
        lambda a: _core.activation("softmax", a),
        _core.log_softmax,
        lambda a: _core.activation_backward("tanh", a, plain),
        lambda a: _core.dense(a, w, b, "relu"),
        lambda a: _core.loss_gradient(_core.Loss("squared_error"), a, a, None)[1],
    ]
    for call in calls:
        y = call(x)
        assert y.dtype == plain.dtype
        assert bits(y) == bits(call(plain))


@given(any_layout, network_dtypes, st.integers(1, 30), st.integers(0, 99))
def test_out(networks, bits, layout, network_dtype, rows, seed):
    """Any writeable layout of `out` takes the result, and nothing beside it is touched."""
    network = networks[network_dtype]
    x = values(np.dtype(network_dtype), (rows, INPUTS), seed)
    out = layout(np.full((rows, CLASSES), 7.0, network_dtype))
    if not out.flags.writeable or layout in (one_row, one_column):
        with pytest.raises(ValueError, match="predict: out is read-only, should be writeable"):
            network.predict(x, out)
        return
    beside = whole_of(out).copy()
    assert network.predict(x, out) is out
    assert bits(out) == bits(network.predict(x))
    out[...] = 7.0
    assert bits(whole_of(out)) == bits(beside)


def whole_of(array):
    """Return the memory that an array is a part of, as bytes."""
    base = array
    while isinstance(base.base, np.ndarray):
        base = base.base
    if base.base is not None:
        return np.frombuffer(base.base, np.uint8)
    if base.dtype.names:
        return np.frombuffer(base.tobytes(), np.uint8)
    return base


@given(any_layout, network_dtypes, st.integers(1, 30), st.integers(1, 40))
def test_out_of_array_functions(bits, layout, dtype, rows, cols):
    x = values(np.dtype(dtype), (rows, cols), rows)
    w = values(np.dtype(dtype), (cols, cols), cols)
    out = layout(np.empty((rows, cols), dtype))
    if not out.flags.writeable:
        return
    calls = {
        "tanh": lambda **out: _core.activation("tanh", x, **out),
        "softmax": lambda **out: _core.activation("softmax", x, **out),
        "log_softmax": lambda **out: _core.log_softmax(x, **out),
        "activation_backward": lambda **out: _core.activation_backward("relu", x, x, **out),
        "dense": lambda **out: _core.dense(x, w, None, "tanh", **out),
    }
    for name, call in calls.items():
        assert call(out=out) is out
        assert bits(out) == bits(call()), name


@pytest.mark.parametrize("name", _core.ACTIVATIONS)
def test_in_place(name, dtype, bits):
    x = values(dtype, (9, 21), 3)
    y, dx = _core.activation(name, x), _core.activation_backward(name, x, x)
    for layout in (c_order, fortran, backwards, spread_columns, unaligned):
        a = layout(x)
        assert _core.activation(name, a, a) is a
        assert bits(a) == bits(y)
        dy = layout(x)
        assert _core.activation_backward(name, dy, x, dy) is dy
        assert bits(dy) == bits(dx)


def test_memmap(tmp_path, networks, bits):
    x = values(np.dtype("float32"), (100, INPUTS), 0)
    x.tofile(tmp_path / "x")
    mapped = np.memmap(tmp_path / "x", np.float32, "r", shape=x.shape)
    network = networks["float32"]
    assert bits(network.predict(mapped)) == bits(network.predict(x))
    assert bits(network.predict(mapped[::-2])) == bits(network.predict(x[::-2]))
    t = labels(np.dtype("int64"), 100, 0)
    assert bits(*network.gradients(LABELS, mapped, t)[1]) == bits(
        *network.gradients(LABELS, x, t)[1]
    )


def test_mixed_types(bits):
    """The type of the computation is that of the first argument; the others are converted to it."""
    x, w, b = (values(np.dtype("float64"), shape, 1) for shape in ((4, 3), (3, 2), (2,)))
    small = [a.astype(np.float32) for a in (x, w, b)]
    expected = _core.dense(*small, "tanh")
    assert bits(_core.dense(small[0], w, b, "tanh")) == bits(expected)
    assert bits(_core.dense(small[0], w.tolist(), b.tolist(), "tanh")) == bits(expected)
    dy = expected
    assert bits(*_core.dense_backward(dy, x, w)) == bits(*_core.dense_backward(dy, *small[:2]))
    back = _core.activation_backward("tanh", dy, x[:, :2])
    assert bits(back) == bits(_core.activation_backward("tanh", dy, small[0][:, :2]))
    network = _core.Network([dense_layer(3, 2, "relu")])
    network.set(0, "weight", w)
    assert bits(network.get(0, "weight")) == bits(small[1])


@pytest.mark.parametrize("stride", [1, 2])
def test_every_float16(stride, dtype):
    """Denormals, infinities and NaN among them; a weight of 1 hands them on."""
    network = _core.Network([dense_layer(2, 2, "identity")], dtype=dtype)
    network.set(0, "weight", np.eye(2, dtype=dtype))
    x = np.zeros((2**15, 2 * stride), np.float16)[:, ::stride]
    x[...] = np.arange(2**16, dtype=np.uint16).view(np.float16).reshape(-1, 2)
    x = x[np.isfinite(x).all(1)]
    assert np.array_equal(network.predict(x), x.astype(dtype))
    for bad in (np.inf, -np.inf, np.nan):
        y = network.predict(np.full((3, 2), bad, np.float16))
        assert not np.isfinite(y).any()


@pytest.mark.parametrize("value", [3, 2.5, True, np.float32(1.5), np.int8(-4)])
def test_scalars(value):
    y = _core.activation("tanh", value)
    assert np.ndim(y) == 0
    assert y == _core.activation("tanh", np.array([value], np.asarray(y).dtype))[0]


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 4)])
def test_nothing_gives_nothing(shape, dtype):
    x = np.empty(shape, dtype)
    for y in (
        *(_core.activation(name, x) for name in _core.ACTIVATIONS),
        _core.log_softmax(x),
        _core.activation_backward("softmax", x, x),
    ):
        assert y.shape == shape
    w, b = np.empty((3, 2), dtype), np.empty(2, dtype)
    assert _core.dense(np.empty((0, 3), dtype), w, b, "tanh").shape == (0, 2)
    dx, dw, db = _core.dense_backward(np.empty((0, 2), dtype), np.empty((0, 3), dtype), w)
    assert dx.shape == (0, 3)
    assert not dw.any()
    assert not db.any()


@given(any_dtype, any_layout, st.integers(0, 40), st.integers(0, 3), st.integers(0, 99))
def test_first_outside(dtype, layout, rows, cols, seed):
    """The first number that is out of range, wherever it is; NaN and infinities always are."""
    x = values(dtype, (rows, cols) if cols else rows, seed)
    if dtype.kind == "f" and x.size:
        x.flat[seed % x.size] = [np.nan, np.inf, -np.inf, 0.0][seed % 4]
    x = layout(x) if x.size else x
    for low, high in ((-1.0, 1.0), (0.0, np.inf), (-np.inf, np.inf)):
        bad = (~np.isfinite(x) | (x < low) | (x > high)).ravel()
        assert _core.first_outside(x, low, high) == (bad.argmax() if bad.any() else -1)
        bad |= (x != np.floor(x)).ravel()
        found = _core.first_outside(x, low, high, whole=True)
        assert found == (bad.argmax() if bad.any() else -1)


def test_first_outside_of_many():
    """It looks at a block of rows at a time."""
    for x in (np.zeros((70000, 3), np.float32), np.zeros((70000, 3), np.int8)[:, ::-1]):
        assert _core.first_outside(x, 0, 1) == -1
        x[69999, 1] = 2
        assert _core.first_outside(x, 0, 1) == 69999 * 3 + 1


# ---- Bad arrays --------------------------------------------------------------------------------


class Bad(NamedTuple):
    """An argument that no call takes."""

    make: object
    error: type
    message: str


def good():
    return np.zeros((5, 3), np.float32)


BAD_ARRAYS = {
    "string": Bad(lambda: "abc", TypeError, "has dtype <U3"),
    "strings": Bad(lambda: np.array([["a"] * 3] * 5), TypeError, "has dtype <U1"),
    "bytes": Bad(lambda: b"abc", TypeError, r"has dtype \|S3"),
    "objects": Bad(lambda: good().astype(object), TypeError, "has dtype object"),
    "dict": Bad(lambda: {}, TypeError, "has dtype object"),
    "none": Bad(lambda: None, TypeError, "is None, should be an array of numbers"),
    "complex": Bad(lambda: good().astype(complex), TypeError, "has dtype complex128"),
    "swapped": Bad(lambda: good().astype(">f4"), TypeError, "has dtype >f4 in foreign byte order"),
    "swapped labels": Bad(lambda: np.zeros(5, ">i4"), TypeError, "has dtype >i4 in foreign"),
    "dates": Bad(lambda: np.zeros((5, 3), "M8[s]"), TypeError, r"has dtype datetime64\[s\]"),
    "records": Bad(lambda: np.zeros(5, [("a", "f4")]), TypeError, "has dtype"),
    "ragged": Bad(lambda: [[1.0, 2.0], [3.0]], ValueError, "is not a rectangular array of numbers"),
}
if np.dtype(np.longdouble).itemsize > 8:
    longdouble = np.dtype(np.longdouble).name
    BAD_ARRAYS[longdouble] = Bad(
        lambda: good().astype(np.longdouble), TypeError, f"has dtype {longdouble}"
    )


class World:
    """A network, a trainer and good arguments for all calls."""

    def __init__(self, network_of):
        self.network = network_of([3, 4, 2], "tanh")
        self.trainer = _core.Trainer(self.network, "momentum", momentum=0.9)
        self.x = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
        self.t = np.array([0, 1, 1, 0, 1])
        self.w = np.ones((3, 2), np.float32)
        self.dy = np.ones((5, 2), np.float32)
        self.index = np.arange(5, dtype=np.uintp)
        self.lr = np.full(5, 0.1)
        self.trainer.step(LABELS, self.x, self.t, None, 0.1)

    def state(self):
        found = [self.network.get(i, name) for i in (0, 1) for name in ("weight", "bias")]
        found += self.trainer.get_state()
        return b"".join(a.tobytes() for a in found), self.trainer.steps, self.network.layers


@pytest.fixture
def world(network_of):
    """Return good arguments, and see that nothing has changed at the end."""
    made = World(network_of)
    before = made.state()
    yield made
    assert made.state() == before


def epoch(w, x, t, weight):
    return w.trainer.epoch(LABELS, x, t, weight, w.index, 2, w.lr)


# Every argument that takes an array: "where: name" as messages begin, and a call with it.
ARRAY_ARGUMENTS = {
    "predict: x": lambda w, a: w.network.predict(a),
    "evaluate: x": lambda w, a: w.network.evaluate(LABELS, a, w.t),
    "evaluate: t": lambda w, a: w.network.evaluate(LABELS, w.x, a),
    "gradients: x": lambda w, a: w.network.gradients(LABELS, a, w.t),
    "gradients: t": lambda w, a: w.network.gradients(ROWS, w.x, a),
    "train_step: x": lambda w, a: w.trainer.step(LABELS, a, w.t, None, 0.1),
    "train_step: t": lambda w, a: w.trainer.step(LABELS, w.x, a, None, 0.1),
    "fit: x": lambda w, a: epoch(w, a, w.t, None),
    "fit: t": lambda w, a: epoch(w, w.x, a, None),
    "tanh: x": lambda w, a: _core.activation("tanh", a),
    "softmax: x": lambda w, a: _core.activation("softmax", a),
    "log_softmax: x": lambda w, a: _core.log_softmax(a),
    "activation_backward: dy": lambda w, a: _core.activation_backward("tanh", a, w.x),
    "activation_backward: y": lambda w, a: _core.activation_backward("tanh", w.x, a),
    "activation_backward: x": lambda w, a: _core.activation_backward("gelu", w.x, a),
    "dense: x": lambda w, a: _core.dense(a, w.w, None, "tanh"),
    "dense: weight": lambda w, a: _core.dense(w.x, a, None, "tanh"),
    "dense_backward: dy": lambda w, a: _core.dense_backward(a, w.x, w.w),
    "dense_backward: x": lambda w, a: _core.dense_backward(w.dy, a, w.w),
    "dense_backward: weight": lambda w, a: _core.dense_backward(w.dy, w.x, a),
    "cross_entropy: logits": lambda w, a: _core.loss_gradient(LABELS, a, w.t, None),
    "huber: y": lambda w, a: _core.loss_gradient(_core.Loss("huber"), a, w.x, None),
    "poisson: log_rate": lambda w, a: _core.loss_gradient(_core.Loss("poisson"), a, w.x, None),
    "cross_entropy: t": lambda w, a: _core.loss_gradient(ROWS, w.x, a, None),
    "set: weight": lambda w, a: w.network.set(0, "weight", a),
    "set_state: state": lambda w, a: w.trainer.set_state([a]),
}
OPTIONAL_ARGUMENTS = {
    "evaluate: sample_weight": lambda w, a: w.network.evaluate(LABELS, w.x, w.t, a),
    "gradients: sample_weight": lambda w, a: w.network.gradients(LABELS, w.x, w.t, a),
    "train_step: sample_weight": lambda w, a: w.trainer.step(LABELS, w.x, w.t, a, 0.1),
    "fit: sample_weight": lambda w, a: epoch(w, w.x, w.t, a),
    "cross_entropy: sample_weight": lambda w, a: _core.loss_gradient(LABELS, w.x, w.t, a),
    "dense: bias": lambda w, a: _core.dense(w.x, w.w, a, "tanh"),
}


@pytest.mark.parametrize("argument", [*ARRAY_ARGUMENTS, *OPTIONAL_ARGUMENTS])
def test_bad_arrays(argument, world):
    for name, bad in BAD_ARRAYS.items():
        if name == "none" and argument in OPTIONAL_ARGUMENTS:
            continue
        with pytest.raises(bad.error, match=f"^{argument} {bad.message}"):
            {**ARRAY_ARGUMENTS, **OPTIONAL_ARGUMENTS}[argument](world, bad.make())


def zeros(*shape):
    return np.zeros(shape, np.float32)


# Wrong shapes: the argument, the array, and how the message goes on.
BAD_SHAPES = [
    ("predict: x", (5, 4), "has 4 columns, but the first layer has 3 inputs"),
    ("predict: x", (4,), "has 4 columns, but the first layer has 3 inputs"),
    ("predict: x", (5, 0), "has 0 columns, but the first layer has 3 inputs"),
    ("predict: x", (5, 3, 1), "has 3 dimensions (5, 3, 1), should have 1 or 2"),
    ("predict: x", (), "has 0 dimensions (), should have 1 or 2"),
    ("evaluate: x", (5, 4), "has 4 columns, but the first layer has 3 inputs"),
    ("evaluate: x", (3,), "has 1 dimensions (3,), should have 2"),
    ("evaluate: t", (4,), "has 4 rows, but x has 5"),
    ("evaluate: t", (), "has 0 dimensions (), should have 2"),
    ("gradients: x", (5, 3, 1), "has 3 dimensions (5, 3, 1), should have 2"),
    ("gradients: t", (5, 3), "has shape (5, 3), should be (5, 2)"),
    ("gradients: t", (5,), "has shape (5, 1), should be (5, 2)"),
    ("gradients: t", (5, 3, 1), "has 3 dimensions (5, 3, 1), should have 2"),
    ("train_step: x", (4, 3), "has 5 rows, but x has 4"),
    ("train_step: t", (5, 2), "has shape (5, 2), should be (5, 1)"),
    ("fit: x", (5, 2), "has 2 columns, but the first layer has 3 inputs"),
    ("fit: t", (6,), "has 6 rows, but x has 5"),
    ("evaluate: sample_weight", (4,), "has shape (4,), should be (5,), one number per row"),
    ("gradients: sample_weight", (5, 1), "has shape (5, 1), should be (5,), one number per row"),
    ("train_step: sample_weight", (), "has shape (), should be (5,), one number per row"),
    ("fit: sample_weight", (0,), "has shape (0,), should be (5,), one number per row"),
    ("cross_entropy: sample_weight", (5, 1), "has 2 dimensions (5, 1), should have 1"),
    ("cross_entropy: sample_weight", (4,), "has shape (4, 1), should be (5, 1)"),
    ("cross_entropy: t", (5, 2), "has shape (5, 2), should be (5, 3)"),
    ("cross_entropy: logits", (5, 2, 2), "has 3 dimensions (5, 2, 2), should have 2"),
    ("activation_backward: y", (3, 5), "has shape (3, 5), should be that of dy, (5, 3)"),
    ("activation_backward: x", (15,), "has shape (15,), should be that of dy, (5, 3)"),
    ("dense: x", (5, 4), "has 4 columns, but weight has 3 rows"),
    ("dense: x", (1, 5, 3), "has 3 dimensions (1, 5, 3), should have 2"),
    ("dense: weight", (3,), "has 1 dimensions (3,), should have 2"),
    ("dense: bias", (3,), "has shape (3,), should be (2,) as weight has so many columns"),
    ("dense: bias", (1, 2), "has shape (1, 2), should be (2,) as weight has so many columns"),
    ("dense_backward: dy", (5, 3), "has shape (5, 3), should be (5, 2) as weight has so many"),
    ("dense_backward: x", (4, 3), "has shape (4, 3), should be (5, 3) after dy and weight"),
    ("dense_backward: weight", (6,), "has 1 dimensions (6,), should have 2"),
    ("set: weight", (4, 3), "has shape (4, 3), should be (3, 4)"),
    ("set_state: state", (25,), "has shape (25,), should be (26,)"),
]


@pytest.mark.parametrize(("argument", "shape", "message"), BAD_SHAPES)
def test_bad_shapes(argument, shape, message, world):
    call = {**ARRAY_ARGUMENTS, **OPTIONAL_ARGUMENTS}[argument]
    where = argument.split(":")[0]
    with pytest.raises(ValueError, match=f"^{where}: .*{re.escape(message)}"):
        call(world, zeros(*shape))


@pytest.mark.parametrize("where", ["evaluate", "gradients", "train_step", "fit"])
def test_no_rows(where, world):
    calls = {
        "evaluate": lambda: world.network.evaluate(LABELS, zeros(0, 3), zeros(0)),
        "gradients": lambda: world.network.gradients(LABELS, zeros(0, 3), zeros(0)),
        "train_step": lambda: world.trainer.step(LABELS, zeros(0, 3), zeros(0), None, 0.1),
        "fit": lambda: world.trainer.epoch(
            LABELS, zeros(0, 3), zeros(0), None, world.index[:0], 2, world.lr
        ),
    }
    with pytest.raises(ValueError, match=f"^{where}: (x has 0 rows, needs|count is 0, should be) "):
        calls[where]()


def test_losses_of_nothing():
    with pytest.raises(ValueError, match=r"has shape \(0, 3\), needs at least one element"):
        _core.loss_gradient(LABELS, zeros(0, 3), zeros(0), None)


SAMPLE_CALLS = {
    "evaluate": lambda w, loss, t, weight: w.network.evaluate(loss, w.x, t, weight),
    "gradients": lambda w, loss, t, weight: w.network.gradients(loss, w.x, t, weight),
    "train_step": lambda w, loss, t, weight: w.trainer.step(loss, w.x, t, weight, 0.1),
    "fit": lambda w, loss, t, weight: w.trainer.epoch(loss, w.x, t, weight, w.index, 2, w.lr),
}


@pytest.mark.parametrize("where", SAMPLE_CALLS)
@pytest.mark.parametrize("label", [2, -1, 0.5, np.nan, np.inf, 1e300, 2**63])
def test_bad_labels(where, label, world):
    """Wherever the label is: no step is made before all of them have been looked at."""
    for row in (0, 4):
        t = np.array([0, 1, 1, 0, 1], np.uint64 if label == 2**63 else np.float64)
        t[row] = label
        message = rf"^{where}: t has label .+ in row {row}, but the output layer has 2 classes"
        with pytest.raises(ValueError, match=message):
            SAMPLE_CALLS[where](world, LABELS, t, None)


@pytest.mark.parametrize("where", SAMPLE_CALLS)
@pytest.mark.parametrize("weight", [-1, np.nan, np.inf, -1e-300])
def test_bad_sample_weights(where, weight, world):
    weights = np.ones(5)
    weights[4] = weight
    message = f"^{where}: sample_weight of row 4 is .+, should be finite and not negative"
    with pytest.raises(ValueError, match=message):
        SAMPLE_CALLS[where](world, LABELS, world.t, weights)


BAD_LOSSES = [
    ({"kind": "squared_error"}, "squared_error does not go with the output layer's softmax"),
    ({"kind": "poisson"}, "poisson does not go with the output layer's softmax; it needs identity"),
    ({"kind": "huber", "delta": -1.0}, "delta is -1, should be positive"),
    ({"kind": "huber", "delta": np.nan}, "delta is nan, should be positive"),
    ({"kind": "huber", "labels": True}, "huber takes rows of targets, not labels"),
    ({"kind": "huber", "label_smoothing": 0.1}, "label_smoothing belongs to cross_entropy"),
    (
        {"kind": "cross_entropy", "label_smoothing": 1.0},
        "label_smoothing is 1, should be in [0, 1)",
    ),
    ({"kind": "cross_entropy", "class_weight": [1, 1]}, "class_weight needs labels as targets"),
    (
        {"kind": "cross_entropy", "labels": True, "class_weight": [1, -1]},
        "class_weight of class 1 is -1, should be finite and not negative",
    ),
    (
        {"kind": "cross_entropy", "labels": True, "class_weight": [1, 1, 1]},
        "class_weight has shape (3,), should be (2,) for 2 classes",
    ),
]


@pytest.mark.parametrize("where", SAMPLE_CALLS)
@pytest.mark.parametrize(("settings", "message"), BAD_LOSSES)
def test_bad_losses(where, settings, message, world):
    t = world.t if settings.get("labels") else world.dy
    with pytest.raises(ValueError, match=f"^{where}: {re.escape(message)}"):
        SAMPLE_CALLS[where](world, _core.Loss(**settings), t, None)


def test_losses_by_name():
    with pytest.raises(ValueError, match=r"^loss: kind is 'nll', should be one of squared_error, "):
        _core.Loss("nll")
    with pytest.raises(TypeError, match=r"^loss: kind is of type int, should be a string"):
        _core.Loss(3)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e38])
def test_no_step_where_the_loss_is_not_finite(bad, world):
    """Nor any after it; those before it stay made."""
    network = _core.Network([dense_layer(3, 2, "identity")])
    network.initialize(0, "torch")
    trainer = _core.Trainer(network, "momentum", momentum=0.9)
    before = network.get(0, "weight"), trainer.get_state()[0]
    x = world.x.copy()
    x[2] = bad
    loss = _core.Loss("squared_error")
    assert not trainer.step(loss, x, world.dy, None, 0.1).finite
    assert np.array_equal(network.get(0, "weight"), before[0])
    assert np.array_equal(trainer.get_state()[0], before[1])
    result = trainer.epoch(loss, x, world.dy, None, world.index, 2, world.lr)
    assert (result.finite, result.steps, result.rows, trainer.steps) == (False, 1, 2, 1)


# ---- Bad settings ------------------------------------------------------------------------------


@pytest.mark.parametrize("lr", [-0.1, np.nan, np.inf])
def test_bad_learning_rates(lr, world):
    with pytest.raises(ValueError, match=r"^train_step: lr is .+, should be finite, 0 or more"):
        world.trainer.step(LABELS, world.x, world.t, None, lr)
    rates = np.array([0.1, 0.1, lr])
    with pytest.raises(ValueError, match=r"^fit: lr is .+, should be finite, 0 or more"):
        world.trainer.epoch(LABELS, world.x, world.t, None, world.index, 2, rates)


BAD_EPOCHS = [
    ({"index": np.arange(5) + 1}, "index has row 5, but x has 5 rows"),
    ({"index": np.array([0, -1])}, "index has row"),
    ({"index": np.empty(0, np.uintp)}, "count is 0, should be at least 1"),
    ({"batch_size": 0}, "batch_size is 0, should be at least 1"),
    ({"lr": np.full(2, 0.1)}, "lr has 2 numbers, should have one per step"),
]


@pytest.mark.parametrize(("change", "message"), BAD_EPOCHS)
def test_bad_epochs(change, message, world):
    arguments = {"index": world.index, "batch_size": 2, "lr": world.lr, **change}
    with pytest.raises(ValueError, match=f"^fit: {message}"):
        world.trainer.epoch(LABELS, world.x, world.t, None, *arguments.values())


def dense_layer(inputs=3, outputs=3, activation="tanh", l2=0.0):
    return _core.LayerSpec("dense", inputs, outputs, activation, l2)


def dropout_layer(rate):
    return _core.LayerSpec("dropout", rate=rate)


def test_layers_come_back_as_they_were_given():
    layers = [dense_layer(l2=0.5), dropout_layer(0.25), dense_layer(3, 2, "softmax")]
    network = _core.Network(layers)
    assert network.layers == layers
    assert {type(layer) for layer in network.layers} == {_core.LayerSpec}
    assert network.activation == "softmax"
    with pytest.raises(TypeError, match=r"^Sequential: layer 1 is of type tuple, should be a Lay"):
        _core.Network([layers[0], tuple(layers[2])])


BAD_NETWORKS = [
    ([], ValueError, "a network needs at least one layer"),
    ([dense_layer(0)], ValueError, "layer 0 has 0 inputs and 3 outputs, needs both"),
    ([dense_layer(outputs=0)], ValueError, "layer 0 has 3 inputs and 0 outputs, needs both"),
    ([dense_layer(), dense_layer(2)], ValueError, "layer 1 has 2 inputs, but the layer before"),
    (
        [dense_layer(activation="softmax"), dense_layer()],
        ValueError,
        "layer 0 has activation softm",
    ),
    ([dense_layer(l2=-1.0)], ValueError, "layer 0 has l2 -1, should be finite, 0 or more"),
    ([dense_layer(l2=np.nan)], ValueError, "layer 0 has l2 nan, should be finite, 0 or more"),
    ([dropout_layer(0.5), dense_layer()], ValueError, "layer 0 is a dropout layer, which belongs"),
    ([dense_layer(), dropout_layer(0.5)], ValueError, "layer 1 is a dropout layer, which belongs"),
    (
        [dense_layer(), dropout_layer(1.0), dense_layer()],
        ValueError,
        "layer 1 has rate 1, should be in",
    ),
    ([dense_layer(2**40, 2**40)], MemoryError, "layer 0 of 1099511627776 x 1099511627776 is too"),
    ([dense_layer(2**62, 2**62)], MemoryError, "layer 0 of .* is too large"),
    ([dense_layer(2**20, 2**31)], MemoryError, "out of memory for"),
]


@pytest.mark.parametrize(("layers", "error", "message"), BAD_NETWORKS)
def test_bad_networks(layers, error, message):
    with pytest.raises(error, match=f"^Sequential: {message}"):
        _core.Network(layers)


def test_bad_network_types():
    with pytest.raises(ValueError, match=r"^activation is 'swish', should be one of identity, "):
        _core.Network([dense_layer(activation="swish")])
    for dtype in ("int32", "float16", "complex64"):
        with pytest.raises(ValueError, match=f"dtype is {dtype}, should be float32 or float64"):
            _core.Network([dense_layer()], dtype=dtype)


BAD_TRAINERS = [
    ({"kind": "lion"}, "optimizer is 'lion', should be one of sgd, "),
    ({"kind": "momentum", "momentum": 1.0}, "optimizer: momentum is 1, should be in"),
    ({"kind": "adam", "beta1": -0.1}, "optimizer: beta1 is -0.1, should be in"),
    ({"kind": "adam", "beta2": np.nan}, "optimizer: beta2 is nan, should be in"),
    ({"kind": "adam", "eps": -1.0}, "optimizer: eps is -1, should be in"),
    ({"kind": "adamw", "weight_decay": np.inf}, "optimizer: weight_decay is inf, should be in"),
    ({"kind": "rmsprop", "alpha": 1.0}, "optimizer: alpha is 1, should be in"),
    ({"kind": "sgd", "clip_norm": -1.0}, "optimizer: clip_norm is -1, should be in"),
]


@pytest.mark.parametrize(("settings", "message"), BAD_TRAINERS)
def test_bad_trainers(settings, message, world):
    with pytest.raises(ValueError, match=f"^{message}"):
        _core.Trainer(world.network, **settings)


BAD_CALLS = [
    (lambda w: w.network.get(7, "weight"), "layer 7 is asked for, the network has 2"),
    (lambda w: w.network.set(2, "bias", zeros(3)), "layer 2 is asked for, the network has 2"),
    (lambda w: w.network.initialize(0, "he"), "init is 'he', should be one of glorot_uniform, "),
    (lambda w: w.network.initialize(5, "zeros"), "layer 5 is not a dense layer of this network"),
    (lambda w: w.network.initialize(0, "uniform", -1.0), "a is -1, should be finite, 0 or more"),
    (lambda w: w.network.set_l2(0, np.nan), "l2 is nan, should be finite, 0 or more"),
    (lambda w: w.network.set_l2(9, 1.0), "layer 9 is not a dense layer of this network"),
    (lambda w: w.network.set_metadata("a\0b", "c"), "key contains a NUL character"),
    (lambda w: w.trainer.set_state([]), "state has 0 slots, should have 1"),
    (lambda w: w.trainer.restore(), "there is no snapshot to go back to"),
    (lambda w: setattr(w.trainer, "steps", 2**63), "steps is too large"),
    (lambda w: _core.activation("swish", w.x), "activation: name is 'swish', should be one of"),
    (lambda w: _core.dense(w.x, w.w, None, "swish"), "activation is 'swish', should be one of"),
    (lambda w: _core.permutation(0, 0, 10, 5, 6), "first is 5 and count is 6; together they"),
    (lambda w: _core.permutation(0, 0, 10, 11, 0), "first is 11 and count is 0; together they"),
    (lambda w: _core.select_isa("sse9"), "name is 'sse9'; this build and machine have scalar"),
]


@pytest.mark.parametrize("number", range(len(BAD_CALLS)))
def test_bad_calls(number, world):
    call, message = BAD_CALLS[number]
    with pytest.raises(ValueError, match=re.escape(message)):
        call(world)


# ---- Bad out -----------------------------------------------------------------------------------

OUT_CALLS = {
    "predict": lambda w, out: w.network.predict(w.x, out),
    "dense": lambda w, out: _core.dense(w.x, w.w, None, "tanh", out),
    "tanh": lambda w, out: _core.activation("tanh", w.dy, out),
    "softmax": lambda w, out: _core.activation("softmax", w.dy, out),
    "log_softmax": lambda w, out: _core.log_softmax(w.dy, out),
    "activation_backward": lambda w, out: _core.activation_backward("tanh", w.dy, w.dy, out),
}


def locked(array):
    array.flags.writeable = False
    return array


BAD_OUTS = [
    (lambda: [[0.0]], TypeError, "out is of type list, should be a NumPy array"),
    (lambda: locked(zeros(5, 2)), ValueError, "out is read-only, should be writeable"),
    (lambda: zeros(5, 3), ValueError, r"out has shape \(5, 3\), should be \(5, 2\)"),
    (lambda: zeros(10), ValueError, r"out has shape \(10,\), should be \(5, 2\)"),
    (lambda: np.zeros((5, 2)), TypeError, "out has dtype float64, should be float32"),
    (lambda: np.zeros((5, 2), ">f4"), TypeError, "out has dtype >f4, should be float32"),
    (lambda: np.zeros((5, 2), int), TypeError, "out has dtype int64, should be float32"),
]


@pytest.mark.parametrize(("make", "error", "message"), BAD_OUTS)
@pytest.mark.parametrize("where", OUT_CALLS)
def test_bad_out(where, make, error, message, world):
    out = make()
    before = np.array(out)
    with pytest.raises(error, match=f"^{where}: {message}"):
        OUT_CALLS[where](world, out)
    assert np.array_equal(out, before)


def test_overlapping_out(world):
    memory = np.arange(60, dtype=np.float32) / 60
    x, near = memory[:15].reshape(5, 3), memory[10:20].reshape(5, 2)
    calls = {
        "predict: out overlaps x": lambda: world.network.predict(x, near),
        "dense: out overlaps x": lambda: _core.dense(x, world.w, None, "relu", near),
        "dense: out overlaps weight": lambda: _core.dense(
            world.x, memory[14:20].reshape(3, 2), None, "relu", near
        ),
        "dense: out overlaps bias": lambda: _core.dense(
            world.x, world.w, memory[18:20], "relu", near
        ),
        "tanh: out overlaps x": lambda: _core.activation("tanh", memory[:9], memory[1:10]),
        "softmax: out overlaps x": lambda: _core.activation("softmax", x, x[::-1]),
        "log_softmax: out overlaps x": lambda: _core.log_softmax(memory[:9], memory[8::-1]),
        "activation_backward: out overlaps dy": lambda: _core.activation_backward(
            "tanh", memory[:9], memory[20:29], memory[1:10]
        ),
        "activation_backward: out overlaps y": lambda: _core.activation_backward(
            "tanh", memory[20:29], memory[:9], memory[:9]
        ),
    }
    before = memory.copy()
    for message, call in calls.items():
        with pytest.raises(ValueError, match=f"^{message}, should not share memory with it"):
            call()
        assert np.array_equal(memory, before)


@given(st.data())
def test_overlap_is_what_numpy_finds(data):
    """Views of one memory with any offset and strides, so that many touch without sharing."""
    memory = np.arange(200, dtype=np.float32) / 200

    def view():
        shape = data.draw(st.tuples(*[st.integers(0, 4)] * data.draw(st.integers(0, 3))))
        steps = data.draw(st.tuples(*[st.integers(-7, 7)] * len(shape)))
        start = data.draw(st.integers(84, 115))
        return np.lib.stride_tricks.as_strided(
            memory[start:], shape, [4 * step for step in steps], writeable=True
        )

    x, out = view(), view()
    if x.shape != out.shape:
        out = np.lib.stride_tricks.as_strided(out, x.shape, x.strides)
    same = x.__array_interface__ == out.__array_interface__
    expected = np.tanh(x.astype(float))
    before = memory.copy()
    if same or not np.shares_memory(x, out):
        assert _core.activation("tanh", x, out) is out
        if not has_repeats(out):
            assert np.allclose(out, expected, rtol=1e-6)
        return
    with pytest.raises(ValueError, match=r"^tanh: out overlaps x, should not share"):
        _core.activation("tanh", x, out)
    assert np.array_equal(memory, before)


def has_repeats(array):
    """Whether elements of an array share memory with one another."""
    places = np.zeros(array.shape, int)
    for axis, (length, stride) in enumerate(zip(array.shape, array.strides, strict=True)):
        steps = np.arange(length) * stride
        places += steps.reshape([-1 if i == axis else 1 for i in range(array.ndim)])
    return np.unique(places).size < places.size


def test_memory_of_other_objects():
    """What hands out its memory overlaps as an array does, and is written in place as one."""
    memory = np.linspace(0, 1, 9, dtype=np.float32)
    expected = np.tanh(memory)
    halves, records = memory.view(np.float16)[1:17:2], memory[1:].view(np.recarray)
    for x in (memoryview(memory)[1:], halves, records):
        with pytest.raises(ValueError, match=r"^tanh: out overlaps x"):
            _core.activation("tanh", x, memory[:8])
    assert _core.activation("tanh", memoryview(memory), memory) is memory
    assert np.allclose(memory, expected, rtol=1e-6)


@pytest.mark.parametrize(("rows", "cols"), [(0, 3), (3, 0)])
def test_nothing_overlaps_nothing(rows, cols, world):
    """Not even inside the memory of another array."""
    memory = np.zeros((5, 4), np.float32)
    x, out = memory[1 : 1 + rows, 1 : 1 + cols], memory[2 : 2 + rows, 1 : 1 + cols]
    assert _core.activation("tanh", x, out) is out
    nothing = memory[2:2, 1:3]
    assert world.network.predict(memory[:0, :3], nothing) is nothing


def test_neighbouring_out_is_allowed(world, bits):
    """Interleaved memory without a common element."""
    memory = np.zeros((5, 6), np.float32)
    memory[:, ::2] = world.x
    out = memory[:, 1:5:2]
    expected = world.network.predict(world.x)
    assert bits(world.network.predict(memory[:, ::2], out)) == bits(expected)
    assert bits(memory[:, ::2]) == bits(world.x)


# ---- Absurd sizes, and what may not crash ------------------------------------------------------


def test_absurd_sizes(world):
    """Rows without end, of which there is only one in memory."""
    x, t = np.broadcast_to(world.x[:1], (2**50, 3)), np.broadcast_to(world.t[:1], 2**50)
    calls = [
        lambda: world.network.predict(x),
        lambda: world.network.gradients(LABELS, x, t),
        lambda: world.trainer.step(LABELS, x, t, None, 0.1),
        lambda: _core.activation("tanh", x),
        lambda: _core.activation("softmax", x),
        lambda: _core.log_softmax(x),
        lambda: _core.dense(x, world.w, None, "tanh"),
        lambda: _core.dense_backward(x[:, :2], x, world.w),
        lambda: _core.loss_gradient(LABELS, x, t, None),
    ]
    for call in calls:
        with pytest.raises(MemoryError):
            call()


def test_an_absurd_batch_size_is_the_number_of_rows(world):
    """Its memory is not asked for."""
    network = world.network.copy()
    trainer = _core.Trainer(network, "sgd")
    result = trainer.epoch(LABELS, world.x, world.t, None, world.index, 2**62, world.lr)
    assert result.steps == 1


def test_philox_refuses():
    """Too few words, in a process of its own, since it used to read beyond them."""
    code = """
import numpy as np
from cnn import _core
for counter, key in (((1, 2, 3), (1, 2)), ((1, 2, 3, 4), (1,)), ((), ()), (5, 6)):
    try:
        _core.philox(counter, key)
    except (ValueError, TypeError):
        continue
    raise SystemExit(f"{counter}, {key} was taken")
"""
    done = subprocess.run([sys.executable, "-P", "-c", code], check=False, capture_output=True)
    assert done.returncode == 0, done


def test_paths_with_nul(tmp_path, network_of):
    """Such a path is none; it must not be cut off at the NUL."""
    network = network_of([2, 2])
    net = cnn.mlp([2, 2], "relu", "softmax", rng=0)
    network.save(tmp_path / "a")
    path = f"{tmp_path}/a\0b"
    for call in (network.save, _core.Network.load, _core.Trainer.load, net.save, cnn.load):
        with pytest.raises(ValueError, match=r"(?i)nul"):
            call(path)
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_network_is_not_built_twice(world):
    with pytest.raises(RuntimeError, match="__init__ is called twice"):
        world.network.__init__([dense_layer()])
    with pytest.raises(RuntimeError, match="__init__ is called twice"):
        world.trainer.__init__(world.network, "sgd")
