"""What the command line predicts with: models that take the columns of a table's file as numbers.

A model is a `TableModel`, or a TabularClassifier or TabularRegressor from a file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn._base.texts import listed, shown
from cnn._tables.dialect import MISSING
from cnn._tables.numerals import POINT
from cnn._tables.table import Category, Number
from cnn.sequential import network_of
from cnn.tabular._columns import texts_of
from cnn.tabular._encoder import consequence, strangeness
from cnn.tabular._model import TableModel, plan_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from cnn._tables.table import Column
    from cnn.tabular._encoder import Feature


@dataclass(frozen=True)
class Values(Category):
    """A column whose categories are values: texts, numbers or truth values.

    A value has the texts that a file may have for it, as in `TableModel`.
    """

    values: tuple[Any, ...] = ()

    @cached_property
    def codes(self) -> dict[str, int]:
        """The place of each text among the categories; their own texts come first."""
        found = {text: i for i, text in enumerate(self.categories)}
        for i, value in enumerate(self.values):
            for text in texts_of(value):
                found.setdefault(text, i)
        return found


@dataclass(frozen=True)
class Open(Values):
    """A column that may have other categories than those that are known.

    Such a text has a code below -1, of its own.
    """

    others: dict[str, int] = field(default_factory=dict, compare=False)

    def encode(self, text: str) -> int:
        """Return the place of a text among the categories, or its code below -1."""
        code = super().encode(text)
        return self.others.setdefault(text, -2 - len(self.others)) if code is None else code

    def other(self, code: int) -> str:
        """Return the text of a code below -1."""
        return list(self.others)[-2 - code]


@dataclass
class RowModel:
    """A model that predicts from the columns of a file."""

    columns: tuple[Column, ...]
    """The columns that it takes."""
    target: Column
    """The column that it predicts; without a name if an estimator was trained in Python."""
    decimal: str
    """The decimal mark of the texts that are numbers."""
    missing: frozenset[str]
    """The texts that stand for missing values."""
    keeps_missing: bool
    """Whether values may be missing."""
    predicted: Callable[[NDArray[np.float64], str, int], NDArray[Any]]
    """Return probabilities (n, classes) or numbers (n, 1) of rows of values. The second argument
    begins messages, and the third is how many rows were before these."""
    notes: list[str] = field(default_factory=list)
    """What is to be told of the rows that were predicted."""


def row_model(model: Any, path: str) -> RowModel:
    """Return what predicts with a TableModel or an estimator; `path` begins messages.

    Raises
    ------
    ValueError
        If a table in a file cannot have its columns, or it predicts several numbers for a row.
    """
    if not isinstance(model, TableModel):
        return _of_estimator(model, path)
    plan, network = plan_of(model), network_of(model.net)
    return RowModel(
        plan.columns,
        plan.target,
        plan.decimal,
        plan.missing,
        plan.fillings is not None,
        lambda values, where, first: plan.predicted(network, values, where, first),
    )


def _of_estimator(model: Any, path: str) -> RowModel:
    features = model._encoder.features
    columns: list[Number | Open] = []
    for feature in features:
        if feature.kind == "date":
            raise ValueError(
                f"{path}: column {feature.name!r} has dates, which the command line does not read; "
                f"in Python, predict of cnn.load(path) takes tables with them"
            )
        values = tuple(feature.known)
        columns.append(
            Number(feature.name)
            if feature.kind == "number"
            else Open(feature.name, tuple(map(str, values)), values=values)
        )
    facts = model._table
    target = target_of(model, "" if facts is None else facts.target)
    if isinstance(target, Number) and model.nets_[0].outputs > 1:
        raise ValueError(
            f"{path}: the model predicts {model.nets_[0].outputs} numbers for a row, of which the "
            f"command line prints one only; in Python, predict of cnn.load(path) returns them"
        )
    known = {text for column in columns if isinstance(column, Open) for text in column.codes}
    predictor = _Predictor(model, columns)
    return RowModel(
        tuple(columns),
        target,
        POINT if facts is None else facts.decimal,
        MISSING - known if facts is None else facts.missing,
        keeps_missing=True,
        predicted=predictor,
        notes=predictor.notes,
    )


class _Predictor:
    """Predicts with an estimator; `notes` tell of categories that it does not know."""

    def __init__(self, model: Any, columns: list[Number | Open]) -> None:
        self._model = model
        self._columns = columns
        self._told: set[str] = set()
        self.notes: list[str] = []

    def __call__(self, values: NDArray[np.float64], where: str, first: int) -> NDArray[np.float64]:
        """Return the outputs of rows, as `RowModel.predicted`."""
        encoder = self._model._encoder
        for feature, column, codes in zip(encoder.features, self._columns, values.T, strict=True):
            is_other = codes < -1
            if isinstance(column, Open) and column.name not in self._told and is_other.any():
                self._told.add(column.name)
                row = int(is_other.argmax())
                text = strangeness(feature, column.other(int(codes[row])))
                self._tell(f"{where}: row {first + row + 1}, {text}", feature)
        outputs: NDArray[np.float64] = self._model._outputs(encoder.of_values(values))
        return outputs

    def _tell(self, note: str, feature: Feature) -> None:
        if self._model.unseen == "error":
            raise ValueError(note)
        if self._model.unseen == "warn":
            self.notes.append(f"{note}; {consequence(feature)}")


def target_of(model: Any, name: str) -> Column:
    """Return the column that an estimator predicts."""
    classes = getattr(model, "classes_", None)
    if classes is None:
        return Number(name)
    values = classes.tolist()
    return Values(name, tuple(map(str, values)), values=tuple(values))


def described(model: Any) -> list[str]:
    """Return lines that describe the networks of an estimator, its columns and its outputs."""
    lines: list[str] = model.nets_[0].summary().splitlines()
    if len(model.nets_) > 1:
        lines.append(f"{len(model.nets_)} networks like this one, whose outputs are averaged")
    return [*lines, "", *described_columns(model)]


def described_columns(model: Any) -> list[str]:
    """Return lines that describe the columns of an estimator and its outputs."""
    outputs = model.nets_[0].outputs
    rows = [(shown(feature.name), _how(feature)) for feature in model._encoder.features]
    facts = model._table
    target = target_of(model, "" if facts is None else facts.target)
    task = "classification" if isinstance(target, Category) else "regression"
    meaning = "a number"
    if isinstance(target, Category):
        meaning = f"probabilities of {', '.join(map(shown, target.categories))}"
    elif outputs > 1:
        meaning = f"{outputs} numbers"
    last = shown(target.name) or "prediction", meaning
    width = max(len(name) for name, _ in (*rows, last))
    lines = ["Columns", *(f"  {name:{width}}  {how}" for name, how in rows)]
    lines += [f"Outputs ({task})", f"  {last[0]:{width}}  {last[1]}"]
    if facts is not None and facts.decimal != POINT:
        lines.append(f"Numbers of tables have a {facts.decimal} before their decimals")
    return lines


def _listed(categories: list[Any]) -> str:
    return listed([shown(str(each)) for each in categories]) or "none"


def _how(feature: Feature) -> str:
    how = {"number": "a number", "date": "a date"}.get(feature.kind)
    if how is None:
        how = f"a category: {_listed(feature.categories)}"
        if feature.infrequent:
            how += f"; infrequent: {_listed(feature.infrequent)}"
    return how + ("; was missing in some rows of training" if feature.missing else "")
