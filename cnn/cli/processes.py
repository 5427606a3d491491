"""The processes that MPI's ``mpiexec`` has started, and how all of them end."""

from __future__ import annotations

import os
import sys
import time
import traceback
from typing import TYPE_CHECKING, Any

from cnn._base import extras

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

CHOICES = ("auto", "mpi", "none")
"""Whether processes train together."""
# The variables by which starters of MPI tell each process how many there are, and its number:
# Hydra, of MPICH and Intel MPI, and Slurm's PMI2; Open MPI; and MVAPICH.
_SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
_RANKS = ("PMI_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK")
# How long a process that failed waits for the others to end, before it ends them.
_PATIENCE = 5.0
_BETWEEN = 0.01


def started() -> int:
    """Return how many processes mpiexec has started together, 1 without it."""
    return max(1, _number(_SIZES) or 1)


def is_first() -> bool:
    """Whether this is the first process that mpiexec has started, or was started without it."""
    return not _number(_RANKS)


def _number(names: tuple[str, ...]) -> int | None:
    """Return the value of the first variable that is a number, or None."""
    for name in names:
        value = os.environ.get(name, "")
        if value.isascii() and value.isdigit():
            return int(value)
    return None


def is_alone(arguments: Namespace) -> bool:
    """Whether this process may train without shards; False in all but the first of several.

    Raises
    ------
    ValueError
        In the first of several, each of which would do the whole work.
    """
    count = started()
    if arguments.comm == "none" or (arguments.comm == "auto" and count == 1):
        return True
    if not is_first():
        return False
    raise ValueError(
        f"train: {count} process{'es' * (count > 1)} should train together by MPI, for which "
        f"--shards N should be given: otherwise each would train the same network"
    )


def world(choice: str) -> Any:
    """Return MPI's communicator of all processes, or None for a process that trains alone.

    Parameters
    ----------
    choice : {"auto", "mpi", "none"}
        "auto" is MPI if mpiexec has started several processes.

    Raises
    ------
    ImportError
        If mpi4py is not installed.
    ValueError
        If it belongs to another MPI than the mpiexec that was used.
    """
    count = started()
    if choice == "none" or (choice == "auto" and count == 1):
        return None
    comm = extras.require("train", "mpi4py.MPI", "mpi").COMM_WORLD
    if count > 1 and comm.size != count:
        raise ValueError(
            f"train: {count} processes were started by mpiexec, but mpi4py knows of {comm.size}; "
            f"both should be of one MPI, such as after pip install mpi4py mpich"
        )
    return comm


def run(comm: Any, work: Callable[[], int]) -> int:
    """Do some work in each process, and return the exit code.

    An error that all processes have is raised in the first one alone, which prints it. A process
    that has an error while others go on ends them all.
    """
    if comm is None:
        return work()
    try:
        return work()
    except (OSError, ValueError, ArithmeticError, ImportError, MemoryError, KeyboardInterrupt):
        _leave(comm, sys.exc_info()[1])
        if comm.rank == 0:
            raise
        return 1
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        comm.Abort(1)
        raise


def _leave(comm: Any, error: BaseException | None) -> None:
    """Wait until all processes have an error, or end them all after some seconds."""
    request = comm.Ibarrier()
    until = time.monotonic() + _PATIENCE
    while not request.Test():
        if time.monotonic() > until:
            print(f"cnn: error: process {comm.rank}: {error}", file=sys.stderr, flush=True)
            comm.Abort(1)
        time.sleep(_BETWEEN)
