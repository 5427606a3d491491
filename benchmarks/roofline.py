"""The bounds of the machine, measured by roofline.c, and how near to them a time is."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from cases import Work
from machine import Machine

VECTOR_BYTES = {"avx512": 64, "avx2": 32, "neon": 16, "scalar": 16}
FLAGS = {"avx512": ["-march=native", "-mprefer-vector-width=512"], "avx2": ["-march=x86-64-v3"]}
LEVELS = {1: "L1", 2: "L2", 3: "L3", 4: "DRAM"}


@dataclass
class Roofline:
    """Operations and bytes per second, by what they depend on."""

    machine: Machine
    flops: dict[tuple[str, int], float] = field(default_factory=dict)  # (isa, threads)
    bandwidth: dict[tuple[str, int, int], float] = field(default_factory=dict)
    """(read or copy, level, threads)"""

    def level(self, working_set: float, threads: int) -> int:
        """Return the level of memory in which a working set lies, 4 for none of the caches."""
        for level in (1, 2, 3):
            shares = threads if level < 3 else 1  # the third level is one for all cores
            if working_set <= self.machine.caches[level] * shares:
                return level
        return 4

    def share(self, work: Work, seconds: float, isa: str, threads: int) -> str:
        """Return which bound the work has, and the share of it that was reached."""
        level = self.level(work.working_set, threads)
        kind = "read" if work.only_reads else "copy"
        for_flops = work.flops / self.flops[isa, threads]
        for_bytes = work.bytes_moved / self.bandwidth[kind, level, threads]
        bound = "FMA" if for_flops >= for_bytes else LEVELS[level]
        return f"{max(for_flops, for_bytes) / seconds:.0%} {bound}"

    def summary(self) -> list[str]:
        """Return the lines of the report that name the bounds."""
        lines = []
        for (isa, threads), flops in self.flops.items():
            lines.append(f"- {isa}, {thread_text(threads)}: {flops / 1e9:.0f} GFLOP/s")
        for threads in sorted({key[2] for key in self.bandwidth}):
            rates = [
                f"{name} {self.bandwidth['read', level, threads] / 1e9:.0f} and "
                f"{self.bandwidth['copy', level, threads] / 1e9:.0f}"
                for level, name in LEVELS.items()
            ]
            lines.append(
                f"- GB/s of reading and of copying, {thread_text(threads)}: {'; '.join(rates)}"
            )
        return lines


def thread_text(threads: int) -> str:
    """Return "1 thread" or "2 threads"."""
    return f"{threads} thread{'s' if threads > 1 else ''}"


def compile_program(folder: Path, isa: str) -> Path:
    """Compile roofline.c for an instruction set."""
    compiler = os.environ.get("CC") or shutil.which("cc") or "gcc"
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / f"roofline-{isa}"
    source = Path(__file__).with_suffix(".c")
    flags = FLAGS.get(isa, [])
    definition = f"-DVECTOR_BYTES={VECTOR_BYTES[isa]}"
    command = [compiler, "-O3", *flags, definition, "-pthread", str(source), "-o", str(program)]
    subprocess.run(command, check=True)
    return program


def measure(
    machine: Machine,
    isas: Iterable[str],
    thread_counts: Iterable[int],
    folder: Path,
    log: Callable[[str], None],
) -> Roofline:
    """Measure the bounds for some instruction sets and numbers of threads."""
    roofline = Roofline(machine)
    isas = list(isas)
    programs = {isa: compile_program(folder, isa) for isa in isas}

    def run(isa: str, threads: int, *arguments: str) -> float:
        command = [str(programs[isa]), *arguments, str(threads)]
        if hasattr(os, "sched_setaffinity") and (taskset := shutil.which("taskset")):
            cores = ",".join(str(core) for core in machine.cores[-threads:])
            command = [taskset, "-c", cores, *command]
        return 1e9 * float(subprocess.check_output(command, text=True))

    for threads in thread_counts:
        log(f"roofline, {thread_text(threads)}")
        for isa in isas:
            roofline.flops[isa, threads] = run(isa, threads, "fma")
        for kind in ("read", "copy"):
            for level in LEVELS:
                shares = threads if level < 3 else 1
                caches = machine.caches
                size = caches[level] * shares // 2 if level < 4 else 8 * caches[3]
                rate = run(isas[0], threads, kind, str(size))
                roofline.bandwidth[kind, level, threads] = rate
    return roofline
