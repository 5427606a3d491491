"""The versions and settings that a report of a problem should have."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata

from cnn import _core, installed, runtime
from cnn._base import sources, texts

__all__ = ["show_versions"]

# Packages that cnn needs, then those that it or its extras use if they are there.
_PACKAGES = (
    *("numpy", "tqdm"),
    *("scikit-learn", "scipy", "onnx", "onnxruntime", "matplotlib", "torch", "pandas", "polars"),
    *("pyarrow", "pooch", "threadpoolctl"),
)


def show_versions() -> None:
    """Print the version of cnn and how it runs here, for a report of a problem.

    These are the instruction set and the number of threads with the reasons for them, the version
    of the numerics contract, the versions of Python, the system and the packages that cnn can use,
    and the environment variables that it reads. A variable whose value is not used says what it
    should be. The last line, if there is one, names a file of your own that Python imports in place
    of cnn in the current folder. ``cnn info`` prints the same.

    See Also
    --------
    cnn.get_num_threads, cnn.numerics_version

    Examples
    --------
    >>> import cnn
    >>> cnn.show_versions()  # doctest: +ELLIPSIS
    cnn              ...
    """
    print("\n".join(lines()))


def lines() -> list[str]:
    """Return the lines that `show_versions` and ``cnn info`` print."""
    rows = [*_engine().items(), *_surroundings().items(), *_variables().items()]
    shadow = sources.shadow()
    if shadow is not None:
        rows.append(
            ("note", f"programs in this folder import {shadow!r} as cnn; it should be renamed")
        )
    return [f"{name:17}{texts.shown(value)}" for name, value in rows]


def _engine() -> dict[str, str]:
    return {
        "cnn": _core.version(),
        "ISA": f"{_core.isa()} ({_why_isa()})",
        "threads": f"{_core.get_num_threads()} (from {_core.threads_origin()})",
        "numerics": f"version {_core.numerics_version()}",
        "library": _library(),
    }


def _why_isa() -> str:
    there = ", ".join(_core.isas())
    cap = os.environ.get("CNN_ISA")
    if cap in _core.isas():
        return f"CNN_ISA={cap} allows none above it of {there}"
    why = f"the best that this machine has of {there}"
    return why if not cap else f"{why}; CNN_ISA={cap} is none of them"


def _library() -> str:
    try:
        return installed.get_library()
    except FileNotFoundError:
        return "not found"


def _surroundings() -> dict[str, str]:
    gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    rows = {
        "Python": f"{platform.python_version()}{'' if gil else ', free-threaded'}, "
        f"{sys.executable}",
        "system": f"{platform.platform()}, {os.cpu_count()} CPUs",
    }
    for name in _PACKAGES:
        try:
            rows[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            rows[name] = "not installed"
    return rows


def _variables() -> dict[str, str]:
    found = {}
    for name, (value, wrong) in runtime.variables().items():
        found[name] = "not set" if value is None else value
        if wrong:
            found[name] = f"{value!r}, which is not used: it {wrong}"
    # A variable with a typing mistake has no effect. Others may belong to another program, so there
    # is no warning of them.
    for name in sorted(os.environ):
        if name.startswith("CNN_") and name not in found:
            found[name] = f"not read by cnn{texts.did_you_mean(name, runtime.variables())}"
    return found
