"""What a peer can be asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

import data
from cases import Activation, Case, Predict, Product, Train


@dataclass
class Job:
    """A case made ready.

    Attributes
    ----------
    run
        What is timed.
    outputs
        Called once, before `run`: what the job computes, to be compared with cnn's. The job of
        training returns by how much each weight and bias has changed after
        `Train.checked_samples` samples in their order.
    units
        By how many units of work the time of a run is divided.
    begin
        Training alone: go back to the parameters and the optimizer of the beginning.
    parameters
        Training alone: each weight (inputs, outputs) and bias as they are now.
    """

    run: Callable[[], object]
    outputs: Callable[[], list[NDArray[Any]]]
    units: int = 1
    begin: Callable[[], None] | None = None
    parameters: Callable[[], list[NDArray[Any]]] | None = None


def training(
    case: Train,
    run: Callable[[], object],
    run_checked: Callable[[], object],
    begin: Callable[[], None],
    parameters: Callable[[], list[NDArray[Any]]],
) -> Job:
    """Return a job of training; run_checked trains on the first samples in their order."""
    start = [array for pair in data.parameters(case.net) for array in pair]

    def outputs() -> list[NDArray[Any]]:
        run_checked()
        return [now - then for now, then in zip(parameters(), start, strict=True)]

    begin()
    return Job(run, outputs, case.samples, begin, parameters)


def same(run: Callable[[], NDArray[Any]]) -> Job:
    """Return a job whose runs return what is to be compared."""
    return Job(run, lambda: [run()])


class Peer:
    """A library, with a number of threads.

    Each method returns the forms in which the library can do the case, of which the fastest
    counts, or nothing where it cannot do it.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads

    @property
    def version(self) -> str:
        """The library's version."""
        raise NotImplementedError

    def predict(self, case: Predict) -> list[Job]:
        return []

    def train(self, case: Train) -> list[Job]:
        return []

    def activation(self, case: Activation) -> list[Job]:
        return []

    def product(self, case: Product) -> list[Job]:
        return []

    def jobs(self, case: Case) -> list[Job]:
        """Return the forms in which the library can do a case."""
        match case:
            case Predict():
                return self.predict(case)
            case Train():
                return self.train(case)
            case Activation():
                return self.activation(case)
            case Product():
                return self.product(case)
