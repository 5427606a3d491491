"""Inputs with many zeros, whose products the first layer leaves out: no bit may tell.

The rows of one call are compared with the same rows two by two, which are too few for that. A
gradient is compared with the gradient of the same rows behind some that have no zeros, or only
zeros, and no weight: they add 0 to each sum, and say whether the batch has zeros enough.
"""

import numpy as np
import pytest
import reference as ref
from marks import slow

from cnn import _core

LABELS = _core.Loss("cross_entropy", labels=True)
SQUARES = _core.Loss("squared_error")

# More than a chunk of inputs; outputs that are whole panels, narrow ones, and a part of a panel.
INPUTS, CLASSES = 300, 3
WIDTHS = [50, 64, 27]

# Rows before a batch: more than any instruction set groups.
AHEAD = 16


def with_zeros(rows, dtype, seed=1, inputs=INPUTS):
    """Return rows in which some columns are always 0 and others mostly, some of them -0."""
    rng = np.random.default_rng(seed)
    share = rng.choice([0.0, 0.02, 0.3], inputs)
    x = rng.standard_normal((rows, inputs)) * (rng.random((rows, inputs)) < share)
    x[:, ::7] *= -1
    assert np.signbit(x[x == 0]).any()
    return x.astype(dtype)


def labels(rows, seed=2):
    return np.random.default_rng(seed).integers(0, CLASSES, rows)


def spoil(network, what):
    """Give the first layer parameters that products by 0 show."""
    weight, bias = network.get(0, "weight"), network.get(0, "bias")
    if what == "infinite weight":
        weight[1, 3] = np.inf
    elif what == "NaN":
        weight[-1, -1] = np.nan
    network.set(0, "weight", weight)
    network.set(0, "bias", bias)


@pytest.mark.parametrize("what", ["nothing", "infinite weight", "NaN"])
@pytest.mark.parametrize("width", WIDTHS)
def test_predictions_do_not_depend_on_zeros(what, width, network_of, dtype, isa, threads, bits):
    network = network_of([INPUTS, width, CLASSES], "identity", "identity", dtype=dtype)
    network.predict(with_zeros(AHEAD, dtype))  # whatever is remembered of the weights is old soon
    spoil(network, what)
    x = with_zeros(140, dtype)
    x[50, 4], x[51, 5], x[52, 6] = np.nan, np.inf, 1e-40
    with np.errstate(invalid="ignore"):
        by_two = np.concatenate([network.predict(x[i : i + 2]) for i in range(0, len(x), 2)])
        for count in (140, 100, 13, 8, 4):
            assert bits(network.predict(x[:count])) == bits(by_two[:count])
        assert bits(*(network.predict(row[None]) for row in x)) == bits(by_two)


def test_sums_that_round_to_minus_zero(network_of, dtype, isa, bits):
    """A bias of -0 shows the sign of a sum that is 0, to which zeros behind it add a +0."""
    tiny = {4: 1e-40, 8: 1e-310}[dtype.itemsize]
    inputs = 200  # one chunk: the sum of another would add a +0
    network = network_of([inputs, 50], "identity", "identity", dtype=dtype)
    weight = np.abs(network.get(0, "weight"))
    weight[6] = -0.125
    network.set(0, "weight", weight)
    network.set(0, "bias", np.full(50, -0.0, dtype))
    x = np.zeros((32, inputs), dtype)
    x[:, :6] = 1 + np.arange(6)
    x[3], x[7] = 0, 0
    x[3, 6] = np.finfo(dtype).smallest_subnormal
    x[7, 6] = tiny
    by_two = np.concatenate([network.predict(x[i : i + 2]) for i in range(0, len(x), 2)])
    assert (by_two[3] == 0).all()
    assert bits(network.predict(x)) == bits(by_two)


@pytest.mark.parametrize("width", WIDTHS)
def test_evaluation_does_not_depend_on_zeros(width, network_of, dtype, isa, bits):
    network = network_of([INPUTS, width, CLASSES], dtype=dtype)
    x, t = with_zeros(140, dtype), labels(140)
    dense = np.concatenate([np.ones((AHEAD, INPUTS), dtype), x])
    weight = np.r_[np.zeros(AHEAD), np.ones(len(x))]
    found = [
        network.evaluate(LABELS, rows, np.r_[np.zeros(AHEAD, int), t], weight).loss
        for rows in (dense, np.concatenate([np.zeros((AHEAD, INPUTS), dtype), x]))
    ]
    assert found[0] == found[1]


def behind(x, t, value):
    """Return the batch behind rows that are `value` throughout and have no weight."""
    ahead = np.full((AHEAD, x.shape[1]), value, x.dtype)
    first = np.zeros((AHEAD, *t.shape[1:]), t.dtype)
    weight = np.r_[np.zeros(AHEAD), np.ones(len(x))]
    return np.concatenate([ahead, x]), np.concatenate([first, t]), weight


def gradients_behind(network, loss, x, t):
    """Return the gradients by all products and by those that are not with 0."""
    return [network.gradients(loss, *behind(x, t, value))[1] for value in (1, 0)]


@pytest.mark.parametrize("rows", [20, 120, 300])
@pytest.mark.parametrize("width", WIDTHS)
def test_gradients_do_not_depend_on_zeros(width, rows, network_of, dtype, isa, threads, bits):
    network = network_of([INPUTS, width, CLASSES], dtype=dtype)
    every, some = gradients_behind(network, LABELS, with_zeros(rows, dtype), labels(rows))
    assert bits(*every) == bits(*some)


@pytest.mark.parametrize("size", [1e-18, 1e-23, 1e-30, 1e-42])
def test_gradients_that_round_to_minus_zero(size, network_of, isa, bits):
    """Sums that underflow to -0 become +0 by a product with 0 behind them, in every way."""
    network = network_of([INPUTS, 50, CLASSES], "identity", "identity")
    network.set(0, "weight", network.get(0, "weight") * np.float32(size))
    network.set(0, "bias", np.full(50, size, np.float32))
    network.set(1, "weight", network.get(1, "weight") * np.float32(size))
    x = with_zeros(60, "float32") * np.float32(1e-3)
    t = np.zeros((60, CLASSES), np.float32)
    every, some = gradients_behind(network, SQUARES, x, t)
    assert bits(*every) == bits(*some)
    if size == 1e-42:
        assert np.signbit(every[0][every[0] == 0]).any()


def test_gradients_of_infinite_deltas(network_of, isa, bits):
    """What is not finite times 0 is NaN, also where the input is 0 for all rows."""
    network = network_of([INPUTS, 50, CLASSES], "identity", "identity")
    network.set(0, "weight", np.zeros((INPUTS, 50), np.float32))
    network.set(0, "bias", np.zeros(50, np.float32))
    network.set(1, "weight", np.full((50, CLASSES), 3e38, np.float32))
    x = with_zeros(60, "float32")
    t = np.full((60, CLASSES), 1e3, np.float32)
    every, some = gradients_behind(network, SQUARES, x, t)
    assert np.isnan(every[0]).any()
    assert bits(*every) == bits(*some)


@pytest.mark.parametrize("clip_norm", [0.0, 0.5])
@pytest.mark.parametrize("kind", ["sgd", "adam"])
@pytest.mark.parametrize("width", [50, *slow(160)])
def test_epochs_do_not_depend_on_zeros(
    kind, clip_norm, width, network_of, dtype, isa, threads, parameters, bits
):
    """Epochs gather rows ahead; single steps do not, and here have rows without zeros first."""
    size, batches = 60, 5
    x, t = with_zeros(size * batches, dtype), labels(size * batches)
    sizes = [INPUTS, width, CLASSES]
    options = ref.OPTIMIZERS[kind]

    def trainer():
        return _core.Trainer(network_of(sizes, dtype=dtype), kind, **options, clip_norm=clip_norm)

    epochs, steps = trainer(), trainer()
    epochs.epoch(
        LABELS, x, t, None, np.arange(len(x), dtype=np.uintp), size, np.full(batches, 0.01), 0.0
    )
    for i in range(0, len(x), size):
        steps.step(LABELS, *behind(x[i : i + size], t[i : i + size], 1), 0.01)
    assert bits(*parameters(epochs.network)) == bits(*parameters(steps.network))
    assert bits(*epochs.get_state()) == bits(*steps.get_state())


@pytest.mark.parametrize("source", ["uint8", "float64", "columns"])
def test_inputs_of_other_types(source, network_of, isa, bits):
    """Zeros are found after conversion."""
    network = network_of([INPUTS, 50, CLASSES])
    x = np.abs(with_zeros(100, "float32") * 50).astype("uint8")
    expected = network.predict(x.astype("float32"))
    given = np.asfortranarray(x.astype("float32")) if source == "columns" else x.astype(source)
    assert bits(network.predict(given)) == bits(expected)
    assert bits(np.concatenate([network.predict(row[None]) for row in given])) == bits(expected)
