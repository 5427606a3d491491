"""The command line: ``python -m cnn``."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from cnn import _core, installed


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


_COMMANDS = {"demo": _demo, "info": _info}


def _cflags() -> list[str]:
    return [f"-I{installed.get_include()}"]


def _libs() -> list[str]:
    # The run path, so that programs find the library where it is.
    folder = Path(installed.get_library()).parent
    return [f"-L{folder}", f"-Wl,-rpath,{folder}", "-lcnn"]


# What a Makefile asks for, as other packages' *-config programs answer it.
_FLAGS = {
    "cflags": (_cflags, "what a C compiler needs to find cnn/cnn.h"),
    "libs": (_libs, "what a linker needs to find libcnn, now and when the program runs"),
    "cmakedir": (lambda: [installed.get_cmake_dir()], "the folder for CMake's -Dcnn_DIR="),
    "pkgconfigdir": (lambda: [installed.get_pkgconfig_dir()], "the folder for PKG_CONFIG_PATH"),
}


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m cnn", description="Dense neural networks.")
    for flag, (_, text) in _FLAGS.items():
        parser.add_argument(f"--{flag}", action="store_true", help=f"print {text}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.add_parser("demo", help="train on handwritten digits and show what comes out")
    commands.add_parser("info", help="tell version, instruction set and threads")
    parsed = parser.parse_args(arguments)
    words = [
        word for flag, (answer, _) in _FLAGS.items() if getattr(parsed, flag) for word in answer()
    ]
    if bool(words) == bool(parsed.command):
        parser.error("give a command or some of the options, and not both")
    if words:
        print(shlex.join(words))
        return 0
    return _COMMANDS[parsed.command]()


if __name__ == "__main__":
    sys.exit(main())
