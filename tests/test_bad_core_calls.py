"""Settings, outputs and sizes that no call of `_core` takes.

After a call that fails, network, optimizer and `out` are as they were before.
"""

import re
import subprocess
import sys

import numpy as np
import pytest
from core_world import LABELS, watched, zeros
from hypothesis import given
from hypothesis import strategies as st

import cnn
from cnn import _core

# ---- Bad settings ------------------------------------------------------------------------------


@pytest.fixture
def world(network_of):
    yield from watched(network_of)


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


def test_layers_come_back_as_they_were_given():
    layers = [dense_layer(l2=0.5), dropout_layer(0.25), dense_layer(3, 2, "softmax")]
    network = _core.Network(layers)
    assert network.layers == layers
    assert {type(layer) for layer in network.layers} == {_core.LayerSpec}
    assert network.activation == "softmax"
    with pytest.raises(TypeError, match=r"^Sequential: layer 1 is of type tuple, should be a Lay"):
        _core.Network([layers[0], tuple(layers[2])])
