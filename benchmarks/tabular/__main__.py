"""How good networks for tables are beside boosted trees and other networks, and how fast.

    make bench-tabular ARGS="--output FOLDER"
    make bench-tabular ARGS="--output FOLDER --tables california --methods cnn,lightgbm --seeds 1"

Each table is split for each seed into four fifths to fit and a fifth to score, the same for all
methods. Each fit has a process of its own, on one thread, one at a time. A line of JSON for each
goes to FOLDER/fits.jsonl; a run that was interrupted goes on where it stopped. At the end it writes
FOLDER/README.md and a chart. All of it takes hours; `--report` writes the report alone.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1]
sys.path.insert(0, str(FOLDER))

from tabular import methods, report, tables  # noqa: E402  # they are found now

# Set before a library is imported, which reads it then.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
# Methods that take minutes for a fit of some thousand rows: TabM trains 32 networks at once.
SLOW = ("tabm",)
# A fit that takes longer is stopped, and told in the report.
MOST_SECONDS = 1800


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmarks/tabular",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )

    def chosen(known: tuple[str, ...]) -> Any:
        def parsed(text: str) -> list[str]:
            found = text.split(",")
            strange = [name for name in found if name not in known]
            if strange:
                raise argparse.ArgumentTypeError(f"{strange[0]!r} is none of {', '.join(known)}")
            return found

        return parsed

    known = tuple(methods.METHODS)
    parser.add_argument("--output", type=Path, required=True, help="the folder of the results")
    parser.add_argument("--tables", type=chosen(tables.NAMES), default=list(tables.NAMES))
    usual = [name for name in known if name not in SLOW]
    parser.add_argument(
        "--methods",
        type=chosen(known),
        default=usual,
        help=f"by default all of {', '.join(known)} but {', '.join(SLOW)}",
    )
    parser.add_argument("--seeds", type=int, default=5, help="how many splits of each table")
    parser.add_argument("--report", action="store_true", help="write the report of what is there")
    return parser.parse_args()


def _run(options: argparse.Namespace) -> None:
    """Fit what is not there yet."""
    path = options.output / "fits.jsonl"
    done = {(fit["table"], fit["method"], fit["seed"]) for fit in report.read(path)}
    jobs = [
        (table, method, seed)
        for seed in range(options.seeds)
        for table in options.tables
        for method in options.methods
    ]
    for number, job in enumerate(jobs, 1):
        if job in done:
            continue
        line = _fit(*job)
        with path.open("a") as file:
            file.write(line + "\n")
        print(f"{number}/{len(jobs)} {line}", flush=True)


def _fit(table: str, method: str, seed: int) -> str:
    """Fit in a process, and return its line."""
    failed = {"table": table, "method": method, "seed": seed}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "tabular.worker", table, method, str(seed)],
            cwd=FOLDER,
            env={**os.environ, **ONE_THREAD},
            capture_output=True,
            text=True,
            timeout=MOST_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return json.dumps({**failed, "failed": f"took more than {MOST_SECONDS} s"})
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        return json.dumps({**failed, "failed": last[0]})
    return done.stdout.strip().splitlines()[-1]


def main() -> None:
    """Run, and write the report."""
    options = _options()
    options.output.mkdir(parents=True, exist_ok=True)
    if not options.report:
        _run(options)
    report.write(options.output)


if __name__ == "__main__":
    main()
