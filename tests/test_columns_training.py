"""Training of Columns, Scale and ParametricActivation: groups, schedules, files, copies, shards."""

import copy
import itertools
import math
import pickle

import numpy as np
import pytest
from bounded import U
from column_networks import (
    COLUMNS,
    MEAN,
    SCALE,
    T,
    X,
    network,
    new_layers,
)

import cnn
from cnn import _core
from cnn.columns import Embedding, Periodic
from cnn.optimizers import Group

RNG = np.random.default_rng(1)


# ---- Training ------------------------------------------------------------------------------------


def test_ntk_is_training_of_the_scaled_weight(dtype):
    """With W = V / sqrt(n), an optimizer's steps on V, computed in float64."""
    n, rng = 9, np.random.default_rng(4)
    x, t = rng.normal(size=(64, n)), rng.normal(size=(64, 3))
    settings = {
        "sgd": cnn.SGD(0.05),
        "adam": cnn.Adam(0.05, eps=1e-3),
        "adamw": cnn.AdamW(0.05, weight_decay=0.3),
        "rmsprop": cnn.RMSprop(0.01, eps=1e-2),
    }
    for name, optimizer in settings.items():
        net = cnn.Sequential([cnn.Dense(n, 3, parametrization="ntk")], rng=1, dtype=dtype)
        v = net.layers[0].weight.astype(float) * math.sqrt(n)
        b = net.layers[0].bias.astype(float)
        slots = {}
        for k in range(1, 11):
            error = (x @ v / math.sqrt(n) + b - t) / len(x)
            gradients = {"v": x.T @ error / math.sqrt(n), "b": error.sum(0)}
            values = {"v": v, "b": b}
            for which, g in gradients.items():
                values[which] = _step(name, optimizer, k, values[which], g, slots, which)
            v, b = values["v"], values["b"]
            net.train_step(x, t, optimizer=optimizer)
        scale = 1e5 * U[np.dtype(dtype)]
        np.testing.assert_allclose(net.layers[0].weight * math.sqrt(n), v, atol=scale)
        np.testing.assert_allclose(net.layers[0].bias, b, atol=scale)


def _step(name, o, k, w, g, slots, which):
    """Return w after step k, by the formulas in cnn.optimizers."""
    if name == "sgd":
        return w - o.lr * g
    if name == "rmsprop":
        v = slots[which] = o.alpha * slots.get(which, 0) + (1 - o.alpha) * g * g
        return w - o.lr * g / (np.sqrt(v) + o.eps)
    b1, b2 = o.betas
    m, v = slots.get(which, (0, 0))
    m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
    slots[which] = m, v
    if name == "adamw":
        w = w - o.lr * o.weight_decay * w
    return w - o.lr / (1 - b1**k) * m / (np.sqrt(v) / np.sqrt(1 - b2**k) + o.eps)


def test_groups_and_schedules(dtype, bits):
    """Groups and schedules give the steps of an optimizer that has these numbers for all."""
    x, t = RNG.normal(size=(40, 3)), RNG.normal(size=(40, 2))

    def trained(which, optimizer):
        net = cnn.Sequential([cnn.Dense(3, 4, "tanh"), cnn.Dense(4, 2)], rng=1, dtype=dtype)
        net.fit(x, t, epochs=1, batch_size=40, optimizer=optimizer)
        return getattr(net.layers[0], which)

    groups = [
        Group("bias", lr=0.5, weight_decay=0.0),
        Group(((0, "weight"),), lr=cnn.StepDecay(0.25, 1)),
    ]
    optimizer = cnn.AdamW(0.2, weight_decay=0.5, groups=groups)
    assert bits(trained("bias", optimizer)) == bits(
        trained("bias", cnn.AdamW(0.1, weight_decay=0.0))
    )
    optimizer = cnn.AdamW(0.2, weight_decay=0.5, groups=groups)
    assert bits(trained("weight", optimizer)) == bits(
        trained("weight", cnn.AdamW(0.05, weight_decay=0.5))
    )


def test_schedules_step_by_step(dtype, bits):
    """Weight decay and dropout that change are those of single epochs with these numbers."""
    decay, dropout = cnn.FlatCosine(0.5, steps=6), cnn.FlatCosine(1.0, steps=6)
    net = network(dtype)
    optimizer = cnn.AdamW(cnn.CosineLog(0.1, steps=6), weight_decay=decay)
    net.fit(X[:50], T[:50], epochs=6, batch_size=50, optimizer=optimizer, dropout=dropout)
    other = network(dtype)
    trainer = _core.Trainer(other._network, "adamw", beta1=0.9, beta2=0.999, eps=1e-8)
    for step in range(6):
        index = _core.permutation(other.seed, step, 50, 0, 50)
        rates = [np.array([s(step)]) for s in (cnn.CosineLog(0.1, 6), decay, dropout)]
        trainer.epoch(
            _core.Loss("squared_error"), X[:50], T[:50], None, index, 50, rates[0],
            weight_decay=rates[1], dropout=rates[2],
        )  # fmt: skip
    assert bits(*net.get_weights()) == bits(*other.get_weights())


def test_dropout_of_rate_0_changes_nothing(bits, dtype):
    nets = [network(dtype), network(dtype)]
    nets[0].fit(X, T, optimizer=cnn.SGD(0.01), dropout=cnn.Constant(0.0))
    weights = nets[1].get_weights()
    without = cnn.Sequential(
        [copy.deepcopy(layer) for layer in new_layers() if not isinstance(layer, cnn.Dropout)],
        rng=3,
        dtype=dtype,
    )
    without.set_weights(weights)
    without.layers[0].mean, without.layers[0].scale = MEAN, SCALE
    without.fit(X, T, optimizer=cnn.SGD(0.01))
    assert bits(*nets[0].get_weights()) == bits(*without.get_weights())


def test_learns_a_function_of_categories():
    """An embedding learns a number for each of 200 categories, and a frequency a wave."""
    rng = np.random.default_rng(0)
    codes, u = rng.integers(0, 200, 20_000), rng.uniform(-1, 1, 20_000)
    goal = rng.normal(size=200)
    t = goal[codes] + np.sin(9 * u)
    first = cnn.Columns([Embedding(200), Periodic()], sigma=1.0, clip=0.0)
    net = cnn.Sequential([first, cnn.Dense(first.outputs, 32, "relu"), cnn.Dense(32, 1)], rng=0)
    x = np.stack([codes, u], 1)
    net.fit(x, t, epochs=15, batch_size=100, optimizer=cnn.Adam(cnn.CosineDecay(0.01, steps=3000)))
    assert net.evaluate(x, t)["r2"] > 0.99


# ---- Files, copies -------------------------------------------------------------------------------


def test_files_and_copies(tmp_path, dtype, bits):
    net = network(dtype)
    expected = net.predict(X)
    path = tmp_path / "net.safetensors"
    net.save(path)
    for other in (cnn.load(path), copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert bits(other.predict(X)) == bits(expected)
        assert [repr(a) for a in other.layers[1:]] == [repr(a) for a in net.layers[1:]]
        assert other._network.layers == net._network.layers
        assert other.layers[0].columns == tuple(COLUMNS)


def _grouped():
    groups = [
        Group("bias", lr=0.5, weight_decay=0.0),
        Group(("embedding", (2, "weight")), lr=cnn.StepDecay(0.25, 1)),
        Group("mix", weight_decay=cnn.FlatCosine(0.1, steps=6)),
    ]
    decay = cnn.FlatCosine(0.5, steps=6)
    return cnn.AdamW(cnn.CosineLog(0.01, steps=6), weight_decay=decay, groups=groups)


@pytest.mark.parametrize("made", [lambda: cnn.Adam(0.01), _grouped], ids=["plain", "grouped"])
def test_training_goes_on_from_a_file(tmp_path, dtype, bits, made):
    """Two epochs, and one, a checkpoint, and one more."""
    path = tmp_path / "net.safetensors"
    whole, halves = network(dtype), network(dtype)
    whole.fit(X, T, epochs=2, batch_size=100, optimizer=made())
    optimizer = made()
    halves.fit(X, T, epochs=1, batch_size=100, optimizer=optimizer)
    halves.save(path, optimizer=optimizer)
    net, loaded = cnn.load_checkpoint(path)
    assert repr(loaded) == repr(optimizer)
    net.fit(X, T, epochs=1, batch_size=100, optimizer=loaded)
    assert bits(*net.get_weights()) == bits(*whole.get_weights())


class _Mine(cnn.schedules.Schedule):
    def _rates(self, steps):
        return np.full(steps.size, 0.1)


def test_rates_that_files_cannot_hold(tmp_path):
    """A learning rate can be set when the file was read, other rates cannot."""
    path = tmp_path / "net.safetensors"
    optimizer = cnn.AdamW(lambda step: 0.1, groups=[Group("bias", lr=0.5)])
    network().save(path, optimizer=optimizer)
    net, loaded = cnn.load_checkpoint(path)
    assert loaded.groups == (Group("bias", lr=0.5),)
    with pytest.raises(ValueError, match=r"set optimizer\.lr before training goes on"):
        net.fit(X, T, optimizer=loaded)
    for name, optimizer in (
        ("weight_decay", cnn.AdamW(weight_decay=_Mine())),
        (r"groups\[0\].lr", cnn.AdamW(groups=[Group("bias", lr=_Mine())])),
        (r"groups\[0\].weight_decay", cnn.AdamW(groups=[Group("bias", weight_decay=_Mine())])),
    ):
        with pytest.raises(ValueError, match=f"save: optimizer has {name} of type _Mine"):
            network().save(path, optimizer=optimizer)


def test_groups_of_a_file_that_are_not_the_optimizers(tmp_path):
    path = tmp_path / "net.safetensors"
    net, optimizer = network(), cnn.AdamW(groups=[Group("bias", lr=0.5)])
    net.save(path, optimizer=optimizer)
    data = path.read_bytes()
    path.write_bytes(data.replace(rb"parameters\": \"bias", rb"parameters\": \"beta"))
    assert path.read_bytes() != data
    with pytest.raises(cnn.ModelFileError, match="bias of layer 2 is in group 1, should be in"):
        cnn.load_checkpoint(path)


def test_groups_in_files(tmp_path):
    net = network()
    trainer = _core.Trainer(net._network, "adam", beta1=0.9, beta2=0.999, eps=1e-8)
    trainer.set_group(0, "embedding", 3)
    trainer.set_group(1, "factor", 63)
    path = str(tmp_path / "net.safetensors")
    trainer.save(path)
    loaded = _core.Trainer.load(path)
    found = [loaded.group(layer, name) for layer, name, _ in net._network.trained]
    assert found == [3, 0, 63, *([0] * (len(found) - 3))]


def test_shards(bits, dtype):
    """A step in shards, each process updating a slice, is a step on the whole gradient."""
    weights = []
    for parts in (1, 3):
        net = network(dtype)
        trainer = _core.Trainer(net._network, "adam", beta1=0.9, beta2=0.999, eps=1e-8)
        loss = _core.Loss("squared_error")
        values = np.empty(net.parameter_count, dtype)
        for _ in range(3):
            tree = _core.ShardTree(dtype, net.parameter_count, 4)
            for shard in range(4):
                index = np.arange(shard * 75, shard * 75 + 75, dtype=np.uintp)
                _core.shard_gradient(trainer, loss, X, T, None, index, shard, tree)
            ((_, _, gradient, sums),) = tree.nodes()
            bounds = _core.shard_slices(net._network, parts)
            for first, last in itertools.pairwise(bounds):
                piece = gradient[first:last].copy()
                _core.shard_mean(net._network, piece, first, sums)
                _core.shard_step(trainer, piece, first, 1.0, 0.01, values[first:last])
            _core.shard_finish(trainer, values)
        weights.append(net.get_weights())
    assert bits(*weights[0]) == bits(*weights[1])
