"""Preprocessing: inputs of a network from the columns of a table, predictions from its outputs.

A number v becomes (v - mean) / scale, in float64, rounded once to the network's type: the
subtraction comes first and in the wider type, so that 1.7e12 and 1.7e12 + 10 stay apart. A category
becomes an input of 1 among those of 0 of the other categories. An output z of a network that
predicts a number is z * scale + mean, in float64, the product and the sum each rounded. Python, C
headers and ONNX files compute these in this order, so that they have the same bits. A model file
keeps columns and target as JSON.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from cnn import _core
from cnn._base.metadata import COLUMNS
from cnn._base.numbers import exact
from cnn._base.texts import shown
from cnn._tables.numerals import POINT
from cnn._tables.table import Category, Column, Number

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from cnn._base.choices import Task

# The format of the value that a network's metadata have under the key COLUMNS. Format 1 had one
# spelling of each number that is a category.
_FORMAT = 2


@dataclass(frozen=True)
class Preprocessing:
    """The columns that a network takes, and the one that it predicts."""

    columns: tuple[Column, ...]
    target: Column
    decimal: str = POINT
    """The decimal mark of the texts that are numbers."""

    @property
    def inputs(self) -> int:
        """The number of the network's inputs."""
        return sum(column.width for column in self.columns)

    @property
    def task(self) -> Task:
        """The task, "classification" or "regression"."""
        return "classification" if isinstance(self.target, Category) else "regression"

    def x(
        self,
        values: NDArray[np.float64],
        path: str,
        first: int = 0,
        *,
        dtype: np.dtype[Any] | type[np.floating[Any]] = np.float32,
    ) -> NDArray[Any]:
        """Return a network's inputs for the values of the columns, as `table.blocks` yields them.

        `path` begins messages, which count rows from `first` + 1; `dtype` is the network's.
        """
        x = np.zeros((len(values), self.inputs), dtype)
        at = 0
        for column, value in zip(self.columns, values.T, strict=True):
            if isinstance(column, Number):
                with np.errstate(over="ignore"):  # what becomes infinite is refused
                    x[:, at] = (value - column.mean) / column.scale
                _check_finite(x[:, at], value, column.name, path, first)
            else:
                x[np.arange(len(values)), at + value.astype(np.intp)] = 1
            at += column.width
        return x

    def outputs(self, y: NDArray[Any]) -> NDArray[Any]:
        """Return the probabilities (n, classes), or the numbers (n, 1), of a network's outputs."""
        if isinstance(self.target, Category):
            return y
        return y.astype(np.float64) * self.target.scale + self.target.mean

    def predicted(
        self, network: _core.Network, values: NDArray[np.float64], where: str, first: int
    ) -> NDArray[Any]:
        """Return probabilities or numbers of values that were read; messages count from first+1."""
        x = self.x(values, where, first, dtype=network.dtype)
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused
            y = self.outputs(network.predict(x))
        bad = np.flatnonzero(~np.isfinite(y).all(axis=1))
        if bad.size:
            raise ValueError(
                f"{where}: row {first + bad[0] + 1}: the prediction is NaN or infinite; its "
                f"numbers are too far from those that the network was trained on, or the network's "
                f"weights are damaged or too large"
            )
        return y

    def t(self, values: NDArray[np.float64], path: str) -> NDArray[Any]:
        """Return a network's targets for the values of the target's column."""
        if isinstance(self.target, Category):
            return values.astype(np.int64)
        with np.errstate(over="ignore"):
            t = ((values - self.target.mean) / self.target.scale).astype(np.float32)
        _check_finite(t, values, self.target.name, path, 0)
        return t

    def _is_old(self) -> bool:
        """Whether it comes from a file of format 1."""
        categories = [c for c in (*self.columns, self.target) if isinstance(c, Category)]
        return any(column.by_number for column in categories)

    def to_json(self) -> str:
        """Return it as text."""
        content = {
            "format": 1 if self._is_old() else _FORMAT,
            "columns": [_described(column) for column in self.columns],
            "target": _described(self.target),
        }
        if self.decimal != POINT:
            content["decimal"] = self.decimal
        return json.dumps(content, ensure_ascii=False)


def standardised(name: str, values: NDArray[np.float64], path: str) -> Number:
    """Return a column of numbers with their mean and standard deviation."""
    try:
        # NumPy may add in another order elsewhere; the bits of a model depend on these sums.
        mean = math.fsum(values.tolist()) / len(values)
        with np.errstate(over="ignore"):  # what becomes infinite is refused
            from_mean = values - mean
        # Scaling by a power of two is exact. Without it, squares of 1e-170 would be 0.
        power = min(0, math.frexp(float(np.abs(from_mean).max()))[1])
        with np.errstate(over="ignore"):
            squares = np.ldexp(from_mean, -power) ** 2
        scale = math.ldexp(math.sqrt(math.fsum(squares.tolist()) / len(values)), power)
    except OverflowError:
        scale = math.inf
    if not math.isfinite(scale):
        raise ValueError(f"{path}: column {name!r} has numbers that are too large to standardise")
    # A constant column becomes 0: a deviation by rounding alone does not count, but 1 in 1.7e12
    # does.
    constant = scale <= 2 * np.finfo(np.float64).eps * abs(mean)
    return Number(name, mean, 1.0 if constant else scale)


def _check_finite(
    found: NDArray[Any], values: NDArray[np.float64], name: str, path: str, first: int
) -> None:
    bad = np.flatnonzero(~np.isfinite(found))
    if bad.size:
        raise ValueError(
            f"{path}: row {first + bad[0] + 1}, column {name!r} is {exact(values[bad[0]])}, "
            f"which is too far from the numbers that the network was trained on"
        )


# ---- Metadata ----------------------------------------------------------------------------------


def _described(column: Column) -> dict[str, Any]:
    if isinstance(column, Number):
        return {
            "name": column.name,
            "kind": "number",
            "mean": column.mean,
            "scale": column.scale,
        }
    return {"name": column.name, "kind": "category", "categories": list(column.categories)}


def of_network(network: _core.Network, path: str) -> Preprocessing | None:
    """Return the preprocessing in an untrusted model file, or None if it has none."""
    text = network.get_metadata(COLUMNS)
    if text is None:
        return None
    try:
        found = _of_json(text)
        _check_fit(found, network)
    except (ValueError, RecursionError) as error:
        raise _core.ModelFileError(f"{path}: the file's {COLUMNS} is not one: {error}") from error
    return found


def _of_json(text: str) -> Preprocessing:
    content = _object("it", json.loads(text), {"format", "columns", "target"}, {"decimal"})
    if content["format"] not in (1, _FORMAT) or isinstance(content["format"], (bool, float)):
        raise ValueError(f"its format is {content['format']!r}, should be 1 or {_FORMAT}")
    is_old = content["format"] == 1
    if not isinstance(content["columns"], list) or not content["columns"]:
        raise ValueError("its columns should be a list")
    columns = tuple(_column(f"column {i + 1}", c, is_old) for i, c in enumerate(content["columns"]))
    decimal = content.get("decimal", POINT)
    if decimal not in (POINT, ","):
        raise ValueError(f"its decimal is {decimal!r}, should be a point or a comma")
    found = Preprocessing(columns, _column("target", content["target"], is_old), decimal)
    names = [column.name for column in (*columns, found.target)]
    if len(set(names)) < len(names):
        raise ValueError("two of its columns have the same name")
    return found


def _object(
    what: str, value: object, keys: set[str], optional: Collection[str] = ()
) -> dict[str, Any]:
    if not isinstance(value, dict) or set(value).difference(optional) != keys:
        raise ValueError(f"{what} should be an object with {', '.join(sorted(keys))}")
    return value


def _column(what: str, value: object, is_old: bool) -> Column:
    kind = value.get("kind") if isinstance(value, dict) else None
    if kind == "number":
        number = _object(what, value, {"name", "kind", "mean", "scale"})
        mean, scale = number["mean"], number["scale"]
        if not (_is_real(mean) and _is_real(scale) and scale > 0):
            raise ValueError(f"{what} has mean {mean!r} and scale {scale!r}")
        return Number(_name(what, number["name"]), float(mean), float(scale))
    if kind == "category":
        category = _object(what, value, {"name", "kind", "categories"})
        texts = category["categories"]
        if (
            not isinstance(texts, list)
            or not texts
            or not all(map(_is_text, texts))
            or len(set(texts)) < len(texts)
        ):
            raise ValueError(f"{what} should have categories, different texts")
        return Category(_name(what, category["name"]), tuple(texts), by_number=is_old)
    raise ValueError(f"{what} has kind {kind!r}, should be number or category")


def _name(what: str, value: object) -> str:
    if not _is_text(value) or not value:
        raise ValueError(f"{what} should have a name")
    return value


def _is_text(value: object) -> TypeGuard[str]:
    if not isinstance(value, str):
        return False
    try:
        value.encode()  # half of a pair of UTF-16 cannot be written to any file
    except UnicodeEncodeError:
        return False
    return True


def _is_real(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _check_fit(found: Preprocessing, network: _core.Network) -> None:
    for what, should, has in (
        ("inputs", found.inputs, network.inputs),
        ("outputs", found.target.width, network.outputs),
    ):
        if should != has:
            raise ValueError(f"it is for {should} {what}, but the network has {has}")
    activation = network.activation
    if isinstance(found.target, Category) and activation != "softmax":
        raise ValueError(f"it has classes, but the network's last activation is {activation}")


# ---- Summary -----------------------------------------------------------------------------------


def described(plan: Preprocessing) -> list[str]:
    """Return lines that describe how inputs are made of columns, and what outputs mean."""
    rows = []
    at = 0
    for column in plan.columns:
        if isinstance(column, Number):
            how = f"({shown(column.name)} - {exact(column.mean)}) / {exact(column.scale)}"
        else:
            how = f"1 for its category, 0 for others: {_listed(column)}"
        rows.append((_span(at, column.width), shown(column.name), how))
        at += column.width
    target = plan.target
    if isinstance(target, Number):
        how = f"standardised: {shown(target.name)} = output * {exact(target.scale)}"
        how += f" + {exact(target.mean)}"
    else:
        how = f"probabilities of {_listed(target)}"
    last = (_span(0, target.width), shown(target.name), how)
    widths = [max(len(row[i]) for row in (*rows, last)) for i in range(2)]

    def line(row: tuple[str, str, str]) -> str:
        return f"  {row[0]:>{widths[0]}}  {row[1]:{widths[1]}}  {row[2]}"

    lines = ["Inputs", *map(line, rows), f"Outputs ({plan.task})", line(last)]
    if plan.decimal != POINT:
        lines.append(f"Numbers of tables have a {plan.decimal} before their decimals")
    return lines


def _listed(column: Category) -> str:
    return ", ".join(map(shown, column.categories))


def _span(first: int, width: int) -> str:
    return f"{first}" if width == 1 else f"{first}-{first + width - 1}"
