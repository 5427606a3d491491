"""The chart: how many times faster cnn is than the best peer, row by row.

`python benchmarks/chart.py REPORT.md` draws that of a report again, from the numbers in it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

import reading
import targets
from session import Comparison, Curve

TITLES = {
    "predict": "Predict",
    "training": "Train",
    "activations": "Activations",
    "dense": "Dense layer",
}
TICKS = (0.1, 0.2, 0.5, 1, 2, 3, 5, 10, 20, 50, 100, 200, 500)
FASTER, SLOWER, TARGET = "#1f6f8b", "#c8553d", "#333333"
# Small, with large letters: charts are looked at on phones too.
WIDTH, ROW, SIZE = 7.0, 0.24, 9


def draw(rows: Iterable[Comparison], isa: str, title: str, path: Path) -> str | None:
    """Draw the rows of one thread and an instruction set; return the file's name."""
    shown = [row for row in rows if row.threads == 1 and row.isa == isa and _is_shown(row)]
    if not shown:
        return None
    groups = [
        (name, found)
        for subject, name in TITLES.items()
        if (found := [row for row in shown if row.subject == subject])
    ]
    heights = [len(found) + 1 for _, found in groups]
    figure, axes = plt.subplots(
        len(groups),
        1,
        figsize=(WIDTH, 1.4 + ROW * sum(heights)),
        sharex=True,
        squeeze=False,
        gridspec_kw={"height_ratios": heights},
        layout="constrained",
    )
    for (name, found), axis in zip(groups, axes[:, 0], strict=True):
        _panel(axis, name, found)
    low = min(0.8, *(row.ratio for row in shown)) * 0.9
    # The labels stand to the right of bars and marks, and need room.
    high = max(2.0, *(max(row.ratio, row.target or 0) for row in shown)) * 5
    axes[-1, 0].set_xlim(low, high)
    axes[-1, 0].set_xlabel("times faster than the best peer, one thread", fontsize=SIZE)
    figure.suptitle(title, fontsize=11, fontweight="bold")
    _legend(axes[0, 0], shown)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    plt.close(figure)
    return path.name


def draw_curves(curves: Mapping[str, Curve], title: str, path: Path) -> str | None:
    """Draw the accuracy of each library over the seconds of training; return the file's name."""
    if not curves:
        return None
    figure, axis = plt.subplots(figsize=(WIDTH, 4.2), layout="constrained")
    for i, (name, curve) in enumerate(curves.items()):
        seconds, accuracy = zip(*curve[1:], strict=True)
        color, width = (FASTER, 2.4) if name == "cnn" else (f"C{i}", 1.2)
        shares = [100 * share for share in accuracy]
        axis.plot(seconds, shares, ".-", label=name, color=color, linewidth=width)
    _log_ticks(axis)
    axis.set_ylim(94, 98.6)
    axis.set_xlabel("seconds of training, one thread", fontsize=SIZE)
    axis.set_ylabel("accuracy on MNIST's test set, %", fontsize=SIZE)
    axis.tick_params(labelsize=SIZE)
    axis.grid(color="#dddddd", linewidth=0.6)
    axis.set_axisbelow(True)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    axis.legend(frameon=False, fontsize=SIZE, loc="lower right")
    axis.set_title(title, fontsize=11, fontweight="bold")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    plt.close(figure)
    return path.name


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
        axis.text(max(row.ratio, row.target or 0, 1), place, text, va="center", fontsize=SIZE)
        if row.target is not None:
            axis.plot([row.target] * 2, [place - 0.42, place + 0.42], color=TARGET, linewidth=2)
    _log_ticks(axis)
    axis.axvline(1, color=TARGET, linewidth=0.8)
    axis.set_yticks(places, [row.name for row in rows], fontsize=SIZE)
    axis.invert_yaxis()
    axis.set_title(title, loc="left", fontsize=SIZE + 1, fontweight="bold")
    axis.grid(axis="x", color="#dddddd", linewidth=0.6)
    axis.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
    axis.tick_params(axis="y", length=0)
    axis.tick_params(axis="x", labelsize=SIZE)


def _log_ticks(axis: Axes) -> None:
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.xaxis.set_major_locator(FixedLocator(TICKS))
    axis.xaxis.set_minor_locator(NullLocator())


def _legend(axis: Axes, shown: Sequence[Comparison]) -> None:
    """Explain the colours and the mark, as far as they are there, above the first panel."""
    bar, mark = {"linewidth": 7}, {"linewidth": 0, "marker": "|", "markersize": 11}
    entries = (
        (FASTER, bar, "faster", any(row.ratio >= 1 for row in shown)),
        (SLOWER, bar, "slower", any(row.ratio < 1 for row in shown)),
        (TARGET, {**mark, "markeredgewidth": 2}, "target", any(row.target for row in shown)),
    )
    there = [
        (Line2D([], [], color=color, **style), text)
        for color, style, text, is_there in entries
        if is_there
    ]
    axis.legend(
        *zip(*there, strict=True),
        loc="lower right",
        bbox_to_anchor=(1, 1),
        ncols=len(there),
        frameon=False,
        fontsize=SIZE,
        handlelength=1.2,
        borderaxespad=0,
    )


def main() -> None:
    """Draw the charts of reports again, beside them."""
    for name in sys.argv[1:]:
        report = reading.read(Path(name))
        path = report.path.with_suffix(".png")
        draw(report.rows, report.isas[0], f"cnn on {report.title}", path)
        print(path)


if __name__ == "__main__":
    main()
