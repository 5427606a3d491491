"""What is an array, and what is a stream: data in pieces, which are read one after the other."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from cnn import _core

# Columns that a message names.
_NAMED = 10
# What np.asarray reads without going through a value item by item.
_ARRAYS = ("__array__", "__array_interface__", "__array_struct__", "__dlpack__")


def is_path(value: object) -> bool:
    """Whether a value is the path of a file, or a list of paths."""
    if isinstance(value, (list, tuple)):
        return bool(value) and isinstance(value[0], (str, os.PathLike))
    return isinstance(value, (str, os.PathLike))


def is_dataset(value: object) -> bool:
    """Whether a value is a dataset of pyarrow, which makes record batches when it is read."""
    kind = type(value)
    return hasattr(kind, "to_batches") and hasattr(kind, "get_fragments")


def is_lazy_frame(value: object) -> bool:
    """Whether a value is a lazy frame of polars."""
    kind = type(value)
    return hasattr(kind, "collect") and hasattr(kind, "collect_schema")


def is_indexed(value: object) -> bool:
    """Whether a value has a length and takes an index, as `cnn.Rows` and sequences do."""
    kind = type(value)
    return hasattr(kind, "__len__") and hasattr(kind, "__getitem__")


def is_rows(value: Any) -> bool:
    """Whether an indexed value returns tuples for slices, as `cnn.Rows` does."""
    try:
        return isinstance(value[0:1], (tuple, list)) and not isinstance(value, (tuple, list, str))
    except Exception:  # foreign code, which may raise anything
        return False


def _has_pairs(x: Any) -> bool:
    """Whether a list begins with a pair or a triple, of which the first is a matrix."""
    first = x[0] if x else None
    return isinstance(first, tuple) and len(first) in (2, 3) and getattr(first[0], "ndim", 0) == 2


def is_stream(x: object, *, with_targets: bool) -> bool:
    """Whether x is a stream and no array, nor anything that is read as an array.

    `with_targets` is whether x should bring its targets, since none were given. A list of pairs and
    an object with the methods of a sequence are then streams.
    """
    kind = type(x)
    if kind is np.ndarray:
        return False
    if is_path(x):
        return True
    if isinstance(x, (list, tuple)):
        return with_targets or _has_pairs(x)
    if isinstance(x, (Mapping, bytes, bytearray, memoryview)) or hasattr(kind, "toarray"):
        return False
    if any(hasattr(kind, name) for name in _ARRAYS):
        return False
    if hasattr(kind, "__next__") or is_dataset(x) or is_lazy_frame(x):
        return True
    if is_indexed(x):
        return with_targets or is_rows(x)
    return hasattr(kind, "__iter__")


def with_targets(where: str, x: Any, t: Any, what: str = "t") -> tuple[Any, Any]:
    """Return x and t, if t is the name of a column of x: x without it, and the column."""
    names = _core.column_names(x) if isinstance(t, str) else None
    if names is None:
        return x, t
    if t not in names:
        raise ValueError(
            f"{where}: {what} is {t!r}, but x has no column of this name; its columns are "
            f"{', '.join(map(repr, names[:_NAMED]))}{' …' if len(names) > _NAMED else ''}"
        )
    if hasattr(type(x), "iloc"):  # pandas
        return x.drop(columns=[t]), x[t]
    if hasattr(type(x), "itercolumns"):  # an Arrow table or batch
        return x.select([name for name in names if name != t]), x.column(t)
    return x.drop(t), x[t]
