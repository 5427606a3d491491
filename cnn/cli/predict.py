"""The command ``cnn predict``: a table of predictions for the rows of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cnn._base import files
from cnn._tables import csv_file, table
from cnn._tables.dialect import Dialect
from cnn._tables.source import name_of
from cnn._tables.table import Category
from cnn.cli import terminal
from cnn.cli.common import check_output, loaded_table

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from cnn._tables.table import Column
    from cnn.tabular import RowModel


def predict(arguments: Namespace) -> int:
    """Predict for the rows of a table, and print or save a CSV file."""
    if arguments.output is not None:
        check_output(arguments.output, arguments.model, arguments.data, device=True)
    model = loaded_table(arguments.model)
    target = model.target
    classes = target.categories if isinstance(target, Category) else ()
    if arguments.proba and not classes:
        raise ValueError(
            f"{arguments.model}: --proba needs classes, but the model predicts the number "
            f"{target.name!r}"
        )
    with_proba = bool(classes) and arguments.proba is not False
    names = list(map(csv_file.quoted, classes))
    also = list(dict.fromkeys(arguments.id))
    # An estimator that was saved in Python does not know the name of its target.
    found = [target.name or "prediction", *(f"P({name})" for name in classes if with_proba)]
    lines = [",".join(map(csv_file.quoted, [*also, *_others(also, found)]))]
    source = name_of(arguments.data)
    rows = 0
    for values, kept in blocks(arguments, model, also=also):
        y = model.predicted(values, source, rows)
        rows += len(values)
        # str and repr have the fewest digits that are read as the same number.
        columns = [list(map(csv_file.quoted, texts)) for texts in kept]
        if classes:
            columns.append([names[best] for best in y.argmax(axis=1).tolist()])
            if with_proba:
                columns += [list(map(str, p)) for p in y.T]
        else:
            columns.append(list(map(repr, y[:, 0].tolist())))
        lines += map(",".join, zip(*columns, strict=True))
    # At the end, so that nothing is written if a row is bad.
    text = "\n".join(lines) + "\n"
    if arguments.output is None:
        terminal.write_file(text)
    else:
        files.replace(arguments.output, text)
    terminal.complain(*model.notes)
    return 0


def _others(taken: Sequence[str], names: Sequence[str]) -> list[str]:
    """Return names that are not taken: to one that is, such as that of a target, "_" is added."""
    found: list[str] = []
    for name in names:
        other = name
        while other in taken or other in found:
            other += "_"
        found.append(other)
    return found


def blocks(
    arguments: Namespace,
    model: RowModel,
    *,
    with_target: bool = False,
    also: Sequence[str] = (),
) -> Iterator[tuple[NDArray[np.float64], list[list[str]]]]:
    """Yield the values of a model's columns, block by block, and the texts of the columns `also`.

    With `with_target`, the last column of the values is the target, which must be known.
    """
    missing = arguments.missing
    if missing is None:
        missing = model.missing
    dialect = Dialect(arguments.delimiter, arguments.decimal or model.decimal, missing)
    columns = (*model.columns, model.target) if with_target else model.columns
    texts: dict[str, list[str]] = {name: [] for name in also}
    first = 0
    with terminal.reading(show=True) as progress:
        for values in table.blocks(
            arguments.data,
            columns,
            dialect,
            keep_missing=model.keeps_missing,
            texts=texts,
            progress=progress,
        ):
            if with_target:
                _check_known(model.target, values[:, -1], name_of(arguments.data), first)
            last = first + len(values)
            yield values, [copied[first:last] for copied in texts.values()]
            first = last


def _check_known(target: Column, goal: NDArray[np.float64], source: str, first: int) -> None:
    """Refuse missing values of a target; `first` rows are before them."""
    gone = goal < 0 if isinstance(target, Category) else np.isnan(goal)
    if gone.any():
        raise ValueError(
            f"{source}: row {first + int(gone.argmax()) + 1}, column {target.name!r} is missing, "
            f"should be {target.expected}, since it is the target"
        )
