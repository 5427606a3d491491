"""What the files of one table hold: their columns are decided from all of them together.

Each file is surveyed by itself, on whatever process has it. The surveys become texts, which other
processes read, and are merged in the order of the files.
"""

from __future__ import annotations

import json
from dataclasses import fields
from typing import TYPE_CHECKING

from cnn._tables import numerals
from cnn._tables.reading import names_of
from cnn._tables.table import MOST_CATEGORIES, Survey

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnn._tables.dialect import Dialect

# What a survey has found; the others of its fields are the same for all files.
_FOUND = tuple(
    field.name
    for field in fields(Survey)
    if field.name not in ("forced", "dialect", "keep_missing", "whole", "_values")
)


def headers(paths: Sequence[str], dialect: Dialect) -> list[str]:
    """Return the names of the columns of files, which should be the same in all of them."""
    first = names_of(paths[0], dialect)
    for path in paths[1:]:
        check_names(paths[0], first, path, names_of(path, dialect))
    return first


def check_names(first: str, names: Sequence[str], path: str, other: Sequence[str]) -> None:
    """Refuse a file whose columns are not those of the first file, in their order."""
    if list(names) == list(other):
        return
    rule = "the files of a table should have the same columns in the same order"
    for name in names:
        if name not in other:
            raise ValueError(f"{path}: column {name!r}, which {first} has, is missing; {rule}")
    for name in other:
        if name not in names:
            raise ValueError(f"{path}: column {name!r} is not in {first}; {rule}")
    place = next((i for i, pair in enumerate(zip(names, other, strict=False)) if len({*pair}) > 1))
    raise ValueError(
        f"{path}: column {place + 1} is {other[place]!r}, but {names[place]!r} in {first}; {rule}"
    )


def text_of(survey: Survey) -> str:
    """Return what a survey of a part of a table has found, as JSON."""
    found = {name: getattr(survey, name) for name in _FOUND}
    if survey.codes is not None:
        found["codes"] = list(survey.codes)
    return json.dumps(found)


def of_text(text: str, dialect: Dialect, *, forced: bool) -> Survey:
    """Return the survey of a text that `text_of` returned; `forced` as for `Survey`."""
    found = json.loads(text)
    if found["codes"] is not None:
        found["codes"] = {code: place for place, code in enumerate(found["codes"])}
    return Survey(forced=forced, dialect=dialect, whole=False, **found)


def merged(source: str, parts: Sequence[Survey]) -> Survey:
    """Return the survey of a column from those of its parts, in the order of the files.

    It is what a survey of all rows in one file finds. `source` begins messages.

    Raises
    ------
    ValueError
        If a file has numbers and another one other texts, or texts that look like numbers.
    """
    first = parts[0]
    found = Survey(first.name, first.forced, first.dialect, first.keep_missing, whole=False)
    found.missing = sum(part.missing for part in parts)
    found.is_whole = all(part.is_whole for part in parts)
    for place in ("first_missing", "number", "word", "inexact", "disguise"):
        setattr(found, place, next(filter(None, (getattr(part, place) for part in parts)), ""))
    if (error := found.mixture(source)) is not None:
        raise error
    found.codes = _codes(parts)
    if found.codes is None:
        found.disguised = sum(part.disguised for part in parts)
        found.looked_at = sum(part.looked_at for part in parts)
    else:
        decimal = found.dialect.decimal
        found.looked_at = len(found.codes)
        found.disguised = sum(
            numerals.disguise(text, decimal) is not None for text in found.codes if found.word
        )
    found.check(source)
    return found


def _codes(parts: Sequence[Survey]) -> dict[str, int] | None:
    """Return the different texts of all parts, unless there are too many for categories."""
    found: dict[str, int] = {}
    for part in parts:
        if part.codes is None:
            return None
        for text in part.codes:
            found.setdefault(text, len(found))
        if len(found) > MOST_CATEGORIES:
            return None
    return found
