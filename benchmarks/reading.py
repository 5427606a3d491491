"""Reads a report back, as far as its chart and the site show it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from session import Comparison


@dataclass(frozen=True)
class Report:
    """A report: of which machine, when it was measured, and its ratios to the best peers."""

    path: Path
    title: str
    machine: str
    measured: str
    run: str
    isas: tuple[str, ...]  # the best one first
    rows: tuple[Comparison, ...]


def read(path: Path) -> Report:
    """Read a report."""
    title, machine, measured, run, subject = "", "", "", "", ""
    columns: list[str] = []
    rows: list[Comparison] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            title = line[2:]
        elif line.startswith("## "):
            subject, columns = line[3:].lower(), []
        elif line.startswith("Measured on "):
            measured = line.removeprefix("Measured on ").rstrip(".")
        elif " run of: " in line:
            run = line.rstrip(".")
        elif line.startswith("| "):
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            if not columns:
                columns = cells
            elif "best peer" in columns and cells[0] != "---":
                rows += _comparisons(subject, columns, cells)
        elif line and not machine and title:
            machine = line.split(";")[0]
    isas = tuple(dict.fromkeys(row.isa for row in rows))
    return Report(path, title, machine, measured, run, isas, tuple(rows))


def _comparisons(subject: str, columns: list[str], cells: list[str]) -> list[Comparison]:
    """Return the ratios of a line, one for each instruction set."""
    found = []
    best_peer = cells[columns.index("best peer")]
    for i, column in enumerate(columns):
        ratio = re.match(r"\*\*([\d.]+)\*\*(?:, target ([\d.]+))?", cells[i])
        if column == "best peer ÷ cnn" and ratio:
            # Before it stand the times and the share of the roofline.
            isa = columns[i - 2].removeprefix("cnn ")
            target = float(ratio[2]) if ratio[2] else None
            found.append(
                Comparison(
                    subject, cells[0], int(cells[1]), isa, float(ratio[1]), best_peer, target
                )
            )
    return found
