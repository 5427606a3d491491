"""The columns of CSV files: surveys of their texts, and their rows as numbers in blocks.

A category is a text, so 7, 07 and 7.0 are three categories.
"""

from __future__ import annotations

import difflib
import itertools
import math
import re
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn._base.texts import listed
from cnn._tables import numerals
from cnn._tables.csv_file import option
from cnn._tables.dialect import DEFAULT, MISSING, NONE_MISSING, Dialect
from cnn._tables.numerals import POINT
from cnn._tables.pieces import Numbers, Texts, rows_of_a_block
from cnn._tables.reading import opened

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, KeysView, Mapping, Sequence
    from typing import TypeAlias

    from numpy.typing import NDArray

    from cnn._tables.pieces import Piece, Rows
    from cnn._tables.source import Progress

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
# Whole numbers up to here are all float64 numbers, and so are some beyond it.
_EXACT = 1 / np.finfo(np.float64).eps
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
    whole: bool = True
    """Whether the file is the whole table. If it is a part, `values` are not kept, and places of
    values name the file."""
    missing: int = 0
    first_missing: str = ""
    """The row of the first missing value."""
    is_whole: bool = True
    codes: dict[str, int] | None = field(default_factory=dict)
    """The different texts, each with its place in the order in which they first occur, unless
    there are more than a column of categories may have."""
    number: str = ""
    """The first number and its row."""
    word: str = ""
    """The first text that is no number, and its row."""
    inexact: str = ""
    """The first whole number of more digits than float64 has, and its row."""
    disguised: int = 0
    """How many of the different texts are numbers for a person but not for `float`."""
    disguise: str = ""
    """The first of them, its row, and what keeps it from being a number."""
    looked_at: int = 0
    """The number of different texts among which `disguised` were counted."""
    _values: list[NDArray[Any]] = field(default_factory=list)
    """The places of the rows' texts, -1 if missing; the numbers instead if there are too many texts
    for categories, or nothing if those are no numbers."""

    @property
    def texts(self) -> KeysView[str] | None:
        """The different texts, unless there are more than a column of categories may have."""
        return None if self.codes is None else self.codes.keys()

    @property
    def is_number(self) -> bool:
        """Whether it is a column of numbers."""
        return not self.word and not self.forced

    @property
    def takes_numbers(self) -> bool:
        """Whether the next rows may come as numbers, since their texts do not matter."""
        return self.codes is None and self.is_number

    def add(self, piece: Piece, rows: Rows) -> tuple[int, ValueError] | None:
        """Examine and keep the values of some rows.

        Returns the error for the first bad value, with its row.
        """
        if isinstance(piece, Numbers):
            beyond = not self.inexact and np.nanmax(np.abs(piece.values), initial=0) > _EXACT
            if not beyond and (piece.missing is None or self.keep_missing):
                if piece.missing is not None:
                    self._count_missing(piece.missing, rows)
                if self.whole:
                    self._values.append(piece.values)
                return None
            piece = piece.texts()
        missing_texts = self.dialect.missing
        gaps = [False] * len(piece.distinct)
        if not missing_texts.isdisjoint(map(str.strip, piece.distinct)):
            gaps = [text.strip() in missing_texts for text in piece.distinct]
        # The last element, which -1 stands for, is for values that are missing without a text.
        is_gap = np.array([*gaps, True])
        if any(gaps) or (len(piece.indices) and piece.indices.min() < 0):
            missing = is_gap[piece.indices]
            row = self._count_missing(missing, rows)
            if not self.keep_missing:
                code = piece.indices[row]
                text = piece.distinct[code].strip() if code >= 0 else ""
                other = self._examine(piece, is_gap, rows)
                error = rows.refusal(row, self.name, text, self._instead_of_missing(text))
                return other if other is not None and other[0] < row else (row, error)
        found = self._examine(piece, is_gap, rows)
        if found is None and self.whole:
            self._keep(piece, is_gap)
        return found

    def _count_missing(self, missing: NDArray[np.bool_], rows: Rows) -> int:
        """Count missing values, and return the row of the first one."""
        row = int(missing.argmax())
        self.missing += int(np.count_nonzero(missing))
        self.first_missing = self.first_missing or self._place(row, rows)
        return row

    def _examine(
        self, piece: Texts, is_gap: NDArray[np.bool_], rows: Rows
    ) -> tuple[int, ValueError] | None:
        """Examine the texts that are new; return the error for the first bad one, with its row."""
        known = () if self.codes is None else self.codes
        fresh = [
            code
            for code, (text, gap) in enumerate(zip(piece.distinct, is_gap.tolist(), strict=False))
            if not gap and text not in known
        ]
        if not fresh:
            return None
        firsts = piece.firsts().tolist()
        texts = [piece.distinct[code] for code in fresh]
        if self.is_number and self._take_plain(texts, firsts[fresh[0]], rows):
            return None
        for code, text in zip(fresh, texts, strict=True):
            error = self._look(text, firsts[code], rows)
            if error is not None:
                return firsts[code], error
        return None

    def _take_plain(self, texts: list[str], first: int, rows: Rows) -> bool:
        """Examine new texts at once if all are numbers without anything to be noted."""
        found = numerals.numbers(texts, self.dialect.decimal)
        if found is None or (not self.inexact and np.abs(found).max() > _EXACT):
            return False
        self.is_whole = self.is_whole and bool((found == np.trunc(found)).all())
        self.number = self.number or self._found(texts[0], first, rows)
        if self.codes is not None:
            self.looked_at += len(texts)
            self.codes.update(zip(texts, itertools.count(len(self.codes)), strict=False))
            if len(self.codes) > MOST_CATEGORIES:
                self._forget_texts()
        return True

    def _keep(self, piece: Texts, is_gap: NDArray[np.bool_]) -> None:
        """Keep the values of rows whose texts have been examined."""
        if self.codes is not None:
            codes = [
                -1 if gap else self.codes[text]
                for text, gap in zip(piece.distinct, is_gap[:-1].tolist(), strict=True)
            ]
            self._values.append(np.array([*codes, -1], np.int32)[piece.indices])
        elif self.is_number:
            self._values.append(self._numbers_of(piece.distinct, is_gap)[piece.indices])
        else:
            self._values.clear()

    def _numbers_of(self, texts: list[str], is_gap: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the numbers of texts that have been examined, and NaN for those of `is_gap`."""
        found = np.full(len(is_gap), math.nan)
        numbers = numerals.numbers(_others(texts, is_gap), self.dialect.decimal)
        if numbers is not None:
            found[~is_gap] = numbers
        return found

    def _known_numbers(self) -> NDArray[np.float64]:
        """Return the numbers of the different texts, and NaN for the place -1."""
        texts = list(self.codes or ())
        return self._numbers_of(texts, np.array([False] * len(texts) + [True]))

    def values(self, column: Column) -> NDArray[Any]:
        """Return the values of all rows, and keep them no longer.

        They are those of `number`, or of `category`.
        """
        found = np.concatenate(self._values) if self._values else np.zeros(0, np.int32)
        self._values.clear()
        if isinstance(column, Number):
            return found if self.codes is None else self._known_numbers()[found]
        places = [column.codes[text] for text in self.codes or ()]
        return np.array([*places, -1], np.int32)[found]

    def _look(self, text: str, row: int, rows: Rows) -> ValueError | None:
        """Examine a text that may be a new one; return its error, or None."""
        decimal = self.dialect.decimal
        number = numerals.number(text, decimal)
        self.is_whole = self.is_whole and number is not None and number.is_integer()
        if number is not None:
            self.number = self.number or self._found(text, row, rows)
            if abs(number) > _EXACT and not _is_exact(text, number):
                self.inexact = self.inexact or self._found(text, row, rows)
        elif not self.forced and numerals.is_infinite(text, decimal):
            return rows.refusal(
                row, self.name, text, f"a finite number{self._or_category()}, which are texts"
            )
        elif not self.forced and (self.codes is not None or not self.word):
            cause = numerals.disguise(text, decimal)
            found = self._found(text, row, rows, cause)
            self.disguised += cause is not None
            self.disguise = self.disguise or (found if cause else "")
            self.word = self.word or found
        else:
            self.word = self.word or self._found(text, row, rows)
        if self.codes is not None:
            self.looked_at += 1
            self.codes[text] = len(self.codes)
            if len(self.codes) > MOST_CATEGORIES:
                self._forget_texts()
        return None if self.forced else self._disagreement(text, row, rows, number)

    def _place(self, row: int, rows: Rows) -> str:
        return rows.place(row) + ("" if self.whole else f" of {rows.path}")

    def _found(self, text: str, row: int, rows: Rows, cause: str | None = None) -> str:
        return f"{text!r} in {self._place(row, rows)}" + (f", which has {cause}" if cause else "")

    def _forget_texts(self) -> None:
        """Keep numbers in place of texts, or nothing if the texts are no numbers."""
        numbers = self._known_numbers() if self.is_number else None
        self.codes = None
        if numbers is not None:
            self._values = [numbers[codes] for codes in self._values]

    def _disagreement(
        self, text: str, row: int, rows: Rows, number: float | None
    ) -> ValueError | None:
        """Return the error for a text if the column is neither of numbers nor of categories."""
        if number is None and self.dialect.decimal == POINT and _WITH_COMMAS.fullmatch(text):
            expected = "a number with a point and without commas" + self._or_category()
            return rows.refusal(row, self.name, text, f"{expected}; {_DECIMAL_COMMA}")
        return self.mixture(rows.path)

    def mixture(self, path: str) -> ValueError | None:
        """Return the error if there are numbers as well as other texts."""
        if self.forced or not (self.word and self.number):
            return None
        return ValueError(
            f"{path}: column {self.name!r} has {self.number}, but {self.word}; should be "
            f"numbers throughout{self._or_category()}"
        )

    def _or_category(self) -> str:
        return f", or categories by {option('--categories', self.name)}"

    def _instead_of_missing(self, text: str) -> str:
        cures = (
            "a finite number or a category; --missing median, mean or category fills in missing "
            f"values, --missing drop leaves their rows out, {option('--drop', self.name)} the "
            "column"
        )
        if text.strip():
            cures += f"; --missing '' takes {text.strip()!r} for a text like others"
        return cures

    def check(self, path: str) -> None:
        """Refuse texts that look like numbers, since each would become a category."""
        if self.forced or not self.word:
            return
        found = self.disguise
        if self.disguised < _MOSTLY * self.looked_at:
            units = {numerals.unit(text) for text in self.codes or ()}
            if len(self.codes or ()) <= _FEW_WITH_UNIT or len(units) > 1 or None in units:
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
        if self.codes is None:
            raise ValueError(
                f"{path}: column {self.name!r} has more than {MOST_CATEGORIES} different texts, "
                f"which are too many for categories"
            )

        def place(text: str) -> tuple[bool, float, str]:
            number = numerals.number(text, self.dialect.decimal)
            return number is None, number or 0.0, text

        return Category(self.name, tuple(sorted(self.codes, key=place)))


def survey(
    path: str,
    *,
    needed: Collection[str] = (),
    drop: Collection[str] = (),
    categories: Collection[str] = (),
    dialect: Dialect = DEFAULT,
    keep_missing: bool = False,
    whole: bool = True,
    progress: Progress | None = None,
) -> tuple[int, dict[str, Survey]]:
    """Read a file once and return the number of its rows, and a survey of each column.

    If the file is the `whole` table, the surveys keep the values, and are checked. Columns that are
    `needed`, to be dropped, or of categories must exist. The texts of a column to be dropped are
    not examined. An empty name among those to be dropped stands for all columns without a name. If
    such a column is empty, because lines end with a delimiter, it is always left out.
    """
    dropped, forced = set(drop), set(categories)
    with opened(path, dialect) as table:
        for name in (*needed, *drop, *categories):
            if name or not table.unnamed or name not in dropped:
                table.column(name)
        places = [i for i, name in enumerate(table.names) if name and name not in dropped]
        found = [
            Survey(name, name in forced, dialect, keep_missing, whole)
            for name in map(table.names.__getitem__, places)
        ]
        unnamed = [] if "" in dropped else table.unnamed
        as_numbers = [False] * (len(found) + len(unnamed))
        rows = 0
        for part in table.parts([*places, *unnamed], as_numbers, len(table.names), progress):
            rows += part.count
            errors = [
                error
                for column, piece in zip(found, part.pieces, strict=False)
                if (error := column.add(piece, part.rows)) is not None
            ]
            errors += [
                error
                for i, piece in zip(unnamed, part.pieces[len(found) :], strict=True)
                if (error := _without_name(i, piece, part.rows)) is not None
            ]
            if errors:
                # The error of the first bad row, and of its first bad column.
                raise min(errors, key=lambda error: error[0])[1]
            as_numbers[: len(found)] = [column.takes_numbers for column in found]
        path = table.path
    if rows == 0:
        raise ValueError(f"{path}: the file has no rows but the first, which has names")
    for column in found if whole else ():
        column.check(path)
    return rows, {column.name: column for column in found}


def _others(texts: list[str], is_gap: NDArray[np.bool_]) -> list[str]:
    return [text for text, gap in zip(texts, is_gap.tolist(), strict=False) if not gap]


def _is_exact(text: str, number: float) -> bool:
    """Whether a whole number is the one that its text stands for; True for other numbers."""
    # Zeros aside, the digits of a finite number are few enough for int.
    digits = text.strip().removeprefix("+").removeprefix("-").lstrip("0") or "0"
    return not digits.isdecimal() or int(digits) == abs(int(number))


def _without_name(place: int, piece: Piece, rows: Rows) -> tuple[int, ValueError] | None:
    """Return the first row with a text in a column without a name, and its error."""
    if isinstance(piece, Texts):
        for row, text in zip(piece.firsts().tolist(), piece.distinct, strict=True):
            if text:
                line = "" if rows.lines is None else " in the first line"
                return row, ValueError(
                    f"{rows.path}: column {place + 1} has no name{line}, but {text!r} in "
                    f"{rows.place(row)}; --drop '' leaves out columns without a name, such as an "
                    f"index"
                )
    return None


# ---- Values ------------------------------------------------------------------------------------


def blocks(
    path: str,
    columns: Sequence[Column],
    dialect: Dialect = NONE_MISSING,
    *,
    keep_missing: bool = False,
    texts: Mapping[str, list[str]] = MappingProxyType({}),
    progress: Progress | None = None,
) -> Iterator[NDArray[np.float64]]:
    """Yield the values of columns of a file, block by block.

    A block has a column for each of `columns`: the numbers, or the indices of the categories. The
    file may have other columns too, in any order. Texts of `dialect.missing` are refused even if a
    column has them among its categories; with `keep_missing` they become NaN, or the index -1.

    `texts` has an empty list for each further column whose texts are wanted; the texts of a block
    are in it before the block is yielded.
    """
    with opened(path, dialect) as table:
        places = [table.column(column.name) for column in columns]
        wanted = [table.column(name) for name in texts]
        is_number = [isinstance(column, Number) for column in columns] + [False] * len(wanted)
        width = max(len(table.names), sum(column.width for column in columns))
        most = rows_of_a_block(width)
        for part in table.parts([*places, *wanted], is_number, width, progress):
            values = np.empty((part.count, len(columns)))
            errors = []
            for i, (column, piece) in enumerate(zip(columns, part.pieces, strict=False)):
                found = _encoded(column, piece, dialect, keep_missing)
                if isinstance(found, int):
                    errors.append((found, _refused(column, piece, found, part.rows, dialect)))
                else:
                    values[:, i] = found
            if errors:
                raise min(errors, key=lambda error: error[0])[1]
            for kept, piece in zip(texts.values(), part.pieces[len(columns) :], strict=True):
                kept.extend(_row_by_row(piece))
            for first in range(0, part.count, most):
                yield values[first : first + most]


def _row_by_row(piece: Piece) -> list[str]:
    """Return the texts of all rows, empty if missing."""
    found = piece.texts() if isinstance(piece, Numbers) else piece
    return [found.distinct[code] if code >= 0 else "" for code in found.indices.tolist()]


def _encoded(
    column: Column, piece: Piece, dialect: Dialect, keep_missing: bool
) -> NDArray[np.float64] | int:
    """Return the values of some rows, or the row of the first one without a value."""
    missing = math.nan if isinstance(column, Number) else -1.0
    if isinstance(piece, Numbers):
        if piece.missing is None or keep_missing:
            return piece.values
        return int(piece.missing.argmax())
    # Each different text is looked up once. NumPy makes NaN of None.
    found: list[float | None] = [
        missing
        if keep_missing and text.strip() in dialect.missing
        else None
        if text in dialect.missing
        else _encode(column, text, dialect)
        for text in piece.distinct
    ]
    values = np.array([*found, missing], np.float64)[piece.indices]
    is_bad = np.array([*(value is None for value in found), not keep_missing])
    bad = is_bad[piece.indices]
    return int(bad.argmax()) if bad.any() else values


def _encode(column: Column, text: str, dialect: Dialect) -> float | None:
    if isinstance(column, Number):
        return column.encode(text, dialect.decimal)
    return column.encode(text)


def _refused(column: Column, piece: Piece, row: int, rows: Rows, dialect: Dialect) -> ValueError:
    """Return the error for a row without a value in a column, with a suggestion."""
    found = piece.texts() if isinstance(piece, Numbers) else piece
    code = found.indices[row]
    text = found.distinct[code] if code >= 0 else ""
    expected = column.expected
    if text in dialect.missing or text.strip() in MISSING:
        expected += (
            "; missing values should be filled in, or their rows left out, unless 'train' learns "
            "what they become, as by --missing median"
        )
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
