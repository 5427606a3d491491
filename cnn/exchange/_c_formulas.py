"""The formulas of the kernels as plain C, for headers that `cnn.exchange.c_header` writes.

No formula is written twice: a header's definitions are extracted from the kernels' sources, which
are installed beside this module, as they are compiled for vectors of one lane. The sources must
keep one style: preprocessor conditions on CNN_BITS, macros, constants, and functions that begin
with INLINE.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cnn import installed

if TYPE_CHECKING:
    from collections.abc import Iterable

# In the order of their dependencies.
_SOURCES = ("simd.h", "fma.h", "scalar.h", "vmath.h", "activation.c", "columns.c")

_IDENTIFIER = re.compile(r"\b[A-Za-z_]\w*\b")
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_NUMBER = re.compile(
    r"\bR\((?P<sign>-?)(?P<real>[0-9][0-9a-fx.p+-]*)\)|(?P<bare>0x[0-9a-f.]+p[+-]?\d+)f?\b"
)


class _Definition(NamedTuple):
    """A macro, type, constant or function, with the comment before it."""

    name: str
    text: str


def literal(value: float, bits: int) -> str:
    """Return a number as a C literal, with the fewest digits that are read as the same number."""
    text = str(np.float32(value) if bits == 32 else np.float64(value))
    if not re.search(r"[.e]", text):
        raise ValueError(f"{value} has no literal in C")
    return text + ("f" if bits == 32 else "")


def _number(match: re.Match[str], bits: int) -> str:
    if match["bare"]:
        return literal(float.fromhex(match["bare"]), bits)
    text = match["real"]
    value = float.fromhex(text) if "x" in text else float(text)
    return match["sign"] + literal(value, bits)


def _holds(condition: str, bits: int) -> bool:
    """Return the value of the condition of #if or #elif.

    Only CNN_BITS is defined, and headers look at FLT_EVAL_METHOD themselves.
    """
    if re.fullmatch(r"CNN_BITS == \d+", condition):
        return int(condition.rsplit(maxsplit=1)[-1]) == bits
    if re.fullmatch(r"defined\(\w+\)( \|\| defined\(\w+\))*", condition):
        return False
    if condition.startswith("FLT_EVAL_METHOD "):
        return False
    raise ValueError(f"the formulas have the condition {condition!r}")


def _lines(source: str, bits: int) -> list[str]:
    """Return the lines for which conditions hold, without those that only help compilers."""
    kept: list[str] = []
    # For each open condition: whether its current branch is kept, and whether an earlier one was.
    open_: list[tuple[bool, bool]] = []
    for line in source.splitlines():
        directive = re.match(r"#\s*(ifndef|if|elif|else|endif)\b\s*([^/]*)", line)
        if not directive:
            if all(left_in for left_in, _ in open_) and line.strip() not in {"UNROLL", "KEEP_LOOP"}:
                kept.append(line)
            continue
        word, condition = directive[1], directive[2].strip()
        if word in {"if", "ifndef"}:
            left_in = word == "ifndef" or _holds(condition, bits)
            open_.append((left_in, left_in))
        elif word == "endif":
            open_.pop()
        else:
            _, before = open_.pop()
            left_in = not before and (word == "else" or _holds(condition, bits))
            open_.append((left_in, before or left_in))
    return kept


def _name(first: str) -> str | None:
    """Return the name that a line begins to define, if it begins a definition."""
    for pattern in (
        r"#define (\w+)",
        r"typedef [\w ]+?(\w+);",
        r"typedef struct (\w+) \{",
        r"static const real (\w+)\[",
        r"INLINE .*?(\w+)\(",
    ):
        match = re.match(pattern, first)
        if match:
            return match[1]
    return None


def _end(lines: list[str], start: int) -> int:
    """Return the index behind the last line of the definition that begins at `start`."""
    first = lines[start]
    i = start
    if first.startswith("#define"):
        while lines[i].endswith("\\"):
            i += 1
    elif first.startswith("INLINE") or first.endswith("{"):
        while not lines[i].startswith("}"):
            i += 1
    else:
        while not lines[i].endswith(";"):
            i += 1
    return i + 1


def _definitions(source: str, bits: int) -> Iterable[_Definition]:
    lines = _lines(source, bits)
    comment = i = 0
    while i < len(lines):
        name = _name(lines[i])
        if name is not None:
            end = _end(lines, i)
            text = "\n".join(lines[comment:end]).replace("CNN_BITS", str(bits))
            yield _Definition(name, _NUMBER.sub(lambda match: _number(match, bits), text))
            comment = i = end
        elif lines[i].startswith("/*"):
            comment = i
            while "*/" not in lines[i]:
                i += 1
            i += 1
        else:
            i += 1
            comment = i


def _identifiers(text: str) -> set[str]:
    return set(_IDENTIFIER.findall(_COMMENT.sub(" ", text)))


class Formulas:
    """The definitions of the kernels' sources, for float32 or float64.

    Parameters
    ----------
    bits : {32, 64}
        The type.
    """

    def __init__(self, bits: int) -> None:
        self._bits = bits
        self._found: dict[str, _Definition] = {}
        for name in _SOURCES:
            for definition in _definitions(installed.kernel_source(name), bits):
                self._found.setdefault(definition.name, definition)

    def of_activation(self, activation: str, alpha: float) -> str:
        """Return the statements that compute an activation of x, as activation.c has them."""
        forward = self._found["forward"].text
        constant = f"CNN_{activation.upper()}"
        case = re.search(
            rf"    case {constant}:.*\n((?:        .*\n)+?)(?=    (?:case|default)|    }})", forward
        )
        if case is None:
            raise ValueError(f"the formulas do not have {activation}")
        statements = re.sub(r"^    ", "", case[1], flags=re.MULTILINE)
        if re.search(r"\bzero\b", statements):
            statements = f"    const v_real zero = v_zero();\n{statements}"
        if re.search(r"\balpha\b", statements):
            number = literal(alpha, self._bits)
            statements = f"    const v_real alpha = v_set1({number});\n{statements}"
        return statements

    def needed_by(self, text: str) -> list[str]:
        """Return the definitions that a piece of C needs, in an order in which they compile."""
        ordered: list[str] = []
        seen: set[str] = set()

        def need(names: set[str]) -> None:
            for name in self._found:
                if name in names and name not in seen:
                    seen.add(name)
                    need(_identifiers(self._found[name].text))
                    ordered.append(self._found[name].text)

        need(_identifiers(text))
        return ordered

    def renamed(self, text: str, prefix: str) -> str:
        """Return C source in which all names of the formulas begin with a prefix."""

        def rename(match: re.Match[str]) -> str:
            return f"{prefix}_{match[0]}" if match[0] in self._found else match[0]

        parts = re.split(r"(/\*.*?\*/)", text, flags=re.DOTALL)
        return "".join(
            part if part.startswith("/*") else _IDENTIFIER.sub(rename, part) for part in parts
        )
