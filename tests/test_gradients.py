"""Gradients against central differences in float64 (differences.py)."""

import bounded
import exact_bits
import numpy as np
import pytest
import reference as ref
from differences import KINKED, KINKS, ROWS, SMOOTH, H, case, extrapolated, quantized, rounding
from reference import LossSettings

import cnn
from cnn import _core


def check(network, settings, x, t, weights, *, step=-1, smooth=True):
    h = H[smooth]
    loss = _core.Loss(**settings._asdict())
    masks = exact_bits.dropout_masks(network, step, ROWS) if step >= 0 else None
    value, gradients = network.gradients(loss, x, t, weights, step)
    bound, bounds = ref.Network(network, masks).loss(settings, x, t, weights)
    e = rounding(float(bound.error), h)
    dense = [i for i, layer in enumerate(network.layers) if layer.kind == "dense"]
    parts = [(i, name) for i in dense for name in ("weight", "bias")]
    assert len(parts) == len(gradients)
    for (i, name), gradient, own in zip(parts, gradients, bounds, strict=True):
        original = network.get(i, name)

        for at in np.ndindex(original.shape):

            def f(change, at=at, original=original, i=i, name=name):
                moved = original.copy()
                moved[at] += change
                network.set(i, name, moved)
                return network.gradients(loss, x, t, weights, step)[0]

            estimate, truncation = extrapolated(f, h)
            tolerance = truncation + e + own.error[at]
            assert abs(gradient[at] - estimate) <= tolerance, (i, name, at)
            assert tolerance < 1e-6 + 1e-4 * abs(estimate), "the bound should mean something"
        network.set(i, name, original)
    assert network.gradients(loss, x, t, weights, step)[0] == value


CROSS_ENTROPY = LossSettings("cross_entropy", labels=True)
KINKED_LOSSES = ("huber", "absolute_error", "quantile")


@pytest.mark.parametrize("hidden", [*SMOOTH, *KINKED])
def test_activations(hidden, network_of):
    smooth = hidden in SMOOTH
    found = case(network_of, [3, 5, 4, 3], hidden, "softmax", CROSS_ENTROPY)
    check(found[0], CROSS_ENTROPY, *found[1:], smooth=smooth)


@pytest.mark.parametrize(
    ("output", "settings"),
    [
        ("softmax", LossSettings("cross_entropy")),
        ("softmax", LossSettings("cross_entropy", label_smoothing=0.3)),
        ("softmax", LossSettings("cross_entropy", labels=True, label_smoothing=0.1)),
        ("softmax", LossSettings("cross_entropy", labels=True, class_weight=np.array([1, 0.5, 3]))),
        ("sigmoid", LossSettings("binary_cross_entropy")),
        ("identity", LossSettings("poisson")),
        ("identity", LossSettings("squared_error")),
        ("identity", LossSettings("huber", delta=0.7)),
        *((name, LossSettings("squared_error")) for name in [*SMOOTH[1:], *KINKED]),
        *((name, LossSettings("huber")) for name in ["sigmoid", "relu", "gelu"]),
        *((name, LossSettings("absolute_error")) for name in ["identity", "softplus", "relu"]),
        *((name, LossSettings("quantile")) for name in ["identity", "softplus", "relu"]),
        ("identity", LossSettings("quantile", quantiles=(0.05, 0.6, 0.9))),
    ],
)
def test_losses_and_output_layers(output, settings, network_of):
    smooth = settings.kind not in KINKED_LOSSES and output not in KINKED
    found = case(network_of, [3, 4, 3], "tanh", output, settings)
    check(found[0], settings, *found[1:], smooth=smooth)


@pytest.mark.parametrize("hidden", ["tanh", "gelu", "relu"])
def test_l2(hidden, network_of):
    found = case(network_of, [3, 4, 3], hidden, "softmax", CROSS_ENTROPY, l2=[0.1, 2.0])
    check(found[0], CROSS_ENTROPY, *found[1:], smooth=hidden != "relu")


@pytest.mark.parametrize("step", [0, 3])
@pytest.mark.parametrize("hidden", ["sigmoid", "silu", "elu"])
def test_dropout(hidden, step, network_of):
    """The masks of a step stay the same, so that the loss is a smooth function of the weights."""
    options = {"dropout": [0.4, 0.25], "l2": 0.01}
    found = case(network_of, [3, 6, 5, 3], hidden, "softmax", CROSS_ENTROPY, **options)
    check(found[0], CROSS_ENTROPY, *found[1:], step=step, smooth=hidden != "elu")


def test_more_rows_than_a_chunk(network_of):
    """Gradients of weights are sums over rows, cut at 256; a directional derivative will do."""
    network = quantized(network_of([2, 3, 2], "tanh", dtype="float64"))
    rng = np.random.default_rng(0)
    x, t = rng.uniform(-1, 1, (600, 2)), rng.integers(0, 2, 600)
    loss = _core.Loss("cross_entropy", labels=True)
    _, gradients = network.gradients(loss, x, t)
    bound, bounds = ref.Network(network).loss(CROSS_ENTROPY, x, t)
    weight = network.get(0, "weight")
    direction = np.round(rng.uniform(-1, 1, weight.shape) * 8) / 8

    def f(change):
        network.set(0, "weight", weight + change * direction)
        return network.gradients(loss, x, t)[0]

    estimate, truncation = extrapolated(f, H[True])
    tolerance = truncation + rounding(float(bound.error), H[True])
    tolerance += (bounds[0].error * np.abs(direction)).sum()
    assert abs((gradients[0] * direction).sum() - estimate) <= tolerance


# ---- Array functions ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*SMOOTH, *KINKED])
def test_activation_backward(name):
    name, alpha = (name, 0.0) if isinstance(name, str) else name
    rng = np.random.default_rng(0)
    x = np.round(rng.uniform(-6, 6, 4000) * 2**20) / 2**20
    for kink in KINKS.get(name, ()):
        x = x[np.abs(x - kink) > 0.05]
    h = 2.0**-8

    def f(change):
        return _core.activation(name, x + change, None, alpha)

    source = x if name in _core.NEEDS_INPUT else f(0)
    dx = _core.activation_backward(name, np.ones_like(x), source, None, alpha)
    estimate, truncation = extrapolated(f, h)
    given = bounded.exact(x, "float64")
    bound = ref.activation(name, given, alpha)
    own = ref.derivative(name, given if name in _core.NEEDS_INPUT else bound, alpha)
    # Values at x + 4h are at most 3 times as large, and so are their errors.
    assert (np.abs(dx - estimate) <= truncation + 3 * rounding(bound.error, h) + own.error).all()


@pytest.mark.parametrize("n", [1, 2, 17])
def test_softmax_backward(n):
    rng = np.random.default_rng(n)
    x = np.round(rng.uniform(-2, 2, (1, n)) * 2**20) / 2**20
    dy = rng.uniform(-1, 1, (1, n))
    y = _core.activation("softmax", x)
    dx = _core.activation_backward("softmax", dy, y)
    bound = ref.softmax(bounded.exact(x, "float64"))
    own = ref.activation_backward("softmax", bounded.exact(dy, "float64"), bound)
    h = 2.0**-8
    for j, unit in enumerate(np.eye(n)):

        def f(change, unit=unit):
            return float((_core.activation("softmax", x + change * unit) * dy).sum())

        estimate, truncation = extrapolated(f, h)
        # The sum of n products adds n u times their size, which is at most 1.
        e = float((bound.error * np.abs(dy)).sum()) + (n + 1) * 2.0**-53
        assert abs(dx[0, j] - estimate) <= truncation + 2 * rounding(e, h) + own.error[0, j]


# ---- The public interface ----------------------------------------------------------------------


@pytest.mark.parametrize("dropout_step", [None, 0, 5])
def test_sequential_gives_the_same_gradients(dropout_step, bits):
    net = cnn.mlp([4, 9, 6, 3], "gelu", "softmax", rng=3, dropout=0.3, l2=0.01)
    rng = np.random.default_rng(0)
    x, t, weights = rng.standard_normal((30, 4)), rng.integers(0, 3, 30), rng.uniform(0, 1, 30)
    value, gradients = net.gradients(x, t, sample_weight=weights, dropout_step=dropout_step)
    step = -1 if dropout_step is None else dropout_step
    loss = _core.Loss("cross_entropy", labels=True)
    expected, flat = net._network.gradients(loss, x, t, weights, step)
    assert value == expected
    assert [g is None for g in gradients] == [
        isinstance(layer, cnn.Dropout) for layer in net.layers
    ]
    assert bits(*(p for g in gradients if g is not None for p in g)) == bits(*flat)
