"""Training, evaluation and prediction: what they take, do, measure and refuse."""

import json
import math
import signal
import threading
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refused import refused

import cnn
from cnn import _core
from cnn._training import loop, samples

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 3))
LABELS = RNG.integers(0, 4, size=20)
T = RNG.normal(size=20)


def classifier(**options):
    return cnn.mlp([3, 5, 4], "tanh", "softmax", rng=0, **options)


def regressor(outputs=1, **options):
    return cnn.mlp([3, 5, outputs], "tanh", "identity", rng=0, **options)


def parameters(net):
    dense = [layer for layer in net if isinstance(layer, cnn.Dense)]
    return np.concatenate([p.ravel() for layer in dense for p in (layer.weight, layer.bias)])


def same(one, two):
    return parameters(one).tobytes() == parameters(two).tobytes()


# ---- Learning ----------------------------------------------------------------------------------


def test_learns_the_digits():
    x, t, x_test, t_test = cnn.datasets.load_digits(split=True)
    net = cnn.mlp([64, 50, 10], "relu", "softmax", rng=0)
    history = net.fit(x, t, epochs=20, batch_size=32, optimizer=cnn.Adam(lr=3e-3))
    assert history.accuracy[-1] > 0.99
    assert net.evaluate(x_test, t_test)["accuracy"] > 0.88


@pytest.mark.parametrize(
    ("loss", "output", "target"),
    [
        (None, "identity", lambda x: 3 * x[:, 0] - 1),
        ("huber", "identity", lambda x: 3 * x[:, 0] - 1),
        (None, "sigmoid", lambda x: x[:, 0] > 0),
        ("squared_error", "sigmoid", lambda x: x[:, 0] > 0),
        (None, "tanh", lambda x: np.tanh(x[:, 0])),
        ("poisson", "identity", lambda x: np.exp(x[:, 0])),
        ("absolute_error", "identity", lambda x: 3 * x[:, 0] - 1),
        (cnn.Quantile(0.3), "identity", lambda x: 3 * x[:, 0] - 1),
    ],
)
def test_losses_fall(loss, output, target):
    x = np.random.default_rng(1).normal(size=(200, 3))
    net = cnn.mlp([3, 8, 1], "tanh", output, rng=0)
    history = net.fit(x, target(x), epochs=30, optimizer=cnn.Adam(0.01), loss=loss)
    if loss == "poisson":  # whose smallest value is not 0
        assert history.loss[-1] < history.loss[0] - 0.3
    else:
        assert history.loss[-1] < 0.2 * history.loss[0]


# ---- Order, batches and seeds ------------------------------------------------------------------


def steps_by_hand(net, x, t, order, batch_size, optimizer, **options):
    for i in range(0, len(order), batch_size):
        rows = order[i : i + batch_size]
        net.train_step(x[rows], t[rows], optimizer=optimizer, **options)


@pytest.mark.parametrize("shuffle", [True, False])
@given(rows=st.integers(1, 20), batch_size=st.integers(1, 25))
def test_fit_is_a_loop_of_steps(shuffle, rows, batch_size):
    net, by_hand = classifier(), classifier()
    x, t = X[:rows], LABELS[:rows]
    net.fit(x, t, epochs=2, batch_size=batch_size, optimizer=cnn.Adam(), shuffle=shuffle)
    optimizer = cnn.Adam()
    for epoch in range(2):
        order = np.arange(rows)
        if shuffle:
            order = _core.permutation(by_hand.seed, epoch, rows, 0, rows)
        steps_by_hand(by_hand, x, t, order, batch_size, optimizer)
    assert same(net, by_hand)


@pytest.mark.parametrize("slice_rows", [1, 7, 100])
@pytest.mark.parametrize("seconds", [1e-9, 1e-5, 0.03])
def test_slices_do_not_show(monkeypatch, slice_rows, seconds):
    expected = classifier()
    first = expected.fit(X, LABELS, epochs=3, batch_size=3)
    monkeypatch.setattr(samples, "SLICE_ROWS", slice_rows)
    monkeypatch.setattr(loop, "SLICE_SECONDS", seconds)
    net = classifier()
    second = net.fit(X, LABELS, epochs=3, batch_size=3)
    assert same(net, expected)
    assert second.accuracy == first.accuracy
    np.testing.assert_allclose(second.loss, first.loss, rtol=1e-14)


def test_evaluation_in_slices(monkeypatch):
    net = classifier()
    whole = net.evaluate(X, LABELS, sample_weight=np.arange(20))
    monkeypatch.setattr(samples, "SLICE_ROWS", 7)
    parts = net.evaluate(X, LABELS, sample_weight=np.arange(20))
    assert parts["accuracy"] == whole["accuracy"]
    assert math.isclose(parts["loss"], whole["loss"], rel_tol=1e-14)


def test_epochs_are_counted_over_the_life_of_the_network():
    one, two = classifier(), classifier()
    one.fit(X, LABELS, epochs=5, batch_size=4, optimizer=cnn.SGD(0.1))
    for epochs in (2, 3):
        history = two.fit(X, LABELS, epochs=epochs, batch_size=4, optimizer=cnn.SGD(0.1))
    assert same(one, two)
    assert history.epoch == [3, 4, 5]
    assert one.epochs == two.epochs == 5


def test_seeds_decide_the_order():
    nets = [cnn.Sequential([cnn.Dense(3, 1, init="zeros")], rng=rng) for rng in (1, 1, 2)]
    for net in nets:
        net.fit(X, T, epochs=2, batch_size=4, optimizer=cnn.SGD(0.1))
    assert same(nets[0], nets[1])
    assert not same(nets[0], nets[2])


# ---- Data --------------------------------------------------------------------------------------


def layouts(array):
    spaced = np.zeros([2 * n for n in array.shape], array.dtype)
    view = spaced[tuple(slice(None, None, 2) for _ in array.shape)]
    view[...] = array
    frozen = array.copy()
    frozen.flags.writeable = False
    return {
        "list": array.tolist(),
        "strided": view,
        "reversed": np.ascontiguousarray(array[::-1])[::-1],
        "Fortran": np.asfortranarray(array),
        "read-only": frozen,
        "unaligned": np.frombuffer(b"\0" + array.tobytes(), array.dtype, offset=1).reshape(
            array.shape
        ),
    }


@pytest.mark.parametrize("layout", layouts(X))
def test_layouts_do_not_matter(layout):
    expected, net = classifier(dtype="float64"), classifier(dtype="float64")
    expected.fit(X, LABELS, epochs=2, batch_size=6, sample_weight=T**2)
    weight = layouts(T**2)[layout]
    net.fit(
        layouts(X)[layout], layouts(LABELS)[layout], epochs=2, batch_size=6, sample_weight=weight
    )
    assert same(net, expected)
    np.testing.assert_array_equal(net.predict(layouts(X)[layout]), expected.predict(X))


@pytest.mark.parametrize("dtype", ["float16", "int8", "uint8", "int64", "bool", "float64"])
def test_types_are_converted(dtype):
    x = (X * 3).astype(dtype)
    expected, net = regressor(), regressor()
    expected.fit(x.astype("float32"), T.astype("float32"), epochs=2)
    net.fit(x, T, epochs=2)
    assert same(net, expected)


def test_mapped_files(tmp_path):
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "t.npy", LABELS)
    x = np.load(tmp_path / "x.npy", mmap_mode="r")
    t = np.load(tmp_path / "t.npy", mmap_mode="r")
    expected, net = classifier(), classifier()
    expected.fit(X, LABELS, epochs=2)
    net.fit(x, t, epochs=2, validation_data=(x, t))
    assert same(net, expected)


def test_memory_does_not_grow_with_the_data():
    def peak(rows):
        x = np.zeros((rows, 3), dtype="float32")
        t = np.zeros(rows, dtype="int64")
        weight = np.ones(rows)
        net = classifier()
        tracemalloc.start()
        net.fit(x, t, batch_size=100, sample_weight=weight, validation_data=(x, t))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(1000)
    assert peak(800_000) < peak(200_000) + 100_000  # a copy of x alone would take 7 MB more


def test_targets_in_one_or_two_dimensions():
    one, two = regressor(), regressor()
    one.fit(X, T, epochs=2)
    two.fit(X, T[:, None], epochs=2)
    assert same(one, two)
    assert one.evaluate(X, T) == two.evaluate(X, T[:, None])
    assert one.predict(X).shape == (20, 1)
    assert one.predict(X[0]).shape == (1,)


def test_labels_and_one_hot_rows():
    one, two = classifier(dtype="float64"), classifier(dtype="float64")
    one.fit(X, LABELS, epochs=2)
    two.fit(X, np.eye(4)[LABELS], epochs=2)
    np.testing.assert_allclose(parameters(one), parameters(two), rtol=1e-12)
    assert one.evaluate(X, LABELS)["accuracy"] == two.evaluate(X, np.eye(4)[LABELS])["accuracy"]
    for dtype in ("float32", "uint8"):
        three = classifier(dtype="float64")
        three.fit(X, LABELS.astype(dtype), epochs=2)
        assert same(one, three)


@pytest.mark.parametrize("form", ["dict", "list", "array"])
def test_class_weights_are_sample_weights(form):
    class_weight = {
        "dict": {0: 0.5, np.int64(2): 3},
        "list": [0.5, 1, 3, 1],
        "array": np.array([0.5, 1, 3, 1], dtype="float32"),
    }[form]
    one, two = classifier(), classifier()
    per_class = np.array([0.5, 1, 3, 1])
    first = one.fit(X, LABELS, epochs=2, class_weight=class_weight)
    second = two.fit(X, LABELS, epochs=2, sample_weight=per_class[LABELS])
    assert same(one, two)
    assert first.loss == second.loss


def test_validation_takes_weights():
    net = classifier()
    weight = np.arange(20.0)
    history = net.fit(X, LABELS, epochs=1, validation_data=(X, LABELS, weight))
    measured = net.evaluate(X, LABELS, sample_weight=weight)
    assert history.val_loss == [measured["loss"]]
    assert history.val_accuracy == [measured["accuracy"]]


# ---- What is measured --------------------------------------------------------------------------


def test_history():
    net = classifier(l2=0.1)
    before = net.evaluate(X, LABELS)
    history = net.fit(X, LABELS, epochs=3, batch_size=20, validation_data=(X, LABELS))
    assert list(history) == ["loss", "accuracy", "val_loss", "val_accuracy", "lr", "seconds"]
    assert history.keys() == list(history.history)
    assert len(history) == 3
    assert math.isclose(history.loss[0], before["loss"], rel_tol=1e-6)
    assert history.accuracy[0] == before["accuracy"]
    assert history.val_loss[-1] == net.evaluate(X, LABELS)["loss"]
    assert history["lr"] == [1e-3] * 3
    assert all(0 < seconds < 10 for seconds in history.seconds)
    assert json.loads(json.dumps(history.to_dict())) == history.to_dict()
    assert history.to_dict() == {"epoch": [1, 2, 3]} | history.history
    assert repr(history).startswith("History(3 epochs; in the last, loss ")
    assert "loss" in history
    assert "val_loss" in dir(history)
    with refused(AttributeError, "History has no 'precision'; it has loss, accuracy"):
        _ = history.precision
    with refused(KeyError, "precision; there is loss"):
        history["precision"]
    assert repr(cnn.History()) == "History(no epochs)"


def test_loss_is_the_weighted_mean_of_the_batches():
    net, by_hand = regressor(), regressor()
    weight = np.arange(1.0, 21.0)
    history = net.fit(X, T, batch_size=8, sample_weight=weight, shuffle=False, optimizer="sgd")
    optimizer, total = cnn.SGD(), 0.0
    for rows in (slice(0, 8), slice(8, 16), slice(16, 20)):
        logs = by_hand.train_step(X[rows], T[rows], optimizer=optimizer, sample_weight=weight[rows])
        total += logs["loss"] * weight[rows].sum()
    assert math.isclose(history.loss[0], total / weight.sum(), rel_tol=1e-14)


def test_accuracies():
    net = cnn.Sequential([cnn.Dense(2, 2, "sigmoid", init="zeros")], dtype="float64")
    net.layers[0].weight = np.eye(2)
    x = [[1, 1], [1, -1], [-1, -1]]
    assert net.evaluate(x, [[1, 1], [1, 1], [0, 0]])["accuracy"] == 2 / 3
    assert net.evaluate(x, [[1, 1], [1, 0], [0, 0]])["accuracy"] == 1
    assert "accuracy" not in net.evaluate(x, x, loss="squared_error")
    softmax = cnn.Sequential([cnn.Dense(2, 2, "softmax", init="zeros")], dtype="float64")
    softmax.layers[0].weight = np.eye(2)
    assert softmax.evaluate([[2, 1], [1, 2], [3, 4]], [0, 1, 0])["accuracy"] == 2 / 3


@pytest.mark.parametrize(
    ("output", "loss", "value"),
    [
        ("softmax", None, math.log(2)),
        ("sigmoid", None, 2 * math.log(2)),
        ("identity", None, 0.5),
        ("relu", None, 0.5),
        ("tanh", "huber", 0.5),
        ("identity", cnn.Huber(delta=0.5), 0.375),
        ("identity", "poisson", 2.0),
        ("identity", "absolute_error", 1.0),
        ("identity", cnn.Quantile((0.25, 0.75)), 0.25),
        ("tanh", cnn.Quantile((0.75, 0.875)), 0.75),
        ("sigmoid", "squared_error", 0.25),
        ("softmax", cnn.CrossEntropy(label_smoothing=0.5), math.log(2)),
    ],
)
def test_losses_and_outputs(output, loss, value):
    net = cnn.Sequential([cnn.Dense(1, 2, output, init="zeros")])
    t = [[1.0, 0.0]]
    assert math.isclose(net.evaluate([[1.0]], t, loss=loss)["loss"], value, rel_tol=1e-6)


# ---- Gradients ---------------------------------------------------------------------------------


def test_gradients_match_the_layers():
    net = cnn.mlp([3, 5, 4], "tanh", "softmax", rng=0, dropout=0.5)
    loss, gradients = net.gradients(X, LABELS)
    assert loss == pytest.approx(net.evaluate(X, LABELS)["loss"])
    assert [g is None for g in gradients] == [False, True, False]
    for layer, gradient in zip(net, gradients, strict=True):
        if gradient is not None:
            assert gradient.weight.shape == layer.weight.shape
            assert gradient.bias.shape == layer.bias.shape
            assert gradient.weight.dtype == np.float32
    one, _ = net.gradients(X, LABELS, dropout_step=0)
    two, _ = net.gradients(X, LABELS, dropout_step=1)
    assert len({loss, one, two}) == 3


def test_gradients_make_the_step():
    net = cnn.mlp([3, 5, 4], "tanh", "softmax", rng=0, dropout=0.5, dtype="float64")
    _, gradients = net.gradients(X, LABELS, dropout_step=0)
    before = [net.layers[0].weight, net.layers[2].bias]
    net.train_step(X, LABELS, optimizer=cnn.SGD(0.5))
    np.testing.assert_array_equal(net.layers[0].weight, before[0] - 0.5 * gradients[0].weight)
    np.testing.assert_array_equal(net.layers[2].bias, before[1] - 0.5 * gradients[2].bias)


# ---- Prediction --------------------------------------------------------------------------------


def test_predict():
    net = classifier()
    y = net.predict(X)
    assert y.shape == (20, 4)
    assert y.dtype == np.float32
    np.testing.assert_array_equal(net.predict(X[3]), y[3])
    out = np.empty((20, 4), dtype="float32")
    assert net.predict(X, out=out) is out
    np.testing.assert_array_equal(out, y)
    assert net.predict(np.zeros((0, 3))).shape == (0, 4)


# ---- Trouble on the way ------------------------------------------------------------------------


def test_the_first_loss_is_not_finite():
    net, optimizer = regressor(), cnn.SGD(0.1)
    before = parameters(net)
    x = X.copy()
    x[3, 1] = np.nan
    message = (
        "fit: the loss became NaN or infinite in epoch 1, step 4; the weights are as they were"
    )
    with refused(FloatingPointError, message):
        net.fit(x, T, batch_size=1, shuffle=False, optimizer=optimizer)
    np.testing.assert_array_equal(parameters(net), before)
    assert (net.epochs, optimizer.steps) == (0, 0)
    message = "train_step: the loss became NaN or infinite in step 1; the step was not made"
    with refused(FloatingPointError, message):
        net.train_step(x, T, optimizer=optimizer)
    np.testing.assert_array_equal(parameters(net), before)


def test_a_later_loss_is_not_finite():
    kept = {}
    net = regressor()
    optimizer = cnn.SGD(lambda k: 1e30 if k == 6 else 0.01, momentum=0.5)
    keep = cnn.LambdaCallback(
        on_epoch_end=lambda epoch, logs: kept.update({epoch: parameters(net)})
    )
    message = "fit: the loss became NaN or infinite in epoch 2, step 4; the weights are those after"
    with refused(FloatingPointError, message):
        net.fit(X, T, epochs=9, batch_size=5, optimizer=optimizer, callbacks=[keep])
    np.testing.assert_array_equal(parameters(net), kept[1])
    assert (net.epochs, optimizer.steps) == (1, 4)
    # The state of the optimizer went back too: training goes on as if the epoch had not been.
    optimizer.lr = 0.01
    net.fit(X, T, epochs=1, batch_size=5, optimizer=optimizer)
    other = regressor()
    other.fit(X, T, epochs=2, batch_size=5, optimizer=cnn.SGD(0.01, momentum=0.5))
    assert same(net, other)


def test_weights_that_are_not_finite_after_an_epoch():
    net = regressor()
    before = parameters(net)
    with refused(FloatingPointError, "fit: the weights became NaN or infinite in epoch 1, step 1"):
        net.fit(X, T, batch_size=20, optimizer=cnn.SGD(1e39))
    np.testing.assert_array_equal(parameters(net), before)


def test_step_does_not_learn():
    net = cnn.mlp([3, 5, 4], "step", "softmax", rng=0)
    first, last = net.layers[0].weight, net.layers[1].weight
    with pytest.warns(UserWarning, match="the derivative of step") as caught:
        net.fit(X, LABELS)
    assert "the activation of layer 0, is 0, so that layer 0 (Dense(3, 5, 'step'))" in str(
        caught[0].message
    )
    assert caught[0].filename == __file__
    np.testing.assert_array_equal(net.layers[0].weight, first)
    assert not np.array_equal(net.layers[1].weight, last)
    deep = cnn.Sequential([cnn.Dense(3, 2), cnn.Dense(2, 2, "step"), cnn.Dense(2, 1)], rng=0)
    with pytest.warns(UserWarning, match=r"layer 0 .*, layer 1 .* will not learn"):
        deep.fit(X, T)


def interrupted_fit(net, optimizer, seconds):
    """Train until a Ctrl-C that comes after so many seconds; return how long it had to wait."""
    x = np.random.default_rng(0).normal(size=(4096, net.inputs)).astype("float32")
    sent = []

    def send():
        sent.append(time.perf_counter())
        signal.raise_signal(signal.SIGINT)

    timer = threading.Timer(seconds, send)
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            net.fit(x, np.zeros(4096, dtype=int), epochs=10**6, batch_size=64, optimizer=optimizer)
        return time.perf_counter() - sent[0]
    finally:
        timer.join()


def test_ctrl_c_leaves_a_usable_network():
    net, optimizer = cnn.mlp([64, 256, 256, 4], "relu", "softmax", rng=0), cnn.Adam()
    interrupted_fit(net, optimizer, 0.1)
    assert optimizer.steps > 0
    x = np.zeros((1, 64))
    assert np.isfinite(net.predict(x)).all()
    epochs = net.epochs
    assert epochs >= 1
    assert net.fit(x, [0], optimizer=optimizer).epoch == [epochs + 1]


def test_ctrl_c_is_served_soon():
    # The best of some tries, since other programs may hold up this one.
    net, optimizer = cnn.mlp([64, 256, 4], "relu", "softmax", rng=0), cnn.Adam()
    assert any(interrupted_fit(net, optimizer, 0.1) < 0.1 for _ in range(5))


def test_networks_are_used_while_another_is_trained():
    nets = [classifier() for _ in range(4)]
    expected = classifier()
    expected.fit(X, LABELS, epochs=50, batch_size=4)
    threads = [
        threading.Thread(target=net.fit, args=(X, LABELS), kwargs={"epochs": 50, "batch_size": 4})
        for net in nets
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(same(net, expected) for net in nets)
