"""A table in memory, as training takes it: columns of numbers and of categories.

`read` makes it of a file; a data frame becomes one as well. What is missing is NaN in a column of
numbers, and the index -1 in one of categories.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from cnn._base import extras
from cnn._tables import table
from cnn._tables.csv_file import option
from cnn._tables.dialect import DEFAULT, Dialect
from cnn._tables.source import name_of
from cnn._tables.table import Category, Number, Survey

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from numpy.typing import NDArray

    from cnn._tables.source import Progress
    from cnn._tables.table import Column

# A target of whole numbers holds classes if it has at most this many different texts.
_MOST_CLASSES = 20
# The bytes of a file that takes the csv module more than some seconds.
_SLOW_SIZE = 1 << 23


@dataclass
class ColumnContent:
    """The values of a column."""

    column: Column
    """A `Number` without statistics, or a `Category` with the texts that occur."""
    values: NDArray[Any]
    """float64 numbers, NaN if missing; or int32 indices of categories, -1 if missing."""
    missing: int = 0
    """How many values are missing."""
    first_missing: str = ""
    """The place of the first of them, for messages; empty if there is none."""
    inexact: str = ""
    """The first whole number of more digits than float64 has, and its place."""


@dataclass
class ColumnOutline:
    """What is known of a column whose values are elsewhere; the fields as in `ColumnContent`."""

    column: Column
    missing: int = 0
    first_missing: str = ""
    inexact: str = ""


@dataclass
class Content:
    """A table in memory."""

    source: str
    """What begins messages: the path of a file, or the function that took a data frame."""
    rows: int
    columns: dict[str, ColumnContent]
    """The columns by their names, in the order of the table; the target too."""
    hint: str = ""
    """A note on the other task that the target would allow."""


def read(
    path: str,
    *,
    target: str,
    task: str = "auto",
    drop: Collection[str] = (),
    categories: Collection[str] = (),
    dialect: Dialect = DEFAULT,
    keep_missing: bool = False,
    progress: Progress | None = None,
) -> Content:
    """Read a file for training.

    Parameters
    ----------
    path : str
        The file.
    target : str
        The column to predict.
    task : {"auto", "classification", "regression"}
        What the target is taken for; "auto" follows `columns_of`.
    drop : collection of str
        Columns to be left out. An empty name stands for all columns without a name.
    categories : collection of str
        Columns of categories, whatever their texts are.
    dialect : Dialect
        How the file is written, and which texts stand for a missing value.
    keep_missing : bool
        Whether missing values are kept, as NaN and -1; otherwise the first one is refused.
    progress : callable, optional
        Called now and then while the file is read.

    Raises
    ------
    ValueError
        If the file is no table, if a value is neither, or if the target does not suit the task.
    """
    forced = forced_categories(target, task, drop, categories)
    rows, surveys = table.survey(
        path,
        needed=[target],
        drop=drop,
        categories=forced,
        dialect=dialect,
        keep_missing=keep_missing,
        progress=progress,
    )
    source = name_of(path)
    columns, hint = decided(source, rows, task, target, surveys)
    contents = {}
    for name, survey in surveys.items():
        column = columns[name]
        contents[name] = ColumnContent(
            column, survey.values(column), survey.missing, survey.first_missing, survey.inexact
        )
    return Content(source, rows, contents, hint)


def forced_categories(
    target: str, task: str, drop: Collection[str], categories: Collection[str]
) -> set[str]:
    """Return the columns of categories, whatever their texts are; the arguments as for `read`."""
    if target in drop:
        raise ValueError(f"column {target!r} is the target, and cannot be left out")
    if task == "regression" and target in categories:
        raise ValueError(f"column {target!r} is the target of regression, which has no categories")
    return {*categories, target} if task == "classification" else set(categories)


def decided(
    source: str, rows: int, task: str, target: str, surveys: Mapping[str, Survey]
) -> tuple[dict[str, Column], str]:
    """Return what `columns_of` does, after checks of the surveys of a file's columns."""
    if len(surveys) == 1:
        raise ValueError(f"{source}: there is no column to learn from, only the target")
    for name, survey in surveys.items():
        if survey.missing == rows:
            raise ValueError(
                f"{source}: column {name!r} has missing values only; {option('--drop', name)} "
                f"leaves it out"
            )
    return columns_of(source, task, target, surveys)


def columns_of(
    source: str, task: str, target: str, surveys: Mapping[str, Survey]
) -> tuple[dict[str, Column], str]:
    """Return the columns by their names, and a note on the other task that the target allows.

    With the task "auto", the target holds classes if it has texts, or at most 20 different texts
    that are all whole numbers.
    """
    goal, hint = _target_of(source, task, surveys[target])
    columns = {
        name: goal
        if name == target
        else Number(name)
        if survey.is_number
        else survey.category(source)
        for name, survey in surveys.items()
    }
    return columns, hint


def _target_of(source: str, task: str, goal: Survey) -> tuple[Column, str]:
    """Return the column of a target, and a note on the other task."""
    hint = ""
    whole = goal.is_number and goal.is_whole and goal.texts is not None
    if task == "auto":
        few = goal.texts is not None and len(goal.texts) <= _MOST_CLASSES
        task = "classification" if (whole and few) or not goal.is_number else "regression"
        if goal.is_number and few and not whole:
            hint = "--task classification would take its texts for classes"
        elif whole:
            hint = (
                "--task regression would take it for a number"
                if few
                else "--task classification would take its numbers for classes"
            )
    if task == "regression":
        if not goal.is_number:
            raise ValueError(
                f"{source}: column {goal.name!r} has {goal.word}, but regression needs numbers"
            )
        return Number(goal.name), hint
    found = goal.category(source)
    check_classes(source, found)
    return found, hint


def check_classes(source: str, goal: Category) -> None:
    """Refuse a target of one class."""
    if goal.width == 1:
        raise ValueError(
            f"{source}: column {goal.name!r} is always {goal.categories[0]!r}, should have at "
            f"least 2 classes"
        )


def missing_target(source: str, name: str, place: str) -> ValueError:
    """Return the error for a target that is missing in a row, whose place is given."""
    return ValueError(
        f"{source}: {place}, column {name!r} is missing, should be known, since it is the target; "
        f"the policy 'drop' leaves out rows without it"
    )


def note_on_digits(content: ColumnContent | ColumnOutline) -> str:
    """Return a note on numbers with more digits than float64 has, or an empty text."""
    name = content.column.name
    if not content.inexact or isinstance(content.column, Category):
        return ""
    return (
        f"column {name} has {content.inexact}, of which a number keeps the first digits alone; "
        f"{option('--categories', name)} keeps texts"
    )


def note_on_speed(path: str) -> str:
    """Return a note on what would read a large file faster, or an empty text."""
    is_large = os.path.isfile(path) and os.path.getsize(path) >= _SLOW_SIZE
    if not is_large or find_spec("pyarrow") is not None:
        return ""
    return f"{path} is large; it is read faster after {extras.install('table')}"
