"""Runs evidence for the promises of cnn: `python tools/trust.py [--list] [NAME]...`.

Each check is a command that anyone can run alone. A line for each tells how many cases it saw and
how long it took; its output is in build/trust/NAME.log, and all lines are in build/trust.md. A
check that finds no case has failed. Exits with 1 if a check failed, and with 2 if none failed but
some could not run.

All checks together take about half an hour of two cores. docs/trust.md says what each is for, and
has the commands of the long runs.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOGS = ROOT / "build" / "trust"

# The functions of which every float32 is tried; the others are sampled by `make test-c`.
FUNCTIONS = "exp log tanh sigmoid erf softplus silu gelu elu mish selu"


@dataclass(frozen=True)
class Check:
    """A promise, and the command that looks whether it is kept."""

    name: str
    promise: str
    command: str
    # What is counted, and the pattern of each number of it in the output; without a group each
    # match is one.
    counts: dict[str, str]
    needs: dict[str, str] = field(default_factory=dict)  # programs, and Debian's packages of them

    def missing(self) -> list[str]:
        """Return the packages that must be installed first."""
        return [package for program, package in self.needs.items() if not shutil.which(program)]

    def found(self, output: str) -> dict[str, int]:
        """Return how many cases the output of the command tells."""
        sums = {}
        for what, pattern in self.counts.items():
            matches = re.findall(pattern, output, re.MULTILINE)
            numbers = [m.replace(",", "") for m in matches]
            sums[what] = sum(int(n) if n.isdecimal() else 1 for n in numbers)
        return sums


PYTEST = {"tests": r"(\d+) passed"}
# CMake 4 leaves out how many failed if none did.
CTEST = {"C programs": r"tests passed(?:, \d+ tests failed)? out of (\d+)"}

CHECKS = [
    Check(
        "accuracy",
        "no float32 is further from the exact value than the limit of its function",
        f"make accuracy BITS=32 ARGS='{FUNCTIONS}'",
        {"inputs": r"limit [\d.]+, (\d+) inputs"},
    ),
    Check(
        "tests",
        "the C library: each allocation and each call on files fails in turn; values and bits",
        "make test-c",
        CTEST,
    ),
    Check(
        "reproduce",
        "the same bits with each instruction set, number of threads, split and state of the host",
        "make reproduce",
        {"hashes": r": equal$"},
    ),
    Check(
        "platforms",
        "the same bits on other processors and systems",
        "make platforms ARGS='--quick aarch64 s390x mingw wasm'",
        {"platforms": r"^ok  ", "hashes": r"\((\d+) variations"},
        {
            "aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu",
            "s390x-linux-gnu-gcc": "gcc-s390x-linux-gnu",
            "qemu-s390x": "qemu-user",
            "wine": "wine",
            "x86_64-w64-mingw32-gcc-posix": "gcc-mingw-w64-x86-64-posix",
            "emcc": "emscripten",
        },
    ),
    Check(
        "sanitizers",
        "no memory is used wrongly, nothing undefined is done, no thread races another",
        "make sanitize QUICK=1",
        CTEST,
    ),
    Check(
        "fuzz",
        "no bytes of a file, and no sequence of calls, crash",
        "make fuzz SECONDS=10",
        {"inputs": r"^\w+ +\w* +(\d+) runs", "sequences of calls": r"(\d+) sequences"},
        {"clang": "clang libclang-rt-dev"},
    ),
    Check(
        "damage",
        "every truncation and every changed byte of a file is refused or loads a valid model",
        ".venv/bin/python -P -m pytest tests/test_fuzz.py -m 'slow or not slow'",
        PYTEST,
    ),
    Check(
        "faults",
        "kills, signals, forks, exits and threads beside training lose nothing",
        "make faults ARGS='-m \"not slow\"' && make faults ARGS='-k \"kills and 60\"'",
        PYTEST,
    ),
    Check(
        "load",
        "an hour of a service: the expected bits, and memory that does not grow",
        "make load ARGS='--seconds 60'",
        {"predictions": r"of ([\d,]+) predictions"},
    ),
]


def run(check: Check) -> tuple[str, str, bool | None]:
    """Run a check; return its cases, its result, and whether it is good: None if it cannot run."""
    if check.missing():
        return "none", "not run: needs " + ", ".join(check.missing()), None
    begin = time.monotonic()
    done = subprocess.run(
        check.command,
        shell=True,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    seconds = time.monotonic() - begin
    (LOGS / f"{check.name}.log").write_text(done.stdout, encoding="utf-8")
    found = check.found(done.stdout)
    good = done.returncode == 0 and all(found.values())
    cases = ", ".join(f"{count:,} {what}" for what, count in found.items())
    result = "kept" if good else f"FAILED: build/trust/{check.name}.log"
    return cases, f"{result}, {seconds:.0f} s", good


def main() -> int:
    """Run the checks that are named, or all, and write their table."""
    checks = {check.name: check for check in CHECKS}
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="of a check; all by default")
    parser.add_argument("--list", action="store_true", help="print the checks")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in checks]
    if unknown:
        parser.error(f"{unknown[0]} is no check; there are {', '.join(checks)}")
    if options.list:
        for check in CHECKS:
            print(f"{check.name:12} {check.promise}\n{'':12} {check.command}")
        return 0
    LOGS.mkdir(parents=True, exist_ok=True)
    rows = ["| promise | command | cases | result |", "| --- | --- | ---: | --- |"]
    outcomes = []
    for name in options.names or checks:
        cases, result, good = run(checks[name])
        outcomes.append(good)
        print(f"{name:12} {cases}: {result}", flush=True)
        rows.append(f"| {checks[name].promise} | `{checks[name].command}` | {cases} | {result} |")
    LOGS.with_suffix(".md").write_text("\n".join(rows) + "\n", encoding="utf-8")
    if False in outcomes:
        return 1
    return 2 if None in outcomes else 0


if __name__ == "__main__":
    sys.exit(main())
