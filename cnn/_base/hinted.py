"""Calls whose TypeError says what to write instead of another library's argument."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_P = ParamSpec("_P")
_R = TypeVar("_R")
_C = TypeVar("_C")

_UNEXPECTED = re.compile(r"got an unexpected keyword argument '(\w+)'")


def hinted(call: str) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Return a decorator that adds to the TypeError of a bad call the hint of `cnn._base.hints`.

    `call` is the name of the function in the table of hints. Signatures stay as they are.
    """

    def decorated(function: Callable[_P, _R]) -> Callable[_P, _R]:
        @functools.wraps(function)
        def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            try:
                return function(*args, **kwargs)
            except TypeError as error:
                # Errors of the call itself, before the function began.
                if error.__traceback__ is not None and error.__traceback__.tb_next is None:
                    _explain(call, function, error)
                raise

        return wrapped

    return decorated


def hinted_class(cls: type[_C]) -> type[_C]:
    """Make a class, such as a dataclass, give hints if it is called with a bad argument."""
    setattr(cls, "__init__", hinted(cls.__name__)(cls.__init__))  # noqa: B010  # for mypy
    return cls


def _explain(call: str, function: Callable[..., object], error: TypeError) -> None:
    """Add a hint to the message of an error, if there is one."""
    import inspect  # noqa: PLC0415  # for errors alone

    from cnn._base import hints, texts  # noqa: PLC0415

    message = str(error)
    unexpected = _UNEXPECTED.search(message)
    if unexpected:
        name = unexpected[1]
        hint = hints.KEYWORDS.get(call, {}).get(name)
        if hint is None and "Did you mean" not in message:  # as Python 3.13 and later ask
            hint = texts.did_you_mean(name, inspect.signature(function).parameters)
    else:
        hint = hints.CALLS.get(call)
    # A class that inherits its __init__ is better known by its own name.
    message = re.sub(r"^\w+\.__init__\(\)", f"{call}()", message)
    error.args = (f"{message}; {hint.removeprefix('; ')}" if hint else message,)
