"""A case on cnn and on its peers, turn by turn, with their outputs compared."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import targets
import timing
from cases import Case, Train
from processes import PeerError, Setting, Workers
from roofline import thread_text
from session import Comparison, Section, Session
from timing import Timing

# Largest difference of outputs, as a share of the largest output: some hundred roundings.
TOLERANCE = 5e-5
# Difference of the changes of weights after four steps, as a share of their norm. A rounding may
# give a relu's input another sign, and one flip in a batch of 100 on 1000 neurons is a share of
# 0.004. Adam divides small gradients by their own size, so that roundings give some of them their
# sign, and scikit-learn adds eps in another place than the others do.
TRAINING_TOLERANCE = {"SGD": 2e-2, "Adam": 0.2}


@dataclass
class Result:
    """The times of a case by setting, and why others have none."""

    case: Case
    times: dict[Setting, Timing] = field(default_factory=dict)
    failures: dict[Setting, str] = field(default_factory=dict)

    @property
    def best_peer(self) -> Setting | None:
        """The peer with the shortest time."""
        peers = [setting for setting in self.times if setting.peer != "cnn"]
        return min(peers, key=lambda setting: self.times[setting].minimum, default=None)

    def reasons(self) -> list[str]:
        """Return the failures in words."""
        name = self.case.name
        return [
            f"{name}, {setting.label}, {thread_text(setting.threads)}: {why}"
            for setting, why in self.failures.items()
        ]


def difference(case: Case, outputs: Sequence[Any], wanted: Sequence[Any]) -> float:
    """Return the difference of outputs as a share of the tolerance; more than 1 is too much."""
    if [array.shape for array in outputs] != [array.shape for array in wanted]:
        return float("inf")
    one = np.concatenate([np.asarray(array, dtype=np.float64) for array in outputs])
    other = np.concatenate([np.asarray(array, dtype=np.float64) for array in wanted])
    if isinstance(case, Train):
        share = float(np.linalg.norm(one - other) / np.linalg.norm(other))
        found = share / TRAINING_TOLERANCE[case.optimizer]
    else:
        found = float(np.abs(one - other).max() / np.abs(other).max()) / TOLERANCE
    return found if np.isfinite(found) else float("inf")


def measure(session: Session, workers: Workers, case: Case) -> Result:
    """Time a case on all workers, each in its turn. The first one's outputs are what is wanted."""
    result = Result(case)
    ready: list[Setting] = []
    wanted: list[Any] | None = None
    for setting in workers.settings:
        try:
            worker = workers.get(setting)
            session.versions[setting.peer] = worker.version
            forms = worker.ask("prepare", case)
            if not forms:
                continue
            if wanted is None:
                wanted = forms[0]
            check(setting, case, forms, wanted)
            ready.append(setting)
        except PeerError as error:
            result.failures[setting] = str(error)
            if wanted is None:
                return result  # without cnn there is nothing to compare with
    _take_turns(session, workers, ready, result)
    for setting in ready:
        if setting in result.times:
            workers.get(setting).ask("release")
    return result


def check(setting: Setting, case: Case, forms: Sequence[Any], wanted: Sequence[Any]) -> None:
    """Raise a PeerError if a form of a case computes something else."""
    for outputs in forms:
        found = difference(case, outputs, wanted)
        # cnn promises the same bits for all instruction sets.
        if found > 1 or (setting.isa and found > 0):
            raise PeerError(f"its outputs differ from cnn's, by {found:.3g} times the tolerance")


def _take_turns(
    session: Session, workers: Workers, ready: Sequence[Setting], result: Result
) -> None:
    least, most = session.options.rounds
    begin = time.monotonic()
    for turn in range(most):
        if turn >= least and time.monotonic() - begin > session.options.seconds_per_case:
            return
        for setting in ready:
            if setting in result.failures:
                continue
            try:
                seconds = workers.get(setting).ask("turn")
                result.times.setdefault(setting, Timing()).seconds.extend(seconds)
            except PeerError as error:
                result.failures[setting] = str(error)
                result.times.pop(setting, None)


def compare(
    session: Session, subject: str, note: str, cases: Sequence[Case], peers: Sequence[str]
) -> Section:
    """Time cases for each number of threads, and return the table of them."""
    cases = [case for case in cases if session.options.cases in case.name]
    chosen = [peer for peer in peers if peer in session.options.peers]
    columns = ["case", "threads"]
    for isa in session.options.isas:
        columns += [f"cnn {isa}", "roofline", "best peer ÷ cnn"]
    section = Section(subject, note, [*columns, "best peer", *chosen])
    for threads in session.options.threads:
        settings = [session.setting("cnn", threads, isa) for isa in session.options.isas]
        settings += [session.setting(peer, threads) for peer in chosen]
        workers = Workers(settings)
        try:
            for case in cases:
                result = measure(session, workers, case)
                _add(session, section, result, settings)
                _log(session, section, result, threads)
        finally:
            workers.close()
    return section


def _add(session: Session, section: Section, result: Result, settings: Sequence[Setting]) -> None:
    """Add a result to the table of a section."""
    line = [result.case.name, str(settings[0].threads)]
    for setting in settings:
        if setting.peer == "cnn":
            line += [_cell(result, setting), *_judgement(session, section, result, setting)]
    best = result.best_peer
    line.append(best.peer if best else "")
    line += [_cell(result, setting) for setting in settings if setting.peer != "cnn"]
    section.lines.append(line)
    section.failures += result.reasons()


def _judgement(
    session: Session, section: Section, result: Result, setting: Setting
) -> tuple[str, str]:
    """Return how near cnn is to the roofline, and its ratio to the best peer."""
    if setting not in result.times:
        return "", ""
    assert setting.isa is not None
    threads, name = setting.threads, result.case.name
    seconds = result.times[setting].minimum
    share = session.roofline.share(result.case.work, seconds, setting.isa, threads)
    best = result.best_peer
    if best is None:
        return share, ""
    ratio = result.times[best].minimum / seconds
    is_judged = threads == 1 and setting.isa == session.machine.isas[0]
    target = targets.RATIOS.get((section.title, name)) if is_judged else None
    section.comparisons.append(
        Comparison(section.title, name, threads, setting.isa, ratio, best.peer, target)
    )
    if target is None:
        return share, f"**{ratio:.2f}**"
    verdict = "met" if ratio >= target else "missed"
    return share, f"**{ratio:.2f}**, target {target:g} {verdict}"


def _cell(result: Result, setting: Setting) -> str:
    """Return the minimum and the median, or what went wrong."""
    if setting in result.failures:
        return "failed"
    if setting not in result.times:
        return ""
    times = result.times[setting]
    return f"{timing.text(times.minimum)} ({timing.text(times.median)})"


def _log(session: Session, section: Section, result: Result, threads: int) -> None:
    fastest = sorted(result.times.items(), key=lambda item: item[1].minimum)
    texts = [f"{setting.label} {timing.text(times.minimum)}" for setting, times in fastest]
    texts += [f"{setting.label} FAILED: {why}" for setting, why in result.failures.items()]
    where = f"{section.title}: {result.case.name}, {thread_text(threads)}"
    session.log(f"{where}: {', '.join(texts)}")
