"""The base of all optimizers, and its state in pickles."""

from __future__ import annotations

import copy
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from cnn import _core, schedules
from cnn._base import checks
from cnn.optimizers._groups import checked_groups
from cnn.schedules import LearningRate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cnn.optimizers._groups import Group


@dataclass
class _State:
    """The state of a copied or unpickled optimizer until it is bound to a network."""

    steps: int
    slots: list[NDArray[Any]]
    dtype: np.dtype[Any]
    parameter_count: int


@dataclass(eq=False, repr=False)
class Optimizer:
    """The base of all optimizers; use one of the subclasses.

    Only `lr` can be changed. A copy or a pickle of an optimizer holds its state and belongs to the
    first network that it is then used with, which must have the dtype and the number of parameters
    of the old one.

    Parameters
    ----------
    lr : float, Schedule or callable
        The learning rate, or a function of the step.

    Examples
    --------
    >>> import cnn
    >>> optimizer = cnn.SGD(0.1)
    >>> optimizer.lr = 0.01
    >>> optimizer.name, optimizer.steps
    ('sgd', 0)
    """

    name: ClassVar[str]
    """The name of the optimizer as an argument of fit."""

    lr: LearningRate
    """The learning rate, or a function of the step, counted from 0. It may be set at any time."""

    def __post_init__(self) -> None:
        self._check()
        self._set_groups(self._groups)
        self._waiting: _State | None = None

    def _set_groups(self, groups: object) -> None:
        """Check groups, and keep them in a tuple, as they cannot change."""
        kind = type(self).__name__
        found = checked_groups(kind, groups)
        if "weight_decay" not in {field.name for field in fields(self)}:
            for i, group in enumerate(found):
                if group.weight_decay is not None:
                    raise ValueError(
                        f"{kind}: groups[{i}] has a weight_decay, which AdamW alone has"
                    )
        object.__setattr__(self, "groups", found)

    @property
    def _groups(self) -> Sequence[Group]:
        """The groups of parameters beside the first one, which has all others."""
        found: Sequence[Group] = getattr(self, "groups", ())
        return found

    def __setattr__(self, name: str, value: object) -> None:
        if name == "lr":
            schedules.check(type(self).__name__, "lr", value)
        elif not name.startswith("_") and hasattr(self, "_waiting"):
            raise AttributeError(
                f"{type(self).__name__}: {name} cannot be changed; only lr can. Make a new "
                f"optimizer instead"
            )
        object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        shown = {f.name: getattr(self, f.name) for f in fields(self)}
        if not shown.get("groups"):
            shown.pop("groups", None)
        return f"{type(self).__name__}({', '.join(f'{n}={v!r}' for n, v in shown.items())})"

    def _check(self) -> None:
        """Check the settings; subclasses add their own."""

    def _kind(self) -> str:
        """Return libcnn's name for the optimizer with these settings."""
        return self.name

    def _options(self) -> dict[str, float]:
        """Return the settings as libcnn names them."""
        raise NotImplementedError

    @property
    def steps(self) -> int:
        """The number of steps made so far."""
        # Read before the trainer: `bound` sets them in the other order.
        waiting = self._waiting
        if self._trainer is not None:
            return self._trainer.steps
        return waiting.steps if waiting is not None else 0

    @property
    def _trainer(self) -> _core.Trainer | None:
        """The owner of the state; None before the first use."""
        found: _core.Trainer | None = self.__dict__.get("_bound")
        return found

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        waiting = self._waiting
        if self._trainer is not None:
            network = self._trainer.network
            steps, slots = self._trainer.get_steps_and_state()
            waiting = _State(steps, slots, network.dtype, network.parameter_count)
        state["_waiting"] = waiting
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        kind = type(self).__name__
        wanted = {field.name for field in fields(self)} | {"_waiting"}
        if isinstance(state, dict):  # pickles of versions without groups have none
            state = {"groups": (), **state}
        if not isinstance(state, dict) or state.keys() != wanted:
            raise TypeError(
                f"{kind}: the state of a pickle should have {', '.join(sorted(wanted))}"
            )
        waiting = state["_waiting"]
        if waiting is not None:
            _checked_state(kind, waiting)
        for name, value in state.items():
            setattr(self, name, value)
        self._set_groups(state["groups"])
        self._check()

    def __deepcopy__(self, memo: dict[int, Any]) -> Optimizer:
        made = object.__new__(type(self))
        memo[id(self)] = made
        made.__setstate__(copy.deepcopy(self.__getstate__(), memo))
        return made


def _checked_state(where: str, waiting: object) -> None:
    """Check the state in a pickle, but for what the trainer checks when it gets the slots."""
    if not isinstance(waiting, _State):
        raise TypeError(f"{where}: _waiting is {waiting!r}, should be a state of an optimizer")
    checks.integer(where, "steps", waiting.steps, 0)
    checks.integer(where, "parameter_count", waiting.parameter_count, 1)
    if not isinstance(waiting.dtype, np.dtype):
        raise TypeError(f"{where}: dtype is {waiting.dtype!r}, should be a dtype of NumPy")
    slots = waiting.slots
    if not isinstance(slots, list) or not all(isinstance(slot, np.ndarray) for slot in slots):
        raise TypeError(f"{where}: slots is {slots!r}, should be a list of arrays")
