"""What several commands share: loading of models, checks of outputs, numbers in words."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from cnn import _core, models
from cnn._tables.source import STDIN
from cnn.sequential import Sequential
from cnn.tabular import TableModel, plan_of

if TYPE_CHECKING:
    from cnn._tables.preprocessing import Preprocessing

INTERRUPTED = 130
"""The exit code after Ctrl-C: as shells have it, 128 and the number of the signal."""


def loaded(path: str) -> tuple[Sequential, TableModel | None]:
    """Return the network of a model file, and its TableModel or None."""
    try:
        found = models.load(path)
    except _core.ModelFileError as error:
        raise _core.ModelFileError(
            f"{path}: {error}; should be a file that 'train' or net.save wrote"
        ) from error
    if isinstance(found, TableModel):
        return found.net, found
    if not isinstance(found, Sequential):
        kind = type(found).__name__
        raise ValueError(
            f"{path}: the file has a {kind}, which the command line does not read; in Python, "
            f"cnn.load reads it"
        )
    return found, None


def loaded_table(path: str) -> tuple[Sequential, Preprocessing]:
    """Return the network and the preprocessing of a model file that has columns."""
    net, model = loaded(path)
    if model is None:
        raise ValueError(
            f"{path}: the file does not say how inputs are made of columns, since it is not from "
            f"'train'; in Python, cnn.load reads it and takes numbers"
        )
    return net, plan_of(model)


def counted(number: int, noun: str) -> str:
    """Return a number with a noun, in the plural if needed."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def percent(part: int, whole: int) -> str:
    """Return a share with one decimal, or with more if it would be rounded to none or to all."""
    digits = 1
    while 0 < part < whole and float(f"{part / whole:.{digits + 2}f}") in (0, 1):
        digits += 1
    return f"{part / whole:.{digits}%}"


def check_output(path: str, *inputs: str, device: bool = False) -> None:
    """Refuse a file that could not or should not be written, before time is spent on it.

    It must not be one of `inputs`. With `device` it need not be a regular file: it may be a
    terminal.
    """
    target = Path(path)
    if target.is_dir():
        raise IsADirectoryError(f"{path} is a folder, should be the file to write")
    folder = target.absolute().parent
    if not folder.is_dir():
        raise FileNotFoundError(f"the folder of {path} does not exist")
    if target.exists():
        for name in inputs:
            if name != STDIN and target.samefile(name):
                raise ValueError(f"{path} would replace {name}, should be another file")
        if not target.is_file():
            if device:
                return
            raise ValueError(f"{path} is not a regular file, should be the file to write")
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"the folder of {path} cannot be written to")
