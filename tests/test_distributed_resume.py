"""Checkpoints of sharded training: a run that is ended anywhere goes on to the same bits."""

import errno
import os

import numpy as np
import pytest
from marks import slow
from refused import refused
from shard_threads import good, hashed, run_ranks

import cnn
from cnn import _core

ROWS = 150


def shards_of(count, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((ROWS, 4))
    t = (x[:, 0] > 0.3 * x[:, 1]).astype(int)
    return [(x[shard::count], t[shard::count]) for shard in range(count)]


class EndedError(Exception):
    """Ends a run, as a kill would: nothing is written after it."""


class Arguments:
    """The arguments of a run; data that end it after some readings of a step, if `after` is set."""

    def __init__(self, path, kind="adam"):
        self.path, self.kind = str(path), kind

    def run(self, comm, *, after=None, net=None, optimizer=None, **options):
        if net is None:
            net = cnn.mlp([4, 8, 2], "relu", "softmax", rng=1, dropout=0.2)
        if optimizer is None:
            optimizer = {
                "adam": cnn.Adam(cnn.StepDecay(0.05, step_size=7), clip_norm=0.5),
                "momentum": cnn.SGD(0.1, momentum=0.9),
                "sgd": cnn.SGD(0.1),
            }[self.kind]
        stop = cnn.EarlyStopping(patience=3, restore_best_weights=True)
        self.stop = stop
        shards = shards_of(5)
        settings = {
            "epochs": 6,
            "batch_size": 16,
            "validation_data": shards_of(3, seed=1),
            "callbacks": [stop],
            "checkpoint": self.path,
            "every": 3,
        } | options
        if after is not None:
            settings["callbacks"] = [stop]
        history = cnn.distributed.fit(net, shards, comm=comm, optimizer=optimizer, **settings)
        logs = {name: values for name, values in history.history.items() if name != "seconds"}
        return hashed(net, optimizer), history.epoch, logs, net.epochs, optimizer.steps


@pytest.fixture
def ended(monkeypatch):
    """Return a function that makes all processes end in a step, counted over the whole run."""

    def at(step):
        real = _core.shard_gradient
        calls = {"steps": 0}

        def counted(trainer, *arguments):
            if trainer.steps == step:
                raise EndedError
            calls["steps"] += 1
            return real(trainer, *arguments)

        monkeypatch.setattr(_core, "shard_gradient", counted if step is not None else real)
        if step is None:
            monkeypatch.undo()

    return at


@pytest.mark.parametrize("kind", ["adam", *slow("momentum", "sgd")])
def test_a_run_that_was_ended_goes_on_to_the_same_bits(kind, tmp_path, ended):
    whole = Arguments(tmp_path / "whole", kind).run(None)
    steps = whole[-1]
    rng = np.random.default_rng(0)
    for trial, step in enumerate(rng.choice(np.arange(1, steps), 4, replace=False).tolist()):
        arguments = Arguments(tmp_path / f"{trial}", kind)
        before, after = rng.integers(1, 5, 2).tolist()
        ended(step)
        for error in run_ranks(before, arguments.run):
            assert "EndedError" in repr(error)
        ended(None)
        for found in good(run_ranks(after, arguments.run)):
            assert found == whole, (step, before, after)


def test_a_finished_run_is_not_trained_again(tmp_path, ended):
    arguments = Arguments(tmp_path / "a")
    whole = arguments.run(None)
    ended(whole[-1] + 1)
    assert arguments.run(None) == whole
    assert arguments.stop.stopped_epoch == whole[1][-1] or whole[1][-1] == 6
    for found in good(run_ranks(2, arguments.run)):
        assert found == whole


def test_more_epochs_go_on(tmp_path):
    short = Arguments(tmp_path / "a")
    short.run(None, epochs=2, callbacks=[])
    found = short.run(None, epochs=4, callbacks=[])
    assert found == Arguments(tmp_path / "b").run(None, epochs=4, callbacks=[])
    with refused(ValueError, "is in epoch 4"):
        short.run(None, epochs=3, callbacks=[])


def test_without_resume_a_run_begins_again(tmp_path):
    arguments = Arguments(tmp_path / "a")
    whole = arguments.run(None)
    assert arguments.run(None, resume=False) == whole


def test_the_file_is_a_checkpoint_of_cnn(tmp_path):
    arguments = Arguments(tmp_path / "a")
    net = cnn.mlp([4, 8, 2], "relu", "softmax", rng=1)
    optimizer = cnn.Adam(cnn.Constant(0.01))
    arguments.run(None, net=net, optimizer=optimizer, callbacks=[])
    loaded, adam = cnn.load_checkpoint(arguments.path)
    assert hashed(loaded, adam) == hashed(net, optimizer)
    assert (loaded.epochs, adam.lr, loaded.metadata) == (6, cnn.Constant(0.01), {})
    assert hashed(cnn.load(arguments.path)) == hashed(net)
    assert net.metadata == {}


def test_best_weights_are_in_one_file_beside(tmp_path):
    arguments = Arguments(tmp_path / "a")
    arguments.run(None)
    names = sorted(os.listdir(tmp_path))
    assert len(names) == 2
    assert names[1].startswith("a.")
    assert names[1].endswith(".npz")


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("batch_size is 20, but was 16", {"batch_size": 20}),
        ("shuffle is False, but was True", {"shuffle": False}),
        ("lr is 0.3, but was {", {"optimizer": cnn.Adam(0.3, clip_norm=0.5)}),
        (
            "the network's seed is 2, but was 1",
            {"net": cnn.mlp([4, 8, 2], "relu", "softmax", rng=2)},
        ),
        (
            "the number of shards of validation_data is 4, but was 3",
            {"validation_data": shards_of(4)},
        ),
        ("callbacks has 0 callbacks, but had 1", {"callbacks": []}),
    ],
)
def test_other_settings_are_refused(text, options, tmp_path):
    arguments = Arguments(tmp_path / "a")
    arguments.run(None, epochs=1)
    with refused(ValueError, text):
        arguments.run(None, **options)


@pytest.mark.parametrize("size", [1, 2])
def test_a_run_that_cannot_go_on_changes_nothing(size, tmp_path):
    arguments = Arguments(tmp_path / "a")
    arguments.run(None, epochs=1)

    def run(comm):
        net = cnn.mlp([4, 8, 2], "relu", "softmax", rng=1, dropout=0.2)
        before = hashed(net)
        with refused(ValueError, "callbacks has 0 callbacks, but had 1"):
            arguments.run(comm, net=net, callbacks=[])
        return hashed(net) == before and net.epochs == 0

    assert all(good(run_ranks(size, run)))


def test_other_rows_are_refused(tmp_path):
    path = str(tmp_path / "a")
    net = cnn.mlp([4, 2], "relu", "softmax", rng=1)
    cnn.distributed.fit(net, shards_of(3), checkpoint=path)
    x, t = shards_of(3)[0]
    again = cnn.mlp([4, 2], "relu", "softmax", rng=1)
    with refused(ValueError, "the rows of each shard is [49, 50, 50], but was [50, 50, 50]"):
        cnn.distributed.fit(again, [(x[1:], t[1:]), *shards_of(3)[1:]], checkpoint=path)


def test_a_file_of_another_kind_is_refused(tmp_path):
    path = str(tmp_path / "a")
    net = cnn.mlp([4, 2], "relu", "softmax", rng=1)
    optimizer = cnn.Adam()
    cnn.distributed.fit(net, shards_of(3), optimizer=optimizer)
    net.save(path, optimizer=optimizer)
    with refused(cnn.ModelFileError, "a file without the state of a run"):
        cnn.distributed.fit(
            cnn.mlp([4, 2], "relu", "softmax", rng=1), shards_of(3), checkpoint=path
        )
    net.save(path)
    with refused(cnn.ModelFileError, f"distributed.fit: checkpoint {path!r}: the file holds a net"):
        cnn.distributed.fit(
            cnn.mlp([4, 2], "relu", "softmax", rng=1), shards_of(3), checkpoint=path
        )


@pytest.mark.parametrize("every", [None, 2])
def test_a_full_disk_ends_all_and_leaves_the_checkpoint_before(every, tmp_path, monkeypatch):
    arguments = Arguments(tmp_path / "a", "sgd")
    whole = Arguments(tmp_path / "whole", "sgd").run(None, every=every)
    arguments.run(None, epochs=2, every=every)
    before = (tmp_path / "a").read_bytes()

    def full(path, *arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

    with monkeypatch.context() as patched:
        patched.setattr("cnn.distributed._checkpoint.write", full)
        for error in run_ranks(3, lambda comm: arguments.run(comm, every=every)):
            assert isinstance(error, OSError)
            assert error.errno == errno.ENOSPC
            assert "rank 0: No space left on device" in str(error)
    assert (tmp_path / "a").read_bytes() == before
    assert good(run_ranks(2, lambda comm: arguments.run(comm, every=every))) == [whole] * 2


def test_callbacks_have_a_state():
    stop = cnn.EarlyStopping("loss", restore_best_weights=True)
    stop.metrics = ("loss",)
    stop.model = cnn.mlp([2, 1], "relu", "identity", rng=0)
    stop.on_train_begin()
    stop.on_epoch_end(1, {"loss": 0.5})
    other = cnn.EarlyStopping("loss", restore_best_weights=True)
    other.set_state(stop.get_state())
    assert (other.best, other.best_epoch, other.wait) == (0.5, 1, 0)
    saved = cnn.ModelCheckpoint("a")
    saved.set_state({"best": 0.25, "best_epoch": 3})
    assert saved.get_state() == {"best": 0.25, "best_epoch": 3}
    assert cnn.Callback().get_state() == {}
    cnn.Callback().set_state({})
