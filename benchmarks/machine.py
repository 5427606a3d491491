"""The machine that is measured: its name, caches, cores and instruction sets."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

# Where a cache's size is not known.
USUAL_CACHES = {1: 32 << 10, 2: 512 << 10, 3: 16 << 20}
# Zen's generations by CPU family and model, as AMD's names often say nothing.
ZEN = (
    (23, 0x00, "zen"),
    (23, 0x30, "zen2"),
    (25, 0x00, "zen3"),
    (25, 0x10, "zen4"),
    (25, 0x20, "zen3"),
    (25, 0x60, "zen4"),
    (26, 0x00, "zen5"),
)
# Intel's generations of servers by model of family 6, as names of virtual CPUs say nothing.
XEONS = {
    85: "Skylake",
    106: "Ice Lake",
    143: "Sapphire Rapids",
    173: "Granite Rapids",
    207: "Emerald Rapids",
}


@dataclass(frozen=True)
class Machine:
    """What a report says of the machine; never whose it is."""

    model: str
    isas: tuple[str, ...]  # the best one first, without "scalar"
    cores: tuple[int, ...]
    caches: dict[int, int]  # bytes by level

    @property
    def slug(self) -> str:
        """A name for files: "amd-epyc-zen5-avx512"."""
        text = re.sub(r"\((r|tm)\)|\b(cpu|processor|\d+-core)\b|@.*", " ", self.model.lower())
        return "-".join([*re.findall(r"[a-z0-9]+", text), self.isas[0]])

    @property
    def title(self) -> str:
        """A name for people: "AMD EPYC zen5, avx512"."""
        return f"{self.model}, {self.isas[0]}"


def describe() -> Machine:
    """Ask the system, and libcnn for its instruction sets."""
    code = "from cnn import _core; print(*_core.isas())"
    isas = subprocess.check_output([sys.executable, "-P", "-c", code], text=True).split()
    vector_isas = tuple(isa for isa in reversed(isas) if isa != "scalar")
    return Machine(_model(), vector_isas or ("scalar",), _cores(), _caches())


def _model() -> str:
    info = Path("/proc/cpuinfo")
    if not info.exists():
        if sys.platform == "darwin":
            command = ["sysctl", "-n", "machdep.cpu.brand_string"]
            return subprocess.check_output(command, text=True).strip()
        return platform.processor() or platform.machine()
    return model_of(info.read_text())


def model_of(cpuinfo: str) -> str:
    """Return the processor's name by the text of /proc/cpuinfo, with its generation."""
    fields: dict[str, str] = {}
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    model = fields.get("model name", platform.machine())
    if model == "Intel(R) Xeon(R) Processor" and int(fields["model"]) in XEONS:
        model = f"Intel Xeon {XEONS[int(fields['model'])]}"
    if fields.get("vendor_id") == "AuthenticAMD":
        number = (int(fields["cpu family"]), int(fields["model"]))
        names = [name for family, first, name in ZEN if (family, first) <= number]
        if names and "zen" not in model.lower():
            model += f" {names[-1]}"
    return model


def _cores() -> tuple[int, ...]:
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def _caches() -> dict[int, int]:
    found = dict(USUAL_CACHES)
    for folder in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        if (folder / "type").read_text().strip() == "Instruction":
            continue
        size = (folder / "size").read_text().strip()
        unit = {"K": 1 << 10, "M": 1 << 20}[size[-1]]
        found[int((folder / "level").read_text())] = int(size[:-1]) * unit
    return found
