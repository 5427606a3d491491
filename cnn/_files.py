"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path


def replace(path: str | os.PathLike[str], content: str | bytes) -> None:
    """Write a file, text in UTF-8; where that fails, what was there is still there.

    A new file gets the permissions that `open` would give it, one that is replaced keeps its own.
    What is no regular file, such as a terminal or a pipe, is written to, and stays what it is.
    """
    data = content.encode() if isinstance(content, str) else content
    target = Path(os.path.realpath(path))
    try:
        status = Path(path).stat()
        if not stat.S_ISREG(status.st_mode):
            Path(path).write_bytes(data)
            return
        mode = stat.S_IMODE(status.st_mode)
    except FileNotFoundError:
        mask = os.umask(0)
        os.umask(mask)
        mode = 0o666 & ~mask
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    except OSError as error:
        # The caller knows nothing of a temporary file.
        error.filename = os.fspath(path)
        raise
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(mode)
        Path(name).replace(target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()
        raise
