"""forward, backward, apply_gradients, vjp and jacobian: values, bits, and what they refuse."""

import copy
import pickle
import threading

import bounded
import exact_bits
import numpy as np
import pytest
import reference as ref
from bounded import assert_within
from differences import KINKED, ROWS, SMOOTH, H, case, extrapolated, rounding
from exact_runs import HIDDEN, numbers, on_scalar
from reference import LossSettings
from refused import refused

import cnn
from cnn import _core

SQUARED = LossSettings("squared_error")


def of_tape(network, x, dy, step=-1):
    """Return the outputs, and the gradients for dy: of the parameters, and of x."""
    tape = _core.Tape(network)
    y = tape.forward(x, step)
    return y, *tape.backward(dy)


# ---- Values ------------------------------------------------------------------------------------


def check_values(network, rows, *, step=-1, scale=1.0):
    """Compare with the reference, within the bounds of its rounding errors."""
    dtype = network.dtype
    x, dy = numbers(1, (rows, network.inputs), dtype), numbers(2, (rows, network.outputs), dtype)
    x *= dtype.type(scale)
    masks = exact_bits.dropout_masks(network, step, rows) if step >= 0 else None
    y, gradients, dx = ref.Network(network, masks).derivatives(x, dy)
    found_y, found, found_dx = of_tape(network, x, dy, step)
    assert_within(found_y, y, "y")
    for actual, bound in zip([*found, found_dx], [*gradients, dx], strict=True):
        assert_within(actual, bound, "gradient")
    if step < 0:
        for actual, bound in zip(network.vjp(x, dy), (y, dx), strict=True):
            assert_within(actual, bound, "vjp")
        jacobian = network.jacobian(x)
        for j in range(network.outputs):
            unit = np.zeros_like(dy)
            unit[:, j] = 1
            assert_within(jacobian[:, j], ref.Network(network).derivatives(x, unit)[2], "jacobian")


@pytest.mark.parametrize("hidden", HIDDEN)
def test_hidden_activations(hidden, dtype, network_of):
    network = network_of([9, 33, 17, 4], hidden, "softmax", dtype=dtype, l2=0.1)
    check_values(network, 20, scale=0.1 if hidden == "exponential" else 1.0)


@pytest.mark.parametrize("output", ["softmax", *HIDDEN])
def test_output_activations(output, dtype, network_of):
    check_values(network_of([9, 12, 5], "tanh", output, dtype=dtype), 3)


@pytest.mark.parametrize("step", [0, 5])
def test_dropout(step, dtype, network_of):
    network = network_of([9, 40, 30, 4], "silu", dtype=dtype, dropout=[0.3, 0.6])
    check_values(network, 20, step=step)
    check_values(network, 20)


def test_more_than_a_chunk_and_a_block(dtype, network_of):
    check_values(network_of([3, 270, 20, 2], "relu", dtype=dtype), 260)


def test_step_has_the_derivative_0(network_of):
    network = network_of([3, 4, 2], "step", "identity")
    x, dy = numbers(1, (5, 3), "float32"), numbers(2, (5, 2), "float32")
    assert not network.vjp(x, dy)[1].any()
    assert not network.jacobian(x).any()


# ---- Central differences -----------------------------------------------------------------------


def check_differences(network, x, dy, *, smooth=True, step=-1):
    """Compare with central differences of each row's sum(dy * y)."""
    h = H[smooth]
    x = np.round(x * 2**30) / 2**30  # so that x + h is exact
    masks = exact_bits.dropout_masks(network, step, ROWS) if step >= 0 else None
    y, own_gradients, own_dx = ref.Network(network, masks).derivatives(x, dy)
    # The sum of n products adds n u times their size.
    size = (np.abs(dy) * np.abs(y.value.astype(float))).sum(axis=1)
    e = rounding((np.abs(dy) * y.error).sum(axis=1) + (dy.shape[1] + 1) * 2.0**-53 * size, h)
    tape = _core.Tape(network)
    tape.forward(x, step)
    gradients, dx = tape.backward(dy)

    def value(x):
        return (dy * _core.Tape(network).forward(x, step)).sum(axis=1)

    for j in range(network.inputs):
        unit = np.eye(network.inputs)[j]
        estimate, truncation = extrapolated(lambda change, u=unit: value(x + change * u), h)
        tolerance = truncation + 3 * e + own_dx.error[:, j]
        assert (np.abs(dx[:, j] - estimate) <= tolerance).all(), j
        assert (tolerance < 1e-6 + 1e-4 * np.abs(estimate)).all(), "the bound should mean something"
    dense = [i for i, layer in enumerate(network.layers) if layer.kind == "dense"]
    parts = [(i, name) for i in dense for name in ("weight", "bias")]
    for (i, name), gradient, own in zip(parts, gradients, own_gradients, strict=True):
        original = network.get(i, name)
        direction = np.round(np.random.default_rng(i).uniform(-1, 1, original.shape) * 8) / 8

        def moved(change, original=original, direction=direction, i=i, name=name):
            network.set(i, name, original + change * direction)
            return value(x).sum()

        estimate, truncation = extrapolated(moved, h)
        network.set(i, name, original)
        tolerance = truncation + 3 * e.sum() + (own.error * np.abs(direction)).sum()
        tolerance += gradient.size * 2.0**-52 * np.abs(gradient * direction).sum()
        assert abs((gradient * direction).sum() - estimate) <= tolerance, (i, name)
        assert tolerance < 1e-6 + 1e-3 * abs(estimate), "the bound should mean something"


@pytest.mark.parametrize("name", [*SMOOTH, *KINKED])
def test_differences_of_activations(name, network_of):
    """In a hidden layer and in the output layer."""
    for hidden, output in ((name, "softmax"), ("tanh", name)):
        network, x, _, _ = case(network_of, [3, 5, 4], hidden, output, SQUARED)
        check_differences(network, x, numbers(1, (ROWS, 4), "float64"), smooth=name in SMOOTH)


def test_differences_with_dropout(network_of):
    network, x, _, _ = case(network_of, [3, 6, 5, 3], "silu", "softmax", SQUARED, dropout=0.4)
    check_differences(network, x, numbers(1, (ROWS, 3), "float64"), step=2)


# ---- Bits --------------------------------------------------------------------------------------

NETWORKS = {
    "narrow": ([7, 20, 3], 23),
    "one output": ([7, 20, 20, 1], 150),
    "many outputs": ([5, 16, 150], 3),
    "wide": ([40, 530, 515, 5], 2),
    "rows": ([60, 90, 4], 500),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_bits_of_threads_and_instruction_sets(name, isa, threads, dtype, bits, network_of):
    sizes, rows = NETWORKS[name]
    x, dy = numbers(1, (rows, sizes[0]), dtype), numbers(2, (rows, sizes[-1]), dtype)

    def run():
        network = network_of(sizes, "gelu", dtype=dtype, dropout=0.5)
        y, gradients, dx = of_tape(network, x, dy, 3)
        return *network.vjp(x, dy), network.jacobian(x[:20]), y, *gradients, dx

    assert bits(*run()) == bits(*on_scalar(run))


def test_a_row_does_not_depend_on_the_others(dtype, bits, network_of):
    network = network_of([20, 70, 50, 6], "tanh", dtype=dtype)
    x, dy = numbers(1, (300, 20), dtype), numbers(2, (300, 6), dtype)
    y, dx = network.vjp(x, dy)
    jacobian = network.jacobian(x)
    assert bits(y) == bits(network.predict(x))
    tape_y, _, tape_dx = of_tape(network, x, dy)
    assert bits(tape_y, tape_dx) == bits(y, dx)
    for rows in (1, 2, 5, 6, 7, 131, 299):
        for first in (0, 300 - rows):
            part = slice(first, first + rows)
            assert bits(*network.vjp(x[part], dy[part])) == bits(y[part], dx[part])
            assert bits(network.jacobian(x[part])) == bits(jacobian[part])
    one = [network.vjp(x[0], unit)[1] for unit in np.eye(6, dtype=dtype)]
    assert bits(np.stack(one)) == bits(jacobian[0]) == bits(network.jacobian(x[0]))


def test_inputs_with_zeros_and_of_any_layout(bits, network_of):
    """Products that are left out for a 0 change no bit, nor does the way to x."""
    network = network_of([200, 64, 5], "relu")
    x = numbers(1, (140, 200), "float32")
    x[np.random.default_rng(0).random(x.shape) < 0.9] = 0
    dy = numbers(2, (140, 5), "float32")
    y, gradients, dx = of_tape(network, x, dy)
    expected = on_scalar(lambda: network_of([200, 64, 5], "relu").vjp(x, dy))
    assert bits(y, dx) == bits(*expected) == bits(*network.vjp(x, dy))
    assert_within(gradients[0], ref.Network(network).derivatives(x, dy)[1][0])
    for changed in (np.asfortranarray(x), x[::-1][::-1], x.astype("float64"), x.tolist()):
        assert bits(*network.vjp(changed, np.asfortranarray(dy))) == bits(y, dx)
        found = of_tape(network, changed, dy.astype("float64"))
        assert bits(found[0], *found[1], found[2]) == bits(y, *gradients, dx)
        assert bits(network.jacobian(changed)) == bits(network.jacobian(x))


# ---- forward and backward ----------------------------------------------------------------------


@pytest.fixture
def net():
    return cnn.mlp([3, 5, 4, 2], "tanh", "identity", rng=0, dtype="float64", dropout=0.25)


X, DY = numbers(3, (6, 3), "float64"), numbers(4, (6, 2), "float64")


def parts(found):
    return [p for g in found.gradients if g is not None for p in g]


def test_backward_is_that_of_the_layers(net, bits):
    y = net.forward(X)
    assert bits(y) == bits(net.predict(X))
    found = net.backward(DY)
    assert isinstance(found, cnn.Backward)
    assert [g is None for g in found.gradients] == [False, True, False, True, False]
    for layer, gradient in zip(net, found.gradients, strict=True):
        if gradient is not None:
            assert isinstance(gradient, cnn.Gradient)
            assert gradient.weight.shape == layer.weight.shape
            assert gradient.bias.shape == layer.bias.shape
    assert bits(found.dx) == bits(net.vjp(X, DY)[1])


def test_backward_again_and_x_that_changes(net, bits):
    x = X.copy()
    net.forward(x)
    x[:] = np.nan
    first, twice = net.backward(DY), net.backward(2 * DY)
    assert bits(*(2 * p for p in parts(first)), 2 * first.dx) == bits(*parts(twice), twice.dx)
    assert bits(*parts(net.backward(DY))) == bits(*parts(first))


def test_one_row(net, bits):
    y = net.forward(X[0])
    found = net.backward(DY[0])
    assert (y.shape, found.dx.shape) == ((2,), (3,))
    net.forward(X[:1])
    assert bits(*parts(found), found.dx) == bits(*parts(net.backward(DY[:1])), net.vjp(X, DY)[1][0])
    assert [a.shape for a in net.vjp(X[0], DY[0])] == [(2,), (3,)]
    assert net.jacobian(X[0]).shape == (2, 3)
    assert net.jacobian(X).shape == (6, 2, 3)
    assert net.jacobian(X[:0]).shape == (0, 2, 3)


def test_dropout_of_a_step(net, bits):
    first, second = net.forward(X, dropout_step=0), net.forward(X, dropout_step=1)
    assert bits(first) != bits(second) != bits(net.predict(X))
    assert bits(net.forward(X, dropout_step=0)) == bits(first)
    _, expected = net.gradients(X, first - DY, loss="squared_error", dropout_step=0)
    net.forward(X, dropout_step=0)
    # The loss is the mean of the rows, and y - t is DY to rounding.
    for gradient, other in zip(net.backward(DY / 6).gradients, expected, strict=True):
        if gradient is not None:
            np.testing.assert_allclose(gradient.weight, other.weight, rtol=1e-12, atol=1e-14)


def test_each_thread_has_its_own(net, bits):
    found = {}
    all_forward = threading.Barrier(4)

    def run(i):
        net.forward(X[i : i + 1])
        all_forward.wait()
        found[i] = net.backward(DY[i : i + 1]).dx

    threads = [threading.Thread(target=run, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bits(*(found[i] for i in range(4))) == bits(net.vjp(X[:4], DY[:4])[1])
    with refused(ValueError, "backward: nothing went forward, should be called after forward"):
        net.backward(DY)


@pytest.mark.parametrize(
    "make", [copy.copy, copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))]
)
def test_copies_are_without_what_is_kept(make, net, bits):
    net.note = "kept"
    net.forward(X)
    made = make(net)
    assert made.note == "kept"
    with refused(ValueError, "backward: nothing went forward"):
        made.backward(DY)
    made.forward(X)
    assert bits(*parts(made.backward(DY))) == bits(*parts(net.backward(DY)))


def test_weights_that_have_changed(net):
    changes = {
        "bias": lambda: setattr(net.layers[0], "bias", np.ones(5)),
        "fit": lambda: net.fit(X, DY, loss="squared_error"),
        "set_weights": lambda: net.set_weights(net.get_weights()),
    }
    for change in changes.values():
        net.forward(X)
        net.backward(DY)
        change()
        with refused(
            ValueError,
            "backward: the weights have changed since the forward, which should be repeated",
        ):
            net.backward(DY)
    net.forward(X)
    net.apply_gradients(net.backward(DY).gradients, cnn.SGD())
    with refused(ValueError, "backward: the weights have changed"):
        net.backward(DY)


def test_a_tape_is_for_one_thread_at_a_time(network_of):
    network = network_of([200, 1000, 1000, 10])
    tape = _core.Tape(network)
    x = numbers(1, (2000, 200), "float32")
    errors = []

    def run():
        try:
            for _ in range(3):
                tape.forward(x)
        except RuntimeError as error:
            errors.append(str(error))

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(errors) <= {"forward: the tape is in use by another thread"}
    assert tape.forward(x) is not None


# ---- Steps -------------------------------------------------------------------------------------


def step_on(net, x, t, optimizer):
    """Make the step on squared_error by its own formula: 1/2 of the mean of (y - t)^2."""
    y = net.forward(x, dropout_step=optimizer.steps)
    net.apply_gradients(net.backward((y - t) / len(x)).gradients, optimizer)


OPTIMIZERS = {
    "sgd": cnn.SGD(cnn.StepDecay(0.1, 2, 0.5)),
    "momentum": cnn.SGD(0.1, momentum=0.9),
    "nesterov": cnn.SGD(0.1, momentum=0.9, nesterov=True),
    "adam": cnn.Adam(0.1, clip_norm=0.05),
    "adamw": cnn.AdamW(0.1),
    "rmsprop": cnn.RMSprop(0.1, clip_norm=1e-3),
    "adagrad": cnn.Adagrad(0.1),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_have_the_bits_of_train_step(name, dtype, bits, isa):
    """With 8 rows, by which a division is exact, gradients have the same bits too."""
    made = cnn.mlp([9, 40, 30, 3], "relu", "sigmoid", rng=1, dtype=dtype, dropout=0.2, l2=0.1)
    x, t = numbers(1, (8, 9), dtype), numbers(2, (8, 3), dtype)
    nets = [copy.deepcopy(made) for _ in range(3)]
    optimizers = [copy.deepcopy(OPTIMIZERS[name]) for _ in nets]
    for _ in range(4):
        nets[0].train_step(x, t, optimizer=optimizers[0], loss="squared_error")
        step_on(nets[1], x, t, optimizers[1])
        step = optimizers[2].steps
        _, gradients = nets[2].gradients(x, t, loss="squared_error", dropout_step=step)
        nets[2].apply_gradients(gradients, optimizers[2], l2=False)
        expected = bits(*nets[0].get_weights())
        assert [bits(*net.get_weights()) for net in nets[1:]] == [expected, expected]
    assert [optimizer.steps for optimizer in optimizers] == [4, 4, 4]


@pytest.mark.parametrize("sizes", [[784, 50, 100, 10], [40, 600, 530, 5], [1, 1]])
def test_steps_of_other_shapes(sizes, threads, bits):
    """Row-major weights and panels, one thread and more; after fit, as before it."""
    made = cnn.mlp(sizes, "relu", "identity", rng=1, l2=0.01)
    x, t = numbers(1, (64, sizes[0]), "float32"), numbers(2, (64, sizes[-1]), "float32")
    nets = [copy.deepcopy(made) for _ in range(2)]
    optimizers = [cnn.Adam(clip_norm=1.0) for _ in nets]
    for net, optimizer in zip(nets, optimizers, strict=True):
        net.fit(x, t, batch_size=9, optimizer=optimizer)
    for _ in range(2):
        nets[0].train_step(x, t, optimizer=optimizers[0])
        step_on(nets[1], x, t, optimizers[1])
    for net, optimizer in zip(nets, optimizers, strict=True):
        net.fit(x, t, batch_size=9, optimizer=optimizer)
    assert bits(*nets[0].get_weights()) == bits(*nets[1].get_weights())


def test_a_loss_of_its_own_is_minimised():
    """The quantile loss of 0.9: nine tenths of the targets lie below the outputs."""
    rng = np.random.default_rng(0)
    t = rng.standard_normal((1000, 1))
    net = cnn.Sequential([cnn.Dense(1, 1, init="zeros")], rng=0, dtype="float64")
    optimizer = cnn.Adam(0.05)
    for _ in range(200):
        y = net.forward(np.zeros((1000, 1)))
        dy = np.where(y < t, -0.9, 0.1) / len(t)
        net.apply_gradients(net.backward(dy).gradients, optimizer)
    assert np.mean(t < net.predict([[0.0]])) == pytest.approx(0.9, abs=0.01)


def test_a_step_that_would_overflow_is_not_made(bits):
    net = cnn.mlp([3, 4, 2], "tanh", "identity", rng=0, l2=0.1)
    gradients = [(np.full((3, 4), 1e30), np.zeros(4)), (np.ones((4, 2)), np.ones(2))]
    before, optimizer = net.get_weights(), cnn.SGD(1e20)
    with refused(
        FloatingPointError,
        "apply_gradients: the weights became NaN or infinite in step 1; the step was not made",
    ):
        net.apply_gradients(gradients, optimizer)
    assert bits(*net.get_weights()) == bits(*before)
    assert optimizer.steps == 0
    with refused(FloatingPointError, "apply_gradients: the optimizer's state became NaN"):
        net.apply_gradients(gradients, cnn.Adam(1e-3))
    assert bits(*net.get_weights()) == bits(*before)


# ---- What is refused ---------------------------------------------------------------------------

BAD = {
    "forward": [
        (lambda n: n.forward(None), TypeError, "forward: x is None"),
        (lambda n: n.forward(X[:, :2]), ValueError, "forward: x has 2 columns, but the first la"),
        (lambda n: n.forward(X[:0]), ValueError, "forward: x has 0 rows, needs at least 1"),
        (lambda n: n.forward(X[None]), ValueError, "forward: x has 3 dimensions (1, 6, 3), should"),
        (
            lambda n: n.forward(X * np.nan),
            ValueError,
            "forward: x has nan in row 0, but its numbers",
        ),
        (
            lambda n: n.forward(X, dropout_step=-1),
            ValueError,
            "forward: dropout_step is -1, should",
        ),
        (
            lambda n: n.forward(X, dropout_step=1.0),
            TypeError,
            "forward: dropout_step is of type fl",
        ),
    ],
    "backward": [
        (lambda n: n.backward(None), TypeError, "backward: dy is None"),
        (lambda n: n.backward(DY[:, :1]), ValueError, "dy has shape (6, 1), should be (6, 2)"),
        (lambda n: n.backward(DY[:5]), ValueError, "backward: dy has shape (5, 2), should be (6, "),
        (lambda n: n.backward(DY[0]), ValueError, "backward: dy has shape (2,), should be (6, 2)"),
        (
            lambda n: n.backward(DY * np.inf),
            ValueError,
            "backward: dy has -inf in row 0, but its numb",
        ),
    ],
    "vjp": [
        (lambda n: n.vjp(None, DY), TypeError, "vjp: x is None"),
        (lambda n: n.vjp(X, None), TypeError, "vjp: dy is None"),
        (
            lambda n: n.vjp(X[:, :2], DY),
            ValueError,
            "vjp: x has 2 columns, but the first layer has",
        ),
        (
            lambda n: n.vjp(X, DY[:5]),
            ValueError,
            "vjp: dy has shape (5, 2), should be (6, 2), that",
        ),
        (lambda n: n.vjp(X[0], DY), ValueError, "vjp: dy has shape (6, 2), should be (2,)"),
        (
            lambda n: n.vjp(X[None], DY),
            ValueError,
            "vjp: x has 3 dimensions (1, 6, 3), should have",
        ),
    ],
    "jacobian": [
        (lambda n: n.jacobian("abc"), TypeError, "jacobian: x has dtype <U3"),
        (lambda n: n.jacobian(X[:, :2]), ValueError, "jacobian: x has 2 columns, but the first la"),
        (lambda n: n.jacobian(X[None]), ValueError, "jacobian: x has 3 dimensions (1, 6, 3), sho"),
    ],
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments(name, net):
    net.forward(X)
    before = net.get_weights()
    for call, error, message in BAD[name]:
        if name == "backward":
            net.forward(X)
        with refused(error, message):
            call(net)
    assert all(map(np.array_equal, before, net.get_weights()))


def good_gradients(net):
    return [None if isinstance(layer, cnn.Dropout) else (layer.weight, layer.bias) for layer in net]


def changed(place, value):
    def change(net):
        gradients = good_gradients(net)
        gradients[place] = value(net) if callable(value) else value
        return gradients

    return change


BAD_GRADIENTS = [
    (lambda n: None, TypeError, "gradients is of type NoneType, should be a list with a Gradient"),
    (
        lambda n: good_gradients(n)[1:],
        ValueError,
        "gradients has 4 items, should have one for each",
    ),
    (changed(0, None), TypeError, "gradients[0] is of type NoneType, should be a Gradient or a tu"),
    (changed(0, [1.0]), TypeError, "gradients[0] is of type list, should be a Gradient or a tuple"),
    (changed(1, np.ones(3)), ValueError, "gradients[1] is of type ndarray, should be None, as la"),
    (
        changed(2, lambda n: (n.layers[2].weight.T, n.layers[2].bias)),
        ValueError,
        "gradients[2], the gradient of the weight, has shape (4, 5), should be (5, 4)",
    ),
    (
        changed(2, lambda n: (n.layers[2].weight, [1, 2, np.nan, 4])),
        ValueError,
        "gradients[2], the gradient of the bias, has nan in row 2",
    ),
    (
        changed(4, lambda n: (n.layers[4].weight, "ab")),
        TypeError,
        "gradients[4], the gradient of the bias, has dtype <U2",
    ),
]


@pytest.mark.parametrize(("make", "error", "message"), BAD_GRADIENTS)
def test_bad_gradients(make, error, message, net):
    before, optimizer = net.get_weights(), cnn.Adam()
    with refused(error, f"apply_gradients: {message}"):
        net.apply_gradients(make(net), optimizer)
    assert all(map(np.array_equal, before, net.get_weights()))
    assert optimizer.steps == 0


def test_bad_steps(net):
    gradients = good_gradients(net)
    with refused(TypeError, "apply_gradients: optimizer is 'adam', should be an object like cnn.A"):
        net.apply_gradients(gradients, "adam")
    with refused(TypeError, "apply_gradients: l2 is of type int, should be True or False"):
        net.apply_gradients(gradients, cnn.Adam(), l2=1)
    net.forward(X)
    with refused(TypeError, "apply_gradients: gradients is a Backward, should be its .gradients"):
        net.apply_gradients(net.backward(DY), cnn.Adam())
    with refused(ValueError, "apply_gradients: optimizer belongs to another network"):
        optimizer = cnn.Adam()
        net.apply_gradients(gradients, optimizer)
        copy.copy(net).apply_gradients(gradients, optimizer)


def test_bad_calls_of_core(network_of):
    network = network_of([3, 4, 2])
    with pytest.raises(TypeError):
        _core.Tape(None)
    tape = _core.Tape(network)
    with refused(RuntimeError, "Tape: __init__ is called twice"):
        tape.__init__(network)
    with refused(ValueError, "forward: step is -2, should be at least -1"):
        tape.forward(X, -2)
    trainer = _core.Trainer(network, "sgd")
    with refused(ValueError, "apply_gradients: gradients has shape (3,), should be (26,)"):
        trainer.apply(np.ones(3), True, 0.1)
    with refused(ValueError, "apply_gradients: lr is -1"):
        trainer.apply(np.ones(26), True, -1)
    assert trainer.apply(np.full(26, np.nan), True, 0.1) == "gradients have a NaN or an infinity"
    assert trainer.steps == 0


def test_a_number_that_overflows(network_of):
    """1e300 is finite, but not in float32."""
    net = cnn.mlp([3, 4, 2], "tanh", "identity", rng=0)
    with refused(ValueError, "forward: x has 1e+300 in row 0, column 0, which overflows float32"):
        net.forward(np.full((2, 3), 1e300))
    net.forward(np.ones((2, 3)))
    with refused(ValueError, "backward: dy has 1e+300 in row 0, column 0, which overflows float32"):
        net.backward(np.full((2, 2), 1e300))


def test_the_bounds_are_those_of_bounded():
    """The reference's chain rule itself: one layer, by hand."""
    network = _core.Network([_core.LayerSpec("dense", 2, 1, "sigmoid")], dtype="float64")
    network.set(0, "weight", [[1.0], [2.0]])
    y = 1 / (1 + np.exp(-1.0))
    found = network.vjp([[1.0, 0.0]], [[3.0]])[1]
    assert np.allclose(
        found, 3 * y * (1 - y) * np.array([[1.0, 2.0]]), rtol=4 * bounded.U[np.dtype("float64")]
    )
