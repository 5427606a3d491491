"""Files that are written whole or not at all, and errors that name them."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from typing import TYPE_CHECKING

try:
    import fcntl
except ImportError:  # Windows, on which an open file cannot be deleted
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def named(path: str | os.PathLike[str]) -> Iterator[None]:
    """Make errors of the system name the file that the user gave, not a temporary file."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename == os.fspath(path):
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error


def replace(path: str | os.PathLike[str], content: str | bytes) -> None:
    """Write a file, text in UTF-8; if that fails, the old file stays.

    A new file gets the permissions that `open` would give it, one that is replaced keeps its own.
    A path that is no regular file, such as a terminal or a pipe, is opened and written to.
    Temporary files that killed processes have left of the same target are removed.
    """
    data = content.encode() if isinstance(content, str) else content
    with named(path):
        target = os.path.realpath(os.fsdecode(path))
        try:
            status = os.stat(path)
        except FileNotFoundError:
            status = None
        if status is not None and not stat.S_ISREG(status.st_mode):
            with open(path, "wb") as file:
                file.write(data)
            return
        if status is not None and not os.access(target, os.W_OK):
            # A rename would replace a file that its owner has write-protected. If there is another
            # reason, such as a read-only file system, opening the file raises the error for it.
            os.close(os.open(target, os.O_WRONLY))
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), target)
        mode = None if status is None else stat.S_IMODE(status.st_mode)
        _remove_stale(target)
        for _ in range(10):
            if _replace_with(target, mode, data):
                return
        raise OSError(errno.EAGAIN, "the temporary file was removed again and again", target)


def _temporary_prefix(target: str) -> str:
    """Return the prefix of temporary files' names, which csrc/base/platform.c documents."""
    value = 0xCBF29CE484222325
    for byte in os.fsencode(os.path.basename(target)):
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return f".cnn-{value:016x}-"


def _lock(handle: int) -> None:
    """Lock a temporary file; OSError if another process holds the lock or locks do not exist."""
    if fcntl is not None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _remove_stale(target: str) -> None:
    folder = os.path.dirname(target)
    name_of_one = re.compile(re.escape(_temporary_prefix(target)) + r"[0-9a-f]{16}\.tmp")
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            if name_of_one.fullmatch(name):
                with contextlib.suppress(OSError):
                    _remove_if_unlocked(os.path.join(folder, name))


def _remove_if_unlocked(path: str) -> None:
    if fcntl is None:
        os.unlink(path)
        return
    handle = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if stat.S_ISREG(os.fstat(handle).st_mode):
            _lock(handle)
            os.unlink(path)
    finally:
        os.close(handle)


def _replace_with(target: str, mode: int | None, data: bytes) -> bool:
    """Write a new file and move it over the target; return False if it vanished before."""
    folder = os.path.dirname(target)
    name = os.path.join(folder, f"{_temporary_prefix(target)}{os.urandom(8).hex()}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    handle = os.open(name, flags, 0o666 if mode is None else mode)
    lock = -1
    try:
        try:
            # If a file system has no locks, files are written without. The second handle keeps the
            # lock after the file is closed, until the rename.
            with contextlib.suppress(OSError):
                _lock(handle)
            with contextlib.suppress(OSError):
                lock = -1 if fcntl is None else os.dup(handle)
            with open(handle, "wb", closefd=False) as file:
                file.write(data)
            if mode is not None and stat.S_IMODE(os.stat(name).st_mode) != mode:
                os.chmod(name, mode)
            _sync(handle)
        finally:
            # Network file systems may report a failed write only here.
            os.close(handle)
        try:
            os.replace(name, target)
        except FileNotFoundError:
            if os.path.exists(folder):
                return False
            raise
        _sync_folder(folder)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
    finally:
        if lock >= 0:
            with contextlib.suppress(OSError):
                os.close(lock)
    return True


def _sync(handle: int) -> None:
    """Sync a file, unless its file system cannot."""
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
            raise


def _sync_folder(folder: str) -> None:
    """Sync the folder so that a rename is durable; failure is ignored, as the file is in place."""
    if fcntl is None:
        return
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
