"""Training of TabularClassifier and TabularRegressor on the table of a file, for ``cnn train``.

A category is a text of the file. If all texts of a column are those that Python has for whole
numbers, for other numbers, or for truth values, the estimator gets these values, as pandas and
polars would read them: its predict then takes data frames that were read from such files.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn._tables import numerals
from cnn._tables.preprocessing import Preprocessing
from cnn._tables.table import Category
from cnn.tabular import _split
from cnn.tabular._classifier import TabularClassifier
from cnn.tabular._estimator_files import TableFacts
from cnn.tabular._fit import Settings, Table
from cnn.tabular._regressor import TabularRegressor
from cnn.tabular._row_models import target_of
from cnn.tabular._scores import scores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from cnn._tables.content import ColumnContent, Content
    from cnn._tables.table import Column
    from cnn._training.hooks import Hooks

_TRUTH = {"False": False, "True": True}


@dataclass
class EstimatorStart:
    """What is known before the first step."""

    columns: list[Column]
    target: Column
    hidden: tuple[int, ...]
    epochs: int
    networks: int
    rows: int
    held: int
    left_out: int
    """How many rows were left out since values are missing."""
    strange: dict[str, int]
    """The number of a column's categories that only held-out rows have."""


@dataclass
class FittedEstimator:
    """A trained estimator; the fields that `Fitted` has, too, mean the same."""

    estimator: Any
    interrupted: bool
    held_out: dict[str, Any] | None = None
    baseline: dict[str, Any] = field(default_factory=dict)


def fit_estimator(
    content: Content,
    target: str,
    parameters: dict[str, Any],
    settings: Settings,
    *,
    decimal: str,
    missing: frozenset[str],
    callbacks: Iterable[Hooks] = (),
    progress: bool = False,
    started: Callable[[EstimatorStart], None] = lambda _: None,
) -> FittedEstimator:
    """Train an estimator on a table.

    Rows are held out as by `fit`; they are the same for all networks, and their scores are those of
    the estimator.

    Parameters
    ----------
    content : Content
        The table; the target is one of its columns.
    target : str
        The name of the target.
    parameters : dict of str
        Parameters of the estimator.
    settings : Settings
        Of these the seed, the share of rows to hold out, the class weights, "balanced" or None, and
        whether `missing` is "drop"; the parameters have all others.
    decimal, missing : str, frozenset of str
        The decimal mark, and the texts of missing values, that the model is to keep.
    callbacks, progress
        As for the estimators.
    started : callable
        Called before the training.

    Raises
    ------
    ValueError
        If the table does not suit the settings.
    KeyboardInterrupt
        On Ctrl-C before an epoch was finished.
    """
    table = Table(content, target, settings, decimal, missing)
    # In the order of the table, so that the rows that are left are trained on as by `fit`.
    held, kept = map(np.sort, table.split(_split.shuffled(settings.seed, table.rows)))
    if len(kept) < 2:
        raise ValueError(
            f"{table.source}: 1 row is left to learn from, should be at least 2 for a "
            f"TabularClassifier or a TabularRegressor"
        )
    frame = {each.column.name: _values(each) for each in table.columns}
    goal = _targets(table.goal)
    categories = [c.column.name for c in table.columns if isinstance(c.column, Category)]
    given: dict[str, Any] = parameters | {
        "random_state": settings.seed,
        "validation_fraction": settings.hold_out,
        "categorical_features": categories or "auto",
    }
    kind: type[Any] = TabularClassifier if table.is_class else TabularRegressor
    if table.is_class:
        given["class_weight"] = settings.class_weight
    # Categories of held-out rows alone are told of by `started`.
    model = kind(**given, verbose=progress, unseen="ignore")
    model._validate_params()
    recipe = model._settings("train")
    started(
        EstimatorStart(
            [each.column for each in table.columns],
            table.goal.column,
            recipe.hidden,
            recipe.epochs,
            model.n_ens,
            table.rows,
            len(held),
            table.left_out,
            _strange(table.columns, held, kept),
        )
    )

    def part(rows: NDArray[np.intp]) -> tuple[dict[str, NDArray[Any]], NDArray[Any]]:
        return {name: values[rows] for name, values in frame.items()}, goal[rows]

    model._fit(
        *part(kept),
        None,
        part(held) if len(held) else None,
        tuple(callbacks),
        keep_interrupted=True,
    )
    # As of a data frame, and as if the options of this run were the defaults.
    model.feature_names_in_ = np.array(list(frame), dtype=object)
    model.set_params(verbose=False, unseen="warn")
    model._table = TableFacts(target, decimal, missing)
    fitted = FittedEstimator(model, model._interrupted)
    if len(held):
        x = model._encoder.transform("train", part(held)[0], "ignore")
        fitted.held_out = _scores(model, x, table.goal, held)
        fitted.baseline = table.baseline(held, kept)
    return fitted


def _scores(
    model: Any, x: NDArray[np.float64], goal: ColumnContent, rows: NDArray[np.intp]
) -> dict[str, Any]:
    """Return the scores of an estimator on rows, which `x` has as numbers."""
    column, codes = target_of(model, goal.column.name), goal.values[rows]
    if isinstance(column, Category) and isinstance(goal.column, Category):
        # Classes are in the estimator's order.
        codes = np.array([column.codes[text] for text in goal.column.categories])[codes]
    return scores(Preprocessing((), column), model._outputs(x), codes)


def _strange(
    columns: Iterable[ColumnContent], held: NDArray[np.intp], kept: NDArray[np.intp]
) -> dict[str, int]:
    """Return how many categories of each column only held-out rows have."""
    found = {}
    for each in columns:
        if isinstance(each.column, Category):
            count = len(np.setdiff1d(each.values[held], [-1, *np.unique(each.values[kept])]))
            if count:
                found[each.column.name] = count
    return found


# ---- Values of columns ---------------------------------------------------------------------------


def _values(each: ColumnContent) -> NDArray[Any]:
    """Return the values of a column: float64 numbers, NaN if missing; or objects, then None."""
    if not isinstance(each.column, Category):
        return each.values
    found = np.empty(len(each.column.categories) + 1, dtype=object)
    found[:-1] = plain(each.column.categories)
    return found.take(each.values)  # -1 is the last one


def _targets(each: ColumnContent) -> NDArray[Any]:
    """Return the classes or the numbers of a target."""
    if not isinstance(each.column, Category):
        return each.values
    values = plain(each.column.categories)
    # scikit-learn takes no other numbers for classes.
    if {type(value) for value in values} in ({bool}, {int}):
        return np.array(values).take(each.values)
    classes = np.empty(len(values), dtype=object)
    classes[:] = each.column.categories
    return classes.take(each.values)


def plain(texts: Iterable[str]) -> list[Any]:
    """Return what texts stand for: truth values, or numbers, or otherwise the texts themselves."""
    found = list(texts)
    if all(text in _TRUTH for text in found):
        return [_TRUTH[text] for text in found]
    numbers = [_number(text) for text in found]
    if all(number is not None for number in numbers) and len(set(numbers)) == len(numbers):
        return numbers
    return found


def _number(text: str) -> int | float | None:
    """Return the number that Python writes as this text, or None."""
    value = numerals.number(text)
    if value is None or not math.isfinite(value):
        return None
    if value.is_integer() and abs(value) < 2**53 and str(int(value)) == text:
        return int(value)
    return value if repr(value) == text else None
