"""What a library costs before it computes: the time of its import, and its size on the disk."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import targets
import timing
from processes import environment
from session import Goal, Section, Session

MODULES = {
    "cnn": "cnn",
    "PyTorch": "torch",
    "JAX": "jax.numpy",
    "ONNX Runtime": "onnxruntime",
    "scikit-learn": "sklearn.neural_network",
}
DISTRIBUTIONS = {
    "cnn": "cnn",
    "PyTorch": "torch",
    "JAX": "jax",
    "ONNX Runtime": "onnxruntime",
    "scikit-learn": "scikit-learn",
}
ROUNDS = 7
CODE = """
import time, numpy
begin = time.perf_counter()
import {module}
print(time.perf_counter() - begin)
"""


def run_import(session: Session) -> Section:
    """Time imports in fresh processes, in turns."""
    note = "Seconds of the import in a fresh process that has NumPy already; files are cached."
    section = Section("import", note, ["library", "minimum", "median"])
    times = {name: timing.Timing() for name in MODULES}
    for _ in range(ROUNDS):
        for name, module in MODULES.items():
            command = [sys.executable, "-P", "-c", CODE.format(module=module)]
            done = subprocess.run(
                command, capture_output=True, text=True, env=environment(1, None), check=False
            )
            if done.returncode == 0:
                times[name].seconds.append(float(done.stdout.split()[-1]))
            else:
                reason = done.stderr.strip().splitlines()[-1]
                section.failures = sorted({*section.failures, f"{name}: {reason}"})
    for name, found in times.items():
        if found.seconds:
            line = [name, timing.text(found.minimum), timing.text(found.median)]
            section.lines.append(line)
            session.log(f"import: {', '.join(line)}")
    if times["cnn"].seconds:
        seconds, wanted = times["cnn"].minimum, targets.IMPORT_SECONDS
        section.goals.append(
            Goal("import cnn", timing.text(seconds), f"≤ {timing.text(wanted)}", seconds <= wanted)
        )
    return section


def run_size(session: Session) -> Section:
    """Add up the files of the installed libraries."""
    note = "Megabytes of the installed files, with what the library requires except NumPy."
    section = Section("size", note, ["library", "itself", "with requirements"])
    for name, distribution in DISTRIBUTIONS.items():
        try:
            alone = _size(distribution)
            whole = sum(_size(required) for required in _closure(distribution))
        except metadata.PackageNotFoundError as error:
            section.failures.append(f"{name}: {error}")
            continue
        section.lines.append([name, f"{alone / 1e6:.2f}", f"{whole / 1e6:.2f}"])
        session.log(f"size: {name}, {whole / 1e6:.2f} MB")
        if name == "cnn":
            wanted = targets.INSTALLED_BYTES
            reached = f"{whole / 1e6:.2f} MB"
            goal = Goal("installed size", reached, f"≤ {wanted / 1e6:g} MB", whole <= wanted)
            section.goals.append(goal)
    return section


def _size(distribution: str) -> int:
    files = metadata.files(distribution) or []
    paths = [Path(str(file.locate())) for file in files]
    return sum(path.stat().st_size for path in paths if path.is_file())


def _closure(distribution: str) -> set[str]:
    """Return a distribution and all that it requires here, except NumPy, in normal spelling."""
    found: set[str] = set()
    waiting = [distribution]
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in found or name == "numpy":
            continue
        try:
            required = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue  # of another platform or version of Python
        found.add(name)
        for text in required:
            if "extra ==" not in text and (match := re.match(r"[A-Za-z0-9._-]+", text)):
                waiting.append(match[0])
    return found
