"""What evaluate measures, and the arguments of fit that other libraries have too."""

import numpy as np
import pytest
from sklearn import metrics as sk
from sklearn.utils.class_weight import compute_class_weight

import cnn
from cnn._training import samples

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(60, 3)).astype(np.float32)
T = (X @ [1.0, -2.0, 0.5] + RANDOM.normal(size=60)).astype(np.float32)
LABELS = np.digitize(T, [-1.5, 1.5])
WEIGHT = RANDOM.integers(0, 4, 60)


def regression(outputs=1, **options):
    return cnn.Sequential([cnn.Dense(3, 4, "tanh"), cnn.Dense(4, outputs, **options)], rng=0)


def classification(classes=3):
    return cnn.mlp([3, 4, classes], "tanh", "softmax", rng=0)


# ---- evaluate ------------------------------------------------------------------------------------


@pytest.mark.parametrize("weight", [None, WEIGHT])
@pytest.mark.parametrize("loss", ["squared_error", "huber", "absolute_error"])
@pytest.mark.parametrize("outputs", [1, 2])
def test_evaluate_gives_the_errors_of_a_regression(weight, loss, outputs, monkeypatch):
    monkeypatch.setattr(samples, "SLICE_WORK", 0)  # slices of 256 rows; below, of all of them
    x, t = np.tile(X, (10, 1)), np.tile(T, 10)
    t = t if outputs == 1 else np.stack([t, 3 - t], axis=1)
    weight = None if weight is None else np.tile(weight, 10)
    net = regression(outputs)
    measured = net.evaluate(x, t, loss=loss, sample_weight=weight)
    y = net.predict(x).astype(np.float64).reshape(t.shape)
    # Sums of 600 terms in another order.
    close = {"rel": 1e-12}
    assert measured["mse"] == pytest.approx(
        sk.mean_squared_error(t, y, sample_weight=weight), **close
    )
    mae = sk.mean_absolute_error(t.astype(float), y, sample_weight=weight)
    assert measured["mae"] == pytest.approx(mae, **close)
    r2 = sk.r2_score(t.astype(float), y, sample_weight=weight)
    assert measured["r2"] == pytest.approx(r2, rel=1e-11)
    assert list(measured) == ["loss", "mse", "mae", "r2"]
    if loss == "squared_error":
        # In float32, of errors of about 1.
        assert measured["loss"] == pytest.approx(outputs * measured["mse"] / 2, rel=1e-5)
    if loss == "absolute_error":
        assert measured["loss"] == pytest.approx(outputs * measured["mae"], rel=1e-5)


def test_evaluate_gives_the_loss_that_it_always_gave():
    net = regression(l2=0.1)
    loss = net._network.evaluate(cnn.SquaredError().compiled(), X, T, WEIGHT).loss
    assert net.evaluate(X, T, sample_weight=WEIGHT)["loss"] == loss


def test_errors_are_the_same_whatever_the_threads():
    x, t = np.tile(X, (200, 1)), np.tile(T, 200)
    net, before, found = regression(), cnn.get_num_threads(), []
    try:
        for threads in (1, 3):
            cnn.set_num_threads(threads)
            found.append(net.evaluate(x, t))
    finally:
        cnn.set_num_threads(before)
    assert found[0] == found[1]


def test_classifications_logarithms_and_quantiles_have_no_errors():
    assert list(classification().evaluate(X, LABELS)) == ["loss", "accuracy"]
    assert list(regression().evaluate(X, abs(T), loss="poisson")) == ["loss"]
    assert list(regression(3).evaluate(X, T, loss="quantile")) == ["loss"]


def test_rows_without_weight_count_for_nothing():
    x, t, weight = X.copy(), T.copy(), np.ones(60)
    x[3], t[4], weight[[3, 4]] = np.nan, 1e30, 0
    rest = np.delete(np.arange(60), [3, 4])
    measured = regression().evaluate(x, t, sample_weight=weight)
    assert measured == pytest.approx(regression().evaluate(X[rest], T[rest]), rel=1e-12)


def test_huge_errors_overflow_without_a_warning():
    net = cnn.Sequential([cnn.Dense(1, 1, init="zeros")], dtype="float64", rng=0)
    measured = net.evaluate([[0.0], [0.0]], [1e200, -1e200])
    assert measured["mse"] == np.inf
    assert measured["mae"] == 1e200


# ---- metrics -------------------------------------------------------------------------------------


def gini(t, y):
    """A metric of the user's own."""
    return 2 * cnn.metrics.auc(t, y) - 1


def test_evaluate_takes_metrics():
    net = classification()
    measured = net.evaluate(X, LABELS, metrics=["auc", gini, "accuracy", cnn.metrics.f1])
    y = net.predict(X)
    assert list(measured) == ["loss", "accuracy", "auc", "gini", "f1"]
    assert measured["auc"] == cnn.metrics.auc(LABELS, y)
    assert measured["gini"] == 2 * measured["auc"] - 1
    assert measured["f1"] == cnn.metrics.f1(LABELS, y)
    assert list(net.evaluate(X, LABELS, metrics="auc")) == ["loss", "accuracy", "auc"]
    weighted = net.evaluate(X, LABELS, metrics=["auc"], sample_weight=WEIGHT)
    assert weighted["auc"] == cnn.metrics.auc(LABELS, y, sample_weight=WEIGHT) != measured["auc"]


def test_fit_records_metrics_of_the_end_of_each_epoch():
    net = classification()
    found = []

    def keep(epoch, logs):
        found.append((net.evaluate(X[:40], LABELS[:40], metrics=["auc"]), dict(logs)))

    history = net.fit(
        X[:40],
        LABELS[:40],
        validation_data=(X[40:], LABELS[40:]),
        epochs=3,
        metrics=["auc", gini],
        callbacks=cnn.LambdaCallback(on_epoch_end=keep),
    )
    assert list(history) == [
        *("loss", "accuracy", "auc", "gini", "val_loss", "val_accuracy", "val_auc", "val_gini"),
        *("lr", "seconds"),
    ]
    assert history.auc == [measured["auc"] for measured, _ in found]
    assert history.val_auc[-1] == cnn.metrics.auc(LABELS[40:], net.predict(X[40:]))


def test_metrics_do_not_change_training():
    plain, measured = classification(), classification()
    plain.fit(X, LABELS, epochs=2)
    measured.fit(X, LABELS, epochs=2, metrics=["auc"], validation_data=(X, LABELS))
    for one, other in zip(plain.get_weights(), measured.get_weights(), strict=True):
        assert (one == other).all()


def test_a_regression_has_errors_in_its_history_if_asked():
    net = regression()
    history = net.fit(X, T, epochs=2, metrics=["mae", "r2"])
    assert list(history) == ["loss", "mae", "r2", "lr", "seconds"]
    measured = net.evaluate(X, T)
    assert (history.mae[-1], history.r2[-1]) == (measured["mae"], measured["r2"])
    assert list(net.evaluate(X, T, metrics=["rmse", "mse"])) == ["loss", "mse", "mae", "r2", "rmse"]


@pytest.mark.parametrize(("monitor", "sign"), [("val_auc", -1), ("val_r2", -1), ("val_mae", 1)])
def test_early_stopping_knows_which_way_metrics_go(monitor, sign):
    name = monitor.removeprefix("val_")
    net, t = (classification(), LABELS) if name == "auc" else (regression(), T)
    stop = cnn.EarlyStopping(monitor, patience=1)
    history = net.fit(X, t, epochs=50, validation_split=0.5, metrics=[name], callbacks=[stop])
    values = sign * np.array(history[monitor])
    assert values[: stop.best_epoch].argmin() == stop.best_epoch - 1
    assert (np.diff(values[: stop.best_epoch]) < 0).all()
    assert sign * stop.best == values.min()


def test_the_mode_of_a_function_of_the_users_must_be_given():
    net = classification()
    for callback in (
        cnn.EarlyStopping("gini"),
        cnn.ModelCheckpoint("x.safetensors", monitor="gini", save_best_only=True),
    ):
        with pytest.raises(ValueError, match="monitor 'gini' and mode 'auto', should have mode"):
            net.fit(X, LABELS, metrics=[gini], callbacks=[callback])
    net.fit(X, LABELS, metrics=[gini], callbacks=[cnn.EarlyStopping("gini", mode="max")])


class _Callable:
    def __call__(self, t, y):
        return 0.0


BAD = {
    "auc ": (ValueError, r"metrics\[0\] is 'auc ', should be one of accuracy, auc, f1"),
    7: (TypeError, "metrics is of type int, should be a list of names and functions"),
    (7,): (TypeError, r"metrics\[0\] is of type int, should be a name or a function f\(t, y\)"),
    (int,): (TypeError, r"metrics\[0\] is int, should be a name or a function"),
    (_Callable(),): (ValueError, r"metrics\[0\] is <.*>, which has no __name__"),
    ("auc", gini, "auc"): (ValueError, "metrics has 'auc' twice"),
    ("auc", cnn.metrics.auc): (ValueError, "metrics has 'auc' twice"),
    ("top5",): (ValueError, "metrics: top5: y has 3 classes, should have more than 5"),
}


@pytest.mark.parametrize("given", BAD)
def test_bad_metrics(given):
    error, message = BAD[given]
    net = classification()
    with pytest.raises(error, match=f"^fit: {message}"):
        net.fit(X, LABELS, metrics=given)
    with pytest.raises(error, match=f"^evaluate: {message}"):
        net.evaluate(X, LABELS, metrics=given)
    assert net.epochs == 0


@pytest.mark.parametrize("name", ["loss", "lr", "seconds", "val_x", "accuracy", "mae"])
def test_names_that_are_taken(name):
    def metric(t, y):
        return 0.0

    metric.__name__ = name
    with pytest.raises(ValueError, match=rf"metrics\[0\] has the name '{name}', which is taken"):
        classification().fit(X, LABELS, metrics=[metric])


def test_metrics_that_do_not_go_with_the_task():
    with pytest.raises(
        ValueError, match="metrics\\[0\\] is 'accuracy', but with loss squared_error"
    ):
        regression().fit(X, T, metrics=["accuracy"])
    with pytest.raises(ValueError, match=r"^fit: metrics: auc: t has label"):
        regression().fit(X, T, metrics=["auc"])
    with pytest.raises(ValueError, match=r"^fit: metrics: auc: t has rows of one class alone"):
        classification().fit(X, LABELS, metrics=["auc"], validation_data=(X[:1], LABELS[:1]))


@pytest.mark.parametrize("result", ["good", None, np.ones(3), True])
def test_a_metric_that_returns_no_number(result):
    def name_of(t, y):
        return result

    net = classification()
    before = net.get_weights()
    with pytest.raises(TypeError, match="metric 'name_of' returned an object of") as found:
        net.fit(X, LABELS, metrics=[name_of])
    assert "the weights are as they were before fit" in found.value.__notes__[0]
    assert all((a == b).all() for a, b in zip(before, net.get_weights(), strict=True))


def test_metrics_cannot_change_the_targets():
    def wipe(t, y):
        t[:] = 0

    with pytest.raises(ValueError, match="read-only"):
        classification().fit(X, LABELS.copy(), metrics=[wipe])


# ---- validation_split ----------------------------------------------------------------------------


def test_validation_split_takes_the_last_rows():
    nets = [classification(), classification()]
    histories = [
        nets[0].fit(X, LABELS, epochs=2, validation_split=0.25, sample_weight=WEIGHT),
        nets[1].fit(
            X[:45],
            LABELS[:45],
            epochs=2,
            sample_weight=WEIGHT[:45],
            validation_data=(X[45:], LABELS[45:], WEIGHT[45:]),
        ),
    ]
    for name in ("loss", "val_loss", "val_accuracy"):
        assert histories[0][name] == histories[1][name]
    for one, other in zip(*[net.get_weights() for net in nets], strict=True):
        assert (one == other).all()


def test_validation_split_rounds_the_training_rows_down_as_keras_does():
    seen = []

    def count(t, y):
        seen.append(len(t))
        return 0.0

    regression().fit(X[:10].tolist(), T[:10].tolist(), validation_split=0.33, metrics=[count])
    assert seen == [6, 4]


@pytest.mark.parametrize(
    ("share", "error", "message"),
    [
        (1.0, ValueError, "validation_split is 1, should be at least 0 and less than 1"),
        (-0.1, ValueError, "validation_split is -0.1, should be"),
        ("0.1", TypeError, "validation_split is of type str, should be a number"),
        (0.999, ValueError, "validation_split is 0.999, which leaves 0 of 60 rows"),
        (1e-20, ValueError, "validation_split is 1e-20, which leaves 60 of 60 rows"),
    ],
)
def test_bad_validation_split(share, error, message):
    with pytest.raises(error, match=f"^fit: {message}"):
        regression().fit(X, T, validation_split=share)


def test_validation_split_beside_bad_arguments():
    net = regression()
    with pytest.raises(
        ValueError, match=r"validation_split is 0\.5 and validation_data is given too"
    ):
        net.fit(X, T, validation_split=0.5, validation_data=(X, T))
    with pytest.raises(ValueError, match="t has 50 rows, but x has 60"):
        net.fit(X, T[:50], validation_split=0.5)
    with pytest.raises(ValueError, match=r"sample_weight has shape \(3,\)"):
        net.fit(X, T, sample_weight=[1, 2, 3], validation_split=0.5)
    with pytest.raises(ValueError, match="x has 0 dimensions"):
        net.fit(1.0, T, validation_split=0.5)
    message = r"^fit: the last 30 rows \(validation_split\): t has label 9, .*; it is in row 29$"
    with pytest.raises(ValueError, match=message):
        classification().fit(X, [*LABELS[:-1], 9], validation_split=0.5)


# ---- class_weight="balanced" ---------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.float32])
def test_balanced_class_weights_are_those_of_scikit_learn(dtype):
    labels = np.array([0, 0, 0, 2, 2, 3] * 10, dtype)  # none of class 1
    weights = compute_class_weight("balanced", classes=np.unique(labels), y=labels)
    expected = dict(zip([0, 2, 3], weights, strict=True))
    nets = [classification(4), classification(4)]
    nets[0].fit(X, labels, class_weight="balanced")
    nets[1].fit(X, labels, class_weight=expected)
    nets[0].train_step(X, labels, class_weight="balanced", optimizer=cnn.SGD())
    nets[1].train_step(X, labels, class_weight=expected, optimizer=cnn.SGD())
    for one, other in zip(*[net.get_weights() for net in nets], strict=True):
        assert (one == other).all()


def test_balanced_counts_the_training_rows_alone():
    nets = [classification(), classification()]
    nets[0].fit(X, LABELS, class_weight="balanced", validation_split=0.5)
    nets[1].fit(X[:30], LABELS[:30], class_weight="balanced")
    assert (nets[0].layers[0].weight == nets[1].layers[0].weight).all()


def test_balanced_needs_class_numbers():
    with pytest.raises(
        ValueError, match="class_weight is given, but t does not hold class numbers"
    ):
        regression().fit(X, T, class_weight="balanced")


# ---- verbose -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verbose", "shown"),
    [(0, False), (1, True), (2, True), ("auto", False), (True, True), (np.int64(0), False)],
)
def test_verbose(verbose, shown, capsys):
    regression().fit(X, T, verbose=verbose)
    assert bool(capsys.readouterr().err) == shown


def test_bad_verbose():
    with pytest.raises(ValueError, match="fit: verbose is 3, should be 0, 1, 2 or 'auto'"):
        regression().fit(X, T, verbose=3)
    with pytest.raises(ValueError, match="fit: verbose is 'no', should be 0"):
        regression().fit(X, T, verbose="no")
    with pytest.raises(ValueError, match="fit: progress is True and verbose is 1, should be one"):
        regression().fit(X, T, progress=True, verbose=1)
