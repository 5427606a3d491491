"""Optimizers and schedules: settings, formulas, state, and refusals."""

import copy
import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refused import refused

import cnn
from cnn import _core, optimizers, schedules

KINDS = {
    "sgd": lambda **o: cnn.SGD(0.1, **o),
    "momentum": lambda **o: cnn.SGD(0.1, momentum=0.9, **o),
    "nesterov": lambda **o: cnn.SGD(0.1, momentum=0.9, nesterov=True, **o),
    "adam": lambda **o: cnn.Adam(0.1, betas=(0.8, 0.9), **o),
    "adamw": lambda **o: cnn.AdamW(0.1, betas=(0.8, 0.9), weight_decay=0.1, **o),
    "rmsprop": lambda **o: cnn.RMSprop(0.1, alpha=0.9, **o),
    "adagrad": lambda **o: cnn.Adagrad(0.1, **o),
}


def small_net():
    return cnn.Sequential([cnn.Dense(2, 3, "tanh"), cnn.Dense(3, 1)], rng=0, dtype="float64")


X = np.array([[0.5, -1.0], [2.0, 1.0], [-1.0, 0.25]])
T = np.array([1.0, -0.5, 2.0])


def parameters(net):
    return np.concatenate([p.ravel() for layer in net for p in (layer.weight, layer.bias)])


def gradient(net):
    _, parts = net.gradients(X, T)
    return np.concatenate([p.ravel() for part in parts for p in part])


# ---- Formulas ----------------------------------------------------------------------------------


def test_every_optimizer_of_libcnn_has_a_class():
    assert set(KINDS) == set(_core.OPTIMIZERS)
    assert {make()._kind() for make in KINDS.values()} == set(_core.OPTIMIZERS)


def formula(kind, w, g, state, k):
    """One step in NumPy, as PyTorch's documentation has it."""
    if kind == "sgd":
        return w - 0.1 * g
    if kind in ("momentum", "nesterov"):
        state["b"] = 0.9 * state.get("b", 0) + g
        return w - 0.1 * (g + 0.9 * state["b"] if kind == "nesterov" else state["b"])
    if kind in ("adam", "adamw"):
        if kind == "adamw":
            w = w - 0.1 * 0.1 * w
        state["m"] = 0.8 * state.get("m", 0) + 0.2 * g
        state["v"] = 0.9 * state.get("v", 0) + 0.1 * g * g
        m, v = state["m"] / (1 - 0.8**k), state["v"] / (1 - 0.9**k)
        return w - 0.1 * m / (np.sqrt(v) + 1e-8)
    if kind == "rmsprop":
        state["v"] = 0.9 * state.get("v", 0) + 0.1 * g * g
        return w - 0.1 * g / (np.sqrt(state["v"]) + 1e-8)
    state["v"] = state.get("v", 0) + g * g
    return w - 0.1 * g / (np.sqrt(state["v"]) + 1e-10)


@pytest.mark.parametrize("clip_norm", [None, 0.5, 100.0])
@pytest.mark.parametrize("kind", KINDS)
def test_formula(kind, clip_norm):
    net, optimizer, state = small_net(), KINDS[kind](clip_norm=clip_norm), {}
    for k in range(1, 6):
        g = gradient(net)
        if clip_norm is not None:
            g = g * min(1.0, clip_norm / (np.sqrt((g * g).sum()) + 1e-6))
        expected = formula(kind, parameters(net), g, state, k)
        net.train_step(X, T, optimizer=optimizer)
        np.testing.assert_allclose(parameters(net), expected, rtol=1e-12, atol=1e-14)
        assert optimizer.steps == k


def test_defaults_are_those_of_pytorch():
    assert repr(cnn.SGD()) == "SGD(lr=0.01, momentum=0.0, nesterov=False, clip_norm=None)"
    assert repr(cnn.Adam()) == "Adam(lr=0.001, betas=(0.9, 0.999), eps=1e-08, clip_norm=None)"
    assert repr(cnn.AdamW()) == (
        "AdamW(lr=0.001, betas=(0.9, 0.999), eps=1e-08, weight_decay=0.01, clip_norm=None)"
    )
    assert repr(cnn.RMSprop()) == "RMSprop(lr=0.01, alpha=0.99, eps=1e-08, clip_norm=None)"
    assert repr(cnn.Adagrad()) == "Adagrad(lr=0.01, eps=1e-10, clip_norm=None)"


# ---- State -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_object_goes_on(kind):
    one, two = small_net(), small_net()
    optimizer = KINDS[kind]()
    one.fit(X, T, epochs=4, optimizer=optimizer)
    kept = KINDS[kind]()
    two.fit(X, T, epochs=2, optimizer=kept)
    two.fit(X, T, epochs=2, optimizer=kept)
    np.testing.assert_array_equal(parameters(one), parameters(two))
    assert optimizer.steps == kept.steps == 4


def test_a_new_object_starts_afresh():
    net = small_net()
    net.fit(X, T, epochs=2, optimizer="adam")
    optimizer = cnn.Adam()
    net.fit(X, T, epochs=2, optimizer=optimizer)
    assert optimizer.steps == 2


def test_one_object_for_two_networks_is_refused():
    one, two, optimizer = small_net(), small_net(), cnn.Adam()
    one.fit(X, T, optimizer=optimizer)
    before = parameters(two)
    with refused(ValueError, "fit: optimizer belongs to another network"):
        two.fit(X, T, optimizer=optimizer)
    with refused(ValueError, "train_step: optimizer belongs to another network"):
        two.train_step(X, T, optimizer=optimizer)
    with refused(ValueError, "save: optimizer belongs to another network"):
        two.save("never written", optimizer=optimizer)
    np.testing.assert_array_equal(parameters(two), before)
    one.fit(X, T, optimizer=optimizer)


@pytest.mark.parametrize(
    "travel", [copy.copy, copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))]
)
@pytest.mark.parametrize("kind", KINDS)
def test_copies_keep_their_state(kind, travel):
    net, optimizer = small_net(), KINDS[kind]()
    net.fit(X, T, epochs=3, optimizer=optimizer)
    net_copy, optimizer_copy = copy.deepcopy(net), travel(optimizer)
    assert optimizer_copy.steps == 3
    assert repr(optimizer_copy) == repr(optimizer)
    net.fit(X, T, epochs=3, optimizer=optimizer)
    again = travel(optimizer_copy)  # a copy that no network has used yet
    net_copy.fit(X, T, epochs=3, optimizer=again)
    np.testing.assert_array_equal(parameters(net), parameters(net_copy))
    assert (optimizer.steps, again.steps, optimizer_copy.steps) == (6, 6, 3)


def test_copies_do_not_fit_other_networks():
    net, optimizer = small_net(), cnn.Adam()
    net.fit(X, T, optimizer=optimizer)
    state = copy.deepcopy(optimizer)
    other = cnn.Sequential([cnn.Dense(2, 1)], dtype="float64")
    with refused(ValueError, "holds the state of a float64 network with 13 parameters, but this"):
        other.fit(X, T, optimizer=state)
    single = cnn.Sequential([cnn.Dense(2, 3, "tanh"), cnn.Dense(3, 1)])
    with refused(ValueError, "but this is a float32 network with 13"):
        single.fit(X, T, optimizer=state)


# ---- Settings ----------------------------------------------------------------------------------


def test_only_lr_can_be_changed():
    optimizer = cnn.SGD(0.1, momentum=0.5)
    with refused(AttributeError, "SGD: momentum cannot be changed; only lr can"):
        optimizer.momentum = 0.9
    with refused(ValueError, "SGD: lr is -1, should be finite and at least 0"):
        optimizer.lr = -1
    assert (optimizer.lr, optimizer.momentum) == (0.1, 0.5)
    net = small_net()
    net.fit(X, T, optimizer=optimizer)
    optimizer.lr = 0
    before = parameters(net)
    net.fit(X, T, optimizer=optimizer)
    np.testing.assert_array_equal(parameters(net), before)


ALL = [cnn.SGD, cnn.Adam, cnn.AdamW, cnn.RMSprop, cnn.Adagrad]


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize(
    ("lr", "error", "message"),
    [
        (-0.1, ValueError, "lr is -0.1, should be finite and at least 0"),
        (math.nan, ValueError, "lr is nan"),
        (math.inf, ValueError, "lr is inf"),
        ("fast", TypeError, "lr is of type str, should be a number"),
        (None, TypeError, "lr is of type NoneType"),
        (True, TypeError, "lr is of type bool"),
        (cnn.Constant, TypeError, "lr is the class Constant, should be an object of it"),
    ],
)
def test_bad_lr(make, lr, error, message):
    with refused(error, f"{make.__name__}: {message}"):
        make(lr)


@pytest.mark.parametrize(
    ("make", "options", "error", "message"),
    [
        (cnn.SGD, {"momentum": 1}, ValueError, "SGD: momentum is 1, should be at least 0 and les"),
        (cnn.SGD, {"momentum": "x"}, TypeError, "SGD: momentum is of type str"),
        (cnn.SGD, {"nesterov": True}, ValueError, "SGD: nesterov is True, but momentum is 0"),
        (cnn.SGD, {"nesterov": 1}, TypeError, "SGD: nesterov is of type int, should be True or"),
        (cnn.Adam, {"betas": (0.9, 1.0)}, ValueError, "Adam: betas[1] is 1, should be at least"),
        (cnn.Adam, {"betas": 0.9}, TypeError, "Adam: betas is 0.9, should be a tuple of two"),
        (cnn.Adam, {"eps": -1}, ValueError, "Adam: eps is -1, should be finite and at least 0"),
        (cnn.AdamW, {"weight_decay": -1}, ValueError, "AdamW: weight_decay is -1"),
        (cnn.RMSprop, {"alpha": 1}, ValueError, "RMSprop: alpha is 1"),
        (cnn.Adagrad, {"eps": math.nan}, ValueError, "Adagrad: eps is nan"),
        *[
            (make, {"clip_norm": 0}, ValueError, f"{make.__name__}: clip_norm is 0, should be fin")
            for make in ALL
        ],
    ],
)
def test_bad_settings(make, options, error, message):
    with refused(error, message):
        make(**options)


def test_bad_optimizer_arguments():
    net = small_net()
    with refused(ValueError, "fit: optimizer is 'adamm', should be one of sgd, adam, adamw"):
        net.fit(X, T, optimizer="adamm")
    with refused(TypeError, "fit: optimizer is Adam, should be a name or an object like cnn.Adam"):
        net.fit(X, T, optimizer=cnn.Adam)
    with refused(TypeError, "fit: optimizer is of type int"):
        net.fit(X, T, optimizer=3)
    with refused(TypeError, "train_step: optimizer is 'adam', should be an object like cnn.Adam()"):
        net.train_step(X, T, optimizer="adam")


@pytest.mark.parametrize("name", optimizers.OPTIMIZERS)
def test_optimizers_by_name(name):
    one, two = small_net(), small_net()
    one.fit(X, T, epochs=2, optimizer=name)
    two.fit(X, T, epochs=2, optimizer=optimizers.OPTIMIZERS[name]())
    np.testing.assert_array_equal(parameters(one), parameters(two))


# ---- Schedules ---------------------------------------------------------------------------------

SCHEDULES = {
    "constant": (cnn.Constant(0.1), lambda k: 0.1),
    "step": (cnn.StepDecay(0.1, 3, gamma=0.7), lambda k: 0.1 * 0.7 ** (k // 3)),
    "exponential": (cnn.ExponentialDecay(0.1, 0.97), lambda k: 0.1 * 0.97**k),
    "cosine": (
        cnn.CosineDecay(0.1, 40, final=0.01),
        lambda k: 0.01 + 0.09 * (1 + math.cos(math.pi * min(k, 40) / 40)) / 2,
    ),
    "rising cosine": (
        cnn.CosineDecay(0.01, 40, final=0.1),
        lambda k: 0.1 - 0.09 * (1 + math.cos(math.pi * min(k, 40) / 40)) / 2,
    ),
    "warmup": (cnn.Warmup(0.1, 9), lambda k: 0.1 * min(k + 1, 10) / 10),
    "warmup, then decay": (
        cnn.Warmup(cnn.ExponentialDecay(0.1, 0.9), 9),
        lambda k: 0.1 * ((k + 1) / 10 if k < 9 else 0.9 ** (k - 9)),
    ),
    "warmup of a function": (
        cnn.Warmup(lambda k: 0.1 / (1 + k), 4),
        lambda k: 0.1 * (k + 1) / 5 if k < 4 else 0.1 / (k - 3),
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedule_formulas(name):
    schedule, expected = SCHEDULES[name]
    values = schedule.values(0, 60)
    assert values.dtype == np.float64
    # A few roundings more than the formula's own.
    np.testing.assert_allclose(values, [expected(k) for k in range(60)], rtol=1e-14, atol=1e-17)


@pytest.mark.parametrize("name", SCHEDULES)
@given(first=st.integers(0, 1000), count=st.integers(0, 50))
def test_schedules_are_functions_of_the_step(name, first, count):
    schedule = SCHEDULES[name][0]
    values = schedule.values(first, count)
    assert values.tolist() == [schedule(k) for k in range(first, first + count)]
    assert (values >= 0).all()


def test_cosine_ends():
    schedule = cnn.CosineDecay(0.3, 1000, final=0.1)
    assert schedule(0) == 0.3
    assert schedule(1000) == schedule(10**9) == 0.1
    values = schedule.values(0, 1001)
    assert (np.diff(values) <= 0).all()


def test_sine_is_accurate():
    x = np.linspace(0, math.pi / 2, 10001)
    exact = np.sin(x.astype(np.longdouble))
    error = abs(schedules._sine(x) - exact) / np.spacing(np.maximum(np.sin(x), 1e-300))
    assert float(error.max()) <= 2


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: cnn.Constant(-1), ValueError, "Constant: lr is -1"),
        (lambda: cnn.Constant(10**400), ValueError, "Constant: lr is too large for a float"),
        (lambda: cnn.StepDecay(0.1, 0), ValueError, "StepDecay: step_size is 0, should be at lea"),
        (lambda: cnn.StepDecay(0.1, 1.5), TypeError, "StepDecay: step_size is of type float"),
        (lambda: cnn.StepDecay(0.1, 1, -1), ValueError, "StepDecay: gamma is -1"),
        (lambda: cnn.ExponentialDecay(0.1, math.nan), ValueError, "ExponentialDecay: gamma is na"),
        (lambda: cnn.CosineDecay(0.1, 0), ValueError, "CosineDecay: steps is 0"),
        (lambda: cnn.CosineDecay(0.1, 1, final=-1), ValueError, "CosineDecay: final is -1"),
        (lambda: cnn.Warmup(-1, 3), ValueError, "Warmup: schedule is -1"),
        (lambda: cnn.Warmup(0.1, -1), ValueError, "Warmup: steps is -1"),
        (lambda: cnn.Warmup("x", 1), TypeError, "Warmup: schedule is of type str"),
        (lambda: cnn.Constant(1)(-1), ValueError, "Constant: step is -1, should be at least 0"),
        (lambda: cnn.Constant(1)(0.5), TypeError, "Constant: step is of type float"),
        (lambda: cnn.Constant(1).values(0, -1), ValueError, "Constant.values: count is -1"),
        (lambda: cnn.Constant(1).values(-1, 1), ValueError, "Constant.values: first is -1"),
    ],
)
def test_bad_schedules(make, error, message):
    with refused(error, message):
        make()


def test_schedules_cannot_be_changed():
    with pytest.raises(AttributeError):
        cnn.Constant(0.1).lr = 0.2
    assert cnn.StepDecay(0.1, 3) == cnn.StepDecay(0.1, 3)
    assert pickle.loads(pickle.dumps(cnn.Warmup(0.1, 3))) == cnn.Warmup(0.1, 3)


@pytest.mark.parametrize("by", ["schedule", "function"])
def test_lr_by_step(by):
    schedule = cnn.ExponentialDecay(0.1, 0.5)
    lr = schedule if by == "schedule" else lambda k: 0.1 * 0.5**k
    net, by_hand = small_net(), small_net()
    optimizer = cnn.SGD(lr)
    history = net.fit(X, T, epochs=3, batch_size=2, optimizer=optimizer, shuffle=False)
    assert history.lr == [0.1 * 0.5**k for k in (1, 3, 5)]
    manual = cnn.SGD()
    for k in range(6):
        manual.lr = 0.1 * 0.5**k
        rows = slice(0, 2) if k % 2 == 0 else slice(2, 3)
        by_hand.train_step(X[rows], T[rows], optimizer=manual)
    np.testing.assert_array_equal(parameters(net), parameters(by_hand))


@pytest.mark.parametrize(
    ("lr", "error", "message"),
    [
        (lambda k: -0.1, ValueError, "fit: lr(0) is -0.1, should be finite and at least 0"),
        (lambda k: math.nan, ValueError, "fit: lr(0) is nan"),
        (lambda k: "x", TypeError, "fit: lr(0) is of type str, should be a number"),
        (lambda k: 1 / k, ZeroDivisionError, "division by zero"),
        (cnn.ExponentialDecay(1.0, 1e300), ValueError, "fit: lr is inf at step 2"),
    ],
)
def test_functions_that_give_no_rate(lr, error, message):
    net = small_net()
    before = parameters(net)
    with refused(error, message):
        net.fit(X, T, batch_size=1, optimizer=cnn.SGD(lr))
    np.testing.assert_array_equal(parameters(net), before)


@pytest.mark.parametrize("name", [n for n in SCHEDULES if "function" not in n])
def test_schedules_in_json(name):
    schedule = SCHEDULES[name][0]
    assert schedules.from_json(schedules.to_json(schedule)) == schedule


class Sawtooth(cnn.Schedule):
    def _rates(self, steps):
        return 0.1 * (1.0 + steps % 3)


def test_schedules_of_the_users_own():
    schedule = Sawtooth()
    assert schedule(4) == 0.2
    history = small_net().fit(X, T, epochs=3, batch_size=3, optimizer=cnn.SGD(schedule))
    assert history.lr == schedule.values(0, 3).tolist()
    assert schedules.to_json(schedule) is None


def test_rates_in_json():
    assert schedules.from_json(schedules.to_json(0.1)) == 0.1
    assert schedules.to_json(lambda k: 0.1) is None
    assert schedules.to_json(cnn.Warmup(lambda k: 0.1, 3)) is None
    for bad in (None, True, "x", -1, {}, {"kind": "Constant"}, {"kind": "Warmup", "schedule": {}}):
        with pytest.raises(ValueError, match="lr"):
            schedules.from_json(bad)
