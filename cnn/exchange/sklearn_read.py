"""Networks of fitted scikit-learn estimators: `cnn.from_sklearn`. It is not imported."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnn import _core
from cnn.exchange import assembly
from cnn.exchange.assembly import Part

_SKLEARN_ACTIVATIONS = {
    "identity": "identity",
    "logistic": "sigmoid",
    "tanh": "tanh",
    "relu": "relu",
    "softmax": "softmax",
}


def check(where: str, estimator: Any) -> None:
    """Refuse an object that is no fitted estimator or has an unknown output activation."""
    for attribute in ("coefs_", "intercepts_", "activation", "out_activation_"):
        if isinstance(estimator, type) or not hasattr(estimator, attribute):
            raise TypeError(
                f"{where}: estimator is of type {type(estimator).__name__} without {attribute}, "
                f"should be a fitted MLPClassifier or MLPRegressor"
            )
    _sklearn_activation(where, "out_activation_", estimator.out_activation_)


def network(where: str, estimator: Any) -> _core.Network:
    """Return the network of a checked estimator."""
    weights, biases = list(estimator.coefs_), list(estimator.intercepts_)
    if len(weights) != len(biases):
        raise ValueError(
            f"{where}: coefs_ has {len(weights)} arrays and intercepts_ {len(biases)}, should be "
            f"one for each layer"
        )
    output = _sklearn_activation(where, "out_activation_", estimator.out_activation_)
    hidden = _sklearn_activation(where, "activation", estimator.activation)
    parts = [
        Part(f"layer {i}", np.asarray(weight), np.asarray(bias), hidden)
        for i, (weight, bias) in enumerate(zip(weights, biases, strict=True))
    ]
    for part in parts[-1:]:
        part.activation = output
    return assembly.network(where, parts)


def _sklearn_activation(where: str, name: str, given: object) -> str:
    if not isinstance(given, str) or given not in _SKLEARN_ACTIVATIONS:
        raise ValueError(
            f"{where}: {name} is {given!r}, should be one of {', '.join(_SKLEARN_ACTIVATIONS)}"
        )
    return _SKLEARN_ACTIVATIONS[given]
