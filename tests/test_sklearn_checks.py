"""cnn.sklearn among scikit-learn's own tools: its checks, copies, searches, processes."""

import copy
import pickle
import subprocess
import sys

import joblib
import numpy as np
import pytest
from estimators import LABELS, X, same, small
from marks import slow
from refused import refused
from sklearn import config_context, datasets
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import cnn
from cnn.sklearn import MLPClassifier, MLPRegressor

# What stops before it has converged is what most of these tests want, for it takes less time.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks([MLPClassifier(), MLPRegressor(), MLPRegressor(solver="sgd")])
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)


# L-BFGS takes many iterations, so that these take longer than all others together.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks([MLPClassifier(solver="lbfgs", alpha=1.0, class_weight="balanced")])
def test_checks_of_scikit_learn_with_lbfgs(estimator, check):
    check(estimator)


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(
    [MLPClassifier([8], solver="lbfgs", alpha=1.0, class_weight="balanced", max_iter=40)]
)
def test_checks_of_scikit_learn_with_few_steps_of_lbfgs(estimator, check):
    check(estimator)


# ---- Copies, searches, processes ---------------------------------------------------------------


def test_parameters_are_not_checked_where_scikit_learn_is_told_so():
    with refused(ValueError, "The 'max_fun' parameter of MLPClassifier must be an int"):
        small(max_fun=0).fit(X, LABELS)
    with config_context(skip_parameter_validation=True):
        small(max_fun=0).fit(X, LABELS)


def test_clone_and_copies():
    model = small(alpha=0.5).fit(X, LABELS)
    unfitted = clone(model)
    assert unfitted.get_params() == model.get_params()
    assert not hasattr(unfitted, "coefs_")
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert twin.net_ is not model.net_
        np.testing.assert_array_equal(twin.predict_proba(X), model.predict_proba(X))


def test_a_pickle_goes_on_training():
    model = small(batch_size=7).fit(X, LABELS)
    twin = pickle.loads(pickle.dumps(model))
    assert same(model.partial_fit(X, LABELS), twin.partial_fit(X, LABELS))


def test_cross_validation():
    x, y = datasets.load_breast_cancer(return_X_y=True)
    model = make_pipeline(StandardScaler(), small(max_iter=30))
    assert cross_val_score(model, x, y, cv=3).mean() > 0.9


@pytest.mark.parametrize("backend", ["threading", *slow("loky")])
def test_grid_search_in_parallel(backend):
    model = make_pipeline(StandardScaler(), small())
    grid = {"mlpclassifier__alpha": [1e-4, 1.0], "mlpclassifier__hidden_layer_sizes": [(4,), (8,)]}
    with joblib.parallel_config(backend):
        search = GridSearchCV(model, grid, n_jobs=2, cv=2).fit(X, LABELS)
    assert search.best_score_ > 0.3
    alone = GridSearchCV(model, grid, cv=2).fit(X, LABELS)
    np.testing.assert_array_equal(
        search.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"]
    )


def test_processes_share_the_cores(monkeypatch):
    """Workers of joblib have their share of the threads, so that there are not too many."""
    for name in ("CNN_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    with joblib.parallel_config("loky", n_jobs=2):
        counts = joblib.Parallel()(joblib.delayed(cnn.get_num_threads)() for _ in range(4))
    assert all(count <= max(1, joblib.cpu_count() // 2) for count in counts)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import sys; sys.modules['sklearn'] = None", "sklearn is not installed"),
        (
            "import sklearn.utils.validation as v; del v.validate_data",
            "sklearn is too old, it has no validate_data",
        ),
    ],
)
def test_names_the_extra_where_scikit_learn_is_missing(code, message):
    done = subprocess.run(
        [sys.executable, "-P", "-c", f"import cnn; {code}; import cnn.sklearn"],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f'ImportError: cnn.sklearn: {message}; pip install ".[sklearn]"')
