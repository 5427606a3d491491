"""Texts that are numbers, and texts that are numbers for a person but not for `float`.

A column of ``5%`` or ``$1,234.50`` would make as many categories as it has texts. So the reader of
tables calls `disguise`, which returns the reason why such a text is no number.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

POINT = "."
"""The decimal mark of most files; the other one is a comma."""

# A minus sign, dashes and hyphens, all but "-", at the place of a sign: between digits they belong
# to a range or a date.
_DASH = re.compile("(?<![^eE])[\u2212\u2012\u2013\ufe63\uff0d]")
_NO_BREAK = "\u00a0\u2007\u202f"
_THIN = "\u2009\u200a\u3000"
_APOSTROPHES = "'\u2019\u02bc`\u00b4"
_PERCENT = "%\u2030\uff05\u066a"
_SYMBOL = (  # currency signs, of Unicode's category Sc
    "[$\u00a2-\u00a5\u058f\u060b\u09f2\u09f3\u0e3f\u17db\u20a0-\u20cf\ufdfc\ufe69\uff04\uffe0\uffe1"
    "\uffe5\uffe6]"
)
# The codes of ISO 4217 and other abbreviations of the most frequent currencies.
_CODE = (
    r"(?:USD|EUR|GBP|CHF|JPY|CNY|INR|CAD|AUD|NZD|BRL|MXN|SEK|NOK|DKK|PLN|CZK|HUF|RUB|TRY|KRW|ZAR|"
    r"SGD|HKD|Rs\.?|Fr\.?|kr\.?)"
)
_CURRENCY = re.compile(rf"[A-Za-z]{{0,3}}{_SYMBOL}|^{_CODE}(?=[\s\d+-])|(?<=[\s\d.,-]){_CODE}$")
_GROUP = rf"[,.\s_{_APOSTROPHES}\u066c]"
# A number without currency signs and the like. The last group of digits has three; in India the
# groups before it have two.
_CORE = re.compile(
    rf"[+-]?\s*(?:(?P<grouped>\d{{1,3}}(?P<group>{_GROUP})(?:\d{{2,3}}(?P=group))*\d{{3}}"
    r"(?:(?!(?P=group))[.,\u066b]\d*)?)|\d+(?:[.,\u066b]\d*)?|[.,\u066b]\d+)(?:[eE][+-]?\d+)?"
)
_WITH_UNIT = re.compile(r"[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)\s?(?P<unit>(?:[^\W\d_]|\u00b0)\S*)")
_WITH_MARK = re.compile(
    r"(?P<before>[<>\u2264\u2265~\u2248\u00b1=#]=?)?\s?[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)"
    r"(?P<after>[*+'-])?"
)
_DATE = re.compile(r"\d+([-/:.])\d+\1\d+.*|\d+:\d+", re.DOTALL)
_DIGIT = re.compile(r"\d")


def number(text: str, decimal: str = POINT) -> float | None:
    """Return the finite number that a text stands for, or None.

    Numbers are those that Python's float reads, with blanks around them, except ``1_000``. If
    `decimal` is a comma, then a point is no part of a number: ``1.234`` would be one thousand
    there.
    """
    value = _any_number(text, decimal)
    return value if value is not None and math.isfinite(value) else None


def is_infinite(text: str, decimal: str = POINT) -> bool:
    """Whether a text is a number that is infinite or NaN, such as ``inf`` or ``1e999``."""
    value = _any_number(text, decimal)
    return value is not None and not math.isfinite(value)


def _any_number(text: str, decimal: str) -> float | None:
    if "_" in text:
        return None
    if decimal != POINT:
        if POINT in text:
            return None
        text = text.replace(decimal, POINT)
    try:
        return float(text)
    except ValueError:
        return None


def numbers(texts: Sequence[str], decimal: str = POINT) -> NDArray[np.float64] | None:
    """Return the numbers that texts stand for, or None if one of them is no finite number."""
    joined = "".join(texts)
    if "_" in joined or (decimal != POINT and POINT in joined):
        return None
    if decimal != POINT and decimal in joined:
        texts = [text.replace(decimal, POINT) for text in texts]
    try:
        values = np.array(list(map(float, texts)), np.float64)
    except ValueError:
        return None
    return values if np.isfinite(values).all() else None


def disguise(text: str, decimal: str = POINT) -> str | None:
    """Return a reason why a text that looks like a number is none, or None.

    It is None for numbers and for all other texts.
    """
    if not _DIGIT.search(text) or number(text, decimal) is not None:
        return None
    causes = []
    core = text.strip()
    if any(mark in core for mark in _NO_BREAK + _THIN):
        causes.append("a no-break space" if any(m in core for m in _NO_BREAK) else "a thin space")
    if core.startswith("(") and core.endswith(")"):
        core = core[1:-1].strip()
        causes.append("parentheses")
    if core.strip(_PERCENT) != core:
        core = core.strip(_PERCENT).strip()
        causes.append("a percent sign")
    bare = _CURRENCY.sub("", core).strip()
    if bare != core:
        causes.append("a currency")
    signed = _DASH.sub("-", bare)
    if signed != bare:
        bare = signed
        causes.append("a minus sign that is not '-'")
    found = _CORE.fullmatch(bare)
    if found is None:
        return None
    if decimal == POINT and bare.count(",") == 1 and POINT not in bare:
        causes.append("a comma")
    elif found["grouped"]:
        causes.append("separators of thousands")
    elif decimal != POINT and POINT in bare:
        causes.append("a decimal point")
    return " and ".join(causes or ["a blank or mark that numbers do not have"])


def unit(text: str) -> str | None:
    """Return the unit or mark beside the number in a text such as ``5 kg`` or ``<5``, or None.

    Dates and times count as such texts.
    """
    if found := _WITH_UNIT.fullmatch(text):
        return f"the unit {found['unit']!r}"
    if (found := _WITH_MARK.fullmatch(text)) and (found["before"] or found["after"]):
        return f"the mark {found['before'] or found['after']!r}"
    return "dates or times" if _DATE.fullmatch(text) else None
