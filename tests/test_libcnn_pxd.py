"""`cnn.libcnn` declares all of cnn.h: each constant, enum, struct with its fields, and function."""

import re
from pathlib import Path
from typing import NamedTuple

import pytest

import cnn
from cnn import _core

SYMBOLS = (Path(__file__).parents[1] / "csrc" / "symbols.txt").read_text().split()


class Declarations(NamedTuple):
    constants: list[str]
    enums: dict[str, list[str]]
    structs: dict[str, list[str]]  # no fields: the struct is opaque
    functions: dict[str, list[str]]  # the type of the result, then those of the arguments


def type_of(declaration):
    """Return the type of `const float *x`, of `const uint32_t counter[4]`, or of `size_t n`."""
    declaration = re.sub(r"\[\w*\]$", "", re.sub(r"(\w+\[)", r"*\1", declaration.strip()))
    parts = re.fullmatch(r"(.*?[\s*])(\w+)", declaration)
    return re.sub(r"\s*(\*+)\s*", r" \1", parts[1]).strip()


def name_of(declaration):
    return re.search(r"(\w+)(\[\w*\])?$", declaration.strip())[1]


def signature(result, name, arguments):
    given = [] if arguments.strip() in {"", "void"} else arguments.split(",")
    return [type_of(f"{result} {name}"), *(type_of(argument) for argument in given)]


def of_header(text):
    """Return what the header declares; lists such as CNN_ACTIVATIONS are written out."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL).replace("\\\n", " ")
    lists = {
        name: [row.split(",")[0].strip() for row in re.findall(r"X\(([^)]*)\)", rows)]
        for name, rows in re.findall(r"^#define (CNN_\w+)\(X\)(.*)$", text, flags=re.MULTILINE)
    }
    number = r"\d[\d.e-]*|\(-\d+\)"
    constants = re.findall(rf'^#define (CNN_\w+) (?:"[^"]*"|{number})$', text, flags=re.MULTILINE)
    enums = {}
    for name, body in re.findall(r"typedef enum (\w+) \{(.*?)\} \1;", text, flags=re.DOTALL):
        listed = re.search(r"#define CNN_X\(.*\) (\w+)##constant = value,\s+(\w+)\(CNN_X\)", body)
        enums[name] = [f"{listed[1]}{row}" for row in lists[listed[2]]] if listed else []
        plain = re.sub(r"#define.*|#undef.*|\w+\(CNN_X\)", "", body)
        enums[name] += re.findall(r"\bCNN_\w+", plain)
    structs = {name: [] for name in re.findall(r"typedef struct (\w+) \1;", text)}
    for name, body in re.findall(r"typedef struct (\w+) \{(.*?)\} \1;", text, flags=re.DOTALL):
        fields = []
        for declaration in filter(None, map(str.strip, body.split(";"))):
            first, *others = declaration.split(",")
            fields.append(f"{type_of(first)} {name_of(first)}")
            fields += [f"{type_of(first)} {name_of(other)}" for other in others]
        structs[name] = fields
    functions = {
        name: signature(result, name, arguments)
        for result, name, arguments in re.findall(
            r"^CNN_API\s+([\w\s*]*?)(\w+)\(([^)]*)\);", text, flags=re.MULTILINE
        )
    }
    return Declarations(constants, enums, structs, functions)


def of_pxd(text):
    """Return what the .pxd file declares."""
    body = re.sub(r"#.*", "", text).split('cdef extern from "cnn/cnn.h" nogil:\n', 1)[1]
    enums, structs = {}, {}

    def take(match):
        kind, name, lines = match[1], match[2], [line.strip() for line in match[3].splitlines()]
        lines = [line for line in lines if line not in {"", "pass"}]
        if kind == "enum":
            enums[name] = lines
        else:
            structs[name] = [f"{type_of(line)} {name_of(line)}" for line in lines]
        return ""

    rest = re.sub(r"    ctypedef (enum|struct) (\w+):\n((?:        .*\n|\n)+)", take, body)
    functions = {
        name: signature(result, name, arguments)
        for result, name, arguments in re.findall(
            r"^    ([\w *]*?)(\w+)\(([^)]*)\)$", rest, flags=re.MULTILINE
        )
    }
    constants = re.findall(r"^    [\w ]+[ *](CNN_\w+)$", rest, flags=re.MULTILINE)
    return Declarations(constants, enums, structs, functions)


@pytest.fixture(scope="module")
def header():
    return of_header(Path(cnn.get_include(), "cnn", "cnn.h").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def pxd():
    text = Path(cnn.__file__).with_name("libcnn.pxd").read_text(encoding="utf-8")
    return of_pxd(text)


@pytest.mark.parametrize("kind", Declarations._fields)
def test_pxd_declares_all_of_the_header(header, pxd, kind):
    found, expected = getattr(pxd, kind), getattr(header, kind)
    if kind != "constants":
        assert set(found) == set(expected)
        for name in expected:
            assert found[name] == expected[name], name
    assert found == expected


def test_the_header_is_read_whole(header):
    """The reader above sees what other lists of the project name, and more than nothing."""
    for enum, names, prefix in (
        ("cnn_activation", _core.ACTIVATIONS, "CNN_"),
        ("cnn_loss_kind", _core.LOSSES, "CNN_"),
        ("cnn_optimizer_kind", _core.OPTIMIZERS, "CNN_"),
        ("cnn_initializer", _core.INITIALIZERS, "CNN_INIT_"),
    ):
        assert header.enums[enum][:-1] == [f"{prefix}{name.upper()}" for name in names]
    assert sorted(header.functions) == sorted(SYMBOLS)
    assert header.structs["cnn_network"] == []
    assert "double beta2" in header.structs["cnn_optimizer"]
    philox = header.functions["cnn_random_philox"]
    assert philox == ["void", "const uint32_t *", "const uint32_t *", "uint32_t *"]
