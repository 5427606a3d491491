"""Time to accuracy: seconds of training until MNIST's test set is classified well enough."""

from __future__ import annotations

import os
import statistics
from dataclasses import dataclass, field

import timing
from cases import MEDIUM, Train
from processes import PeerError, Setting, Workers
from roofline import thread_text
from session import Comparison, Curve, Section, Session

GOALS = (0.97, 0.98, 0.983)
# Optimizer, rows of a batch, learning rate: for each library and goal the best of them counts.
SETTINGS = (
    ("Adam", 50, 1e-3),
    ("Adam", 200, 2e-3),
    ("SGD", 20, 0.1),
    ("SGD", 50, 0.2),
    ("SGD", 100, 0.4),
)
SEEDS = (0, 1, 2)
PEERS = ("PyTorch", "torch.compile", "JAX", "JAX scan", "Keras", "scikit-learn")
SAMPLES = 60_000
MOST_SECONDS = 60.0  # of training; a goal that is not reached by then has no time


@dataclass
class Runs:
    """The curves of a library with one setting, one for each seed."""

    case: Train
    curves: list[Curve] = field(default_factory=list)

    def seconds(self, goal: float) -> float:
        """Return the median over the seeds of the seconds to a goal."""
        return statistics.median(_reached(curve, goal) for curve in self.curves)

    @property
    def text(self) -> str:
        return f"{self.case.optimizer} {self.case.lr:g}, batch {self.case.batch}"


def _reached(curve: Curve, goal: float) -> float:
    return next((seconds for seconds, accuracy in curve if accuracy >= goal), float("inf"))


def run(session: Session) -> Section:
    """Train with each setting, library by library in turns."""
    note = (
        f"Seconds of training of {MEDIUM.name} on MNIST until so much of the test set is "
        f"classified, looked at after each epoch: of {len(SETTINGS)} settings the one with the "
        f"smallest median of {len(SEEDS)} orders of the samples. All begin with the same "
        "parameters. An epoch before the first, in which some libraries compile, and the time to "
        "look are not counted."
    )
    section = Section("learning", note, ["library", "threads", *map(_percent, GOALS)])
    if not os.environ.get("CNN_DATA"):
        section.failures.append("MNIST is missing; CNN_DATA names its folder")
        return section
    for threads in session.options.threads:
        _compare(session, section, threads)
    return section


def _percent(goal: float) -> str:
    return f"{100 * goal:.1f} %"


def _compare(session: Session, section: Section, threads: int) -> None:
    settings = [session.setting("cnn", threads, session.options.isas[0])]
    settings += [session.setting(peer, threads) for peer in PEERS if peer in session.options.peers]
    found: dict[Setting, list[Runs]] = {setting: [] for setting in settings}
    workers = Workers(settings)
    try:
        for optimizer, batch, lr in SETTINGS:
            case = Train(MEDIUM, optimizer, batch, SAMPLES, lr)
            for setting in settings:
                found[setting] += _learn(session, section, workers, setting, case)
    finally:
        workers.close()
    best = {setting: _best(runs) for setting, runs in found.items() if runs}
    for setting, of_goals in best.items():
        section.lines.append([setting.label, str(threads), *map(_cell, of_goals, GOALS)])
    if settings[0] in best:
        _judge(session, section, best, settings[0])
    if threads == session.options.threads[0]:
        for setting, of_goals in best.items():
            section.curves[setting.peer] = of_goals[1].curves[0]


def _learn(
    session: Session, section: Section, workers: Workers, setting: Setting, case: Train
) -> list[Runs]:
    """Return a library's runs with one setting, for each of the forms in which it can train."""
    forms: list[Runs] = []
    for seed in SEEDS:
        seeded = Train(case.net, case.optimizer, case.batch, case.samples, case.chosen_lr, seed)
        try:
            worker = workers.get(setting)
            session.versions[setting.peer] = worker.version
            curves = worker.ask("learn", seeded, GOALS[-1], MOST_SECONDS)
        except PeerError as error:
            section.failures.append(f"{setting.label}, {case.name}: {error}")
            return []
        forms = forms or [Runs(case) for _ in curves]
        for form, curve in zip(forms, curves, strict=True):
            form.curves.append(curve)
    for form in forms:
        times = ", ".join(timing.text(form.seconds(goal)) for goal in GOALS)
        where = thread_text(setting.threads)
        session.log(f"learning: {setting.label}, {form.text}, {where}: {times}")
    return forms


def _best(runs: list[Runs]) -> list[Runs]:
    """Return for each goal the runs that reach it first."""
    return [min(runs, key=lambda form: form.seconds(goal)) for goal in GOALS]


def _cell(runs: Runs, goal: float) -> str:
    seconds = runs.seconds(goal)
    return f"{timing.text(seconds)} ({runs.text})" if seconds < float("inf") else "not reached"


def _judge(
    session: Session, section: Section, best: dict[Setting, list[Runs]], own: Setting
) -> None:
    """Add the ratios to the best peer."""
    assert own.isa is not None
    for i, goal in enumerate(GOALS):
        times = {setting.peer: of_goals[i].seconds(goal) for setting, of_goals in best.items()}
        ours = times.pop("cnn")
        peer = min(times, key=lambda name: times[name], default=None)
        if peer is None or times[peer] == float("inf"):
            continue
        ratio = times[peer] / ours
        row = Comparison(section.title, _percent(goal), own.threads, own.isa, ratio, peer)
        section.comparisons.append(row)
        where = thread_text(own.threads)
        session.log(f"learning: {row.name}, {where}: {ratio:.2f} times as fast as {peer}")
