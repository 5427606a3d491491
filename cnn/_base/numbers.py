"""Numbers as text: with all of their digits, or marked as rounded."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def exact(value: Any) -> str:
    """Return the shortest text that is read as this number and no other of its type."""
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    # A float32 has fewer digits than the float64 of the same value.
    text = str(value) if isinstance(value, np.floating) else repr(float(value))
    return text.removesuffix(".0")


def rounded(value: float, digits: int) -> str:
    """Return a number with at most `digits` digits, after ~ if it is rounded."""
    text = f"{value:.{digits}g}"
    return text if float(text) == value or math.isnan(value) else f"~{text}"
