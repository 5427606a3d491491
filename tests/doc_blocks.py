"""The blocks of code in the project's documents, as they stand, and what runs them.

A block between lines of three backquotes has the language that the first of them names; one that is
indented by four spaces holds commands of a shell. One of the language `output` holds what the block
of Python before it prints; there, `...` stands for any text.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/**/*.md", "csrc/*.md", "examples/**/*.md", "benchmarks/*.md")
    for path in ROOT.glob(pattern)
    if path.parent.name != "machines"  # which the site makes of reports of benchmarks
)


class Block(NamedTuple):
    """A block of code, and the line of the document at which it begins."""

    language: str
    text: str
    line: int


def blocks_of(document):
    """Return the blocks of a document in their order."""
    found, lines = [], (ROOT / document).read_text(encoding="utf-8").splitlines()
    i, in_list = 0, False
    while i < len(lines):
        line = lines[i]
        if re.fullmatch(r" *```\{.*", line):  # a directive of the site
            i = next(j for j in range(i + 1, len(lines)) if lines[j].strip() == "```")
        elif match := re.fullmatch(r"( *)```(\w*)", line):
            end = next(j for j in range(i + 1, len(lines)) if lines[j].strip() == "```")
            text = "\n".join(row.removeprefix(match[1]) for row in lines[i + 1 : end])
            found.append(Block(match[2], text + "\n", i + 2))
            i = end
        elif line.startswith("    ") and not lines[i - 1].strip() and not in_list:
            end = next(
                (j for j in range(i, len(lines)) if not lines[j].startswith("    ")), len(lines)
            )
            text = "\n".join(row[4:] for row in lines[i:end])
            found.append(Block("shell", text + "\n", i + 1))
            i = end - 1
        elif line.strip():
            in_list = bool(re.match(r" *(-|\d+\.) ", line)) or (in_list and line.startswith(" "))
        i += 1
    return found


def named(block):
    """Return the name of the file that a block is, which its first lines tell, or None."""
    found = re.search(r"^(?:/\* | *# |// |! )(\w+\.\w+)(?: \*/)?$", block.text, re.MULTILINE)
    return found[1] if found else None


# Runs blocks, given as JSON, in one namespace; writes into a file what was wrong with each of them,
# or missing.
_RUNNER = """
import contextlib, doctest, io, json, sys, traceback, types
module = types.ModuleType("__main__")
sys.modules["__main__"] = module
for line, text, name, output in json.load(sys.stdin):
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            exec(compile("\\n" * (line - 1) + text, name, "exec"), vars(module))
        said, got = None, printed.getvalue()
        if output is not None:
            if not doctest.OutputChecker().check_output(output, got, doctest.ELLIPSIS):
                said = ["failed", f"the page says\\n{output}but it prints\\n{got}"]
    except ImportError as error:
        said = ["missing", str(error)]
    except BaseException:
        said = ["failed", traceback.format_exc()]
    with open(sys.argv[1], "a") as file:
        print(json.dumps([line, said]), file=file)
"""


def run_python(document, folder):
    """Run the document's blocks of Python in one process; return [line, None or what is wrong]."""
    blocks = blocks_of(document)
    given = [
        (block.line, block.text, document, after.text if after.language == "output" else None)
        for block, after in zip(blocks, [*blocks[1:], Block("", "", 0)], strict=True)
        if block.language == "python"
    ]
    if not given:
        return []
    with tempfile.TemporaryDirectory() as apart:
        report = Path(apart) / "report"
        report.touch()
        done = subprocess.run(
            [sys.executable, "-P", "-W", "ignore", "-c", _RUNNER, str(report)],
            input=json.dumps(given),
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        told = [json.loads(line) for line in report.read_text().splitlines()]
    assert len(told) == len(given), done.stderr
    return told


def commands(block):
    """Return a shell's commands, without their comments; a line that ends with \\ goes on."""
    text = block.text.replace("\\\n", " ")
    stripped = [re.sub(r"(^|\s)#.*", "", line).strip() for line in text.splitlines()]
    return [line for line in stripped if line]
