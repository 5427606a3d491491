"""Optional packages, which only some functions need and an extra of cnn installs."""

from __future__ import annotations

from importlib import import_module
from typing import Any

# Messages say this. To be changed when a package index has cnn: 'pip install "cnn[{}]"'.
_INSTALL = 'pip install ".[{}]" in the folder of cnn\'s sources'


def install(extra: str) -> str:
    """Return the command that installs an extra, and where to give it."""
    return _INSTALL.format(extra)


def require(where: str, module: str, extra: str | None = None, *, has: str | None = None) -> Any:
    """Import and return a module; the error says how to install it.

    Parameters
    ----------
    where : str
        The function that the user called.
    module : str
        The module, such as "matplotlib.pyplot".
    extra : str, optional
        The extra of cnn that has its package; None if no extra has it.
    has : str, optional
        A name in the module that too old a version of the package does not have.
    """
    package = module.partition(".")[0]
    cure = f"pip install {package}" if extra is None else install(extra)
    try:
        found = import_module(module)
    except ModuleNotFoundError as error:
        # If a dependency of the package is missing, its own error says what to install.
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise ImportError(
            f"{where}: {package} is not installed; {cure} installs it",
            name=package,
        ) from error
    if has is not None and not hasattr(found, has):
        raise ImportError(
            f"{where}: {package} is too old, it has no {has}; {cure} installs a newer one",
            name=package,
        )
    return found
