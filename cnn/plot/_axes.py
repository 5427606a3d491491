"""Axes that plots are drawn into, and their common style: colours, lines and grids."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import numpy as np

from cnn._base import extras

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.text import Text
    from numpy.typing import ArrayLike, NDArray

# Those of Okabe and Ito. On dark backgrounds, blue and black lines could not be seen.
_ON_LIGHT = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_ON_DARK = ("#56B4E9", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#F0E442")
DASHES = ("-", "--", ":")
# On darker colours, white letters are easier to read.
_LUMINANCE = (0.2126, 0.7152, 0.0722)
# The labels that matplotlib gives to lines without a name.
_OF_MATPLOTLIB = re.compile(r"_(child\d+|nolegend_)")


class Theme(NamedTuple):
    """The colours of a plot."""

    lines: tuple[str, ...]
    """Those of lines and classes, six."""
    grid: str
    """That of grids and frames, and of bars that do not matter."""
    grey: str
    """That of axes and of lines for comparison."""
    text: Any
    """That of texts."""
    paper: Any
    """That of the background."""

    @property
    def right(self) -> str:
        """What is right, or of training rows."""
        return self.lines[0]

    @property
    def wrong(self) -> str:
        """What is wrong, or of the validation."""
        return self.lines[1]

    @property
    def truth(self) -> str:
        """What would be right."""
        return self.lines[2]

    @property
    def is_dark(self) -> bool:
        """Whether the background is dark."""
        return self.lines is _ON_DARK


def is_dark(colour: object) -> bool:
    """Whether white letters can be read on a colour better than black ones."""
    colours = extras.require("plot", "matplotlib.colors", "plot")
    red, green, blue, alpha = colours.to_rgba(colour)
    shade = sum(part * share for part, share in zip((red, green, blue), _LUMINANCE, strict=True))
    return float(shade * alpha + 1.0 - alpha) < 0.5


def theme(ax: Axes) -> Theme:
    """Return the colours that can be seen on the background of Axes."""
    # An Axes without a colour of its own shows that of its figure.
    colours = extras.require("plot", "matplotlib.colors", "plot")
    paper = colours.to_rgba(ax.get_facecolor())
    paper = ax.figure.get_facecolor() if paper[3] == 0 else paper
    text = ax.xaxis.label.get_color()
    if is_dark(paper):
        return Theme(_ON_DARK, "#4A4A4A", "#AAAAAA", text, paper)
    return Theme(_ON_LIGHT, "#DDDDDD", "#555555", text, paper)


def shades(ax: Axes) -> Any:
    """Return a colour map from the background, or white, to blue."""
    if not theme(ax).is_dark:
        return "Blues"
    colours = extras.require("plot", "matplotlib.colors", "plot")
    return colours.LinearSegmentedColormap.from_list(
        "blues_on_dark", ["#101418", "#1F5A8A", "#56B4E9", "#E8F6FF"]
    )


def two_sided(ax: Axes) -> Any:
    """Return a colour map from blue through white, or black if the background is dark, to red."""
    if not theme(ax).is_dark:
        return "RdBu_r"
    colours = extras.require("plot", "matplotlib.colors", "plot")
    return colours.LinearSegmentedColormap.from_list(
        "blue_black_red", ["#A5DCFF", "#2E86C1", "#000000", "#D1495B", "#FFC1B0"]
    )


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


def style(ax: Axes, i: int) -> tuple[str, str]:
    """Return colour and dashes of the i-th line, which both differ from its neighbours'."""
    # A line below a dashed one stays visible.
    return theme(ax).lines[i % 6], DASHES[(i + i // 6) % 3]


def colours_of_classes(ax: Axes, count: int) -> list[Any]:
    """Return a colour for each class: those of lines, or of a colour map if there are more."""
    if count <= 6:
        return list(theme(ax).lines[:count])
    maps = extras.require("plot", "matplotlib", "plot").colormaps
    if count <= 20:
        return [maps["tab20"](i) for i in [*range(0, 20, 2), *range(1, 20, 2)][:count]]
    return [maps["turbo"](i / (count - 1)) for i in range(count)]


def tidy(ax: Axes) -> None:
    """Remove the top and right lines of the frame, and draw a light grid."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(visible=True, color=theme(ax).grid, linewidth=0.6)
    ax.set_axisbelow(True)


def on_axis(ax: Axes, x: ArrayLike, colour: Any, label: str | None = None) -> None:
    """Mark on the x axis what a logarithmic scale does not have: 0 and below."""
    ax.plot(
        x,
        np.zeros(np.size(x)),
        marker="x",
        linestyle="",
        color=colour,
        clip_on=False,
        transform=ax.get_xaxis_transform(),
        label=label,
    )


_Place: TypeAlias = Literal["upper left", "upper right", "lower left", "lower right"]


def corner(ax: Axes, preferred: _Place) -> _Place:
    """Return the corner with the fewest points of lines, the preferred one if several have them.

    It looks at 200 points of each line at most, so that it is fast.
    """
    ax.get_xlim(), ax.get_ylim()  # which fits them to new lines, for the transform
    points = np.zeros((0, 2))
    for line in ax.get_lines():
        xy = np.asarray(line.get_xydata(), np.float64)
        if len(xy) and line.get_transform().contains_branch(ax.transData):
            # Between the points of a line as well.
            at = np.linspace(0, len(xy) - 1, 200)
            x, y = (np.interp(at, np.arange(len(xy)), xy[:, i]) for i in range(2))
            places = ax.transData.transform(np.stack([x, y], axis=1))
            points = np.append(points, ax.transAxes.inverted().transform(places), axis=0)
    right, upper = points[:, 0] > 0.4, points[:, 1] > 0.7
    left, lower = points[:, 0] < 0.6, points[:, 1] < 0.3
    inside = (np.abs(points - 0.5) <= 0.5).all(axis=1)
    counts: dict[_Place, int] = {
        "upper right": int((upper & right & inside).sum()),
        "upper left": int((upper & left & inside).sum()),
        "lower right": int((lower & right & inside).sum()),
        "lower left": int((lower & left & inside).sum()),
    }
    least = min(counts.values())
    return preferred if counts[preferred] <= least else min(counts, key=lambda p: counts[p])


def legend(ax: Axes, place: _Place | None) -> None:
    """Draw a legend that is partly transparent, or right of the Axes if there is no place.

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
    beside: dict[str, Any] = {"loc": "center left", "bbox_to_anchor": (1, 0.5), "frameon": False}
    drawn = ax.legend(
        [handle for handle, _ in pairs],
        [f"line {i}" for i in range(len(pairs))],
        **(
            beside
            if place is None
            else {"loc": place, "frameon": True, "framealpha": 0.8, "edgecolor": "none"}
        ),
    )
    for handle in filter(None, drawn.legend_handles):
        # One pale dot could hardly be seen, unlike many.
        handle.set_alpha(1.0)
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
    ax.spines[:].set_color(theme(ax).grid)
