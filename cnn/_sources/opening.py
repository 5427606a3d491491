"""The source for what a user gave."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from cnn._base import streams
from cnn._sources.arrays import Arrays
from cnn._sources.batches import Batches
from cnn._sources.indexed import RowsSource
from cnn._sources.npy import Npy

if TYPE_CHECKING:
    from cnn._sources.chunks import Source

BUFFER = 10_000
"""The rows of a window, in which those are shuffled that cannot be shuffled as a whole."""

_NPY = (".npy", ".npz")


def opened(
    where: str,
    source: Any,
    t: Any = None,
    *,
    sample_weight: Any = None,
    buffer: int = BUFFER,
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
    buffer : int
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
    if not streams.is_stream(source, with_targets=t is None and not inputs_only):
        return Arrays(where, source, t, sample_weight)
    for name, value in (("t", t), ("sample_weight", sample_weight)):
        if value is not None:
            raise TypeError(
                f"{where}: {name} is given, but x is of type {type(source).__name__}, whose "
                f"batches have it: (x, t) or (x, t, weight); should be None"
            )
    is_sequence = isinstance(source, (list, tuple))
    if streams.is_indexed(source) and not is_sequence:
        return RowsSource(where, source)
    return Batches(where, source, buffer, inputs_only=inputs_only)


def _file(
    where: str, source: Any, t: Any, sample_weight: Any, buffer: int, *, inputs_only: bool
) -> Source:
    """Return the rows of files."""
    is_one = not isinstance(source, (list, tuple))
    if is_one and os.fspath(source).endswith(_NPY):
        return Npy(where, os.fspath(source), t, sample_weight, inputs_only=inputs_only)
    names = [source] if is_one else list(source)
    raise ValueError(
        f"{where}: x is the path {os.fspath(names[0])!r}, should end in .npy, .npz or .parquet"
    )
