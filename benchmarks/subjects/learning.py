"""Time to accuracy: seconds of training to an accuracy on MNIST's test set."""

from __future__ import annotations

import os
import statistics
from dataclasses import dataclass, field, replace

import comparison
import timing
from cases import MEDIUM, Train
from processes import PeerError, Setting, Workers
from roofline import thread_text
from session import Comparison, Curve, Section, Session

GOALS = (0.97, 0.98, 0.983)
DRAWN = 0.98  # the chart has the settings that reach it first
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
    seeds = _seeds(session)
    note = (
        f"Seconds of training of {MEDIUM.name} on MNIST to an accuracy on the test set, which is "
        f"computed after each epoch: of {len(SETTINGS)} settings the one with the smallest median "
        f"over {len(seeds)} seeds of the shuffling. All begin with the same parameters. One epoch "
        "of warm-up, in which some libraries compile, and the time to compute the accuracy are "
        "not counted."
    )
    isa, peers = session.options.isas[0], _peers(session)
    columns = ["case", "threads", f"cnn {isa}", "roofline", "best peer ÷ cnn", "best peer", *peers]
    section = Section("learning", note, columns)
    if not os.environ.get("CNN_DATA"):
        section.failures.append("MNIST is missing; CNN_DATA names its folder")
        return section
    _compare(session, section, session.options.threads[0])
    return section


def _seeds(session: Session) -> tuple[int, ...]:
    return SEEDS[:1] if session.options.quick else SEEDS


def _peers(session: Session) -> list[str]:
    return [peer for peer in PEERS if peer in session.options.peers]


def _percent(goal: float) -> str:
    return f"{100 * goal:.1f} %"


def _compare(session: Session, section: Section, threads: int) -> None:
    settings = [session.setting("cnn", threads, session.options.isas[0])]
    settings += [session.setting(peer, threads) for peer in _peers(session)]
    found: dict[Setting, list[Runs]] = {setting: [] for setting in settings}
    workers = Workers(settings)
    try:
        able = [setting for setting in settings if _is_right(section, workers, setting)]
        for optimizer, batch, lr in SETTINGS:
            case = Train(MEDIUM, optimizer, batch, SAMPLES, lr)
            for setting in able:
                # A run that takes longer than the best so far is not the best for any goal.
                most = min([MOST_SECONDS, *(form.seconds(GOALS[-1]) for form in found[setting])])
                found[setting] += _learn(session, section, workers, setting, case, most)
    finally:
        workers.close()
    for goal in GOALS:
        best = {setting: _best(runs, goal) for setting, runs in found.items() if runs}
        _add(session, section, goal, best, settings)
        if threads == 1 and goal == DRAWN:
            section.curves = {setting.peer: runs.curves[0] for setting, runs in best.items()}


def _is_right(section: Section, workers: Workers, setting: Setting) -> bool:
    """Return whether a library's first steps are those of cnn."""
    own = workers.settings[0]
    for case in (Train(MEDIUM, "SGD", 50, 200), Train(MEDIUM, "Adam", 50, 200)):
        try:
            wanted = workers.get(own).ask("prepare", case)[0]
            comparison.check(setting, case, workers.get(setting).ask("prepare", case), wanted)
        except PeerError as error:
            section.failures.append(f"{setting.label}: {error}")
            return False
    return True


def _learn(
    session: Session,
    section: Section,
    workers: Workers,
    setting: Setting,
    case: Train,
    most_seconds: float,
) -> list[Runs]:
    """Return a library's runs with one setting, for each of the forms in which it can train."""
    forms: list[Runs] = []
    for seed in _seeds(session):
        seeded = replace(case, seed=seed)
        try:
            worker = workers.get(setting)
            session.versions[setting.peer] = worker.version
            curves = worker.ask("learn", seeded, GOALS[-1], most_seconds)
        except PeerError as error:
            section.failures.append(f"{setting.label}, {case.name}: {error}")
            return []
        forms = forms or [Runs(case) for _ in curves]
        for form, curve in zip(forms, curves, strict=True):
            form.curves.append(curve)
    for form in forms:
        times = ", ".join(_text(form.seconds(goal)) for goal in GOALS)
        where = thread_text(setting.threads)
        session.log(f"learning: {setting.label}, {form.text}, {where}: {times}")
    return forms


def _best(runs: list[Runs], goal: float) -> Runs:
    """Return the runs that reach a goal first."""
    return min(runs, key=lambda form: form.seconds(goal))


def _add(
    session: Session,
    section: Section,
    goal: float,
    best: dict[Setting, Runs],
    settings: list[Setting],
) -> None:
    """Add the line of a goal to the table."""
    own, *others = settings
    times = {setting: runs.seconds(goal) for setting, runs in best.items()}
    reached = [other for other in others if times.get(other, float("inf")) < float("inf")]
    peer = min(reached, key=times.__getitem__, default=None)
    verdict = ""
    if own in times and peer is not None:
        assert own.isa is not None
        ratio = times[peer] / times[own]
        verdict = f"**{ratio:.2f}**"
        section.comparisons.append(
            Comparison(section.title, _percent(goal), own.threads, own.isa, ratio, peer.peer)
        )
    cells = {setting: _cell(runs, goal) for setting, runs in best.items()}
    line = [_percent(goal), str(own.threads), cells.get(own, "failed"), "", verdict]
    line += [peer.peer if peer else "", *(cells.get(other, "failed") for other in others)]
    section.lines.append(line)
    session.log(f"learning: {' | '.join(line)}")


def _cell(runs: Runs, goal: float) -> str:
    seconds = runs.seconds(goal)
    return _text(seconds) + (f" ({runs.text})" if seconds < float("inf") else "")


def _text(seconds: float) -> str:
    return timing.text(seconds) if seconds < float("inf") else "not reached"
