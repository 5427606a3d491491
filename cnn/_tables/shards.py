"""The shards of a table: its files in order, cut into ranges of whole files.

A shard's rows are kept as numbers in temporary files without a name, so that the memory of a
process does not grow with its shards.
"""

from __future__ import annotations

import itertools
import os
import tempfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from cnn._base import files
from cnn._tables import table
from cnn._tables.source import STDIN
from cnn._tables.table import Category, Number

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from cnn._tables.dialect import Dialect
    from cnn._tables.source import Progress
    from cnn._tables.table import Column

# The most rows and numbers of a block that is read of a temporary file.
_ROWS, _NUMBERS = 1 << 16, 1 << 20


def cut(paths: Sequence[str], shards: int) -> list[list[str]]:
    """Return the files of each shard: ranges of nearly equal length of all, ordered by their names.

    With F files and S shards, shard s has those from F s / S to before F (s + 1) / S, rounded down.

    Raises
    ------
    ValueError
        If there are fewer files than shards, if one is given twice, or one is stdin.
    """
    ordered = sorted(paths)
    for path, other in itertools.pairwise(ordered):
        if path == other:
            raise ValueError(f"{path} is given twice, each file should be given once")
    if STDIN in ordered:
        raise ValueError("- is stdin, which shards cannot be made of, should be files")
    if shards > len(ordered):
        raise ValueError(
            f"the number of shards is {shards}, should be at most that of the files, "
            f"{len(ordered)}: a shard is made of whole files"
        )
    ends = [len(ordered) * shard // shards for shard in range(shards + 1)]
    return [ordered[first:last] for first, last in itertools.pairwise(ends)]


def named(paths: Sequence[str]) -> str:
    """Return what begins messages on all of some files."""
    if len(paths) == 1:
        return paths[0]
    return f"{paths[0]} and {len(paths) - 1} other file{'s' * (len(paths) > 2)}"


class FilesProgress:
    """Tells how far several files are read, each of them `times` times.

    Parameters
    ----------
    progress : callable or None
        It is called with bytes and rows of all files together.
    paths : sequence of str
        The files.
    times : int
        How often each is read.
    """

    def __init__(self, progress: Progress | None, paths: Sequence[str], times: int) -> None:
        self._progress = progress
        self._total = times * sum(map(os.path.getsize, paths)) if progress else 0
        self._bytes = self._rows = self._last = 0

    def of(self, path: str) -> Progress | None:
        """Return what is called while the next file is read."""
        progress = self._progress
        if progress is None:
            return None
        before = self._bytes
        self._bytes += os.path.getsize(path)
        self._rows += self._last
        self._last = 0

        def tell(done: int, _: int | None, rows: int) -> None:
            self._last = rows
            progress(before + done, self._total, self._rows + rows)

        return tell


class Scratch:
    """Rows that are appended block by block to a temporary file, and then read as an array.

    Parameters
    ----------
    dtype : type
        The type of the numbers.
    *shape : int
        The shape of a row.
    """

    def __init__(self, dtype: type[np.generic], *shape: int) -> None:
        self._dtype = np.dtype(dtype)
        self._shape = shape
        self._rows = 0
        with files.named(tempfile.gettempdir()):
            self._file = tempfile.TemporaryFile(prefix="cnn-")  # noqa: SIM115  # closed by __exit__

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def append(self, block: NDArray[Any]) -> None:
        """Append rows."""
        if block.size:
            with files.named(tempfile.gettempdir()):
                self._file.write(np.ascontiguousarray(block, self._dtype).data)
        self._rows += len(block)

    def array(self) -> NDArray[Any]:
        """Return all rows; their memory is the file's, which lasts as long as the array."""
        with files.named(tempfile.gettempdir()):
            self._file.flush()
        shape = (self._rows, *self._shape)
        if not np.prod(shape):
            return np.zeros(shape, self._dtype)
        return np.memmap(self._file, self._dtype, "r", shape=shape)


@dataclass
class Shard:
    """The rows of a shard, as numbers and indices of categories."""

    paths: list[str]
    columns: Sequence[Column]
    values: NDArray[np.float64]
    """An array (rows, columns)."""
    firsts: list[int]
    """The number of rows before those of each file, and that of all rows."""
    left_out: int
    """How many rows were left out since values are missing."""
    source: str = field(init=False)
    """What begins messages on the whole shard."""

    def __post_init__(self) -> None:
        self.source = named(self.paths)

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(self.values)

    def blocks(self, chosen: NDArray[np.bool_]) -> Iterator[NDArray[np.float64]]:
        """Yield the rows that are chosen of all rows, block by block."""
        most = max(16, min(_ROWS, _NUMBERS // self.values.shape[1]))
        for first in range(0, self.rows, most):
            block = self.values[first : first + most]
            yield np.asarray(block[chosen[first : first + most]])

    def file_blocks(self) -> Iterator[tuple[str, int, slice]]:
        """Yield the blocks of each file: its path, the rows of the file before it, and its rows."""
        most = max(16, min(_ROWS, _NUMBERS // self.values.shape[1]))
        for path, begin, end in zip(self.paths, self.firsts[:-1], self.firsts[1:], strict=True):
            for first in range(begin, end, most):
                yield path, first - begin, slice(first, min(first + most, end))


def read(
    paths: list[str],
    columns: Sequence[Column],
    dialect: Dialect,
    rows: int,
    *,
    keep_missing: bool,
    drop: bool,
    progress: FilesProgress,
) -> Shard:
    """Read the columns of a shard's files, in which `rows` rows are expected.

    With `drop`, rows with missing values are left out.
    """
    firsts, seen = [0], 0
    with Scratch(np.float64, len(columns)) as kept:
        for path in paths:
            count = firsts[-1]
            for block in table.blocks(
                path, columns, dialect, keep_missing=keep_missing, progress=progress.of(path)
            ):
                seen += len(block)
                whole = block
                if drop:
                    whole = block[~_gaps(columns, block).any(axis=1)]
                kept.append(whole)
                count += len(whole)
            firsts.append(count)
        values = kept.array()
    if seen != rows:
        raise ValueError(
            f"{named(paths)}: {rows:,} rows were read at first and then {seen:,}; a file must not "
            f"change meanwhile"
        )
    return Shard(paths, columns, values, firsts, seen - firsts[-1])


def _gaps(columns: Sequence[Column], block: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which values are missing."""
    is_number = np.array([isinstance(column, Number) for column in columns])
    return np.where(is_number, np.isnan(block), block < 0)


def restricted(column: Column, counts: Sequence[int]) -> Column:
    """Return a column with those of its categories that occur."""
    if isinstance(column, Number) or all(counts):
        return column
    found = [text for text, count in zip(column.categories, counts, strict=True) if count]
    return Category(column.name, tuple(found))


def recoded(
    before: Sequence[Column], after: Sequence[Column], block: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return rows whose indices of categories are those of the columns `after`."""
    found = block
    for i, (old, new) in enumerate(zip(before, after, strict=True)):
        if isinstance(old, Category) and isinstance(new, Category) and old.width > new.width:
            places = np.array([new.codes.get(text, -1) for text in (*old.categories, "")], float)
            places[-1] = -1
            found = found.copy() if found is block else found
            found[:, i] = places[block[:, i].astype(np.intp)]
    return found
