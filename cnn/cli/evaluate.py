"""The command ``cnn evaluate``: the scores of a model on a table."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn import tabular
from cnn._base.texts import shown
from cnn._tables.preprocessing import Preprocessing
from cnn._tables.source import name_of
from cnn.cli import terminal
from cnn.cli.common import counted, loaded_table, percent
from cnn.cli.predict import blocks
from cnn.cli.terminal import say

if TYPE_CHECKING:
    from argparse import Namespace

    from cnn._tables.table import Column


def evaluate(arguments: Namespace) -> int:
    """Print the scores of a model on the rows of a table with a known target."""
    model, source = loaded_table(arguments.model), name_of(arguments.data)
    if arguments.target is not None:
        model.target = replace(model.target, name=arguments.target)
    if not model.target.name:
        raise ValueError(
            f"{arguments.model}: the file does not say which column the target is, since it was "
            f"saved in Python; --target COL names it"
        )
    if model.target.name in [column.name for column in model.columns]:
        raise ValueError(
            f"evaluate: --target is {model.target.name!r}, which the model learns from, should be "
            f"another column"
        )
    outputs, goals = [], []
    rows = 0
    for values, _ in blocks(arguments, model, with_target=True):
        outputs.append(model.predicted(values[:, :-1], source, rows))
        goals.append(values[:, -1])
        rows += len(values)
    if not rows:
        raise ValueError(f"{source}: the file has no rows but the first, which has names")
    scores = tabular.scores(
        Preprocessing((), model.target), np.concatenate(outputs), np.concatenate(goals)
    )
    if arguments.json:
        terminal.write_file(json.dumps(scores, ensure_ascii=False, indent=2) + "\n")
    else:
        say(f"{source}: {counted(rows, 'row')}", *_lines(model.target, scores))
    terminal.complain(*model.notes)
    return 0


def _lines(target: Column, scores: dict[str, Any]) -> list[str]:
    """Return the lines of a report, with numbers rounded."""
    if "rmse" in scores:
        r2 = scores["r2"]
        return [
            f"RMSE      {scores['rmse']:.6g}",
            f"MAE       {scores['mae']:.6g}",
            "R2        "
            + ("not defined, since all targets are equal" if r2 is None else f"{r2:.4f}"),
        ]
    rows, auc = scores["rows"], scores["auc"]
    right = round(scores["accuracy"] * rows)
    area = "not defined, since all rows are of one class" if auc is None else f"{auc:.4f}"
    if auc is not None and target.width > 2:
        area += " (mean over the classes, each against the others)"
    names = [shown(name) for name in scores["classes"]]
    width = max(len("class"), *map(len, names))
    table = [
        f"{name:{width}}  {each['precision']:9.4f}  {each['recall']:6.4f}  {each['f1']:6.4f}"
        f"  {each['support']:7,}"
        for name, each in zip(names, scores["classes"].values(), strict=True)
    ]
    return [
        f"accuracy  {percent(right, rows)}, {right:,} of {counted(rows, 'row')}",
        f"log loss  {scores['log_loss']:.4f}",
        f"ROC AUC   {area}",
        "",
        f"{'class':{width}}  precision  recall  F1      support",
        *table,
    ]
