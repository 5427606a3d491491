"""The command ``cnn train``: from a table to a model file."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any

from cnn import tabular
from cnn._base import formats
from cnn._tables import content
from cnn._tables.dialect import Dialect
from cnn._tables.source import name_of
from cnn.cli import processes, report, terminal
from cnn.cli.common import INTERRUPTED, check_output, counted
from cnn.cli.terminal import say

if TYPE_CHECKING:
    from argparse import Namespace


def train(arguments: Namespace) -> int:
    """Train a network on a table and save it."""
    if arguments.shards is not None:
        comm = processes.world(arguments.comm)
        return processes.run(comm, lambda: _train_shards(arguments, comm))
    if not processes.is_alone(arguments):
        return 1
    path, *others = arguments.data
    if others:
        raise ValueError(
            f"train: {len(others) + 1} files are given; --shards N trains on them as one table, "
            f"N being at most the number of files, such as --shards {min(8, len(others) + 1)}"
        )
    for option in ("checkpoint", "every"):
        if getattr(arguments, option) is not None:
            raise ValueError(f"train: --{option} is given, which only --shards N has")
    check_output(arguments.output, path)
    formats.destination("train", arguments.output, "a safetensors file")
    if not arguments.quiet:
        say(f"reading {name_of(path)}")
        if note := content.note_on_speed(path):
            say(note)
        sys.stdout.flush()
    policy, missing = arguments.missing
    dialect = Dialect(arguments.delimiter, arguments.decimal, missing)
    with terminal.reading(show=not arguments.quiet) as progress:
        found = content.read(
            path,
            target=arguments.target,
            task=arguments.task,
            drop=arguments.drop,
            categories=arguments.categories,
            dialect=dialect,
            keep_missing=policy != "error",
            progress=progress,
        )
    settings = _settings(arguments)
    folds: list[dict[str, Any]] = []
    fitted = tabular.fit(
        found,
        arguments.target,
        settings,
        decimal=dialect.decimal,
        missing=missing,
        folds=arguments.folds,
        progress=not arguments.quiet,
        started=lambda start: report.print_start(found, start, policy, arguments.folds),
        scored=lambda number, scores: report.print_fold(folds, number, scores, arguments.folds),
    )
    # Before printing, which fails if stdout is closed or a pipe without a reader.
    tabular.of_fitted(fitted).save(arguments.output)
    return _tell(fitted, arguments.output)


def _settings(arguments: Namespace) -> tabular.Settings:
    """Return how to train."""
    return tabular.Settings(
        hidden=tuple(arguments.hidden),
        activation=arguments.activation,
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        lr=arguments.lr,
        l2=arguments.l2,
        dropout=arguments.dropout,
        class_weight=arguments.class_weight,
        seed=arguments.seed,
        hold_out=arguments.hold_out,
        patience=arguments.patience,
        missing=arguments.missing[0],
    )


def _train_shards(arguments: Namespace, comm: Any) -> int:
    """Train a network on files in shards, in each process; the first one prints and saves."""
    is_first = comm is None or comm.rank == 0
    if arguments.folds:
        raise ValueError("train: --folds is given, which --shards N does not have")
    if arguments.every is not None and arguments.checkpoint is None:
        raise ValueError("train: --every is given without --checkpoint")
    show = is_first and not arguments.quiet
    policy, missing = arguments.missing
    reading = tabular.Reading(
        arguments.target,
        Dialect(arguments.delimiter, arguments.decimal, missing),
        arguments.task,
        arguments.drop,
        arguments.categories,
        policy,
    )
    count = 1 if comm is None else comm.size
    if show:
        files, shards = len(arguments.data), arguments.shards
        say(
            f"reading {counted(files, 'file')} as {counted(shards, 'shard')}, by {count} "
            f"process{'es' * (count != 1)}"
        )
        sys.stdout.flush()
    with contextlib.ExitStack() as stack:

        def check() -> None:
            for output in filter(None, (arguments.output, arguments.checkpoint)):
                check_output(output, *filter(os.path.exists, arguments.data))
                formats.destination("train", output, "a safetensors file")
            if arguments.checkpoint == arguments.output:
                raise ValueError(
                    f"train: --checkpoint is {arguments.checkpoint}, which the model is to be; "
                    f"should be another file"
                )

        def started(found: tabular.Outline, start: tabular.Start) -> None:
            stack.close()
            report.print_start(found, start, policy)

        run = tabular.Run(
            comm,
            checkpoint=arguments.checkpoint,
            every=arguments.every,
            progress=show,
            reading=stack.enter_context(terminal.reading(show=show)),
        )
        fitted = tabular.fit_shards(
            arguments.data,
            arguments.shards,
            reading,
            _settings(arguments),
            run,
            check=check,
            started=started,
            ended=lambda found: tabular.of_fitted(found).save(arguments.output),
        )
    return _tell(fitted, arguments.output) if is_first else 0


def _tell(fitted: tabular.Fitted, path: str) -> int:
    """Print how a training has ended, whose model is saved; return the exit code."""
    if fitted.interrupted:
        terminal.complain("cnn: interrupted; the model is that of the best epoch so far")
    if fitted.held_out is not None:
        say(report.score(fitted))
    say(f"saved to {path}{report.kept(fitted)}")
    return INTERRUPTED if fitted.interrupted else 0
