"""How libcnn runs on this machine: its threads, and the version of its numerics."""

from __future__ import annotations

from cnn import _core

__all__ = ["get_num_threads", "numerics_version", "set_num_threads"]


def get_num_threads() -> int:
    """Return the number of threads that a call may use.

    It is the last one given to `set_num_threads`, else the one in the environment variable
    CNN_NUM_THREADS, else OMP_NUM_THREADS, else the smaller of the CPUs that the process may run on
    and of the quota of its cgroup; 1 at least. Results do not depend on it.

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
        From 1 to 1024; None goes back to what the environment says.

    Raises
    ------
    TypeError
        Where n is neither an int nor None.
    ValueError
        Where n is out of range.

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

    The same data, seed and settings give the same bits wherever this number is the same.

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
