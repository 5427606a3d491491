"""The bytes of a table: a file, a file that gzip compressed, or stdin, read once and in blocks.

It gives lines to the reader of the csv module, and blocks of bytes to a faster one; after either,
the other can go on.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import sys
import zlib
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeAlias

    # It is called with the bytes that were read, those of the file or None if they are not known,
    # and the rows that were read.
    Progress: TypeAlias = Callable[[int, int | None, int], None]

STDIN = "-"
"""The path that stands for stdin."""
_GZIP = b"\x1f\x8b"
_BOM = "\ufeff"
# How much is read at a time for lines.
_CHUNK = 1 << 18


class Source:
    """A stream of bytes that is read by lines or by blocks.

    Parameters
    ----------
    path : str
        What begins messages.
    stream : binary file
        What is read.
    raw : binary file
        The file itself, whose position is that of the progress; `stream` may decompress it.
    """

    def __init__(self, path: str, stream: IO[bytes], raw: IO[bytes]) -> None:
        self.path = path
        self._raw = raw
        self.position = 0
        """How many bytes lines and blocks had, decompressed."""
        self.lines = 0
        """How many lines they had."""
        self._stream = stream
        self._buffer = b""
        self._at = 0
        self._is_over = False
        self._size = _size_of(raw)

    def reached(self) -> tuple[int, int | None]:
        """Return how many bytes have been read, and the file's or None, for a bar of progress."""
        return (self.position if self._size is None else self._raw.tell()), self._size

    def __iter__(self) -> Iterator[str]:
        return iter(self.readline, "")

    def readline(self) -> str:
        """Return the next line with its end, which is LF, CR or both; empty after the last one."""
        line = self._next_line()
        self.position += len(line)
        self.lines += bool(line)
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{self.path}: byte 0x{line[error.start]:02x} in line {self.lines} is not UTF-8, "
                f"should be text saved as UTF-8"
            ) from error
        # Spreadsheets write a mark at the beginning.
        return text.removeprefix(_BOM) if self.lines == 1 else text

    def _next_line(self) -> bytes:
        searched = self._at
        while (end := self._buffer.find(b"\n", searched)) < 0:
            # A CR that is the last byte may be half of CR LF.
            if 0 <= (end := self._buffer.find(b"\r", self._at)) < len(self._buffer) - 1:
                break
            searched = len(self._buffer) - self._at
            if not self._fill(searched + _CHUNK):
                end = len(self._buffer) - 1
                break
        line = self._buffer[self._at : end + 1]
        if 0 <= (end := line.find(b"\r")) < len(line) - 1 and line[end + 1 :] != b"\n":
            line = line[: end + 1]
        self._at += len(line)
        return line

    def ahead(self, size: int) -> bytes:
        """Return the next bytes, at most `size` and fewer only at the end, which stay unread."""
        while len(self._buffer) - self._at < size and self._fill(size):
            pass
        if not self._at and len(self._buffer) <= size:
            return self._buffer
        return self._buffer[self._at : self._at + size]

    def skip(self, size: int, lines: int) -> None:
        """Count bytes of `ahead`, and their lines, as read."""
        self._at += size
        self.position += size
        self.lines += lines

    def _fill(self, size: int) -> bool:
        """Read until the buffer has `size` bytes ahead, and start it at the next one."""
        rest = self._buffer[self._at :]
        self._buffer, self._at = rest, 0
        if self._is_over:
            return False
        try:
            more = self._stream.read(max(1, size - len(rest)))
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(
                f"{self.path}: the file is not whole, or is no gzip file: {error}"
            ) from error
        self._is_over = not more
        self._buffer = rest + more
        return bool(more)


def name_of(path: str) -> str:
    """Return what begins messages on a file, or on stdin for ``-``."""
    return "stdin" if path == STDIN else path


@contextlib.contextmanager
def opened(path: str) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """Open a file, or stdin for ``-``; give the stream of decompressed bytes, and the file."""
    if path == STDIN:
        if sys.stdin is None:  # as Python has it if the program is started without one
            raise OSError("stdin is closed, so that no table can be read from it")
        yield _decompressed(sys.stdin.buffer)
        return
    with open(path, "rb") as file:
        yield _decompressed(file)


def _decompressed(file: IO[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    buffered = file if isinstance(file, io.BufferedReader) else io.BufferedReader(file)  # type: ignore[type-var]
    if buffered.peek(len(_GZIP)).startswith(_GZIP):
        return gzip.GzipFile(fileobj=buffered), buffered  # type: ignore[return-value]
    return buffered, buffered


def _size_of(file: IO[bytes]) -> int | None:
    """Return the number of bytes of a regular file, or None."""
    try:
        found = os.fstat(file.fileno()).st_size
    except OSError:  # of a stream in memory
        return None
    return found if found and file.seekable() else None
