"""CSV files: the delimiter, the names of the columns, and the rows, block by block.

A field is a text: in quotes byte for byte, otherwise without the blanks around it. Every error
names the file, the row (counted from 1, without the header) with its line, and the column.
"""

from __future__ import annotations

import contextlib
import csv
import itertools
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from cnn._base.texts import did_you_mean, listed
from cnn._tables import numerals
from cnn._tables.numerals import POINT

if TYPE_CHECKING:
    from _csv import Reader
    from collections.abc import Iterator, Sequence

MISSING = frozenset(
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
"""Texts that programs write for a missing value."""
# Rows that are read at a time, and the most numbers of a block, which limits the rows of wide
# tables.
_BLOCK_ROWS = 4096
_BLOCK_NUMBERS = 1 << 20
# How much of a file is read to find the delimiter.
_DELIMITERS = ",;\t|"
_SNIFFED_LINES = 64
_SNIFFED_SIZE = 1 << 20
_BLANKS = " \t"
# A line that spreadsheets write before the names, and recognise.
_TOLD = re.compile(r'"?sep=([^\w\s"]|\t| )"?\s*', re.IGNORECASE)


@dataclass(frozen=True)
class Dialect:
    """How a file writes fields, numbers and missing values."""

    delimiter: str | None = None
    """The delimiter; None for the one that fits the first lines best."""
    decimal: str = POINT
    missing: frozenset[str] = MISSING
    """Texts that are refused since they stand for a missing value."""


DEFAULT = Dialect()
NONE_MISSING = Dialect(missing=frozenset())


def option(flag: str, name: str) -> str:
    """Return an option with the name of a column, as it is written on a command line."""
    return f"{flag} {shlex.quote(quoted(name))}"


def quoted(text: str) -> str:
    """Return a text as a field of a CSV file, quoted if needed to be read as the same text."""
    if not text or text.strip() != text or any(mark in text for mark in ',;"\r\n\t|'):
        return '"' + text.replace('"', '""') + '"'
    return text


# ---- Reading -----------------------------------------------------------------------------------


@dataclass
class Rows:
    """Consecutive rows of a file."""

    path: str
    first: int
    """How many rows are before them."""
    lines: list[int]
    """The number of the last line of each row."""
    fields: list[list[str]]

    def column(self, place: int) -> list[str]:
        """Return the texts of a column."""
        return [fields[place] for fields in self.fields]

    def place(self, row: int) -> str:
        """Return the position of a row in the file, for messages."""
        return f"row {self.first + row + 1} (line {self.lines[row]})"

    def refusal(self, row: int, name: str, text: str, expected: str) -> ValueError:
        """Return the error for a text of a column."""
        found = f"is {text!r}" if text else "is empty"
        return ValueError(
            f"{self.path}: {self.place(row)}, column {name!r} {found}, should be {expected}"
        )


class Table:
    """An open CSV file: the names of its columns, and its rows one after the other."""

    def __init__(self, path: str, file: TextIO, dialect: Dialect) -> None:
        self.path = path
        self._dialect = dialect
        first = file.readline()
        if not first.strip():
            raise ValueError(f"{path}: the first line is empty, should have the columns' names")
        lines = [first]
        told = _TOLD.fullmatch(first)
        delimiter = dialect.delimiter or (told and told[1])
        if delimiter is None:
            size = len(first)
            while (
                len(lines) < _SNIFFED_LINES and size < _SNIFFED_SIZE and (line := file.readline())
            ):
                lines.append(line)
                size += len(line)
            delimiter = _sniffed(path, lines)
        self._record: list[str] = []
        """The lines of the record that was read last."""
        self._reader = _reader(self._recorded(itertools.chain(lines, file)), delimiter)
        lead = "" if delimiter == " " else " *"
        self._field = re.compile(
            rf'{lead}("(?:[^"]|"")*"|[^{re.escape(delimiter)}]*)(?:{re.escape(delimiter)}|$)',
            re.DOTALL,
        )
        if told:
            self._next()
        self.names = [name.strip(_BLANKS) for name in self._next() or []]
        self._places = {name: place for place, name in enumerate(self.names) if name}
        self.unnamed = [place for place, name in enumerate(self.names) if not name]
        self._check_names()

    def _check_names(self) -> None:
        for place, name in enumerate(self.names):
            if name and self._places[name] != place:
                raise ValueError(
                    f"{self.path}: column {name!r} is there twice, names should differ"
                )
        if numerals.numbers(self.names, self._dialect.decimal) is not None:
            raise ValueError(
                f"{self.path}: the first line has numbers ({', '.join(self.names[:3])} ...), "
                f"should have the columns' names"
            )

    def _recorded(self, lines: Iterator[str]) -> Iterator[str]:
        for line in lines:
            self._record.append(line)
            yield line

    def _next(self) -> list[str] | None:
        self._record.clear()
        try:
            return next(self._reader, None)
        except csv.Error as error:
            raise ValueError(f"{self.path}: line {self._reader.line_num}: {error}") from error

    def __iter__(self) -> Iterator[list[str]]:
        row = 0
        while (fields := self._next()) is not None:
            if not fields:
                continue  # an empty line
            row += 1
            if len(fields) != len(self.names):
                raise self._ragged(row, fields)
            yield self._without_blanks(fields)

    def _without_blanks(self, fields: list[str]) -> list[str]:
        """Return fields without the blanks around them, but for those in quotes."""
        stripped = [field.strip(_BLANKS) for field in fields]
        if stripped == fields or not any('"' in line for line in self._record):
            return stripped
        # The csv module does not report which fields were quoted, but it has checked the quotes.
        record = "".join(self._record)
        found = self._field.finditer(record.rstrip("\r\n"))
        return [
            field if match[1].startswith('"') else field.strip(_BLANKS)
            for field, match in zip(fields, found, strict=False)
        ]

    def _ragged(self, row: int, fields: list[str]) -> ValueError:
        counts = f"has {len(fields)} fields, should have {len(self.names)}, as the first line does"
        hint = ""
        if len(fields) == len(self.names) + 1:
            hint = (
                "; a delimiter at the end of each row should be at the end of the first line, too"
                if not fields[-1].strip()
                else "; an index before each row should have a name in the first line, too"
            )
        elif len(fields) == len(self.names) - 1 and not self.names[-1]:
            hint = "; the first line should not end with a delimiter if others do not"
        elif len(self.names) == 1 or len(fields) == 1:
            hint = "; --delimiter names what is between fields"
        return ValueError(f"{self.path}: row {row} (line {self._reader.line_num}) {counts}{hint}")

    def rows(self, width: int) -> Iterator[Rows]:
        """Yield all rows in blocks, of fewer rows if `width`, the numbers of a row, is large."""
        most = max(16, min(_BLOCK_ROWS, _BLOCK_NUMBERS // max(1, width)))
        block = Rows(self.path, 0, [], [])
        for fields in self:
            block.fields.append(fields)
            block.lines.append(self._reader.line_num)
            if len(block.fields) == most:
                yield block
                block = Rows(self.path, block.first + most, [], [])
        if block.fields:
            yield block

    def column(self, name: str) -> int:
        """Return the number of the column with a name."""
        place = self._places.get(name)
        if place is not None:
            return place
        hint = did_you_mean(name, self._places)
        if len(self.names) == 1:
            hint = hint or "; --delimiter names what is between columns"
        raise ValueError(
            f"{self.path}: column {name!r} is missing, the file has {listed(self.names)}{hint}"
        )


def _reader(lines: Iterator[str], delimiter: str) -> Reader:
    # A quote may follow a space, too.
    return csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=delimiter != " ")


def _sniffed(path: str, lines: Sequence[str]) -> str:
    """Return the delimiter by which most of the first rows have as many fields as the header.

    If several are equal, the one that gives more fields, then the one that gives more numbers.
    """
    found: dict[tuple[int, int, int], list[str]] = {}
    for delimiter in _DELIMITERS:
        if delimiter in lines[0]:
            header, *rows = _records(lines, delimiter) or [[]]
            fitting = [row for row in rows if len(row) == len(header)]
            numbers = sum(_is_any_number(text) for row in fitting for text in row)
            if len(header) > 1:
                fit = len(fitting), len(header), numbers
                found.setdefault(fit, []).append(delimiter)
    if not found:
        return _DELIMITERS[0]
    (rows_that_fit, columns, _), best = max(found.items())
    if len(best) > 1 and rows_that_fit:
        names = " and ".join("a tab" if one == "\t" else repr(one) for one in best)
        raise ValueError(
            f"{path}: the first lines have {columns} fields both with {names} between them; "
            f"--delimiter tells which it is"
        )
    return best[0]


def _records(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    """Return the fields of lines, as far as they can be read."""
    records = []
    # An error comes from a wrong delimiter, or from a record that continues after these lines.
    with contextlib.suppress(csv.Error):
        for fields in _reader(iter(lines), delimiter):
            if fields:
                records.append(fields)
    return records


def _is_any_number(text: str) -> bool:
    return any(numerals.number(text, decimal) is not None for decimal in (POINT, ","))


@contextlib.contextmanager
def opened(path: str, dialect: Dialect) -> Iterator[Table]:
    """Open a file; the error for one that is not UTF-8 names the first bad byte."""
    try:
        # utf-8-sig, since spreadsheets write a mark at the beginning.
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            yield Table(path, file, dialect)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path}: {_undecodable(Path(path))} is not UTF-8, should be text saved as UTF-8"
        ) from error


def _undecodable(path: Path) -> str:
    """Return the position of the first byte of a file that is not UTF-8."""
    # The error's own position counts from the block that was read. A pipe cannot be read again.
    if path.is_file():
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    line.decode()
                except UnicodeDecodeError as error:
                    return f"byte 0x{line[error.start]:02x} in line {number}"
    return "the content"
