"""Tables and short texts as HTML, for notebooks.

They set no colours, so that the themes of notebooks, light or dark, decide: lines and texts are of
the colour around them.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

_CELL = "padding:0.15em 0.7em;vertical-align:middle;white-space:pre-wrap;"


def escaped(text: object) -> str:
    """Return a text, or that of an object, such that HTML shows it literally."""
    return html.escape(str(text))


class Markup(str):
    """HTML that `table` and `block` take as it is; all other texts are escaped."""

    __slots__ = ()


def _inner(value: object) -> str:
    return value if isinstance(value, Markup) else escaped(value)


def table(
    header: Sequence[object], rows: Iterable[Sequence[object]], *, right: Collection[int] = ()
) -> Markup:
    """Return a table.

    Parameters
    ----------
    header : sequence
        The titles of the columns.
    rows : iterable of sequence
        The cells of each row. Those that are `Markup` are HTML; others are shown as text.
    right : collection of int
        The columns that are aligned to the right, as numbers are.
    """

    def line(tag: str, cells: Sequence[object]) -> str:
        sides = ("right" if column in right else "left" for column in range(len(cells)))
        return "".join(
            f'<{tag} style="text-align:{side};{_CELL}">{_inner(cell)}</{tag}>'
            for side, cell in zip(sides, cells, strict=True)
        )

    body = "\n".join(f"<tr>{line('td', row)}</tr>" for row in rows)
    return Markup(
        f'<table style="border-collapse:collapse;">\n<thead><tr style="border-bottom:1px solid '
        f'currentColor;">{line("th", header)}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>'
    )


def block(title: object, *parts: object) -> str:
    """Return a title and what belongs to it, each in a line of its own."""
    lines = "\n".join(f"<div>{_inner(part)}</div>" for part in parts)
    return f"<div>\n<div><strong>{_inner(title)}</strong></div>\n{lines}\n</div>"
