"""What all processes of a run must have in common, and what a resumed run must have again."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn import _core, schedules

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cnn import losses, optimizers
    from cnn.distributed._team import Team

# The most numbers of ranks that a message names for one value.
_NAMED = 8


def settings(
    network: _core.Network,
    optimizer: optimizers.Optimizer,
    loss: losses.Loss,
    others: Mapping[str, object],
) -> dict[str, Any]:
    """Return what must be the same, in words, by the name that messages have for it."""
    lr = schedules.to_json(optimizer.lr)
    chosen = [field.name for field in fields(optimizer) if field.name != "lr"]
    words = ", ".join(f"{name}={getattr(optimizer, name)!r}" for name in chosen)
    return {
        "cnn's version": _core.version(),
        "the numerics version": _core.numerics_version(),
        "NumPy's version": np.__version__,
        "the network's dtype": network.dtype.name,
        "the network's seed": network.seed,
        "the network's layers": repr([tuple(layer) for layer in network.layers]),
        "optimizer": f"{type(optimizer).__name__}({words})",
        "lr": "a function" if lr is None else json.dumps(lr),
        "optimizer's steps": optimizer.steps,
        "loss": repr(loss),
        **others,
        "the digest of the network's weights": digest(network),
        "the digest of the optimizer's state": _state_digest(optimizer),
    }


def digest(network: _core.Network) -> str:
    """Return a digest of all that a network's file has."""
    return hashlib.sha256(network.to_bytes()).hexdigest()[:16]


def _state_digest(optimizer: optimizers.Optimizer) -> str:
    found = hashlib.sha256()
    waiting = optimizer.__getstate__()["_waiting"]
    for values in () if waiting is None else waiting.slots:
        found.update(values.tobytes())
    return found.hexdigest()[:16]


def agree(team: Team, own: dict[str, Any] | None) -> None:
    """Refuse settings that are not the same in all processes, naming those that differ."""
    text = None if own is None else json.dumps(own)
    told = [json.loads(text) for text in team.texts(text)]
    words = []
    for name in told[0]:
        values = [other.get(name) for other in told]
        if any(value != values[0] for value in values):
            words.append(f"{name} {_differing(values)}")
    if words:
        team.agrees = True
        raise ValueError(f"{team.where}: {'; '.join(words)}; should be the same on all ranks")


def _differing(values: Sequence[Any]) -> str:
    """Return which ranks have which value."""
    ranks: dict[str, list[int]] = {}
    for rank, value in enumerate(values):
        ranks.setdefault(str(value), []).append(rank)
    parts = []
    for value, found in ranks.items():
        numbers = ", ".join(map(str, found[:_NAMED])) + (" …" if len(found) > _NAMED else "")
        parts.append(f"{value} on rank{'s' if len(found) > 1 else ''} {numbers}")
    return "is " + " and ".join(parts)


# What may change when a run is resumed.
_FREE = frozenset({"cnn's version", "NumPy's version", "epochs", "every"})


def check_resumed(where: str, path: str, saved: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """Refuse to resume a run with other settings, naming them."""
    words = [
        f"{name} is {own[name]}, but was {saved.get(name)}"
        for name in own
        if name not in _FREE and own[name] != saved.get(name)
    ]
    if words:
        raise ValueError(
            f"{where}: {'; '.join(words)} in the run that checkpoint {path!r} is of; should be the "
            f"same, or give another path or resume=False"
        )
