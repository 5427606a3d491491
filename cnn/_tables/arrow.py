"""Blocks of a CSV file that pyarrow reads, with the results that the csv module and float give.

A block is read only if that is certain; otherwise the caller reads its rows one by one. Both have
the same numbers bit for bit, since both round to the nearest float64.
"""

from __future__ import annotations

import codecs
import csv
import io
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn._tables.buffers import floats_of, indices_of
from cnn._tables.pieces import Numbers, Part, Rows, Texts, texts_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cnn._tables.dialect import Dialect
    from cnn._tables.pieces import Piece
    from cnn._tables.source import Source

WORTHWHILE = 1 << 20
"""The bytes from which reading is faster even with the time for importing pyarrow."""
# Of 256 KiB to 16 MiB, the smallest size at which the time per byte is least.
_BLOCK = 1 << 22
# Of a block, which pyarrow's threads parse at a time.
_SHARE = 1 << 20
_BLANKS = " \t"
_LF, _CR, _QUOTE = b'\n\r"'


def is_installed() -> bool:
    """Whether pyarrow can be imported."""
    try:
        import pyarrow.csv  # noqa: F401, PLC0415  # optional, and slow to import
    except ImportError:
        return False
    return True


def blocks(columns: int, delimiter: str, dialect: Dialect) -> Blocks | None:
    """Return the reader of blocks of a file, or None if there is none."""
    if not delimiter.isascii() or delimiter in '"\r\n' or not is_installed():
        return None
    return Blocks(columns, delimiter, dialect)


class Blocks:
    """Reads blocks of a CSV file.

    Parameters
    ----------
    columns : int
        The number of fields of a row.
    delimiter : str
        The delimiter, a character of ASCII.
    dialect : Dialect
        How numbers and missing values are written.
    """

    def __init__(self, columns: int, delimiter: str, dialect: Dialect) -> None:
        import pyarrow as pa  # noqa: PLC0415  # optional, and slow to import
        from pyarrow import csv as pa_csv  # noqa: PLC0415

        self._pa, self._csv = pa, pa_csv
        self._columns = columns
        self._delimiter = delimiter
        self._dialect = dialect
        self._text = pa.dictionary(pa.int32(), pa.string())
        # A number within quotes and blanks would not be compared with the missing ones.
        self._has_missing_numbers = any(map(_has_digit, dialect.missing))

    def part(
        self, source: Source, places: Sequence[int], is_number: Sequence[bool], first: int
    ) -> tuple[Part | None, int]:
        """Read the next block, and return its rows, of which `first` are before it.

        Returns None, and the size of the block that stays unread, if there is none or it has
        anything unusual.
        """
        block = source.ahead(_BLOCK)
        size = self._whole(block, len(block) < _BLOCK)
        if not size:
            return None, len(block)
        if not block.isascii():
            try:
                block[:size].decode()
            except UnicodeDecodeError:
                return None, size
        rows = self._pa.py_buffer(memoryview(block)[:size])
        has_quotes = b'"' in block
        found = self._read(rows, places, is_number, has_quotes)
        if found is None:
            return None, size
        pieces: list[Piece] = []
        for column, place, number in zip(found.columns, places, is_number, strict=True):
            piece = (
                self._numbers(column, rows, place, has_quotes)
                if number
                else self._texts(column, has_quotes)
            )
            if piece is None:
                return None, size
            pieces.append(piece)
        count = found.num_rows
        # NumPy counts faster than bytes.count, which stops at each.
        ends = np.frombuffer(block, np.uint8, size) == _LF
        lines = int(np.count_nonzero(ends)) + (block[size - 1] != _LF)
        before = source.lines
        numbered = (
            range(before + 1, before + 1 + count)
            if lines == count
            else _Lines(block[:size], self._delimiter, before)
        )
        source.skip(size, lines)
        return Part(Rows(source.path, first, numbered), count, pieces), size

    def _whole(self, block: bytes, is_last: bool) -> int:
        """Return how many bytes of a block are whole rows that both readers read alike, or 0."""
        # pyarrow leaves out a mark at the beginning of what it reads; that of the file is not here.
        if block.startswith(codecs.BOM_UTF8):
            return 0
        end = len(block) if is_last else block.rfind(b"\n") + 1
        if b'"' in block:
            end = self._whole_with_quotes(np.frombuffer(block, np.uint8), block, end)
        # A CR alone ends a line for the csv module, even within quotes.
        if b"\r" in block and block.count(b"\r", 0, end) != block.count(b"\r\n", 0, end):
            return 0
        return end if _has_short_lines(block, end) else 0

    def _whole_with_quotes(self, x: NDArray[np.uint8], block: bytes, end: int) -> int:
        """Return how many of the first `end` bytes are whole rows with quotes around fields, or 0.

        Quotes open and close in turn. One that opens stands at the beginning of a field and one
        that closes at its end; or two that stand together are a quote in a text.
        """
        quotes = np.flatnonzero(x == _QUOTE)
        while (count := int(np.searchsorted(quotes, end))) % 2:
            end = block.rfind(b"\n", 0, int(quotes[count - 1])) + 1
        opening, closing = quotes[:count:2], quotes[1:count:2]
        if not count:
            return end
        ends = np.zeros(256, np.bool_)
        ends[[ord(self._delimiter), _LF, _CR]] = True
        together = opening[1:] == closing[:-1] + 1
        is_good = ends[x[opening[1:] - 1]] | together
        is_good &= ends[x[closing[:-1] + 1]] | together
        first, last = opening[0], closing[-1]
        is_at_ends = (first == 0 or ends[x[first - 1]]) and (last == end - 1 or ends[x[last + 1]])
        return end if is_at_ends and is_good.all() else 0

    def _read(
        self, rows: Any, places: Sequence[int], is_number: Sequence[bool], has_quotes: bool
    ) -> Any:
        """Return columns of the rows in a buffer, or None if they cannot be converted."""
        names = [str(place) for place in places]
        types = {
            name: self._pa.float64() if number else self._text
            for name, number in zip(names, is_number, strict=True)
        }
        try:
            return self._csv.read_csv(
                self._pa.BufferReader(rows),
                read_options=self._csv.ReadOptions(
                    column_names=[str(place) for place in range(self._columns)],
                    # Ends of lines within quotes are found by reading from the beginning.
                    block_size=rows.size + 1 if has_quotes else _SHARE,
                ),
                parse_options=self._csv.ParseOptions(
                    delimiter=self._delimiter, newlines_in_values=has_quotes
                ),
                convert_options=self._csv.ConvertOptions(
                    include_columns=names,
                    column_types=types,
                    null_values=sorted(self._dialect.missing),
                    decimal_point=self._dialect.decimal,
                    check_utf8=False,
                ),
            )
        except self._pa.ArrowInvalid:
            return None

    def _numbers(self, column: Any, rows: Any, place: int, has_quotes: bool) -> Numbers | None:
        """Return a column of numbers, or None if some are infinite."""
        values = np.concatenate([floats_of(chunk) for chunk in column.chunks])
        finite = np.isfinite(values)
        if np.count_nonzero(finite) != len(values) - column.null_count:
            return None
        if self._has_missing_numbers and has_quotes:
            return None

        def texts() -> Texts:
            return _texts_of(self._read(rows, [place], [False], has_quotes).column(0))

        return Numbers(values, ~finite if column.null_count else None, texts)

    def _texts(self, column: Any, has_quotes: bool) -> Texts | None:
        """Return a column of texts, or None if their blanks may be within quotes."""
        read = _texts_of(column)
        if any(len(text) > csv.field_size_limit() for text in read.distinct):
            return None
        stripped = [text.strip(_BLANKS) for text in read.distinct]
        if stripped == read.distinct:
            return read
        if has_quotes:
            return None
        found = texts_of(stripped)
        return Texts(found.distinct, found.indices[read.indices])


def _texts_of(column: Any) -> Texts:
    """Return the texts of a column in the order in which they first occur."""
    chunks = column.unify_dictionaries().chunks
    indices = np.concatenate([indices_of(chunk.indices) for chunk in chunks])
    return Texts(chunks[0].dictionary.to_pylist(), indices)


class _Lines:
    """The numbers of the last lines of rows, found when the first one is asked for."""

    def __init__(self, block: bytes, delimiter: str, before: int) -> None:
        self._block = block
        self._delimiter = delimiter
        self._before = before
        self._found: list[int] = []

    def __getitem__(self, row: int) -> int:
        if not self._found:
            lines = io.StringIO(self._block.decode(), newline="")
            reader = csv.reader(lines, delimiter=self._delimiter)
            self._found = [self._before + reader.line_num for fields in reader if fields]
        return self._found[row]


def _has_digit(text: str) -> bool:
    return any(map(str.isdigit, text))


def _has_short_lines(block: bytes, end: int) -> bool:
    """Whether no line is so long that one of its fields could be too long for the csv module."""
    limit = csv.field_size_limit()
    at = 0
    while end - at > limit:
        found = block.rfind(b"\n", at, at + limit + 1)
        if found < 0:
            return False
        at = found + 1
    return True
