"""The public names of Python, and the attributes and methods of classes: what the site documents.

A test compares them with the pages in docs/api, whose pages of classes are made from here too.
"""

import ast
import importlib
import inspect
import itertools
import re
import sys
import textwrap
from functools import cache
from pathlib import Path
from typing import NamedTuple

import cnn

PAGES = Path(__file__).parents[1] / "docs" / "api"

# Public modules within others, which the package's list does not have.
PARTS = ("distributed.dask",)
# The method of a loss that returns a handle of C.
HANDLES = {"compiled"}
# Methods with these names are documented if they have docstrings.
SPECIAL = {"__call__", "__getitem__"}
# What their classes have of their own is Python's.
BUILTINS = {object, tuple, Exception, ValueError, BaseException}


class Attribute(NamedTuple):
    """An attribute of a class: its type in words, and what it is."""

    name: str
    type: str
    text: str


# ---- Names ---------------------------------------------------------------------------------------


def modules():
    """Return the public modules of which each name is documented."""
    return [importlib.import_module(f"cnn.{name}") for name in (*cnn._MODULES, *PARTS)]


def names():
    """Return the names that users write: those of cnn itself, and others by their modules."""
    found = {f"cnn.{name}" for name in cnn.__all__ if not inspect.ismodule(getattr(cnn, name))}
    for module in modules():
        for name in module.__all__:
            if getattr(cnn, name, None) is not getattr(module, name):
                found.add(f"{module.__name__}.{name}")
    return found


def listed():
    """Return the names that the pages have in tables of generated pages, or tell themselves."""
    found = []
    for page in sorted(PAGES.glob("*.md")):
        module, inside = "", False
        for line in page.read_text(encoding="utf-8").splitlines():
            if match := re.fullmatch(r"\.\. currentmodule:: (\S+)", line):
                module = match[1]
            elif match := re.fullmatch(r"\.\. py:data:: (\S+)", line):
                found.append(f"{module}.{match[1]}")
            elif line == "   :toctree: generated":
                inside = True
            elif inside and (match := re.fullmatch(r"   (\w[\w.]*)", line)):
                found.append(f"{module}.{match[1]}")
            elif line and not line.startswith(" "):
                inside = False
    return found


def lookup(name):
    """Return the object of a name."""
    first, *rest = name.split(".")
    thing = importlib.import_module(first)
    for part in rest:
        thing = getattr(thing, part)
    return thing


# ---- Members of classes --------------------------------------------------------------------------


def documented_base(cls):
    """Return the first base that has a page of its own, or None."""
    return next((base for base in cls.__mro__[1:] if base in classes()), None)


@cache
def classes():
    """Return the public classes, each with its name."""
    return {lookup(name): name for name in sorted(names()) if inspect.isclass(lookup(name))}


def attributes(cls):
    """Return the attributes of a class that neither its base nor its parameters tell.

    The text of the section Attributes is taken first, then that of a property, then the text below
    an assignment in the class.
    """
    told = {entry.name: entry for entry in section(cls.__doc__, "Attributes")}
    parameters = {entry.name for entry in section(cls.__doc__, "Parameters")}
    for owner in _owners(cls):
        below = _texts_below(owner)
        for name, value in vars(owner).items():
            if name.startswith("_") or name in told or inspect.isroutine(value):
                continue
            if isinstance(value, property):
                if value.__doc__:
                    told[name] = Attribute(name, "", inspect.cleandoc(value.__doc__))
            elif name in below:
                told[name] = Attribute(name, "", below[name])
        for name, text in below.items():
            told.setdefault(name, Attribute(name, "", text))
    return [told[name] for name in told if is_property(cls, name) or name not in parameters]


def is_property(cls, name):
    """Whether an attribute is a property with a docstring."""
    value = inspect.getattr_static(cls, name, None)
    return isinstance(value, property) and bool(value.__doc__)


def methods(cls):
    """Return the names of the methods of a class that its base does not have, special ones last."""
    base, found = documented_base(cls), []
    for owner in _owners(cls):
        for name, value in vars(owner).items():
            public = not name.startswith("_") and name not in HANDLES
            # A method may be made by a descriptor, as some of scikit-learn are.
            method = not isinstance(value, type) and inspect.isroutine(getattr(cls, name, None))
            told = name in found or hasattr(base, name)
            if (public or name in SPECIAL) and method and value.__doc__ and not told:
                found.append(name)
    return sorted(found, key=SPECIAL.__contains__)


def _owners(cls):
    """Return the class and those of its bases of which it tells the members."""
    base = documented_base(cls)
    end = cls.__mro__.index(base) if base else len(cls.__mro__)
    return [owner for owner in cls.__mro__[:end] if owner not in BUILTINS]


def section(docstring, title):
    """Return the entries of a section of a docstring; `a, b : type` makes two."""
    text = inspect.cleandoc(docstring or "")
    match = re.search(rf"^{title}\n-+\n(.*?)(?=^\w[\w ]*\n-+$|\Z)", text, re.M | re.S)
    entry = re.compile(r"^(\S.*)\n((?:(?: .*)?(?:\n|\Z))*)", re.M)
    entries = []
    for head, body in entry.findall(match[1] if match else ""):
        names, _, type_ = head.partition(" : ")
        text = textwrap.dedent(body).strip()
        entries += [Attribute(name.strip(), type_, text) for name in names.split(",")]
    return entries


@cache
def _texts_below(cls):
    """Return the texts that stand below assignments in a class."""
    texts = {}
    for statement, after in itertools.pairwise(_body(cls)):
        if isinstance(statement, ast.AnnAssign) and isinstance(after, ast.Expr):
            name = statement.target.id
            if not name.startswith("_"):
                texts[name] = inspect.cleandoc(after.value.value)
    return texts


def _body(cls):
    """Return the statements of a class, which may be in any file of the package that it names."""
    file = getattr(sys.modules[cls.__module__], "__file__", None)
    if file is None or not file.endswith(".py"):
        return []
    path = Path(file)
    for file in sorted(path.parent.glob("*.py")) if path.name == "__init__.py" else [path]:
        for statement in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(statement, ast.ClassDef) and statement.name == cls.__name__:
                return statement.body
    return []
