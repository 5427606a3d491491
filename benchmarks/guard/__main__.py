"""Compare the instructions that fixed runs take with those in counts.json.

Counts do not depend on what else the machine does, so this can fail a build where a time could not.
They do depend on the compiler, so another one than that of the counts is given more room. The AVX2
kernels run under callgrind. Valgrind does not know AVX-512, so its kernels are counted by
`perf stat`, if the machine has them and allows that. Run by `make bench-guard`;
`make bench-guard ARGS=--update` writes new counts of what could be counted.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
BUILD = HERE.parents[1] / "build" / "guard"
COUNTS = HERE / "counts.json"
ROOM = 0.05
ROOM_FOR_OTHER_COMPILER = 0.15
NO_ISA = 77
TIMES = 10  # what perf counts a run more often, so that the difference is many runs


@dataclass
class Counts:
    """Instructions by instruction set and run, and the compiler that made the program."""

    compiler: str
    counts: dict[str, dict[str, int]] = field(default_factory=dict)


class NotCountedError(Exception):
    """Why an instruction set cannot be counted here."""


def build() -> Path:
    """Build the program and return its path."""
    for command in (
        ["cmake", "-S", str(HERE), "-B", str(BUILD), "-G", "Ninja"],
        ["cmake", "--build", str(BUILD)],
    ):
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return BUILD / "guard"


def instructions(counter: list[str], pattern: str, isa: str, command: list[str]) -> int:
    """Return the instructions of a command by the output of what counts them."""
    if shutil.which(counter[0]) is None:
        raise NotCountedError(f"there is no {counter[0]}")
    # How long threads wait for one another differs from run to run, so there is one thread only.
    environment = os.environ | {"CNN_ISA": isa, "CNN_NUM_THREADS": "1"}
    done = subprocess.run(
        [*counter, *command], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode == NO_ISA:
        raise NotCountedError("the machine does not have it")
    found = re.search(pattern, done.stderr, re.MULTILINE)
    if counter[0] == "perf" and found is None:
        raise NotCountedError("perf stat counts no instructions here")
    if done.returncode != 0 or found is None:
        raise SystemExit(f"{' '.join(command)}: {counter[0]} failed:\n{done.stderr}")
    return int(found[1])


def by_callgrind(program: Path, run: str) -> int:
    """Return the instructions of a run with the AVX2 kernels."""
    counter = [
        *("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"),
        "--toggle-collect=measured",
    ]
    return instructions(counter, r"Collected : (\d+)", "avx2", [str(program), run])


def by_perf(program: Path, run: str) -> int:
    """Return the instructions of a run with the AVX-512 kernels."""
    counter = ["perf", "stat", "-x", ",", "-e", "instructions:u"]
    one, more = (
        instructions(counter, r"^(\d+),", "avx512", [str(program), run, str(times)])
        for times in (1, 1 + TIMES)
    )
    return (more - one) // TIMES


COUNTERS = {"avx2": by_callgrind, "avx512": by_perf}


def measure(program: Path) -> Counts:
    """Count all runs with each instruction set that can be counted."""
    compiler, *runs = subprocess.check_output([str(program)], text=True).splitlines()
    found = Counts(compiler)
    for isa, count in COUNTERS.items():
        try:
            found.counts[isa] = {run: count(program, run) for run in runs}
        except NotCountedError as reason:
            print(f"{isa}: not counted, {reason}")
    return found


def compare(now: Counts, kept: Counts) -> bool:
    """Print the counts beside those that are kept; return whether none has grown too much."""
    is_same = now.compiler == kept.compiler
    room = ROOM if is_same else ROOM_FOR_OTHER_COMPILER
    print(f"{now.compiler}; the counts are of {kept.compiler}, and may grow by {room:.0%}")
    good = True
    for isa, counts in now.counts.items():
        if isa not in kept.counts:
            print(f"{isa}: no counts are kept, --update writes them")
        elif set(counts) != set(kept.counts[isa]):
            print(f"{isa}: the runs are not those of counts.json; run with --update")
            good = False
        for run, count in counts.items():
            if run not in kept.counts.get(isa, {}):
                print(f"{count:>12,}  {'':7}  {'not kept':16}  {isa} {run}")
                continue
            change = count / kept.counts[isa][run] - 1
            verdict = (
                "TOO MANY" if change > room else "fewer: --update?" if change < -room else "ok"
            )
            good = good and change <= room
            print(f"{count:>12,}  {change:+7.1%}  {verdict:16}  {isa} {run}")
    return good


def main() -> int:
    """Build, count, and compare or update."""
    parser = argparse.ArgumentParser(prog="bench-guard", description=__doc__)
    parser.add_argument("--update", action="store_true", help="write counts.json anew")
    given = parser.parse_args()
    now = measure(build())
    if not now.counts:
        return 0
    kept = Counts(**json.loads(COUNTS.read_text()))
    if given.update:
        # What is not counted here stays, if the same compiler made it.
        old = kept.counts if kept.compiler == now.compiler else {}
        COUNTS.write_text(
            json.dumps(asdict(Counts(now.compiler, old | now.counts)), indent=2) + "\n"
        )
        print(f"wrote {COUNTS.name}")
        return 0
    return 0 if compare(now, kept) else 1


if __name__ == "__main__":
    sys.exit(main())
