"""What can be checked is checked before the first step; what comes later ends a run cleanly."""

import math

import numpy as np
import pytest
from refused import refused

import cnn
from cnn import _core
from cnn._training import loop, samples, steps
from cnn._training.sparse import SparseRows

RNG = np.random.default_rng(0)
ROWS = 3000
X = RNG.normal(size=(ROWS, 3)).astype("float32")
LABELS = RNG.integers(0, 4, size=ROWS)
T = RNG.normal(size=ROWS)


@pytest.fixture(autouse=True)
def many_slices(monkeypatch):
    """End slices after every few steps, so that what is checked late is seen to be late."""
    monkeypatch.setattr(loop, "SLICE_SECONDS", 1e-9)
    monkeypatch.setattr(samples, "SLICE_ROWS", 64)


def net_for(output, outputs, **options):
    return cnn.mlp([3, 5, outputs], "relu", output, rng=0, **options)


def parameters(net):
    return np.concatenate([p.ravel() for layer in net for p in (layer.weight, layer.bias)])


def last(values, bad):
    """Return a copy of values with a bad last one."""
    changed = np.array(values, dtype=np.result_type(values, type(bad)))
    changed[-1] = bad
    return changed


ROWS_OF_TARGETS = np.full((ROWS, 2), 0.5)
# Of each argument, a bad number that comes last: the network, t, options, and the message.
LATE = {
    "sample_weight": (
        "softmax",
        4,
        LABELS,
        {"sample_weight": last(np.ones(ROWS), 1e101)},
        "1e+100",
    ),
    "negative": ("softmax", 4, LABELS, {"sample_weight": last(np.ones(ROWS), -1.0)}, "-1 in row"),
    "nan weight": ("softmax", 4, LABELS, {"sample_weight": last(np.ones(ROWS), np.nan)}, "nan in"),
    "label": ("softmax", 4, last(LABELS, 4), {}, "t has label 4"),
    "no label": ("softmax", 4, last(LABELS.astype(float), 0.5), {}, "t has label 0.5"),
    "probability": ("softmax", 2, last(ROWS_OF_TARGETS, np.nan), {}, "t has nan in row 2999"),
    "negative one": ("softmax", 2, last(ROWS_OF_TARGETS, -0.5), {}, "t has -0.5 in row 2999"),
    "sigmoid": ("sigmoid", 2, last(ROWS_OF_TARGETS, 1.5), {}, "should be from 0 to 1"),
    "target": ("identity", 1, last(T, np.inf), {}, "t has inf in row 2999"),
    "large target": ("identity", 1, last(T, 1e39), {}, "t has 1e+39 in row 2999, which overflows"),
    "count": ("identity", 1, last(np.ones(ROWS), -1.0), {"loss": "poisson"}, "at least 0"),
    "shared": ("identity", 3, last(T, np.nan), {"loss": "quantile"}, "t has nan in row 2999"),
    "huber": ("identity", 1, last(T, -np.inf), {"loss": "huber"}, "t has -inf in row 2999"),
    "validation": (
        "identity",
        1,
        T,
        {"validation_data": (X, last(T, np.nan))},
        "validation_data: t",
    ),
}


@pytest.mark.parametrize("case", LATE)
def test_bad_numbers_at_the_end(case):
    output, outputs, t, options, message = LATE[case]
    net, optimizer = net_for(output, outputs), cnn.Adam()
    seen = []
    watch = cnn.LambdaCallback(on_train_begin=lambda: seen.append("began"))
    before = parameters(net)
    with refused(ValueError, message):
        net.fit(X, t, optimizer=optimizer, shuffle=False, callbacks=[watch], **options)
    assert (parameters(net) == before).all()
    assert (net.epochs, optimizer.steps, seen) == (0, 0, [])


@pytest.mark.parametrize("kind", [name for name in _core.LOSSES if name != "cross_entropy"])
def test_targets_in_the_c_interface(kind, dtype, network_of):
    """Of all rows, before the first step, with the row and column."""
    output = {"poisson": "identity", "binary_cross_entropy": "sigmoid"}.get(kind, "identity")
    network = network_of([3, 2], output=output, dtype=dtype)
    trainer = _core.Trainer(network, "sgd")
    loss = _core.Loss(kind)
    before = network.get(0, "weight")
    index, lr = np.arange(50, dtype=np.uintp)[::-1].copy(), np.full(10, 0.1)
    bad = [np.nan, np.inf] + ([-0.1] if kind in ("poisson", "binary_cross_entropy") else [])
    bad += [1.1] if kind == "binary_cross_entropy" else []
    bad += [1e39] if dtype == "float32" else []
    for value in bad:
        t = np.full((50, 2), 0.5)
        t[3, 1] = value
        for call in (
            lambda t=t: trainer.epoch(loss, X[:50], t, None, index, 5, lr),
            lambda t=t: trainer.step(loss, X[:50], t, None, 0.1),
            lambda t=t: network.evaluate(loss, X[:50], t),
            lambda t=t: network.gradients(loss, X[:50], t),
        ):
            with pytest.raises(ValueError, match=r"t has .+ in row 3, column 1.*, should be"):
                call()
    assert np.array_equal(network.get(0, "weight"), before)
    assert trainer.steps == 0
    trainer.epoch(loss, X[:50], np.full((50, 2), 0.5), None, index, 5, lr)


# ---- Learning rates that come later ------------------------------------------------------------


class Stop(Exception):
    """An error of the user's own."""


def failing(at, what):
    def lr(step):
        if step < at:
            return 0.01
        if isinstance(what, Exception):
            raise what
        return what

    return lr


BAD_RATES = [
    (math.nan, ValueError, "lr(150) is nan, should be finite and at least 0"),
    (-1.0, ValueError, "lr(150) is -1, should be finite"),
    (math.inf, ValueError, "lr(150) is inf"),
    ("fast", TypeError, "lr(150) is of type str, should be a number"),
    (None, TypeError, "lr(150) is of type NoneType"),
    (10**400, ValueError, "lr(150) is too large"),
    (Stop("enough"), Stop, "enough"),
    (ZeroDivisionError("x"), ZeroDivisionError, "x"),
]


@pytest.mark.parametrize(("value", "error", "message"), BAD_RATES)
def test_a_later_rate_ends_the_run_at_the_last_whole_epoch(value, error, message):
    """94 steps of an epoch: in the second, at step 150. The state is that after the first."""
    net, optimizer = net_for("identity", 1), cnn.Adam(failing(150, value))
    kept = {}
    keep = cnn.LambdaCallback(
        on_epoch_end=lambda epoch, logs: kept.update({epoch: parameters(net)})
    )
    with refused(error, message) as caught:
        net.fit(X, T, epochs=5, optimizer=optimizer, callbacks=[keep])
    assert list(kept) == [1]
    assert (parameters(net) == kept[1]).all()
    assert (net.epochs, optimizer.steps) == (1, 94)
    assert "fit ended in epoch 2; the weights are those after epoch 1" in caught.value.__notes__
    # With a good one it goes on as if nothing had been.
    optimizer.lr = 0.01
    net.fit(X, T, epochs=1, optimizer=optimizer)
    other = net_for("identity", 1)
    other.fit(X, T, epochs=2, optimizer=cnn.Adam(0.01))
    assert (parameters(net) == parameters(other)).all()


@pytest.mark.parametrize(("value", "error", "message"), BAD_RATES)
def test_a_rate_in_the_first_epoch(value, error, message):
    net, optimizer = net_for("identity", 1), cnn.SGD(failing(50, value), momentum=0.9)
    before = parameters(net)
    with refused(error, message.replace("150", "50")):
        net.fit(X, T, optimizer=optimizer)
    assert (parameters(net) == before).all()
    assert (net.epochs, optimizer.steps) == (0, 0)


def test_a_schedule_that_overflows_later():
    for lr, what in ((1e-300, "inf"), (0.0, "nan")):
        net = net_for("identity", 1)
        optimizer = cnn.SGD(cnn.StepDecay(lr, step_size=40, gamma=1e200))
        before = parameters(net)
        with refused(ValueError, f"fit: lr is {what} at step 80, should be finite and at least 0"):
            net.fit(X, T, optimizer=optimizer)
        assert (parameters(net) == before).all()
        assert (net.epochs, optimizer.steps) == (0, 0)


def test_samples_that_change_meanwhile():
    """As a mapped file may: what was checked is no longer so."""
    labels = LABELS.copy()
    net, optimizer = net_for("softmax", 4), cnn.Adam()
    change = cnn.LambdaCallback(on_epoch_end=lambda epoch, logs: labels.__setitem__(2000, 9))
    with refused(ValueError, "fit: t has label 9 in row 2000"):
        net.fit(X, labels, epochs=3, optimizer=optimizer, callbacks=[change])
    assert (net.epochs, optimizer.steps) == (1, 94)


# ---- Schedules and optimizers ------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda n: cnn.StepDecay(0.1, n, 0.5),
        lambda n: cnn.CosineDecay(0.1, n),
        lambda n: cnn.Warmup(0.1, n),
    ],
)
def test_numbers_of_steps(make):
    for many in (2**63, 2**64, 10**30):
        with pytest.raises(ValueError, match=f" is {many}, should be at most 922337203685477580"):
            make(many)
    schedule = make(2**63 - 2)
    assert 0 <= schedule(0) <= 0.1
    assert 0 <= schedule(2**63 - 2) <= 0.1
    net = net_for("identity", 1)
    net.fit(X, T, optimizer=cnn.SGD(schedule))
    for step in (2**63, 10**30):  # steps are counted from 0
        with pytest.raises(ValueError, match=f"step is {step}, should be at most"):
            schedule(step)
        with pytest.raises(ValueError, match=f"first is {step}, should be at most"):
            schedule.values(step, 1)
    with pytest.raises(ValueError, match=r"count is 10, should be at most 7"):
        schedule.values(2**63 - 8, 10)


@pytest.mark.parametrize("lr", [1e300, 1e301, 1.7e308])
def test_rates_of_any_size_are_rates(lr):
    """They are finite: what they make of the weights is told as what it is."""
    net = net_for("identity", 1)
    before = parameters(net)
    with refused(FloatingPointError, "fit: the "):
        net.fit(X, T, optimizer=cnn.SGD(lr))
    assert (parameters(net) == before).all()


# ---- Inputs that are not finite ----------------------------------------------------------------

INPUTS = [
    (np.nan, "nan", ""),
    (np.inf, "inf", ""),
    (-np.inf, "-inf", ""),
    (1e39, "1e+39", "float32"),
    (-3.5e38, "-3.5e+38", "float32"),
]
ALL = [
    "identity",
    "step",
    "sigmoid",
    "tanh",
    "relu",
    "leaky_relu",
    "elu",
    "softplus",
    "silu",
    "gelu",
]


def calls(net, optimizer, x, t):
    """Return all that reads samples, by the name that its messages begin with."""
    return {
        "fit": lambda: net.fit(x, t, optimizer=optimizer, epochs=3),
        "train_step": lambda: net.train_step(x, t, optimizer=optimizer),
        "evaluate": lambda: net.evaluate(x, t),
        "gradients": lambda: net.gradients(x, t),
        "fit: validation_data": lambda: net.fit(
            X, LABELS, optimizer=optimizer, validation_data=(x, t)
        ),
    }


@pytest.mark.filterwarnings("ignore:fit. the derivative of step")
@pytest.mark.parametrize("hidden", [name for name in _core.ACTIVATIONS if name != "softmax"])
@pytest.mark.parametrize(("value", "shown", "overflows"), INPUTS)
def test_inputs(hidden, value, shown, overflows):
    """Even where an activation makes a finite number of it, and the loss stays one."""
    x = X[:200].astype(float)
    x[150, 2], x[170, 0] = value, np.nan
    has = f"x has {shown} in row 150, column 2"
    should = f"{has}, which overflows {overflows}" if overflows else f"{has}, but its numbers"
    for rows in (x, np.asfortranarray(x), x[::-1][::-1]):
        net, optimizer = cnn.mlp([3, 5, 4], hidden, "softmax", rng=0), cnn.Adam()
        before = parameters(net)
        for where, call in calls(net, optimizer, rows, LABELS[:200]).items():
            for error in (FloatingPointError, ValueError):
                with refused(error, should) as caught:
                    call()
                assert str(caught.value).startswith(where)
                assert "lr" not in str(caught.value)
            assert (parameters(net) == before).all()
            assert (net.epochs, optimizer.steps) == (0, 0)


def test_inputs_of_float64():
    """What overflows float32 does not overflow float64."""
    x = X.astype(float)
    x[7, 1] = 1e39
    net = net_for("softmax", 4, dtype="float64")
    net.evaluate(x, LABELS)
    net = net_for("identity", 1, dtype="float64")
    with refused(FloatingPointError, "fit: the ") as caught:
        net.fit(x, T, optimizer=cnn.SGD(1e300))
    assert "A smaller lr" in str(caught.value)
    assert "x has" not in str(caught.value)


def test_inputs_of_other_types():
    for x in (
        np.where(np.arange(30).reshape(10, 3) == 14, np.nan, 1).astype("float16"),
        np.where(np.arange(30).reshape(10, 3) == 14, np.inf, 1).astype("float32"),
    ):
        with refused(ValueError, "in row 4, column 2"):
            net_for("softmax", 4).fit(x, LABELS[:10])
    largest = np.full((10, 3), 2**64 - 1, dtype=np.uint64)
    net_for("softmax", 4).evaluate(largest, LABELS[:10])
    edge = np.full((10, 3), np.nextafter(2.0**128 - 2.0**103, 0))
    net_for("softmax", 4).evaluate(edge, LABELS[:10])
    with refused(ValueError, "in row 0, column 0, which overflows float32"):
        net_for("softmax", 4).evaluate(np.nextafter(edge, np.inf), LABELS[:10])


def test_sparse_inputs(monkeypatch):
    csr = pytest.importorskip("scipy.sparse").csr_matrix
    monkeypatch.setattr("cnn._training.sparse.BLOCK_NUMBERS", 3 * 20)
    x = np.where(RNG.uniform(size=(200, 3)) < 0.5, 1.0, 0.0)
    x[133, 1] = np.nan
    net = net_for("softmax", 4)
    with refused(FloatingPointError, "x has nan in row 133, column 1"):
        steps.evaluate(
            "evaluate",
            net._network,
            samples.checked_samples(
                "evaluate", net._network, cnn.CrossEntropy(), SparseRows(csr(x)), LABELS[:200], None
            ),
        )
    with refused(FloatingPointError, "x has nan in row 133, column 1"):
        net.fit(SparseRows(csr(x)), LABELS[:200])


def test_predictions_pass_it_on():
    x = X[:4].copy()
    x[2, 0] = np.nan
    y = net_for("softmax", 4).predict(x)
    assert np.isfinite(y[[0, 1, 3]]).all()
    assert np.isnan(y[2]).all()


def test_large_targets(dtype):
    """Of float32 they overflow, which is not the learning rate's fault."""
    t = T[:20].copy()
    t[13] = 1e39
    net = net_for("identity", 1, dtype=dtype)
    for loss in ("squared_error", "huber", "absolute_error", cnn.Quantile(0.5)):
        if dtype == "float64":
            net.evaluate(X[:20], t, loss=loss)
            continue
        message = "t has 1e+39 in row 13, which overflows float32"
        for call in (
            lambda loss=loss: net.fit(X[:20], t, loss=loss),
            lambda loss=loss: net.evaluate(X[:20], t, loss=loss),
            lambda loss=loss: net.gradients(X[:20], t, loss=loss),
            lambda loss=loss: net.train_step(X[:20], t, loss=loss, optimizer=cnn.SGD()),
        ):
            with refused(ValueError, message):
                call()
    with refused(ValueError, "t has 1e+39 in row 13, which overflows float32"):
        cnn.squared_error(T[:20].astype("float32"), t)
    cnn.squared_error(T[:20], t)


# ---- One class ---------------------------------------------------------------------------------


def test_softmax_of_one_output():
    net = cnn.mlp([3, 5, 1], "relu", "softmax", rng=0)
    t = np.zeros(20, dtype=int)
    for where, call in {
        "fit": lambda **o: net.fit(X[:20], t, **o),
        "train_step": lambda **o: net.train_step(X[:20], t, optimizer=cnn.SGD(), **o),
        "evaluate": lambda **o: net.evaluate(X[:20], t, **o),
        "gradients": lambda **o: net.gradients(X[:20], t, **o),
    }.items():
        for options in ({}, {"loss": "cross_entropy"}, {"loss": cnn.CrossEntropy(0.1)}):
            message = f"{where}: the output layer has 1 class, whose softmax is always 1"
            with refused(ValueError, message) as caught:
                call(**options)
            assert "should be 1 output with sigmoid and binary_cross_entropy" in str(caught.value)
    for targets in (t, np.ones((20, 1))):
        with refused(ValueError, "cross_entropy: logits has 1 class, whose softmax is always 1"):
            cnn.cross_entropy(np.ones((20, 1)), targets)


def test_softmax_of_one_output_may_be_used(tmp_path):
    """A model that others have made predicts as it did."""
    net = cnn.mlp([3, 5, 1], "relu", "softmax", rng=0)
    net.save(tmp_path / "one.safetensors")
    assert (cnn.load(tmp_path / "one.safetensors").predict(X[:5]) == 1).all()


def test_softmax_of_one_output_in_c(network_of):
    network = network_of([3, 1])
    loss = _core.Loss("cross_entropy", labels=True)
    with refused(ValueError, "cross_entropy of one output is 0, whatever the weights"):
        network.evaluate(loss, X[:20], np.zeros(20, int))


# ---- Rows of weight 0, and rates ---------------------------------------------------------------


@pytest.mark.parametrize("by_class", [False, True])
def test_a_number_in_a_row_of_weight_0_is_not_to_blame(by_class):
    x, t = np.random.default_rng(0).normal(size=(8, 3)), np.array([0, 1, 2, 1, 2, 1, 2, 1])
    x[0, 1], x[5, 2] = np.nan, np.inf
    weights = {"class_weight": [0, 1, 1]} if by_class else {"sample_weight": [0, *[1] * 7]}
    net = cnn.mlp([3, 4, 3], "identity", "softmax", rng=0)
    with refused(FloatingPointError, "x has inf in row 5, column 2"):
        net.fit(x, t, **weights)
    x[5, 2] = 0
    net.fit(x, t, **weights)
    with refused(FloatingPointError, "A smaller lr or clip_norm may help"):
        net.fit(x, t, epochs=50, optimizer=cnn.SGD(1e30), **weights)


def test_validation_data_are_looked_at_before_the_first_epoch():
    net = cnn.mlp([3, 1], "tanh", "identity", rng=0)
    x = np.ones((4, 3))
    bad = x.copy()
    bad[2, 1] = 1e39
    with refused(ValueError, "fit: validation_data: x has 1e+39 in row 2, column 1, which"):
        net.fit(x, np.ones(4), validation_data=(bad, np.ones(4)))
    assert net.epochs == 0


def test_no_batch_has_a_weight():
    net = cnn.mlp([3, 1], "tanh", "identity", rng=0)
    before = net.layers[0].weight
    with refused(ValueError, "fit: the weights of no batch of 1 rows add up to 1e-270 or more"):
        net.fit(np.ones((8, 3)), np.ones(8), batch_size=1, sample_weight=np.full(8, 5e-271))
    assert (net.layers[0].weight == before).all()


@pytest.mark.parametrize("seconds", [1e-9, 10])
def test_each_rate_is_asked_for_once(monkeypatch, seconds):
    monkeypatch.setattr("cnn._training.loop.SLICE_SECONDS", seconds)
    asked = []

    def lr(step):
        asked.append(step)
        return 1e-3

    x, weight = np.ones((400, 3)), np.repeat([1.0, 0.0], 200)
    net = cnn.mlp([3, 1], "tanh", "identity", rng=0)
    net.fit(
        x,
        np.ones(400),
        epochs=2,
        batch_size=8,
        shuffle=False,
        sample_weight=weight,
        optimizer=cnn.SGD(lr),
    )
    assert asked == list(range(50))
