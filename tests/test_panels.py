"""Weights that training changes in panels alone: nobody can tell which of their forms is current.

The optimizer's slots go with the weights, and nobody can tell how they lie.

No test may read a weight before what it is about, since that brings the row-major form up to date.
"""

import threading

import numpy as np
import pytest
import reference as ref
from marks import quick

from cnn import _core

LABELS = _core.Loss("cross_entropy", labels=True)

# Batches of several blocks, of one, and few enough for narrow weights to be changed in place.
BATCHES = (300, 7, 120, 300, 1, 98, 7, 300)

ROWS, INPUTS, CLASSES = 300, 60, 3


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(3)
    return rng.standard_normal((ROWS, INPUTS)), rng.integers(0, CLASSES, ROWS)


@pytest.fixture(params=["narrow", "wide"])
def make(request, network_of):
    """Return a function that makes a network, whose weights are never in place where it is wide."""

    def network(dtype, l2=0.0):
        hidden = 90 if request.param == "narrow" else 4096 // np.dtype(dtype).itemsize + 16
        sizes = [INPUTS, hidden, 40, CLASSES]
        return network_of(sizes, "tanh", dtype=dtype, dropout=[0.25, 0.0], l2=l2)

    return network


def step(trainer, data, rows=ROWS):
    x, t = data
    trainer.step(LABELS, x[:rows].astype(trainer.network.dtype), t[:rows], None, 0.01)


def trained(make, data, dtype, rows=ROWS, clip_norm=0.0):
    """Return a trainer after one step that leaves the row-major weights behind."""
    options = ref.OPTIMIZERS["adam"]
    trainer = _core.Trainer(make(dtype), "adam", **options, clip_norm=clip_norm)
    step(trainer, data, rows)
    return trainer


@pytest.mark.parametrize(
    ("clip_norm", "l2"), [(0.0, 0.0), (0.5, [0.125, 0.0, 0.125]), (0.0, [0.125, 0.0, 0.125])]
)
def test_reading_weights_changes_no_step(clip_norm, l2, make, data, dtype, isa, parameters, bits):
    if isa == "scalar":
        pytest.skip("the scalar set takes seconds, and has the same code for panels")
    found = []
    for threads, read in ((1, False), (1, True), (2, False)):
        _core.set_num_threads(threads)
        options = ref.OPTIMIZERS["adam"]
        trainer = _core.Trainer(make(dtype, l2), "adam", **options, clip_norm=clip_norm)
        for rows in BATCHES:
            step(trainer, data, rows)
            if read:
                parameters(trainer.network)
        found.append(bits(*parameters(trainer.network), *trainer.get_state()))
    assert found == [found[0]] * 3


def saved(network, folder):
    network.save(folder / "model.safetensors")
    return _core.Network.load(folder / "model.safetensors")


INTERFACES = {
    "copy": lambda network, _: network.copy(),
    "bytes": lambda network, _: _core.Network.from_bytes(network.to_bytes()),
    "save": saved,
}


@pytest.mark.parametrize("interface", INTERFACES)
def test_interfaces_give_current_weights(interface, make, data, dtype, parameters, bits, tmp_path):
    network = trained(make, data, dtype).network
    found = INTERFACES[interface](network, tmp_path)
    assert bits(*parameters(found)) == bits(*parameters(network))
    assert bits(*parameters(found)) != bits(*parameters(make(dtype)))


# A step on few rows changes narrow weights in place, and moves the slots out of panels for that.
@pytest.mark.parametrize(("first", "then"), [(ROWS, ROWS), (ROWS, 7), (7, ROWS)])
def test_snapshots_hold_current_weights_and_slots(first, then, make, data, dtype, parameters, bits):
    trainer, expected = (trained(make, data, dtype, first) for _ in range(2))
    trainer.snapshot()
    step(trainer, data, then)
    trainer.restore()
    for rows in (0, then, first):
        if rows:
            step(trainer, data, rows)
            step(expected, data, rows)
        assert bits(*parameters(trainer.network)) == bits(*parameters(expected.network))
        assert bits(*trainer.get_state()) == bits(*expected.get_state())


@pytest.mark.parametrize("rows", [ROWS, 7, 1])
def test_slots_are_read_and_set_row_major(rows, make, data, dtype, parameters, bits):
    """The first slot of Adam after one step is a tenth of the gradient."""
    x, t = data[0][:rows].astype(dtype), data[1][:rows]
    gradients = make(dtype).gradients(LABELS, x, t, step=0)[1]
    trainer = trained(make, data, dtype, rows)
    state = trainer.get_state()
    slots = np.split(state[0], np.cumsum([g.size for g in gradients])[:-1])
    for slot, gradient in zip(slots, gradients, strict=True):
        np.testing.assert_allclose(10 * slot.reshape(gradient.shape), gradient, rtol=1e-5)
    other = _core.Trainer(trainer.network.copy(), "adam", **ref.OPTIMIZERS["adam"])
    other.set_state(state)
    other.steps = trainer.steps
    for following in (7, ROWS, ROWS):
        step(trainer, data, following)
        step(other, data, following)
        assert bits(*parameters(other.network)) == bits(*parameters(trainer.network))
        assert bits(*other.get_state()) == bits(*trainer.get_state())
        other.set_state(trainer.get_state())


@pytest.mark.parametrize("rows", quick({7}, [1, 7, 50]))
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_threads_that_share_columns_change_no_bit(
    optimizer, rows, data, network_of, dtype, isa, parameters, bits
):
    """Layers of 512 columns and more, in batches of one block of rows."""
    found = []
    for threads in (1, 2):
        _core.set_num_threads(threads)
        network = network_of([INPUTS, 600, 620, CLASSES], "tanh", dtype=dtype, dropout=[0.25, 0.0])
        trainer = _core.Trainer(network, optimizer, **ref.OPTIMIZERS[optimizer])
        for _ in range(2):
            step(trainer, data, rows)
        found.append(bits(*parameters(network), *trainer.get_state()))
    assert found[0] == found[1]


def test_setting_a_weight_keeps_the_others(make, data, dtype, parameters, bits):
    expected = parameters(trained(make, data, dtype).network)
    network = trained(make, data, dtype).network
    expected[0] = np.full_like(expected[0], 0.5)
    network.set(0, "weight", expected[0])
    assert bits(*parameters(network)) == bits(*expected)


@pytest.mark.parametrize("clip_norm", [0.0, 0.5])
def test_a_new_penalty_is_of_current_weights(clip_norm, make, data, dtype, parameters, bits):
    x, t = data[0].astype(dtype), data[1]
    trainers = [trained(make, data, dtype, clip_norm=clip_norm) for _ in range(2)]
    parameters(trainers[1].network)
    found = []
    for trainer in trainers:
        network = trainer.network
        network.set_l2(0, 0.25)
        loss, gradients = network.gradients(LABELS, x, t)
        evaluated = network.evaluate(LABELS, x, t).loss
        step(trainer, data)
        found.append((loss, evaluated, bits(*gradients, *parameters(network))))
    assert found[0] == found[1]


def test_a_refused_step_keeps_the_weights(make, data, dtype, parameters, bits):
    """The step would have been in place, and other steps before it were not."""
    expected = trained(make, data, dtype).network
    trainer = trained(make, data, dtype)
    x, bad = data[0][:5].astype(dtype), np.full(5, CLASSES)
    with pytest.raises(ValueError, match="label"):
        trainer.step(LABELS, x, bad, None, 0.01)
    assert bits(trainer.network.predict(x)) == bits(expected.predict(x))
    assert bits(*parameters(trainer.network)) == bits(*parameters(expected))


def test_threads_may_change_during_an_epoch(data, network_of, parameters, bits):
    """How weights are changed is decided once for a call."""
    x, t = data[0].astype(np.float32), data[1]
    index = np.tile(np.arange(ROWS, dtype=np.uintp), 100)
    found = []
    for threads in (1, 2):
        _core.set_num_threads(2)
        trainer = _core.Trainer(network_of([INPUTS, 170, 160, CLASSES]), "sgd")
        step(trainer, data)
        _core.set_num_threads(1)
        change = threading.Timer(0.02, _core.set_num_threads, [threads])
        change.start()
        trainer.epoch(LABELS, x, t, None, index, 90, np.full(len(index), 1e-3))
        change.join()
        found.append(bits(*parameters(trainer.network)))
    assert found[0] == found[1]
