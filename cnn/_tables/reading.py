"""Opening of tables, whatever their format is."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from cnn._tables import parquet, source
from cnn._tables.csv_file import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnn._tables.dialect import Dialect


@contextlib.contextmanager
def opened(path: str, dialect: Dialect) -> Iterator[Table | parquet.ParquetTable]:
    """Open a file, or stdin for ``-``, of Parquet, or of CSV, which gzip may have compressed."""
    with source.opened(path) as (name, stream, file):
        if parquet.is_parquet(stream, file):
            yield parquet.ParquetTable(name, file)
        else:
            yield Table(source.Source(name, stream, file), dialect)
