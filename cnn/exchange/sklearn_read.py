"""Networks of fitted scikit-learn estimators: `cnn.from_sklearn`. It is not imported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cnn.exchange import folding
from cnn.exchange.folding import Activated, Dropped, Product
from cnn.layers import Dense, Dropout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from cnn import _core
    from cnn.exchange.folding import Numbers, Step

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


def network(where: str, scalers: Iterable[Step], steps: Iterable[Step]) -> _core.Network:
    """Return the network of the steps of scalers, and then of an estimator."""
    return folding.network(where, [*scalers, *steps])


def steps_of(where: str, estimator: Any) -> list[Step]:
    """Return the steps of a checked estimator of scikit-learn."""
    weights, biases = list(estimator.coefs_), list(estimator.intercepts_)
    if len(weights) != len(biases):
        raise ValueError(
            f"{where}: coefs_ has {len(weights)} arrays and intercepts_ {len(biases)}, should be "
            f"one for each layer"
        )
    output = _sklearn_activation(where, "out_activation_", estimator.out_activation_)
    hidden = _sklearn_activation(where, "activation", estimator.activation)
    steps: list[Step] = []
    for i, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        name = f"layer {i}"
        steps.append(Product(name, np.asarray(weight), np.asarray(bias)))
        steps.append(Activated(name, output if i == len(weights) - 1 else hidden))
    return steps


def steps_of_layers(layers: Iterable[Any]) -> list[Step]:
    """Return the steps of the layers of cnn that an estimator's network has."""
    steps: list[Step] = []
    for i, layer in enumerate(layers):
        name = f"layer {i}"
        if isinstance(layer, Dropout):
            steps.append(Dropped(name, layer.rate))
        elif isinstance(layer, Dense):
            steps.append(Product(name, layer.weight, layer.bias))
            steps.append(Activated(name, layer.activation))
    return steps


def class_names(estimator: Any) -> list[str]:
    """Return the labels of a classifier as texts; none for other estimators."""
    labels = getattr(estimator, "classes_", None)
    if not isinstance(labels, np.ndarray) or labels.ndim != 1:
        return []
    return [str(label) for label in labels.tolist()]


def feature_names(estimator: Any) -> list[str]:
    """Return the names of the columns that an estimator or a pipeline was fitted to, if known."""
    names = getattr(estimator, "feature_names_in_", None)
    return [str(name) for name in names.tolist()] if isinstance(names, np.ndarray) else []


# ---- Pipelines -----------------------------------------------------------------------------------


def is_pipeline(estimator: Any) -> bool:
    """Whether an object is a scikit-learn Pipeline."""
    return not isinstance(estimator, type) and hasattr(estimator, "named_steps")


def scalers(where: str, pipeline: Any) -> tuple[list[Step], Any]:
    """Return the steps of a pipeline's scalers, and the estimator after them."""
    flat = list(_flat(pipeline))
    if not flat:
        raise ValueError(f"{where}: the pipeline has no steps, should end in an estimator")
    *before, (_, last) = flat
    steps: list[Step] = []
    for name, scaler in before:
        kind = type(scaler).__name__
        read = SCALERS.get(kind)
        if read is None or not type(scaler).__module__.startswith("sklearn."):
            raise ValueError(
                f"{where}: step {name!r} of the pipeline is of type {kind}, should be one of "
                f"{', '.join(SCALERS)}: transform the rows by it before the network takes them"
            )
        if not hasattr(scaler, "n_features_in_"):
            raise TypeError(f"{where}: step {name!r} of the pipeline ({kind}) is not fitted")
        steps += read(f"step {name!r} ({kind})", scaler)
    return steps, last


def _flat(pipeline: Any) -> Iterator[tuple[str, Any]]:
    """Yield the names and estimators of a pipeline and of pipelines in it."""
    for name, step in pipeline.steps:
        if is_pipeline(step):
            yield from _flat(step)
        elif step is not None and not isinstance(step, str):
            yield name, step


def _standard(name: str, mean: Any, scale: Any) -> list[Step]:
    """Return (x - mean) / scale, without those that are None."""
    subtracted: Numbers = 0.0 if mean is None else np.asarray(mean, np.float64)
    divisor: Numbers = 1.0 if scale is None else np.asarray(scale, np.float64)
    return [folding.standardized(name, subtracted, divisor)]


def _bounded(name: str, scaler: Any, low: float, high: float) -> list[Step]:
    return list(folding.clipped(name, low, high)) if getattr(scaler, "clip", False) else []


def _min_max(name: str, scaler: Any) -> list[Step]:
    """Return x scale_ + min_, between the bounds of feature_range if it clips."""
    scaled = folding.scaled(name, np.asarray(scaler.scale_, np.float64))
    shifted = folding.shifted(name, np.asarray(scaler.min_, np.float64))
    return [scaled.then(shifted), *_bounded(name, scaler, *map(float, scaler.feature_range))]


SCALERS: dict[str, Callable[[str, Any], list[Step]]] = {
    "StandardScaler": lambda name, s: _standard(name, s.mean_ if s.with_mean else None, s.scale_),
    "MinMaxScaler": _min_max,
    "MaxAbsScaler": lambda name, s: [
        *_standard(name, None, s.scale_),
        *_bounded(name, s, -1.0, 1.0),
    ],
    "RobustScaler": lambda name, s: _standard(name, s.center_, s.scale_),
}


def _sklearn_activation(where: str, name: str, given: object) -> str:
    if not isinstance(given, str) or given not in _SKLEARN_ACTIVATIONS:
        raise ValueError(
            f"{where}: {name} is {given!r}, should be one of {', '.join(_SKLEARN_ACTIVATIONS)}"
        )
    return _SKLEARN_ACTIVATIONS[given]
