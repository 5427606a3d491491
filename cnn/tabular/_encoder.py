"""Tables as rows of numbers for a Columns layer: what each column is, and its categories."""

from __future__ import annotations

import datetime
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn._base import warning
from cnn._base.texts import did_you_mean, listed
from cnn.columns import Column, Embedding, Ignored, Number, OneHot, Periodic
from cnn.layers import center_and_scale
from cnn.tabular._columns import as_values, is_missing, missing_in, named_columns

if TYPE_CHECKING:
    from numpy.typing import NDArray

    # The values of a column, and its numbers if they are known.
    _Read = tuple[NDArray[Any], list[NDArray[np.float64]] | None]

# How many categories a message names.
_SHOWN = 3
# A date becomes days since 1970, and numbers of parts of it.
_DATE_PARTS = ("days", "month", "weekday", "hour")
# A number on this side of float32's largest, beyond every bound of the network.
_LARGE = 1e30
# Stands for a category that is not known until its code is.
_UNKNOWN = -1.0
# What counts as a number in a column of objects.
_NUMBERS = (Real, Decimal)


@dataclass
class Feature:
    """A column of a table: what it is, and what belongs to it."""

    name: str
    kind: str
    """"number", "category", "boolean" or "date"."""
    categories: list[Any] = field(default_factory=list)
    infrequent: list[Any] = field(default_factory=list)
    """Categories that count as one, whose code follows those of `categories`."""
    missing: bool = False
    """Whether a value was missing when it was fitted."""
    centers: list[float] = field(default_factory=list)
    """What is subtracted from its numbers in float64: of large ones float32 has too few digits."""
    scales: list[float] = field(default_factory=list)
    """By what its numbers are divided then."""

    @property
    def known(self) -> list[Any]:
        """All of its categories; the first ones have codes of their own."""
        return self.categories + self.infrequent

    @property
    def other(self) -> float:
        """The code of a category that is not known: that of the infrequent ones, or NaN."""
        return len(self.categories) if self.infrequent else math.nan

    @property
    def codes(self) -> int:
        """The number of codes of its categories."""
        return len(self.categories) + bool(self.infrequent)

    @property
    def names(self) -> list[str]:
        """The names of its numbers in a row."""
        if self.kind != "date":
            return [self.name]
        return [f"{self.name}.{part}" for part in _DATE_PARTS]


class Encoder:
    """Turns tables into rows of numbers: numbers about 0, categories as codes.

    The median is subtracted of numbers, and they are divided by the distance of the quartiles, in
    float64.

    Parameters
    ----------
    where : str
        The function that the user called, for messages.
    table : table
        The rows that it is fitted to.
    categorical : "auto" or sequence of str or int
        The columns that are categories; "auto" for those of texts, categories and booleans.
    min_frequency : int or float, optional
        The rows, or the share of all rows, below which categories count as one.
    """

    def __init__(
        self,
        where: str,
        table: Any,
        categorical: Any = "auto",
        min_frequency: float | None = None,
    ) -> None:
        self._fit(where, table, categorical, min_frequency)

    def _fit(
        self, where: str, table: Any, categorical: Any, min_frequency: float | None
    ) -> list[_Read]:
        """Set the features; return the columns, with the numbers of those that are numbers."""
        names, columns = columns_of(where, table)
        chosen = _chosen(where, names, categorical)
        self.named = named_columns(table) is not None
        self.features: list[Feature] = []
        found: list[_Read] = []
        for name, (values, is_category) in zip(names, columns, strict=True):
            force = is_category if chosen is None else name in chosen
            feature = _fitted(where, name, values, force=force, free=chosen is None)
            if min_frequency is not None and feature.kind == "category":
                _group_infrequent(feature, values, min_frequency)
            numbers = None
            if feature.kind in ("number", "date") and len(values):
                numbers = _encoded(where, feature, values, "error")
                for number in numbers:
                    center, scale = center_and_scale(where, f"column {name!r}", number)
                    feature.centers.append(center)
                    feature.scales.append(scale)
            self.features.append(feature)
            found.append((values, numbers))
        return found

    @classmethod
    def fitted(
        cls, where: str, table: Any, categorical: Any, min_frequency: float | None
    ) -> tuple[Encoder, NDArray[np.float64]]:
        """Return an encoder and its `transform` of the table that it is fitted to, read once."""
        made = cls.__new__(cls)
        columns = made._fit(where, table, categorical, min_frequency)
        return made, made._rows(where, columns, "warn")

    @classmethod
    def of_features(cls, features: list[Feature], *, named: bool) -> Encoder:
        """Return the encoder of columns that are known."""
        made = cls.__new__(cls)
        made.features, made.named = features, named
        return made

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        return [feature.name for feature in self.features]

    def transform(self, where: str, table: Any, unseen: str = "warn") -> NDArray[np.float64]:
        """Return the rows as numbers; NaN for what is missing.

        A category that is not known counts as infrequent, or as missing if the column has no
        infrequent ones.
        """
        if self._takes_at_once(table):
            return self._of_numbers(where, table)
        names, columns = columns_of(where, table)
        columns = self._ordered(where, names, columns, named_columns(table) is not None)
        return self._rows(where, [(values, None) for values, _ in columns], unseen)

    def _rows(self, where: str, columns: list[_Read], unseen: str) -> NDArray[np.float64]:
        """Return columns as rows of numbers."""
        rows = len(columns[0][0])
        found: list[NDArray[np.float64]] = []
        for feature, (values, known) in zip(self.features, columns, strict=True):
            if len(values) != rows:
                raise ValueError(
                    f"{where}: column {feature.name!r} has {len(values)} values, but column "
                    f"{self.names[0]!r} has {rows}"
                )
            numbers = _encoded(where, feature, values, unseen) if known is None else known
            if feature.centers:
                pairs = zip(feature.centers, feature.scales, strict=True)
                numbers = [
                    _scaled(number, *pair) for number, pair in zip(numbers, pairs, strict=True)
                ]
            found += numbers
        return np.stack(found, axis=1) if rows else np.empty((0, len(found)))

    def of_values(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return rows (n, columns) of numbers and codes of categories as `transform` does.

        A number that is missing is NaN. A category is its place among the known ones, -1 if it is
        missing, and less if it is not known. There are no dates.
        """
        found = []
        for feature, column in zip(self.features, values.T, strict=True):
            if feature.centers:
                found.append(_scaled(column, feature.centers[0], feature.scales[0]))
            else:
                codes = np.minimum(column, len(feature.categories))
                other = np.where(column < -1, feature.other, np.nan)
                found.append(np.where(column < 0, other, codes))
        return np.stack(found, axis=1)

    def _takes_at_once(self, table: Any) -> bool:
        """Whether a table is an array of numbers in all columns, for which there is a short way."""
        return (
            type(table) is np.ndarray
            and table.dtype.kind in "iuf"
            and table.ndim == 2
            and table.shape[1] == len(self.features)
            and all(feature.kind == "number" and feature.centers for feature in self.features)
        )

    def _of_numbers(self, where: str, table: NDArray[Any]) -> NDArray[np.float64]:
        x = table.astype(np.float64)
        infinite = np.isinf(x)
        if infinite.any():
            column = int(infinite.any(axis=0).argmax())
            _numbers(where, self.features[column].name, x[:, column])
        centers = np.array([feature.centers[0] for feature in self.features])
        return _scaled(x, centers, np.array([feature.scales[0] for feature in self.features]))

    def _ordered(
        self, where: str, names: list[str], columns: list[Any], has_names: bool
    ) -> list[Any]:
        """Return the columns in the order in which they were fitted."""
        if not (has_names and self.named):
            if len(columns) != len(self.features):
                kind = where.split(".", maxsplit=1)[0]
                raise ValueError(
                    f"X has {len(columns)} features, but {kind} is expecting "
                    f"{len(self.features)} features as input: {listed(self.names)}"
                )
            return columns
        by_name = dict(zip(names, columns, strict=True))
        for name in self.names:
            if name not in by_name:
                raise ValueError(
                    f"{where}: column {name!r} is missing, the table has "
                    f"{listed(names)}{did_you_mean(name, names)}"
                )
        return [by_name[name] for name in self.names]

    def columns(self, x: NDArray[np.float64], one_hot: int) -> list[Column]:
        """Return what a Columns layer makes of each number of rows."""
        found: list[Column] = []
        at = 0
        for feature in self.features:
            for _ in feature.names:
                found.append(_column(feature, x[:, at], one_hot))
                at += 1
        if all(isinstance(column, Ignored) for column in found):
            found[0] = Number()  # of one value: the network has a bias alone
        return found


def _scaled(number: NDArray[np.float64], center: Any, scale: Any) -> NDArray[np.float64]:
    """Return numbers about 0 that are finite in float32; the network bounds large ones anyway."""
    with np.errstate(over="ignore"):
        found: NDArray[np.float64] = np.clip((number - center) / scale, -_LARGE, _LARGE)
    return found


def _column(feature: Feature, values: NDArray[np.float64], one_hot: int) -> Column:
    if feature.kind in ("category", "boolean"):
        count = feature.codes
        if count < 2 and not (count == 1 and feature.missing):
            return Ignored()
        return OneHot(count) if count <= one_hot else Embedding(count)
    known = values[~np.isnan(values)]
    if known.size == 0 or (known.min() == known.max()):
        return Number(missing=True) if known.size and feature.missing else Ignored()
    return Periodic(missing=feature.missing)


# ---- Columns out of tables ---------------------------------------------------------------------


def columns_of(where: str, table: Any) -> tuple[list[str], list[tuple[NDArray[Any], bool]]]:
    """Return the names of a table's columns, and for each its values and if it is categorical.

    Columns of an array are named by numbers.
    """
    named = named_columns(table)
    if named is None:
        return _of_array(where, table)
    names, get = named
    texts = [str(name) for name in names]
    twice = [name for name, count in Counter(texts).items() if count > 1]
    if twice:
        raise ValueError(f"{where}: column {twice[0]!r} is there twice, names should differ")
    if not texts:
        raise ValueError(f"{where}: the table has no columns: 0 feature(s), needs at least 1")
    return texts, [_values(where, text, get(name)) for text, name in zip(texts, names, strict=True)]


def _of_array(where: str, table: Any) -> tuple[list[str], list[Any]]:
    if hasattr(table, "toarray"):
        raise TypeError(
            f"{where}: X is a sparse matrix, should be a table: a data frame or an array; "
            f"X.toarray() is one"
        )
    array = table if isinstance(table, np.ndarray) else np.asarray(table)
    if array.dtype.kind in "US" and not isinstance(table, np.ndarray):
        array = np.array(table, dtype=object)  # numbers among texts stay numbers
    if array.dtype.kind == "c":
        raise ValueError(f"{where}: X has complex numbers. Complex data not supported")
    if array.ndim != 2:
        raise ValueError(
            f"{where}: X has {array.ndim} dimensions, should be a table of 2. Reshape your data"
        )
    if array.shape[1] == 0:
        raise ValueError(
            f"{where}: 0 feature(s) (shape={array.shape}) while a minimum of 1 is required."
        )
    names = [f"x{j}" for j in range(array.shape[1])]
    return names, [(_plain_values(where, name, array[:, j]), False) for j, name in enumerate(names)]


def _values(where: str, name: str, column: Any) -> tuple[NDArray[Any], bool]:
    """Return a column as an array, and whether its type is a categorical one."""
    dtype = getattr(column, "dtype", None)
    if callable(getattr(column, "to_pylist", None)):  # of Arrow
        is_category = str(getattr(column, "type", "")).startswith("dictionary")
        if is_category:
            column = column.to_pylist()
    elif callable(getattr(column, "to_list", None)) and str(dtype).startswith(
        ("Categorical", "Enum", "category")
    ):
        is_category, column = True, column.to_list()
    else:
        is_category = False
        if hasattr(column, "to_numpy") and str(dtype).startswith("datetime64[ns, "):
            column = column.dt.tz_convert("UTC").dt.tz_localize(None)
    found = as_values(where, name, column)
    array = found if isinstance(found, np.ndarray) else _array_of(found)
    return _plain_values(where, name, array), is_category


def _plain_values(where: str, name: str, values: NDArray[Any]) -> NDArray[Any]:
    """Return values without a mask, dates in microseconds, durations as seconds."""
    if isinstance(values, np.ma.MaskedArray):
        gone = np.ma.getmaskarray(values)
        values = np.ma.getdata(values).astype(object)
        values[gone] = None
    if values.dtype.kind == "O":
        values = _as_dates(where, name, values)
    if values.dtype.kind == "M":
        found = values.astype("datetime64[us]")
        if (found.astype(values.dtype) != values)[~np.isnat(values)].any():
            raise ValueError(f"{where}: column {name!r} has dates that are out of range")
        return found
    if values.dtype.kind == "m":
        return values / np.timedelta64(1, "s")
    if values.dtype.kind == "c":
        raise ValueError(f"{where}: column {name!r} is complex. Complex data not supported")
    return values


def _array_of(values: Sequence[Any]) -> NDArray[Any]:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _as_dates(where: str, name: str, values: NDArray[Any]) -> NDArray[Any]:
    """Return objects that are all dates in UTC, or durations, as such; others as they are."""
    gone = missing_in(values)
    known = values[~gone]
    if not known.size:
        return values
    if all(isinstance(value, datetime.timedelta) for value in known):
        found = np.full(len(values), "NaT", dtype="timedelta64[us]")
        found[~gone] = known
        return found
    if not all(isinstance(value, datetime.date) for value in known):
        return values
    found = np.full(len(values), "NaT", dtype="datetime64[us]")
    try:
        found[~gone] = [_without_zone(value) for value in known]
    except OverflowError:
        raise ValueError(f"{where}: column {name!r} has dates that are out of range") from None
    return found


def _without_zone(date: datetime.date) -> datetime.date:
    if isinstance(date, datetime.datetime) and date.tzinfo is not None:
        return date.astimezone(datetime.UTC).replace(tzinfo=None)
    return date


def _chosen(where: str, names: list[str], categorical: Any) -> set[str] | None:
    """Return the names of the columns that are categories; None if their types decide."""
    if isinstance(categorical, str):
        return None
    found = set()
    for column in categorical:
        if isinstance(column, (int, np.integer)) and not isinstance(column, bool):
            if not -len(names) <= column < len(names):
                raise ValueError(
                    f"{where}: categorical_features has {column}, but there are {len(names)} "
                    f"columns"
                )
            found.add(names[column])
        elif column in names:
            found.add(column)
        else:
            raise ValueError(
                f"{where}: categorical_features has {column!r}, the table has "
                f"{listed(names)}{did_you_mean(str(column), names)}"
            )
    return found


# ---- What a column is --------------------------------------------------------------------------


def _fitted(where: str, name: str, values: NDArray[Any], *, force: bool, free: bool) -> Feature:
    """Return what a column is, by its values."""
    kind = values.dtype.kind
    if kind == "M" and not force:
        return Feature(name, "date", missing=bool(np.isnat(values).any()))
    if kind in "iuf" and not force:
        return Feature(name, "number", missing=bool(np.isnan(_numbers(where, name, values)).any()))
    if kind == "b":
        return Feature(name, "boolean", [False, True])
    if kind == "O" and not force:
        gone = missing_in(values)
        known = values[~gone]
        if all(isinstance(value, (bool, np.bool_)) for value in known) and known.size:
            return Feature(name, "boolean", [False, True], missing=bool(gone.any()))
        if all(isinstance(value, _NUMBERS) for value in known):
            return Feature(name, "number", missing=bool(gone.any()))
    if not free and not force and kind in "OUS":
        raise ValueError(
            f"{where}: column {name!r} has texts such as {_first_text(values)!r}, but "
            f"categorical_features does not have it"
        )
    return _fitted_category(where, name, values)


def _first_text(values: NDArray[Any]) -> Any:
    return next((v for v in values.tolist() if isinstance(v, (str, bytes))), values[0])


def _fitted_category(where: str, name: str, values: NDArray[Any]) -> Feature:
    gone = missing_in(values)
    listed = _hashable(where, name, values)
    seen = {value for value, missing in zip(listed, gone.tolist(), strict=True) if not missing}
    try:
        categories = sorted(seen)
    except TypeError:  # of different types
        categories = sorted(seen, key=lambda value: (type(value).__name__, str(value)))
    return Feature(name, "category", categories, missing=bool(gone.any()))


def _hashable(where: str, name: str, values: NDArray[Any]) -> list[Any]:
    """Return values as a list, which may be keys of a dict."""
    found: list[Any] = values.tolist()
    try:
        set(found)
    except TypeError:
        for row, value in enumerate(found):
            _check_hashable(where, row, name, value)
    return found


def _check_hashable(where: str, row: int, name: str, value: Any) -> None:
    try:
        hash(value)
    except TypeError:
        raise TypeError(
            f"{where}: row {row}, column {name!r} is of type {type(value).__name__}, should be a "
            f"number or a text: argument must be a string or a number"
        ) from None


def _group_infrequent(feature: Feature, values: NDArray[Any], min_frequency: float) -> None:
    """Take the categories that have fewer rows out of the others, as scikit-learn does."""
    counts = Counter(value for value in values.tolist() if not is_missing(value))
    # A share is one of all rows, also of those without a value.
    least = min_frequency if isinstance(min_frequency, Integral) else min_frequency * len(values)
    known = feature.categories
    feature.categories = [category for category in known if counts[category] >= least]
    feature.infrequent = [category for category in known if counts[category] < least]


def _numbers(where: str, name: str, values: NDArray[Any]) -> NDArray[np.float64]:
    """Return a column of numbers as float64, which are finite or NaN."""
    if values.dtype.kind in "OUSbM":
        found = np.empty(len(values))
        for row, value in enumerate(values.tolist()):
            if is_missing(value):
                found[row] = np.nan
            elif isinstance(value, _NUMBERS) and values.dtype.kind != "M":
                try:
                    found[row] = float(value)
                except OverflowError:
                    found[row] = np.inf
            else:
                raise ValueError(
                    f"{where}: row {row}, column {name!r} is {value!r}, should be a number, as it "
                    f"was in fit"
                )
    else:
        found = values.astype(np.float64)
    infinite = np.isinf(found)
    if infinite.any():
        row = int(infinite.argmax())
        raise ValueError(
            f"{where}: row {row}, column {name!r} is {found[row]}, should be finite or missing: "
            f"Input X contains infinity"
        )
    return found


def _encoded(
    where: str, feature: Feature, values: NDArray[Any], unseen: str
) -> list[NDArray[np.float64]]:
    """Return the numbers of a column."""
    if feature.kind == "number":
        return [_numbers(where, feature.name, values)]
    if feature.kind == "date":
        return _dates(where, feature.name, values)
    codes: dict[Any, float] = {category: code for code, category in enumerate(feature.categories)}
    rest = len(codes)
    codes.update(dict.fromkeys(feature.infrequent, rest))
    listed = _hashable(where, feature.name, values)
    found = np.array([codes.get(value, _UNKNOWN) for value in listed], dtype=np.float64)
    found[missing_in(values)] = math.nan
    unknown = found == _UNKNOWN
    found[unknown] = feature.other
    if unknown.any() and unseen != "ignore":
        row = int(unknown.argmax())
        _report(where, feature, (row, listed[row]), unseen)
    return [found]


def _report(where: str, feature: Feature, strange: tuple[int, Any], unseen: str) -> None:
    row, value = strange
    text = f"{where}: row {row}, {strangeness(feature, value)}"
    if unseen == "error":
        raise ValueError(text)
    warning.warn(f"{text}; {consequence(feature)}")


def strangeness(feature: Feature, value: Any) -> str:
    """Return what is said of a value that is none of a column's categories."""
    some = [str(category) for category in feature.known[:_SHOWN]]
    more = len(feature.known) - len(some)
    known = ", ".join(some) + (f" and {more} more" if more > 0 else "")
    return f"column {feature.name!r} is {value!r}, which fit did not see: {known}"


def consequence(feature: Feature) -> str:
    """Return what is said of what becomes of such values."""
    kind = "infrequent" if feature.infrequent else "missing"
    return f"it counts as {kind}, and so do others of its kind"


def _dates(where: str, name: str, values: NDArray[Any]) -> list[NDArray[np.float64]]:
    if values.dtype.kind == "O" and missing_in(values).all():
        values = np.full(len(values), "NaT", dtype="datetime64[us]")
    if values.dtype.kind != "M":
        raise ValueError(
            f"{where}: column {name!r} is of type {values.dtype}, should be dates, as it was in fit"
        )
    gone = np.isnat(values)
    days = values.astype("datetime64[D]")
    months = values.astype("datetime64[M]").astype(np.int64) % 12 + 1
    weekdays = (days.astype(np.int64) + 3) % 7
    seconds = (values - days) / np.timedelta64(1, "s")
    parts = (
        days.astype(np.int64) + seconds / 86400.0,
        months.astype(np.float64),
        weekdays.astype(np.float64),
        seconds / 3600.0,
    )
    return [np.where(gone, math.nan, part) for part in parts]
