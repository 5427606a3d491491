"""TabularClassifier and TabularRegressor in model files: preprocessing and targets as JSON."""

from __future__ import annotations

import base64
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn import _core
from cnn._base import checks
from cnn._base.metadata import TABULAR
from cnn._tables import preprocessing
from cnn._tables.numerals import POINT
from cnn.layers import Columns
from cnn.tabular._encoder import Encoder, Feature

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cnn.sequential import Sequential

_FORMAT = 1
# The types of categories, classes and parameters that JSON keeps apart.
_PLAIN = (str, bool, int, float)


@dataclass(frozen=True)
class TableFacts:
    """What the command line needs to know of the tables that an estimator takes."""

    target: str
    """The name of the column that is predicted."""
    decimal: str
    """The decimal mark of the texts that are numbers."""
    missing: frozenset[str]
    """The texts that stand for missing values."""


def text_of(where: str, estimator: Any) -> str:
    """Return what a file has beside the network of a fitted estimator.

    Raises
    ------
    ValueError
        If a category, a class or a parameter is of a type that a file cannot hold, or a parameter
        was set to what loading would refuse.
    """
    estimator._validate_params()
    features = [
        {
            "name": _plain(where, "a column has the name", feature.name),
            "kind": feature.kind,
            "categories": _categories(where, feature, feature.categories),
            "infrequent": _categories(where, feature, feature.infrequent),
            "missing": feature.missing,
            "centers": feature.centers,
            "scales": feature.scales,
        }
        for feature in estimator._encoder.features
    ]
    best: dict[str, Any] = {"best_epoch": estimator.best_epochs_[0]}
    if len(estimator.nets_) > 1:
        best = {"best_epochs": estimator.best_epochs_}
    content = {
        "format": _FORMAT,
        "estimator": type(estimator).__name__,
        "parameters": _parameters(estimator),
        "features": features,
        "named": estimator._encoder.named,
        "has_feature_names": hasattr(estimator, "feature_names_in_"),
        **best,
        "epochs": estimator.n_iter_,
        "target": estimator._target_content(where),
    }
    facts = estimator._table
    if facts is not None:
        content["table"] = {
            "target": facts.target,
            "decimal": facts.decimal,
            "missing": sorted(facts.missing),
        }
    return json.dumps(content, ensure_ascii=False, allow_nan=False)


def _categories(where: str, feature: Feature, categories: list[Any]) -> list[Any]:
    what = f"column {feature.name!r} has the category"
    return [_plain(where, what, category) for category in categories]


def _parameters(estimator: Any) -> dict[str, Any]:
    """Return the parameters that a file can hold; others are the defaults when it is loaded."""
    found = {}
    for name, value in estimator.get_params().items():
        kept = value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value
        if isinstance(kept, (tuple, list)):
            kept = [each.item() if isinstance(each, np.generic) else each for each in kept]
        try:
            if json.loads(json.dumps(kept, allow_nan=False)) == kept:  # keys may become texts
                found[name] = kept
        except (TypeError, ValueError):
            continue
    return found


def _plain(where: str, what: str, value: Any) -> Any:
    """Return a value that JSON keeps as it is."""
    found = value.item() if isinstance(value, np.generic) else value
    is_plain = isinstance(found, _PLAIN) and type(found) in _PLAIN
    if not is_plain or (isinstance(found, float) and not math.isfinite(found)):
        raise ValueError(
            f"{where}: {what} {value!r} of type {type(value).__name__}, which a file cannot hold; "
            f"should be a text, a finite number or a truth value"
        )
    if isinstance(found, str) and not preprocessing.is_text(found):
        raise ValueError(f"{where}: {what} {value!r}, which UTF-8 cannot encode")
    return found


def array_content(where: str, what: str, values: NDArray[Any]) -> dict[str, Any]:
    """Return an array of one dimension as an object for JSON."""
    if values.dtype == np.float64:
        data = base64.b64encode(values.astype("<f8").tobytes()).decode()
        return {"dtype": "float64", "base64": data}
    return {
        "dtype": "object" if values.dtype.kind == "O" else values.dtype.str,
        "values": [_plain(where, what, value) for value in values.tolist()],
    }


def array_of(content: Any) -> NDArray[Any]:
    """Return the array that `array_content` described; ValueError if it is none."""
    if "base64" in content:
        data = base64.b64decode(content["base64"], validate=True)
        return np.frombuffer(data, "<f8").astype(np.float64)
    dtype, values = np.dtype(content["dtype"]), content["values"]
    if dtype.kind not in "OUbiuf" or not isinstance(values, list):
        raise ValueError(f"an array has the type {dtype}")
    # A text's type has its largest length, whatever memory that takes.
    longest = max((len(value) for value in values if isinstance(value, str)), default=1)
    if dtype.kind == "U" and dtype.itemsize > 4 * max(longest, 1):
        raise ValueError(f"an array has the type {dtype}")
    if not all(type(value) in _PLAIN for value in values):
        raise ValueError("an array has values that are neither texts nor numbers")
    if dtype.kind == "O":
        found = np.empty(len(values), dtype=object)
        found[:] = values
        return found
    return np.array(values, dtype=dtype)


def restored(where: str, nets: list[Sequential], text: str, kinds: dict[str, type[Any]]) -> Any:
    """Return the estimator around a file's networks; neither they nor the text are trusted.

    Raises
    ------
    ModelFileError
        If the text is not that of an estimator, or does not belong to the networks.
    """
    try:
        content = json.loads(text)
        if content["format"] != _FORMAT or type(content["format"]) is not int:
            raise ValueError(f"its format is {content['format']!r}, should be {_FORMAT}")
        parameters = content["parameters"]
        for name in ("hidden_layer_sizes", "quantiles"):
            if isinstance(parameters.get(name), list):
                parameters[name] = tuple(parameters[name])
        made = kinds[content["estimator"]](**parameters)
        made._validate_params()
        features = [_feature(value) for value in content["features"]]
        for net in nets:
            _check_columns(net, features)
        made._encoder = Encoder.of_features(features, named=content["named"] is True)
        made.nets_ = nets
        made.best_epochs_ = _best_epochs(content, len(nets))
        made.n_iter_ = checks.integer("it", "epochs", content["epochs"], 1)
        made.n_features_in_ = len(features)
        if content["has_feature_names"] is True:
            made.feature_names_in_ = np.array([f.name for f in features], dtype=object)
        made._take_target(content["target"])
        if "table" in content:
            made._table = _table_facts(content["table"], features)
    except (
        *(ValueError, TypeError, KeyError, AttributeError, IndexError),
        *(OverflowError, RecursionError),
    ) as error:
        raise _core.ModelFileError(f"{where}: the file's {TABULAR} is not one: {error}") from error
    return made


def _best_epochs(content: dict[str, Any], count: int) -> list[int]:
    """Return the best epoch of each of so many networks."""
    if count == 1:
        return [checks.integer("it", "best_epoch", content["best_epoch"], 0)]
    found = content["best_epochs"]
    if not isinstance(found, list) or len(found) != count:
        raise ValueError(f"it should have {count} best_epochs, those of the networks")
    return [checks.integer("it", f"best_epochs[{i}]", epoch, 0) for i, epoch in enumerate(found)]


def _table_facts(value: Any, features: list[Feature]) -> TableFacts:
    """Return what an untrusted file has about the table that its estimator was trained on."""
    target, decimal, missing = value["target"], value["decimal"], value["missing"]
    if not preprocessing.is_text(target) or not target or target in {f.name for f in features}:
        raise ValueError(f"its table has the target {target!r}, should be a text, and no column")
    if decimal not in (POINT, ","):
        raise ValueError(f"its table has the decimal {decimal!r}, should be a point or a comma")
    if not preprocessing.are_texts(missing):
        raise ValueError("its table should have missing, a list of texts")
    return TableFacts(target, decimal, frozenset(missing))


def _feature(value: Any) -> Feature:
    """Return a feature of an untrusted file."""
    name, kind, categories = value["name"], value["kind"], value["categories"]
    if not isinstance(name, str) or kind not in ("number", "category", "boolean", "date"):
        raise ValueError(f"a column is {name!r} of the kind {kind!r}")
    infrequent = value.get("infrequent", [])  # files of versions without min_frequency have none
    plain = isinstance(categories, list) and isinstance(infrequent, list)
    known = [*categories, *infrequent]
    if not plain or not all(type(each) in _PLAIN for each in known) or len(set(known)) < len(known):
        raise ValueError(f"column {name!r} should have categories that differ")
    if kind == "boolean" and (categories, infrequent) != ([False, True], []):
        raise ValueError(f"column {name!r} should have the categories False and True")
    made = Feature(name, kind, categories, infrequent, missing=value["missing"] is True)
    made.centers, made.scales = value["centers"], value["scales"]
    count = len(made.names) if kind in ("number", "date") else 0
    for numbers in (made.centers, made.scales):
        if len(numbers) != count or not all(type(n) is float and math.isfinite(n) for n in numbers):
            raise ValueError(f"column {name!r} should have {count} centers and scales")
    if not all(scale > 0 for scale in made.scales):
        raise ValueError(f"column {name!r} should have scales of more than 0")
    return made


def _check_columns(net: Sequential, features: list[Feature]) -> None:
    """Refuse features that are not those of the network."""
    first = net.layers[0]
    if not isinstance(first, Columns):
        raise ValueError(f"its first layer is {type(first).__name__}, should be Columns")
    wanted = [feature for feature in features for _ in feature.names]
    if len(wanted) != first.inputs or len({f.name for f in features}) < len(features):
        raise ValueError(
            f"it has {len(wanted)} numbers in a row, but the network takes {first.inputs}"
        )
    for feature, column in zip(wanted, first.columns, strict=True):
        count = getattr(column, "categories", 0)
        if count > 0 and count != feature.codes:
            raise ValueError(
                f"column {feature.name!r} has {feature.codes} categories, but the "
                f"network has {count}"
            )
