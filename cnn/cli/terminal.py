"""Output of the commands: untrusted text, on streams that may be closed or broken.

Names of columns and classes come from untrusted files. A terminal obeys control characters, so they
are replaced.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import time
from typing import TYPE_CHECKING, TextIO

from cnn._base import texts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


# Between two updates of a line of progress.
_SECONDS_BETWEEN = 0.1


def say(*lines: str) -> None:
    """Print lines, each of them without control characters."""
    if not lines:
        return
    write("\n".join(map(texts.shown, lines)) + "\n")


def write_file(text: str) -> None:
    """Write the text of a file to stdout in UTF-8; on a terminal, without control characters."""
    if sys.stdout.isatty():
        say(*text.removesuffix("\n").split("\n"))
        return
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    write(text)


def write(text: str) -> None:
    """Write a text to stdout; an error names stdout."""
    try:
        sys.stdout.write(text)
    except OSError as error:
        error.filename = "stdout"
        raise


def complain(*lines: str) -> None:
    """Print lines on stderr, unless it is closed."""
    if not lines:
        return
    print("\n".join(map(texts.shown, lines)), file=sys.stderr, flush=True)


@contextlib.contextmanager
def reading(*, show: bool) -> Iterator[Callable[[int, int | None, int], None] | None]:
    """Give a function that shows how far a file is read: its bytes, the file's, and the rows.

    It is None without `show` or if stderr is no terminal. The line is removed at the end.
    """
    if not show or not sys.stderr.isatty():
        yield None
        return
    last = -1.0
    width = 0

    def tell(done: int, total: int | None, rows: int) -> None:
        nonlocal last, width
        now = time.monotonic()
        if now - last < _SECONDS_BETWEEN:
            return
        last = now
        share = f"{min(1.0, done / total):.0%}, " if total else ""
        text = f"{share}{rows:,} rows"
        print(f"\r{text:{width}}", end="", file=sys.stderr, flush=True)
        width = len(text)

    try:
        yield tell
    finally:
        if width:
            print(f"\r{'':{width}}\r", end="", file=sys.stderr, flush=True)


class Nowhere(io.TextIOBase):
    """A stream that discards all text, in place of a closed one."""

    used: bool = False
    """Whether something was written to it."""

    def writable(self) -> bool:
        """Return True, since it takes all."""
        return True

    def write(self, text: str) -> int:
        """Discard a text."""
        self.used = True
        return len(text)


class _Forgiving(io.TextIOBase):
    """A stderr whose errors are ignored, so that no result is lost with a message."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    @property
    def encoding(self) -> str:  # type: ignore[override]  # it is an attribute there
        """The encoding of the stream."""
        return self._stream.encoding

    def fileno(self) -> int:
        """Return the descriptor of the stream."""
        return self._stream.fileno()

    def isatty(self) -> bool:
        """Whether the stream is a terminal."""
        return self._stream.isatty()

    def writable(self) -> bool:
        """Return True, since it takes all."""
        return True

    def write(self, text: str) -> int:
        """Write a text, or discard it if that fails."""
        with self._forgiven():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Write the buffered text, or discard it if that fails."""
        with self._forgiven():
            self._stream.flush()

    @contextlib.contextmanager
    def _forgiven(self) -> Iterator[None]:
        try:
            yield
        except OSError:
            _abandon(self._stream)


@contextlib.contextmanager
def streams() -> Iterator[None]:
    """Replace stdout and stderr by a `Nowhere` if they are closed; ignore errors of stderr.

    If a program is started with a closed stream, Python sets it to None.
    """
    with contextlib.ExitStack() as stack:
        if _is_closed(sys.stdout):
            stack.enter_context(contextlib.redirect_stdout(Nowhere()))
        stderr = Nowhere() if _is_closed(sys.stderr) else _Forgiving(sys.stderr)
        stack.enter_context(contextlib.redirect_stderr(stderr))
        if isinstance(sys.stdout, io.TextIOWrapper):
            # A name that the terminal cannot encode must not make the command fail.
            sys.stdout.reconfigure(errors="backslashreplace")
        yield


def _is_closed(stream: TextIO | None) -> bool:
    return stream is None or stream.closed


def flush() -> OSError | None:
    """Flush stdout and stderr, and return the error of stdout or None."""
    sys.stderr.flush()
    try:
        sys.stdout.flush()
    except OSError as error:
        _abandon(sys.stdout)
        error.filename = "stdout"
        return error
    return None


def _abandon(stream: TextIO) -> None:
    """Redirect a broken stream to the null device, so that Python can flush it at exit."""
    with contextlib.suppress(io.UnsupportedOperation):  # of a stream that is no file
        file = stream.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, file)
        os.close(nowhere)
