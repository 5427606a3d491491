"""Packages that only some functions need, and that an extra of cnn installs."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def require(where: str, module: str, extra: str) -> Any:
    """Import a module, or say what installs it.

    Parameters
    ----------
    where : str
        The function that the user called.
    module : str
        The module, such as "matplotlib.pyplot".
    extra : str
        The extra of cnn that has its package.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        # A package that is there but lacks one of its own needs another cure.
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise ImportError(
            f'{where}: {package} is not installed; pip install "cnn[{extra}]" installs it',
            name=package,
        ) from error
