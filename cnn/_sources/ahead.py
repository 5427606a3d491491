"""Reading ahead on a thread."""

from __future__ import annotations

import contextlib
import contextvars
import os
import threading
from collections import deque
from typing import TYPE_CHECKING

from cnn._sources.chunks import bytes_of_chunk

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from cnn._sources.chunks import Chunk

# At most so many chunks wait; together they have the size of one, unless there is one alone.
_WAITING = 64
# How often a wait looks whether the other side is still there.
_LOOK = 0.05
# How long the end of a call waits for the thread, which may be in code of the user's: at Ctrl-C,
# and otherwise. A thread that is not ready by then ends after the chunk that it reads.
_BRIEF, _LONG = 0.04, 5.0


class Ahead:
    """The chunks of an iterator, read by a thread of its own before they are needed.

    An exception of the iterator is raised by `__next__` in its turn. `close` ends the thread; it is
    also called by the end of the iterator.

    Parameters
    ----------
    chunks : generator of Chunk
        The chunks; the thread alone uses it.
    share : int
        As for `Source`.
    """

    def __init__(self, chunks: Generator[Chunk, None, None], share: int) -> None:
        self._chunks = chunks
        self._waiting: deque[Chunk] = deque()
        self._bytes = 0
        self._most_bytes = bytes_of_chunk(share)
        self._changed = threading.Condition()
        self._stop = False
        self._ended = False
        self._error: BaseException | None = None
        self._process = os.getpid()
        # Settings such as numpy.errstate are those of the caller.
        context = contextvars.copy_context()
        self._thread = threading.Thread(
            target=context.run, args=(self._run,), name="cnn reads ahead", daemon=True
        )
        self._thread.start()

    def _run(self) -> None:
        try:
            for chunk in self._chunks:
                with self._changed:
                    self._waiting.append(chunk)
                    self._bytes += chunk.nbytes
                    self._changed.notify_all()
                    # Not after the next chunk was read, which would be one chunk more in memory.
                    del chunk
                    while self._is_full() and not self._stop:
                        self._changed.wait()
                    if self._stop:
                        return
        except BaseException as error:  # raised again by __next__
            self._error = error
        finally:
            with contextlib.suppress(BaseException):
                self._chunks.close()
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _is_full(self) -> bool:
        waiting = len(self._waiting)
        return waiting >= _WAITING or (waiting > 0 and self._bytes >= self._most_bytes)

    def __iter__(self) -> Iterator[Chunk]:
        return self

    def __next__(self) -> Chunk:
        if os.getpid() != self._process:
            raise RuntimeError(
                "this process was forked while data were read ahead by a thread of the parent; "
                "begin a new call in the child"
            )
        with self._changed:
            # A wait without a timeout could not be interrupted on Windows.
            while not (self._waiting or self._ended):
                self._changed.wait(_LOOK)
            if self._waiting:
                chunk = self._waiting.popleft()
                self._bytes -= chunk.nbytes
                self._changed.notify_all()
                return chunk
        self.close()
        error, self._error = self._error, None
        if error is not None:
            raise error
        raise StopIteration

    def close(self, *, interrupted: bool = False) -> None:
        """End the thread; after Ctrl-C, without a long wait for what it is doing."""
        if os.getpid() != self._process:
            return  # the thread is one of the parent
        with self._changed:
            self._stop = True
            self._waiting.clear()
            self._changed.notify_all()
        self._thread.join(_BRIEF if interrupted else _LONG)
