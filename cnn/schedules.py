"""Schedules: learning rates as functions of the step.

A schedule is a function of the step, counted from 0 over the life of the optimizer; any callable
of the step is allowed. These schedules use additions and multiplications only, so that a run has
the same bits on every machine. `pow` and `cos` of the system's library differ between machines.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from cnn._base import checks
from cnn._base.numbers import exact

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]
    Steps: TypeAlias = NDArray[np.int64]

__all__ = [
    "Constant",
    "CosineDecay",
    "CosineLog",
    "ExponentialDecay",
    "FlatCosine",
    "Schedule",
    "StepDecay",
    "Warmup",
]

LearningRate: TypeAlias = "float | Schedule | Callable[[int], float]"
"""The types that an optimizer takes as `lr`."""

# The most steps of an optimizer: files and libcnn count them in signed 64-bit integers.
MOST_STEPS = 2**63 - 1


class Schedule(ABC):
    """A learning rate as a function of the step.

    Subclasses have ``_rates(steps)``, which computes the rates of an array of steps.

    Examples
    --------
    >>> import cnn
    >>> schedule = cnn.Warmup(cnn.CosineDecay(0.1, steps=100), steps=10)
    >>> isinstance(schedule, cnn.Schedule)
    True
    >>> optimizer = cnn.SGD(schedule)
    """

    @abstractmethod
    def _rates(self, steps: Steps) -> Floats:
        """Return the learning rates of steps, in float64."""

    def __call__(self, step: int) -> float:
        """Return the learning rate of a step.

        Parameters
        ----------
        step : int
            The step, counted from 0.

        Returns
        -------
        float
            The learning rate.

        Examples
        --------
        >>> import cnn
        >>> cnn.StepDecay(1.0, step_size=2, gamma=0.5)(4)
        0.25
        """
        step = checks.integer(type(self).__name__, "step", step, 0, MOST_STEPS - 1)
        return float(self._computed(np.array([step], dtype=np.int64))[0])

    def values(self, first: int, count: int) -> Floats:
        """Return the learning rates of `count` steps, beginning with step `first`.

        Parameters
        ----------
        first : int
            The first step, 0 or more.
        count : int
            The number of steps, 0 or more.

        Returns
        -------
        ndarray of float64, shape (count,)
            The same numbers as from calls for one step after another.

        Examples
        --------
        >>> import cnn
        >>> cnn.StepDecay(1.0, step_size=2, gamma=0.5).values(0, 5)
        array([1.  , 1.  , 0.5 , 0.5 , 0.25])
        """
        where = f"{type(self).__name__}.values"
        first = checks.integer(where, "first", first, 0, MOST_STEPS)
        count = checks.integer(where, "count", count, 0, MOST_STEPS - first)
        return self._computed(np.arange(first, first + count, dtype=np.int64))

    def _computed(self, steps: Steps) -> Floats:
        """Return the rates without a check; an optimizer refuses one that has overflowed."""
        with np.errstate(over="ignore", invalid="ignore"):
            return self._rates(steps)


def _power(base: float, exponents: Steps) -> Floats:
    """Return base to whole powers by repeated squaring: multiplications in a fixed order."""
    result = np.ones(exponents.shape)
    square = float(base)
    left = exponents.copy()
    while left.any():
        result = np.where(left % 2 == 1, result * square, result)
        square *= square
        left //= 2
    return result


def _sine(x: Floats) -> Floats:
    """Return sin(x) for 0 <= x <= pi/2 from its Taylor series up to x^21, within 2 ULP."""
    square = x * x
    result = np.zeros(x.shape)
    for k in range(10, 0, -1):
        result = (result + 1.0) * square / (-2.0 * k * (2 * k + 1))
    return x + x * result


def _log2(x: Floats) -> Floats:
    """Return log2(x) for x >= 1 from the series of artanh, within some ULP of 1."""
    fraction, exponent = np.frexp(x)
    s = (2.0 * fraction - 1.0) / (2.0 * fraction + 1.0)
    square = s * s
    result = np.zeros(x.shape)
    for k in range(17, -1, -1):
        result = result * square + 1.0 / (2 * k + 1)
    return (exponent - 1.0) + s * result * (2.0 / math.log(2.0))


@dataclass(frozen=True)
class Constant(Schedule):
    """The same learning rate at every step.

    Parameters
    ----------
    lr : float
        The learning rate, 0 or more.

    Examples
    --------
    >>> import cnn
    >>> cnn.Constant(0.1)(7)
    0.1
    """

    lr: float

    def __post_init__(self) -> None:
        checks.real("Constant", "lr", self.lr)

    def _rates(self, steps: Steps) -> Floats:
        return np.full(steps.shape, self.lr, dtype=np.float64)


@dataclass(frozen=True)
class StepDecay(Schedule):
    """A learning rate that is multiplied by gamma every `step_size` steps.

    ``lr gamma^floor(step / step_size)``, as PyTorch's StepLR.

    Parameters
    ----------
    lr : float
        The learning rate at the beginning, 0 or more.
    step_size : int
        The number of steps, not epochs, for which the rate stays the same.
    gamma : float, default 0.1
        The factor, 0 or more.

    Examples
    --------
    >>> import cnn
    >>> schedule = cnn.StepDecay(0.5, step_size=100, gamma=0.5)
    >>> schedule(99), schedule(100)
    (0.5, 0.25)
    """

    lr: float
    step_size: int
    gamma: float = 0.1

    def __post_init__(self) -> None:
        checks.real("StepDecay", "lr", self.lr)
        checks.integer("StepDecay", "step_size", self.step_size, 1, MOST_STEPS)
        checks.real("StepDecay", "gamma", self.gamma)

    def _rates(self, steps: Steps) -> Floats:
        return self.lr * _power(self.gamma, steps // self.step_size)


@dataclass(frozen=True)
class ExponentialDecay(Schedule):
    """A learning rate that is multiplied by gamma at every step.

    ``lr gamma^step``, as PyTorch's ExponentialLR.

    Parameters
    ----------
    lr : float
        The learning rate at the beginning, 0 or more.
    gamma : float
        The factor, 0 or more; a little less than 1, such as 0.9999.

    Examples
    --------
    >>> import cnn
    >>> cnn.ExponentialDecay(1.0, gamma=0.5)(3)
    0.125
    """

    lr: float
    gamma: float

    def __post_init__(self) -> None:
        checks.real("ExponentialDecay", "lr", self.lr)
        checks.real("ExponentialDecay", "gamma", self.gamma)

    def _rates(self, steps: Steps) -> Floats:
        return self.lr * _power(self.gamma, steps)


@dataclass(frozen=True)
class CosineDecay(Schedule):
    """A learning rate that decreases along half a cosine and then stays constant.

    ``final + (lr - final) (1 + cos(pi step / steps)) / 2`` until `steps`, then `final`: one period
    of Loshchilov and Hutter (2017).

    Parameters
    ----------
    lr : float
        The learning rate at the beginning, 0 or more.
    steps : int
        The step at which the rate reaches `final`.
    final : float, default 0.0
        The learning rate at the end, 0 or more.

    Examples
    --------
    >>> import cnn
    >>> schedule = cnn.CosineDecay(1.0, steps=100)
    >>> schedule(0), round(schedule(50), 12), schedule(100), schedule(1000)
    (1.0, 0.5, 0.0, 0.0)
    """

    lr: float
    steps: int
    final: float = 0.0

    def __post_init__(self) -> None:
        checks.real("CosineDecay", "lr", self.lr)
        checks.integer("CosineDecay", "steps", self.steps, 1, MOST_STEPS)
        checks.real("CosineDecay", "final", self.final)

    def _rates(self, steps: Steps) -> Floats:
        # (1 + cos(2 a)) / 2 = 1 - sin(a)^2, exactly 1 at the beginning.
        sine = _sine(np.minimum(steps, self.steps) / self.steps * (math.pi / 2))
        rates = self.final + (self.lr - self.final) * (1.0 - sine * sine)
        # Rounding must not carry the rate past its ends, below 0 in particular.
        low, high = sorted((float(self.lr), float(self.final)))
        return np.where(steps < self.steps, np.clip(rates, low, high), float(self.final))


@dataclass(frozen=True)
class FlatCosine(Schedule):
    """A rate that stays the same and then decreases to 0 along half a cosine.

    ``lr`` until ``start steps``, then
    ``lr (1 + cos(pi (step / steps - start) / (1 - start))) / 2``, and 0 from `steps` on: the
    "flat_cos" of Holzmüller, Grinsztajn and Steinwart, "Better by Default" (2024).

    Parameters
    ----------
    lr : float
        The rate at the beginning, 0 or more.
    steps : int
        The step at which the rate reaches 0.
    start : float, default 0.5
        The share of `steps` for which the rate stays the same; less than 1.

    Examples
    --------
    >>> import cnn
    >>> schedule = cnn.FlatCosine(1.0, steps=100)
    >>> schedule(0), schedule(50), round(schedule(75), 12), schedule(100)
    (1.0, 1.0, 0.5, 0.0)
    """

    lr: float
    steps: int
    start: float = 0.5

    def __post_init__(self) -> None:
        checks.real("FlatCosine", "lr", self.lr)
        checks.integer("FlatCosine", "steps", self.steps, 1, MOST_STEPS)
        checks.real("FlatCosine", "start", self.start, below=1.0)

    def _rates(self, steps: Steps) -> Floats:
        part = (np.minimum(steps, self.steps) / self.steps - self.start) / (1.0 - self.start)
        sine = _sine(np.clip(part, 0.0, 1.0) * (math.pi / 2))
        rates = self.lr * np.clip(1.0 - sine * sine, 0.0, 1.0)
        return np.where(steps < self.steps, rates, 0.0)


@dataclass(frozen=True)
class CosineLog(Schedule):
    """A learning rate of cosine cycles, each about twice as long as the one before.

    ``lr (1 - cos(2 pi log2(1 + (2^cycles - 1) step / steps))) / 2`` until `steps`, then 0: with
    four cycles the "coslog4" of Holzmüller, Grinsztajn and Steinwart, "Better by Default" (2024).
    It begins and ends each cycle with 0.

    Parameters
    ----------
    lr : float
        The largest rate, 0 or more.
    steps : int
        The step at which the last cycle ends.
    cycles : int, default 4
        How many cycles there are, 1 to 30.

    Examples
    --------
    >>> import cnn
    >>> schedule = cnn.CosineLog(1.0, steps=1500)
    >>> schedule(0), round(schedule(100), 12), round(schedule(1500), 12)
    (0.0, 0.0, 0.0)
    >>> max(range(100), key=schedule)
    41
    """

    lr: float
    steps: int
    cycles: int = 4

    def __post_init__(self) -> None:
        checks.real("CosineLog", "lr", self.lr)
        checks.integer("CosineLog", "steps", self.steps, 1, MOST_STEPS)
        checks.integer("CosineLog", "cycles", self.cycles, 1, 30)

    def _rates(self, steps: Steps) -> Floats:
        part = np.minimum(steps, self.steps) / self.steps
        phase = _log2(1.0 + (2.0**self.cycles - 1.0) * part)
        phase -= np.floor(phase)
        # (1 - cos(2 pi f)) / 2 = sin(pi f)^2, which is the same for f and 1 - f.
        sine = _sine(np.minimum(phase, 1.0 - phase) * math.pi)
        return np.where(steps < self.steps, self.lr * np.minimum(sine * sine, 1.0), 0.0)


@dataclass(frozen=True)
class Warmup(Schedule):
    """A learning rate that increases linearly before it follows a schedule.

    ``schedule(0) (step + 1) / (steps + 1)`` for `steps` steps, then ``schedule(step - steps)``.

    Parameters
    ----------
    schedule : float, Schedule or callable
        The learning rate after the warm-up, or a function of the step counted from its end.
    steps : int
        The number of steps of the warm-up.

    Examples
    --------
    >>> import cnn
    >>> cnn.Warmup(1.0, steps=3).values(0, 5)
    array([0.25, 0.5 , 0.75, 1.  , 1.  ])
    """

    schedule: LearningRate
    steps: int

    def __post_init__(self) -> None:
        check("Warmup", "schedule", self.schedule)
        checks.integer("Warmup", "steps", self.steps, 1, MOST_STEPS - 1)

    def _rates(self, steps: Steps) -> Floats:
        full = float(rates("Warmup", self.schedule, 0, 1)[0])
        rising: Floats = full * ((steps + 1) / (self.steps + 1))
        later = steps[steps >= self.steps]
        if later.size:
            # The steps of one call follow one another.
            first = int(later[0]) - self.steps
            rising[steps >= self.steps] = rates("Warmup", self.schedule, first, later.size)
        return rising


# ---- Learning rates of an optimizer ------------------------------------------------------------


def check(where: str, name: str, lr: object) -> None:
    """Refuse an object that is neither a learning rate nor a function of the step."""
    if isinstance(lr, type):
        raise TypeError(f"{where}: {name} is the class {lr.__name__}, should be an object of it")
    if not callable(lr):
        checks.real(where, name, lr)


def rates(where: str, lr: LearningRate, first: int, count: int) -> Floats:
    """Return the learning rates of `count` steps from `first` on, checked."""
    if count > MOST_STEPS - first:
        raise ValueError(
            f"{where}: optimizer has made {first} steps, should make at most {MOST_STEPS} in all"
        )
    if isinstance(lr, Schedule):
        values = lr.values(first, count)
    elif callable(lr):
        values = np.empty(count)
        for i in range(count):
            values[i] = checks.real(where, f"lr({first + i})", lr(first + i))
    else:
        constant: Floats = np.full(count, lr, dtype=np.float64)
        return constant
    bad = ~(np.isfinite(values) & (values >= 0))
    if bad.any():
        at = int(bad.argmax())
        raise ValueError(
            f"{where}: lr is {exact(values[at])} at step {first + at}, should be finite and at "
            f"least 0"
        )
    return values


# ---- Schedules in model files ------------------------------------------------------------------

_SCHEDULES: Mapping[str, type[Schedule]] = {
    schedule.__name__: schedule
    for schedule in (
        *(Constant, StepDecay, ExponentialDecay, CosineDecay),
        *(FlatCosine, CosineLog, Warmup),
    )
}


def to_json(lr: LearningRate) -> Any:
    """Return a learning rate as an object for JSON; None for a function of the user's."""
    if isinstance(lr, Schedule):
        if type(lr) not in _SCHEDULES.values():
            return None
        found: dict[str, Any] = {"kind": type(lr).__name__}
        for field in fields(lr):  # type: ignore[arg-type]  # all in _SCHEDULES are dataclasses
            found[field.name] = to_json(getattr(lr, field.name))
            if found[field.name] is None:
                return None
        return found
    if callable(lr):
        return None
    return int(lr) if isinstance(lr, (int, np.integer)) else float(lr)


def from_json(value: Any) -> LearningRate:
    """Return the learning rate that `to_json` described; ValueError if it is not valid."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        check("lr", "lr", value)
        return value
    if not isinstance(value, dict):
        raise ValueError(f"lr is {value!r}, should be a number or a schedule")
    settings = dict(value)
    schedule = _SCHEDULES.get(settings.pop("kind", None))
    if schedule is None:
        raise ValueError(f"lr is {value!r}, which is no schedule")
    if "schedule" in settings:
        settings["schedule"] = from_json(settings["schedule"])
    try:
        return schedule(**settings)
    except TypeError as error:
        raise ValueError(f"lr is {value!r}, which is no {schedule.__name__}") from error
