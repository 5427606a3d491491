"""How time is taken: calibrated samples, and what is said of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

SAMPLE_SECONDS = 0.01  # a sample repeats its call until it lasts as long
LONG_SECONDS = 0.1  # a call as long as this is a turn by itself, and needs no warming up
SAMPLES_PER_TURN = 3


@dataclass
class Timing:
    """Seconds per unit of work, sample by sample."""

    seconds: list[float] = field(default_factory=list)

    @property
    def minimum(self) -> float:
        return min(self.seconds)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def once(run: Callable[[], object]) -> float:
    """Return the seconds of one call."""
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def repeated(run: Callable[[], object], count: int) -> float:
    """Return the seconds per call of so many calls."""
    turns = range(count)
    begin = time.perf_counter()
    for _ in turns:
        run()
    return (time.perf_counter() - begin) / count


def calibrate(run: Callable[[], object]) -> int:
    """Return how many calls make a sample."""
    count = 1
    while True:
        seconds = repeated(run, count)
        if seconds * count >= SAMPLE_SECONDS / 4:
            return max(1, round(SAMPLE_SECONDS / seconds))
        count *= 4


def turn(run: Callable[[], object], count: int) -> list[float]:
    """Return the samples of one turn, in seconds per call.

    Other processes have used the caches since the last turn, so that the first call is not timed.
    """
    first = once(run)
    if first > LONG_SECONDS:
        return [first]
    return [repeated(run, count) for _ in range(SAMPLES_PER_TURN)]


def text(seconds: float) -> str:
    """Return a time with three digits and its unit: "12.3 µs"."""
    for unit, size in (("ns", 1e-9), ("µs", 1e-6), ("ms", 1e-3)):
        if seconds < 999.5 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"
