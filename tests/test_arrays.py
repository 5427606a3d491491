"""Arrays as they come: every dtype and layout gives the bits of a plain copy."""

import numpy as np
import pytest
from core_world import LABELS, ROWS
from hypothesis import assume, given
from hypothesis import strategies as st

from cnn import _core

DTYPES = [
    *(np.dtype(f"{sign}int{size}") for sign in ("", "u") for size in (8, 16, 32, 64)),
    *(np.dtype(name) for name in ("bool", "float16", "float32", "float64")),
]


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
    network = _core.Network([_core.LayerSpec("dense", 3, 2, "relu")])
    network.set(0, "weight", w)
    assert bits(network.get(0, "weight")) == bits(small[1])


@pytest.mark.parametrize("stride", [1, 2])
def test_every_float16(stride, dtype):
    """Denormals, infinities and NaN among them; a weight of 1 hands them on."""
    network = _core.Network([_core.LayerSpec("dense", 2, 2)], dtype=dtype)
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
