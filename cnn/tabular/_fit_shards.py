"""Training on the shards of a table, on one process or several, with the same bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cnn import optimizers
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

    import numpy as np
    from numpy.typing import NDArray

    from cnn._base.choices import Progress as Shown
    from cnn._tables.source import Progress
    from cnn.tabular._shards import Encoded, Outline, Reading


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
    check: Callable[[], None],
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
    check, started, ended : callable
        Called in the first process: before files are read, before the training, and after it. If
        they fail, all processes do.

    Raises
    ------
    ValueError, OSError
        In all processes, if the files or the settings are no good ones in one of them.
    """
    # Other trainings on tables need not wait for it.
    from cnn import distributed  # noqa: PLC0415

    files = shards.cut(paths, count)
    team = distributed.Team("train", distributed.checked("train", run.comm))
    peers = Peers(team, distributed.ranges(count, team.size))
    peers.together(lambda: check() if peers.is_first else None)
    progress = FilesProgress(run.reading, [path for i in peers.own for path in files[i]], READINGS)
    found = outline(files, reading, peers, progress)
    data = Shards(files, reading, peers, found, progress)
    held, kept = data.split(settings.seed, settings.hold_out)
    weights = class_weights(
        settings.class_weight, data.goal, data.source, lambda: data.class_counts
    )
    plan = data.plan(reading.dialect.decimal, reading.dialect.missing)
    rows = data.encoded(plan)
    batch_size, l2 = settings.of_rows(kept, is_class=plan.task == "classification")
    net = net_for(plan, settings, l2, data.source)
    start = Start(plan, settings.hidden, held + kept, held, data.left_out)
    peers.together(lambda: started(found, start) if peers.is_first else None)
    stop = EarlyStopping(patience=settings.patience, restore_best_weights=True)
    recorder = Recorder()
    interrupted = False
    try:
        distributed.fit(
            net,
            lambda shard: (rows[shard].x, rows[shard].t),
            n_shards=count,
            comm=run.comm,
            epochs=settings.epochs,
            batch_size=batch_size,
            optimizer=optimizers.Adam(lr=settings.lr),
            validation_data=(lambda shard: _held_out(rows[shard], weights)) if held else None,
            class_weight=weights,
            callbacks=[
                *([Floor()] if l2 > 0 else []),
                *([stop] if held else []),
                recorder,  # after `stop`, which so knows each epoch that is recorded
            ],
            progress=run.progress,
            checkpoint=run.checkpoint,
            every=run.every,
            resume=run.resume,
        )
    except KeyboardInterrupt:
        if peers.size > 1 or not len(recorder.history):
            raise
        interrupted = True
        if held:
            stop.on_train_end({})  # restores the weights of the best epoch
    best = stop.best_epoch if held else len(recorder.history)
    fitted = Fitted(net, plan, recorder.history, best, bool(held), interrupted)
    if held:
        fitted.held_out, fitted.baseline = _shard_scores.held_out(
            net, plan, list(rows.values()), data.kept_counts, peers, data.source
        )
    peers.together(lambda: ended(fitted) if peers.is_first else None)
    return fitted


def _held_out(shard: Encoded, weights: NDArray[np.float64] | None) -> tuple[NDArray[Any], ...]:
    """Return the held-out rows of a shard, with the weights of their classes if there are some."""
    if weights is None:
        return shard.held_x, shard.held_t
    return shard.held_x, shard.held_t, weights[shard.held_t]
