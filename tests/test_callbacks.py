"""Callbacks: when they are called, early stopping, checkpoints, and refusals."""

import math
import os

import numpy as np
import pytest
from refused import refused

import cnn

X = np.array([[0.5, -1.0], [2.0, 1.0], [-1.0, 0.25]])
T = np.array([1.0, -0.5, 2.0])


def small_net():
    return cnn.Sequential([cnn.Dense(2, 3, "tanh"), cnn.Dense(3, 1)], rng=0)


def weights(net):
    return [layer.weight.copy() for layer in net]


class Feed(cnn.Callback):
    """Replace a metric by numbers of the test's own, before other callbacks see it."""

    def __init__(self, name, values):
        self.name = name
        self.values = list(values)
        self.weights = {}

    def on_epoch_end(self, epoch, logs):
        logs[self.name] = self.values[len(self.weights)]
        self.weights[epoch] = weights(self.model)


# ---- Calls -------------------------------------------------------------------------------------


def test_calls_come_in_order():
    calls = []

    class Recorder(cnn.Callback):
        def on_train_begin(self):
            calls.append(("train begin", self.model.epochs, self.optimizer.steps))

        def on_epoch_begin(self, epoch):
            calls.append(("begin", epoch, self.optimizer.steps))

        def on_epoch_end(self, epoch, logs):
            assert tuple(logs) == self.metrics
            calls.append(("end", epoch, self.optimizer.steps))

        def on_train_end(self, logs):
            assert tuple(logs) == self.metrics
            calls.append(("train end", self.model.epochs, self.optimizer.steps))

    net, optimizer = small_net(), cnn.Adam()
    for first in (1, 3):
        calls.clear()
        history = net.fit(X, T, epochs=2, batch_size=2, optimizer=optimizer, callbacks=[Recorder()])
        steps = 2 * (first - 1)
        assert calls == [
            ("train begin", first - 1, steps),
            ("begin", first, steps),
            ("end", first, steps + 2),
            ("begin", first + 1, steps + 2),
            ("end", first + 1, steps + 4),
            ("train end", first + 1, steps + 4),
        ]
        assert history.epoch == [first, first + 1]


def test_metrics_are_announced():
    seen = []

    class Names(cnn.Callback):
        def on_train_begin(self):
            seen.append(self.metrics)

    net = cnn.Sequential([cnn.Dense(2, 3, "softmax")], rng=0)
    labels = [0, 2, 1]
    net.fit(X, labels, callbacks=Names())
    net.fit(X, labels, callbacks=(Names(),), validation_data=(X, labels))
    small_net().fit(X, T, callbacks=iter([Names()]))
    assert seen == [
        ("loss", "accuracy", "lr", "seconds"),
        ("loss", "accuracy", "val_loss", "val_accuracy", "lr", "seconds"),
        ("loss", "lr", "seconds"),
    ]


def test_lambda_callback():
    calls = []
    callback = cnn.LambdaCallback(
        on_train_begin=lambda: calls.append("train begin"),
        on_epoch_begin=lambda epoch: calls.append(("begin", epoch)),
        on_epoch_end=lambda epoch, logs: calls.append(("end", epoch, sorted(logs))),
        on_train_end=lambda logs: calls.append("train end"),
    )
    small_net().fit(X, T, callbacks=[callback])
    names = ["loss", "lr", "seconds"]
    assert calls == ["train begin", ("begin", 1), ("end", 1, names), "train end"]
    small_net().fit(X, T, callbacks=[cnn.LambdaCallback()])
    with refused(TypeError, "LambdaCallback: on_epoch_end is of type int, should be a function"):
        cnn.LambdaCallback(on_epoch_end=3)


def test_stop_training_ends_after_the_epoch():
    class Stop(cnn.Callback):
        def on_epoch_end(self, epoch, logs):
            self.model.stop_training = epoch == 2

    net = small_net()
    assert len(net.fit(X, T, epochs=9, callbacks=[Stop()])) == 2
    assert len(net.fit(X, T, epochs=3)) == 3  # the wish to stop was for that training


def test_lr_can_be_set_between_epochs():
    class Halve(cnn.Callback):
        def on_epoch_end(self, epoch, logs):
            self.optimizer.lr /= 2

    history = small_net().fit(X, T, epochs=3, optimizer=cnn.SGD(0.4), callbacks=[Halve()])
    assert history.lr == [0.4, 0.2, 0.1]


@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize(
    ("method", "epoch", "trained"),
    [
        ("on_train_begin", None, 0),
        ("on_epoch_begin", 1, 0),
        ("on_epoch_begin", 2, 1),
        ("on_epoch_end", 1, 1),
        ("on_epoch_end", 2, 2),
        ("on_train_end", None, 2),
    ],
)
def test_exceptions_reach_the_caller(method, epoch, trained, kind):
    """The network and the optimizer stay as they are at that time, and train on."""

    def fail(*arguments):
        if epoch is None or arguments[0] == epoch:
            raise kind("enough")

    net, optimizer = small_net(), cnn.Adam()
    with refused(kind, "enough"):
        net.fit(
            X,
            T,
            epochs=2,
            optimizer=optimizer,
            callbacks=[cnn.LambdaCallback(**{method: fail})],
        )
    assert (net.epochs, optimizer.steps) == (trained, trained)
    twin, other = small_net(), cnn.Adam()
    if trained:
        twin.fit(X, T, epochs=trained, optimizer=other)
    for one, adam in ((net, optimizer), (twin, other)):
        one.fit(X, T, optimizer=adam)
    assert all(np.array_equal(a, b) for a, b in zip(weights(twin), weights(net), strict=True))


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, RuntimeError])
def test_an_interrupt_behind_the_last_step_counts_the_epoch(kind, monkeypatch):
    """A signal may come after any line of fit, also between the steps and what counts them."""

    def end(self, **options):
        raise kind("now")

    net, optimizer = small_net(), cnn.Adam()
    with monkeypatch.context() as patched, refused(kind, "now"):
        patched.setattr("cnn._training.loop._Slices.end", end)
        net.fit(X, T, epochs=3, batch_size=1, optimizer=optimizer)
    assert (net.epochs, optimizer.steps) == (1, 3)
    net.fit(X, T, epochs=2, batch_size=1, optimizer=optimizer)
    twin, other = small_net(), cnn.Adam()
    twin.fit(X, T, epochs=3, batch_size=1, optimizer=other)
    assert all(np.array_equal(a, b) for a, b in zip(weights(twin), weights(net), strict=True))


def test_epochs_of_a_failed_epoch_are_those_before():
    net, optimizer = small_net(), cnn.Adam()
    net.fit(X, T, optimizer=optimizer)

    def metric(t, y):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        net.fit(X, T, optimizer=optimizer, metrics=metric)
    assert (net.epochs, optimizer.steps) == (1, 1)
    fresh = small_net()
    with pytest.raises(ZeroDivisionError):
        fresh.fit(X, T, metrics=metric)
    assert fresh.epochs == 0
    assert "epochs" not in fresh._network.metadata


def test_bad_callbacks():
    net = small_net()
    with refused(TypeError, "fit: callbacks is of type int, should be a list of callbacks"):
        net.fit(X, T, callbacks=3)
    with refused(TypeError, "fit: callbacks[1] is of type function, should be a cnn.Callback"):
        net.fit(X, T, callbacks=[cnn.Callback(), lambda epoch: None])
    message = (
        "fit: callbacks[0] is the class EarlyStopping, should be an object: EarlyStopping(...)"
    )
    with refused(TypeError, message):
        net.fit(X, T, callbacks=[cnn.EarlyStopping])


# ---- Early stopping ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "values", "stopped", "best_epoch"),
    [
        ({"patience": 2}, [3, 2, 2, 2, 1, 0], 4, 2),
        ({"patience": 0}, [3, 2, 2, 1, 1, 1], 3, 2),
        ({"patience": 1}, [3, 2, 2, 1, 1, 1], 3, 2),
        ({"patience": 3}, [3, 4, 5, 2, 5, 5], 0, 4),
        ({"patience": 1, "min_delta": 0.5}, [3, 2.6, 1, 0, 0, 0], 2, 1),
        ({"patience": 1, "mode": "max"}, [1, 2, 3, 2, 9, 9], 4, 3),
        ({"patience": 1, "mode": "min"}, [3, 2, 1, 2, 0, 0], 4, 3),
        ({"patience": 2}, [math.nan] * 6, 2, 0),
        ({"patience": 1}, [1, math.nan, 0, 0, 0, 0], 2, 1),
    ],
)
def test_early_stopping(options, values, stopped, best_epoch):
    stop = cnn.EarlyStopping("loss", **options)
    net = small_net()
    for _ in range(2):  # the same object begins anew
        first = net.epochs
        history = net.fit(X, T, epochs=6, callbacks=[Feed("loss", values), stop])
        assert len(history) == (stopped or 6)
        assert stop.stopped_epoch == (first + stopped if stopped else 0)
        assert stop.best_epoch == (first + best_epoch if best_epoch else 0)
        if best_epoch:
            assert stop.best == values[best_epoch - 1]


def test_auto_mode_knows_accuracies():
    net = cnn.Sequential([cnn.Dense(2, 3, "softmax")], rng=0)
    stop = cnn.EarlyStopping("val_accuracy", patience=1)
    feed = Feed("val_accuracy", [0.1, 0.2, 0.3, 0.2, 0.9])
    labels = [0, 2, 1]
    net.fit(X, labels, epochs=5, validation_data=(X, labels), callbacks=[feed, stop])
    assert (stop.stopped_epoch, stop.best_epoch, stop.best) == (4, 3, 0.3)


@pytest.mark.parametrize("restore", [True, False])
@pytest.mark.parametrize("patience", [2, 9])
def test_best_weights(restore, patience):
    net, feed = small_net(), Feed("loss", [3, 1, 2, 2, 2])
    stop = cnn.EarlyStopping("loss", patience=patience, restore_best_weights=restore)
    net.fit(X, T, epochs=5, callbacks=[feed, stop])
    expected = feed.weights[2 if restore else max(feed.weights)]
    for weight, other in zip(weights(net), expected, strict=True):
        np.testing.assert_array_equal(weight, other)
    # The restored weights are those that the network computes with.
    again = small_net()
    for layer, other in zip(again, net, strict=True):
        layer.weight, layer.bias = other.weight, other.bias
    np.testing.assert_array_equal(again.predict(X), net.predict(X))


def test_metrics_that_are_missing():
    net, optimizer = small_net(), cnn.Adam()
    before = weights(net)
    message = (
        "fit: EarlyStopping has monitor 'val_loss', should be one of loss, lr, seconds; "
        "give fit validation_data or validation_split"
    )
    with refused(ValueError, message):
        net.fit(X, T, optimizer=optimizer, callbacks=[cnn.EarlyStopping()])
    for monitor, end in (
        ("accuracy", "loss, lr, seconds"),
        ("val_r2", "; give fit metrics=['r2']"),
        ("los", "; did you mean 'loss'?"),
    ):
        checkpoint = cnn.ModelCheckpoint("x", monitor=monitor, save_best_only=True)
        with refused(ValueError, f"fit: ModelCheckpoint has monitor {monitor!r}, sh") as caught:
            net.fit(X, T, callbacks=[checkpoint])
        assert str(caught.value).endswith(end)
    assert optimizer.steps == 0
    for weight, other in zip(weights(net), before, strict=True):
        np.testing.assert_array_equal(weight, other)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"monitor": 3}, TypeError, "EarlyStopping: monitor is of type int, should be a string"),
        ({"patience": -1}, ValueError, "EarlyStopping: patience is -1, should be at least 0"),
        ({"patience": 1.5}, TypeError, "EarlyStopping: patience is of type float"),
        ({"min_delta": -1}, ValueError, "EarlyStopping: min_delta is -1"),
        ({"mode": "most"}, ValueError, "EarlyStopping: mode is 'most', should be one of auto, mi"),
        ({"restore_best_weights": 1}, TypeError, "EarlyStopping: restore_best_weights is of type"),
    ],
)
def test_bad_early_stopping(options, error, message):
    with refused(error, message):
        cnn.EarlyStopping(**options)


# ---- Checkpoints -------------------------------------------------------------------------------


def test_checkpoints_of_every_epoch(tmp_path):
    net, feed = small_net(), Feed("loss", [3, 2, 1])
    checkpoint = cnn.ModelCheckpoint(tmp_path / "net-{epoch:02d}-{loss:.1f}.safetensors")
    net.fit(X, T, epochs=3, callbacks=[feed, checkpoint])
    assert sorted(os.listdir(tmp_path)) == [
        "net-01-3.0.safetensors",
        "net-02-2.0.safetensors",
        "net-03-1.0.safetensors",
    ]
    for epoch in (1, 2, 3):
        path = tmp_path / f"net-0{epoch}-{4 - epoch}.0.safetensors"
        loaded, optimizer = cnn.load_checkpoint(path)
        assert (loaded.epochs, optimizer.steps) == (epoch, epoch)
        for weight, other in zip(weights(loaded), feed.weights[epoch], strict=True):
            np.testing.assert_array_equal(weight, other)


def test_checkpoints_of_the_best_epochs(tmp_path):
    path = tmp_path / "best.safetensors"
    net, feed = small_net(), Feed("loss", [3, 1, 2, 2])
    checkpoint = cnn.ModelCheckpoint(path, monitor="loss", save_best_only=True)
    net.fit(X, T, epochs=4, callbacks=[feed, checkpoint])
    assert (checkpoint.best, checkpoint.best_epoch) == (1, 2)
    for weight, other in zip(weights(cnn.load(path)), feed.weights[2], strict=True):
        np.testing.assert_array_equal(weight, other)


def test_a_checkpoint_goes_on_to_the_same_weights(tmp_path):
    path = tmp_path / "{epoch}.safetensors"
    net = small_net()
    net.fit(
        X,
        T,
        epochs=5,
        batch_size=1,
        optimizer=cnn.Adam(cnn.CosineDecay(0.1, 15)),
        callbacks=[cnn.ModelCheckpoint(path)],
    )
    resumed, optimizer = cnn.load_checkpoint(tmp_path / "2.safetensors")
    resumed.fit(X, T, epochs=3, batch_size=1, optimizer=optimizer)
    for weight, other in zip(weights(net), weights(resumed), strict=True):
        np.testing.assert_array_equal(weight, other)


@pytest.mark.parametrize("path", ["{val_loss}", "{}", "{epoch:q}", "{epoch", "{epoch.x}"])
def test_bad_checkpoint_paths(path):
    net = small_net()
    before = weights(net)
    with refused(ValueError, f"fit: ModelCheckpoint has path {path!r}, whose fields should be"):
        net.fit(X, T, callbacks=[cnn.ModelCheckpoint(path)])
    np.testing.assert_array_equal(weights(net)[0], before[0])


def test_bad_checkpoints(tmp_path):
    with refused(TypeError, "ModelCheckpoint: path is of type int, should be a string or a path"):
        cnn.ModelCheckpoint(3)
    with refused(TypeError, "ModelCheckpoint: save_best_only is of type int"):
        cnn.ModelCheckpoint("x", save_best_only=1)
    net = small_net()
    path = str(tmp_path / "no folder" / "{epoch}")
    message = f"fit: ModelCheckpoint has path {path!r}, whose folder does not exist"
    with refused(FileNotFoundError, message):
        net.fit(X, T, callbacks=[cnn.ModelCheckpoint(path)])
    # No epoch was trained for nothing.
    assert net.epochs == 0


# ---- As text -----------------------------------------------------------------------------------


def test_reprs():
    class Plain(cnn.Callback):
        pass

    class Own(cnn.Callback):
        def __init__(self, name, *rest, scale=2.0, hidden=1, **more):
            self.name, self.scale, self._hidden = name, scale, hidden

    def show(epoch, logs):
        pass

    for callback, expected in (
        (cnn.EarlyStopping(), "EarlyStopping('val_loss')"),
        (
            cnn.EarlyStopping("val_loss", patience=3, restore_best_weights=True),
            "EarlyStopping('val_loss', patience=3, restore_best_weights=True)",
        ),
        (
            cnn.ModelCheckpoint("a.safetensors", save_best_only=True),
            "ModelCheckpoint('a.safetensors', save_best_only=True)",
        ),
        (cnn.LambdaCallback(), "LambdaCallback()"),
        (
            cnn.LambdaCallback(on_epoch_end=show),
            f"LambdaCallback(on_epoch_end={show.__qualname__})",
        ),
        (Plain(), "Plain()"),
        (Own("a"), "Own('a')"),
        (Own("a", scale=3.0), "Own('a', scale=3.0)"),
    ):
        assert repr(callback) == expected
