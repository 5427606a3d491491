"""Compare the instructions that fixed runs take with those in counts.json.

Counts under callgrind do not depend on what else the machine does, so this can fail a build where
a time could not. They do depend on the compiler, so another one than that of the counts is given
more room. Run by `make bench-guard`; `make bench-guard ARGS=--update` writes new counts.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

HERE = Path(__file__).parent
BUILD = HERE.parents[1] / "build" / "guard"
COUNTS = HERE / "counts.json"
ROOM = 0.05
ROOM_FOR_OTHER_COMPILER = 0.15
NO_ISA = 77


@dataclass
class Counts:
    """Instructions by run, and the compiler that made the program."""

    compiler: str
    counts: dict[str, int]


class MissingISAError(Exception):
    """The machine, or valgrind, lacks the instruction set of the counts."""


def build() -> Path:
    """Build the program and return its path."""
    for command in (
        ["cmake", "-S", str(HERE), "-B", str(BUILD), "-G", "Ninja"],
        ["cmake", "--build", str(BUILD)],
    ):
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return BUILD / "guard"


def count(program: Path, run: str) -> int:
    """Return the instructions of a run."""
    command = [
        "valgrind",
        "--tool=callgrind",
        "--callgrind-out-file=/dev/null",
        "--toggle-collect=measured",
        str(program),
        run,
    ]
    # How long threads wait for one another differs from run to run, so there is one thread only.
    environment = os.environ | {"CNN_ISA": "avx2", "CNN_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode == NO_ISA:
        raise MissingISAError
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or found is None:
        raise SystemExit(f"{run}: valgrind failed:\n{done.stderr}")
    return int(found[1])


def measure(program: Path) -> Counts:
    """Count all runs."""
    compiler, *runs = subprocess.check_output([str(program)], text=True).splitlines()
    return Counts(compiler, {run: count(program, run) for run in runs})


def compare(now: Counts, kept: Counts) -> bool:
    """Print the counts beside those that are kept; return whether none has grown too much."""
    is_same = now.compiler == kept.compiler
    room = ROOM if is_same else ROOM_FOR_OTHER_COMPILER
    print(f"{now.compiler}; the counts are of {kept.compiler}, and may grow by {room:.0%}")
    good = set(now.counts) == set(kept.counts)
    if not good:
        print("the runs are not those of counts.json; run with --update")
    for run in [run for run in now.counts if run in kept.counts]:
        change = now.counts[run] / kept.counts[run] - 1
        verdict = "TOO MANY" if change > room else "fewer: --update?" if change < -room else "ok"
        good = good and change <= room
        print(f"{now.counts[run]:>12,}  {change:+7.1%}  {verdict:16}  {run}")
    return good


def main() -> int:
    """Build, count, and compare or update."""
    parser = argparse.ArgumentParser(prog="bench-guard", description=__doc__)
    parser.add_argument("--update", action="store_true", help="write counts.json anew")
    given = parser.parse_args()
    if shutil.which("valgrind") is None:
        print("bench-guard: skipped, as there is no valgrind")
        return 0
    try:
        now = measure(build())
    except MissingISAError:
        print("bench-guard: skipped, as the machine does not have AVX2")
        return 0
    if given.update:
        COUNTS.write_text(json.dumps(asdict(now), indent=2) + "\n")
        print(f"wrote {COUNTS.name}")
        return 0
    return 0 if compare(now, Counts(**json.loads(COUNTS.read_text()))) else 1


if __name__ == "__main__":
    sys.exit(main())
