"""Parquet files, which pyarrow reads.

Numbers are numbers, truth values and texts are texts as in a CSV file with quotes around each; what
is null or NaN is missing.
"""

from __future__ import annotations

import io
import re
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from cnn._base import extras
from cnn._tables.buffers import floats_of, indices_of
from cnn._tables.pieces import FIRST_ROWS, Numbers, Part, Rows, Texts, place_of, places_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from cnn._tables.pieces import Piece
    from cnn._tables.source import Progress

_MARK = b"PAR1"
# The name that pandas gives to an index without a name.
_INDEX = re.compile(r"__index_level_\d+__")
# Rows that are read at a time, and the most numbers of them.
_BATCH_ROWS = 1 << 16
_BATCH_NUMBERS = 1 << 21
# From this size on, a float64 stands for several whole numbers.
_LEAST_INEXACT = 2.0**53


def is_parquet(stream: IO[bytes], file: IO[bytes]) -> bool:
    """Whether a file that has not been read is one of Parquet, by its first and last bytes."""
    if not (isinstance(stream, io.BufferedReader) and stream.peek(4).startswith(_MARK)):
        return False
    if not file.seekable():
        return True
    file.seek(-len(_MARK), io.SEEK_END)
    found = file.read() == _MARK
    file.seek(0)
    return found


class ParquetTable:
    """An open Parquet file: the names of its columns, and its rows one after the other.

    Parameters
    ----------
    path : str
        What begins messages.
    file : binary file
        The file; one that has no positions, such as a pipe, is read into memory.
    """

    def __init__(self, path: str, file: IO[bytes]) -> None:
        parquet = extras.require(path, "pyarrow.parquet", "table")
        self._pa = extras.require(path, "pyarrow", "table")
        self.path = path
        self._file = file if file.seekable() else io.BytesIO(file.read())
        try:
            self._table = parquet.ParquetFile(self._file)
        except (self._pa.ArrowException, OSError) as error:
            raise self._damaged(error) from error
        self.names = [
            "" if _INDEX.fullmatch(name) else name for name in self._table.schema_arrow.names
        ]
        self.unnamed = [place for place, name in enumerate(self.names) if not name]
        self._places = places_of(path, self.names)

    def _damaged(self, error: Exception) -> ValueError:
        return ValueError(f"{self.path}: the file is not a whole Parquet file: {error}")

    def column(self, name: str) -> int:
        """Return the number of the column with a name."""
        return place_of(self.path, self.names, self._places, name)

    def parts(
        self,
        places: Sequence[int],
        is_number: Sequence[bool],
        width: int,
        progress: Progress | None = None,
    ) -> Iterator[Part]:
        """Yield all rows in parts, with the columns of `places`, as `csv_file.Table.parts` does."""
        fields = [self._table.schema_arrow.field(place) for place in places]
        for field in fields:
            self._check(field)
        size = self._file.seek(0, io.SEEK_END)
        total = self._table.metadata.num_rows
        rows = 0
        try:
            for batch in self._batches([field.name for field in fields], width):
                pieces = [
                    self._piece(batch.column(field.name), number)
                    for field, number in zip(fields, is_number, strict=True)
                ]
                yield Part(Rows(self.path, rows), batch.num_rows, pieces)
                rows += batch.num_rows
                if progress is not None:
                    progress(size * rows // total, size, rows)
        except (self._pa.ArrowException, OSError) as error:
            raise self._damaged(error) from error

    def _batches(self, names: list[str], width: int) -> Iterator[Any]:
        """Yield the rows in batches, of which the first one is small, as that of a CSV file is."""
        size = max(16, min(_BATCH_ROWS, _BATCH_NUMBERS // max(1, width)))
        first = FIRST_ROWS
        for batch in self._table.iter_batches(size, columns=names):
            if first and batch.num_rows > first:
                yield batch.slice(0, first)
                yield batch.slice(first)
            else:
                yield batch
            first = 0

    def _check(self, field: Any) -> None:
        """Refuse a column of a type that has no numbers or categories."""
        types = self._pa.types
        kind = field.type.value_type if types.is_dictionary(field.type) else field.type
        if types.is_temporal(kind):
            raise ValueError(
                f"{self.path}: column {field.name!r} has dates or times ({kind}), should be "
                f"numbers, such as the days since a date, or the year, the month and the weekday, "
                f"each in a column of its own"
            )
        is_other = types.is_boolean(kind) or types.is_null(kind)
        if not (self._is_text(kind) or self._is_numeric(kind) or is_other):
            raise ValueError(
                f"{self.path}: column {field.name!r} has values of the type {kind}, should be "
                f"numbers, truth values or texts"
            )

    def _is_text(self, kind: Any) -> bool:
        types = self._pa.types
        return bool(
            types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
        )

    def _is_numeric(self, kind: Any) -> bool:
        types = self._pa.types
        return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))

    def _piece(self, array: Any, is_number: bool) -> Piece:
        types = self._pa.types
        if types.is_dictionary(array.type):
            array = array.dictionary_decode()
        if types.is_floating(array.type):
            array = array.cast(self._pa.float64())
        if is_number and self._is_numeric(array.type):
            values = self._numbers(array)
            missing = np.isnan(values)
            if not np.isinf(values).any():
                return Numbers(
                    values, missing if missing.any() else None, lambda: self._texts(array)
                )
        return self._texts(array)

    def _numbers(self, array: Any) -> NDArray[np.float64]:
        if self._pa.types.is_decimal(array.type):
            return np.array(
                [np.nan if value is None else float(value) for value in array.to_pylist()]
            )
        return floats_of(array.cast(self._pa.float64(), safe=False))

    def _texts(self, array: Any) -> Texts:
        if self._pa.types.is_null(array.type):
            return Texts([], np.full(len(array), -1, np.int32))
        found = array.dictionary_encode()
        distinct, indices = found.dictionary.to_pylist(), indices_of(found.indices)
        is_there = np.array([value == value for value in distinct], bool)  # noqa: PLR0124  # no NaN
        codes = np.where(is_there, np.cumsum(is_there) - 1, -1).astype(np.int32)
        texts = [_text(value) for value in distinct if value == value]  # noqa: PLR0124
        return Texts(texts, np.append(codes, np.int32(-1))[indices])


def _text(value: Any) -> str:
    """Return the text of a value; that of a number stands for the same number."""
    if isinstance(value, float) and value.is_integer() and abs(value) < _LEAST_INEXACT:
        # Programs make floats of whole numbers if some are missing.
        return f"{value:.0f}"
    return str(value)
