"""Training with cnn.sklearn: what each parameter does, weights of samples, epochs and their end."""

import warnings

import numpy as np
import pytest
from estimators import (
    BINARY,
    CLASSIFIERS,
    COUNTS,
    INDICATOR,
    LABELS,
    REGRESSORS,
    T,
    X,
    each_problem,
    parameters,
    same,
    small,
)
from refused import refused
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils.class_weight import compute_sample_weight

import cnn
from cnn import _core
from cnn._training import loop, samples
from cnn.sklearn import MLPClassifier, MLPRegressor

# What stops before it has converged is what most of these tests want, for it takes less time.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# ---- Parameters --------------------------------------------------------------------------------

SGD = {"solver": "sgd", "learning_rate_init": 0.01}
ENDS = {"max_iter": 200, "tol": 0.01, "n_iter_no_change": 3, "learning_rate_init": 0.03}
CHANGES = {
    "hidden_layer_sizes": ({}, (9,)),
    "activation": ({}, "tanh"),
    "solver": ({}, "sgd"),
    "alpha": ({}, 1.0),
    "batch_size": ({}, 7),
    "learning_rate": (SGD, "invscaling"),
    "learning_rate_init": ({}, 0.01),
    "power_t": (SGD | {"learning_rate": "invscaling"}, 0.1),
    "max_iter": ({}, 6),
    "shuffle": ({"batch_size": 7}, False),
    "random_state": ({}, 1),
    "tol": (ENDS, 0.5),
    "momentum": (SGD, 0.5),
    "nesterovs_momentum": (SGD, False),
    "early_stopping": ({}, True),
    "validation_fraction": ({"early_stopping": True}, 0.3),
    "beta_1": ({}, 0.5),
    "beta_2": ({}, 0.9),
    "epsilon": ({}, 1e-3),
    "n_iter_no_change": (ENDS, 1),
    "max_fun": ({"solver": "lbfgs", "max_iter": 50}, 2),
    "dropout": ({}, 0.5),
    "class_weight": ({}, {0: 5.0}),
    "loss": ({}, "poisson"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_every_parameter_does_something(name):
    options, value = CHANGES[name]
    kinds = {"class_weight": [MLPClassifier], "loss": [MLPRegressor]}
    for kind in kinds.get(name, [MLPClassifier, MLPRegressor]):
        y = LABELS if kind is MLPClassifier else COUNTS
        one = small(kind, **options).fit(X, y)
        assert not same(one, small(kind, **(options | {name: value})).fit(X, y))
        assert same(one, small(kind, **options).fit(X, y))  # a parameter alone makes a difference


def test_all_parameters_are_tested_and_scikit_learns():
    ours = set(MLPClassifier().get_params()) | set(MLPRegressor().get_params())
    assert set(CHANGES) == ours - {"warm_start", "verbose"}  # which have tests of their own
    for kind, other in (CLASSIFIERS, REGRESSORS):
        assert other().get_params().items() <= kind().get_params().items()
        assert set(kind().get_params()) == set(kind._parameter_constraints)


def test_verbose(capsys):
    small(max_iter=2).fit(X, LABELS)
    assert capsys.readouterr().out == ""
    model = small(verbose=True, early_stopping=True, max_iter=2).fit(X, LABELS)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"Iteration 1, loss = {model.loss_curve_[0]:.8f}"
    assert lines[1] == f"Validation score: {model.validation_scores_[0]:f}"
    small(verbose=True, solver="lbfgs", max_iter=2).fit(X, LABELS)
    assert capsys.readouterr().out.startswith("Iteration 1, loss = ")
    options = {"max_iter": 300, "tol": 1.0, "n_iter_no_change": 1, "verbose": True}
    small(**options).fit(X, LABELS)
    assert "tol=1.000000 for 1 consecutive epochs. Stopping." in capsys.readouterr().out
    small(**options, solver="sgd", learning_rate="adaptive").fit(X, LABELS)
    out = capsys.readouterr().out
    assert "Setting learning rate to 0.000200" in out
    assert "Learning rate too small. Stopping." in out


def test_warm_start():
    """Two times 5 epochs are 10, where the optimizer has no state."""
    options = SGD | {"momentum": 0.0, "batch_size": 7, "tol": 0.0}
    model = small(**options, warm_start=True).fit(X, LABELS)
    first = model.net_
    model.fit(X, LABELS)
    assert model.net_ is first
    assert same(model, small(**options | {"max_iter": 10}).fit(X, LABELS))
    assert (model.n_iter_, model.t_, len(model.loss_curve_)) == (5, 600, 10)
    assert same(small(**options).fit(X, LABELS).fit(X, LABELS), small(**options).fit(X, LABELS))


def test_activations_of_each_layer():
    model = small(hidden_layer_sizes=(8, 7), activation=["gelu", "logistic"]).fit(X, LABELS)
    assert [layer.activation for layer in model.net_] == ["gelu", "sigmoid", "softmax"]
    for name in ("leaky_relu", "elu", "softplus", "silu", "gelu", "sigmoid"):
        model = small(activation=name, max_iter=300, learning_rate_init=0.01).fit(X, BINARY)
        assert model.score(X, BINARY) > 0.9


def test_no_hidden_layer_is_a_linear_model():
    model = small(hidden_layer_sizes=(), solver="lbfgs", max_iter=200).fit(X, LABELS)
    assert model.n_layers_ == 2
    assert model.score(X, LABELS) > 0.95


def test_dropout_layers():
    model = small(hidden_layer_sizes=(8, 7), dropout=0.25).fit(X, LABELS)
    assert [layer.rate for layer in model.net_ if isinstance(layer, cnn.Dropout)] == [0.25, 0.25]


# ---- Weights -----------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_class_weights_are_sample_weights(solver):
    by_class = {0: 1.0, 1: 3.0, 2: 0.5}
    for weights in (by_class, "balanced"):
        expected = compute_sample_weight(weights, LABELS)
        one = small(solver=solver, class_weight=weights).fit(X, LABELS)
        two = small(solver=solver).fit(X, LABELS, sample_weight=expected)
        assert same(one, two)
    labelled = small(class_weight=by_class).fit(X, LABELS, sample_weight=expected)
    twice = small().fit(X, LABELS, sample_weight=expected * compute_sample_weight(by_class, LABELS))
    assert same(labelled, twice)


def test_class_weights_of_several_labels():
    weights = [{0: 1.0, 1: 2.0}] * 3
    one = small(class_weight=weights).fit(X, INDICATOR)
    two = small().fit(X, INDICATOR, sample_weight=compute_sample_weight(weights, INDICATOR))
    assert same(one, two)


def test_class_weights_move_predictions():
    y = X[:, 0] + np.random.default_rng(1).normal(size=60) > 1.5
    options = {"max_iter": 300, "learning_rate_init": 0.01, "alpha": 1.0}
    plain, balanced = (
        small(**options, class_weight=weights).fit(X, y) for weights in (None, "balanced")
    )
    assert balanced.predict(X).sum() > plain.predict(X).sum()


def test_class_weights_do_not_count_in_validation():
    """All scores are shares of 6 rows, whatever the classes of those that are right."""
    model = small(class_weight={0: 10.0, 1: 0.3}, early_stopping=True).fit(X, LABELS)
    correct = 6 * np.array(model.validation_scores_)
    np.testing.assert_allclose(correct, correct.round(), atol=1e-9)


@each_problem
def test_sample_weights_count_in_fit_and_score(problem):
    ours, _, options, x, y = problem
    weights = np.arange(60) % 4.0
    settings = {"max_iter": 30, "activation": "tanh", "tol": 0.0, **options}
    weighted = small(ours, **settings).fit(x, y, sample_weight=weights)
    rows = np.repeat(np.arange(60), weights.astype(int))
    repeated = small(ours, **settings).fit(x[rows], y[rows])
    for a, b in zip(parameters(weighted), parameters(repeated), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-9)  # one batch: only the order of sums differs
    assert weighted.score(x, y, weights) == pytest.approx(weighted.score(x[rows], y[rows]))
    assert weighted.score(x, y, weights) != weighted.score(x, y)


# ---- Epochs ------------------------------------------------------------------------------------


@each_problem
def test_partial_fit_is_an_epoch(problem):
    ours, _, options, x, y = problem
    classes = {"classes": np.unique(LABELS)} if y is LABELS else {}
    if ours is MLPClassifier and y is not LABELS:
        classes = {"classes": np.arange(3) if y is INDICATOR else np.unique(y)}
    model = small(ours, **options, batch_size=7)
    for i in range(5):
        assert model.partial_fit(x, y, **(classes if i == 0 else {})) is model
        assert model.n_iter_ == 1
    assert same(model, small(ours, **options, batch_size=7).fit(x, y))
    assert (model.t_, len(model.loss_curve_)) == (300, 5)


def test_partial_fit_with_few_of_the_classes():
    model = small(class_weight={2: 4.0})
    only = LABELS < 2
    model.partial_fit(X[only], LABELS[only], classes=[0, 1, 2])
    assert model.predict_proba(X).shape == (60, 3)
    model.partial_fit(X, LABELS, np.ones(60))
    with refused(ValueError, "is not the same as on last call"):
        model.partial_fit(X, LABELS, classes=[0, 1])


def test_no_partial_fit_with_lbfgs():
    assert not hasattr(MLPClassifier(solver="lbfgs"), "partial_fit")
    assert not hasattr(MLPRegressor(solver="lbfgs"), "partial_fit")


@each_problem
def test_early_stopping_keeps_the_best(problem):
    ours, _, options, x, y = problem
    model = small(ours, **options, early_stopping=True, max_iter=100, learning_rate_init=0.03)
    model.fit(x, y)
    assert len(model.validation_scores_) == model.n_iter_ == len(model.loss_curve_)
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert model.best_loss_ is None
    stratify = y if y is BINARY else None
    state = np.random.RandomState(0)
    for coef in parameters(model)[: model.n_layers_ - 1]:  # the draws that come before the split
        state.uniform(size=coef.size + coef.shape[1])
    _, x_val, _, y_val = train_test_split(
        x, y, test_size=0.1, random_state=state, stratify=stratify
    )
    assert model.score(x_val, y_val) == pytest.approx(model.best_validation_score_)


@each_problem
def test_validation_data(problem):
    ours, _, options, x, y = problem
    weights = np.arange(20.0)
    stop = cnn.EarlyStopping("val_loss", patience=1000)
    for early in (False, True):
        model = small(ours, **options, early_stopping=early, tol=0.0)
        data = (x[40:], y[40:], weights)
        model.fit(x[:40], y[:40], validation_data=data, callbacks=[stop])
        assert len(model.validation_scores_) == 5
        assert model.t_ == 200  # no samples are set aside
        if not early:
            plain = small(ours, **options, tol=0.0).fit(x[:40], y[:40])
            assert same(model, plain)
            assert plain.validation_scores_ is None
            score = model.score(x[40:], y[40:], weights)
            assert model.validation_scores_[-1] == pytest.approx(score)
        assert stop.best_epoch > 0


def test_scores_of_outputs_that_overflow():
    """They are no improvement, so that the weights at the beginning are the best ones."""
    data = (1e6 * X, COUNTS)
    model = small(MLPRegressor, loss="poisson", early_stopping=True)
    model.fit(X, COUNTS, validation_data=data)
    assert np.isnan(model.validation_scores_).all()
    one = small(MLPRegressor, loss="poisson", learning_rate_init=1e-100).fit(X, COUNTS)
    assert same(model, one)


def test_the_loss_of_a_validation_set_is_for_callbacks(monkeypatch):
    """The score, too, goes through the set: there is no second pass where nobody asks for it."""

    def evaluated(*_, **__):
        raise NotImplementedError

    monkeypatch.setattr(loop, "evaluated", evaluated)
    small(early_stopping=True).fit(X, LABELS)
    with pytest.raises(NotImplementedError):
        small(early_stopping=True).fit(X, LABELS, callbacks=[cnn.Callback()])


def test_callbacks_see_and_end_training():
    seen = []

    def look(epoch, logs):
        seen.append((epoch, model.n_iter_, round(logs["loss"] - model.loss_, 12)))

    class End(cnn.Callback):
        def on_epoch_end(self, epoch, logs):
            self.model.stop_training = epoch == 3

    model = small()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # who ends training need not be told that it ended
        model.fit(X, LABELS, callbacks=[cnn.LambdaCallback(on_epoch_end=look), End()])
    assert seen == [(1, 1, 0.0), (2, 2, 0.0), (3, 3, 0.0)]
    assert small().fit(X, LABELS, callbacks=End()).n_iter_ == 3


def test_ctrl_c_keeps_what_was_learned():
    class Interrupt(cnn.Callback):
        def on_epoch_end(self, epoch, logs):
            if epoch == 2:
                raise KeyboardInterrupt

    with pytest.warns(UserWarning, match="Training interrupted by user") as caught:
        model = small().fit(X, LABELS, callbacks=[Interrupt()])
    assert caught[0].filename == __file__
    assert model.n_iter_ == 2
    assert same(model, small(max_iter=2).fit(X, LABELS))


def test_ctrl_c_in_a_line_search_keeps_the_last_iteration(monkeypatch, dtype):
    passes = 0
    slices = samples.Samples.slices

    def interrupted(self, network):
        nonlocal passes
        passes += 1
        if passes == 8:
            raise KeyboardInterrupt
        return slices(self, network)

    x = X.astype(dtype)
    model = small(solver="lbfgs", max_iter=20)
    with monkeypatch.context() as patched:
        patched.setattr(samples.Samples, "slices", interrupted)
        with pytest.raises(KeyboardInterrupt):
            model.fit(x, LABELS)
    assert 0 < model.n_iter_ < 8
    assert same(model, small(solver="lbfgs", max_iter=model.n_iter_).fit(x, LABELS))


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_warns_where_training_has_not_converged(solver):
    with pytest.warns(ConvergenceWarning, match="converge") as caught:
        small(solver=solver).fit(X, LABELS)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        small(solver=solver, max_iter=2000, alpha=1.0, tol=0.01).fit(X, LABELS)
        if solver != "lbfgs":
            small(solver=solver, max_iter=1).partial_fit(X, LABELS, classes=[0, 1, 2])


def test_same_bits_everywhere(isa, threads):
    """As with the portable kernels on one thread."""
    options = {"batch_size": 20, "dropout": 0.2, "early_stopping": True, "alpha": 0.1}
    model = small(**options).fit(X, LABELS)
    _core.select_isa("scalar")
    cnn.set_num_threads(1)
    assert same(model, small(**options).fit(X, LABELS))


def test_divergence_of_lbfgs_is_told():
    model = small(MLPRegressor, solver="lbfgs", activation="identity")
    with refused(FloatingPointError, "the loss became NaN or infinite with solver 'lbfgs'"):
        model.fit(1e200 * X, 1e200 * T)
    assert all(np.isfinite(p).all() for p in parameters(model))


def test_divergence_is_told():
    model = small(MLPRegressor, solver="sgd", learning_rate_init=1e9, activation="identity")
    with refused(FloatingPointError, "became NaN or infinite in epoch") as caught:
        model.fit(1e9 * X, T)
    assert "A smaller learning_rate_init may help" in str(caught.value)
    assert all(np.isfinite(p).all() for p in parameters(model))
