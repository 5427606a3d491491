"""A table with columns of all kinds, and small estimators of cnn.tabular for it."""

import datetime

import numpy as np

from cnn.tabular import TabularClassifier, TabularRegressor

SMALL = {"hidden_layer_sizes": (16,), "epochs": 5, "random_state": 0}


def classifier(**settings):
    return TabularClassifier(**(SMALL | settings))


def regressor(**settings):
    return TabularRegressor(**(SMALL | settings))


_RNG = np.random.default_rng(0)
N = 60
TABLE = {
    "number": [float(v) for v in _RNG.normal(size=N)],
    "count": [int(v) for v in _RNG.integers(0, 9, N)],
    "holes": [None if i % 7 == 0 else float(v) for i, v in enumerate(_RNG.normal(size=N))],
    "word": [("red", "green", "blue")[i % 3] for i in range(N)],
    "town": [f"town {i % 12}" if i % 11 else None for i in range(N)],
    "yes": [bool(v) for v in _RNG.integers(0, 2, N)],
    "day": [datetime.datetime(2024, 1, 1, 6) + datetime.timedelta(days=i) for i in range(N)],
    "same": [1.0] * N,
}
LABELS = np.array([f"class {(i + j) % 3}" for i, j in zip(range(N), TABLE["count"], strict=True)])
T = np.array(TABLE["number"]) + np.array(TABLE["yes"])
