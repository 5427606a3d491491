"""The kinds of columns of a `cnn.Columns` layer: what becomes of a column of a table.

Numbers are given as they are, NaN where one is missing, and categories as their numbers from 0 on;
NaN, or any other number, is a category that is missing or not known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from cnn import _core
from cnn._base import checks

__all__ = ["Column", "Embedding", "Ignored", "Number", "OneHot", "Periodic"]


@dataclass(frozen=True)
class Number:
    """A number, scaled and clipped: one feature.

    Parameters
    ----------
    missing : bool, default False
        Whether one more feature is 1 if the number is missing, else 0. A number that is missing
        becomes 0, that of the column's mean.

    Examples
    --------
    >>> import cnn
    >>> cnn.Columns([cnn.columns.Number(missing=True)], clip=0.0).outputs
    2
    """

    missing: bool = False

    def __post_init__(self) -> None:
        checks.flag(type(self).__name__, "missing", self.missing)


@dataclass(frozen=True)
class Periodic(Number):
    """A number, and periodic features of it.

    Parameters
    ----------
    missing : bool, default False
        As for `Number`.

    Examples
    --------
    >>> import cnn
    >>> cnn.Columns([cnn.columns.Periodic()], periodic_size=4).outputs
    4
    """


@dataclass(frozen=True)
class _Categories:
    categories: int

    def __post_init__(self) -> None:
        where = type(self).__name__
        checks.integer(where, "categories", self.categories, 1, _core.MOST_CATEGORIES)


@dataclass(frozen=True)
class OneHot(_Categories):
    """A category as a feature for each: 1 for the category of the row, 0 for others.

    Two categories are one feature, 1 for the first and -1 for the second.

    Parameters
    ----------
    categories : int
        How many there are; they are numbered from 0 on.

    Examples
    --------
    >>> import cnn
    >>> cnn.Columns([cnn.columns.OneHot(5)]).outputs
    5
    """


@dataclass(frozen=True)
class Embedding(_Categories):
    """A category as features that are learned for each.

    Parameters
    ----------
    categories : int
        How many there are; they are numbered from 0 on.

    Examples
    --------
    >>> import cnn
    >>> cnn.Columns([cnn.columns.Embedding(1000)], embedding_size=8).outputs
    8
    """


@dataclass(frozen=True)
class Ignored:
    """A column that has no features.

    Examples
    --------
    >>> import cnn
    >>> cnn.Columns([cnn.columns.Ignored(), cnn.columns.Number()]).outputs
    1
    """


Column: TypeAlias = Number | Periodic | OneHot | Embedding | Ignored
"""What `cnn.Columns` takes for each column."""

_KINDS: dict[type, str] = {
    Number: "number",
    Periodic: "periodic",
    OneHot: "one_hot",
    Embedding: "embedding",
    Ignored: "ignored",
}
_CLASSES = {kind: cls for cls, kind in _KINDS.items()}


def to_spec(where: str, i: int, column: object) -> _core.ColumnSpec:
    """Return a column as libcnn has it; TypeError for what is none."""
    kind = _KINDS.get(type(column))
    if kind is None:
        raise TypeError(
            f"{where}: column {i} is {column!r}, should be an object of cnn.columns such as "
            f"cnn.columns.Number()"
        )
    return _core.ColumnSpec(
        kind, getattr(column, "missing", False), getattr(column, "categories", 0)
    )


def of_spec(spec: _core.ColumnSpec) -> Column:
    """Return the column that `to_spec` described."""
    options: dict[str, int] = {"missing": True} if spec.missing else {}
    if spec.categories:
        options = {"categories": spec.categories}
    made: Column = _CLASSES[spec.kind](**options)
    return made
