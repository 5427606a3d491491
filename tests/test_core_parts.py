"""The parts of cnn/_core: each uses only what the parts above it define, and says so at its top."""

import re
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "cnn" / "_core"

# What a part defines for others, not indented. Functions of Python are used by calls only: their
# names are also those of arguments.
DEFINITION = re.compile(
    r"""^(?:cdef\ (?:inline\ )?(?:class|struct)\ (\w+)
        |class\ (\w+)
        |def\ (\w+\()
        |ctypedef\ fused\ (\w+)
        |cdef\ (?!extern)[^=(\n]*?(\w+)(?=\s*[=(\n])
        |([A-Z]\w*)\ =)""",
    re.MULTILINE | re.VERBOSE,
)


def parts():
    """Return the text of each part by its name, in the order in which they are included."""
    main = (FOLDER / "_core.pyx").read_text(encoding="utf-8")
    names = re.findall(r'^include "(.*)"$', main, flags=re.MULTILINE)
    assert set(names) == {path.name for path in FOLDER.glob("*.pxi")}
    return {name: (FOLDER / name).read_text(encoding="utf-8") for name in names}


def defined(text):
    return {next(filter(None, match.groups())) for match in DEFINITION.finditer(text)}


def used(text):
    """Return the names in a text, and `name(` for calls, but none in strings and comments."""
    text = re.sub(r'\bf"([^"\n]*)"', lambda f: " ".join(re.findall(r"{(.*?)}", f[1])), text)
    text = re.sub(r'"""(?:.|\n)*?"""|"[^"\n]*"', "", re.sub(r"#.*", "", text))
    text = re.sub(r"^ *def \w+", "", text, flags=re.MULTILINE)
    names = re.findall(r"(?<![\w.])([A-Za-z_]\w*)(\(?)", text)
    return {name + call for name, call in names} | {name for name, _ in names}


def needs(text):
    """Return the names that a part's first comment says it needs, by part."""
    comment = " ".join(re.match(r"(?:#.*\n)+", text)[0].replace("#", " ").split())
    listed = re.search(r"Needs (.*?)\.(?= [A-Z]|$)", comment)[1]
    if listed == "no other part":
        return {}
    groups = (group.split(": ") for group in listed.split("; "))
    return {part: set(names.split(", ")) for part, names in groups}


def test_each_part_needs_what_it_says():
    above = {}
    for name, text in parts().items():
        found = {part: defined(other) & used(text) for part, other in above.items()}
        found = {part: {name.rstrip("(") for name in found[part]} for part in found if found[part]}
        assert needs(text) == found, name
        above[name] = text


def test_no_part_uses_what_is_below():
    texts = parts()
    names = list(texts)
    for i, name in enumerate(names):
        own = defined(texts[name])
        for below in names[i + 1 :]:
            assert not used(texts[name]) & (defined(texts[below]) - own), (name, below)


def test_definitions_are_found():
    """The reader above sees each kind of definition."""
    texts = parts()
    assert {"ModelFileError", "ACTIVATIONS", "LOSS_NUMBERS", "check"} <= defined(texts["base.pxi"])
    assert {"pins", "is_plain", "real", "pinned("} <= defined(texts["arrays.pxi"])
    assert {"process", "network_access", "enter_read"} <= defined(texts["access.pxi"])
    assert {"rows_call", "run_rows"} <= defined(texts["functions.pxi"])
