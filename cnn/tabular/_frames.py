"""Training tables of data frames: each column becomes one of numbers or of categories.

The texts of a frame are read as those of a file, by the same rules. Values of other types stand for
the texts that a file would have, numbers aside, which are taken as they are.
"""

from __future__ import annotations

import datetime
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from cnn._base.texts import did_you_mean, listed
from cnn._tables import content, numerals
from cnn._tables.content import ColumnContent, Content
from cnn._tables.dialect import Dialect
from cnn._tables.pieces import Rows, Texts
from cnn._tables.table import MOST_CATEGORIES, Number, Survey
from cnn.tabular._columns import as_values, is_missing, named_columns, number_of, texts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from numpy.typing import NDArray

    from cnn._tables.table import Column

_SHOULD = "a data frame, an Arrow table, a dict of columns, a list of dicts or a structured array"
_DATES = (
    "holds dates or times, which should become numbers, such as days since the first one: "
    "(column - column.min()).dt.days in pandas"
)

# Numbers with NaN for missing ones, or texts with None for missing ones.
_Parsed: TypeAlias = "NDArray[np.float64] | list[str | None]"


class _FrameRows(Rows):
    """The rows of a column's texts, for messages; they are counted from 0, as in a frame."""

    def place(self, row: int) -> str:
        """Return the position of a row in the frame."""
        return f"row {row}"


@dataclass
class _Reading:
    """What the reading of each column needs."""

    where: str
    dialect: Dialect
    keep_missing: bool
    cures: str


def of_frame(
    where: str,
    frame: Any,
    *,
    target: str,
    task: str,
    drop: Collection[str],
    categories: Collection[str],
    missing: frozenset[str],
    keep_missing: bool,
) -> Content:
    """Return the table of a data frame, a dict of columns or a list of dicts, for training.

    `missing` has the texts that stand for missing values, beside None, NaN and the like. Columns of
    a categorical type hold categories; so do truth values, as the texts True and False.
    """
    names, get = _columns(where, frame)
    _check_names(where, names, target, drop, categories)
    taken = [name for name in names if name not in set(drop)]
    if taken == [target]:
        raise ValueError(f"{where}: there is no column to learn from, only the target")
    forced = {*categories, target} if task == "classification" else set(categories)
    cures = "a finite number or a category; missing='mean' and the like fill in missing values, "
    cures += "and missing='drop' leaves their rows out"
    reading = _Reading(where, Dialect(missing=missing), keep_missing, cures)
    parsed: dict[str, _Parsed] = {}
    surveys: dict[str, Survey] = {}
    for name in taken:
        column = get(name)
        values = as_values(where, name, column)
        is_forced = name in forced or _is_categorical(column)
        parsed[name] = found = _parsed(where, name, values, is_forced, missing)
        surveys[name] = _surveyed(reading, name, found, is_forced)
        if len(found) != len(parsed[taken[0]]):
            raise ValueError(
                f"{where}: column {name!r} has {len(found)} values, but column {taken[0]!r} has "
                f"{len(parsed[taken[0]])}"
            )
    if not len(parsed[target]):
        raise ValueError(f"{where}: the table has no rows")
    try:
        columns, hint = content.columns_of(where, task, target, surveys)
    except ValueError as error:
        raise ValueError(in_python(str(error))) from None
    contents = {
        name: ColumnContent(
            column,
            _encoded(column, parsed[name], surveys[name]),
            surveys[name].missing,
            surveys[name].first_missing,
            surveys[name].inexact,
        )
        for name, column in columns.items()
    }
    return Content(where, len(parsed[target]), contents, in_python(hint))


def in_python(text: str) -> str:
    """Return a message with keyword arguments instead of options of the command line."""
    text = re.sub(r"--(categories|drop) ('[^']*'|\S+)", r"\1=[\2]", text)
    text = re.sub(r"=\[([^']\S*?)([,;]?)\](?=\W|$)", r"=['\1']\2", text)
    return re.sub(r"--task (\w+)", r"task='\1'", text)


# ---- Columns out of tables ----------------------------------------------------------------------


def _columns(where: str, frame: Any) -> tuple[list[Any], Callable[[Any], Any]]:
    """Return the names of a table's columns and their getter."""
    named = named_columns(frame)
    if named is not None:
        return named
    is_list = isinstance(frame, Sequence) and not isinstance(frame, (str, bytes))
    if is_list and frame and all(isinstance(row, Mapping) for row in frame):
        names = list(frame[0])
        for i, row in enumerate(frame):
            if row.keys() != frame[0].keys():
                odd = sorted(map(str, row.keys() ^ frame[0].keys()))
                raise ValueError(
                    f"{where}: rows 0 and {i} have different columns ({listed(odd)}), should have "
                    f"the same; a missing value is None"
                )
        return names, lambda name: [row[name] for row in frame]
    raise TypeError(
        f"{where}: table is of type {type(frame).__name__}, should be {_SHOULD}, with names of "
        f"columns"
    )


def _check_names(
    where: str,
    names: list[Any],
    target: str,
    drop: Collection[str],
    categories: Collection[str],
) -> None:
    counts = Counter(names)
    for name, count in counts.items():
        if not isinstance(name, str) or not name:
            raise ValueError(
                f"{where}: a column has the name {name!r}, should be a text; in pandas, "
                f"frame.columns = frame.columns.astype(str)"
            )
        if count > 1:
            raise ValueError(f"{where}: column {name!r} is there twice, names should differ")
    for what, some in (("target", [target]), ("drop", drop), ("categories", categories)):
        for name in some:
            if name not in counts:
                raise ValueError(
                    f"{where}: {what} has column {name!r}, which is missing; the table has "
                    f"{listed(names)}{did_you_mean(name, names)}"
                )
    if target in drop:
        raise ValueError(f"{where}: column {target!r} is the target, and cannot be left out")


def _is_categorical(column: Any) -> bool:
    """Whether a column of a frame has a categorical type."""
    # "category" in pandas, Categorical and Enum in polars, dictionary in Arrow.
    kind = getattr(column, "type", None) if hasattr(column, "chunks") else None
    text = str(kind if kind is not None else getattr(column, "dtype", ""))
    return text.startswith(("category", "Categorical", "Enum", "dictionary"))


# ---- Values -------------------------------------------------------------------------------------


def _parsed(
    where: str, name: str, values: Any, is_forced: bool, missing: frozenset[str]
) -> _Parsed:
    """Return the numbers or the texts of a column; texts if it is to hold categories."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "Mmcbiuf":
        kind = values.dtype.kind
        if kind in "Mm":
            raise TypeError(f"{where}: column {name!r} {_DATES}")
        if kind == "c":
            raise TypeError(f"{where}: column {name!r} holds complex numbers, should be real ones")
        if kind in "iuf" and not is_forced:
            return _floats(where, name, values)
        found: Any = np.ma.getdata(values).tolist() if kind != "f" else list(np.ma.getdata(values))
        if isinstance(values, np.ma.MaskedArray):
            gone = np.ma.getmaskarray(values)
            found = [None if lost else v for lost, v in zip(gone, found, strict=True)]
        values = found
    elif isinstance(values, np.ndarray):
        values = values.tolist()
    return _of_objects(where, name, values, is_forced, missing)


def _floats(where: str, name: str, values: NDArray[Any]) -> NDArray[np.float64]:
    """Return numbers in float64, NaN if they are missing."""
    with np.errstate(over="ignore"):  # of a long double; what becomes infinite is refused
        found = np.array(np.ma.getdata(values), np.float64)
    found[np.ma.getmaskarray(values)] = np.nan
    _check_finite(where, name, found)
    return found


def _check_finite(where: str, name: str, values: NDArray[np.float64]) -> None:
    bad = np.isinf(values)
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(
            f"{where}: row {row}, column {name!r} is {values[row]}, should be a finite number"
        )


def _of_objects(
    where: str, name: str, values: list[Any], is_forced: bool, missing: frozenset[str]
) -> _Parsed:
    """Return values of any types as numbers if all are, and otherwise as texts."""
    kinds = {type(value) for value in values}
    if kinds == {str}:
        return [None if text.strip() in missing else text for text in values]
    for kind in kinds:
        if issubclass(kind, (datetime.date, datetime.time, datetime.timedelta)) and not all(
            is_missing(value) for value in values if type(value) is kind
        ):
            raise TypeError(f"{where}: column {name!r} {_DATES}")
    gone = [is_missing(value, missing) for value in values]
    if not is_forced and all(
        lost or (isinstance(value, (Real, Decimal)) and not isinstance(value, (bool, np.bool_)))
        for value, lost in zip(values, gone, strict=True)
    ):
        return np.array(
            [
                np.nan if lost else _number(where, name, row, value)
                for row, (value, lost) in enumerate(zip(values, gone, strict=True))
            ],
            np.float64,
        )
    return [
        None if lost else _text(where, name, row, value)
        for row, (value, lost) in enumerate(zip(values, gone, strict=True))
    ]


def _number(where: str, name: str, row: int, value: Any) -> float:
    number = number_of(value, numerals.POINT)
    if number is None:
        raise ValueError(
            f"{where}: row {row}, column {name!r} is {value!r}, should be a finite number"
        )
    return number


def _text(where: str, name: str, row: int, value: Any) -> str:
    found = texts_of(value)
    if not found:
        raise TypeError(
            f"{where}: row {row}, column {name!r} is {value!r} of type {type(value).__name__}, "
            f"should be a number, a text or a truth value"
        )
    # The last one of a float has no decimals if it is a whole number.
    return found[-1] if isinstance(value, (float, np.floating)) else found[0]


# ---- Surveys and codes --------------------------------------------------------------------------


def _surveyed(reading: _Reading, name: str, values: _Parsed, is_forced: bool) -> Survey:
    """Return a survey of a column, as that of a file's column."""
    where = reading.where
    survey = Survey(name, is_forced, reading.dialect, reading.keep_missing)
    if isinstance(values, np.ndarray):
        gone = np.isnan(values)
    else:
        gone = np.array([text is None for text in values], bool)
    first = int(gone.argmax()) if gone.any() else None
    if first is not None and not reading.keep_missing:
        raise ValueError(
            f"{where}: row {first}, column {name!r} is missing, should be {reading.cures}"
        )
    if isinstance(values, np.ndarray):
        if first is not None:
            survey.missing, survey.first_missing = int(gone.sum()), f"row {first}"
        there = values[~gone]
        survey.is_whole = bool(np.all(there == np.floor(there)))
        different = np.unique(there)
        few = len(different) <= MOST_CATEGORIES
        texts = map(_spelled, different.tolist())
        survey.codes = {text: i for i, text in enumerate(texts)} if few else None
        return survey
    distinct = [text for text in dict.fromkeys(values) if text is not None]
    places: dict[str | None, int] = {text: i for i, text in enumerate(distinct)}
    places[None] = -1
    piece = Texts(distinct, np.array([places[text] for text in values], np.int32))
    bad = survey.add(piece, _FrameRows(where, 0))
    try:
        if bad is not None:
            raise bad[1]
        survey.check(where)
    except ValueError as error:
        raise ValueError(in_python(str(error))) from None
    return survey


def _spelled(value: float) -> str:
    """Return the text of a number that is a category: whole ones have no decimals."""
    return f"{value:.0f}" if value.is_integer() and abs(value) < 2**53 else repr(value)


def _encoded(column: Column, values: _Parsed, survey: Survey) -> NDArray[Any]:
    """Return float64 numbers with NaN, or int32 indices of categories with -1."""
    if not isinstance(values, np.ndarray):
        return survey.values(column)
    if isinstance(column, Number):
        return values
    different, inverse = np.unique(values, return_inverse=True)
    codes = [-1 if np.isnan(v) else column.codes[_spelled(v)] for v in different.tolist()]
    return np.array(codes, np.int32)[inverse]
