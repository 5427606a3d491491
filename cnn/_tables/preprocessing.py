"""Preprocessing: inputs of a network from the columns of a table, predictions from its outputs.

A number v becomes (v - mean) / scale, in float64, rounded once to the network's type: the
subtraction comes first and in the wider type, so that 1.7e12 and 1.7e12 + 10 stay apart. A category
becomes an input of 1 among those of 0 of the other categories. An output z of a network that
predicts a number is z * scale + mean, in float64, the product and the sum each rounded. Python, C
headers and ONNX files compute these in this order, so that they have the same bits. A model file
keeps columns and target as JSON.

A missing value is NaN among numbers, and -1 among the indices of categories. A model that was
trained with fillings replaces it: by a number, by a category, or by an input of its own.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

import numpy as np

from cnn import _core
from cnn._base.metadata import COLUMNS
from cnn._base.moments import column_moments
from cnn._base.numbers import exact
from cnn._base.texts import shown
from cnn._tables.numerals import POINT
from cnn._tables.table import Category, Column, Number

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from numpy.typing import NDArray

    from cnn._base.choices import Task

# The format of the value that a network's metadata have under the key COLUMNS. Format 1 had one
# spelling of each number that is a category. Format 3 adds what missing values become, and is
# written only if a model has that, so that earlier versions read all other files.
_FORMAT = 2
_FORMAT_WITH_FILLINGS = 3
_ABSENT = object()

POLICIES = ("error", "drop", "mean", "median", "category")
"""What training does about missing values."""


@dataclass(frozen=True)
class Filling:
    """What stands for the missing values of a column."""

    value: float | None
    """The number, or the index of the category; None for a category that only has an indicator."""
    indicator: bool = False
    """Whether the column has one more input, which is 1 if the value is missing and 0 otherwise."""


@dataclass(frozen=True)
class Preprocessing:
    """The columns that a network takes, and the one that it predicts."""

    columns: tuple[Column, ...]
    target: Column
    decimal: str = POINT
    """The decimal mark of the texts that are numbers."""
    fillings: tuple[Filling, ...] | None = None
    """What stands for a missing value of each column; None if missing values are refused."""
    missing: frozenset[str] = frozenset()
    """The texts that stand for missing values, if there are fillings."""

    @property
    def inputs(self) -> int:
        """The number of the network's inputs."""
        return sum(width for _, _, width in self.parts())

    def parts(self) -> Iterator[tuple[Column, Filling | None, int]]:
        """Yield each column with its filling or None, and how many inputs it takes."""
        for i, column in enumerate(self.columns):
            filling = None if self.fillings is None else self.fillings[i]
            yield column, filling, column.width + (filling is not None and filling.indicator)

    @property
    def task(self) -> Task:
        """The task, "classification" or "regression"."""
        return "classification" if isinstance(self.target, Category) else "regression"

    def x(
        self,
        values: NDArray[np.float64] | Sequence[NDArray[Any]],
        path: str,
        first: int = 0,
        *,
        dtype: np.dtype[Any] | type[np.floating[Any]] = np.float32,
    ) -> NDArray[Any]:
        """Return a network's inputs for the values of the columns.

        `values` is an array (rows, columns), as `table.blocks` yields, or a list of columns. `path`
        begins messages, which count rows from `first` + 1; `dtype` is the network's.
        """
        columns = values.T if isinstance(values, np.ndarray) else values
        rows = len(columns[0])
        x = np.zeros((rows, self.inputs), dtype)
        at = 0
        for (column, filling, width), value in zip(self.parts(), columns, strict=True):
            if isinstance(column, Number):
                number = value
                if filling is not None:
                    gone = np.isnan(value)
                    number = np.where(gone, filling.value, value)
                    x[:, at + width - 1] = gone  # overwritten below if there is no indicator
                with np.errstate(over="ignore"):  # what becomes infinite is refused
                    x[:, at] = (number - column.mean) / column.scale
                _check_finite(x[:, at], number, column.name, path, first)
            else:
                codes = value.astype(np.intp)
                if filling is not None:
                    place = column.width if filling.value is None else int(filling.value)
                    codes = np.where(codes < 0, place, codes)
                x[np.arange(rows), at + codes] = 1
            at += width
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

    def t(self, values: NDArray[np.float64], path: str, first: int = 0) -> NDArray[Any]:
        """Return a network's targets for the values of the target's column; messages as by `x`."""
        if isinstance(self.target, Category):
            return values.astype(np.int64)
        with np.errstate(over="ignore"):
            t = ((values - self.target.mean) / self.target.scale).astype(np.float32)
        _check_finite(t, values, self.target.name, path, first)
        return t

    def _is_old(self) -> bool:
        """Whether it comes from a file of format 1."""
        categories = [c for c in (*self.columns, self.target) if isinstance(c, Category)]
        return any(column.by_number for column in categories)

    def to_json(self) -> str:
        """Return it as text."""
        content = {
            "format": 1 if self._is_old() else _FORMAT,
            "columns": [_described(column, filling) for column, filling, _ in self.parts()],
            "target": _described(self.target),
        }
        if self.decimal != POINT:
            content["decimal"] = self.decimal
        if self.fillings is not None:
            content["format"] = _FORMAT_WITH_FILLINGS
            content["missing"] = sorted(self.missing)
        return json.dumps(content, ensure_ascii=False)


def filling(policy: str, column: Column, values: NDArray[Any], path: str) -> Filling:
    """Return what stands for the missing values of a column, learnt from those that are there.

    With "mean" and "median", categories become the most frequent one, the first of equals. With
    "category", a column that has missing values gets an indicator; numbers become the mean, too.
    A column without missing values has nothing to learn of an indicator, and is treated as with
    "mean".
    """
    gone = np.isnan(values) if isinstance(column, Number) else values < 0
    there = values[~gone]

    def number() -> float:
        if policy == "median":
            return float(np.median(there))
        return standardised(column.name, there, path).mean

    return filling_of(
        policy,
        column,
        there.size,
        int(np.count_nonzero(gone)),
        path,
        number=number,
        counts=lambda: np.bincount(there.astype(np.intp)),
    )


def filling_of(
    policy: str,
    column: Column,
    there: int,
    gone: int,
    path: str,
    *,
    number: Callable[[], float],
    counts: Callable[[], NDArray[np.integer[Any]]],
) -> Filling:
    """Return what `filling` does, for a column with `there` values, and `gone` missing ones.

    `number` returns the mean, or the median if that is the policy; `counts` how often each category
    occurs.
    """
    if not there:
        raise ValueError(
            f"{path}: column {column.name!r} has no values in the rows to learn from; should be "
            f"left out"
        )
    indicator = policy == "category" and gone > 0
    if isinstance(column, Number):
        return Filling(number(), indicator)
    if indicator:
        return Filling(None, True)
    return Filling(float(counts().argmax()))


def standardised(name: str, values: NDArray[np.float64], path: str) -> Number:
    """Return a column of numbers with their mean and standard deviation, 1 if all are the same."""
    (mean,), (scale,) = column_moments(lambda: [values[:, np.newaxis]])
    return number_of(name, mean, scale, path)


def number_of(name: str, mean: float, scale: float, path: str) -> Number:
    """Return a column of numbers with a mean and a standard deviation, if that is finite."""
    if not math.isfinite(scale):
        raise ValueError(f"{path}: column {name!r} has numbers that are too large to standardise")
    return Number(name, mean, scale)


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


def _described(column: Column, filling: Filling | None = None) -> dict[str, Any]:
    found: dict[str, Any] = {"name": column.name}
    if isinstance(column, Number):
        found |= {"kind": "number", "mean": column.mean, "scale": column.scale}
    else:
        found |= {"kind": "category", "categories": list(column.categories)}
    if filling is not None:
        fill: float | str | None = filling.value
        if fill is not None and isinstance(column, Category):
            fill = column.categories[int(fill)]
        found |= {"fill": fill, "indicator": filling.indicator}
    return found


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
    content = _object(
        "it", json.loads(text), {"format", "columns", "target"}, {"decimal", "missing"}
    )
    version = content["format"]
    if version not in (1, _FORMAT, _FORMAT_WITH_FILLINGS) or isinstance(version, (bool, float)):
        raise ValueError(
            f"its format is {version!r}, should be 1, {_FORMAT} or {_FORMAT_WITH_FILLINGS}"
        )
    is_old, filled = version == 1, version == _FORMAT_WITH_FILLINGS
    if not isinstance(content["columns"], list) or not content["columns"]:
        raise ValueError("its columns should be a list")
    columns, fillings = [], []
    for i, value in enumerate(content["columns"]):
        what, rest, fill = f"column {i + 1}", value, {}
        if filled and isinstance(value, dict):
            fill = {key: value.get(key, _ABSENT) for key in ("fill", "indicator")}
            rest = {key: of_key for key, of_key in value.items() if key not in fill}
        columns.append(_column(what, rest, is_old))
        if filled:
            fillings.append(_filling(what, columns[-1], fill["fill"], fill["indicator"]))
    decimal = content.get("decimal", POINT)
    if decimal not in (POINT, ","):
        raise ValueError(f"its decimal is {decimal!r}, should be a point or a comma")
    missing = content.get("missing", [])
    if ("missing" in content) != filled or not are_texts(missing):
        raise ValueError("its missing should be a list of texts, in format 3 alone")
    found = Preprocessing(
        tuple(columns),
        _column("target", content["target"], is_old),
        decimal,
        tuple(fillings) if filled else None,
        frozenset(missing),
    )
    names = [column.name for column in (*columns, found.target)]
    if len(set(names)) < len(names):
        raise ValueError("two of its columns have the same name")
    return found


def _filling(what: str, column: Column, fill: object, indicator: object) -> Filling:
    """Return the filling of a column in an untrusted file."""
    if isinstance(indicator, bool):
        if isinstance(column, Number) and _is_real(fill):
            return Filling(float(fill), indicator)  # type: ignore[arg-type]
        if isinstance(column, Category):
            if indicator and fill is None:
                return Filling(None, True)
            if not indicator and isinstance(fill, str) and fill in column.codes:
                return Filling(float(column.codes[fill]))
    raise ValueError(f"{what} should have fill and indicator, what stands for missing values")


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
        if not texts or not are_texts(texts) or len(set(texts)) < len(texts):
            raise ValueError(f"{what} should have categories, different texts")
        return Category(_name(what, category["name"]), tuple(texts), by_number=is_old)
    raise ValueError(f"{what} has kind {kind!r}, should be number or category")


def _name(what: str, value: object) -> str:
    if not is_text(value) or not value:
        raise ValueError(f"{what} should have a name")
    return value


def is_text(value: object) -> TypeGuard[str]:
    """Whether a value of an untrusted file is a text that any other file can hold."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()  # half of a pair of UTF-16 cannot be written to any file
    except UnicodeEncodeError:
        return False
    return True


def are_texts(value: object) -> TypeGuard[list[str]]:
    """Whether a value of an untrusted file is a list of such texts."""
    return isinstance(value, list) and all(map(is_text, value))


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


Row: TypeAlias = tuple[str, str, str]
"""Numbers of inputs or outputs, the column, and how the ones are made of the other."""


def input_rows(plan: Preprocessing) -> list[Row]:
    """Return how inputs are made of columns."""
    rows = []
    at = 0
    for column, filling, width in plan.parts():
        if isinstance(column, Number):
            how = f"({shown(column.name)} - {exact(column.mean)}) / {exact(column.scale)}"
        else:
            how = f"1 for its category, 0 for others: {_listed(column)}"
        if filling is not None:
            how += f"; if missing, {_told(column, filling, at + width - 1)}"
        rows.append((_span(at, width), shown(column.name), how))
        at += width
    return rows


def output_row(plan: Preprocessing) -> Row:
    """Return what outputs mean."""
    target = plan.target
    if isinstance(target, Number):
        how = f"standardised: {shown(target.name)} = output * {exact(target.scale)}"
        how += f" + {exact(target.mean)}"
    else:
        how = f"probabilities of {_listed(target)}"
    return _span(0, target.width), shown(target.name), how


def described(plan: Preprocessing) -> list[str]:
    """Return lines that describe how inputs are made of columns, and what outputs mean."""
    rows, last = input_rows(plan), output_row(plan)
    widths = [max(len(row[i]) for row in (*rows, last)) for i in range(2)]

    def line(row: Row) -> str:
        return f"  {row[0]:>{widths[0]}}  {row[1]:{widths[1]}}  {row[2]}"

    lines = ["Inputs", *map(line, rows), f"Outputs ({plan.task})", line(last)]
    if plan.decimal != POINT:
        lines.append(f"Numbers of tables have a {plan.decimal} before their decimals")
    return lines


def _told(column: Column, filling: Filling, last: int) -> str:
    """Return what a missing value becomes; `last` is the column's last input."""
    found = []
    if filling.value is not None:
        if isinstance(column, Category):
            found.append(shown(column.categories[int(filling.value)]))
        else:
            found.append(exact(filling.value))
    if filling.indicator:
        found.append(f"1 in input {last}")
    return " and ".join(found)


def _listed(column: Category) -> str:
    return ", ".join(map(shown, column.categories))


def _span(first: int, width: int) -> str:
    return f"{first}" if width == 1 else f"{first}-{first + width - 1}"
