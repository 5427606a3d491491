"""Consecutive rows of a table, column by column, as the readers of files give them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

from cnn._base.texts import did_you_mean, listed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray


@dataclass
class Numbers:
    """Numbers of some rows."""

    values: NDArray[np.float64]
    """They are NaN if missing, otherwise finite."""
    missing: NDArray[np.bool_] | None
    """Which are missing; None if none is."""
    texts: Callable[[], Texts]
    """Returns their texts; the blanks around them may be there."""


@dataclass
class Texts:
    """Texts of some rows, each different text once."""

    distinct: list[str]
    """In the order in which they first occur."""
    indices: NDArray[Any]
    """The place of each row's text among them, or -1 if it is missing."""

    def firsts(self) -> NDArray[np.intp]:
        """Return the row in which each text occurs first."""
        most = np.maximum.accumulate(self.indices)
        is_first = np.empty(len(most), np.bool_)
        is_first[0] = most[0] >= 0
        np.greater(most[1:], most[:-1], out=is_first[1:])
        return is_first.nonzero()[0]


# The rows that are read first, to know the columns whose texts are too many for categories: most
# texts of measurements differ.
FIRST_ROWS = 1100
# Rows that are read at a time, and the most numbers of a block, which limits the rows of wide
# tables.
_BLOCK_ROWS = 4096
_BLOCK_NUMBERS = 1 << 20


def rows_of_a_block(width: int) -> int:
    """Return how many rows are handled at a time if `width` numbers become of each."""
    return max(16, min(_BLOCK_ROWS, _BLOCK_NUMBERS // max(1, width)))


Piece: TypeAlias = "Numbers | Texts"


class Lines(Protocol):
    """The number of the last line of each row."""

    def __getitem__(self, row: int, /) -> int:
        """Return that of a row."""


@dataclass
class Rows:
    """The position of consecutive rows, for messages."""

    path: str
    first: int
    """How many rows are before them."""
    lines: Lines | None = None
    """None if the table has no lines."""

    def place(self, row: int) -> str:
        """Return the position of a row."""
        found = f"row {self.first + row + 1}"
        return found if self.lines is None else f"{found} (line {self.lines[row]})"

    def refusal(self, row: int, name: str, text: str, expected: str) -> ValueError:
        """Return the error for a text of a column."""
        found = f"is {text!r}" if text else "is empty"
        return ValueError(
            f"{self.path}: {self.place(row)}, column {name!r} {found}, should be {expected}"
        )


@dataclass
class Part:
    """Some rows of a table."""

    rows: Rows
    count: int
    pieces: list[Piece]
    """Those of the columns that were asked for, in their order."""


def texts_of(texts: Sequence[str]) -> Texts:
    """Return a column's texts, each different one once."""
    codes = {text: code for code, text in enumerate(dict.fromkeys(texts))}
    return Texts(list(codes), np.fromiter(map(codes.__getitem__, texts), np.int32, len(texts)))


def places_of(path: str, names: Sequence[str]) -> dict[str, int]:
    """Return the places of columns by their names, which should differ."""
    places: dict[str, int] = {}
    for place, name in enumerate(names):
        if name and places.setdefault(name, place) != place:
            raise ValueError(f"{path}: column {name!r} is there twice, names should differ")
    return places


def place_of(
    path: str, names: Sequence[str], places: Mapping[str, int], name: str, hint: str = ""
) -> int:
    """Return the place of the column with a name; the error ends with a name like it or a hint."""
    place = places.get(name)
    if place is None:
        raise ValueError(
            f"{path}: column {name!r} is missing, the file has {listed(names)}"
            f"{did_you_mean(name, places) or hint}"
        )
    return place
