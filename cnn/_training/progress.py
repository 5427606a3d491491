"""The progress display of fit: a bar on terminals and in notebooks, otherwise log lines.

In a notebook the bar is a line of HTML that is replaced in place. It needs no widgets: these warn
if ipywidgets is missing, and a saved notebook would have an empty bar.
"""

from __future__ import annotations

import sys
import time
from importlib import import_module
from numbers import Integral
from typing import TYPE_CHECKING, Any, Protocol

from cnn._base import html
from cnn._base.numbers import rounded

if TYPE_CHECKING:
    from collections.abc import Mapping

# The bar fills the rest of 80 columns.
_FORMAT = "{desc}|{bar}| {remaining}{postfix}"
_ENDED = "{desc}|{bar}| {elapsed}{postfix}"
# A log has a line for each tenth of the epochs, and for an epoch that ends more than 30 s after the
# last line.
_LINES = 10
_LONG = 30.0
# A notebook gets no more than ten updates a second.
_UPDATE = 0.1


class Display(Protocol):
    """A display that fit updates."""

    def begin(self, epoch: int) -> None:
        """Show that an epoch begins."""

    def advance(self, rows: int, logs: Mapping[str, float]) -> None:
        """Show that rows are done, and the metrics of the epoch so far."""

    def finish(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Show the metrics of an epoch."""

    def close(self) -> None:
        """Close the display after fit has ended or was interrupted."""


def _in_notebook() -> bool:
    """Whether this runs in a notebook's kernel, whose outputs can be replaced in place."""
    # A notebook's kernel has imported IPython already.
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return "IPKernelApp" in getattr(shell, "config", ())


class Stream:
    """A stream for progress whose errors are ignored, so that training goes on.

    A program without a console has no stream. A stream may also be closed, a pipe without a reader,
    or any object. After the first failure, nothing more is written.

    Parameters
    ----------
    stream : file or None
        The stream; None for nothing at all.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def _try(self, name: str, *arguments: Any) -> Any:
        """Call a method of the stream; None if there is no stream or it fails."""
        if self._stream is None:
            return None
        try:
            return getattr(self._stream, name)(*arguments)
        except Exception:  # a stream of the user's may raise anything
            self._stream = None
            return None

    def write(self, text: str) -> int:
        """Write text, if that is possible."""
        self._try("write", text)
        return len(text)

    def flush(self) -> None:
        """Flush the stream, if it can be."""
        if hasattr(self._stream, "flush"):
            self._try("flush")

    def isatty(self) -> bool:
        """Whether the stream is a terminal."""
        return hasattr(self._stream, "isatty") and bool(self._try("isatty"))

    def fileno(self) -> int:
        """Return the file descriptor, by which tqdm finds the width of the terminal."""
        if self._stream is None:
            raise OSError("there is no stream")
        return int(self._stream.fileno())

    @property
    def encoding(self) -> str:
        """The encoding, by which tqdm chooses the characters of a bar."""
        return str(getattr(self._stream, "encoding", None) or "ascii")


def _stderr() -> Stream:
    return Stream(getattr(sys, "stderr", None))


def say(text: str) -> None:
    """Print a line on stdout, as `verbose` of estimators does."""
    print(text, file=Stream(getattr(sys, "stdout", None)))


def _has_bars() -> bool:
    """Whether the output, a terminal or a notebook, can show a moving bar."""
    return _in_notebook() or _stderr().isatty()


def wanted(where: str, progress: object, verbose: object = None) -> bool:
    """Whether `progress` or `verbose`, arguments of fit, asks for a display."""
    if verbose is not None:
        if progress != "auto":
            raise ValueError(
                f"{where}: progress is {progress!r} and verbose is {verbose!r}, should be one of "
                f"them"
            )
        if verbose != "auto" and (not isinstance(verbose, Integral) or verbose not in (0, 1, 2)):
            raise ValueError(f"{where}: verbose is {verbose!r}, should be 0, 1, 2 or 'auto'")
        progress = "auto" if verbose == "auto" else bool(verbose)
    if progress is True or progress is False:
        return progress
    if not isinstance(progress, str) or progress != "auto":
        raise ValueError(f"{where}: progress is {progress!r}, should be 'auto', True or False")
    return _has_bars()


def display(rows: int | None, first_epoch: int, last_epoch: int) -> Display:
    """Return a bar if the output can show one, otherwise a log; rows may be unknown."""
    if _in_notebook():
        return NotebookBar(rows, first_epoch, last_epoch)
    if _has_bars():
        return Bar(rows, first_epoch, last_epoch)
    return Log(first_epoch, last_epoch)


class _Metrics:
    """The metrics of the epoch so far, beside those of the last validation."""

    def __init__(self) -> None:
        self._validation: dict[str, float] = {}

    def of_epoch(self, logs: Mapping[str, float]) -> str:
        """Keep the validation's metrics of an epoch, and return all as text."""
        self._validation = {name: value for name, value in logs.items() if name.startswith("val_")}
        return self.so_far({name: logs[name] for name in ("loss", "accuracy") if name in logs})

    def so_far(self, training: Mapping[str, float]) -> str:
        """Return metrics, short enough for 80 columns."""
        words = []
        for name, value in training.items():
            validation = self._validation.get(f"val_{name}")
            beside = "" if validation is None else f" (val {validation:.3g})"
            words.append(f"{name} {value:.3g}{beside}")
        return ", ".join(words)


class Bar:
    """One bar for all epochs of a fit, with the current epoch and the metrics so far."""

    def __init__(self, rows: int | None, first_epoch: int, last_epoch: int) -> None:
        # tqdm is imported here, so that `import cnn` need not wait for it.
        from tqdm.std import tqdm  # noqa: PLC0415

        self._last_epoch = last_epoch
        self._metrics = _Metrics()
        self._bar: Any = tqdm(
            desc=f"epoch {first_epoch}/{last_epoch}",
            total=None if rows is None else rows * (last_epoch - first_epoch + 1),
            bar_format=_FORMAT,
            dynamic_ncols=True,
            file=_stderr(),
            leave=True,
        )

    def begin(self, epoch: int) -> None:
        """Show that an epoch begins."""
        self._bar.set_description_str(f"epoch {epoch}/{self._last_epoch}", refresh=False)

    def advance(self, rows: int, logs: Mapping[str, float]) -> None:
        """Show that rows are done, and the metrics of the epoch so far."""
        self._bar.set_postfix_str(self._metrics.so_far(logs), refresh=False)
        self._bar.update(rows)

    def finish(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Show the metrics of an epoch; those of the validation stay on through the next."""
        self._bar.set_postfix_str(self._metrics.of_epoch(logs), refresh=True)

    def close(self) -> None:
        """Replace the remaining time by the elapsed time, and end the line."""
        self._bar.bar_format = _ENDED
        self._bar.close()


class NotebookBar:
    """One line for all epochs of a fit in the output of a notebook's cell, replaced in place.

    When it is closed, the bar in it goes and the text stays, so that a saved notebook has the last
    metrics. If the notebook cannot show it, training goes on.
    """

    def __init__(self, rows: int | None, first_epoch: int, last_epoch: int) -> None:
        self._epoch, self._last_epoch = first_epoch, last_epoch
        # An unknown number of rows is 0, and the bar is then one without a share.
        self._done, self._total = 0, (rows or 0) * (last_epoch - first_epoch + 1)
        self._metrics = _Metrics()
        self._text = ""
        self._ended = False
        self._start = self._shown = time.monotonic()
        self._handle: Any = None
        try:
            self._handle = import_module("IPython.display").display(self, display_id=True)
        except Exception:
            self._handle = None

    def begin(self, epoch: int) -> None:
        """Show that an epoch begins."""
        self._epoch = epoch

    def advance(self, rows: int, logs: Mapping[str, float]) -> None:
        """Show that rows are done, and the metrics of the epoch so far."""
        self._done += rows
        self._show(self._metrics.so_far(logs))

    def finish(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Show the metrics of an epoch; those of the validation stay on through the next."""
        self._show(self._metrics.of_epoch(logs))

    def close(self) -> None:
        """Leave the text alone, with the elapsed time."""
        self._ended = True
        self._show(self._text)

    def _show(self, text: str) -> None:
        """Replace the line, if it is the last or the one before is not new any more."""
        self._text = text
        now = time.monotonic()
        if self._handle is None or not (self._ended or now - self._shown >= _UPDATE):
            return
        self._shown = now
        try:
            self._handle.update(self)
        except Exception:  # the connection to the notebook may have ended
            self._handle = None

    def _words(self) -> tuple[str, str]:
        """Return the epoch, and the time with the metrics."""
        from tqdm.std import tqdm  # noqa: PLC0415

        seconds = time.monotonic() - self._start
        is_open = self._ended or not self._total
        if not is_open:
            seconds *= self._total / self._done - 1 if self._done else 0.0
        remaining = "" if is_open else " left"
        clock = f"{tqdm.format_interval(seconds)}{remaining}" if self._done else ""
        words = ", ".join(word for word in (clock, self._text) if word)
        return f"epoch {self._epoch}/{self._last_epoch}", words

    def __repr__(self) -> str:
        return ": ".join(word for word in self._words() if word)

    def _repr_html_(self) -> str:
        epoch, words = (html.escaped(word) for word in self._words())
        if self._ended:
            return f"<div>{epoch}: {words}</div>"
        share = f'value="{self._done}" max="{self._total}" ' if self._total else ""
        bar = f'<progress {share}style="width:20em;vertical-align:middle;"></progress>'
        return f"<div>{epoch} {bar} {words}</div>"


class Log:
    """Plain lines for files and pipes: the first epoch, the last, and about ten between."""

    def __init__(self, first_epoch: int, last_epoch: int) -> None:
        self._first_epoch = first_epoch
        self._last_epoch = last_epoch
        self._begin = self._written = time.monotonic()
        self._unwritten = ""

    def begin(self, epoch: int) -> None:
        """Write nothing, since `finish` writes the lines."""

    def advance(self, rows: int, logs: Mapping[str, float]) -> None:
        """Write nothing."""

    def finish(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Write the metrics of an epoch, if it is one that gets a line."""
        now = time.monotonic()
        metrics = {name: value for name, value in logs.items() if name not in ("lr", "seconds")}
        self._unwritten = (
            f"epoch {epoch}/{self._last_epoch}: {text_of(metrics)}, after {now - self._begin:.1f} s"
        )
        done, count = epoch - self._first_epoch + 1, self._last_epoch - self._first_epoch + 1
        # Whether another tenth is done. With at most ten epochs, each has a line.
        tenth = done * _LINES // count > (done - 1) * _LINES // count
        if done == 1 or tenth or now - self._written > _LONG:
            self._write()

    def close(self) -> None:
        """Write the last epoch, if it has no line yet because fit ended early."""
        self._write()

    def _write(self) -> None:
        if self._unwritten:
            print(self._unwritten, file=_stderr(), flush=True)
        self._unwritten = ""
        self._written = time.monotonic()


def text_of(logs: Mapping[str, float]) -> str:
    """Return the metrics of an epoch in a line."""
    return ", ".join(f"{name} {rounded(value, 4)}" for name, value in logs.items())
