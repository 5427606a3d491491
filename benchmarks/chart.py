"""The chart: how many times faster cnn is than the best peer, row by row."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

import targets
from session import Comparison, Session

TITLES = {
    "predict": "Predict",
    "training": "Train",
    "activations": "Activations",
    "dense": "Dense layer",
}
TICKS = (0.1, 0.2, 0.5, 1, 2, 3, 5, 10, 20, 50, 100, 200, 500)
FASTER, SLOWER, TARGET = "#1f6f8b", "#c8553d", "#333333"


def draw(session: Session, rows: Sequence[Comparison], folder: Path) -> str | None:
    """Draw the rows of one thread and the best instruction set; return the file's name."""
    shown = [
        row
        for row in rows
        if row.threads == 1 and row.isa == session.options.isas[0] and _is_shown(row)
    ]
    if not shown:
        return None
    groups = [
        (title, found)
        for subject, title in TITLES.items()
        if (found := [row for row in shown if row.subject == subject])
    ]
    heights = [len(found) + 1 for _, found in groups]
    figure, axes = plt.subplots(
        len(groups),
        1,
        figsize=(9, 1.1 + 0.27 * sum(heights)),
        sharex=True,
        squeeze=False,
        gridspec_kw={"height_ratios": heights},
        layout="constrained",
    )
    for (title, found), axis in zip(groups, axes[:, 0], strict=True):
        _panel(axis, title, found)
    low = min(0.8, *(row.ratio for row in shown)) * 0.9
    # The labels stand to the right of bars and marks, and need room.
    high = max(2.0, *(max(row.ratio, row.target or 0) for row in shown)) * 3
    axes[-1, 0].set_xlim(low, high)
    axes[-1, 0].set_xlabel("times faster than the best peer (one thread; mark: target)")
    figure.suptitle(f"cnn {session.options.isas[0]} on {session.machine.model}", fontsize=11)
    name = f"{session.machine.slug}.png"
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / name, dpi=110)
    plt.close(figure)
    return name


def _is_shown(row: Comparison) -> bool:
    """Choose the rows that have targets, and those that stand for the others."""
    if (row.subject, row.name) in targets.RATIOS:
        return True
    return row.subject in TITLES and row.name in targets.SHOWN


def _panel(axis: Axes, title: str, rows: Sequence[Comparison]) -> None:
    places = range(len(rows))
    axis.barh(
        places,
        [row.ratio - 1 for row in rows],
        left=1,
        height=0.68,
        color=[FASTER if row.ratio >= 1 else SLOWER for row in rows],
    )
    for place, row in zip(places, rows, strict=True):
        text = f" {row.ratio:.2f}x {row.best_peer}"
        axis.text(max(row.ratio, row.target or 0, 1), place, text, va="center", fontsize=8)
        if row.target is not None:
            axis.plot([row.target] * 2, [place - 0.42, place + 0.42], color=TARGET, linewidth=2)
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.xaxis.set_major_locator(FixedLocator(TICKS))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.axvline(1, color=TARGET, linewidth=0.8)
    axis.set_yticks(places, [row.name for row in rows], fontsize=8)
    axis.invert_yaxis()
    axis.set_title(title, loc="left", fontsize=9, fontweight="bold")
    axis.grid(axis="x", color="#dddddd", linewidth=0.6)
    axis.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
    axis.tick_params(axis="y", length=0)
