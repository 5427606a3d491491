"""The commands of ``python -m cnn``, whose arguments `cnn.cli.main` parses.

Each takes parsed arguments and returns an exit code. On an error it raises an exception, which
`cnn.cli.main` prints as one line.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn import _core, models, optimizers, versions
from cnn._base import files, formats, texts
from cnn._base.metadata import COLUMNS, EPOCHS
from cnn._tables import csv_file, numerals, preprocessing, table
from cnn._tables.csv_file import Dialect
from cnn._tables.preprocessing import Preprocessing
from cnn._tables.table import Category, Column, Number
from cnn.cli import terminal
from cnn.cli.terminal import say
from cnn.sequential import network_of
from cnn.tabular import TableModel, plan_of

if TYPE_CHECKING:
    from argparse import Namespace

    from numpy.typing import NDArray

    from cnn._tables.table import Survey
    from cnn.sequential import Sequential

# A target of whole numbers holds classes if it has at most this many different texts.
_MOST_CLASSES = 20
# A column with more categories is reported if most rows have one of their own.
_FEW_CATEGORIES = 20


def _loaded(path: str) -> tuple[Sequential, TableModel | None]:
    """Return the network of a model file, and its TableModel or None."""
    try:
        found = models.load(path)
    except _core.ModelFileError as error:
        raise _core.ModelFileError(
            f"{path}: {error}; should be a file that 'train' or net.save wrote"
        ) from error
    return (found.net, found) if isinstance(found, TableModel) else (found, None)


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def _check_output(path: str, *inputs: str, device: bool = False) -> None:
    """Refuse a file that could not or should not be written, before time is spent on it.

    It must not be one of `inputs`. With `device` it need not be a regular file: it may be a
    terminal.
    """
    target = Path(path)
    if target.is_dir():
        raise IsADirectoryError(f"{path} is a folder, should be the file to write")
    folder = target.absolute().parent
    if not folder.is_dir():
        raise FileNotFoundError(f"the folder of {path} does not exist")
    if target.exists():
        for name in inputs:
            if target.samefile(name):
                raise ValueError(f"{path} would replace {name}, should be another file")
        if not target.is_file():
            if device:
                return
            raise ValueError(f"{path} is not a regular file, should be the file to write")
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"the folder of {path} cannot be written to")


# ---- info, demo --------------------------------------------------------------------------------


def info(_: Namespace) -> int:
    """Print the version of cnn, and how it runs on this machine."""
    say(*versions.lines())
    return 0


def demo(_: Namespace) -> int:
    """Train on handwritten digits, and show the results."""
    from cnn import demo as module  # noqa: PLC0415  # the other commands need not wait for it

    return module.main()


# ---- train -------------------------------------------------------------------------------------


@dataclass
class _Found:
    """The columns and the target that a file has for training."""

    rows: int
    columns: list[Column]
    target: Column
    hint: str
    """A note on the other task that the target would allow."""
    inexact: list[str]
    """Notes on columns whose numbers have more digits than float64 has."""


def train(arguments: Namespace) -> int:
    """Train a network on a CSV file and save it."""
    path = arguments.data
    _check_output(arguments.output, path)
    formats.destination("train", arguments.output, "a safetensors file")
    dialect = Dialect(arguments.delimiter, arguments.decimal, arguments.missing)
    found = _surveyed(arguments, dialect)
    values = _values(path, found.rows, (*found.columns, found.target), dialect)
    test, kept = _split(arguments, found, values[:, -1])
    plan = _standardised(path, found, values[kept], dialect)
    x, t = plan.x(values[:, :-1], path), plan.t(values[:, -1], path)
    goal = values[:, -1].copy()
    del values
    net = models.mlp(
        [plan.inputs, *arguments.hidden, plan.target.width],
        arguments.activation,
        "softmax" if plan.task == "classification" else "identity",
        rng=arguments.seed,
    )
    _print_plan(arguments, plan, found, len(test))
    validation = (x[test], t[test]) if len(test) else None
    net.fit(
        x[kept],
        t[kept],
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        optimizer=optimizers.Adam(lr=arguments.lr),
        validation_data=validation,
        progress=not arguments.quiet,
    )
    network_of(net).set_metadata(COLUMNS, plan.to_json())
    # Before printing, which fails if stdout is closed or a pipe without a reader.
    net.save(arguments.output)
    if validation is not None:
        say(_score(plan, net, validation[0], goal[test], goal[kept]))
    say(f"saved to {arguments.output}")
    return 0


def _surveyed(arguments: Namespace, dialect: Dialect) -> _Found:
    """Return the number of rows, the input columns and the target column."""
    path, task, name = arguments.data, arguments.task, arguments.target
    categories = set(arguments.categories)
    if name in arguments.drop:
        raise ValueError(f"column {name!r} is the target, and cannot be left out")
    if task == "regression" and name in categories:
        raise ValueError(f"column {name!r} is the target of regression, which has no categories")
    if task == "classification":
        categories.add(name)
    rows, surveys = table.survey(
        path, needed=[name], drop=arguments.drop, categories=categories, dialect=dialect
    )
    goal = surveys.pop(name)
    if not surveys:
        raise ValueError(f"{path}: there is no column to learn from, only the target")
    target, hint = _target(path, task, goal)
    columns = [
        Number(other) if column.is_number else column.category(path)
        for other, column in surveys.items()
    ]
    inexact = [
        f"column {column.name} has {survey.inexact}, of which a number keeps the first digits "
        f"alone; {csv_file.option('--categories', column.name)} keeps texts"
        for column, survey in zip((*columns, target), (*surveys.values(), goal), strict=True)
        if isinstance(column, Number) and survey.inexact
    ]
    return _Found(rows, columns, target, hint, inexact)


def _target(path: str, task: str, goal: Survey) -> tuple[Column, str]:
    """Return the target column, and a note on the other task that it would allow."""
    hint = ""
    whole = goal.is_number and goal.is_whole and goal.texts is not None
    if task == "auto":
        few = goal.texts is not None and len(goal.texts) <= _MOST_CLASSES
        task = "classification" if (whole and few) or not goal.is_number else "regression"
        if goal.is_number and few and not whole:
            hint = "--task classification would take its texts for classes"
        elif whole:
            hint = (
                "--task regression would take it for a number"
                if few
                else "--task classification would take its numbers for classes"
            )
    if task == "regression":
        if not goal.is_number:
            raise ValueError(
                f"{path}: column {goal.name!r} has {goal.word}, but regression needs numbers"
            )
        return Number(goal.name), hint
    target = goal.category(path)
    if target.width == 1:
        raise ValueError(
            f"{path}: column {goal.name!r} is always {target.categories[0]!r}, should have at "
            f"least 2 classes"
        )
    return target, hint


def _values(
    path: str, rows: int, columns: tuple[Column, ...], dialect: Dialect
) -> NDArray[np.float64]:
    """Return all values of a file that has been surveyed."""
    values = np.empty((rows, len(columns)))
    first = 0
    for block in table.blocks(path, columns, dialect):
        if first + len(block) <= rows:
            values[first : first + len(block)] = block
        first += len(block)
    if first != rows:
        raise ValueError(f"{path}: the file had {rows} rows, then {first}; should not change")
    return values


def _split(
    arguments: Namespace, found: _Found, goal: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the held-out rows and the training rows, both in the order of the seed.

    The split is stratified: classes have the same shares in both, as nearly as whole rows allow.
    """
    rows, share = found.rows, arguments.hold_out
    order = _core.permutation(arguments.seed, 0, rows, 0, rows).astype(np.intp)
    held = max(1, round(rows * share)) if share > 0 else 0
    if held >= rows:
        raise ValueError(
            f"{arguments.data}: of {_counted(rows, 'row')}, {held} would be held out and none be "
            f"left to learn from"
        )
    if isinstance(found.target, Number):
        return order[:held], order[held:]
    classes = goal[order].astype(np.intp)
    counts = np.bincount(classes)
    # The position of each row among the rows of its class.
    by_class = np.argsort(classes, kind="stable")
    places = np.empty(rows, np.intp)
    places[by_class] = np.arange(rows) - np.repeat(np.cumsum(counts) - counts, counts)
    is_held = places < _held_of_each(counts, held)[classes]
    return order[is_held], order[~is_held]


def _held_of_each(counts: NDArray[np.intp], held: int) -> NDArray[np.intp]:
    """Return how many rows of each class are held out, by the method of largest remainders.

    At least one row of each class is kept for training, even if fewer than `held` rows are then
    held out.
    """
    shares, remainders = np.divmod(counts * held, counts.sum())
    most = counts - 1
    found = np.minimum(shares, most)
    by_remainder = np.argsort(-remainders, kind="stable")
    while (rest := held - found.sum()) > 0:
        able = by_remainder[found[by_remainder] < most[by_remainder]]
        if not len(able):
            break
        found[able[:rest]] += 1
    return found


def _standardised(
    path: str, found: _Found, values: NDArray[np.float64], dialect: Dialect
) -> Preprocessing:
    """Return the columns with the means and standard deviations of the training rows."""
    *columns, goal = (
        preprocessing.standardised(column.name, value, path)
        if isinstance(column, Number)
        else column
        for column, value in zip((*found.columns, found.target), values.T, strict=True)
    )
    return Preprocessing(tuple(columns), goal, dialect.decimal)


def _print_plan(arguments: Namespace, plan: Preprocessing, found: _Found, held: int) -> None:
    rows = found.rows
    outputs = f"{plan.target.width} classes" if isinstance(plan.target, Category) else "a number"
    task = f"{plan.task}; {found.hint}" if found.hint else plan.task
    categories = [column for column in plan.columns if isinstance(column, Category)]
    say(
        f"{arguments.data}: {_counted(rows, 'row')}, {_counted(len(plan.columns), 'column')} to "
        f"learn from"
    )
    if categories:
        counts = texts.listed([f"{column.name} ({column.width})" for column in categories])
        say(f"categories: {counts}")
    for column in categories:
        # Nothing can be learnt from a category that occurs in one row, such as a name or a row
        # number.
        if column.width > max(_FEW_CATEGORIES, rows / 2):
            say(
                f"column {column.name} is another one in most rows, which teaches nothing; "
                f"{csv_file.option('--drop', column.name)} leaves it out"
            )
    for each in (*categories, plan.target):
        if isinstance(each, Category) and (same := _same_number(each, plan.decimal)):
            say(
                f"column {each.name} has {same[0]} and {same[1]}, which are different texts, "
                f"and so different categories, for one number"
            )
    say(*found.inexact, f"target {plan.target.name}: {outputs} ({task})")
    hidden = "-".join(map(str, (plan.inputs, *arguments.hidden, plan.target.width)))
    say(f"network {hidden}: learns from {_counted(rows - held, 'row')}, {held:,} held out")
    # Before the lines of progress, which go to stderr.
    sys.stdout.flush()


def _same_number(column: Category, decimal: str) -> tuple[str, str] | None:
    """Return two categories that are the same number, or None."""
    seen: dict[float, str] = {}
    for text in column.categories:
        number = numerals.number(text, decimal)
        if number is not None and seen.setdefault(number, text) != text:
            return seen[number], text
    return None


def _score(
    plan: Preprocessing,
    net: Sequential,
    x: NDArray[Any],
    goal: NDArray[np.float64],
    learnt: NDArray[np.float64],
) -> str:
    """Return a line on the held-out rows, beside the best guess that needs no network.

    `goal` has their values or classes, and `learnt` those of the training rows.
    """
    y = net.predict(x)
    if isinstance(plan.target, Number):
        with np.errstate(over="ignore", invalid="ignore"):  # it shows in the score
            errors = plan.outputs(y)[:, 0] - goal
        guesses = plan.target.mean - goal
        # Squares of large numbers overflow, so these are scaled.
        unit = float(max(np.abs(errors).max(), np.abs(guesses).max())) or 1.0
        rmse, of_mean = (unit * float(np.sqrt(np.mean((e / unit) ** 2))) for e in (errors, guesses))
        spread = float(np.std(guesses / unit)) * unit
        r2 = f", R2 {1 - (rmse / spread) ** 2:.4f}" if spread > 0 else ""
        return (
            f"held out: RMSE {rmse:.6g}{r2} (always the mean: RMSE {of_mean:.6g}, the baseline of "
            f"the same rows; rounded)"
        )
    right = int(np.sum(y.argmax(axis=1) == goal))
    most = int(np.bincount(learnt.astype(np.intp)).argmax())
    base = int(np.sum(goal == most))
    rows = len(goal)
    return (
        f"held out: accuracy {_percent(right, rows)}, {right:,} of {_counted(rows, 'row')} (always "
        f"{plan.target.categories[most]}: {_percent(base, rows)}, {base:,}, the baseline of the "
        f"same rows)"
    )


def _percent(part: int, whole: int) -> str:
    """Return a share with one decimal, or with more if it would be rounded to none or to all."""
    digits = 1
    while 0 < part < whole and float(f"{part / whole:.{digits + 2}f}") in (0, 1):
        digits += 1
    return f"{part / whole:.{digits}%}"


# ---- predict -----------------------------------------------------------------------------------


def predict(arguments: Namespace) -> int:
    """Predict for the rows of a CSV file, and print or save a CSV file."""
    if arguments.output is not None:
        _check_output(arguments.output, arguments.model, arguments.data, device=True)
    net, model = _loaded(arguments.model)
    if model is None:
        raise ValueError(
            f"{arguments.model}: the file does not say how inputs are made of columns, since it is "
            f"not from 'train'; in Python, cnn.load reads it and takes numbers"
        )
    network, plan = network_of(net), plan_of(model)
    target = plan.target
    classes = target.categories if isinstance(target, Category) else ()
    names = list(map(csv_file.quoted, classes))
    head = [target.name, *(f"P({name})" for name in classes)]
    lines = [",".join(map(csv_file.quoted, head))]
    dialect = Dialect(
        arguments.delimiter, arguments.decimal or plan.decimal, arguments.missing or frozenset()
    )
    rows = 0
    for values in table.blocks(arguments.data, plan.columns, dialect):
        y = plan.predicted(network, values, arguments.data, rows)
        rows += len(values)
        # str and repr have the fewest digits that are read as the same number.
        if isinstance(target, Category):
            lines += [
                ",".join([names[best], *map(str, row)])
                for best, row in zip(y.argmax(axis=1), y, strict=True)
            ]
        else:
            lines += map(repr, y[:, 0].tolist())
    # At the end, so that nothing is written if a row is bad.
    text = "\n".join(lines) + "\n"
    if arguments.output is None:
        terminal.write_file(text)
    else:
        files.replace(arguments.output, text)
    return 0


# ---- show, export ------------------------------------------------------------------------------


def show(arguments: Namespace) -> int:
    """Print the contents of a model file."""
    net, model = _loaded(arguments.model)
    sizes = f"{_counted(net.inputs, 'input')}, {_counted(net.outputs, 'output')}"
    say(f"{arguments.model}: {sizes}, trained for {_counted(net.epochs, 'epoch')}", "")
    say(*(model or net).summary().splitlines())
    others = {
        key: value
        for key, value in sorted(network_of(net).metadata.items())
        if key not in (EPOCHS, COLUMNS)
    }
    say("", f"Seed: {net.seed}")
    for key, value in others.items():
        say(f"{key}: {value}")
    return 0


def export(arguments: Namespace) -> int:
    """Write a model in another format."""
    ending = {"c": ".h", "onnx": ".onnx"}[arguments.to]
    output = arguments.output or arguments.model.removesuffix(".safetensors") + ending
    if arguments.name and arguments.to != "c":
        raise ValueError(
            f"export: --name is {arguments.name!r}, should be left out, since only --to c has names"
        )
    _check_output(output, arguments.model)
    net, model = _loaded(arguments.model)
    # A file may have any name, but the names that it declares are limited.
    name = arguments.name or re.sub(r"\W", "_", Path(output).stem, flags=re.ASCII)
    if arguments.to == "c":
        (model or net).to_c(output, name=name)
    else:
        (model or net).to_onnx(output)
    say(f"saved to {output}")
    if model is not None:
        takes = {
            "c": f"{name}_predict takes the raw values of a row",
            "onnx": "It takes the raw values of columns by their names",
        }[arguments.to]
        say(f"{takes}, and does with them what 'predict' does:")
        say(*preprocessing.described(plan_of(model)))
    return 0
