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
from typing import TYPE_CHECKING

from cnn._tables import arrow, numerals, pieces
from cnn._tables.dialect import Dialect
from cnn._tables.numerals import POINT
from cnn._tables.pieces import (
    Numbers,
    Part,
    Rows,
    place_of,
    places_of,
    rows_of_a_block,
    texts_of,
)

if TYPE_CHECKING:
    from _csv import Reader
    from collections.abc import Iterator, Sequence

    from cnn._tables.pieces import Piece
    from cnn._tables.source import Progress, Source

# How much of a file is read to find the delimiter.
_DELIMITERS = ",;\t|"
_SNIFFED_LINES = 64
_SNIFFED_SIZE = 1 << 20
_BLANKS = " \t"
# A line that spreadsheets write before the names, and recognise.
_TOLD = re.compile(r'"?sep=([^\w\s"]|\t| )"?\s*', re.IGNORECASE)


def option(flag: str, name: str) -> str:
    """Return an option with the name of a column, as it is written on a command line."""
    return f"{flag} {shlex.quote(quoted(name))}"


def quoted(text: str) -> str:
    """Return a text as a field of a CSV file, quoted if needed to be read as the same text."""
    if not text or text.strip() != text or any(mark in text for mark in ',;"\r\n\t|'):
        return '"' + text.replace('"', '""') + '"'
    return text


# ---- Reading -----------------------------------------------------------------------------------


class Table:
    """An open CSV file: the names of its columns, and its rows one after the other."""

    def __init__(self, source: Source, dialect: Dialect) -> None:
        self.path = path = source.path
        self._source = source
        self._dialect = dialect
        self._rows = 0
        """How many rows have been read."""
        self._skipped = 0
        """How many lines have been read in blocks, and not by the csv module."""
        self._error: ValueError | None = None
        """The error of the row after those that were read last."""
        first = source.readline()
        if not first.strip():
            raise ValueError(f"{path}: the first line is empty, should have the columns' names")
        lines = [first]
        told = _TOLD.fullmatch(first)
        delimiter = dialect.delimiter or (told and told[1])
        if delimiter is None:
            size = len(first)
            while (
                len(lines) < _SNIFFED_LINES and size < _SNIFFED_SIZE and (line := source.readline())
            ):
                lines.append(line)
                size += len(line)
            delimiter = _sniffed(path, lines)
        self._record: list[str] = []
        """The lines of the record that was read last."""
        self._sniffed = len(lines)
        self._delimiter = delimiter
        self._reader = _reader(self._recorded(itertools.chain(lines, source)), delimiter)
        lead = "" if delimiter == " " else " *"
        self._field = re.compile(
            rf'{lead}("(?:[^"]|"")*"|[^{re.escape(delimiter)}]*)(?:{re.escape(delimiter)}|$)',
            re.DOTALL,
        )
        if told:
            self._next()
        self.names = [name.strip(_BLANKS) for name in self._next() or []]
        self._places = places_of(path, self.names)
        self.unnamed = [place for place, name in enumerate(self.names) if not name]
        self._check_names()

    def _check_names(self) -> None:
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
            raise ValueError(f"{self.path}: line {self._line}: {error}") from error

    @property
    def _line(self) -> int:
        """The number of the last line of the row that was read last."""
        return self._reader.line_num + self._skipped

    def _row(self) -> list[str] | None:
        """Return the fields of the next row, or None after the last one."""
        fields = self._next()
        while fields is not None and not fields:  # an empty line
            fields = self._next()
        if fields is None:
            return None
        self._rows += 1
        if len(fields) != len(self.names):
            raise self._ragged(fields)
        return self._without_blanks(fields)

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

    def _ragged(self, fields: list[str]) -> ValueError:
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
        return ValueError(f"{self.path}: row {self._rows} (line {self._line}) {counts}{hint}")

    def parts(
        self,
        places: Sequence[int],
        is_number: Sequence[bool],
        width: int,
        progress: Progress | None = None,
    ) -> Iterator[Part]:
        """Yield all rows in parts, with the columns of `places`.

        `is_number` has True for each column that may be given as numbers; it may change from part
        to part. `width` is how many numbers become of a row, which limits the rows of a part that
        the csv module reads.

        Blocks of bytes are read with pyarrow, if it is installed and the file is large enough that
        importing it pays. If a block has anything unusual, the csv module reads its rows, and the
        result or the error is its.
        """
        most = rows_of_a_block(width)
        fast: arrow.Blocks | None = None
        is_large = True
        slow_until = 0
        # The first rows show which columns have too many texts for categories.
        count = min(most, pieces.FIRST_ROWS)
        while (part := self._part(places, is_number, count, slow_until)) is not None:
            count = most
            while part is not None:
                yield part
                if progress is not None:
                    progress(*self._source.reached(), self._rows)
                part = None
                if (
                    self._error is not None
                    or not is_large
                    or self._source.position < slow_until
                    or self._has_sniffed_ahead()
                ):
                    continue
                if fast is None:
                    is_large = len(self._source.ahead(arrow.WORTHWHILE)) == arrow.WORTHWHILE
                    fast = self._fast() if is_large else None
                    is_large = fast is not None
                if fast is not None:
                    lines = self._source.lines
                    part, size = fast.part(self._source, places, is_number, self._rows)
                    if part is not None:
                        self._rows += part.count
                        self._skipped += self._source.lines - lines
                    slow_until = self._source.position + (0 if part else size)

    def _fast(self) -> arrow.Blocks | None:
        return arrow.blocks(len(self.names), self._delimiter, self._dialect)

    def _has_sniffed_ahead(self) -> bool:
        """Whether some lines that were read to find the delimiter are still to be parsed."""
        return self._reader.line_num < self._sniffed

    def _part(
        self, places: Sequence[int], is_number: Sequence[bool], most: int, until: int
    ) -> Part | None:
        """Return the next rows as the csv module reads them, or None after the last one.

        They end at the position `until`, if they come to it.
        """
        first = self._rows
        lines: list[int] = []
        rows: list[list[str]] = []
        if self._error is not None:
            raise self._error
        try:
            while len(rows) < most and (fields := self._row()) is not None:
                rows.append(fields)
                lines.append(self._line)
                if self._source.position >= until > 0:
                    break
        except ValueError as error:
            if not rows:
                raise
            self._error = error  # the rows before it may have another error, which comes first
        if not rows:
            return None
        columns = [[fields[place] for fields in rows] for place in places]
        found = [
            self._piece(texts, number) for texts, number in zip(columns, is_number, strict=True)
        ]
        return Part(Rows(self.path, first, lines), len(rows), found)

    def _piece(self, texts: list[str], is_number: bool) -> Piece:
        if is_number and self._dialect.missing.isdisjoint(texts):
            values = numerals.numbers(texts, self._dialect.decimal)
            if values is not None:
                return Numbers(values, None, lambda: texts_of(texts))
        return texts_of(texts)

    def column(self, name: str) -> int:
        """Return the number of the column with a name."""
        hint = "; --delimiter names what is between columns" if len(self.names) == 1 else ""
        return place_of(self.path, self.names, self._places, name, hint)


def _reader(lines: Iterator[str], delimiter: str) -> Reader:
    # A quote may follow a space, too.
    return csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=delimiter != " ")


def _sniffed(path: str, lines: Sequence[str]) -> str:
    """Return the delimiter by which most of the first rows have as many fields as the header.

    If several are equal, the one that gives more fields, then the one that gives more numbers.
    """
    found: dict[tuple[int, int, int], list[str]] = {}
    possible = [delimiter for delimiter in _DELIMITERS if delimiter in lines[0]]
    for delimiter in possible:
        header, *rows = _records(lines, delimiter) or [[]]
        fitting = [row for row in rows if len(row) == len(header)]
        if len(header) > 1:
            # Of one delimiter alone, they need not be counted.
            texts = [text for row in fitting for text in row] if len(possible) > 1 else []
            fit = len(fitting), len(header), sum(map(_is_any_number, texts))
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
