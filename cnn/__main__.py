"""The command line: ``python -m cnn`` or ``cnn``, its arguments and exit codes."""

from __future__ import annotations

import argparse
import io
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cnn import _commands, _core, installed

if TYPE_CHECKING:
    from collections.abc import Callable

_INTERRUPTED = 130  # as shells have it: 128 and the number of the signal


# ---- Paths for compilers -----------------------------------------------------------------------


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


# ---- Types of arguments ------------------------------------------------------------------------


def _is_whole(text: str) -> bool:
    # Numbers of thousands of digits are more than int reads.
    return text.isascii() and text.isdigit() and len(text) < 30


def _whole(low: int, high: int) -> Callable[[str], int]:
    """Return a function that reads a whole number from `low` to `high`."""

    def read(text: str) -> int:
        if not (_is_whole(text) and low <= int(text) <= high):
            raise argparse.ArgumentTypeError(
                f"{text!r} should be a whole number from {low} to {high}"
            )
        return int(text)

    return read


def _lr(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} should be a number above 0")
    return value


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} should be a number from 0 to below 1")
    return value


def _hidden(text: str) -> list[int]:
    if text == "none":
        return []
    sizes = text.split(",")
    if not all(_is_whole(size) and 0 < int(size) < 2**31 for size in sizes):
        raise argparse.ArgumentTypeError(
            f"{text!r} should be numbers of neurons such as 50,100, or none"
        )
    return [int(size) for size in sizes]


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


# ---- Parsers -----------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    program = "cnn" if Path(sys.argv[0]).stem == "cnn" else "python -m cnn"
    parser = argparse.ArgumentParser(prog=program, description="Dense neural networks.")
    parser.add_argument("--version", action="version", version=f"cnn {_core.version()}")
    for flag, (_, text) in _FLAGS.items():
        parser.add_argument(f"--{flag}", action="store_true", help=f"print {text}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    def add(
        name: str, run: Callable[[argparse.Namespace], int], text: str
    ) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        made.set_defaults(run=run)
        return made

    add("info", _commands.info, "tell version, instruction set, threads, and why they are so")
    add("demo", _commands.demo, "train on handwritten digits and show what comes out")
    _add_train(add("train", _commands.train, "train a network on a CSV file and save it"))
    predict = add("predict", _commands.predict, "predict for the rows of a CSV file")
    _add_model(predict)
    predict.add_argument("data", metavar="DATA.csv", help="the columns, in any order")
    _add_output(predict, "the CSV file to write; stdout where left out")
    _add_model(add("show", _commands.show, "tell what a model file holds"))
    export = add("export", _commands.export, "write a model as a C header or an ONNX file")
    _add_model(export)
    export.add_argument("--to", required=True, choices=("c", "onnx"), help="the format")
    _add_output(export, "the file to write; the model's name with .h or .onnx where left out")
    export.add_argument("--name", help="what names in a C header begin with; the file's name")
    return parser


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a file that 'train' or net.save wrote")


def _add_output(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument("-o", "--output", metavar="FILE", help=text)


def _add_train(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "data", metavar="DATA.csv", help="names in the first line, then numbers and categories"
    )
    add = parser.add_argument
    add("--target", metavar="COL", required=True, help="the column to predict")
    add("-o", "--output", metavar="FILE", required=True, help="the model file to write")
    add(
        "--drop",
        metavar="COLS",
        type=_names,
        action="extend",
        default=[],
        help="columns to leave out, such as id,name",
    )
    add(
        "--categories",
        metavar="COLS",
        type=_names,
        action="extend",
        default=[],
        help="columns to take for categories, though they have numbers",
    )
    add(
        "--task",
        choices=("auto", "classification", "regression"),
        default="auto",
        help="what the target calls for; auto takes texts, and up to 20 different whole numbers, "
        "for classes (default %(default)s)",
    )
    # softmax is for outputs, and below a step nothing learns.
    activations = [name for name in _core.ACTIVATIONS if name not in ("softmax", "step")]
    size, default = _whole(1, 2**31 - 1), "(default %(default)s)"
    add(
        "--hidden",
        metavar="SIZES",
        type=_hidden,
        default="64,64",
        help=f"neurons of hidden layers, such as 50,100, or none {default}",
    )
    add(
        "--activation", choices=activations, default="relu", help=f"that of hidden layers {default}"
    )
    add(
        "--epochs",
        metavar="N",
        type=size,
        default=100,
        help=f"how often each row is used {default}",
    )
    add("--batch-size", metavar="N", type=size, default=32, help=f"rows in a step {default}")
    add("--lr", metavar="RATE", type=_lr, default=1e-3, help=f"learning rate of Adam {default}")
    add(
        "--seed",
        metavar="N",
        type=_whole(0, 2**64 - 1),
        default=0,
        help=f"that of initial weights and of the order of rows {default}",
    )
    add(
        "--hold-out",
        metavar="SHARE",
        type=_share,
        default=0.2,
        help=f"share of the rows to measure with, not learn from {default}",
    )
    add("-q", "--quiet", action="store_true", help="show no progress")


# ---- Running -----------------------------------------------------------------------------------


def _message(error: BaseException) -> str:
    """Return an error as one line."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        text = f"{error.filename}: {error.strerror}"
    else:
        text = str(error) or type(error).__name__
    return " ".join(text.split())


def _run(arguments: list[str] | None) -> int:
    """Do what the arguments say, and make one line of what goes wrong."""
    parser = _parser()
    parsed = parser.parse_args(arguments)
    words = [
        word for flag, (answer, _) in _FLAGS.items() if getattr(parsed, flag) for word in answer()
    ]
    if bool(words) == bool(parsed.command):
        parser.error("give a command or some of the options, and not both")
    if words:
        print(shlex.join(words))
        return 0
    command: Callable[[argparse.Namespace], int] = parsed.run
    try:
        return command(parsed)
    except BrokenPipeError:
        raise
    except KeyboardInterrupt:
        print("cnn: interrupted", file=sys.stderr)
        return _INTERRUPTED
    except (OSError, ValueError, ArithmeticError, ImportError, MemoryError) as error:
        print(f"cnn: error: {_message(error)}", file=sys.stderr)
        return 1


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit code.

    It is 0 for success, 1 with a line on stderr where something failed, 2 for wrong usage, 130
    where it was interrupted.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A name that a terminal cannot show is no reason to fail.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        try:
            return _run(arguments)
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read the output wants no more of it; nor does Python at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


if __name__ == "__main__":
    sys.exit(main())
