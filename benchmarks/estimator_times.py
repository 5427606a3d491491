"""Times cnn's estimators beside scikit-learn's in one process, in turns; prints what was found.

Run as `python estimator_times.py`: the numbers of threads come from the environment. The output
is a list in JSON: for each case its name, and the shortest seconds of scikit-learn and of cnn to
fit, to predict probabilities of one row, and of 1000 rows.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from sklearn import datasets, neural_network, preprocessing
from sklearn.exceptions import ConvergenceWarning

import cnn.sklearn
import data
import timing
from cases import LECTURE

ROUNDS = 5
SAMPLES = 60_000  # of MNIST


def mnist() -> tuple[Any, Any]:
    """Return MNIST's training set in float32, or numbers of its shape."""
    return data.inputs(LECTURE, SAMPLES), data.targets(LECTURE, SAMPLES)


def scaled(loaded: Any) -> tuple[Any, Any]:
    """Return a data set of scikit-learn's, standardised."""
    return preprocessing.StandardScaler().fit_transform(loaded.data), loaded.target


# The name, the data, and the parameters that both libraries get.
CASES: list[tuple[str, Callable[[], tuple[Any, Any]], dict[str, Any]]] = [
    (
        "MNIST 784-50-100-10, logistic, Adam, batches of 100, 3 epochs",
        mnist,
        {
            "hidden_layer_sizes": (50, 100),
            "activation": "logistic",
            "batch_size": 100,
            "max_iter": 3,
        },
    ),
    (
        "MNIST 784-50-100-10, ReLU, Adam, batches of 200, 3 epochs",
        mnist,
        {"hidden_layer_sizes": (50, 100), "max_iter": 3},
    ),
    ("digits 64-100-10, 50 epochs", lambda: scaled(datasets.load_digits()), {"max_iter": 50}),
    (
        "breast_cancer 30-100-1, 100 epochs",
        lambda: scaled(datasets.load_breast_cancer()),
        {"max_iter": 100},
    ),
]


def measure(x: Any, y: Any, parameters: dict[str, Any]) -> list[list[float]]:
    """Return the shortest seconds of each task: scikit-learn's and cnn's, one after the other."""
    models = [
        kind(random_state=0, **parameters)
        for kind in (neural_network.MLPClassifier, cnn.sklearn.MLPClassifier)
    ]
    tasks: list[Callable[[Any], object]] = [
        lambda model: model.fit(x, y),
        lambda model: model.predict_proba(x[:1]),
        lambda model: model.predict_proba(x[:1000]),
    ]
    return [alternately([partial(task, model) for model in models]) for task in tasks]


def alternately(runs: list[Callable[[], object]]) -> list[float]:
    """Return the shortest seconds of each, called in turns."""
    times = [timing.Timing() for _ in runs]
    counts = [timing.calibrate(run) for run in runs]
    for _ in range(ROUNDS):
        for run, count, found in zip(runs, counts, times, strict=True):
            found.seconds += timing.turn(run, count)
    return [found.minimum for found in times]


def main() -> None:
    """Measure all cases."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    found = []
    for name, load, parameters in CASES:
        x, y = load()
        found.append([name, measure(x, np.asarray(y), parameters)])
    print(json.dumps(found))


if __name__ == "__main__":
    main()
