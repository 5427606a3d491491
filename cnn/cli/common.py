"""What several commands share: loading of models, checks of outputs, numbers in words."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnn import _core, models
from cnn._tables.source import STDIN
from cnn.sequential import Sequential
from cnn.tabular import row_model

if TYPE_CHECKING:
    from cnn.tabular import RowModel, TableModel

INTERRUPTED = 130
"""The exit code after Ctrl-C: as shells have it, 128 and the number of the signal."""


def loaded(path: str) -> Sequential | TableModel | Any:
    """Return the network, the TableModel, or the estimator of cnn.tabular of a model file."""
    try:
        return models.load(path)
    except _core.ModelFileError as error:
        raise _core.ModelFileError(
            f"{path}: {error}; should be a file that 'train' or net.save wrote"
        ) from error


def loaded_table(path: str) -> RowModel:
    """Return what predicts from the columns of a table, of a model file that has columns."""
    found = loaded(path)
    if isinstance(found, Sequential):
        raise ValueError(
            f"{path}: the file does not say how inputs are made of columns, since it is not from "
            f"'train'; in Python, cnn.load reads it and takes numbers"
        )
    return row_model(found, path)


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
