"""Copies, pickles and files of networks."""

import copy
import json
import os
import pickle

import numpy as np
import pytest
from refused import refused

import cnn
from cnn import _core

X = np.random.default_rng(0).normal(size=(20, 3))
LABELS = np.random.default_rng(1).integers(0, 4, size=20)


def through_a_file(net, tmp_path):
    path = tmp_path / "net.safetensors"
    net.save(path)
    return cnn.load(path)


TRAVELS = {
    "copy": lambda net, _: copy.copy(net),
    "deepcopy": lambda net, _: copy.deepcopy(net),
    "pickle": lambda net, _: pickle.loads(pickle.dumps(net)),
    "file": through_a_file,
}


@pytest.mark.parametrize("travel", TRAVELS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_travelled_networks_are_the_same_and_independent(travel, dtype, tmp_path):
    net = cnn.mlp([3, 5, 4], "gelu", "softmax", rng=2**64 - 1, dropout=0.3, l2=0.01, dtype=dtype)
    net.fit(X, LABELS, epochs=3)
    made = TRAVELS[travel](net, tmp_path)
    assert repr(made) == repr(net)
    assert (made.seed, made.epochs, made.dtype) == (2**64 - 1, 3, dtype)
    assert made.layers[0].l2 == 0.01
    expected = net.predict(X)
    np.testing.assert_array_equal(made.predict(X), expected)
    # Both go on alike, each by itself.
    made.fit(X, LABELS, epochs=2, batch_size=4)
    np.testing.assert_array_equal(net.predict(X), expected)
    net.fit(X, LABELS, epochs=2, batch_size=4)
    np.testing.assert_array_equal(made.predict(X), net.predict(X))


def test_networks_and_optimizers_travel_together():
    net, optimizer = cnn.mlp([3, 4], "tanh", "softmax", rng=0), cnn.Adam()
    net.fit(X, LABELS, epochs=3, optimizer=optimizer)
    for travel in (copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))):
        net_copy, optimizer_copy = travel((net, optimizer))
        net_copy.fit(X, LABELS, epochs=2, optimizer=optimizer_copy)
        assert (optimizer.steps, optimizer_copy.steps) == (3, 5)


def test_damaged_pickles():
    state = cnn.mlp([3, 4], "tanh", "softmax").__getstate__()
    made = cnn.Sequential.__new__(cnn.Sequential)
    with pytest.raises(cnn.ModelFileError):
        made.__setstate__(state | {"_network": state["_network"][:-1]})


# ---- Checkpoints -------------------------------------------------------------------------------

OPTIMIZERS = [
    cnn.SGD(0.05),
    cnn.SGD(0.05, momentum=0.8, clip_norm=1.0),
    cnn.SGD(0.05, momentum=0.8, nesterov=True),
    cnn.Adam(0.05, betas=(0.8, 0.95), eps=1e-6),
    cnn.AdamW(0.05, weight_decay=0.1),
    cnn.RMSprop(0.05, alpha=0.8),
    cnn.Adagrad(0.05, eps=1e-7, clip_norm=2.0),
]
RATES = [
    0.05,
    cnn.StepDecay(0.1, 3),
    cnn.Warmup(cnn.CosineDecay(0.1, 50, final=0.01), 5),
    cnn.Warmup(0.1, 5),
]


@pytest.mark.parametrize("lr", RATES, ids=repr)
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda optimizer: optimizer._kind())
def test_checkpoints_keep_the_optimizer(optimizer, lr, tmp_path):
    path = tmp_path / "net.safetensors"
    optimizer = copy.deepcopy(optimizer)
    optimizer.lr = lr
    net = cnn.mlp([3, 5, 4], "tanh", "softmax", rng=0, dropout=0.2)
    net.fit(X, LABELS, epochs=2, batch_size=8, optimizer=optimizer)
    net.save(path, optimizer=optimizer)
    loaded, found = cnn.load_checkpoint(path)
    assert repr(found) == repr(optimizer)
    assert found.lr == lr
    assert (found.steps, loaded.epochs) == (6, 2)
    loaded.fit(X, LABELS, epochs=3, batch_size=8, optimizer=found)
    net.fit(X, LABELS, epochs=3, batch_size=8, optimizer=optimizer)
    np.testing.assert_array_equal(loaded.predict(X), net.predict(X))
    assert cnn.load(path).epochs == 2  # the network alone


def test_an_optimizer_that_has_not_been_used(tmp_path):
    net, optimizer = cnn.mlp([3, 4], "tanh", "softmax", rng=0), cnn.Adam()
    net.save(tmp_path / "net", optimizer=optimizer)
    _, found = cnn.load_checkpoint(tmp_path / "net")
    assert found.steps == 0
    net.fit(X, LABELS, optimizer=optimizer)


def test_a_rate_that_a_file_cannot_hold(tmp_path):
    net, optimizer = cnn.mlp([3, 4], "tanh", "softmax", rng=0), cnn.SGD(lambda k: 0.1)
    net.save(tmp_path / "net", optimizer=optimizer)
    loaded, found = cnn.load_checkpoint(tmp_path / "net")
    assert "a function that the file could not hold" in repr(found)
    with refused(ValueError, "set optimizer.lr before training goes on"):
        loaded.fit(X, LABELS, optimizer=found)
    assert loaded.epochs == 0
    found.lr = 0.1
    loaded.fit(X, LABELS, optimizer=found)


def test_files_without_an_optimizer(tmp_path):
    cnn.mlp([3, 4], "tanh", "softmax").save(tmp_path / "net")
    with refused(cnn.ModelFileError, "without an optimizer"):
        cnn.load_checkpoint(tmp_path / "net")


# ---- Bad files ---------------------------------------------------------------------------------


def metadata(net, key, value):
    net._network.set_metadata(key, value)
    return net


@pytest.mark.parametrize("epochs", ["-1", "1.5", "", "x", "9" * 30, "\u0663"])
def test_bad_epochs_in_a_file(epochs, tmp_path):
    metadata(cnn.mlp([3, 4], "tanh", "softmax"), "epochs", epochs).save(tmp_path / "net")
    with refused(cnn.ModelFileError, f"load: the file has {epochs!r} epochs, should have a whole"):
        cnn.load(tmp_path / "net")


@pytest.mark.parametrize(
    "lr", ["", "{", "-1", "NaN", "null", '"x"', '{"kind": "Sleep"}', "[" * 10000, "[]"]
)
def test_bad_lr_in_a_file(lr, tmp_path):
    net = metadata(cnn.mlp([3, 4], "tanh", "softmax"), "lr", lr)
    trainer = _core.Trainer(net._network, "sgd")
    trainer.save(tmp_path / "net")
    with refused(cnn.ModelFileError, "load_checkpoint: the file's lr is not one"):
        cnn.load_checkpoint(tmp_path / "net")


def test_lr_stays_out_of_networks(tmp_path):
    net, optimizer = cnn.mlp([3, 4], "tanh", "softmax"), cnn.Adam()
    net.save(tmp_path / "net", optimizer=optimizer)
    assert net._network.metadata == {}
    assert cnn.load(tmp_path / "net")._network.metadata == {}
    header = (tmp_path / "net").read_bytes()
    size = int.from_bytes(header[:8], "little")
    assert json.loads(header[8 : 8 + size])["__metadata__"]["user.lr"] == "0.001"


def test_bad_save_and_load(tmp_path):
    net = cnn.mlp([3, 4], "tanh", "softmax")
    for where, call in (
        ("save", net.save),
        ("load", cnn.load),
        ("load_checkpoint", cnn.load_checkpoint),
    ):
        with refused(TypeError, f"{where}: path is of type int, should be a string or a path"):
            call(3)
    with refused(TypeError, "save: optimizer is of type str, should be the object that fit was"):
        net.save(tmp_path / "net", optimizer="adam")
    for call in (cnn.load, cnn.load_checkpoint):
        with pytest.raises(FileNotFoundError):
            call(tmp_path / "nothing")
        (tmp_path / "bad").write_bytes(b"not a model")
        with pytest.raises(cnn.ModelFileError):
            call(tmp_path / "bad")
    with pytest.raises(OSError, match="directory"):
        net.save(tmp_path)
    with pytest.raises(FileNotFoundError):
        net.save(tmp_path / "no folder" / "net", optimizer=cnn.Adam())
    assert net._network.metadata == {}
    assert os.listdir(tmp_path) == ["bad"]


GOOD = cnn.Adam().__getstate__()


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ([], "Adam: the state of a pickle should have _waiting, betas, clip_norm, eps, groups, lr"),
        ({}, "Adam: the state of a pickle should have _waiting, betas, clip_norm, eps, groups, lr"),
        (GOOD | {"more": 1}, "Adam: the state of a pickle should have _waiting, betas"),
        (GOOD | {"_waiting": [b""]}, r"Adam: _waiting is \[b''\], should be a state"),
        (GOOD | {"eps": -1.0}, "Adam: eps is -1, should be finite and at least 0"),
        (GOOD | {"betas": [0.9, 0.9]}, "Adam: betas is .*, should be a tuple"),
        (GOOD | {"lr": "fast"}, "Adam: lr is of type str, should be a number"),
        (GOOD | {"groups": 5}, "Adam: groups is 5, should be a list of cnn.optimizers.Group"),
    ],
)
def test_bad_states_of_optimizers(state, message):
    """What a pickle brings is checked as arguments are; it failed later, with an AttributeError."""
    made = cnn.Adam.__new__(cnn.Adam)
    with pytest.raises((ValueError, TypeError), match=message):
        made.__setstate__(state)


def test_states_without_groups():
    """Pickles of versions that had none."""
    made = cnn.Adam.__new__(cnn.Adam)
    made.__setstate__({name: value for name, value in GOOD.items() if name != "groups"})
    assert repr(made) == repr(cnn.Adam())
    assert made.groups == ()


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("steps", "3", "Adam: steps is of type str, should be an int"),
        ("parameter_count", 0, "Adam: parameter_count is 0, should be at least 1"),
        ("dtype", "float32", "Adam: dtype is 'float32', should be a dtype of NumPy"),
        ("slots", [b""], r"Adam: slots is \[b''\], should be a list of arrays"),
    ],
)
def test_bad_slots_of_optimizers(field, value, message):
    optimizer, net = cnn.Adam(), cnn.Sequential([cnn.Dense(3, 1)], rng=0)
    net.train_step(X, X[:, :1], optimizer=optimizer)
    state = optimizer.__getstate__()
    setattr(state["_waiting"], field, value)
    with pytest.raises((ValueError, TypeError), match=message):
        cnn.Adam.__new__(cnn.Adam).__setstate__(state)


@pytest.mark.parametrize("state", [[], {}, {"net": 3}, {"net": None, "more": 1}])
def test_bad_states_of_table_models(state):
    with pytest.raises(TypeError, match="TableModel"):
        cnn.tabular.TableModel.__new__(cnn.tabular.TableModel).__setstate__(state)
