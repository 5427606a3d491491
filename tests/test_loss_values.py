"""Losses against exact values where terms would cancel; weights, smoothing, rows of weight 0.

References are computed with 50 digits by `decimal`, from the numbers that the library is given.
"""

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
from marks import slow
from reference import LossSettings

import cnn
from cnn import _core

DIGITS = 50


def exp(x):
    return Decimal(x).exp()


def log1p(x):
    """The sum 1 + x has DIGITS of them, of which a small x would keep few."""
    return x - x * x / 2 + x**3 / 3 if x < Decimal("1e-15") else (1 + x).ln()


def ulps(actual, expected, dtype):
    """Return how far a number is from an exact one, in units in the last place of the latter."""
    with localcontext() as context:
        context.prec = DIGITS
        spacing = Decimal(float(np.spacing(dtype.type(abs(float(expected))))))
        return float(abs(Decimal(float(actual)) - expected) / spacing)


def grid(dtype, most):
    """Return numbers of both signs that are dense near 0 and up to `most`."""
    rng = np.random.default_rng(0)
    steps = np.concatenate([np.linspace(0, most, 200), rng.uniform(0, 3, 50), [14, 16, 17, 18]])
    return np.concatenate([steps, -steps]).astype(dtype)


def value(settings, z, t, sample_weight=None):
    return _core.loss_gradient(_core.Loss(**settings._asdict()), z, t, sample_weight)[0]


def test_numbers_of_the_issue():
    """Z = 14 and 16 with t = 1, and the mirror: log1p(exp(-|z|))."""
    for size, expected in (14, 8.315283e-07), (16, 1.1253516e-07):
        for z, t in (size, 1.0), (-size, 0.0):
            got = cnn.binary_cross_entropy(np.array([[z]], np.float32), np.array([[t]]))[0]
            assert got == pytest.approx(expected, rel=2.0**-22)


@pytest.mark.parametrize("t", [0.0, 1.0, 0.5, 0.25, 0.999, 1e-6, 0.1])
def test_binary_cross_entropy_is_within_2_ulp(t, dtype):
    """For targets 0 and 1 as exact as log(1 + exp(-|z|)), 2 ULP; otherwise one rounding more."""
    target = dtype.type(t)
    most = 0.0
    with localcontext() as context:
        context.prec = DIGITS
        for z in grid(dtype, 80 if dtype == np.float32 else 700):
            got = value(LossSettings("binary_cross_entropy"), z.reshape(1, 1), target.reshape(1, 1))
            size, exact_t = abs(Decimal(float(z))), Decimal(float(target))
            expected = size * (1 - exact_t if z > 0 else exact_t) + log1p(exp(-size))
            most = max(most, ulps(got, expected, dtype))
    assert most <= (2 if t in (0, 1) else 2.5)


def exact_log_softmax(z):
    numbers = [Decimal(float(v)) for v in z]
    top = max(numbers)
    # Without the 1 of the maximum, so that a small rest keeps its digits.
    numbers_less_one = numbers.copy()
    numbers_less_one.remove(top)
    rest = sum((exp(v - top) for v in numbers_less_one), Decimal(0))
    return [v - top - log1p(rest) for v in numbers]


@pytest.mark.parametrize("classes", [2, 3, 10, 17, 40])
@pytest.mark.parametrize("labels", [True, False])
@pytest.mark.parametrize("smoothing", [0.0, 0.125])
def test_cross_entropy_keeps_small_losses(classes, labels, smoothing, dtype):
    """The loss of a row whose class is certain is log1p of a small sum: 1e-7 at a gap of 16.

    Gaps are multiples of 1/8, so that differences of logits are exact. Then exp is 1 ULP off, the
    sum of k terms ceil(k / 16) + 3 roundings, log1p 1 ULP, and sums of smoothed terms as many.
    """
    settings = LossSettings("cross_entropy", labels=labels, label_smoothing=smoothing)
    rng = np.random.default_rng(classes)
    bound = 3 + 2 * (math.ceil(classes / 16) + 3) * 0.5 + (3 if smoothing else 0)
    top = 80 if dtype == np.float32 else 700
    with localcontext() as context:
        context.prec = DIGITS
        for gap in [0, 0.125, 0.5, 1, 2, 5, 8, 12, 14, 16, 17, 20, 30, top]:
            z = (-gap - rng.integers(0, 9, classes) / 8).astype(dtype)
            at = int(rng.integers(classes))
            z[at] = 0
            log_p = exact_log_softmax(z)
            target = [Decimal(int(j == at)) for j in range(classes)]
            s = Decimal(smoothing)
            expected = -sum(
                ((1 - s) * t + s / classes) * p for t, p in zip(target, log_p, strict=True)
            )
            t = np.array([at]) if labels else np.array([target], dtype)
            # (1 - s) t + s / k is rounded where k is no power of 2.
            assert ulps(value(settings, z[None], t), expected, dtype) <= bound, gap


def test_small_losses_in_training_and_evaluation(dtype):
    """A network's loss takes the same path, from logits: with the gradient and without."""
    for activation, outputs in ("softmax", 2), ("sigmoid", 1):
        net = cnn.mlp([1, outputs], "tanh", activation, dtype=dtype, rng=0)
        net.layers[0].weight = [[16.0, 0.0]] if outputs == 2 else [[16.0]]
        x, t = [[1.0]], [0] if outputs == 2 else [1.0]
        expected = math.log1p(math.exp(-16))
        rel = 4 * float(np.finfo(dtype).eps)
        assert net.evaluate(x, t)["loss"] == pytest.approx(expected, rel=rel)
        assert net.train_step(x, t, optimizer=cnn.SGD(0.0))["loss"] == pytest.approx(
            expected, rel=rel
        )


@pytest.mark.parametrize("delta", [1.0, 0.5, 2.3])
def test_huber_near_delta(delta, dtype):
    """R = z - t, its square and the half of delta: a rounding each, and no difference cancels."""
    d = Decimal(float(dtype.type(delta)))
    with localcontext() as context:
        context.prec = DIGITS
        for factor in [1e-6, 0.5, 0.99, 1 - 1e-6, 1, 1 + 1e-6, 1.01, 2, 1e4]:
            z = np.array([[delta * factor]], dtype)
            r = Decimal(float(z[0, 0]))
            expected = r * r / 2 if r <= d else d * (r - d / 2)
            got = value(LossSettings("huber", delta=delta), z, np.zeros((1, 1), dtype))
            assert ulps(got, expected, dtype) <= 2


def test_poisson_is_within_2_ulp_of_the_rate(dtype):
    """exp(z) - t z has a zero, near which no formula is exact to ULPs of the result."""
    with localcontext() as context:
        context.prec = DIGITS
        for t in [0, 1, 2, 3, 10]:
            for z in grid(dtype, 20):
                rate = exp(Decimal(float(z)))
                expected = rate - t * Decimal(float(z))
                got = value(LossSettings("poisson"), z.reshape(1, 1), np.array([[t]], dtype))
                unit = max(rate, abs(expected))
                off = abs(Decimal(float(got)) - expected)
                assert off <= 2 * Decimal(float(np.spacing(dtype.type(float(unit)))))


@pytest.mark.parametrize("level", [None, 0.5, 0.1, 0.9, 0.999, 1e-6])
def test_linear_losses_are_within_2_ulp(level, dtype):
    """R = z - t, a slope and their product: a rounding each."""
    kind = "absolute_error" if level is None else "quantile"
    settings = LossSettings(kind, quantiles=None if level is None else (level,))
    below, above = (1, 1) if level is None else (Decimal(level), Decimal(1 - level))
    with localcontext() as context:
        context.prec = DIGITS
        for t in (0.0, 0.1, -3.0):
            target = np.array([[t]], dtype)
            for z in grid(dtype, 100):
                r = Decimal(float(z)) - Decimal(float(target[0, 0]))
                expected = above * r if r > 0 else -below * r
                got, gradient = _core.loss_gradient(
                    _core.Loss(**settings._asdict()), z.reshape(1, 1), target, None
                )
                assert ulps(got, expected, dtype) <= 2
                slope = above if r > 0 else -below if r < 0 else 0
                assert ulps(gradient[0, 0], Decimal(slope), dtype) <= 0.5


@pytest.mark.parametrize("kind", ["absolute_error", "quantile"])
def test_kinks(kind, dtype, isa):
    """The derivative is 0 at the target, whatever the sign of 0, and NaN for a NaN."""
    least = np.finfo(dtype).smallest_subnormal
    for n in (1, 3, 17, 40):
        z = np.tile(np.array([[0.0], [-0.0], [least], [-least], [np.inf], [np.nan]], dtype), n)
        t = np.tile(np.array([[-0.0], [0.0], [0.0], [0.0], [0.0], [0.0]], dtype), n)
        weights = np.eye(6)
        levels = np.ones(n) if kind == "absolute_error" else np.arange(1, n + 1) / (n + 1)
        rest = np.ones(n) if kind == "absolute_error" else 1 - levels
        for i, slope in enumerate([0 * levels, 0 * levels, rest, -levels, rest]):
            got, gradient = _core.loss_gradient(_core.Loss(kind), z, t, weights[i])
            assert np.array_equal(gradient[i], slope.astype(dtype))
            assert got == np.inf if i == 4 else 0 <= got < 1e-40
        got, gradient = _core.loss_gradient(_core.Loss(kind), z, t, weights[5])
        assert np.isnan(got)
        assert np.isnan(gradient[5]).all()


@pytest.mark.parametrize("quantiles", [(0.5,), (0.1, 0.5, 0.9), tuple(np.arange(1, 34) / 40)])
@pytest.mark.parametrize("shape", ["(n,)", "(n, 1)"])
def test_quantiles_share_a_target(quantiles, shape, dtype, bits):
    """As if it stood in each column."""
    n, rng = len(quantiles), np.random.default_rng(0)
    x, y = rng.standard_normal((50, 4)), rng.standard_normal((50, n)).astype(dtype)
    one = rng.standard_normal(100)[::2]  # with a stride
    t = one if shape == "(n,)" else one[:, None]
    repeated = np.repeat(one[:, None], n, axis=1)
    weight = rng.integers(0, 3, 50)
    loss = cnn.Quantile(quantiles)
    for options in ({}, {"sample_weight": weight}):
        value, gradient = cnn.quantile_loss(y, t, quantiles, **options)
        other, other_gradient = cnn.quantile_loss(y, repeated, quantiles, **options)
        assert (value, bits(gradient)) == (other, bits(other_gradient))

        def run(t, options=options):
            net, optimizer = (
                cnn.mlp([4, 8, n], "tanh", "identity", rng=0, dtype=dtype),
                cnn.Adam(0.01),
            )
            options = options | {"loss": loss}
            given = {"optimizer": optimizer, **options}
            history = net.fit(x, t, epochs=2, validation_split=0.2, **given)
            logs = net.train_step(x, t, **given)
            gradients = net.gradients(x, t, **options)[1]
            measured = net.evaluate(x, t, metrics=["mae"], **options)
            found = [p for g in gradients for p in g] + net.get_weights()
            return history["loss"], history["val_loss"], logs, measured, bits(*found)

        assert run(t) == run(repeated)


def test_quantiles_of_a_stream(bits):
    """One target for all outputs, batch by batch."""
    rng = np.random.default_rng(0)
    x, t = rng.standard_normal((60, 4)), rng.standard_normal(60)

    def run(t):
        net, loss = cnn.mlp([4, 8, 3], "tanh", "identity", rng=0), cnn.Quantile()
        batches = [(x[i : i + 20], t[i : i + 20]) for i in range(0, 60, 20)]
        history = net.fit(batches, loss=loss, epochs=2, batch_size=7)
        measured = net.evaluate(batches, loss=loss, metrics=["mae"])
        return history["loss"], measured, bits(*net.get_weights())

    assert run(t) == run(t[:, None]) == run(np.repeat(t[:, None], 3, axis=1))


def test_quantiles_of_targets():
    """A network that can only learn one number for each output learns the quantiles."""
    t = np.random.default_rng(0).exponential(size=999)
    net = cnn.Sequential([cnn.Dense(1, 3)], rng=0)
    levels = (0.1, 0.5, 0.95)
    for loss, expected in (
        # The loss is least at a target, without interpolation.
        (cnn.Quantile(levels), np.quantile(t, levels, method="inverted_cdf")),
        (cnn.AbsoluteError(), np.median(t)),
    ):
        optimizer = cnn.Adam(cnn.CosineDecay(0.3, steps=2000))
        targets = t if isinstance(loss, cnn.Quantile) else np.repeat(t[:, None], 3, axis=1)
        net.fit(
            np.zeros((999, 1)), targets, epochs=2000, batch_size=999, optimizer=optimizer, loss=loss
        )
        np.testing.assert_allclose(net.predict([0.0]), expected, atol=1e-3)


# ---- Class weights with label smoothing --------------------------------------------------------

Z = np.array([[1.0, 2.0, 0.5, -1.0], [0.0, 0.25, 3.0, 1.0], [2.0, -2.0, 0.0, 1.5]])
LABELS = np.array([0, 3, 1])


def as_pytorch(z, labels, class_weight, smoothing, sample_weight=None):
    """CrossEntropyLoss(weight, label_smoothing): ATen's cross_entropy_loss_label_smoothing."""
    rows, classes = z.shape
    log_p = z - z.max(1, keepdims=True)
    log_p = log_p - np.log(np.exp(log_p).sum(1, keepdims=True))
    u = np.ones(rows) if sample_weight is None else np.asarray(sample_weight)
    own = -(u * class_weight[labels] * log_p[np.arange(rows), labels]).sum()
    smooth = -(u[:, None] * class_weight * log_p).sum()
    total = (u * class_weight[labels]).sum()
    return ((1 - smoothing) * own + smoothing / classes * smooth) / total


# torch.nn.CrossEntropyLoss(torch.tensor(weight), label_smoothing=s)(torch.tensor(Z), LABELS) of
# PyTorch 2.13 in float64.
OF_PYTORCH = {
    ((0.2, 1.0, 3.0, 5.0), 0.1): 2.5504144188889435,
    ((0.2, 1.0, 3.0, 5.0), 0.5): 2.4447362760089906,
    ((0.0, 1.0, 3.0, 5.0), 0.1): 2.586170290654284,
}


@pytest.mark.parametrize(("class_weight", "smoothing"), OF_PYTORCH)
@pytest.mark.parametrize("sample_weight", [None, [1.0, 2.0, 0.5], [0.0, 2.0, 0.5]])
def test_class_weights_with_smoothing(class_weight, smoothing, sample_weight, dtype):
    weights = np.array(class_weight)
    settings = LossSettings(
        "cross_entropy", labels=True, label_smoothing=smoothing, class_weight=weights
    )
    expected = as_pytorch(Z, LABELS, weights, smoothing, sample_weight)
    if sample_weight is None:
        assert expected == pytest.approx(OF_PYTORCH[class_weight, smoothing], rel=1e-14)
    z = Z.astype(dtype)
    rel = 16 * float(np.finfo(dtype).eps)
    got, gradient = _core.loss_gradient(_core.Loss(**settings._asdict()), z, LABELS, sample_weight)
    assert got == pytest.approx(expected, rel=rel)
    h = 2.0**-17
    for i in range(z.shape[0]):
        for j in range(z.shape[1]):
            up, down = Z.copy(), Z.copy()
            up[i, j] += h
            down[i, j] -= h
            difference = as_pytorch(up, LABELS, weights, smoothing, sample_weight) - as_pytorch(
                down, LABELS, weights, smoothing, sample_weight
            )
            assert gradient[i, j] == pytest.approx(difference / (2 * h), abs=1e-9 + rel)


@pytest.mark.parametrize("smoothing", [0.1, 0.5])
def test_networks_weigh_classes_alike(smoothing, dtype):
    """fit's and train_step's loss is that of the function; and the step goes down its gradient."""
    weights = [0.2, 1.0, 3.0, 5.0]
    net = cnn.mlp([4, 4], "tanh", "softmax", dtype=dtype, rng=0)
    net.layers[0].weight = np.eye(4)
    loss = cnn.CrossEntropy(label_smoothing=smoothing)
    expected = as_pytorch(Z, LABELS, np.array(weights), smoothing)
    rel = 16 * float(np.finfo(dtype).eps)
    logs = net.train_step(
        Z, LABELS, optimizer=cnn.SGD(0.0), loss=loss, class_weight=dict(enumerate(weights))
    )
    assert logs["loss"] == pytest.approx(expected, rel=rel)
    history = net.fit(
        Z, LABELS, epochs=1, optimizer=cnn.SGD(0.0), loss=loss, class_weight=weights, shuffle=False
    )
    assert history["loss"][0] == pytest.approx(expected, rel=rel)
    assert history["accuracy"][0] == logs["accuracy"]
    measured = net._network.evaluate(
        loss.compiled(labels=True, class_weight=np.array(weights)), Z, LABELS, None
    )
    assert measured.loss == pytest.approx(expected, rel=rel)


def test_weights_of_1_change_nothing_but_rounding(dtype):
    smooth = LossSettings("cross_entropy", labels=True, label_smoothing=0.2)
    weighed = smooth._replace(class_weight=np.ones(4))
    z = Z.astype(dtype)
    rel = 8 * float(np.finfo(dtype).eps)
    assert value(weighed, z, LABELS) == pytest.approx(value(smooth, z, LABELS), rel=rel)


# ---- Rows of weight 0 --------------------------------------------------------------------------

LOSSES = {
    "squared_error": ("identity", cnn.SquaredError()),
    "huber": ("identity", cnn.Huber()),
    "poisson": ("identity", cnn.Poisson()),
    "absolute_error": ("identity", cnn.AbsoluteError()),
    "quantile": ("identity", cnn.Quantile()),
    "binary_cross_entropy": ("sigmoid", cnn.BinaryCrossEntropy()),
    "cross_entropy": ("softmax", cnn.CrossEntropy()),
    "cross_entropy_smooth": ("softmax", cnn.CrossEntropy(label_smoothing=0.1)),
    "cross_entropy_rows": ("softmax", cnn.CrossEntropy()),
}


def targets(name, rows, outputs):
    rng = np.random.default_rng(3)
    if name == "cross_entropy_rows":
        return rng.dirichlet(np.ones(outputs), rows)
    if name.startswith("cross_entropy"):
        return rng.integers(0, outputs, rows)
    return rng.integers(0, 2, (rows, outputs)).astype(float)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("bad", ["large", "inf", "nan"])
def test_row_of_weight_0_adds_nothing_to_a_loss(name, bad, dtype, isa):
    """0 times infinity is NaN, but the row counts for nothing."""
    settings = {
        "cross_entropy": LossSettings("cross_entropy", labels=True),
        "cross_entropy_smooth": LossSettings("cross_entropy", labels=True, label_smoothing=0.1),
        "cross_entropy_rows": LossSettings("cross_entropy"),
    }.get(name, LossSettings(name))
    z = np.random.default_rng(1).standard_normal((5, 3)).astype(dtype)
    t = targets(name, 5, 3)
    weights = np.array([1.0, 0.0, 2.0, 0.5, 0.0])
    compiled = _core.Loss(**settings._asdict())
    kept = weights > 0
    expected = _core.loss_gradient(compiled, z[kept], t[kept], weights[kept])
    filler = {"large": np.finfo(dtype).max, "inf": np.inf, "nan": np.nan}[bad]
    z[1] = filler * np.array([1, -1, 1])
    z[4, 2] = filler
    got = _core.loss_gradient(compiled, z, t, weights)
    assert got[0] == pytest.approx(expected[0], rel=1e-15)
    np.testing.assert_array_equal(got[1][kept], expected[1])
    assert not got[1][~kept].any()


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("hidden", ["relu", "gelu", *slow("softplus", "silu", "tanh")])
@pytest.mark.parametrize("bad", ["large", "inf", "nan"])
def test_row_of_weight_0_adds_nothing_to_a_network(name, hidden, bad, dtype):
    """Its activations overflow, and infinity times a delta of 0 would reach all weights."""
    output, loss = LOSSES[name]
    rng = np.random.default_rng(2)
    x, t = rng.standard_normal((6, 4)), targets(name, 6, 3)
    weights = np.array([1.0, 0.0, 2.0, 0.5, 0.0, 1.0])
    kept = weights > 0
    largest = float(np.finfo(dtype).max) / 2
    x[~kept] = {"large": largest, "inf": np.inf, "nan": np.nan}[bad]
    x[1, ::2] *= -1

    def network():
        return cnn.Sequential(
            [cnn.Dense(4, 5, hidden), cnn.Dropout(0.3), cnn.Dense(5, 6, hidden),
             cnn.Dense(6, 3, output)],
            rng=1, dtype=dtype,
        )  # fmt: skip

    def trained(rows, row_weights, batch_size):
        net, optimizer = network(), cnn.SGD(0.1, momentum=0.5)
        history = net.fit(
            x[rows], t[rows], epochs=2, batch_size=batch_size, optimizer=optimizer, loss=loss,
            sample_weight=row_weights, shuffle=False,
            validation_data=(x[rows], t[rows], row_weights),
        )  # fmt: skip
        logs = net.train_step(
            x[rows], t[rows], optimizer=optimizer, loss=loss, sample_weight=row_weights
        )
        measured = net.evaluate(x[rows], t[rows], loss=loss, sample_weight=row_weights)
        gradients = net.gradients(x[rows], t[rows], loss=loss, sample_weight=row_weights)
        return net, history, logs, measured, gradients

    every = np.arange(6)
    x_clean = x.copy()
    for batch_size in 6, 3:
        x = x_clean.copy()
        dirty = trained(every, weights, batch_size)
        x[~kept] = 1.0  # any numbers
        clean = trained(every, weights, batch_size)
        for a, b in zip(dirty[0], clean[0], strict=True):
            if isinstance(a, cnn.Dense):
                np.testing.assert_array_equal(a.weight, b.weight)
                np.testing.assert_array_equal(a.bias, b.bias)
                assert np.isfinite(a.weight).all()
        for key in dirty[1].history:
            if key != "seconds":
                assert dirty[1][key] == clean[1][key]
        assert dirty[2] == clean[2]
        assert dirty[3] == clean[3]
        assert all(math.isfinite(v) for v in dirty[3].values())
        assert str(dirty[4]) == str(clean[4])


def test_accuracy_is_of_rows_that_count():
    net = cnn.mlp([2, 2], "tanh", "softmax", rng=0)
    net.layers[0].weight = np.eye(2)
    x, t = np.eye(2)[[0, 1, 0, 1]], np.array([0, 1, 1, 0])  # two are right, two are wrong
    assert net.evaluate(x, t)["accuracy"] == 0.5
    assert net.evaluate(x, t, sample_weight=[1, 2, 0, 0])["accuracy"] == 1
    assert net.evaluate(x, t, sample_weight=[0, 2, 0, 1])["accuracy"] == 0.5
    logs = net.train_step(x, t, optimizer=cnn.SGD(0.0), sample_weight=[0, 1, 0, 0])
    assert logs["accuracy"] == 1
