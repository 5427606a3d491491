"""Messages of the estimators: filters for scikit-learn catch warnings, names are parameters."""

import re
import warnings

import numpy as np
import pytest
from estimators import LABELS, T, X, small
from refused import refused
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import cnn
from cnn.sklearn import MLPRegressor


def callback_that_interrupts():
    def interrupt(epoch, logs):
        raise KeyboardInterrupt

    return cnn.LambdaCallback(on_epoch_end=interrupt)


# What warns, and the category and the first words of scikit-learn's own warning.
CASES = {
    **{
        solver: (
            lambda solver=solver: small(solver=solver).fit(X, LABELS),
            ConvergenceWarning,
            "lbfgs failed to converge" if solver == "lbfgs" else "Stochastic Optimizer: Maximum",
        )
        for solver in ("adam", "sgd", "lbfgs")
    },
    "regressor": (
        lambda: small(MLPRegressor).fit(X, T),
        ConvergenceWarning,
        "Stochastic Optimizer: Maximum",
    ),
    "pipeline": (
        lambda: make_pipeline(StandardScaler(), small()).fit(X, LABELS),
        ConvergenceWarning,
        "Stochastic Optimizer: Maximum",
    ),
    "search": (
        lambda: cross_val_score(small(), X, LABELS, cv=2, error_score="raise"),
        ConvergenceWarning,
        "Stochastic Optimizer: Maximum",
    ),
    "batch_size": (
        lambda: small(batch_size=61).partial_fit(X, LABELS, classes=[0, 1, 2]),
        UserWarning,
        "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped",
    ),
    "column": (
        lambda: small().partial_fit(X, LABELS[:, None], classes=[0, 1, 2]),
        DataConversionWarning,
        "A column-vector y was passed",
    ),
    "column of a regressor": (
        lambda: small(MLPRegressor).partial_fit(X, T[:, None]),
        DataConversionWarning,
        "A column-vector y was passed",
    ),
    "many classes": (
        lambda: small().partial_fit(X, np.arange(60), classes=np.arange(60)),
        UserWarning,
        "The number of unique classes is greater than 50%",
    ),
    "Ctrl-C": (
        lambda: small().fit(X, LABELS, callbacks=[callback_that_interrupts()]),
        UserWarning,
        "Training interrupted by user",
    ),
}
each_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


@each_case
def test_warnings_are_at_the_line_of_the_user(case):
    call, category, words = case
    with pytest.warns(category, match=re.escape(words)) as caught:
        call()
    assert {warning.filename for warning in caught} == {__file__}
    assert {warning.category for warning in caught} == {category}


@each_case
@pytest.mark.parametrize("by", ["category", "module", "regex", "whole module", "message"])
def test_filters_for_scikit_learn(case, by):
    call, category, words = case
    options = {
        "category": {"category": category},
        "module": {"module": "sklearn"},
        "regex": {"module": r"sklearn\..*"},
        "whole module": {"module": r"sklearn\.neural_network", "category": category},
        "message": {"message": re.escape(words)},
    }[by]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(category):
            call()
        warnings.filterwarnings("ignore", **options)
        call()


def test_a_step_is_told_at_the_line_of_the_user():
    for call in (
        lambda: small(activation="step").partial_fit(X, LABELS, classes=[0, 1, 2]),
        lambda: cnn.mlp([4, 3, 1], "step", "identity", rng=0).fit(X, T),
    ):
        with pytest.warns(UserWarning, match="the derivative of step") as caught:
            call()
        assert [warning.filename for warning in caught] == [__file__]


# ---- Names of parameters -----------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize("where", ["fit", "partial_fit"])
def test_divergence_names_parameters_of_estimators(solver, early, where):
    if early and where == "partial_fit":
        pytest.skip("partial_fit has no early stopping")
    x, t = X.astype(np.float32), 1e30 * T
    model = small(MLPRegressor, solver=solver, early_stopping=early, learning_rate_init=1e9)
    with refused(
        FloatingPointError, f"{where}: the loss became NaN or infinite in epoch"
    ) as caught:
        getattr(model, where)(x, t)
    text = str(caught.value)
    assert "A smaller learning_rate_init may help" in text
    assert f"as they were before {where}" in text
    assert not re.search(r"\b(lr|clip_norm|epochs|x|t)\b", text)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": 1e308}, "fit: alpha is 1e+308, should be at most 3.4e+38, as the network is of"),
        ({"learning_rate_init": 1e308}, "fit: learning_rate_init is 1e+308, should be at most"),
        ({"hidden_layer_sizes": (2**62,)}, "fit: hidden_layer_sizes[0] is 4611686018427387904, sh"),
    ],
)
def test_numbers_that_are_too_large_are_told_by_name(options, message):
    model = small(**options)
    with refused(ValueError, message):
        model.fit(X.astype(np.float32), LABELS)
    assert not hasattr(model, "net_")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_scores_that_overflow_warn_of_nothing():
    data = (X, np.full(60, 1e200))
    model = small(MLPRegressor, early_stopping=True).fit(X, T, validation_data=data)
    assert len(model.validation_scores_) == 5
