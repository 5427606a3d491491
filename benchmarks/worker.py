"""A process with one peer, which does what the parent asks of it through pipes.

Started as `python worker.py PEER THREADS CORE...`. Requests are (method, arguments), answers
(True, result) or (False, reason), both pickled.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pickle
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

import data
import peers
import timing
from cases import Case, Train
from peers.base import Job
from session import Curve

COMPARED = 50_000  # elements of an array that are sent to be compared


class Worker:
    """The methods that the parent may call."""

    def __init__(self, name: str, threads: int) -> None:
        self._peer = peers.create(name, threads)
        self._job: Job | None = None
        self._count = 1

    def version(self) -> str:
        """Return the library's version."""
        return self._peer.version

    def prepare(self, case: Case) -> list[list[NDArray[np.float32]]]:
        """Make a case ready; return what each of the peer's forms of it computed."""
        self._job = None
        jobs = self._peer.jobs(case)
        outputs = [[_some(array) for array in job.outputs()] for job in jobs]
        if jobs:
            self._job = min(jobs, key=_quick_time) if len(jobs) > 1 else jobs[0]
            self._count = timing.calibrate(self._job.run)
        return outputs

    def turn(self) -> list[float]:
        """Return the samples of a turn, in seconds per unit of work."""
        assert self._job is not None
        units = self._job.units
        return [seconds / units for seconds in timing.turn(self._job.run, self._count)]

    def release(self) -> None:
        """Forget the case."""
        self._job = None

    def learn(self, case: Train, goal: float, most_seconds: float) -> list[Curve]:
        """Train to an accuracy on MNIST's test set, or until time is up.

        For each of the peer's forms the seconds of training and the accuracy after each epoch. An
        epoch before the first is not counted: some peers compile.
        """
        return [_curve(job, case, goal, most_seconds) for job in self._peer.train(case)]

    def memory(self, small: Train, big: Train) -> float:
        """Return the bytes that an epoch of `big` needs beside its inputs.

        An epoch of `small`, the same in every other way, comes first, so that what the library
        loads and compiles is not counted.
        """
        self._epoch_peak(small)
        before = _status("VmRSS")
        return self._epoch_peak(big) - before - 4 * big.samples * big.net.widths[0]

    def _epoch_peak(self, case: Train) -> float:
        """Train for an epoch; return the most bytes that were resident meanwhile."""
        job = self._peer.train(case)[0]
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
        job.run()
        return _status("VmHWM")


def _curve(job: Job, case: Train, goal: float, most_seconds: float) -> Curve:
    assert job.begin is not None
    assert job.parameters is not None
    job.run()
    job.begin()
    seconds, found = 0.0, [(0.0, data.accuracy(case.net, job.parameters()))]
    while found[-1][1] < goal and seconds < most_seconds:
        seconds += timing.once(job.run)
        found.append((seconds, data.accuracy(case.net, job.parameters())))
    return found


def _status(field: str) -> float:
    """Return a number of bytes that Linux reports of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return 1024.0 * int(line.split()[1])
    raise OSError(f"/proc/self/status has no {field}")


def _some(array: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return elements spread over an array."""
    flat = np.ravel(array)
    return np.array(flat[:: max(1, flat.size // COMPARED)])


def _quick_time(job: Job) -> float:
    """Return about how long a job takes, to choose among forms of the same work."""
    job.run()
    begin = time.perf_counter()
    best = float("inf")
    while time.perf_counter() - begin < 0.05:
        best = min(best, timing.once(job.run))
    return best


def _serve(worker: Worker, requests: BinaryIO, answers: BinaryIO) -> None:
    while True:
        try:
            method, arguments = pickle.load(requests)
        except EOFError:
            return
        try:
            answer = (True, getattr(worker, method)(*arguments))
        except Exception as error:
            traceback.print_exc()
            answer = (False, f"{type(error).__name__}: {error}")
        pickle.dump(answer, answers)
        answers.flush()


def _die_with_parent() -> None:
    """Ask Linux to end this process with its parent; a stopped one would not see a closed pipe."""
    if sys.platform == "linux":
        set_death_signal = 1
        ctypes.CDLL(None).prctl(set_death_signal, signal.SIGKILL)


def main() -> None:
    """Serve until the parent closes the pipe."""
    _die_with_parent()
    name, threads, *cores = sys.argv[1:]
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(core) for core in cores})
    # Libraries print to standard output as they like; the answers have a channel of their own.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        worker = Worker(name, int(threads))
    except Exception as error:
        traceback.print_exc()
        pickle.dump((False, f"{type(error).__name__}: {error}"), answers)
        answers.close()
        return
    pickle.dump((True, worker.version()), answers)
    answers.flush()
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        _serve(worker, sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
