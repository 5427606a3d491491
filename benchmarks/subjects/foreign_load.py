"""Two threads where a foreign process keeps one of the two cores busy.

A library whose threads wait for one another at fixed places is as slow as the thread that shares
its core; one whose threads take work as they come is not.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import targets
import timing
from cases import MEDIUM, Case, Predict, train
from comparison import measure
from processes import Setting, Workers
from session import Goal, Section, Session

PEERS = ("cnn", "PyTorch")


def run(session: Session) -> Section:
    """Time a prediction and an epoch on one free core, and on that and a busy one."""
    note = (
        "Seconds per call or per sample. One thread runs on a free core, two run on that core and "
        "on one that another process keeps busy; the ratio is how much slower the two are."
    )
    columns = ["case", "library", "1 thread", "2 threads, one core busy", "slower"]
    section = Section("foreign-load", note, columns)
    if len(session.machine.cores) < 2 or not hasattr(os, "sched_setaffinity"):
        section.failures.append("needs two cores, and a system that binds processes to cores")
        return section
    free, busy = session.cores(2)
    isa = session.options.isas[0]
    cases: list[Case] = [Predict(MEDIUM, 1000), train(MEDIUM, "SGD", 128)]
    with _busy(busy):
        for peer in PEERS:
            isa_of_peer = isa if peer == "cnn" else None
            one = Setting(peer, 1, (free,), isa_of_peer)
            two = Setting(peer, 2, (free, busy), isa_of_peer)
            workers = Workers([one, two])
            try:
                for case in cases:
                    _add(session, section, case, workers)
            finally:
                workers.close()
    return section


@contextmanager
def _busy(core: int) -> Iterator[None]:
    """Keep a core busy with a process of its own."""
    code = f"import os\nos.sched_setaffinity(0, [{core}])\nwhile True: pass"
    process = subprocess.Popen([sys.executable, "-c", code])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _add(session: Session, section: Section, case: Case, workers: Workers) -> None:
    one, two = workers.settings
    result = measure(session, workers, case)
    section.failures += result.reasons()
    if one not in result.times or two not in result.times:
        return
    # Medians: what counts is how it goes, not how it went once.
    alone, loaded = result.times[one].median, result.times[two].median
    slower = loaded / alone
    line = [case.name, one.peer, timing.text(alone), timing.text(loaded), f"{slower:.2f}"]
    section.lines.append(line)
    if one.peer == "cnn":
        wanted = targets.FOREIGN_LOAD
        goal = Goal(f"foreign load, {case.name}", line[-1], f"≤ {wanted:g}", slower <= wanted)
        section.goals.append(goal)
    session.log(f"foreign-load: {', '.join(line)}")
