"""Checkpoints of a run: a file of cnn.load_checkpoint, with the state of the run in its metadata.

Arrays of callbacks, such as the best weights of EarlyStopping, are in a file of their own beside
it. Its name has the digest of what it holds, and it is written before the checkpoint that refers
to it.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn import _core
from cnn._base import files
from cnn._base.metadata import LR, RUN
from cnn._training.optimizer_files import rates_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnn import optimizers
    from cnn._training.hooks import Hooks

# In the place of a list of arrays: {_ARRAYS: how many}.
_ARRAYS = "arrays"


def write(
    path: str,
    trainer: _core.Trainer,
    optimizer: optimizers.Optimizer,
    state: dict[str, Any],
    callbacks: Sequence[Hooks],
) -> None:
    """Write a checkpoint; if that fails, the one before stays.

    Raises
    ------
    OSError
        If a file cannot be written.
    """
    arrays: list[Any] = []
    found = [_without_arrays(callback.get_state(), arrays) for callback in callbacks]
    beside = None
    if arrays:
        data = _packed(arrays)
        beside = f"{os.path.basename(path)}.{hashlib.sha256(data).hexdigest()[:16]}.npz"
        whole = os.path.join(os.path.dirname(path), beside)
        if not os.path.exists(whole):
            files.replace(whole, data)
    network = trainer.network
    network.set_metadata(RUN, json.dumps(state | {"callbacks": found, "beside": beside}))
    try:
        trainer.save(path, LR, rates_text("distributed.fit", optimizer))
    finally:
        network.set_metadata(RUN, None)
    _remove_others(path, beside)


def loaded(text: str) -> dict[str, Any] | None:
    """Return the state of a run from its text; None for no text."""
    found: dict[str, Any] | None = json.loads(text) if text else None
    return found


def read(where: str, path: str) -> tuple[_core.Trainer, str] | None:
    """Return the trainer of a checkpoint, and the state of the run as text; None without a file.

    Raises
    ------
    ModelFileError
        If the file is no checkpoint of a run.
    """
    if not os.path.exists(path):
        return None
    try:
        trainer = _core.Trainer.load(path)
    except _core.ModelFileError as error:
        text = str(error).replace("load_checkpoint:", f"{where}: checkpoint {path!r}:", 1)
        raise _core.ModelFileError(text) from None
    text = trainer.network.get_metadata(RUN) or ""
    try:
        state = json.loads(text)
        for name, kind in _KINDS.items():
            if not isinstance(state[name], kind):
                raise TypeError(name)
    except (ValueError, TypeError, KeyError, RecursionError):
        raise _core.ModelFileError(
            f"{where}: checkpoint {path!r} is a file without the state of a run; give another path "
            f"or resume=False"
        ) from None
    return trainer, text


_KINDS: dict[str, Any] = {
    "settings": dict,
    "first": int,
    "epoch": int,
    "step": int,
    "sums": list,
    "epochs": list,
    "history": dict,
    "stopped": bool,
    "made": int,
    "last_lr": float,
    "callbacks": list,
    "beside": (str, type(None)),
}


def restore(where: str, path: str, state: dict[str, Any], callbacks: Sequence[Hooks]) -> None:
    """Give callbacks the state that they had."""
    saved = state["callbacks"]
    if len(saved) != len(callbacks):
        raise ValueError(
            f"{where}: callbacks has {len(callbacks)} callbacks, but had {len(saved)} in the run "
            f"that checkpoint {path!r} is of; should be the same, or give another path or "
            f"resume=False"
        )
    arrays: list[Any] = []
    if state["beside"] is not None:
        name = os.path.basename(state["beside"])
        with np.load(os.path.join(os.path.dirname(path), name), allow_pickle=False) as archive:
            arrays = [archive[f"arr_{i}"] for i in range(len(archive.files))]
    for callback, one in zip(callbacks, saved, strict=True):
        callback.set_state(_with_arrays(one, arrays))


def _without_arrays(state: dict[str, Any], arrays: list[Any]) -> dict[str, Any]:
    """Return a callback's state without lists of arrays, which are appended to `arrays`."""
    found = {}
    for name, value in state.items():
        is_arrays = isinstance(value, list) and value and isinstance(value[0], np.ndarray)
        if is_arrays:
            arrays.extend(value)
        found[name] = {_ARRAYS: len(value)} if is_arrays else value
    return found


def _with_arrays(state: dict[str, Any], arrays: list[Any]) -> dict[str, Any]:
    found = {}
    for name, value in state.items():
        if isinstance(value, dict) and list(value) == [_ARRAYS]:
            count = value[_ARRAYS]
            found[name], arrays[:count] = arrays[:count], []
        else:
            found[name] = value
    return found


def _packed(arrays: list[Any]) -> bytes:
    file = io.BytesIO()
    np.savez(file, *arrays)
    return file.getvalue()


def _remove_others(path: str, kept: str | None) -> None:
    """Remove files of arrays that earlier checkpoints referred to."""
    folder = os.path.dirname(path) or "."
    name_of_one = re.compile(re.escape(os.path.basename(path)) + r"\.[0-9a-f]{16}\.npz")
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            if name_of_one.fullmatch(name) and name != kept:
                with contextlib.suppress(OSError):
                    os.unlink(os.path.join(folder, name))
