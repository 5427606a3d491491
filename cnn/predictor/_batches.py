"""Batches of rows as engines give them: which columns they have, and results of the same kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn import _core
from cnn._base.texts import did_you_mean, listed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    from numpy.typing import NDArray

    Columns: TypeAlias = dict[str, Any]

_WHERE = "Predictor"
# What the rows of a column that holds several inputs are.
_ROWS = (list, tuple, np.ndarray)


class Batch:
    """A table: a frame of pandas or polars, an Arrow table or record batch, or a dict of arrays.

    Parameters
    ----------
    table : object
        The table.
    made : callable
        Makes a table of the same kind of a dict of columns.
    """

    def __init__(self, table: Any, made: Callable[[Columns], Any]) -> None:
        self.table = table
        self._made = made
        self.is_dict = isinstance(table, Mapping)
        names = table if self.is_dict else getattr(table, "column_names", None)
        self.names: list[Any] = list(table.columns if names is None else names)

    def select(self, names: Sequence[str]) -> Any:
        """Return a frame or an Arrow table with these columns alone."""
        select = getattr(self.table, "select", None)  # of pandas it is none
        return self.table[list(names)] if select is None else select(list(names))

    def columns(self, names: Sequence[str]) -> Columns:
        """Return columns by their names, as the table has them."""
        self._check(names)
        get = getattr(self.table, "column", self.table.__getitem__)
        return {name: get(name) for name in names}

    def result(self, columns: Columns) -> Any:
        """Return a table of the same kind."""
        return self._made(columns)

    def _check(self, names: Sequence[str]) -> None:
        counts = Counter(self.names)
        for name in names:
            if counts[name] > 1:
                raise ValueError(
                    f"{_WHERE}: column {name!r} is there {counts[name]} times, names should differ"
                )
            if not counts[name]:
                texts = [str(other) for other in self.names]
                raise ValueError(
                    f"{_WHERE}: column {name!r} is missing, the table has "
                    f"{listed(texts) or 'no columns'}{did_you_mean(name, texts)}"
                )


def batch_of(value: Any) -> Batch | None:
    """Return a table as a Batch; None for a value that is no table.

    A table is known by its methods, as in `cnn._core`: no library is imported that is not in use.
    """
    kind = type(value)
    if isinstance(value, Mapping):
        return Batch(value, dict)
    if hasattr(kind, "iloc") and hasattr(kind, "columns"):
        return Batch(value, lambda columns: _pandas(columns, value.index))
    if hasattr(kind, "get_columns"):
        return Batch(value, import_module("polars").DataFrame)
    if hasattr(kind, "column_names") and hasattr(kind, "itercolumns"):
        # A column of a record batch does not turn into an array as one of a table does.
        is_table = hasattr(kind, "from_batches")
        table = value if is_table else import_module("pyarrow").Table.from_batches([value])
        return Batch(table, lambda columns: _arrow(columns, kind))
    return None


def _pandas(columns: Columns, index: Any) -> Any:
    """Return a frame of pandas; rows of arrays become a column of objects."""
    pandas = import_module("pandas")
    return pandas.DataFrame(
        {name: list(c) if np.ndim(c) > 1 else c for name, c in columns.items()}, index=index
    )


def _arrow(columns: Columns, kind: Any) -> Any:
    """Return an Arrow table or record batch; rows of arrays become lists."""
    arrow = import_module("pyarrow")
    made = {}
    for name, column in columns.items():
        if isinstance(column, np.ndarray) and column.ndim > 1:
            # Not of a fixed size, which Spark does not read.
            places = np.arange(len(column) + 1) * column.shape[1]
            is_large = column.size >= 2**31
            lists = arrow.LargeListArray if is_large else arrow.ListArray
            places = arrow.array(places, arrow.int64() if is_large else arrow.int32())
            made[name] = lists.from_arrays(places, arrow.array(column.reshape(-1)))
        elif isinstance(column, np.ndarray) and column.dtype == object:
            made[name] = arrow.array(column, arrow.string())  # also of no rows
        else:  # of a table, it may have several chunks
            combine = getattr(column, "combine_chunks", None)
            made[name] = column if combine is None else combine()
    return kind.from_pydict(made)


def has_rows(columns: Columns) -> bool:
    """Whether there are rows in a column; one without a length is left to `inputs`."""
    return any(not hasattr(column, "__len__") or len(column) > 0 for column in columns.values())


def inputs(batch: Batch, names: Sequence[str]) -> Any:
    """Return what a network's predict reads: columns of a batch with at least one row.

    A frame whose columns have single numbers is left to `cnn._core`, which reads it as it does one
    that is given to `cnn.Sequential.predict`. Other columns are put side by side: the arrays of a
    dict, and columns whose rows are arrays or lists.
    """
    columns = batch.columns(names)
    if not batch.is_dict and not any(map(_is_nested, columns.values())):
        return batch.select(names)
    parts = {name: _part(name, column) for name, column in columns.items()}
    first = next(iter(parts))
    for name, part in parts.items():
        if len(part) != len(parts[first]):
            raise ValueError(
                f"{_WHERE}: column {name!r} has {len(part)} rows, but column {first!r} has "
                f"{len(parts[first])}"
            )
    return np.concatenate(list(parts.values()), axis=1)


def _is_nested(column: Any) -> bool:
    """Whether the rows of a frame's column are arrays or lists."""
    dtype = getattr(column, "dtype", None)
    if dtype is None:  # of Arrow
        return "list<" in str(column.type) or "list[" in str(column.type)
    if hasattr(dtype, "is_nested"):  # of polars
        return bool(dtype.is_nested())
    return getattr(dtype, "kind", "") == "O" and isinstance(column.iloc[0], _ROWS)


def _part(name: str, column: Any) -> NDArray[Any]:
    """Return a column as an array (n, k) of numbers."""
    where = f"{_WHERE}: column {name!r}"
    _core.no_mask(_WHERE, f"column {name!r}", column)
    to_numpy = getattr(column, "to_numpy", None)
    found = np.asarray(column if to_numpy is None else to_numpy())
    if found.dtype == object and found.ndim == 1 and len(found) and isinstance(found[0], _ROWS):
        try:
            found = np.stack([np.asarray(row) for row in found])
        except ValueError as error:
            raise ValueError(
                f"{where} has rows of different lengths, should have arrays of one length"
            ) from error
    if found.dtype.kind not in "biuf" or found.dtype.itemsize > 8:
        raise TypeError(f"{where} is of type {found.dtype}, should be numbers")
    if found.ndim not in (1, 2):
        raise ValueError(f"{where} has {found.ndim} dimensions, should have 1 or 2")
    return found.reshape(len(found), -1)
