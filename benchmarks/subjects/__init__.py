"""What is measured: one module each, with a function run(session) that returns a Section."""

from __future__ import annotations

from collections.abc import Callable

from session import Section, Session
from subjects import (
    activations,
    dense,
    estimators,
    foreign_load,
    learning,
    memory,
    predict,
    startup,
    training,
    two_threads,
)

SUBJECTS: dict[str, Callable[[Session], Section]] = {
    "predict": predict.run,
    "training": training.run,
    "activations": activations.run,
    "dense": dense.run,
    "threads": two_threads.run,
    "foreign-load": foreign_load.run,
    "estimators": estimators.run,
    "memory": memory.run,
    "import": startup.run_import,
    "size": startup.run_size,
    "learning": learning.run,  # the longest, so the last: a report is written as it grows
}
# Without the rows that no target speaks of, a run is over in some minutes.
QUICK = ("predict", "training", "activations", "dense", "threads", "import", "size")
