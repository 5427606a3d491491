"""Arguments that plots have in common."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

from cnn import _core, losses
from cnn._base import checks, texts
from cnn._base.numbers import exact
from cnn.callbacks import is_higher_better
from cnn.sequential import Sequential

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from cnn.history import History


class Fitted(Protocol):
    """An estimator of `cnn.sklearn` after fit."""

    net_: Sequential


class Recorded(Protocol):
    """An estimator of `cnn.sklearn` after fit."""

    history_: History


class Tabular(Protocol):
    """A `cnn.tabular.TableModel`."""

    net: Sequential


Network: TypeAlias = "Sequential | Fitted"

# The most classes of a plot; there is no room for the names of more.
MOST_CLASSES = 1000
MOST_NAMED = 30


def network(where: str, net: object) -> Sequential:
    """Return a network, or that of a fitted estimator."""
    refuse_table(where, net)
    found = getattr(net, "net_", net)
    if not isinstance(found, Sequential):
        raise TypeError(
            f"{where}: net is of type {type(net).__name__}, should be a cnn.Sequential or a fitted "
            f"estimator of cnn.sklearn"
        )
    return found


def network_of_table(net: object) -> Sequential | None:
    """Return the network of a `cnn.tabular.TableModel`; None if `net` is something else."""
    found = getattr(net, "net", None)
    return found if isinstance(found, Sequential) else None


def refuse_table(where: str, net: object) -> None:
    """Refuse a `cnn.tabular.TableModel` if it is not clear whether x is a table."""
    if network_of_table(net) is not None:
        raise TypeError(
            f"{where}: net is of type {type(net).__name__}, should be its network, model.net, "
            f"whose inputs are model.transform(table)"
        )


def higher_is_better(metric: str) -> bool:
    """Whether more of a metric is better, as of accuracies and scores."""
    return metric.endswith("score") or bool(is_higher_better(metric))


def image_shape(where: str, shape: object, net: Sequential) -> tuple[int, ...]:
    """Return the shape of a network's inputs as an image, which may have three colours."""
    if not isinstance(shape, (tuple, list)) or len(shape) not in (2, 3):
        raise TypeError(
            f"{where}: shape is {shape!r}, should be a tuple (height, width) or (height, width, 3)"
        )
    found = tuple(checks.integer(where, f"shape[{i}]", n, 1) for i, n in enumerate(shape))
    if len(found) == 3 and found[2] != 3:
        raise ValueError(f"{where}: shape is {shape!r}, should end with 3, as there are 3 colours")
    if math.prod(found) != net.inputs:
        raise ValueError(
            f"{where}: shape is {shape!r}, which makes {math.prod(found)} numbers, but the first "
            f"layer has {net.inputs} inputs"
        )
    return found


def probabilities(where: str, p: NDArray[Any]) -> NDArray[Any]:
    """Return a column for each class; a single column is that of class 1 of two."""
    checks.within(where, "p", p)
    if p.shape[1] > 1:
        return p
    checks.within(where, "p", p, 0, 1)
    return np.hstack([1 - p, p])


def labels(where: str, name: str, value: ArrayLike, rows: int) -> NDArray[np.int64]:
    """Return checked class numbers."""
    is_t = name == "t"
    found = losses.numeric_targets(where, value) if is_t else _core.numeric(where, name, value)
    if found.shape != (rows,) or rows == 0:
        raise ValueError(
            f"{where}: {name} has shape {found.shape}, should be ({max(rows, 1)},), a class for "
            f"each sample"
        )
    at = _core.first_outside(found, 0, MOST_CLASSES - 1, whole=True)
    if at >= 0:
        raise ValueError(
            f"{where}: {name} has {exact(found[at])} in row {at}, should have class numbers from "
            f"0 to {MOST_CLASSES - 1}"
        )
    return found.astype(np.int64)


def class_numbers(where: str, t: ArrayLike, rows: int, source: object) -> NDArray[np.int64]:
    """Return checked class numbers; those of an estimator's labels, if `source` is one."""
    classes = getattr(source, "classes_", None)
    if not isinstance(classes, np.ndarray):
        return labels(where, "t", t, rows)
    given = np.asarray(t)
    number = {label: i for i, label in enumerate(classes.tolist())}
    if given.shape != (rows,):
        raise ValueError(
            f"{where}: t has shape {given.shape}, should be ({rows},), a class for each sample"
        )
    for row, label in enumerate(given.tolist()):
        if label not in number:
            raise ValueError(
                f"{where}: t has {label!r} in row {row}, should have one of the estimator's "
                f"classes, {texts.listed([str(name) for name in number])}"
            )
    return np.array([number[label] for label in given.tolist()], np.int64)


def class_names(
    where: str,
    names: Sequence[str] | None,
    classes: int,
    source: object = None,
    *,
    what: str = "class_names",
    of: str = "classes",
) -> list[str]:
    """Return a name for each class: by default those of a network or a model, or numbers.

    `what` is the argument and `of` what it names, for messages.
    """
    if names is None:
        for attribute in ("class_names", "classes_", "classes"):
            own = getattr(source, attribute, None)
            if own is not None and len(own) == classes:
                return [str(name) for name in own]
        return [str(i) for i in range(classes)]
    if isinstance(names, str) or not hasattr(names, "__iter__"):
        raise TypeError(
            f"{where}: {what} is of type {type(names).__name__}, should be a list of names"
        )
    found = [str(name) for name in names]
    if len(found) != classes:
        raise ValueError(f"{where}: {what} has {len(found)} names, but there are {classes} {of}")
    return found


def limits(where: str, given: object, least: float, most: float | None) -> tuple[float, float]:
    """Return a smaller and a larger number."""
    if not isinstance(given, (tuple, list)) or len(given) != 2:
        raise TypeError(f"{where}: limits is {given!r}, should be a tuple of two numbers")
    low, high = (
        checks.real(where, f"limits[{i}]", limit, low=least, most=most)
        for i, limit in enumerate(given)
    )
    if low >= high:
        raise ValueError(f"{where}: limits is {given}, should be a smaller and a larger number")
    return low, high
