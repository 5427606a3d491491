"""How a file writes fields, numbers and missing values."""

from __future__ import annotations

from dataclasses import dataclass

from cnn._tables.numerals import POINT

MISSING = frozenset(
    {
        "",
        "NA",
        "N/A",
        "n/a",
        "<NA>",
        "#N/A",
        "NaN",
        "nan",
        "-nan",
        "NAN",
        "NULL",
        "null",
        "None",
        "?",
    }
)
"""Texts that programs write for a missing value."""


@dataclass(frozen=True)
class Dialect:
    """How a file writes fields, numbers and missing values."""

    delimiter: str | None = None
    """The delimiter; None for the one that fits the first lines best."""
    decimal: str = POINT
    missing: frozenset[str] = MISSING
    """Texts that are refused since they stand for a missing value."""


DEFAULT = Dialect()
NONE_MISSING = Dialect(missing=frozenset())
