"""The command line: ``python -m cnn`` or ``cnn``, its arguments and exit codes."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

from cnn._base import texts
from cnn.cli import parser as parsers
from cnn.cli import terminal
from cnn.cli.common import INTERRUPTED

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

# The commands whose result is a file.
_WRITING = ("train", "export")


# ---- Running -----------------------------------------------------------------------------------


def _run(arguments: list[str] | None) -> int:
    """Run the command of the arguments, print an error as one line, and return the exit code."""
    parser = parsers.parser()
    parsed = parser.parse_args(arguments)
    words = [
        word
        for flag, (answer, _) in parsers.FLAGS.items()
        if getattr(parsed, flag)
        for word in answer()
    ]
    if words and parsed.command:
        parser.error("give a command or some of the options, and not both")
    try:
        if not words and not parsed.command:
            parser.print_help()
            return _check_printed()
        if words:
            terminal.say(shlex.join(words))
            return _check_printed()
        command: Callable[[argparse.Namespace], int] = parsed.run
        code = command(parsed)
    except BrokenPipeError:
        raise
    except KeyboardInterrupt:
        terminal.complain("cnn: interrupted")
        return INTERRUPTED
    except (OSError, ValueError, ArithmeticError, ImportError, MemoryError) as error:
        terminal.complain(f"cnn: error: {texts.of_error(error)}")
        return 1
    if parsed.command in _WRITING or getattr(parsed, "output", None):
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
            terminal.complain(f"cnn: error: {texts.of_error(error)}")
            code = 1
        except SystemExit as error:  # of argparse, for --help and wrong usage
            stop, code = error, 1 if error.code else _check_printed()
        failure = terminal.flush()
        if failure is not None and code == 0:
            if not isinstance(failure, BrokenPipeError):
                terminal.complain(f"cnn: error: {texts.of_error(failure)}")
            code = 1
        if stop is not None and (stop.code or code == 0):
            raise stop
        return code
