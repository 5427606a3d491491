"""Which model ``cnn train`` trains: by the option --model, by other options, or by the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnn._base import extras, texts
from cnn._tables.table import Category

if TYPE_CHECKING:
    from argparse import Namespace

    from cnn._tables.content import Content

DENSE, TABULAR = "dense", "tabular"
MODELS = (DENSE, TABULAR)
# The options that one of the models has alone.
_OWN = {
    DENSE: ("l2", "folds", "shards", "checkpoint", "every"),
    TABULAR: ("preset", "n_ens"),
}
# The policies about missing values that only the dense model has.
_FILLING = ("mean", "median", "category")
LARGEST_SEED = 2**32 - 1
"""The largest seed of the tabular model, that of scikit-learn."""


def by_options(arguments: Namespace) -> tuple[str | None, str]:
    """Return the model that the options call for, or None, and why if --model is not given.

    Raises
    ------
    ValueError
        If there is an option that the model does not have.
    """
    given = {model: _given(arguments, model) for model in MODELS}
    if arguments.model is not None:
        alien = given[other(arguments.model)]
        if alien:
            raise ValueError(
                f"train: {alien[0]} is given, which --model {arguments.model} does not have; "
                f"--model {other(arguments.model)} has it"
            )
        return arguments.model, ""
    if given[DENSE] and given[TABULAR]:
        raise ValueError(
            f"train: {given[DENSE][0]} is given, which only --model {DENSE} has, and "
            f"{given[TABULAR][0]}, which only --model {TABULAR} has"
        )
    for model in MODELS:
        if given[model]:
            return model, f"the one that has {given[model][0]}"
    return None, ""


def by_table(found: Content, target: str) -> tuple[str, str]:
    """Return the model for a table, and why."""
    columns = {name: each for name, each in found.columns.items() if name != target}
    for what, names in (
        ("categories", [n for n, each in columns.items() if isinstance(each.column, Category)]),
        ("missing values", [n for n, each in columns.items() if each.missing]),
    ):
        if names:
            return TABULAR, f"since there are {what} in {texts.listed(names, 3)}"
    return DENSE, "since all columns are numbers and none is missing"


def other(model: str) -> str:
    """Return the model that is not this one."""
    return DENSE if model == TABULAR else TABULAR


def check_tabular(arguments: Namespace) -> None:
    """Refuse what the tabular model cannot do.

    Raises
    ------
    ImportError
        If scikit-learn is not installed.
    ValueError
        If the seed is too large.
    """
    try:
        extras.require("train", "sklearn.utils.validation", "sklearn", has="validate_data")
    except ImportError as error:
        raise ImportError(
            f"{error}, for --model {TABULAR}; --model {DENSE} does without", name=error.name
        ) from error
    if arguments.seed > LARGEST_SEED:
        raise ValueError(
            f"train: --seed is {arguments.seed}, should be at most {LARGEST_SEED} for --model "
            f"{TABULAR}"
        )


def _given(arguments: Namespace, model: str) -> list[str]:
    """Return the options that are given and that only this model has."""
    found = [
        "--" + name.replace("_", "-")
        for name in _OWN[model]
        if getattr(arguments, name) is not None
    ]
    policy, _ = arguments.missing
    if model == DENSE and policy in _FILLING:
        found.append(f"--missing {policy}")
    return found
