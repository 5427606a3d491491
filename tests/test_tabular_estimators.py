"""TabularClassifier and TabularRegressor: learning, bits, calibration, refusals."""

import bisect
import copy
import math
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from refused import refused
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.inspection import permutation_importance
from sklearn.metrics import d2_pinball_score, log_loss
from sklearn.model_selection import cross_val_score, train_test_split
from sklearn.utils.estimator_checks import parametrize_with_checks
from tabular_models import LABELS, TABLE, N, T, classifier, regressor

import cnn
from cnn import _core
from cnn.columns import Ignored, Number, Periodic
from cnn.tabular import TabularClassifier, TabularRegressor, _recipe
from cnn.tabular._calibration import temperature_of
from cnn.tabular._encoder import Encoder

# ---- scikit-learn's checks -----------------------------------------------------------------------


def _expected_failures(estimator):
    """A row that is held out, or in another batch, is not a row of weight 2."""
    return {"check_sample_weight_equivalence_on_dense_data": "as the Notes of the class tell"}


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(
    [
        TabularClassifier(epochs=40, random_state=0, hidden_layer_sizes=(32,)),
        TabularRegressor(epochs=100, random_state=0, hidden_layer_sizes=(32,)),
    ],
    expected_failed_checks=_expected_failures,
)
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)


# ---- Learning ------------------------------------------------------------------------------------


def test_scores():
    """As good as is known for these tables."""
    for load, least in ((load_iris, 0.93), (load_breast_cancer, 0.94)):
        x, y = load(return_X_y=True)
        model = TabularClassifier(epochs=40, random_state=0)
        assert cross_val_score(model, x, y, cv=3).mean() > least
    x, y = load_diabetes(return_X_y=True)
    assert cross_val_score(TabularRegressor(random_state=0, epochs=64), x, y, cv=3).mean() > 0.38


def test_categories_and_missing_values_are_learned():
    rng = np.random.default_rng(1)
    word, hole = rng.choice(list("abcdefghijklmnop"), 800), rng.random(800) < 0.3
    number = np.where(hole, np.nan, rng.normal(size=800))
    y = (word < "h").astype(float) + 2 * hole + np.where(hole, 0, number)
    table = {"word": word, "number": number}
    model = TabularRegressor(hidden_layer_sizes=(64,), epochs=60, random_state=0)
    train = {name: column[:600] for name, column in table.items()}
    test = {name: column[600:] for name, column in table.items()}
    assert model.fit(train, y[:600]).score(test, y[600:]) > 0.97


def test_members_are_averaged(bits):
    x, y = load_breast_cancer(return_X_y=True)
    model = classifier(n_ens=3).fit(x, y)
    assert len(model.nets_) == len(model.histories_) == len(model.best_epochs_) == 3
    outputs = [net.predict(Encoder("f", x).transform("f", x)) for net in model.nets_]
    assert bits(outputs[0]) != bits(outputs[1])
    mean = np.mean([o.astype(float) for o in outputs], axis=0)
    np.testing.assert_allclose(model.predict_proba(x), mean, rtol=0, atol=1e-6)
    assert (model.predict(x) == model.classes_[mean.argmax(1)]).all()
    assert model.net_ is model.nets_[0]


def test_networks_agree_on_the_peaks_between_which_they_are_best():
    x, y = np.random.default_rng(3).normal(size=(160, 3)), np.arange(160) % 2
    model = classifier(n_ens=6, epochs=40).fit(x, y)
    # The first peak of each cycle of the learning rate (CosineLog), in epochs.
    peaks = [40 * (2 ** (cycle + 0.5) - 1) / 15 for cycle in range(4)]
    assert len({bisect.bisect_left(peaks, epoch) for epoch in model.best_epochs_}) == 1
    alone = classifier(n_ens=1, epochs=40).fit(x, y)
    first = model.histories_[0].history["loss"]
    assert first == alone.histories_[0].history["loss"]  # training is the same


class Kept:
    def set_weights(self, weights):
        self.weights = weights


def member(**candidates):
    found = {int(key[1:]): _recipe.Candidate(*values, [key]) for key, values in candidates.items()}
    return _recipe.Trained(Kept(), cnn.History(), 0, candidates=found)


def test_a_network_that_ended_early_keeps_its_own_best_epoch():
    members = [member(p2=(0.3, 9), p4=(0.4, 30)), member(p2=(0.5, 8), p4=(0.2, 31))]
    members += [member(p2=(0.1, 7))]
    _recipe.agree(members)
    assert [each.best_epoch for each in members] == [30, 31, 7]
    assert [each.net.weights for each in members] == [["p4"], ["p4"], ["p2"]]
    # Of equal sums, the later one.
    members = [member(p0=(0.25, 1), p3=(0.5, 20)), member(p0=(0.5, 2), p3=(0.25, 19))]
    _recipe.agree(members)
    assert [each.best_epoch for each in members] == [20, 19]


def test_losses():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(400, 3))
    t = x[:, 0] + rng.standard_t(1.5, size=400)
    medians = {
        loss: np.median(np.abs(regressor(loss=loss, epochs=60).fit(x, t).predict(x) - x[:, 0]))
        for loss in ("squared_error", "huber", "absolute_error")
    }
    assert medians["huber"] < medians["squared_error"]
    assert medians["absolute_error"] < medians["squared_error"]
    counts = rng.poisson(np.exp(x[:, 0]))
    model = regressor(loss="poisson", epochs=100).fit(x, counts)
    assert (model.predict(x) >= 0).all()
    assert np.corrcoef(np.log(model.predict(x) + 0.1), x[:, 0])[0, 1] > 0.9


def test_quantiles():
    """Quantiles of a normal variable whose deviation depends on x, which never cross."""
    rng = np.random.default_rng(3)
    x = rng.uniform(size=(3000, 1))
    t = 5 * x[:, 0] + (0.2 + x[:, 0]) * rng.normal(size=3000)
    levels = (0.1, 0.5, 0.9)
    model = TabularRegressor(loss="quantile", epochs=60, random_state=0, hidden_layer_sizes=32)
    found = model.fit(x, t).predict(x)
    assert found.shape == (3000, 3)
    assert (np.diff(found, axis=1) >= 0).all()
    normal = (0.2 + x) * [-1.2815515655446004, 0, 1.2815515655446004]
    assert np.abs(found - (5 * x + normal)).mean() < 0.12
    for column, level in zip(found.T, levels, strict=True):
        assert abs((t < column).mean() - level) < 0.03
    scores = [d2_pinball_score(t, c, alpha=q) for c, q in zip(found.T, levels, strict=True)]
    assert abs(model.score(x, t) - np.mean(scores)) < 1e-12
    one = regressor(loss="quantile", quantiles=0.5).fit(x, t)
    assert one.predict(x).shape == (3000,)
    assert one.score(x, t) > 0


_LOSSES = ("squared_error", "absolute_error", "huber", "poisson", "quantile")


@pytest.mark.parametrize("loss", _LOSSES)
def test_parameters_that_change_after_fit(loss, bits, tmp_path):
    """They are those of the next fit: predictions, scores and files follow what fit used."""
    t = T - T.min()
    model = regressor(loss=loss, calibrate=True, n_ens=1).fit(TABLE, t)
    found, interval = model.predict(TABLE), model.predict_interval(TABLE, 0.3)
    score, path = model.score(TABLE, t), tmp_path / "model.safetensors"
    others = {"preset": "fast", "n_ens": 3, "epochs": 9, "sigma": 1.0, "calibrate": False}
    others |= {"categorical_features": [1], "min_frequency": 5, "activation": "relu"}
    for changed in (*({"loss": other} for other in _LOSSES), {"quantiles": (0.2, 0.3)}, others):
        model.set_params(**changed)
        model.save(path)
        for one in (model, cnn.load(path), copy.deepcopy(model)):
            assert one.get_params() == model.get_params()
            assert bits(one.predict(TABLE)) == bits(found)
            assert bits(one.predict_interval(TABLE, 0.3)) == bits(interval)
            assert one.score(TABLE, t) == score
    model.set_params(loss="hinge")
    assert bits(model.predict(TABLE)) == bits(found)
    before = path.read_bytes()
    with refused(ValueError, "The 'loss' parameter of TabularRegressor must be"):
        model.save(path)
    assert path.read_bytes() == before


def test_parameters_of_a_classifier_that_change_after_fit(bits, tmp_path):
    model = classifier(calibrate=True).fit(TABLE, LABELS)
    found, path = model.predict_proba(TABLE), tmp_path / "model.safetensors"
    model.set_params(calibrate=False, label_smoothing=0.0, class_weight="balanced", n_ens=2)
    model.set_params(categorical_features=[0], min_frequency=0.5, activation="tanh")
    model.save(path)
    for one in (model, cnn.load(path), copy.deepcopy(model)):
        assert bits(one.predict_proba(TABLE)) == bits(found)


def test_after_a_fit_that_failed(bits):
    model = regressor().fit(TABLE, T)
    expected = model.predict(TABLE)
    for arguments in ((T + 1000, [-1.0] * N), (T + 1000, [0.0] * N)):
        with pytest.raises(ValueError, match="sample_weight"):
            model.fit(TABLE, *arguments)
        assert bits(model.predict(TABLE)) == bits(expected)


def test_threads_of_calls_side_by_side():
    model = regressor().fit(TABLE, T)
    before = cnn.get_num_threads()
    models = [copy.deepcopy(model).set_params(n_jobs=n) for n in (1, 2, 3, 4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: models[i % 4].predict(TABLE), range(60)))
    assert cnn.get_num_threads() == before
    # A number that is refused does not count as a call.
    with refused(ValueError, "n is 0, should be"):
        model.set_params(n_jobs=0).predict(TABLE)
    model.set_params(n_jobs=before % 3 + 1).predict(TABLE)
    assert cnn.get_num_threads() == before


def test_few_rows():
    assert np.isfinite(regressor().fit([[1.0], [2.0]], [3.0, 4.0]).predict([[1.0]])).all()
    assert regressor().fit([[5.0]] * 9, [3.0] * 9).predict([[5.0]]) == [3.0]


def test_no_hidden_layer():
    model = regressor(hidden_layer_sizes=(), epochs=100).fit(TABLE, T)
    assert model.score(TABLE, T) > 0.5


def test_several_targets():
    x, t = load_diabetes(return_X_y=True)
    both = np.column_stack([t, -t])
    found = regressor(epochs=40).fit(x, both).predict(x)
    assert found.shape == both.shape
    assert np.corrcoef(found.T)[0, 1] < -0.9


def test_predictions_are_within_the_range_of_the_targets():
    x = np.random.default_rng(0).normal(size=(100, 2))
    model = regressor(epochs=20).fit(x, x[:, 0])
    found = model.predict(x * 100)
    assert x[:, 0].min() <= found.min()
    assert found.max() <= x[:, 0].max()


def test_weights_of_classes_and_rows():
    x, y = load_breast_cancer(return_X_y=True)
    plain = classifier().fit(x, y).predict(x).mean()
    weighted = [
        classifier(class_weight={0: 30.0, 1: 1.0}).fit(x, y).predict(x).mean(),
        classifier().fit(x, y, np.where(y == 0, 30.0, 1.0)).predict(x).mean(),
    ]
    assert max(weighted) < plain
    balanced = classifier(class_weight="balanced").fit(x, y).predict_proba(x)
    n = np.bincount(y)
    given = classifier(class_weight=dict(enumerate(len(y) / (2 * n)))).fit(x, y).predict_proba(x)
    assert balanced.tobytes() == given.tobytes()
    # Rows without weight teach nothing.
    wrong, weight = y.copy(), np.ones(len(y))
    wrong[::2], weight[::2] = 1 - y[::2], 0.0
    assert classifier(epochs=20).fit(x, wrong, weight).score(x, y) > 0.9


@pytest.mark.parametrize("preset", ["default", "realmlp"])
def test_the_best_epoch_is_kept(preset):
    x, y = load_diabetes(return_X_y=True)
    a, b, c, d = train_test_split(x, y, random_state=0)
    errors, weights = [], []

    class Watch(cnn.Callback):
        def on_epoch_end(self, epoch, logs):
            weights.append([w.astype(np.float64) for w in self.model.get_weights()])
            net = copy.deepcopy(self.model)
            if preset == "default":
                shares = 0.2 * 0.8 ** np.arange(epoch)[::-1]
                shares[0] /= 0.2  # the first epoch has what is left
                net.set_weights(
                    [np.tensordot(shares, of, axes=1) for of in zip(*weights, strict=True)]
                )
            t = (d - c.mean()) / c.std()
            z = net.predict(Encoder("f", a).transform("f", b))[:, 0]
            low, high = (c.min() - c.mean()) / c.std(), (c.max() - c.mean()) / c.std()
            errors.append(np.mean((np.clip(z, low, high) - t) ** 2))

    model = regressor(preset=preset, epochs=30).fit(a, c, eval_set=(b, d), callbacks=[Watch()])
    assert len(errors) == 30
    assert model.best_epochs_ == [1 + int(np.argmin(errors))]
    found = np.mean((model.predict(b) - d) ** 2) / c.var()
    assert abs(found / min(errors) - 1) < 1e-5


@pytest.mark.parametrize("preset", ["default", "realmlp"])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_best_epoch_of_classifiers(preset, weighted):
    """It has the least Brier score, or the fewest wrong classes; of equal ones it is the last."""
    x, y = load_iris(return_X_y=True)
    a, b, c, d = train_test_split(x[:, :2], y, random_state=0)
    random = np.random.default_rng(0)
    weight = random.random(len(d)) if weighted else np.ones(len(d))
    of_class = np.array([1.0, 5.0, 0.5]) if weighted else np.ones(3)
    nets = []

    class Watch(cnn.Callback):
        def on_epoch_end(self, epoch, logs):
            nets.append([w.astype(np.float64) for w in self.model.get_weights()])

    model = classifier(
        preset=preset, epochs=25, class_weight=dict(enumerate(of_class)) if weighted else None
    ).fit(a, c, eval_set=(b, d, weight) if weighted else (b, d), callbacks=[Watch()])
    rows, net, means, errors = (
        Encoder("f", a).transform("f", b),
        copy.deepcopy(model.net_),
        None,
        [],
    )
    for weights in nets:
        if preset == "realmlp" or means is None:
            means = weights
        else:
            means = [0.8 * old + 0.2 * new for old, new in zip(means, weights, strict=True)]
        net.set_weights(means)
        p = net.predict(rows).astype(np.float64)
        each = p.argmax(axis=1) != d if preset == "realmlp" else ((p - np.eye(3)[d]) ** 2).sum(1)
        errors.append(np.average(each, weights=weight * of_class[d]))
    # Of wrong classes, several epochs have the same number.
    best = np.flatnonzero(np.array(errors) <= min(errors) * (1 + 1e-9))
    assert model.best_epochs_ == [1 + int(best[-1])]
    assert len(set(errors)) > 3


def test_early_stopping():
    x, y = load_diabetes(return_X_y=True)
    model = regressor(epochs=200, early_stopping=3).fit(x, y)
    assert model.n_iter_ == model.best_epochs_[0] + 3 < 200
    assert regressor(epochs=8).fit(x, y).n_iter_ == 8


def test_without_validation():
    x, y = load_diabetes(return_X_y=True)
    model = regressor(validation_fraction=0).fit(x, y)
    assert model.best_epochs_ == [5]


@pytest.fixture
def trained_rows(monkeypatch):
    """Return a list to which each training adds its number of rows."""
    counts = []
    fit = cnn.Sequential.fit

    def counted(net, x, *arguments, **keywords):
        counts.append(len(x))
        return fit(net, x, *arguments, **keywords)

    monkeypatch.setattr(cnn.Sequential, "fit", counted)
    return counts


@pytest.mark.parametrize(
    ("parameters", "rows", "trained"),
    [
        ({}, 200, 180),
        ({"calibrate": True}, 200, 160),
        ({"preset": "realmlp"}, 200, 160),
        ({"validation_fraction": 0.5, "calibrate": True}, 200, 100),
        ({}, 10_000, 9_000),
        ({}, 10_010, 9_010),
        ({"preset": "fast"}, 15_000, 14_000),
        ({"calibrate": True}, 15_000, 13_000),
        ({"preset": "realmlp"}, 15_000, 12_000),
        ({"validation_fraction": 0.1}, 15_000, 13_500),
    ],
)
def test_how_many_rows_are_trained_with(trained_rows, parameters, rows, trained):
    """All but a tenth and at most 1,000, twice as many if half of them are to calibrate with, a
    fifth as was published, or as many as are asked for."""
    x = np.linspace(0.0, 1.0, rows)[:, np.newaxis]
    regressor(**{"epochs": 1, "hidden_layer_sizes": 4, **parameters}).fit(x, x[:, 0])
    assert trained_rows == [trained]


def test_a_classifier_holds_out_a_tenth_of_any_table(trained_rows):
    x = np.linspace(0.0, 1.0, 15_000)[:, np.newaxis]
    classifier(epochs=1, hidden_layer_sizes=4).fit(x, x[:, 0] > 0.5)
    assert trained_rows == [13_500]


def test_rows_of_weight_0_are_not_held_out():
    """Else the only row to validate with would often be one of them."""
    x = np.arange(12.0)[:, np.newaxis]
    weight = np.array([1.0] * 3 + [0.0] * 9)
    for seed in range(10):
        model = regressor(epochs=2, random_state=seed).fit(x, x[:, 0], weight)
        assert np.isfinite(model.predict(x)).all()


def test_same_bits(bits, threads, isa):
    x, y = load_breast_cancer(return_X_y=True)

    def outputs():
        one = classifier(calibrate=True, n_jobs=threads).fit(x, y).predict_proba(x[:50])
        two = regressor(calibrate=True, n_jobs=threads).fit(x, y).predict_interval(x[:50])
        return bits(one, two)

    found = outputs()
    _core.select_isa("scalar")
    threads = 1
    assert found == outputs()


def test_copies(bits):
    model = classifier(n_ens=2).fit(TABLE, LABELS)
    expected = bits(model.predict_proba(TABLE))
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert bits(other.predict_proba(TABLE)) == expected
    assert not hasattr(clone(model), "nets_")


def test_permutation_importance():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(TABLE)
    model = regressor(epochs=60).fit(frame, T)
    assert model.feature_names_in_.tolist() == list(TABLE)
    found = permutation_importance(model, frame, T, n_repeats=3, random_state=0).importances_mean
    assert np.argmax(found) == 0
    assert found[-1] == 0


# ---- Calibration ---------------------------------------------------------------------------------


def test_temperature():
    """The cross-entropy is least at the temperature that is found."""
    rng = np.random.default_rng(3)
    logits = [3 * rng.normal(size=(500, 4)), 3 * rng.normal(size=(500, 4))]
    p = _core.softmax(logits[0] / 2.5)
    classes = (rng.random(500)[:, None] > p.cumsum(1)).sum(1)
    weight = rng.random(500)

    def cross_entropy(members, temperature, weight):
        mean = np.mean([_core.softmax(z / temperature) for z in members], axis=0)
        return -np.average(np.log(mean[np.arange(500), classes]), weights=weight)

    for members in (logits[:1], logits):
        for w in (None, weight):
            found = temperature_of(members, classes, w)
            at = cross_entropy(members, found, w)
            assert at < cross_entropy(members, found * 1.01, w)
            assert at < cross_entropy(members, found / 1.01, w)
    assert abs(temperature_of(logits[:1], classes, None) - 2.5) < 0.5


def test_calibrated_probabilities():
    """Labels of which a part is wrong, learned too well: calibrated ones are less sure."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=(1600, 10))
    y = (x[:, 0] > 0) ^ (rng.random(1600) < 0.25)
    settings = {"hidden_layer_sizes": (256, 256), "epochs": 60, "dropout": 0.0}
    settings |= {"label_smoothing": 0.0, "lr": 0.1, "weight_decay": 0.0}
    held_out = (x[400:800], y[400:800])
    losses = {}
    for calibrate in (False, True):
        model = classifier(calibrate=calibrate, **settings)
        model.fit(x[:400], y[:400], eval_set=held_out)
        losses[calibrate] = log_loss(y[800:], model.predict_proba(x[800:]))
    assert model.temperature_ > 1.2
    assert losses[True] < losses[False]


@pytest.mark.parametrize("loss", ["squared_error", "quantile"])
def test_intervals_have_their_coverage(loss):
    """Of 40 splits, the mean coverage is 1 - alpha to 1 - alpha + 1 / (n + 1), but for chance."""
    x, y = load_diabetes(return_X_y=True)
    alpha, covered, tests = 0.2, 0, 0
    for seed in range(40):
        a, b, c, d = train_test_split(x, y, test_size=0.3, random_state=seed)
        model = regressor(calibrate=True, validation_fraction=0.4, random_state=seed, loss=loss)
        low, high = model.fit(a, c).predict_interval(b, alpha).T
        covered += np.count_nonzero((low <= d) & (d <= high))
        tests += len(d)
    calibrating = round(0.2 * 309)
    # A split's coverage has the deviation of a beta distribution; the splits share rows, so that
    # their mean has that of a few.
    deviation = math.sqrt(alpha * (1 - alpha) / (calibrating + 2) / 4)
    assert 1 - alpha - 3 * deviation < covered / tests
    assert covered / tests < 1 - alpha + 1 / (calibrating + 1) + 3 * deviation


# ---- Refused -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"a": [1.0, math.inf, 2.0]}, "row 1, column 'a' is inf, should be finite or missing"),
        ({"a": [1.0, 2.0, 3.0], "b": [1.0, 2.0]}, "column 'b' has 2 values, but column 'a' has 3"),
        ({}, "the table has no columns"),
        ({"a": [[1], [2], [3]]}, "row 0, column 'a' is of type list"),
        ([1.0, 2.0, 3.0], "X has 1 dimensions, should be a table of 2"),
        ({"a": [1.0, 2.0, 3.0, 4.0]}, "X has 4 rows, but y has 3"),
        ({"a": [1.0]}, "X has 1 rows, but y has 3"),
    ],
)
def test_refused_tables(table, message):
    with pytest.raises((TypeError, ValueError)) as caught:
        regressor().fit(table, [1.0, 2.0, 3.0])
    assert message in str(caught.value)
    assert "TabularRegressor.fit" in str(caught.value)


@pytest.mark.filterwarnings("ignore:X has feature names")
def test_refused_columns():
    pandas = pytest.importorskip("pandas")
    twice = pandas.DataFrame([[1.0, 2.0]] * 9, columns=["a", "a"])
    with refused(ValueError, "column 'a' is there twice, names should differ"):
        regressor().fit(twice, T[:9])
    frame = pandas.DataFrame(TABLE)
    model = regressor().fit(frame, T)
    for changes, error, message in (
        ({"number": ["x"] * N}, ValueError, "row 0, column 'number' is 'x', should be a number"),
        ({"number": [math.inf] * N}, ValueError, "row 0, column 'number' is inf, should be finite"),
        ({"day": ["x"] * N}, ValueError, "column 'day' is of type object, should be dates"),
    ):
        with refused(error, f"TabularRegressor.predict: {message}"):
            model.predict(frame.assign(**changes))
    with refused(ValueError, "feature names should match those that were passed during fit"):
        model.predict(frame.rename(columns={"number": "digits"}))
    model = regressor().fit(TABLE, T)
    with refused(ValueError, "column 'number' is missing, the table has digits, count"):
        model.predict(frame.rename(columns={"number": "digits"}))
    with refused(ValueError, "X has 2 features, but TabularRegressor is expecting 8 features"):
        model.predict(np.ones((3, 2)))
    with refused(ValueError, "column 'word' has texts such as 'red', but"):
        regressor(categorical_features=["town"]).fit(TABLE, T)
    with refused(ValueError, "categorical_features has 'towns', the table has"):
        regressor(categorical_features=["towns"]).fit(TABLE, T)
    with refused(ValueError, "categorical_features has 9, but there are 8 columns"):
        regressor(categorical_features=[9]).fit(TABLE, T)
    with refused(ValueError, "The 'categorical_features' parameter of TabularRegressor must be"):
        regressor(categorical_features="all").fit(TABLE, T)


@pytest.mark.parametrize(
    ("settings", "fit", "error", "message"),
    [
        ({"preset": "slow"}, {}, ValueError, "The 'preset' parameter of TabularClassifier must be"),
        ({"n_ens": 0}, {}, ValueError, "The 'n_ens' parameter"),
        ({"dropout": 1.0}, {}, ValueError, "The 'dropout' parameter"),
        ({"activation": "softmax"}, {}, ValueError, "The 'activation' parameter"),
        ({"min_frequency": 0}, {}, ValueError, "The 'min_frequency' parameter"),
        ({"min_frequency": 0.0}, {}, ValueError, "The 'min_frequency' parameter"),
        ({"min_frequency": 1.0}, {}, ValueError, "The 'min_frequency' parameter"),
        ({"min_frequency": math.nan}, {}, ValueError, "The 'min_frequency' parameter"),
        ({"min_frequency": "2"}, {}, ValueError, "The 'min_frequency' parameter"),
        ({"hidden_layer_sizes": (4, 0)}, {}, ValueError, "hidden_layer_sizes[1] is 0, should be"),
        ({"calibrate": True, "validation_fraction": 0}, {}, ValueError, "calibrate is True, but"),
        ({}, {"eval_set": 3}, TypeError, "eval_set is of type int, should be a tuple (X, y)"),
        (
            {},
            {"eval_set": (TABLE, ["?"] * N)},
            ValueError,
            "in row 0, should be one of the classes",
        ),
        ({}, {"eval_set": ({k: c[:0] for k, c in TABLE.items()}, [])}, ValueError, "0 sample(s)"),
        ({}, {"sample_weight": [1.0] + [0.0] * (N - 1)}, ValueError, "sample_weight is 0 in all"),
        ({}, {"sample_weight": [-1.0] * N}, ValueError, "sample_weight has -1"),
        ({}, {"sample_weight": [0.0] * N}, ValueError, "sample_weight is 0 in all rows"),
        (
            {"class_weight": dict.fromkeys(set(LABELS), 0.0)},
            {},
            ValueError,
            "which leaves no weight to the rows to train with, should be more than 0 for a class",
        ),
        ({"class_weight": "equal"}, {}, ValueError, "The 'class_weight' parameter"),
        (
            {"early_stopping": True, "validation_fraction": 0},
            {},
            ValueError,
            "TabularClassifier.fit: early_stopping is True, but no rows are held out; should have",
        ),
        (
            {"calibrate": True},
            {"eval_set": (TABLE, LABELS, [0.0] * (N - 1) + [1.0])},
            ValueError,
            "TabularClassifier.fit: sample_weight is 0 in all rows to ",
        ),
    ],
)
def test_refused_settings(settings, fit, error, message):
    with refused(error, message):
        classifier(**settings).fit(TABLE, LABELS, **fit)


def test_refused_targets():
    with refused(ValueError, "y has 1 class, "):
        classifier().fit({"a": [1.0, 2.0]}, ["x", "x"])
    with refused(ValueError, "X has 1 sample, should have at least 2"):
        regressor().fit({"a": [1.0]}, [2.0])
    with refused(ValueError, "requires y to be passed, but the target y is None"):
        regressor().fit({"a": [1.0, 2.0]}, None)
    with refused(ValueError, "quantiles[1] is 0.2, should be more than 0.5"):
        regressor(loss="quantile", quantiles=[0.5, 0.2]).fit({"a": [1.0, 2.0]}, [1.0, 2.0])
    with refused(ValueError, "y has several columns, should have one for quantiles"):
        regressor(loss="quantile").fit({"a": [1.0, 2.0]}, np.ones((2, 2)))
    for y in ([1e306, -1e306], [1e200, 1.0]):
        with refused(ValueError, "y has numbers that are too large to be standardised"):
            regressor().fit({"a": [1.0, 2.0]}, y)
    with refused(ValueError, "y has 2 columns, should have 1"):
        regressor().fit(TABLE, T, eval_set=(TABLE, np.ones((N, 2))))
    with refused(ValueError, "y has -2 in row 1, should be 0 or more for poisson"):
        regressor(loss="poisson").fit({"a": [1.0, 2.0]}, [1.0, -2.0])
    model = regressor().fit({"a": [1.0, 2.0] * 20}, [1.0, 2.0] * 20)
    with refused(ValueError, "calibrate was False in fit, should be True"):
        model.predict_interval({"a": [1.0]})
    model = regressor(calibrate=True).fit({"a": [1.0, 2.0] * 20}, [1.0, 2.0] * 20)
    with refused(ValueError, "alpha is 0.1, should be at least 0.2, as 4 rows were held out"):
        model.predict_interval({"a": [1.0]})
    with refused(ValueError, "alpha is 1, should be"):
        model.predict_interval({"a": [1.0]}, 1.0)
    model = regressor(calibrate=True).fit({"a": [1.0, 2.0] * 20}, np.ones((40, 2)))
    with refused(ValueError, "y had several columns, should have had one"):
        model.predict_interval({"a": [1.0]})


def test_a_class_of_one_row_is_trained_with():
    y = ["a"] * 20 + ["b"] * 20 + ["c"]
    model = classifier(epochs=40).fit({"a": [1.0] * 20 + [2.0] * 20 + [9.0]}, y)
    assert model.classes_.tolist() == ["a", "b", "c"]
    assert model.predict({"a": [1.0, 2.0, 9.0]}).tolist() == ["a", "b", "c"]


def test_a_constant_column_is_left_out(bits):
    x = np.random.default_rng(0).normal(size=(40, 1))
    y = x[:, 0]
    model = regressor().fit(np.hstack([x, np.full((40, 1), 3.0)]), y)
    assert model.net_.layers[0].columns == (Periodic(), Ignored())
    moved = model.predict(np.hstack([x, np.full((40, 1), 7.0)]))
    assert bits(moved) == bits(model.predict(np.hstack([x, np.full((40, 1), 3.0)])))
    holes = np.where(np.arange(40) % 5, 3.0, np.nan)[:, None]
    assert regressor().fit(np.hstack([x, holes]), y).net_.layers[0].columns[1] == Number(True)
