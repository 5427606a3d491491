"""Weights and the optimizer's state stay finite, or the step is not made."""

import math

import numpy as np
import pytest
from marks import quick
from refused import refused

import cnn
from cnn import _core

OPTIMIZERS = {
    "sgd": lambda **o: cnn.SGD(0.01, **o),
    "momentum": lambda **o: cnn.SGD(0.01, momentum=0.9, **o),
    "nesterov": lambda **o: cnn.SGD(0.01, momentum=0.9, nesterov=True, **o),
    "adam": cnn.Adam,
    "adamw": cnn.AdamW,
    "rmsprop": cnn.RMSprop,
    "adagrad": cnn.Adagrad,
}
WITH_SQUARES = ["adam", "adamw", "rmsprop", "adagrad"]
SQUARE_OVERFLOWS = {"float32": 1e12, "float64": 1e100}  # as an input: its gradient's square does


def regressor(dtype="float32", sizes=(1, 1), **options):
    return cnn.mlp(list(sizes), "relu", "identity", rng=1, dtype=dtype, **options)


def everything(net, optimizer):
    """Return the bytes of all that a step changes."""
    trainer = optimizer._trainer
    parts = [p for layer in net for p in (layer.weight, layer.bias)] + trainer.get_state()
    return [p.tobytes() for p in parts], trainer.steps, net.predict(np.ones((1, net.inputs)))


def is_finite(net, optimizer):
    parts = [p for layer in net for p in (layer.weight, layer.bias)]
    return all(np.isfinite(p).all() for p in parts + optimizer._trainer.get_state())


@pytest.mark.parametrize("name", WITH_SQUARES)
def test_step_whose_state_overflows_is_not_made(name, dtype):
    """The loss and all gradients are finite, but their squares are not."""
    net, optimizer = regressor(dtype.name), OPTIMIZERS[name]()
    net.train_step([[1.0]], [0.0], optimizer=optimizer)
    before = everything(net, optimizer)
    message = (
        "train_step: the optimizer's state became NaN or infinite in step 2; the step was not made"
    )
    with refused(FloatingPointError, message):
        net.train_step([[SQUARE_OVERFLOWS[dtype.name]]], [0.0], optimizer=optimizer)
    assert everything(net, optimizer) == before
    net.train_step([[1.0]], [0.0], optimizer=optimizer)  # training goes on
    assert optimizer.steps == 2


@pytest.mark.parametrize("name", WITH_SQUARES)
@pytest.mark.parametrize("epochs", [1, 2])
def test_fit_stops_where_state_overflows(name, epochs, dtype):
    net, optimizer = regressor(dtype.name), OPTIMIZERS[name]()
    net.fit([[1.0], [2.0]], [0.0, 1.0], epochs=1, batch_size=1, optimizer=optimizer)
    before = everything(net, optimizer)
    x = [[1.0], [SQUARE_OVERFLOWS[dtype.name]], [2.0]]
    with refused(FloatingPointError, "fit: the optimizer's state became NaN or infinite in epoch"):
        net.fit(x, [0.0] * 3, epochs=epochs, batch_size=1, optimizer=optimizer)
    assert everything(net, optimizer) == before


@pytest.mark.parametrize("name", ["sgd", "momentum", "nesterov"])
def test_step_whose_weights_overflow_is_not_made(name):
    net, optimizer = regressor("float64"), OPTIMIZERS[name]()
    net.train_step([[1.0]], [0.0], optimizer=optimizer)
    before = everything(net, optimizer)
    optimizer.lr = 1e300
    with refused(FloatingPointError, "train_step: the weights became NaN or infinite in step 2"):
        net.train_step([[1e20]], [0.0], optimizer=optimizer)
    assert everything(net, optimizer) == before


def test_rates_that_the_type_cannot_hold():
    """A rate of 1e39 is infinite in float32, and infinity times a gradient of 0 is NaN."""
    net, optimizer = regressor(), cnn.SGD(1e39)
    with refused(FloatingPointError, "train_step: the weights became NaN or infinite in step 1"):
        net.train_step([[0.0]], [0.0], optimizer=optimizer)
    assert np.isfinite(net.layers[0].weight).all()
    decaying = cnn.AdamW(1e300, weight_decay=1e29)  # 1 - lr weight_decay is -infinity
    with refused(FloatingPointError, "train_step: the weights became NaN or infinite in step 1"):
        net.train_step([[1.0]], [0.0], optimizer=decaying)
    with refused(FloatingPointError, "fit: the weights became NaN or infinite in epoch 1"):
        net.fit([[1.0]], [0.0], epochs=1, optimizer=cnn.AdamW(1e300, weight_decay=1e29))
    assert np.isfinite(net.layers[0].weight).all()


def test_adam_without_eps_divides_zeros():
    """An input that is always 0 has m = v = 0, whose quotient is NaN."""
    net, optimizer = regressor(sizes=(2, 1)), cnn.Adam(eps=0.0)
    with refused(FloatingPointError, "train_step: the weights became NaN or infinite in step 1"):
        net.train_step([[0.0, 1.0]], [5.0], optimizer=optimizer)
    assert np.isfinite(net.layers[0].weight).all()


@pytest.mark.parametrize("in_place", [True, False], ids=["in place", "in panels"])
@pytest.mark.parametrize("l2", [0.0, 0.1])
def test_what_is_refused_leaves_every_form_of_the_weights(in_place, l2, network_of, parameters):
    """Weights in rows and in panels, with slots in either, and the copies that batches keep."""
    sizes = [7, 33, 5] if in_place else [70, 530, 300, 5]
    rows = 9 if in_place else 300
    network = network_of(sizes, "relu", "identity", l2=l2)
    trainer = _core.Trainer(network, "adam", **{"beta1": 0.9, "beta2": 0.999, "eps": 1e-8})
    loss = _core.Loss("squared_error")
    rng = np.random.default_rng(1)
    x, t = rng.standard_normal((rows, sizes[0])), rng.standard_normal((rows, sizes[-1]))
    trainer.step(loss, x, t, None, 1e-3)
    copy = _core.Trainer(network.copy(), "adam", **{"beta1": 0.9, "beta2": 0.999, "eps": 1e-8})
    copy.set_state(trainer.get_state())
    copy.steps = trainer.steps
    result = trainer.step(loss, 1e14 * x, t, None, 1e-3)
    assert not result.finite
    assert result.blame == "the optimizer's state"
    for one in (trainer, copy):
        assert one.step(loss, x, t, None, 1e-3).finite
    for a, b in zip(parameters(trainer.network), parameters(copy.network), strict=True):
        assert a.tobytes() == b.tobytes()
    assert trainer.network.predict(x).tobytes() == copy.network.predict(x).tobytes()


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("hidden", quick({"softplus"}, ["relu", "tanh", "softplus"]))
@pytest.mark.parametrize("rows", [1, 3])
def test_steps_are_made_whole_or_not_at_all(name, hidden, rows, dtype):
    """At every magnitude of inputs, weights and rates: the bounds must not call a step safe that
    is not. Some steps are made and some are not, so that both sides are met.
    """
    most = math.log10(float(np.finfo(dtype).max))
    made = refusals = 0
    for power in np.linspace(-1, 0.99, 40) * most:
        for lr in (1e-3, 1e20):
            optimizer = OPTIMIZERS[name]()
            optimizer.lr = lr
            net = cnn.mlp([2, 3, 1], hidden, "identity", rng=1, dtype=dtype, l2=1e-3)
            x = np.full((rows, 2), 10.0**power)
            for _ in range(3):
                before = [p.tobytes() for layer in net for p in (layer.weight, layer.bias)]
                try:
                    net.train_step(x, np.full(rows, 10.0**power), optimizer=optimizer)
                except FloatingPointError:
                    refusals += 1
                    after = [p.tobytes() for layer in net for p in (layer.weight, layer.bias)]
                    assert after == before
                else:
                    made += 1
                assert is_finite(net, optimizer)
    assert made > 20
    assert refusals > 20


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_checked_steps_are_those_of_epochs(name, dtype, network_of, parameters):
    """Whether a step is known to be safe or is tried changes no bit."""
    options = OPTIMIZERS[name]()._options()
    kind = OPTIMIZERS[name]()._kind()
    loss = _core.Loss("squared_error")
    rng = np.random.default_rng(2)
    # So large that squares of gradients are within reach of the largest number.
    size = 1e9 if dtype == np.float32 else 1e76
    x, t = size * rng.standard_normal((6, 5)), rng.standard_normal((6, 2))
    networks = [network_of([5, 8, 2], "tanh", "identity", dtype=dtype) for _ in range(2)]
    single, whole = (_core.Trainer(network, kind, **options) for network in networks)
    for _ in range(4):
        assert single.step(loss, x, t, None, 1e-3).finite
    for _ in range(4):
        index, lr = np.arange(6, dtype=np.uintp), np.array([1e-3])
        assert whole.epoch(loss, x, t, None, index, 6, lr).finite
    assert whole.finite() == (True, True)
    for a, b in zip(*(parameters(n) for n in networks), strict=True):
        assert a.tobytes() == b.tobytes()
    for a, b in zip(single.get_state(), whole.get_state(), strict=True):
        assert a.tobytes() == b.tobytes()


# ---- clip_norm ---------------------------------------------------------------------------------


@pytest.mark.parametrize("power", [0, 40, 90, 150, 153])
def test_clipped_step_has_the_norm_asked_for(power):
    """The squares of gradients of 1e160 and more overflow in float64."""
    net = regressor("float64", sizes=(3, 1))
    before = np.append(net.layers[0].weight.ravel(), net.layers[0].bias)
    x = np.array([[3.0, -4.0, 12.0]]) * 10.0**power
    net.train_step(x, [-1.0], optimizer=cnn.SGD(1.0, clip_norm=0.5))
    step = np.append(net.layers[0].weight.ravel(), net.layers[0].bias) - before
    assert np.linalg.norm(step) == pytest.approx(0.5, rel=1e-6)
    if power > 0:
        np.testing.assert_allclose(np.abs(step[:3]), np.array([3, 4, 12]) / 13 * 0.5, rtol=1e-12)


def test_clip_factor_that_float32_cannot_hold():
    """Gradients of 1e37 brought down to 1e-3: the factor, 1e-40, is denormal in float32."""
    net = regressor(sizes=(3, 1))
    before = net.layers[0].weight.astype(np.float64)
    x = np.array([[3.0, -4.0, 12.0]]) * 1e17
    net.train_step(x, [-1.0], optimizer=cnn.SGD(1.0, clip_norm=1e-3))
    step = (net.layers[0].weight.astype(np.float64) - before).ravel()
    # Weights near 1 hold a step of 1e-3 to 2^-24.
    np.testing.assert_allclose(np.abs(step), np.array([3, 4, 12]) / 13 * 1e-3, atol=2.0**-23)


def test_gradients_whose_squares_underflow_are_as_small_as_before():
    """1e-200 is nothing beside the 1e-6 of the formula: clip_norm / (norm + 1e-6) of it is left."""
    net = regressor("float64")
    net.layers[0].weight = [[0.0]]
    net.train_step([[1e-200]], [-1.0], optimizer=cnn.SGD(1.0, clip_norm=1.0))
    assert net.layers[0].bias[0] == pytest.approx(-1 / (1 + 1e-6), rel=1e-15)
    assert net.layers[0].weight[0, 0] == pytest.approx(-1e-200 / (1 + 1e-6), rel=1e-12)
    both = regressor("float64", sizes=(1, 1))
    both.layers[0].weight = [[1e-200]]
    both.train_step([[1.0]], [0.0], optimizer=cnn.SGD(1.0, clip_norm=1e-8))
    assert both.layers[0].weight[0, 0] == pytest.approx(1e-200 - 1e-202, rel=1e-12)


# ---- State from elsewhere ----------------------------------------------------------------------


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, -1.0])
@pytest.mark.parametrize("name", ["momentum", *WITH_SQUARES])
def test_state_that_no_training_leaves_is_refused(name, bad, dtype):
    net, optimizer = regressor(dtype.name, sizes=(2, 3, 1)), OPTIMIZERS[name]()
    net.train_step(np.ones((2, 2)), [0.0, 1.0], optimizer=optimizer)
    before, state = everything(net, optimizer), optimizer._trainer.get_state()
    state[0][:] = 3.0
    state[-1][4] = bad
    if name == "momentum" and bad == -1:
        optimizer._trainer.set_state(state)
        return
    slot = len(state) - 1
    with refused(ValueError, f"set_state: the optimizer's state has {bad:g} at 4 of slot {slot}"):
        optimizer._trainer.set_state(state)
    assert everything(net, optimizer) == before


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_checkpoint_with_bad_state_is_refused(bad, dtype, tmp_path):
    net, optimizer = regressor(dtype.name, sizes=(2, 3, 1)), cnn.Adam()
    net.train_step(np.ones((2, 2)), [0.0, 1.0], optimizer=optimizer)
    path = tmp_path / "net.safetensors"
    net.save(path, optimizer=optimizer)
    state = optimizer._trainer.get_state()[1]
    content = bytearray(path.read_bytes())
    at = content.index(state[:6].tobytes())
    content[at : at + state.itemsize] = state.dtype.type(bad).tobytes()
    path.write_bytes(content)
    with refused(cnn.ModelFileError, "load_checkpoint: "):
        cnn.load_checkpoint(path)
    assert np.isfinite(cnn.load(path).predict(np.ones((1, 2)))).all()


# ---- Settings whose bounds are hard to see -----------------------------------------------------


@pytest.mark.parametrize(
    ("gradient", "clip_norm", "expected"),
    [(1e180, 1e200, 1.0), (1e155, 1e160, 1.0), (1e200, 1e300, 1.0), (1e180, 1e179, 0.1)],
)
def test_clip_norm_makes_no_gradient_larger(gradient, clip_norm, expected):
    net = cnn.Sequential([cnn.Dense(1, 1, init="zeros")], dtype="float64")
    optimizer = cnn.SGD(1 / gradient, clip_norm=clip_norm)
    net.train_step([[gradient]], [1.0], optimizer=optimizer)
    assert net.layers[0].weight[0, 0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    "optimizer",
    [cnn.Adam(eps=1e-44), cnn.AdamW(eps=1e-44), cnn.RMSprop(eps=1e-46), cnn.Adagrad(eps=1e-46)],
)
def test_an_eps_that_is_0_in_float32(optimizer):
    net = cnn.Sequential([cnn.Dense(1, 1, init="zeros")])
    with refused(FloatingPointError, "train_step: "):
        net.train_step([[1.0]], [[1e-30]], optimizer=optimizer)
    assert (net.layers[0].weight, net.layers[0].bias) == (0, 0)


@pytest.mark.parametrize("parameter", ["weight", "bias"])
def test_parameters_that_overflow_are_refused(parameter):
    layer = cnn.Sequential([cnn.Dense(2, 2, init="zeros")]).layers[0]
    values = np.zeros(getattr(layer, parameter).shape)
    values[-1] = 1e39
    with refused(ValueError, f"Dense: {parameter} has 1e+39 at [1"):
        setattr(layer, parameter, values)
    assert not getattr(layer, parameter).any()
