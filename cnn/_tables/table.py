"""The columns of CSV files: surveys of their texts, and their rows as numbers in blocks.

A category is a text, so 7, 07 and 7.0 are three categories.
"""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from cnn._base.texts import listed
from cnn._tables import numerals
from cnn._tables.csv_file import DEFAULT, MISSING, NONE_MISSING, Dialect, opened, option
from cnn._tables.numerals import POINT

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from typing import TypeAlias

    from numpy.typing import NDArray

    from cnn._tables.csv_file import Rows

# A number with a decimal comma, or with commas between thousands.
_WITH_COMMAS = re.compile(r"[+-]?[0-9.]*,[0-9.,]*[0-9]", re.ASCII)
# The most categories of a column. Columns with more hold names or row numbers.
MOST_CATEGORIES = 1000
# The share of a column's texts that look like numbers from which the column is refused.
_MOSTLY = 0.8
# The most texts with the same unit that may be categories.
_FEW_WITH_UNIT = 20
_DECIMAL_COMMA = (
    "commas between thousands should be left out; --decimal , reads commas as decimal marks"
)
# The most categories that are searched for one like a text, since each costs time.
_MOST_NEAR = 1000
_LONGEST_NEAR = 100


# ---- Columns -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Number:
    """A column of numbers, standardised as (value - mean) / scale."""

    name: str
    mean: float = 0.0
    scale: float = 1.0

    @property
    def width(self) -> int:
        """How many inputs or outputs of a network it takes."""
        return 1

    def encode(self, text: str, decimal: str = POINT) -> float | None:
        """Return the number that a text stands for, or None."""
        return numerals.number(text, decimal)

    @property
    def expected(self) -> str:
        """What its texts should be."""
        return "a finite number"


@dataclass(frozen=True)
class Category:
    """A column of categories, each of which has an input or output of its own."""

    name: str
    categories: tuple[str, ...]
    by_number: bool = False
    """Whether a text that is not listed stands for the category with the same number.

    It does in models of file format 1, which keep one spelling of each number."""

    @property
    def width(self) -> int:
        """How many inputs or outputs of a network it takes."""
        return len(self.categories)

    @cached_property
    def codes(self) -> dict[str, int]:
        """The place of each category."""
        return {text: i for i, text in enumerate(self.categories)}

    def encode(self, text: str) -> int | None:
        """Return the place of a text among the categories, or None."""
        code = self.codes.get(text)
        if code is None and self.by_number and (number := numerals.number(text)) is not None:
            whole = number.is_integer() and abs(number) < 1e15
            code = self.codes.get(str(int(number)) if whole else repr(number))
        return code

    @property
    def expected(self) -> str:
        """What its texts should be."""
        return f"one of {listed(self.categories)}"

    def nearest(self, text: str) -> str | None:
        """Return the category that is most like a text, or None."""
        some = [known for known in self.categories[:_MOST_NEAR] if len(known) <= _LONGEST_NEAR]
        number = numerals.number(text)
        for known in some:
            if number is not None and numerals.number(known) == number:
                return known
        by_letters = {" ".join(known.split()).casefold(): known for known in some}
        close = difflib.get_close_matches(
            " ".join(text[:_LONGEST_NEAR].split()).casefold(), by_letters, n=1
        )
        return by_letters[close[0]] if close else None


Column: TypeAlias = "Number | Category"


# ---- Looking at columns ------------------------------------------------------------------------


@dataclass
class Survey:
    """What a column of a file holds."""

    name: str
    forced: bool = False
    """Whether the user has named it as a column of categories."""
    dialect: Dialect = field(default_factory=Dialect)
    keep_missing: bool = False
    """Whether a missing value is counted and not refused."""
    missing: int = 0
    first_missing: str = ""
    """The row of the first missing value."""
    is_whole: bool = True
    texts: set[str] | None = field(default_factory=set)
    """The different texts, unless there are more than a column of categories may have."""
    number: str = ""
    """The first number and its row."""
    word: str = ""
    """The first text that is no number, and its row."""
    inexact: str = ""
    """The first whole number of more digits than float64 has, and its row."""
    _disguised: int = 0
    """How many of the different texts are numbers for a person but not for `float`."""
    _disguise: str = ""
    """The first of them, its row, and what keeps it from being a number."""
    _looked_at: int = 0
    """The number of different texts among which `_disguised` were counted."""

    @property
    def is_number(self) -> bool:
        """Whether it is a column of numbers."""
        return not self.word and not self.forced

    def add(self, texts: list[str], rows: Rows) -> tuple[int, ValueError] | None:
        """Examine the texts of some rows; return the error for the first bad one, with its row."""
        missing, decimal = self.dialect.missing, self.dialect.decimal
        fresh = set(texts)
        if self.keep_missing and (gaps := {text for text in fresh if text.strip() in missing}):
            lost = [row for row, text in enumerate(texts) if text in gaps]
            self.missing += len(lost)
            self.first_missing = self.first_missing or rows.place(lost[0])
            fresh -= gaps
        if self.texts is not None:
            fresh -= self.texts
        elif (
            self.is_number
            and missing.isdisjoint(fresh)
            and numerals.numbers(list(fresh), decimal) is not None
        ):
            return None
        for row, text in enumerate(texts if fresh else ()):
            if text in fresh:
                fresh.remove(text)
                error = self._look(text, row, rows)
                if error is not None:
                    return row, error
        return None

    def _look(self, text: str, row: int, rows: Rows) -> ValueError | None:
        """Examine a text that may be a new one; return its error, or None."""
        if text.strip() in self.dialect.missing:
            return rows.refusal(row, self.name, text.strip(), self._instead_of_missing(text))
        decimal = self.dialect.decimal
        number = numerals.number(text, decimal)
        self.is_whole = self.is_whole and number is not None and number.is_integer()
        found = f"{text!r} in {rows.place(row)}"
        if number is not None:
            self.number = self.number or found
            if abs(number) > 1 / np.finfo(np.float64).eps and not _is_exact(text, number):
                self.inexact = self.inexact or found
        elif not self.forced and numerals.is_infinite(text, decimal):
            return rows.refusal(
                row, self.name, text, f"a finite number{self._or_category()}, which are texts"
            )
        else:
            if not self.forced and (self.texts is not None or not self.word):
                cause = numerals.disguise(text, decimal)
                self._disguised += cause is not None
                found += f", which has {cause}" if cause else ""
                self._disguise = self._disguise or (found if cause else "")
            self.word = self.word or found
        if self.texts is not None:
            self._looked_at += 1
            self.texts.add(text)
            if len(self.texts) > MOST_CATEGORIES:
                self.texts = None
        return None if self.forced else self._disagreement(text, row, rows, number)

    def _disagreement(
        self, text: str, row: int, rows: Rows, number: float | None
    ) -> ValueError | None:
        """Return the error for a text if the column is neither of numbers nor of categories."""
        if number is None and self.dialect.decimal == POINT and _WITH_COMMAS.fullmatch(text):
            expected = "a number with a point and without commas" + self._or_category()
            return rows.refusal(row, self.name, text, f"{expected}; {_DECIMAL_COMMA}")
        if self.word and self.number:
            return ValueError(
                f"{rows.path}: column {self.name!r} has {self.number}, but {self.word}; should be "
                f"numbers throughout{self._or_category()}"
            )
        return None

    def _or_category(self) -> str:
        return f", or categories by {option('--categories', self.name)}"

    def _instead_of_missing(self, text: str) -> str:
        cures = (
            "a finite number or a category; missing values should be filled in, or their rows left "
            f"out, or the column by {option('--drop', self.name)}"
        )
        if text.strip():
            cures += f"; --missing '' takes {text.strip()!r} for a text like others"
        return cures

    def check(self, path: str) -> None:
        """Refuse texts that look like numbers, since each would become a category."""
        if self.forced or not self.word:
            return
        found = self._disguise
        if self._disguised < _MOSTLY * self._looked_at:
            units = {numerals.unit(text) for text in self.texts or ()}
            if len(self.texts or ()) <= _FEW_WITH_UNIT or len(units) > 1 or None in units:
                return
            found = f"{self.word}, which has {units.pop()}"
        raise ValueError(
            f"{path}: column {self.name!r} has {found}; should be plain numbers such as "
            f"-1234.5{self._or_category()}"
        )

    def category(self, path: str) -> Category:
        """Return the column as one of categories.

        Numbers come first, by their values, and different texts for one number by their characters.
        Other texts follow, by their characters.
        """
        if self.texts is None:
            raise ValueError(
                f"{path}: column {self.name!r} has more than {MOST_CATEGORIES} different texts, "
                f"which are too many for categories"
            )

        def place(text: str) -> tuple[bool, float, str]:
            number = numerals.number(text, self.dialect.decimal)
            return number is None, number or 0.0, text

        return Category(self.name, tuple(sorted(self.texts, key=place)))


def survey(
    path: str,
    *,
    needed: Collection[str] = (),
    drop: Collection[str] = (),
    categories: Collection[str] = (),
    dialect: Dialect = DEFAULT,
    keep_missing: bool = False,
) -> tuple[int, dict[str, Survey]]:
    """Read a file and return the number of its rows, and a survey of each column.

    Columns that are `needed`, to be dropped, or of categories must exist. The texts of a column to
    be dropped are not examined. An empty name among those to be dropped stands for all columns
    without a name. If such a column is empty, because lines end with a delimiter, it is always left
    out.
    """
    dropped, forced = set(drop), set(categories)
    with opened(path, dialect) as table:
        for name in (*needed, *drop, *categories):
            if name or not table.unnamed or name not in dropped:
                table.column(name)
        found = [
            (i, Survey(name, name in forced, dialect, keep_missing))
            for i, name in enumerate(table.names)
            if name and name not in dropped
        ]
        unnamed = [] if "" in dropped else table.unnamed
        rows = 0
        for block in table.rows(len(table.names)):
            rows += len(block.fields)
            errors = [
                error
                for i, column in found
                if (error := column.add(block.column(i), block)) is not None
            ]
            errors += [error for i in unnamed if (error := _without_name(i, block)) is not None]
            if errors:
                # The error of the first bad row, and of its first bad column.
                raise min(errors, key=lambda error: error[0])[1]
    if rows == 0:
        raise ValueError(f"{path}: the file has no rows but the first, which has names")
    for _, column in found:
        column.check(path)
    return rows, {column.name: column for _, column in found}


def _is_exact(text: str, number: float) -> bool:
    """Whether a whole number is the one that its text stands for; True for other numbers."""
    # Zeros aside, the digits of a finite number are few enough for int.
    digits = text.strip().removeprefix("+").removeprefix("-").lstrip("0") or "0"
    return not digits.isdecimal() or int(digits) == abs(int(number))


def _without_name(place: int, rows: Rows) -> tuple[int, ValueError] | None:
    """Return the first row with a text in a column without a name, and its error."""
    for row, text in enumerate(rows.column(place)):
        if text:
            return row, ValueError(
                f"{rows.path}: column {place + 1} has no name in the first line, but {text!r} in "
                f"{rows.place(row)}; --drop '' leaves out columns without a name, such as an index"
            )
    return None


# ---- Values ------------------------------------------------------------------------------------


def blocks(
    path: str,
    columns: Sequence[Column],
    dialect: Dialect = NONE_MISSING,
    *,
    keep_missing: bool = False,
) -> Iterator[NDArray[np.float64]]:
    """Yield the values of columns of a file, block by block.

    A block has a column for each of `columns`: the numbers, or the indices of the categories. The
    file may have other columns too, in any order. Texts of `dialect.missing` are refused even if a
    column has them among its categories; with `keep_missing` they become NaN, or the index -1.
    """
    with opened(path, dialect) as table:
        places = [table.column(column.name) for column in columns]
        width = max(len(table.names), sum(column.width for column in columns))
        for rows in table.rows(width):
            values = np.empty((len(rows.fields), len(columns)))
            errors = []
            for i, (column, place) in enumerate(zip(columns, places, strict=True)):
                texts = rows.column(place)
                found = _encoded(column, texts, dialect, keep_missing)
                if isinstance(found, int):
                    errors.append((found, _refused(column, texts[found], found, rows, dialect)))
                else:
                    values[:, i] = found
            if errors:
                raise min(errors, key=lambda error: error[0])[1]
            yield values


def _encoded(
    column: Column, texts: list[str], dialect: Dialect, keep_missing: bool
) -> NDArray[np.float64] | list[float] | int:
    """Return the values of texts, or the row of the first one without a value."""
    if dialect.missing.isdisjoint(texts) and isinstance(column, Number):
        numbers = numerals.numbers(texts, dialect.decimal)
        if numbers is not None:
            return numbers
    # Each different text is looked up once.
    known = {text: _value(column, text, dialect, keep_missing) for text in set(texts)}
    values = [value for text in texts if (value := known[text]) is not None]
    if len(values) == len(texts):
        return values
    return next(row for row, text in enumerate(texts) if known[text] is None)


def _value(column: Column, text: str, dialect: Dialect, keep_missing: bool) -> float | None:
    """Return the value of a text, or None if it is refused."""
    if keep_missing and text.strip() in dialect.missing:
        return math.nan if isinstance(column, Number) else -1
    return None if text in dialect.missing else _encode(column, text, dialect)


def _encode(column: Column, text: str, dialect: Dialect) -> float | None:
    if isinstance(column, Number):
        return column.encode(text, dialect.decimal)
    return column.encode(text)


def _refused(column: Column, text: str, row: int, rows: Rows, dialect: Dialect) -> ValueError:
    """Return the error for a text without a value in a column, with a suggestion."""
    expected = column.expected
    if text in dialect.missing or text.strip() in MISSING:
        expected += "; missing values should be filled in, or their rows left out"
    elif isinstance(column, Number):
        cause = numerals.disguise(text, dialect.decimal)
        if cause is not None:
            expected += f", but has {cause}"
        if dialect.decimal == POINT and _WITH_COMMAS.fullmatch(text):
            expected += f"; {_DECIMAL_COMMA}"
    else:
        near = column.nearest(text)
        if near is not None:
            expected += f"; the model knows {near!r}, which is another text"
    return rows.refusal(row, column.name, text, expected)
