"""What all subjects share: the choices of the command line, the machine, and the log."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass, field
from typing import TypeAlias

from machine import Machine
from processes import Setting
from roofline import Roofline

Curve: TypeAlias = list[tuple[float, float]]
"""The seconds of training, and the accuracy after each epoch."""


@dataclass(frozen=True)
class Options:
    """The choices of the command line."""

    quick: bool
    subjects: tuple[str, ...]
    threads: tuple[int, ...]
    isas: tuple[str, ...]
    peers: tuple[str, ...]
    cases: str  # only cases with this in their names are compared

    @property
    def seconds_per_case(self) -> float:
        """How long the turns of a case may take, beyond the least number of them."""
        return 8.0 if self.quick else 1.5

    @property
    def rounds(self) -> tuple[int, int]:
        """The least and the greatest number of turns of each peer."""
        return (5, 30) if self.quick else (3, 15)


@dataclass(frozen=True)
class Comparison:
    """A row with a ratio, for the chart and the list of targets."""

    subject: str
    name: str
    threads: int
    isa: str
    ratio: float
    best_peer: str
    target: float | None = None


@dataclass(frozen=True)
class Goal:
    """A target that is not a ratio to a peer, and what was reached."""

    name: str
    reached: str
    wanted: str
    met: bool


@dataclass
class Section:
    """A part of the report: a table, and what of it goes elsewhere."""

    title: str
    note: str
    columns: list[str]
    lines: list[list[str]] = field(default_factory=list)
    comparisons: list[Comparison] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    curves: dict[str, Curve] = field(default_factory=dict)  # by library
    picture: str | None = None  # of the curves, beside the report


def _load() -> float | None:
    """Return how many processes have run in the last minute, where the system tells."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


@dataclass
class Session:
    """A run of the suite."""

    options: Options
    machine: Machine
    roofline: Roofline
    versions: dict[str, str] = field(default_factory=dict)
    begin: float = field(default_factory=time.monotonic)
    load_before: float | None = field(default_factory=_load)

    def cores(self, threads: int) -> tuple[int, ...]:
        """Return as many cores; the last ones, as it is the first that serve interrupts."""
        return self.machine.cores[-threads:]

    def setting(self, peer: str, threads: int, isa: str | None = None) -> Setting:
        """Return how a peer is run."""
        return Setting(peer, threads, self.cores(threads), isa)

    def log(self, message: str) -> None:
        """Tell what is being done, with the minutes since the beginning."""
        minutes = (time.monotonic() - self.begin) / 60
        print(f"[{minutes:5.1f} min] {message}", file=sys.stderr, flush=True)
