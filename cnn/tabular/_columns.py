"""Numbers and category indices, for preprocessing, from data frames, dicts and rows of values."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn._base.texts import did_you_mean, listed
from cnn._tables import numerals
from cnn._tables.table import Category

if TYPE_CHECKING:
    from typing import TypeAlias

    from numpy.typing import NDArray

    from cnn._tables.table import Column, Number

    # A column's values, taken from the user's table.
    Values: TypeAlias = "NDArray[Any] | list[Any]"

_SHOULD = (
    "a data frame, a dict of columns, or a list of rows; one row is [[...]] or [{'column': ...}]"
)
# The texts that programs write for truth values.
_TRUTH = {True: ("True", "true", "TRUE"), False: ("False", "false", "FALSE")}


class Reader:
    """Reads the columns of a model from a user's table of any supported type.

    Parameters
    ----------
    columns : tuple of Number and Category
        The columns, in the model's order.
    decimal : str
        The decimal mark of numbers that are texts.
    missing : frozenset of str, optional
        Texts that stand for missing values. If given, missing values become NaN among numbers and
        -1 among indices of categories; otherwise they are refused.
    """

    def __init__(
        self, columns: tuple[Column, ...], decimal: str, missing: frozenset[str] | None = None
    ) -> None:
        self._columns = columns
        self._decimal = decimal
        self._missing = missing
        self._names = [column.name for column in columns]

    def read(self, where: str, given: object) -> NDArray[np.float64]:
        """Return a float64 array (rows, columns) of numbers and of the indices of categories."""
        found = self._found(where, given)
        rows = len(found[0])
        values = np.empty((rows, len(found)))
        for i, (column, column_values) in enumerate(zip(self._columns, found, strict=True)):
            if len(column_values) != rows:
                raise ValueError(
                    f"{where}: column {column.name!r} has {len(column_values)} values, but column "
                    f"{self._names[0]!r} has {rows}"
                )
            if isinstance(column, Category):
                values[:, i] = _places(where, column, column_values, self._missing)
            else:
                values[:, i] = _numbers_of(
                    where, column, column_values, self._decimal, self._missing
                )
        return values

    def read_with_target(
        self, where: str, given: object, target: Column
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the columns as `read` does, and the values of the target, none of them missing."""
        values = Reader((*self._columns, target), self._decimal, self._missing).read(where, given)
        goal = values[:, -1]
        gone = goal < 0 if isinstance(target, Category) else np.isnan(goal)
        if gone.any():
            row = int(gone.argmax())
            raise ValueError(
                f"{where}: row {row}, column {target.name!r} is missing, should be "
                f"{target.expected}, since it is the target"
            )
        return values[:, :-1], goal

    # ---- Columns out of tables ------------------------------------------------------------------

    def _found(self, where: str, given: Any) -> list[Values]:
        """Return the values of each column of a table."""
        named = named_columns(given)
        if named is not None:
            return self._by_name(where, *named)
        if isinstance(given, (str, bytes)) or not (
            isinstance(given, (Sequence, np.ndarray)) or hasattr(given, "__array__")
        ):
            raise TypeError(f"{where}: rows is of type {type(given).__name__}, should be {_SHOULD}")
        return self._of_rows(where, given)

    def _by_name(self, where: str, names: list[Any], get: Any) -> list[Values]:
        counts = Counter(names)
        found = []
        for name in self._names:
            if counts[name] != 1:
                raise ValueError(f"{where}: column {name!r} {_not_once(name, counts[name], names)}")
            found.append(as_values(where, name, get(name)))
        return found

    def _of_rows(self, where: str, given: Any) -> list[Values]:
        """Return the columns of rows whose values are in the model's order."""
        if not isinstance(given, (list, tuple)):
            array = given if isinstance(given, np.ndarray) else np.asarray(given)
            if array.ndim != 2:
                raise ValueError(f"{where}: rows has {array.ndim} dimensions, should be {_SHOULD}")
            self._check_width(where, 0, array.shape[1])
            return [array[:, i] for i in range(array.shape[1])]
        found: list[list[Any]] = [[] for _ in self._names]
        for i, row in enumerate(given):
            if isinstance(row, Mapping):
                for name, values in zip(self._names, found, strict=True):
                    if name not in row:
                        raise ValueError(
                            f"{where}: row {i}: column {name!r} {_not_once(name, 0, list(row))}"
                        )
                    values.append(row[name])
                continue
            if isinstance(row, (str, bytes)) or not isinstance(row, (Sequence, np.ndarray)):
                raise TypeError(
                    f"{where}: row {i} is of type {type(row).__name__}, rows should be {_SHOULD}"
                )
            cells = list(row)
            self._check_width(where, i, len(cells))
            for values, cell in zip(found, cells, strict=True):
                values.append(cell)
        return list(found)

    def _check_width(self, where: str, row: int, width: int) -> None:
        if width != len(self._names):
            raise ValueError(
                f"{where}: row {row} has {width} values, should have {len(self._names)}: "
                f"{listed(self._names)}"
            )


def named_columns(given: Any) -> tuple[list[Any], Callable[[Any], Any]] | None:
    """Return the names of a table's columns and their getter, or None if it has no names."""
    if isinstance(given, Mapping):
        return list(given), given.__getitem__
    names = getattr(given, "column_names", None)  # an Arrow table
    if isinstance(names, list) and callable(getattr(given, "column", None)):
        return names, given.column
    # A polars or pandas frame; the classes themselves have properties in place of names.
    # A LazyFrame of polars, which has no values before `collect`, is none.
    names = None if hasattr(type(given), "collect") else getattr(given, "columns", None)
    if isinstance(names, Iterable) and hasattr(given, "__getitem__"):
        return list(names), given.__getitem__
    if isinstance(given, np.ndarray) and given.dtype.names is not None:
        return list(given.dtype.names), np.atleast_1d(given).__getitem__
    return None


def _not_once(name: str, count: int, names: list[Any]) -> str:
    """Return the end of a message on a column that occurs more than once or is missing."""
    if count > 1:
        return f"is there {count} times, names should differ"
    texts = [str(other) for other in names]
    return f"is missing, the table has {listed(texts) or 'no columns'}{did_you_mean(name, texts)}"


def as_values(where: str, name: str, column: Any) -> Values:
    """Return a column of a frame or a dict as an array or a list."""
    if isinstance(column, np.ndarray):
        found: Any = column
    elif isinstance(column, (list, tuple, range)):
        return list(column)  # an array would convert them to one type
    elif callable(getattr(column, "to_numpy", None)):
        found = _to_numpy(column)
    elif hasattr(column, "__array__"):
        found = np.asarray(column)
    else:
        raise TypeError(
            f"{where}: column {name!r} is of type {type(column).__name__}, should be a list or an "
            f"array of values; one row is [{{'column': ...}}]"
        )
    if found.ndim != 1:
        raise ValueError(f"{where}: column {name!r} has {found.ndim} dimensions, should have 1")
    return found  # type: ignore[no-any-return]


def _to_numpy(column: Any) -> Any:
    """Return a series of pandas or polars as an array in which missing values stay missing."""
    found = column.to_numpy()
    if isinstance(found, np.ndarray) and found.dtype.kind == "f" and _has_null(column):
        # polars converts whole numbers with missing ones to floats with NaN, which must be refused
        # as missing.
        return np.array(column.to_list(), object)
    return found


def _has_null(column: Any) -> bool:
    count = getattr(column, "null_count", None)
    return callable(count) and int(count()) > 0


def _places(
    where: str, column: Category, values: Values, missing: frozenset[str] | None
) -> NDArray[Any]:
    """Return the indices of values among a column's categories; -1 if `missing` allows it."""
    codes = column.codes
    distinct: Iterable[Any] = values
    inverse: NDArray[Any] | None = None
    rows: Iterable[int] = range(len(values))
    if (
        isinstance(values, np.ndarray)
        and not isinstance(values, np.ma.MaskedArray)
        and values.dtype.kind in "iuf"
    ):
        # Each different number is looked up once.
        distinct, rows, inverse = np.unique(values, return_index=True, return_inverse=True)
    found, refused = [], []
    for row, value in zip(rows, distinct, strict=True):
        if type(value) is str and value in codes:  # most of them, and fast
            found.append(codes[value])
            continue
        if isinstance(value, str) and (code := column.encode(value)) is not None:
            found.append(code)
            continue
        if missing is not None and is_missing(value, missing):
            found.append(-1)
            continue
        texts = [text for text in texts_of(value) if text in codes]
        if texts and not isinstance(value, str):
            # Programs that read tables convert 7, 07 and 007 to the same number.
            texts += [text for text in column.categories if _is_same(text, value, texts)]
        if len(texts) == 1:
            found.append(codes[texts[0]])
        else:
            refused.append((int(row), value, texts))
    if refused:
        row, value, texts = min(refused, key=lambda case: case[0])
        raise _refusal(where, row, column, value, texts)
    places = np.array(found, np.intp)
    return places if inverse is None else places[inverse.reshape(-1)]


def _numbers_of(
    where: str, column: Number, values: Values, decimal: str, missing: frozenset[str] | None
) -> NDArray[np.float64]:
    """Return a column's values as finite numbers; NaN for missing ones if `missing` allows it."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "iuf":
        with np.errstate(over="ignore"):  # of a long double; what becomes infinite is refused
            found = np.ma.getdata(values).astype(np.float64)
        bad = ~np.isfinite(found) | np.ma.getmaskarray(values)
        if missing is not None:
            gone = np.isnan(found) | np.ma.getmaskarray(values)
            found[gone] = np.nan
            bad &= ~gone
        if bad.any():
            row = int(bad.argmax())
            raise _refusal(where, row, column, values[row], [])
        return found
    numbers = np.empty(len(values))
    for i, value in enumerate(values):
        number = number_of(value, decimal)
        if number is None and missing is not None and is_missing(value, missing):
            number = math.nan
        if number is None:
            raise _refusal(where, i, column, value, [])
        numbers[i] = number
    return numbers


def number_of(value: Any, decimal: str) -> float | None:
    """Return a value as a finite number, or None if it is not one."""
    if type(value) is float:  # most of them, and fast
        return value if math.isfinite(value) else None
    if isinstance(value, str):  # such as all values of csv.reader
        return numerals.number(value, decimal)
    # NumPy's timedelta64 is an Integral, but no number here.
    is_number = isinstance(value, (Real, Decimal)) and not isinstance(
        value, (bool, np.bool_, np.timedelta64)
    )
    if not is_number:
        return None
    try:
        number = float(value)
    except (OverflowError, ValueError):  # ValueError: a signalling NaN of decimal
        return None
    return number if math.isfinite(number) else None


def texts_of(value: Any) -> list[str]:
    """Return the texts that a file may have for a value."""
    if isinstance(value, str):
        return [str(value)]
    if isinstance(value, (bool, np.bool_)):
        return list(_TRUTH[bool(value)])
    if isinstance(value, np.timedelta64) or value is np.ma.masked:
        return []
    if isinstance(value, Integral):
        return [str(int(value))]
    if isinstance(value, Decimal):
        return [str(value)] if value.is_finite() else []
    if isinstance(value, (float, np.floating)) and math.isfinite(value):
        # str and not float(): a float32 has fewer digits. Whole numbers become floats in a column
        # that had a missing value.
        texts = [str(value)]
        # From this size on, a float stands for several whole numbers.
        least: float = 2.0 ** (int(np.finfo(type(value)).nmant) + 1)
        if float(value).is_integer() and abs(float(value)) < least:
            texts.append(f"{value:.0f}")
        return texts
    return []


def _is_same(text: str, value: Any, others: list[str]) -> bool:
    """Whether a text that is not in `others` stands for the same number as a value."""
    if text in others or isinstance(value, (bool, np.bool_)) or numerals.number(text) is None:
        return False
    if isinstance(value, (float, np.floating)):
        return bool(type(value)(text) == value)  # of the value's type, which has less digits
    return Decimal(text) == (value if isinstance(value, Decimal) else int(value))


def is_missing(value: Any, texts: frozenset[str] = frozenset()) -> bool:
    """Whether a value is missing: None, NaN and the like, masked, or one of some texts."""
    if isinstance(value, str):
        return value.strip() in texts
    if value is None or value is np.ma.masked:
        return True
    try:
        return bool(value != value)  # noqa: PLR0124  # as NaN and NaT alone are
    except (TypeError, ValueError):  # pandas.NA is neither equal nor unequal
        return type(value).__name__ == "NAType"


def missing_in(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which values of an array are missing; texts never are."""
    listed = values.tolist()
    if set(map(type, listed)) <= {str}:  # quickly, as most columns of objects are such
        return np.zeros(len(listed), dtype=bool)
    return np.array([is_missing(value) for value in listed], dtype=bool)


def _refusal(
    where: str, row: int, column: Column, value: Any, texts: list[str]
) -> ValueError | TypeError:
    """Return the error for a value that is no number, or is none or several of the categories."""
    place = f"{where}: row {row}, column {column.name!r}"
    if is_missing(value):
        return ValueError(
            f"{place} is missing ({value!r}), should be {column.expected}; missing values should "
            f"be filled in, or their rows left out"
        )
    shown = f"{value!r}" if isinstance(value, str) else f"{value!s} of type {type(value).__name__}"
    if texts:
        return ValueError(
            f"{place} is {shown}, which may be {' or '.join(map(repr, texts))}; should be a text"
        )
    return ValueError(f"{place} is {shown}, should be {column.expected}")
