"""What training needs of an optimizer: its rates step by step, and libcnn's trainer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cnn import _core, schedules

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cnn.optimizers._groups import Group
    from cnn.optimizers._optimizer import Optimizer


def rates(where: str, optimizer: Optimizer, count: int, *, ahead: int = 0) -> NDArray[np.float64]:
    """Return the learning rates of `count` steps, after the next `ahead` steps."""
    return schedules.rates(where, optimizer.lr, optimizer.steps + ahead, count)


def tables(
    where: str, optimizer: Optimizer, lr: NDArray[np.float64], first: int
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Return the learning rates and the weight decays of each step and group, from step `first` on.

    `lr` has the optimizer's rates. Without groups and schedules of the decay it is returned alone.
    """
    if not has_tables(optimizer):
        return lr, None
    groups = optimizer._groups
    decay = getattr(optimizer, "weight_decay", 0.0)
    own = [decay if group.weight_decay is None else group.weight_decay for group in groups]

    def values(rate: float | schedules.Schedule) -> NDArray[np.float64]:
        return schedules.rates(where, rate, first, lr.size)

    factors = [lr, *(lr * values(group.lr) for group in groups)]
    decays = [values(rate) for rate in (decay, *own)]
    return np.stack(factors, axis=1), np.stack(decays, axis=1)


def check_plain(where: str, optimizer: Optimizer, what: str) -> None:
    """Refuse an optimizer with groups or a schedule of its weight decay, which `what` lacks."""
    if has_tables(optimizer):
        raise ValueError(
            f"{where}: optimizer has groups or a weight_decay that changes, which {what} does not "
            f"have; should have one lr and weight_decay for all parameters"
        )


def groups_of(optimizer: Optimizer) -> Sequence[Group]:
    """Return the groups of an optimizer, for other modules of cnn."""
    return optimizer._groups


def has_tables(optimizer: Optimizer) -> bool:
    """Whether an optimizer has groups or a weight decay that changes, so that rates are a table."""
    decay = getattr(optimizer, "weight_decay", 0.0)
    return bool(optimizer._groups) or isinstance(decay, schedules.Schedule)


def bound(where: str, optimizer: Optimizer, network: _core.Network) -> _core.Trainer:
    """Return the trainer of an optimizer for a network, made now if this is the first use."""
    trainer = optimizer._trainer
    if trainer is None:
        made = _trainer_of(where, optimizer, network)
        # Threads that use the optimizer at once all get what one of them has made.
        trainer = optimizer.__dict__.setdefault("_bound", made)
        optimizer._waiting = None
    if trainer.network is not network:
        raise ValueError(
            f"{where}: optimizer belongs to another network, whose state it holds; should be "
            f"a new one, or one that has not been used"
        )
    return trainer


def _trainer_of(where: str, optimizer: Optimizer, network: _core.Network) -> _core.Trainer:
    """Return a new trainer with the settings of an optimizer, and the state that waits in it."""
    waiting = optimizer._waiting
    if waiting is not None and (waiting.dtype, waiting.parameter_count) != (
        network.dtype,
        network.parameter_count,
    ):
        raise ValueError(
            f"{where}: optimizer holds the state of a {waiting.dtype} network with "
            f"{waiting.parameter_count} parameters, but this is a {network.dtype} network with "
            f"{network.parameter_count}"
        )
    trainer = _core.Trainer(network, optimizer._kind(), **optimizer._options())
    for number, group in enumerate(optimizer._groups, 1):
        chosen = [(layer, name) for layer, name, _ in network.trained if group.has(layer, name)]
        if not chosen:
            raise ValueError(
                f"{where}: optimizer has a group of {group.parameters!r}, of which the network has "
                f"none; it has {', '.join(sorted({name for _, name, _ in network.trained}))}"
            )
        for layer, name in chosen:
            trainer.set_group(layer, name, number)
    if waiting is not None:
        trainer.set_state(waiting.slots)
        trainer.steps = waiting.steps
    return trainer


def give(optimizer: Optimizer, trainer: _core.Trainer) -> None:
    """Let an optimizer own a trainer, which has its settings."""
    optimizer.__dict__["_bound"] = trainer
