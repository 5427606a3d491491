"""Run the suite: `python benchmarks`, or `make bench`, which makes its environment first."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

import machine
import peers
import report
import roofline
import session
from session import Options, Section, Session
from subjects import QUICK, SUBJECTS

HERE = Path(__file__).parent
BUILD = HERE.parent / "build" / "bench"


def options(found: machine.Machine) -> tuple[Options, Path]:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    others = [name for name in peers.PEERS if name != "cnn"]
    add = parser.add_argument
    add("--quick", action="store_true", help="only the rows that targets speak of")
    add("--subjects", nargs="+", choices=SUBJECTS, metavar="NAME", help=", ".join(SUBJECTS))
    add("--threads", nargs="+", type=int, metavar="N", help="default: 1 and 2; quick: 1")
    add("--isa", nargs="+", choices=found.isas, metavar="ISA", help=", ".join(found.isas))
    names = ", ".join(others)
    add("--peers", nargs="+", choices=others, metavar="NAME", default=others, help=names)
    add("--cases", default="", metavar="TEXT", help="only cases with this in their names")
    add("--output", type=Path, default=HERE / "results", help="the folder of the report")
    given = parser.parse_args()
    usual = (1,) if given.quick else (1, 2)
    threads = tuple(given.threads or [n for n in usual if n <= len(found.cores)])
    if not all(1 <= n <= len(found.cores) for n in threads):
        parser.error(f"--threads must be from 1 to {len(found.cores)}, the number of cores")
    isas = tuple(given.isa or (found.isas[:1] if given.quick else found.isas))
    subjects = tuple(given.subjects or (QUICK if given.quick else SUBJECTS))
    return Options(
        given.quick, subjects, threads, isas, tuple(given.peers), given.cases
    ), given.output


def main() -> None:
    """Measure, and write the report as it grows."""
    # An exception, so that the workers are ended too; stopped, they would stay for ever.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("benchmarks: terminated"))
    found = machine.describe()
    chosen, folder = options(found)
    counts = sorted({*chosen.threads})
    run = Session(chosen, found, roofline.Roofline(found))
    run.roofline = roofline.measure(found, chosen.isas, counts, BUILD, run.log)
    sections: list[Section] = []
    for name in chosen.subjects:
        sections.append(SUBJECTS[name](run))
        _write(run, sections, folder)
    run.log(f"wrote {_write(run, sections, folder)}")


def _write(run: session.Session, sections: list[Section], folder: Path) -> Path:
    import chart  # late, as matplotlib is slow to load and writes to its cache

    rows = [row for section in sections for row in section.comparisons]
    found = run.machine
    drawn = chart.draw(
        rows, run.options.isas[0], f"cnn on {found.title}", folder / f"{found.slug}.png"
    )
    for section in sections:
        path = folder / f"{found.slug}-{section.title}.png"
        title = f"Time to accuracy on {found.title}"
        section.picture = chart.draw_curves(section.curves, title, path)
    return report.write(run, sections, folder, drawn)


if __name__ == "__main__":
    main()
