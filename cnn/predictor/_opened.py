"""The models that this process has opened, by the digests of their files."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from cnn import runtime

if TYPE_CHECKING:
    from collections.abc import Callable

# The most recently used ones stay open: a worker gets a new Predictor with each task.
_MOST = 8
_VARIABLES = ("CNN_NUM_THREADS", "OMP_NUM_THREADS")


class _Process:
    """What belongs to this process and not to the one that it was forked from."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Begin anew in the child of a fork, where another thread may have held the lock."""
        self.lock = threading.Lock()
        self.token = os.urandom(16)
        self.limited: set[str] = set()


_PROCESS = _Process()
# After a fork, the child has the models of its parent, in the same memory.
_MODELS: OrderedDict[str, Any] = OrderedDict()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_PROCESS.renew)


def process() -> bytes:
    """Return what identifies this process among those of all machines."""
    return _PROCESS.token


def opened(key: str, read: Callable[[], Any], origin: bytes, threads: int | None) -> Any:
    """Return the model of a key, which `read` makes if it is not open.

    Threads that ask for it at the same time wait until one of them has read it. If this process is
    not `origin`, its number of threads is set when it first uses the model.
    """
    with _PROCESS.lock:
        if key not in _MODELS:
            _MODELS[key] = read()
            while len(_MODELS) > _MOST:
                _MODELS.popitem(last=False)
        _MODELS.move_to_end(key)
        if origin != _PROCESS.token and key not in _PROCESS.limited:
            _PROCESS.limited.add(key)
            _limit_threads(threads)
        return _MODELS[key]


def _limit_threads(threads: int | None) -> None:
    """Set the number of threads of a worker: as given, as its environment says, or 1."""
    if threads is not None:
        runtime.set_num_threads(threads)
        return
    found = runtime.variables()
    values = [value for value, wrong in (found[name] for name in _VARIABLES) if not wrong]
    if not any(values):
        runtime.set_num_threads(1)
