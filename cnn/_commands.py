"""What the commands of ``python -m cnn`` do; `cnn.__main__` has their arguments.

Each takes parsed arguments and returns an exit code. What goes wrong is an exception, of which
`cnn.__main__` makes one line.
"""

from __future__ import annotations

import csv
import io
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn import _core, _files, _preprocessing, _table, models, optimizers
from cnn._preprocessing import Preprocessing
from cnn._table import Category, Column, Number
from cnn.sequential import EPOCHS
from cnn.tabular import TableModel

if TYPE_CHECKING:
    from argparse import Namespace

    from numpy.typing import NDArray

    from cnn._table import Survey
    from cnn.sequential import Sequential

# Whole numbers are taken for classes where there are at most so many different ones.
_MOST_WHOLE_CLASSES = 20
# So many categories may be one for each row.
_FEW_CATEGORIES = 20


def _loaded(path: str) -> tuple[Sequential, TableModel | None]:
    """Return the network of a model file, and the model around it if it says what columns are."""
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

    It is not to be one of `inputs`; `device` allows what is no regular file, such as a terminal.
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
    """Print what cnn is and how it runs on this machine."""
    rows = {
        "cnn": _core.version(),
        "ISA": f"{_core.isa()} ({_why_isa()})",
        "threads": f"{_core.get_num_threads()} (from {_core.threads_origin()})",
        "numerics": f"version {_core.numerics_version()}",
    }
    for name, value in rows.items():
        print(f"{name:10}{value}")
    return 0


def _why_isa() -> str:
    there = ", ".join(_core.isas())
    cap = os.environ.get("CNN_ISA")
    if cap in _core.isas():
        return f"CNN_ISA={cap} allows none above it of {there}"
    why = f"the best that this machine has of {there}"
    return why if not cap else f"{why}; CNN_ISA={cap} is none of them"


def demo(_: Namespace) -> int:
    """Train on handwritten digits, and show what comes out."""
    from cnn import demo as module  # noqa: PLC0415  # the other commands need not wait for it

    return module.main()


# ---- train -------------------------------------------------------------------------------------


@dataclass
class _Found:
    """What a file has for training."""

    rows: int
    columns: list[Column]
    target: Column
    hint: str
    """What else the target could be taken for."""


def train(arguments: Namespace) -> int:
    """Train a network on a CSV file and save it."""
    path = arguments.data
    _check_output(arguments.output, path)
    found = _surveyed(arguments)
    rows = found.rows
    values = _values(path, rows, (*found.columns, found.target))
    order = _core.permutation(arguments.seed, 0, rows, 0, rows).astype(np.intp)
    held = _held_out(path, rows, arguments.hold_out)
    preprocessing = _standardised(path, found.columns, found.target, values[order[held:]])
    x, t = preprocessing.x(values[:, :-1], path), preprocessing.t(values[:, -1], path)
    del values
    test, kept = order[:held], order[held:]
    net = models.mlp(
        [preprocessing.inputs, *arguments.hidden, preprocessing.target.width],
        arguments.activation,
        "softmax" if preprocessing.task == "classification" else "identity",
        rng=arguments.seed,
    )
    _print_plan(arguments, preprocessing, found, held)
    validation = (x[test], t[test]) if held else None
    net.fit(
        x[kept],
        t[kept],
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        optimizer=optimizers.Adam(lr=arguments.lr),
        validation_data=validation,
        progress=not arguments.quiet,
    )
    net._network.set_metadata(_preprocessing.KEY, preprocessing.to_json())
    # Before anything is printed, which fails where nobody reads it.
    net.save(arguments.output)
    if validation is not None:
        print(_score(preprocessing, net, *validation, t[kept]))
    print(f"saved to {arguments.output}")
    return 0


def _surveyed(arguments: Namespace) -> _Found:
    """Return the number of rows, the columns to learn from and the one to learn."""
    path, task, name = arguments.data, arguments.task, arguments.target
    categories = set(arguments.categories)
    if name in arguments.drop:
        raise ValueError(f"column {name!r} is the target, and cannot be left out")
    if task == "regression" and name in categories:
        raise ValueError(f"column {name!r} is the target of regression, which has no categories")
    if task == "classification":
        categories.add(name)
    rows, surveys = _table.survey(path, needed=[name], drop=arguments.drop, categories=categories)
    goal = surveys.pop(name)
    if not surveys:
        raise ValueError(f"{path}: there is no column to learn from, only the target")
    target, hint = _target(path, task, goal)
    columns = [
        Number(other) if column.is_number else column.category(path)
        for other, column in surveys.items()
    ]
    return _Found(rows, columns, target, hint)


def _target(path: str, task: str, goal: Survey) -> tuple[Column, str]:
    """Return the column to learn, and what else it could be taken for."""
    hint = ""
    whole = goal.is_number and goal.is_whole and goal.texts is not None
    if task == "auto":
        few = goal.texts is not None and len(goal.texts) <= _MOST_WHOLE_CLASSES
        task = "classification" if (whole and few) or not goal.is_number else "regression"
        if whole:
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


def _values(path: str, rows: int, columns: tuple[Column, ...]) -> NDArray[np.float64]:
    """Return all values of a file that has been surveyed."""
    values = np.empty((rows, len(columns)))
    first = 0
    for block in _table.blocks(path, columns):
        if first + len(block) <= rows:
            values[first : first + len(block)] = block
        first += len(block)
    if first != rows:
        raise ValueError(f"{path}: the file had {rows} rows, then {first}; should not change")
    return values


def _held_out(path: str, rows: int, share: float) -> int:
    """Return how many rows are held out."""
    held = max(1, round(rows * share)) if share > 0 else 0
    if held >= rows:
        raise ValueError(
            f"{path}: of {_counted(rows, 'row')}, {held} would be held out and none be left to "
            f"learn from"
        )
    return held


def _standardised(
    path: str, columns: list[Column], target: Column, values: NDArray[np.float64]
) -> Preprocessing:
    """Return the columns with means and deviations, of the rows that are not held out."""
    *found, goal = (
        _preprocessing.standardised(column.name, value, path)
        if isinstance(column, Number)
        else column
        for column, value in zip((*columns, target), values.T, strict=True)
    )
    return Preprocessing(tuple(found), goal)


def _print_plan(arguments: Namespace, plan: Preprocessing, found: _Found, held: int) -> None:
    rows = found.rows
    outputs = f"{plan.target.width} classes" if isinstance(plan.target, Category) else "a number"
    task = f"{plan.task}; {found.hint}" if found.hint else plan.task
    categories = [column for column in plan.columns if isinstance(column, Category)]
    print(
        f"{arguments.data}: {_counted(rows, 'row')}, {_counted(len(plan.columns), 'column')} to "
        f"learn from"
    )
    if categories:
        counts = _table.listed([f"{column.name} ({column.width})" for column in categories])
        print(f"categories: {counts}")
    for column in categories:
        # A category of one row, as a name or a number of it is, has nothing to teach.
        if column.width > max(_FEW_CATEGORIES, rows / 2):
            print(
                f"column {column.name} is another one in most rows, which teaches nothing; "
                f"--drop {column.name} leaves it out"
            )
    print(f"target {plan.target.name}: {outputs} ({task})")
    hidden = "-".join(map(str, (plan.inputs, *arguments.hidden, plan.target.width)))
    print(f"network {hidden}: learns from {_counted(rows - held, 'row')}, {held:,} held out")
    # Before lines of progress, which go another way.
    sys.stdout.flush()


def _score(
    plan: Preprocessing, net: Sequential, x: NDArray[Any], t: NDArray[Any], learnt: NDArray[Any]
) -> str:
    """Return a line on the held-out rows, beside what needs no network."""
    if isinstance(plan.target, Number):
        error = (net.predict(x)[:, 0].astype(np.float64) - t) * plan.target.scale
        # The mean of the rows that were learnt is 0 in these units.
        guess = t.astype(np.float64) * plan.target.scale
        rmse, of_mean = (float(np.sqrt(np.mean(e**2))) for e in (error, guess))
        spread = float(np.mean((guess - guess.mean()) ** 2))
        r2 = f", R2 {1 - rmse**2 / spread:.4f}" if spread > 0 else ""
        return f"held out: RMSE {rmse:.6g}{r2} (always the mean: RMSE {of_mean:.6g})"
    accuracy = net.evaluate(x, t)["accuracy"]
    most = int(np.bincount(learnt).argmax())
    return (
        f"held out: accuracy {accuracy:.1%} (always {plan.target.categories[most]}: "
        f"{np.mean(t == most):.1%})"
    )


# ---- predict -----------------------------------------------------------------------------------


def predict(arguments: Namespace) -> int:
    """Predict for the rows of a CSV file, and print or save a CSV file."""
    if arguments.output is not None:
        _check_output(arguments.output, arguments.model, arguments.data, device=True)
    _, model = _loaded(arguments.model)
    if model is None:
        raise ValueError(
            f"{arguments.model}: the file does not say how inputs are made of columns, since it is "
            f"not from 'train'; in Python, cnn.load reads it and takes numbers"
        )
    plan = model._plan
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    target = plan.target
    classes = target.categories if isinstance(target, Category) else ()
    writer.writerow([target.name, *(f"P({name})" for name in classes)])
    rows = 0
    for values in _table.blocks(arguments.data, plan.columns):
        y = model._of_values(values, arguments.data, rows)
        rows += len(values)
        if isinstance(target, Category):
            for best, row in zip(y.argmax(axis=1), y, strict=True):
                writer.writerow([classes[best], *(f"{p:.6g}" for p in row)])
        else:
            writer.writerows([f"{number:.7g}"] for number in y[:, 0])
    # At the end, so that a bad row does not leave half of the predictions.
    if arguments.output is None:
        # As a file would be, whatever the terminal's encoding is.
        if isinstance(sys.stdout, io.TextIOWrapper) and not sys.stdout.isatty():
            sys.stdout.reconfigure(encoding="utf-8")
        sys.stdout.write(text.getvalue())
    else:
        _files.replace(arguments.output, text.getvalue())
    return 0


# ---- show, export ------------------------------------------------------------------------------


def show(arguments: Namespace) -> int:
    """Print what a model file holds."""
    net, model = _loaded(arguments.model)
    sizes = f"{_counted(net.inputs, 'input')}, {_counted(net.outputs, 'output')}"
    print(f"{arguments.model}: {sizes}, trained for {_counted(net.epochs, 'epoch')}\n")
    print((model or net).summary())
    others = {
        key: value
        for key, value in sorted(net._network.metadata.items())
        if key not in (EPOCHS, _preprocessing.KEY)
    }
    print(f"\nSeed: {net.seed}")
    for key, value in others.items():
        print(f"{key}: {value}")
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
    # A file may have any name, but what it declares may not.
    name = arguments.name or re.sub(r"\W", "_", Path(output).stem, flags=re.ASCII)
    if arguments.to == "c":
        (model or net).to_c(output, name=name)
    else:
        (model or net).to_onnx(output)
    print(f"saved to {output}")
    if model is not None:
        takes = {
            "c": f"{name}_predict takes the raw values of a row",
            "onnx": "It takes the raw values of columns by their names",
        }[arguments.to]
        print(f"{takes}, and does with them what 'predict' does:")
        print("\n".join(_preprocessing.described(model._plan)))
    return 0
