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
from cnn.callbacks import Callback
from cnn.cli import choice, processes, report, terminal
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
    model, why = choice.by_options(arguments)
    if model == choice.TABULAR:
        choice.check_tabular(arguments)
    # The tabular model takes missing values as they are.
    refused = policy == "error" or (policy is None and model == choice.DENSE)
    with terminal.reading(show=not arguments.quiet) as progress:
        found = content.read(
            path,
            target=arguments.target,
            task=arguments.task,
            drop=arguments.drop,
            categories=arguments.categories,
            dialect=dialect,
            keep_missing=not refused,
            progress=progress,
        )
    if model is None:
        model, why = choice.by_table(found, arguments.target)
        why += f"; --model {choice.other(model)} is the other one"
    if model == choice.TABULAR:
        choice.check_tabular(arguments)
        return _train_estimator(arguments, found, why)
    return _train_dense(arguments, found, why)


def _train_dense(arguments: Namespace, found: content.Content, why: str) -> int:
    """Train a dense network; `why` it is one is printed."""
    settings, count = _settings(arguments), arguments.folds or 0
    folds: list[dict[str, Any]] = []
    fitted = tabular.fit(
        found,
        arguments.target,
        settings,
        decimal=arguments.decimal,
        missing=arguments.missing[1],
        folds=count,
        progress=not arguments.quiet,
        started=lambda start: report.print_start(found, start, settings.missing, count, why),
        scored=lambda number, scores: report.print_fold(folds, number, scores, count),
    )
    # Before printing, which fails if stdout is closed or a pipe without a reader.
    tabular.of_fitted(fitted).save(arguments.output)
    return _tell(fitted, arguments.output)


def _train_estimator(arguments: Namespace, found: content.Content, why: str) -> int:
    """Train an estimator of cnn.tabular; `why` it is one is printed."""
    names = {
        "preset": "preset",
        "n_ens": "n_ens",
        "hidden": "hidden_layer_sizes",
        "activation": "activation",
        "epochs": "epochs",
        "batch_size": "batch_size",
        "lr": "lr",
        "dropout": "dropout",
        "patience": "early_stopping",
    }
    parameters = {name: getattr(arguments, option) for option, name in names.items()}
    settings, show = _settings(arguments), not arguments.quiet
    is_several = (arguments.n_ens or 1) > 1
    fitted = tabular.fit_estimator(
        found,
        arguments.target,
        {name: value for name, value in parameters.items() if value is not None},
        settings,
        decimal=arguments.decimal,
        missing=arguments.missing[1],
        callbacks=[_Numbered(arguments.n_ens)] if is_several and show else [],
        progress=show,
        started=lambda start: report.print_estimator_start(
            found, start, settings.missing, arguments.decimal, why
        ),
    )
    fitted.estimator.save(arguments.output)
    return _tell(fitted, arguments.output)


class _Numbered(Callback):
    """Tells on stderr which one of several networks is trained."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._number = 0

    def on_train_begin(self) -> None:
        """Tell the number of the network."""
        self._number += 1
        terminal.complain(f"network {self._number} of {self._count}")


def _settings(arguments: Namespace) -> tabular.Settings:
    """Return how to train; what is not given is the default of the dense model."""
    if arguments.patience is not None and arguments.hold_out == 0:
        raise ValueError(
            f"train: --patience is {arguments.patience}, but --hold-out 0 leaves no rows by which "
            f"an epoch is better; should be left out"
        )
    names = ("hidden", "activation", "epochs", "batch_size", "lr", "l2", "dropout", "patience")
    given: dict[str, Any] = {name: getattr(arguments, name) for name in names}
    given["missing"], _ = arguments.missing
    return tabular.Settings(
        **{name: value for name, value in given.items() if value is not None},
        class_weight=arguments.class_weight,
        seed=arguments.seed,
        hold_out=arguments.hold_out,
    )


def _train_shards(arguments: Namespace, comm: Any) -> int:
    """Train a network on files in shards, in each process; the first one prints and saves."""
    is_first = comm is None or comm.rank == 0
    _, why = choice.by_options(arguments)
    if arguments.folds:
        raise ValueError("train: --folds is given, which --shards N does not have")
    if arguments.every is not None and arguments.checkpoint is None:
        raise ValueError("train: --every is given without --checkpoint")
    show = is_first and not arguments.quiet
    _, missing = arguments.missing
    settings = _settings(arguments)
    reading = tabular.Reading(
        arguments.target,
        Dialect(arguments.delimiter, arguments.decimal, missing),
        arguments.task,
        arguments.drop,
        arguments.categories,
        settings.missing,
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
            checkpoint, output = arguments.checkpoint, arguments.output
            if checkpoint and os.path.realpath(checkpoint) == os.path.realpath(output):
                raise ValueError(
                    f"train: --checkpoint is {arguments.checkpoint}, which the model is to be; "
                    f"should be another file"
                )

        def started(found: tabular.Outline, start: tabular.Start) -> None:
            stack.close()
            report.print_start(found, start, settings.missing, why=why)

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
            settings,
            run,
            check=check,
            started=started,
            ended=lambda found: tabular.of_fitted(found).save(arguments.output),
        )
    return _tell(fitted, arguments.output) if is_first else 0


def _tell(fitted: tabular.Fitted | tabular.FittedEstimator, path: str) -> int:
    """Print how a training has ended, whose model is saved; return the exit code."""
    if fitted.interrupted:
        terminal.complain("cnn: interrupted; the model is that of the best epoch so far")
    if fitted.held_out is not None:
        say(report.score(fitted))
    say(f"saved to {path}{report.kept(fitted)}")
    return INTERRUPTED if fitted.interrupted else 0
