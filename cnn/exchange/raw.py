"""What exports need of a model that takes the rows of a table as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from cnn import _core

RAW_COLUMNS = "cnn_columns"
"""The key under which an ONNX file has the columns of a model as JSON."""


@dataclass(frozen=True)
class RawColumn:
    """A column: what it is, and how its numbers are scaled."""

    name: str
    kind: str
    """"number", "category" or "date"."""
    categories: tuple[Any, ...] = ()
    """The categories that have codes of their own, in their order."""
    infrequent: tuple[Any, ...] = ()
    """Further categories, which share the next code; one that is not known has it too."""
    centers: tuple[float, ...] = ()
    """What is subtracted from each of its numbers, in float64."""
    scales: tuple[float, ...] = ()
    """By what they are divided then."""

    def texts(self, where: str) -> tuple[str, ...]:
        """Return all categories as texts, which must differ."""
        found: dict[str, Any] = {}
        for category in (*self.categories, *self.infrequent):
            text = str(category)
            if text in found:
                raise ValueError(
                    f"{where}: column {self.name!r} has the categories {found[text]!r} and "
                    f"{category!r}, which are the same text; should differ as texts"
                )
            found[text] = category
        return tuple(found)


@dataclass(frozen=True)
class RawClasses:
    """A target that is one of several classes."""

    classes: tuple[Any, ...]


@dataclass(frozen=True)
class RawNumbers:
    """Targets that are numbers: outputs are scaled, shifted, and bounded."""

    means: tuple[float, ...]
    scales: tuple[float, ...]
    lows: tuple[float, ...]
    highs: tuple[float, ...]
    is_exponential: bool = False
    """Whether an output is the logarithm of the number."""
    quantiles: tuple[float, ...] = ()
    """The levels of quantiles, whose numbers are sorted."""


RawTarget: TypeAlias = RawClasses | RawNumbers


@dataclass(frozen=True)
class RawModel:
    """Columns, networks whose outputs are averaged, and the target.

    A row has a number for each column: that of the table; the place of a category among all of the
    column, or -1 for one that is not known; the seconds since 1970 of a date. NaN is a missing
    value of each kind.
    """

    columns: tuple[RawColumn, ...]
    networks: tuple[_core.Network, ...]
    target: RawTarget
    refuses_unseen: bool
    """Whether a category that is not known is an error."""
    predict: Callable[[Sequence[_core.Network], NDArray[Any]], NDArray[Any]]
    """What networks like these predict for such rows."""

    @property
    def outputs(self) -> int:
        """How many numbers are predicted for a row."""
        return self.networks[0].outputs
