"""Opening of tables, whatever their format is."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING

from cnn._tables import parquet, source
from cnn._tables.csv_file import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnn._tables.dialect import Dialect

_ZIP = b"PK\x03\x04"


@contextlib.contextmanager
def opened(path: str, dialect: Dialect) -> Iterator[Table | parquet.ParquetTable]:
    """Open a file, or stdin for ``-``, of Parquet, or of CSV, which gzip may have compressed."""
    name = source.name_of(path)
    with source.opened(path) as (stream, file):
        if isinstance(stream, io.BufferedReader) and stream.peek(4).startswith(_ZIP):
            raise ValueError(
                f"{name}: the file is an Excel workbook or another zip archive, should be CSV or "
                f"Parquet, such as the workbook's table saved as CSV"
            )
        if parquet.is_parquet(stream, file):
            yield parquet.ParquetTable(name, file)
        else:
            yield Table(source.Source(name, stream, file), dialect)


def names_of(path: str, dialect: Dialect) -> list[str]:
    """Return the names of a file's columns, empty for those without one."""
    with opened(path, dialect) as table:
        return table.names
