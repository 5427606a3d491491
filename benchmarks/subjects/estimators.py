"""cnn.sklearn beside the estimators whose place it takes: to fit, and to predict probabilities."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import targets
import timing
from processes import environment
from session import Goal, Section, Session

SCRIPT = Path(__file__).parent.parent / "estimator_times.py"
TASKS = ("fit", "predict_proba, 1 row", "predict_proba, 1000 rows")


def run(session: Session) -> Section:
    """Time both in one process, in turns, with each number of threads."""
    note = (
        "Shortest seconds of scikit-learn, of cnn.sklearn, and their ratio. One process has both."
    )
    section = Section("estimators", note, ["case", "threads", *TASKS])
    for threads in session.options.threads:
        done = subprocess.run(
            [sys.executable, str(SCRIPT)],
            capture_output=True,
            text=True,
            env=environment(threads, None),
            check=False,
        )
        if done.returncode != 0:
            section.failures.append(done.stderr.strip().splitlines()[-1])
            continue
        for name, times in json.loads(done.stdout):
            ratios = [theirs / ours for theirs, ours in times]
            cells = [
                f"{timing.text(theirs)}, {timing.text(ours)}: **{ratio:.2f}**"
                for (theirs, ours), ratio in zip(times, ratios, strict=True)
            ]
            section.lines.append([name, str(threads), *cells])
            session.log(f"estimators: {name}, {threads} threads: {', '.join(cells)}")
            if threads == 1:
                section.goals += _goals(name, ratios)
    return section


def _goals(name: str, ratios: list[float]) -> list[Goal]:
    """Return the targets of a case."""
    wanted = targets.ESTIMATORS.get(name, ())
    return [
        Goal(f"estimators: {task}, {name}", f"{ratio:.2f}x", f"≥ {least:g}x", ratio >= least)
        for task, ratio, least in zip(TASKS, ratios, wanted, strict=False)
    ]
