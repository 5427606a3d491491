"""The source for what a user gave."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from cnn._base import extras, streams
from cnn._sources import tables
from cnn._sources.arrays import Arrays
from cnn._sources.batches import Batches, FrameBatches
from cnn._sources.indexed import RowsSource
from cnn._sources.npy import Npy

if TYPE_CHECKING:
    from cnn._sources.chunks import Source

_NPY = (".npy", ".npz")
_PARQUET = (".parquet", ".pq", ".parq")


def opened(
    where: str,
    source: Any,
    t: Any = None,
    *,
    sample_weight: Any = None,
    buffer: int | None = None,
    inputs_only: bool = False,
) -> Source:
    """Return the rows of what a user gave: arrays, files, objects or iterables.

    Parameters
    ----------
    where : str
        What begins messages: the function that the user called.
    source : object
        Arrays in memory or memory maps, with `t`; the path of a .npy file, with `t`, or of a .npz
        file; paths of Parquet files or of folders with such, a dataset, table or reader of
        pyarrow, a frame of polars, with the name of a column in `t`; an object with the methods of
        `cnn.Rows`; or an iterable of batches (x, t) or (x, t, weight).
    t : array_like, str or None
        The targets: an array, the path of a .npy file, or the name of a column or of an array in a
        .npz file. None if the source has them.
    sample_weight : array_like, str or None
        The weights, as `t`.
    buffer : int, optional
        The rows of a window, in which rows are shuffled that cannot be shuffled as a whole.
    inputs_only : bool
        Whether targets are not read, and need not be there.

    Raises
    ------
    TypeError, ValueError
        If the source cannot be read.
    """
    if streams.is_path(source):
        return _file(where, source, t, sample_weight, buffer, inputs_only=inputs_only)
    brings_targets = not inputs_only and (t is None or isinstance(t, str))
    if not streams.is_stream(source, with_targets=brings_targets):
        return Arrays(where, *streams.with_targets(where, source, t), sample_weight)
    if streams.is_dataset(source):
        extras.require(where, "pyarrow.dataset", tables.EXTRA)
        groups = tables.dataset_groups(where, source)
        return tables.Groups(
            where, source.schema, groups, t, sample_weight, buffer, inputs_only=inputs_only
        )
    is_lazy = streams.is_lazy_frame(source)
    if is_lazy or hasattr(type(source), "read_next_batch"):
        names = source.collect_schema().names() if is_lazy else source.schema.names
        t = tables.column_of(where, names, "t", t, needed=not inputs_only)
    if not (is_lazy or isinstance(t, str)):
        for name, value in (("t", t), ("sample_weight", sample_weight)):
            if value is not None:
                raise TypeError(
                    f"{where}: {name} is given, but x is of type {type(source).__name__}, whose "
                    f"batches have it: (x, t) or (x, t, weight); should be None"
                )
        if streams.is_indexed(source) and not isinstance(source, (list, tuple)):
            return RowsSource(where, source)
        return Batches(where, source, buffer, inputs_only=inputs_only)
    return FrameBatches(where, source, t, sample_weight, buffer, inputs_only=inputs_only)


def _file(
    where: str, source: Any, t: Any, sample_weight: Any, buffer: int | None, *, inputs_only: bool
) -> Source:
    """Return the rows of files."""
    is_one = not isinstance(source, (list, tuple))
    paths = [os.fspath(path) for path in ([source] if is_one else source)]
    if is_one and paths[0].endswith(_NPY):
        return Npy(where, paths[0], t, sample_weight, inputs_only=inputs_only)
    for path in paths:
        if not path.endswith(_PARQUET) and not os.path.isdir(path):
            raise ValueError(
                f"{where}: x is the path {path!r}, should end in .npy, .npz or .parquet, or be a "
                f"folder of Parquet files"
            )
    files = tables.ParquetFiles(where, paths)
    return tables.Groups(
        where, files.schema, files.groups, t, sample_weight, buffer, inputs_only=inputs_only
    )
