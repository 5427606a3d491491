"""Axes that plots are drawn into, and their common style: colours, lines and grids."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cnn._base import extras

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.text import Text
    from numpy.typing import NDArray

# Those of Okabe and Ito.
BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY = COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
)
DASHES = ("-", "--", ":")
GREY, PALE = "#555555", "#DDDDDD"
# The labels that matplotlib gives to lines without a name.
_OF_MATPLOTLIB = re.compile(r"_(child\d+|nolegend_)")


def one(where: str, ax: Axes | None, size: tuple[float, float]) -> Axes:
    """Return the Axes that was given, or that of a new figure."""
    if ax is not None:
        if not hasattr(ax, "plot"):
            raise TypeError(
                f"{where}: ax is of type {type(ax).__name__}, should be a matplotlib.axes.Axes"
            )
        return ax
    pyplot = extras.require(where, "matplotlib.pyplot", "plot")
    _, made = pyplot.subplots(figsize=size, layout="constrained")
    found: Axes = made
    return found


def several(
    where: str,
    ax: object,
    count: int,
    size: tuple[float, float],
    *,
    columns: int,
    heights: Sequence[float] | None = None,
) -> NDArray[Any]:
    """Return the Axes that were given, or those of a new figure, as a flat array.

    A new figure has rows of `columns` Axes, at least `count` in all. `heights` are the relative
    heights of the rows.
    """
    if ax is None:
        pyplot = extras.require(where, "matplotlib.pyplot", "plot")
        rows = math.ceil(count / columns)
        _, made = pyplot.subplots(
            rows,
            columns,
            figsize=size,
            squeeze=False,
            layout="constrained",
            height_ratios=heights,
        )
        return np.asarray(made).reshape(-1)
    found = np.asarray(ax, dtype=object).reshape(-1)
    if found.size == 0 or not all(hasattr(axis, "plot") for axis in found):
        raise TypeError(
            f"{where}: ax is of type {type(ax).__name__}, should be an array of "
            f"matplotlib.axes.Axes, or None"
        )
    return found


def whole_numbers(where: str) -> Any:
    """Return a locator for ticks at whole numbers only, even if there is only one."""
    return extras.require(where, "matplotlib.ticker", "plot").MaxNLocator(
        integer=True, steps=[1, 2, 5, 10], min_n_ticks=1
    )


def style(i: int) -> tuple[str, str]:
    """Return colour and dashes of the i-th line, which both differ from its neighbours'."""
    # A line below a dashed one stays visible.
    return COLOURS[i % 6], DASHES[(i + i // 6) % 3]


def tidy(ax: Axes) -> None:
    """Remove the top and right lines of the frame, and draw a light grid."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(visible=True, color=PALE, linewidth=0.6)
    ax.set_axisbelow(True)


def legend(ax: Axes, place: Literal["upper left", "upper right", "lower right"]) -> None:
    """Draw a legend that is partly transparent.

    The place is given, since matplotlib takes long to find the "best" one among many points, and
    warns.
    """
    found: dict[Any, str] = dict(zip(*ax.get_legend_handles_labels(), strict=True))
    # matplotlib omits labels that begin with "_", which it gives to lines without a name.
    for line in ax.get_lines():
        name = str(line.get_label())
        if name.startswith("_") and not _OF_MATPLOTLIB.fullmatch(name):
            found[line] = name
    order = {line: i for i, line in enumerate(ax.get_lines())}
    pairs = sorted(found.items(), key=lambda pair: order.get(pair[0], -1))
    drawn = ax.legend(
        [handle for handle, _ in pairs],
        [f"line {i}" for i in range(len(pairs))],
        loc=place,
        framealpha=0.8,
        edgecolor="none",
    )
    for text, (_, name) in zip(drawn.get_texts(), pairs, strict=True):
        text.set_text(shown(name))
    as_text(drawn.get_texts())


def as_text(texts: Iterable[Text]) -> None:
    """Show names literally: a dollar sign in them is not markup."""
    for text in texts:
        text.set_parse_math(False)
        text.set_usetex(False)


def as_text_ticks(*axes: Axis) -> None:
    """Show the names at the ticks of axes literally, including those not drawn yet."""
    for axis in axes:
        as_text(tick.label1 for tick in axis.get_major_ticks())


def shown(name: str, most: int = 200) -> str:
    """Return a name in one line, and not too long for its place."""
    line = "".join(letter if letter.isprintable() else " " for letter in name)
    return line if len(line) <= most else line[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"


def no_ticks(ax: Axes) -> None:
    """Remove the ticks of an image, but not its frame."""
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_color(PALE)
