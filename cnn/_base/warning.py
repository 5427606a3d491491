"""Warnings, at the line of the user's program that called cnn."""

from __future__ import annotations

import sys
import warnings

# Frames between the user's line and cnn's: `import cnn` runs in importlib, and estimators are
# called through scikit-learn's wrappers, pipelines and searches.
_PASSED = ("cnn", "importlib", "joblib", "sklearn")


def warn(message: str, category: type[Warning] = UserWarning, *, module: str | None = None) -> None:
    """Warn at the line that called cnn, however deep in cnn this is called.

    Parameters
    ----------
    message : str
        The text of the warning.
    category : type of Warning, default UserWarning
        Its category.
    module : str, optional
        The module that filters match; by default that of the user's line.
    """
    frame = sys._getframe(1)
    while frame.f_back is not None and _name(frame.f_globals).partition(".")[0] in _PASSED:
        frame = frame.f_back
    warnings.warn_explicit(
        message,
        category,
        frame.f_code.co_filename,
        frame.f_lineno,
        module or _name(frame.f_globals),
        frame.f_globals.setdefault("__warningregistry__", {}),
    )


def _name(module: dict[str, object]) -> str:
    return str(module.get("__name__") or "")
