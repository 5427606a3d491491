"""What is said if `import cnn` finds something other than the installed package."""

from __future__ import annotations

import os


def explained(error: ImportError) -> ImportError:
    """Return an error that says why the compiled part was not imported.

    Parameters
    ----------
    error : ImportError
        The error of ``from cnn._core import ...``.

    Returns
    -------
    ImportError
        For the folder of the sources, which has no compiled part, one that says what to do;
        otherwise the error itself.
    """
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if not _is_source(package):
        return error
    return ImportError(
        f"cnn: {package} holds cnn's sources, which have no compiled part. Python finds them "
        f"before an installed cnn, because their folder is the current one or is in PYTHONPATH. "
        f"Install cnn with 'pip install .', then start Python in another folder or as 'python -P'",
        name=error.name,
        path=error.path,
    )


def shadow(folder: str = "") -> str | None:
    """Return the path of a user's file or package that programs in a folder import as cnn.

    Parameters
    ----------
    folder : str, default ""
        The folder; the current one by default.

    Returns
    -------
    str or None
        The path, absolute; None if ``import cnn`` finds none but this package or its sources.
    """
    own = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    for path in (os.path.join("cnn", "__init__.py"), "cnn.py"):
        found = os.path.abspath(os.path.join(folder, path))
        if os.path.isfile(found):
            is_ours = os.path.dirname(found) == own or _is_source(os.path.dirname(found))
            return None if is_ours else found
    return None


def _is_source(package: str) -> bool:
    """Whether a folder is that of cnn's sources."""
    return os.path.isfile(os.path.join(package, "_core", "_core.pyx"))
