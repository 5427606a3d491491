"""Forward and backward of everything against tests/reference.py, within its derived bounds.

Results are the same on every instruction set (test_reproducibility.py), so one will do here.
"""

import bounded
import exact_bits
import numpy as np
import pytest
import reference as ref
from bounded import assert_within, exact
from reference import LossSettings

import cnn
from cnn import _core

SIZES = [*range(1, 41), 255, 256, 257, 511, 512, 513, 784, 1023, 1024, 1025]
FEW_SIZES = [1, 2, 15, 16, 17, 33, 255, 256, 257, 784, 1025]
ELEMENTWISE = [name for name in _core.ACTIVATIONS if name != "softmax"]
# All names, and some numbers of those activations that have one.
WITH_NUMBERS = [
    *((name, 0.0) for name in ELEMENTWISE),
    *((name, alpha) for name in _core.ALPHAS for alpha in (0.2, 3.0, 1e-30, 1e30)),
]


def numbers(seed, shape, dtype, scale=1.0):
    return (np.random.default_rng(seed).standard_normal(shape) * scale).astype(dtype)


# ---- Activations -------------------------------------------------------------------------------


def all_magnitudes(dtype):
    """Return numbers of every exponent from denormal to huge, and dense ones where h curves."""
    rng = np.random.default_rng(0)
    info = np.finfo(dtype)
    exponents = np.repeat(np.arange(info.minexp - info.nmant, info.maxexp), 8)
    wide = np.ldexp(rng.uniform(1, 2, exponents.size).astype(dtype), exponents)
    curved = rng.uniform(-40, 40, 20000).astype(dtype)
    steep = rng.uniform(-2, 2, 20000).astype(dtype)
    near = rng.uniform(-800, 800, 5000).astype(dtype)
    return np.concatenate([wide, -wide, curved, steep, near, np.zeros(1, dtype)])


def assert_within_or_overflown(y, expected, what):
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = expected.value.astype(y.dtype)
    finite = np.isfinite(rounded)
    assert_within(y[finite], expected[finite], what)
    assert np.array_equal(y[~finite], rounded[~finite])


@pytest.mark.parametrize(("name", "alpha"), WITH_NUMBERS)
def test_activation(name, alpha, dtype):
    x = all_magnitudes(dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        expected = ref.activation(name, exact(x, dtype), alpha)
    assert_within_or_overflown(_core.activation(name, x, None, alpha), expected, name)


@pytest.mark.parametrize(("name", "alpha"), WITH_NUMBERS)
def test_derivative(name, alpha, dtype):
    x = all_magnitudes(dtype)
    # The derivative is a function of what is given: the library's y, taken as exact.
    source = x if name in _core.NEEDS_INPUT else _core.activation(name, x, None, alpha)
    source = source[np.abs(source) < 1e30]
    dy = numbers(1, source.shape, dtype)
    actual = _core.activation_backward(name, dy, source, None, alpha)
    with np.errstate(over="ignore", under="ignore"):
        expected = ref.activation_backward(name, exact(dy, dtype), exact(source, dtype), alpha)
    assert_within(actual, expected, name)


def limits(name, dtype):
    """Return h(-inf) and h(inf)."""
    return {
        "identity": (-np.inf, np.inf),
        "step": (0, 1),
        "sigmoid": (0, 1),
        "tanh": (-1, 1),
        "relu": (0, np.inf),
        "leaky_relu": (-np.inf, np.inf),
        "elu": (-1, np.inf),
        "softplus": (0, np.inf),
        "mish": (0, np.inf),
        "selu": (-dtype.type(ref.SELU_PRODUCT), np.inf),
        "hard_sigmoid": (0, 1),
        "hard_swish": (0, np.inf),
        "relu6": (0, 6),
        "softsign": (-1, 1),
        "exponential": (0, np.inf),
        "gelu": (0, np.inf),
        "gelu_tanh": (0, np.inf),
    }[name]


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_nan_stays_nan(name, dtype, isa):
    x = np.full(40, np.nan, dtype)
    x[::3] = 1
    y = _core.activation(name, x)
    assert np.array_equal(np.isnan(y), np.isnan(x))


@pytest.mark.parametrize("name", [n for n in ELEMENTWISE if n != "silu"])
def test_infinities(name, dtype, isa):
    x = np.array([-np.inf, np.inf] * 9, dtype)
    assert _core.activation(name, x).tolist() == list(limits(name, dtype)) * 9


def test_infinities_of_silu(dtype, isa):
    """x times 0 or 1: the limit at inf, NaN at -inf as in PyTorch."""
    y = _core.activation("silu", np.array([-np.inf, np.inf] * 9, dtype))
    assert (y[1::2] == np.inf).all()
    assert np.isnan(y[::2]).all()


@pytest.mark.parametrize("name", ["silu", "gelu"])
def test_derivatives_of_products_at_infinities(name, dtype, isa):
    x = np.array([-np.inf, np.inf] * 9, dtype)
    assert np.isnan(cnn.activation_backward(name, np.ones(18, dtype), x=x)).all()


def test_gelu_keeps_the_sign_of_zero(dtype, isa):
    x = np.array([-np.inf, -1e4, -0.0, 0.0] * 9, dtype)
    y = _core.activation("gelu", x)
    assert (y == 0).all()
    assert np.signbit(y).tolist() == [True, True, True, False] * 9


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_denormals_and_huge(name, dtype, isa):
    """Denormals are numbers like others, and huge numbers reach the limit or overflow to it."""
    info = np.finfo(dtype)
    x = np.array([info.smallest_subnormal, info.tiny / 2, info.tiny, info.max], dtype)
    x = np.concatenate([x, -x])
    with np.errstate(over="ignore"):
        expected = ref.activation(name, exact(x, dtype))
    assert_within_or_overflown(_core.activation(name, x), expected, name)


NOT_0_AT_0 = {"sigmoid", "softplus", "hard_sigmoid", "exponential"}


@pytest.mark.parametrize("name", [name for name in ELEMENTWISE if name not in NOT_0_AT_0])
def test_zero_stays_zero(name, dtype, isa):
    assert not _core.activation(name, np.array([0.0, -0.0] * 10, dtype)).any()


def test_lecture_numbers():
    assert round(float(_core.activation("sigmoid", 1.0)), 3) == 0.731
    assert round(float(_core.activation("sigmoid", 2.0)), 4) == 0.8808  # 0.880 cut off
    assert _core.activation("step", np.array([-1.0, 0.0, 1e-300])).tolist() == [0, 0, 1]
    assert _core.activation("relu", np.array([-3.0, 0.0, 3.0])).tolist() == [0, 0, 3]
    p = _core.activation("softmax", np.array([1010.0, 1000.0, 990.0]))
    assert np.allclose(p, [0.9999546, 0.0000454, 2.06e-9], rtol=1e-3, atol=0)


# ---- Softmax -----------------------------------------------------------------------------------


def rows_for_softmax(n, dtype):
    """Return rows that are flat, ordinary, steep, and shifted far away."""
    rng = np.random.default_rng(n)
    z = rng.standard_normal((6, n))
    z[0] = 0
    z[2] *= 30
    z[3] = 1000 + 10 * z[3]
    z[4] -= 1e6
    z[5] *= 1e3
    return z.astype(dtype)


@pytest.mark.parametrize("n", SIZES)
def test_softmax(n, dtype):
    x = rows_for_softmax(n, dtype)
    y = _core.activation("softmax", x)
    assert_within(y, ref.softmax(exact(x, dtype)), f"softmax of {n}")
    assert ((y >= 0) & (y <= 1)).all()
    sums = y.astype(bounded.WIDE[dtype]).sum(1)
    assert (np.abs(sums - 1) <= ref.softmax_sum_tolerance(n, dtype)).all()
    # Order is kept: a larger input never has a smaller output.
    order = np.argsort(x, axis=1, kind="stable")
    assert (np.diff(np.take_along_axis(y, order, 1), axis=1) >= 0).all()


@pytest.mark.parametrize("n", SIZES)
def test_log_softmax(n, dtype):
    x = rows_for_softmax(n, dtype)
    y = _core.log_softmax(x)
    assert_within(y, ref.log_softmax(exact(x, dtype)), f"log_softmax of {n}")


@pytest.mark.parametrize("n", SIZES)
def test_softmax_backward(n, dtype):
    y = _core.activation("softmax", rows_for_softmax(n, dtype))
    dy = numbers(n, y.shape, dtype)
    dx = _core.activation_backward("softmax", dy, y)
    assert_within(dx, ref.activation_backward("softmax", exact(dy, dtype), exact(y, dtype)))


@pytest.mark.parametrize("function", ["softmax", "log_softmax"])
@pytest.mark.parametrize("n", [1, 2, 7, 16, 17, 40, 257])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_rows_with_nan_or_inf_are_nan(function, n, bad, dtype, isa):
    for at in {0, n // 2, n - 1}:
        x = numbers(3, (3, n), dtype)
        x[1, at] = bad
        y = softmax_or_log(function, x)
        assert np.isnan(y[1]).all()
        assert np.isfinite(y[[0, 2]]).all()


def softmax_or_log(function, x):
    return _core.log_softmax(x) if function == "log_softmax" else _core.activation(function, x)


@pytest.mark.parametrize("function", ["softmax", "log_softmax"])
@pytest.mark.parametrize("n", [1, 2, 16, 17, 40])
def test_rows_of_minus_inf_are_nan(function, n, dtype, isa):
    x = np.full((2, n), -np.inf, dtype)
    x[0] = 1
    y = softmax_or_log(function, x)
    assert np.isfinite(y[0]).all()
    assert np.isnan(y[1]).all()


@pytest.mark.parametrize("n", [2, 7, 16, 17, 40, 257])
def test_minus_inf_elsewhere_gives_0(n, dtype, isa):
    x = numbers(4, (2, n), dtype)
    x[1, ::2] = -np.inf
    y = _core.activation("softmax", x)
    assert not y[1, ::2].any()
    kept = np.ascontiguousarray(x[1:, 1::2])
    assert_within(y[1:, 1::2], ref.softmax(exact(kept, dtype)))
    assert (_core.log_softmax(x)[1, ::2] == -np.inf).all()


def test_softmax_of_extremes(dtype, isa):
    most = np.finfo(dtype).max
    x = np.array([[most, -most, 0], [most, most, -most], [0, -0.0, 0]], dtype)
    with np.errstate(over="ignore"):
        y = _core.activation("softmax", x)
    assert y[0].tolist() == [1, 0, 0]
    assert y[1].tolist() == [0.5, 0.5, 0]
    assert np.array_equal(y[2], np.full(3, y[2, 0]))


# ---- Dense layers ------------------------------------------------------------------------------


def dense_operands(m, n, k, dtype):
    rng = np.random.default_rng(1000 * m + 10 * n + k)
    shapes = (m, k), (k, n), (n,)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def check_dense(m, n, k, dtype, name="identity"):
    x, w, b = dense_operands(m, n, k, dtype)
    expected = ref.dense(*(exact(v, dtype) for v in (x, w, b)), name)
    assert_within(_core.dense(x, w, b, name), expected, f"dense {m} x {k} x {n} {name}")


def check_dense_backward(m, n, k, dtype):
    x, w, _ = dense_operands(m, n, k, dtype)
    dy = numbers(m, (m, n), dtype)
    expected = ref.dense_backward(*(exact(v, dtype) for v in (dy, x, w)))
    actual = _core.dense_backward(dy, x, w)
    for name, a, e in zip(("dx", "dweight", "dbias"), actual, expected, strict=True):
        assert_within(a, e, f"{name} of {m} x {k} x {n}")


@pytest.mark.parametrize("which", ["m", "n", "k"])
def test_dense(which, dtype):
    """Each of the three sizes takes all values, the others a few."""
    for i, size in enumerate(SIZES):
        m, n, k = (3 + i % 5, 5 + i % 14, 7 + 3 * i)
        sizes = {"m": (size, n, k % 40 + 1), "n": (m, size, k % 40 + 1), "k": (m, n, size)}[which]
        check_dense(*sizes, dtype)
        check_dense_backward(*sizes, dtype)


@pytest.mark.parametrize("name", _core.ACTIVATIONS)
def test_dense_with_activation(name, dtype):
    for n, k in (1, 1), (10, 33), (17, 257), (33, 784):
        check_dense(5, n, k, dtype, name)


def test_dense_cancellation(dtype):
    """The bound is in terms of sum |x||w|, so it must hold where the sum itself vanishes."""
    x = numbers(1, (4, 512), dtype, 1e3)
    w = np.concatenate([np.ones((256, 6)), -np.ones((256, 6))]).astype(dtype)
    x[:, 256:] = x[:, :256]
    y = _core.dense(x, w, None, "identity")
    assert not y.any(), "two equal chunks of opposite sign cancel exactly"
    w[256:] *= dtype.type(1 + 1e-4)
    expected = ref.dense(exact(x, dtype), exact(w, dtype), None)
    assert_within(_core.dense(x, w, None, "identity"), expected)


def test_dense_of_no_inputs_is_the_bias(dtype):
    b = np.arange(5, dtype=dtype)
    y = _core.dense(np.empty((3, 0), dtype), np.empty((0, 5), dtype), b, "identity")
    assert np.array_equal(y, np.tile(b, (3, 1)))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_dense_keeps_bad_rows_apart(bad, dtype, isa):
    """A row with NaN or inf does not touch its neighbours in the tile."""
    x, w, b = dense_operands(14, 37, 19, dtype)
    good = _core.dense(x, w, b, "identity")
    x[5, 7] = bad
    y = _core.dense(x, w, b, "identity")
    assert not np.isfinite(y[5]).any()
    assert np.array_equal(np.delete(y, 5, 0), np.delete(good, 5, 0))


# ---- Losses ------------------------------------------------------------------------------------

LOSSES = {
    "squared_error": LossSettings("squared_error"),
    "huber": LossSettings("huber"),
    "huber_wide": LossSettings("huber", delta=2.3),
    "poisson": LossSettings("poisson"),
    "absolute_error": LossSettings("absolute_error"),
    "quantile": LossSettings("quantile"),
    "binary_cross_entropy": LossSettings("binary_cross_entropy"),
    "cross_entropy": LossSettings("cross_entropy"),
    "cross_entropy_smooth": LossSettings("cross_entropy", label_smoothing=0.1),
    "cross_entropy_labels": LossSettings("cross_entropy", labels=True),
    "cross_entropy_labels_smooth": LossSettings("cross_entropy", labels=True, label_smoothing=0.2),
}
WEIGHTED = LossSettings("cross_entropy", labels=True, class_weight=np.array([0.5, 2, 0, 1, 1.5]))


def targets_for(settings, rows, cols, dtype, seed=5):
    """Return targets that suit a loss, in the network's type."""
    rng = np.random.default_rng(seed)
    if settings.labels:
        return rng.integers(0, cols, rows)
    if settings.kind == "cross_entropy":
        t = rng.dirichlet(np.ones(cols), rows).astype(dtype)
        t[0] = 0
        t[0, cols // 2] = 1
        return t
    if settings.kind == "binary_cross_entropy":
        t = rng.integers(0, 2, (rows, cols)).astype(dtype)
        t[-1] = 0.25
        return t
    if settings.kind == "poisson":
        return rng.poisson(2.0, (rows, cols)).astype(dtype)
    return rng.standard_normal((rows, cols)).astype(dtype)


def check_loss(settings, rows, cols, dtype, *, weighted=False, scale=2.0):
    z = numbers(rows + cols, (rows, cols), dtype, scale)
    t = targets_for(settings, rows, cols, dtype)
    weights = np.random.default_rng(6).uniform(0, 3, rows) if weighted else None
    actual = _core.loss_gradient(_core.Loss(**settings._asdict()), z, t, weights)
    expected = ref.batch_loss(settings, exact(z, dtype), t, weights)
    for name, a, e in zip(("value", "gradient"), actual, expected, strict=True):
        assert_within(a, e, f"{name} of {settings.kind} {rows} x {cols}")


@pytest.mark.parametrize("name", LOSSES)
def test_loss(name, dtype):
    for rows, cols in [(1, 1), (2, 3), (7, 16), (16, 17), (33, 10), (3, 257), (300, 5), (2, 1025)]:
        check_loss(LOSSES[name], rows, cols, dtype)
        check_loss(LOSSES[name], rows, cols, dtype, weighted=True)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("scale", [1e-6, 20.0])
def test_loss_of_small_and_large_outputs(name, scale, dtype):
    check_loss(LOSSES[name], 20, 12, dtype, scale=scale)


@pytest.mark.parametrize("cols", [1, 3, 16, 17, 70])
def test_quantile_loss_of_given_levels(cols, dtype):
    levels = np.sort(np.random.default_rng(cols).uniform(0, 1, cols)) ** 3
    settings = LossSettings("quantile", quantiles=levels)
    for rows in 1, 20:
        check_loss(settings, rows, cols, dtype, weighted=True)


def test_loss_with_class_weights(dtype):
    for rows in 1, 17, 100:
        check_loss(WEIGHTED, rows, 5, dtype, weighted=True)


@pytest.mark.parametrize("smoothing", [0.1, 0.7])
def test_loss_with_class_weights_and_smoothing(smoothing, dtype):
    for rows in 1, 17, 100:
        check_loss(WEIGHTED._replace(label_smoothing=smoothing), rows, 5, dtype, weighted=True)


def test_binary_cross_entropy_is_finite_for_large_logits(dtype):
    z = np.array([[1e4, -1e4]], dtype)
    value, gradient = _core.loss_gradient(
        _core.Loss("binary_cross_entropy"), z, np.array([[1.0, 0.0]]), None
    )
    assert value == 0
    assert not gradient.any()


def test_cross_entropy_with_impossible_class_is_inf(dtype):
    z = np.array([[0.0, -np.inf]], dtype)
    loss = _core.Loss("cross_entropy", labels=True)
    assert _core.loss_gradient(loss, z, np.array([0]), None)[0] == 0
    assert _core.loss_gradient(loss, z, np.array([1]), None)[0] == np.inf
    rows = _core.Loss("cross_entropy")
    assert _core.loss_gradient(rows, z, np.array([[1.0, 0.0]]), None)[0] == 0, "0 log 0 is 0"


@pytest.mark.parametrize("name", LOSSES)
def test_nan_in_outputs_reaches_the_loss(name, dtype):
    settings = LOSSES[name]
    z = numbers(1, (4, 6), dtype)
    z[2, 3] = np.nan
    t = targets_for(settings, 4, 6, dtype)
    value, gradient = _core.loss_gradient(_core.Loss(**settings._asdict()), z, t, None)
    assert np.isnan(value)
    assert np.isnan(gradient[2, 3])
    assert np.isfinite(gradient[[0, 1, 3]]).all()


def test_weights_of_zero_move_nothing(dtype):
    z, t = numbers(1, (3, 4), dtype), np.zeros((3, 4))
    loss = _core.Loss("squared_error")
    value, gradient = _core.loss_gradient(loss, z, t, np.array([0, 2, 0]))
    alone, its_gradient = _core.loss_gradient(loss, z[1:2], t[1:2], None)
    assert value == alone
    assert np.array_equal(gradient[1:2], its_gradient)
    assert not gradient[[0, 2]].any()
    with pytest.raises(ValueError, match="sample_weight is 0 in all rows"):
        _core.loss_gradient(loss, z, t, np.zeros(3))


# ---- Networks ----------------------------------------------------------------------------------

OUTPUT_LAYERS = [
    ("softmax", LossSettings("cross_entropy", labels=True, label_smoothing=0.1)),
    ("softmax", LossSettings("cross_entropy")),
    ("sigmoid", LossSettings("binary_cross_entropy")),
    ("identity", LossSettings("squared_error")),
    ("tanh", LossSettings("huber", delta=0.5)),
    ("gelu", LossSettings("squared_error")),
    ("identity", LossSettings("poisson")),
    ("softplus", LossSettings("absolute_error")),
    ("identity", LossSettings("quantile")),
    ("identity", LossSettings("quantile", quantiles=(0.001, 0.1, 0.3, 0.5, 0.9, 0.99))),
]


def scale_for(hidden):
    """Return how large inputs are: exp, taken twice, would make errors as large as the results."""
    return 0.1 if hidden == "exponential" else 1.0


@pytest.mark.parametrize("hidden", [*ELEMENTWISE, ("leaky_relu", 0.2), ("elu", 2.0)])
def test_network_forward(hidden, dtype, network_of):
    network = network_of([20, 33, 17, 5], hidden, "softmax", dtype=dtype)
    x = numbers(1, (50, 20), dtype, scale_for(hidden))
    assert_within(network.predict(x), ref.Network(network).forward(x), hidden)


def check_gradients(network, settings, rows, *, weighted=True, step=-1, scale=1.0):
    x = numbers(2, (rows, network.inputs), network.dtype, scale)
    t = targets_for(settings, rows, network.outputs, network.dtype)
    weights = np.random.default_rng(6).uniform(0, 3, rows) if weighted else None
    masks = exact_bits.dropout_masks(network, step, rows) if step >= 0 else None
    loss = _core.Loss(**settings._asdict())
    value, gradients = network.gradients(loss, x, t, weights, step)
    expected, bounds = ref.Network(network, masks).loss(settings, x, t, weights)
    assert_within(value, expected, "loss")
    for i, (actual, bound) in enumerate(zip(gradients, bounds, strict=True)):
        assert_within(actual, bound, f"gradient of parameter {i}")
    if step < 0:
        assert_within(network.evaluate(loss, x, t, weights).loss, expected, "evaluate")


@pytest.mark.parametrize("hidden", [*(n for n in ELEMENTWISE if n != "step"), ("elu", 2.0)])
def test_network_gradients(hidden, dtype, network_of):
    network = network_of([20, 33, 17, 5], hidden, "softmax", dtype=dtype, l2=[0.01, 0, 0.1])
    check_gradients(network, OUTPUT_LAYERS[0][1], 40, scale=scale_for(hidden))


@pytest.mark.parametrize(("output", "settings"), OUTPUT_LAYERS)
def test_network_losses(output, settings, dtype, network_of):
    check_gradients(network_of([9, 16, 6], "tanh", output, dtype=dtype), settings, 30)


@pytest.mark.parametrize("rows", [1, 7, 96, 97, 256, 300])
def test_network_batches(rows, dtype, network_of):
    check_gradients(network_of([9, 12, 4], "sigmoid", "softmax", dtype=dtype), WEIGHTED_4, rows)


def test_wide_network(dtype, network_of):
    """More outputs than a chunk of k, and more columns and rows than one task takes."""
    network = network_of([300, 700, 530, 5], "relu", dtype=dtype, l2=0.01)
    check_gradients(network, LossSettings("cross_entropy", labels=True), 12)


WEIGHTED_4 = LossSettings("cross_entropy", labels=True, class_weight=np.array([0.5, 2, 1, 0]))


@pytest.mark.parametrize("step", [0, 1, 2**33])
@pytest.mark.parametrize("hidden", ["relu", "silu"])
def test_network_dropout(hidden, step, dtype, network_of):
    network = network_of([9, 70, 130, 4], hidden, dtype=dtype, dropout=[0.3, 0.6], seed=2**40 + 7)
    settings = LossSettings("cross_entropy", labels=True)
    check_gradients(network, settings, 20, step=step)


# ---- Optimizers --------------------------------------------------------------------------------


@pytest.mark.parametrize("clip_norm", [0.0, 0.05, 1e6])
@pytest.mark.parametrize("kind", _core.OPTIMIZERS)
def test_optimizer_steps(kind, clip_norm, dtype, network_of, parameters):
    """Each step is held against the exact step from the same weights, state and gradient."""
    network = network_of([6, 11, 3], "tanh", dtype=dtype, l2=[0.01, 0])
    options = ref.OPTIMIZERS[kind]
    trainer = _core.Trainer(network, kind, **options, clip_norm=clip_norm)
    loss = _core.Loss("cross_entropy", labels=True)
    x, t = numbers(1, (20, 6), dtype), np.random.default_rng(1).integers(0, 3, 20)
    for k in range(1, 5):
        lr = 0.1 / k
        _, gradients = network.gradients(loss, x, t)
        before, state = parameters(network), trainer.get_state()
        assert trainer.step(loss, x, t, None, lr).finite
        factor = ref.clip_factor(gradients, clip_norm) if clip_norm else 1.0
        assert (factor < 1) == (clip_norm == 0.05)
        check_step(kind, options, lr, k, factor, gradients, before, state, trainer, parameters)


def flat(parts):
    return np.concatenate([part.ravel() for part in parts])


def check_step(kind, options, lr, k, factor, gradients, before, state, trainer, parameters):
    dtype = before[0].dtype
    g, w = (exact(flat(parts), dtype) for parts in (gradients, before))
    slots = [exact(s, dtype) for s in state]
    with np.errstate(divide="ignore", invalid="ignore"):
        expected, expected_slots = ref.optimizer_step(
            kind, options, lr, k, ref.clipped(g, factor), w, slots
        )
    assert_within(flat(parameters(trainer.network)), expected, f"{kind}, step {k}")
    for actual, bound in zip(trainer.get_state(), expected_slots, strict=True):
        assert_within(actual, bound, f"state of {kind}, step {k}")
