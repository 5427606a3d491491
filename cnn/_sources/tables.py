"""Tables as sources: Parquet files, datasets of pyarrow, and record batches."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn import _core
from cnn._base import extras
from cnn._sources.chunks import Columns, Source, in_order, plain, rows_of_chunk
from cnn._sources.windows import shuffled, window_seed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from cnn._sources.chunks import Check, Chunk, Order

EXTRA = "parquet"
"""The extra of cnn that installs pyarrow."""
_NAMED = 10


def named(where: str, names: Sequence[str], wanted: str, what: str) -> str:
    """Return a column's name, if a table has it once."""
    if list(names).count(wanted) == 1:
        return wanted
    shown = ", ".join(map(repr, names[:_NAMED])) + (" …" if len(names) > _NAMED else "")
    raise ValueError(
        f"{where}: {what} is {wanted!r}, but x has no such column, or several; its columns are "
        f"{shown}"
    )


# ---- Arrow's columns as arrays -------------------------------------------------------------------


def matrix(where: str, batch: Any) -> Any:
    """Return the columns of a record batch as an array (rows, columns), or as `Columns`.

    A column of lists of one length is as many columns as a list has numbers.
    """
    if are_plain(batch.schema.types):
        import pyarrow as pa  # noqa: PLC0415  # optional, and slow to import

        try:
            return Columns([column.to_numpy(zero_copy_only=True) for column in batch.columns])
        except pa.ArrowInvalid:
            return batch  # a column has nulls
    if any(hasattr(kind, "list_size") for kind in batch.schema.types):
        blocks = [
            _of_lists(where, name, column)
            if hasattr(column.type, "list_size")
            else _core.numeric(where, "x", batch.select([name]))
            for name, column in zip(batch.schema.names, batch.columns, strict=True)
        ]
        return blocks[0] if len(blocks) == 1 else np.concatenate(blocks, axis=1)
    return batch


def are_plain(types: Sequence[Any]) -> bool:
    """Whether the types of columns are one, whose arrays are those of NumPy."""
    import pyarrow as pa  # noqa: PLC0415  # as above

    whole = (pa.int8(), pa.int16(), pa.int32(), pa.int64())
    natural = (pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64())
    plain = (pa.float32(), pa.float64(), *whole, *natural)
    return types[0] in plain and all(kind == types[0] for kind in types)


def _of_lists(where: str, name: str, column: Any) -> NDArray[Any]:
    """Return a column of lists of one length as an array with a row for each."""
    if column.null_count:
        raise ValueError(f"{where}: column {name!r} has a null, should be lists of numbers")
    values = np.asarray(column.flatten())
    return _core.numeric(where, f"column {name!r}", values).reshape(
        len(column), column.type.list_size
    )


def width(schema: Any, names: Sequence[str]) -> int:
    """Return how many numbers the columns of these names have in a row."""
    return sum(getattr(schema.field(name).type, "list_size", 1) for name in names)


# ---- Sources -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Group:
    """Rows that are read together: a row group of a Parquet file, or a fragment of a dataset."""

    what: str
    rows: int
    batches: Callable[[list[str], int], Iterator[Any]]
    """Takes the names of columns and the rows of a batch, and yields record batches."""


class Groups(Source):
    """Rows in groups, such as those of Parquet files.

    A shuffle permutes the files, the groups of each file, and the rows within windows.

    Parameters
    ----------
    where : str
        What begins messages.
    schema : pyarrow.Schema
        The columns.
    groups : list of Group
        The groups, in the order of their rows.
    t, sample_weight : str or None
        The columns of targets and weights.
    buffer : int or None
        The rows of a window.
    inputs_only : bool
        Whether the targets are not read.
    """

    def __init__(
        self,
        where: str,
        schema: Any,
        groups: list[Group],
        t: Any,
        sample_weight: Any,
        buffer: int | None,
        *,
        inputs_only: bool,
    ) -> None:
        self.where = where
        self._groups = groups
        self._targets = column_of(where, schema.names, "t", t, needed=not inputs_only)
        self._weights = column_of(where, schema.names, "sample_weight", sample_weight, needed=False)
        others = (self._targets, self._weights)
        self._names = [name for name in schema.names if name not in others]
        if not self._names:
            raise ValueError(f"{where}: x has no columns but that of t, should have inputs")
        self.rows = sum(group.rows for group in groups)
        self.inputs = width(schema, self._names)
        self.columns = self._names if self.inputs == len(self._names) else None
        self._buffer = None if buffer is None else max(1, min(buffer, self.rows))
        self._is_plain = are_plain([schema.field(name).type for name in self._names])

    def read(self, order: Order = None, check: Check | None = None) -> Iterator[Chunk]:
        """Yield all rows in chunks, as `Source.read` says."""
        if order is None:
            pieces = self._pieces(range(len(self._groups)), check or plain)
            return (replace(p, x=p.x.matrix()) if isinstance(p.x, Columns) else p for p in pieces)
        pieces = self._pieces(self._sequence(*order), check or plain)
        return shuffled(pieces, self._buffer, order)

    def _sequence(self, seed: int, epoch: int) -> list[int]:
        """Return the order of groups: that of the files, and within each that of its groups."""
        files: dict[str, list[int]] = {}
        for number, group in enumerate(self._groups):
            files.setdefault(group.what, []).append(number)
        lists = list(files.values())
        found = []
        for place in _core.permutation(seed, epoch, len(lists), 0, len(lists)).tolist():
            numbers = lists[place]
            key = window_seed(seed, place)
            order = _core.permutation(key, epoch, len(numbers), 0, len(numbers))
            found += [numbers[i] for i in order.tolist()]
        return found

    def _pieces(self, sequence: Sequence[int], check: Check) -> Iterator[Chunk]:
        """Yield the rows of groups in a sequence, in pieces."""
        starts = np.cumsum([0, *(group.rows for group in self._groups)]).tolist()
        names = [*self._names, *filter(None, (self._targets, self._weights))]
        size = rows_of_chunk(4 * (self.inputs or 1), self.share)
        for number in sequence:
            group, first = self._groups[number], starts[number]
            for batch in self._batches(group, names, size):
                last = first + batch.num_rows
                where = f"{self.where}: x[{first}:{last}], in {group.what}"
                x = matrix(where, batch.select(self._names))
                t, weight = (
                    None if name is None else _target(where, name, batch)
                    for name in (self._targets, self._weights)
                )
                if isinstance(x, Columns):
                    # Only the type and the shape of x can be bad.
                    found = in_order(check(where, x.placeholder(), t, weight), first)
                    yield replace(found, x=x)
                else:
                    yield in_order(check(where, x, t, weight), first)
                first = last
            if first != starts[number + 1]:
                raise ValueError(
                    f"{self.where}: {group.what} has {first - starts[number]} rows, but "
                    f"{group.rows} when it was opened"
                )

    def _batches(self, group: Group, names: list[str], size: int) -> Iterator[Any]:
        import pyarrow as pa  # noqa: PLC0415  # as above

        try:
            yield from group.batches(names, size)
        except (pa.ArrowException, KeyError) as error:
            raise ValueError(f"{self.where}: {group.what} cannot be read: {error}") from error


def _target(where: str, name: str, batch: Any) -> Any:
    column = batch.column(name)
    return _of_lists(where, name, column) if hasattr(column.type, "list_size") else column


def column_of(
    where: str, names: Sequence[str], what: str, value: Any, *, needed: bool
) -> str | None:
    """Return the checked name of a column, given as t or sample_weight; None if there is none."""
    if isinstance(value, str):
        return named(where, names, value, what)
    if value is None and not needed:
        return None
    given = "None" if value is None else f"of type {type(value).__name__}"
    raise TypeError(
        f"{where}: {what} is {given}, should be the name of a column, since x is a table with "
        f"the columns {', '.join(map(repr, names[:_NAMED]))}{' …' if len(names) > _NAMED else ''}"
    )


class ParquetFiles:
    """The row groups of Parquet files, of which one is open at a time.

    Parameters
    ----------
    where : str
        What begins messages.
    paths : list of str
        The files, and folders, of which the files that end in .parquet are taken by their names.
    """

    def __init__(self, where: str, paths: Sequence[str]) -> None:
        self._where = where
        self._parquet = extras.require(where, "pyarrow.parquet", EXTRA)
        self._pa = extras.require(where, "pyarrow", EXTRA)
        self._open: tuple[str, Any] | None = None
        self.groups: list[Group] = []
        self.schema: Any = None
        for path in _files(where, paths):
            self._add(path)

    def _add(self, path: str) -> None:
        file = self._file(path)
        schema = file.schema_arrow
        if self.schema is None:
            self.schema = schema
        elif not set(self.schema.names) <= set(schema.names):
            lacks = next(name for name in self.schema.names if name not in schema.names)
            raise ValueError(f"{self._where}: {path!r} has no column {lacks!r}, as others have")
        for number in range(file.num_row_groups):
            rows = file.metadata.row_group(number).num_rows
            if rows:
                self.groups.append(Group(repr(path), rows, self._reader(path, number)))

    def _file(self, path: str) -> Any:
        """Return an open file; the last one is kept open."""
        if self._open is not None and self._open[0] == path:
            return self._open[1]
        self._open = None
        try:
            # Buffers of a whole row group beforehand would take as much memory again.
            found = self._parquet.ParquetFile(path, pre_buffer=False)
        except self._pa.ArrowException as error:
            raise ValueError(
                f"{self._where}: {path!r} is not a whole Parquet file: {error}"
            ) from error
        self._open = path, found
        return found

    def _reader(self, path: str, number: int) -> Callable[[list[str], int], Iterator[Any]]:
        return lambda names, size: self._file(path).iter_batches(
            size, row_groups=[number], columns=names, use_threads=False
        )


def _files(where: str, paths: Sequence[str]) -> Iterator[str]:
    """Yield the files of paths, some of which are folders."""
    for path in paths:
        if not os.path.isdir(path):
            yield path
            continue
        found = sorted(map(str, Path(path).rglob("*.parquet")))
        if not found:
            raise ValueError(f"{where}: x is the folder {path!r}, which has no files *.parquet")
        yield from found


def dataset_groups(where: str, dataset: Any) -> list[Group]:
    """Return the row groups of a dataset of pyarrow; fragments of other formats are groups."""
    groups = []
    for fragment in dataset.get_fragments():
        is_parquet = hasattr(fragment, "row_groups")
        what = repr(getattr(fragment, "path", "a fragment of the dataset"))
        for part in fragment.split_by_row_group() if is_parquet else [fragment]:
            # count_rows would count those of the whole file.
            rows = sum(g.num_rows for g in part.row_groups) if is_parquet else part.count_rows()
            if rows:
                groups.append(Group(what, rows, _fragment_reader(dataset.schema, part)))
    return groups


def _fragment_reader(schema: Any, part: Any) -> Callable[[list[str], int], Iterator[Any]]:
    def batches(names: list[str], size: int) -> Iterator[Any]:
        options = {"batch_readahead": 0, "fragment_readahead": 0, "use_threads": False}
        found: Iterator[Any] = part.to_batches(
            schema=schema, columns=names, batch_size=size, **options
        )
        return found

    return batches
