"""Texts for messages and tables: without control characters, in lists, with a likely name."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# ASCII's control characters, those of U+0080 to U+009F, which some terminals also obey, line
# separators, and marks that change the direction of text (CVE-2021-42574).
_CONTROL = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ufff9-\ufffb]"
)


class Lines(str):
    """A text of several lines that an interpreter shows as they are, rather than quoted."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def shown(text: str) -> str:
    """Return a text with ? for each control character, as messages of libcnn have it."""
    return _CONTROL.sub("?", text)


def listed(names: Sequence[str], most: int = 10) -> str:
    """Return names in a line, the first of them if there are many."""
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return a question that suggests the name most like one that is missing, or ""."""
    by_letters = {other.casefold(): other for other in names}
    close = difflib.get_close_matches(name.casefold(), by_letters, n=1)
    return f"; did you mean {by_letters[close[0]]!r}?" if close else ""


def of_error(error: BaseException) -> str:
    """Return an error as one line; that of the system names its file."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        text = f"{error.filename}: {error.strerror}"
    elif isinstance(error, OSError) and error.strerror:
        text = error.strerror
    else:
        text = str(error) or type(error).__name__
    return " ".join(text.split())
