"""The command ``cnn completion``: scripts by which shells complete commands and options.

They are made of the parser, so that no option is missing in them.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cnn.cli import terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

SHELLS = ("bash", "zsh", "fish")
"""The shells that are supported."""


@dataclass(frozen=True)
class Option:
    """An option or a positional argument of a command."""

    flags: tuple[str, ...]
    """Its spellings; none for a positional argument."""
    help: str
    choices: tuple[str, ...]
    takes_value: bool


@dataclass(frozen=True)
class Command:
    """A command; that of the program itself has an empty name."""

    name: str
    help: str
    options: tuple[Option, ...]


def commands(parser: argparse.ArgumentParser) -> list[Command]:
    """Return the commands of a parser, and before them its own options as one."""
    found = [Command("", parser.description or "", _options(parser))]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            texts = {choice.dest: choice.help or "" for choice in action._choices_actions}
            found += [
                Command(name, texts[name], _options(parser))
                for name, parser in action.choices.items()
            ]
    return found


def _options(parser: argparse.ArgumentParser) -> tuple[Option, ...]:
    formatter = parser._get_formatter()
    return tuple(
        Option(
            tuple(action.option_strings),
            formatter._expand_help(action) if action.help else "",
            tuple(map(str, action.choices or ())),
            action.nargs != 0,
        )
        for action in parser._actions
        if not isinstance(action, argparse._SubParsersAction)
    )


def completion(shell: str, parser: argparse.ArgumentParser) -> int:
    """Print the script of a shell."""
    made = {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell]
    terminal.write_file("\n".join(made(commands(parser))) + "\n")
    return 0


def _bash(found: list[Command]) -> Iterator[str]:
    program, *others = found
    yield "# bash completion of cnn"
    yield "_cnn() {"
    yield '    local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}" words='
    yield '    case "${COMP_WORDS[1]} $prev" in'
    for command in others:
        for option in command.options:
            if option.flags and option.choices:
                pattern = "|".join(f'"{command.name} {flag}"' for flag in option.flags)
                yield f'        {pattern}) words="{" ".join(option.choices)}" ;;'
    yield "    esac"
    yield '    if [[ -z $words ]]; then case "$COMP_CWORD ${COMP_WORDS[1]}" in'
    first = [command.name for command in others]
    first += [flag for option in program.options for flag in option.flags]
    yield f'        1\\ *) words="{" ".join(first)}" ;;'
    for command in others:
        flags = [flag for option in command.options for flag in option.flags]
        values = [c for option in command.options if not option.flags for c in option.choices]
        yield f'        *\\ {command.name}) words="{" ".join([*values, *flags])}" ;;'
    yield "    esac; fi"
    yield '    COMPREPLY=($(compgen -W "$words" -- "$cur"))'
    yield "}"
    yield "complete -o default -F _cnn cnn"


def _zsh(found: list[Command]) -> Iterator[str]:
    program, *others = found
    yield "#compdef cnn"
    yield "_cnn() {"
    yield "    local -a commands"
    described = " ".join(_quoted(f"{c.name}:{c.help}") for c in others)
    yield f"    commands=({described})"
    yield "    if (( CURRENT == 2 )); then"
    yield "        _describe command commands"
    yield f"        _arguments {' '.join(_zsh_options(program))}"
    yield "        return"
    yield "    fi"
    yield "    local command=$words[2]"
    yield "    shift words; (( CURRENT-- ))"
    yield "    case $command in"
    for command in others:
        yield f"        {command.name}) _arguments {' '.join(_zsh_options(command))} ;;"
    yield "    esac"
    yield "}"
    yield 'if [[ $funcstack[1] == _cnn ]]; then _cnn "$@"; else compdef _cnn cnn; fi'


def _zsh_options(command: Command) -> Iterator[str]:
    for option in command.options:
        values = f"({' '.join(option.choices)})" if option.choices else "_files"
        text = "".join(f"\\{c}" if c in "[]:\\" else c for c in option.help)
        for flag in option.flags:
            yield _quoted(f"{flag}[{text}]" + (f":value:{values}" if option.takes_value else ""))
        if not option.flags:
            yield _quoted(f":{text}:{values}")


def _fish(found: list[Command]) -> Iterator[str]:
    yield "# fish completion of cnn"
    for command in found[1:]:
        text = _quoted(command.help)
        yield f"complete -c cnn -n __fish_use_subcommand -f -a {command.name} -d {text}"
    for command in found:
        seen = f"'__fish_seen_subcommand_from {command.name}'"
        when = seen if command.name else "__fish_use_subcommand"
        for option in command.options:
            line = f"complete -c cnn -n {when}"
            for flag in option.flags:
                line += f" -l {flag[2:]}" if flag.startswith("--") else f" -s {flag[1:]}"
            if option.choices:
                line += f" -x -a {_quoted(' '.join(option.choices))}"
            elif option.flags and option.takes_value:
                line += " -r"
            if option.flags or option.choices:
                yield f"{line} -d {_quoted(option.help)}"


def _quoted(text: str) -> str:
    """Return a text as a word in single quotes of a shell."""
    return "'" + text.replace("'", "'\\''") + "'"
