"""The progress bar of fit."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_FORMAT = "{desc} {percentage:3.0f}%|{bar:20}| {elapsed}<{remaining}{postfix}"


def _in_notebook() -> bool:
    """Whether a notebook's kernel runs this, where tqdm can show widgets."""
    # IPython need not be imported to know: it is there already where it runs the show.
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return type(shell).__name__ == "ZMQInteractiveShell"


def wanted(where: str, progress: object) -> bool:
    """Whether `progress`, the argument of fit, asks for a bar."""
    if progress is True or progress is False:
        return progress
    if not isinstance(progress, str) or progress != "auto":
        raise ValueError(f"{where}: progress is {progress!r}, should be 'auto', True or False")
    # A program without a console has no stderr.
    return _in_notebook() or (sys.stderr is not None and sys.stderr.isatty())


class Bar:
    """One bar for all epochs of a fit: where it is, and the metrics so far."""

    def __init__(self, rows: int, first_epoch: int, last_epoch: int) -> None:
        # tqdm is imported here, so that `import cnn` need not wait for it.
        if _in_notebook():
            from tqdm.auto import tqdm  # noqa: PLC0415
        else:
            from tqdm.std import tqdm  # noqa: PLC0415
        self._last_epoch = last_epoch
        self._finished = ""
        self._bar: Any = tqdm(
            total=rows * (last_epoch - first_epoch + 1),
            bar_format=_FORMAT,
            dynamic_ncols=True,
            leave=True,
        )
        self.begin(first_epoch)

    def begin(self, epoch: int) -> None:
        """Show that an epoch begins."""
        self._bar.set_description_str(f"epoch {epoch}/{self._last_epoch}", refresh=False)

    def advance(self, rows: int, logs: Mapping[str, float]) -> None:
        """Show that rows are done, and the metrics of the epoch so far."""
        self._bar.set_postfix_str(_text(logs) + self._finished, refresh=False)
        self._bar.update(rows)

    def finish(self, logs: Mapping[str, float]) -> None:
        """Show the metrics of an epoch; those of the validation stay on through the next."""
        validation = {name: value for name, value in logs.items() if name.startswith("val_")}
        self._finished = "".join(f", {_text({k: v})}" for k, v in validation.items())
        training = {name: logs[name] for name in ("loss", "accuracy") if name in logs}
        self._bar.set_postfix_str(_text(training) + self._finished, refresh=True)

    def close(self) -> None:
        """Leave the bar as it is and go to a new line."""
        self._bar.close()


def _text(logs: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in logs.items())
