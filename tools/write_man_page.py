"""Write the man page of the command line from its parser: docs/cnn.1, which wheels install.

Run it with the installed package after a change of options; a test compares the file with it. The
page of the command line in the site is made of the same parts.
"""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from cnn.cli.parser import parser

PAGE = Path(__file__).parents[1] / "docs" / "cnn.1"

EXIT = [
    ("0", "success"),
    ("1", "a failure, with a line on stderr"),
    ("2", "wrong usage"),
    ("130", "interrupted; if an epoch of training was finished, the best model so far is saved"),
]
EXAMPLES = [
    "cnn train iris.csv --target species -o iris.safetensors",
    "cnn evaluate iris.safetensors test.csv",
    "cnn predict iris.safetensors new.csv --id name -o predictions.csv",
    "cnn export iris.safetensors --to c -o iris.h",
]


def escaped(text: str) -> str:
    """Return a text without characters that roff interprets."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    # A point or an apostrophe at the beginning of a line begins a request.
    return re.sub(r"^([.'])", r"\\&\1", " ".join(text.split()))


class Option(NamedTuple):
    """An argument of a command: its flags, how its value is called, and its help."""

    flags: list[str]
    value: str
    help: str


def command_line() -> argparse.ArgumentParser:
    """Return the parser, for the program cnn."""
    made = parser()
    made.prog = "cnn"
    return made


def commands() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Return the commands by their names."""
    for action in command_line()._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.items()


def options(command: argparse.ArgumentParser) -> Iterator[Option]:
    """Return the arguments of a command."""
    formatter = command._get_formatter()
    for action in command._actions:
        if not isinstance(action, argparse._SubParsersAction):
            value = "" if action.nargs == 0 else formatter._format_args(action, named(action))
            text = formatter._expand_help(action) if action.help else ""
            yield Option(list(action.option_strings), value, " ".join(text.split()))


def named(action: argparse.Action) -> str:
    """Return how the value of an argument is called."""
    if action.choices is not None:
        return "{" + ",".join(map(str, action.choices)) + "}"
    return action.dest.upper()


def page() -> str:
    """Return the man page."""
    made = command_line()
    lines = [
        '.TH CNN 1 "" "" "User Commands"',
        ".SH NAME",
        "cnn \\- dense neural networks for tables",
        ".SH SYNOPSIS",
        ".B cnn",
        ".I COMMAND",
        "[options]",
        ".SH DESCRIPTION",
        escaped(made.description or ""),
        ".SH OPTIONS",
        *roff(made),
        ".SH COMMANDS",
    ]
    for name, command in commands():
        lines += [f".SS cnn {name}", escaped(command.description or ""), *roff(command)]
    lines.append(".SH EXIT STATUS")
    for code, text in EXIT:
        lines += [".TP", f".B {code}", escaped(text)]
    lines.append(".SH EXAMPLES")
    for example in EXAMPLES:
        lines += [".PP", ".nf", escaped(example), ".fi"]
    return "\n".join(lines) + "\n"


def roff(command: argparse.ArgumentParser) -> list[str]:
    """Return the arguments of a command for the man page."""
    lines = []
    for option in options(command):
        flags = ", ".join(f"\\fB{escaped(flag)}\\fR" for flag in option.flags)
        value = f"\\fI{escaped(option.value)}\\fR" if option.value else ""
        head = " ".join(part for part in (flags, value) if part)
        lines += [".TP", head, escaped(option.help) if option.help else "\\&"]
    return lines


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE}")
