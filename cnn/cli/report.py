"""What ``cnn train`` prints: the table, the network, and the scores."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any

from cnn._base import texts
from cnn._tables import content, csv_file, numerals
from cnn._tables.table import Category
from cnn.cli.common import counted, percent
from cnn.cli.terminal import say
from cnn.tabular import Fitted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnn._tables.content import Content
    from cnn._tables.table import Column
    from cnn.tabular import EstimatorStart, FittedEstimator, Outline, Start

# A column with more categories is reported if most rows have one of their own.
_FEW_CATEGORIES = 20


def kept(fitted: Fitted | FittedEstimator) -> str:
    """Return which epoch a model is of, if it was chosen by held-out rows."""
    if isinstance(fitted, Fitted):
        if not fitted.early:
            return ""
        epochs = len(fitted.history)
        return f" (epoch {fitted.best_epoch} of {epochs}, the one with the least held-out loss)"
    if fitted.held_out is None:
        return ""
    best = fitted.estimator.best_epochs_
    how = "the best on" if len(best) == 1 else "chosen by"
    return (
        f" (epoch{'s' * (len(best) > 1)} {texts.listed(list(map(str, best)))} of "
        f"{fitted.estimator.n_iter_}, {how} the held-out rows)"
    )


def print_start(
    found: Content | Outline, start: Start, policy: str, folds: int = 0, why: str = ""
) -> None:
    """Print what the table holds, and what the network learns from; `why` is of the model."""
    plan = start.plan
    done = counted(start.left_out, "row") + " left out" if policy == "drop" else policy
    _print_table(found, plan.columns, plan.target, start.rows, done, plan.decimal)
    widths = "-".join(map(str, (plan.inputs, *start.hidden, plan.target.width)))
    held = f"{start.held:,} held out"
    if folds:
        held = "none held out, for the median of the folds' best epochs"
    say(*([f"model dense, {why}"] if why else []))
    say(f"network {widths}: learns from {counted(start.rows - start.held, 'row')}, {held}")
    # Before the lines of progress, which go to stderr.
    sys.stdout.flush()


def print_estimator_start(
    found: Content, start: EstimatorStart, policy: str, decimal: str, why: str = ""
) -> None:
    """Print what the table holds, and what the networks of an estimator learn from."""
    done = "as features" if policy != "drop" else counted(start.left_out, "row") + " left out"
    _print_table(found, start.columns, start.target, start.rows, done, decimal)
    say(
        *(
            f"column {name}: only held-out rows have {count:,} of its categories, as missing values"
            for name, count in start.strange.items()
        )
    )
    say(*([f"model tabular, {why}"] if why else []))
    hidden = "-".join(map(str, start.hidden)) or "none"
    networks = "network" if start.networks == 1 else f"{start.networks} networks"
    say(
        f"{networks} with hidden layers {hidden}, for {counted(start.epochs, 'epoch')}: learns "
        f"from {counted(start.rows - start.held, 'row')}, {start.held:,} held out"
    )
    sys.stdout.flush()


def _print_table(
    found: Content | Outline,
    columns: Sequence[Column],
    target: Column,
    rows: int,
    done: str,
    decimal: str,
) -> None:
    """Print what the table holds; `done` says what is done about missing values."""
    is_class = isinstance(target, Category)
    outputs = f"{target.width} classes" if is_class else "a number"
    task = "classification" if is_class else "regression"
    say(
        f"{found.source}: {counted(found.rows, 'row')}, {counted(len(columns), 'column')} to "
        f"learn from"
    )
    gaps = [f"{n} ({c.missing:,})" for n, c in found.columns.items() if c.missing]
    if gaps:
        say(f"missing values, {done}: {texts.listed(gaps)}")
    categories = [column for column in columns if isinstance(column, Category)]
    if categories:
        counts = texts.listed([f"{column.name} ({column.width})" for column in categories])
        say(f"categories: {counts}")
    say(*_notes(categories, target, decimal, rows))
    digits = [note for each in found.columns.values() if (note := content.note_on_digits(each))]
    task = f"{task}; {found.hint}" if found.hint else task
    say(*digits, f"target {target.name}: {outputs} ({task})")


def _notes(categories: list[Category], target: Column, decimal: str, rows: int) -> list[str]:
    """Return notes on columns of categories that may be mistakes."""
    # Nothing can be learnt from a category that occurs in one row, such as a name or a row number.
    notes = [
        f"column {column.name} is another one in most rows, which teaches nothing; "
        f"{csv_file.option('--drop', column.name)} leaves it out"
        for column in categories
        if column.width > max(_FEW_CATEGORIES, rows / 2)
    ]
    for each in (*categories, target):
        if isinstance(each, Category) and (same := _same_number(each, decimal)):
            notes.append(
                f"column {each.name} has {same[0]} and {same[1]}, which are different texts, "
                f"and so different categories, for one number"
            )
    return notes


def _same_number(column: Category, decimal: str) -> tuple[str, str] | None:
    """Return two categories that are the same number, or None."""
    seen: dict[float, str] = {}
    for text in column.categories:
        number = numerals.number(text, decimal)
        if number is not None and seen.setdefault(number, text) != text:
            return seen[number], text
    return None


def score(fitted: Fitted | FittedEstimator) -> str:
    """Return a line on the held-out rows, beside the best guess that needs no network."""
    scores, baseline = fitted.held_out or {}, fitted.baseline
    rows = scores["rows"]
    if "rmse" in scores:
        r2 = "" if scores["r2"] is None else f", R2 {scores['r2']:.4f}"
        return (
            f"held out: RMSE {scores['rmse']:.6g}{r2} (always the mean: RMSE "
            f"{baseline['rmse']:.6g}, the baseline of the same rows; rounded)"
        )
    right, base = (round(each["accuracy"] * rows) for each in (scores, baseline))
    return (
        f"held out: accuracy {percent(right, rows)}, {right:,} of {counted(rows, 'row')} (always "
        f"{baseline['guess']}: {percent(base, rows)}, {base:,}, the baseline of the same rows)"
    )


# ---- Folds -------------------------------------------------------------------------------------

# The scores that folds print, and how.
_PRINTED = {
    "accuracy": ("accuracy", ".4f"),
    "log_loss": ("log loss", ".4f"),
    "auc": ("ROC AUC", ".4f"),
    "rmse": ("RMSE", ".6g"),
    "mae": ("MAE", ".6g"),
    "r2": ("R2", ".4f"),
}


def print_fold(
    folds: list[dict[str, Any]], number: int, scores: dict[str, Any], count: int
) -> None:
    """Print the scores of a fold, and after the last one the means."""
    folds.append(scores)
    found = [
        f"{word} {scores[name]:{form}}"
        for name, (word, form) in _PRINTED.items()
        if scores.get(name) is not None
    ]
    say(f"fold {number} of {count}: {', '.join(found)}")
    if number == count:
        say(f"{count} folds, mean and standard deviation: {', '.join(_means(folds))}")
    sys.stdout.flush()


def _means(folds: list[dict[str, Any]]) -> list[str]:
    found = []
    for name, (word, form) in _PRINTED.items():
        values = [scores[name] for scores in folds if scores.get(name) is not None]
        if values:
            mean = math.fsum(values) / len(values)
            deviation = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / len(values))
            found.append(f"{word} {mean:{form}} +- {deviation:{form}}")
    return found
