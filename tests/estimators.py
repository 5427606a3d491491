"""What the tests of cnn.sklearn share: samples, kinds of problems, and small estimators."""

import itertools

import numpy as np
import pytest
from sklearn import neural_network

from cnn.sklearn import MLPClassifier, MLPRegressor

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4))
LABELS = (X @ RNG.normal(size=(4, 3))).argmax(axis=1)
BINARY = LABELS > 0
INDICATOR = (X[:, :3] > 0).astype(int)
T = X[:, 0] - X[:, 1] ** 2
T2 = np.column_stack([T, X[:, 2]])
COUNTS = RNG.poisson(np.exp(X[:, 0]))

# Each kind of problem: our class, scikit-learn's, the settings, X and y.
CLASSIFIERS = (MLPClassifier, neural_network.MLPClassifier)
REGRESSORS = (MLPRegressor, neural_network.MLPRegressor)
PROBLEMS = {
    "binary": (*CLASSIFIERS, {}, X, BINARY),
    "multiclass": (*CLASSIFIERS, {}, X, LABELS),
    "multilabel": (*CLASSIFIERS, {}, X, INDICATOR),
    "regression": (*REGRESSORS, {}, X, T),
    "two outputs": (*REGRESSORS, {}, X, T2),
    "counts": (*REGRESSORS, {"loss": "poisson"}, X, COUNTS),
}

each_problem = pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)


def peer(kind, **settings):
    """Return an estimator of scikit-learn's, or skip where it is too old for the settings."""
    if not settings.keys() <= kind().get_params().keys():
        pytest.skip("this scikit-learn has no Poisson loss, which came with 1.7")
    return kind(**settings)


def small(kind=MLPClassifier, **options):
    return kind(**({"hidden_layer_sizes": (8,), "max_iter": 5, "random_state": 0} | options))


def predictions(model, x):
    return (model.predict_proba if hasattr(model, "predict_proba") else model.predict)(x)


def parameters(model):
    return [*model.coefs_, *model.intercepts_]


def same(one, two):
    pairs = itertools.zip_longest(parameters(one), parameters(two))
    return all(a.tobytes() == b.tobytes() for a, b in pairs)
