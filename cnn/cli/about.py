"""The commands that need no file of the user: ``cnn info`` and ``cnn demo``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cnn import _core, runtime
from cnn.cli.terminal import say

if TYPE_CHECKING:
    from argparse import Namespace


def info(_: Namespace) -> int:
    """Print the version of cnn, and how it runs on this machine."""
    rows = {
        "cnn": _core.version(),
        "ISA": f"{_core.isa()} ({_why_isa()})",
        "threads": f"{_core.get_num_threads()} (from {_core.threads_origin()})",
        "numerics": f"version {_core.numerics_version()}",
    }
    for name, (value, wrong) in runtime.variables().items():
        rows[name] = "not set" if value is None else repr(value) if wrong else value
        if wrong:
            rows[name] += f", which is not used: it {wrong}"
    folder = os.environ.get("CNN_DATA") or None
    rows["CNN_DATA"] = "not set" if folder is None else folder
    if folder is not None and not os.path.isdir(folder):
        rows["CNN_DATA"] = f"{folder!r}, which is not a folder"
    for name, value in rows.items():
        say(f"{name:17}{value}")
    return 0


def _why_isa() -> str:
    there = ", ".join(_core.isas())
    cap = os.environ.get("CNN_ISA")
    if cap in _core.isas():
        return f"CNN_ISA={cap} allows none above it of {there}"
    why = f"the best that this machine has of {there}"
    return why if not cap else f"{why}; CNN_ISA={cap} is none of them"


def demo(_: Namespace) -> int:
    """Train on handwritten digits, and show the results."""
    from cnn import demo as module  # noqa: PLC0415  # the other commands need not wait for it

    return module.main()
