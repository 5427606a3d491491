"""Optimizers in model files: their rates as text, and the optimizer of a trainer that was read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from cnn import _core, optimizers, schedules
from cnn.optimizers import Group, Optimizer

if TYPE_CHECKING:
    from collections.abc import Sequence


class LostLearningRate:
    """A placeholder for a learning rate that a file cannot hold: a function of the user's."""

    def __call__(self, step: int) -> float:
        """Raise an error that asks for a learning rate."""
        raise ValueError(
            "the optimizer's lr was a function when it was saved, and files cannot hold functions; "
            "set optimizer.lr before training goes on"
        )

    def __repr__(self) -> str:
        return "<a function that the file could not hold>"


def rates_text(where: str, optimizer: Optimizer) -> str | None:
    """Return the rates of an optimizer as JSON; None if all there is is a function of the user's.

    Raises
    ------
    ValueError
        If a rate of a group, or the weight decay, is a schedule of the user's: lr can be set again
        when a file was read, these cannot.
    """
    lr = schedules.to_json(optimizer.lr)
    if not optimizers.has_tables(optimizer):
        return None if lr is None else json.dumps(lr)
    decay = getattr(optimizer, "weight_decay", 0.0)
    found = {
        "lr": lr,
        "weight_decay": _rate(where, "weight_decay", decay),
        "groups": [
            {
                "parameters": group.parameters,
                "lr": _rate(where, f"groups[{i}].lr", group.lr),
                "weight_decay": _rate(where, f"groups[{i}].weight_decay", group.weight_decay),
            }
            for i, group in enumerate(optimizers.groups_of(optimizer))
        ],
    }
    return json.dumps(found)


def _rate(where: str, name: str, rate: float | schedules.Schedule | None) -> Any:
    if rate is None:
        return None
    found = schedules.to_json(rate)
    if found is None:
        raise ValueError(
            f"{where}: optimizer has {name} of type {type(rate).__name__}, which files cannot "
            f"hold; should be a number or a schedule of cnn.schedules"
        )
    return found


def optimizer_of(where: str, trainer: _core.Trainer, text: str | None) -> Optimizer:
    """Return the optimizer that a trainer read from a file belongs to.

    Raises
    ------
    ModelFileError
        If the text is not one of `rates_text`.
    """
    options: dict[str, Any] = dict(trainer.options)
    lr: schedules.LearningRate = LostLearningRate()
    groups: Sequence[Group] = ()
    try:
        if text is not None:
            lost, found = False, json.loads(text)
            if isinstance(found, dict) and "groups" in found:
                groups = [_group(group) for group in found["groups"]]
                if found["weight_decay"] is not None:
                    options["weight_decay"] = schedules.from_json(found["weight_decay"])
                lost, found = found["lr"] is None, found["lr"]
            if not lost:
                lr = schedules.from_json(found)
        _check_groups(trainer, groups)
        return _made(trainer, lr, options, groups)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise _core.ModelFileError(f"{where}: the file's lr is not one: {error}") from error


def _group(value: Any) -> Group:
    names = value["parameters"]
    if not isinstance(names, str):
        names = tuple(name if isinstance(name, str) else tuple(name) for name in names)
    lr, decay = schedules.from_json(value["lr"]), value["weight_decay"]
    rates: Any = (lr, None if decay is None else schedules.from_json(decay))
    return Group(names, *rates)


def _check_groups(trainer: _core.Trainer, groups: Sequence[Group]) -> None:
    """Refuse groups that are not those of the trainer."""
    for layer, name, _ in trainer.network.trained:
        wanted = max((i for i, g in enumerate(groups, 1) if g.has(layer, name)), default=0)
        if trainer.group(layer, name) != wanted:
            raise ValueError(
                f"{name} of layer {layer} is in group {trainer.group(layer, name)}, should be in "
                f"group {wanted}"
            )


def _made(
    trainer: _core.Trainer,
    lr: schedules.LearningRate,
    options: dict[str, Any],
    groups: Sequence[Group],
) -> Optimizer:
    """Return an optimizer with a trainer's settings, to which the trainer belongs."""
    kind = trainer.kind
    settings: dict[str, Any] = {"clip_norm": options["clip_norm"] or None, "groups": groups}
    betas = (options["beta1"], options["beta2"])
    optimizer: Optimizer
    if kind == "adam":
        optimizer = optimizers.Adam(lr, betas=betas, eps=options["eps"], **settings)
    elif kind == "adamw":
        settings["weight_decay"] = options["weight_decay"]
        optimizer = optimizers.AdamW(lr, betas=betas, eps=options["eps"], **settings)
    elif kind == "rmsprop":
        alpha, eps = options["alpha"], options["eps"]
        optimizer = optimizers.RMSprop(lr, alpha=alpha, eps=eps, **settings)
    elif kind == "adagrad":
        optimizer = optimizers.Adagrad(lr, eps=options["eps"], **settings)
    else:
        momentum = options["momentum"] if kind != "sgd" else 0.0
        settings["nesterov"] = kind == "nesterov"
        optimizer = optimizers.SGD(lr, momentum=momentum, **settings)
    optimizers.give(optimizer, trainer)
    return optimizer
