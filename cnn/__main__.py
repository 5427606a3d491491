"""The command line: ``python -m cnn``."""

from __future__ import annotations

import argparse
import sys

from cnn import _core


def _demo() -> int:
    """Train on handwritten digits, and show what comes out."""
    from cnn import demo  # noqa: PLC0415  # the other commands need not wait for it

    return demo.main()


def _info() -> int:
    """Print what cnn is and how it runs on this machine."""
    rows = {
        "cnn": _core.version(),
        "ISA": f"{_core.isa()} (of {', '.join(_core.isas())})",
        "threads": f"{_core.get_num_threads()} (from {_core.threads_origin()})",
        "numerics": f"version {_core.numerics_version()}",
    }
    for name, value in rows.items():
        print(f"{name:10}{value}")
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m cnn", description="Dense neural networks.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("demo", help="train on handwritten digits and show what comes out")
    commands.add_parser("info", help="tell version, instruction set and threads")
    parsed = parser.parse_args(arguments)
    return {"demo": _demo, "info": _info}[parsed.command]()


if __name__ == "__main__":
    sys.exit(main())
