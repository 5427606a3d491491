"""The report of `make bench-tabular`: scores with standard errors, ranks, times, sizes, a chart."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from tabular import methods, scatter, tables

Fit: TypeAlias = dict[str, Any]
# The scores of tables with numbers and with classes: those that ranks are of come first.
SCORES = {False: ("rmse", "mae"), True: ("error", "log_loss", "auc")}
LABELS = {
    "rmse": "root mean squared error",
    "mae": "mean absolute error",
    "error": "share of wrong classes",
    "log_loss": "log loss",
    "auc": "area under the ROC curve",
}
RANKED = ("rmse", "error")
# What another machine would have other figures of.
TIMES = ("fit_seconds", "predict_seconds", "one_row_seconds")
PEER = "realmlp"


def read(path: Path) -> list[Fit]:
    """Return the fits that a run has written."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


class Fits:
    """The fits of a folder, by table and method."""

    def __init__(self, fits: Sequence[Fit]) -> None:
        self.failed = [fit for fit in fits if "failed" in fit]
        self.machine = next((fit["machine"] for fit in reversed(fits) if "machine" in fit), "")
        self._found: dict[tuple[str, str], dict[int, Fit]] = {}
        for fit in fits:
            if "failed" not in fit:
                self._found.setdefault((fit["table"], fit["method"]), {})[fit["seed"]] = fit
        self.tables = [t for t in tables.NAMES if any(t == table for table, _ in self._found)]
        self.methods = [m for m in methods.METHODS if any(m == found for _, found in self._found)]

    def values(self, table: str, method: str, key: str) -> dict[int, float]:
        """Return a figure by seed; times are those of the machine of the last fit."""
        fits = self._found.get((table, method), {})
        return {
            seed: fit[key]
            for seed, fit in sorted(fits.items())
            if key in fit and (key not in TIMES or fit["machine"] == self.machine)
        }

    def seeds(self, table: str, method: str) -> int:
        """Return for how many seeds a method has fitted a table."""
        return len(self._found.get((table, method), {}))

    def other_machines(self) -> list[str]:
        """Return the machines whose times are left out."""
        found = {fit["machine"] for fits in self._found.values() for fit in fits.values()}
        return sorted(found - {self.machine})

    def mean(self, table: str, method: str, key: str) -> float:
        """Return the mean of a figure; NaN without one."""
        found = self.values(table, method, key)
        return float(np.mean(list(found.values()))) if found else math.nan

    def with_score(self, key: str) -> list[str]:
        """Return the tables that have a score."""
        return [t for t in self.tables if any(self.values(t, m, key) for m in self.methods)]

    def complete(self) -> list[str]:
        """Return the methods that have fitted each table, which ranks are of."""
        return [
            m
            for m in self.methods
            if all(any(self.values(t, m, key) for key in RANKED) for t in self.tables)
        ]

    def ranks(self, keys: Sequence[str]) -> dict[str, float]:
        """Return the mean rank of methods over tables and seeds; equal ones share a rank."""
        chosen = self.complete()
        found: dict[str, list[float]] = {m: [] for m in chosen}
        for key in keys:
            for table in self.with_score(key):
                by_method = {m: self.values(table, m, key) for m in chosen}
                for seed in set.intersection(*(set(v) for v in by_method.values())):
                    scores = np.array([by_method[m][seed] for m in chosen])
                    for m, score in zip(chosen, scores, strict=True):
                        below = np.count_nonzero(scores < score)
                        same = np.count_nonzero(scores == score)
                        found[m].append(below + (same + 1) / 2)
        return {m: float(np.mean(values)) for m, values in found.items() if values}

    def geometric_mean(self, method: str, key: str) -> float:
        """Return the geometric mean of a figure over the tables."""
        found = [self.mean(table, method, key) for table in self.tables]
        return float(np.exp(np.mean(np.log(found))))


def standard_error(values: Iterable[float]) -> float:
    """Return the standard error of a mean; NaN for a single value."""
    found = list(values)
    return float(np.std(found, ddof=1) / math.sqrt(len(found))) if len(found) > 1 else math.nan


def write(folder: Path) -> None:
    """Write FOLDER/README.md and its chart."""
    fits = Fits(read(folder / "fits.jsonl"))
    if not fits.tables:
        raise SystemExit(f"{folder / 'fits.jsonl'} has no fits")
    ranks = fits.ranks(RANKED)
    points = {
        methods.METHODS[m].label: (
            fits.geometric_mean(m, "fit_seconds"),
            rank,
            methods.METHODS[m].package == "cnn",
        )
        for m, rank in ranks.items()
    }
    scatter.draw(points, folder / "chart.png")
    parts = [_head(fits), _summary(fits), *_scores(fits), _peer(fits), _times(fits), _tables(fits)]
    if fits.failed:
        lines = [
            f"- {f['table']}, {f['method']}, seed {f['seed']}: {f['failed']}" for f in fits.failed
        ]
        parts.append("## Failed\n\n" + "\n".join(lines))
    (folder / "README.md").write_text("\n\n".join(parts) + "\n")


def _head(fits: Fits) -> str:
    names = sorted({methods.METHODS[m].package for m in fits.methods})
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in names)
    others = _others(fits)
    return f"""# Networks and trees on tables

{fits.machine}, one thread. Python {sys.version.split()[0]}, {versions}.

Each table is split for each seed into four fifths to fit and a fifth to score, the same for all.
Each method has its defaults. Where a method needs rows to validate with, it takes them out of those
to fit. Times are seconds of the processor. `make bench-tabular` makes all of this again.{others}

![Mean rank and seconds of a fit](chart.png)"""


def _others(fits: Fits) -> str:
    """Return which machines have made fits of which the scores count, and not the times."""
    others = "; ".join(fits.other_machines())
    return f"\nOf fits that were made on other machines ({others}) the scores count." * bool(others)


def _summary(fits: Fits) -> str:
    ranks, log_ranks = fits.ranks(RANKED), fits.ranks(["rmse", "log_loss"])
    rows = [
        [
            methods.METHODS[m].label,
            f"{ranks[m]:.2f}",
            f"{log_ranks[m]:.2f}",
            _number(fits.geometric_mean(m, "fit_seconds")),
            _number(1e6 * fits.geometric_mean(m, "one_row_seconds")),
            f"{installed_size(methods.METHODS[m].package) / 1e6:,.0f}",
        ]
        for m in sorted(ranks, key=lambda m: ranks[m])
    ]
    head = [
        "method",
        "mean rank, errors",
        "mean rank, log loss",
        "fit, s",
        "one row, µs",
        "installed, MB",
    ]
    return f"""## Summary

{_table(head, rows)}

A rank is that of a method among these on one table and seed: by the root mean squared error, or by
the share of wrong classes; in the second column by the log loss of classes. Times are geometric
means over the tables. *Installed* is the size of the package and of all that it needs.
{_seeds(fits)}"""


def _seeds(fits: Fits) -> str:
    """Return how many seeds the methods have, if not all have the same."""
    counts = {m: min(fits.seeds(t, m) for t in fits.tables) for m in fits.complete()}
    most = max(counts.values())
    fewer = [f"{methods.METHODS[m].label} {n}" for m, n in counts.items() if n < most]
    if not fewer:
        return f"There are {most} seeds."
    return f"There are {most} seeds, of {', '.join(fewer)}. Ranks are of the seeds that all have."


def _scores(fits: Fits) -> Iterable[str]:
    for keys in SCORES.values():
        for key in keys:
            found = fits.with_score(key)
            if not found:
                continue
            best = {t: _best(fits, t, key) for t in found}
            rows = [
                [
                    methods.METHODS[m].label,
                    *(_score(fits.values(t, m, key), bold=best[t] == m) for t in found),
                ]
                for m in fits.methods
            ]
            direction = "more" if key == "auc" else "less"
            yield (
                f"## {LABELS[key].capitalize() if key != 'auc' else 'Area under the ROC curve'}\n\n"
                f"The mean over the seeds and its standard error; {direction} is better.\n\n"
                + _table(["method", *found], rows)
            )


def _best(fits: Fits, table: str, key: str) -> str:
    sign = -1 if key == "auc" else 1
    known = [m for m in fits.methods if fits.values(table, m, key)]
    return min(known, key=lambda m: sign * fits.mean(table, m, key))


def _score(values: dict[int, float], *, bold: bool) -> str:
    if not values:
        return ""
    mean, error = float(np.mean(list(values.values()))), standard_error(values.values())
    digits = 4 if mean < 10 else 3
    text = f"{mean:.{digits}f}"
    text = f"**{text}**" if bold else text
    return text if math.isnan(error) else f"{text} ± {error:.{digits}f}"


def _peer(fits: Fits) -> str:
    """Return how cnn's scores differ from those of the peer that has the same recipe."""
    label = methods.METHODS[PEER].label
    rows = []
    for key in RANKED:
        for table in fits.with_score(key):
            own, other = (fits.values(table, m, key) for m in ("cnn", PEER))
            seeds = sorted(set(own) & set(other))
            if not seeds:
                continue
            difference = [own[seed] - other[seed] for seed in seeds]
            mean, error = float(np.mean(difference)), standard_error(difference)
            base = float(np.mean([other[seed] for seed in seeds]))
            # Where few rows are wrong, differences of all seeds may be the same but for rounding.
            is_known = error > 1e-9 * abs(base)
            in_errors = f"{mean / error:+.1f}" if is_known else ""
            faster = fits.mean(table, PEER, "fit_seconds") / fits.mean(table, "cnn", "fit_seconds")
            rows.append([table, LABELS[key], f"{mean / base:+.1%}", in_errors, f"{faster:.1f} x"])
    head = ["table", "score", "difference", "in standard errors", "fit is faster"]
    return f"""## cnn beside {label}

{_table(head, rows)}

The mean difference over the seeds, less than 0 if cnn is better, and that difference in standard
errors of itself."""


def _times(fits: Fits) -> str:
    parts = ["## Times"]
    for key, title, factor in (
        ("fit_seconds", "Seconds of a fit.", 1.0),
        ("predict_seconds", "Milliseconds to predict the fifth that is scored.", 1e3),
        ("one_row_seconds", "Microseconds to predict one row of a data frame.", 1e6),
    ):
        rows = [
            [
                methods.METHODS[m].label,
                *(_number(factor * fits.mean(t, m, key)) for t in fits.tables),
            ]
            for m in fits.methods
        ]
        parts.append(f"{title}\n\n{_table(['method', *fits.tables], rows)}")
    return "\n\n".join(parts)


def _tables(fits: Fits) -> str:
    rows = []
    for name in fits.tables:
        table = tables.load(name)
        kinds = [str(dtype) for dtype in table.X.dtypes]
        gone = int(table.X.isna().to_numpy().any(axis=1).sum())
        seeds = max(fits.seeds(name, m) for m in fits.methods)
        rows.append(
            [
                name,
                f"{len(table.X):,}",
                str(kinds.count("float64")),
                str(kinds.count("category")),
                f"{gone:,}",
                f"{len(set(table.y))} classes" if table.is_classes else "number",
                str(seeds),
                table.source,
            ]
        )
    head = ["table", "rows", "numbers", "categories", "rows with gaps", "target", "seeds", "source"]
    return "## Tables\n\n" + _table(head, rows)


def installed_size(name: str) -> int:
    """Return the bytes of a distribution's files and of all that it needs."""
    from packaging.requirements import Requirement

    seen: set[str] = set()
    waiting, total = [name], 0
    while waiting:
        wanted = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if wanted in seen:
            continue
        seen.add(wanted)
        try:
            found = metadata.distribution(wanted)
        except metadata.PackageNotFoundError:
            continue  # of another system
        for file in found.files or ():
            path = Path(str(file.locate()))
            total += path.stat().st_size if path.is_file() and path.suffix != ".pyc" else 0
        for text in found.requires or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    return total


def _is_number(cell: str) -> bool:
    return not cell or cell.lstrip("*+-")[:1].isdigit()


def _number(value: float) -> str:
    if math.isnan(value):
        return ""
    digits = max(0, 1 - math.floor(math.log10(value))) if 0 < value < 100 else 0
    return f"{value:,.{digits}f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown; columns of numbers stand to the right."""
    columns = zip(*rows, strict=True)
    aligned = ["---:" if all(_is_number(cell) for cell in column) else "---" for column in columns]
    lines = [head, aligned, *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
