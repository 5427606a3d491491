"""The parts of a C header that a TabularClassifier or TabularRegressor adds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cnn.exchange._c_formulas import literal
from cnn.exchange._c_network import in_lines
from cnn.exchange._c_table import TableParts
from cnn.exchange.raw import RawClasses, RawNumbers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from cnn import _core
    from cnn.exchange.raw import RawModel

_FIELDS = """    int kind;                      /* 0 a number, 1 a category, 2 a date */
    int codes;                     /* of categories; those from here on share the next one */
"""
_KINDS = ("number", "category", "date")
# Rows of the self-test, besides one in which all is missing.
_TESTED = 6
_DAY = 86400.0


class RawTable(TableParts):
    """The parts of a header that rows of a table as it is need.

    Parameters
    ----------
    model : RawModel
        The columns and the target.
    networks : sequence of _core.Network
        Its networks, in the header's type.
    name : str
        The prefix of names in the header.
    fast : bool
        Whether outputs may differ in their last bits.
    """

    net = "model.net_"
    usage = "usage_raw"

    def __init__(
        self, model: RawModel, networks: Sequence[_core.Network], name: str, *, fast: bool
    ) -> None:
        super().__init__(name, networks[0].dtype, fast=fast)
        self._model = model
        self._networks = networks
        self._texts = [column.texts("to_c") for column in model.columns]
        for column in model.columns:
            known = column.categories or column.infrequent
            if column.kind == "category" and not known and model.refuses_unseen:
                raise ValueError(
                    f"to_c: column {column.name!r} had no categories in fit, so that "
                    f"unseen='error' refuses all but missing ones; should be left out"
                )

    @property
    def is_exponential(self) -> bool:
        """Whether an output is the logarithm of the number that is predicted."""
        target = self._model.target
        return isinstance(target, RawNumbers) and target.is_exponential

    @property
    def stack(self) -> int:
        """The numbers on the stack of the table's predict, besides those of the network."""
        doubles = 8  # of a date's parts, and between
        return self._networks[0].inputs + self._model.outputs + doubles * 8 // self._dtype.itemsize

    @property
    def values(self) -> dict[str, object]:
        """The substitutions that the templates need besides the header's own."""
        count = len(self._networks)
        forward = f"{self._name}_forward" + ("_0" if count > 1 else "")
        return {
            "columns": len(self._model.columns),
            "result": "double",
            "count_of_networks": count,
            "forward": forward,
            "alone": "the network alone" if count == 1 else f"the first of {count} networks alone",
            "mean_of": "" if count == 1 else f" * It is the mean of {count} networks.\n",
            "unseen": self._unseen,
            "kinds": self._kinds,
        }

    @property
    def _unseen(self) -> str:
        """What becomes of a category that is not known."""
        if self._model.refuses_unseen:
            return "no row may have"
        if any(column.infrequent for column in self._model.columns):
            return "counts as an infrequent one, or as a missing one if the column has none"
        return "counts as a missing one"

    @property
    def _kinds(self) -> str:
        """The lines of the comment on columns that are not simply numbers."""
        found = ""
        kinds = {column.kind for column in self._model.columns}
        if "date" in kinds:
            found += (
                " * A date is the seconds since 1970-01-01 00:00 UTC, rounded to microseconds; "
                "those of POSIX's\n * time_t are such.\n"
            )
        return found

    @property
    def meaning(self) -> str:
        """The lines of the comment that describe y."""
        target, count, name = self._model.target, self._model.outputs, self._name
        if isinstance(target, RawClasses):
            return (
                f" * y ({count}) gets the probabilities of {name}_class_names, the greatest of "
                f"which int\n * {name}_class(const double *y) finds.\n"
            )
        if target.quantiles:
            return f" * y ({count}) gets the quantiles of the levels {name}_levels, sorted.\n"
        return f" * y ({count}) gets what is predicted, in the units of the target.\n"

    def text(self, filled: Callable[..., str]) -> str:
        """Return the columns, and the function that takes a row."""
        described = ",\n".join(f"    {line}" for line in self._described())
        columns = self._model.columns
        # Codes of categories stay as they are.
        pairs = [
            pair
            for column in columns
            for pair in zip(column.centers or (0.0,), column.scales or (1.0,), strict=True)
        ]
        names = "\n\n".join(self._names())
        found = filled("table", names=names, described=described, numbers="", fields=_FIELDS)
        if any(column.kind == "date" for column in columns):
            found += filled("raw_date")
            dates = filled("raw_column_date")
        else:
            dates = ""
        found += filled(
            "raw_encode",
            dates=dates,
            centers=in_lines([literal(center, 64) for center, _ in pairs]),
            scales=in_lines([literal(scale, 64) for _, scale in pairs]),
            refuses_unseen=int(self._model.refuses_unseen),
        )
        target = self._model.target
        if isinstance(target, RawClasses):
            found += filled("class") + filled("raw_classes")
        else:
            found += self._numbers(filled, target)
        return found + filled("raw_predict", members=self._members())

    def _numbers(self, filled: Callable[..., str], target: RawNumbers) -> str:
        """Return the function that makes numbers of outputs."""
        value = "y[j]"
        if self.is_exponential:
            wide = "_wide" if self._dtype == np.float32 else ""
            value = f"{self._name}_cnn{wide}_exponential_element(y[j])"
        lines = [
            f"{{{', '.join(literal(number, 64) for number in numbers)}}}"
            for numbers in zip(target.means, target.scales, target.lows, target.highs, strict=True)
        ]
        return filled(
            "raw_numbers",
            value=value,
            # Quantiles share the numbers of one target.
            target="0" if len(lines) == 1 else "j",
            targets=len(lines),
            numbers="    " + ",\n    ".join(lines),
            sort=filled("raw_sort") if target.quantiles else "",
        )

    def _members(self) -> str:
        """Return the statements that add up the outputs of all networks."""
        count = len(self._networks)
        name, outputs = self._name, self._model.outputs
        found = []
        for i in range(count):
            member = f"_{i}" if count > 1 else ""
            found.append(
                f"    {name}_forward{member}(x, output);\n"
                f"    for (size_t j = 0; j < {outputs}; j++)\n"
                f"        y[j] += (double)output[j];\n"
            )
        return "".join(found)

    def _names(self) -> Iterator[str]:
        """Yield the arrays of names and levels."""
        name, target = self._name, self._model.target
        columns = self._model.columns
        yield self._array("column_names", "a column's name", [column.name for column in columns])
        if isinstance(target, RawClasses):
            yield self._array("class_names", "a class", [str(c) for c in target.classes])
        elif target.quantiles:
            levels = ", ".join(literal(level, 64) for level in target.quantiles)
            yield f"static const double {name}_levels[{len(target.quantiles)}] = {{{levels}}};"
        for i, (column, texts) in enumerate(zip(columns, self._texts, strict=True)):
            if texts:
                yield self._array(f"category_names_{i}", f"a category of {column.name!r}", texts)

    def _described(self) -> Iterator[str]:
        for i, (column, texts) in enumerate(zip(self._model.columns, self._texts, strict=True)):
            categories = f"{self._name}_category_names_{i}" if texts else "NULL"
            kind, codes = _KINDS.index(column.kind), len(column.categories)
            yield f"{{{categories}, {len(texts)}, {kind}, {codes}}}"

    # ---- The self-test --------------------------------------------------------------------------

    def test(self, filled: Callable[..., str]) -> str:
        """Return a C function that predicts rows and compares the outputs with those of cnn."""
        rows = self._rows()
        tested = np.vstack([rows, np.full(rows.shape[1], np.nan)])
        y = self._model.predict(self._networks, tested)
        y = np.ascontiguousarray(y, dtype=np.float64).reshape(len(tested), -1)
        return self._tested(filled, rows, y, self._tolerance(y), missing=True)

    def _rows(self) -> NDArray[np.float64]:
        """Return rows on both sides of the centers, with the first and last categories."""
        rows = np.empty((_TESTED, len(self._model.columns)))
        for i, column in enumerate(self._model.columns):
            if column.kind == "category":
                count = len(column.categories) + len(column.infrequent)
                last = max(count - 1, 0) if count else -1
                unseen = 0 if self._model.refuses_unseen and count else -1
                codes = [min(0, last), last, unseen, last // 2 if count else -1]
                rows[:, i] = np.resize(codes, _TESTED)
                continue
            steps = (37 * (i + np.arange(_TESTED)) % 101 - 50) / 32
            with np.errstate(over="ignore"):
                values = column.centers[0] + column.scales[0] * steps
                if column.kind == "date":  # whole numbers of microseconds
                    values = np.clip(np.round(values * _DAY * 64) / 64, -1e11, 1e11)
            rows[:, i] = np.where(np.isfinite(values), values, column.centers[0])
        return rows

    def _tolerance(self, y: NDArray[Any]) -> NDArray[np.float64]:
        """Return the tolerance of outputs whose last bits depend on the compiler."""
        most = 1e-4 if self._dtype == np.float32 else 1e-12
        target = self._model.target
        if isinstance(target, RawClasses):
            return most * (1 + y**2)
        rounding = 4 * np.finfo(np.float64).eps * np.abs(y)
        scale, mean = np.array(target.scales), np.array(target.means)
        if target.is_exponential:
            # An error of the logarithm z, at most that of y beside the scale, is a relative one.
            z = np.log(np.maximum(y / scale, np.finfo(np.float64).tiny))
            return np.asarray(most * y * (1 + z**2) + rounding)
        return np.asarray(most * scale * (1 + ((y - mean) / scale) ** 2) + rounding)
