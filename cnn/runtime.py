"""The number of libcnn's threads, the version of its numerics, and environment variables."""

from __future__ import annotations

import os

from cnn import _core
from cnn._base import warning

__all__ = ["get_num_threads", "numerics_version", "set_num_threads"]


def get_num_threads() -> int:
    """Return the number of threads that a call may use.

    It is the first of these that is set: the last argument of `set_num_threads`, the environment
    variable CNN_NUM_THREADS, the first number in OMP_NUM_THREADS. By default it is the number of
    CPUs that the process may run on, limited by the quota of its cgroup. A variable that is no
    whole number from 1 to 1024 counts as not set; for CNN_NUM_THREADS, there is a RuntimeWarning
    when cnn is imported. Results do not depend on it.

    Returns
    -------
    int
        The number of threads.

    Examples
    --------
    >>> import cnn
    >>> cnn.get_num_threads() >= 1
    True
    """
    return _core.get_num_threads()


def set_num_threads(n: int | None) -> None:
    """Set the number of threads that a call may use.

    Parameters
    ----------
    n : int or None
        From 1 to 1024; None restores the number from the environment.

    Raises
    ------
    TypeError
        If n is neither an int nor None.
    ValueError
        If n is out of range.

    Examples
    --------
    >>> import cnn
    >>> cnn.set_num_threads(1)
    >>> cnn.get_num_threads()
    1
    >>> cnn.set_num_threads(None)
    """
    _core.set_num_threads(n)


def numerics_version() -> int:
    """Return the version of the numerics contract, which defines the bits of all results.

    The same data, seed and settings give the same bits in all versions of cnn with the same number.

    Returns
    -------
    int
        The version.

    Examples
    --------
    >>> import cnn
    >>> cnn.numerics_version()
    1
    """
    return _core.numerics_version()


# ---- Environment variables ---------------------------------------------------------------------

# The names of all builds: one that this machine lacks is no mistake, and sets no limit here.
_ISAS = ("scalar", "avx2", "avx512", "neon")


def _is_count(text: str) -> bool:
    """Whether libcnn reads a text as a number of threads."""
    # int refuses texts of thousands of digits.
    return text.isascii() and text.isdigit() and len(text) < 1000 and 1 <= int(text) <= 1024


def variables() -> dict[str, tuple[str | None, str]]:
    """Return the environment variables that cnn reads.

    Returns
    -------
    dict of str to tuple
        For each name its value, None if it is not set or empty, and what is wrong with the value,
        "" if it is valid.
    """
    isa, ours, openmps = (
        os.environ.get(name) or None for name in ("CNN_ISA", "CNN_NUM_THREADS", "OMP_NUM_THREADS")
    )
    isa_is_known = isa is None or isa in _ISAS
    # OMP_NUM_THREADS may have a number for each level of nesting; cnn uses the first.
    is_list = openmps is None or _is_count(openmps.partition(",")[0])
    is_count = ours is None or _is_count(ours)
    data = os.environ.get("CNN_DATA") or None
    is_folder = data is None or os.path.isdir(data)
    return {
        "CNN_ISA": (isa, "" if isa_is_known else f"should be one of {', '.join(_ISAS)}"),
        "CNN_NUM_THREADS": (ours, "" if is_count else "should be a whole number from 1 to 1024"),
        "OMP_NUM_THREADS": (
            openmps,
            "" if is_list else "should be whole numbers from 1 to 1024 with commas between them",
        ),
        "CNN_DATA": (data, "" if is_folder else "should be a folder, with the files of MNIST"),
    }


def warn_of_variables() -> None:
    """Warn of variables of cnn's own whose values are not used.

    OMP_NUM_THREADS belongs to others too, and `cnn.datasets.load_mnist` tells of CNN_DATA.
    """
    for name, (value, wrong) in variables().items():
        if wrong and name in ("CNN_ISA", "CNN_NUM_THREADS"):
            warning.warn(f"{name} is {value!r}, {wrong}; it is not used", RuntimeWarning)
