"""Sphinx: the pages of the names of Python, and the links between them.

Docstrings are read by people in editors first, so they have no roles: `cnn.Adam` in one backquote
is the name of something. Here such names become links, if they are those of pages or of members.
"""

import contextlib
import inspect
import re
import tomllib
from functools import cache
from pathlib import Path

import public_names
from numpydoc.xref import make_xref

# `name`, not part of a role, of ``code`` or of a link.
_NAME = re.compile(r"(?<![`:\w\\])`([A-Za-z_][\w.]*)`(?![`_])")

_ATTRIBUTES = re.compile(r"^Attributes\n-+\n.*?(?=^\w[\w ]*\n-+$|\Z)", re.M | re.S)


@cache
def _targets():
    """Return the names that have targets: those of pages, and of members of classes."""
    targets = {module.__name__: None for module in public_names.modules()}
    for name in public_names.names():
        thing = public_names.lookup(name)
        targets[name] = thing
        if inspect.isclass(thing):
            for method in public_names.methods(thing):
                targets[f"{name}.{method}"] = getattr(thing, method)
            for attribute in public_names.attributes(thing):
                targets[f"{name}.{attribute.name}"] = None
    return targets


@cache
def _outside():
    """Return the names of other projects that have addresses."""
    file = Path(__file__).parents[1] / "inventories" / "names.toml"
    projects = tomllib.loads(file.read_text(encoding="utf-8"))
    entries = [entry.split() for project in projects.values() for entry in project["names"]]
    return {name for role, name in entries if role.startswith("py:")}


def linked(text, name):
    """Return text from the docstring of a name with roles in place of names in backquotes."""
    own = _targets().get(name)
    parameters = set()
    if callable(own):
        with contextlib.suppress(ValueError):  # a function of C
            parameters = set(inspect.signature(own).parameters)
    outside = _outside()
    scopes = [name, *(name.rsplit(".", depth)[0] for depth in (1, 2)), "cnn"]

    def role(match):
        word = match[1]
        places = [word, *(f"{scope}.{word}" for scope in scopes)]
        for place in places:
            if place in outside and "." in place:
                return f":py:obj:`{place}`"
            if place in _targets() and place != name and word not in parameters:
                return f":py:obj:`{word} <{place}>`"
        return match[0]

    return _NAME.sub(role, text)


def _link(app, what, name, obj, options, lines):
    """Link the names in a docstring, which numpydoc has made reStructuredText."""
    if what == "module":
        name = f"{name}."  # names of the module come first
    lines[:] = linked("\n".join(lines), name).split("\n")


def _cut_attributes(app, what, name, obj, options, lines):
    """Leave the section Attributes out: the pages of classes have directives for them."""
    if what in ("class", "exception"):
        lines[:] = _ATTRIBUTES.sub("", "\n".join(lines)).split("\n")


def _members_of(app):
    """Return the function by which the template of a class gets the members of it."""

    def of(name):
        cls = public_names.lookup(name)
        base = public_names.documented_base(cls)
        return {
            "base": public_names.classes().get(base),
            "methods": public_names.methods(cls),
            "directives": [_method(name, cls, m) for m in public_names.methods(cls)],
            "attributes": [_attribute(app, name, cls, a) for a in public_names.attributes(cls)],
        }

    return of


def _attribute(app, name, cls, attribute):
    """Return the directive of an attribute: a property's own docstring, or the given text."""
    target = f"{name.rsplit('.')[-1]}.{attribute.name}"
    told = {entry.name for entry in public_names.section(cls.__doc__, "Attributes")}
    if public_names.is_property(cls, attribute.name) and attribute.name not in told:
        return f".. autoproperty:: {target}"
    text = linked(attribute.text, f"{name}.{attribute.name}")
    if attribute.type:
        config = app.config
        type_ = make_xref(
            attribute.type, config.numpydoc_xref_aliases_complete, config.numpydoc_xref_ignore
        )
        text = f"{type_}: {text}"
    body = "\n".join(f"   {line}".rstrip() for line in text.split("\n"))
    return f".. py:attribute:: {target}\n\n{body}\n"


def _method(name, cls, method):
    """Return the directive of a method; those of scikit-learn's classes are told in a line."""
    target = f"{name.rsplit('.')[-1]}.{method}"
    function = getattr(cls, method)
    if function.__module__.startswith("cnn."):
        return f".. automethod:: {target}"
    _, *others = inspect.signature(function).parameters.values()
    signature = inspect.Signature([p.replace(annotation=p.empty) for p in others])
    summary = re.sub(r":\w+:`([^`<]*?)(?: <.*?>)?`", r"\1", _summary(function))
    theirs = "MLPClassifier" if name.endswith("Classifier") else "MLPRegressor"
    text = f"{summary} As in :py:class:`sklearn.neural_network.{theirs}`."
    return f".. py:method:: {target}{signature}\n\n   {text}\n"


def _summary(function):
    """Return the first paragraph of a docstring."""
    return " ".join(inspect.getdoc(function).partition("\n\n")[0].split())


def _configure(app, config):
    """Give the templates the members of classes, and numpydoc the classes that types name."""
    config.autosummary_context = {"members_of": _members_of(app)}
    for name, thing in _targets().items():
        if inspect.isclass(thing):
            last = name.rpartition(".")[2]
            config.numpydoc_xref_aliases |= {
                name: f":py:obj:`{name}`",
                last: f":py:obj:`{last} <{name}>`",
            }


def setup(app):
    """Connect the functions of this file."""
    app.add_css_file("api.css")
    app.connect("config-inited", _configure, priority=400)  # before numpydoc
    app.connect("autodoc-process-docstring", _cut_attributes, priority=400)  # before numpydoc
    app.connect("autodoc-process-docstring", _link, priority=600)
    return {"parallel_read_safe": True, "version": "1"}
