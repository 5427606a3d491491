"""CSV files for the command line: their columns, and their rows as numbers, block by block.

Every refusal tells the file, the row (counted from 1, without the header) with its line, and the
column.
"""

from __future__ import annotations

import contextlib
import csv
import difflib
import itertools
import math
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from typing import TypeAlias

    from numpy.typing import NDArray

# What programs write where they have no value.
_MISSING = frozenset(
    {
        "",
        "NA",
        "N/A",
        "n/a",
        "<NA>",
        "#N/A",
        "NaN",
        "nan",
        "-nan",
        "NAN",
        "NULL",
        "null",
        "None",
        "?",
    }
)
# A number whose decimals, or whose thousands, are set off by commas.
_WITH_COMMAS = re.compile(r"[+-]?[0-9.]*,[0-9.,]*[0-9]", re.ASCII)
# One input for each would be too many; such texts are names or numbers of rows.
MOST_CATEGORIES = 1000
_BLOCK = 4096  # rows that are read at a time


# ---- Columns -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Number:
    """A column of numbers, of which (value - mean) / scale is used."""

    name: str
    mean: float = 0.0
    scale: float = 1.0

    @property
    def width(self) -> int:
        """How many inputs or outputs of a network it takes."""
        return 1

    def encode(self, text: str) -> float | None:
        """Return the number that a text stands for, or None."""
        return _number(text)

    @property
    def expected(self) -> str:
        """What its texts should be."""
        return "a finite number"


@dataclass(frozen=True)
class Category:
    """A column of categories, each of which has an input or output of its own."""

    name: str
    categories: tuple[str, ...]

    @property
    def width(self) -> int:
        """How many inputs or outputs of a network it takes."""
        return len(self.categories)

    @cached_property
    def _codes(self) -> dict[str, int]:
        return {text: i for i, text in enumerate(self.categories)}

    def encode(self, text: str) -> float | None:
        """Return the place of a text among the categories, or None."""
        code = self._codes.get(text)
        if code is None and (number := _number(text)) is not None:
            code = self._codes.get(_spelling(number))  # 1.0 is the category 1
        return code

    @property
    def expected(self) -> str:
        """What its texts should be."""
        return f"one of {listed(self.categories)}"


Column: TypeAlias = "Number | Category"


def _number(text: str) -> float | None:
    """Return the finite number that a text stands for, or None."""
    if "_" in text:  # 1_000 is a number in Python alone
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _spelling(number: float) -> str:
    """Return the one text for a number that is a category."""
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)


def listed(names: Sequence[str], most: int = 10) -> str:
    """Return names in a line, the first of them where there are many."""
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


# ---- Reading -----------------------------------------------------------------------------------


class _Table:
    """An open CSV file: the names of its columns, and its rows one after the other."""

    def __init__(self, path: str, file: TextIO) -> None:
        self.path = path
        self._row = 0
        first = file.readline()
        if not first.strip():
            raise ValueError(f"{path}: the first line is empty, should have the columns' names")
        # The delimiter is the one that the first line has most of; a comma where it has none.
        delimiter = max(",;\t", key=re.sub('"[^"]*"', "", first).count)
        self._reader = csv.reader(
            itertools.chain([first], file),
            delimiter=delimiter,
            strict=True,
            skipinitialspace=True,  # a quote may follow a space, too
        )
        self.names = [name.strip() for name in self._next() or []]
        self._check_names()

    def _check_names(self) -> None:
        where = f"{self.path}: column"
        for i, name in enumerate(self.names):
            if not name:
                raise ValueError(f"{where} {i + 1} has no name in the first line")
            if name in self.names[:i]:
                raise ValueError(f"{where} {name!r} is there twice, names should differ")
        if all(_number(name) is not None for name in self.names):
            raise ValueError(
                f"{self.path}: the first line has numbers ({', '.join(self.names[:3])} ...), "
                f"should have the columns' names"
            )

    def _next(self) -> list[str] | None:
        try:
            return next(self._reader, None)
        except csv.Error as error:
            raise ValueError(f"{self.path}: line {self._reader.line_num}: {error}") from error

    def __iter__(self) -> Iterator[list[str]]:
        while (fields := self._next()) is not None:
            if not fields:
                continue  # an empty line
            self._row += 1
            if len(fields) != len(self.names):
                raise ValueError(
                    f"{self.path}: {self.place()} has {len(fields)} fields, should have "
                    f"{len(self.names)}, as the first line does"
                )
            yield [field.strip() for field in fields]

    def place(self) -> str:
        """Return where the row is that was read last."""
        return f"row {self._row} (line {self._reader.line_num})"

    def column(self, name: str) -> int:
        """Return the number of the column with a name."""
        if name in self.names:
            return self.names.index(name)
        by_letters = {other.casefold(): other for other in self.names}
        close = difflib.get_close_matches(name.casefold(), by_letters, n=1)
        hint = f"; did you mean {by_letters[close[0]]!r}?" if close else ""
        raise ValueError(
            f"{self.path}: column {name!r} is missing, the file has {listed(self.names)}{hint}"
        )

    def refusal(self, name: str, text: str, expected: str) -> ValueError:
        """Return the error for a text of the row that was read last."""
        found = f"is {text!r}" if text else "is empty"
        if text in _MISSING:
            expected += "; missing values should be filled in, or their rows left out"
        return ValueError(
            f"{self.path}: {self.place()}, column {name!r} {found}, should be {expected}"
        )


@contextlib.contextmanager
def _opened(path: str) -> Iterator[_Table]:
    try:
        # utf-8-sig, since spreadsheets write a mark at the beginning.
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            yield _Table(path, file)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path}: {_undecodable(Path(path))} is not UTF-8, should be text saved as UTF-8"
        ) from error


def _undecodable(path: Path) -> str:
    """Return where the first byte of a file is that is not UTF-8."""
    # The error itself counts from the block that was read. What is no file has been used up.
    if path.is_file():
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    line.decode()
                except UnicodeDecodeError as error:
                    return f"byte 0x{line[error.start]:02x} in line {number}"
    return "the content"


@dataclass
class Survey:
    """What a column of a file holds."""

    name: str
    forced: bool = False
    """Whether it has categories, whatever they look like."""
    is_whole: bool = True
    texts: set[str] | None = field(default_factory=set)
    """The different texts, unless there are more than categories can be."""
    number: str = ""
    """The first number and its place."""
    word: str = ""
    """The first text that is no number, and its place."""

    @property
    def is_number(self) -> bool:
        """Whether it has numbers to count with."""
        return not self.word and not self.forced

    def add(self, text: str, table: _Table) -> None:
        """Look at a text of the row that was read last."""
        if self.texts is not None:
            if text in self.texts:
                return
            self.texts.add(text)
            if len(self.texts) > MOST_CATEGORIES:
                self.texts = None
        number = _number(text)
        self.is_whole = self.is_whole and number is not None and number.is_integer()
        if number is None:
            self.word = self.word or f"{text!r} in {table.place()}"
        else:
            self.number = self.number or f"{text!r} in {table.place()}"
        if self.forced:
            return
        if number is None and _WITH_COMMAS.fullmatch(text):
            raise table.refusal(
                self.name, text, "a number with a point and without commas" + self._or_category()
            )
        if self.word and self.number:
            raise ValueError(
                f"{table.path}: column {self.name!r} has {self.number}, but {self.word}; should be "
                f"numbers throughout{self._or_category()}"
            )

    def _or_category(self) -> str:
        return f", or categories by --categories {self.name}"

    def category(self, path: str) -> Category:
        """Return the column as one of categories, in the order of numbers or of letters."""
        if self.texts is None:
            raise ValueError(
                f"{path}: column {self.name!r} has more than {MOST_CATEGORIES} different texts, "
                f"which are too many for categories"
            )
        if not self.word:
            numbers = {number for text in self.texts if (number := _number(text)) is not None}
            return Category(self.name, tuple(_spelling(number) for number in sorted(numbers)))
        # A number among words has one spelling as well.
        spelt = (text if (n := _number(text)) is None else _spelling(n) for text in self.texts)
        return Category(self.name, tuple(sorted(set(spelt))))


def survey(
    path: str,
    *,
    needed: Collection[str] = (),
    drop: Collection[str] = (),
    categories: Collection[str] = (),
) -> tuple[int, dict[str, Survey]]:
    """Read a file and return the number of its rows, and what is in its columns.

    Columns that are `needed`, to be dropped, or of categories must be there; what is in those to
    be dropped is not looked at.
    """
    with _opened(path) as table:
        for name in (*needed, *drop, *categories):
            table.column(name)
        found = [
            (i, Survey(name, forced=name in categories))
            for i, name in enumerate(table.names)
            if name not in drop
        ]
        rows = 0
        for fields in table:
            rows += 1
            for i, column in found:
                text = fields[i]
                if text in _MISSING or text.lower().lstrip("+-") in ("inf", "infinity"):
                    raise table.refusal(column.name, text, "a finite number or a category")
                column.add(text, table)
    if rows == 0:
        raise ValueError(f"{path}: the file has no rows but the first, which has names")
    return rows, {column.name: column for _, column in found}


def blocks(path: str, columns: Sequence[Column]) -> Iterator[NDArray[np.float64]]:
    """Read columns of a file, some rows at a time.

    A block has a column for each of `columns`, which the file may have in any order and among
    others: the numbers, or the places of the categories.
    """
    with _opened(path) as table:
        places = [table.column(column.name) for column in columns]
        encoded = []
        for fields in table:
            row = []
            for column, place in zip(columns, places, strict=True):
                value = column.encode(fields[place])
                if value is None:
                    raise table.refusal(column.name, fields[place], column.expected)
                row.append(value)
            encoded.append(row)
            if len(encoded) == _BLOCK:
                yield np.array(encoded, np.float64)
                encoded = []
        if encoded:
            yield np.array(encoded, np.float64)
