"""scikit-learn's searches with estimators of cnn, under the joblib backends of the engines."""

import contextlib
import os

import joblib
import numpy as np
import pytest
from marks import slow
from sklearn.datasets import load_iris
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    cross_val_predict,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import cnn
from cnn.sklearn import MLPClassifier

pytestmark = [
    pytest.mark.filterwarnings("default"),
    pytest.mark.filterwarnings("ignore:.*the optimization hasn't converged"),
]
MODEL = MLPClassifier(hidden_layer_sizes=(8,), max_iter=30, random_state=0)


@contextlib.contextmanager
def loky_workers():
    """Give nothing: joblib starts processes of its own."""
    yield
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor().shutdown()


def dask_backend():
    return {"backend": "dask"}


def ray_backend():
    from ray.util.joblib import register_ray

    register_ray()
    return {"backend": "ray"}


def spark_backend():
    from joblibspark import register_spark

    register_spark()
    return {"backend": "spark"}


def loky_backend():
    return {"backend": "loky", "inner_max_num_threads": 1}


BACKENDS = {"dask": dask_backend, "ray": ray_backend, "spark": spark_backend}


@pytest.fixture(
    scope="module",
    params=[
        *(pytest.param(name, marks=pytest.mark.distributed(name)) for name in BACKENDS),
        pytest.param("loky", marks=[pytest.mark.distributed("dask"), pytest.mark.slow]),
    ],
)
def backend(request, engines):
    """Run a test under each engine, and give the options of joblib.parallel_config."""
    with (engines | {"loky": loky_workers})[request.param]():
        yield (BACKENDS | {"loky": loky_backend})[request.param]()


@pytest.fixture(scope="module")
def data():
    x, t = load_iris(return_X_y=True)
    return x.astype(np.float32), t


SEARCHES = {
    "grid": lambda: GridSearchCV(
        make_pipeline(StandardScaler(), MODEL),
        {"mlpclassifier__alpha": [1e-4, 1e-1], "mlpclassifier__hidden_layer_sizes": [(4,), (8,)]},
        scoring="neg_log_loss",
        cv=3,
    ),
    "random": lambda: RandomizedSearchCV(
        MODEL,
        {"alpha": [1e-5, 1e-4, 1e-3], "activation": ["tanh", "relu"]},
        n_iter=4,
        scoring="neg_log_loss",
        cv=3,
        random_state=0,
    ),
    "halving": lambda: HalvingGridSearchCV(
        MODEL, {"alpha": [1e-4, 1e-2, 1.0]}, scoring="neg_log_loss", cv=3, random_state=0
    ),
}


@pytest.mark.parametrize(
    "search",
    ["grid", *slow("random", "halving")],
)
def test_a_search_gives_the_scores_of_one_process(search, backend, data):
    alone = SEARCHES[search]().set_params(n_jobs=1).fit(*data)
    with joblib.parallel_config(**backend, n_jobs=2):
        spread = SEARCHES[search]().fit(*data)
    assert spread.best_params_ == alone.best_params_
    for name, values in alone.cv_results_.items():
        if name.endswith("_test_score"):
            assert np.array_equal(spread.cv_results_[name], values), name
    assert np.array_equal(spread.predict_proba(data[0]), alone.predict_proba(data[0]))


def test_cross_validation_gives_the_scores_of_one_process(backend, data):
    alone = cross_val_score(MODEL, *data, scoring="neg_log_loss", cv=4, n_jobs=1)
    p = cross_val_predict(MODEL, *data, method="predict_proba", cv=4, n_jobs=1)
    with joblib.parallel_config(**backend, n_jobs=2):
        assert np.array_equal(cross_val_score(MODEL, *data, scoring="neg_log_loss", cv=4), alone)
        assert np.array_equal(cross_val_predict(MODEL, *data, method="predict_proba", cv=4), p)


def test_tasks_have_one_thread_in_other_processes(backend):
    def task():
        return os.getpid(), cnn.get_num_threads()

    with joblib.parallel_config(**backend, n_jobs=2):
        found = joblib.Parallel()(joblib.delayed(task)() for _ in range(8))
    assert {threads for _, threads in found} == {1}
    assert os.getpid() not in {process for process, _ in found}
