"""Sphinx: the directive `command-line`, all commands and options as the parser has them."""

import re

import write_man_page
from sphinx.util.docutils import SphinxDirective


class CommandLine(SphinxDirective):
    """The options of cnn, then its commands, each in a section of its own."""

    def run(self):
        """Return the nodes."""
        lines = [*_title("Options"), ".. program:: cnn", ""]
        lines += _options(write_man_page.command_line())
        for name, command in write_man_page.commands():
            usage = " ".join(command.format_usage().removeprefix("usage: ").split())
            usage = re.sub(r"^.*? " + name, f"cnn {name}", usage)
            lines += [*_title(f"cnn {name}"), f".. program:: cnn {name}", ""]
            lines += [_escaped(command.description or ""), "", ".. code-block:: text", ""]
            lines += [f"   {row}" for row in _wrapped(usage)] + ["", *_options(command)]
        lines += [*_title("Exit status"), ""]
        for code, text in write_man_page.EXIT:
            lines += [f"{code}", f"   {_escaped(text)}", ""]
        lines += [*_title("Examples"), "", ".. code-block:: text", ""]
        lines += [f"   {example}" for example in write_man_page.EXAMPLES]
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)


def _title(text):
    return ["", text, "-" * len(text), ""]


def _options(command):
    """Return the directives of a command's arguments, but --help, which all have."""
    lines = []
    for option in write_man_page.options(command):
        if "--help" in option.flags:
            continue
        heads = [f"{flag} {option.value}".strip() for flag in option.flags] or [option.value]
        lines += [f".. option:: {', '.join(heads)}", "", f"   {_escaped(option.help)}", ""]
    return lines


def _escaped(text):
    """Return a text without characters that reStructuredText interprets."""
    # Options, quoted characters and commands are code: two hyphens would become a dash.
    code = r"""(?<![\w-])--[a-z][\w-]*|'\S?'(?!\w)|eval "[^"]*"|cnn completion fish \| source"""
    parts = re.split(f"({code})", text)
    parts[::2] = [re.sub(r"([\\*`_|])", r"\\\1", part) for part in parts[::2]]
    parts[1::2] = [f"``{part}``" for part in parts[1::2]]
    return "".join(parts)


def _wrapped(usage, width=90):
    """Return a line of usage as lines that break between arguments."""
    rows, row = [], ""
    for word in re.findall(r"\[.*?\](?=\s|$)|\S+", usage):
        if row and len(row) + 1 + len(word) > width:
            rows.append(row)
            row = "   "
        row = f"{row} {word}" if row else word
    return [*rows, row]


def setup(app):
    """Add the directive."""
    app.add_directive("command-line", CommandLine)
    return {"parallel_read_safe": True, "version": "1"}
