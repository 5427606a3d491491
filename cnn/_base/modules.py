"""Names of modules that are divided into files."""

from __future__ import annotations

from types import FunctionType
from typing import Any


def set_module(module: str, *things: Any) -> None:
    """Make functions, and classes with their methods, name `module` as theirs.

    Pickles and documentation name the public module, and doctest looks for examples there, however
    the module is divided into files.
    """
    for thing in things:
        thing.__module__ = module
        if isinstance(thing, type):
            for member in vars(thing).values():
                function = getattr(member, "__func__", member)  # of a classmethod or staticmethod
                if isinstance(function, FunctionType):
                    function.__module__ = module
