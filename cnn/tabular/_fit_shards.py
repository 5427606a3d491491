"""Training on the shards of a table, on one process or several, with the same bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cnn import distributed, optimizers
from cnn._tables import shards
from cnn._tables.shards import FilesProgress
from cnn.callbacks import EarlyStopping
from cnn.tabular import _shard_scores
from cnn.tabular._epochs import Floor, Recorder
from cnn.tabular._fit import Fitted, Settings, Start, class_weights, net_for
from cnn.tabular._peers import Peers
from cnn.tabular._shards import READINGS, Shards, outline

if TYPE_CHECKING:
    from collections.abc import Callable

    from cnn._base.choices import Progress as Shown
    from cnn._tables.source import Progress
    from cnn.tabular._shards import Outline, Reading


@dataclass(frozen=True)
class Run:
    """How the training of shards is run; nothing of it changes the result."""

    comm: Any = None
    """A communicator of `cnn.distributed`, or None for this process alone."""
    checkpoint: str | None = None
    every: int | None = None
    resume: bool = True
    """As for `cnn.distributed.fit`."""
    progress: Shown = "auto"
    reading: Progress | None = None
    """Called now and then while a file is read."""


def fit_shards(
    paths: list[str],
    count: int,
    reading: Reading,
    settings: Settings,
    run: Run,
    *,
    started: Callable[[Outline, Start], None],
    ended: Callable[[Fitted], None],
) -> Fitted:
    """Train a network on the rows of files, cut into shards; called by all processes.

    What becomes of columns is what `fit` learns of the same training rows in one table. But each
    shard holds out its own rows, and the order of the rows within a step is that of
    `cnn.distributed.fit`.

    Parameters
    ----------
    paths : list of str
        The files.
    count : int
        The number of shards.
    reading : Reading
        How the files are read.
    settings : Settings
        How to train, checked.
    run : Run
        Where to train.
    started, ended : callable
        Called in the first process, before the training and after it; if they fail, all processes
        do.

    Raises
    ------
    ValueError, OSError
        In all processes, if the files or the settings are no good ones in one of them.
    """
    peers = Peers(run.comm)
    files = shards.cut(paths, count)
    progress = FilesProgress(run.reading, _own(files, peers), READINGS)
    found = outline(files, reading, peers, progress)
    data = Shards(files, reading, peers, found, progress)
    held, kept = data.split(settings.seed, settings.hold_out)
    weights = class_weights(
        settings.class_weight, data.goal, data.source, lambda: data.class_counts
    )
    dialect = reading.dialect
    plan = data.plan(dialect.decimal, dialect.missing)
    rows = data.encoded(plan)
    batch_size, l2 = settings.of_rows(kept, is_class=plan.task == "classification")
    net = net_for(plan, settings, l2, data.source)
    start = Start(plan, settings.hidden, held + kept, held, data.left_out)
    peers.together(lambda: started(found, start) if peers.rank == 0 else None)
    by_number = {each.number: each for each in rows}
    stop = EarlyStopping(patience=settings.patience, restore_best_weights=True)
    recorder = Recorder()
    history = distributed.fit(
        net,
        _Sources(count, by_number, held=False),
        comm=run.comm,
        epochs=settings.epochs,
        batch_size=batch_size,
        optimizer=optimizers.Adam(lr=settings.lr),
        validation_data=_Sources(count, by_number, held=True) if held else None,
        class_weight=weights,
        callbacks=[*([Floor()] if l2 > 0 else []), *([stop] if held else []), recorder],
        progress=run.progress,
        checkpoint=run.checkpoint,
        every=run.every,
        resume=run.resume,
    )
    best = stop.best_epoch if held else len(history)
    fitted = Fitted(net, plan, history, best, bool(held), False)
    if held:
        fitted.held_out, fitted.baseline = _shard_scores.held_out(
            net, plan, rows, data.kept_counts, peers, data.source
        )
    peers.together(lambda: ended(fitted) if peers.rank == 0 else None)
    return fitted


def _own(files: list[list[str]], peers: Peers) -> list[str]:
    return [path for shard in peers.own(len(files)) for path in files[shard]]
