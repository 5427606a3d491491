"""The chart: how good each method is, beside the seconds that a fit takes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.ticker import FuncFormatter

# Ranks so close have labels in one line.
CLOSE = 0.3
OWN, OTHER = "#1f6f8b", "#8a8a8a"


def draw(points: Mapping[str, tuple[float, float, bool]], path: Path) -> None:
    """Draw points by label: seconds of a fit, mean rank, and whether it is ours."""
    figure, axis = plt.subplots(figsize=(7.0, 4.2), layout="constrained")
    longest = max(seconds for seconds, _, _ in points.values())
    for label, (seconds, rank, is_own) in points.items():
        axis.plot(seconds, rank, "o", color=OWN if is_own else OTHER, markersize=9)
        is_near = any(
            1 < other / seconds < 8 and abs(rank - height) < CLOSE
            for other, height, _ in points.values()
        )
        is_right = seconds > longest / 8 or is_near
        axis.annotate(
            label,
            (seconds, rank),
            xytext=(-9 if is_right else 9, 0),
            textcoords="offset points",
            ha="right" if is_right else "left",
            va="center",
            color=OWN if is_own else "#333333",
            weight="bold" if is_own else "normal",
        )
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.margins(x=0.22, y=0.12)
    axis.invert_yaxis()
    axis.set_xlabel("seconds of a fit on one core, geometric mean")
    axis.set_ylabel("mean rank of the error (better is higher up)")
    axis.grid(color="#e4e4e4")
    axis.set_axisbelow(True)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    figure.savefig(path, dpi=150)
    plt.close(figure)
