"""The report: a Markdown file of all sections, the targets first."""

from __future__ import annotations

import platform
import statistics
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path

import targets
from session import Goal, Section, Session

CHART = (
    "Bars: how many times faster cnn is than the best peer on {}, for some rows of each table. "
    "The tables have all rows."
)
CURVES = (
    "Lines: each library's accuracy on MNIST's test set over the seconds of training, with the "
    "setting that reaches 98 % first, for one seed."
)
METHOD = """\
Times are the minimum and, in brackets, the median of all samples. A ratio is the shortest time of
the best peer by the shortest time of cnn: more than 1 means that cnn is faster. "Roofline" is the
share of the bound that the work has on this machine: of the multiply-adds per second, or of the
bytes per second out of the memory in which the data lie. Four of five of MNIST's pixels are 0: cnn
leaves most products with them out, which count here as if they were done, so that more than 100 %
is possible. Cases "on noise" are the same nets on inputs without zeros. How it is measured is told
in [benchmarks/README.md](../README.md).
"""


def table(columns: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    rows = [columns, ["---"] * len(columns), *lines]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def write(session: Session, sections: Sequence[Section], folder: Path, chart: str | None) -> Path:
    """Write the report and return its path."""
    parts = [_head(session)]
    if chart:
        parts.append(f"![{CHART.format(session.machine.title)}]({chart})\n")
    parts += [METHOD, _targets(session, sections), _failures(sections)]
    parts += [_section(section) for section in sections]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{session.machine.slug}.md"
    path.write_text("\n".join(part for part in parts if part), encoding="utf-8")
    return path


def _head(session: Session) -> str:
    machine, options, load = session.machine, session.options, session.load_before
    count = len(machine.cores)
    cores = f"{count} core{'s' * (count != 1)}"
    caches = ", ".join(f"L{level} {size >> 10} KiB" for level, size in machine.caches.items())
    lines = [
        f"# {machine.title}",
        "",
        f"{machine.model}, {cores}, {caches}; {platform.system()}, "
        f"Python {platform.python_version()}.",
        ", ".join(f"{peer} {version}" for peer, version in session.versions.items()) + ".",
        "",
        f"Measured on {date.today().isoformat()}.",
        f"{'Quick' if options.quick else 'Full'} run of: {', '.join(options.subjects)}.",
        *([f"Load average before it: {load:.2f}."] if load is not None else []),
        "",
        "The bounds of this machine:",
        "",
        *session.roofline.summary(),
    ]
    return "\n".join(lines) + "\n"


def _summary(session: Session, section: Section) -> list[Goal]:
    """Return the targets for all rows of a section together, with the best instruction set."""
    rows = [row for row in section.comparisons if row.isa == session.options.isas[0]]
    if session.options.quick or not rows:
        return []
    ahead = sum(round(row.ratio, 2) >= 1 for row in rows)
    name = f"{section.title}: rows in which no peer is faster"
    goals = [Goal(name, f"{ahead} of {len(rows)}", "all", ahead == len(rows))]
    alone = [row.ratio for row in rows if row.threads == 1]
    wanted = targets.MEANS.get(section.title)
    if alone and wanted:
        mean = statistics.geometric_mean(alone)
        name = f"{section.title}: geometric mean of {len(alone)} rows, one thread"
        goals.append(Goal(name, f"{mean:.2f}x", f"≥ {wanted:g}x", mean >= wanted))
    return goals


def _targets(session: Session, sections: Sequence[Section]) -> str:
    """Return the table of targets, met and missed."""
    goals = []
    for section in sections:
        goals += _summary(session, section)
        goals += [
            Goal(
                f"{row.subject}: {row.name}",
                f"{row.ratio:.2f}x {row.best_peer}",
                f"≥ {row.target:g}x",
                row.ratio >= row.target,
            )
            for row in section.comparisons
            if row.target is not None
        ]
        goals += section.goals
    if not goals:
        return ""
    lines = [
        [goal.name, goal.reached, goal.wanted, "met" if goal.met else "**missed**"]
        for goal in goals
    ]
    return "## Targets\n\n" + table(["target", "reached", "wanted", ""], lines)


def _failures(sections: Sequence[Section]) -> str:
    """Return the list of what could not be measured."""
    failures = [f"- {section.title}: {why}" for section in sections for why in section.failures]
    return "\n".join(["## Failed", "", *failures, ""]) if failures else ""


def _section(section: Section) -> str:
    parts = [f"## {section.title.capitalize()}\n\n", f"{section.note}\n\n"]
    if section.picture:
        parts.append(f"![{CURVES}]({section.picture})\n\n")
    return "".join([*parts, table(section.columns, section.lines)])
