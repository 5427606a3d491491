"""Two threads against one, for calls of very different lengths."""

from __future__ import annotations

import targets
import timing
from cases import MEDIUM, WIDE, Activation, Case, Predict
from comparison import Result, measure
from processes import Worker, Workers
from session import Goal, Section, Session

LENGTHS = (10e-6, 50e-6, 100e-6, 200e-6, 1e-3, 10e-3, 100e-3)  # seconds on one thread
# Longer ones of an activation go through more than the caches hold, and then it is the memory's
# bandwidth, of which one core may use all, that tells how much two can gain.
LONGEST_ACTIVATION = 200e-6
COLUMNS = 256  # of the activation's array


def run(session: Session) -> Section:
    """Time calls of each length on one thread and on two, in turns."""
    isa = session.options.isas[0]
    note = (
        "Seconds per call of cnn, and how many times faster two threads are. The numbers of rows "
        "are chosen for the length of the call on one thread."
    )
    section = Section("threads", note, ["case", "1 thread", "2 threads", "faster", "wanted"])
    if len(session.machine.cores) < 2:
        section.failures.append("the machine has one core")
        return section
    cases = _cases(session, isa)
    workers = Workers([session.setting("cnn", threads, isa) for threads in (1, 2)])
    try:
        for case in cases:
            _add(session, section, measure(session, workers, case))
    finally:
        workers.close()
    return section


def _cases(session: Session, isa: str) -> list[Case]:
    """Return cases of the lengths wanted, from the time of a row of long calls."""
    probes: list[Predict | Activation] = [
        Predict(MEDIUM, 1000),
        Activation("tanh", "forward", 4000, COLUMNS),
    ]
    if not session.options.quick:
        probes.insert(1, Predict(WIDE, 1000))
    cases: list[Case] = []
    with Worker(session.setting("cnn", 1, isa)) as worker:
        for probe in probes:
            worker.ask("prepare", probe)
            per_row = min(worker.ask("turn") + worker.ask("turn")) / probe.rows
            for length in LENGTHS:
                rows = max(1, round(length / per_row))
                if isinstance(probe, Predict):
                    cases.append(Predict(probe.net, rows))
                elif length <= LONGEST_ACTIVATION:
                    cases.append(Activation(probe.function, "forward", rows, COLUMNS))
    return list(dict.fromkeys(cases))


def _add(session: Session, section: Section, result: Result) -> None:
    name = result.case.name
    if result.failures:
        section.failures += result.reasons()
        return
    one, two = (times.minimum for times in result.times.values())
    wanted = next(ratio for least, ratio in targets.SPEEDUPS if one >= 0.9 * least)
    line = [name, timing.text(one), timing.text(two), f"{one / two:.2f}", f"≥ {wanted:g}"]
    section.lines.append(line)
    # A call that stays on one thread takes the same time on both sides, but for noise.
    met = one / two >= (wanted if wanted > 1 else 0.97)
    section.goals.append(Goal(f"two threads, {name}", line[3], line[4], met))
    session.log(f"threads: {', '.join(line)}")
