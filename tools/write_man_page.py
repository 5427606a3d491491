"""Write the man page of the command line from its parser: docs/cnn.1, which wheels install.

Run it with the installed package after a change of options; a test compares the file with it.
"""

import argparse
import re
from pathlib import Path

from cnn.cli.parser import parser

PAGE = Path(__file__).parents[1] / "docs" / "cnn.1"

_EXIT = [
    ("0", "success"),
    ("1", "a failure, with a line on stderr"),
    ("2", "wrong usage"),
    ("130", "interrupted; if an epoch of training was finished, the best model so far is saved"),
]
_EXAMPLES = [
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


def page() -> str:
    """Return the man page."""
    made = parser()
    made.prog = "cnn"
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
        *options(made),
    ]
    for action in made._actions:
        if isinstance(action, argparse._SubParsersAction):
            lines.append(".SH COMMANDS")
            for name, command in action.choices.items():
                lines += [f".SS cnn {name}", escaped(command.description or ""), *options(command)]
    lines.append(".SH EXIT STATUS")
    for code, text in _EXIT:
        lines += [".TP", f".B {code}", escaped(text)]
    lines.append(".SH EXAMPLES")
    for example in _EXAMPLES:
        lines += [".PP", ".nf", escaped(example), ".fi"]
    return "\n".join(lines) + "\n"


def options(command: argparse.ArgumentParser) -> list[str]:
    """Return the arguments of a command."""
    formatter = command._get_formatter()
    lines = []
    for action in command._actions:
        if isinstance(action, argparse._SubParsersAction):
            continue
        value = "" if action.nargs == 0 else formatter._format_args(action, named(action))
        flags = ", ".join(f"\\fB{escaped(flag)}\\fR" for flag in action.option_strings)
        head = " ".join(
            part for part in (flags, f"\\fI{escaped(value)}\\fR" if value else "") if part
        )
        lines += [".TP", head, escaped(formatter._expand_help(action)) if action.help else "\\&"]
    return lines


def named(action: argparse.Action) -> str:
    """Return how the value of an argument is called."""
    if action.choices is not None:
        return "{" + ",".join(map(str, action.choices)) + "}"
    return action.dest.upper()


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE}")
