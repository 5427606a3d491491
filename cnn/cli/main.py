"""The command line: ``python -m cnn`` or ``cnn``, its arguments and exit codes."""

from __future__ import annotations

import argparse
import csv
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from cnn import _core, activations, installed
from cnn._base import texts
from cnn._tables import csv_file, numerals
from cnn.cli import commands, terminal

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import SupportsWrite

_INTERRUPTED = 130  # as shells have it: 128 and the number of the signal


# ---- Paths for compilers -----------------------------------------------------------------------


def _cflags() -> list[str]:
    return [f"-I{installed.get_include()}"]


def _libs() -> list[str]:
    # A run path, so that programs find the library when they run.
    folder = Path(installed.get_library()).parent
    return [f"-L{folder}", f"-Wl,-rpath,{folder}", "-lcnn"]


# Flags for Makefiles, like those of other packages' *-config programs.
_FLAGS = {
    "cflags": (_cflags, "what a C compiler needs to find cnn/cnn.h"),
    "libs": (_libs, "what a linker needs to find libcnn, now and when the program runs"),
    "cmakedir": (lambda: [installed.get_cmake_dir()], "the folder for CMake's -Dcnn_DIR="),
    "pkgconfigdir": (lambda: [installed.get_pkgconfig_dir()], "the folder for PKG_CONFIG_PATH"),
}


# ---- Types of arguments ------------------------------------------------------------------------


def _is_whole(text: str) -> bool:
    # int refuses texts of thousands of digits.
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


def _activation(text: str) -> activations.Unchecked:
    name, colon, number = text.partition(":")
    # softmax is for outputs, and the layers before a step cannot learn.
    names = [name for name in _core.ACTIVATIONS if name not in ("softmax", "step")]
    numbered = ", ".join(_core.ALPHAS)
    if name not in names:
        raise argparse.ArgumentTypeError(f"{text!r} should be one of {', '.join(names)}")
    if not colon:
        return name
    if name not in _core.ALPHAS:
        raise argparse.ArgumentTypeError(f"{text!r} has a number, which only {numbered} have")
    try:
        return activations.spelled(name, activations.number(name, float(number)))
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} should be a name, a colon and a number such as leaky_relu:0.2: {error}"
        ) from error


def _names(text: str) -> list[str]:
    """Return names separated by commas; a name with a comma is quoted, as in a CSV file."""
    try:
        (names,) = csv.reader([text], strict=True, skipinitialspace=True)
    except (csv.Error, ValueError) as error:
        raise argparse.ArgumentTypeError(
            f'{text!r} should be names between commas, such as id,"a, b"'
        ) from error
    return [name.strip() for name in names] or [""]


# Words that later versions may use for the treatment of missing values. They are refused, since
# they would otherwise be texts of the table.
_POLICIES = {"mean", "median", "mode", "category", "drop", "error"}


def _missing(text: str) -> frozenset[str]:
    names = _names(text)
    if _POLICIES.intersection(names):
        raise argparse.ArgumentTypeError(
            f"{text!r} should be the texts that stand for missing values, such as 'NA,?'; missing "
            f"values themselves should be filled in, or their rows left out"
        )
    # An empty field is always missing.
    return frozenset(["", *names])


# Names for delimiters that are hard to write in a shell.
_DELIMITERS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "space": " "}


def _delimiter(text: str) -> str:
    delimiter = _DELIMITERS.get(text, text)
    if len(delimiter) != 1 or delimiter in "\"'\r\n\0." or delimiter.isalnum():
        raise argparse.ArgumentTypeError(
            f"{text!r} should be one character that is neither letter, digit, point nor quote, or "
            f"'tab'"
        )
    return delimiter


class _Parser(argparse.ArgumentParser):
    """A parser that shows no control characters, and raises an error if stdout is broken."""

    def error(self, message: str) -> NoReturn:
        """Print an error on the arguments, and exit with 2."""
        if message.endswith("expected one argument"):
            message += "; one that begins with - is written as in --missing=-"
        super().error(texts.shown(message))

    def _print_message(self, message: str, file: SupportsWrite[str] | None = None) -> None:
        # argparse itself ignores errors when it writes a help text.
        if file is sys.stdout:
            terminal.write(message)
        else:
            terminal.complain(*message.removesuffix("\n").split("\n"))


# ---- Parsers -----------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    program = "cnn" if Path(sys.argv[0]).stem == "cnn" else "python -m cnn"
    parser = _Parser(prog=program, description="Dense neural networks.")
    parser.add_argument("--version", action="version", version=f"cnn {_core.version()}")
    for flag, (_, text) in _FLAGS.items():
        parser.add_argument(f"--{flag}", action="store_true", help=f"print {text}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND")

    def add(
        name: str, run: Callable[[argparse.Namespace], int], text: str
    ) -> argparse.ArgumentParser:
        made = subparsers.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        made.set_defaults(run=run)
        return made

    add("info", commands.info, "tell version, instruction set, threads, and why they are so")
    add("demo", commands.demo, "train on handwritten digits and show what comes out")
    _add_train(add("train", commands.train, "train a network on a CSV file and save it"))
    predict = add("predict", commands.predict, "predict for the rows of a CSV file")
    _add_model(predict)
    predict.add_argument("data", metavar="DATA.csv", help="the columns, in any order")
    _add_output(predict, "the CSV file to write; stdout if left out")
    _add_dialect(predict, "that of the model")
    _add_model(add("show", commands.show, "tell what a model file holds"))
    export = add("export", commands.export, "write a model as a C header or an ONNX file")
    _add_model(export)
    export.add_argument("--to", required=True, choices=("c", "onnx"), help="the format")
    _add_output(export, "the file to write; the model's name with .h or .onnx where left out")
    export.add_argument("--name", help="what names in a C header begin with; the file's name")
    return parser


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a file that 'train' or net.save wrote")


def _add_output(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument("-o", "--output", metavar="FILE", help=text)


def _add_dialect(parser: argparse.ArgumentParser, decimal: str) -> None:
    """Add the options on the format of a table; `decimal` describes the default of --decimal."""
    training = decimal == "a point"
    parser.add_argument(
        "--delimiter",
        metavar="CHAR",
        type=_delimiter,
        help="what is between fields, such as ';' or tab; if left out, the one of , ; | and tab "
        "that fits the first lines",
    )
    parser.add_argument(
        "--decimal",
        metavar="MARK",
        choices=(numerals.POINT, ","),
        default=numerals.POINT if training else None,
        help=f"the mark before decimals: a point or a comma (default {decimal})",
    )
    default = ", ".join(sorted(csv_file.MISSING - {""}))
    parser.add_argument(
        "--missing",
        metavar="TEXTS",
        type=_missing,
        default=csv_file.MISSING if training else None,
        help="texts that stand for a missing value, which is refused; an empty field always does, "
        + (
            f"and '' is for no others (default {default})".replace("%", "%%")
            if training
            else "and all texts that the model does not know are refused"
        ),
    )


def _add_train(parser: argparse.ArgumentParser) -> None:
    """Add the options on the table, then all others."""
    parser.add_argument(
        "data", metavar="DATA.csv", help="names in the first line, then numbers and categories"
    )
    add = parser.add_argument
    add("--target", metavar="COL", required=True, help="the column to predict, by its name")
    add("-o", "--output", metavar="FILE", required=True, help="the model file to write")
    add(
        "--drop",
        metavar="COLS",
        type=_names,
        action="extend",
        default=[],
        help="columns to leave out, such as id,name; '' for those without a name",
    )
    add(
        "--categories",
        metavar="COLS",
        type=_names,
        action="extend",
        default=[],
        help="columns to take for categories, though they have numbers: each text is one, so "
        "that 7 and 07 are two",
    )
    _add_dialect(parser, "a point")
    add(
        "--task",
        choices=("auto", "classification", "regression"),
        default="auto",
        help="what the target calls for; auto takes texts, and up to 20 different whole numbers, "
        "for classes (default %(default)s)",
    )
    _add_network(parser)


def _add_network(parser: argparse.ArgumentParser) -> None:
    """Add the options on the network and its training."""
    add = parser.add_argument
    size, default = _whole(1, 2**31 - 1), "(default %(default)s)"
    add(
        "--hidden",
        metavar="SIZES",
        type=_hidden,
        default="64,64",
        help=f"neurons of hidden layers, such as 50,100, or none {default}",
    )
    add(
        "--activation",
        metavar="NAME[:NUMBER]",
        type=_activation,
        default="relu",
        help=f"that of hidden layers, such as tanh or leaky_relu:0.2 {default}",
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
    elif isinstance(error, OSError) and error.strerror:
        text = error.strerror
    else:
        text = str(error) or type(error).__name__
    return " ".join(text.split())


def _run(arguments: list[str] | None) -> int:
    """Run the command of the arguments, print an error as one line, and return the exit code."""
    parser = _parser()
    parsed = parser.parse_args(arguments)
    words = [
        word for flag, (answer, _) in _FLAGS.items() if getattr(parsed, flag) for word in answer()
    ]
    if bool(words) == bool(parsed.command):
        parser.error("give a command or some of the options, and not both")
    try:
        if words:
            terminal.say(shlex.join(words))
            return _check_printed()
        command: Callable[[argparse.Namespace], int] = parsed.run
        code = command(parsed)
    except BrokenPipeError:
        raise
    except KeyboardInterrupt:
        terminal.complain("cnn: interrupted")
        return _INTERRUPTED
    except (OSError, ValueError, ArithmeticError, ImportError, MemoryError) as error:
        terminal.complain(f"cnn: error: {_message(error)}")
        return 1
    if parsed.command in ("train", "export") or getattr(parsed, "output", None):
        return code  # a file has the result
    return code or _check_printed()


def _check_printed() -> int:
    """Return 0, or 1 with a line on stderr if stdout is closed and a result was printed."""
    if isinstance(sys.stdout, terminal.Nowhere) and sys.stdout.used:
        terminal.complain("cnn: error: stdout is closed, so that the result cannot be printed")
        return 1
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit code.

    It is 0 for success, 1 with a line on stderr if something failed, 2 for wrong usage, 130 if it
    was interrupted. If stdout is closed, a command whose result is a file omits its notes, and a
    command that prints its result fails. If writing to stdout fails, any command fails. It then
    prints no error if stdout is a pipe whose reader has closed it.
    """
    with terminal.streams():
        stop = None
        try:
            code = _run(arguments)
        except BrokenPipeError:
            code = 1
        except OSError as error:  # of a help text
            terminal.complain(f"cnn: error: {_message(error)}")
            code = 1
        except SystemExit as error:  # of argparse, for --help and wrong usage
            stop, code = error, 1 if error.code else _check_printed()
        failure = terminal.flush()
        if failure is not None and code == 0:
            if not isinstance(failure, BrokenPipeError):
                terminal.complain(f"cnn: error: {_message(failure)}")
            code = 1
        if stop is not None and (stop.code or code == 0):
            raise stop
        return code
